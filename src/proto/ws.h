// RFC 6455 without I/O: handshake values, frame heads, masking, close codes, and the small state
// machine that checks a sequence of frames (fragmentation, control frames, limits).
//
// Pure: bytes in, facts out. A protocol fault is a result with the close code to send, not an accident.
#ifndef CH_PROTO_WS_H
#define CH_PROTO_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ch_ws_opcode { // 5.2
    CH_WS_CONTINUATION = 0,
    CH_WS_TEXT = 1,
    CH_WS_BINARY = 2,
    CH_WS_CLOSE = 8,
    CH_WS_PING = 9,
    CH_WS_PONG = 10,
};

enum ch_ws_close { // 7.4.1
    CH_WS_NORMAL = 1000,
    CH_WS_GOING_AWAY = 1001,
    CH_WS_PROTOCOL_ERROR = 1002,
    CH_WS_UNSUPPORTED = 1003,
    CH_WS_NO_STATUS = 1005,
    CH_WS_INVALID_DATA = 1007, // text that is not UTF-8
    CH_WS_POLICY = 1008,
    CH_WS_TOO_BIG = 1009,
    CH_WS_INTERNAL = 1011,
};

#define CH_WS_MAX_HEAD 14u // longest frame head, masked
#define CH_WS_MIN_HEAD 2u
#define CH_WS_MAX_CONTROL 125u

struct ch_ws_head {
    bool fin, masked;
    uint8_t rsv;    // the three reserved bits
    uint8_t opcode; // 0..15, as received
    uint8_t mask[4];
    uint64_t length; // payload bytes
    size_t head_bytes;
};

// Parses a frame head. Bytes consumed (2..14), 0 if more are needed (then ch_ws_head_bytes tells how
// many in all), or -EPROTO: a length not in its shortest form, or with its top bit set (5.2).
int ch_ws_parse_head(const uint8_t *data, size_t size, struct ch_ws_head *out);
// Size of the head that begins with these bytes: 2 if size < 2, else 2..14.
size_t ch_ws_head_bytes(const uint8_t *data, size_t size);

// Writes a frame head (fin set, no reserved bits); masked if mask is not NULL. Bytes written.
size_t ch_ws_write_head(uint8_t out[CH_WS_MAX_HEAD], enum ch_ws_opcode opcode, uint64_t length, const uint8_t mask[4]);

// XORs data with the mask in place; `phase` is the offset of data[0] in its frame's payload.
// Any alignment; as fast as memory (16 bytes and more at a time).
void ch_ws_mask(uint8_t *data, size_t size, const uint8_t mask[4], size_t phase);

// Order of frames in one direction, 5.4, 5.5. Zero-initialise.
struct ch_ws_order {
    bool in_message;
    uint8_t message_opcode; // text or binary
    uint64_t message_bytes; // of the message so far, with the frames accepted
};
// Checks the next frame's head. 0, or the close code to send: 1002 (reserved bits or opcode, wrong
// masking, control frame fragmented or over 125 bytes, continuation without a message, new message
// inside a message), 1009 (message would exceed max_message_bytes).
// want_masked: true on a server, false on a client (5.1).
int ch_ws_order_next(struct ch_ws_order *order, const struct ch_ws_head *head, bool want_masked,
                     uint64_t max_message_bytes);

// Close frame payload, 5.5.1: code (1005 if empty) and reason (borrowed, not terminated). 0, or the
// close code to answer with: 1002 (1 byte; a code no endpoint may send), 1007 (reason not UTF-8).
int ch_ws_parse_close(const uint8_t *payload, size_t size, int *code, const char **reason, size_t *reason_bytes);
// Writes code and reason (NULL: none; cut at a character to fit 125 bytes). Bytes written; nothing
// for 1005, which stands for an empty payload and is never sent.
size_t ch_ws_write_close(uint8_t out[CH_WS_MAX_CONTROL], int code, const char *reason);

// Whole text is valid UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF).
bool ch_utf8_valid(const uint8_t *data, size_t size);
// Bytes of the longest valid text that data begins with: where to cut. data may be NULL with 0.
size_t ch_utf8_prefix(const uint8_t *data, size_t size);

// Sec-WebSocket-Accept for a Sec-WebSocket-Key, 4.2.2. Writes 28 characters and a zero; an
// empty text if libcrypto fails (no memory, no SHA-1).
#define CH_WS_ACCEPT_BYTES 29
void ch_ws_accept_key(const char *key, size_t key_bytes, char out[CH_WS_ACCEPT_BYTES]);
// True if key is 24 characters of base64 that decode to 16 bytes, 4.1.
bool ch_ws_key_valid(const char *key, size_t key_bytes);

#endif
