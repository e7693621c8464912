// Drafts into a configuration, and what must hold between its parts.
#include "app/config_internal.h"
#include "base/limits.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool no_memory(struct ch_building *building)
{
    building->reader->no_memory = true;
    return false;
}

// Room for one more in a list; false without memory. `count` is raised by the caller.
static bool grow(struct ch_building *building, void *list, size_t count, size_t item_bytes)
{
    void *old, *more;
    memcpy(&old, list, sizeof old);
    if (count & (count - 1)) // there is room up to the next power of two
        return true;
    more = reallocarray(old, count ? 2 * count : 1, item_bytes);
    if (!more)
        return no_memory(building);
    memcpy(list, &more, sizeof more);
    return true;
}

static char *copy(struct ch_building *building, const char *text)
{
    char *out = text ? strdup(text) : NULL;
    if (text && !out)
        no_memory(building);
    return out;
}

// --- hub and logging ---

static const char *own(struct ch_building *building, const char *text)
{
    struct ch_config *config = building->config;
    if (!grow(building, &config->owned, config->owned_count, sizeof *config->owned))
        return "";
    char *out = copy(building, text);
    if (!out)
        return "";
    config->owned[config->owned_count++] = out;
    return out;
}

void ch_config_build_options(struct ch_building *building, const struct ch_drafts *drafts, const char *ffmpeg)
{
    static const enum ch_log_level levels[] = {CH_LOG_DEBUG, CH_LOG_INFO, CH_LOG_WARNING, CH_LOG_ERROR, CH_LOG_ERROR};
    const struct ch_hub_draft *hub = &drafts->hub;
    building->config->options = (struct ch_options){
        .host = own(building, hub->host),
        .port = (uint16_t)hub->port,
        .recordings = own(building, hub->recordings),
        .open = hub->open,
        .h264 = hub->h264,
        .thumbnails = hub->thumbnails,
        .sync_us = hub->sync_us,
        .max_message_bytes = (uint32_t)hub->max_message,
        .ffmpeg = own(building, ffmpeg),
    };
    building->config->log_level = levels[drafts->logging.level];
    building->config->log_file = copy(building, drafts->logging.file);
}

// --- a source ---

static struct ch_place inside(const struct ch_place *place, const char *name)
{
    return (struct ch_place){.in = place, .name = name};
}

static void need(struct ch_reader *reader, const struct ch_place *place, const struct ch_section *section,
                 const void *draft, const char *name, const char *who)
{
    struct ch_place inner = inside(place, name);
    if (!ch_key_is_set(draft, section, name))
        ch_config_fault(reader, &inner, "missing; %s needs it", who);
}

static void check_region(struct ch_reader *reader, const struct ch_place *place, const struct ch_source_draft *draft)
{
    struct ch_place region = inside(place, "region");
    if (!ch_key_is_set(draft, &ch_section_source, "region")) {
        if (draft->type == CH_TYPE_WINDOW_REGION)
            ch_config_fault(reader, &region, "missing; a window_region needs it");
        return;
    }
    need(reader, &region, &ch_section_region, &draft->region, "width", "a region");
    need(reader, &region, &ch_section_region, &draft->region, "height", "a region");
}

static void check_needed(struct ch_reader *reader, const struct ch_place *place, const struct ch_source_draft *draft)
{
    const struct ch_section *section = &ch_section_source;
    switch (draft->type) {
    case CH_SOURCE_WINDOW: need(reader, place, section, draft, "window_title", "a window"); break;
    case CH_TYPE_WINDOW_REGION: need(reader, place, section, draft, "window_title", "a window_region"); break;
    case CH_SOURCE_NETWORK: need(reader, place, section, draft, "url", "a network_stream"); break;
    case CH_SOURCE_FILE: need(reader, place, section, draft, "path", "a file"); break;
    case CH_SOURCE_FFMPEG: need(reader, place, section, draft, "args", "a source of type ffmpeg"); break;
    default: break;
    }
    struct ch_place width = inside(place, "width");
    if ((draft->width == 0) != (draft->height == 0))
        ch_config_fault(reader, &width, "width and height go together: both, or none of them");
    check_region(reader, place, draft);
}

