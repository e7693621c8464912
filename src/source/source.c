#include "source/source.h"

#include "base/clock.h"
#include "source/complaint.h"
#include "source/redact.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PAUSE_US INT64_C(1000000)
#define SHORTEST_PAUSE_US INT64_C(200000)
#define LONGEST_PAUSE_US INT64_C(60000000)
#define WELL_US INT64_C(10000000)       // of running: what went wrong before is of no more interest
#define NO_VIDEO_US INT64_C(8000000)    // of sound alone
#define NO_PICTURE_US INT64_C(45000000) // likewise, with a video that has been announced: its next key frame may be far
#define LEAD_MS 30000                   // what comes may be ahead of the clock by this
#define JUMP_MS 10000                   // in the times: says nothing of the speed
#define DESCRIPTION_BYTES 200
#define WORDS_BYTES 200 // of ffmpeg's own, in an error

struct run {
    bool began, useless; // delivers; what still comes is not looked at
    bool again;          // is ended to be begun anew in another way
    struct ch_ffmpeg_way way;
    struct ch_flv_reader reader;
    struct ch_aac_config audio;
    bool has_video_config, has_key;
    uint64_t packets, gop_packets;
    int64_t begun_us, sound_us; // monotonic: its start; its first sound
    bool timed;
    int64_t first_us;          // monotonic: the first item
    int64_t media_ms, last_ms; // that have come since, and the newest time
    char failure[CH_SOURCE_ERROR_BYTES];
};

struct ch_source {
    uv_loop_t *loop;
    struct ch_source_config *config;
    char *ffmpeg;
    const struct ch_source_ops *ops;
    void *owner;
    void (*freed)(void *owner);
    struct ch_supervisor supervisor;
    uv_timer_t pace;  // until what is ahead may be read again
    unsigned handles; // that still have to be closed
    bool freeing, reading, ahead;
    unsigned users;
    uint32_t fruitless; // runs of a network source in a row without a picture
    struct ch_ffmpeg_way way;
    char **argv; // of the newest run
    struct ch_redactor redactor;
    struct run run; // the newest
    uint64_t bytes, packets, video_packets, audio_packets, key_frames, configurations, foreign, dropped;
    char error[CH_SOURCE_ERROR_BYTES];
    char description[DESCRIPTION_BYTES];
};

// --- failures ---------------------------------------------------------------------------------------

__attribute__((format(printf, 2, 3))) static void fail(struct ch_source *source, const char *format, ...)
{
    if (source->run.useless)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(source->run.failure, sizeof source->run.failure, format, args);
    va_end(args);
    source->run.useless = true;
    ch_supervisor_fail(&source->supervisor);
}

static void run_again(struct ch_source *source)
{
    source->run.again = source->run.useless = true;
    ch_supervisor_fail(&source->supervisor);
}

// A codec that is none of ours: it is encoded next time.
static void refuse(struct ch_source *source, enum ch_copy what, const char *words)
{
    if (source->run.useless)
        return;
    if (source->run.way.copy & what) {
        source->way.copy = (enum ch_copy)(source->way.copy & ~(unsigned)what);
        run_again(source);
    } else {
        fail(source, "ffmpeg sends %s, though it was told to encode", words);
    }
}

// --- reading or not ---------------------------------------------------------------------------------

static void apply_reading(struct ch_source *source)
{
    if (source->reading && !source->ahead)
        ch_child_resume(&source->supervisor.child);
    else
        ch_child_pause(&source->supervisor.child);
}

// Milliseconds by which what has come is ahead of what may have. The clock is taken to be one in a hundred fast, as
// clocks of cameras are not exact, and what is live must never be held back.
static int64_t too_far_ms(const struct run *run)
{
    int64_t wall_ms = (ch_clock_mono_us() - run->first_us) / 1000;
    return run->media_ms - wall_ms - wall_ms / 100 - LEAD_MS;
}

static void on_pace(uv_timer_t *timer)
{
    struct ch_source *source = timer->data;
    source->ahead = false;
    apply_reading(source);
}

