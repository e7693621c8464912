// The device's clock: times are kept exactly, and what is impossible is told from what is merely late.
#include "unit.h"

#include "stream/timeline.h"

#define MS INT64_C(90) // ticks
#define STEP_MS 33

// A camera without B-frames: every picture comes out at once.
struct clocked {
    struct ch_timeline timeline;
    uint64_t device_ms;
    int64_t arrival_us, pts;
    bool first, repaired, jumped;
    unsigned repairs, jumps;
};

static struct clocked start(uint64_t device_ms)
{
    struct clocked clocked = {.device_ms = device_ms, .arrival_us = INT64_C(77000000), .first = true};
    ch_timeline_init(&clocked.timeline);
    return clocked;
}

// One picture; its time on the timeline. The rules that hold for any input are checked on the way.
static int64_t show(struct clocked *clocked, uint64_t device_ms, int64_t arrival_us)
{
    struct ch_timeline_picture in = {.user = clocked,
                                     .device_ms = device_ms,
                                     .arrival_us = arrival_us,
                                     .nominal_step_ticks = 3000,
                                     .key = clocked->first},
                               out, none;
    ch_timeline_push(&clocked->timeline, &in);
    assert_true(ch_timeline_pop(&clocked->timeline, &out));
    assert_false(ch_timeline_pop(&clocked->timeline, &none));
    assert_ptr_equal(out.user, clocked);
    assert_int_equal(out.dts_ticks, out.pts_ticks);
    assert_true(clocked->first ? out.pts_ticks == CH_TIMELINE_ORIGIN : out.pts_ticks > clocked->pts);
    clocked->first = false;
    clocked->device_ms = device_ms;
    clocked->arrival_us = arrival_us;
    clocked->repaired = out.repaired;
    clocked->jumped = out.jumped;
    clocked->repairs += out.repaired;
    clocked->jumps += out.jumped;
    return clocked->pts = out.pts_ticks;
}

// The next picture, so much later by the device's clock and by ours.
static int64_t later(struct clocked *clocked, int64_t device_ms, int64_t arrival_ms)
{
    return show(clocked, clocked->device_ms + (uint64_t)device_ms, clocked->arrival_us + arrival_ms * 1000);
}

static void run(struct clocked *clocked, unsigned pictures)
{
    while (pictures-- > 0)
        later(clocked, STEP_MS, STEP_MS);
}

// `pictures` in step with the device's clock, from where it stands.
static void assert_exact(struct clocked *clocked, unsigned pictures)
{
    int64_t pts = clocked->pts;
    for (unsigned i = 1; i <= pictures; i++) {
        assert_int_equal(later(clocked, STEP_MS, STEP_MS), pts + i * STEP_MS * MS);
        assert_false(clocked->repaired || clocked->jumped);
    }
}

static void test_exact(void **state)
{
    (void)state;
    static const uint64_t starts[] = {0, 1, 123456789, UINT64_C(1) << 40, UINT64_MAX - 50, UINT64_MAX};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        struct clocked clocked = start(0);
        assert_int_equal(show(&clocked, starts[i], 5), CH_TIMELINE_ORIGIN);
        int64_t since = 0;
        for (unsigned n = 0; n < 1000; n++) { // steps that differ, arrivals that differ otherwise; also over the top
            int64_t step = 1 + n * 37 % 80;
            since += step;
            assert_int_equal(later(&clocked, step, 1 + n * 53 % 80), CH_TIMELINE_ORIGIN + since * MS);
        }
        assert_int_equal(clocked.repairs + clocked.jumps, 0);
    }
}

// --- small faults ------------------------------------------------------------------------------------

static void test_repeats(void **state)
{
    (void)state;
    struct clocked clocked = start(0);
    run(&clocked, 10);
    int64_t pts = clocked.pts;
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(later(&clocked, 0, STEP_MS), pts + i); // one tick behind the last, no more
        assert_true(clocked.repaired && !clocked.jumped);
    }
    assert_int_equal(later(&clocked, STEP_MS, STEP_MS), pts + STEP_MS * MS); // and then exact again
    assert_false(clocked.repaired);
    assert_exact(&clocked, 10);
}

static void test_backward(void **state)
{
    (void)state;
    static const int64_t steps[] = {1, 10, 500, 1900};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct clocked clocked = start(0);
        run(&clocked, 10);
        int64_t pts = clocked.pts;
        assert_int_equal(later(&clocked, -steps[i], STEP_MS), pts + 1);
        assert_true(clocked.repaired && !clocked.jumped);
        int64_t truth = pts - steps[i] * MS, last = pts + 1;
        for (unsigned n = 0; n < 80; n++) { // shifted as long as the device has not caught up, exact afterwards
            truth += STEP_MS * MS;
            int64_t expected = truth > last ? truth : last + 1;
            assert_int_equal(last = later(&clocked, STEP_MS, STEP_MS), expected);
            assert_int_equal(clocked.repaired, expected != truth);
            assert_false(clocked.jumped);
        }
    }
}

