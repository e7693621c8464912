// Recovery: sessions made by the real writer, cut short in every place, and finished again. What comes out must
// verify, and must hold what was whole.
#include "session_checks.h"
#include "codec/mp4.h"

// --- cut short --------------------------------------------------------------------------------------

static void test_as_it_lay(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(40, 10, 60), b_frame_show(6), odd_show(), new_show(), changing_show()};
    for (size_t i = 0; i < sizeof shows / sizeof shows[0]; i++)
        for (int h264 = 0; h264 < 2; h264++) {
            struct folder whole, folder = made_cut(shows[i], h264, &whole);
            size_t pictures = i == 2 ? shows[i]->pictures - 1 : shows[i]->pictures; // one came before the first key
            recover_sound(&folder, pictures, pictures);
            assert_prefix(&whole, pictures);
            assert_same_files(&whole); // as after an orderly end, byte for byte
            free_folder(&folder);
            free_folder(&whole);
        }
    for (size_t i = 0; i < sizeof shows / sizeof shows[0]; i++)
        free(shows[i]);
}

static void test_report_of_recovered(void **state)
{
    (void)state;
    struct show *show = phone_show(20, 10, 60);
    struct folder folder = made_cut(show, true, NULL);
    struct ch_session_summary summary = recover_sound(&folder, 20, 20);
    assert_string_equal(summary.id, ID);
    assert_true(summary.has_video);
    assert_string_equal(summary.first_part, "stream.mp4");
    struct folder after = read_folder(place.root, ID);
    json_t *session = json_loads((char *)file_of(&after, "session.json")->data, 0, NULL);
    assert_non_null(session);
    assert_string_equal(json_string_value(json_object_get(session, "state")), "finished");
    assert_string_equal(json_string_value(json_object_get(session, "end_reason")), "interrupted");
    assert_string_equal(json_string_value(json_object_get(session, "id")), ID);
    assert_string_equal(json_string_value(json_object_get(json_object_get(session, "camera"), "name")), "made");
    json_decref(session);
    free_folder(&after);
    free_folder(&folder);
    free(show);
}

// stream.mp4 ends anywhere in its last three fragments, alone (no stream.h264).
static void test_video_cut_at_every_byte(void **state)
{
    (void)state;
    struct show *show = phone_show(12, 4, 20);
    struct folder whole, folder = made_cut(show, false, &whole);
    struct file *file = file_of(&folder, "stream.mp4");
    size_t size = file->size;
    for (file->size = size; fragments_before(&whole, file->size) >= 9; file->size--) {
        size_t fragments = fragments_before(&whole, file->size);
        recover_sound(&folder, fragments, fragments);
        assert_prefix(&whole, fragments);
    }
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// The same with stream.h264 beside it: nothing is lost, wherever the cut is.
static void test_video_cut_beside_stream(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(12, 4, 20), b_frame_show(2), odd_show()};
    for (size_t i = 0; i < 3; i++) {
        struct folder whole, folder = made_cut(shows[i], true, &whole);
        struct file *file = file_of(&folder, "stream.mp4");
        size_t size = file->size, pictures = shows[i]->pictures - (i == 2);
        for (file->size = size; file->size > 0; file->size -= file->size > 7 ? 7 : file->size) {
            recover_sound(&folder, pictures, pictures);
            assert_prefix(&whole, pictures);
        }
        drop_file(&folder, "stream.mp4");
        recover_sound(&folder, pictures, pictures);
        assert_same_files(&whole);
        free_folder(&whole);
        free_folder(&folder);
        free(shows[i]);
    }
}

