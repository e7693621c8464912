#include "sink/catalogue_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "sink/recover_internal.h"
#include "sink/session_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// File systems count time in steps, of up to 2 s (FAT): what was changed so shortly before it was looked at may be
// changed again without its time telling.
#define FRESH_NS INT64_C(3000000000)
#define MAX_FILES 1000 // named in RecordingDetails
#define MAX_DURATION_S 1e10

_Static_assert(CH_LIMIT_PARTS <= 64, "a part is a bit of ch_recording.parts");

enum report_state { REPORT_NONE, REPORT_BAD, REPORT_LATER, REPORT_GOOD };

struct look {
    int dir;
    uint64_t bytes;
    uint64_t mp4, mjpeg; // parts with something in them
    bool thumbnail, h264, index;
    int64_t earliest_us; // time of the oldest file; INT64_MAX: none
    enum report_state state;
    json_t *report; // owned
    json_t *files;  // wanted by the caller, or NULL
};

static int64_t time_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

// --- names ---

bool ch_catalogue_id_valid(const char *id)
{
    size_t size = strlen(id);
    if (size == 0 || size >= CH_SESSION_ID_BYTES || id[0] == '.')
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)id[i] < 32 || id[i] == 127 || id[i] == '/')
            return false;
    json_t *text = json_stringn(id, size); // NULL if it is no UTF-8
    json_decref(text);
    return text != NULL;
}