static void pace(struct ch_source *source, const struct ch_flv_item *item)
{
    struct run *run = &source->run;
    int64_t step_ms = item->decode_ms - run->last_ms;
    if (!run->timed)
        run->first_us = ch_clock_mono_us();
    else if (step_ms > -JUMP_MS && step_ms < JUMP_MS)
        run->media_ms += step_ms;
    run->timed = true;
    run->last_ms = item->decode_ms;
    int64_t too_far = source->ahead ? 0 : too_far_ms(run);
    if (too_far <= 0)
        return;
    source->ahead = true;
    uv_timer_start(&source->pace, on_pace, (uint64_t)too_far + 500, 0);
    apply_reading(source);
}

// --- what comes -------------------------------------------------------------------------------------

// Something of use has come.
static void note_progress(struct ch_source *source)
{
    struct run *run = &source->run;
    source->packets++;
    run->packets++;
    if (!run->began) {
        run->began = true;
        source->ops->began(source->owner);
    }
    if (!source->freeing)
        ch_supervisor_progress(&source->supervisor);
    if (source->freeing || !source->error[0] || !run->has_key || ch_clock_mono_us() - run->begun_us < WELL_US)
        return;
    source->error[0] = '\0';
    source->ops->changed(source->owner);
}

static void deliver(struct ch_source *source, const struct ch_flv_item *item)
{
    note_progress(source);
    if (!source->freeing)
        source->ops->item(source->owner, item, item->kind == CH_FLV_AUDIO_CONFIG ? &source->run.audio : NULL);
}

static void take_video(struct ch_source *source, const struct ch_flv_item *item)
{
    struct run *run = &source->run;
    if (!run->has_video_config || (!run->has_key && !item->key)) {
        source->dropped++;
        ch_supervisor_progress(&source->supervisor);
        return;
    }
    run->has_key = true;
    source->fruitless = 0;
    source->video_packets++;
    source->key_frames += item->key;
    run->gop_packets = item->key ? 1 : run->gop_packets + 1;
    deliver(source, item);
}

static void take_audio_config(struct ch_source *source, const struct ch_flv_item *item)
{
    struct run *run = &source->run;
    if (ch_aac_parse(item->data, item->size, &run->audio) < 0) {
        run->audio = (struct ch_aac_config){0};
        source->foreign++;
        refuse(source, CH_COPY_AUDIO, "AAC of an unknown kind");
        return;
    }
    source->configurations++;
    deliver(source, item);
}

static void take_audio(struct ch_source *source, const struct ch_flv_item *item)
{
    struct run *run = &source->run;
    if (run->audio.rate == 0)
        return;
    int64_t now_us = ch_clock_mono_us();
    if (run->sound_us == 0)
        run->sound_us = now_us;
    if (!run->has_key && now_us - run->sound_us > (run->has_video_config ? NO_PICTURE_US : NO_VIDEO_US)) {
        fail(source, "it has no video: only sound comes");
        return;
    }
    source->audio_packets++;
    deliver(source, item);
}

static void take(struct ch_source *source, const struct ch_flv_item *item)
{
    switch (item->kind) {
    case CH_FLV_VIDEO_CONFIG:
        source->run.has_video_config = true;
        source->configurations++;
        deliver(source, item);
        break;
    case CH_FLV_VIDEO: take_video(source, item); break;
    case CH_FLV_AUDIO_CONFIG: take_audio_config(source, item); break;
    case CH_FLV_AUDIO: take_audio(source, item); break;
    case CH_FLV_FOREIGN:
        source->foreign++;
        refuse(source, strncmp(item->foreign, "audio", 5) == 0 ? CH_COPY_AUDIO : CH_COPY_VIDEO, item->foreign);
        break;
    }
    if (!source->freeing && !source->run.useless && (item->kind == CH_FLV_VIDEO || item->kind == CH_FLV_AUDIO))
        pace(source, item);
}

