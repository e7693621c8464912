#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool name_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

bool ch_name_valid(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > CH_NAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!name_character(name[i]))
            return false;
    return true;
}

int ch_parse_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
    char *end;
    if (!isdigit((unsigned char)text[0]) && !(text[0] == '-' && isdigit((unsigned char)text[1])))
        return -EINVAL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*end)
        return -EINVAL;
    if (errno || value < min || value > max)
        return -ERANGE;
    *out = value;
    return 0;
}

int ch_parse_seconds_us(const char *text, int64_t min_us, int64_t max_us, int64_t *out_us)
{
    size_t whole = strspn(text, "0123456789");
    if (whole == 0)
        return -EINVAL;
    if (whole > 9)
        return -ERANGE;
    int64_t value = strtoll(text, NULL, 10) * 1000000;
    if (text[whole] == '.') {
        int64_t unit = 100000;
        for (const char *p = text + whole + 1; *p; p++, unit /= 10) {
            if (!isdigit((unsigned char)*p))
                return -EINVAL;
            value += (*p - '0') * unit;
        }
    } else if (text[whole]) {
        return -EINVAL;
    }
    if (value < min_us || value > max_us)
        return -ERANGE;
    *out_us = value;
    return 0;
}

int ch_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20); // lower case
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void ch_format_hex(const uint8_t *data, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * size] = '\0';
}
