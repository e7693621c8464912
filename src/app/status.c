#include "app/status.h"

#include "app/camera.h"
#include "app/json_out.h"
#include "app/session.h"
#include "base/addresses.h"
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ASK_US CH_US_PER_S
#define ASK_ANYWAY_US (10 * CH_US_PER_S) // so that the first one who wants to know is not told an old story
#define ASK_FFMPEG_US (60 * CH_US_PER_S)
#define RATES 10 // seconds of which the write rate is the mean

// What the outside said.
struct facts {
    uint64_t free_bytes, total_bytes;
    bool ffmpeg;
    char addresses[CH_ADDRESSES_MAX][CH_ADDRESS_BYTES];
    size_t address_count;
};

// A question in the work pool. The hub outlives it (hub->works), this struct's owner may not.
struct question {
    uv_work_t work;
    struct ch_hub *hub;
    struct ch_status *status; // NULL: nobody waits any more
    bool ask_ffmpeg;
    char *folder, *ffmpeg, *host; // owned
    struct facts facts;
};

struct ch_status {
    struct ch_hub *hub;
    struct question *question; // out, or NULL
    struct facts facts;
    int64_t asked_us, asked_ffmpeg_us; // monotonic
    uint64_t rates[RATES];             // bytes per second
    unsigned rate_count, rate_next;
    enum ch_catalogue_state catalogue;
    uint64_t catalogue_sessions;
};

// --- asking, on any thread ---

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

// As execvp(3) would look for it.
static bool find_program(const char *name)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/'))
        return is_program(name);
    for (const char *at = path ? path : "/bin:/usr/bin"; *at;) {
        size_t size = strcspn(at, ":");
        char whole[PATH_MAX];
        int used = size ? snprintf(whole, sizeof whole, "%.*s/%s", (int)size, at, name)
                        : snprintf(whole, sizeof whole, "./%s", name); // an empty entry is the working folder
        if (used > 0 && (size_t)used < sizeof whole && is_program(whole))
            return true;
        at += size + (at[size] == ':');
    }
    return false;
}

static void ask(const char *folder, const char *ffmpeg, const char *host, bool ask_ffmpeg, struct facts *facts)
{
    struct statvfs disk;
    if (statvfs(folder, &disk) == 0) {
        facts->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
        facts->total_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
    }
    if (ask_ffmpeg)
        facts->ffmpeg = find_program(ffmpeg);
    facts->address_count = ch_own_addresses(host, facts->addresses);
}

// --- asking off the loop ---

static void free_question(struct question *question)
{
    free(question->folder);
    free(question->ffmpeg);
    free(question->host);
    free(question);
}

static void on_work(uv_work_t *work)
{
    struct question *question = work->data;
    ask(question->folder, question->ffmpeg, question->host, question->ask_ffmpeg, &question->facts);
}

static void on_answer(uv_work_t *work, int status)
{
    struct question *question = work->data;
    struct ch_hub *hub = question->hub;
    if (question->status) {
        if (status == 0)
            question->status->facts = question->facts;
        question->status->question = NULL;
    }
    free_question(question);
    hub->works--;
    ch_hub_check_stopped(hub);
}

static struct question *make_question(struct ch_status *status, bool ask_ffmpeg)
{
    const struct ch_options *options = &status->hub->options;
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return NULL;
    question->work.data = question;
    question->hub = status->hub;
    question->status = status;
    question->ask_ffmpeg = ask_ffmpeg;
    question->facts = status->facts;
    question->folder = strdup(options->recordings);
    question->ffmpeg = strdup(options->ffmpeg);
    question->host = strdup(options->host);
    if (question->folder && question->ffmpeg && question->host)
        return question;
    free_question(question);
    return NULL;
}

static void refresh(struct ch_status *status)
{
    int64_t now = ch_clock_mono_us();
    if (status->question || status->hub->stopping || now - status->asked_us < ASK_US)
        return;
    bool ask_ffmpeg = now - status->asked_ffmpeg_us >= ASK_FFMPEG_US;
    struct question *question = make_question(status, ask_ffmpeg);
    if (!question)
        return;
    if (uv_queue_work(status->hub->loop, &question->work, on_work, on_answer) < 0) {
        free_question(question);
        return;
    }
    status->hub->works++;
    status->question = question;
    status->asked_us = now;
    if (ask_ffmpeg)
        status->asked_ffmpeg_us = now;
}

// --- life ---

