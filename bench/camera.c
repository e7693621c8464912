// One simulated phone, see camera.h. Setting up blocks (it is not measured); streaming does not.
#include "camera.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/bytes.h"
#include "socket.h"
#include "usage.h"

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 }; // RFC 6455 5.2

static const char capabilities[] =
    "{\"type\":\"capabilities\",\"deviceModel\":\"Bench Phone\",\"sdkInt\":33,\"resolutions\":["
    "{\"width\":1920,\"height\":1080,\"format\":\"YUV_420_888\",\"lensFacing\":\"back\"},"
    "{\"width\":1280,\"height\":720,\"format\":\"YUV_420_888\",\"lensFacing\":\"back\"},"
    "{\"width\":640,\"height\":480,\"format\":\"YUV_420_888\",\"lensFacing\":\"back\"},"
    "{\"width\":1280,\"height\":720,\"format\":\"YUV_420_888\",\"lensFacing\":\"front\"},"
    "{\"width\":640,\"height\":480,\"format\":\"YUV_420_888\",\"lensFacing\":\"front\"}],"
    "\"imageAnalysisResolution\":{\"width\":1280,\"height\":720}}";

int bench_camera_open(struct bench_camera *camera, unsigned port, const char *name, bool raw)
{
    char path[64];
    *camera = (struct bench_camera){.raw = raw};
    snprintf(path, sizeof path, "/android-cam/%s", name);
    camera->fd = bench_socket_open(port, raw ? NULL : path, 0);
    return camera->fd < 0 ? camera->fd : 0;
}

int bench_camera_text(struct bench_camera *camera, const char *text)
{
    uint8_t frame[BENCH_FRAME_HEAD_MAX + 1024];
    size_t size = strlen(text);
    if (camera->raw)
        return 0;
    if (size > 1024)
        return -EMSGSIZE;
    return bench_socket_send(camera->fd, frame, bench_frame_write(frame, TEXT, text, size));
}

int bench_camera_greet(struct bench_camera *camera)
{
    int err = bench_camera_text(camera, "{\"status\":\"ready\",\"message\":\"Camera is ready.\"}");
    return err < 0 ? err : bench_camera_text(camera, capabilities);
}

static void add_part(struct bench_camera *camera, uint8_t *bytes, size_t size)
{
    camera->parts[camera->part_count++] = (struct iovec){.iov_base = bytes, .iov_len = size};
}

void bench_camera_begin(struct bench_camera *camera, const struct bench_message *message, uint64_t device_ms,
                        uint64_t ping_ns)
{
    unsigned number = message->idr ? camera->idr_count++ : camera->frame_num + 1;
    camera->frame_num = message->idr ? 0 : number % 16; // log2_max_frame_num is 4
    struct bench_stamp stamp = {.device_ms = device_ms,
                                .time_ns = message->timed ? bench_now_ns() : 0,
                                .sequence = camera->sequence++,
                                .picture = (uint32_t)camera->frames,
                                .picture_number = number};
    size_t head = bench_message_stamp(message, &stamp, camera->head);
    camera->payload += message->size - message->head_bytes - BENCH_CAMERA_HEADER_BYTES;
    camera->messages++;
    camera->frames += message->picture;
    camera->part = camera->part_count = 0;
    add_part(camera, camera->head, head);
    if (message->size > head)
        add_part(camera, message->bytes + head, message->size - head);
    if (ping_ns != 0) {
        uint8_t payload[8];
        ch_put_be64(payload, ping_ns);
        add_part(camera, camera->ping, bench_frame_write(camera->ping, PING, payload, sizeof payload));
    }
}

static void advance(struct bench_camera *camera, size_t size)
{
    camera->written += size;
    while (size > 0) {
        struct iovec *part = &camera->parts[camera->part];
        size_t taken = size < part->iov_len ? size : part->iov_len;
        part->iov_base = (uint8_t *)part->iov_base + taken;
        part->iov_len -= taken;
        size -= taken;
        if (part->iov_len == 0)
            camera->part++;
    }
}

