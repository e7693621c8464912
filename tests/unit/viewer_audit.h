// Reads what a viewer was sent, knowing all the frames that there were: every message must be one that belongs there,
// and what is missing must have been told of.
#ifndef CH_TESTS_VIEWER_AUDIT_H
#define CH_TESTS_VIEWER_AUDIT_H

#include "viewer_maker.h"

static inline bool over_http(enum ch_viewer_format format)
{
    return format == CH_VIEW_HTTP_MP4 || format == CH_VIEW_HTTP_JPEG || format == CH_VIEW_HTTP_FLV;
}

static inline bool is_mp4(enum ch_viewer_format format)
{
    return format == CH_VIEW_WS_MP4 || format == CH_VIEW_HTTP_MP4;
}

static inline bool is_flv(enum ch_viewer_format format)
{
    return format == CH_VIEW_WS_FLV || format == CH_VIEW_HTTP_FLV;
}

static inline bool has_texts(enum ch_viewer_format format)
{
    return !over_http(format) && format != CH_VIEW_WS_JPEG_BARE && format != CH_VIEW_WS_FLV;
}

static inline bool same_params(const struct ch_params *a, const struct ch_params *b)
{
    return a && b && a->width == b->width && a->height == b->height && a->avcc_bytes == b->avcc_bytes &&
           memcmp(a->avcc, b->avcc, a->avcc_bytes) == 0 && a->audio.rate == b->audio.rate &&
           a->audio.channels == b->audio.channels;
}

// --- a reader that knows all the frames ---

struct audit {
    const struct source *source;
    enum ch_viewer_format format;
    const struct ch_params *told, *initialised; // by `stream`, by an init segment or FLV's configurations
    const struct ch_frame *last;                // picture
    const struct ch_frame *last_sound, *last_sent;
    uint64_t drop;
    bool dropped, any_text;
    unsigned pictures, sounds, drops, inits, streams, closes;
    uint64_t missing;
    // FLV
    bool flv_header, flv_audio; // there was one; it says that there is sound
    bool flv_again;             // configurations came again before their first picture, which was left out
    bool metadata;              // whose configurations are still to come
    const uint8_t *avcc, *aac;
    size_t avcc_bytes, aac_bytes;
    int64_t video_ms, audio_ms; // of the last tags
};

static inline void audio_text(const struct audit *audit, const struct ch_params *params, char out[96])
{
    if (is_mp4(audit->format) && params->audio.rate > 0)
        snprintf(out, 96, "\"audio\":{\"codec\":\"mp4a.40.2\",\"rate\":%u,\"channels\":%u},",
                 (unsigned)params->audio.rate, (unsigned)params->audio.channels);
    else
        snprintf(out, 96, "\"audio\":null,");
}

static inline void audit_stream(struct audit *audit, const struct item *item)
{
    char text[512], want[128], audio[96];
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
        audio_text(audit, params, audio);
        if (strstr(text, want) && strstr(text, audio))
            audit->told = params;
    }
    assert_non_null(audit->told);
    if (is_mp4(audit->format)) {
        snprintf(want, sizeof want, "\"mime\":\"video/mp4; codecs=\\\"%s%s\\\"\"", audit->told->codec,
                 audit->told->audio.rate > 0 ? ",mp4a.40.2" : "");
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
    } else if (!audit->source->clock_moves || !item_is(item, "{\"type\":\"time\",")) {
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
                                       .avcc_bytes = params->avcc_bytes,
                                       .audio = params->audio};
    return item->size == ch_mp4_write_init(&track, want, sizeof want) && memcmp(item->data, want, item->size) == 0;
}

