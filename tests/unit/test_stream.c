// The log: what is kept of a stream and for whom, where sessions and viewers begin, who is woken.
#include "stream_maker.h"

#include "base/limits.h"
#include "stream/stream.h"

#include <errno.h>

#define STEP_US INT64_C(33000)
#define KEPT_US (CH_LIVE_LAG_US + CH_LIMIT_COALESCE_US) // for viewers that are behind

struct camera {
    struct ch_stream *stream;
    struct recipe recipe;
    uint64_t messages; // sent
    uint32_t frame_num;
    uint64_t device_ms;
    int64_t now_us;
    size_t slice_bytes, padding; // padding: zeros behind every picture
};

static struct camera plug_in(void)
{
    struct camera camera = {
        .stream = ch_stream_new(), .recipe = BASELINE, .device_ms = 5000, .now_us = 90000000, .slice_bytes = 30};
    assert_non_null(camera.stream);
    return camera;
}

static void unplug(struct camera *camera)
{
    ch_stream_free(camera->stream);
}

static int deliver(struct camera *camera, struct buffer *payload, uint64_t device_ms)
{
    struct ch_frame *frame = receive(payload, device_ms, (uint32_t)camera->messages++);
    uint32_t declared = 0;
    int rc =
        ch_stream_append(camera->stream, &frame, CH_CAMERA_HEADER_BYTES + payload->size, 1, camera->now_us, &declared);
    assert_null(frame);
    assert_int_equal(declared, payload->size);
    empty(payload);
    return rc;
}

static void send_sets(struct camera *camera)
{
    struct buffer payload = {0};
    put_sets(&payload, &camera->recipe);
    assert_int_equal(deliver(camera, &payload, 0), 0); // as phones do: at time 0
}

static void send_picture(struct camera *camera, bool idr)
{
    struct buffer payload = {0};
    camera->frame_num = idr ? 0 : camera->frame_num + 1;
    camera->device_ms += STEP_US / 1000;
    camera->now_us += STEP_US;
    put_slice(&payload, &camera->recipe,
              &(struct slice_recipe){.idr = idr,
                                     .frame_num = camera->frame_num,
                                     .noise = (uint32_t)camera->messages,
                                     .bytes = camera->slice_bytes});
    put_zeros(&payload, camera->padding);
    assert_int_equal(deliver(camera, &payload, camera->device_ms), 0);
}

static void send_gop(struct camera *camera, unsigned pictures)
{
    for (unsigned i = 0; i < pictures; i++)
        send_picture(camera, i == 0);
}

// --- a reader ---

struct reader {
    struct ch_cursor cursor;
    unsigned wakes;
};

static void on_wake(struct ch_cursor *cursor)
{
    struct reader *reader = cursor->context;
    assert_ptr_equal(cursor, &reader->cursor);
    reader->wakes++;
}

static void attach(struct reader *reader, struct camera *camera, uint64_t start, bool lossless)
{
    *reader = (struct reader){.cursor = {.wake = on_wake, .context = reader, .lossless = lossless}};
    ch_cursor_attach(&reader->cursor, camera->stream, start);
}

// Reads on; asserts that the frames' numbers are from..to without a hole.
static void assert_reads(struct reader *reader, uint64_t from, uint64_t to)
{
    for (uint64_t number = from; number <= to; number++) {
        const struct ch_frame *peeked = ch_cursor_peek(&reader->cursor);
        struct ch_frame *frame = ch_cursor_next(&reader->cursor);
        assert_non_null(frame);
        assert_ptr_equal(frame, peeked);
        assert_int_equal(frame->number, number);
        assert_int_equal(frame->sequence, number); // the camera counts alike
        ch_frame_unref(frame);
    }
}

static void assert_at_head(struct reader *reader)
{
    assert_null(ch_cursor_peek(&reader->cursor));
    assert_null(ch_cursor_next(&reader->cursor));
}

// The oldest frame that the log still has, by a reader that starts at 0 (and lossless does not hold anything).
static uint64_t oldest(struct camera *camera)
{
    struct reader late = {.cursor = {.wake = on_wake, .stream = camera->stream}};
    const struct ch_frame *frame = ch_cursor_peek(&late.cursor);
    return frame ? frame->number : camera->messages;
}