// What another type would have a use for is no mistake of the file, but worth a word.
static void warn_unused(struct ch_reader *reader, const struct ch_place *place, const struct ch_source_draft *draft)
{
    for (size_t i = 0; i < ch_section_source.count; i++) {
        const struct ch_key *key = &ch_section_source.keys[i];
        struct ch_place inner = inside(place, key->name);
        if ((draft->set >> i & 1u) && key->types != 0 && !(key->types >> draft->type & 1u))
            ch_config_warning(reader, &inner, "a source of type %s has no use for it", ch_type_words[draft->type]);
    }
    struct ch_place audio = inside(place, "audio_input");
    if (!draft->audio && draft->audio_input)
        ch_config_warning(reader, &audio, "not used, as audio is false");
}

static struct ch_encode encode_of(const struct ch_ffmpeg_draft *draft)
{
    struct ch_encode encode = {.framerate = (uint32_t)draft->framerate, .always = draft->always_encode};
    snprintf(encode.bitrate, sizeof encode.bitrate, "%s", draft->bitrate);
    snprintf(encode.preset, sizeof encode.preset, "%s", ch_preset_words[draft->preset]);
    snprintf(encode.tune, sizeof encode.tune, "%s", ch_tune_words[draft->tune]);
    return encode;
}

static struct ch_source_process process_of(const struct ch_process_draft *draft)
{
    return (struct ch_source_process){
        .crash_threshold = (uint32_t)draft->crash_threshold,
        .crash_window_us = draft->crash_window_us,
        .shutdown_timeout_us = draft->shutdown_timeout_us,
        .stall_timeout_us = draft->stall_timeout_us,
        .nice = (int)draft->nice,
        .memory_bytes = (uint64_t)draft->memory_mib << 20,
    };
}

static char **copy_list(struct ch_building *building, const char *const *list)
{
    size_t count = 0;
    if (!list)
        return NULL;
    while (list[count])
        count++;
    char **out = calloc(count + 1, sizeof *out);
    if (!out) {
        no_memory(building);
        return NULL;
    }
    for (size_t i = 0; i < count && (i == 0 || out[i - 1]); i++) // without memory it ends there
        out[i] = copy(building, list[i]);
    return out;
}

static void fill_texts(struct ch_building *building, const struct ch_source_draft *draft, struct ch_source_config *out)
{
    bool screen = out->type == CH_SOURCE_SCREEN || out->type == CH_SOURCE_WINDOW;
    bool device = out->type == CH_SOURCE_DEVICE;
    out->display = screen ? copy(building, draft->display) : NULL;
    out->window_title = out->type == CH_SOURCE_WINDOW ? copy(building, draft->window_title) : NULL;
    out->url = out->type == CH_SOURCE_NETWORK ? copy(building, draft->url) : NULL;
    out->device = device ? copy(building, draft->device) : NULL;
    out->input_format = device ? copy(building, draft->input_format) : NULL;
    out->path = out->type == CH_SOURCE_FILE ? copy(building, draft->path) : NULL;
    out->args = out->type == CH_SOURCE_FFMPEG ? copy_list(building, draft->args) : NULL;
    out->audio_args = draft->audio ? copy_list(building, draft->audio_input) : NULL;
}

