// The end of a recovery: each record says what is left of its message, the index is written, the parts are
// finished, the report is made. Nothing is written that would be the same.
#include "base/file.h"
#include "base/text.h"
#include "sink/part.h"
#include "sink/recover_internal.h"
#include "sink/session_json.h"
#include "sink/thumbnail.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- records ---

// A JPEG camera's pictures are in stream.mjpeg or nowhere.
static void settle_jpegs(struct ch_recovery *r)
{
    bool any_raw = false, more = false;
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++)
        any_raw |= r->raw[number].fd >= 0;
    if (!any_raw && r->count > 0)
        ch_recover_note_damage(r, "stream.mjpeg is not there");
    for (size_t i = r->count; i-- > 0;) {
        r->entries[i].dropped = r->entries[i].raw == 0;
        if (r->entries[i].dropped && more)
            ch_recover_note_damage(r, "pictures in the midst of stream.mjpeg are lost");
        more |= !r->entries[i].dropped;
    }
    ch_recover_compact(r);
}

// What each entry still has decides what its record says; those with nothing go.
static void settle_entries(struct ch_recovery *r)
{
    bool any_raw = false, more = false, more_of[CH_RECOVER_FILES] = {false};
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++)
        any_raw |= r->raw[number].fd >= 0;
    for (size_t i = r->count; i-- > 0;) {
        struct ch_entry *entry = &r->entries[i];
        struct ch_record *record = &entry->record;
        bool was_in_mp4 = record->part > 0;
        bool audio = ch_recover_is_audio(entry); // which is in no stream.h264
        entry->dropped = !entry->in_mp4 && entry->raw == 0 && ((any_raw && !audio) || was_in_mp4);
        bool torn_out = was_in_mp4 && !entry->in_mp4 && more_of[record->part]; // not at the end of its file
        if ((entry->dropped && more && was_in_mp4) || torn_out)
            ch_recover_note_damage(r, "%s in the midst of %s %s lost", audio ? "sound" : "pictures",
                                   r->parts[record->part].name, audio ? "is" : "are");
        more |= !entry->dropped && (!audio || was_in_mp4);
        more_of[record->part] |= entry->in_mp4;
        if (!entry->in_mp4 && was_in_mp4) {
            record->part = 0;
            record->sample_offset = record->sample_bytes = 0;
        }
    }
    ch_recover_compact(r);
}

// Adds everything up, as the writer did; how long each part's last picture is shown comes out beside it.
static void add_up(struct ch_recovery *r, struct ch_report *report)
{
    unsigned part = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct ch_record *record = &r->entries[i].record;
        if (record->part > 0 && record->part != part && part > 0)
            r->parts[part].last_duration_ticks = ch_report_last_duration_ticks(report);
        if (record->part > 0)
            part = record->part;
        record->flags &= (uint16_t) ~(CH_FRAME_DUPLICATE | CH_FRAME_REORDERED);
        ch_report_add(report, record);
    }
    r->parts[part].last_duration_ticks = ch_report_last_duration_ticks(report);
}

// --- the index ---

