#include "app/recordings.h"

#include "app/api.h"
#include "app/events.h"
#include "app/status.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "sink/catalogue.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_US INT64_C(20000) // of looking through the folder, before others have their turn
#define AGAIN_MS 300000        // the folder is looked through again, as people delete and copy by hand
#define RETRY_MS 2000          // what could not be written into the list is tried again
#define LOCKED_US CH_US_PER_S  // after a wait for a lock in vain: others are not made to wait for the same one
#define LANE 0
#define WORDS_CHARACTERS 200

struct ch_recordings {
    struct ch_hub *hub;
    struct ch_disk *disk; // the thread
    uv_timer_t again, retry;
    int timers; // of these, not closed
    bool looking, look_failed;
    struct job *missed, **missed_last; // updates that failed, owned; `retry` runs
    uint64_t sessions;                 // in the list, when they were counted last
    atomic_bool stopping;
    // The thread's:
    struct ch_catalogue *catalogue; // NULL: it could not be opened
    int64_t locked_us;              // when another program's lock was waited for in vain, monotonic; 0: it was not
};

// A piece of work for the thread; its kind is in its calls.
struct job {
    struct ch_disk_job base;
    struct ch_recordings *recordings;
    struct ch_peer *peer; // that waits for the answer; NULL: none, or it is gone
    char id[CH_SESSION_ID_BYTES];
    // Of an update that failed before:
    struct job *next_missed;
    bool again;
    // Of a list:
    struct ch_catalogue_filter filter;
    char camera[CH_RECORDING_TEXT_BYTES], words[4 * WORDS_CHARACTERS + 1], cursor[CH_CATALOGUE_CURSOR_BYTES];
    // Results:
    int rc;
    bool open, settled, counted;
    bool left; // a deleted session is still in the list
    uint64_t sessions;
    json_t *json;
    struct ch_recording recording;
};

static void run_look(struct ch_disk_job *base);
static void look_done(struct ch_disk_job *base);

static struct job *new_job(struct ch_recordings *recordings, void (*run)(struct ch_disk_job *job),
                           void (*done)(struct ch_disk_job *job))
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->base.run = run;
    job->base.done = done;
    job->recordings = recordings;
    return job;
}

static void submit(struct job *job)
{
    ch_disk_submit(job->recordings->disk, LANE, &job->base);
}

// --- on the thread ---

static void note_state(struct job *job)
{
    struct ch_catalogue *catalogue = job->recordings->catalogue;
    job->open = catalogue;
    job->settled = catalogue && ch_catalogue_settled(catalogue);
}

static void count(struct job *job)
{
    struct ch_catalogue *catalogue = job->recordings->catalogue;
    struct ch_catalogue_filter all;
    struct ch_recording_page page;
    ch_catalogue_filter_init(&all);
    all.limit = 1;
    if (catalogue && ch_catalogue_list(catalogue, &all, &page) == 0) {
        job->sessions = page.total;
        job->counted = true;
        ch_recording_page_deinit(&page);
    }
    note_state(job);
}

// 0, or why the list is not to be written to now. At the hub's end nobody waits for answers; what the list is not
// told then, it finds out at the next start.
static int may_write(const struct job *job, bool answer)
{
    const struct ch_recordings *recordings = job->recordings;
    bool stopping = atomic_load(&recordings->stopping);
    if (!recordings->catalogue || (stopping && answer))
        return -ENODEV;
    if (recordings->locked_us > 0 && (stopping || ch_clock_mono_us() - recordings->locked_us < LOCKED_US))
        return -EAGAIN;
    return 0;
}

static void note_lock(struct job *job)
{
    job->recordings->locked_us = job->rc == -EAGAIN ? ch_clock_mono_us() : 0;
}

static void run_open(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    struct ch_recordings *recordings = job->recordings;
    job->rc = ch_catalogue_open(&recordings->catalogue, recordings->hub->root, recordings->hub->options.recordings);
    count(job);
}

static void run_look(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    job->rc = may_write(job, true);
    if (job->rc == 0) {
        job->rc = ch_catalogue_reconcile(job->recordings->catalogue, STEP_US, NULL);
        note_lock(job);
    }
    if (job->rc <= 0)
        count(job);
}

static void run_update(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    job->rc = may_write(job, false);
    if (job->rc == 0) {
        job->rc = ch_catalogue_update(job->recordings->catalogue, job->id, &job->recording);
        note_lock(job);
    }
    count(job);
}

static void run_list(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    struct ch_catalogue *catalogue = job->recordings->catalogue;
    struct ch_recording_page page;
    job->rc = catalogue ? ch_catalogue_list(catalogue, &job->filter, &page) : -ENODEV;
    note_state(job);
    if (job->rc < 0)
        return;
    job->json = ch_recording_page_to_json(&page);
    ch_recording_page_deinit(&page);
}

