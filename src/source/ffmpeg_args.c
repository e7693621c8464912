#include "source/ffmpeg_args.h"

#include "source/child.h"
#include "source/grab.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// Of a stream's own time, spent on finding out what is in it.
#define LOOK_US "2000000"
#define LOOK_VIDEO_US "500000" // if no sound is to be found

// The muxer waits this long for the other stream, sound or pictures, before it writes what it has.
#define INTERLEAVE_US "500000"

// --- the words ------------------------------------------------------------------------------------

struct words {
    char **word;
    size_t count, capacity;
    bool failed;
};

static void add_owned(struct words *words, char *text)
{
    if (words->count == words->capacity) {
        size_t capacity = words->capacity ? 2 * words->capacity : 64;
        char **word = realloc(words->word, capacity * sizeof *word);
        if (word) {
            words->word = word;
            words->capacity = capacity;
        }
    }
    if (!text || words->count == words->capacity) {
        words->failed = true;
        free(text);
        return;
    }
    words->word[words->count++] = text;
}

__attribute__((format(printf, 2, 3))) static void add(struct words *words, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    add_owned(words, text);
}

// Several fixed words, separated by single blanks.
static void add_all(struct words *words, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, " ");
        add_owned(words, strndup(text, n));
        text += n + (text[n] == ' ');
    }
}

static void add_list(struct words *words, char *const *list)
{
    for (; *list; list++)
        add_owned(words, strdup(*list));
}

// All of them in one piece of memory: the pointers, NULL, and then the texts.
static char **pack(struct words *words)
{
    size_t bytes = (words->count + 1) * sizeof(char *);
    for (size_t i = 0; i < words->count; i++)
        bytes += strlen(words->word[i]) + 1;
    char **list = words->failed ? NULL : malloc(bytes);
    char *at = list ? (char *)(list + words->count + 1) : NULL;
    for (size_t i = 0; i < words->count; i++) {
        if (list) {
            list[i] = at;
            at = stpcpy(at, words->word[i]) + 1;
        }
        free(words->word[i]);
    }
    if (list)
        list[words->count] = NULL;
    free(words->word);
    return list;
}

// Levels in front of the lines tell what went wrong from what is merely odd.
static void add_common(struct words *words, const char *ffmpeg)
{
    add(words, "%s", ffmpeg);
    add_all(words, "-hide_banner -nostdin -nostats -loglevel level+warning");
}

// --- URLs -----------------------------------------------------------------------------------------

static bool has_scheme(const char *url, const char *scheme)
{
    size_t n = strlen(scheme);
    return strncasecmp(url, scheme, n) == 0 && strncmp(url + n, "://", 3) == 0;
}

// Does the path of the URL end like the name of a stored film? Live streams over HTTP end otherwise.
static bool is_stored(const char *url)
{
    static const char *const endings[] = {".mp4", ".m4v", ".mov",  ".mkv", ".webm", ".avi",
                                          ".mpg", ".wmv", ".mpeg", ".3gp", ".ogv",  ".asf"};
    size_t n = strcspn(url, "?#");
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t size = strlen(endings[i]);
        if (n > size && strncasecmp(url + n - size, endings[i], size) == 0)
            return true;
    }
    return false;
}

// --- input ----------------------------------------------------------------------------------------

static bool is_grabbed(const struct ch_source_config *config)
{
    return config->type == CH_SOURCE_SCREEN || config->type == CH_SOURCE_WINDOW;
}

static void add_grab(struct words *words, const struct ch_source_config *config)
{
    const struct ch_region *region = &config->region;
    add_all(words, CH_CHILD_HELPER " " CH_GRAB_WORD);
    if (config->display) {
        add(words, "--display");
        add(words, "%s", config->display);
    }
    if (config->type == CH_SOURCE_WINDOW) {
        add(words, "--window");
        add(words, "%s", config->window_title ? config->window_title : "");
        if (config->find_by_substring)
            add(words, "--substring");
    } else {
        add(words, "--index");
        add(words, "%" PRIu32, config->display_index);
    }
    if (region->set) {
        add(words, "--region");
        add(words, "%" PRIu32 "x%" PRIu32 "+%" PRIu32 "+%" PRIu32, region->width, region->height, region->x, region->y);
    }
    add(words, "--framerate");
    add(words, "%" PRIu32, config->encode.framerate);
    if (!config->draw_mouse)
        add(words, "--no-mouse");
    add(words, "--");
}

static void add_look(struct words *words, const struct ch_source_config *config, const struct ch_ffmpeg_way *way)
{
    if (way->skip_probed)
        add_all(words, "-fflags nobuffer");
    if (way->wallclock)
        add_all(words, "-use_wallclock_as_timestamps 1");
    if (way->patient)
        return;
    add_all(words, "-fpsprobesize 0 -analyzeduration");
    add(words, "%s", config->audio && !config->audio_args ? LOOK_US : LOOK_VIDEO_US);
}

