// Where a configuration comes from: several files, the environment, flags, the disk; what must differ between them;
// and the log file that it names.
#include "config_maker.h"

#include "base/limits.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

// --- precedence ---

static void flags_over_environment_over_files(void **state)
{
    (void)state;
    struct input input = {.texts = {"{\"hub\":{\"port\":1,\"sync_interval\":1.5,\"h264\":false,\"recordings\":\"/f\"},"
                                    "\"logging\":{\"level\":\"DEBUG\"}}"}};
    struct ch_config *config = load_good(&input);
    assert_true(config->options.port == 1 && config->options.sync_us == 1500000 && !config->options.h264);
    assert_int_equal(config->log_level, CH_LOG_DEBUG);
    ch_config_free(config);

    input.environment[0] = "CAMHUB_HUB_PORT=2";
    input.environment[1] = "CAMHUB_HUB_SYNC_INTERVAL=2.25";
    input.environment[2] = "CAMHUB_HUB_H264=1";
    input.environment[3] = "CAMHUB_HUB_RECORDINGS=/e";
    input.environment[4] = "CAMHUB_LOGGING_LEVEL=WARNING";
    config = load_good(&input);
    assert_true(config->options.port == 2 && config->options.sync_us == 2250000 && config->options.h264);
    assert_string_equal(config->options.recordings, "/e");
    assert_int_equal(config->log_level, CH_LOG_WARNING);
    ch_config_free(config);

    input.flags[0] = (struct ch_config_flag){"--port", "hub.port", "3"};
    input.flags[1] = (struct ch_config_flag){"--no-h264", "hub.h264", "false"};
    input.flags[2] = (struct ch_config_flag){"--log-level", "logging.level", "ERROR"};
    config = load_good(&input);
    assert_true(config->options.port == 3 && config->options.sync_us == 2250000 && !config->options.h264);
    assert_string_equal(config->options.recordings, "/e");
    assert_int_equal(config->log_level, CH_LOG_ERROR);
    ch_config_free(config);

    input.texts[0] = NULL; // and without a file
    config = load_good(&input);
    assert_true(config->options.port == 3 && config->options.sync_us == 2250000 && config->options.thumbnails);
    ch_config_free(config);
    load_bad(&(struct input){.flags = {{"--port", "hub.port", "65536"}}},
             "--port: 65536 is not allowed; 0 to 65535 is");
    load_bad(&(struct input){.flags = {{"--port", "hub.prot", "1"}}}, "--port: there is no key hub.prot");
}

static void environment_over_an_instance(void **state)
{
    (void)state;
    struct input input = {
        .texts = {"{\"server\":{\"port\":3000,\"path\":\"/a\"},\"source\":{\"region\":{\"x\":1,\"width\":16,"
                  "\"height\":32}},\"ffmpeg\":{\"framerate\":5},\"process\":{\"nice\":1},"
                  "\"sources\":[{\"name\":\"s\",\"ffmpeg\":{\"preset\":\"slow\"},\"process\":{\"nice\":3}},"
                  "{\"name\":\"t\"}],\"outputs\":[{\"camera\":\"s\",\"url\":\"udp://h:1\"}]}"},
        .environment = {"CAMHUB_SERVER_PORT=4000", "CAMHUB_SOURCE_REGION_X=9", "CAMHUB_FFMPEG_PRESET=fast",
                        "CAMHUB_PROCESS_NICE=2", "CAMHUB_SOURCE_DISPLAY=:7", "FFMPEG_BIN=/opt/ffmpeg"}};
    struct ch_config *config = load_good(&input);
    struct ch_source_config **s = config->sources;
    assert_int_equal(config->doors[0].port, 4000);
    assert_string_equal(config->doors[0].path, "/a");
    assert_string_equal(s[0]->name, "a");
    assert_true(s[0]->region.x == 9 && s[0]->region.width == 16 && s[0]->region.height == 32);
    assert_string_equal(s[0]->display, ":7");
    assert_string_equal(s[0]->encode.preset, "fast");
    assert_int_equal(s[0]->encode.framerate, 5);
    assert_int_equal(s[0]->process.nice, 2);
    // The variables stand for the sections; what an item has of its own goes over them.
    assert_string_equal(s[1]->encode.preset, "slow");
    assert_int_equal(s[1]->encode.framerate, 5);
    assert_int_equal(s[1]->process.nice, 3);
    assert_null(s[1]->display);
    assert_string_equal(s[2]->encode.preset, "fast");
    assert_int_equal(s[2]->process.nice, 2);
    assert_int_equal(config->outputs[0].process.nice, 2);
    assert_string_equal(config->options.ffmpeg, "/opt/ffmpeg");
    ch_config_free(config);
}

