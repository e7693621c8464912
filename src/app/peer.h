// One accepted connection. It begins as HTTP; a request gets a reply and then the next request, or makes the
// connection something for longer: a phone, a viewer, a download. What that is, is its role. Nothing is
// allocated for it beyond this struct while it is silent.
#ifndef CH_APP_PEER_H
#define CH_APP_PEER_H

#include "app/hub.h"
#include "app/ws.h"
#include "proto/http.h"

enum ch_peer_state {
    CH_PEER_HTTP,     // waiting for a request head
    CH_PEER_BODY,     // waiting for the request's body
    CH_PEER_REPLYING, // an answer is on its way; requests behind it wait
    CH_PEER_STREAM,   // an answer without end; what the peer still sends is not looked at
    CH_PEER_WS,
    CH_PEER_LINGERING, // all is said; waiting for the peer to close
};

// What a connection has become, beyond a single request.
struct ch_peer_role {
    // The connection is over, or the role is (ch_peer_reply_done): the last call. Frees role_data.
    void (*gone)(struct ch_peer *peer);
    // The socket takes bytes again. May be NULL.
    void (*drained)(struct ch_peer *peer);
    // Once per second. May be NULL.
    void (*housekeep)(struct ch_peer *peer, int64_t now_us);
    // The camera that this is, for log lines about its connection. May be NULL, or answer NULL.
    const char *(*name)(const struct ch_peer *peer);
};

// A request whose body is waited for, with what it points into.
struct ch_peer_pending;
struct ch_listener;

struct ch_peer {
    struct ch_conn conn;
    struct ch_hub *hub;
    const struct ch_listener *listener; // where it came in; NULL: that is closed now
    struct ch_peer *next, **self;       // in hub->peers
    enum ch_peer_state state;
    int64_t since_us; // in this state, or since the last request; monotonic
    bool keep_alive, head_only, closing;
    char *head; // request bytes; allocated while there are any
    size_t head_bytes;
    struct ch_peer_pending *pending;
    struct ch_ws ws;
    const struct ch_peer_role *role; // NULL: none
    void *role_data;
};

void ch_peer_accept(const struct ch_listener *listener, int fd);
// Pings, time limits.
void ch_peer_housekeep(struct ch_peer *peer, int64_t now_us);
// Closes politely: a WebSocket with code and reason, everything else at once.
void ch_peer_close(struct ch_peer *peer, int ws_code, const char *reason);

// --- for those who make it something ---

// The peer's WebSocket is taken over. It has no other role.
void ch_peer_become(struct ch_peer *peer, const struct ch_peer_role *role, void *role_data,
                    const struct ch_ws_ops *ops);
// A request is answered later (or without end, with CH_PEER_STREAM): requests behind it wait until ch_peer_reply_done.
void ch_peer_reply_later(struct ch_peer *peer, enum ch_peer_state state, const struct ch_peer_role *role,
                         void *role_data);
// The late answer is over (its role is gone, without a call); if not whole, the connection ends here.
void ch_peer_reply_done(struct ch_peer *peer, bool whole);

// --- for those who answer requests, at once or later (then instead of ch_peer_reply_done) ---

// A whole reply; body may be NULL. `extra` is further header lines, each with CRLF, or "".
void ch_peer_reply(struct ch_peer *peer, int status, const char *type, const char *extra, const void *body,
                   size_t size);
// {"error":{"code":...,"message":...}}
void ch_peer_reply_error(struct ch_peer *peer, int status, const char *code, const char *message);
// The same with the field of the request that is to blame, and header lines.
void ch_peer_reply_error_in(struct ch_peer *peer, int status, const char *code, const char *message, const char *field,
                            const char *extra);
// Only the head; size bytes of body follow by ch_conn_send (UINT64_MAX: up to the connection's end). 0 or a negative
// errno.
int ch_peer_reply_head(struct ch_peer *peer, int status, const char *type, const char *extra, uint64_t size);

#endif
