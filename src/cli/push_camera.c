#include "cli/push_camera.h"

#include "base/clock.h"
#include "cli/push_room.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHATTY_CAMERAS 8        // more of them do not talk about what is usual,
#define TALK_LINES 8            // and together say no more than this
#define TALK_US CH_US_PER_S     // in this time
#define LIMIT_FAST (256u << 10) // unsent bytes of one connection, above which nothing is added
#define LIMIT_PACED (4u << 20)
#define LIMIT_JPEG (256u << 10) // the same for JPEGs of a running encoder, as one that has no room for more takes none

// True if one more line may be said. What one camera of 200 has to complain of, all 200 have.
static bool may_talk(struct ch_push_room *room)
{
    int64_t now_us = ch_clock_mono_us();
    if (now_us - room->talk_us > TALK_US) {
        room->talk_us = now_us;
        room->talk_lines = 0;
    }
    return room->camera_count <= CHATTY_CAMERAS || room->talk_lines++ < TALK_LINES;
}

// What is usual is for small rooms only.
void ch_push_camera_say(const struct ch_push_camera *camera, enum ch_log_level level, const char *tag,
                        const char *format, ...)
{
    if ((level == CH_LOG_INFO && camera->room->camera_count > CHATTY_CAMERAS) || !may_talk(camera->room))
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ch_log(level, tag, "%s: %s", camera->label, text);
}

#define say_info(camera, ...) ch_push_camera_say(camera, CH_LOG_INFO, CH_TAG_INFO, __VA_ARGS__)
#define say_warning(camera, ...) ch_push_camera_say(camera, CH_LOG_WARNING, CH_TAG_WARNING, __VA_ARGS__)
#define say_error(camera, ...) ch_push_camera_say(camera, CH_LOG_ERROR, CH_TAG_ERROR, __VA_ARGS__)

void ch_push_camera_quote(const struct ch_push_camera *camera, const char *text, size_t size)
{
    if (may_talk(camera->room))
        ch_log(CH_LOG_INFO, "Hub", "%s: %.*s", camera->label, size < 1500 ? (int)size : 1500, text);
}

bool ch_push_camera_captures(const struct ch_push_camera *camera)
{
    return camera->state == CH_PUSH_WAITING || camera->state == CH_PUSH_CAPTURING;
}

bool ch_push_camera_connected(const struct ch_push_camera *camera)
{
    return camera->state == CH_PUSH_READY || ch_push_camera_captures(camera);
}

// --- the end ----------------------------------------------------------------------------------------

static void on_timer_closed(uv_handle_t *timer)
{
    struct ch_push_camera *camera = timer->data;
    ch_push_room_camera_done(camera->room, camera->failed);
}

static void done(struct ch_push_camera *camera)
{
    camera->state = CH_PUSH_DONE;
    uv_close((uv_handle_t *)&camera->timer, on_timer_closed);
}

// Leaves the encoder, and tells the hub if it was told of the beginning.
static void end_capture(struct ch_push_camera *camera, enum ch_push_camera_state next)
{
    bool captures = ch_push_camera_captures(camera), started = camera->state == CH_PUSH_CAPTURING;
    camera->state = next;
    uv_timer_stop(&camera->timer);
    if (started)
        camera->language->ended(camera);
    if (captures)
        ch_push_room_leave(camera->room);
}

void ch_push_camera_finish(struct ch_push_camera *camera)
{
    if (camera->state == CH_PUSH_FINISHING || camera->state == CH_PUSH_DONE)
        return;
    if (camera->state == CH_PUSH_OFFLINE) {
        done(camera);
        return;
    }
    end_capture(camera, CH_PUSH_FINISHING);
    ch_push_ws_finish(&camera->ws);
}

static void fail(struct ch_push_camera *camera, const char *why)
{
    say_error(camera, "%s", why);
    camera->failed = true;
    ch_push_camera_finish(camera);
}

void ch_push_camera_source_ended(struct ch_push_camera *camera, const char *error)
{
    const struct ch_push_options *options = camera->room->options;
    if (error) {
        say_error(camera, "%s", error);
        camera->language->failed(camera, error);
    } else {
        say_info(camera, "the source has ended");
    }
    end_capture(camera, CH_PUSH_READY);
    if (!options->start)
        return;
    if (!error && options->count)
        say_warning(camera, "the source ended after %llu of %llu pictures", (unsigned long long)camera->pictures,
                    (unsigned long long)options->count);
    camera->failed = error || options->count;
    ch_push_camera_finish(camera);
}

// --- sending ----------------------------------------------------------------------------------------

