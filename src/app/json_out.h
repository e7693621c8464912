// JSON values as the API writes them (docs/openapi.json): times as RFC 3339 in UTC, durations in seconds, and text of
// any origin, which need not be UTF-8. All return a new value, or NULL without memory.
#ifndef CH_APP_JSON_OUT_H
#define CH_APP_JSON_OUT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

json_t *ch_json_text(const char *text);                 // NULL: null; bytes that are no UTF-8 become '?'
json_t *ch_json_text_of(const char *text, size_t size); // of any size, with any bytes
json_t *ch_json_time(int64_t wall_us);                  // "2026-11-21T03:44:15.123Z"
json_t *ch_json_seconds(int64_t duration_us);           // to the millisecond; below 0: 0
json_t *ch_json_hundredths(uint32_t hundredths);        // 12.34
char *ch_json_write(const json_t *value, size_t *size); // owned by the caller; value may be NULL, then so is this

#endif
