#include "app/camera.h"

#include "app/devconsole.h"
#include "app/events.h"
#include "app/live.h"
#include "app/output.h"
#include "app/session.h"
#include "app/snapshot.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "proto/ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIGURES_US INT64_C(950000) // a second, less the timer's jitter
#define LOGGED_US INT64_C(10000000)
#define RETRY_US INT64_C(1000000)
#define FLUSH_HELD_US INT64_C(300000) // pictures held for their order, when no more come
#define MAX_LOST 100                  // lost cameras remembered; cameras without a name get a new one each time

// --- the stream ---

static void drop_stream(struct ch_camera *camera)
{
    if (!camera->stream)
        return;
    ch_outputs_detach(camera);
    ch_stream_free(camera->stream);
    camera->stream = NULL;
}

struct ch_stream *ch_camera_stream(struct ch_camera *camera)
{
    if (!camera->stream)
        camera->stream = ch_stream_new();
    return camera->stream;
}

static void tell_watched(struct ch_camera *camera)
{
    if (camera->link && camera->link_ops->watched)
        camera->link_ops->watched(camera->link);
}

void ch_camera_add_viewer(struct ch_camera *camera)
{
    camera->viewer_count++;
    camera->hub->viewer_count++;
    tell_watched(camera);
}

void ch_camera_remove_viewer(struct ch_camera *camera)
{
    camera->hub->viewer_count--;
    if (--camera->viewer_count == 0 && !camera->link)
        drop_stream(camera);
    tell_watched(camera);
}

// --- finding them ---

struct ch_camera *ch_camera_find(struct ch_hub *hub, const char *name)
{
    for (struct ch_camera *camera = hub->cameras; camera; camera = camera->next)
        if (strcmp(camera->name, name) == 0)
            return camera;
    return NULL;
}

static void insert(struct ch_hub *hub, struct ch_camera *camera)
{
    struct ch_camera **at = &hub->cameras;
    while (*at && strcmp((*at)->name, camera->name) < 0)
        at = &(*at)->next;
    camera->next = *at;
    *at = camera;
}

static void take_out(struct ch_camera *camera)
{
    struct ch_camera **at = &camera->hub->cameras;
    while (*at && *at != camera)
        at = &(*at)->next;
    if (*at)
        *at = camera->next;
}

static void free_camera(struct ch_camera *camera)
{
    take_out(camera);
    ch_live_end_all(camera, "This camera was dismissed");
    ch_snapshot_forget(camera);
    drop_stream(camera);
    ch_sequence_deinit(&camera->sequence);
    free(camera->device_model);
    free(camera->capabilities);
    free(camera);
}

void ch_camera_free_all(struct ch_hub *hub)
{
    while (hub->cameras)
        free_camera(hub->cameras);
}

static void forget(struct ch_camera *camera)
{
    struct ch_hub *hub = camera->hub;
    char name[sizeof camera->name];
    memcpy(name, camera->name, sizeof name);
    free_camera(camera);
    ch_events_camera_removed(hub, name);
}

int ch_camera_dismiss(struct ch_camera *camera)
{
    if (camera->link)
        return -EBUSY;
    forget(camera);
    return 0;
}

// Lost cameras are remembered, but not without end.
static void limit_lost(struct ch_hub *hub)
{
    unsigned lost = 0;
    struct ch_camera *oldest = NULL;
    for (struct ch_camera *camera = hub->cameras; camera; camera = camera->next) {
        if (camera->link)
            continue;
        lost++;
        bool older = !oldest || camera->state_since_us < oldest->state_since_us;
        if (older && camera->viewer_count == 0)
            oldest = camera;
    }
    if (lost > MAX_LOST && oldest)
        forget(oldest);
}

// --- state ---

const char *ch_camera_state_name(enum ch_camera_state state)
{
    static const char *const names[] = {"connected", "ready", "capturing", "recording", "lost"};
    return names[state];
}

static enum ch_camera_state state_of(const struct ch_camera *camera)
{
    if (!camera->link)
        return CH_CAMERA_LOST;
    if (camera->session)
        return CH_CAMERA_RECORDING;
    if (camera->capturing)
        return CH_CAMERA_CAPTURING;
    return camera->ready ? CH_CAMERA_IS_READY : CH_CAMERA_CONNECTED;
}

void ch_camera_changed(struct ch_camera *camera)
{
    enum ch_camera_state state = state_of(camera);
    if (state != camera->state || camera->state_since_us == 0)
        camera->state_since_us = ch_clock_wall_us();
    camera->state = state;
    ch_events_camera(camera);
}