static void add_timeout(struct words *words, const char *option, int64_t timeout_us)
{
    if (timeout_us <= 0)
        return;
    add(words, "%s", option);
    add(words, "%" PRId64, timeout_us > INT32_MAX ? INT32_MAX : timeout_us);
}

// RTSP: -timeout is the time limit since ffmpeg 5; before, it meant to listen, and -stimeout was the time limit.
static void add_rtsp_input(struct words *words, const struct ch_source_config *config, const struct ch_ffmpeg_way *way)
{
    add_look(words, config, way);
    switch (config->transport) {
    case CH_TRANSPORT_TCP: add_all(words, "-rtsp_transport tcp"); break;
    case CH_TRANSPORT_UDP: add_all(words, "-rtsp_transport udp"); break;
    case CH_TRANSPORT_AUTO: // TCP first: it loses nothing, and needs no hole in a firewall
        add_all(words, "-rtsp_flags prefer_tcp");
        break;
    }
    add_timeout(words, way->old ? "-stimeout" : "-timeout", config->timeout_us);
}

// RTMP takes -timeout as the wish to listen, so its time limit, as that of HTTP and SRT, is the one of all protocols.
// UDP knows only its own.
static void add_network_input(struct words *words, const struct ch_source_config *config,
                              const struct ch_ffmpeg_way *way)
{
    const char *url = config->url;
    if (has_scheme(url, "rtsp") || has_scheme(url, "rtsps")) {
        add_rtsp_input(words, config, way);
    } else {
        add_look(words, config, way);
        if (has_scheme(url, "http") || has_scheme(url, "https")) {
            if (is_stored(url))
                add(words, "-re");
            // Resumes what can be resumed. A live stream begins anew after a break, and so must all that reads it.
            add_all(words, "-reconnect 1 -reconnect_delay_max 4");
        }
        add_timeout(words, has_scheme(url, "udp") ? "-timeout" : "-rw_timeout", config->timeout_us);
    }
    add(words, "-i");
    add(words, "%s", url);
}

static void add_device_input(struct words *words, const struct ch_source_config *config)
{
    add_all(words, "-f v4l2");
    if (config->input_format) {
        add(words, "-input_format");
        add(words, "%s", config->input_format);
    }
    add(words, "-framerate");
    add(words, "%" PRIu32, config->encode.framerate);
    if (config->width > 0 && config->height > 0) {
        add(words, "-video_size");
        add(words, "%" PRIu32 "x%" PRIu32, config->width, config->height);
    }
    add(words, "-i");
    add(words, "%s", config->device);
}

static void add_input(struct words *words, const struct ch_source_config *config, const struct ch_ffmpeg_way *way)
{
    switch (config->type) {
    case CH_SOURCE_SCREEN:
    case CH_SOURCE_WINDOW: add(words, "%s", CH_GRAB_PLACE); break;
    case CH_SOURCE_NETWORK: add_network_input(words, config, way); break;
    case CH_SOURCE_DEVICE: add_device_input(words, config); break;
    case CH_SOURCE_FILE:
        add(words, "-re");
        if (config->loop)
            add_all(words, "-stream_loop -1");
        if (way->skip_probed)
            add_all(words, "-fflags +genpts"); // a container without times
        add(words, "-i");
        add(words, "file:%s", config->path); // whatever characters its name has
        break;
    case CH_SOURCE_FFMPEG: add_list(words, config->args); break;
    }
    if (config->audio && config->audio_args)
        add_list(words, config->audio_args);
}

// --- encoding and output --------------------------------------------------------------------------

// ffmpeg takes "m" for a thousandth.
static void add_bitrate(struct words *words, const char *option, const char *bitrate)
{
    size_t n = strlen(bitrate);
    add(words, "%s", option);
    if (n > 0 && bitrate[n - 1] == 'm')
        add(words, "%.*sM", (int)(n - 1), bitrate);
    else
        add(words, "%s", bitrate);
}

static void add_video_encoder(struct words *words, const struct ch_source_config *config)
{
    const struct ch_encode *encode = &config->encode;
    const struct ch_region *region = &config->region;
    if (!is_grabbed(config)) { // a grabbed picture has been cut, to an even size, as it was taken
        add(words, "-vf");
        if (region->set)
            add(words, "crop=%" PRIu32 ":%" PRIu32 ":%" PRIu32 ":%" PRIu32, region->width, region->height, region->x,
                region->y);
        else
            add(words, "crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0");
    }
    add_all(words, "-c:v libx264 -profile:v baseline -pix_fmt yuv420p");
    if (encode->preset[0]) {
        add(words, "-preset");
        add(words, "%s", encode->preset);
    }
    if (encode->tune[0]) {
        add(words, "-tune");
        add(words, "%s", encode->tune);
    }
    add_bitrate(words, "-b:v", encode->bitrate);
    add_bitrate(words, "-maxrate", encode->bitrate);
    add_bitrate(words, "-bufsize", encode->bitrate);
    add(words, "-r");
    add(words, "%" PRIu32, encode->framerate);
    add(words, "-g");
    add(words, "%" PRIu32, encode->framerate);
    add_all(words, "-bf 0 -sc_threshold 0 -force_key_frames");
    add(words, "expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+1))"); // also if fewer pictures come
}

