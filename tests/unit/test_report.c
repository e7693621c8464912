// What is added up over a session: sequence numbers, the device's clock, the report itself, the index's
// records, and the verdict.
#include "unit.h"

#include "base/limits.h"
#include "sink/report.h"
#include "sink/session_json.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

// --- sequence numbers -------------------------------------------------------------------------------

struct counted {
    uint64_t missing, duplicates, reordered, restarts;
};

static void feed(struct ch_sequence *sequence, const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t missing;
        enum ch_sequence_verdict verdict = ch_sequence_next(sequence, numbers[i], (int64_t)i, &missing);
        assert_int_equal(missing > 0, verdict == CH_SEQUENCE_GAP);
    }
}

static void assert_counts(const struct ch_sequence *sequence, struct counted expected)
{
    assert_int_equal(sequence->missing, expected.missing);
    assert_int_equal(sequence->duplicates, expected.duplicates);
    assert_int_equal(sequence->reordered, expected.reordered);
    assert_int_equal(sequence->restarts, expected.restarts);
    uint64_t listed = 0;
    for (size_t i = 0; i < sequence->range_count; i++)
        listed += (uint64_t)(sequence->ranges[i].last - sequence->ranges[i].first) + 1;
    if (!sequence->truncated)
        assert_int_equal(listed, sequence->missing);
}

#define CHECK(expected, ...)                                                                                           \
    do {                                                                                                               \
        static const uint32_t numbers[] = {__VA_ARGS__};                                                               \
        struct ch_sequence sequence = {0};                                                                             \
        feed(&sequence, numbers, sizeof numbers / sizeof numbers[0]);                                                  \
        assert_counts(&sequence, (struct counted)expected);                                                            \
        ch_sequence_deinit(&sequence);                                                                                 \
    } while (0)
#define COUNTS(...)                                                                                                    \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static void test_sequence(void **state)
{
    (void)state;
    CHECK(COUNTS(0, 0, 0, 0), 5, 6, 7, 8);
    CHECK(COUNTS(0, 0, 0, 0), 0xFFFFFFFE, 0xFFFFFFFF, 0, 1);
    CHECK(COUNTS(2, 0, 0, 0), 5, 8, 9);
    CHECK(COUNTS(4, 0, 0, 0), 0xFFFFFFFD, 2, 3);
    CHECK(COUNTS(0, 1, 0, 0), 5, 6, 6, 7);
    CHECK(COUNTS(0, 0, 1, 0), 5, 7, 6, 8);
    CHECK(COUNTS(1, 0, 1, 0), 5, 8, 6, 9);
    CHECK(COUNTS(0, 1, 2, 0), 5, 8, 7, 6, 6, 9);
    // Sent twice, one or several in a row: nothing is missing, nothing restarted.
    CHECK(COUNTS(0, 3, 0, 0), 48, 49, 50, 48, 49, 50, 51, 52);
    CHECK(COUNTS(0, 2, 0, 0), 7, 7, 7, 8);
    // A new count.
    CHECK(COUNTS(0, 0, 0, 1), 500, 501, 0, 1, 2);
    CHECK(COUNTS(0, 0, 0, 1), 100000, 100001, 7, 8);
    CHECK(COUNTS(0, 0, 0, 1), 0, 1, 3000000000u, 3000000001u);
    CHECK(COUNTS(0, 7, 0, 1), 20, 21, 22, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    // A camera that never counts.
    CHECK(COUNTS(0, 4, 0, 0), 0, 0, 0, 0, 0);
    CHECK(COUNTS(0, 4, 0, 0), 9, 9, 9, 9, 9);
    CHECK(COUNTS(0, 0, 0, 0), 0);
}

static void test_sequence_ranges(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 10, 5, 1, 9, 20};
    struct ch_sequence sequence = {0};
    feed(&sequence, numbers, 6);
    assert_counts(&sequence, (struct counted){15, 0, 3, 0});
    static const struct ch_sequence_range expected[] = {{2, 4, 1}, {6, 8, 1}, {11, 19, 5}};
    assert_int_equal(sequence.range_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sequence.ranges[i].first, expected[i].first);
        assert_int_equal(sequence.ranges[i].last, expected[i].last);
        assert_int_equal(sequence.ranges[i].at, expected[i].at);
    }
    ch_sequence_deinit(&sequence);
}

