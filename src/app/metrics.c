#include "app/metrics.h"

#include "app/camera.h"
#include "app/events.h"
#include "app/feed.h"
#include "app/output.h"
#include "app/status.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// Text that grows. Everything after a failed allocation is thrown away.
struct page {
    char *text;
    size_t used, capacity;
    bool failed;
};

static void reserve(struct page *page, size_t more)
{
    if (page->failed || page->capacity - page->used > more)
        return;
    size_t capacity = 2 * (page->capacity + more) + 4096;
    char *text = realloc(page->text, capacity);
    page->failed = !text;
    page->text = text ? text : page->text;
    page->capacity = text ? capacity : page->capacity;
}

__attribute__((format(printf, 2, 3))) static void add(struct page *page, const char *format, ...)
{
    reserve(page, 512); // names have at most 64 bytes, output names likewise
    if (page->failed)
        return;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(page->text + page->used, page->capacity - page->used, format, args);
    va_end(args);
    page->used += (size_t)size < page->capacity - page->used ? (size_t)size : 0;
}

static void describe(struct page *page, const char *name, const char *type, const char *help)
{
    add(page, "# HELP camhub_%s %s\n# TYPE camhub_%s %s\n", name, help, name, type);
}

// --- the hub ---

static void add_hub(struct page *page, const struct ch_hub *hub)
{
    describe(page, "uptime_seconds", "gauge", "Since the hub was started.");
    add(page, "camhub_uptime_seconds %" PRId64 "\n", (ch_clock_mono_us() - hub->started_us) / CH_US_PER_S);
    describe(page, "connections", "gauge", "Open connections of any kind.");
    add(page, "camhub_connections %u\n", hub->peer_count);
    describe(page, "viewers", "gauge", "Live viewers of all cameras.");
    add(page, "camhub_viewers %u\n", hub->viewer_count);
    struct ch_status *status = ch_events_status(hub);
    uint64_t free_bytes, total_bytes;
    if (status && ch_status_disk(status, &free_bytes, &total_bytes)) {
        describe(page, "disk_free_bytes", "gauge", "Free where recordings go.");
        add(page, "camhub_disk_free_bytes %" PRIu64 "\n", free_bytes);
        describe(page, "disk_total_bytes", "gauge", "Size of the disk where recordings go.");
        add(page, "camhub_disk_total_bytes %" PRIu64 "\n", total_bytes);
    }
}

// --- cameras ---

struct metric {
    const char *name, *type, *help;
    uint64_t (*value)(const struct ch_camera *camera);
};

static struct ch_stream_counts counts_of(const struct ch_camera *camera)
{
    return camera->stream ? *ch_stream_counts(camera->stream) : (struct ch_stream_counts){0};
}

static uint64_t is_connected(const struct ch_camera *camera)
{
    return camera->link != NULL;
}

static uint64_t is_capturing(const struct ch_camera *camera)
{
    return camera->state == CH_CAMERA_CAPTURING || camera->state == CH_CAMERA_RECORDING;
}

static uint64_t is_recording(const struct ch_camera *camera)
{
    return camera->state == CH_CAMERA_RECORDING;
}

static uint64_t viewers_of(const struct ch_camera *camera)
{
    return camera->viewer_count;
}

static uint64_t pictures_of(const struct ch_camera *camera)
{
    return counts_of(camera).pictures;
}

static uint64_t audio_of(const struct ch_camera *camera)
{
    return counts_of(camera).audio_frames;
}

static uint64_t bytes_of(const struct ch_camera *camera)
{
    return counts_of(camera).payload_bytes;
}

static uint64_t lost_of(const struct ch_camera *camera)
{
    return camera->sequence.missing;
}

