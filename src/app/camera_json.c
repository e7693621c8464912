#include "app/camera_json.h"

#include "app/feed.h"
#include "app/json_out.h"
#include "app/output.h"
#include "app/session.h"
#include "base/clock.h"

static uint64_t frames_of(const struct ch_camera *camera)
{
    uint64_t all = camera->stream ? ch_stream_counts(camera->stream)->pictures : 0;
    return all > camera->pictures_at_connect ? all - camera->pictures_at_connect : 0;
}

static json_t *age_of(const struct ch_camera *camera)
{
    if (camera->last_picture_us == 0)
        return json_null();
    return ch_json_seconds(ch_clock_mono_us() - camera->last_picture_us);
}

json_t *ch_camera_figures_to_json(const struct ch_camera *camera)
{
    bool linked = camera->link; // the last figures of a lost camera are over
    return json_pack("{s:o,s:I,s:I,s:I,s:i,s:o}", "fps", ch_json_hundredths(linked ? camera->figures.centi_fps : 0),
                     "bitrate", (json_int_t)(linked ? camera->figures.bitrate : 0), "frames",
                     (json_int_t)frames_of(camera), "lost", (json_int_t)camera->sequence.missing, "viewers",
                     (int)camera->viewer_count, "age", age_of(camera));
}

json_t *ch_camera_answer_to_json(const struct ch_camera_note *answer)
{
    if (answer->wall_us == 0)
        return json_null();
    return json_pack("{s:o,s:b,s:o}", "text", ch_json_text(answer->text), "error", answer->error, "time",
                     ch_json_time(answer->wall_us));
}

static json_t *command_of(const struct ch_camera *camera)
{
    if (camera->command.wall_us == 0)
        return json_null();
    return json_pack("{s:o,s:o}", "text", ch_json_text(camera->command.text), "time",
                     ch_json_time(camera->command.wall_us));
}

static json_t *audio_of(const struct ch_aac_config *audio)
{
    if (audio->rate == 0)
        return json_null();
    return json_pack("{s:s,s:I,s:I}", "codec", audio->codec, "rate", (json_int_t)audio->rate, "channels",
                     (json_int_t)audio->channels);
}

static json_t *stream_of(const struct ch_camera *camera)
{
    const struct ch_params *params = camera->stream ? ch_stream_params(camera->stream) : NULL;
    if (!params || params->width == 0 || params->height == 0)
        return json_null();
    return json_pack("{s:I,s:I,s:o,s:o}", "width", (json_int_t)params->width, "height", (json_int_t)params->height,
                     "codec", ch_json_text(params->codec), "audio", audio_of(&params->audio));
}

// A session has its name, and so is one to others, when its folder is made.
static json_t *session_of(const struct ch_camera *camera)
{
    const struct ch_session *session = camera->session;
    const char *id = session && session->recorder ? ch_recorder_id(session->recorder) : "";
    if (!id[0])
        return json_null();
    return json_pack("{s:o,s:o}", "id", ch_json_text(id), "started", ch_json_time(session->started_us));
}

json_t *ch_camera_to_json(const struct ch_camera *camera)
{
    const struct ch_feed *feed = ch_feed_of(camera);
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "name", camera->name, "kind",
                     camera->kind == CH_CAMERA_JPEG ? "jpeg" : "h264", "state", ch_camera_state_name(camera->state),
                     "since", ch_json_time(camera->state_since_us), "address",
                     ch_json_text(camera->link ? camera->address : NULL), "model", ch_json_text(camera->device_model),
                     "stream", stream_of(camera), "figures", ch_camera_figures_to_json(camera), "session",
                     session_of(camera), "answer", ch_camera_answer_to_json(&camera->answer), "command",
                     command_of(camera), "source", feed ? ch_feed_to_json(feed) : json_null(), "outputs",
                     ch_outputs_to_json(camera));
}

json_t *ch_camera_details_to_json(const struct ch_camera *camera)
{
    json_t *json = ch_camera_to_json(camera);
    json_t *capabilities = camera->capabilities ? json_loads(camera->capabilities, 0, NULL) : NULL;
    if (!capabilities)
        capabilities = json_null();
    const struct ch_feed *feed = ch_feed_of(camera);
    json_t *statistics = feed ? ch_feed_statistics_to_json(feed) : json_null();
    int rc = json_object_set_new(json, "capabilities", capabilities);
    rc |= json_object_set_new(json, "statistics", statistics);
    if (rc == 0)
        return json;
    json_decref(json);
    return NULL;
}

json_t *ch_cameras_to_json(const struct ch_hub *hub)
{
    json_t *all = json_array();
    int rc = all ? 0 : -1;
    for (const struct ch_camera *camera = hub->cameras; camera && rc == 0; camera = camera->next)
        rc = json_array_append_new(all, ch_camera_to_json(camera));
    if (rc == 0)
        return all;
    json_decref(all);
    return NULL;
}
