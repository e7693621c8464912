// thumbnail.jpg of a JPEG camera's session: the first picture, as it came. Blocks; any thread.
#ifndef CH_SINK_THUMBNAIL_H
#define CH_SINK_THUMBNAIL_H

#include <stdint.h>

// Copies `bytes` (not 0) at `offset` of the session's file `name` into thumbnail.jpg, in one step. 0 or a negative
// errno.
int ch_thumbnail_copy(int dir, const char *name, uint64_t offset, uint32_t bytes);

#endif
