// session.json: what stands in it, made and read in one place. Disk thread.
#ifndef CH_SINK_SESSION_JSON_H
#define CH_SINK_SESSION_JSON_H

#include "sink/report.h"

#define CH_SESSION_FORMAT 1
#define CH_SESSION_MAX_FILES 256
#define CH_SESSION_JSON_MAX (8u << 20)
#define CH_SESSION_RESERVE_BYTES (64 << 10) // kept free for the last session.json of a full disk

enum ch_file_kind { CH_FILE_MP4, CH_FILE_H264, CH_FILE_INDEX };

// A file of the session, as listed.
struct ch_session_file {
    char name[32];
    enum ch_file_kind kind;
    uint64_t bytes, frames; // frames: pictures of an MP4, messages of a stream.h264, records of an index
    uint32_t width, height; // MP4
    char sha256[65];        // index; empty otherwise
    bool damaged;
};

struct ch_session_facts {
    const char *id, *end_reason; // end_reason NULL: still recording
    enum ch_verdict verdict;
    const char *reason;
    int64_t started_us;
    const struct ch_session_file *files;
    size_t file_count;
    const struct ch_report *report; // NULL: none yet
};

// The parts that only the beginning knows: id, camera, capabilities, started. Owned by the caller; NULL without memory.
json_t *ch_session_json_begin(const char *id, const char *name, const char *address, const char *device_model,
                              const char *capabilities, int64_t started_us);
// Fills in all the rest. 0 or -ENOMEM.
int ch_session_json_fill(json_t *session, const struct ch_session_facts *facts);
// Writes session.json in place of the old one. 0 or a negative errno.
int ch_session_json_write(const json_t *session, int dir);
// Reads it. NULL if there is none or it is none of ours; the caller owns it.
json_t *ch_session_json_read(int dir);

// The verdict that the facts allow, and why, in words.
enum ch_verdict ch_session_judge(const struct ch_report *report, bool recovered, bool damaged, const char *damage,
                                 char reason[128]);

#endif
