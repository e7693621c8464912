// One TCP connection, non-blocking, watched by the loop. It moves bytes and knows nothing of what
// they mean: an ops table says where the next bytes go and takes note when they came.
//
// Reading goes straight into the owner's memory (`want` names up to two places). Writing is queued
// only where the socket does not take it at once; the owner sees the queue and a `drained` call.
// Closing has two phases: ch_conn_close() stops everything now; `closed` is the last call ever made,
// and only then may the memory go. One thread: the loop's.
#ifndef CH_NET_CONN_H
#define CH_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <uv.h>

struct ch_conn;

struct ch_conn_ops {
    // Fills up to two vectors (total at least 1 byte) to read into; their number. 0: nothing wanted now.
    int (*want)(struct ch_conn *conn, struct iovec iov[2]);
    // `size` bytes came into the places named last. Below 0: the connection was or must be given up;
    // it is closed if it is not yet.
    int (*got)(struct ch_conn *conn, size_t size);
    // The peer will send no more (`error` 0), or the connection broke (negative errno).
    void (*ended)(struct ch_conn *conn, int error);
    // Everything queued is with the kernel; or there is room again, where that was wanted.
    void (*drained)(struct ch_conn *conn);
    void (*closed)(struct ch_conn *conn);
};

struct ch_conn_block; // a queued piece of output

struct ch_conn {
    // What sending looks at comes first: one picture goes to thousands of connections.
    const struct ch_conn_ops *ops;
    void *owner;
    int fd;
    bool reading, read_ended, closing, want_room;
    int watched; // UV_READABLE | UV_WRITABLE
    struct ch_conn_block *out_first, **out_last;
    size_t out_bytes;  // queued, not with the kernel
    size_t out_copied; // of those in copies of ours
    uint64_t out_total;
    uint64_t in_total;
    int64_t last_in_us; // monotonic, when the last bytes came
    uv_poll_t poll;
    char peer[64];      // "192.0.2.7:41234" or "[2001:db8::1]:41234"
    char peer_name[64]; // as part of a file name: "192.0.2.7_41234", colons become '-'
};

// Takes the socket on success. 0 or a negative errno.
int ch_conn_open(struct ch_conn *conn, uv_loop_t *loop, int fd, const struct ch_conn_ops *ops, void *owner);
// Stops or resumes reading; while stopped, the kernel's buffers fill up and TCP pushes back.
void ch_conn_read(struct ch_conn *conn, bool on);
// Sends now what the socket takes and queues a copy of the rest. 0, -ENOBUFS if the queue's copies would pass
// max_queued bytes (nothing is queued then, but part may have been sent: give the connection up),
// -ENOMEM, or the socket's error.
int ch_conn_send(struct ch_conn *conn, const struct iovec *iov, size_t count, size_t max_queued);
// Sends now what the socket takes, and nothing behind bytes that are queued. Bytes taken (0: none now), or a
// negative errno.
ssize_t ch_conn_try_send(struct ch_conn *conn, const struct iovec *iov, size_t count);
// Queues bytes that stay where they are until `release` is called: sent, or the connection closed; or at once
// if it fails. 0, -EPIPE or -ENOMEM.
int ch_conn_queue(struct ch_conn *conn, const void *data, size_t size, void (*release)(void *context), void *context);
// `drained` will be called when the socket takes bytes again, whether or not anything is queued.
void ch_conn_want_room(struct ch_conn *conn);
// The kernel takes no more than about so many bytes that are not yet on the wire: for peers that may stop
// reading, and would rather skip than read old bytes later.
void ch_conn_limit_unsent(struct ch_conn *conn, int bytes);
// No more will be sent once the queue is empty (TCP FIN).
void ch_conn_shutdown(struct ch_conn *conn);
void ch_conn_close(struct ch_conn *conn);

// A listening socket on HOST (name or address, IPv4 or IPv6) and port (0: any). The socket, with the
// port in *actual_port, or a negative errno, with a message in error.
int ch_listen(const char *host, uint16_t port, uint16_t *actual_port, char *error, size_t error_bytes);

#endif
