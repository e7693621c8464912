// The newest pictures of JPEG cameras as files (sink/pictures.h), brought to a disk thread. Cameras without a name share
// a ring. It is no recording: where the disk is slow, the newest pictures are kept and older ones left out.
// One thread: the loop's.
#ifndef CH_APP_RING_H
#define CH_APP_RING_H

#include "app/hub.h"
#include "stream/frame.h"

struct ch_ring;

// The ring of this name (NULL: of those without one), made with its first user. NULL without memory.
struct ch_ring *ch_ring_join(struct ch_hub *hub, const char *name);
void ch_ring_leave(struct ch_ring *ring);
// Keeps a picture (referenced as long as needed); `number` as in ch_pictures_add.
void ch_ring_add(struct ch_ring *ring, struct ch_frame *frame, uint32_t number);

#endif
