// An H.264 file that is passed through untouched: where its access units are, and when each would have
// come from an encoder.
//
// The file is looked through once, before the first connection. Cameras then read units by number; one
// that is read by many cameras at about the same time is read and masked once.
#ifndef CH_CLI_PUSH_FILE_H
#define CH_CLI_PUSH_FILE_H

#include "cli/push_payload.h"

#include <stdbool.h>

// Access unit, or both fields of a frame.
struct ch_push_unit {
    uint64_t offset;
    uint32_t bytes;
    uint32_t decoded; // index of its picture in decoding order; of the next one if it has none
    uint32_t shown;   // index of that picture in output order
    bool picture;
};

struct ch_push_file {
    int fd;
    struct ch_push_unit *units;
    size_t count, room;
    uint32_t pictures;
    uint32_t lead;               // most places that a picture is decoded ahead of being shown
    uint32_t width, height;      // of the first picture
    uint32_t rate_num, rate_den; // pictures per second by the first SPS; 0, 0 if not given
    struct ch_push_payload *newest;
    size_t newest_index;
};

// True if the name or the first bytes say that this is an Annex B stream. False also if it cannot be read.
bool ch_push_file_is_h264(const char *path);

// 0, -ENODATA (no picture in it), -EFBIG (access unit over 256 MiB), or another negative errno. Close only
// after success.
int ch_push_file_open(struct ch_push_file *file, const char *path);
void ch_push_file_close(struct ch_push_file *file);

// Sealed payload of a unit, with a reference for the caller. 0 or a negative errno (-ENODATA: the file
// has become shorter).
int ch_push_file_read(struct ch_push_file *file, size_t index, struct ch_push_payload **out);

#endif
