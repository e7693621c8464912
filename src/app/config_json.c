// A configuration as JSON that could be a configuration file, with every key; secrets are "***".
#include "app/config_internal.h"
#include "source/redact.h"

#include <stdlib.h>
#include <string.h>

// Names of folders need not be UTF-8, as JSON must.
static json_t *text_or_null(const char *text)
{
    json_t *value = text ? json_string(text) : json_null();
    char *copy = value ? NULL : strdup(text);
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p >= 128)
            *p = '?';
    if (copy)
        value = json_string(copy);
    free(copy);
    return value;
}

static json_t *redacted(const char *url)
{
    char *shown = url ? ch_redact_url(url) : NULL;
    json_t *value = url ? text_or_null(shown ? shown : "***") : json_null();
    free(shown);
    return value;
}

static json_t *seconds(int64_t us)
{
    return us % 1000000 == 0 ? json_integer(us / 1000000) : json_real((double)us / 1e6);
}

// --- sections ---

static json_t *hub_json(const struct ch_options *options)
{
    return json_pack("{s:s, s:i, s:o, s:b, s:b, s:b, s:o, s:I}", "host", options->host, "port", (int)options->port,
                     "recordings", text_or_null(options->recordings), "h264", (int)options->h264, "thumbnails",
                     (int)options->thumbnails, "open", (int)options->open, "sync_interval", seconds(options->sync_us),
                     "max_message", (json_int_t)options->max_message_bytes);
}

static json_t *logging_json(const struct ch_config *config)
{
    static const char *const names[] = {
        [CH_LOG_ERROR] = "ERROR", [CH_LOG_WARNING] = "WARNING", [CH_LOG_INFO] = "INFO", [CH_LOG_DEBUG] = "DEBUG"};
    return json_pack("{s:s, s:o}", "level", names[config->log_level], "file", text_or_null(config->log_file));
}

static json_t *server_json(const struct ch_door_config *door)
{
    return json_pack("{s:s, s:i, s:s, s:i}", "host", door->host, "port", (int)door->port, "path", door->path,
                     "http_port", (int)door->http_port);
}

static json_t *ffmpeg_json(const struct ch_encode *encode)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:b}", "video_codec", ch_video_codec_words[0], "audio_codec",
                     ch_audio_codec_words[0], "bitrate", encode->bitrate, "framerate", (int)encode->framerate, "preset",
                     encode->preset, "tune", encode->tune, "always_encode", (int)encode->always);
}

static json_t *process_json(const struct ch_source_process *process)
{
    return json_pack("{s:i, s:o, s:o, s:o, s:i, s:I}", "crash_threshold", (int)process->crash_threshold, "crash_window",
                     seconds(process->crash_window_us), "shutdown_timeout", seconds(process->shutdown_timeout_us),
                     "stall_timeout", seconds(process->stall_timeout_us), "nice", process->nice, "memory_limit",
                     (json_int_t)(process->memory_bytes >> 20));
}

// --- a source ---

static json_t *region_json(const struct ch_region *region)
{
    if (!region->set)
        return json_null();
    return json_pack("{s:i, s:i, s:i, s:i}", "x", (int)region->x, "y", (int)region->y, "width", (int)region->width,
                     "height", (int)region->height);
}

static bool is_one_of(const char *option, const char *const *options)
{
    for (; *options; options++)
        if (strcmp(option, *options) == 0)
            return true;
    return false;
}

// Of arguments, those are shown of which it is known that they are no password, header or cookie: a few options, and
// the values of some of them.
static json_t *args_json(char *const *args)
{
    static const char *const harmless[] = {
        "-f",
        "-i",
        "-framerate",
        "-r",
        "-video_size",
        "-s",
        "-pix_fmt",
        "-t",
        "-ss",
        "-stream_loop",
        "-channels",
        "-input_format",
        "-pixel_format",
        "-ac",
        "-ar",
        "-loop",
        "-thread_queue_size",
        "-sample_rate",
        "-rtsp_transport",
        NULL,
    };
    static const char *const without_value[] = {"-re", "-an", "-vn", NULL};
    json_t *list = args ? json_array() : json_null();
    for (size_t i = 0; args && args[i]; i++) {
        bool shown = is_one_of(args[i], harmless) || is_one_of(args[i], without_value) ||
                     (i > 0 && is_one_of(args[i - 1], harmless));
        json_array_append_new(list, shown ? redacted(args[i]) : json_string("***"));
    }
    return list;
}