static void test_sequence_is_bounded(void **state)
{
    (void)state;
    struct ch_sequence sequence = {0};
    uint32_t missing;
    for (uint32_t i = 0; i < 3 * CH_LIMIT_REPORT_LIST; i++)
        ch_sequence_next(&sequence, 3 * i, 0, &missing);
    assert_int_equal(sequence.missing, 2 * (3 * CH_LIMIT_REPORT_LIST - 1));
    assert_int_equal(sequence.range_count, CH_LIMIT_REPORT_LIST);
    assert_true(sequence.truncated);
    for (uint32_t i = 0; i < 100; i++) // a late one splits nothing that has no room
        ch_sequence_next(&sequence, 3 * i + 1, 0, &missing);
    assert_int_equal(sequence.range_count, CH_LIMIT_REPORT_LIST);
    ch_sequence_deinit(&sequence);
}

static void test_sequence_takes_anything(void **state)
{
    (void)state;
    struct ch_sequence sequence = {0};
    uint32_t missing, dice = 3;
    for (int i = 0; i < 200000; i++) {
        dice = dice * 1103515245u + 12345u;
        uint32_t number = dice >> (i % 32);
        ch_sequence_next(&sequence, number, i, &missing);
        assert_true(sequence.range_count <= CH_LIMIT_REPORT_LIST);
    }
    assert_true(sequence.missing < UINT64_MAX / 2 && sequence.duplicates < 200000);
    ch_sequence_deinit(&sequence);
}

// --- the device's clock -----------------------------------------------------------------------------

static void test_clock_of_one(void **state)
{
    (void)state;
    struct ch_clockmap map;
    struct ch_clock_estimate estimate;
    ch_clockmap_init(&map);
    assert_false(ch_clockmap_estimate(&map, &estimate));
    ch_clockmap_add(&map, 5000000, 1700000000000000);
    assert_true(ch_clockmap_estimate(&map, &estimate));
    assert_int_equal(estimate.wall_minus_device_us, 1699999995000000);
    assert_int_equal(estimate.drift_ppb, 0);
    assert_int_equal(estimate.uncertainty_us, 1000);
}

// Arrivals are late by chance, never early: the map follows the least-delayed ones.
static struct ch_clock_estimate follow(int64_t seconds, int64_t offset_us, double drift, unsigned jitter_us)
{
    struct ch_clockmap map;
    struct ch_clock_estimate estimate = {0};
    unsigned dice = 42;
    ch_clockmap_init(&map);
    for (int64_t i = 0; i < seconds * 25; i++) {
        int64_t device_us = 7000000 + i * 40000;
        dice = dice * 1103515245u + 12345u;
        int64_t late = jitter_us > 0 ? (int64_t)((dice >> 8) % jitter_us) : 0;
        ch_clockmap_add(&map, device_us, device_us + offset_us + (int64_t)((double)(i * 40000) * drift) + late);
    }
    assert_true(ch_clockmap_estimate(&map, &estimate));
    assert_int_equal(map.samples, (uint64_t)(seconds * 25));
    return estimate;
}

static void test_clock(void **state)
{
    (void)state;
    struct ch_clock_estimate exact = follow(5, 1000000, 0, 0);
    assert_int_equal(exact.wall_minus_device_us, 1000000);
    assert_int_equal(exact.drift_ppb, 0);
    struct ch_clock_estimate late = follow(60, 1000000, 0, 50000);
    assert_in_range(late.wall_minus_device_us, 1000000 - 5000, 1000000 + 5000);
    assert_true(late.uncertainty_us >= 1000 && late.uncertainty_us < 10000);
    struct ch_clock_estimate drifting = follow(3600, 500, 50e-6, 20000);
    assert_in_range(drifting.drift_ppb, 49000, 51000);
    assert_true(drifting.uncertainty_us < 5000);
    struct ch_clock_estimate day = follow(86400, 0, -20e-6, 30000); // buckets were merged many times
    assert_in_range(-day.drift_ppb, 19900, 20100);
}

