// Looks through a film before it counts as one: every picture in it is shown at a time that the session's index has.
#ifndef CH_CLI_FILM_CHECK_H
#define CH_CLI_FILM_CHECK_H

#include "cli/film_encoder.h"

struct ch_film_facts {
    uint64_t frames;
    uint32_t width, height;
};

// `fd` is the MP4, `reader` stands at the beginning of the session. 0; -ENODATA if no picture is in it; -EBADMSG if it
// cannot be read or shows a picture at another time than the index says (more than one tick away); why in `reason`.
int ch_film_check(const struct ch_film_plan *plan, struct ch_jpeg_reader *reader, int fd, struct ch_film_facts *facts,
                  char reason[CH_FILM_REASON_BYTES]);

#endif
