// Load generator for live viewing: one camera and N viewers in one process, one thread, one epoll loop, so that one
// clock tells how long a picture took from the camera's send to a viewer's receipt of its last byte.
//
// The camera sends pictures of one size that carry the time they were sent (content.h). A viewer checks that each
// picture comes whole, once and in order, and compares some of them to the byte (viewer.h). Viewers are connected
// before the first picture; warm-up, then a window, at whose edges everything that has come is read before the
// server's CPU clock is; then all viewers must come to have the last picture, else there is no result.
//
// With --stuck N there are two windows: one without, and, after N more viewers have connected that never read, one
// with them, during which the server's memory and the kernel's is looked at with each picture.
//
// Events and the result are JSON lines on standard output; times in them are CLOCK_MONOTONIC.
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include "camera.h"
#include "content.h"
#include "usage.h"
#include "viewer.h"

#define NS_PER_S 1000000000
#define NS_PER_MS 1000000
#define DEVICE_BASE_MS 86400123u // a phone that booted a day ago
#define CAMERA_TAG UINT32_MAX

enum { DRAIN_TIMEOUT_S = 60, SILENCE_S = 2, SETTLE_MS = 300, EVENTS = 128, RECENT = 1024, STUCK_RECEIVE_BYTES = 4096 };

struct options {
    unsigned port, viewers, stuck, rate, key_interval;
    size_t size;
    int64_t warmup_ns, window_ns, settle_ns;
    const char *path;
    bool raw, record;
    int server_core, client_core;
    pid_t server;
};

// How far a picture has come.
struct recent {
    uint32_t number;
    unsigned viewers;
};

// What was measured in one window: latencies of pictures sent in it, to all viewers and to the first and the last.
struct window {
    int64_t begin_ns, end_ns;
    struct bench_samples all, first, last;
};

struct generator {
    struct options options;
    struct bench_message sets, key, delta;
    struct bench_program program;
    struct bench_camera camera;
    struct bench_viewer *viewers, *stuck;
    struct bench_viewer_ops ops;
    struct recent recent[RECENT];
    unsigned open, stuck_open;
    int epoll;
    bool finishing;
    int64_t start_ns, now_ns; // now: when the bytes being handled were received
    struct window undisturbed, window;
    struct bench_samples lags;
    uint64_t empty_kb, peak_kb, kernel_empty, kernel_middle, kernel_end, kernel_receive;
};

struct edge {
    struct bench_usage usage;
    uint64_t bytes, pictures;
};

static struct window *window_at(struct generator *g, int64_t ns)
{
    if (ns >= g->window.begin_ns && ns < g->window.end_ns)
        return &g->window;
    return ns >= g->undisturbed.begin_ns && ns < g->undisturbed.end_ns ? &g->undisturbed : NULL;
}

static void picture_came(void *context, uint32_t number, int64_t sent_ns)
{
    struct generator *g = context;
    struct window *window = window_at(g, sent_ns);
    struct recent *recent = &g->recent[number % RECENT];
    if (recent->number != number)
        *recent = (struct recent){.number = number};
    recent->viewers++;
    if (!window)
        return;
    bench_samples_add(&window->all, g->now_ns - sent_ns);
    if (recent->viewers == 1)
        bench_samples_add(&window->first, g->now_ns - sent_ns);
    if (recent->viewers == g->options.viewers)
        bench_samples_add(&window->last, g->now_ns - sent_ns);
}

static int64_t due_ns(const struct generator *g)
{
    return g->start_ns + (int64_t)g->camera.frames * (NS_PER_S / g->options.rate);
}

static void watch_memory(struct generator *g)
{
    uint64_t kb = bench_resident_kb(g->options.server);
    if (kb > g->peak_kb)
        g->peak_kb = kb;
    if (g->kernel_middle == 0 && bench_now_ns() >= (g->window.begin_ns + g->window.end_ns) / 2)
        g->kernel_middle = bench_tcp_bytes();
}

// Sends the picture that is due, if the one before is out.
static int camera_turn(struct generator *g)
{
    int64_t now = bench_now_ns(), due = due_ns(g);
    if (bench_camera_sending(&g->camera))
        return bench_camera_flush(&g->camera);
    if (now < due)
        return 0;
    struct window *window = window_at(g, now);
    if (window)
        bench_samples_add(&g->lags, now - due);
    if (g->options.stuck > 0 && window == &g->window)
        watch_memory(g);
    bool key = g->camera.frames % g->options.key_interval == 0;
    uint64_t device_ms = DEVICE_BASE_MS + (uint64_t)(due - g->start_ns) / NS_PER_MS;
    bench_camera_begin(&g->camera, key ? &g->key : &g->delta, device_ms, 0);
    return bench_camera_flush(&g->camera);
}

