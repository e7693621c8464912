// Where stream.h264 is all there is: a folder of the original server, or one that lost its index and its
// video. The stream is cut into access units, each becomes a frame as if a camera had sent it, and the
// pictures are shown at one constant rate, in the order that their counts tell. Whatever its length, the
// stream is read once and never held.
//
// The new parts grow under temporary names: what lies under the right name is always whole.
#include "sink/recover_internal.h"

#include "base/file.h"
#include "codec/h264_au.h"
#include "proto/camera_h264.h"
#include "sink/part.h"
#include "sink/report.h"
#include "stream/assembler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_WINDOW (1u << 20)
#define LAST_WINDOW (64u << 20) // an access unit that is longer is cut: no picture is
#define DEFAULT_CENTI 1000

// --- access units of a file ---

struct units {
    int fd;
    uint64_t next; // offset of what is not in the window yet
    bool end;      // nothing is left to read
    uint8_t *window;
    size_t from, filled, capacity;
    struct ch_h264_sets *sets;
    struct ch_h264_au_splitter splitter;
};

static int units_init(struct units *units, int fd, uint64_t offset)
{
    *units = (struct units){.fd = fd, .next = offset, .capacity = FIRST_WINDOW};
    units->window = malloc(units->capacity);
    units->sets = ch_h264_sets_new();
    if (!units->window || !units->sets)
        return -ENOMEM;
    ch_h264_au_init(&units->splitter, units->sets);
    return 0;
}

static void units_deinit(struct units *units)
{
    free(units->window);
    ch_h264_sets_free(units->sets);
}

static int read_more(struct units *units)
{
    memmove(units->window, units->window + units->from, units->filled - units->from);
    units->filled -= units->from;
    units->from = 0;
    if (units->filled == units->capacity) {
        uint8_t *window = realloc(units->window, units->capacity * 2);
        if (!window)
            return -ENOMEM;
        units->window = window;
        units->capacity *= 2;
    }
    size_t room = units->capacity - units->filled;
    int64_t got = ch_file_read_some(units->fd, units->window + units->filled, room, units->next);
    if (got < 0)
        return (int)got;
    units->filled += (size_t)got;
    units->next += (uint64_t)got;
    units->end = (size_t)got < room;
    return 0;
}

// 1 and the next unit, borrowed until the next call; 0 at the end; or an error.
static int next_unit(struct units *units, const uint8_t **data, struct ch_h264_au *au)
{
    for (;;) {
        bool full = units->filled - units->from >= LAST_WINDOW;
        int rc = ch_h264_au_next(&units->splitter, units->window + units->from, units->filled - units->from,
                                 units->end || full, au);
        if (rc > 0) {
            *data = units->window + units->from;
            units->from += au->bytes;
        }
        if (rc != 0 || units->end)
            return rc;
        rc = read_more(units);
        if (rc < 0)
            return rc;
    }
}

// --- units into entries ---

struct bare {
    struct ch_recovery *r;
    unsigned file; // of stream.h264 and its successors
    uint64_t at;   // in it
    struct ch_assembler *assembler;
    struct ch_params *params; // of the part that grows
    unsigned part;            // 0: none yet
    struct ch_h264_shown *shown;
    size_t pictures, capacity;
    int64_t centi; // frames per 100 s
};

static int64_t ticks_of(const struct bare *bare, int64_t number)
{
    return number * 100 * (int64_t)CH_MP4_TIMESCALE / bare->centi;
}

static int note_picture(struct bare *bare, const struct ch_h264_au *au)
{
    if (bare->pictures == bare->capacity) {
        size_t capacity = bare->capacity ? bare->capacity * 2 : 256;
        struct ch_h264_shown *shown = realloc(bare->shown, capacity * sizeof *shown);
        if (!shown)
            return -ENOMEM;
        bare->shown = shown;
        bare->capacity = capacity;
    }
    bare->shown[bare->pictures++] = (struct ch_h264_shown){.poc = au->poc, .restart = au->idr || !au->known};
    return 0;
}

