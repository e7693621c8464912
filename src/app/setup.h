// Brings the hub in line with a configuration: sources, outputs and the screen streamer's addresses are added, taken
// away, or left alone if nothing of them has changed.
// One thread: the loop's.
#ifndef CH_APP_SETUP_H
#define CH_APP_SETUP_H

#include "app/config.h"
#include "app/hub.h"

// At the start, and again whenever the configuration was read anew. What cannot be changed while the hub runs is
// said in a warning. 0, or a negative errno after an [Error] line (then nothing has changed).
int ch_setup_apply(struct ch_hub *hub, const struct ch_config *config);
// At the end.
void ch_setup_clear(struct ch_hub *hub);

#endif
