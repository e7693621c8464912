// The command lines of sources and outputs, word by word, and what is made of ffmpeg's answers.
#include "unit.h"

#include "source/complaint.h"

#include <stdio.h>
#include <stdlib.h>

static char *const no_words[] = {NULL};

static struct ch_source_config base(enum ch_source_type type)
{
    return (struct ch_source_config){
        .name = "test",
        .type = type,
        .draw_mouse = true,
        .timeout_us = 5000000,
        .encode = {.bitrate = "2m", .framerate = 25, .preset = "ultrafast", .tune = "zerolatency"},
    };
}

static char *joined(char **list)
{
    static char text[4096];
    text[0] = '\0';
    assert_non_null(list);
    for (size_t i = 0; list[i]; i++) {
        strcat(text, i ? " " : "");
        strcat(text, list[i]);
    }
    free(list); // one piece
    return text;
}

static const char *words(const struct ch_source_config *config, enum ch_copy copy)
{
    return joined(ch_ffmpeg_source_args("ffmpeg", config, &(struct ch_ffmpeg_way){.copy = copy}));
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        n++;
    return n;
}

static void has(const char *text, const char *part)
{
    if (count(text, part) != 1)
        print_message("# \"%s\" should be once in: %s\n", part, text);
    assert_int_equal(count(text, part), 1);
}

static void lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        print_message("# \"%s\" should not be in: %s\n", part, text);
    assert_null(strstr(text, part));
}

#define START "ffmpeg -hide_banner -nostdin -nostats -loglevel level+warning "
#define END " -max_interleave_delta 500000 -f flv -flvflags no_duration_filesize -flush_packets 1 pipe:1"
#define X264                                                                                                           \
    "-c:v libx264 -profile:v baseline -pix_fmt yuv420p -preset ultrafast -tune zerolatency -b:v 2M -maxrate 2M "       \
    "-bufsize 2M -r 25 -g 25 -bf 0 -sc_threshold 0 -force_key_frames "                                                 \
    "expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+1))"
#define AAC "-c:a aac -b:a 128k -ar 44100 -ac 2 -af aresample=async=1"
#define EVEN "-vf crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0 "

static void test_whole_lines(void **state)
{
    (void)state;
    struct ch_source_config config = base(CH_SOURCE_FILE);
    char name[] = "/a b/-c:%d.mp4", display[] = ":1", title[] = "-i \"x\" $(y)";
    config.path = name;
    config.loop = config.audio = true;
    assert_string_equal(words(&config, CH_COPY_BOTH), START
                        "-re -stream_loop -1 -i file:/a b/-c:%d.mp4 -map 0:V:0 -map 0:a:0? -sn -dn -c:v copy -c:a "
                        "copy" END);
    assert_string_equal(words(&config, CH_COPY_VIDEO), START
                        "-re -stream_loop -1 -i file:/a b/-c:%d.mp4 -map 0:V:0 -map 0:a:0? -sn -dn -c:v copy " AAC END);
    config.loop = false;
    assert_string_equal(words(&config, CH_COPY_AUDIO),
                        START "-re -i file:/a b/-c:%d.mp4 -map 0:V:0 -map 0:a:0? -sn -dn " EVEN X264 " -c:a copy" END);

    config = base(CH_SOURCE_SCREEN);
    config.display = display;
    config.display_index = 1;
    config.region = (struct ch_region){.set = true, .x = 1, .y = 2, .width = 64, .height = 48};
    assert_string_equal(words(&config, ch_ffmpeg_first_copy(&config)),
                        "/proc/self/exe grab --display :1 --index 1 --region 64x48+1+2 --framerate 25 -- " START
                        "@GRAB@ -map 0:V:0 -an -sn -dn " X264 END);

    config = base(CH_SOURCE_WINDOW);
    config.window_title = title;
    config.find_by_substring = true;
    config.draw_mouse = false;
    assert_string_equal(words(&config, ch_ffmpeg_first_copy(&config)),
                        "/proc/self/exe grab --window -i \"x\" $(y) --substring --framerate 25 --no-mouse -- " START
                        "@GRAB@ -map 0:V:0 -an -sn -dn " X264 END);

    config = base(CH_SOURCE_DEVICE);
    char device[] = "/dev/video0", format[] = "h264";
    config.device = device;
    assert_int_equal(ch_ffmpeg_first_copy(&config), CH_COPY_NONE);
    config.input_format = format;
    config.width = 640;
    config.height = 480;
    assert_int_equal(ch_ffmpeg_first_copy(&config), CH_COPY_BOTH);
    assert_string_equal(words(&config, CH_COPY_BOTH),
                        START "-f v4l2 -input_format h264 -framerate 25 -video_size 640x480 -i /dev/video0 -map 0:V:0 "
                              "-an -sn -dn -c:v copy" END);
}

