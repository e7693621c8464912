// The configuration: each key with its bounds, faults in words, and what comes from where.
#include "config_maker.h"

#include "source/redact.h"

#include <ctype.h>
#include <stdio.h>

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

// --- each key ---

#define SCREEN "{\"source\":{}}"
#define WINDOW "{\"source\":{\"type\":\"window\",\"window_title\":\"w\"}}"
#define NETWORK "{\"source\":{\"type\":\"network_stream\",\"url\":\"rtsp://h/\"}}"
#define DEVICE "{\"source\":{\"type\":\"device\",\"width\":320,\"height\":240}}"
#define CLIP "{\"source\":{\"type\":\"file\",\"path\":\"/clip\"}}"
#define REGION "{\"source\":{\"region\":{\"x\":2,\"y\":4,\"width\":64,\"height\":48}}}"
#define LISTED "{\"sources\":[{\"name\":\"a\"}]}"
#define PUSHED "{\"outputs\":[{\"camera\":\"a\",\"url\":\"udp://h:1\"}]}"

#define TEXT_255 TEXT_85 TEXT_85 TEXT_85
#define TEXT_85 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TEXT_64 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

enum kind { BOOL, INT, SECONDS, TEXT, WORD, LIST, OBJECT };

static const struct key_case {
    const char *base, *path;
    enum kind kind;
    bool null;           // is accepted
    const char *good[7]; // as JSON; what comes out is the same
    const char *bad[10]; // one fault each, at this path
} key_cases[] = {
    {"{}", "hub.host", TEXT, .good = {"\"127.0.0.1\"", "\"::\"", "\"hub.local\""},
     .bad = {"\"\"", "\"a b\"", "\"http://h\"", "\"[::]\""}},
    {"{}", "hub.port", INT, .good = {"0", "1", "65535"}, .bad = {"-1", "65536"}},
    {"{}", "hub.recordings", TEXT, .good = {"\"/var/lib/x y\""}, .bad = {"\"\"", "\"a\\nb\""}},
    {"{}", "hub.h264", BOOL, .good = {"true", "false"}},
    {"{}", "hub.thumbnails", BOOL, .good = {"true", "false"}},
    {"{}", "hub.open", BOOL, .good = {"true", "false"}},
    {"{}", "hub.sync_interval", SECONDS, .good = {"0", "0.5", "60", "0.000001"},
     .bad = {"-0.1", "60.000001", "61", "1e300", "-1e-300"}},
    {"{}", "hub.max_message", INT, .good = {"1024", "268435456"}, .bad = {"1023", "268435457", "9223372036854775807"}},
    {"{}", "server.host", TEXT, .good = {"\"127.0.0.1\""}, .bad = {"\"\""}},
    {"{}", "server.port", INT, .good = {"1024", "65535"}, .bad = {"1023", "65536", "0"}},
    {"{}", "server.path", TEXT, .good = {"\"/\"", "\"/screen1\"", "\"/a/b.c/\"", "\"/%20\""},
     .bad = {"\"\"", "\"a\"", "\"/..\"", "\"/a/../b\"", "\"/a b\"", "\"/a\\\\b\"", "\"/a?b\"", "\"/a#b\"", "\"/\\t\"",
             "\"/" TEXT_255 "\""}},
    {"{}", "server.http_port", INT, .good = {"0", "1024", "65535"}, .bad = {"-1", "1", "1023", "65536"}},
    {SCREEN, "ffmpeg.video_codec", WORD, .good = {"\"libx264\""}, .bad = {"\"h264\"", "\"LIBX264\"", "\"\""}},
    {SCREEN, "ffmpeg.audio_codec", WORD, .good = {"\"aac\""}, .bad = {"\"opus\""}},
    {SCREEN, "ffmpeg.bitrate", TEXT, .good = {"\"1k\"", "\"1K\"", "\"1000000k\"", "\"1m\"", "\"1000M\"", "\"2M\""},
     .bad = {"\"0k\"", "\"1000001k\"", "\"1001M\"", "\"2\"", "\"M\"", "\"2MB\"", "\"2 M\"", "\"-2M\"", "\"1.5M\"",
             "\"00000000002M\""}},
    {SCREEN, "ffmpeg.framerate", INT, .good = {"1", "120"}, .bad = {"0", "121"}},
    {SCREEN, "ffmpeg.preset", WORD, .good = {"\"ultrafast\"", "\"medium\"", "\"placebo\""},
     .bad = {"\"fastest\"", "\"Medium\""}},
    {SCREEN, "ffmpeg.tune", WORD, .good = {"\"film\"", "\"zerolatency\"", "\"fastdecode\""},
     .bad = {"\"\"", "\"zero\""}},
    {SCREEN, "ffmpeg.always_encode", BOOL, .good = {"true", "false"}},
    {SCREEN, "source.name", TEXT, .good = {"\"a\"", "\"" TEXT_64 "\"", "\"A-z_0.9\""},
     .bad = {"\"\"", "\"" TEXT_64 "n\"", "\".\"", "\"..\"", "\"a/b\"", "\"a b\""}},
    {SCREEN, "source.type", WORD, .good = {"\"screen\"", "\"device\""}, .bad = {"\"monitor\"", "\"Screen\""}},
    {SCREEN, "source.display", TEXT, .null = true, .good = {"\":0\"", "\"host:1.2\""},
     .bad = {"\"0\"", "\":\"", "\":a\"", "\": 0\""}},
    {SCREEN, "source.display_index", INT, .good = {"0", "15"}, .bad = {"-1", "16"}},
    {WINDOW, "source.window_title", TEXT, .good = {"\"a\"", "\"\xc3\xa4 - b\""}, .bad = {"\"\"", "\"a\\u0007\""}},
    {WINDOW, "source.find_by_substring", BOOL, .good = {"true", "false"}},
    {WINDOW, "source.draw_mouse", BOOL, .good = {"true", "false"}},
    {REGION, "source.region", OBJECT, .null = true, .good = {"{\"x\":0,\"y\":0,\"width\":16,\"height\":16}"}},
    {REGION, "source.region.x", INT, .good = {"0", "1", "65535"}, .bad = {"-1", "65536"}},
    {REGION, "source.region.y", INT, .good = {"0", "1", "65535"}, .bad = {"-1", "65536"}},
    {REGION, "source.region.width", INT, .good = {"16", "16384"}, .bad = {"14", "15", "16385", "16386"}},
    {REGION, "source.region.height", INT, .good = {"16", "16384"}, .bad = {"14", "15", "16385", "16386"}},
    {NETWORK, "source.url", TEXT,
     .good = {"\"rtsp://h\"", "\"rtsps://h:322/x\"", "\"rtmp://h/a\"", "\"rtmps://[::1]:1/x\"", "\"http://h/\"",
              "\"srt://h:65535\"", "\"udp://h:1\""},
     .bad = {"\"\"", "\"h\"", "\"file:///etc/passwd\"", "\"rtsp://\"", "\"rtsp:///x\"", "\"rtsp://h:0\"",
             "\"rtsp://h:65536/\"", "\"rtsp://h:x\"", "\"RTSP://h\"", "\"rtsp://h/a b\""}},
    {NETWORK, "source.url", TEXT, .good = {"\"https://h.example/live.m3u8\"", "\"http://[fe80::1%25eth0]/\""},
     .bad = {"\"rtsp://:554/x\"", "\"rtsp://@/x\"", "\"rtsp://[::1\"", "\"rtsp://[]:1\"", "\"rtsp://[::1]x\"",
             "\"rtsp://h:+1\"", "\"rtsp://h:\"", "\"rtsp:/h\"", "\"rtsp//h\"", "\"udp://:5000\""}},
    {NETWORK, "source.transport", WORD, .good = {"\"auto\"", "\"tcp\"", "\"udp\""}, .bad = {"\"http\"", "\"TCP\""}},
    {NETWORK, "source.timeout", INT, .good = {"100000", "600000000"}, .bad = {"99999", "600000001", "0"}},
    {NETWORK, "source.reconnect_delay", SECONDS, .good = {"0", "0.25", "3600"}, .bad = {"-1", "3600.1"}},
    {NETWORK, "source.max_reconnect_attempts", INT, .good = {"0", "1000"}, .bad = {"-1", "1001"}},
    {DEVICE, "source.device", TEXT, .good = {"\"/dev/video9\""}, .bad = {"\"\"", "\"video0\"", "\"-i\""}},
    {DEVICE, "source.input_format", TEXT, .null = true, .good = {"\"mjpeg\"", "\"yuyv422\""},
     .bad = {"\"MJPEG\"", "\"a b\"", "\"-f\""}},
    {DEVICE, "source.width", INT, .good = {"16", "16384"}, .bad = {"15", "16385", "-16"}},
    {DEVICE, "source.height", INT, .good = {"16", "16384"}, .bad = {"15", "16385", "-16"}},
    {CLIP, "source.path", TEXT, .good = {"\"/a b/c.mp4\""}, .bad = {"\"\"", "\"a\\nb\""}},
    {CLIP, "source.loop", BOOL, .good = {"true", "false"}},
    {"{\"source\":{\"type\":\"ffmpeg\"}}", "source.args", LIST,
     .good = {"[\"-i\",\"x\"]", "[\"-f\",\"lavfi\",\"-i\",\"testsrc\"]"},
     .bad = {"[]", "[\"-i\"]", "[\"x\",\"-i\"]", "[\"-i\",\"x\",\"y\"]", "[\"-i\",\"a\",\"-i\",\"b\"]", "[\"-i\",1]",
             "[\"-i\",null]", "[\"-i\",\"a\\nb\"]", "[[\"-i\",\"x\"]]", "[\"-re\",\"x\"]"}},
    {SCREEN, "source.audio", BOOL, .good = {"true", "false"}},
    {SCREEN, "source.audio_input", LIST, .null = true, .good = {"[\"-f\",\"pulse\",\"-i\",\"default\"]"},
     .bad = {"[\"default\"]", "[]"}},
    {SCREEN, "source.record", WORD, .good = {"\"command\"", "\"always\""}, .bad = {"\"never\"", "\"Always\""}},
    {SCREEN, "process.crash_threshold", INT, .good = {"1", "32"}, .bad = {"0", "33"}},
    {SCREEN, "process.crash_window", SECONDS, .good = {"1", "86400", "1.5"}, .bad = {"0.999999", "86400.5", "0"}},
    {SCREEN, "process.shutdown_timeout", SECONDS, .good = {"0", "0.1", "86400"}, .bad = {"-1", "86401"}},
    {SCREEN, "process.stall_timeout", SECONDS, .good = {"0", "1", "3600"}, .bad = {"0.9", "3601", "-1"}},
    {SCREEN, "process.nice", INT, .good = {"0", "19"}, .bad = {"-1", "20"}},
    {SCREEN, "process.memory_limit", INT, .good = {"0", "256", "1048576"}, .bad = {"255", "1048577", "-1"}},
    {"{}", "logging.level", WORD, .good = {"\"DEBUG\"", "\"INFO\"", "\"WARNING\"", "\"ERROR\""},
     .bad = {"\"debug\"", "\"TRACE\""}},
    {"{}", "logging.file", TEXT, .null = true, .good = {"\"/var/log/x.log\""}, .bad = {"\"a\\u0001\""}},
    {LISTED, "sources[0].name", TEXT, .good = {"\"b\""}, .bad = {"\"\"", "\"a/b\""}},
    {LISTED, "sources[0].type", WORD, .good = {"\"screen\""}, .bad = {"\"x\""}},
    {LISTED, "sources[0].display_index", INT, .good = {"15"}, .bad = {"16"}},
    {LISTED, "sources[0].region", OBJECT, .null = true, .good = {"{\"x\":0,\"y\":0,\"width\":16,\"height\":16}"}},
    {LISTED, "sources[0].ffmpeg.framerate", INT, .good = {"1", "120"}, .bad = {"0", "121"}},
    {LISTED, "sources[0].ffmpeg.preset", WORD, .good = {"\"slow\""}, .bad = {"\"x\""}},
    {LISTED, "sources[0].ffmpeg", OBJECT, .good = {0}},
    {LISTED, "sources[0].process.nice", INT, .good = {"0", "19"}, .bad = {"-1", "20"}},
    {LISTED, "sources[0].process", OBJECT, .good = {0}},
    {PUSHED, "outputs[0].camera", TEXT, .good = {"\"" TEXT_64 "\""}, .bad = {"\"\"", "\"a b\""}},
    {PUSHED, "outputs[0].url", TEXT, .good = {"\"udp://h:9\"", "\"srt://h:9\"", "\"rtsp://h/x\"", "\"rtsps://h/x\""},
     .bad = {"\"\"", "\"http://h/\"", "\"https://h/\"", "\"file:///x\"", "\"udp://\"", "\"srt://:9\"", "\"x\""}},
    {PUSHED, "outputs[0].name", TEXT, .null = true, .good = {"\"o\"", "\"" TEXT_64 "\""},
     .bad = {"\"a/b\"", "\"" TEXT_64 "n\""}},
    {PUSHED, "outputs[0].format", WORD, .null = true, .good = {"\"mpegts\"", "\"flv\""},
     .bad = {"\"mp4\"", "\"rtsp\""}},
    {PUSHED, "outputs[0].process.crash_threshold", INT, .good = {"1", "32"}, .bad = {"0", "33"}},
};

