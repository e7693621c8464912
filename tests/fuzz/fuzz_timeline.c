// Any pictures, four bytes each, on one timeline: clocks that run, stop, jump, or are trusted; order counts that
// mean something or nothing; depths that change; sound and other bystanders; flushes. All come out once and in
// order, decode times rise, no two pictures are shown at one time, and no picture is shown before it is decoded
// unless one overtakes more pictures than its SPS declares, or the IDR picture before it. Sound never goes back, and
// is near a picture or other sound.
#include "fuzz.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "stream/timeline.h"

#define MAX_PICTURES 1024
#define NEAR_TICKS (10050 * 90)

struct run {
    struct ch_timeline timeline;
    uintptr_t pushed, popped; // pictures and bystanders; `user` counts them
    bool bystander[MAX_PICTURES + 1];
    int64_t shown[MAX_PICTURES]; // when
    size_t count;
    int64_t last_dts, key_pts;
    bool overtaken; // by more than was declared: times may cross from there on
    uint64_t device_ms;
    int64_t arrival_us;
    unsigned depth;
    bool started, heard;
    uint32_t sound_rate;
    int64_t sound_time, sound_ticks; // of the last frame
};

static void check_picture(struct run *run, const struct ch_timeline_picture *out)
{
    unsigned later = 0;
    for (size_t i = 0; i < run->count; i++) {
        assert(run->shown[i] != out->pts_ticks);
        later += run->shown[i] > out->pts_ticks;
    }
    assert(out->pts_ticks >= CH_TIMELINE_ORIGIN - (INT64_C(1) << 50));
    assert(out->dts_ticks > run->last_dts || run->count == 0);
    run->last_dts = out->dts_ticks;
    if (out->key)
        run->key_pts = out->pts_ticks;
    if (later > out->depth || out->pts_ticks < run->key_pts)
        run->overtaken = true;
    assert(run->overtaken || out->dts_ticks <= out->pts_ticks);
    run->shown[run->count++] = out->pts_ticks;
}

static void take(struct run *run)
{
    struct ch_timeline_picture out;
    while (ch_timeline_pop(&run->timeline, &out)) {
        assert((uintptr_t)out.user == ++run->popped);
        assert(out.bystander == run->bystander[run->popped]);
        if (!out.bystander)
            check_picture(run, &out);
    }
    assert(run->timeline.held_count < CH_TIMELINE_HOLD);
    assert(run->popped + run->timeline.held_count == run->pushed);
}

static void push(struct run *run, struct ch_timeline_picture *picture)
{
    run->bystander[++run->pushed] = picture->bystander;
    picture->user = (void *)run->pushed;
    ch_timeline_push(&run->timeline, picture);
    take(run);
}

// The clocks' next step, mostly a plain one.
static void step(struct run *run, uint8_t kind, uint8_t value)
{
    static const int64_t device[] = {33, 33, 0, -1, 1, 40, -80, 3000, -3000, 100000, -1900, INT64_MAX, INT64_MIN, 7};
    static const int64_t arrival[] = {33, 0, 33, 1, 5000, 33, 60000, 100};
    run->device_ms += (uint64_t)device[kind % 14] + (kind & 128 ? value : 0);
    run->arrival_us += arrival[kind / 14 % 8] * 1000 + value % 4;
}

// From about where the pictures are, or from anywhere.
static void hear(struct run *run, const uint8_t in[4])
{
    static const uint32_t rates[] = {44100, 48000, 44100, 7350, 96000, 44100, 16000, 44100};
    static const int64_t steps[] = {0, 23, -23, 64, -3000, 9999, -10000, INT64_MAX, INT64_MIN, 12000};
    uint32_t rate = rates[in[1] >> 5];
    uint64_t device_ms = run->device_ms + (uint64_t)steps[in[1] % 32 % 10] + in[2];
    int64_t time = INT64_MIN;
    bool started = run->timeline.started;
    if (ch_timeline_sound(&run->timeline, device_ms, rate, in[3] & 1 ? 960 : 1024, &time)) {
        int64_t ticks = ch_timeline_sound_ticks(time, rate), picture = run->timeline.last_ticks;
        bool near = ticks >= picture - NEAR_TICKS && ticks <= picture + NEAR_TICKS;
        assert(started && time > 0 && ticks >= run->sound_ticks);
        assert(rate != run->sound_rate || time > run->sound_time);
        assert(near || (run->heard && ticks <= run->sound_ticks + NEAR_TICKS));
        run->heard = true;
        run->sound_rate = rate;
        run->sound_time = time;
        run->sound_ticks = ticks;
    } else {
        assert(time == INT64_MIN);
    }
    push(run, &(struct ch_timeline_picture){.bystander = true});
}

static void one(struct run *run, const uint8_t in[4])
{
    if (in[0] % 32 == 31) {
        ch_timeline_flush(&run->timeline);
        take(run);
        assert(run->popped == run->pushed);
        return;
    }
    if (in[0] % 32 == 30) {
        ch_timeline_expect_new_clock(&run->timeline);
        if (in[1] == 200)
            ch_timeline_trust_clock(&run->timeline, true);
        return;
    }
    if (in[0] % 32 == 29) {
        hear(run, in);
        return;
    }
    if (in[0] % 32 >= 27) {
        push(run, &(struct ch_timeline_picture){.bystander = true});
        return;
    }
    bool key = in[0] % 32 == 0 || !run->started;
    if (key && in[0] & 32)
        run->depth = in[3] % 19;
    run->started = true;
    step(run, in[1], in[2]);
    push(run, &(struct ch_timeline_picture){.device_ms = run->device_ms,
                                            .arrival_us = run->arrival_us,
                                            .key = key,
                                            .has_poc = in[0] % 32 != 26,
                                            .poc = key          ? 0
                                                   : in[0] & 64 ? (int32_t)in[3] - 64
                                                                : 2 * (int32_t)(run->pushed % 100 + in[3] % 4) - 4,
                                            .depth = run->depth,
                                            .nominal_step_ticks = in[2] * 353u});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run *run = calloc(1, sizeof *run);
    assert(run);
    ch_timeline_init(&run->timeline);
    run->device_ms = 1000000;
    run->arrival_us = 1000000;
    for (; size >= 4 && run->pushed < MAX_PICTURES; data += 4, size -= 4)
        one(run, data);
    ch_timeline_flush(&run->timeline);
    take(run);
    assert(run->popped == run->pushed);
    free(run);
    return 0;
}
