#include "sink/viewer_internal.h"

#include "base/bytes.h"
#include "proto/ws.h"
#include "sink/viewer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Promised for a picture whose successor has not come: players stop at a step of more than twice the promise. (Sound is
// as long as it is: one frame that lasts longer than to the next is cut off there, and not heard.)
#define PROMISED_TICKS CH_MP4_TIMESCALE
#define LENGTH_BYTES 4u // in front of each NAL unit of a sample

// --- fragmented MP4 and JPEGs ---

static void write_fragment(const struct ch_frame *frame, uint8_t out[CH_MP4_FRAGMENT_HEADER_BYTES])
{
    struct ch_mp4_fragment fragment = {
        .sequence = (uint32_t)frame->number + 1,
        .sample_bytes = frame->sample_bytes,
    };
    if (frame->flags & CH_FRAME_AUDIO) {
        fragment.audio = fragment.key = true;
        fragment.dts_ticks = (uint64_t)frame->audio_time;
        fragment.duration_ticks = frame->params->audio.frame_samples;
    } else {
        fragment.key = frame->flags & CH_FRAME_KEY;
        fragment.dts_ticks = (uint64_t)frame->dts_ticks;
        fragment.duration_ticks = PROMISED_TICKS;
        fragment.composition_ticks = (int32_t)(frame->pts_ticks - frame->dts_ticks);
    }
    ch_mp4_write_fragment(&fragment, out);
}

// A head that ends where the message of so many bytes begins. Its size.
static uint8_t put_ws_head(uint8_t *begin, uint64_t bytes)
{
    uint8_t head[CH_WS_MAX_HEAD];
    size_t size = ch_ws_write_head(head, CH_WS_BINARY, bytes, NULL);
    memcpy(begin - size, head, size);
    return (uint8_t)size;
}

void ch_viewer_make_head(struct ch_frame *frame)
{
    uint8_t *begin = frame->sample;
    if (!(frame->flags & CH_FRAME_JPEG)) {
        begin -= CH_MP4_FRAGMENT_HEADER_BYTES;
        write_fragment(frame, begin);
    }
    frame->head_bytes = put_ws_head(begin, (uint64_t)(frame->sample - begin) + frame->sample_bytes);
}

uint8_t *ch_viewer_make_init(const struct ch_params *params, size_t *bytes)
{
    const struct ch_mp4_track track = {
        .width = params->width,
        .height = params->height,
        .sar_width = params->sar_width,
        .sar_height = params->sar_height,
        .avcc = params->avcc,
        .avcc_bytes = params->avcc_bytes,
        .audio = params->audio,
    };
    *bytes = ch_mp4_write_init(&track, NULL, 0);
    uint8_t *init = malloc(*bytes);
    if (init)
        ch_mp4_write_init(&track, init, *bytes);
    return init;
}

// --- FLV ---

static int64_t to_ms(int64_t time, int64_t rate)
{
    return (time * 1000 + rate / 2) / rate;
}

void ch_viewer_make_flv(struct ch_frame *frame)
{
    uint8_t *tag = frame->flv + sizeof frame->flv - CH_FLV_VIDEO_HEAD_BYTES;
    size_t head = CH_FLV_VIDEO_HEAD_BYTES;
    if (frame->flags & CH_FRAME_AUDIO) {
        head = CH_FLV_AUDIO_HEAD_BYTES;
        ch_flv_write_audio((uint32_t)to_ms(frame->audio_time, frame->params->audio.rate), frame->sample_bytes, tag,
                           frame->flv_tail);
    } else {
        int64_t decode_ms = to_ms(frame->dts_ticks, CH_MP4_TIMESCALE);
        struct ch_flv_picture picture = {
            .decode_ms = (uint32_t)decode_ms,
            .composition_ms = (int32_t)(to_ms(frame->pts_ticks, CH_MP4_TIMESCALE) - decode_ms),
            .sample_bytes = frame->sample_bytes,
            .key = frame->flags & CH_FRAME_KEY,
        };
        ch_flv_write_picture(&picture, tag, frame->flv_tail);
    }
    frame->flv_head_bytes = put_ws_head(tag, head + frame->sample_bytes + CH_FLV_TAIL_BYTES);
}

// Writes what fits. The bytes needed.
static size_t write_flv_start(const struct ch_frame *key, bool first, uint8_t *out, size_t capacity)
{
    const struct ch_params *params = key->params;
    const struct ch_aac_config *audio = params->audio.rate > 0 ? &params->audio : NULL;
    const struct ch_flv_metadata metadata = {
        .width = params->width, .height = params->height, .audio = audio, .encoder = "camhub"};
    uint32_t time_ms = (uint32_t)to_ms(key->dts_ticks, CH_MP4_TIMESCALE);
    size_t used = first ? CH_FLV_HEADER_BYTES : 0;
    if (first && capacity > 0)
        ch_flv_write_header(audio != NULL, out);
    bool fits = capacity > 0; // it is either nothing or all that is needed
    used += ch_flv_write_metadata(&metadata, fits ? out + used : NULL, fits ? capacity - used : 0);
    used += ch_flv_write_video_config(params->avcc, params->avcc_bytes, time_ms, fits ? out + used : NULL,
                                      fits ? capacity - used : 0);
    if (audio)
        used += ch_flv_write_audio_config(audio, time_ms, fits ? out + used : NULL, fits ? capacity - used : 0);
    return used;
}

