// URLs of sources and outputs (RFC 3986): a scheme that is allowed here, and a host.
#include "app/config_internal.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>

#define URL_BYTES 2048

static const char *const source_schemes[] = {"rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "srt", "udp", NULL};
static const char *const output_schemes[] = {"rtmp", "rtmps", "rtsp", "rtsps", "srt", "udp", NULL};

bool ch_config_url_is(const char *url, const char *scheme)
{
    size_t size = strlen(scheme);
    return strncmp(url, scheme, size) == 0 && strncmp(url + size, "://", 3) == 0;
}

static bool has_scheme(const char *url, const char *const *schemes)
{
    for (size_t i = 0; schemes[i]; i++)
        if (ch_config_url_is(url, schemes[i]))
            return true;
    return false;
}

static const char *port_wrong(const char *port, const char *end)
{
    char digits[6] = "";
    int64_t number;
    size_t size = (size_t)(end - port);
    if (size > 0 && size < sizeof digits)
        memcpy(digits, port, size);
    if (digits[0] == '-' || strlen(digits) != size || ch_parse_int(digits, 1, 65535, &number) < 0)
        return "the port of the URL is no number from 1 to 65535 (in a user name or password, write / as %2F, ? as "
               "%3F, # as %23, @ as %40, : as %3A)";
    return NULL;
}

// Between "://" and the path (RFC 3986 3.2).
static const char *authority_wrong(const char *from, const char *end)
{
    const char *at = memrchr(from, '@', (size_t)(end - from));
    const char *host = at ? at + 1 : from, *stop;
    if (host < end && *host == '[') {
        stop = memchr(host, ']', (size_t)(end - host));
        if (!stop || stop == host + 1)
            return "the URL's [ is not closed by a ], or nothing is in it";
        stop++;
    } else {
        stop = memchr(host, ':', (size_t)(end - host));
        if (!stop)
            stop = end;
    }
    if (stop == host)
        return "the URL has no host";
    if (stop == end)
        return NULL;
    return *stop == ':' ? port_wrong(stop + 1, end) : "something stands between the URL's host and its port";
}

static const char *url_wrong(const char *url, const char *const *schemes, const char *no_scheme)
{
    if (strlen(url) > URL_BYTES)
        return "the URL has more than 2048 bytes";
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 127 || *p == '\\' || *p == '"' || *p == '<' || *p == '>')
            return "the URL has a blank, a quotation mark, a backslash or the like in it (write a blank as %20)";
    if (!has_scheme(url, schemes))
        return no_scheme;
    const char *authority = strstr(url, "://") + 3;
    return authority_wrong(authority, authority + strcspn(authority, "/?#"));
}

const char *ch_config_url_wrong(const char *url)
{
    return url_wrong(
        url, source_schemes,
        "the URL must begin with rtsp://, rtsps://, rtmp://, rtmps://, http://, https://, srt:// or udp://, "
        "in lower case");
}

const char *ch_config_output_url_wrong(const char *url)
{
    return url_wrong(url, output_schemes,
                     "the URL must begin with rtmp://, rtmps://, rtsp://, rtsps://, srt:// or udp://, in lower case");
}
