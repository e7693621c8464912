#include "stream/stream.h"

#include "base/clock.h"
#include "base/limits.h"
#include "proto/camera_h264.h"
#include "stream/assembler.h"
#include "stream/jpeg_assembler.h"
#include "stream/timeline.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define FIRST_CAPACITY 64
#define LIVE_KEEP_US (CH_LIVE_LAG_US + CH_LIMIT_COALESCE_US) // some viewers lag behind on purpose
#define CLOCK_WINDOW_US INT64_C(30000000)

struct ch_stream {
    enum { KIND_OPEN, KIND_H264, KIND_JPEG } kind;
    struct ch_assembler *assembler;
    struct ch_jpeg_assembler jpegs;
    struct ch_timeline timeline;
    // The log: frames first..head-1 in a ring whose capacity is a power of two.
    struct ch_frame **ring;
    size_t capacity;
    uint64_t first, head;
    uint64_t newest_key;   // number of the newest key frame; only if has_key
    uint64_t newest_start; // the same, or of the parameter sets right before it
    bool has_key;
    bool outgrown;              // the newest GOP went over its limits: nothing is kept until a key frame comes
    uint64_t gop_bytes;         // from the newest key frame on
    uint64_t fence;             // frames before it belong to a session that ended
    struct ch_cursor *lossless; // a few at the most: asked before anything is dropped
    struct ch_cursor *live;     // all others
    uint64_t live_keep;         // frames from here on are kept for those; only while there are any
    uint64_t live_bytes;        // from there on
    struct {                    // arrival less presentation time, of the present and the previous half minute
        bool known;
        int64_t least_us[2], since_us, ticks;
    } clock;
    struct ch_params *params;
    struct ch_frame *sets[CH_STREAM_SETS]; // the newest run of messages that hold parameter sets only
    size_t sets_count;
    bool sets_open;  // the newest message belongs to that run, but for sound
    bool sets_heard; // with sound between them, or behind them
    uint32_t audio_sequence;
    int64_t last_mono_us;
    struct ch_stream_counts counts;
};

struct ch_stream *ch_stream_new(void)
{
    struct ch_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->assembler = ch_assembler_new();
    if (!stream->assembler) {
        free(stream);
        return NULL;
    }
    ch_timeline_init(&stream->timeline);
    return stream;
}

static struct ch_frame **slot(const struct ch_stream *stream, uint64_t number)
{
    return &stream->ring[number & (stream->capacity - 1)];
}

static void drop_before(struct ch_stream *stream, uint64_t number)
{
    for (; stream->first < number; stream->first++)
        ch_frame_unref(*slot(stream, stream->first));
}

static void drop_sets(struct ch_stream *stream)
{
    while (stream->sets_count > 0)
        ch_frame_unref(stream->sets[--stream->sets_count]);
}

void ch_stream_free(struct ch_stream *stream)
{
    if (!stream)
        return;
    assert(!stream->lossless && !stream->live);
    struct ch_timeline_picture out;
    ch_timeline_flush(&stream->timeline);
    while (ch_timeline_pop(&stream->timeline, &out))
        ch_frame_unref(out.user);
    drop_before(stream, stream->head);
    drop_sets(stream);
    ch_params_unref(stream->params);
    ch_assembler_free(stream->assembler);
    ch_jpeg_assembler_deinit(&stream->jpegs);
    free(stream->ring);
    free(stream);
}

// --- the log ---

static int make_room(struct ch_stream *stream)
{
    if (stream->head - stream->first < stream->capacity)
        return 0;
    size_t capacity = stream->capacity ? stream->capacity * 2 : FIRST_CAPACITY;
    struct ch_frame **ring = malloc(capacity * sizeof *ring);
    if (!ring)
        return -ENOMEM;
    for (uint64_t i = stream->first; i < stream->head; i++)
        ring[i & (capacity - 1)] = *slot(stream, i);
    free(stream->ring);
    stream->ring = ring;
    stream->capacity = capacity;
    return 0;
}

