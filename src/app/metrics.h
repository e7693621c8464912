// GET /metrics: the hub's figures in the text format of Prometheus. One thread: the loop's.
#ifndef CH_APP_METRICS_H
#define CH_APP_METRICS_H

#include "app/peer.h"

void ch_metrics_reply(struct ch_peer *peer);

#endif
