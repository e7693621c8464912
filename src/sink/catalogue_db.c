#include "sink/catalogue_internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPLICATION_ID 0x63684361 // "chCa", in the file's header
#define VERSION 1                 // of the schema, and of what is indexed of a row (catalogue_words.c)
#define BUSY_MS 2000

// --- schema and statements ---

static const char schema[] =
    "CREATE TABLE rec(key INTEGER PRIMARY KEY, id TEXT NOT NULL, camera TEXT NOT NULL, model TEXT NOT NULL,"
    " reason TEXT NOT NULL, verdict INTEGER NOT NULL, jpeg INTEGER NOT NULL, thumbnail INTEGER NOT NULL,"
    " mjpeg_parts INTEGER NOT NULL, parts INTEGER NOT NULL, ended_us INTEGER NOT NULL, duration_us INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, frames INTEGER NOT NULL, missing INTEGER NOT NULL, inode INTEGER NOT NULL,"
    " mtime_ns INTEGER NOT NULL, report_inode INTEGER NOT NULL, report_mtime_ns INTEGER NOT NULL,"
    " report_bytes INTEGER NOT NULL);"
    // An index ends with the key, so each of these is in the order of the list within what it is asked for.
    "CREATE UNIQUE INDEX rec_id ON rec(id);"
    "CREATE INDEX rec_camera ON rec(camera);"
    "CREATE INDEX rec_verdict ON rec(verdict);"
    "CREATE INDEX rec_both ON rec(camera, verdict);"
    // Terms and keys only: text is never read from here.
    "CREATE VIRTUAL TABLE words USING"
    " fts5(text, content='', detail=none, columnsize=0, tokenize=\"ascii tokenchars '='\");";

#define COLUMNS                                                                                                        \
    "rec.key, rec.id, rec.camera, rec.model, rec.reason, rec.verdict, rec.jpeg, rec.thumbnail, rec.mjpeg_parts,"       \
    " rec.parts, rec.ended_us, rec.duration_us, rec.bytes, rec.frames, rec.missing, rec.inode, rec.mtime_ns,"          \
    " rec.report_inode, rec.report_mtime_ns, rec.report_bytes"
#define IN_RANGE " key BETWEEN ?1 AND ?2"
#define NEWEST_FIRST " ORDER BY key DESC"
#define BY_CAMERA " INDEXED BY rec_camera WHERE camera = ?3 AND" IN_RANGE
#define BY_VERDICT " INDEXED BY rec_verdict WHERE verdict = ?4 AND" IN_RANGE
#define BY_BOTH " INDEXED BY rec_both WHERE camera = ?3 AND verdict = ?4 AND" IN_RANGE
#define BY_WORDS " words MATCH ?3 AND words.rowid BETWEEN ?1 AND ?2"