static void test_clock_takes_anything(void **state)
{
    (void)state;
    struct ch_clockmap map;
    struct ch_clock_estimate estimate;
    static const int64_t odd[] = {0, 1, -1, INT64_MAX / 4, -INT64_MAX / 4, 1000000, INT64_MAX / 5, 3};
    ch_clockmap_init(&map);
    for (size_t i = 0; i < 64; i++)
        ch_clockmap_add(&map, odd[i % 8], odd[i / 8]);
    assert_true(ch_clockmap_estimate(&map, &estimate));
    assert_true(map.count <= CH_CLOCKMAP_BUCKETS);
}

// --- the report -------------------------------------------------------------------------------------

static struct ch_record picture(uint32_t number, uint64_t device_ms, int64_t pts_ms)
{
    return (struct ch_record){.sequence = number,
                              .flags = CH_FRAME_PICTURE | (number % 10 == 0 ? CH_FRAME_KEY : 0),
                              .part = 1,
                              .device_ms = device_ms,
                              .arrival_us = 1700000000000000 + pts_ms * 1000,
                              .pts_ticks = pts_ms * 90,
                              .sample_bytes = 90,
                              .payload_bytes = 100};
}

static json_t *to_json(const struct ch_report *report)
{
    json_t *object = json_object();
    assert_int_equal(ch_report_to_json(report, object), 0);
    return object;
}

static double number_at(const json_t *object, const char *key, const char *inner)
{
    const json_t *value = json_object_get(object, key);
    value = inner ? json_object_get(value, inner) : value;
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void assert_near(double value, double expected)
{
    if (value < expected - 1e-6 || value > expected + 1e-6)
        fail_msg("%f, expected %f", value, expected);
}

static void test_report_counts(void **state)
{
    (void)state;
    struct ch_report report;
    ch_report_init(&report);
    struct ch_record sets = {.flags = CH_FRAME_PARAMETERS, .payload_bytes = 30, .sequence = 0};
    struct ch_record early = {.flags = CH_FRAME_PICTURE | CH_FRAME_BEFORE_KEY, .payload_bytes = 70, .sequence = 1};
    struct ch_record junk = {.flags = CH_FRAME_JUNK, .payload_bytes = 5, .sequence = 102};
    ch_report_add(&report, &sets);
    ch_report_add(&report, &early);
    for (uint32_t i = 0; i < 100; i++) {
        struct ch_record record = picture(i + 2, 5000 + 40 * i, 40 * (int64_t)i);
        record.flags = CH_FRAME_PICTURE | (i % 10 == 0 ? CH_FRAME_KEY : 0);
        ch_report_add(&report, &record);
    }
    ch_report_add(&report, &junk);
    json_t *json = to_json(&report);
    static const struct {
        const char *name;
        double value;
    } expected[] = {{"messages", 103},       {"frames", 100}, {"key_frames", 10}, {"parameter_sets", 1},
                    {"before_first_key", 1}, {"junk", 1},     {"bytes", 10105},   {"missing", 0},
                    {"duplicates", 0},       {"rebuilt", 0}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_near(number_at(json, "counts", expected[i].name), expected[i].value);
    assert_near(number_at(json, "duration", NULL), 4.0);
    assert_near(number_at(json, "frame_rate", "estimate"), 25.25); // n / (last - first), as the original counts
    assert_near(number_at(json, "longest_gap", NULL), 0.04);
    assert_int_equal(json_array_size(json_object_get(json, "gaps")), 0);
    assert_near(number_at(json, "clock", "wall_minus_device"), 1699999995.0);
    json_decref(json);
    ch_report_deinit(&report);
}

// Parameter sets may be numbered with the pictures, or not at all: neither is a loss.
static void test_report_unnumbered_sets(void **state)
{
    (void)state;
    for (int numbered = 0; numbered < 2; numbered++) {
        struct ch_report report;
        ch_report_init(&report);
        uint32_t number = 0;
        for (int i = 0; i < 30; i++) {
            struct ch_record sets = {.flags = CH_FRAME_PARAMETERS, .sequence = numbered ? number : 0};
            if (i % 10 == 0) {
                ch_report_add(&report, &sets);
                number += (uint32_t)numbered;
            }
            struct ch_record record = picture(number++, 5000, 40 * i);
            ch_report_add(&report, &record);
        }
        assert_int_equal(report.sequence.missing, 0);
        assert_int_equal(report.sequence.duplicates, 0);
        assert_int_equal(report.sequence.restarts, 0);
        ch_report_deinit(&report);
    }
}

static void test_report_flags(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 1, 1, 4, 3, 5};
    static const uint16_t flags[] = {0, 0, CH_FRAME_DUPLICATE, 0, CH_FRAME_REORDERED, 0};
    struct ch_report report;
    ch_report_init(&report);
    for (size_t i = 0; i < 6; i++) {
        struct ch_record record = picture(numbers[i], 5000 + 40 * i, 40 * (int64_t)i);
        ch_report_add(&report, &record);
        assert_int_equal(record.flags & (CH_FRAME_DUPLICATE | CH_FRAME_REORDERED), flags[i]);
    }
    json_t *json = to_json(&report);
    json_t *missing = json_array_get(json_object_get(json, "missing"), 0);
    assert_near(number_at(missing, "first", NULL), 2);
    assert_near(number_at(missing, "last", NULL), 2);
    assert_near(number_at(missing, "count", NULL), 1);
    assert_near(number_at(missing, "at", NULL), 0.08);
    json_decref(json);
    ch_report_deinit(&report);
}

// A long step with numbers missing is the network's, one without is the encoder's.
static void test_report_gaps(void **state)
{
    (void)state;
    struct ch_report report;
    ch_report_init(&report);
    int64_t at = 0;
    uint32_t number = 0;
    for (int i = 0; i < 60; i++) {
        at += i == 20 ? 2000 : i == 40 ? 3000 : 40;
        number += i == 40 ? 70 : 1;
        struct ch_record record = picture(number, 5000 + (uint64_t)at, at - 40);
        ch_report_add(&report, &record);
    }
    json_t *json = to_json(&report), *gaps = json_object_get(json, "gaps");
    assert_int_equal(json_array_size(gaps), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(gaps, 0), "cause")), "not_encoded");
    assert_near(number_at(json_array_get(gaps, 0), "duration", NULL), 2.0);
    assert_near(number_at(json_array_get(gaps, 0), "at", NULL), 0.76);
    assert_string_equal(json_string_value(json_object_get(json_array_get(gaps, 1), "cause")), "transport");
    assert_near(number_at(json_array_get(gaps, 1), "missing", NULL), 69);
    assert_near(number_at(json, "longest_gap", NULL), 3.0);
    json_decref(json);
    ch_report_deinit(&report);
}