static void pong_came(void *context, uint64_t ping_ns)
{
    (void)context;
    (void)ping_ns;
}

static int camera_event(struct generator *g)
{
    int err = bench_camera_receive(&g->camera, pong_came, g);
    if (err == 0 && !g->camera.closed)
        return 0;
    if (!g->finishing)
        return err < 0 ? err : -ECONNRESET;
    close(g->camera.fd);
    g->camera.closed = true;
    return 0;
}

// Waits until `until_ns` or something happens, and handles what happened. How many sockets were readable, or a
// negative errno.
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
        g->now_ns = bench_now_ns();
        int err = i == CAMERA_TAG ? camera_event(g) : bench_viewer_receive(&g->viewers[i], &g->program, &g->ops);
        if (err < 0) {
            const char *fault = i != CAMERA_TAG && err == -EBADMSG ? g->viewers[i].fault : strerror(-err);
            fprintf(stderr, "viewers: %s %u: %s\n", i == CAMERA_TAG ? "camera" : "viewer", i == CAMERA_TAG ? 0 : i,
                    fault);
            return err;
        }
    }
    return n;
}

static int idle_until(struct generator *g, int64_t end_ns)
{
    int n = 0;
    while (n >= 0 && bench_now_ns() < end_ns)
        n = turn(g, end_ns);
    return n < 0 ? n : 0;
}

static int stream_until(struct generator *g, int64_t end_ns)
{
    while (bench_now_ns() < end_ns) {
        int err = camera_turn(g);
        int64_t due = due_ns(g);
        if (err == 0)
            err = turn(g, due < end_ns ? due : end_ns);
        if (err < 0)
            return err;
    }
    return 0;
}

// Everything that has come is read first.
static int read_edge(struct generator *g, struct edge *edge)
{
    int n = 1;
    while (n > 0)
        n = turn(g, 0);
    if (n < 0)
        return n;
    *edge = (struct edge){0};
    for (unsigned i = 0; i < g->options.viewers; i++) {
        edge->bytes += g->viewers[i].bytes;
        edge->pictures += g->viewers[i].pictures;
    }
    return bench_usage_read(&edge->usage, g->options.server, g->options.server_core, g->options.client_core);
}

static void print_event(const char *name)
{
    printf("{\"event\":\"%s\",\"ns\":%" PRId64 "}\n", name, bench_now_ns());
    fflush(stdout);
}

// Pictures go on while the stuck viewers connect, one after the other.
static int join_stuck(struct generator *g)
{
    const struct options *o = &g->options;
    for (unsigned i = 0; i < o->stuck; i++) {
        int err = bench_viewer_open(&g->stuck[i], o->port, o->raw ? NULL : o->path, STUCK_RECEIVE_BYTES);
        if (err < 0) {
            fprintf(stderr, "viewers: stuck viewer %u could not connect\n", i);
            return err;
        }
        g->stuck_open++;
        err = camera_turn(g);
        int n = err == 0 ? turn(g, 0) : err;
        if (n < 0)
            return n;
    }
    print_event("joined");
    return stream_until(g, bench_now_ns() + o->settle_ns);
}

// The window without the stuck viewers, then they come.
static int stream_undisturbed(struct generator *g)
{
    g->undisturbed.begin_ns = bench_now_ns();
    g->undisturbed.end_ns = g->undisturbed.begin_ns + g->options.window_ns;
    int err = stream_until(g, g->undisturbed.end_ns);
    g->empty_kb = bench_resident_kb(g->options.server);
    g->kernel_empty = bench_tcp_bytes();
    return err < 0 ? err : join_stuck(g);
}

static void measure_kernel(struct generator *g)
{
    g->kernel_end = bench_tcp_bytes();
    for (unsigned i = 0; i < g->stuck_open; i++)
        g->kernel_receive += bench_receive_buffer_bytes(g->stuck[i].fd);
}

static int stream(struct generator *g, struct edge *begin, struct edge *end)
{
    const struct options *o = &g->options;
    g->start_ns = bench_now_ns();
    int err = stream_until(g, g->start_ns + o->warmup_ns);
    if (err == 0 && o->stuck > 0)
        err = stream_undisturbed(g);
    if (err == 0)
        err = stream_until(g, due_ns(g)); // so that the window begins right before a picture
    if (err == 0)
        err = read_edge(g, begin);
    print_event("window_begin");
    g->window.begin_ns = bench_now_ns();
    g->window.end_ns = due_ns(g) + o->window_ns;
    if (err == 0)
        err = stream_until(g, g->window.end_ns);
    if (err == 0)
        err = read_edge(g, end);
    if (o->stuck > 0)
        measure_kernel(g);
    print_event("window_end");
    return err;
}

