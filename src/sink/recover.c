// Recovery in steps, of which each leaves the folder no worse than it was, so that it may be cut off anywhere
// and be run again:
//
//   look         what is there, and does it need anything?
//   match        index and MP4 fragments into one list of entries (recover_match.c)
//   agree        stream.h264 and the MP4 make good what the other lost (recover_h264.c)
//   index        written and synced, only where it differs
//   parts        finished in place, as the writer does it
//   session.json last, in one step: with it the session is finished
#include "sink/recover.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "sink/part.h"
#include "sink/recover_internal.h"
#include "sink/session_json.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void ch_recover_note_damage(struct ch_recovery *r, const char *format, ...)
{
    if (r->damage[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(r->damage, sizeof r->damage, format, args);
    va_end(args);
}

// --- what is there ---

static void numbered_name(const char *stem, const char *extension, unsigned number, char out[40])
{
    if (number == 1)
        snprintf(out, 40, "%s.%s", stem, extension);
    else
        snprintf(out, 40, "%s_%u.%s", stem, number, extension);
}

// A regular file of the folder, or -1.
static int open_file(int dir, const char *name, int flags)
{
    int fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int open_folder(int root, const char *id)
{
    int dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return dir < 0 ? -errno : dir;
}

static bool exists(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static bool holds_session(int dir, bool report)
{
    if (report || exists(dir, "frames.idx") || exists(dir, "stream.mp4") || exists(dir, "stream.h264"))
        return true;
    return false;
}

static bool is_finished(const json_t *session)
{
    const char *state = json_string_value(json_object_get(session, "state"));
    return state && strcmp(state, "finished") == 0;
}

static bool listed_as_damaged(const json_t *session, const char *name)
{
    size_t i;
    json_t *file;
    json_array_foreach(json_object_get(session, "files"), i, file) {
        const char *listed = json_string_value(json_object_get(file, "name"));
        if (listed && strcmp(listed, name) == 0)
            return json_is_true(json_object_get(file, "damaged"));
    }
    return false;
}

// True if a part of a finished session is not: and, without `known`, that is not what session.json says.
static bool any_part_unfinished(int dir, const json_t *session, bool known)
{
    bool found = false;
    for (unsigned number = 1; number < CH_RECOVER_FILES && !found; number++) {
        char name[32];
        ch_part_name(number, name);
        int fd = open_file(dir, name, O_RDONLY);
        if (fd < 0)
            continue;
        struct ch_part_shape shape;
        if (ch_part_scan(fd, &shape, NULL, NULL) == 0)
            found = shape.form == CH_PART_FRAGMENTED && (known || !listed_as_damaged(session, name));
        ch_part_shape_deinit(&shape);
        close(fd);
    }
    return found;
}

// A finished video that another program made, as the original's are: nothing to do, nothing to be touched.
static bool is_foreign_video(int dir)
{
    int fd = open_file(dir, "stream.mp4", O_RDONLY);
    if (fd < 0)
        return false;
    uint64_t at = 0;
    int64_t size = ch_file_size(fd);
    bool moov = false;
    uint8_t box[16];
    while (!moov && at + 8 <= (uint64_t)(size > 0 ? size : 0)) {
        int64_t got = ch_file_read_some(fd, box, sizeof box, at);
        if (got < 8)
            break;
        uint64_t bytes = (uint64_t)box[0] << 24 | (uint64_t)box[1] << 16 | (uint64_t)box[2] << 8 | box[3];
        if (bytes == 1 && got == sizeof box)
            for (unsigned i = 8; i < 16; i++)
                bytes = bytes << 8 | box[i];
        if (bytes < 8 || bytes > (uint64_t)size - at)
            break;
        moov = memcmp(box + 4, "moov", 4) == 0;
        at += bytes;
    }
    struct ch_part_shape shape;
    bool ours = ch_part_scan(fd, &shape, NULL, NULL) == 0 && shape.form != CH_PART_UNREADABLE;
    ch_part_shape_deinit(&shape);
    close(fd);
    return moov && !ours;
}

// 0 if there is something to do, -EALREADY or -ENOENT if not. *session is the caller's.
static int look(int dir, bool by_hand, json_t **session)
{
    *session = ch_session_json_read(dir);
    if (!holds_session(dir, *session != NULL))
        return -ENOENT;
    if (!*session && !exists(dir, "frames.idx") && is_foreign_video(dir))
        return -ENOENT;
    if (is_finished(*session) && !any_part_unfinished(dir, *session, by_hand))
        return -EALREADY;
    return 0;
}

bool ch_recover_needed(int root, const char *id)
{
    int dir = open_folder(root, id);
    if (dir < 0)
        return false;
    json_t *session;
    int rc = look(dir, false, &session);
    json_decref(session);
    close(dir);
    return rc == 0;
}

static void open_numbered(int dir, const char *stem, const char *extension, struct ch_recover_file *files)
{
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        char name[40];
        numbered_name(stem, extension, number, name);
        files[number].fd = open_file(dir, name, O_RDWR);
        int64_t bytes = files[number].fd >= 0 ? ch_file_size(files[number].fd) : 0;
        files[number].bytes = bytes > 0 ? (uint64_t)bytes : 0;
    }
}

static void open_files(struct ch_recovery *r)
{
    open_numbered(r->dir, "frames", "idx", r->index);
    open_numbered(r->dir, "stream", "h264", r->h264);
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        ch_part_name(number, r->parts[number].name);
        r->parts[number].fd = open_file(r->dir, r->parts[number].name, O_RDWR);
    }
}

static void close_files(struct ch_recovery *r)
{
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        int fds[3] = {r->index[number].fd, r->h264[number].fd, r->parts[number].fd};
        for (int i = 0; i < 3; i++)
            if (fds[i] >= 0)
                close(fds[i]);
        ch_part_shape_deinit(&r->parts[number].shape);
    }
}

// --- when and who ---

// "<client>_<YYYYMMDD_HHMMSS>[_N]". True if the name has this form.
static bool read_name(const char *id, char client[CH_SESSION_ID_BYTES], int64_t *started_us)
{
    for (size_t at = strlen(id); at-- > 1;) {
        struct tm tm = {.tm_isdst = -1};
        const char *end = id[at] == '_' ? strptime(id + at + 1, "%Y%m%d_%H%M%S", &tm) : NULL;
        if (!end || end - (id + at) != 16 || (*end != '\0' && *end != '_'))
            continue;
        snprintf(client, CH_SESSION_ID_BYTES, "%.*s", (int)at, id);
        time_t s = mktime(&tm);
        *started_us = s == -1 ? 0 : (int64_t)s * CH_US_PER_S;
        return true;
    }
    snprintf(client, CH_SESSION_ID_BYTES, "%s", id);
    return false;
}

// The time that the index does not tell: of session.json, else of the folder's name, else of a file.
static void find_start(struct ch_recovery *r)
{
    const char *text = json_string_value(json_object_get(r->session, "started"));
    struct tm tm = {0};
    const char *rest = text && r->started_us == 0 ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (rest) {
        r->started_us = (int64_t)timegm(&tm) * CH_US_PER_S;
        if (rest[0] == '.')
            r->started_us += (int64_t)strtol(rest + 1, NULL, 10) % 1000 * 1000;
    }
    char client[CH_SESSION_ID_BYTES];
    if (r->started_us <= 0)
        read_name(r->id, client, &r->started_us);
    struct stat st;
    if (r->started_us <= 0 && fstat(r->dir, &st) == 0)
        r->started_us = (int64_t)st.st_mtim.tv_sec * CH_US_PER_S;
}

// What only the beginning knew, as far as the folder's name still tells it.
static json_t *begin_report(struct ch_recovery *r)
{
    if (r->session)
        return json_incref(r->session);
    char client[CH_SESSION_ID_BYTES];
    int64_t ignored;
    bool named = read_name(r->id, client, &ignored);
    const char *port = strrchr(client, '_');
    bool address = port && port[1] && port[1 + strspn(port + 1, "0123456789")] == '\0' &&
                   strspn(client, "0123456789abcdefABCDEF.-") == (size_t)(port - client);
    return ch_session_json_begin(r->id, named && !address ? client : NULL, named && address ? client : NULL, NULL, NULL,
                                 r->started_us);
}

// --- the end ---

static const char *part_or_h264(const struct ch_recovery *r, const struct ch_entry *entry)
{
    return entry->record.part > 0 ? r->parts[entry->record.part].name : "stream.h264";
}

// What each entry still has decides what its record says; those with nothing go.
static void settle_entries(struct ch_recovery *r)
{
    bool any_h264 = false, more = false;
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++)
        any_h264 |= r->h264[number].fd >= 0;
    for (size_t i = r->count; i-- > 0;) {
        struct ch_entry *entry = &r->entries[i];
        struct ch_record *record = &entry->record;
        bool was_in_mp4 = record->part > 0;
        entry->dropped = !entry->in_mp4 && entry->h264 == 0 && (any_h264 || was_in_mp4);
        if (entry->dropped && more && (record->flags & CH_FRAME_PICTURE))
            ch_recover_note_damage(r, "pictures in the midst of %s are lost", part_or_h264(r, entry));
        more |= !entry->dropped;
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
        record->flags &= (uint16_t)~(CH_FRAME_DUPLICATE | CH_FRAME_REORDERED);
        ch_report_add(report, record);
    }
    r->parts[part].last_duration_ticks = ch_report_last_duration_ticks(report);
}

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

