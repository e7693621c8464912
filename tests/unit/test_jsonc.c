// JSON with comments: what is accepted, and where and how mistakes are told.
#include "unit.h"

#include "app/config_jsonc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define BOM "\xef\xbb\xbf"

// Text of `size` bytes at a guard page; the value, or NULL and the fault.
static json_t *parse(const char *text, size_t size, char fault[256])
{
    struct guard guard = guard_copy(text, size);
    json_t *value = NULL;
    fault[0] = '\0';
    int rc = ch_jsonc_parse((const char *)guard.data, size, &value, fault, 256);
    assert_true(rc == 0 || rc == -EINVAL);
    assert_true((rc == 0) == (value != NULL) && (rc == 0) == (fault[0] == '\0'));
    guard_free(&guard);
    return value;
}

static void good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *plain;
    } cases[] = {
        {"{}", "{}"},
        {" \t\r\n[ ]\n", "[]"},
        {"{\"a\": 1 // one\n}", "{\"a\":1}"},
        {"{\"a\": 1} // one", "{\"a\":1}"},
        {"// first\n// second\n{}", "{}"},
        {"/**/{/* a */\"b\"/*:*/:/**//**/2/* } */}/***/", "{\"b\":2}"},
        {"{/* \" */\"a\":\"/* no */ // comment\"/* \" */}", "{\"a\":\"/* no */ // comment\"}"},
        {"{\"a\":\"\\\"// still text\", \"b\":\"\\\\\"/*gone*/}", "{\"a\":\"\\\"// still text\",\"b\":\"\\\\\"}"},
        {"{\"url\":\"rtsp://h//x\"}//\"", "{\"url\":\"rtsp://h//x\"}"},
        {"[1,/* // */2,// /*\n3/* *//**/]", "[1,2,3]"},
        {"/* two\n lines **/ [true,false,null,-0.5e+3,0,10]", "[true,false,null,-0.5e+3,0,10]"},
        {BOM "{\"a\":\"\xc3\xa4\"}", "{\"a\":\"\xc3\xa4\"}"},
        {"[\"\\u00e4\\n\"]", "[\"\xc3\xa4\\n\"]"},
        {"{\"a\":{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}}}", "{\"a\":{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}}}"},
        {"7", "7"},
        {"\"x\"", "\"x\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fault[256];
        json_t *value = parse(cases[i].text, strlen(cases[i].text), fault);
        json_t *plain = json_loads(cases[i].plain, JSON_DECODE_ANY, NULL);
        if (!value || !json_equal(value, plain))
            fail_msg("%s: %s", cases[i].text, fault);
        json_decref(value);
        json_decref(plain);
    }
}