// --- what is kept ----------------------------------------------------------------------------------------

static void test_newest_gop(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    assert_int_equal(ch_stream_live_start(camera.stream), 0);
    assert_null(ch_stream_params(camera.stream));
    send_sets(&camera);
    assert_int_equal(ch_stream_live_start(camera.stream), 1);
    assert_int_equal(oldest(&camera), 0);
    for (uint64_t gop = 0; gop < 100; gop++) {
        send_gop(&camera, 10);
        uint64_t key = 1 + 10 * gop;
        assert_int_equal(oldest(&camera), gop == 0 ? 0 : key); // the first one has its parameter sets in front
        assert_int_equal(ch_stream_live_start(camera.stream), key);
        assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), gop == 0 ? 0 : key);
    }
    assert_int_equal(ch_stream_params(camera.stream)->width, 320);
    const struct ch_stream_counts *counts = ch_stream_counts(camera.stream);
    assert_int_equal(counts->messages, 1001);
    assert_int_equal(counts->pictures, 1000);
    assert_int_equal(counts->key_frames, 100);
    assert_int_equal(counts->refused, 0);
    unplug(&camera);
}

// Parameter sets right before a key frame stay with it, a run of messages as a whole; older ones do not hold the log.
static void test_sets_before_the_gop(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    send_gop(&camera, 3); // before the first key frame, as nobody knows the sets
    send_sets(&camera);   // 3
    send_gop(&camera, 5); // 4..8
    send_sets(&camera);   // 9, 10
    send_sets(&camera);
    assert_int_equal(oldest(&camera), 3);
    send_picture(&camera, true); // 11
    assert_int_equal(oldest(&camera), 9);
    assert_int_equal(ch_stream_live_start(camera.stream), 11);
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 9);
    send_sets(&camera); // 12: not right before
    send_picture(&camera, false);
    send_picture(&camera, true); // 14
    assert_int_equal(oldest(&camera), 14);
    unplug(&camera);
}

// Before the first key frame little is kept: by number ...
static void test_no_key(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    for (unsigned i = 0; i < 63; i++)
        send_picture(&camera, false);
    assert_int_equal(oldest(&camera), 0);
    for (unsigned i = 0; i < 1000; i++)
        send_picture(&camera, false);
    assert_int_equal(oldest(&camera), camera.messages);
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), camera.messages);
    unplug(&camera);
}

// ... and by bytes.
static void test_no_key_large(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    camera.padding = 8 << 20;
    for (unsigned i = 0; i < 7; i++)
        send_picture(&camera, false);
    assert_int_equal(oldest(&camera), 0);
    for (unsigned i = 0; i < 5; i++)
        send_picture(&camera, false);
    assert_int_equal(oldest(&camera), camera.messages);
    unplug(&camera);
}

// A GOP over its limits is not kept, no session or viewer begins with it, and the next key frame heals it.
static void assert_not_kept(struct camera *camera)
{
    assert_int_equal(oldest(camera), camera->messages);
    assert_int_equal(ch_stream_live_start(camera->stream), camera->messages);
    assert_int_equal(ch_stream_session_start(camera->stream, camera->now_us), camera->messages);
    send_picture(camera, false);
    assert_int_equal(ch_stream_session_start(camera->stream, camera->now_us), camera->messages);
    send_picture(camera, true);
    assert_int_equal(ch_stream_session_start(camera->stream, camera->now_us), camera->messages - 1);
    assert_int_equal(oldest(camera), camera->messages - 1);
}

static void test_gop_of_many_bytes(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    send_sets(&camera);
    camera.padding = 4 << 20;
    send_gop(&camera, 15);
    assert_int_equal(oldest(&camera), 0);
    camera.padding = 6 << 20;
    send_picture(&camera, false);
    camera.padding = 0;
    assert_not_kept(&camera);
    unplug(&camera);
}

