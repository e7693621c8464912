#include "app/peer.h"

#include "app/camera.h"
#include "app/download.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVER_NAME "camhub"
#define REPLY_HEAD_BYTES 1024

// --- replies ---

int ch_peer_reply_head(struct ch_peer *peer, int status, const char *type, const char *extra, uint64_t size)
{
    char head[REPLY_HEAD_BYTES], date[CH_HTTP_DATE_BYTES], content[160] = "";
    ch_http_date((time_t)(ch_clock_wall_us() / CH_US_PER_S), date);
    if (type)
        snprintf(content, sizeof content, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n", type);
    int used = snprintf(head, sizeof head,
                        "HTTP/1.1 %d %s\r\nServer: " SERVER_NAME "\r\nDate: %s\r\n%sContent-Length: %llu\r\n%s%s\r\n",
                        status, ch_http_reason(status), date, content, (unsigned long long)size, extra,
                        peer->keep_alive ? "" : "Connection: close\r\n");
    if (used < 0 || (size_t)used >= sizeof head)
        return -ENOBUFS;
    struct iovec iov = {.iov_base = head, .iov_len = (size_t)used};
    return ch_conn_send(&peer->conn, &iov, 1, CH_LIMIT_OUT_BYTES);
}

static void enter(struct ch_peer *peer, enum ch_peer_state state)
{
    peer->state = state;
    peer->since_us = ch_clock_mono_us();
}

// Everything is said. The peer is given time to read it: closing at once, with unread input, would reset
// the connection and could take the reply away.
static void linger(struct ch_peer *peer)
{
    enter(peer, CH_PEER_LINGERING);
    ch_conn_read(&peer->conn, true);
    if (peer->conn.out_bytes == 0)
        ch_conn_shutdown(&peer->conn);
}

static void after_reply(struct ch_peer *peer)
{
    if (!peer->keep_alive) {
        linger(peer);
        return;
    }
    enter(peer, CH_PEER_HTTP);
}

void ch_peer_reply(struct ch_peer *peer, int status, const char *type, const char *extra, const void *body, size_t size)
{
    int rc = ch_peer_reply_head(peer, status, type, extra, size);
    if (rc == 0 && size > 0 && !peer->head_only) {
        union {
            const void *in;
            void *out;
        } cast = {.in = body};
        struct iovec iov = {.iov_base = cast.out, .iov_len = size};
        rc = ch_conn_send(&peer->conn, &iov, 1, CH_LIMIT_OUT_BYTES);
    }
    if (rc < 0)
        ch_peer_close(peer, CH_WS_INTERNAL, "");
    else
        after_reply(peer);
}

void ch_peer_reply_error(struct ch_peer *peer, int status, const char *code, const char *message)
{
    json_t *json = json_pack("{s:{s:s,s:s}}", "error", "code", code, "message", message);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    const char *extra = status == 405 ? "Allow: GET, HEAD\r\n" : "";
    ch_peer_reply(peer, status, "application/json", extra, text, text ? strlen(text) : 0);
    free(text);
    json_decref(json);
}

// --- WebSocket ---

// A page of another site must not speak to the hub with its visitor's network position. Programs that are no
// browser send no Origin.
static bool origin_allowed(const struct ch_http_request *request)
{
    struct ch_span origin = ch_http_field(request, "Origin"), host = ch_http_field(request, "Host");
    if (!origin.data)
        return true;
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);
        if (origin.size > size && strncasecmp(origin.data, schemes[i], size) == 0 && host.data &&
            origin.size - size == host.size && strncasecmp(origin.data + size, host.data, host.size) == 0)
            return true;
    }
    return false;
}

static uint8_t *no_room(struct ch_ws *ws, uint8_t opcode, size_t have, size_t add, bool last)
{
    (void)opcode, (void)last;
    // Of a peer that is nothing in particular, only short text lines are looked at.
    struct ch_peer *peer = ws->owner;
    if (have + add > CH_HTTP_MAX_HEAD)
        return NULL;
    char *text = realloc(peer->head, have + add + 1);
    if (!text)
        return NULL;
    peer->head = text;
    return (uint8_t *)text;
}

