#include "app/camera.h"

#include "app/session.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "proto/camera_h264.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIGURES_US INT64_C(10000000)
#define RETRY_US INT64_C(1000000)
#define FLUSH_HELD_US INT64_C(300000) // pictures held for their order, when no more come

static struct ch_camera *find(struct ch_hub *hub, const char *name)
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

int ch_camera_open(struct ch_peer *peer, const char *name)
{
    struct ch_hub *hub = peer->hub;
    struct ch_camera *camera = calloc(1, sizeof *camera);
    if (!camera)
        return -ENOMEM;
    camera->hub = hub;
    camera->peer = peer;
    camera->named = name;
    snprintf(camera->name, sizeof camera->name, "%s", name ? name : peer->conn.peer_name);
    // A phone that changed its network comes back before its old connection is known to be dead.
    struct ch_camera *old = find(hub, camera->name);
    if (old) {
        struct ch_peer *old_peer = old->peer;
        ch_log_warning("%s: connected again from %s; its connection from %s is closed", camera->name, peer->conn.peer,
                       old_peer->conn.peer);
        ch_camera_gone(old);
        ch_peer_close(old_peer, CH_WS_POLICY, "Replaced by a new connection of this name");
    }
    peer->camera = camera;
    peer->ws.ops = &ch_camera_ws_ops;
    insert(hub, camera);
    ch_log(CH_LOG_INFO, CH_TAG_CONNECTION, "%s: connected from %s", camera->name, peer->conn.peer);
    return 0;
}

void ch_camera_gone(struct ch_camera *camera)
{
    ch_camera_end_session(camera, "disconnected");
    ch_log(CH_LOG_INFO, CH_TAG_CONNECTION, "%s: disconnected", camera->name);
    take_out(camera);
    camera->peer->camera = NULL;
    ch_stream_free(camera->stream);
    ch_frame_unref(camera->frame);
    ch_sequence_deinit(&camera->sequence);
    free(camera->text);
    free(camera->device_model);
    free(camera->capabilities);
    free(camera);
}

// --- sessions ---

void ch_camera_end_session(struct ch_camera *camera, const char *end_reason)
{
    if (camera->stream)
        ch_stream_flush(camera->stream, 0, INT64_MIN);
    if (camera->session)
        ch_session_end(camera->session, end_reason);
    camera->capturing = false;
    camera->retry_us = 0;
    camera->warned_unrecorded = false;
    if (camera->stream)
        ch_stream_fence(camera->stream);
}

static struct ch_stream *stream_of(struct ch_camera *camera)
{
    if (!camera->stream)
        camera->stream = ch_stream_new();
    return camera->stream;
}

static void start_session(struct ch_camera *camera)
{
    camera->capturing = true;
    camera->retry_us = 0;
    if (camera->hub->stopping)
        return;
    if (!stream_of(camera) || !ch_session_start(camera))
        ch_log_error("%s: no memory for a session", camera->name);
}

static void capture_started(struct ch_camera *camera)
{
    if (camera->session) {
        // The encoder was started anew: its first key frame may have come already, and is in the log.
        ch_stream_flush(camera->stream, 0, INT64_MIN);
        ch_session_end(camera->session, "restarted");
    }
    start_session(camera);
}

static void write_figures(struct ch_camera *camera, int64_t now_us)
{
    if (!camera->stream || now_us - camera->figures_us < FIGURES_US)
        return;
    const struct ch_stream_counts *counts = ch_stream_counts(camera->stream);
    uint64_t frames = counts->pictures - camera->figures_frames;
    uint64_t bytes = counts->payload_bytes - camera->figures_bytes;
    uint64_t missing = camera->sequence.missing - camera->figures_missing;
    int64_t ms = (now_us - camera->figures_us) / 1000;
    if (frames > 0 && camera->figures_us > 0) {
        uint64_t rate = frames * 10000 / (uint64_t)ms, kbits = bytes * 8 / (uint64_t)ms;
        ch_log_info("%s: %llu.%llu frames/s, %llu.%02llu Mbit/s, %llu lost%s", camera->name,
                    (unsigned long long)rate / 10, (unsigned long long)rate % 10, (unsigned long long)kbits / 1000,
                    (unsigned long long)kbits % 1000 / 10, (unsigned long long)missing,
                    camera->session ? ", recording" : "");
    }
    camera->figures_us = now_us;
    camera->figures_frames = counts->pictures;
    camera->figures_bytes = counts->payload_bytes;
    camera->figures_missing = camera->sequence.missing;
}

void ch_camera_housekeep(struct ch_camera *camera, int64_t now_us)
{
    write_figures(camera, now_us);
    if (camera->stream)
        ch_stream_flush(camera->stream, now_us, FLUSH_HELD_US);
    if (camera->retry_us > 0 && now_us - camera->retry_us >= RETRY_US && !camera->session)
        start_session(camera);
}

// --- texts ---

static void keep(char **slot, const char *text)
{
    free(*slot);
    *slot = text ? strdup(text) : NULL;
}

