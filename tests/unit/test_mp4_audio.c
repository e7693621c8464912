// MP4 with sound: the second track's bytes, the times of AAC frames, and what our own reader and ffprobe (where it is
// installed) say of both tracks.
#include "mp4_film.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

// AAC-LC, ISO/IEC 14496-3 1.6.2.1.
static struct ch_aac_config lc(uint32_t rate, unsigned channels)
{
    static const uint32_t rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                     22050, 16000, 12000, 11025, 8000,  7350};
    unsigned index = 0;
    while (rates[index] != rate)
        index++;
    uint8_t config[2] = {(uint8_t)(2 << 3 | index >> 1), (uint8_t)((index & 1) << 7 | channels << 3)};
    struct ch_aac_config audio;
    assert_int_equal(ch_aac_parse(config, sizeof config, &audio), 0);
    return audio;
}

// --- a recording with sound -----------------------------------------------------------------------

#define MAX_SOUNDS 64

// The tiny film's pictures with AAC frames between them.
struct duet {
    struct film *film; // data: the file; samples, tables: of its pictures
    struct ch_mp4_sample sounds[MAX_SOUNDS];
    size_t count;
    struct ch_mp4_tables audio;
    struct ch_mp4_audio_clock clock;
    size_t ends[MAX_FRAMES], pieces; // of all fragments in the file's order
    bool is_sound[MAX_FRAMES];
};

static void append_sound(struct duet *duet, int64_t ticks, size_t bytes, uint8_t last)
{
    struct film *film = duet->film;
    int64_t time;
    assert_true(ch_mp4_audio_place(&duet->clock, &film->track.audio, ticks, &time));
    struct ch_mp4_fragment fragment = {
        .sequence = (uint32_t)duet->pieces + 1,
        .audio = true,
        .dts_ticks = (uint64_t)time,
        .duration_ticks = film->track.audio.frame_samples,
        .sample_bytes = (uint32_t)bytes,
    };
    ch_mp4_write_fragment(&fragment, film->data + film->bytes);
    film->bytes += CH_MP4_FRAGMENT_HEADER_BYTES;
    for (size_t i = 0; i < bytes; i++)
        film->data[film->bytes + i] = (uint8_t)(0x21 + 7 * i + bytes);
    film->data[film->bytes + bytes - 1] = last;
    assert_int_equal(ch_mp4_tables_add(&duet->audio, film->bytes, (uint32_t)bytes, time, 0, false), 0);
    duet->sounds[duet->count++] =
        (struct ch_mp4_sample){.offset = film->bytes, .bytes = (uint32_t)bytes, .dts_ticks = time, .key = true};
    film->bytes += bytes;
    duet->is_sound[duet->pieces] = true;
    duet->ends[duet->pieces++] = film->bytes;
}

// The first sound begins `begin` ticks behind the first picture.
static struct duet *make_duet(uint32_t rate, int64_t begin)
{
    size_t size;
    uint8_t *stream = from_hex(tiny_stream, &size);
    struct picture *pictures = calloc(MAX_FRAMES, sizeof *pictures);
    struct duet *duet = calloc(1, sizeof *duet);
    struct film *film = duet->film = calloc(1, sizeof *film);
    size_t count = cut(stream, size, pictures, film), sound = 0;
    int64_t step = rate < 40000 ? 12000 : 3000;
    film->track.audio = lc(rate, 2);
    film->track.media_time_ticks = 2 * step;
    film->data = malloc(1 << 16);
    film->bytes = film->ends[0] = ch_mp4_write_init(&film->track, film->data, 4096);
    for (size_t i = 0; i < count; i++) {
        int64_t dts = (int64_t)i * step, pts = (int64_t)(shown_at(pictures, count, i) + 2) * step;
        append_frame(film, &pictures[i], dts, (int32_t)(pts - dts));
        film->samples[i].dts_ticks = dts;
        film->samples[i].duration_ticks = i + 1 < count ? (uint32_t)step : 1234;
        duet->ends[duet->pieces++] = film->bytes;
        for (;; sound++) { // what lies before the next picture in decoding order
            int64_t ticks = begin + (int64_t)(sound * film->track.audio.frame_samples * 90000 / rate);
            if (ticks > dts + step)
                break;
            append_sound(duet, ticks, 5 + sound % 7, sound % 3 == 1 ? 0 : 0x1C);
        }
        free(pictures[i].sample);
    }
    for (size_t i = 0; i < duet->count; i++)
        duet->sounds[i].duration_ticks = i + 1 < duet->count
                                             ? (uint32_t)(duet->sounds[i + 1].dts_ticks - duet->sounds[i].dts_ticks)
                                             : film->track.audio.frame_samples;
    for (size_t i = 0; i < duet->count; i++) // times in the tables are from the first sample on
        duet->sounds[i].dts_ticks -= duet->audio.first_dts;
    free(pictures);
    free(stream);
    assert_true(duet->count > 2);
    return duet;
}

