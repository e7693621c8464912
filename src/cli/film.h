// The film of a JPEG camera's session: stream.mp4, H.264 that browsers play, each picture at its own time. Made from
// stream.mjpeg by ffmpeg in a child process when the session is finished; it can be made again at any time, and nothing
// depends on it. Blocks; runs a loop of its own while it works.
#ifndef CH_CLI_FILM_H
#define CH_CLI_FILM_H

#include <stdint.h>

#define CH_FILM_REASON_BYTES 256

struct ch_film {
    uint64_t pictures;                 // in the session
    uint64_t frames;                   // in the film: fewer where pictures could not be decoded
    char reason[CH_FILM_REASON_BYTES]; // in words, on failure
};

struct ch_film_options {
    const char *ffmpeg; // the program
    const char *helper; // as in struct ch_child_options
};

// Makes the film of the session in the folder `path` where it is missing: stream.mp4.tmp first, which is looked through
// and synced before it is put in place, and then listed in session.json.
// 0; -EALREADY if it is there; -ENOENT if this is no finished session of a JPEG camera; -ENODATA if it holds no picture
// that can be shown; -EBUSY if someone else has the folder locked; -ECANCELED after SIGTERM or SIGINT; or another
// negative errno.
int ch_film_make(const char *path, const struct ch_film_options *options, struct ch_film *film);

#endif
