// The newest picture of a camera as a JPEG, for GET /live/NAME.jpg. A JPEG camera's as it came; an H.264 camera's
// newest key frame, decoded by a short-lived ffmpeg child, and kept until the next key frame.
#ifndef CH_APP_SNAPSHOT_H
#define CH_APP_SNAPSHOT_H

#include "app/camera.h"
#include "app/peer.h"

void ch_snapshot_request(struct ch_peer *peer, struct ch_camera *camera);
// The camera goes: what is kept of it is freed; requests that wait are answered with 404.
void ch_snapshot_forget(struct ch_camera *camera);

#endif