static void free_duet(struct duet *duet)
{
    ch_mp4_tables_free(&duet->audio);
    free_film(duet->film);
    free(duet);
}

static uint8_t *moov_of(struct duet *duet, size_t *bytes)
{
    uint8_t *moov;
    assert_int_equal(ch_mp4_tables_finish(&duet->film->tables, &duet->audio, &duet->film->track, 1234, &moov, bytes),
                     0);
    return moov;
}

// --- bytes ----------------------------------------------------------------------------------------

static void test_fragment_bytes(void **state)
{
    (void)state;
    static const char golden[] =
        "000000686d6f6f66000000106d66686400000000000000070000005074726166000000107466686400020000000000020000001474"
        "666474010000000000000123456789000000247472756e01000f010000000100000070000004000000001702000000000000000000"
        "001f6d646174";
    size_t size;
    uint8_t *expected = from_hex(golden, &size), made[CH_MP4_FRAGMENT_HEADER_BYTES];
    assert_int_equal(size, sizeof made);
    // Whatever is said of key and composition.
    for (int i = 0; i < 4; i++) {
        struct ch_mp4_fragment fragment = {.sequence = 7,
                                           .audio = true,
                                           .dts_ticks = 0x123456789,
                                           .duration_ticks = 1024,
                                           .sample_bytes = 23,
                                           .key = i & 1,
                                           .composition_ticks = i & 2 ? -5 : 0};
        ch_mp4_write_fragment(&fragment, made);
        assert_memory_equal(made, expected, size);
    }
    free(expected);
}

// A box at `at` of this type; returns the bytes of it, and goes on to its content or behind it.
static size_t expect_box(const uint8_t *data, size_t *at, const char *type, bool enter)
{
    size_t size = ch_get_be32(data + *at);
    if (memcmp(data + *at + 4, type, 4) != 0)
        fail_msg("%.4s at %zu, expected %s", (const char *)data + *at + 4, *at, type);
    *at += enter ? 8 : size;
    return size;
}