static const char *const texts[CH_STATEMENTS] = {
    [CH_STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [CH_STATEMENT_BEGIN_READ] = "BEGIN",
    [CH_STATEMENT_COMMIT] = "COMMIT",
    [CH_STATEMENT_ROLLBACK] = "ROLLBACK",
    [CH_STATEMENT_FIND] = "SELECT " COLUMNS " FROM rec WHERE id = ?1",
    [CH_STATEMENT_KNOWN] = "SELECT key FROM rec WHERE id = ?1",
    [CH_STATEMENT_TAKEN] = "SELECT key FROM rec WHERE key = ?1",
    [CH_STATEMENT_INSERT] = "INSERT OR REPLACE INTO rec VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
                            " ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
    [CH_STATEMENT_DELETE] = "DELETE FROM rec WHERE key = ?1",
    [CH_STATEMENT_INDEX] = "INSERT INTO words(rowid, text) VALUES(?1, ?2)",
    [CH_STATEMENT_UNINDEX] = "INSERT INTO words(words, rowid, text) VALUES('delete', ?1, ?2)",
    [CH_STATEMENT_INDEXED] = "SELECT count(*) FROM words WHERE words MATCH ?1",
    [CH_STATEMENT_MERGE] = "INSERT INTO words(words, rank) VALUES('merge', ?1)",
    [CH_STATEMENT_ROWS] = "SELECT " COLUMNS " FROM rec WHERE key < ?1" NEWEST_FIRST " LIMIT ?2",
    [CH_STATEMENT_COUNT] = "SELECT count(*) FROM rec",
    [CH_STATEMENT_COUNT_RANGE] = "SELECT count(*) FROM rec WHERE" IN_RANGE,
    [CH_STATEMENT_COUNT_RANGE + 1] = "SELECT count(*) FROM rec" BY_CAMERA,
    [CH_STATEMENT_COUNT_RANGE + 2] = "SELECT count(*) FROM rec" BY_VERDICT,
    [CH_STATEMENT_COUNT_RANGE + 3] = "SELECT count(*) FROM rec" BY_BOTH,
    [CH_STATEMENT_PAGE] = "SELECT " COLUMNS " FROM rec WHERE" IN_RANGE NEWEST_FIRST,
    [CH_STATEMENT_PAGE + 1] = "SELECT " COLUMNS " FROM rec" BY_CAMERA NEWEST_FIRST,
    [CH_STATEMENT_PAGE + 2] = "SELECT " COLUMNS " FROM rec" BY_VERDICT NEWEST_FIRST,
    [CH_STATEMENT_PAGE + 3] = "SELECT " COLUMNS " FROM rec" BY_BOTH NEWEST_FIRST,
    [CH_STATEMENT_COUNT_WORDS] = "SELECT count(*) FROM words WHERE" BY_WORDS,
    // CROSS JOIN keeps the order of the tables: hits first, and the rows of no more hits than the page needs.
    [CH_STATEMENT_PAGE_WORDS] = "SELECT " COLUMNS " FROM words CROSS JOIN rec ON rec.key = words.rowid WHERE" BY_WORDS
                                " ORDER BY words.rowid DESC",
};

sqlite3_stmt *ch_catalogue_statement(struct ch_catalogue *catalogue, enum ch_catalogue_statement which)
{
    sqlite3_stmt *statement = catalogue->statements[which];
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return statement;
}

int ch_catalogue_error(struct ch_catalogue *catalogue, int result)
{
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return 0;
    case SQLITE_NOMEM: return -ENOMEM;
    case SQLITE_FULL: return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return -EAGAIN;
    default: break;
    }
    if (result == SQLITE_IOERR_NOMEM)
        return -ENOMEM;
    snprintf(catalogue->why, sizeof catalogue->why, "%s",
             catalogue->db ? sqlite3_errmsg(catalogue->db) : sqlite3_errstr(result));
    return CH_CATALOGUE_BROKEN;
}

int ch_catalogue_run(struct ch_catalogue *catalogue, sqlite3_stmt *statement)
{
    int rc = ch_catalogue_error(catalogue, sqlite3_step(statement));
    sqlite3_reset(statement);
    return rc;
}

int ch_catalogue_run_value(struct ch_catalogue *catalogue, sqlite3_stmt *statement, int64_t *value)
{
    int result = sqlite3_step(statement);
    int rc = ch_catalogue_error(catalogue, result);
    if (result == SQLITE_ROW) {
        *value = sqlite3_column_int64(statement, 0);
        rc = 1;
    }
    sqlite3_reset(statement);
    return rc;
}

int ch_catalogue_begin(struct ch_catalogue *catalogue, bool writing)
{
    enum ch_catalogue_statement which = writing ? CH_STATEMENT_BEGIN : CH_STATEMENT_BEGIN_READ;
    if (!catalogue->db) // not even memory could be had
        return CH_CATALOGUE_BROKEN;
    return ch_catalogue_run(catalogue, ch_catalogue_statement(catalogue, which));
}

int ch_catalogue_end(struct ch_catalogue *catalogue, int rc)
{
    if (rc >= 0) {
        int end = ch_catalogue_run(catalogue, ch_catalogue_statement(catalogue, CH_STATEMENT_COMMIT));
        rc = end < 0 ? end : rc;
    }
    if (!sqlite3_get_autocommit(catalogue->db))
        sqlite3_step(ch_catalogue_statement(catalogue, CH_STATEMENT_ROLLBACK));
    sqlite3_reset(catalogue->statements[CH_STATEMENT_ROLLBACK]);
    return rc;
}