static void on_output(void *owner, const uint8_t *data, size_t size)
{
    struct ch_source *source = owner;
    struct run *run = &source->run;
    struct ch_flv_item item;
    int rc = 0;
    source->bytes += size;
    if (run->useless)
        return;
    uint64_t number = source->supervisor.runs;
    if (ch_flv_reader_add(&run->reader, data, size) < 0) {
        fail(source, "there is not enough memory");
        return;
    }
    while (!source->freeing && !run->useless && source->supervisor.runs == number &&
           (rc = ch_flv_reader_next(&run->reader, &item)) > 0)
        take(source, &item);
    if (rc < 0 && !source->freeing)
        fail(source, rc == -EMSGSIZE ? "ffmpeg sends a picture that is far too large" : "what ffmpeg sends is no FLV");
}

// --- runs -------------------------------------------------------------------------------------------

static int on_prepare(void *owner, struct ch_child_options *options)
{
    struct ch_source *source = owner;
    ch_flv_reader_clear(&source->run.reader);
    source->run = (struct run){.way = source->way, .begun_us = ch_clock_mono_us()};
    source->ahead = false;
    uv_timer_stop(&source->pace);
    free(source->argv);
    source->argv = ch_ffmpeg_source_args(source->ffmpeg, source->config, &source->way);
    if (!source->argv)
        return -ENOMEM;
    const struct ch_source_process *process = &source->config->process;
    options->argv = (const char *const *)source->argv;
    options->helper = CH_CHILD_HELPER;
    options->nice = process->nice;
    options->address_space_bytes = process->memory_bytes;
    return 0;
}

static void on_started(void *owner)
{
    apply_reading(owner); // not, perhaps
}

// Words for how it ended, if ffmpeg has none.
static void describe_end(const struct ch_source *source, const struct ch_child_exit *how, char *out, size_t room)
{
    char lines[CH_SOURCE_LOG_BYTES], words[WORDS_BYTES];
    const struct ch_supervisor *supervisor = &source->supervisor;
    ch_source_log(source, lines, sizeof lines);
    ch_complaint_words(lines, source->config->type, words, sizeof words);
    const char *colon = words[0] ? ": " : "";
    if (supervisor->stalled)
        snprintf(out, room, "%s came from it for %" PRId64 " s%s%s", source->run.packets ? "nothing more" : "nothing",
                 (supervisor->policy.stall_us + CH_US_PER_S - 1) / CH_US_PER_S, colon, words);
    else if (how->signal)
        snprintf(out, room, "ffmpeg was ended by signal %d (%.40s)%s%s", how->signal, strsignal(how->signal), colon,
                 words);
    else if (how->status == 127)
        snprintf(out, room, "there is no program %.200s (FFMPEG_BIN)", source->ffmpeg);
    else if (words[0])
        snprintf(out, room, "%s", words);
    else if (how->status == 0)
        snprintf(out, room, "%s", source->run.has_key ? "it has ended" : "it ended without a picture");
    else
        snprintf(out, room, "ffmpeg ended with status %d and said nothing", how->status);
}

static void set_error(struct ch_source *source, const struct ch_child_exit *how)
{
    char text[CH_SOURCE_ERROR_BYTES];
    if (source->run.failure[0])
        snprintf(text, sizeof text, "%s", source->run.failure);
    else
        describe_end(source, how, text, sizeof text);
    memcpy(source->error, text, sizeof text);
}

static enum ch_run_end judge(struct ch_source *source, const struct ch_child_exit *how)
{
    const struct ch_source_config *config = source->config;
    struct run *run = &source->run;
    if (run->again)
        return CH_RUN_AGAIN;
    if (!run->useless && !source->supervisor.stalled && how->signal == 0) {
        char lines[CH_SOURCE_LOG_BYTES];
        bool network = config->type == CH_SOURCE_NETWORK;
        if (config->type == CH_SOURCE_FILE && !config->loop && how->status == 0 && run->has_key)
            return CH_RUN_ENDED;
        ch_source_log(source, lines, sizeof lines);
        if (how->status != 127 && ch_complaint_remedy(lines, run->packets == 0, network, &source->way))
            return CH_RUN_AGAIN;
    }
    set_error(source, how);
    if (config->type != CH_SOURCE_NETWORK || run->has_key || ++source->fruitless <= config->max_reconnect_attempts)
        return CH_RUN_CRASHED;
    return CH_RUN_HOPELESS;
}

