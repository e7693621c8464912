#include "net/conn.h"

#include "base/clock.h"
#include "base/limits.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ch_conn_block {
    struct ch_conn_block *next;
    size_t size, sent;
    const uint8_t *data; // `copy`, or memory of somebody who is told by `release`
    void (*release)(void *context);
    void *context;
    uint8_t copy[];
};

// A read of fewer bytes than this asks for little by design (a frame's head); more may well be waiting.
#define SMALL_READ 64

static void on_poll(uv_poll_t *poll, int status, int events);

// Tells the kernel what we wait for, if that changed.
static void watch(struct ch_conn *conn)
{
    int want =
        (conn->reading && !conn->read_ended ? UV_READABLE : 0) | (conn->out_first || conn->want_room ? UV_WRITABLE : 0);
    if (conn->closing || want == conn->watched)
        return;
    conn->watched = want;
    if (want)
        uv_poll_start(&conn->poll, want, on_poll);
    else
        uv_poll_stop(&conn->poll);
}

static void name_peer(struct ch_conn *conn)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[NI_MAXHOST] = "unknown", port[NI_MAXSERV] = "0";
    if (getpeername(conn->fd, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    const char *plain = strncmp(host, "::ffff:", 7) == 0 ? host + 7 : host; // IPv4 on an IPv6 socket
    snprintf(conn->peer, sizeof conn->peer, strchr(plain, ':') ? "[%.45s]:%.5s" : "%.45s:%.5s", plain, port);
    snprintf(conn->peer_name, sizeof conn->peer_name, "%.45s_%.5s", plain, port);
    for (char *c = conn->peer_name; *c; c++)
        if (*c == ':' || *c == '%')
            *c = '-';
}

int ch_conn_open(struct ch_conn *conn, uv_loop_t *loop, int fd, const struct ch_conn_ops *ops, void *owner)
{
    memset(conn, 0, sizeof *conn);
    conn->ops = ops;
    conn->owner = owner;
    conn->fd = fd;
    conn->out_last = &conn->out_first;
    conn->last_in_us = ch_clock_mono_us();
    int rc = uv_poll_init_socket(loop, &conn->poll, fd);
    if (rc < 0)
        return rc;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn->poll.data = conn;
    name_peer(conn);
    conn->reading = true;
    watch(conn);
    return 0;
}

void ch_conn_read(struct ch_conn *conn, bool on)
{
    conn->reading = on;
    watch(conn);
}

// --- reading ---

static void end_reading(struct ch_conn *conn, int error)
{
    conn->read_ended = true;
    watch(conn);
    conn->ops->ended(conn, error);
}

static void read_some(struct ch_conn *conn)
{
    size_t total = 0;
    while (conn->reading && !conn->closing && total < CH_LIMIT_READ_PER_WAKEUP) {
        struct iovec iov[2];
        int count = conn->ops->want(conn, iov);
        if (count == 0)
            return;
        size_t asked = iov[0].iov_len + (count > 1 ? iov[1].iov_len : 0);
        ssize_t n = readv(conn->fd, iov, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            end_reading(conn, n < 0 ? -errno : 0);
            return;
        }
        conn->in_total += (uint64_t)n;
        total += (size_t)n;
        if (conn->ops->got(conn, (size_t)n) < 0) {
            ch_conn_close(conn);
            return;
        }
        if ((size_t)n < asked && asked > SMALL_READ) // the socket is empty, no need to ask it again
            return;
    }
}

// --- writing ---

static void note_out(struct ch_conn *conn, const struct ch_conn_block *block, size_t gone)
{
    conn->out_bytes -= gone;
    if (!block->release)
        conn->out_copied -= gone;
}

static void drop_block(struct ch_conn *conn)
{
    struct ch_conn_block *block = conn->out_first;
    conn->out_first = block->next;
    note_out(conn, block, block->size - block->sent);
    if (!conn->out_first)
        conn->out_last = &conn->out_first;
    if (block->release)
        block->release(block->context);
    free(block);
}

static void drop_blocks(struct ch_conn *conn)
{
    while (conn->out_first)
        drop_block(conn);
}

static void write_some(struct ch_conn *conn)
{
    while (conn->out_first) {
        struct ch_conn_block *block = conn->out_first;
        ssize_t n = send(conn->fd, block->data + block->sent, block->size - block->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n < 0) {
            int error = -errno;
            drop_blocks(conn);
            end_reading(conn, error);
            return;
        }
        block->sent += (size_t)n;
        note_out(conn, block, (size_t)n);
        conn->out_total += (uint64_t)n;
        if (block->sent == block->size)
            drop_block(conn);
    }
    conn->want_room = false;
    watch(conn);
    conn->ops->drained(conn);
}

static void append_block(struct ch_conn *conn, struct ch_conn_block *block)
{
    *conn->out_last = block;
    conn->out_last = &block->next;
    conn->out_bytes += block->size;
    watch(conn);
}

static int queue_copy(struct ch_conn *conn, const struct iovec *iov, size_t count, size_t skip, size_t rest)
{
    struct ch_conn_block *block = malloc(sizeof *block + rest);
    if (!block)
        return -ENOMEM;
    *block = (struct ch_conn_block){.size = rest, .data = block->copy};
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        size_t from = skip < iov[i].iov_len ? skip : iov[i].iov_len;
        if (iov[i].iov_len > from) // an empty vector may point nowhere
            memcpy(block->copy + at, (const uint8_t *)iov[i].iov_base + from, iov[i].iov_len - from);
        at += iov[i].iov_len - from;
        skip -= from;
    }
    conn->out_copied += rest;
    append_block(conn, block);
    return 0;
}

