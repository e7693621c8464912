#include "app/session.h"

#include "app/film.h"
#include "app/recordings.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "source/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTED_US INT64_C(10000000)
#define TROUBLE_US INT64_C(10000000) // failures closer together than this are one trouble

// --- life ---

static struct ch_session *add_session(struct ch_hub *hub, const char *name)
{
    struct ch_session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->hub = hub;
    snprintf(session->name, sizeof session->name, "%s", name);
    session->next = hub->sessions;
    session->self = &hub->sessions;
    if (session->next)
        session->next->self = &session->next;
    hub->sessions = session;
    ch_hub_sessions_changed(hub);
    return session;
}

static void free_session(struct ch_session *session)
{
    struct ch_hub *hub = session->hub;
    *session->self = session->next;
    if (session->next)
        session->next->self = session->self;
    free(session);
    ch_hub_sessions_changed(hub);
    ch_hub_check_stopped(hub);
}

// --- the thumbnail ---

struct ch_thumbnail {
    struct ch_child child;
    uv_fs_t rename;
    struct ch_session *session; // NULL: abandoned
    char made[4200], final[4200];
};

static void start_waiting(struct ch_hub *hub);

static void end_thumbnail(struct ch_child *child)
{
    struct ch_thumbnail *thumbnail = (struct ch_thumbnail *)child;
    struct ch_session *session = thumbnail->session;
    struct ch_hub *hub = session->hub;
    hub->thumbnails--;
    ch_recordings_changed(hub, session->summary.id);
    free(thumbnail);
    free_session(session);
    start_waiting(hub);
}

static void on_renamed(uv_fs_t *request)
{
    struct ch_thumbnail *thumbnail = request->data;
    if (request->result < 0)
        ch_log_warning("%s: thumbnail could not be put in place: %s", thumbnail->session->summary.id,
                       uv_strerror((int)request->result));
    uv_fs_req_cleanup(request);
    ch_child_close(&thumbnail->child, end_thumbnail);
}

static void warn_no_ffmpeg(struct ch_hub *hub)
{
    if (!hub->warned_ffmpeg)
        ch_log_warning(
            "there is no program %s: recordings get no thumbnail, nothing else is missing (install ffmpeg, or "
            "name it in FFMPEG_BIN)",
            hub->options.ffmpeg);
    hub->warned_ffmpeg = true;
}

static const char *end_of(const struct ch_child_exit *how)
{
    if (how->timed_out)
        return "took too long";
    if (how->stopped)
        return "was stopped";
    return how->signal ? "crashed" : "failed";
}

static void on_exited(void *context, const struct ch_child_exit *how)
{
    struct ch_thumbnail *thumbnail = context;
    struct ch_session *session = thumbnail->session;
    if (how->status == 0 && how->signal == 0 && !how->stopped && !how->timed_out) {
        thumbnail->rename.data = thumbnail;
        if (uv_fs_rename(session->hub->loop, &thumbnail->rename, thumbnail->made, thumbnail->final, on_renamed) == 0)
            return;
    }
    char error[256] = "";
    ch_child_last_error(&thumbnail->child, error, sizeof error);
    if (how->status == 127 && how->signal == 0)
        warn_no_ffmpeg(session->hub);
    else
        ch_log_warning("%s: no thumbnail: %s %s%s%s", session->summary.id, session->hub->options.ffmpeg, end_of(how),
                       error[0] ? ": " : "", error);
    unlink(thumbnail->made);
    ch_child_close(&thumbnail->child, end_thumbnail);
}

static const struct ch_child_events thumbnail_events = {.exited = on_exited};

// False if there is none to wait for.
static bool start_thumbnail(struct ch_session *session)
{
    struct ch_hub *hub = session->hub;
    struct ch_thumbnail *thumbnail = calloc(1, sizeof *thumbnail);
    if (!thumbnail)
        return false;
    if (ch_child_init(&thumbnail->child, hub->loop, &thumbnail_events, thumbnail) < 0) {
        free(thumbnail);
        return false;
    }
    const char *folder = hub->options.recordings, *id = session->summary.id;
    char video[4200];
    snprintf(video, sizeof video, "%s/%s/%s", folder, id, session->summary.first_part);
    snprintf(thumbnail->made, sizeof thumbnail->made, "%s/%s/thumbnail.jpg.tmp", folder, id);
    snprintf(thumbnail->final, sizeof thumbnail->final, "%s/%s/thumbnail.jpg", folder, id);
    // clang-format off
    const char *argv[] = {hub->options.ffmpeg, "-nostdin", "-v", "error", "-y", "-threads", "1", "-i", video,
                          "-frames:v", "1", "-q:v", "3", "-f", "image2", "-update", "1", thumbnail->made, NULL};
    // clang-format on
    struct ch_child_options options = {
        .argv = argv,
        .helper = CH_CHILD_HELPER,
        .time_limit_us = CH_LIMIT_THUMBNAIL_US,
        .nice = CH_CHILD_NICE,
        .address_space_bytes = UINT64_C(4) << 30,
        .open_files = 256,
    };
    thumbnail->session = session;
    session->thumbnail = thumbnail;
    hub->thumbnails++;
    int rc = ch_child_start(&thumbnail->child, &options);
    if (rc < 0) {
        ch_log_warning("%s: no thumbnail: %s", id, strerror(-rc));
        ch_child_close(&thumbnail->child, end_thumbnail);
    }
    return true;
}

