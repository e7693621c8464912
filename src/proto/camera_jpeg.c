#include "proto/camera_jpeg.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "proto/ws.h"

const char *const ch_jpeg_resolutions[CH_JPEG_RESOLUTIONS + 1] = {
    "QQVGA", "QCIF", "HQVGA", "240X240", "QVGA", "CIF",  "HVGA",  "VGA",  "SVGA",
    "XGA",   "HD",   "SXGA",  "UXGA",    "FHD",  "P_HD", "P_3MP", "QXGA",
};

const char *ch_jpeg_resolution(const char *name)
{
    for (size_t i = 0; i < CH_JPEG_RESOLUTIONS; i++)
        if (strcasecmp(name, ch_jpeg_resolutions[i]) == 0)
            return ch_jpeg_resolutions[i];
    return NULL;
}

size_t ch_jpeg_write_start(const char *resolution, int quality, char out[CH_JPEG_START_BYTES])
{
    size_t size =
        (size_t)snprintf(out, CH_JPEG_START_BYTES, "start%s%.16s", resolution ? " " : "", resolution ? resolution : "");
    if (quality >= CH_JPEG_QUALITY_MIN && quality <= CH_JPEG_QUALITY_MAX)
        size += (size_t)snprintf(out + size, CH_JPEG_START_BYTES - size, " %d", quality);
    return size;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

bool ch_jpeg_setting_name_valid(const char *name)
{
    size_t size = strnlen(name, CH_JPEG_NAME_MAX + 1);
    if (size > CH_JPEG_NAME_MAX || !is_lower(name[0]))
        return false;
    for (size_t i = 1; i < size; i++)
        if (!is_lower(name[i]) && !(name[i] >= '0' && name[i] <= '9') && name[i] != '_')
            return false;
    return true;
}

// C0 and DEL, and C1, which terminals obey too: two bytes in UTF-8.
static bool is_control(const uint8_t *text, size_t left)
{
    return text[0] < 0x20 || text[0] == 0x7f || (text[0] == 0xc2 && left > 1 && text[1] < 0xa0);
}

static bool has_control(const char *text, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)text;
    for (size_t i = 0; i < size; i++)
        if (is_control(bytes + i, size - i))
            return true;
    return false;
}

bool ch_jpeg_setting_value_valid(const char *value)
{
    size_t size = strnlen(value, CH_JPEG_VALUE_MAX + 1);
    return size > 0 && size <= CH_JPEG_VALUE_MAX && !memchr(value, ' ', size) && !has_control(value, size) &&
           ch_utf8_valid((const uint8_t *)value, size);
}

int ch_jpeg_write_set(const struct ch_jpeg_setting *settings, size_t count, char out[CH_JPEG_SET_BYTES])
{
    if (count == 0 || count > CH_JPEG_SETTINGS_MAX)
        return -EINVAL;
    size_t size = (size_t)snprintf(out, CH_JPEG_SET_BYTES, "set");
    for (size_t i = 0; i < count; i++) {
        if (!ch_jpeg_setting_name_valid(settings[i].name) || !ch_jpeg_setting_value_valid(settings[i].value))
            return -EINVAL;
        size += (size_t)snprintf(out + size, CH_JPEG_SET_BYTES - size, " %s=%s", settings[i].name, settings[i].value);
    }
    return (int)size;
}

int ch_jpeg_check_text(const char *text, size_t size)
{
    if (size == 0 || size > CH_JPEG_TEXT_MAX)
        return -EMSGSIZE;
    return has_control(text, size) || !ch_utf8_valid((const uint8_t *)text, size) ? -EINVAL : 0;
}
