// GET and HEAD of /recordings/ID/FILE, with Range (RFC 9110 14) and If-Range. The file is opened and read in
// libuv's work pool, a piece at a time, no faster than the peer takes it.
#ifndef CH_APP_DOWNLOAD_H
#define CH_APP_DOWNLOAD_H

#include "app/peer.h"

// Answers a request for `path`, which is what follows "/recordings/" (decoded). The peer is
// CH_PEER_REPLYING until it is over, or has its error reply.
void ch_download_start(struct ch_peer *peer, const struct ch_http_request *request, const char *path);

#endif
