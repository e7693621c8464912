// The payload of one message, masked once for all cameras that send it.
//
// A client has to mask what it sends (RFC 6455 5.3), so a shared payload costs one pass over its bytes,
// not one per camera: every payload has a fresh random mask, and the cameras' own 16 bytes in front of
// it are masked with the same. (Those are 4 times 4 bytes, so the mask's phase is that of the payload.)
#ifndef CH_CLI_PUSH_PAYLOAD_H
#define CH_CLI_PUSH_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

struct ch_push_payload {
    unsigned references;
    uint8_t mask[4];
    size_t size;
    uint8_t data[]; // plain until sealed, then masked and never changed
};

// With one reference. NULL without memory.
struct ch_push_payload *ch_push_payload_new(size_t size);
void ch_push_payload_seal(struct ch_push_payload *payload); // masks it
struct ch_push_payload *ch_push_payload_ref(struct ch_push_payload *payload);
void ch_push_payload_unref(struct ch_push_payload *payload); // NULL is allowed

void ch_push_random(void *out, size_t size); // size at most 256

#endif
