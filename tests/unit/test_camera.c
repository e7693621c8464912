// What phones speak: the binary header, the texts both ways, and memory that runs out.
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "proto/camera_h264.h"

// The header

static void header_fields(void **state)
{
    (void)state;
    static const uint8_t message[] = {0, 0, 1, 2, 3, 4, 5, 6, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 5, 0, 0, 0, 1, 0x65};
    struct ch_camera_header header;
    assert_int_equal(ch_camera_parse_header(message, sizeof message, &header), 0);
    assert_true(header.device_ms == UINT64_C(0x010203040506));
    assert_int_equal(header.sequence, 0xfffffffe);
    assert_int_equal(header.payload_bytes, 5);
}

static void header_of_every_size(void **state)
{
    (void)state;
    uint8_t message[40];
    memset(message, 0xff, sizeof message);
    message[12] = message[13] = message[14] = 0;
    message[15] = 7;
    for (size_t size = 0; size <= sizeof message; size++) {
        struct ch_camera_header header;
        struct guard guard = guard_copy(message, size);
        int result = ch_camera_parse_header(guard.data, size, &header);
        guard_free(&guard);
        assert_int_equal(result, size < 16 ? -EMSGSIZE : size == 23 ? 0 : -EBADMSG);
        if (size >= 16) { // filled for the log line all the same
            assert_true(header.device_ms == UINT64_MAX);
            assert_int_equal(header.sequence, UINT32_MAX);
            assert_int_equal(header.payload_bytes, 7);
        }
    }
}

static void header_lengths_that_lie(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 1, 3, 5, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff4};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t message[20] = {0};
        const struct ch_camera_header written = {1, 2, lengths[i]};
        struct ch_camera_header header;
        ch_camera_write_header(&written, message);
        assert_int_equal(ch_camera_parse_header(message, sizeof message, &header), -EBADMSG);
        assert_int_equal(header.payload_bytes, lengths[i]);
    }
}

static void header_written_reads_back(void **state)
{
    (void)state;
    static const struct ch_camera_header headers[] = {
        {0, 0, 0}, {1, 2, 0}, {UINT64_MAX, UINT32_MAX, 0}, {UINT64_C(0x0102030405060708), 0x090a0b0c, 0}};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        uint8_t bytes[CH_CAMERA_HEADER_BYTES];
        struct ch_camera_header header;
        ch_camera_write_header(&headers[i], bytes);
        assert_int_equal(ch_camera_parse_header(bytes, sizeof bytes, &header), 0);
        assert_memory_equal(&header, &headers[i], sizeof header);
    }
    uint8_t bytes[CH_CAMERA_HEADER_BYTES];
    ch_camera_write_header(&(struct ch_camera_header){UINT64_C(0x0102030405060708), 0x090a0b0c, 0x0d0e0f10}, bytes);
    for (uint8_t i = 0; i < CH_CAMERA_HEADER_BYTES; i++)
        assert_int_equal(bytes[i], i + 1);
}

// Texts

static struct ch_camera_text parse_bytes(const char *text, size_t size)
{
    struct ch_camera_text out;
    struct guard guard = guard_copy(text, size);
    assert_int_equal(ch_camera_parse_text((const char *)guard.data, size, &out), 0);
    guard_free(&guard); // nothing of the input is borrowed
    assert_true(out.kind == CH_CAMERA_CAPABILITIES || !out.capabilities);
    return out;
}

