// A recording in memory, as the recorder makes it, and what it must be when it is read back. For tests.
#ifndef CH_TESTS_MP4_FILM_H
#define CH_TESTS_MP4_FILM_H

#include "unit.h"

#include <stdlib.h>
#include "base/bytes.h"
#include "codec/h264_sets.h"
#include "codec/mp4.h"

// --- a recording, as the recorder makes it ----------------------------------------------------------

// 16x16 pixels, High, I P b b P | I P, made with x264 (SEI left out).
static const char tiny_stream[] =
    "000000016764000aac76117b0110000003001000000301e0f12258460000000168e8438392c8b00000016588"
    "81003ff0f83900000001419a08db1fdf8000000001419e104e2bfff38100000001019e189a927ff380000000"
    "01419a19126a0405a265303fdf81000000016764000aac76117b0110000003001000000301e0f12258460000"
    "000168e8438392c8b0000001658880800ffff0f83900000001419a085b1fdf81";

#define MAX_FRAMES 512
#define HOUR_TICKS (INT64_C(3600) * CH_MP4_TIMESCALE)

struct film {
    uint8_t *data; // the file in the recording shape
    size_t bytes;
    size_t frames;
    struct ch_mp4_sample samples[MAX_FRAMES]; // what the tables should say; times from 0
    struct ch_mp4_fragment fragments[MAX_FRAMES];
    size_t ends[MAX_FRAMES + 1]; // [0] of the init segment, [n] of the nth fragment
    struct ch_mp4_track track;
    uint8_t avcc[512];
    struct ch_mp4_tables tables;
};

static inline uint8_t *from_hex(const char *hex, size_t *size)
{
    uint8_t *out = malloc(strlen(hex) / 2 + 1);
    assert_non_null(out);
    *size = 0;
    unsigned nibbles = 0, value = 0;
    for (; *hex; hex++) {
        if (*hex == ' ')
            continue;
        value = value << 4 | (unsigned)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);
        if (++nibbles % 2 == 0)
            out[(*size)++] = (uint8_t)value;
    }
    return out;
}

struct picture {
    uint8_t *sample;
    size_t bytes;
    int32_t poc;
    bool key;
    size_t group; // counts IDR pictures
};

static inline void append_unit(struct picture *picture, const uint8_t *unit, size_t size)
{
    picture->sample = realloc(picture->sample, picture->bytes + 4 + size);
    assert_non_null(picture->sample);
    ch_put_be32(picture->sample + picture->bytes, (uint32_t)size);
    memcpy(picture->sample + picture->bytes + 4, unit, size);
    picture->bytes += 4 + size;
}

// Cuts a byte stream into pictures and fills the film's track. Returns the number of pictures.
static inline size_t cut(const uint8_t *stream, size_t size, struct picture *pictures, struct film *film)
{
    struct ch_h264_sets *sets = ch_h264_sets_new();
    struct ch_h264_poc poc = {0};
    const struct ch_h264_sps *sps = NULL;
    size_t count = 0, group = 0;
    struct ch_nal nal;
    for (size_t pos = 0; ch_annexb_next(stream, size, &pos, &nal);) {
        const uint8_t *unit = stream + nal.offset;
        unsigned type = ch_nal_type(unit);
        if (type == CH_NAL_SPS || type == CH_NAL_PPS)
            assert_true(ch_h264_sets_put(sets, unit, nal.size) >= 0);
        if (type != CH_NAL_SLICE && type != CH_NAL_IDR)
            continue;
        struct ch_h264_slice slice;
        assert_int_equal(ch_h264_sets_slice(sets, unit, nal.size, &slice, &sps), 0);
        if (slice.first_mb == 0) {
            assert_true(count < MAX_FRAMES);
            group += slice.idr;
            pictures[count++] =
                (struct picture){.poc = ch_h264_poc_next(&poc, sps, &slice), .key = slice.idr, .group = group};
        }
        append_unit(&pictures[count - 1], unit, nal.size);
    }
    film->track = (struct ch_mp4_track){
        .width = sps->width,
        .height = sps->height,
        .sar_width = sps->sar_width,
        .sar_height = sps->sar_height,
        .avcc = film->avcc,
        .avcc_bytes = ch_h264_sets_avcc(sets, sps->id, film->avcc, sizeof film->avcc),
        .created_unix_s = 1700000000,
    };
    assert_in_range(film->track.avcc_bytes, 1, sizeof film->avcc);
    ch_h264_sets_free(sets);
    return count;
}

