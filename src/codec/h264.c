// Parameter sets and slice headers (ITU-T H.264 7.3.2.1, 7.3.2.2, 7.3.3), and what is derived from them.
//
// The parsers read every field in order through a bit reader with a sticky error and look at it once
// at the end. They reject what no decoder could use; they do not judge what decoders ignore: a VUI
// that breaks off, which some encoders write, counts as absent (E.1: it is not needed to decode).
#include "codec/h264.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/bytes.h"
#include "codec/h264_bits.h"

#define MAX_SIZE 16384u
#define CONSTRAINT_SET3 0x10u

// forbidden_zero_bit is 0 and the type is the one asked for.
static bool is_nal(const uint8_t *nal, size_t size, unsigned type)
{
    return size > 1 && !(nal[0] & 0x80) && ch_nal_type(nal) == type;
}

// --- sequence parameter set ---------------------------------------------------------------------

// The profiles whose SPS holds chroma_format_idc and what follows it, 7.3.2.1.1.
static bool has_chroma_fields(uint8_t profile_idc)
{
    static const uint8_t profiles[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
    return memchr(profiles, profile_idc, sizeof profiles) != NULL;
}

// 7.3.2.1.1.1; the values themselves are of no use here.
static void skip_scaling_list(struct ch_bits *bits, unsigned size)
{
    int32_t last = 8;
    for (unsigned i = 0; i < size && last != 0; i++)
        last = (last + ch_bits_se_range(bits, -128, 127) + 256) % 256;
}

static void parse_chroma(struct ch_bits *bits, struct ch_h264_sps *sps)
{
    sps->chroma_format_idc = (uint8_t)ch_bits_ue_max(bits, 3);
    if (sps->chroma_format_idc == 3)
        sps->separate_colour_plane = ch_bits_flag(bits);
    sps->bit_depth_luma = (uint8_t)(8 + ch_bits_ue_max(bits, 6));
    sps->bit_depth_chroma = (uint8_t)(8 + ch_bits_ue_max(bits, 6));
    ch_bits_flag(bits);      // qpprime_y_zero_transform_bypass_flag
    if (!ch_bits_flag(bits)) // seq_scaling_matrix_present_flag
        return;
    unsigned lists = sps->chroma_format_idc == 3 ? 12 : 8;
    for (unsigned i = 0; i < lists; i++) {
        if (ch_bits_flag(bits))
            skip_scaling_list(bits, i < 6 ? 16 : 64);
    }
}

static void parse_poc_fields(struct ch_bits *bits, struct ch_h264_sps *sps)
{
    sps->poc_type = (uint8_t)ch_bits_ue_max(bits, 2);
    if (sps->poc_type == 0)
        sps->log2_max_poc_lsb = (uint8_t)(4 + ch_bits_ue_max(bits, 12));
    if (sps->poc_type != 1)
        return;
    sps->delta_pic_order_always_zero = ch_bits_flag(bits);
    sps->offset_for_non_ref_pic = ch_bits_se(bits);
    sps->offset_for_top_to_bottom = ch_bits_se(bits);
    sps->poc_cycle_length = (uint8_t)ch_bits_ue_max(bits, CH_H264_MAX_POC_CYCLE);
    for (unsigned i = 0; i < sps->poc_cycle_length; i++)
        sps->offset_for_ref_frame[i] = ch_bits_se(bits);
}

// Crop offsets count in units of the chroma grid, and of fields where there may be fields,
// 7.4.2.1.1 (7-19 to 7-22).
static void parse_cropping(struct ch_bits *bits, struct ch_h264_sps *sps)
{
    bool chroma = sps->chroma_format_idc != 0 && !sps->separate_colour_plane;
    uint64_t unit_x = chroma && sps->chroma_format_idc < 3 ? 2 : 1;
    uint64_t unit_y = (chroma && sps->chroma_format_idc == 1 ? 2 : 1) * (sps->frame_mbs_only ? 1u : 2u);
    uint64_t left = ch_bits_ue(bits), right = ch_bits_ue(bits);
    uint64_t top = ch_bits_ue(bits), bottom = ch_bits_ue(bits);
    uint64_t cut_x = unit_x * (left + right), cut_y = unit_y * (top + bottom);
    if (cut_x >= sps->coded_width || cut_y >= sps->coded_height) {
        ch_bits_fail(bits);
        return;
    }
    sps->width -= (uint32_t)cut_x;
    sps->height -= (uint32_t)cut_y;
}

static void parse_size(struct ch_bits *bits, struct ch_h264_sps *sps)
{
    uint32_t width_mbs = 1 + ch_bits_ue_max(bits, MAX_SIZE / 16 - 1);
    uint32_t height_map_units = 1 + ch_bits_ue_max(bits, MAX_SIZE / 16 - 1);
    sps->frame_mbs_only = ch_bits_flag(bits);
    sps->coded_width = sps->width = width_mbs * 16;
    sps->coded_height = sps->height = height_map_units * (sps->frame_mbs_only ? 16 : 32);
    if (sps->coded_height > MAX_SIZE)
        ch_bits_fail(bits);
    if (!sps->frame_mbs_only)
        ch_bits_flag(bits); // mb_adaptive_frame_field_flag
    ch_bits_flag(bits);     // direct_8x8_inference_flag
    if (ch_bits_flag(bits))
        parse_cropping(bits, sps);
}

// Table E-1; 1:1 for "unspecified" and reserved values.
static void parse_aspect_ratio(struct ch_bits *bits, struct ch_h264_sps *sps)
{
    static const uint8_t table[17][2] = {
        {1, 1},   {1, 1},   {12, 11}, {10, 11}, {16, 11},  {40, 33}, {24, 11}, {20, 11}, {32, 11},
        {80, 33}, {18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3},   {3, 2},   {2, 1},
    };
    uint32_t idc = ch_bits_u(bits, 8), width = 1, height = 1;
    if (idc == 255) {
        width = ch_bits_u(bits, 16);
        height = ch_bits_u(bits, 16);
    } else if (idc < 17) {
        width = table[idc][0];
        height = table[idc][1];
    }
    if (width > 0 && height > 0) {
        sps->sar_width = width;
        sps->sar_height = height;
    }
}

// E.1.2
static void skip_hrd(struct ch_bits *bits)
{
    uint32_t count = 1 + ch_bits_ue_max(bits, 31);
    ch_bits_u(bits, 8); // bit_rate_scale, cpb_size_scale
    for (uint32_t i = 0; i < count; i++) {
        ch_bits_ue(bits);
        ch_bits_ue(bits);
        ch_bits_flag(bits);
    }
    ch_bits_u(bits, 20); // four lengths
}

static void parse_timing(struct ch_bits *bits, struct ch_h264_sps *sps)
{
    uint32_t units = ch_bits_u(bits, 32), scale = ch_bits_u(bits, 32);
    ch_bits_flag(bits); // fixed_frame_rate_flag
    if (units > 0 && scale > 0) {
        sps->num_units_in_tick = units;
        sps->time_scale = scale;
    }
}

static void parse_restrictions(struct ch_bits *bits, struct ch_h264_sps *sps)
{
    ch_bits_flag(bits); // motion_vectors_over_pic_boundaries_flag
    for (int i = 0; i < 4; i++)
        ch_bits_ue(bits);
    sps->max_num_reorder_frames = (int8_t)ch_bits_ue_max(bits, 16);
    ch_bits_ue(bits); // max_dec_frame_buffering
}

// E.1.1
static void parse_vui(struct ch_bits *bits, struct ch_h264_sps *sps)
{
    if (ch_bits_flag(bits))
        parse_aspect_ratio(bits, sps);
    if (ch_bits_flag(bits))
        ch_bits_flag(bits); // overscan_appropriate_flag
    if (ch_bits_flag(bits)) {
        ch_bits_u(bits, 4); // video_format, video_full_range_flag
        if (ch_bits_flag(bits))
            ch_bits_u(bits, 24); // colour description
    }
    if (ch_bits_flag(bits)) {
        ch_bits_ue(bits); // chroma sample locations
        ch_bits_ue(bits);
    }
    if (ch_bits_flag(bits))
        parse_timing(bits, sps);
    bool nal_hrd = ch_bits_flag(bits);
    if (nal_hrd)
        skip_hrd(bits);
    bool vcl_hrd = ch_bits_flag(bits);
    if (vcl_hrd)
        skip_hrd(bits);
    if (nal_hrd || vcl_hrd)
        ch_bits_flag(bits); // low_delay_hrd_flag
    ch_bits_flag(bits);     // pic_struct_present_flag
    if (ch_bits_flag(bits))
        parse_restrictions(bits, sps);
}

static void set_vui_absent(struct ch_h264_sps *sps)
{
    sps->sar_width = sps->sar_height = 1;
    sps->num_units_in_tick = sps->time_scale = 0;
    sps->max_num_reorder_frames = -1;
}

int ch_h264_parse_sps(const uint8_t *nal, size_t size, struct ch_h264_sps *out)
{
    if (!is_nal(nal, size, CH_NAL_SPS))
        return -EBADMSG;
    struct ch_bits bits = ch_bits_of_nal(nal, size);
    memset(out, 0, sizeof *out);
    set_vui_absent(out);
    out->profile_idc = (uint8_t)ch_bits_u(&bits, 8);
    out->constraint_flags = (uint8_t)ch_bits_u(&bits, 8);
    out->level_idc = (uint8_t)ch_bits_u(&bits, 8);
    out->id = (uint8_t)ch_bits_ue_max(&bits, CH_H264_MAX_SPS - 1);
    out->chroma_format_idc = 1;
    out->bit_depth_luma = out->bit_depth_chroma = 8;
    if (has_chroma_fields(out->profile_idc))
        parse_chroma(&bits, out);
    out->log2_max_frame_num = (uint8_t)(4 + ch_bits_ue_max(&bits, 12));
    parse_poc_fields(&bits, out);
    out->max_num_ref_frames = ch_bits_ue_max(&bits, 16);
    out->gaps_in_frame_num = ch_bits_flag(&bits);
    parse_size(&bits, out);
    bool vui = ch_bits_flag(&bits);
    if (bits.failed)
        return -EBADMSG;
    if (vui)
        parse_vui(&bits, out);
    if (bits.failed)
        set_vui_absent(out);
    return 0;
}

// --- picture parameter set ----------------------------------------------------------------------

// Flexible macroblock ordering, a feature of Baseline that few use.
static void skip_slice_groups(struct ch_bits *bits, uint32_t groups)
{
    uint32_t type = ch_bits_ue_max(bits, 6);
    if (type == 0) {
        for (uint32_t i = 0; i < groups; i++)
            ch_bits_ue(bits); // run_length_minus1
    } else if (type == 2) {
        for (uint32_t i = 0; i < 2 * (groups - 1); i++)
            ch_bits_ue(bits); // top_left, bottom_right
    } else if (type >= 3 && type <= 5) {
        ch_bits_flag(bits); // slice_group_change_direction_flag
        ch_bits_ue(bits);   // slice_group_change_rate_minus1
    } else if (type == 6) {
        uint32_t units = 1 + ch_bits_ue_max(bits, (MAX_SIZE / 16) * (MAX_SIZE / 16) - 1);
        for (uint32_t i = 0; i < units && !bits->failed; i++)
            ch_bits_u(bits, groups > 4 ? 3 : groups > 2 ? 2 : 1);
    }
}

// Reads on behind the fields that are kept, because a broken set must not replace a good one.
int ch_h264_parse_pps(const uint8_t *nal, size_t size, struct ch_h264_pps *out)
{
    if (!is_nal(nal, size, CH_NAL_PPS))
        return -EBADMSG;
    struct ch_bits bits = ch_bits_of_nal(nal, size);
    out->id = (uint8_t)ch_bits_ue_max(&bits, CH_H264_MAX_PPS - 1);
    out->sps_id = (uint8_t)ch_bits_ue_max(&bits, CH_H264_MAX_SPS - 1);
    ch_bits_flag(&bits); // entropy_coding_mode_flag
    out->bottom_field_pic_order_in_frame_present = ch_bits_flag(&bits);
    uint32_t groups = 1 + ch_bits_ue_max(&bits, 7);
    if (groups > 1)
        skip_slice_groups(&bits, groups);
    ch_bits_ue_max(&bits, 31);   // num_ref_idx_l0_default_active_minus1
    ch_bits_ue_max(&bits, 31);   // num_ref_idx_l1_default_active_minus1
    ch_bits_flag(&bits);         // weighted_pred_flag
    if (ch_bits_u(&bits, 2) > 2) // weighted_bipred_idc
        ch_bits_fail(&bits);
    ch_bits_se_range(&bits, -62, 25); // pic_init_qp_minus26, down to -(26 + QpBdOffset)
    ch_bits_se_range(&bits, -26, 25); // pic_init_qs_minus26
    ch_bits_se_range(&bits, -12, 12); // chroma_qp_index_offset
    ch_bits_u(&bits, 3);              // deblocking, constrained intra, redundant pictures
    return bits.failed ? -EBADMSG : 0;
}

// --- slice header -------------------------------------------------------------------------------

// A type whose payload starts with a slice header.
static bool is_slice(const uint8_t *nal, size_t size)
{
    return is_nal(nal, size, CH_NAL_SLICE) || is_nal(nal, size, CH_NAL_IDR) || is_nal(nal, size, CH_NAL_PARTITION_A);
}

int ch_h264_slice_pps_id(const uint8_t *nal, size_t size)
{
    if (!is_slice(nal, size))
        return -EBADMSG;
    struct ch_bits bits = ch_bits_of_nal(nal, size);
    ch_bits_ue(&bits);        // first_mb_in_slice
    ch_bits_ue_max(&bits, 9); // slice_type
    uint32_t id = ch_bits_ue_max(&bits, CH_H264_MAX_PPS - 1);
    return bits.failed ? -EBADMSG : (int)id;
}

static void parse_slice_poc(struct ch_bits *bits, const struct ch_h264_sps *sps, const struct ch_h264_pps *pps,
                            struct ch_h264_slice *out)
{
    bool both_fields = pps->bottom_field_pic_order_in_frame_present && !out->field_pic;
    if (sps->poc_type == 0) {
        out->poc_lsb = ch_bits_u(bits, sps->log2_max_poc_lsb);
        if (both_fields)
            out->delta_poc_bottom = ch_bits_se(bits);
    }
    if (sps->poc_type == 1 && !sps->delta_pic_order_always_zero) {
        out->delta_poc[0] = ch_bits_se(bits);
        if (both_fields)
            out->delta_poc[1] = ch_bits_se(bits);
    }
}

int ch_h264_parse_slice(const uint8_t *nal, size_t size, const struct ch_h264_sps *sps, const struct ch_h264_pps *pps,
                        struct ch_h264_slice *out)
{
    if (!is_slice(nal, size))
        return -EBADMSG;
    struct ch_bits bits = ch_bits_of_nal(nal, size);
    *out = (struct ch_h264_slice){.nal_type = (uint8_t)ch_nal_type(nal), .nal_ref_idc = nal[0] >> 5 & 3};
    out->idr = out->nal_type == CH_NAL_IDR;
    // In macroblocks, or in pairs of them: at most this in either case, and in a field too.
    out->first_mb = ch_bits_ue_max(&bits, sps->coded_width / 16 * (sps->coded_height / 16) - 1);
    out->slice_type = ch_bits_ue_max(&bits, 9);
    out->pps_id = (uint8_t)ch_bits_ue_max(&bits, CH_H264_MAX_PPS - 1);
    if (sps->separate_colour_plane)
        ch_bits_u(&bits, 2); // colour_plane_id
    out->frame_num = ch_bits_u(&bits, sps->log2_max_frame_num);
    if (!sps->frame_mbs_only) {
        out->field_pic = ch_bits_flag(&bits);
        if (out->field_pic)
            out->bottom_field = ch_bits_flag(&bits);
    }
    if (out->idr)
        out->idr_pic_id = ch_bits_ue_max(&bits, 65535);
    parse_slice_poc(&bits, sps, pps, out);
    return bits.failed ? -EBADMSG : 0;
}

// Fields that a stream's poc_type does not have are 0 in both and so never differ.
bool ch_h264_new_picture(const struct ch_h264_slice *prev, const struct ch_h264_slice *next)
{
    return prev->frame_num != next->frame_num || prev->pps_id != next->pps_id || prev->field_pic != next->field_pic ||
           prev->bottom_field != next->bottom_field || (prev->nal_ref_idc == 0) != (next->nal_ref_idc == 0) ||
           prev->poc_lsb != next->poc_lsb || prev->delta_poc_bottom != next->delta_poc_bottom ||
           prev->delta_poc[0] != next->delta_poc[0] || prev->delta_poc[1] != next->delta_poc[1] ||
           prev->idr != next->idr || (prev->idr && prev->idr_pic_id != next->idr_pic_id);
}

// --- what a set says to others ------------------------------------------------------------------

// MaxDpbMbs of Table A-1. Level 1b is level_idc 9, or 11 with constraint_set3 in the older profiles.
static uint32_t max_dpb_mbs(const struct ch_h264_sps *sps)
{
    bool old = sps->profile_idc == 66 || sps->profile_idc == 77 || sps->profile_idc == 88;
    switch (sps->level_idc) {
    case 9:
    case 10: return 396;
    case 11: return old && sps->constraint_flags & CONSTRAINT_SET3 ? 396 : 900;
    case 12:
    case 13:
    case 20: return 2376;
    case 21: return 4752;
    case 22:
    case 30: return 8100;
    case 31: return 18000;
    case 32: return 20480;
    case 40:
    case 41: return 32768;
    case 42: return 34816;
    case 50: return 110400;
    case 51:
    case 52: return 184320;
    default: return 696320; // 6 to 6.2, and what is unknown
    }
}

static bool is_intra_only(const struct ch_h264_sps *sps)
{
    static const uint8_t profiles[] = {44, 100, 110, 122, 244};
    return sps->constraint_flags & CONSTRAINT_SET3 && memchr(profiles, sps->profile_idc, sizeof profiles);
}

unsigned ch_h264_reorder_depth(const struct ch_h264_sps *sps)
{
    if (sps->poc_type == 2)
        return 0;
    if (sps->max_num_reorder_frames >= 0)
        return (unsigned)sps->max_num_reorder_frames;
    if (sps->profile_idc == 66 || is_intra_only(sps))
        return 0;
    uint32_t frames = max_dpb_mbs(sps) / (sps->coded_width / 16 * (sps->coded_height / 16));
    uint32_t refs = sps->max_num_ref_frames > 0 ? sps->max_num_ref_frames : 1;
    uint32_t depth = frames < refs ? frames : refs;
    return depth < 16 ? depth : 16;
}

void ch_h264_codec_string(const struct ch_h264_sps *sps, char out[CH_H264_CODEC_STRING_BYTES])
{
    snprintf(out, CH_H264_CODEC_STRING_BYTES, "avc1.%02X%02X%02X", sps->profile_idc, sps->constraint_flags,
             sps->level_idc);
}

static bool sets_fit(const struct ch_h264_bytes *sets, size_t count, size_t max_count, size_t *total)
{
    if (count > max_count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (sets[i].size > UINT16_MAX)
            return false;
        *total += 2 + sets[i].size;
    }
    return true;
}

static uint8_t *put_sets(uint8_t *out, const struct ch_h264_bytes *sets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ch_put_be16(out, (uint16_t)sets[i].size);
        memcpy(out + 2, sets[i].data, sets[i].size);
        out += 2 + sets[i].size;
    }
    return out;
}

