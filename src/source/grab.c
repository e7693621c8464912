#include "source/grab.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <xcb/randr.h>
#include <xcb/xcb.h>

#define TIME_LIMIT_S 10 // for all that the X server is asked
#define TITLE_BYTES 512
#define TITLES_SHOWN 5
#define MAX_WINDOWS 4096
#define MAX_DEPTH 8 // of a tree of windows
#define MIN_SIDE 16
#define MAX_SIDE 16384
#define MAX_FRAMERATE 1000
#define INPUT_WORDS 20

struct request {
    const char *display; // NULL: of the environment
    int64_t index;
    const char *window; // title; NULL: a screen
    bool substring, no_mouse, has_region;
    unsigned x, y, width, height; // of the region
    int64_t framerate;
    char **command;
};

// What is grabbed.
struct place {
    xcb_window_t window; // 0: the root
    unsigned x, y, width, height;
};

struct server {
    xcb_connection_t *connection;
    const xcb_screen_t *screen;
    const char *name; // of the display, for messages
};

__attribute__((format(printf, 1, 2))) static int complain(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = ' ';
    fprintf(stderr, "camhub: %s\n", text);
    return 1;
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    static const char text[] = "camhub: the X server does not answer\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(1);
    _exit(1);
}

// --- arguments ------------------------------------------------------------------------------------

// "WxH+X+Y"
static int parse_region(const char *text, struct request *out)
{
    int end = -1;
    if (strspn(text, "0123456789x+") != strlen(text) || strlen(text) > 40 ||
        sscanf(text, "%5ux%5u+%5u+%5u%n", &out->width, &out->height, &out->x, &out->y, &end) != 4 || end < 0 ||
        text[end] != '\0')
        return -EINVAL;
    out->has_region = true;
    return 0;
}

static int parse(int argc, char **argv, struct request *out)
{
    *out = (struct request){.framerate = 30};
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        int rc = 0;
        if (strcmp(argv[i], "--substring") == 0) {
            out->substring = true;
            continue;
        }
        if (strcmp(argv[i], "--no-mouse") == 0) {
            out->no_mouse = true;
            continue;
        }
        if (strcmp(argv[i], "--display") == 0)
            out->display = value;
        else if (strcmp(argv[i], "--window") == 0)
            out->window = value;
        else if (strcmp(argv[i], "--index") == 0)
            rc = ch_parse_int(value, 0, 1000, &out->index);
        else if (strcmp(argv[i], "--framerate") == 0)
            rc = ch_parse_int(value, 1, MAX_FRAMERATE, &out->framerate);
        else if (strcmp(argv[i], "--region") == 0)
            rc = parse_region(value, out);
        else
            rc = -EINVAL;
        if (rc < 0)
            return rc;
        i++;
    }
    if (i + 1 >= argc)
        return -EINVAL;
    out->command = argv + i + 1;
    for (i = 0; out->command[i]; i++)
        if (strcmp(out->command[i], CH_GRAB_PLACE) == 0)
            return 0;
    return -EINVAL;
}

// --- the server -----------------------------------------------------------------------------------

static int connect_server(const struct request *request, struct server *out)
{
    int number = 0;
    const char *environment = getenv("DISPLAY");
    out->name = request->display ? request->display : environment ? environment : "";
    if (!out->name[0])
        return complain("no X display is named, neither in the configuration nor by DISPLAY");
    out->connection = xcb_connect(out->name, &number);
    if (xcb_connection_has_error(out->connection))
        return complain("the X server of display %s cannot be reached, or refuses us: does it run, and do DISPLAY and "
                        "XAUTHORITY (%s) fit?",
                        out->name, getenv("XAUTHORITY") ? getenv("XAUTHORITY") : "not set");
    xcb_screen_iterator_t screens = xcb_setup_roots_iterator(xcb_get_setup(out->connection));
    for (; screens.rem > 0; xcb_screen_next(&screens), number--)
        if (number == 0)
            out->screen = screens.data;
    return out->screen ? 0 : complain("display %s has no such screen", out->name);
}

static void disconnect_server(struct server *server)
{
    if (server->connection)
        xcb_disconnect(server->connection);
}

// --- screens --------------------------------------------------------------------------------------

