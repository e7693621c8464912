#include "app/output.h"

#include "app/events.h"
#include "app/feed.h"
#include "app/json_out.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "source/complaint.h"
#include "source/ffmpeg_args.h"
#include "source/redact.h"
#include "source/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SILENT_US INT64_C(10000000) // without a picture: nothing is pushed any more
#define LINGER_US INT64_C(2000000)
#define FIRST_PAUSE_US INT64_C(1000000)
#define LONGEST_PAUSE_US INT64_C(30000000)
#define ANEW_US INT64_C(60000000) // after it was given up: nobody comes and asks for it, as for a source
#define WELL_US INT64_C(3000000)  // of running: it works, and what went wrong before is of no more interest
#define OPEN_FILES 256

struct ch_output {
    struct ch_hub *hub;
    struct ch_output *next;         // by name
    struct ch_output_config config; // owned texts
    char *shown;                    // the URL without its secrets; owned
    const char *format;             // ffmpeg's
    struct ch_redactor redactor;
    struct ch_supervisor supervisor;
    char **argv; // of the run; owned
    // While frames go to the child:
    struct ch_camera *camera; // NULL: they do not
    struct ch_viewer viewer;
    struct ch_params *params; // those of the run; owned reference
    bool want_room;
    bool renew;                      // the run is over because of the camera, not of the child
    bool well;                       // the run has lasted a while: it works
    uint64_t bytes, frames, dropped; // of all runs; the last two without those of the viewer at hand
    char error[300];
    enum ch_supervisor_state said; // the state that the log was told of
    bool removed;
};

const struct ch_output_config *ch_output_config_of(const struct ch_output *output)
{
    return &output->config;
}

struct ch_output *ch_output_next(const struct ch_output *output)
{
    return output->next;
}

struct ch_output *ch_output_find(struct ch_hub *hub, const char *name)
{
    struct ch_output *output = hub->outputs;
    while (output && strcmp(output->config.name, name) != 0)
        output = output->next;
    return output;
}

static bool is_of(const struct ch_output *output, const struct ch_camera *camera)
{
    return strcmp(output->config.camera, camera->name) == 0;
}

unsigned ch_outputs_of(const struct ch_camera *camera)
{
    unsigned count = 0;
    for (const struct ch_output *output = camera->hub->outputs; output; output = output->next)
        count += is_of(output, camera);
    return count;
}

// --- the viewer's outlet: the child's stdin ---

static ssize_t outlet_try_send(void *owner, const struct iovec *iov, size_t count)
{
    struct ch_output *output = owner;
    struct ch_child *child = &output->supervisor.child;
    ssize_t taken = 0;
    if (ch_child_unwritten(child) > CH_LIMIT_OUTPUT_BYTES)
        return 0;
    // Not every format that comes out can change its parameters on the way.
    if (output->params && output->viewer.said != output->params && !ch_params_same(output->viewer.said, output->params))
        return -ESTALE;
    if (!output->params)
        output->params = ch_params_ref(output->viewer.said);
    for (size_t i = 0; i < count; i++) {
        int rc = ch_child_write(child, iov[i].iov_base, iov[i].iov_len);
        if (rc < 0)
            return rc;
        taken += (ssize_t)iov[i].iov_len;
    }
    output->bytes += (uint64_t)taken;
    return taken;
}

static int outlet_send(void *owner, const struct iovec *iov, size_t count)
{
    struct ch_output *output = owner;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = ch_child_write(&output->supervisor.child, iov[i].iov_base, iov[i].iov_len);
        output->bytes += iov[i].iov_len;
    }
    return rc;
}

static int outlet_queue(void *owner, const void *data, size_t size, void (*release)(void *), void *context)
{
    int rc = ch_child_write(&((struct ch_output *)owner)->supervisor.child, data, size);
    release(context);
    return rc;
}

static void outlet_want_room(void *owner)
{
    ((struct ch_output *)owner)->want_room = true;
}

static void outlet_failed(void *owner, int error)
{
    struct ch_output *output = owner;
    output->renew = error == 0 || error == -ESTALE; // other parameters: in a new run
    ch_supervisor_fail(&output->supervisor);
}

static const struct ch_viewer_outlet outlet = {
    .try_send = outlet_try_send,
    .queue = outlet_queue,
    .send = outlet_send,
    .want_room = outlet_want_room,
    .failed = outlet_failed,
};

