// A JPEG camera's session: the index's pictures lie in stream.mjpeg one behind the other, and those behind the last
// record are found by their markers. Nobody knows any more when they came, so they are taken to have come at the pace of
// the ones before.
//
// Bytes that are no picture any more stay where they are as long as pictures follow (their record says junk), so that the
// sum of the sizes still tells where each picture begins; at the end they are cut.
#include "sink/recover_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/pace.h"
#include "codec/jpeg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_WINDOW ((size_t)1 << 20)
#define LAST_WINDOW ((size_t)CH_LIMIT_MESSAGE_BYTES_MAX + FIRST_WINDOW) // no picture is longer
#define HOLE_BYTES 512u // so many zeros in a row in a picture without a record: a block that was never written
#define DEFAULT_CENTI 1000
#define MOST_STEP_TICKS (INT64_C(3600) * CH_MP4_TIMESCALE)

// --- the index's pictures ---

// A file whose write failed may have a torn tail in which the next picture seems to have room: if it does not fit its
// hash there, but does at the beginning of the next file, that is its place. 0 or an error.
static int prefer_next_file(struct ch_recovery *r, const struct ch_entry *entry)
{
    unsigned file = r->place.file;
    uint64_t at = r->place.at;
    struct ch_entry probe = *entry;
    probe.raw = (uint8_t)file;
    probe.raw_offset = at;
    if (!ch_recover_next_file(r))
        return 0;
    int here = ch_recover_check_message(r, &probe);
    probe.raw = (uint8_t)r->place.file;
    probe.raw_offset = 0;
    int there = here == 0 ? ch_recover_check_message(r, &probe) : 0;
    if (there == 1)
        return 0;
    r->place.file = file;
    r->place.at = at;
    return here < 0 ? here : there < 0 && there != -ENODATA ? there : 0;
}

static int place_known(struct ch_recovery *r)
{
    while (r->place.entry < r->count) {
        struct ch_entry *entry = &r->entries[r->place.entry];
        if (!ch_recover_find_place(r, entry->record.payload_bytes))
            return 0;
        int rc = prefer_next_file(r, entry);
        if (rc < 0)
            return rc;
        ch_recover_put_in_place(r, entry);
    }
    return 0;
}

// Its bytes stay, as what they are.
static int make_junk(struct ch_recovery *r, struct ch_entry *entry)
{
    struct ch_record *record = &entry->record;
    int rc = ch_scratch_read(&r->payload, r->raw[entry->raw].fd, entry->raw_offset, record->payload_bytes);
    if (rc < 0)
        return rc;
    record->flags = (uint16_t)((record->flags & ~(CH_FRAME_KEY | CH_FRAME_PICTURE)) | CH_FRAME_JPEG | CH_FRAME_JUNK);
    record->hash = ch_message_hash(record, r->payload.data);
    ch_recover_note_damage(r, "pictures in the midst of stream.mjpeg are lost");
    return 0;
}

// Hashes of the newest pictures: a block that a power cut kept from the disk is found here.
static int check_newest(struct ch_recovery *r)
{
    size_t from = ch_recover_message_tail(r), end = from; // end: behind the last one that is whole
    for (size_t i = from; i < r->count && r->entries[i].raw > 0; i++) {
        int rc = ch_recover_check_message(r, &r->entries[i]);
        if (rc < 0)
            return rc;
        r->entries[i].spoilt = rc == 0;
        if (rc > 0)
            end = i + 1;
    }
    int rc = 0;
    for (size_t i = from; i < end && rc == 0; i++)
        if (r->entries[i].spoilt)
            rc = make_junk(r, &r->entries[i]);
    if (rc == 0 && end < r->count && r->entries[end].raw > 0)
        ch_recover_lose_messages(r, end);
    return rc;
}

// --- pictures without a record ---

struct window {
    struct ch_recovery *r;
    size_t from, filled; // in r->payload
    uint64_t next;       // offset in the file of what is not in the window yet
    bool end;            // nothing is left to read
    size_t room;
};

static int read_more(struct window *window)
{
    struct ch_scratch *bytes = &window->r->payload;
    const struct ch_recover_file *file = &window->r->raw[window->r->place.file];
    if (window->filled == window->room && window->from == 0)
        window->room *= 2;
    int rc = ch_scratch_reserve(bytes, window->room);
    if (rc < 0)
        return rc;
    memmove(bytes->data, bytes->data + window->from, window->filled - window->from);
    window->filled -= window->from;
    window->from = 0;
    size_t room = window->room - window->filled;
    int64_t got = ch_file_read_some(file->fd, bytes->data + window->filled, room, window->next);
    if (got < 0)
        return (int)got;
    window->filled += (size_t)got;
    window->next += (uint64_t)got;
    window->end = (size_t)got < room;
    return 0;
}

