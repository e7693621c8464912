#include "app/live.h"

#include "app/feed.h"
#include "app/snapshot.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ch_viewing {
    struct ch_viewer viewer;
    struct ch_peer *peer;
    struct ch_camera *camera; // NULL: no longer attached
    struct ch_viewing *next, **self;
    uint64_t out_total; // of the connection, when it last took something
    int64_t progress_us;
};

// --- the viewer's outlet: a connection ---

static ssize_t outlet_try_send(void *owner, const struct iovec *iov, size_t count)
{
    return ch_conn_try_send(owner, iov, count);
}

static int outlet_queue(void *owner, const void *data, size_t size, void (*release)(void *), void *context)
{
    return ch_conn_queue(owner, data, size, release, context);
}

static int outlet_send(void *owner, const struct iovec *iov, size_t count)
{
    return ch_conn_send(owner, iov, count, CH_LIMIT_OUT_BYTES);
}

static void outlet_want_room(void *owner)
{
    ch_conn_want_room(owner);
}

static void outlet_failed(void *owner, int error)
{
    struct ch_conn *conn = owner;
    struct ch_peer *peer = conn->owner;
    if (error < 0)
        ch_log(CH_LOG_DEBUG, CH_TAG_CONNECTION, "%s: viewer is gone: %s", conn->peer, strerror(-error));
    peer->closing = true;
    ch_conn_close(conn);
}

static const struct ch_viewer_outlet outlet = {
    .try_send = outlet_try_send,
    .queue = outlet_queue,
    .send = outlet_send,
    .want_room = outlet_want_room,
    .failed = outlet_failed,
};

// --- life ---

static struct ch_viewing *new_viewing(struct ch_peer *peer, struct ch_camera *camera)
{
    struct ch_viewing *viewing = ch_camera_stream(camera) ? calloc(1, sizeof *viewing) : NULL;
    if (!viewing)
        return NULL;
    viewing->peer = peer;
    viewing->camera = camera;
    viewing->next = camera->viewings;
    viewing->self = &camera->viewings;
    if (viewing->next)
        viewing->next->self = &viewing->next;
    camera->viewings = viewing;
    ch_camera_add_viewer(camera);
    viewing->progress_us = ch_clock_mono_us();
    ch_conn_limit_unsent(&peer->conn, CH_LIVE_UNSENT_BYTES);
    return viewing;
}

// The camera's side of it ends; the peer may still have its close frame to send.
static void detach(struct ch_viewing *viewing)
{
    struct ch_camera *camera = viewing->camera;
    if (!camera)
        return;
    ch_viewer_stop(&viewing->viewer);
    *viewing->self = viewing->next;
    if (viewing->next)
        viewing->next->self = viewing->self;
    viewing->camera = NULL;
    ch_camera_remove_viewer(camera);
}

static void start(struct ch_viewing *viewing, enum ch_viewer_format format, int64_t coalesce_us)
{
    ch_viewer_start(&viewing->viewer, viewing->camera->stream, format, coalesce_us, &viewing->camera->hub->holds,
                    &outlet, &viewing->peer->conn);
}

void ch_live_end_all(struct ch_camera *camera, const char *reason)
{
    while (camera->viewings) {
        struct ch_viewing *viewing = camera->viewings;
        bool whole_peer = viewing->peer->role_data == viewing;
        detach(viewing);
        if (whole_peer)
            ch_peer_close(viewing->peer, CH_WS_GOING_AWAY, reason);
    }
}

// --- the peer's calls ---

static void on_gone(struct ch_peer *peer)
{
    ch_viewing_end(peer->role_data);
}

static void on_drained(struct ch_peer *peer)
{
    ch_viewing_room(peer->role_data);
}

// A viewer that takes nothing of what is there will not come back.
static void on_housekeep(struct ch_peer *peer, int64_t now_us)
{
    struct ch_viewing *viewing = peer->role_data;
    if (peer->conn.out_total != viewing->out_total || !viewing->viewer.blocked) {
        viewing->out_total = peer->conn.out_total;
        viewing->progress_us = now_us;
        return;
    }
    if (now_us - viewing->progress_us <= CH_LIMIT_VIEWER_STUCK_US || !viewing->camera)
        return;
    ch_log_warning("%s: viewer of %s takes nothing any more; closed", peer->conn.peer, viewing->camera->name);
    peer->closing = true;
    ch_conn_close(&peer->conn);
}

static const struct ch_peer_role role = {.gone = on_gone, .drained = on_drained, .housekeep = on_housekeep};

