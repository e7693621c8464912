// Request heads. llhttp judges the grammar; this file stands around it on both sides.
//
// Before: a scan finds where the head ends and the first byte that no head may have, so llhttp sees
// CRLF line ends only, no zeros and no folded lines, in which it is lenient or has been wrong. Both
// must agree where the head ends. Behind: what llhttp accepts and a server must not (other
// protocols' names, fragments, two Hosts, codings, lengths) is refused.
//
// Nothing is kept between calls. A head that arrives in pieces is parsed from its start each time,
// and all judgements are made in the order of the bytes, so pieces give the same answer as the whole.
#include "proto/http.h"

#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <llhttp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BAD_REQUEST (-400)
#define URI_TOO_LONG (-414)
#define FIELDS_TOO_LARGE (-431)
#define NOT_IMPLEMENTED (-501)
#define BAD_VERSION (-505)

static const struct ch_span no_span;

// Spans

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool ch_span_equal(struct ch_span span, const char *text)
{
    return span.data && strlen(text) == span.size && memcmp(span.data, text, span.size) == 0;
}

bool ch_span_equal_nocase(struct ch_span span, const char *text)
{
    if (!span.data || strlen(text) != span.size)
        return false;
    for (size_t i = 0; i < span.size; i++)
        if (lower(span.data[i]) != lower(text[i]))
            return false;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c) // OWS, RFC 9110 5.6.3
{
    return c == ' ' || c == '\t';
}

static struct ch_span trim(struct ch_span span)
{
    while (span.size > 0 && is_blank(span.data[0])) {
        span.data++;
        span.size--;
    }
    while (span.size > 0 && is_blank(span.data[span.size - 1]))
        span.size--;
    return span;
}

// Takes what stands before the first `separator` off the span (all of it if there is none).
static struct ch_span split(struct ch_span *span, char separator)
{
    struct ch_span left = *span;
    const char *at = left.size ? memchr(left.data, separator, left.size) : NULL;
    if (at)
        left.size = (size_t)(at - left.data);
    size_t taken = left.size + (at != NULL);
    if (taken > 0)
        *span = (struct ch_span){span->data + taken, span->size - taken};
    return left;
}

struct ch_span ch_http_field(const struct ch_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->field_count; i++)
        if (ch_span_equal_nocase(request->fields[i].name, name))
            return request->fields[i].value;
    return no_span;
}

bool ch_http_list_has(struct ch_span list, const char *token)
{
    while (list.size > 0)
        if (ch_span_equal_nocase(trim(split(&list, ',')), token))
            return true;
    return false;
}

// The same over all fields of a name, which together are one list (RFC 9110 5.3).
static bool fields_have(const struct ch_http_request *request, const char *name, const char *token)
{
    for (size_t i = 0; i < request->field_count; i++)
        if (ch_span_equal_nocase(request->fields[i].name, name) && ch_http_list_has(request->fields[i].value, token))
            return true;
    return false;
}

static size_t count_fields(const struct ch_http_request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->field_count; i++)
        count += ch_span_equal_nocase(request->fields[i].name, name);
    return count;
}

// The scan before llhttp

struct scan {
    size_t start; // of the request line; blank lines before it are skipped, RFC 9112 2.2
    size_t end;   // behind the head, or where the bytes or the good bytes end
    bool complete, bad;
};

// What may not stand at i, given the byte before: a zero anywhere, CR and LF apart from each other,
// a blank where a line begins (RFC 9112 2.2, 5.2; RFC 9110 5.5).
static bool is_bad_byte(const char *data, size_t i)
{
    char before = i > 0 ? data[i - 1] : '\n';
    if (data[i] == '\0' || (data[i] == '\n') != (before == '\r'))
        return true;
    return is_blank(data[i]) && before == '\n';
}

static struct scan scan_head(const char *data, size_t size)
{
    struct scan scan = {0};
    while (size - scan.start >= 2 && memcmp(data + scan.start, "\r\n", 2) == 0)
        scan.start += 2;
    size_t line = scan.start;
    for (scan.end = scan.start; scan.end < size; scan.end++) {
        scan.bad = is_bad_byte(data, scan.end);
        if (scan.bad)
            break;
        if (data[scan.end] != '\n')
            continue;
        scan.complete = scan.end - line == 1; // an empty line
        line = scan.end + 1;
        if (scan.complete) {
            scan.end++;
            break;
        }
    }
    return scan;
}

