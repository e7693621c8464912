// "Did you mean ...?"
#ifndef CH_BASE_SUGGEST_H
#define CH_BASE_SUGGEST_H

#include <stddef.h>

// The known word that differs least from this one (letters left out, added, changed or swapped; upper and lower case
// are the same), or NULL if none is near. Words of over 63 bytes are near to nothing.
const char *ch_suggest(const char *word, const char *const *known, size_t count);

#endif
