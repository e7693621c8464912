#include "cli/push_ws.h"

#include "base/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 5000u
#define HANDSHAKE_MS ((uint64_t)CH_LIMIT_HANDSHAKE_US / 1000)
#define CLOSE_MS ((uint64_t)CH_LIMIT_CLOSE_US / 1000)
#define DEAD_MS ((unsigned)(CH_LIMIT_DEAD_US / 1000))
#define KEEPALIVE_S 30
#define MAX_PONGS 16

enum {
    STATE_IDLE,
    STATE_RESOLVING,
    STATE_CONNECTING,
    STATE_HANDSHAKE,
    STATE_OPEN,
    STATE_CLOSING, // a close frame was sent or received
    STATE_ENDING,  // handles are being closed
};

static void try_address(struct ch_push_ws *ws);
static void on_timeout(uv_timer_t *timer);

// --- the end ------------------------------------------------------------------------------------

static void ended(struct ch_push_ws *ws)
{
    uv_freeaddrinfo(ws->addresses);
    ws->addresses = NULL;
    ch_push_inbox_clear(&ws->inbox);
    ws->state = STATE_IDLE;
    ws->events->closed(ws->context, ws->how, ws->reason);
}

static void release(struct ch_push_ws *ws)
{
    if (--ws->handles == 0 && ws->state == STATE_ENDING)
        ended(ws);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    struct ch_push_ws *ws = handle->data;
    if (ws->state != STATE_CONNECTING) {
        release(ws);
        return;
    }
    ws->handles--;
    try_address(ws);
}

static void close_tcp(struct ch_push_ws *ws)
{
    if (!ws->tcp_live)
        return;
    ws->tcp_live = false;
    ws->handles++;
    uv_close((uv_handle_t *)&ws->tcp, on_tcp_closed);
}

// Begins to close the handles. The first reason counts.
__attribute__((format(printf, 3, 4))) static void end(struct ch_push_ws *ws, enum ch_push_ws_end how,
                                                      const char *format, ...)
{
    if (ws->state == STATE_ENDING)
        return;
    if (!ws->reason[0]) {
        va_list args;
        va_start(args, format);
        vsnprintf(ws->reason, sizeof ws->reason, format, args);
        va_end(args);
        ws->how = how;
    }
    if (ws->state == STATE_RESOLVING)
        uv_cancel((uv_req_t *)&ws->resolving);
    ws->state = STATE_ENDING;
    ws->handles++;
    uv_close((uv_handle_t *)&ws->timer, on_timer_closed);
    close_tcp(ws);
}

// --- sending ------------------------------------------------------------------------------------

struct message {
    uv_write_t request;
    struct ch_push_ws *ws;
    struct ch_push_payload *payload; // or NULL
    size_t bytes;                    // with the payload
    bool pong;
    size_t own_bytes;
    uint8_t own[];
};

static void on_written(uv_write_t *request, int status)
{
    struct message *message = request->data;
    struct ch_push_ws *ws = message->ws;
    ws->unsent -= message->bytes;
    ws->pongs -= message->pong;
    ch_push_payload_unref(message->payload);
    free(message);
    if (ws->state == STATE_ENDING)
        return;
    if (status < 0)
        end(ws, CH_PUSH_WS_LOST, "connection lost: %s", uv_strerror(status));
    else if (ws->state == STATE_CLOSING)
        uv_timer_start(&ws->timer, on_timeout, CLOSE_MS, 0); // there is progress
    else if (ws->state == STATE_OPEN)
        ws->events->sent(ws->context);
}

static struct message *message_new(struct ch_push_ws *ws, size_t own_bytes)
{
    struct message *message = malloc(sizeof *message + own_bytes);
    if (!message)
        return NULL;
    message->ws = ws;
    message->payload = NULL;
    message->pong = false;
    message->own_bytes = message->bytes = own_bytes;
    message->request.data = message;
    return message;
}

static void message_send(struct message *message)
{
    struct ch_push_ws *ws = message->ws;
    union {
        uint8_t *out;
        char *base;
    } own = {.out = message->own};
    uv_buf_t bufs[2] = {uv_buf_init(own.base, (unsigned)message->own_bytes)};
    unsigned count = 1;
    if (message->payload) {
        own.out = message->payload->data;
        bufs[count++] = uv_buf_init(own.base, (unsigned)message->payload->size);
        message->bytes += message->payload->size;
    }
    ws->unsent += message->bytes;
    ws->pongs += message->pong;
    int rc = uv_write(&message->request, (uv_stream_t *)&ws->tcp, bufs, count, on_written);
    if (rc < 0) // libuv does not call back then
        on_written(&message->request, rc);
}

