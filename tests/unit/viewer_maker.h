// A camera, a peer of limited appetite and a reader of what came out of it, for tests of live viewers.
#ifndef CH_TESTS_VIEWER_MAKER_H
#define CH_TESTS_VIEWER_MAKER_H

#include "stream_maker.h"

#include "base/clock.h"
#include "codec/mp4.h"
#include "proto/ws.h"
#include "sink/viewer.h"

#include <errno.h>
#include <stdio.h>

#define STEP_MS 33
#define HOUR_US INT64_C(3600000000)
#define WALL_US INT64_C(1790000000000000)

// --- the camera ---

struct source {
    struct ch_stream *stream;
    struct recipe recipe;
    bool jpeg;
    uint32_t messages, frame_num;
    uint64_t device_ms;
    int64_t arrival_us; // of the next message
    int64_t step_us;    // from one to the next; 0: STEP_MS
    int64_t delay_us;   // of its messages, by the wall clock; 0 is as good as any
    size_t slice_bytes; // of a picture
    uint32_t jpeg_width;
    uint32_t audio_rate; // 0: no sound
    int64_t audio_ms;    // where its sound began
    int64_t audio_count; // frames since then
    bool clock_moves;    // so viewers may be told of it
    // All that was published, by a cursor that loses nothing.
    struct ch_cursor cursor;
    struct ch_frame **frames;
    size_t count, capacity;
};

static inline void source_wake(struct ch_cursor *cursor)
{
    struct source *source = cursor->context;
    for (struct ch_frame *frame; (frame = ch_cursor_next(cursor));) {
        if (source->count == source->capacity) {
            source->capacity = 2 * source->capacity + 64;
            source->frames = realloc(source->frames, source->capacity * sizeof *source->frames);
            assert_non_null(source->frames);
        }
        assert_int_equal(frame->number, source->count);
        source->frames[source->count++] = frame;
    }
}

// Its first message arrives `ahead_us` from now. The memory must not move.
static inline void plug_in(struct source *source, bool jpeg, int64_t ahead_us)
{
    *source = (struct source){.stream = ch_stream_new(),
                              .recipe = BASELINE,
                              .jpeg = jpeg,
                              .device_ms = 5000,
                              .arrival_us = ch_clock_mono_us() + ahead_us,
                              .slice_bytes = 30,
                              .jpeg_width = 320};
    assert_non_null(source->stream);
    source->cursor = (struct ch_cursor){.wake = source_wake, .context = source, .lossless = true};
    ch_cursor_attach(&source->cursor, source->stream, 0);
}

// The camera's own list of frames holds one reference of each; there must be no other then.
static inline void unplug(struct source *source)
{
    ch_cursor_detach(&source->cursor);
    ch_stream_free(source->stream);
    for (size_t i = 0; i < source->count; i++) {
        assert_int_equal(atomic_load(&source->frames[i]->refs), 1);
        ch_frame_unref(source->frames[i]);
    }
    free(source->frames);
}

static inline void deliver(struct source *source, struct buffer *payload, uint64_t device_ms)
{
    struct ch_frame *frame = receive(payload, device_ms, source->messages++);
    uint32_t declared;
    // The camera's clock and the hub's agree, so nobody needs to be told of a correction.
    int64_t wall_us = WALL_US + (int64_t)device_ms * 1000 + source->delay_us;
    assert_int_equal(ch_stream_append(source->stream, &frame, CH_CAMERA_HEADER_BYTES + payload->size, wall_us,
                                      source->arrival_us, &declared),
                     0);
    empty(payload);
}

static inline void send_sets(struct source *source)
{
    struct buffer payload = {0};
    put_sets(&payload, &source->recipe);
    deliver(source, &payload, 0);
}

