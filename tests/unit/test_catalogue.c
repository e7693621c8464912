// The catalogue and the folder: what is taken for a session, what it says of it, how it follows changes, how it
// deletes.
#include "catalogue_maker.h"

#include <time.h>

#define ID "bench-left_20260102_040405"

// --- what is a session, and what is said of it ----------------------------------------------------

static void test_a_finished_session(void **state)
{
    (void)state;
    add_session(ID, FINISHED, "bench-left");
    add_file(ID, "thumbnail.jpg", 700);
    struct ch_recording recording = recording_of(ID);
    assert_string_equal(recording.camera, "bench-left");
    assert_string_equal(recording.reason, "3 frames missing in 2.0 s");
    assert_int_equal(recording.verdict, CH_RECORDING_GAPS);
    assert_false(recording.jpeg);
    assert_true(recording.thumbnail);
    assert_int_equal(recording.started_us, INT64_C(1767323045678000));
    assert_int_equal(recording.ended_us, INT64_C(1767323047700000));
    assert_int_equal(recording.duration_us, 2033300);
    assert_int_equal(recording.frames, 57);
    assert_int_equal(recording.missing, 3);
    struct stat report;
    assert_int_equal(fstatat(yard.root, ID "/session.json", &report, 0), 0);
    assert_int_equal(recording.bytes, 5000 + 4000 + 128 + 700 + report.st_size);
    assert_int_equal(recording.parts, 1);
    struct ch_recording same;
    assert_int_equal(ch_catalogue_get(yard.catalogue, ID, &same), 0);
    assert_string_equal(same.reason, recording.reason);
    assert_int_equal(same.started_us, recording.started_us);
    assert_int_equal(same.bytes, recording.bytes);
}

// Made by the writer itself, while it records and after.
static void test_a_session_of_the_writer(void **state)
{
    (void)state;
    struct ch_writer *writer;
    struct ch_writer_options options = {
        .root = yard.root,
        .root_path = yard.path,
        .h264 = true,
        .sync_us = 1000000,
        .client = "192.0.2.7_51234",
        .address = "192.0.2.7:51234",
        .device_model = "Pixel 9",
        .started_us = INT64_C(1767323045678000),
    };
    assert_int_equal(ch_writer_open(&writer, &options), 0);
    char id[CH_SESSION_ID_BYTES];
    snprintf(id, sizeof id, "%s", ch_writer_id(writer));
    struct ch_recording recording = recording_of(id);
    assert_int_equal(recording.verdict, CH_RECORDING_RUNNING);
    assert_string_equal(recording.reason, "being recorded");
    assert_string_equal(recording.camera, "192.0.2.7:51234");
    assert_int_equal(recording.started_us, options.started_us);
    assert_int_equal(recording.ended_us, CH_RECORDING_NO_TIME);
    assert_int_equal(recording.duration_us, CH_RECORDING_NO_TIME);
    assert_int_equal(recording.parts, 0);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, id), -EBUSY);
    assert_true(in_list(id));
    struct ch_session_summary summary;
    ch_writer_end(&writer, "capture_stopped", &summary);
    recording = recording_of(id);
    assert_string_equal(ch_recording_verdict_name(recording.verdict), ch_verdict_name(summary.verdict));
    assert_string_equal(recording.reason, summary.reason);
    assert_int_equal(recording.ended_us, options.started_us);
    assert_int_equal(recording.duration_us, 0);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, id), 0);
    assert_false(is_there(id));
}

static void test_folders_of_other_programs(void **state)
{
    (void)state;
    add_folder("192.168.1.20_41234_20250704_101112");
    add_file("192.168.1.20_41234_20250704_101112", "stream.h264", 1000);
    add_file("192.168.1.20_41234_20250704_101112", "stream.mp4", 900);
    add_file("192.168.1.20_41234_20250704_101112", "thumbnail.jpg", 50);
    add_folder("192.168.1.20_41234_20250704_101113");
    add_file("192.168.1.20_41234_20250704_101113", "stream.h264", 1000);
    add_folder("holiday");
    add_file("holiday", "stream.mp4", 77);
    set_time("holiday/stream.mp4", 1600000000);
    assert_changes(reconcile(1000000), 3, 0, 0);

    struct tm tm = {
        .tm_year = 125, .tm_mon = 6, .tm_mday = 4, .tm_hour = 10, .tm_min = 11, .tm_sec = 12, .tm_isdst = -1};
    struct ch_recording recording = recording_of("192.168.1.20_41234_20250704_101112");
    assert_string_equal(recording.camera, "192.168.1.20_41234");
    assert_int_equal(recording.started_us, (int64_t)mktime(&tm) * CH_US_PER_S);
    assert_int_equal(recording.verdict, CH_RECORDING_UNKNOWN);
    assert_string_equal(recording.reason, "no report: made by another program");
    assert_int_equal(recording.parts, 1);
    assert_true(recording.thumbnail);
    assert_int_equal(recording.bytes, 1950);
    assert_int_equal(recording.ended_us, CH_RECORDING_NO_TIME);

    recording = recording_of("192.168.1.20_41234_20250704_101113");
    assert_int_equal(recording.parts, 0);
    assert_false(recording.thumbnail);

    recording = recording_of("holiday");
    assert_string_equal(recording.camera, "holiday");
    assert_int_equal(recording.started_us, INT64_C(1600000000000000));
}

