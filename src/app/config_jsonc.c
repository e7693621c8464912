// In three steps: comments become blanks, of which there are as many as there were characters; the grammar is checked,
// so that mistakes are told in words, at the place where they are; and jansson reads the rest.
#include "app/config_jsonc.h"

#include "proto/ws.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 48 // of a key in a message

struct place {
    unsigned line, column;
};

static int fail(char *fault, size_t fault_bytes, struct place place, const char *words)
{
    snprintf(fault, fault_bytes, "%u:%u: %s", place.line, place.column, words);
    return -EINVAL;
}

static bool continues(char c) // a character of UTF-8 that has begun
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

// The place of `at`, which may be the end of the text.
static struct place place_of(const char *text, const char *at)
{
    struct place place = {1, 1};
    for (; text < at; text++) {
        if (*text == '\n')
            place = (struct place){place.line + 1, 1};
        else if (!continues(*text))
            place.column++;
    }
    return place;
}

// --- comments ---

// Behind the closing quote; *closed tells if there is one in this line, else it is the line's end.
static const char *string_end(const char *p, const char *end, bool *closed)
{
    *closed = false;
    for (p++; p < end && *p != '\n'; p++) {
        if (*p == '"') {
            *closed = true;
            return p + 1;
        }
        if (*p == '\\' && p + 1 < end && p[1] != '\n')
            p++;
    }
    return p;
}

// Behind the comment, or NULL if it is not closed.
static const char *comment_end(const char *p, const char *end)
{
    if (p[1] == '/') {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        return line_end ? line_end : end;
    }
    const char *close = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);
    return close ? close + 2 : NULL;
}

static char *blank_out(char *out, const char *from, const char *to)
{
    for (; from < to; from++)
        if (!continues(*from))
            *out++ = *from == '\n' ? '\n' : ' ';
    return out;
}

// `out` has room for all of the text. Its new size; -1 and *open if a comment is not closed.
static ssize_t strip(const char *text, size_t size, char *out, const char **open)
{
    const char *p = text, *end = text + size;
    char *o = out;
    bool closed;
    while (p < end) {
        const char *next = p + 1;
        if (*p == '/' && next < end && (*next == '/' || *next == '*')) {
            next = comment_end(p, end);
            if (!next) {
                *open = p;
                return -1;
            }
            o = blank_out(o, p, next);
        } else {
            if (*p == '"')
                next = string_end(p, end, &closed);
            memcpy(o, p, (size_t)(next - p));
            o += next - p;
        }
        p = next;
    }
    return o - out;
}

// --- grammar ---

enum want { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COLON, WANT_MORE, WANT_NOTHING };

struct grammar {
    const char *p, *end; // the token begins at p
    const char *at;      // of the fault
    const char *comma;   // the newest
    enum want want;
    uint32_t objects; // a bit for each level, 1 for an object
    unsigned depth;
};

static bool in_object(const struct grammar *g)
{
    return g->depth > 0 && (g->objects & 1u);
}

static const char *digits(const char *p, const char *end)
{
    while (p < end && isdigit((unsigned char)*p))
        p++;
    return p;
}

static bool is_number(const char *p, const char *end)
{
    if (p < end && *p == '-')
        p++;
    const char *whole = p;
    p = digits(p, end);
    if (p == whole || (*whole == '0' && p > whole + 1))
        return false;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        p = digits(p, end);
        if (p == fraction)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        const char *exponent = p;
        p = digits(p, end);
        if (p == exponent)
            return false;
    }
    return p == end;
}

static bool is_word(const char *p, const char *end)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if ((size_t)(end - p) == strlen(words[i]) && memcmp(p, words[i], (size_t)(end - p)) == 0)
            return true;
    return false;
}

static void behind_value(struct grammar *g)
{
    g->want = g->depth > 0 ? WANT_MORE : WANT_NOTHING;
}

