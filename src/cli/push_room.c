#include "cli/push_room.h"

#include "base/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_RATE 30u
#define DEFAULT_JPEG_RATE 10u
#define DEFAULT_WIDTH 1280
#define DEFAULT_HEIGHT 720
#define STAGGER_MS 5u         // between the first connections of two cameras
#define HOLD_BYTES (4u << 20) // unsent bytes of one camera that hold the encoder
#define HOLD_FAST_BYTES (512u << 10)

// --- the source -------------------------------------------------------------------------------------

__attribute__((format(printf, 2, 3))) static int refuse(int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("camhub push: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return error;
}

static int open_file(struct ch_push_room *room, const char *path)
{
    bool jpeg = room->options->jpeg;
    char culprit[256];
    int rc = jpeg ? ch_push_file_open_jpegs(&room->file, path, culprit, sizeof culprit)
                  : ch_push_file_open(&room->file, path);
    if (rc == -EBADMSG)
        return refuse(rc, "%s: %s is no whole JPEG", path, culprit);
    if (rc == -ENODATA)
        return refuse(rc, "%s: there is no %s in it", path, jpeg ? "JPEG" : "H.264 picture");
    if (rc < 0)
        return refuse(rc, "%s: %s", path, strerror(-rc));
    room->rate_num = room->file.rate_num ? room->file.rate_num : jpeg ? DEFAULT_JPEG_RATE : DEFAULT_RATE;
    room->rate_den = room->file.rate_num ? room->file.rate_den : 1;
    if (room->options->fps > 0) {
        room->rate_num = (uint32_t)room->options->fps;
        room->rate_den = 1;
    }
    return 0;
}

static int find_kind(struct ch_push_room *room)
{
    const char *path = room->options->source;
    bool jpeg = room->options->jpeg;
    struct stat st;
    room->kind = CH_PUSH_TEST;
    if (path && stat(path, &st))
        return refuse(-errno, "%s: %s", path, strerror(errno));
    if (path && S_ISCHR(st.st_mode))
        room->kind = CH_PUSH_DEVICE;
    else if (path && !S_ISREG(st.st_mode) && !(jpeg && S_ISDIR(st.st_mode)))
        return refuse(-EINVAL, "%s: neither a file nor a video device", path);
    else if (path)
        room->kind =
            (jpeg ? ch_push_file_is_jpegs(path) : ch_push_file_is_h264(path)) ? CH_PUSH_THROUGH : CH_PUSH_VIDEO;
    if (room->kind == CH_PUSH_THROUGH)
        return open_file(room, path);
    if (!ch_push_ffmpeg_found())
        return refuse(-ENOENT,
                      "cannot run '%s': %s needs ffmpeg (in PATH, or named by FFMPEG_BIN).\n"
                      "%s can be pushed without it.",
                      ch_push_ffmpeg_name(), path ? path : "the test picture",
                      jpeg ? "Files of JPEGs (.mjpeg) and folders of them" : "H.264 files (.264, .h264)");
    return 0;
}

// What a phone says about itself.
static char *make_capabilities(const struct ch_push_room *room)
{
    static const char *const models[] = {"camhub push (test picture)", "camhub push (video file)", "camhub push (V4L2)",
                                         "camhub push (H.264 file)"};
    int width = DEFAULT_WIDTH, height = DEFAULT_HEIGHT;
    if (room->kind == CH_PUSH_THROUGH && room->file.width) {
        width = (int)room->file.width;
        height = (int)room->file.height;
    } else if (room->options->width) {
        width = (int)room->options->width;
        height = (int)room->options->height;
    }
    json_t *text =
        json_pack("{s:s, s:s, s:i, s:[{s:i, s:i, s:s, s:s}], s:{s:i, s:i}}", "type", "capabilities", "deviceModel",
                  models[room->kind], "sdkInt", 34, "resolutions", "width", width, "height", height, "format",
                  "YUV_420_888", "lensFacing", "back", "imageAnalysisResolution", "width", width, "height", height);
    char *dump = text ? json_dumps(text, JSON_COMPACT) : NULL;
    json_decref(text);
    return dump;
}

// --- the encoder ------------------------------------------------------------------------------------

static void on_running(void *context)
{
    struct ch_push_room *room = context;
    for (unsigned i = 0; i < room->camera_count; i++)
        if (ch_push_camera_captures(&room->cameras[i]))
            ch_push_camera_begin(&room->cameras[i]);
}

static bool somebody_is_slow(const struct ch_push_room *room, size_t limit)
{
    for (unsigned i = 0; i < room->camera_count; i++)
        if (ch_push_camera_captures(&room->cameras[i]) && ch_push_ws_unsent(&room->cameras[i].ws) > limit)
            return true;
    return false;
}

static size_t hold_limit(const struct ch_push_room *room)
{
    return room->options->fast ? HOLD_FAST_BYTES : HOLD_BYTES;
}

static void on_picture(void *context, struct ch_push_payload *payload, int64_t device_ms, bool key)
{
    struct ch_push_room *room = context;
    for (unsigned i = 0; i < room->camera_count; i++)
        ch_push_camera_picture(&room->cameras[i], payload, device_ms, key);
    if (!room->held && somebody_is_slow(room, hold_limit(room))) {
        room->held = true;
        ch_push_encoder_pause(&room->encoder);
    }
}

void ch_push_room_relieve(struct ch_push_room *room)
{
    if (!room->held || somebody_is_slow(room, hold_limit(room) / 2))
        return;
    room->held = false;
    ch_push_encoder_resume(&room->encoder);
}

static void on_ended(void *context, const char *error)
{
    struct ch_push_room *room = context;
    room->held = false;
    for (unsigned i = 0; i < room->camera_count; i++)
        if (ch_push_camera_captures(&room->cameras[i]))
            ch_push_camera_source_ended(&room->cameras[i], error);
}

static const struct ch_push_encoder_events encoder_events = {
    .running = on_running, .picture = on_picture, .ended = on_ended};

static bool same_values(const struct ch_push_values *a, const struct ch_push_values *b)
{
    return a->fps == b->fps && a->bitrate_mbps == b->bitrate_mbps && a->aspect_w == b->aspect_w &&
           a->aspect_h == b->aspect_h && ch_push_sensor_same(&a->sensor, &b->sensor);
}

void ch_push_room_join(struct ch_push_room *room, struct ch_push_camera *camera, const struct ch_push_values *values)
{
    struct ch_push_encoder *encoder = &room->encoder;
    // A phone begins anew when it is told so; an ESP32 goes on if nothing is to change.
    bool anew = room->camera_count == 1 && !room->options->jpeg && ch_push_camera_captures(camera);
    camera->state = CH_PUSH_WAITING;
    // One start_capture goes to all cameras of a room: only the first of them (re)starts the encoder.
    if (encoder->wanted && same_values(values, &encoder->values) && !anew) {
        if (encoder->running)
            ch_push_camera_begin(camera);
        return;
    }
    for (unsigned i = 0; i < room->camera_count; i++)
        if (ch_push_camera_captures(&room->cameras[i]))
            room->cameras[i].state = CH_PUSH_WAITING;
    room->held = false;
    int rc = ch_push_encoder_start(encoder, values);
    if (rc < 0) {
        char why[300];
        snprintf(why, sizeof why, "cannot run %s: %s", ch_push_ffmpeg_name(), strerror(-rc));
        on_ended(room, why);
    }
}

void ch_push_room_leave(struct ch_push_room *room)
{
    if (room->kind == CH_PUSH_THROUGH)
        return;
    for (unsigned i = 0; i < room->camera_count; i++)
        if (ch_push_camera_captures(&room->cameras[i])) {
            ch_push_room_relieve(room); // perhaps it was the one that was waited for
            return;
        }
    room->held = false;
    ch_push_encoder_stop(&room->encoder);
}

// --- beginning and end --------------------------------------------------------------------------------

int ch_push_room_init(struct ch_push_room *room, uv_loop_t *loop, const struct ch_push_options *options)
{
    memset(room, 0, sizeof *room);
    room->loop = loop;
    room->options = options;
    int rc = find_kind(room);
    if (rc < 0)
        return rc;
    room->camera_count = options->cameras ? options->cameras : 1;
    room->cameras = calloc(room->camera_count, sizeof *room->cameras);
    room->capabilities = make_capabilities(room);
    if (room->cameras && room->capabilities)
        return 0;
    ch_push_room_deinit(room);
    return refuse(-ENOMEM, "out of memory");
}

void ch_push_room_deinit(struct ch_push_room *room)
{
    if (room->kind == CH_PUSH_THROUGH)
        ch_push_file_close(&room->file);
    free(room->cameras);
    free(room->capabilities);
}

void ch_push_room_start(struct ch_push_room *room, void (*over)(struct ch_push_room *room), void *context)
{
    room->over = over;
    room->context = context;
    if (room->kind != CH_PUSH_THROUGH)
        ch_push_encoder_init(&room->encoder, room->loop, room->options, room->kind, &encoder_events, room);
    for (unsigned i = 0; i < room->camera_count; i++) {
        ch_push_camera_init(&room->cameras[i], room, i);
        ch_push_camera_start(&room->cameras[i], (uint64_t)i * STAGGER_MS);
    }
}

void ch_push_room_stop(struct ch_push_room *room)
{
    if (room->stopping)
        return;
    room->stopping = true;
    for (unsigned i = 0; i < room->camera_count; i++)
        ch_push_camera_finish(&room->cameras[i]);
}

static void on_encoder_closed(struct ch_push_encoder *encoder)
{
    struct ch_push_room *room = encoder->context;
    room->over(room);
}

void ch_push_room_camera_done(struct ch_push_room *room, bool failed)
{
    room->done++;
    room->failed = room->failed || failed;
    if (failed && room->options->reconnect_us == 0)
        ch_push_room_stop(room); // without the whole room there is no point
    if (room->done < room->camera_count)
        return;
    if (room->kind == CH_PUSH_THROUGH)
        room->over(room);
    else
        ch_push_encoder_close(&room->encoder, on_encoder_closed);
}
