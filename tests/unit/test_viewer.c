// Live viewers: whatever the socket's appetite, what comes out are whole messages in order, and what was left
// out is counted.
#include "viewer_audit.h"

#include "base/limits.h"

#define PLENTY SIZE_MAX

// --- every appetite --------------------------------------------------------------------------------------

// Two resolutions, parameter sets of their own and in the key frame's message.
static void send_film(struct source *source)
{
    if (source->jpeg) {
        send_gop(source, 3);
        source->jpeg_width = 640;
        send_gop(source, 2);
        return;
    }
    send_sets(source);
    send_gop(source, 3);
    source->recipe.width_mbs = 40;
    send_sets(source);
    send_gop(source, 2);
    struct buffer payload = {0};
    put_sets(&payload, &source->recipe);
    source->device_ms += STEP_MS;
    source->arrival_us += STEP_MS * 1000;
    put_picture(source, &payload, true, 0);
    deliver(source, &payload, source->device_ms);
    send_picture(source, false);
}

// The film to a viewer with this appetite, from before the first message on.
static void show_film(enum ch_viewer_format format, size_t appetite, struct buffer *out)
{
    struct source source;
    struct plug plug;
    plug_in(&source, format == CH_VIEW_WS_JPEG || format == CH_VIEW_WS_JPEG_BARE || format == CH_VIEW_HTTP_JPEG,
            HOUR_US);
    watch(&plug, &source, format, appetite);
    send_film(&source);
    plug_feed_all(&plug, appetite);
    assert_int_equal(plug.queued, 0);
    if (format == CH_VIEW_HTTP_MP4) { // which ends where the parameters change
        assert_int_equal(plug.failures, 1);
        assert_int_equal(plug.error, 0);
    } else {
        assert_int_equal(plug.failures, 0);
    }
    unsigned pictures = format == CH_VIEW_HTTP_MP4 ? 3 : source.jpeg ? 5 : 7;
    struct audit audit = assert_whole(&plug, &source, pictures);
    assert_int_equal(audit.streams, has_texts(format) ? 2 : 0);
    assert_int_equal(audit.inits, format == CH_VIEW_WS_MP4 ? 2 : format == CH_VIEW_HTTP_MP4 ? 1 : 0);
    *out = plug.out;
    plug.out = (struct buffer){0};
    leave(&plug);
    unplug(&source);
}

// `time` of a `stream` text tells of the newest picture, which depends on when the text is made.
static void hide_times(struct buffer *out)
{
    static const char mark[] = "\"ticks\":";
    for (size_t i = 0; i + sizeof mark - 1 < out->size; i++)
        if (memcmp(out->data + i, mark, sizeof mark - 1) == 0)
            for (size_t k = i + sizeof mark - 1; out->data[k] != '}'; k++)
                if (out->data[k] >= '0' && out->data[k] <= '9')
                    out->data[k] = '#';
}

static void every_appetite(enum ch_viewer_format format)
{
    struct buffer whole, out;
    show_film(format, 1u << 20, &whole);
    hide_times(&whole);
    for (size_t appetite = 1; appetite <= whole.size; appetite++) {
        show_film(format, appetite, &out);
        hide_times(&out);
        if (!has_texts(format)) { // digits may be more or fewer
            assert_int_equal(out.size, whole.size);
            assert_memory_equal(out.data, whole.data, out.size);
        }
        empty(&out);
    }
    empty(&whole);
}

static void test_every_appetite_ws_mp4(void **state)
{
    (void)state;
    every_appetite(CH_VIEW_WS_MP4);
}

static void test_every_appetite_ws_h264(void **state)
{
    (void)state;
    every_appetite(CH_VIEW_WS_H264);
}

static void test_every_appetite_ws_jpeg(void **state)
{
    (void)state;
    every_appetite(CH_VIEW_WS_JPEG);
}

static void test_every_appetite_ws_jpeg_bare(void **state)
{
    (void)state;
    every_appetite(CH_VIEW_WS_JPEG_BARE);
}

static void test_every_appetite_http_mp4(void **state)
{
    (void)state;
    every_appetite(CH_VIEW_HTTP_MP4);
}