static inline void send_jpeg(struct source *source)
{
    uint8_t head[] = {0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0, 240, 0, 0,  1, 1,
                      0x11, 0,    0xFF, 0xDA, 0, 8,  1, 1, 0,   0, 63, 0};
    uint32_t noise = source->messages;
    struct buffer jpeg = {0};
    ch_put_be16(head + 9, (uint16_t)source->jpeg_width);
    put(&jpeg, head, sizeof head);
    for (size_t i = 0; i < source->slice_bytes; i++)
        put(&jpeg, &(uint8_t){(uint8_t)dice(&noise, 255)}, 1);
    put(&jpeg, "\xFF\xD9", 2);
    struct ch_frame *frame = ch_frame_new(jpeg.size);
    assert_non_null(frame);
    memcpy(frame->message, jpeg.data, jpeg.size);
    source->messages++;
    int64_t step_us = source->step_us ? source->step_us : STEP_MS * 1000;
    source->arrival_us += step_us;
    source->device_ms += (uint64_t)step_us / 1000;
    assert_int_equal(ch_stream_append_jpeg(source->stream, &frame, jpeg.size,
                                           WALL_US + (int64_t)source->device_ms * 1000, source->arrival_us),
                     0);
    empty(&jpeg);
}

static inline void put_picture(struct source *source, struct buffer *payload, bool idr, uint32_t poc_lsb)
{
    source->frame_num = idr ? 0 : source->frame_num + 1;
    put_slice(payload, &source->recipe,
              &(struct slice_recipe){.idr = idr,
                                     .pps_id = 0,
                                     .frame_num = source->frame_num,
                                     .poc_lsb = poc_lsb,
                                     .noise = source->messages,
                                     .bytes = source->slice_bytes});
}

static inline void send_picture(struct source *source, bool idr)
{
    if (source->jpeg) {
        send_jpeg(source);
        return;
    }
    struct buffer payload = {0};
    int64_t step_us = source->step_us ? source->step_us : STEP_MS * 1000;
    source->device_ms += (uint64_t)step_us / 1000;
    source->arrival_us += step_us;
    put_picture(source, &payload, idr, 0);
    deliver(source, &payload, source->device_ms);
}

static inline void send_gop(struct source *source, unsigned pictures)
{
    for (unsigned i = 0; i < pictures; i++)
        send_picture(source, i == 0);
}

// Nine pictures with B-frames among them, in decoding order. The n-th is shown b_frame_times[n] times 40 ms behind the
// first.
static const uint32_t b_frame_times[] = {0, 4, 2, 1, 3, 8, 6, 5, 7};

static inline void send_b_frames(struct source *source)
{
    static const uint32_t poc[] = {0, 8, 4, 2, 6, 16, 12, 10, 14};
    source->recipe = main_profile(3);
    send_sets(source);
    for (size_t i = 0; i < sizeof poc / sizeof poc[0]; i++) {
        struct buffer payload = {0};
        put_picture(source, &payload, i == 0, poc[i]);
        source->arrival_us += STEP_MS * 1000;
        deliver(source, &payload, 5000 + b_frame_times[i] * 40);
    }
    ch_stream_flush(source->stream, 0, INT64_MIN);
}

// From the next key frame on. 0: none.
static inline void set_audio(struct source *source, uint32_t rate)
{
    struct ch_aac_config audio = aac_of(rate ? rate : 44100, 2);
    ch_stream_set_audio(source->stream, rate ? &audio : NULL);
    source->audio_rate = rate;
    source->audio_count = 0;
    source->audio_ms = (int64_t)source->device_ms;
}

// The sound that there is up to the newest picture's time. The number of frames that the stream took.
static inline unsigned send_sound(struct source *source)
{
    unsigned taken = 0;
    int64_t now = (int64_t)source->device_ms;
    for (; source->audio_rate > 0; source->audio_count++) {
        int64_t stamp = source->audio_ms + source->audio_count * 1024000 / source->audio_rate;
        if (stamp > now)
            break;
        if (stamp < now - 500) { // the clock has jumped, or the sound was off
            source->audio_ms = now;
            source->audio_count = 0;
            stamp = now;
        }
        size_t size = 20 + dice(&(uint32_t){(uint32_t)source->audio_count}, 200);
        struct ch_frame *frame = receive_audio(size, (uint32_t)stamp);
        int rc =
            ch_stream_append_audio(source->stream, &frame, size, stamp, WALL_US + stamp * 1000, source->arrival_us);
        assert_true(rc == 0 || rc == -EAGAIN);
        taken += rc == 0;
    }
    return taken;
}

