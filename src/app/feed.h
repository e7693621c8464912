// A source (source/source.h) as the link of a camera: makes frames of what its ffmpeg delivers, runs it while somebody
// watches, records or pushes it on, and begins and ends sessions by command, or always.
// One thread: the loop's.
#ifndef CH_APP_FEED_H
#define CH_APP_FEED_H

#include "app/camera.h"
#include "source/source.h"

struct ch_feed;

// Adds a camera for this source. 0 or -ENOMEM.
int ch_feed_add(struct ch_hub *hub, const struct ch_source_config *config);
// Takes it away: its camera is lost, its viewers stay for the case that it comes back. Its child may take a while.
void ch_feed_remove(struct ch_feed *feed);
struct ch_feed *ch_feed_find(struct ch_hub *hub, const char *name); // or NULL
struct ch_feed *ch_feed_next(const struct ch_feed *feed);           // in hub->feeds
struct ch_feed *ch_feed_of(const struct ch_camera *camera);         // NULL: the camera is no source
const struct ch_source_config *ch_feed_config(const struct ch_feed *feed);

// Somebody wants a picture, and is no viewer: it runs for a moment.
void ch_feed_touch(struct ch_feed *feed);
void ch_feeds_housekeep(struct ch_hub *hub, int64_t now_us); // once per second

// For the API: schema Source, and `statistics` of CameraDetails. New values, or NULL without memory.
json_t *ch_feed_to_json(const struct ch_feed *feed);
json_t *ch_feed_statistics_to_json(const struct ch_feed *feed);
void ch_feed_facts(const struct ch_feed *feed, struct ch_source_facts *out);

#endif
