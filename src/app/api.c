#include "app/api.h"

#include "app/api_commands.h"
#include "app/assets.h"
#include "app/camera_json.h"
#include "app/events.h"
#include "app/json_out.h"
#include "app/qr.h"
#include "app/status.h"
#include "base/limits.h"
#include "base/text.h"
#include "proto/ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "/api/v1/"
#define NO_STORE "Cache-Control: no-store\r\n"
#define QR_TEXT_MAX 500

// --- replies ---

void ch_api_reply_json(struct ch_peer *peer, json_t *value)
{
    size_t size;
    char *text = ch_json_write(value, &size);
    json_decref(value);
    if (text)
        ch_peer_reply(peer, 200, "application/json", NO_STORE, text, size);
    else
        ch_peer_reply_error(peer, 500, "memory", "out of memory");
    free(text);
}

void ch_api_reply_method(struct ch_peer *peer, const char *allowed)
{
    char message[100], extra[100];
    snprintf(message, sizeof message, "only %s can be used here", allowed);
    snprintf(extra, sizeof extra, "Allow: %s\r\n", allowed);
    ch_peer_reply_error_in(peer, 405, "method", message, NULL, extra);
}

// --- the query ---

static int decode(const char *text, size_t size, char *out, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i] == '+' ? ' ' : text[i];
        if (c == '%') {
            int high = i + 2 < size ? ch_hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? ch_hex_digit(text[i + 2]) : -1;
            if (low < 0 || high * 16 + low == 0)
                return -EINVAL;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (used + 1 >= capacity)
            return -ENAMETOOLONG;
        out[used++] = c;
    }
    out[used] = '\0';
    return ch_utf8_valid((const uint8_t *)out, used) ? (int)used : -EINVAL;
}

int ch_api_query(const struct ch_http_request *request, const char *name, char *out, size_t capacity)
{
    const char *at = request->query.data, *end = at ? at + request->query.size : NULL;
    size_t name_bytes = strlen(name);
    out[0] = '\0';
    while (at && at < end) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        size_t size = (size_t)((next ? next : end) - at);
        if (size > name_bytes && memcmp(at, name, name_bytes) == 0 && at[name_bytes] == '=')
            return decode(at + name_bytes + 1, size - name_bytes - 1, out, capacity);
        at = next ? next + 1 : end;
    }
    return 0;
}

// --- what is asked ---

static void answer_status(struct ch_peer *peer, const struct ch_http_request *request)
{
    (void)request;
    struct ch_status *status = ch_events_status(peer->hub);
    if (status)
        ch_api_reply_json(peer, ch_status_to_json(status));
    else
        ch_peer_reply_error(peer, 503, "ending", "the hub is shutting down");
}

static void answer_cameras(struct ch_peer *peer, const struct ch_http_request *request)
{
    (void)request;
    ch_api_reply_json(peer, json_pack("{s:o}", "cameras", ch_cameras_to_json(peer->hub)));
}

static void answer_openapi(struct ch_peer *peer, const struct ch_http_request *request)
{
    ch_asset_reply(peer, request, "openapi.json");
}

static void answer_qr(struct ch_peer *peer, const struct ch_http_request *request)
{
    char text[QR_TEXT_MAX + 1];
    int size = ch_api_query(request, "text", text, sizeof text);
    if (size <= 0) {
        const char *message = size == -ENAMETOOLONG ? "text has over 500 bytes"
                              : size == 0           ? "text is missing: it must be 1 to 500 bytes"
                                                    : "text is no UTF-8 in percent encoding";
        ch_peer_reply_error_in(peer, 400, "bad_value", message, "text", "");
        return;
    }
    size_t svg_bytes;
    char *svg = ch_qr_svg(text, &svg_bytes);
    if (svg)
        ch_peer_reply(peer, 200, "image/svg+xml", "Cache-Control: max-age=86400\r\n", svg, svg_bytes);
    else
        ch_peer_reply_error(peer, 500, "memory", "out of memory");
    free(svg);
}

static void answer_events(struct ch_peer *peer, const struct ch_http_request *request)
{
    (void)request;
    ch_peer_reply_error_in(peer, 426, "websocket", "events come over a WebSocket", NULL,
                           "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
}

static void dismiss(struct ch_peer *peer, struct ch_camera *camera)
{
    if (ch_camera_dismiss(camera) == 0)
        ch_peer_reply(peer, 204, NULL, "", NULL, 0);
    else
        ch_peer_reply_error(peer, 409, "connected", "this camera is connected; only a lost one can be dismissed");
}

static bool is_get(const struct ch_http_request *request)
{
    return request->method == CH_HTTP_GET || request->method == CH_HTTP_HEAD;
}

static void answer_camera(struct ch_peer *peer, const struct ch_http_request *request, const char *name)
{
    if (!is_get(request) && request->method != CH_HTTP_DELETE) {
        ch_api_reply_method(peer, "GET, HEAD, DELETE");
        return;
    }
    struct ch_camera *camera = ch_name_valid(name) ? ch_camera_find(peer->hub, name) : NULL;
    if (!camera)
        ch_peer_reply_error(peer, 404, "unknown_camera", "there is no camera of this name");
    else if (request->method == CH_HTTP_DELETE)
        dismiss(peer, camera);
    else
        ch_api_reply_json(peer, ch_camera_details_to_json(camera));
}

static const struct {
    const char *path;
    void (*answer)(struct ch_peer *peer, const struct ch_http_request *request);
} readable[] = {
    {"status", answer_status}, {"cameras", answer_cameras},      {"events", answer_events},
    {"qr.svg", answer_qr},     {"openapi.json", answer_openapi},
};

void ch_api_request(struct ch_peer *peer, const struct ch_http_request *request, const char *path, const char *body,
                    size_t body_bytes)
{
    const char *rest = path + strlen(PREFIX);
    if (strcmp(rest, "commands") == 0) {
        if (request->method == CH_HTTP_POST)
            ch_api_command(peer, request, body, body_bytes);
        else
            ch_api_reply_method(peer, "POST");
        return;
    }
    if (strncmp(rest, "cameras/", 8) == 0) {
        answer_camera(peer, request, rest + 8);
        return;
    }
    for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++) {
        if (strcmp(rest, readable[i].path) != 0)
            continue;
        if (is_get(request))
            readable[i].answer(peer, request);
        else
            ch_api_reply_method(peer, "GET, HEAD");
        return;
    }
    ch_peer_reply_error(peer, 404, "not_found", "there is nothing at this path");
}