static void test_what_is_no_session(void **state)
{
    (void)state;
    add_folder("empty_20260102_040405");
    add_folder("foreign");
    add_file("foreign", "notes.txt", 10);
    add_file("foreign", "stream_2.mp4", 10);
    add_folder("folders");
    add_folder("folders/stream.mp4");
    add_folder(".hidden_20260102_040405");
    add_file(".hidden_20260102_040405", "stream.mp4", 10);
    add_folder("bell\a_20260102_040405");
    add_file("bell\a_20260102_040405", "stream.mp4", 10);
    add_folder("\xff_20260102_040405");
    add_file("\xff_20260102_040405", "stream.mp4", 10);
    add_folder("linked");
    assert_int_equal(symlinkat("../foreign/stream_2.mp4", yard.root, "linked/stream.mp4"), 0);
    char long_name[CH_SESSION_ID_BYTES + 1];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    add_folder(long_name);
    add_file(long_name, "stream.mp4", 10);
    write_file("session.json", "{}", 2);
    write_file("file_20260102_040405", "", 0);
    add_session(ID, FINISHED, "bench-left");
    assert_int_equal(symlinkat(ID, yard.root, "link_20260102_040405"), 0);
    assert_int_equal(symlinkat(".", yard.root, "self"), 0);
    assert_changes(reconcile(1000000), 1, 0, 0);
    assert_int_equal(total(), 1);
    const char *const names[] = {"", ".", "..", "link_20260102_040405", "foreign", "a/b", long_name, ID "/", "nothing"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(ch_catalogue_update(yard.catalogue, names[i], NULL), 0);
        assert_int_equal(ch_catalogue_delete_session(yard.catalogue, names[i]), -ENOENT);
        assert_false(in_list(names[i]));
    }
    assert_true(is_there("foreign/notes.txt"));
    assert_int_equal(total(), 1);
}

