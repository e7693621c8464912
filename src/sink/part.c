#include "sink/part.h"

#include "base/clock.h"
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Promised for a frame whose successor has not come: generous, as players stop at a step of more than twice
// the promise. The next fragment's decode time and the final moov tell the truth.
#define PROMISED_TICKS CH_MP4_TIMESCALE

void ch_part_name(unsigned number, char out[32])
{
    if (number == 1)
        snprintf(out, 32, "stream.mp4");
    else
        snprintf(out, 32, "stream_%u.mp4", number);
}

static struct ch_mp4_track track_of(const struct ch_params *params, int64_t created_s, int64_t media_time_ticks)
{
    return (struct ch_mp4_track){
        .width = params->width,
        .height = params->height,
        .sar_width = params->sar_width,
        .sar_height = params->sar_height,
        .avcc = params->avcc,
        .avcc_bytes = params->avcc_bytes,
        .created_unix_s = created_s,
        .media_time_ticks = media_time_ticks,
        .audio = params->audio,
    };
}

static int write_init(int fd, const struct ch_mp4_track *track, uint64_t *end)
{
    size_t bytes = ch_mp4_write_init(track, NULL, 0);
    uint8_t *init = malloc(bytes);
    if (!init)
        return -ENOMEM;
    ch_mp4_write_init(track, init, bytes);
    int rc = ch_file_write_at(fd, init, bytes, 0);
    free(init);
    *end = bytes;
    return rc;
}

int ch_part_create(struct ch_part *part, int dir, unsigned number, const struct ch_frame *key)
{
    char name[32];
    ch_part_name(number, name);
    int fd = ch_file_create(dir, name);
    if (fd < 0)
        return fd;
    int64_t created_s = key->arrival_wall_us / CH_US_PER_S;
    struct ch_mp4_track track = track_of(key->params, created_s, key->pts_ticks - key->dts_ticks);
    uint64_t end = 0;
    int rc = write_init(fd, &track, &end);
    if (rc == 0)
        rc = ch_file_sync_folder(dir);
    if (rc < 0) {
        close(fd);
        unlinkat(dir, name, 0);
        return rc;
    }
    *part = (struct ch_part){
        .fd = fd,
        .number = number,
        .params = ch_params_ref(key->params),
        .created_s = created_s,
        .end = end,
        .origin_ticks = key->dts_ticks,
        .zero_ticks = key->pts_ticks,
    };
    memcpy(part->name, name, sizeof name);
    return 0;
}

static int grow_scratch(struct ch_part *part, size_t count)
{
    if (count <= part->room)
        return 0;
    struct iovec *iov = realloc(part->iov, 2 * count * sizeof *iov);
    if (!iov)
        return -ENOMEM;
    part->iov = iov;
    uint8_t *heads = realloc(part->heads, count * CH_MP4_FRAGMENT_HEADER_BYTES);
    if (!heads)
        return -ENOMEM;
    part->heads = heads;
    part->room = count;
    return 0;
}

static bool place_audio(const struct ch_part *part, struct ch_mp4_audio_clock *clock, const struct ch_frame *frame,
                        int64_t *time)
{
    return ch_mp4_audio_place(clock, &part->params->audio, frame->pts_ticks - part->zero_ticks, time);
}

bool ch_part_take_audio(struct ch_part *part, const struct ch_frame *frame)
{
    int64_t time;
    return part->fd >= 0 && part->params == frame->params && frame->sample && frame->sample_bytes > 0 &&
           place_audio(part, &part->taken, frame, &time);
}

static struct ch_mp4_fragment audio_fragment(struct ch_part *part, const struct ch_frame *frame)
{
    int64_t time = 0;
    bool placed = place_audio(part, &part->written, frame, &time);
    assert(placed); // as when it was taken
    return (struct ch_mp4_fragment){
        .audio = true, .dts_ticks = (uint64_t)time, .duration_ticks = part->params->audio.frame_samples};
}

static struct ch_mp4_fragment picture_fragment(const struct ch_part *part, const struct ch_frame *frame)
{
    return (struct ch_mp4_fragment){
        .dts_ticks = (uint64_t)(frame->dts_ticks - part->origin_ticks),
        .duration_ticks = PROMISED_TICKS,
        .composition_ticks = (int32_t)(frame->pts_ticks - frame->dts_ticks),
        .key = frame->flags & CH_FRAME_KEY,
    };
}

static void lay_out(struct ch_part *part, const struct ch_frame *frame, size_t at)
{
    uint8_t *head = part->heads + at * CH_MP4_FRAGMENT_HEADER_BYTES;
    struct ch_mp4_fragment fragment =
        frame->flags & CH_FRAME_AUDIO ? audio_fragment(part, frame) : picture_fragment(part, frame);
    fragment.sequence = (uint32_t)(part->frames + part->audio_frames + at) + 1;
    fragment.sample_bytes = frame->sample_bytes;
    ch_mp4_write_fragment(&fragment, head);
    part->iov[2 * at] = (struct iovec){.iov_base = head, .iov_len = CH_MP4_FRAGMENT_HEADER_BYTES};
    part->iov[2 * at + 1] = (struct iovec){.iov_base = frame->sample, .iov_len = frame->sample_bytes};
}

