// camhub film-jpeg DIR [FFMPEG]: what the hub starts as a child to make the film of a JPEG camera's session (film.h). One
// line on stderr says what was wrong; status 127: there is no ffmpeg.
#include "cli/cli.h"
#include "cli/film.h"
#include "cli/push_ffmpeg.h"
#include "source/child.h"

#include <errno.h>
#include <stdio.h>

#define STATUS_NO_FFMPEG 127

int ch_cli_film_jpeg(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: camhub film-jpeg DIR [FFMPEG]\n");
        return CH_EXIT_USAGE;
    }
    const struct ch_film_options options = {.ffmpeg = argc > 2 ? argv[2] : ch_push_ffmpeg_name(),
                                            .helper = CH_CHILD_HELPER};
    struct ch_film film;
    int rc = ch_film_make(argv[1], &options, &film);
    if (rc < 0 && rc != -EALREADY) {
        fprintf(stderr, "%s\n", film.reason);
        return rc == -ENOENT && film.pictures > 0 ? STATUS_NO_FFMPEG : CH_EXIT_FAILED;
    }
    if (rc == 0 && film.frames < film.pictures)
        fprintf(stderr, "%llu of %llu pictures could not be decoded\n",
                (unsigned long long)(film.pictures - film.frames), (unsigned long long)film.pictures);
    return CH_EXIT_OK;
}
