// The phones' language. Binary: a fixed header, checked against the message it came in. Text: JSON
// read by jansson, with its nesting bounded before the parser recurses.
//
// A phone's text is never an error: what is not understood is CH_CAMERA_OTHER and the connection
// goes on. Fields of the wrong type count as absent.
#include "proto/camera_h264.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/bytes.h"
#include "proto/ws.h"

#define MAX_DEPTH 32
#define MAX_CAPABILITIES (64u << 10)

int ch_camera_parse_header(const uint8_t *message, size_t size, struct ch_camera_header *out)
{
    *out = (struct ch_camera_header){0};
    if (size < CH_CAMERA_HEADER_BYTES)
        return -EMSGSIZE;
    out->device_ms = ch_get_be64(message);
    out->sequence = ch_get_be32(message + 8);
    out->payload_bytes = ch_get_be32(message + 12);
    return out->payload_bytes == size - CH_CAMERA_HEADER_BYTES ? 0 : -EBADMSG;
}

void ch_camera_write_header(const struct ch_camera_header *header, uint8_t out[CH_CAMERA_HEADER_BYTES])
{
    ch_put_be64(out, header->device_ms);
    ch_put_be32(out + 8, header->sequence);
    ch_put_be32(out + 12, header->payload_bytes);
}

// JSON text, seen as characters: which of them are inside a string?

struct scan {
    bool in_string, escaped;
};

// True if the character is inside a string (its quotes included).
static bool scan_in_string(struct scan *scan, char c)
{
    bool inside = scan->in_string || c == '"';
    if (scan->escaped)
        scan->escaped = false;
    else if (scan->in_string && c == '\\')
        scan->escaped = true;
    else if (c == '"')
        scan->in_string = !scan->in_string;
    return inside;
}

// jansson recurses for each level, 2048 of them; whatever it will accept, this has counted right.
static bool too_deep(const char *text, size_t size)
{
    struct scan scan = {0};
    int depth = 0;
    for (size_t i = 0; i < size; i++) {
        if (scan_in_string(&scan, text[i]))
            continue;
        if (text[i] == '{' || text[i] == '[')
            depth++;
        else if (text[i] == '}' || text[i] == ']')
            depth--;
        if (depth > MAX_DEPTH)
            return true;
    }
    return false;
}

static bool is_json_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Copies valid JSON without the blanks between its tokens; out may be NULL. Bytes of the result.
static size_t copy_compact(const char *text, size_t size, char *out)
{
    struct scan scan = {0};
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        if (!scan_in_string(&scan, text[i]) && is_json_blank(text[i]))
            continue;
        if (out)
            out[length] = text[i];
        length++;
    }
    return length;
}

// Loads a JSON object: 0 (owned by the caller), -EBADMSG if it is none, -ENOMEM.
// *has_zero: some string has an escaped zero, which other readers of the same text may refuse.
// A zero byte is no JSON anywhere; jansson 2.14 overlooks one behind a number.
static int load_object(const char *text, size_t size, json_t **out, bool *has_zero)
{
    json_error_t error;
    *has_zero = false;
    if (size == 0 || memchr(text, '\0', size) || too_deep(text, size))
        return -EBADMSG;
    json_t *root = json_loadb(text, size, 0, &error);
    if (!root && json_error_code(&error) == json_error_null_character) {
        *has_zero = true;
        root = json_loadb(text, size, JSON_ALLOW_NUL, &error);
    }
    if (!root)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
    if (!json_is_object(root)) {
        json_decref(root);
        return -EBADMSG;
    }
    *out = root;
    return 0;
}

// What the hub understands of a phone's text

// Copies a string, cut at a character; control characters (C0, DEL, and C1, which terminals obey
// too) become a blank each. Anything but a string gives "".
static void copy_string(const json_t *value, char *out, size_t capacity)
{
    const uint8_t *text = (const uint8_t *)json_string_value(value);
    size_t size = text ? json_string_length(value) : 0;
    size = ch_utf8_prefix(text, size < capacity ? size : capacity - 1);
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        bool c1 = text[i] == 0xc2 && text[i + 1] < 0xa0; // a valid character: i + 1 < size
        bool control = c1 || text[i] < 0x20 || text[i] == 0x7f;
        out[length++] = control ? ' ' : (char)text[i];
        i += c1;
    }
    out[length] = '\0';
}

static bool string_is(const json_t *value, const char *text)
{
    size_t size = strlen(text);
    return json_is_string(value) && json_string_length(value) == size &&
           memcmp(json_string_value(value), text, size) == 0;
}

