#include "app/events.h"

#include "app/camera_json.h"
#include "app/json_out.h"
#include "app/log_tail.h"
#include "app/peer.h"
#include "app/status.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "sink/catalogue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_PAUSE_US INT64_C(50000)
#define FIGURES_US INT64_C(950000) // a second, less the timer's jitter
#define CLOSE_ROOM 256             // of the queue, for the frame that closes
#define MAX_ANSWERS 128            // waiting to be told
#define MAX_ANSWERS_OF_ONE 16      // of one camera
#define LINE_BYTES (CH_LOG_TEXT_BYTES + 64)

struct listener {
    struct ch_events *events;
    struct ch_peer *peer;
    struct listener *next, **self; // in events->listeners
    size_t allowed;                // bytes that may wait in its queue
};

// What a camera said.
struct answer {
    char camera[65];
    struct ch_camera_note note;
};

struct ch_events {
    struct ch_hub *hub; // NULL: stopped
    struct ch_status *status;
    struct ch_log_tail *tail;
    uv_timer_t flush;
    bool flush_closed;
    struct listener *listeners;
    struct ch_line_listener *line_listeners, *next_line; // next_line: the next to be called, while calling
    // Waiting to be told
    json_t *changed; // cameras by name
    struct answer answers[MAX_ANSWERS];
    size_t answer_count;
    json_t *lines;      // of the log, while they are collected
    int64_t flushed_us; // monotonic, like all below
    int64_t figures_us;
    bool status_due; // with the next figures
};

// --- messages ---

static void drop_slow(struct listener *listener)
{
    ch_log_warning("%s: does not read its events (%zu bytes wait); closed", listener->peer->conn.peer,
                   listener->peer->conn.out_bytes);
    ch_peer_close(listener->peer, CH_WS_POLICY, "Too slow");
}

static void send_text(struct listener *listener, const char *text, size_t size)
{
    struct ch_peer *peer = listener->peer;
    if (peer->closing || peer->ws.close_sent)
        return;
    // A single message may be larger than what may wait: the list of very many cameras.
    if (peer->conn.out_bytes > 0 && peer->conn.out_bytes + size > listener->allowed) {
        drop_slow(listener);
        return;
    }
    uint8_t head[CH_WS_MAX_HEAD];
    union {
        const void *in;
        void *out;
    } cast = {.in = text};
    struct iovec iov[2] = {
        {.iov_base = head, .iov_len = ch_ws_write_head(head, CH_WS_TEXT, size, NULL)},
        {.iov_base = cast.out, .iov_len = size},
    };
    if (ch_conn_send(&peer->conn, iov, 2, SIZE_MAX) < 0)
        ch_conn_close(&peer->conn);
}

// To all; takes the message, which may be NULL for want of memory.
static void tell(struct ch_events *events, json_t *message)
{
    size_t size;
    char *text = ch_json_write(message, &size);
    for (struct listener *listener = events->listeners; text && listener; listener = listener->next)
        send_text(listener, text, size);
    free(text);
    json_decref(message);
}

static json_t *camera_message(const struct ch_camera *camera)
{
    return json_pack("{s:s,s:o}", "type", "camera", "camera", ch_camera_to_json(camera));
}

static json_t *status_message(struct ch_events *events)
{
    return json_pack("{s:s,s:o}", "type", "status", "status", ch_status_to_json(events->status));
}

static json_t *lines_message(json_t *lines)
{
    return json_pack("{s:s,s:o}", "type", "log", "lines", lines);
}

static json_t *line_to_json(const struct ch_log_line *line)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    return json_pack("{s:o,s:s,s:s,s:o}", "time", ch_json_time(line->wall_us), "level", levels[line->level], "tag",
                     line->tag, "text", ch_json_text_of(line->text, line->size));
}

static json_t *figures_message(const struct ch_hub *hub)
{
    json_t *all = json_object();
    for (const struct ch_camera *camera = hub->cameras; camera; camera = camera->next)
        if (json_object_set_new_nocheck(all, camera->name, ch_camera_figures_to_json(camera)) < 0)
            break;
    return json_pack("{s:s,s:o}", "type", "figures", "cameras", all);
}

// --- log lines ---

static void give_line(struct ch_line_listener *listener, const struct ch_log_line *line)
{
    char time[CH_LOG_TIME_BYTES], text[LINE_BYTES];
    ch_format_log_time(line->wall_us, time);
    int used = snprintf(text, sizeof text, "%s [%s] %s", time, line->tag, line->text);
    size_t size = (size_t)used < sizeof text ? (size_t)used : sizeof text - 1;
    for (size_t at = 0; at < size; at++) { // a line may have been cut in the middle of a character
        at += ch_utf8_prefix((const uint8_t *)text + at, size - at);
        if (at < size)
            text[at] = '?';
    }
    listener->line(listener, text, size);
}

static void on_line(void *context, const struct ch_log_line *line)
{
    struct ch_events *events = context;
    if (events->lines)
        json_array_append_new(events->lines, line_to_json(line));
    for (struct ch_line_listener *one = events->line_listeners; one; one = events->next_line) {
        events->next_line = one->next;
        give_line(one, line);
    }
    events->next_line = NULL;
}

