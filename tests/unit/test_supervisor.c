// ch_supervisor: every state and way between them, users who come and go at any time, crashes, stalls and verdicts.
// Policies are of tens of milliseconds; nothing here asserts that something is fast.
#include "supervisor_bed.h"

#define check_history(bed, ...)                                                                                        \
    check_states(bed, (enum ch_supervisor_state[]){__VA_ARGS__},                                                       \
                 sizeof((enum ch_supervisor_state[]){__VA_ARGS__}) / sizeof(enum ch_supervisor_state))

static void check_states(const struct bed *bed, const enum ch_supervisor_state *expected, size_t count)
{
    for (size_t i = 0; i < count && i < bed->changed; i++)
        assert_string_equal(ch_supervisor_state_name(bed->history[i]), ch_supervisor_state_name(expected[i]));
    assert_int_equal(bed->changed, count);
}

// No timer of its own, and no run.
static void check_idle(const struct bed *bed, enum ch_supervisor_state state)
{
    assert_int_equal(bed->supervisor.state, state);
    assert_false(uv_is_active((const uv_handle_t *)&bed->supervisor.timer));
    assert_false(bed->supervisor.run);
    assert_false(ch_child_running(&bed->supervisor.child));
    assert_int_equal(ch_supervisor_wait_us(&bed->supervisor), 0);
}

// --- users ------------------------------------------------------------------------------------

static void test_a_life(void **state)
{
    (void)state;
    struct bed *bed = bed_new(&brisk, TALKER);
    bed->progress_on_output = true;
    int64_t begin_us = ch_clock_wall_us();
    ch_supervisor_set_users(&bed->supervisor, 0);
    check_idle(bed, STOPPED);
    assert_int_equal(bed->changed, 0);
    ch_supervisor_set_users(&bed->supervisor, 1);
    assert_int_equal(bed->supervisor.state, STARTING);
    assert_int_equal(bed->started, 1);
    run_until_state(bed, RUNNING);
    assert_false(uv_is_active((uv_handle_t *)&bed->supervisor.timer)); // there is no stall, so no timer
    assert_true(bed->supervisor.since_us >= begin_us);
    ch_supervisor_progress(&bed->supervisor);
    ch_supervisor_set_users(&bed->supervisor, 3);
    ch_supervisor_set_users(&bed->supervisor, 2);
    ch_supervisor_set_users(&bed->supervisor, 2);
    ch_supervisor_set_users(&bed->supervisor, 0);
    assert_int_equal(bed->supervisor.state, LINGERING);
    ch_supervisor_progress(&bed->supervisor);
    run_until_state(bed, STOPPED);
    check_idle(bed, STOPPED);
    assert_true(bed->told && bed->how.stopped && !bed->stalled && !bed->failed);
    assert_int_equal(bed->how.signal, SIGTERM);
    check_history(bed, STARTING, RUNNING, LINGERING, STOPPING, STOPPED);
    assert_int_equal(bed->supervisor.crashes, 0);
    assert_int_equal(bed->supervisor.restarts, 0);
    assert_int_equal(bed->supervisor.runs, 1);
    bed_free(bed);
}

static void test_lingering_and_a_new_user(void **state)
{
    (void)state;
    struct bed *bed = bed_new(&brisk, SILENT);
    ch_supervisor_set_users(&bed->supervisor, 1);
    int pid = ch_child_pid(&bed->supervisor.child);
    ch_supervisor_set_users(&bed->supervisor, 0);
    assert_int_equal(bed->supervisor.state, LINGERING);
    ch_supervisor_set_users(&bed->supervisor, 1);
    assert_int_equal(bed->supervisor.state, STARTING);
    ch_supervisor_progress(&bed->supervisor);
    ch_supervisor_set_users(&bed->supervisor, 0);
    ch_supervisor_set_users(&bed->supervisor, 2);
    assert_int_equal(bed->supervisor.state, RUNNING);
    run_for_ms(bed, 80); // longer than it would have lingered
    assert_int_equal(bed->supervisor.state, RUNNING);
    assert_int_equal(ch_child_pid(&bed->supervisor.child), pid);
    check_history(bed, STARTING, LINGERING, STARTING, RUNNING, LINGERING, RUNNING);
    // Progress that comes while nobody needs it is remembered.
    ch_supervisor_set_users(&bed->supervisor, 0);
    ch_supervisor_progress(&bed->supervisor);
    assert_int_equal(bed->supervisor.state, LINGERING);
    bed_free(bed);
}

