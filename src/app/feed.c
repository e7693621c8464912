#include "app/feed.h"

#include "app/events.h"
#include "app/json_out.h"
#include "app/output.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "proto/camera_h264.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOUCH_US INT64_C(10000000)
#define ANEW_US INT64_C(60000000) // after it was given up, where no viewer may ever come

struct ch_feed {
    struct ch_hub *hub;
    struct ch_feed *next;
    struct ch_source *source;
    struct ch_camera *camera;      // NULL: taken away
    bool record;                   // wanted, by command or by the configuration
    bool running;                  // delivers: between `began` and `ended`
    uint32_t sequence;             // of the next message
    int64_t touched_us;            // somebody wanted a picture, monotonic; 0: that is long ago
    enum ch_supervisor_state said; // the state that the log was told of
};

struct ch_feed *ch_feed_find(struct ch_hub *hub, const char *name)
{
    struct ch_feed *feed = hub->feeds;
    while (feed && strcmp(ch_feed_config(feed)->name, name) != 0)
        feed = feed->next;
    return feed;
}

struct ch_feed *ch_feed_next(const struct ch_feed *feed)
{
    return feed->next;
}

const struct ch_source_config *ch_feed_config(const struct ch_feed *feed)
{
    return ch_source_config_of(feed->source);
}

void ch_feed_facts(const struct ch_feed *feed, struct ch_source_facts *out)
{
    ch_source_facts(feed->source, out);
}

// --- who needs it ---

static unsigned users_of(const struct ch_feed *feed)
{
    return feed->camera->viewer_count + ch_outputs_of(feed->camera) + feed->record + (feed->touched_us > 0);
}

static void count_users(struct ch_feed *feed)
{
    if (feed->camera && !feed->hub->stopping)
        ch_source_set_users(feed->source, users_of(feed));
}

// Somebody asks for it anew: what was given up is tried again.
static void knock(struct ch_feed *feed)
{
    if (feed->hub->stopping)
        return;
    ch_source_set_users(feed->source, users_of(feed) + 1);
    ch_source_set_users(feed->source, users_of(feed));
}

void ch_feed_touch(struct ch_feed *feed)
{
    feed->touched_us = ch_clock_mono_us();
    count_users(feed);
}

// What is recorded or pushed on has nobody who comes and asks for it.
static void try_anew(struct ch_feed *feed)
{
    struct ch_source_facts facts;
    if (!feed->camera || !(feed->record || ch_outputs_of(feed->camera) > 0))
        return;
    ch_source_facts(feed->source, &facts);
    if (facts.state == CH_SUPERVISOR_GIVEN_UP && ch_clock_wall_us() - facts.since_us > ANEW_US)
        knock(feed);
}

void ch_feeds_housekeep(struct ch_hub *hub, int64_t now_us)
{
    for (struct ch_feed *feed = hub->feeds; feed; feed = feed->next) {
        if (feed->touched_us > 0 && now_us - feed->touched_us > TOUCH_US)
            feed->touched_us = 0;
        count_users(feed);
        try_anew(feed);
    }
}

// --- what it delivers ---

// A message of the wire protocol, as a phone sends it, with room for so many bytes of Annex B. NULL without memory.
static struct ch_frame *new_message(struct ch_feed *feed, int64_t ms, size_t payload_bytes)
{
    struct ch_frame *frame = ch_frame_new(CH_CAMERA_HEADER_BYTES + payload_bytes);
    if (!frame)
        return NULL;
    struct ch_camera_header header = {
        .device_ms = ms > 0 ? (uint64_t)ms : 0,
        .sequence = feed->sequence++,
        .payload_bytes = (uint32_t)payload_bytes,
    };
    ch_camera_write_header(&header, frame->message);
    return frame;
}

