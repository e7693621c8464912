// FLV for live viewers: whatever the socket's appetite, what comes out is a stream of whole tags that a player can
// begin with, and the bytes of a frame are there once for all of them.
#include "viewer_audit.h"

#include "base/limits.h"

#define PLENTY SIZE_MAX

static const enum ch_viewer_format formats[] = {CH_VIEW_WS_FLV, CH_VIEW_HTTP_FLV};
#define FORMATS (sizeof formats / sizeof formats[0])

// --- every appetite --------------------------------------------------------------------------------------

// Two resolutions, parameter sets of their own and in the key frame's message.
static void show_film(enum ch_viewer_format format, size_t appetite, struct buffer *out)
{
    struct source source;
    struct plug plug;
    plug_in(&source, false, HOUR_US);
    watch(&plug, &source, format, appetite);
    send_sets(&source);
    send_gop(&source, 3);
    source.recipe.width_mbs = 40;
    send_sets(&source);
    send_gop(&source, 2);
    struct buffer payload = {0};
    put_sets(&payload, &source.recipe);
    source.device_ms += STEP_MS;
    source.arrival_us += STEP_MS * 1000;
    put_picture(&source, &payload, true, 0);
    deliver(&source, &payload, source.device_ms);
    send_picture(&source, false);
    plug_feed_all(&plug, appetite);
    assert_int_equal(plug.queued, 0);
    assert_int_equal(plug.failures, 0);
    assert_int_equal(assert_whole(&plug, &source, 7).inits, 2);
    *out = plug.out;
    plug.out = (struct buffer){0};
    leave(&plug);
    unplug(&source);
}

static void test_every_appetite(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMATS; f++) {
        struct buffer whole, out;
        show_film(formats[f], 1u << 20, &whole);
        for (size_t appetite = 1; appetite <= whole.size; appetite++) {
            show_film(formats[f], appetite, &out);
            assert_int_equal(out.size, whole.size);
            assert_memory_equal(out.data, whole.data, out.size);
            empty(&out);
        }
        empty(&whole);
    }
}

// Over WebSocket and over HTTP come the same bytes, but for the heads of messages; the first message holds all up to
// the first picture.
static void test_same_bytes(void **state)
{
    (void)state;
    struct buffer ws, http, joined = {0};
    struct item item;
    show_film(CH_VIEW_WS_FLV, PLENTY, &ws);
    show_film(CH_VIEW_HTTP_FLV, PLENTY, &http);
    size_t at = 0, messages = 0;
    for (; next_message(&ws, &at, &item); messages++) {
        assert_int_equal(item.opcode, CH_WS_BINARY);
        put(&joined, item.data, item.size);
    }
    assert_int_equal(at, ws.size);
    assert_int_equal(messages, 2 + 7); // configurations, pictures
    assert_int_equal(joined.size, http.size);
    assert_memory_equal(joined.data, http.data, http.size);
    empty(&ws);
    empty(&http);
    empty(&joined);
}

