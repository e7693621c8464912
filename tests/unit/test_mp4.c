// MP4: what is written is compared byte by byte with a file checked by hand, with what our own reader
// says, and with what ffprobe says where it is installed.
#include "mp4_film.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

// --- golden bytes -----------------------------------------------------------------------------------

static const char golden_init[] =
    "000000206674797069736f360000000169736f3669736f6d617663316d70343100000010667265650000000000000000"
    "000002c76d6f6f76000000786d7668640100000000000000e179a18000000000e179a18000015f900000000000000000"
    "000100000100000000000000000000000001000000000000000000000000000000010000000000000000000000000000"
    "40000000000000000000000000000000000000000000000000000000000000020000021f7472616b00000068746b6864"
    "0100000300000000e179a18000000000e179a18000000001000000000000000000000000000000000000000000000000"
    "000000000001000000000000000000000000000000010000000000000000000000000000400000000010000000100000"
    "0000002c6564747300000024656c73740100000000000001000000000000000000000000134ff0700001000000000183"
    "6d6469610000002c6d6468640100000000000000e179a18000000000e179a18000015f90000000000000000055c40000"
    "0000002768646c7200000000000000007669646500000000000000000000000063616d68756200000001286d696e6600"
    "000014766d68640000000100000000000000000000002464696e660000001c6472656600000000000000010000000c75"
    "726c2000000001000000e87374626c0000009c7374736400000000000000010000008c61766331000000000000000100"
    "000000000000000000000000000000001000100048000000480000000000000001000000000000000000000000000000"
    "00000000000000000000000000000000000018ffff00000036617663430164000affe100186764000aac76117b011000"
    "0003001000000301e0f122584601000768e8438392c8b0fdf8f800000000107374747300000000000000000000001073"
    "7473630000000000000000000000107374636f0000000000000000000000147374737a00000000000000000000000000"
    "0000286d7665780000002074726578000000000000000100000001000000000000000000000000";
static const char golden_fragment[] =
    "000000686d6f6f66000000106d6668640000000000000002000000507472616600000010746668640002000000000001"
    "00000014746664740100000000000000134fe454000000247472756e01000f01000000010000007000015f900000000b"
    "0101000000002ee0000000136d646174";
static const char golden_moov[] =
    "0000036b6d6f6f76000000786d7668640100000000000000e179a18000000000e179a18000015f900000000000004b22"
    "000100000100000000000000000000000001000000000000000000000000000000010000000000000000000000000000"
    "4000000000000000000000000000000000000000000000000000000000000002000002eb7472616b00000068746b6864"
    "0100000300000000e179a18000000000e179a18000000001000000000000000000004b22000000000000000000000000"
    "000000000001000000000000000000000000000000010000000000000000000000000000400000000010000000100000"
    "0000002c6564747300000024656c737401000000000000010000000000004b220000000000001770000100000000024f"
    "6d6469610000002c6d6468640100000000000000e179a18000000000e179a18000015f900000000000004b2255c40000"
    "0000002768646c7200000000000000007669646500000000000000000000000063616d68756200000001f46d696e6600"
    "000014766d68640000000100000000000000000000002464696e660000001c6472656600000000000000010000000c75"
    "726c2000000001000001b47374626c0000009c7374736400000000000000010000008c61766331000000000000000100"
    "000000000000000000000000000000001000100048000000480000000000000001000000000000000000000000000000"
    "00000000000000000000000000000000000018ffff00000036617663430164000affe100186764000aac76117b011000"
    "0003001000000301e0f122584601000768e8438392c8b0fdf8f800000000487374747300000000000000070000000100"
    "000b540000000100000c1c0000000100000b540000000100000c1c0000000100000b540000000100000c1c0000000100"
    "0004d20000003863747473000000000000000500000001000017700000000100002ee00000000100000b540000000100"
    "000c1c00000003000017700000001873747373000000000000000200000001000000060000001c737473630000000000"
    "000001000000010000000100000001000000307374737a0000000000000000000000070000000c0000000b0000000c00"
    "00000c000000110000000d0000000b0000002c7374636f000000000000000700000367000003e30000045e000004da00"
    "000556000005d700000654";

static void assert_golden(const uint8_t *data, size_t size, const char *hex)
{
    size_t expected_size;
    uint8_t *expected = from_hex(hex, &expected_size);
    if (size != expected_size || memcmp(data, expected, size) != 0) {
        for (size_t i = 0; i < size; i++)
            fprintf(stderr, "%02x%s", data[i], i % 48 == 47 || i + 1 == size ? "\n" : "");
        fail_msg("the bytes changed; above is what they are now");
    }
    free(expected);
}