static void test_report_repairs(void **state)
{
    (void)state;
    struct ch_report report;
    ch_report_init(&report);
    struct ch_record records[] = {picture(0, 5000, 0), picture(1, 5040, 40), picture(2, 5040, 41), picture(3, 5000, 42),
                                  picture(4, UINT64_MAX, 82)};
    records[2].flags |= CH_FRAME_REPAIRED;
    records[3].flags |= CH_FRAME_REPAIRED;
    records[4].flags |= CH_FRAME_JUMP;
    for (size_t i = 0; i < 5; i++)
        ch_report_add(&report, &records[i]);
    json_t *json = to_json(&report), *repairs = json_object_get(json, "repairs");
    static const char *const kinds[] = {"repeated", "backward", "jump"};
    assert_int_equal(json_array_size(repairs), 3);
    for (size_t i = 0; i < 3; i++) {
        json_t *repair = json_array_get(repairs, i);
        assert_string_equal(json_string_value(json_object_get(repair, "kind")), kinds[i]);
        assert_near(number_at(repair, "record", NULL), (double)i + 2);
        assert_near(number_at(repair, "at", NULL), (i < 2 ? 41 + (double)i : 82) / 1000);
    }
    assert_near(number_at(json_array_get(repairs, 0), "shift", NULL), 0.001);
    assert_near(number_at(json_array_get(repairs, 1), "shift", NULL), 0.042);
    assert_near(number_at(json, "counts", "repaired"), 2);
    assert_near(number_at(json, "counts", "clock_jumps"), 1);
    json_decref(json);
    ch_report_deinit(&report);
}

