// Files that are part of the program: the console page (web/) and docs/openapi.json, by tools/embed.py.
#ifndef CH_APP_ASSETS_H
#define CH_APP_ASSETS_H

#include "app/peer.h"

struct ch_asset {
    const char *name; // below web/, "index.html"; or "openapi.json"
    const char *type; // Content-Type
    const char *hash; // changes with the content
    const unsigned char *data;
    size_t size;
    const unsigned char *gzip; // the same, compressed
    size_t gzip_bytes;
};
extern const struct ch_asset ch_assets[]; // by name
extern const size_t ch_asset_count;

// Answers GET or HEAD with a file, or that the client's own is still good; 404 if there is no such file.
void ch_asset_reply(struct ch_peer *peer, const struct ch_http_request *request, const char *name);

#endif
