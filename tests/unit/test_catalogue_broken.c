// Databases that are no good: damaged anywhere, of other versions and other programs, held by others, on full disks and
// where nothing can be written. The list comes back from the folders, and no session is touched.
#include "catalogue_maker.h"

#include "base/file.h"

#define SESSIONS 60

static void id_of(unsigned number, char out[64])
{
    snprintf(out, 64, "cam%u_20260101_%06u", number % 7, number);
}

static void add_sessions(void)
{
    char id[64];
    for (unsigned i = 0; i < SESSIONS; i++) {
        id_of(i, id);
        add_session(id, FINISHED, "cam");
        settle(id, i);
    }
}

// Asks until the list is whole: what is broken may show at any question, and each is answered.
static void assert_comes_back(void)
{
    struct ch_catalogue_filter filter;
    for (int i = 0; i < 3; i++) {
        reconcile(1000000);
        for (int which = 0; which < 8; which++) {
            ch_catalogue_filter_init(&filter);
            filter.limit = 500;
            filter.camera = which & 1 ? "cam" : NULL;
            filter.verdict = which & 2 ? CH_RECORDING_GAPS : -1;
            filter.words = which & 4 ? "frames missing cam" : NULL;
            total_of(&filter);
        }
    }
    reconcile(1000000);
    assert_int_equal(total(), SESSIONS);
    assert_int_equal(total_of(&filter), SESSIONS);
    assert_true(ch_catalogue_settled(yard.catalogue));
}

static void assert_in_file(void)
{
    assert_false(ch_catalogue_in_memory(yard.catalogue));
    assert_true(is_there(CH_CATALOGUE_FILE));
}

// Runs SQL on the file as another program would.
static void meddle(const char *sql)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/" CH_CATALOGUE_FILE, yard.path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

// --- it stays -------------------------------------------------------------------------------------

static void test_a_sound_database_is_kept(void **state)
{
    (void)state;
    add_sessions();
    assert_changes(reconcile(1000000), SESSIONS, 0, 0);
    reopen_catalogue();
    assert_int_equal(total(), SESSIONS);
    assert_false(ch_catalogue_settled(yard.catalogue));
    assert_changes(reconcile(1000000), 0, 0, 0);
    assert_in_file();
    assert_int_equal(yard.warnings, 0);
    assert_false(is_there(CH_CATALOGUE_FILE ".broken"));
}

// As a kill leaves it: with a journal that was not brought in.
static void test_an_unfinished_journal(void **state)
{
    (void)state;
    add_sessions();
    reconcile(1000000);
    char *data, *journal;
    size_t size, journal_size;
    assert_int_equal(ch_file_read_all(yard.root, CH_CATALOGUE_FILE, 64 << 20, &data, &size), 0);
    assert_int_equal(ch_file_read_all(yard.root, CH_CATALOGUE_FILE "-wal", 64 << 20, &journal, &journal_size), 0);
    ch_catalogue_close(&yard.catalogue);
    write_file(CH_CATALOGUE_FILE, data, size);
    write_file(CH_CATALOGUE_FILE "-wal", journal, journal_size);
    open_catalogue();
    assert_int_equal(total(), SESSIONS);
    assert_int_equal(yard.warnings, 0);
    // And one whose end is missing: the list is of an earlier time, or none, and is brought in line.
    ch_catalogue_close(&yard.catalogue);
    write_file(CH_CATALOGUE_FILE, data, size);
    write_file(CH_CATALOGUE_FILE "-wal", journal, journal_size / 2);
    open_catalogue();
    assert_comes_back();
    free(data);
    free(journal);
}

// --- it does not ----------------------------------------------------------------------------------

