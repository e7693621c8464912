// What the index and the MP4 parts tell together. Each part's fragments are held against the records that
// name them. The writer writes fragments before records, so behind a crash there are fragments without a
// record: theirs are made anew. Behind a power cut there may be records without a fragment, too.
#include "sink/recover_internal.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAIL_BYTES (UINT64_C(64) << 20)
#define TAIL_TICKS (INT64_C(5) * CH_MP4_TIMESCALE)
#define HOLE_BYTES 256u       // so many zeros in a row are a block that was never written: no NAL unit has three
#define AUDIO_HOLE_BYTES 512u // the same of an AAC frame, in which filling may be 269 bytes of zeros
#define BOX_BYTES 8u
#define AT_DURATION 88u // in a fragment's header
#define MAX_SAMPLE_BYTES (CH_LIMIT_MESSAGE_BYTES_MAX + (1u << 20))
#define MAX_TICKS (INT64_MAX / 8)
#define MAX_COMPOSITION (INT32_C(1) << 29)
#define MOST_AT_ONCE (UINT64_C(1) << 22)
#define DEFAULT_STEP_TICKS (CH_MP4_TIMESCALE / 10)

static int reserve(struct ch_recovery *r, size_t capacity)
{
    if (capacity <= r->capacity)
        return 0;
    struct ch_entry *entries = realloc(r->entries, capacity * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    r->entries = entries;
    r->capacity = capacity;
    return 0;
}

int ch_recover_add(struct ch_recovery *r, const struct ch_entry *entry)
{
    int rc = r->count == r->capacity ? reserve(r, r->capacity + r->capacity / 2 + 256) : 0;
    if (rc == 0)
        r->entries[r->count++] = *entry;
    return rc;
}

void ch_recover_compact(struct ch_recovery *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++)
        if (!r->entries[i].dropped)
            r->entries[kept++] = r->entries[i];
    r->count = kept;
}

// --- the index ---

static bool is_plausible(const struct ch_record *record)
{
    return record->part <= CH_LIMIT_PARTS && (record->part > 0) == (record->sample_bytes > 0) &&
           record->pts_ticks > -MAX_TICKS && record->pts_ticks < MAX_TICKS;
}

static int load_records(struct ch_recovery *r, unsigned number, struct ch_index_reader *reader)
{
    struct ch_recover_file *file = &r->index[number];
    struct ch_entry entry = {.index = (uint8_t)number};
    uint64_t expected = file->bytes / CH_INDEX_RECORD_BYTES + 1; // no promise: the file may be anything
    int rc = reserve(r, r->count + (size_t)(expected < MOST_AT_ONCE ? expected : MOST_AT_ONCE));
    if (rc < 0)
        return rc;
    ch_index_reader_init(reader, file->fd, 0);
    while ((rc = ch_index_reader_next(reader, &entry.record)) == 1 && is_plausible(&entry.record)) {
        rc = ch_recover_add(r, &entry);
        if (rc < 0)
            return rc;
    }
    return rc == -EBADMSG ? 0 : rc < 0 ? rc : 0;
}

int ch_recover_load_index(struct ch_recovery *r)
{
    struct ch_index_reader *reader = malloc(sizeof *reader);
    if (!reader)
        return -ENOMEM;
    int rc = 0;
    for (unsigned number = 1; number < CH_RECOVER_FILES && rc == 0; number++) {
        if (r->index[number].fd < 0)
            continue;
        uint8_t header[CH_INDEX_HEADER_BYTES];
        int64_t started_us;
        if (r->started_us == 0 && ch_file_read_at(r->index[number].fd, header, sizeof header, 0) == 0 &&
            ch_index_read_header(header, &started_us) == 0 && started_us > 0)
            r->started_us = started_us;
        rc = load_records(r, number, reader);
    }
    free(reader);
    return rc;
}

// --- parts ---

