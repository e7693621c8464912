#include "sink/viewer.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/limits.h"
#include "codec/mp4.h"
#include "proto/ws.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Promised for a frame whose successor has not come: players stop at a step of more than twice the promise.
#define PROMISED_TICKS CH_MP4_TIMESCALE
#define BATCH_FRAMES 64
#define BATCH_BYTES (512u << 10)
#define SEND_PER_WAKEUP (2u << 20) // then the others have their turn
#define TEXT_BYTES 512
#define LENGTH_BYTES 4u // in front of each NAL unit of a sample
#define TOLD_EVERY_US INT64_C(2000000)
#define TOLD_TOLERANCE_US 5000
#define HOLD_SLACK_US 3000 // a frame that comes so shortly before the time is over ends it

static bool is_ws(const struct ch_viewer *viewer)
{
    return viewer->format <= CH_VIEW_WS_JPEG_BARE;
}

static bool has_texts(const struct ch_viewer *viewer)
{
    return viewer->format <= CH_VIEW_WS_JPEG;
}

static void fail(struct ch_viewer *viewer, int error)
{
    viewer->ended = true;
    viewer->outlet->failed(viewer->owner, error);
}

// --- the common format, made once per frame ---

// Writes what stands in front of the sample: WebSocket head and, for H.264, fragment header.
static void write_head(struct ch_frame *frame)
{
    bool jpeg = frame->flags & CH_FRAME_JPEG;
    uint8_t head[CH_WS_MAX_HEAD], *at = frame->sample;
    uint64_t length = frame->sample_bytes;
    if (!jpeg) {
        struct ch_mp4_fragment fragment = {
            .sequence = (uint32_t)frame->number + 1,
            .dts_ticks = (uint64_t)frame->dts_ticks,
            .duration_ticks = PROMISED_TICKS,
            .composition_ticks = (int32_t)(frame->pts_ticks - frame->dts_ticks),
            .sample_bytes = frame->sample_bytes,
            .key = frame->flags & CH_FRAME_KEY,
        };
        at -= CH_MP4_FRAGMENT_HEADER_BYTES;
        length += CH_MP4_FRAGMENT_HEADER_BYTES;
        ch_mp4_write_fragment(&fragment, at);
    }
    size_t size = ch_ws_write_head(head, CH_WS_BINARY, length, NULL);
    memcpy(at - size, head, size);
    frame->head_bytes = (uint8_t)size;
}

static struct iovec in_one_piece(struct ch_frame *frame, bool with_ws_head)
{
    if (frame->head_bytes == 0)
        write_head(frame);
    size_t front =
        (frame->flags & CH_FRAME_JPEG ? 0 : CH_MP4_FRAGMENT_HEADER_BYTES) + (with_ws_head ? frame->head_bytes : 0u);
    return (struct iovec){.iov_base = frame->sample - front, .iov_len = front + frame->sample_bytes};
}

// --- a message of several pieces ---

#define SCRATCH_BYTES 160

struct message {
    struct iovec few[8], *iov; // `few`, or allocated
    size_t count;
    uint8_t scratch[SCRATCH_BYTES];
};

static void add_piece(struct message *message, const void *data, size_t size)
{
    union {
        const void *in;
        void *out;
    } cast = {.in = data};
    message->iov[message->count++] = (struct iovec){.iov_base = cast.out, .iov_len = size};
}

static int allocate_pieces(struct message *message, size_t count)
{
    message->count = 0;
    message->iov = message->few;
    if (count > sizeof message->few / sizeof message->few[0])
        message->iov = malloc(count * sizeof *message->iov);
    return message->iov ? 0 : -ENOMEM;
}

static const uint8_t start_code[4] = {0, 0, 0, 1};

static size_t add_nal(struct message *message, const uint8_t *nal, size_t size)
{
    add_piece(message, start_code, sizeof start_code);
    add_piece(message, nal, size);
    return sizeof start_code + size;
}

// The parameter sets that hold from a key frame on. Their bytes with start codes.
static size_t add_sets(const struct ch_params *params, struct message *message)
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

static size_t add_extra(const struct ch_frame *frame, size_t extra, struct message *message)
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

// The message as it came, behind the parameter sets that it needs and does not bring along.
static int annexb_message(struct ch_frame *frame, struct message *message)
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

