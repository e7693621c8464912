// Verification: what it finds in sessions that are sound, and in those of which anything was changed.
#include "session_checks.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finished_sessions_verify),
        cmocka_unit_test(test_verify_sees_every_bit),
        cmocka_unit_test(test_verify_compares_counts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
