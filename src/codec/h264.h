// H.264 as far as a hub must understand it: NAL units in an Annex B byte stream, parameter sets,
// slice headers (enough to tell pictures apart and to order them), and the names browsers want.
//
// Pure: bytes in, facts out. Nothing here allocates, logs, or keeps a pointer into its input.
// Every parser accepts any bytes whatever and reads none outside [data, data + size).
#ifndef CH_CODEC_H264_H
#define CH_CODEC_H264_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// nal_unit_type, ITU-T H.264 Table 7-1
enum ch_nal_type {
    CH_NAL_SLICE = 1,
    CH_NAL_PARTITION_A = 2,
    CH_NAL_IDR = 5,
    CH_NAL_SEI = 6,
    CH_NAL_SPS = 7,
    CH_NAL_PPS = 8,
    CH_NAL_AUD = 9,
    CH_NAL_END_SEQUENCE = 10,
    CH_NAL_END_STREAM = 11,
    CH_NAL_FILLER = 12,
    CH_NAL_SPS_EXTENSION = 13,
};

// One NAL unit found in a byte stream.
struct ch_nal {
    size_t offset; // of the NAL unit's first byte (its header), from the start of the data
    size_t size;   // bytes, at least 1, without trailing zero bytes
    size_t prefix; // bytes between the end of the previous NAL unit (or the start of the data) and
                   // `offset`: trailing zeros of the previous one and the start code. Of the first
                   // NAL unit it may hold garbage; of all others it is zeros and then 01, or, where
                   // empty NAL units were skipped, several start codes in a row.
};

static inline unsigned ch_nal_type(const uint8_t *nal)
{
    return nal[0] & 31u;
}

// True for what belongs into a sample: coded slices, SEI and whatever is unknown. False for
// parameter sets, delimiters, end markers and filler data.
// ISO/IEC 14496-15 5.3.2 and 5.4.2 (what a sample of an `avc1` track holds).
bool ch_nal_in_sample(unsigned type);

// Finds the next NAL unit at or after *pos (ITU-T H.264 B.1.1, B.2) and moves *pos behind it.
// Start with *pos = 0. Empty NAL units are skipped. False when there is none left.
// Start codes are searched 16 bytes at a time. Only 00 00 01 ends a NAL unit; 00 00 00 inside one,
// which no encoder may write, stays in it.
bool ch_annexb_next(const uint8_t *data, size_t size, size_t *pos, struct ch_nal *nal);

#define CH_H264_MAX_SPS 32
#define CH_H264_MAX_PPS 256
#define CH_H264_MAX_POC_CYCLE 255

// Sequence parameter set, ITU-T H.264 7.3.2.1.1 and E.1.1.
struct ch_h264_sps {
    uint8_t id; // 0..31
    uint8_t profile_idc, constraint_flags, level_idc;
    uint8_t chroma_format_idc;                // 0..3; 1 where the profile has no such field
    uint8_t bit_depth_luma, bit_depth_chroma; // 8..14
    bool separate_colour_plane, frame_mbs_only, gaps_in_frame_num;
    uint8_t log2_max_frame_num;       // 4..16
    uint8_t poc_type;                 // 0..2
    uint8_t log2_max_poc_lsb;         // 4..16, with poc_type 0
    bool delta_pic_order_always_zero; // with poc_type 1, as the following
    int32_t offset_for_non_ref_pic, offset_for_top_to_bottom;
    uint8_t poc_cycle_length;
    int32_t offset_for_ref_frame[CH_H264_MAX_POC_CYCLE];
    uint32_t max_num_ref_frames;            // 0..16
    uint32_t coded_width, coded_height;     // whole macroblocks, at most 16384 each
    uint32_t width, height;                 // after cropping, at least 1
    uint32_t sar_width, sar_height;         // 1:1 if not given
    uint32_t num_units_in_tick, time_scale; // 0, 0 if not given
    int8_t max_num_reorder_frames;          // -1 if not given
};