static struct ch_source_config *source_of(struct ch_building *building, const struct ch_source_draft *draft,
                                          const struct ch_ffmpeg_draft *ffmpeg, const struct ch_process_draft *process)
{
    struct ch_source_config *out = calloc(1, sizeof *out);
    if (!out) {
        no_memory(building);
        return NULL;
    }
    bool window_region = draft->type == CH_TYPE_WINDOW_REGION;
    out->type = window_region ? CH_SOURCE_WINDOW : (enum ch_source_type)draft->type;
    out->region = (struct ch_region){.set = ch_key_is_set(draft, &ch_section_source, "region"),
                                     .x = (uint32_t)draft->region.x,
                                     .y = (uint32_t)draft->region.y,
                                     .width = (uint32_t)draft->region.width,
                                     .height = (uint32_t)draft->region.height};
    snprintf(out->name, sizeof out->name, "%s", draft->name ? draft->name : "");
    fill_texts(building, draft, out);
    out->display_index = (uint32_t)draft->display_index;
    out->find_by_substring = draft->find_by_substring;
    out->draw_mouse = draft->draw_mouse;
    out->transport = (enum ch_source_transport)draft->transport;
    out->timeout_us = draft->timeout_us;
    out->reconnect_delay_us = draft->reconnect_us;
    out->max_reconnect_attempts = (uint32_t)draft->attempts;
    out->width = (uint32_t)draft->width;
    out->height = (uint32_t)draft->height;
    out->loop = draft->loop;
    out->audio = draft->audio;
    out->record_always = draft->record == 1;
    out->encode = encode_of(ffmpeg);
    out->process = process_of(process);
    return out;
}

static const char *file_of(const struct ch_place *place)
{
    while (place->in)
        place = place->in;
    return place->name;
}

// What a name is compared with: those of all files.
static void add_source(struct ch_building *building, const struct ch_place *place, struct ch_source_config *source,
                       const struct ch_place *name_place, bool named)
{
    struct ch_config *config = building->config;
    struct ch_reader *reader = building->reader;
    for (size_t i = 0; i < config->source_count && source->name[0]; i++)
        if (strcmp(config->sources[i]->name, source->name) == 0)
            ch_config_fault(reader, name_place, "the source's name%s, %s, is taken by a source of %s%s",
                            named ? "" : " that follows from it", source->name, building->source_files[i],
                            named ? "" : "; source.name gives it another");
    if (config->source_count == CH_LIMIT_SOURCES) {
        ch_config_fault(reader, place, "there are more than %d sources", CH_LIMIT_SOURCES);
    } else if (grow(building, &config->sources, config->source_count, sizeof *config->sources) &&
               grow(building, &building->source_files, config->source_count, sizeof *building->source_files)) {
        building->source_files[config->source_count] = file_of(place);
        config->sources[config->source_count++] = source;
        return;
    }
    ch_source_config_free(source);
}

static void build_source(struct ch_building *building, const struct ch_place *place,
                         const struct ch_source_draft *draft, const struct ch_drafts *drafts,
                         const struct ch_place *name_place, bool named)
{
    check_needed(building->reader, place, draft);
    warn_unused(building->reader, place, draft);
    struct ch_source_config *source = source_of(building, draft, &drafts->ffmpeg, &drafts->process);
    if (source)
        add_source(building, place, source, name_place, named);
}

void ch_config_build_source(struct ch_building *building, const struct ch_place *place, const struct ch_drafts *drafts)
{
    struct ch_place name = inside(place, "name");
    need(building->reader, place, &ch_section_source, &drafts->source, "name", "a source of the list");
    build_source(building, place, &drafts->source, drafts, &name, true);
}

// --- an instance ---

// "/" is "live", "/screen1" is "screen1", "/a/b" is "a_b".
static void name_of_path(const char *path, char out[CH_NAME_MAX + 1])
{
    snprintf(out, CH_NAME_MAX + 1, "%s", path[0] == '/' ? path + 1 : path);
    for (char *p = out; *p; p++) {
        char one[2] = {*p, '\0'};
        if (*p != '.' && !ch_name_valid(one))
            *p = '_';
    }
    if (out[0] == '\0')
        snprintf(out, CH_NAME_MAX + 1, "live");
    else if (!ch_name_valid(out)) // "."
        out[0] = '_';
}

static void add_door(struct ch_building *building, const struct ch_place *place, const struct ch_server_draft *server,
                     const char *source)
{
    struct ch_config *config = building->config;
    if (!grow(building, &config->doors, config->door_count, sizeof *config->doors) ||
        !grow(building, &building->door_files, config->door_count, sizeof *building->door_files))
        return;
    building->door_files[config->door_count] = file_of(place);
    config->doors[config->door_count++] = (struct ch_door_config){
        .host = copy(building, server->host ? server->host : ""),
        .port = (uint16_t)server->port,
        .http_port = (uint16_t)server->http_port,
        .path = copy(building, server->path ? server->path : ""),
        .source = copy(building, source),
    };
}

