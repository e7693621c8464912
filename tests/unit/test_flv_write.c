// The FLV that viewers get, byte for byte as Adobe's annex E has it.
#include "unit.h"

#include "codec/flv.h"

#include <stdbool.h>

static void assert_bytes(const uint8_t *found, const uint8_t *expected, size_t size)
{
    assert_memory_equal(found, expected, size);
}

static void test_header(void **state)
{
    static const uint8_t mute[] = {'F', 'L', 'V', 1, 1, 0, 0, 0, 9, 0, 0, 0, 0};
    static const uint8_t sound[] = {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0};
    struct guard guard = guard_copy("?????????????", CH_FLV_HEADER_BYTES);
    (void)state;
    assert_int_equal(sizeof mute, CH_FLV_HEADER_BYTES);
    ch_flv_write_header(false, guard.data);
    assert_bytes(guard.data, mute, sizeof mute);
    ch_flv_write_header(true, guard.data);
    assert_bytes(guard.data, sound, sizeof sound);
    guard_free(&guard);
}

static void test_picture(void **state)
{
    static const struct {
        struct ch_flv_picture picture;
        uint8_t head[CH_FLV_VIDEO_HEAD_BYTES], tail[CH_FLV_TAIL_BYTES];
    } cases[] = {
        {{.key = true}, {9, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0x17, 1, 0, 0, 0}, {0, 0, 0, 16}},
        {{.decode_ms = 1, .composition_ms = 40, .sample_bytes = 1},
         {9, 0, 0, 6, 0, 0, 1, 0, 0, 0, 0, 0x27, 1, 0, 0, 40},
         {0, 0, 0, 17}},
        {{.decode_ms = 0x12345678, .composition_ms = 0x010203, .sample_bytes = 0x010203},
         {9, 1, 2, 8, 0x34, 0x56, 0x78, 0x12, 0, 0, 0, 0x27, 1, 1, 2, 3},
         {0, 1, 2, 0x13}},
        {{.decode_ms = 0xFFFFFFFF, .composition_ms = -1, .sample_bytes = CH_FLV_BODY_MAX - 5, .key = true},
         {9, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0x17, 1, 0xFF, 0xFF, 0xFF},
         {1, 0, 0, 10}},
        {{.decode_ms = 0x00FFFFFF, .composition_ms = -200},
         {9, 0, 0, 5, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0x27, 1, 0xFF, 0xFF, 0x38},
         {0, 0, 0, 16}},
        {{.decode_ms = 0x01000000, .composition_ms = 0x7FFFFF},
         {9, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0x27, 1, 0x7F, 0xFF, 0xFF},
         {0, 0, 0, 16}},
        {{.composition_ms = 0x800000}, // more than there is room for
         {9, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0x27, 1, 0x7F, 0xFF, 0xFF},
         {0, 0, 0, 16}},
        {{.composition_ms = INT32_MIN}, {9, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0x27, 1, 0x80, 0, 1}, {0, 0, 0, 16}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guard head = guard_copy("................", CH_FLV_VIDEO_HEAD_BYTES);
        struct guard tail = guard_copy("....", CH_FLV_TAIL_BYTES);
        ch_flv_write_picture(&cases[i].picture, head.data, tail.data);
        assert_bytes(head.data, cases[i].head, sizeof cases[i].head);
        assert_bytes(tail.data, cases[i].tail, sizeof cases[i].tail);
        guard_free(&head);
        guard_free(&tail);
    }
}

static void test_audio(void **state)
{
    static const struct {
        uint32_t time_ms, sample_bytes;
        uint8_t head[CH_FLV_AUDIO_HEAD_BYTES], tail[CH_FLV_TAIL_BYTES];
    } cases[] = {
        {0, 0, {8, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xAF, 1}, {0, 0, 0, 13}},
        {0x80000017, 6, {8, 0, 0, 8, 0, 0, 0x17, 0x80, 0, 0, 0, 0xAF, 1}, {0, 0, 0, 19}},
        {0xFEDCBA98,
         CH_FLV_BODY_MAX - 2,
         {8, 0xFF, 0xFF, 0xFF, 0xDC, 0xBA, 0x98, 0xFE, 0, 0, 0, 0xAF, 1},
         {1, 0, 0, 10}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guard head = guard_copy(".............", CH_FLV_AUDIO_HEAD_BYTES);
        struct guard tail = guard_copy("....", CH_FLV_TAIL_BYTES);
        ch_flv_write_audio(cases[i].time_ms, cases[i].sample_bytes, head.data, tail.data);
        assert_bytes(head.data, cases[i].head, sizeof cases[i].head);
        assert_bytes(tail.data, cases[i].tail, sizeof cases[i].tail);
        guard_free(&head);
        guard_free(&tail);
    }
}

// --- whole tags -------------------------------------------------------------------------------------

#define TAG_ROOM 512

// Writes one kind of tag into `capacity` bytes at `out`.
typedef size_t writer(const void *what, uint8_t *out, size_t capacity);

// Into every number of bytes from none to some more than are needed: the size is the same each time, and the tag is
// what was expected as soon as it fits, and not a byte is touched before. Nor is one behind it.
static void assert_tag(writer *write, const void *what, const uint8_t *expected, size_t size)
{
    uint8_t filled[TAG_ROOM];
    assert_true(size + 3 <= sizeof filled);
    memset(filled, 0xEE, sizeof filled);
    assert_int_equal(write(what, NULL, 0), size);
    for (size_t capacity = 0; capacity <= size + 3; capacity++) {
        struct guard guard = guard_copy(filled, capacity);
        assert_int_equal(write(what, guard.data, capacity), size);
        size_t written = capacity < size ? 0 : size;
        assert_bytes(guard.data, expected, written);
        assert_bytes(guard.data + written, filled, capacity - written);
        guard_free(&guard);
    }
}

struct video_config {
    const uint8_t *avcc;
    size_t bytes;
    uint32_t time_ms;
};

static size_t write_video_config(const void *what, uint8_t *out, size_t capacity)
{
    const struct video_config *config = what;
    return ch_flv_write_video_config(config->avcc, config->bytes, config->time_ms, out, capacity);
}

struct audio_config {
    struct ch_aac_config aac;
    uint32_t time_ms;
};

static size_t write_audio_config(const void *what, uint8_t *out, size_t capacity)
{
    const struct audio_config *config = what;
    return ch_flv_write_audio_config(&config->aac, config->time_ms, out, capacity);
}

static size_t write_metadata(const void *what, uint8_t *out, size_t capacity)
{
    return ch_flv_write_metadata(what, out, capacity);
}

static void test_video_config(void **state)
{
    static const uint8_t avcc[] = {1, 0x64, 0, 0x0A, 0xFF, 0xE1, 0, 2, 0x67, 0x64, 1, 0, 1, 0x68};
    static const uint8_t expected[] = {9,    0, 0,  19,   0x34, 0x56, 0x78, 0x12, 0,    0, 0, 0x17, 0,    0, 0, 0, 1,
                                       0x64, 0, 10, 0xFF, 0xE1, 0,    2,    0x67, 0x64, 1, 0, 1,    0x68, 0, 0, 0, 30};
    const struct video_config config = {avcc, sizeof avcc, 0x12345678};
    (void)state;
    assert_tag(write_video_config, &config, expected, sizeof expected);
}

static void test_audio_config(void **state)
{
    static const uint8_t expected[] = {8,    0, 0,    7,    0,    1,    0, 0, 0, 0, 0,
                                       0xAF, 0, 0x12, 0x10, 0x56, 0xE5, 0, 0, 0, 0, 18};
    struct audio_config config = {.time_ms = 256};
    (void)state;
    assert_int_equal(ch_aac_parse((const uint8_t[]){0x12, 0x10, 0x56, 0xE5, 0}, 5, &config.aac), 0);
    assert_tag(write_audio_config, &config, expected, sizeof expected);
}

#define NUMBER(a, b, c) 0, 0x##a, 0x##b, 0x##c, 0, 0, 0, 0, 0
#define WIDTH_640 0, 5, 'w', 'i', 'd', 't', 'h', NUMBER(40, 84, 00)
#define HEIGHT_480 0, 6, 'h', 'e', 'i', 'g', 'h', 't', NUMBER(40, 7E, 00)
#define CODEC_7 0, 12, 'v', 'i', 'd', 'e', 'o', 'c', 'o', 'd', 'e', 'c', 'i', 'd', NUMBER(40, 1C, 00)
#define FRAMERATE 0, 9, 'f', 'r', 'a', 'm', 'e', 'r', 'a', 't', 'e'
#define CODEC_10 0, 12, 'a', 'u', 'd', 'i', 'o', 'c', 'o', 'd', 'e', 'c', 'i', 'd', NUMBER(40, 24, 00)
#define RATE_48000 0, 15, 'a', 'u', 'd', 'i', 'o', 's', 'a', 'm', 'p', 'l', 'e', 'r', 'a', 't', 'e', NUMBER(40, E7, 70)
#define SIZE_16 0, 15, 'a', 'u', 'd', 'i', 'o', 's', 'a', 'm', 'p', 'l', 'e', 's', 'i', 'z', 'e', NUMBER(40, 30, 00)
#define STEREO 0, 6, 's', 't', 'e', 'r', 'e', 'o', 1
#define ENCODER 0, 7, 'e', 'n', 'c', 'o', 'd', 'e', 'r', 2, 0, 6, 'c', 'a', 'm', 'h', 'u', 'b'
#define BEGIN(count) 2, 0, 10, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a', 't', 'a', 8, 0, 0, 0, count
#define END 0, 0, 9

// Puts a tag around a body.
static size_t wrap(const uint8_t *body, size_t size, uint8_t out[TAG_ROOM])
{
    assert_true(size + 15 <= TAG_ROOM && size + 11 < 256 + 256);
    memset(out, 0, 11);
    out[0] = 18;
    out[2] = (uint8_t)(size >> 8);
    out[3] = (uint8_t)size;
    memcpy(out + 11, body, size);
    const uint8_t tail[] = {0, 0, (uint8_t)((size + 11) >> 8), (uint8_t)(size + 11)};
    memcpy(out + 11 + size, tail, sizeof tail);
    return size + 15;
}

static void test_metadata(void **state)
{
    static const uint8_t nothing[] = {BEGIN(1), ENCODER, END};
    static const uint8_t video[] = {BEGIN(4), WIDTH_640, HEIGHT_480, CODEC_7, ENCODER, END};
    static const uint8_t paced[] = {BEGIN(5),           WIDTH_640, HEIGHT_480, FRAMERATE,
                                    NUMBER(40, 39, 00), CODEC_7,   ENCODER,    END};
    static const uint8_t ntsc[] = {BEGIN(5), WIDTH_640, HEIGHT_480, FRAMERATE, 0,    0x40,    0x3D,    0xF8,
                                   0x51,     0xEB,      0x85,       0x1E,      0xB8, CODEC_7, ENCODER, END}; // 29.97
    static const uint8_t sound[] = {BEGIN(5), CODEC_10, RATE_48000, SIZE_16, STEREO, 1, ENCODER, END};
    static const uint8_t both[] = {BEGIN(9), WIDTH_640, HEIGHT_480, FRAMERATE, NUMBER(40, 39, 00),
                                   CODEC_7,  CODEC_10,  RATE_48000, SIZE_16,   STEREO,
                                   0,        ENCODER,   END};
    struct ch_aac_config mono, stereo;
    const struct {
        struct ch_flv_metadata metadata;
        const uint8_t *body;
        size_t size;
    } cases[] = {
        {{.encoder = "camhub"}, nothing, sizeof nothing},
        {{.height = 9, .centi_fps = 100, .encoder = "camhub"}, nothing, sizeof nothing},
        {{.width = 640, .height = 480, .encoder = "camhub"}, video, sizeof video},
        {{.width = 640, .height = 480, .centi_fps = 2500, .encoder = "camhub"}, paced, sizeof paced},
        {{.width = 640, .height = 480, .centi_fps = 2997, .encoder = "camhub"}, ntsc, sizeof ntsc},
        {{.audio = &stereo, .encoder = "camhub"}, sound, sizeof sound},
        {{.width = 640, .height = 480, .centi_fps = 2500, .audio = &mono, .encoder = "camhub"}, both, sizeof both},
    };
    (void)state;
    assert_int_equal(ch_aac_parse((const uint8_t[]){0x11, 0x88}, 2, &mono), 0);
    assert_int_equal(ch_aac_parse((const uint8_t[]){0x11, 0x90}, 2, &stereo), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t expected[TAG_ROOM];
        size_t size = wrap(cases[i].body, cases[i].size, expected);
        assert_tag(write_metadata, &cases[i].metadata, expected, size);
    }
}

// Several tags one after the other are a stream: each begins where the one before said that it ends.
static void test_stream(void **state)
{
    static const uint8_t avcc[] = {1, 0x64, 0, 0x0A, 0xFF, 0xE1, 0, 2, 0x67, 0x64, 1, 0, 1, 0x68};
    struct ch_aac_config aac;
    uint8_t out[1024];
    (void)state;
    assert_int_equal(ch_aac_parse((const uint8_t[]){0x11, 0x90}, 2, &aac), 0);
    const struct ch_flv_metadata metadata = {.width = 2, .height = 2, .audio = &aac, .encoder = ""};
    ch_flv_write_header(true, out);
    size_t used = CH_FLV_HEADER_BYTES, tags = 0;
    used += ch_flv_write_metadata(&metadata, out + used, sizeof out - used);
    used += ch_flv_write_video_config(avcc, sizeof avcc, 7, out + used, sizeof out - used);
    used += ch_flv_write_audio_config(&aac, 7, out + used, sizeof out - used);
    for (uint32_t i = 0; i < 3; i++) {
        const struct ch_flv_picture picture = {.decode_ms = 40 * i, .sample_bytes = 5 * i, .key = i == 0};
        ch_flv_write_picture(&picture, out + used, out + used + CH_FLV_VIDEO_HEAD_BYTES + 5 * i);
        used += CH_FLV_VIDEO_HEAD_BYTES + 5 * i + CH_FLV_TAIL_BYTES;
        ch_flv_write_audio(40 * i, 9 * i, out + used, out + used + CH_FLV_AUDIO_HEAD_BYTES + 9 * i);
        used += CH_FLV_AUDIO_HEAD_BYTES + 9 * i + CH_FLV_TAIL_BYTES;
    }
    size_t at = 13;
    for (; at < used; tags++) {
        size_t body = (size_t)out[at + 1] << 16 | (size_t)out[at + 2] << 8 | out[at + 3];
        const uint8_t *tail = out + at + 11 + body;
        assert_true(at + 11 + body + 4 <= used);
        assert_int_equal(((size_t)tail[0] << 24 | (size_t)tail[1] << 16 | (size_t)tail[2] << 8 | tail[3]), 11 + body);
        at += 11 + body + 4;
    }
    assert_int_equal(at, used);
    assert_int_equal(tags, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),       cmocka_unit_test(test_picture),      cmocka_unit_test(test_audio),
        cmocka_unit_test(test_video_config), cmocka_unit_test(test_audio_config), cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
