// The phone's language: wire protocol 1.1 and 1.3.
#include "cli/push_language.h"

#include "cli/push_camera.h"
#include "cli/push_room.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char text_ready[] = "{\"status\":\"ready\",\"message\":\"Camera is ready\"}";
static const char text_started[] = "{\"status\":\"capture_started\",\"message\":\"Capture started\"}";
static const char text_stopped[] = "{\"status\":\"capture_stopped\",\"message\":\"Capture stopped\"}";

static void greet(struct ch_push_camera *camera)
{
    ch_push_ws_send_text(&camera->ws, text_ready);
    ch_push_ws_send_text(&camera->ws, camera->room->capabilities);
}

static void begin(struct ch_push_camera *camera)
{
    const struct ch_push_options *options = camera->room->options;
    ch_push_camera_take_start(camera, &(struct ch_push_values){.fps = options->fps > 0 ? options->fps : 0,
                                                               .bitrate_mbps = options->bitrate_mbps});
}

static void began(struct ch_push_camera *camera)
{
    ch_push_ws_send_text(&camera->ws, text_started);
}

static void ended(struct ch_push_camera *camera)
{
    ch_push_ws_send_text(&camera->ws, text_stopped);
}

static void failed(struct ch_push_camera *camera, const char *why)
{
    json_t *message = json_pack("{s:s, s:s+}", "status", "error", "message", "the source failed: ", why);
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    ch_push_ws_send_text(&camera->ws, text ? text : "{\"status\":\"error\",\"message\":\"the source failed\"}");
    free(text);
    json_decref(message);
}

static void take_start(struct ch_push_camera *camera, const struct ch_command *command)
{
    char aspect[40] = "as it is";
    if (command->aspect_w > 0)
        snprintf(aspect, sizeof aspect, "%d:%d", command->aspect_w, command->aspect_h);
    ch_push_camera_say(camera, CH_LOG_INFO, CH_TAG_INFO, "start_capture: %d Mbit/s, %d fps, aspect ratio %s%s",
                       command->bitrate_mbps, command->fps, aspect,
                       camera->room->kind == CH_PUSH_THROUGH ? "; the file is passed through with its own" : "");
    ch_push_camera_take_start(camera, &(struct ch_push_values){.fps = command->fps,
                                                               .bitrate_mbps = command->bitrate_mbps,
                                                               .aspect_w = command->aspect_w,
                                                               .aspect_h = command->aspect_h});
}

static void hear(struct ch_push_camera *camera, const char *text, size_t size)
{
    struct ch_command command;
    if (ch_camera_parse_command(text, size, &command) < 0) {
        ch_push_camera_quote(camera, text, size);
        return;
    }
    if (command.kind == CH_COMMAND_START) {
        take_start(camera, &command);
        return;
    }
    ch_push_camera_say(camera, CH_LOG_INFO, CH_TAG_INFO, "stop_capture");
    if (!ch_push_camera_take_stop(camera)) // answered in any case
        ch_push_ws_send_text(&camera->ws, text_stopped);
}

const struct ch_push_language ch_push_phone = {
    .headers = true,
    .greet = greet,
    .begin = begin,
    .began = began,
    .ended = ended,
    .failed = failed,
    .hear = hear,
};