void ch_config_build_instance(struct ch_building *building, const struct ch_place *place,
                              const struct ch_drafts *drafts)
{
    struct ch_source_draft source = drafts->source;
    char name[CH_NAME_MAX + 1];
    struct ch_place source_place = inside(place, "source"), server_place = inside(place, "server");
    bool named = ch_key_is_set(&source, &ch_section_source, "name");
    struct ch_place name_place = inside(&source_place, "name"), path_place = inside(&server_place, "path");
    if (!named) {
        name_of_path(drafts->server.path, name);
        source.name = name;
    }
    if (building->config->source_count < CH_LIMIT_SOURCES)
        add_door(building, place, &drafts->server, source.name ? source.name : "");
    build_source(building, &source_place, &source, drafts, named ? &name_place : &path_place, named);
}

// --- an output ---

static void check_format(struct ch_reader *reader, const struct ch_place *place, const struct ch_output_draft *draft)
{
    const char *url = draft->url, *format = draft->format < 0 ? NULL : ch_format_words[draft->format];
    struct ch_place inner = inside(place, "format");
    if (!url || !format)
        return;
    bool rtsp = ch_config_url_is(url, "rtsp") || ch_config_url_is(url, "rtsps");
    bool rtmp = ch_config_url_is(url, "rtmp") || ch_config_url_is(url, "rtmps");
    const char *only = rtsp ? "rtsp" : rtmp ? "flv" : NULL;
    if (only && strcmp(format, only) != 0)
        ch_config_fault(reader, &inner, "%s does not go with this URL; %s does", format, only);
    else if (!only && strcmp(format, "rtsp") == 0)
        ch_config_fault(reader, &inner, "rtsp does not go with this URL; mpegts or flv does");
}

static void check_output_name(struct ch_building *building, const struct ch_place *place, const char *name)
{
    struct ch_place inner = inside(place, "name");
    const struct ch_config *config = building->config;
    for (size_t i = 0; i < config->output_count; i++)
        if (config->outputs[i].name && strcmp(config->outputs[i].name, name) == 0)
            ch_config_fault(building->reader, &inner, "the name %s is taken by an output of %s", name,
                            building->output_files[i]);
}

void ch_config_build_output(struct ch_building *building, const struct ch_place *place,
                            const struct ch_output_draft *draft, const struct ch_process_draft *process)
{
    struct ch_config *config = building->config;
    need(building->reader, place, &ch_section_output, draft, "camera", "an output");
    need(building->reader, place, &ch_section_output, draft, "url", "an output");
    check_format(building->reader, place, draft);
    if (draft->name)
        check_output_name(building, place, draft->name);
    if (config->output_count == CH_LIMIT_OUTPUTS) {
        ch_config_fault(building->reader, place, "there are more than %d outputs", CH_LIMIT_OUTPUTS);
        return;
    }
    if (!grow(building, &config->outputs, config->output_count, sizeof *config->outputs) ||
        !grow(building, &building->output_files, config->output_count, sizeof *building->output_files))
        return;
    building->output_files[config->output_count] = file_of(place);
    config->outputs[config->output_count++] = (struct ch_output_config){
        .name = copy(building, draft->name),
        .camera = copy(building, draft->camera ? draft->camera : ""),
        .url = copy(building, draft->url ? draft->url : ""),
        .format = copy(building, draft->format < 0 ? NULL : ch_format_words[draft->format]),
        .process = process_of(process),
    };
}

static bool output_named(const struct ch_config *config, const char *name)
{
    for (size_t i = 0; i < config->output_count; i++)
        if (config->outputs[i].name && strcmp(config->outputs[i].name, name) == 0)
            return true;
    return false;
}