// The monitors that RandR 1.5 knows; NULL if there is none. The caller frees it.
static xcb_randr_get_monitors_reply_t *ask_monitors(const struct server *server)
{
    xcb_connection_t *c = server->connection;
    const xcb_query_extension_reply_t *extension = xcb_get_extension_data(c, &xcb_randr_id);
    if (!extension || !extension->present)
        return NULL;
    xcb_randr_query_version_reply_t *version = xcb_randr_query_version_reply(c, xcb_randr_query_version(c, 1, 5), NULL);
    bool usable = version && (version->major_version > 1 || version->minor_version >= 5);
    free(version);
    return usable ? xcb_randr_get_monitors_reply(c, xcb_randr_get_monitors(c, server->screen->root, 1), NULL) : NULL;
}

static int find_screen(const struct server *server, const struct request *request, struct place *out)
{
    *out = (struct place){.width = server->screen->width_in_pixels, .height = server->screen->height_in_pixels};
    xcb_randr_get_monitors_reply_t *monitors = ask_monitors(server);
    int count = monitors ? xcb_randr_get_monitors_monitors_length(monitors) : 0;
    int rc = 0;
    if (request->index >= (count > 1 ? count : 1)) {
        rc = complain("display %s has %d monitor%s, and display_index begins with 0: there is no %" PRId64,
                      server->name, count > 1 ? count : 1, count > 1 ? "s" : "", request->index);
    } else if (count > 1) {
        xcb_randr_monitor_info_iterator_t it = xcb_randr_get_monitors_monitors_iterator(monitors);
        for (int64_t i = 0; i < request->index; i++)
            xcb_randr_monitor_info_next(&it);
        // A part of the screen, whatever is said of the monitor.
        unsigned x = it.data->x > 0 ? (unsigned)it.data->x : 0, y = it.data->y > 0 ? (unsigned)it.data->y : 0;
        unsigned right = x + it.data->width, bottom = y + it.data->height;
        right = right < out->width ? right : out->width;
        bottom = bottom < out->height ? bottom : out->height;
        *out =
            (struct place){.x = x, .y = y, .width = right > x ? right - x : 0, .height = bottom > y ? bottom - y : 0};
    }
    free(monitors);
    return rc;
}

// --- windows --------------------------------------------------------------------------------------

struct search {
    const struct server *server;
    const struct request *request;
    xcb_atom_t net_name, utf8, client_list, client_list_stacking;
    xcb_window_t found;
    unsigned matches, looked_at, titles;
    char found_title[TITLE_BYTES];
    char shown[TITLES_SHOWN * 64]; // titles of other windows, for the message
};

static xcb_atom_t ask_atom(xcb_connection_t *c, const char *name)
{
    xcb_intern_atom_reply_t *reply =
        xcb_intern_atom_reply(c, xcb_intern_atom(c, 1, (uint16_t)strlen(name), name), NULL);
    xcb_atom_t atom = reply ? reply->atom : XCB_ATOM_NONE;
    free(reply);
    return atom;
}

// ISO 8859-1, as a property of type STRING has it. Length.
static size_t latin1_to_utf8(const uint8_t *text, size_t size, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < size && n + 3 < room; i++) {
        if (text[i] >= 0x80) {
            out[n++] = (char)(0xC0 | text[i] >> 6);
            out[n++] = (char)(0x80 | (text[i] & 0x3F));
        } else {
            out[n++] = (char)text[i];
        }
    }
    return n;
}

static size_t ask_text(xcb_connection_t *c, xcb_window_t window, xcb_atom_t property, char *out, size_t room)
{
    if (property == XCB_ATOM_NONE)
        return 0;
    xcb_get_property_reply_t *reply =
        xcb_get_property_reply(c, xcb_get_property(c, 0, window, property, XCB_ATOM_ANY, 0, TITLE_BYTES / 4), NULL);
    size_t n = 0;
    if (reply && reply->format == 8) {
        size_t size = (size_t)xcb_get_property_value_length(reply);
        const uint8_t *text = xcb_get_property_value(reply);
        if (reply->type == XCB_ATOM_STRING) {
            n = latin1_to_utf8(text, size, out, room);
        } else {
            n = size < room - 1 ? size : room - 1;
            memcpy(out, text, n);
        }
    }
    free(reply);
    out[n] = '\0';
    return strlen(out);
}

