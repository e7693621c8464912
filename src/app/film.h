// Films of JPEG cameras' sessions: stream.mp4, made by `camhub film-jpeg` in a child process when the session has ended.
// One at a time per hub, in the order of their wish. Nothing depends on them: what the hub's end leaves unmade is made
// at its next start, or by `camhub repair`.
// One thread: the loop's.
#ifndef CH_APP_FILM_H
#define CH_APP_FILM_H

#include "app/hub.h"

struct ch_films;

// Has the film of a finished session made.
void ch_film_want(struct ch_hub *hub, const char *id);
// The hub ends: the one that is being made is stopped, the others are forgotten. hub->works counts until it is over.
void ch_film_stop_all(struct ch_hub *hub);

#endif
