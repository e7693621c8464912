// Internal to the codec layer: what the MP4 files share.
//
// Boxes are written into memory, or only counted: a box is built twice, once with `data` NULL to
// learn the size, once into memory of that size. So every size is computed by the very code that
// writes it.
#ifndef CH_CODEC_MP4_INTERNAL_H
#define CH_CODEC_MP4_INTERNAL_H

#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"
#include "codec/mp4.h"

struct ch_mp4_out {
    uint8_t *data; // NULL: only count
    size_t at;
};

static inline void ch_mp4_put(struct ch_mp4_out *out, const void *data, size_t size)
{
    if (out->data && size > 0)
        memcpy(out->data + out->at, data, size);
    out->at += size;
}

static inline void ch_mp4_put8(struct ch_mp4_out *out, uint8_t value)
{
    ch_mp4_put(out, &value, 1);
}

static inline void ch_mp4_put16(struct ch_mp4_out *out, uint16_t value)
{
    uint8_t bytes[2];
    ch_put_be16(bytes, value);
    ch_mp4_put(out, bytes, 2);
}

static inline void ch_mp4_put32(struct ch_mp4_out *out, uint32_t value)
{
    uint8_t bytes[4];
    ch_put_be32(bytes, value);
    ch_mp4_put(out, bytes, 4);
}

static inline void ch_mp4_put64(struct ch_mp4_out *out, uint64_t value)
{
    uint8_t bytes[8];
    ch_put_be64(bytes, value);
    ch_mp4_put(out, bytes, 8);
}

static inline void ch_mp4_put_zeros(struct ch_mp4_out *out, size_t size)
{
    if (out->data)
        memset(out->data + out->at, 0, size);
    out->at += size;
}

// Returns what ch_mp4_end needs to fill in the size.
static inline size_t ch_mp4_begin(struct ch_mp4_out *out, const char type[static 4])
{
    size_t box = out->at;
    ch_mp4_put32(out, 0);
    ch_mp4_put(out, type, 4);
    return box;
}

// A FullBox, ISO/IEC 14496-12 4.2.
static inline size_t ch_mp4_begin_full(struct ch_mp4_out *out, const char type[static 4], uint8_t version,
                                       uint32_t flags)
{
    size_t box = ch_mp4_begin(out, type);
    ch_mp4_put32(out, (uint32_t)version << 24 | flags);
    return box;
}

static inline void ch_mp4_end(struct ch_mp4_out *out, size_t box)
{
    if (out->data)
        ch_put_be32(out->data + box, (uint32_t)(out->at - box));
}

// What a trak says beside what the file's description does.
struct ch_mp4_trak {
    bool audio;
    const struct ch_mp4_tables *tables;             // NULL: empty tables
    uint32_t last_step;                             // of the last sample, with tables
    uint32_t raise;                                 // added to every composition offset, with tables
    uint64_t media_duration;                        // in the track's timescale
    uint64_t empty_duration, presentation_duration; // in the movie's; the former lies in front of the latter
    int64_t media_time;                             // where the presentation begins in the media
};

// What differs between the moov in front of fragments and the moov at the end of a file.
struct ch_mp4_movie {
    const struct ch_mp4_track *track;
    bool fragmented; // mvex follows
    bool has_audio;
    struct ch_mp4_trak video, audio;
};

void ch_mp4_put_moov(struct ch_mp4_out *out, const struct ch_mp4_movie *movie);
// The children of stbl behind stsd.
void ch_mp4_put_tables(struct ch_mp4_out *out, const struct ch_mp4_trak *trak);

// More samples than this are neither written nor read. Keeps every box, at up to 32 bytes a sample
// in all, under 2^32 bytes: 38 days at 30 frames/s.
#define CH_MP4_MAX_SAMPLES 100000000u

// What the moov of an init segment (header included) says about its tracks; .avcc is borrowed from it.
// 0 or -EBADMSG.
int ch_mp4_read_init(const uint8_t *moov, size_t bytes, struct ch_mp4_track *track);

#endif