ssize_t ch_conn_try_send(struct ch_conn *conn, const struct iovec *iov, size_t count)
{
    if (conn->closing)
        return -EPIPE;
    if (conn->out_first)
        return 0;
    union {
        const struct iovec *in;
        struct iovec *out;
    } cast = {.in = iov};
    struct msghdr message = {.msg_iov = cast.out, .msg_iovlen = count < IOV_MAX ? count : IOV_MAX};
    ssize_t n;
    do // most have one piece only, and a plain send is a little cheaper
        n = count == 1 ? send(conn->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL)
                       : sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    conn->out_total += (uint64_t)n;
    return n;
}

int ch_conn_queue(struct ch_conn *conn, const void *data, size_t size, void (*release)(void *context), void *context)
{
    struct ch_conn_block *block = conn->closing ? NULL : malloc(sizeof *block);
    if (!block) {
        release(context);
        return conn->closing ? -EPIPE : -ENOMEM;
    }
    *block = (struct ch_conn_block){.size = size, .data = data, .release = release, .context = context};
    append_block(conn, block);
    return 0;
}

void ch_conn_want_room(struct ch_conn *conn)
{
    conn->want_room = true;
    watch(conn);
}

void ch_conn_limit_unsent(struct ch_conn *conn, int bytes)
{
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

int ch_conn_send(struct ch_conn *conn, const struct iovec *iov, size_t count, size_t max_queued)
{
    if (conn->closing)
        return -EPIPE;
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += iov[i].iov_len;
    ssize_t sent = ch_conn_try_send(conn, iov, count);
    if (sent < 0)
        return (int)sent;
    size_t rest = total - (size_t)sent;
    if (rest == 0)
        return 0;
    if (conn->out_copied + rest > max_queued)
        return -ENOBUFS;
    return queue_copy(conn, iov, count, (size_t)sent, rest);
}

void ch_conn_shutdown(struct ch_conn *conn)
{
    if (!conn->closing)
        shutdown(conn->fd, SHUT_WR);
}

// --- life ---

static int socket_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error == 0)
        return -ECONNRESET;
    return -error;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct ch_conn *conn = poll->data;
    if (status < 0) { // libuv says no more than that; the socket knows what happened
        end_reading(conn, socket_error(conn->fd));
        return;
    }
    if (events & UV_READABLE) {
        conn->last_in_us = ch_clock_mono_us();
        read_some(conn);
    }
    if (!conn->closing && (events & UV_WRITABLE))
        write_some(conn);
}

static void on_closed(uv_handle_t *handle)
{
    struct ch_conn *conn = handle->data;
    close(conn->fd);
    conn->ops->closed(conn);
}

void ch_conn_close(struct ch_conn *conn)
{
    if (conn->closing)
        return;
    conn->closing = true;
    uv_poll_stop(&conn->poll);
    drop_blocks(conn);
    uv_close((uv_handle_t *)&conn->poll, on_closed);
}

// --- listening ---

static int listen_on(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

int ch_listen(const char *host, uint16_t port, uint16_t *actual_port, char *error, size_t error_bytes)
{
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        snprintf(error, error_bytes, "%s is no address of this machine: %s", host, gai_strerror(rc));
        return -EADDRNOTAVAIL;
    }
    int fd = listen_on(found);
    freeaddrinfo(found);
    if (fd < 0) {
        snprintf(error, error_bytes, "cannot listen on %s port %u: %s%s", host, (unsigned)port, strerror(-fd),
                 fd == -EADDRINUSE ? " (is another hub running? choose another with --port)" : "");
        return fd;
    }
    *actual_port = port_of(fd);
    return fd;
}