static void run_details(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    job->rc = may_write(job, true);
    if (job->rc == 0) {
        job->rc = ch_catalogue_get_details(job->recordings->catalogue, job->id, &job->json);
        note_lock(job);
    }
    note_state(job);
}

static void run_delete(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    struct ch_catalogue *catalogue = atomic_load(&job->recordings->stopping) ? NULL : job->recordings->catalogue;
    job->rc = catalogue ? ch_catalogue_delete_session(catalogue, job->id) : -ENODEV;
    job->left = job->rc == 0 && ch_catalogue_get(catalogue, job->id, &job->recording) != -ENOENT;
    count(job);
}

static void run_close(struct ch_disk_job *base)
{
    ch_catalogue_close(&((struct job *)base)->recordings->catalogue);
}

// --- answers, on the loop ---

static void on_gone(struct ch_peer *peer)
{
    struct job *job = peer->role_data;
    job->peer = NULL;
}

static const struct ch_peer_role role = {.gone = on_gone};

static void on_again(uv_timer_t *timer);

// The status says what the job found. A list that was made anew meanwhile is filled at once.
static void tell_status(const struct job *job)
{
    struct ch_recordings *recordings = job->recordings;
    enum ch_catalogue_state state = job->settled ? CH_CATALOGUE_READY : CH_CATALOGUE_READING;
    if (!job->open)
        state = CH_CATALOGUE_FAILED;
    if (job->counted)
        recordings->sessions = job->sessions;
    ch_status_set_catalogue(ch_events_status(recordings->hub), state, recordings->sessions);
    bool wanted = job->open && !job->settled && !atomic_load(&recordings->stopping);
    if (wanted && !recordings->looking && !recordings->look_failed)
        on_again(&recordings->again);
}

static void refuse(struct ch_peer *peer, int rc)
{
    switch (rc) {
    case -ENOENT: ch_peer_reply_error(peer, 404, "unknown_recording", "there is no such recording"); break;
    case -EBUSY:
        ch_peer_reply_error(peer, 409, "recording", "this recording is being recorded, finished or made into a film; stop it, or wait");
        break;
    case -EINVAL: ch_peer_reply_error_in(peer, 400, "bad_value", "cursor is none of this list's", "cursor", ""); break;
    case -E2BIG: ch_peer_reply_error_in(peer, 400, "bad_value", "q: 16 words at the most are allowed", "q", ""); break;
    case -EAGAIN:
        ch_peer_reply_error(peer, 503, "busy", "another program has locked the list of recordings; try again");
        break;
    case -ENODEV: ch_peer_reply_error(peer, 503, "no_list", "the list of recordings could not be opened"); break;
    default: {
        char message[160];
        snprintf(message, sizeof message, "the list of recordings failed: %s", strerror(-rc));
        ch_peer_reply_error(peer, 500, "failed", message);
    }
    }
}

static void free_job(struct job *job)
{
    json_decref(job->json);
    free(job);
}

static void answer_done(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    struct ch_peer *peer = job->peer;
    json_t *json = job->json;
    job->json = NULL;
    tell_status(job);
    if (peer && job->rc >= 0)
        ch_api_reply_json(peer, json);
    else
        json_decref(json);
    if (peer && job->rc < 0)
        refuse(peer, job->rc);
    free_job(job);
}

// What may be over in a moment.
static bool is_passing(int rc)
{
    return rc == -EAGAIN || rc == -ENOSPC || rc == -EDQUOT || rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE;
}

static bool is_missed(const struct ch_recordings *recordings, const char *id)
{
    for (const struct job *job = recordings->missed; job; job = job->next_missed)
        if (strcmp(job->id, id) == 0)
            return true;
    return false;
}

static void on_retry(uv_timer_t *timer);

static void retry_later(struct ch_recordings *recordings)
{
    if (!atomic_load(&recordings->stopping) && !uv_is_active((uv_handle_t *)&recordings->retry))
        uv_timer_start(&recordings->retry, on_retry, RETRY_MS, 0);
}

// An update failed; keeps it for later, if that may help. Takes it.
static void miss(struct job *job)
{
    struct ch_recordings *recordings = job->recordings;
    bool known = is_missed(recordings, job->id), wait = is_passing(job->rc), end = atomic_load(&recordings->stopping);
    if (!job->again && !known && !(end && wait))
        ch_log_warning("the list of recordings does not know %s yet: %s%s", job->id,
                       job->rc == -EAGAIN ? "another program has locked it" : strerror(-job->rc),
                       wait ? "; it is tried again" : "");
    if (known || !wait || end) {
        free_job(job);
        return;
    }
    job->again = true;
    job->next_missed = NULL;
    *recordings->missed_last = job;
    recordings->missed_last = &job->next_missed;
    retry_later(recordings);
}