// llhttp's callbacks. Everything lies in one piece, so each span arrives whole; one that touches
// the end of the bytes is cut short, and then the head is not complete either.

struct build {
    struct ch_http_request *request;
    const char *start; // of the request line
    size_t method_bytes;
    bool has_version;
    int status; // what to answer if a callback stopped the parser
};

static int stop(struct build *build, int status)
{
    build->status = status;
    return HPE_USER;
}

static int on_method(llhttp_t *parser, const char *at, size_t size)
{
    struct build *build = parser->data;
    (void)at;
    build->method_bytes = size;
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t size)
{
    struct build *build = parser->data;
    build->request->target = (struct ch_span){at, size};
    return at == build->start + build->method_bytes + 1 ? 0 : stop(build, BAD_REQUEST); // one blank, RFC 9112 3
}

// Called with the characters behind "HTTP/", and as well with those behind "RTSP/" and "ICE/".
static int on_version(llhttp_t *parser, const char *at, size_t size)
{
    struct build *build = parser->data;
    const struct ch_span *target = &build->request->target;
    if ((size_t)(at - target->data) != target->size + 6 || memcmp(at - 6, " HTTP/", 6) != 0)
        return stop(build, BAD_REQUEST);
    if (size < 3)
        return 0;
    if (!is_digit(at[0]) || at[1] != '.' || !is_digit(at[2]))
        return stop(build, BAD_REQUEST);
    if (at[0] != '1' || at[2] > '1')
        return stop(build, BAD_VERSION);
    build->request->minor_version = (uint8_t)(at[2] - '0');
    build->has_version = true;
    return 0;
}

static bool is_token(struct ch_span span)
{
    static const char others[] = "!#$%&'*+-.^_`|~"; // RFC 9110 5.6.2
    for (size_t i = 0; i < span.size; i++) {
        char c = lower(span.data[i]);
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !memchr(others, c, sizeof others - 1))
            return false;
    }
    return span.size > 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t size)
{
    struct build *build = parser->data;
    struct ch_http_request *request = build->request;
    if (!build->has_version) // fields right behind a target: HTTP/0.9 has none
        return stop(build, BAD_REQUEST);
    if (request->field_count < CH_HTTP_MAX_FIELDS)
        request->fields[request->field_count] = (struct ch_http_field){{at, size}, {at + size, 0}};
    return 0;
}

static int on_field_complete(llhttp_t *parser)
{
    struct build *build = parser->data;
    if (build->request->field_count == CH_HTTP_MAX_FIELDS)
        return stop(build, FIELDS_TOO_LARGE);
    return is_token(build->request->fields[build->request->field_count].name) ? 0 : stop(build, BAD_REQUEST);
}

static int on_value(llhttp_t *parser, const char *at, size_t size)
{
    struct build *build = parser->data;
    build->request->fields[build->request->field_count].value = trim((struct ch_span){at, size});
    return 0;
}

static int on_value_complete(llhttp_t *parser)
{
    struct build *build = parser->data;
    build->request->field_count++;
    return 0;
}

static int on_head_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

// 1 if the head is complete, 0 if more is needed, or minus a status.
static int run_llhttp(const char *data, size_t size, struct ch_http_request *out, llhttp_t *parser)
{
    static const llhttp_settings_t settings = {
        .on_method = on_method,
        .on_url = on_url,
        .on_version = on_version,
        .on_header_field = on_field,
        .on_header_field_complete = on_field_complete,
        .on_header_value = on_value,
        .on_header_value_complete = on_value_complete,
        .on_headers_complete = on_head_complete,
    };
    struct build build = {.request = out, .start = data, .status = BAD_REQUEST};
    llhttp_init(parser, HTTP_REQUEST, &settings);
    parser->data = &build;
    switch ((int)llhttp_execute(parser, data, size)) {
    case HPE_OK: return !build.has_version && memchr(data, '\n', size) ? BAD_REQUEST : 0; // HTTP/0.9
    case HPE_PAUSED: return build.has_version ? 1 : BAD_REQUEST;
    default: return build.status;
    }
}

// Judgements on a whole head

static enum ch_http_method method_of(const llhttp_t *parser)
{
    switch (parser->method) {
    case HTTP_GET: return CH_HTTP_GET;
    case HTTP_HEAD: return CH_HTTP_HEAD;
    case HTTP_POST: return CH_HTTP_POST;
    case HTTP_DELETE: return CH_HTTP_DELETE;
    case HTTP_OPTIONS: return CH_HTTP_OPTIONS;
    default: return CH_HTTP_OTHER;
    }
}

