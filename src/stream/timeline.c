#include "stream/timeline.h"

#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TICKS_PER_S 90000
#define TICKS_PER_MS 90
#define JUMP_US INT64_C(2000000)
#define LEAST_DELAY_WINDOW_US INT64_C(30000000)
#define MAX_STEP_MS INT64_C(1000000000000) // larger device steps are all the same to us
#define CALM_PICTURES 60                   // without reordering: the stream has no B-frames after all

void ch_timeline_init(struct ch_timeline *timeline)
{
    memset(timeline, 0, sizeof *timeline);
}

// --- the device's clock ---

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

static void restart_delays(struct ch_timeline *tl, int64_t arrival_us)
{
    tl->delay_us = 0;
    tl->least_delay_us[0] = tl->least_delay_us[1] = 0;
    tl->least_since_us = arrival_us;
}

static void note_delay(struct ch_timeline *tl, int64_t delay_us, int64_t arrival_us)
{
    tl->delay_us = delay_us;
    if (arrival_us - tl->least_since_us > LEAST_DELAY_WINDOW_US) {
        tl->least_delay_us[1] = tl->least_delay_us[0];
        tl->least_delay_us[0] = delay_us;
        tl->least_since_us = arrival_us;
    } else if (delay_us < tl->least_delay_us[0]) {
        tl->least_delay_us[0] = delay_us;
    }
}

// From one of the device's times to another.
static int64_t device_step_ms(uint64_t from_ms, uint64_t to_ms)
{
    return clamp((int64_t)(to_ms - from_ms), -MAX_STEP_MS, MAX_STEP_MS);
}

static bool is_near(uint64_t a_ms, uint64_t b_ms)
{
    return llabs(device_step_ms(a_ms, b_ms)) * 1000 <= CH_LIMIT_CLOCK_STEP_US;
}

// Sound has been heard by the present map, so shortly before or behind.
static bool is_near_sound(const struct ch_timeline *tl, uint64_t device_ms)
{
    return tl->sound.rate > 0 && tl->sound.jumps == tl->jumps && is_near(tl->sound.device_ms, device_ms);
}

static bool is_trusted_jump(const struct ch_timeline *tl, const struct ch_timeline_picture *picture, int64_t step_us)
{
    // Presentation times run backward at B-frames; a key frame is shown after all before it.
    bool new_clock = tl->new_clock && picture->key;
    if (step_us < 0 || (step_us == 0 && new_clock))
        return step_us < -JUMP_US || new_clock;
    return step_us > CH_LIMIT_CLOCK_STEP_US && !is_near_sound(tl, picture->device_ms);
}

static bool is_jump(const struct ch_timeline *tl, int64_t device_step_us, int64_t arrival_step_us)
{
    if (tl->new_clock && device_step_us < 0)
        return true;
    int64_t delay = tl->delay_us + arrival_step_us - device_step_us;
    int64_t least = tl->least_delay_us[0] < tl->least_delay_us[1] ? tl->least_delay_us[0] : tl->least_delay_us[1];
    if (delay < least - JUMP_US)
        return true; // arrived before it was taken
    return device_step_us < 0 && arrival_step_us - device_step_us > JUMP_US;
}

// The picture's time by the device's clock alone: may repeat or run backward.
static int64_t clock_ticks(struct ch_timeline *tl, struct ch_timeline_picture *picture)
{
    int64_t step_ms = device_step_ms(tl->last_device_ms, picture->device_ms);
    int64_t arrival_step_us = picture->arrival_us - tl->last_arrival_us;
    int64_t ticks = CH_TIMELINE_ORIGIN;
    if (!tl->started) {
        tl->started = true;
        restart_delays(tl, picture->arrival_us);
    } else if (tl->trusted ? is_trusted_jump(tl, picture, step_ms * 1000)
                           : is_jump(tl, step_ms * 1000, arrival_step_us)) {
        picture->jumped = true;
        tl->jumps++;
        int64_t from = tl->last_ticks > tl->max_pts ? tl->last_ticks : tl->max_pts;
        int64_t usual = ch_pace_usual(&tl->pace);
        ticks = from + (usual > 0 ? usual : picture->nominal_step_ticks);
        restart_delays(tl, picture->arrival_us);
    } else {
        ticks = tl->last_ticks + step_ms * TICKS_PER_MS;
        ch_pace_add(&tl->pace, step_ms * TICKS_PER_MS);
        note_delay(tl, tl->delay_us + arrival_step_us - step_ms * 1000, picture->arrival_us);
    }
    tl->new_clock = false;
    tl->last_device_ms = picture->device_ms;
    tl->last_arrival_us = picture->arrival_us;
    tl->last_ticks = ticks;
    return ticks;
}

