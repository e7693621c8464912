// The Matroska that is handed to ffmpeg, read back by a reader that knows elements only by RFC 8794.
#include "unit.h"

#include "codec/mkv.h"

#include <stdbool.h>

struct element {
    uint32_t id;
    uint64_t size;
    bool open; // its size is not known
    const uint8_t *data;
};

struct cursor {
    const uint8_t *at, *end;
};

static uint64_t take(struct cursor *cursor, unsigned bytes)
{
    uint64_t value = 0;
    assert_true(cursor->end - cursor->at >= (ptrdiff_t)bytes);
    while (bytes-- > 0)
        value = value << 8 | *cursor->at++;
    return value;
}

// Length of a variable-size integer, by its first byte.
static unsigned length_of(const struct cursor *cursor)
{
    unsigned length = 1;
    assert_true(cursor->at < cursor->end && *cursor->at != 0);
    while (!(*cursor->at & (0x80u >> (length - 1))))
        length++;
    return length;
}

// The next element; what is in it can be read from .data. Enters those whose size is open.
static struct element next(struct cursor *cursor)
{
    struct element element = {0};
    unsigned length = length_of(cursor);
    assert_in_range(length, 1, 4);
    element.id = (uint32_t)take(cursor, length);
    length = length_of(cursor);
    uint64_t mask = (UINT64_C(1) << (7 * length)) - 1;
    element.size = take(cursor, length) & mask;
    element.open = element.size == mask;
    element.data = cursor->at;
    if (!element.open) {
        assert_true((uint64_t)(cursor->end - cursor->at) >= element.size);
        cursor->at += element.size;
    }
    return element;
}

static struct cursor inside(const struct element *element)
{
    return (struct cursor){element->data, element->data + element->size};
}

static uint64_t number_of(const struct element *element)
{
    struct cursor cursor = inside(element);
    return take(&cursor, (unsigned)element->size);
}

// Goes on to the child with this id.
static struct element child(const struct element *parent, uint32_t id)
{
    struct cursor cursor = inside(parent);
    for (;;) {
        assert_true(cursor.at < cursor.end);
        struct element element = next(&cursor);
        if (element.id == id)
            return element;
    }
}

static uint64_t number_in(const struct element *parent, uint32_t id)
{
    struct element element = child(parent, id);
    return number_of(&element);
}

static void assert_text(const struct element *parent, uint32_t id, const char *text)
{
    struct element element = child(parent, id);
    assert_int_equal(element.size, strlen(text));
    assert_memory_equal(element.data, text, element.size);
}

static void test_head(void **state)
{
    (void)state;
    uint8_t head[1024];
    size_t bytes = ch_mkv_write_head(640, 65535, 100000, NULL, 0);
    memset(head, 0x55, sizeof head);
    assert_int_equal(ch_mkv_write_head(640, 65535, 100000, head, bytes - 1), bytes);
    for (size_t i = 0; i < sizeof head; i++)
        assert_int_equal(head[i], 0x55); // it did not fit
    assert_int_equal(ch_mkv_write_head(640, 65535, 100000, head, bytes), bytes);
    assert_int_equal(head[bytes], 0x55);

    struct cursor cursor = {head, head + bytes};
    struct element ebml = next(&cursor);
    assert_int_equal(ebml.id, 0x1A45DFA3);
    assert_text(&ebml, 0x4282, "matroska");
    struct element segment = next(&cursor);
    assert_int_equal(segment.id, 0x18538067);
    assert_true(segment.open);
    struct element info = next(&cursor);
    assert_int_equal(info.id, 0x1549A966);
    assert_int_equal(number_in(&info, 0x2AD7B1), 1000); // nanoseconds
    struct element tracks = next(&cursor), entry = child(&tracks, 0xAE), video = child(&entry, 0xE0);
    assert_int_equal(tracks.id, 0x1654AE6B);
    assert_int_equal(number_in(&entry, 0xD7), 1);
    assert_int_equal(number_in(&entry, 0x83), 1);
    assert_int_equal(number_in(&entry, 0x23E383), 100000000);
    assert_text(&entry, 0x86, "V_MJPEG");
    assert_int_equal(number_in(&video, 0xB0), 640);
    assert_int_equal(number_in(&video, 0xBA), 65535);
    assert_ptr_equal(cursor.at, cursor.end);
}

static void test_blocks(void **state)
{
    (void)state;
    static const int64_t times[] = {0, 1, 11, 33333, 86400000000, INT64_MAX};
    static uint8_t buffer[CH_MKV_BLOCK_HEAD_BYTES + 70000];
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        size_t bytes = i == 0 ? 0 : i == 1 ? 127 : 70000 - i;
        ch_mkv_write_block_head(times[i], bytes, buffer);
        memset(buffer + CH_MKV_BLOCK_HEAD_BYTES, (int)i, bytes);
        struct cursor cursor = {buffer, buffer + CH_MKV_BLOCK_HEAD_BYTES + bytes};
        struct element cluster = next(&cursor), block = child(&cluster, 0xA3);
        assert_int_equal(cluster.id, 0x1F43B675);
        assert_ptr_equal(cursor.at, cursor.end); // the cluster ends with the picture
        assert_int_equal(number_in(&cluster, 0xE7), times[i]);
        assert_int_equal(block.size, 4 + bytes);
        assert_memory_equal(block.data, "\x81\0\0\x80", 4); // track 1, at the cluster's time, key frame, no lacing
        assert_ptr_equal(block.data + 4, buffer + CH_MKV_BLOCK_HEAD_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_head), cmocka_unit_test(test_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