// Few frames over a long time, as of a camera with one picture a second.
static void test_gop_of_long_duration(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    send_sets(&camera);
    send_picture(&camera, true);
    for (unsigned i = 0; i < 29; i++) {
        camera.now_us += 1000000 - STEP_US;
        send_picture(&camera, false);
    }
    assert_int_equal(oldest(&camera), 0);
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 0);
    camera.now_us += 2000000;
    send_picture(&camera, false);
    assert_not_kept(&camera);
    unplug(&camera);
}

// --- where a session begins ------------------------------------------------------------------------------

static void test_session_start(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 0);
    send_sets(&camera);
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 0); // the sets are the session's
    send_gop(&camera, 5);                                                       // 1..5
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 0);
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us + CH_LIMIT_GOP_US), 6); // too old by then
    send_gop(&camera, 5);                                                                         // 6..10
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 6);
    unplug(&camera);
}

// What an ended session has is not part of the next one, but viewers may have it.
static void test_fence(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    send_sets(&camera);
    send_gop(&camera, 5); // 1..5
    ch_stream_fence(camera.stream);
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 6);
    assert_int_equal(ch_stream_live_start(camera.stream), 1);
    send_picture(&camera, false); // 6
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 7);
    send_gop(&camera, 3); // 7..9
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 7);
    send_sets(&camera); // 10
    ch_stream_fence(camera.stream);
    send_gop(&camera, 3); // 11..13: its sets are from before the fence
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 11);
    struct ch_frame *sets[CH_STREAM_SETS];
    assert_int_equal(ch_stream_parameter_sets(camera.stream, 11, sets), 1);
    assert_int_equal(sets[0]->number, 10);
    ch_frame_unref(sets[0]);
    unplug(&camera);
}

// The newest run of parameter sets stays at hand for ever, oldest first, four at the most.
static void test_kept_sets(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct ch_frame *sets[CH_STREAM_SETS];
    assert_int_equal(ch_stream_parameter_sets(camera.stream, 1000, sets), 0);
    for (unsigned i = 0; i < 6; i++)
        send_sets(&camera); // 0..5
    for (unsigned i = 0; i < 200; i++)
        send_gop(&camera, 5);
    assert_int_equal(ch_stream_parameter_sets(camera.stream, camera.messages, sets), CH_STREAM_SETS);
    for (size_t i = 0; i < CH_STREAM_SETS; i++) {
        assert_int_equal(sets[i]->number, i);
        assert_int_equal(sets[i]->flags, CH_FRAME_PARAMETERS);
        ch_frame_unref(sets[i]);
    }
    assert_int_equal(ch_stream_parameter_sets(camera.stream, 2, sets), 2); // only what lies before the start
    ch_frame_unref(sets[0]);
    ch_frame_unref(sets[1]);
    send_sets(&camera); // a new run takes the old one's place
    uint64_t number = camera.messages - 1;
    send_gop(&camera, 5);
    assert_int_equal(ch_stream_parameter_sets(camera.stream, camera.messages, sets), 1);
    assert_int_equal(sets[0]->number, number);
    ch_frame_unref(sets[0]);
    unplug(&camera);
}

// --- cursors ---------------------------------------------------------------------------------------------

static void test_lossless(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader recorder;
    send_sets(&camera);
    send_gop(&camera, 5); // 1..5
    attach(&recorder, &camera, 0, true);
    for (unsigned i = 0; i < 200; i++)
        send_gop(&camera, 5);
    assert_int_equal(recorder.wakes, 1000);
    assert_int_equal(oldest(&camera), 0);
    assert_reads(&recorder, 0, 499);
    assert_int_equal(oldest(&camera), 0); // let go with the next message
    send_picture(&camera, false);
    assert_int_equal(oldest(&camera), 500);
    assert_reads(&recorder, 500, camera.messages - 1);
    assert_at_head(&recorder);
    ch_cursor_detach(&recorder.cursor);
    assert_int_equal(oldest(&camera), camera.messages - 6);
    assert_at_head(&recorder);
    ch_cursor_detach(&recorder.cursor); // once more is fine
    unplug(&camera);
}

