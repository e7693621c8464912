#include "app/router.h"

#include "app/api.h"
#include "app/assets.h"
#include "app/devconsole.h"
#include "app/door.h"
#include "app/download.h"
#include "app/esp.h"
#include "app/events.h"
#include "app/feed.h"
#include "app/listener.h"
#include "app/live.h"
#include "app/metrics.h"
#include "app/phone.h"
#include "app/recordings.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

#define RECORDINGS "/recordings/"
#define LIVE "/live/"
#define API "/api/v1/"
#define CONSOLE "/console/"

bool ch_route_origin_allowed(const struct ch_http_request *request)
{
    struct ch_span origin = ch_http_field(request, "Origin"), host = ch_http_field(request, "Host");
    if (!origin.data)
        return true;
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);
        if (origin.size > size && strncasecmp(origin.data, schemes[i], size) == 0 && host.data &&
            origin.size - size == host.size && strncasecmp(origin.data + size, host.data, host.size) == 0)
            return true;
    }
    return false;
}

// What follows a prefix, or NULL.
static const char *behind(const char *path, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(path, prefix, size) == 0 ? path + size : NULL;
}

// It came in at the hub's own address, not at one of the screen streamer's.
static bool is_own(const struct ch_peer *peer)
{
    return peer->listener && peer->listener->own;
}

bool ch_route_open_to_all(const struct ch_peer *peer, const char *path)
{
    return !is_own(peer) || ch_door_at(peer, path);
}

// --- requests ---

static void answer_health(struct ch_peer *peer)
{
    ch_peer_reply(peer, 200, "text/plain", "Cache-Control: no-store\r\n", "ok\n", 3);
}

static void not_found(struct ch_peer *peer)
{
    ch_peer_reply_error(peer, 404, "not_found", "there is nothing at this path");
}

static bool is_page(const char *path)
{
    return strcmp(path, "/") == 0 || strcmp(path, "/dev") == 0;
}

// The paths that are only read.
static void answer_get(struct ch_peer *peer, const struct ch_http_request *request, const char *path)
{
    const char *rest;
    if (is_page(path))
        ch_asset_reply(peer, request, "index.html");
    else if (strcmp(path, "/healthz") == 0)
        answer_health(peer);
    else if (strcmp(path, "/metrics") == 0)
        ch_metrics_reply(peer);
    else if ((rest = behind(path, CONSOLE)))
        ch_asset_reply(peer, request, rest);
    else if ((rest = behind(path, RECORDINGS)))
        ch_download_start(peer, request, rest);
    else if ((rest = behind(path, LIVE)))
        ch_live_request(peer, request, rest);
}

static bool is_readable(const char *path)
{
    return is_page(path) || strcmp(path, "/healthz") == 0 || strcmp(path, "/metrics") == 0 || behind(path, CONSOLE) ||
           behind(path, RECORDINGS) || behind(path, LIVE);
}

// Requests for what is only read.
static void route_readable(struct ch_peer *peer, const struct ch_http_request *request, const char *path)
{
    bool own = is_own(peer) && is_readable(path);
    bool get = request->method == CH_HTTP_GET || request->method == CH_HTTP_HEAD;
    if (own && get)
        answer_get(peer, request, path);
    else if (own)
        ch_peer_reply_error_in(peer, 405, "method", "only GET and HEAD are allowed here", NULL, "Allow: GET, HEAD\r\n");
    else if (!get || !ch_door_request(peer, request, path))
        not_found(peer);
}

void ch_route_request(struct ch_peer *peer, const struct ch_http_request *request, const char *path, const char *body,
                      size_t body_bytes)
{
    const char *rest = behind(path, API "recordings");
    if (is_own(peer) && rest && (rest[0] == '\0' || rest[0] == '/'))
        ch_recordings_request(peer, request, rest);
    else if (is_own(peer) && behind(path, API))
        ch_api_request(peer, request, path, body, body_bytes);
    else
        route_readable(peer, request, path);
}

size_t ch_route_body_limit(const struct ch_http_request *request, const char *path)
{
    return request->method == CH_HTTP_POST && behind(path, API) ? CH_LIMIT_BODY_BYTES : 0;
}

// --- WebSockets ---

// A camera at PREFIX or PREFIX/NAME. True if the path is one of those; *refusal as in ch_route_websocket.
static bool route_camera(struct ch_peer *peer, const char *path, const char *prefix,
                         int (*open)(struct ch_peer *peer, const char *name), const char **refusal)
{
    const char *rest = behind(path, prefix);
    if (!rest || (rest[0] != '\0' && rest[0] != '/'))
        return false;
    const char *name = rest[0] ? rest + 1 : NULL;
    if (name && !ch_name_valid(name))
        *refusal = "Bad name: 1 to 64 of A-Z a-z 0-9 . _ - are allowed";
    else if (name && ch_feed_find(peer->hub, name))
        *refusal = "This name belongs to a source of the hub";
    else
        *refusal = open(peer, name) < 0 ? "Out of memory" : NULL;
    return true;
}

const char *ch_route_websocket(struct ch_peer *peer, const struct ch_http_request *request, const char *path)
{
    const char *refusal = NULL, *rest;
    if (!is_own(peer))
        return ch_door_open(peer, request, path);
    if (strcmp(path, "/") == 0) {
        ch_log(CH_LOG_INFO, CH_TAG_CONNECTION, "%s: demo client", peer->conn.peer);
        return NULL;
    }
    if (route_camera(peer, path, "/android-cam", ch_phone_open, &refusal) ||
        route_camera(peer, path, "/esp", ch_esp_open, &refusal))
        return refusal;
    if ((rest = behind(path, LIVE)))
        return ch_live_open(peer, request, rest);
    if (strcmp(path, "/dev") == 0)
        return ch_devconsole_open(peer) < 0 ? "Out of memory" : NULL;
    if (strcmp(path, API "events") == 0)
        return ch_events_open(peer) < 0 ? "Out of memory" : NULL;
    return ch_door_open(peer, request, path);
}
