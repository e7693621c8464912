// Sound between the pictures: which frames belong to it, when they are heard, and a clock that is trusted.
#include "stream_maker.h"

#include "base/limits.h"
#include "stream/stream.h"
#include "stream/timeline.h"

#include <errno.h>
#include <xxhash.h>

#define WALL_US INT64_C(1790000000000000)
#define TICKS_PER_MS 90

struct camera {
    struct ch_stream *stream;
    struct recipe recipe;
    uint32_t messages, frame_num, sounds;
    int64_t now_us;
    size_t slice_bytes;
    // All that was published, by a cursor that loses nothing.
    struct ch_cursor cursor;
    struct ch_frame *newest, *picture, *sound; // of each kind; references
    uint64_t count, pictures, heard;
    unsigned jumps, repairs;
};

// Rules that hold for every frame, whatever was sent.
static void check(struct camera *camera, struct ch_frame *frame)
{
    assert_int_equal(frame->number, camera->count++);
    assert_int_equal(frame->picture, camera->pictures);
    struct ch_frame **place = NULL;
    if (frame->flags & CH_FRAME_AUDIO) {
        const struct ch_frame *last = camera->sound;
        assert_int_equal(frame->flags, CH_FRAME_AUDIO);
        assert_int_equal(frame->sequence, camera->heard++);
        assert_non_null(camera->picture);
        assert_ptr_equal(frame->params, camera->picture->params);
        assert_true(frame->params->audio.rate > 0);
        assert_true(frame->audio_time > 0);
        if (last) {
            assert_true(frame->pts_ticks >= last->pts_ticks);
            assert_true(frame->params->audio.rate != last->params->audio.rate || frame->audio_time > last->audio_time);
        }
        int64_t off = frame->pts_ticks * frame->params->audio.rate - frame->audio_time * 90000;
        assert_true(2 * llabs(off) <= frame->params->audio.rate);
        place = &camera->sound;
    } else if (frame->flags & CH_FRAME_PICTURE) {
        camera->pictures++;
        camera->jumps += (frame->flags & CH_FRAME_JUMP) != 0;
        camera->repairs += (frame->flags & CH_FRAME_REPAIRED) != 0;
        if (frame->params)
            place = &camera->picture;
    }
    if (place) {
        ch_frame_unref(*place);
        *place = ch_frame_ref(frame);
    }
    ch_frame_unref(camera->newest);
    camera->newest = frame;
}

static void on_wake(struct ch_cursor *cursor)
{
    for (struct ch_frame *frame; (frame = ch_cursor_next(cursor));)
        check(cursor->context, frame);
}

static void plug_in(struct camera *camera)
{
    *camera = (struct camera){.stream = ch_stream_new(), .recipe = BASELINE, .now_us = 90000000, .slice_bytes = 30};
    assert_non_null(camera->stream);
    camera->cursor = (struct ch_cursor){.wake = on_wake, .context = camera, .lossless = true};
    ch_cursor_attach(&camera->cursor, camera->stream, 0);
}

static void unplug(struct camera *camera)
{
    if (camera->cursor.stream)
        ch_cursor_detach(&camera->cursor);
    ch_stream_free(camera->stream);
    ch_frame_unref(camera->newest);
    ch_frame_unref(camera->picture);
    ch_frame_unref(camera->sound);
}

static void restart(struct camera *camera)
{
    ch_cursor_detach(&camera->cursor);
    assert_int_equal(ch_stream_restart(camera->stream), 0);
    ch_cursor_attach(&camera->cursor, camera->stream, camera->count);
}

static void deliver(struct camera *camera, struct buffer *payload, uint64_t device_ms)
{
    struct ch_frame *frame = receive(payload, device_ms, camera->messages++);
    uint32_t declared;
    assert_int_equal(ch_stream_append(camera->stream, &frame, CH_CAMERA_HEADER_BYTES + payload->size,
                                      WALL_US + camera->now_us, camera->now_us, &declared),
                     0);
    empty(payload);
}

static void send_sets(struct camera *camera)
{
    struct buffer payload = {0};
    put_sets(&payload, &camera->recipe);
    deliver(camera, &payload, 0);
}