// What it began is finished when it is stopped, from memory that is still there.
static void test_stopped_in_a_frame(void **state)
{
    (void)state;
    for (size_t appetite = 1, all = 0; !all; appetite++) {
        struct source source;
        struct plug plug;
        plug_in(&source, false, HOUR_US);
        send_sets(&source);
        send_gop(&source, 2);
        watch(&plug, &source, CH_VIEW_HTTP_FLV, appetite);
        all = plug.appetite > 0;
        ch_viewer_stop(&plug.viewer);
        ch_cursor_detach(&source.cursor); // the log goes, and all other references
        ch_stream_free(source.stream);
        plug.appetite = PLENTY;
        plug_drain(&plug);
        assert_int_equal(read_out(&plug, &source).pictures, plug.viewer.frames_sent);
        for (size_t i = 0; i < source.count; i++) {
            assert_int_equal(atomic_load(&source.frames[i]->refs), 1);
            ch_frame_unref(source.frames[i]);
        }
        free(source.frames);
        plug_close(&plug);
    }
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
    watch(&plug, &source, CH_VIEW_WS_FLV, 0);
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

// Head and tail are made once, whichever viewer is the first, and nothing is copied.
static void test_shared_head(void **state)
{
    (void)state;
    struct source source;
    struct plug plugs[4];
    plug_in(&source, false, HOUR_US);
    send_sets(&source);
    for (size_t i = 0; i < 4; i++)
        watch(&plugs[i], &source, formats[i % 2], i == 0 ? PLENTY : 0);
    send_picture(&source, true);
    struct ch_frame *frame = source.frames[1];
    uint8_t *tag = frame->flv + 10;
    assert_int_equal(tag[0], 9);
    assert_int_equal(frame->flv_head_bytes, 2); // of a message of less than 126 bytes
    assert_ptr_equal(plugs[0].last_iov, tag - 2);
    tag[8] ^= 0x11; // nobody makes it anew
    frame->flv_tail[0] ^= 0x22;
    for (size_t i = 1; i < 4; i++) {
        plug_feed_all(&plugs[i], i == 3 ? 7 : PLENTY);
        const struct buffer *out = &plugs[i].out;
        const uint8_t *end = out->data + out->size;
        assert_memory_equal(end - 4, frame->flv_tail, 4);
        assert_memory_equal(end - 4 - frame->sample_bytes, frame->sample, frame->sample_bytes);
        assert_memory_equal(end - 4 - frame->sample_bytes - 16, tag, 16);
        if (i < 3)
            assert_ptr_equal(plugs[i].last_iov, i % 2 ? tag : tag - 2);
    }
    for (size_t i = 0; i < 4; i++)
        leave(&plugs[i]);
    unplug(&source);
}

// --- what changes ----------------------------------------------------------------------------------------

// The camera comes back: on the same timeline, and with new configurations only if it has other parameters.
static void test_restart(void **state)
{
    (void)state;
    for (int changed = 0; changed < 2; changed++) {
        struct source source;
        struct plug plugs[FORMATS];
        plug_in(&source, false, HOUR_US);
        for (size_t i = 0; i < FORMATS; i++)
            watch(&plugs[i], &source, formats[i], PLENTY);
        set_audio(&source, 44100);
        send_sets(&source);
        send_sounding_gop(&source, 3);
        ch_cursor_detach(&source.cursor);
        assert_int_equal(ch_stream_restart(source.stream), 0);
        ch_cursor_attach(&source.cursor, source.stream, source.count);
        source.device_ms -= 1000;
        set_audio(&source, changed ? 48000 : 44100);
        send_sets(&source);
        send_sounding_gop(&source, 3);
        for (size_t i = 0; i < FORMATS; i++) {
            struct audit audit = assert_whole(&plugs[i], &source, 6);
            assert_int_equal(audit.inits, 1 + changed);
            assert_true(audit.sounds > 5);
            leave(&plugs[i]);
        }
        unplug(&source);
    }
}

// Pictures out of order: decode time in the tag, composition beside it.
static void test_b_frames(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    plug_in(&source, false, HOUR_US);
    watch(&plug, &source, CH_VIEW_HTTP_FLV, PLENTY);
    send_b_frames(&source);
    assert_whole(&plug, &source, 9);
    struct item item;
    unsigned n = 0;
    int64_t last = -1;
    for (size_t at = 0; next_item(CH_VIEW_HTTP_FLV, &plug.out, &at, &item);) {
        if (item.data[0] != 9 || item.data[12] != 1)
            continue;
        int64_t decode = be24(item.data + 4), composition = be24(item.data + 13);
        assert_true(decode > last);
        assert_int_equal(decode + composition, 1000 + b_frame_times[n++] * 40); // the timeline begins at 1 s
        last = decode;
    }
    assert_int_equal(n, 9);
    leave(&plug);
    unplug(&source);
}

// --- pictures that no tag can hold -----------------------------------------------------------------------

// A picture whose sample has exactly so many bytes.
static void send_sized(struct source *source, bool idr, size_t sample_bytes)
{
    struct buffer payload = {0}, filler = {0};
    put_picture(source, &payload, idr, 0);
    filler.size = sample_bytes - payload.size;
    filler.data = malloc(filler.size);
    assert_non_null(filler.data);
    memset(filler.data, 0xAB, filler.size);
    put(&payload, filler.data, filler.size); // of the same NAL unit; its start code of four bytes becomes its length
    empty(&filler);
    source->device_ms += STEP_MS;
    source->arrival_us += STEP_MS * 1000;
    deliver(source, &payload, source->device_ms);
    if (source->cursor.stream)
        assert_int_equal(source->frames[source->count - 1]->sample_bytes, sample_bytes);
}

#define MOST (0xFFFFFFu - 5)

// It is left out, with all that builds on it, and counts; the largest that fits is sent.
static void test_oversize(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMATS; f++)
        for (int key = 0; key < 2; key++) {
            struct source source;
            struct plug plug;
            plug_in(&source, false, HOUR_US);
            set_audio(&source, 44100);
            watch(&plug, &source, formats[f], PLENTY);
            send_sets(&source);
            send_sounding_gop(&source, 3);
            send_sized(&source, key, MOST); // picture 3
            send_sound(&source);
            send_picture(&source, false);
            plug_feed_all(&plug, PLENTY); // so much at once takes several turns
            plug.appetite = PLENTY;
            assert_int_equal(plug.viewer.next_picture, 5);
            uint64_t sent = plug.viewer.frames_sent;
            send_sized(&source, key, MOST + 1); // picture 5
            send_sound(&source);
            send_picture(&source, false);
            assert_int_equal(plug.viewer.frames_sent, sent);
            send_sized(&source, true, MOST + 1);
            send_sounding_gop(&source, 2); // 8, 9
            assert_int_equal(plug.viewer.dropped, 3);
            struct audit audit = read_out(&plug, &source);
            assert_int_equal(audit.pictures, 7);
            assert_int_equal(audit.last->picture, 9);
            assert_int_equal(audit.inits, 1);
            leave(&plug);
            unplug(&source);
        }
}

