#include "app/esp.h"

#include "app/camera.h"
#include "app/ring.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_BYTES 300                // of a camera's text, in the log
#define RATE_US CH_US_PER_S           // the frame rate is measured over as long at the least
#define TAIL_US INT64_C(2000000)      // pictures that were under way when it was told to stop
#define REMEMBER_US INT64_C(60000000) // of a camera without a name: how long its address stands for it

struct ch_esp {
    struct ch_peer *peer;
    struct ch_camera *camera; // NULL: another connection has taken its name, or it is closing
    struct ch_ring *ring;     // NULL: no memory for it
    uint32_t pictures;        // of this connection
    uint64_t refused;         // messages in a row that were no picture
    int64_t stopped_us;       // when it was told to stop, if it was, monotonic; 0: pictures begin a session
    bool paused;              // it is not read: the disk is behind
    struct {
        int64_t since_us;
        uint32_t pictures;
    } rate;
    // The message being read
    struct ch_frame *frame;
    char *text;
};

// --- texts ---

static void take_text(struct ch_camera *camera, const char *text, size_t size)
{
    bool error = size >= 6 && strncasecmp(text, "ERROR:", 6) == 0;
    int shown = (int)(size < LINE_BYTES ? size : LINE_BYTES);
    ch_log(error ? CH_LOG_ERROR : CH_LOG_INFO, CH_TAG_STATUS, "%s: %.*s", camera->name, shown, text);
    if (!camera->ready)
        ch_camera_said_ready(camera);
    ch_camera_said(camera, error, text, size);
}

// --- pictures ---

// The first of several in a row is told of, the others are counted.
static void refuse(struct ch_esp *esp, size_t size)
{
    if (esp->refused++ == 0)
        ch_log_error("%s: message of %zu bytes dropped: it is no whole JPEG", esp->camera->name, size);
}

static void end_refusals(struct ch_esp *esp)
{
    if (esp->refused > 1)
        ch_log_error("%s: %llu messages in a row were dropped: they were no whole JPEGs", esp->camera->name,
                     (unsigned long long)esp->refused);
    esp->refused = 0;
}

static void measure_rate(struct ch_esp *esp, int64_t now_us)
{
    int64_t span_us = now_us - esp->rate.since_us;
    if (esp->rate.since_us == 0 || span_us > CH_LIMIT_SILENCE_US) {
        esp->rate.since_us = now_us;
        esp->rate.pictures = 0;
        return;
    }
    esp->rate.pictures++;
    if (span_us < RATE_US)
        return;
    int64_t centi = (esp->rate.pictures * INT64_C(100) * CH_US_PER_S + span_us / 2) / span_us;
    ch_log(CH_LOG_INFO, CH_TAG_FRAME, "%s: FPS: %lld.%02lld", esp->camera->name, (long long)(centi / 100),
           (long long)(centi % 100));
    esp->rate.since_us = now_us;
    esp->rate.pictures = 0;
}

// A session begins with this picture, if none runs and none was ended on purpose.
static void want_session(struct ch_esp *esp, int64_t now_us)
{
    struct ch_camera *camera = esp->camera;
    if (camera->session || camera->retry_us > 0)
        return;
    if (esp->stopped_us == 0) {
        ch_camera_begin_session(camera);
    } else if (now_us - esp->stopped_us > TAIL_US && !camera->warned_unrecorded) {
        camera->warned_unrecorded = true;
        ch_log_warning("%s: pictures come although it was told to stop; they are not recorded", camera->name);
    }
}

static void take_picture(struct ch_esp *esp, struct ch_frame *frame, size_t size)
{
    struct ch_camera *camera = esp->camera;
    struct ch_stream *stream = frame ? ch_camera_stream(camera) : NULL;
    if (!stream) {
        ch_frame_unref(frame);
        return;
    }
    int64_t now_us = ch_clock_mono_us();
    int rc = ch_stream_append_jpeg(stream, &frame, size, ch_clock_wall_us(), now_us);
    if (rc == -EBADMSG) {
        refuse(esp, size);
        return;
    }
    if (rc < 0) {
        ch_log_error("%s: picture lost: %s", camera->name, strerror(-rc));
        return;
    }
    end_refusals(esp);
    ch_camera_took_message(camera);
    measure_rate(esp, now_us);
    want_session(esp, now_us);
    struct ch_frame *newest = ch_stream_newest_key(stream);
    if (esp->ring && newest)
        ch_ring_add(esp->ring, newest, ++esp->pictures);
}

// --- the WebSocket's calls ---

static struct ch_esp *esp_of(const struct ch_ws *ws)
{
    return ((struct ch_peer *)ws->owner)->role_data;
}

static uint8_t *on_room(struct ch_ws *ws, uint8_t opcode, size_t have, size_t add, bool last)
{
    struct ch_esp *esp = esp_of(ws);
    if (opcode == CH_WS_BINARY)
        return ch_frame_room(&esp->frame, have + add, last);
    char *text = realloc(esp->text, have + add + 1);
    if (!text)
        return NULL;
    esp->text = text;
    return (uint8_t *)text;
}

static void on_message(struct ch_ws *ws, uint8_t opcode, size_t size)
{
    struct ch_esp *esp = esp_of(ws);
    if (opcode == CH_WS_BINARY) {
        struct ch_frame *frame = esp->frame;
        esp->frame = NULL;
        take_picture(esp, frame, size);
        return;
    }
    take_text(esp->camera, esp->text ? esp->text : "", size);
    free(esp->text);
    esp->text = NULL;
}