static void send_ordered(struct camera *camera, bool idr, uint32_t poc_lsb, int64_t device_ms)
{
    struct buffer payload = {0};
    camera->frame_num = idr ? 0 : camera->frame_num + 1;
    put_slice(&payload, &camera->recipe,
              &(struct slice_recipe){.idr = idr,
                                     .frame_num = camera->frame_num,
                                     .poc_lsb = poc_lsb,
                                     .noise = camera->messages,
                                     .bytes = camera->slice_bytes});
    deliver(camera, &payload, (uint64_t)device_ms);
}

static void send_picture(struct camera *camera, bool idr, int64_t device_ms)
{
    send_ordered(camera, idr, 0, device_ms);
}

static int send_bytes(struct camera *camera, size_t bytes, int64_t device_ms)
{
    struct ch_frame *frame = receive_audio(bytes, camera->sounds++);
    int rc = ch_stream_append_audio(camera->stream, &frame, bytes, device_ms, WALL_US + camera->now_us, camera->now_us);
    assert_null(frame);
    return rc;
}

static int send_audio(struct camera *camera, int64_t device_ms)
{
    return send_bytes(camera, 50 + camera->sounds % 300, device_ms);
}

static void set_audio(struct camera *camera, uint32_t rate)
{
    struct ch_aac_config audio = aac_of(rate, 2);
    ch_stream_set_audio(camera->stream, &audio);
}

// --- what a frame is -------------------------------------------------------------------------------------

static void test_frame(void **state)
{
    (void)state;
    struct camera camera;
    plug_in(&camera);
    set_audio(&camera, 48000);
    send_sets(&camera);
    send_picture(&camera, true, 7000);
    assert_int_equal(ch_stream_params(camera.stream)->audio.rate, 48000);
    assert_string_equal(ch_stream_params(camera.stream)->audio.codec, "mp4a.40.2");
    uint64_t bytes = ch_stream_counts(camera.stream)->payload_bytes;
    assert_int_equal(send_bytes(&camera, 77, 7100), 0);
    const struct ch_frame *frame = camera.newest;
    assert_int_equal(frame->flags, CH_FRAME_AUDIO);
    assert_int_equal(frame->sequence, 0);
    assert_int_equal(frame->number, 2);
    assert_int_equal(frame->picture, 1);
    assert_int_equal(frame->device_ms, 7100);
    assert_int_equal(frame->arrival_mono_us, camera.now_us);
    assert_int_equal(frame->arrival_wall_us, WALL_US + camera.now_us);
    assert_int_equal(frame->payload_bytes, 77);
    assert_int_equal(frame->sample_bytes, 77);
    assert_int_equal(frame->piece_count, 0);
    assert_int_equal(ch_frame_annexb_count(frame), 0);
    assert_int_equal(frame->hash, XXH3_64bits(frame->sample, 77));
    assert_ptr_equal(frame->params, camera.picture->params);
    assert_int_equal(frame->audio_time, 48000 + 4800); // the timeline's origin is at 1 s
    assert_int_equal(frame->pts_ticks, CH_TIMELINE_ORIGIN + 9000);
    assert_int_equal(frame->dts_ticks, frame->pts_ticks);
    struct ch_frame *sent = receive_audio(77, 0);
    assert_memory_equal(frame->sample, sent->message, 77);
    ch_frame_unref(sent);
    memset(frame->sample - CH_FRAME_HEAD_ROOM, 0xEE, CH_FRAME_HEAD_ROOM); // it is there
    const struct ch_stream_counts *counts = ch_stream_counts(camera.stream);
    assert_int_equal(counts->messages, 3);
    assert_int_equal(counts->pictures, 1);
    assert_int_equal(counts->audio_frames, 1);
    assert_int_equal(counts->payload_bytes, bytes + 77);
    assert_int_equal(send_audio(&camera, 7121), 0);
    assert_int_equal(camera.newest->sequence, 1); // of its own
    assert_int_equal(camera.newest->audio_time, 48000 + 4800 + 1024);
    send_picture(&camera, false, 7040);
    assert_int_equal(camera.newest->picture, 1);
    assert_int_equal(camera.newest->pts_ticks, CH_TIMELINE_ORIGIN + 3600);
    unplug(&camera);
}

