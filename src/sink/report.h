// What a session amounts to, added up from its index records alone: the same code serves the live
// session, recovery and verification, so they cannot disagree. Memory is bounded whatever the length.
// One thread at a time.
#ifndef CH_SINK_REPORT_H
#define CH_SINK_REPORT_H

#include "base/pace.h"
#include "sink/clockmap.h"
#include "sink/index.h"
#include "sink/sequence.h"

#include <jansson.h>

enum ch_verdict { CH_VERDICT_COMPLETE, CH_VERDICT_GAPS, CH_VERDICT_RECOVERED, CH_VERDICT_DAMAGED };
const char *ch_verdict_name(enum ch_verdict verdict);

struct ch_report {
    // Counts
    uint64_t messages, frames, key_frames, parameter_sets, before_first_key, junk, bytes;
    uint64_t repaired, clock_jumps, rebuilt;
    uint64_t audio_frames;       // AAC frames in an MP4; they are messages too, and count in nothing else
    struct ch_sequence sequence; // nothing of JPEG cameras, which number nothing: the hub does
    // Lists, bounded; `truncated` if something did not fit
    json_t *gaps, *repairs; // owned
    bool truncated;
    // Times of pictures
    uint64_t last_device_ms;
    bool any_picture, timed;                   // timed: the last picture's clock is known
    int64_t first_arrival_us, last_arrival_us; // of pictures
    uint64_t rate_first_device_ms, rate_last_device_ms;
    int64_t max_pts, last_dts, longest_gap_ticks;
    struct ch_pace pace;
    int64_t base_ticks;                   // pts - 90 * device time, while the clock runs undisturbed
    struct ch_clockmap clock, best_clock; // of this stretch of the device's clock; of the longest so far
};

void ch_report_init(struct ch_report *report);
void ch_report_deinit(struct ch_report *report);
// Adds a record and sets its CH_FRAME_DUPLICATE and CH_FRAME_REORDERED flags.
void ch_report_add(struct ch_report *report, struct ch_record *record);

// Ticks from the first picture to the end of the last (whose own length is the last step seen).
int64_t ch_report_duration_ticks(const struct ch_report *report);
// How long the last picture is shown: the stream's pace.
uint32_t ch_report_last_duration_ticks(const struct ch_report *report);
// The original's frame-rate rule, in hundredths of frames/s (docs: wire protocol 1.5).
int64_t ch_report_rate_centi(uint64_t frames, int64_t span_us);
int64_t ch_report_estimate_centi(const struct ch_report *report);

// Adds counts, missing, gaps, repairs, clock, frame_rate, duration, lists_truncated to an object. 0 or -ENOMEM.
int ch_report_to_json(const struct ch_report *report, json_t *session);

#endif
