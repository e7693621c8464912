// JPEG markers: whole pictures, every way to cut them short, and everything that is none.
#include "jpeg_maker.h"

#include "codec/jpeg.h"

#include <errno.h>

// From memory that ends right behind it.
static int parse(const struct picture *picture, size_t size, struct ch_jpeg *out)
{
    struct guard guard = guard_copy(picture->data, size);
    memset(out, 0xAA, sizeof *out);
    int rc = ch_jpeg_parse(guard.data, size, out);
    guard_free(&guard);
    return rc;
}

static void assert_bad(struct picture *picture)
{
    struct ch_jpeg jpeg;
    assert_int_equal(parse(picture, picture->size, &jpeg), -EBADMSG);
    assert_int_equal(jpeg.width, 0xAAAAAAAA); // not touched
    free_picture(picture);
}

// Whole, and torn at every byte; takes the picture.
static void assert_good(struct picture *picture, unsigned width, unsigned height, size_t bytes)
{
    struct ch_jpeg jpeg;
    assert_int_equal(parse(picture, picture->size, &jpeg), 0);
    assert_int_equal(jpeg.width, width);
    assert_int_equal(jpeg.height, height);
    assert_int_equal(jpeg.bytes, bytes);
    assert_int_equal(jpeg.bytes + jpeg.zeros + jpeg.other, picture->size);
    for (size_t size = 0; size < picture->size; size++)
        assert_int_equal(parse(picture, size, &jpeg), size < bytes ? -ENODATA : 0);
    free_picture(picture);
}

static void test_whole(void **state)
{
    (void)state;
    static const unsigned sizes[][2] = {{1, 1}, {8, 8}, {640, 480}, {65535, 1}, {1, 65535}, {17, 33}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct picture picture = make_picture(sizes[i][0], sizes[i][1], (unsigned)i, i * 11);
        struct ch_jpeg jpeg;
        assert_int_equal(parse(&picture, picture.size, &jpeg), 0);
        assert_int_equal(jpeg.width, sizes[i][0]);
        assert_int_equal(jpeg.height, sizes[i][1]);
        assert_int_equal(jpeg.components, 1);
        assert_int_equal(jpeg.bytes, picture.size);
        assert_int_equal(jpeg.zeros + jpeg.other, 0);
        free_picture(&picture);
    }
}

static void test_torn(void **state)
{
    (void)state;
    struct picture picture = make_picture(40, 24, 3, 100);
    assert_good(&picture, 40, 24, picture.size);
}

static void test_behind_the_end(void **state)
{
    (void)state;
    struct ch_jpeg jpeg;
    struct picture picture = make_picture(16, 16, 1, 0);
    size_t bytes = picture.size;
    static const uint8_t zeros[1000];
    add_bytes(&picture, zeros, sizeof zeros);
    assert_int_equal(parse(&picture, picture.size, &jpeg), 0);
    assert_int_equal(jpeg.bytes, bytes);
    assert_int_equal(jpeg.zeros, sizeof zeros);
    assert_int_equal(jpeg.other, 0);
    add_bytes(&picture, "x\0y", 3);
    assert_int_equal(parse(&picture, picture.size, &jpeg), 0);
    assert_int_equal(jpeg.zeros, sizeof zeros);
    assert_int_equal(jpeg.other, 3);
    assert_good(&picture, 16, 16, bytes);
}

// Several scans with tables between them, as in progressive pictures; restarts; stuffed and fill bytes.
static void test_many_markers(void **state)
{
    (void)state;
    struct picture picture = {0};
    static const uint8_t data[] = {1, 2, 0xFF, 0, 0xFF, 0xD0, 3, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0xD7, 4};
    add_marker(&picture, 0xD8);
    add_byte(&picture, 0xFF); // fill bytes in front of a marker, B.1.1.2
    add_byte(&picture, 0xFF);
    add_segment(&picture, 0xE0, "JFIF", 5);
    add_segment(&picture, 0xE1, "\xFF\xD8\xFF\xD9\xFF\xDA", 6); // a thumbnail: markers in a segment are none
    add_marker(&picture, 0x01);                                 // TEM stands alone
    add_quantisation(&picture);
    add_segment(&picture, 0xDD, "\0\1", 2);
    add_frame_header(&picture, 0xC2, 320, 240);
    for (unsigned scan = 0; scan < 3; scan++) {
        add_huffman(&picture);
        add_scan_header(&picture);
        add_bytes(&picture, data, sizeof data);
        if (scan == 1)
            add_byte(&picture, 0xFF);
    }
    add_segment(&picture, 0xFE, "", 0);
    add_marker(&picture, 0xD9);
    assert_good(&picture, 320, 240, picture.size);
}

// The number of lines comes behind the first scan, B.2.5.
static void test_lines_behind(void **state)
{
    (void)state;
    for (int odd = 0; odd <= 2; odd++) {
        struct picture picture = {0};
        add_marker(&picture, 0xD8);
        add_frame_header(&picture, 0xC0, 32, 0);
        if (odd == 2)
            add_segment(&picture, 0xDC, "\0\x18", 2); // in front of the scan
        add_scan_header(&picture);
        add_blocks(&picture, 12, 0);
        if (odd == 0)
            add_segment(&picture, 0xDC, "\0\x18", 2);
        add_marker(&picture, 0xD9);
        if (odd == 0)
            assert_good(&picture, 32, 24, picture.size);
        else
            assert_bad(&picture);
    }
}

