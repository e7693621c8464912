// Words are found by their beginnings, and FTS5 would gather the hits of all words that begin so before it gives the
// first: 40 ms where 100,000 rows fit, for each word of the query. So the beginnings themselves are what is indexed
// ("frames" as f, fr, fra, fram, frame, frames), and a query is a conjunction of exact terms, which needs no gathering.
//
// FTS5 cuts the text at what is no letter, digit or '=' (its tokenizer `ascii`). Words never have a '=', so terms that
// begin with it cannot be asked for in words: "=a" is in every row, "=v3" is a verdict, "=c6361" a camera, in hex.
#include "sink/catalogue_internal.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_INDEX_WORDS 512

struct word {
    size_t size;
    char text[CH_CATALOGUE_WORD_BYTES];
};

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

// The character as it is indexed; 0 if it separates.
static char fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80 ? c : '\0';
}

// The next word, up to CH_CATALOGUE_WORD_BYTES of whole characters. False if there is none.
static bool next_word(const char **text, struct word *word)
{
    const char *at = *text;
    while (*at && !fold(*at))
        at++;
    const char *begin = at;
    word->size = 0;
    for (; fold(*at); at++)
        if (word->size < sizeof word->text)
            word->text[word->size++] = fold(*at);
    size_t whole = word->size;
    if ((size_t)(at - begin) > whole)
        while (whole > 0 && is_continuation(begin[whole]))
            whole--;
    if (whole > 0)
        word->size = whole;
    *text = at;
    return word->size > 0;
}

// --- rows ---

struct index_text {
    char *out;
    size_t used;
    size_t count;
    struct word words[MAX_INDEX_WORDS];
};

static void append(struct index_text *text, const char *data, size_t size)
{
    // 128 + 128 + 128 + 256 bytes of text make 11 kB at the most, in words of CH_CATALOGUE_WORD_BYTES each.
    assert(text->used + size + 2 <= CH_CATALOGUE_INDEX_TEXT_BYTES);
    memcpy(text->out + text->used, data, size);
    text->used += size;
    text->out[text->used++] = ' ';
}

static void add_word(struct index_text *text, const struct word *word)
{
    for (size_t i = 0; i < text->count; i++)
        if (text->words[i].size == word->size && memcmp(text->words[i].text, word->text, word->size) == 0)
            return;
    assert(text->count < MAX_INDEX_WORDS);
    text->words[text->count++] = *word;
    for (size_t size = 1; size <= word->size; size++)
        if (size == word->size || !is_continuation(word->text[size]))
            append(text, word->text, size);
}

static void add_words(struct index_text *text, const char *from)
{
    struct word word;
    while (next_word(&from, &word))
        add_word(text, &word);
}

static int format_camera(const char *camera, char out[2 * CH_RECORDING_TEXT_BYTES + 2])
{
    size_t size = strnlen(camera, CH_RECORDING_TEXT_BYTES - 1);
    memcpy(out, "=c", 2);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)camera[i];
        ch_format_hex(&byte, 1, out + 2 + 2 * i);
    }
    out[2 + 2 * size] = '\0';
    return (int)(2 + 2 * size);
}

void ch_catalogue_index_text(const struct ch_catalogue_row *row, char out[CH_CATALOGUE_INDEX_TEXT_BYTES])
{
    struct index_text text = {.out = out};
    add_words(&text, row->recording.id);
    add_words(&text, row->recording.camera);
    add_words(&text, row->model);
    add_words(&text, row->recording.reason);
    char term[2 * CH_RECORDING_TEXT_BYTES + 2];
    append(&text, "=a", 2);
    append(&text, term, (size_t)snprintf(term, sizeof term, "=v%d", row->recording.verdict));
    append(&text, term, (size_t)format_camera(row->recording.camera, term));
    text.out[text.used] = '\0';
}

// --- queries ---

static bool begins(const struct word *word, const struct word *with)
{
    return word->size >= with->size && memcmp(word->text, with->text, with->size) == 0;
}

// Adds a word to those that are asked for, unless one of them says it already; takes out those that it says. The
// longest come first, as they are the rarest.
static int ask_for(struct word words[CH_CATALOGUE_WORDS_MAX], size_t *count, const struct word *word)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (begins(&words[i], word))
            return 0;
    for (size_t i = 0; i < *count; i++)
        if (!begins(word, &words[i]))
            words[kept++] = words[i];
    *count = kept;
    if (*count == CH_CATALOGUE_WORDS_MAX)
        return -E2BIG;
    size_t at = 0;
    while (at < *count && words[at].size >= word->size)
        at++;
    memmove(words + at + 1, words + at, (*count - at) * sizeof *words);
    words[at] = *word;
    ++*count;
    return 0;
}

int ch_catalogue_match_text(const struct ch_catalogue_filter *filter, char out[CH_CATALOGUE_MATCH_BYTES])
{
    struct word words[CH_CATALOGUE_WORDS_MAX], word;
    size_t count = 0;
    int rc = 0, used = 0;
    for (const char *text = filter->words ? filter->words : ""; rc == 0 && next_word(&text, &word);)
        rc = ask_for(words, &count, &word);
    if (rc < 0 || count == 0)
        return rc;
    char term[2 * CH_RECORDING_TEXT_BYTES + 2];
    if (filter->camera && filter->camera[0]) {
        format_camera(filter->camera, term);
        used += snprintf(out + used, CH_CATALOGUE_MATCH_BYTES - (size_t)used, "\"%s\" AND ", term);
    }
    if (filter->verdict >= 0)
        used += snprintf(out + used, CH_CATALOGUE_MATCH_BYTES - (size_t)used, "\"=v%d\" AND ", filter->verdict);
    for (size_t i = 0; i < count; i++)
        used += snprintf(out + used, CH_CATALOGUE_MATCH_BYTES - (size_t)used, "%s\"%.*s\"", i > 0 ? " AND " : "",
                         (int)words[i].size, words[i].text);
    assert(used < CH_CATALOGUE_MATCH_BYTES);
    return 1;
}
