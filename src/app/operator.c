#include "app/operator.h"

#include "app/camera.h"
#include "app/feed.h"
#include "app/session.h"
#include "base/clock.h"
#include "base/log.h"
#include "proto/camera_h264.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <editline/readline.h>

#define LINE_BYTES 1024
#define PROMPT "camhub> "
#define HISTORY_LINES 200

struct ch_operator {
    struct ch_hub *hub;
    void (*quit)(void *context);
    void *context;
    bool terminal, prompting;
    // stdin of either kind
    uv_poll_t poll; // terminal
    uv_pipe_t pipe;
    uv_fs_t file;
    uv_handle_t *input;      // the one in use
    char buffer[LINE_BYTES]; // read, not yet a whole line
    size_t used;
    bool overlong; // skipping to the end of a line that is too long
    char chunk[LINE_BYTES];
    // Log lines of any thread, on their way to the terminal
    uv_async_t wakeup;
    pthread_mutex_t lock;
    char *lines;
    size_t lines_bytes, lines_capacity;
    unsigned closing;
};

// libedit calls back without a context.
static struct ch_operator *the_operator;

// --- what is printed ---

static void hide_prompt(struct ch_operator *op)
{
    if (op->prompting)
        fputs("\r\033[K", stdout);
}

static void show_prompt(struct ch_operator *op)
{
    if (op->prompting)
        rl_forced_update_display();
    fflush(stdout);
}

__attribute__((format(printf, 2, 3))) static void say(struct ch_operator *op, const char *format, ...)
{
    va_list args;
    hide_prompt(op);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    show_prompt(op);
}

static void print_lines(struct ch_operator *op)
{
    pthread_mutex_lock(&op->lock);
    char *lines = op->lines;
    size_t bytes = op->lines_bytes;
    op->lines = NULL;
    op->lines_bytes = op->lines_capacity = 0;
    pthread_mutex_unlock(&op->lock);
    if (bytes > 0) {
        hide_prompt(op);
        fflush(stdout);
        fwrite(lines, 1, bytes, stderr);
        show_prompt(op);
    }
    free(lines);
}

static void on_wakeup(uv_async_t *async)
{
    print_lines(async->data);
}

static void keep_line(void *context, const char *line)
{
    struct ch_operator *op = context;
    size_t size = strlen(line);
    pthread_mutex_lock(&op->lock);
    if (op->lines_bytes + size > op->lines_capacity) {
        size_t capacity = (op->lines_bytes + size) * 2;
        char *lines = capacity < (1u << 20) ? realloc(op->lines, capacity) : NULL;
        if (lines) {
            op->lines = lines;
            op->lines_capacity = capacity;
        }
    }
    if (op->lines_bytes + size <= op->lines_capacity) {
        memcpy(op->lines + op->lines_bytes, line, size);
        op->lines_bytes += size;
    }
    pthread_mutex_unlock(&op->lock);
    uv_async_send(&op->wakeup);
}

// --- commands ---

static void print_source(struct ch_operator *op, const struct ch_feed *feed)
{
    struct ch_source_facts facts;
    ch_feed_facts(feed, &facts);
    say(op, "  %-24s   source %s%s%s\n", "", ch_supervisor_state_name(facts.state), facts.error[0] ? ": " : "",
        facts.error);
}

static void print_camera(struct ch_operator *op, const struct ch_camera *camera)
{
    uint64_t frames = camera->stream ? ch_stream_counts(camera->stream)->pictures : 0;
    const struct ch_params *params = camera->stream ? ch_stream_params(camera->stream) : NULL;
    char size[32] = "";
    if (params)
        snprintf(size, sizeof size, "%ux%u, ", params->width, params->height);
    say(op, "  %-24s %-10s %s%llu frames, %llu lost%s%s\n", camera->name, ch_camera_state_name(camera->state), size,
        (unsigned long long)frames, (unsigned long long)camera->sequence.missing, camera->device_model ? ", " : "",
        camera->device_model ? camera->device_model : "");
    const struct ch_feed *feed = ch_feed_of(camera);
    if (feed)
        print_source(op, feed);
    if (camera->session && ch_recorder_id(camera->session->recorder)[0])
        say(op, "  %-24s   since %lld s in %s\n", "",
            (long long)((ch_clock_wall_us() - camera->session->started_us) / CH_US_PER_S),
            ch_recorder_id(camera->session->recorder));
}

static void print_status(struct ch_operator *op)
{
    struct ch_hub *hub = op->hub;
    unsigned cameras = 0, recording = 0;
    for (struct ch_camera *camera = hub->cameras; camera; camera = camera->next) {
        cameras += camera->link != NULL;
        recording += camera->session != NULL;
    }
    say(op, "%u camera%s connected, %u recording, recordings in %s\n", cameras, cameras == 1 ? "" : "s", recording,
        hub->options.recordings);
    for (struct ch_camera *camera = hub->cameras; camera; camera = camera->next)
        print_camera(op, camera);
}

