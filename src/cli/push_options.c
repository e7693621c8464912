#include "cli/push_options.h"

#include "proto/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: camhub push [--jpeg] URL [SOURCE] [OPTION...]\n"
    "\n"
    "Plays a phone camera, or with --jpeg an ESP32 camera: connects to a hub, obeys start and stop, connects\n"
    "again when it is lost.\n"
    "\n"
    "  URL       ws://HOST[:PORT][/android-cam[/NAME]], with --jpeg ws://HOST[:PORT][/esp[/NAME]]; the port is\n"
    "            " CH_PUSH_PORT " if none is named\n"
    "  SOURCE    test          a test picture with a running clock (the default)\n"
    "            FILE          H.264 (.264 .h264 .jsv .avc, or by content) is passed through untouched,\n"
    "                          with --jpeg a file of JPEGs (.mjpeg .mjpg, or by content);\n"
    "                          any other video is re-encoded by ffmpeg\n"
    "            FOLDER        with --jpeg: its *.jpg and *.jpeg are passed through, in the order of their names\n"
    "            /dev/videoN   a V4L2 camera, encoded by ffmpeg\n"
    "\n"
    "  --start            begin at once instead of waiting for start; with the values below\n"
    "  --fps N            frames per second; 0: as the source has it, 30 for the test picture.\n"
    "                     For a passed-through file: its frame rate (else its own, else 30).\n"
    "                     With --jpeg 10 if it is not given\n"
    "  --realtime         one second of video per second (the default)\n"
    "  --fast             as fast as the connection takes it\n"
    "  --count N          N pictures, then stop and exit 0\n"
    "  --loop             begin again at the end of a file\n"
    "  --name NAME        the camera's name, instead of the URL's\n"
    "  --cameras N        N cameras, NAME-1 to NAME-N (cam-1 ...), sharing one encoder or file\n"
    "  --reconnect S      seconds before a lost connection is made again (5); 0: exit 1 instead\n"
    "  --quiet            no progress, warnings and errors only\n"
    "  --help             this text\n"
    "\n"
    "Phones:\n"
    "  --bitrate MBIT     of the encoder, Mbit/s (4)\n"
    "  --size WxH         picture size before a start_capture's aspect ratio is cut out of it\n"
    "  --decode-times     time stamps in decoding order, to test a hub with files that have B-frames\n"
    "\n"
    "ESP32 cameras:\n"
    "  --jpeg             one JPEG per message; obeys start [RESOLUTION] [QUALITY], stop, status, set NAME=VALUE...\n"
    "                     with resolution quality fps brightness contrast saturation hmirror vflip\n"
    "  --resolution NAME  until it is told another (VGA):\n"
    "                     QQVGA QCIF HQVGA 240X240 QVGA CIF HVGA VGA SVGA XGA HD SXGA UXGA FHD P_HD P_3MP QXGA\n"
    "  --quality N        likewise, 1 (best) to 63 (12)\n"
    "\n"
    "A start_capture from the hub brings its own frame rate, bitrate and aspect ratio; a passed-through\n"
    "file ignores them. At the end of a file the camera waits for the next start, or, with --start, exits.\n"
    "ffmpeg is searched in PATH, or is what FFMPEG_BIN names.\n"
    "Exit status: 0 fine (also after Ctrl-C), 1 failed, 2 wrong usage.\n";

__attribute__((format(printf, 1, 2))) static int complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("camhub push: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\nTry 'camhub push --help'.\n", stderr);
    return -EINVAL;
}

enum {
    OPT_HELP = 256,
    OPT_START,
    OPT_FPS,
    OPT_BITRATE,
    OPT_SIZE,
    OPT_REALTIME,
    OPT_FAST,
    OPT_COUNT,
    OPT_LOOP,
    OPT_NAME,
    OPT_CAMERAS,
    OPT_RECONNECT,
    OPT_DECODE_TIMES,
    OPT_QUIET,
    OPT_JPEG,
    OPT_RESOLUTION,
    OPT_QUALITY,
};