static void an_instance_of_variables(void **state)
{
    (void)state;
    struct input input = {.environment = {"CAMHUB_SOURCE_TYPE=network_stream", "CAMHUB_SOURCE_URL=rtsp://h/x",
                                          "CAMHUB_FFMPEG_FRAMERATE=7", "CAMHUB_SERVER_PATH=/x y"}};
    load_bad(&input,
             "CAMHUB_SERVER_PATH: /x y is not allowed; a path that begins with / is, of up to 255 bytes, without "
             ".. and blank \\ ? #");
    input.environment[3] = "CAMHUB_SERVER_PATH=/x";
    for (int files = 0; files < 3; files++) { // none, one, two that describe no source
        struct ch_config *config = load_good(&input);
        assert_int_equal(config->source_count, 1);
        assert_string_equal(config->sources[0]->name, "x");
        assert_string_equal(config->sources[0]->url, "rtsp://h/x");
        assert_int_equal(config->sources[0]->encode.framerate, 7);
        assert_int_equal(config->door_count, 1);
        ch_config_free(config);
        input.texts[files] = "{\"hub\":{\"port\":5}}";
    }
    load_bad(&(struct input){.environment = {"CAMHUB_SOURCE_TYPE=file"}},
             "environment: source.path: missing; a file needs it");
}

static void variables(void **state)
{
    (void)state;
    struct ch_config *config = load_good(
        &(struct input){.environment = {"CAMHUB_HUB_PORT=", "CAMHUB_NONSENSE=", "CAMHUB_E2E_MARK=1", "CAMHUB_BIN=x",
                                        "CAMHUB_SERVICE_HOST=10.0.0.1", "CAMHUB_PORT_50001_TCP_ADDR=1", "CAMHUBS=1"}});
    assert_int_equal(config->options.port, 50001); // an empty one is none
    assert_int_equal(config->source_count, 0);
    ch_config_free(config);
    static const char allowed[] = "allowed: CAMHUB_<SECTION>_<KEY> of hub, server, ffmpeg, source, process and logging";
    char faults[512];
    snprintf(faults, sizeof faults,
             "CAMHUB_HUB_PROT: unknown variable; did you mean CAMHUB_HUB_PORT? %s\n"
             "CAMHUB_NONSENSE: unknown variable; %s\n"
             "CAMHUB_SOURCE_ARGS: a list can be set in a file only",
             allowed, allowed);
    load_bad(&(struct input){.environment = {"CAMHUB_HUB_PROT=1", "CAMHUB_NONSENSE=1", "CAMHUB_SOURCE_ARGS=-i x"}},
             faults);
    load_bad(
        &(struct input){.environment = {"CAMHUB_HUB_PORT=30x", "CAMHUB_HUB_OPEN=yes", "CAMHUB_HUB_SYNC_INTERVAL=-1",
                                        "CAMHUB_HUB_MAX_MESSAGE=99999999999999999999", "CAMHUB_HUB_HOST=\xff"}},
        "CAMHUB_HUB_PORT: 30x is no number; 0 to 65535 is allowed\n"
        "CAMHUB_HUB_OPEN: yes is not allowed; true or false is\n"
        "CAMHUB_HUB_SYNC_INTERVAL: -1 is no number; 0 to 60 seconds is allowed\n"
        "CAMHUB_HUB_MAX_MESSAGE: 99999999999999999999 is not allowed; 1024 to 268435456 is\n"
        "CAMHUB_HUB_HOST: the value is not UTF-8");
}

// --- several files ---

