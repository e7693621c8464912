// stream.h264 against the entries. Where the index's messages lie, their sizes say (recover_place.c); those of entries
// made anew are found by their NAL units, which the MP4 has. AAC frames have no place there and are passed over.
#include "sink/recover_internal.h"

#include "base/file.h"
#include "codec/h264.h"

#include <string.h>

#define NEAR_BYTES 4096u              // parameter sets in front of a picture, at the most; usually
#define FAR_BYTES (size_t)(16u << 20) // how far a picture is searched for

// --- where the index's messages lie ---

static int check_messages(struct ch_recovery *r)
{
    for (size_t i = ch_recover_message_tail(r); i < r->count; i++) {
        if (r->entries[i].raw == 0)
            continue;
        int rc = ch_recover_check_message(r, &r->entries[i]);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            ch_recover_lose_messages(r, i);
            return 0;
        }
    }
    return 0;
}

int ch_recover_place_messages(struct ch_recovery *r)
{
    if (!ch_recover_next_file(r))
        return 0;
    while (r->place.entry < r->count && !r->entries[r->place.entry].fresh) {
        struct ch_entry *entry = &r->entries[r->place.entry];
        if (ch_recover_is_audio(entry)) {
            r->place.entry++;
            continue;
        }
        if (!ch_recover_find_place(r, entry->record.payload_bytes))
            break;
        ch_recover_put_in_place(r, entry);
    }
    return check_messages(r);
}

// --- messages without a record ---

// The next NAL unit that counts for the hash.
static bool next_counted(const uint8_t *sample, size_t size, size_t *at, const uint8_t **nal, size_t *bytes)
{
    while (ch_sample_next(sample, size, at, nal, bytes))
        if (ch_nal_in_sample(ch_nal_type(*nal)))
            return true;
    return false;
}

// Where a message ends whose last NAL unit ends at `end`: behind what belongs to it, and behind its trailing zeros.
static size_t message_end(const uint8_t *data, size_t size, size_t end)
{
    struct ch_nal nal;
    size_t pos = end;
    while (ch_annexb_next(data, size, &pos, &nal)) {
        unsigned type = ch_nal_type(data + nal.offset);
        if (type < CH_NAL_END_SEQUENCE || type > CH_NAL_FILLER)
            return nal.offset - 3 > end && data[nal.offset - 4] == 0 ? nal.offset - 4 : nal.offset - 3;
        end = pos;
    }
    return end;
}

// Finds the sample's NAL units one behind the other; [*begin, *end) is their message. Other pictures may lie
// before *begin.
static bool find_message(const uint8_t *data, size_t size, const uint8_t *sample, size_t sample_bytes, size_t *begin,
                         size_t *end)
{
    size_t pos = 0, at = 0, bytes;
    const uint8_t *wanted;
    struct ch_nal nal;
    *begin = 0;
    if (!next_counted(sample, sample_bytes, &at, &wanted, &bytes))
        return false;
    while (ch_annexb_next(data, size, &pos, &nal)) {
        if (!ch_nal_in_sample(ch_nal_type(data + nal.offset)))
            continue;
        bool same = nal.size == bytes && memcmp(data + nal.offset, wanted, bytes) == 0;
        if (same && !next_counted(sample, sample_bytes, &at, &wanted, &bytes)) {
            *end = message_end(data, size, pos);
            return true;
        }
        if (same)
            continue;
        *begin = message_end(data, size, pos); // another picture's
        at = 0;
        next_counted(sample, sample_bytes, &at, &wanted, &bytes);
    }
    return false;
}

static bool any_key_before(const struct ch_recovery *r, size_t number)
{
    for (size_t i = 0; i < number; i++)
        if (r->entries[i].record.flags & CH_FRAME_KEY)
            return true;
    return false;
}

// An entry for bytes of stream.h264 that the MP4 does not have.
static int insert_other(struct ch_recovery *r, const uint8_t *data, size_t bytes)
{
    size_t at = r->place.entry;
    struct ch_entry entry = {.fresh = true, .index = r->entries[at].index, .record = r->entries[at].record};
    int rc = ch_recover_add(r, &entry);
    if (rc < 0)
        return rc;
    memmove(r->entries + at + 1, r->entries + at, (r->count - 1 - at) * sizeof *r->entries);
    entry.record.flags = CH_FRAME_REBUILT | CH_FRAME_PICTURE;
    if (!any_key_before(r, at))
        entry.record.flags |= CH_FRAME_BEFORE_KEY;
    entry.record.part = 0;
    entry.record.sample_offset = entry.record.sample_bytes = 0;
    entry.record.payload_bytes = (uint32_t)bytes;
    entry.record.hash = ch_payload_hash(data, bytes);
    r->entries[at] = entry;
    ch_recover_put_in_place(r, &r->entries[at]);
    return 0;
}

// Looks for the message of the entry at hand in the next `window` bytes. 1, 0 or an error.
static int align_in(struct ch_recovery *r, size_t window)
{
    struct ch_recover_file *file = &r->raw[r->place.file];
    uint64_t rest = file->bytes - r->place.at;
    size_t size = rest < window ? (size_t)rest : window, begin, end;
    int rc = ch_scratch_read(&r->payload, file->fd, r->place.at, size);
    if (rc < 0)
        return rc;
    uint32_t sample_bytes = r->entries[r->place.entry].record.sample_bytes;
    if (!find_message(r->payload.data, size, r->sample.data, sample_bytes, &begin, &end))
        return 0;
    if (ch_payload_hash(r->payload.data + begin, end - begin) != r->entries[r->place.entry].record.hash)
        return 0;
    rc = begin > 0 ? insert_other(r, r->payload.data, begin) : 0;
    if (rc < 0)
        return rc;
    struct ch_entry *entry = &r->entries[r->place.entry];
    entry->record.payload_bytes = (uint32_t)(end - begin);
    ch_recover_put_in_place(r, entry);
    return 1;
}

static int align_fresh(struct ch_recovery *r)
{
    const struct ch_entry *entry = &r->entries[r->place.entry];
    if (!entry->in_mp4)
        return 0;
    const struct ch_recover_part *part = &r->parts[entry->record.part];
    uint32_t bytes = entry->record.sample_bytes;
    int rc = ch_scratch_read(&r->sample, part->fd, entry->record.sample_offset, bytes);
    if (rc == 0)
        rc = align_in(r, (size_t)bytes + NEAR_BYTES);
    return rc == 0 ? align_in(r, (size_t)bytes + FAR_BYTES) : rc;
}

static int align_known(struct ch_recovery *r)
{
    struct ch_entry *entry = &r->entries[r->place.entry];
    while (!ch_recover_fits(r, entry->record.payload_bytes))
        if (!ch_recover_next_file(r))
            return 0;
    ch_recover_put_in_place(r, entry);
    int rc = ch_recover_check_message(r, entry);
    if (rc == 0)
        ch_recover_lose_messages(r, r->place.entry - 1);
    return rc;
}

int ch_recover_align_messages(struct ch_recovery *r)
{
    while (r->place.file > 0 && !r->place.broken && r->place.entry < r->count) {
        if (ch_recover_is_audio(&r->entries[r->place.entry])) {
            r->place.entry++;
            continue;
        }
        int rc = r->entries[r->place.entry].fresh ? align_fresh(r) : align_known(r);
        if (rc < 0)
            return rc;
        if (rc == 0)
            r->place.broken = true;
    }
    return 0;
}
