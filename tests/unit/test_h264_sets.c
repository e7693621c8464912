// What follows from parameter sets and slice headers: the order of pictures, how far it may differ from
// decoding order, what browsers are told; and all of it on real clips where they are present.
#include "h264_maker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "codec/h264_sets.h"

// --- picture order count --------------------------------------------------------------------------

static int32_t next_poc(struct ch_h264_poc *poc, const struct ch_h264_sps *sps, bool idr, unsigned ref, uint32_t value)
{
    struct ch_h264_slice slice = {.idr = idr, .nal_ref_idc = (uint8_t)ref};
    if (sps->poc_type == 0)
        slice.poc_lsb = value;
    else
        slice.frame_num = value;
    return ch_h264_poc_next(poc, sps, &slice);
}

// 8.2.1.1 with 16 values of the low bits: over the top, back, and only reference pictures count.
static void test_poc_type0(void **state)
{
    (void)state;
    const struct ch_h264_sps sps = {.poc_type = 0, .log2_max_poc_lsb = 4};
    struct ch_h264_poc poc = {0};
    assert_int_equal(next_poc(&poc, &sps, true, 1, 0), 0);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 6), 6);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 12), 12);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 2), 18);
    assert_int_equal(next_poc(&poc, &sps, false, 0, 14), 14); // a B picture from before the wrap
    assert_int_equal(next_poc(&poc, &sps, false, 0, 0), 16);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 8), 24);
    assert_int_equal(next_poc(&poc, &sps, true, 1, 4), 4); // IDR: starts again
    assert_int_equal(next_poc(&poc, &sps, false, 1, 6), 6);

    struct ch_h264_slice slice = {.nal_ref_idc = 1, .poc_lsb = 8, .delta_poc_bottom = -1};
    assert_int_equal(ch_h264_poc_next(&poc, &sps, &slice), 7); // the bottom field comes first
    slice.delta_poc_bottom = 1;
    assert_int_equal(ch_h264_poc_next(&poc, &sps, &slice), 8);
    slice = (struct ch_h264_slice){.nal_ref_idc = 1, .poc_lsb = 11, .field_pic = true, .bottom_field = true};
    assert_int_equal(ch_h264_poc_next(&poc, &sps, &slice), 11);
}

// The boundary itself: "a half or more" down, "more than a half" up.
static void test_poc_type0_boundary(void **state)
{
    (void)state;
    const struct ch_h264_sps sps = {.poc_type = 0, .log2_max_poc_lsb = 4};
    struct ch_h264_poc poc = {.prev_msb = 32, .prev_lsb = 8};
    assert_int_equal(next_poc(&poc, &sps, false, 0, 0), 48);
    assert_int_equal(next_poc(&poc, &sps, false, 0, 1), 33);
    poc = (struct ch_h264_poc){.prev_msb = 32, .prev_lsb = 4};
    assert_int_equal(next_poc(&poc, &sps, false, 0, 12), 44);
    assert_int_equal(next_poc(&poc, &sps, false, 0, 13), 29);
}

// 8.2.1.2: I P b b P b b, the pattern +2 +4 of reference pictures, b pictures 3 back.
static void test_poc_type1(void **state)
{
    (void)state;
    struct ch_h264_sps sps = {.poc_type = 1,
                              .log2_max_frame_num = 4,
                              .poc_cycle_length = 2,
                              .offset_for_ref_frame = {2, 4},
                              .offset_for_non_ref_pic = -3,
                              .offset_for_top_to_bottom = 1};
    struct ch_h264_poc poc = {0};
    assert_int_equal(next_poc(&poc, &sps, true, 1, 0), 0);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 1), 2);
    assert_int_equal(next_poc(&poc, &sps, false, 0, 2), -1); // frame 1 of the pattern: 2 - 3
    assert_int_equal(next_poc(&poc, &sps, false, 1, 2), 6);
    assert_int_equal(next_poc(&poc, &sps, false, 0, 3), 3);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 3), 8);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 15), 44); // 7 whole cycles, and one more
    assert_int_equal(next_poc(&poc, &sps, false, 1, 0), 48);  // frame_num went over the top: 16
    assert_int_equal(next_poc(&poc, &sps, false, 1, 1), 50);

    struct ch_h264_slice slice = {.nal_ref_idc = 1, .frame_num = 1, .delta_poc = {5, -9}};
    assert_int_equal(ch_h264_poc_next(&poc, &sps, &slice), 47); // 50 + 5 + 1 - 9
    slice = (struct ch_h264_slice){.nal_ref_idc = 1, .frame_num = 1, .field_pic = true, .delta_poc = {5}};
    assert_int_equal(ch_h264_poc_next(&poc, &sps, &slice), 55);
    slice.bottom_field = true;
    assert_int_equal(ch_h264_poc_next(&poc, &sps, &slice), 56);

    sps.poc_cycle_length = 0;
    assert_int_equal(next_poc(&poc, &sps, true, 1, 0), 0);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 9), 0);
    assert_int_equal(next_poc(&poc, &sps, false, 0, 10), -3);
}

