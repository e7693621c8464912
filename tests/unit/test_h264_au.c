// The access unit splitter on streams built bit by bit: whole, in pieces of every size, and against a
// guard page; and the output order of pictures.
#include "unit.h"

#include "codec/h264_au.h"

#include <stdbool.h>
#include <stdlib.h>

// --- a stream under construction ------------------------------------------------------------------

struct stream {
    uint8_t data[16384];
    size_t size;
    unsigned bit; // bits used of the byte behind `size`
};

static void bits(struct stream *s, unsigned count, uint32_t value)
{
    while (count-- > 0) {
        if (s->bit == 0)
            s->data[s->size] = 0;
        s->data[s->size] |= (uint8_t)((value >> count & 1) << (7 - s->bit));
        s->bit = (s->bit + 1) % 8;
        s->size += s->bit == 0;
    }
}

static void ue(struct stream *s, uint32_t value)
{
    unsigned length = 0;
    while ((value + 1) >> (length + 1))
        length++;
    bits(s, length, 0);
    bits(s, length + 1, value + 1);
}

static void trailing(struct stream *s)
{
    bits(s, 1, 1);
    while (s->bit)
        bits(s, 1, 0);
}

static void raw(struct stream *s, const char *bytes, size_t count)
{
    memcpy(s->data + s->size, bytes, count);
    s->size += count;
}

static void code3(struct stream *s)
{
    raw(s, "\0\0\1", 3);
}

static void code4(struct stream *s)
{
    raw(s, "\0\0\0\1", 4);
}

static void small_nal(struct stream *s, uint8_t header)
{
    code3(s);
    bits(s, 8, header);
    bits(s, 8, 0xf0);
}

// 64x64, counts of type 0 with 8 bits, frame_num of 4; interlaced tools on request.
static void sps(struct stream *s, uint32_t id, bool interlaced)
{
    code4(s);
    bits(s, 8, 0x67);
    bits(s, 24, 77u << 16 | 30);
    ue(s, id);
    ue(s, 0); // log2_max_frame_num - 4
    ue(s, 0); // poc type
    ue(s, 4); // log2_max_poc_lsb - 4
    ue(s, 4); // max_num_ref_frames
    bits(s, 1, 0);
    ue(s, 3);
    ue(s, interlaced ? 1 : 3);
    bits(s, 1, !interlaced);
    if (interlaced)
        bits(s, 1, 0);
    bits(s, 3, 4); // direct_8x8, no cropping, no VUI
    trailing(s);
}

static void pps(struct stream *s, uint32_t id, uint32_t sps_id)
{
    code4(s);
    bits(s, 8, 0x68);
    ue(s, id);
    ue(s, sps_id);
    bits(s, 2, 0);
    ue(s, 0);
    ue(s, 0);
    ue(s, 0);
    bits(s, 3, 0);
    ue(s, 0);
    ue(s, 0);
    ue(s, 0);
    bits(s, 3, 0);
    trailing(s);
}

struct slice {
    uint8_t header; // NAL unit header byte
    uint32_t first_mb, pps, frame_num, poc_lsb, idr_pic_id;
    enum { FRAME, TOP, BOTTOM, PROGRESSIVE } structure;
    unsigned payload;
};

static void slice(struct stream *s, struct slice x)
{
    code3(s);
    bits(s, 8, x.header);
    ue(s, x.first_mb);
    ue(s, 7);
    ue(s, x.pps);
    bits(s, 4, x.frame_num);
    if (x.structure != PROGRESSIVE) {
        bits(s, 1, x.structure != FRAME);
        if (x.structure != FRAME)
            bits(s, 1, x.structure == BOTTOM);
    }
    if ((x.header & 31) == CH_NAL_IDR)
        ue(s, x.idr_pic_id);
    bits(s, 8, x.poc_lsb);
    bits(s, 8, 0xa5);
    trailing(s);
    for (unsigned i = 0; i < x.payload; i++)
        bits(s, 8, 1 + i % 255);
}

static void idr(struct stream *s, unsigned payload)
{
    slice(s, (struct slice){.header = 0x65, .structure = PROGRESSIVE, .payload = payload});
}

static void p_picture(struct stream *s, uint32_t frame_num, unsigned payload)
{
    slice(s, (struct slice){.header = 0x41,
                            .frame_num = frame_num,
                            .poc_lsb = frame_num * 2,
                            .structure = PROGRESSIVE,
                            .payload = payload});
}

// --- splitting it -----------------------------------------------------------------------------------

#define MAX_UNITS 64

struct units {
    struct ch_h264_au unit[MAX_UNITS];
    size_t count, bytes;
};