// Picture parameter set, the first fields of ITU-T H.264 7.3.2.2 (more are read, to know a broken one).
struct ch_h264_pps {
    uint8_t id;     // 0..255
    uint8_t sps_id; // 0..31
    bool bottom_field_pic_order_in_frame_present;
};

// Slice header up to the picture order count, ITU-T H.264 7.3.3.
struct ch_h264_slice {
    uint8_t nal_type, nal_ref_idc;
    bool idr, field_pic, bottom_field;
    bool has_mmco5; // always false: not parsed; a wrong order heals at the next IDR picture
    uint8_t pps_id;
    uint32_t first_mb, slice_type, frame_num, idr_pic_id;
    uint32_t poc_lsb;
    int32_t delta_poc_bottom;
    int32_t delta_poc[2];
};

// All parse a NAL unit with its header byte and with emulation prevention bytes in place.
// 0, or -EBADMSG if the syntax is broken or a value is outside the standard's range (or a size
// outside the bounds above). *out is whole on success and unspecified on failure.
// A VUI that breaks off or holds a value out of range counts as not given: it is not needed to
// decode (E.1), and some encoders write such.
int ch_h264_parse_sps(const uint8_t *nal, size_t size, struct ch_h264_sps *out);
int ch_h264_parse_pps(const uint8_t *nal, size_t size, struct ch_h264_pps *out);
// The sps is the one that the pps names.
int ch_h264_parse_slice(const uint8_t *nal, size_t size, const struct ch_h264_sps *sps, const struct ch_h264_pps *pps,
                        struct ch_h264_slice *out);
// pic_parameter_set_id of a slice, which must be known before its header can be parsed.
// 0..255, or -EBADMSG.
int ch_h264_slice_pps_id(const uint8_t *nal, size_t size);

// True if `next` begins another primary coded picture than `prev`, ITU-T H.264 7.4.1.2.4.
bool ch_h264_new_picture(const struct ch_h264_slice *prev, const struct ch_h264_slice *next);

// Picture order count, ITU-T H.264 8.2.1. Zero-initialise; feed the first slice of every picture
// in decoding order. Counts from 0 at each IDR picture.
struct ch_h264_poc {
    int32_t prev_msb, prev_lsb; // type 0
    uint32_t prev_frame_num;    // types 1 and 2
    int32_t prev_frame_num_offset;
};
// Smaller of both fields' counts for a frame, the field's own for a field.
int32_t ch_h264_poc_next(struct ch_h264_poc *poc, const struct ch_h264_sps *sps, const struct ch_h264_slice *slice);

// How many pictures may come before a picture in decoding order and follow it in output order, at
// the most: 0 with poc_type 2; max_num_reorder_frames where given; 0 for Baseline (66) and intra-only
// profiles (constraint_set3 with 100, 110, 122, 244, 44); else what the level's DPB holds
// (A.3.1, Table A-1), but no more than max_num_ref_frames (at least 1). 0..16.
unsigned ch_h264_reorder_depth(const struct ch_h264_sps *sps);

// "avc1.PPCCLL", RFC 6381 3.3. Writes 12 bytes with the final zero.
#define CH_H264_CODEC_STRING_BYTES 12
void ch_h264_codec_string(const struct ch_h264_sps *sps, char out[CH_H264_CODEC_STRING_BYTES]);

// AVCDecoderConfigurationRecord, ISO/IEC 14496-15 5.3.3.1, with 4-byte lengths.
// `first` is the parsed form of sps[0]. Returns the bytes needed; writes them only if they fit
// into `capacity` (out may be NULL with 0). 0 if there is no SPS, or more than 31 SPS or 255 PPS,
// or a set over 65535 bytes.
struct ch_h264_bytes {
    const uint8_t *data;
    size_t size;
};
size_t ch_h264_write_avcc(const struct ch_h264_sps *first, const struct ch_h264_bytes *sps, size_t sps_count,
                          const struct ch_h264_bytes *pps, size_t pps_count, uint8_t *out, size_t capacity);

#endif