static void test_init_bytes(void **state)
{
    (void)state;
    struct duet *duet = make_duet(44100, 0);
    struct film *film = duet->film;
    uint8_t silent[4096];
    struct ch_mp4_track without = film->track;
    without.audio = (struct ch_aac_config){0};
    size_t silent_bytes = ch_mp4_write_init(&without, silent, sizeof silent), bytes = film->ends[0], at = 48, to;
    const uint8_t *data = film->data;
    // Box by box as ISO/IEC 14496-12 and -14 have it.
    size_t moov = expect_box(data, &at, "moov", true);
    assert_int_equal(moov + 48, bytes);
    expect_box(data, &at, "mvhd", false);
    assert_int_equal(ch_get_be32(data + at - 4), 3); // next_track_ID
    size_t trak = at;
    expect_box(data, &at, "trak", false);
    to = 48 + 8;
    expect_box(silent, &to, "mvhd", false);
    assert_memory_equal(data + trak, silent + to, at - trak); // the video's is what it was
    size_t audio_at = at;
    expect_box(data, &at, "trak", true);
    const uint8_t *tkhd = data + at;
    assert_int_equal(expect_box(data, &at, "tkhd", false), 104);
    assert_int_equal(ch_get_be32(tkhd + 8), 0x01000003);
    assert_int_equal(ch_get_be32(tkhd + 28), 2);       // track_ID
    assert_int_equal(ch_get_be32(tkhd + 56), 1 << 24); // volume 1.0
    assert_int_equal(ch_get_be64(tkhd + 96), 0);       // no width, no height
    expect_box(data, &at, "mdia", true);
    expect_box(data, &at, "mdhd", false);
    assert_int_equal(ch_get_be32(data + at - 16), 44100);
    to = at;
    expect_box(data, &at, "hdlr", false);
    assert_memory_equal(data + to + 16, "soun", 4);
    expect_box(data, &at, "minf", true);
    assert_int_equal(expect_box(data, &at, "smhd", false), 16);
    expect_box(data, &at, "dinf", false);
    expect_box(data, &at, "stbl", true);
    to = at;
    expect_box(data, &at, "stsd", false);
    to += 16;
    size_t entry = to;
    expect_box(data, &to, "mp4a", true);
    assert_int_equal(ch_get_be16(data + entry + 24), 2);            // channelcount
    assert_int_equal(ch_get_be32(data + entry + 32), 44100u << 16); // samplerate
    to += 28;
    assert_int_equal(expect_box(data, &to, "esds", true), 39);
    static const uint8_t esds[] = {0, 0, 0, 0, 3, 25, 0, 0, 0, 4, 17,   0x40, 0x15, 0, 0x06, 0x00,
                                   0, 0, 0, 0, 0, 0,  0, 0, 5, 2, 0x12, 0x10, 6,    1, 2};
    assert_memory_equal(data + to, esds, sizeof esds);
    for (const char *const *type = (const char *const[]){"stts", "stsc", "stco", "stsz", NULL}; *type; type++)
        expect_box(data, &at, *type, false);
    size_t mvex = at;
    expect_box(data, &at, "mvex", true);
    for (uint32_t id = 1; id <= 2; id++) {
        expect_box(data, &at, "trex", false);
        assert_int_equal(ch_get_be32(data + at - 20), id);
    }
    assert_int_equal(at, bytes);
    assert_int_equal(bytes, silent_bytes + (mvex - audio_at) + 32);
    free_duet(duet);
}

static void test_init_read_back(void **state)
{
    (void)state;
    static const uint32_t rates[] = {96000, 88200, 48000, 44100, 22050, 8000, 7350};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct duet *duet = make_duet(rates[i], 0);
        struct scanned scanned = scan_film(duet->film->data, duet->film->bytes, NULL);
        assert_scanned(scanned, CH_MP4_END, duet->pieces, duet->film->bytes);
        assert_true(ch_aac_same(&scanned.scan.init.audio, &duet->film->track.audio));
        assert_int_equal(scanned.scan.init.audio.rate, rates[i]);
        assert_string_equal(scanned.scan.init.audio.codec, "mp4a.40.2");
        assert_int_equal(scanned.scan.init.media_time_ticks, duet->film->track.media_time_ticks);
        free_duet(duet);
    }
    struct film *film = make_tiny_film(0);
    struct scanned scanned = scan_film(film->data, film->bytes, film);
    assert_int_equal(scanned.scan.init.audio.rate, 0);
    free_film(film);
}

