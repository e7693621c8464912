// ch_source with real ffmpeg children: what is copied and what is encoded, how runs end and what is said of it, and a
// source that is freed at every moment. Programs that stand in for ffmpeg behave as badly as children do. The program
// also plays its own helper, and the one that finds screens. Without ffmpeg the tests that need it are skipped.
#include "unit.h"

#include "base/clock.h"
#include "codec/h264.h"
#include "source/grab.h"
#include "source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[] = "/tmp/test_source.XXXXXX";
static bool has_ffmpeg;

#define NEEDS_FFMPEG()                                                                                                 \
    if (!has_ffmpeg) {                                                                                                 \
        print_message("# there is no ffmpeg here\n");                                                                  \
        skip();                                                                                                        \
    }

struct taker {
    uv_loop_t loop;
    uv_timer_t guard;
    struct ch_source *source;
    unsigned began, ended, changed, freed, free_at_ended;
    unsigned video, keys, audio, video_configs, audio_configs, reordered;
    bool running, expired, pause_now, late; // late: a call behind `freed`
    bool free_in_began, free_in_item, free_in_ended;
    struct ch_aac_config sound;
    struct ch_h264_sps sps;
    int64_t video_ms, audio_ms; // the newest decode times of the run
    int64_t first_us, ahead_ms; // the most that media time was ahead of the clock
};

static void take_freed(void *owner)
{
    struct taker *taker = owner;
    taker->freed++;
}

static void drop_source(struct taker *taker, bool gently)
{
    ch_source_free(taker->source, gently, take_freed);
    assert_int_equal(taker->freed, 0); // never from within the call
}

static void take_began(void *owner)
{
    struct taker *taker = owner;
    taker->late |= taker->freed > 0;
    assert_false(taker->running);
    taker->running = true;
    taker->began++;
    taker->video_ms = taker->audio_ms = INT64_MIN;
    if (taker->free_in_began)
        drop_source(taker, true);
}

static void take_picture(struct taker *taker, const struct ch_flv_item *item)
{
    assert_true(taker->video_configs > 0);
    assert_true(taker->video_ms != INT64_MIN || item->key); // the first of a run
    assert_true(item->decode_ms >= taker->video_ms);
    taker->video_ms = item->decode_ms;
    taker->video++;
    taker->keys += item->key;
    taker->reordered += item->composition_ms != 0;
    int64_t now_us = ch_clock_mono_us();
    if (taker->first_us == 0)
        taker->first_us = now_us;
    int64_t ahead_ms = item->decode_ms - (now_us - taker->first_us) / 1000;
    if (ahead_ms > taker->ahead_ms)
        taker->ahead_ms = ahead_ms;
}

static void take_item(void *owner, const struct ch_flv_item *item, const struct ch_aac_config *audio)
{
    struct taker *taker = owner;
    taker->late |= taker->freed > 0;
    assert_true(taker->running);
    assert_true((item->kind == CH_FLV_AUDIO_CONFIG) == (audio != NULL));
    switch (item->kind) {
    case CH_FLV_VIDEO_CONFIG:
        taker->video_configs++;
        assert_int_equal(ch_h264_parse_sps(item->data + 8, (size_t)(item->data[6] << 8 | item->data[7]), &taker->sps),
                         0);
        break;
    case CH_FLV_AUDIO_CONFIG:
        taker->audio_configs++;
        taker->sound = *audio;
        break;
    case CH_FLV_VIDEO: take_picture(taker, item); break;
    case CH_FLV_AUDIO:
        assert_true(taker->audio_configs > 0);
        assert_true(item->decode_ms >= taker->audio_ms);
        taker->audio_ms = item->decode_ms;
        taker->audio++;
        break;
    case CH_FLV_FOREIGN: fail(); break;
    }
    if (taker->pause_now) {
        taker->pause_now = false;
        ch_source_read(taker->source, false);
    }
    if (taker->free_in_item && taker->video >= 3) {
        taker->free_in_item = false;
        drop_source(taker, false);
    }
}