static const char *what_is_missing(const struct grammar *g)
{
    switch (g->want) {
    case WANT_COLON: return "a colon is missing behind the key";
    case WANT_MORE:
        return in_object(g) ? "a comma or } is missing in front of this" : "a comma or ] is missing in front of this";
    case WANT_KEY:
    case WANT_KEY_OR_END: return "a key in quotation marks (\"...\") is missing here";
    case WANT_NOTHING: return "nothing may follow the end";
    default: return "a value is missing here";
    }
}

static const char *take_open(struct grammar *g)
{
    if (g->want != WANT_VALUE && g->want != WANT_VALUE_OR_END)
        return what_is_missing(g);
    if (g->depth == CH_JSONC_DEPTH)
        return "this is nested too deeply";
    bool object = *g->p++ == '{';
    g->objects = g->objects << 1 | object;
    g->depth++;
    g->want = object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return NULL;
}

static const char *take_close(struct grammar *g)
{
    bool object = *g->p == '}';
    if (g->depth > 0 && object != in_object(g))
        return object ? "this } closes no {; a ] is missing" : "this ] closes no [; a } is missing";
    if (g->want == WANT_KEY || (g->want == WANT_VALUE && g->depth > 0 && !object)) {
        g->at = g->comma;
        return "nothing follows this comma; JSON allows none behind the last item";
    }
    if (g->want != WANT_MORE && g->want != (object ? WANT_KEY_OR_END : WANT_VALUE_OR_END))
        return what_is_missing(g);
    g->p++;
    g->objects >>= 1;
    g->depth--;
    behind_value(g);
    return NULL;
}

static const char *take_comma(struct grammar *g)
{
    if (g->want != WANT_MORE)
        return g->want == WANT_COLON || g->want == WANT_NOTHING ? what_is_missing(g)
                                                                : "nothing is in front of this comma";
    g->comma = g->p++;
    g->want = in_object(g) ? WANT_KEY : WANT_VALUE;
    return NULL;
}

static const char *take_colon(struct grammar *g)
{
    if (g->want != WANT_COLON)
        return "a colon belongs behind a key only";
    g->p++;
    g->want = WANT_VALUE;
    return NULL;
}

static const char *take_text(struct grammar *g)
{
    bool closed;
    const char *next = string_end(g->p, g->end, &closed);
    bool key = g->want == WANT_KEY || g->want == WANT_KEY_OR_END;
    if (!key && g->want != WANT_VALUE && g->want != WANT_VALUE_OR_END)
        return what_is_missing(g);
    if (!closed)
        return "this text is not closed by a \" in the same line";
    for (const char *p = g->p; p < next; p++) {
        if ((unsigned char)*p < 0x20) {
            g->at = p;
            return "a control character in a text; write it as \\t, \\n or \\u00XX";
        }
    }
    g->p = next;
    if (key)
        g->want = WANT_COLON;
    else
        behind_value(g);
    return NULL;
}

static bool bare(char c)
{
    return isalnum((unsigned char)c) || c == '+' || c == '-' || c == '.' || c == '_' || continues(c) ||
           (unsigned char)c >= 0xc0;
}

static const char *take_bare(struct grammar *g)
{
    const char *next = g->p;
    while (next < g->end && bare(*next))
        next++;
    if (next == g->p)
        return *g->p == '\'' ? "texts stand in \"...\", not in '...'" : "this character has no meaning here";
    if (g->want != WANT_VALUE && g->want != WANT_VALUE_OR_END)
        return what_is_missing(g);
    if (!is_word(g->p, next) && !is_number(g->p, next))
        return "this is no value: true, false, null, a number, or a text in \"...\" is";
    g->p = next;
    behind_value(g);
    return NULL;
}

static const char *take(struct grammar *g)
{
    switch (*g->p) {
    case '{':
    case '[': return take_open(g);
    case '}':
    case ']': return take_close(g);
    case ',': return take_comma(g);
    case ':': return take_colon(g);
    case '"': return take_text(g);
    default: return take_bare(g);
    }
}

static const char *at_end(const struct grammar *g)
{
    if (g->want == WANT_NOTHING)
        return NULL;
    if (g->depth == 0)
        return "there is nothing in it; {} is the least";
    return in_object(g) ? "the end, and a } is missing" : "the end, and a ] is missing";
}