static void files_add_up(void **state)
{
    (void)state;
    struct ch_config *config = load_good(&(struct input){
        .names = {"a.json", "b.json", "c.json"},
        .texts = {"{\"server\":{\"path\":\"/one\"},\"ffmpeg\":{\"framerate\":1},\"hub\":{\"port\":7}}",
                  "{\"server\":{\"path\":\"/two\"},\"ffmpeg\":{\"framerate\":2},\"sources\":[{\"name\":\"x\"}],"
                  "\"outputs\":[{\"camera\":\"x\",\"url\":\"udp://h:1\"}],\"hub\":{\"port\":7,\"open\":true}}",
                  "{\"sources\":[{\"name\":\"y\"}],\"outputs\":[{\"camera\":\"x\",\"url\":\"udp://h:2\"}],"
                  "\"logging\":{\"level\":\"ERROR\"}}"}});
    static const char *const names[] = {"one", "two", "x", "y"};
    static const unsigned rates[] = {1, 2, 2, 30};
    assert_int_equal(config->source_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(config->sources[i]->name, names[i]);
        assert_int_equal(config->sources[i]->encode.framerate, rates[i]);
    }
    assert_int_equal(config->door_count, 2);
    assert_string_equal(config->doors[1].path, "/two");
    assert_string_equal(config->doors[1].source, "two");
    assert_int_equal(config->output_count, 2);
    assert_string_equal(config->outputs[0].name, "x-1");
    assert_string_equal(config->outputs[1].name, "x-2");
    assert_true(config->options.port == 7 && config->options.open);
    assert_int_equal(config->log_level, CH_LOG_ERROR);
    json_t *json = ch_config_to_json(config);
    assert_string_equal(json_string_value(member(json, "instances[1].server.path")), "/two");
    assert_null(member(json, "server"));
    assert_int_equal(json_array_size(member(json, "sources")), 2);
    json_decref(json);
    ch_config_free(config);
}

