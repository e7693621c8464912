#include "app/ws.h"

#include "base/clock.h"
#include "base/limits.h"

#include <errno.h>
#include <string.h>

void ch_ws_init(struct ch_ws *ws, struct ch_conn *conn, const struct ch_ws_ops *ops, void *owner,
                size_t max_message_bytes)
{
    memset(ws, 0, sizeof *ws);
    ws->conn = conn;
    ws->ops = ops;
    ws->owner = owner;
    ws->max_message_bytes = max_message_bytes;
    ws->max_text_bytes = max_message_bytes < CH_LIMIT_TEXT_BYTES ? max_message_bytes : CH_LIMIT_TEXT_BYTES;
}

// --- sending ---

static int send_frame(struct ch_ws *ws, enum ch_ws_opcode opcode, const void *payload, size_t size)
{
    // A close frame is the last, and is to be queued behind whatever is there.
    size_t max_queued = opcode == CH_WS_CLOSE ? SIZE_MAX : CH_LIMIT_OUT_BYTES;
    uint8_t head[CH_WS_MAX_HEAD];
    union {
        const void *in;
        void *out;
    } cast = {.in = payload};
    struct iovec iov[2] = {
        {.iov_base = head, .iov_len = ch_ws_write_head(head, opcode, size, NULL)},
        {.iov_base = cast.out, .iov_len = size},
    };
    return ch_conn_send(ws->conn, iov, 2, max_queued);
}

int ch_ws_send_text(struct ch_ws *ws, const char *text, size_t size)
{
    return ws->close_sent ? -EPIPE : send_frame(ws, CH_WS_TEXT, text, size);
}

int ch_ws_send_ping(struct ch_ws *ws)
{
    if (ws->close_sent)
        return -EPIPE;
    ws->pinged_us = ch_clock_mono_us();
    return send_frame(ws, CH_WS_PING, NULL, 0);
}

void ch_ws_close(struct ch_ws *ws, int code, const char *reason)
{
    if (ws->close_sent)
        return;
    uint8_t payload[CH_WS_MAX_CONTROL];
    size_t size = code == CH_WS_NO_STATUS ? 0 : ch_ws_write_close(payload, code, reason);
    send_frame(ws, CH_WS_CLOSE, payload, size);
    ws->close_sent = true;
    ws->discarding = true;
    ws->close_us = ch_clock_mono_us();
    if (ws->ops->closing)
        ws->ops->closing(ws);
}

// --- receiving ---

static bool is_control(uint8_t opcode)
{
    return opcode >= CH_WS_CLOSE;
}

static int on_close_frame(struct ch_ws *ws)
{
    int code;
    const char *reason;
    size_t reason_bytes;
    int answer = ch_ws_parse_close(ws->control, (size_t)ws->head.length, &code, &reason, &reason_bytes);
    ws->close_received = true;
    ch_ws_close(ws, answer ? answer : code, ""); // echoes the code, RFC 6455 5.5.1
    ch_conn_shutdown(ws->conn);
    return 0;
}

static int end_control(struct ch_ws *ws)
{
    if (ws->head.opcode == CH_WS_CLOSE)
        return on_close_frame(ws);
    if (ws->head.opcode == CH_WS_PING && !ws->close_sent)
        return send_frame(ws, CH_WS_PONG, ws->control, (size_t)ws->head.length);
    return 0;
}

static int end_frame(struct ch_ws *ws)
{
    ws->in_payload = false;
    if (is_control(ws->head.opcode))
        return end_control(ws);
    if (!ws->head.fin || ws->discarding)
        return 0;
    uint8_t opcode = ws->order.message_opcode;
    size_t size = (size_t)ws->order.message_bytes;
    if (opcode == CH_WS_TEXT && !ch_utf8_valid(ws->message, size))
        ch_ws_close(ws, CH_WS_INVALID_DATA, "text is not UTF-8");
    else
        ws->ops->message(ws, opcode, size);
    return 0;
}

// A frame's head is known: where does its payload go?
static void begin_frame(struct ch_ws *ws)
{
    ws->in_payload = true;
    ws->payload_have = 0;
    if (is_control(ws->head.opcode)) {
        ws->message = ws->control;
        return;
    }
    if (ws->discarding)
        return;
    size_t have = (size_t)(ws->order.message_bytes - ws->head.length);
    ws->message = ws->ops->room(ws, ws->order.message_opcode, have, (size_t)ws->head.length, ws->head.fin);
    if (!ws->message)
        ch_ws_close(ws, CH_WS_INTERNAL, "out of memory");
}

