// Recovery in steps, of which each leaves the folder no worse than it was, so that it may be cut off anywhere
// and be run again:
//
//   look         what is there, and does it need anything?
//   match        index and MP4 fragments into one list of entries (recover_match.c)
//   agree        where the messages lie in stream.h264 (recover_place.c, recover_h264.c); what one file lost, the
//                other makes good (recover_exchange.c); or all from stream.h264 alone (recover_bare.c)
//   pictures     instead of both, of a JPEG camera: index and stream.mjpeg (recover_jpeg.c)
//   index        written and synced, only where it differs (recover_end.c, as the rest)
//   parts        finished in place, as the writer does it
//   session.json last, in one step: with it the session is finished
#include "sink/recover.h"

#include "base/clock.h"
#include "base/file.h"
#include "sink/jpeg_reader.h"
#include "sink/part.h"
#include "sink/recover_internal.h"
#include "sink/session_json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

void ch_recover_name(const char *stem, const char *extension, unsigned number, char out[40])
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

// A report of a later version of this program: hands off.
static bool is_of_later_format(int dir)
{
    char *text;
    size_t size;
    if (ch_file_read_all(dir, "session.json", CH_SESSION_JSON_MAX, &text, &size) < 0)
        return false;
    json_t *session = json_loadb(text, size, 0, NULL);
    bool later = json_integer_value(json_object_get(session, "format")) > CH_SESSION_FORMAT;
    json_decref(session);
    free(text);
    return later;
}

// A folder that the hub had just made when it was stopped: nothing in it yet, but named like a session.
static bool is_stillborn(int dir, const char *id)
{
    char client[CH_SESSION_ID_BYTES];
    int64_t started_us;
    int copy = ch_recover_read_name(id, client, &started_us) ? openat(dir, ".", O_RDONLY | O_CLOEXEC) : -1;
    DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
    if (!entries) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    bool empty = true;
    for (struct dirent *entry; (entry = readdir(entries));)
        empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                          strcmp(entry->d_name, "session.json.tmp") == 0);
    closedir(entries);
    return empty;
}

static bool holds_session(int dir, const char *id, bool report)
{
    return report || exists(dir, "frames.idx") || exists(dir, "stream.mp4") || exists(dir, "stream.h264") ||
           exists(dir, "stream.mjpeg") || is_stillborn(dir, id);
}

static bool listed_as_damaged(const json_t *session, const char *name)
{
    size_t i;
    json_t *file;
    json_array_foreach (json_object_get(session, "files"), i, file) {
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
        if (ch_part_scan(fd, &shape, NULL) == 0)
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
    bool ours = ch_part_scan(fd, &shape, NULL) == 0 && shape.form != CH_PART_UNREADABLE;
    ch_part_shape_deinit(&shape);
    close(fd);
    return moov && !ours;
}

// 0 if there is something to do, -EALREADY, -ENOENT or -ENOTSUP if not. *session is the caller's.
static int look(int dir, const char *id, bool by_hand, json_t **session)
{
    *session = ch_session_json_read(dir);
    if (!holds_session(dir, id, *session != NULL))
        return -ENOENT;
    if (!*session && is_of_later_format(dir))
        return -ENOTSUP;
    if (!*session && !exists(dir, "frames.idx") && !exists(dir, "stream.mjpeg") && is_foreign_video(dir))
        return -ENOENT;
    if (!ch_session_json_finished(*session) || (by_hand && !exists(dir, "frames.idx")))
        return 0;
    bool in_parts = ch_session_json_kind(*session) == CH_SESSION_H264; // a JPEG camera's MP4 is made from the rest
    return in_parts && any_part_unfinished(dir, *session, by_hand) ? 0 : -EALREADY;
}

bool ch_recover_needed(int root, const char *id)
{
    int dir = open_folder(root, id);
    if (dir < 0)
        return false;
    json_t *session;
    int rc = look(dir, id, false, &session);
    json_decref(session);
    close(dir);
    return rc == 0;
}

bool ch_recover_film_missing(int root, const char *id)
{
    int dir = open_folder(root, id);
    if (dir < 0)
        return false;
    json_t *session = ch_session_json_read(dir);
    bool missing = ch_jpeg_film_missing(dir, session);
    json_decref(session);
    close(dir);
    return missing;
}

// 0, or the error of the first file that is there and cannot be opened.
static int open_numbered(int dir, const char *stem, const char *extension, struct ch_recover_file *files)
{
    int rc = 0;
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        char name[40];
        ch_recover_name(stem, extension, number, name);
        files[number].fd = open_file(dir, name, O_RDWR);
        int error = errno;
        if (files[number].fd < 0 && rc == 0 && exists(dir, name))
            rc = -error;
        int64_t bytes = files[number].fd >= 0 ? ch_file_size(files[number].fd) : 0;
        files[number].bytes = bytes > 0 ? (uint64_t)bytes : 0;
    }
    return rc;
}

