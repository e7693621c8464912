// Verification: what it finds in sessions that are sound, and in those of which anything was changed.
#include "audio_session.h"

#include <openssl/evp.h>
#include "codec/mp4.h"

// --- sessions that end well -------------------------------------------------------------------------

static void test_finished_sessions_verify(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(40, 10, 60), b_frame_show(6), odd_show(), new_show(), changing_show()};
    for (size_t i = 0; i < sizeof shows / sizeof shows[0]; i++) {
        struct folder whole;
        record_show(&place, shows[i], i % 2 == 0, NULL, &whole);
        write_folder(place.root, ID, &whole);
        assert_sound(ID, i == 2 ? CH_VERDICT_GAPS : CH_VERDICT_COMPLETE);
        assert_false(ch_recover_needed(place.root, ID));
        struct ch_session_summary summary;
        assert_int_equal(ch_recover_session(place.root, ID, &summary), -EALREADY);
        free_folder(&whole);
        free(shows[i]);
    }
}

// Where a bit may flip unnoticed: in what players do not use any more once the file is finished (brands, the old
// moov, fragment headers), and in the zero in front of a message's first start code.
static bool is_idle(const char *name, size_t at, const struct ch_record *records, size_t count)
{
    size_t message = 0;
    if (strcmp(name, "stream.h264") == 0) {
        for (size_t i = 0; i < count; message += records[i++].payload_bytes)
            if (at == message)
                return true;
        return false;
    }
    const struct ch_record *last = &records[count - 1];
    if (strcmp(name, "stream.mp4") != 0 || at >= last->sample_offset + last->sample_bytes)
        return false;
    for (size_t i = 0; i < count; i++)
        if (records[i].part == 1 && at >= records[i].sample_offset &&
            at < records[i].sample_offset + records[i].sample_bytes)
            return false;
    return at >= 48 || (at >= 8 && at < 32);
}

// One bit anywhere else is found.
static void test_verify_sees_every_bit(void **state)
{
    (void)state;
    struct show *show = phone_show(8, 4, 30);
    struct folder whole;
    record_show(&place, show, true, NULL, &whole);
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(&whole, records, MAX_RECORDS);
    for (size_t f = 0; f < whole.count; f++) {
        struct file *file = &whole.files[f];
        for (size_t at = 0; at < file->size && strcmp(file->name, "session.json") != 0; at++) {
            uint8_t bit = (uint8_t)(1u << at % 8);
            if (is_idle(file->name, at, records, count))
                continue;
            file->data[at] ^= bit;
            write_folder(place.root, ID, &whole);
            if (problems_of(ID) == 0)
                fail_msg("%s: a flipped bit at %zu of %zu was not noticed", file->name, at, file->size);
            file->data[at] ^= bit;
        }
    }
    free_folder(&whole);
    free(show);
}

static void test_verify_compares_counts(void **state)
{
    (void)state;
    struct show *show = odd_show();
    struct folder whole;
    record_show(&place, show, true, NULL, &whole);
    static const char *const texts[] = {"\"messages\": ", "\"frames\": 2", "\"missing\": 3",
                                        "\"records\": ",  "\"bytes\": ",   "\"duplicates\": ",
                                        "\"count\": 3",   "\"width\": ",   "\"sha256\": \""};
    struct file *file = file_of(&whole, "session.json");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *at = strstr((char *)file->data, texts[i]);
        assert_non_null(at);
        at += strlen(texts[i]) - (texts[i][strlen(texts[i]) - 1] >= '0' && texts[i][strlen(texts[i]) - 1] <= '9');
        char was = *at;
        *at = was == '9' ? '1' : was == 'f' ? '0' : (char)(was + 1);
        write_folder(place.root, ID, &whole);
        if (problems_of(ID) == 0)
            fail_msg("%s was changed and nothing was said", texts[i]);
        *at = was;
    }
    // A record that is as good as the one before, but not the one that was hashed.
    struct ch_record record;
    file = file_of(&whole, "frames.idx");
    assert_int_equal(ch_index_read_record(file->data + 640, &record), 0);
    record.arrival_us++;
    ch_index_write_record(&record, file->data + 640);
    write_folder(place.root, ID, &whole);
    assert_int_equal(problems_of(ID), 1);
    free_folder(&whole);
    free(show);
}

// --- sessions with sound ----------------------------------------------------------------------------

static json_t *problems_list(const char *id)
{
    struct ch_verification result = verify(id);
    json_t *problems = json_incref(result.problems);
    ch_verification_deinit(&result);
    return problems;
}

static void assert_only_problem(const char *id, const char *text)
{
    json_t *problems = problems_list(id);
    const char *first = json_string_value(json_array_get(problems, 0));
    if (json_array_size(problems) != 1 || !strstr(first, text)) {
        char *all = json_dumps(problems, JSON_INDENT(1));
        fail_msg("expected only \"%s\": %s", text, all);
    }
    json_decref(problems);
}