static struct ch_camera_text parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void texts_and_their_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum ch_camera_text_kind kind;
        const char *message;
    } rows[] = {
        {"{\"status\":\"ready\",\"message\":\"Android client is ready\"}", CH_CAMERA_READY, "Android client is ready"},
        {"{\"status\":\"capture_started\",\"message\":\"ok\"}", CH_CAMERA_CAPTURE_STARTED, "ok"},
        {"{\"status\":\"capture_stopped\",\"message\":\"\"}", CH_CAMERA_CAPTURE_STOPPED, ""},
        {"{\"status\":\"error\",\"message\":\"no camera\"}", CH_CAMERA_ERROR, "no camera"},
        {" \t\r\n{ \"message\" : \"x\" , \"status\" : \"ready\" } \n", CH_CAMERA_READY, "x"},
        {"{\"status\":\"ready\"}", CH_CAMERA_READY, ""},
        {"{\"status\":\"ready\",\"message\":5}", CH_CAMERA_READY, ""},
        {"{\"status\":\"ready\",\"message\":null}", CH_CAMERA_READY, ""},
        {"{\"status\":\"ready\",\"message\":[\"a\"]}", CH_CAMERA_READY, ""},
        {"{\"status\":\"ready\",\"message\":{\"message\":\"a\"}}", CH_CAMERA_READY, ""},
        {"{\"status\":\"re\\u0061dy\",\"m\\u0065ssage\":\"caf\\u00e9\"}", CH_CAMERA_READY, "caf\xc3\xa9"},
        {"{\"status\":\"error\",\"status\":\"ready\"}", CH_CAMERA_READY, ""}, // the last counts, as in Python
        {"{\"status\":\"ready\",\"type\":\"capabilities\"}", CH_CAMERA_READY, ""},
        {"{\"status\":\"Ready\",\"message\":\"x\"}", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready \",\"message\":\"x\"}", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready\\u0000\",\"message\":\"x\"}", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"hello\",\"message\":\"x\"}", CH_CAMERA_OTHER, ""},
        {"{\"status\":5}", CH_CAMERA_OTHER, ""},
        {"{\"status\":null}", CH_CAMERA_OTHER, ""},
        {"{\"status\":[\"ready\"]}", CH_CAMERA_OTHER, ""},
        {"{\"type\":7}", CH_CAMERA_OTHER, ""},
        {"{}", CH_CAMERA_OTHER, ""},
        {"[]", CH_CAMERA_OTHER, ""},
        {"[{\"status\":\"ready\"}]", CH_CAMERA_OTHER, ""},
        {"\"ready\"", CH_CAMERA_OTHER, ""},
        {"5", CH_CAMERA_OTHER, ""},
        {"null", CH_CAMERA_OTHER, ""},
        {"", CH_CAMERA_OTHER, ""},
        {" ", CH_CAMERA_OTHER, ""},
        {"ACK: start", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready\"", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready\"}}", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready\"}{}", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready\",}", CH_CAMERA_OTHER, ""},
        {"{'status':'ready'}", CH_CAMERA_OTHER, ""},
        {"\xef\xbb\xbf{\"status\":\"ready\"}", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready\",\"message\":\"\xff\"}", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready\",\"message\":\"\xc0\x80\"}", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready\",\"message\":\"\xed\xa0\x80\"}", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready\",\"message\":\"\\ud800\"}", CH_CAMERA_OTHER, ""},
        {"{\"status\":\"ready\",\"message\":\"a\nb\"}", CH_CAMERA_OTHER, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ch_camera_text out = parse(rows[i].text);
        if (out.kind != rows[i].kind || strcmp(out.message, rows[i].message) != 0)
            fail_msg("`%s`: kind %d, message `%s`", rows[i].text, out.kind, out.message);
        assert_string_equal(out.device_model, "");
        ch_camera_text_deinit(&out);
    }
    struct ch_camera_text out;
    assert_int_equal(ch_camera_parse_text(NULL, 0, &out), 0);
    assert_int_equal(out.kind, CH_CAMERA_OTHER);
    // a zero byte at every place, in particular behind a number, where jansson overlooks it
    static const char good[] = "{\"status\":\"ready\",\"x\":[1, 2.5,true]}";
    for (size_t at = 0; at < sizeof good; at++) {
        char bad[sizeof good];
        memcpy(bad, good, at);
        bad[at] = '\0';
        memcpy(bad + at + 1, good + at, sizeof good - 1 - at);
        assert_int_equal(parse_bytes(bad, sizeof bad).kind, CH_CAMERA_OTHER);
    }
    assert_int_equal(parse(good).kind, CH_CAMERA_READY);
}

