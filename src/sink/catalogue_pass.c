#include "sink/catalogue_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_ROWS 64
#define MERGE_CHANGES 1000 // in one walk: merging is worth its while

// --- one folder ---

int ch_catalogue_refresh(struct ch_catalogue *catalogue, const char *id, struct ch_catalogue_row *row,
                         struct ch_catalogue_changes *changes)
{
    int there = ch_catalogue_look(catalogue->root, id, row, NULL, NULL);
    if (there < 0)
        return there;
    if (!there) {
        int removed = ch_catalogue_remove(catalogue, id);
        changes->removed += removed > 0;
        return removed < 0 ? removed : 0;
    }
    int put = ch_catalogue_put(catalogue, row);
    changes->added += put == CH_PUT_ADDED;
    changes->changed += put == CH_PUT_CHANGED;
    return put < 0 ? put : 1;
}

// What is wrong with one folder is no reason to stop; what is wrong with the database is.
static int survive(int rc, struct ch_catalogue_changes *changes)
{
    if (rc >= 0)
        return 0;
    if (rc == CH_CATALOGUE_BROKEN || rc == -ENOMEM || rc == -ENOSPC || rc == -EAGAIN)
        return rc;
    changes->failed++;
    return 0;
}

// --- rows ---

static bool unchanged(const struct ch_catalogue_stamps *then, const struct ch_catalogue_stamps *now)
{
    return then->mtime_ns != CH_STAMP_UNSURE && then->mtime_ns == now->mtime_ns && then->inode == now->inode &&
           then->report_inode == now->report_inode && then->report_mtime_ns == now->report_mtime_ns &&
           then->report_bytes == now->report_bytes;
}

static int check_row(struct ch_catalogue *catalogue, const struct ch_catalogue_row *row,
                     struct ch_catalogue_changes *changes)
{
    struct ch_catalogue_stamps now;
    struct ch_catalogue_row fresh;
    int there = ch_catalogue_stamp(catalogue->root, row->recording.id, &now);
    if (there < 0)
        return survive(there, changes);
    if (there && unchanged(&row->stamps, &now))
        return 0;
    return survive(ch_catalogue_refresh(catalogue, row->recording.id, &fresh, changes), changes);
}

// The next rows below pass.below. How many, or an error.
static int read_chunk(struct ch_catalogue *catalogue, struct ch_catalogue_row *rows)
{
    sqlite3_stmt *statement = ch_catalogue_statement(catalogue, CH_STATEMENT_ROWS);
    sqlite3_bind_int64(statement, 1, catalogue->pass.below);
    sqlite3_bind_int64(statement, 2, CHUNK_ROWS);
    int count = 0, result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW && count < CHUNK_ROWS)
        ch_catalogue_read_row(statement, &rows[count++]);
    int rc = ch_catalogue_error(catalogue, result);
    sqlite3_reset(statement);
    return rc < 0 ? rc : count;
}

// 1, or 0 if there are no more rows.
static int go_on_through_rows(struct ch_catalogue *catalogue, int64_t deadline_us, struct ch_catalogue_changes *changes)
{
    struct ch_catalogue_row *rows = calloc(CHUNK_ROWS, sizeof *rows);
    if (!rows)
        return -ENOMEM;
    int count = read_chunk(catalogue, rows), rc = count < 0 ? count : 0;
    for (int i = 0; i < count && rc == 0; i++) {
        rc = check_row(catalogue, &rows[i], changes);
        catalogue->pass.below = rows[i].key;
        if (ch_clock_mono_us() >= deadline_us)
            break;
    }
    free(rows);
    return rc < 0 ? rc : count > 0;
}

// --- names ---