// Pictures with the sound between them.
static inline void send_sounding_gop(struct source *source, unsigned pictures)
{
    for (unsigned i = 0; i < pictures; i++) {
        send_picture(source, i == 0);
        send_sound(source);
    }
}

// --- the peer ---

struct piece_of_output {
    struct piece_of_output *next;
    const uint8_t *data;
    size_t size;
    void (*release)(void *context);
    void *context;
    uint8_t copy[];
};

// A socket and its queue, as net/conn.h has them: it takes `appetite` bytes, then none until it is fed.
struct plug {
    struct ch_viewer viewer;
    struct buffer out;
    size_t appetite;
    struct piece_of_output *first, **last;
    size_t queued, most_queued;
    bool wants_room;
    unsigned sends, failures;
    int error;
    int refuse_with;      // answer of the next call, below 0
    unsigned good_calls;  // before that
    const void *last_iov; // first byte that it was offered last
};

static inline bool refuses(struct plug *plug)
{
    return plug->refuse_with < 0 && plug->good_calls-- == 0;
}

static inline ssize_t plug_take(struct plug *plug, const struct iovec *iov, size_t count)
{
    size_t taken = 0;
    for (size_t i = 0; i < count && plug->appetite > 0; i++) {
        size_t n = iov[i].iov_len < plug->appetite ? iov[i].iov_len : plug->appetite;
        put(&plug->out, iov[i].iov_base, n);
        plug->appetite -= n;
        taken += n;
    }
    return (ssize_t)taken;
}

static inline ssize_t plug_try_send(void *owner, const struct iovec *iov, size_t count)
{
    struct plug *plug = owner;
    assert_false(plug->failures);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        assert_true(iov[i].iov_len > 0);
    if (refuses(plug))
        return plug->refuse_with;
    plug->sends++;
    plug->last_iov = iov[0].iov_base;
    return plug->first ? 0 : plug_take(plug, iov, count);
}

static inline void plug_append(struct plug *plug, struct piece_of_output *piece)
{
    *plug->last = piece;
    plug->last = &piece->next;
    plug->queued += piece->size;
    plug->most_queued = plug->queued > plug->most_queued ? plug->queued : plug->most_queued;
}

static inline int plug_queue(void *owner, const void *data, size_t size, void (*release)(void *), void *context)
{
    struct plug *plug = owner;
    assert_false(plug->failures);
    assert_true(size > 0);
    if (refuses(plug)) {
        release(context);
        return plug->refuse_with;
    }
    struct piece_of_output *piece = malloc(sizeof *piece);
    *piece = (struct piece_of_output){.data = data, .size = size, .release = release, .context = context};
    plug_append(plug, piece);
    return 0;
}

static inline int plug_send(void *owner, const struct iovec *iov, size_t count)
{
    struct plug *plug = owner;
    assert_false(plug->failures);
    if (refuses(plug))
        return plug->refuse_with;
    struct buffer all = {0};
    for (size_t i = 0; i < count; i++)
        put(&all, iov[i].iov_base, iov[i].iov_len);
    struct iovec whole = {.iov_base = all.data, .iov_len = all.size};
    size_t taken = plug->first ? 0 : (size_t)plug_take(plug, &whole, 1);
    if (taken < all.size) {
        size_t rest = all.size - taken;
        struct piece_of_output *piece = malloc(sizeof *piece + rest);
        *piece = (struct piece_of_output){.size = rest, .data = piece->copy};
        memcpy(piece->copy, all.data + taken, rest);
        plug_append(plug, piece);
    }
    empty(&all);
    return 0;
}

static inline void plug_want_room(void *owner)
{
    ((struct plug *)owner)->wants_room = true;
}

static inline void plug_failed(void *owner, int error)
{
    struct plug *plug = owner;
    plug->failures++;
    plug->error = error;
}

static const struct ch_viewer_outlet plug_outlet = {
    .try_send = plug_try_send,
    .queue = plug_queue,
    .send = plug_send,
    .want_room = plug_want_room,
    .failed = plug_failed,
};

