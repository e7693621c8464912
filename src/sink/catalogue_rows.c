#include "sink/catalogue_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define MAX_PROBES 65536 // for a key that is free
#define MERGE_PAGES 64   // written by one step

// --- out of the database ---

static void read_text(sqlite3_stmt *statement, int column, char *out, size_t capacity)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    snprintf(out, capacity, "%s", text ? (const char *)text : "");
}

static uint64_t read_count(sqlite3_stmt *statement, int column)
{
    int64_t value = sqlite3_column_int64(statement, column);
    return value > 0 ? (uint64_t)value : 0;
}

void ch_catalogue_read_row(sqlite3_stmt *statement, struct ch_catalogue_row *row)
{
    struct ch_recording *recording = &row->recording;
    memset(row, 0, sizeof *row);
    row->key = sqlite3_column_int64(statement, 0);
    recording->started_us = (row->key >> CH_KEY_SHIFT) * 1000;
    read_text(statement, 1, recording->id, sizeof recording->id);
    read_text(statement, 2, recording->camera, sizeof recording->camera);
    read_text(statement, 3, row->model, sizeof row->model);
    read_text(statement, 4, recording->reason, sizeof recording->reason);
    int64_t verdict = sqlite3_column_int64(statement, 5);
    bool known = verdict >= 0 && verdict < CH_RECORDING_VERDICTS;
    recording->verdict = known ? (enum ch_recording_verdict)verdict : CH_RECORDING_UNKNOWN;
    recording->jpeg = sqlite3_column_int(statement, 6) != 0;
    recording->thumbnail = sqlite3_column_int(statement, 7) != 0;
    recording->mjpeg_parts = sqlite3_column_int(statement, 8) != 0;
    recording->parts = (uint64_t)sqlite3_column_int64(statement, 9);
    recording->ended_us = sqlite3_column_int64(statement, 10);
    recording->duration_us = sqlite3_column_int64(statement, 11);
    recording->bytes = read_count(statement, 12);
    recording->frames = read_count(statement, 13);
    recording->missing = read_count(statement, 14);
    row->stamps.inode = sqlite3_column_int64(statement, 15);
    row->stamps.mtime_ns = sqlite3_column_int64(statement, 16);
    row->stamps.report_inode = sqlite3_column_int64(statement, 17);
    row->stamps.report_mtime_ns = sqlite3_column_int64(statement, 18);
    row->stamps.report_bytes = sqlite3_column_int64(statement, 19);
}

static int bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    return sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

static int insert(struct ch_catalogue *catalogue, const struct ch_catalogue_row *row)
{
    const struct ch_recording *recording = &row->recording;
    sqlite3_stmt *statement = ch_catalogue_statement(catalogue, CH_STATEMENT_INSERT);
    int result = sqlite3_bind_int64(statement, 1, row->key);
    result |= bind_text(statement, 2, recording->id);
    result |= bind_text(statement, 3, recording->camera);
    result |= bind_text(statement, 4, row->model);
    result |= bind_text(statement, 5, recording->reason);
    const int64_t numbers[] = {
        recording->verdict,         recording->jpeg,
        recording->thumbnail,       recording->mjpeg_parts,
        (int64_t)recording->parts,  recording->ended_us,
        recording->duration_us,     (int64_t)recording->bytes,
        (int64_t)recording->frames, (int64_t)recording->missing,
        row->stamps.inode,          row->stamps.mtime_ns,
        row->stamps.report_inode,   row->stamps.report_mtime_ns,
        row->stamps.report_bytes,
    };
    for (int i = 0; i < (int)(sizeof numbers / sizeof numbers[0]); i++)
        result |= sqlite3_bind_int64(statement, 6 + i, numbers[i]);
    return result == SQLITE_OK ? ch_catalogue_run(catalogue, statement) : -ENOMEM;
}

static int run_on_key(struct ch_catalogue *catalogue, enum ch_catalogue_statement which, int64_t key, const char *text)
{
    sqlite3_stmt *statement = ch_catalogue_statement(catalogue, which);
    int result = sqlite3_bind_int64(statement, 1, key);
    if (text)
        result |= bind_text(statement, 2, text);
    return result == SQLITE_OK ? ch_catalogue_run(catalogue, statement) : -ENOMEM;
}

int ch_catalogue_find(struct ch_catalogue *catalogue, const char *id, struct ch_catalogue_row *row)
{
    sqlite3_stmt *statement = ch_catalogue_statement(catalogue, CH_STATEMENT_FIND);
    if (bind_text(statement, 1, id) != SQLITE_OK)
        return -ENOMEM;
    int result = sqlite3_step(statement);
    int rc = ch_catalogue_error(catalogue, result);
    if (result == SQLITE_ROW) {
        ch_catalogue_read_row(statement, row);
        rc = 1;
    }
    sqlite3_reset(statement);
    return rc;
}

// A free key for a start, which begins its search where the id says.
static int choose_key(struct ch_catalogue *catalogue, const struct ch_recording *recording, int64_t *key)
{
    int64_t base = recording->started_us / 1000 << CH_KEY_SHIFT;
    uint64_t slot = XXH3_64bits(recording->id, strlen(recording->id));
    for (int i = 0; i < MAX_PROBES; i++, slot++) {
        *key = base + (int64_t)(slot % (uint64_t)CH_KEY_SLOTS);
        sqlite3_stmt *statement = ch_catalogue_statement(catalogue, CH_STATEMENT_TAKEN);
        sqlite3_bind_int64(statement, 1, *key);
        int64_t taken;
        int rc = ch_catalogue_run_value(catalogue, statement, &taken);
        if (rc <= 0)
            return rc;
    }
    return -EOVERFLOW;
}

