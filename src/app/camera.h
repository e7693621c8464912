// A phone, as long as it is connected: what it said of itself, its stream, and its running session.
#ifndef CH_APP_CAMERA_H
#define CH_APP_CAMERA_H

#include "app/peer.h"
#include "sink/sequence.h"

struct ch_camera {
    struct ch_hub *hub;
    struct ch_peer *peer;
    struct ch_camera *next; // by name
    char name[65];          // given in the path, or address and port
    bool named, ready, capturing;
    char *device_model, *capabilities; // owned; NULL until told
    struct ch_stream *stream;          // made with the first message
    struct ch_session *session;        // running
    bool warned_unrecorded;            // in this stretch of frames without a session
    int64_t failed_us;                 // when a session of its last failed for the disk, monotonic; 0: never
    int64_t retry_us;                  // when to try again for a session after the disk failed; 0: not
    // The message being read
    struct ch_frame *frame;
    char *text;
    // Figures for the line every 10 s
    struct ch_sequence sequence;
    int64_t figures_us;
    uint64_t figures_frames, figures_bytes, figures_missing;
};

// Makes the peer's WebSocket a camera. `name` NULL: named by its address. 0 or -ENOMEM.
int ch_camera_open(struct ch_peer *peer, const char *name);
// The connection is gone: ends the session, frees the camera.
void ch_camera_gone(struct ch_camera *camera);
// End of the hub: the session ends as "shutdown".
void ch_camera_end_session(struct ch_camera *camera, const char *end_reason);
void ch_camera_housekeep(struct ch_camera *camera, int64_t now_us);
// False if it could not be sent.
bool ch_camera_command(struct ch_camera *camera, const struct ch_command *command);

extern const struct ch_ws_ops ch_camera_ws_ops;

#endif
