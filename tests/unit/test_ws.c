// RFC 6455 without I/O: the RFC's own examples, every length form at its bounds, all alignments of
// the mask, each fault of a sequence of frames with its close code, and UTF-8's edges.
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/ws.h"

// Handshake

static void accept_key_of_the_rfc(void **state)
{
    (void)state;
    char accept[CH_WS_ACCEPT_BYTES];
    ch_ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", 24, accept); // 1.3
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    struct guard guard = guard_copy("x3JJHMbDL1EzLkh9GBhXDw==", 24);
    ch_ws_accept_key((const char *)guard.data, 24, accept);
    assert_string_equal(accept, "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
    guard_free(&guard);
}

static void key_must_be_16_bytes_of_base64(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool valid;
    } rows[] = {
        {"dGhlIHNhbXBsZSBub25jZQ==", true},  {"++++//////////zzzzAAAA==", true},
        {"AQIDBAUGBwgJCgsMDQ4PEC==", true},  {"", false},
        {"dGhlIHNhbXBsZSBub25jZQ=", false},  {"dGhlIHNhbXBsZSBub25jZQ===", false},
        {"dGhlIHNhbXBsZSBub25jZQAA", false}, {"dGhlIHNhbXBsZSBub25jZQA=", false},
        {"dGhlIHNhbXBsZSBub25jZQ=A", false}, {"dGhlIHNhbXBsZSBub25j====", false},
        {"dGhlIHNhbXBsZSBub25j Q==", false}, {"dGhlIHNhbXBsZSBub25-ZQ==", false},
        {"=GhlIHNhbXBsZSBub25jZQ==", false}, {"dGhlIHNhbXBsZSBub2\xc3\xa9ZQ==", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size = strlen(rows[i].key);
        struct guard guard = guard_copy(rows[i].key, size);
        if (ch_ws_key_valid((const char *)guard.data, size) != rows[i].valid)
            fail_msg("`%s`", rows[i].key);
        guard_free(&guard);
    }
}

// Frame heads

// Parses whole, byte by byte (0 until the last byte of the head, the right number asked for), and
// against a guard page. The result of the whole.
static int parse_head(const uint8_t *data, size_t size, struct ch_ws_head *out)
{
    int whole = ch_ws_parse_head(data, size, out);
    for (size_t n = 0; n <= size; n++) {
        struct ch_ws_head part;
        struct guard guard = guard_copy(data, n);
        int result = ch_ws_parse_head(guard.data, n, &part);
        size_t wanted = ch_ws_head_bytes(guard.data, n);
        guard_free(&guard);
        if (n < wanted) {
            assert_int_equal(result, 0);
            continue;
        }
        assert_int_equal(result, whole);
        if (whole > 0) {
            assert_int_equal(wanted, whole);
            assert_int_equal(part.length, out->length);
            assert_int_equal(part.opcode, out->opcode);
        }
    }
    return whole;
}

static void examples_of_the_rfc(void **state)
{
    (void)state;
    struct ch_ws_head head;
    // 5.7: a single-frame unmasked text message
    static const uint8_t unmasked[] = {0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
    assert_int_equal(parse_head(unmasked, sizeof unmasked, &head), 2);
    assert_true(head.fin && !head.masked && head.rsv == 0 && head.opcode == CH_WS_TEXT && head.length == 5);
    // a single-frame masked text message
    uint8_t masked[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
    assert_int_equal(parse_head(masked, sizeof masked, &head), 6);
    assert_true(head.fin && head.masked && head.opcode == CH_WS_TEXT && head.length == 5 && head.head_bytes == 6);
    ch_ws_mask(masked + 6, 5, head.mask, 0);
    assert_memory_equal(masked + 6, "Hello", 5);
    // a fragmented unmasked text message
    static const uint8_t first[] = {0x01, 0x03, 0x48, 0x65, 0x6c}, second[] = {0x80, 0x02, 0x6c, 0x6f};
    assert_int_equal(parse_head(first, sizeof first, &head), 2);
    assert_true(!head.fin && head.opcode == CH_WS_TEXT && head.length == 3);
    assert_int_equal(parse_head(second, sizeof second, &head), 2);
    assert_true(head.fin && head.opcode == CH_WS_CONTINUATION && head.length == 2);
    // unmasked ping and masked pong
    static const uint8_t ping[] = {0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
    uint8_t pong[] = {0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
    assert_int_equal(parse_head(ping, sizeof ping, &head), 2);
    assert_true(head.opcode == CH_WS_PING && head.length == 5);
    assert_int_equal(parse_head(pong, sizeof pong, &head), 6);
    assert_true(head.opcode == CH_WS_PONG && head.masked);
    ch_ws_mask(pong + 6, 5, head.mask, 0);
    assert_memory_equal(pong + 6, "Hello", 5);
    // 256 bytes and 64 KiB of binary, unmasked
    static const uint8_t b256[] = {0x82, 0x7e, 0x01, 0x00};
    static const uint8_t b64k[] = {0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0};
    assert_int_equal(parse_head(b256, sizeof b256, &head), 4);
    assert_true(head.opcode == CH_WS_BINARY && head.length == 256);
    assert_int_equal(parse_head(b64k, sizeof b64k, &head), 10);
    assert_int_equal(head.length, 65536);
}

static void lengths_must_be_shortest(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[10];
        size_t size;
        int result;
        uint64_t length;
    } rows[] = {
        {{0x82, 125}, 2, 2, 125},
        {{0x82, 126, 0, 126}, 4, 4, 126},
        {{0x82, 126, 0, 125}, 4, -EPROTO, 0},
        {{0x82, 126, 0, 0}, 4, -EPROTO, 0},
        {{0x82, 126, 255, 255}, 4, 4, 65535},
        {{0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255}, 10, -EPROTO, 0},
        {{0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1}, 10, -EPROTO, 0},
        {{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}, 10, 10, 65536},
        {{0x82, 127, 127, 255, 255, 255, 255, 255, 255, 255}, 10, 10, INT64_MAX},
        {{0x82, 127, 128, 0, 0, 0, 0, 0, 0, 0}, 10, -EPROTO, 0},
        {{0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255}, 10, -EPROTO, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ch_ws_head head;
        assert_int_equal(parse_head(rows[i].bytes, rows[i].size, &head), rows[i].result);
        if (rows[i].result > 0)
            assert_true(head.length == rows[i].length);
    }
}

static void written_heads_read_back(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, UINT64_C(1) << 40, INT64_MAX};
    static const size_t sizes[] = {2, 2, 2, 4, 4, 4, 10, 10, 10};
    static const enum ch_ws_opcode opcodes[] = {CH_WS_CONTINUATION, CH_WS_TEXT, CH_WS_BINARY,
                                                CH_WS_CLOSE,        CH_WS_PING, CH_WS_PONG};
    static const uint8_t mask[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t o = 0; o < 12; o++) {
            const uint8_t *key = o < 6 ? NULL : mask;
            uint8_t bytes[CH_WS_MAX_HEAD];
            struct ch_ws_head head;
            size_t size = ch_ws_write_head(bytes, opcodes[o % 6], lengths[i], key);
            assert_int_equal(size, sizes[i] + (key ? 4 : 0));
            assert_int_equal(parse_head(bytes, size, &head), size);
            assert_true(head.fin && head.rsv == 0 && head.opcode == opcodes[o % 6] && head.length == lengths[i]);
            assert_int_equal(head.masked, key != NULL);
            if (key)
                assert_memory_equal(head.mask, mask, 4);
        }
    }
}

static void every_first_byte(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        const uint8_t bytes[] = {(uint8_t)first, 0};
        struct ch_ws_head head;
        assert_int_equal(parse_head(bytes, 2, &head), 2);
        assert_int_equal(head.fin << 7 | head.rsv << 4 | head.opcode, first);
    }
}

// Masking

static void mask_any_alignment_size_and_phase(void **state)
{
    (void)state;
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t data[128], expected[128];
    for (size_t align = 0; align < 16; align++) {
        for (size_t size = 0; size <= 70; size++) {
            for (size_t phase = 0; phase < 8; phase++) {
                for (size_t i = 0; i < sizeof data; i++)
                    data[i] = expected[i] = (uint8_t)(i * 37 + size);
                for (size_t i = 0; i < size; i++)
                    expected[align + i] ^= mask[(phase + i) % 4];
                ch_ws_mask(data + align, size, mask, phase);
                assert_memory_equal(data, expected, sizeof data);
            }
        }
    }
}

static void mask_in_pieces_is_mask_of_the_whole(void **state)
{
    (void)state;
    static const uint8_t mask[4] = {1, 0x80, 0xff, 0x55};
    enum { SIZE = 1000 };
    uint8_t whole[SIZE], pieces[SIZE];
    for (size_t i = 0; i < SIZE; i++)
        whole[i] = pieces[i] = (uint8_t)(i * 7);
    ch_ws_mask(whole, SIZE, mask, 0);
    for (size_t at = 0, step = 1; at < SIZE; at += step, step = step % 67 + 3)
        ch_ws_mask(pieces + at, step < SIZE - at ? step : SIZE - at, mask, at);
    assert_memory_equal(pieces, whole, SIZE);
    struct guard guard = guard_copy(pieces, SIZE);
    for (size_t size = 0; size <= 200; size++)
        ch_ws_mask(guard.data + SIZE - size, size, mask, size);
    ch_ws_mask(guard.data + SIZE, 0, mask, 3);
    guard_free(&guard);
}

// Order of frames

struct frame {
    uint8_t first;
    bool masked;
    uint64_t length;
    int result;
};

#define LIMIT 1000

static void run_frames(const struct frame *frames, size_t count, bool want_masked)
{
    struct ch_ws_order order = {0};
    for (size_t i = 0; i < count; i++) {
        struct ch_ws_head head = {.fin = frames[i].first >> 7,
                                  .rsv = frames[i].first >> 4 & 7,
                                  .opcode = frames[i].first & 15,
                                  .masked = frames[i].masked,
                                  .length = frames[i].length};
        struct ch_ws_order before = order;
        int result = ch_ws_order_next(&order, &head, want_masked, LIMIT);
        if (result != frames[i].result)
            fail_msg("frame %zu (0x%02x, %lu bytes): %d, not %d", i, frames[i].first, frames[i].length, result,
                     frames[i].result);
        if (result || frames[i].first & 8) { // refused frames and control frames change nothing
            assert_int_equal(order.in_message, before.in_message);
            assert_int_equal(order.message_bytes, before.message_bytes);
            assert_int_equal(order.message_opcode, before.message_opcode);
        }
    }
}

#define RUN(...)                                                                                                       \
    run_frames((const struct frame[]){__VA_ARGS__},                                                                    \
               sizeof((const struct frame[]){__VA_ARGS__}) / sizeof(struct frame), true)

static void good_sequences(void **state)
{
    (void)state;
    RUN({0x81, true, 5, 0}, {0x82, true, LIMIT, 0}, {0x82, true, 0, 0});
    RUN({0x01, true, 3, 0}, {0x00, true, 0, 0}, {0x80, true, 2, 0}, {0x82, true, 1, 0});
    RUN({0x02, true, 500, 0}, {0x89, true, 125, 0}, {0x8a, true, 0, 0}, {0x88, true, 125, 0}, {0x80, true, 500, 0});
    RUN({0x82, true, LIMIT, 0}, {0x02, true, LIMIT, 0}, {0x80, true, 0, 0});
    run_frames((const struct frame[]){{0x81, false, 5, 0}, {0x89, false, 0, 0}}, 2, false);
}

static void faults_have_their_codes(void **state)
{
    (void)state;
    for (uint8_t rsv = 1; rsv < 8; rsv++)
        RUN({(uint8_t)(0x82 | rsv << 4), true, 1, CH_WS_PROTOCOL_ERROR});
    for (uint8_t opcode = 0; opcode < 16; opcode++)
        if ((opcode > 2 && opcode < 8) || opcode > 10)
            RUN({(uint8_t)(0x80 | opcode), true, 1, CH_WS_PROTOCOL_ERROR});
    RUN({0x82, false, 1, CH_WS_PROTOCOL_ERROR});
    RUN({0x89, false, 1, CH_WS_PROTOCOL_ERROR});
    run_frames((const struct frame[]){{0x82, true, 1, CH_WS_PROTOCOL_ERROR}}, 1, false);
    for (uint8_t control = 8; control <= 10; control++) {
        RUN({control, true, 1, CH_WS_PROTOCOL_ERROR});                     // fragmented
        RUN({(uint8_t)(0x80 | control), true, 126, CH_WS_PROTOCOL_ERROR}); // too long
    }
    RUN({0x80, true, 1, CH_WS_PROTOCOL_ERROR});
    RUN({0x00, true, 1, CH_WS_PROTOCOL_ERROR});
    RUN({0x81, true, 1, 0}, {0x80, true, 1, CH_WS_PROTOCOL_ERROR});
    RUN({0x01, true, 1, 0}, {0x81, true, 1, CH_WS_PROTOCOL_ERROR});
    RUN({0x01, true, 1, 0}, {0x02, true, 1, CH_WS_PROTOCOL_ERROR});
}

static void messages_have_a_limit(void **state)
{
    (void)state;
    RUN({0x82, true, LIMIT + 1, CH_WS_TOO_BIG});
    RUN({0x82, true, INT64_MAX, CH_WS_TOO_BIG});
    RUN({0x02, true, LIMIT, 0}, {0x80, true, 1, CH_WS_TOO_BIG});
    RUN({0x02, true, 1, 0}, {0x80, true, UINT64_MAX, CH_WS_TOO_BIG}); // the sum must not wrap
    RUN({0x02, true, 999, 0}, {0x00, true, 1, 0}, {0x00, true, 1, CH_WS_TOO_BIG});
    // a limit lowered in mid-message
    struct ch_ws_order order = {.in_message = true, .message_opcode = CH_WS_BINARY, .message_bytes = 500};
    struct ch_ws_head head = {.fin = true, .masked = true, .opcode = CH_WS_CONTINUATION};
    assert_int_equal(ch_ws_order_next(&order, &head, true, 499), CH_WS_TOO_BIG);
    assert_int_equal(ch_ws_order_next(&order, &head, true, 500), 0);
}

static void order_counts_the_message(void **state)
{
    (void)state;
    struct ch_ws_order order = {0};
    struct ch_ws_head head = {.opcode = CH_WS_TEXT, .length = 7};
    assert_int_equal(ch_ws_order_next(&order, &head, false, LIMIT), 0);
    assert_true(order.in_message && order.message_opcode == CH_WS_TEXT && order.message_bytes == 7);
    head = (struct ch_ws_head){.opcode = CH_WS_CONTINUATION, .length = 4, .fin = true};
    assert_int_equal(ch_ws_order_next(&order, &head, false, LIMIT), 0);
    assert_true(!order.in_message && order.message_opcode == CH_WS_TEXT && order.message_bytes == 11);
    head = (struct ch_ws_head){.opcode = CH_WS_BINARY, .length = 1, .fin = true};
    assert_int_equal(ch_ws_order_next(&order, &head, false, LIMIT), 0);
    assert_true(!order.in_message && order.message_opcode == CH_WS_BINARY && order.message_bytes == 1);
}

// Close

static int parse_close(const void *payload, size_t size, int *code, char reason[126])
{
    const char *at;
    size_t reason_bytes;
    struct guard guard = guard_copy(payload, size);
    int result = ch_ws_parse_close(guard.data, size, code, &at, &reason_bytes);
    assert_true(reason_bytes <= 123);
    memcpy(reason, at, reason_bytes);
    reason[reason_bytes] = '\0';
    guard_free(&guard);
    return result;
}

static void close_payloads(void **state)
{
    (void)state;
    int code;
    char reason[126];
    assert_int_equal(parse_close("", 0, &code, reason), 0);
    assert_int_equal(code, CH_WS_NO_STATUS);
    assert_string_equal(reason, "");
    assert_int_equal(parse_close("\x03", 1, &code, reason), CH_WS_PROTOCOL_ERROR);
    assert_int_equal(parse_close("\x03\xe8", 2, &code, reason), 0);
    assert_int_equal(code, CH_WS_NORMAL);
    assert_int_equal(parse_close("\x03\xf0Unknown endpoint", 18, &code, reason), 0);
    assert_int_equal(code, CH_WS_POLICY);
    assert_string_equal(reason, "Unknown endpoint");
    assert_int_equal(parse_close("\x03\xe8\xc3", 3, &code, reason), CH_WS_INVALID_DATA);
    assert_int_equal(parse_close("\x03\xe8\xed\xa0\x80", 5, &code, reason), CH_WS_INVALID_DATA);
}

static void close_codes(void **state)
{
    (void)state;
    for (int sent = 0; sent <= 65535; sent++) {
        bool good = (sent >= 1000 && sent <= 1014 && (sent < 1004 || sent > 1006)) || (sent >= 3000 && sent < 5000);
        const uint8_t payload[] = {(uint8_t)(sent >> 8), (uint8_t)sent};
        const char *reason;
        size_t reason_bytes;
        int code;
        assert_int_equal(ch_ws_parse_close(payload, 2, &code, &reason, &reason_bytes), good ? 0 : CH_WS_PROTOCOL_ERROR);
        assert_int_equal(code, good ? sent : CH_WS_NO_STATUS);
    }
}

static void written_closes_fit_and_read_back(void **state)
{
    (void)state;
    uint8_t out[CH_WS_MAX_CONTROL];
    char reason[126], longest[200];
    int code;
    assert_int_equal(ch_ws_write_close(out, CH_WS_NO_STATUS, "never sent"), 0);
    assert_int_equal(ch_ws_write_close(out, CH_WS_GOING_AWAY, NULL), 2);
    assert_memory_equal(out, "\x03\xe9", 2);
    size_t size = ch_ws_write_close(out, CH_WS_POLICY, "Unauthorized");
    assert_int_equal(size, 14);
    assert_int_equal(parse_close(out, size, &code, reason), 0);
    assert_string_equal(reason, "Unauthorized");
    // cut at a character, wherever it falls
    static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x93\xb7"};
    for (size_t c = 0; c < 4; c++) {
        for (size_t lead = 0; lead < 4; lead++) {
            size_t width = strlen(characters[c]), length = lead;
            memset(longest, 'a', lead);
            for (; length + width < sizeof longest; length += width)
                memcpy(longest + length, characters[c], width);
            longest[length] = '\0';
            size = ch_ws_write_close(out, CH_WS_NORMAL, longest);
            assert_int_equal(size, 2 + lead + (123 - lead) / width * width);
            assert_int_equal(parse_close(out, size, &code, reason), 0);
        }
    }
    assert_int_equal(ch_ws_write_close(out, CH_WS_NORMAL,
                                       "ab\xff"
                                       "cd"),
                     4); // never sends what is not UTF-8
}

// UTF-8

static void utf8_edges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"", true},
        {"plain", true},
        {"\x7f", true},
        {"\xc2\x80", true},         // U+0080, the first of two bytes
        {"\xdf\xbf", true},         // U+07FF
        {"\xe0\xa0\x80", true},     // U+0800
        {"\xed\x9f\xbf", true},     // U+D7FF, before the surrogates
        {"\xee\x80\x80", true},     // U+E000, behind them
        {"\xef\xbf\xbf", true},     // U+FFFF
        {"\xf0\x90\x80\x80", true}, // U+10000
        {"\xf4\x8f\xbf\xbf", true}, // U+10FFFF, the last
        {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", true},
        {"\x80", false}, // a continuation alone
        {"\xbf", false},
        {"\xc0\x80", false}, // long forms of U+0000
        {"\xe0\x80\x80", false},
        {"\xf0\x80\x80\x80", false},
        {"\xc0\xaf", false}, // long forms of '/'
        {"\xe0\x80\xaf", false},
        {"\xc1\xbf", false}, // and of the last of each length
        {"\xe0\x9f\xbf", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xed\xa0\x80", false},             // U+D800
        {"\xed\xbf\xbf", false},             // U+DFFF
        {"\xed\xa0\xbd\xed\xb8\x80", false}, // a pair of surrogates
        {"\xf4\x90\x80\x80", false},         // U+110000
        {"\xf5\x80\x80\x80", false},
        {"\xf8\x88\x80\x80\x80", false}, // five and six bytes
        {"\xfc\x84\x80\x80\x80\x80", false},
        {"\xfe", false},
        {"\xff", false},
        {"\xc2", false}, // cut short
        {"\xe2\x82", false},
        {"\xf0\x9f\x93", false},
        {"\xc2"
         "a",
         false}, // a wrong byte at each place
        {"\xe2"
         "aa",
         false},
        {"\xe2\x82"
         "a",
         false},
        {"\xf0\x9f\x93"
         "a",
         false},
        {"\xf0\x9f"
         "aa",
         false},
        {"\xc2\xc2\x80", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        // at every place around the steps of eight bytes
        for (size_t lead = 0; lead < 20; lead++) {
            char text[64];
            size_t size = strlen(rows[i].text);
            memset(text, 'a', lead);
            memcpy(text + lead, rows[i].text, size);
            struct guard guard = guard_copy(text, lead + size);
            if (ch_utf8_valid(guard.data, lead + size) != rows[i].valid)
                fail_msg("row %zu behind %zu", i, lead);
            guard_free(&guard);
            memset(text + lead + size, 'z', 20);
            assert_int_equal(ch_utf8_valid((uint8_t *)text, lead + size + 20), rows[i].valid);
        }
    }
    assert_true(ch_utf8_valid((const uint8_t *)"a\0b", 3));
}

static void utf8_every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        uint8_t text[4];
        size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        uint32_t rest = c;
        for (size_t i = size - 1; i > 0; i--, rest >>= 6)
            text[i] = (uint8_t)(0x80 | (rest & 0x3f));
        text[0] = (uint8_t)(rest | (uint8_t[]){0, 0, 0xc0, 0xe0, 0xf0}[size]);
        bool valid = c < 0xd800 || (c >= 0xe000 && c <= 0x10ffff);
        if (ch_utf8_valid(text, size) != valid)
            fail_msg("U+%04X", c);
    }
}

