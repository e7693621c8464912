// The ESP32's language: lines of text, wire protocol 2.
#include "cli/push_language.h"

#include "cli/push_camera.h"
#include "cli/push_room.h"

#include <stdio.h>

#define TEXT_BYTES 400

// What the pictures are like: with a shared encoder, those of the camera that was told last.
static void describe_pictures(const struct ch_push_camera *camera, char out[CH_PUSH_SENSOR_TEXT])
{
    const struct ch_push_room *room = camera->room;
    const struct ch_push_file *file = &room->file;
    if (room->kind == CH_PUSH_THROUGH)
        snprintf(out, CH_PUSH_SENSOR_TEXT, "pictures of %ux%u sent as they are, %u fps", file->width, file->height,
                 room->rate_num);
    else
        ch_push_sensor_describe(ch_push_camera_captures(camera) ? &room->encoder.values.sensor : &camera->sensor, out);
}

static void send_status(struct ch_push_camera *camera)
{
    char pictures[CH_PUSH_SENSOR_TEXT], text[TEXT_BYTES];
    describe_pictures(camera, pictures);
    snprintf(text, sizeof text, "STATUS: %s, %s, %llu sent, %llu skipped",
             camera->state == CH_PUSH_CAPTURING ? "streaming"
             : camera->state == CH_PUSH_WAITING ? "starting"
                                                : "idle",
             pictures, (unsigned long long)camera->pictures, (unsigned long long)camera->skipped);
    ch_push_ws_send_text(&camera->ws, text);
}

// A child's own words may be in any encoding, or cut within a character; a text must be UTF-8.
static void failed(struct ch_push_camera *camera, const char *why)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "ERROR: the source failed: %s", why);
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    ch_push_ws_send_text(&camera->ws, text);
}

static void begin(struct ch_push_camera *camera)
{
    ch_push_camera_take_start(camera, &(struct ch_push_values){.sensor = camera->sensor});
}

static void hear(struct ch_push_camera *camera, const char *text, size_t size)
{
    struct ch_push_sensor before = camera->sensor;
    struct ch_push_answer answer;
    ch_push_camera_quote(camera, text, size);
    ch_push_sensor_take(&camera->sensor, text, size, &answer);
    if (answer.error[0])
        ch_push_ws_send_text(&camera->ws, answer.error);
    if (answer.ack[0])
        ch_push_ws_send_text(&camera->ws, answer.ack);
    bool through = camera->room->kind == CH_PUSH_THROUGH, captures = ch_push_camera_captures(camera);
    switch (answer.line) {
    case CH_PUSH_LINE_START:
        // One that plays a file goes on: there is nothing that could change.
        if (!through || !captures)
            begin(camera);
        break;
    case CH_PUSH_LINE_SET:
        if (!through && captures && !ch_push_sensor_same(&before, &camera->sensor))
            begin(camera);
        break;
    case CH_PUSH_LINE_STOP: ch_push_camera_take_stop(camera); break;
    case CH_PUSH_LINE_STATUS: send_status(camera); break;
    case CH_PUSH_LINE_EMPTY:
    case CH_PUSH_LINE_OTHER: break;
    }
}

const struct ch_push_language ch_push_esp32 = {
    .headers = false,
    .greet = send_status,
    .begin = begin,
    .began = send_status,
    .ended = send_status,
    .failed = failed,
    .hear = hear,
};
