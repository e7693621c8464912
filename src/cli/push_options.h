// What `camhub push` was asked to do.
#ifndef CH_CLI_PUSH_OPTIONS_H
#define CH_CLI_PUSH_OPTIONS_H

#include "base/text.h"
#include "cli/push_sensor.h"
#include "cli/push_url.h"

#include <stdbool.h>
#include <stdint.h>

#define CH_PUSH_MAX_CAMERAS 5000
#define CH_PUSH_MAX_FPS 240
#define CH_PUSH_MAX_BITRATE 1000 // Mbit/s

struct ch_push_options {
    struct ch_push_url url;
    const char *source; // NULL: the test picture
    bool fast;          // not paced by the clock
    bool loop;
    bool start; // begin without being told to
    bool decode_times;
    bool quiet;
    bool jpeg;                    // an ESP32 camera, not a phone
    bool sensor_named;            // --resolution or --quality was given
    struct ch_push_sensor sensor; // of such a one, at first
    uint64_t count;               // pictures of each camera; 0: no end
    unsigned cameras;             // 0: one, named as the URL says
    char name[CH_NAME_MAX + 1];   // or empty
    int fps;                      // -1: not given
    int bitrate_mbps;
    unsigned width, height; // 0, 0: not given
    int64_t reconnect_us;   // 0: do not
};

enum ch_push_parsed {
    CH_PUSH_GO,
    CH_PUSH_HELPED, // --help was asked for and printed
    CH_PUSH_WRONG,  // the complaint was printed on stderr
};
// argv[0] is the command word. What *out points to lives in argv.
enum ch_push_parsed ch_push_options_parse(int argc, char **argv, struct ch_push_options *out);

// The name of camera `index`, or NULL if it is the URL's.
const char *ch_push_camera_name(const struct ch_push_options *options, unsigned index, char out[CH_NAME_MAX + 1]);

#endif