// The frames of a run begin once; a camera that is just coming back may have no stream yet.
static void attach(struct ch_output *output)
{
    struct ch_camera *camera = ch_camera_find(output->hub, output->config.camera);
    if (output->camera || !camera || !camera->stream || output->removed)
        return;
    output->camera = camera;
    output->want_room = false;
    ch_viewer_start(&output->viewer, camera->stream, CH_VIEW_HTTP_FLV, 0, &output->hub->holds, &outlet, output);
}

// Pictures that a viewer who waits for room has not been given.
static uint64_t count_left(const struct ch_viewer *viewer)
{
    const struct ch_frame *newest = viewer->blocked ? ch_cursor_newest(&viewer->cursor) : NULL;
    uint64_t next = newest ? newest->picture + (newest->flags & CH_FRAME_PICTURE ? 1 : 0) : 0;
    return next > viewer->next_picture ? next - viewer->next_picture : 0;
}

static void detach(struct ch_output *output)
{
    if (!output->camera)
        return;
    output->frames += output->viewer.frames_sent;
    output->dropped += output->viewer.dropped + count_left(&output->viewer);
    ch_viewer_stop(&output->viewer);
    output->viewer.frames_sent = output->viewer.dropped = 0;
    output->camera = NULL;
    ch_params_unref(output->params);
    output->params = NULL;
}

void ch_outputs_detach(struct ch_camera *camera)
{
    for (struct ch_output *output = camera->hub->outputs; output; output = output->next)
        if (output->camera == camera) {
            detach(output);
            output->renew = true; // a stream of FLV cannot begin anew in the midst of a run
            ch_supervisor_fail(&output->supervisor);
        }
}

// --- the supervisor's calls ---

static int on_prepare(void *owner, struct ch_child_options *options)
{
    struct ch_output *output = owner;
    output->renew = output->well = false;
    free(output->argv);
    output->argv = ch_ffmpeg_output_args(output->hub->options.ffmpeg, output->config.url, output->format);
    if (!output->argv)
        return -ENOMEM;
    options->argv = (const char *const *)output->argv;
    options->helper = CH_CHILD_HELPER;
    options->nice = output->config.process.nice;
    options->address_space_bytes = output->config.process.memory_bytes;
    options->open_files = OPEN_FILES;
    options->feed = true;
    return 0;
}

static void on_started(void *owner)
{
    attach(owner);
}

static void on_fed(void *owner)
{
    struct ch_output *output = owner;
    ch_supervisor_progress(&output->supervisor);
    if (output->want_room && output->camera) {
        output->want_room = false;
        ch_viewer_room(&output->viewer);
    }
}

static void explain(struct ch_output *output, const struct ch_child_exit *how)
{
    char lines[CH_CHILD_ERRORS_BYTES], words[200];
    ch_child_said(&output->supervisor.child, &output->redactor, CH_CHILD_ERROR_LINES, lines, sizeof lines);
    ch_complaint_words(lines, CH_SOURCE_FFMPEG, words, sizeof words);
    const char *colon = words[0] ? ": " : "";
    if (how->status == 127 && how->signal == 0)
        snprintf(output->error, sizeof output->error, "there is no program %.200s (FFMPEG_BIN names another)",
                 output->hub->options.ffmpeg);
    else if (output->supervisor.stalled)
        snprintf(output->error, sizeof output->error, "took nothing for a while%s%s", colon, words);
    else if (how->signal)
        snprintf(output->error, sizeof output->error, "ffmpeg was ended by signal %d%s%s", how->signal, colon, words);
    else
        snprintf(output->error, sizeof output->error, "%s", words[0] ? words : "ffmpeg ended");
}

static bool is_wanted(const struct ch_output *output, int64_t now_us);

static enum ch_run_end on_ended(void *owner, const struct ch_child_exit *how)
{
    struct ch_output *output = owner;
    detach(output);
    free(output->argv);
    output->argv = NULL;
    if (output->renew) {
        ch_supervisor_set_users(&output->supervisor, is_wanted(output, ch_clock_mono_us()));
        return CH_RUN_AGAIN;
    }
    if (!output->supervisor.told)
        explain(output, how);
    return CH_RUN_CRASHED;
}