static void test_parts(void **state)
{
    (void)state;
    add_session(ID, RUNNING, "cam");
    add_file(ID, "stream_2.mp4", 10);
    add_file(ID, "stream_10.mp4", 10);
    add_file(ID, "stream_64.mp4", 10);
    add_file(ID, "stream_3.mp4", 0); // nothing in it yet
    static const char *const odd[] = {"stream_1.mp4", "stream_02.mp4", "stream_65.mp4",      "stream_.mp4",
                                      "stream2.mp4",  "stream_4.mp4x", "stream.mp4.damaged", "stream_99999999999.mp4"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        add_file(ID, odd[i], 10);
    struct ch_recording recording = recording_of(ID);
    assert_int_equal(recording.parts, UINT64_C(1) << 63 | 1 << 9 | 1 << 1 | 1);
    json_t *json = ch_recording_to_json(&recording);
    json_t *parts = json_pack("[s,s,s,s]", "stream.mp4", "stream_2.mp4", "stream_10.mp4", "stream_64.mp4");
    assert_true(json_equal(json_object_get(json, "parts"), parts));
    assert_string_equal(json_string_value(json_object_get(json, "video")), "stream.mp4");
    json_decref(parts);
    json_decref(json);

    // Finished: those with pictures, as far as they are there.
    add_report(ID, "{\"format\":1,\"state\":\"finished\",\"verdict\":\"complete\",\"files\":["
                   "{\"name\":\"stream.mp4\",\"frames\":0},{\"name\":\"stream_2.mp4\",\"frames\":3,\"damaged\":true},"
                   "{\"name\":\"stream_5.mp4\",\"frames\":3},{\"name\":\"../stream_10.mp4\",\"frames\":3}]}");
    assert_int_equal(recording_of(ID).parts, 2);

    // A JPEG camera's, before and after it has a film.
    add_folder("esp_20260102_040405");
    add_report("esp_20260102_040405", "{\"format\":1,\"kind\":\"jpeg\",\"state\":\"finished\",\"verdict\":\"complete\","
                                      "\"files\":[{\"name\":\"stream.mjpeg\",\"frames\":3}]}");
    add_file("esp_20260102_040405", "stream.mjpeg", 10);
    recording = recording_of("esp_20260102_040405");
    assert_true(recording.jpeg && recording.mjpeg_parts && recording.parts == 1);
    add_report("esp_20260102_040405", "{\"format\":1,\"kind\":\"jpeg\",\"state\":\"finished\",\"verdict\":\"complete\","
                                      "\"files\":[{\"name\":\"stream.mjpeg\",\"frames\":3},"
                                      "{\"name\":\"stream.mp4\",\"kind\":\"film\",\"frames\":3}]}");
    add_file("esp_20260102_040405", "stream.mp4", 10);
    recording = recording_of("esp_20260102_040405");
    assert_true(recording.jpeg && !recording.mjpeg_parts && recording.parts == 1);
    remove_file("esp_20260102_040405", "session.json");
    remove_file("esp_20260102_040405", "stream.mp4");
    recording = recording_of("esp_20260102_040405");
    assert_true(recording.jpeg && recording.mjpeg_parts && recording.verdict == CH_RECORDING_UNKNOWN);
}

// --- reports that mean harm -----------------------------------------------------------------------

static void assert_unreadable(const char *report, const char *reason)
{
    add_report(ID, report);
    struct ch_recording recording = recording_of(ID);
    assert_int_equal(recording.verdict, CH_RECORDING_UNKNOWN);
    assert_string_equal(recording.reason, reason);
    assert_string_equal(recording.camera, "bench-left");
    assert_int_equal(recording.parts, 1);
}

static void test_reports_that_cannot_be_read(void **state)
{
    (void)state;
    static const char bad[] = "the report cannot be read";
    add_session(ID, FINISHED, "bench-left");
    static const char *const texts[] = {
        "",
        "nonsense",
        "[]",
        "1",
        "{\"format\":1",
        "{\"format\":\"1\"}",
        "{\"format\":0}",
        "{\"format\":-1}",
        "{\"format\":1,\"state\":\"\xff\"}",
        "{\"format\":1,\"reason\":\"\\u0000\",\"state\":\"finished\"}",
        "{\"format\":1,\"state\":\"asleep\"}",
        "{\"format\":1,\"state\":\"finished\",\"verdict\":\"recording\"}",
        "{\"format\":1,\"state\":\"finished\",\"verdict\":\"wonderful\"}",
        "{\"format\":1e0}",
        "{\"format\":99999999999999999999999999}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_unreadable(texts[i], bad);
    assert_unreadable("{\"format\":2}", "the report is of a later version of camhub");

    // Deeper than any parser should go, and larger than any report is.
    char *deep = malloc(1 << 20);
    memset(deep, '[', (1 << 20) - 1);
    deep[(1 << 20) - 1] = '\0';
    assert_unreadable(deep, bad);
    free(deep);
    char *huge = malloc(9 << 20);
    memset(huge, ' ', 9 << 20);
    strcpy(huge + (9 << 20) - 100, "{\"format\":1,\"state\":\"recording\"}");
    assert_unreadable(huge, bad);
    huge[9 << 19] = '\0'; // half of it is blank, and none either
    assert_unreadable(huge, bad);
    strcpy(huge + (9 << 19) - 100, "{\"format\":1,\"state\":\"recording\"}");
    add_report(ID, huge);
    assert_int_equal(recording_of(ID).verdict, CH_RECORDING_RUNNING);
    free(huge);

    remove_file(ID, "session.json");
    assert_string_equal(recording_of(ID).reason, "the report is missing");
    assert_int_equal(symlinkat("/etc/passwd", yard.root, ID "/session.json"), 0);
    assert_string_equal(recording_of(ID).reason, "the report is missing");
    remove_file(ID, "session.json");
    assert_int_equal(mkfifoat(yard.root, ID "/session.json", 0644), 0);
    assert_string_equal(recording_of(ID).reason, "the report is missing");
    remove_file(ID, "session.json");
    add_folder(ID "/session.json");
    assert_string_equal(recording_of(ID).reason, "the report is missing");
    // Whatever lies there: it was looked at once, and is not looked at again.
    settle(ID, 0);
    assert_changes(reconcile(1000000), 0, 0, 0);
    add_file(ID, "stream.mp4", 6000);
    assert_changes(reconcile(1000000), 0, 0, 0);
    assert_int_equal(recording_of(ID).bytes, 6000 + 4000 + 128);
}

static void test_values_of_wrong_types(void **state)
{
    (void)state;
    add_session(ID, FINISHED, "bench-left");
    add_report(ID, "{\"format\":1,\"state\":\"finished\",\"verdict\":\"gaps\",\"reason\":[],\"camera\":7,"
                   "\"kind\":{},\"started\":12,\"ended\":{},\"duration\":\"long\",\"files\":{},\"counts\":[1]}");
    struct ch_recording recording = recording_of(ID);
    assert_int_equal(recording.verdict, CH_RECORDING_GAPS);
    assert_string_equal(recording.reason, "");
    assert_string_equal(recording.camera, "bench-left");
    assert_int_equal(recording.ended_us, CH_RECORDING_NO_TIME);
    assert_int_equal(recording.duration_us, CH_RECORDING_NO_TIME);
    assert_int_equal(recording.parts, 0);
    add_report(ID,
               "{\"format\":1,\"state\":\"finished\",\"verdict\":\"gaps\",\"camera\":{\"name\":{},\"address\":\"\"},"
               "\"started\":\"yesterday\",\"ended\":\"9999-12-31T23:59:59-23:59\",\"duration\":-1,\"files\":[1,{},"
               "{\"name\":3},{\"name\":\"stream.mp4\",\"frames\":\"x\"}],\"counts\":{\"frames\":-5,\"missing\":1.5}}");
    recording = recording_of(ID);
    assert_string_equal(recording.camera, "bench-left");
    assert_int_equal(recording.ended_us, CH_RECORDING_NO_TIME);
    assert_int_equal(recording.duration_us, CH_RECORDING_NO_TIME);
    assert_int_equal(recording.frames, 0);
    assert_int_equal(recording.missing, 0);
    add_report(ID, "{\"format\":1,\"state\":\"finished\",\"verdict\":\"gaps\",\"duration\":1e300,"
                   "\"started\":\"9000-01-01T00:00:00Z\",\"counts\":{\"frames\":9223372036854775807}}");
    recording = recording_of(ID);
    assert_int_equal(recording.duration_us, CH_RECORDING_NO_TIME);
    assert_int_equal(recording.frames, INT64_MAX);
    json_t *json = ch_recording_to_json(&recording);
    assert_non_null(json);
    json_decref(json);
}

// Long text is cut between characters, and found by what is left of it.
static void test_long_text(void **state)
{
    (void)state;
    char name[1200] = "", report[4096];
    for (int i = 0; i < 300; i++)
        strcat(name, "\xe5\xb0\x8f");
    add_folder(ID);
    snprintf(report, sizeof report,
             "{\"format\":1,\"state\":\"finished\",\"verdict\":\"gaps\",\"reason\":\"x%s\",\"camera\":{\"name\":\"%s\","
             "\"device_model\":\"%s\"}}",
             name, name, name);
    add_report(ID, report);
    struct ch_recording recording = recording_of(ID);
    assert_int_equal(strlen(recording.camera), 3 * 42);
    assert_int_equal(strlen(recording.reason), 1 + 3 * 84);
    assert_int_equal(strncmp(recording.camera, name, 3 * 42), 0);
    json_t *json = ch_recording_to_json(&recording);
    assert_string_equal(json_string_value(json_object_get(json, "camera")), recording.camera);
    json_decref(json);
    struct ch_catalogue_filter filter;
    ch_catalogue_filter_init(&filter);
    filter.camera = recording.camera;
    assert_int_equal(total_of(&filter), 1);
    filter.words = name;
    assert_int_equal(total_of(&filter), 1);
    filter.words = "\xe5\xb0\x8f";
    assert_int_equal(total_of(&filter), 1);
    filter.words = "\xe5\xb0"; // half a character
    assert_int_equal(total_of(&filter), 0);
}

// --- following the folder -------------------------------------------------------------------------

static void test_sessions_come_change_and_go(void **state)
{
    (void)state;
    assert_false(ch_catalogue_settled(yard.catalogue));
    assert_changes(reconcile(1000000), 0, 0, 0);
    assert_true(ch_catalogue_settled(yard.catalogue));
    add_session("a_20260101_000000", FINISHED, "a");
    add_session("b_20260101_000000", FINISHED, "b");
    add_session("c_20260101_000000", RUNNING, "c");
    assert_changes(reconcile(1000000), 3, 0, 0);
    assert_changes(reconcile(1000000), 0, 0, 0);
    settle("a_20260101_000000", 0);
    settle("b_20260101_000000", 0);
    settle("c_20260101_000000", 0);
    assert_changes(reconcile(1000000), 0, 0, 0);
    assert_changes(reconcile(1000000), 0, 0, 0);

    // The thumbnail appears.
    add_file("a_20260101_000000", "thumbnail.jpg", 10);
    assert_changes(reconcile(1000000), 0, 1, 0);
    assert_true(recording_of("a_20260101_000000").thumbnail);
    // What is recorded grows, without a change of its folder.
    add_file("c_20260101_000000", "stream.mp4", 6000);
    settle("c_20260101_000000", 0);
    assert_changes(reconcile(1000000), 0, 1, 0);
    // A file is deleted by hand.
    remove_file("b_20260101_000000", "stream.mp4");
    assert_changes(reconcile(1000000), 0, 1, 0);
    assert_int_equal(recording_of("b_20260101_000000").parts, 0);
    // A report is replaced, and another one written over.
    add_session("c_20260101_000000", FINISHED, "c");
    assert_changes(reconcile(1000000), 0, 1, 0);
    settle("a_20260101_000000", 1);
    assert_changes(reconcile(1000000), 0, 0, 0);
    add_report("a_20260101_000000", "{\"format\":1,\"state\":\"finished\",\"verdict\":\"complete\"}");
    set_time("a_20260101_000000", 1700000001);
    assert_changes(reconcile(1000000), 0, 1, 0);
    // Folders go, one is renamed, one comes.
    remove_all("b_20260101_000000");
    assert_int_equal(renameat(yard.root, "c_20260101_000000", yard.root, "d_20260101_000000"), 0);
    assert_changes(reconcile(1000000), 1, 0, 2);
    remove_all("a_20260101_000000");
    add_folder("a_20260101_000000");
    assert_changes(reconcile(1000000), 0, 0, 1);
    assert_int_equal(total(), 1);
    assert_true(in_list("d_20260101_000000"));
}

// What has not changed is not read: here its report has, but nothing that stat(2) tells.
static void test_unchanged_folders_are_not_read(void **state)
{
    (void)state;
    add_session(ID, FINISHED, "bench-left");
    settle(ID, 0);
    assert_changes(reconcile(1000000), 1, 0, 0);
    char report[2048];
    snprintf(report, sizeof report, FINISHED, "bench-LEFT");
    add_report(ID, report);
    settle(ID, 0);
    assert_changes(reconcile(1000000), 0, 0, 0);
    reopen_catalogue();
    assert_changes(reconcile(1000000), 0, 0, 0);
    struct ch_recording recording;
    assert_int_equal(ch_catalogue_get(yard.catalogue, ID, &recording), 0);
    assert_string_equal(recording.camera, "bench-left");
    // With the report's time alone, or the folder's alone, it is.
    set_time(ID "/session.json", 1700000001);
    assert_changes(reconcile(1000000), 0, 1, 0);
    snprintf(report, sizeof report, FINISHED, "bench-left");
    add_report(ID, report);
    settle(ID, 1);
    set_time(ID, 1700000002);
    assert_changes(reconcile(1000000), 0, 1, 0);
    // Or if another file has taken its place, of the same size and time.
    snprintf(report, sizeof report, FINISHED, "bench-LEFT");
    write_file(ID "/other", report, strlen(report));
    assert_int_equal(renameat(yard.root, ID "/other", yard.root, ID "/session.json"), 0);
    settle(ID, 1);
    set_time(ID, 1700000002);
    assert_changes(reconcile(1000000), 0, 1, 0);
}

// Times that are close to now may stay the same through another change: such a folder is read again.
static void test_fresh_folders_are_read_again(void **state)
{
    (void)state;
    time_t now = time(NULL) + 2; // a little ahead, so that there is time enough to look
    add_session(ID, FINISHED, "bench-left");
    set_time(ID "/session.json", now);
    set_time(ID, now);
    assert_changes(reconcile(1000000), 1, 0, 0);
    char report[2048];
    snprintf(report, sizeof report, FINISHED, "bench-LEFT");
    add_report(ID, report);
    set_time(ID "/session.json", now);
    set_time(ID, now);
    assert_changes(reconcile(1000000), 0, 1, 0);
}

#define MANY 300

static void id_of(unsigned number, char out[64])
{
    snprintf(out, 64, "cam%u_20260101_%06u", number % 7, number);
}

// One folder at a time, with questions and changes in between.
static void test_reconcile_in_steps(void **state)
{
    (void)state;
    char id[64];
    for (unsigned i = 0; i < MANY; i++) {
        id_of(i, id);
        add_session(id, FINISHED, "cam");
    }
    unsigned steps = 0;
    uint64_t before = 0;
    struct ch_catalogue_changes changes;
    int rc;
    while ((rc = ch_catalogue_reconcile(yard.catalogue, 0, &changes)) > 0) {
        assert_true(changes.added <= 1);
        uint64_t now = total();
        assert_int_equal(now, before + changes.added);
        before = now;
        steps++;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(before, MANY);
    assert_true(steps >= MANY);
    // Changes while a walk is under way: told by update, or found by this walk or the next one.
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(ch_catalogue_reconcile(yard.catalogue, 0, NULL), 1);
    for (unsigned i = 0; i < MANY; i += 3) {
        id_of(i, id);
        remove_all(id);
        if (i % 2)
            assert_int_equal(ch_catalogue_update(yard.catalogue, id, NULL), 0);
    }
    id_of(MANY, id);
    add_session(id, FINISHED, "cam");
    assert_int_equal(ch_catalogue_update(yard.catalogue, id, NULL), 1);
    reconcile(0);
    reconcile(1000000);
    assert_int_equal(total(), MANY - MANY / 3 + 1);
}

// A walk that found much brings the pieces of the index together, in steps as well.
static void test_a_long_walk_merges(void **state)
{
    (void)state;
    static const char pieces_sql[] = "SELECT count(DISTINCT segid) FROM words_idx";
    char id[64];
    for (unsigned i = 0; i < 1100; i++) {
        id_of(i, id);
        add_session(id, FINISHED, "cam");
    }
    assert_int_equal(reconcile(500).added, 1100);
    sqlite3_stmt *statement;
    int64_t pieces;
    assert_int_equal(sqlite3_prepare_v2(yard.catalogue->db, pieces_sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(ch_catalogue_run_value(yard.catalogue, statement, &pieces), 1);
    sqlite3_finalize(statement);
    assert_int_equal(pieces, 1);
    struct ch_catalogue_filter filter;
    ch_catalogue_filter_init(&filter);
    filter.words = "cam missing";
    assert_int_equal(total_of(&filter), 1100);
    assert_int_equal(yard.warnings, 0);
}

static void test_update(void **state)
{
    (void)state;
    assert_int_equal(ch_catalogue_update(yard.catalogue, ID, NULL), 0);
    add_session(ID, RUNNING, "bench-left");
    assert_int_equal(recording_of(ID).verdict, CH_RECORDING_RUNNING);
    add_session(ID, FINISHED, "bench-left");
    assert_int_equal(recording_of(ID).verdict, CH_RECORDING_GAPS);
    add_file(ID, "thumbnail.jpg", 10);
    assert_true(recording_of(ID).thumbnail);
    // Another start is another place in the list.
    add_report(ID,
               "{\"format\":1,\"state\":\"finished\",\"verdict\":\"complete\",\"started\":\"2020-01-01T00:00:00Z\"}");
    assert_int_equal(recording_of(ID).started_us, INT64_C(1577836800000000));
    assert_int_equal(total(), 1);
    remove_all(ID);
    assert_int_equal(ch_catalogue_update(yard.catalogue, ID, NULL), 0);
    assert_int_equal(total(), 0);
    assert_changes(reconcile(1000000), 0, 0, 0);
}

static void test_details(void **state)
{
    (void)state;
    json_t *details;
    assert_int_equal(ch_catalogue_get_details(yard.catalogue, ID, &details), -ENOENT);
    add_session(ID, FINISHED, "bench-left");
    add_folder(ID "/images");
    add_file(ID, "images/frame.jpg", 30);
    assert_int_equal(ch_catalogue_get_details(yard.catalogue, ID, &details), 0);
    struct ch_recording recording = recording_of(ID);
    json_t *expected = ch_recording_to_json(&recording);
    assert_true(json_equal(json_object_get(details, "recording"), expected));
    json_decref(expected);
    assert_int_equal(recording.bytes, 5000 + 4000 + 128 + 30 + strlen(FINISHED) - 2 + strlen("bench-left"));
    json_t *files = json_object_get(details, "files");
    static const char *const names[] = {"frames.idx", "session.json", "stream.h264", "stream.mp4"};
    assert_int_equal(json_array_size(files), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(files, i), "name")), names[i]);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(files, 3), "bytes")), 5000);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(details, "report"), "format")), 1);
    json_decref(details);
    remove_file(ID, "session.json");
    assert_int_equal(ch_catalogue_get_details(yard.catalogue, ID, &details), 0);
    assert_true(json_is_null(json_object_get(details, "report")));
    json_decref(details);
}

