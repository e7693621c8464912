#include "codec/flv.h"

#include "base/bytes.h"

#include <assert.h>
#include <string.h>

#define TAG_HEADER_BYTES 11u
#define AVC_HEADER_BYTES (CH_FLV_VIDEO_HEAD_BYTES - TAG_HEADER_BYTES)
#define AAC_HEADER_BYTES (CH_FLV_AUDIO_HEAD_BYTES - TAG_HEADER_BYTES)
#define COMPOSITION_MAX_MS 0x7FFFFF
#define EVENT "onMetaData"

enum { TAG_AUDIO = 8, TAG_VIDEO = 9, TAG_SCRIPT = 18 };
enum { FLAG_VIDEO = 1, FLAG_AUDIO = 4 };
enum { PACKET_CONFIG = 0, PACKET_SAMPLE = 1 }; // AVCPacketType and AACPacketType
enum { AVC_KEY = 0x17, AVC_INTER = 0x27 };     // frame type and codec 7
enum { AAC_FORMAT = 0xAF };                    // codec 10; its rate, size and type bits are fixed (E.4.2.1)
enum { AMF_NUMBER = 0, AMF_BOOLEAN = 1, AMF_STRING = 2, AMF_ECMA_ARRAY = 8, AMF_OBJECT_END = 9 };

static void put_be24(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 16);
    ch_put_be16(p + 1, (uint16_t)v);
}

void ch_flv_write_header(bool audio, uint8_t out[CH_FLV_HEADER_BYTES])
{
    memcpy(out, "FLV\1", 4);
    out[4] = (uint8_t)(FLAG_VIDEO | (audio ? FLAG_AUDIO : 0));
    ch_put_be32(out + 5, CH_FLV_HEADER_BYTES - 4);
    ch_put_be32(out + 9, 0);
}

static void put_tag_header(uint8_t *p, uint8_t type, size_t body, uint32_t time_ms)
{
    assert(body <= CH_FLV_BODY_MAX);
    p[0] = type;
    put_be24(p + 1, (uint32_t)body);
    put_be24(p + 4, time_ms);
    p[7] = (uint8_t)(time_ms >> 24);
    put_be24(p + 8, 0); // stream id
}

static void put_avc_header(uint8_t *p, bool key, uint8_t packet, int32_t composition_ms)
{
    if (composition_ms > COMPOSITION_MAX_MS)
        composition_ms = COMPOSITION_MAX_MS;
    if (composition_ms < -COMPOSITION_MAX_MS)
        composition_ms = -COMPOSITION_MAX_MS;
    p[0] = key ? AVC_KEY : AVC_INTER;
    p[1] = packet;
    put_be24(p + 2, (uint32_t)composition_ms);
}

void ch_flv_write_picture(const struct ch_flv_picture *picture, uint8_t head[CH_FLV_VIDEO_HEAD_BYTES],
                          uint8_t tail[CH_FLV_TAIL_BYTES])
{
    assert(picture->sample_bytes <= CH_FLV_BODY_MAX - AVC_HEADER_BYTES);
    put_tag_header(head, TAG_VIDEO, AVC_HEADER_BYTES + picture->sample_bytes, picture->decode_ms);
    put_avc_header(head + TAG_HEADER_BYTES, picture->key, PACKET_SAMPLE, picture->composition_ms);
    ch_put_be32(tail, CH_FLV_VIDEO_HEAD_BYTES + picture->sample_bytes);
}

void ch_flv_write_audio(uint32_t time_ms, uint32_t sample_bytes, uint8_t head[CH_FLV_AUDIO_HEAD_BYTES],
                        uint8_t tail[CH_FLV_TAIL_BYTES])
{
    assert(sample_bytes <= CH_FLV_BODY_MAX - AAC_HEADER_BYTES);
    put_tag_header(head, TAG_AUDIO, AAC_HEADER_BYTES + sample_bytes, time_ms);
    head[11] = AAC_FORMAT;
    head[12] = PACKET_SAMPLE;
    ch_put_be32(tail, CH_FLV_AUDIO_HEAD_BYTES + sample_bytes);
}

size_t ch_flv_write_video_config(const uint8_t *avcc, size_t avcc_bytes, uint32_t time_ms, uint8_t *out,
                                 size_t capacity)
{
    assert(avcc_bytes <= CH_FLV_BODY_MAX - AVC_HEADER_BYTES);
    size_t tag = CH_FLV_VIDEO_HEAD_BYTES + avcc_bytes;
    if (tag + CH_FLV_TAIL_BYTES > capacity)
        return tag + CH_FLV_TAIL_BYTES;
    put_tag_header(out, TAG_VIDEO, tag - TAG_HEADER_BYTES, time_ms);
    put_avc_header(out + TAG_HEADER_BYTES, true, PACKET_CONFIG, 0);
    memcpy(out + CH_FLV_VIDEO_HEAD_BYTES, avcc, avcc_bytes);
    ch_put_be32(out + tag, (uint32_t)tag);
    return tag + CH_FLV_TAIL_BYTES;
}

