// A typed line as a message for cameras of both kinds.
#include "app/api_commands.h"

#include "app/json_out.h"
#include "proto/camera_h264.h"
#include "proto/camera_jpeg.h"
#include "proto/ws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || (unsigned char)c < 0x20 || c == 0x7f;
}

// C1 characters have two bytes in UTF-8, and are obeyed by terminals like the others.
static void blank_controls(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (is_blank(text[i]))
            text[i] = ' ';
        else if (text[i] == '\xc2' && (unsigned char)text[i + 1] < 0xa0) // valid UTF-8: i + 1 < size
            text[i] = text[i + 1] = ' ';
    }
}

static char *copy_line(const char *text, size_t size)
{
    while (size > 0 && is_blank(text[size - 1]))
        size--;
    while (size > 0 && is_blank(text[0])) {
        text++;
        size--;
    }
    if (size == 0 || !ch_utf8_valid((const uint8_t *)text, size))
        return NULL;
    char *line = malloc(size + 1);
    if (!line)
        return NULL;
    memcpy(line, text, size);
    line[size] = '\0';
    blank_controls(line, size);
    return line;
}

// `start VGA 12` is meant for JPEG cameras: nothing in it is an aspect ratio or a bitrate.
static bool names_resolution(const char *line)
{
    char word[16] = "";
    const char *at = line + strcspn(line, " ");
    at += strspn(at, " ");
    size_t size = strcspn(at, " ");
    if (size < sizeof word)
        memcpy(word, at, size);
    return ch_jpeg_resolution(word) != NULL;
}

static char *h264_command(const char *line, struct ch_command *command)
{
    char text[CH_CAMERA_COMMAND_BYTES];
    if (command->kind == CH_COMMAND_START && names_resolution(line))
        ch_command_parse("start", 5, command);
    ch_camera_write_command(command, text);
    return strdup(text);
}

static char *h264_text(const char *line)
{
    json_error_t error;
    json_t *value = json_loads(line, 0, &error);
    bool verbatim = json_is_object(value);
    json_decref(value);
    if (verbatim)
        return strdup(line);
    size_t size;
    json_t *raw = json_pack("{s:s,s:{s:s}}", "command", "raw", "payload", "text", line);
    char *text = ch_json_write(raw, &size);
    json_decref(raw);
    return text;
}

int ch_command_message_from_text(const char *text, size_t size, struct ch_command_texts *out)
{
    *out = (struct ch_command_texts){.for_jpeg = copy_line(text, size)};
    if (!out->for_jpeg)
        return -EINVAL;
    struct ch_command command;
    ch_command_parse(out->for_jpeg, strlen(out->for_jpeg), &command);
    bool known = command.kind == CH_COMMAND_START || command.kind == CH_COMMAND_STOP;
    out->for_h264 = known ? h264_command(out->for_jpeg, &command) : h264_text(out->for_jpeg);
    if (!out->for_h264) {
        ch_command_texts_deinit(out);
        return -ENOMEM;
    }
    out->message = (struct ch_camera_message){
        .kind = known ? command.kind : CH_COMMAND_UNKNOWN, .for_h264 = out->for_h264, .for_jpeg = out->for_jpeg};
    return 0;
}

void ch_command_texts_deinit(struct ch_command_texts *texts)
{
    free(texts->for_h264);
    free(texts->for_jpeg);
    *texts = (struct ch_command_texts){0};
}

unsigned ch_command_text_to_all(struct ch_hub *hub, const char *text, size_t size)
{
    struct ch_command_texts texts;
    if (ch_command_message_from_text(text, size, &texts) < 0)
        return 0;
    unsigned sent = ch_camera_command_all(hub, &texts.message);
    ch_command_texts_deinit(&texts);
    return sent;
}
