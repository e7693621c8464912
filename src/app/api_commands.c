// POST /api/v1/commands: the body is read key by key against a table, then each camera gets its own language.
#include "app/api_commands.h"

#include "app/api.h"
#include "app/json_out.h"
#include "base/log.h"
#include "base/suggest.h"
#include "base/text.h"
#include "proto/camera_h264.h"
#include "proto/camera_jpeg.h"
#include "proto/ws.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CAMERAS 1000
#define TEXT_SHOWN 60 // bytes of a bad value that an error shows

enum verb { VERB_START, VERB_STOP, VERB_SET, VERB_RAW };
static const char *const verb_names[] = {"start", "stop", "set", "raw"};
#define VERBS (sizeof verb_names / sizeof verb_names[0])

struct order {
    enum verb verb;
    json_t *cameras; // an object with the names as keys, in their order; owned; NULL: all
    struct ch_command h264;
    const char *resolution;
    int quality;
    json_t *settings; // borrowed from the body, like text
    const char *text;
};

struct problem {
    const char *code;
    char field[80];
    char message[600];
};

// --- what is wrong ---

// How many bytes of the text an error shows: whole characters.
static int shown(const char *text, size_t most)
{
    return (int)ch_utf8_prefix((const uint8_t *)text, strnlen(text, most));
}

__attribute__((format(printf, 4, 5))) static bool refuse(struct problem *problem, const char *code, const char *field,
                                                         const char *format, ...)
{
    problem->code = code;
    snprintf(problem->field, sizeof problem->field, "%.*s", shown(field, sizeof problem->field - 1), field);
    va_list args;
    va_start(args, format);
    vsnprintf(problem->message, sizeof problem->message, format, args);
    va_end(args);
    problem->message[ch_utf8_prefix((const uint8_t *)problem->message, strlen(problem->message))] = '\0';
    return false;
}

static bool refuse_value(struct problem *problem, const char *field, const json_t *value, const char *allowed)
{
    char *found = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) : NULL;
    if (found)
        refuse(problem, "bad_value", field, "%s is %.*s%s; it must be %s", field, shown(found, TEXT_SHOWN), found,
               strlen(found) > TEXT_SHOWN ? "..." : "", allowed);
    else
        refuse(problem, "bad_value", field, "%s is missing; it must be %s", field, allowed);
    free(found);
    return false;
}

// --- values ---

static bool read_int(const json_t *value, const char *field, int min, int max, int *out, struct problem *problem)
{
    char allowed[64];
    snprintf(allowed, sizeof allowed, "an integer from %d to %d", min, max);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < min || number > max)
        return refuse_value(problem, field, value, allowed);
    *out = (int)number;
    return true;
}

static bool take_bitrate(struct order *order, json_t *value, struct problem *problem)
{
    return read_int(value, "bitrate", 1, INT32_MAX, &order->h264.bitrate_mbps, problem);
}

static bool take_fps(struct order *order, json_t *value, struct problem *problem)
{
    return read_int(value, "fps", 0, INT32_MAX, &order->h264.fps, problem);
}

// A decimal number without a sign or a zero in front; the text behind it, or NULL.
static const char *read_side(const char *text, int32_t *out)
{
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && number <= INT32_MAX; at++)
        number = number * 10 + (*at - '0');
    if (text[0] == '0' || at == text || number > INT32_MAX)
        return NULL;
    *out = (int32_t)number;
    return at;
}

static bool take_aspect(struct order *order, json_t *value, struct problem *problem)
{
    const char *text = json_string_value(value);
    const char *colon = text ? read_side(text, &order->h264.aspect_w) : NULL;
    const char *end = colon && *colon == ':' ? read_side(colon + 1, &order->h264.aspect_h) : NULL;
    if (!end || *end)
        return refuse_value(problem, "aspect_ratio", value, "W:H with two positive integers, like \"16:9\"");
    return true;
}

static bool take_resolution(struct order *order, json_t *value, struct problem *problem)
{
    const char *text = json_string_value(value);
    order->resolution = text ? ch_jpeg_resolution(text) : NULL;
    if (order->resolution)
        return true;
    char allowed[256] = "one of";
    for (size_t i = 0, used = strlen(allowed); ch_jpeg_resolutions[i]; i++)
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, " %s", ch_jpeg_resolutions[i]);
    return refuse_value(problem, "resolution", value, allowed);
}

