// camhub push: plays a phone or an ESP32 camera, or a room of them (interfaces.md, wire protocol 1 and 2).
//
// push_options says what is wanted; push_room holds what the cameras share; push_camera is one camera on its push_ws
// connection, which speaks push_phone or push_esp32; pictures come from push_file (H.264 or JPEGs, untouched) or
// push_encoder (an ffmpeg child). This file runs them: the loop, signals, the progress line, the exit status.
#include "cli/cli.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/push_room.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TERMINAL_MS 1000u
#define LINES_MS 10000u
#define ORDERLY_MS 8000u // then the rest is left to the kernel; more than a child's or a connection's end may take

struct push {
    uv_loop_t loop;
    struct ch_push_room room;
    uv_signal_t interrupt, terminate;
    uv_timer_t progress, deadline;
    bool terminal, quiet, line_shown;
    bool interrupted, over;
    int64_t begin_us, last_us;
    uint64_t last_pictures, last_bytes;
};

// --- progress -----------------------------------------------------------------------------------------

struct totals {
    uint64_t pictures, bytes, unsent;
    unsigned connected, capturing;
};

static struct totals add_up(const struct ch_push_room *room)
{
    struct totals totals = {0};
    for (unsigned i = 0; i < room->camera_count; i++) {
        const struct ch_push_camera *camera = &room->cameras[i];
        totals.pictures += camera->pictures;
        totals.bytes += camera->bytes;
        totals.unsent += ch_push_ws_unsent(&camera->ws);
        totals.connected += ch_push_camera_connected(camera);
        totals.capturing += ch_push_camera_captures(camera);
    }
    return totals;
}

static const char *describe_state(const struct ch_push_camera *camera)
{
    static const char *const names[] = {"offline", "connecting", "ready", "starting", "capturing", "ending", "ended"};
    return names[camera->state];
}

static void on_progress(uv_timer_t *timer)
{
    struct push *push = timer->data;
    const struct ch_push_room *room = &push->room;
    struct totals now = add_up(room);
    int64_t now_us = ch_clock_mono_us(), span_us = now_us - push->last_us;
    if (span_us <= 0)
        return;
    uint64_t tenths_fps = (now.pictures - push->last_pictures) * 10000000 / (uint64_t)span_us;
    uint64_t hundredths_mbit = (now.bytes - push->last_bytes) * 800 / (uint64_t)span_us;
    char who[96], line[256];
    if (room->camera_count == 1)
        snprintf(who, sizeof who, "%s, %s", room->cameras[0].label, describe_state(&room->cameras[0]));
    else
        snprintf(who, sizeof who, "%u cameras, %u connected, %u capturing", room->camera_count, now.connected,
                 now.capturing);
    snprintf(line, sizeof line, "%s: %llu frames, %llu.%llu fps, %llu.%02llu Mbit/s, %llu bytes unsent", who,
             (unsigned long long)now.pictures, (unsigned long long)tenths_fps / 10, (unsigned long long)tenths_fps % 10,
             (unsigned long long)hundredths_mbit / 100, (unsigned long long)hundredths_mbit % 100,
             (unsigned long long)now.unsent);
    push->last_us = now_us;
    push->last_pictures = now.pictures;
    push->last_bytes = now.bytes;
    if (push->terminal) {
        fprintf(stderr, "\r%s\033[K", line);
        fflush(stderr);
        push->line_shown = true;
    } else {
        ch_log_info("%s", line);
    }
}

static void clear_line(struct push *push)
{
    if (push->line_shown)
        fputs("\r\033[K", stderr);
    push->line_shown = false;
}

// Log lines must not run into the progress line.
static void write_log(void *context, const char *line)
{
    clear_line(context);
    fputs(line, stderr);
}

static void start_progress(struct push *push)
{
    push->begin_us = push->last_us = ch_clock_mono_us();
    push->terminal = isatty(STDERR_FILENO);
    if (push->terminal)
        ch_log_set_writer(write_log, push);
    unsigned every_ms = push->terminal ? TERMINAL_MS : LINES_MS;
    if (!push->quiet)
        uv_timer_start(&push->progress, on_progress, every_ms, every_ms);
}

// --- beginning and end ----------------------------------------------------------------------------------

static void on_over(struct ch_push_room *room)
{
    struct push *push = room->context;
    push->over = true;
    uv_close((uv_handle_t *)&push->interrupt, NULL);
    uv_close((uv_handle_t *)&push->terminate, NULL);
    uv_close((uv_handle_t *)&push->progress, NULL);
    uv_close((uv_handle_t *)&push->deadline, NULL);
}

static void on_deadline(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct push *push = handle->data;
    (void)number;
    if (push->interrupted) { // the second one is impatience
        uv_stop(handle->loop);
        return;
    }
    push->interrupted = true;
    uv_timer_start(&push->deadline, on_deadline, ORDERLY_MS, 0);
    ch_push_room_stop(&push->room);
}

// Each camera is a descriptor.
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void init_handles(struct push *push)
{
    uv_signal_init(&push->loop, &push->interrupt);
    uv_signal_init(&push->loop, &push->terminate);
    uv_timer_init(&push->loop, &push->progress);
    uv_timer_init(&push->loop, &push->deadline);
    push->interrupt.data = push->terminate.data = push->progress.data = push->deadline.data = push;
    uv_signal_start(&push->interrupt, on_signal, SIGINT);
    uv_signal_start(&push->terminate, on_signal, SIGTERM);
}

static void say_goodbye(struct push *push)
{
    struct totals totals = add_up(&push->room);
    int64_t ms = (ch_clock_mono_us() - push->begin_us) / 1000;
    clear_line(push);
    ch_log_info("%llu frames, %llu bytes sent in %lld.%03lld s", (unsigned long long)totals.pictures,
                (unsigned long long)totals.bytes, (long long)ms / 1000, (long long)ms % 1000);
    ch_log_set_writer(NULL, NULL);
}

static int run(struct push *push)
{
    init_handles(push);
    start_progress(push);
    ch_push_room_start(&push->room, on_over, push);
    uv_run(&push->loop, UV_RUN_DEFAULT);
    say_goodbye(push);
    if (push->over) {
        uv_loop_close(&push->loop);
        ch_push_room_deinit(&push->room);
    } else {
        ch_log_warning("not ended orderly"); // handles are left open; the process ends now
    }
    return push->room.failed || !push->over;
}

int ch_cli_push(int argc, char **argv)
{
    // Large, and in use for as long as the process is: not on the stack.
    static struct push push;
    static struct ch_push_options options;
    switch (ch_push_options_parse(argc, argv, &options)) {
    case CH_PUSH_HELPED: return 0;
    case CH_PUSH_WRONG: return 2;
    case CH_PUSH_GO: break;
    }
    memset(&push, 0, sizeof push);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    push.quiet = options.quiet;
    if (options.quiet)
        ch_log_set_level(CH_LOG_WARNING);
    if (uv_loop_init(&push.loop) < 0) {
        fputs("camhub push: cannot make an event loop\n", stderr);
        return 1;
    }
    if (ch_push_room_init(&push.room, &push.loop, &options) < 0) {
        uv_loop_close(&push.loop);
        return 1;
    }
    return run(&push);
}
