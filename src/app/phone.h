// A phone's connection: the wire protocol of H.264 cameras (docs: section 1) on a WebSocket, as the link of a
// camera.
#ifndef CH_APP_PHONE_H
#define CH_APP_PHONE_H

#include "app/peer.h"

// Makes the peer's WebSocket a phone. `name` NULL: named by its address. 0 or -ENOMEM.
int ch_phone_open(struct ch_peer *peer, const char *name);

#endif
