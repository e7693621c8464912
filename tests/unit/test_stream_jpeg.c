// A JPEG camera's stream: frames as they came, times of arrival, numbers that the hub gives.
#include "jpeg_maker.h"

#include "base/bytes.h"
#include "stream/stream.h"
#include "stream/timeline.h"

#include <errno.h>
#include <xxhash.h>

#define WALL_US INT64_C(1700000000000000)

struct reader {
    struct ch_cursor cursor;
    unsigned wakes;
};

static void on_wake(struct ch_cursor *cursor)
{
    ((struct reader *)cursor->context)->wakes++;
}

static void attach(struct reader *reader, struct ch_stream *stream)
{
    *reader = (struct reader){.cursor = {.wake = on_wake, .context = reader, .lossless = true}};
    ch_cursor_attach(&reader->cursor, stream, ch_stream_live_start(stream));
}

static int deliver(struct ch_stream *stream, const void *data, size_t size, int64_t mono_us)
{
    struct ch_frame *frame = ch_frame_new(size);
    assert_non_null(frame);
    if (size > 0)
        memcpy(frame->message, data, size);
    int rc = ch_stream_append_jpeg(stream, &frame, size, WALL_US + mono_us, mono_us);
    assert_null(frame);
    return rc;
}

// A picture with padding behind it.
static struct picture padded(unsigned width, unsigned height, unsigned salt, size_t zeros)
{
    struct picture picture = make_picture(width, height, salt, 20);
    for (size_t i = 0; i < zeros; i++)
        add_byte(&picture, 0);
    return picture;
}

static void test_frame(void **state)
{
    (void)state;
    struct ch_stream *stream = ch_stream_new();
    struct reader reader;
    attach(&reader, stream);
    for (unsigned i = 0; i < 3; i++) {
        struct picture picture = padded(64, 48, i, 7 * i);
        assert_int_equal(deliver(stream, picture.data, picture.size, 5000000 + 100000 * i), 0);
        assert_int_equal(reader.wakes, i + 1);
        struct ch_frame *frame = ch_cursor_next(&reader.cursor);
        assert_int_equal(frame->flags, CH_FRAME_KEY | CH_FRAME_PICTURE | CH_FRAME_JPEG);
        assert_int_equal(frame->sequence, i);
        assert_int_equal(frame->device_ms, 5000 + 100 * i);
        assert_int_equal(frame->arrival_wall_us, WALL_US + 5000000 + 100000 * i);
        assert_int_equal(frame->pts_ticks, CH_TIMELINE_ORIGIN + 9000 * i);
        assert_int_equal(frame->dts_ticks, frame->pts_ticks);
        assert_int_equal(frame->payload_bytes, picture.size);
        assert_int_equal(frame->hash, XXH3_64bits(picture.data, picture.size));
        // What is sent is the message, in place, with writable room in front.
        assert_ptr_equal(frame->sample, frame->message);
        assert_int_equal(frame->sample_bytes, picture.size);
        assert_memory_equal(frame->sample, picture.data, picture.size);
        memset(frame->sample - CH_FRAME_HEAD_ROOM, 0xEE, CH_FRAME_HEAD_ROOM);
        struct iovec iov[2];
        assert_int_equal(ch_frame_annexb_count(frame), 2);
        assert_int_equal(ch_frame_annexb(frame, iov), 1);
        assert_int_equal(iov[0].iov_len, picture.size);
        assert_memory_equal(iov[0].iov_base, picture.data, picture.size);
        assert_false(ch_frame_has_sps(frame));
        ch_frame_unref(frame);
        free_picture(&picture);
    }
    const struct ch_stream_counts *counts = ch_stream_counts(stream);
    assert_int_equal(counts->messages, 3);
    assert_int_equal(counts->pictures, 3);
    assert_int_equal(counts->key_frames, 3);
    assert_int_equal(counts->refused, 0);
    ch_cursor_detach(&reader.cursor);
    ch_stream_free(stream);
}

// One object for all pictures of a size in a row.
static void test_params(void **state)
{
    (void)state;
    static const unsigned widths[] = {64, 64, 32, 32, 64};
    struct ch_stream *stream = ch_stream_new();
    struct reader reader;
    struct ch_frame *frames[5];
    attach(&reader, stream);
    for (unsigned i = 0; i < 5; i++) {
        struct picture picture = padded(widths[i], 16, i, 0);
        assert_int_equal(deliver(stream, picture.data, picture.size, 1000 * i), 0);
        free_picture(&picture);
        frames[i] = ch_cursor_next(&reader.cursor);
        const struct ch_params *params = frames[i]->params;
        assert_string_equal(params->codec, "jpeg");
        assert_int_equal(params->width, widths[i]);
        assert_int_equal(params->height, 16);
        assert_int_equal(params->avcc_bytes, 0);
        assert_ptr_equal(params, ch_stream_params(stream));
        if (i > 0)
            assert_int_equal(params == frames[i - 1]->params, widths[i] == widths[i - 1]);
    }
    for (unsigned i = 0; i < 5; i++)
        ch_frame_unref(frames[i]);
    ch_cursor_detach(&reader.cursor);
    ch_stream_free(stream);
}