// Writes bytes where they differ from what is there.
static int write_changed(int fd, const uint8_t *data, size_t size, uint64_t offset, bool *changed)
{
    uint8_t old[4096];
    for (size_t at = 0; at < size; at += sizeof old) {
        size_t n = size - at < sizeof old ? size - at : sizeof old;
        if (ch_file_read_at(fd, old, n, offset + at) == 0 && memcmp(old, data + at, n) == 0)
            continue;
        *changed = true;
        int rc = ch_file_write_at(fd, data + at, n, offset + at);
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct index_writer {
    struct ch_recover_file *file;
    EVP_MD_CTX *hash;
    bool changed;
    size_t filled;
    uint8_t buffer[512 * CH_INDEX_RECORD_BYTES];
};

static int flush_index(struct index_writer *writer)
{
    int rc = write_changed(writer->file->fd, writer->buffer, writer->filled, writer->file->end, &writer->changed);
    EVP_DigestUpdate(writer->hash, writer->buffer, writer->filled);
    writer->file->end += writer->filled;
    writer->filled = 0;
    return rc;
}

static int write_index_records(struct ch_recovery *r, unsigned number, struct index_writer *writer)
{
    ch_index_write_header(r->started_us, writer->buffer);
    writer->filled = CH_INDEX_HEADER_BYTES;
    for (size_t i = 0; i < r->count; i++) {
        if (r->entries[i].index != number)
            continue;
        if (writer->filled == sizeof writer->buffer) {
            int rc = flush_index(writer);
            if (rc < 0)
                return rc;
        }
        ch_index_write_record(&r->entries[i].record, writer->buffer + writer->filled);
        writer->filled += CH_INDEX_RECORD_BYTES;
        writer->file->items++;
    }
    return flush_index(writer);
}

static int write_index(struct ch_recovery *r, unsigned number, struct ch_session_file *entry)
{
    struct index_writer *writer = malloc(sizeof *writer);
    if (!writer)
        return -ENOMEM;
    *writer = (struct index_writer){.file = &r->index[number], .hash = EVP_MD_CTX_new()};
    struct ch_recover_file *file = writer->file;
    file->end = file->items = 0;
    int rc = writer->hash && EVP_DigestInit_ex(writer->hash, EVP_sha256(), NULL) ? 0 : -ENOMEM;
    if (rc == 0)
        rc = write_index_records(r, number, writer);
    if (rc == 0 && file->end < file->bytes && ftruncate(file->fd, (off_t)file->end) < 0)
        rc = -errno;
    if (rc == 0)
        rc = ch_file_sync(file->fd);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (rc == 0 && EVP_DigestFinal_ex(writer->hash, digest, &size))
        ch_format_hex(digest, 32, entry->sha256);
    EVP_MD_CTX_free(writer->hash);
    free(writer);
    entry->kind = CH_FILE_INDEX;
    entry->bytes = file->end;
    entry->frames = file->items;
    return rc;
}

// Entries made anew where no index was belong to the first one, which is made if there is none.
static int settle_index(struct ch_recovery *r)
{
    unsigned first = 1;
    while (first < CH_RECOVER_FILES && r->index[first].fd < 0)
        first++;
    if (first == CH_RECOVER_FILES) {
        first = 1;
        int fd = ch_file_create(r->dir, "frames.idx");
        if (fd < 0)
            return fd;
        r->index[1].fd = fd;
    }
    for (size_t i = 0; i < r->count; i++)
        if (r->entries[i].index == 0)
            r->entries[i].index = (uint8_t)first;
    return 0;
}

// --- parts ---

static int make_tables(const struct ch_recovery *r, unsigned number, struct ch_part_tables *tables)
{
    int rc = 0;
    for (size_t i = 0; i < r->count && rc == 0; i++)
        if (r->entries[i].record.part == number)
            rc = ch_part_tables_add(tables, &r->parts[number].shape.init.audio, &r->entries[i].record);
    return rc;
}

// A file with no picture in it, or none that can be read: goes if it never held one.
static int give_up_part(struct ch_recovery *r, struct ch_recover_part *part)
{
    if (part->shape.form != CH_PART_UNREADABLE || part->shape.ends_in_init) {
        close(part->fd);
        part->fd = -1;
        return unlinkat(r->dir, part->name, 0) ? -errno : 0;
    }
    ch_recover_note_damage(r, "%s cannot be read", part->name);
    part->damaged = true;
    return 0;
}

static int rename_part(const struct ch_recovery *r, unsigned number)
{
    char name[32];
    ch_part_name(number, name);
    return renameat(r->dir, r->parts[number].name, r->dir, name) ? -errno : 0;
}

static int finish_part(struct ch_recovery *r, unsigned number)
{
    struct ch_recover_part *part = &r->parts[number];
    if (part->fd < 0 || part->shape.form == CH_PART_FINISHED)
        return 0;
    if (part->frames == 0 || part->shape.form == CH_PART_UNREADABLE)
        return give_up_part(r, part);
    struct ch_part_tables tables = {0};
    int rc = make_tables(r, number, &tables);
    if (rc == 0 && part->shape.patched)
        rc = ch_part_unpatch(part->fd);
    if (rc == 0)
        rc = ch_part_write_end(part->fd, part->end, &tables, &part->shape.init, part->last_duration_ticks);
    ch_part_tables_free(&tables);
    if (rc == -ENOMEM)
        return rc;
    if (rc == 0 && part->temporary)
        rc = rename_part(r, number);
    if (rc < 0) { // a valid fragmented file it is still
        ch_recover_note_damage(r, "%s could not be finished (%s)", part->name, strerror(-rc));
        part->damaged = true;
    }
    return 0;
}

// --- session.json ---

struct file_list {
    struct ch_session_file files[CH_SESSION_MAX_FILES];
    size_t count;
};

static void list_files(const struct ch_recovery *r, struct file_list *list)
{
    bool jpeg = r->kind == CH_SESSION_JPEG;
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        const struct ch_recover_part *part = &r->parts[number];
        if (part->fd < 0)
            continue;
        int64_t bytes = ch_file_size(part->fd);
        struct ch_session_file *file = &list->files[list->count++];
        *file = (struct ch_session_file){.kind = CH_FILE_MP4,
                                         .bytes = bytes > 0 ? (uint64_t)bytes : 0,
                                         .frames = part->frames,
                                         .width = part->shape.init.width,
                                         .height = part->shape.init.height,
                                         .damaged = part->damaged};
        ch_part_name(number, file->name);
    }
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        const struct ch_recover_file *raw = &r->raw[number];
        if (raw->fd < 0)
            continue;
        struct ch_session_file *file = &list->files[list->count++];
        *file = (struct ch_session_file){.kind = jpeg ? CH_FILE_MJPEG : CH_FILE_H264,
                                         .bytes = raw->end,
                                         .frames = raw->items,
                                         .damaged = raw->damaged};
        char name[40];
        ch_recover_name("stream", jpeg ? "mjpeg" : "h264", number, name);
        memcpy(file->name, name, sizeof file->name);
    }
}

