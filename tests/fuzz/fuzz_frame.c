// Any bytes as the messages of one camera, cut at the mark FA CE: whatever they are, stream.h264 gets every payload
// back byte for byte, samples are well formed and hold what belongs into them, and a configuration changes at key
// frames only. A message that begins with AC is an AAC frame, with AD a change of the sound. Frames live on as in a
// log and are released in another order.
#include "fuzz.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "proto/camera_h264.h"
#include "stream/assembler.h"
#include <xxhash.h>

#define MAX_MESSAGES 64

// The NAL unit at or after *at, found byte by byte.
static bool next_unit(const uint8_t *data, size_t size, size_t *at, size_t *begin, size_t *end)
{
    for (size_t i = *at; i + 3 <= size; i++) {
        if (data[i] || data[i + 1] || data[i + 2] != 1)
            continue;
        size_t next = i + 3;
        while (next < size && !(next + 3 <= size && !data[next] && !data[next + 1] && data[next + 2] == 1))
            next++;
        *begin = i + 3;
        for (*end = next; *end > *begin && data[*end - 1] == 0;)
            --*end;
        if (*end > *begin) {
            *at = next;
            return true;
        }
        i = next - 1;
    }
    return false;
}

static void check_annexb(const struct ch_frame *frame, const uint8_t *payload, size_t size)
{
    size_t room = ch_frame_annexb_count(frame), at = 0;
    struct iovec *iov = malloc((room + 1) * sizeof *iov);
    assert(iov);
    size_t count = ch_frame_annexb(frame, iov);
    assert(count <= room);
    for (size_t i = 0; i < count; i++) {
        assert(iov[i].iov_len > 0 && iov[i].iov_len <= size - at);
        assert(memcmp(iov[i].iov_base, payload + at, iov[i].iov_len) == 0);
        at += iov[i].iov_len;
    }
    assert(at == size);
    free(iov);
}

// Lengths add up, and without parameter sets the sample is what the payload holds, in that order.
static void check_sample(const struct ch_frame *frame, const uint8_t *payload, size_t size)
{
    size_t begin = 0, end = 0, units = 0;
    size_t at = 0, from = 0;
    while (at < frame->sample_bytes) {
        assert(frame->sample_bytes - at > 4);
        size_t bytes = ch_get_be32(frame->sample + at);
        const uint8_t *unit = frame->sample + at + 4;
        assert(bytes > 0 && bytes <= frame->sample_bytes - at - 4 && unit[bytes - 1] != 0);
        at += 4 + bytes;
        if (ch_nal_type(unit) == CH_NAL_PPS)
            continue;
        assert(ch_nal_in_sample(ch_nal_type(unit)));
        do
            assert(next_unit(payload, size, &from, &begin, &end));
        while (!ch_nal_in_sample(payload[begin] & 31u));
        assert(end - begin == bytes && memcmp(payload + begin, unit, bytes) == 0);
        units++;
    }
    assert(units > 0);
    while (next_unit(payload, size, &from, &begin, &end))
        assert(!ch_nal_in_sample(payload[begin] & 31u));
}

static void check_hash(const struct ch_frame *frame, const uint8_t *payload, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    assert(bytes);
    size_t begin, end, used = 0;
    for (int all = 0; all <= 1 && used == 0; all++)
        for (size_t at = 0; next_unit(payload, size, &at, &begin, &end);)
            if (all || ch_nal_in_sample(payload[begin] & 31u)) {
                memcpy(bytes + used, payload + begin, end - begin);
                used += end - begin;
            }
    if (used == 0)
        memcpy(bytes, payload, used = size);
    assert(frame->hash == XXH3_64bits(bytes, used));
    free(bytes);
}

static void check_params(const struct ch_params *params)
{
    assert(params->width > 0 && params->height > 0 && params->reorder_depth <= 16);
    assert(params->nominal_step_ticks >= CH_MP4_TIMESCALE / 240 && params->nominal_step_ticks <= CH_MP4_TIMESCALE);
    assert(strlen(params->codec) == CH_H264_CODEC_STRING_BYTES - 1);
    assert(params->avcc_bytes > 7 && params->avcc[0] == 1 && (params->avcc[5] & 31) > 0);
    size_t bytes = ch_get_be16(params->avcc + 6);
    assert(bytes + 8 < params->avcc_bytes && ch_params_has_set(params, params->avcc + 8, bytes));
    assert(!ch_params_has_set(params, params->avcc + 8, bytes - 1) || bytes > 1);
}

