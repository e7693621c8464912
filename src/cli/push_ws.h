// A WebSocket client on a libuv loop: what a camera's connection to the hub is.
//
// One object lives through many connections: ch_push_ws_open, ..., `closed`, ch_push_ws_open again.
// Every step has a time limit: 5 s for each address of the host, 10 s for the handshake, 5 s for the
// close handshake once the rest has been sent; and the kernel gives a connection up when for 75 s its
// peer has acknowledged nothing or has let nothing in. Sending never blocks and never fails for want of
// room: who sends looks at ch_push_ws_unsent and stops.
#ifndef CH_CLI_PUSH_WS_H
#define CH_CLI_PUSH_WS_H

#include "cli/push_handshake.h"
#include "cli/push_inbox.h"
#include "cli/push_payload.h"
#include "cli/push_url.h"
#include "proto/camera_h264.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum ch_push_ws_end {
    CH_PUSH_WS_FAILED,    // was never open
    CH_PUSH_WS_LOST,      // broke, or broke the protocol
    CH_PUSH_WS_DISMISSED, // the hub closed it
    CH_PUSH_WS_FINISHED,  // ch_push_ws_finish, and everything arrived
};

struct ch_push_ws_events {
    void (*opened)(void *context);
    void (*text)(void *context, const char *text, size_t size);                 // valid UTF-8, not terminated
    void (*sent)(void *context);                                                // the unsent bytes have become fewer
    void (*closed)(void *context, enum ch_push_ws_end how, const char *reason); // once for each open
};

struct ch_push_ws {
    uv_loop_t *loop;
    const struct ch_push_ws_events *events;
    void *context;
    const struct ch_push_url *url;
    char target[CH_PUSH_TARGET_BYTES];

    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_getaddrinfo_t resolving;
    uv_connect_t connecting;
    struct addrinfo *addresses, *address; // all, and the one being tried
    int state;
    unsigned handles; // that still have to be closed, and requests under way
    bool tcp_live;
    char key[CH_PUSH_KEY_BYTES];

    struct ch_push_inbox inbox;

    size_t unsent;
    unsigned pongs; // unsent ones
    bool close_sent, close_received;
    bool deaf; // nothing more is read for meaning
    enum ch_push_ws_end how;
    char reason[384];
};

// All is borrowed until the last `closed`. `target` is what is asked for (path and query).
void ch_push_ws_init(struct ch_push_ws *ws, uv_loop_t *loop, const struct ch_push_ws_events *events, void *context,
                     const struct ch_push_url *url, const char *target);

// `closed` follows in any case, never from within the call.
void ch_push_ws_open(struct ch_push_ws *ws);
bool ch_push_ws_is_open(const struct ch_push_ws *ws); // between `opened` and the first close frame

// Both do nothing (0) unless the connection is open; otherwise 0 or -ENOMEM.
int ch_push_ws_send_text(struct ch_push_ws *ws, const char *text);
// One binary message: the camera's header (NULL: none), then the payload, of which it takes a reference of its own.
int ch_push_ws_send_unit(struct ch_push_ws *ws, const struct ch_camera_header *header, struct ch_push_payload *payload);
size_t ch_push_ws_unsent(const struct ch_push_ws *ws);

// Ends the connection: orderly with 1000 behind everything sent so far if it is open, else at once.
void ch_push_ws_finish(struct ch_push_ws *ws);

#endif