// The tiny film, an hour into a live stream.
static void test_golden(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(HOUR_TICKS);
    assert_golden(film->data, film->ends[0], golden_init);
    assert_golden(film->data + film->ends[1], CH_MP4_FRAGMENT_HEADER_BYTES, golden_fragment);
    size_t bytes;
    uint8_t *moov = final_moov(film, &bytes);
    assert_golden(moov, bytes, golden_moov);
    free(moov);
    uint8_t header[CH_MP4_FREE_BYTES];
    ch_mp4_write_mdat_header(UINT64_C(0x123456789A), header);
    assert_golden(header, sizeof header, "000000016d646174000000123456787a");
    free_film(film);
}

// --- writing ------------------------------------------------------------------------------------------

static void test_init_capacity(void **state)
{
    (void)state;
    static const uint8_t avcc[7] = {1, 66, 0, 30, 0xFF, 0xE0, 0};
    struct ch_mp4_track track = {.width = 640, .height = 480, .avcc = avcc, .avcc_bytes = sizeof avcc};
    size_t bytes = ch_mp4_write_init(&track, NULL, 0);
    uint8_t *out = malloc(bytes + 1);
    memset(out, 0xEE, bytes + 1);
    assert_int_equal(ch_mp4_write_init(&track, out, bytes - 1), bytes);
    assert_int_equal(out[0], 0xEE);
    assert_int_equal(ch_mp4_write_init(&track, out, bytes), bytes);
    assert_int_equal(ch_get_be32(out), CH_MP4_FTYP_BYTES);
    assert_memory_equal(out + CH_MP4_FREE_OFFSET + 4, "free", 4);
    assert_int_equal(out[bytes], 0xEE);
    free(out);
    size_t plain = bytes;
    track.media_time_ticks = 1;
    assert_int_equal(ch_mp4_write_init(&track, NULL, 0), plain + 44); // edts, elst
    track.sar_width = 4;
    track.sar_height = 3;
    assert_int_equal(ch_mp4_write_init(&track, NULL, 0), plain + 44 + 16); // pasp
    track.sar_width = 0;
    assert_int_equal(ch_mp4_write_init(&track, NULL, 0), plain + 44);
}

// 8.3.2: shown with square pixels; 12.1.3: stored as they are.
static void test_init_sizes(void **state)
{
    (void)state;
    struct ch_mp4_track track = some_track;
    track.sar_width = 64;
    track.sar_height = 33;
    uint8_t out[1024];
    size_t bytes = ch_mp4_write_init(&track, out, sizeof out);
    const uint8_t *tkhd = find_box(out, bytes, "tkhd"), *avc1 = find_box(out, bytes, "stsd") + 16;
    assert_int_equal(ch_get_be32(tkhd + 96), (uint32_t)(UINT64_C(640) * 65536 * 64 / 33));
    assert_int_equal(ch_get_be32(tkhd + 100), 480u << 16);
    assert_int_equal(ch_get_be16(avc1 + 32), 640);
    assert_int_equal(ch_get_be16(avc1 + 34), 480);
    assert_int_equal(ch_get_be32(find_box(out, bytes, "pasp") + 8), 64);
    track.width = track.sar_width = UINT16_MAX;
    track.sar_height = 1;
    assert_int_equal(ch_mp4_write_init(&track, out, sizeof out), bytes);
    assert_int_equal(ch_get_be32(tkhd + 96), UINT32_MAX);
}

static void test_fragment_fields(void **state)
{
    (void)state;
    static_assert(CH_MP4_FRAGMENT_HEADER_BYTES == 112, "part of the file format");
    uint8_t out[CH_MP4_FRAGMENT_HEADER_BYTES + 1];
    out[CH_MP4_FRAGMENT_HEADER_BYTES] = 0xEE;
    ch_mp4_write_fragment(&(struct ch_mp4_fragment){.sequence = 0x01020304,
                                                    .dts_ticks = UINT64_C(0x1122334455667788),
                                                    .duration_ticks = 0x0A0B0C0D,
                                                    .composition_ticks = -2,
                                                    .sample_bytes = 0x00ABCDEF,
                                                    .key = false},
                          out);
    assert_int_equal(out[CH_MP4_FRAGMENT_HEADER_BYTES], 0xEE);
    assert_int_equal(ch_get_be32(out), 104); // the moof ends where the mdat begins
    assert_int_equal(ch_get_be32(out + 20), 0x01020304);
    assert_int_equal(ch_get_be64(out + 60), UINT64_C(0x1122334455667788));
    assert_int_equal(ch_get_be32(out + 84), CH_MP4_FRAGMENT_HEADER_BYTES); // data_offset
    assert_int_equal(ch_get_be32(out + 88), 0x0A0B0C0D);
    assert_int_equal(ch_get_be32(out + 92), 0x00ABCDEF);
    assert_int_equal(ch_get_be32(out + 96), 0x01010000);
    assert_int_equal((int32_t)ch_get_be32(out + 100), -2);
    assert_int_equal(ch_get_be32(out + 104), 0x00ABCDEF + 8);
    assert_memory_equal(out + 108, "mdat", 4);
}

