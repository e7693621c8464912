// Makes H.264 NAL units field by field, for tests of what reads them.
#ifndef CH_TESTS_H264_MAKER_H
#define CH_TESTS_H264_MAKER_H

#include "unit.h"
#include "codec/h264.h"

struct maker {
    uint8_t raw[8192]; // header byte and RBSP
    size_t bits;
};

static inline void u(struct maker *maker, unsigned n, uint32_t value)
{
    while (n-- > 0) {
        assert_true(maker->bits < 8 * sizeof maker->raw);
        if (value >> n & 1)
            maker->raw[maker->bits / 8] |= (uint8_t)(0x80u >> maker->bits % 8);
        maker->bits++;
    }
}

static inline void ue(struct maker *maker, uint32_t value)
{
    uint64_t code = (uint64_t)value + 1;
    unsigned length = 64 - (unsigned)__builtin_clzll(code);
    u(maker, length - 1, 0);
    if (length == 33)
        u(maker, 1, 1);
    u(maker, length < 33 ? length : 32, (uint32_t)code);
}

static inline void se(struct maker *maker, int32_t value)
{
    ue(maker, value > 0 ? 2 * (uint32_t)value - 1 : 2 * (0 - (uint32_t)value));
}

static inline struct maker begin(uint8_t header)
{
    struct maker maker = {0};
    u(&maker, 8, header);
    return maker;
}

struct unit {
    uint8_t data[12288];
    size_t size;
};

// Stop bit, and emulation prevention where it is needed.
static inline struct unit finish(struct maker *maker)
{
    u(maker, 1, 1);
    struct unit unit = {0};
    unsigned zeros = 0;
    for (size_t i = 0; i < (maker->bits + 7) / 8; i++) {
        if (zeros >= 2 && maker->raw[i] <= 3) {
            unit.data[unit.size++] = 3;
            zeros = 0;
        }
        unit.data[unit.size++] = maker->raw[i];
        zeros = maker->raw[i] ? 0 : zeros + 1;
    }
    return unit;
}

// What varies in an SPS, with the defaults of a small Baseline stream.
struct recipe {
    uint8_t profile, constraints, level;
    uint32_t id, chroma, depth_luma, depth_chroma, log2_frame_num, poc_type, log2_poc_lsb, refs, width_mbs,
        height_units;
    bool separate, scaling, fields, crop, vui;
    uint32_t crop_left, crop_right, crop_top, crop_bottom;
    bool always_zero;
    int32_t non_ref, top_to_bottom, cycle[CH_H264_MAX_POC_CYCLE];
    uint32_t cycle_length;
    void (*put_vui)(struct maker *);
};

#define BASELINE                                                                                                       \
    ((struct recipe){.profile = 66,                                                                                    \
                     .constraints = 0xC0,                                                                              \
                     .level = 30,                                                                                      \
                     .chroma = 1,                                                                                      \
                     .depth_luma = 8,                                                                                  \
                     .depth_chroma = 8,                                                                                \
                     .log2_frame_num = 4,                                                                              \
                     .poc_type = 2,                                                                                    \
                     .log2_poc_lsb = 4,                                                                                \
                     .refs = 1,                                                                                        \
                     .width_mbs = 20,                                                                                  \
                     .height_units = 15})

static inline void put_chroma(struct maker *maker, const struct recipe *recipe)
{
    ue(maker, recipe->chroma);
    if (recipe->chroma == 3)
        u(maker, 1, recipe->separate);
    ue(maker, recipe->depth_luma - 8);
    ue(maker, recipe->depth_chroma - 8);
    u(maker, 1, 0);
    u(maker, 1, recipe->scaling);
    for (unsigned i = 0; recipe->scaling && i < (recipe->chroma == 3 ? 12 : 8); i++) {
        u(maker, 1, i % 3 != 1);
        if (i % 3 == 1)
            continue;
        for (unsigned k = 0; k < (i < 6 ? 16 : 64); k++) {
            se(maker, i == 3 ? -8 : k % 2 ? -1 : 1); // list 3 ends at once: the next scale is 0
            if (i == 3)
                break;
        }
    }
}

static inline void put_poc(struct maker *maker, const struct recipe *recipe)
{
    ue(maker, recipe->poc_type);
    if (recipe->poc_type == 0)
        ue(maker, recipe->log2_poc_lsb - 4);
    if (recipe->poc_type != 1)
        return;
    u(maker, 1, recipe->always_zero);
    se(maker, recipe->non_ref);
    se(maker, recipe->top_to_bottom);
    ue(maker, recipe->cycle_length);
    for (uint32_t i = 0; i < recipe->cycle_length && i < CH_H264_MAX_POC_CYCLE; i++)
        se(maker, recipe->cycle[i]);
}

static inline struct maker make_sps_bits(const struct recipe *recipe)
{
    struct maker maker = begin(0x67);
    u(&maker, 8, recipe->profile);
    u(&maker, 8, recipe->constraints);
    u(&maker, 8, recipe->level);
    ue(&maker, recipe->id);
    if (recipe->profile >= 100)
        put_chroma(&maker, recipe);
    ue(&maker, recipe->log2_frame_num - 4);
    put_poc(&maker, recipe);
    ue(&maker, recipe->refs);
    u(&maker, 1, 0);
    ue(&maker, recipe->width_mbs - 1);
    ue(&maker, recipe->height_units - 1);
    u(&maker, 1, !recipe->fields);
    if (recipe->fields)
        u(&maker, 1, 1);
    u(&maker, 1, 1);
    u(&maker, 1, recipe->crop);
    if (recipe->crop) {
        ue(&maker, recipe->crop_left);
        ue(&maker, recipe->crop_right);
        ue(&maker, recipe->crop_top);
        ue(&maker, recipe->crop_bottom);
    }
    u(&maker, 1, recipe->vui || recipe->put_vui);
    if (recipe->put_vui)
        recipe->put_vui(&maker);
    return maker;
}

static inline struct unit make_sps(const struct recipe *recipe)
{
    struct maker maker = make_sps_bits(recipe);
    return finish(&maker);
}

// A PPS up to and with its three last flags.
static inline struct unit make_pps(uint32_t id, uint32_t sps_id, bool bottom_field_order)
{
    struct maker maker = begin(0x68);
    ue(&maker, id);
    ue(&maker, sps_id);
    u(&maker, 1, 0);
    u(&maker, 1, bottom_field_order);
    ue(&maker, 0);
    ue(&maker, 0);
    ue(&maker, 0);
    u(&maker, 3, 0);
    se(&maker, 0);
    se(&maker, 0);
    se(&maker, 0);
    u(&maker, 3, 0);
    return finish(&maker);
}

#endif
