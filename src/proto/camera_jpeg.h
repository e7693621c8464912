// What JPEG cameras are told (wire protocol 2): one line of text. Pure.
#ifndef CH_PROTO_CAMERA_JPEG_H
#define CH_PROTO_CAMERA_JPEG_H

#include <stdbool.h>
#include <stddef.h>

#define CH_JPEG_QUALITY_MIN 1 // the best
#define CH_JPEG_QUALITY_MAX 63
#define CH_JPEG_TEXT_MAX 1000 // bytes of a line that is sent as it is

// The names that `start` takes, from the smallest picture to the largest; NULL behind the last.
#define CH_JPEG_RESOLUTIONS 17
extern const char *const ch_jpeg_resolutions[CH_JPEG_RESOLUTIONS + 1];
// The table's own spelling of a name in upper or lower case, or NULL.
const char *ch_jpeg_resolution(const char *name);

// "start [RESOLUTION] [QUALITY]"; resolution NULL and quality 0: left out, so that the camera's own hold. Length
// without the zero.
#define CH_JPEG_START_BYTES 32
size_t ch_jpeg_write_start(const char *resolution, int quality, char out[CH_JPEG_START_BYTES]);

// "set NAME=VALUE NAME=VALUE...".
#define CH_JPEG_SETTINGS_MAX 16
#define CH_JPEG_NAME_MAX 32
#define CH_JPEG_VALUE_MAX 64
struct ch_jpeg_setting {
    const char *name, *value;
};
// [a-z][a-z0-9_]{0,31}
bool ch_jpeg_setting_name_valid(const char *name);
// 1 to 64 bytes of UTF-8 without blanks and control characters: a camera splits its line at blanks.
bool ch_jpeg_setting_value_valid(const char *value);
// Length without the zero, or -EINVAL (no setting, too many, one that is not valid).
#define CH_JPEG_SET_BYTES (4 + CH_JPEG_SETTINGS_MAX * (CH_JPEG_NAME_MAX + CH_JPEG_VALUE_MAX + 2))
int ch_jpeg_write_set(const struct ch_jpeg_setting *settings, size_t count, char out[CH_JPEG_SET_BYTES]);

// May this be sent as a line? 0; -EMSGSIZE (nothing, or over CH_JPEG_TEXT_MAX bytes); -EINVAL (control characters,
// a line break among them, or not UTF-8).
int ch_jpeg_check_text(const char *text, size_t size);

#endif
