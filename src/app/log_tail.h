// The last lines of the log, of all threads, for those who listen over the network.
//
// A thread that logs leaves its line in a bounded ring and wakes the loop; the loop takes what is there, when it likes.
// Where lines come faster than that, the oldest go, and a line says how many.
#ifndef CH_APP_LOG_TAIL_H
#define CH_APP_LOG_TAIL_H

#include "base/log.h"

#include <stdbool.h>
#include <uv.h>

#define CH_LOG_TAIL_LINES 500

struct ch_log_line {
    enum ch_log_level level;
    int64_t wall_us;
    char tag[24];
    size_t size; // of the text
    char text[]; // with a zero; may be no UTF-8
};

struct ch_log_tail;

// Starts to collect. `wake` is called on the loop's thread when lines have come, if that is wanted. NULL without
// memory.
struct ch_log_tail *ch_log_tail_start(uv_loop_t *loop, void (*wake)(void *context), void *context);
// Ends it at once; `wake` is not called any more. Memory goes when the loop has closed its handle.
void ch_log_tail_stop(struct ch_log_tail *tail);

// Shall the loop be woken? At first: no.
void ch_log_tail_listen(struct ch_log_tail *tail, bool on);
// Takes what has come since the last call: gives each to `line` (may be NULL), oldest first, and keeps the last
// CH_LOG_TAIL_LINES. The lock is not held meanwhile: `line` may log.
void ch_log_tail_take(struct ch_log_tail *tail, void (*line)(void *context, const struct ch_log_line *line),
                      void *context);
// The lines kept, oldest first: number 0 to count - 1. Borrowed until the next take.
size_t ch_log_tail_count(const struct ch_log_tail *tail);
const struct ch_log_line *ch_log_tail_line(const struct ch_log_tail *tail, size_t number);

#endif
