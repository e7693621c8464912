// What a camera says and hears: the two wire protocols.
#ifndef CH_CLI_PUSH_LANGUAGE_H
#define CH_CLI_PUSH_LANGUAGE_H

#include <stdbool.h>
#include <stddef.h>

struct ch_push_camera;

// All texts but what is heard are sent on an open connection or go nowhere.
struct ch_push_language {
    bool headers; // 16 bytes in front of each picture, and parameter sets before the first one
    void (*greet)(struct ch_push_camera *camera); // connected
    void (*begin)(struct ch_push_camera *camera); // begins with the values of --start
    void (*began)(struct ch_push_camera *camera); // pictures follow
    void (*ended)(struct ch_push_camera *camera); // no more follow; the state is already the next one
    void (*failed)(struct ch_push_camera *camera, const char *why);
    // A text of the hub, valid UTF-8 without a zero at its end.
    void (*hear)(struct ch_push_camera *camera, const char *text, size_t size);
};

extern const struct ch_push_language ch_push_phone; // wire protocol 1
extern const struct ch_push_language ch_push_esp32; // wire protocol 2

#endif
