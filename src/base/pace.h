// The usual step of something that comes at intervals: the median of the last few, which no single long
// or short one can move.
#ifndef CH_BASE_PACE_H
#define CH_BASE_PACE_H

#include <stdint.h>

#define CH_PACE_STEPS 9

// Zero-initialise.
struct ch_pace {
    int64_t steps[CH_PACE_STEPS]; // a ring
    unsigned count;               // steps seen in all
};

// Takes a step; what is not above 0 is none.
void ch_pace_add(struct ch_pace *pace, int64_t step);
// The median, or 0 before the first step.
int64_t ch_pace_usual(const struct ch_pace *pace);

#endif
