// GET and HEAD of /recordings/ID/FILE, with Range (RFC 9110 14) and If-Range. The file is opened and read in
// libuv's work pool, a piece at a time, no faster than the peer takes it.
#ifndef CH_APP_DOWNLOAD_H
#define CH_APP_DOWNLOAD_H

#include "app/peer.h"

// Answers a request for `path`, which is what follows "/recordings/" (decoded). The peer is
// CH_PEER_REPLYING until ch_peer_download_done, or has its error reply.
void ch_download_start(struct ch_peer *peer, const struct ch_http_request *request, const char *path);
// The connection has room again.
void ch_download_continue(struct ch_download *download);
// The connection is gone; a read under way ends by itself.
void ch_download_abandon(struct ch_download *download);

#endif