// False if that was the end: no memory, or as many pictures as were asked for.
static bool send_unit(struct ch_push_camera *camera, struct ch_push_payload *payload, int64_t device_ms, bool picture)
{
    struct ch_camera_header header = {.device_ms = device_ms > 0 ? (uint64_t)device_ms : 0,
                                      .sequence = camera->sequence++,
                                      .payload_bytes = (uint32_t)payload->size};
    if (ch_push_ws_send_unit(&camera->ws, camera->language->headers ? &header : NULL, payload) < 0) {
        fail(camera, "out of memory");
        return false;
    }
    camera->bytes += payload->size;
    camera->pictures += picture;
    if (!picture || camera->pictures != camera->room->options->count)
        return true;
    say_info(camera, "%llu pictures sent", (unsigned long long)camera->pictures);
    ch_push_camera_finish(camera);
    return false;
}

static void begin_capture(struct ch_push_camera *camera)
{
    camera->state = CH_PUSH_CAPTURING;
    camera->sequence = 0;
    camera->language->began(camera);
    say_info(camera, "capture started");
}

// As MediaCodec: a buffer of its own, time 0.
static void send_parameter_sets(struct ch_push_camera *camera)
{
    const struct ch_push_encoder *encoder = &camera->room->encoder;
    struct ch_push_payload *config = ch_push_payload_new(encoder->sets_bytes);
    if (!config) {
        fail(camera, "out of memory");
        return;
    }
    memcpy(config->data, encoder->sets, encoder->sets_bytes);
    ch_push_payload_seal(config);
    send_unit(camera, config, 0, false);
    ch_push_payload_unref(config);
}

void ch_push_camera_begin(struct ch_push_camera *camera)
{
    begin_capture(camera);
    camera->need_key = true;
    if (camera->language->headers)
        send_parameter_sets(camera);
}

void ch_push_camera_picture(struct ch_push_camera *camera, struct ch_push_payload *payload, int64_t device_ms, bool key)
{
    const struct ch_push_options *options = camera->room->options;
    if (camera->state != CH_PUSH_CAPTURING || (camera->need_key && !key))
        return;
    if (options->jpeg && !options->fast && ch_push_ws_unsent(&camera->ws) > LIMIT_JPEG) {
        camera->skipped++;
        return;
    }
    camera->need_key = false;
    send_unit(camera, payload, device_ms, true);
}

// --- playing a file ---------------------------------------------------------------------------------

// How long `pictures` take, in units of 1/per_s seconds.
static int64_t span(const struct ch_push_room *room, uint64_t pictures, int64_t per_s)
{
    return (int64_t)((unsigned __int128)pictures * (uint64_t)per_s * room->rate_den / room->rate_num);
}

static int64_t device_time(const struct ch_push_camera *camera, const struct ch_push_unit *unit)
{
    const struct ch_push_room *room = camera->room;
    if (room->options->decode_times)
        return camera->base_ms + span(room, camera->pictures_before + unit->decoded, 1000);
    // A picture cannot be sent before it was taken: the first one was, some pictures ago.
    return camera->base_ms + span(room, camera->pictures_before + unit->shown, 1000) -
           span(room, room->file.lead, 1000);
}

static void on_due(uv_timer_t *timer);

// Sends units until one is not yet due, the connection has enough, or the file ends.
static void play(struct ch_push_camera *camera)
{
    struct ch_push_room *room = camera->room;
    struct ch_push_file *file = &room->file;
    bool fast = room->options->fast, more = true;
    while (more && ch_push_ws_unsent(&camera->ws) < (fast ? LIMIT_FAST : LIMIT_PACED)) {
        if (camera->cursor == file->count && !room->options->loop) {
            ch_push_camera_source_ended(camera, NULL);
            return;
        }
        if (camera->cursor == file->count) {
            camera->cursor = 0;
            camera->pictures_before += file->pictures;
        }
        const struct ch_push_unit *unit = &file->units[camera->cursor];
        int64_t due_us = camera->start_us + span(room, camera->pictures_before + unit->decoded, CH_US_PER_S);
        int64_t wait_us = fast ? 0 : due_us - ch_clock_mono_us();
        if (wait_us > 0) {
            uv_timer_start(&camera->timer, on_due, (uint64_t)(wait_us + 999) / 1000, 0);
            return;
        }
        struct ch_push_payload *payload;
        int rc = ch_push_file_read(file, camera->cursor, &payload);
        if (rc < 0) {
            ch_push_camera_source_ended(camera, strerror(-rc));
            return;
        }
        camera->cursor++;
        more = send_unit(camera, payload, device_time(camera, unit), unit->picture);
        ch_push_payload_unref(payload);
    }
}

