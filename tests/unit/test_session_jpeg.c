// A JPEG camera's session: what is written, what verification finds, what recovery saves.
#include "jpeg_session.h"

#include "sink/jpeg_reader.h"

static const char *const mjpeg_name = "stream.mjpeg";

// --- a session that ends well -------------------------------------------------------------------------

static void assert_records(const struct folder *folder, const struct album *album)
{
    struct ch_record records[MAX_RECORDS];
    assert_int_equal(records_of(folder, records, MAX_RECORDS), album->count);
    for (size_t i = 0; i < album->count; i++) {
        assert_int_equal(records[i].flags, CH_FRAME_KEY | CH_FRAME_PICTURE | CH_FRAME_JPEG);
        assert_int_equal(records[i].sequence, i);
        assert_int_equal(records[i].part, 0);
        assert_int_equal(records[i].sample_bytes, 0);
        assert_int_equal(records[i].sample_offset, 0);
        assert_int_equal(records[i].composition_ticks, 0);
        assert_int_equal(records[i].payload_bytes, album->pictures[i].size);
        assert_int_equal(records[i].arrival_us, STARTED_US + 1000 + album->times_us[i]);
        assert_int_equal(records[i].device_ms, (7000000 + album->times_us[i]) / 1000);
        assert_int_equal(records[i].pts_ticks, album->times_us[i] * 9 / 100);
    }
}

static void assert_pictures(struct folder *folder, const struct album *album)
{
    size_t at = 0;
    const struct file *file = file_of(folder, mjpeg_name);
    assert_non_null(file);
    for (size_t i = 0; i < album->count; i++) {
        assert_true(at + album->pictures[i].size <= file->size);
        assert_memory_equal(file->data + at, album->pictures[i].data, album->pictures[i].size);
        at += album->pictures[i].size;
    }
    assert_int_equal(at, file->size);
}

static void test_recording(void **state)
{
    (void)state;
    struct album *album = make_album(40, 50);
    struct folder whole;
    struct ch_session_summary summary = record_album(album, NULL, &whole);
    assert_int_equal(summary.kind, CH_SESSION_JPEG);
    assert_int_equal(summary.verdict, CH_VERDICT_COMPLETE);
    assert_int_equal(summary.frames, 40);
    assert_int_equal(summary.missing, 0);
    assert_false(summary.has_video);
    assert_non_null(strstr(summary.reason, "40 pictures in "));
    assert_non_null(strstr(summary.reason, "numbers none"));
    assert_pictures(&whole, album);
    assert_records(&whole, album);
    assert_int_equal(whole.count, 4); // the two, session.json, and the thumbnail
    const struct file *thumbnail = file_of(&whole, "thumbnail.jpg");
    assert_int_equal(thumbnail->size, album->pictures[0].size);
    assert_memory_equal(thumbnail->data, album->pictures[0].data, thumbnail->size);

    write_folder(place.root, ID, &whole);
    assert_sound(ID, CH_VERDICT_COMPLETE);
    assert_false(ch_recover_needed(place.root, ID));
    assert_int_equal(ch_recover_session(place.root, ID, &summary), -EALREADY);
    json_t *session = report_of(ID);
    assert_string_equal(json_string_value(json_object_get(session, "kind")), "jpeg");
    assert_true(json_is_false(json_object_get(session, "numbered")));
    assert_true(json_is_null(json_object_get(session, "clock")));
    json_t *counts = json_object_get(session, "counts"), *file = json_array_get(json_object_get(session, "files"), 1);
    assert_int_equal(json_integer_value(json_object_get(counts, "frames")), 40);
    assert_int_equal(json_integer_value(json_object_get(counts, "key_frames")), 40);
    assert_int_equal(json_integer_value(json_object_get(counts, "missing")), 0);
    assert_int_equal(json_integer_value(json_object_get(counts, "duplicates")), 0);
    assert_int_equal(json_array_size(json_object_get(session, "files")), 2);
    assert_string_equal(json_string_value(json_object_get(file, "kind")), "mjpeg");
    assert_int_equal(json_integer_value(json_object_get(file, "frames")), 40);
    json_decref(session);
    free_folder(&whole);
    free_album(album);
}

