// A camera as the hub knows it: by its name, while it is connected and afterwards, as "lost", until
// somebody dismisses it or it comes back. What connects it is its link (a phone's WebSocket, an ESP32's, a source's
// ffmpeg);
// the link feeds the camera's stream and tells what the camera said. Sessions, viewers, commands and the
// API look at the camera and never at its link.
//
// The stream exists from the first message on, as long as there is a link or a viewer, so viewers stay when a
// camera comes back.
#ifndef CH_APP_CAMERA_H
#define CH_APP_CAMERA_H

#include "app/hub.h"
#include "sink/sequence.h"
#include "sink/viewer.h"

#include <jansson.h>

enum ch_camera_kind { CH_CAMERA_H264, CH_CAMERA_JPEG };
enum ch_camera_state {
    CH_CAMERA_CONNECTED, // not heard of
    CH_CAMERA_IS_READY,  // said so
    CH_CAMERA_CAPTURING, // but not recorded
    CH_CAMERA_RECORDING,
    CH_CAMERA_LOST, // no link
};

struct ch_camera;
struct ch_snapshot;
struct ch_viewing;

struct ch_camera_link_ops {
    // Sends a text to the camera, as it is. 0 or a negative errno.
    int (*send)(void *link, enum ch_command_kind kind, const char *text, size_t size);
    // Stops or resumes reading: the disk is behind.
    void (*read)(void *link, bool on);
    // Another connection has taken the name. The link is on its own from now on: it must not call the camera.
    void (*replaced)(void *link);
    // The number of its viewers has changed. May be NULL.
    void (*watched)(void *link);
};

// What a camera said or was told last, for people.
struct ch_camera_note {
    char text[300];
    bool error;
    int64_t wall_us; // 0: nothing yet
};

struct ch_camera {
    struct ch_hub *hub;
    struct ch_camera *next; // by name
    char name[65];          // given in the path, or address and port
    bool named;
    enum ch_camera_kind kind;
    const struct ch_camera_link_ops *link_ops;
    void *link; // NULL: lost
    char address[64];
    bool ready, capturing;
    enum ch_camera_state state;
    int64_t state_since_us;            // wall clock
    char *device_model, *capabilities; // owned; NULL until told
    struct ch_camera_note answer, command;
    struct ch_stream *stream;
    struct ch_viewing *viewings; // who watches, app/live.h
    unsigned viewer_count;
    struct ch_snapshot *snapshot; // the newest key frame as JPEG; NULL: never asked for
    struct ch_session *session;   // running
    bool warned_unrecorded;       // in this stretch of frames without a session
    int64_t failed_us;            // when a session of its last failed for the disk, monotonic; 0: never
    int64_t retry_us;             // when to try again for a session after the disk failed; 0: not
    char resume[128];             // of a JPEG camera that was told to start, and not to stop since: that line
    struct ch_sequence sequence;
    int64_t last_picture_us; // arrival, monotonic; 0: none yet
    // Figures of the last second or more; the line in the log every 10 s
    struct ch_camera_figures {
        int64_t since_us;
        uint64_t pictures, bytes, missing; // at that time
        uint32_t centi_fps;                // hundredths of pictures per second
        uint64_t bitrate;                  // bits per second
    } figures, logged;
    uint64_t pictures_at_connect;
};

const char *ch_camera_state_name(enum ch_camera_state state);           // as in the API
struct ch_camera *ch_camera_find(struct ch_hub *hub, const char *name); // or NULL

// --- for links ---

// A camera has connected: finds it by its name (a link that it still has is replaced) or makes it. NULL without memory.
struct ch_camera *ch_camera_connect(struct ch_hub *hub, const char *name, bool named, enum ch_camera_kind kind,
                                    const char *address, const struct ch_camera_link_ops *ops, void *link);
// Its connection is gone: ends the session; the camera is lost.
void ch_camera_disconnect(struct ch_camera *camera);
// Its stream, made if need be. NULL without memory.
struct ch_stream *ch_camera_stream(struct ch_camera *camera);
// A message was appended to the stream.
void ch_camera_took_message(struct ch_camera *camera);
void ch_camera_said_ready(struct ch_camera *camera);
void ch_camera_said(struct ch_camera *camera, bool error, const char *text, size_t size);
// What it is; each NULL if unknown. Copied.
void ch_camera_describe(struct ch_camera *camera, const char *device_model, const char *capabilities);
// A viewer has come, or gone.
void ch_camera_add_viewer(struct ch_camera *camera);
void ch_camera_remove_viewer(struct ch_camera *camera);
// Begins a session with what the log holds; one that runs is ended first, as "restarted".
void ch_camera_begin_session(struct ch_camera *camera);
void ch_camera_end_session(struct ch_camera *camera, const char *end_reason);

// --- for operators ---

// The same command in the languages of both kinds of cameras. NULL: nothing for that kind.
struct ch_camera_message {
    enum ch_command_kind kind; // START, STOP, or UNKNOWN for everything else
    const char *for_h264, *for_jpeg;
};
enum ch_command_outcome { CH_OUTCOME_SENT, CH_OUTCOME_NOTHING, CH_OUTCOME_LOST, CH_OUTCOME_FAILED };
enum ch_command_outcome ch_camera_command(struct ch_camera *camera, const struct ch_camera_message *message);
// To all that are connected. The number it was sent to.
unsigned ch_camera_command_all(struct ch_hub *hub, const struct ch_camera_message *message);
// Forgets a lost camera. 0, or -EBUSY while it is connected.
int ch_camera_dismiss(struct ch_camera *camera);

// --- for the hub ---

void ch_camera_housekeep(struct ch_camera *camera, int64_t now_us); // once per second
void ch_camera_free_all(struct ch_hub *hub);                        // at the end; none has a link
// State, session or what is shown of them may have changed: finds out, and tells whoever listens.
void ch_camera_changed(struct ch_camera *camera);

#endif
