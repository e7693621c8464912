// One viewer of a live stream: a TCP connection from which it reads WebSocket frames as they come, keeping of each no
// more than its first bytes. What it accepts as a picture is one binary message that is some head, the last 8 bytes
// of which are an `mdat` box's, and a picture of the load generator's in one of its two forms (Annex B, or lengths
// for start codes), the next one by its number. Of one picture in 16 every byte behind the stamp is compared with
// what was sent.
#ifndef CH_BENCH_VIEWER_H
#define CH_BENCH_VIEWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "content.h"

#define BENCH_FRONT_BYTES 192u

// What the camera sends: a key picture and another one of the same size, both plain, and how they alternate.
struct bench_program {
    struct bench_message key, delta;
    unsigned key_interval;
};

struct bench_viewer {
    int fd;
    // The WebSocket frame being read.
    uint8_t head[10];
    uint8_t front[BENCH_FRONT_BYTES]; // its payload's beginning
    unsigned head_bytes;
    uint64_t size, at;
    bool picture;
    const uint8_t *compare; // NULL, or the picture's bytes as sent: of a picture that is compared
    size_t compare_bytes;
    uint64_t prefix;                                           // what lies in front of the picture
    uint32_t next;                                             // number of the picture expected
    uint64_t bytes, pictures, compared, lost, drops, restarts; // restarts: init segments after the first
    const char *fault;                                         // of -EBADMSG
};

// Called for each whole picture.
struct bench_viewer_ops {
    void (*picture)(void *context, uint32_t number, int64_t sent_ns);
    void *context;
};

// Connects to 127.0.0.1:port and upgrades at `path`; with NULL there is no upgrade, though the server still frames
// what it sends. `receive_bytes` as in bench_socket_open. 0 or a negative errno. Blocks.
int bench_viewer_open(struct bench_viewer *viewer, unsigned port, const char *path, int receive_bytes);
// One recv and what it brings. 0; -EBADMSG with `fault` if that is not what a server may send; another negative
// errno, -ECONNRESET for the end of the connection too.
int bench_viewer_receive(struct bench_viewer *viewer, const struct bench_program *program,
                         const struct bench_viewer_ops *ops);
void bench_viewer_close(struct bench_viewer *viewer);

#endif