// A frame whose payload is copied.
static int send_small(struct ch_push_ws *ws, enum ch_ws_opcode opcode, const void *data, size_t size)
{
    uint8_t head[CH_WS_MAX_HEAD], mask[4];
    ch_push_random(mask, sizeof mask);
    size_t head_bytes = ch_ws_write_head(head, opcode, size, mask);
    struct message *message = message_new(ws, head_bytes + size);
    if (!message)
        return -ENOMEM;
    message->pong = opcode == CH_WS_PONG;
    memcpy(message->own, head, head_bytes);
    if (size > 0)
        memcpy(message->own + head_bytes, data, size);
    ch_ws_mask(message->own + head_bytes, size, mask, 0);
    message_send(message);
    return 0;
}

int ch_push_ws_send_text(struct ch_push_ws *ws, const char *text)
{
    return ws->state == STATE_OPEN ? send_small(ws, CH_WS_TEXT, text, strlen(text)) : 0;
}

int ch_push_ws_send_unit(struct ch_push_ws *ws, const struct ch_camera_header *header, struct ch_push_payload *payload)
{
    if (ws->state != STATE_OPEN)
        return 0;
    size_t header_bytes = header ? CH_CAMERA_HEADER_BYTES : 0;
    struct message *message = message_new(ws, CH_WS_MAX_HEAD + header_bytes);
    if (!message)
        return -ENOMEM;
    size_t n = ch_ws_write_head(message->own, CH_WS_BINARY, header_bytes + (uint64_t)payload->size, payload->mask);
    if (header)
        ch_camera_write_header(header, message->own + n);
    ch_ws_mask(message->own + n, header_bytes, payload->mask, 0);
    message->own_bytes = message->bytes = n + header_bytes;
    message->payload = ch_push_payload_ref(payload);
    message_send(message);
    return 0;
}

size_t ch_push_ws_unsent(const struct ch_push_ws *ws)
{
    return ws->unsent;
}

static void send_close(struct ch_push_ws *ws, int code, const char *reason)
{
    uint8_t payload[CH_WS_MAX_CONTROL];
    if (ws->close_sent)
        return;
    ws->close_sent = true;
    size_t size = code == CH_WS_NO_STATUS ? 0 : ch_ws_write_close(payload, code, reason);
    if (send_small(ws, CH_WS_CLOSE, payload, size) < 0)
        end(ws, CH_PUSH_WS_LOST, "out of memory");
    if (ws->state == STATE_OPEN)
        ws->state = STATE_CLOSING;
    if (ws->state == STATE_CLOSING)
        uv_timer_start(&ws->timer, on_timeout, CLOSE_MS, 0);
}

void ch_push_ws_finish(struct ch_push_ws *ws)
{
    if (ws->state == STATE_OPEN)
        send_close(ws, CH_WS_NORMAL, "");
    else if (ws->state != STATE_IDLE && ws->state != STATE_CLOSING)
        end(ws, CH_PUSH_WS_FAILED, "given up");
}

// --- receiving ----------------------------------------------------------------------------------

// The hub broke the protocol.
static void refuse(struct ch_push_ws *ws, int code, const char *why)
{
    if (!ws->reason[0]) {
        snprintf(ws->reason, sizeof ws->reason, "the hub broke the WebSocket protocol: %s", why);
        ws->how = CH_PUSH_WS_LOST;
    }
    send_close(ws, code, why);
}

static void take_close(struct ch_push_ws *ws, const struct ch_push_received *got)
{
    ws->close_received = true;
    if (!ws->close_sent && !ws->reason[0]) {
        int size = got->size < CH_WS_MAX_CONTROL ? (int)got->size : (int)CH_WS_MAX_CONTROL;
        union {
            const uint8_t *data;
            const char *text;
        } reason = {.data = got->data};
        snprintf(ws->reason, sizeof ws->reason, "the hub closed the connection: %d%s%.*s", got->code,
                 size > 0 ? " " : "", size, size > 0 ? reason.text : "");
        ws->how = CH_PUSH_WS_DISMISSED;
    }
    send_close(ws, got->code, "");
}