static const struct metric of_cameras[] = {
    {"camera_connected", "gauge", "1 if the camera is connected (a source: always).", is_connected},
    {"camera_capturing", "gauge", "1 if it sends pictures, recorded or not.", is_capturing},
    {"camera_recording", "gauge", "1 if it is recorded.", is_recording},
    {"camera_viewers", "gauge", "Live viewers.", viewers_of},
    {"camera_pictures_total", "counter", "Pictures received.", pictures_of},
    {"camera_audio_frames_total", "counter", "Audio frames received.", audio_of},
    {"camera_bytes_total", "counter", "Bytes of pictures and sound received.", bytes_of},
    {"camera_lost_total", "counter", "Messages that the camera numbered and that never came.", lost_of},
};

static void add_cameras(struct page *page, const struct ch_hub *hub)
{
    for (size_t i = 0; i < sizeof of_cameras / sizeof of_cameras[0]; i++) {
        describe(page, of_cameras[i].name, of_cameras[i].type, of_cameras[i].help);
        for (const struct ch_camera *camera = hub->cameras; camera; camera = camera->next)
            add(page, "camhub_%s{camera=\"%s\"} %" PRIu64 "\n", of_cameras[i].name, camera->name,
                of_cameras[i].value(camera));
    }
}

// --- sources and outputs ---

static void add_sources(struct page *page, const struct ch_hub *hub)
{
    static const struct {
        const char *name, *type, *help;
    } metrics[] = {
        {"source_running", "gauge", "1 if its ffmpeg delivers."},
        {"source_given_up", "gauge", "1 if it failed too often and waits for somebody new."},
        {"source_restarts_total", "counter", "Restarts after failures."},
        {"source_bytes_total", "counter", "Bytes received from its ffmpeg."},
        {"source_packets_total", "counter", "Pictures, audio frames and configurations received from it."},
    };
    for (size_t i = 0; hub->feeds && i < sizeof metrics / sizeof metrics[0]; i++) {
        describe(page, metrics[i].name, metrics[i].type, metrics[i].help);
        for (const struct ch_feed *feed = hub->feeds; feed; feed = ch_feed_next(feed)) {
            struct ch_source_facts facts;
            ch_feed_facts(feed, &facts);
            bool running = facts.state == CH_SUPERVISOR_RUNNING || facts.state == CH_SUPERVISOR_LINGERING;
            const uint64_t values[] = {running, facts.state == CH_SUPERVISOR_GIVEN_UP, facts.restarts, facts.bytes,
                                       facts.packets};
            add(page, "camhub_%s{camera=\"%s\"} %" PRIu64 "\n", metrics[i].name, ch_feed_config(feed)->name, values[i]);
        }
    }
}

static void add_outputs(struct page *page, const struct ch_hub *hub)
{
    static const struct {
        const char *name, *type, *help;
    } metrics[] = {
        {"output_running", "gauge", "1 if its ffmpeg takes what it is given."},
        {"output_restarts_total", "counter", "Restarts after failures."},
        {"output_bytes_total", "counter", "Bytes given to its ffmpeg."},
        {"output_frames_total", "counter", "Pictures and audio frames given to it."},
        {"output_dropped_total", "counter", "Pictures left out, because it did not take them in time."},
    };
    for (size_t i = 0; hub->outputs && i < sizeof metrics / sizeof metrics[0]; i++) {
        describe(page, metrics[i].name, metrics[i].type, metrics[i].help);
        struct ch_output_facts facts;
        for (unsigned n = 0; ch_output_facts(hub, n, &facts); n++) {
            const uint64_t values[] = {facts.running, facts.restarts, facts.bytes, facts.frames, facts.dropped};
            add(page, "camhub_%s{camera=\"%s\",output=\"%s\"} %" PRIu64 "\n", metrics[i].name, facts.camera, facts.name,
                values[i]);
        }
    }
}

void ch_metrics_reply(struct ch_peer *peer)
{
    struct page page = {0};
    add_hub(&page, peer->hub);
    add_cameras(&page, peer->hub);
    add_sources(&page, peer->hub);
    add_outputs(&page, peer->hub);
    if (page.failed)
        ch_peer_reply_error(peer, 500, "memory", "out of memory");
    else
        ch_peer_reply(peer, 200, "text/plain; version=0.0.4; charset=utf-8", "Cache-Control: no-store\r\n", page.text,
                      page.used);
    free(page.text);
}
