#include "app/film.h"

#include "app/recordings.h"
#include "base/limits.h"
#include "base/log.h"
#include "source/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_NO_FFMPEG 127 // as `camhub film-jpeg` ends then
#define GRACE_US INT64_C(2000000)

struct wish {
    struct wish *next;
    char id[CH_SESSION_ID_BYTES];
};

// While there is something to do.
struct ch_films {
    struct ch_child child;
    struct ch_hub *hub;
    struct wish *first, **last; // the first one is under way
    bool running;
};

static void start_next(struct ch_films *films);

static void drop_first(struct ch_films *films)
{
    struct wish *wish = films->first;
    films->first = wish->next;
    if (!films->first)
        films->last = &films->first;
    free(wish);
}

static void on_closed(struct ch_child *child)
{
    struct ch_films *films = (struct ch_films *)child;
    struct ch_hub *hub = films->hub;
    hub->works--;
    free(films);
    ch_hub_check_stopped(hub);
}

static void warn(struct ch_hub *hub, const char *id, const struct ch_child_exit *how, const char *said)
{
    if (how->signal == 0 && how->status == STATUS_NO_FFMPEG) {
        if (!hub->warned_film)
            ch_log_warning("%s: no film: %s", id, said);
        hub->warned_film = true;
        return;
    }
    ch_log_warning("%s: no film: %s", id,
                   how->timed_out ? "it took too long"
                   : said[0]      ? said
                                  : "camhub film-jpeg failed");
}

static void on_exited(void *context, const struct ch_child_exit *how)
{
    struct ch_films *films = context;
    struct ch_hub *hub = films->hub;
    char said[256] = "";
    const char *id = films->first->id;
    films->running = false;
    ch_child_last_error(&films->child, said, sizeof said);
    if (how->status == 0 && how->signal == 0) {
        ch_log_info("%s: the film is made%s%s", id, said[0] ? "; " : "", said);
        ch_recordings_changed(hub, id);
    } else if (!how->stopped) {
        warn(hub, id, how, said);
    }
    drop_first(films);
    start_next(films);
}

static const struct ch_child_events events = {.exited = on_exited};

static int start(struct ch_films *films)
{
    const struct ch_hub *hub = films->hub;
    char folder[4200];
    snprintf(folder, sizeof folder, "%s/%s", hub->options.recordings, films->first->id);
    const char *argv[] = {CH_CHILD_HELPER, "film-jpeg", folder, hub->options.ffmpeg, NULL};
    const struct ch_child_options options = {
        .argv = argv,
        .helper = CH_CHILD_HELPER,
        .time_limit_us = CH_LIMIT_FILM_US,
        .grace_us = GRACE_US,
        .nice = CH_CHILD_NICE,
        .open_files = 256,
    };
    return ch_child_start(&films->child, &options);
}

// Closes up when none is left.
static void start_next(struct ch_films *films)
{
    while (films->first && !films->hub->stopping) {
        int rc = start(films);
        films->running = rc == 0;
        if (films->running)
            return;
        ch_log_warning("%s: no film: %s", films->first->id, strerror(-rc));
        drop_first(films);
    }
    while (films->first)
        drop_first(films);
    films->hub->films = NULL;
    ch_child_close(&films->child, on_closed);
}

static struct ch_films *make_films(struct ch_hub *hub)
{
    struct ch_films *films = calloc(1, sizeof *films);
    if (!films)
        return NULL;
    if (ch_child_init(&films->child, hub->loop, &events, films) < 0) {
        free(films);
        return NULL;
    }
    films->hub = hub;
    films->last = &films->first;
    hub->films = films;
    hub->works++;
    return films;
}

void ch_film_want(struct ch_hub *hub, const char *id)
{
    if (hub->stopping)
        return;
    struct wish *wish = calloc(1, sizeof *wish);
    struct ch_films *films = hub->films || !wish ? hub->films : make_films(hub);
    if (!films || !wish) {
        ch_log_warning("%s: no film: out of memory", id);
        free(wish);
        return;
    }
    snprintf(wish->id, sizeof wish->id, "%s", id);
    *films->last = wish;
    films->last = &wish->next;
    if (!films->running && films->first == wish)
        start_next(films);
}

void ch_film_stop_all(struct ch_hub *hub)
{
    struct ch_films *films = hub->films;
    if (films && films->running)
        ch_child_stop(&films->child); // nothing is started any more
}