// The camera ends with the closing handshake, not with the connection: no more messages come.
static void on_closing(struct ch_ws *ws)
{
    struct ch_esp *esp = esp_of(ws);
    if (esp->camera)
        ch_camera_end_session(esp->camera, esp->camera->hub->stopping ? "shutdown" : "disconnected");
}

static const struct ch_ws_ops ws_ops = {.room = on_room, .message = on_message, .closing = on_closing};

// --- the camera's calls ---

static int on_send(void *link, enum ch_command_kind kind, const char *text, size_t size)
{
    struct ch_esp *esp = link;
    struct ch_camera *camera = esp->camera;
    int rc = ch_ws_send_text(&esp->peer->ws, text, size);
    if (rc < 0)
        return rc;
    if (kind == CH_COMMAND_START) {
        esp->stopped_us = 0;
        camera->warned_unrecorded = false;
        if (size < sizeof camera->resume)
            snprintf(camera->resume, sizeof camera->resume, "%.*s", (int)size, text);
    } else if (kind == CH_COMMAND_STOP) {
        esp->stopped_us = ch_clock_mono_us();
        camera->resume[0] = '\0';
        ch_camera_end_session(camera, "capture_stopped");
    }
    return 0;
}

static void on_read(void *link, bool on)
{
    struct ch_esp *esp = link;
    if (on && esp->paused)
        esp->camera->last_picture_us = ch_clock_mono_us(); // that it was silent was our own doing
    esp->paused = !on;
    ch_conn_read(&esp->peer->conn, on);
}

static void on_replaced(void *link)
{
    struct ch_esp *esp = link;
    esp->camera = NULL;
    ch_peer_close(esp->peer, CH_WS_POLICY, "Replaced by a new connection of this name");
}

static const struct ch_camera_link_ops link_ops = {.send = on_send, .read = on_read, .replaced = on_replaced};

// --- the peer's calls ---

static const char *on_name(const struct ch_peer *peer)
{
    const struct ch_esp *esp = peer->role_data;
    return esp->camera ? esp->camera->name : NULL;
}

static void on_housekeep(struct ch_peer *peer, int64_t now_us)
{
    struct ch_esp *esp = peer->role_data;
    struct ch_camera *camera = esp->camera;
    if (!camera || esp->paused || camera->last_picture_us == 0 ||
        now_us - camera->last_picture_us < CH_LIMIT_SILENCE_US)
        return;
    esp->stopped_us = 0;
    if (!camera->session && !camera->capturing)
        return;
    ch_log_info("%s: no picture for %d s", camera->name, (int)(CH_LIMIT_SILENCE_US / CH_US_PER_S));
    ch_camera_end_session(camera, "silence");
}

static void on_gone(struct ch_peer *peer)
{
    struct ch_esp *esp = peer->role_data;
    if (esp->camera) {
        end_refusals(esp);
        ch_camera_disconnect(esp->camera);
    }
    if (esp->ring)
        ch_ring_leave(esp->ring);
    ch_frame_unref(esp->frame);
    free(esp->text);
    free(esp);
}

static const struct ch_peer_role role = {.gone = on_gone, .housekeep = on_housekeep, .name = on_name};

// --- beginning ---

static size_t host_bytes(const char *address)
{
    const char *colon = strrchr(address, ':');
    return colon ? (size_t)(colon - address) : strlen(address);
}

// A camera without a name has another one with every connection; it is the same one if it comes from where one
// was lost a moment ago.
static struct ch_camera *find_before(const struct ch_camera *camera)
{
    int64_t now_us = ch_clock_wall_us();
    size_t size = host_bytes(camera->address);
    for (struct ch_camera *other = camera->hub->cameras; other; other = other->next)
        if (other != camera && !other->link && !other->named && other->kind == CH_CAMERA_JPEG && other->resume[0] &&
            now_us - other->state_since_us < REMEMBER_US && host_bytes(other->address) == size &&
            memcmp(other->address, camera->address, size) == 0)
            return other;
    return NULL;
}

// It was told to start before its connection was lost, and has forgotten it.
static void resume(struct ch_camera *camera)
{
    struct ch_camera *before = camera->named || camera->resume[0] ? NULL : find_before(camera);
    if (before) {
        memcpy(camera->resume, before->resume, sizeof camera->resume);
        before->resume[0] = '\0';
    }
    if (!camera->resume[0])
        return;
    char line[sizeof camera->resume];
    memcpy(line, camera->resume, sizeof line);
    ch_log_info("%s: was capturing when it was lost; told again: %s", camera->name, line);
    ch_camera_command(camera, &(struct ch_camera_message){.kind = CH_COMMAND_START, .for_jpeg = line});
}

int ch_esp_open(struct ch_peer *peer, const char *name)
{
    struct ch_esp *esp = calloc(1, sizeof *esp);
    if (!esp)
        return -ENOMEM;
    esp->peer = peer;
    esp->camera = ch_camera_connect(peer->hub, name ? name : peer->conn.peer_name, name != NULL, CH_CAMERA_JPEG,
                                    peer->conn.peer, &link_ops, esp);
    if (!esp->camera) {
        free(esp);
        return -ENOMEM;
    }
    esp->ring = ch_ring_join(peer->hub, name);
    ch_peer_become(peer, &role, esp, &ws_ops);
    resume(esp->camera);
    return 0;
}