static bool all_came(const struct generator *g)
{
    for (unsigned i = 0; i < g->options.viewers; i++)
        if (g->viewers[i].next < g->camera.frames)
            return false;
    return true;
}

// Until all have come or none has for a while.
static int receive_coming(struct generator *g)
{
    g->now_ns = bench_now_ns();
    while ((bench_camera_sending(&g->camera) || !all_came(g)) &&
           bench_now_ns() < g->now_ns + (int64_t)SILENCE_S * NS_PER_S) {
        int err = bench_camera_flush(&g->camera);
        int n = err == 0 ? turn(g, bench_now_ns() + NS_PER_MS) : err;
        if (n < 0)
            return n;
    }
    return 0;
}

// Waits until all viewers have got the last picture. One that was left behind goes on at a key picture only: for its
// sake some more are sent.
static int receive_rest(struct generator *g)
{
    int64_t period_ns = NS_PER_S / g->options.rate, deadline = bench_now_ns() + (int64_t)DRAIN_TIMEOUT_S * NS_PER_S;
    int err = receive_coming(g);
    while (err == 0 && !all_came(g)) {
        if (bench_now_ns() >= deadline) {
            fprintf(stderr, "viewers: not all have got the last picture %d s after it was sent\n", DRAIN_TIMEOUT_S);
            return -ETIMEDOUT;
        }
        g->start_ns = bench_now_ns() - (int64_t)g->camera.frames * period_ns;
        err = stream_until(g, g->start_ns + (int64_t)(g->camera.frames + g->options.key_interval) * period_ns);
        if (err == 0)
            err = receive_coming(g);
    }
    return err;
}

static int open_all(struct generator *g)
{
    const struct options *o = &g->options;
    int err = bench_camera_open(&g->camera, o->port, "bench", o->raw);
    if (err < 0)
        return err;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = CAMERA_TAG};
    if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, g->camera.fd, &event) < 0)
        return -errno;
    err = bench_camera_greet(&g->camera);
    for (unsigned i = 0; i < o->viewers && err == 0; i++) {
        err = bench_viewer_open(&g->viewers[i], o->port, o->raw ? NULL : o->path, 0);
        if (err < 0) {
            fprintf(stderr, "viewers: viewer %u could not connect\n", i);
            return err;
        }
        g->open++;
        event.data.u32 = i;
        if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, g->viewers[i].fd, &event) < 0)
            return -errno;
    }
    return err;
}

// The parameter sets with time 0, as MediaCodec gives them.
static int start_capture(struct generator *g)
{
    const char text[] = "{\"status\":\"capture_started\",\"message\":\"Capture started.\"}";
    int err = g->options.record ? bench_camera_text(&g->camera, text) : 0;
    if (err < 0 || g->options.raw)
        return err;
    bench_camera_begin(&g->camera, &g->sets, 0, 0);
    return bench_camera_flush(&g->camera);
}

static void close_viewers(struct generator *g)
{
    for (unsigned i = 0; i < g->open; i++)
        bench_viewer_close(&g->viewers[i]);
    for (unsigned i = 0; i < g->stuck_open; i++)
        bench_viewer_close(&g->stuck[i]);
    g->open = g->stuck_open = 0;
}

static int finish(struct generator *g)
{
    static const char text[] = "{\"status\":\"capture_stopped\",\"message\":\"Capture stopped.\"}";
    int err = g->options.record ? bench_camera_text(&g->camera, text) : 0;
    g->finishing = true;
    close_viewers(g);
    if (err == 0)
        err = bench_camera_finish(&g->camera);
    int64_t deadline = bench_now_ns() + (int64_t)DRAIN_TIMEOUT_S * NS_PER_S;
    while (err == 0 && !g->camera.closed) {
        int n = turn(g, deadline);
        err = n < 0 ? n : bench_now_ns() >= deadline ? -ETIMEDOUT : 0;
    }
    return err;
}

static double busy_share(int64_t idle_ns, int64_t all_ns)
{
    return idle_ns >= all_ns ? 0 : 1 - (double)idle_ns / (double)all_ns;
}