static void test_stopping_and_a_new_user(void **state)
{
    (void)state;
    struct bed *bed = bed_new(&brisk, DEAF);
    bed->progress_on_output = true;
    bed->grace_us = 100 * MS;
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, RUNNING);
    int pid = ch_child_pid(&bed->supervisor.child);
    ch_supervisor_set_users(&bed->supervisor, 0);
    run_until_state(bed, STOPPING);
    assert_false(uv_is_active((uv_handle_t *)&bed->supervisor.timer));
    ch_supervisor_set_users(&bed->supervisor, 1);
    ch_supervisor_progress(&bed->supervisor);
    ch_supervisor_fail(&bed->supervisor);
    assert_int_equal(bed->supervisor.state, STOPPING);
    run_until(bed, &bed->started, 2);
    assert_int_equal(bed->how.signal, SIGKILL);
    assert_true(bed->told && !bed->failed);
    assert_int_not_equal(ch_child_pid(&bed->supervisor.child), pid);
    run_until_state(bed, RUNNING);
    check_history(bed, STARTING, RUNNING, LINGERING, STOPPING, STARTING, RUNNING);
    assert_int_equal(bed->supervisor.crashes, 0);
    assert_int_equal(bed->supervisor.restarts, 0);
    // One who comes and goes again while it is being stopped
    ch_supervisor_set_users(&bed->supervisor, 0);
    run_until_state(bed, STOPPING);
    ch_supervisor_set_users(&bed->supervisor, 1);
    ch_supervisor_set_users(&bed->supervisor, 0);
    run_until_state(bed, STOPPED);
    check_idle(bed, STOPPED);
    bed_free(bed);
}

static void take_back_users(struct bed *bed)
{
    ch_supervisor_set_users(&bed->supervisor, 0);
}

static void bring_users(struct bed *bed)
{
    ch_supervisor_set_users(&bed->supervisor, bed->supervisor.users + 1);
}

static void test_users_in_callbacks(void **state)
{
    (void)state;
    // Gone again while the run is prepared, or as soon as it has begun
    for (unsigned i = 0; i < 2; i++) {
        struct bed *bed = bed_new(&brisk, SILENT);
        bed->on_prepare = i == 0 ? take_back_users : NULL;
        bed->on_started = i == 1 ? take_back_users : NULL;
        ch_supervisor_set_users(&bed->supervisor, 1);
        assert_int_equal(bed->supervisor.state, LINGERING);
        run_until_state(bed, STOPPED);
        check_history(bed, STARTING, LINGERING, STOPPING, STOPPED);
        bed_free(bed);
    }
    // New ones while the end is told of
    struct bed *bed = bed_new(&brisk, "echo x; exit 0");
    bed->verdict = CH_RUN_ENDED;
    bed->on_ended = bring_users;
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until(bed, &bed->ended, 4);
    bed->on_ended = NULL;
    run_until_state(bed, ENDED);
    assert_int_equal(bed->supervisor.runs, 5);
    // Gone while the end is told of
    bed->on_ended = take_back_users;
    ch_supervisor_set_users(&bed->supervisor, 9);
    run_until_state(bed, STOPPED);
    check_idle(bed, STOPPED);
    bed_free(bed);
}

// --- crashes ----------------------------------------------------------------------------------