static struct job *take_missed(struct ch_recordings *recordings)
{
    struct job *job = recordings->missed;
    if (!job)
        return NULL;
    recordings->missed = job->next_missed;
    if (!recordings->missed)
        recordings->missed_last = &recordings->missed;
    return job;
}

static void delete_done(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    struct ch_hub *hub = job->recordings->hub;
    tell_status(job);
    if (job->rc >= 0) {
        ch_log_info("recording %s was deleted", job->id);
        ch_events_recording_deleted(hub, job->id);
    } else if (job->rc != -ENOENT && job->rc != -EBUSY && job->rc != -ENODEV) {
        ch_log_error("recording %s could not be deleted: %s", job->id, strerror(-job->rc));
    }
    if (job->left)
        ch_recordings_changed(hub, job->id);
    if (job->peer && job->rc >= 0)
        ch_peer_reply(job->peer, 204, NULL, "", NULL, 0);
    else if (job->peer)
        refuse(job->peer, job->rc);
    free_job(job);
}

static void update_done(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    struct ch_recordings *recordings = job->recordings;
    tell_status(job);
    if (job->rc > 0)
        ch_events_recording(recordings->hub, &job->recording);
    else if (job->rc == 0)
        ch_events_recording_deleted(recordings->hub, job->id);
    if (job->rc < 0 && job->rc != -ENODEV) {
        miss(job);
        return;
    }
    free_job(job);
    struct job *missed = take_missed(recordings); // the lock is gone
    if (missed)
        submit(missed);
}

static void on_again(uv_timer_t *timer)
{
    struct ch_recordings *recordings = timer->data;
    struct job *job = recordings->looking ? NULL : new_job(recordings, run_look, look_done);
    if (!job)
        return;
    recordings->looking = true;
    submit(job);
}

static void on_retry(uv_timer_t *timer)
{
    struct ch_recordings *recordings = timer->data;
    struct job *missed = take_missed(recordings);
    if (missed)
        submit(missed); // the others when this one has gone well
    if (recordings->look_failed)
        on_again(&recordings->again);
}

static void look_done(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    struct ch_recordings *recordings = job->recordings;
    bool stopping = atomic_load(&recordings->stopping);
    if (job->rc > 0 && !stopping) {
        submit(job);
        return;
    }
    bool failed = job->rc < 0 && job->rc != -ENODEV;
    if (failed && !recordings->look_failed)
        ch_log_warning("the recordings folder could not be looked through: %s; it is tried again later",
                       job->rc == -EAGAIN ? "another program has locked the list" : strerror(-job->rc));
    recordings->look_failed = failed;
    if (failed && is_passing(job->rc))
        retry_later(recordings);
    if (job->rc <= 0)
        tell_status(job);
    recordings->looking = false;
    free_job(job);
}

static void open_done(struct ch_disk_job *base)
{
    struct job *job = (struct job *)base;
    if (job->rc < 0)
        ch_log_error("the list of recordings cannot be opened: %s; recording goes on without it", strerror(-job->rc));
    tell_status(job);
    free_job(job);
}

static void close_done(struct ch_disk_job *base)
{
    free_job((struct job *)base);
}

// --- requests ---

static bool is_get(const struct ch_http_request *request)
{
    return request->method == CH_HTTP_GET || request->method == CH_HTTP_HEAD;
}

static void wait_for(struct ch_peer *peer, struct job *job)
{
    job->peer = peer;
    ch_peer_reply_later(peer, CH_PEER_REPLYING, &role, job);
    submit(job);
}

static void bad_value(struct ch_peer *peer, const char *field, const char *allowed)
{
    char message[200];
    snprintf(message, sizeof message, "%s: %s is allowed", field, allowed);
    ch_peer_reply_error_in(peer, 400, "bad_value", message, field, "");
}

// Of a text that is known to be UTF-8.
static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

