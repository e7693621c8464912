// A room of cameras in one process: what they share (options, source, encoder) and when it is over.
#ifndef CH_CLI_PUSH_ROOM_H
#define CH_CLI_PUSH_ROOM_H

#include "cli/push_camera.h"
#include "cli/push_encoder.h"
#include "cli/push_file.h"

struct ch_push_room {
    uv_loop_t *loop;
    const struct ch_push_options *options;
    enum ch_push_kind kind;
    struct ch_push_file file;       // of kind CH_PUSH_THROUGH
    struct ch_push_encoder encoder; // of the other kinds
    uint32_t rate_num, rate_den;    // pictures per second of a passed-through file
    char *capabilities;             // of a phone, JSON text, owned
    struct ch_push_camera *cameras; // owned
    unsigned camera_count, done;
    bool held;       // the encoder waits for a slow connection
    bool stopping;   // everybody ends orderly
    bool failed;     // the exit status will be 1
    int64_t talk_us; // since when, and how many lines cameras have said
    unsigned talk_lines;
    void (*over)(struct ch_push_room *room); // every camera has ended and the encoder is closed
    void *context;
};

// Looks at the source. 0, or a negative errno after it has been explained on stderr.
int ch_push_room_init(struct ch_push_room *room, uv_loop_t *loop, const struct ch_push_options *options);
void ch_push_room_deinit(struct ch_push_room *room); // after `over`, or without a start

// Connects all cameras. `over` follows.
void ch_push_room_start(struct ch_push_room *room, void (*over)(struct ch_push_room *room), void *context);
// Ends everybody orderly.
void ch_push_room_stop(struct ch_push_room *room);

// For cameras:
// An encoder with these values, please. ch_push_camera_begin follows, or ch_push_camera_source_ended;
// both may come from within the call.
void ch_push_room_join(struct ch_push_room *room, struct ch_push_camera *camera, const struct ch_push_values *values);
void ch_push_room_leave(struct ch_push_room *room);   // a camera no longer captures
void ch_push_room_relieve(struct ch_push_room *room); // a camera's unsent bytes have become fewer
void ch_push_room_camera_done(struct ch_push_room *room, bool failed);

#endif