static void log_message(struct ch_ws *ws, uint8_t opcode, size_t size)
{
    struct ch_peer *peer = ws->owner;
    if (opcode == CH_WS_TEXT)
        ch_log_info("%s: %.*s", peer->conn.peer, (int)(size < 300 ? size : 300), peer->head);
}

// The oldest demo client: what it sends is logged, nothing else.
static const struct ch_ws_ops plain_ops = {.room = no_room, .message = log_message};

#define CAMERA_PATH "/android-cam"

// Decides what the WebSocket is. NULL, or the reason to close it with 1008.
static const char *route_websocket(struct ch_peer *peer, const char *path)
{
    size_t prefix = strlen(CAMERA_PATH);
    if (strcmp(path, "/") == 0) {
        ch_log(CH_LOG_INFO, CH_TAG_CONNECTION, "%s: demo client", peer->conn.peer);
        return NULL;
    }
    if (strcmp(path, CAMERA_PATH) == 0)
        return ch_camera_open(peer, NULL) < 0 ? "Out of memory" : NULL;
    if (strncmp(path, CAMERA_PATH "/", prefix + 1) == 0) {
        const char *name = path + prefix + 1;
        if (!ch_name_valid(name))
            return "Bad name: 1 to 64 of A-Z a-z 0-9 . _ - are allowed";
        return ch_camera_open(peer, name) < 0 ? "Out of memory" : NULL;
    }
    return "Unknown endpoint";
}