int bench_camera_flush(struct bench_camera *camera)
{
    camera->blocked = false;
    while (bench_camera_sending(camera)) {
        struct msghdr message = {.msg_iov = camera->parts + camera->part,
                                 .msg_iovlen = camera->part_count - camera->part};
        ssize_t n = sendmsg(camera->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            camera->blocked = true;
            return 0;
        }
        if (n < 0)
            return -errno;
        advance(camera, (size_t)n);
    }
    if (camera->pong_bytes == 0)
        return 0;
    size_t size = camera->pong_bytes;
    camera->pong_bytes = 0;
    return bench_socket_send(camera->fd, camera->pong, size);
}

static void control_frame(struct bench_camera *camera, void (*pong)(void *, uint64_t), void *context)
{
    const struct bench_reader *reader = &camera->reader;
    switch (reader->head[0] & 15) {
    case PONG:
        if (reader->payload_bytes == 8)
            pong(context, ch_get_be64(reader->control));
        break;
    case PING:
        camera->pong_bytes = bench_frame_write(camera->pong, PONG, reader->control, reader->payload_bytes);
        break;
    case CLOSE: camera->closed = true; break;
    default: break;
    }
}

// Length of the frame head whose first bytes are there. RFC 6455 5.2; a server does not mask.
static size_t reader_head_bytes(const struct bench_reader *reader)
{
    unsigned length = reader->head_bytes < 2 ? 0 : reader->head[1] & 127u;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

static uint64_t reader_payload_bytes(const struct bench_reader *reader)
{
    unsigned length = reader->head[1] & 127u;
    return length == 127 ? ch_get_be64(reader->head + 2) : length == 126 ? ch_get_be16(reader->head + 2) : length;
}

static int read_byte(struct bench_camera *camera, uint8_t byte, void (*pong)(void *, uint64_t), void *context)
{
    struct bench_reader *reader = &camera->reader;
    if (reader->head_bytes < reader_head_bytes(reader)) {
        reader->head[reader->head_bytes++] = byte;
        if (reader->head_bytes < 2 || reader->head_bytes < reader_head_bytes(reader))
            return 0;
        reader->payload_bytes = reader_payload_bytes(reader);
        reader->payload_at = 0;
        if (reader->head[0] & 8 && reader->payload_bytes > sizeof reader->control)
            return -EPROTO;
    } else {
        if (reader->head[0] & 8)
            reader->control[reader->payload_at] = byte;
        reader->payload_at++;
    }
    if (reader->payload_at == reader->payload_bytes) {
        if (reader->head[0] & 8)
            control_frame(camera, pong, context);
        reader->head_bytes = 0;
    }
    return 0;
}

int bench_camera_receive(struct bench_camera *camera, void (*pong)(void *context, uint64_t ping_ns), void *context)
{
    uint8_t data[4096];
    ssize_t n = recv(camera->fd, data, sizeof data, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (n == 0)
        camera->closed = true;
    for (ssize_t i = 0; i < n; i++) {
        int err = read_byte(camera, data[i], pong, context);
        if (err < 0)
            return err;
    }
    return camera->pong_bytes > 0 && !bench_camera_sending(camera) ? bench_camera_flush(camera) : 0;
}

int bench_camera_finish(struct bench_camera *camera)
{
    uint8_t frame[BENCH_FRAME_HEAD_MAX + 2];
    uint8_t code[2] = {1000 >> 8, 1000 & 255};
    if (camera->raw)
        return shutdown(camera->fd, SHUT_WR) < 0 ? -errno : 0;
    return bench_socket_send(camera->fd, frame, bench_frame_write(frame, CLOSE, code, sizeof code));
}

uint64_t bench_camera_sent(const struct bench_camera *camera)
{
    int unsent = 0;
    if (ioctl(camera->fd, SIOCOUTQNSD, &unsent) < 0)
        unsent = 0;
    return camera->written - (uint64_t)unsent;
}