size_t ch_flv_write_audio_config(const struct ch_aac_config *audio, uint32_t time_ms, uint8_t *out, size_t capacity)
{
    assert(audio->bytes <= CH_AAC_CONFIG_MAX);
    size_t tag = CH_FLV_AUDIO_HEAD_BYTES + audio->bytes;
    if (tag + CH_FLV_TAIL_BYTES > capacity)
        return tag + CH_FLV_TAIL_BYTES;
    put_tag_header(out, TAG_AUDIO, tag - TAG_HEADER_BYTES, time_ms);
    out[11] = AAC_FORMAT;
    out[12] = PACKET_CONFIG;
    memcpy(out + CH_FLV_AUDIO_HEAD_BYTES, audio->config, audio->bytes);
    ch_put_be32(out + tag, (uint32_t)tag);
    return tag + CH_FLV_TAIL_BYTES;
}

// --- onMetaData, in AMF 0 --------------------------------------------------------------------------

// Without `out` it only counts.
struct amf {
    uint8_t *out;
    size_t used;
    uint32_t properties;
};

static void put_bytes(struct amf *amf, const void *data, size_t size)
{
    if (amf->out)
        memcpy(amf->out + amf->used, data, size);
    amf->used += size;
}

static void put_byte(struct amf *amf, uint8_t value)
{
    put_bytes(amf, &value, 1);
}

// Without a type: a name, or what follows the type of a string.
static void put_text(struct amf *amf, const char *text)
{
    size_t size = strlen(text);
    assert(size <= UINT16_MAX);
    uint8_t length[2];
    ch_put_be16(length, (uint16_t)size);
    put_bytes(amf, length, sizeof length);
    put_bytes(amf, text, size);
}

static void put_name(struct amf *amf, const char *name)
{
    put_text(amf, name);
    amf->properties++;
}

static void put_number(struct amf *amf, const char *name, double value)
{
    uint64_t bits;
    uint8_t bytes[sizeof bits];
    _Static_assert(sizeof bits == sizeof value, "AMF has numbers of 64 bits");
    memcpy(&bits, &value, sizeof bits);
    ch_put_be64(bytes, bits);
    put_name(amf, name);
    put_byte(amf, AMF_NUMBER);
    put_bytes(amf, bytes, sizeof bytes);
}

static void put_boolean(struct amf *amf, const char *name, bool value)
{
    put_name(amf, name);
    put_byte(amf, AMF_BOOLEAN);
    put_byte(amf, value);
}

static void put_string(struct amf *amf, const char *name, const char *value)
{
    put_name(amf, name);
    put_byte(amf, AMF_STRING);
    put_text(amf, value);
}

// No duration: a live stream has none, and a player that is told 0 may believe it.
static void put_properties(struct amf *amf, const struct ch_flv_metadata *metadata)
{
    if (metadata->width > 0) {
        put_number(amf, "width", metadata->width);
        put_number(amf, "height", metadata->height);
        if (metadata->centi_fps > 0)
            put_number(amf, "framerate", metadata->centi_fps / 100.0);
        put_number(amf, "videocodecid", 7);
    }
    if (metadata->audio) {
        put_number(amf, "audiocodecid", 10);
        put_number(amf, "audiosamplerate", metadata->audio->rate);
        put_number(amf, "audiosamplesize", 16);
        put_boolean(amf, "stereo", metadata->audio->channels >= 2);
    }
    put_string(amf, "encoder", metadata->encoder);
}

size_t ch_flv_write_metadata(const struct ch_flv_metadata *metadata, uint8_t *out, size_t capacity)
{
    struct amf amf = {0};
    put_properties(&amf, metadata);
    uint8_t count[4];
    ch_put_be32(count, amf.properties);
    size_t begin = 1 + 2 + strlen(EVENT) + 1 + sizeof count, end = 3;
    size_t tag = TAG_HEADER_BYTES + begin + amf.used + end;
    if (tag + CH_FLV_TAIL_BYTES > capacity)
        return tag + CH_FLV_TAIL_BYTES;
    put_tag_header(out, TAG_SCRIPT, tag - TAG_HEADER_BYTES, 0);
    amf = (struct amf){.out = out, .used = TAG_HEADER_BYTES};
    put_byte(&amf, AMF_STRING);
    put_text(&amf, EVENT);
    put_byte(&amf, AMF_ECMA_ARRAY);
    put_bytes(&amf, count, sizeof count);
    put_properties(&amf, metadata);
    put_text(&amf, ""); // an empty name ends the array
    put_byte(&amf, AMF_OBJECT_END);
    assert(amf.used == tag);
    ch_put_be32(out + tag, (uint32_t)tag);
    return tag + CH_FLV_TAIL_BYTES;
}