// Releases what no one needs: all before the newest key frame and all lossless cursors. A GOP over its
// limits is not kept for late comers either.
static void trim(struct ch_stream *stream)
{
    uint64_t keep = stream->has_key ? stream->newest_start : stream->head;
    if (!stream->has_key && !stream->outgrown && stream->head - stream->fence < FIRST_CAPACITY)
        keep = stream->fence; // parameter sets and the like before the first key frame
    if (stream->live && stream->live_keep < keep)
        keep = stream->live_keep;
    for (const struct ch_cursor *cursor = stream->lossless; cursor; cursor = cursor->following)
        if (cursor->next < keep)
            keep = cursor->next;
    drop_before(stream, keep);
}

// Moves the place up to which viewers may lag behind.
static void limit_lag(struct ch_stream *stream, const struct ch_frame *newest)
{
    if (!stream->live)
        return;
    stream->live_bytes += newest->payload_bytes;
    for (; stream->live_keep < newest->number; stream->live_keep++) {
        const struct ch_frame *oldest = *slot(stream, stream->live_keep);
        if (stream->live_bytes <= CH_LIVE_LAG_BYTES &&
            newest->arrival_mono_us - oldest->arrival_mono_us <= LIVE_KEEP_US)
            break;
        stream->live_bytes -= oldest->payload_bytes;
    }
}

static void limit_gop(struct ch_stream *stream, const struct ch_frame *newest)
{
    int64_t age_us = 0;
    if (stream->has_key)
        age_us = newest->arrival_mono_us - (*slot(stream, stream->newest_key))->arrival_mono_us;
    if (stream->gop_bytes > CH_LIMIT_GOP_BYTES || age_us > CH_LIMIT_GOP_US) {
        stream->has_key = false;
        stream->outgrown = true;
    }
}

// Keeps parameter sets for sessions that begin later: the camera sends them once.
static void note_sets(struct ch_stream *stream, struct ch_frame *frame)
{
    bool is_sets = frame->flags & CH_FRAME_PARAMETERS;
    if (frame->flags & CH_FRAME_AUDIO) { // of the pictures before: no session begins with it
        stream->sets_heard = true;
        return;
    }
    if (is_sets && !stream->sets_open) {
        drop_sets(stream);
        stream->sets_heard = false;
    }
    if (is_sets && stream->sets_count < CH_STREAM_SETS)
        stream->sets[stream->sets_count++] = ch_frame_ref(frame);
    stream->sets_open = is_sets;
}

static void note_key(struct ch_stream *stream, struct ch_frame *frame)
{
    stream->newest_key = stream->newest_start = frame->number;
    if (stream->sets_open && !stream->sets_heard && stream->sets_count > 0 && stream->sets[0]->number >= stream->first)
        stream->newest_start = stream->sets[0]->number;
    stream->has_key = true;
    stream->outgrown = false;
    stream->gop_bytes = 0;
    stream->counts.key_frames++;
    ch_params_unref(stream->params);
    stream->params = ch_params_ref(frame->params);
}

static int publish(struct ch_stream *stream, struct ch_frame *frame)
{
    int rc = make_room(stream);
    if (rc < 0) {
        ch_frame_unref(frame);
        return rc;
    }
    frame->number = stream->head;
    frame->picture = stream->counts.pictures;
    *slot(stream, stream->head++) = frame;
    if (frame->flags & CH_FRAME_KEY)
        note_key(stream, frame);
    note_sets(stream, frame);
    stream->gop_bytes += frame->payload_bytes;
    stream->counts.messages++;
    stream->counts.payload_bytes += frame->payload_bytes;
    stream->counts.pictures += (frame->flags & CH_FRAME_PICTURE) != 0;
    stream->counts.audio_frames += (frame->flags & CH_FRAME_AUDIO) != 0;
    limit_gop(stream, frame);
    limit_lag(stream, frame);
    trim(stream);
    return 0;
}

// A viewer's send takes long and empties the caches; meanwhile, what the next two need is fetched. With thousands
// of viewers, waiting for memory would be most of what they cost us.
static void wake_list(struct ch_cursor *cursor)
{
    for (struct ch_cursor *next; cursor; cursor = next) {
        next = cursor->following;
        if (next && next->following) {
            __builtin_prefetch(next->following);
            __builtin_prefetch((const char *)next->following + 64);
        }
        if (next)
            __builtin_prefetch(next->ahead);
        cursor->wake(cursor);
    }
}