// A long silence is told of, but not whose fault it is.
static void test_gap(void **state)
{
    (void)state;
    struct album *album = make_album(30, 0);
    for (size_t i = 20; i < 30; i++)
        album->times_us[i] += 5000000;
    struct folder whole;
    struct ch_session_summary summary = record_album(album, NULL, &whole);
    assert_int_equal(summary.verdict, CH_VERDICT_COMPLETE);
    write_folder(place.root, ID, &whole);
    assert_sound(ID, CH_VERDICT_COMPLETE);
    json_t *session = report_of(ID), *gaps = json_object_get(session, "gaps"), *gap = json_array_get(gaps, 0);
    assert_int_equal(json_array_size(gaps), 1);
    assert_string_equal(json_string_value(json_object_get(gap, "cause")), "unknown");
    assert_true(json_real_value(json_object_get(gap, "duration")) > 5);
    json_decref(session);
    free_folder(&whole);
    free_album(album);
}

// A second session of a stream begins at 0 again.
static void test_second_session(void **state)
{
    (void)state;
    struct album *album = make_album(12, 0);
    struct taping taping, again;
    assert_int_equal(begin_album(&taping, &place, "made"), 0);
    tape_album(&taping, album, 0, 5, 2);
    ch_stream_fence(taping.stream);
    struct ch_writer_options options = writer_options(&place, "again", false);
    options.kind = CH_SESSION_JPEG;
    again = taping;
    assert_int_equal(ch_writer_open(&again.writer, &options), 0);
    again.cursor.stream = NULL;
    ch_cursor_attach(&again.cursor, taping.stream, ch_stream_session_start(taping.stream, 1));
    tape_album(&again, album, 5, 12, 3);
    char id[CH_SESSION_ID_BYTES];
    strcpy(id, ch_writer_id(again.writer));
    struct ch_session_summary summary;
    ch_writer_end(&again.writer, "disconnected", &summary);
    ch_cursor_detach(&again.cursor);
    ch_cursor_detach(&taping.cursor);
    ch_writer_end(&taping.writer, "disconnected", &summary);
    ch_stream_free(taping.stream);
    assert_sound(id, CH_VERDICT_COMPLETE);
    struct folder folder = read_folder(place.root, id);
    struct ch_record records[MAX_RECORDS];
    assert_int_equal(records_of(&folder, records, MAX_RECORDS), 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(records[i].sequence, 5 + i);
        assert_in_range(records[i].pts_ticks + 1,
                        (album->times_us[5 + i] - album->times_us[5]) * 9 / 100, // the stream's ticks are rounded
                        (album->times_us[5 + i] - album->times_us[5]) * 9 / 100 + 2);
    }
    free_folder(&folder);
    free_album(album);
}

// --- the reader ---------------------------------------------------------------------------------------

static void test_reader(void **state)
{
    (void)state;
    struct album *album = make_album(30, 20);
    struct folder whole;
    record_album(album, NULL, &whole);
    file_of(&whole, mjpeg_name)->data[album->pictures[0].size + 30] ^= 1; // in the second picture
    file_of(&whole, mjpeg_name)->size -= 3;                               // of the last one
    write_folder(place.root, ID, &whole);
    json_t *session = report_of(ID);
    char path[256];
    snprintf(path, sizeof path, "%s/%s", place.path, ID);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct ch_jpeg_reader *reader;
    struct ch_record record;
    assert_int_equal(ch_jpeg_reader_open(&reader, dir, session), 0);
    for (size_t i = 0; i < album->count; i++) {
        assert_int_equal(ch_jpeg_reader_next(reader, &record), 1);
        assert_int_equal(record.sequence, i);
        const uint8_t *jpeg = NULL;
        int rc = i % 4 == 3 ? 0 : ch_jpeg_reader_read(reader, &jpeg); // some are not read
        assert_int_equal(rc, i == 1 ? -EBADMSG : i + 1 == album->count ? -ENODATA : 0);
        if (jpeg && rc == 0)
            assert_memory_equal(jpeg, album->pictures[i].data, album->pictures[i].size);
    }
    assert_int_equal(ch_jpeg_reader_next(reader, &record), 0);
    assert_int_equal(ch_jpeg_reader_next(reader, &record), 0);
    ch_jpeg_reader_close(reader);
    close(dir);
    json_decref(session);
    free_folder(&whole);
    free_album(album);
}

// --- verification -------------------------------------------------------------------------------------

