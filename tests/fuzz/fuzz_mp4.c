// Any bytes as a recording, as a moov box, or as numbers for the sample tables. Scanning ends in bounded steps and
// reports only what lies inside; tables made of what was scanned, or of any numbers, read back as they were.
#include "fuzz.h"

#include <stdlib.h>
#include "base/bytes.h"
#include "codec/mp4.h"

// A moov of a few bytes may promise 10^8 equal samples; the first ones will do.
#define MAX_DRAINED 20000u

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void drain(struct ch_mp4_moov *moov)
{
    struct ch_mp4_sample sample;
    check(moov->samples > 0 && moov->timescale > 0);
    uint64_t count = 0, duration = 0;
    while (count < MAX_DRAINED && ch_mp4_moov_next(moov, &sample)) {
        check(sample.dts_ticks == (int64_t)duration);
        duration += sample.duration_ticks;
        count++;
    }
    check(count == MAX_DRAINED || (count == moov->samples && duration == moov->duration_ticks));
}

static void read_moov(const uint8_t *data, size_t size)
{
    struct ch_mp4_moov moov;
    if (ch_mp4_read_moov_audio(data, size, &moov) == 0) {
        check(moov.audio.rate == moov.timescale && moov.audio.frame_samples > 0);
        drain(&moov);
    }
    if (ch_mp4_read_moov(data, size, &moov) == 0) {
        check(moov.avcc >= data && moov.avcc + moov.avcc_bytes <= data + size);
        drain(&moov);
    }
}

// Finishes the tables and reads them back: as many samples, with the times they were added with.
static void finish(struct ch_mp4_tables *tables, const struct ch_mp4_tables *audio, const struct ch_mp4_track *track)
{
    uint8_t *data;
    size_t size;
    int result = ch_mp4_tables_finish(tables, audio, track, 0, &data, &size);
    check((result == 0) == (tables->samples > 0));
    if (result)
        return;
    struct ch_mp4_moov moov;
    struct ch_mp4_sample sample = {0};
    check(ch_mp4_read_moov(data, size, &moov) == 0);
    uint64_t count = 0;
    while (ch_mp4_moov_next(&moov, &sample))
        check(++count <= tables->samples && sample.composition_ticks >= 0);
    check(count == tables->samples && sample.dts_ticks == tables->last_dts - tables->first_dts);
    check(sample.composition_ticks == (int64_t)tables->last_composition - tables->min_composition);
    result = ch_mp4_read_moov_audio(data, size, &moov);
    check((result == 0) == (audio && audio->samples > 0));
    if (result == 0) {
        check(moov.samples == audio->samples && ch_aac_same(&moov.audio, &track->audio));
        for (count = 0; ch_mp4_moov_next(&moov, &sample);)
            check(++count <= audio->samples && sample.key && sample.composition_ticks == 0);
        check(count == audio->samples && sample.dts_ticks == audio->last_dts - audio->first_dts);
    }
    free(data);
}

static void scan(const uint8_t *data, size_t size)
{
    struct ch_mp4_scan scan;
    struct ch_mp4_tables tables = {0}, audio = {0};
    struct ch_mp4_audio_clock clock = {0};
    struct ch_mp4_track track = {0};
    enum ch_mp4_event event;
    size_t steps = 0;
    ch_mp4_scan_init(&scan, size);
    do {
        check(scan.want_bytes <= CH_MP4_SCAN_MAX_WANT && ++steps <= size / 113 + 6);
        check(scan.want_bytes == 0 || (scan.want_offset <= size && scan.want_bytes <= size - scan.want_offset));
        uint8_t *wanted = malloc(scan.want_bytes + 1); // so that one byte too far is seen
        check(wanted != NULL);
        memcpy(wanted, data + scan.want_offset, scan.want_bytes);
        event = ch_mp4_scan_step(&scan, wanted, scan.want_bytes);
        check(scan.good_end <= size);
        if (event == CH_MP4_INIT) {
            track = scan.init;
            track.avcc = data + 48 + (scan.init.avcc - wanted);
        }
        free(wanted);
        if (event == CH_MP4_FRAGMENT) {
            check(scan.sample_offset + scan.fragment.sample_bytes == scan.good_end);
            check(!scan.fragment.audio || track.audio.rate > 0);
        }
        if (event == CH_MP4_FRAGMENT && scan.fragment.audio) {
            int64_t ticks = (int64_t)(scan.fragment.dts_ticks & INT64_MAX), last = clock.last, time;
            bool any = clock.any;
            if (ch_mp4_audio_place(&clock, &track.audio, ticks, &time)) {
                check(time >= 0 && (!any || time > last));
                check(ch_mp4_tables_add(&audio, scan.sample_offset, scan.fragment.sample_bytes, time, 0, false) == 0);
            }
        } else if (event == CH_MP4_FRAGMENT) {
            (void)ch_mp4_tables_add(&tables, scan.sample_offset, scan.fragment.sample_bytes,
                                    (int64_t)scan.fragment.dts_ticks, scan.fragment.composition_ticks,
                                    scan.fragment.key);
        }
    } while (event == CH_MP4_MORE || event == CH_MP4_INIT || event == CH_MP4_FRAGMENT);
    if (event == CH_MP4_FINISHED)
        read_moov(data + scan.want_offset, size - (size_t)scan.want_offset);
    else
        check(tables.samples == 0 || track.avcc_bytes > 0);
    if (tables.samples > 0)
        finish(&tables, &audio, &track);
    ch_mp4_tables_free(&tables);
    ch_mp4_tables_free(&audio);
}

// Records of 14 bytes: step 5, composition 4, offset 5, of which one bit is the key flag.
static void tabulate(const uint8_t *data, size_t size)
{
    static const uint8_t avcc[7] = {1};
    const struct ch_mp4_track track = {.width = 16, .height = 16, .avcc = avcc, .avcc_bytes = sizeof avcc};
    struct ch_mp4_tables tables = {0};
    int64_t dts = size > 8 ? (int64_t)ch_get_be64(data) >> 3 : 0;
    for (size_t at = 8; at + 14 <= size; at += 14) {
        uint64_t offset = (uint64_t)data[at + 9] << 32 | ch_get_be32(data + at + 10);
        uint64_t samples = tables.samples;
        int result = ch_mp4_tables_add(&tables, offset, ch_get_be32(data + at + 8), dts,
                                       (int32_t)ch_get_be32(data + at + 5), offset & 1);
        check(tables.samples == samples + (result == 0));
        int64_t step = (int64_t)((uint64_t)data[at] << 32 | ch_get_be32(data + at + 1));
        if (__builtin_add_overflow(dts, step, &dts))
            break;
    }
    finish(&tables, NULL, &track);
    ch_mp4_tables_free(&tables);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 8 && memcmp(data + 4, "moov", 4) == 0)
        read_moov(data, size);
    else if (size >= 4 && memcmp(data, "tabs", 4) == 0)
        tabulate(data + 4, size - 4);
    else
        scan(data, size);
    return 0;
}
