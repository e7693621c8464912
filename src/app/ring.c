#include "app/ring.h"

#include "base/clock.h"
#include "base/log.h"
#include "sink/pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WAITING 8
#define STRETCH_US INT64_C(60000000) // pictures left out closer together than this are one trouble

struct waiting {
    struct ch_frame *frame; // a reference
    uint32_t number;
};

struct ch_ring {
    struct ch_disk_job job; // first: found by it
    struct ch_hub *hub;
    struct ch_ring *next, **self; // in hub->rings
    char name[65];                // empty: of cameras without one
    unsigned users, lane;
    struct waiting waiting[MAX_WAITING];
    size_t waiting_count;
    int64_t left_out_us; // when a picture was left out last, monotonic; 0: never
    bool busy;           // a job is under way
    // The job's alone while it is under way
    struct ch_pictures *pictures;
    struct waiting batch[MAX_WAITING];
    size_t batch_count;
};

static void run_batch(struct ch_disk_job *job)
{
    struct ch_ring *ring = (struct ch_ring *)job;
    for (size_t i = 0; i < ring->batch_count; i++) {
        const struct ch_frame *frame = ring->batch[i].frame;
        ch_pictures_add(ring->pictures, frame->sample, frame->sample_bytes, frame->arrival_wall_us,
                        ring->batch[i].number);
        ch_frame_unref(ring->batch[i].frame);
    }
}

static void free_ring(struct ch_ring *ring)
{
    *ring->self = ring->next;
    if (ring->next)
        ring->next->self = ring->self;
    for (size_t i = 0; i < ring->waiting_count; i++)
        ch_frame_unref(ring->waiting[i].frame);
    ch_disk_leave_lane(ring->hub->disk, ring->lane);
    ch_pictures_close(ring->pictures);
    free(ring);
}

static void submit(struct ch_ring *ring);

static void batch_done(struct ch_disk_job *job)
{
    struct ch_ring *ring = (struct ch_ring *)job;
    ring->busy = false;
    if (ring->waiting_count > 0) // also when nobody uses it any more: the newest are among them
        submit(ring);
    else if (ring->users == 0)
        free_ring(ring);
}

static void submit(struct ch_ring *ring)
{
    memcpy(ring->batch, ring->waiting, sizeof ring->batch);
    ring->batch_count = ring->waiting_count;
    ring->waiting_count = 0;
    ring->busy = true;
    ch_disk_submit(ring->hub->disk, ring->lane, &ring->job);
}

static struct ch_ring *make_ring(struct ch_hub *hub, const char *name)
{
    struct ch_ring *ring = calloc(1, sizeof *ring);
    if (!ring)
        return NULL;
    ring->pictures = ch_pictures_open(hub->root, hub->options.recordings, name[0] ? name : NULL);
    if (!ring->pictures) {
        free(ring);
        return NULL;
    }
    ring->job = (struct ch_disk_job){.run = run_batch, .done = batch_done};
    ring->hub = hub;
    ring->lane = ch_disk_enter_lane(hub->disk);
    snprintf(ring->name, sizeof ring->name, "%s", name);
    ring->next = hub->rings;
    ring->self = &hub->rings;
    if (ring->next)
        ring->next->self = &ring->next;
    hub->rings = ring;
    return ring;
}

struct ch_ring *ch_ring_join(struct ch_hub *hub, const char *name)
{
    const char *wanted = name ? name : "";
    struct ch_ring *ring = hub->rings;
    while (ring && strcmp(ring->name, wanted) != 0)
        ring = ring->next;
    if (!ring)
        ring = make_ring(hub, wanted);
    if (ring)
        ring->users++;
    return ring;
}

void ch_ring_leave(struct ch_ring *ring)
{
    if (--ring->users == 0 && !ring->busy)
        free_ring(ring);
}

static void leave_oldest_out(struct ch_ring *ring)
{
    int64_t now_us = ch_clock_mono_us();
    if (ring->left_out_us == 0 || now_us - ring->left_out_us > STRETCH_US)
        ch_log_warning("%s/" CH_PICTURES_FOLDER "%s%s: pictures come faster than the disk takes them; not every one is "
                       "kept there (recordings are not concerned)",
                       ring->hub->options.recordings, ring->name[0] ? "/" : "", ring->name);
    ring->left_out_us = now_us;
    ch_frame_unref(ring->waiting[0].frame);
    memmove(ring->waiting, ring->waiting + 1, (MAX_WAITING - 1) * sizeof ring->waiting[0]);
    ring->waiting_count--;
}

void ch_ring_add(struct ch_ring *ring, struct ch_frame *frame, uint32_t number)
{
    if (ring->waiting_count == MAX_WAITING)
        leave_oldest_out(ring);
    ring->waiting[ring->waiting_count++] = (struct waiting){.frame = ch_frame_ref(frame), .number = number};
    if (!ring->busy)
        submit(ring);
}
