#include "cli/push_ffmpeg.h"

#include "proto/camera_jpeg.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORDS 80
#define TEST_WIDTH 1280u
#define TEST_HEIGHT 720u
#define TEST_FPS 30
#define MIN_SIDE 16u
#define FILTER_BYTES 320

// --- the words ------------------------------------------------------------------------------------

struct words {
    char **word;
    size_t count;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *words, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (words->count + 1 >= MAX_WORDS || vasprintf(&text, format, args) < 0) {
        words->failed = true;
        text = NULL;
    }
    va_end(args);
    if (text)
        words->word[words->count++] = text;
}

// Several fixed words, separated by blanks.
static void add_all(struct words *words, const char *text)
{
    while (*text) {
        int n = (int)strcspn(text, " ");
        add(words, "%.*s", n, text);
        text += n + (text[n] == ' ');
    }
}

void ch_push_ffmpeg_free(char **command)
{
    for (size_t i = 0; command && command[i]; i++)
        free(command[i]);
    free(command);
}

// --- what goes in, how it is cut, how it is encoded -------------------------------------------------

static int clamp(int value, int max)
{
    return value < max ? value : max;
}

// The largest even size of an aspect ratio inside width x height.
static void fit(unsigned *width, unsigned *height, int aspect_w, int aspect_h)
{
    uint64_t w = *width, h = *height, aw = (uint64_t)aspect_w, ah = (uint64_t)aspect_h;
    if (w * ah <= h * aw)
        h = w * ah / aw;
    else
        w = h * aw / ah;
    *width = w < MIN_SIDE ? MIN_SIDE : (unsigned)w & ~1u;
    *height = h < MIN_SIDE ? MIN_SIDE : (unsigned)h & ~1u;
}

// What is wanted of a picture, whoever asks for it.
struct shape {
    unsigned width, height; // 0, 0: as the source has it
    int aspect_w, aspect_h; // 0, 0: likewise; else cut out of the size
    int fps;                // 0: likewise
};

static struct shape shape_of(const struct ch_push_options *options, const struct ch_push_values *values)
{
    struct shape shape = {options->width, options->height, values->aspect_w, values->aspect_h, values->fps};
    if (options->jpeg) {
        ch_push_sensor_size(&values->sensor, &shape.width, &shape.height);
        shape.fps = values->sensor.value[CH_PUSH_FPS];
    }
    return shape;
}

// The test picture is drawn at the size wanted: cut out of a larger one, its clock would be lost.
static void add_test_input(struct words *words, const struct ch_push_options *options, const struct shape *shape)
{
    unsigned width = shape->width ? shape->width : TEST_WIDTH;
    unsigned height = shape->height ? shape->height : TEST_HEIGHT;
    int fps = shape->fps > 0 ? shape->fps : options->fps > 0 ? options->fps : TEST_FPS;
    if (shape->aspect_w > 0)
        fit(&width, &height, shape->aspect_w, shape->aspect_h);
    if (!options->fast)
        add(words, "-re");
    add_all(words, "-f lavfi -i");
    add(words, "testsrc2=size=%ux%u:rate=%d", width, height, clamp(fps, CH_PUSH_MAX_FPS));
}

static void add_video_input(struct words *words, const struct ch_push_options *options)
{
    if (!options->fast)
        add(words, "-re");
    if (options->loop)
        add_all(words, "-stream_loop -1");
    add(words, "-i");
    add(words, "file:%s", options->source); // whatever characters its name has
}

static void add_device_input(struct words *words, const struct ch_push_options *options, const struct shape *shape)
{
    add_all(words, "-f v4l2");
    if (options->fps > 0) {
        add(words, "-framerate");
        add(words, "%d", options->fps);
    }
    if (shape->width) {
        add(words, "-video_size");
        add(words, "%ux%u", shape->width, shape->height);
    }
    add(words, "-i");
    add(words, "%s", options->source);
}

// Centre crop to the aspect ratio, then the size, then the frame rate. All begin with a comma.
static void describe_shape(const struct shape *shape, char out[FILTER_BYTES])
{
    char crop[160] = ",crop=trunc(iw/2)*2:trunc(ih/2)*2", scale[64] = "", rate[32] = "";
    int aspect_w = shape->aspect_w, aspect_h = shape->aspect_h;
    if (aspect_w == 0 && shape->width) {
        aspect_w = (int)shape->width;
        aspect_h = (int)shape->height;
    }
    if (aspect_w > 0)
        snprintf(crop, sizeof crop,
                 ",crop=max(%u\\,trunc(min(iw\\,ih*%d/%d)/2)*2):max(%u\\,trunc(min(ih\\,iw*%d/%d)/2)*2)", MIN_SIDE,
                 aspect_w, aspect_h, MIN_SIDE, aspect_h, aspect_w);
    if (shape->width) {
        unsigned width = shape->width, height = shape->height;
        fit(&width, &height, aspect_w, aspect_h);
        snprintf(scale, sizeof scale, ",scale=%u:%u", width, height);
    }
    if (shape->fps > 0)
        snprintf(rate, sizeof rate, ",fps=%d", clamp(shape->fps, CH_PUSH_MAX_FPS));
    snprintf(out, FILTER_BYTES, "%s%s,setsar=1%s", crop, scale, rate);
}

