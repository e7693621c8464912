// The developer console of the older programs (wire protocol 3): a WebSocket on /dev. Commands in, as typed; log
// lines and the pictures of JPEG cameras out. There may be several.
#ifndef CH_APP_DEVCONSOLE_H
#define CH_APP_DEVCONSOLE_H

#include "app/peer.h"

struct ch_camera;

// Makes the peer's WebSocket a console. 0 or -ENOMEM.
int ch_devconsole_open(struct ch_peer *peer);
// A JPEG camera has connected: every console that does not see it yet does from now on.
void ch_devconsole_camera(struct ch_camera *camera);

#endif