// Where a picture comes in output order.
static inline size_t shown_at(const struct picture *pictures, size_t count, size_t index)
{
    size_t place = 0;
    for (size_t i = 0; i < count; i++) {
        if (pictures[i].group < pictures[index].group ||
            (pictures[i].group == pictures[index].group && pictures[i].poc < pictures[index].poc))
            place++;
    }
    return place;
}

static inline void append_frame(struct film *film, const struct picture *picture, int64_t dts, int32_t composition)
{
    size_t n = film->frames++;
    film->fragments[n] = (struct ch_mp4_fragment){
        .sequence = (uint32_t)n + 1,
        .dts_ticks = (uint64_t)dts,
        .duration_ticks = CH_MP4_TIMESCALE,
        .composition_ticks = composition,
        .sample_bytes = (uint32_t)picture->bytes,
        .key = picture->key,
    };
    ch_mp4_write_fragment(&film->fragments[n], film->data + film->bytes);
    film->bytes += CH_MP4_FRAGMENT_HEADER_BYTES;
    memcpy(film->data + film->bytes, picture->sample, picture->bytes);
    film->samples[n] = (struct ch_mp4_sample){.offset = film->bytes,
                                              .bytes = (uint32_t)picture->bytes,
                                              .composition_ticks = composition,
                                              .key = picture->key};
    assert_int_equal(
        ch_mp4_tables_add(&film->tables, film->bytes, (uint32_t)picture->bytes, dts, composition, picture->key), 0);
    film->bytes += picture->bytes;
    film->ends[n + 1] = film->bytes;
}

// Steps of 2900 and 3100 ticks in turn; the frames are shown `delay` places late.
static inline struct film *make_film(const uint8_t *stream, size_t size, int64_t start, size_t delay)
{
    struct film *film = calloc(1, sizeof *film);
    struct picture *pictures = calloc(MAX_FRAMES, sizeof *pictures);
    assert_true(film && pictures);
    size_t count = cut(stream, size, pictures, film), samples_bytes = 0;
    int64_t times[2 * MAX_FRAMES];
    for (size_t i = 0; i < count + delay; i++)
        times[i] = start + (int64_t)i * 3000 - (i % 2 ? 100 : 0);
    for (size_t i = 0; i < count; i++)
        samples_bytes += pictures[i].bytes;
    film->track.media_time_ticks = times[delay];
    film->data = malloc(4096 + samples_bytes + count * CH_MP4_FRAGMENT_HEADER_BYTES);
    assert_non_null(film->data);
    film->bytes = film->ends[0] = ch_mp4_write_init(&film->track, film->data, 4096);
    assert_in_range(film->bytes, 1, 4096);
    for (size_t i = 0; i < count; i++) {
        append_frame(film, &pictures[i], times[i], (int32_t)(times[shown_at(pictures, count, i) + delay] - times[i]));
        film->samples[i].dts_ticks = times[i] - start;
        film->samples[i].duration_ticks = i + 1 < count ? (uint32_t)(times[i + 1] - times[i]) : 1234;
        free(pictures[i].sample);
    }
    free(pictures);
    return film;
}

static inline void free_film(struct film *film)
{
    ch_mp4_tables_free(&film->tables);
    free(film->data);
    free(film);
}

static inline struct film *make_tiny_film(int64_t start)
{
    size_t size;
    uint8_t *stream = from_hex(tiny_stream, &size);
    struct film *film = make_film(stream, size, start, 2);
    assert_int_equal(film->frames, 7);
    free(stream);
    return film;
}

static inline uint8_t *final_moov(struct film *film, size_t *bytes)
{
    uint8_t *moov;
    assert_int_equal(ch_mp4_tables_finish(&film->tables, NULL, &film->track, 1234, &moov, bytes), 0);
    return moov;
}

