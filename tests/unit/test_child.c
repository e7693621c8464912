// ch_child with shell commands that behave as badly as children do: they hang, ignore SIGTERM, flood,
// die at once, leave grandchildren behind, outlive us. The program also plays its own helper, and the
// parent that gets killed.
#include "unit.h"

#include "base/clock.h"
#include "source/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
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

static void run_for_ms(struct run *run, int64_t ms)
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

static void test_output_and_status(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_false(ch_child_running(&run->child));
    assert_int_equal(start(run, (struct ch_child_options){0}, "echo one; echo two >&2; exit 3"), 0);
    assert_true(ch_child_running(&run->child));
    assert_true(ch_child_pid(&run->child) > 1);
    assert_int_equal(start(run, (struct ch_child_options){0}, "true"), -EBUSY);
    run_until(run, &run->ended, 1);
    assert_false(ch_child_running(&run->child));
    assert_int_equal(ch_child_pid(&run->child), 0);
    assert_string_equal(run->output, "one\n");
    assert_int_equal(run->how.status, 3);
    assert_int_equal(run->how.signal, 0);
    assert_false(run->how.stopped || run->how.timed_out);
    char text[CH_CHILD_ERRORS_BYTES];
    assert_int_equal(ch_child_errors(&run->child, text, sizeof text), 3);
    assert_string_equal(text, "two");
    run_free(run);
}

static void test_large_output_is_whole(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){0}, "head -c 3000000 /dev/zero; exit 0"), 0);
    run_until(run, &run->ended, 1);
    assert_int_equal(run->output_bytes, 3000000);
    run_free(run);
}

static void test_dies_by_signal(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){0}, "kill -SEGV $$"), 0);
    run_until(run, &run->ended, 1);
    assert_int_equal(run->how.signal, SIGSEGV);
    run_free(run);
}

static void test_no_such_command(void **state)
{
    (void)state;
    struct run *run = run_new();
    struct ch_child_options options = {.argv = (const char *const[]){"camhub-no-such-command", NULL}};
    assert_int_equal(ch_child_start(&run->child, &options), -ENOENT);
    assert_false(ch_child_running(&run->child));
    assert_int_equal(ch_child_start(&run->child, &options), -EBUSY);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    assert_int_equal(run->ended, 0);
    options.helper = CH_CHILD_HELPER;
    assert_int_equal(ch_child_start(&run->child, &options), 0);
    run_until(run, &run->ended, 1);
    assert_int_equal(run->how.status, 127);
    char text[256];
    ch_child_last_error(&run->child, text, sizeof text);
    assert_string_equal(text, "camhub: cannot run camhub-no-such-command: No such file or directory");
    run_free(run);
}

static void test_stop_ends_a_hang(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){.helper = CH_CHILD_HELPER}, "exec sleep 1000"), 0);
    ch_child_stop(&run->child);
    ch_child_stop(&run->child);
    run_until(run, &run->ended, 1);
    assert_int_equal(run->how.signal, SIGTERM);
    assert_true(run->how.stopped);
    run_free(run);
}

static const char deaf[] = "trap '' TERM INT HUP; echo ready; while :; do sleep 0.1; done";

static void stop_when_ready(struct run *run)
{
    ch_child_stop(&run->child);
}

static void test_ignores_term(void **state)
{
    (void)state;
    struct run *run = run_new();
    run->on_output = stop_when_ready;
    assert_int_equal(start(run, (struct ch_child_options){.grace_us = 700000}, deaf), 0);
    int64_t begin = ch_clock_mono_us();
    run_until(run, &run->ended, 1);
    int64_t took = ch_clock_mono_us() - begin;
    assert_int_equal(run->how.signal, SIGKILL);
    assert_true(run->how.stopped);
    assert_in_range(took, 650000, 3000000);
    run_free(run);
}

static void test_default_grace_is_five_seconds(void **state)
{
    (void)state;
    struct run *run = run_new();
    run->on_output = stop_when_ready;
    assert_int_equal(start(run, (struct ch_child_options){0}, deaf), 0);
    int64_t begin = ch_clock_mono_us();
    run_until(run, &run->ended, 1);
    assert_in_range(ch_clock_mono_us() - begin, 4900000, 8000000);
    run_free(run);
}