static void test_poc_type2(void **state)
{
    (void)state;
    const struct ch_h264_sps sps = {.poc_type = 2, .log2_max_frame_num = 4};
    struct ch_h264_poc poc = {0};
    assert_int_equal(next_poc(&poc, &sps, true, 1, 0), 0);
    assert_int_equal(next_poc(&poc, &sps, false, 0, 1), 1);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 1), 2);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 2), 4);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 15), 30);
    assert_int_equal(next_poc(&poc, &sps, false, 0, 0), 31);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 0), 32);
    assert_int_equal(next_poc(&poc, &sps, true, 1, 0), 0);
    assert_int_equal(next_poc(&poc, &sps, false, 1, 1), 2);
}

// A stream that steps on for ever must only not trap (the sanitizer build tells).
static void test_poc_wraps(void **state)
{
    (void)state;
    struct ch_h264_sps sps = {.poc_type = 0,
                              .log2_max_poc_lsb = 16,
                              .log2_max_frame_num = 16,
                              .poc_cycle_length = 1,
                              .offset_for_ref_frame = {INT32_MAX},
                              .offset_for_non_ref_pic = INT32_MAX};
    for (sps.poc_type = 0; sps.poc_type <= 2; sps.poc_type++) {
        struct ch_h264_poc poc = {0};
        int32_t last = 0;
        for (uint32_t i = 0; i < 140000; i++)
            last = next_poc(&poc, &sps, false, 1, (2 - i % 3) * 32767);
        assert_int_not_equal(last, 1);
    }
}

// --- what a set says ------------------------------------------------------------------------------

static void test_reorder_depth(void **state)
{
    (void)state;
    struct ch_h264_sps sps = {.profile_idc = 77,
                              .level_idc = 31,
                              .poc_type = 0,
                              .max_num_ref_frames = 4,
                              .coded_width = 1280,
                              .coded_height = 720,
                              .max_num_reorder_frames = -1};
    assert_int_equal(ch_h264_reorder_depth(&sps), 4); // 18000 / 3600 = 5 frames, but 4 references
    sps.max_num_ref_frames = 16;
    assert_int_equal(ch_h264_reorder_depth(&sps), 5);
    sps.max_num_ref_frames = 0;
    assert_int_equal(ch_h264_reorder_depth(&sps), 1);
    sps.max_num_reorder_frames = 2;
    assert_int_equal(ch_h264_reorder_depth(&sps), 2);
    sps.poc_type = 2;
    assert_int_equal(ch_h264_reorder_depth(&sps), 0);
    sps.poc_type = 0;
    sps.max_num_reorder_frames = -1;
    sps.profile_idc = 66;
    assert_int_equal(ch_h264_reorder_depth(&sps), 0);
    sps.profile_idc = 100;
    sps.constraint_flags = 0x10;
    assert_int_equal(ch_h264_reorder_depth(&sps), 0);
    sps.constraint_flags = 0;
    sps.level_idc = 99;
    sps.max_num_ref_frames = 16;
    sps.coded_width = sps.coded_height = 16;
    assert_int_equal(ch_h264_reorder_depth(&sps), 16);
    sps.coded_width = sps.coded_height = 16384;
    sps.level_idc = 10;
    assert_int_equal(ch_h264_reorder_depth(&sps), 0); // not even one picture fits
}

