#include "cli/push_flv.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_HEADER_BYTES 13u // with the first PreviousTagSize
#define TAG_HEADER_BYTES 11u
#define VIDEO_HEADER_BYTES 5u // frame type and codec, packet type, composition time
#define AVCC_SETS_AT 5u       // numOfSequenceParameterSets, ISO/IEC 14496-15 5.3.3.1
#define TAG_VIDEO 9
#define CODEC_AVC 7
#define PACKET_CONFIG 0
#define PACKET_PICTURE 1

void ch_push_flv_clear(struct ch_push_flv *flv)
{
    ch_push_buffer_clear(&flv->buffer);
    free(flv->config);
    *flv = (struct ch_push_flv){0};
}

int ch_push_flv_add(struct ch_push_flv *flv, const uint8_t *data, size_t size)
{
    return ch_push_buffer_add(&flv->buffer, data, size);
}

// Copies `count` sets, each behind its 16-bit length, with start codes. Bytes read, or -EBADMSG.
static int64_t copy_sets(const uint8_t *data, size_t size, unsigned count, uint8_t *out, size_t *used)
{
    size_t at = 0;
    while (count-- > 0) {
        if (size - at < 2 || size - at - 2 < ch_get_be16(data + at))
            return -EBADMSG;
        size_t bytes = ch_get_be16(data + at);
        ch_put_be32(out + *used, 1);
        memcpy(out + *used + 4, data + at + 2, bytes);
        *used += 4 + bytes;
        at += 2 + bytes;
    }
    return (int64_t)at;
}

// AVCDecoderConfigurationRecord into parameter sets with start codes.
static int take_config(struct ch_push_flv *flv, const uint8_t *avcc, size_t size, struct ch_push_flv_item *out)
{
    if (size < AVCC_SETS_AT + 2 || avcc[0] != 1 || (avcc[4] & 3) != 3) // 4-byte lengths are all we read
        return -EBADMSG;
    // Each set grows by 2 bytes, and takes at least 2.
    uint8_t *config = malloc(2 * size);
    if (!config)
        return -ENOMEM;
    free(flv->config);
    flv->config = config;
    flv->config_bytes = 0;
    size_t at = AVCC_SETS_AT + 1;
    int64_t n = copy_sets(avcc + at, size - at, avcc[AVCC_SETS_AT] & 31u, config, &flv->config_bytes);
    if (n < 0)
        return (int)n;
    at += (size_t)n;
    if (at >= size)
        return -EBADMSG;
    n = copy_sets(avcc + at + 1, size - at - 1, avcc[at], config, &flv->config_bytes);
    if (n < 0)
        return (int)n;
    *out = (struct ch_push_flv_item){.config = true, .data = config, .size = flv->config_bytes};
    return 1;
}

// Lengths into start codes, in place.
static int take_picture(uint8_t *data, size_t size, struct ch_push_flv_item *out)
{
    for (size_t at = 0; at < size;) {
        if (size - at < 4 || size - at - 4 < ch_get_be32(data + at))
            return -EBADMSG;
        size_t bytes = ch_get_be32(data + at);
        ch_put_be32(data + at, 1);
        at += 4 + bytes;
    }
    out->data = data;
    out->size = size;
    return size > 0;
}

static uint32_t get_be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

// The body of a video tag. 1 if it is an item, 0 if not.
static int take_video(struct ch_push_flv *flv, uint8_t *body, size_t size, int64_t decode_ms,
                      struct ch_push_flv_item *out)
{
    if (size < VIDEO_HEADER_BYTES || (body[0] & 15) != CODEC_AVC)
        return -EBADMSG;
    uint8_t *payload = body + VIDEO_HEADER_BYTES;
    size -= VIDEO_HEADER_BYTES;
    if (body[1] == PACKET_CONFIG)
        return take_config(flv, payload, size, out);
    if (body[1] != PACKET_PICTURE)
        return 0;
    int32_t composition_ms = (int32_t)get_be24(body + 2); // 24 bits with a sign
    if (composition_ms & 0x800000)
        composition_ms -= 0x1000000;
    *out = (struct ch_push_flv_item){.key = body[0] >> 4 == 1, .time_ms = decode_ms + composition_ms};
    return take_picture(payload, size, out);
}

int ch_push_flv_next(struct ch_push_flv *flv, struct ch_push_flv_item *out)
{
    struct ch_push_buffer *buffer = &flv->buffer;
    int rc = 0;
    if (!flv->begun) {
        if (buffer->used - buffer->at < FILE_HEADER_BYTES)
            return 0;
        if (memcmp(buffer->in + buffer->at, "FLV\1", 4) != 0)
            return -EBADMSG;
        buffer->at += FILE_HEADER_BYTES;
        flv->begun = true;
    }
    while (rc == 0 && buffer->used - buffer->at >= TAG_HEADER_BYTES) {
        uint8_t *tag = buffer->in + buffer->at;
        size_t body = get_be24(tag + 1), whole = TAG_HEADER_BYTES + body + 4;
        int64_t decode_ms = (int64_t)((uint32_t)tag[7] << 24 | get_be24(tag + 4));
        if (buffer->used - buffer->at < whole)
            return 0;
        buffer->at += whole;
        if ((tag[0] & 31) == TAG_VIDEO)
            rc = take_video(flv, tag + TAG_HEADER_BYTES, body, decode_ms, out);
    }
    return rc;
}
