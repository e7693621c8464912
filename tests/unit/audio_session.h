// A session with sound, and questions about it. For tests.
#ifndef CH_TESTS_AUDIO_SESSION_H
#define CH_TESTS_AUDIO_SESSION_H

#include "session_checks.h"

#include "base/bytes.h"
#include "codec/mp4.h"

#define RATE 22050

static inline struct show *sound_show(void)
{
    return with_sound(phone_show(20, 6, 60), RATE, 30, 50);
}

static inline bool is_sound(const struct ch_record *record)
{
    return record->flags & CH_FRAME_AUDIO;
}

static inline bool is_heard(const struct ch_record *record)
{
    return is_sound(record) && record->part > 0;
}

static inline size_t count_of(const struct folder *folder, bool (*what)(const struct ch_record *))
{
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(folder, records, MAX_RECORDS), found = 0;
    for (size_t i = 0; i < count; i++)
        found += what(&records[i]);
    return found;
}

static inline json_t *report_of(const struct folder *folder)
{
    struct folder copy = *folder;
    const struct file *file = file_of(&copy, "session.json");
    assert_non_null(file);
    json_t *report = json_loadb((const char *)file->data, file->size, 0, NULL);
    assert_non_null(report);
    return report;
}

static inline json_int_t number_in(const json_t *report, const char *object, const char *key)
{
    const json_t *value = json_object_get(json_object_get(report, object), key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

// The final moov of an MP4.
static inline const uint8_t *moov_of(const struct file *file, size_t *bytes)
{
    uint64_t at = CH_MP4_FREE_OFFSET + ch_get_be64(file->data + CH_MP4_FREE_OFFSET + 8);
    assert_true(at + 8 <= file->size);
    *bytes = file->size - (size_t)at;
    return file->data + at;
}

#endif
