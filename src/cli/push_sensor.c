#include "cli/push_sensor.h"

#include "base/text.h"
#include "proto/camera_jpeg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    int min, max, initial;
} settings[CH_PUSH_SETTINGS] = {
    [CH_PUSH_RESOLUTION] = {"resolution", 0, CH_JPEG_RESOLUTIONS - 1, 7},
    [CH_PUSH_QUALITY] = {"quality", CH_JPEG_QUALITY_MIN, CH_JPEG_QUALITY_MAX, 12},
    [CH_PUSH_FPS] = {"fps", 0, CH_PUSH_SENSOR_MAX_FPS, 10},
    [CH_PUSH_BRIGHTNESS] = {"brightness", -2, 2, 0},
    [CH_PUSH_CONTRAST] = {"contrast", -2, 2, 0},
    [CH_PUSH_SATURATION] = {"saturation", -2, 2, 0},
    [CH_PUSH_HMIRROR] = {"hmirror", 0, 1, 0},
    [CH_PUSH_VFLIP] = {"vflip", 0, 1, 0},
};

// In the order of ch_jpeg_resolutions.
static const struct {
    unsigned width, height;
} sizes[CH_JPEG_RESOLUTIONS] = {
    {160, 120},   {176, 144},   {240, 176},  {240, 240},  {320, 240},   {400, 296},
    {480, 320},   {640, 480},   {800, 600},  {1024, 768}, {1280, 720},  {1280, 1024},
    {1600, 1200}, {1920, 1080}, {720, 1280}, {864, 1536}, {2048, 1536},
};

// --- the sensor -------------------------------------------------------------------------------------

void ch_push_sensor_init(struct ch_push_sensor *sensor)
{
    for (unsigned i = 0; i < CH_PUSH_SETTINGS; i++)
        sensor->value[i] = settings[i].initial;
}

static int find_resolution(const char *name)
{
    const char *known = ch_jpeg_resolution(name);
    for (int i = 0; known && i < CH_JPEG_RESOLUTIONS; i++)
        if (ch_jpeg_resolutions[i] == known)
            return i;
    return -EINVAL;
}

int ch_push_sensor_set(struct ch_push_sensor *sensor, enum ch_push_setting setting, const char *value)
{
    int64_t n;
    if (setting == CH_PUSH_RESOLUTION)
        n = find_resolution(value);
    else if (ch_parse_int(value, settings[setting].min, settings[setting].max, &n) < 0)
        return -EINVAL;
    if (n < settings[setting].min)
        return -EINVAL;
    sensor->value[setting] = (int)n;
    return 0;
}

void ch_push_sensor_allowed(enum ch_push_setting setting, char *out, size_t room)
{
    if (setting != CH_PUSH_RESOLUTION) {
        snprintf(out, room, "%d to %d", settings[setting].min, settings[setting].max);
        return;
    }
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < CH_JPEG_RESOLUTIONS && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", i ? " " : "", ch_jpeg_resolutions[i]);
}

bool ch_push_sensor_same(const struct ch_push_sensor *a, const struct ch_push_sensor *b)
{
    return memcmp(a->value, b->value, sizeof a->value) == 0;
}

void ch_push_sensor_size(const struct ch_push_sensor *sensor, unsigned *width, unsigned *height)
{
    *width = sizes[sensor->value[CH_PUSH_RESOLUTION]].width;
    *height = sizes[sensor->value[CH_PUSH_RESOLUTION]].height;
}

// --- texts ------------------------------------------------------------------------------------------

// Appends. What does not fit is left out, from a whole character on.
__attribute__((format(printf, 3, 4))) static void append(char *out, size_t room, const char *format, ...)
{
    size_t used = strlen(out);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out + used, room - used, format, args);
    va_end(args);
    if (n < 0 || (size_t)n < room - used)
        return;
    size_t end = room - 1, first = end;
    while (first > used && ((unsigned char)out[first - 1] & 0xC0) == 0x80)
        first--;
    if (first > used && (unsigned char)out[first - 1] >= 0xC0) { // the last character's first byte: is it whole?
        unsigned char lead = (unsigned char)out[first - 1];
        size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        if (end - (first - 1) < bytes)
            out[first - 1] = '\0';
    }
}

size_t ch_push_sensor_describe(const struct ch_push_sensor *sensor, char out[CH_PUSH_SENSOR_TEXT])
{
    unsigned width, height;
    const int *value = sensor->value;
    ch_push_sensor_size(sensor, &width, &height);
    out[0] = '\0';
    append(out, CH_PUSH_SENSOR_TEXT, "%s (%ux%u), quality %d", ch_jpeg_resolutions[value[CH_PUSH_RESOLUTION]], width,
           height, value[CH_PUSH_QUALITY]);
    if (value[CH_PUSH_FPS] > 0)
        append(out, CH_PUSH_SENSOR_TEXT, ", %d fps", value[CH_PUSH_FPS]);
    for (unsigned i = CH_PUSH_BRIGHTNESS; i < CH_PUSH_SETTINGS; i++)
        if (value[i] != 0)
            append(out, CH_PUSH_SENSOR_TEXT, ", %s %d", settings[i].name, value[i]);
    return strlen(out);
}

// Begins the text with `head`, or goes on behind `between`.
static void begin(char *out, const char *head, const char *between)
{
    append(out, CH_PUSH_ANSWER_BYTES, "%s", out[0] ? between : head);
}

