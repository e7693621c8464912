#include "app/log_tail.h"

#include "base/clock.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ring {
    struct ch_log_line *lines[CH_LOG_TAIL_LINES]; // owned
    size_t first, count;
};

struct ch_log_tail {
    uv_async_t wakeup;
    void (*wake)(void *context);
    void *context;
    struct ring kept;     // the loop's
    pthread_mutex_t lock; // taken with the log's own lock held: nothing under it may log
    struct ring fresh;    // under the lock, like all below
    uint64_t left_out;
    bool listening;
};

static void free_lines(struct ring *ring)
{
    for (size_t i = 0; i < ring->count; i++)
        free(ring->lines[(ring->first + i) % CH_LOG_TAIL_LINES]);
    *ring = (struct ring){0};
}

// Takes the line. True if the oldest went for it.
static bool push(struct ring *ring, struct ch_log_line *line)
{
    bool full = ring->count == CH_LOG_TAIL_LINES;
    size_t at = (ring->first + ring->count) % CH_LOG_TAIL_LINES;
    if (full) {
        free(ring->lines[ring->first]);
        ring->first = (ring->first + 1) % CH_LOG_TAIL_LINES;
    } else {
        ring->count++;
    }
    ring->lines[at] = line;
    return full;
}

static struct ch_log_line *make_line(enum ch_log_level level, const char *tag, int64_t wall_us, const char *text,
                                     size_t size)
{
    struct ch_log_line *line = malloc(sizeof *line + size + 1);
    if (!line)
        return NULL;
    *line = (struct ch_log_line){.level = level, .wall_us = wall_us, .size = size};
    snprintf(line->tag, sizeof line->tag, "%s", tag);
    memcpy(line->text, text, size);
    line->text[size] = '\0';
    return line;
}

// Any thread, under the log's lock.
static void on_logged(void *context, enum ch_log_level level, const char *tag, int64_t wall_us, const char *text,
                      size_t size)
{
    struct ch_log_tail *tail = context;
    struct ch_log_line *line = make_line(level, tag, wall_us, text, size);
    pthread_mutex_lock(&tail->lock);
    bool lost = line ? push(&tail->fresh, line) : true;
    // What nobody was to be told is no loss: the last lines are all that is kept of it.
    tail->left_out += lost && tail->listening;
    if (tail->listening && tail->fresh.count <= 1)
        uv_async_send(&tail->wakeup);
    pthread_mutex_unlock(&tail->lock);
}

static void on_wakeup(uv_async_t *async)
{
    struct ch_log_tail *tail = async->data;
    if (tail->wake)
        tail->wake(tail->context);
}

struct ch_log_tail *ch_log_tail_start(uv_loop_t *loop, void (*wake)(void *context), void *context)
{
    struct ch_log_tail *tail = calloc(1, sizeof *tail);
    if (!tail || uv_async_init(loop, &tail->wakeup, on_wakeup) < 0) {
        free(tail);
        return NULL;
    }
    tail->wakeup.data = tail;
    tail->wake = wake;
    tail->context = context;
    pthread_mutex_init(&tail->lock, NULL);
    ch_log_set_tap(on_logged, tail);
    return tail;
}

static void on_closed(uv_handle_t *handle)
{
    struct ch_log_tail *tail = handle->data;
    free_lines(&tail->kept);
    free_lines(&tail->fresh);
    pthread_mutex_destroy(&tail->lock);
    free(tail);
}

void ch_log_tail_stop(struct ch_log_tail *tail)
{
    ch_log_set_tap(NULL, NULL);
    tail->wake = NULL;
    uv_close((uv_handle_t *)&tail->wakeup, on_closed);
}

void ch_log_tail_listen(struct ch_log_tail *tail, bool on)
{
    pthread_mutex_lock(&tail->lock);
    tail->listening = on;
    pthread_mutex_unlock(&tail->lock);
}

static struct ch_log_line *left_out_line(uint64_t left_out, int64_t wall_us)
{
    char text[100];
    int size = snprintf(text, sizeof text, "%llu lines came too fast to be shown here; the log has them",
                        (unsigned long long)left_out);
    return make_line(CH_LOG_WARNING, CH_TAG_WARNING, wall_us, text, (size_t)size);
}

void ch_log_tail_take(struct ch_log_tail *tail, void (*line)(void *context, const struct ch_log_line *line),
                      void *context)
{
    pthread_mutex_lock(&tail->lock);
    struct ring fresh = tail->fresh;
    uint64_t left_out = tail->left_out;
    tail->fresh.first = tail->fresh.count = 0;
    tail->left_out = 0;
    pthread_mutex_unlock(&tail->lock);
    int64_t since_us = fresh.count > 0 ? fresh.lines[fresh.first]->wall_us : ch_clock_wall_us();
    struct ch_log_line *notice = left_out > 0 ? left_out_line(left_out, since_us) : NULL;
    if (notice) {
        push(&tail->kept, notice);
        if (line)
            line(context, notice);
    }
    for (size_t i = 0; i < fresh.count; i++) {
        struct ch_log_line *one = fresh.lines[(fresh.first + i) % CH_LOG_TAIL_LINES];
        push(&tail->kept, one);
        if (line)
            line(context, one);
    }
}

size_t ch_log_tail_count(const struct ch_log_tail *tail)
{
    return tail->kept.count;
}

const struct ch_log_line *ch_log_tail_line(const struct ch_log_tail *tail, size_t number)
{
    assert(number < tail->kept.count);
    return tail->kept.lines[(tail->kept.first + number) % CH_LOG_TAIL_LINES];
}