// A configuration of any length that is let in, and with lengths of four bytes, as others write them.
static void test_esds(void **state)
{
    (void)state;
    struct duet *duet = make_duet(48000, 0);
    struct ch_mp4_track track = duet->film->track, read;
    uint8_t init[4096];
    for (uint8_t bytes = 2; bytes <= CH_AAC_CONFIG_MAX; bytes++) {
        track.audio.bytes = bytes; // more than is needed: zeros
        size_t size = ch_mp4_write_init(&track, init, sizeof init);
        struct scanned scanned = scan_film(init, size, NULL);
        assert_scanned(scanned, CH_MP4_END, 0, size);
        assert_int_equal(scanned.scan.init.audio.bytes, bytes);
    }
    track.audio = lc(48000, 1);
    size_t size = ch_mp4_write_init(&track, init, sizeof init);
    const uint8_t *es = find_box(init, size, "esds") + 12; // three lengths in front of the configuration
    size_t at[3] = {(size_t)(es - init) + 1, (size_t)(es - init) + 6, (size_t)(es - init) + 21};
    static const size_t inside[3] = {9, 6, 3}; // bytes that come new inside of each
    for (int i = 2; i >= 0; i--) {
        memmove(init + at[i] + 4, init + at[i] + 1, size - at[i] - 1);
        uint8_t value = (uint8_t)(init[at[i]] + inside[i] - 3);
        memcpy(init + at[i], (uint8_t[]){0x80, 0x80, 0x80, value}, 4);
        size += 3;
    }
    static const char *const around[] = {"moov", "esds", "mp4a"};
    for (size_t i = 0; i < 3; i++) {
        uint8_t *box = init + (find_box(init, size, around[i]) - init);
        ch_put_be32(box, ch_get_be32(box) + 9);
    }
    static const char *const last[] = {"trak", "mdia", "minf", "stbl", "stsd"}; // of the second track
    const uint8_t *second = find_box(init, size, "soun");
    size_t trak_at = 0;
    for (size_t i = 4; i < (size_t)(second - init); i++)
        if (memcmp(init + i, "trak", 4) == 0)
            trak_at = i - 4;
    for (size_t i = 0; i < 5; i++) {
        uint8_t *box = init + (find_box(init + trak_at, size - trak_at, last[i]) - init);
        ch_put_be32(box, ch_get_be32(box) + 9);
    }
    struct scanned scanned = scan_film(init, size, NULL);
    assert_scanned(scanned, CH_MP4_END, 0, size);
    read = scanned.scan.init;
    assert_true(ch_aac_same(&read.audio, &track.audio));
    free_duet(duet);
}

// --- times ----------------------------------------------------------------------------------------

static void test_rescaling(void **state)
{
    (void)state;
    assert_int_equal(ch_mp4_audio_samples(90000, 48000), 48000);
    assert_int_equal(ch_mp4_audio_samples(1, 48000), 1);  // 0.53
    assert_int_equal(ch_mp4_audio_samples(1, 44100), 0);  // 0.49
    assert_int_equal(ch_mp4_audio_samples(-1, 44100), 0); // -0.49
    assert_int_equal(ch_mp4_audio_samples(-1, 48000), -1);
    assert_int_equal(ch_mp4_audio_ticks(-48000, 48000), -90000);
    assert_int_equal(ch_mp4_audio_ticks(1024, 44100), 2090); // 2089.796
    static const uint32_t rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 22050, 8000, 7350};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++)
        for (int64_t at = -3000; at < 3000; at++)
            for (int shift = 0; shift < 60; shift += 20) {
                int64_t samples = at + (at < 0 ? -1 : 1) * ((INT64_C(1) << shift) - 1);
                int64_t ticks = ch_mp4_audio_ticks(samples, rates[r]);
                __int128 error = (__int128)ticks * rates[r] - (__int128)samples * 90000;
                assert_true(2 * error <= rates[r] && -2 * error < rates[r]);
                if (rates[r] < 90000) // a tick is shorter than a sample: nothing is lost
                    assert_int_equal(ch_mp4_audio_samples(ticks, rates[r]), samples);
            }
}