static int open_files(struct ch_recovery *r)
{
    bool jpeg = r->kind == CH_SESSION_JPEG;
    open_numbered(r->dir, "frames", "idx", r->index);
    int rc = open_numbered(r->dir, "stream", jpeg ? "mjpeg" : "h264", r->raw);
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        ch_part_name(number, r->parts[number].name);
        r->parts[number].fd = jpeg ? -1 : open_file(r->dir, r->parts[number].name, O_RDWR);
    }
    return jpeg ? rc : 0; // of H.264 cameras the MP4 has the pictures too
}

static void close_files(struct ch_recovery *r)
{
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        int fds[3] = {r->index[number].fd, r->raw[number].fd, r->parts[number].fd};
        for (int i = 0; i < 3; i++)
            if (fds[i] >= 0)
                close(fds[i]);
        ch_part_shape_deinit(&r->parts[number].shape);
    }
}

// --- when and who ---

// "<client>_<YYYYMMDD_HHMMSS>[_N]". True if the name has this form.
bool ch_recover_read_name(const char *id, char client[CH_SESSION_ID_BYTES], int64_t *started_us)
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
        ch_recover_read_name(r->id, client, &r->started_us);
    struct stat st;
    if (r->started_us <= 0 && fstat(r->dir, &st) == 0)
        r->started_us = (int64_t)st.st_mtim.tv_sec * CH_US_PER_S;
}

// --- all of it ---

// stream.h264 or stream.mjpeg ends where its last message does.
static int cut_messages(struct ch_recovery *r)
{
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        struct ch_recover_file *file = &r->raw[number];
        if (file->fd < 0)
            continue;
        if (r->place.broken && number > r->place.file && file->items == 0) {
            // Not looked at, as what lies before it is missing.
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

// True if stream.h264 has a picture or more where no MP4 has any, and the index does not know most of it.
static bool is_bare(const struct ch_recovery *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->entries[i].in_mp4)
            return false;
    uint64_t known = 0, bytes = 0;
    for (unsigned number = 1; number < CH_RECOVER_FILES; number++) {
        known += r->raw[number].end;
        bytes += r->raw[number].bytes;
    }
    return bytes > 0 && known < bytes / 2;
}

// Where each message lies in stream.h264, and where the MP4 and it must make good what the other one lost.
static int agree(struct ch_recovery *r)
{
    int rc = ch_recover_check_parts(r);
    if (rc == 0)
        rc = ch_recover_align_messages(r);
    if (rc == 0 && r->place.file > 0 && !r->place.broken && r->place.at < r->raw[r->place.file].bytes)
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

static int gather_h264(struct ch_recovery *r)
{
    int rc = ch_recover_match_parts(r);
    if (rc == 0)
        rc = ch_recover_place_messages(r);
    if (rc == 0)
        rc = is_bare(r) ? ch_recover_bare(r) : agree(r);
    return rc;
}

// The entries, and the other files as they belong to them; synced.
static int gather(struct ch_recovery *r)
{
    int rc = ch_recover_load_index(r);
    find_start(r);
    if (rc == 0)
        rc = r->kind == CH_SESSION_JPEG ? ch_recover_place_jpegs(r) : gather_h264(r);
    if (rc == 0)
        rc = cut_messages(r);
    return rc < 0 ? rc : sync_parts(r);
}

// As session.json says; where there is none, by the files.
static enum ch_session_kind find_kind(const struct ch_recovery *r)
{
    if (r->session)
        return ch_session_json_kind(r->session);
    if (exists(r->dir, "stream.mjpeg"))
        return CH_SESSION_JPEG;
    struct ch_record record = {0};
    uint8_t first[CH_INDEX_RECORD_BYTES];
    int fd = open_file(r->dir, "frames.idx", O_RDONLY);
    bool read = fd >= 0 && ch_file_read_at(fd, first, sizeof first, CH_INDEX_HEADER_BYTES) == 0 &&
                ch_index_read_record(first, &record) == 0;
    if (fd >= 0)
        close(fd);
    return read && (record.flags & CH_FRAME_JPEG) ? CH_SESSION_JPEG : CH_SESSION_H264;
}

static int recover(struct ch_recovery *r, struct ch_session_summary *summary)
{
    r->kind = find_kind(r);
    r->was_finished = ch_session_json_finished(r->session);
    const char *verdict = json_string_value(json_object_get(r->session, "verdict"));
    const char *reason = json_string_value(json_object_get(r->session, "reason"));
    if (r->was_finished && verdict && strcmp(verdict, "damaged") == 0)
        ch_recover_note_damage(r, "%s", reason ? reason : "damaged");
    int rc = open_files(r);
    if (rc == 0)
        rc = gather(r);
    if (rc == 0)
        rc = ch_recover_conclude(r, summary);
    if (rc < 0)
        unlink_temporaries(r);
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
        rc = look(dir, id, true, &r->session);
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