void ch_viewing_room(struct ch_viewing *viewing)
{
    if (viewing->camera)
        ch_viewer_room(&viewing->viewer);
}

void ch_viewing_end(struct ch_viewing *viewing)
{
    detach(viewing);
    free(viewing);
}

struct ch_camera *ch_viewing_camera(const struct ch_viewing *viewing)
{
    return viewing->camera;
}

struct ch_viewing *ch_live_attach(struct ch_peer *peer, struct ch_camera *camera)
{
    struct ch_viewing *viewing = camera->kind == CH_CAMERA_JPEG ? new_viewing(peer, camera) : NULL;
    if (viewing)
        start(viewing, CH_VIEW_WS_JPEG_BARE, 0);
    return viewing;
}

// --- the query ---

// The value of a parameter; false if it is absent. Its text is taken as it is: no value here needs escapes.
static bool query_value(const struct ch_http_request *request, const char *name, char *out, size_t capacity)
{
    const char *at = request->query.data, *end = at + request->query.size;
    size_t name_bytes = strlen(name);
    while (at && at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        size_t size = (size_t)((stop ? stop : end) - at);
        if (size > name_bytes && memcmp(at, name, name_bytes) == 0 && at[name_bytes] == '=') {
            size_t bytes = size - name_bytes - 1;
            if (bytes >= capacity) // longer than any that is right
                bytes = 0;
            memcpy(out, at + name_bytes + 1, bytes);
            out[bytes] = '\0';
            return true;
        }
        at = stop ? stop + 1 : end;
    }
    return false;
}

static int coalesce_of(const struct ch_http_request *request, int64_t *coalesce_us)
{
    char value[16];
    int64_t ms = 0;
    if (query_value(request, "coalesce", value, sizeof value) &&
        ch_parse_int(value, 0, CH_LIMIT_COALESCE_US / 1000, &ms) < 0)
        return -EINVAL;
    *coalesce_us = ms * 1000;
    return 0;
}

#define BAD_COALESCE "coalesce: 0 to 1000 milliseconds are allowed"

// --- WebSocket ---

static uint8_t *no_room(struct ch_ws *ws, uint8_t opcode, size_t have, size_t add, bool last)
{
    (void)opcode, (void)have, (void)add, (void)last;
    ch_ws_close(ws, CH_WS_UNSUPPORTED, "A viewer sends nothing");
    return ws->control; // not used: what comes is thrown away
}

static void no_message(struct ch_ws *ws, uint8_t opcode, size_t size)
{
    (void)ws, (void)opcode, (void)size;
}

static void on_closing(struct ch_ws *ws)
{
    struct ch_peer *peer = ws->owner;
    detach(peer->role_data);
}

static const struct ch_ws_ops ws_ops = {.room = no_room, .message = no_message, .closing = on_closing};

// 0, or -EINVAL with the reason.
static int ws_format(const struct ch_http_request *request, enum ch_camera_kind kind, enum ch_viewer_format *format,
                     const char **reason)
{
    char name[16] = "mp4";
    query_value(request, "format", name, sizeof name);
    bool jpeg = kind == CH_CAMERA_JPEG;
    *reason = jpeg ? "This camera sends JPEG: format=mjpeg" : "This camera sends H.264: no format, flv or h264";
    if (strcmp(name, "mp4") == 0)
        *format = CH_VIEW_WS_MP4;
    else if (strcmp(name, "flv") == 0)
        *format = CH_VIEW_WS_FLV;
    else if (strcmp(name, "h264") == 0)
        *format = CH_VIEW_WS_H264;
    else if (strcmp(name, "mjpeg") == 0)
        *format = CH_VIEW_WS_JPEG;
    else {
        *reason = "Unknown format: mp4, flv, h264 and mjpeg are there";
        return -EINVAL;
    }
    return (*format == CH_VIEW_WS_JPEG) == jpeg ? 0 : -EINVAL;
}

static const char *open_as(struct ch_peer *peer, const struct ch_http_request *request, struct ch_camera *camera,
                           enum ch_viewer_format format)
{
    int64_t coalesce_us;
    if (coalesce_of(request, &coalesce_us) < 0)
        return BAD_COALESCE;
    struct ch_viewing *viewing = new_viewing(peer, camera);
    if (!viewing)
        return "Out of memory";
    ch_peer_become(peer, &role, viewing, &ws_ops);
    start(viewing, format, coalesce_us);
    return NULL;
}