// The original's rule: wire protocol 1.5, with its observed results.
static void test_frame_rate(void **state)
{
    (void)state;
    assert_int_equal(ch_report_rate_centi(100, 10000000), 1000);
    assert_int_equal(ch_report_rate_centi(1000, 1000000), 6000);
    assert_int_equal(ch_report_rate_centi(1, 1000000), 0);
    assert_int_equal(ch_report_rate_centi(0, 0), 0);
    assert_int_equal(ch_report_rate_centi(5, 999), 0);
    assert_int_equal(ch_report_rate_centi(5, -1), 0);
    assert_int_equal(ch_report_rate_centi(2, INT64_MAX), 100);
    assert_int_equal(ch_report_rate_centi(UINT64_MAX, 1000000), 6000);
    struct ch_report report; // arrivals 5 s apart, device times 100 ms apart
    ch_report_init(&report);
    assert_int_equal(ch_report_estimate_centi(&report), 1000);
    struct ch_record first = picture(0, 5000, 0), second = picture(1, 5100, 100);
    second.arrival_us = first.arrival_us + 5000000;
    ch_report_add(&report, &first);
    assert_int_equal(ch_report_estimate_centi(&report), 1000);
    ch_report_add(&report, &second);
    assert_int_equal(ch_report_estimate_centi(&report), 2000);
    ch_report_deinit(&report);
}

// Records made anew tell of pictures, but not when they came or what was lost.
static void test_report_rebuilt(void **state)
{
    (void)state;
    struct ch_report report;
    ch_report_init(&report);
    for (uint32_t i = 0; i < 20; i++) {
        struct ch_record record = picture(i < 10 ? i : 9, 5000 + 40 * i, 40 * (int64_t)i);
        if (i >= 10)
            record.flags |= CH_FRAME_REBUILT;
        ch_report_add(&report, &record);
    }
    assert_int_equal(report.frames, 20);
    assert_int_equal(report.rebuilt, 10);
    assert_int_equal(report.sequence.duplicates, 0);
    assert_int_equal(report.last_arrival_us, 1700000000000000 + 9 * 40000);
    assert_int_equal(ch_report_duration_ticks(&report), 20 * 40 * 90);
    assert_int_equal(ch_report_last_duration_ticks(&report), 40 * 90);
    ch_report_deinit(&report);
}

