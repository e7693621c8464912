// Internal to the codec layer: a bit reader over one NAL unit.
//
// Emulation prevention bytes (ITU-T H.264 7.4.1) are skipped on the way, so callers see the RBSP
// without a copy. An error is sticky: after a read past the end, or a value out of range, every
// read gives 0 and `failed` stays set, so a parser reads all its fields and looks once at the end.
#ifndef CH_CODEC_H264_BITS_H
#define CH_CODEC_H264_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ch_bits {
    const uint8_t *next, *end;
    uint64_t cache;  // the low `cached` bits are the ones to come
    unsigned cached; // 0..64
    unsigned zeros;  // zero bytes right before `next`, as they stand in the NAL unit
    bool failed;
};

// `nal` with its header byte, which is skipped.
static inline struct ch_bits ch_bits_of_nal(const uint8_t *nal, size_t size)
{
    return (struct ch_bits){.next = size > 0 ? nal + 1 : nal, .end = nal + size, .failed = size == 0};
}

static inline void ch_bits_fail(struct ch_bits *bits)
{
    bits->failed = true;
    bits->next = bits->end;
    bits->cached = 0;
}

static inline void ch_bits_fill(struct ch_bits *bits)
{
    while (bits->cached <= 56 && bits->next < bits->end) {
        uint8_t byte = *bits->next++;
        if (byte == 3 && bits->zeros >= 2) {
            bits->zeros = 0;
            continue;
        }
        bits->zeros = byte ? 0 : bits->zeros + 1;
        bits->cache = bits->cache << 8 | byte;
        bits->cached += 8;
    }
}

// u(n), n 0..32.
static inline uint32_t ch_bits_u(struct ch_bits *bits, unsigned n)
{
    if (n == 0)
        return 0;
    if (bits->cached < n)
        ch_bits_fill(bits);
    if (bits->cached < n) {
        ch_bits_fail(bits);
        return 0;
    }
    bits->cached -= n;
    return (uint32_t)(bits->cache >> bits->cached & ((UINT64_C(1) << n) - 1));
}

static inline bool ch_bits_flag(struct ch_bits *bits)
{
    return ch_bits_u(bits, 1);
}

// ue(v), 9.1: 0..2^32 - 2.
static inline uint32_t ch_bits_ue(struct ch_bits *bits)
{
    unsigned zeros = 0;
    while (!ch_bits_flag(bits)) {
        if (bits->failed || ++zeros > 31) {
            ch_bits_fail(bits);
            return 0;
        }
    }
    return (uint32_t)((UINT64_C(1) << zeros) - 1 + ch_bits_u(bits, zeros));
}

// ue(v) that must not exceed `max`.
static inline uint32_t ch_bits_ue_max(struct ch_bits *bits, uint32_t max)
{
    uint32_t value = ch_bits_ue(bits);
    if (value <= max)
        return value;
    ch_bits_fail(bits);
    return 0;
}

// se(v), 9.1.1: -2^31 + 1..2^31 - 1.
static inline int32_t ch_bits_se(struct ch_bits *bits)
{
    uint32_t code = ch_bits_ue(bits);
    return code & 1 ? (int32_t)(code / 2 + 1) : -(int32_t)(code / 2);
}

// se(v) that must lie in min..max.
static inline int32_t ch_bits_se_range(struct ch_bits *bits, int32_t min, int32_t max)
{
    int32_t value = ch_bits_se(bits);
    if (value >= min && value <= max)
        return value;
    ch_bits_fail(bits);
    return 0;
}

#endif
