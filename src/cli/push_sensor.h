// The sensor of an ESP32 camera and the lines that turn its knobs (wire protocol 2): `start [RESOLUTION] [QUALITY]`,
// `stop`, `status`, `set NAME=VALUE...`. Pure.
#ifndef CH_CLI_PUSH_SENSOR_H
#define CH_CLI_PUSH_SENSOR_H

#include <stdbool.h>
#include <stddef.h>

#define CH_PUSH_SENSOR_MAX_FPS 120

enum ch_push_setting {
    CH_PUSH_RESOLUTION, // index into ch_jpeg_resolutions
    CH_PUSH_QUALITY,    // 1, the best, to 63
    CH_PUSH_FPS,        // 0: as the source has it
    CH_PUSH_BRIGHTNESS, // these three -2 to 2
    CH_PUSH_CONTRAST,
    CH_PUSH_SATURATION,
    CH_PUSH_HMIRROR, // 0 or 1
    CH_PUSH_VFLIP,
    CH_PUSH_SETTINGS,
};

struct ch_push_sensor {
    int value[CH_PUSH_SETTINGS];
};

// VGA, quality 12, 10 pictures per second.
void ch_push_sensor_init(struct ch_push_sensor *sensor);
// A value as `set` takes it. 0 or -EINVAL.
int ch_push_sensor_set(struct ch_push_sensor *sensor, enum ch_push_setting setting, const char *value);
// What ch_push_sensor_set takes, for messages.
void ch_push_sensor_allowed(enum ch_push_setting setting, char *out, size_t room);
bool ch_push_sensor_same(const struct ch_push_sensor *a, const struct ch_push_sensor *b);
void ch_push_sensor_size(const struct ch_push_sensor *sensor, unsigned *width, unsigned *height);
// "VGA (640x480), quality 12, 10 fps, brightness 1": what differs from 0 of the rest. Length without the zero.
#define CH_PUSH_SENSOR_TEXT 160
size_t ch_push_sensor_describe(const struct ch_push_sensor *sensor, char out[CH_PUSH_SENSOR_TEXT]);

enum ch_push_line {
    CH_PUSH_LINE_EMPTY,
    CH_PUSH_LINE_START,
    CH_PUSH_LINE_STOP,
    CH_PUSH_LINE_STATUS,
    CH_PUSH_LINE_SET,
    CH_PUSH_LINE_OTHER, // a debug string
};

// What the camera says to a line, zero-terminated UTF-8, cut if it would be longer; empty: nothing.
#define CH_PUSH_ANSWER_BYTES 1100
struct ch_push_answer {
    enum ch_push_line line;
    char error[CH_PUSH_ANSWER_BYTES]; // "ERROR: ...": every bad value, what it stands for stays as it is
    char ack[CH_PUSH_ANSWER_BYTES];   // "ACK: ...": what was understood. Not of `status`
};

// One line, valid UTF-8. Commands, names and resolutions are taken in upper and lower case; words behind the known
// ones of start, stop and status are ignored. The sensor takes on what is good of it.
void ch_push_sensor_take(struct ch_push_sensor *sensor, const char *line, size_t size, struct ch_push_answer *out);

#endif