// Authority without user information, which has no business here (RFC 9110 4.2.4).
static bool is_authority(struct ch_span span)
{
    return span.size > 0 && !memchr(span.data, '@', span.size);
}

// Takes "scheme://authority" off an absolute-form target (RFC 9112 3.2.2). False if it is none.
static bool take_origin(struct ch_span *target)
{
    static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i]);
        if (target->size < length || strncasecmp(target->data, schemes[i], length) != 0)
            continue;
        struct ch_span authority = {target->data + length, 0};
        while (length + authority.size < target->size && !strchr("/?", authority.data[authority.size]))
            authority.size++;
        target->data += length + authority.size;
        target->size -= length + authority.size;
        return is_authority(authority);
    }
    return false;
}

static int judge_target(struct ch_http_request *request, bool connect)
{
    struct ch_span rest = request->target;
    request->query = (struct ch_span){rest.data + rest.size, 0};
    if (memchr(rest.data, '#', rest.size)) // a fragment stays with the client, RFC 9110 4.2.5
        return BAD_REQUEST;
    if (connect) { // authority form; there is no path to answer for
        request->path = (struct ch_span){rest.data, 0};
        return 0;
    }
    if (ch_span_equal(rest, "*")) { // RFC 9112 3.2.4
        request->path = rest;
        return request->method == CH_HTTP_OPTIONS ? 0 : BAD_REQUEST;
    }
    if (rest.data[0] != '/' && !take_origin(&rest))
        return BAD_REQUEST;
    request->path = split(&rest, '?');
    request->query = rest;
    if (request->path.size == 0) // "http://host" and "http://host?query", RFC 9110 4.2.3
        request->path = (struct ch_span){"/", 1};
    return 0;
}

// RFC 9112 3.2: exactly one Host in HTTP/1.1, never several, never something else than a host.
static int judge_host(const struct ch_http_request *request)
{
    size_t count = count_fields(request, "Host");
    if (count == 0)
        return request->minor_version == 0 ? 0 : BAD_REQUEST;
    struct ch_span host = ch_http_field(request, "Host");
    for (size_t i = 0; i < host.size; i++)
        if ((signed char)host.data[i] <= ' ' || strchr("\"#,/<>?@\\^`{|}\x7f", host.data[i]))
            return BAD_REQUEST;
    return count == 1 ? 0 : BAD_REQUEST;
}

// How long the body is, RFC 9112 6.3. llhttp has checked the digits of a length.
static int judge_body(struct ch_http_request *request, const llhttp_t *parser)
{
    size_t lengths = count_fields(request, "Content-Length"), codings = count_fields(request, "Transfer-Encoding");
    if (lengths > 1 || codings > 1 || (lengths == 1 && codings == 1))
        return BAD_REQUEST;
    if (lengths == 1)
        request->content_length = parser->content_length;
    if (codings == 0)
        return 0;
    struct ch_span coding = ch_http_field(request, "Transfer-Encoding");
    if (coding.size == 0 || request->minor_version == 0) // 6.1: a faulty frame in HTTP/1.0
        return BAD_REQUEST;
    request->chunked = ch_span_equal_nocase(coding, "chunked");
    return request->chunked ? 0 : NOT_IMPLEMENTED;
}

static int judge_connection(struct ch_http_request *request)
{
    bool current = request->minor_version >= 1;
    request->keep_alive =
        !fields_have(request, "Connection", "close") && (current || fields_have(request, "Connection", "keep-alive"));
    // RFC 6455 4.1, RFC 9110 7.8: an upgrade in HTTP/1.0 is ignored.
    request->upgrade_websocket = current && request->method == CH_HTTP_GET &&
                                 fields_have(request, "Connection", "upgrade") &&
                                 fields_have(request, "Upgrade", "websocket");
    // Are these bytes a body or frames? Two readers could differ, so none may come.
    bool has_body = request->chunked || request->content_length > 0;
    return request->upgrade_websocket && has_body ? BAD_REQUEST : 0;
}

static int judge(struct ch_http_request *request, const llhttp_t *parser)
{
    request->method = method_of(parser);
    int status = judge_target(request, parser->method == HTTP_CONNECT);
    if (!status)
        status = judge_host(request);
    if (!status)
        status = judge_body(request, parser);
    if (!status)
        status = judge_connection(request);
    return status;
}