static void test_crashes(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.crash_threshold = 5;
    struct bed *bed = bed_new(&policy, "kill -SEGV $$");
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, WAITING);
    assert_true(ch_supervisor_wait_us(&bed->supervisor) <= 10 * MS);
    assert_true(uv_is_active((uv_handle_t *)&bed->supervisor.timer));
    ch_supervisor_set_users(&bed->supervisor, 2); // somebody new does not shorten the pause
    assert_int_equal(bed->supervisor.state, WAITING);
    run_until_state(bed, GIVEN_UP);
    check_idle(bed, GIVEN_UP);
    check_history(bed, STARTING, WAITING, STARTING, WAITING, STARTING, WAITING, STARTING, WAITING, STARTING, GIVEN_UP);
    static const int64_t pauses_us[] = {10 * MS, 20 * MS, 40 * MS, 40 * MS};
    assert_int_equal(bed->pause_count, 4);
    assert_memory_equal(bed->pauses_us, pauses_us, sizeof pauses_us);
    assert_int_equal(bed->how.signal, SIGSEGV);
    assert_int_equal(bed->supervisor.last.signal, SIGSEGV);
    assert_int_equal(bed->supervisor.crashes, 5);
    assert_int_equal(bed->supervisor.restarts, 4);
    assert_int_equal(bed->supervisor.runs, 5);
    assert_int_equal(ch_supervisor_recent_crashes(&bed->supervisor), 5);
    run_for_ms(bed, 60); // and it stays so
    ch_supervisor_set_users(&bed->supervisor, 1);
    check_idle(bed, GIVEN_UP);
    assert_int_equal(bed->prepared, 5);
    // Somebody new: at once, and with all attempts
    bed->changed = bed->pause_count = 0;
    bed->runs_shown = 0;
    ch_supervisor_set_users(&bed->supervisor, 2);
    assert_int_equal(bed->supervisor.state, STARTING);
    run_until_state(bed, GIVEN_UP);
    assert_int_equal(bed->supervisor.runs, 10);
    assert_int_equal(bed->supervisor.restarts, 8);
    assert_memory_equal(bed->pauses_us, pauses_us, sizeof pauses_us);
    // All go, and one comes: the same
    ch_supervisor_set_users(&bed->supervisor, 0);
    check_idle(bed, STOPPED);
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, GIVEN_UP);
    assert_int_equal(bed->supervisor.runs, 15);
    bed_free(bed);
}

static void test_users_leave_while_waiting(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.first_pause_us = policy.longest_pause_us = 20000 * MS;
    struct bed *bed = bed_new(&policy, "exit 1");
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, WAITING);
    assert_in_range(ch_supervisor_wait_us(&bed->supervisor), 1, 20000 * MS);
    ch_supervisor_set_users(&bed->supervisor, 0);
    check_idle(bed, STOPPED);
    ch_supervisor_set_users(&bed->supervisor, 1);
    assert_int_equal(bed->supervisor.state, STARTING);
    run_until_state(bed, WAITING);
    ch_supervisor_set_users(&bed->supervisor, 0);
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, GIVEN_UP); // the third crash, whoever was there
    assert_int_equal(bed->supervisor.restarts, 0);
    bed_free(bed);
}

static void test_a_crash_while_nobody_needs_it(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.linger_us = 20000 * MS;
    struct bed *bed = bed_new(&policy, "read line; exit 1");
    bed->feed = true;
    ch_supervisor_set_users(&bed->supervisor, 1);
    ch_supervisor_set_users(&bed->supervisor, 0);
    ch_child_end_input(&bed->supervisor.child);
    run_until_state(bed, STOPPED);
    check_idle(bed, STOPPED);
    assert_false(bed->told);
    assert_int_equal(bed->supervisor.crashes, 1);
    check_history(bed, STARTING, LINGERING, STOPPED);
    bed_free(bed);
}

static void test_the_crash_window(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.crash_threshold = 2;
    policy.crash_window_us = 50 * MS;
    policy.longest_pause_us = policy.first_pause_us = 60 * MS; // never two within the window
    struct bed *bed = bed_new(&policy, "exit 1");
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until(bed, &bed->ended, 6);
    assert_int_equal(bed->supervisor.state, WAITING);
    assert_true(ch_supervisor_recent_crashes(&bed->supervisor) <= 1);
    assert_int_equal(bed->supervisor.crashes, 6);
    bed_free(bed);
}

static void test_more_crashes_than_are_remembered(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.crash_threshold = 1000; // no larger than what is remembered
    policy.longest_pause_us = policy.first_pause_us = 1 * MS;
    struct bed *bed = bed_new(&policy, NULL);
    bed->prepare_fails = -ENOMEM;
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, GIVEN_UP);
    assert_int_equal(bed->supervisor.crashes, CH_SUPERVISOR_CRASHES);
    ch_supervisor_set_users(&bed->supervisor, 2);
    run_until_state(bed, GIVEN_UP);
    assert_int_equal(bed->supervisor.crashes, 2 * CH_SUPERVISOR_CRASHES);
    assert_int_equal(ch_supervisor_recent_crashes(&bed->supervisor), CH_SUPERVISOR_CRASHES);
    bed_free(bed);
}

static void test_a_good_run_begins_the_pauses_anew(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.crash_threshold = 100;
    policy.crash_window_us = 50 * MS;
    struct bed *bed = bed_new(&policy, "exit 1");
    bed->progress_on_output = true;
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until(bed, &bed->ended, 4);
    assert_int_equal(bed->supervisor.pause_us, 40 * MS);
    bed->script = "sleep 0.2; exit 1"; // long, but without progress
    run_until(bed, &bed->ended, 5);
    assert_int_equal(bed->supervisor.pause_us, 40 * MS);
    bed->script = "echo x; sleep 0.2; exit 1";
    run_until(bed, &bed->ended, 6);
    assert_int_equal(bed->supervisor.pause_us, 10 * MS);
    bed_free(bed);
}

