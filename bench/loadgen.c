// Load generator: N phones in one process, one thread, one epoll loop.
//
// It does the phone's conversation (ready, capabilities, capture_started, parameter sets, an IDR picture
// first, capture_stopped) with messages built beforehand; what is left per message is stamping 40 bytes
// and one sendmsg. Paced: message m of all goes out at m * period / cameras, so the cameras are spread
// evenly in phase. Saturated (--rate 0): every camera sends whenever its socket takes more.
//
// Warm-up, then a window, at whose edges it reads the server's CPU clock and what the server has taken
// from its sockets; then everything in flight is sent, the recording stopped, the connections closed in
// order. Events and the result are JSON lines on standard output; times in them are CLOCK_MONOTONIC.
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "camera.h"
#include "content.h"
#include "usage.h"

#define NS_PER_S 1000000000
#define NS_PER_MS 1000000
#define DEVICE_BASE_MS 86400123u // a phone that booted a day ago
#define STDIN_TAG UINT32_MAX

enum { DRAIN_TIMEOUT_S = 60, HOLD_TIMEOUT_S = 300, PINGS_PER_S = 10, EVENTS = 64 };

struct options {
    unsigned port, cameras, rate, key_interval, frames;
    size_t size, key_size;
    int64_t warmup_ns, window_ns, pause_ns;
    bool raw, idle, gate, hold;
    int server_core, client_core;
    pid_t server;
};

struct slot {
    struct bench_camera camera;
    uint64_t owed; // messages due and not begun
    bool want_out; // EPOLLOUT is asked for
};

struct generator {
    struct options options;
    struct bench_message sets, key, delta;
    struct slot *slots;
    unsigned open;
    int epoll;
    bool streaming, finishing, released; // released: standard input had a line or ended
    int64_t start_ns, window_begin_ns, window_end_ns, next_ping_ns;
    uint64_t dispatched; // paced: messages of all cameras that have come due
    struct bench_samples lags, pings;
};

// Totals at one edge of the window.
struct edge {
    struct bench_usage usage;
    uint64_t messages, sent, received;
};

static int64_t period_ns(const struct generator *g)
{
    return NS_PER_S / g->options.rate;
}

// When message k of camera i is due.
static int64_t due_ns(const struct generator *g, uint64_t k, unsigned i)
{
    unsigned n = g->options.cameras;
    return g->start_ns + (int64_t)(k * n + i) * period_ns(g) / n;
}

static bool is_key(const struct generator *g, unsigned i)
{
    uint64_t k = g->slots[i].camera.frames;
    return k == 0 || (k + i) % g->options.key_interval == 0;
}

static void begin_message(struct generator *g, unsigned i, int64_t now)
{
    struct bench_camera *camera = &g->slots[i].camera;
    int64_t taken_ns = now, ping_ns = 0;
    if (g->options.rate > 0) {
        taken_ns = due_ns(g, camera->frames, i);
        if (now >= g->window_begin_ns && now < g->window_end_ns)
            bench_samples_add(&g->lags, now - taken_ns);
        if (now >= g->next_ping_ns) {
            ping_ns = now;
            g->next_ping_ns += NS_PER_S / PINGS_PER_S;
        }
    }
    uint64_t device_ms = DEVICE_BASE_MS + (uint64_t)(taken_ns - g->start_ns) / NS_PER_MS;
    bench_camera_begin(camera, is_key(g, i) ? &g->key : &g->delta, device_ms, (uint64_t)ping_ns);
}

static int ask_events(struct generator *g, unsigned i, bool want_out)
{
    struct slot *slot = &g->slots[i];
    struct epoll_event event = {.events = EPOLLIN | (want_out ? EPOLLOUT : 0u), .data.u32 = i};
    if (slot->want_out == want_out)
        return 0;
    slot->want_out = want_out;
    return epoll_ctl(g->epoll, EPOLL_CTL_MOD, slot->camera.fd, &event) < 0 ? -errno : 0;
}

// Paced: sends what is owed, as far as the socket takes it.
static int pump_owed(struct generator *g, unsigned i)
{
    struct slot *slot = &g->slots[i];
    for (;;) {
        int err = bench_camera_flush(&slot->camera);
        if (err < 0)
            return err;
        if (slot->camera.blocked || slot->owed == 0)
            return ask_events(g, i, slot->camera.blocked);
        slot->owed--;
        begin_message(g, i, bench_now_ns());
    }
}

