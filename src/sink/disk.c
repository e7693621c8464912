#include "sink/disk.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct queue {
    struct ch_disk_job *first, **last;
};

struct ch_disk {
    pthread_t thread;
    uv_async_t done_wakeup;
    unsigned pending;          // loop thread
    // Under the lock:
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    struct queue todo, done;
    bool stopping;
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

static void *disk_main(void *context)
{
    struct ch_disk *disk = context;
    pthread_mutex_lock(&disk->lock);
    for (;;) {
        while (!disk->todo.first && !disk->stopping)
            pthread_cond_wait(&disk->work, &disk->lock);
        struct ch_disk_job *job = take_all(&disk->todo);
        if (!job)
            break;
        while (job) {
            struct ch_disk_job *next = job->next;
            pthread_mutex_unlock(&disk->lock);
            job->run(job);
            pthread_mutex_lock(&disk->lock);
            bool first = !disk->done.first;
            put(&disk->done, job);
            pthread_cond_signal(&disk->finished);
            if (first)
                uv_async_send(&disk->done_wakeup);
            job = next;
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return NULL;
}

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

int ch_disk_start(struct ch_disk **out, uv_loop_t *loop)
{
    struct ch_disk *disk = calloc(1, sizeof *disk);
    if (!disk)
        return -ENOMEM;
    pthread_mutex_init(&disk->lock, NULL);
    pthread_cond_init(&disk->work, NULL);
    pthread_cond_init(&disk->finished, NULL);
    take_all(&disk->todo);
    take_all(&disk->done);
    int rc = uv_async_init(loop, &disk->done_wakeup, on_done_wakeup);
    if (rc < 0)
        goto fail;
    disk->done_wakeup.data = disk;
    rc = -pthread_create(&disk->thread, NULL, disk_main, disk);
    if (rc < 0)
        goto fail_thread;
    *out = disk;
    return 0;

fail_thread:
    // The handle is the loop's until its closed callback; the process is about to end anyway.
    uv_close((uv_handle_t *)&disk->done_wakeup, NULL);
    return rc;
fail:
    free(disk);
    return rc;
}

void ch_disk_submit(struct ch_disk *disk, struct ch_disk_job *job)
{
    disk->pending++;
    pthread_mutex_lock(&disk->lock);
    bool idle = !disk->todo.first;
    put(&disk->todo, job);
    if (idle)
        pthread_cond_signal(&disk->work);
    pthread_mutex_unlock(&disk->lock);
}

unsigned ch_disk_pending(const struct ch_disk *disk)
{
    return disk->pending;
}

static void on_wakeup_closed(uv_handle_t *handle)
{
    struct ch_disk *disk = handle->data;
    pthread_cond_destroy(&disk->work);
    pthread_cond_destroy(&disk->finished);
    pthread_mutex_destroy(&disk->lock);
    free(disk);
}

void ch_disk_stop(struct ch_disk **taken)
{
    struct ch_disk *disk = *taken;
    *taken = NULL;
    if (!disk)
        return;
    while (disk->pending > 0) { // a job's `done` may submit more
        pthread_mutex_lock(&disk->lock);
        while (!disk->done.first)
            pthread_cond_wait(&disk->finished, &disk->lock);
        pthread_mutex_unlock(&disk->lock);
        call_done(disk);
    }
    pthread_mutex_lock(&disk->lock);
    disk->stopping = true;
    pthread_cond_signal(&disk->work);
    pthread_mutex_unlock(&disk->lock);
    pthread_join(disk->thread, NULL);
    uv_close((uv_handle_t *)&disk->done_wakeup, on_wakeup_closed);
}