static void flush_lines(struct ch_events *events)
{
    events->lines = events->listeners ? json_array() : NULL;
    ch_log_tail_take(events->tail, on_line, events);
    json_t *lines = events->lines;
    events->lines = NULL;
    if (json_array_size(lines) > 0)
        tell(events, lines_message(lines));
    else
        json_decref(lines);
}

static void update_listening(struct ch_events *events)
{
    if (events->hub)
        ch_log_tail_listen(events->tail, events->listeners || events->line_listeners);
}

// --- when ---

static void flush_cameras(struct ch_events *events)
{
    if (json_object_size(events->changed) == 0)
        return;
    for (const struct ch_camera *camera = events->hub->cameras; camera; camera = camera->next)
        if (json_object_get(events->changed, camera->name))
            tell(events, camera_message(camera));
    json_object_clear(events->changed);
}

static void flush_answers(struct ch_events *events)
{
    for (size_t i = 0; i < events->answer_count; i++) {
        const struct answer *answer = &events->answers[i];
        tell(events, json_pack("{s:s,s:s,s:o}", "type", "answer", "camera", answer->camera, "answer",
                               ch_camera_answer_to_json(&answer->note)));
    }
    events->answer_count = 0;
}

static void on_flush(uv_timer_t *timer)
{
    struct ch_events *events = timer->data;
    events->flushed_us = ch_clock_mono_us();
    flush_lines(events);
    flush_cameras(events);
    flush_answers(events);
}

// In the loop's next round, or when the pause is over.
static void plan_flush(struct ch_events *events)
{
    if (!events->hub || uv_is_active((uv_handle_t *)&events->flush))
        return;
    int64_t wait_us = events->flushed_us + EVENTS_PAUSE_US - ch_clock_mono_us();
    uv_timer_start(&events->flush, on_flush, wait_us > 0 ? (uint64_t)(wait_us + 999) / 1000 : 0, 0);
}

static void on_lines_came(void *context)
{
    plan_flush(context);
}

// --- what happens ---

// NULL if nobody wants to know.
static struct ch_events *listened(const struct ch_hub *hub)
{
    return hub->events && hub->events->listeners ? hub->events : NULL;
}

static void mark_changed(struct ch_events *events, const char *name)
{
    json_object_set_new_nocheck(events->changed, name, json_true());
    plan_flush(events);
}

void ch_events_camera(const struct ch_camera *camera)
{
    struct ch_events *events = listened(camera->hub);
    if (events)
        mark_changed(events, camera->name);
}

void ch_events_camera_removed(struct ch_hub *hub, const char *name)
{
    struct ch_events *events = listened(hub);
    if (!events)
        return;
    flush_cameras(events); // what was before comes before; of the one that is gone there is nothing left to tell
    flush_answers(events);
    tell(events, json_pack("{s:s,s:s}", "type", "camera_removed", "name", name));
}

// Where the camera's next answer goes. Its last one of those that wait gives way if there are many.
static struct answer *place_for(struct ch_events *events, const char *name)
{
    struct answer *last = NULL;
    unsigned count = 0;
    for (size_t i = 0; i < events->answer_count; i++) {
        if (strcmp(events->answers[i].camera, name) != 0)
            continue;
        last = &events->answers[i];
        count++;
    }
    if (count >= MAX_ANSWERS_OF_ONE)
        return last;
    if (events->answer_count == MAX_ANSWERS) { // its camera's own `answer` is at least as new
        mark_changed(events, events->answers[0].camera);
        memmove(&events->answers[0], &events->answers[1], (MAX_ANSWERS - 1) * sizeof events->answers[0]);
        events->answer_count--;
    }
    return &events->answers[events->answer_count++];
}

void ch_events_answer(const struct ch_camera *camera)
{
    struct ch_events *events = listened(camera->hub);
    if (!events)
        return;
    struct answer *answer = place_for(events, camera->name);
    snprintf(answer->camera, sizeof answer->camera, "%s", camera->name);
    answer->note = camera->answer;
    plan_flush(events);
}

void ch_events_recording(struct ch_hub *hub, const struct ch_recording *recording)
{
    struct ch_events *events = listened(hub);
    if (events)
        tell(events, json_pack("{s:s,s:o}", "type", "recording", "recording", ch_recording_to_json(recording)));
}

void ch_events_recording_deleted(struct ch_hub *hub, const char *id)
{
    struct ch_events *events = listened(hub);
    if (events)
        tell(events, json_pack("{s:s,s:o}", "type", "recording_deleted", "id", ch_json_text(id)));
}

void ch_events_housekeep(struct ch_hub *hub, int64_t now_us)
{
    struct ch_events *events = hub->events;
    if (!events || now_us - events->figures_us < FIGURES_US)
        return;
    events->figures_us = now_us;
    ch_status_housekeep(events->status);
    if (!events->listeners)
        return;
    if (hub->cameras)
        tell(events, figures_message(hub));
    if (events->status_due)
        tell(events, status_message(events));
    events->status_due = !events->status_due;
}

