// Reads what a viewer was sent, knowing all the frames that there were: every message must be one that belongs there,
// and what is missing must have been told of.
#ifndef CH_TESTS_VIEWER_AUDIT_H
#define CH_TESTS_VIEWER_AUDIT_H

#include "viewer_maker.h"

static inline bool over_http(enum ch_viewer_format format)
{
    return format == CH_VIEW_HTTP_MP4 || format == CH_VIEW_HTTP_JPEG;
}

static inline bool is_mp4(enum ch_viewer_format format)
{
    return format == CH_VIEW_WS_MP4 || format == CH_VIEW_HTTP_MP4;
}

static inline bool has_texts(enum ch_viewer_format format)
{
    return !over_http(format) && format != CH_VIEW_WS_JPEG_BARE;
}

static inline bool same_params(const struct ch_params *a, const struct ch_params *b)
{
    return a && b && a->width == b->width && a->height == b->height && a->avcc_bytes == b->avcc_bytes &&
           memcmp(a->avcc, b->avcc, a->avcc_bytes) == 0;
}

// --- a reader that knows all the frames ---

struct audit {
    const struct source *source;
    enum ch_viewer_format format;
    const struct ch_params *told, *initialised; // by `stream`, by an init segment
    const struct ch_frame *last;
    uint64_t drop;
    bool dropped, any_text;
    unsigned pictures, drops, inits, streams, closes;
    uint64_t missing;
};

static inline void audit_stream(struct audit *audit, const struct item *item)
{
    char text[512], want[128];
    assert_true(item->size < sizeof text);
    memcpy(text, item->data, item->size);
    text[item->size] = '\0';
    audit->streams++;
    audit->told = NULL;
    for (size_t i = 0; i < audit->source->count; i++) { // which of the camera's is it?
        const struct ch_params *params = audit->source->frames[i]->params;
        if (!params)
            continue;
        snprintf(want, sizeof want, "\"width\":%u,\"height\":%u,\"timescale\":90000,", (unsigned)params->width,
                 (unsigned)params->height);
        if (strstr(text, want))
            audit->told = params;
    }
    assert_non_null(audit->told);
    if (is_mp4(audit->format)) {
        snprintf(want, sizeof want, "\"mime\":\"video/mp4; codecs=\\\"%s\\\"\"", audit->told->codec);
        assert_non_null(strstr(text, want));
    } else {
        assert_non_null(strstr(text, audit->source->jpeg ? "\"mime\":\"image/jpeg\"" : "\"mime\":\"video/h264\""));
    }
}

static inline void audit_text(struct audit *audit, const struct item *item)
{
    unsigned long long frames = 0;
    assert_true(has_texts(audit->format));
    if (!audit->any_text)
        assert_true(item_is(item, "{\"type\":\"stream\","));
    audit->any_text = true;
    if (item_is(item, "{\"type\":\"stream\",")) {
        audit_stream(audit, item);
    } else if (item_is(item, "{\"type\":\"drop\",")) {
        assert_int_equal(sscanf((const char *)item->data, "{\"type\":\"drop\",\"frames\":%llu}", &frames), 1);
        assert_true(frames > 0);
        audit->drop += frames;
        audit->missing += frames;
        audit->drops++;
        audit->dropped = true;
    } else {
        fail_msg("text %.*s", (int)item->size, (const char *)item->data);
    }
}

static inline bool is_init_of(const struct ch_params *params, const struct item *item)
{
    uint8_t want[4096];
    const struct ch_mp4_track track = {.width = params->width,
                                       .height = params->height,
                                       .sar_width = params->sar_width,
                                       .sar_height = params->sar_height,
                                       .avcc = params->avcc,
                                       .avcc_bytes = params->avcc_bytes};
    return item->size == ch_mp4_write_init(&track, want, sizeof want) && memcmp(item->data, want, item->size) == 0;
}

static inline void audit_init(struct audit *audit, const struct item *item)
{
    audit->initialised = NULL;
    for (size_t i = 0; i < audit->source->count && !audit->initialised; i++)
        if (audit->source->frames[i]->params && is_init_of(audit->source->frames[i]->params, item))
            audit->initialised = audit->source->frames[i]->params;
    assert_non_null(audit->initialised);
    audit->inits++;
}

static inline bool has_type(const struct buffer *payload, unsigned type)
{
    size_t begin, end;
    for (size_t at = 0; naive_next(payload->data, payload->size, &at, &begin, &end);)
        if ((payload->data[begin] & 31u) == type)
            return true;
    return false;
}