// What the sensor does to the picture.
static void describe_sensor(const struct ch_push_sensor *sensor, char out[FILTER_BYTES])
{
    static const char *const brightness[] = {"-0.3", "-0.15", "0", "0.15", "0.3"};
    static const char *const contrast[] = {"0.6", "0.8", "1", "1.2", "1.4"};
    static const char *const saturation[] = {"0", "0.5", "1", "1.5", "2"};
    const int *value = sensor->value;
    char equaliser[80] = "";
    if (value[CH_PUSH_BRIGHTNESS] || value[CH_PUSH_CONTRAST] || value[CH_PUSH_SATURATION])
        snprintf(equaliser, sizeof equaliser, ",eq=brightness=%s:contrast=%s:saturation=%s",
                 brightness[value[CH_PUSH_BRIGHTNESS] + 2], contrast[value[CH_PUSH_CONTRAST] + 2],
                 saturation[value[CH_PUSH_SATURATION] + 2]);
    snprintf(out, FILTER_BYTES, "%s%s%s", equaliser, value[CH_PUSH_HMIRROR] ? ",hflip" : "",
             value[CH_PUSH_VFLIP] ? ",vflip" : "");
}

static void add_filters(struct words *words, const struct ch_push_options *options, enum ch_push_kind kind,
                        const struct ch_push_values *values)
{
    char shaped[FILTER_BYTES] = "", turned[FILTER_BYTES] = "";
    struct shape shape = shape_of(options, values);
    if (kind != CH_PUSH_TEST)
        describe_shape(&shape, shaped);
    if (options->jpeg)
        describe_sensor(&values->sensor, turned);
    if (!shaped[0] && !turned[0])
        return;
    add(words, "-vf");
    add(words, "%s%s", shaped[0] ? shaped + 1 : turned + 1, shaped[0] ? turned : "");
}

// 1 to 63 onto the encoder's 1 to 31.
static void add_jpeg_encoder(struct words *words, const struct ch_push_values *values)
{
    int quality = values->sensor.value[CH_PUSH_QUALITY];
    int scale = 1 + ((quality - CH_JPEG_QUALITY_MIN) * 30 + 31) / (CH_JPEG_QUALITY_MAX - CH_JPEG_QUALITY_MIN);
    add_all(words, "-map 0:v:0 -an -sn -dn -c:v mjpeg -huffman default -threads 1 -pix_fmt yuvj422p -qmin 1 -q:v");
    add(words, "%d", scale);
    add_all(words, "-f mpjpeg -flush_packets 1 pipe:1");
}

static void add_encoder(struct words *words, const struct ch_push_values *values)
{
    int bitrate = clamp(values->bitrate_mbps > 0 ? values->bitrate_mbps : 1, CH_PUSH_MAX_BITRATE);
    // One thread: one slice per picture, as a phone's hardware makes it.
    add_all(words, "-map 0:v:0 -an -sn -dn -c:v libx264 -profile:v baseline -preset ultrafast -tune zerolatency"
                   " -threads 1 -bf 0 -sc_threshold 0 -g 600 -forced-idr 1 -pix_fmt yuv420p -force_key_frames"
                   " expr:gte(t,n_forced)");
    static const char *const rates[] = {"-b:v", "-maxrate", "-bufsize"};
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
        add(words, "%s", rates[i]);
        add(words, "%dM", bitrate);
    }
    add_all(words, "-f flv -flvflags no_duration_filesize -flush_packets 1 pipe:1");
}

char **ch_push_ffmpeg_command(const struct ch_push_options *options, enum ch_push_kind kind,
                              const struct ch_push_values *values)
{
    struct words words = {.word = calloc(MAX_WORDS, sizeof *words.word)};
    if (!words.word)
        return NULL;
    add(&words, "%s", ch_push_ffmpeg_name());
    add_all(&words, "-hide_banner -nostdin -nostats -loglevel error");
    struct shape shape = shape_of(options, values);
    if (kind == CH_PUSH_TEST)
        add_test_input(&words, options, &shape);
    else if (kind == CH_PUSH_DEVICE)
        add_device_input(&words, options, &shape);
    else
        add_video_input(&words, options);
    add_filters(&words, options, kind, values);
    if (options->jpeg)
        add_jpeg_encoder(&words, values);
    else
        add_encoder(&words, values);
    if (words.failed) {
        ch_push_ffmpeg_free(words.word);
        return NULL;
    }
    return words.word;
}

// --- is there one ---------------------------------------------------------------------------------

const char *ch_push_ffmpeg_name(void)
{
    const char *name = getenv("FFMPEG_BIN");
    return name && *name ? name : "ffmpeg";
}

bool ch_push_ffmpeg_found(void)
{
    const char *name = ch_push_ffmpeg_name(), *path = getenv("PATH");
    if (strchr(name, '/'))
        return access(name, X_OK) == 0;
    while (path && *path) {
        char candidate[PATH_MAX];
        int n = (int)strcspn(path, ":");
        snprintf(candidate, sizeof candidate, "%.*s/%s", n, path, name);
        if (access(candidate, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}