static int make_tables(const struct ch_recovery *r, unsigned number, struct ch_mp4_tables *tables)
{
    int rc = 0;
    for (size_t i = 0; i < r->count && rc == 0; i++) {
        const struct ch_record *record = &r->entries[i].record;
        if (record->part == number)
            rc = ch_mp4_tables_add(tables, record->sample_offset, record->sample_bytes,
                                   record->pts_ticks - record->composition_ticks, record->composition_ticks,
                                   record->flags & CH_FRAME_KEY);
    }
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
    struct ch_mp4_tables tables = {0};
    int rc = make_tables(r, number, &tables);
    if (rc == 0 && part->shape.patched)
        rc = ch_part_unpatch(part->fd);
    if (rc == 0)
        rc = ch_part_write_end(part->fd, part->end, &tables, &part->shape.init, part->last_duration_ticks);
    ch_mp4_tables_free(&tables);
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

// stream.h264 ends where its last message does.
static int cut_messages(struct ch_recovery *r)
{
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        struct ch_recover_file *file = &r->h264[number];
        if (file->fd < 0)
            continue;
        if (r->place.broken && number > r->place.file && file->items == 0) { // not looked at: what lies before it is missing
            file->end = file->bytes;
            file->damaged = file->bytes > 0;
            continue;
        }
        if (file->end < file->bytes && ftruncate(file->fd, (off_t)file->end) < 0)
            return -errno;
        int rc = ch_file_sync(file->fd);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int sync_parts(struct ch_recovery *r)
{
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        const struct ch_recover_part *part = &r->parts[number];
        int rc = part->fd >= 0 && part->shape.form == CH_PART_FRAGMENTED ? ch_file_sync(part->fd) : 0;
        if (rc < 0)
            return rc;
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
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        const struct ch_recover_part *part = &r->parts[number];
        if (part->fd < 0)
            continue;
        int64_t bytes = ch_file_size(part->fd);
        struct ch_session_file *file = &list->files[list->count++];
        *file = (struct ch_session_file){.kind = CH_FILE_MP4, .bytes = bytes > 0 ? (uint64_t)bytes : 0,
                                         .frames = part->frames, .width = part->shape.init.width,
                                         .height = part->shape.init.height, .damaged = part->damaged};
        ch_part_name(number, file->name);
    }
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        const struct ch_recover_file *h264 = &r->h264[number];
        if (h264->fd < 0)
            continue;
        struct ch_session_file *file = &list->files[list->count++];
        *file = (struct ch_session_file){.kind = CH_FILE_H264, .bytes = h264->end, .frames = h264->items,
                                         .damaged = h264->damaged};
        char name[40];
        numbered_name("stream", "h264", number, name);
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
        numbered_name("frames", "idx", number, name);
        memcpy(file->name, name, sizeof file->name);
        rc = write_index(r, number, file);
    }
    return rc;
}

