#include "sink/writer.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "sink/part.h"
#include "sink/thumbnail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SUFFIX 10000

// A file that only grows: stream.h264, stream.mjpeg or frames.idx.
struct growing {
    int fd; // -1: none
    unsigned number;
    char name[32];
    uint64_t end, items;
    bool dirty;
};

struct ch_writer {
    struct ch_writer_options options;
    struct ch_writer *next; // in options.group
    int dir;
    char id[CH_SESSION_ID_BYTES];
    json_t *json;
    struct growing index, raw; // raw: the messages as they came
    EVP_MD_CTX *index_hash;
    struct ch_part part;
    bool part_dirty, part_error;
    unsigned parts; // made so far
    struct ch_report report;
    struct ch_record last_picture;
    bool any_picture;
    struct ch_aac_config audio; // of the first part with AAC frames; rate 0: none yet
    struct {
        char file[32];  // of a JPEG camera's first picture, at the beginning of it
        uint32_t bytes; // 0: none yet
    } first_picture;
    int64_t base_ticks; // of the session's first picture on the stream's timeline
    int64_t synced_us;
    int failed;       // the error that ended the session
    char damage[128]; // what the verdict says of the first damaged file
    struct ch_session_file files[CH_SESSION_MAX_FILES];
    size_t file_count;
    // Scratch for a batch.
    struct iovec *iov;
    size_t iov_capacity;
    struct ch_record *records;
    uint8_t *encoded;
    size_t batch_capacity;
};

const char *ch_writer_id(const struct ch_writer *writer)
{
    return writer->id;
}

static bool is_jpeg(const struct ch_writer *writer)
{
    return writer->options.kind == CH_SESSION_JPEG;
}

// --- files that end, well or badly ---

static enum ch_file_kind raw_kind(const struct ch_writer *writer)
{
    return is_jpeg(writer) ? CH_FILE_MJPEG : CH_FILE_H264;
}

static void list_file(struct ch_writer *writer, const struct ch_session_file *file)
{
    if (writer->file_count < CH_SESSION_MAX_FILES)
        writer->files[writer->file_count++] = *file;
}

static void note_damage(struct ch_writer *writer, const char *name, const char *what, int error)
{
    ch_log_error("%s/%s/%s is damaged: %s failed: %s", writer->options.root_path, writer->id, name, what,
                 strerror(-error));
    if (!writer->damage[0])
        snprintf(writer->damage, sizeof writer->damage, "%s of %s failed: %s", what, name, strerror(-error));
}

static void close_growing(struct ch_writer *writer, struct growing *file, enum ch_file_kind kind, bool damaged)
{
    if (file->fd < 0)
        return;
    struct ch_session_file entry = {.kind = kind, .bytes = file->end, .frames = file->items, .damaged = damaged};
    memcpy(entry.name, file->name, sizeof entry.name);
    if (kind == CH_FILE_INDEX) {
        uint8_t digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        EVP_DigestFinal_ex(writer->index_hash, digest, &size);
        ch_format_hex(digest, 32, entry.sha256);
    }
    list_file(writer, &entry);
    close(file->fd);
    file->fd = -1;
}

// `unindexed` records of the batch at hand are not in the index.
static void finish_part(struct ch_writer *writer, bool damaged, size_t unindexed)
{
    struct ch_part *part = &writer->part;
    if (part->fd < 0)
        return;
    if (!damaged) {
        int rc = ch_part_finish(part, writer->index.fd, writer->records, unindexed,
                                ch_report_last_duration_ticks(&writer->report));
        if (rc < 0 && rc != -ENODATA) {
            note_damage(writer, part->name, "finishing", rc);
            damaged = true;
        }
    }
    if (part->audio_frames > 0 && writer->audio.rate == 0)
        writer->audio = part->params->audio;
    int64_t bytes = ch_file_size(part->fd);
    struct ch_session_file entry = {.kind = CH_FILE_MP4,
                                    .bytes = bytes > 0 ? (uint64_t)bytes : 0,
                                    .frames = part->frames,
                                    .width = part->params->width,
                                    .height = part->params->height,
                                    .damaged = damaged};
    memcpy(entry.name, part->name, sizeof entry.name);
    list_file(writer, &entry);
    ch_part_close(part);
    writer->part_dirty = false;
}