static int write_indexes(struct ch_recovery *r, struct file_list *list)
{
    int rc = settle_index(r);
    for (unsigned number = 1; number < CH_RECOVER_FILES && rc == 0; number++) {
        if (r->index[number].fd < 0)
            continue;
        struct ch_session_file *file = &list->files[list->count++];
        char name[40];
        ch_recover_name("frames", "idx", number, name);
        memcpy(file->name, name, sizeof file->name);
        rc = write_index(r, number, file);
    }
    return rc;
}

// What only the beginning knew, as far as the folder's name still tells it.
static json_t *begin_report(struct ch_recovery *r)
{
    if (r->session)
        return json_incref(r->session);
    char client[CH_SESSION_ID_BYTES];
    int64_t ignored;
    bool named = ch_recover_read_name(r->id, client, &ignored);
    const char *port = strrchr(client, '_');
    bool address = port && port[1] && port[1 + strspn(port + 1, "0123456789")] == '\0' &&
                   strspn(client, "0123456789abcdefABCDEF.-") == (size_t)(port - client);
    return ch_session_json_begin(r->id, named && !address ? client : NULL, named && address ? client : NULL, NULL, NULL,
                                 r->started_us);
}

// Of the first part that has AAC frames.
static const struct ch_aac_config *find_audio(const struct ch_recovery *r)
{
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++)
        if (r->parts[number].fd >= 0 && r->parts[number].audio_frames > 0)
            return &r->parts[number].shape.init.audio;
    return NULL;
}

static int write_report(struct ch_recovery *r, const struct ch_report *report, const struct file_list *list,
                        struct ch_session_summary *summary)
{
    json_t *session = begin_report(r);
    if (!session)
        return -ENOMEM;
    const char *end_reason = json_string_value(json_object_get(r->session, "end_reason"));
    summary->verdict = ch_session_judge(r->kind, report, true, r->damage[0], r->damage, summary->reason);
    struct ch_session_facts facts = {
        .kind = r->kind,
        .id = r->id,
        .end_reason = r->was_finished && end_reason ? end_reason : "interrupted",
        .verdict = summary->verdict,
        .reason = summary->reason,
        .started_us = r->started_us,
        .files = list->files,
        .file_count = list->count,
        .report = report,
        .audio = find_audio(r),
    };
    char *kept = strdup(facts.end_reason); // it lies in the object that is filled in
    facts.end_reason = kept;
    int rc = kept && json_object_set_new(session, "id", json_string(r->id)) == 0 ? 0 : -ENOMEM;
    if (rc == 0)
        rc = ch_session_json_fill(session, &facts);
    if (rc == 0)
        rc = ch_session_json_write(session, r->dir);
    free(kept);
    json_decref(session);
    return rc;
}

static void summarise(const struct ch_recovery *r, const struct ch_report *report, struct ch_session_summary *summary)
{
    summary->kind = r->kind;
    snprintf(summary->id, sizeof summary->id, "%s", r->id);
    summary->frames = report->frames;
    summary->missing = report->sequence.missing;
    summary->bytes = report->bytes;
    summary->duration_ticks = ch_report_duration_ticks(report);
    for (unsigned number = 1; number < CH_RECOVER_FILES && !summary->has_video; number++)
        if (r->parts[number].fd >= 0 && r->parts[number].frames > 0) {
            summary->has_video = true;
            ch_part_name(number, summary->first_part);
        }
}

// The first picture's, where there is none. Nothing depends on it: a failure is no one's concern.
static void make_thumbnail(const struct ch_recovery *r)
{
    size_t i = 0;
    while (i < r->count && !(r->entries[i].record.flags & CH_FRAME_PICTURE))
        i++;
    if (r->kind != CH_SESSION_JPEG || i == r->count || faccessat(r->dir, "thumbnail.jpg", F_OK, 0) == 0)
        return;
    char name[40];
    ch_recover_name("stream", "mjpeg", r->entries[i].raw, name);
    (void)!ch_thumbnail_copy(r->dir, name, r->entries[i].raw_offset, r->entries[i].record.payload_bytes);
}

int ch_recover_conclude(struct ch_recovery *r, struct ch_session_summary *summary)
{
    struct file_list *list = calloc(1, sizeof *list);
    if (!list)
        return -ENOMEM;
    struct ch_report report;
    ch_report_init(&report);
    if (r->kind == CH_SESSION_JPEG)
        settle_jpegs(r);
    else
        settle_entries(r);
    add_up(r, &report);
    struct file_list *indexes = calloc(1, sizeof *indexes);
    int rc = indexes ? write_indexes(r, indexes) : -ENOMEM;
    for (unsigned number = 1; number < CH_RECOVER_FILES && rc == 0; number++)
        rc = finish_part(r, number);
    if (rc == 0)
        rc = ch_file_sync_folder(r->dir);
    if (rc == 0) {
        list_files(r, list);
        make_thumbnail(r);
        for (size_t i = 0; i < indexes->count && list->count < CH_SESSION_MAX_FILES; i++)
            list->files[list->count++] = indexes->files[i];
        rc = write_report(r, &report, list, summary);
    }
    if (rc == 0)
        summarise(r, &report, summary);
    ch_report_deinit(&report);
    free(indexes);
    free(list);
    return rc;
}
