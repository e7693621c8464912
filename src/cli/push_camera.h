// One camera: its connection, which is made again when it is lost, and its pictures: those of the room's encoder, or,
// when a file is passed through, the file's, each when its time has come. What it says and hears is its language's.
#ifndef CH_CLI_PUSH_CAMERA_H
#define CH_CLI_PUSH_CAMERA_H

#include "base/log.h"
#include "base/text.h"
#include "cli/push_ffmpeg.h"
#include "cli/push_language.h"
#include "cli/push_ws.h"

struct ch_push_room;

enum ch_push_camera_state {
    CH_PUSH_OFFLINE, // waits to connect
    CH_PUSH_CONNECTING,
    CH_PUSH_READY,   // waits to be told to start
    CH_PUSH_WAITING, // for the encoder to run
    CH_PUSH_CAPTURING,
    CH_PUSH_FINISHING, // waits for the end of its connection, then it is done
    CH_PUSH_DONE,
};

struct ch_push_camera {
    struct ch_push_room *room;
    const struct ch_push_language *language;
    enum ch_push_camera_state state;
    char label[CH_NAME_MAX + 1]; // for messages
    struct ch_push_ws ws;
    uv_timer_t timer; // next picture of a file, or next attempt to connect
    bool failed;
    bool told; // that the hub cannot be reached

    uint64_t pictures, bytes; // sent, over all connections
    uint32_t sequence;        // of the next message
    uint64_t skipped;         // JPEGs that were not sent because earlier ones still were
    bool need_key;            // joined a running encoder: nothing before its next key frame

    struct ch_push_sensor sensor; // of a JPEG camera; outlives its connections

    // Place in a passed-through file
    size_t cursor;             // next unit
    uint64_t pictures_before;  // of earlier rounds
    int64_t start_us, base_ms; // clock at the start, and device time of the first picture
};

void ch_push_camera_init(struct ch_push_camera *camera, struct ch_push_room *room, unsigned index);
// Connects after a delay. ch_push_room_camera_done follows at the end of it all.
void ch_push_camera_start(struct ch_push_camera *camera, uint64_t delay_ms);
// Ends it: capture_stopped if it captures, close, done.
void ch_push_camera_finish(struct ch_push_camera *camera);

// For its language:
// Begins with these values, or goes on with them. A passed-through file begins at its first picture.
void ch_push_camera_take_start(struct ch_push_camera *camera, const struct ch_push_values *values);
// True if pictures were being sent.
bool ch_push_camera_take_stop(struct ch_push_camera *camera);
__attribute__((format(printf, 4, 5))) void ch_push_camera_say(const struct ch_push_camera *camera,
                                                              enum ch_log_level level, const char *tag,
                                                              const char *format, ...);
// A text of the hub, for the log.
void ch_push_camera_quote(const struct ch_push_camera *camera, const char *text, size_t size);

// From the encoder that the camera joined.
void ch_push_camera_begin(struct ch_push_camera *camera); // it runs
void ch_push_camera_picture(struct ch_push_camera *camera, struct ch_push_payload *payload, int64_t device_ms,
                            bool key);
// From the source: no more pictures; error is NULL if it came to its end.
void ch_push_camera_source_ended(struct ch_push_camera *camera, const char *error);

bool ch_push_camera_connected(const struct ch_push_camera *camera);
bool ch_push_camera_captures(const struct ch_push_camera *camera); // or waits for the encoder

#endif
