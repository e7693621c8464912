// Request heads and the small grammars beside them. Every head is parsed whole, in every prefix and
// against a guard page, and the answers must agree.
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/http.h"

#define HOST "Host: hub:50001\r\n"
#define POST "POST /api HTTP/1.1\r\n" HOST

// The answer for the whole; a prefix of it must give 0 (more) or the same, and none of them may
// read a byte too far. `out` is of the whole and points into `data`.
static int parse_all(const char *data, size_t size, struct ch_http_request *out)
{
    int whole = ch_http_parse(data, size, out);
    bool decided = false;
    for (size_t n = 0; n <= size; n++) {
        struct ch_http_request part;
        struct guard guard = guard_copy(data, n);
        int result = ch_http_parse((const char *)guard.data, n, &part);
        guard_free(&guard);
        if (result != 0 || decided) {
            if (result != whole)
                fail_msg("`%.60s`: %d after %zu bytes, %d after %zu", data, result, n, whole, size);
            decided = true;
        }
    }
    assert_int_equal(decided, whole != 0);
    return whole;
}

static int parse(const char *head, struct ch_http_request *out)
{
    return parse_all(head, strlen(head), out);
}

static void check_span(struct ch_span span, const char *expected)
{
    if (!ch_span_equal(span, expected))
        fail_msg("`%.*s`, not `%s`", (int)span.size, span.data, expected);
}

static void browsers_request(void **state)
{
    (void)state;
    static const char head[] = "GET /live/a.mp4?x=1&y=?2 HTTP/1.1\r\n" HOST "User-Agent:  Mozilla/5.0 (X11) \t\r\n"
                               "Accept: */*\r\nX-Empty:\r\nX-Blank: \t \r\nX-Latin: \xe9t\xe9\r\n\r\n";
    static const char more[] = "GET / HTTP/1.1\r\n";
    char data[sizeof head + sizeof more];
    struct ch_http_request request;
    memcpy(data, head, sizeof head - 1);
    memcpy(data + sizeof head - 1, more, sizeof more);
    assert_int_equal(parse(data, &request), sizeof head - 1); // stops where the head ends
    assert_int_equal(request.head_bytes, sizeof head - 1);
    assert_int_equal(request.method, CH_HTTP_GET);
    check_span(request.target, "/live/a.mp4?x=1&y=?2");
    check_span(request.path, "/live/a.mp4");
    check_span(request.query, "x=1&y=?2");
    assert_int_equal(request.minor_version, 1);
    assert_true(request.keep_alive && !request.upgrade_websocket && !request.chunked);
    assert_int_equal(request.content_length, 0);
    assert_int_equal(request.field_count, 6);
    check_span(request.fields[1].name, "User-Agent");
    check_span(ch_http_field(&request, "user-agent"), "Mozilla/5.0 (X11)");
    check_span(ch_http_field(&request, "HOST"), "hub:50001");
    check_span(ch_http_field(&request, "X-Empty"), "");
    check_span(ch_http_field(&request, "X-Blank"), "");
    check_span(ch_http_field(&request, "X-Latin"), "\xe9t\xe9");
    assert_null(ch_http_field(&request, "X-None").data);
    assert_null(ch_http_field(&request, "Hos").data);
}

static void first_of_several_fields(void **state)
{
    (void)state;
    struct ch_http_request request;
    assert_true(parse("GET / HTTP/1.1\r\n" HOST "A: 1\r\na: 2\r\n\r\n", &request) > 0);
    check_span(ch_http_field(&request, "a"), "1");
    assert_int_equal(request.field_count, 3);
}

