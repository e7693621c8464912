// A recording: joins a camera's stream with a recorder, and outlives the camera until its files, and
// then its thumbnail, are finished.
#ifndef CH_APP_SESSION_H
#define CH_APP_SESSION_H

#include "app/camera.h"

struct ch_thumbnail;

struct ch_session {
    struct ch_hub *hub;
    struct ch_session *next, **self; // in hub->sessions
    struct ch_camera *camera;        // NULL once ended
    struct ch_recorder *recorder;    // NULL once ended
    char name[65];                   // the camera's
    int64_t started_us;              // wall clock
    int64_t listed_us;               // when the list of recordings was told of it last, monotonic
    struct ch_session_summary summary;
    struct ch_thumbnail *thumbnail; // its child
    bool files_done, thumbnail_wanted;
};

// Starts a session of the camera's stream. NULL without memory.
struct ch_session *ch_session_start(struct ch_camera *camera);
// Ends it; the camera has none afterwards.
void ch_session_end(struct ch_session *session, const char *end_reason);
// The tick.
void ch_session_tick(struct ch_session *session);
// Once per second: the list of recordings is told now and then how large it has become.
void ch_session_housekeep(struct ch_session *session, int64_t now_us);
// A session that was recovered and lacks a thumbnail.
void ch_session_add_finished(struct ch_hub *hub, const struct ch_session_summary *summary);
// The hub is out of time: thumbnails are not waited for.
void ch_session_abandon_thumbnails(struct ch_hub *hub);

#endif
