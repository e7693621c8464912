// The ffmpeg command lines that play a phone's encoder (Baseline, no B-frames, one key frame per second, H.264 in FLV
// on stdout) and an ESP32's (JPEGs of 4:2:2 with the standard's Huffman tables, in mpjpeg on stdout).
#ifndef CH_CLI_PUSH_FFMPEG_H
#define CH_CLI_PUSH_FFMPEG_H

#include "cli/push_options.h"

#include <stddef.h>

enum ch_push_kind {
    CH_PUSH_TEST,    // test picture
    CH_PUSH_VIDEO,   // file that is re-encoded
    CH_PUSH_DEVICE,  // V4L2
    CH_PUSH_THROUGH, // H.264 file, or JPEGs, passed through without ffmpeg
};

// What a start_capture asks for, or what a JPEG camera's sensor is set to.
struct ch_push_values {
    struct ch_push_sensor sensor; // of a JPEG camera; the rest is of others
    int fps;                      // 0: as the source has it
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
