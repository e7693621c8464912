// A page is read in the order of keys, which is that of the starts; sessions of the same millisecond are sorted by id
// as they come. So a cursor is a millisecond and an id, and means the same whatever has become of that session.
#include "sink/catalogue_internal.h"

#include "base/bytes.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// --- cursors ---

#define CURSOR_HEAD_BYTES 8
#define CURSOR_CHECK_BYTES 4

struct place {
    int64_t ms; // INT64_MAX: before everything
    char id[CH_SESSION_ID_BYTES];
};

// Milliseconds, id, and a check over both; in hex.
static void format_cursor(const struct ch_recording *last, char out[CH_CATALOGUE_CURSOR_BYTES])
{
    uint8_t bytes[CURSOR_HEAD_BYTES + CH_SESSION_ID_BYTES + CURSOR_CHECK_BYTES];
    size_t size = strlen(last->id);
    _Static_assert(2 * sizeof bytes < CH_CATALOGUE_CURSOR_BYTES, "the longest cursor fits");
    ch_put_be64(bytes, (uint64_t)(last->started_us / 1000));
    memcpy(bytes + CURSOR_HEAD_BYTES, last->id, size);
    size += CURSOR_HEAD_BYTES;
    ch_put_be32(bytes + size, (uint32_t)XXH3_64bits(bytes, size));
    ch_format_hex(bytes, size + CURSOR_CHECK_BYTES, out);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_cursor(const char *text, struct place *place)
{
    uint8_t bytes[CURSOR_HEAD_BYTES + CH_SESSION_ID_BYTES + CURSOR_CHECK_BYTES];
    size_t digits = strnlen(text, CH_CATALOGUE_CURSOR_BYTES), size = digits / 2;
    if (digits % 2 != 0 || size <= CURSOR_HEAD_BYTES + CURSOR_CHECK_BYTES || size >= sizeof bytes)
        return -EINVAL;
    for (size_t i = 0; i < size; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    size -= CURSOR_CHECK_BYTES;
    if (ch_get_be32(bytes + size) != (uint32_t)XXH3_64bits(bytes, size))
        return -EINVAL;
    uint64_t ms = ch_get_be64(bytes);
    size -= CURSOR_HEAD_BYTES;
    memcpy(place->id, bytes + CURSOR_HEAD_BYTES, size);
    place->id[size] = '\0';
    if (ms > (uint64_t)CH_KEY_MAX_MS || strlen(place->id) != size || !ch_catalogue_id_valid(place->id))
        return -EINVAL;
    place->ms = (int64_t)ms;
    return 0;
}

// --- what is asked for ---

struct query {
    enum ch_catalogue_statement count, page;
    int64_t low, high; // keys
    const char *text;  // camera, or what FTS5 is asked; NULL: neither
    int verdict;
    struct place after;
    char match[CH_CATALOGUE_MATCH_BYTES];
};

// The first millisecond that does not begin before this time.
static int64_t ceil_ms(int64_t us)
{
    if (us <= 0)
        return 0;
    int64_t ms = us / 1000 + (us % 1000 > 0);
    return ms > CH_KEY_MAX_MS + 1 ? CH_KEY_MAX_MS + 1 : ms;
}

static int prepare(const struct ch_catalogue_filter *filter, struct query *query)
{
    if (filter->limit < 1 || filter->limit > CH_CATALOGUE_LIMIT_MAX || filter->verdict < -1 ||
        filter->verdict >= CH_RECORDING_VERDICTS)
        return -EINVAL;
    query->after.ms = INT64_MAX;
    if (filter->cursor && filter->cursor[0] && parse_cursor(filter->cursor, &query->after) < 0)
        return -EINVAL;
    query->low = ceil_ms(filter->from_us) << CH_KEY_SHIFT;
    query->high = (ceil_ms(filter->to_us) << CH_KEY_SHIFT) - 1;
    query->verdict = filter->verdict;
    bool camera = filter->camera && filter->camera[0];
    if (camera && strlen(filter->camera) >= CH_RECORDING_TEXT_BYTES)
        query->high = -1; // there is none with so long a name
    int words = ch_catalogue_match_text(filter, query->match);
    if (words < 0)
        return words;
    if (words) {
        query->count = CH_STATEMENT_COUNT_WORDS;
        query->page = CH_STATEMENT_PAGE_WORDS;
        query->text = query->match;
        return 0;
    }
    unsigned which = (camera ? 1 : 0) + (filter->verdict >= 0 ? 2 : 0);
    query->count = CH_STATEMENT_COUNT_RANGE + which;
    query->page = CH_STATEMENT_PAGE + which;
    query->text = camera ? filter->camera : NULL;
    if (which == 0 && query->low == 0 && filter->to_us == INT64_MAX)
        query->count = CH_STATEMENT_COUNT;
    return 0;
}

static sqlite3_stmt *bind(struct ch_catalogue *catalogue, enum ch_catalogue_statement which, const struct query *query,
                          int64_t high)
{
    sqlite3_stmt *statement = ch_catalogue_statement(catalogue, which);
    int parameters = sqlite3_bind_parameter_count(statement);
    if (parameters >= 2) {
        sqlite3_bind_int64(statement, 1, query->low);
        sqlite3_bind_int64(statement, 2, high);
    }
    if (parameters >= 3 && query->text)
        sqlite3_bind_text(statement, 3, query->text, -1, SQLITE_STATIC);
    if (parameters >= 4)
        sqlite3_bind_int(statement, 4, query->verdict);
    return statement;
}

// --- pages ---

struct collection {
    struct ch_recording *recordings; // of the newest millisecond so far from `begin` on, by id, backward
    size_t count, capacity, begin;
    int64_t ms;
};

// Takes a row in. False if it and all that follow come behind what is wanted.
static bool collect(struct collection *collection, const struct query *query, sqlite3_stmt *statement)
{
    struct ch_catalogue_row row;
    int64_t ms = sqlite3_column_int64(statement, 0) >> CH_KEY_SHIFT;
    if (ms != collection->ms) {
        if (collection->count == collection->capacity)
            return false;
        collection->begin = collection->count;
        collection->ms = ms;
    }
    const unsigned char *text = sqlite3_column_text(statement, 1);
    const char *id = text ? (const char *)text : "";
    if (ms == query->after.ms && strcmp(id, query->after.id) >= 0)
        return true;
    size_t at = collection->count;
    while (at > collection->begin && strcmp(id, collection->recordings[at - 1].id) > 0)
        at--;
    if (at == collection->capacity)
        return true;
    if (collection->count < collection->capacity)
        collection->count++;
    ch_catalogue_read_row(statement, &row);
    memmove(collection->recordings + at + 1, collection->recordings + at,
            (collection->count - at - 1) * sizeof *collection->recordings);
    collection->recordings[at] = row.recording;
    return true;
}

static int read_page(struct ch_catalogue *catalogue, const struct query *query, struct collection *collection)
{
    int64_t high = query->high;
    if (query->after.ms < INT64_MAX) {
        int64_t last = (query->after.ms << CH_KEY_SHIFT) + CH_KEY_SLOTS - 1;
        high = last < high ? last : high;
    }
    sqlite3_stmt *statement = bind(catalogue, query->page, query, high);
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW)
        if (!collect(collection, query, statement))
            break;
    int rc = ch_catalogue_error(catalogue, result);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement); // its text is the caller's
    return rc;
}