void ch_timeline_trust_clock(struct ch_timeline *tl, bool trusted)
{
    tl->trusted = trusted;
}

// --- sound ---

// To the nearest; of what is not below 0.
static int64_t rescale(int64_t time, int64_t from, int64_t to)
{
    return time / from * to + (time % from * to + from / 2) / from;
}

bool ch_timeline_sound(struct ch_timeline *tl, uint64_t device_ms, uint32_t rate, uint32_t frame_samples, int64_t *time)
{
    int64_t ticks = tl->last_ticks + device_step_ms(tl->last_device_ms, device_ms) * TICKS_PER_MS;
    bool counts = tl->sound.rate == rate && tl->sound.frame_samples == frame_samples && tl->sound.jumps == tl->jumps;
    int64_t last = tl->sound.last_time;
    if (tl->sound.rate != rate && tl->sound.rate > 0)
        last = rescale(last, tl->sound.rate, rate) + 1;
    if (!tl->started || ticks < 0 || (!is_near(tl->last_device_ms, device_ms) && !is_near_sound(tl, device_ms)))
        return false;
    int64_t said = rescale(ticks, TICKS_PER_S, rate), counted = last + frame_samples;
    if (counts && llabs(said - counted) * 1000 <= (int64_t)rate * CH_TIMELINE_SOUND_MS)
        said = counted;
    else if (said <= last)
        return false;
    tl->sound.rate = rate;
    tl->sound.frame_samples = frame_samples;
    tl->sound.jumps = tl->jumps;
    tl->sound.device_ms = device_ms;
    *time = tl->sound.last_time = said;
    return true;
}

int64_t ch_timeline_sound_ticks(int64_t time, uint32_t rate)
{
    return rescale(time, rate, TICKS_PER_S);
}

// --- presentation times ---

static void give_pts(struct ch_timeline *tl, struct ch_timeline_held *held, int64_t pts)
{
    held->picture.pts_ticks = pts;
    held->timed = true;
    if (pts > tl->max_pts)
        tl->max_pts = pts;
}

// In order of arrival: one tick behind the last picture at the least.
static void time_in_order(struct ch_timeline *tl, struct ch_timeline_held *held)
{
    int64_t pts = held->ticks, last = tl->max_pts + tl->lead;
    tl->lead = 0;
    if (held->picture.key)
        tl->floor = tl->max_pts;
    if (pts <= last) {
        pts = last + 1;
        held->picture.repaired = true;
    }
    give_pts(tl, held, pts);
}

// By the device's presentation time, behind every picture with a smaller order count and unlike all others.
static void time_by_stamp(struct ch_timeline *tl, struct ch_timeline_held *held)
{
    if (held->picture.key || !held->picture.has_poc) {
        time_in_order(tl, held);
        return;
    }
    int64_t pts = held->ticks > tl->floor ? held->ticks : tl->floor + 1;
    for (unsigned i = 0; i < tl->recent_count; i++)
        if (tl->recent[i].poc < held->picture.poc && pts <= tl->recent[i].pts)
            pts = tl->recent[i].pts + 1;
    for (unsigned i = 0; i < tl->recent_count;)
        if (tl->recent[i].pts == pts) {
            pts++;
            i = 0;
        } else {
            i++;
        }
    held->picture.repaired = pts != held->ticks;
    give_pts(tl, held, pts);
}