static const struct option long_options[] = {
    {"help", no_argument, NULL, OPT_HELP},
    {"start", no_argument, NULL, OPT_START},
    {"fps", required_argument, NULL, OPT_FPS},
    {"bitrate", required_argument, NULL, OPT_BITRATE},
    {"size", required_argument, NULL, OPT_SIZE},
    {"realtime", no_argument, NULL, OPT_REALTIME},
    {"fast", no_argument, NULL, OPT_FAST},
    {"count", required_argument, NULL, OPT_COUNT},
    {"loop", no_argument, NULL, OPT_LOOP},
    {"name", required_argument, NULL, OPT_NAME},
    {"cameras", required_argument, NULL, OPT_CAMERAS},
    {"reconnect", required_argument, NULL, OPT_RECONNECT},
    {"decode-times", no_argument, NULL, OPT_DECODE_TIMES},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"jpeg", no_argument, NULL, OPT_JPEG},
    {"resolution", required_argument, NULL, OPT_RESOLUTION},
    {"quality", required_argument, NULL, OPT_QUALITY},
    {0},
};

static int parse_number(const char *option, const char *text, int64_t min, int64_t max, int64_t *out)
{
    if (ch_parse_int(text, min, max, out) == 0)
        return 0;
    return complain("%s: found '%s', allowed is a whole number from %lld to %lld", option, text, (long long)min,
                    (long long)max);
}

static int parse_size(const char *text, struct ch_push_options *out)
{
    const char *cross = strpbrk(text, "xX");
    char width[8] = "";
    int64_t w, h;
    if (cross && (size_t)(cross - text) < sizeof width) {
        memcpy(width, text, (size_t)(cross - text));
        // Chroma is stored at half the size: 4:2:0 has no odd sizes.
        if (ch_parse_int(width, 16, 8192, &w) == 0 && ch_parse_int(cross + 1, 16, 8192, &h) == 0 && w % 2 == 0 &&
            h % 2 == 0) {
            out->width = (unsigned)w;
            out->height = (unsigned)h;
            return 0;
        }
    }
    return complain("--size: found '%s', allowed is WxH with even numbers from 16 to 8192, as 1280x720", text);
}

static int parse_name(const char *text, struct ch_push_options *out)
{
    if (!ch_name_valid(text))
        return complain("--name: found '%s', allowed are 1 to %d of A-Z a-z 0-9 . _ -", text, CH_NAME_MAX);
    strcpy(out->name, text);
    return 0;
}

static int parse_reconnect(const char *text, struct ch_push_options *out)
{
    if (ch_parse_seconds_us(text, 0, INT64_C(3600000000), &out->reconnect_us) == 0)
        return 0;
    return complain("--reconnect: found '%s', allowed are seconds from 0 to 3600", text);
}

static int parse_setting(const char *option, enum ch_push_setting setting, const char *text,
                         struct ch_push_options *out)
{
    char allowed[160];
    out->sensor_named = true;
    if (ch_push_sensor_set(&out->sensor, setting, text) == 0)
        return 0;
    ch_push_sensor_allowed(setting, allowed, sizeof allowed);
    return complain("%s: found '%s', allowed is %s", option, text, allowed);
}

static int take_value(int option, const char *text, struct ch_push_options *out)
{
    int64_t n = 0;
    int rc;
    switch (option) {
    case OPT_FPS:
        rc = parse_number("--fps", text, 0, CH_PUSH_MAX_FPS, &n);
        out->fps = (int)n;
        return rc;
    case OPT_BITRATE:
        rc = parse_number("--bitrate", text, 1, CH_PUSH_MAX_BITRATE, &n);
        out->bitrate_mbps = (int)n;
        return rc;
    case OPT_COUNT:
        rc = parse_number("--count", text, 1, UINT32_MAX, &n);
        out->count = (uint64_t)n;
        return rc;
    case OPT_CAMERAS:
        rc = parse_number("--cameras", text, 1, CH_PUSH_MAX_CAMERAS, &n);
        out->cameras = (unsigned)n;
        return rc;
    case OPT_SIZE: return parse_size(text, out);
    case OPT_NAME: return parse_name(text, out);
    case OPT_RESOLUTION: return parse_setting("--resolution", CH_PUSH_RESOLUTION, text, out);
    case OPT_QUALITY: return parse_setting("--quality", CH_PUSH_QUALITY, text, out);
    default: return parse_reconnect(text, out);
    }
}

