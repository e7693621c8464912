// Connecting and upgrading, see socket.h.
#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SETUP_TIMEOUT_MS = 10000 };

static int wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n = poll(&p, 1, SETUP_TIMEOUT_MS);
    if (n < 0)
        return -errno;
    return n == 0 ? -ETIMEDOUT : 0;
}

int bench_socket_send(int fd, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            int err = wait_for(fd, POLLOUT);
            if (err < 0)
                return err;
            continue;
        }
        if (n < 0)
            return -errno;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

// Reads byte by byte up to the empty line, so that nothing behind it is taken: once per connection.
static int read_response(int fd)
{
    char response[1024];
    size_t size = 0;
    while (size < 4 || memcmp(response + size - 4, "\r\n\r\n", 4) != 0) {
        if (size == sizeof response)
            return -EPROTO;
        ssize_t n = recv(fd, response + size, 1, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            int err = wait_for(fd, POLLIN);
            if (err < 0)
                return err;
            continue;
        }
        if (n <= 0)
            return n < 0 ? -errno : -ECONNRESET;
        size++;
    }
    return memcmp(response, "HTTP/1.1 101", 12) == 0 ? 0 : -EPROTO;
}

static int upgrade(int fd, unsigned port, const char *path)
{
    char request[512];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: Y2FtaHViIGJlbmNobWFyaw==\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n",
                        path, port);
    if (size < 0 || (size_t)size >= sizeof request)
        return -ENAMETOOLONG;
    int err = bench_socket_send(fd, request, (size_t)size);
    return err < 0 ? err : read_response(fd);
}

int bench_socket_open(unsigned port, const char *path, int receive_bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); // as OkHttp does
    if (receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    int err = connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
    if (err == 0 && path)
        err = upgrade(fd, port, path);
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}
