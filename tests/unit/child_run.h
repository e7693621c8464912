// What the tests of ch_child share: a child whose output and end are noted, and a loop that waits for them.
#ifndef CH_TESTS_CHILD_RUN_H
#define CH_TESTS_CHILD_RUN_H

#include "unit.h"

#include "base/clock.h"
#include "source/child.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define OUTPUT_MAX (4u << 20)

struct run {
    uv_loop_t loop;
    uv_timer_t guard, ticker;
    struct ch_child child;
    struct ch_child_exit how;
    unsigned ended, closed, fed, ticks;
    bool expired;
    size_t output_bytes;
    char *output; // the first OUTPUT_MAX bytes
    void (*on_output)(struct run *run);
    void (*on_ended)(struct run *run);
};

static void take_output(void *context, const uint8_t *data, size_t size)
{
    struct run *run = context;
    size_t keep = run->output_bytes >= OUTPUT_MAX ? 0 : OUTPUT_MAX - run->output_bytes;
    if (keep > size)
        keep = size;
    memcpy(run->output + run->output_bytes, data, keep);
    run->output_bytes += size;
    run->output[run->output_bytes < OUTPUT_MAX ? run->output_bytes : OUTPUT_MAX] = '\0';
    if (run->on_output)
        run->on_output(run);
}

static void take_fed(void *context)
{
    ((struct run *)context)->fed++;
}

static void take_exit(void *context, const struct ch_child_exit *how)
{
    struct run *run = context;
    run->how = *how;
    run->ended++;
    if (run->on_ended)
        run->on_ended(run);
}

static const struct ch_child_events events = {.output = take_output, .fed = take_fed, .exited = take_exit};

static void take_closed(struct ch_child *child)
{
    struct run *run = child->context;
    run->closed++;
}

static void guard_expired(uv_timer_t *timer)
{
    struct run *run = timer->data;
    run->expired = true;
    uv_stop(&run->loop);
}

static void tick(uv_timer_t *timer)
{
    ((struct run *)timer->data)->ticks++;
}

static struct run *run_new(void)
{
    struct run *run = calloc(1, sizeof *run);
    assert_non_null(run);
    run->output = calloc(1, OUTPUT_MAX + 1);
    assert_non_null(run->output);
    assert_int_equal(uv_loop_init(&run->loop), 0);
    assert_int_equal(ch_child_init(&run->child, &run->loop, &events, run), 0);
    uv_timer_init(&run->loop, &run->guard);
    uv_timer_init(&run->loop, &run->ticker);
    run->guard.data = run->ticker.data = run;
    return run;
}

static int start(struct run *run, struct ch_child_options options, const char *script)
{
    options.argv = (const char *const[]){"/bin/sh", "-c", script, NULL};
    return ch_child_start(&run->child, &options);
}

// Runs the loop until *counter reaches `value`, at most 20 s.
static void run_until(struct run *run, const unsigned *counter, unsigned value)
{
    uv_timer_start(&run->guard, guard_expired, 20000, 0);
    while (*counter < value && !run->expired)
        uv_run(&run->loop, UV_RUN_ONCE);
    uv_timer_stop(&run->guard);
    assert_false(run->expired);
}

static inline void run_for_ms(struct run *run, int64_t ms)
{
    int64_t end = ch_clock_mono_us() + ms * 1000;
    uv_timer_start(&run->ticker, tick, 10, 10);
    while (ch_clock_mono_us() < end)
        uv_run(&run->loop, UV_RUN_ONCE);
    uv_timer_stop(&run->ticker);
}

static void run_free(struct run *run)
{
    ch_child_close(&run->child, take_closed);
    assert_int_equal(run->closed, 0); // never from within the call
    run_until(run, &run->closed, 1);
    assert_int_equal(run->closed, 1);
    uv_close((uv_handle_t *)&run->guard, NULL);
    uv_close((uv_handle_t *)&run->ticker, NULL);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&run->loop), 0); // no handle is left
    free(run->output);
    free(run);
}

// True if the process exists and is not a zombie.
static bool alive(int pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *state = strrchr(text, ')');
    return state && state[1] == ' ' && !strchr("ZXx", state[2]);
}

static bool gone_within_ms(int pid, int ms)
{
    for (; ms > 0; ms -= 20) {
        if (!alive(pid))
            return true;
        usleep(20000);
    }
    return !alive(pid);
}

#endif
