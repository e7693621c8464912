// The encoder of a room of cameras: one ffmpeg child at a time, whose pictures go to all of them.
//
// Started with other values while it runs, it is stopped first and started when it has gone: a video
// device opens only once, and a hub that sends one start_capture after the other makes no crowd of
// children. One that gives no picture at all is given up after 15 s.
#ifndef CH_CLI_PUSH_ENCODER_H
#define CH_CLI_PUSH_ENCODER_H

#include "cli/push_ffmpeg.h"
#include "cli/push_mpjpeg.h"
#include "cli/push_payload.h"
#include "codec/flv.h"
#include "source/child.h"

struct ch_push_encoder_events {
    // The encoder runs; H.264: its parameter sets are in ->sets from now on.
    void (*running)(void *context);
    void (*picture)(void *context, struct ch_push_payload *payload, int64_t device_ms, bool key);
    // It ended by itself: error is NULL at the end of the source. Not after stop or close.
    void (*ended)(void *context, const char *error);
};

struct ch_push_encoder {
    const struct ch_push_options *options;
    enum ch_push_kind kind;
    const struct ch_push_encoder_events *events;
    void *context;
    void (*closed)(struct ch_push_encoder *encoder);

    struct ch_child child;
    uv_timer_t timer;         // from the start to the first output
    unsigned handles;         // still to be closed
    struct ch_flv_reader flv; // of H.264
    uint8_t *sets;            // owned; its newest parameter sets as Annex B
    size_t sets_bytes;
    struct ch_push_mpjpeg mpjpeg;  // of JPEGs
    struct ch_push_values values;  // of the run, or of the one to come
    bool wanted;                   // between start and stop
    bool mute;                     // the running child is an old one
    bool running;                  // parameter sets are there, or the first JPEG
    bool broken, late;             // its output cannot be understood; or did not come in time
    int64_t base_ms, base_time_ms; // device time of the first picture, and its time in the stream; -1: none yet
};

// All is borrowed until closed. 0 or a negative errno.
int ch_push_encoder_init(struct ch_push_encoder *encoder, uv_loop_t *loop, const struct ch_push_options *options,
                         enum ch_push_kind kind, const struct ch_push_encoder_events *events, void *context);
// 0 or a negative errno: ffmpeg cannot be run.
int ch_push_encoder_start(struct ch_push_encoder *encoder, const struct ch_push_values *values);
void ch_push_encoder_stop(struct ch_push_encoder *encoder);
void ch_push_encoder_close(struct ch_push_encoder *encoder, void (*closed)(struct ch_push_encoder *encoder));

// Holds ffmpeg back while cameras cannot send what they have.
void ch_push_encoder_pause(struct ch_push_encoder *encoder);
void ch_push_encoder_resume(struct ch_push_encoder *encoder);

int64_t ch_push_boot_ms(void); // what a phone's encoder stamps with: ms since boot, sleep included

#endif
