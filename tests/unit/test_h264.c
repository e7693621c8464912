// NAL units, parameter sets and slice headers: against bit strings made field by field, against a naive
// search, and on a guard page.
#include "h264_maker.h"

#include <errno.h>
#include "codec/h264_bits.h"

// --- byte streams ---------------------------------------------------------------------------------

static void assert_nal(const uint8_t *data, size_t size, size_t *pos, size_t offset, size_t bytes, size_t prefix)
{
    struct ch_nal nal;
    assert_true(ch_annexb_next(data, size, pos, &nal));
    assert_int_equal(nal.offset, offset);
    assert_int_equal(nal.size, bytes);
    assert_int_equal(nal.prefix, prefix);
    assert_int_equal(*pos, offset + bytes);
}

static void assert_no_nal(const uint8_t *data, size_t size, size_t *pos)
{
    struct ch_nal nal;
    assert_false(ch_annexb_next(data, size, pos, &nal));
    assert_int_equal(*pos, size);
    assert_false(ch_annexb_next(data, size, pos, &nal));
}

static void test_annexb_finds_units(void **state)
{
    (void)state;
    static const uint8_t stream[] = {0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 0, 0, 3, 0, 0, 0, 0, 1, 0x65, 0, 9, 0, 0};
    size_t pos = 0;
    assert_nal(stream, sizeof stream, &pos, 4, 3, 4);
    assert_nal(stream, sizeof stream, &pos, 10, 4, 3);
    assert_nal(stream, sizeof stream, &pos, 19, 3, 5);
    assert_no_nal(stream, sizeof stream, &pos);
}

static void test_annexb_edges(void **state)
{
    (void)state;
    static const uint8_t garbage[] = {7, 7, 0, 0, 1, 0x41};
    size_t pos = 0;
    assert_nal(garbage, sizeof garbage, &pos, 5, 1, 5);
    assert_no_nal(garbage, sizeof garbage, &pos);

    // Empty NAL units are skipped; the next prefix takes their start codes along.
    static const uint8_t empty[] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0x41, 0, 0, 1};
    pos = 0;
    assert_nal(empty, sizeof empty, &pos, 11, 1, 11);
    assert_no_nal(empty, sizeof empty, &pos);

    // Three zeros end nothing.
    static const uint8_t zeros[] = {0, 0, 1, 0x41, 0, 0, 0, 5, 0, 0, 2, 6};
    pos = 0;
    assert_nal(zeros, sizeof zeros, &pos, 3, 9, 3);
    assert_no_nal(zeros, sizeof zeros, &pos);

    static const uint8_t none[] = {0, 0, 2, 0, 0, 0, 0};
    pos = 0;
    assert_no_nal(none, sizeof none, &pos);
    pos = 0;
    assert_no_nal(none, 0, &pos);
    pos = 99;
    assert_no_nal(none, 0, &(size_t){0});
    struct ch_nal nal;
    assert_false(ch_annexb_next(none, sizeof none, &pos, &nal));
}

static size_t naive_start_code(const uint8_t *data, size_t size, size_t at)
{
    for (; at + 3 <= size; at++) {
        if (data[at] == 0 && data[at + 1] == 0 && data[at + 2] == 1)
            return at;
    }
    return size;
}

// The definition, byte by byte.
static bool naive_next(const uint8_t *data, size_t size, size_t *pos, struct ch_nal *nal)
{
    size_t begin_at = *pos;
    for (size_t code = naive_start_code(data, size, begin_at); code < size;) {
        size_t next = naive_start_code(data, size, code + 3), end = next;
        while (end > code + 3 && data[end - 1] == 0)
            end--;
        if (end > code + 3) {
            *nal = (struct ch_nal){.offset = code + 3, .size = end - code - 3, .prefix = code + 3 - begin_at};
            *pos = end;
            return true;
        }
        code = next;
    }
    *pos = size;
    return false;
}

