// What an operator types (wire protocol 1.4). Pure.
#ifndef CH_PROTO_COMMAND_H
#define CH_PROTO_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_COMMAND_DEFAULT_BITRATE 4
#define CH_COMMAND_DEFAULT_FPS 10

enum ch_command_kind {
    CH_COMMAND_EMPTY,
    CH_COMMAND_START,
    CH_COMMAND_STOP,
    CH_COMMAND_STATUS,
    CH_COMMAND_HELP,
    CH_COMMAND_QUIT,
    CH_COMMAND_UNKNOWN,
};

struct ch_command {
    enum ch_command_kind kind;
    int32_t bitrate_mbps;       // > 0
    int32_t fps;                // >= 0; 0: unlimited
    int32_t aspect_w, aspect_h; // 0, 0: none named
    // What was replaced by its default, one bit each, and the words that were bad.
    bool bad_aspect, bad_bitrate, bad_fps;
    char bad_word[3][32]; // aspect, bitrate, fps; cut, printable characters only
};

// Parses a line with the table's outcomes; with the one documented exception: where the first word
// behind `start` is a plain number (digits only), the words are BITRATE and FPS and no aspect ratio
// is named. Values are decimal integers up to 2^31-1, a sign allowed; above that counts as bad.
// Of any kind but START the values are the defaults.
void ch_command_parse(const char *line, size_t size, struct ch_command *out);

// The text of `help`, several lines.
extern const char ch_command_help[];

#endif
