// The last lines of the log: of several threads, more than there is room for, and none that nobody hears of.
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/json_out.h"
#include "app/log_tail.h"

// What a taker has seen.
struct seen {
    size_t lines;
    unsigned long long left_out;
    char last[CH_LOG_TEXT_BYTES];
    int next[4]; // of each thread's numbers
    bool disorder;
};

static void ignore(void *context, const char *line)
{
    (void)context, (void)line;
}

static void take(void *context, const struct ch_log_line *line)
{
    struct seen *seen = context;
    unsigned long long left_out;
    int thread, number;
    assert_int_equal(strlen(line->text), line->size);
    snprintf(seen->last, sizeof seen->last, "%s", line->text);
    if (sscanf(line->text, "%llu lines came too fast", &left_out) == 1) {
        assert_int_equal(line->level, CH_LOG_WARNING);
        seen->left_out += left_out;
        return;
    }
    seen->lines++;
    if (sscanf(line->text, "thread %d line %d", &thread, &number) == 2) {
        seen->disorder |= number < seen->next[thread];
        seen->next[thread] = number + 1;
    }
}

static int set_up(void **state)
{
    (void)state;
    ch_log_set_writer(ignore, NULL);
    return 0;
}

static struct ch_log_tail *start(uv_loop_t *loop, void (*wake)(void *context), void *context)
{
    assert_int_equal(uv_loop_init(loop), 0);
    struct ch_log_tail *tail = ch_log_tail_start(loop, wake, context);
    assert_non_null(tail);
    return tail;
}

static void stop(struct ch_log_tail *tail, uv_loop_t *loop)
{
    ch_log_tail_stop(tail);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void lines_in_their_parts(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct ch_log_tail *tail = start(&loop, NULL, NULL);
    struct seen seen = {0};
    ch_log(CH_LOG_ERROR, CH_TAG_STATUS, "one\ntwo %d", 3);
    ch_log(CH_LOG_DEBUG, CH_TAG_FRAME, "never");
    ch_log_tail_take(tail, take, &seen);
    assert_int_equal(seen.lines, 1);
    assert_int_equal(ch_log_tail_count(tail), 1);
    const struct ch_log_line *line = ch_log_tail_line(tail, 0);
    assert_string_equal(line->text, "one two 3");
    assert_string_equal(line->tag, CH_TAG_STATUS);
    assert_int_equal(line->level, CH_LOG_ERROR);
    assert_true(line->wall_us > 0);
    // The longest line there is.
    char text[3 * CH_LOG_TEXT_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    ch_log_info("%s", text);
    ch_log_tail_take(tail, take, &seen);
    assert_int_equal(seen.lines, 2);
    assert_true(strlen(seen.last) > CH_LOG_TEXT_BYTES - 64 && strlen(seen.last) < CH_LOG_TEXT_BYTES);
    stop(tail, &loop);
    ch_log_info("nobody listens");
}

static void debug_lines_are_none_of_it(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct ch_log_tail *tail = start(&loop, NULL, NULL);
    ch_log_set_level(CH_LOG_DEBUG);
    ch_log(CH_LOG_DEBUG, CH_TAG_FRAME, "never");
    ch_log_set_level(CH_LOG_INFO);
    ch_log_tail_take(tail, NULL, NULL);
    assert_int_equal(ch_log_tail_count(tail), 0);
    stop(tail, &loop);
}

// Without a listener the last lines are all that anyone wants.
static void the_last_lines(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct ch_log_tail *tail = start(&loop, NULL, NULL);
    struct seen seen = {0};
    for (int i = 0; i < 3 * CH_LOG_TAIL_LINES / 2; i++)
        ch_log_info("line %d", i);
    ch_log_tail_take(tail, take, &seen);
    assert_int_equal(seen.lines, CH_LOG_TAIL_LINES);
    assert_int_equal(seen.left_out, 0);
    for (int i = 0; i < 10; i++)
        ch_log_info("more %d", i);
    ch_log_tail_take(tail, take, &seen);
    assert_int_equal(ch_log_tail_count(tail), CH_LOG_TAIL_LINES);
    assert_string_equal(ch_log_tail_line(tail, CH_LOG_TAIL_LINES - 1)->text, "more 9");
    char first[32];
    snprintf(first, sizeof first, "line %d", CH_LOG_TAIL_LINES / 2 + 10);
    assert_string_equal(ch_log_tail_line(tail, 0)->text, first);
    stop(tail, &loop);
}

static void what_is_left_out_is_counted(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct ch_log_tail *tail = start(&loop, NULL, NULL);
    struct seen seen = {0};
    ch_log_tail_listen(tail, true);
    for (int i = 0; i < CH_LOG_TAIL_LINES + 7; i++)
        ch_log_info("line %d", i);
    ch_log_tail_take(tail, take, &seen);
    assert_int_equal(seen.lines, CH_LOG_TAIL_LINES);
    assert_int_equal(seen.left_out, 7);
    ch_log_info("one more");
    ch_log_tail_take(tail, take, &seen);
    assert_int_equal(seen.lines, CH_LOG_TAIL_LINES + 1);
    assert_int_equal(seen.left_out, 7);
    stop(tail, &loop);
}

#define THREADS 4
#define LINES 3000

static void *talk(void *context)
{
    int *number = context;
    for (int i = 0; i < LINES; i++)
        ch_log_info("thread %d line %d", *number, i);
    return NULL;
}

struct waiter {
    struct ch_log_tail *tail;
    struct seen seen;
};

static void on_wake(void *context)
{
    struct waiter *waiter = context;
    ch_log_tail_take(waiter->tail, take, &waiter->seen);
}

// Every line of every thread is seen in its order, or counted; and the loop is woken for the last one.
static void many_threads(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct waiter waiter = {0};
    waiter.tail = start(&loop, on_wake, &waiter);
    ch_log_tail_listen(waiter.tail, true);
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, talk, &numbers[i]), 0);
    }
    while (waiter.seen.lines + waiter.seen.left_out < THREADS * LINES)
        uv_run(&loop, UV_RUN_ONCE);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(waiter.seen.lines + waiter.seen.left_out, THREADS * LINES);
    assert_false(waiter.seen.disorder);
    stop(waiter.tail, &loop);
}