static void test_any_page_broken(void **state)
{
    (void)state;
    add_sessions();
    reconcile(1000000);
    ch_catalogue_close(&yard.catalogue);
    char *good;
    size_t size;
    assert_int_equal(ch_file_read_all(yard.root, CH_CATALOGUE_FILE, 64 << 20, &good, &size), 0);
    assert_true(size > 10 * 4096);
    unsigned noticed = 0;
    static const uint8_t fills[] = {0x00, 0xff, 0x0d};
    for (size_t at = 0; at < size; at += 4096) {
        char *bad = malloc(size);
        memcpy(bad, good, size);
        memset(bad + at, fills[at / 4096 % 3], 4096);
        write_file(CH_CATALOGUE_FILE, bad, size);
        free(bad);
        yard.warnings = 0;
        open_catalogue();
        assert_comes_back();
        noticed += yard.warnings > 0;
        assert_in_file();
        ch_catalogue_close(&yard.catalogue);
    }
    free(good);
    // Free pages and those of terms that nobody asked for may go unnoticed; the others must not.
    assert_true(noticed > size / 4096 / 2);
    open_catalogue();
}

static void test_torn_files(void **state)
{
    (void)state;
    add_sessions();
    reconcile(1000000);
    ch_catalogue_close(&yard.catalogue);
    char *good;
    size_t size;
    assert_int_equal(ch_file_read_all(yard.root, CH_CATALOGUE_FILE, 64 << 20, &good, &size), 0);
    const size_t sizes[] = {0, 1, 15, 16, 99, 100, 512, 4095, 4096, 8192, size / 2, size - 4096, size - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_file(CH_CATALOGUE_FILE, good, sizes[i]);
        yard.warnings = 0;
        open_catalogue();
        assert_comes_back();
        assert_in_file();
        assert_true(yard.warnings <= 1);
        ch_catalogue_close(&yard.catalogue);
    }
    free(good);
    open_catalogue();
}

// Put away with a line, in place of an older one, and what it was can still be read.
static void test_what_is_put_away(void **state)
{
    (void)state;
    char text[3000], *kept;
    size_t size;
    add_sessions();
    for (int i = 0; i < 2; i++) {
        ch_catalogue_close(&yard.catalogue);
        memset(text, 'a' + i, sizeof text);
        write_file(CH_CATALOGUE_FILE, text, sizeof text);
        write_file(CH_CATALOGUE_FILE "-wal", text, sizeof text);
        yard.warnings = 0;
        open_catalogue();
        assert_int_equal(yard.warnings, 1);
        assert_non_null(strstr(yard.last_warning, CH_CATALOGUE_FILE ".broken"));
        assert_comes_back();
        assert_in_file();
        assert_int_equal(ch_file_read_all(yard.root, CH_CATALOGUE_FILE ".broken", 1 << 20, &kept, &size), 0);
        assert_int_equal(size, sizeof text);
        assert_memory_equal(kept, text, size);
        free(kept);
    }
}

static void test_other_versions_and_programs(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "PRAGMA user_version=2",
        "PRAGMA user_version=0",
        "PRAGMA application_id=0",
        "PRAGMA application_id=1",
        "DROP TABLE rec",
        "DROP INDEX rec_camera",
        "DROP TABLE words",
        "ALTER TABLE rec DROP COLUMN model",
        "ALTER TABLE rec RENAME COLUMN missing TO lost",
    };
    add_sessions();
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        reconcile(1000000);
        ch_catalogue_close(&yard.catalogue);
        meddle(changes[i]);
        yard.warnings = 0;
        open_catalogue();
        assert_int_equal(yard.warnings, 1);
        assert_int_equal(total(), 0);
        assert_changes(reconcile(1000000), SESSIONS, 0, 0);
        assert_in_file();
    }
    // Another program's database is not written to: it has not become a WAL one.
    ch_catalogue_close(&yard.catalogue);
    assert_int_equal(unlinkat(yard.root, CH_CATALOGUE_FILE, 0), 0);
    meddle("CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)");
    char *before, *after;
    size_t size, size_after;
    assert_int_equal(ch_file_read_all(yard.root, CH_CATALOGUE_FILE, 1 << 20, &before, &size), 0);
    open_catalogue();
    assert_int_equal(ch_file_read_all(yard.root, CH_CATALOGUE_FILE ".broken", 1 << 20, &after, &size_after), 0);
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
}

