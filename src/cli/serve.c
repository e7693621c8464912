// camhub serve: options, signals, and the words on the screen; the hub itself is in src/app.
#include "app/config.h"
#include "app/hub.h"
#include "app/operator.h"
#include "app/setup.h"
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
    "  --config FILE           configuration (docs/configuration.md; `camhub check FILE` checks one); can be given\n"
    "                          several times\n"
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
    "Options go over the environment (CAMHUB_<SECTION>_<KEY>), and that over the files. SIGHUP reads the files again.\n"
    "\n"
    "Commands are read from standard input; `help` lists them. FFMPEG_BIN names the ffmpeg for thumbnails,\n"
    "pictures of phones at /live/NAME.jpg, films of JPEG cameras, sources and outputs.\n";

enum {
    OPT_CONFIG = 1000,
    OPT_HOST,
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
#define FLAGS (OPT_LOG - OPT_HOST + 1) // those that set a key

struct serve {
    struct ch_hub hub;
    struct ch_operator *operator;
    uv_signal_t interrupt, terminate, hangup;
    bool stopping;

    const char **files;                 // --config; ends with NULL
    struct ch_config_flag flags[FLAGS]; // the other options that were given
    size_t file_count, flag_count;
    struct ch_config *config; // as it was at the start: the hub points into it
};

// --- options ---

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
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

// The newest of several is the one that counts.
static int set(struct serve *serve, const char *flag, const char *key, const char *value)
{
    size_t i = 0;
    while (i < serve->flag_count && strcmp(serve->flags[i].key, key) != 0)
        i++;
    serve->flags[i] = (struct ch_config_flag){flag, key, value};
    if (i == serve->flag_count)
        serve->flag_count++;
    return 0;
}

static int set_level(struct serve *serve, const char *value)
{
    static const char *const names[] = {
        [CH_LOG_ERROR] = "ERROR", [CH_LOG_WARNING] = "WARNING", [CH_LOG_INFO] = "INFO", [CH_LOG_DEBUG] = "DEBUG"};
    int level = ch_log_level_from_name(value);
    if (level < 0)
        return bad("--log-level", value, "error, warning, info or debug");
    return set(serve, "--log-level", "logging.level", names[level]);
}

static int read_option(struct serve *serve, int option, const char *value)
{
    int64_t number;
    switch (option) {
    case OPT_CONFIG: serve->files[serve->file_count++] = value; return 0;
    case OPT_HOST: return set(serve, "--host", "hub.host", value);
    case OPT_PORT:
        if (ch_parse_int(value, 0, 65535, &number) < 0)
            return bad("--port", value, "0 to 65535");
        return set(serve, "--port", "hub.port", value);
    case OPT_RECORDINGS: return set(serve, "--recordings", "hub.recordings", value);
    case OPT_OPEN: return set(serve, "--open", "hub.open", "true");
    case OPT_NO_H264: return set(serve, "--no-h264", "hub.h264", "false");
    case OPT_NO_THUMBNAILS: return set(serve, "--no-thumbnails", "hub.thumbnails", "false");
    case OPT_SYNC:
        if (ch_parse_seconds_us(value, 0, 60000000, &number) < 0)
            return bad("--sync-interval", value, "0 to 60 seconds");
        return set(serve, "--sync-interval", "hub.sync_interval", value);
    case OPT_MESSAGE:
        if (ch_parse_int(value, 1024, CH_LIMIT_MESSAGE_BYTES_MAX, &number) < 0)
            return bad("--max-message", value, "1024 to 268435456 bytes");
        return set(serve, "--max-message", "hub.max_message", value);
    case OPT_LOG: return set_level(serve, value);
    default: // getopt has said what is wrong
        return -EINVAL;
    }
}

// 0 to go on, or 1 + the exit code.
static int read_options(struct serve *serve, int argc, char **argv)
{
    for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        if (option == OPT_HELP || option == 'h') {
            fputs(usage, stdout);
            return 1 + CH_EXIT_OK;
        }
        if (read_option(serve, option, optarg) < 0) {
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

// --- configuration ---

static int load(const struct serve *serve, struct ch_config **out, char *error, size_t error_bytes)
{
    struct ch_config_from from = {
        .files = serve->files, .environment = environ, .flags = serve->flags, .flag_count = serve->flag_count};
    return ch_config_load(&from, out, error, error_bytes);
}

// The log as the configuration wants it. 0, or a negative errno after a line on stderr.
static int start_log(const struct ch_config *config)
{
    ch_log_set_level(config->log_level);
    int rc = ch_log_set_file(config->log_file);
    if (rc < 0)
        fprintf(stderr, "camhub serve: logging.file: %s cannot be opened: %s\n", config->log_file, strerror(-rc));
    return rc;
}

// 0, or a negative errno after lines on stderr.
static int configure(struct serve *serve)
{
    char error[CH_CONFIG_ERROR_BYTES];
    int rc = load(serve, &serve->config, error, sizeof error);
    if (rc < 0)
        fprintf(stderr, "%s\n", error);
    else
        rc = start_log(serve->config);
    if (rc == 0)
        ch_config_warn(serve->config);
    return rc;
}

// A running hub takes on what a new configuration says. 0 or a negative errno (then it goes on as it was).
static int apply(struct serve *serve, const struct ch_config *config)
{
    int rc = ch_setup_apply(&serve->hub, config);
    if (rc < 0)
        return rc;
    ch_log_set_level(config->log_level);
    rc = ch_log_set_file(config->log_file);
    if (rc < 0)
        ch_log_error("log file %s cannot be opened: %s; the log goes on as it did", config->log_file, strerror(-rc));
    return 0;
}

static void log_faults(char *error)
{
    for (char *line = strtok(error, "\n"); line; line = strtok(NULL, "\n"))
        ch_log_error("%s", line);
}

static void reload(struct serve *serve)
{
    char error[CH_CONFIG_ERROR_BYTES];
    struct ch_config *config;
    int rc = load(serve, &config, error, sizeof error);
    if (rc < 0)
        log_faults(error);
    else
        rc = apply(serve, config);
    if (rc < 0) {
        ch_log_error("SIGHUP: the configuration has faults; nothing has changed");
    } else {
        ch_log_info("SIGHUP: the configuration was read again");
        ch_config_warn(config);
    }
    ch_config_free(config);
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
    (void)number;
    struct serve *serve = handle->data;
    int rc = ch_log_reopen();
    if (rc < 0)
        ch_log_error("the log file cannot be opened anew: %s", strerror(-rc));
    if (serve->file_count > 0)
        reload(serve);
    else
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

static int run(struct serve *serve, uv_loop_t *loop)
{
    int rc = ch_hub_start(&serve->hub, &serve->config->options, loop);
    if (rc < 0)
        return rc;
    serve->hub.stopped = on_stopped;
    watch_signal(serve, &serve->interrupt, on_signal, SIGINT);
    watch_signal(serve, &serve->terminate, on_signal, SIGTERM);
    watch_signal(serve, &serve->hangup, on_hangup, SIGHUP);
    print_welcome(&serve->hub);
    serve->operator= ch_operator_start(&serve->hub, on_quit, serve);
    rc = ch_setup_apply(&serve->hub, serve->config);
    if (rc < 0)
        stop(serve);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_run(loop, UV_RUN_NOWAIT); // closed callbacks
    ch_log_info("all sessions are finished; good bye");
    return rc;
}

static void free_serve(struct serve *serve)
{
    if (!serve)
        return;
    ch_config_free(serve->config);
    free(serve->files);
    free(serve);
}

int ch_cli_serve(int argc, char **argv)
{
    struct serve *serve = calloc(1, sizeof *serve);
    uv_loop_t loop;
    if (serve)
        serve->files = calloc((size_t)argc + 1, sizeof *serve->files);
    if (!serve || !serve->files) {
        fputs("camhub serve: out of memory\n", stderr);
        free_serve(serve);
        return CH_EXIT_FAILED;
    }
    int rc = read_options(serve, argc, argv);
    if (rc > 0) {
        free_serve(serve);
        return rc - 1;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    keep_memory();
    rc = configure(serve);
    if (rc == 0)
        rc = uv_loop_init(&loop);
    if (rc == 0) {
        rc = run(serve, &loop);
        uv_loop_close(&loop);
    }
    free_serve(serve);
    return rc == 0 ? CH_EXIT_OK : CH_EXIT_FAILED;
}