static void methods(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum ch_http_method method;
    } rows[] = {
        {"GET", CH_HTTP_GET},       {"HEAD", CH_HTTP_HEAD},       {"POST", CH_HTTP_POST},
        {"DELETE", CH_HTTP_DELETE}, {"OPTIONS", CH_HTTP_OPTIONS}, {"PUT", CH_HTTP_OTHER},
        {"PATCH", CH_HTTP_OTHER},   {"TRACE", CH_HTTP_OTHER},     {"PROPFIND", CH_HTTP_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char head[100];
        struct ch_http_request request;
        snprintf(head, sizeof head, "%s /a HTTP/1.1\r\n" HOST "\r\n", rows[i].name);
        assert_true(parse(head, &request) > 0);
        assert_int_equal(request.method, rows[i].method);
    }
}

static void targets(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target;
        int status; // 0: good
        const char *path, *query;
    } rows[] = {
        {"GET", "/", 0, "/", ""},
        {"GET", "/?", 0, "/", ""},
        {"GET", "/a/b%20c?d", 0, "/a/b%20c", "d"},
        {"GET", "//a", 0, "//a", ""},
        {"GET", "/a?http://x/y", 0, "/a", "http://x/y"},
        {"GET", "http://hub:50001/a/b?c", 0, "/a/b", "c"},
        {"GET", "HTTPS://hub/a", 0, "/a", ""},
        {"GET", "ws://[::1]:50001/dev", 0, "/dev", ""},
        {"GET", "wss://hub/dev", 0, "/dev", ""},
        {"GET", "http://hub", 0, "/", ""},
        {"GET", "http://hub?q", 0, "/", "q"},
        {"GET", "http://hub/?a/b?c", 0, "/", "a/b?c"},
        {"OPTIONS", "*", 0, "*", ""},
        {"OPTIONS", "/a", 0, "/a", ""},
        {"CONNECT", "hub:443", 0, "", ""},
        {"GET", "*", -400, NULL, NULL},
        {"POST", "*", -400, NULL, NULL},
        {"OPTIONS", "*a", -400, NULL, NULL},
        {"GET", "ftp://hub/a", -400, NULL, NULL},
        {"GET", "http:///a", -400, NULL, NULL},
        {"GET", "http://", -400, NULL, NULL},
        {"GET", "http://user:pw@hub/a", -400, NULL, NULL},
        {"GET", "http:/a", -400, NULL, NULL},
        {"GET", "hub:443", -400, NULL, NULL},
        {"GET", "a/b", -400, NULL, NULL},
        {"GET", "?a", -400, NULL, NULL},
        {"GET", "/a#b", -400, NULL, NULL},
        {"GET", "/a?b#c", -400, NULL, NULL},
        {"GET", "/a\tb", -400, NULL, NULL},
        {"GET", "/a\x01", -400, NULL, NULL},
        {"GET", "/a\x7f", -400, NULL, NULL},
        {"GET", "/\xc3\xa9", -400, NULL, NULL},
        {"GET", "/a b", -400, NULL, NULL},
        {"GET", " /a", -400, NULL, NULL},
        {"GET", "/a ", -400, NULL, NULL},
        {"GET", "", -400, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char head[200];
        struct ch_http_request request;
        int size = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\n" HOST "\r\n", rows[i].method, rows[i].target);
        int result = parse(head, &request);
        if (result != (rows[i].status ? rows[i].status : size))
            fail_msg("`%s %s`: %d", rows[i].method, rows[i].target, result);
        if (rows[i].status)
            continue;
        check_span(request.target, rows[i].target);
        check_span(request.path, rows[i].path);
        check_span(request.query, rows[i].query);
    }
}

struct row {
    const char *head;
    int status;
};

static void check_statuses(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ch_http_request request;
        int result = parse(rows[i].head, &request);
        int expected = rows[i].status ? rows[i].status : (int)strlen(rows[i].head);
        if (result != expected)
            fail_msg("row %zu `%s`: %d, not %d", i, rows[i].head, result, expected);
    }
}

#define CHECK(rows) check_statuses(rows, sizeof(rows) / sizeof(rows)[0])

