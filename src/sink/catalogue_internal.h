// Internal to the catalogue.
//
//   catalogue.c         what the header offers, one transaction each, and the mending of a broken database
//   catalogue_db.c      the database: file or memory, schema, statements, transactions
//   catalogue_rows.c    rows in and out, with their words
//   catalogue_look.c    a session's folder into a row
//   catalogue_pass.c    the walk that brings rows and folders in line
//   catalogue_list.c    filters, pages, cursors
//   catalogue_words.c   text into the words of the FTS5 index, for rows and for queries
//   catalogue_delete.c  folders off the disk
//   catalogue_json.c    JSON and times
#ifndef CH_SINK_CATALOGUE_INTERNAL_H
#define CH_SINK_CATALOGUE_INTERNAL_H

#include "sink/catalogue.h"

#include <dirent.h>
#include <sqlite3.h>
#include <sys/types.h>

// A row's key: milliseconds since 1970, and a number that tells sessions of the same millisecond apart.
#define CH_KEY_SHIFT 20
#define CH_KEY_SLOTS (INT64_C(1) << CH_KEY_SHIFT)
#define CH_KEY_MAX_MS ((INT64_C(1) << 42) - 1) // in the year 2109

// What the broken database's errors become on their way to the place that mends it.
#define CH_CATALOGUE_BROKEN (-EUCLEAN)

// What tells whether a folder has changed since it was looked at. All zero in `report_*`: there is no session.json.
struct ch_catalogue_stamps {
    int64_t inode, mtime_ns; // mtime_ns CH_STAMP_UNSURE: look again whatever they are now
    int64_t report_inode, report_mtime_ns, report_bytes;
};
#define CH_STAMP_UNSURE INT64_MIN

struct ch_catalogue_row {
    int64_t key; // of a row that is in the list
    struct ch_recording recording;
    char model[CH_RECORDING_TEXT_BYTES]; // of the device; empty if unknown
    struct ch_catalogue_stamps stamps;
};

enum ch_catalogue_statement {
    CH_STATEMENT_BEGIN,
    CH_STATEMENT_BEGIN_READ,
    CH_STATEMENT_COMMIT,
    CH_STATEMENT_ROLLBACK,
    CH_STATEMENT_FIND,
    CH_STATEMENT_KNOWN,
    CH_STATEMENT_TAKEN,
    CH_STATEMENT_INSERT,
    CH_STATEMENT_DELETE,
    CH_STATEMENT_INDEX,
    CH_STATEMENT_UNINDEX,
    CH_STATEMENT_INDEXED,
    CH_STATEMENT_MERGE,
    CH_STATEMENT_ROWS,
    CH_STATEMENT_COUNT,
    // Four each, as two bits tell: 1 camera, 2 verdict.
    CH_STATEMENT_COUNT_RANGE,
    CH_STATEMENT_PAGE = CH_STATEMENT_COUNT_RANGE + 4,
    CH_STATEMENT_COUNT_WORDS = CH_STATEMENT_PAGE + 4,
    CH_STATEMENT_PAGE_WORDS,
    CH_STATEMENTS
};

enum ch_catalogue_phase { CH_PASS_NONE, CH_PASS_ROWS, CH_PASS_FOLDER, CH_PASS_MERGE };

struct ch_catalogue {
    int root;   // borrowed
    char *path; // of the recordings folder
    sqlite3 *db;
    sqlite3_stmt *statements[CH_STATEMENTS];
    bool in_memory, settled;
    unsigned renewals;
    char why[160]; // it is broken
    struct {
        enum ch_catalogue_phase phase;
        int64_t below; // CH_PASS_ROWS: keys from here on are done
        DIR *folder;   // CH_PASS_FOLDER
        uint64_t changes;
        bool merging;
    } pass;
};

// --- catalogue.c ---

// If rc says that the database is broken: makes it anew. True if the call is worth another try.
bool ch_catalogue_mend(struct ch_catalogue *catalogue, int rc);

// --- catalogue_db.c ---

// Opens the file, or makes it, or falls back to memory. 0 or -ENOMEM.
int ch_catalogue_db_open(struct ch_catalogue *catalogue);
void ch_catalogue_db_close(struct ch_catalogue *catalogue);
// The database is no good: puts it away and makes another one; the second time in memory. 0 or -ENOMEM.
int ch_catalogue_db_renew(struct ch_catalogue *catalogue);