static void take_ended(void *owner)
{
    struct taker *taker = owner;
    taker->late |= taker->freed > 0;
    assert_true(taker->running);
    taker->running = false;
    taker->ended++;
    if (taker->free_in_ended)
        drop_source(taker, true);
}

static void take_changed(void *owner)
{
    struct taker *taker = owner;
    taker->late |= taker->freed > 0;
    taker->changed++;
}

static const struct ch_source_ops ops = {
    .began = take_began, .item = take_item, .ended = take_ended, .changed = take_changed};

static void guard_expired(uv_timer_t *timer)
{
    struct taker *taker = timer->data;
    taker->expired = true;
    uv_stop(&taker->loop);
}

// A text that can be changed; for a while, as configurations are copied.
static char *text(const char *before, const char *value)
{
    static char texts[8][256];
    static unsigned next;
    char *out = texts[next++ % 8];
    snprintf(out, sizeof texts[0], "%s%s", before, value);
    return out;
}

static struct ch_source_config base(enum ch_source_type type)
{
    return (struct ch_source_config){
        .name = "test",
        .type = type,
        .audio = true,
        .draw_mouse = true,
        .timeout_us = 5000000,
        .encode = {.bitrate = "1M", .framerate = 30, .preset = "ultrafast", .tune = "zerolatency"},
        .process = {.crash_threshold = 1,
                    .crash_window_us = 60000000,
                    .shutdown_timeout_us = 100000,
                    .stall_timeout_us = 60000000},
    };
}

static struct ch_source_config file(const char *name, bool loop)
{
    struct ch_source_config config = base(CH_SOURCE_FILE);
    config.path = text(folder, "/");
    strcat(config.path, name);
    config.loop = loop;
    return config;
}

static struct taker *taker_new(const struct ch_source_config *config, const char *ffmpeg)
{
    struct taker *taker = calloc(1, sizeof *taker);
    assert_non_null(taker);
    assert_int_equal(uv_loop_init(&taker->loop), 0);
    uv_timer_init(&taker->loop, &taker->guard);
    taker->guard.data = taker;
    taker->source = ch_source_new(&taker->loop, config, ffmpeg, &ops, taker);
    assert_non_null(taker->source);
    return taker;
}

static struct ch_source_facts facts_of(const struct taker *taker)
{
    struct ch_source_facts facts;
    ch_source_facts(taker->source, &facts);
    return facts;
}

// At most 60 s.
static void run_until(struct taker *taker, const unsigned *counter, unsigned value)
{
    uv_timer_start(&taker->guard, guard_expired, 60000, 0);
    while (*counter < value && !taker->expired)
        uv_run(&taker->loop, UV_RUN_ONCE);
    uv_timer_stop(&taker->guard);
    if (taker->expired && !taker->freed)
        print_message("# state %s, %u pictures, began %u, error: %s\n", ch_supervisor_state_name(facts_of(taker).state),
                      taker->video, taker->began, facts_of(taker).error);
    assert_false(taker->expired);
}

static void run_until_state(struct taker *taker, enum ch_supervisor_state state)
{
    uv_timer_start(&taker->guard, guard_expired, 60000, 0);
    while (facts_of(taker).state != state && !taker->expired)
        uv_run(&taker->loop, UV_RUN_ONCE);
    uv_timer_stop(&taker->guard);
    if (taker->expired)
        print_message("# state %s, error: %s\n", ch_supervisor_state_name(facts_of(taker).state),
                      facts_of(taker).error);
    assert_false(taker->expired);
}

static void run_for_ms(struct taker *taker, unsigned ms)
{
    uv_timer_start(&taker->guard, guard_expired, ms, 0);
    while (!taker->expired)
        uv_run(&taker->loop, UV_RUN_ONCE);
    taker->expired = false;
}

static void finish(struct taker *taker)
{
    run_until(taker, &taker->freed, 1);
    assert_int_equal(taker->freed, 1);
    assert_false(taker->late);
    uv_close((uv_handle_t *)&taker->guard, NULL);
    uv_run(&taker->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&taker->loop), 0); // no handle is left
    free(taker);
}

