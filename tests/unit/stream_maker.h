// Messages of a camera, made NAL unit by NAL unit, and a naive second opinion on what becomes of them. For
// tests of the stream layer and of what reads streams.
#ifndef CH_TESTS_STREAM_MAKER_H
#define CH_TESTS_STREAM_MAKER_H

#include "h264_maker.h"

#include "base/bytes.h"
#include "proto/camera_h264.h"
#include "stream/frame.h"

#include <stdlib.h>

struct buffer {
    uint8_t *data;
    size_t size, capacity;
};

static inline void put(struct buffer *buffer, const void *data, size_t size)
{
    if (buffer->size + size > buffer->capacity) {
        buffer->capacity = 2 * (buffer->size + size);
        buffer->data = realloc(buffer->data, buffer->capacity);
        assert_non_null(buffer->data);
    }
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

static inline void put_zeros(struct buffer *buffer, size_t count)
{
    static const uint8_t zeros[4096];
    for (; count > sizeof zeros; count -= sizeof zeros)
        put(buffer, zeros, sizeof zeros);
    put(buffer, zeros, count);
}

// A start code of `zeros` zeros and 01, and a NAL unit.
static inline void put_nal(struct buffer *buffer, size_t zeros, const void *nal, size_t size)
{
    put_zeros(buffer, zeros);
    put(buffer, "\1", 1);
    put(buffer, nal, size);
}

static inline void put_made(struct buffer *buffer, struct unit unit)
{
    put_nal(buffer, 3, unit.data, unit.size);
}

static inline void put_length_prefixed(struct buffer *buffer, const void *nal, size_t size)
{
    uint8_t length[4];
    ch_put_be32(length, (uint32_t)size);
    put(buffer, length, 4);
    put(buffer, nal, size);
}

static inline void empty(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

// --- pictures ---

// A stream with B-frames: frames are shown out of order by up to `depth` places.
static inline struct recipe main_profile(unsigned depth)
{
    struct recipe recipe = BASELINE;
    recipe.profile = 77;
    recipe.constraints = 0;
    recipe.poc_type = 0;
    recipe.log2_poc_lsb = 8;
    recipe.refs = depth;
    return recipe;
}

// What varies in a slice of a frame.
struct slice_recipe {
    bool idr, disposable;
    uint32_t pps_id, frame_num, poc_lsb, noise;
    size_t bytes; // of made-up macroblocks
};

static inline struct unit make_slice(const struct recipe *sps, const struct slice_recipe *slice)
{
    struct maker maker = begin(slice->idr ? 0x65 : slice->disposable ? 0x01 : 0x41);
    ue(&maker, 0);
    ue(&maker, slice->idr ? 7 : 5);
    ue(&maker, slice->pps_id);
    u(&maker, sps->log2_frame_num, slice->frame_num & ((1u << sps->log2_frame_num) - 1));
    if (slice->idr)
        ue(&maker, 0);
    if (sps->poc_type == 0)
        u(&maker, sps->log2_poc_lsb, slice->poc_lsb & ((1u << sps->log2_poc_lsb) - 1));
    uint32_t noise = slice->noise * 2654435761u + 1;
    for (size_t i = 0; i < slice->bytes; i++) {
        noise = noise * 1103515245u + 12345u;
        u(&maker, 8, noise >> 16 & 0xFF);
    }
    return finish(&maker);
}

static inline void put_sets(struct buffer *buffer, const struct recipe *recipe)
{
    put_made(buffer, make_sps(recipe));
    put_made(buffer, make_pps(0, recipe->id, false));
}

static inline void put_slice(struct buffer *buffer, const struct recipe *recipe, const struct slice_recipe *slice)
{
    put_made(buffer, make_slice(recipe, slice));
}

// --- frames ---

// As it is when the last byte of the message was received; exactly as much memory as the message needs.
static inline struct ch_frame *receive(const struct buffer *payload, uint64_t device_ms, uint32_t sequence)
{
    struct ch_frame *frame = ch_frame_new(CH_CAMERA_HEADER_BYTES + payload->size);
    assert_non_null(frame);
    const struct ch_camera_header header = {
        .device_ms = device_ms, .sequence = sequence, .payload_bytes = (uint32_t)payload->size};
    ch_camera_write_header(&header, frame->message);
    if (payload->size > 0)
        memcpy(frame->message + CH_CAMERA_HEADER_BYTES, payload->data, payload->size);
    frame->payload_bytes = (uint32_t)payload->size;
    frame->device_ms = device_ms;
    frame->sequence = sequence;
    return frame;
}

// What an AudioSpecificConfig says: AAC LC, ISO/IEC 14496-3 1.6.2.1.
static inline struct ch_aac_config aac_of(uint32_t rate, unsigned channels)
{
    static const uint32_t rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                     22050, 16000, 12000, 11025, 8000,  7350};
    unsigned index = 0;
    while (rates[index] != rate)
        index++;
    const uint8_t config[2] = {(uint8_t)(2 << 3 | index >> 1), (uint8_t)((index & 1) << 7 | channels << 3)};
    struct ch_aac_config aac;
    assert_int_equal(ch_aac_parse(config, sizeof config, &aac), 0);
    assert_int_equal(aac.rate, rate);
    assert_int_equal(aac.channels, channels);
    return aac;
}

// An AAC frame as it is when it was received; its bytes follow from `noise`.
static inline struct ch_frame *receive_audio(size_t size, uint32_t noise)
{
    struct ch_frame *frame = ch_frame_new(size);
    assert_non_null(frame);
    noise = noise * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        noise = noise * 1103515245u + 12345u;
        frame->message[i] = (uint8_t)(noise >> 16);
    }
    return frame;
}