// Saturated: one message per turn, so that all cameras get the same.
static int pump_saturated(struct generator *g, unsigned i)
{
    struct slot *slot = &g->slots[i];
    int err = bench_camera_flush(&slot->camera);
    if (err == 0 && g->streaming && !slot->camera.blocked) {
        begin_message(g, i, bench_now_ns());
        err = bench_camera_flush(&slot->camera);
    }
    return err < 0 ? err : ask_events(g, i, g->streaming || slot->camera.blocked);
}

static int pump(struct generator *g, unsigned i)
{
    return g->options.rate > 0 ? pump_owed(g, i) : pump_saturated(g, i);
}

static int dispatch_due(struct generator *g, int64_t now)
{
    unsigned n = g->options.cameras;
    int64_t until = now < g->window_end_ns ? now : g->window_end_ns;
    while (due_ns(g, g->dispatched / n, (unsigned)(g->dispatched % n)) < until) {
        unsigned i = (unsigned)(g->dispatched++ % n);
        g->slots[i].owed++;
        int err = pump(g, i);
        if (err < 0)
            return err;
    }
    return 0;
}

static void pong_came(void *context, uint64_t ping_ns)
{
    struct generator *g = context;
    int64_t sent_ns = (int64_t)ping_ns;
    if (sent_ns >= g->window_begin_ns && sent_ns < g->window_end_ns)
        bench_samples_add(&g->pings, bench_now_ns() - sent_ns);
}

static int camera_event(struct generator *g, unsigned i, uint32_t events)
{
    struct bench_camera *camera = &g->slots[i].camera;
    int err = 0;
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        err = bench_camera_receive(camera, pong_came, g);
    if ((err == -ECONNRESET || err == -EPIPE) && g->finishing) {
        camera->closed = true;
        err = 0;
    }
    if (camera->closed) {
        if (!g->finishing)
            return -ECONNRESET;
        epoll_ctl(g->epoll, EPOLL_CTL_DEL, camera->fd, NULL);
        close(camera->fd);
        camera->fd = -1;
        g->open--;
        return 0;
    }
    if (err == 0 && events & EPOLLOUT)
        err = pump(g, i);
    return err;
}

static void stdin_event(struct generator *g)
{
    char line[256];
    ssize_t n = read(STDIN_FILENO, line, sizeof line);
    if (n >= 0 || errno != EINTR)
        g->released = true;
}

// Waits until `until_ns` or something happens, and handles what happened.
static int turn(struct generator *g, int64_t until_ns)
{
    struct epoll_event events[EVENTS];
    int64_t left = until_ns - bench_now_ns();
    struct timespec timeout = {0};
    if (left > 0)
        timeout = (struct timespec){.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
    int n = epoll_pwait2(g->epoll, events, EVENTS, &timeout, NULL);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int k = 0; k < n; k++) {
        unsigned i = events[k].data.u32;
        if (i == STDIN_TAG) {
            stdin_event(g);
            continue;
        }
        int err = camera_event(g, i, events[k].events);
        if (err < 0) {
            fprintf(stderr, "loadgen: camera %u: %s\n", i, strerror(-err));
            return err;
        }
    }
    return 0;
}

static int read_edge(struct generator *g, struct edge *edge)
{
    *edge = (struct edge){0};
    for (unsigned i = 0; i < g->options.cameras; i++) {
        edge->messages += g->slots[i].camera.messages;
        edge->sent += bench_camera_sent(&g->slots[i].camera);
    }
    uint64_t unread = bench_unread_bytes(g->options.port);
    edge->received = edge->sent > unread ? edge->sent - unread : 0;
    return bench_usage_read(&edge->usage, g->options.server, g->options.server_core, g->options.client_core);
}

// Sends until `end_ns`, then returns.
static int stream_until(struct generator *g, int64_t end_ns)
{
    for (;;) {
        int64_t now = bench_now_ns(), next = end_ns;
        if (g->options.rate > 0) {
            int err = dispatch_due(g, now);
            if (err < 0)
                return err;
            unsigned n = g->options.cameras;
            int64_t due = due_ns(g, g->dispatched / n, (unsigned)(g->dispatched % n));
            next = due < end_ns ? due + 1 : end_ns;
        }
        if (now >= end_ns)
            return 0;
        int err = turn(g, next);
        if (err < 0)
            return err;
    }
}