static void test_moov_of_film(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(HOUR_TICKS);
    size_t bytes;
    uint8_t *data = final_moov(film, &bytes);
    struct ch_mp4_moov moov = read_good_moov(data, bytes);
    assert_int_equal(moov.width, 16);
    assert_int_equal(moov.height, 16);
    assert_int_equal(moov.timescale, CH_MP4_TIMESCALE);
    assert_int_equal(moov.media_time_ticks, film->samples[0].composition_ticks);
    assert_int_equal(moov.avcc_bytes, film->track.avcc_bytes);
    assert_memory_equal(moov.avcc, film->avcc, moov.avcc_bytes);
    assert_int_equal(moov.duration_ticks, film->samples[6].dts_ticks + 1234);
    assert_samples(&moov, film->samples, film->frames);

    size_t again_bytes; // finishing changes nothing
    uint8_t *again = final_moov(film, &again_bytes);
    assert_int_equal(again_bytes, bytes);
    assert_memory_equal(again, data, bytes);
    free(again);
    free(data);
    free_film(film);
}

static uint32_t next_random(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

// Random tables of many lengths, with runs, large and negative values.
static void test_tables_random(void **state)
{
    (void)state;
    uint32_t random = 7;
    for (size_t round = 0; round < 200; round++) {
        struct ch_mp4_tables tables = {0};
        struct ch_mp4_sample *expected = calloc(1 + round * 3, sizeof *expected);
        size_t count = 1 + round * 3;
        int64_t dts = (int64_t)next_random(&random) - 0x800000, first = dts;
        int32_t lowest = 0, composition = 0;
        uint32_t step = 3000;
        for (size_t i = 0; i < count; i++) {
            if (next_random(&random) % 3 == 0)
                composition = (int32_t)(next_random(&random) % 9000) - (round % 2 ? 4500 : 0);
            if (next_random(&random) % 3 == 0)
                step = 1 + (next_random(&random) << (next_random(&random) % 9));
            lowest = composition < lowest ? composition : lowest;
            expected[i] = (struct ch_mp4_sample){
                .offset = (uint64_t)next_random(&random) << (round % 3 == 0 ? 20 : 8),
                .bytes = next_random(&random),
                .duration_ticks = i + 1 < count ? step : 1,
                .dts_ticks = dts - first,
                .composition_ticks = composition,
                .key = next_random(&random) % 4 == 0,
            };
            assert_int_equal(
                ch_mp4_tables_add(&tables, expected[i].offset, expected[i].bytes, dts, composition, expected[i].key),
                0);
            dts += step;
        }
        uint8_t *data;
        size_t bytes;
        assert_int_equal(ch_mp4_tables_finish(&tables, NULL, &some_track, 0, &data, &bytes), 0);
        assert_int_equal(ch_get_be32(data), bytes);
        struct ch_mp4_moov moov = read_good_moov(data, bytes);
        for (size_t i = 0; i < count; i++)
            expected[i].composition_ticks -= lowest; // raised, and the edit list takes it back
        assert_int_equal(moov.media_time_ticks, expected[0].composition_ticks);
        assert_samples(&moov, expected, count);
        free(data);
        free(expected);
        ch_mp4_tables_free(&tables);
    }
}

struct moov_bytes {
    uint8_t *data;
    size_t bytes;
};

static struct moov_bytes moov_of(const int64_t *dts, const int32_t *compositions, size_t count, uint32_t last_duration)
{
    struct ch_mp4_tables tables = {0};
    struct moov_bytes moov;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ch_mp4_tables_add(&tables, 100 * i, 10, dts[i], compositions[i], i == 0), 0);
    assert_int_equal(ch_mp4_tables_finish(&tables, NULL, &some_track, last_duration, &moov.data, &moov.bytes), 0);
    ch_mp4_tables_free(&tables);
    return moov;
}

static void assert_runs(struct moov_bytes moov, const char *type, const uint32_t *expected, size_t count)
{
    const uint8_t *box = find_box(moov.data, moov.bytes, type);
    assert_non_null(box);
    assert_int_equal(ch_get_be32(box), 16 + 8 * count);
    assert_int_equal(ch_get_be32(box + 12), count);
    for (size_t i = 0; i < 2 * count; i++)
        assert_int_equal(ch_get_be32(box + 16 + 4 * i), expected[i]);
}