const char *ch_live_open(struct ch_peer *peer, const struct ch_http_request *request, const char *name)
{
    enum ch_viewer_format format;
    const char *reason;
    struct ch_camera *camera = ch_name_valid(name) ? ch_camera_find(peer->hub, name) : NULL;
    if (!camera)
        return "Unknown camera";
    if (ws_format(request, camera->kind, &format, &reason) < 0)
        return reason;
    return open_as(peer, request, camera, format);
}

const char *ch_live_open_flv(struct ch_peer *peer, const struct ch_http_request *request, struct ch_camera *camera)
{
    return open_as(peer, request, camera, CH_VIEW_WS_FLV);
}

// --- HTTP ---

#define NO_STORE "Cache-Control: no-store\r\n"

struct endless {
    const char *extension, *type, *extra;
    enum ch_camera_kind kind;
    enum ch_viewer_format format;
};

static const struct endless endless[] = {
    {".flv", "video/x-flv", NO_STORE, CH_CAMERA_H264, CH_VIEW_HTTP_FLV},
    {".mp4", "video/mp4", NO_STORE, CH_CAMERA_H264, CH_VIEW_HTTP_MP4},
    {".mjpg", "multipart/x-mixed-replace; boundary=" CH_VIEW_BOUNDARY, NO_STORE, CH_CAMERA_JPEG, CH_VIEW_HTTP_JPEG},
};

static void answer_endless(struct ch_peer *peer, const struct ch_http_request *request, struct ch_camera *camera,
                           const struct endless *what)
{
    int64_t coalesce_us;
    if (camera->kind != what->kind) {
        ch_peer_reply_error(peer, 404, "format",
                            camera->kind == CH_CAMERA_JPEG ? "this camera sends JPEG: .mjpg and .jpg are there"
                                                           : "this camera sends H.264: .mp4, .flv and .jpg are there");
        return;
    }
    if (coalesce_of(request, &coalesce_us) < 0) {
        ch_peer_reply_error(peer, 400, "bad_value", BAD_COALESCE);
        return;
    }
    peer->keep_alive = false;
    if (peer->head_only) {
        ch_peer_reply_head(peer, 200, what->type, what->extra, UINT64_MAX);
        ch_peer_reply_done(peer, true);
        return;
    }
    struct ch_viewing *viewing = new_viewing(peer, camera);
    if (!viewing || ch_peer_reply_head(peer, 200, what->type, what->extra, UINT64_MAX) < 0) {
        if (viewing)
            ch_viewing_end(viewing);
        ch_peer_close(peer, 0, "");
        return;
    }
    ch_peer_reply_later(peer, CH_PEER_STREAM, &role, viewing);
    start(viewing, what->format, coalesce_us);
}

// Splits NAME.EXTENSION at the last dot, as names may have dots themselves.
static struct ch_camera *camera_of(struct ch_hub *hub, const char *file, const char **extension)
{
    char name[CH_NAME_MAX + 1];
    const char *dot = strrchr(file, '.');
    *extension = dot ? dot : "";
    size_t size = dot ? (size_t)(dot - file) : 0;
    if (size == 0 || size > CH_NAME_MAX)
        return NULL;
    memcpy(name, file, size);
    name[size] = '\0';
    return ch_camera_find(hub, name);
}

void ch_live_request(struct ch_peer *peer, const struct ch_http_request *request, const char *file)
{
    const char *extension;
    struct ch_camera *camera = camera_of(peer->hub, file, &extension);
    if (!camera) {
        ch_peer_reply_error(peer, 404, "unknown_camera", "there is no camera of this name");
        return;
    }
    if (strcmp(extension, ".jpg") == 0) {
        struct ch_feed *feed = ch_feed_of(camera);
        if (feed)
            ch_feed_touch(feed);
        ch_snapshot_request(peer, camera);
        return;
    }
    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++)
        if (strcmp(extension, endless[i].extension) == 0) {
            answer_endless(peer, request, camera, &endless[i]);
            return;
        }
    ch_peer_reply_error(peer, 404, "format", "a camera's pictures are at .mp4, .flv, .mjpg and .jpg");
}

void ch_live_request_flv(struct ch_peer *peer, const struct ch_http_request *request, struct ch_camera *camera)
{
    static const struct endless flv = {".flv", "video/x-flv",
                                       "Cache-Control: no-cache\r\nAccess-Control-Allow-Origin: *\r\n", CH_CAMERA_H264,
                                       CH_VIEW_HTTP_FLV};
    answer_endless(peer, request, camera, &flv);
}
