// The catalogue's answers: filters against a plain search over the same sessions, words of all kinds, pages through
// long lists, cursors, times and JSON. Rows are put in without folders.
#include "catalogue_maker.h"

#include <ctype.h>

// --- rows -----------------------------------------------------------------------------------------

struct store {
    struct ch_catalogue_row *rows; // newest first, as the list should have them
    size_t count;
};

static int by_place(const void *a, const void *b)
{
    const struct ch_recording *left = &((const struct ch_catalogue_row *)a)->recording;
    const struct ch_recording *right = &((const struct ch_catalogue_row *)b)->recording;
    if (left->started_us != right->started_us)
        return left->started_us < right->started_us ? 1 : -1;
    return strcmp(right->id, left->id);
}

static uint32_t noise(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void put_rows(struct store *store)
{
    for (size_t at = 0; at < store->count; at += 5000) {
        size_t end = at + 5000 < store->count ? at + 5000 : store->count;
        assert_int_equal(ch_catalogue_begin(yard.catalogue, true), 0);
        for (size_t i = at; i < end; i++)
            assert_int_equal(ch_catalogue_put(yard.catalogue, &store->rows[i]), CH_PUT_ADDED);
        assert_int_equal(ch_catalogue_end(yard.catalogue, 0), 0);
    }
    qsort(store->rows, store->count, sizeof *store->rows, by_place);
}

// Sessions of 20 cameras, several of them in the same millisecond here and there.
static struct store make_store(size_t count)
{
    struct store store = {.rows = calloc(count, sizeof *store.rows), .count = count};
    static const char *const models[] = {"Pixel 7", "Galaxy S22 Ultra", "", "\xe5\xb0\x8f\xe7\xb1\xb3 14"};
    uint32_t seed = 1;
    for (size_t i = 0; i < count; i++) {
        struct ch_recording *recording = &store.rows[i].recording;
        unsigned camera = noise(&seed) % 20, second = noise(&seed) % 1000000;
        recording->started_us = (INT64_C(1700000000) + second) * CH_US_PER_S + noise(&seed) % 2 * 1000;
        snprintf(recording->camera, sizeof recording->camera, "bench-%u", camera);
        char stamp[CH_STAMP_BYTES];
        ch_format_stamp(recording->started_us, stamp);
        snprintf(recording->id, sizeof recording->id, "bench-%u_%s_%zu", camera, stamp, i);
        snprintf(recording->reason, sizeof recording->reason, "%u frames missing in %u min", noise(&seed) % 100,
                 noise(&seed) % 60);
        snprintf(store.rows[i].model, sizeof store.rows[i].model, "%s", models[camera % 4]);
        recording->verdict = noise(&seed) % CH_RECORDING_VERDICTS;
        recording->ended_us = recording->duration_us = CH_RECORDING_NO_TIME;
    }
    put_rows(&store);
    return store;
}

// --- a plain search -------------------------------------------------------------------------------

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

// True if a word in the text begins with these bytes.
static bool has_word(const char *text, const char *word, size_t size)
{
    for (const char *at = text; *at; at++)
        if ((at == text || !in_word(at[-1])) && in_word(*at) && strncasecmp(at, word, size) == 0)
            return true;
    return false;
}

static bool fits(const struct ch_catalogue_row *row, const struct ch_catalogue_filter *filter)
{
    const struct ch_recording *recording = &row->recording;
    if (filter->camera && filter->camera[0] && strcmp(filter->camera, recording->camera) != 0)
        return false;
    if (filter->verdict >= 0 && recording->verdict != (enum ch_recording_verdict)filter->verdict)
        return false;
    if (recording->started_us < filter->from_us || recording->started_us >= filter->to_us)
        return false;
    for (const char *at = filter->words ? filter->words : ""; *at;) {
        size_t size = 0;
        while (in_word(at[size]))
            size++;
        if (size > 0 && !has_word(recording->id, at, size) && !has_word(recording->camera, at, size) &&
            !has_word(row->model, at, size) && !has_word(recording->reason, at, size))
            return false;
        at += size > 0 ? size : 1;
    }
    return true;
}

// All pages of a filter, against the plain search.
static void assert_list(const struct store *store, const struct ch_catalogue_filter *filter, unsigned limit)
{
    struct ch_catalogue_filter each = *filter;
    struct ch_recording_page page = {0};
    char cursor[CH_CATALOGUE_CURSOR_BYTES] = "";
    uint64_t expected = 0;
    size_t at = 0;
    for (size_t i = 0; i < store->count; i++)
        expected += fits(&store->rows[i], filter);
    each.limit = limit;
    each.cursor = cursor;
    uint64_t seen = 0;
    do {
        assert_int_equal(ch_catalogue_list(yard.catalogue, &each, &page), 0);
        assert_int_equal(page.total, expected);
        assert_true(page.count <= limit && (page.count == limit || !page.next[0]));
        assert_true(page.count > 0 || expected == 0);
        for (size_t i = 0; i < page.count; i++, at++) {
            while (at < store->count && !fits(&store->rows[at], filter))
                at++;
            assert_true(at < store->count);
            assert_string_equal(page.recordings[i].id, store->rows[at].recording.id);
            assert_int_equal(page.recordings[i].started_us, store->rows[at].recording.started_us);
        }
        seen += page.count;
        strcpy(cursor, page.next);
        ch_recording_page_deinit(&page);
    } while (cursor[0]);
    assert_int_equal(seen, expected);
}

static struct ch_catalogue_filter any(void)
{
    struct ch_catalogue_filter filter;
    ch_catalogue_filter_init(&filter);
    return filter;
}

// --- filters --------------------------------------------------------------------------------------

static void test_every_filter_with_every_other(void **state)
{
    (void)state;
    struct store store = make_store(3000);
    static const char *const cameras[] = {NULL, "", "bench-3", "bench-99"};
    static const char *const words[] = {NULL, "bench", "2023 pixel", "missing 1 5", "\xe5\xb0\x8f", "nowhere"};
    static const int64_t times[][2] = {{INT64_MIN, INT64_MAX},
                                       {INT64_C(1700200000000000), INT64_C(1700600000000000)},
                                       {INT64_C(1700500000000000), INT64_C(1700400000000000)},
                                       {INT64_C(1700200000000000), INT64_MAX}};
    static const int verdicts[] = {-1, CH_RECORDING_GAPS, CH_RECORDING_RUNNING};
    struct ch_catalogue_filter filter = any();
    for (size_t c = 0; c < 4; c++)
        for (size_t w = 0; w < 6; w++)
            for (size_t t = 0; t < 4; t++)
                for (size_t v = 0; v < 3; v++) {
                    filter.camera = cameras[c];
                    filter.words = words[w];
                    filter.from_us = times[t][0];
                    filter.to_us = times[t][1];
                    filter.verdict = verdicts[v];
                    assert_list(&store, &filter, 500);
                }
    free(store.rows);
}

// The boundaries of a range, to the microsecond, where starts are whole milliseconds.
static void test_from_and_to(void **state)
{
    (void)state;
    struct ch_catalogue_row row = {
        .recording = {.id = "cam_1", .camera = "cam", .started_us = INT64_C(1700000000123000)}};
    assert_int_equal(ch_catalogue_put(yard.catalogue, &row), CH_PUT_ADDED);
    const int64_t at = row.recording.started_us;
    const struct {
        int64_t from_us, to_us;
        unsigned total;
    } cases[] = {
        {at, at + 1, 1},           {at, at, 0},       {at - 1, at, 0}, {at + 1, INT64_MAX, 0},    {INT64_MIN, at, 0},
        {INT64_MIN, at + 1, 1},    {0, at + 1000, 1}, {-5, -1, 0},     {INT64_MAX, INT64_MIN, 0}, {at - 999, at + 1, 1},
        {INT64_MIN, INT64_MIN, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ch_catalogue_filter filter = any();
        filter.from_us = cases[i].from_us;
        filter.to_us = cases[i].to_us;
        assert_int_equal(total_of(&filter), cases[i].total);
        filter.words = "cam";
        assert_int_equal(total_of(&filter), cases[i].total);
    }
}

// --- words ----------------------------------------------------------------------------------------

static void add_row(struct store *store, const char *id, const char *camera, const char *model, const char *reason)
{
    struct ch_catalogue_row *row = &store->rows[store->count++];
    memset(row, 0, sizeof *row);
    snprintf(row->recording.id, sizeof row->recording.id, "%s", id);
    snprintf(row->recording.camera, sizeof row->recording.camera, "%s", camera);
    snprintf(row->model, sizeof row->model, "%s", model);
    snprintf(row->recording.reason, sizeof row->recording.reason, "%s", reason);
    row->recording.started_us = (int64_t)store->count * CH_US_PER_S;
}

static const char *const queries[] = {
    "",
    " ",
    "'",
    "\"",
    "\"\"\"\"",
    "*",
    "**",
    "%",
    "_",
    "a",
    "A",
    "a*",
    "\"a",
    "AND",
    "and",
    "OR",
    "NOT",
    "NEAR",
    "NEAR(",
    "near(a b)",
    "a AND",
    "AND AND AND",
    "NOT a",
    "a OR b",
    "text:rank",
    "text : a",
    "rank",
    "-word",
    "- word",
    "^first",
    "{x}",
    "x}",
    "cam\"",
    "'; DROP TABLE rec; --",
    "o'neil",
    "oneil",
    "neil's",
    "s",
    "100%",
    "<b>",
    "\\",
    "\\ broken",
    "k\xc3\xbc\x63he",
    "K\xc3\xbc",
    "k",
    "\xc3\xbc",
    "caf\xc3\xa9",
    "cafe",
    "\xf0\x9f\x93\xb7",
    "\xe5\xb0\x8f",
    "\xe5\xb0\x8f\xe7\xb1\xb3",
    "\xe7\xb1\xb3",
    "=a",
    "=v0",
    "=c3d61",
    "c3d61",
    "v0",
    "=",
    "==",
    "supercalifragilisticexpialidocious",
    "supercalifragilisticexpialidoc",
    "supercalifragilisticexpialis",
    "2",
    "22",
    "222",
    "2222",
    "2 22 222",
    "222 22 2",
    "20260101",
    "2026 0101",
    "000000 20260101 words",
    "key\x01rec",
    "words words words",
    "word wor wo w",
    "none",
    "NONE a",
    "\x7f",
    "rec(",
    "words.rowid",
    "?1",
    ":a",
    "@a",
    "$a",
};

// What would be syntax for FTS5, SQL or LIKE is text like any other.
static void test_words_are_text(void **state)
{
    (void)state;
    struct store store = {.rows = calloc(16, sizeof *store.rows)};
    add_row(&store, "O'Neil's \"cam\"_20260101_000000", "O'Neil's \"cam\"", "100% <b>", "it's \\ broken");
    add_row(&store, "AND_20260101_000000", "AND", "OR NOT NEAR(a b)", "text:rank* -word +plus ^first {x}");
    add_row(&store,
            "k\xc3\xbc"
            "che_20260101_000000",
            "K\xc3\xbc"
            "che",
            "Caf\xc3\xa9 \xf0\x9f\x93\xb7", "\xe5\xb0\x8f\xe7\xb1\xb3\xe6\x89\x8b");
    add_row(&store, "=a_20260101_000000", "=a", "=v0", "=c3d61");
    add_row(&store, "a_20260101_000000", "a", "supercalifragilisticexpialidocious", "");
    add_row(&store, "words_20260101_000000", "words", "rec", "key 2 22 222");
    add_row(&store, "none", "none", "", "\x01\x7f\t\n");
    put_rows(&store);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct ch_catalogue_filter filter = any();
        filter.words = queries[i];
        assert_list(&store, &filter, 3);
        filter.verdict = 0;
        filter.camera = "=a";
        assert_list(&store, &filter, 3);
    }
    // A camera is compared byte by byte, whatever it is called.
    for (size_t i = 0; i < store.count; i++) {
        struct ch_catalogue_filter filter = any();
        filter.camera = store.rows[i].recording.camera;
        assert_list(&store, &filter, 3);
        filter.words = "2026";
        assert_list(&store, &filter, 3);
    }
    free(store.rows);
}

// Of a word of any length the first 32 bytes count; a camera's name in full.
static void test_long_words(void **state)
{
    (void)state;
    char text[CH_RECORDING_TEXT_BYTES], longer[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct store store = {.rows = calloc(4, sizeof *store.rows)};
    add_row(&store, text, text, text, longer);
    put_rows(&store);
    struct ch_catalogue_filter filter = any();
    filter.words = longer;
    assert_int_equal(total_of(&filter), 1);
    filter.camera = text;
    assert_int_equal(total_of(&filter), 1);
    filter.words = NULL;
    assert_int_equal(total_of(&filter), 1);
    filter.camera = longer;
    assert_int_equal(total_of(&filter), 0);
    filter.words = "x";
    assert_int_equal(total_of(&filter), 0);
    // As many different words as may be, and one more. What begins another word is none of its own.
    char many[400] = "";
    for (int i = 0; i < 2 * CH_CATALOGUE_WORDS_MAX; i++) {
        char word[8];
        int letter = 'a' + i % CH_CATALOGUE_WORDS_MAX;
        snprintf(word, sizeof word, i < CH_CATALOGUE_WORDS_MAX ? "%c " : "%c%c ", letter, letter);
        strcat(many, word);
    }
    filter.camera = NULL;
    filter.words = many;
    assert_int_equal(total_of(&filter), 0);
    strcat(many, "aa bb a b c cc "); // nothing new
    assert_int_equal(total_of(&filter), 0);
    strcat(many, "zz");
    struct ch_recording_page page;
    assert_int_equal(ch_catalogue_list(yard.catalogue, &filter, &page), -E2BIG);
    free(store.rows);
}

// A row that changes is found by what it says now, and by nothing else.
static void test_words_of_a_row_that_changes(void **state)
{
    (void)state;
    struct ch_catalogue_row row = {.recording = {.id = "cam_1", .camera = "left", .reason = "being recorded"}};
    assert_int_equal(ch_catalogue_put(yard.catalogue, &row), CH_PUT_ADDED);
    struct ch_catalogue_filter filter = any();
    filter.words = "left rec";
    assert_int_equal(total_of(&filter), 1);
    strcpy(row.recording.camera, "right");
    strcpy(row.recording.reason, "all frames");
    row.recording.verdict = CH_RECORDING_COMPLETE;
    assert_int_equal(ch_catalogue_put(yard.catalogue, &row), CH_PUT_CHANGED);
    assert_int_equal(total_of(&filter), 0);
    filter.words = "right all";
    filter.camera = "right";
    filter.verdict = CH_RECORDING_COMPLETE;
    assert_int_equal(total_of(&filter), 1);
    filter.verdict = CH_RECORDING_RUNNING;
    assert_int_equal(total_of(&filter), 0);
    filter.verdict = CH_RECORDING_COMPLETE;
    row.recording.bytes = 5;
    assert_int_equal(ch_catalogue_put(yard.catalogue, &row), CH_PUT_CHANGED);
    row.stamps.inode = 5;
    assert_int_equal(ch_catalogue_put(yard.catalogue, &row), CH_PUT_SAME);
    assert_int_equal(ch_catalogue_put(yard.catalogue, &row), CH_PUT_SAME);
    assert_int_equal(total_of(&filter), 1);
    row.recording.started_us = INT64_C(1700000000000000);
    assert_int_equal(ch_catalogue_put(yard.catalogue, &row), CH_PUT_CHANGED);
    assert_int_equal(total_of(&filter), 1);
    assert_int_equal(total(), 1);
    assert_int_equal(ch_catalogue_check(yard.catalogue), 0);
    assert_int_equal(ch_catalogue_remove(yard.catalogue, "cam_1"), 1);
    assert_int_equal(ch_catalogue_remove(yard.catalogue, "cam_1"), 0);
    assert_int_equal(total_of(&filter), 0);
    assert_int_equal(ch_catalogue_check(yard.catalogue), 0);
}

// --- pages ----------------------------------------------------------------------------------------

// With little to be indexed of each, so that putting them in does not take long.
static void test_pages_of_a_long_list(void **state)
{
    (void)state;
    struct store store = {.rows = calloc(100000, sizeof *store.rows), .count = 100000};
    uint32_t seed = 1;
    for (size_t i = 0; i < store.count; i++) {
        struct ch_recording *recording = &store.rows[i].recording;
        recording->started_us = INT64_C(1700000000000000) + noise(&seed) % 1000000 * 1000;
        snprintf(recording->camera, sizeof recording->camera, "c%u", noise(&seed) % 20);
        snprintf(recording->id, sizeof recording->id, "c-%zu", i);
        recording->verdict = noise(&seed) % CH_RECORDING_VERDICTS;
    }
    put_rows(&store);
    struct ch_catalogue_filter filter = any();
    assert_list(&store, &filter, 500);
    filter.words = "c";
    assert_list(&store, &filter, 500);
    filter.words = "c1 7";
    assert_list(&store, &filter, 500);
    filter.camera = "c7";
    filter.words = NULL;
    assert_list(&store, &filter, 499);
    filter.verdict = CH_RECORDING_DAMAGED;
    assert_list(&store, &filter, 37);
    filter.words = "c 12";
    assert_list(&store, &filter, 37);
    free(store.rows);
}

static void test_many_of_one_millisecond(void **state)
{
    (void)state;
    struct store store = {.rows = calloc(2000, sizeof *store.rows), .count = 2000};
    for (size_t i = 0; i < store.count; i++) {
        struct ch_recording *recording = &store.rows[i].recording;
        snprintf(recording->id, sizeof recording->id, "cam%zu_20260101_000000", i * 7919 % 2000);
        strcpy(recording->camera, "cam");
        recording->started_us = INT64_C(1700000000000000) + (int64_t)(i / 1990) * 1000;
    }
    put_rows(&store);
    struct ch_catalogue_filter filter = any();
    static const unsigned limits[] = {1, 7, 199, 500};
    for (size_t i = 0; i < 4; i++) {
        filter.words = NULL;
        assert_list(&store, &filter, limits[i]);
        filter.words = "cam1";
        assert_list(&store, &filter, limits[i]);
    }
    free(store.rows);
}

// Sessions come and go between two pages: what stays is seen once.
static void test_pages_while_the_list_changes(void **state)
{
    (void)state;
    struct store store = make_store(1000);
    struct ch_catalogue_filter filter = any();
    char cursor[CH_CATALOGUE_CURSOR_BYTES] = "";
    bool *seen = calloc(store.count, sizeof *seen), *gone = calloc(store.count, sizeof *gone);
    filter.limit = 10;
    filter.cursor = cursor;
    size_t at = 0;
    do {
        struct ch_recording_page page;
        assert_int_equal(ch_catalogue_list(yard.catalogue, &filter, &page), 0);
        for (size_t i = 0; i < page.count; i++, at++) {
            while (gone[at])
                at++;
            assert_string_equal(page.recordings[i].id, store.rows[at].recording.id);
            seen[at] = true;
        }
        strcpy(cursor, page.next);
        ch_recording_page_deinit(&page);
        // The cursor's own row goes, one that is to come, and one that was; a newer one comes.
        const size_t out[] = {at - 1, at + 5, at / 2};
        for (size_t i = 0; i < 3; i++)
            if (out[i] < store.count && !gone[out[i]]) {
                assert_int_equal(ch_catalogue_remove(yard.catalogue, store.rows[out[i]].recording.id), 1);
                gone[out[i]] = true;
            }
        struct ch_catalogue_row newer = {.recording = {.camera = "new", .started_us = INT64_C(1800000000000000)}};
        snprintf(newer.recording.id, sizeof newer.recording.id, "new_%zu", at);
        assert_int_equal(ch_catalogue_put(yard.catalogue, &newer), CH_PUT_ADDED);
    } while (cursor[0]);
    for (size_t i = 0; i < store.count; i++)
        assert_true(seen[i] || gone[i]);
    free(seen);
    free(gone);
    free(store.rows);
}

static void test_bad_values(void **state)
{
    (void)state;
    struct store store = make_store(30);
    struct ch_catalogue_filter filter = any();
    struct ch_recording_page page;
    filter.limit = 10;
    assert_int_equal(ch_catalogue_list(yard.catalogue, &filter, &page), 0);
    char cursor[CH_CATALOGUE_CURSOR_BYTES];
    strcpy(cursor, page.next);
    ch_recording_page_deinit(&page);
    filter.cursor = cursor;
    size_t size = strlen(cursor);
    assert_int_equal(ch_catalogue_list(yard.catalogue, &filter, &page), 0);
    ch_recording_page_deinit(&page);
    for (size_t i = 0; i < size; i++) {
        char was = cursor[i];
        for (unsigned c = 1; c < 256; c++) {
            cursor[i] = (char)c;
            int rc = ch_catalogue_list(yard.catalogue, &filter, &page);
            assert_int_equal(rc, cursor[i] == was ? 0 : -EINVAL);
            if (rc == 0)
                ch_recording_page_deinit(&page);
        }
        cursor[i] = '\0'; // cut
        assert_int_equal(ch_catalogue_list(yard.catalogue, &filter, &page), i > 0 ? -EINVAL : 0);
        if (i == 0)
            ch_recording_page_deinit(&page);
        cursor[i] = was;
    }
    char longer[5000];
    memset(longer, 'a', sizeof longer - 1);
    for (size_t i = 1; i < sizeof longer; i += i < 300 ? 1 : 500) {
        longer[i] = '\0';
        filter.cursor = longer;
        assert_int_equal(ch_catalogue_list(yard.catalogue, &filter, &page), -EINVAL);
        longer[i] = 'a';
    }
    filter.cursor = NULL;
    static const unsigned limits[] = {0, 501, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        filter.limit = limits[i];
        assert_int_equal(ch_catalogue_list(yard.catalogue, &filter, &page), -EINVAL);
    }
    filter.limit = 1;
    static const int verdicts[] = {-2, CH_RECORDING_VERDICTS, INT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        filter.verdict = verdicts[i];
        assert_int_equal(ch_catalogue_list(yard.catalogue, &filter, &page), -EINVAL);
    }
    free(store.rows);
}

// --- JSON and times -------------------------------------------------------------------------------

static void test_json(void **state)
{
    (void)state;
    struct ch_catalogue_row row = {.recording = {
                                       .id = "cam_1",
                                       .camera = "cam \"<1>\"",
                                       .reason = "all",
                                       .verdict = CH_RECORDING_COMPLETE,
                                       .thumbnail = true,
                                       .parts = 3,
                                       .started_us = INT64_C(1767323045678000),
                                       .ended_us = INT64_C(1767323047700000),
                                       .duration_us = 2033300,
                                       .bytes = UINT64_C(1) << 40,
                                       .frames = 57,
                                       .missing = 3,
                                   }};
    json_t *expected = json_pack("{s:s,s:s,s:s,s:s,s:s,s:f,s:I,s:i,s:i,s:s,s:s,s:s,s:[s,s],s:b}", "id", "cam_1",
                                 "camera", "cam \"<1>\"", "kind", "h264", "started", "2026-01-02T03:04:05.678Z",
                                 "ended", "2026-01-02T03:04:07.700Z", "duration", 2.0333, "bytes", (json_int_t)1 << 40,
                                 "frames", 57, "missing", 3, "verdict", "complete", "reason", "all", "video",
                                 "stream.mp4", "parts", "stream.mp4", "stream_2.mp4", "thumbnail", 1);
    assert_non_null(expected);
    json_t *json = ch_recording_to_json(&row.recording);
    assert_true(json_equal(json, expected));
    json_decref(json);
    json_decref(expected);

    row.recording = (struct ch_recording){
        .id = "esp_1",
        .camera = "esp",
        .jpeg = true,
        .mjpeg_parts = true,
        .ended_us = CH_RECORDING_NO_TIME,
        .duration_us = CH_RECORDING_NO_TIME,
    };
    expected =
        json_pack("{s:s,s:s,s:s,s:s,s:n,s:n,s:i,s:i,s:i,s:s,s:s,s:n,s:[],s:b}", "id", "esp_1", "camera", "esp", "kind",
                  "jpeg", "started", "1970-01-01T00:00:00.000Z", "ended", "duration", "bytes", 0, "frames", 0,
                  "missing", 0, "verdict", "recording", "reason", "", "video", "parts", "thumbnail", 0);
    assert_non_null(expected);
    json = ch_recording_to_json(&row.recording);
    assert_true(json_equal(json, expected));
    json_decref(json);
    json_decref(expected);

    static const char *const names[] = {"recording", "complete", "gaps", "recovered", "damaged", "unknown"};
    for (int i = 0; i < CH_RECORDING_VERDICTS; i++) {
        assert_string_equal(ch_recording_verdict_name((enum ch_recording_verdict)i), names[i]);
        assert_int_equal(ch_recording_verdict_from_name(names[i]), i);
    }
    assert_int_equal(ch_recording_verdict_from_name("Gaps"), -EINVAL);
    assert_int_equal(ch_recording_verdict_from_name(""), -EINVAL);
}

static void test_json_of_pages(void **state)
{
    (void)state;
    struct ch_catalogue_filter filter = any();
    struct ch_recording_page page;
    assert_int_equal(ch_catalogue_list(yard.catalogue, &filter, &page), 0);
    json_t *json = ch_recording_page_to_json(&page),
           *expected = json_pack("{s:[],s:i,s:n}", "recordings", "total", 0, "next");
    assert_true(json_equal(json, expected));
    json_decref(expected);
    json_decref(json);
    ch_recording_page_deinit(&page);
    struct store store = make_store(25);
    filter.limit = 20;
    assert_int_equal(ch_catalogue_list(yard.catalogue, &filter, &page), 0);
    json = ch_recording_page_to_json(&page);
    assert_int_equal(json_array_size(json_object_get(json, "recordings")), 20);
    assert_int_equal(json_integer_value(json_object_get(json, "total")), 25);
    assert_string_equal(json_string_value(json_object_get(json, "next")), page.next);
    json_decref(json);
    ch_recording_page_deinit(&page);
    free(store.rows);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us, end_us; // -1: not a time
    } cases[] = {
        {"1970-01-01", 0, INT64_C(86400000000)},
        {"2026-01-02", INT64_C(1767312000000000), INT64_C(1767398400000000)},
        {"2025-12-31", INT64_C(1767139200000000), INT64_C(1767225600000000)},
        {"2024-02-29", INT64_C(1709164800000000), INT64_C(1709251200000000)},
        {"2026-01-02T03:04:05Z", INT64_C(1767323045000000), INT64_C(1767323045000000)},
        {"2026-01-02t03:04:05z", INT64_C(1767323045000000), INT64_C(1767323045000000)},
        {"2026-01-02T03:04:05.678Z", INT64_C(1767323045678000), INT64_C(1767323045678000)},
        {"2026-01-02T03:04:05.123456789Z", INT64_C(1767323045123456), INT64_C(1767323045123456)},
        {"2026-01-02T11:04:05+08:00", INT64_C(1767323045000000), INT64_C(1767323045000000)},
        {"2026-01-01T21:34:05-05:30", INT64_C(1767323045000000), INT64_C(1767323045000000)},
        {"2026-01-02T23:59:60Z", INT64_C(1767398400000000), INT64_C(1767398400000000)},
        {"", -1, -1},
        {"2026", -1, -1},
        {"2026-1-2", -1, -1},
        {"2026-02-29", -1, -1},
        {"2026-04-31", -1, -1},
        {"2026-00-01", -1, -1},
        {"2026-13-01", -1, -1},
        {"2026-01-00", -1, -1},
        {"2026-01-32", -1, -1},
        {" 2026-01-02", -1, -1},
        {"2026-01-02 ", -1, -1},
        {"2026-01-02T", -1, -1},
        {"2026-01-02T03:04", -1, -1},
        {"2026-01-02T03:04:05", -1, -1},
        {"2026-01-02T03:04:05.Z", -1, -1},
        {"2026-01-02T03:04:05Zx", -1, -1},
        {"2026-01-02T24:00:00Z", -1, -1},
        {"2026-01-02T03:60:00Z", -1, -1},
        {"2026-01-02T03:04:61Z", -1, -1},
        {"2026-01-02T03:04:05+8", -1, -1},
        {"2026-01-02T03:04:05+24:00", -1, -1},
        {"2026-01-02T03:04:05+08:60", -1, -1},
        {"-026-01-02", -1, -1},
        {"20260102", -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct guard guard = guard_copy(cases[i].text, strlen(cases[i].text) + 1);
        for (int end = 0; end < 2; end++) {
            int64_t us, expected = end ? cases[i].end_us : cases[i].us;
            int rc = ch_recording_parse_time((const char *)guard.data, end == 1, &us);
            if (rc != (expected < 0 ? -EINVAL : 0) || (rc == 0 && us != expected))
                fail_msg("'%s': %d, %lld", cases[i].text, rc, rc == 0 ? (long long)us : 0);
        }
        guard_free(&guard);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_yard, remove_yard)
    const struct CMUnitTest tests[] = {
        CASE(test_every_filter_with_every_other),
        CASE(test_from_and_to),
        CASE(test_words_are_text),
        CASE(test_long_words),
        CASE(test_words_of_a_row_that_changes),
        CASE(test_pages_of_a_long_list),
        CASE(test_many_of_one_millisecond),
        CASE(test_pages_while_the_list_changes),
        CASE(test_bad_values),
        CASE(test_json),
        CASE(test_json_of_pages),
        CASE(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