static int open_part(struct bare *bare, const struct ch_frame *frame)
{
    struct ch_recovery *r = bare->r;
    if (bare->part + 1 == CH_RECOVER_FILES)
        return 0; // the rest stays in stream.h264 only
    struct ch_recover_part *part = &r->parts[++bare->part];
    ch_params_unref(bare->params);
    bare->params = ch_params_ref(frame->params);
    struct ch_mp4_track track = {
        .width = frame->params->width,
        .height = frame->params->height,
        .sar_width = frame->params->sar_width,
        .sar_height = frame->params->sar_height,
        .avcc_bytes = frame->params->avcc_bytes,
        .created_unix_s = r->started_us / 1000000,
    };
    uint8_t *avcc = malloc(track.avcc_bytes);
    if (!avcc)
        return -ENOMEM;
    memcpy(avcc, frame->params->avcc, track.avcc_bytes);
    track.avcc = avcc;
    return ch_recover_create_part(r, part, &track, true);
}

// Where the picture goes: into the part that grows, a new one, or none.
static int choose_part(struct bare *bare, const struct ch_frame *frame)
{
    if (!frame->sample)
        return 0;
    if (bare->part > 0 && bare->params == frame->params)
        return (int)bare->part;
    if (!(frame->flags & CH_FRAME_KEY))
        return 0;
    unsigned before = bare->part;
    int rc = open_part(bare, frame);
    return rc < 0 ? rc : bare->part > before ? (int)bare->part : 0;
}

static int write_picture(struct bare *bare, struct ch_frame *frame, const struct ch_h264_au *au,
                         struct ch_record *record)
{
    int rc = choose_part(bare, frame);
    if (rc <= 0)
        return rc;
    struct ch_recover_part *part = &bare->r->parts[rc];
    record->part = (uint16_t)rc;
    record->flags = (uint16_t)frame->flags;
    record->sample_bytes = frame->sample_bytes;
    record->sample_offset = part->end + CH_MP4_FRAGMENT_HEADER_BYTES;
    // In decoding order for the time being: the order of presentation is known at the end.
    record->pts_ticks = ticks_of(bare, (int64_t)bare->pictures);
    ch_recover_fragment_header(part, record, frame->sample - CH_MP4_FRAGMENT_HEADER_BYTES);
    size_t bytes = CH_MP4_FRAGMENT_HEADER_BYTES + frame->sample_bytes;
    rc = ch_file_write_at(part->fd, frame->sample - CH_MP4_FRAGMENT_HEADER_BYTES, bytes, part->end);
    if (rc < 0)
        return rc;
    part->end += bytes;
    part->frames++;
    return note_picture(bare, au);
}

static int take_unit(struct bare *bare, const uint8_t *data, const struct ch_h264_au *au)
{
    struct ch_recovery *r = bare->r;
    struct ch_frame *frame = ch_frame_new(CH_CAMERA_HEADER_BYTES + au->bytes);
    if (!frame)
        return -ENOMEM;
    memcpy(frame->message + CH_CAMERA_HEADER_BYTES, data, au->bytes);
    frame->payload_bytes = (uint32_t)au->bytes;
    frame->number = r->count;
    int rc = ch_assembler_take(bare->assembler, frame);
    struct ch_entry entry = {.raw = (uint8_t)bare->file, .raw_offset = bare->at, .fresh = true};
    entry.record.arrival_us = r->started_us;
    if (rc == 0)
        rc = write_picture(bare, frame, au, &entry.record);
    entry.in_mp4 = entry.record.part > 0;
    entry.record.flags = (uint16_t)(frame->flags | CH_FRAME_REBUILT);
    entry.record.payload_bytes = frame->payload_bytes;
    entry.record.hash = frame->hash;
    bare->at += au->bytes;
    ch_frame_unref(frame);
    if (rc < 0)
        return rc;
    return ch_recover_add(r, &entry);
}

