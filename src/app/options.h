// What the hub can be told, from the command line.
#ifndef CH_APP_OPTIONS_H
#define CH_APP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct ch_options {
    const char *host;
    uint16_t port;          // 0: any free one
    const char *recordings; // folder, made if missing
    bool open;              // no keys asked for
    bool h264;              // keep stream.h264 in sessions
    bool thumbnails;
    int64_t sync_us;
    uint32_t max_message_bytes;
    const char *ffmpeg; // program for thumbnails
};

#endif