static void log_state(const struct ch_output *output)
{
    const char *name = output->config.name, *camera = output->config.camera;
    switch (output->supervisor.state) {
    case CH_SUPERVISOR_WAITING:
        ch_log_warning("%s: output %s failed: %s; tried again", camera, name, output->error);
        break;
    case CH_SUPERVISOR_GIVEN_UP:
        ch_log_error("%s: output %s failed too often: %s; tried again once a minute", camera, name, output->error);
        break;
    case CH_SUPERVISOR_STOPPED: ch_log_info("%s: output %s stopped", camera, name); break;
    default: break;
    }
}

static void tell(const struct ch_output *output)
{
    struct ch_camera *camera = ch_camera_find(output->hub, output->config.camera);
    if (camera)
        ch_events_camera(camera);
}

static void on_changed(void *owner)
{
    struct ch_output *output = owner;
    enum ch_supervisor_state state = output->supervisor.state;
    if (output->removed || state == output->said)
        return;
    output->said = state;
    if (state == CH_SUPERVISOR_STOPPING)
        ch_child_end_input(&output->supervisor.child); // an ffmpeg that waits for input does not heed SIGTERM
    log_state(output);
    tell(output);
}

static const struct ch_supervisor_ops supervisor_ops = {
    .prepare = on_prepare,
    .started = on_started,
    .fed = on_fed,
    .ended = on_ended,
    .changed = on_changed,
};

// --- when it runs ---

// A source is kept running by its outputs (app/feed.c); what runs here waits for its pictures.
static bool is_wanted(const struct ch_output *output, int64_t now_us)
{
    const struct ch_camera *camera = ch_camera_find(output->hub, output->config.camera);
    return camera && camera->kind == CH_CAMERA_H264 && camera->link && camera->stream &&
           ch_stream_newest_key(camera->stream) && now_us - camera->last_picture_us < SILENT_US;
}

// Why it never begins.
static void check_kind(struct ch_output *output)
{
    static const char words[] = "the camera sends JPEG; only H.264 can be pushed";
    const struct ch_camera *camera = ch_camera_find(output->hub, output->config.camera);
    if (!camera || camera->kind != CH_CAMERA_JPEG || strcmp(output->error, words) == 0)
        return;
    snprintf(output->error, sizeof output->error, "%s", words);
    ch_log_warning("%s: output %s: %s", output->config.camera, output->config.name, words);
    tell(output);
}

// ffmpeg takes some seconds before it knows whether the server does.
static void check_well(struct ch_output *output)
{
    const struct ch_supervisor *supervisor = &output->supervisor;
    if (output->well || supervisor->state != CH_SUPERVISOR_RUNNING ||
        ch_clock_wall_us() - supervisor->since_us < WELL_US)
        return;
    output->well = true;
    output->error[0] = '\0';
    ch_log_info("%s: output %s goes to %s", output->config.camera, output->config.name, output->shown);
    tell(output);
}

static void housekeep(struct ch_output *output, int64_t now_us)
{
    struct ch_supervisor *supervisor = &output->supervisor;
    bool wanted = is_wanted(output, now_us);
    bool anew = supervisor->state == CH_SUPERVISOR_GIVEN_UP && ch_clock_wall_us() - supervisor->since_us > ANEW_US;
    if (ch_child_unwritten(&supervisor->child) == 0 && supervisor->state == CH_SUPERVISOR_RUNNING)
        ch_supervisor_progress(supervisor); // nothing waits for it: it is not to blame
    if (anew)
        ch_supervisor_set_users(supervisor, 0);
    ch_supervisor_set_users(supervisor, wanted);
    if (supervisor->state == CH_SUPERVISOR_STARTING || supervisor->state == CH_SUPERVISOR_RUNNING)
        attach(output);
    check_kind(output);
    check_well(output);
}

void ch_outputs_housekeep(struct ch_hub *hub, int64_t now_us)
{
    for (struct ch_output *output = hub->outputs; output && !hub->stopping; output = output->next)
        housekeep(output, now_us);
}

// --- life ---