static void test_time_limit(void **state)
{
    (void)state;
    struct run *run = run_new();
    struct ch_child_options options = {.time_limit_us = 300000, .grace_us = 300000};
    assert_int_equal(start(run, options, deaf), 0);
    int64_t begin = ch_clock_mono_us();
    run_until(run, &run->ended, 1);
    assert_true(run->how.timed_out);
    assert_false(run->how.stopped);
    assert_int_equal(run->how.signal, SIGKILL);
    assert_in_range(ch_clock_mono_us() - begin, 550000, 3000000);
    run_free(run);
}

static void test_stderr_flood(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){0}, "exec yes 'flood of errors' >&2"), 0);
    run_for_ms(run, 1000);
    assert_true(run->ticks > 50); // the loop had time for others
    assert_true(ch_child_running(&run->child));
    ch_child_stop(&run->child);
    run_until(run, &run->ended, 1);
    char text[CH_CHILD_ERRORS_BYTES];
    size_t n = ch_child_errors(&run->child, text, sizeof text);
    unsigned lines = 1;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    assert_int_equal(lines, CH_CHILD_ERROR_LINES);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(text, "flood of errors\n", 16);
    run_free(run);
}

static void test_stderr_is_drained(void **state)
{
    (void)state;
    struct run *run = run_new();
    // More than any pipe holds, in one go, and then the work goes on.
    assert_int_equal(start(run, (struct ch_child_options){0}, "head -c 1500000 /dev/zero >&2; echo done"), 0);
    run_until(run, &run->ended, 1);
    assert_string_equal(run->output, "done\n");
    run_free(run);
}

static void test_error_lines(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){0},
                           "i=0; while [ $i -lt 30 ]; do echo line $i >&2; i=$((i+1)); done;"
                           "printf '\\r50%%\\rbad\\033[1m end\\n\\n' >&2"),
                     0);
    run_until(run, &run->ended, 1);
    char text[CH_CHILD_ERRORS_BYTES], small[8];
    ch_child_errors(&run->child, text, sizeof text);
    assert_memory_equal(text, "line 12\nline 13\n", 16);
    assert_non_null(strstr(text, "line 29\n50%\nbad [1m end"));
    assert_int_equal(ch_child_last_error(&run->child, text, sizeof text), strlen("bad [1m end"));
    assert_string_equal(text, "bad [1m end");
    assert_int_equal(ch_child_errors(&run->child, small, sizeof small), 7);
    assert_string_equal(small, "[1m end");
    run_free(run);
}

static void test_feeding(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){.feed = true}, "exec cat"), 0);
    static char block[100000];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(i * 7);
    for (int i = 0; i < 20; i++)
        assert_int_equal(ch_child_write(&run->child, block, sizeof block), 0);
    assert_true(ch_child_unwritten(&run->child) > 0);
    run_until(run, &run->fed, 1);
    assert_int_equal(ch_child_unwritten(&run->child), 0);
    assert_int_equal(run->ended, 0);
    ch_child_end_input(&run->child);
    assert_int_equal(ch_child_write(&run->child, block, 1), -EPIPE);
    run_until(run, &run->ended, 1);
    assert_int_equal(run->how.status, 0);
    assert_int_equal(run->output_bytes, 20 * sizeof block);
    for (int i = 0; i < 20; i++)
        assert_memory_equal(run->output + (size_t)i * sizeof block, block, sizeof block);
    run_free(run);
}

static void test_feeding_one_that_does_not_read(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){.feed = true}, "exec 0<&-; sleep 0.3; exit 5"), 0);
    static char block[1000000];
    assert_int_equal(ch_child_write(&run->child, block, sizeof block), 0);
    run_until(run, &run->ended, 1);
    assert_int_equal(run->how.status, 5);
    assert_int_equal(ch_child_write(&run->child, block, 1), -EPIPE);
    run_free(run);
}

static void test_stdin_is_empty(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){0}, "wc -c"), 0);
    run_until(run, &run->ended, 1);
    assert_int_equal(atoi(run->output), 0);
    assert_int_equal(ch_child_write(&run->child, "x", 1), -EPIPE);
    run_free(run);
}

static void test_pause(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){0}, "head -c 2000000 /dev/zero"), 0);
    ch_child_pause(&run->child);
    run_for_ms(run, 300);
    assert_int_equal(run->output_bytes, 0);
    assert_int_equal(run->ended, 0);
    ch_child_resume(&run->child);
    run_until(run, &run->ended, 1);
    assert_int_equal(run->output_bytes, 2000000);
    // What is in the pipe when the process ends is not lost while the owner holds it back.
    assert_int_equal(start(run, (struct ch_child_options){0}, "echo last"), 0);
    ch_child_pause(&run->child);
    run_for_ms(run, 1300);
    assert_int_equal(run->ended, 1);
    ch_child_resume(&run->child);
    run_until(run, &run->ended, 2);
    assert_int_equal(run->output_bytes, 2000005);
    run_free(run);
}

