#include "codec/h264_au.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// A slice header up to the picture order count fits into this, emulation prevention included.
#define SLICE_HEADER_BYTES 96u
#define MAX_SET_BYTES 4096u // a longer one is refused anyway: no need to wait for its end
#define MAX_DPB_FRAMES 16

void ch_h264_au_init(struct ch_h264_au_splitter *splitter, struct ch_h264_sets *sets)
{
    *splitter = (struct ch_h264_au_splitter){.sets = sets};
}

// --- NAL units of data that may end anywhere ---------------------------------------------------

// Where the NAL unit's start code begins. A zero_byte in front of it belongs to it (B.1.2); further
// zeros are trailing zeros of the previous NAL unit.
static size_t start_code(const uint8_t *data, size_t nal_offset)
{
    size_t start = nal_offset - 3;
    return start > 0 && data[start - 1] == 0 ? start - 1 : start;
}

// True if another start code follows, so that no byte of this NAL unit is still to come.
static bool is_whole(const uint8_t *data, size_t size, const struct ch_nal *nal)
{
    size_t pos = nal->offset + nal->size;
    while (pos < size && data[pos] == 0)
        pos++;
    return pos < size;
}

// Next NAL unit of which enough is there to judge it: parameter sets whole, slices up to the end of
// the part that is parsed. Does not move the scan behind it.
static bool find_nal(struct ch_h264_au_splitter *splitter, const uint8_t *data, size_t size, bool end,
                     struct ch_nal *nal)
{
    size_t pos = splitter->scan;
    if (!ch_annexb_next(data, size, &pos, nal)) {
        if (size > splitter->scan + 3)
            splitter->scan = size - 3; // a start code may be cut in two here
        return false;
    }
    unsigned type = ch_nal_type(data + nal->offset);
    if (end || is_whole(data, size, nal))
        return true;
    if (type == CH_NAL_SPS || type == CH_NAL_PPS)
        return nal->size > MAX_SET_BYTES;
    bool slice = type == CH_NAL_SLICE || type == CH_NAL_IDR || type == CH_NAL_PARTITION_A;
    return !slice || nal->size >= SLICE_HEADER_BYTES;
}

// --- where units end ---------------------------------------------------------------------------

// True if `slice` is of the field that completes the frame of which the unit has one field:
// complementary reference or non-reference field pair, clauses 3.30 and 3.29.
static bool completes_frame(const struct ch_h264_au_splitter *splitter, const struct ch_h264_slice *slice)
{
    const struct ch_h264_slice *first = &splitter->slice;
    return splitter->lone_field && slice->field_pic && slice->bottom_field != first->bottom_field && !slice->idr &&
           slice->frame_num == first->frame_num && (slice->nal_ref_idc != 0) == (first->nal_ref_idc != 0);
}

static void take_picture(struct ch_h264_au_splitter *splitter, const struct ch_h264_slice *slice,
                         const struct ch_h264_sps *sps)
{
    struct ch_h264_au *au = &splitter->au;
    int32_t poc = ch_h264_poc_next(&splitter->poc, sps, slice);
    au->poc = au->known && au->poc < poc ? au->poc : poc;
    au->known = true;
    au->width = sps->width;
    au->height = sps->height;
    au->num_units_in_tick = sps->num_units_in_tick;
    au->time_scale = sps->time_scale;
    splitter->slice = *slice;
}

// A slice whose sets are unknown begins a picture if it begins at its first macroblock:
// first_mb_in_slice is ue(v), of which 0 is the single bit 1 (9.1).
static bool begins_at_first_mb(const uint8_t *nal, size_t size)
{
    return size > 1 && (nal[1] & 0x80);
}

// Takes a slice into the unit, or returns the offset at which the unit has ended before it.
static size_t take_slice(struct ch_h264_au_splitter *splitter, const uint8_t *nal, size_t size, size_t start)
{
    struct ch_h264_au *au = &splitter->au;
    struct ch_h264_slice slice;
    const struct ch_h264_sps *sps;
    bool known = ch_h264_sets_slice(splitter->sets, nal, size, &slice, &sps) == 0;
    if (!au->picture) {
        au->picture = true;
        au->idr = ch_nal_type(nal) == CH_NAL_IDR;
        if (known) {
            take_picture(splitter, &slice, sps);
            splitter->lone_field = slice.field_pic;
        }
        return 0;
    }
    bool another = splitter->boundary && splitter->firm;
    if (!another)
        another = known && au->known ? ch_h264_new_picture(&splitter->slice, &slice) : begins_at_first_mb(nal, size);
    if (another) {
        if (!known || !completes_frame(splitter, &slice))
            return splitter->boundary ? splitter->boundary : start;
        take_picture(splitter, &slice, sps);
        splitter->lone_field = false;
        au->field_pair = true;
    }
    splitter->boundary = 0;
    return 0;
}

// NAL unit types that begin a unit when they come behind the slices of one, 7.4.1.2.3.
static bool begins_unit(unsigned type)
{
    return (type >= CH_NAL_SEI && type <= CH_NAL_AUD) || (type >= 14 && type <= 18);
}