// Even what is over all limits is kept for one that must not lose, but not for others.
static void test_lossless_over_limits(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader recorder;
    send_sets(&camera);
    attach(&recorder, &camera, 0, true);
    send_picture(&camera, true);
    camera.now_us += 2 * CH_LIMIT_GOP_US;
    for (unsigned i = 0; i < 100; i++)
        send_picture(&camera, false);
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), camera.messages);
    assert_int_equal(ch_stream_live_start(camera.stream), camera.messages);
    assert_reads(&recorder, 0, camera.messages - 1);
    ch_cursor_detach(&recorder.cursor);
    assert_int_equal(oldest(&camera), camera.messages);
    unplug(&camera);
}

static void test_viewer(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader viewer;
    send_sets(&camera);
    send_gop(&camera, 5); // 1..5
    attach(&viewer, &camera, ch_stream_live_start(camera.stream), false);
    assert_reads(&viewer, 1, 3);
    camera.now_us += KEPT_US;
    send_gop(&camera, 5); // 6..10: what it has not read is gone
    assert_true(ch_cursor_overrun(&viewer.cursor));
    assert_reads(&viewer, 6, 10);
    assert_false(ch_cursor_overrun(&viewer.cursor));
    assert_at_head(&viewer);
    send_gop(&camera, 2);
    assert_reads(&viewer, 11, 12);
    ch_cursor_detach(&viewer.cursor);
    unplug(&camera);
}

// As long as there is a viewer, and no longer, the log reaches back behind the newest key frame: so many seconds ...
static void test_kept_for_viewers(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader first, second;
    send_sets(&camera);
    send_gop(&camera, 5); // 1..5
    attach(&first, &camera, 1, false);
    for (unsigned i = 0; i < 100; i++) {
        send_gop(&camera, 5);
        uint64_t most = (uint64_t)(KEPT_US / STEP_US) + 1, wanted = camera.messages > most ? camera.messages - most : 0;
        assert_int_equal(oldest(&camera), wanted);
    }
    attach(&second, &camera, ch_stream_live_start(camera.stream), false);
    uint64_t before = oldest(&camera);
    ch_cursor_detach(&first.cursor);
    assert_int_equal(oldest(&camera), before); // for the other one
    ch_cursor_detach(&second.cursor);
    assert_int_equal(oldest(&camera), camera.messages - 5);
    send_gop(&camera, 5);
    assert_int_equal(oldest(&camera), camera.messages - 5);
    attach(&first, &camera, ch_stream_live_start(camera.stream), false);
    send_gop(&camera, 5);
    assert_int_equal(oldest(&camera), camera.messages - 10); // since it came
    ch_cursor_detach(&first.cursor);
    unplug(&camera);
}

// ... and so many bytes; but never less than the newest GOP.
static void test_kept_bytes(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader viewer;
    send_sets(&camera);
    attach(&viewer, &camera, 0, false);
    camera.padding = 3 << 20;
    for (unsigned i = 0; i < 20; i++) {
        send_gop(&camera, 2);
        uint64_t most = CH_LIVE_LAG_BYTES / (3u << 20);
        assert_int_equal(oldest(&camera), camera.messages > most ? camera.messages - most : 0);
    }
    send_gop(&camera, 12);
    assert_int_equal(oldest(&camera), camera.messages - 12);
    ch_cursor_detach(&viewer.cursor);
    unplug(&camera);
}

static void test_peek_ahead(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader viewer;
    send_sets(&camera);
    send_gop(&camera, 5); // 1..5
    attach(&viewer, &camera, 2, false);
    for (size_t ahead = 0; ahead < 4; ahead++)
        assert_int_equal(ch_cursor_peek_ahead(&viewer.cursor, ahead)->number, 2 + ahead);
    assert_null(ch_cursor_peek_ahead(&viewer.cursor, 4));
    assert_null(ch_cursor_peek_ahead(&viewer.cursor, 1000000));
    camera.now_us += KEPT_US;
    send_gop(&camera, 2); // 6, 7
    assert_int_equal(ch_cursor_peek_ahead(&viewer.cursor, 1)->number, 7);
    assert_null(ch_cursor_peek_ahead(&viewer.cursor, 2));
    ch_cursor_detach(&viewer.cursor);
    assert_null(ch_cursor_peek_ahead(&viewer.cursor, 0));
    assert_false(ch_cursor_overrun(&viewer.cursor));
    unplug(&camera);
}