static void versions(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET / HTTP/1.0\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\n" HOST "\r\n", 0},
        {"GET / HTTP/1.2\r\n" HOST "\r\n", -505},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", -505},
        {"GET / HTTP/3.0\r\n" HOST "\r\n", -505},
        {"GET / HTTP/0.9\r\n" HOST "\r\n", -505},
        {"GET / HTTP/9.9\r\n" HOST "\r\n", -505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", -505}, // RFC 9113 3.4
        {"GET /\r\n", -400},                        // HTTP/0.9
        {"GET /\r\n\r\n", -400},
        {"GET /\r\n" HOST "\r\n", -400},
        {"GET / HTTP/1\r\n" HOST "\r\n", -400},
        {"GET / HTTP/1.\r\n" HOST "\r\n", -400},
        {"GET / HTTP/.1\r\n" HOST "\r\n", -400},
        {"GET / HTTP/x.1\r\n" HOST "\r\n", -400},
        {"GET / HTTP/1.10\r\n" HOST "\r\n", -400},
        {"GET / HTTP/1.1 \r\n" HOST "\r\n", -400},
        {"GET / http/1.1\r\n" HOST "\r\n", -400},
        {"GET /  HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET /\tHTTP/1.1\r\n" HOST "\r\n", -400},
        {"OPTIONS / RTSP/1.0\r\n" HOST "\r\n", -400},
        {"GET / RTSP/1.0\r\n" HOST "\r\n", -400},
        {"SOURCE / ICE/1.0\r\n" HOST "\r\n", -400},
        {"HTTP/1.1 200 OK\r\n\r\n", -400},
    };
    CHECK(rows);
}

static void other_protocols(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"\x16\x03\x01\x02", -400}, // TLS
        {"SSH-2.0-x\r\n", -400},
        {"hello\r\n", -400},
        {"GETS / HTTP/1.1\r\n", -400},
        {"get / HTTP/1.1\r\n", -400},
        {" GET / HTTP/1.1\r\n", -400},
        {"start 4:3\r\n", -400},
        {"\xef\xbb\xbfGET / HTTP/1.1\r\n", -400},
    };
    CHECK(rows);
}

static void unfinished_heads(void **state)
{
    (void)state;
    static const char *const heads[] = {"",
                                        "\r",
                                        "G",
                                        "GET / HTTP/1.1",
                                        "GET / HTTP/1.1\r\n",
                                        "GET / HTTP/1.0\r\nX: 1\r\n",
                                        POST "Content-Length: 5\r\n\r"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct ch_http_request request;
        assert_int_equal(parse(heads[i], &request), 0);
    }
    struct ch_http_request request;
    assert_int_equal(ch_http_parse(NULL, 0, &request), 0);
}

static void blank_lines_before(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0},     {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0},
        {"\nGET / HTTP/1.1\r\n" HOST "\r\n", -400},    {"\r\rGET / HTTP/1.1\r\n" HOST "\r\n", -400},
        {"\r\n GET / HTTP/1.1\r\n" HOST "\r\n", -400},
    };
    CHECK(rows);
    struct ch_http_request request;
    assert_int_equal(parse("\r\n\r\n", &request), 0);
    assert_int_equal(parse("\r\n\r\nGET /a HTTP/1.1\r\n" HOST "\r\n", &request), 40);
    check_span(request.target, "/a");
}

static void line_ends_are_crlf(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET / HTTP/1.1\n" HOST "\r\n", -400},
        {"GET / HTTP/1.1\r\nHost: hub\n\r\n", -400},
        {"GET / HTTP/1.1\r\nHost: hub\r\n\n", -400},
        {"GET / HTTP/1.1\n\n", -400},
        {"GET / HTTP/1.1\r" HOST "\r\n", -400},
        {"GET / HTTP/1.1\r\nHost: hub\rX: 1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X:\rY: 1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "\rGET / HTTP/1.1\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "\r\r\n", -400},
    };
    CHECK(rows);
}