static int part_message(struct ch_frame *frame, struct message *message)
{
    allocate_pieces(message, 3);
    int size = snprintf((char *)message->scratch, SCRATCH_BYTES,
                        "--" CH_VIEW_BOUNDARY "\r\nContent-Type: image/jpeg\r\nContent-Length: %" PRIu32 "\r\n\r\n",
                        frame->sample_bytes);
    add_piece(message, message->scratch, (size_t)size);
    add_piece(message, frame->sample, frame->sample_bytes);
    add_piece(message, "\r\n", 2);
    return 0;
}

// --- what the outlet took in part ---

static void release_frame(void *frame)
{
    ch_frame_unref(frame);
}

// The rest of one message of a frame: its bytes by reference, those of `scratch` by copy.
static int queue_rest(struct ch_viewer *viewer, struct ch_frame *frame, const struct message *message, size_t skip)
{
    int rc = 0;
    for (size_t i = 0; i < message->count && rc == 0; i++) {
        struct iovec rest = message->iov[i];
        size_t gone = skip < rest.iov_len ? skip : rest.iov_len;
        skip -= gone;
        rest.iov_base = (uint8_t *)rest.iov_base + gone;
        rest.iov_len -= gone;
        if (rest.iov_len == 0)
            continue;
        if (message->iov[i].iov_base == message->scratch)
            rc = viewer->outlet->send(viewer->owner, &rest, 1);
        else
            rc = viewer->outlet->queue(viewer->owner, rest.iov_base, rest.iov_len, release_frame, ch_frame_ref(frame));
    }
    return rc;
}

static void frame_gone_out(struct ch_viewer *viewer, const struct ch_frame *frame)
{
    viewer->cursor.next = frame->number + 1;
    viewer->next_picture = frame->picture + 1;
    viewer->frames_sent++;
}

static void wait_for_room(struct ch_viewer *viewer)
{
    viewer->blocked = true;
    viewer->outlet->want_room(viewer->owner);
}

// --- texts ---

static int send_ws(struct ch_viewer *viewer, enum ch_ws_opcode opcode, void *data, size_t size)
{
    uint8_t head[CH_WS_MAX_HEAD];
    struct iovec iov[2] = {
        {.iov_base = head, .iov_len = ch_ws_write_head(head, opcode, size, NULL)},
        {.iov_base = data, .iov_len = size},
    };
    return viewer->outlet->send(viewer->owner, iov, 2);
}

// The wall clock at tick 0 of the stream's timeline.
static int64_t base_us(const struct ch_stream *stream)
{
    int64_t ticks = 0, unix_us = 0;
    ch_stream_clock(stream, &ticks, &unix_us);
    return unix_us - ticks * CH_US_PER_S / CH_MP4_TIMESCALE;
}

static int64_t newest_arrival(const struct ch_viewer *viewer)
{
    const struct ch_frame *newest = ch_cursor_newest(&viewer->cursor);
    return newest ? newest->arrival_mono_us : 0;
}

static void note_told(struct ch_viewer *viewer, int64_t now_us)
{
    viewer->told_base_us = base_us(viewer->cursor.stream);
    viewer->told_us = now_us;
}

static int tell_time(struct ch_viewer *viewer, int64_t now_us)
{
    if (!has_texts(viewer) || !viewer->said || now_us - viewer->told_us < TOLD_EVERY_US)
        return 0;
    viewer->told_us = now_us;
    if (llabs(base_us(viewer->cursor.stream) - viewer->told_base_us) <= TOLD_TOLERANCE_US)
        return 0;
    note_told(viewer, now_us);
    int64_t ticks, unix_us;
    ch_stream_clock(viewer->cursor.stream, &ticks, &unix_us);
    char text[TEXT_BYTES];
    int size = snprintf(text, sizeof text, "{\"type\":\"time\",\"ticks\":%" PRId64 ",\"unix_us\":%" PRId64 "}", ticks,
                        unix_us);
    return send_ws(viewer, CH_WS_TEXT, text, (size_t)size);
}

