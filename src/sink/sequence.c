#include "sink/sequence.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define MAX_GAP (1 << 20) // a larger step forward is a new count, not a million lost frames
#define MAX_BACK 1024     // a larger step backward likewise
#define RESTART_RUN 8     // so many old numbers that count up are no repetition but a new count

void ch_sequence_deinit(struct ch_sequence *sequence)
{
    free(sequence->ranges);
    memset(sequence, 0, sizeof *sequence);
}

static void insert_range(struct ch_sequence *sequence, size_t at, struct ch_sequence_range range)
{
    if (sequence->range_count == CH_LIMIT_REPORT_LIST) {
        sequence->truncated = true;
        return;
    }
    if (sequence->range_count == sequence->range_capacity) {
        size_t capacity = sequence->range_capacity ? sequence->range_capacity * 2 : 8;
        struct ch_sequence_range *ranges = realloc(sequence->ranges, capacity * sizeof *ranges);
        if (!ranges) {
            sequence->truncated = true;
            return;
        }
        sequence->ranges = ranges;
        sequence->range_capacity = capacity;
    }
    memmove(sequence->ranges + at + 1, sequence->ranges + at, (sequence->range_count - at) * sizeof range);
    sequence->ranges[at] = range;
    sequence->range_count++;
}

static void remove_range(struct ch_sequence *sequence, size_t at)
{
    sequence->range_count--;
    memmove(sequence->ranges + at, sequence->ranges + at + 1, (sequence->range_count - at) * sizeof *sequence->ranges);
}

// Takes a late number out of the range that misses it. False if none does.
static bool fill(struct ch_sequence *sequence, uint32_t number)
{
    for (size_t i = sequence->range_count; i-- > 0;) {
        struct ch_sequence_range *range = &sequence->ranges[i];
        if (number - range->first > range->last - range->first)
            continue;
        if (range->first == range->last) {
            remove_range(sequence, i);
        } else if (number == range->first) {
            range->first++;
        } else if (number == range->last) {
            range->last--;
        } else {
            struct ch_sequence_range rest = {.first = number + 1, .last = range->last, .at = range->at};
            range->last = number - 1;
            insert_range(sequence, i + 1, rest);
        }
        return true;
    }
    return false;
}

static enum ch_sequence_verdict restart(struct ch_sequence *sequence, uint32_t number)
{
    sequence->restarts++;
    sequence->expected = number + 1;
    return CH_SEQUENCE_RESTART;
}

// A number below the expected one.
static enum ch_sequence_verdict step_back(struct ch_sequence *sequence, uint32_t number, int64_t back)
{
    if (fill(sequence, number)) {
        sequence->reordered++;
        sequence->missing--;
        return CH_SEQUENCE_LATE;
    }
    if (back > MAX_BACK || (number == 0 && back > 1))
        return restart(sequence, number);
    sequence->back_run = sequence->back_run > 0 && number == sequence->last_back + 1 ? sequence->back_run + 1 : 1;
    sequence->last_back = number;
    if (sequence->back_run == RESTART_RUN)
        return restart(sequence, number); // the first of them stay duplicates: their records say so
    sequence->duplicates++;
    return CH_SEQUENCE_DUPLICATE;
}

enum ch_sequence_verdict ch_sequence_next(struct ch_sequence *sequence, uint32_t number, int64_t at,
                                          uint32_t *missing_before)
{
    *missing_before = 0;
    if (!sequence->started) {
        sequence->started = true;
        sequence->expected = number + 1;
        return CH_SEQUENCE_NEXT;
    }
    int64_t step = (int32_t)(number - sequence->expected);
    enum ch_sequence_verdict verdict = CH_SEQUENCE_NEXT;
    if (step < 0)
        verdict = step_back(sequence, number, -step);
    else if (step > MAX_GAP)
        verdict = restart(sequence, number);
    else if (step > 0) {
        insert_range(sequence, sequence->range_count,
                     (struct ch_sequence_range){.first = sequence->expected, .last = number - 1, .at = at});
        sequence->missing += (uint64_t)step;
        *missing_before = (uint32_t)step;
        verdict = CH_SEQUENCE_GAP;
    }
    if (step >= 0 && step <= MAX_GAP)
        sequence->expected = number + 1;
    if (verdict != CH_SEQUENCE_DUPLICATE)
        sequence->back_run = 0;
    return verdict;
}