static int answer(struct ch_catalogue *catalogue, const struct query *query, struct collection *collection,
                  struct ch_recording_page *page)
{
    int64_t total = 0;
    int rc = ch_catalogue_begin(catalogue, false);
    if (rc < 0)
        return rc;
    sqlite3_stmt *statement = bind(catalogue, query->count, query, query->high);
    rc = ch_catalogue_run_value(catalogue, statement, &total);
    sqlite3_clear_bindings(statement);
    if (rc >= 0)
        rc = read_page(catalogue, query, collection);
    rc = ch_catalogue_end(catalogue, rc);
    page->total = (uint64_t)total;
    return rc;
}

void ch_catalogue_filter_init(struct ch_catalogue_filter *filter)
{
    *filter = (struct ch_catalogue_filter){
        .from_us = INT64_MIN, .to_us = INT64_MAX, .verdict = -1, .limit = CH_CATALOGUE_LIMIT};
}

static int list(struct ch_catalogue *catalogue, const struct ch_catalogue_filter *filter, const struct query *query,
                struct ch_recording_page *page)
{
    struct collection collection = {.capacity = filter->limit + 1, .ms = -1}; // one more tells that there is one more
    collection.recordings = calloc(collection.capacity, sizeof *collection.recordings);
    if (!collection.recordings)
        return -ENOMEM;
    *page = (struct ch_recording_page){0};
    int rc = answer(catalogue, query, &collection, page);
    if (rc < 0) {
        free(collection.recordings);
        return rc;
    }
    page->recordings = collection.recordings;
    page->count = collection.count;
    if (page->count > filter->limit) {
        page->count = filter->limit;
        format_cursor(&page->recordings[page->count - 1], page->next);
    }
    return 0;
}

int ch_catalogue_list(struct ch_catalogue *catalogue, const struct ch_catalogue_filter *filter,
                      struct ch_recording_page *page)
{
    struct query query = {0};
    int rc = prepare(filter, &query);
    if (rc < 0)
        return rc;
    rc = list(catalogue, filter, &query, page);
    if (ch_catalogue_mend(catalogue, rc))
        rc = list(catalogue, filter, &query, page);
    return rc;
}

void ch_recording_page_deinit(struct ch_recording_page *page)
{
    free(page->recordings);
    *page = (struct ch_recording_page){0};
}