static int tell_drop(struct ch_viewer *viewer, uint64_t frames)
{
    viewer->dropped += frames;
    if (!has_texts(viewer) || frames == 0)
        return 0;
    char text[64];
    int size = snprintf(text, sizeof text, "{\"type\":\"drop\",\"frames\":%" PRIu64 "}", frames);
    return send_ws(viewer, CH_WS_TEXT, text, (size_t)size);
}

static void mime_of(const struct ch_viewer *viewer, const struct ch_params *params, char out[96])
{
    if (viewer->format == CH_VIEW_WS_MP4)
        snprintf(out, 96, "video/mp4; codecs=\\\"%s\\\"", params->codec);
    else
        snprintf(out, 96, "%s", viewer->format == CH_VIEW_WS_H264 ? "video/h264" : "image/jpeg");
}

static int tell_stream(struct ch_viewer *viewer, const struct ch_params *params)
{
    char text[TEXT_BYTES], mime[96];
    int64_t ticks, unix_us;
    mime_of(viewer, params, mime);
    ch_stream_clock(viewer->cursor.stream, &ticks, &unix_us);
    note_told(viewer, newest_arrival(viewer));
    int size = snprintf(text, sizeof text,
                        "{\"type\":\"stream\",\"mime\":\"%s\",\"width\":%" PRIu32 ",\"height\":%" PRIu32
                        ",\"timescale\":%u,\"time\":{\"ticks\":%" PRId64 ",\"unix_us\":%" PRId64 "}}",
                        mime, params->width, params->height, CH_MP4_TIMESCALE, ticks, unix_us);
    return send_ws(viewer, CH_WS_TEXT, text, (size_t)size);
}

static int send_init(struct ch_viewer *viewer, const struct ch_params *params)
{
    struct ch_mp4_track track = {
        .width = params->width,
        .height = params->height,
        .sar_width = params->sar_width,
        .sar_height = params->sar_height,
        .avcc = params->avcc,
        .avcc_bytes = params->avcc_bytes,
    };
    size_t bytes = ch_mp4_write_init(&track, NULL, 0);
    uint8_t *init = malloc(bytes);
    if (!init)
        return -ENOMEM;
    ch_mp4_write_init(&track, init, bytes);
    struct iovec iov = {.iov_base = init, .iov_len = bytes};
    int rc = is_ws(viewer) ? send_ws(viewer, CH_WS_BINARY, init, bytes) : viewer->outlet->send(viewer->owner, &iov, 1);
    free(init);
    return rc;
}

// Before the first frame of new parameters; those of a camera that came back may well be the old ones. 0, a negative
// errno, or 1: this viewer's format cannot change them.
static int announce(struct ch_viewer *viewer, struct ch_params *params)
{
    bool known = viewer->said && ch_params_same(viewer->said, params);
    if (viewer->format == CH_VIEW_HTTP_MP4 && viewer->said && !known)
        return 1;
    ch_params_unref(viewer->said);
    viewer->said = ch_params_ref(params);
    if (known)
        return 0;
    int rc = has_texts(viewer) ? tell_stream(viewer, params) : 0;
    if (rc == 0 && (viewer->format == CH_VIEW_WS_MP4 || viewer->format == CH_VIEW_HTTP_MP4))
        rc = send_init(viewer, params);
    return rc;
}

// --- where to go on ---

// Frames of a viewer that is too slow are passed over, up to the newest key frame.
static int catch_up(struct ch_viewer *viewer, int64_t newest_us)
{
    const struct ch_frame *next = ch_cursor_peek(&viewer->cursor);
    const struct ch_frame *key = ch_stream_newest_key(viewer->cursor.stream);
    if (!next)
        return 0;
    bool gone = ch_cursor_overrun(&viewer->cursor);
    bool late = newest_us - next->arrival_mono_us > CH_LIVE_LAG_US + viewer->coalesce_us;
    if (!viewer->started || !(gone || late))
        return 0;
    if (key && key->number > viewer->cursor.next) {
        viewer->cursor.next = key->number;
        uint64_t dropped = key->picture - viewer->next_picture;
        viewer->next_picture = key->picture;
        return tell_drop(viewer, dropped);
    }
    if (gone) { // and no key frame yet: on at the next one
        viewer->started = false;
        viewer->cursor.next = next->number;
    }
    return 0;
}

