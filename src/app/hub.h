// The hub: one process, one loop. This is what its parts share; each part has a file of its own:
//
//   hub.c         listening, housekeeping, orderly end
//   peer.c        one accepted connection: HTTP request, then what it became
//   router.c      which path is what
//   listener.c    sockets that are listened on
//   setup.c       what the configuration asks for: sources, outputs, doors
//   camera.c      a camera by its name, connected or lost
//   phone.c       a phone's connection
//   esp.c         a JPEG camera's connection
//   feed.c        a source that ffmpeg pulls in
//   output.c      a camera's pictures pushed to a server
//   door.c        the screen streamer's addresses
//   ring.c        JPEG cameras' newest pictures as files
//   film.c        the films of their sessions
//   session.c     a recording, from its start to its thumbnail
//   live.c        viewers
//   devconsole.c  consoles of the older programs
//   snapshot.c    the newest picture of a camera as JPEG
//   events.c      what happens, told to consoles
//   api.c         status, cameras, commands
//   metrics.c     figures for Prometheus
//   recordings.c  the list of recordings
//   download.c    files of recordings over HTTP, with ranges
//   operator.c    commands typed by a person
//   recovery.c    sessions that an earlier run left unfinished
//
// One thread: the loop's. What blocks is with the disk thread, libuv's work pool, or a child process.
#ifndef CH_APP_HUB_H
#define CH_APP_HUB_H

#include "app/options.h"
#include "proto/command.h"
#include "sink/recorder.h"
#include "sink/viewer.h"

#include <stdatomic.h>
#include <uv.h>

struct ch_camera;
struct ch_devconsole;
struct ch_doors;
struct ch_events;
struct ch_feed;
struct ch_films;
struct ch_listener;
struct ch_output;
struct ch_peer;
struct ch_recordings;
struct ch_ring;
struct ch_session;

struct ch_hub {
    struct ch_options options;
    uv_loop_t *loop;
    int root;                      // the recordings folder
    uint16_t port;                 // in use
    struct ch_listener *listeners; // the hub's own first
    struct ch_doors *doors;        // NULL: none
    uv_timer_t housekeeping;       // once per second
    uv_timer_t tick;               // CH_FLUSH_US, while there are sessions
    struct ch_disk *disk;
    struct ch_peer *peers; // all open connections
    unsigned peer_count, max_peers;
    bool refusing;               // no descriptors are left for more peers, and it was said
    struct ch_camera *cameras;   // by name, lost ones too
    struct ch_feed *feeds;       // sources
    struct ch_output *outputs;   // by name
    struct ch_session *sessions; // until their files and thumbnail are finished
    unsigned thumbnails;         // children running
    struct ch_films *films;      // of JPEG cameras; NULL: none are wanted
    struct ch_ring *rings;       // of JPEG cameras' newest pictures
    struct ch_viewer_holds holds;
    unsigned viewer_count;
    unsigned snapshots; // children running
    struct ch_devconsole *devconsoles;
    struct ch_events *events;
    struct ch_recordings *recordings;
    bool stopping;
    atomic_bool ending;          // the same, for other threads
    int64_t started_us, stop_us; // monotonic
    unsigned works;              // pieces of work in libuv's pool that hold something of ours
    bool warned_ffmpeg, warned_film;
    void (*stopped)(struct ch_hub *hub); // everything has ended
};

// Opens the recordings folder, listens, starts. 0, or a negative errno after an [Error] line.
int ch_hub_start(struct ch_hub *hub, const struct ch_options *options, uv_loop_t *loop);
// Ends all connections and sessions, then calls `stopped`, after CH_LIMIT_SHUTDOWN_US at the latest.
void ch_hub_stop(struct ch_hub *hub);
void ch_hub_check_stopped(struct ch_hub *hub);    // for the parts, when something of theirs has ended
void ch_hub_sessions_changed(struct ch_hub *hub); // the tick runs while there are any

#endif