// Samples with a parameter set of their own are made again where the message has it; where it does not, the picture
// stays in stream.h264.
static void test_video_gone_with_changing_sets(void **state)
{
    (void)state;
    struct show *show = changing_show();
    struct folder whole, folder = made_cut(show, true, &whole);
    drop_file(&folder, "stream.mp4");
    struct ch_session_summary summary = recover_sound(&folder, 7, 20);
    assert_int_equal(summary.bytes, file_of(&whole, "stream.h264")->size);
    assert_prefix(&whole, 10); // the key frame behind the first change has the set put into its sample
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// The index ends anywhere in its last three records, or elsewhere, or is gone.
static void test_index_cut_at_every_byte(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(12, 4, 20), b_frame_show(2)};
    for (size_t i = 0; i < 2; i++)
        for (int h264 = 0; h264 < 2; h264++) {
            struct folder whole, folder = made_cut(shows[i], h264, &whole);
            struct file *file = file_of(&folder, "frames.idx");
            size_t size = file->size;
            for (; file->size > size - 3 * 64; file->size--)
                recover_sound(&folder, shows[i]->pictures, shows[i]->pictures);
            for (; file->size > 0; file->size -= file->size > 31 ? 31 : file->size) {
                recover_sound(&folder, shows[i]->pictures, shows[i]->pictures);
                assert_prefix(&whole, shows[i]->pictures);
            }
            drop_file(&folder, "frames.idx");
            recover_sound(&folder, shows[i]->pictures, shows[i]->pictures);
            assert_prefix(&whole, shows[i]->pictures);
            struct folder after = read_folder(place.root, ID);
            struct file *stream = file_of(&after, "stream.h264");
            if (h264) { // found again by what the MP4 has: no byte of it is lost
                assert_int_equal(stream->size, file_of(&whole, "stream.h264")->size);
                assert_memory_equal(stream->data, file_of(&whole, "stream.h264")->data, stream->size);
                struct ch_record was[MAX_RECORDS], is[MAX_RECORDS];
                size_t count = records_of(&whole, was, MAX_RECORDS);
                assert_int_equal(records_of(&after, is, MAX_RECORDS), count - 1); // the sets go with the first picture
                for (size_t r = 1; r + 1 < count; r++)
                    assert_int_equal(is[r].payload_bytes, was[r + 1].payload_bytes);
            }
            free_folder(&after);
            free_folder(&whole);
            free_folder(&folder);
        }
    free(shows[0]);
    free(shows[1]);
}

// stream.h264 ends anywhere in its last messages: the MP4 has the pictures.
static void test_stream_cut_at_every_byte(void **state)
{
    (void)state;
    struct show *show = phone_show(12, 4, 20);
    struct folder whole, folder = made_cut(show, true, &whole);
    struct file *file = file_of(&folder, "stream.h264");
    size_t size = file->size;
    for (; file->size > 0; file->size -= size - file->size < 90 ? 1 : file->size > 5 ? 5 : file->size) {
        recover_sound(&folder, 12, 12);
        assert_prefix(&whole, 12);
    }
    recover_sound(&folder, 12, 12);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// All three at once, as after a power cut; zeros where blocks were not written.
static void test_cut_in_all_files(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(30, 6, 80), odd_show(), b_frame_show(4)};
    unsigned dice = 4711;
    for (size_t round = 0; round < 240; round++) {
        static struct folder whole, full;
        if (round % 80 == 0) {
            free_folder(&full);
            free_folder(&whole);
            full = made_cut(shows[round / 80], true, &whole);
        }
        struct folder folder = copy_folder(&full);
        size_t video = 0;
        for (size_t i = 0; i < folder.count; i++) {
            struct file *file = &folder.files[i];
            if (strncmp(file->name, "session.json", 12) == 0)
                continue;
            dice = dice * 1103515245u + 12345u;
            size_t cut = file->size - (dice >> 8) % (round % 3 == 0 ? file->size : file->size / 4 + 1);
            if (round % 2)
                memset(file->data + cut, 0, file->size - cut);
            else
                file->size = cut;
            if (strcmp(file->name, "stream.mp4") == 0)
                video = fragments_before(&whole, cut);
        }
        struct ch_session_summary summary;
        write_folder(place.root, ID, &folder);
        assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
        assert_sound(ID, summary.verdict);
        assert_true(summary.frames >= video);
        if (summary.verdict != CH_VERDICT_RECOVERED)
            fail_msg("round %zu: %s", round, summary.reason);
        assert_int_equal(ch_recover_session(place.root, ID, &summary), -EALREADY);
        free_folder(&folder);
        if (round == 239) {
            free_folder(&full);
            free_folder(&whole);
        }
    }
    for (size_t i = 0; i < 3; i++)
        free(shows[i]);
}

