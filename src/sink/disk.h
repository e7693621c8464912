// The disk threads: do what may block on a file, away from the loop. Jobs are handed over one way (submit),
// come back the other (done, on the loop), and are never shared in between.
//
// There are one or more lanes, each with a thread of its own. Jobs of one lane run in order; a session keeps
// to its lane. Sessions have several, because a sync waits for the file system's journal, and waiting together
// costs hardly more than waiting alone (docs/decisions/sync.md). The catalogue has a single one to itself.
#ifndef CH_SINK_DISK_H
#define CH_SINK_DISK_H

#include <uv.h>

#define CH_DISK_LANES 4 // of the recordings, and the most there can be

struct ch_disk;
struct ch_writer;

struct ch_disk_job {
    void (*run)(struct ch_disk_job *job);  // disk thread
    void (*done)(struct ch_disk_job *job); // loop thread; may free the job
    struct ch_disk_job *next;
};

// With 1 to CH_DISK_LANES lanes. 0 or a negative errno. On the loop's thread, as all calls here.
int ch_disk_start(struct ch_disk **disk, uv_loop_t *loop, unsigned lanes);
// The lane with the fewest users; it is used until left.
unsigned ch_disk_enter_lane(struct ch_disk *disk);
void ch_disk_leave_lane(struct ch_disk *disk, unsigned lane);
// Where a lane's jobs keep the list of the writers they have open. Only the lane's thread may touch it.
struct ch_writer **ch_disk_lane_writers(struct ch_disk *disk, unsigned lane);
// Jobs of one lane run in the order of their submission.
void ch_disk_submit(struct ch_disk *disk, unsigned lane, struct ch_disk_job *job);
// Jobs not yet done.
unsigned ch_disk_pending(const struct ch_disk *disk);
// Ends the threads after their last jobs (whose `done` is still called, before this returns) and frees *disk.
void ch_disk_stop(struct ch_disk **disk);

#endif