static void test_refused(void **state)
{
    (void)state;
    struct camera camera;
    plug_in(&camera);
    assert_int_equal(send_audio(&camera, 0), -EAGAIN);
    set_audio(&camera, 44100);
    assert_int_equal(send_audio(&camera, 0), -EAGAIN);
    send_sets(&camera);
    send_picture(&camera, false, 5000); // no key frame
    assert_int_equal(send_audio(&camera, 5000), -EAGAIN);
    send_picture(&camera, true, 5040);
    assert_int_equal(send_audio(&camera, 5040), 0);
    assert_int_equal(send_bytes(&camera, 0, 5063), -EINVAL);
    assert_int_equal(send_bytes(&camera, CH_AAC_FRAME_MAX + 1, 5063), -EINVAL);
    assert_int_equal(ch_stream_counts(camera.stream)->refused, 2);
    assert_int_equal(send_bytes(&camera, CH_AAC_FRAME_MAX, 5063), 0);
    assert_int_equal(send_audio(&camera, 5063 - 60), -EAGAIN); // heard already
    assert_int_equal(send_audio(&camera, 5063 + CH_LIMIT_CLOCK_STEP_US / 1000 + 1), -EAGAIN);
    assert_int_equal(send_audio(&camera, 5040 - CH_LIMIT_CLOCK_STEP_US / 1000 - 1), -EAGAIN);
    assert_int_equal(send_audio(&camera, INT64_MAX), -EAGAIN);
    assert_int_equal(send_audio(&camera, INT64_MIN), -EAGAIN);
    assert_int_equal(send_audio(&camera, 5086), 0); // none of them left a trace
    assert_int_equal(camera.sound->audio_time, 44100 + 2 * 1024);
    assert_int_equal(camera.sound->sequence, 2);
    unplug(&camera);
}

// From before the first picture, but behind it in the stream: down to the timeline's zero.
static void test_before_the_first_picture(void **state)
{
    (void)state;
    struct camera camera;
    plug_in(&camera);
    set_audio(&camera, 48000);
    send_sets(&camera);
    send_picture(&camera, true, 5000);
    assert_int_equal(send_audio(&camera, 3500), -EAGAIN);
    assert_int_equal(send_audio(&camera, 4000), -EAGAIN);
    assert_int_equal(send_audio(&camera, 4001), 0);
    assert_int_equal(camera.sound->audio_time, 48);
    unplug(&camera);
}

// --- configurations --------------------------------------------------------------------------------------

static void test_configurations(void **state)
{
    (void)state;
    struct camera camera;
    plug_in(&camera);
    send_sets(&camera);
    send_picture(&camera, true, 1000);
    const struct ch_params *mute = camera.picture->params;
    assert_int_equal(mute->audio.rate, 0);
    ch_params_ref(camera.picture->params);
    set_audio(&camera, 44100); // too late for this key frame
    assert_int_equal(send_audio(&camera, 1000), -EAGAIN);
    send_picture(&camera, false, 1040);
    assert_int_equal(send_audio(&camera, 1040), -EAGAIN);
    assert_ptr_equal(camera.picture->params, mute);
    send_picture(&camera, true, 1080);
    const struct ch_params *first = camera.picture->params;
    assert_int_equal(first->audio.rate, 44100);
    assert_int_equal(first->width, mute->width);
    assert_true(first->avcc_bytes > 0);
    assert_int_equal(send_audio(&camera, 1080), 0);
    set_audio(&camera, 44100); // the same again
    send_picture(&camera, true, 1120);
    assert_ptr_equal(camera.picture->params, first);
    assert_int_equal(send_audio(&camera, 1103), 0);
    set_audio(&camera, 48000);
    assert_int_equal(send_audio(&camera, 1126), -EAGAIN);
    send_picture(&camera, false, 1160);
    assert_ptr_equal(camera.picture->params, first);
    send_picture(&camera, true, 1200);
    assert_int_equal(camera.picture->params->audio.rate, 48000);
    assert_int_equal(send_audio(&camera, 1200), 0);
    assert_int_equal(camera.sound->audio_time, 48000 + 9600);
    ch_stream_set_audio(camera.stream, NULL);
    assert_int_equal(send_audio(&camera, 1221), -EAGAIN);
    send_picture(&camera, true, 1240);
    assert_int_equal(camera.picture->params->audio.rate, 0);
    set_audio(&camera, 16000); // slower than before; still no step back
    send_picture(&camera, true, 1280);
    int64_t last = camera.sound->pts_ticks;
    assert_int_equal(send_audio(&camera, 1200), -EAGAIN);
    assert_int_equal(send_audio(&camera, 1201), 0);
    assert_true(camera.sound->pts_ticks > last);
    assert_int_equal(camera.sound->audio_time, 16000 + 201 * 16);
    restart(&camera); // and this forgets it
    send_sets(&camera);
    send_picture(&camera, true, 1320);
    assert_int_equal(camera.picture->params->audio.rate, 0);
    assert_int_equal(send_audio(&camera, 1320), -EAGAIN);
    ch_params_unref((struct ch_params *)(uintptr_t)mute);
    unplug(&camera);
}