static enum ch_camera_text_kind kind_of(const json_t *root)
{
    static const struct {
        const char *name;
        enum ch_camera_text_kind kind;
    } statuses[] = {
        {"ready", CH_CAMERA_READY},
        {"capture_started", CH_CAMERA_CAPTURE_STARTED},
        {"capture_stopped", CH_CAMERA_CAPTURE_STOPPED},
        {"error", CH_CAMERA_ERROR},
    };
    const json_t *status = json_object_get(root, "status");
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (string_is(status, statuses[i].name))
            return statuses[i].kind;
    return string_is(json_object_get(root, "type"), "capabilities") ? CH_CAMERA_CAPABILITIES : CH_CAMERA_OTHER;
}

// The sender's own digits and order of keys: nothing is read and written again.
static int keep_capabilities(const char *text, size_t size, struct ch_camera_text *out)
{
    size_t length = copy_compact(text, size, NULL);
    if (length > MAX_CAPABILITIES)
        return 0;
    out->capabilities = malloc(length + 1);
    if (!out->capabilities)
        return -ENOMEM;
    copy_compact(text, size, out->capabilities);
    out->capabilities[length] = '\0';
    return 0;
}

int ch_camera_parse_text(const char *text, size_t size, struct ch_camera_text *out)
{
    json_t *root;
    bool has_zero;
    *out = (struct ch_camera_text){.kind = CH_CAMERA_OTHER};
    int error = load_object(text, size, &root, &has_zero);
    if (error)
        return error == -ENOMEM ? error : 0;
    out->kind = kind_of(root);
    if (out->kind == CH_CAMERA_CAPABILITIES) {
        copy_string(json_object_get(root, "deviceModel"), out->device_model, sizeof out->device_model);
        if (!has_zero)
            error = keep_capabilities(text, size, out);
    } else if (out->kind != CH_CAMERA_OTHER) {
        copy_string(json_object_get(root, "message"), out->message, sizeof out->message);
    }
    json_decref(root);
    return error;
}

void ch_camera_text_deinit(struct ch_camera_text *text)
{
    free(text->capabilities);
    text->capabilities = NULL;
}

// Commands

size_t ch_camera_write_command(const struct ch_command *command, char out[CH_CAMERA_COMMAND_BYTES])
{
    assert(command->kind == CH_COMMAND_START || command->kind == CH_COMMAND_STOP);
    if (command->kind == CH_COMMAND_STOP)
        return (size_t)snprintf(out, CH_CAMERA_COMMAND_BYTES, "{\"command\":\"stop_capture\"}");
    char aspect[64] = "";
    if (command->aspect_w > 0)
        snprintf(aspect, sizeof aspect, ",\"aspectRatio\":{\"width\":%d,\"height\":%d}", command->aspect_w,
                 command->aspect_h);
    return (size_t)snprintf(out, CH_CAMERA_COMMAND_BYTES,
                            "{\"command\":\"start_capture\",\"payload\":"
                            "{\"format\":\"h264\",\"bitrate\":%d,\"fps\":%d%s}}",
                            command->bitrate_mbps, command->fps, aspect);
}

// Reads an integer of at least `min`. False, and *out as it was, if there is something else.
static bool read_int(const json_t *value, int32_t min, int32_t *out)
{
    if (!json_is_integer(value))
        return false;
    json_int_t number = json_integer_value(value);
    if (number < min || number > INT32_MAX)
        return false;
    *out = (int32_t)number;
    return true;
}

static void read_payload(const json_t *payload, struct ch_command *out)
{
    const json_t *bitrate = json_object_get(payload, "bitrate");
    const json_t *fps = json_object_get(payload, "fps");
    const json_t *aspect = json_object_get(payload, "aspectRatio");
    out->bad_bitrate = bitrate && !read_int(bitrate, 1, &out->bitrate_mbps);
    out->bad_fps = fps && !read_int(fps, 0, &out->fps);
    const json_t *w = json_object_get(aspect, "width"), *h = json_object_get(aspect, "height");
    int32_t width, height;
    if (read_int(w, 1, &width) && read_int(h, 1, &height)) {
        out->aspect_w = width;
        out->aspect_h = height;
    } else {
        out->bad_aspect = aspect != NULL;
    }
}

int ch_camera_parse_command(const char *text, size_t size, struct ch_command *out)
{
    json_t *root;
    bool has_zero;
    *out = (struct ch_command){
        .kind = CH_COMMAND_UNKNOWN, .bitrate_mbps = CH_COMMAND_DEFAULT_BITRATE, .fps = CH_COMMAND_DEFAULT_FPS};
    int error = load_object(text, size, &root, &has_zero);
    if (error)
        return error;
    const json_t *name = json_object_get(root, "command");
    const json_t *payload = json_object_get(root, "payload");
    if (string_is(name, "stop_capture")) {
        out->kind = CH_COMMAND_STOP;
    } else if (string_is(name, "start_capture") && json_is_object(payload)) {
        out->kind = CH_COMMAND_START;
        read_payload(payload, out);
    }
    json_decref(root);
    return out->kind == CH_COMMAND_UNKNOWN ? -EBADMSG : 0;
}