// Table A-1 in pictures of 176x144 (99 macroblocks).
static void test_reorder_levels(void **state)
{
    (void)state;
    static const struct {
        uint8_t level, flags;
        unsigned frames;
    } cases[] = {
        {9, 0, 4}, {10, 0, 4}, {11, 0x10, 4}, {11, 0, 9}, {12, 0, 16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ch_h264_sps sps = {.profile_idc = 77,
                                  .level_idc = cases[i].level,
                                  .constraint_flags = cases[i].flags,
                                  .max_num_ref_frames = 16,
                                  .coded_width = 176,
                                  .coded_height = 144,
                                  .max_num_reorder_frames = -1};
        assert_int_equal(ch_h264_reorder_depth(&sps), cases[i].frames);
    }
    static const struct {
        uint8_t level;
        unsigned frames;
    } large[] = {
        // in 1920x1088: 8160 macroblocks
        {21, 0}, {22, 0}, {30, 0}, {31, 2}, {32, 2}, {40, 4}, {41, 4}, {42, 4}, {50, 13}, {51, 16}, {52, 16}, {60, 16},
    };
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        struct ch_h264_sps sps = {.profile_idc = 77,
                                  .level_idc = large[i].level,
                                  .max_num_ref_frames = 16,
                                  .coded_width = 1920,
                                  .coded_height = 1088,
                                  .max_num_reorder_frames = -1};
        assert_int_equal(ch_h264_reorder_depth(&sps), large[i].frames);
    }
}

static void test_codec_string(void **state)
{
    (void)state;
    char text[CH_H264_CODEC_STRING_BYTES];
    ch_h264_codec_string(&(struct ch_h264_sps){.profile_idc = 66, .constraint_flags = 0xC0, .level_idc = 30}, text);
    assert_string_equal(text, "avc1.42C01E");
    ch_h264_codec_string(&(struct ch_h264_sps){.profile_idc = 0, .constraint_flags = 0, .level_idc = 9}, text);
    assert_string_equal(text, "avc1.000009");
}

static void test_avcc(void **state)
{
    (void)state;
    static const uint8_t a[] = {0x67, 1, 2}, b[] = {0x67, 9}, c[] = {0x68, 5, 5, 5};
    const struct ch_h264_bytes sps[] = {{a, 3}, {b, 2}}, pps[] = {{c, 4}};
    struct ch_h264_sps first = {.profile_idc = 77,
                                .constraint_flags = 0x40,
                                .level_idc = 31,
                                .chroma_format_idc = 1,
                                .bit_depth_luma = 8,
                                .bit_depth_chroma = 8};
    static const uint8_t expected[] = {1,    77, 0x40, 31, 0xFF, 0xE2, 0, 3, 0x67, 1,    2,    0,    2,
                                       0x67, 9,  1,    0,  4,    0x68, 5, 5, 5,    0xFE, 0xFA, 0xFE, 0};
    uint8_t out[sizeof expected];
    memset(out, 0xEE, sizeof out);
    assert_int_equal(ch_h264_write_avcc(&first, sps, 2, pps, 1, NULL, 0), 22);
    assert_int_equal(ch_h264_write_avcc(&first, sps, 2, pps, 1, out, 21), 22);
    assert_int_equal(out[0], 0xEE); // did not fit, so nothing was written
    assert_int_equal(ch_h264_write_avcc(&first, sps, 2, pps, 1, out, 22), 22);
    assert_memory_equal(out, expected, 22);
    assert_int_equal(out[22], 0xEE);

    first.profile_idc = 110; // 5.3.3.1.2: with four more bytes
    first.chroma_format_idc = 2;
    first.bit_depth_luma = 10;
    first.bit_depth_chroma = 14;
    assert_int_equal(ch_h264_write_avcc(&first, sps, 2, pps, 1, out, sizeof out), sizeof out);
    assert_int_equal(out[1], 110);
    assert_memory_equal(out + 2, expected + 2, 20);
    assert_memory_equal(out + 22, ((uint8_t[]){0xFE, 0xFA, 0xFE, 0}), 4);
}