static void add_codecs(struct words *words, const struct ch_source_config *config, enum ch_copy copy)
{
    add_all(words, "-map 0:V:0"); // V: no cover picture of a song
    if (config->audio)
        add_all(words, config->audio_args ? "-map 1:a:0" : "-map 0:a:0?");
    else
        add(words, "-an");
    add_all(words, "-sn -dn");
    if (copy & CH_COPY_VIDEO)
        add_all(words, "-c:v copy");
    else
        add_video_encoder(words, config);
    if (!config->audio)
        return;
    if (copy & CH_COPY_AUDIO)
        add_all(words, "-c:a copy");
    else // gaps are filled, as an encoder counts samples
        add_all(words, "-c:a aac -b:a 128k -ar 44100 -ac 2 -af aresample=async=1");
}

// Inputs that are pictures as they were made, whatever else is said.
static bool is_raw_input(char *const *args)
{
    static const char *const raw[] = {"lavfi", "x11grab", "kmsgrab", "fbdev", "rawvideo", "image2"};
    for (; *args && args[1]; args++)
        for (size_t i = 0; strcmp(*args, "-f") == 0 && i < sizeof raw / sizeof *raw; i++)
            if (strcmp(args[1], raw[i]) == 0)
                return true;
    return false;
}

enum ch_copy ch_ffmpeg_first_copy(const struct ch_source_config *config)
{
    bool raw =
        is_grabbed(config) || (config->type == CH_SOURCE_FFMPEG && is_raw_input(config->args)) ||
        (config->type == CH_SOURCE_DEVICE && (!config->input_format || strcasecmp(config->input_format, "h264") != 0));
    bool video = !raw && !config->region.set && !config->encode.always;
    bool audio = !config->audio_args && !raw;
    return (enum ch_copy)((video ? CH_COPY_VIDEO : 0) | (audio ? CH_COPY_AUDIO : 0));
}

char **ch_ffmpeg_source_args(const char *ffmpeg, const struct ch_source_config *config, const struct ch_ffmpeg_way *way)
{
    struct words words = {0};
    if (is_grabbed(config))
        add_grab(&words, config);
    add_common(&words, ffmpeg);
    add_input(&words, config, way);
    add_codecs(&words, config, way->copy);
    add_all(&words, "-max_interleave_delta " INTERLEAVE_US);
    add_all(&words, "-f flv -flvflags no_duration_filesize -flush_packets 1 pipe:1");
    return pack(&words);
}

// --- outputs --------------------------------------------------------------------------------------

const char *ch_ffmpeg_output_format(const char *url)
{
    static const struct {
        const char *scheme, *format;
    } known[] = {{"rtmp", "flv"},   {"rtmps", "flv"},  {"rtmpt", "flv"}, {"rtsp", "rtsp"},
                 {"rtsps", "rtsp"}, {"srt", "mpegts"}, {"udp", "mpegts"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (has_scheme(url, known[i].scheme))
            return known[i].format;
    return NULL;
}

char **ch_ffmpeg_output_args(const char *ffmpeg, const char *url, const char *format)
{
    struct words words = {0};
    if (!format)
        format = ch_ffmpeg_output_format(url);
    if (!format)
        return NULL;
    add_common(&words, ffmpeg);
    add_all(&words, "-analyzeduration " LOOK_VIDEO_US " -fpsprobesize 0 -f flv -i pipe:0");
    add_all(&words, "-map 0:V:0 -map 0:a:0? -c copy -max_interleave_delta " INTERLEAVE_US);
    if (strcmp(format, "flv") == 0)
        add_all(&words, "-flvflags no_duration_filesize");
    else if (strcmp(format, "rtsp") == 0)
        add_all(&words, "-rtsp_transport tcp");
    else if (strcmp(format, "mpegts") == 0)
        add_all(&words, "-muxdelay 0 -muxpreload 0");
    if (has_scheme(url, "udp"))
        add_all(&words, "-pkt_size 1316"); // seven packets of MPEG-TS fit an Ethernet frame
    add_all(&words, "-flush_packets 1 -f");
    add(&words, "%s", format);
    add(&words, "%s", url);
    return pack(&words);
}
