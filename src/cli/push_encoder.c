#include "cli/push_encoder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST_OUTPUT_MS 15000u

int64_t ch_push_boot_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int take_picture(struct ch_push_encoder *encoder, const uint8_t *data, size_t size, int64_t time_ms, bool key)
{
    struct ch_push_payload *payload = ch_push_payload_new(size);
    if (!payload)
        return -ENOMEM;
    memcpy(payload->data, data, size);
    ch_push_payload_seal(payload);
    if (encoder->base_ms < 0) {
        uv_timer_stop(&encoder->timer);
        encoder->base_ms = ch_push_boot_ms();
        encoder->base_time_ms = time_ms;
    }
    int64_t device_ms = encoder->base_ms + time_ms - encoder->base_time_ms;
    encoder->events->picture(encoder->context, payload, device_ms > 0 ? device_ms : 0, key);
    ch_push_payload_unref(payload);
    return 0;
}

static void now_running(struct ch_push_encoder *encoder)
{
    encoder->running = true;
    uv_timer_stop(&encoder->timer);
    encoder->events->running(encoder->context);
}

static int take_sets(struct ch_push_encoder *encoder, const struct ch_flv_item *config)
{
    int64_t bytes = ch_flv_avcc_to_annexb(config->data, config->size, NULL, 0);
    if (bytes <= 0)
        return -EBADMSG;
    uint8_t *sets = malloc((size_t)bytes);
    if (!sets)
        return -ENOMEM;
    ch_flv_avcc_to_annexb(config->data, config->size, sets, (size_t)bytes);
    free(encoder->sets);
    encoder->sets = sets;
    encoder->sets_bytes = (size_t)bytes;
    if (!encoder->running)
        now_running(encoder);
    return 0;
}

static void forget_stream(struct ch_push_encoder *encoder)
{
    ch_flv_reader_clear(&encoder->flv);
    ch_push_mpjpeg_clear(&encoder->mpjpeg);
    free(encoder->sets);
    encoder->sets = NULL;
    encoder->sets_bytes = 0;
}

static int take_item(struct ch_push_encoder *encoder, const struct ch_flv_item *item)
{
    if (item->kind == CH_FLV_FOREIGN)
        return -EBADMSG;
    if (item->kind == CH_FLV_VIDEO_CONFIG)
        return take_sets(encoder, item);
    if (item->kind != CH_FLV_VIDEO || !encoder->running)
        return 0;
    ch_flv_picture_to_annexb(item->data, item->size);
    return take_picture(encoder, item->data, item->size, item->decode_ms + item->composition_ms, item->key);
}

// Each event may stop or restart the encoder: then the rest of the output is nobody's.
static int take_flv(struct ch_push_encoder *encoder, const uint8_t *data, size_t size)
{
    struct ch_flv_item item;
    int rc = ch_flv_reader_add(&encoder->flv, data, size);
    if (rc == 0)
        rc = ch_flv_reader_next(&encoder->flv, &item);
    while (rc == 1) {
        rc = take_item(encoder, &item);
        if (rc < 0 || encoder->mute)
            break;
        rc = ch_flv_reader_next(&encoder->flv, &item);
    }
    return rc;
}

static int take_mpjpeg(struct ch_push_encoder *encoder, const uint8_t *data, size_t size)
{
    const uint8_t *jpeg;
    size_t bytes;
    int rc = ch_push_mpjpeg_add(&encoder->mpjpeg, data, size);
    if (rc == 0)
        rc = ch_push_mpjpeg_next(&encoder->mpjpeg, &jpeg, &bytes);
    while (rc == 1) {
        if (!encoder->running)
            now_running(encoder);
        if (!encoder->mute)
            rc = take_picture(encoder, jpeg, bytes, 0, true); // JPEGs go without a time
        if (rc < 0 || encoder->mute)
            break;
        rc = ch_push_mpjpeg_next(&encoder->mpjpeg, &jpeg, &bytes);
    }
    return rc;
}

static void on_output(void *context, const uint8_t *data, size_t size)
{
    struct ch_push_encoder *encoder = context;
    if (encoder->mute || encoder->broken)
        return;
    int rc = encoder->options->jpeg ? take_mpjpeg(encoder, data, size) : take_flv(encoder, data, size);
    if (rc < 0 && !encoder->mute) {
        encoder->broken = true;
        ch_child_stop(&encoder->child);
    }
}

static void on_timeout(uv_timer_t *timer)
{
    struct ch_push_encoder *encoder = timer->data;
    encoder->late = true;
    ch_child_stop(&encoder->child);
}

static int start_child(struct ch_push_encoder *encoder)
{
    forget_stream(encoder);
    encoder->running = encoder->broken = encoder->late = encoder->mute = false;
    encoder->base_ms = -1;
    char **command = ch_push_ffmpeg_command(encoder->options, encoder->kind, &encoder->values);
    if (!command)
        return -ENOMEM;
    struct ch_child_options options = {
        .argv = (const char *const *)command, .helper = CH_CHILD_HELPER, .nice = CH_CHILD_NICE};
    int rc = ch_child_start(&encoder->child, &options);
    ch_push_ffmpeg_free(command);
    if (rc == 0)
        uv_timer_start(&encoder->timer, on_timeout, FIRST_OUTPUT_MS, 0);
    return rc;
}

