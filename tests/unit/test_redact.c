// ch_redact_url and ch_redactor: what must never be read, what must stay readable, in all the ways in which URLs are
// written by people and printed by ffmpeg.
#include "unit.h"

#include "source/redact.h"

#include <stdio.h>
#include <stdlib.h>

static void check_url(const char *url, const char *expected)
{
    struct guard guard = guard_copy(url, strlen(url) + 1);
    char *out = ch_redact_url((const char *)guard.data);
    assert_non_null(out);
    assert_string_equal(out, expected);
    char *again = ch_redact_url(out); // what is hidden stays so
    assert_non_null(again);
    assert_string_equal(again, expected);
    free(again);
    free(out);
    guard_free(&guard);
}

static void test_urls(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"rtsp://192.0.2.7/stream1", "rtsp://192.0.2.7/stream1"},
        {"rtsp://192.0.2.7:554/stream1", "rtsp://192.0.2.7:554/stream1"},
        {"rtsp://user:pass@192.0.2.7:554/stream1", "rtsp://***@192.0.2.7:554/stream1"},
        {"rtsp://user@192.0.2.7", "rtsp://***@192.0.2.7"},
        {"rtsp://:pass@192.0.2.7", "rtsp://***@192.0.2.7"},
        {"rtsp://@192.0.2.7", "rtsp://@192.0.2.7"},
        {"RTSP://U:p@H/x", "RTSP://***@H/x"},
        {"rtsp://user:p@ss@wo@host/x", "rtsp://***@host/x"},
        {"rtsp://user:p%40ss%2F@host/x", "rtsp://***@host/x"},
        {"rtsp://user:my pass@host/x", "rtsp://***@host/x"},
        {"rtsp://user:a\"b'c|d<e>@host/x", "rtsp://***@host/x"},
        {"rtsp://user:pa/ss@host:554/x", "rtsp://***@host:554/x"},
        {"rtsp://user:pa#ss?w@host:554/x", "rtsp://***@host:554/x"},
        {"rtsp://host:554/camera@1", "rtsp://host:554/camera@1"},
        {"rtsp://[2001:db8::1]/x", "rtsp://[2001:db8::1]/x"},
        {"rtsp://[2001:db8::1]:554/x@y", "rtsp://[2001:db8::1]:554/x@y"},
        {"rtsp://u:p@[2001:db8::1]:554/x", "rtsp://***@[2001:db8::1]:554/x"},
        {"http://host/x?token=abc", "http://host/x?token=***"},
        {"http://host/x?a=1&password=b%26c;pin=12&empty=&=v", "http://host/x?a=***&password=***;pin=***&empty=&=***"},
        {"http://host?abcdef", "http://host?***"},
        {"http://host/x?a=b=c&d", "http://host/x?a=***&***"},
        {"http://host/x?a=1#frag&b=2", "http://host/x?a=***#***"},
        {"http://host/#top", "http://host/#***"},
        {"http://u:p@host/a?x=1?y=2@z", "http://***@host/a?x=***"},
        {"http://proxy/get?url=rtsp://u:p@h/x&token=t", "http://proxy/get?url=***&token=***"},
        {"http://proxy/http://u:p@h/x?t=1", "http://proxy/http://***@h/x?t=***"},
        {"x://a@y://b@z://c@d", "x://***@y://***@z://***@d"},
        {"x://host:http://u:p@h", "x://host:http://***@h"},
        {"rtmp://host/app/KEY", "rtmp://host/app/***"},
        {"rtmp://host/app/KEY?x=y", "rtmp://host/app/***?x=***"},
        {"rtmp://host:1935/app/instance/KEY", "rtmp://host:1935/app/instance/***"},
        {"rtmps://u:p@host:443/app/KEY/", "rtmps://***@host:443/app/***/"},
        {"rtmp://host/app", "rtmp://host/***"},
        {"rtmp://host/", "rtmp://host/"},
        {"rtmp://host", "rtmp://host"},
        {"rtmp://host/app/KEY live=1 playpath=x", "rtmp://host/app/***"},
        {"srt://host:9000?streamid=publish:live/KEY&passphrase=0123456789&latency=200",
         "srt://host:9000?streamid=***&passphrase=***&latency=***"},
        {"srt://host:9000?streamid=#!::u=bob,r=KEY&passphrase=0123456789", "srt://host:9000?streamid=#***"},
        {"srt://[::1]:9000?mode=caller", "srt://[::1]:9000?mode=***"},
        {"rtsp://192.0.2.7:554/user=admin_password=tlJwpbo6_channel=1_stream=0.sdp",
         "rtsp://192.0.2.7:554/user=***_password=***_channel=1_stream=0.sdp"},
        {"rtsp://192.0.2.7/user=admin&password=x_y&channel=1", "rtsp://192.0.2.7/user=***&password=***&channel=1"},
        {"rtsp://192.0.2.7/live/token=abc/main", "rtsp://192.0.2.7/live/token=***/main"},
        {"user:pass@192.0.2.7:554/x", "***@192.0.2.7:554/x"},
        {"//user:pass@192.0.2.7/x", "//***@192.0.2.7/x"},
        {"user:p@ss@[::1]/x", "***@[::1]/x"},
        {"clip.mp4", "clip.mp4"},
        {"/srv/films/a@b:c.mp4", "/srv/films/a@b:c.mp4"},
        {"at 10:30 @ noon", "at 10:30 @ noon"},
        {":0.0+100,200", ":0.0+100,200"},
        {"://", "://"},
        {"x://", "x://"},
        {"1://a:b@c", "1://a:b@c"},
        {"[f=flv]rtmp://a/live/KEY1|[f=flv:onfail=ignore]rtmp://b/live/KEY2",
         "[f=flv]rtmp://a/live/***|[f=flv:onfail=ignore]rtmp://b/live/***"},
        {"concat:http://u:p@a/x|http://u:p@b/y?t=1", "concat:http://***@a/x|http://***@b/y?t=***"},
        {"cache:http://a/x?t=s|async:http://u:p@b/y", "cache:http://a/x?t=***|async:http://***@b/y"},
        {"rtsp://u:p@a/x rtsp://v:q@b/y,http://h?k=v", "rtsp://***@a/x rtsp://***@b/y,http://h?k=***"},
        {"-i rtsp://u:p@a/x", "-i rtsp://***@a/x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_url(cases[i][0], cases[i][1]);
}

