#include "cli/film_encoder.h"

#include "base/limits.h"
#include "codec/mkv.h"
#include "codec/mp4.h"
#include "source/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WAITING_BYTES ((size_t)1 << 20) // in the pipe's queue
#define WATCH_MS 1000u
#define ADDRESS_SPACE_BYTES (UINT64_C(4) << 30)
#define OPEN_FILES 256
#define FILTER_BYTES 512

struct encoder {
    // Handles first; all of them are closed when the loop's run is over.
    struct ch_child child;
    uv_timer_t watch;
    uv_signal_t signals[2];
    uv_loop_t loop;
    const struct ch_film_plan *plan;
    struct ch_jpeg_reader *reader;
    const char *out;
    int64_t last_ticks; // of the newest picture handed over; below 0: none
    int error;          // of ours
    bool stalled, cancelled;
    size_t seen_unwritten; // what the watch saw last
    int64_t seen_bytes;
    int64_t still_us;
    struct ch_child_exit how;
};

// --- pictures in ---

static int64_t to_us(int64_t ticks)
{
    return (ticks * 100 + 4) / 9; // to the nearest: 9 ticks are 100 us
}

static int write_head(struct encoder *encoder)
{
    const struct ch_film_plan *plan = encoder->plan;
    int64_t step_us = to_us(plan->step_ticks);
    uint8_t head[512];
    size_t bytes = ch_mkv_write_head(plan->width, plan->height, step_us, head, sizeof head);
    return bytes > sizeof head ? -ENOBUFS : ch_child_write(&encoder->child, head, bytes);
}

// 1 if it was handed over, 0 if there is none left, or an error.
static int write_next(struct encoder *encoder)
{
    struct ch_record record;
    int rc = ch_jpeg_reader_next(encoder->reader, &record);
    if (rc <= 0)
        return rc;
    int64_t ticks = record.pts_ticks - encoder->plan->base_ticks;
    const uint8_t *jpeg;
    rc = ticks > encoder->last_ticks ? ch_jpeg_reader_read(encoder->reader, &jpeg) : -ENODATA;
    if (rc == -ENODATA)
        return 1; // a picture that is lost, or has no time of its own
    if (rc < 0 && rc != -EBADMSG)
        return rc;
    encoder->last_ticks = ticks;
    uint8_t head[CH_MKV_BLOCK_HEAD_BYTES];
    ch_mkv_write_block_head(to_us(ticks), record.payload_bytes, head);
    rc = ch_child_write(&encoder->child, head, sizeof head);
    if (rc == 0)
        rc = ch_child_write(&encoder->child, jpeg, record.payload_bytes);
    return rc < 0 ? rc : 1;
}

static void feed(struct encoder *encoder)
{
    int rc = 1;
    while (rc > 0 && ch_child_unwritten(&encoder->child) < WAITING_BYTES)
        rc = write_next(encoder);
    if (rc == 0) {
        ch_child_end_input(&encoder->child);
    } else if (rc < 0 && rc != -EPIPE) { // without a reader it ends by itself, and says why
        encoder->error = rc;
        ch_child_stop(&encoder->child);
    }
}

static void on_fed(void *context)
{
    struct encoder *encoder = context;
    if (!encoder->error && !encoder->cancelled)
        feed(encoder);
}

// --- its end ---

static void on_closed(struct ch_child *child)
{
    (void)child;
}

static void close_all(struct encoder *encoder)
{
    uv_close((uv_handle_t *)&encoder->watch, NULL);
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&encoder->signals[i], NULL);
    ch_child_close(&encoder->child, on_closed);
}

static void on_exited(void *context, const struct ch_child_exit *how)
{
    struct encoder *encoder = context;
    encoder->how = *how;
    close_all(encoder);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct encoder *encoder = handle->data;
    encoder->cancelled = true;
    ch_child_stop(&encoder->child);
}

// It may take as long as it needs, but it must not stand still.
static void on_watch(uv_timer_t *timer)
{
    struct encoder *encoder = timer->data;
    struct stat st;
    size_t unwritten = ch_child_unwritten(&encoder->child);
    int64_t bytes = stat(encoder->out, &st) == 0 ? (int64_t)st.st_size : 0;
    bool moved = unwritten != encoder->seen_unwritten || bytes != encoder->seen_bytes;
    encoder->still_us = moved ? 0 : encoder->still_us + INT64_C(1000) * WATCH_MS;
    encoder->seen_unwritten = unwritten;
    encoder->seen_bytes = bytes;
    if (encoder->still_us < CH_LIMIT_FILM_STILL_US || encoder->stalled)
        return;
    encoder->stalled = true;
    ch_child_stop(&encoder->child);
}

static const struct ch_child_events events = {.fed = on_fed, .exited = on_exited};

// --- the child ---

static uint32_t even(uint32_t value)
{
    return value + value % 2;
}

// Pictures of the first one's size stay pixel for pixel; others are fitted into it. JPEG is of full range and BT.601
// (JFIF), video of limited range; the matrix stays, and is named in the stream.
static void make_filter(const struct ch_film_plan *plan, char out[FILTER_BYTES])
{
    snprintf(out, FILTER_BYTES,
             "scale=w=%u:h=%u:force_original_aspect_ratio=decrease:in_range=full:out_range=tv:"
             "in_color_matrix=bt601:out_color_matrix=bt601,format=yuv420p,pad=%u:%u:(ow-iw)/2:(oh-ih)/2,setsar=1",
             plan->width, plan->height, even(plan->width), even(plan->height));
}

