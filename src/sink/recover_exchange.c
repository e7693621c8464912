// What one of stream.h264 and stream.mp4 lost, the other one makes good: a sample is a message in another dress. Of AAC
// frames there is no message, so a part that is made anew has no sound.
#include "sink/recover_internal.h"

#include "base/bytes.h"
#include "base/file.h"
#include "codec/h264_sets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint8_t start_code[4] = {0, 0, 0, 1};

// --- samples from messages ---

// The message's NAL units with lengths, into r->sample. Its size, or 0 if they are not what belongs into a sample.
static size_t write_sample(struct ch_recovery *r, size_t payload_bytes, bool with_pps)
{
    size_t pos = 0, size = 0;
    struct ch_nal nal;
    while (ch_annexb_next(r->payload.data, payload_bytes, &pos, &nal)) {
        const uint8_t *data = r->payload.data + nal.offset;
        unsigned type = ch_nal_type(data);
        if (!ch_nal_in_sample(type) && !(with_pps && type == CH_NAL_PPS))
            continue;
        if (ch_scratch_reserve(&r->sample, size + 4 + nal.size) < 0)
            return 0;
        ch_put_be32(r->sample.data + size, (uint32_t)nal.size);
        memcpy(r->sample.data + size + 4, data, nal.size);
        size += 4 + nal.size;
    }
    return size;
}

int ch_recover_make_sample(struct ch_recovery *r, const struct ch_entry *entry)
{
    if (entry->raw == 0)
        return 0;
    int rc = ch_recover_check_message(r, entry); // leaves the message in r->payload
    if (rc <= 0)
        return rc;
    rc = ch_scratch_reserve(&r->sample, entry->record.sample_bytes);
    if (rc < 0)
        return rc;
    return write_sample(r, entry->record.payload_bytes, false) == entry->record.sample_bytes ||
           write_sample(r, entry->record.payload_bytes, true) == entry->record.sample_bytes;
}

// The track of a part whose file is gone, by the parameter sets up to its first picture.
static int read_track(struct ch_recovery *r, struct ch_h264_sets *sets, size_t key, struct ch_mp4_track *track)
{
    const struct ch_h264_sps *sps = NULL;
    for (size_t i = 0; i <= key; i++) {
        const struct ch_record *record = &r->entries[i].record;
        if (r->entries[i].raw == 0)
            continue;
        int rc = ch_recover_check_message(r, &r->entries[i]);
        if (rc < 0)
            return rc;
        size_t pos = 0;
        struct ch_nal nal;
        while (ch_annexb_next(r->payload.data, record->payload_bytes, &pos, &nal)) {
            const uint8_t *data = r->payload.data + nal.offset;
            struct ch_h264_slice slice;
            if (ch_h264_sets_put(sets, data, nal.size) == -ENOMEM)
                return -ENOMEM;
            if (i == key && !sps && ch_nal_type(data) == CH_NAL_IDR)
                ch_h264_sets_slice(sets, data, nal.size, &slice, &sps);
        }
    }
    if (!sps)
        return -ENODATA;
    *track = (struct ch_mp4_track){.width = sps->width,
                                   .height = sps->height,
                                   .sar_width = sps->sar_width,
                                   .sar_height = sps->sar_height,
                                   .created_unix_s = r->entries[key].record.arrival_us / 1000000};
    track->avcc_bytes = ch_h264_sets_avcc(sets, sps->id, NULL, 0);
    uint8_t *avcc = track->avcc_bytes > 0 ? malloc(track->avcc_bytes) : NULL;
    if (!avcc)
        return -ENOMEM;
    ch_h264_sets_avcc(sets, sps->id, avcc, track->avcc_bytes);
    track->avcc = avcc;
    return 0;
}

// What cannot be read is put aside, unless it is too short to hold anything.
static int make_way(struct ch_recovery *r, struct ch_recover_part *part)
{
    if (part->fd < 0)
        return 0;
    char aside[48];
    snprintf(aside, sizeof aside, "%s.damaged", part->name);
    bool empty = part->shape.ends_in_init || part->shape.form == CH_PART_FRAGMENTED;
    if (empty ? unlinkat(r->dir, part->name, 0) : renameat(r->dir, part->name, r->dir, aside))
        return -errno;
    close(part->fd);
    part->fd = -1;
    return 0;
}

