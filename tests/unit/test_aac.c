// AudioSpecificConfigs, spelled out bit by bit from ISO/IEC 14496-3 1.6.2.1 and 4.4.1.
#include "unit.h"

#include "codec/aac.h"

#include <errno.h>
#include <stdio.h>

#define ROOM 80

// "01" and the like, spaces ignored, into bytes; the last one is filled with zeros.
static size_t pack(const char *text, uint8_t out[ROOM])
{
    size_t bits = 0;
    memset(out, 0, ROOM);
    for (; *text; text++) {
        if (*text == ' ')
            continue;
        assert_true((*text == '0' || *text == '1') && bits < (size_t)8 * ROOM);
        if (*text == '1')
            out[bits / 8] |= (uint8_t)(0x80u >> bits % 8);
        bits++;
    }
    return (bits + 7) / 8;
}

static int parse(const uint8_t *config, size_t size, struct ch_aac_config *out)
{
    struct guard guard = guard_copy(config, size);
    int rc = ch_aac_parse(guard.data, size, out);
    guard_free(&guard);
    return rc;
}

// --- good ones --------------------------------------------------------------------------------------

static const struct good {
    const char *bits; // type 5, rate index 4, layout 4, frame length 1, core coder 1, extension 1
    uint32_t rate, channels, frame_samples;
    const char *codec;
} good[] = {
    {"00010 0011 0010 000", 48000, 2, 1024, "mp4a.40.2"},
    {"00010 0100 0001 000", 44100, 1, 1024, "mp4a.40.2"},
    {"00010 0100 0010 100", 44100, 2, 960, "mp4a.40.2"},
    {"00001 0000 0011 000", 96000, 3, 1024, "mp4a.40.1"},
    {"00011 0001 0100 000", 88200, 4, 1024, "mp4a.40.3"},
    {"00100 0010 0101 000", 64000, 5, 1024, "mp4a.40.4"},
    {"00010 0101 0110 000", 32000, 6, 1024, "mp4a.40.2"},
    {"00010 0110 0111 000", 24000, 8, 1024, "mp4a.40.2"},
    {"00010 0111 1011 000", 22050, 7, 1024, "mp4a.40.2"},
    {"00010 1000 1100 000", 16000, 8, 1024, "mp4a.40.2"},
    {"00010 1001 1110 000", 12000, 8, 1024, "mp4a.40.2"},
    {"00010 1010 0001 000", 11025, 1, 1024, "mp4a.40.2"},
    {"00010 1011 0001 000", 8000, 1, 1024, "mp4a.40.2"},
    {"00010 1100 0001 000", 7350, 1, 1024, "mp4a.40.2"},
    // a rate as a number of 24 bits: 44100, 1000, 192000, 0xAAAA
    {"00010 1111 000000001010110001000100 0010 000", 44100, 2, 1024, "mp4a.40.2"},
    {"00010 1111 000000000000001111101000 0001 000", 1000, 1, 1024, "mp4a.40.2"},
    {"00010 1111 000000101110111000000000 0001 000", 192000, 1, 1024, "mp4a.40.2"},
    {"00010 1111 000000001010101010101010 0001 000", 43690, 1, 1024, "mp4a.40.2"},
    // a core coder's delay of 14 bits; an extension flag
    {"00010 0011 0010 01 11111111111111 0", 48000, 2, 1024, "mp4a.40.2"},
    {"00010 0011 0010 001 0", 48000, 2, 1024, "mp4a.40.2"},
    // SBR, and SBR with parametric stereo: type, core rate, layout, output rate, core type
    {"00101 0110 0010 0011 00010 000", 24000, 2, 1024, "mp4a.40.5"},
    {"11101 0111 0001 0100 00010 000", 22050, 1, 1024, "mp4a.40.29"},
    {"00101 0110 0010 0011 00010 100", 24000, 2, 960, "mp4a.40.5"},
    {"00101 1111 000000000101110111000000 0010 1111 000000001011101110000000 00010 000", 24000, 2, 1024, "mp4a.40.5"},
    // A layout in a program_config_element: tag, profile, rate; front, side, back, low, associated, coupled; three
    // mixdowns; front pair and single, side pair; LFE; aligned, no comment.
    {"00010 0011 0000 000  0000 01 0011  0010 0001 0000 01 000 0000  000  1 0000 0 0000 1 0001 0000  00 00000000",
     48000, 6, 1024, "mp4a.40.2"},
    // The same behind a core coder's delay, with a single front channel and eight coupling channels.
    {"00010 0011 0000 01 11111111111111 0  0000 01 0011  0001 0000 0000 00 000 1000  000  0 0000  "
     "11111 11111 11111 11111 11111 11111 11111 11111  000 00000001 00000000",
     48000, 1, 1024, "mp4a.40.2"},
    // The same with every mixdown, an associated data stream, a coupling channel and a comment of two bytes.
    {"00010 0011 0000 000  0000 01 0011  0001 0000 0001 00 001 0001  1 1010 1 0101 1 110  1 0000 1 0001  1100 1 0010 "
     "00000010 11111111 11111111",
     48000, 4, 1024, "mp4a.40.2"},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct ch_aac_config aac;
        uint8_t bytes[ROOM];
        size_t size = pack(good[i].bits, bytes);
        if (parse(bytes, size, &aac) != 0)
            fail_msg("%s is refused", good[i].bits);
        assert_int_equal(aac.rate, good[i].rate);
        assert_int_equal(aac.channels, good[i].channels);
        assert_int_equal(aac.frame_samples, good[i].frame_samples);
        assert_string_equal(aac.codec, good[i].codec);
        assert_int_equal(aac.bytes, size);
        assert_memory_equal(aac.config, bytes, size);
    }
}