static int take_option(int option, const char *word, struct ch_push_options *out)
{
    switch (option) {
    case ':': return complain("%s needs a value", word);
    case '?':
        if (optopt >= OPT_HELP)
            return complain("found '%s', but this option takes no value", word);
        if (optopt > 0)
            return complain("unknown option '-%c'", optopt);
        return complain("unknown option '%s'", word);
    case OPT_START: out->start = true; return 0;
    case OPT_REALTIME: out->fast = false; return 0;
    case OPT_FAST: out->fast = true; return 0;
    case OPT_LOOP: out->loop = true; return 0;
    case OPT_DECODE_TIMES: out->decode_times = true; return 0;
    case OPT_QUIET: out->quiet = true; return 0;
    case OPT_JPEG: out->jpeg = true; return 0;
    default: return take_value(option, optarg, out);
    }
}

static int take_words(int count, char **words, struct ch_push_options *out)
{
    const char *why;
    const char *endpoint = out->jpeg ? CH_PUSH_ESP32S : CH_PUSH_PHONES;
    if (count < 1)
        return complain("a URL is needed: camhub push%s ws://HOST:PORT%s/NAME [SOURCE]", out->jpeg ? " --jpeg" : "",
                        endpoint);
    if (count > 2)
        return complain("found '%s' behind URL and SOURCE; no more is allowed", words[2]);
    if (ch_push_url_parse(words[0], endpoint, &out->url, &why) < 0)
        return complain("URL: found '%s': %s", words[0], why);
    if (count == 2 && strcmp(words[1], "test") != 0)
        out->source = words[1];
    return 0;
}

// What only the other kind of camera has.
static int check_kind(struct ch_push_options *options)
{
    if (!options->jpeg && options->sensor_named)
        return complain("--resolution and --quality are for JPEG cameras; add --jpeg");
    if (options->jpeg && (options->bitrate_mbps > 0 || options->width > 0 || options->decode_times))
        return complain("--bitrate, --size and --decode-times are for H.264 cameras, not for --jpeg");
    if (options->jpeg && options->fps > CH_PUSH_SENSOR_MAX_FPS)
        return complain("--fps: found '%d', allowed with --jpeg is 0 to %d", options->fps, CH_PUSH_SENSOR_MAX_FPS);
    if (options->jpeg && options->fps >= 0)
        options->sensor.value[CH_PUSH_FPS] = options->fps;
    if (options->bitrate_mbps == 0)
        options->bitrate_mbps = CH_COMMAND_DEFAULT_BITRATE;
    return 0;
}

static int check_names(const struct ch_push_options *options)
{
    char name[CH_NAME_MAX + 1];
    if (options->cameras == 0 || ch_push_camera_name(options, options->cameras - 1, name))
        return 0;
    return complain("--cameras: the camera name '%s' does not allow a number behind it",
                    options->name[0] ? options->name : options->url.name);
}

enum ch_push_parsed ch_push_options_parse(int argc, char **argv, struct ch_push_options *out)
{
    *out = (struct ch_push_options){.fps = -1, .reconnect_us = 5000000};
    ch_push_sensor_init(&out->sensor);
    opterr = 0;
    optind = 0; // glibc: begin anew
    for (;;) {
        int option = getopt_long(argc, argv, ":", long_options, NULL);
        if (option < 0)
            break;
        if (option == OPT_HELP) {
            fputs(help, stdout);
            return CH_PUSH_HELPED;
        }
        if (take_option(option, argv[optind - 1], out) < 0)
            return CH_PUSH_WRONG;
    }
    if (check_kind(out) < 0 || take_words(argc - optind, argv + optind, out) < 0 || check_names(out) < 0)
        return CH_PUSH_WRONG;
    return CH_PUSH_GO;
}

const char *ch_push_camera_name(const struct ch_push_options *options, unsigned index, char out[CH_NAME_MAX + 1])
{
    const char *name = options->name[0] ? options->name : options->url.name;
    if (options->cameras == 0)
        return options->name[0] ? strcpy(out, options->name) : NULL;
    int n = snprintf(out, CH_NAME_MAX + 1, "%s-%u", *name ? name : "cam", index + 1);
    return n > 0 && n <= CH_NAME_MAX && ch_name_valid(out) ? out : NULL;
}