static void faults(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fault;
    } cases[] = {
        {"", "1:1: there is nothing in it; {} is the least"},
        {"// only this\n", "2:1: there is nothing in it; {} is the least"},
        {"{\"a\":1,}", "1:7: nothing follows this comma; JSON allows none behind the last item"},
        {"{\"a\":1, // more?\n}", "1:7: nothing follows this comma; JSON allows none behind the last item"},
        {"[1,\n 2,\n]", "2:3: nothing follows this comma; JSON allows none behind the last item"},
        {"[,1]", "1:2: nothing is in front of this comma"},
        {"[1,,2]", "1:4: nothing is in front of this comma"},
        {"{,}", "1:2: nothing is in front of this comma"},
        {"{\"a\":1 \"b\":2}", "1:8: a comma or } is missing in front of this"},
        {"{\"a\":1\n\"b\":2}", "2:1: a comma or } is missing in front of this"},
        {"[1 2]", "1:4: a comma or ] is missing in front of this"},
        {"[[1] [2]]", "1:6: a comma or ] is missing in front of this"},
        {"{\"a\" 1}", "1:6: a colon is missing behind the key"},
        {"{\"a\"}", "1:5: a colon is missing behind the key"},
        {"{\"a\",\"b\"}", "1:5: a colon is missing behind the key"},
        {"{\"a\":}", "1:6: a value is missing here"},
        {"{\"a\":,}", "1:6: nothing is in front of this comma"},
        {"{\"a\"::1}", "1:6: a colon belongs behind a key only"},
        {"[1:2]", "1:3: a colon belongs behind a key only"},
        {"{a:1}", "1:2: a key in quotation marks (\"...\") is missing here"},
        {"{1:1}", "1:2: a key in quotation marks (\"...\") is missing here"},
        {"{{}:1}", "1:2: a key in quotation marks (\"...\") is missing here"},
        {"{'a':1}", "1:2: texts stand in \"...\", not in '...'"},
        {"{\"a\":'b'}", "1:6: texts stand in \"...\", not in '...'"},
        {"{\"a\":True}", "1:6: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"[yes]", "1:2: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"[01]", "1:2: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"[1.]", "1:2: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"[.5]", "1:2: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"[+1]", "1:2: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"[-]", "1:2: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"[1e]", "1:2: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"[1e+]", "1:2: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"[0x10]", "1:2: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"[NaN]", "1:2: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"{\"a\":1", "1:7: the end, and a } is missing"},
        {"{\"a\":[1", "1:8: the end, and a ] is missing"},
        {"{\"a\":[1}", "1:8: this } closes no {; a ] is missing"},
        {"[{\"a\":1]", "1:8: this ] closes no [; a } is missing"},
        {"{}}", "1:3: nothing may follow the end"},
        {"{} {}", "1:4: nothing may follow the end"},
        {"{} x", "1:4: nothing may follow the end"},
        {"}", "1:1: a value is missing here"},
        {"{\"a\": \"b", "1:7: this text is not closed by a \" in the same line"},
        {"{\"a\": \"b\n\"}", "1:7: this text is not closed by a \" in the same line"},
        {"{\"a\": \"b\\\"}", "1:7: this text is not closed by a \" in the same line"},
        {"\"", "1:1: this text is not closed by a \" in the same line"},
        {"{\"a\": \"b\\", "1:7: this text is not closed by a \" in the same line"},
        {"[\"a\tb\"]", "1:4: a control character in a text; write it as \\t, \\n or \\u00XX"},
        {"{} /* no end", "1:4: this comment is not closed by */"},
        {"{}\n/*/", "2:1: this comment is not closed by */"},
        {"{\"a\": /* x * / 1}", "1:7: this comment is not closed by */"},
        {"{ # no\n}", "1:3: this character has no meaning here"},
        {"{ / \n}", "1:3: this character has no meaning here"},
        {"{\"a\":1,\n \"a\":2}", "2:2: the key \"a\" is there twice"},
        {"{\"a\":1, \"b\":{}, /* \xc3\xa4 */ \"a\":2}", "1:25: the key \"a\" is there twice"},
        {"{\"a b\":1,\"a b\":2}", "1:10: this key is there twice"},
        {"{\"a\":1,\"\\u0061\":2}", "1:16: this key is there twice"},
        {"{\"x\":{\"crash\":1,\"crash\":1}}", "1:17: the key \"crash\" is there twice"},
        // Columns are characters: four in front of the comment, 7 in it.
        {"{/* \xc3\xa4\xe2\x82\xac */ x}", "1:11: a key in quotation marks (\"...\") is missing here"},
        {"{\"\xc3\xa4\": x}", "1:7: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {BOM BOM "{}", "1:1: this is no value: true, false, null, a number, or a text in \"...\" is"},
        {"{}\n\"\xff\"", "2:2: not UTF-8 from here on"},
        {"// \xc3", "1:4: not UTF-8 from here on"},
        {"{\"\xc3\xa4\xc0\xaf\":1}", "1:4: not UTF-8 from here on"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fault[256];
        json_t *value = parse(cases[i].text, strlen(cases[i].text), fault);
        if (value || strcmp(fault, cases[i].fault) != 0)
            fail_msg("%s: \"%s\" where \"%s\" was expected", cases[i].text, fault, cases[i].fault);
    }
}

static void begins(const char *text, size_t size, const char *words)
{
    char fault[256];
    json_t *value = parse(text, size, fault);
    if (value || !strstr(fault, words))
        fail_msg("%s: \"%s\" where \"%s\" was expected", text, fault, words);
}

static void jansson_faults(void **state)
{
    (void)state;
    begins("[\"\\x\"]", 6, "a bad \\ in this text");
    begins("[\"\\ud800\"]", 10, "a bad \\ in this text");
    begins("{\n\"a\":\"\\u0000\"}", 15, "\\u0000 is not allowed");
    begins("{\"\\u0000\":1}", 12, "\\u0000 is not allowed");
    begins("[1,\n99999999999999999999]", 25, "2:20: this number is too large");
    begins("[1e999]", 7, "this number is too large");
    begins("{}\0", 3, "1:3: this character has no meaning here");
}

// What is secret is in the texts; faults tell nothing of them.
static void no_secrets(void **state)
{
    (void)state;
    static const char whole[] = "{\"a\": \"rtsp://u:geheim@h/x\", /* geheim */ \"geheim/key\": [1, \"geheim\"]}";
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        for (int broken = 0; broken < 3; broken++) {
            char text[sizeof whole], fault[256];
            memcpy(text, whole, sizeof whole);
            if (broken > 0)
                text[size] = broken == 1 ? '"' : '}';
            json_t *value = parse(text, broken > 0 ? sizeof whole - 1 : size, fault);
            assert_null(strstr(fault, "geheim"));
            json_decref(value);
        }
    }
    begins("{\"geheim @\":1,\"geheim @\":1}", 27, "1:15: this key is there twice");
}