// The parameter sets that must stand in front of a frame's payload: those of the avcC, 14496-15 5.3.3.1.2, and those
// that its sample begins with.
static inline struct buffer sets_before(const struct ch_frame *frame, const struct buffer *payload)
{
    struct buffer sets = {0}, extra = {0};
    const uint8_t *at = frame->sample;
    for (; (at[4] & 31u) == 8 && !memmem(payload->data, payload->size, at + 4, ch_get_be32(at));
         at += 4 + ch_get_be32(at))
        put_nal(&extra, 3, at + 4, ch_get_be32(at));
    if ((frame->flags & CH_FRAME_KEY) && (extra.size > 0 || !has_type(payload, 7) || !has_type(payload, 8))) {
        at = frame->params->avcc + 5;
        for (unsigned list = 0; list < 2; list++) {
            unsigned count = *at++ & (list == 0 ? 31u : 255u);
            for (; count > 0; count--, at += 2 + ch_get_be16(at))
                put_nal(&sets, 3, at + 2, ch_get_be16(at));
        }
    }
    put(&sets, extra.data, extra.size);
    empty(&extra);
    return sets;
}

static inline bool is_annexb_of(const struct ch_frame *frame, const struct item *item)
{
    if (!frame->sample)
        return false;
    struct buffer payload = annexb_of(frame), sets = sets_before(frame, &payload);
    bool same =
        item->size == sets.size + payload.size && memcmp(item->data + sets.size, payload.data, payload.size) == 0;
    if (same && sets.size > 0)
        assert_memory_equal(item->data, sets.data, sets.size);
    empty(&payload);
    empty(&sets);
    return same;
}

// The frame that a message is of.
static inline const struct ch_frame *whose(const struct audit *audit, const struct item *item)
{
    if (is_mp4(audit->format)) {
        struct fragment fragment = read_fragment(item);
        assert_true(fragment.sequence - 1 < audit->source->count);
        const struct ch_frame *frame = audit->source->frames[fragment.sequence - 1];
        assert_int_equal(fragment.dts, frame->dts_ticks);
        assert_int_equal(fragment.composition, frame->pts_ticks - frame->dts_ticks);
        assert_int_equal(fragment.key, (frame->flags & CH_FRAME_KEY) != 0);
        assert_int_equal(fragment.sample_bytes, frame->sample_bytes);
        assert_memory_equal(fragment.sample, frame->sample, frame->sample_bytes);
        return frame;
    }
    for (size_t i = audit->last ? audit->last->number + 1 : 0; i < audit->source->count; i++) {
        const struct ch_frame *frame = audit->source->frames[i];
        if (!audit->source->jpeg
                ? is_annexb_of(frame, item)
                : item->size == frame->payload_bytes && memcmp(item->data, frame->message, item->size) == 0)
            return frame;
    }
    fail_msg("%zu bytes of no frame behind %llu", item->size,
             (unsigned long long)(audit->last ? audit->last->number : 0));
    return NULL;
}

static inline void audit_picture(struct audit *audit, const struct item *item)
{
    const struct ch_frame *frame = whose(audit, item), *last = audit->last;
    if (is_mp4(audit->format))
        assert_true(same_params(frame->params, audit->initialised));
    if (has_texts(audit->format))
        assert_true(frame->params->width == audit->told->width && frame->params->height == audit->told->height);
    uint64_t gap = 0;
    if (last) {
        assert_true(frame->number > last->number);
        for (uint64_t i = last->number + 1; i < frame->number; i++)
            gap += audit->source->frames[i]->sample != NULL;
        if (is_mp4(audit->format))
            assert_true(frame->dts_ticks > last->dts_ticks);
    }
    if (has_texts(audit->format)) {
        // Pictures that nobody can decode may count among those that were left out.
        assert_true(audit->drop >= gap);
        if (audit->dropped && last)
            assert_true(audit->drop <= frame->picture - (last->picture + 1));
    }
    if (gap > 0 || !last)
        assert_true(frame->flags & CH_FRAME_KEY);
    audit->drop = 0;
    audit->dropped = false;
    audit->last = frame;
    audit->pictures++;
}

// Reads all; asserts that nothing is left over.
static inline struct audit read_out(const struct plug *plug, const struct source *source)
{
    struct audit audit = {.source = source, .format = plug->viewer.format};
    struct item item;
    size_t at = 0;
    while (next_item(audit.format, &plug->out, &at, &item)) {
        assert_int_equal(audit.closes, 0);
        if (item.opcode == CH_WS_CLOSE)
            audit.closes++;
        else if (item.opcode == CH_WS_TEXT)
            audit_text(&audit, &item);
        else if (is_mp4(audit.format) && memcmp(item.data + 4, "ftyp", 4) == 0)
            audit_init(&audit, &item);
        else
            audit_picture(&audit, &item);
    }
    assert_int_equal(at, plug->out.size);
    assert_int_equal(audit.missing, has_texts(audit.format) ? plug->viewer.dropped : 0);
    return audit;
}

// Exactly these, none dropped, and the last is the newest.
static inline struct audit assert_whole(const struct plug *plug, const struct source *source, unsigned pictures)
{
    struct audit audit = read_out(plug, source);
    assert_int_equal(audit.pictures, pictures);
    assert_int_equal(audit.drops, 0);
    assert_int_equal(plug->viewer.frames_sent, pictures);
    assert_int_equal(plug->viewer.dropped, 0);
    return audit;
}

#endif