static size_t compare_with_naive(const uint8_t *data, size_t size)
{
    size_t pos = 0, naive_pos = 0, found = 0;
    for (;; found++) {
        struct ch_nal nal = {0}, naive = {0};
        bool more = ch_annexb_next(data, size, &pos, &nal);
        assert_int_equal(more, naive_next(data, size, &naive_pos, &naive));
        assert_int_equal(pos, naive_pos);
        if (!more)
            return found;
        assert_int_equal(nal.offset, naive.offset);
        assert_int_equal(nal.size, naive.size);
        assert_int_equal(nal.prefix, naive.prefix);
    }
}

static uint32_t next_random(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

// Every length and so every place of the end relative to the 16-byte steps; few values, so that start
// codes, zeros and near misses abound.
static void test_annexb_as_defined(void **state)
{
    (void)state;
    uint32_t random = 1;
    size_t found = 0;
    for (size_t round = 0; round < 3000; round++) {
        uint8_t data[150];
        size_t size = round % sizeof data;
        uint32_t zeros = 1 + next_random(&random) % 7;
        for (size_t i = 0; i < size; i++) {
            uint32_t r = next_random(&random) % 8;
            data[i] = r < zeros ? 0 : (uint8_t[]){1, 1, 2, 3, 0xFF, 0x65, 0x80, 1}[r];
        }
        struct guard guard = guard_copy(data, size);
        found += compare_with_naive(guard.data, size);
        guard_free(&guard);
    }
    assert_true(found > 5000);
}

// A start code at every position of a longer buffer, seen from every start.
static void test_annexb_every_position(void **state)
{
    (void)state;
    for (size_t at = 0; at < 70; at++) {
        uint8_t data[74];
        memset(data, 0xAA, sizeof data);
        memcpy(data + at, (uint8_t[]){0, 0, 1}, 3);
        struct guard guard = guard_copy(data, sizeof data);
        for (size_t from = 0; from < sizeof data; from++) {
            size_t pos = from;
            struct ch_nal nal;
            bool found = ch_annexb_next(guard.data, sizeof data, &pos, &nal);
            assert_int_equal(found, from <= at);
            if (found)
                assert_int_equal(nal.offset, at + 3);
        }
        guard_free(&guard);
    }
}

static void test_sample_types(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 32; type++)
        assert_int_equal(ch_nal_in_sample(type), type < 7 || type > 13);
    assert_int_equal(ch_nal_type((const uint8_t[]){0xE5}), 5);
}

// --- bits -----------------------------------------------------------------------------------------

static void test_bits_codes(void **state)
{
    (void)state;
    static const uint32_t values[] = {0, 1, 2, 3, 4, 5, 254, 255, 65534, 0x7FFFFFFE, 0x80000000, 0xFFFFFFFE};
    struct maker maker = begin(0x67);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        ue(&maker, values[i]);
    static const int32_t signs[] = {0, 1, -1, 2, -2, 127, -128, INT32_MAX, -INT32_MAX};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        se(&maker, signs[i]);
    u(&maker, 32, 0xDEADBEEF);
    struct unit unit = finish(&maker);
    struct ch_bits bits = ch_bits_of_nal(unit.data, unit.size);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_int_equal(ch_bits_ue(&bits), values[i]);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        assert_int_equal(ch_bits_se(&bits), signs[i]);
    assert_int_equal(ch_bits_u(&bits, 32), 0xDEADBEEF);
    assert_false(bits.failed);
    ch_bits_u(&bits, 9); // the stop bit and less than a byte are left
    assert_true(bits.failed);
    assert_int_equal(ch_bits_u(&bits, 1), 0);
    assert_true(bits.failed);
}