static void free_output(struct ch_output *output)
{
    ch_redactor_free(&output->redactor);
    free(output->argv);
    free(output->shown);
    free(output->config.name);
    free(output->config.camera);
    free(output->config.url);
    free(output->config.format);
    free(output);
}

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static struct ch_output *new_output(const struct ch_output_config *config)
{
    struct ch_output *output = calloc(1, sizeof *output);
    if (!output)
        return NULL;
    output->config = (struct ch_output_config){
        .name = copy(config->name),
        .camera = copy(config->camera),
        .url = copy(config->url),
        .format = copy(config->format),
        .process = config->process,
    };
    output->shown = ch_redact_url(config->url);
    output->format = output->config.format ? output->config.format : ch_ffmpeg_output_format(config->url);
    if (output->config.name && output->config.camera && output->config.url && output->format && output->shown &&
        ch_redactor_add(&output->redactor, config->url) == 0)
        return output;
    free_output(output);
    return NULL;
}

static void insert(struct ch_hub *hub, struct ch_output *output)
{
    struct ch_output **at = &hub->outputs;
    while (*at && strcmp((*at)->config.name, output->config.name) < 0)
        at = &(*at)->next;
    output->next = *at;
    *at = output;
}

int ch_output_add(struct ch_hub *hub, const struct ch_output_config *config)
{
    struct ch_output *output = new_output(config);
    if (!output)
        return -ENOMEM;
    struct ch_supervisor_policy policy = {
        .crash_threshold = config->process.crash_threshold,
        .crash_window_us = config->process.crash_window_us,
        .linger_us = LINGER_US,
        .stall_us = config->process.stall_timeout_us,
        .first_pause_us = FIRST_PAUSE_US,
        .longest_pause_us = LONGEST_PAUSE_US,
    };
    output->hub = hub;
    int rc = ch_supervisor_init(&output->supervisor, hub->loop, &policy, &supervisor_ops, output);
    if (rc < 0) {
        free_output(output);
        return rc;
    }
    insert(hub, output);
    return 0;
}

static void on_closed(struct ch_supervisor *supervisor)
{
    struct ch_output *output = supervisor->owner;
    struct ch_hub *hub = output->hub;
    free_output(output);
    hub->works--;
    ch_hub_check_stopped(hub);
}

void ch_output_remove(struct ch_output *output)
{
    struct ch_output **at = &output->hub->outputs;
    while (*at != output)
        at = &(*at)->next;
    *at = output->next;
    output->removed = true;
    detach(output);
    ch_child_end_input(&output->supervisor.child); // as in on_changed
    output->hub->works++;
    ch_supervisor_close(&output->supervisor, true, on_closed);
}

// --- for others ---

static json_t *output_to_json(const struct ch_output *output)
{
    const struct ch_supervisor *supervisor = &output->supervisor;
    bool waiting = supervisor->state == CH_SUPERVISOR_WAITING;
    return json_pack("{s:s,s:o,s:s,s:s,s:o,s:o,s:o,s:I,s:I,s:I,s:I}", "name", output->config.name, "url",
                     ch_json_text(output->shown), "format", output->format, "state",
                     ch_supervisor_state_name(supervisor->state), "since", ch_json_time(supervisor->since_us), "retry",
                     waiting ? ch_json_seconds(ch_supervisor_wait_us(supervisor)) : json_null(), "error",
                     ch_json_text(output->error[0] ? output->error : NULL), "restarts",
                     (json_int_t)supervisor->restarts, "bytes", (json_int_t)output->bytes, "frames",
                     (json_int_t)(output->frames + output->viewer.frames_sent), "dropped",
                     (json_int_t)(output->dropped + output->viewer.dropped));
}

json_t *ch_outputs_to_json(const struct ch_camera *camera)
{
    json_t *all = json_array();
    for (const struct ch_output *output = camera->hub->outputs; all && output; output = output->next)
        if (is_of(output, camera) && json_array_append_new(all, output_to_json(output)) < 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

bool ch_output_facts(const struct ch_hub *hub, unsigned n, struct ch_output_facts *out)
{
    const struct ch_output *output = hub->outputs;
    while (output && n-- > 0)
        output = output->next;
    if (!output)
        return false;
    *out = (struct ch_output_facts){
        .name = output->config.name,
        .camera = output->config.camera,
        .running = output->supervisor.state == CH_SUPERVISOR_RUNNING,
        .restarts = output->supervisor.restarts,
        .bytes = output->bytes,
        .frames = output->frames + output->viewer.frames_sent,
        .dropped = output->dropped + output->viewer.dropped,
    };
    return true;
}