static void files_against_each_other(void **state)
{
    (void)state;
    static const char *const names[] = {"a.json", "d/b.json"};
    static const struct {
        const char *a, *b, *fault;
    } cases[] = {
        {"{\"hub\":{\"port\":7}}", "{\"hub\":{\"port\":8}}",
         "d/b.json: hub.port: contradicts port in a.json; there is one for all files"},
        {"{\"logging\":{\"level\":\"INFO\"}}", "{\"logging\":{\"level\":\"DEBUG\"}}",
         "d/b.json: logging.level: contradicts level in a.json; there is one for all files"},
        // The same words, and two places.
        {"{\"logging\":{\"file\":\"x.log\"}}", "{\"logging\":{\"file\":\"x.log\"}}",
         "d/b.json: logging.file: contradicts file in a.json; there is one for all files"},
        {"{\"sources\":[{\"name\":\"x\"}]}", "{\"sources\":[{\"name\":\"x\"}]}",
         "d/b.json: sources[0].name: the source's name, x, is taken by a source of a.json"},
        {"{\"server\":{\"path\":\"/x\"}}", "{\"sources\":[{\"name\":\"x\"}]}",
         "d/b.json: sources[0].name: the source's name, x, is taken by a source of a.json"},
        {"{\"server\":{\"path\":\"/x\",\"port\":2000}}", "{\"server\":{\"path\":\"/x\"}}",
         "d/b.json: server.path: the source's name that follows from it, x, is taken by a source of a.json; "
         "source.name "
         "gives it another"},
        {"{\"source\":{\"name\":\"x\"}}", "{\"source\":{\"name\":\"x\"},\"server\":{\"path\":\"/y\"}}",
         "d/b.json: source.name: the source's name, x, is taken by a source of a.json"},
        {"{\"source\":{\"name\":\"x\"}}", "{\"source\":{\"name\":\"y\"}}",
         "d/b.json: server.path: / at port 8765 is taken by a.json; several instances can share a port, each with a "
         "path "
         "of its own"},
        {"{\"server\":{\"path\":\"/x\"}}", "{\"server\":{\"path\":\"/y\",\"host\":\"127.0.0.1\",\"http_port\":0}}",
         "d/b.json: server.host: 127.0.0.1 and 0.0.0.0 (a.json) cannot both be listened on at port 8765; one must be "
         "written as the other, or have another port"},
        {"{\"server\":{\"path\":\"/x\"}}",
         "{\"server\":{\"path\":\"/y\",\"host\":\"::\",\"port\":9000,\"http_port\":8765}}",
         "d/b.json: server.host: :: and 0.0.0.0 (a.json) cannot both be listened on at port 8765; one must be written "
         "as "
         "the other, or have another port"},
        {"{\"outputs\":[{\"camera\":\"x\",\"url\":\"udp://h:1\",\"name\":\"o\"}]}",
         "{\"outputs\":[{\"camera\":\"y\",\"url\":\"udp://h:1\",\"name\":\"o\"}]}",
         "d/b.json: outputs[0].name: the name o is taken by an output of a.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        load_bad(&(struct input){.names = {names[0], names[1]}, .texts = {cases[i].a, cases[i].b}}, cases[i].fault);
    static const char *const fine[][2] = {
        {"{\"hub\":{\"port\":7,\"sync_interval\":1}}", "{\"hub\":{\"port\":7,\"sync_interval\":1.0,\"open\":false}}"},
        {"{\"logging\":{\"file\":\"/x.log\"}}", "{\"logging\":{\"file\":\"/x.log\"}}"},
        {"{\"server\":{\"path\":\"/x\",\"host\":\"127.0.0.1\"}}",
         "{\"server\":{\"path\":\"/x\",\"host\":\"127.0.0.2\"},"
         "\"source\":{\"name\":\"y\"}}"},
        {"{\"server\":{\"path\":\"/x\"}}", "{\"server\":{\"path\":\"/x\",\"port\":9000},\"source\":{\"name\":\"y\"}}"},
        {"{\"server\":{\"path\":\"/a\",\"port\":8080}}", "{\"server\":{\"path\":\"/b\"}}"},
    };
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        ch_config_free(load_good(&(struct input){.names = {"a", "b"}, .texts = {fine[i][0], fine[i][1]}}));
}

static void variables_for_several_instances(void **state)
{
    (void)state;
    struct input input = {.names = {"a.json", "b.json"},
                          .texts = {"{\"server\":{\"path\":\"/x\"}}", "{\"source\":{}}"},
                          .environment = {"CAMHUB_FFMPEG_FRAMERATE=9", "CAMHUB_SOURCE_REGION_X=1"}};
    load_bad(&input,
             "CAMHUB_SOURCE_REGION_X: several files describe a source (a.json, b.json): it cannot be told which "
             "one is meant");
    input.environment[1] = "CAMHUB_SERVER_PORT=2000";
    load_bad(
        &input,
        "CAMHUB_SERVER_PORT: several files describe a source (a.json, b.json): it cannot be told which one is meant");
    input.environment[1] = NULL;
    struct ch_config *config = load_good(&input); // the others are for all
    assert_int_equal(config->sources[0]->encode.framerate, 9);
    assert_int_equal(config->sources[1]->encode.framerate, 9);
    ch_config_free(config);
}

// --- one file ---

static void names_of_paths(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/", "live"},
        {"/screen1", "screen1"},
        {"/a/b", "a_b"},
        {"/a.b-c_d", "a.b-c_d"},
        {"/.", "_"},
        {"/x/", "x_"},
        {"//", "_"},
        {"/%7e", "_7e"},
        {"/\xc3\xa4", "__"},
        {"/0123456789012345678901234567890123456789012345678901234567890123456789",
         "0123456789012345678901234567890123456789012345678901234567890123"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"server\":{\"path\":\"%s\"}}", cases[i][0]);
        struct ch_config *config = good(text);
        assert_string_equal(config->sources[0]->name, cases[i][1]);
        assert_string_equal(config->doors[0].source, cases[i][1]);
        ch_config_free(config);
    }
}

static void paths_of_the_hub(void **state)
{
    (void)state;
    static const char *const own[] = {"/android-cam", "/esp/x",      "/dev",    "/live/x",  "/api",
                                      "/console/a",   "/recordings", "/camera", "/healthz", "/metrics"};
    char text[256], fault[256];
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        snprintf(text, sizeof text, "{\"hub\":{\"port\":8765},\"server\":{\"path\":\"%s\"}}", own[i]);
        snprintf(fault, sizeof fault,
                 "t.json: server.path: %s is a path of the hub's own, which listens on port 8765 too", own[i]);
        bad(text, fault);
        snprintf(text, sizeof text, "{\"hub\":{\"port\":8080},\"server\":{\"path\":\"%s\"}}", own[i]);
        snprintf(fault, sizeof fault,
                 "t.json: server.path: %s is a path of the hub's own, which listens on port 8080 too", own[i]);
        bad(text, fault);
        snprintf(text, sizeof text, "{\"server\":{\"path\":\"%s\"}}", own[i]); // not on the hub's port
        ch_config_free(good(text));
    }
    bad("{\"hub\":{\"port\":8765},\"server\":{}}",
        "t.json: server.path: / is a path of the hub's own, which listens on port 8765 too");
    bad("{\"hub\":{\"port\":8765,\"host\":\"127.0.0.1\"},\"server\":{\"path\":\"/x\"}}",
        "t.json: server.host: 0.0.0.0 and 127.0.0.1 (the hub's own) cannot both be listened on at port 8765; one must "
        "be "
        "written as the other, or have another port");
    static const char *const fine[] = {
        "{\"hub\":{\"port\":8765},\"server\":{\"path\":\"/lively\"}}",
        "{\"hub\":{\"port\":8765},\"server\":{\"path\":\"/screen1\"}}",
        "{\"hub\":{\"port\":8080},\"server\":{}}", // HTTP-FLV at /live.flv, beside the hub
        "{\"hub\":{\"port\":0},\"server\":{\"http_port\":0}}",
    };
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        ch_config_free(good(fine[i]));
    // A flag decides where the hub listens.
    ch_config_free(load_good(&(struct input){.texts = {"{\"hub\":{\"port\":8765},\"server\":{}}"},
                                             .flags = {{"--port", "hub.port", "9000"}}}));
}