static void note_recent(struct ch_timeline *tl, const struct ch_timeline_held *held)
{
    if (held->picture.key)
        tl->recent_count = 0;
    if (tl->recent_count == CH_TIMELINE_DEPTH) {
        if (tl->recent[0].pts > tl->floor)
            tl->floor = tl->recent[0].pts;
        memmove(tl->recent, tl->recent + 1, sizeof tl->recent - sizeof tl->recent[0]);
        tl->recent_count--;
    }
    tl->recent[tl->recent_count].poc = held->picture.poc;
    tl->recent[tl->recent_count++].pts = held->picture.pts_ticks;
}

// Deals the earliest stamp to the untimed picture that is shown first.
static void deal_one(struct ch_timeline *tl)
{
    struct ch_timeline_held *first = NULL;
    for (unsigned i = 0; i < tl->held_count; i++)
        if (!tl->held[i].timed && (!first || tl->held[i].picture.poc < first->picture.poc))
            first = &tl->held[i];
    assert(first && tl->stamp_count > 0);
    bool repaired = first->picture.repaired;
    first->ticks = tl->stamps[0];
    memmove(tl->stamps, tl->stamps + 1, --tl->stamp_count * sizeof tl->stamps[0]);
    time_in_order(tl, first);
    first->picture.repaired |= repaired;
}

static unsigned untimed(const struct ch_timeline *tl)
{
    unsigned count = 0;
    for (unsigned i = 0; i < tl->held_count; i++)
        count += !tl->held[i].timed;
    return count;
}

// Times all held pictures; what comes next is shown later than any of them.
static void settle(struct ch_timeline *tl)
{
    if (tl->order == CH_ORDER_DECODING) {
        for (unsigned left = untimed(tl); left > 0; left--)
            deal_one(tl);
        return;
    }
    for (unsigned i = 0; i < tl->held_count; i++) {
        struct ch_timeline_held *held = &tl->held[i];
        if (held->timed)
            continue;
        if (tl->order == CH_ORDER_PRESENTATION)
            time_by_stamp(tl, held);
        else
            time_in_order(tl, held);
        note_recent(tl, held);
    }
    tl->stamp_count = 0;
}

// Does the order count run backward at the newest picture? Then its device time tells which kind of
// times these are.
static void decide_order(struct ch_timeline *tl)
{
    if (tl->order == CH_ORDER_PRESENTATION || tl->order == CH_ORDER_DECODING)
        return;
    const struct ch_timeline_held *now = &tl->held[tl->held_count - 1];
    if (now->picture.key || !tl->last.has_poc || now->picture.poc >= tl->last.poc) {
        if (++tl->calm >= CALM_PICTURES)
            tl->order = CH_ORDER_SAME;
        return;
    }
    tl->order = now->ticks < tl->last.ticks ? CH_ORDER_PRESENTATION : CH_ORDER_DECODING;
}

// Stamps in decoding order ascend, or are made to.
static void add_stamp(struct ch_timeline *tl, struct ch_timeline_held *held)
{
    int64_t after = tl->stamp_count > 0 ? tl->stamps[tl->stamp_count - 1] : tl->max_pts;
    int64_t stamp = held->ticks;
    if (stamp <= after) {
        stamp = after + 1;
        held->picture.repaired = true;
    }
    tl->stamps[tl->stamp_count++] = stamp;
}

static void collect_stamps(struct ch_timeline *tl)
{
    tl->stamp_count = 0;
    for (unsigned i = 0; i < tl->held_count; i++)
        if (!tl->held[i].timed)
            add_stamp(tl, &tl->held[i]);
}

static void hold_and_order(struct ch_timeline *tl, struct ch_timeline_held *held)
{
    bool was_decoding = tl->order == CH_ORDER_DECODING;
    decide_order(tl);
    switch (tl->order) {
    case CH_ORDER_DECODING:
        if (was_decoding)
            add_stamp(tl, held);
        else
            collect_stamps(tl);
        while (untimed(tl) > tl->depth)
            deal_one(tl);
        break;
    case CH_ORDER_UNDECIDED:
        if (untimed(tl) <= tl->depth)
            break;
        for (unsigned i = 0; i < tl->held_count; i++) // the oldest is where it belongs
            if (!tl->held[i].timed) {
                time_in_order(tl, &tl->held[i]);
                note_recent(tl, &tl->held[i]);
                break;
            }
        break;
    case CH_ORDER_PRESENTATION:
    case CH_ORDER_SAME: settle(tl); break;
    }
}