// Feeds the data in pieces of `step` bytes; each look at it is at a copy in front of a guard page.
static struct units split(const uint8_t *data, size_t size, size_t step)
{
    struct units units = {.count = 0};
    struct ch_h264_sets *sets = ch_h264_sets_new();
    assert_non_null(sets);
    struct ch_h264_au_splitter splitter;
    ch_h264_au_init(&splitter, sets);
    size_t at = 0, have = 0;
    for (;;) {
        bool end = have == size;
        struct guard guard = guard_copy(data + at, have - at);
        struct ch_h264_au au;
        int rc = ch_h264_au_next(&splitter, guard.data, have - at, end, &au);
        guard_free(&guard);
        if (rc == 0 && end)
            break;
        if (rc == 0) {
            have = size - have > step ? have + step : size;
            continue;
        }
        assert_int_equal(rc, 1);
        assert_true(au.bytes > 0 && au.bytes <= have - at);
        assert_true(units.count < MAX_UNITS);
        units.unit[units.count++] = au;
        at += au.bytes;
    }
    units.bytes = at;
    ch_h264_sets_free(sets);
    return units;
}

// Splits in pieces of all sizes; all must agree and cover every byte.
static struct units split_all(const struct stream *s)
{
    struct units whole = split(s->data, s->size, s->size);
    assert_int_equal(whole.bytes, s->size);
    static const size_t steps[] = {1, 2, 3, 5, 7, 64, 95, 96, 97, 300};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct units pieces = split(s->data, s->size, steps[i]);
        assert_int_equal(pieces.count, whole.count);
        assert_int_equal(pieces.bytes, whole.bytes);
        for (size_t k = 0; k < whole.count; k++)
            assert_memory_equal(&pieces.unit[k], &whole.unit[k], sizeof whole.unit[k]);
    }
    return whole;
}

static void check_sizes(const struct units *units, const size_t *ends, size_t count)
{
    assert_int_equal(units->count, count);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        at += units->unit[i].bytes;
        assert_int_equal(at, ends[i]);
    }
}

static void test_one_unit_per_picture(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    size_t ends[4];
    sps(&s, 0, false);
    pps(&s, 0, 0);
    idr(&s, 400);
    ends[0] = s.size;
    p_picture(&s, 1, 3);
    ends[1] = s.size;
    p_picture(&s, 2, 200);
    ends[2] = s.size;
    sps(&s, 0, false);
    pps(&s, 0, 0);
    slice(&s, (struct slice){.header = 0x65, .idr_pic_id = 1, .structure = PROGRESSIVE, .payload = 100});
    ends[3] = s.size;
    struct units units = split_all(&s);
    check_sizes(&units, ends, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(units.unit[i].picture && units.unit[i].known);
        assert_int_equal(units.unit[i].idr, i % 3 == 0);
        assert_int_equal(units.unit[i].poc, i % 3 * 2);
        assert_int_equal(units.unit[i].width, 64);
        assert_int_equal(units.unit[i].height, 64);
        assert_false(units.unit[i].field_pair);
    }
}

static void test_slices_and_delimiters(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    size_t ends[3];
    small_nal(&s, 9);
    sps(&s, 0, false);
    pps(&s, 0, 0);
    small_nal(&s, 6);
    for (unsigned i = 0; i < 3; i++)
        slice(&s, (struct slice){.header = 0x65, .first_mb = i * 5, .structure = PROGRESSIVE, .payload = 20});
    ends[0] = s.size;
    small_nal(&s, 9);
    // Slices in any order (arbitrary slice order); filler, an auxiliary picture and an end of sequence
    // belong to the picture before them.
    for (unsigned i = 3; i-- > 0;)
        slice(&s, (struct slice){.header = 0x41,
                                 .first_mb = i * 5,
                                 .frame_num = 1,
                                 .poc_lsb = 2,
                                 .structure = PROGRESSIVE,
                                 .payload = 120});
    small_nal(&s, 12);
    small_nal(&s, 19);
    small_nal(&s, 10);
    ends[1] = s.size;
    small_nal(&s, 6);
    p_picture(&s, 2, 7);
    ends[2] = s.size;
    struct units units = split_all(&s);
    check_sizes(&units, ends, 3);
}

static void test_zero_bytes(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    size_t ends[3];
    raw(&s, "\0\0\0\0", 4); // leading zeros
    sps(&s, 0, false);
    pps(&s, 0, 0);
    idr(&s, 30);
    raw(&s, "\0\0\0\0\0", 5); // trailing zeros, and the zero_byte of what follows
    ends[0] = s.size - 1;
    p_picture(&s, 1, 30);
    ends[1] = s.size;
    code4(&s); // an empty NAL unit
    ends[1] = s.size;
    p_picture(&s, 2, 30);
    raw(&s, "\0\0", 2);
    ends[2] = s.size;
    struct units units = split_all(&s);
    check_sizes(&units, ends, 3);
}