static void wake_all(struct ch_stream *stream)
{
    wake_list(stream->lossless);
    wake_list(stream->live);
}

static void set_times(struct ch_frame *frame, const struct ch_timeline_picture *timed)
{
    frame->pts_ticks = timed->pts_ticks;
    frame->dts_ticks = timed->dts_ticks;
    frame->flags |= (timed->repaired ? CH_FRAME_REPAIRED : 0u) | (timed->jumped ? CH_FRAME_JUMP : 0u);
}

// Transport can only delay: the least delayed pictures of the last half minute or minute tell best when
// they were taken.
static void note_clock(struct ch_stream *stream, const struct ch_frame *frame)
{
    int64_t delay = frame->arrival_wall_us - frame->pts_ticks * CH_US_PER_S / CH_MP4_TIMESCALE;
    bool anew = !stream->clock.known || (frame->flags & CH_FRAME_JUMP);
    if (anew || frame->arrival_mono_us - stream->clock.since_us > CLOCK_WINDOW_US) {
        stream->clock.least_us[1] = anew ? delay : stream->clock.least_us[0];
        stream->clock.least_us[0] = delay;
        stream->clock.since_us = frame->arrival_mono_us;
    } else if (delay < stream->clock.least_us[0]) {
        stream->clock.least_us[0] = delay;
    }
    stream->clock.known = true;
    stream->clock.ticks = frame->pts_ticks;
}

static int publish_timed(struct ch_stream *stream)
{
    int rc = 0;
    struct ch_timeline_picture out;
    while (ch_timeline_pop(&stream->timeline, &out)) {
        struct ch_frame *frame = out.user;
        if (!out.bystander) {
            set_times(frame, &out);
            note_clock(stream, frame);
        }
        int published = publish(stream, frame);
        rc = rc < 0 ? rc : published;
    }
    return rc;
}

static int read_header(struct ch_frame *frame, size_t message_size, uint32_t *declared)
{
    struct ch_camera_header header = {0};
    int rc = ch_camera_parse_header(frame->message, message_size, &header);
    *declared = header.payload_bytes;
    frame->device_ms = header.device_ms;
    frame->sequence = header.sequence;
    frame->payload_bytes = header.payload_bytes;
    return rc;
}

int ch_stream_append(struct ch_stream *stream, struct ch_frame **taken, size_t message_size, int64_t wall_us,
                     int64_t mono_us, uint32_t *declared)
{
    struct ch_frame *frame = *taken;
    *taken = NULL;
    assert(stream->kind != KIND_JPEG);
    stream->kind = KIND_H264;
    int rc = read_header(frame, message_size, declared);
    if (rc < 0)
        stream->counts.refused++;
    frame->arrival_wall_us = wall_us;
    frame->arrival_mono_us = mono_us;
    if (rc == 0)
        rc = ch_assembler_take(stream->assembler, frame);
    if (rc < 0) {
        ch_frame_unref(frame);
        return rc;
    }
    stream->last_mono_us = mono_us;
    uint64_t head = stream->head;
    struct ch_timeline_picture picture = {.user = frame, .bystander = !frame->sample};
    if (frame->sample) {
        picture = (struct ch_timeline_picture){
            .user = frame,
            .device_ms = frame->device_ms,
            .arrival_us = mono_us,
            .key = frame->flags & CH_FRAME_KEY,
            .has_poc = frame->has_poc,
            .poc = frame->poc,
            .depth = frame->params->reorder_depth,
            .nominal_step_ticks = frame->params->nominal_step_ticks,
        };
    } else if (frame->flags & CH_FRAME_PARAMETERS) {
        ch_timeline_expect_new_clock(&stream->timeline); // encoders send these of their own when they start
    }
    ch_timeline_push(&stream->timeline, &picture);
    rc = publish_timed(stream);
    if (stream->head != head)
        wake_all(stream);
    return rc;
}