static int check_name(struct ch_catalogue *catalogue, const struct dirent *entry, struct ch_catalogue_changes *changes)
{
    const char *name = entry->d_name;
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
        return 0;
    if (name[0] == '.')
        return survive(ch_catalogue_delete_leftover(catalogue->root, name), changes);
    if (!ch_catalogue_id_valid(name))
        return 0;
    sqlite3_stmt *statement = ch_catalogue_statement(catalogue, CH_STATEMENT_KNOWN);
    if (sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC) != SQLITE_OK)
        return -ENOMEM;
    int64_t key;
    int known = ch_catalogue_run_value(catalogue, statement, &key);
    sqlite3_clear_bindings(statement); // the name is readdir's
    if (known != 0)
        return known < 0 ? known : 0; // it had its turn as a row
    struct ch_catalogue_row row;
    return survive(ch_catalogue_refresh(catalogue, name, &row, changes), changes);
}

static int open_folder(struct ch_catalogue *catalogue)
{
    int fd = openat(catalogue->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    catalogue->pass.folder = fdopendir(fd);
    int error = -errno;
    if (!catalogue->pass.folder)
        close(fd);
    return catalogue->pass.folder ? 0 : error;
}

// 1, or 0 if there are no more names.
static int go_on_through_folder(struct ch_catalogue *catalogue, int64_t deadline_us,
                                struct ch_catalogue_changes *changes)
{
    int rc = catalogue->pass.folder ? 0 : open_folder(catalogue);
    while (rc == 0) {
        errno = 0;
        struct dirent *entry = readdir(catalogue->pass.folder);
        if (!entry)
            return -errno;
        rc = check_name(catalogue, entry, changes);
        if (ch_clock_mono_us() >= deadline_us)
            break;
    }
    return rc < 0 ? rc : 1;
}

// --- the walk ---

void ch_catalogue_pass_abandon(struct ch_catalogue *catalogue)
{
    if (catalogue->pass.folder)
        closedir(catalogue->pass.folder);
    catalogue->pass.folder = NULL;
    catalogue->pass.merging = false;
    catalogue->pass.phase = CH_PASS_NONE;
}

// One phase, as far as time allows. 1, or 0 if it is at its end.
static int go_on(struct ch_catalogue *catalogue, int64_t deadline_us, struct ch_catalogue_changes *changes)
{
    bool first = !catalogue->pass.merging;
    switch (catalogue->pass.phase) {
    case CH_PASS_ROWS: return go_on_through_rows(catalogue, deadline_us, changes);
    case CH_PASS_FOLDER: return go_on_through_folder(catalogue, deadline_us, changes);
    default: break;
    }
    catalogue->pass.merging = true;
    return ch_catalogue_merge(catalogue, first);
}

static uint64_t sum(const struct ch_catalogue_changes *changes)
{
    return (uint64_t)changes->added + changes->changed + changes->removed;
}

static enum ch_catalogue_phase phase_after(enum ch_catalogue_phase phase, uint64_t changes)
{
    if (phase == CH_PASS_ROWS)
        return CH_PASS_FOLDER;
    return phase == CH_PASS_FOLDER && changes >= MERGE_CHANGES ? CH_PASS_MERGE : CH_PASS_NONE;
}

int ch_catalogue_pass(struct ch_catalogue *catalogue, int64_t budget_us, struct ch_catalogue_changes *changes)
{
    int64_t deadline_us = ch_clock_mono_us() + budget_us;
    int rc;
    if (catalogue->pass.phase == CH_PASS_NONE) {
        catalogue->pass.phase = CH_PASS_ROWS;
        catalogue->pass.below = INT64_MAX;
        catalogue->pass.changes = 0;
    }
    do {
        rc = go_on(catalogue, deadline_us, changes);
        if (rc == 0)
            catalogue->pass.phase = phase_after(catalogue->pass.phase, catalogue->pass.changes + sum(changes));
        if (rc == 0 && catalogue->pass.phase == CH_PASS_MERGE)
            break; // words of this transaction are no piece of the index before it ends
    } while (rc >= 0 && catalogue->pass.phase != CH_PASS_NONE && ch_clock_mono_us() < deadline_us);
    catalogue->pass.changes += sum(changes);
    if (rc >= 0 && catalogue->pass.phase != CH_PASS_NONE)
        return 1;
    ch_catalogue_pass_abandon(catalogue);
    return rc < 0 ? rc : ch_catalogue_check(catalogue);
}
