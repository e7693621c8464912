// The hub in a few numbers: schema Status of docs/openapi.json. What would have to wait (the disk, the search for
// ffmpeg) is asked in libuv's work pool, once per second while somebody wants to know and every 10 s otherwise; answers
// are what was found last, so a dead disk delays nobody.
// One thread: the loop's.
#ifndef CH_APP_STATUS_H
#define CH_APP_STATUS_H

#include "app/hub.h"

#include <jansson.h>

struct ch_status;

// Asks everything once, at once: the hub is only starting. NULL without memory.
struct ch_status *ch_status_new(struct ch_hub *hub);
// Answers that are still out are counted in hub->works.
void ch_status_free(struct ch_status *status);

// Once per second, behind the cameras' housekeeping: takes down what is being written.
void ch_status_housekeep(struct ch_status *status);
// A new value, or NULL without memory. Sees to it that the next one is fresh.
json_t *ch_status_to_json(struct ch_status *status);
// Of the disk with the recordings, likewise. False if that is not known.
bool ch_status_disk(struct ch_status *status, uint64_t *free_bytes, uint64_t *total_bytes);

// The list of recordings tells what it has become; `reading` and 0 until then. NULL is fine: the hub is ending.
enum ch_catalogue_state { CH_CATALOGUE_READING, CH_CATALOGUE_READY, CH_CATALOGUE_FAILED };
void ch_status_set_catalogue(struct ch_status *status, enum ch_catalogue_state state, uint64_t sessions);

#endif
