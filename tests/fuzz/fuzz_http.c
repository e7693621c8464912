// A request head: whole and in every prefix, which must agree; whatever is handed out lies inside the
// head; and what a server does next with it (paths, ranges, lists).
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "proto/http.h"

#define ALL_PREFIXES_UP_TO 200 // as it takes quadratic time; of longer inputs some

static void check_inside(struct ch_span span, const uint8_t *data, size_t size)
{
    const char *begin = (const char *)data;
    assert(span.data >= begin && span.size <= size && span.data + span.size <= begin + size);
}

static void check_small_grammars(struct ch_span value)
{
    char path[200];
    uint64_t first, last;
    int length = ch_http_decode_path(value, path, sizeof path);
    assert(length < (int)sizeof path && (length < 0 || path[length] == '\0'));
    for (int i = 0; i < length; i++)
        assert((unsigned char)path[i] >= 0x20 && path[i] != 0x7f);
    for (uint64_t total = 0; total <= 100; total += 50)
        if (ch_http_range(value, total, &first, &last) == CH_RANGE_OK)
            assert(first <= last && last < total);
    ch_http_list_has(value, "upgrade");
}

static void check_request(const struct ch_http_request *request, const uint8_t *data, size_t head)
{
    assert(request->field_count <= CH_HTTP_MAX_FIELDS && request->minor_version <= 1);
    check_inside(request->target, data, head);
    check_inside(request->query, data, head);
    assert(request->path.size > 0 || request->method == CH_HTTP_OTHER);
    assert(request->path.size == 0 || request->path.data[0] == '/' || ch_span_equal(request->path, "*"));
    for (size_t i = 0; i < request->field_count; i++) {
        check_inside(request->fields[i].name, data, head);
        check_inside(request->fields[i].value, data, head);
        assert(request->fields[i].name.size > 0);
        assert(!memchr(request->fields[i].value.data, '\r', request->fields[i].value.size));
        check_small_grammars(request->fields[i].value);
    }
    assert(!(request->chunked && request->content_length));
    assert(!request->upgrade_websocket || (!request->chunked && !request->content_length));
    assert(request->minor_version == 0 || ch_http_field(request, "host").data);
    assert(memcmp(data + head - 4, "\r\n\r\n", 4) == 0);
    check_small_grammars(request->path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ch_http_request request, part;
    int whole = ch_http_parse((const char *)data, size, &request);
    assert(whole <= (int)CH_HTTP_MAX_HEAD && (whole <= 0 || (size_t)whole <= size));
    assert(whole != 0 || size < CH_HTTP_MAX_HEAD);
    if (whole < 0)
        assert(strcmp(ch_http_reason(-whole), "Unknown") != 0);
    if (whole > 0)
        check_request(&request, data, (size_t)whole);
    size_t step = size <= ALL_PREFIXES_UP_TO ? 1 : size / 16;
    for (size_t n = 0; n < size; n += step) {
        int result = ch_http_parse((const char *)data, n, &part);
        assert(result == 0 || result == whole);
        assert(whole <= 0 || (result == 0) == (n < (size_t)whole));
    }
    check_small_grammars((struct ch_span){(const char *)data, size});
    return 0;
}