static void test_runs_that_cannot_begin(void **state)
{
    (void)state;
    // prepare says so
    struct bed *bed = bed_new(&brisk, NULL);
    bed->prepare_fails = -ENOMEM;
    bed->verdict = CH_RUN_ENDED; // is not asked
    ch_supervisor_set_users(&bed->supervisor, 1);
    assert_int_equal(bed->supervisor.state, WAITING);
    assert_int_equal(bed->how.status, 126);
    run_until_state(bed, GIVEN_UP);
    check_history(bed, WAITING, WAITING, GIVEN_UP);
    assert_int_equal(bed->started, 0);
    assert_int_equal(bed->ended, 3);
    bed_free(bed);
    // There is no such program; without and with a helper
    for (unsigned i = 0; i < 2; i++) {
        bed = bed_new(&brisk, NULL);
        bed->command = "camhub-no-such-command";
        bed->helper = i ? CH_CHILD_HELPER : NULL;
        ch_supervisor_set_users(&bed->supervisor, 1);
        run_until_state(bed, WAITING);
        assert_int_equal(bed->how.status, 127);
        run_until_state(bed, GIVEN_UP);
        assert_int_equal(bed->ended, 3);
        assert_int_equal(bed->prepared, 3);
        assert_int_equal(bed->how.status, 127);
        run_for_ms(bed, 5); // the handles of the start that failed are closed
        // Everybody goes and comes in the same moment in which it failed
        ch_supervisor_set_users(&bed->supervisor, 0);
        ch_supervisor_set_users(&bed->supervisor, 1);
        ch_supervisor_set_users(&bed->supervisor, 0);
        ch_supervisor_set_users(&bed->supervisor, 1);
        ch_supervisor_set_users(&bed->supervisor, 0);
        ch_supervisor_set_users(&bed->supervisor, 1);
        bed->command = "sleep"; // says so on its stderr and ends
        run_until_state(bed, GIVEN_UP);
        assert_int_equal(bed->how.status, 1);
        assert_int_equal(bed->supervisor.restarts, i == 0 ? 3 : 4); // one more crash, at once, was not waited for
        bed_free(bed);
    }
}

static void test_new_users_do_not_make_it_spin(void **state)
{
    (void)state;
    struct bed *bed = bed_new(&brisk, NULL);
    bed->prepare_fails = -ENOMEM;
    bed->on_ended = bring_users; // in each end, somebody new
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until(bed, &bed->ended, 10);
    assert_int_equal(bed->supervisor.state, WAITING);
    assert_true(ch_supervisor_wait_us(&bed->supervisor) <= 40 * MS);
    bed_free(bed);
}

// What an earlier run said is not taken for this one's.
static void test_words_of_an_earlier_run(void **state)
{
    (void)state;
    struct bed *bed = bed_new(&brisk, "echo why >&2; exit 1");
    char text[64];
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, WAITING);
    assert_int_equal(ch_child_last_error(&bed->supervisor.child, text, sizeof text), 3);
    bed->prepare_fails = -ENOENT;
    run_until(bed, &bed->ended, 2);
    assert_int_equal(bed->how.status, 127);
    assert_int_equal(ch_child_last_error(&bed->supervisor.child, text, sizeof text), 0);
    bed_free(bed);
}

// --- stalls -----------------------------------------------------------------------------------

static void test_stall(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.stall_us = 50 * MS;
    struct bed *bed = bed_new(&policy, SILENT);
    ch_supervisor_set_users(&bed->supervisor, 1);
    assert_true(uv_is_active((uv_handle_t *)&bed->supervisor.timer));
    run_until_state(bed, STOPPING);
    run_until_state(bed, WAITING);
    assert_true(bed->stalled && !bed->told && !bed->failed && bed->how.stopped);
    assert_int_equal(bed->how.signal, SIGTERM);
    assert_int_equal(bed->supervisor.crashes, 1);
    bed->script = "trap '' TERM; while :; do sleep 0.1; done";
    bed->grace_us = 50 * MS;
    policy.stall_us = 500 * MS; // so that the trap is there
    bed->supervisor.policy = policy;
    run_until(bed, &bed->ended, 2);
    assert_true(bed->stalled);
    assert_int_equal(bed->how.signal, SIGKILL);
    // Users who come while it is stopped for that do not shorten the pause; but it is not given up under their eyes.
    run_until_state(bed, STARTING);
    run_until_state(bed, STOPPING);
    ch_supervisor_set_users(&bed->supervisor, 2);
    run_until_state(bed, WAITING);
    assert_int_equal(bed->supervisor.crashes, 3);
    assert_int_equal(bed->supervisor.pause_us, 10 * MS);
    // Those who leave then leave nothing behind.
    run_until_state(bed, STOPPING);
    ch_supervisor_set_users(&bed->supervisor, 0);
    run_until_state(bed, STOPPED);
    check_idle(bed, STOPPED);
    bed_free(bed);
}