// The next frame that is something for this viewer, or NULL.
static struct ch_frame *next_frame(struct ch_viewer *viewer)
{
    for (struct ch_frame *frame; (frame = ch_cursor_peek(&viewer->cursor)); viewer->cursor.next = frame->number + 1) {
        bool key = frame->flags & CH_FRAME_KEY;
        if (frame->sample && (viewer->started || key))
            return frame;
    }
    return NULL;
}

// --- sending ---

// Frames from the cursor on that go out in one write, all of the parameters that were announced.
static size_t collect(struct ch_viewer *viewer, struct ch_frame *frames[BATCH_FRAMES], struct iovec iov[BATCH_FRAMES])
{
    size_t count = 0, bytes = 0;
    struct ch_frame *frame;
    for (size_t ahead = 0;
         count < BATCH_FRAMES && bytes < BATCH_BYTES && (frame = ch_cursor_peek_ahead(&viewer->cursor, ahead));
         ahead++) {
        if (!frame->sample)
            continue;
        if (frame->params != viewer->said)
            break;
        frames[count] = frame;
        iov[count] = in_one_piece(frame, is_ws(viewer));
        bytes += iov[count++].iov_len;
    }
    return count;
}

// Bytes sent, 0 if there is no room now, or a negative errno.
static ssize_t send_batch(struct ch_viewer *viewer)
{
    struct ch_frame *frames[BATCH_FRAMES];
    struct iovec iov[BATCH_FRAMES];
    size_t count = collect(viewer, frames, iov);
    ssize_t taken = viewer->outlet->try_send(viewer->owner, iov, count);
    if (taken < 0)
        return taken;
    size_t left = (size_t)taken, i = 0;
    for (; i < count && left >= iov[i].iov_len; i++) {
        left -= iov[i].iov_len;
        frame_gone_out(viewer, frames[i]);
    }
    if (i == count)
        return taken;
    if (left > 0) {
        struct message message = {.count = 1, .iov = &iov[i]};
        frame_gone_out(viewer, frames[i]);
        int rc = queue_rest(viewer, frames[i], &message, left);
        if (rc < 0)
            return rc;
    }
    wait_for_room(viewer);
    return taken;
}

static ssize_t send_in_pieces(struct ch_viewer *viewer, struct ch_frame *frame)
{
    struct message message;
    int rc = viewer->format == CH_VIEW_WS_H264 ? annexb_message(frame, &message) : part_message(frame, &message);
    if (rc < 0)
        return rc;
    size_t total = 0;
    for (size_t i = 0; i < message.count; i++)
        total += message.iov[i].iov_len;
    ssize_t taken = viewer->outlet->try_send(viewer->owner, message.iov, message.count);
    if (taken > 0)
        frame_gone_out(viewer, frame);
    if (taken >= 0 && (size_t)taken < total) {
        rc = taken > 0 ? queue_rest(viewer, frame, &message, (size_t)taken) : 0;
        wait_for_room(viewer);
    }
    if (message.iov != message.few)
        free(message.iov);
    return rc < 0 ? rc : taken;
}

static ssize_t send_some(struct ch_viewer *viewer, struct ch_frame *frame)
{
    int rc = 0;
    if (!viewer->started && viewer->said) // it had to wait for a key frame
        rc = tell_drop(viewer, frame->picture - viewer->next_picture);
    viewer->started = true;
    viewer->next_picture = frame->picture;
    if (rc < 0)
        return rc;
    if (frame->params != viewer->said) {
        rc = announce(viewer, frame->params);
        if (rc != 0)
            return rc < 0 ? rc : -ESTALE;
    }
    if (viewer->format == CH_VIEW_WS_H264 || viewer->format == CH_VIEW_HTTP_JPEG)
        return send_in_pieces(viewer, frame);
    return send_batch(viewer);
}

static void flush(struct ch_viewer *viewer)
{
    size_t sent = 0;
    int64_t newest_us = newest_arrival(viewer); // the time, for as much as it matters here, without asking for it
    int rc = catch_up(viewer, newest_us);
    if (rc == 0)
        rc = tell_time(viewer, newest_us);
    for (struct ch_frame *frame; rc == 0 && !viewer->blocked && (frame = next_frame(viewer));) {
        ssize_t n = send_some(viewer, frame);
        if (n < 0) {
            rc = (int)n;
            break;
        }
        sent += (size_t)n;
        viewer->bytes_sent += (uint64_t)n;
        if (sent > SEND_PER_WAKEUP && !viewer->blocked)
            wait_for_room(viewer);
    }
    if (rc < 0)
        fail(viewer, rc == -ESTALE ? 0 : rc);
}