// A camera that is connected anew: what was before is no beginning for anyone, but the numbers and the timeline go on.
static void test_restart(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader viewer;
    struct ch_frame *sets[CH_STREAM_SETS];
    send_sets(&camera);
    send_gop(&camera, 3); // 1..3
    attach(&viewer, &camera, 1, false);
    const struct ch_frame *last = ch_cursor_peek_ahead(&viewer.cursor, 2);
    int64_t last_ticks = last->pts_ticks;
    assert_non_null(ch_stream_newest_key(camera.stream));
    assert_int_equal(ch_stream_restart(camera.stream), 0);
    assert_null(ch_stream_newest_key(camera.stream));
    assert_int_equal(ch_stream_live_start(camera.stream), 4);
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 4);
    assert_int_equal(ch_stream_parameter_sets(camera.stream, 1000, sets), 0);
    assert_reads(&viewer, 1, 3); // they are still there for who watches
    camera.device_ms = 17;
    send_picture(&camera, true); // 4: nobody knows its sets
    struct ch_frame *frame = ch_cursor_next(&viewer.cursor);
    assert_null(frame->sample);
    assert_int_equal(frame->flags, CH_FRAME_PICTURE | CH_FRAME_BEFORE_KEY);
    ch_frame_unref(frame);
    send_sets(&camera);
    send_gop(&camera, 3); // 6..8
    ch_frame_unref(ch_cursor_next(&viewer.cursor));
    frame = ch_cursor_next(&viewer.cursor);
    assert_int_equal(frame->number, 6);
    assert_true(frame->flags & CH_FRAME_KEY);
    assert_true(frame->pts_ticks > last_ticks && frame->pts_ticks < last_ticks + 90000);
    ch_frame_unref(frame);
    ch_cursor_detach(&viewer.cursor);
    unplug(&camera);
}

// Pictures that were held for their order belong to what was before.
static void test_restart_flushes(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader reader;
    camera.recipe = main_profile(2);
    attach(&reader, &camera, 0, false);
    send_sets(&camera);
    send_gop(&camera, 2);
    assert_reads(&reader, 0, 0);
    assert_at_head(&reader);
    assert_int_equal(ch_stream_restart(camera.stream), 0);
    assert_reads(&reader, 1, 2);
    assert_null(ch_stream_newest_key(camera.stream));
    ch_cursor_detach(&reader.cursor);
    unplug(&camera);
}

static int64_t clock_base(const struct camera *camera)
{
    int64_t ticks, unix_us;
    assert_true(ch_stream_clock(camera->stream, &ticks, &unix_us));
    return unix_us - ticks * 100 / 9;
}

static void send_at(struct camera *camera, int64_t wall_us, int64_t device_ms)
{
    struct buffer payload = {0};
    camera->now_us += STEP_US;
    put_slice(&payload, &camera->recipe,
              &(struct slice_recipe){.idr = true, .noise = (uint32_t)camera->messages, .bytes = 9});
    struct ch_frame *frame = receive(&payload, (uint64_t)device_ms, (uint32_t)camera->messages++);
    uint32_t declared;
    assert_int_equal(ch_stream_append(camera->stream, &frame, CH_CAMERA_HEADER_BYTES + payload.size, wall_us,
                                      camera->now_us, &declared),
                     0);
    empty(&payload);
}