// JPEG cameras have a grammar of their own: where no others are connected, there is nothing to complain about.
static bool only_jpeg_cameras(const struct ch_hub *hub)
{
    unsigned jpeg = 0, others = 0;
    for (const struct ch_camera *camera = hub->cameras; camera; camera = camera->next) {
        jpeg += camera->link && camera->kind == CH_CAMERA_JPEG;
        others += camera->link && camera->kind != CH_CAMERA_JPEG;
    }
    return jpeg > 0 && others == 0;
}

static void complain(const struct ch_command *command)
{
    if (command->bad_aspect)
        ch_log_error("aspect ratio \"%s\" is not W:H with two positive integers; 4:3 is used", command->bad_word[0]);
    if (command->bad_bitrate)
        ch_log_error("bitrate \"%s\" is not a positive integer (Mbit/s); %d is used", command->bad_word[1],
                     CH_COMMAND_DEFAULT_BITRATE);
    if (command->bad_fps)
        ch_log_error("frame rate \"%s\" is not an integer of 0 or more; %d is used", command->bad_word[2],
                     CH_COMMAND_DEFAULT_FPS);
}

// JPEG cameras are told the line as it was typed.
static void broadcast(struct ch_operator *op, const struct ch_command *command, const char *line, size_t size)
{
    char for_h264[CH_CAMERA_COMMAND_BYTES], for_jpeg[LINE_BYTES];
    struct ch_camera_message message = {.kind = command->kind, .for_h264 = for_h264, .for_jpeg = for_jpeg};
    bool as_typed = only_jpeg_cameras(op->hub);
    if (!as_typed)
        complain(command);
    ch_camera_write_command(command, for_h264);
    snprintf(for_jpeg, sizeof for_jpeg, "%.*s", (int)size, line);
    unsigned sent = ch_camera_command_all(op->hub, &message);
    const char *plural = sent == 1 ? "" : "s";
    if (as_typed)
        ch_log(CH_LOG_INFO, CH_TAG_BROADCAST, "\"%.100s\" sent to %u camera%s", for_jpeg, sent, plural);
    else if (command->kind == CH_COMMAND_STOP)
        ch_log(CH_LOG_INFO, CH_TAG_BROADCAST, "stop sent to %u camera%s", sent, plural);
    else if (command->aspect_w > 0)
        ch_log(CH_LOG_INFO, CH_TAG_BROADCAST, "start %d:%d, %d Mbit/s, %d frames/s sent to %u camera%s",
               command->aspect_w, command->aspect_h, command->bitrate_mbps, command->fps, sent, plural);
    else
        ch_log(CH_LOG_INFO, CH_TAG_BROADCAST, "start, %d Mbit/s, %d frames/s sent to %u camera%s",
               command->bitrate_mbps, command->fps, sent, plural);
}

static void run_line(struct ch_operator *op, const char *line, size_t size)
{
    struct ch_command command;
    ch_command_parse(line, size, &command);
    switch (command.kind) {
    case CH_COMMAND_EMPTY: break;
    case CH_COMMAND_START:
    case CH_COMMAND_STOP: broadcast(op, &command, line, size); break;
    case CH_COMMAND_STATUS: print_status(op); break;
    case CH_COMMAND_HELP: say(op, "%s", ch_command_help); break;
    case CH_COMMAND_QUIT: op->quit(op->context); break;
    case CH_COMMAND_UNKNOWN:
        ch_log_error("unknown command \"%.*s\"; help lists the commands", (int)(size < 100 ? size : 100), line);
        break;
    }
}

// --- a terminal ---

static void on_terminal_line(char *line)
{
    struct ch_operator *op = the_operator;
    op->prompting = false; // libedit has ended the line
    if (!line) {
        op->quit(op->context); // Ctrl-D
        return;
    }
    if (line[0])
        add_history(line);
    run_line(op, line, strlen(line));
    free(line);
}

static void on_terminal(uv_poll_t *poll, int status, int events)
{
    struct ch_operator *op = poll->data;
    (void)events;
    if (status == 0)
        rl_callback_read_char();
    if (op->prompting) {
        fflush(stdout);
        return;
    }
    // A line was taken. libedit would go on drawing it, so it starts afresh, with a prompt.
    rl_callback_handler_remove();
    print_lines(op);
    rl_callback_handler_install(PROMPT, on_terminal_line);
    op->prompting = true;
    fflush(stdout);
}