static void test_tables_fold_runs(void **state)
{
    (void)state;
    const int32_t none[6] = {0};
    const int64_t even[6] = {0, 10, 20, 30, 40, 50};
    struct moov_bytes moov = moov_of(even, none, 6, 10);
    assert_runs(moov, "stts", (uint32_t[]){6, 10}, 1);
    assert_null(find_box(moov.data, moov.bytes, "ctts"));
    assert_null(find_box(moov.data, moov.bytes, "elst"));
    free(moov.data);
    moov = moov_of(even, none, 6, 9);
    assert_runs(moov, "stts", (uint32_t[]){5, 10, 1, 9}, 2);
    free(moov.data);
    moov = moov_of(even, none, 1, 0);
    assert_runs(moov, "stts", (uint32_t[]){1, 1}, 1);
    free(moov.data);
    const int64_t uneven[6] = {5, 15, 25, 26, 36, 37};
    moov = moov_of(uneven, (int32_t[]){0, 0, 7, 7, 0, 9}, 6, 1);
    assert_runs(moov, "stts", (uint32_t[]){2, 10, 1, 1, 1, 10, 2, 1}, 4);
    assert_runs(moov, "ctts", (uint32_t[]){2, 0, 2, 7, 1, 0, 1, 9}, 4);
    free(moov.data);
    moov = moov_of(even, (int32_t[]){-3, 4, -3, 4, 4, 4}, 6, 1);
    assert_runs(moov, "ctts", (uint32_t[]){1, 0, 1, 7, 1, 0, 3, 7}, 4);
    assert_null(find_box(moov.data, moov.bytes, "elst")); // the first picture is composed at 0 as it is
    free(moov.data);
}

// 8.6.6: from the first picture to the end of the one shown last, which is not the last sample.
static void test_edit_list(void **state)
{
    (void)state;
    struct moov_bytes moov = moov_of((int64_t[]){1000, 1010, 1020, 1030}, (int32_t[]){5, 25, -5, -4}, 4, 10);
    const uint8_t *elst = find_box(moov.data, moov.bytes, "elst");
    assert_non_null(elst);
    assert_int_equal(ch_get_be32(elst + 12), 1);
    // Shown at 1005 (the first), 1015, 1026 and 1035 to 1045; the media time is raised by 5.
    assert_int_equal(ch_get_be64(elst + 16), 1045 - 1005);
    assert_int_equal(ch_get_be64(elst + 24), 10);
    assert_int_equal(ch_get_be32(elst + 32), 0x10000);
    const uint8_t *mvhd = find_box(moov.data, moov.bytes, "mvhd"), *tkhd = find_box(moov.data, moov.bytes, "tkhd");
    const uint8_t *mdhd = find_box(moov.data, moov.bytes, "mdhd");
    assert_int_equal(ch_get_be64(mvhd + 32), 40);
    assert_int_equal(ch_get_be64(tkhd + 36), 40);
    assert_int_equal(ch_get_be64(mdhd + 32), 40); // 4 steps of 10
    free(moov.data);
}

static void test_tables_offsets(void **state)
{
    (void)state;
    for (uint64_t large = 0; large < 2; large++) {
        struct ch_mp4_tables tables = {0};
        assert_int_equal(ch_mp4_tables_add(&tables, UINT32_MAX + large, 1, 0, 0, true), 0);
        assert_int_equal(ch_mp4_tables_add(&tables, 77, 1, 1, 0, false), 0);
        struct moov_bytes moov;
        assert_int_equal(ch_mp4_tables_finish(&tables, NULL, &some_track, 1, &moov.data, &moov.bytes), 0);
        assert_true((find_box(moov.data, moov.bytes, "co64") != NULL) == (large == 1));
        assert_true((find_box(moov.data, moov.bytes, "stco") != NULL) == (large == 0));
        struct ch_mp4_moov read = read_good_moov(moov.data, moov.bytes);
        struct ch_mp4_sample sample;
        assert_true(ch_mp4_moov_next(&read, &sample));
        assert_int_equal(sample.offset, UINT32_MAX + large);
        assert_true(ch_mp4_moov_next(&read, &sample));
        assert_int_equal(sample.offset, 77);
        free(moov.data);
        ch_mp4_tables_free(&tables);
    }
}