static void upgrade(struct ch_peer *peer, const struct ch_http_request *request, const char *path)
{
    struct ch_span key = ch_http_field(request, "Sec-WebSocket-Key");
    struct ch_span version = ch_http_field(request, "Sec-WebSocket-Version");
    peer->keep_alive = false;
    if (!origin_allowed(request)) {
        struct ch_span origin = ch_http_field(request, "Origin");
        ch_log_warning("%s: WebSocket refused: opened by a page of another site (%.*s)", peer->conn.peer,
                       (int)(origin.size < 200 ? origin.size : 200), origin.data);
        ch_peer_reply_error(peer, 403, "origin", "this WebSocket was opened by a page of another site");
        return;
    }
    if (!ch_span_equal(version, "13")) {
        ch_peer_reply(peer, 426, NULL, "Sec-WebSocket-Version: 13\r\n", NULL, 0);
        return;
    }
    if (request->method != CH_HTTP_GET || !key.data || !ch_ws_key_valid(key.data, key.size)) {
        ch_peer_reply_error(peer, 400, "handshake", "no valid WebSocket handshake");
        return;
    }
    char accept[CH_WS_ACCEPT_BYTES], reply[256];
    ch_ws_accept_key(key.data, key.size, accept);
    int size = snprintf(reply, sizeof reply,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
    struct iovec iov = {.iov_base = reply, .iov_len = (size_t)size};
    if (ch_conn_send(&peer->conn, &iov, 1, CH_LIMIT_OUT_BYTES) < 0) {
        ch_peer_close(peer, 0, "");
        return;
    }
    enter(peer, CH_PEER_WS);
    ch_ws_init(&peer->ws, &peer->conn, &plain_ops, peer, peer->hub->options.max_message_bytes);
    const char *refusal = route_websocket(peer, path);
    if (refusal) {
        ch_log_warning("%s: %s: %s", peer->conn.peer, path, refusal);
        ch_ws_close(&peer->ws, CH_WS_POLICY, refusal);
    }
}

// --- requests ---

#define RECORDINGS "/recordings/"

static void answer(struct ch_peer *peer, const struct ch_http_request *request, const char *path)
{
    bool get = request->method == CH_HTTP_GET || request->method == CH_HTTP_HEAD;
    bool known = strcmp(path, "/healthz") == 0 || strncmp(path, RECORDINGS, strlen(RECORDINGS)) == 0;
    if (request->content_length > 0 || request->chunked)
        peer->keep_alive = false; // nothing here takes a body; what comes of it is thrown away
    if (!known)
        ch_peer_reply_error(peer, 404, "not_found", "there is nothing at this path");
    else if (!get)
        ch_peer_reply_error(peer, 405, "method", "only GET and HEAD are allowed here");
    else if (path[1] == 'h')
        ch_peer_reply(peer, 200, "text/plain", "Cache-Control: no-store\r\n", "ok\n", 3);
    else
        ch_download_start(peer, request, path + strlen(RECORDINGS));
}

static void bad_request(struct ch_peer *peer, int status)
{
    static const char *const what = "the request could not be understood";
    peer->keep_alive = false;
    ch_peer_reply_error(peer, status, "bad_request",
                        status == 431 || status == 414 ? "the request head is too large" : what);
}

// Takes one request off the buffered bytes, if a whole one is there. False if not, or if the peer is busy.
static bool take_request(struct ch_peer *peer)
{
    if (peer->state != CH_PEER_HTTP || peer->closing || peer->head_bytes == 0)
        return false;
    struct ch_http_request *request = malloc(sizeof *request);
    if (!request) {
        ch_peer_close(peer, 0, "");
        return false;
    }
    int used = ch_http_parse(peer->head, peer->head_bytes, request);
    if (used <= 0) {
        free(request);
        if (used < 0)
            bad_request(peer, -used);
        return false;
    }
    char path[1024];
    char *buffer = peer->head;
    size_t rest = peer->head_bytes - (size_t)used;
    peer->head = NULL; // an upgrade may want it for itself; the request points into the old one
    peer->head_bytes = 0;
    peer->keep_alive = request->keep_alive;
    peer->head_only = request->method == CH_HTTP_HEAD;
    peer->since_us = ch_clock_mono_us();
    int decoded = ch_http_decode_path(request->path, path, sizeof path);
    if (decoded < 0)
        bad_request(peer, decoded == -ENAMETOOLONG ? 414 : 400);
    else if (request->upgrade_websocket)
        upgrade(peer, request, path);
    else
        answer(peer, request, path);
    if (rest > 0 && peer->state == CH_PEER_WS && !peer->closing) {
        if (ch_ws_feed(&peer->ws, (uint8_t *)buffer + used, rest) < 0)
            ch_conn_close(&peer->conn);
    } else if (rest > 0 && !peer->closing && peer->state != CH_PEER_LINGERING) {
        memmove(buffer, buffer + used, rest);
        peer->head = buffer;
        peer->head_bytes = rest;
        buffer = NULL;
    }
    free(buffer);
    free(request);
    return peer->state == CH_PEER_HTTP;
}

static void take_requests(struct ch_peer *peer)
{
    while (take_request(peer))
        ;
}

void ch_peer_download_done(struct ch_peer *peer, bool whole)
{
    peer->download = NULL;
    ch_conn_read(&peer->conn, true);
    if (!whole)
        peer->keep_alive = false;
    after_reply(peer);
    take_requests(peer);
}

// --- the connection's calls ---

static int on_want(struct ch_conn *conn, struct iovec iov[2])
{
    static char waste[16 << 10]; // never looked at
    struct ch_peer *peer = conn->owner;
    switch (peer->state) {
    case CH_PEER_WS: return ch_ws_want(&peer->ws, iov);
    case CH_PEER_HTTP:
    case CH_PEER_REPLYING:
        if (!peer->head)
            peer->head = malloc(CH_HTTP_MAX_HEAD + 1);
        if (!peer->head || peer->head_bytes > CH_HTTP_MAX_HEAD) {
            ch_conn_read(conn, false); // pipelined too far ahead: once the reply is out, we go on
            return 0;
        }
        iov[0] = (struct iovec){.iov_base = peer->head + peer->head_bytes,
                                .iov_len = CH_HTTP_MAX_HEAD + 1 - peer->head_bytes};
        return 1;
    case CH_PEER_LINGERING: iov[0] = (struct iovec){.iov_base = waste, .iov_len = sizeof waste}; return 1;
    }
    return 0;
}

static int on_got(struct ch_conn *conn, size_t size)
{
    struct ch_peer *peer = conn->owner;
    if (peer->state == CH_PEER_WS)
        return ch_ws_got(&peer->ws, size);
    if (peer->state == CH_PEER_LINGERING)
        return 0;
    peer->head_bytes += size;
    take_requests(peer);
    return 0;
}

static void on_ended(struct ch_conn *conn, int error)
{
    struct ch_peer *peer = conn->owner;
    if (peer->camera && !peer->ws.close_received && error)
        ch_log(CH_LOG_INFO, CH_TAG_CONNECTION, "%s: connection lost: %s", peer->camera->name, strerror(-error));
    ch_conn_close(conn);
    peer->closing = true;
}

static void on_drained(struct ch_conn *conn)
{
    struct ch_peer *peer = conn->owner;
    if (peer->state == CH_PEER_LINGERING)
        ch_conn_shutdown(conn);
    if (peer->state == CH_PEER_WS && peer->ws.close_received)
        ch_conn_shutdown(conn);
    if (peer->download) {
        peer->since_us = ch_clock_mono_us();
        ch_download_continue(peer->download);
    }
}

static void on_closed(struct ch_conn *conn)
{
    struct ch_peer *peer = conn->owner;
    struct ch_hub *hub = peer->hub;
    if (peer->camera)
        ch_camera_gone(peer->camera);
    if (peer->download)
        ch_download_abandon(peer->download);
    *peer->self = peer->next;
    if (peer->next)
        peer->next->self = peer->self;
    hub->peer_count--;
    free(peer->head);
    free(peer);
    ch_hub_check_stopped(hub);
}

static const struct ch_conn_ops conn_ops = {
    .want = on_want,
    .got = on_got,
    .ended = on_ended,
    .drained = on_drained,
    .closed = on_closed,
};

void ch_peer_accept(struct ch_hub *hub, int fd)
{
    struct ch_peer *peer = calloc(1, sizeof *peer);
    if (!peer || ch_conn_open(&peer->conn, hub->loop, fd, &conn_ops, peer) < 0) {
        free(peer);
        close(fd);
        return;
    }
    peer->hub = hub;
    peer->since_us = peer->conn.last_in_us;
    peer->next = hub->peers;
    peer->self = &hub->peers;
    if (peer->next)
        peer->next->self = &peer->next;
    hub->peers = peer;
    hub->peer_count++;
}

void ch_peer_close(struct ch_peer *peer, int ws_code, const char *reason)
{
    if (peer->state == CH_PEER_WS && !peer->closing) {
        ch_ws_close(&peer->ws, ws_code, reason);
        return;
    }
    peer->closing = true;
    ch_conn_close(&peer->conn);
}

static bool is_overdue(const struct ch_peer *peer, int64_t now_us)
{
    switch (peer->state) {
    case CH_PEER_HTTP: {
        bool fresh = peer->conn.out_total == 0; // has not completed its first request
        return now_us - peer->since_us > (fresh || peer->head_bytes ? CH_LIMIT_HANDSHAKE_US : CH_LIMIT_IDLE_HTTP_US);
    }
    case CH_PEER_REPLYING: return now_us - peer->since_us > CH_LIMIT_IDLE_HTTP_US;
    case CH_PEER_LINGERING: return now_us - peer->since_us > CH_LIMIT_CLOSE_US;
    case CH_PEER_WS:
        if (peer->ws.close_sent)
            return now_us - peer->ws.close_us > CH_LIMIT_CLOSE_US;
        return peer->conn.reading && now_us - peer->conn.last_in_us > CH_LIMIT_DEAD_US;
    }
    return false;
}

void ch_peer_housekeep(struct ch_peer *peer, int64_t now_us)
{
    if (peer->closing)
        return;
    if (is_overdue(peer, now_us)) {
        if (peer->camera && !peer->ws.close_sent)
            ch_log(CH_LOG_WARNING, CH_TAG_WARNING, "%s: silent for %lld s, counted as gone", peer->camera->name,
                   (long long)((now_us - peer->conn.last_in_us) / CH_US_PER_S));
        peer->closing = true;
        ch_conn_close(&peer->conn);
        return;
    }
    if (peer->state == CH_PEER_WS && !peer->ws.close_sent && peer->ws.pinged_us <= peer->conn.last_in_us &&
        now_us - peer->conn.last_in_us > CH_LIMIT_PING_US && ch_ws_send_ping(&peer->ws) < 0)
        ch_conn_close(&peer->conn);
}