// --- opening ---

static int execute(struct ch_catalogue *catalogue, const char *sql)
{
    return ch_catalogue_error(catalogue, sqlite3_exec(catalogue->db, sql, NULL, NULL, NULL));
}

static int read_number(struct ch_catalogue *catalogue, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement = NULL;
    *value = 0;
    int rc = ch_catalogue_error(catalogue, sqlite3_prepare_v2(catalogue->db, sql, -1, &statement, NULL));
    if (rc == 0)
        rc = ch_catalogue_run_value(catalogue, statement, value);
    sqlite3_finalize(statement);
    return rc < 0 ? rc : 0;
}

static int broken(struct ch_catalogue *catalogue, const char *why)
{
    snprintf(catalogue->why, sizeof catalogue->why, "%s", why);
    return CH_CATALOGUE_BROKEN;
}

// 1 if the database is ours and of this version, 0 if there is nothing in it.
static int identify(struct ch_catalogue *catalogue)
{
    int64_t application, version, objects;
    int rc = read_number(catalogue, "PRAGMA application_id", &application);
    if (rc == 0)
        rc = read_number(catalogue, "PRAGMA user_version", &version);
    if (rc == 0)
        rc = read_number(catalogue, "SELECT count(*) FROM sqlite_schema", &objects);
    if (rc < 0)
        return rc;
    if (application == APPLICATION_ID && version == VERSION)
        return 1;
    if (application == APPLICATION_ID)
        return broken(catalogue, "it is of another version");
    return application == 0 && version == 0 && objects == 0 ? 0 : broken(catalogue, "it is none of ours");
}

static int make_schema(struct ch_catalogue *catalogue)
{
    char mark[96];
    snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID, VERSION);
    int rc = execute(catalogue, "BEGIN IMMEDIATE");
    if (rc == 0)
        rc = execute(catalogue, schema);
    if (rc == 0)
        rc = execute(catalogue, mark);
    return rc == 0 ? execute(catalogue, "COMMIT") : rc;
}

// Only a database of ours, or an empty one, is written to.
static int settle_schema(struct ch_catalogue *catalogue)
{
    int ours = identify(catalogue);
    if (ours < 0)
        return ours;
    int rc = execute(catalogue, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                                "PRAGMA journal_size_limit=16777216");
    return rc == 0 && !ours ? make_schema(catalogue) : rc;
}

static int prepare_all(struct ch_catalogue *catalogue)
{
    int rc = 0;
    for (int i = 0; i < CH_STATEMENTS && rc == 0; i++)
        rc = ch_catalogue_error(catalogue, sqlite3_prepare_v3(catalogue->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                                              &catalogue->statements[i], NULL));
    return rc;
}

// Reads a little from every table and index, so that what is broken at the root shows at once.
static int probe(struct ch_catalogue *catalogue)
{
    static const char *const newest[] = {
        "SELECT key FROM rec ORDER BY key DESC LIMIT 1",
        "SELECT key FROM rec INDEXED BY rec_id WHERE id >= '' ORDER BY id LIMIT 1",
        "SELECT key FROM rec INDEXED BY rec_camera WHERE camera >= '' ORDER BY camera LIMIT 1",
        "SELECT key FROM rec INDEXED BY rec_verdict WHERE verdict >= 0 ORDER BY verdict LIMIT 1",
        "SELECT key FROM rec INDEXED BY rec_both WHERE camera >= '' ORDER BY camera LIMIT 1",
        "SELECT rowid FROM words WHERE words MATCH '" CH_CATALOGUE_EVERY_ROW "' ORDER BY rowid DESC LIMIT 1",
    };
    int64_t first = 0, value;
    int rc = 0;
    for (size_t i = 0; i < sizeof newest / sizeof newest[0] && rc == 0; i++) {
        rc = read_number(catalogue, newest[i], &value);
        if (i == 0)
            first = value;
        if (rc == 0 && (value != 0) != (first != 0))
            rc = broken(catalogue, "its indexes disagree");
    }
    return rc;
}