static void test_verify_sees_every_bit(void **state)
{
    (void)state;
    struct album *album = make_album(6, 0);
    struct folder whole;
    record_album(album, NULL, &whole);
    for (size_t f = 0; f < whole.count; f++) {
        struct file *file = &whole.files[f];
        bool checked = strcmp(file->name, "session.json") != 0 && strcmp(file->name, "thumbnail.jpg") != 0;
        for (size_t at = 0; checked && at < file->size; at++) {
            file->data[at] ^= (uint8_t)(1u << at % 8);
            write_folder(place.root, ID, &whole);
            if (problems_of(ID) == 0)
                fail_msg("%s: a flipped bit at %zu of %zu was not noticed", file->name, at, file->size);
            file->data[at] ^= (uint8_t)(1u << at % 8);
        }
    }
    free_folder(&whole);
    free_album(album);
}

static void replace_text(struct folder *folder, const char *old, const char *new)
{
    struct file *file = file_of(folder, "session.json");
    char *at = strstr((char *)file->data, old);
    assert_non_null(at);
    assert_int_equal(strlen(old), strlen(new));
    memcpy(at, new, strlen(new));
}

static void test_verify_compares_report(void **state)
{
    (void)state;
    static const char *const changes[][2] = {{"\"numbered\": false", "\"numbered\": true "},
                                             {"\"kind\": \"jpeg\"", "\"kind\": \"h264\""},
                                             {"\"name\": \"stream.mjpeg\"", "\"name\": \"stream.mjpxg\""},
                                             {"\"kind\": \"mjpeg\"", "\"kind\": \"mjpxg\""},
                                             {"\"frames\": 20", "\"frames\": 19"},
                                             {"\"missing\": 0", "\"missing\": 1"}};
    struct album *album = make_album(20, 0);
    struct folder whole;
    record_album(album, NULL, &whole);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct folder folder = copy_folder(&whole);
        replace_text(&folder, changes[i][0], changes[i][1]);
        write_folder(place.root, ID, &folder);
        if (problems_of(ID) == 0)
            fail_msg("%s was not noticed", changes[i][1]);
        free_folder(&folder);
    }
    struct folder folder = copy_folder(&whole);
    drop_file(&folder, mjpeg_name);
    write_folder(place.root, ID, &folder);
    assert_int_equal(problems_of(ID), 1);
    free_folder(&folder);
    free_folder(&whole);
    free_album(album);
}

// The film may be there or not, listed or not, as it is or not.
static void test_verify_passes_over_the_film(void **state)
{
    (void)state;
    struct album *album = make_album(20, 0);
    struct folder whole;
    record_album(album, NULL, &whole);
    for (int listed = 0; listed <= 1; listed++)
        for (int there = 0; there <= 1; there++) {
            write_folder(place.root, ID, &whole);
            char path[256];
            snprintf(path, sizeof path, "%s/%s", place.path, ID);
            int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            struct ch_session_file film = {.name = "stream.mp4", .kind = CH_FILE_FILM, .bytes = 999, .frames = 20};
            json_t *session = report_of(ID);
            if (listed)
                json_array_append_new(json_object_get(session, "files"), ch_session_json_file(&film));
            assert_int_equal(ch_session_json_write(session, dir), 0);
            json_decref(session);
            if (there)
                assert_int_equal(ch_file_replace(dir, "stream.mp4", "a film", 6), 0);
            close(dir);
            assert_sound(ID, CH_VERDICT_COMPLETE);
            assert_false(ch_recover_needed(place.root, ID));
            struct ch_session_summary summary;
            assert_int_equal(ch_recover_session(place.root, ID, &summary), -EALREADY);
        }
    free_folder(&whole);
    free_album(album);
}

// --- recovery -----------------------------------------------------------------------------------------

// The folder's pictures are the first `count` of the album, byte for byte but for zeros behind the last one.
static void assert_first(const struct album *album, size_t count)
{
    struct folder folder = read_folder(place.root, ID);
    struct ch_record records[MAX_RECORDS];
    const struct file *file = file_of(&folder, mjpeg_name);
    assert_int_equal(records_of(&folder, records, MAX_RECORDS), count);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = album->pictures[i].size;
        assert_true(records[i].payload_bytes == size || (i + 1 == count && records[i].payload_bytes < size));
        assert_memory_equal(file->data + at, album->pictures[i].data, records[i].payload_bytes);
        at += records[i].payload_bytes;
        if (i > 0)
            assert_true(records[i].pts_ticks > records[i - 1].pts_ticks);
        if (!(records[i].flags & CH_FRAME_REBUILT))
            assert_int_equal(records[i].pts_ticks, album->times_us[i] * 9 / 100);
    }
    assert_int_equal(at, file->size);
    if (count > 0) {
        const struct file *thumbnail = file_of(&folder, "thumbnail.jpg");
        assert_non_null(thumbnail);
        assert_memory_equal(thumbnail->data, album->pictures[0].data, thumbnail->size);
    }
    free_folder(&folder);
}