static void print_window(const struct generator *g, const struct edge *a, const struct edge *b)
{
    const struct bench_usage *u = &a->usage, *v = &b->usage;
    printf(",\"window\":{\"seconds\":%.6f,\"pictures\":%" PRIu64 ",\"bytes\":%" PRIu64,
           (double)(v->time_ns - u->time_ns) / NS_PER_S, b->pictures - a->pictures, b->bytes - a->bytes);
    printf(",\"server_cpu_s\":%.6f,\"client_cpu_s\":%.6f,\"server_core_busy\":%.4f,\"client_core_busy\":%.4f}",
           (double)(v->server_cpu_ns - u->server_cpu_ns) / NS_PER_S,
           (double)(v->client_cpu_ns - u->client_cpu_ns) / NS_PER_S,
           busy_share(v->server_core_idle_ns - u->server_core_idle_ns, v->time_ns - u->time_ns),
           busy_share(v->client_core_idle_ns - u->client_core_idle_ns, v->time_ns - u->time_ns));
    if (g->options.stuck > 0)
        printf(",\"stuck\":{\"empty_kb\":%" PRIu64 ",\"peak_kb\":%" PRIu64 ",\"kernel_empty\":%" PRIu64
               ",\"kernel_middle\":%" PRIu64 ",\"kernel_end\":%" PRIu64 ",\"kernel_receive\":%" PRIu64 "}",
               g->empty_kb, g->peak_kb, g->kernel_empty, g->kernel_middle, g->kernel_end, g->kernel_receive);
}

static void print_samples(const char *name, struct bench_samples *samples)
{
    printf(",\"%s\":", name);
    bench_samples_print(samples);
}

static void print_result(struct generator *g, const struct edge *a, const struct edge *b)
{
    uint64_t pictures = 0, compared = 0, lost = 0, drops = 0, restarts = 0;
    for (unsigned i = 0; i < g->options.viewers; i++) {
        pictures += g->viewers[i].pictures;
        compared += g->viewers[i].compared;
        lost += g->viewers[i].lost;
        drops += g->viewers[i].drops;
        restarts += g->viewers[i].restarts;
    }
    printf("{\"event\":\"result\",\"viewers\":%u,\"cameras\":1,\"messages\":%" PRIu64 ",\"pictures\":%" PRIu64
           ",\"payload_bytes\":%" PRIu64 ",\"received\":%" PRIu64 ",\"compared\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"drops\":%" PRIu64 ",\"restarts\":%" PRIu64,
           g->options.viewers, g->camera.messages, g->camera.frames, g->camera.payload, pictures, compared, lost, drops,
           restarts);
    print_window(g, a, b);
    print_samples("latency_us", &g->window.all);
    print_samples("first_us", &g->window.first);
    print_samples("last_us", &g->window.last);
    print_samples("undisturbed_us", &g->undisturbed.all);
    print_samples("lag_us", &g->lags);
    printf("}\n");
    fflush(stdout);
}