// A statement, reset and without values.
sqlite3_stmt *ch_catalogue_statement(struct ch_catalogue *catalogue, enum ch_catalogue_statement which);
// An SQLite result as ours: SQLITE_OK, SQLITE_ROW and SQLITE_DONE are 0.
int ch_catalogue_error(struct ch_catalogue *catalogue, int result);
// Runs a statement that gives no rows.
int ch_catalogue_run(struct ch_catalogue *catalogue, sqlite3_stmt *statement);
// Runs one that gives one row with a number in it. 1 and *value, 0 if there was no row, or an error.
int ch_catalogue_run_value(struct ch_catalogue *catalogue, sqlite3_stmt *statement, int64_t *value);

int ch_catalogue_begin(struct ch_catalogue *catalogue, bool writing);
// Commits if rc is not negative, and rolls back otherwise (or if that fails). rc, or why it failed.
int ch_catalogue_end(struct ch_catalogue *catalogue, int rc);

// --- catalogue_rows.c ---

void ch_catalogue_read_row(sqlite3_stmt *statement, struct ch_catalogue_row *row);
// 1 and *row, or 0.
int ch_catalogue_find(struct ch_catalogue *catalogue, const char *id, struct ch_catalogue_row *row);
enum { CH_PUT_SAME, CH_PUT_CHANGED, CH_PUT_ADDED };
// The row into the list, in place of the one with its id. row->key is set, row->recording.started_us brought into
// what a key can hold. CH_PUT_..., or an error.
int ch_catalogue_put(struct ch_catalogue *catalogue, struct ch_catalogue_row *row);
// 1 if there was such a row, else 0.
int ch_catalogue_remove(struct ch_catalogue *catalogue, const char *id);
// Brings the pieces of the FTS5 index together, into one in the end: every piece costs each question a little. Does
// some of it: `first` begins. 1: there is more to do.
int ch_catalogue_merge(struct ch_catalogue *catalogue, bool first);
// Holds the rows against the FTS5 index. 0, or CH_CATALOGUE_BROKEN if they disagree.
int ch_catalogue_check(struct ch_catalogue *catalogue);

// --- catalogue_look.c ---

// A name that a session's folder may have: UTF-8 without control characters and '/', not hidden, not too long.
bool ch_catalogue_id_valid(const char *id);
// 1 and *row (but for the key), if there is a session of this name; 0 if not; or an error. *report is session.json, or
// NULL; *files those in the folder, as in RecordingDetails. Both may be NULL here, and are the caller's there.
int ch_catalogue_look(int root, const char *id, struct ch_catalogue_row *row, json_t **report, json_t **files);
// What the folder's stamps are now. 1, 0 if there is no folder of this name, or an error.
int ch_catalogue_stamp(int root, const char *id, struct ch_catalogue_stamps *stamps);
// True if an open folder has a file of a session in it.
bool ch_catalogue_is_session(int dir);

// --- catalogue_pass.c ---

// As ch_catalogue_reconcile, within a transaction.
int ch_catalogue_pass(struct ch_catalogue *catalogue, int64_t budget_us, struct ch_catalogue_changes *changes);
void ch_catalogue_pass_abandon(struct ch_catalogue *catalogue);
// Looks at a folder and brings its row in line. 1 and *row: it is in the list. 0: it is not.
int ch_catalogue_refresh(struct ch_catalogue *catalogue, const char *id, struct ch_catalogue_row *row,
                         struct ch_catalogue_changes *changes);

// --- catalogue_words.c ---

#define CH_CATALOGUE_WORD_BYTES 32
#define CH_CATALOGUE_INDEX_TEXT_BYTES (16u << 10)
#define CH_CATALOGUE_MATCH_BYTES 2048
// In every row's text.
#define CH_CATALOGUE_EVERY_ROW "\"=a\""

// What the FTS5 index is told of a row: the same text for the same row, as it takes it to get it out again.
void ch_catalogue_index_text(const struct ch_catalogue_row *row, char out[CH_CATALOGUE_INDEX_TEXT_BYTES]);
// The FTS5 query for a filter's words, camera and verdict. 1, 0 if there is no word in the text, or -E2BIG.
int ch_catalogue_match_text(const struct ch_catalogue_filter *filter, char out[CH_CATALOGUE_MATCH_BYTES]);

// --- catalogue_delete.c ---

// As ch_catalogue_delete_session, of the folder alone.
int ch_catalogue_delete_folder(int root, const char *id);
// If `name` is that of a deleted session whose folder is still there: clears it. 1, 0 if it is none or another process
// is at it, or an error; what cannot be deleted has its own name again then, if that is free.
int ch_catalogue_delete_leftover(int root, const char *name);

#endif