// SOI, a frame header of these bytes, a scan, EOI.
static struct picture with_frame(const uint8_t *header, size_t size)
{
    struct picture picture = {0};
    add_marker(&picture, 0xD8);
    add_segment(&picture, 0xC0, header, size);
    add_scan_header(&picture);
    add_byte(&picture, 0);
    add_marker(&picture, 0xD9);
    return picture;
}

static void test_frame_headers(void **state)
{
    (void)state;
    uint8_t header[6 + 3 * 255] = {8, 0, 16, 0, 16, 1};
    struct picture picture = with_frame(header, 9);
    assert_good(&picture, 16, 16, picture.size);
    header[5] = 4;
    picture = with_frame(header, 18);
    assert_good(&picture, 16, 16, picture.size);
    static const struct {
        uint8_t height, width, components;
        size_t size;
    } bad[] = {
        {16, 0, 1, 9},  // no width
        {0, 16, 1, 9},  // no height, and none behind it
        {16, 16, 0, 6}, // no component
        {16, 16, 5, 21}, {16, 16, 255, 771}, {16, 16, 1, 8}, {16, 16, 1, 10}, {16, 16, 3, 9}, {16, 16, 1, 5},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        header[2] = bad[i].height;
        header[4] = bad[i].width;
        header[5] = bad[i].components;
        picture = with_frame(header, bad[i].size);
        assert_bad(&picture);
    }
}

static void test_every_marker(void **state)
{
    (void)state;
    for (unsigned marker = 0; marker < 256; marker++) {
        struct picture picture = {0};
        add_marker(&picture, 0xD8);
        add_segment(&picture, marker, "\1\2\3\4", 4);
        add_frame_header(&picture, 0xC1, 8, 8);
        add_scan_header(&picture);
        add_byte(&picture, 0);
        add_marker(&picture, 0xD9);
        bool table = marker == 0xC4 || marker == 0xCC || marker == 0xDB || marker == 0xDD;
        bool free_to_use = marker >= 0xE0 && marker <= 0xFE;
        struct ch_jpeg jpeg;
        int rc = parse(&picture, picture.size, &jpeg);
        // 0xFF is a fill byte: what follows it, 00, is no marker.
        assert_int_equal(rc, table || free_to_use ? 0 : -EBADMSG);
        free_picture(&picture);
    }
}

static void test_none(void **state)
{
    (void)state;
    struct picture picture = {0};
    struct ch_jpeg jpeg;
    assert_int_equal(ch_jpeg_parse((const uint8_t *)"", 0, &jpeg), -ENODATA);
    static const char *const texts[] = {"hello", "\xFFhello", "\x89PNG", "\0\0\0\1\x67", "x\xFF\xD8\xFF"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        add_bytes(&picture, texts[i], 5);
        assert_bad(&picture);
    }
    add_marker(&picture, 0xD8); // no picture in it
    add_marker(&picture, 0xD9);
    assert_bad(&picture);
    add_marker(&picture, 0xD8);
    add_frame_header(&picture, 0xC0, 8, 8);
    add_marker(&picture, 0xD9);
    assert_bad(&picture);
    add_marker(&picture, 0xD8); // a scan of nothing
    add_scan_header(&picture);
    add_marker(&picture, 0xD9);
    assert_bad(&picture);
    add_marker(&picture, 0xD8); // a length of 1
    add_bytes(&picture, "\xFF\xE0\0\1", 4);
    assert_bad(&picture);
    picture = make_picture(8, 8, 0, 0); // bytes where a marker must be
    picture.data[2] = 0;
    assert_bad(&picture);
}

// Two pictures, of which the first has lost its end: the second one's SOI is no part of the first.
static void test_next_picture(void **state)
{
    (void)state;
    struct picture picture = make_picture(32, 32, 7, 10), next = make_picture(8, 8, 1, 0);
    size_t cut = picture.size - 5;
    picture.size = cut;
    add_bytes(&picture, next.data, next.size);
    assert_int_equal(ch_jpeg_find(picture.data, picture.size, 0), 0);
    assert_int_equal(ch_jpeg_find(picture.data, picture.size, 1), cut);
    assert_int_equal(ch_jpeg_find(picture.data, picture.size, cut), cut);
    assert_int_equal(ch_jpeg_find(picture.data, picture.size, cut + 1), picture.size);
    for (size_t size = 0; size < cut + 3; size++) {
        struct guard guard = guard_copy(picture.data, size);
        assert_int_equal(ch_jpeg_find(guard.data, size, 1), size);
        guard_free(&guard);
    }
    free_picture(&next);
    assert_bad(&picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),        cmocka_unit_test(test_torn),         cmocka_unit_test(test_behind_the_end),
        cmocka_unit_test(test_many_markers), cmocka_unit_test(test_lines_behind), cmocka_unit_test(test_frame_headers),
        cmocka_unit_test(test_every_marker), cmocka_unit_test(test_none),         cmocka_unit_test(test_next_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