// A log that is applied to in a buffer of `capacity` bytes that ends at a guard page.
static void check_log(const struct ch_redactor *redactor, const char *text, size_t capacity, const char *expected)
{
    char *whole = calloc(1, capacity);
    assert_non_null(whole);
    assert_true(strlen(text) < capacity);
    strcpy(whole, text);
    struct guard guard = guard_copy(whole, capacity);
    ch_redactor_apply(redactor, (char *)guard.data, capacity);
    assert_string_equal((char *)guard.data, expected);
    guard_free(&guard);
    free(whole);
}

struct spoken {
    const char *secret; // URL or argument
    const char *said, *expected;
};

static void check_spoken(const struct spoken *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ch_redactor redactor = {0};
        assert_int_equal(ch_redactor_add(&redactor, cases[i].secret), 0);
        check_log(&redactor, cases[i].said, 1000, cases[i].expected);
        ch_redactor_free(&redactor);
        assert_int_equal(redactor.count, 0);
        assert_null(redactor.secrets);
    }
}

static void test_what_ffmpeg_says(void **state)
{
    (void)state;
    static const char rtsp[] = "rtsp://operator:p%40ss/w0rd%21@192.0.2.7:554/stream1";
    static const char rtmp[] = "rtmp://host:1935/app/abcd-1234-efgh?auth=zyxwvut";
    static const char srt[] = "srt://host:9000?streamid=#!::r=pictures,u=bob1&passphrase=longer secret&mode=caller";
    static const struct spoken cases[] = {
        {rtsp, "[tcp @ 0x55d0] Connection to tcp://192.0.2.7:554?timeout=5 failed: Connection refused",
         "[tcp @ 0x55d0] Connection to tcp://192.0.2.7:554?timeout=*** failed: Connection refused"},
        {rtsp, "[tcp @ 0x55d0] Connection to tcp://192.0.2.7:554 failed: Connection refused",
         "[tcp @ 0x55d0] Connection to tcp://192.0.2.7:554 failed: Connection refused"},
        {rtsp, "[rtsp @ 0x55d0] method DESCRIBE failed: 401 Unauthorized",
         "[rtsp @ 0x55d0] method DESCRIBE failed: 401 Unauthorized"},
        {rtsp, "rtsp://operator:p%40ss/w0rd%21@192.0.2.7:554/stream1: Invalid data",
         "rtsp://***@192.0.2.7:554/stream1: Invalid data"},
        {rtsp, "rtsp://operator:p@ss/w0rd!@192.0.2.7:554/stream1: Invalid data",
         "rtsp://***@192.0.2.7:554/stream1: Invalid data"},
        {rtsp, "open 'rtsp://192.0.2.7/x' as operator, P@ss, p@ss/w0rd!, p%40ss%2fw0rd%21, p@ss%2Fw0rd%21.",
         "open 'rtsp://192.0.2.7/x' as ***, P@ss, ***, ***, ***."},
        {"rtsp://operator:p%40ss@h", "Authorization: Basic b3BlcmF0b3I6cEBzcw==", "Authorization: Basic ***=="},
        {"rtsp://operator:p%40ss@h", "p%40ss p@ss p%40SS xp@ss p@ssx 'p@ss'", "*** *** p%40SS xp@ss p@ssx '***'"},
        {rtmp, "rtmp://host:1935/app/abcd-1234-efgh?auth=zyxwvut: Input/output error",
         "rtmp://host:1935/app/***?auth=***: Input/output error"},
        {rtmp, "[rtmp @ 0x1] Server error: app/abcd-1234-efgh is in use (zyxwvut)",
         "[rtmp @ 0x1] Server error: app/*** is in use (***)"},
        {srt, "srt: #!::r=pictures,u=bob1 and longer%20secret and longer+secret and longer secret",
         "srt: #*** and *** and *** and ***"},
        {srt, "Output #0, mpegts, to 'srt://host:9000?streamid=#!::r=pictures,u=bob1&passphrase=longer secret':",
         "Output #0, mpegts, to 'srt://host:9000?streamid=#***':"},
        {"http://h/?next=http%3A%2F%2Fjane%3Ahunter22%40inner%2F",
         "going to http://jane:hunter22@inner/, then inner/x as jane:hunter22",
         "going to ***, then inner/x as ***:***"},
        // What the secrets know nothing of
        {"", "[hls @ 0x1] Opening 'http://cdn/a.ts?token=abc&e=1' for reading",
         "[hls @ 0x1] Opening 'http://cdn/a.ts?token=***&e=***' for reading"},
        {"", "a <rtsp://u:p@h/x>, b \"http://u:p@h\" (rtmp://h/a/k).",
         "a <rtsp://***@h/x>, b \"http://***@h\" (rtmp://h/a/***)."},
        {"", "one\ntwo rtsp://u:p@h/\nthree", "one\ntwo rtsp://***@h/\nthree"},
    };
    check_spoken(cases, sizeof cases / sizeof *cases);
}