void ch_timeline_push(struct ch_timeline *tl, const struct ch_timeline_picture *picture)
{
    assert(tl->held_count < CH_TIMELINE_HOLD);
    if (picture->bystander) {
        tl->held[tl->held_count++] = (struct ch_timeline_held){.picture = *picture, .timed = true};
        if (tl->held_count == CH_TIMELINE_HOLD)
            settle(tl);
        return;
    }
    unsigned depth = picture->depth < CH_TIMELINE_DEPTH ? picture->depth : CH_TIMELINE_DEPTH;
    bool reset = picture->key && depth != tl->depth;
    if (picture->key || !picture->has_poc || tl->held_count == CH_TIMELINE_HOLD - 1)
        settle(tl); // an IDR picture is shown after all before it
    if (reset) {
        tl->lead = depth; // decode times of so many pictures must find room before this one's time
        tl->depth = depth;
        tl->order = CH_ORDER_UNDECIDED;
        tl->calm = 0;
    }
    struct ch_timeline_held *held = &tl->held[tl->held_count++];
    *held = (struct ch_timeline_held){.picture = *picture};
    held->picture.repaired = held->picture.jumped = false;
    held->picture.depth = tl->depth;
    held->ticks = clock_ticks(tl, &held->picture);
    if (tl->depth == 0 || !picture->has_poc) {
        time_in_order(tl, held);
        note_recent(tl, held);
    } else {
        hold_and_order(tl, held);
    }
    tl->last.has_poc = picture->has_poc;
    tl->last.poc = picture->poc;
    tl->last.ticks = held->ticks;
}

// --- decode times ---

static void insert_sorted(int64_t *sorted, unsigned *count, int64_t value)
{
    unsigned at = (*count)++;
    for (; at > 0 && sorted[at - 1] > value; at--)
        sorted[at] = sorted[at - 1];
    sorted[at] = value;
}

static int64_t next_dts(struct ch_timeline *tl, const struct ch_timeline_picture *picture)
{
    unsigned depth = picture->depth; // the picture's own: a key frame behind it may have changed it since
    if (tl->window_depth != depth) {
        tl->window_depth = depth;
        tl->window_count = 0;
    }
    if (depth == 0)
        return picture->pts_ticks;
    insert_sorted(tl->window, &tl->window_count, picture->pts_ticks);
    if (tl->window_count <= depth) { // count down to the first picture's presentation
        int64_t step = clamp(picture->nominal_step_ticks, 1, CH_TIMELINE_ORIGIN / (CH_TIMELINE_DEPTH + 1));
        return tl->window[0] - (int64_t)(depth - tl->window_count + 1) * step;
    }
    int64_t dts = tl->window[0];
    memmove(tl->window, tl->window + 1, --tl->window_count * sizeof tl->window[0]);
    return dts;
}

bool ch_timeline_pop(struct ch_timeline *tl, struct ch_timeline_picture *out)
{
    if (tl->held_count == 0 || !tl->held[0].timed)
        return false;
    *out = tl->held[0].picture;
    memmove(tl->held, tl->held + 1, --tl->held_count * sizeof tl->held[0]);
    if (out->bystander)
        return true;
    out->dts_ticks = next_dts(tl, out);
    if (out->dts_ticks <= tl->last_dts)
        out->dts_ticks = tl->last_dts + 1;
    tl->last_dts = out->dts_ticks;
    return true;
}

void ch_timeline_expect_new_clock(struct ch_timeline *tl)
{
    tl->new_clock = true;
}

void ch_timeline_flush(struct ch_timeline *tl)
{
    settle(tl);
}