static void test_stop_while_paused(void **state)
{
    (void)state;
    struct run *run = run_new();
    // Blocked in a write, with a handler that ends it orderly: it must get to run.
    assert_int_equal(
        start(run, (struct ch_child_options){0}, "trap 'exit 9' TERM; while :; do echo xxxxxxxxxxxxxxxx; done"), 0);
    ch_child_pause(&run->child);
    run_for_ms(run, 300);
    ch_child_stop(&run->child);
    run_until(run, &run->ended, 1);
    assert_int_equal(run->how.signal, 0);
    assert_int_equal(run->how.status, 9);
    run_free(run);
}

static void test_grandchildren(void **state)
{
    (void)state;
    struct run *run = run_new();
    // Left behind by a leader that ends, and holding its stdout open.
    assert_int_equal(start(run, (struct ch_child_options){0}, "sleep 1000 & echo $!; exit 0"), 0);
    run_until(run, &run->ended, 1);
    int pid = atoi(run->output);
    assert_true(pid > 1);
    assert_true(gone_within_ms(pid, 2000));
    // Of one that is stopped.
    run->output_bytes = 0;
    assert_int_equal(start(run, (struct ch_child_options){0}, "sleep 1000 & echo $!; wait"), 0);
    run->on_output = stop_when_ready;
    run_until(run, &run->ended, 2);
    pid = atoi(run->output);
    assert_true(pid > 1);
    assert_true(gone_within_ms(pid, 2000));
    run_free(run);
}

static void test_output_held_open_by_an_escaped_process(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(
        start(run, (struct ch_child_options){0}, "setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.3; exit 0"), 0);
    int64_t begin = ch_clock_mono_us();
    run_until(run, &run->ended, 1);
    assert_in_range(ch_clock_mono_us() - begin, 1000000, 4000000);
    int pid = atoi(run->output);
    assert_true(alive(pid)); // or this test shows nothing
    kill(pid, SIGKILL);
    run_free(run);
}

static void start_again(struct run *run)
{
    if (run->ended < 3)
        assert_int_equal(start(run, (struct ch_child_options){0}, "echo again"), 0);
}

static void test_start_from_exited(void **state)
{
    (void)state;
    struct run *run = run_new();
    run->on_ended = start_again;
    assert_int_equal(start(run, (struct ch_child_options){0}, "echo again"), 0);
    run_until(run, &run->ended, 3);
    assert_string_equal(run->output, "again\nagain\nagain\n");
    run_free(run);
}

static void test_close_while_running(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){.feed = true}, deaf), 0);
    run_for_ms(run, 100);
    int pid = ch_child_pid(&run->child);
    static char block[1000000];
    assert_int_equal(ch_child_write(&run->child, block, sizeof block), 0);
    ch_child_close(&run->child, take_closed);
    run_until(run, &run->closed, 1);
    assert_int_equal(run->ended, 0);
    assert_false(alive(pid));
    run->closed = 0; // run_free closes again, which must do nothing
    ch_child_close(&run->child, take_closed);
    uv_run(&run->loop, UV_RUN_NOWAIT);
    assert_int_equal(run->closed, 0);
    uv_close((uv_handle_t *)&run->guard, NULL);
    uv_close((uv_handle_t *)&run->ticker, NULL);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&run->loop), 0);
    free(run->output);
    free(run);
}

static void close_from_output(struct run *run)
{
    run->on_output = NULL;
    ch_child_close(&run->child, take_closed);
}

static void test_close_from_output(void **state)
{
    (void)state;
    struct run *run = run_new();
    run->on_output = close_from_output;
    assert_int_equal(start(run, (struct ch_child_options){0}, "while :; do echo x; done"), 0);
    run_until(run, &run->closed, 1);
    assert_int_equal(run->ended, 0);
    uv_close((uv_handle_t *)&run->guard, NULL);
    uv_close((uv_handle_t *)&run->ticker, NULL);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&run->loop), 0);
    free(run->output);
    free(run);
}

// Limits, both with and without the helper (without it they come a moment after the start).
static void check_limits(const char *helper)
{
    struct run *run = run_new();
    struct ch_child_options options = {
        .helper = helper, .nice = CH_CHILD_NICE, .open_files = 77, .address_space_bytes = UINT64_C(1) << 30};
    assert_int_equal(start(run, options, "sleep 0.2; ulimit -n; ulimit -v; nice"), 0);
    run_until(run, &run->ended, 1);
    assert_string_equal(run->output, "77\n1048576\n5\n");
    run_free(run);
}