static bool all_sent(const struct generator *g)
{
    for (unsigned i = 0; i < g->options.cameras; i++)
        if (g->slots[i].owed > 0 || bench_camera_sending(&g->slots[i].camera))
            return false;
    return true;
}

static bool all_closed(const struct generator *g)
{
    return g->open == 0;
}

static bool released(const struct generator *g)
{
    return g->released;
}

static int turn_until(struct generator *g, bool (*done)(const struct generator *), int64_t timeout_ns)
{
    int64_t deadline = bench_now_ns() + timeout_ns;
    while (!done(g)) {
        int err = turn(g, deadline);
        if (err < 0)
            return err;
        if (!done(g) && bench_now_ns() >= deadline)
            return -ETIMEDOUT;
    }
    return 0;
}

static void print_event(const char *name)
{
    printf("{\"event\":\"%s\",\"ns\":%" PRId64 "}\n", name, bench_now_ns());
    fflush(stdout);
}

static double busy_share(int64_t idle_ns, int64_t all_ns)
{
    return idle_ns >= all_ns ? 0 : 1 - (double)idle_ns / (double)all_ns;
}

static void print_result(struct generator *g, const struct edge *a, const struct edge *b)
{
    const struct bench_usage *u = &a->usage, *v = &b->usage;
    uint64_t messages = 0, pictures = 0, written = 0, payload = 0;
    for (unsigned i = 0; i < g->options.cameras; i++) {
        messages += g->slots[i].camera.messages;
        pictures += g->slots[i].camera.frames;
        written += g->slots[i].camera.written;
        payload += g->slots[i].camera.payload;
    }
    printf("{\"event\":\"result\",\"cameras\":%u,\"messages\":%" PRIu64 ",\"pictures\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"payload_bytes\":%" PRIu64,
           g->options.cameras, messages, pictures, written, payload);
    printf(",\"window\":{\"seconds\":%.6f,\"messages\":%" PRIu64 ",\"sent_bytes\":%" PRIu64
           ",\"received_bytes\":%" PRIu64,
           (double)(v->time_ns - u->time_ns) / NS_PER_S, b->messages - a->messages, b->sent - a->sent,
           b->received - a->received);
    printf(",\"server_cpu_s\":%.6f,\"client_cpu_s\":%.6f,\"server_core_busy\":%.4f,\"client_core_busy\":%.4f}",
           (double)(v->server_cpu_ns - u->server_cpu_ns) / NS_PER_S,
           (double)(v->client_cpu_ns - u->client_cpu_ns) / NS_PER_S,
           busy_share(v->server_core_idle_ns - u->server_core_idle_ns, v->time_ns - u->time_ns),
           busy_share(v->client_core_idle_ns - u->client_core_idle_ns, v->time_ns - u->time_ns));
    printf(",\"lag_us\":");
    bench_samples_print(&g->lags);
    printf(",\"ping_us\":");
    bench_samples_print(&g->pings);
    printf("}\n");
    fflush(stdout);
}

static int open_cameras(struct generator *g)
{
    for (unsigned i = 0; i < g->options.cameras; i++) {
        struct bench_camera *camera = &g->slots[i].camera;
        char name[32];
        snprintf(name, sizeof name, "bench-%03u", i);
        int err = bench_camera_open(camera, g->options.port, name, g->options.raw);
        if (err < 0)
            return err;
        g->open++;
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, camera->fd, &event) < 0)
            return -errno;
        err = bench_camera_greet(camera);
        if (err < 0)
            return err;
    }
    print_event("connected");
    return 0;
}

// capture_started, and the parameter sets with time 0, as MediaCodec gives them.
static int start_captures(struct generator *g)
{
    for (unsigned i = 0; i < g->options.cameras; i++) {
        struct bench_camera *camera = &g->slots[i].camera;
        int err = bench_camera_text(camera, "{\"status\":\"capture_started\",\"message\":\"Capture started.\"}");
        if (err < 0)
            return err;
        bench_camera_begin(camera, &g->sets, 0, 0);
        err = bench_camera_flush(camera);
        if (err < 0)
            return err;
    }
    return 0;
}

static int stop_captures(struct generator *g)
{
    static const char text[] = "{\"status\":\"capture_stopped\",\"message\":\"Capture stopped.\"}";
    int err = 0;
    print_event("stopping");
    for (unsigned i = 0; i < g->options.cameras && err == 0; i++)
        err = bench_camera_text(&g->slots[i].camera, text);
    return err;
}

