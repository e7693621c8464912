// What JPEG cameras are told.
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/camera_jpeg.h"

static void check_start(const char *resolution, int quality, const char *wanted)
{
    char out[CH_JPEG_START_BYTES];
    assert_int_equal(ch_jpeg_write_start(resolution, quality, out), strlen(wanted));
    assert_string_equal(out, wanted);
}

static void start_lines(void **state)
{
    (void)state;
    check_start(NULL, 0, "start");
    check_start("VGA", 0, "start VGA");
    check_start("P_3MP", 63, "start P_3MP 63");
    check_start("240X240", 1, "start 240X240 1");
    check_start(NULL, 12, "start 12");
    // A quality that is none is left out, and whatever the resolution is called, it fits.
    check_start("VGA", 64, "start VGA");
    check_start("VGA", -1, "start VGA");
    check_start("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 63, "start ABCDEFGHIJKLMNOP 63");
}

static void resolutions(void **state)
{
    (void)state;
    static const char *const names[] = {"QQVGA", "QCIF", "HQVGA", "240X240", "QVGA", "CIF",  "HVGA",  "VGA", "SVGA",
                                        "XGA",   "HD",   "SXGA",  "UXGA",    "FHD",  "P_HD", "P_3MP", "QXGA"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_string_equal(ch_jpeg_resolution(names[i]), names[i]);
    size_t count = 0;
    while (ch_jpeg_resolutions[count])
        count++;
    assert_int_equal(count, sizeof names / sizeof names[0]);
    assert_string_equal(ch_jpeg_resolution("vga"), "VGA");
    assert_string_equal(ch_jpeg_resolution("p_3Mp"), "P_3MP");
    assert_null(ch_jpeg_resolution(""));
    assert_null(ch_jpeg_resolution("VG"));
    assert_null(ch_jpeg_resolution("VGA "));
    assert_null(ch_jpeg_resolution("VGAA"));
}

static void set_lines(void **state)
{
    (void)state;
    char out[CH_JPEG_SET_BYTES];
    const struct ch_jpeg_setting two[] = {{"brightness", "-1"}, {"x_9", "ä=b"}};
    assert_int_equal(ch_jpeg_write_set(two, 2, out), strlen("set brightness=-1 x_9=ä=b"));
    assert_string_equal(out, "set brightness=-1 x_9=ä=b");
    assert_int_equal(ch_jpeg_write_set(two, 0, out), -EINVAL);
    // The longest that is allowed.
    char name[CH_JPEG_NAME_MAX + 2], value[CH_JPEG_VALUE_MAX + 2];
    struct ch_jpeg_setting many[CH_JPEG_SETTINGS_MAX + 1];
    memset(name, 'n', sizeof name);
    memset(value, 'v', sizeof value);
    name[CH_JPEG_NAME_MAX] = value[CH_JPEG_VALUE_MAX] = '\0';
    for (size_t i = 0; i <= CH_JPEG_SETTINGS_MAX; i++)
        many[i] = (struct ch_jpeg_setting){name, value};
    assert_int_equal(ch_jpeg_write_set(many, CH_JPEG_SETTINGS_MAX, out), CH_JPEG_SET_BYTES - 1);
    assert_int_equal(strlen(out), CH_JPEG_SET_BYTES - 1);
    assert_int_equal(ch_jpeg_write_set(many, CH_JPEG_SETTINGS_MAX + 1, out), -EINVAL);
}

static void bad_settings(void **state)
{
    (void)state;
    static const char *const names[] = {"",    "A",   "1a",       "_a",  "a-b",
                                        "a b", "a=b", "\xc3\xa4", "a\n", "abcdefghijklmnopqrstuvwxyzabcdefg"};
    static const char *const values[] = {"",
                                         " ",
                                         "a b",
                                         "a\n",
                                         "\x1b[2J",
                                         "a\tb",
                                         "\x7f",
                                         "\xc2\x9b",
                                         "\xff",
                                         "\xc3",
                                         "0123456789012345678901234567890123456789012345678901234567890123x"};
    char out[CH_JPEG_SET_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_false(ch_jpeg_setting_name_valid(names[i]));
        assert_int_equal(ch_jpeg_write_set(&(struct ch_jpeg_setting){names[i], "1"}, 1, out), -EINVAL);
    }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_false(ch_jpeg_setting_value_valid(values[i]));
        assert_int_equal(ch_jpeg_write_set(&(struct ch_jpeg_setting){"a", values[i]}, 1, out), -EINVAL);
    }
    assert_true(ch_jpeg_setting_name_valid("a"));
    assert_true(ch_jpeg_setting_name_valid("abcdefghijklmnopqrstuvwxyz_12345"));
    assert_true(ch_jpeg_setting_value_valid("\xc2\xa0")); // no control character
}

// From a copy that ends at a guard page.
static int check(const char *text, size_t size)
{
    struct guard guard = guard_copy(text, size);
    int rc = ch_jpeg_check_text((const char *)guard.data, size);
    guard_free(&guard);
    return rc;
}

static void raw_lines(void **state)
{
    (void)state;
    assert_int_equal(check("status", 6), 0);
    assert_int_equal(check(" led on ", 8), 0);
    assert_int_equal(check("\xe2\x82\xac", 3), 0);
    assert_int_equal(check("", 0), -EMSGSIZE);
    static const char *const bad[] = {"a\nb", "a\r", "\t", "\x1b[31m", "\x7f", "\xc2\x85", "\xff", "\xe2\x82", "\xc2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(check(bad[i], strlen(bad[i])), -EINVAL);
    assert_int_equal(check("a\0b", 3), -EINVAL);
    char text[CH_JPEG_TEXT_MAX + 1];
    memset(text, 'x', sizeof text);
    assert_int_equal(check(text, CH_JPEG_TEXT_MAX), 0);
    assert_int_equal(check(text, CH_JPEG_TEXT_MAX + 1), -EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_lines),  cmocka_unit_test(resolutions), cmocka_unit_test(set_lines),
        cmocka_unit_test(bad_settings), cmocka_unit_test(raw_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
