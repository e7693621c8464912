// An element is an id, a size and its content (RFC 8794 5 to 7). Sizes are written as 8 bytes: 01 and 56 bits.
#include "codec/mkv.h"

#include "base/bytes.h"

#include <assert.h>
#include <stdbool.h>

#define UNKNOWN_SIZE UINT64_C(0x00FFFFFFFFFFFFFF) // all bits set, RFC 8794 6.2
#define SIZE_MARK (UINT64_C(1) << 56)
#define NANOSECONDS_PER_TICK 1000u
#define TRACK_NUMBER 1u
#define NAME "camhub"

// Ids, RFC 9559 5.1
#define ID_EBML 0x1A45DFA3u
#define ID_SEGMENT 0x18538067u
#define ID_INFO 0x1549A966u
#define ID_TRACKS 0x1654AE6Bu
#define ID_CLUSTER 0x1F43B675u

// Bytes are written into memory, or only counted.
struct out {
    uint8_t *data; // NULL: only count
    size_t at;
};

static void put(struct out *out, const void *data, size_t size)
{
    if (out->data)
        memcpy(out->data + out->at, data, size);
    out->at += size;
}

// The id has its own length in its first byte; it is written without leading zeros.
static void put_id(struct out *out, uint32_t id)
{
    uint8_t bytes[4];
    ch_put_be32(bytes, id);
    unsigned skip = id > 0xFFFFFF ? 0 : id > 0xFFFF ? 1 : id > 0xFF ? 2 : 3;
    put(out, bytes + skip, 4 - skip);
}

static void put_size(struct out *out, uint64_t size)
{
    uint8_t bytes[8];
    ch_put_be64(bytes, SIZE_MARK | size);
    put(out, bytes, sizeof bytes);
}

static void put_unsigned(struct out *out, uint32_t id, uint64_t value)
{
    uint8_t bytes[8];
    ch_put_be64(bytes, value);
    put_id(out, id);
    put_size(out, sizeof bytes);
    put(out, bytes, sizeof bytes);
}

static void put_text(struct out *out, uint32_t id, const char *text)
{
    put_id(out, id);
    put_size(out, strlen(text));
    put(out, text, strlen(text));
}

// Begins an element whose size follows; returns what end() needs.
static size_t begin(struct out *out, uint32_t id)
{
    put_id(out, id);
    put_size(out, 0);
    return out->at;
}

static void end(struct out *out, size_t content)
{
    if (out->data)
        ch_put_be64(out->data + content - 8, SIZE_MARK | (out->at - content));
}

static void put_ebml(struct out *out)
{
    size_t ebml = begin(out, ID_EBML);
    put_unsigned(out, 0x4286, 1); // EBMLVersion
    put_unsigned(out, 0x42F7, 1); // EBMLReadVersion
    put_unsigned(out, 0x42F2, 4); // EBMLMaxIDLength
    put_unsigned(out, 0x42F3, 8); // EBMLMaxSizeLength
    put_text(out, 0x4282, "matroska");
    put_unsigned(out, 0x4287, 4); // DocTypeVersion
    put_unsigned(out, 0x4285, 2); // DocTypeReadVersion: SimpleBlock
    end(out, ebml);
}

static void put_track(struct out *out, uint32_t width, uint32_t height, int64_t step_us)
{
    size_t tracks = begin(out, ID_TRACKS), entry = begin(out, 0xAE);
    put_unsigned(out, 0xD7, TRACK_NUMBER);
    put_unsigned(out, 0x73C5, 1);                          // TrackUID
    put_unsigned(out, 0x83, 1);                            // TrackType: video
    put_unsigned(out, 0x9C, 0);                            // FlagLacing
    put_unsigned(out, 0x23E383, (uint64_t)step_us * 1000); // DefaultDuration, nanoseconds
    put_text(out, 0x86, "V_MJPEG");
    size_t video = begin(out, 0xE0);
    put_unsigned(out, 0xB0, width);
    put_unsigned(out, 0xBA, height);
    end(out, video);
    end(out, entry);
    end(out, tracks);
}

static void put_head(struct out *out, uint32_t width, uint32_t height, int64_t step_us)
{
    put_ebml(out);
    put_id(out, ID_SEGMENT);
    put_size(out, UNKNOWN_SIZE);
    size_t info = begin(out, ID_INFO);
    put_unsigned(out, 0x2AD7B1, NANOSECONDS_PER_TICK); // TimestampScale
    put_text(out, 0x4D80, NAME);                       // MuxingApp
    put_text(out, 0x5741, NAME);                       // WritingApp
    end(out, info);
    put_track(out, width, height, step_us);
}

size_t ch_mkv_write_head(uint32_t width, uint32_t height, int64_t step_us, uint8_t *out, size_t capacity)
{
    struct out count = {0}, memory = {.data = out};
    assert(width > 0 && height > 0 && step_us > 0 && step_us <= INT64_MAX / 1000);
    put_head(&count, width, height, step_us);
    if (count.at <= capacity)
        put_head(&memory, width, height, step_us);
    return count.at;
}

void ch_mkv_write_block_head(int64_t time_us, uint64_t bytes, uint8_t out[CH_MKV_BLOCK_HEAD_BYTES])
{
    // SimpleBlock: track number, 16 bits of time relative to the cluster, flags: key frame. RFC 9559 10.2
    static const uint8_t block[4] = {0x80 | TRACK_NUMBER, 0, 0, 0x80};
    struct out memory = {.data = out};
    assert(time_us >= 0 && bytes <= CH_MKV_MAX_BLOCK_BYTES);
    size_t cluster = begin(&memory, ID_CLUSTER);
    put_unsigned(&memory, 0xE7, (uint64_t)time_us);
    put_id(&memory, 0xA3);
    put_size(&memory, sizeof block + bytes);
    put(&memory, block, sizeof block);
    ch_put_be64(out + cluster - 8, SIZE_MARK | (memory.at - cluster + bytes));
    assert(memory.at == CH_MKV_BLOCK_HEAD_BYTES);
}