static void start_waiting(struct ch_hub *hub)
{
    for (struct ch_session *session = hub->sessions, *next; session; session = next) {
        next = session->next;
        if (!session->files_done || session->thumbnail)
            continue;
        if (!session->thumbnail_wanted) {
            free_session(session);
            continue;
        }
        if (hub->thumbnails == CH_LIMIT_THUMBNAIL_CHILDREN)
            continue;
        session->thumbnail_wanted = start_thumbnail(session);
        if (!session->thumbnail_wanted)
            free_session(session);
    }
}

void ch_session_abandon_thumbnails(struct ch_hub *hub)
{
    for (struct ch_session *session = hub->sessions; session; session = session->next) {
        session->thumbnail_wanted = false;
        if (session->thumbnail && ch_child_running(&session->thumbnail->child)) {
            unlink(session->thumbnail->made);
            ch_child_close(&session->thumbnail->child, end_thumbnail);
        }
    }
}

// --- the recorder's calls ---

static void on_opened(void *owner, const char *id)
{
    struct ch_session *session = owner;
    ch_log_info("%s: recording to %s/%s", session->name, session->hub->options.recordings, id);
    ch_recordings_changed(session->hub, id);
    if (session->camera)
        ch_camera_changed(session->camera); // its session has a name now
}

static void on_failed(void *owner, int error)
{
    struct ch_session *session = owner;
    struct ch_camera *camera = session->camera;
    if (!camera)
        return;
    ch_session_end(session, "damaged");
    int64_t now = ch_clock_mono_us();
    bool still = camera->failed_us > 0 && now - camera->failed_us < TROUBLE_US;
    camera->failed_us = camera->retry_us = now;
    if (still)
        return; // it was said, and is tried again every second
    ch_log_error("%s: cannot record: %s; trying again", session->name, strerror(-error));
    ch_session_start(camera); // a single fault is over by now
}

static void on_backlog(void *owner, bool over)
{
    struct ch_session *session = owner;
    struct ch_camera *camera = session->camera;
    if (camera && camera->link)
        camera->link_ops->read(camera->link, !over);
}

static void log_end(const struct ch_session *session)
{
    const struct ch_session_summary *summary = &session->summary;
    long long ms = summary->duration_ticks / 90;
    ch_log(summary->verdict == CH_VERDICT_DAMAGED ? CH_LOG_WARNING : CH_LOG_INFO, CH_TAG_INFO,
           "%s: session %s finished: %s, %llu frames, %lld.%lld s, %llu bytes (%s)", session->name, summary->id,
           ch_verdict_name(summary->verdict), (unsigned long long)summary->frames, ms / 1000, ms % 1000 / 100,
           (unsigned long long)summary->bytes, summary->reason);
}

static void on_ended(void *owner, const struct ch_session_summary *summary)
{
    struct ch_session *session = owner;
    session->summary = *summary;
    session->files_done = true;
    if (summary->id[0]) {
        log_end(session);
        ch_recordings_changed(session->hub, summary->id);
    }
    if (summary->kind == CH_SESSION_JPEG && summary->frames > 0)
        ch_film_want(session->hub, summary->id);
    session->thumbnail_wanted = summary->has_video && session->hub->options.thumbnails;
    start_waiting(session->hub);
}

static const struct ch_recorder_ops recorder_ops = {
    .opened = on_opened,
    .failed = on_failed,
    .backlog = on_backlog,
    .ended = on_ended,
};

// --- for the camera ---

struct ch_session *ch_session_start(struct ch_camera *camera)
{
    struct ch_hub *hub = camera->hub;
    struct ch_session *session = add_session(hub, camera->name);
    if (!session)
        return NULL;
    session->camera = camera;
    session->started_us = ch_clock_wall_us();
    struct ch_writer_options options = {
        .root = hub->root,
        .root_path = hub->options.recordings,
        .kind = camera->kind == CH_CAMERA_JPEG ? CH_SESSION_JPEG : CH_SESSION_H264,
        .h264 = hub->options.h264,
        .sync_us = hub->options.sync_us,
        .client = camera->name,
        .camera_name = camera->name,
        .address = camera->address,
        .device_model = camera->device_model,
        .capabilities = camera->capabilities,
        .started_us = session->started_us,
    };
    uint64_t start = ch_stream_session_start(camera->stream, ch_clock_mono_us());
    session->recorder = ch_recorder_start(hub->disk, &options, camera->stream, start, &recorder_ops, session);
    if (!session->recorder) {
        free_session(session);
        return NULL;
    }
    camera->session = session;
    return session;
}

void ch_session_end(struct ch_session *session, const char *end_reason)
{
    struct ch_camera *camera = session->camera;
    if (camera->link)
        camera->link_ops->read(camera->link, true); // it may have been made to wait for this session's disk
    camera->session = NULL;
    session->camera = NULL;
    ch_recorder_end(&session->recorder, end_reason);
}

void ch_session_tick(struct ch_session *session)
{
    if (session->recorder)
        ch_recorder_tick(session->recorder);
}

void ch_session_housekeep(struct ch_session *session, int64_t now_us)
{
    if (!session->recorder || !ch_recorder_id(session->recorder)[0] || now_us - session->listed_us < LISTED_US)
        return;
    session->listed_us = now_us;
    ch_recordings_changed(session->hub, ch_recorder_id(session->recorder));
}

void ch_session_add_finished(struct ch_hub *hub, const struct ch_session_summary *summary)
{
    struct ch_session *session = add_session(hub, "recovery");
    if (!session)
        return;
    session->summary = *summary;
    session->files_done = true;
    session->thumbnail_wanted = summary->has_video && hub->options.thumbnails;
    ch_recordings_changed(hub, summary->id);
    start_waiting(hub);
}
