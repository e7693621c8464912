// Files, environment and flags into a configuration. All files are read first, each into drafts of its own; then the
// drafts are laid over each other, and then the parts are built.
#include "app/config_internal.h"

#include "app/config_jsonc.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/suggest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAULT_BYTES 256

// One file; or, if a source is described by variables alone, the environment.
struct file {
    struct ch_place place;
    json_t *root;  // NULL: no object
    bool instance; // it has `server` or `source`
    struct ch_drafts drafts;
};

// --- one file ---

static const char *folder_of(struct ch_reader *reader, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    if (!slash)
        return NULL; // the folder we are in
    size_t size = slash == path ? 1 : (size_t)(slash - path);
    folder = ch_config_keep_bytes(reader, size + 1);
    return folder ? memcpy(folder, path, size) : NULL;
}

static void warn_of_codecs(struct ch_reader *reader, const struct ch_place *video, const struct ch_place *audio,
                           const struct ch_ffmpeg_draft *draft)
{
    if (draft->video_codec != 0)
        ch_config_warning(reader, video, "H.264 (libx264) is made in place of %s, as recordings and browsers need it",
                          ch_video_codec_words[draft->video_codec]);
    if (draft->audio_codec != 0)
        ch_config_warning(reader, audio, "AAC is made in place of %s, as recordings and browsers need it",
                          ch_audio_codec_words[draft->audio_codec]);
}

static void warn_of_codecs_in(struct ch_reader *reader, const struct ch_place *place,
                              const struct ch_ffmpeg_draft *draft)
{
    struct ch_place video = {.in = place, .name = "video_codec"}, audio = {.in = place, .name = "audio_codec"};
    warn_of_codecs(reader, &video, &audio, draft);
}

static const struct ch_section *find_section(const char *name)
{
    for (size_t i = 0; i < CH_SECTIONS; i++)
        if (strcmp(ch_sections[i]->name, name) == 0)
            return ch_sections[i];
    return NULL;
}

static void read_list(struct ch_reader *reader, const struct ch_place *place, const json_t *value, const char *of)
{
    if (!json_is_array(value))
        ch_config_fault(reader, place, "this is no list; a list of %s is allowed", of);
}

static void read_root_key(struct ch_reader *reader, struct file *file, const char *name, const json_t *value)
{
    static const char *const names[] = {"hub",     "server",  "ffmpeg",  "source",
                                        "process", "logging", "sources", "outputs"};
    struct ch_place place = {.in = &file->place, .name = name};
    const struct ch_section *section = find_section(name);
    char words[CH_WORDS_BYTES];
    if (section) {
        ch_config_read(reader, &place, section, value, (char *)&file->drafts + section->offset);
        file->instance |= section == &ch_section_server || section == &ch_section_source;
    } else if (strcmp(name, "sources") == 0 || strcmp(name, "outputs") == 0) {
        read_list(reader, &place, value, name);
    } else {
        ch_config_words(reader, name, names, sizeof names / sizeof names[0], words);
        ch_config_fault(reader, &place, "unknown key; %s", words);
    }
}

static void read_root(struct ch_reader *reader, struct file *file)
{
    struct ch_place ffmpeg = {.in = &file->place, .name = "ffmpeg"};
    for (void *at = json_object_iter(file->root); at; at = json_object_iter_next(file->root, at))
        read_root_key(reader, file, json_object_iter_key(at), json_object_iter_value(at));
    warn_of_codecs_in(reader, &ffmpeg, &file->drafts.ffmpeg);
}

static void parse_file(struct ch_reader *reader, struct file *file, const struct ch_config_text *text)
{
    char fault[FAULT_BYTES];
    file->place = (struct ch_place){.name = text->name, .folder = folder_of(reader, text->name)};
    file->drafts = ch_config_defaults;
    if (text->size > CH_LIMIT_CONFIG_BYTES) {
        ch_config_fault(reader, &file->place, "more than %u bytes", CH_LIMIT_CONFIG_BYTES);
        return;
    }
    int rc = ch_jsonc_parse(text->text, text->size, &file->root, fault, sizeof fault);
    if (rc == -ENOMEM)
        reader->no_memory = true;
    if (rc < 0) { // "FILE:LINE:COLUMN: ..."
        char where[4096];
        char *words = strchr(fault, ' ');
        snprintf(where, sizeof where, "%s:%.*s", text->name, words ? (int)(words - fault) - 1 : 0, fault);
        struct ch_place place = {.name = where};
        ch_config_fault(reader, &place, "%s", words ? words + 1 : fault);
    } else if (!json_is_object(file->root)) {
        ch_config_fault(reader, &file->place, "an object is needed: { ... }");
    } else {
        read_root(reader, file);
    }
}