static void test_tables_refuse(void **state)
{
    (void)state;
    struct ch_mp4_tables tables = {0};
    struct moov_bytes moov;
    assert_int_equal(ch_mp4_tables_finish(&tables, NULL, &some_track, 1, &moov.data, &moov.bytes), -EINVAL);
    assert_int_equal(ch_mp4_tables_add(&tables, 0, 1, INT64_MAX, 0, true), -EINVAL);
    assert_int_equal(ch_mp4_tables_add(&tables, 0, 1, INT64_MIN, 0, true), -EINVAL);
    assert_int_equal(ch_mp4_tables_add(&tables, 0, 1, 0, INT32_MIN, true), -EINVAL);
    assert_int_equal(ch_mp4_tables_add(&tables, 0, 1, 0, INT32_MAX, true), -EINVAL);
    assert_int_equal(ch_mp4_tables_add(&tables, 0, 1, 1000, 0, true), 0);
    assert_int_equal(ch_mp4_tables_add(&tables, 0, 1, 1000, 0, true), -EINVAL);
    assert_int_equal(ch_mp4_tables_add(&tables, 0, 1, 999, 0, true), -EINVAL);
    assert_int_equal(ch_mp4_tables_add(&tables, 0, 1, 1000 + INT64_C(0x100000000), 0, true), -EINVAL);
    assert_int_equal(ch_mp4_tables_add(&tables, 0, 1, 1000 + INT64_C(0xFFFFFFFF), 0, true), 0);
    assert_int_equal(tables.samples, 2); // refused ones left no trace
    assert_int_equal(ch_mp4_tables_finish(&tables, NULL, &some_track, 1, &moov.data, &moov.bytes), 0);
    assert_runs(moov, "stts", (uint32_t[]){1, 0xFFFFFFFF, 1, 1}, 2);
    free(moov.data);
    ch_mp4_tables_free(&tables);
    ch_mp4_tables_free(&tables);
}

// --- damaged moov boxes -------------------------------------------------------------------------------

static size_t drain(struct ch_mp4_moov *moov)
{
    struct ch_mp4_sample sample;
    size_t count = 0;
    while (ch_mp4_moov_next(moov, &sample))
        count++;
    return count;
}

// Every cut, and every byte changed to a few values; what is accepted yields as many samples as it says.
static void test_moov_damaged(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(0);
    size_t bytes, refused = 0;
    uint8_t *data = final_moov(film, &bytes);
    struct ch_mp4_moov moov;
    for (size_t cut_bytes = 0; cut_bytes < bytes; cut_bytes++) {
        struct guard guard = guard_copy(data, cut_bytes);
        assert_int_equal(ch_mp4_read_moov(guard.data, cut_bytes, &moov), -EBADMSG);
        guard_free(&guard);
    }
    struct guard guard = guard_copy(data, bytes);
    for (size_t at = 0; at < bytes; at++) {
        static const uint8_t changes[] = {1, 2, 0x80, 0xFF, 0x0F};
        for (size_t i = 0; i < sizeof changes; i++) {
            guard.data[at] ^= changes[i];
            if (ch_mp4_read_moov(guard.data, bytes, &moov))
                refused++;
            else
                assert_int_equal(drain(&moov), moov.samples);
            guard.data[at] ^= changes[i];
        }
    }
    assert_true(refused > bytes);
    guard_free(&guard);
    free(data);
    free_film(film);
}

static void test_moov_of_init_is_none(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(0);
    struct ch_mp4_moov moov;
    size_t at = CH_MP4_FREE_OFFSET + CH_MP4_FREE_BYTES;
    assert_int_equal(ch_mp4_read_moov(film->data + at, film->ends[0] - at, &moov), -EBADMSG);
    free_film(film);
}

// Writes words into a box of a moov made here, and gives it another type.
static void replace(struct moov_bytes moov, const char *type, const char *new_type, const uint32_t *words, size_t count)
{
    uint8_t *box = moov.data + (find_box(moov.data, moov.bytes, type) - moov.data);
    assert_in_range(8 + 4 * count, 8, ch_get_be32(box));
    memcpy(box + 4, new_type, 4);
    for (size_t i = 0; i < count; i++)
        ch_put_be32(box + 8 + 4 * i, words[i]);
}

static struct moov_bytes copy_moov(struct moov_bytes moov)
{
    struct moov_bytes copy = {.data = malloc(moov.bytes), .bytes = moov.bytes};
    memcpy(copy.data, moov.data, moov.bytes);
    return copy;
}

static struct moov_bytes six_samples(void)
{
    return moov_of((int64_t[]){0, 1, 2, 3, 4, 5}, (int32_t[]){1, 2, 3, 4, 5, 6}, 6, 1);
}

// The tables that other writers make: one size for all, no stss, three chunks (1 sample, 1 sample, 4
// samples), boxes of version 0. The ctts box, which is not needed, makes room for the longer stsc.
static struct moov_bytes foreign_moov(void)
{
    struct moov_bytes moov = six_samples();
    replace(moov, "stsz", "stsz", (uint32_t[]){0, 100, 6}, 3);
    replace(moov, "stss", "free", NULL, 0);
    replace(moov, "stsc", "free", NULL, 0);
    replace(moov, "ctts", "stsc", (uint32_t[]){0, 2, 1, 1, 1, 3, 4, 1}, 8);
    replace(moov, "stco", "stco", (uint32_t[]){0, 3, 1000, 2000, 3000}, 5);
    replace(moov, "mdhd", "mdhd", (uint32_t[]){0, 1, 1, 1000, 6}, 5);
    replace(moov, "elst", "elst", (uint32_t[]){0, 1, 6, 77, 0x10000}, 5);
    return moov;
}