static void test_same_frame_num_and_sets_between(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    size_t ends[3];
    sps(&s, 0, false);
    pps(&s, 0, 0);
    pps(&s, 1, 0);
    idr(&s, 10);
    ends[0] = s.size;
    // A disposable picture with its own PPS, then one that differs in its count only.
    pps(&s, 1, 0);
    slice(&s, (struct slice){.header = 1, .pps = 1, .frame_num = 1, .poc_lsb = 4, .structure = PROGRESSIVE});
    ends[1] = s.size;
    slice(&s, (struct slice){.header = 1, .pps = 1, .frame_num = 1, .poc_lsb = 2, .structure = PROGRESSIVE});
    ends[2] = s.size;
    struct units units = split_all(&s);
    check_sizes(&units, ends, 3);
    assert_int_equal(units.unit[1].poc, 4);
    assert_int_equal(units.unit[2].poc, 2);
}

static void field(struct stream *s, uint8_t header, bool bottom, uint32_t frame_num, uint32_t poc_lsb)
{
    slice(s, (struct slice){.header = header,
                            .frame_num = frame_num,
                            .poc_lsb = poc_lsb,
                            .structure = bottom ? BOTTOM : TOP,
                            .payload = 110});
}

static void test_fields_of_one_frame(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    size_t ends[7], n = 0;
    sps(&s, 0, true);
    pps(&s, 0, 0);
    field(&s, 0x65, false, 0, 1); // an IDR field and its second field, which is no IDR picture
    small_nal(&s, 6);
    pps(&s, 0, 0);
    field(&s, 0x41, true, 0, 0);
    ends[n++] = s.size;
    field(&s, 0x41, true, 1, 2); // bottom first, two slices each
    slice(&s, (struct slice){.header = 0x41, .first_mb = 2, .frame_num = 1, .poc_lsb = 2, .structure = BOTTOM});
    field(&s, 0x41, false, 1, 3);
    slice(&s, (struct slice){.header = 0x41, .first_mb = 2, .frame_num = 1, .poc_lsb = 3, .structure = TOP});
    ends[n++] = s.size;
    slice(&s, (struct slice){.header = 0x41, .frame_num = 2, .poc_lsb = 4, .structure = FRAME, .payload = 10});
    ends[n++] = s.size;
    field(&s, 0x41, false, 3, 6); // alone: the next has another number
    ends[n++] = s.size;
    small_nal(&s, 9);
    field(&s, 0x41, true, 4, 9);
    ends[n++] = s.size;
    field(&s, 0x41, true, 5, 11); // alone: the next has the same parity
    ends[n++] = s.size;
    field(&s, 1, true, 5, 13); // alone: the next is for reference
    ends[n++] = s.size;
    size_t before = s.size;
    field(&s, 0x41, false, 5, 12);
    small_nal(&s, 10);
    struct units units = split_all(&s);
    assert_int_equal(units.count, n + 1);
    assert_int_equal(units.unit[n].bytes, s.size - before);
    units.count = n;
    check_sizes(&units, ends, n);
    assert_true(units.unit[0].field_pair && units.unit[0].idr && units.unit[1].field_pair);
    assert_int_equal(units.unit[0].poc, 0); // the smaller one
    assert_int_equal(units.unit[1].poc, 2);
    for (size_t i = 2; i < n; i++)
        assert_false(units.unit[i].field_pair);
}

static void test_third_field_begins_a_unit(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    size_t ends[2];
    sps(&s, 0, true);
    pps(&s, 0, 0);
    field(&s, 1, false, 1, 2);
    field(&s, 1, true, 1, 3);
    ends[0] = s.size;
    field(&s, 1, false, 1, 4); // disposable pictures share a number
    field(&s, 1, true, 1, 5);
    ends[1] = s.size;
    struct units units = split_all(&s);
    check_sizes(&units, ends, 2);
    assert_true(units.unit[0].field_pair && units.unit[1].field_pair);
}

static void test_scalable_prefix(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    size_t ends[2];
    sps(&s, 0, false);
    pps(&s, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        small_nal(&s, 0x6e);
        slice(&s, (struct slice){.header = 0x65, .first_mb = i * 8, .structure = PROGRESSIVE, .payload = 150});
    }
    small_nal(&s, 0x74); // 20, a slice extension
    ends[0] = s.size;
    for (unsigned i = 0; i < 2; i++) {
        small_nal(&s, 0x6e);
        slice(&s, (struct slice){
                      .header = 0x41, .first_mb = i * 8, .frame_num = 1, .poc_lsb = 2, .structure = PROGRESSIVE});
    }
    ends[1] = s.size;
    struct units units = split_all(&s);
    check_sizes(&units, ends, 2);
}