static const char *const wrong_types[][6] = {
    [BOOL] = {"1", "\"true\"", "{}", "[]", "1.0"}, [INT] = {"\"30\"", "true", "{}", "[]", "30.0"},
    [SECONDS] = {"\"30\"", "true", "{}", "[]"},    [TEXT] = {"30", "false", "{}", "[\"a\"]", "1.5"},
    [WORD] = {"30", "false", "{}", "[\"a\"]"},     [LIST] = {"30", "\"-i x\"", "{}", "true"},
    [OBJECT] = {"30", "\"x\"", "[]", "true"},
};

// As a value is shown: URLs without their secrets.
static json_t *shown(const char *path, const char *value)
{
    json_t *json = json_loads(value, JSON_DECODE_ANY, NULL);
    if (!strstr(path, ".url"))
        return json;
    char *url = ch_redact_url(json_string_value(json));
    json_string_set(json, url);
    free(url);
    return json;
}

// The base with one value set at the path; objects on the way are made.
static char *with(const char *base, const char *path, const char *value)
{
    char parent[128], *dot = strrchr(path, '.');
    json_t *root = json_loads(base, 0, NULL), *json = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(root);
    if (!json)
        fail_msg("%s is no JSON", value);
    snprintf(parent, sizeof parent, "%.*s", (int)(dot - path), path);
    if (!member(root, parent)) {
        char *last = strrchr(parent, '.');
        json_t *outer = root;
        if (last) {
            *last = '\0';
            outer = member(root, parent);
        }
        json_object_set_new(outer, last ? last + 1 : parent, json_object());
        if (last)
            *last = '.';
    }
    json_object_set_new(member(root, parent), dot + 1, json);
    char *text = json_dumps(root, JSON_REAL_PRECISION(15));
    json_decref(root);
    return text;
}

