#include "app/assets.h"

#include <stdio.h>
#include <string.h>

// The page runs its own scripts and nothing else, speaks to this hub only, and is shown in no other page.
#define PAGE_FIELDS                                                                                                    \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "   \
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"      \
    "Referrer-Policy: no-referrer\r\n"

static const struct ch_asset *find(const char *name)
{
    for (size_t i = 0; i < ch_asset_count; i++)
        if (strcmp(ch_assets[i].name, name) == 0)
            return &ch_assets[i];
    return NULL;
}

// RFC 9110 13.1.2: `*` or a list of tags, compared weakly. Compressed or not, what the client has is good.
static bool client_has(const struct ch_http_request *request, const char *hash)
{
    struct ch_span list = ch_http_field(request, "If-None-Match");
    size_t hash_bytes = strlen(hash);
    if (!list.data)
        return false;
    if (ch_span_equal(list, "*"))
        return true;
    for (size_t at = 0; at + hash_bytes <= list.size; at++)
        if (memcmp(list.data + at, hash, hash_bytes) == 0)
            return true;
    return false;
}

static bool is_page(const struct ch_asset *asset)
{
    return strncmp(asset->type, "text/html", 9) == 0;
}

void ch_asset_reply(struct ch_peer *peer, const struct ch_http_request *request, const char *name)
{
    const struct ch_asset *asset = find(name);
    if (!asset) {
        ch_peer_reply_error(peer, 404, "not_found", "there is nothing at this path");
        return;
    }
    char extra[640];
    bool same = client_has(request, asset->hash);
    bool gzip = ch_http_list_has(ch_http_field(request, "Accept-Encoding"), "gzip");
    snprintf(extra, sizeof extra, "ETag: \"%s%s\"\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n%s%s",
             asset->hash, gzip ? "-gzip" : "", gzip ? "Content-Encoding: gzip\r\n" : "",
             is_page(asset) ? PAGE_FIELDS : "");
    const void *data = gzip ? asset->gzip : asset->data;
    ch_peer_reply(peer, same ? 304 : 200, asset->type, extra, same ? NULL : data,
                  same ? 0 : gzip ? asset->gzip_bytes : asset->size);
}
