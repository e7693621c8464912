// Gives every picture its time: presentation time from the device's clock, exactly, and a decode time
// that fits. Ticks of 90 kHz on a timeline of the stream's own, whose first picture is at
// CH_TIMELINE_ORIGIN.
//
// Clock. Device times are unwrapped relative to the first picture. The device's clock has jumped where
// a step contradicts the arrival clock by more than two seconds and cannot be explained by the network:
// transport can only delay, so a picture that arrives earlier than the least-delayed ones of the last
// minute allow was stamped by a clock set forward, and a picture stamped earlier than the one before
// it by a clock set back. The timeline then goes on at the stream's own pace (the median of its last
// steps) and takes the new base. The same holds for any step back right after the encoder was started anew.
// A clock that is trusted may run ahead of its pictures' arrival, and they may come in bursts: only a long step is a
// jump.
//
// Order. Without B-frames, decode and presentation time are the same; a repeated or backward time is
// shifted to one tick behind the last. With B-frames (a reorder depth above 0), the picture order count tells
// in which order pictures are shown, and the device times turn out to be either presentation times,
// which run backward where the order count does, or times in decoding order, which do not. In the
// second case the times are dealt out again in presentation order, for which pictures are held until
// their place is known: at most a mini-GOP. Decode times are the sorted presentation times, delayed
// by the reorder depth (as a decoder's output would be).
//
// Sound. An AAC frame's time is what the device's clock says by the map that holds for the newest picture, unrepaired.
// Device times are rounded to milliseconds: from one frame to the next samples are counted instead, for as long as
// they agree with the device's to within CH_TIMELINE_SOUND_MS, and until the clock jumps.
//
// Pure: no clock is read here. One thread.
#ifndef CH_STREAM_TIMELINE_H
#define CH_STREAM_TIMELINE_H

#include "base/pace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_TIMELINE_ORIGIN INT64_C(90000)
#define CH_TIMELINE_HOLD 32 // pictures and bystanders held at the most
#define CH_TIMELINE_DEPTH 16
#define CH_TIMELINE_SOUND_MS 40

struct ch_timeline_picture {
    void *user;
    bool bystander; // not a picture: has no time, only keeps its place among them
    uint64_t device_ms;
    int64_t arrival_us; // monotonic
    bool key, has_poc;
    int32_t poc;
    unsigned depth;              // reorder depth of its SPS
    uint32_t nominal_step_ticks; // the stream's pace as long as no step was seen
    // Out:
    int64_t pts_ticks, dts_ticks;
    bool repaired, jumped;
};

enum ch_timeline_order { CH_ORDER_UNDECIDED, CH_ORDER_PRESENTATION, CH_ORDER_DECODING, CH_ORDER_SAME };

struct ch_timeline {
    // Clock
    bool started;
    uint64_t last_device_ms;
    int64_t last_arrival_us;
    int64_t last_ticks;        // unrepaired time of the last picture
    int64_t delay_us;          // arrival minus device time of the last picture, on an arbitrary base
    int64_t least_delay_us[2]; // of the present and the previous half minute
    int64_t least_since_us;
    bool new_clock; // the encoder may have been started anew
    bool trusted;
    struct ch_pace pace; // steps of the device's clock
    // Order
    enum ch_timeline_order order;
    unsigned depth, calm; // pictures in a row without reordering
    struct ch_timeline_held {
        struct ch_timeline_picture picture;
        int64_t ticks;
        bool timed;
    } held[CH_TIMELINE_HOLD]; // in decoding order; `timed` ones have their pts
    struct {
        bool has_poc;
        int32_t poc;
        int64_t ticks;
    } last; // picture pushed
    unsigned held_count;
    int64_t stamps[CH_TIMELINE_HOLD]; // times of held pictures not yet dealt out, ascending
    unsigned stamp_count;
    struct {
        int32_t poc;
        int64_t pts;
    } recent[CH_TIMELINE_DEPTH]; // of this coded video sequence
    unsigned recent_count;
    int64_t max_pts;
    int64_t floor; // no picture of this coded video sequence is shown up to here
    unsigned lead; // ticks to leave free before the next picture
    // Decode times
    int64_t window[CH_TIMELINE_DEPTH + 1]; // sorted presentation times not yet used as decode times
    unsigned window_count, window_depth, primed;
    int64_t last_dts;
    // Sound
    unsigned jumps; // of the clock
    struct {
        uint32_t rate, frame_samples;
        unsigned jumps;     // as they were at the last AAC frame
        uint64_t device_ms; // of that
        int64_t last_time;  // of the last AAC frame, in samples
    } sound;
};

void ch_timeline_init(struct ch_timeline *timeline);

// Takes the next picture in decoding order; its `user` comes back from ch_timeline_pop.
// There must be room: pop until false after every push.
void ch_timeline_push(struct ch_timeline *timeline, const struct ch_timeline_picture *picture);
// The encoder may have been started anew: a step back in time is then no fault but a new clock.
void ch_timeline_expect_new_clock(struct ch_timeline *timeline);
// A clock that is trusted is believed however fast the pictures arrive: a jump is a step back of more than two
// seconds, or ahead by more than CH_LIMIT_CLOCK_STEP_US, if no sound went on in between (pictures may come once in a
// while only).
void ch_timeline_trust_clock(struct ch_timeline *timeline, bool trusted);
// The time of an AAC frame of `frame_samples` samples, `rate` (not 0) of them a second, on the timeline in samples:
// above 0, and above that of every AAC frame before it. False if it has none: there is no picture yet, or neither
// the newest nor the sound before is within CH_LIMIT_CLOCK_STEP_US of it (the clock has jumped, and the first
// picture of the new one is still to come), or it is not later than the sound that is there already.
bool ch_timeline_sound(struct ch_timeline *timeline, uint64_t device_ms, uint32_t rate, uint32_t frame_samples,
                       int64_t *time);
// The tick nearest to such a time.
int64_t ch_timeline_sound_ticks(int64_t time, uint32_t rate);
// The next picture in decoding order whose times are known.
bool ch_timeline_pop(struct ch_timeline *timeline, struct ch_timeline_picture *out);
// Lets go of all held pictures (end of a session, or none came for a while): pop until false.
void ch_timeline_flush(struct ch_timeline *timeline);

#endif