static void test_network(void **state)
{
    (void)state;
    struct ch_source_config config = base(CH_SOURCE_NETWORK);
    config.audio = true;
    char rtsp[] = "RTSP://h/x", rtmp[] = "rtmp://h/app/key", live[] = "http://h/x.flv?a=b.mp4",
         stored[] = "https://h/a.MP4?token=1", udp[] = "udp://239.0.0.1:1234", srt[] = "srt://h:1?mode=caller";
    config.url = rtsp;
    const char *line = words(&config, CH_COPY_BOTH);
    has(line, " -timeout 5000000 -i RTSP://h/x ");
    has(line, " -rtsp_flags prefer_tcp ");
    has(line, " -fpsprobesize 0 -analyzeduration 2000000 ");
    lacks(line, "-stimeout");
    lacks(line, "nobuffer");
    line = joined(ch_ffmpeg_source_args("ffmpeg", &config,
                                        &(struct ch_ffmpeg_way){.old = true, .patient = true, .skip_probed = true}));
    has(line, " -stimeout 5000000 ");
    lacks(line, " -timeout ");
    lacks(line, "analyzeduration");
    has(line, " -fflags nobuffer ");
    config.transport = CH_TRANSPORT_UDP;
    has(words(&config, CH_COPY_BOTH), " -rtsp_transport udp ");
    config.transport = CH_TRANSPORT_TCP;
    has(words(&config, CH_COPY_BOTH), " -rtsp_transport tcp ");

    config.url = rtmp; // -timeout would make it listen
    line = words(&config, CH_COPY_BOTH);
    has(line, " -rw_timeout 5000000 -i rtmp://h/app/key ");
    lacks(line, " -timeout ");
    lacks(line, "reconnect");
    config.audio = false;
    has(words(&config, CH_COPY_BOTH), " -analyzeduration 500000 ");
    config.audio = true;

    config.url = live;
    line = words(&config, CH_COPY_BOTH);
    has(line, " -reconnect 1 ");
    lacks(line, " -re ");
    config.url = stored;
    has(words(&config, CH_COPY_BOTH), " -re ");

    config.url = udp;
    line = words(&config, CH_COPY_BOTH);
    has(line, " -timeout 5000000 -i udp://");
    config.timeout_us = INT64_C(1) << 40; // more than the option takes
    config.url = srt;
    has(words(&config, CH_COPY_BOTH), " -rw_timeout 2147483647 -i srt://h:1?mode=caller ");
    config.timeout_us = 0;
    lacks(words(&config, CH_COPY_BOTH), "timeout");
}

static void test_arguments_as_they_are(void **state)
{
    (void)state;
    struct ch_source_config config = base(CH_SOURCE_FFMPEG);
    char f[] = "-f", lavfi[] = "lavfi", i[] = "-i", input[] = "testsrc2, hue=s=0", alsa[] = "alsa", hw[] = "hw:1";
    char *args[] = {f, lavfi, i, input, NULL}, *sound[] = {f, alsa, i, hw, NULL}, *plain[] = {i, input, NULL};
    config.args = plain;
    assert_int_equal(ch_ffmpeg_first_copy(&config), CH_COPY_BOTH);
    config.args = args;
    assert_int_equal(ch_ffmpeg_first_copy(&config), CH_COPY_NONE); // raw
    config.audio = true;
    config.audio_args = sound;
    config.region = (struct ch_region){.set = true, .x = 4, .y = 2, .width = 64, .height = 48};
    assert_string_equal(words(&config, CH_COPY_NONE),
                        START "-f lavfi -i testsrc2, hue=s=0 -f alsa -i hw:1 -map 0:V:0 -map 1:a:0 -sn -dn "
                              "-vf crop=64:48:4:2 " X264 " " AAC END);
    config.audio = false; // then nothing of it is opened
    lacks(words(&config, CH_COPY_NONE), "alsa");
    config.audio_args = NULL;
    config.args = (char **)(uintptr_t)no_words;
    assert_int_equal(ch_ffmpeg_first_copy(&config), CH_COPY_AUDIO);
    config.region.set = false;
    config.encode.always = true;
    assert_int_equal(ch_ffmpeg_first_copy(&config) & CH_COPY_VIDEO, 0);
}