// Entries as read on one side, entries that have been held against the parts on the other.
struct match {
    struct ch_recovery *r;
    struct ch_entry *in;
    size_t in_count, next;
    size_t last_of_part[CH_RECOVER_FILES]; // number behind the part's last entry; 0 if it has none
    bool later_part;                       // entries of parts behind this one follow
    unsigned part;
    size_t picture; // number of the newest entry that a picture's fragment confirmed
};

static int pass_on(struct match *match, bool in_mp4)
{
    struct ch_entry *entry = &match->in[match->next++];
    const struct ch_record *record = &entry->record;
    struct ch_recover_part *part = &match->r->parts[record->part];
    // The samples of a finished part need no fragment headers any more.
    if (!in_mp4 && record->part > 0 && part->shape.form == CH_PART_FINISHED &&
        record->sample_offset <= part->shape.moov_offset &&
        record->sample_bytes <= part->shape.moov_offset - record->sample_offset) {
        in_mp4 = true;
        ch_recover_count(part, record, 1);
    }
    entry->in_mp4 = in_mp4;
    return ch_recover_add(match->r, entry);
}

// Passes on all entries that lie before a fragment at `offset`.
static int pass_before(struct match *match, uint64_t offset)
{
    size_t end = match->last_of_part[match->part];
    while (match->next < end) {
        const struct ch_record *record = &match->in[match->next].record;
        if (record->part == match->part && record->sample_offset >= offset)
            return 0;
        int rc = pass_on(match, false);
        if (rc < 0)
            return rc;
    }
    while (!match->later_part && match->next < match->in_count) {
        int rc = pass_on(match, false);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool has_hole(const uint8_t *data, size_t size, size_t hole_bytes)
{
    size_t zeros = 0;
    for (size_t i = 0; i < size && zeros < hole_bytes; i++)
        zeros = data[i] == 0 ? zeros + 1 : 0;
    return zeros == hole_bytes;
}

// The newest message of the camera, or the newest picture that is in an MP4.
static const struct ch_record *newest(const struct ch_recovery *r, bool picture)
{
    for (size_t i = r->count; i-- > 0;)
        if (!ch_recover_is_audio(&r->entries[i]) && (!picture || r->entries[i].record.part > 0))
            return &r->entries[i].record;
    return NULL;
}

// The session's time at which a part begins of which no record is left: one picture behind what is there.
// (Each part's own times begin at 0.)
static void guess_base(const struct ch_recovery *r, struct ch_recover_part *part, const struct ch_mp4_fragment *first)
{
    int64_t begin = 0, latest = INT64_MIN, before = INT64_MIN;
    for (size_t i = r->count; i-- > 0 && before == INT64_MIN;) {
        const struct ch_record *record = &r->entries[i].record;
        if (ch_recover_is_audio(&r->entries[i]))
            continue;
        if (record->part > 0 && record->pts_ticks > latest) {
            latest = record->pts_ticks;
            before = INT64_MIN;
        } else if (record->part > 0 && record->pts_ticks < latest) {
            before = record->pts_ticks;
        }
    }
    if (latest > INT64_MIN)
        begin = latest + (before > INT64_MIN ? latest - before : DEFAULT_STEP_TICKS);
    part->based = true;
    part->base_ticks = (int64_t)first->dts_ticks + first->composition_ticks - begin;
}

// Times of an unchecked header may be anything: the difference wraps.
static int64_t decode_time(const struct ch_recover_part *part, const struct ch_mp4_fragment *fragment)
{
    return (int64_t)(fragment->dts_ticks - (uint64_t)part->base_ticks);
}

static void rebuild_record(const struct ch_recovery *r, const struct ch_recover_part *part,
                           const struct ch_mp4_fragment *fragment, struct ch_record *record)
{
    int64_t dts = decode_time(part, fragment);
    const struct ch_record *last = newest(r, false), *picture = newest(r, true);
    record->composition_ticks = fragment->composition_ticks;
    record->pts_ticks = dts + fragment->composition_ticks;
    record->flags = (uint16_t)(CH_FRAME_PICTURE | CH_FRAME_REBUILT | (fragment->key ? CH_FRAME_KEY : 0));
    record->sequence = last ? last->sequence : 0;
    record->arrival_us = last ? last->arrival_us : r->started_us;
    record->device_ms = (uint64_t)(record->pts_ticks > 0 ? record->pts_ticks : 0) / 90;
    if (picture)
        record->device_ms = picture->device_ms + (uint64_t)((record->pts_ticks - picture->pts_ticks) / 90);
}

static bool follows(const struct ch_recover_part *part, const struct ch_mp4_fragment *fragment)
{
    int64_t dts = decode_time(part, fragment);
    if (dts < -MAX_TICKS || dts > MAX_TICKS || fragment->composition_ticks < -MAX_COMPOSITION ||
        fragment->composition_ticks > MAX_COMPOSITION)
        return false;
    return part->frames == 0 || (dts > part->last_dts && dts - part->last_dts <= UINT32_MAX);
}

// That of the entry to be added next.
static void count_picture(struct match *match, const struct ch_record *record)
{
    struct ch_recover_part *part = &match->r->parts[match->part];
    if (part->frames == 0)
        part->zero_ticks = record->pts_ticks;
    ch_recover_count(part, record, 1);
    match->picture = match->r->count;
}

// A fragment that no record knows. 0, 1 if it is not to be trusted, or an error.
static int add_fresh(struct match *match, const struct ch_mp4_fragment *fragment, uint64_t sample_offset)
{
    struct ch_recovery *r = match->r;
    struct ch_recover_part *part = &r->parts[match->part];
    struct ch_entry entry = {.in_mp4 = true, .fresh = true, .index = r->count ? r->entries[r->count - 1].index : 0};
    if (fragment->sample_bytes > MAX_SAMPLE_BYTES || fragment->dts_ticks > (uint64_t)MAX_TICKS)
        return 1;
    int rc = ch_scratch_read(&r->sample, part->fd, sample_offset, fragment->sample_bytes);
    if (rc < 0)
        return rc;
    if (!ch_sample_hash(r->sample.data, fragment->sample_bytes, &entry.record.hash) ||
        has_hole(r->sample.data, fragment->sample_bytes, HOLE_BYTES))
        return 1;
    if (!part->based)
        guess_base(r, part, fragment);
    if (!follows(part, fragment))
        return 1;
    entry.record.part = (uint16_t)match->part;
    entry.record.sample_offset = sample_offset;
    entry.record.sample_bytes = fragment->sample_bytes;
    rebuild_record(r, part, fragment, &entry.record);
    part->last_dts = decode_time(part, fragment);
    count_picture(match, &entry.record);
    return ch_recover_add(r, &entry);
}

// What tells that an AAC frame without a record may not have reached the disk whole. Its last bits are 111 and what
// fills the last byte (ISO/IEC 14496-3 4.5.2.1), so a zero byte is no usual end of it; but if another fragment or the
// final moov begins behind it, those bytes did reach the disk.
static bool is_torn_audio(const uint8_t *data, size_t size, size_t with_behind)
{
    bool followed = with_behind == size + BOX_BYTES && memcmp(data + size + 4, "moo", 3) == 0;
    return has_hole(data, size, AUDIO_HOLE_BYTES) || (data[size - 1] == 0 && !followed);
}

static bool place_audio(const struct ch_recover_part *part, struct ch_mp4_audio_clock *clock,
                        const struct ch_record *record, int64_t *time)
{
    return part->frames > 0 &&
           ch_mp4_audio_place(clock, &part->shape.init.audio, record->pts_ticks - part->zero_ticks, time);
}

// The same as add_fresh for an AAC frame.
static int add_fresh_audio(struct match *match, const struct ch_mp4_fragment *fragment, uint64_t sample_offset)
{
    struct ch_recovery *r = match->r;
    struct ch_recover_part *part = &r->parts[match->part];
    if (fragment->duration_ticks == 0) { // as lose_audio leaves it
        part->audio_gave_up = true;
        return 0;
    }
    if (part->frames == 0 || fragment->sample_bytes > CH_AAC_FRAME_MAX ||
        fragment->dts_ticks > (uint64_t)MAX_TICKS / CH_MP4_TIMESCALE ||
        (part->audio_clock.any && (int64_t)fragment->dts_ticks <= part->audio_clock.last))
        return 1;
    uint64_t rest = part->shape.file_bytes - sample_offset;
    size_t size = fragment->sample_bytes, with_behind = rest < size + BOX_BYTES ? size : size + BOX_BYTES;
    int rc = ch_scratch_read(&r->sample, part->fd, sample_offset, with_behind);
    if (rc < 0)
        return rc;
    if (is_torn_audio(r->sample.data, size, with_behind))
        return 1;
    const struct ch_record *picture = &r->entries[match->picture].record;
    struct ch_entry entry = {.in_mp4 = true, .fresh = true, .index = r->entries[r->count - 1].index};
    struct ch_record *record = &entry.record;
    record->flags = CH_FRAME_AUDIO | CH_FRAME_REBUILT;
    record->part = (uint16_t)match->part;
    record->sample_offset = sample_offset;
    record->sample_bytes = fragment->sample_bytes;
    record->pts_ticks =
        part->zero_ticks + ch_mp4_audio_ticks((int64_t)fragment->dts_ticks, part->shape.init.audio.rate);
    record->sequence = picture->sequence;
    record->arrival_us = picture->arrival_us;
    record->device_ms = picture->device_ms + (uint64_t)((record->pts_ticks - picture->pts_ticks) / 90);
    ch_record_sample_hash(record, r->sample.data, &record->hash);
    int64_t time;
    if (!place_audio(part, &part->audio_clock, record, &time))
        return 1;
    ch_recover_count(part, record, 1);
    return ch_recover_add(r, &entry);
}

static int take_known(struct match *match, const struct ch_mp4_fragment *fragment, const struct ch_record *record)
{
    struct ch_recover_part *part = &match->r->parts[match->part];
    int64_t time;
    if (fragment->audio) {
        bool given_up = fragment->duration_ticks == 0; // before, but the index was not written any more
        bool placed = !given_up && place_audio(part, &part->audio_clock, record, &time);
        if (placed)
            ch_recover_count(part, record, 1);
        return pass_on(match, placed);
    }
    part->last_dts = record->pts_ticks - record->composition_ticks;
    part->base_ticks = (int64_t)(fragment->dts_ticks - (uint64_t)part->last_dts);
    part->based = true;
    count_picture(match, record);
    return pass_on(match, true);
}

static int take_fragment(struct match *match, const struct ch_mp4_fragment *fragment, uint64_t sample_offset)
{
    const struct ch_record *record = match->next < match->in_count ? &match->in[match->next].record : NULL;
    if (record && record->part == match->part && record->sample_offset == sample_offset &&
        record->sample_bytes == fragment->sample_bytes && !(record->flags & CH_FRAME_AUDIO) == !fragment->audio)
        return take_known(match, fragment, record);
    return fragment->audio ? add_fresh_audio(match, fragment, sample_offset)
                           : add_fresh(match, fragment, sample_offset);
}

static int on_fragment(void *context, const struct ch_mp4_fragment *fragment, uint64_t sample_offset)
{
    struct match *match = context;
    struct ch_recover_part *part = &match->r->parts[match->part];
    uint64_t before = ch_recover_samples(part);
    int rc = pass_before(match, sample_offset);
    if (rc == 0)
        rc = take_fragment(match, fragment, sample_offset);
    if (part->audio_gave_up && ch_recover_samples(part) > before)
        ch_recover_note_damage(match->r, "sound in the midst of %s is lost", part->name);
    return rc;
}

// The header of the AAC frame that comes next. False if it can have none.
static bool audio_header(const struct ch_recover_part *part, const struct ch_record *record,
                         uint8_t out[CH_MP4_FRAGMENT_HEADER_BYTES])
{
    struct ch_mp4_audio_clock clock = part->audio_clock; // the walk comes to it again
    int64_t time;
    if (!place_audio(part, &clock, record, &time))
        return false;
    struct ch_mp4_fragment fragment = {
        .sequence = (uint32_t)ch_recover_samples(part) + 1,
        .audio = true,
        .dts_ticks = (uint64_t)time,
        .duration_ticks = part->shape.init.audio.frame_samples,
        .sample_bytes = record->sample_bytes,
    };
    ch_mp4_write_fragment(&fragment, out);
    return true;
}

// A fragment's header is broken where the index knows a sample: if that is whole, the header is made anew.
static int mend_fragment(void *context, uint64_t offset)
{
    struct match *match = context;
    struct ch_recovery *r = match->r;
    struct ch_recover_part *part = &r->parts[match->part];
    size_t next = match->next;
    while (next < match->last_of_part[match->part] && match->in[next].record.part != match->part)
        next++;
    const struct ch_record *record = next < match->in_count ? &match->in[next].record : NULL;
    if (!record || record->part != match->part || record->sample_offset != offset + CH_MP4_FRAGMENT_HEADER_BYTES)
        return 0;
    uint64_t hash;
    int rc = ch_scratch_read(&r->sample, part->fd, record->sample_offset, record->sample_bytes);
    if (rc == -ENODATA || (rc == 0 && (!ch_record_sample_hash(record, r->sample.data, &hash) || hash != record->hash)))
        return 0;
    if (rc < 0)
        return rc;
    uint8_t header[CH_MP4_FRAGMENT_HEADER_BYTES];
    if (!(record->flags & CH_FRAME_AUDIO))
        ch_recover_fragment_header(part, record, header);
    else if (!audio_header(part, record, header))
        return 0;
    rc = ch_file_write_at(part->fd, header, sizeof header, offset);
    return rc < 0 ? rc : 1;
}

static int match_part(struct match *match, unsigned number)
{
    struct ch_recover_part *part = &match->r->parts[number];
    match->part = number;
    match->later_part = false;
    for (unsigned later = number + 1; later < CH_RECOVER_FILES; later++)
        match->later_part |= match->last_of_part[later] > match->next;
    struct ch_part_visitor visitor = {.visit = on_fragment, .mend = mend_fragment, .context = match};
    int rc = ch_part_scan(part->fd, &part->shape, &visitor);
    part->end = part->shape.good_end;
    return rc;
}

int ch_recover_match_parts(struct ch_recovery *r)
{
    struct match match = {.r = r, .in = r->entries, .in_count = r->count};
    r->entries = NULL;
    r->count = r->capacity = 0;
    for (size_t i = 0; i < match.in_count; i++)
        match.last_of_part[match.in[i].record.part] = i + 1;
    int rc = reserve(r, match.in_count + 256);
    for (unsigned number = 1; number < CH_RECOVER_FILES && rc == 0; number++)
        if (r->parts[number].fd >= 0)
            rc = match_part(&match, number);
    while (rc == 0 && match.next < match.in_count)
        rc = pass_on(&match, false);
    free(match.in);
    return rc;
}

// --- the newest samples ---

size_t ch_recover_tail(const struct ch_recovery *r, bool (*belongs)(const struct ch_entry *entry, unsigned number),
                       unsigned number)
{
    uint64_t bytes = 0;
    int64_t newest_of[2] = {INT64_MIN, INT64_MIN}; // pictures, AAC frames: one may run ahead of the other
    size_t from = r->count;
    for (size_t i = r->count; i-- > 0;) {
        const struct ch_record *record = &r->entries[i].record;
        if (!belongs(&r->entries[i], number))
            continue;
        int64_t *newest_pts = &newest_of[ch_recover_is_audio(&r->entries[i])];
        if (record->pts_ticks > *newest_pts)
            *newest_pts = record->pts_ticks;
        bytes += record->payload_bytes > record->sample_bytes ? record->payload_bytes : record->sample_bytes;
        if (from < r->count && (bytes > TAIL_BYTES || *newest_pts - record->pts_ticks > TAIL_TICKS))
            break;
        from = i;
    }
    return from;
}

static bool has_sample(const struct ch_entry *entry, unsigned number)
{
    return entry->in_mp4 && entry->record.part == number;
}

// The samples from this entry on are given up, as far as the MP4 is concerned.
static void lose_samples(struct ch_recovery *r, unsigned number, size_t from)
{
    struct ch_recover_part *part = &r->parts[number];
    part->end = r->entries[from].record.sample_offset - CH_MP4_FRAGMENT_HEADER_BYTES;
    for (size_t i = from; i < r->count; i++) {
        struct ch_entry *entry = &r->entries[i];
        if (!has_sample(entry, number))
            continue;
        entry->in_mp4 = false;
        entry->dropped = entry->fresh;
        ch_recover_count(part, &entry->record, -1);
    }
}

// 1 if the sample is what its record says, or could be put right from its message.
static int check_sample(struct ch_recovery *r, const struct ch_recover_part *part, const struct ch_entry *entry)
{
    const struct ch_record *record = &entry->record;
    uint64_t hash;
    int rc = ch_scratch_read(&r->sample, part->fd, record->sample_offset, record->sample_bytes);
    if (rc < 0)
        return rc;
    if (ch_record_sample_hash(record, r->sample.data, &hash) && hash == record->hash)
        return 1;
    rc = ch_recover_make_sample(r, entry);
    if (rc <= 0)
        return rc;
    rc = ch_file_write_at(part->fd, r->sample.data, record->sample_bytes, record->sample_offset);
    return rc < 0 ? rc : 1;
}

// An AAC frame is spoilt, and there is no other copy: the rest does not need it. Its fragment stays, with a duration of 0,
// by which it is known when all this is cut off and done again.
static int lose_audio(struct ch_recovery *r, unsigned number, struct ch_entry *entry)
{
    static const uint8_t nothing[4];
    struct ch_recover_part *part = &r->parts[number];
    uint64_t header = entry->record.sample_offset - CH_MP4_FRAGMENT_HEADER_BYTES;
    entry->in_mp4 = false;
    entry->dropped = entry->fresh;
    ch_recover_count(part, &entry->record, -1);
    return ch_file_write_at(part->fd, nothing, sizeof nothing, header + AT_DURATION);
}

static int check_part(struct ch_recovery *r, unsigned number)
{
    for (size_t i = ch_recover_tail(r, has_sample, number); i < r->count; i++) {
        if (!has_sample(&r->entries[i], number))
            continue;
        int rc = check_sample(r, &r->parts[number], &r->entries[i]);
        bool lost_audio = rc == 0 && ch_recover_is_audio(&r->entries[i]);
        if (lost_audio)
            rc = lose_audio(r, number, &r->entries[i]);
        if (rc < 0)
            return rc;
        if (rc == 0 && !lost_audio) {
            lose_samples(r, number, i);
            return 0;
        }
    }
    return 0;
}

int ch_recover_check_parts(struct ch_recovery *r)
{
    int rc = 0;
    for (unsigned number = 1; number < CH_RECOVER_FILES && rc == 0; number++)
        if (r->parts[number].fd >= 0 && r->parts[number].shape.form == CH_PART_FRAGMENTED)
            rc = check_part(r, number);
    ch_recover_compact(r);
    return rc;
}
