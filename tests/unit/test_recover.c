// Recovery and verification: sessions made by the real writer, cut short in every place, mangled, and
// finished again. What comes out must verify, and must hold what was whole.
#include "session_maker.h"

#include "sink/part.h"
#include "sink/recover.h"
#include "sink/session_json.h"

#define ID "cam_20260101_000000"
#define MAX_RECORDS 256

static struct place place;

static int set_up(void **state)
{
    (void)state;
    place = make_place();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_place(&place);
    return 0;
}

// --- questions ------------------------------------------------------------------------------------

static struct ch_verification verify(const char *id)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", place.path, id);
    struct ch_verification result;
    assert_int_equal(ch_verify_session(path, &result), 0);
    return result;
}

// Verified, with this verdict and nothing wrong.
static void assert_sound(const char *id, enum ch_verdict verdict)
{
    struct ch_verification result = verify(id);
    if (result.verdict != verdict || json_array_size(result.problems) > 0) {
        char *text = json_dumps(result.problems, JSON_INDENT(1));
        fail_msg("%s: %s (%s), expected %s\n%s", id, ch_verdict_name(result.verdict), result.reason,
                 ch_verdict_name(verdict), text);
    }
    ch_verification_deinit(&result);
}

static size_t problems_of(const char *id)
{
    struct ch_verification result = verify(id);
    size_t count = json_array_size(result.problems);
    assert_true(count == 0 || result.verdict == CH_VERDICT_DAMAGED);
    ch_verification_deinit(&result);
    return count;
}

// Recovers the folder as given; the session must then be sound and hold at least `least` pictures, at most `most`.
static struct ch_session_summary recover_sound(const struct folder *folder, size_t least, size_t most)
{
    struct ch_session_summary summary, again;
    write_folder(place.root, ID, folder);
    assert_true(ch_recover_needed(place.root, ID));
    assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
    assert_string_equal(ch_verdict_name(summary.verdict), "recovered");
    assert_sound(ID, CH_VERDICT_RECOVERED);
    assert_in_range(summary.frames, least, most);
    assert_false(ch_recover_needed(place.root, ID));
    assert_int_equal(ch_recover_session(place.root, ID, &again), -EALREADY);
    return summary;
}

static bool is_picture(const struct ch_record *record)
{
    return record->part > 0;
}

// The pictures on disk are the first ones of `all`, in order, at their own times.
static void assert_prefix(const struct folder *all, size_t least)
{
    struct ch_record wanted[MAX_RECORDS], found[MAX_RECORDS];
    struct folder folder = read_folder(place.root, ID);
    size_t wanted_count = records_of(all, wanted, MAX_RECORDS), found_count = records_of(&folder, found, MAX_RECORDS);
    size_t at = 0, pictures = 0;
    for (size_t i = 0; i < found_count; i++) {
        if (!is_picture(&found[i]))
            continue;
        while (at < wanted_count && !is_picture(&wanted[at]))
            at++;
        assert_true(at < wanted_count);
        assert_int_equal(found[i].hash, wanted[at].hash);
        if (found[i].pts_ticks != wanted[at].pts_ticks)
            fail_msg("record %zu, part %u: %lld ticks, expected %lld", i, found[i].part,
                     (long long)found[i].pts_ticks, (long long)wanted[at].pts_ticks);
        assert_int_equal(found[i].composition_ticks, wanted[at].composition_ticks);
        assert_int_equal(found[i].sample_bytes, wanted[at].sample_bytes);
        assert_int_equal(found[i].flags & CH_FRAME_KEY, wanted[at].flags & CH_FRAME_KEY);
        at++;
        pictures++;
    }
    assert_true(pictures >= least);
    free_folder(&folder);
}

static struct folder made_cut(struct show *show, bool h264, struct folder *whole)
{
    struct folder folder;
    record_show(&place, show, h264, &folder, whole);
    return folder;
}

// How many fragments of the folder's stream.mp4 end at or before `size`.
static size_t fragments_before(const struct folder *whole, size_t size)
{
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(whole, records, MAX_RECORDS), fragments = 0;
    for (size_t i = 0; i < count; i++)
        fragments += records[i].part == 1 && records[i].sample_offset + records[i].sample_bytes <= size;
    return fragments;
}

// --- sessions that end well -------------------------------------------------------------------------