static void test_moov_of_others(void **state)
{
    (void)state;
    struct moov_bytes bytes = foreign_moov();
    struct ch_mp4_moov moov = read_good_moov(bytes.data, bytes.bytes);
    assert_int_equal(moov.timescale, 1000);
    assert_int_equal(moov.media_time_ticks, 77);
    static const uint64_t offsets[6] = {1000, 2000, 3000, 3100, 3200, 3300};
    struct ch_mp4_sample expected[6];
    for (size_t i = 0; i < 6; i++)
        expected[i] = (struct ch_mp4_sample){
            .offset = offsets[i], .bytes = 100, .duration_ticks = 1, .dts_ticks = (int64_t)i, .key = true};
    assert_samples(&moov, expected, 6);
    replace(bytes, "elst", "elst", (uint32_t[]){0, 1, 6, UINT32_MAX, 0x10000}, 5); // an empty edit
    assert_int_equal(read_good_moov(bytes.data, bytes.bytes).media_time_ticks, 0);
    free(bytes.data);
}

struct change {
    const char *type;
    uint32_t words[8];
    size_t count;
    const char *new_type; // NULL: the same
};

// Each change alone must make a good moov a bad one.
static void assert_bad_changes(struct moov_bytes good, const struct change *changes, size_t count)
{
    struct ch_mp4_moov moov;
    assert_int_equal(ch_mp4_read_moov(good.data, good.bytes, &moov), 0);
    for (size_t i = 0; i < count; i++) {
        struct moov_bytes copy = copy_moov(good);
        const char *new_type = changes[i].new_type ? changes[i].new_type : changes[i].type;
        replace(copy, changes[i].type, new_type, changes[i].words, changes[i].count);
        assert_int_equal(ch_mp4_read_moov(copy.data, copy.bytes, &moov), -EBADMSG);
        free(copy.data);
    }
}

static void test_moov_contradictions(void **state)
{
    (void)state;
    static const struct change foreign[] = {
        {"stsc", {0, 2, 1, 1, 1, 3, 5, 1}, 8, NULL},          // 7 samples
        {"stsc", {0, 2, 1, 1, 1, 3, 3, 1}, 8, NULL},          // 5 samples
        {"stsc", {0, 2, 2, 2, 1, 3, 4, 1}, 8, NULL},          // begins with chunk 2
        {"stsc", {0, 2, 1, 1, 1, 5, 4, 1}, 8, NULL},          // chunk 5 of 3
        {"stsc", {0, 2, 1, 1, 1, 1, 2, 1}, 8, NULL},          // does not rise
        {"stsc", {0, 2, 1, 0, 1, 3, 6, 1}, 8, NULL},          // empty chunks
        {"stsc", {0, 2, 1, 0x80000000, 1, 3, 6, 1}, 8, NULL}, // a sum over 2^32
        {"stsc", {0, 0}, 2, NULL},
        {"stsz", {0, 100, 7}, 3, NULL},
        {"stsz", {0, 100, 0}, 3, NULL},
        {"stts", {0, 1, 5, 1}, 4, NULL},
        {"stts", {0, 1, 7, 1}, 4, NULL},
        {"stco", {0, 2, 1000, 2000}, 4, NULL},
        {"stco", {0}, 0, "free"},
        {"stsz", {0}, 0, "free"},
        {"stts", {0}, 0, "free"},
        {"mdhd", {0, 1, 1, 0, 6}, 5, NULL}, // no timescale
        {"elst", {0, 0}, 2, NULL},
        {"avcC", {0}, 0, "free"},
        {"mvhd", {0}, 0, "free"},
    };
    struct moov_bytes good = foreign_moov();
    assert_bad_changes(good, foreign, sizeof foreign / sizeof *foreign);
    free(good.data);

    static const struct change own[] = {
        {"stss", {0, 1, 0}, 3, NULL},                                  // numbers count from 1
        {"stss", {0, 1, 7}, 3, NULL},    {"stss", {0, 2, 1}, 3, NULL}, // overruns its box
        {"ctts", {0, 6}, 2, "co64"},                                   // as well as stco
        {"ctts", {0, 1, 5, 0}, 4, NULL},                               // 5 samples
    };
    good = six_samples();
    assert_bad_changes(good, own, sizeof own / sizeof *own);
    free(good.data);
}