static void test_verify_flipped(void **state)
{
    (void)state;
    struct show *show = sound_show();
    struct folder whole;
    record_show(&place, show, true, NULL, &whole);
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(&whole, records, MAX_RECORDS);
    for (size_t i = 0; i < count; i++) {
        if (!is_heard(&records[i]))
            continue;
        uint8_t *byte = file_of(&whole, "stream.mp4")->data + records[i].sample_offset + i % records[i].sample_bytes;
        *byte ^= 1;
        write_folder(place.root, ID, &whole);
        char text[64];
        snprintf(text, sizeof text, "stream.mp4, frame %zu at ", i);
        assert_only_problem(ID, text);
        *byte ^= 1;
    }
    // Any byte of the final moov.
    size_t bytes;
    uint8_t *mp4 = file_of(&whole, "stream.mp4")->data;
    size_t at = (size_t)(moov_of(file_of(&whole, "stream.mp4"), &bytes) - mp4);
    for (size_t i = 0; i < bytes; i++) {
        mp4[at + i] ^= 0x04;
        write_folder(place.root, ID, &whole);
        if (problems_of(ID) == 0)
            fail_msg("byte %zu of the final moov", i);
        mp4[at + i] ^= 0x04;
    }
    // Which frame it is, is said too: the third one's size.
    uint8_t *sizes = mp4 + at;
    for (uint8_t *next = sizes; (next = memmem(next + 1, bytes - (size_t)(next + 1 - mp4 - at), "stsz", 4));)
        sizes = next;
    sizes[4 + 12 + 2 * 4 + 3] ^= 1; // behind type, version, common size and count
    write_folder(place.root, ID, &whole);
    assert_only_problem(ID, "stream.mp4, 2 of the AAC frames at 0.093 s stands otherwise");
    free_folder(&whole);
    free(show);
}

static void put_report(struct folder *folder, const json_t *report)
{
    struct file *file = file_of(folder, "session.json");
    free(file->data);
    file->data = (uint8_t *)json_dumps(report, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    file->size = strlen((char *)file->data);
}

// An index without its records of sound, and a report that fits it in everything.
static void test_verify_without_records(void **state)
{
    (void)state;
    struct show *show = sound_show();
    struct folder whole;
    record_show(&place, show, true, NULL, &whole);
    struct file *index = file_of(&whole, "frames.idx");
    size_t kept = 64, sounds = count_of(&whole, is_heard);
    for (size_t at = 64; at < index->size; at += 64) {
        struct ch_record record;
        assert_int_equal(ch_index_read_record(index->data + at, &record), 0);
        if (!is_sound(&record)) {
            memmove(index->data + kept, index->data + at, 64);
            kept += 64;
        }
    }
    index->size = kept;
    uint8_t digest[32];
    char hex[65];
    assert_true(EVP_Digest(index->data, kept, digest, NULL, EVP_sha256(), NULL));
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    json_t *report = report_of(&whole), *entry;
    size_t i;
    json_array_foreach (json_object_get(report, "files"), i, entry)
        if (json_object_get(entry, "sha256")) {
            json_object_set_new(entry, "sha256", json_string(hex));
            json_object_set_new(entry, "bytes", json_integer((json_int_t)kept));
            json_object_set_new(entry, "frames", json_integer((json_int_t)(kept / 64 - 1)));
        }
    json_object_set_new(json_object_get(report, "index"), "sha256", json_string(hex));
    json_object_set_new(json_object_get(report, "index"), "records", json_integer((json_int_t)(kept / 64 - 1)));
    json_t *counts = json_object_get(report, "counts");
    json_object_set_new(counts, "audio_frames", json_integer(0));
    json_object_set_new(counts, "messages",
                        json_integer(json_integer_value(json_object_get(counts, "messages")) - (json_int_t)sounds));
    json_object_set_new(report, "audio", json_null());
    put_report(&whole, report);
    write_folder(place.root, ID, &whole);
    assert_only_problem(ID, "stream.mp4 has an audio track, the index no AAC frame of it");
    json_decref(report);
    free_folder(&whole);
    free(show);
}

static void test_verify_report(void **state)
{
    (void)state;
    struct show *show = sound_show(), *silent = phone_show(20, 6, 60);
    struct folder whole, quiet;
    record_show(&place, show, true, NULL, &whole);
    record_show(&place, silent, true, NULL, &quiet);
    static const struct {
        const char *object, *key;
        int value;
        const char *problem;
    } wrong[] = {{"counts", "audio_frames", 3, "counts.audio_frames in session.json is not what the index gives"},
                 {"audio", "frames", 3, "audio in session.json"},
                 {"audio", "rate", 48000, "audio in session.json"},
                 {"audio", "channels", 2, "audio in session.json"}};
    json_t *good = report_of(&whole);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        json_t *report = json_deep_copy(good);
        json_object_set_new(json_object_get(report, wrong[i].object), wrong[i].key, json_integer(wrong[i].value));
        put_report(&whole, report);
        write_folder(place.root, ID, &whole);
        assert_only_problem(ID, wrong[i].problem);
        json_decref(report);
    }
    for (int i = 0; i < 2; i++) { // it says nothing of sound, and there is some
        json_t *report = json_deep_copy(good);
        json_object_del(i ? json_object_get(report, "counts") : report, i ? "audio_frames" : "audio");
        put_report(&whole, report);
        write_folder(place.root, ID, &whole);
        assert_only_problem(ID, i ? "counts.audio_frames" : "audio in session.json");
        json_decref(report);
    }
    json_decref(good);
    // A session from before there was sound.
    json_t *old = report_of(&quiet);
    json_object_del(old, "audio");
    json_object_del(json_object_get(old, "counts"), "audio_frames");
    put_report(&quiet, old);
    write_folder(place.root, ID, &quiet);
    assert_sound(ID, CH_VERDICT_COMPLETE);
    json_object_set_new(json_object_get(old, "counts"), "audio_frames", json_integer(1));
    put_report(&quiet, old);
    write_folder(place.root, ID, &quiet);
    assert_only_problem(ID, "counts.audio_frames");
    json_decref(old);
    free_folder(&whole);
    free_folder(&quiet);
    free(show);
    free(silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finished_sessions_verify), cmocka_unit_test(test_verify_sees_every_bit),
        cmocka_unit_test(test_verify_compares_counts),   cmocka_unit_test(test_verify_flipped),
        cmocka_unit_test(test_verify_without_records),   cmocka_unit_test(test_verify_report),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