static int stream(struct generator *g, struct edge *begin, struct edge *end)
{
    const struct options *o = &g->options;
    g->start_ns = bench_now_ns() + 50 * NS_PER_MS;
    g->window_begin_ns = g->next_ping_ns = g->start_ns + o->warmup_ns;
    g->window_end_ns = g->window_begin_ns + o->window_ns;
    g->streaming = true;
    int err = o->rate > 0 ? stream_until(g, g->start_ns) : 0;
    for (unsigned i = 0; i < o->cameras && err == 0 && o->rate == 0; i++)
        err = pump(g, i);
    if (err == 0)
        err = stream_until(g, g->window_begin_ns);
    if (err == 0)
        err = read_edge(g, begin);
    print_event("window_begin");
    if (err == 0)
        err = stream_until(g, g->window_end_ns);
    if (err == 0)
        err = read_edge(g, end);
    print_event("window_end");
    g->streaming = false;
    return err < 0 ? err : turn_until(g, all_sent, (int64_t)DRAIN_TIMEOUT_S * NS_PER_S);
}

static bool never(const struct generator *g)
{
    (void)g;
    return false;
}

// Stays until standard input has a line or ends.
static int hold(struct generator *g)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = STDIN_TAG};
    g->released = false;
    if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        return -errno;
    int err = turn_until(g, released, (int64_t)HOLD_TIMEOUT_S * NS_PER_S);
    epoll_ctl(g->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    return err;
}

// Between the last message and capture_stopped.
static int linger(struct generator *g)
{
    print_event("sent");
    if (g->options.gate)
        return hold(g);
    if (g->options.pause_ns == 0)
        return 0;
    int err = turn_until(g, never, g->options.pause_ns);
    return err == -ETIMEDOUT ? 0 : err;
}

static int finish(struct generator *g)
{
    int err = 0;
    g->finishing = true;
    for (unsigned i = 0; i < g->options.cameras && err == 0; i++)
        err = bench_camera_finish(&g->slots[i].camera);
    return err < 0 ? err : turn_until(g, all_closed, (int64_t)DRAIN_TIMEOUT_S * NS_PER_S);
}

static int run(struct generator *g)
{
    const struct options *o = &g->options;
    struct edge begin = {0}, end = {0};
    int err = open_cameras(g);
    if (err == 0 && !o->idle) {
        err = start_captures(g);
        if (err == 0)
            err = stream(g, &begin, &end);
        if (err == 0)
            err = linger(g);
        if (err == 0)
            err = stop_captures(g);
    }
    if (err == 0 && o->hold)
        err = hold(g);
    if (err == 0)
        err = finish(g);
    if (err == 0)
        print_result(g, &begin, &end);
    return err;
}

static int pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (core < 0)
        return 0;
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof set, &set) < 0 ? -errno : 0;
}

static int generator_init(struct generator *g)
{
    const struct options *o = &g->options;
    g->epoll = -1;
    int err = pin(o->client_core);
    if (err < 0)
        return err;
    err = bench_message_init_sets(&g->sets);
    if (err < 0)
        return err;
    err = bench_message_init_picture(&g->key, o->key_size, BENCH_IDR);
    if (err < 0)
        return err;
    err = bench_message_init_picture(&g->delta, o->size, 0);
    if (err < 0)
        return err;
    g->slots = calloc(o->cameras, sizeof *g->slots);
    if (!g->slots)
        return -ENOMEM;
    g->epoll = epoll_create1(EPOLL_CLOEXEC);
    return g->epoll < 0 ? -errno : 0;
}

static void generator_deinit(struct generator *g)
{
    if (g->epoll >= 0)
        close(g->epoll);
    free(g->slots);
    bench_message_deinit(&g->sets);
    bench_message_deinit(&g->key);
    bench_message_deinit(&g->delta);
    bench_samples_deinit(&g->lags);
    bench_samples_deinit(&g->pings);
}

