#include "cli/push_mpjpeg.h"

#include "base/limits.h"
#include "base/text.h"
#include "codec/jpeg.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define HEAD_BYTES 512u // more than ffmpeg writes

void ch_push_mpjpeg_clear(struct ch_push_mpjpeg *mpjpeg)
{
    ch_push_buffer_clear(&mpjpeg->buffer);
    mpjpeg->body = 0;
}

int ch_push_mpjpeg_add(struct ch_push_mpjpeg *mpjpeg, const uint8_t *data, size_t size)
{
    return ch_push_buffer_add(&mpjpeg->buffer, data, size);
}

// The value of the head's Content-length, or -EBADMSG. `head` ends with an empty line.
static int64_t find_length(char *head)
{
    static const char name[] = "content-length:";
    char *rest, *line = strtok_r(head, "\r\n", &rest);
    int64_t length;
    for (; line; line = strtok_r(NULL, "\r\n", &rest)) {
        if (strncasecmp(line, name, sizeof name - 1) != 0)
            continue;
        line += sizeof name - 1;
        line += strspn(line, " \t");
        return ch_parse_int(line, 1, CH_LIMIT_MESSAGE_BYTES_MAX, &length) == 0 ? length : -EBADMSG;
    }
    return -EBADMSG;
}

// 1: the body's length is known now; 0 or -EBADMSG.
static int take_head(struct ch_push_mpjpeg *mpjpeg)
{
    struct ch_push_buffer *buffer = &mpjpeg->buffer;
    char head[HEAD_BYTES + 1];
    // The end of the body before it
    while (buffer->at < buffer->used && (buffer->in[buffer->at] == '\r' || buffer->in[buffer->at] == '\n'))
        buffer->at++;
    size_t left = buffer->used - buffer->at, size = left < HEAD_BYTES ? left : HEAD_BYTES;
    if (size == 0)
        return 0;
    const uint8_t *begins = buffer->in + buffer->at, *ends = memmem(begins, size, "\r\n\r\n", 4);
    if (begins[0] != '-')
        return -EBADMSG;
    if (!ends)
        return size < HEAD_BYTES ? 0 : -EBADMSG;
    size = (size_t)(ends - begins);
    memcpy(head, begins, size);
    head[size] = '\0';
    int64_t length = find_length(head);
    if (length < 0)
        return (int)length;
    buffer->at += size + 4;
    mpjpeg->body = (size_t)length;
    return 1;
}

int ch_push_mpjpeg_next(struct ch_push_mpjpeg *mpjpeg, const uint8_t **data, size_t *size)
{
    struct ch_push_buffer *buffer = &mpjpeg->buffer;
    struct ch_jpeg jpeg;
    if (mpjpeg->body == 0) {
        int rc = take_head(mpjpeg);
        if (rc <= 0)
            return rc;
    }
    if (buffer->used - buffer->at < mpjpeg->body)
        return 0;
    *data = buffer->in + buffer->at;
    *size = mpjpeg->body;
    buffer->at += mpjpeg->body;
    mpjpeg->body = 0;
    return ch_jpeg_parse(*data, *size, &jpeg) == 0 && jpeg.bytes == *size ? 1 : -EBADMSG;
}