static void utf8_prefix_ends_at_a_character(void **state)
{
    (void)state;
    static const uint8_t text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xb7z";
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    for (size_t size = 0; size < sizeof text; size++)
        assert_int_equal(ch_utf8_prefix(text, size), expected[size]);
    assert_int_equal(ch_utf8_prefix((const uint8_t *)"abcdefghij\xff", 11), 10);
    assert_int_equal(ch_utf8_prefix(NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_key_of_the_rfc),
        cmocka_unit_test(key_must_be_16_bytes_of_base64),
        cmocka_unit_test(examples_of_the_rfc),
        cmocka_unit_test(lengths_must_be_shortest),
        cmocka_unit_test(written_heads_read_back),
        cmocka_unit_test(every_first_byte),
        cmocka_unit_test(mask_any_alignment_size_and_phase),
        cmocka_unit_test(mask_in_pieces_is_mask_of_the_whole),
        cmocka_unit_test(good_sequences),
        cmocka_unit_test(faults_have_their_codes),
        cmocka_unit_test(messages_have_a_limit),
        cmocka_unit_test(order_counts_the_message),
        cmocka_unit_test(close_payloads),
        cmocka_unit_test(close_codes),
        cmocka_unit_test(written_closes_fit_and_read_back),
        cmocka_unit_test(utf8_edges),
        cmocka_unit_test(utf8_every_code_point),
        cmocka_unit_test(utf8_prefix_ends_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
