// The parameter sets of one stream: what the newest SPS and PPS of each id are, as bytes and parsed.
// This is the one part of the codec layer that owns memory.
#ifndef CH_CODEC_H264_SETS_H
#define CH_CODEC_H264_SETS_H

#include "codec/h264.h"

struct ch_h264_sets;

// NULL without memory.
struct ch_h264_sets *ch_h264_sets_new(void);
void ch_h264_sets_free(struct ch_h264_sets *sets);

enum ch_sets_change {
    CH_SETS_SAME,    // these very bytes are known under this id
    CH_SETS_NEW,     // this id was unknown
    CH_SETS_CHANGED, // this id had other bytes
};

// Stores an SPS or PPS NAL unit (copied). One of ch_sets_change, -EBADMSG if it does not parse
// (nothing is changed then), -E2BIG above 4 KiB, -ENOMEM, -EINVAL if it is neither.
// Storing a changed SPS keeps the PPSs that name it.
int ch_h264_sets_put(struct ch_h264_sets *sets, const uint8_t *nal, size_t size);

// NULL if unknown. Borrowed until the next put or free.
const struct ch_h264_sps *ch_h264_sets_sps(const struct ch_h264_sets *sets, unsigned id);
const struct ch_h264_pps *ch_h264_sets_pps(const struct ch_h264_sets *sets, unsigned id);

// Parses a slice's header by the sets that it names. 0, -EBADMSG, or -ENOENT if a set it names is
// not known. *sps (may be NULL) is the SPS in force.
int ch_h264_sets_slice(const struct ch_h264_sets *sets, const uint8_t *nal, size_t size, struct ch_h264_slice *out,
                       const struct ch_h264_sps **sps);

// avcC with all known sets, the SPS `id` first. A PPS whose SPS is not known is left out (decoders
// refuse the whole record for it). As ch_h264_write_avcc; 0 if `id` is unknown.
size_t ch_h264_sets_avcc(const struct ch_h264_sets *sets, unsigned id, uint8_t *out, size_t capacity);

#endif
