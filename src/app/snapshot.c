#include "app/snapshot.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"
#include "codec/jpeg.h"
#include "source/child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_STORE "Cache-Control: no-store\r\n"

// A request that waits for a picture.
struct waiting {
    struct ch_peer *peer;
    struct waiting *next, **self;
};

struct ch_snapshot {
    struct ch_hub *hub;
    struct ch_camera *camera; // NULL: forgotten; freed when the child has ended
    struct waiting *waiting;
    uint8_t *jpeg; // the newest one made
    size_t jpeg_bytes;
    uint64_t jpeg_of; // number of its key frame, and its arrival: numbers begin anew with another stream
    int64_t jpeg_of_us;
    // A run
    struct ch_child *child;
    struct ch_frame *frame;
    uint8_t *made;
    size_t made_bytes;
};

static void start_run(struct ch_snapshot *snapshot);

// --- requests that wait ---

static void take_out(struct waiting *waiting)
{
    *waiting->self = waiting->next;
    if (waiting->next)
        waiting->next->self = waiting->self;
    free(waiting);
}

static void on_gone(struct ch_peer *peer)
{
    take_out(peer->role_data);
}

static const struct ch_peer_role role = {.gone = on_gone};

static void answer_all(struct ch_snapshot *snapshot, int status, const char *code, const char *message)
{
    while (snapshot->waiting) {
        struct ch_peer *peer = snapshot->waiting->peer;
        take_out(snapshot->waiting);
        if (status == 200)
            ch_peer_reply(peer, 200, "image/jpeg", NO_STORE, snapshot->jpeg, snapshot->jpeg_bytes);
        else
            ch_peer_reply_error(peer, status, code, message);
    }
}

static void wait_for_it(struct ch_snapshot *snapshot, struct ch_peer *peer)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);
    if (!waiting) {
        ch_peer_close(peer, 0, "");
        return;
    }
    waiting->peer = peer;
    waiting->next = snapshot->waiting;
    waiting->self = &snapshot->waiting;
    if (waiting->next)
        waiting->next->self = &waiting->next;
    snapshot->waiting = waiting;
    ch_peer_reply_later(peer, CH_PEER_REPLYING, &role, waiting);
}

// --- a run of ffmpeg ---

static void free_snapshot(struct ch_snapshot *snapshot)
{
    free(snapshot->jpeg);
    free(snapshot);
}

static void start_others(struct ch_hub *hub)
{
    for (struct ch_camera *camera = hub->cameras; camera; camera = camera->next)
        if (camera->snapshot && camera->snapshot->waiting && !camera->snapshot->child)
            start_run(camera->snapshot);
}

static void on_child_closed(struct ch_child *child)
{
    struct ch_snapshot *snapshot = child->context;
    struct ch_hub *hub = snapshot->hub;
    free(child);
    snapshot->child = NULL;
    hub->snapshots--;
    hub->works--;
    if (!snapshot->camera)
        free_snapshot(snapshot);
    start_others(hub);
    ch_hub_check_stopped(hub);
}

static void end_run(struct ch_snapshot *snapshot)
{
    free(snapshot->made);
    snapshot->made = NULL;
    ch_frame_unref(snapshot->frame);
    snapshot->frame = NULL;
    ch_child_close(snapshot->child, on_child_closed);
}

static void on_output(void *context, const uint8_t *data, size_t size)
{
    struct ch_snapshot *snapshot = context;
    if (snapshot->made_bytes + size > CH_LIMIT_SNAPSHOT_BYTES) {
        ch_child_stop(snapshot->child);
        return;
    }
    uint8_t *made = realloc(snapshot->made, snapshot->made_bytes + size);
    if (!made) {
        ch_child_stop(snapshot->child);
        return;
    }
    memcpy(made + snapshot->made_bytes, data, size);
    snapshot->made = made;
    snapshot->made_bytes += size;
}

static void on_exited(void *context, const struct ch_child_exit *how)
{
    struct ch_snapshot *snapshot = context;
    bool well = how->status == 0 && how->signal == 0 && !how->stopped && !how->timed_out;
    struct ch_jpeg jpeg;
    if (well && ch_jpeg_parse(snapshot->made, snapshot->made_bytes, &jpeg) == 0) {
        free(snapshot->jpeg);
        snapshot->jpeg = snapshot->made;
        snapshot->jpeg_bytes = snapshot->made_bytes;
        snapshot->jpeg_of = snapshot->frame->number;
        snapshot->jpeg_of_us = snapshot->frame->arrival_mono_us;
        snapshot->made = NULL;
        answer_all(snapshot, 200, NULL, NULL);
    } else {
        char error[256] = "it ended without a picture", message[400];
        ch_child_last_error(snapshot->child, error, sizeof error);
        snprintf(message, sizeof message, "%s could not decode the picture: %s", snapshot->hub->options.ffmpeg, error);
        ch_log_warning("%s: %s", snapshot->camera ? snapshot->camera->name : "a camera that is gone", message);
        answer_all(snapshot, 502, "ffmpeg", message);
    }
    end_run(snapshot);
}