// --- all files ---

// Everything of one call.
struct load {
    struct ch_reader reader;
    struct ch_building building;
    struct file *files;
    size_t count;               // of files; there is room for one more
    struct ch_drafts variables; // what the environment sets
    const char *instance_variable;
    struct ch_drafts merged; // hub and logging
};

static void lay(struct load *load, const struct ch_section *section, struct ch_drafts *over)
{
    ch_config_lay_over(section, (char *)&load->merged + section->offset, (char *)over + section->offset);
}

// hub and logging are the program's: no two files may say different things.
static void merge_file(struct load *load, size_t i, const struct ch_section *section)
{
    struct file *file = &load->files[i];
    void *draft = (char *)&file->drafts + section->offset;
    for (size_t j = 0; j < i; j++) {
        struct file *other = &load->files[j];
        const struct ch_key *key = ch_config_contradiction(section, draft, (char *)&other->drafts + section->offset);
        if (!key)
            continue;
        struct ch_place place = {.in = &file->place, .name = section->name}, inner = {.in = &place, .name = key->name};
        ch_config_fault(&load->reader, &inner, "contradicts %s in %s; there is one for all files", key->name,
                        other->place.name);
        break;
    }
    lay(load, section, &file->drafts);
}

static void merge(struct load *load, struct ch_drafts *flags)
{
    static const struct ch_section *const sections[] = {&ch_section_hub, &ch_section_logging};
    load->merged = ch_config_defaults;
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < load->count; i++)
            merge_file(load, i, sections[s]);
        lay(load, sections[s], &load->variables);
        lay(load, sections[s], flags);
    }
}

// --- the environment and instances ---

static size_t count_instances(const struct load *load, size_t *first, size_t *last)
{
    size_t count = 0;
    for (size_t i = 0; i < load->count; i++) {
        if (!load->files[i].instance)
            continue;
        if (count++ == 0)
            *first = i;
        *last = i;
    }
    return count;
}

// Which file the variables of server.* and source.* belong to. Without any, they describe an instance of their own.
static struct file *file_of_variables(struct load *load)
{
    size_t first = 0, last = 0, count = count_instances(load, &first, &last);
    if (count > 1) {
        struct ch_place place = {.name = load->instance_variable};
        ch_config_fault(&load->reader, &place,
                        "several files describe a source (%s, %s): it cannot be told which one is meant",
                        load->files[first].place.name, load->files[last].place.name);
        return NULL;
    }
    if (count == 1)
        return &load->files[first];
    if (load->count == 1)
        return &load->files[0];
    struct file *file = &load->files[load->count++];
    *file = (struct file){.place = {.name = "environment"}, .drafts = ch_config_defaults};
    return file;
}

static void lay_variables(struct load *load, struct ch_drafts *drafts, const struct ch_section *section)
{
    ch_config_lay_over(section, (char *)drafts + section->offset, (char *)&load->variables + section->offset);
}

static void use_variables(struct load *load)
{
    struct file *file = load->instance_variable ? file_of_variables(load) : NULL;
    if (file) {
        file->instance = true;
        lay_variables(load, &file->drafts, &ch_section_server);
        lay_variables(load, &file->drafts, &ch_section_source);
    }
    for (size_t i = 0; i < load->count; i++) {
        lay_variables(load, &load->files[i].drafts, &ch_section_ffmpeg);
        lay_variables(load, &load->files[i].drafts, &ch_section_process);
    }
}

static void read_variables(struct load *load, char *const *environment)
{
    static const struct ch_place video = {.name = "CAMHUB_FFMPEG_VIDEO_CODEC"},
                                 audio = {.name = "CAMHUB_FFMPEG_AUDIO_CODEC"};
    load->variables = ch_config_defaults;
    ch_config_read_environment(&load->reader, environment, &load->variables, &load->instance_variable);
    warn_of_codecs(&load->reader, &video, &audio, &load->variables.ffmpeg);
}

