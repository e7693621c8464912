// Where AAC frames lie on their track. What is known of each is a time in ticks, rounded; how long it is, is known to
// the sample. So frames that follow each other are counted in samples, as long as their ticks agree: nothing adds up,
// neither of what is rounded nor of a clock that runs otherwise than the samples do.
#include "codec/mp4.h"

#define MAX_TIME (INT64_C(1) << 60)    // far inside of what the tables take
#define MAX_STEP ((int64_t)UINT32_MAX) // of stts

// value * to / from, to the nearest; a half goes up. No product is larger than the result or 2^64.
static int64_t rescale(int64_t value, uint32_t from, uint32_t to)
{
    int64_t whole = value / from, rest = value % from;
    if (rest < 0) {
        rest += from;
        whole--;
    }
    return whole * to + (int64_t)(((uint64_t)rest * to + from / 2) / from);
}

int64_t ch_mp4_audio_samples(int64_t ticks, uint32_t rate)
{
    return rescale(ticks, CH_MP4_TIMESCALE, rate);
}

int64_t ch_mp4_audio_ticks(int64_t samples, uint32_t rate)
{
    return rescale(samples, rate, CH_MP4_TIMESCALE);
}

// How far rounding alone may take two times apart: that of ticks, where one is longer than a sample, and that of samples.
static int64_t rounding(uint32_t rate)
{
    return 2 + rate / CH_MP4_TIMESCALE;
}

bool ch_mp4_audio_place(struct ch_mp4_audio_clock *clock, const struct ch_aac_config *audio, int64_t ticks,
                        int64_t *time)
{
    if (audio->rate == 0 || ticks < 0 || ticks / CH_MP4_TIMESCALE >= MAX_TIME / audio->rate)
        return false;
    int64_t at = ch_mp4_audio_samples(ticks, audio->rate);
    if (clock->any) {
        int64_t next = clock->last + audio->frame_samples, apart = at - next;
        if (apart >= -rounding(audio->rate) && apart <= rounding(audio->rate))
            at = next;
        if (at <= clock->last)
            at = clock->last + 1;
        if (at - clock->last > MAX_STEP)
            return false;
    }
    clock->any = true;
    clock->last = *time = at;
    return true;
}
