// The address of a hub as `camhub push` takes it: ws://HOST[:PORT][ENDPOINT[/NAME]][?QUERY].
#ifndef CH_CLI_PUSH_URL_H
#define CH_CLI_PUSH_URL_H

#include <stddef.h>

#define CH_PUSH_PORT "50001" // of a hub, if the URL names none

struct ch_push_url {
    char host[256]; // without the brackets of an IPv6 address
    char port[6];
    char authority[270]; // as the Host field wants it
    char path[512];      // without the camera's name; not empty
    char name[256];      // the camera's, or empty
    char query[256];     // with its '?', or empty
};

// Where cameras connect (wire protocol 1 and 2)
#define CH_PUSH_PHONES "/android-cam"
#define CH_PUSH_ESP32S "/esp"

// `endpoint` is one of these: what a URL without a path means. 0, or -EINVAL with *why: what is wrong and what is
// allowed. The other endpoint is wrong, any other path is taken as it is.
int ch_push_url_parse(const char *text, const char *endpoint, struct ch_push_url *out, const char **why);

// What a camera asks for: path, name (its own, or the URL's if NULL), query.
#define CH_PUSH_TARGET_BYTES 1100
void ch_push_url_target(const struct ch_push_url *url, const char *name, char out[CH_PUSH_TARGET_BYTES]);

#endif
