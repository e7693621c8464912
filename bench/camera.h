// One simulated phone: a TCP connection, the WebSocket upgrade and the phone's texts, and one message
// at a time going out without ever blocking. Raw cameras send the same bytes without upgrade and texts.
#ifndef CH_BENCH_CAMERA_H
#define CH_BENCH_CAMERA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "content.h"

#define BENCH_CONTROL_BYTES (BENCH_FRAME_HEAD_MAX + 125)

// What comes in is read for pings, pongs and a close frame; all else is skipped.
struct bench_reader {
    uint8_t head[10];
    size_t head_bytes;
    uint8_t control[125];
    uint64_t payload_at, payload_bytes;
};

struct bench_camera {
    int fd;
    bool raw, closed; // closed: the server closed the connection or sent a close frame
    // The message going out: its stamped head, the rest of the shared body, perhaps a ping behind it.
    struct iovec parts[3];
    unsigned part, part_count;
    uint8_t head[BENCH_STAMP_MAX];
    uint8_t ping[BENCH_FRAME_HEAD_MAX + 8];
    uint8_t pong[BENCH_CONTROL_BYTES]; // answer to the server's ping, sent at the next message boundary
    size_t pong_bytes;
    struct bench_reader reader;
    uint64_t written;  // bytes given to the kernel, upgrade and texts excluded
    uint64_t payload;  // H.264 bytes in the messages begun
    uint64_t messages; // binary messages begun
    uint64_t frames;   // pictures among them
    uint32_t sequence;
    unsigned frame_num, idr_count;
    bool blocked; // the socket was full
};

// Connects to 127.0.0.1:port; `name` becomes the camera's in /android-cam/NAME. 0 or a negative errno
// (-EPROTO if the upgrade was refused), also below. Blocks, at most 10 s.
int bench_camera_open(struct bench_camera *camera, unsigned port, const char *name, bool raw);
// Sends a text message, waiting for the socket. Only between messages. Nothing on raw cameras.
int bench_camera_text(struct bench_camera *camera, const char *text);
// The phone's greeting: ready and capabilities.
int bench_camera_greet(struct bench_camera *camera);

static inline bool bench_camera_sending(const struct bench_camera *camera)
{
    return camera->part < camera->part_count;
}

// Begins the next message; the one before must be out. The body is borrowed until it is out.
// With `ping_ns` other than 0 a ping with that number follows the message. A timed message gets the time of this call.
void bench_camera_begin(struct bench_camera *camera, const struct bench_message *message, uint64_t device_ms,
                        uint64_t ping_ns);
// Writes what the socket takes. Sets `blocked` if that was not all.
int bench_camera_flush(struct bench_camera *camera);
// Reads what has come. Calls pong() for every answered ping. Sets `closed`.
int bench_camera_receive(struct bench_camera *camera, void (*pong)(void *context, uint64_t ping_ns), void *context);
// Says goodbye: a close frame, or on raw cameras the end of the stream. Only between messages.
int bench_camera_finish(struct bench_camera *camera);
// Bytes that have left this side for good: written less what the kernel has not sent yet.
uint64_t bench_camera_sent(const struct bench_camera *camera);

#endif
