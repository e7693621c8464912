#include "sink/jpeg_reader.h"

#include "base/limits.h"
#include "sink/scan_part.h"
#include "sink/session_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    int fd;          // -1: gone
    uint64_t frames; // records, or messages
};

struct files {
    struct file file[CH_LIMIT_PARTS];
    size_t count, at; // at: the one that the walk has come to
};

struct ch_jpeg_reader {
    struct files indexes, raws; // raws: stream.mjpeg and its successors
    struct ch_index_reader index;
    bool index_open;
    uint64_t raw_items, raw_offset; // messages passed in the file at hand, and where the next one begins
    struct ch_record record;        // that came last
    int fd;                         // that has it; -1: none
    uint64_t offset;
    struct ch_scratch scratch;
};

bool ch_jpeg_film_missing(int dir, const json_t *session)
{
    json_t *counts = json_object_get(session, "counts"), *entry;
    if (!ch_session_json_finished(session) || ch_session_json_kind(session) != CH_SESSION_JPEG ||
        json_integer_value(json_object_get(counts, "frames")) == 0)
        return false;
    size_t i;
    json_array_foreach (json_object_get(session, "files"), i, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        struct stat st;
        if (kind && strcmp(kind, "film") == 0 && fstatat(dir, "stream.mp4", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_size == json_integer_value(json_object_get(entry, "bytes")))
            return false;
    }
    return true;
}

static int add_file(struct files *files, int dir, const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    json_int_t frames = json_integer_value(json_object_get(entry, "frames"));
    if (!name || strchr(name, '/') || frames < 0 || files->count == CH_LIMIT_PARTS)
        return -EBADMSG;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    files->file[files->count++] = (struct file){.fd = fd, .frames = (uint64_t)frames};
    return 0;
}

int ch_jpeg_reader_open(struct ch_jpeg_reader **out, int dir, const json_t *session)
{
    struct ch_jpeg_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return -ENOMEM;
    reader->fd = -1;
    int rc = 0;
    size_t i;
    json_t *entry;
    json_array_foreach (json_object_get(session, "files"), i, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        if (rc == 0 && kind && strcmp(kind, "index") == 0)
            rc = add_file(&reader->indexes, dir, entry);
        if (rc == 0 && kind && strcmp(kind, "mjpeg") == 0)
            rc = add_file(&reader->raws, dir, entry);
    }
    if (rc == 0 && reader->indexes.count == 0)
        rc = -ENOENT;
    if (rc < 0) {
        ch_jpeg_reader_close(reader);
        return rc;
    }
    *out = reader;
    return 0;
}

static void close_files(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->file[i].fd >= 0)
            close(files->file[i].fd);
}

void ch_jpeg_reader_close(struct ch_jpeg_reader *reader)
{
    if (!reader)
        return;
    close_files(&reader->indexes);
    close_files(&reader->raws);
    ch_scratch_free(&reader->scratch);
    free(reader);
}

// 1 and the next record of any kind, 0 or an error.
static int next_record(struct ch_jpeg_reader *reader)
{
    while (reader->indexes.at < reader->indexes.count) {
        const struct file *file = &reader->indexes.file[reader->indexes.at];
        if (file->fd < 0)
            return -ENOENT;
        if (!reader->index_open)
            ch_index_reader_init(&reader->index, file->fd, 0);
        reader->index_open = true;
        if (reader->index.next < file->frames) {
            int rc = ch_index_reader_next(&reader->index, &reader->record);
            return rc == 0 ? -EBADMSG : rc;
        }
        reader->index_open = false;
        reader->indexes.at++;
    }
    return 0;
}

// Where the record's message lies.
static void find_message(struct ch_jpeg_reader *reader)
{
    struct files *raws = &reader->raws;
    while (raws->at < raws->count && reader->raw_items == raws->file[raws->at].frames) {
        raws->at++;
        reader->raw_items = reader->raw_offset = 0;
    }
    reader->fd = raws->at < raws->count ? raws->file[raws->at].fd : -1;
    reader->offset = reader->raw_offset;
    reader->raw_offset += reader->record.payload_bytes;
    reader->raw_items++;
}

int ch_jpeg_reader_next(struct ch_jpeg_reader *reader, struct ch_record *record)
{
    int rc;
    while ((rc = next_record(reader)) > 0) {
        find_message(reader);
        if ((reader->record.flags & CH_FRAME_JPEG) && (reader->record.flags & CH_FRAME_PICTURE)) {
            *record = reader->record;
            return 1;
        }
    }
    return rc;
}

int ch_jpeg_reader_read(struct ch_jpeg_reader *reader, const uint8_t **jpeg)
{
    if (reader->fd < 0)
        return -ENODATA;
    if (reader->record.payload_bytes > CH_LIMIT_MESSAGE_BYTES_MAX)
        return -ENODATA;
    int rc = ch_scratch_read(&reader->scratch, reader->fd, reader->offset, reader->record.payload_bytes);
    if (rc < 0)
        return rc;
    *jpeg = reader->scratch.data;
    return ch_message_hash(&reader->record, *jpeg) == reader->record.hash ? 0 : -EBADMSG;
}