// How many pictures lie whole in the first `size` bytes of stream.mjpeg; with `markers`, of the last one only what is
// needed to see that it is whole.
static size_t whole_in(const struct album *album, size_t size, bool markers)
{
    size_t count = 0, at = 0;
    while (count < album->count) {
        size_t needed = album->pictures[count].size;
        while (markers && album->pictures[count].data[needed - 1] == 0)
            needed--;
        if (at + needed > size)
            break;
        at += album->pictures[count++].size;
    }
    return count;
}

static struct folder cut_folder(const struct folder *whole, size_t mjpeg_bytes, size_t index_bytes)
{
    struct folder folder = copy_folder(whole);
    file_of(&folder, mjpeg_name)->size = mjpeg_bytes;
    file_of(&folder, "frames.idx")->size = index_bytes;
    return folder;
}

static void test_recover_as_it_was(void **state)
{
    (void)state;
    struct album *album = make_album(50, 30);
    struct folder folder, whole;
    record_album(album, &folder, &whole);
    recover_sound(&folder, 50, 50);
    assert_first(album, 50);
    assert_same_files(&whole);
    json_t *session = report_of(ID);
    assert_string_equal(json_string_value(json_object_get(session, "end_reason")), "interrupted");
    assert_string_equal(json_string_value(json_object_get(session, "kind")), "jpeg");
    assert_true(json_is_false(json_object_get(session, "numbered")));
    json_decref(session);
    free_folder(&folder);
    free_folder(&whole);
    free_album(album);
}

// kill -9 between the write of the pictures and that of the index: what is behind the last record is found.
static void test_recover_pictures_without_records(void **state)
{
    (void)state;
    struct album *album = make_album(24, 30);
    struct folder whole;
    record_album(album, &whole, NULL);
    size_t size = file_of(&whole, mjpeg_name)->size;
    for (size_t records = 0; records <= album->count; records += 3)
        for (size_t torn = 0; torn < 400; torn += 23) {
            size_t count = whole_in(album, size - torn, true);
            if (records > whole_in(album, size - torn, false))
                continue;
            struct folder folder = cut_folder(&whole, size - torn, 64 + 64 * records);
            struct ch_session_summary summary = recover_sound(&folder, count, count);
            assert_int_equal(summary.missing, 0);
            assert_first(album, count);
            free_folder(&folder);
        }
    free_folder(&whole);
    free_album(album);
}

// A power cut: stream.mjpeg ends anywhere, whatever the index says.
static void test_recover_torn_pictures(void **state)
{
    (void)state;
    struct album *album = make_album(10, 0);
    struct folder whole;
    record_album(album, &whole, NULL);
    size_t index_bytes = file_of(&whole, "frames.idx")->size;
    for (size_t size = 0; size <= file_of(&whole, mjpeg_name)->size; size++) {
        size_t count = whole_in(album, size, false);
        struct folder folder = cut_folder(&whole, size, index_bytes);
        recover_sound(&folder, count, count);
        assert_first(album, count);
        free_folder(&folder);
    }
    free_folder(&whole);
    free_album(album);
}

static void test_recover_torn_index(void **state)
{
    (void)state;
    struct album *album = make_album(8, 0);
    struct folder whole;
    record_album(album, &whole, NULL);
    for (size_t size = 0; size <= file_of(&whole, "frames.idx")->size; size += 5) {
        struct folder folder = cut_folder(&whole, file_of(&whole, mjpeg_name)->size, size);
        recover_sound(&folder, 8, 8);
        assert_first(album, 8);
        free_folder(&folder);
    }
    free_folder(&whole);
    free_album(album);
}

