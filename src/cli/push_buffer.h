// Bytes of a child's output that have come and have not been taken yet.
#ifndef CH_CLI_PUSH_BUFFER_H
#define CH_CLI_PUSH_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct ch_push_buffer {
    uint8_t *in; // owned; [at, used) is there to be taken
    size_t at, used, room;
};

// Zero-initialise. Empty again and without memory:
void ch_push_buffer_clear(struct ch_push_buffer *buffer);

// 0 or -ENOMEM. What was taken goes; pointers into it are no longer valid.
int ch_push_buffer_add(struct ch_push_buffer *buffer, const uint8_t *data, size_t size);

#endif
