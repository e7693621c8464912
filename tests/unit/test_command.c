// The operator's line: the table of wire protocol 1.4, row by row, and what lies around it.
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/command.h"

// Parsed twice: from a copy that ends at a guard page, and from one with more words behind it.
static struct ch_command parse_bytes(const char *line, size_t size)
{
    struct ch_command guarded, open;
    struct guard guard = guard_copy(line, size);
    ch_command_parse((const char *)guard.data, size, &guarded);
    guard_free(&guard);
    char *longer = malloc(size + 16);
    assert_non_null(longer);
    memcpy(longer, line, size);
    memcpy(longer + size, "9:9 9 9 9:9 9 9", 16);
    ch_command_parse(longer, size, &open);
    free(longer);
    assert_memory_equal(&guarded, &open, offsetof(struct ch_command, bad_word) + sizeof open.bad_word);
    return guarded;
}

static struct ch_command parse(const char *line)
{
    return parse_bytes(line, strlen(line));
}

struct row {
    const char *line;
    int bitrate, fps, w, h;
    const char *bad; // a: aspect, b: bitrate, f: fps
};

static void check_start(const struct row *row)
{
    struct ch_command command = parse(row->line);
    char bad[4];
    snprintf(bad, sizeof bad, "%s%s%s", command.bad_aspect ? "a" : "", command.bad_bitrate ? "b" : "",
             command.bad_fps ? "f" : "");
    if (command.kind != CH_COMMAND_START || command.bitrate_mbps != row->bitrate || command.fps != row->fps ||
        command.aspect_w != row->w || command.aspect_h != row->h || strcmp(bad, row->bad) != 0)
        fail_msg("`%s`: kind %d bitrate %d fps %d aspect %d:%d bad `%s`", row->line, command.kind, command.bitrate_mbps,
                 command.fps, command.aspect_w, command.aspect_h, bad);
    assert_int_equal(command.bad_word[0][0] != '\0', command.bad_aspect);
    assert_int_equal(command.bad_word[1][0] != '\0', command.bad_bitrate);
    assert_int_equal(command.bad_word[2][0] != '\0', command.bad_fps);
}

static void table_of_the_wire_protocol(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"start", 4, 10, 0, 0, ""},
        {"start 4:3 4 10", 4, 10, 4, 3, ""},
        {"start 16:9", 4, 10, 16, 9, ""},
        {"START 16:9 8 0", 8, 0, 16, 9, ""},
        {"start 4 10", 4, 10, 0, 0, ""}, // the exception that the help documents
        {"start 0:1 3 30", 3, 30, 4, 3, "a"},
        {"start 4:3:2 1 1", 1, 1, 4, 3, "a"},
        {"start 4:3 0 -5", 4, 10, 4, 3, "bf"},
        {"start 4:3 2.5 abc", 4, 10, 4, 3, "bf"},
        {"start 4:3 7 15 99", 7, 15, 4, 3, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_start(&rows[i]);
    assert_int_equal(parse("stop extra").kind, CH_COMMAND_STOP);
}

static void numbers_without_aspect(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"start 8", 8, 10, 0, 0, ""},
        {"start 8 30", 8, 30, 0, 0, ""},
        {"start 8 30 16:9", 8, 30, 0, 0, ""},
        {"start 0 30", 4, 30, 0, 0, "b"},
        {"start 8 x", 8, 10, 0, 0, "f"},
        {"start 8 16:9", 8, 10, 0, 0, "f"},
        {"start 99999999999999999999 5", 4, 5, 0, 0, "b"},
        // not plain numbers, so a bad W:H
        {"start -5 8", 8, 10, 4, 3, "a"},
        {"start +5 8", 8, 10, 4, 3, "a"},
        {"start 2.5", 4, 10, 4, 3, "a"},
        {"start fast", 4, 10, 4, 3, "a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_start(&rows[i]);
}

static void bounds_of_values(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"start 4:3 2147483647 2147483647", 2147483647, 2147483647, 4, 3, ""},
        {"start 4:3 2147483648 2147483648", 4, 10, 4, 3, "bf"},
        {"start 2147483647:2147483647", 4, 10, 2147483647, 2147483647, ""},
        {"start 2147483648:1", 4, 10, 4, 3, "a"},
        {"start 1:2147483648", 4, 10, 4, 3, "a"},
        {"start 4:3 18446744073709551620 4294967306", 4, 10, 4, 3, "bf"}, // 4 and 10 if they wrapped
        {"start 4:3 007 00", 7, 0, 4, 3, ""},
        {"start 4:3 +8 +30", 8, 30, 4, 3, ""},
        {"start 4:3 -8 -0", 4, 0, 4, 3, "b"},
        {"start 4:3 - +", 4, 10, 4, 3, "bf"},
        {"start 4:3 1e3 0x10", 4, 10, 4, 3, "bf"},
        {"start 4:3 5x 5\xc2\xa0", 4, 10, 4, 3, "bf"},
        {"start :", 4, 10, 4, 3, "a"},
        {"start 4:", 4, 10, 4, 3, "a"},
        {"start :3", 4, 10, 4, 3, "a"},
        {"start 4:0", 4, 10, 4, 3, "a"},
        {"start -4:3", 4, 10, 4, 3, "a"},
        {"start 4:-3", 4, 10, 4, 3, "a"},
        {"start 4:3:", 4, 10, 4, 3, "a"},
        {"start 4 : 3", 4, 10, 0, 0, "f"},
        {"start 16x9", 4, 10, 4, 3, "a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_start(&rows[i]);
}

