// What a source is: what is pulled in, how it is encoded, how long it may take. Filled in by whoever reads the
// configuration (app/config.h, docs/configuration.md); all bounds are checked there.
#ifndef CH_SOURCE_SOURCE_CONFIG_H
#define CH_SOURCE_SOURCE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

enum ch_source_type {
    CH_SOURCE_SCREEN,  // an X11 display, or one of its monitors, or a region of it
    CH_SOURCE_WINDOW,  // a window found by its title, or a region of it
    CH_SOURCE_NETWORK, // rtsp, rtmp, http, https, srt, udp
    CH_SOURCE_DEVICE,  // V4L2
    CH_SOURCE_FILE,
    CH_SOURCE_FFMPEG, // an input as ffmpeg arguments
};

enum ch_source_transport { CH_TRANSPORT_AUTO, CH_TRANSPORT_TCP, CH_TRANSPORT_UDP };

struct ch_region { // of a screen or window, or of the pictures of any other source; pixels
    bool set;
    uint32_t x, y, width, height; // width and height even, at least 16
};

// ffmpeg.* of the configuration. Always H.264 and AAC, whatever codecs are named there.
struct ch_encode {
    char bitrate[16]; // "2M"
    uint32_t framerate;
    char preset[16], tune[16]; // x264's
    bool always;               // also of H.264 that could be copied
};

// process.*
struct ch_source_process {
    uint32_t crash_threshold;
    int64_t crash_window_us;
    int64_t shutdown_timeout_us;
    int64_t stall_timeout_us; // without a byte: counts as crashed
    int nice;
    uint64_t memory_bytes; // address space; 0: unlimited
};

// All texts are owned; NULL where they do not apply.
struct ch_source_config {
    char name[65];
    enum ch_source_type type;
    struct ch_region region;
    // SCREEN, WINDOW
    char *display; // NULL: DISPLAY of the environment
    uint32_t display_index;
    char *window_title;
    bool find_by_substring, draw_mouse;
    // NETWORK
    char *url;
    enum ch_source_transport transport;
    int64_t timeout_us;              // of connecting and of silence
    int64_t reconnect_delay_us;      // the first pause before another attempt
    uint32_t max_reconnect_attempts; // in a row without a picture; then it is given up
    // DEVICE
    char *device, *input_format;
    uint32_t width, height; // 0: as the device likes
    // FILE
    char *path;
    bool loop;
    // FFMPEG: the input, from its options to -i and its name; ends with NULL
    char **args;

    bool audio;        // what the source has, or what audio_args give; false: none
    char **audio_args; // a second input for sound, as `args`; NULL: none
    bool record_always;
    struct ch_encode encode;
    struct ch_source_process process;
};

// A copy of everything. NULL without memory.
struct ch_source_config *ch_source_config_copy(const struct ch_source_config *config);
void ch_source_config_free(struct ch_source_config *config); // NULL is fine
bool ch_source_config_same(const struct ch_source_config *a, const struct ch_source_config *b);

#endif