static void test_params_differ(void **state)
{
    (void)state;
    struct ch_params a = {.width = 640, .codec = "avc1.42E01E"}, b = a;
    assert_true(ch_params_same(&a, &b));
    b.audio = aac_of(44100, 2);
    assert_false(ch_params_same(&a, &b));
    a.audio = aac_of(44100, 2);
    assert_true(ch_params_same(&a, &b));
    a.audio = aac_of(44100, 1);
    assert_false(ch_params_same(&a, &b));
}

// --- when it is heard ------------------------------------------------------------------------------------

// The device's stamps of sound that began `delay_ms` after the pictures: to the nearest millisecond.
static int64_t stamp_of(int64_t frame, uint32_t rate, int64_t delay_ms)
{
    return 3000 + delay_ms + (frame * 1024 * 1000 + rate / 2) / rate;
}

// Five hours: no sample is lost or made up, and sound stays where the device said it was, to the millisecond.
static void no_drift(uint32_t rate, int64_t delay_ms)
{
    enum { PICTURES = 5 * 3600 * 10 };
    struct camera camera;
    plug_in(&camera);
    camera.slice_bytes = 1;
    ch_stream_trust_clock(camera.stream);
    set_audio(&camera, rate);
    send_sets(&camera);
    int64_t sounds = 0, first = 0;
    for (int64_t n = 0; n < PICTURES; n++) {
        camera.now_us += 100000;
        send_picture(&camera, n % 50 == 0, 3000 + n * 100);
        for (; stamp_of(sounds, rate, delay_ms) < 3100 + n * 100; sounds++) {
            int64_t stamp = stamp_of(sounds, rate, delay_ms);
            assert_int_equal(send_bytes(&camera, 1, stamp), 0);
            first = sounds == 0 ? camera.sound->audio_time : first;
            assert_int_equal(camera.sound->audio_time, first + sounds * 1024);
            int64_t apart = camera.sound->pts_ticks - camera.picture->pts_ticks;
            assert_in_range(apart + 900000 - (stamp - 3000 - n * 100) * TICKS_PER_MS, 900000 - 91, 900000 + 91);
        }
        assert_int_equal(camera.picture->pts_ticks, CH_TIMELINE_ORIGIN + n * 9000);
    }
    assert_true(sounds > (int64_t)5 * 3600 * rate / 1024 - 10);
    assert_int_equal(camera.heard, sounds);
    assert_int_equal(camera.jumps + camera.repairs, 0);
    unplug(&camera);
}

static void test_no_drift(void **state)
{
    (void)state;
    no_drift(44100, 0);
    no_drift(44100, 137);
    no_drift(48000, -40);
    no_drift(11025, 0);
}

