// Walks a recording from its first byte, as far as it is whole.
//
// A pull parser: it says which bytes it wants next. A fragment counts only if its 112 bytes are what
// ch_mp4_write_fragment makes of the values in them, so there is one description of the shape, and
// nothing else can pass. The byte before the next header is fetched with it: the last byte of the
// sample, which shows whether a picture's tail ever reached the disk.
#include "codec/mp4_internal.h"

enum state {
    AT_HEAD,       // ftyp, and the box that is `free` first and `mdat` in the end
    AT_FINAL_MOOV, // where the `mdat` header says the final moov begins
    AT_MOOV_HEADER,
    AT_MOOV,
    AT_FIRST_HEADER, // of a fragment, right behind the moov
    AT_LAST_BYTE,    // of next_fragment's sample, and the header behind it
    AT_END,
    AT_TORN,
};

#define MOOV_OFFSET (CH_MP4_FREE_OFFSET + CH_MP4_FREE_BYTES)

// Positions in a fragment's header of what varies.
#define AT_SEQUENCE 20
#define AT_TRACK 44
#define AT_DTS 60
#define AT_DURATION 88
#define AT_SAMPLE_BYTES 92
#define AT_FLAGS 96
#define AT_COMPOSITION 100

static enum ch_mp4_event torn(struct ch_mp4_scan *scan)
{
    scan->state = AT_TORN;
    scan->want_bytes = 0;
    return CH_MP4_TORN;
}

// Wants `bytes` at `offset`, which must lie inside the file.
static enum ch_mp4_event want(struct ch_mp4_scan *scan, enum state state, uint64_t offset, uint64_t bytes)
{
    if (offset > scan->file_bytes || bytes > scan->file_bytes - offset)
        return torn(scan);
    scan->state = state;
    scan->want_offset = offset;
    scan->want_bytes = (size_t)bytes;
    return CH_MP4_MORE;
}

void ch_mp4_scan_init(struct ch_mp4_scan *scan, uint64_t file_bytes)
{
    *scan = (struct ch_mp4_scan){.file_bytes = file_bytes};
    want(scan, AT_HEAD, 0, MOOV_OFFSET);
}

// A box header of this type with a 32-bit size, which is returned; 0 if it is none.
static uint32_t box_size(const uint8_t *bytes, const char type[static 4])
{
    uint32_t size = ch_get_be32(bytes);
    return memcmp(bytes + 4, type, 4) == 0 && size >= 8 ? size : 0;
}

static enum ch_mp4_event read_head(struct ch_mp4_scan *scan, const uint8_t *bytes)
{
    const uint8_t *box = bytes + CH_MP4_FREE_OFFSET;
    if (box_size(bytes, "ftyp") != CH_MP4_FTYP_BYTES)
        return torn(scan);
    if (box_size(box, "free") == CH_MP4_FREE_BYTES)
        return want(scan, AT_MOOV_HEADER, MOOV_OFFSET, 8);
    if (ch_get_be32(box) != 1 || memcmp(box + 4, "mdat", 4) != 0)
        return torn(scan);
    uint64_t bytes_in_mdat = ch_get_be64(box + 8), behind = scan->file_bytes - CH_MP4_FREE_OFFSET;
    if (bytes_in_mdat <= behind && behind - bytes_in_mdat >= 8)
        return want(scan, AT_FINAL_MOOV, CH_MP4_FREE_OFFSET + bytes_in_mdat, 8);
    scan->patched = true;
    return want(scan, AT_MOOV_HEADER, MOOV_OFFSET, 8);
}

static enum ch_mp4_event read_final_moov(struct ch_mp4_scan *scan, const uint8_t *bytes)
{
    uint32_t size = box_size(bytes, "moov");
    if (size == 0 || size > scan->file_bytes - scan->want_offset) {
        scan->patched = true;
        return want(scan, AT_MOOV_HEADER, MOOV_OFFSET, 8);
    }
    scan->moov_bytes = size;
    return CH_MP4_FINISHED;
}

static enum ch_mp4_event read_moov_header(struct ch_mp4_scan *scan, const uint8_t *bytes)
{
    uint32_t size = box_size(bytes, "moov");
    if (size == 0 || size > CH_MP4_SCAN_MAX_WANT)
        return torn(scan);
    return want(scan, AT_MOOV, MOOV_OFFSET, size);
}

