#include "cli/push_handshake.h"

#include "cli/push_payload.h"
#include "proto/http.h"
#include "proto/ws.h"

#include <errno.h>
#include <llhttp.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void ch_push_handshake_key(char out[CH_PUSH_KEY_BYTES])
{
    unsigned char nonce[16];
    ch_push_random(nonce, sizeof nonce);
    EVP_EncodeBlock((unsigned char *)out, nonce, sizeof nonce);
}

size_t ch_push_handshake_request(const char *authority, const char *target, const char *key,
                                 char out[CH_PUSH_REQUEST_BYTES])
{
    int n = snprintf(out, CH_PUSH_REQUEST_BYTES,
                     "GET %s HTTP/1.1\r\n"
                     "Host: %s\r\n"
                     "Upgrade: websocket\r\n"
                     "Connection: Upgrade\r\n"
                     "Sec-WebSocket-Key: %s\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "User-Agent: camhub-push\r\n"
                     "\r\n",
                     target, authority, key);
    return n < CH_PUSH_REQUEST_BYTES ? (size_t)n : CH_PUSH_REQUEST_BYTES - 1;
}

// What of the answer's head is looked at.
struct answer {
    char name[32], value[128]; // of the field being read, cut
    char accept[64], reason[64];
    bool upgrade, connection, extensions;
};

// Appends as much as fits.
static void append(char *text, size_t room, const char *more, size_t size)
{
    size_t used = strlen(text);
    if (size > room - 1 - used)
        size = room - 1 - used;
    memcpy(text + used, more, size);
    text[used + size] = '\0';
}

static int on_status(llhttp_t *parser, const char *at, size_t size)
{
    struct answer *answer = parser->data;
    append(answer->reason, sizeof answer->reason, at, size);
    return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t size)
{
    struct answer *answer = parser->data;
    append(answer->name, sizeof answer->name, at, size);
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t size)
{
    struct answer *answer = parser->data;
    append(answer->value, sizeof answer->value, at, size);
    return 0;
}

static int on_field(llhttp_t *parser)
{
    struct answer *answer = parser->data;
    struct ch_span value = {.data = answer->value, .size = strlen(answer->value)};
    if (strcasecmp(answer->name, "Upgrade") == 0)
        answer->upgrade = strcasecmp(answer->value, "websocket") == 0;
    else if (strcasecmp(answer->name, "Connection") == 0)
        answer->connection = ch_http_list_has(value, "upgrade");
    else if (strcasecmp(answer->name, "Sec-WebSocket-Accept") == 0)
        append(answer->accept, sizeof answer->accept, answer->value, value.size);
    else if (strcasecmp(answer->name, "Sec-WebSocket-Extensions") == 0)
        answer->extensions = true; // none was offered
    answer->name[0] = answer->value[0] = '\0';
    return 0;
}

static const char *judge(const struct answer *answer, const char *key)
{
    char accept[CH_WS_ACCEPT_BYTES];
    ch_ws_accept_key(key, strlen(key), accept);
    if (!answer->upgrade || !answer->connection)
        return "the answer does not upgrade to WebSocket";
    if (strcmp(answer->accept, accept) != 0)
        return "the answer's Sec-WebSocket-Accept is wrong";
    if (answer->extensions)
        return "the answer has an extension that was not asked for";
    return NULL;
}

int ch_push_handshake_check(const char *data, size_t size, const char *key, char why[CH_PUSH_WHY_BYTES])
{
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end && size <= CH_HTTP_MAX_HEAD)
        return 0;
    struct answer answer = {.name = ""};
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_status = on_status;
    settings.on_header_field = on_name;
    settings.on_header_value = on_value;
    settings.on_header_value_complete = on_field;
    llhttp_t parser;
    llhttp_init(&parser, HTTP_RESPONSE, &settings);
    parser.data = &answer;
    size_t head = end ? (size_t)(end + 4 - data) : size;
    llhttp_errno_t error = llhttp_execute(&parser, data, head);
    const char *wrong = NULL;
    if (!end || (error != HPE_OK && error != HPE_PAUSED_UPGRADE))
        wrong = "no HTTP answer";
    else if (parser.status_code == 101)
        wrong = judge(&answer, key);
    if (wrong)
        snprintf(why, CH_PUSH_WHY_BYTES, "%s", wrong);
    else if (parser.status_code != 101)
        snprintf(why, CH_PUSH_WHY_BYTES, "the answer is %d %s", (int)parser.status_code, answer.reason);
    else
        return (int)head;
    return -EPROTO;
}
