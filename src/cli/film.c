#include "cli/film.h"

#include "base/file.h"
#include "base/pace.h"
#include "cli/film_check.h"
#include "codec/jpeg.h"
#include "codec/mp4.h"
#include "sink/session_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NAME "stream.mp4"
#define TEMPORARY NAME ".tmp"
#define DEFAULT_STEP_TICKS (CH_MP4_TIMESCALE / 10)
#define MOST_STEP_TICKS (INT64_C(3600) * CH_MP4_TIMESCALE)

// --- is there anything to do? ---

static int look(int dir, json_t **session)
{
    if (flock(dir, LOCK_EX | LOCK_NB) < 0)
        return -EBUSY;
    *session = ch_session_json_read(dir);
    if (!ch_session_json_finished(*session) || ch_session_json_kind(*session) != CH_SESSION_JPEG)
        return -ENOENT;
    if (json_integer_value(json_object_get(json_object_get(*session, "counts"), "frames")) == 0)
        return -ENODATA;
    return ch_jpeg_film_missing(dir, *session) ? 0 : -EALREADY;
}

// --- what is to be filmed ---

// Takes the size of the first picture that is one.
static int take_size(struct ch_jpeg_reader *reader, const struct ch_record *record, struct ch_film_plan *plan)
{
    const uint8_t *bytes;
    struct ch_jpeg jpeg;
    int rc = ch_jpeg_reader_read(reader, &bytes);
    if (rc == -ENODATA)
        return 0;
    if (rc < 0 && rc != -EBADMSG)
        return rc;
    if (ch_jpeg_parse(bytes, record->payload_bytes, &jpeg) == 0) {
        plan->width = jpeg.width;
        plan->height = jpeg.height;
    }
    return 0;
}

static int read_plan(struct ch_jpeg_reader *reader, struct ch_film_plan *plan)
{
    struct ch_pace pace = {0};
    struct ch_record record;
    int64_t last_ticks = 0;
    int rc;
    while ((rc = ch_jpeg_reader_next(reader, &record)) > 0) {
        if (plan->pictures++ == 0)
            plan->base_ticks = record.pts_ticks;
        else
            ch_pace_add(&pace, record.pts_ticks - last_ticks);
        last_ticks = record.pts_ticks;
        if (plan->width == 0 && (rc = take_size(reader, &record, plan)) < 0)
            return rc;
    }
    int64_t step = ch_pace_usual(&pace);
    plan->step_ticks = step <= 0 ? DEFAULT_STEP_TICKS : step < MOST_STEP_TICKS ? step : MOST_STEP_TICKS;
    if (rc == 0 && plan->width == 0)
        return -ENODATA;
    return rc;
}

static int make_plan(int dir, const json_t *session, struct ch_film_plan *plan)
{
    struct ch_jpeg_reader *reader;
    int rc = ch_jpeg_reader_open(&reader, dir, session);
    if (rc < 0)
        return rc == -ENOENT ? -ENODATA : rc;
    rc = read_plan(reader, plan);
    ch_jpeg_reader_close(reader);
    return rc;
}

// --- the film ---

static int encode(int dir, const char *path, const json_t *session, const struct ch_film_plan *plan,
                  const struct ch_film_options *options, char reason[CH_FILM_REASON_BYTES])
{
    char out[4096];
    if ((size_t)snprintf(out, sizeof out, "%s/" TEMPORARY, path) >= sizeof out)
        return -ENAMETOOLONG;
    struct ch_jpeg_reader *reader;
    int rc = ch_jpeg_reader_open(&reader, dir, session);
    if (rc < 0)
        return rc;
    rc = ch_film_encode(plan, reader, options, out, reason);
    ch_jpeg_reader_close(reader);
    return rc;
}

// Looked through, synced, and put in place.
static int accept(int dir, const json_t *session, const struct ch_film_plan *plan, struct ch_session_file *entry,
                  char reason[CH_FILM_REASON_BYTES])
{
    int fd = openat(dir, TEMPORARY, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    struct ch_film_facts facts = {0};
    struct ch_jpeg_reader *reader;
    int64_t bytes = ch_file_size(fd);
    int rc = ch_jpeg_reader_open(&reader, dir, session);
    if (rc == 0) {
        rc = ch_film_check(plan, reader, fd, &facts, reason);
        ch_jpeg_reader_close(reader);
    }
    if (rc == 0)
        rc = ch_file_sync(fd);
    close(fd);
    if (rc == 0 && renameat(dir, TEMPORARY, dir, NAME) < 0)
        rc = -errno;
    if (rc == 0)
        rc = ch_file_sync_folder(dir);
    *entry = (struct ch_session_file){.name = NAME,
                                      .kind = CH_FILE_FILM,
                                      .bytes = bytes > 0 ? (uint64_t)bytes : 0,
                                      .frames = facts.frames,
                                      .width = facts.width,
                                      .height = facts.height};
    return rc;
}

// In place of an older one.
static int list_film(int dir, json_t *session, const struct ch_session_file *entry)
{
    json_t *files = json_object_get(session, "files");
    for (size_t i = json_array_size(files); i-- > 0;) {
        const char *kind = json_string_value(json_object_get(json_array_get(files, i), "kind"));
        if (kind && strcmp(kind, "film") == 0)
            json_array_remove(files, i);
    }
    if (json_array_append_new(files, ch_session_json_file(entry)))
        return -ENOMEM;
    return ch_session_json_write(session, dir);
}

static int make(int dir, const char *path, json_t *session, const struct ch_film_options *options, struct ch_film *film)
{
    struct ch_film_plan plan = {0};
    struct ch_session_file entry;
    int rc = make_plan(dir, session, &plan);
    film->pictures = plan.pictures;
    unlinkat(dir, TEMPORARY, 0); // of an earlier attempt
    if (rc == 0)
        rc = encode(dir, path, session, &plan, options, film->reason);
    if (rc == 0)
        rc = accept(dir, session, &plan, &entry, film->reason);
    if (rc < 0) {
        unlinkat(dir, TEMPORARY, 0);
        return rc;
    }
    film->frames = entry.frames;
    return list_film(dir, session, &entry);
}

int ch_film_make(const char *path, const struct ch_film_options *options, struct ch_film *film)
{
    *film = (struct ch_film){0};
    json_t *session = NULL;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = dir < 0 ? -errno : look(dir, &session);
    if (rc == 0)
        rc = make(dir, path, session, options, film);
    if (rc == -ENODATA && !film->reason[0])
        snprintf(film->reason, sizeof film->reason, "there is no picture");
    if (rc < 0 && !film->reason[0])
        snprintf(film->reason, sizeof film->reason, "%s", rc == -EBADMSG ? "frames.idx is broken" : strerror(-rc));
    json_decref(session);
    if (dir >= 0)
        close(dir);
    return rc;
}