// --- beginning ---

static int create_growing(struct ch_writer *writer, struct growing *file, const char *stem, const char *extension)
{
    unsigned number = file->number + 1;
    if (number == 1)
        snprintf(file->name, sizeof file->name, "%s.%s", stem, extension);
    else
        snprintf(file->name, sizeof file->name, "%s_%u.%s", stem, number, extension);
    int fd = number > CH_LIMIT_PARTS ? -EMFILE : ch_file_create(writer->dir, file->name);
    if (fd < 0)
        return fd;
    file->fd = fd;
    file->number = number;
    file->end = file->items = 0;
    file->dirty = false;
    return 0;
}

static int create_raw(struct ch_writer *writer)
{
    return create_growing(writer, &writer->raw, "stream", is_jpeg(writer) ? "mjpeg" : "h264");
}

static int open_index(struct ch_writer *writer)
{
    int rc = create_growing(writer, &writer->index, "frames", "idx");
    if (rc < 0)
        return rc;
    uint8_t header[CH_INDEX_HEADER_BYTES];
    ch_index_write_header(writer->options.started_us, header);
    rc = ch_file_write_at(writer->index.fd, header, sizeof header, 0);
    if (rc < 0) {
        close(writer->index.fd);
        writer->index.fd = -1;
        unlinkat(writer->dir, writer->index.name, 0);
        return rc;
    }
    writer->index.end = sizeof header;
    writer->index.dirty = true;
    EVP_DigestInit_ex(writer->index_hash, EVP_sha256(), NULL);
    EVP_DigestUpdate(writer->index_hash, header, sizeof header);
    return 0;
}

