#include "app/devconsole.h"

#include "app/api_commands.h"
#include "app/camera.h"
#include "app/events.h"
#include "app/live.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 4096u // of a command; consoles send short ones
#define MAX_CAMERAS 32   // whose pictures one console gets

struct ch_devconsole {
    struct ch_line_listener lines; // first: found by it
    struct ch_peer *peer;
    struct ch_devconsole *next, **self; // in hub->devconsoles
    char text[LINE_BYTES + 1];
    struct ch_viewing *viewings[MAX_CAMERAS];
    size_t count;
};

static struct ch_devconsole *console_of(const struct ch_ws *ws)
{
    return ((struct ch_peer *)ws->owner)->role_data;
}

// --- out ---

static void on_line(struct ch_line_listener *listener, const char *text, size_t size)
{
    struct ch_devconsole *console = (struct ch_devconsole *)listener;
    if (ch_ws_send_text(&console->peer->ws, text, size) == -ENOBUFS) // it does not read
        ch_peer_close(console->peer, CH_WS_POLICY, "Too slow");
}

// Of cameras that are gone.
static void drop_dead(struct ch_devconsole *console)
{
    size_t kept = 0;
    for (size_t i = 0; i < console->count; i++) {
        if (ch_viewing_camera(console->viewings[i]))
            console->viewings[kept++] = console->viewings[i];
        else
            ch_viewing_end(console->viewings[i]);
    }
    console->count = kept;
}

static void watch(struct ch_devconsole *console, struct ch_camera *camera)
{
    drop_dead(console);
    for (size_t i = 0; i < console->count; i++)
        if (ch_viewing_camera(console->viewings[i]) == camera)
            return;
    if (console->count == MAX_CAMERAS)
        return;
    struct ch_viewing *viewing = ch_live_attach(console->peer, camera);
    if (viewing)
        console->viewings[console->count++] = viewing;
}

void ch_devconsole_camera(struct ch_camera *camera)
{
    for (struct ch_devconsole *console = camera->hub->devconsoles; console; console = console->next)
        watch(console, camera);
}

// --- in ---

static uint8_t *on_room(struct ch_ws *ws, uint8_t opcode, size_t have, size_t add, bool last)
{
    struct ch_devconsole *console = console_of(ws);
    (void)last;
    if (opcode == CH_WS_BINARY)
        ch_ws_close(ws, CH_WS_UNSUPPORTED, "A console sends commands as text");
    else if (have + add > LINE_BYTES)
        ch_ws_close(ws, CH_WS_TOO_BIG, "A command has 4096 bytes at the most");
    return (uint8_t *)console->text; // not touched where the WebSocket is closed
}

static void on_message(struct ch_ws *ws, uint8_t opcode, size_t size)
{
    struct ch_devconsole *console = console_of(ws);
    (void)opcode;
    console->text[size] = '\0';
    struct ch_hub *hub = console->peer->hub;
    unsigned sent = ch_command_text_to_all(hub, console->text, size);
    ch_log(CH_LOG_INFO, CH_TAG_BROADCAST, "\"%.200s\" from the console at %s sent to %u camera%s", console->text,
           console->peer->conn.peer, sent, sent == 1 ? "" : "s");
}

static void stop(struct ch_devconsole *console)
{
    ch_events_remove_lines(&console->lines);
    for (size_t i = 0; i < console->count; i++)
        ch_viewing_end(console->viewings[i]);
    console->count = 0;
    if (!console->self)
        return;
    *console->self = console->next;
    if (console->next)
        console->next->self = console->self;
    console->self = NULL;
}

static void on_closing(struct ch_ws *ws)
{
    stop(console_of(ws));
}

static const struct ch_ws_ops ws_ops = {.room = on_room, .message = on_message, .closing = on_closing};

// --- the peer's calls ---

static void on_gone(struct ch_peer *peer)
{
    stop(peer->role_data);
    free(peer->role_data);
}

static void on_drained(struct ch_peer *peer)
{
    struct ch_devconsole *console = peer->role_data;
    for (size_t i = 0; i < console->count; i++)
        ch_viewing_room(console->viewings[i]);
}

static const struct ch_peer_role role = {.gone = on_gone, .drained = on_drained};

int ch_devconsole_open(struct ch_peer *peer)
{
    struct ch_hub *hub = peer->hub;
    struct ch_devconsole *console = calloc(1, sizeof *console);
    if (!console)
        return -ENOMEM;
    console->peer = peer;
    console->lines.line = on_line;
    console->next = hub->devconsoles;
    console->self = &hub->devconsoles;
    if (console->next)
        console->next->self = &console->next;
    hub->devconsoles = console;
    ch_peer_become(peer, &role, console, &ws_ops);
    ch_log(CH_LOG_INFO, CH_TAG_CONNECTION, "console connected from %s", peer->conn.peer);
    ch_events_add_lines(hub, &console->lines);
    for (struct ch_camera *camera = hub->cameras; camera; camera = camera->next)
        watch(console, camera);
    return 0;
}
