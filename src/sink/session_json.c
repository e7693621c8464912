#include "sink/session_json.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const session_kinds[] = {"h264", "jpeg"};
static const char *const file_kinds[] = {"mp4", "h264", "mjpeg", "index", "film"};

static json_t *time_json(int64_t wall_us)
{
    char text[CH_RFC3339_BYTES];
    ch_format_rfc3339(wall_us, text);
    return json_string(text);
}

static json_t *text_or_null(const char *text)
{
    json_t *value = text && text[0] ? json_string(text) : NULL;
    return value ? value : json_null();
}

json_t *ch_session_json_begin(const char *id, const char *name, const char *address, const char *device_model,
                              const char *capabilities, int64_t started_us)
{
    json_t *about = capabilities ? json_loads(capabilities, 0, NULL) : NULL;
    return json_pack("{s:i,s:s,s:s,s:n,s:{s:o,s:o,s:o},s:o,s:o}", "format", CH_SESSION_FORMAT, "id", id, "state",
                     "recording", "verdict", "camera", "name", text_or_null(name), "address", text_or_null(address),
                     "device_model", text_or_null(device_model), "capabilities", about ? about : json_null(), "started",
                     time_json(started_us));
}

json_t *ch_session_json_file(const struct ch_session_file *file)
{
    json_t *entry = json_pack("{s:s,s:s,s:I,s:I,s:b}", "name", file->name, "kind", file_kinds[file->kind], "bytes",
                              (json_int_t)file->bytes, "frames", (json_int_t)file->frames, "damaged", file->damaged);
    if (file->kind == CH_FILE_MP4 || file->kind == CH_FILE_FILM) {
        json_object_set_new(entry, "width", json_integer(file->width));
        json_object_set_new(entry, "height", json_integer(file->height));
    }
    if (file->kind == CH_FILE_INDEX)
        json_object_set_new(entry, "sha256", json_string(file->sha256));
    return entry;
}

static json_t *files_json(const struct ch_session_facts *facts, json_t **index)
{
    json_t *files = json_array();
    *index = json_null();
    for (size_t i = 0; i < facts->file_count; i++) {
        const struct ch_session_file *file = &facts->files[i];
        if (file->kind == CH_FILE_INDEX && json_is_null(*index))
            *index = json_pack("{s:s,s:I,s:s}", "file", file->name, "records", (json_int_t)file->frames, "sha256",
                               file->sha256);
        json_array_append_new(files, ch_session_json_file(file));
    }
    return files;
}

json_t *ch_session_json_audio(const struct ch_aac_config *audio, const struct ch_report *report)
{
    if (!audio || audio->rate == 0 || !report || report->audio_frames == 0)
        return json_null();
    return json_pack("{s:s,s:i,s:i,s:I}", "codec", audio->codec, "rate", (int)audio->rate, "channels",
                     (int)audio->channels, "frames", (json_int_t)report->audio_frames);
}

int ch_session_json_fill(json_t *session, const struct ch_session_facts *facts)
{
    json_t *index;
    int rc = json_object_set_new(session, "files", files_json(facts, &index));
    rc |= json_object_set_new(session, "index", index);
    rc |= json_object_set_new(session, "kind", json_string(session_kinds[facts->kind]));
    rc |= json_object_set_new(session, "numbered", json_boolean(facts->kind == CH_SESSION_H264));
    rc |= json_object_set_new(session, "state", json_string(facts->end_reason ? "finished" : "recording"));
    if (facts->end_reason) {
        int64_t end_us = facts->started_us;
        if (facts->report && facts->report->last_arrival_us > end_us)
            end_us = facts->report->last_arrival_us;
        else if (facts->report && facts->report->last_arrival_us == 0) // no arrival is known any more
            end_us += ch_report_duration_ticks(facts->report) / 9 * 100;
        rc |= json_object_set_new(session, "verdict", json_string(ch_verdict_name(facts->verdict)));
        rc |= json_object_set_new(session, "reason", json_string(facts->reason));
        rc |= json_object_set_new(session, "end_reason", json_string(facts->end_reason));
        rc |= json_object_set_new(session, "ended", time_json(end_us));
    }
    rc |= json_object_set_new(session, "audio", ch_session_json_audio(facts->audio, facts->report));
    if (facts->report)
        rc |= ch_report_to_json(facts->report, session);
    return rc ? -ENOMEM : 0;
}

int ch_session_json_write(const json_t *session, int dir)
{
    char *text = json_dumps(session, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    if (!text)
        return -ENOMEM;
    int rc = ch_file_replace(dir, "session.json", text, strlen(text));
    free(text);
    return rc;
}

json_t *ch_session_json_read(int dir)
{
    char *text;
    size_t size;
    if (ch_file_read_all(dir, "session.json", CH_SESSION_JSON_MAX, &text, &size) < 0)
        return NULL;
    json_t *session = json_loadb(text, size, 0, NULL);
    free(text);
    if (session && json_integer_value(json_object_get(session, "format")) != CH_SESSION_FORMAT) {
        json_decref(session);
        return NULL;
    }
    return session;
}

enum ch_session_kind ch_session_json_kind(const json_t *session)
{
    const char *kind = json_string_value(json_object_get(session, "kind"));
    return kind && strcmp(kind, session_kinds[CH_SESSION_JPEG]) == 0 ? CH_SESSION_JPEG : CH_SESSION_H264;
}

bool ch_session_json_finished(const json_t *session)
{
    const char *state = json_string_value(json_object_get(session, "state"));
    return state && strcmp(state, "finished") == 0;
}

// "12 min 5 s", "8.2 s".
static void format_length(int64_t ticks, char out[32])
{
    int64_t ms = ticks / 90;
    if (ms < 60000)
        snprintf(out, 32, "%lld.%lld s", (long long)(ms / 1000), (long long)(ms % 1000 / 100));
    else
        snprintf(out, 32, "%lld min %lld s", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
}

// Of a camera that numbers nothing.
static enum ch_verdict judge_unnumbered(const struct ch_report *report, bool recovered, char reason[128])
{
    char length[32];
    format_length(ch_report_duration_ticks(report), length);
    snprintf(reason, 128, "%s%llu pictures in %s; the camera numbers none, so losses on the way are not known",
             recovered ? "interrupted; " : "", (unsigned long long)report->frames, length);
    return recovered ? CH_VERDICT_RECOVERED : CH_VERDICT_COMPLETE;
}

enum ch_verdict ch_session_judge(enum ch_session_kind kind, const struct ch_report *report, bool recovered,
                                 bool damaged, const char *damage, char reason[128])
{
    char length[32];
    format_length(ch_report_duration_ticks(report), length);
    unsigned long long missing = report->sequence.missing;
    if (damaged) {
        snprintf(reason, 128, "%s", damage);
        return CH_VERDICT_DAMAGED;
    }
    if (kind == CH_SESSION_JPEG)
        return judge_unnumbered(report, recovered, reason);
    if (recovered) {
        snprintf(reason, 128, "recording was interrupted; %llu frames recovered, %llu missing in %s",
                 (unsigned long long)report->frames, missing, length);
        return CH_VERDICT_RECOVERED;
    }
    if (missing > 0) {
        snprintf(reason, 128, "%llu frame%s missing in %s", missing, missing == 1 ? "" : "s", length);
        return CH_VERDICT_GAPS;
    }
    snprintf(reason, 128, "all %llu frames in %s", (unsigned long long)report->frames, length);
    return CH_VERDICT_COMPLETE;
}