void ch_stream_set_audio(struct ch_stream *stream, const struct ch_aac_config *audio)
{
    ch_assembler_set_audio(stream->assembler, audio);
}

static int take_audio(struct ch_stream *stream, struct ch_frame *frame, size_t message_size, int64_t device_ms)
{
    int rc = ch_assembler_take_audio(stream->assembler, frame, message_size);
    if (rc < 0)
        return rc;
    const struct ch_aac_config *audio = &frame->params->audio;
    frame->device_ms = (uint64_t)device_ms;
    if (!ch_timeline_sound(&stream->timeline, frame->device_ms, audio->rate, audio->frame_samples, &frame->audio_time))
        return -EAGAIN;
    frame->sequence = stream->audio_sequence++;
    frame->pts_ticks = frame->dts_ticks = ch_timeline_sound_ticks(frame->audio_time, audio->rate);
    return 0;
}

// Silence of the pictures stays one: last_mono_us is theirs, and those that wait for their place do not wait longer.
int ch_stream_append_audio(struct ch_stream *stream, struct ch_frame **taken, size_t message_size, int64_t device_ms,
                           int64_t wall_us, int64_t mono_us)
{
    struct ch_frame *frame = *taken;
    *taken = NULL;
    assert(stream->kind != KIND_JPEG);
    frame->arrival_wall_us = wall_us;
    frame->arrival_mono_us = mono_us;
    int rc = take_audio(stream, frame, message_size, device_ms);
    if (rc < 0) {
        stream->counts.refused += rc == -EINVAL;
        ch_frame_unref(frame);
        return rc;
    }
    uint64_t head = stream->head;
    ch_timeline_push(&stream->timeline, &(struct ch_timeline_picture){.user = frame, .bystander = true});
    rc = publish_timed(stream);
    if (stream->head != head)
        wake_all(stream);
    return rc;
}

void ch_stream_trust_clock(struct ch_stream *stream)
{
    ch_timeline_trust_clock(&stream->timeline, true);
}

int ch_stream_append_jpeg(struct ch_stream *stream, struct ch_frame **taken, size_t message_size, int64_t wall_us,
                          int64_t mono_us)
{
    struct ch_frame *frame = *taken;
    *taken = NULL;
    assert(stream->kind != KIND_H264);
    stream->kind = KIND_JPEG;
    frame->arrival_wall_us = wall_us;
    frame->arrival_mono_us = mono_us;
    int rc = ch_jpeg_assembler_take(&stream->jpegs, frame, message_size);
    if (rc < 0) {
        stream->counts.refused += rc == -EBADMSG;
        ch_frame_unref(frame);
        return rc;
    }
    stream->last_mono_us = mono_us;
    note_clock(stream, frame);
    rc = publish(stream, frame);
    if (rc == 0)
        wake_all(stream);
    return rc;
}

void ch_stream_flush(struct ch_stream *stream, int64_t mono_us, int64_t older_than_us)
{
    if (stream->timeline.held_count == 0 || mono_us - stream->last_mono_us < older_than_us)
        return;
    ch_timeline_flush(&stream->timeline);
    publish_timed(stream);
    wake_all(stream);
}

void ch_stream_fence(struct ch_stream *stream)
{
    stream->fence = stream->head;
    ch_timeline_expect_new_clock(&stream->timeline);
}

int ch_stream_restart(struct ch_stream *stream)
{
    struct ch_assembler *assembler = ch_assembler_new();
    if (!assembler)
        return -ENOMEM;
    ch_stream_flush(stream, 0, INT64_MIN);
    ch_assembler_free(stream->assembler);
    stream->assembler = assembler;
    stream->has_key = stream->sets_open = false;
    stream->outgrown = false;
    stream->clock.known = false;
    drop_sets(stream);
    ch_timeline_trust_clock(&stream->timeline, false);
    ch_stream_fence(stream);
    trim(stream); // nobody begins with what was
    return 0;
}

uint64_t ch_stream_live_start(const struct ch_stream *stream)
{
    return stream->has_key ? stream->newest_key : stream->head;
}