// Some files ffmpeg cannot begin again by itself (bare H.264): another child does it. Not for H.264, which would go on
// with other parameter sets.
static bool loop(struct ch_push_encoder *encoder)
{
    bool wanted = encoder->options->loop && encoder->options->jpeg && encoder->kind == CH_PUSH_VIDEO;
    if (!wanted || start_child(encoder) < 0)
        return false;
    encoder->running = true; // nobody needs to know
    return true;
}

static void describe_exit(struct ch_push_encoder *encoder, const struct ch_child_exit *how, char *out, size_t room)
{
    char last[256];
    ch_child_last_error(&encoder->child, last, sizeof last);
    if (encoder->late)
        snprintf(out, room, "%s gave no picture within %u s", ch_push_ffmpeg_name(), FIRST_OUTPUT_MS / 1000);
    else if (encoder->broken)
        snprintf(out, room, "%s: its output is no %s", ch_push_ffmpeg_name(),
                 encoder->options->jpeg ? "stream of JPEGs" : "H.264 in FLV");
    else if (last[0])
        snprintf(out, room, "%s", last);
    else if (how->signal)
        snprintf(out, room, "%s was ended by signal %d (%s)", ch_push_ffmpeg_name(), how->signal,
                 strsignal(how->signal));
    else
        snprintf(out, room, "%s ended with status %d", ch_push_ffmpeg_name(), how->status);
}

static void on_exited(void *context, const struct ch_child_exit *how)
{
    struct ch_push_encoder *encoder = context;
    char why[512];
    uv_timer_stop(&encoder->timer);
    if (!encoder->wanted)
        return;
    if (encoder->mute) { // the old one has gone
        int rc = start_child(encoder);
        if (rc == 0)
            return;
        snprintf(why, sizeof why, "cannot run %s: %s", ch_push_ffmpeg_name(), strerror(-rc));
        encoder->wanted = false;
        encoder->events->ended(encoder->context, why);
        return;
    }
    // Without a picture it is a failure, whatever its exit status says.
    bool fine = how->signal == 0 && how->status == 0 && !encoder->broken && encoder->base_ms >= 0;
    if (fine && loop(encoder))
        return;
    encoder->wanted = false;
    if (!fine)
        describe_exit(encoder, how, why, sizeof why);
    encoder->events->ended(encoder->context, fine ? NULL : why);
}

static const struct ch_child_events child_events = {.output = on_output, .exited = on_exited};

int ch_push_encoder_init(struct ch_push_encoder *encoder, uv_loop_t *loop, const struct ch_push_options *options,
                         enum ch_push_kind kind, const struct ch_push_encoder_events *events, void *context)
{
    memset(encoder, 0, sizeof *encoder);
    encoder->options = options;
    encoder->kind = kind;
    encoder->events = events;
    encoder->context = context;
    int rc = uv_timer_init(loop, &encoder->timer);
    if (rc < 0)
        return rc;
    encoder->timer.data = encoder;
    return ch_child_init(&encoder->child, loop, &child_events, encoder);
}

int ch_push_encoder_start(struct ch_push_encoder *encoder, const struct ch_push_values *values)
{
    encoder->values = *values;
    encoder->wanted = true;
    if (ch_child_running(&encoder->child)) {
        encoder->mute = true;
        encoder->running = false;
        uv_timer_stop(&encoder->timer);
        ch_child_stop(&encoder->child);
        return 0;
    }
    int rc = start_child(encoder);
    if (rc < 0)
        encoder->wanted = false;
    return rc;
}

void ch_push_encoder_stop(struct ch_push_encoder *encoder)
{
    encoder->wanted = encoder->running = false;
    encoder->mute = true;
    uv_timer_stop(&encoder->timer);
    ch_child_stop(&encoder->child);
}

static void release(struct ch_push_encoder *encoder)
{
    if (--encoder->handles > 0)
        return;
    forget_stream(encoder);
    encoder->closed(encoder);
}

static void on_child_closed(struct ch_child *child)
{
    release(child->context);
}

static void on_timer_closed(uv_handle_t *timer)
{
    release(timer->data);
}

void ch_push_encoder_close(struct ch_push_encoder *encoder, void (*closed)(struct ch_push_encoder *encoder))
{
    encoder->closed = closed;
    encoder->wanted = encoder->running = false;
    encoder->mute = true;
    encoder->handles = 2;
    uv_close((uv_handle_t *)&encoder->timer, on_timer_closed);
    ch_child_close(&encoder->child, on_child_closed);
}

void ch_push_encoder_pause(struct ch_push_encoder *encoder)
{
    ch_child_pause(&encoder->child);
}

void ch_push_encoder_resume(struct ch_push_encoder *encoder)
{
    ch_child_resume(&encoder->child);
}