static inline void audit_init(struct audit *audit, const struct item *item)
{
    audit->initialised = NULL;
    for (size_t i = 0; i < audit->source->count && !audit->initialised; i++)
        if (audit->source->frames[i]->params && is_init_of(audit->source->frames[i]->params, item))
            audit->initialised = audit->source->frames[i]->params;
    assert_non_null(audit->initialised);
    bool sounds = audit->initialised->audio.rate > 0;
    assert_int_equal(memmem(item->data, item->size, "soun", 4) != NULL, sounds);
    assert_int_equal(memmem(item->data, item->size, "mp4a", 4) != NULL, sounds);
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
    if (!frame->sample || (frame->flags & CH_FRAME_AUDIO))
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

static inline const struct ch_frame *whose_fragment(const struct audit *audit, const struct item *item)
{
    struct fragment fragment = read_fragment(item);
    assert_true(fragment.sequence - 1 < audit->source->count);
    const struct ch_frame *frame = audit->source->frames[fragment.sequence - 1];
    if (frame->flags & CH_FRAME_AUDIO) {
        assert_int_equal(fragment.track, 2);
        assert_int_equal(fragment.dts, frame->audio_time);
        assert_int_equal(fragment.duration, 1024);
        assert_int_equal(fragment.composition, 0);
        assert_true(fragment.key);
    } else {
        assert_int_equal(fragment.track, 1);
        assert_int_equal(fragment.dts, frame->dts_ticks);
        assert_int_equal(fragment.composition, frame->pts_ticks - frame->dts_ticks);
        assert_int_equal(fragment.key, (frame->flags & CH_FRAME_KEY) != 0);
    }
    assert_int_equal(fragment.sample_bytes, frame->sample_bytes);
    assert_memory_equal(fragment.sample, frame->sample, frame->sample_bytes);
    return frame;
}

// The frame that a message is of.
static inline const struct ch_frame *whose(const struct audit *audit, const struct item *item)
{
    if (is_mp4(audit->format))
        return whose_fragment(audit, item);
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

// Sound belongs to the pictures that were announced, comes in the order of the log, and is left out only where
// pictures may be.
static inline void audit_sound(struct audit *audit, const struct ch_frame *frame)
{
    assert_non_null(audit->last);
    assert_true(same_params(frame->params, audit->initialised));
    assert_true(frame->number > audit->last_sent->number);
    for (uint64_t i = audit->last_sent->number + 1; i < frame->number; i++)
        assert_null(audit->source->frames[i]->sample);
    if (audit->last_sound && audit->last_sound->params->audio.rate == frame->params->audio.rate)
        assert_true(frame->audio_time > audit->last_sound->audio_time);
    if (audit->last_sound)
        assert_true(frame->pts_ticks >= audit->last_sound->pts_ticks);
    audit->last_sound = audit->last_sent = frame;
    audit->sounds++;
}

static inline void audit_picture(struct audit *audit, const struct ch_frame *frame)
{
    const struct ch_frame *last = audit->last;
    if (is_mp4(audit->format) || is_flv(audit->format))
        assert_true(same_params(frame->params, audit->initialised));
    if (has_texts(audit->format))
        assert_true(frame->params->width == audit->told->width && frame->params->height == audit->told->height);
    uint64_t gap = 0, silence = 0;
    if (last) {
        assert_true(frame->number > audit->last_sent->number);
        for (uint64_t i = audit->last_sent->number + 1; i < frame->number; i++) {
            const struct ch_frame *skipped = audit->source->frames[i];
            bool sound = skipped->flags & CH_FRAME_AUDIO;
            gap += skipped->sample && !sound;
            silence += sound && audit->format != CH_VIEW_WS_H264;
        }
        if (is_mp4(audit->format) || is_flv(audit->format))
            assert_true(frame->dts_ticks > last->dts_ticks);
    }
    if (has_texts(audit->format)) {
        // Pictures that nobody can decode may count among those that were left out.
        assert_true(audit->drop >= gap);
        if (audit->dropped && last)
            assert_true(audit->drop <= frame->picture - (last->picture + 1));
    }
    if (gap > 0 || silence > 0 || !last)
        assert_true(frame->flags & CH_FRAME_KEY);
    audit->drop = 0;
    audit->dropped = false;
    audit->last = audit->last_sent = frame;
    audit->pictures++;
}

static inline void audit_frame(struct audit *audit, const struct ch_frame *frame)
{
    if (frame->flags & CH_FRAME_AUDIO)
        audit_sound(audit, frame);
    else
        audit_picture(audit, frame);
}

// --- FLV, by the letter of the specification's annex E ---

static inline uint32_t be24(const uint8_t *data)
{
    return (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2];
}

struct tag {
    uint8_t type;
    int64_t ms;
    const uint8_t *body;
    size_t size;
};

static inline struct tag read_tag(const uint8_t *data, size_t left, size_t *used)
{
    assert_true(left >= 15);
    struct tag tag = {.type = data[0],
                      .size = be24(data + 1),
                      .ms = (int64_t)((uint32_t)data[7] << 24 | be24(data + 4)),
                      .body = data + 11};
    assert_int_equal(be24(data + 8), 0);
    assert_true(left >= 11 + tag.size + 4);
    assert_int_equal(ch_get_be32(tag.body + tag.size), 11 + tag.size);
    *used = 11 + tag.size + 4;
    return tag;
}

// Which frame is it? Behind the last one that was sent.
static inline const struct ch_frame *whose_tag(const struct audit *audit, bool sound, const uint8_t *data, size_t size)
{
    for (size_t i = audit->last_sent ? audit->last_sent->number + 1 : 0; i < audit->source->count; i++) {
        const struct ch_frame *frame = audit->source->frames[i];
        if (frame->sample && ((frame->flags & CH_FRAME_AUDIO) != 0) == sound && frame->sample_bytes == size &&
            memcmp(frame->sample, data, size) == 0)
            return frame;
    }
    fail_msg("%zu bytes of no frame", size);
    return NULL;
}

static inline int64_t nearest_ms(int64_t time, int64_t rate)
{
    return (2 * 1000 * time + rate) / (2 * rate);
}

static inline void audit_flv_config(struct audit *audit, const struct tag *tag, const uint8_t **config, size_t *bytes,
                                    size_t head)
{
    assert_true(audit->metadata); // in one message with what describes it
    *config = tag->body + head;
    *bytes = tag->size - head;
    audit->video_ms = tag->ms > audit->video_ms ? tag->ms : audit->video_ms;
}

// All that belongs to new parameters was said: whose are they?
static inline void settle_configs(struct audit *audit)
{
    if (!audit->metadata)
        return;
    audit->metadata = false;
    audit->initialised = NULL;
    for (size_t i = 0; i < audit->source->count && !audit->initialised; i++) {
        const struct ch_params *params = audit->source->frames[i]->params;
        if (params && params->avcc_bytes == audit->avcc_bytes &&
            memcmp(params->avcc, audit->avcc, audit->avcc_bytes) == 0 && params->audio.bytes == audit->aac_bytes &&
            (audit->aac_bytes == 0 || memcmp(params->audio.config, audit->aac, audit->aac_bytes) == 0))
            audit->initialised = params;
    }
    assert_non_null(audit->initialised);
    if (audit->inits++ == 0 && !audit->flv_again)
        assert_int_equal(audit->flv_audio, audit->initialised->audio.rate > 0);
}

static inline void audit_video_tag(struct audit *audit, const struct tag *tag)
{
    assert_true(tag->size > 5);
    assert_true(tag->ms >= audit->video_ms);
    if (tag->body[1] == 0) {
        assert_int_equal(tag->body[0], 0x17);
        assert_int_equal(be24(tag->body + 2), 0);
        audit_flv_config(audit, tag, &audit->avcc, &audit->avcc_bytes, 5);
        return;
    }
    settle_configs(audit);
    assert_int_equal(tag->body[1], 1);
    const struct ch_frame *frame = whose_tag(audit, false, tag->body + 5, tag->size - 5);
    assert_int_equal(tag->body[0], frame->flags & CH_FRAME_KEY ? 0x17 : 0x27);
    int64_t composition = (int32_t)(be24(tag->body + 2) << 8) >> 8;
    assert_int_equal(tag->ms, nearest_ms(frame->dts_ticks, 90000) & UINT32_MAX);
    assert_int_equal(composition, nearest_ms(frame->pts_ticks, 90000) - nearest_ms(frame->dts_ticks, 90000));
    audit->video_ms = tag->ms;
    audit_frame(audit, frame);
}

static inline void audit_audio_tag(struct audit *audit, const struct tag *tag)
{
    assert_true(tag->size > 2);
    assert_int_equal(tag->body[0], 0xAF);
    if (tag->body[1] == 0) {
        audit_flv_config(audit, tag, &audit->aac, &audit->aac_bytes, 2);
        return;
    }
    assert_false(audit->metadata); // a picture comes first
    assert_int_equal(tag->body[1], 1);
    const struct ch_frame *frame = whose_tag(audit, true, tag->body + 2, tag->size - 2);
    assert_int_equal(tag->ms, nearest_ms(frame->audio_time, frame->params->audio.rate) & UINT32_MAX);
    assert_true(tag->ms >= audit->audio_ms);
    audit->audio_ms = tag->ms;
    audit_frame(audit, frame);
}

static inline void audit_script_tag(struct audit *audit, const struct tag *tag)
{
    assert_memory_equal(tag->body, "\2\0\12onMetaData\10", 14);
    assert_non_null(memmem(tag->body, tag->size, "camhub", 6));
    audit->flv_again |= audit->metadata;
    audit->metadata = true;
    audit->aac_bytes = audit->avcc_bytes = 0;
}

// The header, or tags: over WebSocket one a message, but for the configurations, which come with their metadata.
static inline void audit_flv(struct audit *audit, const struct item *item)
{
    size_t at = 0, used = 0;
    if (!audit->flv_header) {
        assert_true(item->size >= 13);
        assert_memory_equal(item->data, "FLV\1", 4);
        assert_int_equal(item->data[4] & ~4, 1);
        assert_memory_equal(item->data + 5, "\0\0\0\11\0\0\0\0", 8);
        audit->flv_header = true;
        audit->flv_audio = item->data[4] & 4;
        at = 13;
        if (audit->format == CH_VIEW_WS_FLV)
            assert_true(item->size > 13);
    }
    for (unsigned tags = 0; at < item->size; at += used, tags++) {
        struct tag tag = read_tag(item->data + at, item->size - at, &used);
        if (tag.type == 18)
            audit_script_tag(audit, &tag);
        else if (tag.type == 9)
            audit_video_tag(audit, &tag);
        else if (tag.type == 8)
            audit_audio_tag(audit, &tag);
        else
            fail_msg("tag %u", tag.type);
        if (tags > 0)
            assert_true(audit->metadata);
    }
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
        else if (is_flv(audit.format))
            audit_flv(&audit, &item);
        else
            audit_frame(&audit, whose(&audit, &item));
    }
    assert_int_equal(at, plug->out.size);
    assert_int_equal(audit.pictures + audit.sounds, plug->viewer.frames_sent);
    assert_int_equal(audit.missing, has_texts(audit.format) ? plug->viewer.dropped : 0);
    return audit;
}

// Exactly these, none dropped, and the last is the newest.
static inline struct audit assert_whole(const struct plug *plug, const struct source *source, unsigned pictures)
{
    struct audit audit = read_out(plug, source);
    assert_int_equal(audit.pictures, pictures);
    assert_int_equal(audit.drops, 0);
    assert_false(audit.metadata); // FLV's configurations are followed by a picture
    assert_int_equal(plug->viewer.dropped, 0);
    return audit;
}

#endif