static void test_bits_emulation(void **state)
{
    (void)state;
    // 00 00 03 is followed by what it protects; 00 03 and 03 alone are data, and so is the 04.
    static const uint8_t nal[] = {0x67, 0, 0, 3, 0, 0, 3, 1, 0, 3, 4, 3};
    struct ch_bits bits = ch_bits_of_nal(nal, sizeof nal);
    static const uint8_t rbsp[] = {0, 0, 0, 0, 1, 0, 3, 4, 3};
    for (size_t i = 0; i < sizeof rbsp; i++)
        assert_int_equal(ch_bits_u(&bits, 8), rbsp[i]);
    assert_false(bits.failed);
    assert_int_equal(ch_bits_u(&bits, 1), 0);
    assert_true(bits.failed);

    static const uint8_t too_long[] = {0x67, 0, 0, 3, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    bits = ch_bits_of_nal(too_long, sizeof too_long); // 32 zeros: no ue(v) has them
    assert_int_equal(ch_bits_ue(&bits), 0);
    assert_true(bits.failed);
}

// --- sequence parameter sets ----------------------------------------------------------------------

static int parse_sps(const struct unit *unit, struct ch_h264_sps *sps)
{
    struct guard guard = guard_copy(unit->data, unit->size);
    int result = ch_h264_parse_sps(guard.data, unit->size, sps);
    guard_free(&guard);
    return result;
}

static struct ch_h264_sps good_sps(const struct recipe *recipe)
{
    struct unit unit = make_sps(recipe);
    struct ch_h264_sps sps;
    assert_int_equal(parse_sps(&unit, &sps), 0);
    return sps;
}

static void assert_bad_sps(const struct recipe *recipe)
{
    struct unit unit = make_sps(recipe);
    struct ch_h264_sps sps;
    assert_int_equal(parse_sps(&unit, &sps), -EBADMSG);
}

static void test_sps_baseline(void **state)
{
    (void)state;
    struct recipe recipe = BASELINE;
    recipe.id = 31;
    struct ch_h264_sps sps = good_sps(&recipe);
    assert_int_equal(sps.id, 31);
    assert_int_equal(sps.profile_idc, 66);
    assert_int_equal(sps.constraint_flags, 0xC0);
    assert_int_equal(sps.level_idc, 30);
    assert_int_equal(sps.chroma_format_idc, 1);
    assert_int_equal(sps.bit_depth_luma, 8);
    assert_int_equal(sps.bit_depth_chroma, 8);
    assert_true(sps.frame_mbs_only);
    assert_int_equal(sps.log2_max_frame_num, 4);
    assert_int_equal(sps.poc_type, 2);
    assert_int_equal(sps.max_num_ref_frames, 1);
    assert_int_equal(sps.coded_width, 320);
    assert_int_equal(sps.height, 240);
    assert_int_equal(sps.sar_width, 1);
    assert_int_equal(sps.sar_height, 1);
    assert_int_equal(sps.time_scale, 0);
    assert_int_equal(sps.max_num_reorder_frames, -1);
}

static void test_sps_high(void **state)
{
    (void)state;
    struct recipe recipe = BASELINE;
    recipe.profile = 100;
    recipe.scaling = true;
    recipe.depth_luma = 10;
    recipe.depth_chroma = 14;
    recipe.log2_frame_num = 16;
    recipe.poc_type = 0;
    recipe.log2_poc_lsb = 16;
    recipe.refs = 16;
    for (uint32_t chroma = 0; chroma <= 3; chroma++) {
        recipe.chroma = chroma;
        struct ch_h264_sps sps = good_sps(&recipe);
        assert_int_equal(sps.chroma_format_idc, chroma);
        assert_int_equal(sps.bit_depth_luma, 10);
        assert_int_equal(sps.bit_depth_chroma, 14);
        assert_int_equal(sps.log2_max_frame_num, 16);
        assert_int_equal(sps.log2_max_poc_lsb, 16);
        assert_int_equal(sps.max_num_ref_frames, 16);
        assert_int_equal(sps.width, 320);
    }
}

static void test_sps_poc_cycle(void **state)
{
    (void)state;
    struct recipe recipe = BASELINE;
    recipe.poc_type = 1;
    recipe.non_ref = -2;
    recipe.top_to_bottom = 1;
    recipe.cycle_length = 255;
    for (int i = 0; i < 255; i++)
        recipe.cycle[i] = i - 100;
    struct ch_h264_sps sps = good_sps(&recipe);
    assert_int_equal(sps.offset_for_non_ref_pic, -2);
    assert_int_equal(sps.offset_for_top_to_bottom, 1);
    assert_int_equal(sps.poc_cycle_length, 255);
    assert_int_equal(sps.offset_for_ref_frame[254], 154);
    assert_false(sps.delta_pic_order_always_zero);
    recipe.cycle_length = 256;
    assert_bad_sps(&recipe);
}

// 7.4.2.1.1: the unit of cropping depends on the chroma format and on fields.
static void test_sps_cropping(void **state)
{
    (void)state;
    static const struct {
        uint32_t chroma;
        bool separate, fields;
        uint32_t x, y;
    } cases[] = {
        {0, false, false, 1, 1}, {1, false, false, 2, 2}, {2, false, false, 2, 1}, {3, false, false, 1, 1},
        {3, true, false, 1, 1},  {1, false, true, 2, 4},  {0, false, true, 1, 2},  {2, false, true, 2, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct recipe recipe = BASELINE;
        recipe.profile = 244;
        recipe.chroma = cases[i].chroma;
        recipe.separate = cases[i].separate;
        recipe.fields = cases[i].fields;
        recipe.crop = true;
        recipe.crop_left = 1;
        recipe.crop_right = 2;
        recipe.crop_top = 3;
        recipe.crop_bottom = 4;
        struct ch_h264_sps sps = good_sps(&recipe);
        uint32_t height = cases[i].fields ? 480 : 240;
        assert_int_equal(sps.coded_width, 320);
        assert_int_equal(sps.coded_height, height);
        assert_int_equal(sps.width, 320 - 3 * cases[i].x);
        assert_int_equal(sps.height, height - 7 * cases[i].y);
        assert_int_equal(sps.separate_colour_plane, cases[i].separate);
    }
}

static void test_sps_bounds(void **state)
{
    (void)state;
    struct recipe recipe = BASELINE;
    recipe.width_mbs = recipe.height_units = 1024;
    assert_int_equal(good_sps(&recipe).width, 16384);
    recipe.fields = true; // twice the height
    assert_bad_sps(&recipe);

#define BAD(field, value) (recipe = BASELINE, recipe.profile = 100, recipe.field = (value), assert_bad_sps(&recipe))
    BAD(width_mbs, 1025);
    BAD(height_units, 1025);
    BAD(width_mbs, UINT32_MAX);
    BAD(id, 32);
    BAD(chroma, 4);
    BAD(depth_luma, 15);
    BAD(depth_chroma, 15);
    BAD(log2_frame_num, 17);
    BAD(poc_type, 3);
    BAD(refs, 17);
#undef BAD
    recipe = BASELINE;
    recipe.poc_type = 0;
    recipe.log2_poc_lsb = 17;
    assert_bad_sps(&recipe);

    recipe = BASELINE;
    recipe.crop = true;
    recipe.crop_left = 159; // all but one pair of columns
    assert_int_equal(good_sps(&recipe).width, 2);
    recipe.crop_right = 1;
    assert_bad_sps(&recipe);
    recipe.crop_left = recipe.crop_right = 0xFFFFFFFE;
    assert_bad_sps(&recipe);
}

static void test_sps_wrong_unit(void **state)
{
    (void)state;
    struct unit unit = make_sps(&BASELINE);
    struct ch_h264_sps sps;
    unit.data[0] = 0xE7; // forbidden_zero_bit
    assert_int_equal(parse_sps(&unit, &sps), -EBADMSG);
    unit.data[0] = 0x68;
    assert_int_equal(parse_sps(&unit, &sps), -EBADMSG);
}

// Every field that may be there, each with a value of its own.
static void put_full_vui(struct maker *maker)
{
    u(maker, 1, 1);
    u(maker, 8, 255); // extended aspect ratio
    u(maker, 16, 4000);
    u(maker, 16, 3001);
    u(maker, 2, 3); // overscan
    u(maker, 1, 1); // video signal
    u(maker, 4, 5);
    u(maker, 1, 1);
    u(maker, 24, 0x010203);
    u(maker, 1, 1); // chroma location
    ue(maker, 2);
    ue(maker, 3);
    u(maker, 1, 1); // timing
    u(maker, 32, 1001);
    u(maker, 32, 60000);
    u(maker, 1, 1);
    for (int hrd = 0; hrd < 2; hrd++) {
        u(maker, 1, 1);
        ue(maker, 2);
        u(maker, 8, 0x45);
        for (int i = 0; i < 3; i++) {
            ue(maker, 1000000);
            ue(maker, 77);
            u(maker, 1, i == 1);
        }
        u(maker, 20, 0xABCDE);
    }
    u(maker, 2, 1);
    u(maker, 1, 1); // restrictions
    u(maker, 1, 1);
    for (uint32_t i = 1; i <= 4; i++)
        ue(maker, i);
    ue(maker, 3);
    ue(maker, 4);
}

static void put_short_vui(struct maker *maker)
{
    u(maker, 1, 1);
    u(maker, 8, 2); // 12:11
    u(maker, 8, 0); // nothing else
}

static void put_odd_vui(struct maker *maker)
{
    u(maker, 1, 1);
    u(maker, 8, 17); // reserved
    u(maker, 3, 0);
    u(maker, 1, 1);
    u(maker, 32, 0); // no tick
    u(maker, 32, 30);
    u(maker, 1, 0);
    u(maker, 4, 0);
}

static void put_wrong_vui(struct maker *maker)
{
    u(maker, 1, 1);
    u(maker, 8, 14); // 4:3
    u(maker, 6, 0);
    u(maker, 1, 0);
    u(maker, 1, 1);
    u(maker, 1, 0);
    for (int i = 0; i < 4; i++)
        ue(maker, 0);
    ue(maker, 17); // max_num_reorder_frames
    ue(maker, 17);
}

static void test_sps_vui(void **state)
{
    (void)state;
    struct recipe recipe = BASELINE;
    recipe.put_vui = put_full_vui;
    struct ch_h264_sps sps = good_sps(&recipe);
    assert_int_equal(sps.sar_width, 4000);
    assert_int_equal(sps.sar_height, 3001);
    assert_int_equal(sps.num_units_in_tick, 1001);
    assert_int_equal(sps.time_scale, 60000);
    assert_int_equal(sps.max_num_reorder_frames, 3);

    recipe.put_vui = put_short_vui;
    sps = good_sps(&recipe);
    assert_int_equal(sps.sar_width, 12);
    assert_int_equal(sps.sar_height, 11);
    assert_int_equal(sps.time_scale, 0);
    assert_int_equal(sps.max_num_reorder_frames, -1);

    recipe.put_vui = put_odd_vui;
    sps = good_sps(&recipe);
    assert_int_equal(sps.sar_width, 1);
    assert_int_equal(sps.sar_height, 1);
    assert_int_equal(sps.num_units_in_tick, 0);
    assert_int_equal(sps.time_scale, 0);

    recipe.put_vui = put_wrong_vui; // counts as absent as a whole
    sps = good_sps(&recipe);
    assert_int_equal(sps.sar_width, 1);
    assert_int_equal(sps.max_num_reorder_frames, -1);
}

// Cut at every byte: in front of the VUI that is an error, inside it the VUI is absent.
static void test_sps_truncated(void **state)
{
    (void)state;
    struct recipe recipe = BASELINE;
    struct ch_h264_sps sps;
    struct unit plain = make_sps(&recipe);
    for (size_t size = 0; size < plain.size; size++) {
        struct unit cut = plain;
        cut.size = size;
        assert_int_equal(parse_sps(&cut, &sps), -EBADMSG);
    }
    recipe.put_vui = put_full_vui;
    struct unit whole = make_sps(&recipe);
    size_t absent = 0;
    for (size_t size = 0; size < whole.size; size++) {
        struct unit cut = whole;
        cut.size = size;
        if (parse_sps(&cut, &sps) == 0) {
            absent++;
            assert_int_equal(sps.width, 320);
            bool intact = size + 1 == whole.size; // only the stop bit may be cut off
            assert_true(sps.max_num_reorder_frames == -1 || intact);
            assert_int_equal(sps.sar_width, sps.max_num_reorder_frames == -1 ? 1 : 4000);
        }
    }
    assert_true(absent > 20);
}

// --- picture parameter sets -----------------------------------------------------------------------

static int parse_pps(const struct unit *unit, struct ch_h264_pps *pps)
{
    struct guard guard = guard_copy(unit->data, unit->size);
    int result = ch_h264_parse_pps(guard.data, unit->size, pps);
    guard_free(&guard);
    return result;
}

static void test_pps(void **state)
{
    (void)state;
    struct ch_h264_pps pps;
    struct unit unit = make_pps(255, 31, true);
    assert_int_equal(parse_pps(&unit, &pps), 0);
    assert_int_equal(pps.id, 255);
    assert_int_equal(pps.sps_id, 31);
    assert_true(pps.bottom_field_pic_order_in_frame_present);
    for (size_t size = unit.size - 1; size > 0; size--) {
        struct unit cut = unit;
        cut.size = size - 1;
        assert_int_equal(parse_pps(&cut, &pps), -EBADMSG);
    }
    unit = make_pps(0, 0, false);
    assert_int_equal(parse_pps(&unit, &pps), 0);
    assert_false(pps.bottom_field_pic_order_in_frame_present);
    unit = make_pps(256, 0, false);
    assert_int_equal(parse_pps(&unit, &pps), -EBADMSG);
    unit = make_pps(0, 32, false);
    assert_int_equal(parse_pps(&unit, &pps), -EBADMSG);
    unit = (struct unit){.data = {0x68, 0xFF, 0xFF}, .size = 3}; // weighted_bipred_idc 3
    assert_int_equal(parse_pps(&unit, &pps), -EBADMSG);
}

static struct unit make_pps_with_groups(uint32_t type, uint32_t groups, uint32_t units, int32_t qp)
{
    struct maker maker = begin(0x68);
    ue(&maker, 7);
    ue(&maker, 1);
    u(&maker, 2, 1);
    ue(&maker, groups - 1);
    ue(&maker, type);
    for (uint32_t i = 0; type == 0 && i < groups; i++)
        ue(&maker, 98);
    for (uint32_t i = 0; type == 2 && i + 1 < groups; i++) {
        ue(&maker, i);
        ue(&maker, i + 10);
    }
    if (type >= 3 && type <= 5) {
        u(&maker, 1, 1);
        ue(&maker, 50);
    }
    if (type == 6) {
        ue(&maker, units - 1);
        for (uint32_t i = 0; i < units; i++)
            u(&maker, groups > 4 ? 3 : groups > 2 ? 2 : 1, i % groups);
    }
    ue(&maker, 31);
    ue(&maker, 31);
    u(&maker, 3, 6);
    se(&maker, qp);
    se(&maker, 0);
    se(&maker, -12);
    u(&maker, 3, 7);
    return finish(&maker);
}

static void test_pps_slice_groups(void **state)
{
    (void)state;
    struct ch_h264_pps pps;
    for (uint32_t type = 0; type <= 6; type++) {
        for (uint32_t groups = 2; groups <= 8; groups++) {
            struct unit unit = make_pps_with_groups(type, groups, 99, -26);
            assert_int_equal(parse_pps(&unit, &pps), 0);
            assert_int_equal(pps.id, 7);
            assert_int_equal(pps.sps_id, 1);
            struct unit wrong = make_pps_with_groups(type, groups, 99, 26); // seen only behind the groups
            assert_int_equal(parse_pps(&wrong, &pps), -EBADMSG);
        }
    }
    struct unit unit = make_pps_with_groups(7, 2, 1, 0);
    assert_int_equal(parse_pps(&unit, &pps), -EBADMSG);
    unit = make_pps_with_groups(1, 9, 1, 0);
    assert_int_equal(parse_pps(&unit, &pps), -EBADMSG);
}

// --- slices ---------------------------------------------------------------------------------------

static void test_slice_frame(void **state)
{
    (void)state;
    struct recipe recipe = BASELINE;
    recipe.poc_type = 0;
    recipe.log2_poc_lsb = 8;
    struct ch_h264_sps sps = good_sps(&recipe);
    struct ch_h264_pps pps = {.id = 200, .bottom_field_pic_order_in_frame_present = true};
    struct maker maker = begin(0x65);
    ue(&maker, 299); // the last macroblock
    ue(&maker, 7);
    ue(&maker, 200);
    u(&maker, 4, 9);
    ue(&maker, 65535);
    u(&maker, 8, 250);
    se(&maker, -3);
    struct unit unit = finish(&maker);
    struct ch_h264_slice slice;
    assert_int_equal(ch_h264_slice_pps_id(unit.data, unit.size), 200);
    assert_int_equal(ch_h264_parse_slice(unit.data, unit.size, &sps, &pps, &slice), 0);
    assert_int_equal(slice.nal_type, 5);
    assert_int_equal(slice.nal_ref_idc, 3);
    assert_true(slice.idr);
    assert_int_equal(slice.first_mb, 299);
    assert_int_equal(slice.slice_type, 7);
    assert_int_equal(slice.pps_id, 200);
    assert_int_equal(slice.frame_num, 9);
    assert_int_equal(slice.idr_pic_id, 65535);
    assert_int_equal(slice.poc_lsb, 250);
    assert_int_equal(slice.delta_poc_bottom, -3);
    assert_false(slice.has_mmco5);
    for (size_t size = 0; size + 1 < unit.size; size++) {
        struct guard guard = guard_copy(unit.data, size);
        assert_int_equal(ch_h264_parse_slice(guard.data, size, &sps, &pps, &slice), -EBADMSG);
        guard_free(&guard);
    }
    sps.coded_height -= 16; // now first_mb is outside the picture
    assert_int_equal(ch_h264_parse_slice(unit.data, unit.size, &sps, &pps, &slice), -EBADMSG);
    unit.data[0] = 0x06;
    assert_int_equal(ch_h264_slice_pps_id(unit.data, unit.size), -EBADMSG);
}

static void test_slice_field(void **state)
{
    (void)state;
    struct recipe recipe = BASELINE;
    recipe.profile = 244;
    recipe.chroma = 3;
    recipe.separate = true;
    recipe.fields = true;
    recipe.poc_type = 1;
    struct ch_h264_sps sps = good_sps(&recipe);
    struct ch_h264_pps pps = {.bottom_field_pic_order_in_frame_present = true};
    for (int field = 0; field < 2; field++) {
        struct maker maker = begin(0x41);
        ue(&maker, 0);
        ue(&maker, 0);
        ue(&maker, 0);
        u(&maker, 2, 2); // colour_plane_id
        u(&maker, 4, 5);
        u(&maker, 1, field);
        if (field)
            u(&maker, 1, 1);
        se(&maker, 77);
        if (!field)
            se(&maker, -88);
        struct unit unit = finish(&maker);
        struct ch_h264_slice slice;
        assert_int_equal(ch_h264_parse_slice(unit.data, unit.size, &sps, &pps, &slice), 0);
        assert_int_equal(slice.frame_num, 5);
        assert_int_equal(slice.field_pic, field);
        assert_int_equal(slice.bottom_field, field);
        assert_int_equal(slice.delta_poc[0], 77);
        assert_int_equal(slice.delta_poc[1], field ? 0 : -88);
        assert_false(slice.idr);
        assert_int_equal(slice.nal_ref_idc, 2);
    }
}

static void test_new_picture(void **state)
{
    (void)state;
    const struct ch_h264_slice slice = {.nal_type = 1, .nal_ref_idc = 2, .frame_num = 3, .pps_id = 1, .poc_lsb = 6};
    struct ch_h264_slice next = slice;
    next.first_mb = 40; // what differs between slices of one picture
    next.slice_type = 7;
    next.nal_ref_idc = 1;
    assert_false(ch_h264_new_picture(&slice, &next));
#define DIFFERS(field, value) (next = slice, next.field = (value), assert_true(ch_h264_new_picture(&slice, &next)))
    DIFFERS(frame_num, 4);
    DIFFERS(pps_id, 0);
    DIFFERS(field_pic, true);
    DIFFERS(bottom_field, true);
    DIFFERS(nal_ref_idc, 0);
    DIFFERS(poc_lsb, 8);
    DIFFERS(delta_poc_bottom, 1);
    DIFFERS(delta_poc[0], 1);
    DIFFERS(delta_poc[1], 1);
    DIFFERS(idr, true);
#undef DIFFERS
    struct ch_h264_slice idr = slice, other = slice;
    idr.idr = other.idr = true;
    assert_false(ch_h264_new_picture(&idr, &other));
    other.idr_pic_id = 1;
    assert_true(ch_h264_new_picture(&idr, &other));
}

// --- any bytes ------------------------------------------------------------------------------------

// Each single-byte change of good units, on a guard page: no crash, and what is accepted is in range.
static void test_changed_bytes(void **state)
{
    (void)state;
    struct recipe recipe = BASELINE;
    recipe.profile = 100;
    recipe.scaling = true;
    recipe.crop = true;
    recipe.put_vui = put_full_vui;
    const struct unit sps_unit = make_sps(&recipe), pps_unit = make_pps_with_groups(6, 8, 99, 0);
    size_t accepted = 0;
    for (size_t at = 0; at < sps_unit.size; at++) {
        for (unsigned value = 0; value < 256; value++) {
            struct unit unit = sps_unit;
            unit.data[at] = (uint8_t)value;
            struct ch_h264_sps sps;
            if (parse_sps(&unit, &sps))
                continue;
            accepted++;
            assert_in_range(sps.width, 1, sps.coded_width);
            assert_in_range(sps.height, 1, sps.coded_height);
            assert_in_range(sps.coded_width, 16, 16384);
            assert_in_range(sps.coded_height, 16, 16384);
            assert_in_range(ch_h264_reorder_depth(&sps), 0, 16);
            assert_true(sps.sar_width > 0 && sps.sar_height > 0);
        }
    }
    assert_true(accepted > 1000);
    for (size_t at = 0; at < pps_unit.size; at++) {
        for (unsigned value = 0; value < 256; value++) {
            struct unit unit = pps_unit;
            unit.data[at] = (uint8_t)value;
            struct ch_h264_pps pps;
            (void)parse_pps(&unit, &pps);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_annexb_finds_units), cmocka_unit_test(test_annexb_edges),
        cmocka_unit_test(test_annexb_as_defined),  cmocka_unit_test(test_annexb_every_position),
        cmocka_unit_test(test_sample_types),       cmocka_unit_test(test_bits_codes),
        cmocka_unit_test(test_bits_emulation),     cmocka_unit_test(test_sps_baseline),
        cmocka_unit_test(test_sps_high),           cmocka_unit_test(test_sps_poc_cycle),
        cmocka_unit_test(test_sps_cropping),       cmocka_unit_test(test_sps_bounds),
        cmocka_unit_test(test_sps_wrong_unit),     cmocka_unit_test(test_sps_vui),
        cmocka_unit_test(test_sps_truncated),      cmocka_unit_test(test_pps),
        cmocka_unit_test(test_pps_slice_groups),   cmocka_unit_test(test_slice_frame),
        cmocka_unit_test(test_slice_field),        cmocka_unit_test(test_new_picture),
        cmocka_unit_test(test_changed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