// The first that it would have had, or in the midst of what waits to be sent.
static void test_oversize_first(void **state)
{
    (void)state;
    struct source source;
    struct plug early, late, slow;
    plug_in(&source, false, HOUR_US);
    watch(&early, &source, CH_VIEW_WS_FLV, PLENTY);
    for (unsigned i = 0; i < 3; i++)
        send_picture(&source, false); // nobody knows their sets: these do not count
    send_sets(&source);
    send_sized(&source, true, MOST + 1);
    send_picture(&source, false);
    watch(&late, &source, CH_VIEW_WS_FLV, PLENTY);
    watch(&slow, &source, CH_VIEW_HTTP_FLV, 0);
    assert_int_equal(early.out.size, 0);
    send_gop(&source, 2);
    assert_int_equal(early.viewer.dropped, 2);
    assert_int_equal(late.viewer.dropped, 2);
    send_sized(&source, false, MOST + 1);
    send_picture(&source, false);
    plug_feed_all(&slow, 1000); // as far as there is something for it
    assert_int_equal(slow.viewer.frames_sent, 2);
    slow.appetite = PLENTY;
    send_gop(&source, 2);
    struct plug *plugs[] = {&early, &late, &slow};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(read_out(plugs[i], &source).pictures, 4);
        assert_int_equal(plugs[i]->viewer.dropped, 4);
        leave(plugs[i]);
    }
    unplug(&source);
}

// --- the outlet fails ------------------------------------------------------------------------------------

// At any of its calls: told once, nothing is asked of it afterwards, no reference is left.
static void test_failing_outlet(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMATS; f++) {
        bool failed = true;
        for (unsigned good = 0; failed; good++) {
            struct source source;
            struct plug plug;
            plug_in(&source, false, -HOUR_US);
            set_audio(&source, 44100);
            send_sets(&source);
            send_gop(&source, 2);
            watch(&plug, &source, formats[f], 0);
            plug.refuse_with = -EPIPE;
            plug.good_calls = good;
            for (unsigned i = 0; i < 100; i++) {
                if (!plug.failures)
                    plug_feed(&plug, 97);
                send_picture(&source, i % 20 == 0);
                send_sound(&source);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_appetite),     cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_stopped_in_a_frame), cmocka_unit_test(test_holds_one_frame),
        cmocka_unit_test(test_shared_head),        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_b_frames),           cmocka_unit_test(test_oversize),
        cmocka_unit_test(test_oversize_first),     cmocka_unit_test(test_failing_outlet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
