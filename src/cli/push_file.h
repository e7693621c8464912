// A file that is passed through untouched: where the access units of H.264 are, and when each would have come from an
// encoder; or where the pictures of an MJPEG file are, or the JPEGs of a folder.
//
// The file is looked through once, before the first connection. Cameras then read units by number; one
// that is read by many cameras at about the same time is read and masked once.
#ifndef CH_CLI_PUSH_FILE_H
#define CH_CLI_PUSH_FILE_H

#include "cli/push_payload.h"

#include <stdbool.h>

// Access unit, or both fields of a frame; or a JPEG.
struct ch_push_unit {
    uint64_t offset;
    uint32_t bytes;
    uint32_t decoded; // index of its picture in decoding order; of the next one if it has none
    uint32_t shown;   // index of that picture in output order
    bool picture;
};

struct ch_push_file {
    int fd;       // of the folder, if it is one
    char **names; // of the folder's files, owned; NULL: all units are in one file
    bool jpegs;
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
// The same for a file of JPEGs one behind the other (what lies between them is left out), or for a folder, whose *.jpg
// and *.jpeg go in the order of their names. -EBADMSG: *culprit (at most 255 bytes, `room` of them) is no JPEG.
int ch_push_file_open_jpegs(struct ch_push_file *file, const char *path, char *culprit, size_t room);
// True if the name or the first bytes say that this is a file of JPEGs, or if it is a folder.
bool ch_push_file_is_jpegs(const char *path);
void ch_push_file_close(struct ch_push_file *file);

// Sealed payload of a unit, with a reference for the caller. 0 or a negative errno (-ENODATA: the file has become
// shorter; -EBADMSG: where a JPEG was, there is none now).
int ch_push_file_read(struct ch_push_file *file, size_t index, struct ch_push_payload **out);

#endif
