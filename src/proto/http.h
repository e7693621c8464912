// HTTP/1.1 request heads, parsed by llhttp and handed out as facts; and the other small grammars a
// server needs (Range, response heads, dates, paths). Pure. RFC 9110, RFC 9112.
#ifndef CH_PROTO_HTTP_H
#define CH_PROTO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define CH_HTTP_MAX_HEAD 16384u // request line and all fields
#define CH_HTTP_MAX_FIELDS 64u

enum ch_http_method { CH_HTTP_GET, CH_HTTP_HEAD, CH_HTTP_POST, CH_HTTP_DELETE, CH_HTTP_OPTIONS, CH_HTTP_OTHER };

// Points into the head's bytes; not terminated.
struct ch_span {
    const char *data;
    size_t size;
};

struct ch_http_request {
    enum ch_http_method method;
    struct ch_span target;      // as sent (RFC 9112 3.2)
    struct ch_span path, query; // before and behind the first '?', without the scheme and
                                // authority of an absolute form. The path begins with '/'
                                // (a literal one if the absolute form has none), but is "*"
                                // with OPTIONS *, and empty with CONNECT (CH_HTTP_OTHER)
    uint8_t minor_version;      // of HTTP/1.x
    bool keep_alive;
    bool upgrade_websocket;  // GET, HTTP/1.1, Connection: upgrade, Upgrade: websocket
    uint64_t content_length; // 0 if absent
    bool chunked;
    struct ch_http_field {
        struct ch_span name, value;
    } fields[CH_HTTP_MAX_FIELDS];
    size_t field_count;
    size_t head_bytes; // what the head takes of the input; the body or the first
                       // WebSocket frame follows
};

// Parses a whole request head. Bytes consumed, 0 if the head is not complete yet (call again with
// the same bytes and more), or minus the status to answer with, after which the connection is of
// no more use: -400 (malformed; HTTP/1.1 without one Host; also anything that request smuggling
// needs: both lengths, folded fields, blanks before a colon, bare LF, a WebSocket upgrade with a
// body), -414 or -431 (request line or head over CH_HTTP_MAX_HEAD, too many fields), -501 (a
// transfer coding other than chunked), -505 (a version other than 1.0 and 1.1).
// Bytes in pieces give the answer of the whole: for a prefix it is 0 or the final one.
int ch_http_parse(const char *data, size_t size, struct ch_http_request *out);

// A field's value by name (case-insensitive), or a span with data NULL. The first of several.
struct ch_span ch_http_field(const struct ch_http_request *request, const char *name);
bool ch_span_equal(struct ch_span span, const char *text);
bool ch_span_equal_nocase(struct ch_span span, const char *text);
// True if a comma-separated list has the token (case-insensitive).
bool ch_http_list_has(struct ch_span list, const char *token);

// Percent-decodes a path into out (terminated). Bytes written without the zero, or -EINVAL (bad
// escape, an escaped zero or control character) or -ENAMETOOLONG.
int ch_http_decode_path(struct ch_span path, char *out, size_t capacity);

// Range for a representation of `total` bytes, RFC 9110 14.2: one range only.
enum ch_range_result {
    CH_RANGE_NONE,          // absent, not bytes, malformed, or several ranges: answer 200 with all
    CH_RANGE_OK,            // 206: *first..*last inclusive
    CH_RANGE_UNSATISFIABLE, // 416
};
enum ch_range_result ch_http_range(struct ch_span value, uint64_t total, uint64_t *first, uint64_t *last);

// "Sun, 06 Nov 1994 08:49:37 GMT", 30 bytes with the zero.
#define CH_HTTP_DATE_BYTES 30
void ch_http_date(time_t when, char out[CH_HTTP_DATE_BYTES]);

// Reason phrase; "Unknown" if we never send that status.
const char *ch_http_reason(int status);

#endif