static void test_avcc_limits(void **state)
{
    (void)state;
    static const uint8_t bytes[65536] = {0x67};
    struct ch_h264_bytes many[256];
    for (size_t i = 0; i < 256; i++)
        many[i] = (struct ch_h264_bytes){bytes, 1};
    const struct ch_h264_sps first = {.profile_idc = 66};
    assert_int_equal(ch_h264_write_avcc(&first, many, 31, many, 255, NULL, 0), 7 + 31 * 3 + 255 * 3);
    assert_int_equal(ch_h264_write_avcc(&first, many, 32, many, 1, NULL, 0), 0);
    assert_int_equal(ch_h264_write_avcc(&first, many, 1, many, 256, NULL, 0), 0);
    assert_int_equal(ch_h264_write_avcc(&first, many, 0, many, 1, NULL, 0), 0);
    assert_int_equal(ch_h264_write_avcc(&first, many, 1, many, 0, NULL, 0), 10);
    many[0].size = 65535;
    assert_int_equal(ch_h264_write_avcc(&first, many, 1, many + 1, 1, NULL, 0), 7 + 65537 + 3);
    many[0].size = 65536;
    assert_int_equal(ch_h264_write_avcc(&first, many, 1, many + 1, 1, NULL, 0), 0);
    assert_int_equal(ch_h264_write_avcc(&first, many + 1, 1, many, 1, NULL, 0), 0);
}

// --- sets of one stream ---------------------------------------------------------------------------

static int put(struct ch_h264_sets *sets, const struct unit *unit)
{
    struct guard guard = guard_copy(unit->data, unit->size);
    int result = ch_h264_sets_put(sets, guard.data, unit->size);
    guard_free(&guard);
    return result;
}

static void test_sets_put(void **state)
{
    (void)state;
    struct ch_h264_sets *sets = ch_h264_sets_new();
    assert_non_null(sets);
    struct recipe recipe = BASELINE;
    recipe.id = 3;
    struct unit sps = make_sps(&recipe), pps = make_pps(9, 3, false);
    assert_null(ch_h264_sets_sps(sets, 3));
    assert_int_equal(put(sets, &pps), CH_SETS_NEW);
    assert_int_equal(put(sets, &sps), CH_SETS_NEW);
    assert_int_equal(put(sets, &sps), CH_SETS_SAME);
    assert_int_equal(put(sets, &pps), CH_SETS_SAME);
    assert_int_equal(ch_h264_sets_sps(sets, 3)->width, 320);
    recipe.width_mbs = 40;
    sps = make_sps(&recipe);
    assert_int_equal(put(sets, &sps), CH_SETS_CHANGED);
    assert_int_equal(ch_h264_sets_sps(sets, 3)->width, 640);
    assert_int_equal(ch_h264_sets_pps(sets, 9)->sps_id, 3); // its PPS stays

    struct unit broken = sps;
    broken.size = 4;
    assert_int_equal(put(sets, &broken), -EBADMSG);
    broken.size = 0;
    assert_int_equal(put(sets, &broken), -EINVAL);
    broken = (struct unit){.data = {0x65, 0x88}, .size = 2};
    assert_int_equal(put(sets, &broken), -EINVAL);
    sps.data[sps.size - 1] = 0xFF;
    sps.size = 4096;
    assert_int_equal(put(sets, &sps), CH_SETS_CHANGED);
    sps.size = 4097;
    assert_int_equal(put(sets, &sps), -E2BIG);
    assert_null(ch_h264_sets_sps(sets, 32));
    assert_null(ch_h264_sets_pps(sets, 256));
    assert_null(ch_h264_sets_pps(sets, 0));
    ch_h264_sets_free(sets);
    ch_h264_sets_free(NULL);
}

static void test_sets_slice(void **state)
{
    (void)state;
    struct ch_h264_sets *sets = ch_h264_sets_new();
    struct maker maker = begin(0x65);
    ue(&maker, 0);
    ue(&maker, 7);
    ue(&maker, 9);
    u(&maker, 4, 0);
    ue(&maker, 1);
    struct unit slice_unit = finish(&maker), pps = make_pps(9, 3, false);
    struct ch_h264_slice slice;
    const struct ch_h264_sps *in_force = NULL;
    assert_int_equal(ch_h264_sets_slice(sets, slice_unit.data, slice_unit.size, &slice, &in_force), -ENOENT);
    assert_int_equal(put(sets, &pps), CH_SETS_NEW);
    assert_int_equal(ch_h264_sets_slice(sets, slice_unit.data, slice_unit.size, &slice, &in_force), -ENOENT);
    struct recipe recipe = BASELINE;
    recipe.id = 3;
    struct unit sps = make_sps(&recipe);
    assert_int_equal(put(sets, &sps), CH_SETS_NEW);
    assert_int_equal(ch_h264_sets_slice(sets, slice_unit.data, slice_unit.size, &slice, &in_force), 0);
    assert_ptr_equal(in_force, ch_h264_sets_sps(sets, 3));
    assert_int_equal(slice.idr_pic_id, 1);
    assert_int_equal(ch_h264_sets_slice(sets, slice_unit.data, slice_unit.size, &slice, NULL), 0);
    assert_int_equal(ch_h264_sets_slice(sets, slice_unit.data, 2, &slice, NULL), -EBADMSG);
    assert_int_equal(ch_h264_sets_slice(sets, slice_unit.data, 0, &slice, NULL), -EBADMSG);
    ch_h264_sets_free(sets);
}