// Stamps that tremble are smoothed, and a frame that is missing makes no difference yet; several do.
static void test_tolerance(void **state)
{
    (void)state;
    struct camera camera;
    uint32_t noise = 1;
    plug_in(&camera);
    set_audio(&camera, 44100);
    send_sets(&camera);
    send_picture(&camera, true, 3000);
    assert_int_equal(send_audio(&camera, 3000), 0);
    int64_t n = 1;
    for (; n < 200; n++)
        assert_int_equal(send_audio(&camera, stamp_of(n, 44100, (int64_t)dice(&noise, 79) - 39)), 0);
    assert_int_equal(camera.sound->audio_time, 44100 + 199 * 1024);
    n++; // one is missing
    assert_int_equal(send_audio(&camera, stamp_of(n, 44100, 0)), 0);
    assert_int_equal(camera.sound->audio_time, 44100 + (n - 1) * 1024);
    n += 3; // and these two
    assert_int_equal(send_audio(&camera, stamp_of(n, 44100, 0)), 0);
    int64_t exact = 44100 + n * 1024;
    assert_in_range(camera.sound->audio_time, exact - 23, exact + 23); // half a millisecond
    exact = camera.sound->audio_time;
    assert_int_equal(send_audio(&camera, stamp_of(n + 1, 44100, 0)), 0);
    assert_int_equal(camera.sound->audio_time, exact + 1024);
    unplug(&camera);
}

// The device makes samples a little slower or faster than it says: never further off than the tolerance.
static void test_wrong_rate(void **state)
{
    (void)state;
    for (int per_mille = -2; per_mille <= 2; per_mille++) {
        struct camera camera;
        unsigned left_out = 0, off_count = 0;
        plug_in(&camera);
        ch_stream_trust_clock(camera.stream);
        set_audio(&camera, 48000);
        send_sets(&camera);
        for (int64_t n = 0; n < 20000; n++) {
            int64_t stamp = 3000 + n * 1024 * (1000 + per_mille) / 48000;
            if (n % 20 == 0)
                send_picture(&camera, n % 100 == 0, stamp);
            left_out += send_audio(&camera, stamp) < 0;
            int64_t off = camera.sound->audio_time - 48 * (stamp - 2000);
            assert_true(llabs(off) <= 48 * (CH_TIMELINE_SOUND_MS + 22));
            off_count += llabs(off) > 48;
        }
        assert_true(left_out < 50);
        assert_int_equal(off_count > 0, per_mille != 0);
        assert_int_equal(left_out > 0, per_mille < 0);
        unplug(&camera);
    }
}

// The clock jumps, at the pictures first or at the sound: afterwards it is heard when the device says.
static void jump(int64_t by_ms, bool sound_first, bool trusted)
{
    struct camera camera;
    plug_in(&camera);
    if (trusted)
        ch_stream_trust_clock(camera.stream);
    set_audio(&camera, 44100);
    send_sets(&camera);
    int64_t picture_ms = 0, sounds = 0;
    for (int n = 0; n < 400; n++) {
        int64_t jumped = n >= 200 ? by_ms : 0, now = 3000 + n * 40;
        camera.now_us += 40000;
        picture_ms = now + jumped;
        if (!sound_first)
            send_picture(&camera, n % 50 == 0, picture_ms);
        for (int64_t stamp; (stamp = stamp_of(sounds, 44100, 0)) < now + 40; sounds++) {
            uint64_t heard = camera.heard;
            int rc = send_audio(&camera, stamp + jumped);
            if (n >= 1 && n < 199)
                assert_int_equal(rc, 0);
            if (n < 220 || camera.heard == heard)
                continue;
            int64_t apart = camera.sound->pts_ticks - camera.picture->pts_ticks;
            int64_t said = (int64_t)(camera.sound->device_ms - camera.picture->device_ms) * TICKS_PER_MS;
            assert_true(llabs(apart - said) <= 91);
        }
        if (sound_first)
            send_picture(&camera, n % 50 == 0, picture_ms);
    }
    assert_int_equal(camera.jumps, 1);
    assert_true(camera.heard > (uint64_t)sounds - 20); // a few around the jump are lost
    unplug(&camera);
}

static void test_jump(void **state)
{
    (void)state;
    for (int sound_first = 0; sound_first < 2; sound_first++) {
        jump(100000, sound_first, false);
        jump(-100000, sound_first, false);
        jump(100000, sound_first, true);
        jump(-100000, sound_first, true);
        jump(-2500, sound_first, true);
    }
}