// --- the lists ---

// An object inside an item that overrides the file's own section of that name.
static void read_override(struct load *load, const struct ch_place *place, const json_t *item,
                          const struct ch_section *section, struct ch_drafts *drafts)
{
    struct ch_place inner = {.in = place, .name = section->name};
    const json_t *value = json_object_get(item, section->name);
    struct ch_drafts over = ch_config_defaults;
    if (!value)
        return;
    ch_config_read(&load->reader, &inner, section, value, (char *)&over + section->offset);
    if (section == &ch_section_ffmpeg)
        warn_of_codecs_in(&load->reader, &inner, &over.ffmpeg);
    ch_config_lay_over(section, (char *)drafts + section->offset, (char *)&over + section->offset);
}

static void build_source(struct load *load, const struct file *file, const struct ch_place *place, const json_t *item)
{
    struct ch_drafts drafts = file->drafts;
    drafts.source = ch_config_defaults.source;
    ch_config_read(&load->reader, place, &ch_section_source_item, item, &drafts.source);
    if (!json_is_object(item))
        return;
    read_override(load, place, item, &ch_section_ffmpeg, &drafts);
    read_override(load, place, item, &ch_section_process, &drafts);
    ch_config_build_source(&load->building, place, &drafts);
}

static void build_output(struct load *load, const struct file *file, const struct ch_place *place, const json_t *item)
{
    struct ch_drafts drafts = file->drafts;
    struct ch_output_draft output = {.format = -1};
    ch_config_read(&load->reader, place, &ch_section_output, item, &output);
    if (!json_is_object(item))
        return;
    read_override(load, place, item, &ch_section_process, &drafts);
    ch_config_build_output(&load->building, place, &output, &drafts.process);
}

static void build_list(struct load *load, const struct file *file, const char *name,
                       void (*build)(struct load *load, const struct file *file, const struct ch_place *place,
                                     const json_t *item))
{
    const json_t *list = json_object_get(file->root, name);
    struct ch_place place = {.in = &file->place, .name = name};
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct ch_place item = {.in = &place, .index = i};
        if (i == CH_LIMIT_SOURCES || i == CH_LIMIT_OUTPUTS) {
            ch_config_fault(&load->reader, &item, "there are more than %zu %s", i, name);
            break;
        }
        build(load, file, &item, json_array_get(list, i));
    }
}

// --- all of it ---

static const char *ffmpeg_of(char *const *environment)
{
    for (; environment && *environment; environment++)
        if (strncmp(*environment, "FFMPEG_BIN=", 11) == 0 && (*environment)[11])
            return *environment + 11;
    return "ffmpeg";
}

static void build(struct load *load, char *const *environment)
{
    ch_config_build_options(&load->building, &load->merged, ffmpeg_of(environment));
    for (size_t i = 0; i < load->count; i++)
        if (load->files[i].instance)
            ch_config_build_instance(&load->building, &load->files[i].place, &load->files[i].drafts);
    for (size_t i = 0; i < load->count; i++) {
        build_list(load, &load->files[i], "sources", build_source);
        build_list(load, &load->files[i], "outputs", build_output);
    }
    ch_config_check_whole(&load->building);
}

static void load_all(struct load *load, const struct ch_config_text *texts, size_t count,
                     const struct ch_config_from *from)
{
    struct ch_drafts flags = ch_config_defaults;
    for (size_t i = 0; i < count; i++)
        parse_file(&load->reader, &load->files[load->count++], &texts[i]);
    read_variables(load, from->environment);
    ch_config_read_flags(&load->reader, from->flags, from->flag_count, &flags);
    merge(load, &flags);
    use_variables(load);
    build(load, from->environment);
}

