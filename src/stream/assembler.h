// Turns a camera's messages into frames that can be recorded and shown: finds the NAL units, follows
// the parameter sets, tells key frames, makes the sample.
//
// Parameter sets are taken out of the samples (they are in the init segment) as long as they are
// those of the init segment. A changed SPS makes a new configuration, and so a new MP4 part, at the
// next IDR picture. A changed PPS stays in the samples (docs/decisions/parameter-sets.md).
#ifndef CH_STREAM_ASSEMBLER_H
#define CH_STREAM_ASSEMBLER_H

#include "stream/frame.h"

struct ch_assembler;

struct ch_assembler *ch_assembler_new(void); // NULL without memory
void ch_assembler_free(struct ch_assembler *assembler);

// Takes a frame whose message is complete and whose header fields are set: fills flags, pieces, hash,
// sample, params, poc. 0 or -ENOMEM (the frame is then good for nothing but unref).
int ch_assembler_take(struct ch_assembler *assembler, struct ch_frame *frame);

// The audio between the pictures, from the next key frame on; NULL: none. If it differs from what the newest params
// say, that key frame begins new ones.
void ch_assembler_set_audio(struct ch_assembler *assembler, const struct ch_aac_config *audio);
// Takes an AAC frame, the first `size` bytes of its message: fills flags, hash, sample, params. 0; -EINVAL if it is
// empty or too large; -EAGAIN if the newest params are not of the present audio (nothing is changed then).
int ch_assembler_take_audio(struct ch_assembler *assembler, struct ch_frame *frame, size_t size);

#endif
