#include "sink/recorder.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 256

struct ch_recorder {
    // Loop thread
    struct ch_disk *disk;
    unsigned lane; // of the disk threads
    const struct ch_recorder_ops *ops;
    void *owner;
    struct ch_cursor cursor;
    size_t waiting_bytes;   // behind the cursor, not handed over
    uint64_t counted;       // frames before this number are in waiting_bytes
    bool unsynced;          // something was handed over since the last sync
    int64_t submitted_us;   // when, monotonic
    size_t submitted_bytes; // with the disk thread
    bool in_flight;         // a batch is with the disk thread: what comes meanwhile makes the next one
    bool over;              // the owner was told to wait
    bool behind;            // the hard limit was passed
    unsigned soft_ticks;    // that it has waited because of the soft limit
    bool failed, ending;
    char id[CH_SESSION_ID_BYTES];
    struct ch_writer_options options; // its texts live in the fields below
    char client[TEXT_BYTES], camera_name[TEXT_BYTES], address[TEXT_BYTES], device_model[TEXT_BYTES];
    char *capabilities, *root_path;
    struct ch_frame *sets[CH_STREAM_SETS]; // parameter sets from before the start
    size_t sets_count;
    // Disk thread, between the first and the last job
    struct ch_writer *writer;
};

// One job does everything: open first, write frames, end last. It owns its frames.
struct batch {
    struct ch_disk_job job;
    struct ch_recorder *recorder;
    bool open;
    const char *end_reason; // not NULL: end the session behind these frames
    int rc;
    char id[CH_SESSION_ID_BYTES];
    struct ch_session_summary summary;
    size_t bytes, count, capacity;
    struct ch_frame **frames;
};

static void run_batch(struct ch_disk_job *job)
{
    struct batch *batch = (struct batch *)job;
    struct ch_recorder *recorder = batch->recorder;
    if (batch->open) {
        batch->rc = ch_writer_open(&recorder->writer, &recorder->options);
        if (batch->rc == 0)
            memcpy(batch->id, ch_writer_id(recorder->writer), sizeof batch->id);
    }
    if (recorder->writer && batch->rc == 0)
        batch->rc = ch_writer_write(recorder->writer, batch->frames, batch->count, ch_clock_mono_us());
    for (size_t i = 0; i < batch->count; i++)
        ch_frame_unref(batch->frames[i]);
    batch->count = 0;
    if (recorder->writer && batch->end_reason)
        ch_writer_end(&recorder->writer, batch->end_reason, &batch->summary);
}

// Above the soft limit the camera waits for the disk, but only for a tick: a disk that takes longer than that
// is what the memory up to the hard limit is for.
static void tell_backlog(struct ch_recorder *recorder)
{
    size_t bytes = ch_recorder_backlog(recorder);
    if (bytes <= CH_BACKLOG_SOFT_BYTES / 2)
        recorder->soft_ticks = 0;
    bool soft =
        bytes > (recorder->over ? CH_BACKLOG_SOFT_BYTES / 2 : CH_BACKLOG_SOFT_BYTES) && recorder->soft_ticks < 2;
    bool hard = bytes > (recorder->over ? CH_LIMIT_BACKLOG_BYTES / 2 : CH_LIMIT_BACKLOG_BYTES);
    bool over = soft || hard;
    if (hard && !recorder->behind && !recorder->ending)
        ch_log_warning("%s: the disk is behind by %zu MiB; the camera is made to wait", recorder->camera_name,
                       bytes >> 20);
    if (recorder->behind && !hard && !recorder->ending)
        ch_log_info("%s: the disk has caught up", recorder->camera_name);
    recorder->behind = hard;
    if (over == recorder->over)
        return;
    recorder->over = over;
    if (!recorder->ending)
        recorder->ops->backlog(recorder->owner, over);
}

static void free_recorder(struct ch_recorder *recorder)
{
    ch_disk_leave_lane(recorder->disk, recorder->lane);
    for (size_t i = 0; i < recorder->sets_count; i++)
        ch_frame_unref(recorder->sets[i]);
    free(recorder->capabilities);
    free(recorder->root_path);
    free(recorder);
}

static void hand_over(struct ch_recorder *recorder);

static void batch_done(struct ch_disk_job *job)
{
    struct batch *batch = (struct batch *)job;
    struct ch_recorder *recorder = batch->recorder;
    recorder->submitted_bytes -= batch->bytes;
    recorder->in_flight = false;
    if (batch->open && batch->id[0]) {
        memcpy(recorder->id, batch->id, sizeof recorder->id);
        recorder->ops->opened(recorder->owner, recorder->id);
    }
    if (batch->rc < 0 && !recorder->failed) {
        recorder->failed = true;
        ch_cursor_detach(&recorder->cursor); // it must not hold the log for a session that is over
        recorder->waiting_bytes = 0;
        if (!recorder->ending)
            recorder->ops->failed(recorder->owner, batch->rc);
    }
    if (recorder->waiting_bytes >= CH_BATCH_BYTES && !recorder->ending)
        hand_over(recorder);
    tell_backlog(recorder);
    if (batch->end_reason) {
        recorder->ops->ended(recorder->owner, &batch->summary);
        free_recorder(recorder);
    }
    free(batch->frames);
    free(batch);
}

static bool add_frame(struct batch *batch, struct ch_frame *frame)
{
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity ? batch->capacity * 2 : 16;
        struct ch_frame **frames = realloc(batch->frames, capacity * sizeof(*frames));
        if (!frames)
            return false;
        batch->frames = frames;
        batch->capacity = capacity;
    }
    batch->frames[batch->count++] = frame;
    batch->bytes += frame->payload_bytes;
    return true;
}

