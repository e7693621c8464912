// Questions that tests ask of a session's folder: is it sound, can it be recovered, is everything there?
#ifndef CH_TESTS_SESSION_CHECKS_H
#define CH_TESTS_SESSION_CHECKS_H

#include "session_maker.h"

#include "sink/recover.h"

#define ID "cam_20260101_000000"
#define MAX_RECORDS 256

static struct place place;

static inline int set_up(void **state)
{
    (void)state;
    place = make_place();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    remove_place(&place);
    return 0;
}

// --- questions ------------------------------------------------------------------------------------

static inline struct ch_verification verify(const char *id)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", place.path, id);
    struct ch_verification result;
    assert_int_equal(ch_verify_session(path, &result), 0);
    return result;
}

// Verified, with this verdict and nothing wrong.
static inline void assert_sound(const char *id, enum ch_verdict verdict)
{
    struct ch_verification result = verify(id);
    if (result.verdict != verdict || json_array_size(result.problems) > 0) {
        char *text = json_dumps(result.problems, JSON_INDENT(1));
        fail_msg("%s: %s (%s), expected %s\n%s", id, ch_verdict_name(result.verdict), result.reason,
                 ch_verdict_name(verdict), text);
    }
    ch_verification_deinit(&result);
}

static inline size_t problems_of(const char *id)
{
    struct ch_verification result = verify(id);
    size_t count = json_array_size(result.problems);
    assert_true(count == 0 || result.verdict == CH_VERDICT_DAMAGED);
    ch_verification_deinit(&result);
    return count;
}

// Recovers the folder as given; the session must then be sound and hold at least `least` pictures, at most `most`.
static inline struct ch_session_summary recover_sound(const struct folder *folder, size_t least, size_t most)
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

static inline bool is_picture(const struct ch_record *record)
{
    return record->part > 0 && !(record->flags & CH_FRAME_AUDIO);
}

// The pictures on disk are the first ones of `all`, in order, at their own times.
static inline void assert_prefix(const struct folder *all, size_t least)
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
            fail_msg("record %zu, part %u: %lld ticks, expected %lld", i, found[i].part, (long long)found[i].pts_ticks,
                     (long long)wanted[at].pts_ticks);
        assert_int_equal(found[i].composition_ticks, wanted[at].composition_ticks);
        assert_int_equal(found[i].sample_bytes, wanted[at].sample_bytes);
        assert_int_equal(found[i].flags & CH_FRAME_KEY, wanted[at].flags & CH_FRAME_KEY);
        at++;
        pictures++;
    }
    assert_true(pictures >= least);
    free_folder(&folder);
}

// Every file but the report is what it is in the other folder.
static inline void assert_same_files(const struct folder *wanted)
{
    struct folder after = read_folder(place.root, ID);
    assert_int_equal(after.count, wanted->count);
    for (size_t f = 0; f < wanted->count; f++) {
        const struct file *file = &wanted->files[f], *its = file_of(&after, file->name);
        if (strcmp(file->name, "session.json") == 0)
            continue;
        assert_non_null(its);
        if (its->size != file->size || memcmp(its->data, file->data, file->size) != 0)
            fail_msg("%s differs (%zu bytes, %zu expected)", file->name, its->size, file->size);
    }
    free_folder(&after);
}

static inline struct folder made_cut(struct show *show, bool h264, struct folder *whole)
{
    struct folder folder;
    record_show(&place, show, h264, &folder, whole);
    return folder;
}

// How many fragments of the folder's stream.mp4 end at or before `size`.
static inline size_t fragments_before(const struct folder *whole, size_t size)
{
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(whole, records, MAX_RECORDS), fragments = 0;
    for (size_t i = 0; i < count; i++)
        fragments += is_picture(&records[i]) && records[i].part == 1 &&
                     records[i].sample_offset + records[i].sample_bytes <= size;
    return fragments;
}

#endif