static void test_progress_puts_the_stall_off(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.stall_us = 1000 * MS;
    struct bed *bed =
        bed_new(&policy, "i=0; while [ $i -lt 15 ]; do echo x; sleep 0.1; i=$((i+1)); done; exec sleep 1000");
    bed->progress_on_output = true;
    ch_supervisor_set_users(&bed->supervisor, 1);
    int64_t begin_us = ch_clock_mono_us();
    run_until_state(bed, STOPPING);
    assert_true(ch_clock_mono_us() - begin_us >= 2400 * MS); // the last of it, and a second
    assert_int_equal(bed->output_bytes, 30);
    bed_free(bed);
}

static void test_no_stall_while_paused(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.stall_us = 300 * MS;
    struct bed *bed = bed_new(&policy, "exec yes");
    bed->progress_on_output = true;
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, RUNNING);
    ch_child_pause(&bed->supervisor.child);
    run_for_ms(bed, 800);
    assert_int_equal(bed->supervisor.state, RUNNING);
    // Once it is read again, it has the whole time.
    bed->progress_on_output = false;
    ch_child_resume(&bed->supervisor.child);
    int64_t begin_us = ch_clock_mono_us();
    run_until_state(bed, STOPPING);
    assert_true(ch_clock_mono_us() - begin_us >= 299 * MS);
    bed_free(bed);
}

// If we do not get to run for longer than a stall, what has come meanwhile counts.
static void test_no_stall_while_we_sleep(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.stall_us = 200 * MS;
    struct bed *bed = bed_new(&policy, "while :; do echo x; sleep 0.02; done");
    bed->progress_on_output = true;
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, RUNNING);
    for (unsigned i = 0; i < 5; i++) {
        usleep(300000);
        run_for_ms(bed, 1);
        run_for_ms(bed, 20);
        assert_int_equal(bed->supervisor.state, RUNNING);
    }
    bed_free(bed);
}

static void test_no_stall_while_lingering(void **state)
{
    (void)state;
    struct ch_supervisor_policy policy = brisk;
    policy.stall_us = 50 * MS;
    policy.linger_us = 200 * MS;
    struct bed *bed = bed_new(&policy, SILENT);
    ch_supervisor_set_users(&bed->supervisor, 1);
    ch_supervisor_set_users(&bed->supervisor, 0);
    run_until_state(bed, STOPPED);
    assert_true(bed->told && !bed->stalled);
    assert_int_equal(bed->supervisor.crashes, 0);
    bed_free(bed);
}

// --- verdicts ---------------------------------------------------------------------------------

static void fail_it(struct bed *bed)
{
    ch_supervisor_fail(&bed->supervisor);
    ch_supervisor_fail(&bed->supervisor);
}

static void test_fail(void **state)
{
    (void)state;
    struct bed *bed = bed_new(&brisk, "trap 'echo y; exit 0' TERM; echo x; while :; do sleep 0.05; done");
    bed->on_output = fail_it;
    ch_supervisor_fail(&bed->supervisor); // nothing to fail
    ch_supervisor_progress(&bed->supervisor);
    check_idle(bed, STOPPED);
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, WAITING);
    assert_int_equal(bed->output_bytes, 2); // what comes behind is dropped
    assert_true(bed->failed && !bed->told && bed->how.stopped);
    assert_int_equal(bed->supervisor.crashes, 1);
    bed->verdict = CH_RUN_ENDED;
    run_until_state(bed, ENDED);
    check_idle(bed, ENDED);
    assert_int_equal(bed->supervisor.crashes, 1);
    check_history(bed, STARTING, STOPPING, WAITING, STARTING, STOPPING, ENDED);
    bed_free(bed);
    // As soon as it has begun
    bed = bed_new(&brisk, SILENT);
    bed->on_started = fail_it;
    ch_supervisor_set_users(&bed->supervisor, 1);
    assert_int_equal(bed->supervisor.state, STOPPING);
    run_until_state(bed, GIVEN_UP);
    assert_int_equal(bed->supervisor.crashes, 3);
    bed_free(bed);
}