static void test_sets_avcc(void **state)
{
    (void)state;
    struct ch_h264_sets *sets = ch_h264_sets_new();
    struct recipe recipe = BASELINE;
    struct unit sps[3], pps[3];
    for (uint32_t i = 0; i < 3; i++) {
        recipe.id = i;
        recipe.level = (uint8_t)(30 + i);
        sps[i] = make_sps(&recipe);
        pps[i] = make_pps(i, i, false);
    }
    assert_int_equal(put(sets, &sps[0]), CH_SETS_NEW);
    assert_int_equal(put(sets, &sps[1]), CH_SETS_NEW);
    assert_int_equal(put(sets, &pps[1]), CH_SETS_NEW);
    assert_int_equal(put(sets, &pps[2]), CH_SETS_NEW); // its SPS is not known, so it is left out
    uint8_t out[256];
    assert_int_equal(ch_h264_sets_avcc(sets, 2, out, sizeof out), 0);
    size_t bytes = ch_h264_sets_avcc(sets, 1, out, sizeof out);
    assert_int_equal(bytes, 7 + 2 + sps[1].size + 2 + sps[0].size + 2 + pps[1].size);
    assert_int_equal(out[3], 31); // the level of the SPS asked for, which comes first
    assert_int_equal(out[5], 0xE2);
    assert_memory_equal(out + 8, sps[1].data, sps[1].size);
    assert_memory_equal(out + 8 + sps[1].size + 2, sps[0].data, sps[0].size);
    assert_int_equal(out[8 + sps[1].size + 2 + sps[0].size], 1);
    assert_memory_equal(out + bytes - pps[1].size, pps[1].data, pps[1].size);
    ch_h264_sets_free(sets);
}

// --- real clips -----------------------------------------------------------------------------------

static const char *clip_folder(void)
{
    const char *folder = getenv("CAMHUB_TEST_DATA");
#ifdef CAMHUB_TEST_DATA
    if (!folder)
        folder = CAMHUB_TEST_DATA;
#endif
    return folder;
}

// NULL if the clip is not there.
static uint8_t *read_clip(const char *name, size_t *size)
{
    char path[4096];
    const char *folder = clip_folder();
    if (!folder)
        return NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    uint8_t *data = malloc(8 << 20);
    assert_non_null(data);
    *size = fread(data, 1, 8 << 20, file);
    fclose(file);
    return data;
}

struct clip_facts {
    size_t pictures, idr_pictures;
    struct ch_h264_sps sps; // of the first picture
    int32_t poc[64];
};

static struct clip_facts read_facts(const uint8_t *data, size_t size)
{
    struct clip_facts facts = {0};
    struct ch_h264_sets *sets = ch_h264_sets_new();
    struct ch_h264_poc poc = {0};
    struct ch_h264_slice last = {0};
    struct ch_nal nal;
    for (size_t pos = 0; ch_annexb_next(data, size, &pos, &nal);) {
        const uint8_t *unit = data + nal.offset;
        unsigned type = ch_nal_type(unit);
        if (type == CH_NAL_SPS || type == CH_NAL_PPS)
            assert_true(ch_h264_sets_put(sets, unit, nal.size) >= 0);
        if (type != CH_NAL_SLICE && type != CH_NAL_IDR)
            continue;
        struct ch_h264_slice slice;
        const struct ch_h264_sps *sps;
        assert_int_equal(ch_h264_sets_slice(sets, unit, nal.size, &slice, &sps), 0);
        if (facts.pictures == 0)
            facts.sps = *sps;
        if (facts.pictures == 0 || ch_h264_new_picture(&last, &slice)) {
            int32_t order = ch_h264_poc_next(&poc, sps, &slice);
            if (facts.pictures < 64)
                facts.poc[facts.pictures] = order;
            facts.pictures++;
            facts.idr_pictures += slice.idr;
        }
        last = slice;
    }
    ch_h264_sets_free(sets);
    return facts;
}

