// Every key: its kind, its bounds, its default (docs/configuration.md has the same as tables for people).
#include "app/config_internal.h"
#include "base/limits.h"
#include "base/text.h"
#include "source/child.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define PATH_MAX_BYTES 4000
#define S INT64_C(1000000) // microseconds

// --- words ---

const char *const ch_type_words[] = {[CH_SOURCE_SCREEN] = "screen",
                                     [CH_SOURCE_WINDOW] = "window",
                                     [CH_SOURCE_NETWORK] = "network_stream",
                                     [CH_SOURCE_DEVICE] = "device",
                                     [CH_SOURCE_FILE] = "file",
                                     [CH_SOURCE_FFMPEG] = "ffmpeg",
                                     [CH_TYPE_WINDOW_REGION] = "window_region",
                                     [CH_TYPE_NONE] = NULL};
const char *const ch_video_codec_words[] = {"libx264", "libx265", "mpeg4", "vp8", "vp9", NULL};
const char *const ch_audio_codec_words[] = {"aac", "mp3", "libopus", "pcm_s16le", NULL};
const char *const ch_preset_words[] = {"ultrafast", "superfast", "veryfast", "faster",  "fast", "medium",
                                       "slow",      "slower",    "veryslow", "placebo", NULL};
const char *const ch_tune_words[] = {"film", "animation",  "grain",       "stillimage", "psnr",
                                     "ssim", "fastdecode", "zerolatency", NULL};
const char *const ch_transport_words[] = {
    [CH_TRANSPORT_AUTO] = "auto", [CH_TRANSPORT_TCP] = "tcp", [CH_TRANSPORT_UDP] = "udp", NULL};
const char *const ch_record_words[] = {"command", "always", NULL};
const char *const ch_level_words[] = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", NULL};
const char *const ch_format_words[] = {"flv", "rtsp", "mpegts", NULL};

// --- texts ---

static bool has_blank(const char *text)
{
    return text[strcspn(text, " \t\r\n\v\f")] != '\0';
}

static const char *host_wrong(const char *text)
{
    if (text[0] == '\0' || strlen(text) > 255 || has_blank(text) || strpbrk(text, "/@[]"))
        return "an address or a host's name is (0.0.0.0: all addresses)";
    return NULL;
}

static const char *door_path_wrong(const char *text)
{
    if (text[0] != '/' || strlen(text) > 255 || strstr(text, "..") || has_blank(text) || strpbrk(text, "\\?#"))
        return "a path that begins with / is, of up to 255 bytes, without .. and blank \\ ? #";
    return NULL;
}

static const char *name_wrong(const char *text)
{
    return ch_name_valid(text) ? NULL : "1 to 64 of A-Z a-z 0-9 . _ - are";
}

static const char *path_wrong(const char *text)
{
    return text[0] == '\0' || strlen(text) > PATH_MAX_BYTES ? "a path of 1 to 4000 bytes is" : NULL;
}

static const char *device_wrong(const char *text)
{
    return text[0] != '/' || strlen(text) > PATH_MAX_BYTES ? "a path that begins with / is, as /dev/video0" : NULL;
}

static const char *title_wrong(const char *text)
{
    return text[0] == '\0' || strlen(text) > 512 ? "a text of 1 to 512 bytes is" : NULL;
}

static const char *display_wrong(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (!colon || strlen(text) > 255 || has_blank(text) || !isdigit((unsigned char)colon[1]))
        return "an X11 display is, as :0";
    return NULL;
}

static const char *input_format_wrong(const char *text)
{
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return size == 0 || size > 32 || text[size] ? "a format of ffmpeg's v4l2 is, as mjpeg or yuyv422" : NULL;
}

static const char *bitrate_wrong(const char *text)
{
    static const char allowed[] = "a number and K or M is, 1K to 1000M";
    char digits[10] = "";
    int64_t number;
    size_t size = strspn(text, "0123456789");
    if (size == 0 || size >= sizeof digits || !text[size] || !strchr("KkMm", text[size]) || text[size + 1])
        return allowed;
    memcpy(digits, text, size);
    bool mega = strchr("Mm", text[size]) != NULL;
    return ch_parse_int(digits, 1, mega ? 1000 : 1000000, &number) < 0 ? allowed : NULL;
}

