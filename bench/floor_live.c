// The floor of live viewing: what the kernel charges at the least for taking one camera's frames from a TCP
// connection and sending each to N others. One thread, one level-triggered epoll loop, one send per frame and socket,
// all from one buffer. It parses nothing and keeps nothing: whoever sends is the camera, all messages are of the size
// given, all others are viewers. Viewers' sockets block: one that does not read would stop everything.
//
// A frame goes out as camhub sends it: 4 bytes of WebSocket head, 112 bytes of fragment header, the sample; only that
// the fragment header is zeros but for the size and type of its last box. What the camera sends is that sample behind
// a WebSocket head and a camera header of 24 bytes together.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

enum { EVENTS = 256, MAX_SOCKETS = 65536 };
enum { CAMERA_HEAD_BYTES = 24, WS_HEAD_BYTES = 4, FRAGMENT_HEAD_BYTES = 112 };
enum { OUT_HEAD_BYTES = WS_HEAD_BYTES + FRAGMENT_HEAD_BYTES, ROOM_BYTES = OUT_HEAD_BYTES - CAMERA_HEAD_BYTES };
enum { MAX_SAMPLE_BYTES = UINT16_MAX - FRAGMENT_HEAD_BYTES };

struct floor_live {
    int epoll, listener, signals;
    int camera; // -1 before it has sent something
    int viewers[MAX_SOCKETS];
    unsigned viewer_count;
    size_t message_bytes, received; // received: of the message that is coming
    uint64_t frames, sends;
    bool stopping;
    uint8_t head[OUT_HEAD_BYTES];
    uint8_t out[OUT_HEAD_BYTES + MAX_SAMPLE_BYTES]; // a message is received ROOM_BYTES into it
};

static void put_be(uint8_t *out, uint32_t value, unsigned bytes)
{
    while (bytes-- > 0) {
        out[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

static void make_head(struct floor_live *server)
{
    uint32_t sample = (uint32_t)(server->message_bytes - CAMERA_HEAD_BYTES);
    uint8_t *box = server->head + OUT_HEAD_BYTES - 8;
    server->head[0] = 0x82; // RFC 6455 5.2: one binary message, length in 16 bits
    server->head[1] = 126;
    put_be(server->head + 2, FRAGMENT_HEAD_BYTES + sample, 2);
    put_be(box, 8 + sample, 4);
    memcpy(box + 4, "mdat", 4);
}

static int send_frame(struct floor_live *server)
{
    size_t size = server->message_bytes + ROOM_BYTES;
    memcpy(server->out, server->head, sizeof server->head);
    for (unsigned i = 0; i < server->viewer_count; i++) {
        ssize_t n = send(server->viewers[i], server->out, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EPIPE && errno != ECONNRESET)
            return -errno;
        if (n >= 0 && (size_t)n != size)
            return -EIO;
        server->sends++;
    }
    server->frames++;
    return 0;
}

static int watch(struct floor_live *server, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

// 1, 0 if nobody waits, or a negative errno.
static int accept_viewer(struct floor_live *server)
{
    int one = 1, fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (server->viewer_count == MAX_SOCKETS) {
        close(fd);
        return -EMFILE;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    server->viewers[server->viewer_count++] = fd;
    int err = watch(server, fd);
    return err < 0 ? err : 1;
}

static int accept_viewers(struct floor_live *server)
{
    int n;
    do
        n = accept_viewer(server);
    while (n > 0);
    return n;
}

static void remove_viewer(struct floor_live *server, int fd)
{
    for (unsigned i = 0; i < server->viewer_count; i++)
        if (server->viewers[i] == fd) {
            server->viewers[i] = server->viewers[--server->viewer_count];
            return;
        }
}

static int receive(struct floor_live *server, int fd)
{
    uint8_t *at = server->out + ROOM_BYTES + server->received;
    ssize_t n = recv(fd, at, server->message_bytes - server->received, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (fd != server->camera) {
        remove_viewer(server, fd);
        if (n > 0)
            server->camera = fd;
    }
    if (n <= 0) {
        if (fd == server->camera)
            server->camera = -1;
        close(fd);
        return 0;
    }
    server->received += (size_t)n;
    if (server->received < server->message_bytes)
        return 0;
    server->received = 0;
    int err = server->frames == 0 ? accept_viewers(server) : 0; // who connected before the first picture gets it
    return err < 0 ? err : send_frame(server);
}

static int handle(struct floor_live *server, int fd)
{
    if (fd == server->listener)
        return accept_viewers(server);
    if (fd == server->signals) {
        server->stopping = true;
        return 0;
    }
    return receive(server, fd);
}

static int serve(struct floor_live *server)
{
    struct epoll_event events[EVENTS];
    while (!server->stopping) {
        int n = epoll_wait(server->epoll, events, EVENTS, -1);
        if (n < 0)
            return -errno;
        for (int i = 0; i < n; i++) {
            int err = handle(server, events[i].data.fd);
            if (err < 0)
                return err;
        }
    }
    return 0;
}

static int start_listening(struct floor_live *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || bind(server->listener, (struct sockaddr *)&address, size) < 0 ||
        listen(server->listener, 4096) < 0 || getsockname(server->listener, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    fprintf(stderr, "floor-live: listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
    return watch(server, server->listener);
}

static int watch_signals(struct floor_live *server)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    server->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return server->signals < 0 ? -errno : watch(server, server->signals);
}

static int run(struct floor_live *server)
{
    make_head(server);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    int err = server->epoll < 0 ? -errno : watch_signals(server);
    if (err == 0)
        err = start_listening(server);
    return err < 0 ? err : serve(server);
}

int main(int argc, char **argv)
{
    static struct floor_live server = {.camera = -1};
    static const struct option options[] = {{"message", required_argument, NULL, 'm'}, {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (option == 'm')
            server.message_bytes = (size_t)strtoul(optarg, NULL, 10);
    if (optind < argc || server.message_bytes <= CAMERA_HEAD_BYTES + 125 ||
        server.message_bytes > CAMERA_HEAD_BYTES + MAX_SAMPLE_BYTES) {
        fprintf(stderr, "usage: floor-live --message BYTES\n  BYTES: the camera's, WebSocket head included\n");
        return 2;
    }
    int err = run(&server);
    if (err < 0)
        fprintf(stderr, "floor-live: %s\n", strerror(-err));
    printf("{\"frames\":%" PRIu64 ",\"sends\":%" PRIu64 "}\n", server.frames, server.sends);
    return err < 0;
}