static void take_message(struct ch_push_ws *ws, const struct ch_push_received *got)
{
    union {
        const uint8_t *data;
        const char *text;
    } cast = {.data = got->data};
    switch (got->kind) {
    case CH_PUSH_GOT_TEXT:
        if (ws->state == STATE_OPEN)
            ws->events->text(ws->context, cast.text, got->size);
        break;
    case CH_PUSH_GOT_PING:
        // A ping may go unanswered when later ones are answered, RFC 6455 5.5.3.
        if (ws->state == STATE_OPEN && ws->pongs < MAX_PONGS && send_small(ws, CH_WS_PONG, got->data, got->size) < 0)
            end(ws, CH_PUSH_WS_LOST, "out of memory");
        break;
    case CH_PUSH_GOT_CLOSE: take_close(ws, got); break;
    case CH_PUSH_GOT_FAULT: refuse(ws, got->code, got->why); break;
    }
}

static void take_answer(struct ch_push_ws *ws)
{
    char why[CH_PUSH_WHY_BYTES];
    union {
        uint8_t *in;
        char *text;
    } cast = {.in = ws->inbox.in};
    int n = ch_push_handshake_check(cast.text, ws->inbox.used, ws->key, why);
    if (n < 0)
        end(ws, CH_PUSH_WS_FAILED, "%s", why);
    if (n <= 0)
        return;
    ws->inbox.at = (size_t)n;
    ws->state = STATE_OPEN;
    uv_timer_stop(&ws->timer);
    ws->events->opened(ws->context);
}

// After a protocol fault or a close frame the rest is dropped until the peer ends the connection.
static void take_input(struct ch_push_ws *ws)
{
    struct ch_push_received got;
    int rc = 1;
    if (ws->state == STATE_HANDSHAKE)
        take_answer(ws);
    if (ws->state == STATE_HANDSHAKE)
        return;
    while (rc == 1 && (ws->state == STATE_OPEN || ws->state == STATE_CLOSING) && !ws->deaf) {
        rc = ch_push_inbox_next(&ws->inbox, &got);
        if (rc < 0)
            end(ws, CH_PUSH_WS_LOST, "out of memory");
        if (rc != 1)
            break;
        ws->deaf = got.kind == CH_PUSH_GOT_FAULT || got.kind == CH_PUSH_GOT_CLOSE;
        take_message(ws, &got);
    }
    if (ws->deaf)
        ws->inbox.at = ws->inbox.used;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct ch_push_ws *ws = handle->data;
    (void)suggested;
    size_t size = 0;
    union {
        uint8_t *in;
        char *base;
    } cast = {.in = ch_push_inbox_room(&ws->inbox, &size)};
    *buf = uv_buf_init(cast.base, (unsigned)size); // without memory on_read gets ENOBUFS
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct ch_push_ws *ws = stream->data;
    (void)buf;
    if (n == 0 || ws->state == STATE_ENDING)
        return;
    if (n > 0) {
        ch_push_inbox_added(&ws->inbox, (size_t)n);
        take_input(ws);
        return;
    }
    const char *how = n == UV_EOF ? "the hub ended it without a close frame" : uv_strerror((int)n);
    if (ws->state == STATE_HANDSHAKE)
        end(ws, CH_PUSH_WS_FAILED, "no answer: %s", n == UV_EOF ? "the connection was ended" : how);
    else if (ws->close_sent && ws->unsent == 0 && (ws->close_received || n == UV_EOF))
        end(ws, CH_PUSH_WS_FINISHED, "finished"); // unless another reason came first
    else
        end(ws, CH_PUSH_WS_LOST, "connection lost: %s", how);
}

// --- the beginning ------------------------------------------------------------------------------

static void on_timeout(uv_timer_t *timer)
{
    struct ch_push_ws *ws = timer->data;
    if (ws->state == STATE_RESOLVING)
        end(ws, CH_PUSH_WS_FAILED, "cannot resolve %s: timed out", ws->url->host);
    else if (ws->state == STATE_CONNECTING)
        close_tcp(ws); // the attempt fails, the next address is tried
    else if (ws->state == STATE_HANDSHAKE)
        end(ws, CH_PUSH_WS_FAILED, "no answer within %u s", (unsigned)(HANDSHAKE_MS / 1000));
    else
        end(ws, CH_PUSH_WS_LOST, "the close handshake timed out");
}