static void take_text(struct ch_camera *camera, const char *text, size_t size)
{
    struct ch_camera_text said;
    if (ch_camera_parse_text(text, size, &said) < 0) {
        ch_camera_text_deinit(&said);
        return;
    }
    switch (said.kind) {
    case CH_CAMERA_READY:
        camera->ready = true;
        ch_log(CH_LOG_INFO, CH_TAG_STATUS, "%s: ready%s%s", camera->name, said.message[0] ? ": " : "", said.message);
        break;
    case CH_CAMERA_CAPABILITIES:
        keep(&camera->device_model, said.device_model[0] ? said.device_model : NULL);
        keep(&camera->capabilities, said.capabilities);
        ch_log(CH_LOG_INFO, CH_TAG_STATUS, "%s: is a %s", camera->name,
               said.device_model[0] ? said.device_model : "camera without a model name");
        break;
    case CH_CAMERA_CAPTURE_STARTED:
        ch_log(CH_LOG_INFO, CH_TAG_STATUS, "%s: capture started%s%s", camera->name, said.message[0] ? ": " : "",
               said.message);
        capture_started(camera);
        break;
    case CH_CAMERA_CAPTURE_STOPPED:
        ch_log(CH_LOG_INFO, CH_TAG_STATUS, "%s: capture stopped%s%s", camera->name, said.message[0] ? ": " : "",
               said.message);
        ch_camera_end_session(camera, "capture_stopped");
        break;
    case CH_CAMERA_ERROR: ch_log(CH_LOG_ERROR, CH_TAG_STATUS, "%s: error: %s", camera->name, said.message); break;
    case CH_CAMERA_OTHER:
        ch_log(CH_LOG_INFO, CH_TAG_STATUS, "%s: %.*s", camera->name, (int)(size < 300 ? size : 300), text);
        break;
    }
    ch_camera_text_deinit(&said);
}

// --- frames ---

static void note_frame(struct ch_camera *camera, uint64_t device_ms, uint32_t sequence, uint32_t bytes)
{
    uint32_t missing;
    if (device_ms > 0) // parameter sets, with time 0, may not be numbered with the pictures
        ch_sequence_next(&camera->sequence, sequence, 0, &missing);
    ch_log(CH_LOG_DEBUG, CH_TAG_FRAME, "%s: sequence %u, device time %llu ms, %u bytes", camera->name, sequence,
           (unsigned long long)device_ms, bytes);
    if (!camera->session && !camera->warned_unrecorded && device_ms > 0 && camera->retry_us == 0) {
        camera->warned_unrecorded = true;
        ch_log_warning("%s: frames come without a session; they are not recorded", camera->name);
    }
}

static void take_frame(struct ch_camera *camera, size_t size)
{
    struct ch_frame *frame = camera->frame;
    camera->frame = NULL;
    if (!stream_of(camera)) {
        ch_frame_unref(frame);
        return;
    }
    struct ch_camera_header header = {0};
    if (ch_camera_parse_header(frame->message, size, &header) == 0)
        note_frame(camera, header.device_ms, header.sequence, header.payload_bytes);
    uint32_t declared;
    int rc = ch_stream_append(camera->stream, &frame, size, ch_clock_wall_us(), ch_clock_mono_us(), &declared);
    if (rc == -EMSGSIZE)
        ch_log_error("%s: message of %zu bytes dropped: a frame begins with a header of %u bytes", camera->name, size,
                     CH_CAMERA_HEADER_BYTES);
    else if (rc == -EBADMSG)
        ch_log_error("%s: message dropped: its header says %u bytes of payload, %zu came", camera->name, declared,
                     size - CH_CAMERA_HEADER_BYTES);
    else if (rc < 0)
        ch_log_error("%s: frame lost: %s", camera->name, strerror(-rc));
}

static uint8_t *frame_room(struct ch_camera *camera, size_t have, size_t add, bool last)
{
    size_t need = have + add < CH_CAMERA_HEADER_BYTES ? CH_CAMERA_HEADER_BYTES : have + add;
    if (!camera->frame) {
        camera->frame = ch_frame_new(need);
    } else if (camera->frame->message_bytes < need) {
        size_t grown = last ? need : need + need / 2; // of a message in many pieces
        if (ch_frame_grow(&camera->frame, grown) < 0)
            return NULL;
    }
    return camera->frame ? camera->frame->message : NULL;
}

static uint8_t *on_room(struct ch_ws *ws, uint8_t opcode, size_t have, size_t add, bool last)
{
    struct ch_camera *camera = ((struct ch_peer *)ws->owner)->camera;
    if (opcode == CH_WS_BINARY)
        return frame_room(camera, have, add, last);
    char *text = realloc(camera->text, have + add + 1);
    if (!text)
        return NULL;
    camera->text = text;
    return (uint8_t *)text;
}

static void on_message(struct ch_ws *ws, uint8_t opcode, size_t size)
{
    struct ch_camera *camera = ((struct ch_peer *)ws->owner)->camera;
    if (opcode == CH_WS_BINARY) {
        take_frame(camera, size);
        return;
    }
    take_text(camera, camera->text, size);
    free(camera->text);
    camera->text = NULL;
}

static void on_closing(struct ch_ws *ws)
{
    struct ch_camera *camera = ((struct ch_peer *)ws->owner)->camera;
    if (camera)
        ch_camera_end_session(camera, camera->hub->stopping ? "shutdown" : "disconnected");
}

const struct ch_ws_ops ch_camera_ws_ops = {.room = on_room, .message = on_message, .closing = on_closing};

// --- commands ---

bool ch_camera_command(struct ch_camera *camera, const struct ch_command *command)
{
    char text[CH_CAMERA_COMMAND_BYTES];
    size_t size = ch_camera_write_command(command, text);
    int rc = ch_ws_send_text(&camera->peer->ws, text, size);
    if (rc < 0)
        ch_log_error("%s: command could not be sent: %s", camera->name,
                     rc == -ENOBUFS ? "the camera does not read" : strerror(-rc));
    return rc == 0;
}