static bool take_quality(struct order *order, json_t *value, struct problem *problem)
{
    return read_int(value, "quality", CH_JPEG_QUALITY_MIN, CH_JPEG_QUALITY_MAX, &order->quality, problem);
}

static bool setting_fits(const json_t *value)
{
    if (json_is_string(value))
        return ch_jpeg_setting_value_valid(json_string_value(value));
    return json_is_number(value) || json_is_boolean(value);
}

static bool take_settings(struct order *order, json_t *value, struct problem *problem)
{
    size_t count = json_object_size(value);
    if (!json_is_object(value) || count == 0 || count > CH_JPEG_SETTINGS_MAX)
        return refuse_value(problem, "settings", value, "an object with 1 to 16 settings");
    const char *name;
    json_t *one;
    json_object_foreach (value, name, one) {
        char field[64];
        snprintf(field, sizeof field, "settings.%.*s", shown(name, 48), name);
        if (!ch_jpeg_setting_name_valid(name))
            return refuse(problem, "bad_value", field,
                          "\"%.*s\" is no name of a setting: 1 to 32 of a-z 0-9 _ are, a letter first", shown(name, 48),
                          name);
        if (!setting_fits(one))
            return refuse_value(
                problem, field, one,
                "a number, true, false, or a word of 1 to 64 bytes without blanks and control characters");
    }
    order->settings = value;
    return true;
}

static bool take_text(struct order *order, json_t *value, struct problem *problem)
{
    const char *text = json_string_value(value);
    if (!text || ch_jpeg_check_text(text, json_string_length(value)) < 0 || text[strspn(text, " ")] == '\0')
        return refuse_value(problem, "text", value,
                            "one line of 1 to 1000 bytes without control characters, and not only blanks");
    order->text = text;
    return true;
}

static bool take_cameras(struct order *order, json_t *value, struct problem *problem)
{
    size_t count = json_array_size(value), i;
    json_t *one;
    if (!json_is_array(value) || count == 0 || count > MAX_CAMERAS)
        return refuse_value(problem, "cameras", value, "a list of 1 to 1000 names (or absent: all cameras)");
    order->cameras = json_object();
    json_array_foreach (value, i, one) {
        const char *name = json_string_value(one);
        char field[32];
        snprintf(field, sizeof field, "cameras[%zu]", i);
        if (!name || !ch_name_valid(name))
            return refuse_value(problem, field, one, "the name of a camera: 1 to 64 of A-Z a-z 0-9 . _ -");
        json_object_set_new(order->cameras, name, json_true());
    }
    return true;
}

// --- the body ---

static bool take_command(struct order *order, json_t *value, struct problem *problem)
{
    const char *text = json_string_value(value);
    for (size_t i = 0; text && i < VERBS; i++) {
        if (strcmp(text, verb_names[i]) != 0)
            continue;
        order->verb = (enum verb)i;
        return true;
    }
    char allowed[160];
    const char *near = text ? ch_suggest(text, verb_names, VERBS) : NULL;
    snprintf(allowed, sizeof allowed, "one of start, stop, set, raw%s%s%s", near ? " (did you mean \"" : "",
             near ? near : "", near ? "\"?)" : "");
    return refuse_value(problem, "command", value, allowed);
}

// `command` itself is taken first, as the others depend on it.
static const struct key {
    const char *name;
    uint32_t verbs; // it goes with, one bit each
    bool (*take)(struct order *order, json_t *value, struct problem *problem);
} keys[] = {
    {"command", ~0u, NULL},
    {"cameras", ~0u, take_cameras},
    {"bitrate", 1u << VERB_START, take_bitrate},
    {"fps", 1u << VERB_START, take_fps},
    {"aspect_ratio", 1u << VERB_START, take_aspect},
    {"resolution", 1u << VERB_START, take_resolution},
    {"quality", 1u << VERB_START, take_quality},
    {"settings", 1u << VERB_SET, take_settings},
    {"text", 1u << VERB_RAW, take_text},
};
#define KEYS (sizeof keys / sizeof keys[0])

static bool refuse_key(const char *name, struct problem *problem)
{
    const char *names[KEYS];
    char all[160] = "";
    for (size_t i = 0, used = 0; i < KEYS; i++) {
        names[i] = keys[i].name;
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", keys[i].name);
    }
    const char *near = ch_suggest(name, names, KEYS);
    return refuse(problem, "unknown_key", name, "there is no key \"%.*s\"%s%s%s; the keys are %s",
                  shown(name, TEXT_SHOWN), name, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "",
                  all);
}

