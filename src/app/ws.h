// A WebSocket endpoint (server side) on a connection: joins proto/ws (what the bytes mean) and net/conn
// (where they come from). Data frames are read straight into memory that the owner provides, and
// unmasked there as they come. Answers pings and close frames by itself.
// One thread: the loop's.
#ifndef CH_APP_WS_H
#define CH_APP_WS_H

#include "net/conn.h"
#include "proto/ws.h"

struct ch_ws;

struct ch_ws_ops {
    // Memory for a message that has `have` bytes so far and gets `add` more; the first `have` bytes must be kept when
    // it moves. `last`: these are the message's last bytes. Its start, or NULL: the connection is closed with 1011.
    uint8_t *(*room)(struct ch_ws *ws, uint8_t opcode, size_t have, size_t add, bool last);
    // A whole message lies in that memory. Text is valid UTF-8.
    void (*message)(struct ch_ws *ws, uint8_t opcode, size_t size);
    // The closing handshake has begun, by whichever side: no more messages will come. May be NULL.
    void (*closing)(struct ch_ws *ws);
};

struct ch_ws {
    struct ch_conn *conn;
    const struct ch_ws_ops *ops;
    void *owner;
    size_t max_message_bytes, max_text_bytes;
    struct ch_ws_order order;
    bool in_payload, close_sent, close_received, discarding;
    struct ch_ws_head head;
    uint64_t payload_have; // of the frame at hand
    uint8_t *message;      // the owner's memory, or control
    int64_t close_us;      // when the closing handshake began, monotonic
    int64_t pinged_us;     // when the last ping was sent, monotonic
    uint8_t partial[CH_WS_MAX_HEAD];
    uint8_t partial_bytes;
    uint8_t stash[32]; // the next frame's first bytes, read along with the end of this one
    uint8_t control[CH_WS_MAX_CONTROL];
};

void ch_ws_init(struct ch_ws *ws, struct ch_conn *conn, const struct ch_ws_ops *ops, void *owner,
                size_t max_message_bytes);
// The connection's `want` and `got`, while it is a WebSocket. `got` below 0: it is over, close it.
int ch_ws_want(struct ch_ws *ws, struct iovec iov[2]);
int ch_ws_got(struct ch_ws *ws, size_t size);
// Bytes that came along with the HTTP request.
int ch_ws_feed(struct ch_ws *ws, const uint8_t *data, size_t size);

// 0 or a negative errno (then the connection is of no more use).
int ch_ws_send_text(struct ch_ws *ws, const char *text, size_t size);
int ch_ws_send_ping(struct ch_ws *ws);
// Begins the closing handshake; what comes in afterwards is thrown away.
void ch_ws_close(struct ch_ws *ws, int code, const char *reason);

#endif
