#include "codec/aac.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RATE_MIN 1000u
#define RATE_MAX 192000u
#define RATE_EXPLICIT 15u // samplingFrequencyIndex
#define CHANNELS_MAX 8u

// audioObjectType. 31 is the escape to those from 32 on, none of which is AAC as it is meant here.
enum { TYPE_MAIN = 1, TYPE_LTP = 4, TYPE_SBR = 5, TYPE_PS = 29 };

// A read past the end gives 0 and leaves `failed` set.
struct bits {
    const uint8_t *data;
    size_t at, size; // in bits
    bool failed;
};

static uint32_t get_bits(struct bits *bits, unsigned n)
{
    uint32_t value = 0;
    if (bits->size - bits->at < n) {
        bits->failed = true;
        bits->at = bits->size;
        return 0;
    }
    for (; n > 0; n--, bits->at++)
        value = value << 1 | (bits->data[bits->at / 8] >> (7 - bits->at % 8) & 1u);
    return value;
}

static void skip_bits(struct bits *bits, size_t n)
{
    if (bits->size - bits->at < n)
        bits->failed = true;
    bits->at = bits->failed ? bits->size : bits->at + n;
}

// 0 if it is reserved or not to be believed.
static uint32_t get_rate(struct bits *bits)
{
    static const uint32_t rates[RATE_EXPLICIT] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                                  22050, 16000, 12000, 11025, 8000,  7350};
    unsigned index = get_bits(bits, 4);
    if (index != RATE_EXPLICIT)
        return rates[index];
    uint32_t rate = get_bits(bits, 24);
    return rate >= RATE_MIN && rate <= RATE_MAX ? rate : 0;
}

// Channels of `count` elements, each of which is one channel or a pair.
static unsigned get_elements(struct bits *bits, unsigned count)
{
    unsigned channels = 0;
    for (; count > 0; count--) {
        channels += 1 + get_bits(bits, 1);
        skip_bits(bits, 4); // element_tag_select
    }
    return channels;
}

// program_config_element, 4.4.1.1: its channels.
static unsigned get_program(struct bits *bits)
{
    skip_bits(bits, 4 + 2 + 4); // element_instance_tag, object_type, sampling_frequency_index
    unsigned outputs = get_bits(bits, 4);
    outputs += get_bits(bits, 4);
    outputs += get_bits(bits, 4); // front, side, back
    unsigned low = get_bits(bits, 2);
    unsigned associated = get_bits(bits, 3);
    unsigned coupled = get_bits(bits, 4);
    if (get_bits(bits, 1)) // mono_mixdown_present
        skip_bits(bits, 4);
    if (get_bits(bits, 1)) // stereo_mixdown_present
        skip_bits(bits, 4);
    if (get_bits(bits, 1)) // matrix_mixdown_idx_present
        skip_bits(bits, 3);
    unsigned channels = get_elements(bits, outputs) + low;
    skip_bits(bits, (size_t)4 * (low + associated) + (size_t)5 * coupled);
    skip_bits(bits, (8 - bits->at % 8) % 8);        // aligned to the start of the whole configuration
    skip_bits(bits, (size_t)8 * get_bits(bits, 8)); // comment
    return channels;
}

// GASpecificConfig, 4.4.1. The channels, 0 if they are reserved.
static unsigned get_general(struct bits *bits, unsigned layout, uint32_t *frame_samples)
{
    static const uint8_t layouts[16] = {0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8, 0};
    *frame_samples = get_bits(bits, 1) ? 960 : 1024;
    if (get_bits(bits, 1)) // dependsOnCoreCoder
        skip_bits(bits, 14);
    unsigned extension = get_bits(bits, 1);
    unsigned channels = layout == 0 ? get_program(bits) : layouts[layout];
    skip_bits(bits, extension); // extensionFlag3
    return channels;
}

int ch_aac_parse(const uint8_t *config, size_t size, struct ch_aac_config *out)
{
    struct ch_aac_config aac = {0};
    if (size > CH_AAC_CONFIG_MAX)
        return -EBADMSG;
    struct bits bits = {.data = config, .size = 8 * size};
    unsigned type = get_bits(&bits, 5), core = type;
    aac.rate = get_rate(&bits);
    unsigned layout = get_bits(&bits, 4);
    if (type == TYPE_SBR || type == TYPE_PS) { // the rate that was said is the core's, then comes that of the output
        if (get_rate(&bits) == 0)
            return -EBADMSG;
        core = get_bits(&bits, 5);
    }
    if (core < TYPE_MAIN || core > TYPE_LTP)
        return -EBADMSG;
    aac.channels = get_general(&bits, layout, &aac.frame_samples);
    if (bits.failed || aac.rate == 0 || aac.channels == 0 || aac.channels > CHANNELS_MAX)
        return -EBADMSG;
    snprintf(aac.codec, sizeof aac.codec, "mp4a.40.%u", type);
    aac.bytes = (uint8_t)size;
    memcpy(aac.config, config, size);
    *out = aac;
    return 0;
}

bool ch_aac_same(const struct ch_aac_config *a, const struct ch_aac_config *b)
{
    return a->bytes == b->bytes && memcmp(a->config, b->config, a->bytes) == 0;
}
