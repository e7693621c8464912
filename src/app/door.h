// The screen streamer's own addresses (wire protocol, section 4): a source at a path of a port, as FLV over WebSocket,
// and over HTTP at /live.flv. Several doors may share a port, each with its path; one may even share the hub's own.
// One thread: the loop's.
#ifndef CH_APP_DOOR_H
#define CH_APP_DOOR_H

#include "app/config.h"
#include "app/peer.h"

struct ch_doors;

// Opens what the configuration names and is not open yet, and closes what it names no more. A streamer's port that
// cannot be had is an error: logged, and its errno returned (nothing is closed then); an HTTP port is not, but logged.
int ch_doors_set(struct ch_hub *hub, const struct ch_config *config);
void ch_doors_free(struct ch_hub *hub);

// True if there is a door at this path where the peer came in.
bool ch_door_at(const struct ch_peer *peer, const char *path);
// A WebSocket that came in at a streamer's port, or at the hub's own on a path that is none of the hub's. NULL, or the
// reason to close it with 1008.
const char *ch_door_open(struct ch_peer *peer, const struct ch_http_request *request, const char *path);
// GET, likewise. False if no door has this path (nothing was answered).
bool ch_door_request(struct ch_peer *peer, const struct ch_http_request *request, const char *path);

#endif