// --- links ---

static void take_link(struct ch_camera *camera, const char *address, const struct ch_camera_link_ops *ops, void *link)
{
    camera->link_ops = ops;
    camera->link = link;
    camera->ready = camera->capturing = camera->warned_unrecorded = false;
    camera->answer.wall_us = camera->command.wall_us = 0;
    camera->last_picture_us = 0;
    snprintf(camera->address, sizeof camera->address, "%s", address);
    ch_sequence_deinit(&camera->sequence);
    memset(&camera->sequence, 0, sizeof camera->sequence);
    memset(&camera->figures, 0, sizeof camera->figures);
    memset(&camera->logged, 0, sizeof camera->logged);
    camera->pictures_at_connect = camera->stream ? ch_stream_counts(camera->stream)->pictures : 0;
}

static void lose_link(struct ch_camera *camera)
{
    ch_camera_end_session(camera, camera->hub->stopping ? "shutdown" : "disconnected");
    ch_log(CH_LOG_INFO, CH_TAG_CONNECTION, "%s: disconnected", camera->name);
    camera->link = NULL;
    camera->link_ops = NULL;
    camera->ready = camera->capturing = false;
    if (camera->viewer_count == 0)
        drop_stream(camera);
    ch_camera_changed(camera);
}

void ch_camera_disconnect(struct ch_camera *camera)
{
    struct ch_hub *hub = camera->hub;
    lose_link(camera);
    limit_lost(hub);
}

// A phone that changed its network comes back before its old connection is known to be dead.
static void replace_link(struct ch_camera *camera, const char *address)
{
    const struct ch_camera_link_ops *ops = camera->link_ops;
    void *link = camera->link;
    ch_log_warning("%s: connected again from %s; its connection from %s is closed", camera->name, address,
                   camera->address);
    lose_link(camera);
    ops->replaced(link);
}

// The stream of a camera that comes back goes on for its viewers, if it is of the same kind.
static void renew_stream(struct ch_camera *camera, enum ch_camera_kind kind)
{
    if (!camera->stream)
        return;
    if (camera->kind == kind && ch_stream_restart(camera->stream) == 0)
        return;
    ch_live_end_all(camera, "This camera is another one now");
    drop_stream(camera);
}

static struct ch_camera *make_camera(struct ch_hub *hub, const char *name, bool named)
{
    struct ch_camera *camera = calloc(1, sizeof *camera);
    if (!camera)
        return NULL;
    camera->hub = hub;
    camera->named = named;
    snprintf(camera->name, sizeof camera->name, "%s", name);
    insert(hub, camera);
    return camera;
}

struct ch_camera *ch_camera_connect(struct ch_hub *hub, const char *name, bool named, enum ch_camera_kind kind,
                                    const char *address, const struct ch_camera_link_ops *ops, void *link)
{
    struct ch_camera *camera = ch_camera_find(hub, name);
    if (camera && camera->link)
        replace_link(camera, address);
    if (!camera)
        camera = make_camera(hub, name, named);
    if (!camera)
        return NULL;
    renew_stream(camera, kind);
    camera->kind = kind;
    take_link(camera, address, ops, link);
    ch_log(CH_LOG_INFO, CH_TAG_CONNECTION, "%s: connected from %s", camera->name, address);
    ch_camera_changed(camera);
    if (kind == CH_CAMERA_JPEG)
        ch_devconsole_camera(camera);
    return camera;
}

void ch_camera_took_message(struct ch_camera *camera)
{
    camera->last_picture_us = ch_clock_mono_us();
}

void ch_camera_said_ready(struct ch_camera *camera)
{
    camera->ready = true;
    ch_camera_changed(camera);
}

static void note(struct ch_camera_note *note, bool error, const char *text, size_t size)
{
    size_t cut = size < sizeof note->text - 1 ? size : sizeof note->text - 1;
    cut = ch_utf8_prefix((const uint8_t *)text, cut);
    memcpy(note->text, text, cut);
    note->text[cut] = '\0';
    note->error = error;
    note->wall_us = ch_clock_wall_us();
}

void ch_camera_said(struct ch_camera *camera, bool error, const char *text, size_t size)
{
    note(&camera->answer, error, text, size);
    ch_events_answer(camera);
}

static void keep(char **slot, const char *text)
{
    free(*slot);
    *slot = text ? strdup(text) : NULL;
}

void ch_camera_describe(struct ch_camera *camera, const char *device_model, const char *capabilities)
{
    keep(&camera->device_model, device_model);
    keep(&camera->capabilities, capabilities);
    ch_camera_changed(camera);
}

