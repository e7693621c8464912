// A session's folder while it is recorded: stream.mp4 and its further parts, stream.h264, frames.idx,
// session.json; of a JPEG camera stream.mjpeg, frames.idx, session.json. Takes batches of frames, syncs them in time, ends the files. All of it on the disk
// thread, nothing of it shared.
//
// A file whose write or sync fails is damaged: it is closed as it is (whatever it held before is still
// there), named in the log once, and a successor takes over (stream_2.mp4 from the next key frame,
// stream_2.h264 or stream_2.mjpeg, frames_2.idx). Where no successor can be made, the session is over: `failed`.
#ifndef CH_SINK_WRITER_H
#define CH_SINK_WRITER_H

#include "sink/session_json.h"

#include <stdbool.h>

#define CH_SESSION_ID_BYTES 128

struct ch_writer;

struct ch_writer_options {
    struct ch_writer **group; // list of the writers of this thread, which sync together; NULL: alone
    int root;                 // recordings folder, borrowed
    const char *root_path;    // for log lines
    enum ch_session_kind kind;
    bool h264;                                                       // keep stream.h264; stream.mjpeg is always kept
    int64_t sync_us;                                                 // fdatasync at least this often while data comes
    const char *client;                                              // first half of the folder's name
    const char *camera_name, *address, *device_model, *capabilities; // for session.json; capabilities: JSON or NULL
    int64_t started_us;                                              // wall clock
};

// Makes the folder and its first files. 0 or a negative errno (nothing is left behind then).
int ch_writer_open(struct ch_writer **writer, const struct ch_writer_options *options);
const char *ch_writer_id(const struct ch_writer *writer);
// Writes a batch (frames of the session's kind, borrowed) and syncs if it is time (now_us monotonic). 0, or a negative errno: the session has
// failed and takes no more frames; end it.
int ch_writer_write(struct ch_writer *writer, struct ch_frame *const *frames, size_t count, int64_t now_us);

struct ch_session_summary {
    enum ch_session_kind kind;
    char id[CH_SESSION_ID_BYTES];
    enum ch_verdict verdict;
    char reason[128];
    uint64_t frames, missing, bytes;
    int64_t duration_ticks;
    bool has_video; // at least one picture in stream.mp4 or a further part; never of JPEG cameras, whose film is
                    // made afterwards
    char first_part[32];
};
// Ends all files, writes session.json (and of a JPEG camera thumbnail.jpg), frees *writer. end_reason as in session.json.
void ch_writer_end(struct ch_writer **writer, const char *end_reason, struct ch_session_summary *summary);

#endif