// When a picture was taken: the least delayed arrival tells, of the last half minute at the least.
static void test_clock(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    int64_t ticks, unix_us, wall = INT64_C(1790000000000000), delay[] = {80000, 30000, 120000, 30001, 900000};
    assert_false(ch_stream_clock(camera.stream, &ticks, &unix_us));
    send_sets(&camera);
    assert_false(ch_stream_clock(camera.stream, &ticks, &unix_us));
    int64_t least = INT64_MAX, first_ms = 5000;
    for (unsigned i = 0; i < 5; i++) {
        send_at(&camera, wall + 40000 * i + delay[i], first_ms + 40 * i);
        least = delay[i] < least ? delay[i] : least;
        assert_int_equal(clock_base(&camera), wall + least - 1000000); // the timeline begins at 1 s
    }
    // Half a minute later the old least still counts, a minute later it does not.
    camera.now_us += INT64_C(31000000);
    send_at(&camera, wall + 31000000 + 200000, first_ms + 31000);
    assert_int_equal(clock_base(&camera), wall + 30000 - 1000000);
    camera.now_us += INT64_C(31000000);
    send_at(&camera, wall + 62000000 + 210000, first_ms + 62000);
    assert_int_equal(clock_base(&camera), wall + 200000 - 1000000);
    // A camera that is connected anew has another clock.
    assert_int_equal(ch_stream_restart(camera.stream), 0);
    send_sets(&camera);
    send_at(&camera, wall + 90000000, 77);
    assert_true(ch_stream_clock(camera.stream, &ticks, &unix_us));
    assert_int_equal(unix_us, wall + 90000000);
    unplug(&camera);
}

// Each at its own pace; the slowest lossless one decides what is kept.
static void test_several_cursors(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader slow, fast, viewer;
    send_sets(&camera);
    attach(&slow, &camera, 0, true);
    attach(&fast, &camera, 0, true);
    attach(&viewer, &camera, 1, false);
    send_gop(&camera, 10); // 1..10
    send_gop(&camera, 10); // 11..20
    assert_reads(&fast, 0, 20);
    assert_reads(&slow, 0, 4);
    camera.now_us += KEPT_US;
    send_picture(&camera, false); // 21
    assert_int_equal(oldest(&camera), 5);
    assert_reads(&viewer, 5, 21);   // a gift: it is there
    ch_cursor_detach(&slow.cursor); // from the end of the list
    assert_int_equal(oldest(&camera), 11);
    send_gop(&camera, 1); // 22
    assert_int_equal(oldest(&camera), 21);
    assert_reads(&fast, 21, 22);
    assert_int_equal(slow.wakes, 21);
    assert_int_equal(fast.wakes, 22);
    assert_int_equal(viewer.wakes, 22);
    ch_cursor_detach(&viewer.cursor); // from its beginning
    send_gop(&camera, 1);
    assert_int_equal(viewer.wakes, 22);
    assert_int_equal(fast.wakes, 23);
    ch_cursor_detach(&fast.cursor);
    unplug(&camera);
}

// --- what comes in ---------------------------------------------------------------------------------------

static void test_bad_headers(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader reader;
    attach(&reader, &camera, 0, true);
    for (size_t size = 0; size < CH_CAMERA_HEADER_BYTES; size++) {
        struct ch_frame *frame = ch_frame_new(size);
        memset(frame->message, 1, size);
        uint32_t declared;
        assert_int_equal(ch_stream_append(camera.stream, &frame, size, 1, 1, &declared), -EMSGSIZE);
        assert_null(frame);
    }
    struct ch_frame *frame = ch_frame_new(20);
    memset(frame->message, 0, 20);
    frame->message[15] = 5;
    uint32_t declared;
    assert_int_equal(ch_stream_append(camera.stream, &frame, 20, 1, 1, &declared), -EBADMSG);
    assert_int_equal(declared, 5);
    assert_int_equal(ch_stream_counts(camera.stream)->refused, 17);
    assert_int_equal(ch_stream_counts(camera.stream)->messages, 0);
    assert_int_equal(reader.wakes, 0);
    struct buffer payload = {0};
    assert_int_equal(deliver(&camera, &payload, 0), 0); // empty, but rightly so
    assert_int_equal(reader.wakes, 1);
    ch_cursor_detach(&reader.cursor);
    unplug(&camera);
}