static inline void plug_drop_first(struct plug *plug)
{
    struct piece_of_output *piece = plug->first;
    plug->first = piece->next;
    if (!plug->first)
        plug->last = &plug->first;
    if (piece->release)
        piece->release(piece->context);
    free(piece);
}

// Without calling the viewer.
static inline void plug_drain(struct plug *plug)
{
    while (plug->first && plug->appetite > 0) {
        struct piece_of_output *piece = plug->first;
        struct iovec iov = {.iov_base = (void *)(uintptr_t)piece->data, .iov_len = piece->size};
        size_t taken = (size_t)plug_take(plug, &iov, 1);
        piece->data += taken;
        piece->size -= taken;
        plug->queued -= taken;
        if (piece->size == 0)
            plug_drop_first(plug);
    }
}

// The socket takes up to so many bytes now. False if it was of no use: nobody has anything to send.
static inline bool plug_feed(struct plug *plug, size_t appetite)
{
    plug->appetite = appetite;
    plug_drain(plug);
    if (!plug->first && plug->wants_room && plug->appetite > 0) {
        plug->wants_room = false;
        ch_viewer_room(&plug->viewer);
    }
    bool used = plug->appetite < appetite;
    plug->appetite = 0;
    return used;
}

static inline void plug_feed_all(struct plug *plug, size_t appetite)
{
    while (plug_feed(plug, appetite))
        ;
}

static inline void watch(struct plug *plug, struct source *source, enum ch_viewer_format format, size_t appetite)
{
    *plug = (struct plug){.appetite = appetite};
    plug->last = &plug->first;
    ch_viewer_start(&plug->viewer, source->stream, format, 0, NULL, &plug_outlet, plug);
}

// The connection's end: what is queued is let go.
static inline void plug_close(struct plug *plug)
{
    while (plug->first)
        plug_drop_first(plug);
    empty(&plug->out);
}

static inline void leave(struct plug *plug)
{
    ch_viewer_stop(&plug->viewer);
    plug_close(plug);
}

// --- what came out ---

struct item {
    uint8_t opcode; // WebSocket's; over HTTP all are binary
    const uint8_t *data;
    size_t size;
};

static inline bool item_is(const struct item *item, const char *text)
{
    return item->opcode == CH_WS_TEXT && item->size >= strlen(text) && memcmp(item->data, text, strlen(text)) == 0;
}

// A WebSocket message from a server: one frame, not masked.
static inline bool next_message(const struct buffer *out, size_t *at, struct item *item)
{
    struct ch_ws_head head;
    int used = ch_ws_parse_head(out->data + *at, out->size - *at, &head);
    assert_true(used >= 0);
    if (used == 0 || out->size - *at - (size_t)used < head.length)
        return false;
    assert_true(head.fin && !head.masked && head.rsv == 0);
    *item = (struct item){.opcode = head.opcode, .data = out->data + *at + used, .size = (size_t)head.length};
    *at += (size_t)used + (size_t)head.length;
    return true;
}

// Of a fragmented MP4: moof and mdat of one picture, or the init segment up to its moov.
static inline bool next_boxes(const struct buffer *out, size_t *at, struct item *item)
{
    bool last = false;
    size_t end = *at;
    while (!last) {
        if (out->size - end < 8)
            return false;
        uint32_t size = ch_get_be32(out->data + end);
        assert_true(size >= 8);
        if (out->size - end < size)
            return false;
        last = memcmp(out->data + end + 4, "mdat", 4) == 0 || memcmp(out->data + end + 4, "moov", 4) == 0;
        end += size;
    }
    *item = (struct item){.opcode = CH_WS_BINARY, .data = out->data + *at, .size = end - *at};
    *at = end;
    return true;
}

