// One accepted connection. It begins as HTTP; a request makes it a camera, a download, or a reply and the
// next request. Nothing is allocated for it beyond this struct while it is silent.
#ifndef CH_APP_PEER_H
#define CH_APP_PEER_H

#include "app/hub.h"
#include "app/ws.h"
#include "proto/http.h"

struct ch_download;

enum ch_peer_state {
    CH_PEER_HTTP,     // waiting for a request head
    CH_PEER_REPLYING, // a download is under way; requests behind it wait
    CH_PEER_WS,
    CH_PEER_LINGERING, // all is said; waiting for the peer to close
};

struct ch_peer {
    struct ch_conn conn;
    struct ch_hub *hub;
    struct ch_peer *next, **self; // in hub->peers
    enum ch_peer_state state;
    int64_t since_us; // in this state, or since the last request; monotonic
    bool keep_alive, head_only, closing;
    char *head; // request bytes; allocated while there are any
    size_t head_bytes;
    struct ch_download *download;
    struct ch_ws ws;
    struct ch_camera *camera; // what the WebSocket is, or NULL: nothing is done with what comes
};

void ch_peer_accept(struct ch_hub *hub, int fd);
// Pings, time limits.
void ch_peer_housekeep(struct ch_peer *peer, int64_t now_us);
// Closes politely: a WebSocket with code and reason, everything else at once.
void ch_peer_close(struct ch_peer *peer, int ws_code, const char *reason);

// --- for those who answer requests ---

// A whole reply; body may be NULL. `extra` is further header lines, each with CRLF, or "".
void ch_peer_reply(struct ch_peer *peer, int status, const char *type, const char *extra, const void *body,
                   size_t size);
// {"error":{"code":...,"message":...}}
void ch_peer_reply_error(struct ch_peer *peer, int status, const char *code, const char *message);
// Only the head; size bytes of body follow by ch_conn_send. 0 or a negative errno.
int ch_peer_reply_head(struct ch_peer *peer, int status, const char *type, const char *extra, uint64_t size);
// The download is over; if not whole, the connection ends here.
void ch_peer_download_done(struct ch_peer *peer, bool whole);

#endif
