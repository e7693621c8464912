#include "app/phone.h"

#include "app/camera.h"
#include "base/clock.h"
#include "base/log.h"
#include "proto/camera_h264.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ch_phone {
    struct ch_peer *peer;
    struct ch_camera *camera; // NULL: another connection has taken its name, or it is closing
    // The message being read
    struct ch_frame *frame;
    char *text;
};

// --- texts ---

static void take_text(struct ch_camera *camera, const char *text, size_t size)
{
    struct ch_camera_text said;
    if (ch_camera_parse_text(text, size, &said) < 0) {
        ch_camera_text_deinit(&said);
        return;
    }
    const char *name = camera->name, *colon = said.message[0] ? ": " : "";
    switch (said.kind) {
    case CH_CAMERA_READY:
        ch_log(CH_LOG_INFO, CH_TAG_STATUS, "%s: ready%s%s", name, colon, said.message);
        ch_camera_said_ready(camera);
        break;
    case CH_CAMERA_CAPABILITIES:
        ch_log(CH_LOG_INFO, CH_TAG_STATUS, "%s: is a %s", name,
               said.device_model[0] ? said.device_model : "camera without a model name");
        ch_camera_describe(camera, said.device_model[0] ? said.device_model : NULL, said.capabilities);
        break;
    case CH_CAMERA_CAPTURE_STARTED:
        ch_log(CH_LOG_INFO, CH_TAG_STATUS, "%s: capture started%s%s", name, colon, said.message);
        ch_camera_begin_session(camera);
        break;
    case CH_CAMERA_CAPTURE_STOPPED:
        ch_log(CH_LOG_INFO, CH_TAG_STATUS, "%s: capture stopped%s%s", name, colon, said.message);
        ch_camera_end_session(camera, "capture_stopped");
        break;
    case CH_CAMERA_ERROR: ch_log(CH_LOG_ERROR, CH_TAG_STATUS, "%s: error: %s", name, said.message); break;
    case CH_CAMERA_OTHER:
        ch_log(CH_LOG_INFO, CH_TAG_STATUS, "%s: %.*s", name, (int)(size < 300 ? size : 300), text);
        break;
    }
    if (said.kind == CH_CAMERA_OTHER)
        ch_camera_said(camera, false, text, size);
    else if (said.kind != CH_CAMERA_CAPABILITIES && said.message[0])
        ch_camera_said(camera, said.kind == CH_CAMERA_ERROR, said.message, strlen(said.message));
    ch_camera_text_deinit(&said);
}

// --- frames ---

static void note_frame(struct ch_camera *camera, const struct ch_camera_header *header)
{
    uint32_t missing;
    if (header->device_ms > 0) // parameter sets, with time 0, may not be numbered with the pictures
        ch_sequence_next(&camera->sequence, header->sequence, 0, &missing);
    ch_log(CH_LOG_DEBUG, CH_TAG_FRAME, "%s: sequence %u, device time %llu ms, %u bytes", camera->name, header->sequence,
           (unsigned long long)header->device_ms, header->payload_bytes);
    if (!camera->session && !camera->warned_unrecorded && header->device_ms > 0 && camera->retry_us == 0) {
        camera->warned_unrecorded = true;
        ch_log_warning("%s: frames come without a session; they are not recorded", camera->name);
    }
}

static void take_frame(struct ch_camera *camera, struct ch_frame *frame, size_t size)
{
    struct ch_stream *stream = ch_camera_stream(camera);
    if (!stream) {
        ch_frame_unref(frame);
        return;
    }
    struct ch_camera_header header = {0};
    if (ch_camera_parse_header(frame->message, size, &header) == 0)
        note_frame(camera, &header);
    uint32_t declared;
    int rc = ch_stream_append(stream, &frame, size, ch_clock_wall_us(), ch_clock_mono_us(), &declared);
    if (rc == -EMSGSIZE)
        ch_log_error("%s: message of %zu bytes dropped: a frame begins with a header of %u bytes", camera->name, size,
                     CH_CAMERA_HEADER_BYTES);
    else if (rc == -EBADMSG)
        ch_log_error("%s: message dropped: its header says %u bytes of payload, %zu came", camera->name, declared,
                     size - CH_CAMERA_HEADER_BYTES);
    else if (rc < 0)
        ch_log_error("%s: frame lost: %s", camera->name, strerror(-rc));
    else
        ch_camera_took_message(camera);
}