// A text cut anywhere is no object, and no text at all.
static void texts_cut_anywhere(void **state)
{
    (void)state;
    static const char text[] = "{\"status\":\"ready\",\"message\":\"a\\\"\\u00e9\xe2\x82\xac\",\"x\":[1.5,true,null]}";
    for (size_t size = 0; size < sizeof text; size++)
        assert_int_equal(parse_bytes(text, size).kind, size == sizeof text - 1 ? CH_CAMERA_READY : CH_CAMERA_OTHER);
}

static void messages_are_safe_to_show(void **state)
{
    (void)state;
    struct ch_camera_text out = parse("{\"status\":\"error\",\"message\":"
                                      "\"a\\nb\\u0000c\\u001b[2J\\u007f\\u0085\\u009fd\\u00a0e\"}");
    assert_int_equal(out.kind, CH_CAMERA_ERROR);
    assert_string_equal(out.message, "a b c [2J   d\xc2\xa0"
                                     "e");
}

static void long_messages_are_cut_at_a_character(void **state)
{
    (void)state;
    static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x93\xb7"};
    for (size_t c = 0; c < 4; c++) {
        for (size_t lead = 0; lead < 4; lead++) {
            char text[3000] = "{\"status\":\"error\",\"message\":\"";
            memset(text + strlen(text), 'a', lead);
            for (int i = 0; i < 600; i++)
                memcpy(text + strlen(text), characters[c], strlen(characters[c]));
            memcpy(text + strlen(text), "\"}", 2);
            struct ch_camera_text out = parse(text);
            size_t width = strlen(characters[c]);
            assert_int_equal(strlen(out.message), lead + (511 - lead) / width * width);
            assert_memory_equal(out.message + strlen(out.message) - width, characters[c], width);
        }
    }
}

static void phones_capabilities(void **state)
{
    (void)state;
    static const char text[] =
        "{\"type\":\"capabilities\",\"deviceModel\":\"Pixel 6\",\"sdkInt\":33,\"resolutions\":[{\"width\":1280,"
        "\"height\":720,\"format\":\"YUV_420_888\",\"lensFacing\":\"back\"}],\"imageAnalysisResolution\":"
        "{\"width\":640,\"height\":480}}";
    struct ch_camera_text out = parse(text);
    assert_int_equal(out.kind, CH_CAMERA_CAPABILITIES);
    assert_string_equal(out.device_model, "Pixel 6");
    assert_string_equal(out.message, "");
    assert_string_equal(out.capabilities, text);
    ch_camera_text_deinit(&out);
    assert_null(out.capabilities);
    ch_camera_text_deinit(&out);
}