static void check_good(const struct key_case *the_case, const char *value)
{
    char *text = with(the_case->base, the_case->path, value);
    struct ch_config *config = good(text);
    json_t *all = ch_config_to_json(config), *found = member(all, the_case->path);
    json_t *wanted = shown(the_case->path, value);
    if (!json_equal(found, wanted))
        fail_msg("%s: %s has not come out", the_case->path, value);
    json_decref(wanted);
    json_decref(all);
    ch_config_free(config);
    free(text);
}

// One fault, at this path.
static void check_bad(const struct key_case *the_case, const char *value)
{
    char *text = with(the_case->base, the_case->path, value), error[CH_CONFIG_ERROR_BYTES], begin[160];
    struct ch_config *config = load(&(struct input){.texts = {text}}, error);
    snprintf(begin, sizeof begin, "t.json: %s: ", the_case->path);
    if (config || strncmp(error, begin, strlen(begin)) != 0 || strchr(error, '\n'))
        fail_msg("%s as %s: %s", the_case->path, value, config ? "accepted" : error);
    if (strstr(the_case->path, "url") && strlen(value) > 7)
        assert_null(strstr(error, value));
    ch_config_free(config);
    free(text);
}

static void each_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(key_cases); i++) {
        const struct key_case *the_case = &key_cases[i];
        for (size_t j = 0; j < COUNT(the_case->good) && the_case->good[j]; j++)
            check_good(the_case, the_case->good[j]);
        for (size_t j = 0; j < COUNT(the_case->bad) && the_case->bad[j]; j++)
            check_bad(the_case, the_case->bad[j]);
        for (size_t j = 0; wrong_types[the_case->kind][j]; j++)
            check_bad(the_case, wrong_types[the_case->kind][j]);
        if (!the_case->null) {
            check_bad(the_case, "null");
        } else if (strcmp(the_case->path, "outputs[0].name") != 0) { // which is never without one
            check_good(the_case, "null");
        }
    }
}