static void test_limits(void **state)
{
    (void)state;
    check_limits(CH_CHILD_HELPER);
    check_limits(NULL);
}

static void test_descriptors(void **state)
{
    (void)state;
    struct run *run = run_new();
    int fd = open("/dev/null", O_RDWR); // on purpose without O_CLOEXEC
    assert_true(fd > 2);
    char script[128];
    snprintf(script, sizeof script, "[ -e /proc/$$/fd/%d ] && echo open || echo closed", fd);
    assert_int_equal(start(run, (struct ch_child_options){.helper = CH_CHILD_HELPER}, script), 0);
    run_until(run, &run->ended, 1);
    assert_string_equal(run->output, "closed\n");
    run->output_bytes = 0;
    assert_int_equal(start(run, (struct ch_child_options){0}, script), 0);
    run_until(run, &run->ended, 2);
    assert_string_equal(run->output, "open\n");
    close(fd);
    run_free(run);
}

// This program as a parent: starts a sleeper, prints its number, and waits to be killed.
static int play_parent(const char *helper)
{
    struct run *run = run_new();
    if (start(run, (struct ch_child_options){.helper = helper}, "echo $$; exec sleep 1000") != 0)
        return 1;
    while (run->output_bytes == 0)
        uv_run(&run->loop, UV_RUN_ONCE);
    printf("%s", run->output);
    fflush(stdout);
    for (;;)
        pause();
}

// Kills a parent of that kind; true if its child went with it.
static bool child_goes_with_parent(const char *kind)
{
    struct run *run = run_new();
    char script[PATH_MAX + 64], self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    snprintf(script, sizeof script, "exec '%s' %s", self, kind);
    assert_int_equal(start(run, (struct ch_child_options){0}, script), 0);
    while (!memchr(run->output, '\n', run->output_bytes))
        uv_run(&run->loop, UV_RUN_ONCE);
    int pid = atoi(run->output);
    assert_true(alive(pid));
    kill(ch_child_pid(&run->child), SIGKILL);
    run_until(run, &run->ended, 1);
    bool gone = gone_within_ms(pid, 1000);
    kill(pid, SIGKILL);
    run_free(run);
    return gone;
}

static void test_dies_with_us(void **state)
{
    (void)state;
    assert_true(child_goes_with_parent("play-parent"));
    assert_false(child_goes_with_parent("play-careless-parent"));
}

static void test_helper_arguments(void **state)
{
    (void)state;
    struct run *run = run_new();
    static const char *const bad[] = {
        "", "--", "--nice", "--nice 5", "--nice x -- true", "--what 1 -- true", "--open-files -1 -- true"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        char script[PATH_MAX], self[PATH_MAX - 100];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        assert_true(n > 0);
        self[n] = '\0';
        snprintf(script, sizeof script, "exec '%s' child-exec %s", self, bad[i]);
        assert_int_equal(start(run, (struct ch_child_options){0}, script), 0);
        run_until(run, &run->ended, i + 1);
        assert_int_equal(run->how.status, 2);
    }
    run_free(run);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], CH_CHILD_HELPER_WORD) == 0)
        return ch_child_exec(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "play-parent") == 0)
        return play_parent(CH_CHILD_HELPER);
    if (argc > 1 && strcmp(argv[1], "play-careless-parent") == 0)
        return play_parent(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_and_status),
        cmocka_unit_test(test_large_output_is_whole),
        cmocka_unit_test(test_dies_by_signal),
        cmocka_unit_test(test_no_such_command),
        cmocka_unit_test(test_stop_ends_a_hang),
        cmocka_unit_test(test_ignores_term),
        cmocka_unit_test(test_default_grace_is_five_seconds),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_stderr_flood),
        cmocka_unit_test(test_stderr_is_drained),
        cmocka_unit_test(test_error_lines),
        cmocka_unit_test(test_feeding),
        cmocka_unit_test(test_feeding_one_that_does_not_read),
        cmocka_unit_test(test_stdin_is_empty),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_stop_while_paused),
        cmocka_unit_test(test_grandchildren),
        cmocka_unit_test(test_output_held_open_by_an_escaped_process),
        cmocka_unit_test(test_start_from_exited),
        cmocka_unit_test(test_close_while_running),
        cmocka_unit_test(test_close_from_output),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_dies_with_us),
        cmocka_unit_test(test_helper_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
