// NAL units in a byte stream (ITU-T H.264 Annex B).
//
// A NAL unit ends where the next 00 00 01 begins, less trailing zeros. The three-byte sequence
// 00 00 00, which must not occur inside one either, does not end it here: bytes of a broken stream
// stay with the NAL unit they came in rather than vanish between two.
#include "codec/h264.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

bool ch_nal_in_sample(unsigned type)
{
    switch (type) {
    case CH_NAL_SPS:
    case CH_NAL_PPS:
    case CH_NAL_AUD:
    case CH_NAL_END_SEQUENCE:
    case CH_NAL_END_STREAM:
    case CH_NAL_FILLER:
    case CH_NAL_SPS_EXTENSION: return false;
    default: return true;
    }
}

#ifdef __SSE2__
// As far as whole 16-byte steps (and the two bytes behind them) reach. Returns where a start code
// begins, with *found, or where the search stopped.
static size_t find_in_steps(const uint8_t *data, size_t size, size_t at, bool *found)
{
    const __m128i zero = _mm_setzero_si128(), one = _mm_set1_epi8(1);
    for (; at + 18 <= size; at += 16) {
        __m128i first = _mm_loadu_si128((const __m128i *)(const void *)(data + at));
        __m128i second = _mm_loadu_si128((const __m128i *)(const void *)(data + at + 1));
        __m128i third = _mm_loadu_si128((const __m128i *)(const void *)(data + at + 2));
        __m128i zeros = _mm_cmpeq_epi8(_mm_or_si128(first, second), zero);
        int mask = _mm_movemask_epi8(_mm_and_si128(zeros, _mm_cmpeq_epi8(third, one)));
        if (mask) {
            *found = true;
            return at + (size_t)__builtin_ctz((unsigned)mask);
        }
    }
    return at;
}
#endif

// Where the next 00 00 01 begins, at or after `at`; `size` if there is none.
static size_t find_start_code(const uint8_t *data, size_t size, size_t at)
{
#ifdef __SSE2__
    bool found = false;
    at = find_in_steps(data, size, at, &found);
    if (found)
        return at;
#endif
    while (at + 3 <= size) {
        uint8_t third = data[at + 2];
        if (third == 0)
            at++;
        else if (third == 1 && data[at] == 0 && data[at + 1] == 0)
            return at;
        else
            at += 3; // no start code can hold this byte
    }
    return size;
}

bool ch_annexb_next(const uint8_t *data, size_t size, size_t *pos, struct ch_nal *nal)
{
    size_t begin = *pos;
    size_t code = begin < size ? find_start_code(data, size, begin) : size;
    while (code < size) {
        size_t offset = code + 3, next = find_start_code(data, size, offset), end = next;
        while (end > offset && data[end - 1] == 0)
            end--;
        if (end > offset) {
            *nal = (struct ch_nal){.offset = offset, .size = end - offset, .prefix = offset - begin};
            *pos = end;
            return true;
        }
        code = next;
    }
    *pos = size;
    return false;
}
