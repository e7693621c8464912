// What an AAC AudioSpecificConfig says (ISO/IEC 14496-3 1.6.2.1). Pure.
#ifndef CH_CODEC_AAC_H
#define CH_CODEC_AAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_AAC_CONFIG_MAX 64u
#define CH_AAC_FRAME_MAX 8192u // bytes of a frame: 6144 bits a channel, 8 channels, and some
#define CH_AAC_CODEC_BYTES 16

struct ch_aac_config {
    uint32_t rate;                  // samples per second of what a frame decodes to without SBR; 0: there is no audio
    uint32_t channels;              // 1 to 8, before parametric stereo makes two of one
    uint32_t frame_samples;         // 1024 or 960, at `rate`
    char codec[CH_AAC_CODEC_BYTES]; // RFC 6381, "mp4a.40.2"
    uint8_t bytes;                  // of config
    uint8_t config[CH_AAC_CONFIG_MAX]; // as it was, with whatever follows the part that is read (the way old decoders
                                       // are told about SBR, which does not change `codec`)
};

// 0, or -EBADMSG (*out is left alone): not whole, no AAC (object types 1 to 5 and 29 are read), too long, a reserved
// rate or channel layout, a rate given as a number below 1000 or above 192000, no channel or more than 8. A channel
// layout spelled out as a program_config_element is counted.
int ch_aac_parse(const uint8_t *config, size_t size, struct ch_aac_config *out);
bool ch_aac_same(const struct ch_aac_config *a, const struct ch_aac_config *b);

#endif
