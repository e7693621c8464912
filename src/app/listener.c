#include "app/listener.h"

#include "app/peer.h"
#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_BATCH 64

unsigned ch_listeners_peers_allowed(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 > CH_LIMIT_CONNECTIONS)
        return CH_LIMIT_CONNECTIONS;
    return (unsigned)limit.rlim_cur / 2;
}

static void say_refusing(struct ch_hub *hub, const char *why)
{
    if (!hub->refusing)
        ch_log_error("no more connections than these %u: %s", hub->peer_count, why);
    hub->refusing = true;
}

// Whoever waits in the kernel's queue is served when there is room; until then the queue, which stays
// readable, is not looked at.
static void go_deaf(struct ch_listener *listener, const char *why)
{
    say_refusing(listener->hub, why);
    listener->deaf = true;
    uv_poll_stop(&listener->poll);
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    struct ch_listener *listener = poll->data;
    struct ch_hub *hub = listener->hub;
    (void)status, (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        if (hub->peer_count >= hub->max_peers) {
            go_deaf(listener, "the limit is reached");
            return;
        }
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            ch_peer_accept(listener, fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            go_deaf(listener, strerror(errno));
        if (fd < 0)
            return;
    }
}

void ch_listeners_housekeep(struct ch_hub *hub)
{
    if (hub->refusing && hub->peer_count < hub->max_peers / 8 * 7)
        hub->refusing = false;
    for (struct ch_listener *listener = hub->listeners; listener; listener = listener->next)
        if (listener->deaf && hub->peer_count < hub->max_peers) {
            listener->deaf = false;
            uv_poll_start(&listener->poll, UV_READABLE, on_accept);
        }
}

// --- life ---

int ch_listener_open(struct ch_hub *hub, const char *host, uint16_t port, bool own, struct ch_listener **out,
                     char *error, size_t error_bytes)
{
    struct ch_listener *listener = calloc(1, sizeof *listener);
    char *name = strdup(host);
    int rc = -ENOMEM;
    if (!listener || !name) {
        snprintf(error, error_bytes, "out of memory");
        goto fail;
    }
    *listener = (struct ch_listener){.hub = hub, .host = name, .own = own};
    rc = listener->fd = ch_listen(host, port, &listener->port, error, error_bytes);
    if (rc < 0)
        goto fail;
    uv_poll_init_socket(hub->loop, &listener->poll, listener->fd);
    listener->poll.data = listener;
    uv_poll_start(&listener->poll, UV_READABLE, on_accept);
    struct ch_listener **at = &hub->listeners;
    while (*at)
        at = &(*at)->next;
    *at = listener;
    *out = listener;
    return 0;

fail:
    free(name);
    free(listener);
    return rc;
}

static void on_closed(uv_handle_t *handle)
{
    struct ch_listener *listener = handle->data;
    free(listener->host);
    free(listener);
}

void ch_listener_close(struct ch_listener *listener)
{
    struct ch_hub *hub = listener->hub;
    struct ch_listener **at = &hub->listeners;
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    for (struct ch_peer *peer = hub->peers; peer; peer = peer->next)
        if (peer->listener == listener)
            peer->listener = NULL;
    uv_poll_stop(&listener->poll);
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    close(listener->fd);
}

void ch_listeners_close_all(struct ch_hub *hub)
{
    while (hub->listeners)
        ch_listener_close(hub->listeners);
}