static const char usage[] =
    "usage: loadgen --port N [options]\n"
    "  --cameras N          connections (16)\n"
    "  --size BYTES         WebSocket payload of a message (20000)\n"
    "  --key-size BYTES     of a message with a key picture (as --size)\n"
    "  --key-interval N     pictures from one key picture to the next (25)\n"
    "  --rate N             messages per second and camera; 0: as fast as they can (25)\n"
    "  --warmup MS, --window MS   (1000, 5000)\n"
    "  --frames N           paced: exactly N pictures per camera, no warm-up; the window is their time\n"
    "  --pause MS           wait before capture_stopped (0)\n"
    "  --raw                bare TCP: the same bytes, no upgrade, no texts\n"
    "  --idle               connect and greet only\n"
    "  --gate               wait for a line on standard input before capture_stopped\n"
    "  --hold               keep the connections until standard input has a line or ends\n"
    "  --server-pid PID, --server-core N, --client-core N   what to measure, where to run\n";

static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == 0 && text[0] != '-' && *out <= max;
}

// The letters are private: only long options are offered.
static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"cameras", required_argument, NULL, 'c'},
    {"size", required_argument, NULL, 's'},
    {"key-size", required_argument, NULL, 'k'},
    {"key-interval", required_argument, NULL, 'i'},
    {"rate", required_argument, NULL, 'r'},
    {"warmup", required_argument, NULL, 'w'},
    {"window", required_argument, NULL, 'W'},
    {"frames", required_argument, NULL, 'f'},
    {"pause", required_argument, NULL, 'P'},
    {"server-pid", required_argument, NULL, 'S'},
    {"server-core", required_argument, NULL, 'a'},
    {"client-core", required_argument, NULL, 'b'},
    {"raw", no_argument, NULL, 'R'},
    {"idle", no_argument, NULL, 'I'},
    {"gate", no_argument, NULL, 'G'},
    {"hold", no_argument, NULL, 'H'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool set_number(struct options *o, int option, uint64_t value)
{
    switch (option) {
    case 'p': o->port = (unsigned)value; return value <= 65535;
    case 'c': o->cameras = (unsigned)value; return value > 0 && value <= 10000;
    case 's': o->size = value; return true;
    case 'k': o->key_size = value; return true;
    case 'i': o->key_interval = (unsigned)value; return value > 0;
    case 'r': o->rate = (unsigned)value; return value <= 100000;
    case 'w': o->warmup_ns = (int64_t)value * NS_PER_MS; return true;
    case 'W': o->window_ns = (int64_t)value * NS_PER_MS; return true;
    case 'f': o->frames = (unsigned)value; return true;
    case 'P': o->pause_ns = (int64_t)value * NS_PER_MS; return true;
    case 'S': o->server = (pid_t)value; return true;
    case 'a': o->server_core = (int)value; return value < CPU_SETSIZE;
    case 'b': o->client_core = (int)value; return value < CPU_SETSIZE;
    default: return false;
    }
}

// 0, or the exit status plus one.
static int parse_options(struct options *o, int argc, char **argv)
{
    int option;
    uint64_t value;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'R': o->raw = true; break;
        case 'I': o->idle = true; break;
        case 'G': o->gate = true; break;
        case 'H': o->hold = true; break;
        case 'h': fputs(usage, stdout); return 1;
        case '?': fputs(usage, stderr); return 3;
        default:
            if (!parse_number(optarg, INT32_MAX, &value) || !set_number(o, option, value)) {
                fprintf(stderr, "loadgen: bad value '%s'\n", optarg);
                return 3;
            }
        }
    }
    if (o->port == 0 || optind < argc || (o->frames > 0 && o->rate == 0)) {
        fputs(usage, stderr);
        return 3;
    }
    if (o->key_size == 0)
        o->key_size = o->size;
    if (o->frames > 0) {
        o->warmup_ns = 0;
        o->window_ns = o->frames * (int64_t)(NS_PER_S / o->rate);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct generator g = {.options = {.cameras = 16,
                                      .size = 20000,
                                      .key_interval = 25,
                                      .rate = 25,
                                      .warmup_ns = 1000 * (int64_t)NS_PER_MS,
                                      .window_ns = 5000 * (int64_t)NS_PER_MS,
                                      .server_core = -1,
                                      .client_core = -1}};
    int status = parse_options(&g.options, argc, argv);
    if (status != 0)
        return status - 1;
    signal(SIGPIPE, SIG_IGN);
    int err = generator_init(&g);
    if (err == 0)
        err = run(&g);
    if (err < 0)
        fprintf(stderr, "loadgen: %s\n", strerror(-err));
    generator_deinit(&g);
    return err < 0;
}
