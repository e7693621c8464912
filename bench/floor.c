// The floor: what the kernel charges at the least for taking bytes from N TCP connections and putting
// them into N files. One thread, one level-triggered epoll loop, one recv of up to 64 KiB per readiness
// (less than asked for means empty, so no second call is needed to see that), one write per recv and
// file. It parses nothing, syncs nothing, and keeps nothing in memory.
//
// With --files 2 everything is written twice, to two files per connection: what a hub does that keeps
// stream.h264 beside the MP4 file.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FILES = 2, EVENTS = 256, RECEIVE_BYTES = 65536 };

struct peer {
    int socket; // also tells the listening socket and the signal descriptor apart
    int files[MAX_FILES];
};

struct floor_server {
    int epoll;
    const char *folder;
    unsigned file_count, peers;
    uint64_t received, written;
    struct peer listener, signals;
    bool stopping;
    uint8_t data[RECEIVE_BYTES];
};

static int watch(struct floor_server *server, struct peer *peer)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, peer->socket, &event) < 0 ? -errno : 0;
}

static void peer_close(struct floor_server *server, struct peer *peer)
{
    for (unsigned i = 0; i < server->file_count; i++)
        if (peer->files[i] >= 0)
            close(peer->files[i]);
    close(peer->socket);
    free(peer);
}

static int peer_open_files(struct floor_server *server, struct peer *peer)
{
    for (unsigned i = 0; i < server->file_count; i++)
        peer->files[i] = -1;
    for (unsigned i = 0; i < server->file_count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%04u-%u.bin", server->folder, server->peers, i);
        peer->files[i] = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (peer->files[i] < 0)
            return -errno;
    }
    server->peers++;
    return 0;
}

static int accept_peer(struct floor_server *server)
{
    struct peer *peer = malloc(sizeof *peer);
    if (!peer)
        return -ENOMEM;
    peer->socket = accept4(server->listener.socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer->socket < 0) {
        int err = errno == EAGAIN ? 0 : -errno;
        free(peer);
        return err;
    }
    int err = peer_open_files(server, peer);
    if (err == 0)
        err = watch(server, peer);
    if (err < 0)
        peer_close(server, peer);
    return err;
}

static int write_all(struct floor_server *server, int file, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = write(file, server->data + at, size - at);
        if (n < 0)
            return -errno;
        at += (size_t)n;
        server->written += (uint64_t)n;
    }
    return 0;
}

static int receive(struct floor_server *server, struct peer *peer)
{
    ssize_t n = recv(peer->socket, server->data, sizeof server->data, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        peer_close(server, peer);
        return 0;
    }
    server->received += (uint64_t)n;
    for (unsigned i = 0; i < server->file_count; i++) {
        int err = write_all(server, peer->files[i], (size_t)n);
        if (err < 0)
            return err;
    }
    return 0;
}

static int serve(struct floor_server *server)
{
    struct epoll_event events[EVENTS];
    while (!server->stopping) {
        int n = epoll_wait(server->epoll, events, EVENTS, -1);
        if (n < 0)
            return -errno;
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            int err = 0;
            if (peer == &server->listener)
                err = accept_peer(server);
            else if (peer == &server->signals)
                server->stopping = true;
            else
                err = receive(server, peer);
            if (err < 0)
                return err;
        }
    }
    return 0;
}

static int start_listening(struct floor_server *server, unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    server->listener.socket = fd;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    fprintf(stderr, "listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
    return watch(server, &server->listener);
}

static int watch_signals(struct floor_server *server)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    server->signals.socket = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return server->signals.socket < 0 ? -errno : watch(server, &server->signals);
}

static int run(struct floor_server *server, unsigned port)
{
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll < 0)
        return -errno;
    int err = watch_signals(server);
    if (err == 0)
        err = start_listening(server, port);
    return err < 0 ? err : serve(server);
}

int main(int argc, char **argv)
{
    static struct floor_server server = {.file_count = 1};
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"files", required_argument, NULL, 'f'},
                                            {NULL, 0, NULL, 0}};
    unsigned port = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p')
            port = (unsigned)atoi(optarg);
        else if (option == 'd')
            server.folder = optarg;
        else if (option == 'f')
            server.file_count = (unsigned)atoi(optarg);
    }
    if (!server.folder || optind < argc || port > 65535 || server.file_count > MAX_FILES) {
        fprintf(stderr, "usage: floor --dir FOLDER [--port N] [--files 0|1|2]\n");
        return 2;
    }
    int err = run(&server, port);
    if (err < 0)
        fprintf(stderr, "floor: %s\n", strerror(-err));
    printf("{\"received\":%" PRIu64 ",\"written\":%" PRIu64 "}\n", server.received, server.written);
    return err < 0;
}
