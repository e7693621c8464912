// CAMHUB_<SECTION>_<KEY>, and the flags of `camhub serve`.
#include "app/config_internal.h"
#include "base/suggest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "CAMHUB_"
#define NAME_BYTES 64 // of a variable that may be one of ours
#define VARIABLES_MAX 96

// One key that a variable can set.
struct variable {
    const struct ch_section *section;
    const struct ch_key *key, *inner; // inner: of the section within the section
};

static bool is_scalar(const struct ch_key *key)
{
    return key->kind != CH_KEY_LIST && key->kind != CH_KEY_SECTION && key->kind != CH_KEY_APART;
}

static size_t list_variables(struct variable out[VARIABLES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < CH_SECTIONS; i++) {
        for (size_t j = 0; j < ch_sections[i]->count; j++) {
            const struct ch_key *key = &ch_sections[i]->keys[j];
            size_t inner = key->kind == CH_KEY_SECTION ? key->section->count : 0;
            assert(count + inner < VARIABLES_MAX);
            if (is_scalar(key))
                out[count++] = (struct variable){ch_sections[i], key, NULL};
            for (size_t k = 0; k < inner; k++)
                out[count++] = (struct variable){ch_sections[i], key, &key->section->keys[k]};
        }
    }
    return count;
}

static void set(struct ch_reader *reader, const struct ch_place *place, const struct variable *variable,
                const char *text, struct ch_drafts *out)
{
    void *draft = (char *)out + variable->section->offset;
    ch_config_mark_set(variable->section, variable->key, draft);
    if (variable->inner) {
        void *inner = (char *)draft + variable->key->offset;
        ch_config_mark_set(variable->key->section, variable->inner, inner);
        ch_config_read_text(reader, place, variable->inner, text, inner);
    } else {
        ch_config_read_text(reader, place, variable->key, text, draft);
    }
}

// --- variables ---

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

// Not settings: what the tests of this program use, and what Kubernetes puts into every container beside a service that
// happens to be named camhub.
static bool is_foreign(const char *name)
{
    return strcmp(name, PREFIX "BIN") == 0 || begins(name, PREFIX "E2E_") || begins(name, PREFIX "TEST_") ||
           strcmp(name, PREFIX "PORT") == 0 || begins(name, PREFIX "PORT_") || begins(name, PREFIX "SERVICE_HOST") ||
           begins(name, PREFIX "SERVICE_PORT");
}

static bool is_list(const char *name)
{
    return strcmp(name, PREFIX "SOURCE_ARGS") == 0 || strcmp(name, PREFIX "SOURCE_AUDIO_INPUT") == 0 ||
           strcmp(name, PREFIX "SOURCES") == 0 || strcmp(name, PREFIX "OUTPUTS") == 0;
}

static void fault_unknown(struct ch_reader *reader, const struct ch_place *place, char (*names)[CH_KEY_LINE_BYTES],
                          size_t count)
{
    const char *known[VARIABLES_MAX];
    for (size_t i = 0; i < count; i++)
        known[i] = names[i];
    const char *near = ch_suggest(place->name, known, count);
    if (is_list(place->name))
        ch_config_fault(reader, place, "a list can be set in a file only");
    else
        ch_config_fault(reader, place,
                        "unknown variable; %s%s%sallowed: CAMHUB_<SECTION>_<KEY> of hub, server, ffmpeg, source, "
                        "process and logging",
                        near ? "did you mean " : "", near ? near : "", near ? "? " : "");
}

// One "NAME=VALUE". An empty value is as good as none.
static void read_variable(struct ch_reader *reader, const char *entry, const struct variable *variables,
                          char (*names)[CH_KEY_LINE_BYTES], size_t count, struct ch_drafts *out, const char **instance)
{
    const char *equals = strchr(entry, '=');
    if (!equals || !begins(entry, PREFIX) || equals[1] == '\0')
        return;
    size_t size = (size_t)(equals - entry);
    char *name = ch_config_keep_bytes(reader, size + 1);
    if (!name)
        return;
    memcpy(name, entry, size);
    if (is_foreign(name))
        return;
    struct ch_place place = {.name = name, .variable = true};
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) != 0)
            continue;
        set(reader, &place, &variables[i], equals + 1, out);
        if (!*instance && (variables[i].section == &ch_section_server || variables[i].section == &ch_section_source))
            *instance = name;
        return;
    }
    fault_unknown(reader, &place, names, count);
}

void ch_config_read_environment(struct ch_reader *reader, char *const *environment, struct ch_drafts *out,
                                const char **instance)
{
    struct variable variables[VARIABLES_MAX];
    char names[VARIABLES_MAX][CH_KEY_LINE_BYTES];
    size_t count = list_variables(variables);
    *instance = NULL;
    for (size_t i = 0; i < count; i++)
        ch_key_variable(variables[i].section, variables[i].key, variables[i].inner, names[i]);
    for (; environment && *environment; environment++)
        read_variable(reader, *environment, variables, names, count, out, instance);
}

// --- flags ---

void ch_config_read_flags(struct ch_reader *reader, const struct ch_config_flag *flags, size_t count,
                          struct ch_drafts *out)
{
    struct variable variables[VARIABLES_MAX];
    size_t variable_count = list_variables(variables);
    for (size_t i = 0; i < count; i++) {
        struct ch_place place = {.name = flags[i].flag, .variable = true};
        bool known = false;
        for (size_t j = 0; j < variable_count && !known; j++) {
            char name[CH_KEY_LINE_BYTES];
            snprintf(name, sizeof name, "%s.%s", variables[j].section->name, variables[j].key->name);
            known = !variables[j].inner && strcmp(name, flags[i].key) == 0;
            if (known)
                set(reader, &place, &variables[j], flags[i].value, out);
        }
        if (!known)
            ch_config_fault(reader, &place, "there is no key %s", flags[i].key);
    }
}