static void send_request(struct ch_push_ws *ws)
{
    char request[CH_PUSH_REQUEST_BYTES];
    ch_push_handshake_key(ws->key);
    size_t size = ch_push_handshake_request(ws->url->authority, ws->target, ws->key, request);
    struct message *message = message_new(ws, size);
    if (!message) {
        end(ws, CH_PUSH_WS_FAILED, "out of memory");
        return;
    }
    memcpy(message->own, request, size);
    message_send(message);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct ch_push_ws *ws = request->data;
    if (ws->state != STATE_CONNECTING)
        return;
    if (status < 0) {
        snprintf(ws->reason, sizeof ws->reason, "cannot connect to %s: %s", ws->url->authority,
                 status == UV_ECANCELED ? "timed out" : uv_strerror(status));
        close_tcp(ws);
        return;
    }
    ws->reason[0] = '\0';
    ws->state = STATE_HANDSHAKE;
    int fd, dead_ms = (int)DEAD_MS;
    uv_tcp_nodelay(&ws->tcp, 1);
    uv_tcp_keepalive(&ws->tcp, 1, KEEPALIVE_S);
    if (uv_fileno((uv_handle_t *)&ws->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
    uv_timer_start(&ws->timer, on_timeout, HANDSHAKE_MS, 0);
    uv_read_start((uv_stream_t *)&ws->tcp, on_alloc, on_read);
    send_request(ws);
}

// Tries the next address of the host; none left: the reason of the last one stands.
static void try_address(struct ch_push_ws *ws)
{
    struct addrinfo *address = ws->address;
    if (!address) {
        end(ws, CH_PUSH_WS_FAILED, "cannot connect to %s: no address", ws->url->authority);
        return;
    }
    ws->address = address->ai_next;
    ws->tcp_live = uv_tcp_init(ws->loop, &ws->tcp) == 0;
    ws->tcp.data = ws->connecting.data = ws;
    int rc = uv_tcp_connect(&ws->connecting, &ws->tcp, address->ai_addr, on_connected);
    if (rc < 0) {
        snprintf(ws->reason, sizeof ws->reason, "cannot connect to %s: %s", ws->url->authority, uv_strerror(rc));
        ws->how = CH_PUSH_WS_FAILED;
        close_tcp(ws);
        return;
    }
    uv_timer_start(&ws->timer, on_timeout, CONNECT_MS, 0);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct ch_push_ws *ws = request->data;
    ws->addresses = ws->address = addresses;
    if (ws->state == STATE_RESOLVING) {
        if (status < 0) {
            ws->state = STATE_CONNECTING; // nothing to cancel
            end(ws, CH_PUSH_WS_FAILED, "cannot resolve %s: %s", ws->url->host, uv_strerror(status));
        } else {
            ws->state = STATE_CONNECTING;
            try_address(ws);
        }
    }
    release(ws);
}

void ch_push_ws_init(struct ch_push_ws *ws, uv_loop_t *loop, const struct ch_push_ws_events *events, void *context,
                     const struct ch_push_url *url, const char *target)
{
    memset(ws, 0, sizeof *ws);
    ws->loop = loop;
    ws->events = events;
    ws->context = context;
    ws->url = url;
    snprintf(ws->target, sizeof ws->target, "%s", target);
}

static void reset(struct ch_push_ws *ws)
{
    ws->close_sent = ws->close_received = ws->deaf = false;
    ws->how = CH_PUSH_WS_FAILED;
    ws->reason[0] = '\0';
    ws->handles = 0;
}

void ch_push_ws_open(struct ch_push_ws *ws)
{
    reset(ws);
    uv_timer_init(ws->loop, &ws->timer);
    ws->timer.data = ws->resolving.data = ws;
    ws->state = STATE_RESOLVING;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    ws->handles = 1; // the request
    int rc = uv_getaddrinfo(ws->loop, &ws->resolving, on_resolved, ws->url->host, ws->url->port, &hints);
    if (rc < 0) {
        ws->handles = 0;
        ws->state = STATE_CONNECTING;
        end(ws, CH_PUSH_WS_FAILED, "cannot resolve %s: %s", ws->url->host, uv_strerror(rc));
        return;
    }
    uv_timer_start(&ws->timer, on_timeout, CONNECT_MS, 0);
}

bool ch_push_ws_is_open(const struct ch_push_ws *ws)
{
    return ws->state == STATE_OPEN;
}