static void check_frame(const struct ch_frame *frame, const struct ch_params **now, const uint8_t *payload, size_t size)
{
    unsigned kind = frame->flags & (CH_FRAME_PICTURE | CH_FRAME_PARAMETERS | CH_FRAME_JUNK);
    assert(kind == CH_FRAME_PICTURE || kind == CH_FRAME_PARAMETERS || kind == CH_FRAME_JUNK);
    assert(!(frame->flags & CH_FRAME_KEY) || frame->sample);
    assert((frame->sample != NULL) == (frame->params != NULL));
    assert((frame->sample != NULL) == (kind == CH_FRAME_PICTURE && !(frame->flags & CH_FRAME_BEFORE_KEY)));
    if (kind != CH_FRAME_JUNK)
        check_hash(frame, payload, size);
    if (!frame->sample)
        return;
    assert(frame->params == *now || (frame->flags & CH_FRAME_KEY));
    assert(frame->has_poc <= (frame->params->reorder_depth > 0));
    *now = frame->params;
    check_params(frame->params);
    check_sample(frame, payload, size);
    memset(frame->sample - CH_FRAME_HEAD_ROOM, 0xEE, CH_FRAME_HEAD_ROOM);
}

static void set_audio(struct ch_assembler *assembler, const uint8_t *data, size_t size)
{
    struct ch_aac_config audio;
    bool is_one = ch_aac_parse(data, size, &audio) == 0;
    ch_assembler_set_audio(assembler, is_one ? &audio : NULL);
}

// Goes with the pictures before it, or nowhere.
static void check_audio(struct ch_assembler *assembler, const struct ch_params *now, const uint8_t *data, size_t size)
{
    struct ch_frame *frame = ch_frame_new(size);
    assert(frame);
    memcpy(frame->message, data, size);
    int rc = ch_assembler_take_audio(assembler, frame, size);
    if (rc == 0) {
        assert(frame->flags == CH_FRAME_AUDIO && frame->piece_count == 0 && !frame->pieces);
        assert(now && frame->params == now && now->audio.rate > 0);
        assert(frame->payload_bytes == size && frame->sample_bytes == size && frame->sample == frame->message);
        assert(frame->hash == XXH3_64bits(data, size));
        memset(frame->sample - CH_FRAME_HEAD_ROOM, 0xEE, CH_FRAME_HEAD_ROOM);
    } else {
        assert(rc == (size > CH_AAC_FRAME_MAX ? -EINVAL : -EAGAIN) && !frame->params && frame->flags == 0);
    }
    ch_frame_unref(frame);
}

static size_t message_size(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 2 <= size; i++)
        if (data[i] == 0xFA && data[i + 1] == 0xCE)
            return i;
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ch_assembler *assembler = ch_assembler_new();
    assert(assembler);
    struct {
        struct ch_frame *frame;
        const uint8_t *payload;
        size_t size;
    } log[MAX_MESSAGES];
    const struct ch_params *now = NULL;
    size_t count = 0;
    while (size > 0 && count < MAX_MESSAGES) {
        size_t bytes = message_size(data, size), taken = bytes + 2 < size ? bytes + 2 : size;
        if (bytes > 0 && (data[0] == 0xAC || data[0] == 0xAD)) {
            if (data[0] == 0xAD)
                set_audio(assembler, data + 1, bytes - 1);
            else
                check_audio(assembler, now, data, bytes);
            data += taken;
            size -= taken;
            continue;
        }
        struct ch_frame *frame = ch_frame_new(CH_CAMERA_HEADER_BYTES + bytes);
        assert(frame);
        memset(frame->message, 0, CH_CAMERA_HEADER_BYTES);
        memcpy(frame->message + CH_CAMERA_HEADER_BYTES, data, bytes);
        frame->payload_bytes = (uint32_t)bytes;
        assert(ch_assembler_take(assembler, frame) == 0);
        check_frame(frame, &now, data, bytes);
        log[count].frame = frame;
        log[count].payload = data;
        log[count++].size = bytes;
        data += taken;
        size -= taken;
    }
    ch_assembler_free(assembler);
    for (size_t i = 0; i < count; i++) { // every other one first
        size_t n = 2 * i < count ? 2 * i : 2 * (i - (count + 1) / 2) + 1;
        check_annexb(log[n].frame, log[n].payload, log[n].size);
        ch_frame_unref(log[n].frame);
    }
    return 0;
}
