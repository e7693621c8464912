// Any bytes as an FLV stream: whole, in pieces (the first byte says which), and once more after our own writer has
// written down what was read. All must give the same; what is given is inside the bounds that the header promises. With
// the first byte's highest bit they are tags whose framing is made right. The same bytes as an AudioSpecificConfig and
// as an avcC.
#include "fuzz.h"

#include "base/bytes.h"
#include "codec/flv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void *room(size_t size)
{
    void *data = malloc(size ? size : 1);
    check(data != NULL);
    return data;
}

// What was read, written down as FLV, and a sum over all of it.
struct heard {
    uint8_t *flv; // owned
    size_t used, capacity;
    uint64_t sum;
    size_t items;
    int rc;
    int64_t last_ms;
    bool timed;
};

static void sum(struct heard *heard, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        heard->sum = (heard->sum ^ bytes[i]) * UINT64_C(0x100000001B3);
}

static uint8_t *grow(struct heard *heard, size_t size)
{
    if (heard->used + size > heard->capacity) {
        heard->capacity = 2 * (heard->used + size);
        heard->flv = realloc(heard->flv, heard->capacity);
        check(heard->flv != NULL);
    }
    heard->used += size;
    return heard->flv + heard->used - size;
}

// --- what must hold ---------------------------------------------------------------------------------

static void check_aac(const uint8_t *config, size_t size)
{
    struct ch_aac_config aac = {0};
    int rc = ch_aac_parse(config, size, &aac);
    check(rc == 0 || (rc == -EBADMSG && aac.bytes == 0 && aac.rate == 0));
    if (rc < 0)
        return;
    check(aac.rate >= 1000 && aac.rate <= 192000 && aac.channels >= 1 && aac.channels <= 8);
    check(aac.frame_samples == 1024 || aac.frame_samples == 960);
    check(size <= CH_AAC_CONFIG_MAX && aac.bytes == size && memcmp(aac.config, config, size) == 0);
    check(strncmp(aac.codec, "mp4a.40.", 8) == 0 && strlen(aac.codec) <= 10 && ch_aac_same(&aac, &aac));
}

// Into exactly the bytes that it asks for.
static void check_avcc(const uint8_t *avcc, size_t size)
{
    int64_t bytes = ch_flv_avcc_to_annexb(avcc, size, NULL, 0);
    check(bytes == -EBADMSG || (bytes >= 0 && (uint64_t)bytes <= 2 * size));
    if (bytes <= 0)
        return;
    uint8_t *out = room((size_t)bytes), *small = room((size_t)bytes - 1);
    check(ch_flv_avcc_to_annexb(avcc, size, out, (size_t)bytes) == bytes);
    check(ch_flv_avcc_to_annexb(avcc, size, small, (size_t)bytes - 1) == bytes);
    check(bytes >= 5 && ch_get_be32(out) == 1);
    free(out);
    free(small);
}

static void check_item(struct heard *heard, const struct ch_flv_item *item)
{
    check((item->kind == CH_FLV_FOREIGN) == (item->foreign != NULL));
    check((item->kind == CH_FLV_FOREIGN) == (item->size == 0));
    check(!item->key || item->kind == CH_FLV_VIDEO);
    check(!item->foreign || strncmp(item->foreign, "video ", 6) == 0 || strncmp(item->foreign, "audio ", 6) == 0);
    check(item->composition_ms >= -0x800000 && item->composition_ms <= 0x7FFFFF);
    if (item->kind == CH_FLV_VIDEO_CONFIG) {
        check(ch_flv_avcc_to_annexb(item->data, item->size, NULL, 0) >= 0);
        check_avcc(item->data, item->size);
    } else if (item->kind == CH_FLV_AUDIO_CONFIG) {
        check_aac(item->data, item->size);
    } else if (item->kind == CH_FLV_VIDEO) {
        size_t at = 0;
        while (at < item->size)
            at += 4 + ch_get_be32(item->data + at);
        check(at == item->size);
    }
    if (item->kind == CH_FLV_VIDEO || item->kind == CH_FLV_AUDIO) {
        int64_t step = item->decode_ms - heard->last_ms;
        check(!heard->timed || (step >= -(INT64_C(1) << 30) && step < INT64_C(1) << 30));
        heard->last_ms = item->decode_ms;
        heard->timed = true;
    }
}

// --- reading and writing ----------------------------------------------------------------------------

// As our writer has it. An AudioSpecificConfig is not always one that it would be given.
static void write_item(struct heard *heard, const struct ch_flv_item *item)
{
    const uint32_t time_ms = (uint32_t)item->decode_ms, size = (uint32_t)item->size;
    const bool video = item->kind == CH_FLV_VIDEO, audio = item->kind == CH_FLV_AUDIO;
    const struct ch_flv_picture picture = {
        .decode_ms = time_ms, .composition_ms = item->composition_ms, .sample_bytes = size, .key = item->key};
    if (item->kind == CH_FLV_VIDEO_CONFIG) {
        size_t bytes = ch_flv_write_video_config(item->data, item->size, time_ms, NULL, 0);
        uint8_t *tag = grow(heard, bytes);
        check(ch_flv_write_video_config(item->data, item->size, time_ms, tag, bytes) == bytes);
    } else if (item->kind == CH_FLV_AUDIO_CONFIG && item->size <= CH_AAC_CONFIG_MAX) {
        struct ch_aac_config aac = {.bytes = (uint8_t)size};
        memcpy(aac.config, item->data, item->size);
        size_t bytes = ch_flv_write_audio_config(&aac, time_ms, NULL, 0);
        uint8_t *tag = grow(heard, bytes);
        check(ch_flv_write_audio_config(&aac, time_ms, tag, bytes) == bytes);
    } else if (video || audio) {
        size_t head = video ? CH_FLV_VIDEO_HEAD_BYTES : CH_FLV_AUDIO_HEAD_BYTES;
        uint8_t *tag = grow(heard, head + item->size + CH_FLV_TAIL_BYTES);
        memcpy(tag + head, item->data, item->size);
        if (video)
            ch_flv_write_picture(&picture, tag, tag + head + item->size);
        else
            ch_flv_write_audio(time_ms, size, tag, tag + head + item->size);
    }
}