static void name_variable(const char *path, char out[128])
{
    size_t used = (size_t)snprintf(out, 128, "CAMHUB_");
    for (; *path && used < 127; path++)
        out[used++] = (char)(*path == '.' ? '_' : toupper((unsigned char)*path));
    out[used] = '\0';
}

// What a file's value is as the text of a variable; false if it cannot be written as one.
static bool as_variable(const char *value, char *out, size_t room)
{
    if (value[0] != '"') {
        snprintf(out, room, "%s", value);
        return !strchr(value, 'e') || value[0] == 't' || value[0] == 'f'; // numbers without exponents
    }
    json_t *json = json_loads(value, JSON_DECODE_ANY, NULL);
    snprintf(out, room, "%s", json_string_value(json));
    json_decref(json);
    return out[0] != '\0'; // nothing is as good as no variable
}

static void check_variable(const struct key_case *the_case, const char *value, bool is_good)
{
    char name[128], text[512], variable[1024], error[CH_CONFIG_ERROR_BYTES], begin[160];
    if (!as_variable(value, text, sizeof text))
        return;
    name_variable(the_case->path, name);
    snprintf(variable, sizeof variable, "%s=%s", name, text);
    struct ch_config *config = load(&(struct input){.texts = {the_case->base}, .environment = {variable}}, error);
    snprintf(begin, sizeof begin, "%s: ", name);
    if (is_good != (config != NULL) || (!is_good && (strncmp(error, begin, strlen(begin)) != 0 || strchr(error, '\n'))))
        fail_msg("%s: %s", variable, config ? "accepted" : error);
    json_t *all = config ? ch_config_to_json(config) : NULL, *wanted = shown(the_case->path, value);
    if (config && !json_equal(member(all, the_case->path), wanted))
        fail_msg("%s has not come out", variable);
    json_decref(all);
    json_decref(wanted);
    ch_config_free(config);
}

// The same values as variables: each scalar of a section is one.
static void each_variable(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(key_cases); i++) {
        const struct key_case *the_case = &key_cases[i];
        if (the_case->kind == LIST || the_case->kind == OBJECT || strchr(the_case->path, '['))
            continue;
        for (size_t j = 0; j < COUNT(the_case->good) && the_case->good[j]; j++)
            check_variable(the_case, the_case->good[j], true);
        for (size_t j = 0; j < COUNT(the_case->bad) && the_case->bad[j]; j++)
            check_variable(the_case, the_case->bad[j], false);
    }
}

// --- what comes out ---

static void defaults(void **state)
{
    (void)state;
    struct ch_config *config = load_good(&(struct input){0});
    const struct ch_options *options = &config->options;
    assert_string_equal(options->host, "0.0.0.0");
    assert_int_equal(options->port, 50001);
    assert_string_equal(options->recordings, "recordings");
    assert_true(options->h264 && options->thumbnails && !options->open);
    assert_int_equal(options->sync_us, 1000000);
    assert_int_equal(options->max_message_bytes, 16777216);
    assert_string_equal(options->ffmpeg, "ffmpeg");
    assert_int_equal(config->log_level, CH_LOG_INFO);
    assert_null(config->log_file);
    assert_int_equal(config->source_count + config->door_count + config->output_count, 0);
    assert_null(config->warnings);
    ch_config_free(config);
    ch_config_free(NULL);
}

static void default_instance(void **state)
{
    (void)state;
    struct ch_config *config = good("{\"server\": {}}");
    assert_int_equal(config->source_count, 1);
    assert_int_equal(config->door_count, 1);
    const struct ch_source_config *source = config->sources[0];
    assert_string_equal(source->name, "live");
    assert_int_equal(source->type, CH_SOURCE_SCREEN);
    assert_false(source->region.set);
    assert_true(source->draw_mouse && source->audio && !source->record_always);
    assert_null(source->display);
    assert_null(source->device);
    assert_null(source->url);
    assert_null(source->args);
    assert_null(source->audio_args);
    assert_string_equal(source->encode.bitrate, "2M");
    assert_int_equal(source->encode.framerate, 30);
    assert_string_equal(source->encode.preset, "ultrafast");
    assert_string_equal(source->encode.tune, "zerolatency");
    assert_false(source->encode.always);
    assert_int_equal(source->process.crash_threshold, 3);
    assert_int_equal(source->process.crash_window_us, 60000000);
    assert_int_equal(source->process.shutdown_timeout_us, 30000000);
    assert_int_equal(source->process.stall_timeout_us, 15000000);
    assert_int_equal(source->process.nice, 5);
    assert_int_equal(source->process.memory_bytes, 4096ull << 20);
    const struct ch_door_config *door = &config->doors[0];
    assert_string_equal(door->host, "0.0.0.0");
    assert_int_equal(door->port, 8765);
    assert_int_equal(door->http_port, 8080);
    assert_string_equal(door->path, "/");
    assert_string_equal(door->source, "live");
    ch_config_free(config);
}