static int write_init(struct ch_recover_part *part)
{
    size_t bytes = ch_mp4_write_init(&part->shape.init, NULL, 0);
    uint8_t *init = malloc(bytes);
    if (!init)
        return -ENOMEM;
    ch_mp4_write_init(&part->shape.init, init, bytes);
    int rc = ch_file_write_at(part->fd, init, bytes, 0);
    free(init);
    part->end = bytes;
    return rc;
}

int ch_recover_create_part(struct ch_recovery *r, struct ch_recover_part *part, const struct ch_mp4_track *track,
                           bool temporary)
{
    int rc = make_way(r, part);
    ch_part_shape_deinit(&part->shape);
    part->shape = (struct ch_part_shape){.init = *track};
    part->frames = part->audio_frames = 0;
    part->audio_clock = (struct ch_mp4_audio_clock){0};
    if (rc < 0)
        return rc;
    if (temporary) {
        part->temporary = true;
        strcat(part->name, ".tmp");
        unlinkat(r->dir, part->name, 0); // of an earlier attempt
    }
    part->fd = ch_file_create(r->dir, part->name);
    if (part->fd < 0)
        return part->fd;
    rc = write_init(part);
    if (rc == 0)
        part->shape.form = CH_PART_FRAGMENTED;
    return rc;
}

static int begin_part(struct ch_recovery *r, unsigned number, size_t key)
{
    struct ch_recover_part *part = &r->parts[number];
    const struct ch_record *record = &r->entries[key].record;
    struct ch_h264_sets *sets = ch_h264_sets_new();
    struct ch_mp4_track track;
    int rc = sets ? read_track(r, sets, key, &track) : -ENOMEM;
    ch_h264_sets_free(sets);
    if (rc < 0)
        return rc;
    part->based = false;
    track.media_time_ticks = record->composition_ticks;
    return ch_recover_create_part(r, part, &track, false);
}

void ch_recover_fragment_header(struct ch_recover_part *part, const struct ch_record *record,
                                uint8_t out[CH_MP4_FRAGMENT_HEADER_BYTES])
{
    int64_t dts = record->pts_ticks - record->composition_ticks;
    if (!part->based) // each part's own times begin at 0
        part->base_ticks = (int64_t)(0 - (uint64_t)dts);
    part->based = true;
    struct ch_mp4_fragment fragment = {
        .sequence = (uint32_t)ch_recover_samples(part) + 1,
        .dts_ticks = (uint64_t)dts + (uint64_t)part->base_ticks,
        .duration_ticks = CH_MP4_TIMESCALE,
        .composition_ticks = record->composition_ticks,
        .sample_bytes = record->sample_bytes,
        .key = record->flags & CH_FRAME_KEY,
    };
    ch_mp4_write_fragment(&fragment, out);
}

static int append_fragment(struct ch_recover_part *part, struct ch_entry *entry, const uint8_t *sample)
{
    struct ch_record *record = &entry->record;
    int64_t dts = record->pts_ticks - record->composition_ticks;
    if (part->frames > 0 && dts <= part->last_dts)
        return -EINVAL;
    uint8_t header[CH_MP4_FRAGMENT_HEADER_BYTES];
    ch_recover_fragment_header(part, record, header);
    int rc = ch_file_write_at(part->fd, sample, record->sample_bytes, part->end + sizeof header);
    if (rc == 0) // the header last: without it there is no fragment
        rc = ch_file_write_at(part->fd, header, sizeof header, part->end);
    if (rc < 0)
        return rc;
    record->sample_offset = part->end + sizeof header;
    part->end = record->sample_offset + record->sample_bytes;
    part->last_dts = dts;
    part->frames++;
    entry->in_mp4 = true;
    return 0;
}

// Puts the samples from entry `first` on behind what the part has. 0, or why it could not go on.
static int refill_part(struct ch_recovery *r, unsigned number, size_t first)
{
    struct ch_recover_part *part = &r->parts[number];
    int rc = 0;
    if (part->fd < 0 || part->shape.form == CH_PART_UNREADABLE)
        rc = r->entries[first].record.flags & CH_FRAME_KEY ? begin_part(r, number, first) : -ENODATA;
    else if (part->shape.patched)
        rc = ch_part_unpatch(part->fd);
    for (size_t i = first; rc == 0 && i < r->count; i++) {
        struct ch_entry *entry = &r->entries[i];
        if (entry->record.part != number || ch_recover_is_audio(entry))
            continue;
        rc = ch_recover_make_sample(r, entry);
        rc = rc > 0 ? append_fragment(part, entry, r->sample.data) : rc < 0 ? rc : -ENODATA;
    }
    return rc;
}

