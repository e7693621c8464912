// RFC 6455 as functions over bytes. Three parts that know nothing of each other: the handshake's
// two values, frames (head, mask, order, close payload), and UTF-8.
//
// Who calls keeps the bytes: a frame head is parsed from the first 2 to 14 of them as often as one
// likes, and only ch_ws_order remembers anything from one frame to the next.
#include "proto/ws.h"

#include <errno.h>
#include <string.h>
#include <openssl/evp.h>
#include "base/bytes.h"

#define FIN 0x80u
#define MASKED 0x80u
#define LENGTH_16 126u // 5.2: the 7-bit length that announces a 16-bit one
#define LENGTH_64 127u
#define MAX_REASON (CH_WS_MAX_CONTROL - 2)

// Frame heads, 5.2

size_t ch_ws_head_bytes(const uint8_t *data, size_t size)
{
    if (size < CH_WS_MIN_HEAD)
        return CH_WS_MIN_HEAD;
    unsigned length = data[1] & 0x7fu;
    size_t extended = length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
    return CH_WS_MIN_HEAD + extended + (data[1] & MASKED ? 4 : 0);
}

int ch_ws_parse_head(const uint8_t *data, size_t size, struct ch_ws_head *out)
{
    size_t head_bytes = ch_ws_head_bytes(data, size);
    if (size < head_bytes)
        return 0;
    *out = (struct ch_ws_head){
        .fin = data[0] & FIN,
        .rsv = data[0] >> 4 & 7,
        .opcode = data[0] & 15,
        .masked = data[1] & MASKED,
        .length = data[1] & 0x7fu,
        .head_bytes = head_bytes,
    };
    if (out->length == LENGTH_16) {
        out->length = ch_get_be16(data + 2);
        if (out->length < LENGTH_16)
            return -EPROTO;
    } else if (out->length == LENGTH_64) {
        out->length = ch_get_be64(data + 2);
        if (out->length <= UINT16_MAX || out->length >> 63)
            return -EPROTO;
    }
    if (out->masked)
        memcpy(out->mask, data + head_bytes - 4, 4);
    return (int)head_bytes;
}

size_t ch_ws_write_head(uint8_t out[CH_WS_MAX_HEAD], enum ch_ws_opcode opcode, uint64_t length, const uint8_t mask[4])
{
    size_t size = CH_WS_MIN_HEAD;
    out[0] = (uint8_t)(FIN | opcode);
    if (length < LENGTH_16) {
        out[1] = (uint8_t)length;
    } else if (length <= UINT16_MAX) {
        out[1] = LENGTH_16;
        ch_put_be16(out + 2, (uint16_t)length);
        size += 2;
    } else {
        out[1] = LENGTH_64;
        ch_put_be64(out + 2, length);
        size += 8;
    }
    if (mask) {
        out[1] |= MASKED;
        memcpy(out + size, mask, 4);
        size += 4;
    }
    return size;
}

// Masking, 5.3. Whole vectors as long as they last, single bytes for the rest: 64 is a multiple of
// the mask's period, so the pattern never has to be turned again. memcpy is how C says "unaligned".

typedef uint8_t ch_vec __attribute__((vector_size(16)));

static inline void xor_vec(uint8_t *p, ch_vec pattern)
{
    ch_vec v;
    memcpy(&v, p, sizeof v);
    v ^= pattern;
    memcpy(p, &v, sizeof v);
}

void ch_ws_mask(uint8_t *data, size_t size, const uint8_t mask[4], size_t phase)
{
    ch_vec pattern;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = mask[(i + phase) & 3];
    size_t i = 0;
    for (; size - i >= 64; i += 64) {
        xor_vec(data + i, pattern);
        xor_vec(data + i + 16, pattern);
        xor_vec(data + i + 32, pattern);
        xor_vec(data + i + 48, pattern);
    }
    for (; size - i >= 16; i += 16)
        xor_vec(data + i, pattern);
    for (; i < size; i++)
        data[i] ^= mask[(i + phase) & 3];
}

// Order of frames, 5.4 and 5.5

static bool is_control(unsigned opcode)
{
    return opcode & 8;
}

static bool is_known(unsigned opcode)
{
    return opcode <= CH_WS_BINARY || (opcode >= CH_WS_CLOSE && opcode <= CH_WS_PONG);
}