// A camera whose sets do not fit into any avcC: no key frame, no crash, no session but stream.h264.
static void test_too_many_sps(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    for (camera.recipe.id = 0; camera.recipe.id < 32; camera.recipe.id++)
        send_sets(&camera);
    camera.recipe.id = 0;
    struct buffer payload = {0};
    put_made(&payload, make_pps(0, 0, false));
    assert_int_equal(deliver(&camera, &payload, 0), 0);
    send_gop(&camera, 3);
    assert_int_equal(ch_stream_counts(camera.stream)->pictures, 3);
    assert_int_equal(ch_stream_counts(camera.stream)->key_frames, ch_stream_params(camera.stream) ? 1 : 0);
    unplug(&camera);
}

// Parameter sets have a time of 0, which is no time: neither do they start the clock nor disturb it.
static void test_times(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader reader;
    attach(&reader, &camera, 0, true);
    send_sets(&camera);
    send_picture(&camera, true);
    send_sets(&camera);
    send_picture(&camera, false);
    camera.device_ms -= 20; // the encoder was started anew, its sets say
    send_sets(&camera);
    camera.device_ms -= 100;
    send_picture(&camera, true);
    ch_stream_fence(camera.stream);
    camera.device_ms -= 50;
    send_picture(&camera, true);
    static const struct {
        int64_t pts;
        uint32_t flags;
    } wanted[] = {{0, CH_FRAME_PARAMETERS},
                  {90000, CH_FRAME_PICTURE | CH_FRAME_KEY},
                  {0, CH_FRAME_PARAMETERS},
                  {92970, CH_FRAME_PICTURE},
                  {0, CH_FRAME_PARAMETERS},
                  {95940, CH_FRAME_PICTURE | CH_FRAME_KEY | CH_FRAME_JUMP},
                  {98910, CH_FRAME_PICTURE | CH_FRAME_KEY | CH_FRAME_JUMP}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct ch_frame *frame = ch_cursor_next(&reader.cursor);
        assert_int_equal(frame->pts_ticks, wanted[i].pts);
        assert_int_equal(frame->dts_ticks, wanted[i].pts);
        assert_int_equal(frame->flags, wanted[i].flags);
        ch_frame_unref(frame);
    }
    assert_at_head(&reader);
    ch_cursor_detach(&reader.cursor);
    unplug(&camera);
}

// Pictures whose order is not known yet wait outside the log, and all behind them; a flush lets them go.
static void test_flush(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct reader reader;
    camera.recipe = main_profile(2);
    attach(&reader, &camera, 0, true);
    send_sets(&camera);
    send_picture(&camera, true); // one poc for all: no matter
    send_picture(&camera, false);
    assert_int_equal(reader.wakes, 1);
    assert_reads(&reader, 0, 0);
    assert_at_head(&reader);
    ch_stream_flush(camera.stream, camera.now_us + 99999, 100000);
    assert_at_head(&reader); // not yet
    ch_stream_flush(camera.stream, camera.now_us + 100000, 100000);
    assert_int_equal(reader.wakes, 2);
    assert_reads(&reader, 1, 2);
    ch_stream_flush(camera.stream, camera.now_us, 0); // nothing waits
    assert_int_equal(reader.wakes, 2);
    send_picture(&camera, true);
    ch_stream_flush(camera.stream, camera.now_us, 0);
    assert_reads(&reader, 3, 3);
    send_picture(&camera, false); // held when all ends: released with the stream
    ch_cursor_detach(&reader.cursor);
    unplug(&camera);
    ch_stream_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_gop),
        cmocka_unit_test(test_sets_before_the_gop),
        cmocka_unit_test(test_no_key),
        cmocka_unit_test(test_no_key_large),
        cmocka_unit_test(test_gop_of_many_bytes),
        cmocka_unit_test(test_gop_of_long_duration),
        cmocka_unit_test(test_session_start),
        cmocka_unit_test(test_fence),
        cmocka_unit_test(test_kept_sets),
        cmocka_unit_test(test_lossless),
        cmocka_unit_test(test_lossless_over_limits),
        cmocka_unit_test(test_viewer),
        cmocka_unit_test(test_kept_for_viewers),
        cmocka_unit_test(test_kept_bytes),
        cmocka_unit_test(test_peek_ahead),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_restart_flushes),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_several_cursors),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_too_many_sps),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_flush),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