// The head has reached its limit without an end: in the request line or behind it?
static int too_large(const char *data, const struct scan *scan)
{
    const char *line_end = memchr(data + scan->start, '\n', scan->end - scan->start);
    return line_end || scan->start == scan->end ? FIELDS_TOO_LARGE : URI_TOO_LONG;
}

int ch_http_parse(const char *data, size_t size, struct ch_http_request *out)
{
    *out = (struct ch_http_request){0};
    if (size == 0)
        return 0;
    if (size > CH_HTTP_MAX_HEAD)
        size = CH_HTTP_MAX_HEAD;
    struct scan scan = scan_head(data, size);
    llhttp_t parser;
    int result = run_llhttp(data + scan.start, scan.end - scan.start, out, &parser);
    if (result < 0)
        return result;
    if (scan.bad || scan.complete != (result == 1))
        return BAD_REQUEST;
    if (!scan.complete)
        return size == CH_HTTP_MAX_HEAD ? too_large(data, &scan) : 0;
    int status = judge(out, &parser);
    if (status)
        return status;
    out->head_bytes = scan.end;
    return (int)scan.end;
}

// Paths

int ch_http_decode_path(struct ch_span path, char *out, size_t capacity)
{
    size_t length = 0;
    for (size_t i = 0; i < path.size; i++) {
        int c = (unsigned char)path.data[i];
        if (c == '%') {
            if (path.size - i < 3 || ch_hex_digit(path.data[i + 1]) < 0 || ch_hex_digit(path.data[i + 2]) < 0)
                return -EINVAL;
            c = ch_hex_digit(path.data[i + 1]) << 4 | ch_hex_digit(path.data[i + 2]);
            i += 2;
        }
        if (c < 0x20 || c == 0x7f)
            return -EINVAL;
        if (length + 1 >= capacity || length == INT_MAX)
            return -ENAMETOOLONG;
        out[length++] = (char)c;
    }
    if (capacity == 0)
        return -ENAMETOOLONG;
    out[length] = '\0';
    return (int)length;
}

// Ranges, RFC 9110 14.1.2, 14.2

// A decimal number, at most UINT64_MAX; false if the span is empty or has anything else.
static bool parse_position(struct ch_span span, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < span.size; i++) {
        if (!is_digit(span.data[i]))
            return false;
        unsigned digit = (unsigned)(span.data[i] - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    *out = value;
    return span.size > 0;
}

// The last `count` bytes. Of nothing there is no last byte to name: the whole of it is the answer.
static enum ch_range_result suffix_range(uint64_t count, uint64_t total, uint64_t *first, uint64_t *last)
{
    if (count == 0)
        return CH_RANGE_UNSATISFIABLE;
    if (total == 0)
        return CH_RANGE_NONE;
    *first = count < total ? total - count : 0;
    *last = total - 1;
    return CH_RANGE_OK;
}

enum ch_range_result ch_http_range(struct ch_span value, uint64_t total, uint64_t *first, uint64_t *last)
{
    struct ch_span set = trim(value);
    struct ch_span unit = split(&set, '=');
    if (!ch_span_equal_nocase(unit, "bytes") || set.size == 0 || !memchr(set.data, '-', set.size))
        return CH_RANGE_NONE;
    struct ch_span left = split(&set, '-'); // a comma is no digit, so several ranges fail below
    uint64_t from, to = UINT64_MAX;
    if (left.size == 0)
        return parse_position(set, &to) ? suffix_range(to, total, first, last) : CH_RANGE_NONE;
    if (!parse_position(left, &from) || (set.size > 0 && !parse_position(set, &to)) || from > to)
        return CH_RANGE_NONE;
    if (from >= total)
        return CH_RANGE_UNSATISFIABLE;
    *first = from;
    *last = to < total ? to : total - 1;
    return CH_RANGE_OK;
}

// Dates, RFC 9110 5.6.7, in English wherever we run; years 1970 to 9999.

void ch_http_date(time_t when, char out[CH_HTTP_DATE_BYTES])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const time_t latest = 253402300799;
    struct tm tm;
    char text[128];
    when = when < 0 ? 0 : when > latest ? latest : when;
    gmtime_r(&when, &tm);
    snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
             tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    memcpy(out, text, CH_HTTP_DATE_BYTES);
}

const char *ch_http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].reason;
    return "Unknown";
}