static const struct ch_child_events events = {.output = on_output, .exited = on_exited};

static int feed_nal(struct ch_child *child, const uint8_t *nal, size_t size)
{
    static const uint8_t start_code[4] = {0, 0, 0, 1};
    int rc = ch_child_write(child, start_code, sizeof start_code);
    return rc < 0 ? rc : ch_child_write(child, nal, size);
}

// The configuration and the sample, which has all that the picture needs beyond it, as Annex B.
static int feed(struct ch_child *child, const struct ch_frame *frame)
{
    struct ch_params_at at = {0};
    const uint8_t *set;
    size_t size;
    int rc = 0;
    while (rc == 0 && ch_params_next_set(frame->params, &at, &set, &size))
        rc = feed_nal(child, set, size);
    for (const uint8_t *nal = frame->sample, *end = nal + frame->sample_bytes; rc == 0 && nal < end; nal += 4 + size) {
        size = ch_get_be32(nal);
        rc = feed_nal(child, nal + 4, size);
    }
    ch_child_end_input(child);
    return rc;
}

static int run(struct ch_snapshot *snapshot)
{
    // clang-format off
    const char *argv[] = {snapshot->hub->options.ffmpeg, "-nostdin", "-v", "error", "-threads", "1",
                          "-flags", "unaligned", // exactly what the camera crops
                          "-f", "h264", "-i", "pipe:0", "-frames:v", "1", "-q:v", "3", "-f", "image2", "-c:v", "mjpeg",
                          "-update", "1", "pipe:1", NULL};
    // clang-format on
    struct ch_child_options options = {
        .argv = argv,
        .helper = CH_CHILD_HELPER,
        .time_limit_us = CH_LIMIT_SNAPSHOT_US,
        .nice = CH_CHILD_NICE,
        .address_space_bytes = UINT64_C(4) << 30,
        .open_files = 256,
        .feed = true,
    };
    int rc = ch_child_start(snapshot->child, &options);
    return rc < 0 ? rc : feed(snapshot->child, snapshot->frame);
}

static void start_run(struct ch_snapshot *snapshot)
{
    struct ch_hub *hub = snapshot->hub;
    struct ch_frame *key = snapshot->camera->stream ? ch_stream_newest_key(snapshot->camera->stream) : NULL;
    if (!key) {
        answer_all(snapshot, 503, "no_picture", "this camera has sent no picture yet");
        return;
    }
    if (hub->snapshots == CH_LIMIT_SNAPSHOT_CHILDREN)
        return; // when one ends
    struct ch_child *child = calloc(1, sizeof *child);
    if (!child || ch_child_init(child, hub->loop, &events, snapshot) < 0) {
        free(child);
        answer_all(snapshot, 500, "internal", "out of memory");
        return;
    }
    snapshot->child = child;
    snapshot->frame = ch_frame_ref(key);
    snapshot->made_bytes = 0;
    hub->snapshots++;
    hub->works++;
    int rc = run(snapshot);
    if (rc < 0 && !ch_child_running(child)) {
        answer_all(snapshot, 502, "ffmpeg", strerror(-rc));
        end_run(snapshot);
    }
}

// --- for others ---

static void answer_jpeg(struct ch_peer *peer, const struct ch_camera *camera)
{
    const struct ch_frame *frame = camera->stream ? ch_stream_newest_key(camera->stream) : NULL;
    if (frame)
        ch_peer_reply(peer, 200, "image/jpeg", NO_STORE, frame->sample, frame->sample_bytes);
    else
        ch_peer_reply_error(peer, 503, "no_picture", "this camera has sent no picture yet");
}

void ch_snapshot_request(struct ch_peer *peer, struct ch_camera *camera)
{
    if (camera->kind == CH_CAMERA_JPEG) {
        answer_jpeg(peer, camera);
        return;
    }
    const struct ch_frame *key = camera->stream ? ch_stream_newest_key(camera->stream) : NULL;
    struct ch_snapshot *snapshot = camera->snapshot;
    if (snapshot && snapshot->jpeg && key && snapshot->jpeg_of == key->number &&
        snapshot->jpeg_of_us == key->arrival_mono_us) {
        ch_peer_reply(peer, 200, "image/jpeg", NO_STORE, snapshot->jpeg, snapshot->jpeg_bytes);
        return;
    }
    if (!snapshot)
        snapshot = camera->snapshot = calloc(1, sizeof *snapshot);
    if (!snapshot) {
        ch_peer_reply_error(peer, 500, "internal", "out of memory");
        return;
    }
    snapshot->hub = camera->hub;
    snapshot->camera = camera;
    wait_for_it(snapshot, peer);
    if (!snapshot->child)
        start_run(snapshot);
}

void ch_snapshot_forget(struct ch_camera *camera)
{
    struct ch_snapshot *snapshot = camera->snapshot;
    camera->snapshot = NULL;
    if (!snapshot)
        return;
    answer_all(snapshot, 404, "unknown_camera", "the camera is gone");
    snapshot->camera = NULL;
    if (snapshot->child)
        ch_child_stop(snapshot->child); // freed when it has ended
    else
        free_snapshot(snapshot);
}