struct ch_status *ch_events_status(const struct ch_hub *hub)
{
    return hub->events ? hub->events->status : NULL;
}

// --- life ---

int ch_events_start(struct ch_hub *hub)
{
    struct ch_events *events = calloc(1, sizeof *events);
    if (!events)
        return -ENOMEM;
    events->hub = hub;
    events->changed = json_object();
    events->status = ch_status_new(hub);
    if (events->changed && events->status)
        events->tail = ch_log_tail_start(hub->loop, on_lines_came, events);
    if (!events->tail) {
        ch_status_free(events->status);
        json_decref(events->changed);
        free(events);
        return -ENOMEM;
    }
    uv_timer_init(hub->loop, &events->flush);
    events->flush.data = events;
    hub->events = events;
    return 0;
}

static void free_if_over(struct ch_events *events)
{
    if (!events->flush_closed || events->listeners || events->line_listeners)
        return;
    json_decref(events->changed);
    free(events);
}

static void on_flush_closed(uv_handle_t *handle)
{
    struct ch_events *events = handle->data;
    events->flush_closed = true;
    free_if_over(events);
}

void ch_events_stop(struct ch_hub *hub)
{
    struct ch_events *events = hub->events;
    hub->events = NULL;
    events->hub = NULL;
    ch_log_tail_stop(events->tail);
    ch_status_free(events->status);
    uv_close((uv_handle_t *)&events->flush, on_flush_closed);
}

// --- listeners for lines ---

void ch_events_add_lines(struct ch_hub *hub, struct ch_line_listener *listener)
{
    struct ch_events *events = hub->events;
    listener->events = events;
    listener->self = NULL;
    if (!events)
        return;
    flush_lines(events); // those that listen already get what the new one finds among the last lines
    listener->next = events->line_listeners;
    listener->self = &events->line_listeners;
    if (listener->next)
        listener->next->self = &listener->next;
    events->line_listeners = listener;
    update_listening(events);
    size_t count = ch_log_tail_count(events->tail);
    for (size_t i = 0; i < count && listener->self; i++)
        give_line(listener, ch_log_tail_line(events->tail, i));
}

void ch_events_remove_lines(struct ch_line_listener *listener)
{
    struct ch_events *events = listener->events;
    if (!listener->self)
        return;
    if (events->next_line == listener)
        events->next_line = listener->next;
    *listener->self = listener->next;
    if (listener->next)
        listener->next->self = listener->self;
    listener->self = NULL;
    update_listening(events);
    free_if_over(events);
}

// --- listeners for everything ---

static uint8_t *on_room(struct ch_ws *ws, uint8_t opcode, size_t have, size_t add, bool last)
{
    (void)opcode, (void)have, (void)add, (void)last;
    ch_ws_close(ws, CH_WS_UNSUPPORTED, "Listeners send nothing");
    return NULL;
}

static void on_message(struct ch_ws *ws, uint8_t opcode, size_t size)
{
    (void)ws, (void)opcode, (void)size; // on_room has closed
}

static const struct ch_ws_ops ws_ops = {.room = on_room, .message = on_message};

static void on_gone(struct ch_peer *peer)
{
    struct listener *listener = peer->role_data;
    struct ch_events *events = listener->events;
    *listener->self = listener->next;
    if (listener->next)
        listener->next->self = listener->self;
    free(listener);
    update_listening(events);
    free_if_over(events);
}

static void on_drained(struct ch_peer *peer)
{
    struct listener *listener = peer->role_data;
    listener->allowed = CH_LIMIT_OUT_BYTES - CLOSE_ROOM;
}

static const struct ch_peer_role role = {.gone = on_gone, .drained = on_drained};

// One of the messages that a listener begins with, whatever their size.
static void begin_with(struct listener *listener, json_t *message)
{
    size_t size;
    char *text = ch_json_write(message, &size);
    listener->allowed += size;
    if (text)
        send_text(listener, text, size);
    free(text);
    json_decref(message);
}

static json_t *last_lines(const struct ch_log_tail *tail)
{
    json_t *lines = json_array();
    size_t count = ch_log_tail_count(tail);
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(lines, line_to_json(ch_log_tail_line(tail, i))) < 0)
            break;
    return lines;
}

int ch_events_open(struct ch_peer *peer)
{
    struct ch_events *events = peer->hub->events;
    struct listener *listener = events ? calloc(1, sizeof *listener) : NULL;
    if (!listener)
        return -ENOMEM;
    flush_lines(events); // as in ch_events_add_lines
    *listener = (struct listener){.events = events, .peer = peer, .allowed = CH_LIMIT_OUT_BYTES - CLOSE_ROOM};
    listener->next = events->listeners;
    listener->self = &events->listeners;
    if (listener->next)
        listener->next->self = &listener->next;
    events->listeners = listener;
    update_listening(events);
    ch_peer_become(peer, &role, listener, &ws_ops);
    begin_with(listener, json_pack("{s:s,s:o}", "type", "cameras", "cameras", ch_cameras_to_json(peer->hub)));
    begin_with(listener, lines_message(last_lines(events->tail)));
    begin_with(listener, status_message(events));
    return 0;
}
