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

#endif