// The film as it is after an orderly end.
static inline uint8_t *finished(struct film *film, size_t *bytes)
{
    size_t moov_bytes;
    uint8_t *moov = final_moov(film, &moov_bytes);
    uint8_t *file = malloc(film->bytes + moov_bytes);
    assert_non_null(file);
    memcpy(file, film->data, film->bytes);
    memcpy(file + film->bytes, moov, moov_bytes);
    ch_mp4_write_mdat_header(film->bytes, file + CH_MP4_FREE_OFFSET);
    free(moov);
    *bytes = film->bytes + moov_bytes;
    return file;
}

// --- reading it back ----------------------------------------------------------------------------------

struct scanned {
    enum ch_mp4_event last;
    size_t fragments, inits, steps;
    struct ch_mp4_scan scan;
};

// Scans `bytes` of data to the end and compares each fragment with the film's (which may be NULL).
static inline struct scanned scan_film(const uint8_t *data, size_t bytes, const struct film *film)
{
    struct scanned result = {0};
    struct ch_mp4_scan *scan = &result.scan;
    ch_mp4_scan_init(scan, bytes);
    do {
        assert_true(scan->want_bytes <= CH_MP4_SCAN_MAX_WANT);
        assert_true(scan->want_bytes == 0 || scan->want_offset + scan->want_bytes <= bytes);
        assert_true(++result.steps < bytes / 113 + 7);
        uint64_t before = scan->good_end;
        result.last = ch_mp4_scan_step(scan, data + scan->want_offset, scan->want_bytes);
        assert_true(scan->good_end >= before && scan->good_end <= bytes);
        if (result.last == CH_MP4_INIT)
            result.inits++;
        if (result.last != CH_MP4_FRAGMENT)
            continue;
        assert_true(scan->good_end == scan->sample_offset + scan->fragment.sample_bytes);
        if (film) {
            const struct ch_mp4_fragment *expected = &film->fragments[result.fragments];
            assert_int_equal(scan->fragment.sequence, expected->sequence);
            assert_int_equal(scan->fragment.dts_ticks, expected->dts_ticks);
            assert_int_equal(scan->fragment.duration_ticks, expected->duration_ticks);
            assert_int_equal(scan->fragment.composition_ticks, expected->composition_ticks);
            assert_int_equal(scan->fragment.sample_bytes, expected->sample_bytes);
            assert_int_equal(scan->fragment.key, expected->key);
            assert_int_equal(scan->sample_offset, film->samples[result.fragments].offset);
        }
        result.fragments++;
    } while (result.last == CH_MP4_MORE || result.last == CH_MP4_INIT || result.last == CH_MP4_FRAGMENT);
    return result;
}

static inline void assert_scanned(struct scanned scanned, enum ch_mp4_event last, size_t fragments, uint64_t good_end)
{
    assert_int_equal(scanned.last, last);
    assert_int_equal(scanned.fragments, fragments);
    assert_int_equal(scanned.scan.good_end, good_end);
}

// Searches like an outsider: four letters and what is in front of them.
static inline const uint8_t *find_box(const uint8_t *data, size_t bytes, const char *type)
{
    for (size_t i = 4; i + 4 <= bytes; i++) {
        if (memcmp(data + i, type, 4) == 0)
            return data + i - 4;
    }
    return NULL;
}

static inline struct ch_mp4_moov read_good_moov(const uint8_t *data, size_t bytes)
{
    struct ch_mp4_moov moov;
    assert_int_equal(ch_mp4_read_moov(data, bytes, &moov), 0);
    return moov;
}

static inline void assert_samples(struct ch_mp4_moov *moov, const struct ch_mp4_sample *expected, size_t count)
{
    struct ch_mp4_sample sample;
    assert_int_equal(moov->samples, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(ch_mp4_moov_next(moov, &sample));
        assert_int_equal(sample.offset, expected[i].offset);
        assert_int_equal(sample.bytes, expected[i].bytes);
        assert_int_equal(sample.duration_ticks, expected[i].duration_ticks);
        assert_int_equal(sample.dts_ticks, expected[i].dts_ticks);
        assert_int_equal(sample.composition_ticks, expected[i].composition_ticks);
        assert_int_equal(sample.key, expected[i].key);
    }
    assert_false(ch_mp4_moov_next(moov, &sample));
}

static const uint8_t some_avcc[7] = {1, 66, 0, 30, 0xFF, 0xE0, 0};
static const struct ch_mp4_track some_track = {.width = 640, .height = 480, .avcc = some_avcc, .avcc_bytes = 7};

#endif
