// Reads what a viewer gets, see viewer.h. It must be cheap: at 5000 viewers and 25 frames/s it sees 125,000 frames
// per second, so bodies are passed over and only their first bytes are copied.
#include "viewer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/bytes.h"
#include "socket.h"

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 }; // RFC 6455 5.2
enum { FLV_VIDEO = 9, FLV_HEAD_BYTES = 16, FLV_TAIL_BYTES = 4 };
enum { RECEIVE_BYTES = 131072, COMPARE_EVERY = 16, MAX_PREFIX = BENCH_FRONT_BYTES - BENCH_SEI_BYTES - 4 };

int bench_viewer_open(struct bench_viewer *viewer, unsigned port, const char *path, int receive_bytes)
{
    *viewer = (struct bench_viewer){0};
    viewer->fd = bench_socket_open(port, path, receive_bytes);
    return viewer->fd < 0 ? viewer->fd : 0;
}

void bench_viewer_close(struct bench_viewer *viewer)
{
    if (viewer->fd >= 0)
        close(viewer->fd);
    viewer->fd = -1;
}

static int wrong(struct bench_viewer *viewer, const char *fault)
{
    viewer->fault = fault;
    return -EBADMSG;
}

static bool parse_digits(const uint8_t *text, unsigned count, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned c = text[i];
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
        if (digit == 16)
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

// Whether four bytes are a start code or that length.
static bool announces(const uint8_t *p, uint64_t nal_bytes)
{
    uint32_t value = ch_get_be32(p);
    return value == 1 || value == nal_bytes;
}

static int take_number(struct bench_viewer *viewer, uint32_t number, unsigned key_interval)
{
    if (number < viewer->next)
        return wrong(viewer, "a picture came twice, or an old one");
    if (number > viewer->next || viewer->pictures == 0) {
        if (number % key_interval != 0)
            return wrong(viewer, "it does not go on with a key picture");
        viewer->lost += number - viewer->next;
    }
    viewer->next = number + 1;
    return 0;
}

// An FLV tag, with its size behind it, or an MP4 fragment: where the picture begins.
static int find_picture(struct bench_viewer *viewer, size_t picture_bytes)
{
    if (viewer->front[0] == FLV_VIDEO && viewer->size == FLV_HEAD_BYTES + picture_bytes + FLV_TAIL_BYTES) {
        viewer->prefix = FLV_HEAD_BYTES;
        return 0;
    }
    viewer->prefix = viewer->size - picture_bytes;
    const uint8_t *sei = viewer->front + viewer->prefix;
    if (memcmp(sei - 4, "mdat", 4) != 0 || ch_get_be32(sei - 8) != 8 + picture_bytes)
        return wrong(viewer, "a picture that is no FLV tag, and has no mdat box of its size");
    return 0;
}

// The front of a binary message as large as a picture.
static int picture_front(struct bench_viewer *viewer, const struct bench_program *program)
{
    uint64_t number;
    size_t picture_bytes;
    bench_message_picture(&program->key, &picture_bytes);
    int err = find_picture(viewer, picture_bytes);
    if (err < 0)
        return err;
    const uint8_t *sei = viewer->front + viewer->prefix;
    if (!announces(sei, BENCH_SEI_BYTES - 4) ||
        !announces(sei + BENCH_SEI_BYTES, picture_bytes - BENCH_SEI_BYTES - 4) ||
        memcmp(sei + BENCH_SEI_UUID_AT, bench_sei_uuid, sizeof bench_sei_uuid) != 0 ||
        !parse_digits(sei + BENCH_SEI_NUMBER_AT, 8, &number))
        return wrong(viewer, "a picture that does not begin as it was sent");
    err = take_number(viewer, (uint32_t)number, program->key_interval);
    if (err < 0)
        return err;
    viewer->picture = true;
    if ((viewer->pictures + (unsigned)viewer->fd) % COMPARE_EVERY == 0) {
        bool key = number % program->key_interval == 0;
        viewer->compare = bench_message_picture(key ? &program->key : &program->delta, &viewer->compare_bytes);
    }
    return 0;
}

static int front_read(struct bench_viewer *viewer, const struct bench_program *program)
{
    size_t picture_bytes;
    bench_message_picture(&program->key, &picture_bytes);
    unsigned opcode = viewer->head[0] & 15;
    if (opcode == CLOSE)
        return wrong(viewer, "the server closed the stream");
    if (opcode == TEXT) {
        viewer->drops += memmem(viewer->front, viewer->at, "\"drop\"", 6) != NULL;
        return 0;
    }
    if (opcode == PING || opcode == PONG)
        return 0;
    if (opcode != BINARY)
        return wrong(viewer, "a frame of another kind, or a fragment of a message");
    if (viewer->at >= 8 && memcmp(viewer->front + 4, "ftyp", 4) == 0) {
        viewer->restarts += viewer->pictures > 0;
        return 0;
    }
    if (viewer->at >= 3 && memcmp(viewer->front, "FLV", 3) == 0) // with metadata and configuration
        return 0;
    if (viewer->size < picture_bytes + 8 || viewer->size > picture_bytes + MAX_PREFIX)
        return wrong(viewer, "a message that is no picture by its size");
    return picture_front(viewer, program);
}

// Compares bytes of the picture from `from` on of the message, behind everything that a stamp changes.
static bool same(const struct bench_viewer *viewer, const uint8_t *data, uint64_t from, size_t size)
{
    uint64_t begin = viewer->prefix + BENCH_STAMP_MAX - BENCH_CAMERA_HEADER_BYTES;
    uint64_t end = viewer->prefix + viewer->compare_bytes;
    if (from + size > end) // the tail of an FLV tag
        size = from < end ? (size_t)(end - from) : 0;
    if (from + size <= begin)
        return true;
    size_t skip = from < begin ? (size_t)(begin - from) : 0;
    return memcmp(data + skip, viewer->compare + (from + skip - viewer->prefix), size - skip) == 0;
}

static int message_read(struct bench_viewer *viewer, const struct bench_viewer_ops *ops)
{
    if (viewer->picture) {
        const uint8_t *sei = viewer->front + viewer->prefix;
        uint64_t sent_ns, number;
        if (!parse_digits(sei + BENCH_SEI_TIME_AT, 16, &sent_ns) ||
            !parse_digits(sei + BENCH_SEI_NUMBER_AT, 8, &number))
            return wrong(viewer, "a picture without its time");
        viewer->pictures++;
        viewer->compared += viewer->compare != NULL;
        ops->picture(ops->context, (uint32_t)number, (int64_t)sent_ns);
    } else if ((viewer->head[0] & 15) == PING && viewer->size <= 125) {
        uint8_t pong[BENCH_FRAME_HEAD_MAX + 125];
        size_t size = bench_frame_write(pong, PONG, viewer->front, viewer->size);
        int err = bench_socket_send(viewer->fd, pong, size);
        if (err < 0)
            return err;
    }
    viewer->head_bytes = 0;
    viewer->picture = false;
    viewer->compare = NULL;
    return 0;
}

static unsigned head_wanted(const struct bench_viewer *viewer)
{
    unsigned length = viewer->head_bytes < 2 ? 0 : viewer->head[1] & 127u;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

// Takes bytes of the frame's head. How many; 0 when it is whole already.
static size_t take_head(struct bench_viewer *viewer, const uint8_t *data, size_t size)
{
    size_t taken = 0;
    while (taken < size && viewer->head_bytes < head_wanted(viewer))
        viewer->head[viewer->head_bytes++] = data[taken++];
    if (taken > 0 && viewer->head_bytes >= 2 && viewer->head_bytes == head_wanted(viewer)) {
        unsigned length = viewer->head[1] & 127u;
        viewer->at = 0;
        viewer->size = length == 127   ? ch_get_be64(viewer->head + 2)
                       : length == 126 ? ch_get_be16(viewer->head + 2)
                                       : length;
    }
    return taken;
}

// Takes bytes of the payload. How many, or a negative errno.
static ssize_t take_payload(struct bench_viewer *viewer, const struct bench_program *program, const uint8_t *data,
                            size_t size)
{
    size_t taken = size;
    uint64_t front = viewer->size < BENCH_FRONT_BYTES ? viewer->size : BENCH_FRONT_BYTES;
    if (viewer->at < front) {
        if (taken > front - viewer->at)
            taken = (size_t)(front - viewer->at);
        memcpy(viewer->front + viewer->at, data, taken);
        viewer->at += taken;
        int err = viewer->at == front ? front_read(viewer, program) : 0;
        if (err < 0)
            return err;
        if (viewer->at == front && viewer->compare && !same(viewer, viewer->front, 0, (size_t)front))
            return wrong(viewer, "a picture with other bytes than were sent");
        return (ssize_t)taken;
    }
    if (taken > viewer->size - viewer->at)
        taken = (size_t)(viewer->size - viewer->at);
    if (viewer->compare && !same(viewer, data, viewer->at, taken))
        return wrong(viewer, "a picture with other bytes than were sent");
    viewer->at += taken;
    return (ssize_t)taken;
}

static int take(struct bench_viewer *viewer, const struct bench_program *program, const struct bench_viewer_ops *ops,
                const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t n = take_head(viewer, data, size);
        data += n;
        size -= n;
        if (viewer->head_bytes < 2 || viewer->head_bytes < head_wanted(viewer))
            return 0;
        if ((viewer->head[0] & 0xf0u) != 0x80 || viewer->head[1] & 0x80)
            return wrong(viewer, "a frame head that is none of a server's");
        if (n > 0 && viewer->size == 0) {
            int err = front_read(viewer, program);
            if (err < 0)
                return err;
        }
        ssize_t m = viewer->at < viewer->size ? take_payload(viewer, program, data, size) : 0;
        if (m < 0)
            return (int)m;
        data += m;
        size -= (size_t)m;
        int err = viewer->at == viewer->size ? message_read(viewer, ops) : 0;
        if (err < 0)
            return err;
    }
    return 0;
}

int bench_viewer_receive(struct bench_viewer *viewer, const struct bench_program *program,
                         const struct bench_viewer_ops *ops)
{
    static uint8_t data[RECEIVE_BYTES];
    ssize_t n = recv(viewer->fd, data, sizeof data, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    viewer->bytes += (uint64_t)n;
    return take(viewer, program, ops, data, (size_t)n);
}
