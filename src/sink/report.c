#include "sink/report.h"

#include "base/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GAP_TICKS (CH_MP4_TIMESCALE / 2) // a shorter step is never a gap by itself
#define GAP_FACTOR 3                     // nor one of less than this many usual steps

const char *ch_verdict_name(enum ch_verdict verdict)
{
    static const char *const names[] = {"complete", "gaps", "recovered", "damaged"};
    return names[verdict];
}

void ch_report_init(struct ch_report *report)
{
    memset(report, 0, sizeof *report);
    report->gaps = json_array();
    report->repairs = json_array();
    ch_clockmap_init(&report->clock);
    ch_clockmap_init(&report->best_clock);
}

void ch_report_deinit(struct ch_report *report)
{
    ch_sequence_deinit(&report->sequence);
    json_decref(report->gaps);
    json_decref(report->repairs);
    report->gaps = report->repairs = NULL;
}

static double seconds(int64_t ticks)
{
    return (double)ticks / CH_MP4_TIMESCALE;
}

static void list_add(struct ch_report *report, json_t *list, json_t *entry)
{
    if (json_array_size(list) >= CH_LIMIT_REPORT_LIST) {
        report->truncated = true;
        json_decref(entry);
    } else {
        json_array_append_new(list, entry);
    }
}

// A step in time: is it a gap, and whose fault? Taken from decode times, which are the sorted presentation times:
// with B-frames the presentation times themselves run back and forth.
static void note_step(struct ch_report *report, int64_t step, uint32_t missing, bool numbered)
{
    int64_t usual = ch_pace_usual(&report->pace);
    bool long_step = step >= GAP_TICKS && usual > 0 && step >= GAP_FACTOR * usual;
    if (long_step || missing > 0)
        list_add(report, report->gaps,
                 json_pack("{s:f,s:f,s:I,s:s}", "at", seconds(report->last_dts), "duration", seconds(step), "missing",
                           (json_int_t)missing, "cause",
                           !numbered     ? "unknown"
                           : missing > 0 ? "transport"
                                         : "not_encoded"));
    if (step > report->longest_gap_ticks)
        report->longest_gap_ticks = step;
    ch_pace_add(&report->pace, step);
}

static void keep_longer_clock(struct ch_report *report)
{
    if (report->clock.samples > report->best_clock.samples)
        report->best_clock = report->clock;
}

// Where the device's clock lies on the timeline. Device times may be any 64 bits: the sum wraps.
static int64_t base_of(const struct ch_record *record)
{
    return (int64_t)((uint64_t)record->pts_ticks - record->device_ms * 90);
}

// A number; as text where it is beyond what JSON readers can hold.
static json_t *device_time_json(uint64_t device_ms)
{
    if (device_ms <= INT64_MAX)
        return json_integer((json_int_t)device_ms);
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)device_ms);
    return json_string(text);
}

static void note_repair(struct ch_report *report, const struct ch_record *record)
{
    bool jump = record->flags & CH_FRAME_JUMP, repaired = record->flags & CH_FRAME_REPAIRED;
    if (!jump && !repaired)
        return;
    int64_t shift = (int64_t)((uint64_t)base_of(record) - (uint64_t)report->base_ticks);
    const char *kind = jump ? "jump" : record->device_ms == report->last_device_ms ? "repeated" : "backward";
    list_add(report, report->repairs,
             json_pack("{s:I,s:I,s:s,s:f,s:o,s:f}", "record", (json_int_t)report->messages - 1, "sequence",
                       (json_int_t)record->sequence, "kind", kind, "at", seconds(record->pts_ticks), "device_ms",
                       device_time_json(record->device_ms), "shift", report->timed ? seconds(shift) : 0.0));
    report->clock_jumps += jump;
    report->repaired += repaired;
    if (jump) {
        keep_longer_clock(report);
        ch_clockmap_init(&report->clock);
    }
}