// --- deleting -------------------------------------------------------------------------------------

static void test_delete(void **state)
{
    (void)state;
    add_session(ID, FINISHED, "bench-left");
    add_session("other_20260102_040405", FINISHED, "other");
    add_folder(ID "/images");
    for (unsigned i = 0; i < 300; i++) {
        char name[64];
        snprintf(name, sizeof name, "images/frame_%u.jpg", i);
        add_file(ID, name, 1);
    }
    reconcile(1000000);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), 0);
    assert_false(is_there(ID));
    assert_false(is_there(".deleted-" ID "~"));
    assert_false(in_list(ID));
    assert_true(in_list("other_20260102_040405"));
    assert_int_equal(total(), 1);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), -ENOENT);
    // One that the list does not know yet.
    add_session(ID, FINISHED, "bench-left");
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), 0);
    assert_changes(reconcile(1000000), 0, 0, 0);
}

static void test_delete_locked(void **state)
{
    (void)state;
    add_session(ID, FINISHED, "bench-left");
    reconcile(1000000);
    int dir = openat(yard.root, ID, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(dir, LOCK_EX), 0);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), -EBUSY);
    assert_true(is_there(ID "/stream.mp4"));
    assert_true(in_list(ID));
    // Nor does the catalogue keep a lock or take one to look.
    reconcile(1000000);
    assert_int_equal(flock(dir, LOCK_UN), 0);
    recording_of(ID);
    assert_int_equal(flock(dir, LOCK_EX | LOCK_NB), 0);
    close(dir);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), 0);
}

