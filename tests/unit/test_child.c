// ch_child with shell commands that behave as badly as children do: they hang, ignore SIGTERM, flood, die at once,
// leave grandchildren behind. The program also plays its own helper.
#include "child_run.h"

#include "source/redact.h"

#include <errno.h>
#include <signal.h>

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
    assert_int_equal(ch_child_said(&run->child, NULL, CH_CHILD_ERROR_LINES, text, sizeof text), 3);
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
    assert_true(took >= 650000);
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
    assert_true(ch_clock_mono_us() - begin >= 4900000);
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
    assert_true(ch_clock_mono_us() - begin >= 550000);
    run_free(run);
}

static void test_stderr_flood(void **state)
{
    (void)state;
    struct run *run = run_new();
    assert_int_equal(start(run, (struct ch_child_options){0}, "exec yes 'flood of errors' >&2"), 0);
    run_for_ms(run, 1000);
    assert_true(run->ticks > 10); // the loop had time for others
    assert_true(ch_child_running(&run->child));
    ch_child_stop(&run->child);
    run_until(run, &run->ended, 1);
    char text[CH_CHILD_ERRORS_BYTES];
    size_t n = ch_child_said(&run->child, NULL, CH_CHILD_ERROR_LINES, text, sizeof text);
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
    ch_child_said(&run->child, NULL, CH_CHILD_ERROR_LINES, text, sizeof text);
    assert_memory_equal(text, "line 12\nline 13\n", 16);
    assert_non_null(strstr(text, "line 29\n50%\nbad [1m end"));
    assert_int_equal(ch_child_last_error(&run->child, text, sizeof text), strlen("bad [1m end"));
    assert_string_equal(text, "bad [1m end");
    assert_int_equal(ch_child_said(&run->child, NULL, CH_CHILD_ERROR_LINES, small, sizeof small), 7);
    assert_string_equal(small, "[1m end");
    run_free(run);
}

// Only the end of stderr is kept, and what of it begins in the middle of a line is not shown: half a secret would not
// be recognised.
static void test_cut_error_lines(void **state)
{
    (void)state;
    struct run *run = run_new();
    char text[CH_CHILD_ERRORS_BYTES], expected[CH_CHILD_ERRORS_BYTES];
    // 4096 bytes are kept: 4 and a '\n' of the last line, and 4091 of the first, if it has as many.
    static const unsigned lengths[] = {4088, 4089, 4090, 4091, 4092, 5000, 100000};
    for (unsigned i = 0; i < 2 * sizeof lengths / sizeof *lengths; i++) {
        unsigned length = lengths[i / 2];
        char script[200]; // in pieces, and in one write
        snprintf(script, sizeof script, "printf 'old\\n%%%us\\nlast\\n' | tr ' ' x %s", length,
                 i % 2 ? "| dd bs=1M iflag=fullblock >&2 2>/dev/null" : ">&2");
        assert_int_equal(start(run, (struct ch_child_options){0}, script), 0);
        run_until(run, &run->ended, i + 1);
        size_t shown = length <= 4090 ? length + 1 : 0; // with its '\n'
        memset(expected, 'x', sizeof expected);
        snprintf(expected + (shown ? shown - 1 : 0), 10, "%slast", shown ? "\n" : "");
        assert_int_equal(ch_child_said(&run->child, NULL, CH_CHILD_ERROR_LINES, text, sizeof text), strlen(expected));
        assert_string_equal(text, expected);
    }
    // The same in many small pieces, and a line without an end.
    unsigned ended = run->ended;
    assert_int_equal(start(run, (struct ch_child_options){0},
                           "i=0; while [ $i -lt 900 ]; do echo \"line $i\" >&2; i=$((i+1)); done"),
                     0);
    run_until(run, &run->ended, ended + 1);
    size_t n = ch_child_said(&run->child, NULL, 1000, text, sizeof text);
    assert_in_range(n, CH_CHILD_ERRORS_BYTES - 10, CH_CHILD_ERRORS_BYTES - 1);
    assert_memory_equal(text, "line 4", 6);
    assert_string_equal(text + n - 9, "\nline 899");
    assert_int_equal(start(run, (struct ch_child_options){0}, "head -c 9000 /dev/zero | tr '\\0' x >&2"), 0);
    run_until(run, &run->ended, ended + 2);
    assert_int_equal(ch_child_said(&run->child, NULL, CH_CHILD_ERROR_LINES, text, sizeof text), 0);
    assert_string_equal(text, "");
    run_free(run);
}

static void test_what_it_said_without_secrets(void **state)
{
    (void)state;
    struct run *run = run_new();
    struct ch_redactor redactor = {0};
    assert_int_equal(ch_redactor_add(&redactor, "rtsp://operator:hunter22222@host/x"), 0);
    assert_int_equal(start(run, (struct ch_child_options){0},
                           "echo first >&2; echo 'rtsp://operator:hunter22222@host/x and hunter22222: failed' >&2"),
                     0);
    run_until(run, &run->ended, 1);
    char text[CH_CHILD_ERRORS_BYTES];
    ch_child_said(&run->child, &redactor, 2, text, sizeof text);
    assert_string_equal(text, "first\nrtsp://***@host/x and ***: failed");
    for (size_t room = 1; room < 40; room++) { // cut anywhere, never half of it is seen
        size_t n = ch_child_said(&run->child, &redactor, 1, text, room);
        assert_int_equal(n, strlen(text));
        assert_string_equal(text, &"rtsp://***@host/x and ***: failed"[33 - n]);
        if (n == 33)
            break;
        assert_int_equal(n, room - 1);
    }
    ch_child_forget_errors(&run->child);
    assert_int_equal(ch_child_said(&run->child, &redactor, 2, text, sizeof text), 0);
    // As much to hide as can be
    assert_int_equal(start(run, (struct ch_child_options){0},
                           "i=0; while [ $i -lt 800 ]; do printf 'x://a@' >&2;"
                           "i=$((i+1)); [ $((i%2)) = 0 ] && echo >&2; done"),
                     0);
    run_until(run, &run->ended, 2);
    ch_child_said(&run->child, &redactor, 5000, text, sizeof text);
    assert_null(strstr(text, "a@"));
    ch_redactor_free(&redactor);
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
    assert_true(gone_within_ms(pid, 10000));
    // Of one that is stopped.
    run->output_bytes = 0;
    assert_int_equal(start(run, (struct ch_child_options){0}, "sleep 1000 & echo $!; wait"), 0);
    run->on_output = stop_when_ready;
    run_until(run, &run->ended, 2);
    pid = atoi(run->output);
    assert_true(pid > 1);
    assert_true(gone_within_ms(pid, 10000));
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
    assert_true(ch_clock_mono_us() - begin >= 1000000);
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

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], CH_CHILD_HELPER_WORD) == 0)
        return ch_child_exec(argc - 1, argv + 1);
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
        cmocka_unit_test(test_cut_error_lines),
        cmocka_unit_test(test_what_it_said_without_secrets),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
