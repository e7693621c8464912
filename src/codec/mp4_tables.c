// Sample tables of a finished file (ISO/IEC 14496-12 8.6, 8.7), collected while it is written.
//
// Each table is kept in the very bytes that the moov will hold, runs of equal steps and composition
// offsets already folded, so that finishing copies five arrays. What depends on the end of the
// recording (the last duration, the raise of composition offsets, 32- or 64-bit file offsets) is
// worked out while copying; finishing changes nothing in the tables.
#include "codec/mp4_internal.h"

#include <errno.h>
#include <stdlib.h>

// Keep every sum of times inside 64 bits and every raised composition offset inside 31.
#define MAX_DTS (INT64_MAX / 4)
#define MAX_COMPOSITION (INT32_C(1) << 30)

static int reserve(struct ch_mp4_table *table, size_t bytes)
{
    if (table->capacity - table->bytes >= bytes)
        return 0;
    size_t capacity = table->capacity > 0 ? table->capacity + table->capacity / 2 : 256;
    uint8_t *data = realloc(table->data, capacity);
    if (!data)
        return -ENOMEM;
    table->data = data;
    table->capacity = capacity;
    return 0;
}

// Room for one entry in each, so that nothing fails halfway.
static int reserve_all(struct ch_mp4_tables *tables)
{
    if (reserve(&tables->sizes, 4) || reserve(&tables->offsets, 8) || reserve(&tables->steps, 8) ||
        reserve(&tables->compositions, 8) || reserve(&tables->keys, 4))
        return -ENOMEM;
    return 0;
}

static void append32(struct ch_mp4_table *table, uint32_t value)
{
    ch_put_be32(table->data + table->bytes, value);
    table->bytes += 4;
}

static void append64(struct ch_mp4_table *table, uint64_t value)
{
    ch_put_be64(table->data + table->bytes, value);
    table->bytes += 8;
}

// The last sample's step, now that the next one's time tells it.
static void close_step(struct ch_mp4_tables *tables, uint32_t step)
{
    if (tables->run_step_count > 0 && step != tables->run_step) {
        append32(&tables->steps, tables->run_step_count);
        append32(&tables->steps, tables->run_step);
        tables->run_step_count = 0;
    }
    tables->run_step = step;
    tables->run_step_count++;
    tables->duration_ticks += step;
    int64_t end = tables->last_dts + tables->last_composition + step;
    if (end > tables->presentation_end)
        tables->presentation_end = end;
}

static void add_composition(struct ch_mp4_tables *tables, int32_t composition)
{
    if (tables->run_composition_count > 0 && composition != tables->last_composition) {
        append32(&tables->compositions, tables->run_composition_count);
        append32(&tables->compositions, (uint32_t)tables->last_composition);
        tables->run_composition_count = 0;
    }
    tables->last_composition = composition;
    tables->run_composition_count++;
    if (composition != 0)
        tables->any_composition = true;
    if (composition < tables->min_composition)
        tables->min_composition = composition;
}

int ch_mp4_tables_add(struct ch_mp4_tables *tables, uint64_t offset, uint32_t bytes, int64_t dts_ticks,
                      int32_t composition_ticks, bool key)
{
    if (tables->samples >= CH_MP4_MAX_SAMPLES)
        return -EFBIG;
    if (dts_ticks < -MAX_DTS || dts_ticks > MAX_DTS || composition_ticks < -MAX_COMPOSITION ||
        composition_ticks >= MAX_COMPOSITION)
        return -EINVAL;
    int64_t step = dts_ticks - tables->last_dts;
    if (tables->samples > 0 && (step <= 0 || step > UINT32_MAX))
        return -EINVAL;
    if (reserve_all(tables))
        return -ENOMEM;
    if (tables->samples == 0) {
        tables->first_dts = dts_ticks;
        tables->first_composition = composition_ticks;
        tables->presentation_end = INT64_MIN;
    } else {
        close_step(tables, (uint32_t)step);
    }
    add_composition(tables, composition_ticks);
    append32(&tables->sizes, bytes);
    append64(&tables->offsets, offset);
    tables->samples++;
    if (key)
        append32(&tables->keys, (uint32_t)tables->samples);
    if (offset > UINT32_MAX)
        tables->large_offsets = true;
    tables->last_dts = dts_ticks;
    return 0;
}

// Entries of (count, value); the open runs are put behind the closed ones. 8.6.1.2
static void put_stts(struct ch_mp4_out *out, const struct ch_mp4_tables *tables, uint32_t last_step)
{
    uint32_t open = tables->run_step_count;
    bool same = open > 0 && tables->run_step == last_step;
    size_t box = ch_mp4_begin_full(out, "stts", 0, 0);
    ch_mp4_put32(out, (uint32_t)(tables->steps.bytes / 8) + (open > 0) + !same);
    ch_mp4_put(out, tables->steps.data, tables->steps.bytes);
    if (open > 0) {
        ch_mp4_put32(out, open + same);
        ch_mp4_put32(out, tables->run_step);
    }
    if (!same) {
        ch_mp4_put32(out, 1);
        ch_mp4_put32(out, last_step);
    }
    ch_mp4_end(out, box);
}

// 8.6.1.3
static void put_ctts(struct ch_mp4_out *out, const struct ch_mp4_tables *tables, uint32_t raise)
{
    if (!tables->any_composition)
        return;
    size_t box = ch_mp4_begin_full(out, "ctts", 0, 0);
    ch_mp4_put32(out, (uint32_t)(tables->compositions.bytes / 8) + 1);
    for (size_t at = 0; at < tables->compositions.bytes; at += 8) {
        ch_mp4_put(out, tables->compositions.data + at, 4);
        ch_mp4_put32(out, ch_get_be32(tables->compositions.data + at + 4) + raise);
    }
    ch_mp4_put32(out, tables->run_composition_count);
    ch_mp4_put32(out, (uint32_t)tables->last_composition + raise);
    ch_mp4_end(out, box);
}