static int run(struct generator *g)
{
    struct edge begin = {0}, end = {0};
    int err = open_all(g);
    if (err == 0)
        err = idle_until(g, bench_now_ns() + (int64_t)SETTLE_MS * NS_PER_MS);
    if (err == 0)
        err = start_capture(g);
    print_event("connected");
    if (err == 0)
        err = stream(g, &begin, &end);
    if (err == 0)
        err = receive_rest(g);
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

static int raise_descriptors(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < wanted) {
        fprintf(stderr, "viewers: %u descriptors are needed, the limit is %" PRIu64 " (ulimit -Hn)\n", wanted,
                (uint64_t)limit.rlim_max);
        return -EMFILE;
    }
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static int make_messages(struct generator *g)
{
    size_t size = g->options.size;
    unsigned flags = BENCH_TIMED | (g->options.raw ? BENCH_PLAIN : 0u);
    int err = bench_message_init_sets(&g->sets);
    if (err == 0)
        err = bench_message_init_picture(&g->key, size, flags | BENCH_IDR);
    if (err == 0)
        err = bench_message_init_picture(&g->delta, size, flags);
    if (err == 0)
        err = bench_message_init_picture(&g->program.key, size, BENCH_TIMED | BENCH_PLAIN | BENCH_IDR);
    if (err == 0)
        err = bench_message_init_picture(&g->program.delta, size, BENCH_TIMED | BENCH_PLAIN);
    return err;
}

static int generator_init(struct generator *g)
{
    const struct options *o = &g->options;
    int err = pin(o->client_core);
    if (err == 0)
        err = raise_descriptors(o->viewers + o->stuck + 64);
    if (err == 0)
        err = make_messages(g);
    if (err < 0)
        return err;
    g->program.key_interval = o->key_interval;
    g->ops = (struct bench_viewer_ops){.picture = picture_came, .context = g};
    g->viewers = calloc(o->viewers, sizeof *g->viewers);
    g->stuck = calloc(o->stuck + 1, sizeof *g->stuck);
    if (!g->viewers || !g->stuck)
        return -ENOMEM;
    g->epoll = epoll_create1(EPOLL_CLOEXEC);
    return g->epoll < 0 ? -errno : 0;
}

static void generator_deinit(struct generator *g)
{
    struct bench_message *messages[] = {&g->sets, &g->key, &g->delta, &g->program.key, &g->program.delta};
    struct bench_samples *samples[] = {&g->window.all, &g->window.first, &g->window.last, &g->undisturbed.all,
                                       &g->lags};
    close_viewers(g);
    if (g->epoll >= 0)
        close(g->epoll);
    free(g->viewers);
    free(g->stuck);
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        bench_message_deinit(messages[i]);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        bench_samples_deinit(samples[i]);
}

static const char usage[] = "usage: viewers --port N [options]\n"
                            "  --viewers N          that read (100)\n"
                            "  --stuck N            that come later and never read (0)\n"
                            "  --settle MS          from their coming to the window (0)\n"
                            "  --path PATH          where viewers connect, with a query perhaps (/live/bench)\n"
                            "  --size BYTES         WebSocket payload of a camera's message (10016)\n"
                            "  --rate N             pictures per second (25)\n"
                            "  --key-interval N     pictures from one key picture to the next (25)\n"
                            "  --warmup MS, --window MS   (1000, 5000)\n"
                            "  --record             the camera starts and stops a capture\n"
                            "  --raw                bare TCP: no upgrade, no texts\n"
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
    {"viewers", required_argument, NULL, 'v'},
    {"stuck", required_argument, NULL, 'x'},
    {"settle", required_argument, NULL, 't'},
    {"path", required_argument, NULL, 'q'},
    {"size", required_argument, NULL, 's'},
    {"rate", required_argument, NULL, 'r'},
    {"key-interval", required_argument, NULL, 'i'},
    {"warmup", required_argument, NULL, 'w'},
    {"window", required_argument, NULL, 'W'},
    {"server-pid", required_argument, NULL, 'S'},
    {"server-core", required_argument, NULL, 'a'},
    {"client-core", required_argument, NULL, 'b'},
    {"record", no_argument, NULL, 'c'},
    {"raw", no_argument, NULL, 'R'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool set_number(struct options *o, int option, uint64_t value)
{
    switch (option) {
    case 'p': o->port = (unsigned)value; return value > 0 && value <= 65535;
    case 'v': o->viewers = (unsigned)value; return value > 0 && value <= 20000;
    case 'x': o->stuck = (unsigned)value; return value <= 20000;
    case 't': o->settle_ns = (int64_t)value * NS_PER_MS; return true;
    case 's': o->size = value; return true;
    case 'r': o->rate = (unsigned)value; return value > 0 && value <= 1000;
    case 'i': o->key_interval = (unsigned)value; return value > 0;
    case 'w': o->warmup_ns = (int64_t)value * NS_PER_MS; return true;
    case 'W': o->window_ns = (int64_t)value * NS_PER_MS; return true;
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
        case 'q': o->path = optarg; break;
        case 'c': o->record = true; break;
        case 'R': o->raw = true; break;
        case 'h': fputs(usage, stdout); return 1;
        case '?': fputs(usage, stderr); return 3;
        default:
            if (!parse_number(optarg, INT32_MAX, &value) || !set_number(o, option, value)) {
                fprintf(stderr, "viewers: bad value '%s'\n", optarg);
                return 3;
            }
        }
    }
    if (o->port == 0 || optind < argc) {
        fputs(usage, stderr);
        return 3;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct generator g = {.options = {.viewers = 100,
                                             .rate = 25,
                                             .key_interval = 25,
                                             .size = 10016,
                                             .path = "/live/bench",
                                             .warmup_ns = 1000 * (int64_t)NS_PER_MS,
                                             .window_ns = 5000 * (int64_t)NS_PER_MS,
                                             .server_core = -1,
                                             .client_core = -1},
                                 .epoll = -1};
    int status = parse_options(&g.options, argc, argv);
    if (status != 0)
        return status - 1;
    signal(SIGPIPE, SIG_IGN);
    int err = generator_init(&g);
    if (err == 0)
        err = run(&g);
    if (err < 0)
        fprintf(stderr, "viewers: %s\n", strerror(-err));
    generator_deinit(&g);
    return err < 0;
}