// --- holding back ---

static void on_due(uv_timer_t *timer);

static void unhold(struct ch_viewer *viewer)
{
    if (!viewer->held_at)
        return;
    *viewer->held_at = viewer->next_held;
    if (viewer->next_held)
        viewer->next_held->held_at = viewer->held_at;
    viewer->held_at = NULL;
}

static void hold(struct ch_viewer *viewer, int64_t due_us, int64_t now_us)
{
    struct ch_viewer_holds *holds = viewer->holds;
    if (!viewer->held_at) {
        viewer->next_held = holds->held;
        if (holds->held)
            holds->held->held_at = &viewer->next_held;
        viewer->held_at = &holds->held;
        holds->held = viewer;
    }
    if (uv_is_active((uv_handle_t *)&holds->timer) && holds->due_us <= due_us)
        return;
    holds->due_us = due_us;
    uv_update_time(holds->timer.loop);
    uv_timer_start(&holds->timer, on_due, (uint64_t)(due_us - now_us + 999) / 1000, 0);
}

// When what waits is to be sent; 0 if nothing does.
static int64_t due_at(const struct ch_viewer *viewer)
{
    const struct ch_frame *next = ch_cursor_peek(&viewer->cursor);
    return next ? next->arrival_mono_us + viewer->coalesce_us : 0;
}

static void flush_or_hold(struct ch_viewer *viewer)
{
    if (viewer->blocked || viewer->ended)
        return;
    if (viewer->coalesce_us > 0 && viewer->started) {
        int64_t due_us = due_at(viewer), now_us = ch_clock_mono_us();
        if (due_us - HOLD_SLACK_US > now_us) {
            hold(viewer, due_us, now_us);
            return;
        }
    }
    unhold(viewer);
    flush(viewer);
}

static void on_due(uv_timer_t *timer)
{
    struct ch_viewer_holds *holds = timer->data;
    struct ch_viewer *held = holds->held;
    holds->held = NULL; // those that are not due yet hold themselves again
    for (struct ch_viewer *viewer = held, *next; viewer; viewer = next) {
        next = viewer->next_held;
        viewer->held_at = NULL;
        flush_or_hold(viewer);
    }
}

void ch_viewer_holds_init(struct ch_viewer_holds *holds, uv_loop_t *loop)
{
    uv_timer_init(loop, &holds->timer);
    holds->timer.data = holds;
    holds->held = NULL;
    holds->due_us = 0;
}

void ch_viewer_holds_close(struct ch_viewer_holds *holds)
{
    assert(!holds->held);
    uv_close((uv_handle_t *)&holds->timer, NULL);
}

// --- life ---

static void on_wake(struct ch_cursor *cursor)
{
    flush_or_hold(cursor->context);
}

void ch_viewer_start(struct ch_viewer *viewer, struct ch_stream *stream, enum ch_viewer_format format,
                     int64_t coalesce_us, struct ch_viewer_holds *holds, const struct ch_viewer_outlet *outlet,
                     void *owner)
{
    *viewer = (struct ch_viewer){
        .cursor = {.wake = on_wake, .context = viewer, .ahead = owner},
        .outlet = outlet,
        .owner = owner,
        .format = format,
        .coalesce_us = coalesce_us,
        .holds = holds,
    };
    const struct ch_frame *key = ch_stream_newest_key(stream);
    viewer->next_picture = key ? key->picture : 0;
    ch_cursor_attach(&viewer->cursor, stream, ch_stream_live_start(stream));
    flush(viewer);
}

void ch_viewer_room(struct ch_viewer *viewer)
{
    viewer->blocked = false;
    if (!viewer->ended)
        flush(viewer);
}

void ch_viewer_stop(struct ch_viewer *viewer)
{
    unhold(viewer);
    ch_cursor_detach(&viewer->cursor);
    ch_params_unref(viewer->said);
    viewer->said = NULL;
}