static bool same_recording(const struct ch_recording *a, const struct ch_recording *b)
{
    return a->verdict == b->verdict && a->jpeg == b->jpeg && a->thumbnail == b->thumbnail &&
           a->mjpeg_parts == b->mjpeg_parts && a->parts == b->parts && a->started_us == b->started_us &&
           a->ended_us == b->ended_us && a->duration_us == b->duration_us && a->bytes == b->bytes &&
           a->frames == b->frames && a->missing == b->missing && strcmp(a->camera, b->camera) == 0 &&
           strcmp(a->reason, b->reason) == 0;
}

static bool same_stamps(const struct ch_catalogue_stamps *a, const struct ch_catalogue_stamps *b)
{
    return a->inode == b->inode && a->mtime_ns == b->mtime_ns && a->report_inode == b->report_inode &&
           a->report_mtime_ns == b->report_mtime_ns && a->report_bytes == b->report_bytes;
}

// What a key and a signed number can hold.
static void confine(struct ch_recording *recording)
{
    int64_t ms = recording->started_us / 1000;
    recording->started_us = 1000 * (ms < 0 ? 0 : ms > CH_KEY_MAX_MS ? CH_KEY_MAX_MS : ms);
    uint64_t *counts[] = {&recording->bytes, &recording->frames, &recording->missing};
    for (int i = 0; i < 3; i++)
        if (*counts[i] > INT64_MAX)
            *counts[i] = INT64_MAX;
}

int ch_catalogue_put(struct ch_catalogue *catalogue, struct ch_catalogue_row *row)
{
    struct ch_catalogue_row old;
    char old_text[CH_CATALOGUE_INDEX_TEXT_BYTES], text[CH_CATALOGUE_INDEX_TEXT_BYTES];
    confine(&row->recording);
    int known = ch_catalogue_find(catalogue, row->recording.id, &old), rc = known;
    if (rc < 0)
        return rc;
    bool same = known && same_recording(&old.recording, &row->recording) && strcmp(old.model, row->model) == 0;
    bool moved = !known || old.recording.started_us != row->recording.started_us;
    row->key = known ? old.key : 0;
    if (same && same_stamps(&old.stamps, &row->stamps))
        return CH_PUT_SAME;
    if (moved && (rc = choose_key(catalogue, &row->recording, &row->key)) < 0)
        return rc;
    ch_catalogue_index_text(row, text);
    if (known)
        ch_catalogue_index_text(&old, old_text);
    bool reworded = moved || strcmp(old_text, text) != 0;
    if (known && reworded)
        rc = run_on_key(catalogue, CH_STATEMENT_UNINDEX, old.key, old_text);
    if (rc >= 0 && known && moved)
        rc = run_on_key(catalogue, CH_STATEMENT_DELETE, old.key, NULL);
    if (rc >= 0)
        rc = insert(catalogue, row);
    if (rc >= 0 && reworded)
        rc = run_on_key(catalogue, CH_STATEMENT_INDEX, row->key, text);
    if (rc < 0)
        return rc;
    return !known ? CH_PUT_ADDED : same ? CH_PUT_SAME : CH_PUT_CHANGED;
}

int ch_catalogue_remove(struct ch_catalogue *catalogue, const char *id)
{
    struct ch_catalogue_row row;
    char text[CH_CATALOGUE_INDEX_TEXT_BYTES];
    int rc = ch_catalogue_find(catalogue, id, &row);
    if (rc <= 0)
        return rc;
    ch_catalogue_index_text(&row, text);
    rc = run_on_key(catalogue, CH_STATEMENT_UNINDEX, row.key, text);
    if (rc == 0)
        rc = run_on_key(catalogue, CH_STATEMENT_DELETE, row.key, NULL);
    return rc < 0 ? rc : 1;
}

int ch_catalogue_merge(struct ch_catalogue *catalogue, bool first)
{
    sqlite3_stmt *statement = ch_catalogue_statement(catalogue, CH_STATEMENT_MERGE);
    sqlite3_bind_int(statement, 1, first ? -MERGE_PAGES : MERGE_PAGES);
    int64_t before = sqlite3_total_changes64(catalogue->db);
    int rc = ch_catalogue_run(catalogue, statement);
    if (rc < 0)
        return rc;
    return sqlite3_total_changes64(catalogue->db) - before >= 2; // fewer: there was nothing to merge
}

int ch_catalogue_check(struct ch_catalogue *catalogue)
{
    int64_t rows = 0, indexed = 0;
    int rc = ch_catalogue_run_value(catalogue, ch_catalogue_statement(catalogue, CH_STATEMENT_COUNT), &rows);
    if (rc < 0)
        return rc;
    sqlite3_stmt *statement = ch_catalogue_statement(catalogue, CH_STATEMENT_INDEXED);
    if (bind_text(statement, 1, CH_CATALOGUE_EVERY_ROW) != SQLITE_OK)
        return -ENOMEM;
    rc = ch_catalogue_run_value(catalogue, statement, &indexed);
    if (rc < 0)
        return rc;
    if (rows == indexed)
        return 0;
    snprintf(catalogue->why, sizeof catalogue->why, "its rows and its index of words disagree");
    return CH_CATALOGUE_BROKEN;
}
