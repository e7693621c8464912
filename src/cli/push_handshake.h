// The opening handshake of a WebSocket client, RFC 6455 4.1. Pure.
#ifndef CH_CLI_PUSH_HANDSHAKE_H
#define CH_CLI_PUSH_HANDSHAKE_H

#include <stddef.h>

#define CH_PUSH_KEY_BYTES 25
void ch_push_handshake_key(char out[CH_PUSH_KEY_BYTES]); // a fresh Sec-WebSocket-Key

// The request. Its length; it is cut if it does not fit.
#define CH_PUSH_REQUEST_BYTES 2048
size_t ch_push_handshake_request(const char *authority, const char *target, const char *key,
                                 char out[CH_PUSH_REQUEST_BYTES]);

// Checks the answer. Bytes of it (WebSocket frames follow), 0 if more are needed, or -EPROTO with the
// reason in why: not HTTP, not 101, or 101 without what the key asks for.
#define CH_PUSH_WHY_BYTES 128
int ch_push_handshake_check(const char *data, size_t size, const char *key, char why[CH_PUSH_WHY_BYTES]);

#endif