// --- jumps -------------------------------------------------------------------------------------------

static void assert_jump(uint64_t from, uint64_t to)
{
    struct clocked clocked = start(0);
    show(&clocked, from - 20 * STEP_MS, 1000000);
    run(&clocked, 20);
    assert_int_equal(clocked.device_ms, from);
    int64_t pts = clocked.pts;
    assert_int_equal(show(&clocked, to, clocked.arrival_us + STEP_MS * 1000), pts + STEP_MS * MS); // at its own pace
    assert_true(clocked.jumped && !clocked.repaired);
    assert_exact(&clocked, 100); // on the new base
    assert_int_equal(clocked.jumps, 1);
    assert_int_equal(clocked.repairs, 0);
}

static void test_jumps(void **state)
{
    (void)state;
    const uint64_t hour = 3600000, middle = UINT64_C(1) << 41;
    assert_jump(middle, middle + hour);
    assert_jump(middle, middle - hour);
    assert_jump(middle, middle + 2100);
    assert_jump(middle, middle - 2100);
    assert_jump(middle, 0);
    assert_jump(middle, UINT64_MAX);
    assert_jump(middle, UINT64_C(1) << 63);
    assert_jump(UINT64_MAX, UINT64_C(1) << 62);
    assert_jump(hour, UINT64_MAX);
    assert_jump(hour, hour + (UINT64_C(1) << 63));
}

// Two seconds against the arrival clock are within what the network explains, a millisecond more is not.
static void test_almost_a_jump(void **state)
{
    (void)state;
    for (int64_t beyond = 0; beyond <= 1; beyond++) {
        struct clocked ahead = start(0), back = start(100000);
        run(&ahead, 20);
        later(&ahead, 2000 + STEP_MS + beyond, STEP_MS);
        assert_int_equal(ahead.jumped, beyond);
        assert_int_equal(ahead.repairs, 0);
        show(&back, 100000, 1000000);
        later(&back, -2000 + STEP_MS - beyond, STEP_MS);
        assert_int_equal(back.jumped, beyond);
        assert_int_equal(back.repaired, !beyond);
    }
}

static void test_many_jumps(void **state)
{
    (void)state;
    struct clocked clocked = start(0);
    run(&clocked, 10);
    uint64_t random = 12345;
    for (unsigned i = 0; i < 5000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1;
        int64_t pts = clocked.pts;
        show(&clocked, random, clocked.arrival_us + STEP_MS * 1000);
        assert_true(clocked.jumped);
        assert_int_equal(clocked.pts, pts + STEP_MS * MS);
    }
}

// The first step of all jumps: there is no pace yet, so it is the nominal one.
static void test_jump_at_once(void **state)
{
    (void)state;
    struct clocked clocked = start(0);
    show(&clocked, 100, 1000000);
    assert_int_equal(show(&clocked, 10000000, 1001000), CH_TIMELINE_ORIGIN + 3000);
    assert_true(clocked.jumped);
    assert_exact(&clocked, 10);
}

// The pace is the median of the last steps: one long pause does not make it.
static void test_pace(void **state)
{
    (void)state;
    struct clocked clocked = start(0);
    run(&clocked, 10);
    for (unsigned i = 0; i < 4; i++)
        later(&clocked, 1500, 1500);
    int64_t pts = clocked.pts;
    later(&clocked, 3600000, STEP_MS);
    assert_int_equal(clocked.pts, pts + STEP_MS * MS);
    for (unsigned i = 0; i < 9; i++)
        later(&clocked, 100, 100);
    pts = clocked.pts;
    later(&clocked, 3600000, 100);
    assert_int_equal(clocked.pts, pts + 100 * MS);
}

// --- lateness is no fault ---------------------------------------------------------------------------

// The network stood still; all that was kept comes at once, with true times.
static void test_stall_and_burst(void **state)
{
    (void)state;
    for (int64_t stall_ms = 1000; stall_ms <= 60000; stall_ms *= 2) {
        struct clocked clocked = start(0);
        run(&clocked, 100);
        int64_t pts = clocked.pts;
        assert_int_equal(later(&clocked, STEP_MS, stall_ms), pts + STEP_MS * MS);
        int64_t behind = stall_ms - STEP_MS;
        for (; behind > STEP_MS; behind -= STEP_MS) {
            pts = clocked.pts;
            assert_int_equal(later(&clocked, STEP_MS, 0), pts + STEP_MS * MS);
        }
        assert_exact(&clocked, 1000);
        assert_int_equal(clocked.repairs + clocked.jumps, 0);
    }
}

