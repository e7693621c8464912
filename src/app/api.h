// What programs ask the hub over HTTP: /api/v1/... (docs/openapi.json).
// One thread: the loop's.
#ifndef CH_APP_API_H
#define CH_APP_API_H

#include "app/peer.h"

#include <jansson.h>

// Answers a request whose path begins with /api/v1/ (but for /api/v1/recordings, which is app/recordings.h's).
// `path` is decoded; the body, NULL if there is none, is borrowed.
void ch_api_request(struct ch_peer *peer, const struct ch_http_request *request, const char *path, const char *body,
                    size_t body_bytes);

// --- for the parts of the API ---

// 200 with this value, which is taken; NULL, for want of memory: 500.
void ch_api_reply_json(struct ch_peer *peer, json_t *value);
// 405 with an Allow line: "GET, HEAD".
void ch_api_reply_method(struct ch_peer *peer, const char *allowed);
// A value of the query by its name, decoded (RFC 3986 2.1; `+` is a blank) and terminated. Its length; 0 also if it is
// absent; -EINVAL (a bad escape, an escaped zero, not UTF-8) or -ENAMETOOLONG.
int ch_api_query(const struct ch_http_request *request, const char *name, char *out, size_t capacity);

#endif