static enum ch_run_end on_ended(void *owner, const struct ch_child_exit *how)
{
    struct ch_source *source = owner;
    enum ch_run_end verdict = source->supervisor.told ? CH_RUN_CRASHED : judge(source, how);
    uv_timer_stop(&source->pace);
    source->ahead = false;
    bool began = source->run.began;
    source->run.began = false;
    ch_flv_reader_clear(&source->run.reader);
    if (began)
        source->ops->ended(source->owner);
    return verdict;
}

static void on_changed(void *owner)
{
    struct ch_source *source = owner;
    source->ops->changed(source->owner);
}

static const struct ch_supervisor_ops supervisor_ops = {
    .prepare = on_prepare,
    .started = on_started,
    .output = on_output,
    .ended = on_ended,
    .changed = on_changed,
};

// --- what it is -------------------------------------------------------------------------------------

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

// What follows the last "-i".
static const char *input_of(char *const *args)
{
    const char *input = "";
    for (; *args && args[1]; args++)
        if (strcmp(*args, "-i") == 0)
            input = args[1];
    return input;
}

static int describe(struct ch_source *source)
{
    const struct ch_source_config *config = source->config;
    char *out = source->description;
    const size_t room = sizeof source->description;
    const char *display = config->display ? config->display : getenv("DISPLAY");
    display = display && display[0] ? display : NULL;
    char *url = NULL;
    switch (config->type) {
    case CH_SOURCE_SCREEN:
        snprintf(out, room, config->display_index ? "screen %s, monitor %" PRIu32 : "screen %s",
                 display ? display : "without DISPLAY", config->display_index);
        break;
    case CH_SOURCE_WINDOW: snprintf(out, room, "window \"%s\"", config->window_title); break;
    case CH_SOURCE_DEVICE: snprintf(out, room, "%s", config->device); break;
    case CH_SOURCE_FILE: snprintf(out, room, "file %s", base_name(config->path)); break;
    case CH_SOURCE_NETWORK:
    case CH_SOURCE_FFMPEG:
        url = ch_redact_url(config->type == CH_SOURCE_NETWORK ? config->url : input_of(config->args));
        if (!url)
            return -ENOMEM;
        snprintf(out, room, "%s%s", config->type == CH_SOURCE_NETWORK ? "" : "ffmpeg ", url);
        if (config->type == CH_SOURCE_FFMPEG)
            ch_redactor_apply(&source->redactor, out, room);
        break;
    }
    free(url);
    return 0;
}

static int add_secrets(struct ch_source *source)
{
    const struct ch_source_config *config = source->config;
    int rc = config->url ? ch_redactor_add(&source->redactor, config->url) : 0;
    if (rc == 0 && config->args)
        rc = ch_redactor_add_args(&source->redactor, (const char *const *)config->args);
    if (rc == 0 && config->audio_args)
        rc = ch_redactor_add_args(&source->redactor, (const char *const *)config->audio_args);
    return rc;
}

const struct ch_source_config *ch_source_config_of(const struct ch_source *source)
{
    return source->config;
}

const char *ch_source_description(const struct ch_source *source)
{
    return source->description;
}

size_t ch_source_log(const struct ch_source *source, char *out, size_t room)
{
    return ch_child_said(&source->supervisor.child, &source->redactor, CH_CHILD_ERROR_LINES, out, room);
}