// It comes back with a clock from 0, again and again; sound never goes back, and stays with its pictures.
static void test_restarts(void **state)
{
    (void)state;
    struct camera camera;
    plug_in(&camera);
    ch_stream_trust_clock(camera.stream);
    for (int round = 1; round < 20; round++) {
        set_audio(&camera, round % 3 ? 44100 : 48000);
        send_sets(&camera);
        int64_t rate = round % 3 ? 44100 : 48000;
        for (int64_t n = 0; n < 10 * round; n++) {
            send_picture(&camera, n == 0, 40 * n);
            for (int64_t k = n * 40 * rate / 1024000; k < (n + 1) * 40 * rate / 1024000; k++)
                send_audio(&camera, (k * 1024 * 1000 + rate / 2) / rate);
            if (n < 5)
                continue;
            int64_t apart = camera.sound->pts_ticks - camera.picture->pts_ticks;
            int64_t said = (int64_t)(camera.sound->device_ms - camera.picture->device_ms) * TICKS_PER_MS;
            assert_true(llabs(apart - said) <= 91);
        }
        restart(&camera);
        assert_int_equal(send_audio(&camera, 40 * 10 * round), -EAGAIN);
    }
    assert_int_equal(camera.jumps, 18);
    unplug(&camera);
}

// A picture now and then, and sound all the time: the steps are true. Without the sound they would be jumps.
static void test_slides(void **state)
{
    (void)state;
    struct camera camera;
    plug_in(&camera);
    ch_stream_trust_clock(camera.stream);
    set_audio(&camera, 44100);
    send_sets(&camera);
    int64_t sounds = 0;
    for (int64_t now = 3000; now < 500000; now += 25000) {
        send_picture(&camera, true, now);
        assert_int_equal(camera.picture->pts_ticks, CH_TIMELINE_ORIGIN + (now - 3000) * TICKS_PER_MS);
        for (; stamp_of(sounds, 44100, 0) < now + 25000; sounds++)
            assert_int_equal(send_audio(&camera, stamp_of(sounds, 44100, 0)), 0);
        assert_int_equal(camera.sound->audio_time, 44100 + (sounds - 1) * 1024);
    }
    assert_int_equal(camera.jumps, 0);
    send_picture(&camera, true, 700000);
    assert_int_equal(camera.jumps, 1);
    unplug(&camera);
}

// --- among pictures that wait for their turn -------------------------------------------------------------

static const uint32_t b_poc[] = {0, 8, 4, 2, 6, 16, 12, 10, 14}, b_time[] = {0, 4, 2, 1, 3, 8, 6, 5, 7};
#define B_FRAMES (sizeof b_poc / sizeof b_poc[0])

// In the order in which it came, at the time that the device said.
static void b_frames(bool presentation_stamps, int64_t step_ms)
{
    struct camera camera;
    plug_in(&camera);
    camera.recipe = main_profile(3);
    ch_stream_trust_clock(camera.stream);
    set_audio(&camera, 44100);
    send_sets(&camera);
    int64_t sounds = 0;
    for (size_t round = 0; round < 3; round++)
        for (size_t i = 0; i < B_FRAMES; i++) {
            int64_t number = (int64_t)(round * B_FRAMES + i), now = 3000 + number * step_ms;
            int64_t stamp = presentation_stamps ? 3000 + (int64_t)(round * B_FRAMES + b_time[i]) * step_ms : now;
            camera.now_us += step_ms * 1000;
            send_ordered(&camera, i == 0, b_poc[i], stamp);
            for (; stamp_of(sounds, 44100, 0) < now + step_ms; sounds++)
                assert_int_equal(send_audio(&camera, stamp_of(sounds, 44100, 0)), 0);
            if (presentation_stamps && camera.picture && camera.picture->device_ms == (uint64_t)stamp)
                assert_int_equal(camera.picture->pts_ticks, CH_TIMELINE_ORIGIN + (stamp - 3000) * TICKS_PER_MS);
        }
    ch_stream_flush(camera.stream, 0, INT64_MIN);
    assert_int_equal(camera.pictures, 3 * B_FRAMES);
    assert_int_equal(camera.heard, sounds);
    assert_int_equal(camera.sound->audio_time, 44100 + (sounds - 1) * 1024);
    assert_int_equal(camera.jumps + camera.repairs, 0);
    unplug(&camera);
}