// Two keys in the wrong order.
static void test_moov_keys_rise(void **state)
{
    (void)state;
    struct moov_bytes bytes = six_samples();
    struct ch_mp4_moov moov;
    replace(bytes, "stss", "free", NULL, 0);
    replace(bytes, "ctts", "stss", (uint32_t[]){0, 2, 2, 5}, 4);
    assert_int_equal(ch_mp4_read_moov(bytes.data, bytes.bytes, &moov), 0);
    replace(bytes, "stss", "stss", (uint32_t[]){0, 2, 5, 2}, 4);
    assert_int_equal(ch_mp4_read_moov(bytes.data, bytes.bytes, &moov), -EBADMSG);
    free(bytes.data);
}

// Tables that agree with each other on more samples than there are sizes, or than are allowed.
static void test_moov_many_samples(void **state)
{
    (void)state;
    static const struct {
        uint32_t fixed, samples;
        int result;
    } cases[] = {
        {0, 6, 0}, {0, 7, -EBADMSG}, {1, 7, 0}, {1, 100000000, 0}, {1, 100000001, -EBADMSG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t samples = cases[i].samples;
        struct moov_bytes bytes = six_samples();
        struct ch_mp4_moov moov;
        replace(bytes, "ctts", "free", NULL, 0);
        replace(bytes, "stsz", "stsz", (uint32_t[]){0, cases[i].fixed, samples}, 3);
        replace(bytes, "stts", "stts", (uint32_t[]){0, 1, samples, 1}, 4);
        replace(bytes, "stsc", "stsc", (uint32_t[]){0, 1, 1, samples, 1}, 5);
        replace(bytes, "stco", "stco", (uint32_t[]){0, 1, 1000}, 3);
        assert_int_equal(ch_mp4_read_moov(bytes.data, bytes.bytes, &moov), cases[i].result);
        free(bytes.data);
    }
}

// The last box of all claims more entries than it has; behind it is the guard page.
static void test_moov_table_overruns(void **state)
{
    (void)state;
    struct moov_bytes bytes = six_samples();
    replace(bytes, "stco", "last", (uint32_t[]){0, 100, 0, 0, 0, 0, 0, 0}, 8); // runs of no samples
    replace(bytes, "ctts", "stco", (uint32_t[]){0, 6}, 2);
    replace(bytes, "stts", "free", NULL, 0);
    replace(bytes, "last", "stts", NULL, 0);
    struct guard guard = guard_copy(bytes.data, bytes.bytes);
    struct ch_mp4_moov moov;
    assert_int_equal(ch_mp4_read_moov(guard.data, bytes.bytes, &moov), -EBADMSG);
    guard_free(&guard);
    free(bytes.data);
}

// With mvex it is a moov in front of fragments; with something in front it is no moov.
static void test_moov_neighbours(void **state)
{
    (void)state;
    struct moov_bytes good = six_samples();
    struct ch_mp4_moov moov;
    uint8_t *longer = malloc(good.bytes + 8);
    memcpy(longer, good.data, good.bytes);
    memcpy(longer + good.bytes, "\0\0\0\010mvex", 8);
    assert_int_equal(ch_mp4_read_moov(longer, good.bytes + 8, &moov), 0); // behind it: ignored
    ch_put_be32(longer, (uint32_t)good.bytes + 8);                        // inside it
    assert_int_equal(ch_mp4_read_moov(longer, good.bytes + 8, &moov), -EBADMSG);
    memcpy(longer, "\0\0\0\010free", 8);
    memcpy(longer + 8, good.data, good.bytes);
    assert_int_equal(ch_mp4_read_moov(longer, good.bytes + 8, &moov), -EBADMSG);
    free(longer);
    free(good.data);
}

// --- against ffmpeg -------------------------------------------------------------------------------------

// A stream with B pictures made by ffmpeg now; NULL if there is no ffmpeg or it has no x264.
static uint8_t *make_clip(size_t *size)
{
    const char *ffmpeg = getenv("FFMPEG_BIN");
    char command[1024];
    snprintf(command, sizeof command,
             "%s -nostdin -v quiet -f lavfi -i testsrc2=size=160x120:rate=30 -frames:v 60 -c:v libx264 -bf 2 -g 15 "
             "-threads 1 -pix_fmt yuv420p -f h264 - 2>/dev/null",
             ffmpeg ? ffmpeg : "ffmpeg");
    FILE *pipe = popen(command, "r");
    if (!pipe)
        return NULL;
    uint8_t *data = malloc(4 << 20);
    *size = fread(data, 1, 4 << 20, pipe);
    if (pclose(pipe) == 0 && *size > 0)
        return data;
    free(data);
    return NULL;
}

static void write_temporary(char path[static 64], const uint8_t *data, size_t bytes)
{
    strcpy(path, "/tmp/camhub_test_mp4_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), bytes);
    close(fd);
}

// Every packet as ffprobe sees it: presentation from 0, exact times, sizes and places. Nothing if there is no ffprobe.
// Raised composition offsets make it decode that much earlier, and change nothing else.
static void probe(const struct film *film, const uint8_t *data, size_t bytes, int32_t raise)
{
    char path[64], command[256];
    write_temporary(path, data, bytes);
    snprintf(command, sizeof command,
             "ffprobe -v error -show_entries packet=pts,dts,size,pos,flags -of csv=p=0 %s 2>&1", path);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t seen = 0;
    bool agrees = true;
    char line[256], flags[8];
    while (fgets(line, sizeof line, pipe)) {
        long long pts, dts, size, pos;
        if (sscanf(line, "%lld,%lld,%lld,%lld,%7s", &pts, &dts, &size, &pos, flags) != 5 || seen >= film->frames) {
            fprintf(stderr, "ffprobe: %s", line);
            agrees = false;
            continue;
        }
        const struct ch_mp4_sample *sample = &film->samples[seen++];
        int64_t expected_pts = sample->dts_ticks + sample->composition_ticks - film->samples[0].composition_ticks;
        agrees &= pts == expected_pts && dts == expected_pts - sample->composition_ticks - raise &&
                  size == sample->bytes && (uint64_t)pos == sample->offset && (flags[0] == 'K') == sample->key;
    }
    int status = pclose(pipe);
    unlink(path);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return;
    assert_int_equal(status, 0);
    assert_int_equal(seen, film->frames);
    assert_true(agrees);
}

static void check_film(struct film *film)
{
    assert_scanned(scan_film(film->data, film->bytes, film), CH_MP4_END, film->frames, film->bytes);
    size_t bytes;
    uint8_t *file = finished(film, &bytes);
    struct ch_mp4_moov moov = read_good_moov(file + film->bytes, bytes - film->bytes);
    struct ch_mp4_sample *expected = calloc(film->frames, sizeof *expected);
    int32_t raise = 0;
    for (size_t i = 0; i < film->frames; i++)
        raise = film->samples[i].composition_ticks < -raise ? -film->samples[i].composition_ticks : raise;
    for (size_t i = 0; i < film->frames; i++) {
        expected[i] = film->samples[i];
        expected[i].composition_ticks += raise;
    }
    assert_samples(&moov, expected, film->frames);
    free(expected);
    if (raise == 0) // libavformat shows a fragmented file with negative offsets that much too late
        probe(film, film->data, film->bytes, 0);
    probe(film, file, bytes, raise);
    free(file);
}

static void test_probe_tiny(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(0);
    check_film(film);
    free_film(film);
    film = make_tiny_film(HOUR_TICKS);
    check_film(film);
    free_film(film);
}

// B pictures that are shown before they are decoded: nobody left room for reordering.
static void test_probe_without_delay(void **state)
{
    (void)state;
    size_t size;
    uint8_t *stream = from_hex(tiny_stream, &size);
    struct film *film = make_film(stream, size, HOUR_TICKS, 0);
    assert_true(film->samples[2].composition_ticks < 0);
    check_film(film);
    free_film(film);
    free(stream);
}

static void test_probe_clip(void **state)
{
    (void)state;
    size_t size = 0;
    uint8_t *stream = make_clip(&size);
    if (!stream)
        skip();
    struct film *film = make_film(stream, size, 30 * HOUR_TICKS, 2); // 9.7e9 ticks: beyond 32 bits
    assert_int_equal(film->frames, 60);
    check_film(film);
    for (size_t bytes = film->ends[57]; bytes <= film->bytes; bytes++) {
        size_t whole = 57;
        while (whole < film->frames && bytes >= film->ends[whole + 1])
            whole++;
        assert_scanned(scan_film(film->data, bytes, film), bytes == film->ends[whole] ? CH_MP4_END : CH_MP4_TORN, whole,
                       film->ends[whole]);
    }
    free_film(film);
    free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_init_capacity),
        cmocka_unit_test(test_init_sizes),
        cmocka_unit_test(test_fragment_fields),
        cmocka_unit_test(test_moov_of_film),
        cmocka_unit_test(test_tables_random),
        cmocka_unit_test(test_tables_fold_runs),
        cmocka_unit_test(test_edit_list),
        cmocka_unit_test(test_tables_offsets),
        cmocka_unit_test(test_tables_refuse),
        cmocka_unit_test(test_moov_damaged),
        cmocka_unit_test(test_moov_of_init_is_none),
        cmocka_unit_test(test_moov_of_others),
        cmocka_unit_test(test_moov_contradictions),
        cmocka_unit_test(test_moov_keys_rise),
        cmocka_unit_test(test_moov_many_samples),
        cmocka_unit_test(test_moov_table_overruns),
        cmocka_unit_test(test_moov_neighbours),
        cmocka_unit_test(test_probe_tiny),
        cmocka_unit_test(test_probe_without_delay),
        cmocka_unit_test(test_probe_clip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