static void outputs(void **state)
{
    (void)state;
    struct ch_config *config = good("{\"process\":{\"nice\":7},\"outputs\":["
                                    "{\"camera\":\"a\",\"url\":\"rtmp://h/app/key\"},"
                                    "{\"camera\":\"b\",\"url\":\"srt://h:1\",\"name\":\"a-2\",\"format\":\"flv\"},"
                                    "{\"camera\":\"a\",\"url\":\"udp://h:1\",\"process\":{\"crash_threshold\":9}},"
                                    "{\"camera\":\"b\",\"url\":\"rtsp://h/x\",\"format\":\"rtsp\",\"name\":null}]}");
    static const char *const names[] = {"a-1", "a-2", "a-3", "b-1"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(config->outputs[i].name, names[i]);
    assert_string_equal(config->outputs[0].url, "rtmp://h/app/key");
    assert_null(config->outputs[0].format);
    assert_string_equal(config->outputs[1].format, "flv");
    assert_int_equal(config->outputs[2].process.crash_threshold, 9);
    assert_int_equal(config->outputs[2].process.nice, 7);
    assert_true(ch_output_config_same(&config->outputs[1], &config->outputs[1]));
    assert_false(ch_output_config_same(&config->outputs[0], &config->outputs[2]));
    for (int i = 0; i < 6; i++) {
        struct ch_output_config other = config->outputs[1];
        char changed[] = "other";
        *(i == 0 ? &other.name : i == 1 ? &other.camera : i == 2 ? &other.url : &other.format) = changed;
        if (i >= 3)
            other.format = i == 3 ? NULL : i == 4 ? changed : config->outputs[1].format;
        other.process.nice += i == 5;
        assert_false(ch_output_config_same(&other, &config->outputs[1]));
        assert_false(ch_output_config_same(&config->outputs[1], &other));
    }
    ch_config_free(config);
    bad("{\"outputs\":[{\"camera\":\"a\",\"url\":\"rtmp://h/x\",\"format\":\"mpegts\"},"
        "{\"camera\":\"a\",\"url\":\"rtsps://h/x\",\"format\":\"flv\"},"
        "{\"camera\":\"a\",\"url\":\"srt://h:1\",\"format\":\"rtsp\"}]}",
        "t.json: outputs[0].format: mpegts does not go with this URL; flv does\n"
        "t.json: outputs[1].format: flv does not go with this URL; rtsp does\n"
        "t.json: outputs[2].format: rtsp does not go with this URL; mpegts or flv does");
}

static char *many(const char *list, const char *item, size_t count)
{
    size_t room = 64 + count * (strlen(item) + 16), used;
    char *text = malloc(room);
    used = (size_t)snprintf(text, room, "{\"%s\":[", list);
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, room - used, "%s{\"name\":\"n%zu\"%s}", i > 0 ? "," : "", i, item);
    snprintf(text + used, room - used, "]}");
    return text;
}

