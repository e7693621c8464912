// The recorder: a lossless cursor. On the loop it collects what a stream appended and hands it to the
// disk thread in batches, on a tick or when much is waiting; the disk thread has a session writer. One
// batch is under way at a time: the slower the disk, the larger the next.
//
// Where the disk falls behind, frames wait in the stream's log, and `backlog` tells the owner to stop
// reading from that camera until it has caught up: nothing is dropped.
//
//   ch_recorder_start -> opened or failed -> ... -> ch_recorder_end -> ended (the last call; memory is gone after)
//
// A session whose disk fails ends by itself: `failed`, and then ch_recorder_end is still the owner's to call.
// One thread: the loop's.
#ifndef CH_SINK_RECORDER_H
#define CH_SINK_RECORDER_H

#include "sink/disk.h"
#include "sink/writer.h"
#include "stream/stream.h"

struct ch_recorder;

struct ch_recorder_ops {
    void (*opened)(void *owner, const char *id);
    void (*failed)(void *owner, int error); // also if it could not be opened
    void (*backlog)(void *owner, bool over);
    void (*ended)(void *owner, const struct ch_session_summary *summary); // summary->id is empty if it never opened
};

// Starts a session on the stream (borrowed until end) at `start`. The options' texts are copied.
// NULL without memory.
struct ch_recorder *ch_recorder_start(struct ch_disk *disk, const struct ch_writer_options *options,
                                      struct ch_stream *stream, uint64_t start, const struct ch_recorder_ops *ops,
                                      void *owner);
// Every CH_FLUSH_US: hands over what waits.
void ch_recorder_tick(struct ch_recorder *recorder);
// Ends the session with what the stream holds now. *recorder becomes NULL; `ended` follows and is the last call.
void ch_recorder_end(struct ch_recorder **recorder, const char *end_reason);

// Bytes received and not yet on disk.
size_t ch_recorder_backlog(const struct ch_recorder *recorder);
// Empty until opened.
const char *ch_recorder_id(const struct ch_recorder *recorder);
int64_t ch_recorder_started_us(const struct ch_recorder *recorder);

#endif