// Frames that follow each other without a break, each known to the nearest tick on a timeline on which the file begins
// anywhere: every step is one frame, for hours.
static void test_no_drift(void **state)
{
    (void)state;
    static const uint32_t rates[] = {96000, 48000, 44100, 22050, 8000};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++)
        for (int64_t offset = 0; offset < 4; offset++) {
            struct ch_aac_config audio = lc(rates[r], 2);
            struct ch_mp4_audio_clock clock = {0};
            int64_t zero = 90000 * 3600 + 17 * offset, first = ch_mp4_audio_samples(zero, rates[r]) + 100 + offset;
            int64_t frames = 6 * INT64_C(3600) * rates[r] / 1024, time, begin = 0;
            for (int64_t i = 0; i < frames; i++) {
                int64_t exact = first + i * 1024;
                assert_true(ch_mp4_audio_place(&clock, &audio, ch_mp4_audio_ticks(exact, rates[r]) - zero, &time));
                if (i == 0)
                    begin = time;
                if (time != begin + i * 1024)
                    fail_msg("%u Hz: frame %lld is at %lld", rates[r], (long long)i, (long long)time);
            }
        }
}

// A source whose samples run faster or slower than its clock: the track follows the clock, however long.
static void test_other_clock(void **state)
{
    (void)state;
    static const uint32_t rates[] = {48000, 44100, 22050, 8000};
    for (size_t r = 0; r < 4; r++)
        for (int64_t ppm = -300; ppm <= 300; ppm += 100) {
            struct ch_aac_config audio = lc(rates[r], 1);
            struct ch_mp4_audio_clock clock = {0};
            int64_t last = -1, time;
            for (int64_t i = 0; i < 400000; i++) {
                int64_t ticks = ch_mp4_audio_ticks(i * 1024 + i * 1024 * ppm / 1000000, rates[r]);
                assert_true(ch_mp4_audio_place(&clock, &audio, ticks, &time));
                int64_t off = time - ch_mp4_audio_samples(ticks, rates[r]), step = time - last;
                assert_in_range(off + 2, 0, 4);
                if (last >= 0)
                    assert_in_range(step, 1024 - 3, 1024 + 3);
                last = time;
            }
        }
}

static void test_gaps_and_overlaps(void **state)
{
    (void)state;
    struct ch_aac_config audio = lc(48000, 2);
    struct ch_mp4_audio_clock clock = {0};
    int64_t time = -7;
    assert_false(ch_mp4_audio_place(&clock, &audio, -1, &time)); // begins before the file
    assert_false(clock.any);
    assert_int_equal(time, -7);
    static const struct {
        int64_t ticks, time;
    } steps[] = {
        {15, 8},
        {15 + 1920, 8 + 1024},
        {3855 + 3, 2056}, // 1.6 samples late: rounding
        {5775 + 4, 3080},
        {7695 + 6, 4107}, // 3.2 late: it is late
        {90000, 48000},   // a break
        {90000, 48001},   // and again: it cannot be at once
        {0, 48002},
        {90000 + 3, 48003},        // 48001.6
        {90000 + 1920, 49024 + 3}, // 49024, within 2 of ... not: 48003 + 1024 = 49027 is 3 away
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] - 1; i++) {
        assert_true(ch_mp4_audio_place(&clock, &audio, steps[i].ticks, &time));
        if (time != steps[i].time)
            fail_msg("step %zu: %lld", i, (long long)time);
    }
    assert_true(ch_mp4_audio_place(&clock, &audio, 90000 + 1920, &time));
    assert_int_equal(time, 49024); // back on its own time at the first chance
    // A step is stored in 32 bits.
    struct ch_mp4_audio_clock before = clock;
    int64_t most = ch_mp4_audio_ticks(clock.last + UINT32_MAX, 48000);
    assert_false(ch_mp4_audio_place(&clock, &audio, most + 2, &time));
    assert_memory_equal(&clock, &before, sizeof clock);
    assert_true(ch_mp4_audio_place(&clock, &audio, most, &time));
    assert_int_equal(time, before.last + UINT32_MAX);
    // No time is too large to be refused.
    static const int64_t huge[] = {INT64_MAX, INT64_MAX / 2, INT64_MIN, INT64_MAX / 4};
    for (size_t i = 0; i < 4; i++) {
        clock = (struct ch_mp4_audio_clock){0};
        assert_false(ch_mp4_audio_place(&clock, &audio, huge[i], &time));
    }
    audio.rate = 0;
    assert_false(ch_mp4_audio_place(&clock, &audio, 0, &time));
}