// Every picture's time, now that their order is known. Decode times run ahead of it just as far as needed.
static void give_times(struct bare *bare)
{
    ch_h264_output_order(bare->shown, bare->pictures);
    int64_t delay = 0;
    for (size_t i = 0; i < bare->pictures; i++)
        if ((int64_t)i - bare->shown[i].shown > delay)
            delay = (int64_t)i - bare->shown[i].shown;
    size_t number = 0;
    for (size_t i = 0; i < bare->r->count; i++) {
        struct ch_record *record = &bare->r->entries[i].record;
        if (record->part == 0)
            continue;
        int64_t pts = ticks_of(bare, bare->shown[number].shown), dts = ticks_of(bare, (int64_t)number - delay);
        record->pts_ticks = pts;
        record->composition_ticks = (int32_t)(pts - dts);
        record->device_ms = (uint64_t)pts / 90;
        record->arrival_us = bare->r->started_us + pts * 100 / 9;
        number++;
    }
}

static int take_file(struct bare *bare, unsigned number)
{
    struct ch_recover_file *file = &bare->r->raw[number];
    size_t before = bare->r->count;
    bare->file = number;
    bare->at = 0;
    struct units units;
    int rc = units_init(&units, file->fd, 0);
    const uint8_t *data;
    struct ch_h264_au au;
    while (rc == 0 && (rc = next_unit(&units, &data, &au)) > 0)
        rc = take_unit(bare, data, &au);
    units_deinit(&units);
    file->end = bare->at;
    file->items = bare->r->count - before;
    return rc;
}

// The rate that the session's report or its index tell, by the original's rule; else the original's default.
static int64_t find_rate(const struct ch_recovery *r)
{
    double known = json_number_value(json_object_get(json_object_get(r->session, "frame_rate"), "estimate"));
    if (known >= 1 && known <= 60)
        return (int64_t)(known * 100 + 0.5);
    struct ch_report report;
    ch_report_init(&report);
    for (size_t i = 0; i < r->count; i++) {
        struct ch_record record = r->entries[i].record;
        ch_report_add(&report, &record);
    }
    int64_t centi = report.frames > 1 ? ch_report_estimate_centi(&report) : DEFAULT_CENTI;
    ch_report_deinit(&report);
    return centi;
}

int ch_recover_bare(struct ch_recovery *r)
{
    struct bare bare = {.r = r, .centi = find_rate(r), .assembler = ch_assembler_new()};
    for (size_t i = 0; i < r->count; i++)
        if (ch_recover_is_audio(&r->entries[i]) && r->entries[i].record.part > 0)
            ch_recover_note_damage(r, "the sound was in %s and is lost", r->parts[r->entries[i].record.part].name);
    r->count = 0;
    r->place.broken = false;
    int rc = bare.assembler ? 0 : -ENOMEM;
    for (unsigned number = 1; number < CH_RECOVER_FILES && rc == 0; number++)
        if (r->raw[number].fd >= 0)
            rc = take_file(&bare, number);
    if (rc == 0)
        give_times(&bare);
    ch_assembler_free(bare.assembler);
    ch_params_unref(bare.params);
    free(bare.shown);
    return rc;
}

// --- the rest behind what is known ---

int ch_recover_take_rest(struct ch_recovery *r)
{
    struct ch_recover_file *file = &r->raw[r->place.file];
    struct units units;
    int rc = units_init(&units, file->fd, r->place.at);
    const uint8_t *data;
    struct ch_h264_au au;
    struct ch_entry entry = {.fresh = true};
    if (r->count > 0) {
        entry.index = r->entries[r->count - 1].index;
        entry.record = r->entries[r->count - 1].record;
    }
    entry.record.part = 0;
    entry.record.sample_offset = entry.record.sample_bytes = 0;
    while (rc == 0 && (rc = next_unit(&units, &data, &au)) > 0) {
        rc = 0;
        if (units.end && units.from == units.filled)
            break; // the last one may be torn
        entry.raw = (uint8_t)r->place.file;
        entry.raw_offset = r->place.at;
        entry.record.flags = CH_FRAME_REBUILT | (au.picture ? CH_FRAME_PICTURE : CH_FRAME_PARAMETERS);
        entry.record.payload_bytes = (uint32_t)au.bytes;
        entry.record.hash = ch_payload_hash(data, au.bytes);
        rc = ch_recover_add(r, &entry);
        r->place.at += au.bytes;
        r->place.entry = r->count;
        file->end = r->place.at;
        file->items++;
    }
    units_deinit(&units);
    return rc;
}