static void note_clock(struct ch_report *report, const struct ch_record *record)
{
    if (!(record->flags & CH_FRAME_REPAIRED)) {
        report->base_ticks = base_of(record);
        report->timed = true;
    }
    report->last_device_ms = record->device_ms;
    if (record->flags & CH_FRAME_JPEG)
        return; // its times are the hub's own
    bool sane = record->arrival_us > -INT64_MAX / 4 && record->arrival_us < INT64_MAX / 4;
    if (sane && record->device_ms < (uint64_t)INT64_MAX / 4000)
        ch_clockmap_add(&report->clock, (int64_t)record->device_ms * 1000, record->arrival_us);
}

static void note_rate(struct ch_report *report, const struct ch_record *record)
{
    if (report->first_arrival_us == 0) {
        report->first_arrival_us = record->arrival_us;
        report->rate_first_device_ms = record->device_ms;
    }
    report->last_arrival_us = record->arrival_us;
    report->rate_last_device_ms = record->device_ms;
}

static void add_picture(struct ch_report *report, struct ch_record *record, uint32_t missing)
{
    report->frames++;
    report->key_frames += (record->flags & CH_FRAME_KEY) != 0;
    if (record->flags & CH_FRAME_REBUILT) {
        report->rebuilt++;
    } else {
        note_repair(report, record);
        note_clock(report, record);
        note_rate(report, record);
    }
    int64_t dts = record->pts_ticks - record->composition_ticks;
    if (report->any_picture && dts > report->last_dts)
        note_step(report, dts - report->last_dts, missing, !(record->flags & CH_FRAME_JPEG));
    report->last_dts = dts;
    if (!report->any_picture || record->pts_ticks > report->max_pts)
        report->max_pts = record->pts_ticks;
    report->any_picture = true;
}

static uint32_t follow_sequence(struct ch_report *report, struct ch_record *record)
{
    uint32_t missing = 0;
    // Parameter sets may or may not be numbered with the pictures: they count only where they fit.
    bool sets = record->flags & CH_FRAME_PARAMETERS;
    if (sets && (!report->sequence.started || record->sequence != report->sequence.expected))
        return 0;
    switch (ch_sequence_next(&report->sequence, record->sequence, report->max_pts, &missing)) {
    case CH_SEQUENCE_LATE: record->flags |= CH_FRAME_REORDERED; break;
    case CH_SEQUENCE_DUPLICATE: record->flags |= CH_FRAME_DUPLICATE; break;
    case CH_SEQUENCE_NEXT:
    case CH_SEQUENCE_GAP:
    case CH_SEQUENCE_RESTART: break;
    }
    return missing;
}

void ch_report_add(struct ch_report *report, struct ch_record *record)
{
    report->messages++;
    if (record->flags & CH_FRAME_AUDIO) {
        report->audio_frames += record->part > 0;
        return;
    }
    report->bytes += record->payload_bytes;
    report->parameter_sets += (record->flags & CH_FRAME_PARAMETERS) != 0;
    report->before_first_key += (record->flags & CH_FRAME_BEFORE_KEY) != 0;
    report->junk += (record->flags & CH_FRAME_JUNK) != 0;
    bool jpeg = record->flags & CH_FRAME_JPEG;
    uint32_t missing = jpeg || (record->flags & CH_FRAME_REBUILT) ? 0 : follow_sequence(report, record);
    if (record->part > 0 || (jpeg && (record->flags & CH_FRAME_PICTURE)))
        add_picture(report, record, missing);
}

int64_t ch_report_duration_ticks(const struct ch_report *report)
{
    return report->any_picture ? report->max_pts + ch_report_last_duration_ticks(report) : 0;
}

uint32_t ch_report_last_duration_ticks(const struct ch_report *report)
{
    int64_t step = ch_pace_usual(&report->pace);
    return step > 0 && step < UINT32_MAX ? (uint32_t)step : CH_MP4_TIMESCALE / 10;
}

int64_t ch_report_rate_centi(uint64_t frames, int64_t span_us)
{
    if (frames < 2 || span_us < 1000)
        return 0;
    if (frames > (uint64_t)INT64_MAX / 100000000)
        return 6000;
    int64_t centi = ((int64_t)frames * 100000000 + span_us / 2) / span_us;
    return centi < 100 ? 100 : centi > 6000 ? 6000 : centi;
}

