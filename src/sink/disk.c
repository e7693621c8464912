#include "sink/disk.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct queue {
    struct ch_disk_job *first, **last;
};

struct lane {
    struct ch_disk *disk;
    pthread_t thread;
    unsigned users;            // loop thread
    struct ch_writer *writers; // the lane's thread
    // Under the lock:
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct queue todo;
    bool stopping;
};

struct ch_disk {
    uv_async_t done_wakeup;
    unsigned pending; // loop thread
    unsigned started; // lanes that have a thread
    struct lane lanes[CH_DISK_LANES];
    // Under the lock:
    pthread_mutex_t lock;
    pthread_cond_t finished;
    struct queue done;
};

static void put(struct queue *queue, struct ch_disk_job *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
}

static struct ch_disk_job *take_all(struct queue *queue)
{
    struct ch_disk_job *first = queue->first;
    queue->first = NULL;
    queue->last = &queue->first;
    return first;
}

// --- disk threads ---

static void give_back(struct ch_disk *disk, struct ch_disk_job *job)
{
    pthread_mutex_lock(&disk->lock);
    bool first = !disk->done.first;
    put(&disk->done, job);
    pthread_cond_signal(&disk->finished);
    if (first) // under the lock: behind it, the loop may already be tearing down
        uv_async_send(&disk->done_wakeup);
    pthread_mutex_unlock(&disk->lock);
}

// What is to be done next, or NULL at the end.
static struct ch_disk_job *wait_for_work(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    while (!lane->todo.first && !lane->stopping)
        pthread_cond_wait(&lane->work, &lane->lock);
    struct ch_disk_job *job = take_all(&lane->todo);
    pthread_mutex_unlock(&lane->lock);
    return job;
}

static void *lane_main(void *context)
{
    struct lane *lane = context;
    for (struct ch_disk_job *job; (job = wait_for_work(lane));)
        while (job) {
            struct ch_disk_job *next = job->next;
            job->run(job);
            give_back(lane->disk, job);
            job = next;
        }
    return NULL;
}

// --- loop ---

static void call_done(struct ch_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    struct ch_disk_job *job = take_all(&disk->done);
    pthread_mutex_unlock(&disk->lock);
    while (job) {
        struct ch_disk_job *next = job->next;
        disk->pending--;
        job->done(job);
        job = next;
    }
}

static void on_done_wakeup(uv_async_t *async)
{
    call_done(async->data);
}

static int start_lane(struct ch_disk *disk, struct lane *lane)
{
    lane->disk = disk;
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->work, NULL);
    take_all(&lane->todo);
    return -pthread_create(&lane->thread, NULL, lane_main, lane);
}

static void stop_lane(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->stopping = true;
    pthread_cond_signal(&lane->work);
    pthread_mutex_unlock(&lane->lock);
    pthread_join(lane->thread, NULL);
    pthread_cond_destroy(&lane->work);
    pthread_mutex_destroy(&lane->lock);
}

int ch_disk_start(struct ch_disk **out, uv_loop_t *loop, unsigned lanes)
{
    struct ch_disk *disk = calloc(1, sizeof *disk);
    if (!disk)
        return -ENOMEM;
    int rc = uv_async_init(loop, &disk->done_wakeup, on_done_wakeup);
    if (rc < 0) {
        free(disk);
        return rc;
    }
    disk->done_wakeup.data = disk;
    pthread_mutex_init(&disk->lock, NULL);
    pthread_cond_init(&disk->finished, NULL);
    take_all(&disk->done);
    for (; rc == 0 && disk->started < lanes; disk->started += rc == 0)
        rc = start_lane(disk, &disk->lanes[disk->started]);
    if (rc < 0)
        ch_disk_stop(&disk);
    *out = disk;
    return rc;
}

unsigned ch_disk_enter_lane(struct ch_disk *disk)
{
    unsigned best = 0;
    for (unsigned i = 1; i < disk->started; i++)
        if (disk->lanes[i].users < disk->lanes[best].users)
            best = i;
    disk->lanes[best].users++;
    return best;
}

void ch_disk_leave_lane(struct ch_disk *disk, unsigned lane)
{
    disk->lanes[lane].users--;
}

struct ch_writer **ch_disk_lane_writers(struct ch_disk *disk, unsigned lane)
{
    return &disk->lanes[lane].writers;
}

void ch_disk_submit(struct ch_disk *disk, unsigned number, struct ch_disk_job *job)
{
    struct lane *lane = &disk->lanes[number];
    disk->pending++;
    pthread_mutex_lock(&lane->lock);
    bool idle = !lane->todo.first;
    put(&lane->todo, job);
    if (idle)
        pthread_cond_signal(&lane->work);
    pthread_mutex_unlock(&lane->lock);
}

unsigned ch_disk_pending(const struct ch_disk *disk)
{
    return disk->pending;
}

static void on_wakeup_closed(uv_handle_t *handle)
{
    struct ch_disk *disk = handle->data;
    pthread_cond_destroy(&disk->finished);
    pthread_mutex_destroy(&disk->lock);
    free(disk);
}

void ch_disk_stop(struct ch_disk **taken)
{
    struct ch_disk *disk = *taken;
    if (!disk)
        return;
    while (disk->pending > 0) { // a job's `done` may submit more, so *taken is good up to the last of them
        pthread_mutex_lock(&disk->lock);
        while (!disk->done.first)
            pthread_cond_wait(&disk->finished, &disk->lock);
        pthread_mutex_unlock(&disk->lock);
        call_done(disk);
    }
    while (disk->started > 0)
        stop_lane(&disk->lanes[--disk->started]);
    *taken = NULL;
    uv_close((uv_handle_t *)&disk->done_wakeup, on_wakeup_closed);
}