// --- keys ---

#define HUB(member) offsetof(struct ch_hub_draft, member)
static const struct ch_key hub_keys[] = {
    {"host", CH_KEY_TEXT, .offset = HUB(host), .wrong = host_wrong},
    {"port", CH_KEY_INT, .offset = HUB(port), .min = 0, .max = 65535},
    {"recordings", CH_KEY_TEXT, .offset = HUB(recordings), .wrong = path_wrong, .path = true},
    {"h264", CH_KEY_BOOL, .offset = HUB(h264)},
    {"thumbnails", CH_KEY_BOOL, .offset = HUB(thumbnails)},
    {"open", CH_KEY_BOOL, .offset = HUB(open)},
    {"sync_interval", CH_KEY_SECONDS, .offset = HUB(sync_us), .min = 0, .max = 60 * S},
    {"max_message", CH_KEY_INT, .offset = HUB(max_message), .min = 1024, .max = CH_LIMIT_MESSAGE_BYTES_MAX},
};

#define SERVER(member) offsetof(struct ch_server_draft, member)
static const struct ch_key server_keys[] = {
    {"host", CH_KEY_TEXT, .offset = SERVER(host), .wrong = host_wrong},
    {"port", CH_KEY_INT, .offset = SERVER(port), .min = 1024, .max = 65535},
    {"path", CH_KEY_TEXT, .offset = SERVER(path), .wrong = door_path_wrong},
    {"http_port", CH_KEY_INT, .offset = SERVER(http_port), .min = 1024, .max = 65535, .zero = true},
};

#define FFMPEG(member) offsetof(struct ch_ffmpeg_draft, member)
static const struct ch_key ffmpeg_keys[] = {
    {"video_codec", CH_KEY_WORD, .offset = FFMPEG(video_codec), .words = ch_video_codec_words},
    {"audio_codec", CH_KEY_WORD, .offset = FFMPEG(audio_codec), .words = ch_audio_codec_words},
    {"bitrate", CH_KEY_TEXT, .offset = FFMPEG(bitrate), .wrong = bitrate_wrong},
    {"framerate", CH_KEY_INT, .offset = FFMPEG(framerate), .min = 1, .max = 120},
    {"preset", CH_KEY_WORD, .offset = FFMPEG(preset), .words = ch_preset_words},
    {"tune", CH_KEY_WORD, .offset = FFMPEG(tune), .words = ch_tune_words},
    {"always_encode", CH_KEY_BOOL, .offset = FFMPEG(always_encode)},
};

#define REGION(member) offsetof(struct ch_region_draft, member)
static const struct ch_key region_keys[] = {
    {"x", CH_KEY_INT, .offset = REGION(x), .min = 0, .max = 65535},
    {"y", CH_KEY_INT, .offset = REGION(y), .min = 0, .max = 65535},
    {"width", CH_KEY_INT, .offset = REGION(width), .min = 16, .max = 16384, .even = true},
    {"height", CH_KEY_INT, .offset = REGION(height), .min = 16, .max = 16384, .even = true},
};
const struct ch_section ch_section_region = {NULL, region_keys, COUNT(region_keys), sizeof(struct ch_region_draft),
                                             0,    false};