// The same, but the phone dropped what did not fit into its buffer: a step far ahead within a millisecond.
static void test_stall_with_drops(void **state)
{
    (void)state;
    for (int64_t stall_ms = 3000; stall_ms <= 48000; stall_ms *= 2) {
        struct clocked clocked = start(0);
        run(&clocked, 100);
        later(&clocked, STEP_MS, stall_ms);
        for (unsigned i = 0; i < 20; i++)
            later(&clocked, STEP_MS, 0);
        int64_t pts = clocked.pts, hole = stall_ms - 22 * STEP_MS;
        assert_int_equal(later(&clocked, hole, 1), pts + hole * MS);
        assert_exact(&clocked, 1000);
        assert_int_equal(clocked.repairs + clocked.jumps, 0);
    }
}

// After a stall so long that only late pictures are remembered, a clock set forward is noticed all the same
// as soon as pictures are on time again.
static void test_jump_after_stall(void **state)
{
    (void)state;
    struct clocked clocked = start(0);
    run(&clocked, 100);
    later(&clocked, STEP_MS, 5000);
    later(&clocked, 5000 - STEP_MS, STEP_MS); // caught up
    later(&clocked, 10000, STEP_MS);
    assert_true(clocked.jumped);
}

static void test_jitter(void **state)
{
    (void)state;
    struct clocked clocked = start(0);
    uint32_t random = 5;
    int64_t arrival = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        random = random * 1664525u + 1013904223u;
        int64_t at = (int64_t)i * STEP_MS + (random >> 8) % (i % 500 < 20 ? 1900 : 150); // ms of delay
        arrival = at > arrival ? at : arrival;                                           // TCP keeps the order
        assert_int_equal(show(&clocked, 40 + i * STEP_MS, arrival * 1000),
                         CH_TIMELINE_ORIGIN + (int64_t)i * STEP_MS * MS);
    }
    assert_int_equal(clocked.repairs + clocked.jumps, 0);
}

// Clocks that do not run alike: a night with a quartz that is 200 ppm off, either way.
static void test_drift(void **state)
{
    (void)state;
    for (int64_t ppm = -200; ppm <= 200; ppm += 100) {
        struct clocked clocked = start(0);
        for (int64_t i = 0; i < 10 * 3600 * 10; i++) {
            int64_t us = i * 100000;
            int64_t pts = show(&clocked, (uint64_t)(i * 100), us + us / 1000000 * ppm);
            assert_int_equal(pts, CH_TIMELINE_ORIGIN + i * 100 * MS);
        }
        assert_int_equal(clocked.repairs + clocked.jumps, 0);
        later(&clocked, 5000, 100); // and a jump still is one
        assert_true(clocked.jumped);
    }
}

static void test_pause(void **state)
{
    (void)state;
    struct clocked clocked = start(0);
    run(&clocked, 100);
    for (int64_t pause_ms = 1000; pause_ms < 12 * 3600000; pause_ms *= 3) { // nothing to see, for hours
        int64_t pts = clocked.pts;
        assert_int_equal(later(&clocked, pause_ms, pause_ms), pts + pause_ms * MS);
        assert_exact(&clocked, 10);
    }
    assert_int_equal(clocked.repairs + clocked.jumps, 0);
}

// --- a new clock -------------------------------------------------------------------------------------

static void test_new_clock(void **state)
{
    (void)state;
    static const int64_t steps[] = {-1, -20, -1000, -100000};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct clocked clocked = start(0);
        run(&clocked, 1000);
        ch_timeline_expect_new_clock(&clocked.timeline);
        int64_t pts = clocked.pts;
        assert_int_equal(later(&clocked, steps[i], STEP_MS), pts + STEP_MS * MS);
        assert_true(clocked.jumped && !clocked.repaired);
        assert_exact(&clocked, 10);
        pts = clocked.pts;
        assert_int_equal(later(&clocked, -20, STEP_MS), pts + 1); // expected once, not for ever
        assert_true(clocked.repaired && !clocked.jumped);
    }
}

// The encoder went on as before, or told its sets in between: no new clock.
static void test_new_clock_needless(void **state)
{
    (void)state;
    struct clocked clocked = start(0);
    ch_timeline_expect_new_clock(&clocked.timeline); // before the first picture
    run(&clocked, 10);
    ch_timeline_expect_new_clock(&clocked.timeline);
    assert_exact(&clocked, 10);
    ch_timeline_expect_new_clock(&clocked.timeline);
    int64_t pts = clocked.pts;
    assert_int_equal(later(&clocked, 60000, 60000), pts + 60000 * MS);
    assert_int_equal(clocked.jumps, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_backward),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_almost_a_jump),
        cmocka_unit_test(test_many_jumps),
        cmocka_unit_test(test_jump_at_once),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_stall_and_burst),
        cmocka_unit_test(test_stall_with_drops),
        cmocka_unit_test(test_jump_after_stall),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_new_clock),
        cmocka_unit_test(test_new_clock_needless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