int ch_recover_refill_parts(struct ch_recovery *r)
{
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        size_t from = r->count; // the first of those behind the last sample that is there
        for (size_t i = r->count; i-- > 0;) {
            if (r->entries[i].record.part != number || ch_recover_is_audio(&r->entries[i]))
                continue;
            if (r->entries[i].in_mp4)
                break;
            from = i;
        }
        if (from == r->count || r->parts[number].shape.form == CH_PART_FINISHED || r->entries[from].raw == 0)
            continue;
        int rc = refill_part(r, number, from);
        if (rc < 0 && rc != -ENODATA && rc != -EINVAL)
            return rc;
    }
    return 0;
}

// --- messages from samples ---

// A sample as a message, into r->payload; in front of a key frame with its parameter sets, which the sample
// does not have. Its size, or an error.
static int64_t make_message(struct ch_recovery *r, const struct ch_entry *entry)
{
    const struct ch_record *record = &entry->record;
    const struct ch_recover_part *part = &r->parts[record->part];
    int rc = ch_scratch_read(&r->sample, part->fd, record->sample_offset, record->sample_bytes);
    if (rc == 0)
        rc = ch_scratch_reserve(&r->payload, (size_t)record->sample_bytes + 3 * part->shape.init.avcc_bytes);
    if (rc < 0)
        return rc;
    uint8_t *out = r->payload.data;
    const uint8_t *avcc = part->shape.init.avcc, *end = avcc + part->shape.init.avcc_bytes;
    // AVCDecoderConfigurationRecord: two lists of sets, each with its count, ISO/IEC 14496-15 5.3.3.1.2
    const uint8_t *at = avcc + 6;
    unsigned counts[2] = {avcc[5] & 31u, 0};
    for (int list = 0; list < 2 && record->flags & CH_FRAME_KEY; list++) {
        if (list == 1 && at < end)
            counts[1] = *at++;
        for (; counts[list] > 0 && end - at >= 2 && end - at - 2 >= ch_get_be16(at); counts[list]--) {
            size_t bytes = ch_get_be16(at);
            memcpy(out, start_code, sizeof start_code);
            memcpy(out + sizeof start_code, at + 2, bytes);
            out += sizeof start_code + bytes;
            at += 2 + bytes;
        }
    }
    const uint8_t *nal;
    size_t from = 0, bytes;
    while (ch_sample_next(r->sample.data, record->sample_bytes, &from, &nal, &bytes)) {
        memcpy(out, start_code, sizeof start_code);
        memcpy(out + sizeof start_code, nal, bytes);
        out += sizeof start_code + bytes;
    }
    return out - r->payload.data;
}

static int append_message(struct ch_recovery *r, struct ch_entry *entry)
{
    struct ch_recover_file *file = &r->raw[r->place.file];
    int64_t bytes = make_message(r, entry);
    if (bytes < 0)
        return (int)bytes;
    if (ch_payload_hash(r->payload.data, (size_t)bytes) != entry->record.hash)
        return -EBADMSG;
    int rc = ch_file_write_at(file->fd, r->payload.data, (size_t)bytes, file->end);
    if (rc < 0)
        return rc;
    entry->record.payload_bytes = (uint32_t)bytes;
    entry->raw = (uint8_t)r->place.file;
    entry->raw_offset = file->end;
    file->end += (uint64_t)bytes;
    file->items++;
    return 0;
}

int ch_recover_append_messages(struct ch_recovery *r)
{
    if (r->place.file == 0)
        return 0;
    struct ch_recover_file *file = &r->raw[r->place.file];
    file->end = r->place.at;
    if (file->end < file->bytes && ftruncate(file->fd, (off_t)file->end) < 0)
        return -errno;
    for (size_t i = r->place.entry; i < r->count; i++) {
        struct ch_entry *entry = &r->entries[i];
        if (!entry->in_mp4 || ch_recover_is_audio(entry))
            continue;
        int rc = append_message(r, entry);
        if (rc < 0) {
            ch_recover_note_damage(r, "stream.h264 could not be completed (%s)", strerror(-rc));
            file->damaged = true;
            return ftruncate(file->fd, (off_t)file->end) < 0 ? -errno : 0;
        }
    }
    return 0;
}
