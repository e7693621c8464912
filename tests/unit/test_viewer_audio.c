// Sound for live viewers: in its place among the pictures, for whoever can have it, and never without them.
#include "viewer_audit.h"

#include "base/limits.h"

#define PLENTY SIZE_MAX

// --- every appetite --------------------------------------------------------------------------------------

// Sound that begins late, changes its rate, ends; parameter sets between it, and another resolution.
static void send_film(struct source *source)
{
    send_sets(source);
    send_gop(source, 2);
    set_audio(source, 44100);
    send_sounding_gop(source, 3);
    send_sets(source);
    send_sounding_gop(source, 2);
    set_audio(source, 48000);
    send_sounding_gop(source, 3);
    source->recipe.width_mbs = 40;
    send_sets(source);
    send_sounding_gop(source, 3);
    set_audio(source, 0);
    send_gop(source, 2);
}

#define FILM_PICTURES 15

// The film to a viewer with this appetite, from before the first message on.
static void show_film(enum ch_viewer_format format, size_t appetite, struct buffer *out)
{
    struct source source;
    struct plug plug;
    plug_in(&source, false, HOUR_US);
    watch(&plug, &source, format, appetite);
    send_film(&source);
    plug_feed_all(&plug, appetite);
    assert_int_equal(plug.queued, 0);
    unsigned sounds = (unsigned)ch_stream_counts(source.stream)->audio_frames;
    assert_true(sounds > 10);
    struct audit audit = assert_whole(&plug, &source, format == CH_VIEW_HTTP_MP4 ? 2 : FILM_PICTURES);
    assert_int_equal(audit.sounds, format == CH_VIEW_WS_MP4 || is_flv(format) ? sounds : 0);
    assert_int_equal(audit.inits, format == CH_VIEW_WS_H264 ? 0 : format == CH_VIEW_HTTP_MP4 ? 1 : 5);
    assert_int_equal(audit.streams, has_texts(format) ? 5 : 0);
    assert_int_equal(plug.failures, format == CH_VIEW_HTTP_MP4); // which ends where the sound begins
    *out = plug.out;
    plug.out = (struct buffer){0};
    leave(&plug);
    unplug(&source);
}

