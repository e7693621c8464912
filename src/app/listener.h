// Sockets that are listened on: the hub's own address, and those of the screen streamer's that the configuration
// names (app/door.h). What is accepted becomes a peer that knows where it came in.
// One thread: the loop's.
#ifndef CH_APP_LISTENER_H
#define CH_APP_LISTENER_H

#include "app/hub.h"

struct ch_listener {
    struct ch_hub *hub;
    struct ch_listener *next; // in hub->listeners
    int fd;
    char *host; // as configured; owned
    uint16_t port;
    bool own;  // the hub's own address: all paths are there
    bool deaf; // not watched until the next housekeeping: no more peers can be taken
    uv_poll_t poll;
};

// 0, or a negative errno and what is wrong, in words.
int ch_listener_open(struct ch_hub *hub, const char *host, uint16_t port, bool own, struct ch_listener **out,
                     char *error, size_t error_bytes);
// Peers that came in here stay, as long as they are something already.
void ch_listener_close(struct ch_listener *listener);
void ch_listeners_close_all(struct ch_hub *hub);
void ch_listeners_housekeep(struct ch_hub *hub); // once per second
// Half of the descriptors are for peers; recordings, thumbnails and downloads need theirs.
unsigned ch_listeners_peers_allowed(void);

#endif
