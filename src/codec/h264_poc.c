// Picture order count, ITU-T H.264 8.2.1.
//
// Sums wrap instead of overflowing: a legal stream stays within 32 bits, and any other one gets an
// order that means nothing, but no undefined behaviour.
#include "codec/h264.h"

static int32_t add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static int32_t multiply(uint32_t a, int32_t b)
{
    return (int32_t)(a * (uint32_t)b);
}

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

// 8.2.1.1: the low bits are sent, the high bits follow from the previous reference picture.
static int32_t next_type0(struct ch_h264_poc *poc, const struct ch_h264_sps *sps, const struct ch_h264_slice *slice)
{
    int32_t max_lsb = INT32_C(1) << sps->log2_max_poc_lsb, lsb = (int32_t)slice->poc_lsb;
    int32_t prev_msb = slice->idr ? 0 : poc->prev_msb, prev_lsb = slice->idr ? 0 : poc->prev_lsb;
    int32_t msb = prev_msb;
    if (lsb < prev_lsb && prev_lsb - lsb >= max_lsb / 2)
        msb = add(prev_msb, max_lsb);
    else if (lsb > prev_lsb && lsb - prev_lsb > max_lsb / 2)
        msb = add(prev_msb, -max_lsb);
    if (slice->nal_ref_idc != 0) {
        poc->prev_msb = msb;
        poc->prev_lsb = lsb;
    }
    int32_t first = add(msb, lsb);
    return slice->field_pic ? first : smaller(first, add(first, slice->delta_poc_bottom));
}

// FrameNumOffset of 8.2.1.2 and 8.2.1.3, and what the next picture needs of this one.
static int32_t next_frame_num_offset(struct ch_h264_poc *poc, const struct ch_h264_sps *sps,
                                     const struct ch_h264_slice *slice)
{
    int32_t offset = poc->prev_frame_num_offset;
    if (slice->idr)
        offset = 0;
    else if (poc->prev_frame_num > slice->frame_num)
        offset = add(offset, INT32_C(1) << sps->log2_max_frame_num);
    poc->prev_frame_num = slice->frame_num;
    poc->prev_frame_num_offset = offset;
    return offset;
}

// expectedPicOrderCnt without the offset for pictures that are no reference.
static int32_t expected_in_cycle(const struct ch_h264_sps *sps, uint32_t abs_frame_num)
{
    if (abs_frame_num == 0)
        return 0;
    uint32_t cycles = (abs_frame_num - 1) / sps->poc_cycle_length;
    uint32_t in_cycle = (abs_frame_num - 1) % sps->poc_cycle_length;
    int32_t per_cycle = 0, expected = 0;
    for (uint32_t i = 0; i < sps->poc_cycle_length; i++) {
        per_cycle = add(per_cycle, sps->offset_for_ref_frame[i]);
        if (i <= in_cycle)
            expected = per_cycle;
    }
    return add(multiply(cycles, per_cycle), expected);
}

// 8.2.1.2: a pattern that repeats with frame_num, plus corrections.
static int32_t next_type1(struct ch_h264_poc *poc, const struct ch_h264_sps *sps, const struct ch_h264_slice *slice)
{
    uint32_t abs_frame_num = (uint32_t)next_frame_num_offset(poc, sps, slice) + slice->frame_num;
    if (sps->poc_cycle_length == 0)
        abs_frame_num = 0;
    if (slice->nal_ref_idc == 0 && abs_frame_num > 0)
        abs_frame_num--;
    int32_t expected = expected_in_cycle(sps, abs_frame_num);
    if (slice->nal_ref_idc == 0)
        expected = add(expected, sps->offset_for_non_ref_pic);
    int32_t first = add(expected, slice->delta_poc[0]);
    if (slice->field_pic)
        return slice->bottom_field ? add(first, sps->offset_for_top_to_bottom) : first;
    return smaller(first, add(first, add(sps->offset_for_top_to_bottom, slice->delta_poc[1])));
}

// 8.2.1.3: output order is decoding order.
static int32_t next_type2(struct ch_h264_poc *poc, const struct ch_h264_sps *sps, const struct ch_h264_slice *slice)
{
    int32_t frame = add(next_frame_num_offset(poc, sps, slice), (int32_t)slice->frame_num);
    if (slice->idr)
        return 0;
    return add(multiply(2, frame), slice->nal_ref_idc == 0 ? -1 : 0);
}

int32_t ch_h264_poc_next(struct ch_h264_poc *poc, const struct ch_h264_sps *sps, const struct ch_h264_slice *slice)
{
    switch (sps->poc_type) {
    case 0: return next_type0(poc, sps, slice);
    case 1: return next_type1(poc, sps, slice);
    default: return next_type2(poc, sps, slice);
    }
}