static void fields(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET / HTTP/1.1\r\n" HOST "X : 1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X\t: 1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST " X: 1\r\n\r\n", -400}, // a folded field, or a field that begins with a blank
        {"GET / HTTP/1.1\r\n" HOST "\tX: 1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n X: 1\r\n" HOST "\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X: 1\r\n 2\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X:\r\n 2\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X: 1\r\n \r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X Y: 1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST ": 1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X(: 1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X\xe9: 1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "X: a\x1b[2J\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "!#$%&'*+-.^_`|~09azAZ: ok\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\n" HOST "X: a\tb : c\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\n" HOST "X:a\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\n" HOST "X::a:\r\n\r\n", 0},
    };
    CHECK(rows);
}

// A zero anywhere in the head is refused.
static void zero_bytes(void **state)
{
    (void)state;
    static const char head[] = "GET /a?b HTTP/1.1\r\nHost: hub\r\nX: yz\r\n\r\n";
    for (size_t i = 0; i < sizeof head - 1; i++) {
        char data[sizeof head];
        struct ch_http_request request;
        memcpy(data, head, sizeof head);
        data[i] = '\0';
        assert_int_equal(parse_all(data, sizeof head - 1, &request), -400);
    }
}

static void hosts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nX: Host: a\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", -400},
        {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n", -400},
        {"GET http://a/ HTTP/1.1\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]:50001\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHOST:192.168.1.20:50001\r\n\r\n", 0},
        {"GET / HTTP/1.0\r\n\r\n", 0},
    };
    CHECK(rows);
}

static void bodies(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        uint64_t length;
        bool chunked;
    } rows[] = {
        {POST "Content-Length: 0\r\n\r\n", 0, false},
        {POST "Content-Length: 5\r\n\r\nhello", 5, false},
        {POST "content-length:  007  \r\n\r\n", 7, false},
        {POST "Content-Length: 18446744073709551615\r\n\r\n", UINT64_MAX, false},
        {POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0, true},
        {POST "Transfer-Encoding: Chunked \r\n\r\n", 0, true},
        {"GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 3, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ch_http_request request;
        int result = parse(rows[i].head, &request);
        assert_int_equal(result, strstr(rows[i].head, "\r\n\r\n") + 4 - rows[i].head);
        assert_true(request.content_length == rows[i].length);
        assert_int_equal(request.chunked, rows[i].chunked);
    }
}