static void append(struct ch_feed *feed, struct ch_frame *frame, size_t payload_bytes)
{
    uint32_t declared;
    int rc = ch_stream_append(feed->camera->stream, &frame, CH_CAMERA_HEADER_BYTES + payload_bytes, ch_clock_wall_us(),
                              ch_clock_mono_us(), &declared);
    if (rc < 0)
        ch_log_error("%s: frame lost: %s", feed->camera->name, strerror(-rc));
    else
        ch_camera_took_message(feed->camera);
}

// Parameter sets are a message of their own, without a time, as of a phone.
static void take_video_config(struct ch_feed *feed, const struct ch_flv_item *item)
{
    int64_t bytes = ch_flv_avcc_to_annexb(item->data, item->size, NULL, 0);
    if (bytes <= 0) // none: they are among the pictures, perhaps
        return;
    struct ch_frame *frame = new_message(feed, 0, (size_t)bytes);
    if (!frame) {
        ch_log_error("%s: parameter sets lost: %s", feed->camera->name, strerror(ENOMEM));
        return;
    }
    ch_flv_avcc_to_annexb(item->data, item->size, frame->message + CH_CAMERA_HEADER_BYTES, (size_t)bytes);
    append(feed, frame, (size_t)bytes);
}

static void take_picture(struct ch_feed *feed, const struct ch_flv_item *item)
{
    struct ch_frame *frame = new_message(feed, item->decode_ms + item->composition_ms, item->size);
    if (!frame) {
        ch_log_error("%s: frame lost: %s", feed->camera->name, strerror(ENOMEM));
        return;
    }
    uint8_t *payload = frame->message + CH_CAMERA_HEADER_BYTES;
    memcpy(payload, item->data, item->size);
    ch_flv_picture_to_annexb(payload, item->size);
    append(feed, frame, item->size);
}

static void take_audio(struct ch_feed *feed, const struct ch_flv_item *item)
{
    struct ch_frame *frame = ch_frame_new(item->size);
    if (!frame)
        return;
    memcpy(frame->message, item->data, item->size);
    int rc = ch_stream_append_audio(feed->camera->stream, &frame, item->size, item->decode_ms, ch_clock_wall_us(),
                                    ch_clock_mono_us());
    if (rc < 0 && rc != -EAGAIN)
        ch_log_error("%s: audio lost: %s", feed->camera->name, strerror(-rc));
}

static void on_item(void *owner, const struct ch_flv_item *item, const struct ch_aac_config *audio)
{
    struct ch_feed *feed = owner;
    if (!feed->running || !feed->camera->stream)
        return;
    switch (item->kind) {
    case CH_FLV_VIDEO_CONFIG: take_video_config(feed, item); break;
    case CH_FLV_VIDEO: take_picture(feed, item); break;
    case CH_FLV_AUDIO_CONFIG: ch_stream_set_audio(feed->camera->stream, audio); break;
    case CH_FLV_AUDIO: take_audio(feed, item); break;
    case CH_FLV_FOREIGN: break;
    }
}

// --- runs ---

static void on_began(void *owner)
{
    struct ch_feed *feed = owner;
    struct ch_camera *camera = feed->camera;
    struct ch_stream *stream = camera ? ch_camera_stream(camera) : NULL;
    if (!stream || feed->hub->stopping || ch_stream_restart(stream) < 0)
        return;
    ch_stream_trust_clock(stream);
    ch_stream_set_audio(stream, NULL);
    feed->running = true;
    camera->capturing = true;
    if (feed->record)
        ch_camera_begin_session(camera);
    ch_camera_changed(camera);
}

static void on_ended(void *owner)
{
    struct ch_feed *feed = owner;
    struct ch_camera *camera = feed->camera;
    if (camera && feed->running) {
        ch_camera_end_session(camera, "source_ended");
        if (camera->stream && ch_stream_restart(camera->stream) < 0) // nobody begins with what is over
            ch_log_warning("%s: %s", camera->name, strerror(ENOMEM));
    }
    feed->running = false;
}

