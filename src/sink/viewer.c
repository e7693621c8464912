#include "sink/viewer.h"

#include "base/clock.h"
#include "base/limits.h"
#include "proto/ws.h"
#include "sink/viewer_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_FRAMES 64
#define BATCH_BYTES (512u << 10)
#define SEND_PER_WAKEUP (2u << 20) // then the others have their turn
#define TEXT_BYTES 512
#define TOLD_EVERY_US INT64_C(2000000)
#define TOLD_TOLERANCE_US 5000
#define HOLD_SLACK_US 3000 // a frame that comes so shortly before the time is over ends it

static bool is_ws(const struct ch_viewer *viewer)
{
    return viewer->format <= CH_VIEW_WS_FLV;
}

static bool is_flv(const struct ch_viewer *viewer)
{
    return viewer->format == CH_VIEW_WS_FLV || viewer->format == CH_VIEW_HTTP_FLV;
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

// --- what the outlet took in part ---

static void release_frame(void *frame)
{
    ch_frame_unref(frame);
}

// The rest of one message of a frame: its bytes by reference, those of `scratch` by copy.
static int queue_rest(struct ch_viewer *viewer, struct ch_frame *frame, const struct ch_viewer_message *message,
                      size_t skip)
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
    viewer->next_picture = frame->picture + (frame->flags & CH_FRAME_PICTURE ? 1 : 0);
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

#define MIME_BYTES 96
#define AUDIO_BYTES 96

static void mime_of(const struct ch_viewer *viewer, const struct ch_params *params, char out[MIME_BYTES])
{
    bool audio = params->audio.rate > 0;
    if (viewer->format == CH_VIEW_WS_MP4)
        snprintf(out, MIME_BYTES, "video/mp4; codecs=\\\"%s%s%s\\\"", params->codec, audio ? "," : "",
                 audio ? params->audio.codec : "");
    else
        snprintf(out, MIME_BYTES, "%s", viewer->format == CH_VIEW_WS_H264 ? "video/h264" : "image/jpeg");
}

static void audio_of(const struct ch_viewer *viewer, const struct ch_params *params, char out[AUDIO_BYTES])
{
    const struct ch_aac_config *audio = &params->audio;
    if (viewer->format == CH_VIEW_WS_MP4 && audio->rate > 0)
        snprintf(out, AUDIO_BYTES, "{\"codec\":\"%s\",\"rate\":%" PRIu32 ",\"channels\":%" PRIu32 "}", audio->codec,
                 audio->rate, audio->channels);
    else
        snprintf(out, AUDIO_BYTES, "null");
}

static int tell_stream(struct ch_viewer *viewer, const struct ch_params *params)
{
    char text[TEXT_BYTES], mime[MIME_BYTES], audio[AUDIO_BYTES];
    int64_t ticks, unix_us;
    mime_of(viewer, params, mime);
    audio_of(viewer, params, audio);
    ch_stream_clock(viewer->cursor.stream, &ticks, &unix_us);
    note_told(viewer, newest_arrival(viewer));
    int size = snprintf(text, sizeof text,
                        "{\"type\":\"stream\",\"mime\":\"%s\",\"width\":%" PRIu32 ",\"height\":%" PRIu32
                        ",\"timescale\":%u,\"audio\":%s,\"time\":{\"ticks\":%" PRId64 ",\"unix_us\":%" PRId64 "}}",
                        mime, params->width, params->height, CH_MP4_TIMESCALE, audio, ticks, unix_us);
    return send_ws(viewer, CH_WS_TEXT, text, (size_t)size);
}

// What comes in front of a key frame whose parameters are new. `first`: the viewer has had none.
static int send_start(struct ch_viewer *viewer, const struct ch_frame *key, bool first)
{
    size_t bytes;
    uint8_t *start =
        is_flv(viewer) ? ch_viewer_make_flv_start(key, first, &bytes) : ch_viewer_make_init(key->params, &bytes);
    if (!start)
        return -ENOMEM;
    struct iovec iov = {.iov_base = start, .iov_len = bytes};
    int rc = is_ws(viewer) ? send_ws(viewer, CH_WS_BINARY, start, bytes) : viewer->outlet->send(viewer->owner, &iov, 1);
    free(start);
    return rc;
}

static bool has_start(const struct ch_viewer *viewer)
{
    return viewer->format == CH_VIEW_WS_MP4 || viewer->format == CH_VIEW_HTTP_MP4 || is_flv(viewer);
}

// Before the first frame of new parameters, a key frame; those of a camera that came back may well be the old ones.
// 0, a negative errno, or 1: this viewer's format cannot change them.
static int announce(struct ch_viewer *viewer, const struct ch_frame *key)
{
    bool first = !viewer->said, known = !first && ch_params_same(viewer->said, key->params);
    if (viewer->format == CH_VIEW_HTTP_MP4 && !first && !known)
        return 1;
    ch_params_unref(viewer->said);
    viewer->said = ch_params_ref(key->params);
    if (known)
        return 0;
    int rc = has_texts(viewer) ? tell_stream(viewer, key->params) : 0;
    if (rc == 0 && has_start(viewer))
        rc = send_start(viewer, key, first);
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

// Sound belongs to the pictures that were announced.
static bool is_wanted(const struct ch_viewer *viewer, const struct ch_frame *frame)
{
    if (!frame->sample)
        return false;
    if (frame->flags & CH_FRAME_AUDIO)
        return viewer->started && frame->params == viewer->said && viewer->format != CH_VIEW_WS_H264;
    return viewer->started || (frame->flags & CH_FRAME_KEY);
}

// A picture that its format cannot hold: nothing before the next key frame can be shown.
static void lose(struct ch_viewer *viewer, const struct ch_frame *frame)
{
    if (!viewer->counts)
        viewer->next_picture = frame->picture;
    viewer->counts = true;
    viewer->started = false;
}

// The next frame that is something for this viewer, or NULL.
static struct ch_frame *next_frame(struct ch_viewer *viewer)
{
    for (struct ch_frame *frame; (frame = ch_cursor_peek(&viewer->cursor)); viewer->cursor.next = frame->number + 1) {
        if (!is_wanted(viewer, frame))
            continue;
        if (!is_flv(viewer) || frame->sample_bytes <= CH_VIEWER_FLV_SAMPLE_MAX)
            return frame;
        lose(viewer, frame);
    }
    return NULL;
}

// --- sending ---

#define BATCH_PIECES (BATCH_FRAMES * CH_VIEWER_FLV_PIECES)

static size_t total_bytes(const struct iovec *iov, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    return bytes;
}

// Frames from the cursor on that go out in one write, all of the parameters that were announced; each in so many pieces.
static size_t collect(struct ch_viewer *viewer, size_t pieces, struct ch_frame *frames[BATCH_FRAMES],
                      struct iovec iov[BATCH_PIECES])
{
    const bool flv = is_flv(viewer), ws = is_ws(viewer);
    size_t count = 0, bytes = 0;
    struct ch_frame *frame;
    for (size_t ahead = 0;
         count < BATCH_FRAMES && bytes < BATCH_BYTES && (frame = ch_cursor_peek_ahead(&viewer->cursor, ahead));
         ahead++) {
        struct iovec *at = iov + count * pieces;
        if (!frame->sample)
            continue;
        if (frame->params != viewer->said || (flv && frame->sample_bytes > CH_VIEWER_FLV_SAMPLE_MAX))
            break;
        if (flv)
            ch_viewer_in_flv_pieces(frame, ws, at);
        else
            *at = ch_viewer_in_one_piece(frame, ws);
        frames[count++] = frame;
        bytes += frame->sample_bytes;
    }
    return count;
}

// Bytes sent, 0 if there is no room now, or a negative errno.
static ssize_t send_batch(struct ch_viewer *viewer)
{
    struct ch_frame *frames[BATCH_FRAMES];
    struct iovec iov[BATCH_PIECES];
    size_t pieces = is_flv(viewer) ? CH_VIEWER_FLV_PIECES : 1; // of each frame
    size_t count = collect(viewer, pieces, frames, iov);
    ssize_t taken = viewer->outlet->try_send(viewer->owner, iov, count * pieces);
    if (taken < 0)
        return taken;
    size_t left = (size_t)taken, i = 0;
    for (size_t bytes; i < count && left >= (bytes = total_bytes(iov + i * pieces, pieces)); i++) {
        left -= bytes;
        frame_gone_out(viewer, frames[i]);
    }
    if (i == count)
        return taken;
    if (left > 0) {
        struct ch_viewer_message message = {.count = pieces, .iov = iov + i * pieces};
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
    struct ch_viewer_message message;
    int rc = 0;
    if (viewer->format == CH_VIEW_WS_H264)
        rc = ch_viewer_make_annexb(frame, &message);
    else
        ch_viewer_make_part(frame, &message);
    if (rc < 0)
        return rc;
    size_t total = total_bytes(message.iov, message.count);
    ssize_t taken = viewer->outlet->try_send(viewer->owner, message.iov, message.count);
    if (taken > 0)
        frame_gone_out(viewer, frame);
    if (taken >= 0 && (size_t)taken < total) {
        rc = taken > 0 ? queue_rest(viewer, frame, &message, (size_t)taken) : 0;
        wait_for_room(viewer);
    }
    ch_viewer_free_message(&message);
    return rc < 0 ? rc : taken;
}

static ssize_t send_some(struct ch_viewer *viewer, struct ch_frame *frame)
{
    int rc = 0;
    if (!viewer->started && viewer->counts) // it had to wait for a key frame
        rc = tell_drop(viewer, frame->picture - viewer->next_picture);
    viewer->started = viewer->counts = true;
    viewer->next_picture = frame->picture;
    if (rc < 0)
        return rc;
    if (frame->params != viewer->said) {
        rc = announce(viewer, frame);
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