static void test_delete_follows_no_link(void **state)
{
    (void)state;
    add_folder("outside");
    add_file("outside", "precious", 10);
    add_session("real_20260102_040405", FINISHED, "real");
    assert_int_equal(symlinkat("real_20260102_040405", yard.root, ID), 0);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), -ENOENT);
    assert_true(is_there("real_20260102_040405/stream.mp4"));
    assert_int_equal(unlinkat(yard.root, ID, 0), 0);
    // Links in a session are left where they are, and all the more what they point at.
    add_session(ID, FINISHED, "bench-left");
    assert_int_equal(symlinkat("../outside", yard.root, ID "/images"), 0);
    assert_int_equal(symlinkat("../outside/precious", yard.root, ID "/stream_2.mp4"), 0);
    reconcile(1000000);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), -ENOTEMPTY);
    assert_true(is_there("outside/precious"));
    assert_true(is_there(ID "/images"));
    assert_true(is_there(ID "/stream_2.mp4"));
    assert_false(is_there(ID "/stream.mp4"));
    assert_false(is_there(".deleted-" ID "~"));
    assert_false(in_list(ID)); // what is left is no session
    reconcile(1000000);
    assert_false(in_list(ID));
}

static void test_delete_leaves_what_it_must(void **state)
{
    (void)state;
    add_session(ID, FINISHED, "bench-left");
    add_folder(ID "/images");
    add_folder(ID "/images/deeper");
    add_file(ID, "images/deeper/file", 10);
    add_file(ID, "images/a.jpg", 10);
    assert_int_equal(mkfifoat(yard.root, ID "/pipe", 0644), 0);
    reconcile(1000000);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), -ENOTEMPTY);
    assert_true(is_there(ID "/images/deeper/file"));
    assert_true(is_there(ID "/pipe"));
    assert_false(is_there(ID "/images/a.jpg"));
    assert_false(in_list(ID));
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), -ENOENT);
    // Where a session's own file is what cannot be deleted, the list goes on showing it.
    remove_all(ID);
    add_session(ID, FINISHED, "bench-left");
    reconcile(1000000);
    bool as_root = geteuid() == 0; // who may do everything, and so goes on as somebody else
    char folder[160];
    snprintf(folder, sizeof folder, "%s/%s", yard.path, ID);
    assert_int_equal(chmod(yard.path, 0777), 0);
    assert_int_equal(chmod(folder, 0555), 0);
    assert_int_equal(as_root ? seteuid(65534) : 0, 0);
    int rc = ch_catalogue_delete_folder(yard.root, ID);
    assert_int_equal(as_root ? seteuid(0) : 0, 0);
    assert_true(rc == -EACCES || rc == -EPERM);
    assert_true(is_there(ID "/stream.mp4"));
    reconcile(1000000);
    assert_true(in_list(ID));
    assert_int_equal(chmod(folder, 0755), 0);
}

