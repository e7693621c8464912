// The decoder configuration in force for a run of frames: what an init segment or an MP4 part is made
// from. Immutable and counted; a new one begins at a key frame whose SPS differs, or before which the audio's
// configuration has changed.
// Any thread may hold and release references.
#ifndef CH_STREAM_PARAMS_H
#define CH_STREAM_PARAMS_H

#include "codec/aac.h"
#include "codec/h264.h"

#include <stdatomic.h>

struct ch_params {
    atomic_uint refs;
    char codec[CH_H264_CODEC_STRING_BYTES]; // RFC 6381; of JPEG cameras "jpeg", and no avcc
    uint32_t width, height, sar_width, sar_height;
    unsigned reorder_depth;      // ch_h264_reorder_depth
    uint32_t nominal_step_ticks; // by the VUI's timing, or of 30 frames/s
    struct ch_aac_config audio;  // of the AAC frames between the pictures; rate 0: there are none
    size_t avcc_bytes;
    uint8_t avcc[];
};

struct ch_params *ch_params_ref(struct ch_params *params);
void ch_params_unref(struct ch_params *params); // NULL is fine

// The parameter sets of the record, one after the other: SPSs, then PPSs. Zero-initialise `at`. False at the end.
struct ch_params_at {
    size_t offset;
    unsigned left, list;
};
bool ch_params_next_set(const struct ch_params *params, struct ch_params_at *at, const uint8_t **nal, size_t *size);
// True if a decoder that has the one need not be told of the other.
bool ch_params_same(const struct ch_params *a, const struct ch_params *b);
// True if the record holds exactly this parameter set.
bool ch_params_has_set(const struct ch_params *params, const uint8_t *nal, size_t size);

#endif
