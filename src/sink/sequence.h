// Follows a camera's sequence numbers: what never came, what came twice or late. 32 bits, wrapping.
// Pure.
#ifndef CH_SINK_SEQUENCE_H
#define CH_SINK_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ch_sequence_verdict {
    CH_SEQUENCE_NEXT,      // the one expected, or the first
    CH_SEQUENCE_GAP,       // some before it did not come (yet)
    CH_SEQUENCE_LATE,      // fills a gap
    CH_SEQUENCE_DUPLICATE, // had come before
    CH_SEQUENCE_RESTART,   // counting began anew
};

struct ch_sequence_range {
    uint32_t first, last;
    int64_t at; // caller's mark of where it was noticed
};

struct ch_sequence {
    bool started;
    uint32_t expected;
    unsigned back_run;  // numbers in a row, each one more than the last, that had come before
    uint32_t last_back; // the newest of them
    uint64_t missing, duplicates, reordered, restarts;
    struct ch_sequence_range *ranges; // missing ones in order of notice, owned
    size_t range_count, range_capacity;
    bool truncated; // there were more ranges than are listed
};

// Takes the next number. *missing_before is what CH_SEQUENCE_GAP found missing. Zero-initialise first.
enum ch_sequence_verdict ch_sequence_next(struct ch_sequence *sequence, uint32_t number, int64_t at,
                                          uint32_t *missing_before);
void ch_sequence_deinit(struct ch_sequence *sequence);

#endif
