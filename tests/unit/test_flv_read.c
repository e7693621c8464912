// FLV in pieces of every size: what ffmpeg wrote, what was made by hand from Adobe's annex E, and what is no FLV.
#include "flv_ffmpeg.h"
#include "unit.h"

#include "codec/flv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ITEMS_MAX 64
#define BYTES_MAX 8192

// What a reader gave, copied.
struct heard {
    struct ch_flv_item items[ITEMS_MAX]; // data: into bytes
    uint8_t bytes[BYTES_MAX];
    size_t count, used;
    int rc; // of the last call
};

// Takes what is there, and spoils it: what comes next must not depend on it.
static void take_items(struct ch_flv_reader *reader, struct heard *heard)
{
    struct ch_flv_item item;
    while ((heard->rc = ch_flv_reader_next(reader, &item)) == 1) {
        assert_true(heard->count < ITEMS_MAX && heard->used + item.size <= BYTES_MAX);
        struct ch_flv_item *copy = &heard->items[heard->count++];
        *copy = item;
        copy->data = heard->bytes + heard->used;
        if (item.size > 0) {
            memcpy(copy->data, item.data, item.size);
            memset(item.data, 0xEE, item.size);
        }
        heard->used += item.size;
    }
}

static void add_piece(struct ch_flv_reader *reader, const uint8_t *data, size_t size, struct heard *heard)
{
    struct guard guard = guard_copy(data, size);
    assert_int_equal(ch_flv_reader_add(reader, guard.data, size), 0);
    guard_free(&guard);
    take_items(reader, heard);
}

// In two pieces, or if `piece` is not 0 in pieces of that size.
static void read_stream(const uint8_t *data, size_t size, size_t split, size_t piece, struct heard *heard)
{
    struct ch_flv_reader reader = {0};
    memset(heard, 0, sizeof *heard);
    if (piece == 0) {
        add_piece(&reader, data, split, heard);
        add_piece(&reader, data + split, size - split, heard);
    }
    for (size_t at = 0; piece > 0 && at < size; at += piece)
        add_piece(&reader, data + at, size - at < piece ? size - at : piece, heard);
    ch_flv_reader_clear(&reader);
    assert_null(reader.buffer);
    assert_int_equal(reader.capacity, 0);
}

static void assert_same_item(const struct ch_flv_item *a, const struct ch_flv_item *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->key, b->key);
    assert_int_equal(a->decode_ms, b->decode_ms);
    assert_int_equal(a->composition_ms, b->composition_ms);
    assert_int_equal(a->size, b->size);
    if (a->size > 0)
        assert_memory_equal(a->data, b->data, a->size);
    assert_true((a->foreign == NULL) == (b->foreign == NULL));
    if (a->foreign)
        assert_string_equal(a->foreign, b->foreign);
}

static void assert_same(const struct heard *a, const struct heard *b)
{
    assert_int_equal(a->rc, b->rc);
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++)
        assert_same_item(&a->items[i], &b->items[i]);
}

// Reads it whole, and checks that it reads the same however it is cut.
static void read_every_way(const uint8_t *data, size_t size, struct heard *heard)
{
    static struct heard other;
    read_stream(data, size, size, 0, heard);
    for (size_t split = 0; split < size; split++) {
        read_stream(data, size, split, 0, &other);
        assert_same(&other, heard);
    }
    for (size_t piece = 1; piece < 40; piece++) {
        read_stream(data, size, 0, piece, &other);
        assert_same(&other, heard);
    }
}

// --- what ffmpeg writes -----------------------------------------------------------------------------

static void test_ffmpeg(void **state)
{
    static const struct {
        enum ch_flv_kind kind;
        bool key;
        int64_t decode_ms;
        int32_t composition_ms;
        size_t size, at; // in the stream
    } expected[] = {
        {CH_FLV_VIDEO_CONFIG, false, 0, 0, 44, 274}, {CH_FLV_AUDIO_CONFIG, false, 0, 0, 5, 335},
        {CH_FLV_VIDEO, true, 0, 200, 15, 360},       {CH_FLV_AUDIO, false, 72, 0, 4, 392},
        {CH_FLV_VIDEO, false, 200, 400, 12, 416},    {CH_FLV_AUDIO, false, 200, 0, 4, 445},
        {CH_FLV_AUDIO, false, 328, 0, 4, 466},       {CH_FLV_VIDEO, false, 400, 0, 12, 490},
        {CH_FLV_AUDIO, false, 456, 0, 4, 519},       {CH_FLV_AUDIO, false, 584, 0, 4, 540},
        {CH_FLV_AUDIO, false, 712, 0, 4, 561},
    };
    static struct heard heard;
    (void)state;
    assert_int_equal(sizeof from_ffmpeg, 589);
    read_every_way(from_ffmpeg, sizeof from_ffmpeg, &heard);
    assert_int_equal(heard.rc, 0);
    assert_int_equal(heard.count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < heard.count; i++) {
        assert_int_equal(heard.items[i].kind, expected[i].kind);
        assert_int_equal(heard.items[i].key, expected[i].key);
        assert_int_equal(heard.items[i].decode_ms, expected[i].decode_ms);
        assert_int_equal(heard.items[i].composition_ms, expected[i].composition_ms);
        assert_int_equal(heard.items[i].size, expected[i].size);
        assert_memory_equal(heard.items[i].data, from_ffmpeg + expected[i].at, expected[i].size);
        assert_null(heard.items[i].foreign);
    }
}