static inline bool next_part(const struct buffer *out, size_t *at, struct item *item)
{
    static const char front[] = "--" CH_VIEW_BOUNDARY "\r\nContent-Type: image/jpeg\r\nContent-Length: ";
    size_t left = out->size - *at, size = 0, used = sizeof front - 1;
    if (left < used)
        return false;
    assert_memory_equal(out->data + *at, front, used);
    for (; used < left && out->data[*at + used] >= '0' && out->data[*at + used] <= '9'; used++)
        size = 10 * size + (out->data[*at + used] - '0');
    if (left < used + 4 + size + 2)
        return false;
    assert_memory_equal(out->data + *at + used, "\r\n\r\n", 4);
    assert_memory_equal(out->data + *at + used + 4 + size, "\r\n", 2);
    *item = (struct item){.opcode = CH_WS_BINARY, .data = out->data + *at + used + 4, .size = size};
    *at += used + 4 + size + 2;
    return true;
}

// Of a stream of FLV: its header, or one tag with the size behind it.
static inline bool next_tag(const struct buffer *out, size_t *at, struct item *item)
{
    size_t left = out->size - *at, size = 13;
    if (*at > 0) {
        if (left < 11)
            return false;
        const uint8_t *tag = out->data + *at;
        size = 11 + ((size_t)tag[1] << 16 | (size_t)tag[2] << 8 | tag[3]) + 4;
    }
    if (left < size)
        return false;
    *item = (struct item){.opcode = CH_WS_BINARY, .data = out->data + *at, .size = size};
    *at += size;
    return true;
}

static inline bool next_item(enum ch_viewer_format format, const struct buffer *out, size_t *at, struct item *item)
{
    if (format == CH_VIEW_HTTP_MP4)
        return next_boxes(out, at, item);
    if (format == CH_VIEW_HTTP_FLV)
        return next_tag(out, at, item);
    return format == CH_VIEW_HTTP_JPEG ? next_part(out, at, item) : next_message(out, at, item);
}

// The content of the first box of a type among boxes; its size.
static inline size_t find_box(const uint8_t *data, size_t size, const char *type, const uint8_t **content)
{
    for (size_t at = 0; at + 8 <= size;) {
        size_t box = ch_get_be32(data + at);
        assert_true(box >= 8 && box <= size - at);
        if (memcmp(data + at + 4, type, 4) == 0) {
            *content = data + at + 8;
            return box - 8;
        }
        at += box;
    }
    *content = NULL;
    fail_msg("no box %s", type);
    return 0;
}

struct fragment {
    uint32_t sequence, track, duration;
    int64_t dts, composition;
    bool key;
    const uint8_t *sample;
    size_t sample_bytes;
};

// By the letter of ISO/IEC 14496-12 8.8.5 to 8.8.12, as far as our fragments use it.
static inline struct fragment read_fragment(const struct item *item)
{
    struct fragment out;
    const uint8_t *moof = NULL, *traf = NULL, *box = NULL;
    size_t moof_bytes = find_box(item->data, item->size, "moof", &moof);
    find_box(moof, moof_bytes, "mfhd", &box);
    out.sequence = ch_get_be32(box + 4);
    size_t traf_bytes = find_box(moof, moof_bytes, "traf", &traf);
    find_box(traf, traf_bytes, "tfhd", &box);
    out.track = ch_get_be32(box + 4);
    find_box(traf, traf_bytes, "tfdt", &box);
    assert_int_equal(box[0], 1);
    out.dts = (int64_t)ch_get_be64(box + 4);
    size_t trun_bytes = find_box(traf, traf_bytes, "trun", &box);
    assert_int_equal(box[0], 1);
    uint32_t flags = ch_get_be32(box) & 0xFFFFFF, offset = 0;
    assert_int_equal(ch_get_be32(box + 4), 1); // sample
    const uint8_t *field = box + 8;
    assert_true(flags & 1);
    offset = ch_get_be32(field);
    field += 4;
    assert_int_equal(flags & 4, 0);
    assert_true((flags & 0xF00) == 0xF00);
    out.duration = ch_get_be32(field);
    out.sample_bytes = ch_get_be32(field + 4);
    out.key = !(ch_get_be32(field + 8) & 0x10000); // sample_is_non_sync_sample
    out.composition = (int32_t)ch_get_be32(field + 12);
    assert_true(field + 16 == box + trun_bytes);
    out.sample = item->data + offset;
    assert_int_equal(offset + out.sample_bytes, item->size);
    return out;
}

#endif
