// Small questions about text.
#ifndef CH_BASE_TEXT_H
#define CH_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_NAME_MAX 64
// [A-Za-z0-9._-]{1,64}, and neither "." nor "..", as it becomes part of a folder's name.
bool ch_name_valid(const char *name);

// A decimal number within bounds, nothing else in the text. 0, -EINVAL (no number) or -ERANGE.
int ch_parse_int(const char *text, int64_t min, int64_t max, int64_t *out);
// Seconds as a decimal fraction ("0.5") into microseconds. As ch_parse_int.
int ch_parse_seconds_us(const char *text, int64_t min_us, int64_t max_us, int64_t *out_us);

// 0 to 15, or -1.
int ch_hex_digit(char c);
// Lower-case hex of `size` bytes; out has 2 * size + 1.
void ch_format_hex(const uint8_t *data, size_t size, char *out);

#endif