// --- sessions ---

void ch_camera_end_session(struct ch_camera *camera, const char *end_reason)
{
    bool was = camera->session || camera->capturing;
    if (camera->stream)
        ch_stream_flush(camera->stream, 0, INT64_MIN);
    if (camera->session)
        ch_session_end(camera->session, end_reason);
    camera->capturing = false;
    camera->retry_us = 0;
    camera->warned_unrecorded = false;
    if (camera->stream)
        ch_stream_fence(camera->stream);
    if (was)
        ch_camera_changed(camera);
}

static void start_session(struct ch_camera *camera)
{
    camera->capturing = true;
    camera->retry_us = 0;
    if (camera->hub->stopping)
        return;
    if (!ch_camera_stream(camera) || !ch_session_start(camera))
        ch_log_error("%s: no memory for a session", camera->name);
    ch_camera_changed(camera);
}

void ch_camera_begin_session(struct ch_camera *camera)
{
    if (camera->session) {
        // The encoder was started anew: its first key frame may have come already, and is in the log.
        ch_stream_flush(camera->stream, 0, INT64_MIN);
        ch_session_end(camera->session, "restarted");
    }
    start_session(camera);
}

// --- figures ---

// What came since the last look, if that is long enough ago. Leaves in `at` the new state of things.
static bool look(const struct ch_camera *camera, struct ch_camera_figures *at, int64_t now_us, int64_t least_us)
{
    if (!camera->stream || now_us - at->since_us < least_us)
        return false;
    const struct ch_stream_counts *counts = ch_stream_counts(camera->stream);
    bool first = at->since_us == 0;
    int64_t span_us = now_us - at->since_us;
    at->centi_fps = first ? 0 : (uint32_t)((counts->pictures - at->pictures) * 100000000 / (uint64_t)span_us);
    at->bitrate = first ? 0 : (counts->payload_bytes - at->bytes) * 8000000 / (uint64_t)span_us;
    at->pictures = counts->pictures;
    at->bytes = counts->payload_bytes;
    at->since_us = now_us;
    return !first;
}

static void log_figures(struct ch_camera *camera, int64_t now_us)
{
    struct ch_camera_figures *at = &camera->logged;
    uint64_t missing = camera->sequence.missing - at->missing;
    if (!look(camera, at, now_us, LOGGED_US))
        return;
    at->missing = camera->sequence.missing;
    if (at->centi_fps == 0)
        return;
    unsigned deci = (at->centi_fps + 5) / 10;
    unsigned long long kbits = at->bitrate / 1000;
    ch_log_info("%s: %u.%u frames/s, %llu.%02llu Mbit/s, %llu lost%s", camera->name, deci / 10, deci % 10, kbits / 1000,
                kbits % 1000 / 10, (unsigned long long)missing, camera->session ? ", recording" : "");
}

void ch_camera_housekeep(struct ch_camera *camera, int64_t now_us)
{
    look(camera, &camera->figures, now_us, FIGURES_US);
    if (!camera->link)
        return;
    log_figures(camera, now_us);
    if (camera->stream)
        ch_stream_flush(camera->stream, now_us, FLUSH_HELD_US);
    if (camera->retry_us > 0 && now_us - camera->retry_us >= RETRY_US && !camera->session)
        start_session(camera);
}

// --- commands ---

enum ch_command_outcome ch_camera_command(struct ch_camera *camera, const struct ch_camera_message *message)
{
    const char *text = camera->kind == CH_CAMERA_JPEG ? message->for_jpeg : message->for_h264;
    if (message->kind == CH_COMMAND_STOP)
        camera->resume[0] = '\0'; // also of a lost one: it does not begin again when it comes back
    if (!camera->link)
        return CH_OUTCOME_LOST;
    if (!text)
        return CH_OUTCOME_NOTHING;
    int rc = camera->link_ops->send(camera->link, message->kind, text, strlen(text));
    if (rc < 0) {
        ch_log_error("%s: command could not be sent: %s", camera->name,
                     rc == -ENOBUFS ? "the camera does not read" : strerror(-rc));
        return CH_OUTCOME_FAILED;
    }
    note(&camera->command, false, text, strlen(text));
    ch_events_camera(camera);
    return CH_OUTCOME_SENT;
}

unsigned ch_camera_command_all(struct ch_hub *hub, const struct ch_camera_message *message)
{
    unsigned sent = 0;
    for (struct ch_camera *camera = hub->cameras; camera; camera = camera->next)
        sent += ch_camera_command(camera, message) == CH_OUTCOME_SENT;
    return sent;
}