// A stream that stops anywhere is no error: it gives the tags that are whole.
static void test_stops(void **state)
{
    static struct heard whole, cut;
    (void)state;
    read_stream(from_ffmpeg, sizeof from_ffmpeg, 0, 0, &whole);
    size_t most = 0;
    for (size_t size = 0; size < sizeof from_ffmpeg; size++) {
        read_stream(from_ffmpeg, size, 0, 0, &cut);
        assert_int_equal(cut.rc, 0);
        assert_true(cut.count >= most && cut.count <= whole.count);
        most = cut.count;
        for (size_t i = 0; i < cut.count; i++)
            assert_same_item(&cut.items[i], &whole.items[i]);
    }
    assert_int_equal(most, whole.count); // only the end of the sequence is missing
}

// --- made by hand -----------------------------------------------------------------------------------

struct film {
    uint8_t data[BYTES_MAX];
    size_t used;
};

static void put(struct film *film, const void *data, size_t size)
{
    assert_true(film->used + size <= sizeof film->data);
    memcpy(film->data + film->used, data, size);
    film->used += size;
}

static struct film begin(void)
{
    struct film film = {0};
    put(&film, "FLV\1\5\0\0\0\11\0\0\0", 13);
    return film;
}

static void put_be24(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 16);
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)v;
}

static void put_tag(struct film *film, uint8_t type, uint32_t time_ms, const void *body, size_t size)
{
    uint8_t header[11] = {type}, tail[4] = {0};
    put_be24(header + 1, size);
    put_be24(header + 4, time_ms);
    header[7] = (uint8_t)(time_ms >> 24);
    put_be24(tail + 1, sizeof header + size);
    put(film, header, sizeof header);
    put(film, body, size);
    put(film, tail, sizeof tail);
}

// A frame of sound that tells that the reader is still in step.
static void put_sentinel(struct film *film, uint32_t time_ms)
{
    put_tag(film, 8, time_ms, "\xAF\1!", 3);
}

static void assert_sentinel(const struct ch_flv_item *item, int64_t decode_ms)
{
    assert_int_equal(item->kind, CH_FLV_AUDIO);
    assert_int_equal(item->decode_ms, decode_ms);
    assert_int_equal(item->size, 1);
    assert_int_equal(item->data[0], '!');
}

#define BODY(...) {__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define AVCC 1, 0x64, 0, 10, 0xFF, 0xE1, 0, 2, 0x67, 0x64, 1, 0, 1, 0x68
#define AVCC_BYTES 14

enum outcome { OVER, ITEM, FOREIGN, BAD };