// Every byte of it is needed: one that was cut short is refused, and what was there stays.
static void test_cut(void **state)
{
    struct ch_aac_config aac, before;
    (void)state;
    memset(&aac, 0x5A, sizeof aac);
    before = aac;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint8_t bytes[ROOM];
        for (size_t size = pack(good[i].bits, bytes); size-- > 0;) {
            assert_int_equal(parse(bytes, size, &aac), -EBADMSG);
            assert_memory_equal(&aac, &before, sizeof aac);
        }
    }
}

// What follows is kept as it is, up to the most that there is room for.
static void test_longer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct ch_aac_config aac;
        uint8_t bytes[ROOM];
        size_t size = pack(good[i].bits, bytes);
        memset(bytes + size, 0xC7, sizeof bytes - size);
        for (; size <= CH_AAC_CONFIG_MAX; size++) {
            assert_int_equal(parse(bytes, size, &aac), 0);
            assert_int_equal(aac.channels, good[i].channels);
            assert_int_equal(aac.bytes, size);
            assert_memory_equal(aac.config, bytes, size);
        }
        assert_int_equal(parse(bytes, size, &aac), -EBADMSG);
    }
}

// --- bad ones ---------------------------------------------------------------------------------------

static const char *const bad[] = {
    "00000 0011 0010 000 0000 0000",                                // type 0
    "00110 0011 0010 000 0000 0000",                                // 6: scalable
    "10110 0011 0010 000 0000 0000",                                // 22: BSAC
    "10111 0011 0010 000 0000 0000",                                // 23: ER AAC LD
    "11111 000000 0011 0010 000 0000 0000",                         // escaped: 32, MPEG-1 layer 1
    "11111 001010 0011 0010 000 0000 0000",                         // 42: USAC
    "00010 1101 0010 000 0000 0000",                                // rates 13 and 14
    "00010 1110 0010 000 0000 0000",                                //
    "00010 0011 1000 000 0000 0000",                                // layouts 8 to 10, 13 and 15
    "00010 0011 1001 000 0000 0000",                                //
    "00010 0011 1010 000 0000 0000",                                //
    "00010 0011 1101 000 0000 0000",                                //
    "00010 0011 1111 000 0000 0000",                                //
    "00010 1111 000000000000000000000000 0010 000 0000",            // 0 Hz
    "00010 1111 000000000000001111100111 0010 000 0000",            // 999 Hz
    "00010 1111 000000101110111000000001 0010 000 0000",            // 192001 Hz
    "00010 1111 111111111111111111111111 0010 000 0000",            //
    "00101 0110 0010 1101 00010 000 0000",                          // SBR: output rate reserved,
    "00101 0110 0010 1111 000000000000000000000000 00010 000 0000", // 0 Hz,
    "00101 0110 0010 0011 00101 000 0000",                          // of SBR,
    "00101 0110 0010 0011 10110 0000 000 0000",                     // of BSAC,
    "00101 0110 0010 0011 11111 000000 000 0000",                   // of a layer 1
    "11101 1101 0001 0100 00010 000 0000",                          // parametric stereo: core rate reserved
    // program_config_elements: no channel; nine of them; a comment that is not there
    "00010 0011 0000 000  0000 01 0011  0000 0000 0000 00 000 0000  000  00000 00000000 00000000",
    ("00010 0011 0000 000  0000 01 0011  0101 0000 0000 00 000 0000  000  10000 10000 10000 10000 00000  00000000 "
     "00000000 00000000"),
    "00010 0011 0000 000  0000 01 0011  0001 0000 0000 00 000 0000  000  10000  0 00000010 00000000",
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ch_aac_config aac = {.rate = 1, .channels = 2};
        uint8_t bytes[ROOM];
        size_t size = pack(bad[i], bytes);
        if (parse(bytes, size, &aac) != -EBADMSG)
            fail_msg("%s is taken", bad[i]);
        assert_int_equal(aac.rate, 1);
        assert_int_equal(aac.channels, 2);
    }
    assert_int_equal(ch_aac_parse(NULL, 0, &(struct ch_aac_config){0}), -EBADMSG);
}