// ISO/IEC 14496-15 5.3.3.1.2: all profiles but the three oldest have four more bytes at the end.
static bool has_avcc_extension(const struct ch_h264_sps *sps)
{
    return sps->profile_idc != 66 && sps->profile_idc != 77 && sps->profile_idc != 88;
}

size_t ch_h264_write_avcc(const struct ch_h264_sps *first, const struct ch_h264_bytes *sps, size_t sps_count,
                          const struct ch_h264_bytes *pps, size_t pps_count, uint8_t *out, size_t capacity)
{
    size_t total = 7 + (has_avcc_extension(first) ? 4 : 0);
    if (sps_count == 0 || !sets_fit(sps, sps_count, 31, &total) || !sets_fit(pps, pps_count, 255, &total))
        return 0;
    if (!out || total > capacity)
        return total;
    *out++ = 1; // configurationVersion
    *out++ = first->profile_idc;
    *out++ = first->constraint_flags;
    *out++ = first->level_idc;
    *out++ = 0xFC | 3; // lengthSizeMinusOne
    *out++ = (uint8_t)(0xE0 | sps_count);
    out = put_sets(out, sps, sps_count);
    *out++ = (uint8_t)pps_count;
    out = put_sets(out, pps, pps_count);
    if (has_avcc_extension(first)) {
        *out++ = 0xFC | first->chroma_format_idc;
        *out++ = (uint8_t)(0xF8 | (first->bit_depth_luma - 8));
        *out++ = (uint8_t)(0xF8 | (first->bit_depth_chroma - 8));
        *out++ = 0; // numOfSequenceParameterSetExt
    }
    return total;
}
