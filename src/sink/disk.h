// The disk thread: does what may block on a file, in order, away from the loop. Jobs are handed over
// one way (submit), come back the other (done, on the loop), and are never shared in between.
#ifndef CH_SINK_DISK_H
#define CH_SINK_DISK_H

#include <uv.h>

struct ch_disk;

struct ch_disk_job {
    void (*run)(struct ch_disk_job *job);  // disk thread
    void (*done)(struct ch_disk_job *job); // loop thread; may free the job
    struct ch_disk_job *next;
};

// 0 or a negative errno. On the loop's thread, as all calls here.
int ch_disk_start(struct ch_disk **disk, uv_loop_t *loop);
// Jobs run in the order of their submission.
void ch_disk_submit(struct ch_disk *disk, struct ch_disk_job *job);
// Jobs not yet done.
unsigned ch_disk_pending(const struct ch_disk *disk);
// Ends the thread after its last job (their `done` is still called, before this returns) and frees *disk.
void ch_disk_stop(struct ch_disk **disk);

#endif