static void test_outputs(void **state)
{
    (void)state;
    const char *look = "-analyzeduration 500000 -fpsprobesize 0 -f flv -i pipe:0 -map 0:V:0 -map 0:a:0? -c copy";
    const char *line = joined(ch_ffmpeg_output_args("/opt/ffmpeg", "rtmp://h/app/key", NULL));
    has(line, look);
    has(line, "/opt/ffmpeg -hide_banner ");
    has(line, " -flvflags no_duration_filesize -flush_packets 1 -f flv rtmp://h/app/key");
    has(joined(ch_ffmpeg_output_args("ffmpeg", "rtsp://h/x", NULL)), " -rtsp_transport tcp -flush_packets 1 -f rtsp ");
    has(joined(ch_ffmpeg_output_args("ffmpeg", "srt://h:1", NULL)), " -f mpegts srt://h:1");
    has(joined(ch_ffmpeg_output_args("ffmpeg", "udp://h:1", NULL)), " -pkt_size 1316 -flush_packets 1 -f mpegts ");
    has(joined(ch_ffmpeg_output_args("ffmpeg", "/tmp/x.mkv", "matroska")), " -f matroska /tmp/x.mkv");
    assert_null(ch_ffmpeg_output_args("ffmpeg", "/tmp/x.mkv", NULL));
    assert_null(ch_ffmpeg_output_format("rtmpx://h"));
    assert_null(ch_ffmpeg_output_format(""));
    assert_string_equal(ch_ffmpeg_output_format("RTMPS://h"), "flv");
}

// --- what ffmpeg answers ----------------------------------------------------------------------------

#define BOTH                                                                                                           \
    {                                                                                                                  \
        .copy = CH_COPY_BOTH                                                                                           \
    }

static const struct {
    const char *lines;
    bool nothing_came, network;
    struct ch_ffmpeg_way before, after; // equal: there is no remedy
} remedies[] = {
    {"[flv @ 0x1] [error] Audio codec opus not compatible with flv\n[error] Could not write header for output file "
     "#0 "
     "(incorrect codec parameters ?): Function not implemented",
     true,
     false,
     BOTH,
     {.copy = CH_COPY_VIDEO}},
    {"[flv @ 0x1] [error] Video codec hevc not compatible with flv\n[error] Could not write header",
     true,
     false,
     BOTH,
     {.copy = CH_COPY_AUDIO}},
    {"[error] Codec mpeg4 is not supported in the official FLV specification,",
     true,
     false,
     BOTH,
     {.copy = CH_COPY_AUDIO}},
    {"[error] Video codec 'mjpeg' for stream 0 is not compatible with FLV",
     true,
     true,
     BOTH,
     {.copy = CH_COPY_AUDIO, .wallclock = true}},
    {"[error] FLV does not support sample rate 16000, choose from (44100, 22050, 11025)",
     true,
     true,
     BOTH,
     {.copy = CH_COPY_VIDEO}},
    {"[out#0/flv @ 0x1] [error] Could not write header (incorrect codec parameters ?): Invalid argument",
     true,
     true,
     BOTH,
     {.copy = CH_COPY_VIDEO}},
    {"[out#0/flv @ 0x1] [error] Could not write header (incorrect codec parameters ?): Invalid argument",
     true,
     true,
     {.copy = CH_COPY_VIDEO},
     {.copy = CH_COPY_NONE}},
    {"[error] Could not write header", true, true, {.copy = CH_COPY_NONE}, {.copy = CH_COPY_NONE}},
    {"[error] Could not write header", false, true, BOTH, BOTH}, // something came: it is not that
    {"[error] Malformed AAC bitstream detected: use the audio bitstream filter",
     false,
     false,
     BOTH,
     {.copy = CH_COPY_VIDEO}},
    {"[flv @ 0x1] [error] Packet is missing PTS", false, true, BOTH, {.copy = CH_COPY_BOTH, .skip_probed = true}},
    {"[flv @ 0x1] [error] Packet is missing PTS",
     false,
     true,
     {.copy = CH_COPY_BOTH, .skip_probed = true},
     {.copy = CH_COPY_AUDIO, .skip_probed = true}},
    {"[flv @ 0x1] [error] Packet is missing PTS", false, true, {.copy = CH_COPY_NONE}, {.copy = CH_COPY_NONE}},
    // What could not be found out in so short a time
    {"[fatal] Stream map '0:V:0' matches no streams.", true, true, BOTH, {.copy = CH_COPY_BOTH, .patient = true}},
    {"[fatal] Stream map '0:V:0' matches no streams.",
     true,
     true,
     {.copy = CH_COPY_BOTH, .patient = true},
     {.copy = CH_COPY_BOTH, .patient = true}},
    {"[fatal] Stream map '0:V:0' matches no streams.", true, false, BOTH, BOTH},
    {"[flv @ 0x1] [error] dimensions not set\n[error] Could not write header",
     true,
     true,
     BOTH,
     {.copy = CH_COPY_BOTH, .patient = true}},
    {"[flv @ 0x1] [error] dimensions not set\n[error] Could not write header",
     true,
     true,
     {.copy = CH_COPY_BOTH, .patient = true},
     {.copy = CH_COPY_BOTH, .patient = true}},
    // Old versions, and faults of the network
    {"[rtsp @ 0x1] [error] Unable to open RTSP for listening", true, true, BOTH, {.copy = CH_COPY_BOTH, .old = true}},
    {"[error] rtsp://h/x: Connection refused", true, true, BOTH, BOTH},
    {"[error] rtsp://h/x: Server returned 401 Unauthorized (authorization failed)", true, true, BOTH, BOTH},
    {"[error] rtmp://h/x: Input/output error", true, true, BOTH, BOTH},
    {"[error] http://h/Video codec: Connection timed out", true, true, BOTH, BOTH},
    {"", true, true, BOTH, BOTH},
};