// Takes a NAL unit into the unit, or returns the offset at which the unit has ended.
static size_t take_nal(struct ch_h264_au_splitter *splitter, const uint8_t *nal, size_t size, size_t start)
{
    unsigned type = ch_nal_type(nal);
    if (type == CH_NAL_SLICE || type == CH_NAL_IDR || type == CH_NAL_PARTITION_A)
        return take_slice(splitter, nal, size, start);
    if (splitter->au.picture && begins_unit(type)) {
        // A prefix NAL unit (14) stands before each slice of a scalable stream, G.7.4.1.2.3; what
        // it begins is known at that slice.
        bool firm = type != 14;
        if (firm && !splitter->lone_field)
            return splitter->boundary ? splitter->boundary : start;
        if (splitter->boundary == 0)
            splitter->boundary = start;
        splitter->firm = splitter->firm || firm;
    }
    return 0;
}

// A broken or oversized set is as good as none: its slices are then judged without it.
static int take_sets(struct ch_h264_au_splitter *splitter, const uint8_t *nal, size_t size)
{
    unsigned type = ch_nal_type(nal);
    if (type != CH_NAL_SPS && type != CH_NAL_PPS)
        return 0;
    return ch_h264_sets_put(splitter->sets, nal, size) == -ENOMEM ? -ENOMEM : 0;
}

static int finish(struct ch_h264_au_splitter *splitter, size_t bytes, struct ch_h264_au *out)
{
    *out = splitter->au;
    out->bytes = bytes;
    splitter->au = (struct ch_h264_au){0};
    splitter->scan = splitter->boundary = 0;
    splitter->firm = splitter->lone_field = false;
    return 1;
}

int ch_h264_au_next(struct ch_h264_au_splitter *splitter, const uint8_t *data, size_t size, bool end,
                    struct ch_h264_au *out)
{
    struct ch_nal nal;
    while (find_nal(splitter, data, size, end, &nal)) {
        size_t start = start_code(data, nal.offset);
        size_t cut = take_nal(splitter, data + nal.offset, nal.size, start);
        if (cut > 0)
            return finish(splitter, cut, out);
        int rc = take_sets(splitter, data + nal.offset, nal.size);
        if (rc < 0)
            return rc;
        // Of a NAL unit whose end has not come only the last bytes can be part of a start code.
        splitter->scan = nal.offset + nal.size;
        if (!end && !is_whole(data, size, &nal))
            splitter->scan = splitter->scan > nal.offset + 3 ? splitter->scan - 3 : nal.offset + 1;
    }
    if (!end || size == 0)
        return 0;
    return finish(splitter, splitter->boundary ? splitter->boundary : size, out);
}

// --- output order ------------------------------------------------------------------------------

// The largest counts of a period so far, in falling order: enough to see that more than a DPB's worth
// of pictures are larger than the next one.
struct largest {
    int32_t poc[MAX_DPB_FRAMES + 1];
    unsigned count;
};

static bool overtaken_too_often(const struct largest *largest, int32_t poc)
{
    return largest->count == MAX_DPB_FRAMES + 1 && poc < largest->poc[MAX_DPB_FRAMES];
}

static void add_largest(struct largest *largest, int32_t poc)
{
    unsigned i = largest->count;
    if (i == MAX_DPB_FRAMES + 1) {
        if (poc <= largest->poc[MAX_DPB_FRAMES])
            return;
        i = MAX_DPB_FRAMES;
    } else {
        largest->count++;
    }
    for (; i > 0 && largest->poc[i - 1] < poc; i--)
        largest->poc[i] = largest->poc[i - 1];
    largest->poc[i] = poc;
}

static int by_poc(const void *a, const void *b)
{
    const struct ch_h264_shown *x = a, *y = b;
    if (x->poc != y->poc)
        return x->poc < y->poc ? -1 : 1;
    return x->decoded < y->decoded ? -1 : x->decoded > y->decoded;
}

static int by_decoded(const void *a, const void *b)
{
    const struct ch_h264_shown *x = a, *y = b;
    return x->decoded < y->decoded ? -1 : x->decoded > y->decoded;
}

// Orders one period: pictures[first, end).
static void order_period(struct ch_h264_shown *pictures, size_t first, size_t end)
{
    if (first == end)
        return;
    qsort(pictures + first, end - first, sizeof *pictures, by_poc);
    for (size_t i = first; i < end; i++)
        pictures[i].shown = (uint32_t)i;
    qsort(pictures + first, end - first, sizeof *pictures, by_decoded);
}

void ch_h264_output_order(struct ch_h264_shown *pictures, size_t count)
{
    struct largest largest = {.count = 0};
    size_t first = 0;
    for (size_t i = 0; i < count; i++) {
        pictures[i].decoded = (uint32_t)i;
        if (pictures[i].restart || overtaken_too_often(&largest, pictures[i].poc)) {
            order_period(pictures, first, i);
            first = i;
            largest.count = 0;
        }
        add_largest(&largest, pictures[i].poc);
    }
    order_period(pictures, first, count);
}
