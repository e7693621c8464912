#include "app/peer.h"

#include "app/listener.h"
#include "app/router.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVER_NAME "camhub"
#define REPLY_HEAD_BYTES 2048
#define PATH_BYTES 1024

// --- replies ---

int ch_peer_reply_head(struct ch_peer *peer, int status, const char *type, const char *extra, uint64_t size)
{
    char head[REPLY_HEAD_BYTES], date[CH_HTTP_DATE_BYTES], content[160] = "", length[48] = "";
    ch_http_date((time_t)(ch_clock_wall_us() / CH_US_PER_S), date);
    if (type)
        snprintf(content, sizeof content, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n", type);
    if (size == UINT64_MAX)
        peer->keep_alive = false;
    else if (status != 204 && status != 304)
        snprintf(length, sizeof length, "Content-Length: %llu\r\n", (unsigned long long)size);
    int used =
        snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nServer: " SERVER_NAME "\r\nDate: %s\r\n%s%s%s%s\r\n", status,
                 ch_http_reason(status), date, content, length, extra, peer->keep_alive ? "" : "Connection: close\r\n");
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

static void take_requests(struct ch_peer *peer);

static void drop_role(struct ch_peer *peer)
{
    peer->role = NULL;
    peer->role_data = NULL;
}

static void after_reply(struct ch_peer *peer)
{
    bool was_late = peer->state == CH_PEER_REPLYING || peer->state == CH_PEER_STREAM;
    if (!peer->keep_alive) {
        linger(peer);
        return;
    }
    enter(peer, CH_PEER_HTTP);
    if (was_late) { // else the caller goes on with the requests behind this one
        ch_conn_read(&peer->conn, true);
        take_requests(peer);
    }
}

void ch_peer_reply_later(struct ch_peer *peer, enum ch_peer_state state, const struct ch_peer_role *role,
                         void *role_data)
{
    enter(peer, state);
    peer->role = role;
    peer->role_data = role_data;
}

void ch_peer_reply_done(struct ch_peer *peer, bool whole)
{
    drop_role(peer);
    if (!whole)
        peer->keep_alive = false;
    after_reply(peer);
}

void ch_peer_reply(struct ch_peer *peer, int status, const char *type, const char *extra, const void *body, size_t size)
{
    drop_role(peer);
    int rc = ch_peer_reply_head(peer, status, type, extra, size);
    if (rc == 0 && size > 0 && !peer->head_only) {
        union {
            const void *in;
            void *out;
        } cast = {.in = body};
        struct iovec iov = {.iov_base = cast.out, .iov_len = size};
        rc = ch_conn_send(&peer->conn, &iov, 1, CH_LIMIT_REPLY_BYTES);
    }
    if (rc < 0)
        ch_peer_close(peer, CH_WS_INTERNAL, "");
    else
        after_reply(peer);
}

void ch_peer_reply_error_in(struct ch_peer *peer, int status, const char *code, const char *message, const char *field,
                            const char *extra)
{
    json_t *json = json_pack("{s:{s:s,s:s,s:s*}}", "error", "code", code, "message", message, "field", field);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    ch_peer_reply(peer, status, "application/json", extra, text, text ? strlen(text) : 0);
    free(text);
    json_decref(json);
}

void ch_peer_reply_error(struct ch_peer *peer, int status, const char *code, const char *message)
{
    ch_peer_reply_error_in(peer, status, code, message, NULL, "");
}

// --- WebSocket ---

static uint8_t *plain_room(struct ch_ws *ws, uint8_t opcode, size_t have, size_t add, bool last)
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
static const struct ch_ws_ops plain_ops = {.room = plain_room, .message = log_message};

void ch_peer_become(struct ch_peer *peer, const struct ch_peer_role *role, void *role_data, const struct ch_ws_ops *ops)
{
    peer->role = role;
    peer->role_data = role_data;
    peer->ws.ops = ops;
}

static void upgrade(struct ch_peer *peer, const struct ch_http_request *request, const char *path)
{
    struct ch_span key = ch_http_field(request, "Sec-WebSocket-Key");
    struct ch_span version = ch_http_field(request, "Sec-WebSocket-Version");
    peer->keep_alive = false;
    if (!ch_route_open_to_all(peer, path) && !ch_route_origin_allowed(request)) {
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
    const char *refusal = ch_route_websocket(peer, request, path);
    if (refusal) {
        ch_log_warning("%s: %s: %s", peer->conn.peer, path, refusal);
        ch_ws_close(&peer->ws, CH_WS_POLICY, refusal);
    }
}

// --- requests ---

static void bad_request(struct ch_peer *peer, int status)
{
    static const char *const what = "the request could not be understood";
    peer->keep_alive = false;
    ch_peer_reply_error(peer, status, "bad_request",
                        status == 431 || status == 414 ? "the request head is too large" : what);
}

// A request whose body is still coming. The request points into `buffer`.
struct ch_peer_pending {
    struct ch_http_request request;
    char *buffer, *body;
    size_t body_bytes, have;
    char path[PATH_BYTES];
};

static void free_pending(struct ch_peer_pending *pending)
{
    if (!pending)
        return;
    free(pending->buffer);
    free(pending->body);
    free(pending);
}

static bool origin_refused(struct ch_peer *peer, const struct ch_http_request *request)
{
    bool safe = request->method == CH_HTTP_GET || request->method == CH_HTTP_HEAD;
    if (safe || ch_route_origin_allowed(request))
        return false;
    peer->keep_alive = false;
    ch_peer_reply_error(peer, 403, "origin", "this request was made by a page of another site");
    return true;
}

// Takes the request over if it has a body that is wanted. True if it was dealt with: to wait for, or refused.
static bool take_body(struct ch_peer *peer, struct ch_peer_pending *pending)
{
    const struct ch_http_request *request = &pending->request;
    size_t limit = ch_route_body_limit(request, pending->path);
    if (request->content_length == 0 && !request->chunked)
        return false;
    if (limit == 0 || request->chunked || request->content_length > limit)
        peer->keep_alive = false; // what comes of it is thrown away
    if (limit == 0)
        return false;
    if (request->chunked)
        ch_peer_reply_error(peer, 411, "length_required", "a body needs a Content-Length here");
    else if (request->content_length > limit)
        ch_peer_reply_error(peer, 413, "too_large", "the body is larger than 64 KiB");
    else if (!(pending->body = malloc((size_t)request->content_length + 1)))
        ch_peer_close(peer, 0, "");
    else {
        pending->body_bytes = (size_t)request->content_length;
        peer->pending = pending;
        enter(peer, CH_PEER_BODY);
    }
    return true;
}

static void body_complete(struct ch_peer *peer)
{
    struct ch_peer_pending *pending = peer->pending;
    peer->pending = NULL;
    enter(peer, CH_PEER_HTTP);
    pending->body[pending->body_bytes] = '\0';
    ch_route_request(peer, &pending->request, pending->path, pending->body, pending->body_bytes);
    free_pending(pending);
}

// Bytes of the body among those that came with the request's head, or behind it. How many were taken.
static size_t feed_body(struct ch_peer *peer, const char *data, size_t size)
{
    struct ch_peer_pending *pending = peer->pending;
    size_t left = pending->body_bytes - pending->have, take = size < left ? size : left;
    memcpy(pending->body + pending->have, data, take);
    pending->have += take;
    if (pending->have == pending->body_bytes)
        body_complete(peer);
    return take;
}

static void run_request(struct ch_peer *peer, struct ch_peer_pending *pending)
{
    int decoded = ch_http_decode_path(pending->request.path, pending->path, sizeof pending->path);
    if (decoded < 0)
        bad_request(peer, decoded == -ENAMETOOLONG ? 414 : 400);
    else if (pending->request.upgrade_websocket)
        upgrade(peer, &pending->request, pending->path);
    else if (!origin_refused(peer, &pending->request) && !take_body(peer, pending))
        ch_route_request(peer, &pending->request, pending->path, NULL, 0);
}

// What came behind a request's head: the first bytes of its body, of a WebSocket's frames, or the next request.
static void take_rest(struct ch_peer *peer, char *rest, size_t size)
{
    if (size > 0 && peer->state == CH_PEER_BODY) {
        size_t used = feed_body(peer, rest, size);
        rest += used;
        size -= used;
    }
    if (size == 0 || peer->closing)
        return;
    if (peer->state == CH_PEER_WS) {
        if (ch_ws_feed(&peer->ws, (uint8_t *)rest, size) < 0)
            ch_conn_close(&peer->conn);
    } else if (peer->state == CH_PEER_HTTP || peer->state == CH_PEER_REPLYING) {
        peer->head = malloc(CH_HTTP_MAX_HEAD + 1);
        if (!peer->head) {
            ch_peer_close(peer, 0, "");
            return;
        }
        memcpy(peer->head, rest, size);
        peer->head_bytes = size;
    }
}

// Takes one request off the buffered bytes, if a whole one is there. False if not, or if the peer is busy.
static bool take_request(struct ch_peer *peer)
{
    if (peer->state != CH_PEER_HTTP || peer->closing || peer->head_bytes == 0)
        return false;
    struct ch_peer_pending *pending = calloc(1, sizeof *pending);
    if (!pending) {
        ch_peer_close(peer, 0, "");
        return false;
    }
    int used = ch_http_parse(peer->head, peer->head_bytes, &pending->request);
    if (used <= 0) {
        free_pending(pending);
        if (used < 0)
            bad_request(peer, -used);
        return false;
    }
    char *buffer = peer->head;
    size_t rest = peer->head_bytes - (size_t)used;
    peer->head = NULL; // an upgrade may want it for itself; the request points into the old one
    peer->head_bytes = 0;
    peer->keep_alive = pending->request.keep_alive;
    peer->head_only = pending->request.method == CH_HTTP_HEAD;
    peer->since_us = ch_clock_mono_us();
    run_request(peer, pending);
    bool waited = peer->pending == pending;
    take_rest(peer, buffer + used, rest);
    if (peer->pending == pending)
        pending->buffer = buffer;
    else
        free(buffer);
    if (!waited)
        free_pending(pending);
    return peer->state == CH_PEER_HTTP;
}

static void take_requests(struct ch_peer *peer)
{
    while (take_request(peer))
        ;
}

// --- the connection's calls ---

static int on_want(struct ch_conn *conn, struct iovec iov[2])
{
    static char waste[16 << 10]; // never looked at
    struct ch_peer *peer = conn->owner;
    switch (peer->state) {
    case CH_PEER_WS: return ch_ws_want(&peer->ws, iov);
    case CH_PEER_BODY:
        iov[0] = (struct iovec){.iov_base = peer->pending->body + peer->pending->have,
                                .iov_len = peer->pending->body_bytes - peer->pending->have};
        return 1;
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
    case CH_PEER_STREAM:
    case CH_PEER_LINGERING: iov[0] = (struct iovec){.iov_base = waste, .iov_len = sizeof waste}; return 1;
    }
    return 0;
}

static int on_got(struct ch_conn *conn, size_t size)
{
    struct ch_peer *peer = conn->owner;
    switch (peer->state) {
    case CH_PEER_WS: return ch_ws_got(&peer->ws, size);
    case CH_PEER_STREAM:
    case CH_PEER_LINGERING: return 0;
    case CH_PEER_BODY:
        peer->pending->have += size;
        if (peer->pending->have == peer->pending->body_bytes)
            body_complete(peer);
        return 0;
    case CH_PEER_HTTP:
    case CH_PEER_REPLYING:
        peer->head_bytes += size;
        take_requests(peer);
        return 0;
    }
    return 0;
}

static const char *name_of(const struct ch_peer *peer)
{
    return peer->role && peer->role->name ? peer->role->name(peer) : NULL;
}

static void on_ended(struct ch_conn *conn, int error)
{
    struct ch_peer *peer = conn->owner;
    const char *name = name_of(peer);
    if (name && !peer->ws.close_received && error)
        ch_log(CH_LOG_INFO, CH_TAG_CONNECTION, "%s: connection lost: %s", name, strerror(-error));
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
    if (peer->role && peer->role->drained)
        peer->role->drained(peer);
}

static void on_closed(struct ch_conn *conn)
{
    struct ch_peer *peer = conn->owner;
    struct ch_hub *hub = peer->hub;
    if (peer->role)
        peer->role->gone(peer);
    *peer->self = peer->next;
    if (peer->next)
        peer->next->self = peer->self;
    hub->peer_count--;
    free_pending(peer->pending);
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

void ch_peer_accept(const struct ch_listener *listener, int fd)
{
    struct ch_hub *hub = listener->hub;
    struct ch_peer *peer = calloc(1, sizeof *peer);
    if (!peer || ch_conn_open(&peer->conn, hub->loop, fd, &conn_ops, peer) < 0) {
        free(peer);
        close(fd);
        return;
    }
    peer->hub = hub;
    peer->listener = listener;
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
    case CH_PEER_BODY: return now_us - peer->since_us > CH_LIMIT_HANDSHAKE_US;
    case CH_PEER_REPLYING: return now_us - peer->since_us > CH_LIMIT_IDLE_HTTP_US;
    case CH_PEER_STREAM: return false; // its role knows
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
        const char *name = name_of(peer);
        if (name && !peer->ws.close_sent)
            ch_log(CH_LOG_WARNING, CH_TAG_WARNING, "%s: silent for %lld s, counted as gone", name,
                   (long long)((now_us - peer->conn.last_in_us) / CH_US_PER_S));
        peer->closing = true;
        ch_conn_close(&peer->conn);
        return;
    }
    if (peer->state == CH_PEER_WS && !peer->ws.close_sent && peer->ws.pinged_us <= peer->conn.last_in_us &&
        now_us - peer->conn.last_in_us > CH_LIMIT_PING_US && ch_ws_send_ping(&peer->ws) < 0) {
        ch_conn_close(&peer->conn);
        return;
    }
    if (peer->role && peer->role->housekeep)
        peer->role->housekeep(peer, now_us);
}
