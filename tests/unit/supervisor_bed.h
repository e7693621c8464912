// What the tests of ch_supervisor share: an owner that does what a test says and notes what it sees, and a loop.
#ifndef CH_TESTS_SUPERVISOR_BED_H
#define CH_TESTS_SUPERVISOR_BED_H

#include "unit.h"

#include "base/clock.h"
#include "source/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define MS INT64_C(1000)
#define HISTORY 64

struct bed {
    uv_loop_t loop;
    uv_timer_t guard, pause;
    struct ch_supervisor supervisor;
    bool expired;
    unsigned pauses;

    // What the child is
    const char *script;  // of the shell; NULL: `command`
    const char *command; // a program
    const char *helper;
    int prepare_fails; // a negative errno
    int64_t grace_us;
    uint64_t address_space_bytes;
    bool feed, progress_on_output;

    // What the owner does
    enum ch_run_end verdict;
    void (*on_prepare)(struct bed *bed);
    void (*on_started)(struct bed *bed);
    void (*on_output)(struct bed *bed);
    void (*on_ended)(struct bed *bed);
    void (*on_changed)(struct bed *bed);
    enum ch_supervisor_state close_in;

    // What was seen
    unsigned prepared, started, ended, changed, closed, fed;
    size_t output_bytes;
    struct ch_child_exit how;
    bool stalled, failed, told; // at the newest `ended`
    enum ch_supervisor_state history[HISTORY];
    uint64_t runs_shown, crashes_shown;
    int64_t pauses_us[HISTORY]; // at each change to WAITING
    unsigned pause_count;
};

static const struct ch_supervisor_policy brisk = {
    .crash_threshold = 3,
    .crash_window_us = 60000 * MS,
    .linger_us = 30 * MS,
    .stall_us = 0,
    .first_pause_us = 10 * MS,
    .longest_pause_us = 40 * MS,
};

static int take_prepare(void *owner, struct ch_child_options *options)
{
    struct bed *bed = owner;
    static const char *argv[4];
    assert_false(bed->supervisor.closing); // no callback behind the close; nor below
    bed->prepared++;
    if (bed->on_prepare)
        bed->on_prepare(bed);
    argv[0] = bed->script ? "/bin/sh" : bed->command;
    argv[1] = bed->script ? "-c" : NULL;
    argv[2] = bed->script;
    options->argv = argv;
    options->helper = bed->helper;
    options->grace_us = bed->grace_us;
    options->address_space_bytes = bed->address_space_bytes;
    options->feed = bed->feed;
    return bed->prepare_fails;
}

static void take_started(void *owner)
{
    struct bed *bed = owner;
    assert_false(bed->supervisor.closing);
    bed->started++;
    assert_true(ch_child_running(&bed->supervisor.child));
    if (bed->on_started)
        bed->on_started(bed);
}

static void take_output(void *owner, const uint8_t *data, size_t size)
{
    struct bed *bed = owner;
    (void)data;
    assert_false(bed->supervisor.closing);
    bed->output_bytes += size;
    if (bed->progress_on_output)
        ch_supervisor_progress(&bed->supervisor);
    if (bed->on_output)
        bed->on_output(bed);
}

static void take_fed(void *owner)
{
    struct bed *bed = owner;
    assert_false(bed->supervisor.closing);
    bed->fed++;
}

static enum ch_run_end take_ended(void *owner, const struct ch_child_exit *how)
{
    struct bed *bed = owner;
    assert_false(bed->supervisor.run || bed->supervisor.closing);
    bed->ended++;
    bed->how = *how;
    bed->stalled = bed->supervisor.stalled;
    bed->failed = bed->supervisor.failed;
    bed->told = bed->supervisor.told;
    if (bed->on_ended)
        bed->on_ended(bed);
    return bed->verdict;
}

// Called only if there is something new to show.
static void take_changed(void *owner)
{
    struct bed *bed = owner;
    const struct ch_supervisor *supervisor = &bed->supervisor;
    enum ch_supervisor_state before = bed->changed ? bed->history[(bed->changed - 1) % HISTORY] : CH_SUPERVISOR_STOPPED;
    assert_false(supervisor->closing);
    assert_true(supervisor->state != before || supervisor->runs != bed->runs_shown ||
                supervisor->crashes != bed->crashes_shown);
    bed->history[bed->changed++ % HISTORY] = supervisor->state;
    uv_stop(&bed->loop); // or a change made by a timer would be seen behind the next event only
    bed->runs_shown = supervisor->runs;
    bed->crashes_shown = supervisor->crashes;
    if (supervisor->state == CH_SUPERVISOR_WAITING && bed->pause_count < HISTORY)
        bed->pauses_us[bed->pause_count++] = supervisor->pause_us;
    if (bed->on_changed)
        bed->on_changed(bed);
}