static void test_every_appetite_http_jpeg(void **state)
{
    (void)state;
    every_appetite(CH_VIEW_HTTP_JPEG);
}

// A pong, then the close frame, at any moment of a frame that is on its way: they come behind it. The viewer is
// stopped; what it began is finished all the same, from memory that is still there.
static void control_behind_partial(enum ch_viewer_format format, bool jpeg)
{
    for (size_t appetite = 1;; appetite++) {
        struct source source;
        struct plug plug;
        plug_in(&source, jpeg, HOUR_US);
        if (!jpeg)
            send_sets(&source);
        send_gop(&source, 2);
        watch(&plug, &source, format, appetite);
        bool all = plug.appetite > 0;
        uint8_t close[] = {0x88, 2, 3, 0xE8};
        ch_viewer_stop(&plug.viewer);
        struct iovec iov = {.iov_base = close, .iov_len = sizeof close};
        plug.appetite = 0;
        plug_send(&plug, &iov, 1);
        ch_cursor_detach(&source.cursor); // the log goes, and all other references
        ch_stream_free(source.stream);
        plug.appetite = PLENTY;
        plug_drain(&plug);
        struct audit audit = read_out(&plug, &source);
        assert_int_equal(audit.closes, 1);
        assert_int_equal(audit.pictures, plug.viewer.frames_sent);
        for (size_t i = 0; i < source.count; i++) {
            assert_int_equal(atomic_load(&source.frames[i]->refs), 1);
            ch_frame_unref(source.frames[i]);
        }
        free(source.frames);
        plug_close(&plug);
        if (all)
            return;
    }
}

static void test_control_behind_partial(void **state)
{
    (void)state;
    control_behind_partial(CH_VIEW_WS_MP4, false);
    control_behind_partial(CH_VIEW_WS_H264, false);
    control_behind_partial(CH_VIEW_WS_JPEG, true);
}

// Not even a whole frame is queued, however far the viewer is behind.
static void test_holds_one_frame(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    plug_in(&source, false, HOUR_US);
    source.slice_bytes = 4000;
    send_sets(&source);
    watch(&plug, &source, CH_VIEW_WS_MP4, 0);
    for (unsigned i = 0; i < 100; i++) {
        send_picture(&source, i == 0);
        plug_feed(&plug, 100);
    }
    assert_true(plug.most_queued < 2 * 4000);
    plug_feed_all(&plug, PLENTY);
    assert_whole(&plug, &source, 100);
    leave(&plug);
    unplug(&source);
}

// --- where it begins -------------------------------------------------------------------------------------

// `stream` comes first, also for those who come late, and then the newest key frame.
static void test_late_comer(void **state)
{
    (void)state;
    static const enum ch_viewer_format formats[] = {CH_VIEW_WS_MP4, CH_VIEW_WS_H264, CH_VIEW_HTTP_MP4};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct source source;
        struct plug plug;
        plug_in(&source, false, -HOUR_US); // it is not behind: this is what there is
        send_sets(&source);
        send_gop(&source, 5);
        send_gop(&source, 4);
        watch(&plug, &source, formats[i], PLENTY);
        struct audit audit = assert_whole(&plug, &source, 4);
        assert_int_equal(audit.last->number, 9);
        send_picture(&source, false);
        audit = assert_whole(&plug, &source, 5);
        leave(&plug);
        unplug(&source);
    }
}

// In front of the camera: nothing, and all from its first key frame on. Frames without a sample are passed over.
static void test_before_the_camera(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    plug_in(&source, false, HOUR_US);
    watch(&plug, &source, CH_VIEW_WS_MP4, PLENTY);
    assert_int_equal(plug.sends, 0);
    for (unsigned i = 0; i < 3; i++)
        send_picture(&source, false); // nobody knows their sets
    send_sets(&source);
    assert_int_equal(plug.out.size, 0);
    send_gop(&source, 3);
    send_sets(&source); // on their own in between
    struct buffer junk = {0};
    put(&junk, "junk", 4);
    deliver(&source, &junk, 0);
    struct buffer nothing = {0};
    deliver(&source, &nothing, 0);
    send_picture(&source, false);
    assert_whole(&plug, &source, 4);
    leave(&plug);
    unplug(&source);
}

