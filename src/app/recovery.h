// Sessions that an earlier run of the hub left unfinished are finished in the work pool, one after
// another, while the hub already serves.
#ifndef CH_APP_RECOVERY_H
#define CH_APP_RECOVERY_H

#include "app/hub.h"

void ch_recovery_start(struct ch_hub *hub);

#endif