// Pictures that come at once are a tick apart, and time goes on from their arrival all the same.
static void test_times(void **state)
{
    (void)state;
    static const struct {
        int64_t mono_us, ticks;
    } pictures[] = {{77777, 0},       {77777, 1},       {77780, 2},       {77787, 3},       {77887, 9},
                    {1077777, 90000}, {1077776, 90001}, {1077799, 90002}, {1077877, 90009}, {3601077777, 324090000}};
    struct ch_stream *stream = ch_stream_new();
    struct reader reader;
    struct picture picture = padded(8, 8, 0, 0);
    attach(&reader, stream);
    for (size_t i = 0; i < sizeof pictures / sizeof pictures[0]; i++) {
        assert_int_equal(deliver(stream, picture.data, picture.size, pictures[i].mono_us), 0);
        struct ch_frame *frame = ch_cursor_next(&reader.cursor);
        assert_int_equal(frame->pts_ticks, CH_TIMELINE_ORIGIN + pictures[i].ticks);
        assert_int_equal(frame->flags & (CH_FRAME_REPAIRED | CH_FRAME_JUMP), 0);
        ch_frame_unref(frame);
    }
    free_picture(&picture);
    ch_cursor_detach(&reader.cursor);
    ch_stream_free(stream);
}

// What is no JPEG is counted and leaves no trace: no number, no time.
static void test_refused(void **state)
{
    (void)state;
    struct ch_stream *stream = ch_stream_new();
    struct reader reader;
    struct picture picture = padded(8, 8, 0, 0);
    attach(&reader, stream);
    assert_int_equal(deliver(stream, "", 0, 1000), -EBADMSG);
    assert_int_equal(deliver(stream, "no picture", 10, 2000), -EBADMSG);
    assert_int_equal(deliver(stream, picture.data, picture.size - 1, 3000), -EBADMSG);
    assert_int_equal(ch_stream_counts(stream)->refused, 3);
    assert_int_equal(ch_stream_counts(stream)->messages, 0);
    assert_int_equal(reader.wakes, 0);
    assert_int_equal(deliver(stream, picture.data, picture.size, 4000), 0);
    assert_int_equal(deliver(stream, picture.data, picture.size - 1, 5000), -EBADMSG);
    assert_int_equal(deliver(stream, picture.data, picture.size, 6000), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct ch_frame *frame = ch_cursor_next(&reader.cursor);
        assert_int_equal(frame->sequence, i);
        assert_int_equal(frame->pts_ticks, CH_TIMELINE_ORIGIN + 180 * i);
        ch_frame_unref(frame);
    }
    free_picture(&picture);
    ch_cursor_detach(&reader.cursor);
    ch_stream_free(stream);
}

// The log keeps the newest picture for those who come later, and what a recorder has not read.
static void test_log(void **state)
{
    (void)state;
    struct ch_stream *stream = ch_stream_new();
    struct picture picture = padded(8, 8, 0, 0);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(deliver(stream, picture.data, picture.size, 10000 * (int64_t)i), 0);
        assert_int_equal(ch_stream_live_start(stream), i);
        assert_int_equal(ch_stream_session_start(stream, 10000 * (int64_t)i), i);
    }
    struct ch_frame *sets[CH_STREAM_SETS];
    assert_int_equal(ch_stream_parameter_sets(stream, 200, sets), 0);
    struct reader reader;
    attach(&reader, stream);
    for (unsigned i = 200; i < 300; i++)
        assert_int_equal(deliver(stream, picture.data, picture.size, 10000 * (int64_t)i), 0);
    for (unsigned i = 199; i < 300; i++) {
        struct ch_frame *frame = ch_cursor_next(&reader.cursor);
        assert_int_equal(frame->number, i);
        ch_frame_unref(frame);
    }
    assert_null(ch_cursor_next(&reader.cursor));
    ch_stream_fence(stream); // what is there belongs to a session that has ended
    assert_int_equal(ch_stream_session_start(stream, 3000000), 300);
    ch_stream_flush(stream, 4000000, 0); // nothing waits
    free_picture(&picture);
    ch_cursor_detach(&reader.cursor);
    ch_stream_free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame),   cmocka_unit_test(test_params), cmocka_unit_test(test_times),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