void ch_source_facts(const struct ch_source *source, struct ch_source_facts *out)
{
    const struct ch_supervisor *supervisor = &source->supervisor;
    const struct run *run = &source->run;
    *out = (struct ch_source_facts){
        .state = supervisor->state,
        .since_us = supervisor->since_us,
        .retry_us = ch_supervisor_wait_us(supervisor),
        .pid = ch_child_pid(&supervisor->child),
        .runs = supervisor->runs,
        .restarts = supervisor->restarts,
        .crashes = supervisor->crashes,
        .recent_crashes = ch_supervisor_recent_crashes(supervisor),
        .bytes = source->bytes,
        .packets = source->packets,
        .video_packets = source->video_packets,
        .audio_packets = source->audio_packets,
        .key_frames = source->key_frames,
        .configurations = source->configurations,
        .foreign = source->foreign,
        .dropped = source->dropped,
        .run_packets = run->packets,
        .run_gop_packets = run->gop_packets,
        .video_copied = run->way.copy & CH_COPY_VIDEO,
        .audio_copied = source->config->audio && (run->way.copy & CH_COPY_AUDIO),
        .has_video_config = run->has_video_config,
        .has_audio_config = run->audio.rate > 0,
        .has_key = run->has_key,
    };
    memcpy(out->error, source->error, sizeof out->error);
}

// --- life -------------------------------------------------------------------------------------------

static struct ch_supervisor_policy policy_of(const struct ch_source_config *config)
{
    bool network = config->type == CH_SOURCE_NETWORK;
    int64_t first_us = network ? config->reconnect_delay_us : FIRST_PAUSE_US;
    if (first_us < SHORTEST_PAUSE_US)
        first_us = SHORTEST_PAUSE_US;
    return (struct ch_supervisor_policy){
        .crash_threshold = network ? CH_SUPERVISOR_CRASHES : config->process.crash_threshold,
        .crash_window_us = config->process.crash_window_us,
        .linger_us = config->process.shutdown_timeout_us,
        .stall_us = config->process.stall_timeout_us,
        .first_pause_us = first_us,
        .longest_pause_us = first_us > LONGEST_PAUSE_US ? first_us : LONGEST_PAUSE_US,
    };
}

static void release(struct ch_source *source)
{
    ch_flv_reader_clear(&source->run.reader);
    ch_redactor_free(&source->redactor);
    ch_source_config_free(source->config);
    free(source->argv);
    free(source->ffmpeg);
    free(source);
}

struct ch_source *ch_source_new(uv_loop_t *loop, const struct ch_source_config *config, const char *ffmpeg,
                                const struct ch_source_ops *ops, void *owner)
{
    struct ch_source *source = calloc(1, sizeof *source);
    if (!source)
        return NULL;
    *source = (struct ch_source){.loop = loop, .ops = ops, .owner = owner, .reading = true};
    source->config = ch_source_config_copy(config);
    source->ffmpeg = strdup(ffmpeg);
    if (!source->config || !source->ffmpeg || add_secrets(source) < 0 || describe(source) < 0) {
        release(source);
        return NULL;
    }
    source->way.copy = ch_ffmpeg_first_copy(source->config);
    struct ch_supervisor_policy policy = policy_of(source->config);
    if (ch_supervisor_init(&source->supervisor, loop, &policy, &supervisor_ops, source) < 0) {
        release(source);
        return NULL;
    }
    uv_timer_init(loop, &source->pace);
    source->pace.data = source;
    return source;
}

void ch_source_set_users(struct ch_source *source, unsigned users)
{
    if (source->freeing)
        return;
    if (users > source->users)
        source->fruitless = 0;
    source->users = users;
    ch_supervisor_set_users(&source->supervisor, users);
}

void ch_source_read(struct ch_source *source, bool on)
{
    if (source->freeing || source->reading == on)
        return;
    source->reading = on;
    apply_reading(source);
}

static void one_closed(struct ch_source *source)
{
    if (--source->handles > 0)
        return;
    void (*freed)(void *owner) = source->freed;
    void *owner = source->owner;
    release(source);
    if (freed)
        freed(owner);
}

static void on_supervisor_closed(struct ch_supervisor *supervisor)
{
    one_closed(supervisor->owner);
}

static void on_pace_closed(uv_handle_t *handle)
{
    one_closed(handle->data);
}

void ch_source_free(struct ch_source *source, bool gently, void (*freed)(void *owner))
{
    if (!source->freeing) {
        source->freeing = true;
        source->freed = freed;
        source->handles = 2;
        uv_close((uv_handle_t *)&source->pace, on_pace_closed);
    }
    ch_supervisor_close(&source->supervisor, gently, on_supervisor_closed);
}