static uint64_t at_most_a_header(uint64_t bytes)
{
    return bytes < CH_MP4_FRAGMENT_HEADER_BYTES ? bytes : CH_MP4_FRAGMENT_HEADER_BYTES;
}

static enum ch_mp4_event read_moov(struct ch_mp4_scan *scan, const uint8_t *bytes, size_t size)
{
    if (ch_mp4_read_init(bytes, size, &scan->init))
        return torn(scan);
    scan->good_end = MOOV_OFFSET + size;
    want(scan, AT_FIRST_HEADER, scan->good_end, at_most_a_header(scan->file_bytes - scan->good_end));
    return CH_MP4_INIT;
}

static bool parse_fragment(const struct ch_mp4_track *init, const uint8_t *bytes, struct ch_mp4_fragment *out)
{
    uint8_t expected[CH_MP4_FRAGMENT_HEADER_BYTES];
    *out = (struct ch_mp4_fragment){
        .sequence = ch_get_be32(bytes + AT_SEQUENCE),
        .audio = ch_get_be32(bytes + AT_TRACK) == CH_MP4_AUDIO_TRACK_ID,
        .dts_ticks = ch_get_be64(bytes + AT_DTS),
        .duration_ticks = ch_get_be32(bytes + AT_DURATION),
        .composition_ticks = (int32_t)ch_get_be32(bytes + AT_COMPOSITION),
        .sample_bytes = ch_get_be32(bytes + AT_SAMPLE_BYTES),
        .key = bytes[AT_FLAGS] == 2,
    };
    if (out->sample_bytes == 0 || out->sample_bytes > UINT32_MAX - 8 || (out->audio && init->audio.rate == 0))
        return false;
    ch_mp4_write_fragment(out, expected);
    return memcmp(bytes, expected, sizeof expected) == 0;
}

// What lies at good_end, of which `bytes` are the first (a header's worth, or all there is).
static enum ch_mp4_event read_fragment_header(struct ch_mp4_scan *scan, const uint8_t *bytes, size_t size)
{
    uint64_t rest = scan->file_bytes - scan->good_end;
    if (rest == 0) {
        scan->state = AT_END;
        scan->want_bytes = 0;
        return CH_MP4_END;
    }
    uint32_t moov = size >= 8 ? box_size(bytes, "moov") : 0;
    scan->finished_tail = moov > 0 && moov <= rest;
    if (size < CH_MP4_FRAGMENT_HEADER_BYTES || !parse_fragment(&scan->init, bytes, &scan->next_fragment))
        return torn(scan);
    uint64_t whole = CH_MP4_FRAGMENT_HEADER_BYTES + (uint64_t)scan->next_fragment.sample_bytes;
    if (whole > rest)
        return torn(scan);
    return want(scan, AT_LAST_BYTE, scan->good_end + whole - 1, 1 + at_most_a_header(rest - whole));
}

static enum ch_mp4_event read_last_byte(struct ch_mp4_scan *scan, const uint8_t *bytes, size_t size)
{
    if (bytes[0] == 0 && !scan->next_fragment.audio)
        return torn(scan);
    scan->fragment = scan->next_fragment;
    scan->sample_offset = scan->good_end + CH_MP4_FRAGMENT_HEADER_BYTES;
    scan->good_end = scan->sample_offset + scan->fragment.sample_bytes;
    read_fragment_header(scan, bytes + 1, size - 1); // what it finds is told by the next step
    return CH_MP4_FRAGMENT;
}

enum ch_mp4_event ch_mp4_scan_step(struct ch_mp4_scan *scan, const uint8_t *bytes, size_t size)
{
    if (size < scan->want_bytes)
        return torn(scan);
    switch ((enum state)scan->state) {
    case AT_HEAD: return read_head(scan, bytes);
    case AT_FINAL_MOOV: return read_final_moov(scan, bytes);
    case AT_MOOV_HEADER: return read_moov_header(scan, bytes);
    case AT_MOOV: return read_moov(scan, bytes, scan->want_bytes);
    case AT_FIRST_HEADER: return read_fragment_header(scan, bytes, scan->want_bytes);
    case AT_LAST_BYTE: return read_last_byte(scan, bytes, scan->want_bytes);
    case AT_END: return CH_MP4_END;
    case AT_TORN: return CH_MP4_TORN;
    }
    return torn(scan);
}