// CAMERA-1, CAMERA-2, ..., of which those that somebody chose are left out.
static void name_outputs(struct ch_building *building)
{
    struct ch_config *config = building->config;
    for (size_t i = 0; i < config->output_count; i++) {
        struct ch_output_config *output = &config->outputs[i];
        char name[CH_NAME_MAX + 1];
        if (output->name || !output->camera)
            continue;
        unsigned number = 0;
        do
            snprintf(name, sizeof name, "%.*s-%u", CH_NAME_MAX - 4, output->camera, ++number);
        while (output_named(config, name));
        output->name = copy(building, name);
    }
}

// --- ports ---

static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

// The hub's own paths; those below them are, too.
static bool is_hub_path(const char *path)
{
    static const char *const own_paths[] = {"/android-cam", "/esp",        "/dev",     "/live",    "/api",
                                            "/console",     "/recordings", "/healthz", "/metrics", "/camera"};
    for (size_t i = 0; i < sizeof own_paths / sizeof own_paths[0]; i++) {
        size_t size = strlen(own_paths[i]);
        if (strncmp(path, own_paths[i], size) == 0 && (path[size] == '\0' || path[size] == '/'))
            return true;
    }
    return false;
}

static void check_with_hub(struct ch_building *building, const struct ch_door_config *door, const char *file)
{
    const struct ch_options *options = &building->config->options;
    struct ch_place root = {.name = file}, server = inside(&root, "server"), path = inside(&server, "path");
    bool own = door->port == options->port && (is_hub_path(door->path) || strcmp(door->path, "/") == 0);
    if (own || (door->http_port != 0 && door->http_port == options->port && is_hub_path(door->path)))
        ch_config_fault(building->reader, &path, "%s is a path of the hub's own, which listens on port %u too",
                        door->path, options->port);
}

// One port at two addresses, of which one is all addresses: the second of them could not be listened on.
static void check_hosts(struct ch_building *building, const char *file, const char *host, unsigned port,
                        const char *other_host, const char *other)
{
    struct ch_place root = {.name = file}, server = inside(&root, "server"), place = inside(&server, "host");
    if (strcmp(host, other_host) != 0 && (is_wildcard(host) || is_wildcard(other_host)))
        ch_config_fault(building->reader, &place,
                        "%s and %s (%s) cannot both be listened on at port %u; one must "
                        "be written as the other, or have another port",
                        host, other_host, other, port);
}

static bool shares(unsigned port, const struct ch_door_config *door)
{
    return port != 0 && (port == door->port || port == door->http_port);
}

static void check_two(struct ch_building *building, size_t i, size_t j)
{
    const struct ch_door_config *door = &building->config->doors[i], *other = &building->config->doors[j];
    const char *file = building->door_files[i], *other_file = building->door_files[j];
    struct ch_place root = {.name = file}, server = inside(&root, "server"), path = inside(&server, "path");
    if (door->port == other->port && strcmp(door->host, other->host) == 0 && strcmp(door->path, other->path) == 0)
        ch_config_fault(building->reader, &path,
                        "%s at port %u is taken by %s; several instances can share a port, "
                        "each with a path of its own",
                        door->path, door->port, other_file);
    if (shares(door->port, other))
        check_hosts(building, file, door->host, door->port, other->host, other_file);
    else if (shares(door->http_port, other))
        check_hosts(building, file, door->host, door->http_port, other->host, other_file);
}

static void check_doors(struct ch_building *building)
{
    const struct ch_config *config = building->config;
    for (size_t i = 0; i < config->door_count; i++) {
        const struct ch_door_config *door = &config->doors[i];
        check_with_hub(building, door, building->door_files[i]);
        if (shares(config->options.port, door))
            check_hosts(building, building->door_files[i], door->host, config->options.port, config->options.host,
                        "the hub's own");
        for (size_t j = 0; j < i; j++)
            check_two(building, i, j);
    }
}

void ch_config_check_whole(struct ch_building *building)
{
    if (building->reader->no_memory)
        return;
    name_outputs(building);
    check_doors(building);
}

void ch_building_free(struct ch_building *building)
{
    free(building->source_files);
    free(building->door_files);
    free(building->output_files);
}
