// Where each entry's message lies in stream.h264 or stream.mjpeg: the messages of the index lie in it one behind
// the other, so their sizes say where.
#include "sink/recover_internal.h"

#include "base/file.h"

bool ch_recover_next_file(struct ch_recovery *r)
{
    for (unsigned number = r->place.file + 1; number < CH_RECOVER_FILES; number++)
        if (r->raw[number].fd >= 0) {
            r->place.file = number;
            r->place.at = 0;
            return true;
        }
    return false;
}

bool ch_recover_fits(const struct ch_recovery *r, uint64_t bytes)
{
    return bytes <= r->raw[r->place.file].bytes - r->place.at;
}

void ch_recover_put_in_place(struct ch_recovery *r, struct ch_entry *entry)
{
    struct ch_recover_file *file = &r->raw[r->place.file];
    entry->raw = (uint8_t)r->place.file;
    entry->raw_offset = r->place.at;
    r->place.at += entry->record.payload_bytes;
    file->end = r->place.at;
    file->items++;
    r->place.entry++;
}

bool ch_recover_find_place(struct ch_recovery *r, uint64_t bytes)
{
    unsigned file = r->place.file;
    while (!ch_recover_fits(r, bytes) && ch_recover_next_file(r))
        ;
    if (ch_recover_fits(r, bytes))
        return true;
    r->place.broken = true;
    if (r->place.file != file) { // none of the others either
        r->place.file = file;
        r->place.at = r->raw[file].end;
    }
    return false;
}

int ch_recover_check_message(struct ch_recovery *r, const struct ch_entry *entry)
{
    const struct ch_record *record = &entry->record;
    int rc = ch_scratch_read(&r->payload, r->raw[entry->raw].fd, entry->raw_offset, record->payload_bytes);
    if (rc < 0)
        return rc;
    return ch_message_hash(record, r->payload.data) == record->hash;
}

static bool has_message(const struct ch_entry *entry, unsigned number)
{
    (void)number;
    return entry->raw > 0;
}

size_t ch_recover_message_tail(const struct ch_recovery *r)
{
    return ch_recover_tail(r, has_message, 0);
}

void ch_recover_lose_messages(struct ch_recovery *r, size_t from)
{
    r->place.entry = from;
    r->place.file = r->entries[from].raw;
    r->place.at = r->raw[r->place.file].end = r->entries[from].raw_offset;
    r->place.broken = true;
    for (size_t i = from; i < r->count; i++) {
        if (r->entries[i].raw > 0)
            r->raw[r->entries[i].raw].items--;
        r->entries[i].raw = 0;
    }
}