#define WINDOWS (1u << CH_SOURCE_WINDOW | 1u << CH_TYPE_WINDOW_REGION)
#define SCREENS (1u << CH_SOURCE_SCREEN | WINDOWS)
#define NETWORK (1u << CH_SOURCE_NETWORK)
#define DEVICE (1u << CH_SOURCE_DEVICE)
#define SOURCE(member) offsetof(struct ch_source_draft, member)
// Those of an item of the list `sources`; of the section `source`, all but the last two.
static const struct ch_key source_keys[] = {
    {"name", CH_KEY_TEXT, .offset = SOURCE(name), .wrong = name_wrong},
    {"type", CH_KEY_WORD, .offset = SOURCE(type), .words = ch_type_words},
    {"display", CH_KEY_TEXT, .offset = SOURCE(display), .wrong = display_wrong, .null = true, .types = SCREENS},
    {"display_index", CH_KEY_INT, .offset = SOURCE(display_index), .min = 0, .max = 15,
     .types = 1u << CH_SOURCE_SCREEN},
    {"window_title", CH_KEY_TEXT, .offset = SOURCE(window_title), .wrong = title_wrong, .null = true, .types = WINDOWS},
    {"find_by_substring", CH_KEY_BOOL, .offset = SOURCE(find_by_substring), .types = WINDOWS},
    {"draw_mouse", CH_KEY_BOOL, .offset = SOURCE(draw_mouse), .types = SCREENS},
    {"region", CH_KEY_SECTION, .offset = SOURCE(region), .section = &ch_section_region, .null = true},
    {"url", CH_KEY_TEXT, .offset = SOURCE(url), .wrong = ch_config_url_wrong, .null = true, .secret = true,
     .types = NETWORK},
    {"transport", CH_KEY_WORD, .offset = SOURCE(transport), .words = ch_transport_words, .types = NETWORK},
    {"timeout", CH_KEY_INT, .offset = SOURCE(timeout_us), .min = 100000, .max = 600000000, .types = NETWORK},
    {"reconnect_delay", CH_KEY_SECONDS, .offset = SOURCE(reconnect_us), .min = 0, .max = 3600 * S, .types = NETWORK},
    {"max_reconnect_attempts", CH_KEY_INT, .offset = SOURCE(attempts), .min = 0, .max = 1000, .types = NETWORK},
    {"device", CH_KEY_TEXT, .offset = SOURCE(device), .wrong = device_wrong, .types = DEVICE},
    {"input_format", CH_KEY_TEXT, .offset = SOURCE(input_format), .wrong = input_format_wrong, .null = true,
     .types = DEVICE},
    {"width", CH_KEY_INT, .offset = SOURCE(width), .min = 16, .max = 16384, .zero = true, .types = DEVICE},
    {"height", CH_KEY_INT, .offset = SOURCE(height), .min = 16, .max = 16384, .zero = true, .types = DEVICE},
    {"path", CH_KEY_TEXT, .offset = SOURCE(path), .wrong = path_wrong, .path = true, .types = 1u << CH_SOURCE_FILE},
    {"loop", CH_KEY_BOOL, .offset = SOURCE(loop), .types = 1u << CH_SOURCE_FILE},
    {"args", CH_KEY_LIST, .offset = SOURCE(args), .secret = true, .types = 1u << CH_SOURCE_FFMPEG},
    {"audio", CH_KEY_BOOL, .offset = SOURCE(audio)},
    {"audio_input", CH_KEY_LIST, .offset = SOURCE(audio_input), .secret = true, .null = true},
    {"record", CH_KEY_WORD, .offset = SOURCE(record), .words = ch_record_words},
    {"ffmpeg", .kind = CH_KEY_APART},
    {"process", .kind = CH_KEY_APART},
};
const struct ch_section ch_section_source_item = {NULL, source_keys, COUNT(source_keys), sizeof(struct ch_source_draft),
                                                  0,    true};

#define PROCESS(member) offsetof(struct ch_process_draft, member)
static const struct ch_key process_keys[] = {
    {"crash_threshold", CH_KEY_INT, .offset = PROCESS(crash_threshold), .min = 1, .max = 32},
    {"crash_window", CH_KEY_SECONDS, .offset = PROCESS(crash_window_us), .min = 1 * S, .max = 86400 * S},
    {"shutdown_timeout", CH_KEY_SECONDS, .offset = PROCESS(shutdown_timeout_us), .min = 0, .max = 86400 * S},
    {"stall_timeout", CH_KEY_SECONDS, .offset = PROCESS(stall_timeout_us), .min = 1 * S, .max = 3600 * S, .zero = true},
    {"nice", CH_KEY_INT, .offset = PROCESS(nice), .min = 0, .max = 19},
    {"memory_limit", CH_KEY_INT, .offset = PROCESS(memory_mib), .min = 256, .max = 1 << 20, .zero = true},
};

#define LOGGING(member) offsetof(struct ch_logging_draft, member)
static const struct ch_key logging_keys[] = {
    {"level", CH_KEY_WORD, .offset = LOGGING(level), .words = ch_level_words},
    {"file", CH_KEY_TEXT, .offset = LOGGING(file), .wrong = path_wrong, .path = true, .null = true},
};

