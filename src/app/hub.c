#include "app/hub.h"

#include "app/camera.h"
#include "app/events.h"
#include "app/feed.h"
#include "app/film.h"
#include "app/listener.h"
#include "app/output.h"
#include "app/peer.h"
#include "app/recordings.h"
#include "app/recovery.h"
#include "app/session.h"
#include "app/setup.h"
#include "app/snapshot.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUSEKEEPING_MS 1000
#define STOP_CHECK_MS 50

// --- the folder ---

static int open_recordings(struct ch_hub *hub)
{
    const char *path = hub->options.recordings;
    if (mkdir(path, 0755) < 0 && errno != EEXIST) {
        ch_log_error("recordings folder %s cannot be made: %s", path, strerror(errno));
        return -errno;
    }
    hub->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (hub->root < 0) {
        ch_log_error("recordings folder %s cannot be opened: %s", path, strerror(errno));
        return -errno;
    }
    // Found out now, not when the first frame comes.
    int fd = openat(hub->root, ".camhub-write-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        int rc = -errno;
        ch_log_error("recordings folder %s cannot be written: %s", path, strerror(-rc));
        close(hub->root);
        return rc;
    }
    close(fd);
    unlinkat(hub->root, ".camhub-write-test", 0);
    return 0;
}

// --- timers ---

static void on_housekeeping(uv_timer_t *timer)
{
    struct ch_hub *hub = timer->data;
    int64_t now = ch_clock_mono_us();
    if (!hub->stopping)
        ch_listeners_housekeep(hub);
    for (struct ch_peer *peer = hub->peers, *next; peer; peer = next) {
        next = peer->next;
        ch_peer_housekeep(peer, now);
    }
    for (struct ch_camera *camera = hub->cameras; camera; camera = camera->next)
        ch_camera_housekeep(camera, now);
    ch_feeds_housekeep(hub, now);
    ch_outputs_housekeep(hub, now);
    for (struct ch_session *session = hub->sessions; session; session = session->next)
        ch_session_housekeep(session, now);
    ch_events_housekeep(hub, now);
    if (hub->stopping && now - hub->stop_us > CH_LIMIT_SHUTDOWN_US / 2)
        ch_session_abandon_thumbnails(hub);
    ch_hub_check_stopped(hub);
}

static void on_tick(uv_timer_t *timer)
{
    struct ch_hub *hub = timer->data;
    for (struct ch_session *session = hub->sessions; session; session = session->next)
        ch_session_tick(session);
}

void ch_hub_sessions_changed(struct ch_hub *hub)
{
    bool wanted = hub->sessions, active = uv_is_active((uv_handle_t *)&hub->tick);
    if (wanted && !active && !uv_is_closing((uv_handle_t *)&hub->tick))
        uv_timer_start(&hub->tick, on_tick, CH_FLUSH_US / 1000, CH_FLUSH_US / 1000);
    else if (!wanted && active)
        uv_timer_stop(&hub->tick);
}

// --- life ---

int ch_hub_start(struct ch_hub *hub, const struct ch_options *options, uv_loop_t *loop)
{
    memset(hub, 0, sizeof *hub);
    hub->options = *options;
    hub->loop = loop;
    hub->started_us = ch_clock_mono_us();
    hub->max_peers = ch_listeners_peers_allowed();
    int rc = open_recordings(hub);
    if (rc < 0)
        return rc;
    char error[256];
    struct ch_listener *listener;
    rc = ch_listener_open(hub, options->host, options->port, true, &listener, error, sizeof error);
    if (rc < 0) {
        ch_log_error("%s", error);
        goto fail_root;
    }
    hub->port = listener->port;
    rc = ch_disk_start(&hub->disk, loop, CH_DISK_LANES);
    if (rc < 0) {
        ch_log_error("the disk thread cannot be started: %s", strerror(-rc));
        goto fail_listener;
    }
    rc = ch_events_start(hub);
    if (rc < 0) {
        ch_log_error("events cannot be started: %s", strerror(-rc));
        goto fail_disk;
    }
    rc = ch_recordings_start(hub);
    if (rc < 0) {
        ch_log_error("the list of recordings cannot be started: %s", strerror(-rc));
        goto fail_events;
    }
    uv_timer_init(loop, &hub->housekeeping);
    hub->housekeeping.data = hub;
    uv_timer_start(&hub->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
    uv_timer_init(loop, &hub->tick);
    hub->tick.data = hub;
    ch_viewer_holds_init(&hub->holds, loop);
    ch_recovery_start(hub);
    return 0;

fail_events:
    ch_events_stop(hub);
fail_disk:
    ch_disk_stop(&hub->disk);
fail_listener:
    ch_listeners_close_all(hub);
    uv_run(loop, UV_RUN_NOWAIT); // closed callbacks
fail_root:
    close(hub->root);
    return rc;
}

void ch_hub_stop(struct ch_hub *hub)
{
    if (hub->stopping)
        return;
    hub->stopping = true;
    atomic_store(&hub->ending, true);
    hub->stop_us = ch_clock_mono_us();
    ch_setup_clear(hub);
    ch_listeners_close_all(hub);
    ch_film_stop_all(hub);
    for (struct ch_camera *camera = hub->cameras; camera; camera = camera->next) {
        ch_camera_end_session(camera, "shutdown");
        ch_snapshot_forget(camera);
    }
    for (struct ch_peer *peer = hub->peers, *next; peer; peer = next) {
        next = peer->next;
        ch_peer_close(peer, CH_WS_GOING_AWAY, "The hub is shutting down");
    }
    uv_timer_start(&hub->housekeeping, on_housekeeping, STOP_CHECK_MS, STOP_CHECK_MS);
}

static void end(struct ch_hub *hub)
{
    ch_camera_free_all(hub);
    ch_viewer_holds_close(&hub->holds);
    ch_recordings_stop(hub);
    ch_events_stop(hub);
    uv_close((uv_handle_t *)&hub->housekeeping, NULL);
    uv_close((uv_handle_t *)&hub->tick, NULL);
    ch_disk_stop(&hub->disk);
    close(hub->root);
    hub->stopped(hub);
}

void ch_hub_check_stopped(struct ch_hub *hub)
{
    if (!hub->stopping || !hub->disk)
        return;
    int64_t since_us = ch_clock_mono_us() - hub->stop_us;
    bool late = since_us > CH_LIMIT_SHUTDOWN_US;
    if (!late && (hub->sessions || hub->works > 0 || ch_disk_pending(hub->disk) > 0))
        return;
    // Peers are given a moment for their side of the closing handshake, but not waited for.
    if (late || since_us >= CH_US_PER_S)
        for (struct ch_peer *peer = hub->peers; peer; peer = peer->next)
            ch_conn_close(&peer->conn);
    if (hub->peer_count == 0)
        end(hub);
}