static void test_ended(void **state)
{
    (void)state;
    struct bed *bed = bed_new(&brisk, "echo x");
    bed->progress_on_output = true;
    bed->verdict = CH_RUN_ENDED;
    ch_supervisor_set_users(&bed->supervisor, 2);
    run_until_state(bed, ENDED);
    check_idle(bed, ENDED);
    ch_supervisor_set_users(&bed->supervisor, 1);
    check_idle(bed, ENDED);
    ch_supervisor_set_users(&bed->supervisor, 2);
    assert_int_equal(bed->supervisor.state, STARTING);
    run_until_state(bed, ENDED);
    ch_supervisor_set_users(&bed->supervisor, 0);
    check_idle(bed, STOPPED);
    check_history(bed, STARTING, RUNNING, ENDED, STARTING, RUNNING, ENDED, STOPPED);
    assert_int_equal(bed->supervisor.restarts, 0);
    assert_int_equal(bed->supervisor.crashes, 0);
    bed_free(bed);
}

static void test_hopeless(void **state)
{
    (void)state;
    struct bed *bed = bed_new(&brisk, "exit 1");
    bed->verdict = CH_RUN_HOPELESS;
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, GIVEN_UP);
    check_idle(bed, GIVEN_UP);
    check_history(bed, STARTING, GIVEN_UP);
    assert_int_equal(bed->supervisor.crashes, 1);
    bed->verdict = CH_RUN_CRASHED;
    ch_supervisor_set_users(&bed->supervisor, 2);
    run_until_state(bed, GIVEN_UP);
    assert_int_equal(bed->supervisor.crashes, 4);
    bed_free(bed);
}

static void test_again(void **state)
{
    (void)state;
    struct bed *bed = bed_new(&brisk, "exit 1");
    bed->verdict = CH_RUN_AGAIN;
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, WAITING); // without end
    assert_int_equal(bed->ended, CH_SUPERVISOR_AGAIN + 1);
    assert_int_equal(bed->supervisor.crashes, 1);
    assert_int_equal(bed->supervisor.restarts, 0);
    check_history(bed, STARTING, STARTING, STARTING, STARTING, STARTING, STARTING, WAITING);
    run_until_state(bed, GIVEN_UP);
    assert_int_equal(bed->ended, 3 * (CH_SUPERVISOR_AGAIN + 1));
    // With progress, and not too short: as often as it likes
    bed->script = "echo x; sleep 0.05; exit 1";
    bed->progress_on_output = true;
    bed->ended = 0;
    ch_supervisor_set_users(&bed->supervisor, 2);
    run_until(bed, &bed->ended, 3 * CH_SUPERVISOR_AGAIN);
    assert_int_equal(bed->supervisor.crashes, 3);
    assert_int_equal(bed->supervisor.state, STARTING);
    // Users who left meanwhile need nothing again.
    bed->on_ended = take_back_users;
    run_until_state(bed, STOPPED);
    check_idle(bed, STOPPED);
    bed_free(bed);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], CH_CHILD_HELPER_WORD) == 0)
        return ch_child_exec(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_life),
        cmocka_unit_test(test_lingering_and_a_new_user),
        cmocka_unit_test(test_stopping_and_a_new_user),
        cmocka_unit_test(test_users_in_callbacks),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_users_leave_while_waiting),
        cmocka_unit_test(test_a_crash_while_nobody_needs_it),
        cmocka_unit_test(test_the_crash_window),
        cmocka_unit_test(test_more_crashes_than_are_remembered),
        cmocka_unit_test(test_a_good_run_begins_the_pauses_anew),
        cmocka_unit_test(test_runs_that_cannot_begin),
        cmocka_unit_test(test_new_users_do_not_make_it_spin),
        cmocka_unit_test(test_words_of_an_earlier_run),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_progress_puts_the_stall_off),
        cmocka_unit_test(test_no_stall_while_paused),
        cmocka_unit_test(test_no_stall_while_we_sleep),
        cmocka_unit_test(test_no_stall_while_lingering),
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_ended),
        cmocka_unit_test(test_hopeless),
        cmocka_unit_test(test_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