static void all_of_a_network_source(void **state)
{
    (void)state;
    struct ch_config *config = good(
        "{\"hub\":{\"host\":\"127.0.0.1\",\"port\":1,\"recordings\":\"/r\",\"h264\":false,\"thumbnails\":false,"
        "\"open\":true,\"sync_interval\":0.25,\"max_message\":2048},"
        "\"server\":{\"host\":\"127.0.0.2\",\"port\":2000,\"path\":\"/p\",\"http_port\":0},"
        "\"ffmpeg\":{\"bitrate\":\"3M\",\"framerate\":4,\"preset\":\"slow\",\"tune\":\"film\",\"always_encode\":true},"
        "\"source\":{\"type\":\"network_stream\",\"name\":\"n\",\"url\":\"rtsp://u:p@h/x\",\"transport\":\"udp\","
        "\"timeout\":5000001,\"reconnect_delay\":6.5,\"max_reconnect_attempts\":7,\"audio\":true,"
        "\"audio_input\":[\"-i\",\"a\"],\"record\":\"always\","
        "\"region\":{\"x\":1,\"y\":2,\"width\":18,\"height\":20}},"
        "\"process\":{\"crash_threshold\":8,\"crash_window\":9,\"shutdown_timeout\":10,\"stall_timeout\":11,"
        "\"nice\":12,\"memory_limit\":513},"
        "\"logging\":{\"level\":\"CRITICAL\",\"file\":\"/l\"}}");
    const struct ch_source_config *source = config->sources[0];
    assert_string_equal(config->options.host, "127.0.0.1");
    assert_int_equal(config->options.port, 1);
    assert_string_equal(config->options.recordings, "/r");
    assert_true(!config->options.h264 && !config->options.thumbnails && config->options.open);
    assert_int_equal(config->options.sync_us, 250000);
    assert_int_equal(config->options.max_message_bytes, 2048);
    assert_string_equal(config->doors[0].host, "127.0.0.2");
    assert_int_equal(config->doors[0].port, 2000);
    assert_int_equal(config->doors[0].http_port, 0);
    assert_string_equal(config->doors[0].path, "/p");
    assert_string_equal(config->doors[0].source, "n");
    assert_string_equal(source->name, "n");
    assert_int_equal(source->type, CH_SOURCE_NETWORK);
    assert_string_equal(source->url, "rtsp://u:p@h/x");
    assert_int_equal(source->transport, CH_TRANSPORT_UDP);
    assert_int_equal(source->timeout_us, 5000001);
    assert_int_equal(source->reconnect_delay_us, 6500000);
    assert_int_equal(source->max_reconnect_attempts, 7);
    assert_string_equal(source->audio_args[0], "-i");
    assert_string_equal(source->audio_args[1], "a");
    assert_null(source->audio_args[2]);
    assert_true(source->record_always && source->region.set);
    assert_int_equal(source->region.x, 1);
    assert_int_equal(source->region.y, 2);
    assert_int_equal(source->region.width, 18);
    assert_int_equal(source->region.height, 20);
    assert_string_equal(source->encode.bitrate, "3M");
    assert_int_equal(source->encode.framerate, 4);
    assert_string_equal(source->encode.preset, "slow");
    assert_string_equal(source->encode.tune, "film");
    assert_true(source->encode.always);
    assert_int_equal(source->process.crash_threshold, 8);
    assert_int_equal(source->process.crash_window_us, 9000000);
    assert_int_equal(source->process.shutdown_timeout_us, 10000000);
    assert_int_equal(source->process.stall_timeout_us, 11000000);
    assert_int_equal(source->process.nice, 12);
    assert_int_equal(source->process.memory_bytes, 513ull << 20);
    assert_int_equal(config->log_level, CH_LOG_ERROR);
    assert_string_equal(config->log_file, "/l");
    ch_config_free(config);
}

static void other_types(void **state)
{
    (void)state;
    struct ch_config *config = good(
        "{\"sources\":["
        "{\"name\":\"a\",\"type\":\"screen\",\"display\":\":3\",\"display_index\":2,\"draw_mouse\":false},"
        "{\"name\":\"b\",\"type\":\"window\",\"window_title\":\"T\",\"find_by_substring\":false},"
        "{\"name\":\"c\",\"type\":\"window_region\",\"window_title\":\"U\",\"region\":{\"width\":32,\"height\":64}},"
        "{\"name\":\"d\",\"type\":\"device\",\"device\":\"/dev/video7\",\"input_format\":\"mjpeg\",\"width\":320,"
        "\"height\":240},"
        "{\"name\":\"e\",\"type\":\"file\",\"path\":\"/"
        "x\",\"loop\":false,\"audio\":false,\"audio_input\":[\"-i\",\"x\"]},"
        "{\"name\":\"f\",\"type\":\"ffmpeg\",\"args\":[\"-re\",\"-i\",\"y\"]}]}");
    struct ch_source_config **s = config->sources;
    assert_int_equal(config->source_count, 6);
    assert_int_equal(config->door_count, 0);
    assert_true(s[0]->type == CH_SOURCE_SCREEN && s[0]->display_index == 2 && !s[0]->draw_mouse);
    assert_string_equal(s[0]->display, ":3");
    assert_true(s[1]->type == CH_SOURCE_WINDOW && !s[1]->find_by_substring && !s[1]->region.set);
    assert_string_equal(s[1]->window_title, "T");
    assert_true(s[2]->type == CH_SOURCE_WINDOW && s[2]->find_by_substring && s[2]->region.set);
    assert_true(s[2]->region.x == 0 && s[2]->region.y == 0 && s[2]->region.width == 32 && s[2]->region.height == 64);
    assert_true(s[3]->type == CH_SOURCE_DEVICE && s[3]->width == 320 && s[3]->height == 240);
    assert_string_equal(s[3]->device, "/dev/video7");
    assert_string_equal(s[3]->input_format, "mjpeg");
    assert_true(s[4]->type == CH_SOURCE_FILE && !s[4]->loop && !s[4]->audio && !s[4]->audio_args);
    assert_string_equal(s[4]->path, "/x");
    assert_true(s[5]->type == CH_SOURCE_FFMPEG && !s[5]->args[3]);
    assert_string_equal(s[5]->args[2], "y");
    assert_string_equal(config->warnings, "t.json: sources[4].audio_input: not used, as audio is false");
    ch_config_free(config);
}