static int start_terminal(struct ch_operator *op)
{
    int rc = uv_poll_init(op->hub->loop, &op->poll, STDIN_FILENO);
    if (rc < 0)
        return rc;
    op->poll.data = op;
    op->input = (uv_handle_t *)&op->poll;
    op->terminal = true;
    the_operator = op;
    ch_log_set_writer(keep_line, op);
    using_history();
    stifle_history(HISTORY_LINES);
    rl_callback_handler_install(PROMPT, on_terminal_line);
    op->prompting = true;
    fflush(stdout);
    return uv_poll_start(&op->poll, UV_READABLE, on_terminal);
}

// --- a pipe or file ---

static void take_bytes(struct ch_operator *op, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\n') {
            if (op->used == sizeof op->buffer)
                op->overlong = true;
            else
                op->buffer[op->used++] = data[i];
            continue;
        }
        if (op->overlong)
            ch_log_error("a command line of over %d bytes is ignored", LINE_BYTES);
        else
            run_line(op, op->buffer, op->used);
        op->used = 0;
        op->overlong = false;
    }
}

static void take_rest(struct ch_operator *op)
{
    if (op->used > 0 && !op->overlong)
        run_line(op, op->buffer, op->used);
    op->used = 0;
}

static void give_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct ch_operator *op = handle->data;
    *buf = uv_buf_init(op->chunk, sizeof op->chunk);
}

static void on_pipe(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct ch_operator *op = stream->data;
    if (n > 0)
        take_bytes(op, buf->base, (size_t)n);
    if (n < 0) {
        take_rest(op);
        uv_read_stop(stream);
    }
}

static int start_pipe(struct ch_operator *op)
{
    int rc = uv_pipe_init(op->hub->loop, &op->pipe, 0);
    if (rc < 0)
        return rc;
    op->pipe.data = op;
    op->input = (uv_handle_t *)&op->pipe;
    rc = uv_pipe_open(&op->pipe, STDIN_FILENO);
    return rc < 0 ? rc : uv_read_start((uv_stream_t *)&op->pipe, give_chunk, on_pipe);
}

// A file is read once, from its beginning to its end, by the work pool.
static void on_file(uv_fs_t *request)
{
    struct ch_operator *op = request->data;
    ssize_t n = request->result;
    uv_fs_req_cleanup(request);
    if (op->closing) {
        free(op);
        return;
    }
    if (n <= 0) {
        take_rest(op);
        op->file.data = NULL;
        return;
    }
    take_bytes(op, op->chunk, (size_t)n);
    uv_buf_t buf = uv_buf_init(op->chunk, sizeof op->chunk);
    uv_fs_read(op->hub->loop, &op->file, STDIN_FILENO, &buf, 1, -1, on_file);
}

static int start_file(struct ch_operator *op)
{
    uv_buf_t buf = uv_buf_init(op->chunk, sizeof op->chunk);
    op->file.data = op;
    return uv_fs_read(op->hub->loop, &op->file, STDIN_FILENO, &buf, 1, -1, on_file);
}

// --- life ---

struct ch_operator *ch_operator_start(struct ch_hub *hub, void (*quit)(void *context), void *context)
{
    struct ch_operator *op = calloc(1, sizeof *op);
    if (!op)
        return NULL;
    op->hub = hub;
    op->quit = quit;
    op->context = context;
    pthread_mutex_init(&op->lock, NULL);
    uv_async_init(hub->loop, &op->wakeup, on_wakeup);
    op->wakeup.data = op;
    int rc = 0;
    switch (uv_guess_handle(STDIN_FILENO)) {
    case UV_TTY: rc = start_terminal(op); break;
    case UV_NAMED_PIPE: rc = start_pipe(op); break;
    case UV_FILE: rc = start_file(op); break;
    default: break; // a socket or a device: nobody types there
    }
    if (rc < 0)
        ch_log_warning("no commands from standard input: %s", uv_strerror(rc));
    return op;
}

static void on_closed(uv_handle_t *handle)
{
    struct ch_operator *op = handle->data;
    if (--op->closing > 0 || op->file.data)
        return;
    pthread_mutex_destroy(&op->lock);
    free(op->lines);
    free(op);
}

void ch_operator_stop(struct ch_operator *op)
{
    if (!op)
        return;
    if (op->terminal) {
        op->prompting = false;
        rl_callback_handler_remove();
        fputs("\r\033[K", stdout);
        fflush(stdout);
        ch_log_set_writer(NULL, NULL);
        print_lines(op);
        the_operator = NULL;
    }
    op->closing = 1;
    uv_close((uv_handle_t *)&op->wakeup, on_closed);
    if (op->input) {
        op->closing++;
        uv_close(op->input, on_closed);
    }
}