static void on_due(uv_timer_t *timer)
{
    play(timer->data);
}

static void play_from_the_beginning(struct ch_push_camera *camera)
{
    begin_capture(camera);
    camera->cursor = 0;
    camera->pictures_before = 0;
    camera->start_us = ch_clock_mono_us();
    camera->base_ms = ch_push_boot_ms();
    play(camera);
}

// --- what the hub says ------------------------------------------------------------------------------

void ch_push_camera_take_start(struct ch_push_camera *camera, const struct ch_push_values *values)
{
    if (camera->room->kind == CH_PUSH_THROUGH)
        play_from_the_beginning(camera);
    else
        ch_push_room_join(camera->room, camera, values);
}

bool ch_push_camera_take_stop(struct ch_push_camera *camera)
{
    bool started = camera->state == CH_PUSH_CAPTURING;
    end_capture(camera, CH_PUSH_READY);
    return started;
}

static void on_opened(void *context)
{
    struct ch_push_camera *camera = context;
    const struct ch_push_options *options = camera->room->options;
    camera->state = CH_PUSH_READY;
    camera->told = false;
    ch_push_camera_say(camera, CH_LOG_INFO, CH_TAG_CONNECTION, "connected to %s", options->url.authority);
    camera->language->greet(camera);
    if (options->start)
        camera->language->begin(camera);
}

static void on_text(void *context, const char *text, size_t size)
{
    struct ch_push_camera *camera = context;
    if (ch_push_camera_connected(camera))
        camera->language->hear(camera, text, size);
    else
        ch_push_camera_quote(camera, text, size);
}

static void on_sent(void *context)
{
    struct ch_push_camera *camera = context;
    if (camera->room->kind != CH_PUSH_THROUGH)
        ch_push_room_relieve(camera->room);
    else if (camera->state == CH_PUSH_CAPTURING)
        play(camera);
}

// --- the connection ---------------------------------------------------------------------------------

static void on_connect(uv_timer_t *timer)
{
    struct ch_push_camera *camera = timer->data;
    camera->state = CH_PUSH_CONNECTING;
    ch_push_ws_open(&camera->ws);
}

static void lost(struct ch_push_camera *camera, const char *reason)
{
    int64_t wait_us = camera->room->options->reconnect_us;
    if (wait_us == 0) {
        say_error(camera, "%s", reason);
        camera->failed = true;
        done(camera);
        return;
    }
    if (!camera->told)
        say_warning(camera, "%s; trying again every %lld.%lld s", reason, (long long)(wait_us / CH_US_PER_S),
                    (long long)(wait_us % CH_US_PER_S / 100000));
    camera->told = true;
    camera->state = CH_PUSH_OFFLINE;
    uv_timer_start(&camera->timer, on_connect, (uint64_t)(wait_us + 999) / 1000, 0);
}

static void on_closed(void *context, enum ch_push_ws_end how, const char *reason)
{
    struct ch_push_camera *camera = context;
    bool finishing = camera->state == CH_PUSH_FINISHING;
    end_capture(camera, CH_PUSH_OFFLINE);
    if (!finishing && !camera->room->stopping) {
        lost(camera, reason);
        return;
    }
    if (how != CH_PUSH_WS_FINISHED && !camera->room->stopping && !camera->failed) {
        say_error(camera, "while ending: %s", reason);
        camera->failed = true;
    }
    done(camera);
}

static const struct ch_push_ws_events ws_events = {
    .opened = on_opened, .text = on_text, .sent = on_sent, .closed = on_closed};

void ch_push_camera_init(struct ch_push_camera *camera, struct ch_push_room *room, unsigned index)
{
    const struct ch_push_options *options = room->options;
    char target[CH_PUSH_TARGET_BYTES], own[CH_NAME_MAX + 1];
    memset(camera, 0, sizeof *camera);
    camera->room = room;
    camera->language = options->jpeg ? &ch_push_esp32 : &ch_push_phone;
    camera->sensor = options->sensor;
    const char *name = ch_push_camera_name(options, index, own);
    const char *label = name ? name : options->url.name[0] ? options->url.name : "camera";
    snprintf(camera->label, sizeof camera->label, "%.*s", CH_NAME_MAX, label);
    ch_push_url_target(&options->url, name, target);
    ch_push_ws_init(&camera->ws, room->loop, &ws_events, camera, &options->url, target);
    uv_timer_init(room->loop, &camera->timer);
    camera->timer.data = camera;
}

void ch_push_camera_start(struct ch_push_camera *camera, uint64_t delay_ms)
{
    camera->state = CH_PUSH_OFFLINE;
    uv_timer_start(&camera->timer, on_connect, delay_ms, 0);
}