bool ch_catalogue_is_session(int dir)
{
    static const char *const names[] = {"session.json", "frames.idx", "stream.mp4", "stream.h264", "stream.mjpeg"};
    struct stat st;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (fstatat(dir, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            return true;
    return false;
}

// The bit of "stream.EXTENSION" or "stream_N.EXTENSION"; 0 if it is another name.
static uint64_t part_bit(const char *name, const char *extension)
{
    unsigned number = 1;
    if (strncmp(name, "stream", 6) != 0)
        return 0;
    name += 6;
    if (*name == '_') {
        number = 0;
        for (name++; *name >= '0' && *name <= '9' && number <= CH_LIMIT_PARTS; name++)
            number = number == 0 && *name == '0' ? CH_LIMIT_PARTS + 1 : number * 10 + (unsigned)(*name - '0');
        if (number < 2 || number > CH_LIMIT_PARTS)
            return 0;
    }
    return *name == '.' && strcmp(name + 1, extension) == 0 ? UINT64_C(1) << (number - 1) : 0;
}

// --- stamps ---

static bool is_fresh(int64_t now_ns, int64_t mtime_ns)
{
    int64_t age = now_ns - mtime_ns;
    return age < FRESH_NS && age > -FRESH_NS;
}

static void stamp_report(const struct stat *st, struct ch_catalogue_stamps *stamps)
{
    stamps->report_inode = (int64_t)st->st_ino;
    stamps->report_mtime_ns = time_ns(&st->st_mtim);
    stamps->report_bytes = st->st_size;
}

int ch_catalogue_stamp(int root, const char *id, struct ch_catalogue_stamps *stamps)
{
    char path[CH_SESSION_ID_BYTES + 16];
    struct stat st;
    *stamps = (struct ch_catalogue_stamps){0};
    if (fstatat(root, id, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISDIR(st.st_mode))
        return 0;
    stamps->inode = (int64_t)st.st_ino;
    stamps->mtime_ns = time_ns(&st.st_mtim);
    snprintf(path, sizeof path, "%s/session.json", id);
    if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 1 : -errno;
    if (S_ISREG(st.st_mode))
        stamp_report(&st, stamps);
    return 1;
}

// --- files ---

// On its way to another name: nobody has a use for it.
static bool is_temporary(const char *name)
{
    size_t size = strlen(name);
    return size > 4 && strcmp(name + size - 4, ".tmp") == 0;
}

static void note_file(struct look *look, const char *name, const struct stat *st)
{
    uint64_t bytes = st->st_size > 0 ? (uint64_t)st->st_size : 0;
    look->bytes += bytes;
    int64_t changed_us = time_ns(&st->st_mtim) / 1000;
    if (changed_us < look->earliest_us)
        look->earliest_us = changed_us;
    look->index |= strcmp(name, "frames.idx") == 0;
    look->h264 |= strcmp(name, "stream.h264") == 0;
    if (bytes > 0) {
        look->thumbnail |= strcmp(name, "thumbnail.jpg") == 0;
        look->mp4 |= part_bit(name, "mp4");
        look->mjpeg |= part_bit(name, "mjpeg");
    }
    if (look->files && !is_temporary(name) && json_array_size(look->files) < MAX_FILES) {
        json_t *file = json_pack("{s:s,s:I}", "name", name, "bytes", (json_int_t)bytes);
        if (file) // else its name is no UTF-8
            json_array_append_new(look->files, file);
    }
}

// A folder in a session's folder: only its size counts.
static void add_folder(struct look *look, const char *name)
{
    int fd = openat(look->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        if (fd >= 0)
            close(fd);
        return;
    }
    struct stat st;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
            look->bytes += (uint64_t)st.st_size;
    closedir(folder);
}

static int look_at_files(struct look *look)
{
    int fd = openat(look->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *folder = fdopendir(fd);
    if (!folder) {
        int error = -errno;
        close(fd);
        return error;
    }
    struct stat st;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)); errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(look->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISREG(st.st_mode))
            note_file(look, entry->d_name, &st);
        else if (S_ISDIR(st.st_mode))
            add_folder(look, entry->d_name);
    }
    int error = -errno;
    closedir(folder);
    return error;
}

// --- the report ---

static int read_all(int fd, size_t bytes, char **text, size_t *size)
{
    *text = malloc(bytes + 1);
    if (!*text)
        return -ENOMEM;
    int64_t got = ch_file_read_some(fd, *text, bytes, 0);
    *size = got > 0 ? (size_t)got : 0;
    return got < 0 ? (int)got : 0;
}

// 0, also if there is none or it is not to be read (look->state); or an error.
static int read_report(struct look *look, struct ch_catalogue_stamps *stamps)
{
    char *text = NULL;
    size_t size = 0;
    struct stat st;
    int fd = openat(look->dir, "session.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO)) // a link or a socket is no report
        return 0;
    if (fd < 0 && (errno == EACCES || errno == EPERM)) {
        look->state = REPORT_BAD;
        return 0;
    }
    if (fd < 0)
        return -errno;
    int rc = fstat(fd, &st) < 0 ? -errno : 0;
    if (rc == 0 && S_ISREG(st.st_mode)) {
        stamp_report(&st, stamps);
        look->state = REPORT_BAD;
        if (st.st_size <= (off_t)CH_SESSION_JSON_MAX)
            rc = read_all(fd, (size_t)st.st_size, &text, &size);
    }
    close(fd);
    if (rc == 0 && text)
        look->report = json_loadb(text, size, 0, NULL);
    free(text);
    json_int_t format = json_integer_value(json_object_get(look->report, "format"));
    if (format == CH_SESSION_FORMAT)
        look->state = REPORT_GOOD;
    else if (format > CH_SESSION_FORMAT)
        look->state = REPORT_LATER;
    return rc;
}

// Whole characters only.
static void copy_text(char *out, size_t capacity, const char *text)
{
    size_t size = strnlen(text, capacity);
    if (size == capacity)
        for (size--; size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80;)
            size--;
    memcpy(out, text, size);
    out[size] = '\0';
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && text[0] ? text : NULL;
}

static uint64_t count_of(const json_t *object, const char *key)
{
    json_int_t count = json_integer_value(json_object_get(object, key));
    return count > 0 ? (uint64_t)count : 0;
}

// "2026-11-21T03:44:15.123Z" in whole milliseconds, or none.
static int64_t time_of(const json_t *object, const char *key)
{
    const char *text = text_of(object, key);
    int64_t us;
    if (!text || ch_recording_parse_time(text, false, &us) < 0 || us < 0 || us / 1000 > CH_KEY_MAX_MS)
        return CH_RECORDING_NO_TIME;
    return us / 1000 * 1000;
}

static int64_t duration_of(const json_t *report)
{
    json_t *value = json_object_get(report, "duration");
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !(seconds >= 0 && seconds < MAX_DURATION_S))
        return CH_RECORDING_NO_TIME;
    return (int64_t)(seconds * 1e6 + 0.5);
}

static enum ch_recording_verdict verdict_of(const json_t *report)
{
    const char *state = text_of(report, "state"), *name = text_of(report, "verdict");
    if (state && strcmp(state, "recording") == 0)
        return CH_RECORDING_RUNNING;
    int verdict = state && strcmp(state, "finished") == 0 && name ? ch_recording_verdict_from_name(name) : -EINVAL;
    return verdict < 0 || verdict == CH_RECORDING_RUNNING ? CH_RECORDING_UNKNOWN : (enum ch_recording_verdict)verdict;
}

// Of the parts that are there, those that the report says have pictures.
static void confine_parts(struct look *look)
{
    uint64_t mp4 = 0, mjpeg = 0;
    size_t i;
    json_t *file;
    json_array_foreach (json_object_get(look->report, "files"), i, file) {
        const char *name = text_of(file, "name");
        json_t *frames = json_object_get(file, "frames");
        if (!name || (frames && json_integer_value(frames) <= 0))
            continue;
        mp4 |= part_bit(name, "mp4");
        mjpeg |= part_bit(name, "mjpeg");
    }
    look->mp4 &= mp4;
    look->mjpeg &= mjpeg;
}

static const char *reason_without_report(const struct look *look)
{
    switch (look->state) {
    case REPORT_LATER: return "the report is of a later version of camhub";
    case REPORT_NONE: return look->index ? "the report is missing" : "no report: made by another program";
    default: return "the report cannot be read";
    }
}

// --- the row ---

static void fill_from_name(const struct look *look, const struct stat *folder, const char *id,
                           struct ch_recording *recording)
{
    char client[CH_SESSION_ID_BYTES];
    int64_t started_us = 0;
    ch_recover_read_name(id, client, &started_us);
    if (started_us <= 0)
        started_us = look->earliest_us < INT64_MAX ? look->earliest_us : time_ns(&folder->st_mtim) / 1000;
    copy_text(recording->id, sizeof recording->id, id);
    copy_text(recording->camera, sizeof recording->camera, client);
    recording->started_us = started_us;
}

static void fill_from_report(const struct look *look, struct ch_catalogue_row *row)
{
    struct ch_recording *recording = &row->recording;
    const json_t *report = look->report, *camera = json_object_get(report, "camera");
    const json_t *counts = json_object_get(report, "counts");
    const char *name = text_of(camera, "name"), *address = text_of(camera, "address");
    const char *model = text_of(camera, "device_model"), *kind = text_of(report, "kind");
    const char *reason = text_of(report, "reason");
    if (name || address)
        copy_text(recording->camera, sizeof recording->camera, name ? name : address);
    copy_text(row->model, sizeof row->model, model ? model : "");
    recording->jpeg = kind && strcmp(kind, "jpeg") == 0;
    recording->verdict = verdict_of(report);
    if (recording->verdict == CH_RECORDING_RUNNING)
        reason = "being recorded";
    else if (!reason)
        reason = recording->verdict == CH_RECORDING_UNKNOWN ? "the report cannot be read" : "";
    copy_text(recording->reason, sizeof recording->reason, reason);
    int64_t started_us = time_of(report, "started");
    if (started_us != CH_RECORDING_NO_TIME)
        recording->started_us = started_us;
    recording->ended_us = time_of(report, "ended");
    recording->duration_us = duration_of(report);
    recording->frames = count_of(counts, "frames");
    recording->missing = count_of(counts, "missing");
}

static void fill(struct look *look, const struct stat *folder, const char *id, struct ch_catalogue_row *row)
{
    struct ch_recording *recording = &row->recording;
    recording->verdict = CH_RECORDING_UNKNOWN;
    recording->ended_us = recording->duration_us = CH_RECORDING_NO_TIME;
    recording->jpeg = look->mjpeg && !look->mp4 && !look->h264;
    fill_from_name(look, folder, id, recording);
    if (look->state == REPORT_GOOD)
        fill_from_report(look, row);
    else
        copy_text(recording->reason, sizeof recording->reason, reason_without_report(look));
    if (recording->verdict != CH_RECORDING_RUNNING && recording->verdict != CH_RECORDING_UNKNOWN)
        confine_parts(look);
    recording->bytes = look->bytes;
    recording->thumbnail = look->thumbnail;
    recording->mjpeg_parts = !look->mp4 && look->mjpeg;
    recording->parts = recording->mjpeg_parts ? look->mjpeg : look->mp4;
}

static int look_at(struct look *look, const char *id, struct ch_catalogue_row *row)
{
    struct stat folder;
    int64_t now_ns = ch_clock_wall_us() * 1000;
    if (fstat(look->dir, &folder) < 0)
        return -errno;
    row->stamps.inode = (int64_t)folder.st_ino;
    row->stamps.mtime_ns = time_ns(&folder.st_mtim);
    if (!ch_catalogue_is_session(look->dir))
        return 0;
    int rc = look_at_files(look);
    if (rc == 0)
        rc = read_report(look, &row->stamps);
    if (rc < 0)
        return rc;
    fill(look, &folder, id, row);
    if (is_fresh(now_ns, row->stamps.mtime_ns) || is_fresh(now_ns, row->stamps.report_mtime_ns) ||
        row->recording.verdict == CH_RECORDING_RUNNING)
        row->stamps.mtime_ns = CH_STAMP_UNSURE;
    return 1;
}

int ch_catalogue_look(int root, const char *id, struct ch_catalogue_row *row, json_t **report, json_t **files)
{
    memset(row, 0, sizeof *row);
    struct look look = {.earliest_us = INT64_MAX};
    look.dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (look.dir < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
    if (files && !(look.files = json_array())) {
        close(look.dir);
        return -ENOMEM;
    }
    int rc = look_at(&look, id, row);
    close(look.dir);
    if (rc == 1 && report)
        *report = json_incref(look.report);
    if (rc == 1 && files)
        *files = json_incref(look.files);
    json_decref(look.report);
    json_decref(look.files);
    return rc;
}
