#include "app/json_out.h"

#include "base/clock.h"
#include "proto/ws.h"

#include <stdlib.h>
#include <string.h>

json_t *ch_json_text_of(const char *text, size_t size)
{
    if (ch_utf8_valid((const uint8_t *)text, size))
        return json_stringn_nocheck(text, size);
    char *mended = malloc(size);
    if (!mended)
        return NULL;
    memcpy(mended, text, size);
    for (size_t at = 0; at < size; at++) {
        at += ch_utf8_prefix((const uint8_t *)mended + at, size - at);
        if (at < size)
            mended[at] = '?';
    }
    json_t *value = json_stringn_nocheck(mended, size);
    free(mended);
    return value;
}

json_t *ch_json_text(const char *text)
{
    return text ? ch_json_text_of(text, strlen(text)) : json_null();
}

json_t *ch_json_time(int64_t wall_us)
{
    char text[CH_RFC3339_BYTES];
    ch_format_rfc3339(wall_us, text);
    return json_string_nocheck(text);
}

// JSON has no other numbers with a fraction than these.
static json_t *fraction(int64_t number, int64_t denominator)
{
    return json_real((double)number / (double)denominator);
}

json_t *ch_json_seconds(int64_t duration_us)
{
    return fraction(duration_us < 0 ? 0 : duration_us / 1000, 1000);
}

json_t *ch_json_hundredths(uint32_t hundredths)
{
    return fraction(hundredths, 100);
}

char *ch_json_write(const json_t *value, size_t *size)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    *size = text ? strlen(text) : 0;
    return text;
}