static void capabilities_are_kept_verbatim_but_compact(void **state)
{
    (void)state;
    static const struct {
        const char *text, *kept, *model;
    } rows[] = {
        {"{ \"type\" :\t\"capabilities\" ,\r\n \"zoom\" : [ 0.1 , 1.0e2, -0 ] }",
         "{\"type\":\"capabilities\",\"zoom\":[0.1,1.0e2,-0]}", ""},
        {"{\"type\":\"capabilities\",\"a b\":\" x \\\" y \\\\\", \"z\" : \"\\\\\" }",
         "{\"type\":\"capabilities\",\"a b\":\" x \\\" y \\\\\",\"z\":\"\\\\\"}", ""},
        {"{\"type\":\"capabilities\",\"deviceModel\":null}", "{\"type\":\"capabilities\",\"deviceModel\":null}", ""},
        {"{\"type\":\"capabilities\",\"deviceModel\":6,\"sdkInt\":\"x\"}",
         "{\"type\":\"capabilities\",\"deviceModel\":6,\"sdkInt\":\"x\"}", ""},
        {"{\"type\":\"capabilities\",\"resolutions\":7,\"deviceModel\":\"a\\tb\"}",
         "{\"type\":\"capabilities\",\"resolutions\":7,\"deviceModel\":\"a\\tb\"}", "a b"},
        {"{\"type\":\"capabilities\",\"status\":9}", "{\"type\":\"capabilities\",\"status\":9}", ""},
        {"{\"type\":\"capabilities\",\"deviceModel\":\"a\\u0000b\"}", NULL, "a b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ch_camera_text out = parse(rows[i].text);
        assert_int_equal(out.kind, CH_CAMERA_CAPABILITIES);
        assert_string_equal(out.device_model, rows[i].model);
        if (rows[i].kept) {
            assert_non_null(out.capabilities);
            assert_string_equal(out.capabilities, rows[i].kept);
            json_t *again = json_loads(out.capabilities, 0, NULL);
            assert_non_null(again);
            json_decref(again);
        } else {
            assert_null(out.capabilities);
        }
        ch_camera_text_deinit(&out);
    }
}

static void capabilities_have_a_limit(void **state)
{
    (void)state;
    enum { LIMIT = 65536, BLANKS = 1000 };
    static const char begin[] = "{\"type\":\"capabilities\",\"deviceModel\":\"m\",\"x\":\"";
    for (size_t over = 0; over <= 1; over++) { // blanks outside strings do not count
        size_t size = LIMIT + over + BLANKS;
        char *text = malloc(size);
        assert_non_null(text);
        memset(text, 'x', size);
        memcpy(text, begin, sizeof begin - 1);
        memcpy(text + size - BLANKS - 2, "\"", 1);
        memset(text + size - BLANKS - 1, ' ', BLANKS);
        text[size - 1] = '}';
        struct ch_camera_text out = parse_bytes(text, size);
        assert_int_equal(out.kind, CH_CAMERA_CAPABILITIES);
        assert_string_equal(out.device_model, "m");
        if (over) {
            assert_null(out.capabilities);
        } else {
            assert_non_null(out.capabilities);
            assert_int_equal(strlen(out.capabilities), LIMIT);
        }
        ch_camera_text_deinit(&out);
        free(text);
    }
}

static enum ch_camera_text_kind kind_at_depth(size_t depth, const char *open, const char *inside, const char *close)
{
    size_t capacity = 100 + depth * (strlen(open) + strlen(close)) + strlen(inside);
    char *text = malloc(capacity), *at = text;
    assert_non_null(text);
    at = stpcpy(at, "{\"status\":\"ready\",\"x\":");
    for (size_t i = 1; i < depth; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, inside);
    for (size_t i = 1; i < depth; i++)
        at = stpcpy(at, close);
    at = stpcpy(at, "}");
    struct ch_camera_text out = parse_bytes(text, (size_t)(at - text));
    free(text);
    return out.kind;
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *open, *inside, *close;
    } rows[] = {{"[", "1", "]"}, {"{\"a\":", "1", "}"}, {"[\"}]\\\"\\\\\",", "\"[[[[{{{{\"", "]"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(kind_at_depth(1, rows[i].open, rows[i].inside, rows[i].close), CH_CAMERA_READY);
        assert_int_equal(kind_at_depth(32, rows[i].open, rows[i].inside, rows[i].close), CH_CAMERA_READY);
        assert_int_equal(kind_at_depth(33, rows[i].open, rows[i].inside, rows[i].close), CH_CAMERA_OTHER);
        assert_int_equal(kind_at_depth(200000, rows[i].open, rows[i].inside, rows[i].close), CH_CAMERA_OTHER);
    }
    assert_int_equal(kind_at_depth(200000, "[", "", ""), CH_CAMERA_OTHER); // never closed
}

// Commands

static void commands_byte_by_byte_as_documented(void **state)
{
    (void)state;
    static const struct {
        const char *line, *text;
    } rows[] = {
        {"start 4:3 4 10", "{\"command\":\"start_capture\",\"payload\":{\"format\":\"h264\",\"bitrate\":4,\"fps\":10,"
                           "\"aspectRatio\":{\"width\":4,\"height\":3}}}"},
        {"start", "{\"command\":\"start_capture\",\"payload\":{\"format\":\"h264\",\"bitrate\":4,\"fps\":10}}"},
        {"start 16:9 8 0", "{\"command\":\"start_capture\",\"payload\":{\"format\":\"h264\",\"bitrate\":8,\"fps\":0,"
                           "\"aspectRatio\":{\"width\":16,\"height\":9}}}"},
        {"start 2147483647:2147483647 2147483647 2147483647",
         "{\"command\":\"start_capture\",\"payload\":{\"format\":\"h264\",\"bitrate\":2147483647,\"fps\":2147483647,"
         "\"aspectRatio\":{\"width\":2147483647,\"height\":2147483647}}}"},
        {"stop", "{\"command\":\"stop_capture\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ch_command command, back;
        char text[CH_CAMERA_COMMAND_BYTES];
        ch_command_parse(rows[i].line, strlen(rows[i].line), &command);
        size_t size = ch_camera_write_command(&command, text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(size, strlen(rows[i].text));
        // and a camera reads what was meant
        assert_int_equal(ch_camera_parse_command(text, size, &back), 0);
        assert_int_equal(back.kind, command.kind);
        assert_int_equal(back.bitrate_mbps, command.bitrate_mbps);
        assert_int_equal(back.fps, command.fps);
        assert_int_equal(back.aspect_w, command.aspect_w);
        assert_int_equal(back.aspect_h, command.aspect_h);
    }
}

#define START(payload) "{\"command\":\"start_capture\",\"payload\":" payload "}"

static void commands_as_a_camera_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int bitrate, fps, w, h;
        const char *bad;
    } rows[] = {
        {START("{}"), 4, 10, 0, 0, ""},
        {"{\"command\": \"start_capture\", \"payload\": {\"format\": \"h264\", \"bitrate\": 7, \"fps\": 15}}", 7, 15, 0,
         0, ""}, // as the original wrote it
        {START("{\"bitrate\":\"8\",\"fps\":1.5}"), 4, 10, 0, 0, "bf"},
        {START("{\"bitrate\":0,\"fps\":-1}"), 4, 10, 0, 0, "bf"},
        {START("{\"bitrate\":1,\"fps\":0}"), 1, 0, 0, 0, ""},
        {START("{\"bitrate\":2147483648,\"fps\":9223372036854775807}"), 4, 10, 0, 0, "bf"},
        {START("{\"bitrate\":null,\"fps\":[]}"), 4, 10, 0, 0, "bf"},
        {START("{\"aspectRatio\":null}"), 4, 10, 0, 0, "a"},
        {START("{\"aspectRatio\":{}}"), 4, 10, 0, 0, "a"},
        {START("{\"aspectRatio\":{\"width\":4}}"), 4, 10, 0, 0, "a"},
        {START("{\"aspectRatio\":{\"width\":4,\"height\":0}}"), 4, 10, 0, 0, "a"},
        {START("{\"aspectRatio\":{\"width\":\"4\",\"height\":3}}"), 4, 10, 0, 0, "a"},
        {START("{\"aspectRatio\":{\"width\":4,\"height\":3}}"), 4, 10, 4, 3, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ch_command out;
        char bad[4];
        struct guard guard = guard_copy(rows[i].text, strlen(rows[i].text));
        assert_int_equal(ch_camera_parse_command((const char *)guard.data, strlen(rows[i].text), &out), 0);
        guard_free(&guard);
        snprintf(bad, sizeof bad, "%s%s%s", out.bad_aspect ? "a" : "", out.bad_bitrate ? "b" : "",
                 out.bad_fps ? "f" : "");
        assert_int_equal(out.kind, CH_COMMAND_START);
        if (out.bitrate_mbps != rows[i].bitrate || out.fps != rows[i].fps || out.aspect_w != rows[i].w ||
            out.aspect_h != rows[i].h || strcmp(bad, rows[i].bad) != 0)
            fail_msg("`%s`: %d %d %d:%d `%s`", rows[i].text, out.bitrate_mbps, out.fps, out.aspect_w, out.aspect_h,
                     bad);
    }
}

static void texts_that_are_no_command(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"command\":\"start_capture\"}", // the app ignores it without a payload
        START("null"),
        START("[]"),
        START("\"x\""),
        "{\"command\":\"Start_capture\",\"payload\":{}}",
        "{\"command\":\"start\"}",
        "{\"command\":5}",
        "{\"command\":null}",
        "{\"payload\":{}}",
        "{}",
        "[\"stop_capture\"]",
        "\"stop_capture\"",
        "stop",
        "",
        "{\"command\":\"stop_capture\"",
        "{\"command\":\"stop_capture\\u0000\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ch_command out;
        if (ch_camera_parse_command(texts[i], strlen(texts[i]), &out) != -EBADMSG)
            fail_msg("`%s`", texts[i]);
    }
    struct ch_command out;
    static const char stop[] = "{\"command\":\"stop_capture\",\"payload\":5}";
    assert_int_equal(ch_camera_parse_command(stop, sizeof stop - 1, &out), 0);
    assert_int_equal(out.kind, CH_COMMAND_STOP);
}

// Memory that runs out: the nth allocation of the JSON parser fails, for every n.

static struct {
    long left; // allocations until one fails
    long live; // blocks not freed
} memory;

static void *failing_malloc(size_t size)
{
    if (memory.left-- == 0)
        return NULL;
    void *block = malloc(size);
    memory.live += block != NULL;
    return block;
}

static void counting_free(void *block)
{
    memory.live -= block != NULL;
    free(block);
}

static void every_allocation_can_fail(void **state)
{
    (void)state;
    static const char text[] = "{\"type\":\"capabilities\",\"deviceModel\":\"Pixel 6\","
                               "\"a\":[1,2.5,{\"b\":\"c\"},null]}";
    static const char command[] = START("{\"bitrate\":4,\"aspectRatio\":{\"width\":4,\"height\":3}}");
    int failed = 0;
    bool whole = false;
    json_set_alloc_funcs(failing_malloc, counting_free);
    for (long n = 0; n < 1000 && !whole; n++) {
        struct ch_camera_text out;
        memory.left = n;
        int result = ch_camera_parse_text(text, sizeof text - 1, &out);
        whole = memory.left >= 0;
        assert_true(result == 0 || result == -ENOMEM);
        if (whole)
            assert_true(result == 0 && out.kind == CH_CAMERA_CAPABILITIES && out.capabilities);
        else
            assert_true(out.kind == CH_CAMERA_OTHER && !out.capabilities);
        failed += !whole;
        ch_camera_text_deinit(&out);
        assert_int_equal(memory.live, 0);
    }
    assert_true(whole && failed > 10);
    whole = false;
    for (long n = 0; n < 1000 && !whole; n++) {
        struct ch_command out;
        memory.left = n;
        int result = ch_camera_parse_command(command, sizeof command - 1, &out);
        whole = memory.left >= 0;
        assert_true(whole ? result == 0 && out.aspect_w == 4 : result == -ENOMEM || result == -EBADMSG);
        assert_int_equal(memory.live, 0);
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_fields),
        cmocka_unit_test(header_of_every_size),
        cmocka_unit_test(header_lengths_that_lie),
        cmocka_unit_test(header_written_reads_back),
        cmocka_unit_test(texts_and_their_kinds),
        cmocka_unit_test(texts_cut_anywhere),
        cmocka_unit_test(messages_are_safe_to_show),
        cmocka_unit_test(long_messages_are_cut_at_a_character),
        cmocka_unit_test(phones_capabilities),
        cmocka_unit_test(capabilities_are_kept_verbatim_but_compact),
        cmocka_unit_test(capabilities_have_a_limit),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(commands_byte_by_byte_as_documented),
        cmocka_unit_test(commands_as_a_camera_reads_them),
        cmocka_unit_test(texts_that_are_no_command),
        cmocka_unit_test(every_allocation_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