static struct batch *new_batch(struct ch_recorder *recorder)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        abort(); // a recorder that cannot even ask for its end has nothing left to save
    batch->job.run = run_batch;
    batch->job.done = batch_done;
    batch->recorder = recorder;
    return batch;
}

// The sets from before the start go first, unless the session begins with sets of its own.
static void take_sets(struct batch *batch)
{
    struct ch_recorder *recorder = batch->recorder;
    const struct ch_frame *first = ch_cursor_peek(&recorder->cursor);
    if (!first)
        return;
    bool needless = (first->flags & CH_FRAME_PARAMETERS) || ch_frame_has_sps(first);
    for (size_t i = 0; i < recorder->sets_count; i++)
        if (needless || !add_frame(batch, recorder->sets[i]))
            ch_frame_unref(recorder->sets[i]);
    recorder->sets_count = 0;
}

// Takes what lies before the head. Frames that find no room stay in the log for the next batch.
static void fill(struct batch *batch)
{
    struct ch_recorder *recorder = batch->recorder;
    take_sets(batch);
    for (struct ch_frame *frame; (frame = ch_cursor_next(&recorder->cursor));)
        if (!add_frame(batch, frame)) {
            recorder->cursor.next--;
            ch_frame_unref(frame);
            break;
        }
    recorder->waiting_bytes = 0;
}

static void submit(struct batch *batch)
{
    batch->recorder->in_flight = true;
    batch->recorder->submitted_bytes += batch->bytes;
    batch->recorder->submitted_us = ch_clock_mono_us();
    batch->recorder->unsynced = batch->count > 0;
    ch_disk_submit(batch->recorder->disk, batch->recorder->lane, &batch->job);
}

static void hand_over(struct ch_recorder *recorder)
{
    if (recorder->in_flight)
        return;
    struct batch *batch = new_batch(recorder);
    fill(batch);
    submit(batch);
}

static void on_wake(struct ch_cursor *cursor)
{
    struct ch_recorder *recorder = cursor->context;
    struct ch_cursor look = *cursor; // a copy, to add up what is new without moving
    if (look.next < recorder->counted)
        look.next = recorder->counted;
    for (const struct ch_frame *frame; (frame = ch_cursor_peek(&look)); look.next++)
        recorder->waiting_bytes += frame->payload_bytes;
    recorder->counted = look.next;
    if (recorder->waiting_bytes >= CH_BATCH_BYTES)
        hand_over(recorder);
    tell_backlog(recorder);
}

static void copy_text(char out[TEXT_BYTES], const char **text)
{
    if (!*text)
        return;
    strncpy(out, *text, TEXT_BYTES - 1);
    *text = out;
}

struct ch_recorder *ch_recorder_start(struct ch_disk *disk, const struct ch_writer_options *options,
                                      struct ch_stream *stream, uint64_t start, const struct ch_recorder_ops *ops,
                                      void *owner)
{
    struct ch_recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder)
        return NULL;
    recorder->disk = disk;
    recorder->lane = ch_disk_enter_lane(disk);
    recorder->ops = ops;
    recorder->owner = owner;
    recorder->options = *options;
    recorder->options.group = ch_disk_lane_writers(disk, recorder->lane);
    copy_text(recorder->client, &recorder->options.client);
    copy_text(recorder->camera_name, &recorder->options.camera_name);
    copy_text(recorder->address, &recorder->options.address);
    copy_text(recorder->device_model, &recorder->options.device_model);
    if (options->capabilities)
        recorder->options.capabilities = recorder->capabilities = strdup(options->capabilities);
    recorder->options.root_path = recorder->root_path = strdup(options->root_path);
    recorder->cursor.wake = on_wake;
    recorder->cursor.context = recorder;
    recorder->cursor.lossless = true;
    recorder->sets_count = ch_stream_parameter_sets(stream, start, recorder->sets);
    ch_cursor_attach(&recorder->cursor, stream, start);
    struct batch *batch = new_batch(recorder);
    batch->open = true;
    submit(batch);
    return recorder;
}

void ch_recorder_tick(struct ch_recorder *recorder)
{
    if (recorder->failed)
        return;
    if (recorder->over) {
        recorder->soft_ticks++;
        tell_backlog(recorder);
    }
    // A batch without frames still syncs what came before it, when a camera has fallen silent.
    int64_t since = ch_clock_mono_us() - recorder->submitted_us;
    bool sync_due = recorder->unsynced && since >= recorder->options.sync_us - CH_FLUSH_US / 2;
    if (ch_cursor_peek(&recorder->cursor) || sync_due)
        hand_over(recorder);
}

void ch_recorder_end(struct ch_recorder **taken, const char *end_reason)
{
    struct ch_recorder *recorder = *taken;
    *taken = NULL;
    struct batch *batch = new_batch(recorder);
    fill(batch);
    recorder->ending = true;
    ch_cursor_detach(&recorder->cursor);
    batch->end_reason = end_reason;
    submit(batch);
}

size_t ch_recorder_backlog(const struct ch_recorder *recorder)
{
    return recorder->waiting_bytes + recorder->submitted_bytes;
}

const char *ch_recorder_id(const struct ch_recorder *recorder)
{
    return recorder->id;
}

int64_t ch_recorder_started_us(const struct ch_recorder *recorder)
{
    return recorder->options.started_us;
}
