// Any bytes as configuration files and environment. A zero ends the first file and begins the second; behind another
// zero come variables, one per line. What is accepted is within its bounds, and printed and read again means the same.
#include "fuzz.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "base/limits.h"
#include "base/text.h"

#define VARIABLES 16
#define ERROR_BYTES 600

static void check_source(const struct ch_source_config *source)
{
    assert(ch_name_valid(source->name));
    assert(source->encode.framerate >= 1 && source->encode.framerate <= 120);
    assert(source->process.crash_threshold >= 1 && source->process.crash_threshold <= 32);
    assert(!source->region.set ||
           (source->region.width >= 16 && source->region.width % 2 == 0 && source->region.width <= 16384 &&
            source->region.height >= 16 && source->region.height % 2 == 0 && source->region.height <= 16384));
    assert(source->type != CH_SOURCE_NETWORK || strstr(source->url, "://"));
    assert(source->type != CH_SOURCE_FILE || source->path[0]);
    assert(source->type != CH_SOURCE_WINDOW || source->window_title[0]);
    assert(source->type != CH_SOURCE_DEVICE || source->device[0] == '/');
    assert(source->type != CH_SOURCE_FFMPEG || (source->args[0] && source->args[1]));
    struct ch_source_config *copy = ch_source_config_copy(source);
    assert(copy && ch_source_config_same(copy, source));
    ch_source_config_free(copy);
}

static void check_config(const struct ch_config *config)
{
    assert(config->source_count <= CH_LIMIT_SOURCES && config->output_count <= CH_LIMIT_OUTPUTS);
    assert(config->options.max_message_bytes >= 1024 && config->options.sync_us >= 0);
    for (size_t i = 0; i < config->source_count; i++) {
        check_source(config->sources[i]);
        for (size_t j = 0; j < i; j++)
            assert(strcmp(config->sources[i]->name, config->sources[j]->name) != 0);
    }
    for (size_t i = 0; i < config->door_count; i++)
        assert(config->doors[i].port >= 1024 && config->doors[i].path[0] == '/' && config->doors[i].source[0]);
    for (size_t i = 0; i < config->output_count; i++)
        assert(ch_name_valid(config->outputs[i].name) && ch_name_valid(config->outputs[i].camera));
}

// Secrets are stars then, which are fine as parts of a URL but not as arguments.
static void check_again(const struct ch_config *config)
{
    char error[ERROR_BYTES];
    struct ch_config *again = NULL;
    json_t *json = ch_config_to_json(config);
    char *text = json_dumps(json, JSON_REAL_PRECISION(15));
    struct ch_config_text file = {"again.json", text, strlen(text)};
    int rc = ch_config_load_texts(&file, 1, &(struct ch_config_from){0}, &again, error, sizeof error);
    if (rc == 0) {
        json_t *twice = ch_config_to_json(again);
        assert(json_equal(json, twice));
        json_decref(twice);
    } else { // several instances are not of one file
        assert(strstr(text, "***") || config->door_count > 1);
    }
    ch_config_free(again);
    free(text);
    json_decref(json);
}

// Ends each line, and lists them.
static void split(char *text, char *variables[VARIABLES + 1])
{
    size_t count = 0;
    for (char *line = strtok(text, "\n"); line && count < VARIABLES; line = strtok(NULL, "\n"))
        variables[count++] = line;
    variables[count] = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1), *end = copy + size, error[ERROR_BYTES], *variables[VARIABLES + 1] = {NULL};
    struct ch_config *config;
    assert(copy);
    memcpy(copy, data, size);
    *end = '\0';
    char *zero = memchr(copy, '\0', size + 1), *second = zero < end ? zero + 1 : end;
    char *other_zero = memchr(second, '\0', (size_t)(end - second) + 1);
    struct ch_config_text texts[] = {{"a.json", copy, (size_t)(zero - copy)},
                                     {"d/b.json", second, (size_t)(other_zero - second)}};
    if (other_zero < end)
        split(other_zero + 1, variables);
    struct ch_config_from from = {.environment = variables};
    int rc = ch_config_load_texts(texts, zero < end ? 2 : 1, &from, &config, error, sizeof error);
    assert(rc == 0 || rc == -EINVAL);
    assert((rc == 0) == (error[0] == '\0') && (rc == 0) == (config != NULL) && strlen(error) < sizeof error);
    for (const char *p = error; *p; p++)
        assert(((unsigned char)*p >= 32 && *p != 127) || *p == '\n');
    if (config) {
        check_config(config);
        check_again(config);
    }
    ch_config_free(config);
    free(copy);
    return 0;
}
