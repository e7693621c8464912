#include "app/config_internal.h"
#include "base/suggest.h"
#include "source/redact.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 512
#define LINE_BYTES 2048
#define WARNINGS 100
#define LAST_LINE_BYTES 64 // kept for "... and N more"

// --- what lives as long as the reader ---

void *ch_config_keep_bytes(struct ch_reader *reader, size_t size)
{
    if (reader->text_count == reader->text_room) {
        size_t room = reader->text_room ? 2 * reader->text_room : 64;
        char **more = reallocarray(reader->texts, room, sizeof *more);
        if (!more) {
            reader->no_memory = true;
            return NULL;
        }
        reader->texts = more;
        reader->text_room = room;
    }
    char *bytes = calloc(1, size ? size : 1);
    if (bytes)
        reader->texts[reader->text_count++] = bytes;
    else
        reader->no_memory = true;
    return bytes;
}

const char *ch_config_keep(struct ch_reader *reader, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = ch_config_keep_bytes(reader, size);
    return copy ? memcpy(copy, text, size) : "";
}

void ch_reader_free(struct ch_reader *reader)
{
    for (size_t i = 0; i < reader->text_count; i++)
        free(reader->texts[i]);
    free(reader->texts);
    free(reader->warnings);
}

// --- what may be shown ---

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

void ch_config_show_text(const char *text, char out[CH_SHOWN_BYTES])
{
    bool plain = !strstr(text, "://") && !strchr(text, '@');
    char *redacted = plain ? NULL : ch_redact_url(text);
    const char *shown = plain ? text : redacted ? redacted : "***";
    size_t size = strlen(shown), most = CH_SHOWN_BYTES - 4;
    bool cut = size > most;
    if (cut)
        for (size = most; size > 0 && continues(shown[size]);)
            size--;
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)shown[i] < 32 || shown[i] == 127 ? ' ' : shown[i];
    snprintf(out + size, CH_SHOWN_BYTES - size, "%s", cut ? "..." : "");
    free(redacted);
}

void ch_config_show(const json_t *value, bool variable, char out[CH_SHOWN_BYTES])
{
    char text[CH_SHOWN_BYTES];
    if (json_is_string(value)) {
        ch_config_show_text(json_string_value(value), text);
        if (strlen(text) > CH_SHOWN_BYTES - 3)
            text[0] = '\0';
        snprintf(out, CH_SHOWN_BYTES, variable ? "%.*s" : "\"%.*s\"", CH_SHOWN_BYTES - 3, text);
        return;
    }
    if (json_is_object(value) || json_is_array(value)) {
        snprintf(out, CH_SHOWN_BYTES, "%s", json_is_object(value) ? "an object" : "a list");
        return;
    }
    char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    snprintf(out, CH_SHOWN_BYTES, "%s", dumped ? dumped : "this");
    free(dumped);
}

// --- where ---

static size_t put_path(const struct ch_place *place, char *out, size_t room)
{
    if (!place->in)
        return 0;
    size_t used = put_path(place->in, out, room);
    char piece[CH_SHOWN_BYTES];
    if (place->name) {
        ch_config_show_text(place->name, piece);
        used += (size_t)snprintf(out + used, room - used, "%s%s", used > 0 ? "." : "", piece);
    } else {
        used += (size_t)snprintf(out + used, room - used, "[%zu]", place->index);
    }
    return used < room ? used : room - 1;
}

static const char *outermost_name(const struct ch_place *place)
{
    while (place->in)
        place = place->in;
    return place->name;
}

__attribute__((format(printf, 3, 0))) static size_t put_line(char line[LINE_BYTES], const struct ch_place *place,
                                                             const char *format, va_list args)
{
    char path[PATH_BYTES] = "";
    put_path(place, path, sizeof path);
    size_t used = (size_t)snprintf(line, LINE_BYTES, "%.512s: %s%s", outermost_name(place), path, path[0] ? ": " : "");
    int more = vsnprintf(line + used, LINE_BYTES - used, format, args);
    size_t size = used + (more > 0 ? (size_t)more : 0);
    if (size > LINE_BYTES - 1)
        size = LINE_BYTES - 1;
    for (size_t i = 0; i < size; i++) // names of files and variables can hold anything
        if ((unsigned char)line[i] < 32 || line[i] == 127)
            line[i] = ' ';
    return size;
}

static void tell_untold(struct ch_reader *reader)
{
    snprintf(reader->error + reader->error_used, reader->error_bytes - reader->error_used, "%s... and %u more",
             reader->error_used > 0 ? "\n" : "", reader->untold);
}

void ch_config_fault(struct ch_reader *reader, const struct ch_place *place, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    size_t size = put_line(line, place, format, args);
    va_end(args);
    reader->faults++;
    size_t used = reader->error_used, lead = used > 0;
    if (reader->error_bytes == 0)
        return;
    if (reader->untold > 0 || used + lead + size + LAST_LINE_BYTES > reader->error_bytes) {
        reader->untold++;
        tell_untold(reader);
        return;
    }
    snprintf(reader->error + used, reader->error_bytes - used, "%s%s", lead ? "\n" : "", line);
    reader->error_used = used + lead + size;
}

void ch_config_warning(struct ch_reader *reader, const struct ch_place *place, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    if (reader->warned++ >= WARNINGS)
        return;
    va_start(args, format);
    put_line(line, place, format, args);
    va_end(args);
    char *all = NULL;
    if (asprintf(&all, "%s%s%s", reader->warnings ? reader->warnings : "", reader->warnings ? "\n" : "", line) < 0) {
        reader->no_memory = true;
        return;
    }
    free(reader->warnings);
    reader->warnings = all;
}

void ch_config_words(const struct ch_reader *reader, const char *word, const char *const *known, size_t count,
                     char out[CH_WORDS_BYTES])
{
    out[0] = '\0';
    if (reader->untold > 0) // nobody will see it, and it takes longer than all the rest
        return;
    const char *near = ch_suggest(word, known, count);
    size_t used = near ? (size_t)snprintf(out, CH_WORDS_BYTES, "did you mean %s? ", near) : 0;
    used += (size_t)snprintf(out + used, CH_WORDS_BYTES - used, "allowed: ");
    for (size_t i = 0; i < count && used < CH_WORDS_BYTES; i++)
        used += (size_t)snprintf(out + used, CH_WORDS_BYTES - used, "%s%s", i > 0 ? ", " : "", known[i]);
}