int ch_ws_order_next(struct ch_ws_order *order, const struct ch_ws_head *head, bool want_masked,
                     uint64_t max_message_bytes)
{
    if (head->rsv || !is_known(head->opcode) || head->masked != want_masked)
        return CH_WS_PROTOCOL_ERROR;
    if (is_control(head->opcode)) // may come between the fragments of a message, 5.4
        return head->fin && head->length <= CH_WS_MAX_CONTROL ? 0 : CH_WS_PROTOCOL_ERROR;
    bool continues = head->opcode == CH_WS_CONTINUATION;
    if (continues != order->in_message)
        return CH_WS_PROTOCOL_ERROR;
    uint64_t before = continues ? order->message_bytes : 0;
    if (before > max_message_bytes || head->length > max_message_bytes - before)
        return CH_WS_TOO_BIG;
    if (!continues)
        order->message_opcode = head->opcode;
    order->message_bytes = before + head->length;
    order->in_message = !head->fin;
    return 0;
}

// Close payloads, 5.5.1, 7.4

// 7.4.1 and the registry it founded: 1004 to 1006 and 1015 never travel, 1012 to 1014 came later;
// 7.4.2: 1016 to 2999 are for future protocols, 3000 to 4999 for anyone.
static bool may_be_sent(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

int ch_ws_parse_close(const uint8_t *payload, size_t size, int *code, const char **reason, size_t *reason_bytes)
{
    *code = CH_WS_NO_STATUS;
    *reason = "";
    *reason_bytes = 0;
    if (size == 0)
        return 0;
    if (size < 2 || size > CH_WS_MAX_CONTROL)
        return CH_WS_PROTOCOL_ERROR;
    int sent = ch_get_be16(payload);
    if (!may_be_sent(sent))
        return CH_WS_PROTOCOL_ERROR;
    if (!ch_utf8_valid(payload + 2, size - 2))
        return CH_WS_INVALID_DATA;
    *code = sent;
    *reason = (const char *)payload + 2;
    *reason_bytes = size - 2;
    return 0;
}

size_t ch_ws_write_close(uint8_t out[CH_WS_MAX_CONTROL], int code, const char *reason)
{
    if (code == CH_WS_NO_STATUS)
        return 0;
    size_t size = reason ? strnlen(reason, MAX_REASON) : 0;
    size = ch_utf8_prefix((const uint8_t *)reason, size);
    ch_put_be16(out, (uint16_t)code);
    if (size > 0)
        memcpy(out + 2, reason, size);
    return size + 2;
}

// UTF-8, RFC 3629 4

// Bytes of the character that begins here, 1 to 4, or 0 if none does. The second byte's bounds
// depend on the first: they keep out long forms, surrogates, and what lies above U+10FFFF.
static size_t utf8_character(const uint8_t *p, size_t size)
{
    uint8_t first = p[0], low = 0x80, high = 0xbf;
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (size < length)
        return 0;
    switch (first) {
    case 0xe0: low = 0xa0; break;
    case 0xed: high = 0x9f; break;
    case 0xf0: low = 0x90; break;
    case 0xf4: high = 0x8f; break;
    default: break;
    }
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

size_t ch_utf8_prefix(const uint8_t *data, size_t size)
{
    size_t i = 0;
    while (i < size) {
        uint64_t eight;
        if (size - i >= sizeof eight) { // ASCII, eight at a time
            memcpy(&eight, data + i, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        size_t length = utf8_character(data + i, size - i);
        if (length == 0)
            break;
        i += length;
    }
    return i;
}

bool ch_utf8_valid(const uint8_t *data, size_t size)
{
    return ch_utf8_prefix(data, size) == size;
}

// Handshake, 4.1, 4.2.2

void ch_ws_accept_key(const char *key, size_t key_bytes, char out[CH_WS_ACCEPT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    out[0] = '\0';
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, EVP_sha1(), NULL) && EVP_DigestUpdate(context, key, key_bytes) &&
        EVP_DigestUpdate(context, guid, sizeof guid - 1) && EVP_DigestFinal_ex(context, digest, &digest_bytes))
        EVP_EncodeBlock((unsigned char *)out, digest, (int)digest_bytes);
    EVP_MD_CTX_free(context);
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

bool ch_ws_key_valid(const char *key, size_t key_bytes)
{
    if (key_bytes != 24 || key[22] != '=' || key[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++)
        if (!is_base64(key[i]))
            return false;
    return true;
}