// 8.6.2. Of the video even if every sample is a key: some readers take the absence for ignorance.
static void put_stss(struct ch_mp4_out *out, const struct ch_mp4_tables *tables)
{
    size_t box = ch_mp4_begin_full(out, "stss", 0, 0);
    ch_mp4_put32(out, (uint32_t)(tables->keys.bytes / 4));
    ch_mp4_put(out, tables->keys.data, tables->keys.bytes);
    ch_mp4_end(out, box);
}

// 8.7.4: every sample is a chunk of its own, because a fragment's header lies between any two.
static void put_stsc(struct ch_mp4_out *out)
{
    size_t box = ch_mp4_begin_full(out, "stsc", 0, 0);
    for (int i = 0; i < 4; i++)
        ch_mp4_put32(out, 1); // one entry: first_chunk, samples_per_chunk, sample_description_index
    ch_mp4_end(out, box);
}

// 8.7.3.2
static void put_stsz(struct ch_mp4_out *out, const struct ch_mp4_tables *tables)
{
    size_t box = ch_mp4_begin_full(out, "stsz", 0, 0);
    ch_mp4_put32(out, 0);
    ch_mp4_put32(out, (uint32_t)tables->samples);
    ch_mp4_put(out, tables->sizes.data, tables->sizes.bytes);
    ch_mp4_end(out, box);
}

// 8.7.5
static void put_chunk_offsets(struct ch_mp4_out *out, const struct ch_mp4_tables *tables)
{
    size_t box = ch_mp4_begin_full(out, tables->large_offsets ? "co64" : "stco", 0, 0);
    ch_mp4_put32(out, (uint32_t)tables->samples);
    if (tables->large_offsets) {
        ch_mp4_put(out, tables->offsets.data, tables->offsets.bytes);
    } else {
        for (size_t at = 0; at < tables->offsets.bytes; at += 8)
            ch_mp4_put(out, tables->offsets.data + at + 4, 4);
    }
    ch_mp4_end(out, box);
}

void ch_mp4_put_tables(struct ch_mp4_out *out, const struct ch_mp4_trak *trak)
{
    put_stts(out, trak->tables, trak->last_step);
    put_ctts(out, trak->tables, trak->raise);
    if (!trak->audio)
        put_stss(out, trak->tables);
    put_stsc(out);
    put_stsz(out, trak->tables);
    put_chunk_offsets(out, trak->tables);
}

static struct ch_mp4_trak video_trak(const struct ch_mp4_tables *tables, uint32_t last_duration_ticks)
{
    uint32_t last_step = last_duration_ticks > 0 ? last_duration_ticks : 1;
    int64_t last_end = tables->last_dts + tables->last_composition + last_step;
    int64_t end = last_end > tables->presentation_end ? last_end : tables->presentation_end;
    return (struct ch_mp4_trak){
        .tables = tables,
        .last_step = last_step,
        .raise = (uint32_t)-tables->min_composition,
        .media_duration = tables->duration_ticks + last_step,
        // From the first picture's time; the last picture in output order ends it, which need not
        // be the last sample. A shorter edit would hide pictures.
        .presentation_duration = (uint64_t)(end - tables->first_dts - tables->first_composition),
        .media_time = (int64_t)tables->first_composition - tables->min_composition,
    };
}

static struct ch_mp4_trak audio_trak(const struct ch_mp4_tables *tables, const struct ch_aac_config *audio)
{
    uint64_t duration = tables->duration_ticks + audio->frame_samples;
    return (struct ch_mp4_trak){
        .audio = true,
        .tables = tables,
        .last_step = audio->frame_samples,
        .media_duration = duration,
        .empty_duration = (uint64_t)ch_mp4_audio_ticks(tables->first_dts, audio->rate),
        .presentation_duration = (uint64_t)ch_mp4_audio_ticks((int64_t)duration, audio->rate),
    };
}

int ch_mp4_tables_finish(struct ch_mp4_tables *tables, const struct ch_mp4_tables *audio,
                         const struct ch_mp4_track *track, uint32_t last_duration_ticks, uint8_t **moov,
                         size_t *moov_bytes)
{
    if (tables->samples == 0)
        return -EINVAL;
    struct ch_mp4_movie movie = {.track = track, .video = video_trak(tables, last_duration_ticks)};
    movie.has_audio = audio && audio->samples > 0;
    if (movie.has_audio && (track->audio.rate == 0 || track->audio.frame_samples == 0 || audio->first_dts < 0))
        return -EINVAL;
    if (movie.has_audio)
        movie.audio = audio_trak(audio, &track->audio);
    struct ch_mp4_out count = {0};
    ch_mp4_put_moov(&count, &movie);
    if (count.at > UINT32_MAX)
        return -EFBIG;
    struct ch_mp4_out out = {.data = malloc(count.at)};
    if (!out.data)
        return -ENOMEM;
    ch_mp4_put_moov(&out, &movie);
    *moov = out.data;
    *moov_bytes = out.at;
    return 0;
}

void ch_mp4_tables_free(struct ch_mp4_tables *tables)
{
    free(tables->sizes.data);
    free(tables->offsets.data);
    free(tables->steps.data);
    free(tables->compositions.data);
    free(tables->keys.data);
    *tables = (struct ch_mp4_tables){0};
}
