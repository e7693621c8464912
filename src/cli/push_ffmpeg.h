// The ffmpeg command line that plays a phone's encoder: Baseline, no B-frames, one key frame per second,
// H.264 in FLV on stdout.
#ifndef CH_CLI_PUSH_FFMPEG_H
#define CH_CLI_PUSH_FFMPEG_H

#include "cli/push_options.h"

#include <stddef.h>

enum ch_push_kind {
    CH_PUSH_TEST,    // test picture
    CH_PUSH_VIDEO,   // file that is re-encoded
    CH_PUSH_DEVICE,  // V4L2
    CH_PUSH_THROUGH, // H.264 file, passed through without ffmpeg
};

// What a start_capture asks for.
struct ch_push_values {
    int fps; // 0: as the source has it
    int bitrate_mbps;
    int aspect_w, aspect_h; // 0, 0: none
};

// Ends with NULL; free with ch_push_ffmpeg_free. NULL without memory. Values beyond what an encoder does
// are cut, as a phone does.
char **ch_push_ffmpeg_command(const struct ch_push_options *options, enum ch_push_kind kind,
                              const struct ch_push_values *values);
void ch_push_ffmpeg_free(char **command);

// FFMPEG_BIN, or ffmpeg.
const char *ch_push_ffmpeg_name(void);
// True if it can be run.
bool ch_push_ffmpeg_found(void);

#endif