static void limits(void **state)
{
    (void)state;
    static const char *const lists[][2] = {{"sources", ""}, {"outputs", ",\"camera\":\"a\",\"url\":\"udp://h:1\""}};
    for (size_t i = 0; i < 2; i++) {
        char *text = many(lists[i][0], lists[i][1], 256), fault[128];
        struct ch_config *config = good(text);
        assert_int_equal(config->source_count + config->output_count, 256);
        ch_config_free(config);
        free(text);
        text = many(lists[i][0], lists[i][1], 257);
        snprintf(fault, sizeof fault, "t.json: %s[256]: there are more than 256 %s", lists[i][0], lists[i][0]);
        bad(text, fault);
        free(text);
    }
    char *text = many("sources", "", 256);
    load_bad(&(struct input){.names = {"a.json", "b.json"}, .texts = {"{\"server\":{}}", text}},
             "b.json: sources[255]: there are more than 256 sources");
    free(text);
    text = malloc(CH_LIMIT_CONFIG_BYTES + 2);
    memset(text, ' ', CH_LIMIT_CONFIG_BYTES + 1);
    memcpy(text, "{}", 2);
    text[CH_LIMIT_CONFIG_BYTES] = '\0';
    ch_config_free(good(text));
    text[CH_LIMIT_CONFIG_BYTES] = ' ';
    text[CH_LIMIT_CONFIG_BYTES + 1] = '\0';
    bad(text, "t.json: more than 1048576 bytes");
    free(text);
}