// A folder of its own: `client`_`time`, with a number behind it if that is taken. A dot in front would hide it.
static int make_folder(struct ch_writer *writer)
{
    char stamp[CH_STAMP_BYTES];
    const char *client = writer->options.client;
    ch_format_stamp(writer->options.started_us, stamp);
    for (int n = 1; n < MAX_SUFFIX; n++) {
        int used = snprintf(writer->id, sizeof writer->id, "%s%.80s_%s", client[0] == '.' ? "_" : "", client, stamp);
        if (n > 1)
            snprintf(writer->id + used, sizeof writer->id - (size_t)used, "_%d", n);
        if (mkdirat(writer->options.root, writer->id, 0755) == 0) {
            int dir = openat(writer->options.root, writer->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (dir >= 0) {
                flock(dir, LOCK_EX); // as long as the session lasts, recovery keeps its hands off
                return dir;
            }
            int error = -errno;
            unlinkat(writer->options.root, writer->id, AT_REMOVEDIR);
            return error;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

// Room for the last session.json, so that a full disk can still be told about.
static void reserve(int dir)
{
    int fd = openat(dir, "session.json.tmp", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    if (fallocate(fd, 0, 0, CH_SESSION_RESERVE_BYTES) < 0)
        unlinkat(dir, "session.json.tmp", 0); // not every file system can; it is a kindness only
    close(fd);
}

static int make_files(struct ch_writer *writer)
{
    const struct ch_writer_options *options = &writer->options;
    writer->json = ch_session_json_begin(writer->id, options->camera_name, options->address, options->device_model,
                                         options->capabilities, options->started_us);
    if (!writer->json)
        return -ENOMEM;
    int rc = open_index(writer);
    if (rc == 0 && (options->h264 || is_jpeg(writer)))
        rc = create_raw(writer);
    if (rc < 0)
        return rc;
    struct ch_session_facts facts = {.kind = options->kind, .id = writer->id, .started_us = options->started_us};
    rc = ch_session_json_fill(writer->json, &facts);
    if (rc == 0)
        rc = ch_session_json_write(writer->json, writer->dir);
    if (rc == 0)
        rc = ch_file_sync_folder(options->root);
    if (rc == 0)
        reserve(writer->dir);
    return rc;
}

static void remove_folder(struct ch_writer *writer)
{
    static const char *const names[] = {"frames.idx", "stream.h264", "stream.mjpeg", "session.json",
                                        "session.json.tmp"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlinkat(writer->dir, names[i], 0);
    unlinkat(writer->options.root, writer->id, AT_REMOVEDIR);
}

static void join_group(struct ch_writer *writer)
{
    if (!writer->options.group)
        return;
    writer->next = *writer->options.group;
    *writer->options.group = writer;
}

static void leave_group(struct ch_writer *writer)
{
    struct ch_writer **at = writer->options.group;
    while (at && *at && *at != writer)
        at = &(*at)->next;
    if (at && *at)
        *at = writer->next;
}

static void free_writer(struct ch_writer *writer)
{
    leave_group(writer);
    ch_part_close(&writer->part);
    if (writer->index.fd >= 0)
        close(writer->index.fd);
    if (writer->raw.fd >= 0)
        close(writer->raw.fd);
    if (writer->dir >= 0)
        close(writer->dir);
    ch_report_deinit(&writer->report);
    json_decref(writer->json);
    EVP_MD_CTX_free(writer->index_hash);
    free(writer->iov);
    free(writer->records);
    free(writer->encoded);
    free(writer);
}

int ch_writer_open(struct ch_writer **out, const struct ch_writer_options *options)
{
    struct ch_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return -ENOMEM;
    writer->options = *options;
    writer->index.fd = writer->raw.fd = writer->part.fd = -1;
    writer->synced_us = ch_clock_mono_us();
    ch_report_init(&writer->report);
    writer->index_hash = EVP_MD_CTX_new();
    writer->dir = writer->index_hash ? make_folder(writer) : -ENOMEM;
    int rc = writer->dir;
    if (rc >= 0) {
        rc = make_files(writer);
        if (rc < 0)
            remove_folder(writer);
    }
    if (rc < 0) {
        free_writer(writer);
        return rc;
    }
    // What the options point at is in session.json now; only these are needed later.
    writer->options.client = writer->options.camera_name = writer->options.address = NULL;
    writer->options.device_model = writer->options.capabilities = NULL;
    join_group(writer);
    *out = writer;
    return 0;
}

// --- damaged files and their successors ---

static int fail(struct ch_writer *writer, int error)
{
    if (!writer->failed) {
        writer->failed = error;
        ch_log_error("session %s cannot go on: %s", writer->id, strerror(-error));
    }
    return writer->failed;
}

static int replace_raw(struct ch_writer *writer, const char *what, int error)
{
    note_damage(writer, writer->raw.name, what, error);
    close_growing(writer, &writer->raw, raw_kind(writer), true);
    int rc = create_raw(writer);
    return rc < 0 ? fail(writer, rc) : 0;
}

// Parts and their index belong together: a new index begins with a new part.
static int replace_index(struct ch_writer *writer, const char *what, int error, size_t unindexed)
{
    note_damage(writer, writer->index.name, what, error);
    finish_part(writer, false, unindexed);
    close_growing(writer, &writer->index, CH_FILE_INDEX, true);
    int rc = open_index(writer);
    return rc < 0 ? fail(writer, rc) : 0;
}

static void damage_part(struct ch_writer *writer, const char *what, int error)
{
    note_damage(writer, writer->part.name, what, error);
    if (ftruncate(writer->part.fd, (off_t)writer->part.end) < 0)
        ch_log_warning("%s/%s: its torn tail could not be cut: %s", writer->id, writer->part.name, strerror(errno));
    finish_part(writer, true, 0);
}

// --- writing ---

static int grow_iov(struct ch_writer *writer, size_t count)
{
    if (count <= writer->iov_capacity)
        return 0;
    struct iovec *iov = realloc(writer->iov, count * sizeof *iov);
    if (!iov)
        return -ENOMEM;
    writer->iov = iov;
    writer->iov_capacity = count;
    return 0;
}

static int grow_batch(struct ch_writer *writer, size_t count)
{
    if (count <= writer->batch_capacity)
        return 0;
    struct ch_record *records = realloc(writer->records, count * sizeof *records);
    if (!records)
        return -ENOMEM;
    writer->records = records;
    uint8_t *encoded = realloc(writer->encoded, count * CH_INDEX_RECORD_BYTES);
    if (!encoded)
        return -ENOMEM;
    writer->encoded = encoded;
    writer->batch_capacity = count;
    return 0;
}

static int open_part(struct ch_writer *writer, struct ch_frame *key)
{
    finish_part(writer, false, 0);
    if (writer->parts == CH_LIMIT_PARTS)
        return -EMFILE;
    int rc = ch_part_create(&writer->part, writer->dir, writer->parts + 1, key);
    if (rc < 0)
        return rc;
    writer->parts++;
    writer->part_error = false;
    writer->part.first_record = writer->index.items;
    if (!writer->any_picture)
        writer->base_ticks = key->pts_ticks;
    return 0;
}

// A part that cannot be begun does not end the session: the other files go on, and the next key frame is
// another chance.
static void part_not_begun(struct ch_writer *writer, int error)
{
    if (!writer->part_error)
        ch_log_error("%s/%s: a part of stream.mp4 cannot be begun: %s; tried again at every key frame",
                     writer->options.root_path, writer->id, strerror(-error));
    writer->part_error = true;
    if (!writer->damage[0])
        snprintf(writer->damage, sizeof writer->damage, "a part of stream.mp4 could not be begun: %s",
                 strerror(-error));
}

// Whether this frame goes into an MP4 part, opening one where it must begin.
static bool wants_part(struct ch_writer *writer, struct ch_frame *frame)
{
    if (!frame->sample)
        return false;
    if (writer->part.fd >= 0 && writer->part.params == frame->params)
        return true;
    if (!(frame->flags & CH_FRAME_KEY))
        return false;
    int rc = open_part(writer, frame);
    if (rc < 0)
        part_not_begun(writer, rc);
    return rc == 0;
}

// The same encoder buffer sent twice: decoding it again would spoil the picture.
static bool is_same_again(const struct ch_writer *writer, const struct ch_frame *frame)
{
    const struct ch_record *last = &writer->last_picture;
    return writer->any_picture && last->sequence == frame->sequence && last->device_ms == frame->device_ms &&
           last->hash == frame->hash;
}

// AAC frames are in the MP4 or nowhere.
static bool is_raw(const struct ch_frame *frame)
{
    return !(frame->flags & CH_FRAME_AUDIO);
}

static uint32_t raw_bytes(const struct ch_frame *frame)
{
    return is_raw(frame) ? frame->payload_bytes : 0;
}

static struct ch_record make_record(const struct ch_writer *writer, const struct ch_frame *frame)
{
    bool picture = frame->sample && is_raw(frame);
    return (struct ch_record){
        .sequence = frame->sequence,
        .flags = (uint16_t)frame->flags,
        .device_ms = frame->device_ms,
        .arrival_us = frame->arrival_wall_us,
        .pts_ticks = frame->sample && writer->any_picture ? frame->pts_ticks - writer->base_ticks : 0,
        .payload_bytes = raw_bytes(frame),
        .hash = frame->hash,
        .composition_ticks = picture ? (int32_t)(frame->pts_ticks - frame->dts_ticks) : 0,
    };
}

// Writes the fragments of the frames whose record has sample_bytes, and completes or takes back those records.
static void write_fragments(struct ch_writer *writer, struct ch_frame *const *frames, size_t count)
{
    struct ch_frame **picked = malloc(count * sizeof *picked);
    size_t picked_count = 0, whole = 0;
    for (size_t i = 0; picked && i < count; i++)
        if (writer->records[i].sample_bytes > 0)
            picked[picked_count++] = frames[i];
    uint64_t offset = writer->part.end;
    int rc = picked ? 0 : -ENOMEM;
    if (picked_count > 0) {
        rc = ch_part_append(&writer->part, picked, picked_count, &whole);
        writer->part_dirty = true;
    }
    free(picked);
    for (size_t i = 0; i < count; i++) {
        struct ch_record *record = &writer->records[i];
        if (record->sample_bytes == 0)
            continue;
        if (whole == 0) { // not in the file
            record->sample_bytes = 0;
            continue;
        }
        whole--;
        record->part = (uint16_t)writer->part.number;
        record->sample_offset = offset + CH_MP4_FRAGMENT_HEADER_BYTES;
        offset += CH_MP4_FRAGMENT_HEADER_BYTES + record->sample_bytes;
    }
    if (rc < 0)
        damage_part(writer, "writing", rc);
}

// Appends as many of the frames as the file takes whole; *whole tells how many.
static int append_raw(struct ch_writer *writer, struct ch_frame *const *frames, size_t count, size_t *whole)
{
    size_t vectors = 0, used = 0;
    *whole = 0;
    for (size_t i = 0; i < count; i++)
        vectors += is_raw(frames[i]) ? ch_frame_annexb_count(frames[i]) : 0;
    int rc = grow_iov(writer, vectors);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        used += is_raw(frames[i]) ? ch_frame_annexb(frames[i], writer->iov + used) : 0;
    struct growing *file = &writer->raw;
    uint64_t written = 0;
    rc = ch_file_write_vectors_at(file->fd, writer->iov, used, file->end, &written);
    file->dirty = true;
    for (; *whole < count && written >= raw_bytes(frames[*whole]); ++*whole) {
        uint32_t bytes = raw_bytes(frames[*whole]);
        written -= bytes;
        if (is_jpeg(writer) && writer->first_picture.bytes == 0) {
            writer->first_picture.bytes = bytes;
            memcpy(writer->first_picture.file, file->name, sizeof file->name);
        }
        file->end += bytes;
        file->items += is_raw(frames[*whole]);
    }
    return rc;
}

static void cut_tail(const struct ch_writer *writer, const struct growing *file)
{
    if (ftruncate(file->fd, (off_t)file->end) < 0)
        ch_log_warning("%s/%s: its torn tail could not be cut: %s", writer->id, file->name, strerror(errno));
}

// *kept tells how many of the frames are in a file, also on failure.
static int write_raw(struct ch_writer *writer, struct ch_frame *const *frames, size_t count, size_t *kept)
{
    *kept = count;
    if (writer->raw.fd < 0)
        return 0;
    int rc = append_raw(writer, frames, count, kept);
    if (rc == 0)
        return 0;
    cut_tail(writer, &writer->raw);
    int replaced = replace_raw(writer, "writing", rc);
    if (replaced < 0)
        return replaced;
    size_t more;
    rc = append_raw(writer, frames + *kept, count - *kept, &more);
    *kept += more;
    return rc < 0 ? fail(writer, rc) : 0;
}

static int write_index(struct ch_writer *writer, size_t count)
{
    size_t bytes = count * CH_INDEX_RECORD_BYTES;
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        ch_report_add(&writer->report, &writer->records[i]);
        ch_index_write_record(&writer->records[i], writer->encoded + i * CH_INDEX_RECORD_BYTES);
    }
    for (int attempt = 0;; attempt++) {
        int rc = ch_file_write_at(writer->index.fd, writer->encoded, bytes, writer->index.end);
        if (rc == 0)
            break;
        cut_tail(writer, &writer->index);
        rc = attempt == 0 ? replace_index(writer, "writing", rc, count) : fail(writer, rc);
        if (rc < 0)
            return rc;
    }
    EVP_DigestUpdate(writer->index_hash, writer->encoded, bytes);
    writer->index.end += bytes;
    writer->index.items += count;
    writer->index.dirty = true;
    return 0;
}

// frames[0..count) belong to one part, or to none.
static int write_run(struct ch_writer *writer, struct ch_frame *const *frames, size_t count)
{
    if (count == 0)
        return 0;
    if (writer->part.fd >= 0)
        write_fragments(writer, frames, count);
    size_t kept;
    int rc = write_raw(writer, frames, count, &kept);
    int index_rc = write_index(writer, is_jpeg(writer) ? kept : count); // the MP4 has those that stream.h264 lacks
    return rc < 0 ? rc : index_rc;
}

static int sync_growing(struct growing *file)
{
    if (file->fd < 0 || !file->dirty)
        return 0;
    file->dirty = false;
    return ch_file_sync(file->fd);
}

static int sync_files(struct ch_writer *writer)
{
    int rc = writer->part.fd >= 0 && writer->part_dirty ? ch_file_sync(writer->part.fd) : 0;
    writer->part_dirty = false;
    if (rc < 0)
        damage_part(writer, "syncing", rc);
    rc = sync_growing(&writer->raw);
    if (rc < 0 && (rc = replace_raw(writer, "syncing", rc)) < 0)
        return rc;
    rc = sync_growing(&writer->index);
    return rc < 0 ? replace_index(writer, "syncing", rc, 0) : 0;
}

static void plan_jpeg(struct ch_writer *writer, const struct ch_frame *frame, struct ch_record *record)
{
    assert(frame->flags & CH_FRAME_JPEG);
    if (!writer->any_picture)
        writer->base_ticks = frame->pts_ticks;
    writer->any_picture = true;
    *record = make_record(writer, frame);
}

static void plan_audio(struct ch_writer *writer, const struct ch_frame *frame, struct ch_record *record)
{
    *record = make_record(writer, frame);
    if (ch_part_take_audio(&writer->part, frame))
        record->sample_bytes = frame->sample_bytes;
}

// What the index says of a frame, before it is written.
static void plan(struct ch_writer *writer, struct ch_frame *frame, struct ch_record *record)
{
    if (is_jpeg(writer)) {
        plan_jpeg(writer, frame, record);
        return;
    }
    assert(!(frame->flags & CH_FRAME_JPEG));
    if (frame->flags & CH_FRAME_AUDIO) {
        plan_audio(writer, frame, record);
        return;
    }
    bool first = !writer->any_picture;
    bool in_part = wants_part(writer, frame) && !is_same_again(writer, frame);
    if (in_part)
        writer->any_picture = true;
    *record = make_record(writer, frame);
    if (first) // the session's time begins with its first picture, whatever was before
        record->flags &= (uint16_t) ~(CH_FRAME_JUMP | CH_FRAME_REPAIRED);
    if (first && !in_part && (record->flags & CH_FRAME_PICTURE) && !writer->part_error)
        record->flags |= CH_FRAME_BEFORE_KEY;
    if (!in_part)
        return;
    record->sample_bytes = frame->sample_bytes;
    writer->last_picture = *record;
}

static void start_writeback(int fd, bool dirty)
{
    if (fd >= 0 && dirty)
        sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); // a head start only: the sync tells what comes of it
}

static void sync_one(struct ch_writer *writer, int64_t now_us)
{
    writer->synced_us = now_us;
    int rc = writer->failed ? 0 : sync_files(writer);
    if (rc < 0)
        fail(writer, rc);
}

// All of the thread's sessions at once: when every file is on its way to the disk before the first is waited for,
// most find their journal entries written by the syncs before them. That halves the price.
static void sync_group(struct ch_writer *writer, int64_t now_us)
{
    if (!writer->options.group) {
        sync_one(writer, now_us);
        return;
    }
    for (struct ch_writer *each = *writer->options.group; each; each = each->next) {
        start_writeback(each->part.fd, each->part_dirty);
        start_writeback(each->raw.fd, each->raw.dirty);
        start_writeback(each->index.fd, each->index.dirty);
    }
    for (struct ch_writer *each = *writer->options.group; each; each = each->next)
        sync_one(each, now_us);
}

static bool begins_part(const struct ch_writer *writer, const struct ch_frame *frame)
{
    const struct ch_params *current = writer->part.fd >= 0 ? writer->part.params : NULL;
    return !is_jpeg(writer) && frame->sample && (frame->flags & CH_FRAME_KEY) && current != frame->params;
}

int ch_writer_write(struct ch_writer *writer, struct ch_frame *const *frames, size_t count, int64_t now_us)
{
    if (writer->failed)
        return writer->failed;
    int rc = grow_batch(writer, count);
    size_t from = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (begins_part(writer, frames[i])) {
            rc = write_run(writer, frames + from, i - from); // what is still of the part that ends here
            from = i;
        }
        if (rc == 0)
            plan(writer, frames[i], &writer->records[i - from]);
    }
    if (rc == 0)
        rc = write_run(writer, frames + from, count - from);
    if (rc < 0)
        return fail(writer, rc);
    // Half a tick early: a tick later would be too late.
    if (now_us - writer->synced_us >= writer->options.sync_us - CH_FLUSH_US / 2)
        sync_group(writer, now_us);
    return writer->failed;
}

// --- the end ---

static void summarise(const struct ch_writer *writer, struct ch_session_summary *summary)
{
    summary->kind = writer->options.kind;
    memcpy(summary->id, writer->id, sizeof summary->id);
    summary->frames = writer->report.frames;
    summary->missing = writer->report.sequence.missing;
    summary->bytes = writer->report.bytes;
    summary->duration_ticks = ch_report_duration_ticks(&writer->report);
    for (size_t i = 0; i < writer->file_count && !summary->has_video; i++)
        if (writer->files[i].kind == CH_FILE_MP4 && writer->files[i].frames > 0) {
            summary->has_video = true;
            memcpy(summary->first_part, writer->files[i].name, sizeof summary->first_part);
        }
}

static void make_thumbnail(const struct ch_writer *writer)
{
    if (writer->first_picture.bytes == 0)
        return;
    int rc = ch_thumbnail_copy(writer->dir, writer->first_picture.file, 0, writer->first_picture.bytes);
    if (rc < 0)
        ch_log_warning("%s/%s: no thumbnail: %s", writer->options.root_path, writer->id, strerror(-rc));
}

// Tried twice: the whole report hangs on it.
static int write_last_json(struct ch_writer *writer)
{
    int rc = ch_session_json_write(writer->json, writer->dir);
    if (rc == 0)
        return 0;
    ch_log_warning("%s/%s/session.json: writing failed: %s; trying once more", writer->options.root_path, writer->id,
                   strerror(-rc));
    return ch_session_json_write(writer->json, writer->dir);
}

void ch_writer_end(struct ch_writer **taken, const char *end_reason, struct ch_session_summary *summary)
{
    struct ch_writer *writer = *taken;
    *taken = NULL;
    memset(summary, 0, sizeof *summary);
    if (!writer->failed)
        sync_files(writer);
    finish_part(writer, false, 0);
    int rc = sync_growing(&writer->index);
    if (rc < 0)
        note_damage(writer, writer->index.name, "syncing", rc);
    close_growing(writer, &writer->index, CH_FILE_INDEX, rc < 0);
    rc = sync_growing(&writer->raw);
    if (rc < 0)
        note_damage(writer, writer->raw.name, "syncing", rc);
    close_growing(writer, &writer->raw, raw_kind(writer), rc < 0);
    if (writer->failed && !writer->damage[0])
        snprintf(writer->damage, sizeof writer->damage, "the session could not go on: %s", strerror(-writer->failed));
    summary->verdict = ch_session_judge(writer->options.kind, &writer->report, false, writer->damage[0], writer->damage,
                                        summary->reason);
    struct ch_session_facts facts = {
        .kind = writer->options.kind,
        .id = writer->id,
        .end_reason = writer->failed ? "damaged" : end_reason,
        .verdict = summary->verdict,
        .reason = summary->reason,
        .started_us = writer->options.started_us,
        .files = writer->files,
        .file_count = writer->file_count,
        .report = &writer->report,
        .audio = &writer->audio,
    };
    make_thumbnail(writer);
    rc = ch_session_json_fill(writer->json, &facts);
    if (rc == 0)
        rc = write_last_json(writer);
    if (rc < 0)
        ch_log_error("%s/%s/session.json could not be written: %s (camhub repair makes it anew)",
                     writer->options.root_path, writer->id, strerror(-rc));
    summarise(writer, summary);
    free_writer(writer);
}
