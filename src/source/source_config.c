#include "source/source_config.h"

#include <stdlib.h>
#include <string.h>

// --- texts and lists, where NULL means that there is none ---

static bool copy_text(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return !text || *out;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

static bool copy_list(char ***out, char *const *list)
{
    size_t count = 0;
    *out = NULL;
    if (!list)
        return true;
    while (list[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(list[i]);
        if (!copy[i]) {
            free_list(copy);
            copy = NULL;
        }
    }
    *out = copy;
    return copy != NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_list(char *const *a, char *const *b)
{
    if (!a || !b)
        return a == b;
    size_t i = 0;
    while (a[i] && b[i] && strcmp(a[i], b[i]) == 0)
        i++;
    return !a[i] && !b[i];
}

// --- the whole ---

void ch_source_config_free(struct ch_source_config *config)
{
    if (!config)
        return;
    free(config->display);
    free(config->window_title);
    free(config->url);
    free(config->device);
    free(config->input_format);
    free(config->path);
    free_list(config->args);
    free_list(config->audio_args);
    free(config);
}

struct ch_source_config *ch_source_config_copy(const struct ch_source_config *config)
{
    struct ch_source_config *copy = malloc(sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *config;
    bool whole = copy_text(&copy->display, config->display);
    whole &= copy_text(&copy->window_title, config->window_title);
    whole &= copy_text(&copy->url, config->url);
    whole &= copy_text(&copy->device, config->device);
    whole &= copy_text(&copy->input_format, config->input_format);
    whole &= copy_text(&copy->path, config->path);
    whole &= copy_list(&copy->args, config->args);
    whole &= copy_list(&copy->audio_args, config->audio_args);
    if (whole)
        return copy;
    ch_source_config_free(copy);
    return NULL;
}

// A region that is not set has no numbers that matter.
static bool same_region(const struct ch_region *a, const struct ch_region *b)
{
    if (!a->set || !b->set)
        return a->set == b->set;
    return a->x == b->x && a->y == b->y && a->width == b->width && a->height == b->height;
}

static bool same_encode(const struct ch_encode *a, const struct ch_encode *b)
{
    return strcmp(a->bitrate, b->bitrate) == 0 && a->framerate == b->framerate && strcmp(a->preset, b->preset) == 0 &&
           strcmp(a->tune, b->tune) == 0 && a->always == b->always;
}

static bool same_process(const struct ch_source_process *a, const struct ch_source_process *b)
{
    return a->crash_threshold == b->crash_threshold && a->crash_window_us == b->crash_window_us &&
           a->shutdown_timeout_us == b->shutdown_timeout_us && a->stall_timeout_us == b->stall_timeout_us &&
           a->nice == b->nice && a->memory_bytes == b->memory_bytes;
}

static bool same_screen(const struct ch_source_config *a, const struct ch_source_config *b)
{
    return same_text(a->display, b->display) && a->display_index == b->display_index &&
           same_text(a->window_title, b->window_title) && a->find_by_substring == b->find_by_substring &&
           a->draw_mouse == b->draw_mouse;
}

static bool same_network(const struct ch_source_config *a, const struct ch_source_config *b)
{
    return same_text(a->url, b->url) && a->transport == b->transport && a->timeout_us == b->timeout_us &&
           a->reconnect_delay_us == b->reconnect_delay_us && a->max_reconnect_attempts == b->max_reconnect_attempts;
}

static bool same_device(const struct ch_source_config *a, const struct ch_source_config *b)
{
    return same_text(a->device, b->device) && same_text(a->input_format, b->input_format) && a->width == b->width &&
           a->height == b->height;
}

bool ch_source_config_same(const struct ch_source_config *a, const struct ch_source_config *b)
{
    return strcmp(a->name, b->name) == 0 && a->type == b->type && same_region(&a->region, &b->region) &&
           same_screen(a, b) && same_network(a, b) && same_device(a, b) && same_text(a->path, b->path) &&
           a->loop == b->loop && same_list(a->args, b->args) && a->audio == b->audio &&
           same_list(a->audio_args, b->audio_args) && a->record_always == b->record_always &&
           same_encode(&a->encode, &b->encode) && same_process(&a->process, &b->process);
}