static bool is_viewable(xcb_connection_t *c, xcb_window_t window)
{
    xcb_get_window_attributes_reply_t *reply =
        xcb_get_window_attributes_reply(c, xcb_get_window_attributes(c, window), NULL);
    bool viewable =
        reply && reply->map_state == XCB_MAP_STATE_VIEWABLE && reply->_class == XCB_WINDOW_CLASS_INPUT_OUTPUT;
    free(reply);
    return viewable;
}

static void consider(struct search *search, xcb_window_t window)
{
    xcb_connection_t *c = search->server->connection;
    char title[TITLE_BYTES] = "";
    if (ask_text(c, window, search->net_name, title, sizeof title) == 0 &&
        ask_text(c, window, XCB_ATOM_WM_NAME, title, sizeof title) == 0)
        return;
    if (!is_viewable(c, window))
        return;
    const char *wanted = search->request->window;
    bool fits = search->request->substring ? strcasestr(title, wanted) != NULL : strcmp(title, wanted) == 0;
    if (fits && search->matches++ == 0) {
        search->found = window;
        memcpy(search->found_title, title, sizeof title);
    }
    if (!fits && search->titles++ < TITLES_SHOWN) {
        size_t used = strlen(search->shown);
        snprintf(search->shown + used, sizeof search->shown - used, "%s\"%.50s\"", used ? ", " : "", title);
    }
}

// Those that a window manager lists; false if there is no such list.
static bool search_list(struct search *search, xcb_atom_t property)
{
    xcb_connection_t *c = search->server->connection;
    if (property == XCB_ATOM_NONE)
        return false;
    xcb_get_property_reply_t *reply = xcb_get_property_reply(
        c, xcb_get_property(c, 0, search->server->screen->root, property, XCB_ATOM_WINDOW, 0, MAX_WINDOWS), NULL);
    bool listed = reply && reply->format == 32 && reply->type == XCB_ATOM_WINDOW;
    if (listed) {
        const xcb_window_t *windows = xcb_get_property_value(reply);
        for (int i = xcb_get_property_value_length(reply) / 4 - 1; i >= 0; i--) // the uppermost is the last
            consider(search, windows[i]);
    }
    free(reply);
    return listed;
}

static void search_tree(struct search *search, xcb_window_t parent, int depth)
{
    xcb_connection_t *c = search->server->connection;
    xcb_query_tree_reply_t *reply = xcb_query_tree_reply(c, xcb_query_tree(c, parent), NULL);
    if (!reply)
        return;
    const xcb_window_t *windows = xcb_query_tree_children(reply);
    for (int i = xcb_query_tree_children_length(reply) - 1; i >= 0 && search->looked_at < MAX_WINDOWS; i--) {
        search->looked_at++;
        consider(search, windows[i]);
        if (depth < MAX_DEPTH)
            search_tree(search, windows[i], depth + 1);
    }
    free(reply);
}

static int find_window(const struct server *server, const struct request *request, struct place *out)
{
    xcb_connection_t *c = server->connection;
    struct search search = {.server = server, .request = request};
    search.net_name = ask_atom(c, "_NET_WM_NAME");
    search.client_list = ask_atom(c, "_NET_CLIENT_LIST");
    search.client_list_stacking = ask_atom(c, "_NET_CLIENT_LIST_STACKING");
    if (!search_list(&search, search.client_list_stacking) && !search_list(&search, search.client_list))
        search_tree(&search, server->screen->root, 0);
    if (search.matches == 0)
        return complain("no visible window on display %s is called \"%s\"%s%s%s%s", server->name, request->window,
                        request->substring ? " in part" : "", search.titles ? "; there is " : "; there is none at all",
                        search.shown, search.titles > TITLES_SHOWN ? ", ..." : "");
    if (search.matches > 1)
        complain("%u windows fit \"%s\"; the uppermost is taken: \"%.200s\"", search.matches, request->window,
                 search.found_title);
    xcb_get_geometry_reply_t *geometry = xcb_get_geometry_reply(c, xcb_get_geometry(c, search.found), NULL);
    if (!geometry)
        return complain("window \"%s\" was closed just now", search.found_title);
    *out = (struct place){.window = search.found, .width = geometry->width, .height = geometry->height};
    free(geometry);
    return 0;
}

// --- the command ----------------------------------------------------------------------------------