// What ffprobe says of the same clips: size, pictures, and (for the codec string) profile and level.
static void test_clips(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t width, height, coded_width, coded_height;
        size_t pictures, idr_pictures;
        const char *codec;
        unsigned depth;
    } clips[] = {
        {"Adobe_PDF_sample_a_1024x768_50Frms.264", 1024, 768, 1024, 768, 50, 1, "avc1.42C01F", 0},
        {"CVFC1_Sony_C.jsv", 300, 168, 352, 288, 50, 1, "avc1.42E01F", 0},
        {"VID_1280x720_cavlc_temporal_direct.264", 1280, 720, 1280, 720, 300, 2, "avc1.64001F", 2},
        {"Cisco_Men_whisper_640x320_CABAC_Bframe_9.264", 640, 320, 640, 320, 9, 2, "avc1.4D0034", 5},
        {"CI1_FT_B.264", 352, 288, 352, 288, 291, 2, "avc1.42E014", 0},
        {"MIDR_MW_D.264", 176, 144, 176, 144, 100, 2, "avc1.42E00A", 0},
        {"MPS_MW_A.264", 176, 144, 176, 144, 150, 5, "avc1.42E00B", 0},
        {"test_qcif_cabac.264", 176, 144, 176, 144, 30, 1, "avc1.4D0033", 1},
    };
    for (size_t i = 0; i < sizeof clips / sizeof *clips; i++) {
        size_t size = 0;
        uint8_t *data = read_clip(clips[i].name, &size);
        if (!data) // they are not here
            return;
        struct clip_facts facts = read_facts(data, size);
        char codec[CH_H264_CODEC_STRING_BYTES];
        ch_h264_codec_string(&facts.sps, codec);
        assert_int_equal(facts.sps.width, clips[i].width);
        assert_int_equal(facts.sps.height, clips[i].height);
        assert_int_equal(facts.sps.coded_width, clips[i].coded_width);
        assert_int_equal(facts.sps.coded_height, clips[i].coded_height);
        assert_int_equal(facts.pictures, clips[i].pictures);
        assert_int_equal(facts.idr_pictures, clips[i].idr_pictures);
        assert_string_equal(codec, clips[i].codec);
        assert_int_equal(ch_h264_reorder_depth(&facts.sps), clips[i].depth);
        free(data);
    }
}

// The order in which ffprobe shows the pictures: position in output order, by decoding order.
static void test_clip_order(void **state)
{
    (void)state;
    static const int32_t shown_at[] = {0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11, 16, 14, 13, 15, 20, 18, 17, 19, 24};
    size_t size = 0;
    uint8_t *data = read_clip("VID_1280x720_cavlc_temporal_direct.264", &size);
    if (!data) // it is not here
        return;
    struct clip_facts facts = read_facts(data, size);
    for (size_t i = 0; i < sizeof shown_at / sizeof *shown_at; i++)
        assert_int_equal(facts.poc[i], 2 * shown_at[i]);
    assert_int_equal(facts.sps.num_units_in_tick, 1);
    assert_int_equal(facts.sps.time_scale, 60);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_poc_type0),      cmocka_unit_test(test_poc_type0_boundary),
        cmocka_unit_test(test_poc_type1),      cmocka_unit_test(test_poc_type2),
        cmocka_unit_test(test_poc_wraps),      cmocka_unit_test(test_reorder_depth),
        cmocka_unit_test(test_reorder_levels), cmocka_unit_test(test_codec_string),
        cmocka_unit_test(test_avcc),           cmocka_unit_test(test_avcc_limits),
        cmocka_unit_test(test_sets_put),       cmocka_unit_test(test_sets_slice),
        cmocka_unit_test(test_sets_avcc),      cmocka_unit_test(test_clips),
        cmocka_unit_test(test_clip_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