// One tag each, at 7 ms.
static const struct tag {
    uint8_t type;
    uint8_t body[64];
    size_t size;
    enum outcome outcome;
    struct ch_flv_item item; // without data, whose size bytes end the body
} tags[] = {
    // H.264
    {9, BODY(0x17, 0, 0, 0, 0, AVCC), ITEM, {.kind = CH_FLV_VIDEO_CONFIG, .size = AVCC_BYTES}},
    {9, BODY(0x27, 0, 0, 0, 9, AVCC), ITEM, {.kind = CH_FLV_VIDEO_CONFIG, .size = AVCC_BYTES}},
    {9, BODY(0x17, 0, 0, 0, 0, AVCC, 0xFD, 0xF8, 0xF8, 0), ITEM, {.kind = CH_FLV_VIDEO_CONFIG, .size = AVCC_BYTES + 4}},
    {9, BODY(0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65), ITEM, {.kind = CH_FLV_VIDEO, .key = true, .size = 5}},
    {9, BODY(0x27, 1, 0, 0, 40, 0, 0, 0, 1, 0x41), ITEM, {.kind = CH_FLV_VIDEO, .composition_ms = 40, .size = 5}},
    {9,
     BODY(0x27, 1, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0x41),
     ITEM,
     {.kind = CH_FLV_VIDEO, .composition_ms = -1, .size = 5}},
    {9,
     BODY(0x27, 1, 0x7F, 0xFF, 0xFF, 0, 0, 0, 1, 1),
     ITEM,
     {.kind = CH_FLV_VIDEO, .composition_ms = 8388607, .size = 5}},
    {9, BODY(0x27, 1, 0x80, 0, 0, 0, 0, 0, 1, 1), ITEM, {.kind = CH_FLV_VIDEO, .composition_ms = -8388608, .size = 5}},
    {9, BODY(0x37, 1, 0, 0, 0, 0, 0, 0, 1, 0x41), ITEM, {.kind = CH_FLV_VIDEO, .size = 5}},
    {9, BODY(0x47, 1, 0, 0, 0, 0, 0, 0, 1, 0x65), ITEM, {.kind = CH_FLV_VIDEO, .size = 5}},
    {9,
     BODY(0x17, 1, 0, 0, 0, 0, 0, 0, 2, 9, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0x65),
     ITEM,
     {.kind = CH_FLV_VIDEO, .key = true, .size = 15}},
    {9, BODY(0x17, 2, 0, 0, 0), OVER, {0}},                  // end of sequence
    {9, BODY(0x17, 2, 0, 0, 0, 1, 2, 3), OVER, {0}},         //
    {9, BODY(0x17, 3, 0, 0, 0, 1), OVER, {0}},               // unknown packet types
    {9, BODY(0x17, 255, 0, 0, 0, 1), OVER, {0}},             //
    {9, BODY(0x17, 0, 0, 0, 0), OVER, {0}},                  // empty configuration and picture
    {9, BODY(0x17, 1, 0, 0, 0), OVER, {0}},                  //
    {9, BODY(0x57, 0), OVER, {0}},                           // a command to the player
    {9, BODY(0x52, 1), OVER, {0}},                           //
    {9, BODY(0xD1, 'h', 'v', 'c', '1', 0), OVER, {0}},       //
    {9, BODY(0x17), BAD, {0}},                               // its own header is not whole
    {9, BODY(0x17, 1, 0, 0), BAD, {0}},                      //
    {9, BODY(0x17, 1, 0, 0, 0, 0), BAD, {0}},                // lengths that do not lie inside
    {9, BODY(0x17, 1, 0, 0, 0, 0, 0, 0), BAD, {0}},          //
    {9, BODY(0x17, 1, 0, 0, 0, 0, 0, 0, 1), BAD, {0}},       //
    {9, BODY(0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65), BAD, {0}}, //
    {9, BODY(0x17, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3), BAD, {0}},
    {9, BODY(0x17, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFC, 1, 2, 3), BAD, {0}},
    {9, BODY(0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65, 0), BAD, {0}},
    {9, BODY(0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65, 0, 0, 0, 1), BAD, {0}},
    {9, BODY(0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x67, 0, 0, 0x65, 1), BAD, {0}}, // start codes
    {9, BODY(0x17, 0, 0, 0, 0, 1), BAD, {0}},                               // no avcC
    {9, BODY(0x17, 0, 0, 0, 0, 0, 0, 0, 1, 0x67, 0x64, 0, 10), BAD, {0}},
    {9, BODY(0x17, 0, 0, 0, 0, 1, 0x64, 0, 10, 0xFD, 0xE1, 0, 1, 0x67, 1, 0, 1, 0x68), BAD, {0}}, // lengths of 2 bytes
    // AAC
    {8, BODY(0xAF, 0, 0x12, 0x10), ITEM, {.kind = CH_FLV_AUDIO_CONFIG, .size = 2}},
    {8, BODY(0xAE, 0, 0x15, 0x88, 0x56, 0xE5, 0), ITEM, {.kind = CH_FLV_AUDIO_CONFIG, .size = 5}},
    {8, BODY(0xAF, 0, 0xFF), ITEM, {.kind = CH_FLV_AUDIO_CONFIG, .size = 1}},
    {8, BODY(0xAF, 1, 0x21, 0x10, 4), ITEM, {.kind = CH_FLV_AUDIO, .size = 3}},
    {8, BODY(0xA0, 1, 0x21), ITEM, {.kind = CH_FLV_AUDIO, .size = 1}},
    {8, BODY(0xAF, 0), OVER, {0}},
    {8, BODY(0xAF, 1), OVER, {0}},
    {8, BODY(0xAF, 2, 0x21), OVER, {0}},
    {8, BODY(0xAF, 255, 0x21), OVER, {0}},
    {8, BODY(0xAF), BAD, {0}},
    // what is neither
    {9, BODY(0x20), FOREIGN, {.foreign = "video codec 0"}},
    {9, BODY(0x11, 0), FOREIGN, {.foreign = "video codec JPEG"}},
    {9, BODY(0x12, 0), FOREIGN, {.foreign = "video codec Sorenson H.263"}},
    {9, BODY(0x13, 0), FOREIGN, {.foreign = "video codec Screen Video"}},
    {9, BODY(0x14, 0), FOREIGN, {.foreign = "video codec VP6"}},
    {9, BODY(0x15, 0), FOREIGN, {.foreign = "video codec VP6 with alpha"}},
    {9, BODY(0x16, 0), FOREIGN, {.foreign = "video codec Screen Video 2"}},
    {9, BODY(0x28, 0), FOREIGN, {.foreign = "video codec H.263"}},
    {9, BODY(0x29, 0), FOREIGN, {.foreign = "video codec MPEG-4 Part 2"}},
    {9, BODY(0x1A), FOREIGN, {.foreign = "video codec 10"}},
    {9, BODY(0x1B), FOREIGN, {.foreign = "video codec 11"}},
    {9, BODY(0x1C, 1, 0, 0, 0), FOREIGN, {.foreign = "video codec HEVC"}},
    {9, BODY(0x1D, 1, 0, 0, 0), FOREIGN, {.foreign = "video codec AV1"}},
    {9, BODY(0x1E), FOREIGN, {.foreign = "video codec 14"}},
    {9, BODY(0x1F), FOREIGN, {.foreign = "video codec 15"}},
    {9, BODY(0x90, 'h', 'v', 'c', '1'), FOREIGN, {.foreign = "video codec HEVC"}},
    {9, BODY(0xA1, 'v', 'v', 'c', '1', 0, 0, 0), FOREIGN, {.foreign = "video codec VVC"}},
    {9, BODY(0xA3, 'a', 'v', '0', '1', 0), FOREIGN, {.foreign = "video codec AV1"}},
    {9, BODY(0x93, 'v', 'p', '0', '8', 0), FOREIGN, {.foreign = "video codec VP8"}},
    {9, BODY(0x93, 'v', 'p', '0', '9', 0), FOREIGN, {.foreign = "video codec VP9"}},
    {9, BODY(0x97, 'a', 'v', 'c', '1', 0), FOREIGN, {.foreign = "video codec H.264 in an enhanced tag"}},
    {9, BODY(0x97, 'a', 'v', 'c', '2', 0), FOREIGN, {.foreign = "video codec of an enhanced tag"}},
    {9, BODY(0x97, 'h', 'v', 'c'), FOREIGN, {.foreign = "video codec of an enhanced tag"}},
    {8, BODY(0x00), FOREIGN, {.foreign = "audio codec PCM"}},
    {8, BODY(0x1F, 0), FOREIGN, {.foreign = "audio codec ADPCM"}},
    {8, BODY(0x2F, 0), FOREIGN, {.foreign = "audio codec MP3"}},
    {8, BODY(0x3F, 0), FOREIGN, {.foreign = "audio codec PCM"}},
    {8, BODY(0x4F, 0), FOREIGN, {.foreign = "audio codec Nellymoser 16 kHz"}},
    {8, BODY(0x5F, 0), FOREIGN, {.foreign = "audio codec Nellymoser 8 kHz"}},
    {8, BODY(0x6F, 0), FOREIGN, {.foreign = "audio codec Nellymoser"}},
    {8, BODY(0x72, 0), FOREIGN, {.foreign = "audio codec G.711 A-law"}},
    {8, BODY(0x82, 0), FOREIGN, {.foreign = "audio codec G.711 mu-law"}},
    {8, BODY(0x90), FOREIGN, {.foreign = "audio codec of an enhanced tag"}},
    {8, BODY(0x91, 'O', 'p', 'u', 's', 0), FOREIGN, {.foreign = "audio codec Opus"}},
    {8, BODY(0x90, 'm', 'p', '4', 'a'), FOREIGN, {.foreign = "audio codec AAC in an enhanced tag"}},
    {8, BODY(0x90, '.', 'm', 'p', '3'), FOREIGN, {.foreign = "audio codec MP3"}},
    {8, BODY(0x90, 'a', 'c', '-', '3'), FOREIGN, {.foreign = "audio codec AC-3"}},
    {8, BODY(0x90, 'e', 'c', '-', '3'), FOREIGN, {.foreign = "audio codec E-AC-3"}},
    {8, BODY(0x90, 'f', 'L', 'a', 'C'), FOREIGN, {.foreign = "audio codec FLAC"}},
    {8, BODY(0x90, '?', '?', '?', '?'), FOREIGN, {.foreign = "audio codec of an enhanced tag"}},
    {8, BODY(0xBF, 0), FOREIGN, {.foreign = "audio codec Speex"}},
    {8, BODY(0xCF, 0), FOREIGN, {.foreign = "audio codec 12"}},
    {8, BODY(0xDF, 0), FOREIGN, {.foreign = "audio codec Opus"}},
    {8, BODY(0xEF, 0), FOREIGN, {.foreign = "audio codec MP3 8 kHz"}},
    {8, BODY(0xFF, 0), FOREIGN, {.foreign = "audio codec of the device"}},
    {9 | 0x20, BODY(0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65), FOREIGN, {.foreign = "video that is encrypted"}},
    {8 | 0x20, BODY(0xAF, 1, 0x21), FOREIGN, {.foreign = "audio that is encrypted"}},
    // scripts, types that nobody knows, tags of nothing
    {18, BODY(2, 0, 10, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a', 't', 'a', 8, 0, 0, 0, 0, 0, 0, 9), OVER, {0}},
    {18 | 0x20, BODY(1, 2, 3), OVER, {0}},
    {0, BODY(0x17, 1), OVER, {0}},
    {31, BODY(0x17, 1), OVER, {0}},
    {9, {0}, 0, OVER, {0}},
    {9 | 0x20, {0}, 0, OVER, {0}},
    {8, {0}, 0, OVER, {0}},
    {18, {0}, 0, OVER, {0}},
    // reserved bits
    {9 | 0x40, BODY(0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65), BAD, {0}},
    {8 | 0x80, BODY(0xAF, 1, 0x21), BAD, {0}},
};

static void check_tag(const struct tag *tag)
{
    static struct heard heard;
    struct film film = begin();
    put_sentinel(&film, 5);
    put_tag(&film, tag->type, 7, tag->body, tag->size);
    put_sentinel(&film, 9);
    read_every_way(film.data, film.used, &heard);
    bool bad = tag->outcome == BAD, item = tag->outcome == ITEM || tag->outcome == FOREIGN;
    if (heard.rc != (bad ? -EBADMSG : 0) || heard.count != (bad ? 1 : item ? 3 : 2))
        fail_msg("tag %td: %d after %zu items", tag - tags, heard.rc, heard.count);
    assert_sentinel(&heard.items[0], 5);
    if (!bad)
        assert_sentinel(&heard.items[heard.count - 1], 9);
    if (!item)
        return;
    struct ch_flv_item expected = tag->item;
    uint8_t data[sizeof tag->body];
    if (tag->outcome == FOREIGN)
        expected.kind = CH_FLV_FOREIGN;
    else
        expected.decode_ms = 7;
    memcpy(data, tag->body + tag->size - expected.size, expected.size);
    expected.data = data;
    assert_same_item(&heard.items[1], &expected);
}

static void test_tags(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        check_tag(&tags[i]);
}

// --- times ------------------------------------------------------------------------------------------

static void test_times(void **state)
{
    static const struct {
        uint32_t written[6];
        int64_t read[6];
    } cases[] = {
        {{0, 40, 80, 80, 60, 0}, {0, 40, 80, 80, 60, 0}},
        {{1000, 990, 0, 10, 2000, 1000000}, {1000, 990, 0, 10, 2000, 1000000}},
        // 49.7 days: forward, and back again
        {{0xFFFFFFF0, 0xFFFFFFFF, 0, 40, 0xFFFFFFFE, 80},
         {0xFFFFFFF0, 0xFFFFFFFF, 0x100000000, 0x100000028, 0xFFFFFFFE, 0x100000050}},
        // below the zero where it began
        {{5, 0xFFFFFFF6, 0xFFFFFFF0, 3, 0xFFFFFFFF, 0}, {5, -10, -16, 3, -1, 0}},
        // ffmpeg's 31 bits: 24.9 days, forward, and back again
        {{0x7FFFFFF0, 0x7FFFFFFF, 0, 40, 0x7FFFFFFE, 80},
         {0x7FFFFFF0, 0x7FFFFFFF, 0x80000000, 0x80000028, 0x7FFFFFFE, 0x80000050}},
        // all 32 bits, across the middle
        {{0x7FFFFFFF, 0x80000000, 0x7FFFFFF0, 0x80000100, 0x80000000, 0x80000001},
         {0x7FFFFFFF, 0x80000000, 0x7FFFFFF0, 0x80000100, 0x80000000, 0x80000001}},
        // the longest steps
        {{0, 0x3FFFFFFF, 0x7FFFFFFE, 0xBFFFFFFD, 0xFFFFFFFC, 0x3FFFFFFB},
         {0, 0x3FFFFFFF, 0x7FFFFFFE, 0xBFFFFFFD, 0xFFFFFFFC, 0x13FFFFFFB}},
        {{0, 0xC0000000, 0x80000000, 0x40000000, 0, 0xC0000000},
         {0, -0x40000000, -0x80000000LL, -0xC0000000LL, -0x100000000, -0x140000000}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct heard heard;
        struct film film = begin();
        // Sound and pictures alike. What is no part of either is in nobody's way.
        for (size_t k = 0; k < 6; k++) {
            put_tag(&film, 18, 0x12345678, "\5", 1);
            put_tag(&film, 8, 0x50000000, "\x2F", 1);
            put_tag(&film, 9, 0x50000000, "\x17\1\0\0\0", 5);
            if ((i + k) % 2)
                put_sentinel(&film, cases[i].written[k]);
            else
                put_tag(&film, 9, cases[i].written[k], "\x27\1\0\0\0\0\0\0\1!", 10);
        }
        read_stream(film.data, film.used, 0, 0, &heard);
        assert_int_equal(heard.rc, 0);
        assert_int_equal(heard.count, 12);
        for (size_t k = 0; k < 6; k++)
            assert_int_equal(heard.items[2 * k + 1].decode_ms, cases[i].read[k]);
    }
}

// A configuration's time is put in its place, but moves nothing: ffmpeg gives it 0 at the start, whatever comes next.
static void test_times_of_configurations(void **state)
{
    static const uint8_t video[] = {0x17, 0, 0, 0, 0, AVCC};
    static struct heard heard;
    struct film film = begin();
    (void)state;
    put_tag(&film, 9, 0, video, sizeof video);
    put_tag(&film, 8, 0, "\xAF\0\x12\x10", 4);
    put_sentinel(&film, 0xF0000000);
    put_tag(&film, 9, 0xF0000005, video, sizeof video);
    put_tag(&film, 8, 0x80000000, "\xAF\0\x12\x10", 4);
    put_sentinel(&film, 0xF0000010);
    read_stream(film.data, film.used, 0, 0, &heard);
    assert_int_equal(heard.rc, 0);
    assert_int_equal(heard.count, 6);
    assert_int_equal(heard.items[0].decode_ms, 0);
    assert_int_equal(heard.items[1].decode_ms, 0);
    assert_sentinel(&heard.items[2], 0xF0000000);
    assert_int_equal(heard.items[3].decode_ms, 0xF0000005);
    assert_int_equal(heard.items[4].decode_ms, 0x100000000);
    assert_sentinel(&heard.items[5], 0xF0000010);
}

// --- what is no FLV ---------------------------------------------------------------------------------

static void assert_no_flv(const uint8_t *data, size_t size)
{
    struct ch_flv_reader reader = {0};
    struct ch_flv_item item;
    static struct heard heard;
    read_every_way(data, size, &heard);
    assert_int_equal(heard.rc, -EBADMSG);
    // For good, and without memory.
    assert_int_equal(ch_flv_reader_add(&reader, data, size), 0);
    while (ch_flv_reader_next(&reader, &item) == 1)
        ;
    for (int i = 0; i < 3; i++) {
        assert_null(reader.buffer);
        assert_int_equal(reader.capacity, 0);
        assert_int_equal(ch_flv_reader_next(&reader, &item), -EBADMSG);
        assert_int_equal(ch_flv_reader_add(&reader, from_ffmpeg, sizeof from_ffmpeg), 0);
    }
    ch_flv_reader_clear(&reader);
    assert_int_equal(ch_flv_reader_add(&reader, from_ffmpeg, sizeof from_ffmpeg), 0);
    assert_int_equal(ch_flv_reader_next(&reader, &item), 1);
    ch_flv_reader_clear(&reader);
}

// It is known from the first byte that is wrong.
static void test_garbage(void **state)
{
    (void)state;
    for (size_t at = 0; at < 4; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t bytes[4];
            static struct heard heard;
            memcpy(bytes, "FLV\1", 4);
            read_every_way(bytes, at + 1, &heard);
            assert_int_equal(heard.rc, 0);
            bytes[at] ^= (uint8_t)(1u << bit);
            assert_no_flv(bytes, at + 1);
        }
    assert_no_flv((const uint8_t *)"\0\0\0\1\x67\x64\0\12", 8);
    assert_no_flv((const uint8_t *)"GET / HTTP/1.1\r\n", 16);
    assert_no_flv((const uint8_t *)"FLV\1\5\0\0\0\10\0\0\0\0", 13); // a header of 8 bytes, and others
    assert_no_flv((const uint8_t *)"FLV\1\5\0\0\0\12\0\0\0\0", 13);
    assert_no_flv((const uint8_t *)"FLV\1\5\xFF\xFF\xFF\xFF\0\0\0\0", 13);
}

// Flags and the size before the first tag say nothing that matters.
static void test_tolerated(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 256; flags++) {
        static struct heard heard;
        struct film film = begin();
        film.data[4] = (uint8_t)flags;
        film.data[9 + flags % 4] = (uint8_t)flags;
        put_sentinel(&film, 1);
        film.data[13 + 8] = (uint8_t)flags; // stream id
        read_stream(film.data, film.used, 0, 0, &heard);
        assert_int_equal(heard.rc, 0);
        assert_int_equal(heard.count, 1);
    }
}

// Behind a tag its size is repeated; every bit counts, in tags that are passed over as well.
static void test_tail(void **state)
{
    static const uint8_t types[] = {8, 9, 18, 0};
    (void)state;
    for (size_t i = 0; i < sizeof types; i++)
        for (unsigned bit = 0; bit < 32; bit++) {
            static struct heard heard;
            struct film film = begin();
            put_sentinel(&film, 1);
            put_tag(&film, types[i], 2, "\xAF\1!", types[i] == 9 ? 0 : 3);
            film.data[film.used - 4 + bit / 8] ^= (uint8_t)(1u << bit % 8);
            put_sentinel(&film, 3);
            read_stream(film.data, film.used, film.used / 2, 0, &heard);
            assert_int_equal(heard.rc, -EBADMSG);
            assert_int_equal(heard.count, 1);
        }
}

// --- memory -----------------------------------------------------------------------------------------

// A picture of one NAL unit in a tag of `bytes`; owned.
static uint8_t *large_tag(size_t bytes)
{
    uint8_t *tag = malloc(bytes);
    assert_non_null(tag);
    memset(tag, 0x5A, bytes);
    memcpy(tag, "\11\0\0\0\0\0\0\0\0\0\0\x17\1\0\0\0\0", 17);
    put_be24(tag + 1, bytes - 15);
    put_be24(tag + 17, bytes - 15 - 9);
    tag[bytes - 4] = (uint8_t)((bytes - 4) >> 24);
    put_be24(tag + bytes - 3, bytes - 4);
    return tag;
}

// Adds in pieces and takes what comes; the memory is never more than one tag and one piece.
static size_t feed(struct ch_flv_reader *reader, const uint8_t *data, size_t size, size_t piece, size_t tag)
{
    size_t items = 0;
    for (size_t at = 0; at < size; at += piece) {
        struct ch_flv_item item;
        int rc;
        assert_int_equal(ch_flv_reader_add(reader, data + at, size - at < piece ? size - at : piece), 0);
        assert_true(reader->capacity <= tag + piece);
        while ((rc = ch_flv_reader_next(reader, &item)) == 1)
            items++;
        assert_int_equal(rc, 0);
    }
    return items;
}

static void test_memory(void **state)
{
    static const size_t pieces[] = {4096, 65536, 1000003, 32u << 20};
    const size_t large = 5000000;
    uint8_t *tag = large_tag(large);
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct ch_flv_reader reader = {0};
        struct film film = begin(), small = {0};
        for (int k = 0; k < 50; k++)
            put_sentinel(&small, 1);
        assert_int_equal(feed(&reader, film.data, film.used, 1, 13), 0);
        assert_int_equal(feed(&reader, tag, large, pieces[i], large), 1);
        assert_true(reader.capacity >= large / 2);
        assert_int_equal(feed(&reader, small.data, small.used, 100, large), 50);
        assert_true(reader.capacity < large / 10); // given back
        assert_int_equal(feed(&reader, tag, large, pieces[i], large), 1);
        ch_flv_reader_clear(&reader);
    }
    free(tag);
}

// Many tags of a large piece are taken where they lie.
static void test_many_in_one_piece(void **state)
{
    enum { TAGS = 200000, TAG = 18 };
    struct ch_flv_reader reader = {0};
    struct ch_flv_item item;
    struct film film = begin();
    uint8_t *data = malloc((size_t)TAGS * TAG);
    (void)state;
    assert_non_null(data);
    put_sentinel(&film, 1);
    assert_int_equal(film.used, 13 + TAG);
    for (size_t i = 0; i < TAGS; i++)
        memcpy(data + i * TAG, film.data + 13, TAG);
    assert_int_equal(ch_flv_reader_add(&reader, film.data, 13), 0);
    assert_int_equal(ch_flv_reader_next(&reader, &item), 0);
    assert_int_equal(ch_flv_reader_add(&reader, data, (size_t)TAGS * TAG), 0);
    const uint8_t *buffer = reader.buffer;
    for (size_t i = 0; i < TAGS; i++) {
        assert_int_equal(ch_flv_reader_next(&reader, &item), 1);
        assert_ptr_equal(item.data, buffer + i * TAG + 13);
        assert_ptr_equal(reader.buffer, buffer);
    }
    assert_int_equal(ch_flv_reader_next(&reader, &item), 0);
    ch_flv_reader_clear(&reader);
    free(data);
}

// What was not taken before more came is still there.
static void test_not_taken(void **state)
{
    struct ch_flv_reader reader = {0};
    struct ch_flv_item item;
    struct film film = begin();
    (void)state;
    for (uint32_t i = 0; i < 9; i++)
        put_sentinel(&film, i);
    for (size_t at = 0; at < film.used; at += 20) {
        assert_int_equal(ch_flv_reader_add(&reader, film.data + at, film.used - at < 20 ? film.used - at : 20), 0);
        if (at == 60) {
            assert_int_equal(ch_flv_reader_next(&reader, &item), 1);
            assert_sentinel(&item, 0);
        }
    }
    for (uint32_t i = 1; i < 9; i++) {
        assert_int_equal(ch_flv_reader_next(&reader, &item), 1);
        assert_sentinel(&item, i);
    }
    assert_int_equal(ch_flv_reader_next(&reader, &item), 0);
    assert_int_equal(ch_flv_reader_add(&reader, NULL, 0), 0);
    assert_int_equal(ch_flv_reader_next(&reader, &item), 0);
    ch_flv_reader_clear(&reader);
}

// The largest tag is read; the next larger one is refused as soon as its header is there.
static void test_too_large(void **state)
{
    struct ch_flv_item item;
    uint8_t *tag = large_tag(CH_FLV_READ_MAX);
    (void)state;
    struct ch_flv_reader reader = {0};
    struct film film = begin();
    assert_int_equal(feed(&reader, film.data, film.used, 13, 0), 0);
    assert_int_equal(feed(&reader, tag, CH_FLV_READ_MAX, 100000, CH_FLV_READ_MAX), 1);
    ch_flv_reader_clear(&reader);
    for (size_t bytes = CH_FLV_READ_MAX + 1; bytes <= CH_FLV_BODY_MAX + 15; bytes++) {
        assert_int_equal(feed(&reader, film.data, film.used, 13, 0), 0);
        put_be24(tag + 1, bytes - 15);
        assert_int_equal(feed(&reader, tag, 10, 10, 13), 0);
        assert_int_equal(ch_flv_reader_add(&reader, tag + 10, 1), 0);
        assert_int_equal(ch_flv_reader_next(&reader, &item), -EMSGSIZE);
        assert_int_equal(ch_flv_reader_next(&reader, &item), -EMSGSIZE);
        assert_null(reader.buffer);
        ch_flv_reader_clear(&reader);
    }
    free(tag);
}

// --- what we write is what we read ------------------------------------------------------------------

static void test_round_trip(void **state)
{
    static const uint8_t avcc[] = {AVCC};
    static const int32_t compositions[] = {0, 40, -40, 0x7FFFFF, -0x7FFFFF};
    static struct heard heard;
    struct film film = {0};
    struct ch_aac_config aac, read;
    uint8_t *data = film.data;
    (void)state;
    assert_int_equal(ch_aac_parse((const uint8_t[]){0x11, 0x90, 0x56, 0xE5, 0}, 5, &aac), 0);
    const struct ch_flv_metadata metadata = {
        .width = 1920, .height = 1080, .centi_fps = 5994, .audio = &aac, .encoder = "camhub"};
    ch_flv_write_header(true, data);
    size_t at = CH_FLV_HEADER_BYTES;
    at += ch_flv_write_metadata(&metadata, data + at, BYTES_MAX - at);
    at += ch_flv_write_video_config(avcc, sizeof avcc, 0xFFFFFFD8, data + at, BYTES_MAX - at);
    at += ch_flv_write_audio_config(&aac, 0xFFFFFFD8, data + at, BYTES_MAX - at);
    for (uint32_t i = 0; i < 5; i++) {
        const struct ch_flv_picture picture = {
            .decode_ms = 0xFFFFFFD8 + 40 * i, .composition_ms = compositions[i], .sample_bytes = 4 + i, .key = i % 2};
        uint8_t *head = data + at, *tail = head + CH_FLV_VIDEO_HEAD_BYTES + 4 + i;
        ch_flv_write_picture(&picture, head, tail);
        memcpy(tail - 4 - i, (const uint8_t[]){0, 0, 0, (uint8_t)i, 'a', 'b', 'c', 'd'}, 4 + i);
        head = tail + CH_FLV_TAIL_BYTES, tail = head + CH_FLV_AUDIO_HEAD_BYTES + 1;
        ch_flv_write_audio(0xFFFFFFE0 + 40 * i, 1, head, tail);
        tail[-1] = '!';
        at = (size_t)(tail + CH_FLV_TAIL_BYTES - data);
    }
    read_every_way(data, at, &heard);
    assert_int_equal(heard.rc, 0);
    assert_int_equal(heard.count, 12);
    assert_int_equal(heard.items[0].kind, CH_FLV_VIDEO_CONFIG);
    assert_int_equal(heard.items[0].size, sizeof avcc);
    assert_memory_equal(heard.items[0].data, avcc, sizeof avcc);
    assert_int_equal(heard.items[1].kind, CH_FLV_AUDIO_CONFIG);
    assert_int_equal(ch_aac_parse(heard.items[1].data, heard.items[1].size, &read), 0);
    assert_true(ch_aac_same(&aac, &read));
    for (uint32_t i = 0; i < 5; i++) {
        const struct ch_flv_item *picture = &heard.items[2 + 2 * i];
        assert_int_equal(picture->kind, CH_FLV_VIDEO);
        assert_int_equal(picture->key, i % 2);
        assert_int_equal(picture->decode_ms, INT64_C(0xFFFFFFD8) + 40 * i);
        assert_int_equal(picture->composition_ms, compositions[i]);
        assert_int_equal(picture->size, 4 + i);
        assert_sentinel(picture + 1, INT64_C(0xFFFFFFE0) + 40 * i);
    }
}

// --- avcC -------------------------------------------------------------------------------------------

static void test_avcc(void **state)
{
    static const struct {
        uint8_t avcc[40];
        size_t size;
        uint8_t annexb[40];
        size_t bytes; // 0: and nothing expected
    } cases[] = {
        {BODY(AVCC), BODY(0, 0, 0, 1, 0x67, 0x64, 0, 0, 0, 1, 0x68)},
        {BODY(AVCC, 0xFD, 0xF8, 0xF8, 0), BODY(0, 0, 0, 1, 0x67, 0x64, 0, 0, 0, 1, 0x68)},
        {BODY(1, 66, 0, 10, 3, 2, 0, 1, 0x67, 0, 3, 0x27, 1, 2, 3, 0, 1, 0x68, 0, 2, 0x28, 9, 0, 1, 8),
         BODY(0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x27, 1, 2, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x28, 9, 0, 0, 0, 1, 8)},
        {BODY(1, 66, 0, 10, 0xFF, 0xE0, 1, 0, 1, 0x68), BODY(0, 0, 0, 1, 0x68)},
        {BODY(1, 66, 0, 10, 0xFF, 0xE1, 0, 1, 0x67, 0), BODY(0, 0, 0, 1, 0x67)},
        {BODY(1, 66, 0, 10, 0xFF, 0xE0, 0), {0}, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guard avcc = guard_copy(cases[i].avcc, cases[i].size);
        assert_int_equal(ch_flv_avcc_to_annexb(avcc.data, cases[i].size, NULL, 0), cases[i].bytes);
        for (size_t capacity = 0; capacity < cases[i].bytes + 3; capacity++) {
            struct guard out = guard_copy(cases[5].annexb, capacity);
            assert_int_equal(ch_flv_avcc_to_annexb(avcc.data, cases[i].size, out.data, capacity), cases[i].bytes);
            if (capacity >= cases[i].bytes)
                assert_memory_equal(out.data, cases[i].annexb, cases[i].bytes);
            guard_free(&out);
        }
        guard_free(&avcc);
    }
    // Cut anywhere before what follows the sets, it is broken.
    for (size_t size = 0; size < AVCC_BYTES; size++) {
        struct guard avcc = guard_copy(cases[0].avcc, size);
        assert_int_equal(ch_flv_avcc_to_annexb(avcc.data, size, NULL, 0), -EBADMSG);
        guard_free(&avcc);
    }
}

static void test_bad_avcc(void **state)
{
    static const struct {
        uint8_t avcc[40];
        size_t size;
    } cases[] = {
        {BODY(0, 66, 0, 10, 0xFF, 0xE1, 0, 1, 0x67, 1, 0, 1, 0x68)},       // version
        {BODY(2, 66, 0, 10, 0xFF, 0xE1, 0, 1, 0x67, 1, 0, 1, 0x68)},       //
        {BODY(1, 66, 0, 10, 0xFC, 0xE1, 0, 1, 0x67, 1, 0, 1, 0x68)},       // lengths of 1 to 3 bytes
        {BODY(1, 66, 0, 10, 0xFD, 0xE1, 0, 1, 0x67, 1, 0, 1, 0x68)},       //
        {BODY(1, 66, 0, 10, 0xFE, 0xE1, 0, 1, 0x67, 1, 0, 1, 0x68)},       //
        {BODY(1, 66, 0, 10, 0xFF, 0xE1, 0, 0, 1, 0, 1, 0x68)},             // an empty set
        {BODY(1, 66, 0, 10, 0xFF, 0xE1, 0, 1, 0x67, 1, 0, 0)},             //
        {BODY(1, 66, 0, 10, 0xFF, 0xE2, 0, 1, 0x67, 1, 0, 1, 0x68)},       // one set too few
        {BODY(1, 66, 0, 10, 0xFF, 0xE1, 0, 1, 0x67, 2, 0, 1, 0x68)},       //
        {BODY(1, 66, 0, 10, 0xFF, 0xE1, 0xFF, 0xFF, 0x67, 1, 0, 1, 0x68)}, // too long
        {BODY(1, 66, 0, 10, 0xFF, 0xE1, 0, 1, 0x67, 1, 0, 2, 0x68)},       //
        {BODY(0, 0, 0, 1, 0x67, 66, 0, 10, 0, 0, 0, 1, 0x68)},             // start codes
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guard avcc = guard_copy(cases[i].avcc, cases[i].size);
        assert_int_equal(ch_flv_avcc_to_annexb(avcc.data, cases[i].size, NULL, 0), -EBADMSG);
        guard_free(&avcc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ffmpeg),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_times_of_configurations),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_tolerated),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_many_in_one_piece),
        cmocka_unit_test(test_not_taken),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_avcc),
        cmocka_unit_test(test_bad_avcc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