static void test_readable(void **state)
{
    (void)state;
    static const struct spoken cases[] = {
        {"rtmp://host/live/live", "a live stream, delivered alive: rtmp://host/live/live: error (app/live)",
         "a live stream, delivered alive: rtmp://host/***/***: error (app/***)"},
        {"rtsp://a:b@host", "a b a:b", "a b a:b"}, // too short
        {"rtsp://ab:cde@host", "ab abcde cde 'cde' cdef", "ab abcde *** '***' cdef"},
        {"http://h/?x=101&mode=tcp", "tcp://h:101 /101 x=101 frame 101 over tcp",
         "tcp://h:101 /*** x=*** frame 101 over tcp"},
        {"rtsp://u:123456@h", "pin 123456, not 1234567", "pin ***, not 1234567"},
        {"rtsp://user:longpassword@h", "xxlongpasswordxx", "xx***xx"}, // long ones are found anywhere
        {"clip.mp4", "clip.mp4: No such file or directory", "clip.mp4: No such file or directory"},
    };
    check_spoken(cases, sizeof cases / sizeof *cases);
}

static void test_odd_encodings(void **state)
{
    (void)state;
    static const struct spoken cases[] = {
        {"rtsp://user:100%25safe@h", "100%safe 100%25safe", "*** ***"},
        {"rtsp://user:pw%2525zzz@h", "pw%25zzz pw%2525zzz pw%zzz", "*** *** pw%zzz"},
        {"rtsp://user:pw%zz%@h", "pw%zz% pw%25zz%25", "*** ***"},
        {"rtsp://user:pw%00qqqq@h", "pw%00qqqq", "***"},
        {"rtsp://user:%70%77%64%31@h", "pwd1 %70wd1 %70%77%64%31", "*** *** ***"},
        {"rtsp://user:caf%C3%A9-noir@h", "caf\xc3\xa9-noir caf%c3%a9-noir", "*** ***"},
        {"rtsp://user:ctrl%09tabs@h", "ctrl tabs", "***"}, // as ch_child_said shows it
    };
    check_spoken(cases, sizeof cases / sizeof *cases);
}