// What the writer leaves out, or cannot say, is not summed up.
static void take_item(struct heard *heard, const struct ch_flv_item *item)
{
    check_item(heard, item);
    write_item(heard, item);
    heard->items++;
    bool lost = item->kind == CH_FLV_FOREIGN || (item->kind == CH_FLV_AUDIO_CONFIG && item->size > CH_AAC_CONFIG_MAX);
    if (lost)
        return;
    const int64_t facts[] = {item->kind, item->key, item->decode_ms,
                             item->composition_ms < -0x7FFFFF ? -0x7FFFFF : item->composition_ms};
    sum(heard, facts, sizeof facts);
    sum(heard, item->data, item->size);
    memset(item->data, 0xEE, item->size);
}

static void take_piece(struct ch_flv_reader *reader, const uint8_t *data, size_t size, struct heard *heard)
{
    struct ch_flv_item item;
    uint8_t *piece = room(size);
    if (size > 0)
        memcpy(piece, data, size);
    size_t capacity = reader->capacity, left = reader->used - reader->at;
    check(ch_flv_reader_add(reader, piece, size) == 0);
    free(piece);
    check(reader->capacity <= CH_FLV_READ_MAX + size && reader->used <= reader->capacity);
    // It grows to what is there, or up to twice what it was.
    check(reader->capacity <= capacity || reader->capacity <= 2 * capacity || reader->capacity <= left + size);
    while ((heard->rc = ch_flv_reader_next(reader, &item)) == 1) {
        if (item.kind != CH_FLV_FOREIGN)
            check(item.data >= reader->buffer && item.data + item.size <= reader->buffer + reader->used);
        take_item(heard, &item);
    }
    check(heard->rc == 0 || heard->rc == -EBADMSG || heard->rc == -EMSGSIZE);
    check(heard->rc == 0 || (reader->buffer == NULL && ch_flv_reader_next(reader, &item) == heard->rc));
}

// `how` 0: whole; 1: byte by byte; else in pieces that are different each time.
static struct heard read_stream(const uint8_t *data, size_t size, uint8_t how)
{
    struct heard heard = {.sum = UINT64_C(0xCBF29CE484222325)};
    struct ch_flv_reader reader = {0};
    uint32_t random = how;
    ch_flv_write_header(true, grow(&heard, CH_FLV_HEADER_BYTES));
    for (size_t at = 0, piece; at < size; at += piece) {
        random = random * 1664525u + 1013904223u;
        piece = how == 0 ? size : how == 1 ? 1 : (random >> 8) % (1u << (1 + how % 12));
        piece = piece < size - at ? piece : size - at;
        take_piece(&reader, data + at, piece, &heard);
    }
    ch_flv_reader_clear(&reader);
    return heard;
}

// The bytes as tags: type, time, one byte of size, body. With their framing right, so that bodies are reached.
static struct heard frame(const uint8_t *data, size_t size)
{
    struct heard stream = {0};
    ch_flv_write_header(true, grow(&stream, CH_FLV_HEADER_BYTES));
    for (size_t at = 0, body; size - at >= 6; at += 6 + body) {
        body = data[at + 5] < size - at - 6 ? data[at + 5] : size - at - 6;
        uint8_t *tag = grow(&stream, 11 + body + 4);
        memset(tag, 0, 11);
        tag[0] = data[at];
        tag[3] = (uint8_t)body;
        memcpy(tag + 4, data + at + 1, 4);
        memcpy(tag + 11, data + at + 6, body);
        ch_put_be32(tag + 11 + body, (uint32_t)(11 + body));
    }
    return stream;
}

static void read_every_way(const uint8_t *data, size_t size, uint8_t how)
{
    struct heard whole = read_stream(data, size, 0);
    struct heard pieces = read_stream(data, size, how);
    check(whole.rc == pieces.rc && whole.items == pieces.items && whole.sum == pieces.sum);
    check(whole.used == pieces.used && memcmp(whole.flv, pieces.flv, whole.used) == 0);
    struct heard again = read_stream(whole.flv, whole.used, 0);
    check(again.rc == 0 && again.sum == whole.sum);
    check(again.used == whole.used && memcmp(again.flv, whole.flv, whole.used) == 0);
    free(whole.flv);
    free(pieces.flv);
    free(again.flv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_aac(data, size);
    check_avcc(data, size);
    if (size == 0)
        return 0;
    uint8_t how = data[0] & 127 ? data[0] & 127 : 1;
    if (data[0] & 128) {
        struct heard stream = frame(data + 1, size - 1);
        read_every_way(stream.flv, stream.used, how);
        free(stream.flv);
    } else {
        read_every_way(data + 1, size - 1, how);
    }
    return 0;
}
