// A byte stream as a peer would send it: heads parsed in pieces and whole, payloads unmasked, the
// order of frames checked, close payloads and texts read. The first byte chooses the side.
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "proto/ws.h"

static void check_head(const uint8_t *data, size_t size, const struct ch_ws_head *head, int result)
{
    struct ch_ws_head again;
    uint8_t written[CH_WS_MAX_HEAD];
    size_t wanted = ch_ws_head_bytes(data, size);
    assert(wanted >= CH_WS_MIN_HEAD && wanted <= CH_WS_MAX_HEAD);
    assert((result == 0) == (size < wanted));
    for (size_t n = 0; n < wanted && n < size; n++)
        assert(ch_ws_parse_head(data, n, &again) == 0);
    if (result <= 0)
        return;
    assert((size_t)result == wanted && head->head_bytes == wanted && head->length <= INT64_MAX);
    size_t bytes = ch_ws_write_head(written, head->opcode, head->length, head->masked ? head->mask : NULL);
    written[0] = data[0]; // fin and the reserved bits are not the writer's to choose
    assert(bytes == wanted && memcmp(written, data, bytes) == 0);
}

static void check_text(const uint8_t *data, size_t size)
{
    size_t prefix = ch_utf8_prefix(data, size);
    assert(prefix <= size && ch_utf8_valid(data, prefix));
    assert(ch_utf8_valid(data, size) == (prefix == size));
    if (prefix < size)
        assert(data[prefix] >= 0x80);
}

static void check_close(const uint8_t *data, size_t size)
{
    int code, code_again;
    const char *reason, *reason_again;
    size_t bytes, bytes_again;
    uint8_t out[CH_WS_MAX_CONTROL];
    char text[CH_WS_MAX_CONTROL];
    if (ch_ws_parse_close(data, size, &code, &reason, &bytes) != 0)
        return;
    assert(bytes <= CH_WS_MAX_CONTROL - 2 && ch_utf8_valid((const uint8_t *)reason, bytes));
    memcpy(text, reason, bytes);
    text[bytes] = '\0';
    size_t written = ch_ws_write_close(out, code, text);
    assert(ch_ws_parse_close(out, written, &code_again, &reason_again, &bytes_again) == 0);
    assert(code_again == code && bytes_again == strlen(text));
}

// Masks a copy in two pieces, and back in one.
static void check_mask(const uint8_t *data, size_t size, const uint8_t mask[4])
{
    uint8_t copy[512];
    if (size > sizeof copy)
        size = sizeof copy;
    size_t cut = size ? mask[0] % size : 0;
    memcpy(copy, data, size);
    ch_ws_mask(copy, cut, mask, 0);
    ch_ws_mask(copy + cut, size - cut, mask, cut);
    for (size_t i = 0; i < size; i++)
        assert(copy[i] == (data[i] ^ mask[i % 4]));
    ch_ws_mask(copy, size, mask, 0);
    assert(memcmp(copy, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool want_masked = data[0] & 1;
    uint64_t limit = data[0] & 2 ? 200 : 1u << 20;
    struct ch_ws_order order = {0};
    struct ch_ws_head head;
    char accept[CH_WS_ACCEPT_BYTES];
    data++, size--;
    if (ch_ws_key_valid((const char *)data, size < 24 ? size : 24)) {
        ch_ws_accept_key((const char *)data, 24, accept);
        assert(strlen(accept) == CH_WS_ACCEPT_BYTES - 1);
    }
    while (size > 0) {
        int result = ch_ws_parse_head(data, size, &head);
        check_head(data, size, &head, result);
        if (result <= 0)
            break;
        int close = ch_ws_order_next(&order, &head, want_masked, limit);
        assert(close == 0 || close == CH_WS_PROTOCOL_ERROR || close == CH_WS_TOO_BIG);
        assert(order.message_bytes <= limit);
        if (close)
            break;
        data += head.head_bytes, size -= head.head_bytes;
        size_t payload = head.length < size ? (size_t)head.length : size;
        check_mask(data, payload, head.mask);
        check_text(data, payload);
        check_close(data, payload);
        data += payload, size -= payload;
    }
    check_text(data, size);
    check_close(data, size);
    return 0;
}
