// A camera's messages: binary with its 16 bytes, and the rest of the input as a text, once from the
// camera and once from the operator.
#include "fuzz.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "proto/camera_h264.h"
#include "proto/ws.h"

static void check_header(const uint8_t *data, size_t size)
{
    struct ch_camera_header header;
    uint8_t written[CH_CAMERA_HEADER_BYTES];
    int result = ch_camera_parse_header(data, size, &header);
    assert((result == -EMSGSIZE) == (size < CH_CAMERA_HEADER_BYTES));
    if (result == -EMSGSIZE)
        return;
    assert((result == 0) == (header.payload_bytes == size - CH_CAMERA_HEADER_BYTES));
    ch_camera_write_header(&header, written);
    assert(memcmp(written, data, sizeof written) == 0);
}

static void check_line(const char *line, size_t size)
{
    struct ch_command command, back;
    char text[CH_CAMERA_COMMAND_BYTES];
    ch_command_parse(line, size, &command);
    assert(command.bitrate_mbps > 0 && command.fps >= 0);
    assert((command.aspect_w > 0 && command.aspect_h > 0) || (command.aspect_w == 0 && command.aspect_h == 0));
    for (int i = 0; i < 3; i++)
        for (const char *p = command.bad_word[i]; *p; p++)
            assert(*p > ' ' && *p <= '~');
    if (command.kind != CH_COMMAND_START && command.kind != CH_COMMAND_STOP)
        return;
    size_t length = ch_camera_write_command(&command, text);
    assert(length == strlen(text) && ch_camera_parse_command(text, length, &back) == 0);
    assert(back.kind == command.kind && !back.bad_aspect && !back.bad_bitrate && !back.bad_fps);
    assert(back.bitrate_mbps == command.bitrate_mbps && back.fps == command.fps);
    assert(back.aspect_w == command.aspect_w && back.aspect_h == command.aspect_h);
}

static void check_text(const char *text, size_t size)
{
    struct ch_camera_text out;
    assert(ch_camera_parse_text(text, size, &out) == 0);
    assert(ch_utf8_valid((const uint8_t *)out.message, strlen(out.message)));
    assert(ch_utf8_valid((const uint8_t *)out.device_model, strlen(out.device_model)));
    ch_camera_text_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t skip = size < CH_CAMERA_HEADER_BYTES ? size : CH_CAMERA_HEADER_BYTES;
    check_header(data, size);
    check_line((const char *)data + skip, size - skip);
    check_text((const char *)data + skip, size - skip);
    return 0;
}