static void test_overlapping(void **state)
{
    (void)state;
    struct ch_redactor redactor = {0};
    assert_int_equal(ch_redactor_add(&redactor, "http://h/?a=abcdefghij&b=fghijklmnop&c=abcdefghijklm"), 0);
    check_log(&redactor, "<abcdefghijklmnop> <abcdefghij><fghijklmnop>", 100, "<***> <***><***>");
    size_t count = redactor.count;
    assert_int_equal(ch_redactor_add(&redactor, "http://h/?a=abcdefghij"), 0); // known already
    assert_int_equal(redactor.count, count);
    ch_redactor_free(&redactor);
}

// The text may grow, and is cut at the end; never is more shown because of it.
static void test_capacity(void **state)
{
    (void)state;
    struct ch_redactor redactor = {0};
    assert_int_equal(ch_redactor_add(&redactor, "rtsp://operator:hunter22@host"), 0);
    const char text[] = "x://a:b@h x://a@h hunter22 x://c@h rtsp://operator:hunter22@host";
    const char full[] = "x://***@h x://***@h *** x://***@h rtsp://***@host";
    for (size_t capacity = sizeof text; capacity < sizeof text + 20; capacity++)
        check_log(&redactor, text, capacity, full);
    const char grows[] = "x://a@h x://a@h";
    const char grown[] = "x://***@h x://***@h";
    for (size_t capacity = sizeof grows; capacity < sizeof grown + 3; capacity++) {
        char expected[sizeof grown];
        snprintf(expected, capacity < sizeof grown ? capacity : sizeof grown, "%s", grown);
        check_log(&redactor, grows, capacity, expected);
    }
    for (size_t capacity = 1; capacity < 5; capacity++) {
        char tiny[8] = "hunter2";
        memset(tiny, 0, sizeof tiny);
        memcpy(tiny, "ab", capacity > 2 ? 2 : capacity - 1);
        check_log(&redactor, tiny, capacity, tiny);
    }
    char unterminated[4] = {'a', 'b', 'c', 'd'};
    ch_redactor_apply(&redactor, unterminated, sizeof unterminated);
    assert_string_equal(unterminated, "abc");
    ch_redactor_apply(&redactor, unterminated, 0);
    ch_redactor_free(&redactor);
    ch_redactor_free(&redactor);
}