// A GOP over its limits is not there for viewers: on with the next key frame, and nothing counts as lost.
static void test_outgrown(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    plug_in(&source, false, HOUR_US);
    send_sets(&source);
    send_picture(&source, true);
    source.arrival_us += 2 * CH_LIMIT_GOP_US;
    send_picture(&source, false);
    watch(&plug, &source, CH_VIEW_WS_MP4, PLENTY);
    send_picture(&source, false);
    assert_int_equal(plug.out.size, 0);
    send_gop(&source, 3);
    assert_whole(&plug, &source, 3);
    leave(&plug);
    unplug(&source);
}

// --- what changes ----------------------------------------------------------------------------------------

// The camera comes back: on the same timeline, and with a new init segment only if it has other parameters.
static void test_restart(void **state)
{
    (void)state;
    for (int changed = 0; changed < 2; changed++) {
        struct source source;
        struct plug ws, http;
        plug_in(&source, false, HOUR_US);
        watch(&ws, &source, CH_VIEW_WS_MP4, PLENTY);
        watch(&http, &source, CH_VIEW_HTTP_MP4, PLENTY);
        send_sets(&source);
        send_gop(&source, 3);
        ch_cursor_detach(&source.cursor);
        assert_int_equal(ch_stream_restart(source.stream), 0);
        ch_cursor_attach(&source.cursor, source.stream, source.count);
        send_picture(&source, false); // of an encoder that goes on: nobody can show it
        source.device_ms -= 1000;
        source.recipe.width_mbs += (uint32_t)changed;
        send_sets(&source);
        send_gop(&source, 3);
        struct audit audit = assert_whole(&ws, &source, 6);
        assert_int_equal(audit.inits, 1 + changed);
        assert_int_equal(audit.streams, 1 + changed);
        audit = assert_whole(&http, &source, changed ? 3 : 6);
        assert_int_equal(http.failures, changed);
        leave(&ws);
        leave(&http);
        unplug(&source);
    }
}

// Pictures out of order: decode time in the fragment, composition beside it.
static void test_b_frames(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    plug_in(&source, false, HOUR_US);
    watch(&plug, &source, CH_VIEW_WS_MP4, PLENTY);
    send_b_frames(&source);
    assert_whole(&plug, &source, 9);
    struct item item;
    int64_t first = 0;
    unsigned n = 0;
    for (size_t at = 0; next_item(CH_VIEW_WS_MP4, &plug.out, &at, &item);) {
        if (item.opcode != CH_WS_BINARY || memcmp(item.data + 4, "moof", 4) != 0)
            continue;
        struct fragment fragment = read_fragment(&item);
        first = n == 0 ? fragment.dts + fragment.composition : first;
        assert_int_equal(fragment.dts + fragment.composition - first, b_frame_times[n] * 40 * 90);
        n++;
    }
    leave(&plug);
    unplug(&source);
}

// A parameter set that came on its own is in the message of the picture that needs it, in every format; and again
// with each key frame, for those who come late.
static void test_set_between_pictures(void **state)
{
    (void)state;
    struct source source;
    struct plug early, late;
    plug_in(&source, false, HOUR_US);
    watch(&early, &source, CH_VIEW_WS_H264, PLENTY);
    send_sets(&source);
    send_gop(&source, 2);
    struct buffer payload = {0};
    struct unit pps = make_pps(1, 0, true);
    put_made(&payload, pps);
    deliver(&source, &payload, 0);
    size_t before = early.out.size;
    send_picture(&source, false);
    struct item item;
    assert_true(next_message(&early.out, &before, &item));
    assert_non_null(memmem(item.data, item.size, pps.data, pps.size));
    send_gop(&source, 1);
    watch(&late, &source, CH_VIEW_WS_H264, PLENTY);
    assert_int_equal(late.viewer.frames_sent, 1);
    assert_non_null(memmem(late.out.data, late.out.size, pps.data, pps.size));
    leave(&early);
    leave(&late);
    unplug(&source);
}

// --- too slow --------------------------------------------------------------------------------------------