static int open_at(struct ch_catalogue *catalogue, const char *path)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                SQLITE_OPEN_EXRESCODE;
    int rc = ch_catalogue_error(catalogue, sqlite3_open_v2(path, &catalogue->db, flags, NULL));
    if (rc == 0 && sqlite3_db_readonly(catalogue->db, "main") == 1)
        rc = broken(catalogue, "it cannot be written");
    if (rc == 0)
        rc = ch_catalogue_error(catalogue, sqlite3_busy_timeout(catalogue->db, BUSY_MS));
    // Held by us alone, it needs no memory that is mapped from a file: a disk that fails, or somebody who cuts that file,
    // would end the program by SIGBUS, recordings and all.
    if (rc == 0)
        rc = execute(catalogue, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA trusted_schema=OFF;"
                                "PRAGMA cell_size_check=ON; PRAGMA secure_delete=OFF;"
                                "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384");
    if (rc == 0)
        rc = settle_schema(catalogue);
    if (rc == 0)
        rc = prepare_all(catalogue);
    if (rc == 0)
        rc = probe(catalogue);
    if (rc < 0)
        ch_catalogue_db_close(catalogue);
    return rc;
}

static int open_file(struct ch_catalogue *catalogue)
{
    struct stat st;
    if (fstatat(catalogue->root, CH_CATALOGUE_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        return broken(catalogue, "it is no file");
    // A name that begins with "file:" would be taken for a URI.
    char *path = NULL;
    if (asprintf(&path, "%s%s/" CH_CATALOGUE_FILE, catalogue->path[0] == '/' ? "" : "./", catalogue->path) < 0)
        return -ENOMEM;
    int rc = open_at(catalogue, path);
    free(path);
    return rc;
}

// Its journal belongs to it alone, and must not be there when the new one is made.
static int put_away(struct ch_catalogue *catalogue)
{
    if (renameat(catalogue->root, CH_CATALOGUE_FILE, catalogue->root, CH_CATALOGUE_FILE ".broken") < 0)
        return -errno;
    static const char *const journals[] = {"-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof journals / sizeof journals[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, CH_CATALOGUE_FILE "%s", journals[i]);
        unlinkat(catalogue->root, name, 0);
    }
    ch_log_warning("%s/" CH_CATALOGUE_FILE " is put away as " CH_CATALOGUE_FILE ".broken and made anew: %s",
                   catalogue->path, catalogue->why);
    return 0;
}

static int open_memory(struct ch_catalogue *catalogue, int rc)
{
    const char *why = rc == CH_CATALOGUE_BROKEN ? catalogue->why : strerror(-rc);
    ch_log_warning("%s/" CH_CATALOGUE_FILE " cannot be used, the list of recordings is kept in memory: %s",
                   catalogue->path, rc == -EAGAIN ? "another program holds it" : why);
    catalogue->in_memory = true;
    rc = open_at(catalogue, ":memory:");
    return rc == 0 ? 0 : -ENOMEM; // nothing else can be wrong with it
}

int ch_catalogue_db_open(struct ch_catalogue *catalogue)
{
    int rc = open_file(catalogue);
    if (rc == CH_CATALOGUE_BROKEN && put_away(catalogue) == 0)
        rc = open_file(catalogue);
    return rc == 0 ? 0 : open_memory(catalogue, rc);
}

int ch_catalogue_db_renew(struct ch_catalogue *catalogue)
{
    ch_catalogue_db_close(catalogue);
    catalogue->renewals++;
    if (catalogue->in_memory || catalogue->renewals > 1)
        return open_memory(catalogue, CH_CATALOGUE_BROKEN);
    int rc = put_away(catalogue);
    if (rc == 0)
        rc = open_file(catalogue);
    return rc == 0 ? 0 : open_memory(catalogue, rc);
}

void ch_catalogue_db_close(struct ch_catalogue *catalogue)
{
    for (int i = 0; i < CH_STATEMENTS; i++) {
        sqlite3_finalize(catalogue->statements[i]);
        catalogue->statements[i] = NULL;
    }
    sqlite3_close(catalogue->db);
    catalogue->db = NULL;
}
