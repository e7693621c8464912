// The receiving half of a WebSocket client without its socket: bytes in, messages out. Checks what
// RFC 6455 asks a client to check, puts fragments together, skips what a camera has no use for.
#ifndef CH_CLI_PUSH_INBOX_H
#define CH_CLI_PUSH_INBOX_H

#include "proto/ws.h"

struct ch_push_inbox {
    uint8_t *in; // owned; received bytes are [at, used)
    size_t at, used, room;
    bool has_head; // of the frame whose payload comes next
    struct ch_ws_head head;
    struct ch_ws_order order;
    uint8_t *message; // owned; of a fragmented message so far
    size_t message_used;
    uint8_t message_opcode;
};

enum ch_push_received_kind {
    CH_PUSH_GOT_TEXT, // whole and valid UTF-8
    CH_PUSH_GOT_PING,
    CH_PUSH_GOT_CLOSE,
    CH_PUSH_GOT_FAULT, // the peer broke the protocol; nothing more can be read
};
struct ch_push_received {
    enum ch_push_received_kind kind;
    const uint8_t *data; // payload; a close frame's reason; borrowed until the next call
    size_t size;
    int code;        // of a close frame; to answer a fault with
    const char *why; // of a fault
};

// Zero-initialise. Empty again and without memory:
void ch_push_inbox_clear(struct ch_push_inbox *inbox);

// Where to read to, and how much fits; NULL without memory. Then how much was read.
uint8_t *ch_push_inbox_room(struct ch_push_inbox *inbox, size_t *size);
void ch_push_inbox_added(struct ch_push_inbox *inbox, size_t size);

// Next message. 1, 0 (more bytes are needed) or -ENOMEM.
int ch_push_inbox_next(struct ch_push_inbox *inbox, struct ch_push_received *out);

#endif