// Behind by more than the limit, with a newer key frame to go on at.
static void test_jump(void **state)
{
    (void)state;
    struct source source;
    struct plug plug, quick;
    plug_in(&source, false, -HOUR_US);
    send_sets(&source);
    watch(&plug, &source, CH_VIEW_WS_MP4, PLENTY);
    watch(&quick, &source, CH_VIEW_WS_MP4, PLENTY);
    send_gop(&source, 3); // picture 0..2
    plug.appetite = 10;
    send_gop(&source, 5); // 3..7; the first of them is on its way
    source.arrival_us += CH_LIVE_LAG_US;
    send_gop(&source, 5);
    send_gop(&source, 5); // 13..17
    plug_feed_all(&plug, 200);
    struct audit audit = read_out(&plug, &source);
    assert_int_equal(audit.drops, 1);
    assert_int_equal(audit.missing, 9); // 4..12
    assert_int_equal(audit.pictures, 3 + 1 + 5);
    plug.appetite = 0; // and once more, with nothing of a frame on its way
    send_gop(&source, 2);
    source.arrival_us += CH_LIVE_LAG_US + CH_LIMIT_COALESCE_US; // these are not even kept
    send_gop(&source, 2);
    plug_feed_all(&plug, PLENTY);
    audit = read_out(&plug, &source);
    assert_int_equal(audit.drops, 2);
    assert_int_equal(audit.missing, 9 + 2);
    assert_int_equal(plug.viewer.dropped, 11);
    assert_whole(&quick, &source, 3 + 15 + 4);
    leave(&plug);
    leave(&quick);
    unplug(&source);
}

// Late, but no key frame is newer: everything is sent.
static void test_late_without_key(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    plug_in(&source, false, -HOUR_US);
    send_sets(&source);
    watch(&plug, &source, CH_VIEW_WS_MP4, 0);
    send_gop(&source, 200);
    plug_feed_all(&plug, 333);
    assert_whole(&plug, &source, 200);
    leave(&plug);
    unplug(&source);
}

// A stall that is shorter than the limit costs nothing, however many key frames come.
static void test_short_stall(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    plug_in(&source, false, HOUR_US);
    send_sets(&source);
    watch(&plug, &source, CH_VIEW_WS_MP4, PLENTY);
    plug.appetite = 0;
    int64_t begin = source.arrival_us;
    while (source.arrival_us - begin < CH_LIVE_LAG_US - 2 * STEP_MS * 1000)
        send_gop(&source, 2);
    plug_feed_all(&plug, 1000);
    assert_whole(&plug, &source, (unsigned)(source.count - 1));
    leave(&plug);
    unplug(&source);
}

// Frames are gone and the newest GOP is not kept either: on at the next key frame.
static void test_gone_without_key(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    plug_in(&source, false, HOUR_US);
    ch_cursor_detach(&source.cursor); // so that the log forgets; `frames` is filled by hand
    send_sets(&source);
    watch(&plug, &source, CH_VIEW_WS_MP4, PLENTY);
    send_gop(&source, 3);
    plug.appetite = 0;
    source.step_us = 1000000;
    for (unsigned i = 0; i < 40; i++)
        send_picture(&source, false); // 30 s later there is no key frame any more
    assert_null(ch_stream_newest_key(source.stream));
    size_t before = plug.out.size;
    plug_feed_all(&plug, PLENTY);
    send_picture(&source, false);
    assert_int_equal(plug.out.size, before); // none of these can be shown
    plug.appetite = PLENTY;
    send_gop(&source, 2);
    struct item item;
    assert_true(next_message(&plug.out, &before, &item));
    assert_true(item_is(&item, "{\"type\":\"drop\",\"frames\":41}"));
    assert_true(next_message(&plug.out, &before, &item));
    assert_int_equal(item.opcode, CH_WS_BINARY);
    assert_true(read_fragment(&item).key);
    assert_int_equal(plug.viewer.frames_sent, 5);
    leave(&plug);
    unplug(&source);
}

// --- several ---------------------------------------------------------------------------------------------