// Threads that log while the collecting ends.
static void stop_in_the_middle(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        uv_loop_t loop;
        struct waiter waiter = {0};
        pthread_t thread;
        int number = 0;
        waiter.tail = start(&loop, on_wake, &waiter);
        ch_log_tail_listen(waiter.tail, true);
        assert_int_equal(pthread_create(&thread, NULL, talk, &number), 0);
        while (waiter.seen.lines == 0)
            uv_run(&loop, UV_RUN_ONCE);
        stop(waiter.tail, &loop);
        pthread_join(thread, NULL);
    }
}

// Text of any bytes becomes JSON.
static void check_text(const char *text, const char *wanted)
{
    json_t *value = ch_json_text(text);
    assert_non_null(value);
    assert_string_equal(json_string_value(value), wanted);
    json_decref(value);
}

static void text_of_any_bytes(void **state)
{
    (void)state;
    check_text("", "");
    check_text("plain \xc3\xa4", "plain \xc3\xa4");
    check_text("cut \xc3", "cut ?");
    check_text("\xff\xfe", "??");
    check_text("\xc3\xa4\x80\xc3\xa4", "\xc3\xa4?\xc3\xa4");
    check_text("\xed\xa0\x80.", "???."); // a surrogate
    json_t *value = ch_json_text(NULL);
    assert_true(json_is_null(value));
    json_decref(value);
    size_t size;
    json_t *pack = json_pack("[o,o,o,o]", ch_json_seconds(1234567), ch_json_seconds(-5), ch_json_hundredths(2997),
                             ch_json_time(INT64_C(1795218255123456)));
    char *written = ch_json_write(pack, &size);
    assert_string_equal(written, "[1.234,0.0,29.97,\"2026-11-20T23:44:15.123Z\"]");
    assert_int_equal(size, strlen(written));
    free(written);
    json_decref(pack);
    assert_null(ch_json_write(NULL, &size));
    assert_int_equal(size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_in_their_parts), cmocka_unit_test(debug_lines_are_none_of_it),
        cmocka_unit_test(the_last_lines),       cmocka_unit_test(what_is_left_out_is_counted),
        cmocka_unit_test(many_threads),         cmocka_unit_test(stop_in_the_middle),
        cmocka_unit_test(text_of_any_bytes),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