static int write_report(struct ch_recovery *r, const struct ch_report *report, const struct file_list *list,
                        struct ch_session_summary *summary)
{
    json_t *session = begin_report(r);
    if (!session)
        return -ENOMEM;
    const char *end_reason = json_string_value(json_object_get(r->session, "end_reason"));
    summary->verdict = ch_session_judge(report, true, r->damage[0], r->damage, summary->reason);
    struct ch_session_facts facts = {
        .id = r->id, .end_reason = r->was_finished && end_reason ? end_reason : "interrupted",
        .verdict = summary->verdict, .reason = summary->reason, .started_us = r->started_us, .files = list->files,
        .file_count = list->count, .report = report,
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

// --- all of it ---

// True if stream.h264 has a picture or more where no MP4 has any, and the index does not know most of it.
static bool is_bare(const struct ch_recovery *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->entries[i].in_mp4)
            return false;
    uint64_t known = 0, bytes = 0;
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        known += r->h264[number].end;
        bytes += r->h264[number].bytes;
    }
    return bytes > 0 && known < bytes / 2;
}

// Where each message lies in stream.h264, and where the MP4 and it must make good what the other one lost.
static int agree(struct ch_recovery *r)
{
    int rc = ch_recover_check_parts(r);
    if (rc == 0)
        rc = ch_recover_align_messages(r);
    if (rc == 0 && r->place.file > 0 && !r->place.broken && r->place.at < r->h264[r->place.file].bytes)
        rc = ch_recover_take_rest(r);
    if (rc == 0)
        rc = ch_recover_refill_parts(r);
    if (rc == 0)
        rc = ch_recover_append_messages(r);
    return rc;
}