#define OUTPUT(member) offsetof(struct ch_output_draft, member)
static const struct ch_key output_keys[] = {
    {"camera", CH_KEY_TEXT, .offset = OUTPUT(camera), .wrong = name_wrong},
    {"url", CH_KEY_TEXT, .offset = OUTPUT(url), .wrong = ch_config_output_url_wrong, .secret = true},
    {"name", CH_KEY_TEXT, .offset = OUTPUT(name), .wrong = name_wrong, .null = true},
    {"format", CH_KEY_WORD, .offset = OUTPUT(format), .words = ch_format_words, .null = true},
    {"process", .kind = CH_KEY_APART},
};
const struct ch_section ch_section_output = {NULL, output_keys, COUNT(output_keys), sizeof(struct ch_output_draft),
                                             0,    false};

// --- sections ---

#define IN_DRAFTS(member) sizeof(((struct ch_drafts *)NULL)->member), offsetof(struct ch_drafts, member)
const struct ch_section ch_section_hub = {"hub", hub_keys, COUNT(hub_keys), IN_DRAFTS(hub), false};
const struct ch_section ch_section_server = {"server", server_keys, COUNT(server_keys), IN_DRAFTS(server), false};
const struct ch_section ch_section_ffmpeg = {"ffmpeg", ffmpeg_keys, COUNT(ffmpeg_keys), IN_DRAFTS(ffmpeg), false};
const struct ch_section ch_section_source = {"source", source_keys, COUNT(source_keys) - 2, IN_DRAFTS(source), true};
const struct ch_section ch_section_process = {"process", process_keys, COUNT(process_keys), IN_DRAFTS(process), false};
const struct ch_section ch_section_logging = {"logging", logging_keys, COUNT(logging_keys), IN_DRAFTS(logging), false};
const struct ch_section *const ch_sections[CH_SECTIONS] = {&ch_section_hub,     &ch_section_server,
                                                           &ch_section_ffmpeg,  &ch_section_source,
                                                           &ch_section_process, &ch_section_logging};

const struct ch_drafts ch_config_defaults = {
    .hub = {.host = "0.0.0.0",
            .port = 50001,
            .recordings = "recordings",
            .h264 = true,
            .thumbnails = true,
            .sync_us = CH_SYNC_US,
            .max_message = CH_LIMIT_MESSAGE_BYTES},
    .server = {.host = "0.0.0.0", .port = 8765, .path = "/", .http_port = 8080},
    .ffmpeg = {.bitrate = "2M", .framerate = 30, .tune = 7},
    .source = {.type = CH_SOURCE_SCREEN,
               .find_by_substring = true,
               .draw_mouse = true,
               .transport = CH_TRANSPORT_AUTO,
               .timeout_us = 5 * S,
               .reconnect_us = 5 * S,
               .attempts = 3,
               .device = "/dev/video0",
               .loop = true,
               .audio = true},
    .process = {.crash_threshold = 3,
                .crash_window_us = 60 * S,
                .shutdown_timeout_us = 30 * S,
                .stall_timeout_us = 15 * S,
                .nice = CH_CHILD_NICE,
                .memory_mib = 4096},
    .logging = {.level = 1},
};

// --- questions ---

static size_t put_upper(char *out, size_t used, const char *word)
{
    for (; *word && used + 1 < CH_KEY_LINE_BYTES; word++)
        out[used++] = (char)toupper((unsigned char)*word);
    out[used] = '\0';
    return used;
}

void ch_key_variable(const struct ch_section *section, const struct ch_key *key, const struct ch_key *inner,
                     char out[CH_KEY_LINE_BYTES])
{
    size_t used = put_upper(out, 0, "CAMHUB_");
    used = put_upper(out, used, section->name);
    used = put_upper(out, used, "_");
    used = put_upper(out, used, key->name);
    if (inner) {
        used = put_upper(out, used, "_");
        put_upper(out, used, inner->name);
    }
}

bool ch_key_is_set(const void *draft, const struct ch_section *section, const char *name)
{
    uint64_t set;
    memcpy(&set, draft, sizeof set);
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->keys[i].name, name) == 0)
            return set >> i & 1u;
    return false;
}