static void words_are_split_at_any_blank(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"  start\t16:9 \r\n 8\v0\f", 8, 0, 16, 9, ""},
        {"start\r\n", 4, 10, 0, 0, ""},
        {"\n\nStArT\n16:9", 4, 10, 16, 9, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_start(&rows[i]);
}

static void kinds(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum ch_command_kind kind;
    } rows[] = {
        {"", CH_COMMAND_EMPTY},
        {" \t\r\n\v\f", CH_COMMAND_EMPTY},
        {"stop", CH_COMMAND_STOP},
        {"STOP", CH_COMMAND_STOP},
        {"\tStop\r\n", CH_COMMAND_STOP},
        {"status", CH_COMMAND_STATUS},
        {"Status all", CH_COMMAND_STATUS},
        {"HELP", CH_COMMAND_HELP},
        {"help me", CH_COMMAND_HELP},
        {"quit", CH_COMMAND_QUIT},
        {"EXIT", CH_COMMAND_QUIT},
        {"star", CH_COMMAND_UNKNOWN},
        {"starts", CH_COMMAND_UNKNOWN},
        {"start,4:3", CH_COMMAND_UNKNOWN},
        {"?", CH_COMMAND_UNKNOWN},
        {"\xff\xfe", CH_COMMAND_UNKNOWN},
        {"st\xc3\xb6p", CH_COMMAND_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ch_command command = parse(rows[i].line);
        if (command.kind != rows[i].kind)
            fail_msg("`%s`: kind %d", rows[i].line, command.kind);
        assert_int_equal(command.bitrate_mbps, CH_COMMAND_DEFAULT_BITRATE);
        assert_int_equal(command.fps, CH_COMMAND_DEFAULT_FPS);
        assert_int_equal(command.aspect_w, 0);
        assert_false(command.bad_aspect || command.bad_bitrate || command.bad_fps);
    }
    assert_int_equal(parse_bytes("stop\0x", 6).kind, CH_COMMAND_UNKNOWN);
    assert_int_equal(parse_bytes("stop", 3).kind, CH_COMMAND_UNKNOWN);
    struct ch_command command;
    ch_command_parse(NULL, 0, &command);
    assert_int_equal(command.kind, CH_COMMAND_EMPTY);
}

static void bad_words_are_shown_safely(void **state)
{
    (void)state;
    struct ch_command command = parse_bytes("start \x1b[31mx \0\xff 0123456789012345678901234567890123456789x", 55);
    assert_true(command.bad_aspect && command.bad_bitrate && command.bad_fps);
    assert_string_equal(command.bad_word[0], "?[31mx");
    assert_string_equal(command.bad_word[1], "??");
    assert_string_equal(command.bad_word[2], "0123456789012345678901234567890");
}

// A line cut anywhere is a line like any other: the words before the cut count.
static void cut_anywhere(void **state)
{
    (void)state;
    static const char line[] = "start 16:9 8 30 rest";
    for (size_t size = 0; size < sizeof line; size++) {
        struct ch_command command = parse_bytes(line, size);
        assert_int_equal(command.kind, size == 0 ? CH_COMMAND_EMPTY : size < 5 ? CH_COMMAND_UNKNOWN : CH_COMMAND_START);
        assert_int_equal(command.aspect_w, size >= 10 ? 16 : size >= 9 ? 4 : 0);
        assert_int_equal(command.bitrate_mbps, size >= 12 ? 8 : size == 7 ? 1 : size == 8 ? 16 : 4);
        assert_int_equal(command.fps, size >= 15 ? 30 : size == 14 ? 3 : 10);
    }
}

static void help_names_every_command(void **state)
{
    (void)state;
    static const char *const names[] = {"start", "stop", "status", "help", "quit", "exit", "W:H", "`start 8 30`"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_non_null(strstr(ch_command_help, names[i]));
    assert_int_equal(ch_command_help[strlen(ch_command_help) - 1], '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_the_wire_protocol),
        cmocka_unit_test(numbers_without_aspect),
        cmocka_unit_test(bounds_of_values),
        cmocka_unit_test(words_are_split_at_any_blank),
        cmocka_unit_test(kinds),
        cmocka_unit_test(bad_words_are_shown_safely),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(help_names_every_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