static void refuse_frame(struct ch_ws *ws, int code)
{
    ch_ws_close(ws, code, code == CH_WS_TOO_BIG ? "message too big" : "protocol error");
}

// Where frames end can no longer be known: all that still comes is waste.
static void give_up_framing(struct ch_ws *ws)
{
    refuse_frame(ws, CH_WS_PROTOCOL_ERROR);
    ws->in_payload = false;
    ws->close_received = true;
    ch_conn_shutdown(ws->conn);
}

static int take_head(struct ch_ws *ws)
{
    int used = ch_ws_parse_head(ws->partial, ws->partial_bytes, &ws->head);
    if (used == 0)
        return 0;
    ws->partial_bytes = 0;
    if (used < 0) {
        give_up_framing(ws);
        return 0;
    }
    int code = ch_ws_order_next(&ws->order, &ws->head, true, ws->max_message_bytes);
    bool text = ws->order.message_opcode == CH_WS_TEXT && !is_control(ws->head.opcode);
    if (code == 0 && text && ws->order.message_bytes > ws->max_text_bytes)
        code = CH_WS_TOO_BIG;
    if (code && !ws->close_sent)
        refuse_frame(ws, code);
    if (code && is_control(ws->head.opcode)) { // its payload may be larger than its buffer
        give_up_framing(ws);
        return 0;
    }
    begin_frame(ws);
    return ws->head.length == 0 ? end_frame(ws) : 0;
}

// Where the payload's next byte goes; NULL while discarding.
static uint8_t *destination(const struct ch_ws *ws)
{
    if (is_control(ws->head.opcode))
        return ws->message + ws->payload_have;
    if (ws->discarding)
        return NULL;
    return ws->message + (ws->order.message_bytes - ws->head.length) + ws->payload_have;
}

static int payload_came(struct ch_ws *ws, size_t size)
{
    uint8_t *at = destination(ws);
    if (at)
        ch_ws_mask(at, size, ws->head.mask, ws->payload_have);
    ws->payload_have += size;
    return ws->payload_have == ws->head.length ? end_frame(ws) : 0;
}

int ch_ws_feed(struct ch_ws *ws, const uint8_t *data, size_t size)
{
    int rc = 0;
    while (size > 0 && rc >= 0 && !ws->close_received) {
        if (!ws->in_payload) {
            size_t need = ch_ws_head_bytes(ws->partial, ws->partial_bytes) - ws->partial_bytes;
            size_t take = need < size ? need : size;
            memcpy(ws->partial + ws->partial_bytes, data, take);
            ws->partial_bytes = (uint8_t)(ws->partial_bytes + take);
            data += take;
            size -= take;
            rc = take_head(ws);
            continue;
        }
        uint64_t left = ws->head.length - ws->payload_have;
        size_t take = left < size ? (size_t)left : size;
        uint8_t *at = destination(ws);
        if (at)
            memcpy(at, data, take);
        data += take;
        size -= take;
        rc = payload_came(ws, take);
    }
    return rc;
}

int ch_ws_want(struct ch_ws *ws, struct iovec iov[2])
{
    static uint8_t waste[64 << 10]; // what is thrown away is never looked at
    uint64_t left = ws->in_payload ? ws->head.length - ws->payload_have : 0;
    if (ws->close_received || (left > 0 && !destination(ws))) {
        size_t room = ws->close_received || left > sizeof waste ? sizeof waste : (size_t)left;
        iov[0] = (struct iovec){.iov_base = waste, .iov_len = room};
        return 1;
    }
    struct iovec stash = {.iov_base = ws->stash, .iov_len = sizeof ws->stash};
    if (left == 0) {
        iov[0] = stash;
        return 1;
    }
    iov[0] = (struct iovec){.iov_base = destination(ws), .iov_len = (size_t)left};
    iov[1] = stash;
    return 2;
}

int ch_ws_got(struct ch_ws *ws, size_t size)
{
    if (ws->close_received)
        return 0;
    size_t direct = 0;
    bool wasted = false;
    if (ws->in_payload) {
        uint64_t left = ws->head.length - ws->payload_have;
        wasted = !destination(ws);
        direct = left < size ? (size_t)left : size;
        int rc = payload_came(ws, direct);
        if (rc < 0)
            return rc;
    }
    return wasted ? 0 : ch_ws_feed(ws, ws->stash, size - direct);
}