static void test_unknown_sets(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    size_t ends[3];
    for (unsigned i = 0; i < 3; i++) {
        slice(&s, (struct slice){.header = 0x41, .pps = 9, .structure = PROGRESSIVE, .payload = 120});
        slice(&s, (struct slice){.header = 0x41, .pps = 9, .first_mb = 4, .structure = PROGRESSIVE});
        ends[i] = s.size;
    }
    struct units units = split_all(&s);
    check_sizes(&units, ends, 3);
    assert_true(units.unit[0].picture);
    assert_false(units.unit[0].known);
}

static void test_no_picture(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    struct units none = split_all(&s);
    assert_int_equal(none.count, 0);
    raw(&s, "no start code in here", 21);
    struct units garbage = split_all(&s);
    assert_int_equal(garbage.count, 1);
    assert_false(garbage.unit[0].picture);
    sps(&s, 0, false);
    pps(&s, 0, 0);
    struct units sets = split_all(&s);
    assert_int_equal(sets.count, 1);
    assert_false(sets.unit[0].picture);
    // Sets behind the last picture are a unit without a picture.
    idr(&s, 10);
    size_t end = s.size;
    sps(&s, 0, false);
    struct units units = split_all(&s);
    assert_int_equal(units.count, 2);
    assert_int_equal(units.unit[0].bytes, end);
    assert_false(units.unit[1].picture);
}

// A unit is handed out as soon as the next one shows, not when that one is complete.
static void test_no_needless_wait(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    sps(&s, 0, false);
    pps(&s, 0, 0);
    idr(&s, 500);
    size_t end = s.size;
    p_picture(&s, 1, 5000);
    struct ch_h264_sets *sets = ch_h264_sets_new();
    struct ch_h264_au_splitter splitter;
    struct ch_h264_au au;
    ch_h264_au_init(&splitter, sets);
    assert_int_equal(ch_h264_au_next(&splitter, s.data, end + 40, false, &au), 0);
    assert_int_equal(ch_h264_au_next(&splitter, s.data, end + 110, false, &au), 1);
    assert_int_equal(au.bytes, end);
    ch_h264_sets_free(sets);
}

static void test_any_bytes(void **state)
{
    (void)state;
    struct stream s = {.size = 0};
    srand(7);
    for (unsigned round = 0; round < 300; round++) {
        s.size = (size_t)rand() % 400;
        for (size_t i = 0; i < s.size; i++) {
            int dice = rand();
            s.data[i] = (uint8_t)(dice % 3 == 0 ? dice >> 8 : dice % 3 == 1 ? 0 : (dice >> 8) % 10);
        }
        struct units units = split(s.data, s.size, 1 + (size_t)rand() % 40);
        assert_int_equal(units.bytes, s.size);
    }
}

// --- output order -----------------------------------------------------------------------------------

static void check_order(const int32_t *poc, const uint32_t *shown, size_t count)
{
    struct ch_h264_shown pictures[64] = {{.poc = 0}};
    for (size_t i = 0; i < count; i++) {
        pictures[i].poc = poc[i];
        pictures[i].restart = poc[i] == 0;
    }
    ch_h264_output_order(pictures, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pictures[i].decoded, i);
        assert_int_equal(pictures[i].shown, shown[i]);
    }
}

static void test_output_order(void **state)
{
    (void)state;
    ch_h264_output_order(NULL, 0);
    check_order((int32_t[]){0, 2, 4}, (uint32_t[]){0, 1, 2}, 3);
    // I P B B P B B, twice
    check_order((int32_t[]){0, 6, 2, 4, 12, 8, 10, 0, 6, 2, 4}, (uint32_t[]){0, 3, 1, 2, 6, 4, 5, 7, 10, 8, 9}, 11);
    // Equal counts keep decoding order; so do negative ones their place.
    check_order((int32_t[]){0, 5, 5, -3}, (uint32_t[]){1, 2, 3, 0}, 4);
}

static void test_output_order_after_an_unseen_reset(void **state)
{
    (void)state;
    int32_t poc[50];
    uint32_t shown[50];
    for (int i = 0; i < 50; i++) {
        poc[i] = i < 25 ? i * 2 : 2 + (i - 25) * 2; // counts go back without an IDR picture
        shown[i] = (uint32_t)i;
    }
    check_order(poc, shown, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_unit_per_picture),
        cmocka_unit_test(test_slices_and_delimiters),
        cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_same_frame_num_and_sets_between),
        cmocka_unit_test(test_fields_of_one_frame),
        cmocka_unit_test(test_third_field_begins_a_unit),
        cmocka_unit_test(test_scalable_prefix),
        cmocka_unit_test(test_unknown_sets),
        cmocka_unit_test(test_no_picture),
        cmocka_unit_test(test_no_needless_wait),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_output_order),
        cmocka_unit_test(test_output_order_after_an_unseen_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