// Rows and words that contradict each other, as no walk over the folders would tell.
static void test_rows_and_words_disagree(void **state)
{
    (void)state;
    add_sessions();
    static const char *const changes[] = {
        "INSERT INTO words(words) VALUES('delete-all')", "INSERT INTO words(rowid, text) VALUES(1, '=a stray')",
        "DELETE FROM rec WHERE id LIKE 'cam3%'", // these come back by themselves, and meet their words
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        reopen_catalogue();
        reconcile(1000000);
        ch_catalogue_close(&yard.catalogue);
        meddle(changes[i]);
        yard.warnings = 0;
        open_catalogue();
        assert_int_equal(yard.warnings, i == 0 ? 1 : 0); // no words at all: that shows at once
        assert_comes_back();
        assert_int_equal(yard.warnings, i < 2 ? 1 : 0);
        assert_in_file();
    }
}

// Under our hands: the first time it is made anew, then memory has to do.
static void test_broken_while_open(void **state)
{
    (void)state;
    add_sessions();
    for (int i = 0; i < 3; i++) {
        reconcile(1000000);
        assert_int_equal(
            sqlite3_exec(yard.catalogue->db, "INSERT INTO words(words) VALUES('delete-all')", NULL, NULL, NULL),
            SQLITE_OK);
        yard.warnings = 0;
        assert_comes_back();
        assert_int_equal(yard.warnings, 1);
        assert_int_equal(ch_catalogue_in_memory(yard.catalogue), i > 0);
    }
}

static void test_no_file_at_all(void **state)
{
    (void)state;
    add_sessions();
    // A folder, a link, a pipe in its place.
    for (int i = 0; i < 3; i++) {
        ch_catalogue_close(&yard.catalogue);
        remove_all(CH_CATALOGUE_FILE);
        if (is_there(CH_CATALOGUE_FILE ".broken"))
            remove_all(CH_CATALOGUE_FILE ".broken");
        if (i == 0)
            add_folder(CH_CATALOGUE_FILE);
        else if (i == 1)
            assert_int_equal(symlinkat("elsewhere", yard.root, CH_CATALOGUE_FILE), 0);
        else
            assert_int_equal(mkfifoat(yard.root, CH_CATALOGUE_FILE, 0644), 0);
        yard.warnings = 0;
        open_catalogue();
        assert_int_equal(yard.warnings, 1);
        assert_comes_back();
        assert_in_file();
        assert_true(is_there(CH_CATALOGUE_FILE ".broken"));
        assert_false(is_there("elsewhere"));
    }
    // A folder that cannot even be put away.
    ch_catalogue_close(&yard.catalogue);
    remove_all(CH_CATALOGUE_FILE);
    remove_all(CH_CATALOGUE_FILE ".broken");
    add_folder(CH_CATALOGUE_FILE);
    add_folder(CH_CATALOGUE_FILE ".broken");
    write_file(CH_CATALOGUE_FILE ".broken/x", "x", 1);
    yard.warnings = 0;
    open_catalogue();
    assert_int_equal(yard.warnings, 1);
    assert_true(ch_catalogue_in_memory(yard.catalogue));
    assert_comes_back();
    assert_int_equal(yard.warnings, 1);
}

// --- it cannot be written -------------------------------------------------------------------------

static void test_a_folder_that_cannot_be_written(void **state)
{
    (void)state;
    bool as_root = geteuid() == 0; // who may do everything, and so goes on as somebody else
    add_sessions();
    for (int with_file = 1; with_file >= 0; with_file--) {
        ch_catalogue_close(&yard.catalogue);
        if (!with_file)
            remove_all(CH_CATALOGUE_FILE);
        assert_int_equal(chmod(yard.path, 0555), 0);
        assert_int_equal(as_root ? seteuid(65534) : 0, 0);
        yard.warnings = 0;
        int rc = ch_catalogue_open(&yard.catalogue, yard.root, yard.path);
        if (rc == 0)
            reconcile(1000000);
        assert_int_equal(as_root ? seteuid(0) : 0, 0);
        assert_int_equal(chmod(yard.path, 0755), 0);
        assert_int_equal(rc, 0);
        assert_true(ch_catalogue_in_memory(yard.catalogue));
        assert_int_equal(yard.warnings, 1);
        assert_int_equal(total(), SESSIONS);
        assert_false(is_there(CH_CATALOGUE_FILE ".broken"));
    }
}