static void test_remedies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
        struct ch_ffmpeg_way way = remedies[i].before;
        bool same = remedies[i].before.copy == remedies[i].after.copy &&
                    remedies[i].before.patient == remedies[i].after.patient &&
                    remedies[i].before.skip_probed == remedies[i].after.skip_probed &&
                    remedies[i].before.wallclock == remedies[i].after.wallclock &&
                    remedies[i].before.old == remedies[i].after.old;
        print_message("# %s\n", remedies[i].lines);
        assert_true(ch_complaint_remedy(remedies[i].lines, remedies[i].nothing_came, remedies[i].network, &way) ==
                    !same);
        assert_int_equal(way.copy, remedies[i].after.copy);
        assert_true(way.patient == remedies[i].after.patient && way.skip_probed == remedies[i].after.skip_probed);
        assert_true(way.wallclock == remedies[i].after.wallclock && way.old == remedies[i].after.old);
    }
}

// However often a run fails, in whatever words: there are no more than so many ways.
static void test_remedies_come_to_an_end(void **state)
{
    (void)state;
    const char *all =
        "Unable to open RTSP for listening\nVideo codec x not compatible with flv\n0:V:0 matches no streams\n"
        "Audio codec x not compatible with flv\nPacket is missing PTS\nCould not write header";
    struct ch_ffmpeg_way way = {.copy = CH_COPY_BOTH};
    unsigned times = 0;
    while (ch_complaint_remedy(all, true, true, &way))
        assert_true(++times <= 5); // CH_SUPERVISOR_AGAIN
    assert_int_equal(times, 5);
    assert_int_equal(way.copy, CH_COPY_NONE);
}

static void test_words(void **state)
{
    (void)state;
    const struct {
        const char *lines, *expected;
        enum ch_source_type type;
    } table[] = {
        {"", "", CH_SOURCE_FILE},
        {"[tcp @ 0x1] [error] Connection to tcp://h:1 failed: Connection refused\n[error] rtsp://h:1/x: Connection "
         "refused",
         "rtsp://h:1/x: Connection refused", CH_SOURCE_NETWORK},
        {"[in#0 @ 0x1] [error] Error opening input: Connection refused\n[error] Error opening input file rtmp://h/x.\n"
         "[fatal] Error opening input files: Connection refused",
         "Error opening input: Connection refused", CH_SOURCE_NETWORK},
        {"[error] x: Invalid data\n[flv @ 0x1] [warning] Failed to update header\n[error] \n[error] Conversion failed!",
         "x: Invalid data", CH_SOURCE_FILE},
        {"[h264 @ 0x1] [warning] only a warning", "only a warning", CH_SOURCE_FILE},
        {"camhub: cannot run ffmpeg: Permission denied", "cannot run ffmpeg: Permission denied", CH_SOURCE_SCREEN},
        {"[fatal] Stream map '0:V:0' matches no streams.\n[fatal] To ignore this, add a trailing '?' to the map.",
         "it has no video", CH_SOURCE_FILE},
        {"[fatal] Stream map '1:a:0' matches no streams.", "audio_args bring no sound", CH_SOURCE_FILE},
        {"[fatal] Unrecognized option 'x'.\n[fatal] Error splitting the argument list: Option not found",
         "this ffmpeg is too old, or an option is misspelt: Unrecognized option 'x'.", CH_SOURCE_FILE},
        {"[fatal] Unknown encoder 'libx264'", "this ffmpeg was built without what is needed: Unknown encoder 'libx264'",
         CH_SOURCE_FILE},
        {"[x11grab @ 0x1] [error] Cannot get the image data event_error: response_type:0\n[error] :77: Permission "
         "denied",
         "the window was closed, hidden, made smaller, or moved off the screen", CH_SOURCE_WINDOW},
        {"[unclosed", "[unclosed", CH_SOURCE_FILE},
        {"[]", "", CH_SOURCE_FILE},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char out[200];
        ch_complaint_words(table[i].lines, table[i].type, out, sizeof out);
        assert_string_equal(out, table[i].expected);
    }
    char out[8];
    ch_complaint_words("abcdef\xc3\xa4x", CH_SOURCE_FILE, out, sizeof out);
    assert_string_equal(out, "abcdef"); // not in the midst of a character
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_lines),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_arguments_as_they_are),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_remedies),
        cmocka_unit_test(test_remedies_come_to_an_end),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