static void log_state(const char *name, const struct ch_source_facts *facts)
{
    switch (facts->state) {
    case CH_SUPERVISOR_STARTING: ch_log_info("%s: source starts", name); break;
    case CH_SUPERVISOR_RUNNING:
        ch_log_info("%s: source runs (its pictures are %s)", name, facts->video_copied ? "copied" : "encoded");
        break;
    case CH_SUPERVISOR_WAITING:
        ch_log_warning("%s: source failed: %s; tried again in %lld.%lld s", name, facts->error,
                       (long long)(facts->retry_us / CH_US_PER_S),
                       (long long)(facts->retry_us / (CH_US_PER_S / 10) % 10));
        break;
    case CH_SUPERVISOR_GIVEN_UP:
        ch_log_error("%s: source given up: %s; tried again when somebody wants it", name, facts->error);
        break;
    case CH_SUPERVISOR_ENDED: ch_log_info("%s: source is at its end", name); break;
    case CH_SUPERVISOR_STOPPED: ch_log_info("%s: source stopped: nobody needs it", name); break;
    case CH_SUPERVISOR_LINGERING:
    case CH_SUPERVISOR_STOPPING: break;
    }
}

static void on_changed(void *owner)
{
    struct ch_feed *feed = owner;
    struct ch_source_facts facts;
    if (!feed->camera)
        return;
    ch_source_facts(feed->source, &facts);
    bool kept = feed->said == CH_SUPERVISOR_LINGERING && facts.state == CH_SUPERVISOR_RUNNING;
    if (facts.state != feed->said && !kept)
        log_state(feed->camera->name, &facts);
    feed->said = facts.state;
    ch_events_camera(feed->camera);
}

static const struct ch_source_ops source_ops = {
    .began = on_began,
    .item = on_item,
    .ended = on_ended,
    .changed = on_changed,
};

// --- the camera's calls ---

static void start_recording(struct ch_feed *feed)
{
    static const char *const now = "recording", *const later = "recording begins with the first picture";
    feed->record = true;
    knock(feed);
    if (feed->running && !feed->camera->session) // it has no encoder that would be started anew
        ch_camera_begin_session(feed->camera);
    const char *answer = feed->running ? now : later;
    ch_camera_said(feed->camera, false, answer, strlen(answer));
}

static void stop_recording(struct ch_feed *feed)
{
    static const char *const answer = "not recording";
    feed->record = false;
    ch_camera_end_session(feed->camera, "capture_stopped");
    feed->camera->capturing = feed->running;
    count_users(feed);
    ch_camera_said(feed->camera, false, answer, strlen(answer));
    ch_camera_changed(feed->camera);
}

// It has its own settings: of a command only starting and stopping mean something.
static int on_send(void *link, enum ch_command_kind kind, const char *text, size_t size)
{
    struct ch_feed *feed = link;
    (void)text, (void)size;
    if (kind == CH_COMMAND_START)
        start_recording(feed);
    else if (kind == CH_COMMAND_STOP)
        stop_recording(feed);
    return 0;
}

static void on_read(void *link, bool on)
{
    ch_source_read(((struct ch_feed *)link)->source, on);
}

static void on_replaced(void *link)
{
    ((struct ch_feed *)link)->camera = NULL; // does not happen: the router refuses such connections
}

static void on_watched(void *link)
{
    count_users(link);
}

static const struct ch_camera_link_ops link_ops = {
    .send = on_send,
    .read = on_read,
    .replaced = on_replaced,
    .watched = on_watched,
};

struct ch_feed *ch_feed_of(const struct ch_camera *camera)
{
    return camera->link_ops == &link_ops ? camera->link : NULL;
}

// --- life ---

