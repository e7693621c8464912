// The list of recordings: keeps the catalogue on a thread of its own, in line with the sessions of this hub and
// with the folder, and answers /api/v1/recordings (docs/openapi.json).
// One thread: the loop's.
#ifndef CH_APP_RECORDINGS_H
#define CH_APP_RECORDINGS_H

#include "app/peer.h"

struct ch_recordings;

// Opens the list and begins to bring it in line with the folder; does not wait for either. 0 or a negative errno.
int ch_recordings_start(struct ch_hub *hub);
// No request may be waiting. Waits for what the thread is doing.
void ch_recordings_stop(struct ch_hub *hub);

// Answers a request for what follows "/api/v1/recordings" in the path (decoded): "", or "/ID".
void ch_recordings_request(struct ch_peer *peer, const struct ch_http_request *request, const char *rest);

// A session is new, or something in its folder has changed: the list follows, and listeners are told.
void ch_recordings_changed(struct ch_hub *hub, const char *id);

#endif
