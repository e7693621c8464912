// The operator's line: split into words at blanks, then one small function per word's grammar.
//
// A bad value never makes a line fail: it is replaced by its default, noted in bad_*, and the
// caller tells the operator. That is what the original did, and scripts rely on it.
#include "proto/command.h"

#include <string.h>
#include <strings.h>

#define DEFAULT_ASPECT_W 4 // in place of a bad W:H
#define DEFAULT_ASPECT_H 3

const char ch_command_help[] =
    "start [W:H] [BITRATE [FPS]]  start capture on every camera\n"
    "    W:H      aspect ratio, two positive integers, like 16:9; none is sent if left out\n"
    "    BITRATE  Mbit/s, a positive integer (default 4)\n"
    "    FPS      frames per second, an integer >= 0, where 0 means unlimited (default 10)\n"
    "    Without W:H the numbers are BITRATE and FPS: `start 8 30` asks for 8 Mbit/s at 30 fps.\n"
    "    A bad value is replaced by its default (a bad W:H by 4:3), and an [Error] line says so.\n"
    "stop                         stop capture on every camera\n"
    "status                       list cameras and sessions\n"
    "help                         this text\n"
    "quit, exit                   finish all recordings and end\n"
    "Upper and lower case are the same; words after the known ones are ignored.\n";

struct word {
    const char *data;
    size_t size;
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r'); // tab, LF, VT, FF, CR
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// The next word at or after *pos, empty at the end of the line.
static struct word next_word(const char *line, size_t size, size_t *pos)
{
    while (*pos < size && is_blank(line[*pos]))
        ++*pos;
    size_t start = *pos;
    while (*pos < size && !is_blank(line[*pos]))
        ++*pos;
    return (struct word){line ? line + start : "", *pos - start};
}

static bool word_is(struct word word, const char *name)
{
    return word.size == strlen(name) && strncasecmp(word.data, name, word.size) == 0;
}

// A decimal integer of at least `min`, with or without a sign, as the original read it.
static bool parse_number(struct word word, int32_t min, int32_t *out)
{
    bool negative = word.size > 0 && word.data[0] == '-';
    size_t i = negative || (word.size > 0 && word.data[0] == '+') ? 1 : 0;
    if (i == word.size)
        return false;
    int64_t value = 0;
    for (; i < word.size; i++) {
        if (!is_digit(word.data[i]))
            return false;
        value = value * 10 + (word.data[i] - '0');
        if (value > INT32_MAX)
            return false;
    }
    if (negative)
        value = -value;
    if (value < min)
        return false;
    *out = (int32_t)value;
    return true;
}

static bool parse_aspect(struct word word, int32_t *w, int32_t *h)
{
    const char *colon = memchr(word.data, ':', word.size);
    if (!colon)
        return false;
    struct word left = {word.data, (size_t)(colon - word.data)};
    struct word right = {colon + 1, word.size - left.size - 1}; // a second colon is no digit
    int32_t width, height;
    if (!parse_number(left, 1, &width) || !parse_number(right, 1, &height))
        return false;
    *w = width;
    *h = height;
    return true;
}

// Digits alone, however many: decides whether W:H was left out, not whether the value is good.
static bool is_plain_number(struct word word)
{
    for (size_t i = 0; i < word.size; i++)
        if (!is_digit(word.data[i]))
            return false;
    return word.size > 0;
}

static void note_bad_word(struct word word, char out[32])
{
    size_t size = word.size < 31 ? word.size : 31;
    for (size_t i = 0; i < size; i++)
        out[i] = word.data[i] > ' ' && word.data[i] <= '~' ? word.data[i] : '?';
    out[size] = '\0';
}

static void parse_start(const char *line, size_t size, size_t pos, struct ch_command *out)
{
    struct word word = next_word(line, size, &pos);
    if (word.size == 0)
        return;
    if (!is_plain_number(word)) {
        out->bad_aspect = !parse_aspect(word, &out->aspect_w, &out->aspect_h);
        if (out->bad_aspect) {
            out->aspect_w = DEFAULT_ASPECT_W;
            out->aspect_h = DEFAULT_ASPECT_H;
            note_bad_word(word, out->bad_word[0]);
        }
        word = next_word(line, size, &pos);
    }
    out->bad_bitrate = word.size > 0 && !parse_number(word, 1, &out->bitrate_mbps);
    if (out->bad_bitrate)
        note_bad_word(word, out->bad_word[1]);
    word = next_word(line, size, &pos);
    out->bad_fps = word.size > 0 && !parse_number(word, 0, &out->fps);
    if (out->bad_fps)
        note_bad_word(word, out->bad_word[2]);
}

static enum ch_command_kind kind_of(struct word word)
{
    static const struct {
        const char *name;
        enum ch_command_kind kind;
    } known[] = {
        {"start", CH_COMMAND_START}, {"stop", CH_COMMAND_STOP}, {"status", CH_COMMAND_STATUS},
        {"help", CH_COMMAND_HELP},   {"quit", CH_COMMAND_QUIT}, {"exit", CH_COMMAND_QUIT},
    };
    if (word.size == 0)
        return CH_COMMAND_EMPTY;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (word_is(word, known[i].name))
            return known[i].kind;
    return CH_COMMAND_UNKNOWN;
}

void ch_command_parse(const char *line, size_t size, struct ch_command *out)
{
    *out = (struct ch_command){.bitrate_mbps = CH_COMMAND_DEFAULT_BITRATE, .fps = CH_COMMAND_DEFAULT_FPS};
    size_t pos = 0;
    out->kind = kind_of(next_word(line, size, &pos));
    if (out->kind == CH_COMMAND_START)
        parse_start(line, size, pos, out);
}