// Nothing but the pictures is left, not even a name that tells anything.
static void test_recover_bare(void **state)
{
    (void)state;
    struct album *album = make_album(30, 200);
    struct folder folder;
    record_album(album, &folder, NULL);
    drop_file(&folder, "frames.idx");
    drop_file(&folder, "session.json");
    recover_sound(&folder, 30, 30);
    assert_first(album, 30);
    struct ch_record records[MAX_RECORDS];
    struct folder after = read_folder(place.root, ID);
    assert_int_equal(records_of(&after, records, MAX_RECORDS), 30);
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(records[i].pts_ticks, 9000 * i); // the original server's 10 pictures per second
    free_folder(&after);
    free_folder(&folder);
    free_album(album);
}

// Rebuilt records go on at the pace of those before.
static void test_recover_pace(void **state)
{
    (void)state;
    struct album *album = make_album(20, 0);
    for (size_t i = 0; i < 20; i++)
        album->times_us[i] = (int64_t)i * 250000;
    struct folder whole;
    record_album(album, &whole, NULL);
    struct folder folder = cut_folder(&whole, file_of(&whole, mjpeg_name)->size, 64 + 64 * 12);
    recover_sound(&folder, 20, 20);
    struct folder after = read_folder(place.root, ID);
    struct ch_record records[MAX_RECORDS];
    assert_int_equal(records_of(&after, records, MAX_RECORDS), 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(records[i].pts_ticks, 22500 * i);
        assert_int_equal(records[i].arrival_us, STARTED_US + 1000 + 250000 * (int64_t)i);
        assert_int_equal((records[i].flags & CH_FRAME_REBUILT) != 0, i >= 12);
    }
    free_folder(&after);
    free_folder(&folder);
    free_folder(&whole);
    free_album(album);
}

// Bytes of the newest pictures that never reached the disk: at the end they are cut, with and without a record.
static void test_recover_zeros_at_the_end(void **state)
{
    (void)state;
    struct album *album = make_album(20, 600);
    struct folder whole;
    record_album(album, &whole, NULL);
    size_t size = file_of(&whole, mjpeg_name)->size;
    for (size_t lost = 1; lost < 4000; lost += 333)
        for (size_t records = 14; records <= 20; records += 6) {
            struct folder folder = cut_folder(&whole, size, 64 + 64 * records);
            memset(file_of(&folder, mjpeg_name)->data + size - lost, 0, lost);
            size_t count = whole_in(album, size - lost, true); // padding is zeros anyway
            recover_sound(&folder, count, count);
            assert_first(album, count);
            free_folder(&folder);
        }
    free_folder(&whole);
    free_album(album);
}

// A block in the midst is lost: its pictures are, and nothing else.
static void test_recover_hole(void **state)
{
    (void)state;
    for (size_t records = 0; records <= 20; records += 10) {
        struct album *album = make_album(20, 600);
        struct folder folder;
        record_album(album, &folder, NULL);
        file_of(&folder, "frames.idx")->size = 64 + 64 * records;
        size_t at = 0;
        for (size_t i = 0; i < 12; i++)
            at += album->pictures[i].size;
        memset(file_of(&folder, mjpeg_name)->data + at - 10, 0, 600); // the end of number 11 and much of number 12
        write_folder(place.root, ID, &folder);
        struct ch_session_summary summary, again;
        assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
        assert_int_equal(summary.verdict, CH_VERDICT_DAMAGED);
        assert_int_equal(summary.frames, 18);
        assert_int_equal(ch_recover_session(place.root, ID, &again), -EALREADY);
        assert_sound(ID, CH_VERDICT_DAMAGED); // what is left is as its records say
        struct folder after = read_folder(place.root, ID);
        struct ch_record found[MAX_RECORDS];
        size_t count = records_of(&after, found, MAX_RECORDS), pictures = 0;
        for (size_t i = 0; i < count; i++) {
            assert_int_equal((found[i].flags & CH_FRAME_PICTURE) != 0, !(found[i].flags & CH_FRAME_JUNK));
            pictures += (found[i].flags & CH_FRAME_PICTURE) != 0;
        }
        assert_int_equal(pictures, 18);
        assert_int_equal(file_of(&after, mjpeg_name)->size,
                         file_of(&folder, mjpeg_name)->size - (records < 20 ? 19 * 5 % 9 : 0));
        free_folder(&after);
        free_folder(&folder);
        free_album(album);
    }
}

