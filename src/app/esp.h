// The connection of a JPEG camera (an ESP32): wire protocol section 2 on a WebSocket, as the link of a camera.
//
// Such a camera says neither when it begins nor when it ends: a session goes from the first picture to the operator's
// stop, the end of the connection, or CH_LIMIT_SILENCE_US without a picture. Pictures that come behind a stop begin no
// session until it was silent or is told to start again. It forgets everything when it connects anew, so one that was
// told to start, and not to stop since, is told so again.
#ifndef CH_APP_ESP_H
#define CH_APP_ESP_H

#include "app/peer.h"

// Makes the peer's WebSocket a JPEG camera. `name` NULL: named by its address. 0 or -ENOMEM.
int ch_esp_open(struct ch_peer *peer, const char *name);

#endif