// NULL, or what is wrong at *at.
static const char *check_grammar(const char *text, size_t size, const char **at)
{
    struct grammar g = {.p = text, .end = text + size, .want = WANT_VALUE};
    const char *fault = NULL;
    while (!fault) {
        while (g.p < g.end && (*g.p == ' ' || *g.p == '\t' || *g.p == '\n' || *g.p == '\r'))
            g.p++;
        if (g.p == g.end)
            break;
        fault = take(&g);
    }
    if (!fault)
        fault = at_end(&g);
    *at = g.at ? g.at : g.p;
    return fault;
}

// --- jansson ---

// jansson stands behind the second key when it complains of it.
static int fail_duplicate(const char *text, const json_error_t *error, char *fault, size_t fault_bytes)
{
    const char *end = text + error->position, *key = end;
    char words[KEY_BYTES + 64] = "this key is there twice";
    if (key > text && key[-1] == '"')
        for (key--; key > text && key[-1] != '"' && key[-1] != '\\' && key[-1] != '\n';)
            key--;
    if (key == text || key[-1] != '"') // it has escapes: at its end, then
        return fail(fault, fault_bytes, place_of(text, end), words);
    const char *plain = key;
    while (isalnum((unsigned char)*plain) || *plain == '_')
        plain++;
    if (plain == end - 1 && plain - key < KEY_BYTES)
        snprintf(words, sizeof words, "the key \"%.*s\" is there twice", (int)(plain - key), key);
    return fail(fault, fault_bytes, place_of(text, key - 1), words);
}

static int fail_as_jansson(const char *text, const json_error_t *error, char *fault, size_t fault_bytes)
{
    struct place place = {error->line > 0 ? (unsigned)error->line : 1, error->column > 0 ? (unsigned)error->column : 1};
    switch (json_error_code(error)) {
    case json_error_out_of_memory: snprintf(fault, fault_bytes, "out of memory"); return -ENOMEM;
    case json_error_duplicate_key: return fail_duplicate(text, error, fault, fault_bytes);
    case json_error_numeric_overflow: return fail(fault, fault_bytes, place, "this number is too large");
    case json_error_null_character:
    case json_error_null_byte_in_key: return fail(fault, fault_bytes, place, "\\u0000 is not allowed");
    case json_error_invalid_syntax: return fail(fault, fault_bytes, place, "a bad \\ in this text");
    default: return fail(fault, fault_bytes, place, "this is not JSON");
    }
}

static int parse(const char *text, size_t size, char *stripped, json_t **out, char *fault, size_t fault_bytes)
{
    const char *at = text;
    ssize_t left = strip(text, size, stripped, &at);
    if (left < 0)
        return fail(fault, fault_bytes, place_of(text, at), "this comment is not closed by */");
    const char *words = check_grammar(stripped, (size_t)left, &at);
    if (words)
        return fail(fault, fault_bytes, place_of(stripped, at), words);
    json_error_t error;
    *out = json_loadb(stripped, (size_t)left, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    return *out ? 0 : fail_as_jansson(stripped, &error, fault, fault_bytes);
}

// Where it stops being UTF-8.
static int fail_utf8(const char *text, const char *end, char *fault, size_t fault_bytes)
{
    const char *p = text;
    while (p < end) {
        const char *next = p + 1;
        while (next < end && continues(*next))
            next++;
        if (!ch_utf8_valid((const uint8_t *)p, (size_t)(next - p)))
            break;
        p = next;
    }
    return fail(fault, fault_bytes, place_of(text, p), "not UTF-8 from here on");
}

int ch_jsonc_parse(const char *text, size_t size, json_t **out, char *fault, size_t fault_bytes)
{
    *out = NULL;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        size -= 3;
    }
    if (!ch_utf8_valid((const uint8_t *)text, size))
        return fail_utf8(text, text + size, fault, fault_bytes);
    char *stripped = malloc(size + 1);
    if (!stripped) {
        snprintf(fault, fault_bytes, "out of memory");
        return -ENOMEM;
    }
    int rc = parse(text, size, stripped, out, fault, fault_bytes);
    free(stripped);
    return rc;
}
