#include "stream/params.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

struct ch_params *ch_params_ref(struct ch_params *params)
{
    atomic_fetch_add_explicit(&params->refs, 1, memory_order_relaxed);
    return params;
}

void ch_params_unref(struct ch_params *params)
{
    if (params && atomic_fetch_sub_explicit(&params->refs, 1, memory_order_acq_rel) == 1)
        free(params);
}

bool ch_params_same(const struct ch_params *a, const struct ch_params *b)
{
    return a->width == b->width && a->height == b->height && strcmp(a->codec, b->codec) == 0 &&
           a->avcc_bytes == b->avcc_bytes && memcmp(a->avcc, b->avcc, a->avcc_bytes) == 0 &&
           ch_aac_same(&a->audio, &b->audio);
}

// Two lists: each a count, then 16-bit lengths and NAL units, ISO/IEC 14496-15 5.3.3.1.2.
bool ch_params_next_set(const struct ch_params *params, struct ch_params_at *at, const uint8_t **nal, size_t *size)
{
    if (at->list == 0)
        at->offset = 5;
    while (at->left == 0) {
        if (at->list == 2 || at->offset >= params->avcc_bytes)
            return false;
        uint8_t count = params->avcc[at->offset++];
        at->left = at->list++ == 0 ? count & 31u : count;
    }
    if (params->avcc_bytes - at->offset < 2)
        return false;
    *size = ch_get_be16(params->avcc + at->offset);
    *nal = params->avcc + at->offset + 2;
    if (params->avcc_bytes - at->offset - 2 < *size)
        return false;
    at->offset += 2 + *size;
    at->left--;
    return true;
}

bool ch_params_has_set(const struct ch_params *params, const uint8_t *nal, size_t size)
{
    struct ch_params_at at = {0};
    const uint8_t *set;
    size_t bytes;
    while (ch_params_next_set(params, &at, &set, &bytes))
        if (bytes == size && memcmp(set, nal, size) == 0)
            return true;
    return false;
}