struct ch_status *ch_status_new(struct ch_hub *hub)
{
    struct ch_status *status = calloc(1, sizeof *status);
    if (!status)
        return NULL;
    status->hub = hub;
    status->asked_us = status->asked_ffmpeg_us = ch_clock_mono_us();
    ask(hub->options.recordings, hub->options.ffmpeg, hub->options.host, true, &status->facts);
    return status;
}

void ch_status_free(struct ch_status *status)
{
    if (status && status->question)
        status->question->status = NULL;
    free(status);
}

// --- what is being written ---

// From what the cameras in session send: each payload goes to the film, and of H.264 cameras to stream.h264 as well,
// if that is kept. Boxes and index records come to some 150 bytes per frame and are not counted.
static uint64_t rate_of(const struct ch_camera *camera)
{
    bool twice = camera->kind == CH_CAMERA_H264 && camera->hub->options.h264;
    return camera->figures.bitrate / 8 * (twice ? 2 : 1);
}

void ch_status_housekeep(struct ch_status *status)
{
    uint64_t rate = 0;
    for (const struct ch_camera *camera = status->hub->cameras; camera; camera = camera->next)
        if (camera->link && camera->session)
            rate += rate_of(camera);
    status->rates[status->rate_next] = rate;
    status->rate_next = (status->rate_next + 1) % RATES;
    if (status->rate_count < RATES)
        status->rate_count++;
    if (ch_clock_mono_us() - status->asked_us >= ASK_ANYWAY_US)
        refresh(status);
}

static uint64_t write_rate(const struct ch_status *status)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < status->rate_count; i++)
        sum += status->rates[i];
    return status->rate_count ? sum / status->rate_count : 0;
}

void ch_status_set_catalogue(struct ch_status *status, enum ch_catalogue_state state, uint64_t sessions)
{
    if (!status)
        return;
    status->catalogue = state;
    status->catalogue_sessions = sessions;
}

bool ch_status_disk(struct ch_status *status, uint64_t *free_bytes, uint64_t *total_bytes)
{
    *free_bytes = status->facts.free_bytes;
    *total_bytes = status->facts.total_bytes;
    refresh(status);
    return *total_bytes > 0;
}

// --- JSON ---

static json_t *cameras_of(const struct ch_hub *hub)
{
    int connected = 0, recording = 0, lost = 0;
    for (const struct ch_camera *camera = hub->cameras; camera; camera = camera->next) {
        connected += camera->link != NULL;
        recording += camera->session != NULL;
        lost += camera->link == NULL;
    }
    return json_pack("{s:i,s:i,s:i}", "connected", connected, "recording", recording, "lost", lost);
}

static json_t *disk_of(const struct ch_status *status)
{
    const struct facts *facts = &status->facts;
    uint64_t rate = write_rate(status);
    json_t *left = rate ? json_integer((json_int_t)(facts->free_bytes / rate)) : json_null();
    return json_pack("{s:o,s:I,s:I,s:I,s:o}", "path", ch_json_text(status->hub->options.recordings), "free",
                     (json_int_t)facts->free_bytes, "total", (json_int_t)facts->total_bytes, "write_rate",
                     (json_int_t)rate, "seconds_left", left);
}

static json_t *catalogue_of(const struct ch_status *status)
{
    static const char *const names[] = {"reading", "ready", "failed"};
    return json_pack("{s:I,s:s}", "sessions", (json_int_t)status->catalogue_sessions, "state",
                     names[status->catalogue]);
}

static json_t *addresses_of(const struct facts *facts)
{
    json_t *all = json_array();
    for (size_t i = 0; i < facts->address_count; i++)
        if (json_array_append_new(all, ch_json_text(facts->addresses[i])) < 0)
            break;
    return all;
}

static int count_sessions(const struct ch_hub *hub)
{
    int count = 0;
    for (const struct ch_session *session = hub->sessions; session; session = session->next)
        count++;
    return count;
}

json_t *ch_status_to_json(struct ch_status *status)
{
    struct ch_hub *hub = status->hub;
    refresh(status);
    return json_pack("{s:s,s:o,s:o,s:o,s:i,s:I,s:o,s:o,s:i,s:o,s:b}", "version", CH_VERSION, "time",
                     ch_json_time(ch_clock_wall_us()), "uptime", ch_json_seconds(ch_clock_mono_us() - hub->started_us),
                     "cameras", cameras_of(hub), "sessions", count_sessions(hub), "viewers",
                     (json_int_t)hub->viewer_count, "disk", disk_of(status), "catalogue", catalogue_of(status), "port",
                     (int)hub->port, "addresses", addresses_of(&status->facts), "ffmpeg", status->facts.ffmpeg);
}