static const struct ch_supervisor_ops ops = {
    .prepare = take_prepare,
    .started = take_started,
    .output = take_output,
    .fed = take_fed,
    .ended = take_ended,
    .changed = take_changed,
};

static void guard_expired(uv_timer_t *timer)
{
    struct bed *bed = timer->data;
    bed->expired = true;
    uv_stop(&bed->loop);
}

static struct bed *bed_new(const struct ch_supervisor_policy *policy, const char *script)
{
    struct bed *bed = calloc(1, sizeof *bed);
    assert_non_null(bed);
    assert_int_equal(uv_loop_init(&bed->loop), 0);
    uv_timer_init(&bed->loop, &bed->guard);
    uv_timer_init(&bed->loop, &bed->pause);
    bed->guard.data = bed->pause.data = bed;
    bed->script = script;
    bed->grace_us = 5000 * MS;
    assert_int_equal(ch_supervisor_init(&bed->supervisor, &bed->loop, policy, &ops, bed), 0);
    assert_int_equal(bed->supervisor.state, CH_SUPERVISOR_STOPPED);
    return bed;
}

// Runs the loop until *counter is at least `value`, for at most 30 s.
static void run_until(struct bed *bed, const unsigned *counter, unsigned value)
{
    uv_update_time(&bed->loop);
    uv_timer_start(&bed->guard, guard_expired, 30000, 0);
    while (*counter < value && !bed->expired)
        uv_run(&bed->loop, UV_RUN_ONCE);
    uv_timer_stop(&bed->guard);
    assert_false(bed->expired);
}

static void run_until_state(struct bed *bed, enum ch_supervisor_state state)
{
    uv_update_time(&bed->loop);
    uv_timer_start(&bed->guard, guard_expired, 30000, 0);
    while (bed->supervisor.state != state && !bed->expired)
        uv_run(&bed->loop, UV_RUN_ONCE);
    uv_timer_stop(&bed->guard);
    assert_string_equal(ch_supervisor_state_name(bed->supervisor.state), ch_supervisor_state_name(state));
}

static void pause_over(uv_timer_t *timer)
{
    struct bed *bed = timer->data;
    bed->pauses++;
    uv_stop(&bed->loop);
}

static void run_for_ms(struct bed *bed, unsigned ms)
{
    uv_update_time(&bed->loop);
    uv_timer_start(&bed->pause, pause_over, ms, 0);
    run_until(bed, &bed->pauses, bed->pauses + 1);
}

static void take_closed(struct ch_supervisor *supervisor)
{
    ((struct bed *)supervisor->owner)->closed++;
}

static void take_over(struct bed *bed)
{
    run_until(bed, &bed->closed, 1);
    uv_close((uv_handle_t *)&bed->guard, NULL);
    uv_close((uv_handle_t *)&bed->pause, NULL);
    while (uv_run(&bed->loop, UV_RUN_DEFAULT))
        ;
    assert_int_equal(bed->closed, 1);
    assert_int_equal(uv_loop_close(&bed->loop), 0);   // no handle is left
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // and no zombie
    assert_int_equal(errno, ECHILD);
    free(bed);
}

static void bed_free(struct bed *bed)
{
    ch_supervisor_close(&bed->supervisor, false, take_closed);
    assert_int_equal(bed->closed, 0); // never from within the call
    take_over(bed);
}

#define TALKER "echo x; exec sleep 1000"
#define SILENT "exec sleep 1000"
#define DEAF "trap '' TERM; echo x; while :; do sleep 0.1; done"

#define STOPPED CH_SUPERVISOR_STOPPED
#define STARTING CH_SUPERVISOR_STARTING
#define RUNNING CH_SUPERVISOR_RUNNING
#define LINGERING CH_SUPERVISOR_LINGERING
#define STOPPING CH_SUPERVISOR_STOPPING
#define WAITING CH_SUPERVISOR_WAITING
#define GIVEN_UP CH_SUPERVISOR_GIVEN_UP
#define ENDED CH_SUPERVISOR_ENDED

#endif
