// What the tests of the configuration share: loading from texts, asking for faults, reading what came out.
#ifndef CH_TESTS_CONFIG_MAKER_H
#define CH_TESTS_CONFIG_MAKER_H

#include "unit.h"

#include "app/config.h"

#include <errno.h>
#include <stdlib.h>

#define FILES_MAX 4

struct input {
    const char *names[FILES_MAX], *texts[FILES_MAX]; // both end with NULL; a text without a name is "t.json"
    const char *environment[8];
    struct ch_config_flag flags[4];
};

// The configuration, or NULL and the faults.
static inline struct ch_config *load(const struct input *input, char error[CH_CONFIG_ERROR_BYTES])
{
    struct ch_config_text texts[FILES_MAX];
    struct ch_config *config = NULL;
    union {
        const char *const *in;
        char *const *out;
    } environment = {.in = input->environment}; // environ has no const form
    struct ch_config_from from = {.environment = environment.out, .flags = input->flags};
    size_t count = 0;
    for (; count < FILES_MAX && input->texts[count]; count++)
        texts[count] = (struct ch_config_text){input->names[count] ? input->names[count] : "t.json",
                                               input->texts[count], strlen(input->texts[count])};
    while (from.flag_count < 4 && input->flags[from.flag_count].flag)
        from.flag_count++;
    int rc = ch_config_load_texts(texts, count, &from, &config, error, CH_CONFIG_ERROR_BYTES);
    assert_true(rc == 0 || rc == -EINVAL);
    assert_true((rc == 0) == (config != NULL) && (rc == 0) == (error[0] == '\0'));
    return config;
}

static inline struct ch_config *load_good(const struct input *input)
{
    char error[CH_CONFIG_ERROR_BYTES];
    struct ch_config *config = load(input, error);
    if (!config)
        fail_msg("refused: %s", error);
    return config;
}

static inline struct ch_config *good(const char *text)
{
    return load_good(&(struct input){.texts = {text}});
}

static inline void load_bad(const struct input *input, const char *faults)
{
    char error[CH_CONFIG_ERROR_BYTES];
    struct ch_config *config = load(input, error);
    ch_config_free(config);
    if (config)
        fail_msg("accepted; expected: %s", faults);
    if (strcmp(error, faults) != 0)
        fail_msg("\n%s\nwhere this was expected:\n%s", error, faults);
}

static inline void bad(const char *text, const char *faults)
{
    load_bad(&(struct input){.texts = {text}}, faults);
}

// Member of members: "source.region.x", "sources[1].name". NULL if there is none; borrowed.
static inline json_t *member(json_t *json, const char *path)
{
    while (json && *path) {
        size_t size = strcspn(path, ".[");
        if (*path == '[') {
            json = json_array_get(json, strtoul(path + 1, NULL, 10));
            path = strchr(path, ']') + 1;
        } else {
            char name[64] = "";
            assert_true(size < sizeof name);
            memcpy(name, path, size);
            json = json_object_get(json, name);
            path += size;
        }
        path += *path == '.';
    }
    return json;
}

#endif