static void relative_paths(void **state)
{
    (void)state;
    static const char text[] = "{\"hub\":{\"recordings\":\"r\"},\"logging\":{\"file\":\"../l\"},\"sources\":"
                               "[{\"name\":\"a\",\"type\":\"file\",\"path\":\"c/d.mp4\"}]}";
    static const char *const cases[][4] = {
        {"t.json", "r", "../l", "c/d.mp4"},
        {"x/t.json", "x/r", "x/../l", "x/c/d.mp4"},
        {"/etc/camhub/t.json", "/etc/camhub/r", "/etc/camhub/../l", "/etc/camhub/c/d.mp4"},
        {"/t.json", "//r", "//../l", "//c/d.mp4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ch_config *config = load_good(&(struct input){.names = {cases[i][0]}, .texts = {text}});
        assert_string_equal(config->options.recordings, cases[i][1]);
        assert_string_equal(config->log_file, cases[i][2]);
        assert_string_equal(config->sources[0]->path, cases[i][3]);
        ch_config_free(config);
    }
    // Folders may have any name; in JSON it is shown as far as that goes.
    struct ch_config *config = load_good(&(struct input){.names = {"\xe9/t.json"}, .texts = {text}});
    assert_string_equal(config->options.recordings, "\xe9/r");
    json_t *json = ch_config_to_json(config);
    assert_string_equal(json_string_value(member(json, "hub.recordings")), "?/r");
    assert_string_equal(json_string_value(member(json, "logging.file")), "?/../l");
    assert_string_equal(json_string_value(member(json, "sources[0].path")), "?/c/d.mp4");
    json_decref(json);
    ch_config_free(config);
    config = load_good(&(struct input){.names = {"x/t.json"},
                                       .texts = {"{}"},
                                       .environment = {"CAMHUB_LOGGING_FILE=l"},
                                       .flags = {{"--recordings", "hub.recordings", "r"}}});
    assert_string_equal(config->options.recordings, "r");
    assert_string_equal(config->log_file, "l");
    ch_config_free(config);
}

static void warnings(void **state)
{
    (void)state;
    struct ch_config *config = load_good(&(struct input){
        .texts = {"{\"ffmpeg\":{\"video_codec\":\"libx265\",\"audio_codec\":\"libopus\"},\"source\":{\"loop\":true},"
                  "\"sources\":[{\"name\":\"a\",\"ffmpeg\":{\"framerate\":2}},"
                  "{\"name\":\"b\",\"ffmpeg\":{\"video_codec\":\"vp9\"}}]}"},
        .environment = {"CAMHUB_FFMPEG_AUDIO_CODEC=mp3"}});
    assert_string_equal(
        config->warnings,
        "t.json: ffmpeg.video_codec: H.264 (libx264) is made in place of libx265, as recordings and browsers need it\n"
        "t.json: ffmpeg.audio_codec: AAC is made in place of libopus, as recordings and browsers need it\n"
        "CAMHUB_FFMPEG_AUDIO_CODEC: AAC is made in place of mp3, as recordings and browsers need it\n"
        "t.json: source.loop: a source of type screen has no use for it\n"
        "t.json: sources[1].ffmpeg.video_codec: H.264 (libx264) is made in place of vp9, as recordings and browsers "
        "need "
        "it");
    ch_config_free(config);
}

static void odd_region(void **state)
{
    (void)state;
    struct ch_config *config = good("{\"source\":{\"region\":{\"x\":1,\"width\":641,\"height\":16}}}");
    assert_int_equal(config->sources[0]->region.width, 640);
    assert_int_equal(config->sources[0]->region.x, 1);
    assert_string_equal(config->warnings,
                        "t.json: source.region.width: 641 is odd, and H.264 needs an even one: it will be 640");
    ch_config_free(config);
}

// Keys in an object with the type's name, and those of other types beside it.
static void groups(void **state)
{
    (void)state;
    struct ch_config *config = good(
        "{\"source\":{\"screen\":{\"display_index\":3,\"region\":{\"width\":16,\"height\":16}},\"type\":\"window\","
        "\"window\":{\"window_title\":\"a\",\"region\":null},\"network_stream\":null}}");
    assert_int_equal(config->sources[0]->type, CH_SOURCE_WINDOW);
    assert_string_equal(config->sources[0]->window_title, "a");
    assert_false(config->sources[0]->region.set);
    assert_null(config->warnings);
    ch_config_free(config);
    config = good("{\"source\":{\"screen\":{\"display_index\":3},\"url\":null}}");
    assert_int_equal(config->sources[0]->display_index, 3);
    ch_config_free(config);
    char error[CH_CONFIG_ERROR_BYTES];
    assert_null(
        load(&(struct input){.texts = {"{\"source\":{\"window\":{\"display_index\":99},\"frame\":{}}}"}}, error));
    assert_non_null(strstr(error, "t.json: source.window.display_index: 99 is not allowed"));
    assert_non_null(strstr(error, "t.json: source.frame: unknown key"));
}

// --- the disk and the log file ---

static void in_a_folder(char folder[64])
{
    snprintf(folder, 64, "/tmp/ch-config-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
}

static void out_of_the_folder(const char *folder)
{
    char command[128];
    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int load_files(const char *a, const char *b, char error[CH_CONFIG_ERROR_BYTES])
{
    const char *files[] = {a, b, NULL};
    struct ch_config *config;
    int rc = ch_config_load(&(struct ch_config_from){.files = files}, &config, error, CH_CONFIG_ERROR_BYTES);
    assert_true((rc == 0) == (config != NULL));
    ch_config_free(config);
    return rc;
}

static void from_the_disk(void **state)
{
    (void)state;
    char folder[64], error[CH_CONFIG_ERROR_BYTES];
    in_a_folder(folder);
    write_text("a.json", "{\"hub\":{\"port\":1}} // ok");
    write_text("b.json", "{\"hub\":{\"prot\":1}}");
    write_text("empty.json", "");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(load_files("a.json", NULL, error), 0);
    assert_int_equal(load_files(NULL, NULL, error), 0);
    assert_int_equal(load_files("a.json", "b.json", error), -EINVAL);
    assert_int_equal(strncmp(error, "b.json: hub.prot: unknown key", 29), 0);
    assert_int_equal(load_files("empty.json", NULL, error), -EINVAL);
    assert_string_equal(error, "empty.json:1:1: there is nothing in it; {} is the least");
    assert_int_equal(load_files("none.json", "pipe", error), -ENOENT);
    assert_string_equal(error, "none.json: No such file or directory\npipe: this is no ordinary file");
    assert_int_equal(load_files(".", NULL, error), -EISDIR);
    assert_string_equal(error, ".: Is a directory");
    assert_int_equal(truncate("a.json", CH_LIMIT_CONFIG_BYTES + 1), 0);
    assert_int_equal(load_files("a.json", NULL, error), -EINVAL);
    assert_string_equal(error, "a.json: more than 1048576 bytes");
    out_of_the_folder(folder);
}

static void count_line(void *context, const char *line)
{
    (void)line;
    ++*(unsigned *)context;
}

// What is in the file, without the times.
static void assert_logged(const char *name, const char *lines)
{
    char text[4096] = "", plain[4096] = "";
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    while (fgets(text, sizeof text, file))
        strncat(plain, strchr(text, ']') ? strchr(text, ']') + 2 : text, sizeof plain - strlen(plain) - 1);
    fclose(file);
    assert_string_equal(plain, lines);
}

static void log_file(void **state)
{
    (void)state;
    char folder[64];
    unsigned lines = 0;
    in_a_folder(folder);
    ch_log_set_writer(count_line, &lines);
    assert_int_equal(ch_log_set_file("none/deeper/x.log"), -ENOENT);
    assert_int_equal(ch_log_set_file("."), -EISDIR);
    assert_int_equal(ch_log_set_file("made/x.log"), 0); // with its folder
    write_text("x.log", "[x] before\n");
    assert_int_equal(ch_log_set_file("x.log"), 0);
    ch_log_info("one");
    assert_int_equal(ch_log_set_file("none/deeper/x.log"), -ENOENT); // and the old one goes on
    ch_log_info("two");
    assert_int_equal(rename("x.log", "old.log"), 0);
    ch_log_info("three");
    assert_int_equal(ch_log_reopen(), 0);
    ch_log_info("four");
    assert_logged("old.log", "before\none\ntwo\nthree\n");
    assert_logged("x.log", "four\n");
    assert_int_equal(mkdir("y", 0700), 0);
    assert_int_equal(ch_log_set_file("y/w/y.log"), 0);
    assert_int_equal(rename("y", "z"), 0);
    assert_int_equal(ch_log_reopen(), -ENOENT);
    ch_log_info("five");
    assert_logged("z/w/y.log", "five\n");
    ch_log_set_level(CH_LOG_ERROR);
    ch_log_info("not made");
    ch_log_set_level(CH_LOG_INFO);
    assert_int_equal(ch_log_set_file(NULL), 0);
    assert_int_equal(ch_log_reopen(), 0);
    ch_log_info("nowhere");
    assert_logged("z/w/y.log", "five\n");
    assert_int_equal(lines, 6); // the writer got them all the same
    ch_log_set_writer(NULL, NULL);
    out_of_the_folder(folder);
}

// A full disk: said once, and nothing else happens.
static void log_file_that_fails(void **state)
{
    (void)state;
    char folder[64], text[512] = "";
    unsigned lines = 0;
    in_a_folder(folder);
    int kept = dup(STDERR_FILENO), out = open("stderr", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(kept >= 0 && out >= 0);
    fflush(stderr);
    dup2(out, STDERR_FILENO);
    ch_log_set_writer(count_line, &lines);
    int rc = ch_log_set_file("/dev/full");
    for (int i = 0; i < 3; i++)
        ch_log_info("line %d", i);
    ch_log_set_file(NULL);
    ch_log_set_writer(NULL, NULL);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    assert_int_equal(rc, 0);
    assert_int_equal(lines, 3);
    assert_true(pread(out, text, sizeof text - 1, 0) > 0);
    assert_string_equal(text, "camhub: the log file /dev/full cannot be written: No space left on device\n");
    close(kept);
    close(out);
    out_of_the_folder(folder);
}

// A line of which only a part found room is ended before the next one.
static void log_file_with_a_torn_line(void **state)
{
    (void)state;
    char folder[64];
    unsigned lines = 0;
    struct rlimit limit, kept_limit;
    in_a_folder(folder);
    int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    signal(SIGXFSZ, SIG_IGN);
    ch_log_set_writer(count_line, &lines);
    write_text("x.log", "[x] 0\n");
    assert_int_equal(ch_log_set_file("x.log"), 0);
    getrlimit(RLIMIT_FSIZE, &kept_limit);
    limit = kept_limit;
    limit.rlim_cur = 6 + 32; // time, "[Info] " and one letter
    setrlimit(RLIMIT_FSIZE, &limit);
    dup2(null, STDERR_FILENO);
    ch_log_info("abc");
    ch_log_info("lost");
    dup2(kept, STDERR_FILENO);
    setrlimit(RLIMIT_FSIZE, &kept_limit);
    ch_log_info("whole");
    ch_log_set_file(NULL);
    ch_log_set_writer(NULL, NULL);
    assert_logged("x.log", "0\na\nwhole\n");
    close(kept);
    close(null);
    out_of_the_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_over_environment_over_files),
        cmocka_unit_test(environment_over_an_instance),
        cmocka_unit_test(an_instance_of_variables),
        cmocka_unit_test(variables),
        cmocka_unit_test(files_add_up),
        cmocka_unit_test(files_against_each_other),
        cmocka_unit_test(variables_for_several_instances),
        cmocka_unit_test(names_of_paths),
        cmocka_unit_test(paths_of_the_hub),
        cmocka_unit_test(outputs),
        cmocka_unit_test(limits),
        cmocka_unit_test(relative_paths),
        cmocka_unit_test(warnings),
        cmocka_unit_test(odd_region),
        cmocka_unit_test(groups),
        cmocka_unit_test(from_the_disk),
        cmocka_unit_test(log_file),
        cmocka_unit_test(log_file_that_fails),
        cmocka_unit_test(log_file_with_a_torn_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