static int cut_region(const struct request *request, struct place *place)
{
    if (request->has_region) {
        if (request->width > place->width || request->x > place->width - request->width ||
            request->height > place->height || request->y > place->height - request->height)
            return complain("region %ux%u at %u,%u does not lie inside the %s, which is %ux%u", request->width,
                            request->height, request->x, request->y, request->window ? "window" : "screen",
                            place->width, place->height);
        place->x += request->x;
        place->y += request->y;
        place->width = request->width;
        place->height = request->height;
    }
    place->width &= ~1u;
    place->height &= ~1u;
    if (place->width < MIN_SIDE || place->height < MIN_SIDE || place->width > MAX_SIDE || place->height > MAX_SIDE)
        return complain("what there is to grab is %ux%u, and sides of %d to %d are possible", place->width,
                        place->height, MIN_SIDE, MAX_SIDE);
    return 0;
}

// A second process stays with the server, and ends ffmpeg, its parent, when the server is gone: x11grab of ffmpeg 5.1
// does not notice, and would deliver its last picture for ever. Without it (no memory) ffmpeg runs all the same.
static void watch_server(const char *display)
{
    pid_t ffmpeg = getpid();
    if (fork() != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != ffmpeg)
        _exit(0);
    close(STDIN_FILENO);
    close(STDOUT_FILENO); // its end is that of ffmpeg
    xcb_connection_t *connection = xcb_connect(display, NULL);
    for (xcb_generic_event_t *event; (event = xcb_wait_for_event(connection)); free(event))
        ;
    if (getppid() == ffmpeg) {
        complain("the X server of display %s is gone", display);
        kill(ffmpeg, SIGTERM);
    }
    _exit(0);
}

// Becomes the command, with the input in its place.
static int run(const struct request *request, const struct place *place, const char *display)
{
    char framerate[24], size[32], id[16], x[16], y[16];
    snprintf(framerate, sizeof framerate, "%" PRId64, request->framerate);
    snprintf(size, sizeof size, "%ux%u", place->width, place->height);
    snprintf(id, sizeof id, "%" PRIu32, place->window);
    snprintf(x, sizeof x, "%u", place->x);
    snprintf(y, sizeof y, "%u", place->y);
    // Without -fpsprobesize it would look at 20 pictures before the first one comes out.
    const char *input[INPUT_WORDS] = {"-fpsprobesize",
                                      "0",
                                      "-f",
                                      "x11grab",
                                      "-framerate",
                                      framerate,
                                      "-video_size",
                                      size,
                                      "-draw_mouse",
                                      request->no_mouse ? "0" : "1",
                                      "-grab_x",
                                      x,
                                      "-grab_y",
                                      y};
    size_t count = 14;
    if (place->window) {
        input[count++] = "-window_id";
        input[count++] = id;
    }
    input[count++] = "-i";
    input[count++] = display;

    size_t words = 0, n = 0;
    while (request->command[words])
        words++;
    const char **list = calloc(words + INPUT_WORDS + 1, sizeof *list);
    if (!list)
        return complain("no memory");
    bool placed = false;
    for (size_t i = 0; i < words; i++) {
        if (!placed && strcmp(request->command[i], CH_GRAB_PLACE) == 0) {
            memcpy(list + n, input, count * sizeof *input);
            n += count;
            placed = true;
        } else {
            list[n++] = request->command[i];
        }
    }
    watch_server(display);
    char *const *argv = (char *const *)(uintptr_t)list; // execvp does not write to it
    execvp(argv[0], argv);
    int error = errno;
    complain("cannot run %s: %s", argv[0], strerror(error));
    free(list);
    return error == ENOENT ? 127 : 126;
}

int ch_grab(int argc, char **argv)
{
    struct request request;
    if (parse(argc, argv, &request) < 0) {
        complain("%s is for camhub's own use", CH_GRAB_WORD);
        return 2;
    }
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    alarm(TIME_LIMIT_S);
    struct server server = {0};
    struct place place = {0};
    int rc = connect_server(&request, &server);
    if (rc == 0)
        rc = request.window ? find_window(&server, &request, &place) : find_screen(&server, &request, &place);
    if (rc == 0 && xcb_connection_has_error(server.connection))
        rc = complain("the X server of display %s went away", server.name);
    if (rc == 0)
        rc = cut_region(&request, &place);
    disconnect_server(&server);
    alarm(0);
    return rc != 0 ? rc : run(&request, &place, server.name);
}
