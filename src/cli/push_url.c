#include "cli/push_url.h"

#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// Only visible ASCII: everything goes into a request head.
static bool all_visible(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static bool copy(char *out, size_t room, const char *from, size_t size)
{
    if (size >= room)
        return false;
    memcpy(out, from, size);
    out[size] = '\0';
    return true;
}

// HOST, HOST:PORT, [IPV6] or [IPV6]:PORT.
static const char *parse_authority(const char *text, size_t size, struct ch_push_url *out)
{
    const char *end = text + size, *host = text, *host_end;
    bool brackets = size > 0 && text[0] == '[';
    if (memchr(text, '@', size))
        return "user names in a URL are not allowed";
    if (brackets) {
        host++;
        host_end = memchr(text, ']', size);
        if (!host_end)
            return "the ']' of the IPv6 address is missing";
    } else {
        host_end = memchr(text, ':', size);
        if (!host_end)
            host_end = end;
    }
    const char *rest = host_end + (brackets ? 1 : 0);
    if (host == host_end || !copy(out->host, sizeof out->host, host, (size_t)(host_end - host)))
        return "a host name or address is needed: ws://HOST:PORT/android-cam/NAME";
    strcpy(out->port, CH_PUSH_PORT);
    int64_t port;
    if (rest < end && (*rest != ':' || !copy(out->port, sizeof out->port, rest + 1, (size_t)(end - rest - 1)) ||
                       ch_parse_int(out->port, 1, 65535, &port) < 0))
        return "the port must be a number from 1 to 65535";
    snprintf(out->authority, sizeof out->authority, brackets ? "[%s]:%s" : "%s:%s", out->host, out->port);
    return NULL;
}

// True if a path is an endpoint, or a name below it.
static bool is_below(const char *path, size_t size, const char *endpoint)
{
    size_t n = strlen(endpoint);
    return size >= n && strncmp(path, endpoint, n) == 0 && (size == n || path[n] == '/');
}

// Splits the camera's name off.
static const char *parse_path(const char *path, size_t size, const char *endpoint, struct ch_push_url *out)
{
    const size_t known = strlen(endpoint);
    while (size > 0 && path[size - 1] == '/')
        size--;
    if (size == 0) {
        path = endpoint;
        size = known;
    }
    if (strcmp(endpoint, CH_PUSH_ESP32S) != 0 && is_below(path, size, CH_PUSH_ESP32S))
        return CH_PUSH_ESP32S " is for JPEG cameras; add --jpeg";
    if (strcmp(endpoint, CH_PUSH_PHONES) != 0 && is_below(path, size, CH_PUSH_PHONES))
        return CH_PUSH_PHONES " is for H.264 cameras; with --jpeg use " CH_PUSH_ESP32S;
    size_t base = size;
    if (size > known && is_below(path, size, endpoint)) {
        base = known;
        if (!copy(out->name, sizeof out->name, path + known + 1, size - known - 1))
            return "the camera's name is too long";
    }
    return copy(out->path, sizeof out->path, path, base) ? NULL : "the path is too long";
}

static const char *parse(const char *text, const char *endpoint, struct ch_push_url *out)
{
    if (strncasecmp(text, "wss://", 6) == 0)
        return "TLS comes later; use ws://";
    if (strncasecmp(text, "ws://", 5) != 0)
        return "allowed is ws://HOST:PORT/android-cam/NAME, or .../esp/NAME with --jpeg";
    if (!all_visible(text))
        return "blanks, control characters and non-ASCII characters are not allowed";
    if (strchr(text, '#'))
        return "a fragment ('#') is not allowed"; // RFC 6455 3
    text += 5;
    size_t authority = strcspn(text, "/?");
    const char *why = parse_authority(text, authority, out);
    if (why)
        return why;
    text += authority;
    size_t path = strcspn(text, "?");
    why = parse_path(text, path, endpoint, out);
    if (why)
        return why;
    return copy(out->query, sizeof out->query, text + path, strlen(text + path)) ? NULL : "the query is too long";
}

int ch_push_url_parse(const char *text, const char *endpoint, struct ch_push_url *out, const char **why)
{
    memset(out, 0, sizeof *out);
    *why = parse(text, endpoint, out);
    return *why ? -EINVAL : 0;
}

void ch_push_url_target(const struct ch_push_url *url, const char *name, char out[CH_PUSH_TARGET_BYTES])
{
    const char *own = name ? name : url->name;
    snprintf(out, CH_PUSH_TARGET_BYTES, "%s%s%s%s", url->path, *own ? "/" : "", own, url->query);
}