static void test_report_is_bounded(void **state)
{
    (void)state;
    struct ch_report report;
    ch_report_init(&report);
    for (uint32_t i = 0; i < 4 * CH_LIMIT_REPORT_LIST; i++) {
        struct ch_record record = picture(2 * i, 5000, 40 * (int64_t)i);
        record.flags |= CH_FRAME_REPAIRED;
        ch_report_add(&report, &record);
    }
    json_t *json = to_json(&report);
    static const char *const lists[] = {"gaps", "repairs", "missing"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(json_array_size(json_object_get(json, lists[i])), CH_LIMIT_REPORT_LIST);
    assert_true(json_is_true(json_object_get(json, "lists_truncated")));
    assert_near(number_at(json, "counts", "repaired"), 4 * CH_LIMIT_REPORT_LIST);
    json_decref(json);
    ch_report_deinit(&report);
}

static void test_report_takes_anything(void **state)
{
    (void)state;
    struct ch_report report;
    ch_report_init(&report);
    unsigned dice = 1;
    for (int i = 0; i < 20000; i++) {
        struct ch_record record;
        uint8_t *bytes = (uint8_t *)&record;
        for (size_t k = 0; k < sizeof record; k++) {
            dice = dice * 1103515245u + 12345u;
            bytes[k] = (uint8_t)(dice >> 16);
        }
        record.pts_ticks >>= 4; // the bounds of what recovery lets in
        ch_report_add(&report, &record);
    }
    json_t *json = to_json(&report);
    char *text = json_dumps(json, 0);
    assert_non_null(text);
    free(text);
    json_decref(json);
    ch_report_deinit(&report);
}

static void test_verdict(void **state)
{
    (void)state;
    struct ch_report report;
    char reason[128];
    ch_report_init(&report);
    for (uint32_t i = 0; i < 25; i++) {
        struct ch_record record = picture(i, 5000 + 40 * i, 40 * (int64_t)i);
        ch_report_add(&report, &record);
    }
    assert_int_equal(ch_session_judge(CH_SESSION_H264, &report, false, false, NULL, reason), CH_VERDICT_COMPLETE);
    assert_string_equal(reason, "all 25 frames in 1.0 s");
    struct ch_record late = picture(30, 7000, 2000);
    ch_report_add(&report, &late);
    assert_int_equal(ch_session_judge(CH_SESSION_H264, &report, false, false, NULL, reason), CH_VERDICT_GAPS);
    assert_non_null(strstr(reason, "5 frames missing"));
    assert_int_equal(ch_session_judge(CH_SESSION_H264, &report, true, false, NULL, reason), CH_VERDICT_RECOVERED);
    assert_int_equal(ch_session_judge(CH_SESSION_H264, &report, true, true, "the disk broke", reason),
                     CH_VERDICT_DAMAGED);
    assert_string_equal(reason, "the disk broke");
    assert_string_equal(ch_verdict_name(CH_VERDICT_GAPS), "gaps");
    ch_report_deinit(&report);
}

// --- the index --------------------------------------------------------------------------------------

static void test_index_layout(void **state)
{
    (void)state;
    uint8_t bytes[CH_INDEX_RECORD_BYTES];
    struct ch_record record = {
        .sequence = 0x01020304,
        .flags = 0x0506,
        .part = 0x0708,
        .device_ms = 0x1112131415161718,
        .arrival_us = 0x2122232425262728,
        .pts_ticks = -2,
        .sample_offset = 0x4142434445464748,
        .sample_bytes = 0x51525354,
        .payload_bytes = 0x61626364,
        .hash = 0x7172737475767778,
        .composition_ticks = -3,
    };
    static const uint8_t expected[60] = {1,    2,    3,    4,    5,    6,    7,    8,    0x11, 0x12, 0x13, 0x14,
                                         0x15, 0x16, 0x17, 0x18, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
                                         0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0x41, 0x42, 0x43, 0x44,
                                         0x45, 0x46, 0x47, 0x48, 0x51, 0x52, 0x53, 0x54, 0x61, 0x62, 0x63, 0x64,
                                         0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0xFF, 0xFF, 0xFF, 0xFD};
    ch_index_write_record(&record, bytes);
    assert_memory_equal(bytes, expected, sizeof expected);
    struct ch_record again;
    struct guard guard = guard_copy(bytes, sizeof bytes);
    assert_int_equal(ch_index_read_record(guard.data, &again), 0);
    guard_free(&guard);
    uint8_t bytes_again[CH_INDEX_RECORD_BYTES];
    ch_index_write_record(&again, bytes_again);
    assert_memory_equal(bytes_again, bytes, sizeof bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) { // its own checksum finds any bit
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(ch_index_read_record(bytes, &again), -EBADMSG);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_index_header(void **state)
{
    (void)state;
    uint8_t bytes[CH_INDEX_HEADER_BYTES];
    int64_t started_us = 0;
    ch_index_write_header(1767225600123456, bytes);
    assert_memory_equal(bytes, "CAMHUBIX\0\1\0\x40\0\1\x5F\x90", 16);
    assert_int_equal(ch_index_read_header(bytes, &started_us), 0);
    assert_int_equal(started_us, 1767225600123456);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(ch_index_read_header(bytes, &started_us), -EBADMSG);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

// More records than the reader's buffer, from any of them on; torn and bad ones end it.
static void test_index_reader(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    char path[] = "/tmp/camhub-index-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    uint8_t bytes[CH_INDEX_RECORD_BYTES];
    ch_index_write_header(1, bytes);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    for (uint32_t i = 0; i < COUNT; i++) {
        ch_index_write_record(&(struct ch_record){.sequence = i}, bytes);
        assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    }
    struct ch_index_reader *reader = malloc(sizeof *reader);
    struct ch_record record;
    static const uint64_t firsts[] = {0, 1, 1023, 1024, 2999, 3000, 3001};
    for (size_t k = 0; k < sizeof firsts / sizeof firsts[0]; k++) {
        ch_index_reader_init(reader, fd, firsts[k]);
        for (uint64_t i = firsts[k]; i < COUNT; i++) {
            assert_int_equal(ch_index_reader_next(reader, &record), 1);
            assert_int_equal(record.sequence, i);
        }
        assert_int_equal(ch_index_reader_next(reader, &record), 0);
    }
    assert_int_equal(ftruncate(fd, 64 + COUNT * 64 - 1), 0); // the last one is torn
    ch_index_reader_init(reader, fd, COUNT - 2);
    assert_int_equal(ch_index_reader_next(reader, &record), 1);
    assert_int_equal(ch_index_reader_next(reader, &record), 0);
    assert_int_equal(pwrite(fd, "x", 1, 64 + 64 * 100 + 7), 1);
    ch_index_reader_init(reader, fd, 99);
    assert_int_equal(ch_index_reader_next(reader, &record), 1);
    assert_int_equal(ch_index_reader_next(reader, &record), -EBADMSG);
    free(reader);
    close(fd);
}

// --- sound ------------------------------------------------------------------------------------------

// Pictures with AAC frames in between: whatever those say of numbers, times and sizes, only their own count and that of
// the messages differ.
static void test_sound_counts_alone(void **state)
{
    (void)state;
    struct ch_report with, without;
    ch_report_init(&with);
    ch_report_init(&without);
    for (uint32_t i = 0; i < 50; i++) {
        struct ch_record picture = {.sequence = 100 + i + (i > 30 ? 2 : 0),
                                    .flags = (uint16_t)(CH_FRAME_PICTURE | (i % 10 == 0 ? CH_FRAME_KEY : 0)),
                                    .part = 1,
                                    .device_ms = 5000 + i * 40,
                                    .arrival_us = 1000000 + i * INT64_C(40000),
                                    .pts_ticks = (int64_t)i * 3600,
                                    .sample_bytes = 10,
                                    .payload_bytes = 10},
                         again = picture;
        struct ch_record sound = {.sequence = i * 7919,
                                  .flags = (uint16_t)(CH_FRAME_AUDIO | (i % 4 == 0 ? CH_FRAME_REBUILT : 0)),
                                  .part = i % 5 != 0,
                                  .device_ms = i * UINT64_C(1000000),
                                  .arrival_us = -5,
                                  .pts_ticks = (int64_t)i * 9000000 - 5,
                                  .sample_bytes = 99};
        struct ch_record before = sound;
        ch_report_add(&with, &picture);
        ch_report_add(&with, &sound);
        assert_memory_equal(&sound, &before, sizeof sound);
        ch_report_add(&without, &again);
    }
    assert_int_equal(with.audio_frames, 40);
    assert_int_equal(with.messages, 100);
    json_t *a = json_object(), *b = json_object();
    assert_int_equal(ch_report_to_json(&with, a), 0);
    assert_int_equal(ch_report_to_json(&without, b), 0);
    json_t *counts = json_object_get(b, "counts");
    assert_int_equal(json_integer_value(json_object_get(counts, "audio_frames")), 0);
    json_object_set_new(counts, "audio_frames", json_integer(40));
    json_object_set_new(counts, "messages", json_integer(100));
    assert_true(json_equal(a, b));
    assert_int_equal(ch_report_duration_ticks(&with), 50 * 3600);
    json_decref(a);
    json_decref(b);
    ch_report_deinit(&with);
    ch_report_deinit(&without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_sequence_ranges),
        cmocka_unit_test(test_sequence_is_bounded),
        cmocka_unit_test(test_sequence_takes_anything),
        cmocka_unit_test(test_clock_of_one),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_clock_takes_anything),
        cmocka_unit_test(test_report_counts),
        cmocka_unit_test(test_report_unnumbered_sets),
        cmocka_unit_test(test_report_flags),
        cmocka_unit_test(test_report_gaps),
        cmocka_unit_test(test_report_repairs),
        cmocka_unit_test(test_frame_rate),
        cmocka_unit_test(test_report_rebuilt),
        cmocka_unit_test(test_report_is_bounded),
        cmocka_unit_test(test_report_takes_anything),
        cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_index_layout),
        cmocka_unit_test(test_index_header),
        cmocka_unit_test(test_index_reader),
        cmocka_unit_test(test_sound_counts_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