static void depth(void **state)
{
    (void)state;
    char text[2 * CH_JSONC_DEPTH + 3], fault[256];
    memset(text, '[', CH_JSONC_DEPTH);
    memset(text + CH_JSONC_DEPTH, ']', CH_JSONC_DEPTH);
    json_t *value = parse(text, 2 * CH_JSONC_DEPTH, fault);
    assert_non_null(value);
    json_decref(value);
    memset(text, '[', CH_JSONC_DEPTH + 1);
    memset(text + CH_JSONC_DEPTH + 1, ']', CH_JSONC_DEPTH + 1);
    assert_null(parse(text, 2 * CH_JSONC_DEPTH + 2, fault));
    assert_string_equal(fault, "1:33: this is nested too deeply");
    char *deep = malloc(1 << 20); // nothing recurses on the way there
    for (size_t i = 0; i < 1 << 20; i++)
        deep[i] = i % 2 ? '{' : '[';
    assert_null(parse(deep, 1 << 20, fault));
    free(deep);
}

// Every beginning of a file, and every file with one byte changed: an answer, and nothing is read behind the end.
static void each_byte(void **state)
{
    (void)state;
    static const char whole[] =
        BOM "/* c */{\"a\": [1, -2.5e3, \"\\\"\\u00e4\xc3\xa4\"], // x\n\"b\": {\"c\": null}}\n";
    static const char others[] = "\"{}[],:/*\\\n 0a\xc3\xff";
    char fault[256];
    json_t *value;
    for (size_t size = 0; size < sizeof whole; size++)
        json_decref(parse(whole, size, fault));
    for (size_t at = 0; at < sizeof whole - 1; at++) {
        for (size_t i = 0; i < sizeof others; i++) {
            char text[sizeof whole];
            memcpy(text, whole, sizeof whole);
            text[at] = others[i];
            value = parse(text, sizeof whole - 1, fault);
            json_decref(value);
        }
    }
    value = parse(whole, sizeof whole - 1, fault);
    assert_non_null(value);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),       cmocka_unit_test(faults), cmocka_unit_test(jansson_faults),
        cmocka_unit_test(no_secrets), cmocka_unit_test(depth),  cmocka_unit_test(each_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