static bool has_hole(const uint8_t *data, size_t size)
{
    size_t zeros = 0;
    for (size_t i = 0; i < size && zeros < HOLE_BYTES; i++)
        zeros = data[i] == 0 ? zeros + 1 : 0;
    return zeros == HOLE_BYTES;
}

enum found { FOUND_PICTURE, FOUND_JUNK, FOUND_END, FOUND_MORE };

// What the window begins with, and how many bytes belong to it: padding and the like go with the picture in front.
static enum found look(const uint8_t *data, size_t size, bool end, size_t *bytes)
{
    struct ch_jpeg jpeg;
    int rc = ch_jpeg_parse(data, size, &jpeg);
    if (rc == -ENODATA && !end && size < LAST_WINDOW)
        return FOUND_MORE;
    bool whole = rc == 0 && !has_hole(data, jpeg.bytes);
    *bytes = ch_jpeg_find(data, size, whole ? jpeg.bytes : 1);
    if (*bytes < size)
        return whole ? FOUND_PICTURE : FOUND_JUNK;
    if (!end && size < LAST_WINDOW)
        return FOUND_MORE;
    if (whole)
        *bytes = jpeg.bytes;
    return whole ? FOUND_PICTURE : end ? FOUND_END : FOUND_JUNK;
}

// As far apart as the pictures before them, else by the report's estimate, else by the original server's default.
static int64_t usual_step(const struct ch_recovery *r)
{
    struct ch_pace pace = {0};
    for (size_t i = 1; i < r->count; i++)
        ch_pace_add(&pace, r->entries[i].record.pts_ticks - r->entries[i - 1].record.pts_ticks);
    int64_t step = ch_pace_usual(&pace);
    if (step > 0)
        return step < MOST_STEP_TICKS ? step : MOST_STEP_TICKS;
    double known = json_number_value(json_object_get(json_object_get(r->session, "frame_rate"), "estimate"));
    int64_t centi = known >= 1 && known <= 60 ? (int64_t)(known * 100 + 0.5) : DEFAULT_CENTI;
    return 100 * (int64_t)CH_MP4_TIMESCALE / centi;
}

static struct ch_entry next_entry(const struct ch_recovery *r, int64_t step)
{
    const struct ch_entry *last = r->count > 0 ? &r->entries[r->count - 1] : NULL;
    struct ch_entry entry = {.fresh = true, .record = {.arrival_us = r->started_us}};
    if (!last)
        return entry;
    entry.index = last->index;
    entry.record.sequence = last->record.sequence + 1;
    entry.record.pts_ticks = last->record.pts_ticks + step;
    entry.record.device_ms = last->record.device_ms + (uint64_t)(step / 90);
    entry.record.arrival_us = last->record.arrival_us + step * CH_US_PER_S / CH_MP4_TIMESCALE;
    return entry;
}

static int add_entry(struct ch_recovery *r, const uint8_t *data, size_t bytes, bool picture, int64_t step)
{
    struct ch_entry entry = next_entry(r, step);
    entry.record.flags = CH_FRAME_REBUILT | CH_FRAME_JPEG;
    entry.record.flags |= picture ? CH_FRAME_KEY | CH_FRAME_PICTURE : CH_FRAME_JUNK;
    entry.record.payload_bytes = (uint32_t)bytes;
    entry.record.hash = ch_message_hash(&entry.record, data);
    if (!picture)
        ch_recover_note_damage(r, "pictures in the midst of stream.mjpeg are lost");
    int rc = ch_recover_add(r, &entry);
    if (rc == 0)
        ch_recover_put_in_place(r, &r->entries[r->count - 1]);
    return rc;
}

// What lies behind the last message of the file at hand.
static int take_rest(struct ch_recovery *r, int64_t step)
{
    struct window window = {.r = r, .next = r->place.at, .room = FIRST_WINDOW};
    r->raw[r->place.file].end = r->place.at;
    int rc = read_more(&window);
    while (rc == 0) {
        const uint8_t *data = r->payload.data + window.from;
        size_t bytes = 0;
        enum found found = look(data, window.filled - window.from, window.end, &bytes);
        if (found == FOUND_END)
            return 0;
        if (found == FOUND_MORE) {
            rc = read_more(&window);
            continue;
        }
        rc = add_entry(r, data, bytes, found == FOUND_PICTURE, step);
        window.from += bytes;
    }
    return rc;
}

int ch_recover_place_jpegs(struct ch_recovery *r)
{
    if (!ch_recover_next_file(r))
        return 0;
    int rc = place_known(r);
    if (rc == 0)
        rc = check_newest(r);
    int64_t step = usual_step(r);
    while (rc == 0 && !r->place.broken) {
        rc = take_rest(r, step);
        if (!ch_recover_next_file(r))
            break;
    }
    return rc;
}