// The head is made once: what the first viewer was sent is what all are sent, from the same place.
static void test_shared_head(void **state)
{
    (void)state;
    enum { VIEWERS = 100 };
    static struct plug plugs[VIEWERS];
    struct source source;
    plug_in(&source, false, HOUR_US);
    for (size_t i = 0; i < VIEWERS; i++)
        watch(&plugs[i], &source, CH_VIEW_WS_MP4, i == 0 ? PLENTY : 0);
    send_sets(&source);
    send_picture(&source, true);
    struct ch_frame *frame = source.frames[1];
    assert_true(frame->head_bytes > 0);
    uint8_t *promise = frame->sample - 8 - 4 - 16; // of the only sample: its duration, first field
    promise[0] ^= 0x40;
    const void *place = plugs[0].last_iov;
    for (size_t i = 1; i < VIEWERS; i++) {
        plug_feed_all(&plugs[i], i % 7 == 0 ? 50 : PLENTY);
        if (i % 7 != 0)
            assert_ptr_equal(plugs[i].last_iov, place);
        assert_int_equal(plugs[i].viewer.frames_sent, 1);
        const uint8_t *tail = plugs[i].out.data + plugs[i].out.size - frame->sample_bytes - 28;
        assert_memory_equal(tail, promise, 28 + frame->sample_bytes);
    }
    for (size_t i = 0; i < VIEWERS; i++)
        leave(&plugs[i]);
    unplug(&source);
}

// --- the outlet fails ------------------------------------------------------------------------------------

// At any of its calls: told once, nothing is asked of it afterwards, no reference is left.
static void test_failing_outlet(void **state)
{
    (void)state;
    static const enum ch_viewer_format formats[] = {CH_VIEW_WS_MP4, CH_VIEW_WS_H264, CH_VIEW_HTTP_MP4};
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        bool failed = true;
        for (unsigned good = 0; failed; good++) {
            struct source source;
            struct plug plug;
            plug_in(&source, false, -HOUR_US);
            send_sets(&source);
            send_gop(&source, 2);
            watch(&plug, &source, formats[f], 0);
            plug.refuse_with = -EPIPE;
            plug.good_calls = good;
            for (unsigned i = 0; i < 100; i++) {
                if (!plug.failures)
                    plug_feed(&plug, 97);
                send_picture(&source, i % 20 == 0);
            }
            failed = plug.failures > 0;
            if (failed) {
                assert_int_equal(plug.failures, 1);
                assert_int_equal(plug.error, -EPIPE);
                ch_viewer_room(&plug.viewer); // late, and of no effect
            }
            leave(&plug);
            unplug(&source);
        }
    }
}

// Others have their turn in between.
static void test_bounded_wakeup(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    plug_in(&source, false, HOUR_US);
    source.slice_bytes = 7000;
    source.step_us = 1000;
    send_sets(&source);
    send_gop(&source, 1000); // some 7 MB
    watch(&plug, &source, CH_VIEW_WS_MP4, PLENTY);
    unsigned turns = 1;
    size_t most = plug.out.size;
    for (size_t before = plug.out.size; plug_feed(&plug, PLENTY); before = plug.out.size) {
        most = plug.out.size - before > most ? plug.out.size - before : most;
        turns++;
    }
    assert_true(turns >= 3);
    assert_true(most < 4u << 20);
    assert_whole(&plug, &source, 1000);
    leave(&plug);
    unplug(&source);
}

// --- the clock -------------------------------------------------------------------------------------------

static unsigned time_texts(const struct plug *plug, int64_t *ticks, int64_t *unix_us)
{
    unsigned count = 0;
    struct item item;
    for (size_t at = 0; next_message(&plug->out, &at, &item);) {
        long long a, b;
        if (item.opcode != CH_WS_TEXT ||
            sscanf((const char *)item.data, "{\"type\":\"time\",\"ticks\":%lld,\"unix_us\":%lld}", &a, &b) != 2)
            continue;
        *ticks = a;
        *unix_us = b;
        count++;
    }
    return count;
}