static void test_arguments(void **state)
{
    (void)state;
    static const char *const args[] = {"ffmpeg",
                                       "-headers",
                                       "Authorization: Bearer tok-1234567\r\nCookie: a=biscuit77; sid=crumbs88\r\n",
                                       "-passphrase",
                                       "horse battery",
                                       "-g",
                                       "1234567890",
                                       "-i",
                                       "http://u:stable99@h/",
                                       "-i",
                                       "user:staple99@h",
                                       "-password",
                                       NULL};
    struct ch_redactor redactor = {0};
    assert_int_equal(ch_redactor_add_args(&redactor, args), 0);
    check_log(&redactor, "tok-1234567 biscuit77 crumbs88 horse battery 1234567890 stable99 staple99 Bearer -headers",
              200, "*** *** *** *** 1234567890 *** *** Bearer -headers");
    ch_redactor_free(&redactor);
}

// Of every URL made of these parts, no piece of its secrets of 3 bytes or more comes out, whatever is said about it.
static void test_combinations(void **state)
{
    (void)state;
    static const char *const schemes[] = {"rtsp", "rtmp", "srt", "https"};
    static const char *const users[] = {"",          "SECRETu@",          "SECRETu:SECRETp@",
                                        ":SECRETp@", "SECRETu:SEC@RETp@", "SECRETu:SECRETp/x@"};
    static const char *const hosts[] = {"host", "host:1935", "[2001:db8::1]", "[::1]:1935", "192.0.2.7:1"};
    static const char *const paths[] = {"", "/", "/a/b", "/a/password=SECRETz&x=1"};
    static const char *const tails[] = {"", "?", "?k=SECRETq", "?k=SECRETq&SECRETr", "#SECRETf", "?k=1#SECRETf"};
    static const char *const phrases[][2] = {
        {"", ""}, {"", ": Input/output error"}, {"Opening '", "' for reading"}, {"a ", "|b"}, {"(", ")."}};
    char url[300], said[1000];
    for (unsigned i = 0; i < 4 * 6 * 5 * 4 * 6; i++) {
        snprintf(url, sizeof url, "%s://%s%s%s%s", schemes[i % 4], users[i / 4 % 6], hosts[i / 24 % 5],
                 paths[i / 120 % 4], tails[i / 480]);
        char *out = ch_redact_url(url);
        assert_non_null(out);
        assert_null(strstr(out, "SEC"));
        assert_null(strstr(out, "RET"));
        assert_non_null(strstr(out, hosts[i / 24 % 5]));
        free(out);
        struct ch_redactor redactor = {0};
        assert_int_equal(ch_redactor_add(&redactor, url), 0);
        for (unsigned k = 0; k < sizeof phrases / sizeof *phrases; k++) {
            snprintf(said, sizeof said, "%s%s%s", phrases[k][0], url, phrases[k][1]);
            ch_redactor_apply(&redactor, said, sizeof said);
            assert_null(strstr(said, "SEC"));
            assert_null(strstr(said, "RET"));
            assert_non_null(strstr(said, hosts[i / 24 % 5]));
        }
        ch_redactor_free(&redactor);
    }
}

// Any bytes: no crash, nothing longer than it may be.
static void test_noise(void **state)
{
    (void)state;
    static const char letters[] = ":/@?#&=;%%25[]|,. \"'rtmpsx1\x80\n*";
    uint32_t random = 12345;
    for (unsigned round = 0; round < 20000; round++) {
        char text[65], log[90];
        size_t size = 0;
        while (size < 64 && (random = random * 1664525u + 1013904223u) >> 24 > 3)
            text[size++] = letters[(random >> 8) % (sizeof letters - 1)];
        text[size] = '\0';
        struct guard guard = guard_copy(text, size + 1);
        char *out = ch_redact_url((const char *)guard.data);
        assert_non_null(out);
        free(out);
        struct ch_redactor redactor = {0};
        assert_int_equal(ch_redactor_add(&redactor, (const char *)guard.data), 0);
        snprintf(log, sizeof log, "%s%.20s", text, text);
        ch_redactor_apply(&redactor, log, sizeof log);
        assert_true(strlen(log) < sizeof log);
        ch_redactor_free(&redactor);
        guard_free(&guard);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),          cmocka_unit_test(test_what_ffmpeg_says), cmocka_unit_test(test_readable),
        cmocka_unit_test(test_odd_encodings), cmocka_unit_test(test_overlapping),      cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_arguments),     cmocka_unit_test(test_combinations),     cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