static void every_appetite(enum ch_viewer_format format)
{
    struct buffer whole, out;
    show_film(format, 1u << 20, &whole);
    for (size_t appetite = 1; appetite <= whole.size; appetite++) {
        show_film(format, appetite, &out);
        if (!has_texts(format)) { // those tell of times that depend on when they are made
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

static void test_every_appetite_http_mp4(void **state)
{
    (void)state;
    every_appetite(CH_VIEW_HTTP_MP4);
}

static void test_every_appetite_ws_h264(void **state)
{
    (void)state;
    every_appetite(CH_VIEW_WS_H264);
}

static void test_every_appetite_ws_flv(void **state)
{
    (void)state;
    every_appetite(CH_VIEW_WS_FLV);
}

static void test_every_appetite_http_flv(void **state)
{
    (void)state;
    every_appetite(CH_VIEW_HTTP_FLV);
}

// --- what it is ------------------------------------------------------------------------------------------

// The texts, word for word.
static void test_texts(void **state)
{
    (void)state;
    static const enum ch_viewer_format formats[] = {CH_VIEW_WS_MP4, CH_VIEW_WS_MP4, CH_VIEW_WS_H264};
    static const char *const audio[] = {
        "\"audio\":null", "\"audio\":{\"codec\":\"mp4a.40.2\",\"rate\":44100,\"channels\":2}", "\"audio\":null"};
    static const char *const mime[] = {"\"mime\":\"video/mp4; codecs=\\\"avc1.42C01E\\\"\"",
                                       "\"mime\":\"video/mp4; codecs=\\\"avc1.42C01E,mp4a.40.2\\\"\"",
                                       "\"mime\":\"video/h264\""};
    for (size_t i = 0; i < 3; i++) {
        struct source source;
        struct plug plug;
        struct item item;
        size_t at = 0;
        plug_in(&source, false, HOUR_US);
        watch(&plug, &source, formats[i], PLENTY);
        set_audio(&source, i > 0 ? 44100 : 0);
        send_sets(&source);
        send_picture(&source, true);
        assert_true(next_message(&plug.out, &at, &item));
        assert_int_equal(item.opcode, CH_WS_TEXT);
        assert_non_null(memmem(item.data, item.size, audio[i], strlen(audio[i])));
        assert_non_null(memmem(item.data, item.size, mime[i], strlen(mime[i])));
        leave(&plug);
        unplug(&source);
    }
}

// It starts at the newest key frame, and with the sound behind that.
static void test_late_comer(void **state)
{
    (void)state;
    static const enum ch_viewer_format formats[] = {CH_VIEW_WS_MP4, CH_VIEW_HTTP_MP4, CH_VIEW_WS_FLV, CH_VIEW_HTTP_FLV};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct source source;
        struct plug plug;
        plug_in(&source, false, -HOUR_US);
        set_audio(&source, 48000);
        send_sets(&source);
        send_sounding_gop(&source, 5);
        uint64_t before = ch_stream_counts(source.stream)->audio_frames;
        send_sounding_gop(&source, 4);
        watch(&plug, &source, formats[i], PLENTY);
        struct audit audit = assert_whole(&plug, &source, 4);
        assert_int_equal(audit.sounds, ch_stream_counts(source.stream)->audio_frames - before);
        assert_true(audit.sounds > 3);
        leave(&plug);
        unplug(&source);
    }
}

// Pictures and sound that wait go out together, in one write.
static void test_one_write(void **state)
{
    (void)state;
    static const enum ch_viewer_format formats[] = {CH_VIEW_WS_MP4, CH_VIEW_WS_FLV};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct source source;
        struct plug plug;
        plug_in(&source, false, HOUR_US);
        set_audio(&source, 44100);
        send_sets(&source);
        send_sounding_gop(&source, 20);
        watch(&plug, &source, formats[i], PLENTY);
        assert_int_equal(plug.sends, 1);
        assert_true(assert_whole(&plug, &source, 20).sounds > 20);
        leave(&plug);
        unplug(&source);
    }
}

// The head is made once: what the first viewer was sent is what all are sent, from the same place.
static void test_shared_head(void **state)
{
    (void)state;
    struct source source;
    struct plug plugs[3];
    plug_in(&source, false, HOUR_US);
    set_audio(&source, 44100);
    send_sets(&source);
    send_picture(&source, true);
    for (size_t i = 0; i < 3; i++)
        watch(&plugs[i], &source, i == 2 ? CH_VIEW_HTTP_MP4 : CH_VIEW_WS_MP4, PLENTY);
    for (size_t i = 0; i < 3; i++)
        plugs[i].appetite = i == 0 ? PLENTY : 0;
    source.audio_ms = (int64_t)source.device_ms;
    assert_int_equal(send_sound(&source), 1);
    struct ch_frame *frame = source.frames[2];
    assert_int_equal(frame->flags, CH_FRAME_AUDIO);
    uint8_t *begin = frame->sample - CH_MP4_FRAGMENT_HEADER_BYTES;
    begin[20] ^= 0x40;
    plug_feed(&plugs[1], PLENTY);
    plug_feed(&plugs[2], PLENTY);
    assert_ptr_equal(plugs[0].last_iov, begin - frame->head_bytes);
    assert_ptr_equal(plugs[1].last_iov, plugs[0].last_iov);
    assert_ptr_equal(plugs[2].last_iov, begin);
    size_t size = CH_MP4_FRAGMENT_HEADER_BYTES + frame->sample_bytes;
    assert_memory_equal(plugs[2].out.data + plugs[2].out.size - size, begin, size);
    for (size_t i = 0; i < 3; i++)
        leave(&plugs[i]);
    unplug(&source);
}

// --- too slow --------------------------------------------------------------------------------------------

// Pictures count, sound does not; on at the key frame, with the sound from there on.
static void test_drop(void **state)
{
    (void)state;
    static const enum ch_viewer_format formats[] = {CH_VIEW_WS_MP4, CH_VIEW_WS_H264, CH_VIEW_HTTP_MP4, CH_VIEW_WS_FLV,
                                                    CH_VIEW_HTTP_FLV};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct source source;
        struct plug plug;
        plug_in(&source, false, -HOUR_US);
        set_audio(&source, 48000);
        send_sets(&source);
        watch(&plug, &source, formats[i], PLENTY);
        send_sounding_gop(&source, 3); // picture 0..2
        plug.appetite = 10;
        send_sounding_gop(&source, 5); // 3..7; the first of them is on its way
        source.arrival_us += CH_LIVE_LAG_US;
        send_sounding_gop(&source, 5);
        uint64_t before = ch_stream_counts(source.stream)->audio_frames;
        send_sounding_gop(&source, 5); // 13..17
        uint64_t behind = ch_stream_counts(source.stream)->audio_frames - before;
        size_t at = plug.out.size;
        plug_feed_all(&plug, 200);
        assert_int_equal(plug.viewer.dropped, 9); // 4..12
        struct audit audit = read_out(&plug, &source);
        assert_int_equal(audit.pictures, 3 + 1 + 5);
        if (formats[i] != CH_VIEW_WS_H264)
            assert_true(audit.sounds >= behind && audit.sounds < behind + 6);
        else
            assert_int_equal(audit.sounds, 0);
        assert_true(plug.out.size > at);
        leave(&plug);
        unplug(&source);
    }
}

