#include "codec/flv.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAG_HEADER_BYTES 11u
#define AVC_HEADER_BYTES 5u          // frame type and codec, packet type, composition time
#define AAC_HEADER_BYTES 2u          // format, packet type
#define LENGTH_BYTES 4u              // in front of each NAL unit
#define KEEP_BYTES (256u << 10)      // memory that is not given back
#define TIME_WRAP (INT64_C(1) << 31) // ms

enum { TAG_AUDIO = 8, TAG_VIDEO = 9 };
enum { TAG_RESERVED = 0xC0, TAG_FILTER = 0x20, TAG_TYPE = 0x1F };
enum { VIDEO_ENHANCED = 0x80, VIDEO_COMMAND = 5, VIDEO_KEY = 1 };
enum { CODEC_AVC = 7, CODEC_AAC = 10, CODEC_AUDIO_ENHANCED = 9 };
enum { PACKET_CONFIG = 0, PACKET_SAMPLE = 1 };
enum { AVCC_HEADER_BYTES = 5 }; // up to numOfSequenceParameterSets, ISO/IEC 14496-15 5.3.3.1

struct tag {
    uint8_t type; // with its filter bit
    uint32_t time_ms;
    uint8_t *body;
    size_t size;
};

static uint32_t get_be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | ch_get_be16(p + 1);
}

// --- the buffer -----------------------------------------------------------------------------------

void ch_flv_reader_clear(struct ch_flv_reader *reader)
{
    free(reader->buffer);
    *reader = (struct ch_flv_reader){0};
}

// Of the tag that begins at `at`, as far as it is known; 0: not yet, or too large to be taken at all.
static size_t tag_bytes(const struct ch_flv_reader *reader)
{
    if (!reader->begun || reader->used - reader->at < TAG_HEADER_BYTES)
        return 0;
    size_t bytes = TAG_HEADER_BYTES + get_be24(reader->buffer + reader->at + 1) + CH_FLV_TAIL_BYTES;
    return bytes <= CH_FLV_READ_MAX ? bytes : 0;
}

// Room for `wanted` bytes. It doubles, so that a tag in many pieces is not copied for each, but not beyond the tag.
// What one large tag took is given back.
static int make_room(struct ch_flv_reader *reader, size_t wanted)
{
    size_t tag = tag_bytes(reader), most = tag > wanted ? tag : wanted;
    size_t capacity = 2 * reader->capacity < most ? 2 * reader->capacity : most;
    if (capacity < wanted)
        capacity = wanted;
    bool excess = reader->capacity > KEEP_BYTES && most <= reader->capacity / 4;
    if (wanted <= reader->capacity && !excess)
        return 0;
    uint8_t *buffer = realloc(reader->buffer, capacity);
    if (!buffer)
        return excess ? 0 : -ENOMEM;
    reader->buffer = buffer;
    reader->capacity = capacity;
    return 0;
}

int ch_flv_reader_add(struct ch_flv_reader *reader, const uint8_t *data, size_t size)
{
    if (reader->failed || size == 0)
        return 0;
    if (reader->at > 0) {
        memmove(reader->buffer, reader->buffer + reader->at, reader->used - reader->at);
        reader->used -= reader->at;
        reader->at = 0;
    }
    int rc = make_room(reader, reader->used + size);
    if (rc < 0)
        return rc;
    memcpy(reader->buffer + reader->used, data, size);
    reader->used += size;
    return 0;
}

// --- tags -----------------------------------------------------------------------------------------

// 1, 0 (more bytes are needed) or -EBADMSG.
static int take_file_header(struct ch_flv_reader *reader)
{
    static const uint8_t signature[4] = {'F', 'L', 'V', 1};
    const uint8_t *header = reader->buffer + reader->at;
    size_t there = reader->used - reader->at;
    if (memcmp(header, signature, there < sizeof signature ? there : sizeof signature) != 0)
        return -EBADMSG;
    if (there < CH_FLV_HEADER_BYTES)
        return 0;
    if (ch_get_be32(header + 5) != CH_FLV_HEADER_BYTES - CH_FLV_TAIL_BYTES)
        return -EBADMSG;
    reader->at += CH_FLV_HEADER_BYTES;
    reader->begun = true;
    return 1;
}

// 1, 0 (more bytes are needed) or an error.
static int take_tag(struct ch_flv_reader *reader, struct tag *out)
{
    uint8_t *tag = reader->buffer + reader->at;
    size_t there = reader->used - reader->at;
    if (there < TAG_HEADER_BYTES)
        return 0;
    if (tag[0] & TAG_RESERVED)
        return -EBADMSG;
    size_t bytes = tag_bytes(reader);
    if (bytes == 0)
        return -EMSGSIZE;
    if (there < bytes)
        return 0;
    size_t before_tail = bytes - CH_FLV_TAIL_BYTES;
    if (ch_get_be32(tag + before_tail) != before_tail)
        return -EBADMSG;
    *out = (struct tag){.type = tag[0],
                        .time_ms = (uint32_t)tag[7] << 24 | get_be24(tag + 4),
                        .body = tag + TAG_HEADER_BYTES,
                        .size = before_tail - TAG_HEADER_BYTES};
    reader->at += bytes;
    return 1;
}