// The name of the value that is bad, or NULL; *allowed then tells what would be good.
static const char *read_filter(const struct ch_http_request *request, struct job *job, const char **allowed)
{
    struct ch_catalogue_filter *filter = &job->filter;
    char value[64];
    int64_t number;
    ch_catalogue_filter_init(filter);
    filter->camera = job->camera;
    filter->words = job->words;
    filter->cursor = job->cursor;
    *allowed = "text of up to 127 bytes";
    if (ch_api_query(request, "camera", job->camera, sizeof job->camera) < 0)
        return "camera";
    *allowed = "text of up to 200 characters";
    if (ch_api_query(request, "q", job->words, sizeof job->words) < 0 ||
        count_characters(job->words) > WORDS_CHARACTERS)
        return "q";
    *allowed = "what `next` of the page before said";
    if (ch_api_query(request, "cursor", job->cursor, sizeof job->cursor) < 0)
        return "cursor";
    *allowed = "a time (RFC 3339) or a date (YYYY-MM-DD)";
    int size = ch_api_query(request, "from", value, sizeof value);
    if (size < 0 || (size > 0 && ch_recording_parse_time(value, false, &filter->from_us) < 0))
        return "from";
    size = ch_api_query(request, "to", value, sizeof value);
    if (size < 0 || (size > 0 && ch_recording_parse_time(value, true, &filter->to_us) < 0))
        return "to";
    *allowed = "recording, complete, gaps, recovered, damaged or unknown";
    size = ch_api_query(request, "verdict", value, sizeof value);
    if (size < 0 || (size > 0 && (filter->verdict = ch_recording_verdict_from_name(value)) < 0))
        return "verdict";
    *allowed = "1 to 500";
    size = ch_api_query(request, "limit", value, sizeof value);
    if (size < 0 || (size > 0 && ch_parse_int(value, 1, CH_CATALOGUE_LIMIT_MAX, &number) < 0))
        return "limit";
    if (size > 0)
        filter->limit = (unsigned)number;
    return NULL;
}

static void answer_list(struct ch_peer *peer, const struct ch_http_request *request, struct job *job)
{
    const char *allowed, *bad = read_filter(request, job, &allowed);
    if (!bad) {
        wait_for(peer, job);
        return;
    }
    free_job(job);
    bad_value(peer, bad, allowed);
}

void ch_recordings_request(struct ch_peer *peer, const struct ch_http_request *request, const char *rest)
{
    bool list = rest[0] == '\0', erase = request->method == CH_HTTP_DELETE;
    if (!is_get(request) && (list || !erase)) {
        ch_api_reply_method(peer, list ? "GET, HEAD" : "GET, HEAD, DELETE");
        return;
    }
    if (!list && (rest[0] != '/' || strlen(rest + 1) >= CH_SESSION_ID_BYTES)) {
        refuse(peer, -ENOENT);
        return;
    }
    struct job *job = new_job(peer->hub->recordings,
                              list    ? run_list
                              : erase ? run_delete
                                      : run_details,
                              erase ? delete_done : answer_done);
    if (!job) {
        ch_peer_reply_error(peer, 500, "memory", "out of memory");
        return;
    }
    if (list) {
        answer_list(peer, request, job);
        return;
    }
    strcpy(job->id, rest + 1);
    wait_for(peer, job);
}

// --- life ---

void ch_recordings_changed(struct ch_hub *hub, const char *id)
{
    struct job *job = hub->recordings ? new_job(hub->recordings, run_update, update_done) : NULL;
    if (!job)
        return;
    snprintf(job->id, sizeof job->id, "%s", id);
    submit(job);
}

int ch_recordings_start(struct ch_hub *hub)
{
    struct ch_recordings *recordings = calloc(1, sizeof *recordings);
    if (!recordings)
        return -ENOMEM;
    recordings->hub = hub;
    struct job *open = new_job(recordings, run_open, open_done);
    int rc = open ? ch_disk_start(&recordings->disk, hub->loop, 1) : -ENOMEM;
    if (rc < 0) {
        free(open);
        free(recordings);
        return rc;
    }
    hub->recordings = recordings;
    recordings->missed_last = &recordings->missed;
    uv_timer_init(hub->loop, &recordings->again);
    uv_timer_init(hub->loop, &recordings->retry);
    recordings->timers = 2;
    recordings->again.data = recordings->retry.data = recordings;
    submit(open);
    on_again(&recordings->again);
    uv_timer_start(&recordings->again, on_again, AGAIN_MS, AGAIN_MS);
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct ch_recordings *recordings = handle->data;
    if (--recordings->timers == 0)
        free(recordings);
}

void ch_recordings_stop(struct ch_hub *hub)
{
    struct ch_recordings *recordings = hub->recordings;
    atomic_store(&recordings->stopping, true);
    struct job *job = new_job(recordings, run_close, close_done);
    if (job)
        submit(job);
    ch_disk_stop(&recordings->disk);
    for (struct job *missed; (missed = take_missed(recordings));)
        free_job(missed);
    hub->recordings = NULL;
    uv_close((uv_handle_t *)&recordings->again, on_timer_closed);
    uv_close((uv_handle_t *)&recordings->retry, on_timer_closed);
}
