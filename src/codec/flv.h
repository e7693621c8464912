// FLV (Adobe Flash Video File Format 10.1, annex E) with H.264 and AAC: what ffmpeg children send us and what
// viewers of /live/NAME.flv get. Pure: bytes in, facts out.
//
// A stream is a file header, a zero (the size of no tag), and then tags: 11 bytes of tag header, a body, and the size
// of the tag once more. Here a tag is written with that size behind it, so that it may be sent as it is.
#ifndef CH_CODEC_FLV_H
#define CH_CODEC_FLV_H

#include "codec/aac.h"

// --- writing -------------------------------------------------------------------------------------

#define CH_FLV_HEADER_BYTES 13u     // file header and the first size
#define CH_FLV_VIDEO_HEAD_BYTES 16u // in front of a picture: tag header, frame and codec, packet type, composition time
#define CH_FLV_AUDIO_HEAD_BYTES 13u
#define CH_FLV_TAIL_BYTES 4u
#define CH_FLV_BODY_MAX 0xFFFFFFu // 24 bits; a larger one cannot be written

void ch_flv_write_header(bool audio, uint8_t out[CH_FLV_HEADER_BYTES]);

// A picture is head, sample (NAL units behind lengths of 4 bytes), tail. `sample_bytes` at most CH_FLV_BODY_MAX - 5.
struct ch_flv_picture {
    uint32_t decode_ms;     // wraps
    int32_t composition_ms; // beyond 24 bits: the most that can be written
    uint32_t sample_bytes;
    bool key;
};
void ch_flv_write_picture(const struct ch_flv_picture *picture, uint8_t head[CH_FLV_VIDEO_HEAD_BYTES],
                          uint8_t tail[CH_FLV_TAIL_BYTES]);
// An AAC frame, likewise. `sample_bytes` at most CH_FLV_BODY_MAX - 2.
void ch_flv_write_audio(uint32_t time_ms, uint32_t sample_bytes, uint8_t head[CH_FLV_AUDIO_HEAD_BYTES],
                        uint8_t tail[CH_FLV_TAIL_BYTES]);

// Whole tags. They return the bytes needed, and write only if they fit (out may be NULL with capacity 0).
size_t ch_flv_write_video_config(const uint8_t *avcc, size_t avcc_bytes, uint32_t time_ms, uint8_t *out,
                                 size_t capacity);
size_t ch_flv_write_audio_config(const struct ch_aac_config *audio, uint32_t time_ms, uint8_t *out, size_t capacity);
// onMetaData. Its video part is left out if width is 0, its audio part without audio (NULL). It says no duration: a
// live stream has none, and players take the number as it is.
struct ch_flv_metadata {
    uint32_t width, height;
    uint32_t centi_fps; // 0: not said
    const struct ch_aac_config *audio;
    const char *encoder; // name of the program, 65535 bytes at most
};
size_t ch_flv_write_metadata(const struct ch_flv_metadata *metadata, uint8_t *out, size_t capacity);

// --- reading -------------------------------------------------------------------------------------

// Reads a stream in pieces of any size. Memory: one tag (CH_FLV_READ_MAX at the most) and what was added with it; it is
// reused, and what a large tag took is given back when small ones follow.
#define CH_FLV_READ_MAX (16u << 20)

enum ch_flv_kind {
    CH_FLV_VIDEO_CONFIG, // data: AVCDecoderConfigurationRecord, which ch_flv_avcc_to_annexb takes
    CH_FLV_VIDEO,        // data: an access unit, NAL units behind lengths of 4 bytes, each checked to lie inside
    CH_FLV_AUDIO_CONFIG, // data: AudioSpecificConfig, not looked at yet
    CH_FLV_AUDIO,        // data: a raw AAC frame of any size
    CH_FLV_FOREIGN, // a tag of a codec that is none of these two, or encrypted: `foreign` names it, nothing else is set
};

struct ch_flv_item {
    enum ch_flv_kind kind;
    bool key; // VIDEO: the tag says key frame
    // From the stream's own zero; may run backward if the stream's does. Unwrapped, modulo 2^31 (ffmpeg writes no more
    // bits than that): the time nearest to that of the picture or AAC frame before, so no step is beyond 12 days.
    int64_t decode_ms;
    int32_t composition_ms; // VIDEO
    uint8_t *data;          // borrowed until the next call; may be changed in place
    size_t size;
    const char *foreign; // FOREIGN: begins with "video" or "audio": "video codec Sorenson H.263", "audio codec MP3"
};

struct ch_flv_reader {
    uint8_t *buffer; // owned
    size_t at, used, capacity;
    bool begun, timed;
    int failed;
    int64_t last_ms; // of a picture or an AAC frame, unwrapped
};

// Zero-initialise. Empty again and without memory:
void ch_flv_reader_clear(struct ch_flv_reader *reader);
// 0 or -ENOMEM (nothing was added). All items must have been taken before more is added: those that were not stay, and
// memory grows. After an error of ch_flv_reader_next nothing is kept.
int ch_flv_reader_add(struct ch_flv_reader *reader, const uint8_t *data, size_t size);
// The next item: 1; 0 if more bytes are needed (at the end of a stream: it stopped there, whole or not); or, for good,
// -EBADMSG if this is no FLV, -EMSGSIZE if a tag is larger than CH_FLV_READ_MAX.
// Passed over: script tags and unknown ones, empty tags (ffmpeg writes an empty configuration where it has none yet),
// commands to players, end-of-sequence and unknown packet types. -EBADMSG as well: a configuration that is broken or
// has lengths not of 4 bytes, a NAL unit that does not lie inside its picture, reserved bits, and a size behind a tag
// that is not the tag's: it is the only sign that tags are where we think they are, and ffmpeg gets it right.
int ch_flv_reader_next(struct ch_flv_reader *reader, struct ch_flv_item *out);

// Parameter sets of an AVCDecoderConfigurationRecord with start codes of 4 bytes; what follows them in it (chroma
// format, SPS extensions) is left out. Bytes needed, 0 if it has no sets; out is of use only if they fit (it may be
// NULL with capacity 0). -EBADMSG: not whole, an empty set, another version, or lengths not of 4 bytes.
int64_t ch_flv_avcc_to_annexb(const uint8_t *avcc, size_t size, uint8_t *out, size_t capacity);

// Turns a picture (CH_FLV_VIDEO), whose lengths were checked, into Annex B in place: start codes are as long as lengths.
void ch_flv_picture_to_annexb(uint8_t *picture, size_t size);

#endif
