// A live viewer: a cursor that may skip. It turns frames into messages of its format, as headers around the
// same bytes (docs/live-protocol.md), and hands as many at a time to its outlet as that takes.
//
// The common format of each kind of camera (fragmented MP4 of H.264 and AAC, JPEGs) lies in one piece in front of
// and in the sample, made once for all viewers; FLV lies around it likewise, in three. A frame that the outlet takes
// in part is finished by reference; what comes after it stays in the log, so a slow viewer holds one frame at the
// most.
//
// A viewer that lags behind by more than CH_LIVE_LAG_US (or whose frames are gone) goes on at the newest key
// frame and is told how many pictures were left out. One whose format cannot hold a picture (an FLV tag has less than
// 16 MiB) goes on at the next key frame.
//
// One thread: the loop's.
#ifndef CH_SINK_VIEWER_H
#define CH_SINK_VIEWER_H

#include "stream/stream.h"

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

enum ch_viewer_format {
    CH_VIEW_WS_MP4,
    CH_VIEW_WS_H264,
    CH_VIEW_WS_JPEG,
    CH_VIEW_WS_JPEG_BARE, // no texts
    CH_VIEW_WS_FLV,       // nor here
    CH_VIEW_HTTP_MP4,
    CH_VIEW_HTTP_JPEG, // parts of multipart/x-mixed-replace
    CH_VIEW_HTTP_FLV,
};
#define CH_VIEW_BOUNDARY "camhub-picture" // of those parts

// Where a viewer's bytes go. `owner` is the viewer's, and what sending looks at lies at its beginning.
struct ch_viewer_outlet {
    // Bytes taken now, 0 for none, or a negative errno.
    ssize_t (*try_send)(void *owner, const struct iovec *iov, size_t count);
    // Takes the rest of a message: `data` stays until release is called (also on failure). 0 or a negative errno.
    int (*queue)(void *owner, const void *data, size_t size, void (*release)(void *context), void *context);
    // Takes a small message by copy, behind what is queued. 0 or a negative errno.
    int (*send)(void *owner, const struct iovec *iov, size_t count);
    // ch_viewer_room is to be called once it takes bytes again.
    void (*want_room)(void *owner);
    // This viewer cannot go on: a negative errno, or 0 if its format ends here (HTTP_MP4 at new parameters).
    // Called last; ch_viewer_stop is the owner's to call, later.
    void (*failed)(void *owner, int error);
};

// Viewers that hold frames back to send several at a time.
struct ch_viewer_holds {
    uv_timer_t timer;
    struct ch_viewer *held;
    int64_t due_us;
};

struct ch_viewer {
    // What sending a frame looks at comes first: there may be thousands of viewers.
    struct ch_cursor cursor;
    const struct ch_viewer_outlet *outlet;
    void *owner;
    enum ch_viewer_format format;
    bool started;                     // it has had a key frame
    bool counts;                      // pictures that it is not sent count as dropped: it has had one, or would have
    bool blocked;                     // waits for room
    bool ended;                       // failed
    struct ch_params *said;           // that it was told of; owned reference
    uint64_t next_picture;            // number of the picture that it expects
    uint64_t frames_sent, bytes_sent; // frames: pictures and AAC frames
    int64_t told_us;                  // when it was told the time, monotonic
    int64_t coalesce_us;
    int64_t told_base_us; // wall clock less timeline, as it was told
    uint64_t dropped;     // pictures
    struct ch_viewer_holds *holds;
    struct ch_viewer *next_held, **held_at; // in holds, or NULL
};

void ch_viewer_holds_init(struct ch_viewer_holds *holds, uv_loop_t *loop);
void ch_viewer_holds_close(struct ch_viewer_holds *holds); // no viewer may be held; memory until the loop has closed it

// Starts at the newest key frame and sends at once what is there. All is borrowed until stop.
void ch_viewer_start(struct ch_viewer *viewer, struct ch_stream *stream, enum ch_viewer_format format,
                     int64_t coalesce_us, struct ch_viewer_holds *holds, const struct ch_viewer_outlet *outlet,
                     void *owner);
void ch_viewer_room(struct ch_viewer *viewer);
void ch_viewer_stop(struct ch_viewer *viewer);

#endif