// Only sound lies between it and the key frame: nothing counts as lost.
static void test_drop_of_sound(void **state)
{
    (void)state;
    struct source source;
    struct plug plug;
    plug_in(&source, false, -HOUR_US);
    set_audio(&source, 48000);
    send_sets(&source);
    watch(&plug, &source, CH_VIEW_WS_MP4, PLENTY);
    send_picture(&source, true);
    plug.appetite = 0;
    assert_true(send_sound(&source) > 0);
    source.arrival_us += 2 * CH_LIVE_LAG_US;
    send_picture(&source, true);
    send_sound(&source);
    plug_feed_all(&plug, PLENTY);
    struct audit audit = read_out(&plug, &source);
    assert_int_equal(audit.pictures, 2);
    assert_int_equal(audit.drops, 0);
    assert_int_equal(plug.viewer.dropped, 0);
    leave(&plug);
    unplug(&source);
}

// --- held back -------------------------------------------------------------------------------------------

static void test_coalescing(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct ch_viewer_holds holds;
    struct source source;
    struct plug plugs[2];
    assert_int_equal(uv_loop_init(&loop), 0);
    ch_viewer_holds_init(&holds, &loop);
    plug_in(&source, false, 0);
    set_audio(&source, 44100);
    send_sets(&source);
    send_picture(&source, true);
    for (size_t i = 0; i < 2; i++) {
        plugs[i] = (struct plug){.appetite = PLENTY, .last = &plugs[i].first};
        ch_viewer_start(&plugs[i].viewer, source.stream, i == 0 ? CH_VIEW_WS_MP4 : CH_VIEW_HTTP_FLV, 300000, &holds,
                        &plug_outlet, &plugs[i]);
    }
    int64_t begin = ch_clock_mono_us();
    for (unsigned i = 0; i < 10; i++) {
        source.arrival_us = ch_clock_mono_us() - STEP_MS * 1000;
        send_picture(&source, false);
        source.arrival_us = ch_clock_mono_us();
        send_sound(&source);
    }
    bool in_time = ch_clock_mono_us() - begin < 200000; // else this machine is too slow to see anything
    for (size_t i = 0; i < 2 && in_time; i++)
        assert_int_equal(plugs[i].sends, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < 2; i++) {
        if (in_time)
            assert_int_equal(plugs[i].sends, 2);
        assert_true(assert_whole(&plugs[i], &source, 11).sounds > 10);
        leave(&plugs[i]);
    }
    unplug(&source);
    ch_viewer_holds_close(&holds);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

// --- all at once -----------------------------------------------------------------------------------------

static void anything(struct source *source, uint32_t *noise)
{
    static const uint32_t rates[] = {0, 16000, 44100, 48000};
    source->slice_bytes = 1 + dice(noise, 300);
    switch (dice(noise, 24)) {
    case 0:
        source->recipe.width_mbs = 20 + dice(noise, 3);
        send_sets(source);
        break;
    case 1: send_sets(source); break;
    case 2: source->arrival_us += dice(noise, 3000000); break;
    case 3:
        ch_cursor_detach(&source->cursor);
        assert_int_equal(ch_stream_restart(source->stream), 0);
        ch_cursor_attach(&source->cursor, source->stream, source->count);
        source->device_ms = dice(noise, 2) ? 5000 : source->device_ms;
        set_audio(source, dice(noise, 2) ? source->audio_rate : rates[dice(noise, 4)]);
        if (dice(noise, 3))
            send_sets(source);
        break;
    case 4: set_audio(source, rates[dice(noise, 4)]); break;
    case 5: source->device_ms += dice(noise, 20000); break;
    case 6: {
        struct buffer payload = {0};
        put_made(&payload, make_pps(dice(noise, 3), 0, dice(noise, 2)));
        deliver(source, &payload, 0);
        break;
    }
    case 7:
    case 8:
    case 9: send_picture(source, true); break;
    case 10:
    case 11:
    case 12:
    case 13:
    case 14: send_sound(source); break;
    default: send_picture(source, false);
    }
}

static void test_anything(void **state)
{
    (void)state;
    static const enum ch_viewer_format formats[] = {CH_VIEW_WS_MP4, CH_VIEW_WS_H264, CH_VIEW_WS_FLV, CH_VIEW_HTTP_FLV};
    uint64_t sounds = 0;
    for (uint32_t seed = 0; seed < 400; seed++) {
        uint32_t noise = seed;
        struct source source;
        struct plug plugs[4];
        plug_in(&source, false, dice(&noise, 2) ? HOUR_US : -HOUR_US);
        source.clock_moves = true;
        if (dice(&noise, 2))
            ch_stream_trust_clock(source.stream);
        set_audio(&source, dice(&noise, 2) ? 44100 : 0);
        send_sets(&source);
        for (size_t i = 0; i < 4; i++)
            watch(&plugs[i], &source, formats[dice(&noise, 4)], 0);
        for (unsigned n = 0; n < 200; n++) {
            anything(&source, &noise);
            for (size_t i = 0; i < 4; i++)
                if (dice(&noise, 4) == 0)
                    plug_feed(&plugs[i], 1 + dice(&noise, i == 0 ? 100 : 3000));
        }
        for (size_t i = 0; i < 4; i++) {
            plug_feed_all(&plugs[i], 1 + dice(&noise, 5000));
            sounds += read_out(&plugs[i], &source).sounds;
            leave(&plugs[i]);
        }
        unplug(&source);
    }
    assert_true(sounds > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_appetite_ws_mp4),
        cmocka_unit_test(test_every_appetite_http_mp4),
        cmocka_unit_test(test_every_appetite_ws_h264),
        cmocka_unit_test(test_every_appetite_ws_flv),
        cmocka_unit_test(test_every_appetite_http_flv),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_late_comer),
        cmocka_unit_test(test_one_write),
        cmocka_unit_test(test_shared_head),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_drop_of_sound),
        cmocka_unit_test(test_coalescing),
        cmocka_unit_test(test_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