int ch_part_append(struct ch_part *part, struct ch_frame *const *frames, size_t count, size_t *whole)
{
    *whole = 0;
    int rc = grow_scratch(part, count);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        lay_out(part, frames[i], i);
    uint64_t written;
    rc = ch_file_write_vectors_at(part->fd, part->iov, 2 * count, part->end, &written);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = CH_MP4_FRAGMENT_HEADER_BYTES + frames[i]->sample_bytes;
        if (written < bytes)
            break;
        written -= bytes;
        part->end += bytes;
        if (frames[i]->flags & CH_FRAME_AUDIO)
            part->audio_frames++;
        else
            part->frames++;
        ++*whole;
    }
    return rc;
}

// --- the end ---

int ch_part_tables_add(struct ch_part_tables *tables, const struct ch_aac_config *audio, const struct ch_record *record)
{
    int64_t time;
    if (!(record->flags & CH_FRAME_AUDIO)) {
        int rc = ch_mp4_tables_add(&tables->pictures, record->sample_offset, record->sample_bytes,
                                   record->pts_ticks - record->composition_ticks, record->composition_ticks,
                                   record->flags & CH_FRAME_KEY);
        if (rc == 0 && tables->pictures.samples == 1)
            tables->zero_ticks = record->pts_ticks;
        return rc;
    }
    if (tables->pictures.samples == 0 ||
        !ch_mp4_audio_place(&tables->audio_clock, audio, record->pts_ticks - tables->zero_ticks, &time))
        return -EINVAL;
    return ch_mp4_tables_add(&tables->audio, record->sample_offset, record->sample_bytes, time, 0, false);
}

void ch_part_tables_free(struct ch_part_tables *tables)
{
    ch_mp4_tables_free(&tables->pictures);
    ch_mp4_tables_free(&tables->audio);
}

int ch_part_write_end(int fd, uint64_t end, struct ch_part_tables *tables, const struct ch_mp4_track *track,
                      uint32_t last_duration_ticks)
{
    uint8_t *moov = NULL, header[CH_MP4_FREE_BYTES];
    size_t moov_bytes = 0;
    int rc = ch_mp4_tables_finish(&tables->pictures, &tables->audio, track, last_duration_ticks, &moov, &moov_bytes);
    if (rc == 0)
        rc = ch_file_write_at(fd, moov, moov_bytes, end);
    free(moov);
    if (rc == 0 && ftruncate(fd, (off_t)(end + moov_bytes)) < 0) // an older, longer tail
        rc = -errno;
    if (rc == 0)
        rc = ch_file_sync(fd);
    if (rc < 0) {
        if (ftruncate(fd, (off_t)end) < 0)
            return rc; // a whole fragmented file with a torn tail: still playable
        return rc;
    }
    // From here on the file is the one or the other: 16 bytes inside one block.
    ch_mp4_write_mdat_header(end, header);
    rc = ch_file_write_at(fd, header, sizeof header, CH_MP4_FREE_OFFSET);
    return rc < 0 ? rc : ch_file_sync(fd);
}

static int add_sample(const struct ch_part *part, const struct ch_record *record, struct ch_part_tables *tables)
{
    return record->part == part->number ? ch_part_tables_add(tables, &part->params->audio, record) : 0;
}

static bool has_all(const struct ch_part *part, const struct ch_part_tables *tables)
{
    return tables->pictures.samples == part->frames && tables->audio.samples == part->audio_frames;
}

static int collect(const struct ch_part *part, int index_fd, struct ch_part_tables *tables)
{
    struct ch_index_reader *reader = malloc(sizeof *reader);
    if (!reader)
        return -ENOMEM;
    ch_index_reader_init(reader, index_fd, part->first_record);
    struct ch_record record;
    int rc = 1;
    while (rc > 0 && !has_all(part, tables)) {
        rc = ch_index_reader_next(reader, &record);
        if (rc > 0 && add_sample(part, &record, tables) < 0)
            rc = -EBADMSG;
    }
    free(reader);
    return rc < 0 ? rc : 0;
}

int ch_part_finish(struct ch_part *part, int index_fd, const struct ch_record *more, size_t more_count,
                   uint32_t last_duration_ticks)
{
    if (part->frames == 0)
        return -ENODATA;
    struct ch_part_tables tables = {0};
    struct ch_mp4_track track = track_of(part->params, part->created_s, 0);
    int rc = collect(part, index_fd, &tables);
    for (size_t i = 0; rc == 0 && i < more_count; i++)
        rc = add_sample(part, &more[i], &tables);
    if (rc == 0 && !has_all(part, &tables))
        rc = -EBADMSG;
    if (rc == 0)
        rc = ch_part_write_end(part->fd, part->end, &tables, &track, last_duration_ticks);
    ch_part_tables_free(&tables);
    return rc;
}

void ch_part_close(struct ch_part *part)
{
    if (part->fd >= 0)
        close(part->fd);
    ch_params_unref(part->params);
    free(part->iov);
    free(part->heads);
    *part = (struct ch_part){.fd = -1};
}
