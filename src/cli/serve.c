// camhub serve: options, signals, and the words on the screen; the hub itself is in src/app.
#include "app/hub.h"
#include "app/operator.h"
#include "base/addresses.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <qrencode.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char usage[] =
    "usage: camhub serve [OPTIONS]\n"
    "\n"
    "Receives cameras over WebSocket and records each session so that nothing can spoil it.\n"
    "\n"
    "  --host HOST             address to listen on (default 0.0.0.0: all)\n"
    "  --port PORT             port, 0 to 65535 (default 50001; 0: any free one)\n"
    "  --recordings DIR        where sessions go (default ./recordings; made if missing)\n"
    "  --open                  let everybody in who can reach the port (there are no keys yet: always so)\n"
    "  --no-h264               no stream.h264 in sessions, only stream.mp4\n"
    "  --no-thumbnails         no thumbnail.jpg\n"
    "  --sync-interval SECONDS what a power cut may take at the most, 0 to 60 (default 1)\n"
    "  --max-message BYTES     largest message of a camera, 1024 to 268435456 (default 16777216)\n"
    "  --log-level LEVEL       error, warning, info (default) or debug\n"
    "  --help\n"
    "\n"
    "Commands are read from standard input; `help` lists them. FFMPEG_BIN names the ffmpeg for thumbnails,\n"
    "pictures of phones at /live/NAME.jpg, and films of JPEG cameras.\n";

struct serve {
    struct ch_hub hub;
    struct ch_operator *operator;
    uv_signal_t interrupt, terminate, hangup;
    bool stopping;
};

// --- options ---

enum {
    OPT_HOST = 1000,
    OPT_PORT,
    OPT_RECORDINGS,
    OPT_OPEN,
    OPT_NO_H264,
    OPT_NO_THUMBNAILS,
    OPT_SYNC,
    OPT_MESSAGE,
    OPT_LOG,
    OPT_HELP
};

static const struct option long_options[] = {
    {"host", required_argument, NULL, OPT_HOST},
    {"port", required_argument, NULL, OPT_PORT},
    {"recordings", required_argument, NULL, OPT_RECORDINGS},
    {"open", no_argument, NULL, OPT_OPEN},
    {"no-h264", no_argument, NULL, OPT_NO_H264},
    {"no-thumbnails", no_argument, NULL, OPT_NO_THUMBNAILS},
    {"sync-interval", required_argument, NULL, OPT_SYNC},
    {"max-message", required_argument, NULL, OPT_MESSAGE},
    {"log-level", required_argument, NULL, OPT_LOG},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

static int bad(const char *option, const char *value, const char *allowed)
{
    fprintf(stderr, "camhub serve: %s %s: %s is allowed\n", option, value, allowed);
    return -EINVAL;
}

static int read_option(struct ch_options *options, int option, const char *value)
{
    int64_t number;
    int level;
    switch (option) {
    case OPT_HOST: options->host = value; return 0;
    case OPT_PORT:
        if (ch_parse_int(value, 0, 65535, &number) < 0)
            return bad("--port", value, "0 to 65535");
        options->port = (uint16_t)number;
        return 0;
    case OPT_RECORDINGS: options->recordings = value; return 0;
    case OPT_OPEN: options->open = true; return 0;
    case OPT_NO_H264: options->h264 = false; return 0;
    case OPT_NO_THUMBNAILS: options->thumbnails = false; return 0;
    case OPT_SYNC:
        return ch_parse_seconds_us(value, 0, 60000000, &options->sync_us) < 0
                   ? bad("--sync-interval", value, "0 to 60 seconds")
                   : 0;
    case OPT_MESSAGE:
        if (ch_parse_int(value, 1024, CH_LIMIT_MESSAGE_BYTES_MAX, &number) < 0)
            return bad("--max-message", value, "1024 to 268435456 bytes");
        options->max_message_bytes = (uint32_t)number;
        return 0;
    case OPT_LOG:
        level = ch_log_level_from_name(value);
        if (level < 0)
            return bad("--log-level", value, "error, warning, info or debug");
        ch_log_set_level((enum ch_log_level)level);
        return 0;
    default: // getopt has said what is wrong
        return -EINVAL;
    }
}

// 0 to go on, or 1 + the exit code.
static int read_options(struct ch_options *options, int argc, char **argv)
{
    const char *ffmpeg = getenv("FFMPEG_BIN");
    *options = (struct ch_options){
        .host = "0.0.0.0",
        .port = 50001,
        .recordings = "recordings",
        .h264 = true,
        .thumbnails = true,
        .sync_us = CH_SYNC_US,
        .max_message_bytes = CH_LIMIT_MESSAGE_BYTES,
        .ffmpeg = ffmpeg && ffmpeg[0] ? ffmpeg : "ffmpeg",
    };
    for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        if (option == OPT_HELP || option == 'h') {
            fputs(usage, stdout);
            return 1 + CH_EXIT_OK;
        }
        if (read_option(options, option, optarg) < 0) {
            fputs("`camhub serve --help` lists the options\n", stderr);
            return 1 + CH_EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "camhub serve: unexpected argument \"%s\"\n`camhub serve --help` lists the options\n",
                argv[optind]);
        return 1 + CH_EXIT_USAGE;
    }
    return 0;
}