// What `check --effective` prints of one file is a file that means the same.
static void effective_again(void **state)
{
    (void)state;
    struct ch_config *config =
        good("{\"server\":{\"path\":\"/a\"},\"source\":{\"type\":\"window_region\",\"window_title\":\"x\",\"region\":"
             "{\"width\":16,\"height\":16}},\"process\":{\"stall_timeout\":1.25},\"sources\":[{\"name\":\"f\",\"type\":"
             "\"file\",\"path\":\"/x\",\"ffmpeg\":{\"tune\":\"film\"}},{\"name\":\"g\",\"type\":\"device\"}],"
             "\"outputs\":[{\"camera\":\"f\",\"url\":\"udp://h:1\"}]}");
    json_t *once = ch_config_to_json(config), *twice;
    char *text = json_dumps(once, JSON_REAL_PRECISION(15));
    struct ch_config *again = good(text);
    twice = ch_config_to_json(again);
    assert_true(json_equal(once, twice));
    assert_null(again->warnings);
    for (size_t i = 0; i < config->source_count; i++)
        assert_true(ch_source_config_same(config->sources[i], again->sources[i]));
    assert_true(ch_output_config_same(&config->outputs[0], &again->outputs[0]));
    free(text);
    json_decref(once);
    json_decref(twice);
    ch_config_free(config);
    ch_config_free(again);
}

// --- what is wrong ---

static void unknown_keys(void **state)
{
    (void)state;
    bad("{\"hub\":{\"prot\":1}}", "t.json: hub.prot: unknown key; did you mean port? allowed: host, port, recordings, "
                                  "h264, thumbnails, open, sync_interval, max_message");
    bad("{\"server\":{\"url\":1}}", "t.json: server.url: unknown key; allowed: host, port, path, http_port");
    bad("{\"ffmpeg\":{\"frame_rate\":1}}",
        "t.json: ffmpeg.frame_rate: unknown key; did you mean framerate? allowed: video_codec, audio_codec, bitrate, "
        "framerate, preset, tune, always_encode");
    bad("{\"source\":{\"region\":{\"width\":16,\"height\":16,\"w\":1}}}",
        "t.json: source.region.w: unknown key; did you mean x? allowed: x, y, width, height");
    bad("{\"process\":{\"crash_treshold\":1}}",
        "t.json: process.crash_treshold: unknown key; did you mean crash_threshold? allowed: crash_threshold, "
        "crash_window, shutdown_timeout, stall_timeout, nice, memory_limit");
    bad("{\"logging\":{\"Level\":1}}", "t.json: logging.Level: unknown key; did you mean level? allowed: level, file");
    bad("{\"sources\":[{\"name\":\"a\"},{\"name\":\"b\",\"process\":{\"nicer\":1}}]}",
        "t.json: sources[1].process.nicer: unknown key; did you mean nice? allowed: crash_threshold, crash_window, "
        "shutdown_timeout, stall_timeout, nice, memory_limit");
    bad("{\"outputs\":[{\"camera\":\"a\",\"url\":\"udp://h:1\",\"codec\":1}]}",
        "t.json: outputs[0].codec: unknown key; allowed: camera, url, name, format, process");
    bad("{\"Sources\":[]}", "t.json: Sources: unknown key; did you mean sources? allowed: hub, server, ffmpeg, source, "
                            "process, logging, sources, outputs");
    // The section of an instance has no overrides of its own, nor has an item doors.
    char error[CH_CONFIG_ERROR_BYTES];
    assert_null(load(&(struct input){.texts = {"{\"source\":{\"process\":{}}}"}}, error));
    assert_non_null(strstr(error, "t.json: source.process: unknown key; allowed: name, type, "));
    assert_null(load(&(struct input){.texts = {"{\"sources\":[{\"name\":\"a\",\"server\":{}}]}"}}, error));
    assert_non_null(strstr(error, "t.json: sources[0].server: unknown key; allowed: name, type, "));
}