int ch_config_load_texts(const struct ch_config_text *texts, size_t count, const struct ch_config_from *from,
                         struct ch_config **out, char *error, size_t error_bytes)
{
    struct load load = {.reader = {.error = error, .error_bytes = error_bytes}};
    *out = NULL;
    if (error_bytes > 0)
        error[0] = '\0';
    load.files = calloc(count + 1, sizeof *load.files);
    load.building = (struct ch_building){.reader = &load.reader, .config = calloc(1, sizeof(struct ch_config))};
    if (load.files && load.building.config)
        load_all(&load, texts, count, from);
    else
        load.reader.no_memory = true;
    struct ch_config *config = load.building.config;
    int rc = load.reader.no_memory ? -ENOMEM : load.reader.faults > 0 ? -EINVAL : 0;
    if (rc == -ENOMEM)
        snprintf(error, error_bytes, "out of memory");
    if (rc == 0) {
        config->warnings = load.reader.warnings;
        load.reader.warnings = NULL;
        *out = config;
    } else {
        ch_config_free(config);
    }
    for (size_t i = 0; i < load.count; i++)
        json_decref(load.files[i].root);
    free(load.files);
    ch_building_free(&load.building);
    ch_reader_free(&load.reader);
    return rc;
}

// --- from the disk ---

// A whole file of at most one byte more than is allowed. 0 or a negative errno.
static int read_open(int fd, struct ch_config_text *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    char *text = malloc(CH_LIMIT_CONFIG_BYTES + 1);
    if (!text)
        return -ENOMEM;
    int64_t size = ch_file_read_some(fd, text, CH_LIMIT_CONFIG_BYTES + 1, 0);
    if (size < 0) {
        free(text);
        return (int)size;
    }
    out->text = text;
    out->size = (size_t)size;
    return 0;
}

static int read_file(const char *path, struct ch_config_text *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); // a pipe without a writer must not hold us up
    if (fd < 0)
        return -errno;
    *out = (struct ch_config_text){.name = path};
    int rc = read_open(fd, out);
    close(fd);
    return rc;
}

static void free_texts(struct ch_config_text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)texts[i].text);
    free(texts);
}

// Files that cannot be read are all told of.
static int read_files(const char *const *files, size_t count, struct ch_config_text *texts, char *error,
                      size_t error_bytes)
{
    struct ch_reader reader = {.error = error, .error_bytes = error_bytes};
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        struct ch_place place = {.name = files[i]};
        int failed = read_file(files[i], &texts[i]);
        if (failed < 0)
            ch_config_fault(&reader, &place, "%s", failed == -EINVAL ? "this is no ordinary file" : strerror(-failed));
        if (rc == 0)
            rc = failed;
    }
    return rc;
}

int ch_config_load(const struct ch_config_from *from, struct ch_config **out, char *error, size_t error_bytes)
{
    size_t count = 0;
    *out = NULL;
    while (from->files && from->files[count])
        count++;
    struct ch_config_text *texts = calloc(count + 1, sizeof *texts);
    if (!texts) {
        snprintf(error, error_bytes, "out of memory");
        return -ENOMEM;
    }
    int rc = read_files(from->files, count, texts, error, error_bytes);
    if (rc == 0)
        rc = ch_config_load_texts(texts, count, from, out, error, error_bytes);
    free_texts(texts, count);
    return rc;
}

void ch_config_warn(const struct ch_config *config)
{
    for (const char *line = config->warnings; line && *line;) {
        size_t size = strcspn(line, "\n");
        ch_log_warning("%.*s", (int)size, line);
        line += size + (line[size] == '\n');
    }
}

// --- the end ---

static void free_output(struct ch_output_config *output)
{
    free(output->name);
    free(output->camera);
    free(output->url);
    free(output->format);
}

void ch_config_free(struct ch_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->source_count; i++)
        ch_source_config_free(config->sources[i]);
    for (size_t i = 0; i < config->door_count; i++) {
        free(config->doors[i].host);
        free(config->doors[i].path);
        free(config->doors[i].source);
    }
    for (size_t i = 0; i < config->output_count; i++)
        free_output(&config->outputs[i]);
    for (size_t i = 0; i < config->owned_count; i++)
        free(config->owned[i]);
    free(config->sources);
    free(config->doors);
    free(config->outputs);
    free(config->owned);
    free(config->log_file);
    free(config->warnings);
    free(config);
}

bool ch_output_config_same(const struct ch_output_config *a, const struct ch_output_config *b)
{
    // How processes are compared is known where they are defined.
    struct ch_source_config left = {.process = a->process}, right = {.process = b->process};
    bool same_format = a->format && b->format ? strcmp(a->format, b->format) == 0 : a->format == b->format;
    return strcmp(a->name, b->name) == 0 && strcmp(a->camera, b->camera) == 0 && strcmp(a->url, b->url) == 0 &&
           same_format && ch_source_config_same(&left, &right);
}