// --- where to go ---

static bool dark(const QRcode *code, int x, int y)
{
    if (x < 0 || y < 0 || x >= code->width || y >= code->width)
        return false;
    return code->data[y * code->width + x] & 1;
}

// Two rows of modules per line of text, on a white ground with the quiet zone that scanners need.
static void print_qr(const char *text)
{
    QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
    if (!code)
        return;
    for (int y = -2; y < code->width + 2; y += 2) {
        fputs("  \033[30;107m", stdout);
        for (int x = -2; x < code->width + 2; x++) {
            bool upper = dark(code, x, y), lower = dark(code, x, y + 1);
            fputs(upper && lower ? "█" : upper ? "▀" : lower ? "▄" : " ", stdout);
        }
        fputs("\033[0m\n", stdout);
    }
    QRcode_free(code);
}

static void print_welcome(const struct ch_hub *hub)
{
    char addresses[CH_ADDRESSES_MAX][CH_ADDRESS_BYTES], place[CH_ADDRESS_BYTES + 16], url[CH_ADDRESS_BYTES + 64];
    const char *host = hub->options.host;
    ch_own_addresses(host, addresses);
    bool bracketed = strchr(addresses[0], ':') != NULL; // RFC 3986 3.2.2
    snprintf(place, sizeof place, "%s%s%s:%u", bracketed ? "[" : "", addresses[0], bracketed ? "]" : "", hub->port);
    snprintf(url, sizeof url, "ws://%s/android-cam", place);
    ch_log_info("listening on %s:%u", host, hub->port);
    if (!isatty(STDOUT_FILENO))
        return;
    printf("\n  Console             http://%s/\n"
           "  Phones connect to   %s\n"
           "  ESP32 cameras to    ws://%s/esp\n"
           "  Recordings go to    %s\n"
           "  A demo camera       camhub push --start ws://127.0.0.1:%u/android-cam/demo\n\n",
           place, url, place, hub->options.recordings, hub->port);
    print_qr(url);
    puts("\n  Type start, stop, status, help or quit.\n");
    fflush(stdout);
}

// --- life ---

static void stop(struct serve *serve)
{
    if (serve->stopping)
        _exit(CH_EXIT_FAILED); // asked twice: at once. What was written stays; the next start finishes it.
    serve->stopping = true;
    ch_log_info("shutting down");
    ch_hub_stop(&serve->hub);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    stop(handle->data);
}

// Not the end: a lost terminal must not take recordings along.
static void on_hangup(uv_signal_t *handle, int number)
{
    (void)handle, (void)number;
    ch_log_info("SIGHUP: there is no configuration file to read again");
}

static void on_quit(void *context)
{
    struct serve *serve = context;
    if (!serve->stopping)
        stop(serve);
}

static void on_stopped(struct ch_hub *hub)
{
    struct serve *serve = (struct serve *)hub;
    if (hub->works > 0) { // a recovery, or a disk that does not answer: it can be broken off anywhere
        ch_log_info("all sessions are finished; what else was being done goes on at the next start");
        _exit(CH_EXIT_OK);
    }
    ch_operator_stop(serve->operator);
    uv_close((uv_handle_t *)&serve->interrupt, NULL);
    uv_close((uv_handle_t *)&serve->terminate, NULL);
    uv_close((uv_handle_t *)&serve->hangup, NULL);
    uv_stop(hub->loop);
}

static void watch_signal(struct serve *serve, uv_signal_t *handle, uv_signal_cb call, int number)
{
    uv_signal_init(serve->hub.loop, handle);
    handle->data = serve;
    uv_signal_start(handle, call, number);
}

// Frames come and go by the megabyte: memory that is given back to the kernel and fetched again with each of
// them costs more than all the rest of receiving. 64 MiB may stay with us, and frames are cut from the heap, not
// mapped one by one.
static void keep_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
}

// Every camera and file takes a descriptor; what the system allows is ours to ask for.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int ch_cli_serve(int argc, char **argv)
{
    struct ch_options options;
    int rc = read_options(&options, argc, argv);
    if (rc > 0)
        return rc - 1;
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    keep_memory();
    struct serve *serve = calloc(1, sizeof *serve);
    uv_loop_t loop;
    if (!serve || uv_loop_init(&loop) < 0) {
        fputs("camhub serve: out of memory\n", stderr);
        free(serve);
        return CH_EXIT_FAILED;
    }
    rc = ch_hub_start(&serve->hub, &options, &loop);
    if (rc == 0) {
        serve->hub.stopped = on_stopped;
        watch_signal(serve, &serve->interrupt, on_signal, SIGINT);
        watch_signal(serve, &serve->terminate, on_signal, SIGTERM);
        watch_signal(serve, &serve->hangup, on_hangup, SIGHUP);
        print_welcome(&serve->hub);
        serve->operator= ch_operator_start(&serve->hub, on_quit, serve);
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_run(&loop, UV_RUN_NOWAIT); // closed callbacks
        ch_log_info("all sessions are finished; good bye");
    }
    uv_loop_close(&loop);
    free(serve);
    return rc == 0 ? CH_EXIT_OK : CH_EXIT_FAILED;
}