// The Annex B form that the frame gives back.
static inline struct buffer annexb_of(const struct ch_frame *frame)
{
    struct buffer out = {0};
    size_t room = ch_frame_annexb_count(frame);
    struct iovec *iov = malloc((room + 1) * sizeof *iov);
    assert_non_null(iov);
    size_t count = ch_frame_annexb(frame, iov);
    assert_true(count <= room);
    for (size_t i = 0; i < count; i++)
        put(&out, iov[i].iov_base, iov[i].iov_len);
    free(iov);
    return out;
}

// --- the second opinion: byte by byte, by the letter of ITU-T H.264 Annex B ---

// Finds the NAL unit at or after *at; false if there is none.
static inline bool naive_next(const uint8_t *data, size_t size, size_t *at, size_t *begin, size_t *end)
{
    for (size_t i = *at; i + 3 <= size; i++) {
        if (data[i] != 0 || data[i + 1] != 0 || data[i + 2] != 1)
            continue;
        *begin = i + 3;
        size_t next = *begin;
        while (next < size && !(next + 3 <= size && data[next] == 0 && data[next + 1] == 0 && data[next + 2] == 1))
            next++;
        *end = next;
        while (*end > *begin && data[*end - 1] == 0)
            (*end)--;
        if (*end > *begin) {
            *at = next;
            return true;
        }
        i = next - 1;
    }
    return false;
}

static inline bool naive_in_sample(unsigned type)
{
    return type < 7 || type > 13;
}

// The NAL units of a payload that belong into every sample, with lengths in front.
static inline struct buffer naive_sample(const uint8_t *payload, size_t size)
{
    struct buffer out = {0};
    size_t begin, end;
    for (size_t at = 0; naive_next(payload, size, &at, &begin, &end);)
        if (naive_in_sample(payload[begin] & 31u))
            put_length_prefixed(&out, payload + begin, end - begin);
    return out;
}

// The bytes that the checksum covers (docs/session-format.md).
static inline struct buffer naive_hashed(const uint8_t *payload, size_t size)
{
    struct buffer counted = {0}, all = {0};
    size_t begin, end;
    for (size_t at = 0; naive_next(payload, size, &at, &begin, &end);) {
        put(&all, payload + begin, end - begin);
        if (naive_in_sample(payload[begin] & 31u))
            put(&counted, payload + begin, end - begin);
    }
    if (all.size == 0)
        put(&all, payload, size);
    if (counted.size == 0)
        return all;
    empty(&all);
    return counted;
}

// Fewer numbers, the same every time.
static inline uint32_t dice(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

#endif