// --- others' ----------------------------------------------------------------------------------------

// What ffmpeg's encoder writes: SBR ruled out behind the part that is read; layouts by number and spelled out, with the
// encoder's name as a comment.
static void test_ffmpeg(void **state)
{
    static const struct {
        uint8_t size, bytes[32];
        uint32_t rate, channels;
    } cases[] = {
        {5, {0x11, 0x90, 0x56, 0xE5, 0x00}, 48000, 2},
        {5, {0x12, 0x08, 0x56, 0xE5, 0x00}, 44100, 1},
        {5, {0x15, 0x88, 0x56, 0xE5, 0x00}, 8000, 1},
        {5, {0x11, 0xB8, 0x56, 0xE5, 0x00}, 48000, 8},
        {25,
         {0x11, 0x80, 0x04, 0xC4, 0x04, 0x00, 0x21, 0x10, 0x0D, 0x4C, 0x61, 0x76, 0x63,
          0x35, 0x39, 0x2E, 0x33, 0x37, 0x2E, 0x31, 0x30, 0x30, 0x56, 0xE5, 0x00},
         48000,
         4},
        {25,
         {0x11, 0x80, 0x04, 0xC4, 0x01, 0x00, 0x20, 0x00, 0x0D, 0x4C, 0x61, 0x76, 0x63,
          0x35, 0x39, 0x2E, 0x33, 0x37, 0x2E, 0x31, 0x30, 0x30, 0x56, 0xE5, 0x00},
         48000,
         3},
        {27,
         {0x11, 0x80, 0x04, 0xC8, 0x48, 0x00, 0x20, 0x08, 0xC8, 0x20, 0x0D, 0x4C, 0x61, 0x76,
          0x63, 0x35, 0x39, 0x2E, 0x33, 0x37, 0x2E, 0x31, 0x30, 0x30, 0x56, 0xE5, 0x00},
         48000,
         8},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ch_aac_config aac;
        assert_int_equal(parse(cases[i].bytes, cases[i].size, &aac), 0);
        assert_int_equal(aac.rate, cases[i].rate);
        assert_int_equal(aac.channels, cases[i].channels);
        assert_int_equal(aac.frame_samples, 1024);
        assert_string_equal(aac.codec, "mp4a.40.2");
        assert_int_equal(aac.bytes, cases[i].size);
    }
}

static void test_same(void **state)
{
    static const uint8_t bytes[] = {0x11, 0x90, 0x56, 0xE5, 0x00};
    struct ch_aac_config none = {0}, whole, part, other;
    uint8_t mono[sizeof bytes];
    (void)state;
    memcpy(mono, bytes, sizeof bytes);
    mono[1] = 0x88;
    assert_int_equal(ch_aac_parse(bytes, sizeof bytes, &whole), 0);
    assert_int_equal(ch_aac_parse(bytes, 2, &part), 0);
    assert_int_equal(ch_aac_parse(mono, sizeof mono, &other), 0);
    assert_true(ch_aac_same(&none, &(struct ch_aac_config){0}));
    assert_true(ch_aac_same(&whole, &(struct ch_aac_config){.bytes = 5, .config = {0x11, 0x90, 0x56, 0xE5, 0x00}}));
    assert_false(ch_aac_same(&none, &whole));
    assert_false(ch_aac_same(&whole, &none));
    assert_false(ch_aac_same(&whole, &part));
    assert_false(ch_aac_same(&whole, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_cut),    cmocka_unit_test(test_longer),
        cmocka_unit_test(test_bad),  cmocka_unit_test(test_ffmpeg), cmocka_unit_test(test_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
