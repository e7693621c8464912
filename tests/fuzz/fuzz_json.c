// Any bytes as JSON, read by the hub as a camera's text and by a camera as the hub's command.
#include "fuzz.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "proto/camera_h264.h"
#include "proto/ws.h"

static void check_shown(const char *text)
{
    assert(ch_utf8_valid((const uint8_t *)text, strlen(text)));
    for (const char *p = text; *p; p++)
        assert((unsigned char)*p >= 0x20 && *p != 0x7f);
}

// What was kept is the same object again, and as compact as it gets.
static void check_capabilities(const struct ch_camera_text *out)
{
    struct ch_camera_text again;
    if (!out->capabilities)
        return;
    size_t size = strlen(out->capabilities);
    assert(out->kind == CH_CAMERA_CAPABILITIES && size <= 65536);
    assert(ch_camera_parse_text(out->capabilities, size, &again) == 0);
    assert(again.kind == CH_CAMERA_CAPABILITIES && strcmp(again.device_model, out->device_model) == 0);
    assert(again.capabilities && strcmp(again.capabilities, out->capabilities) == 0);
    ch_camera_text_deinit(&again);
}

static void check_command(const struct ch_command *command)
{
    struct ch_command back;
    char text[CH_CAMERA_COMMAND_BYTES];
    assert(command->kind == CH_COMMAND_START || command->kind == CH_COMMAND_STOP);
    assert(command->bitrate_mbps > 0 && command->fps >= 0);
    size_t length = ch_camera_write_command(command, text);
    assert(length == strlen(text) && ch_camera_parse_command(text, length, &back) == 0);
    assert(back.kind == command->kind && back.bitrate_mbps == command->bitrate_mbps && back.fps == command->fps);
    assert(back.aspect_w == command->aspect_w && back.aspect_h == command->aspect_h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ch_camera_text text;
    struct ch_command command;
    assert(ch_camera_parse_text((const char *)data, size, &text) == 0);
    check_shown(text.message);
    check_shown(text.device_model);
    check_capabilities(&text);
    ch_camera_text_deinit(&text);
    int result = ch_camera_parse_command((const char *)data, size, &command);
    assert(result == 0 || result == -EBADMSG);
    if (result == 0)
        check_command(&command);
    return 0;
}
