// Any bytes as an H.264 byte stream and, once more, as one NAL unit: nothing reads outside, what is found adds
// up to the input, and what is accepted is inside the bounds that the header promises.
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "codec/h264_sets.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_sps(const struct ch_h264_sps *sps)
{
    check(sps->id < CH_H264_MAX_SPS && sps->chroma_format_idc <= 3 && sps->poc_type <= 2);
    check(sps->width >= 1 && sps->width <= sps->coded_width && sps->coded_width <= 16384);
    check(sps->height >= 1 && sps->height <= sps->coded_height && sps->coded_height <= 16384);
    check(sps->sar_width > 0 && sps->sar_height > 0 && sps->max_num_ref_frames <= 16);
    check((sps->num_units_in_tick == 0) == (sps->time_scale == 0));
    check(ch_h264_reorder_depth(sps) <= 16);
    char codec[CH_H264_CODEC_STRING_BYTES];
    ch_h264_codec_string(sps, codec);
    check(strlen(codec) == CH_H264_CODEC_STRING_BYTES - 1);
}

static void check_slice(const struct ch_h264_slice *slice, const struct ch_h264_sps *sps)
{
    check(slice->frame_num >> sps->log2_max_frame_num == 0 && slice->slice_type <= 9);
    check(slice->first_mb < sps->coded_width / 16 * (sps->coded_height / 16));
    check(!slice->bottom_field || slice->field_pic);
    check(!ch_h264_new_picture(slice, slice));
}

// avcC of every SPS known, into exactly the bytes it asks for.
static void check_avcc(const struct ch_h264_sets *sets)
{
    for (unsigned id = 0; id < CH_H264_MAX_SPS; id++) {
        size_t bytes = ch_h264_sets_avcc(sets, id, NULL, 0);
        check(bytes == 0 || ch_h264_sets_sps(sets, id) != NULL);
        uint8_t *out = malloc(bytes + 1);
        check(out != NULL);
        check(ch_h264_sets_avcc(sets, id, out, bytes) == bytes);
        check(bytes == 0 || (out[0] == 1 && out[4] == 0xFF && out[5] > 0xE0));
        free(out);
    }
}

static void take_set(struct ch_h264_sets *sets, const uint8_t *nal, size_t size)
{
    int change = ch_h264_sets_put(sets, nal, size);
    check(change < 0 || ch_h264_sets_put(sets, nal, size) == CH_SETS_SAME);
    struct ch_h264_sps sps;
    if (ch_nal_type(nal) == CH_NAL_SPS && ch_h264_parse_sps(nal, size, &sps) == 0)
        check_sps(&sps);
}

static void walk(const uint8_t *data, size_t size)
{
    struct ch_h264_sets *sets = ch_h264_sets_new();
    check(sets != NULL);
    struct ch_h264_poc poc = {0};
    struct ch_h264_slice last = {0};
    struct ch_nal nal;
    size_t pos = 0, before = 0;
    while (ch_annexb_next(data, size, &pos, &nal)) {
        check(nal.size > 0 && nal.prefix >= 3 && nal.offset == before + nal.prefix && pos == nal.offset + nal.size);
        check(pos <= size && data[pos - 1] != 0 && data[nal.offset - 1] == 1);
        for (size_t i = before > 0 ? before : nal.offset - 3; i + 1 < nal.offset; i++)
            check(data[i] <= 1);
        before = pos;
        take_set(sets, data + nal.offset, nal.size);
        struct ch_h264_slice slice;
        const struct ch_h264_sps *sps;
        if (ch_h264_sets_slice(sets, data + nal.offset, nal.size, &slice, &sps))
            continue;
        check_slice(&slice, sps);
        if (ch_h264_new_picture(&last, &slice))
            (void)ch_h264_poc_next(&poc, sps, &slice);
        last = slice;
    }
    check(pos == size);
    check_avcc(sets);
    ch_h264_sets_free(sets);
}

static void parse_as_one(const uint8_t *data, size_t size)
{
    struct ch_h264_sps sps;
    struct ch_h264_pps pps;
    if (ch_h264_parse_sps(data, size, &sps) == 0)
        check_sps(&sps);
    if (ch_h264_parse_pps(data, size, &pps) == 0)
        check(pps.sps_id < CH_H264_MAX_SPS);
    int id = ch_h264_slice_pps_id(data, size);
    check(id < CH_H264_MAX_PPS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    walk(data, size);
    parse_as_one(data, size);
    return 0;
}