// stream.h264 made again from the MP4 can be played on its own: its key frames bring their parameter sets.
static void test_stream_made_from_video(void **state)
{
    (void)state;
    struct show *show = phone_show(12, 4, 20);
    struct folder whole, folder = made_cut(show, true, &whole);
    file_of(&folder, "stream.h264")->size = 0;
    recover_sound(&folder, 12, 12);
    struct folder bare = read_folder(place.root, ID);
    for (size_t i = bare.count; i-- > 0;)
        if (strcmp(bare.files[i].name, "stream.h264") != 0)
            drop_file(&bare, bare.files[i].name);
    recover_sound(&bare, 12, 12);
    free_folder(&bare);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// More of stream.h264 is there than anything else knows: it stays, up to what may be torn.
static void test_stream_goes_on_behind_all_others(void **state)
{
    (void)state;
    struct show *show = phone_show(24, 6, 40);
    struct folder whole, folder = made_cut(show, true, &whole);
    struct ch_record records[MAX_RECORDS];
    records_of(&whole, records, MAX_RECORDS);
    file_of(&folder, "frames.idx")->size = 64 + 16 * 64; // the sets and 15 pictures
    file_of(&folder, "stream.mp4")->size = records[16].sample_offset - CH_MP4_FRAGMENT_HEADER_BYTES;
    recover_sound(&folder, 15, 15);
    assert_prefix(&whole, 15);
    struct folder after = read_folder(place.root, ID);
    size_t size = file_of(&after, "stream.h264")->size;
    assert_int_equal(size, file_of(&whole, "stream.h264")->size - records[24].payload_bytes);
    assert_memory_equal(file_of(&after, "stream.h264")->data, file_of(&whole, "stream.h264")->data, size);
    free_folder(&after);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// A block of the newest samples never reached the disk: cut there, or taken from stream.h264.
static void test_hole_in_the_newest_samples(void **state)
{
    (void)state;
    struct show *show = phone_show(20, 5, 700);
    for (int h264 = 0; h264 < 2; h264++) {
        struct folder whole, folder = made_cut(show, h264, &whole);
        struct ch_record records[MAX_RECORDS];
        size_t count = records_of(&whole, records, MAX_RECORDS);
        memset(file_of(&folder, "stream.mp4")->data + records[count - 3].sample_offset + 100, 0, 512);
        recover_sound(&folder, h264 ? 20 : 17, h264 ? 20 : 17);
        assert_prefix(&whole, h264 ? 20 : 17);
        // The same without records for them.
        file_of(&folder, "frames.idx")->size -= 5 * 64;
        recover_sound(&folder, 17, 20);
        assert_prefix(&whole, 17);
        free_folder(&whole);
        free_folder(&folder);
    }
    free(show);
}

static void test_hole_in_the_newest_messages(void **state)
{
    (void)state;
    struct show *show = phone_show(20, 5, 700);
    struct folder whole, folder = made_cut(show, true, &whole);
    struct file *stream = file_of(&folder, "stream.h264");
    memset(stream->data + stream->size - 1500, 0, 512);
    recover_sound(&folder, 20, 20);
    assert_prefix(&whole, 20);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// A broken header far from the end takes nothing with it: the index knows what follows.
static void test_broken_fragment_header(void **state)
{
    (void)state;
    struct show *show = phone_show(20, 5, 50);
    struct folder whole, folder = made_cut(show, false, &whole);
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(&whole, records, MAX_RECORDS);
    for (size_t n = 1; n < count; n++) {
        uint8_t *byte = file_of(&folder, "stream.mp4")->data + records[n].sample_offset - 112 + n * 5 % 112;
        *byte ^= 0x10;
        recover_sound(&folder, 20, 20);
        assert_prefix(&whole, 20);
        *byte ^= 0x10;
    }
    for (size_t n = 2; n < count; n += 3) // and several at once
        file_of(&folder, "stream.mp4")->data[records[n].sample_offset - 100] ^= 1;
    recover_sound(&folder, 20, 20);
    assert_prefix(&whole, 20);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// --- cut off while ending ---------------------------------------------------------------------------

static void test_interrupted_while_finishing(void **state)
{
    (void)state;
    struct show *show = phone_show(12, 4, 20);
    struct folder whole, folder = made_cut(show, true, &whole);
    struct file *cut = file_of(&folder, "stream.mp4"), *end = file_of(&whole, "stream.mp4");
    size_t before = cut->size;
    free(cut->data);
    cut->data = malloc(end->size);
    memcpy(cut->data, end->data, end->size);
    uint8_t patched[16], unpatched[16] = {0, 0, 0, 16, 'f', 'r', 'e', 'e'};
    memcpy(patched, end->data + CH_MP4_FREE_OFFSET, 16);
    for (size_t size = before; size <= end->size; size += 3) { // the moov partly written
        cut->size = size;
        memcpy(cut->data + CH_MP4_FREE_OFFSET, unpatched, 16);
        recover_sound(&folder, 12, 12);
        assert_prefix(&whole, 12);
        memcpy(cut->data + CH_MP4_FREE_OFFSET, patched, 16); // or the head before it: the disk reorders
        recover_sound(&folder, 12, 12);
        assert_prefix(&whole, 12);
    }
    cut->size = end->size; // all but session.json
    memcpy(cut->data + CH_MP4_FREE_OFFSET, patched, 16);
    recover_sound(&folder, 12, 12);
    file_of(&folder, "frames.idx")->size -= 200; // the part was finished, its index lost its end
    recover_sound(&folder, 12, 12);
    assert_prefix(&whole, 12);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// A finished part is what its tables say, even if the index is all that is left to tell of a picture.
static void test_finished_part_is_trusted(void **state)
{
    (void)state;
    struct show *show = phone_show(12, 4, 200);
    struct folder whole;
    record_show(&place, show, true, NULL, &whole);
    struct ch_record records[MAX_RECORDS];
    records_of(&whole, records, MAX_RECORDS);
    file_of(&whole, "stream.mp4")->data[records[5].sample_offset - 60] ^= 1;
    file_of(&whole, "stream.mp4")->data[records[5].sample_offset + 60] ^= 1;
    drop_file(&whole, "session.json");
    write_folder(place.root, ID, &whole);
    struct ch_session_summary summary;
    assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
    assert_int_equal(summary.frames, 12);
    assert_int_equal(problems_of(ID), 1);
    free_folder(&whole);
    free(show);
}

static void test_index_gone_from_finished(void **state)
{
    (void)state;
    struct show *show = phone_show(12, 4, 20);
    struct folder whole;
    record_show(&place, show, true, NULL, &whole);
    drop_file(&whole, "frames.idx");
    write_folder(place.root, ID, &whole);
    struct ch_session_summary summary;
    assert_false(ch_recover_needed(place.root, ID)); // someone took it away: no business of the hub's
    assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
    assert_int_equal(summary.frames, 12);
    assert_sound(ID, CH_VERDICT_RECOVERED);
    assert_int_equal(ch_recover_session(place.root, ID, &summary), -EALREADY);
    free_folder(&whole);
    free(show);
}

static void test_report_lost(void **state)
{
    (void)state;
    struct show *show = phone_show(12, 4, 20);
    struct folder whole, folder = made_cut(show, true, &whole);
    static const char *const texts[] = {"", "{\"state\":", "[]", "{\"format\": 1}", "{\"format\": 1, \"state\": 7}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct file *file = file_of(&folder, "session.json");
        free(file->data);
        file->data = (uint8_t *)strdup(texts[i]);
        file->size = strlen(texts[i]);
        recover_sound(&folder, 12, 12);
        assert_prefix(&whole, 12);
    }
    drop_file(&folder, "session.json");
    recover_sound(&folder, 12, 12);
    struct folder after = read_folder(place.root, ID);
    json_t *session = json_loads((char *)file_of(&after, "session.json")->data, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(json_object_get(session, "camera"), "name")), "cam");
    assert_string_equal(json_string_value(json_object_get(session, "started")), "2026-01-01T00:00:00.000Z");
    json_decref(session);
    assert_null(file_of(&after, "session.json.tmp"));
    free_folder(&after);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// What a later version wrote, or someone else, is none of our business.
static void test_hands_off(void **state)
{
    (void)state;
    static uint8_t later[] = "{\"format\": 2, \"state\": \"recording\"}", json[] = "{\"other\": 1}", text[] = "mine",
                   video[] = "\0\0\0\x10"
                             "ftypisom\0\0\0\0"
                             "\0\0\0\x08moov";
    static const struct {
        struct folder folder;
        int rc;
    } cases[] = {
        {{.files = {{"session.json", later, sizeof later - 1}, {"frames.idx", text, 4}}, .count = 2}, -ENOTSUP},
        {{.files = {{"notes.txt", text, 4}}, .count = 1}, -ENOENT},
        {{.files = {{"session.json", json, sizeof json - 1}}, .count = 1}, -ENOENT},
        {{.files = {{"stream.mp4", video, sizeof video - 1}, {"stream.h264", text, 4}}, .count = 2}, -ENOENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_folder(place.root, ID, &cases[i].folder);
        struct ch_session_summary summary;
        assert_false(ch_recover_needed(place.root, ID));
        assert_int_equal(ch_recover_session(place.root, ID, &summary), cases[i].rc);
        struct folder after = read_folder(place.root, ID);
        assert_int_equal(after.count, cases[i].folder.count);
        for (size_t f = 0; f < after.count; f++) {
            struct folder before = cases[i].folder;
            struct file *file = file_of(&before, after.files[f].name);
            assert_int_equal(after.files[f].size, file->size);
            assert_memory_equal(after.files[f].data, file->data, file->size);
        }
        free_folder(&after);
    }
    struct show *show = phone_show(6, 3, 20);
    struct folder folder = made_cut(show, true, NULL);
    write_folder(place.root, ID, &folder);
    free_folder(&folder);
    free(show);
    struct ch_session_summary summary;
    assert_int_equal(ch_recover_session(place.root, "none", &summary), -ENOENT);
    write_folder(place.root, "empty", &(struct folder){.count = 0});
    assert_false(ch_recover_needed(place.root, "empty"));
    assert_int_equal(ch_recover_session(place.root, "empty", &summary), -ENOENT);
    assert_false(ch_recover_needed(place.root, "none"));
    assert_int_equal(symlinkat(ID, place.root, "link"), 0);
    assert_int_equal(ch_recover_session(place.root, "link", &summary), -ENOENT);
    unlinkat(place.root, "link", 0);
}

// Killed between making the folder and its first file.
static void test_stillborn(void **state)
{
    (void)state;
    static uint8_t reserved[100];
    struct folder folder = {.count = 0};
    recover_sound(&folder, 0, 0);
    folder = (struct folder){.files = {{"session.json.tmp", reserved, sizeof reserved}}, .count = 1};
    recover_sound(&folder, 0, 0);
}

static void test_running_session_is_left_alone(void **state)
{
    (void)state;
    struct show *show = phone_show(12, 4, 20);
    struct taping taping;
    assert_int_equal(begin_taping(&taping, &place, "made", true), 0);
    tape(&taping, show, 0, 8, 4);
    char id[CH_SESSION_ID_BYTES];
    strcpy(id, ch_writer_id(taping.writer));
    struct ch_session_summary summary;
    assert_int_equal(ch_recover_session(place.root, id, &summary), -EBUSY);
    tape(&taping, show, 8, show->count, 4);
    summary = end_taping(&taping);
    assert_int_equal(summary.frames, 12);
    assert_sound(id, CH_VERDICT_COMPLETE);
    free(show);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_lay),
        cmocka_unit_test(test_report_of_recovered),
        cmocka_unit_test(test_video_cut_at_every_byte),
        cmocka_unit_test(test_video_cut_beside_stream),
        cmocka_unit_test(test_video_gone_with_changing_sets),
        cmocka_unit_test(test_index_cut_at_every_byte),
        cmocka_unit_test(test_stream_cut_at_every_byte),
        cmocka_unit_test(test_cut_in_all_files),
        cmocka_unit_test(test_stream_made_from_video),
        cmocka_unit_test(test_stream_goes_on_behind_all_others),
        cmocka_unit_test(test_hole_in_the_newest_samples),
        cmocka_unit_test(test_hole_in_the_newest_messages),
        cmocka_unit_test(test_broken_fragment_header),
        cmocka_unit_test(test_interrupted_while_finishing),
        cmocka_unit_test(test_finished_part_is_trusted),
        cmocka_unit_test(test_index_gone_from_finished),
        cmocka_unit_test(test_report_lost),
        cmocka_unit_test(test_hands_off),
        cmocka_unit_test(test_stillborn),
        cmocka_unit_test(test_running_session_is_left_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