static void smuggling(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", -400},
        {POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", -400},
        {POST "Content-Length: 5\r\ncontent-length: 0\r\n\r\n", -400},
        {POST "Content-Length: 5, 5\r\n\r\n", -400},
        {POST "Content-Length: +5\r\n\r\n", -400},
        {POST "Content-Length: -5\r\n\r\n", -400},
        {POST "Content-Length: 0x5\r\n\r\n", -400},
        {POST "Content-Length: 5 5\r\n\r\n", -400},
        {POST "Content-Length: 5\t\r\n\r\n", -400},
        {POST "Content-Length: 5;\r\n\r\n", -400},
        {POST "Content-Length: \"5\"\r\n\r\n", -400},
        {POST "Content-Length:\r\n\r\n", -400},
        {POST "Content-Length: 18446744073709551616\r\n\r\n", -400},
        {POST "Content-Length: 99999999999999999999999\r\n\r\n", -400},
        {POST "Content-Length:\r\n 5\r\n\r\n", -400},
        {POST "Content-Length : 5\r\n\r\n", -400},
        {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", -400},
        {POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", -400},
        {POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", -400},
        {POST "Transfer-Encoding:\r\nContent-Length: 5\r\n\r\n", -400},
        {POST "Transfer-Encoding: x\r\nContent-Length: 5\r\n\r\n", -400},
        {POST "Transfer-Encoding : chunked\r\n\r\n", -400},
        {POST "Transfer-Encoding:\r\n\r\n", -400},
        {POST "Transfer-Encoding:\r\n chunked\r\n\r\n", -400},
        {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", -400},
        {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", -400},
        {POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n", -400},
        {POST "Transfer-Encoding: chunked, identity\r\n\r\n", -400},
        {POST "Transfer-Encoding: chunked, chunked\r\n\r\n", -400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", -400},
        {POST "Transfer-Encoding: gzip\r\n\r\n", -501},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", -501},
        {POST "Transfer-Encoding: identity\r\n\r\n", -501},
        {POST "Transfer-Encoding: xchunked\r\n\r\n", -501},
        {POST "Transfer-Encoding: chunked;q=1\r\n\r\n", -501},
        {POST "Transfer-Encoding: \"chunked\"\r\n\r\n", -501},
        {POST "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n",
         -400},
        // frames or a body?
        {"GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n",
         -400},
        {"GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n", 0},
    };
    CHECK(rows);
}

static void connections(void **state)
{
    (void)state;
    static const struct {
        const char *line, *fields;
        bool keep_alive, upgrade;
    } rows[] = {
        {"GET / HTTP/1.1", "", true, false},
        {"GET / HTTP/1.0", "", false, false},
        {"GET / HTTP/1.1", "Connection: close\r\n", false, false},
        {"GET / HTTP/1.1", "Connection: x, CLOSE\r\n", false, false},
        {"GET / HTTP/1.1", "Connection: x\r\nConnection: close\r\n", false, false},
        {"GET / HTTP/1.1", "Connection: closed\r\n", true, false},
        {"GET / HTTP/1.0", "Connection: Keep-Alive\r\n", true, false},
        {"GET / HTTP/1.0", "Connection: keep-alive, close\r\n", false, false},
        {"GET / HTTP/1.0", "Proxy-Connection: keep-alive\r\n", false, false},
        {"GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true, true},
        {"GET / HTTP/1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n", true, true}, // Firefox
        {"GET / HTTP/1.1", "Connection:keep-alive ,\tupgrade\t\r\nUpgrade: h2c,websocket\r\n", true, true},
        {"GET / HTTP/1.1", "Connection: a\r\nConnection: upgrade\r\nUpgrade: x\r\nUpgrade: websocket\r\n", true, true},
        {"GET / HTTP/1.1", "Upgrade: websocket\r\n", true, false},
        {"GET / HTTP/1.1", "Connection: Upgrade\r\n", true, false},
        {"GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websockets\r\n", true, false},
        {"GET / HTTP/1.1", "Connection: Upgrades\r\nUpgrade: websocket\r\n", true, false},
        {"GET / HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false, false},
        {"POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char head[300];
        struct ch_http_request request;
        int size = snprintf(head, sizeof head, "%s\r\n" HOST "%s\r\n", rows[i].line, rows[i].fields);
        assert_int_equal(parse(head, &request), size);
        if (request.keep_alive != rows[i].keep_alive || request.upgrade_websocket != rows[i].upgrade)
            fail_msg("`%s` `%s`", rows[i].line, rows[i].fields);
    }
}

// Handshakes as clients really send them.
static void handshakes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET /android-cam HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Extensions: permessage-deflate\r\nHost: 192.168.1.2:50001\r\n"
         "Accept-Encoding: gzip\r\nUser-Agent: okhttp/4.12.0\r\n\r\n",
         0},
        {"GET /esp HTTP/1.1\r\nHost: 192.168.1.2:50001\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: /8Uid5SoU3Rkxkxk7DBCkQ==\r\n"
         "Sec-WebSocket-Protocol: arduino\r\nOrigin: file://\r\nUser-Agent: arduino-WebSocket-Client\r\n\r\n",
         0},
    };
    CHECK(rows);
    struct ch_http_request request;
    for (size_t i = 0; i < 2; i++) {
        assert_true(ch_http_parse(rows[i].head, strlen(rows[i].head), &request) > 0);
        assert_true(request.upgrade_websocket);
    }
}

// Limits. Heads are built on the heap; prefixes are tried near the interesting ends only.

static char *head_of(size_t size)
{
    static const char begin[] = "GET / HTTP/1.1\r\n" HOST "X: ";
    char *head = malloc(size + 1);
    assert_non_null(head);
    memset(head, 'x', size);
    memcpy(head, begin, sizeof begin - 1);
    memcpy(head + size - 4, "\r\n\r\n", 5);
    return head;
}

static void longest_head(void **state)
{
    (void)state;
    struct ch_http_request request;
    char *head = head_of(CH_HTTP_MAX_HEAD);
    struct guard guard = guard_copy(head, CH_HTTP_MAX_HEAD);
    assert_int_equal(ch_http_parse((char *)guard.data, CH_HTTP_MAX_HEAD, &request), CH_HTTP_MAX_HEAD);
    assert_int_equal(ch_http_parse((char *)guard.data, CH_HTTP_MAX_HEAD - 1, &request), 0);
    guard_free(&guard);
    free(head);
    head = head_of(CH_HTTP_MAX_HEAD + 1);
    assert_int_equal(ch_http_parse(head, CH_HTTP_MAX_HEAD - 1, &request), 0);
    assert_int_equal(ch_http_parse(head, CH_HTTP_MAX_HEAD, &request), -431); // though never completed
    assert_int_equal(ch_http_parse(head, CH_HTTP_MAX_HEAD + 1, &request), -431);
    free(head);
}

static void endless_heads(void **state)
{
    (void)state;
    enum { SIZE = 3 * CH_HTTP_MAX_HEAD };
    static const struct {
        const char *begin, *repeat;
        int status;
    } rows[] = {
        {"GET /", "a", -414},
        {"GET /?", "a", -414},
        {"GET / HTTP/1.1\r\nX: ", "a", -431},
        {"GET / HTTP/1.1\r\n", "n", -431},
        {"GET / HTTP/1.1\r\nX:", " ", -431},
        {"", "\r\n", -431},
        {"GET ", " ", -414},
        {"GET / HTTP/1.1\r\n", "A: b\r\n", -431},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ch_http_request request;
        char *data = malloc(SIZE);
        assert_non_null(data);
        size_t size = strlen(rows[i].begin), step = strlen(rows[i].repeat);
        memcpy(data, rows[i].begin, size);
        for (; size + step <= SIZE; size += step)
            memcpy(data + size, rows[i].repeat, step);
        assert_int_equal(ch_http_parse(data, size, &request), rows[i].status);
        assert_int_equal(ch_http_parse(data, CH_HTTP_MAX_HEAD, &request), rows[i].status);
        assert_int_equal(ch_http_parse(data, 64, &request), 0);
        free(data);
    }
}

static void number_of_fields(void **state)
{
    (void)state;
    char head[2000];
    struct ch_http_request request;
    for (unsigned count = CH_HTTP_MAX_FIELDS - 1; count <= CH_HTTP_MAX_FIELDS + 2; count++) {
        int size = snprintf(head, sizeof head, "GET / HTTP/1.1\r\n" HOST);
        for (unsigned i = 1; i < count; i++)
            size += snprintf(head + size, sizeof head - size, "X%u: %u\r\n", i, i);
        snprintf(head + size, sizeof head - size, "\r\n");
        int result = parse(head, &request);
        assert_int_equal(result, count <= CH_HTTP_MAX_FIELDS ? size + 2 : -431);
        if (result > 0) {
            assert_int_equal(request.field_count, count);
            check_span(request.fields[62].value, "62");
        }
    }
    int size = snprintf(head, sizeof head, "GET /\r\n"); // the first fault decides: no version
    for (unsigned i = 0; i <= CH_HTTP_MAX_FIELDS; i++)
        size += snprintf(head + size, sizeof head - size, "X%u: %u\r\n", i, i);
    assert_int_equal(parse(head, &request), -400);
}

// Small grammars

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *list, *token;
        bool has;
    } rows[] = {
        {"a", "a", true},     {"A", "a", true},     {"a,b", "b", true},    {" a ,\tb\t", "b", true},
        {",,a,,", "a", true}, {"ab", "a", false},   {"a b", "a", false},   {"", "a", false},
        {",", "a", false},    {"b,ab", "a", false}, {"a;q=1", "a", false}, {"", "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct guard guard = guard_copy(rows[i].list, strlen(rows[i].list));
        struct ch_span list = {(const char *)guard.data, strlen(rows[i].list)};
        assert_int_equal(ch_http_list_has(list, rows[i].token), rows[i].has);
        guard_free(&guard);
    }
    assert_false(ch_http_list_has((struct ch_span){0}, "a"));
    assert_false(ch_span_equal((struct ch_span){0}, ""));
    assert_false(ch_span_equal_nocase((struct ch_span){0}, ""));
    assert_true(ch_span_equal((struct ch_span){"ab", 1}, "a"));
    assert_false(ch_span_equal((struct ch_span){"A", 1}, "a"));
    assert_false(ch_span_equal_nocase((struct ch_span){"[", 1}, "{")); // 32 apart, but no letters
}

static int decode(const char *text, char *out, size_t capacity)
{
    struct guard guard = guard_copy(text, strlen(text));
    int result = ch_http_decode_path((struct ch_span){(const char *)guard.data, strlen(text)}, out, capacity);
    guard_free(&guard);
    return result;
}

static void decoded_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *out;
        int result;
    } rows[] = {
        {"/a/b", "/a/b", 4},
        {"/a%20b", "/a b", 4},
        {"/%C3%a9", "/\xc3\xa9", 3},
        {"/a+b", "/a+b", 4},
        {"%2e%2E%2f", "../", 3},
        {"/%2525", "/%25", 4},
        {"", "", 0},
        {"/%", NULL, -EINVAL},
        {"/%4", NULL, -EINVAL},
        {"/%4g", NULL, -EINVAL},
        {"/%g4", NULL, -EINVAL},
        {"/%%", NULL, -EINVAL},
        {"/%00", NULL, -EINVAL},
        {"/%0a", NULL, -EINVAL},
        {"/%1F", NULL, -EINVAL},
        {"/%7f", NULL, -EINVAL},
        {"/a\x01", NULL, -EINVAL},
        {"/% 4", NULL, -EINVAL},
        {"/%+4", NULL, -EINVAL},
    };
    char out[32];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int result = decode(rows[i].path, out, sizeof out);
        if (result != rows[i].result)
            fail_msg("`%s`: %d", rows[i].path, result);
        if (result >= 0)
            assert_string_equal(out, rows[i].out);
    }
    memset(out, 'z', sizeof out);
    assert_int_equal(decode("/ab%20", out, 5), 4);
    assert_string_equal(out, "/ab ");
    assert_int_equal(out[5], 'z');
    assert_int_equal(decode("/ab%20", out, 4), -ENAMETOOLONG);
    assert_int_equal(decode("", out, 1), 0);
    assert_int_equal(decode("", out, 0), -ENAMETOOLONG);
    assert_int_equal(decode("a", out, 0), -ENAMETOOLONG);
}

static void ranges(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t total;
        enum ch_range_result result;
        uint64_t first, last;
    } rows[] = {
        {"bytes=0-499", 10000, CH_RANGE_OK, 0, 499}, // RFC 9110 14.1.2
        {"bytes=500-999", 10000, CH_RANGE_OK, 500, 999},
        {"bytes=-500", 10000, CH_RANGE_OK, 9500, 9999},
        {"bytes=9500-", 10000, CH_RANGE_OK, 9500, 9999},
        {"bytes=0-0", 10000, CH_RANGE_OK, 0, 0},
        {"bytes=0-", 1, CH_RANGE_OK, 0, 0},
        {"bytes=0-99999", 10000, CH_RANGE_OK, 0, 9999},
        {"bytes=9999-9999", 10000, CH_RANGE_OK, 9999, 9999},
        {"bytes=-99999", 10000, CH_RANGE_OK, 0, 9999},
        {"BYTES=1-2", 10000, CH_RANGE_OK, 1, 2},
        {" bytes=1-2\t", 10000, CH_RANGE_OK, 1, 2},
        {"bytes=0-18446744073709551615", 10, CH_RANGE_OK, 0, 9},
        {"bytes=0-99999999999999999999999", 10, CH_RANGE_OK, 0, 9},
        {"bytes=-99999999999999999999999", 10, CH_RANGE_OK, 0, 9},
        {"bytes=18446744073709551614-", UINT64_MAX, CH_RANGE_OK, UINT64_MAX - 1, UINT64_MAX - 1},
        {"bytes=10000-", 10000, CH_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=10000-20000", 10000, CH_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=99999999999999999999999-", UINT64_MAX, CH_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 10000, CH_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-", 0, CH_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-1", 0, CH_RANGE_NONE, 0, 0},
        {"bytes=0-0,2-2", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes=0-0,", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes=5-4", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes=", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes=-", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes=--1", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes=1", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes=1-2-3", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes=a-b", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes=+1-2", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes=1 - 2", 10000, CH_RANGE_NONE, 0, 0},
        {"bytes 1-2", 10000, CH_RANGE_NONE, 0, 0},
        {"items=0-1", 10000, CH_RANGE_NONE, 0, 0},
        {"", 10000, CH_RANGE_NONE, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t first = 0, last = 0;
        size_t size = strlen(rows[i].value);
        struct guard guard = guard_copy(rows[i].value, size);
        struct ch_span value = {(const char *)guard.data, size};
        enum ch_range_result result = ch_http_range(value, rows[i].total, &first, &last);
        guard_free(&guard);
        if (result != rows[i].result || first != rows[i].first || last != rows[i].last)
            fail_msg("`%s` of %lu: %d %lu-%lu", rows[i].value, rows[i].total, result, first, last);
    }
    uint64_t first, last;
    assert_int_equal(ch_http_range((struct ch_span){0}, 10, &first, &last), CH_RANGE_NONE);
}

static void dates(void **state)
{
    (void)state;
    static const struct {
        time_t when;
        const char *text;
    } rows[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, // RFC 9110 5.6.7
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {253402300800, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {-1, "Thu, 01 Jan 1970 00:00:00 GMT"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[CH_HTTP_DATE_BYTES];
        ch_http_date(rows[i].when, out);
        assert_string_equal(out, rows[i].text);
    }
}

static void reasons(void **state)
{
    (void)state;
    assert_string_equal(ch_http_reason(101), "Switching Protocols");
    assert_string_equal(ch_http_reason(206), "Partial Content");
    assert_string_equal(ch_http_reason(599), "Unknown");
    static const int parser[] = {400, 414, 431, 501, 505}; // what ch_http_parse asks for
    for (size_t i = 0; i < sizeof parser / sizeof parser[0]; i++)
        assert_string_not_equal(ch_http_reason(parser[i]), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(browsers_request),
        cmocka_unit_test(first_of_several_fields),
        cmocka_unit_test(methods),
        cmocka_unit_test(targets),
        cmocka_unit_test(versions),
        cmocka_unit_test(other_protocols),
        cmocka_unit_test(unfinished_heads),
        cmocka_unit_test(blank_lines_before),
        cmocka_unit_test(line_ends_are_crlf),
        cmocka_unit_test(fields),
        cmocka_unit_test(zero_bytes),
        cmocka_unit_test(hosts),
        cmocka_unit_test(bodies),
        cmocka_unit_test(smuggling),
        cmocka_unit_test(connections),
        cmocka_unit_test(handshakes),
        cmocka_unit_test(longest_head),
        cmocka_unit_test(endless_heads),
        cmocka_unit_test(number_of_fields),
        cmocka_unit_test(lists),
        cmocka_unit_test(decoded_paths),
        cmocka_unit_test(ranges),
        cmocka_unit_test(dates),
        cmocka_unit_test(reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