static void test_recover_without_pictures(void **state)
{
    (void)state;
    struct album *album = make_album(5, 0);
    struct folder whole;
    record_album(album, &whole, NULL);
    drop_file(&whole, mjpeg_name);
    write_folder(place.root, ID, &whole);
    struct ch_session_summary summary;
    assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
    assert_int_equal(summary.kind, CH_SESSION_JPEG);
    assert_int_equal(summary.verdict, CH_VERDICT_DAMAGED);
    assert_int_equal(summary.frames, 0);
    assert_string_equal(summary.reason, "stream.mjpeg is not there");
    drop_file(&whole, "session.json"); // and the same from the index alone
    write_folder(place.root, ID, &whole);
    assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
    assert_int_equal(summary.kind, CH_SESSION_JPEG);
    assert_int_equal(summary.verdict, CH_VERDICT_DAMAGED);
    free_folder(&whole);
    free_album(album);
}

// A disk error ended stream.mjpeg, its torn tail could not be cut, and then the power went.
static void test_recover_successor(void **state)
{
    (void)state;
    struct album *album = make_album(20, 100);
    struct folder whole;
    record_album(album, &whole, NULL);
    for (size_t records = 12; records <= 20; records += 4)
        for (size_t torn = 0; torn <= 2000; torn += 400) {
            struct folder folder = copy_folder(&whole);
            struct file *first = file_of(&folder, mjpeg_name), *second = &folder.files[folder.count++];
            size_t at = 0;
            for (size_t i = 0; i < 9; i++)
                at += album->pictures[i].size;
            *second = (struct file){.name = "stream_2.mjpeg", .size = first->size - at};
            second->data = malloc(second->size);
            memcpy(second->data, first->data + at, second->size);
            memset(first->data + at, 0x77, first->size - at);
            first->size = at + torn;
            file_of(&folder, "frames.idx")->size = 64 + 64 * records;
            recover_sound(&folder, 20, 20);
            struct folder after = read_folder(place.root, ID);
            static const char *const names[] = {"stream.mjpeg", "stream_2.mjpeg"};
            struct picture found = joined(&after, names, 2), wanted = joined(&whole, names, 1);
            size_t padding = records < 20 ? 19 * 5 % 9 : 0; // behind the last one
            assert_int_equal(found.size, wanted.size - padding);
            assert_memory_equal(found.data, wanted.data, found.size);
            free_picture(&found);
            free_picture(&wanted);
            free_folder(&after);
            free_folder(&folder);
        }
    free_folder(&whole);
    free_album(album);
}

// Long stretches of what is no picture, in files longer than any window.
static void test_recover_large(void **state)
{
    (void)state;
    struct picture all = {0}, picture = make_picture(800, 600, 1, 60000);
    static uint8_t noise[3 << 20];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(i * 2654435761u >> 20 & 0x7F);
    for (unsigned i = 0; i < 60; i++)
        add_bytes(&all, picture.data, picture.size);
    add_bytes(&all, noise, sizeof noise);
    for (unsigned i = 0; i < 20; i++)
        add_bytes(&all, picture.data, picture.size);
    add_bytes(&all, noise, sizeof noise);
    struct folder folder = {.count = 1, .files = {{.name = "stream.mjpeg", .data = all.data, .size = all.size}}};
    write_folder(place.root, ID, &folder);
    struct ch_session_summary summary;
    assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
    // What lies behind a picture that is whole belongs to its message.
    assert_int_equal(summary.verdict, CH_VERDICT_RECOVERED);
    assert_int_equal(summary.frames, 80);
    assert_int_equal(summary.bytes, all.size - sizeof noise);
    assert_sound(ID, CH_VERDICT_RECOVERED);
    free_picture(&all);
    free_picture(&picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recording),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_second_session),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_verify_sees_every_bit),
        cmocka_unit_test(test_verify_compares_report),
        cmocka_unit_test(test_verify_passes_over_the_film),
        cmocka_unit_test(test_recover_as_it_was),
        cmocka_unit_test(test_recover_pictures_without_records),
        cmocka_unit_test(test_recover_torn_pictures),
        cmocka_unit_test(test_recover_torn_index),
        cmocka_unit_test(test_recover_bare),
        cmocka_unit_test(test_recover_pace),
        cmocka_unit_test(test_recover_zeros_at_the_end),
        cmocka_unit_test(test_recover_hole),
        cmocka_unit_test(test_recover_without_pictures),
        cmocka_unit_test(test_recover_successor),
        cmocka_unit_test(test_recover_large),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