uint8_t *ch_viewer_make_flv_start(const struct ch_frame *key, bool first, size_t *bytes)
{
    *bytes = write_flv_start(key, first, NULL, 0);
    uint8_t *start = malloc(*bytes);
    if (start)
        write_flv_start(key, first, start, *bytes);
    return start;
}

// --- a message of several pieces ---

static void add_piece(struct ch_viewer_message *message, const void *data, size_t size)
{
    union {
        const void *in;
        void *out;
    } cast = {.in = data};
    message->iov[message->count++] = (struct iovec){.iov_base = cast.out, .iov_len = size};
}

static int allocate_pieces(struct ch_viewer_message *message, size_t count)
{
    message->count = 0;
    message->iov = message->few;
    if (count > sizeof message->few / sizeof message->few[0])
        message->iov = malloc(count * sizeof *message->iov);
    return message->iov ? 0 : -ENOMEM;
}

static const uint8_t start_code[4] = {0, 0, 0, 1};

static size_t add_nal(struct ch_viewer_message *message, const uint8_t *nal, size_t size)
{
    add_piece(message, start_code, sizeof start_code);
    add_piece(message, nal, size);
    return sizeof start_code + size;
}

// The parameter sets that hold from a key frame on. Their bytes with start codes.
static size_t add_sets(const struct ch_params *params, struct ch_viewer_message *message)
{
    struct ch_params_at at = {0};
    const uint8_t *set;
    size_t size, bytes = 0;
    while (ch_params_next_set(params, &at, &set, &size))
        bytes += add_nal(message, set, size);
    return bytes;
}

// The bytes in front of its message's own NAL units in the sample: parameter sets that came by themselves.
static size_t extra_bytes(const struct ch_frame *frame)
{
    if (!frame->overflow)
        return 0;
    for (uint32_t i = 0; i < frame->piece_count; i++) {
        const uint8_t *data = frame->pieces[i].data;
        if (data >= frame->sample && data < frame->sample + frame->sample_bytes)
            return (size_t)(data - frame->sample) - LENGTH_BYTES;
    }
    return 0;
}

static size_t add_extra(const struct ch_frame *frame, size_t extra, struct ch_viewer_message *message)
{
    size_t bytes = 0;
    for (size_t at = 0, size; at < extra; at += LENGTH_BYTES + size) {
        size = ch_get_be32(frame->sample + at);
        bytes += add_nal(message, frame->sample + at + LENGTH_BYTES, size);
    }
    return bytes;
}

static bool brings_sets(const struct ch_frame *frame)
{
    unsigned seen = 0;
    for (uint32_t i = 0; i < frame->piece_count; i++)
        if (frame->pieces[i].code && frame->pieces[i].size > 0)
            seen |= 1u << ch_nal_type(frame->pieces[i].data);
    return seen >> CH_NAL_SPS & 1 && seen >> CH_NAL_PPS & 1;
}

#define MOST_SETS (2 * (31 + 255)) // of the configuration; in front of a sample there are fewer

int ch_viewer_make_annexb(struct ch_frame *frame, struct ch_viewer_message *message)
{
    size_t extra = extra_bytes(frame);
    bool with_sets = (frame->flags & CH_FRAME_KEY) && (extra > 0 || !brings_sets(frame));
    size_t sets = (with_sets ? MOST_SETS : 0) + (extra > 0 ? MOST_SETS : 0);
    int rc = allocate_pieces(message, 1 + sets + ch_frame_annexb_count(frame));
    if (rc < 0)
        return rc;
    add_piece(message, message->scratch, 0);
    size_t bytes = frame->payload_bytes;
    if (with_sets)
        bytes += add_sets(frame->params, message);
    bytes += add_extra(frame, extra, message);
    message->iov[0].iov_len = ch_ws_write_head(message->scratch, CH_WS_BINARY, bytes, NULL);
    message->count += ch_frame_annexb(frame, message->iov + message->count);
    return 0;
}

void ch_viewer_make_part(struct ch_frame *frame, struct ch_viewer_message *message)
{
    message->count = 0;
    message->iov = message->few;
    int size = snprintf((char *)message->scratch, CH_VIEWER_SCRATCH_BYTES,
                        "--" CH_VIEW_BOUNDARY "\r\nContent-Type: image/jpeg\r\nContent-Length: %" PRIu32 "\r\n\r\n",
                        frame->sample_bytes);
    add_piece(message, message->scratch, (size_t)size);
    add_piece(message, frame->sample, frame->sample_bytes);
    add_piece(message, "\r\n", 2);
}

void ch_viewer_free_message(struct ch_viewer_message *message)
{
    if (message->iov != message->few)
        free(message->iov);
}
