// ffmpeg as the encoder of a film: pictures go in as Matroska with exact times, an MP4 comes out.
#ifndef CH_CLI_FILM_ENCODER_H
#define CH_CLI_FILM_ENCODER_H

#include "cli/film.h"
#include "sink/jpeg_reader.h"

struct ch_film_plan {
    uint32_t width, height; // of the first picture that is one; all others are fitted in
    uint64_t pictures;
    int64_t base_ticks; // of the first picture: the film's 0
    int64_t step_ticks; // usual, and so how long the last picture is shown
};

// Encodes all pictures of the reader (which stands at the beginning) into the file `out`. 0; -ENOENT if there is no
// ffmpeg; -EIO if it failed; -ETIMEDOUT if it stood still; -ECANCELED; or another negative errno; why in `reason`.
int ch_film_encode(const struct ch_film_plan *plan, struct ch_jpeg_reader *reader,
                   const struct ch_film_options *options, const char *out, char reason[CH_FILM_REASON_BYTES]);

#endif