// The time nearest to the last one. Some writers go from 2^31 - 1 to 0 (ffmpeg does), others from 2^32 - 1: what both
// have in common is the time modulo 2^31.
static int64_t unwrap(const struct ch_flv_reader *reader, uint32_t time_ms)
{
    if (!reader->timed)
        return time_ms;
    int64_t step = (int64_t)((uint64_t)time_ms - (uint64_t)reader->last_ms) & (TIME_WRAP - 1);
    if (step >= TIME_WRAP / 2)
        step -= TIME_WRAP;
    return reader->last_ms + step;
}

static void note_time(struct ch_flv_reader *reader, int64_t time_ms)
{
    reader->last_ms = time_ms;
    reader->timed = true;
}

// --- bodies ---------------------------------------------------------------------------------------

static int name_foreign(const char *name, struct ch_flv_item *out)
{
    *out = (struct ch_flv_item){.kind = CH_FLV_FOREIGN, .foreign = name};
    return 1;
}

// Codecs of enhanced RTMP go by four characters.
static const char *name_of_fourcc(const uint8_t *fourcc, bool video)
{
    static const struct {
        char fourcc[5];
        const char *name;
    } names[] = {
        {"avc1", "video codec H.264 in an enhanced tag"},
        {"hvc1", "video codec HEVC"},
        {"vvc1", "video codec VVC"},
        {"av01", "video codec AV1"},
        {"vp08", "video codec VP8"},
        {"vp09", "video codec VP9"},
        {"mp4a", "audio codec AAC in an enhanced tag"},
        {".mp3", "audio codec MP3"},
        {"Opus", "audio codec Opus"},
        {"ac-3", "audio codec AC-3"},
        {"ec-3", "audio codec E-AC-3"},
        {"fLaC", "audio codec FLAC"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (memcmp(fourcc, names[i].fourcc, 4) == 0)
            return names[i].name;
    return video ? "video codec of an enhanced tag" : "audio codec of an enhanced tag";
}

static const char *name_of_video(const uint8_t *body, size_t size)
{
    static const char *const names[16] = {
        "video codec 0",
        "video codec JPEG",
        "video codec Sorenson H.263",
        "video codec Screen Video",
        "video codec VP6",
        "video codec VP6 with alpha",
        "video codec Screen Video 2",
        "video codec H.264",
        "video codec H.263",
        "video codec MPEG-4 Part 2",
        "video codec 10",
        "video codec 11",
        "video codec HEVC",
        "video codec AV1",
        "video codec 14",
        "video codec 15",
    };
    if (body[0] & VIDEO_ENHANCED)
        return size < 5 ? "video codec of an enhanced tag" : name_of_fourcc(body + 1, true);
    return names[body[0] & 15];
}

static const char *name_of_audio(const uint8_t *body, size_t size)
{
    static const char *const names[16] = {
        "audio codec PCM",
        "audio codec ADPCM",
        "audio codec MP3",
        "audio codec PCM",
        "audio codec Nellymoser 16 kHz",
        "audio codec Nellymoser 8 kHz",
        "audio codec Nellymoser",
        "audio codec G.711 A-law",
        "audio codec G.711 mu-law",
        "audio codec of an enhanced tag",
        "audio codec AAC",
        "audio codec Speex",
        "audio codec 12",
        "audio codec Opus",
        "audio codec MP3 8 kHz",
        "audio codec of the device",
    };
    if (body[0] >> 4 == CODEC_AUDIO_ENHANCED && size >= 5)
        return name_of_fourcc(body + 1, false);
    return names[body[0] >> 4];
}

static bool lengths_lie_inside(const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        if (size - at < LENGTH_BYTES || size - at - LENGTH_BYTES < ch_get_be32(data + at))
            return false;
        at += LENGTH_BYTES + ch_get_be32(data + at);
    }
    return true;
}

// These return 1 if the tag is an item, 0 if it is passed over, or -EBADMSG.

static int take_avc(struct ch_flv_reader *reader, const struct tag *tag, struct ch_flv_item *out)
{
    if (tag->size < AVC_HEADER_BYTES)
        return -EBADMSG;
    uint8_t packet = tag->body[1];
    int32_t composition_ms = (int32_t)get_be24(tag->body + 2); // 24 bits with a sign
    if (composition_ms & 0x800000)
        composition_ms -= 0x1000000;
    *out = (struct ch_flv_item){.kind = packet == PACKET_CONFIG ? CH_FLV_VIDEO_CONFIG : CH_FLV_VIDEO,
                                .decode_ms = unwrap(reader, tag->time_ms),
                                .data = tag->body + AVC_HEADER_BYTES,
                                .size = tag->size - AVC_HEADER_BYTES};
    if (packet > PACKET_SAMPLE || out->size == 0)
        return 0;
    if (packet == PACKET_CONFIG)
        return ch_flv_avcc_to_annexb(out->data, out->size, NULL, 0) < 0 ? -EBADMSG : 1;
    if (!lengths_lie_inside(out->data, out->size))
        return -EBADMSG;
    out->key = tag->body[0] >> 4 == VIDEO_KEY;
    out->composition_ms = composition_ms;
    note_time(reader, out->decode_ms);
    return 1;
}

static int take_video(struct ch_flv_reader *reader, const struct tag *tag, struct ch_flv_item *out)
{
    if (tag->type & TAG_FILTER)
        return name_foreign("video that is encrypted", out);
    uint8_t first = tag->body[0];
    if ((first >> 4 & 7) == VIDEO_COMMAND)
        return 0;
    if (first & VIDEO_ENHANCED || (first & 15) != CODEC_AVC)
        return name_foreign(name_of_video(tag->body, tag->size), out);
    return take_avc(reader, tag, out);
}

static int take_audio(struct ch_flv_reader *reader, const struct tag *tag, struct ch_flv_item *out)
{
    if (tag->type & TAG_FILTER)
        return name_foreign("audio that is encrypted", out);
    if (tag->body[0] >> 4 != CODEC_AAC)
        return name_foreign(name_of_audio(tag->body, tag->size), out);
    if (tag->size < AAC_HEADER_BYTES)
        return -EBADMSG;
    uint8_t packet = tag->body[1];
    *out = (struct ch_flv_item){.kind = packet == PACKET_CONFIG ? CH_FLV_AUDIO_CONFIG : CH_FLV_AUDIO,
                                .decode_ms = unwrap(reader, tag->time_ms),
                                .data = tag->body + AAC_HEADER_BYTES,
                                .size = tag->size - AAC_HEADER_BYTES};
    if (packet > PACKET_SAMPLE || out->size == 0)
        return 0;
    if (packet == PACKET_SAMPLE)
        note_time(reader, out->decode_ms);
    return 1;
}

static int next_item(struct ch_flv_reader *reader, struct ch_flv_item *out)
{
    struct tag tag;
    if (reader->at == reader->used)
        return 0;
    int rc = reader->begun ? 1 : take_file_header(reader);
    if (rc <= 0)
        return rc;
    while ((rc = take_tag(reader, &tag)) == 1) {
        if (tag.size == 0)
            continue;
        if ((tag.type & TAG_TYPE) == TAG_VIDEO)
            rc = take_video(reader, &tag, out);
        else if ((tag.type & TAG_TYPE) == TAG_AUDIO)
            rc = take_audio(reader, &tag, out);
        else
            rc = 0;
        if (rc != 0)
            break;
    }
    return rc;
}

int ch_flv_reader_next(struct ch_flv_reader *reader, struct ch_flv_item *out)
{
    if (reader->failed)
        return reader->failed;
    int rc = next_item(reader, out);
    if (rc < 0) {
        ch_flv_reader_clear(reader);
        reader->failed = rc;
    }
    return rc;
}

// --- avcC -----------------------------------------------------------------------------------------

struct sets {
    const uint8_t *next, *end;
    uint8_t *out;
    size_t used, capacity;
};

// Copies `count` sets, each behind its 16-bit length, with start codes.
static int copy_sets(struct sets *sets, unsigned count)
{
    for (; count > 0; count--) {
        size_t left = (size_t)(sets->end - sets->next);
        size_t bytes = left < 2 ? 0 : ch_get_be16(sets->next);
        if (bytes == 0 || left - 2 < bytes)
            return -EBADMSG;
        if (sets->used <= sets->capacity && 4 + bytes <= sets->capacity - sets->used) {
            ch_put_be32(sets->out + sets->used, 1);
            memcpy(sets->out + sets->used + 4, sets->next + 2, bytes);
        }
        sets->used += 4 + bytes;
        sets->next += 2 + bytes;
    }
    return 0;
}

int64_t ch_flv_avcc_to_annexb(const uint8_t *avcc, size_t size, uint8_t *out, size_t capacity)
{
    if (size < AVCC_HEADER_BYTES + 2 || avcc[0] != 1 || (avcc[4] & 3) != 3)
        return -EBADMSG;
    struct sets sets = {.next = avcc + AVCC_HEADER_BYTES + 1, .end = avcc + size, .out = out, .capacity = capacity};
    int rc = copy_sets(&sets, avcc[AVCC_HEADER_BYTES] & 31u);
    if (rc == 0 && sets.next == sets.end)
        rc = -EBADMSG; // numOfPictureParameterSets is missing
    if (rc == 0) {
        unsigned count = *sets.next++;
        rc = copy_sets(&sets, count);
    }
    return rc < 0 ? rc : (int64_t)sets.used;
}

void ch_flv_picture_to_annexb(uint8_t *picture, size_t size)
{
    for (size_t at = 0, bytes; at + LENGTH_BYTES <= size; at += LENGTH_BYTES + bytes) {
        bytes = ch_get_be32(picture + at);
        ch_put_be32(picture + at, 1);
    }
}