static int start(struct encoder *encoder, const struct ch_film_options *film)
{
    char filter[FILTER_BYTES], out[4200];
    make_filter(encoder->plan, filter);
    snprintf(out, sizeof out, "file:%s", encoder->out); // whatever characters its name has
    // A key frame where the last one is 1.5 s ago: no more than 2 s apart down to two pictures a second. No B-frames,
    // so that pictures need no times but their own.
    // clang-format off
    const char *argv[] = {
        film->ffmpeg, "-nostdin", "-v", "error", "-y", "-max_error_rate", "1", "-filter_threads", "1",
        "-threads", "1", "-f", "matroska", "-i", "pipe:0", "-an", "-vf", filter,
        "-fps_mode", "passthrough", "-enc_time_base", "1/90000",
        "-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-bf", "0", "-pix_fmt", "yuv420p",
        "-force_key_frames", "expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+1.5))",
        "-color_range", "tv", "-colorspace", "smpte170m", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1",
        "-video_track_timescale", "90000", "-movie_timescale", "90000", "-f", "mp4", out, NULL};
    // clang-format on
    const struct ch_child_options options = {
        .argv = argv,
        .helper = film->helper,
        .nice = CH_CHILD_NICE,
        .address_space_bytes = ADDRESS_SPACE_BYTES,
        .open_files = OPEN_FILES,
        .feed = true,
    };
    return ch_child_start(&encoder->child, &options);
}

// What is on it cannot fail: it only takes memory that is there.
static int init_handles(struct encoder *encoder)
{
    static const int numbers[2] = {SIGTERM, SIGINT};
    int rc = uv_timer_init(&encoder->loop, &encoder->watch);
    encoder->watch.data = encoder;
    for (size_t i = 0; i < 2 && rc == 0; i++) {
        rc = uv_signal_init(&encoder->loop, &encoder->signals[i]);
        encoder->signals[i].data = encoder;
        if (rc == 0)
            rc = uv_signal_start(&encoder->signals[i], on_signal, numbers[i]);
    }
    return rc == 0 ? uv_timer_start(&encoder->watch, on_watch, WATCH_MS, WATCH_MS) : rc;
}

static int run(struct encoder *encoder, const struct ch_film_options *options)
{
    int rc = ch_child_init(&encoder->child, &encoder->loop, &events, encoder);
    if (rc < 0)
        return rc;
    rc = init_handles(encoder);
    if (rc == 0)
        rc = start(encoder, options);
    if (rc < 0) {
        close_all(encoder);
    } else if (write_head(encoder) == 0) {
        feed(encoder);
    }
    uv_run(&encoder->loop, UV_RUN_DEFAULT);
    return rc;
}

// --- what came of it ---

static int say(char reason[CH_FILM_REASON_BYTES], int error, const char *text)
{
    snprintf(reason, CH_FILM_REASON_BYTES, "%s", text);
    return error;
}

static int outcome(struct encoder *encoder, const struct ch_film_options *options, char reason[CH_FILM_REASON_BYTES])
{
    const struct ch_child_exit *how = &encoder->how;
    if (encoder->cancelled)
        return say(reason, -ECANCELED, "stopped");
    if (encoder->error)
        return say(reason, encoder->error,
                   encoder->error == -EBADMSG ? "frames.idx is broken" : strerror(-encoder->error));
    if (how->status == 127 && how->signal == 0) {
        snprintf(reason, CH_FILM_REASON_BYTES, "there is no program %s (install ffmpeg, or name it in FFMPEG_BIN)",
                 options->ffmpeg);
        return -ENOENT;
    }
    if (how->status == 0 && how->signal == 0 && !how->stopped)
        return 0;
    char last[160] = "";
    ch_child_last_error(&encoder->child, last, sizeof last);
    snprintf(reason, CH_FILM_REASON_BYTES, "%.60s %s%s%s", options->ffmpeg,
             encoder->stalled ? "stood still"
             : how->signal    ? "crashed"
                              : "failed",
             last[0] ? ": " : "", last);
    return encoder->stalled ? -ETIMEDOUT : -EIO;
}

int ch_film_encode(const struct ch_film_plan *plan, struct ch_jpeg_reader *reader,
                   const struct ch_film_options *options, const char *out, char reason[CH_FILM_REASON_BYTES])
{
    struct encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder)
        return say(reason, -ENOMEM, strerror(ENOMEM));
    encoder->plan = plan;
    encoder->reader = reader;
    encoder->out = out;
    encoder->last_ticks = -1;
    signal(SIGPIPE, SIG_IGN);
    int rc = uv_loop_init(&encoder->loop);
    if (rc == 0) {
        rc = run(encoder, options);
        uv_loop_close(&encoder->loop);
    }
    rc = rc < 0 ? say(reason, rc, strerror(-rc)) : outcome(encoder, options, reason);
    free(encoder);
    return rc;
}