// What is known about the camera's clock becomes better by and by: told every two seconds, if it matters.
static void test_time_text(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    int64_t ticks = 0, unix_us = 0;
    plug_in(&source, false, 0);
    watch(&plug, &source, CH_VIEW_WS_MP4, PLENTY);
    send_sets(&source);
    source.delay_us = 100000;
    send_gop(&source, 150); // some 5 s: nothing new
    source.delay_us = 97000;
    send_gop(&source, 150); // and this is not worth a word
    assert_int_equal(time_texts(&plug, &ticks, &unix_us), 0);
    source.delay_us = 40000;
    send_gop(&source, 150);
    assert_int_equal(time_texts(&plug, &ticks, &unix_us), 1);
    const struct ch_frame *first = source.frames[1];
    int64_t taken_us = WALL_US + (int64_t)first->device_ms * 1000 + 40000;
    assert_int_equal(unix_us - taken_us, (ticks - first->pts_ticks) * 100 / 9);
    for (unsigned i = 0; i < 50; i++) { // a little better each time
        source.delay_us -= 700;
        send_picture(&source, false);
    }
    assert_true(time_texts(&plug, &ticks, &unix_us) <= 2);
    leave(&plug);
    unplug(&source);
}

// --- all at once -----------------------------------------------------------------------------------------

static void anything(struct source *source, uint32_t *noise)
{
    source->slice_bytes = 1 + dice(noise, 300);
    switch (dice(noise, 20)) {
    case 0:
        source->recipe.width_mbs = 20 + dice(noise, 3);
        send_sets(source);
        break;
    case 1: send_sets(source); break;
    case 2: source->arrival_us += dice(noise, 3000000); break;
    case 3: {
        ch_cursor_detach(&source->cursor);
        assert_int_equal(ch_stream_restart(source->stream), 0);
        ch_cursor_attach(&source->cursor, source->stream, source->count);
        if (dice(noise, 3))
            send_sets(source);
        break;
    }
    case 4: {
        struct buffer payload = {0};
        put_sets(&payload, &source->recipe);
        source->device_ms += STEP_MS;
        put_picture(source, &payload, true, 0);
        deliver(source, &payload, source->device_ms);
        break;
    }
    case 5: {
        struct buffer payload = {0};
        put_made(&payload, make_pps(dice(noise, 3), 0, dice(noise, 2)));
        deliver(source, &payload, 0);
        break;
    }
    case 6:
    case 7:
    case 8: send_picture(source, true); break;
    default: send_picture(source, false);
    }
}

static void test_anything(void **state)
{
    (void)state;
    static const enum ch_viewer_format formats[] = {CH_VIEW_WS_MP4, CH_VIEW_WS_H264};
    for (uint32_t seed = 0; seed < 300; seed++) {
        uint32_t noise = seed;
        struct source source;
        struct plug plugs[4];
        plug_in(&source, false, dice(&noise, 2) ? HOUR_US : -HOUR_US);
        send_sets(&source);
        for (size_t i = 0; i < 4; i++)
            watch(&plugs[i], &source, formats[dice(&noise, 2)], 0);
        for (unsigned n = 0; n < 200; n++) {
            anything(&source, &noise);
            for (size_t i = 0; i < 4; i++)
                if (dice(&noise, 4) == 0)
                    plug_feed(&plugs[i], 1 + dice(&noise, i == 0 ? 100 : 3000));
        }
        for (size_t i = 0; i < 4; i++) {
            plug_feed_all(&plugs[i], 1 + dice(&noise, 5000));
            read_out(&plugs[i], &source);
            leave(&plugs[i]);
        }
        unplug(&source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_appetite_ws_mp4),
        cmocka_unit_test(test_every_appetite_ws_h264),
        cmocka_unit_test(test_every_appetite_ws_jpeg),
        cmocka_unit_test(test_every_appetite_ws_jpeg_bare),
        cmocka_unit_test(test_every_appetite_http_mp4),
        cmocka_unit_test(test_every_appetite_http_jpeg),
        cmocka_unit_test(test_control_behind_partial),
        cmocka_unit_test(test_holds_one_frame),
        cmocka_unit_test(test_late_comer),
        cmocka_unit_test(test_before_the_camera),
        cmocka_unit_test(test_outgrown),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_b_frames),
        cmocka_unit_test(test_set_between_pictures),
        cmocka_unit_test(test_jump),
        cmocka_unit_test(test_late_without_key),
        cmocka_unit_test(test_short_stall),
        cmocka_unit_test(test_gone_without_key),
        cmocka_unit_test(test_shared_head),
        cmocka_unit_test(test_failing_outlet),
        cmocka_unit_test(test_bounded_wakeup),
        cmocka_unit_test(test_time_text),
        cmocka_unit_test(test_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