static bool take_key(struct order *order, const char *name, json_t *value, struct problem *problem)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(name, keys[i].name) != 0)
            continue;
        if (!(keys[i].verbs & 1u << order->verb))
            return refuse(problem, "bad_value", name, "%s does not go with the command %s", name,
                          verb_names[order->verb]);
        return !keys[i].take || keys[i].take(order, value, problem);
    }
    return refuse_key(name, problem);
}

static bool take_all(struct order *order, json_t *body, struct problem *problem)
{
    const char *name;
    json_t *value;
    if (!take_command(order, json_object_get(body, "command"), problem))
        return false;
    json_object_foreach (body, name, value)
        if (!take_key(order, name, value, problem))
            return false;
    if (order->verb == VERB_SET && !order->settings)
        return take_settings(order, NULL, problem);
    return order->verb != VERB_RAW || order->text || take_text(order, NULL, problem);
}

static bool read_order(struct order *order, json_t *body, struct problem *problem)
{
    *order = (struct order){0};
    ch_command_parse("start", 5, &order->h264); // with its defaults
    if (take_all(order, body, problem))
        return true;
    json_decref(order->cameras);
    return false;
}

// --- messages ---

static int make_start(const struct order *order, struct ch_command_texts *texts)
{
    texts->for_h264 = malloc(CH_CAMERA_COMMAND_BYTES);
    texts->for_jpeg = malloc(CH_JPEG_START_BYTES);
    if (!texts->for_h264 || !texts->for_jpeg)
        return -ENOMEM;
    ch_camera_write_command(&order->h264, texts->for_h264);
    ch_jpeg_write_start(order->resolution, order->quality, texts->for_jpeg);
    texts->message.kind = CH_COMMAND_START;
    return 0;
}

// A value as a word of a line.
static char *setting_text(const json_t *value)
{
    if (json_is_string(value))
        return strdup(json_string_value(value));
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
}

static int write_settings(json_t *values, char *out)
{
    struct ch_jpeg_setting settings[CH_JPEG_SETTINGS_MAX];
    char *texts[CH_JPEG_SETTINGS_MAX];
    size_t count = 0;
    const char *name;
    json_t *value;
    bool whole = true;
    json_object_foreach (values, name, value) {
        texts[count] = setting_text(value);
        whole = whole && texts[count];
        settings[count] = (struct ch_jpeg_setting){name, texts[count] ? texts[count] : ""};
        count++;
    }
    int rc = whole ? ch_jpeg_write_set(settings, count, out) : -ENOMEM;
    while (count > 0)
        free(texts[--count]);
    return rc;
}

static int make_set(const struct order *order, struct ch_command_texts *texts)
{
    size_t size;
    json_t *json = json_pack("{s:s,s:O}", "command", "set", "payload", order->settings);
    texts->for_h264 = ch_json_write(json, &size);
    json_decref(json);
    texts->for_jpeg = malloc(CH_JPEG_SET_BYTES);
    if (!texts->for_h264 || !texts->for_jpeg)
        return -ENOMEM;
    texts->message.kind = CH_COMMAND_UNKNOWN;
    return write_settings(order->settings, texts->for_jpeg);
}

static int make_texts(const struct order *order, struct ch_command_texts *texts)
{
    *texts = (struct ch_command_texts){0};
    if (order->verb == VERB_STOP || order->verb == VERB_RAW) {
        const char *text = order->verb == VERB_STOP ? "stop" : order->text;
        return ch_command_message_from_text(text, strlen(text), texts);
    }
    int rc = order->verb == VERB_SET ? make_set(order, texts) : make_start(order, texts);
    if (rc < 0)
        ch_command_texts_deinit(texts);
    texts->message.for_h264 = texts->for_h264;
    texts->message.for_jpeg = texts->for_jpeg;
    return rc;
}

// --- sending ---

static const char *outcome_name(enum ch_command_outcome outcome)
{
    switch (outcome) {
    case CH_OUTCOME_SENT: return "sent";
    case CH_OUTCOME_LOST: return "lost";
    case CH_OUTCOME_NOTHING:
    case CH_OUTCOME_FAILED: break;
    }
    return "failed";
}

static json_t *result(const char *name, const char *outcome, const char *sent)
{
    return json_pack("{s:s,s:s,s:o}", "camera", name, "outcome", outcome, "sent", ch_json_text(sent));
}