static void words(void **state)
{
    (void)state;
    bad("{\"ffmpeg\":{\"framerate\":0}}", "t.json: ffmpeg.framerate: 0 is not allowed; 1 to 120 is");
    bad("{\"ffmpeg\":{\"framerate\":\"30\"}}", "t.json: ffmpeg.framerate: \"30\" is no number; 1 to 120 is allowed");
    bad("{\"ffmpeg\":{\"framerate\":29.97}}",
        "t.json: ffmpeg.framerate: 29.97 is no whole number; 1 to 120 is allowed");
    bad("{\"process\":{\"stall_timeout\":0.5}}",
        "t.json: process.stall_timeout: 0.5 is not allowed; 0, or 1 to 3600 seconds is");
    bad("{\"logging\":{\"level\":\"info\"}}", "t.json: logging.level: \"info\" is unknown; did you mean INFO? allowed: "
                                              "DEBUG, INFO, WARNING, ERROR, CRITICAL");
    bad("{\"source\":{\"type\":\"network\"}}",
        "t.json: source.type: \"network\" is unknown; allowed: screen, window, network_stream, device, file, ffmpeg, "
        "window_region");
    bad("{\"source\":5}", "t.json: source: 5 is no object; {...} is allowed");
    bad("{\"sources\":{}}", "t.json: sources: this is no list; a list of sources is allowed");
    bad("{\"sources\":[7]}", "t.json: sources[0]: 7 is no object; {...} is allowed");
    bad("{\"sources\":[{\"name\":\"a\",\"ffmpeg\":null}]}",
        "t.json: sources[0].ffmpeg: null is no object; {...} is allowed");
    bad("[]", "t.json: an object is needed: { ... }");
    bad("7", "t.json: an object is needed: { ... }");
    bad("{\n  \"hub\": {\"port\": 1,}\n}",
        "t.json:2:20: nothing follows this comma; JSON allows none behind the last item");
    bad("{\"hub\":{\"port\":1},\"hub\":{\"port\":2}}", "t.json:1:19: the key \"hub\" is there twice");
}

static void what_types_need(void **state)
{
    (void)state;
    bad("{\"source\":{\"type\":\"window\"}}", "t.json: source.window_title: missing; a window needs it");
    bad("{\"source\":{\"type\":\"window_region\",\"window_title\":\"x\"}}",
        "t.json: source.region: missing; a window_region needs it");
    bad("{\"source\":{\"type\":\"window_region\",\"window_title\":\"x\",\"region\":null}}",
        "t.json: source.region: missing; a window_region needs it");
    bad("{\"source\":{\"region\":{\"x\":1}}}", "t.json: source.region.width: missing; a region needs it\n"
                                               "t.json: source.region.height: missing; a region needs it");
    bad("{\"source\":{\"type\":\"network_stream\"}}", "t.json: source.url: missing; a network_stream needs it");
    bad("{\"source\":{\"type\":\"file\"}}", "t.json: source.path: missing; a file needs it");
    bad("{\"source\":{\"type\":\"ffmpeg\"}}", "t.json: source.args: missing; a source of type ffmpeg needs it");
    bad("{\"source\":{\"type\":\"device\",\"width\":640}}",
        "t.json: source.width: width and height go together: both, or none of them");
    bad("{\"sources\":[{}]}", "t.json: sources[0].name: missing; a source of the list needs it");
    bad("{\"outputs\":[{}]}", "t.json: outputs[0].camera: missing; an output needs it\n"
                              "t.json: outputs[0].url: missing; an output needs it");
}

static void every_fault_is_told(void **state)
{
    (void)state;
    load_bad(
        &(struct input){.names = {"a.json", "b.json"},
                        .texts = {"{\"hub\":{\"port\":-1,\"open\":1},\"sources\":[{\"name\":\"a\",\"type\":\"file\"}]}",
                                  "{\"server\":{\"port\":80},"},
                        .environment = {"CAMHUB_FFMPEG_FRAMERATE=0", "CAMHUB_FFMPEG_PRESTE=x"}},
        "a.json: hub.port: -1 is not allowed; 0 to 65535 is\n"
        "a.json: hub.open: 1 is not allowed; true or false is\n"
        "b.json:1:23: the end, and a } is missing\n"
        "CAMHUB_FFMPEG_FRAMERATE: 0 is not allowed; 1 to 120 is\n"
        "CAMHUB_FFMPEG_PRESTE: unknown variable; did you mean CAMHUB_FFMPEG_PRESET? allowed: "
        "CAMHUB_<SECTION>_<KEY> of hub, server, ffmpeg, source, process and logging\n"
        "a.json: sources[0].path: missing; a file needs it");
}

// However little room there is, it is not overrun, and the last line says what is missing.
static void little_room(void **state)
{
    (void)state;
    struct ch_config_text text = {"t.json", "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}", 25};
    struct ch_config_from from = {0};
    struct ch_config *config;
    for (size_t room = 0; room < 1000; room++) {
        char *error = malloc(room + 1);
        error[room] = 'x';
        assert_int_equal(ch_config_load_texts(&text, 1, &from, &config, error, room), -EINVAL);
        assert_null(config);
        assert_true(error[room] == 'x' && (room == 0 || strlen(error) < room));
        if (room > 300 && room < 400)
            assert_non_null(strstr(error, "\n... and "));
        free(error);
    }
}

// --- secrets ---

