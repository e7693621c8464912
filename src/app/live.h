// Viewers of cameras on the network: joins a peer (WebSocket or endless HTTP answer) with a viewer of the
// camera's stream. docs/live-protocol.md.
#ifndef CH_APP_LIVE_H
#define CH_APP_LIVE_H

#include "app/camera.h"
#include "app/peer.h"

// A WebSocket on /live/NAME. NULL, or the reason to close it with 1008.
const char *ch_live_open(struct ch_peer *peer, const struct ch_http_request *request, const char *name);
// GET /live/NAME.EXTENSION.
void ch_live_request(struct ch_peer *peer, const struct ch_http_request *request, const char *file);

// The same for the screen streamer's addresses, which have no names in them, and which pages of any site may read, as
// they could: FLV of this camera.
const char *ch_live_open_flv(struct ch_peer *peer, const struct ch_http_request *request, struct ch_camera *camera);
void ch_live_request_flv(struct ch_peer *peer, const struct ch_http_request *request, struct ch_camera *camera);

// Pictures of a JPEG camera for a WebSocket that is something else as well (/dev): nothing but JPEGs. The
// peer's role stays its own. NULL without memory or if there is nothing to see.
struct ch_viewing *ch_live_attach(struct ch_peer *peer, struct ch_camera *camera);
void ch_viewing_room(struct ch_viewing *viewing);                      // from the peer's `drained`
void ch_viewing_end(struct ch_viewing *viewing);                       // frees it
struct ch_camera *ch_viewing_camera(const struct ch_viewing *viewing); // NULL: the camera is gone, end it

// Sends all viewers of a camera away.
void ch_live_end_all(struct ch_camera *camera, const char *reason);

#endif