static void refuse(struct ch_push_answer *answer, enum ch_push_setting setting, const char *value)
{
    char allowed[160];
    ch_push_sensor_allowed(setting, allowed, sizeof allowed);
    begin(answer->error, "ERROR: ", "; ");
    append(answer->error, sizeof answer->error, "%s: found '%s', allowed is %s", settings[setting].name, value,
           allowed);
}

// --- lines ------------------------------------------------------------------------------------------

#define WORD_BYTES 128 // longer ones are cut: nothing that is understood is

static bool is_blank(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

// The next word of [*at, end), zero-terminated. False if there is none.
static bool next_word(const char **at, const char *end, char word[WORD_BYTES])
{
    while (*at < end && is_blank(**at))
        ++*at;
    const char *begins = *at;
    while (*at < end && !is_blank(**at))
        ++*at;
    word[0] = '\0';
    append(word, WORD_BYTES, "%.*s", (int)(*at - begins < WORD_BYTES ? *at - begins : WORD_BYTES), begins);
    return *at > begins;
}

static bool is_number(const char *word)
{
    const char *digits = word + (word[0] == '-' || word[0] == '+');
    return *digits && digits[strspn(digits, "0123456789")] == '\0';
}

static void take_start(struct ch_push_sensor *sensor, const char *at, const char *end, struct ch_push_answer *out)
{
    char word[WORD_BYTES];
    bool more = next_word(&at, end, word);
    // A number in the first place is the quality; 240X240 is none.
    if (more && !is_number(word)) {
        if (ch_push_sensor_set(sensor, CH_PUSH_RESOLUTION, word) < 0)
            refuse(out, CH_PUSH_RESOLUTION, word);
        more = next_word(&at, end, word);
    }
    if (more && ch_push_sensor_set(sensor, CH_PUSH_QUALITY, word) < 0)
        refuse(out, CH_PUSH_QUALITY, word);
    append(out->ack, sizeof out->ack, "ACK: start %s %d", ch_jpeg_resolutions[sensor->value[CH_PUSH_RESOLUTION]],
           sensor->value[CH_PUSH_QUALITY]);
}

static int find_setting(const char *name)
{
    for (int i = 0; i < CH_PUSH_SETTINGS; i++)
        if (strcasecmp(name, settings[i].name) == 0)
            return i;
    return -EINVAL;
}

static void take_setting(struct ch_push_sensor *sensor, char *word, struct ch_push_answer *out)
{
    char *equals = strchr(word, '=');
    if (!equals) {
        begin(out->error, "ERROR: ", "; ");
        append(out->error, sizeof out->error, "set: found '%s', allowed is NAME=VALUE", word);
        return;
    }
    *equals = '\0';
    int setting = find_setting(word);
    if (setting < 0) {
        begin(out->error, "ERROR: ", "; ");
        append(out->error, sizeof out->error, "set: there is no '%s'", word);
        return;
    }
    if (ch_push_sensor_set(sensor, (enum ch_push_setting)setting, equals + 1) < 0) {
        refuse(out, (enum ch_push_setting)setting, equals + 1);
        return;
    }
    begin(out->ack, "ACK: set ", " ");
    if (setting == CH_PUSH_RESOLUTION)
        append(out->ack, sizeof out->ack, "%s=%s", settings[setting].name, ch_jpeg_resolutions[sensor->value[setting]]);
    else
        append(out->ack, sizeof out->ack, "%s=%d", settings[setting].name, sensor->value[setting]);
}

static void take_set(struct ch_push_sensor *sensor, const char *at, const char *end, struct ch_push_answer *out)
{
    char word[WORD_BYTES];
    bool any = false;
    for (; next_word(&at, end, word); any = true)
        take_setting(sensor, word, out);
    if (!any)
        append(out->error, sizeof out->error, "ERROR: set: NAME=VALUE is missing");
}

static enum ch_push_line find_line(const char *word)
{
    static const char *const words[] = {[CH_PUSH_LINE_START] = "start",
                                        [CH_PUSH_LINE_STOP] = "stop",
                                        [CH_PUSH_LINE_STATUS] = "status",
                                        [CH_PUSH_LINE_SET] = "set"};
    for (unsigned i = CH_PUSH_LINE_START; i <= CH_PUSH_LINE_SET; i++)
        if (strcasecmp(word, words[i]) == 0)
            return (enum ch_push_line)i;
    return CH_PUSH_LINE_OTHER;
}

// Every control character becomes a blank: what is answered is one line.
static void echo(const char *line, size_t size, struct ch_push_answer *out)
{
    append(out->ack, sizeof out->ack, "ACK: %.*s", (int)(size < sizeof out->ack ? size : sizeof out->ack), line);
    for (char *c = out->ack; *c; c++)
        if (is_blank(*c))
            *c = ' ';
}

void ch_push_sensor_take(struct ch_push_sensor *sensor, const char *line, size_t size, struct ch_push_answer *out)
{
    const char *at = line, *end = line + size;
    char word[WORD_BYTES];
    *out = (struct ch_push_answer){.line = CH_PUSH_LINE_EMPTY};
    if (!next_word(&at, end, word))
        return;
    while (is_blank(end[-1]))
        end--;
    while (is_blank(*line))
        line++;
    out->line = find_line(word);
    switch (out->line) {
    case CH_PUSH_LINE_START: take_start(sensor, at, end, out); break;
    case CH_PUSH_LINE_STOP: append(out->ack, sizeof out->ack, "ACK: stop"); break;
    case CH_PUSH_LINE_SET: take_set(sensor, at, end, out); break;
    case CH_PUSH_LINE_OTHER: echo(line, (size_t)(end - line), out); break;
    case CH_PUSH_LINE_STATUS:
    case CH_PUSH_LINE_EMPTY: break;
    }
}