static const char *const secret_files[] = {
    "{\"source\":{\"type\":\"network_stream\",\"url\":\"ftp://u:geheim@h/x\"}}",
    "{\"source\":{\"type\":\"network_stream\",\"url\":\"rtsp://u:geheim/x@h/x\"}}",
    "{\"source\":{\"type\":\"network_stream\",\"url\":\"rtsp://u:geheim@/x\"}}",
    "{\"source\":{\"type\":\"network_stream\",\"url\":\"rtsp://u:ge heim@h/x\"}}",
    "{\"source\":{\"type\":\"network_stream\",\"url\":[\"rtsp://u:geheim@h/x\"]}}",
    "{\"source\":{\"type\":\"network_stream\",\"url\":{\"geheim\":1}}}",
    "{\"source\":{\"type\":\"ffmpeg\",\"args\":\"-i rtsp://u:geheim@h/x\"}}",
    "{\"source\":{\"type\":\"ffmpeg\",\"args\":[\"-headers\",\"geheim\"]}}",
    "{\"source\":{\"type\":\"ffmpeg\",\"args\":[\"-i\",\"geheim\\n\"]}}",
    "{\"source\":{\"type\":\"ffmpeg\",\"args\":[\"-i\",\"a\",\"-i\",\"rtsp://u:geheim@h/x\"]}}",
    "{\"source\":{\"audio_input\":[\"geheim\"]}}",
    "{\"source\":{\"type\":\"rtsp://u:geheim@h/x\"}}",
    "{\"source\":{\"rtsp://u:geheim@h/x\":1}}",
    "{\"source\":\"rtsp://u:geheim@h/x\"}",
    "{\"sources\":[\"rtsp://u:geheim@h/x\"]}",
    "{\"sources\":\"rtsp://u:geheim@h/x\"}",
    "{\"server\":{\"path\":\"rtsp://u:geheim@h/x\"}}",
    "{\"server\":{\"host\":\"rtsp://u:geheim@h/x\"}}",
    "{\"outputs\":[{\"camera\":\"a\",\"url\":\"http://h/geheim\"}]}",
    "{\"outputs\":[{\"camera\":\"rtmp://h/live/geheim\",\"url\":\"rtmp://h/live/geheim\"}]}",
    "{\"outputs\":[{\"camera\":\"a\",\"format\":\"mpegts\",\"url\":\"rtmp://h/live/geheim\"}]}",
    "{\"outputs\":[{\"camera\":\"a\",\"url\":\"rtmp://h/live/geheim\" \"x\":1}]}",
    "{\"outputs\":[{\"camera\":\"a\",\"url\":\"rtmp://h/live/geheim}]}",
    "{\"outputs\":[{\"camera\":\"a\",\"url\":\"rtmp://h/live/geheim\",}]}",
    "{\"outputs\":[{\"camera\":\"a\",\"url\": rtmp://h/live/geheim}]}",
    "{\"rtmp://h/live/geheim\":1, \"rtmp://h/live/geheim\":1}",
};

static void no_secrets_in_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(secret_files); i++) {
        char error[CH_CONFIG_ERROR_BYTES];
        struct ch_config *config = load(&(struct input){.texts = {secret_files[i]}}, error);
        if (config || strstr(error, "geheim") || strstr(error, "heim@"))
            fail_msg("%s: %s", secret_files[i], config ? "accepted" : error);
    }
    load_bad(
        &(struct input){.environment = {"CAMHUB_SOURCE_TYPE=network_stream", "CAMHUB_SOURCE_URL=x://u:geheim@h"}},
        "CAMHUB_SOURCE_URL: the URL must begin with rtsp://, rtsps://, rtmp://, rtmps://, http://, https://, srt:// "
        "or udp://, in lower case");
}

static void no_secrets_in_what_is_shown(void **state)
{
    (void)state;
    struct ch_config *config =
        good("{\"source\":{\"type\":\"network_stream\",\"url\":\"rtsp://u:geheim@h/x\",\"audio_input\":"
             "[\"-headers\",\"Cookie: geheim\",\"-i\",\"http://h/?key=geheim\"]},"
             "\"sources\":[{\"name\":\"f\",\"type\":\"ffmpeg\",\"args\":[\"-f\",\"mpjpeg\",\"-user_agent\",\"-geheim\","
             "\"-cookies\",\"geheim\",\"geheim\",\"-i\",\"http://u:geheim@h/\"]},"
             "{\"name\":\"g\",\"type\":\"file\",\"path\":\"/x\",\"url\":\"rtsp://u:geheim@h/x\"}],"
             "\"outputs\":[{\"camera\":\"f\",\"url\":\"rtmp://h/live/geheim\"},"
             "{\"camera\":\"f\",\"url\":\"srt://h:1?streamid=geheim&passphrase=geheim12345\"}]}");
    json_t *json = ch_config_to_json(config);
    char *text = json_dumps(json, 0);
    if (strstr(text, "geheim"))
        fail_msg("%s", text);
    assert_non_null(strstr(text, "rtsp://***@h/x"));
    assert_non_null(strstr(text, "[\"***\", \"***\", \"-i\", "));
    assert_non_null(strstr(text, "[\"-f\", \"mpjpeg\", \"***\", \"***\", \"***\", \"***\", \"***\", \"-i\", "));
    assert_string_equal(config->warnings, "t.json: sources[1].url: a source of type file has no use for it");
    free(text);
    json_decref(json);
    ch_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key),
        cmocka_unit_test(each_variable),
        cmocka_unit_test(defaults),
        cmocka_unit_test(default_instance),
        cmocka_unit_test(all_of_a_network_source),
        cmocka_unit_test(other_types),
        cmocka_unit_test(effective_again),
        cmocka_unit_test(unknown_keys),
        cmocka_unit_test(words),
        cmocka_unit_test(what_types_need),
        cmocka_unit_test(every_fault_is_told),
        cmocka_unit_test(little_room),
        cmocka_unit_test(no_secrets_in_faults),
        cmocka_unit_test(no_secrets_in_what_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
