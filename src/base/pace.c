#include "base/pace.h"

void ch_pace_add(struct ch_pace *pace, int64_t step)
{
    if (step > 0)
        pace->steps[pace->count++ % CH_PACE_STEPS] = step;
}

int64_t ch_pace_usual(const struct ch_pace *pace)
{
    unsigned count = pace->count < CH_PACE_STEPS ? pace->count : CH_PACE_STEPS;
    if (count == 0)
        return 0;
    int64_t sorted[CH_PACE_STEPS];
    for (unsigned i = 0; i < count; i++) {
        unsigned at = i;
        for (; at > 0 && sorted[at - 1] > pace->steps[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = pace->steps[i];
    }
    return sorted[count / 2];
}