static void test_finished_sessions_verify(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(40, 10, 60), b_frame_show(6), odd_show(), new_show()};
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
    static const char *const texts[] = {"\"messages\": ", "\"frames\": 2", "\"missing\": 3", "\"records\": ",
                                        "\"bytes\": ", "\"duplicates\": ", "\"count\": 3", "\"width\": ", "\"sha256\": \""};
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
    free_folder(&whole);
    free(show);
}

// --- cut short --------------------------------------------------------------------------------------

static void test_as_it_lay(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(40, 10, 60), b_frame_show(6), odd_show(), new_show()};
    for (size_t i = 0; i < sizeof shows / sizeof shows[0]; i++)
        for (int h264 = 0; h264 < 2; h264++) {
            struct folder whole, folder = made_cut(shows[i], h264, &whole);
            size_t pictures = i == 2 ? shows[i]->pictures - 1 : shows[i]->pictures; // one came before the first key
            recover_sound(&folder, pictures, pictures);
            assert_prefix(&whole, pictures);
            // The same files as after an orderly end, byte for byte.
            struct folder after = read_folder(place.root, ID);
            for (size_t f = 0; f < whole.count; f++) {
                struct file *file = &whole.files[f], *its = file_of(&after, file->name);
                if (strcmp(file->name, "session.json") == 0)
                    continue;
                assert_non_null(its);
                assert_int_equal(its->size, file->size);
                assert_memory_equal(its->data, file->data, file->size);
            }
            assert_int_equal(after.count, whole.count);
            free_folder(&after);
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
    struct show *shows[] = {phone_show(12, 4, 20), b_frame_show(2)};
    for (size_t i = 0; i < 2; i++) {
        struct folder whole, folder = made_cut(shows[i], true, &whole);
        struct file *file = file_of(&folder, "stream.mp4");
        size_t size = file->size;
        for (file->size = size; file->size > 0; file->size -= file->size > 7 ? 7 : file->size) {
            recover_sound(&folder, shows[i]->pictures, shows[i]->pictures);
            assert_prefix(&whole, shows[i]->pictures);
        }
        drop_file(&folder, "stream.mp4");
        recover_sound(&folder, shows[i]->pictures, shows[i]->pictures);
        assert_prefix(&whole, shows[i]->pictures);
        free_folder(&whole);
        free_folder(&folder);
        free(shows[i]);
    }
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
    static uint8_t later[] = "{\"format\": 2, \"state\": \"recording\"}", json[] = "{\"other\": 1}",
                   text[] = "mine", video[] = "\0\0\0\x10" "ftypisom\0\0\0\0" "\0\0\0\x08moov";
    static const struct {
        struct folder folder;
        int rc;
    } cases[] = {
        {{.files = {{"session.json", later, sizeof later - 1}, {"frames.idx", text, 4}}, .count = 2}, -ENOTSUP},
        {{.files = {{"notes.txt", text, 4}}, .count = 1}, -ENOENT},
        {{.files = {{"session.json", json, sizeof json - 1}}, .count = 1}, -ENOENT},
        {{.count = 0}, -ENOENT},
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
    struct ch_session_summary summary;
    assert_int_equal(ch_recover_session(place.root, "none", &summary), -ENOENT);
    assert_false(ch_recover_needed(place.root, "none"));
    assert_int_equal(symlinkat(ID, place.root, "link"), 0);
    assert_int_equal(ch_recover_session(place.root, "link", &summary), -ENOENT);
    unlinkat(place.root, "link", 0);
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

// --- several parts ----------------------------------------------------------------------------------

static struct show *turning_show(void)
{
    struct show *show = new_show();
    struct recipe wide = BASELINE, high = BASELINE;
    high.width_mbs = 15;
    high.height_units = 20;
    for (size_t part = 0; part < 3; part++) {
        const struct recipe *recipe = part % 2 ? &high : &wide;
        add_sets(show, recipe);
        for (size_t i = 0; i < 9; i++)
            add_picture(show, recipe, i % 3 == 0, 50, 30 + i);
    }
    return show;
}

static void test_several_parts(void **state)
{
    (void)state;
    struct show *show = turning_show();
    for (int h264 = 0; h264 < 2; h264++) {
        struct folder whole, folder = made_cut(show, h264, &whole);
        assert_non_null(file_of(&folder, "stream_3.mp4"));
        recover_sound(&folder, 27, 27);
        assert_prefix(&whole, 27);
        struct file *file = file_of(&folder, "stream_3.mp4");
        for (size_t size = file->size; size > 0; size -= size > 11 ? 11 : size) {
            file->size = size;
            recover_sound(&folder, h264 ? 27 : 18, 27);
            assert_prefix(&whole, h264 ? 27 : 18);
        }
        struct file *index = file_of(&folder, "frames.idx");
        for (; index->size > 0; index->size -= index->size > 50 ? 50 : index->size) {
            recover_sound(&folder, 18, 27);
            assert_prefix(&whole, 18);
        }
        free_folder(&whole);
        free_folder(&folder);
    }
    free(show);
}

static void test_part_gone(void **state)
{
    (void)state;
    struct show *show = turning_show();
    static const char *const names[] = {"stream.mp4", "stream_2.mp4", "stream_3.mp4"};
    for (size_t i = 0; i < 3; i++) {
        struct folder whole, folder = made_cut(show, true, &whole);
        drop_file(&folder, names[i]);
        recover_sound(&folder, 27, 27);
        assert_prefix(&whole, 27);
        free_folder(&whole);
        free_folder(&folder);
    }
    free(show);
}

// --- only stream.h264 -------------------------------------------------------------------------------

static struct folder only_stream(const struct folder *folder)
{
    struct folder copy = *folder, bare = {.count = 1};
    bare.files[0] = *file_of(&copy, "stream.h264");
    return bare;
}

static void test_bare_stream(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(40, 10, 60), b_frame_show(6), odd_show(), turning_show()};
    static const size_t pictures[] = {40, 42, 25, 27}; // odd_show: one before the first key, one sent twice
    for (size_t i = 0; i < sizeof shows / sizeof shows[0]; i++) {
        struct folder whole, folder = made_cut(shows[i], true, &whole), bare = only_stream(&whole);
        recover_sound(&bare, pictures[i], pictures[i]);
        struct folder after = read_folder(place.root, ID);
        struct ch_record records[MAX_RECORDS];
        size_t count = records_of(&after, records, MAX_RECORDS), seen = 0;
        bool shown[MAX_RECORDS] = {false};
        for (size_t r = 0; r < count; r++) {
            if (records[r].part == 0)
                continue;
            assert_int_equal(records[r].pts_ticks % 9000, 0); // ten a second, the original's last resort
            assert_true(records[r].pts_ticks >= 0 && (size_t)records[r].pts_ticks / 9000 < pictures[i]);
            assert_false(shown[records[r].pts_ticks / 9000]);
            shown[records[r].pts_ticks / 9000] = true;
            seen++;
        }
        assert_int_equal(seen, pictures[i]);
        assert_int_equal(file_of(&after, "stream_3.mp4") != NULL, i == 3);
        assert_memory_equal(file_of(&after, "stream.h264")->data, bare.files[0].data, bare.files[0].size);
        free_folder(&after);
        free_folder(&whole);
        free_folder(&folder);
        free(shows[i]);
    }
}

// Pictures of one group stand in output order.
static void test_bare_stream_order(void **state)
{
    (void)state;
    struct show *show = b_frame_show(3);
    struct folder whole, folder = made_cut(show, true, &whole), bare = only_stream(&whole);
    recover_sound(&bare, 21, 21);
    struct folder after = read_folder(place.root, ID);
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(&after, records, MAX_RECORDS), number = 0;
    static const int order[7] = {0, 3, 1, 2, 6, 4, 5};
    for (size_t i = 0; i < count; i++)
        if (records[i].part > 0) {
            assert_int_equal(records[i].pts_ticks, (int64_t)(number / 7 * 7 + (size_t)order[number % 7]) * 9000);
            number++;
        }
    assert_int_equal(number, 21);
    free_folder(&after);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

static void test_bare_stream_cut_anywhere(void **state)
{
    (void)state;
    struct show *show = phone_show(6, 3, 20);
    struct folder whole, folder = made_cut(show, true, &whole), bare = only_stream(&whole);
    for (; bare.files[0].size > 0; bare.files[0].size--)
        recover_sound(&bare, 0, 6);
    write_folder(place.root, ID, &bare); // and nothing at all
    struct ch_session_summary summary;
    assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
    assert_sound(ID, CH_VERDICT_RECOVERED);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// A video that another program left torn goes aside, and is not lost.
static void test_bare_stream_beside_torn_video(void **state)
{
    (void)state;
    struct show *show = phone_show(6, 3, 20);
    struct folder whole, folder = made_cut(show, true, &whole), bare = only_stream(&whole);
    static uint8_t torn[200] = "\0\0\0\x10" "ftypisom\0\0\0\0" "\0\0\x10\0mdat";
    bare.files[bare.count++] = (struct file){"stream.mp4", torn, sizeof torn};
    recover_sound(&bare, 6, 6);
    struct folder after = read_folder(place.root, ID);
    assert_non_null(file_of(&after, "stream.mp4.damaged"));
    assert_memory_equal(file_of(&after, "stream.mp4.damaged")->data, torn, sizeof torn);
    free_folder(&after);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// --- anything at all --------------------------------------------------------------------------------

static void test_mangled(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(20, 5, 60), odd_show(), b_frame_show(3), turning_show()};
    unsigned dice = 1;
    for (size_t s = 0; s < 4; s++)
        for (int done = 0; done < 2; done++) {
            struct folder whole, cut = made_cut(shows[s], true, &whole);
            for (size_t round = 0; round < 60; round++) {
                struct folder folder = copy_folder(done ? &whole : &cut);
                for (size_t flips = 1 + round % 5; flips > 0; flips--) {
                    dice = dice * 1103515245u + 12345u;
                    struct file *file = &folder.files[(dice >> 16) % folder.count];
                    dice = dice * 1103515245u + 12345u;
                    if (file->size > 0)
                        file->data[(dice >> 8) % file->size] ^= (uint8_t)(1u << flips % 8);
                    if (file->size > 0 && round % 4 == 3)
                        file->size -= (dice >> 4) % file->size;
                }
                struct ch_session_summary summary;
                write_folder(place.root, ID, &folder);
                problems_of(ID);
                int rc = ch_recover_session(place.root, ID, &summary);
                assert_true(rc == 0 || rc == -EALREADY || rc == -ENOTSUP);
                problems_of(ID); // there may be some: recovery does not look for bits far from the end
                if (rc == 0)
                    assert_int_equal(ch_recover_session(place.root, ID, &summary), -EALREADY);
                free_folder(&folder);
            }
            free_folder(&whole);
            free_folder(&cut);
        }
    for (size_t s = 0; s < 4; s++)
        free(shows[s]);
}

static void test_garbage(void **state)
{
    (void)state;
    static uint8_t noise[5000];
    unsigned dice = 99;
    for (size_t round = 0; round < 60; round++) {
        for (size_t i = 0; i < sizeof noise; i++) {
            dice = dice * 1103515245u + 12345u;
            noise[i] = round % 3 == 0 ? 0 : round % 3 == 1 ? (uint8_t)(dice >> 16) : (uint8_t)(dice >> 16 & 1);
        }
        struct folder folder = {.count = 4, .files = {
            {"frames.idx", noise, dice % 1000}, {"stream.mp4", noise + 1000, dice % 2000},
            {"stream.h264", noise + 3000, dice % 2000}, {"session.json", noise + 2, dice % 50}}};
        struct ch_session_summary summary;
        write_folder(place.root, ID, &folder);
        problems_of(ID);
        assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
        assert_int_equal(problems_of(ID), 0);
        assert_int_equal(ch_recover_session(place.root, ID, &summary), -EALREADY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finished_sessions_verify),
        cmocka_unit_test(test_verify_sees_every_bit),
        cmocka_unit_test(test_verify_compares_counts),
        cmocka_unit_test(test_as_it_lay),
        cmocka_unit_test(test_report_of_recovered),
        cmocka_unit_test(test_video_cut_at_every_byte),
        cmocka_unit_test(test_video_cut_beside_stream),
        cmocka_unit_test(test_index_cut_at_every_byte),
        cmocka_unit_test(test_stream_cut_at_every_byte),
        cmocka_unit_test(test_cut_in_all_files),
        cmocka_unit_test(test_stream_made_from_video),
        cmocka_unit_test(test_stream_goes_on_behind_all_others),
        cmocka_unit_test(test_hole_in_the_newest_samples),
        cmocka_unit_test(test_hole_in_the_newest_messages),
        cmocka_unit_test(test_broken_fragment_header),
        cmocka_unit_test(test_interrupted_while_finishing),
        cmocka_unit_test(test_report_lost),
        cmocka_unit_test(test_hands_off),
        cmocka_unit_test(test_running_session_is_left_alone),
        cmocka_unit_test(test_several_parts),
        cmocka_unit_test(test_part_gone),
        cmocka_unit_test(test_bare_stream),
        cmocka_unit_test(test_bare_stream_order),
        cmocka_unit_test(test_bare_stream_cut_anywhere),
        cmocka_unit_test(test_bare_stream_beside_torn_video),
        cmocka_unit_test(test_mangled),
        cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