// --- the WebSocket's calls ---

static struct ch_phone *phone_of(const struct ch_ws *ws)
{
    return ((struct ch_peer *)ws->owner)->role_data;
}

static uint8_t *on_room(struct ch_ws *ws, uint8_t opcode, size_t have, size_t add, bool last)
{
    struct ch_phone *phone = phone_of(ws);
    size_t need = have + add < CH_CAMERA_HEADER_BYTES ? CH_CAMERA_HEADER_BYTES : have + add;
    if (opcode == CH_WS_BINARY)
        return ch_frame_room(&phone->frame, need, last);
    char *text = realloc(phone->text, have + add + 1);
    if (!text)
        return NULL;
    phone->text = text;
    return (uint8_t *)text;
}

static void on_message(struct ch_ws *ws, uint8_t opcode, size_t size)
{
    struct ch_phone *phone = phone_of(ws);
    if (opcode == CH_WS_BINARY) {
        struct ch_frame *frame = phone->frame;
        phone->frame = NULL;
        take_frame(phone->camera, frame, size);
        return;
    }
    take_text(phone->camera, phone->text, size);
    free(phone->text);
    phone->text = NULL;
}

// The camera ends with the closing handshake, not with the connection: no more messages come.
static void on_closing(struct ch_ws *ws)
{
    struct ch_phone *phone = phone_of(ws);
    if (phone->camera)
        ch_camera_end_session(phone->camera, phone->camera->hub->stopping ? "shutdown" : "disconnected");
}

static const struct ch_ws_ops ws_ops = {.room = on_room, .message = on_message, .closing = on_closing};

// --- the camera's calls ---

static int on_send(void *link, enum ch_command_kind kind, const char *text, size_t size)
{
    (void)kind;
    return ch_ws_send_text(&((struct ch_phone *)link)->peer->ws, text, size);
}

static void on_read(void *link, bool on)
{
    ch_conn_read(&((struct ch_phone *)link)->peer->conn, on);
}

static void on_replaced(void *link)
{
    struct ch_phone *phone = link;
    phone->camera = NULL;
    ch_peer_close(phone->peer, CH_WS_POLICY, "Replaced by a new connection of this name");
}

static const struct ch_camera_link_ops link_ops = {.send = on_send, .read = on_read, .replaced = on_replaced};

// --- the peer's calls ---

static const char *on_name(const struct ch_peer *peer)
{
    const struct ch_phone *phone = peer->role_data;
    return phone->camera ? phone->camera->name : NULL;
}

static void on_gone(struct ch_peer *peer)
{
    struct ch_phone *phone = peer->role_data;
    if (phone->camera)
        ch_camera_disconnect(phone->camera);
    ch_frame_unref(phone->frame);
    free(phone->text);
    free(phone);
}

static const struct ch_peer_role role = {.gone = on_gone, .name = on_name};

int ch_phone_open(struct ch_peer *peer, const char *name)
{
    struct ch_phone *phone = calloc(1, sizeof *phone);
    if (!phone)
        return -ENOMEM;
    phone->peer = peer;
    phone->camera = ch_camera_connect(peer->hub, name ? name : peer->conn.peer_name, name != NULL, CH_CAMERA_H264,
                                      peer->conn.peer, &link_ops, phone);
    if (!phone->camera) {
        free(phone);
        return -ENOMEM;
    }
    ch_peer_become(peer, &role, phone, &ws_ops);
    return 0;
}