static void taker_free(struct taker *taker)
{
    drop_source(taker, true);
    finish(taker);
}

// A program in the folder that is called instead of ffmpeg.
static const char *fake(const char *name, const char *script)
{
    char *path = text(folder, "/");
    strcat(path, name);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fprintf(out, "#!/bin/sh\n%s\n", script);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

// --- what is copied, and what is encoded ------------------------------------------------------------

static void test_a_looped_file_is_copied(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    struct ch_source_config config = file("both.mp4", true);
    struct taker *taker = taker_new(&config, "ffmpeg");
    assert_string_equal(ch_source_description(taker->source), "file both.mp4");
    assert_int_equal(facts_of(taker).state, CH_SUPERVISOR_STOPPED);
    ch_source_set_users(taker->source, 1);
    run_until(taker, &taker->video, 60); // of 25 in the file
    struct ch_source_facts facts = facts_of(taker);
    assert_int_equal(facts.state, CH_SUPERVISOR_RUNNING);
    assert_true(facts.video_copied && facts.audio_copied && facts.has_key && facts.has_audio_config);
    assert_true(facts.pid > 0);
    assert_int_equal(facts.runs, 1);
    assert_int_equal(facts.video_packets, taker->video);
    assert_int_equal(facts.key_frames, taker->keys);
    assert_true(taker->keys >= 4 && taker->audio > 20);
    assert_int_equal(facts.dropped, 0);
    assert_int_equal(taker->sound.rate, 48000);
    assert_int_equal(taker->sps.width, 160);
    assert_true(taker->video_ms > 2200); // the times of the second round go on
    assert_string_equal(facts.error, "");
    ch_source_set_users(taker->source, 0);
    run_until_state(taker, CH_SUPERVISOR_STOPPED);
    assert_int_equal(taker->ended, 1);
    assert_string_equal(facts_of(taker).error, "");
    ch_source_set_users(taker->source, 1); // and once more
    run_until(taker, &taker->began, 2);
    taker_free(taker);
}

static void test_a_file_ends(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    struct ch_source_config config = file("reordered.mp4", false);
    struct taker *taker = taker_new(&config, "ffmpeg");
    ch_source_set_users(taker->source, 1);
    run_until_state(taker, CH_SUPERVISOR_ENDED);
    assert_int_equal(taker->began, 1);
    assert_int_equal(taker->ended, 1);
    assert_int_equal(taker->video, 25);
    assert_true(taker->reordered > 5); // copied with its B-frames
    assert_true(facts_of(taker).video_copied);
    assert_string_equal(facts_of(taker).error, "");
    ch_source_set_users(taker->source, 2); // somebody new
    run_until(taker, &taker->began, 2);
    run_until_state(taker, CH_SUPERVISOR_ENDED);
    taker_free(taker);
}

// One file of each kind: what is copied in the end, after how many runs, and at what size.
static void check_kind(const char *name, bool video_copied, bool audio_copied, unsigned runs, unsigned rate,
                       unsigned width, unsigned height)
{
    struct ch_source_config config = file(name, true);
    struct taker *taker = taker_new(&config, "ffmpeg");
    ch_source_set_users(taker->source, 1);
    run_until(taker, &taker->video, 30);
    struct ch_source_facts facts = facts_of(taker);
    print_message("# %s: %u runs, video %s, audio %s\n", name, (unsigned)facts.runs,
                  facts.video_copied ? "copied" : "encoded", facts.audio_copied ? "copied" : "encoded");
    assert_true(facts.video_copied == video_copied);
    assert_true(facts.audio_copied == audio_copied);
    assert_int_equal(facts.runs, runs);
    assert_int_equal(facts.crashes, 0);
    assert_int_equal(facts.restarts, 0);
    assert_string_equal(facts.error, "");
    if (rate > 0)
        run_until(taker, &taker->audio, 5);
    assert_int_equal(taker->sound.rate, rate);
    assert_int_equal(taker->sps.width, width);
    assert_int_equal(taker->sps.height, height);
    if (!video_copied) {
        assert_int_equal(taker->sps.profile_idc, 66);
        assert_int_equal(taker->reordered, 0);
    }
    // The way is remembered.
    ch_source_set_users(taker->source, 0);
    run_until_state(taker, CH_SUPERVISOR_STOPPED);
    ch_source_set_users(taker->source, 1);
    run_until(taker, &taker->video, taker->video + 1);
    assert_int_equal(facts_of(taker).runs, runs + 1);
    taker_free(taker);
}

static void test_what_does_not_fit_is_encoded(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    check_kind("opus.mkv", true, false, 2, 44100, 160, 120); // FLV takes no Opus: ffmpeg refuses
    check_kind("mp3.mkv", true, false, 2, 44100, 160, 120);  // FLV takes MP3, we do not
    check_kind("mpeg4.mp4", false, true, 2, 48000, 160, 120);
    check_kind("neither.mkv", false, false, 3, 44100, 160, 120);
    check_kind("silent.mp4", true, true, 1, 0, 160, 120);
    check_kind("odd.mkv", false, true, 2, 0, 160, 120); // 161x121
}

static void test_a_region_is_cut_out(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    struct ch_source_config config = file("both.mp4", true);
    config.region = (struct ch_region){.set = true, .x = 16, .y = 8, .width = 64, .height = 48};
    config.audio = false;
    struct taker *taker = taker_new(&config, "ffmpeg");
    ch_source_set_users(taker->source, 1);
    run_until(taker, &taker->video, 40);
    assert_int_equal(taker->sps.width, 64);
    assert_int_equal(taker->sps.height, 48);
    assert_int_equal(taker->audio_configs, 0);
    assert_true(taker->keys >= 2 && taker->keys <= 3); // one per second of time
    assert_int_equal(facts_of(taker).runs, 1);
    taker_free(taker);
}

// Versions of ffmpeg that say it in other words.
static void check_words_of_old(const char *name, const char *said)
{
    char script[512];
    snprintf(script, sizeof script,
             "case \"$*\" in *'-c:a copy'*) printf '%%s\\n' \"%s\" >&2; exit 234;; esac\nexec ffmpeg \"$@\"", said);
    struct ch_source_config config = file("both.mp4", true);
    struct taker *taker = taker_new(&config, fake(name, script));
    ch_source_set_users(taker->source, 1);
    run_until(taker, &taker->video, 3);
    assert_true(facts_of(taker).video_copied && !facts_of(taker).audio_copied);
    assert_int_equal(facts_of(taker).runs, 2);
    taker_free(taker);
}

static void test_refusals_of_other_versions(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    check_words_of_old("v4",
                       "[error] Could not write header for output file #0 (incorrect codec parameters ?): Invalid");
    check_words_of_old("v7",
                       "[out#0/flv @ 0x1] [error] Could not write header (incorrect codec parameters ?): Invalid");
    check_words_of_old("v6", "[flv @ 0x55] [error] Audio codec opus not compatible with flv");
}

static void test_what_looks_live_is_held_back(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    struct ch_source_config config = base(CH_SOURCE_FFMPEG);
    char *args[] = {text("", "-f"), text("", "lavfi"), text("", "-i"), text("", "testsrc2=size=64x48:rate=10"), NULL};
    config.args = args;
    config.audio = false;
    struct taker *taker = taker_new(&config, "ffmpeg");
    assert_string_equal(ch_source_description(taker->source), "ffmpeg testsrc2=size=64x48:rate=10");
    ch_source_set_users(taker->source, 1);
    run_until(taker, &taker->video, 290); // 29 s of media are given at once
    run_for_ms(taker, 2000);
    assert_true(taker->ahead_ms < 60000); // and nothing beyond 30 s, but for what was under way
    assert_int_equal(facts_of(taker).state, CH_SUPERVISOR_RUNNING);
    assert_int_equal(facts_of(taker).runs, 1);
    taker_free(taker);
}

static void test_paused(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    struct ch_source_config config = file("both.mp4", true);
    config.process.stall_timeout_us = 5000000;
    struct taker *taker = taker_new(&config, "ffmpeg");
    ch_source_set_users(taker->source, 1);
    run_until(taker, &taker->video, 3);
    taker->pause_now = true; // from within `item`
    while (taker->pause_now)
        uv_run(&taker->loop, UV_RUN_ONCE);
    unsigned video = taker->video, audio = taker->audio;
    run_for_ms(taker, 6000);
    assert_int_equal(taker->video, video);
    assert_int_equal(taker->audio, audio);
    assert_int_equal(facts_of(taker).state, CH_SUPERVISOR_RUNNING); // no stall
    ch_source_read(taker->source, true);
    run_until(taker, &taker->video, video + 10);
    assert_int_equal(facts_of(taker).runs, 1);
    // Paused, it can be stopped; the next run begins paused.
    ch_source_read(taker->source, false);
    ch_source_set_users(taker->source, 0);
    run_until_state(taker, CH_SUPERVISOR_STOPPED);
    unsigned began = taker->began;
    ch_source_set_users(taker->source, 1);
    run_for_ms(taker, 700);
    assert_int_equal(taker->began, began);
    ch_source_read(taker->source, true);
    run_until(taker, &taker->began, began + 1);
    taker_free(taker);
}

// --- failures ---------------------------------------------------------------------------------------

static void check_failure(const struct ch_source_config *config, const char *ffmpeg, const char *expected)
{
    struct taker *taker = taker_new(config, ffmpeg);
    ch_source_set_users(taker->source, 1);
    run_until_state(taker, CH_SUPERVISOR_GIVEN_UP);
    struct ch_source_facts facts = facts_of(taker);
    print_message("# %s\n", facts.error);
    if (!strstr(facts.error, expected))
        print_message("# expected: %s\n", expected);
    assert_non_null(strstr(facts.error, expected));
    assert_int_equal(facts.crashes, 1);
    assert_int_equal(taker->began, taker->ended);
    ch_source_set_users(taker->source, 2); // somebody new: it is tried again
    run_until_state(taker, CH_SUPERVISOR_STARTING);
    taker_free(taker);
}

static void test_failures_in_words(void **state)
{
    (void)state;
    struct ch_source_config config = file("both.mp4", true);
    check_failure(&config, "no-such-ffmpeg", "there is no program no-such-ffmpeg (FFMPEG_BIN)");
    check_failure(&config, fake("zeros", "exec cat /dev/zero"), "no FLV");
    check_failure(&config, fake("noise", "head -c 1000000 /dev/urandom"), "no FLV");
    check_failure(&config, fake("exit1", "echo 'Invalid data found when processing input' >&2; exit 1"),
                  "Invalid data found when processing input");
    check_failure(&config, fake("crash", "kill -SEGV $$"), "signal 11 (Segmentation fault)");
    check_failure(&config, fake("mute", "exit 3"), "status 3 and said nothing");
    check_failure(&config, fake("zero", "exit 0"), "without a picture");
    check_failure(&config, fake("odd", "echo \"[fatal] Unrecognized option 'flush_packets'.\" >&2; exit 1"),
                  "this ffmpeg is too old");
    // A head and a tag that never ends.
    check_failure(&config,
                  fake("half", "printf 'FLV\\001\\005\\000\\000\\000\\011\\000\\000\\000\\000\\011\\000'; exit 0"),
                  "without a picture");
    struct ch_source_config still = config;
    still.process.stall_timeout_us = 300000;
    check_failure(&still, fake("hang", "exec sleep 1000"), "nothing came from it for 1 s");
    config = file("missing.mp4", true);
    if (has_ffmpeg)
        check_failure(&config, "ffmpeg", "No such file");
    config = file("sound.m4a", true);
    if (has_ffmpeg)
        check_failure(&config, "ffmpeg", "it has no video");
    config = file("both.mp4", true);
    config.region = (struct ch_region){.set = true, .x = 100, .width = 640, .height = 480};
    if (has_ffmpeg)
        check_failure(&config, "ffmpeg", "Invalid too big or non positive size");
}

static void test_what_it_says_keeps_secrets(void **state)
{
    (void)state;
    struct ch_source_config config = base(CH_SOURCE_NETWORK);
    config.url = text("", "rtsp://admin:hunter2hunter@192.0.2.7:554/stream1");
    config.reconnect_delay_us = 1000;
    const char *script =
        "echo \"[error] rtsp://admin:hunter2hunter@192.0.2.7:554/stream1: Connection refused\" >&2; exit 1";
    struct taker *taker = taker_new(&config, fake("secret", script));
    assert_string_equal(ch_source_description(taker->source), "rtsp://***@192.0.2.7:554/stream1");
    ch_source_set_users(taker->source, 1);
    run_until_state(taker, CH_SUPERVISOR_GIVEN_UP);
    struct ch_source_facts facts = facts_of(taker);
    char log[CH_SOURCE_LOG_BYTES];
    assert_true(ch_source_log(taker->source, log, sizeof log) > 0);
    assert_non_null(strstr(facts.error, "Connection refused"));
    assert_null(strstr(facts.error, "hunter2"));
    assert_null(strstr(log, "hunter2"));
    taker_free(taker);
}

static void test_a_network_source_tries_so_often(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    struct ch_source_config config = base(CH_SOURCE_NETWORK);
    config.url = text("", "rtmp://127.0.0.1:1/live/x");
    config.reconnect_delay_us = 200000;
    config.max_reconnect_attempts = 2;
    struct taker *taker = taker_new(&config, "ffmpeg");
    ch_source_set_users(taker->source, 1);
    run_until_state(taker, CH_SUPERVISOR_WAITING);
    assert_true(facts_of(taker).retry_us > 0);
    run_until_state(taker, CH_SUPERVISOR_GIVEN_UP);
    struct ch_source_facts facts = facts_of(taker);
    assert_int_equal(facts.runs, 3);
    assert_int_equal(facts.crashes, 3);
    assert_non_null(strstr(facts.error, "refused"));
    assert_int_equal(taker->began, 0);
    ch_source_set_users(taker->source, 2);
    run_until_state(taker, CH_SUPERVISOR_WAITING); // the count begins anew
    run_until_state(taker, CH_SUPERVISOR_GIVEN_UP);
    assert_int_equal(facts_of(taker).runs, 6);
    taker_free(taker);
}

// A source with pictures in between is not given up, however often it breaks.
static void test_a_picture_begins_the_count_anew(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    struct ch_source_config config = base(CH_SOURCE_NETWORK);
    char script[400];
    snprintf(script, sizeof script, "cat %s/clip.flv; exit 1", folder);
    config.url = text("", "rtmp://127.0.0.1:1/live/x");
    config.reconnect_delay_us = 200000;
    struct taker *taker = taker_new(&config, fake("clip", script));
    ch_source_set_users(taker->source, 1);
    run_until(taker, &taker->ended, 3);
    assert_int_equal(taker->began, 3);
    assert_int_equal(facts_of(taker).state, CH_SUPERVISOR_WAITING);
    taker_free(taker);
}

static void test_pictures_before_a_key_frame_are_dropped(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    // The clip without its first 6 pictures: the next key frame is the 13th.
    char script[1024];
    snprintf(script, sizeof script,
             "exec /usr/bin/python3 -c \"\n"
             "import sys\nd=open('%s/clip.flv','rb').read()\nout=d[:13]\nat=13\nn=0\n"
             "while at<len(d):\n"
             "    size=int.from_bytes(d[at+1:at+4],'big')+15\n"
             "    picture=d[at]==9 and d[at+12]==1\n    n+=picture\n"
             "    out+=b'' if picture and n<=6 else d[at:at+size]\n    at+=size\n"
             "sys.stdout.buffer.write(out)\"",
             folder);
    if (access("/usr/bin/python3", X_OK) != 0)
        skip();
    struct ch_source_config config = file("both.mp4", false);
    struct taker *taker = taker_new(&config, fake("cut", script));
    ch_source_set_users(taker->source, 1);
    run_until_state(taker, CH_SUPERVISOR_ENDED);
    assert_int_equal(facts_of(taker).dropped, 6);
    assert_int_equal(taker->video, 13);
    taker_free(taker);
}

// --- the end ----------------------------------------------------------------------------------------

static void test_freed_at_every_moment(void **state)
{
    (void)state;
    struct ch_source_config config = file("both.mp4", true);
    struct taker *taker = taker_new(&config, "ffmpeg"); // never used
    taker_free(taker);
    taker = taker_new(&config, "ffmpeg"); // at once
    ch_source_set_users(taker->source, 1);
    taker_free(taker);
    taker = taker_new(&config, fake("exit", "exit 1")); // given up
    ch_source_set_users(taker->source, 1);
    run_until_state(taker, CH_SUPERVISOR_GIVEN_UP);
    taker_free(taker);
    struct ch_source_config patient = config;
    patient.process.crash_threshold = 3;
    taker = taker_new(&patient, fake("exit", "exit 1")); // waiting
    ch_source_set_users(taker->source, 1);
    run_until_state(taker, CH_SUPERVISOR_WAITING);
    taker_free(taker);
    taker = taker_new(&config, fake("deaf", "trap '' TERM; echo x >&2; while :; do sleep 1; done")); // a deaf one
    ch_source_set_users(taker->source, 1);
    run_for_ms(taker, 300);
    drop_source(taker, true);
    run_for_ms(taker, 100);
    assert_int_equal(taker->freed, 0);
    ch_source_free(taker->source, false, NULL); // in a hurry
    finish(taker);
}

static void test_freed_from_its_callbacks(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    for (int i = 0; i < 3; i++) {
        struct ch_source_config config = file("both.mp4", i != 2);
        struct taker *taker = taker_new(&config, "ffmpeg");
        taker->free_in_began = i == 0;
        taker->free_in_item = i == 1;
        taker->free_in_ended = i == 2;
        ch_source_set_users(taker->source, 1);
        finish(taker);
    }
}

// --- screens ----------------------------------------------------------------------------------------

// The number of a display of its own, or -1.
static int start_server(pid_t *pid)
{
    int ends[2];
    if (access("/usr/bin/Xvfb", X_OK) != 0 || pipe(ends) < 0)
        return -1;
    *pid = fork();
    assert_true(*pid >= 0);
    if (*pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        char fd[16];
        snprintf(fd, sizeof fd, "%d", ends[1]);
        close(ends[0]);
        execl("/usr/bin/Xvfb", "Xvfb", "-displayfd", fd, "-screen", "0", "321x241x24", "-nolisten", "tcp",
              (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    char text[16] = "";
    size_t used = 0;
    ssize_t n;
    while (used < sizeof text - 1 && !strchr(text, '\n') &&
           (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)n;
    close(ends[0]);
    return used > 0 ? atoi(text) : -1;
}

static void test_a_screen(void **state)
{
    (void)state;
    NEEDS_FFMPEG();
    pid_t pid = -1;
    int number = start_server(&pid);
    if (number < 0) {
        print_message("# there is no Xvfb here\n");
        skip();
    }
    char display[16];
    snprintf(display, sizeof display, ":%d", number);
    struct ch_source_config config = base(CH_SOURCE_SCREEN);
    config.display = display;
    config.audio = false;
    config.encode.framerate = 10;
    struct taker *taker = taker_new(&config, "ffmpeg");
    assert_string_equal(ch_source_description(taker->source), text("screen ", display));
    ch_source_set_users(taker->source, 1);
    run_until(taker, &taker->video, 12);
    assert_int_equal(taker->sps.width, 320); // of 321x241
    assert_int_equal(taker->sps.height, 240);
    assert_true(taker->keys >= 2);
    assert_false(facts_of(taker).video_copied);
    taker_free(taker);

    config.region = (struct ch_region){.set = true, .x = 300, .y = 0, .width = 64, .height = 48};
    check_failure(&config, "ffmpeg", "region 64x48 at 300,0 does not lie inside the screen, which is 321x241");
    config.region.set = false;
    config.display_index = 2;
    check_failure(&config, "ffmpeg", "1 monitor");
    config.display_index = 0;
    check_failure(&config, "no-such-ffmpeg", "there is no program no-such-ffmpeg");
    config.type = CH_SOURCE_WINDOW;
    config.window_title = text("", "Nobody");
    check_failure(&config, "ffmpeg", "no visible window");
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    check_failure(&config, "ffmpeg", "cannot be reached");
}

// --- clips ------------------------------------------------------------------------------------------

static int make(const char *input, const char *options, const char *name)
{
    char command[1024];
    snprintf(command, sizeof command, "ffmpeg -nostdin -v error -y %s -t 1 %s %s/%s </dev/null", input, options, folder,
             name);
    return system(command);
}

static int make_clips(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(folder))
        return -1;
    has_ffmpeg = system("ffmpeg -version >/dev/null 2>&1") == 0;
    if (!has_ffmpeg)
        return 0;
    const char *picture = "-f lavfi -i testsrc2=size=160x120:rate=25";
    const char *odd = "-f lavfi -i testsrc2=size=161x121:rate=25";
    const char *both = "-f lavfi -i testsrc2=size=160x120:rate=25 -f lavfi -i sine=sample_rate=48000";
    const char *sound = "-f lavfi -i sine";
    return make(both, "-c:v libx264 -preset ultrafast -g 12 -bf 0 -pix_fmt yuv420p -c:a aac", "both.mp4") ||
           make(picture, "-c:v libx264 -preset veryfast -g 25 -bf 2 -pix_fmt yuv420p", "reordered.mp4") ||
           make(picture, "-c:v libx264 -preset ultrafast -pix_fmt yuv420p", "silent.mp4") ||
           make(both, "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a libopus", "opus.mkv") ||
           make(both, "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a libmp3lame", "mp3.mkv") ||
           make(both, "-c:v mpeg4 -c:a aac", "mpeg4.mp4") || make(both, "-c:v mpeg4 -c:a libopus", "neither.mkv") ||
           make(odd, "-c:v ffv1", "odd.mkv") || make(sound, "-c:a aac", "sound.m4a") ||
           make(both, "-c:v libx264 -preset ultrafast -g 12 -bf 0 -pix_fmt yuv420p -c:a aac", "clip.flv");
}

static int remove_clips(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], CH_CHILD_HELPER_WORD) == 0)
        _exit(ch_child_exec(argc - 1, argv + 1));
    if (argc > 1 && strcmp(argv[1], CH_GRAB_WORD) == 0)
        _exit(ch_grab(argc - 1, argv + 1));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_looped_file_is_copied),
        cmocka_unit_test(test_a_file_ends),
        cmocka_unit_test(test_what_does_not_fit_is_encoded),
        cmocka_unit_test(test_a_region_is_cut_out),
        cmocka_unit_test(test_refusals_of_other_versions),
        cmocka_unit_test(test_what_looks_live_is_held_back),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_failures_in_words),
        cmocka_unit_test(test_what_it_says_keeps_secrets),
        cmocka_unit_test(test_a_network_source_tries_so_often),
        cmocka_unit_test(test_a_picture_begins_the_count_anew),
        cmocka_unit_test(test_pictures_before_a_key_frame_are_dropped),
        cmocka_unit_test(test_freed_at_every_moment),
        cmocka_unit_test(test_freed_from_its_callbacks),
        cmocka_unit_test(test_a_screen),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make_clips, remove_clips);
}