static void unlink_temporaries(struct ch_recovery *r)
{
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++)
        if (r->parts[number].temporary)
            unlinkat(r->dir, r->parts[number].name, 0);
}

// The entries, and stream.h264 and the MP4 parts as they belong to them; synced.
static int gather(struct ch_recovery *r)
{
    int rc = ch_recover_load_index(r);
    find_start(r);
    if (rc == 0)
        rc = ch_recover_match_parts(r);
    if (rc == 0)
        rc = ch_recover_place_messages(r);
    if (rc == 0)
        rc = is_bare(r) ? ch_recover_bare(r) : agree(r);
    if (rc == 0)
        rc = cut_messages(r);
    return rc < 0 ? rc : sync_parts(r);
}

static int conclude(struct ch_recovery *r, struct ch_session_summary *summary)
{
    struct file_list *list = calloc(1, sizeof *list);
    if (!list)
        return -ENOMEM;
    struct ch_report report;
    ch_report_init(&report);
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

static int recover(struct ch_recovery *r, struct ch_session_summary *summary)
{
    r->was_finished = is_finished(r->session);
    const char *verdict = json_string_value(json_object_get(r->session, "verdict"));
    const char *reason = json_string_value(json_object_get(r->session, "reason"));
    if (r->was_finished && verdict && strcmp(verdict, "damaged") == 0)
        ch_recover_note_damage(r, "%s", reason ? reason : "damaged");
    open_files(r);
    int rc = gather(r);
    if (rc == 0)
        rc = conclude(r, summary);
    if (rc < 0)
        unlink_temporaries(r);
    if (rc == 0 && unlinkat(r->dir, "session.json.tmp", 0) == 0)
        ch_file_sync_folder(r->dir);
    close_files(r);
    return rc;
}

int ch_recover_session(int root, const char *id, struct ch_session_summary *summary)
{
    memset(summary, 0, sizeof *summary);
    int dir = open_folder(root, id);
    if (dir < 0)
        return dir == -ENOTDIR || dir == -ELOOP ? -ENOENT : dir;
    struct ch_recovery *r = calloc(1, sizeof *r);
    if (!r) {
        close(dir);
        return -ENOMEM;
    }
    r->dir = dir;
    r->id = id;
    int rc = flock(dir, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK ? -EBUSY : 0;
    if (rc == 0)
        rc = look(dir, true, &r->session);
    if (rc == 0)
        rc = recover(r, summary);
    json_decref(r->session);
    free(r->entries);
    ch_scratch_free(&r->sample);
    ch_scratch_free(&r->payload);
    free(r);
    close(dir);
    return rc;
}
