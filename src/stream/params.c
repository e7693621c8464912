#include "stream/params.h"

#include "base/bytes.h"

#include <stdlib.h>

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

// One of the record's two lists: a count, then 16-bit lengths and NAL units, ISO/IEC 14496-15 5.3.3.1.2.
static bool list_has(const uint8_t **at, const uint8_t *end, unsigned count, const uint8_t *nal, size_t size)
{
    for (; count > 0 && end - *at >= 2; count--) {
        size_t bytes = ch_get_be16(*at);
        const uint8_t *set = *at + 2;
        if ((size_t)(end - set) < bytes)
            return false;
        *at = set + bytes;
        if (bytes == size && memcmp(set, nal, size) == 0)
            return true;
    }
    return false;
}

bool ch_params_has_set(const struct ch_params *params, const uint8_t *nal, size_t size)
{
    const uint8_t *end = params->avcc + params->avcc_bytes, *at = params->avcc + 6;
    if (list_has(&at, end, params->avcc[5] & 31u, nal, size))
        return true;
    if (at >= end)
        return false;
    unsigned pps_count = *at++;
    return list_has(&at, end, pps_count, nal, size);
}