// --- the final moov -------------------------------------------------------------------------------

static void test_moov(void **state)
{
    (void)state;
    static const struct {
        uint32_t rate;
        int64_t begin;
    } cases[] = {{48000, 0},     {48000, 9001}, {44100, 0},  {44100, 1},
                 {44100, 12345}, {22050, 3},    {8000, 777}, {96000, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct duet *duet = make_duet(cases[i].rate, cases[i].begin);
        size_t bytes;
        uint8_t *data = moov_of(duet, &bytes);
        struct ch_mp4_moov moov = read_good_moov(data, bytes), sound;
        assert_samples(&moov, duet->film->samples, duet->film->frames);
        assert_int_equal(ch_mp4_read_moov_audio(data, bytes, &sound), 0);
        assert_int_equal(sound.timescale, cases[i].rate);
        assert_true(ch_aac_same(&sound.audio, &duet->film->track.audio));
        assert_int_equal(sound.media_time_ticks, 0);
        assert_int_equal(sound.empty_ticks, ch_mp4_audio_ticks(duet->audio.first_dts, cases[i].rate));
        assert_int_equal(ch_mp4_audio_samples((int64_t)sound.empty_ticks, cases[i].rate), duet->audio.first_dts);
        assert_samples(&sound, duet->sounds, duet->count);
        free(data);
        free_duet(duet);
    }
}

static void test_moov_without_sound(void **state)
{
    (void)state;
    struct duet *duet = make_duet(48000, 0);
    struct ch_mp4_tables none = {0};
    struct ch_mp4_track silent = duet->film->track;
    silent.audio = (struct ch_aac_config){0};
    uint8_t *moov[3];
    size_t bytes[3];
    assert_int_equal(ch_mp4_tables_finish(&duet->film->tables, NULL, &silent, 9, &moov[0], &bytes[0]), 0);
    assert_int_equal(ch_mp4_tables_finish(&duet->film->tables, &none, &duet->film->track, 9, &moov[1], &bytes[1]), 0);
    assert_int_equal(ch_mp4_tables_finish(&duet->film->tables, NULL, &duet->film->track, 9, &moov[2], &bytes[2]), 0);
    struct ch_mp4_moov sound;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bytes[i], bytes[0]);
        assert_memory_equal(moov[i], moov[0], bytes[0]);
        assert_int_equal(ch_mp4_read_moov_audio(moov[i], bytes[i], &sound), -ENODATA);
    }
    for (int i = 0; i < 3; i++)
        free(moov[i]);
    // Sound that nothing describes, and sound without a picture.
    uint8_t *data;
    size_t size;
    assert_int_equal(ch_mp4_tables_finish(&duet->film->tables, &duet->audio, &silent, 9, &data, &size), -EINVAL);
    assert_int_equal(ch_mp4_tables_finish(&none, &duet->audio, &duet->film->track, 9, &data, &size), -EINVAL);
    assert_int_equal(ch_mp4_read_moov_audio(duet->film->data + 48, duet->film->ends[0] - 48, &sound), -EBADMSG);
    free_duet(duet);
}