static void test_leftovers_of_a_crash(void **state)
{
    (void)state;
    add_session(ID, FINISHED, "bench-left");
    reconcile(1000000);
    // Cut off after the renaming, and after a file or two.
    assert_int_equal(renameat(yard.root, ID, yard.root, ".deleted-" ID "~"), 0);
    add_folder(".deleted-half_20260102_040405~");
    add_file(".deleted-half_20260102_040405~", "stream_9.mp4", 10);
    add_folder(".deleted-left_20260102_040405~");
    add_folder(".deleted-left_20260102_040405~/images");
    add_folder(".deleted-left_20260102_040405~/images/deeper");
    // These are none: a camera's own name, another name, a file, a link, a name without an id, an id that is none.
    static const char *const others[] = {".deleted-x_20260102_040405", ".deleted", ".deleted-~", ".deleted-.x~"};
    for (size_t i = 0; i < 4; i++) {
        add_folder(others[i]);
        add_file(others[i], "stream.mp4", 10);
    }
    write_file(".deleted-file_20260102_040405~", "x", 1);
    add_folder("aim");
    add_file("aim", "stream.mp4", 10);
    assert_int_equal(symlinkat("aim", yard.root, ".deleted-link_20260102_040405~"), 0);
    // One that another process is at.
    add_folder(".deleted-busy_20260102_040405~");
    add_file(".deleted-busy_20260102_040405~", "stream.mp4", 10);
    int busy = openat(yard.root, ".deleted-busy_20260102_040405~", O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(busy, LOCK_EX), 0);

    struct ch_catalogue_changes changes = reconcile(1000000);
    assert_int_equal(changes.removed, 1);
    assert_int_equal(changes.failed, 1);
    assert_int_equal(total(), 1); // aim
    assert_false(is_there(".deleted-" ID "~"));
    assert_false(is_there(ID));
    assert_false(is_there(".deleted-half_20260102_040405~"));
    assert_false(is_there(".deleted-left_20260102_040405~"));
    assert_true(is_there("left_20260102_040405/images/deeper"));
    assert_true(is_there(".deleted-busy_20260102_040405~/stream.mp4"));
    for (size_t i = 0; i < 4; i++) {
        char path[100];
        snprintf(path, sizeof path, "%s/stream.mp4", others[i]);
        assert_true(is_there(path));
    }
    assert_true(is_there(".deleted-file_20260102_040405~"));
    assert_true(is_there("aim/stream.mp4"));
    close(busy);
    assert_changes(reconcile(1000000), 0, 0, 0);
    assert_false(is_there(".deleted-busy_20260102_040405~"));
}

