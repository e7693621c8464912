// Viewers that hold frames back to be sent several at a time: held together, sent together, and let go of when they
// leave.
#include "viewer_audit.h"

#include "base/limits.h"

#define PLENTY SIZE_MAX

struct stage {
    uv_loop_t loop;
    struct ch_viewer_holds holds;
};

static void build(struct stage *stage)
{
    assert_int_equal(uv_loop_init(&stage->loop), 0);
    ch_viewer_holds_init(&stage->holds, &stage->loop);
}

static void strike(struct stage *stage)
{
    ch_viewer_holds_close(&stage->holds);
    uv_run(&stage->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage->loop), 0);
}

static void watch_held(struct plug *plug, struct source *source, struct stage *stage, int64_t coalesce_us)
{
    *plug = (struct plug){.appetite = PLENTY};
    plug->last = &plug->first;
    ch_viewer_start(&plug->viewer, source->stream, CH_VIEW_WS_MP4, coalesce_us, &stage->holds, &plug_outlet, plug);
}

static void send_now(struct source *source, unsigned pictures)
{
    for (unsigned i = 0; i < pictures; i++) {
        source->arrival_us = ch_clock_mono_us() - STEP_MS * 1000; // before the step: it arrives now
        send_picture(source, false);
    }
}

// Held together, sent together, in one call; and the loop has nothing left to do then.
static void test_coalescing(void **state)
{
    (void)state;
    struct stage stage;
    struct source source;
    struct plug held, hasty;
    build(&stage);
    plug_in(&source, false, 0);
    send_sets(&source);
    watch_held(&held, &source, &stage, 500000);
    watch_held(&hasty, &source, &stage, 0);
    send_picture(&source, true); // at once: a viewer that has nothing yet does not wait
    assert_int_equal(held.viewer.frames_sent, 1);
    for (unsigned round = 0; round < 3; round++) {
        int64_t begin = ch_clock_mono_us();
        unsigned sends = held.sends;
        uint64_t sent = held.viewer.frames_sent;
        send_now(&source, 10);
        bool in_time = ch_clock_mono_us() - begin < 400000; // else this machine is too slow to see anything
        assert_int_equal(hasty.viewer.frames_sent, 1 + 10 * (round + 1));
        if (in_time)
            assert_int_equal(held.viewer.frames_sent, sent);
        uv_run(&stage.loop, UV_RUN_DEFAULT); // until the timer is done
        assert_int_equal(held.viewer.frames_sent, sent + 10);
        if (in_time) {
            assert_int_equal(held.sends, sends + 1);
            assert_true(ch_clock_mono_us() - begin >= 490000);
        }
    }
    assert_whole(&held, &source, 31);
    assert_memory_equal(held.out.data, hasty.out.data, held.out.size);
    leave(&held);
    leave(&hasty);
    unplug(&source);
    strike(&stage);
}

// Several of them with several patiences, and some leave while they are held: first, last, between.
static void test_leave_while_held(void **state)
{
    (void)state;
    for (unsigned mask = 0; mask < 16; mask++) {
        struct stage stage;
        struct source source;
        struct plug plugs[4];
        build(&stage);
        plug_in(&source, false, 0);
        send_sets(&source);
        send_picture(&source, true);
        for (unsigned i = 0; i < 4; i++)
            watch_held(&plugs[i], &source, &stage, 20000 + 10000 * ((i + mask) % 4));
        send_now(&source, 3);
        for (unsigned i = 0; i < 4; i++)
            if (mask >> i & 1)
                leave(&plugs[i]);
        uv_run(&stage.loop, UV_RUN_DEFAULT);
        for (unsigned i = 0; i < 4; i++)
            if (!(mask >> i & 1)) {
                assert_whole(&plugs[i], &source, 4);
                leave(&plugs[i]);
            }
        unplug(&source);
        strike(&stage);
    }
}

// One that holds back for long has its patience on top of what others may lag behind: the log keeps that much.
static void test_held_for_long(void **state)
{
    (void)state;
    struct stage stage;
    struct source source;
    struct plug plug;
    build(&stage);
    plug_in(&source, false, HOUR_US);
    ch_cursor_detach(&source.cursor);
    send_sets(&source);
    send_picture(&source, true);
    watch_held(&plug, &source, &stage, CH_LIMIT_COALESCE_US);
    unsigned pictures = 1;
    int64_t begin = source.arrival_us;
    while (source.arrival_us - begin < CH_LIMIT_COALESCE_US + CH_LIVE_LAG_US - 500000) {
        send_gop(&source, 5);
        pictures += 5;
    }
    ch_viewer_room(&plug.viewer); // as if they were due, half a second too late
    assert_int_equal(plug.viewer.dropped, 0);
    assert_int_equal(plug.viewer.frames_sent, pictures);
    leave(&plug);
    unplug(&source);
    strike(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coalescing),
        cmocka_unit_test(test_leave_while_held),
        cmocka_unit_test(test_held_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
