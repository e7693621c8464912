// Reads the H.264 of an FLV stream in pieces, as Annex B.
//
// FLV is how the encoder child hands its pictures over: unlike a bare H.264 stream it says where a
// picture ends when the picture ends (not when the next one begins, which at 10 frames per second is
// 100 ms later), says when each was taken, and has the parameter sets apart, as MediaCodec has them.
#ifndef CH_CLI_PUSH_FLV_H
#define CH_CLI_PUSH_FLV_H

#include "cli/push_buffer.h"

#include <stdbool.h>

struct ch_push_flv {
    struct ch_push_buffer buffer; // a tag is at most 16 MiB, and whole ones are taken before more is added
    uint8_t *config;              // owned; newest parameter sets as Annex B
    size_t config_bytes;
    bool begun; // the file header has been read
};

struct ch_push_flv_item {
    bool config; // parameter sets; else a picture
    bool key;
    int64_t time_ms;     // presentation time of a picture
    const uint8_t *data; // borrowed until the next call
    size_t size;
};

// Zero-initialise. Empty again and without memory:
void ch_push_flv_clear(struct ch_push_flv *flv);

int ch_push_flv_add(struct ch_push_flv *flv, const uint8_t *data, size_t size); // 0 or -ENOMEM
// Next item. 1, 0 (more bytes are needed), -EBADMSG (not such a stream) or -ENOMEM.
int ch_push_flv_next(struct ch_push_flv *flv, struct ch_push_flv_item *out);

#endif