static void test_held_by_another_program(void **state)
{
    (void)state;
    char path[128];
    sqlite3 *db;
    add_sessions();
    reconcile(1000000);
    ch_catalogue_close(&yard.catalogue);
    snprintf(path, sizeof path, "%s/" CH_CATALOGUE_FILE, yard.path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE; DELETE FROM rec WHERE 0", NULL, NULL, NULL),
        SQLITE_OK);
    open_catalogue();
    assert_true(ch_catalogue_in_memory(yard.catalogue));
    assert_int_equal(yard.warnings, 1);
    assert_non_null(strstr(yard.last_warning, "another program"));
    assert_comes_back();
    sqlite3_close(db);
    assert_false(is_there(CH_CATALOGUE_FILE ".broken"));
}

// The file is one catalogue's at a time. A second one keeps its list in memory, and each sees what the other did.
static void test_two_at_once(void **state)
{
    (void)state;
    struct ch_catalogue *second, *first = yard.catalogue;
    add_sessions();
    assert_changes(reconcile(1000000), SESSIONS, 0, 0);
    assert_int_equal(ch_catalogue_open(&second, yard.root, yard.path), 0);
    assert_true(ch_catalogue_in_memory(second));
    assert_int_equal(yard.warnings, 1);
    assert_non_null(strstr(yard.last_warning, "another program"));
    yard.catalogue = second;
    assert_changes(reconcile(1000000), SESSIONS, 0, 0);
    assert_int_equal(total(), SESSIONS);
    char id[64];
    id_of(3, id);
    assert_int_equal(ch_catalogue_delete_session(second, id), 0);
    assert_int_equal(total(), SESSIONS - 1);
    yard.catalogue = first;
    assert_false(ch_catalogue_in_memory(first));
    assert_changes(reconcile(1000000), 0, 0, 1);
    assert_int_equal(total(), SESSIONS - 1);
    ch_catalogue_close(&second);
    assert_false(is_there(CH_CATALOGUE_FILE "-shm")); // nothing of it is mapped
}

// On a full disk the list stays behind, but sessions can be deleted, and then it catches up.
static void test_a_full_disk(void **state)
{
    (void)state;
    char id[64];
    add_sessions();
    reconcile(1000000);
    int64_t pages;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(yard.catalogue->db, "PRAGMA page_count", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(ch_catalogue_run_value(yard.catalogue, statement, &pages), 1);
    sqlite3_finalize(statement);
    char limit[64];
    snprintf(limit, sizeof limit, "PRAGMA max_page_count=%d", (int)pages);
    assert_int_equal(sqlite3_exec(yard.catalogue->db, limit, NULL, NULL, NULL), SQLITE_OK);
    int rc = 0;
    unsigned number = SESSIONS;
    for (; rc >= 0 && number < 2000; number++) {
        id_of(number, id);
        add_session(id, FINISHED, "cam");
        rc = ch_catalogue_update(yard.catalogue, id, NULL);
    }
    assert_int_equal(rc, -ENOSPC);
    assert_int_equal(total(), number - 1);
    do
        rc = ch_catalogue_reconcile(yard.catalogue, 1000000, NULL);
    while (rc > 0);
    assert_int_equal(rc, -ENOSPC);
    assert_int_equal(total(), number - 1);
    id_of(0, id);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, id), 0);
    assert_false(is_there(id));
    assert_int_equal(sqlite3_exec(yard.catalogue->db, "PRAGMA max_page_count=1000000", NULL, NULL, NULL), SQLITE_OK);
    reconcile(1000000);
    assert_int_equal(total(), number - 1);
    assert_int_equal(yard.warnings, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_yard, remove_yard)
    const struct CMUnitTest tests[] = {
        CASE(test_a_sound_database_is_kept),
        CASE(test_an_unfinished_journal),
        CASE(test_any_page_broken),
        CASE(test_torn_files),
        CASE(test_what_is_put_away),
        CASE(test_other_versions_and_programs),
        CASE(test_rows_and_words_disagree),
        CASE(test_broken_while_open),
        CASE(test_no_file_at_all),
        CASE(test_a_folder_that_cannot_be_written),
        CASE(test_held_by_another_program),
        CASE(test_two_at_once),
        CASE(test_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