// Whatever is broken in a moov: it is said, or what is handed out lies inside.
static void test_broken_moov(void **state)
{
    (void)state;
    struct duet *duet = make_duet(44100, 500);
    size_t bytes;
    uint8_t *data = moov_of(duet, &bytes);
    for (size_t i = 0; i < bytes; i++)
        for (int bit = 0; bit < 8; bit++) {
            data[i] ^= (uint8_t)(1 << bit);
            struct guard guard = guard_copy(data, bytes);
            struct ch_mp4_moov moov;
            struct ch_mp4_sample sample;
            for (int audio = 0; audio < 2; audio++) {
                int rc = audio ? ch_mp4_read_moov_audio(guard.data, bytes, &moov)
                               : ch_mp4_read_moov(guard.data, bytes, &moov);
                assert_true(rc == 0 || rc == -EBADMSG || (audio && rc == -ENODATA));
                for (int n = 0; rc == 0 && n < 1000 && ch_mp4_moov_next(&moov, &sample); n++)
                    ;
            }
            guard_free(&guard);
            data[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t size = 0; size < bytes; size++) {
        struct guard guard = guard_copy(data, size);
        struct ch_mp4_moov moov;
        assert_int_equal(ch_mp4_read_moov_audio(guard.data, size, &moov), -EBADMSG);
        guard_free(&guard);
    }
    free(data);
    free_duet(duet);
}

// --- scanning -------------------------------------------------------------------------------------

static void test_scan_fragments(void **state)
{
    (void)state;
    struct duet *duet = make_duet(48000, 2000);
    struct film *film = duet->film;
    struct ch_mp4_scan scan;
    enum ch_mp4_event event;
    size_t piece = 0, sound = 0, picture = 0;
    ch_mp4_scan_init(&scan, film->bytes);
    do {
        event = ch_mp4_scan_step(&scan, film->data + scan.want_offset, scan.want_bytes);
        if (event != CH_MP4_FRAGMENT)
            continue;
        assert_int_equal(scan.fragment.audio, duet->is_sound[piece]);
        assert_int_equal(scan.good_end, duet->ends[piece++]);
        if (scan.fragment.audio) {
            assert_int_equal(scan.fragment.dts_ticks, duet->sounds[sound].dts_ticks + duet->audio.first_dts);
            assert_int_equal(scan.fragment.duration_ticks, 1024);
            assert_int_equal(scan.sample_offset, duet->sounds[sound++].offset);
        } else {
            assert_int_equal(scan.fragment.dts_ticks, film->samples[picture++].dts_ticks);
        }
    } while (event == CH_MP4_MORE || event == CH_MP4_INIT || event == CH_MP4_FRAGMENT);
    assert_int_equal(event, CH_MP4_END);
    assert_true(sound == duet->count && picture == film->frames);
    free_duet(duet);
}

static void test_scan_truncated(void **state)
{
    (void)state;
    struct duet *duet = make_duet(44100, 0);
    struct film *film = duet->film;
    for (size_t size = film->ends[0]; size <= film->bytes; size++) {
        size_t whole = 0;
        while (whole < duet->pieces && duet->ends[whole] <= size)
            whole++;
        uint64_t end = whole > 0 ? duet->ends[whole - 1] : film->ends[0];
        struct guard guard = guard_copy(film->data, size);
        assert_scanned(scan_film(guard.data, size, NULL), size == end ? CH_MP4_END : CH_MP4_TORN, whole, end);
        guard_free(&guard);
    }
    free_duet(duet);
}

// Nothing but what is written passes as a header; and without an audio track none of its fragments.
static void test_scan_changed_header(void **state)
{
    (void)state;
    struct duet *duet = make_duet(48000, 0);
    struct film *film = duet->film;
    size_t first = 0;
    while (!duet->is_sound[first])
        first++;
    uint8_t *header = film->data + duet->ends[first - 1];
    for (size_t i = 0; i < CH_MP4_FRAGMENT_HEADER_BYTES; i++)
        for (int bit = 0; bit < 8; bit++) {
            // Sequence, time and duration may be any; the sizes agree with each other and may be others only together.
            bool free_to_vary = (i >= 20 && i < 24) || (i >= 60 && i < 68) || (i >= 88 && i < 92);
            header[i] ^= (uint8_t)(1 << bit);
            struct scanned scanned = scan_film(film->data, film->bytes, NULL);
            if (free_to_vary)
                assert_int_equal(scanned.last, CH_MP4_END);
            else
                assert_scanned(scanned, CH_MP4_TORN, first, duet->ends[first - 1]);
            header[i] ^= (uint8_t)(1 << bit);
        }
    struct ch_mp4_track silent = film->track;
    silent.audio = (struct ch_aac_config){0};
    uint8_t *data = malloc(film->bytes);
    size_t init = ch_mp4_write_init(&silent, data, 4096);
    memcpy(data + init, film->data + film->ends[0], film->bytes - film->ends[0]);
    size_t bytes = init + film->bytes - film->ends[0];
    assert_scanned(scan_film(data, bytes, NULL), CH_MP4_TORN, first, init + duet->ends[first - 1] - film->ends[0]);
    free(data);
    free_duet(duet);
}

// --- foreign eyes ---------------------------------------------------------------------------------

static FILE *run_ffprobe(const char *path, const char *stream)
{
    char command[256];
    snprintf(command, sizeof command,
             "ffprobe -v error -select_streams %s -show_entries packet=pts,size,pos -of csv=p=0 %s 2>/dev/null", stream,
             path);
    return popen(command, "r");
}

// Compares one stream's packets. False if there is no ffprobe.
static bool probe(const char *path, const char *stream, const struct ch_mp4_sample *samples, const int64_t *times,
                  size_t count)
{
    FILE *pipe = run_ffprobe(path, stream);
    assert_non_null(pipe);
    size_t seen = 0;
    long long pts, size, pos;
    for (char line[256]; fgets(line, sizeof line, pipe); seen++) {
        if (sscanf(line, "%lld,%lld,%lld", &pts, &size, &pos) != 3 || seen >= count)
            fail_msg("ffprobe: %s", line);
        if (pts != times[seen] || size != samples[seen].bytes || (uint64_t)pos != samples[seen].offset)
            fail_msg("%s packet %zu: pts %lld, expected %lld; size %lld, pos %lld", stream, seen, pts,
                     (long long)times[seen], size, pos);
    }
    int status = pclose(pipe);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return false;
    assert_int_equal(status, 0);
    assert_int_equal(seen, count);
    return true;
}

static void test_ffprobe(void **state)
{
    (void)state;
    static const uint32_t rates[] = {48000, 44100, 22050, 8000};
    static const int64_t begins[] = {0, 1, 4567};
    for (size_t r = 0; r < 4; r++)
        for (size_t b = 0; b < 3; b++) {
            struct duet *duet = make_duet(rates[r], begins[b]);
            struct film *film = duet->film;
            int64_t video[MAX_FRAMES], audio[MAX_SOUNDS];
            for (size_t i = 0; i < film->frames; i++)
                video[i] =
                    film->samples[i].dts_ticks + film->samples[i].composition_ticks - film->track.media_time_ticks;
            for (size_t i = 0; i < duet->count; i++)
                audio[i] = duet->sounds[i].dts_ticks + duet->audio.first_dts;
            size_t moov_bytes;
            uint8_t *moov = moov_of(duet, &moov_bytes);
            for (int whole = 0; whole < 2; whole++) { // fragmented, and finished
                char path[] = "/tmp/camhub_test_mp4_audio_XXXXXX";
                int fd = mkstemp(path);
                assert_true(fd >= 0);
                if (whole)
                    ch_mp4_write_mdat_header(film->bytes, film->data + CH_MP4_FREE_OFFSET);
                assert_int_equal(write(fd, film->data, film->bytes), film->bytes);
                if (whole)
                    assert_int_equal(write(fd, moov, moov_bytes), moov_bytes);
                close(fd);
                bool there = probe(path, "v", film->samples, video, film->frames);
                if (there)
                    probe(path, "a", duet->sounds, audio, duet->count);
                unlink(path);
                if (!there)
                    skip();
            }
            free(moov);
            free_duet(duet);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fragment_bytes), cmocka_unit_test(test_init_bytes),
        cmocka_unit_test(test_init_read_back), cmocka_unit_test(test_esds),
        cmocka_unit_test(test_rescaling),      cmocka_unit_test(test_no_drift),
        cmocka_unit_test(test_other_clock),    cmocka_unit_test(test_gaps_and_overlaps),
        cmocka_unit_test(test_moov),           cmocka_unit_test(test_moov_without_sound),
        cmocka_unit_test(test_broken_moov),    cmocka_unit_test(test_scan_fragments),
        cmocka_unit_test(test_scan_truncated), cmocka_unit_test(test_scan_changed_header),
        cmocka_unit_test(test_ffprobe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
