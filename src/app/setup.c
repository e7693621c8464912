#include "app/setup.h"

#include "app/door.h"
#include "app/feed.h"
#include "app/output.h"
#include "base/log.h"

#include <string.h>

// --- sources ---

static const struct ch_source_config *find_source(const struct ch_config *config, const char *name)
{
    for (size_t i = 0; i < config->source_count; i++)
        if (strcmp(config->sources[i]->name, name) == 0)
            return config->sources[i];
    return NULL;
}

static void remove_old_feeds(struct ch_hub *hub, const struct ch_config *config)
{
    for (struct ch_feed *feed = hub->feeds, *next; feed; feed = next) {
        next = ch_feed_next(feed);
        const struct ch_source_config *now = ch_feed_config(feed), *wanted = find_source(config, now->name);
        if (!wanted || !ch_source_config_same(now, wanted))
            ch_feed_remove(feed);
    }
}

static int add_new_feeds(struct ch_hub *hub, const struct ch_config *config)
{
    int rc = 0;
    for (size_t i = 0; i < config->source_count && rc == 0; i++)
        if (!ch_feed_find(hub, config->sources[i]->name))
            rc = ch_feed_add(hub, config->sources[i]);
    return rc;
}

// --- outputs ---

static const struct ch_output_config *find_output(const struct ch_config *config, const char *name)
{
    for (size_t i = 0; i < config->output_count; i++)
        if (strcmp(config->outputs[i].name, name) == 0)
            return &config->outputs[i];
    return NULL;
}

static void remove_old_outputs(struct ch_hub *hub, const struct ch_config *config)
{
    for (struct ch_output *output = hub->outputs, *next; output; output = next) {
        next = ch_output_next(output);
        const struct ch_output_config *now = ch_output_config_of(output), *wanted = find_output(config, now->name);
        if (!wanted || !ch_output_config_same(now, wanted))
            ch_output_remove(output);
    }
}

static int add_new_outputs(struct ch_hub *hub, const struct ch_config *config)
{
    int rc = 0;
    for (size_t i = 0; i < config->output_count && rc == 0; i++)
        if (!ch_output_find(hub, config->outputs[i].name))
            rc = ch_output_add(hub, &config->outputs[i]);
    return rc;
}

// --- all of it ---

static void warn_if(bool differs, const char *key)
{
    if (differs)
        ch_log_warning("%s has changed: that takes effect when the hub is started anew", key);
}

static void warn_of_fixed(const struct ch_options *now, const struct ch_options *wanted)
{
    warn_if(strcmp(now->host, wanted->host) != 0, "hub.host");
    warn_if(now->port != wanted->port, "hub.port");
    warn_if(strcmp(now->recordings, wanted->recordings) != 0, "hub.recordings");
    warn_if(now->max_message_bytes != wanted->max_message_bytes, "hub.max_message");
}

int ch_setup_apply(struct ch_hub *hub, const struct ch_config *config)
{
    int rc = ch_doors_set(hub, config);
    if (rc < 0)
        return rc;
    warn_of_fixed(&hub->options, &config->options);
    hub->options.h264 = config->options.h264;
    hub->options.thumbnails = config->options.thumbnails;
    hub->options.sync_us = config->options.sync_us;
    remove_old_outputs(hub, config);
    remove_old_feeds(hub, config);
    rc = add_new_outputs(hub, config);
    if (rc == 0)
        rc = add_new_feeds(hub, config);
    if (rc < 0)
        ch_log_error("sources and outputs cannot all be set up: %s", strerror(-rc));
    return rc;
}

void ch_setup_clear(struct ch_hub *hub)
{
    while (hub->outputs)
        ch_output_remove(hub->outputs);
    while (hub->feeds)
        ch_feed_remove(hub->feeds);
    ch_doors_free(hub);
}
