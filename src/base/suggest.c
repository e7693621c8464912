#include "base/suggest.h"

#include <ctype.h>
#include <string.h>

#define MAX_WORD 63u

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static int lower(char c)
{
    return tolower((unsigned char)c);
}

// Letters to leave out, add, change, or swap with their neighbour (the optimal string alignment distance).
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][MAX_WORD + 2], *before = rows[0], *last = rows[1], *now = rows[2];
    size_t n = strlen(b);
    for (size_t j = 0; j <= n; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; a[i - 1]; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned change = lower(a[i - 1]) != lower(b[j - 1]);
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + change);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = least(now[j], before[j - 2] + 1);
        }
        unsigned *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[n];
}

const char *ch_suggest(const char *word, const char *const *known, size_t count)
{
    const char *best = NULL;
    size_t size = strlen(word);
    unsigned best_distance = 0;
    for (size_t i = 0; size <= MAX_WORD && i < count; i++) {
        if (strlen(known[i]) > MAX_WORD)
            continue;
        unsigned this_distance = distance(word, known[i]);
        if (this_distance > 1 + strlen(known[i]) / 4 || (best && this_distance >= best_distance))
            continue;
        best = known[i];
        best_distance = this_distance;
    }
    return best;
}