static void test_b_frames(void **state)
{
    (void)state;
    b_frames(true, 40);
    b_frames(true, 500); // more sound than is held
    b_frames(false, 40);
}

// Sound that goes on does not keep pictures waiting that wait for the next one.
static void test_pictures_stop(void **state)
{
    (void)state;
    struct camera camera;
    plug_in(&camera);
    camera.recipe = main_profile(3);
    set_audio(&camera, 8000);
    send_sets(&camera);
    send_ordered(&camera, true, 0, 3000);
    assert_int_equal(camera.pictures, 0);
    for (int n = 0; n < 10; n++) {
        camera.now_us += 128000;
        assert_int_equal(send_audio(&camera, 3000 + 128 * n), 0);
        ch_stream_flush(camera.stream, camera.now_us, 1000000);
    }
    assert_int_equal(camera.pictures, 1);
    assert_int_equal(camera.heard, 10);
    unplug(&camera);
}

// --- what the log makes of it ----------------------------------------------------------------------------

static void test_places(void **state)
{
    (void)state;
    struct camera camera;
    plug_in(&camera);
    set_audio(&camera, 48000);
    send_sets(&camera);
    send_picture(&camera, true, 3000); // 1
    assert_int_equal(send_audio(&camera, 3000), 0);
    send_sets(&camera);
    send_picture(&camera, true, 3040); // 4
    assert_int_equal(ch_stream_live_start(camera.stream), 4);
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 3);
    send_sets(&camera);                             // 5
    assert_int_equal(send_audio(&camera, 3021), 0); // of the pictures before
    struct buffer payload = {0};
    put_made(&payload, make_pps(1, camera.recipe.id, false));
    deliver(&camera, &payload, 0);     // 7
    send_picture(&camera, true, 3080); // 8
    assert_int_equal(send_audio(&camera, 3043), 0);
    assert_int_equal(ch_stream_live_start(camera.stream), 8);
    assert_int_equal(ch_stream_session_start(camera.stream, camera.now_us), 8);
    struct ch_frame *sets[CH_STREAM_SETS];
    assert_int_equal(ch_stream_parameter_sets(camera.stream, 8, sets), 2); // one run, sound or not
    assert_int_equal(sets[0]->number, 5);
    assert_int_equal(sets[1]->number, 7);
    ch_frame_unref(sets[0]);
    ch_frame_unref(sets[1]);
    assert_int_equal(ch_stream_newest_key(camera.stream)->number, 8);
    unplug(&camera);
}

// Sound alone can make a GOP too large to be kept, or too old.
static void test_outgrown(void **state)
{
    (void)state;
    for (int old = 0; old < 2; old++) {
        struct camera camera;
        plug_in(&camera);
        ch_cursor_detach(&camera.cursor);
        ch_stream_trust_clock(camera.stream);
        set_audio(&camera, 48000);
        send_sets(&camera);
        send_picture(&camera, true, 3000);
        unsigned sent = 0;
        for (; ch_stream_newest_key(camera.stream) && sent < 10000; sent++) {
            if (sent % 300 == 299) // so that the sound has its picture
                send_picture(&camera, false, stamp_of(sent, 48000, 0));
            camera.now_us += old ? 1000000 : 0;
            assert_int_equal(send_bytes(&camera, CH_AAC_FRAME_MAX, stamp_of(sent, 48000, 0)), 0);
        }
        if (old)
            assert_int_equal(sent, 31);
        else
            assert_in_range(sent, CH_LIMIT_GOP_BYTES / CH_AAC_FRAME_MAX - 10, CH_LIMIT_GOP_BYTES / CH_AAC_FRAME_MAX);
        assert_int_equal(ch_stream_live_start(camera.stream), 2 + sent + sent / 300);
        unplug(&camera);
    }
}

// --- a clock that is trusted -----------------------------------------------------------------------------

