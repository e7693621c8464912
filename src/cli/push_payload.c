#include "cli/push_payload.h"

#include "proto/ws.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

void ch_push_random(void *out, size_t size)
{
    // Cannot fail or be cut short for up to 256 bytes once the kernel's source is seeded.
    ssize_t n = getrandom(out, size, 0);
    assert(n == (ssize_t)size);
    (void)n;
}

struct ch_push_payload *ch_push_payload_new(size_t size)
{
    struct ch_push_payload *payload = malloc(sizeof *payload + size);
    if (!payload)
        return NULL;
    payload->references = 1;
    payload->size = size;
    return payload;
}

void ch_push_payload_seal(struct ch_push_payload *payload)
{
    ch_push_random(payload->mask, sizeof payload->mask);
    ch_ws_mask(payload->data, payload->size, payload->mask, 0);
}

struct ch_push_payload *ch_push_payload_ref(struct ch_push_payload *payload)
{
    payload->references++;
    return payload;
}

void ch_push_payload_unref(struct ch_push_payload *payload)
{
    if (payload && --payload->references == 0)
        free(payload);
}