// The hidden name is taken: by what can be cleared, and by what cannot.
static void test_delete_over_a_leftover(void **state)
{
    (void)state;
    add_session(ID, FINISHED, "bench-left");
    add_folder(".deleted-" ID "~");
    add_file(".deleted-" ID "~", "stream.h264", 10);
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), 0);
    assert_false(is_there(ID));
    assert_false(is_there(".deleted-" ID "~"));
    add_session(ID, FINISHED, "bench-left");
    add_folder(".deleted-" ID "~");
    add_folder(".deleted-" ID "~/images");
    add_folder(".deleted-" ID "~/images/deeper");
    assert_int_equal(ch_catalogue_delete_session(yard.catalogue, ID), -ENOTEMPTY);
    assert_true(is_there(ID "/stream.mp4"));
    assert_int_equal(recording_of(ID).verdict, CH_RECORDING_GAPS);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_yard, remove_yard)
    const struct CMUnitTest tests[] = {
        CASE(test_a_finished_session),
        CASE(test_a_session_of_the_writer),
        CASE(test_folders_of_other_programs),
        CASE(test_what_is_no_session),
        CASE(test_parts),
        CASE(test_reports_that_cannot_be_read),
        CASE(test_values_of_wrong_types),
        CASE(test_long_text),
        CASE(test_sessions_come_change_and_go),
        CASE(test_unchanged_folders_are_not_read),
        CASE(test_fresh_folders_are_read_again),
        CASE(test_reconcile_in_steps),
        CASE(test_a_long_walk_merges),
        CASE(test_update),
        CASE(test_details),
        CASE(test_delete),
        CASE(test_delete_locked),
        CASE(test_delete_follows_no_link),
        CASE(test_delete_leaves_what_it_must),
        CASE(test_leftovers_of_a_crash),
        CASE(test_delete_over_a_leftover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
