#include "cli/push_buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ch_push_buffer_clear(struct ch_push_buffer *buffer)
{
    free(buffer->in);
    *buffer = (struct ch_push_buffer){0};
}

int ch_push_buffer_add(struct ch_push_buffer *buffer, const uint8_t *data, size_t size)
{
    if (buffer->at > 0) {
        memmove(buffer->in, buffer->in + buffer->at, buffer->used - buffer->at);
        buffer->used -= buffer->at;
        buffer->at = 0;
    }
    if (buffer->used + size > buffer->room) {
        size_t wanted = 2 * buffer->room > buffer->used + size ? 2 * buffer->room : buffer->used + size;
        uint8_t *grown = realloc(buffer->in, wanted);
        if (!grown)
            return -ENOMEM;
        buffer->in = grown;
        buffer->room = wanted;
    }
    memcpy(buffer->in + buffer->used, data, size);
    buffer->used += size;
    return 0;
}
