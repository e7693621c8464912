// Which path is what: the one place that knows all addresses of the hub (docs/openapi.json, README).
#ifndef CH_APP_ROUTER_H
#define CH_APP_ROUTER_H

#include "app/peer.h"

// Answers a request whose body, if it has one, is there (borrowed; NULL without).
void ch_route_request(struct ch_peer *peer, const struct ch_http_request *request, const char *path, const char *body,
                      size_t body_bytes);
// How many bytes of body this path takes with this method; 0: none.
size_t ch_route_body_limit(const struct ch_http_request *request, const char *path);
// Decides what a WebSocket on this path is, and makes it that. NULL, or the reason to close it with 1008.
const char *ch_route_websocket(struct ch_peer *peer, const struct ch_http_request *request, const char *path);
// True of the screen streamer's addresses: players there always came from pages of other sites, and see one picture only.
bool ch_route_open_to_all(const struct ch_peer *peer, const char *path);
// A page of another site must not speak to the hub with its visitor's network position. Programs that are no
// browser send no Origin.
bool ch_route_origin_allowed(const struct ch_http_request *request);

#endif
