// Client connections to 127.0.0.1, set up with blocking calls: that part is not measured.
#ifndef CH_BENCH_SOCKET_H
#define CH_BENCH_SOCKET_H

#include <stddef.h>

// Connects, and with a path also upgrades to WebSocket there; nothing behind the response is read. With
// `receive_bytes` other than 0 that is the socket's SO_RCVBUF. A descriptor (the caller's) or a negative errno, -EPROTO
// if the upgrade was refused. Blocks, at most 10 s for each answer.
int bench_socket_open(unsigned port, const char *path, int receive_bytes);
// Sends everything, waiting for the socket if need be. 0 or a negative errno.
int bench_socket_send(int fd, const void *data, size_t size);

#endif