struct ch_frame *ch_stream_newest_key(const struct ch_stream *stream)
{
    return stream->has_key ? *slot(stream, stream->newest_key) : NULL;
}

bool ch_stream_clock(const struct ch_stream *stream, int64_t *ticks, int64_t *unix_us)
{
    int64_t least = stream->clock.least_us[stream->clock.least_us[1] < stream->clock.least_us[0]];
    *ticks = stream->clock.ticks;
    *unix_us = stream->clock.ticks * CH_US_PER_S / CH_MP4_TIMESCALE + least;
    return stream->clock.known;
}

uint64_t ch_stream_session_start(const struct ch_stream *stream, int64_t mono_us)
{
    if (stream->has_key && stream->newest_key >= stream->fence &&
        mono_us - (*slot(stream, stream->newest_key))->arrival_mono_us <= CH_LIMIT_GOP_US)
        return stream->newest_start < stream->fence ? stream->newest_key : stream->newest_start;
    if (!stream->has_key && !stream->outgrown && stream->first >= stream->fence)
        return stream->first;
    return stream->head;
}

size_t ch_stream_parameter_sets(const struct ch_stream *stream, uint64_t before, struct ch_frame *out[CH_STREAM_SETS])
{
    size_t count = 0;
    for (size_t i = 0; i < stream->sets_count; i++)
        if (stream->sets[i]->number < before)
            out[count++] = ch_frame_ref(stream->sets[i]);
    return count;
}

// --- cursors ---

void ch_cursor_attach(struct ch_cursor *cursor, struct ch_stream *stream, uint64_t start)
{
    assert(start >= stream->first && start <= stream->head);
    struct ch_cursor **list = cursor->lossless ? &stream->lossless : &stream->live;
    if (!stream->live) {
        stream->live_keep = stream->first;
        stream->live_bytes = 0;
        for (uint64_t i = stream->first; i < stream->head; i++)
            stream->live_bytes += (*slot(stream, i))->payload_bytes;
    }
    cursor->stream = stream;
    cursor->next = start;
    cursor->following = *list;
    cursor->self = list;
    if (cursor->following)
        cursor->following->self = &cursor->following;
    *list = cursor;
}

void ch_cursor_detach(struct ch_cursor *cursor)
{
    struct ch_stream *stream = cursor->stream;
    if (!stream)
        return;
    *cursor->self = cursor->following;
    if (cursor->following)
        cursor->following->self = cursor->self;
    cursor->stream = NULL;
    trim(stream);
}

// What it reads next: what it has not read may be gone.
static uint64_t place_of(const struct ch_cursor *cursor)
{
    return cursor->next < cursor->stream->first ? cursor->stream->first : cursor->next;
}

struct ch_frame *ch_cursor_peek_ahead(const struct ch_cursor *cursor, size_t ahead)
{
    const struct ch_stream *stream = cursor->stream;
    if (!stream || place_of(cursor) + ahead >= stream->head)
        return NULL;
    return *slot(stream, place_of(cursor) + ahead);
}

struct ch_frame *ch_cursor_peek(const struct ch_cursor *cursor)
{
    return ch_cursor_peek_ahead(cursor, 0);
}

struct ch_frame *ch_cursor_newest(const struct ch_cursor *cursor)
{
    const struct ch_stream *stream = cursor->stream;
    return stream && stream->head > stream->first ? *slot(stream, stream->head - 1) : NULL;
}

bool ch_cursor_overrun(const struct ch_cursor *cursor)
{
    return cursor->stream && cursor->next < cursor->stream->first;
}

struct ch_frame *ch_cursor_next(struct ch_cursor *cursor)
{
    struct ch_stream *stream = cursor->stream;
    if (!stream || place_of(cursor) >= stream->head)
        return NULL;
    cursor->next = place_of(cursor) + 1;
    return ch_frame_ref(*slot(stream, cursor->next - 1));
}

const struct ch_stream_counts *ch_stream_counts(const struct ch_stream *stream)
{
    return &stream->counts;
}

const struct ch_params *ch_stream_params(const struct ch_stream *stream)
{
    return stream->params;
}