static int64_t arrival_rate(const struct ch_report *report)
{
    int64_t span_us = (int64_t)((uint64_t)report->last_arrival_us - (uint64_t)report->first_arrival_us);
    return ch_report_rate_centi(report->frames - report->rebuilt, span_us);
}

static int64_t device_rate(const struct ch_report *report)
{
    int64_t span_ms = (int64_t)(report->rate_last_device_ms - report->rate_first_device_ms);
    if (span_ms < 0 || span_ms > INT64_MAX / 1000)
        return 0;
    return ch_report_rate_centi(report->frames - report->rebuilt, span_ms * 1000);
}

int64_t ch_report_estimate_centi(const struct ch_report *report)
{
    if (arrival_rate(report) > 150)
        return arrival_rate(report);
    return device_rate(report) > 0 ? device_rate(report) : 1000;
}

// --- JSON ---

static json_t *missing_json(const struct ch_sequence *sequence)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sequence->range_count; i++) {
        const struct ch_sequence_range *range = &sequence->ranges[i];
        json_array_append_new(list, json_pack("{s:I,s:I,s:I,s:f}", "first", (json_int_t)range->first, "last",
                                              (json_int_t)range->last, "count",
                                              (json_int_t)(range->last - range->first) + 1, "at", seconds(range->at)));
    }
    return list;
}

static json_t *clock_json(const struct ch_report *report)
{
    const struct ch_clockmap *map =
        report->clock.samples > report->best_clock.samples ? &report->clock : &report->best_clock;
    struct ch_clock_estimate estimate;
    if (!ch_clockmap_estimate(map, &estimate))
        return json_null();
    return json_pack("{s:f,s:f,s:f,s:I}", "wall_minus_device", (double)estimate.wall_minus_device_us / 1e6, "drift_ppm",
                     (double)estimate.drift_ppb / 1e3, "uncertainty", (double)estimate.uncertainty_us / 1e6, "frames",
                     (json_int_t)map->samples);
}

static json_t *counts_json(const struct ch_report *report)
{
    const struct ch_sequence *sequence = &report->sequence;
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "messages",
                     (json_int_t)report->messages, "frames", (json_int_t)report->frames, "key_frames",
                     (json_int_t)report->key_frames, "parameter_sets", (json_int_t)report->parameter_sets,
                     "before_first_key", (json_int_t)report->before_first_key, "junk", (json_int_t)report->junk,
                     "bytes", (json_int_t)report->bytes, "missing", (json_int_t)sequence->missing, "duplicates",
                     (json_int_t)sequence->duplicates, "reordered", (json_int_t)sequence->reordered,
                     "sequence_restarts", (json_int_t)sequence->restarts, "repaired", (json_int_t)report->repaired,
                     "clock_jumps", (json_int_t)report->clock_jumps, "rebuilt", (json_int_t)report->rebuilt,
                     "audio_frames", (json_int_t)report->audio_frames);
}

int ch_report_to_json(const struct ch_report *report, json_t *session)
{
    json_t *rate = json_pack("{s:f,s:f,s:f}", "estimate", (double)ch_report_estimate_centi(report) / 100, "arrival",
                             (double)arrival_rate(report) / 100, "device", (double)device_rate(report) / 100);
    int rc = json_object_set_new(session, "duration", json_real(seconds(ch_report_duration_ticks(report))));
    rc |= json_object_set_new(session, "counts", counts_json(report));
    rc |= json_object_set_new(session, "missing", missing_json(&report->sequence));
    rc |= json_object_set(session, "gaps", report->gaps);
    rc |= json_object_set_new(session, "longest_gap", json_real(seconds(report->longest_gap_ticks)));
    rc |= json_object_set(session, "repairs", report->repairs);
    rc |= json_object_set_new(session, "clock", clock_json(report));
    rc |= json_object_set_new(session, "frame_rate", rate);
    rc |=
        json_object_set_new(session, "lists_truncated", json_boolean(report->truncated || report->sequence.truncated));
    return rc ? -ENOMEM : 0;
}