int ch_feed_add(struct ch_hub *hub, const struct ch_source_config *config)
{
    struct ch_feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return -ENOMEM;
    feed->hub = hub;
    feed->source = ch_source_new(hub->loop, config, hub->options.ffmpeg, &source_ops, feed);
    if (!feed->source) {
        free(feed);
        return -ENOMEM;
    }
    feed->camera = ch_camera_connect(hub, config->name, true, CH_CAMERA_H264, ch_source_description(feed->source),
                                     &link_ops, feed);
    if (!feed->camera) {
        ch_source_free(feed->source, false, NULL);
        free(feed);
        return -ENOMEM;
    }
    feed->next = hub->feeds;
    hub->feeds = feed;
    feed->record = config->record_always;
    ch_camera_describe(feed->camera, NULL, NULL); // a phone may have had its name before
    ch_camera_said_ready(feed->camera);
    count_users(feed);
    return 0;
}

static void on_freed(void *owner)
{
    struct ch_feed *feed = owner;
    struct ch_hub *hub = feed->hub;
    free(feed);
    hub->works--;
    ch_hub_check_stopped(hub);
}

void ch_feed_remove(struct ch_feed *feed)
{
    struct ch_camera *camera = feed->camera;
    struct ch_feed **at = &feed->hub->feeds;
    while (*at != feed)
        at = &(*at)->next;
    *at = feed->next;
    feed->camera = NULL;
    feed->running = false;
    ch_camera_disconnect(camera);
    feed->hub->works++;
    ch_source_free(feed->source, true, on_freed);
}

// --- for the API ---

static const char *type_name(enum ch_source_type type)
{
    static const char *const names[] = {"screen", "window", "network", "device", "file", "ffmpeg"};
    return names[type];
}

json_t *ch_feed_to_json(const struct ch_feed *feed)
{
    const struct ch_source_config *config = ch_feed_config(feed);
    struct ch_source_facts facts;
    ch_source_facts(feed->source, &facts);
    bool waiting = facts.state == CH_SUPERVISOR_WAITING;
    return json_pack(
        "{s:s,s:o,s:s,s:o,s:o,s:o,s:I,s:I,s:s}", "type", type_name(config->type), "description",
        ch_json_text(ch_source_description(feed->source)), "state", ch_supervisor_state_name(facts.state), "since",
        ch_json_time(facts.since_us), "retry", waiting ? ch_json_seconds(facts.retry_us) : json_null(), "error",
        ch_json_text(facts.error[0] ? facts.error : NULL), "restarts", (json_int_t)facts.restarts, "crashes",
        (json_int_t)facts.recent_crashes, "record", config->record_always ? "always" : "command");
}

static json_t *log_to_json(const struct ch_feed *feed)
{
    char text[CH_SOURCE_LOG_BYTES];
    size_t size = ch_source_log(feed->source, text, sizeof text);
    json_t *lines = json_array();
    for (size_t at = 0; lines && at < size;) {
        size_t bytes = strcspn(text + at, "\n");
        if (json_array_append_new(lines, ch_json_text_of(text + at, bytes)) < 0) {
            json_decref(lines);
            return NULL;
        }
        at += bytes + 1;
    }
    return lines;
}

json_t *ch_feed_statistics_to_json(const struct ch_feed *feed)
{
    struct ch_source_facts facts;
    ch_source_facts(feed->source, &facts);
    bool ready = feed->camera->stream && ch_stream_newest_key(feed->camera->stream);
    uint64_t pictures = feed->running ? facts.run_gop_packets : 0;
    json_t *gop =
        json_pack("{s:b,s:I,s:b,s:b}", "ready", ready, "pictures", (json_int_t)pictures, "video_config",
                  feed->running && facts.has_video_config, "audio_config", feed->running && facts.has_audio_config);
    return json_pack("{s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:b,s:o,s:o}", "pid",
                     facts.pid > 0 ? json_integer(facts.pid) : json_null(), "runs", (json_int_t)facts.runs, "bytes",
                     (json_int_t)facts.bytes, "packets", (json_int_t)facts.packets, "video_packets",
                     (json_int_t)facts.video_packets, "audio_packets", (json_int_t)facts.audio_packets, "key_frames",
                     (json_int_t)facts.key_frames, "video_copied", facts.video_copied, "audio_copied",
                     facts.audio_copied, "gop", gop, "log", log_to_json(feed));
}
