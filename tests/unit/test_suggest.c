// "Did you mean": what is near, and what is not.
#include "unit.h"

#include "base/suggest.h"

static const char *const keys[] = {"command", "cameras", "bitrate", "fps", "aspect_ratio", "resolution"};

static const char *suggest(const char *word)
{
    return ch_suggest(word, keys, sizeof keys / sizeof keys[0]);
}

static void near(void **state)
{
    (void)state;
    assert_string_equal(suggest("comand"), "command");
    assert_string_equal(suggest("commands"), "command");
    assert_string_equal(suggest("camera"), "cameras");
    assert_string_equal(suggest("bitrat"), "bitrate");
    assert_string_equal(suggest("BitRate"), "bitrate");
    assert_string_equal(suggest("fsp"), "fps"); // swapped
    assert_string_equal(suggest("aspectRatio"), "aspect_ratio");
    assert_string_equal(suggest("resoluton"), "resolution");
}

static void far(void **state)
{
    (void)state;
    assert_null(suggest(""));
    assert_null(suggest("zoom"));
    assert_null(suggest("framerate"));
    assert_null(ch_suggest("command", keys, 0));
}

static void long_words(void **state)
{
    (void)state;
    char word[200];
    memset(word, 'c', sizeof word);
    word[199] = '\0';
    assert_null(suggest(word));
    const char *known[] = {word, "cc"};
    assert_string_equal(ch_suggest("c", known, 2), "cc");
    word[63] = '\0';
    known[1] = "x";
    char almost[64];
    memcpy(almost, word, sizeof almost);
    almost[10] = 'd';
    assert_ptr_equal(ch_suggest(almost, known, 2), word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near),
        cmocka_unit_test(far),
        cmocka_unit_test(long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
