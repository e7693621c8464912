// What happens, told to whoever listens: the console page and programs on /api/v1/events (docs/openapi.json
// has the messages), and the older developer consoles on /dev, which get log lines.
//
// Log lines, cameras that changed and what cameras said are told at once if nothing was told for EVENTS_PAUSE_US, else
// together when that time is over. A camera that changed several times in between is told once, as it is then.
// Of what a single camera says in that time the first lines and the last are told, however many there are.
// One thread: the loop's.
#ifndef CH_APP_EVENTS_H
#define CH_APP_EVENTS_H

#include "app/hub.h"

struct ch_peer;
struct ch_recording;
struct ch_status;

// Starts to collect log lines, of all threads. 0 or a negative errno.
int ch_events_start(struct ch_hub *hub);
// Ends it: nobody is told anything any more, and the calls below do nothing. Listeners may still be there; memory goes
// with the last of them, when the loop has closed its handles. Once.
void ch_events_stop(struct ch_hub *hub);

// Makes the peer's WebSocket a listener. 0 or -ENOMEM.
int ch_events_open(struct ch_peer *peer);

// Takes log lines as plain text ("2026-11-21 03:44:15.123 [Info] ...", no line break, valid UTF-8), on the loop's
// thread: the last ones when it is added (before ch_events_add_lines returns), then each as it comes. `line` may remove
// its listener. It may log, but not for every line: what it logs comes back to it.
struct ch_line_listener {
    void (*line)(struct ch_line_listener *listener, const char *text, size_t size);
    struct ch_line_listener *next, **self; // events.c's
    struct ch_events *events;
};
void ch_events_add_lines(struct ch_hub *hub, struct ch_line_listener *listener);
void ch_events_remove_lines(struct ch_line_listener *listener); // one that is not there (any more) is fine

void ch_events_camera(const struct ch_camera *camera); // new, or something but its figures changed
void ch_events_camera_removed(struct ch_hub *hub, const char *name);
void ch_events_answer(const struct ch_camera *camera);
void ch_events_recording(struct ch_hub *hub, const struct ch_recording *recording); // new in the list, or changed there
void ch_events_recording_deleted(struct ch_hub *hub, const char *id);
void ch_events_housekeep(struct ch_hub *hub, int64_t now_us); // once per second: figures, status

// The hub's own numbers, which `status` messages and /api/v1/status show. NULL before the start and after the end.
struct ch_status *ch_events_status(const struct ch_hub *hub);

#endif