// 30 s of pictures within a second, then none for 10 s: segments.
static unsigned bursts(bool trusted, int64_t step_ms)
{
    struct camera camera;
    plug_in(&camera);
    if (trusted)
        ch_stream_trust_clock(camera.stream);
    send_sets(&camera);
    int64_t ms = 3000;
    for (int burst = 0; burst < 5; burst++) {
        for (int n = 0; n < 30000 / step_ms; n++, ms += step_ms) {
            camera.now_us += 33 * step_ms;
            send_picture(&camera, n % 10 == 0, ms);
            if (trusted)
                assert_int_equal(camera.picture->pts_ticks, CH_TIMELINE_ORIGIN + (ms - 3000) * TICKS_PER_MS);
        }
        camera.now_us += 10000000;
    }
    unsigned jumps = camera.jumps;
    unplug(&camera);
    return jumps;
}

static void test_bursts(void **state)
{
    (void)state;
    assert_int_equal(bursts(true, 40), 0);
    assert_int_equal(bursts(true, 3000), 0);
    assert_true(bursts(false, 3000) > 0); // as it must be for a camera of which nothing is known
}

static void test_trusted_steps(void **state)
{
    (void)state;
    static const struct {
        int64_t step_ms, arrival_ms;
        bool jump, untrusted; // and of a clock that is not trusted
    } steps[] = {
        {40, 0, false, false},     {40, 60000, false, false},   {9999, 40, false, true},     {10000, 40, false, true},
        {10001, 40, true, true},   {10001, 10001, true, false}, {-100, 40, false, false},    {-100, 9000, false, true},
        {-2000, 0, false, false},  {-2001, 40, true, true},     {-2001, 600000, true, true}, {500000, 40, true, true},
        {-500000, 40, true, true}, {40, 40, false, false},
    };
    for (size_t i = 0; i < 2 * sizeof steps / sizeof steps[0]; i++) {
        size_t half = sizeof steps / sizeof steps[0], n = i % half;
        bool jump = i < half ? steps[n].jump : steps[n].untrusted;
        struct camera camera;
        plug_in(&camera);
        if (i < half)
            ch_stream_trust_clock(camera.stream);
        send_sets(&camera);
        send_picture(&camera, true, 600000);
        camera.now_us += steps[n].arrival_ms * 1000;
        send_picture(&camera, false, 600000 + steps[n].step_ms);
        assert_int_equal(camera.jumps, jump);
        if (!jump && steps[n].step_ms > 0)
            assert_int_equal(camera.picture->pts_ticks, CH_TIMELINE_ORIGIN + steps[n].step_ms * TICKS_PER_MS);
        int64_t pts = camera.picture->pts_ticks;
        send_picture(&camera, false, 600000 + steps[n].step_ms + 40); // the new base holds
        if (jump)
            assert_int_equal(camera.picture->pts_ticks, pts + 3600);
        unplug(&camera);
    }
}

// A session ends between a picture and a B-frame that is shown before it: this is no new clock. A key frame's would be.
static void test_fence_and_b_frames(void **state)
{
    (void)state;
    struct camera camera;
    plug_in(&camera);
    camera.recipe = main_profile(3);
    ch_stream_trust_clock(camera.stream);
    send_sets(&camera);
    for (size_t round = 0; round < 4; round++)
        for (size_t i = 0; i < B_FRAMES; i++) {
            ch_stream_fence(camera.stream);
            camera.now_us += 40000;
            send_ordered(&camera, i == 0, b_poc[i], 3000 + 40 * (int64_t)(round * B_FRAMES + b_time[i]));
        }
    assert_int_equal(camera.jumps + camera.repairs, 0);
    ch_stream_fence(camera.stream);
    send_ordered(&camera, true, 0, 3000);
    ch_stream_flush(camera.stream, 0, INT64_MIN);
    assert_int_equal(camera.jumps, 1);
    unplug(&camera);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_before_the_first_picture),
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_params_differ),
        cmocka_unit_test(test_no_drift),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_wrong_rate),
        cmocka_unit_test(test_jump),
        cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_slides),
        cmocka_unit_test(test_b_frames),
        cmocka_unit_test(test_pictures_stop),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_outgrown),
        cmocka_unit_test(test_bursts),
        cmocka_unit_test(test_trusted_steps),
        cmocka_unit_test(test_fence_and_b_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
