// Reads the pictures of ffmpeg's mpjpeg stream in pieces.
//
// That format says how long each picture is, in a head like that of HTTP (RFC 2046 5.1 with a Content-length), so a
// picture is known to be whole with its last byte and no byte is looked at twice.
#ifndef CH_CLI_PUSH_MPJPEG_H
#define CH_CLI_PUSH_MPJPEG_H

#include "cli/push_buffer.h"

struct ch_push_mpjpeg {
    struct ch_push_buffer buffer;
    size_t body; // bytes of the picture whose head was read; 0: a head comes next
};

// Zero-initialise. Empty again and without memory:
void ch_push_mpjpeg_clear(struct ch_push_mpjpeg *mpjpeg);

int ch_push_mpjpeg_add(struct ch_push_mpjpeg *mpjpeg, const uint8_t *data, size_t size); // 0 or -ENOMEM
// The next picture: one whole JPEG from SOI to EOI, borrowed until the next call. 1, 0 (more bytes are needed) or
// -EBADMSG (not such a stream).
int ch_push_mpjpeg_next(struct ch_push_mpjpeg *mpjpeg, const uint8_t **data, size_t *size);

#endif
