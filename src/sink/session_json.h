// session.json: what stands in it, made and read in one place. Disk thread.
#ifndef CH_SINK_SESSION_JSON_H
#define CH_SINK_SESSION_JSON_H

#include "sink/report.h"

#define CH_SESSION_FORMAT 1
#define CH_SESSION_MAX_FILES 256
#define CH_SESSION_JSON_MAX (8u << 20)
#define CH_SESSION_RESERVE_BYTES (64 << 10) // kept free for the last session.json of a full disk

// What the camera sends, and so which files there are.
enum ch_session_kind { CH_SESSION_H264, CH_SESSION_JPEG };

enum ch_file_kind { CH_FILE_MP4, CH_FILE_H264, CH_FILE_MJPEG, CH_FILE_INDEX, CH_FILE_FILM };

// A file of the session, as listed.
struct ch_session_file {
    char name[32];
    enum ch_file_kind kind;
    uint64_t bytes, frames; // frames: pictures of an MP4, messages of stream.h264 or .mjpeg, records of an index
    uint32_t width, height; // MP4 and film
    char sha256[65];        // index; empty otherwise
    bool damaged;
};

struct ch_session_facts {
    enum ch_session_kind kind;
    const char *id, *end_reason; // end_reason NULL: still recording
    enum ch_verdict verdict;
    const char *reason;
    int64_t started_us;
    const struct ch_session_file *files;
    size_t file_count;
    const struct ch_report *report;    // NULL: none yet
    const struct ch_aac_config *audio; // of the first MP4 part with AAC frames; NULL: there is none
};

// The parts that only the beginning knows: id, camera, capabilities, started. Owned by the caller; NULL without memory.
json_t *ch_session_json_begin(const char *id, const char *name, const char *address, const char *device_model,
                              const char *capabilities, int64_t started_us);
// Fills in all the rest. 0 or -ENOMEM.
int ch_session_json_fill(json_t *session, const struct ch_session_facts *facts);
// One entry of `files`. NULL without memory.
json_t *ch_session_json_file(const struct ch_session_file *file);
// What `audio` says. NULL without memory; the caller owns it.
json_t *ch_session_json_audio(const struct ch_aac_config *audio, const struct ch_report *report);
// Of a session as read; H.264 if it does not say.
enum ch_session_kind ch_session_json_kind(const json_t *session);
bool ch_session_json_finished(const json_t *session);
// Writes session.json in place of the old one. 0 or a negative errno.
int ch_session_json_write(const json_t *session, int dir);
// Reads it. NULL if there is none or it is none of ours; the caller owns it.
json_t *ch_session_json_read(int dir);

// The verdict that the facts allow, and why, in words.
enum ch_verdict ch_session_judge(enum ch_session_kind kind, const struct ch_report *report, bool recovered,
                                 bool damaged, const char *damage, char reason[128]);

#endif