static json_t *send_to(struct ch_camera *camera, const struct ch_camera_message *message, unsigned *sent)
{
    enum ch_command_outcome outcome = ch_camera_command(camera, message);
    bool done = outcome == CH_OUTCOME_SENT;
    const char *text = camera->kind == CH_CAMERA_JPEG ? message->for_jpeg : message->for_h264;
    *sent += done;
    return result(camera->name, outcome_name(outcome), done ? text : NULL);
}

static json_t *send_to_named(struct ch_hub *hub, json_t *names, const struct ch_camera_message *message, unsigned *sent)
{
    json_t *results = json_array(), *ignored;
    const char *name;
    json_object_foreach (names, name, ignored) {
        struct ch_camera *camera = ch_camera_find(hub, name);
        json_array_append_new(results, camera ? send_to(camera, message, sent) : result(name, "unknown", NULL));
    }
    return results;
}

static json_t *send_to_all(struct ch_hub *hub, const struct ch_camera_message *message, unsigned *sent)
{
    json_t *results = json_array();
    for (struct ch_camera *camera = hub->cameras; camera; camera = camera->next)
        if (camera->link)
            json_array_append_new(results, send_to(camera, message, sent));
    return results;
}

// As the operator's commands are told in the log.
static void log_order(const struct order *order, const struct ch_command_texts *texts, unsigned sent, const char *from)
{
    char text[200], aspect[32] = "", picture[32] = "", quality[24] = "";
    if (order->h264.aspect_w > 0)
        snprintf(aspect, sizeof aspect, " %d:%d", order->h264.aspect_w, order->h264.aspect_h);
    if (order->resolution)
        snprintf(picture, sizeof picture, ", %s", order->resolution);
    if (order->quality > 0)
        snprintf(quality, sizeof quality, ", quality %d", order->quality);
    if (order->verb == VERB_START)
        snprintf(text, sizeof text, "start%s, %d Mbit/s, %d frames/s%s%s", aspect, order->h264.bitrate_mbps,
                 order->h264.fps, picture, quality);
    else
        snprintf(text, sizeof text, "%s", texts->for_jpeg);
    ch_log(CH_LOG_INFO, CH_TAG_BROADCAST, "%s sent to %u camera%s (asked by %s)", text, sent, sent == 1 ? "" : "s",
           from);
}

static void run(struct ch_peer *peer, const struct order *order)
{
    struct ch_command_texts texts;
    unsigned sent = 0;
    if (make_texts(order, &texts) < 0) {
        ch_peer_reply_error(peer, 500, "memory", "out of memory");
        return;
    }
    json_t *results = order->cameras ? send_to_named(peer->hub, order->cameras, &texts.message, &sent)
                                     : send_to_all(peer->hub, &texts.message, &sent);
    log_order(order, &texts, sent, peer->conn.peer);
    ch_command_texts_deinit(&texts);
    ch_api_reply_json(peer, json_pack("{s:o}", "results", results));
}

// --- the request ---

static bool is_json(const struct ch_http_request *request)
{
    struct ch_span type = ch_http_field(request, "Content-Type");
    const char *end = type.data ? memchr(type.data, ';', type.size) : NULL; // charset and others
    if (end)
        type.size = (size_t)(end - type.data);
    while (type.size > 0 && (type.data[type.size - 1] == ' ' || type.data[type.size - 1] == '\t'))
        type.size--;
    return type.data && ch_span_equal_nocase(type, "application/json");
}

void ch_api_command(struct ch_peer *peer, const struct ch_http_request *request, const char *body, size_t body_bytes)
{
    if (!is_json(request)) {
        ch_peer_reply_error(peer, 415, "content_type", "a command is sent as Content-Type: application/json");
        return;
    }
    // The parser bounds the depth (2048); 64 KiB bound the rest.
    json_error_t error = {0};
    json_t *json = json_loadb(body ? body : "", body_bytes, JSON_REJECT_DUPLICATES, &error);
    struct problem problem;
    struct order order;
    if (!json) {
        char message[300];
        snprintf(message, sizeof message, "the body is no JSON: %s (line %d, column %d)", error.text, error.line,
                 error.column);
        ch_peer_reply_error(peer, 400, "bad_json",
                            body_bytes ? message : "the body is empty; it must be a JSON object");
    } else if (!json_is_object(json)) {
        ch_peer_reply_error(peer, 400, "bad_json", "the body is no JSON object");
    } else if (!read_order(&order, json, &problem)) {
        ch_peer_reply_error_in(peer, 400, problem.code, problem.message, problem.field, "");
    } else {
        run(peer, &order);
        json_decref(order.cameras);
    }
    json_decref(json);
}
