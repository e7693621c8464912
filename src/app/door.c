#include "app/door.h"

#include "app/camera.h"
#include "app/listener.h"
#include "app/live.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct door {
    struct door *next;
    struct ch_listener *listener; // borrowed; of both kinds, as nothing is lost by WebSocket on an HTTP port
    char *path, *source;          // owned
};

struct ch_doors {
    struct door *first; // in the order of the configuration
};

// --- HTTP paths ---

// /live.flv belongs to the one at "/", else to the first; every other has its own path in front of it.
static bool is_flv_of(const struct door *door, const char *path)
{
    size_t size = strcmp(door->path, "/") == 0 ? 0 : strlen(door->path);
    return strncmp(path, door->path, size) == 0 &&
           (strcmp(path + size, "/live.flv") == 0 || (size > 0 && strcmp(path + size, ".flv") == 0));
}

static const struct door *find_flv(const struct ch_doors *doors, const struct ch_listener *listener, const char *path)
{
    const struct door *first = NULL;
    for (const struct door *door = doors && listener ? doors->first : NULL; door; door = door->next) {
        if (door->listener != listener)
            continue;
        if (is_flv_of(door, path))
            return door;
        first = first ? first : door;
    }
    return strcmp(path, "/live.flv") == 0 ? first : NULL;
}

// --- life ---

static void log_doors(const struct ch_doors *doors)
{
    for (const struct door *door = doors->first; door; door = door->next) {
        const struct ch_listener *at = door->listener;
        bool plain = find_flv(doors, at, "/live.flv") == door;
        ch_log_info("%s: FLV at ws://%s:%u%s and http://%s:%u%s/live.flv", door->source, at->host, at->port, door->path,
                    at->host, at->port, plain ? "" : door->path);
    }
}

static void free_doors(struct ch_doors *doors)
{
    while (doors && doors->first) {
        struct door *door = doors->first;
        doors->first = door->next;
        free(door->path);
        free(door->source);
        free(door);
    }
    free(doors);
}

static struct ch_listener *find_listener(const struct ch_hub *hub, const char *host, uint16_t port)
{
    for (struct ch_listener *listener = hub->listeners; listener; listener = listener->next)
        if (listener->port == port && strcmp(listener->host, host) == 0)
            return listener;
    return NULL;
}

static struct ch_listener *get_listener(struct ch_hub *hub, const char *host, uint16_t port, int *rc)
{
    char error[256];
    struct ch_listener *listener = find_listener(hub, host, port);
    *rc = 0;
    if (listener)
        return listener;
    *rc = ch_listener_open(hub, host, port, false, &listener, error, sizeof error);
    if (*rc == 0)
        return listener;
    ch_log_error("%s", error);
    return NULL;
}

static int add_door(struct ch_doors *doors, struct ch_listener *listener, const struct ch_door_config *config)
{
    struct door *door = calloc(1, sizeof *door), **at = &doors->first;
    if (!door)
        return -ENOMEM;
    while (*at)
        at = &(*at)->next;
    *at = door;
    door->listener = listener;
    door->path = strdup(config->path);
    door->source = strdup(config->source);
    return door->path && door->source ? 0 : -ENOMEM;
}

static int make_doors(struct ch_hub *hub, const struct ch_config *config, struct ch_doors *doors)
{
    for (size_t i = 0; i < config->door_count; i++) {
        const struct ch_door_config *door = &config->doors[i];
        int rc;
        struct ch_listener *listener = get_listener(hub, door->host, door->port, &rc);
        rc = listener ? add_door(doors, listener, door) : rc;
        if (rc < 0)
            return rc;
        if (door->http_port == 0 || door->http_port == door->port)
            continue;
        listener = get_listener(hub, door->host, door->http_port, &rc); // the second address only: not worth the end
        if (listener && add_door(doors, listener, door) < 0)
            return -ENOMEM;
    }
    return 0;
}

static bool is_used(const struct ch_doors *doors, const struct ch_listener *listener)
{
    for (const struct door *door = doors ? doors->first : NULL; door; door = door->next)
        if (door->listener == listener)
            return true;
    return listener->own;
}

static void close_unused(struct ch_hub *hub)
{
    for (struct ch_listener *listener = hub->listeners, *next; listener; listener = next) {
        next = listener->next;
        if (!is_used(hub->doors, listener))
            ch_listener_close(listener);
    }
}

int ch_doors_set(struct ch_hub *hub, const struct ch_config *config)
{
    struct ch_doors *doors = calloc(1, sizeof *doors), *old = hub->doors;
    int rc = doors ? make_doors(hub, config, doors) : -ENOMEM;
    if (rc < 0) {
        free_doors(doors);
        close_unused(hub); // what was opened for the new ones
        return rc;
    }
    hub->doors = doors;
    free_doors(old);
    close_unused(hub);
    log_doors(doors);
    return 0;
}

void ch_doors_free(struct ch_hub *hub)
{
    free_doors(hub->doors);
    hub->doors = NULL;
}

// --- who is asked for ---

static bool is_here(const struct door *door, const struct ch_peer *peer)
{
    return peer->listener && door->listener == peer->listener;
}

static struct ch_camera *camera_of(struct ch_hub *hub, const struct door *door)
{
    return door ? ch_camera_find(hub, door->source) : NULL;
}

static const struct door *find_door(const struct ch_peer *peer, const char *path)
{
    const struct door *door = peer->hub->doors ? peer->hub->doors->first : NULL;
    while (door && !(is_here(door, peer) && strcmp(door->path, path) == 0))
        door = door->next;
    return door;
}

bool ch_door_at(const struct ch_peer *peer, const char *path)
{
    return find_door(peer, path);
}

const char *ch_door_open(struct ch_peer *peer, const struct ch_http_request *request, const char *path)
{
    struct ch_camera *camera = camera_of(peer->hub, find_door(peer, path));
    return camera ? ch_live_open_flv(peer, request, camera) : "Unknown endpoint";
}

bool ch_door_request(struct ch_peer *peer, const struct ch_http_request *request, const char *path)
{
    struct ch_camera *camera = camera_of(peer->hub, find_flv(peer->hub->doors, peer->listener, path));
    if (!camera)
        return false;
    ch_live_request_flv(peer, request, camera);
    return true;
}