static void put_screen(json_t *json, const struct ch_source_config *source)
{
    json_object_set_new(json, "display", text_or_null(source->display));
    if (source->type == CH_SOURCE_SCREEN) {
        json_object_set_new(json, "display_index", json_integer(source->display_index));
    } else {
        json_object_set_new(json, "window_title", json_string(source->window_title));
        json_object_set_new(json, "find_by_substring", json_boolean(source->find_by_substring));
    }
    json_object_set_new(json, "draw_mouse", json_boolean(source->draw_mouse));
}

static void put_network(json_t *json, const struct ch_source_config *source)
{
    json_object_set_new(json, "url", redacted(source->url));
    json_object_set_new(json, "transport", json_string(ch_transport_words[source->transport]));
    json_object_set_new(json, "timeout", json_integer(source->timeout_us));
    json_object_set_new(json, "reconnect_delay", seconds(source->reconnect_delay_us));
    json_object_set_new(json, "max_reconnect_attempts", json_integer(source->max_reconnect_attempts));
}

static void put_device(json_t *json, const struct ch_source_config *source)
{
    json_object_set_new(json, "device", json_string(source->device));
    json_object_set_new(json, "input_format", text_or_null(source->input_format));
    json_object_set_new(json, "width", json_integer(source->width));
    json_object_set_new(json, "height", json_integer(source->height));
}

static void put_of_type(json_t *json, const struct ch_source_config *source)
{
    switch (source->type) {
    case CH_SOURCE_SCREEN:
    case CH_SOURCE_WINDOW: put_screen(json, source); break;
    case CH_SOURCE_NETWORK: put_network(json, source); break;
    case CH_SOURCE_DEVICE: put_device(json, source); break;
    case CH_SOURCE_FILE:
        json_object_set_new(json, "path", redacted(source->path));
        json_object_set_new(json, "loop", json_boolean(source->loop));
        break;
    case CH_SOURCE_FFMPEG: json_object_set_new(json, "args", args_json(source->args)); break;
    }
}

static json_t *source_json(const struct ch_source_config *source)
{
    json_t *json = json_pack("{s:s, s:s}", "name", source->name, "type", ch_type_words[source->type]);
    put_of_type(json, source);
    json_object_set_new(json, "region", region_json(&source->region));
    json_object_set_new(json, "audio", json_boolean(source->audio));
    json_object_set_new(json, "audio_input", args_json(source->audio_args));
    json_object_set_new(json, "record", json_string(ch_record_words[source->record_always]));
    return json;
}

// --- the whole ---

static const struct ch_door_config *door_of(const struct ch_config *config, const struct ch_source_config *source)
{
    for (size_t i = 0; i < config->door_count; i++)
        if (strcmp(config->doors[i].source, source->name) == 0)
            return &config->doors[i];
    return NULL;
}

static void put_instance(json_t *json, const struct ch_door_config *door, const struct ch_source_config *source)
{
    json_object_set_new(json, "server", server_json(door));
    json_object_set_new(json, "source", source_json(source));
    json_object_set_new(json, "ffmpeg", ffmpeg_json(&source->encode));
    json_object_set_new(json, "process", process_json(&source->process));
}

static void put_item(json_t *list, const struct ch_source_config *source)
{
    json_t *json = source_json(source);
    json_object_set_new(json, "ffmpeg", ffmpeg_json(&source->encode));
    json_object_set_new(json, "process", process_json(&source->process));
    json_array_append_new(list, json);
}

static json_t *outputs_json(const struct ch_config *config)
{
    json_t *list = json_array();
    for (size_t i = 0; i < config->output_count; i++) {
        const struct ch_output_config *output = &config->outputs[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:o}", "name", output->name, "camera",
                                              output->camera, "url", redacted(output->url), "format",
                                              text_or_null(output->format), "process", process_json(&output->process)));
    }
    return list;
}

json_t *ch_config_to_json(const struct ch_config *config)
{
    json_t *json = json_object(), *sources = json_array(), *instances = json_array();
    json_object_set_new(json, "hub", hub_json(&config->options));
    json_object_set_new(json, "logging", logging_json(config));
    for (size_t i = 0; i < config->source_count; i++) {
        const struct ch_door_config *door = door_of(config, config->sources[i]);
        if (door && config->door_count == 1) {
            put_instance(json, door, config->sources[i]);
        } else if (door) {
            json_t *instance = json_object();
            put_instance(instance, door, config->sources[i]);
            json_array_append_new(instances, instance);
        } else {
            put_item(sources, config->sources[i]);
        }
    }
    if (json_array_size(instances) > 0) // several files; in one file there is no such key
        json_object_set(json, "instances", instances);
    json_decref(instances);
    json_object_set_new(json, "sources", sources);
    json_object_set_new(json, "outputs", outputs_json(config));
    return json;
}
