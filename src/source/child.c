#include "source/child.h"

#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

// stderr is read at no more than this per tick; then the child waits.
#define ERRORS_PER_TICK (256u << 10)
#define TICK_MS 100
// Output may be held open by a process that left the group; it gets this long after the leader's end.
#define DRAIN_MS 1000

enum {
    STATE_IDLE,
    STATE_RUNNING,
    STATE_REAPED, // the process has ended, its output perhaps not
    STATE_ENDING, // the run's handles are being closed
    STATE_CLOSED,
};

static void on_timer(uv_timer_t *timer);
static void close_timers(struct ch_child *child);

int ch_child_init(struct ch_child *child, uv_loop_t *loop, const struct ch_child_events *events, void *context)
{
    memset(child, 0, sizeof *child);
    child->loop = loop;
    child->events = events;
    child->context = context;
    int rc = uv_timer_init(loop, &child->timer);
    if (rc < 0)
        return rc;
    rc = uv_timer_init(loop, &child->throttle);
    if (rc < 0)
        return rc;
    child->timer.data = child->throttle.data = child;
    return 0;
}

bool ch_child_running(const struct ch_child *child)
{
    return child->state == STATE_RUNNING || child->state == STATE_REAPED ||
           (child->state == STATE_ENDING && !child->start_failed);
}

int ch_child_pid(const struct ch_child *child)
{
    return child->state == STATE_RUNNING ? uv_process_get_pid(&child->process) : 0;
}

// The child called setsid, so its process group has its own number.
static void signal_group(struct ch_child *child, int signal)
{
    int pid = uv_process_get_pid(&child->process);
    if (pid > 1)
        kill(-pid, signal);
}

// --- the end of a run -------------------------------------------------------------------------

static void run_over(struct ch_child *child)
{
    child->state = STATE_IDLE;
    if (child->closing) {
        close_timers(child);
        return;
    }
    if (!child->start_failed && child->events->exited)
        child->events->exited(child->context, &child->how);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct ch_child *child = handle->data;
    if (--child->handles > 0)
        return;
    if (child->state == STATE_ENDING)
        run_over(child);
    else
        child->closed(child);
}

static void close_timers(struct ch_child *child)
{
    child->state = STATE_CLOSED;
    child->handles = 2;
    uv_close((uv_handle_t *)&child->timer, on_handle_closed);
    uv_close((uv_handle_t *)&child->throttle, on_handle_closed);
}

static void end_run(struct ch_child *child)
{
    child->state = STATE_ENDING;
    child->handles = child->has_in ? 4 : 3;
    uv_timer_stop(&child->timer);
    uv_timer_stop(&child->throttle);
    uv_close((uv_handle_t *)&child->process, on_handle_closed);
    uv_close((uv_handle_t *)&child->out, on_handle_closed);
    uv_close((uv_handle_t *)&child->err, on_handle_closed);
    if (child->has_in)
        uv_close((uv_handle_t *)&child->in, on_handle_closed);
}

static void end_run_if_drained(struct ch_child *child)
{
    if (child->state == STATE_REAPED && (child->closing || (child->out_ended && child->err_ended)))
        end_run(child);
}

// Once the process is gone, the wait for the rest of its output is limited; while the owner holds the
// output back, no time passes.
static void limit_drain(struct ch_child *child)
{
    if (child->paused)
        uv_timer_stop(&child->timer);
    else
        uv_timer_start(&child->timer, on_timer, DRAIN_MS, 0);
}

static void on_ended(uv_process_t *process, int64_t status, int signal)
{
    struct ch_child *child = process->data;
    // What the child left behind in its group. Its number cannot have gone to another group in the
    // moment since the process was reaped, short of a whole cycle of process numbers.
    signal_group(child, SIGKILL);
    child->state = STATE_REAPED;
    child->how.status = (int)status;
    child->how.signal = signal;
    limit_drain(child);
    end_run_if_drained(child);
}

static uint64_t timer_ms(int64_t us)
{
    return us <= 0 ? 0 : (uint64_t)(us + 999) / 1000;
}

static void terminate(struct ch_child *child)
{
    signal_group(child, SIGTERM);
    uv_timer_start(&child->timer, on_timer, timer_ms(child->grace_us), 0);
    ch_child_resume(child); // it may be blocked in a write
}

static void on_timer(uv_timer_t *timer)
{
    struct ch_child *child = timer->data;
    if (child->state == STATE_REAPED) {
        end_run(child);
    } else if (child->state == STATE_RUNNING && !child->how.stopped && !child->how.timed_out) {
        child->how.timed_out = true;
        terminate(child);
    } else if (child->state == STATE_RUNNING) {
        signal_group(child, SIGKILL);
    }
}

void ch_child_stop(struct ch_child *child)
{
    if (child->state == STATE_REAPED)
        ch_child_resume(child); // only its output is left
    if (child->state != STATE_RUNNING || child->how.stopped)
        return;
    child->how.stopped = true;
    if (!child->how.timed_out)
        terminate(child);
}

void ch_child_close(struct ch_child *child, void (*closed)(struct ch_child *child))
{
    if (child->closing)
        return;
    child->closing = true;
    child->closed = closed;
    if (child->state == STATE_RUNNING)
        signal_group(child, SIGKILL);
    else if (child->state == STATE_REAPED)
        end_run(child);
    else if (child->state == STATE_IDLE)
        close_timers(child);
}

// --- output -----------------------------------------------------------------------------------

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct ch_child *child = handle->data;
    (void)suggested;
    *buf = uv_buf_init(child->buffer, sizeof child->buffer);
}

static void on_out(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct ch_child *child = stream->data;
    if (n == 0 || child->closing)
        return;
    if (child->state == STATE_REAPED)
        limit_drain(child);
    if (n > 0) {
        if (child->events->output)
            child->events->output(child->context, (const uint8_t *)buf->base, (size_t)n);
        return;
    }
    uv_read_stop(stream);
    child->out_ended = true;
    end_run_if_drained(child);
}

// Keeps the last bytes of stderr.
static void keep_errors(struct ch_child *child, const char *data, size_t size)
{
    if (size > sizeof child->errors) {
        data += size - sizeof child->errors;
        size = sizeof child->errors;
    }
    size_t keep = sizeof child->errors - size;
    if (keep > child->errors_used)
        keep = child->errors_used;
    memmove(child->errors, child->errors + child->errors_used - keep, keep);
    memcpy(child->errors + keep, data, size);
    child->errors_used = keep + size;
}

static void on_err(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_throttle(uv_timer_t *timer)
{
    struct ch_child *child = timer->data;
    child->err_window_bytes = 0;
    if (!child->err_held || (child->state != STATE_RUNNING && child->state != STATE_REAPED))
        return;
    child->err_held = false;
    uv_read_start((uv_stream_t *)&child->err, on_alloc, on_err);
}

static void on_err(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct ch_child *child = stream->data;
    if (n == 0 || child->closing)
        return;
    if (n < 0) {
        uv_read_stop(stream);
        child->err_ended = true;
        end_run_if_drained(child);
        return;
    }
    keep_errors(child, buf->base, (size_t)n);
    if (child->err_window_bytes == 0)
        uv_timer_start(&child->throttle, on_throttle, TICK_MS, 0);
    child->err_window_bytes += (size_t)n;
    if (child->err_window_bytes > ERRORS_PER_TICK) {
        child->err_held = true;
        uv_read_stop(stream);
    }
}

void ch_child_pause(struct ch_child *child)
{
    if (child->paused || (child->state != STATE_RUNNING && child->state != STATE_REAPED))
        return;
    child->paused = true;
    uv_read_stop((uv_stream_t *)&child->out);
    if (child->state == STATE_REAPED)
        limit_drain(child);
}

void ch_child_resume(struct ch_child *child)
{
    if (!child->paused || (child->state != STATE_RUNNING && child->state != STATE_REAPED))
        return;
    child->paused = false;
    if (!child->out_ended)
        uv_read_start((uv_stream_t *)&child->out, on_alloc, on_out);
    if (child->state == STATE_REAPED)
        limit_drain(child);
}

// --- stdin ------------------------------------------------------------------------------------

struct feed {
    uv_write_t request;
    struct ch_child *child;
    size_t size;
    char data[];
};

static void on_fed(uv_write_t *request, int status)
{
    struct feed *feed = request->data;
    struct ch_child *child = feed->child;
    child->unwritten_bytes -= feed->size;
    free(feed);
    if (status < 0)
        child->in_failed = true;
    else if (child->unwritten_bytes == 0 && child->state == STATE_RUNNING && !child->closing && child->events->fed)
        child->events->fed(child->context);
}

int ch_child_write(struct ch_child *child, const void *data, size_t size)
{
    if (child->state != STATE_RUNNING || !child->has_in || child->in_failed || child->closing || size > UINT_MAX)
        return -EPIPE;
    struct feed *feed = malloc(sizeof *feed + size);
    if (!feed)
        return -ENOMEM;
    memcpy(feed->data, data, size);
    feed->child = child;
    feed->size = size;
    feed->request.data = feed;
    uv_buf_t buf = uv_buf_init(feed->data, (unsigned)size);
    if (uv_write(&feed->request, (uv_stream_t *)&child->in, &buf, 1, on_fed) < 0) {
        free(feed);
        child->in_failed = true;
        return -EPIPE;
    }
    child->unwritten_bytes += size;
    return 0;
}

size_t ch_child_unwritten(const struct ch_child *child)
{
    return child->unwritten_bytes;
}

static void on_input_ended(uv_shutdown_t *request, int status)
{
    (void)status;
    free(request);
}

void ch_child_end_input(struct ch_child *child)
{
    if (child->state != STATE_RUNNING || !child->has_in || child->in_failed)
        return;
    child->in_failed = true; // nothing more may be written
    uv_shutdown_t *request = malloc(sizeof *request);
    if (!request || uv_shutdown(request, (uv_stream_t *)&child->in, on_input_ended) < 0)
        free(request);
}

// --- the start of a run -----------------------------------------------------------------------

#define MAX_HELPER_WORDS 12

// Room for what goes in front of the command when the helper starts it.
struct words {
    char parent[16], nice[16], space[24], files[24];
    char **argv; // owned; its strings are not
};

static char word_name[] = "camhub", word_helper[] = CH_CHILD_HELPER_WORD, word_parent[] = "--parent",
            word_nice[] = "--nice", word_space[] = "--address-space", word_files[] = "--open-files", word_end[] = "--";

static int make_words(struct words *words, const struct ch_child_options *options)
{
    size_t count = 0, n = 0;
    while (options->argv[count])
        count++;
    words->argv = calloc(count + MAX_HELPER_WORDS, sizeof *words->argv);
    if (!words->argv)
        return -ENOMEM;
    if (options->helper) {
        snprintf(words->parent, sizeof words->parent, "%d", (int)getpid());
        snprintf(words->nice, sizeof words->nice, "%d", options->nice);
        snprintf(words->space, sizeof words->space, "%llu", (unsigned long long)options->address_space_bytes);
        snprintf(words->files, sizeof words->files, "%llu", (unsigned long long)options->open_files);
        char *front[] = {word_name,  word_helper,  word_parent, words->parent, word_nice, words->nice,
                         word_space, words->space, word_files,  words->files,  word_end};
        n = sizeof front / sizeof *front;
        memcpy(words->argv, front, sizeof front);
    }
    memcpy(words->argv + n, options->argv, count * sizeof *words->argv);
    return 0;
}

static void raise_nice(int pid, int nice)
{
    if (nice > getpriority(PRIO_PROCESS, (id_t)pid))
        setpriority(PRIO_PROCESS, (id_t)pid, nice);
}

static void set_limit(int pid, int resource, uint64_t value)
{
    struct rlimit limit;
    if (value == 0 || prlimit(pid, resource, NULL, &limit))
        return;
    if (limit.rlim_max > value)
        limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    prlimit(pid, resource, &limit, NULL);
}

// Both bring the process under the limits as far as the system lets us; a limit that cannot be set is
// no reason not to run.
static void set_limits(int pid, int nice, uint64_t address_space_bytes, uint64_t open_files)
{
    raise_nice(pid, nice);
    set_limit(pid, RLIMIT_NOFILE, open_files);
    set_limit(pid, RLIMIT_AS, address_space_bytes);
}

static void reset_run(struct ch_child *child, const struct ch_child_options *options)
{
    child->how = (struct ch_child_exit){0};
    child->grace_us = options->grace_us > 0 ? options->grace_us : CH_CHILD_GRACE_US;
    child->has_in = options->feed;
    child->start_failed = child->paused = child->out_ended = child->err_ended = false;
    child->err_held = child->in_failed = false;
    child->err_window_bytes = 0;
    child->errors_used = 0;
    uv_pipe_init(child->loop, &child->out, 0);
    uv_pipe_init(child->loop, &child->err, 0);
    if (child->has_in)
        uv_pipe_init(child->loop, &child->in, 0);
    child->process.data = child->out.data = child->err.data = child->in.data = child;
}

static int spawn(struct ch_child *child, const struct ch_child_options *options, char **argv)
{
    const uv_stdio_flags output = UV_CREATE_PIPE | UV_WRITABLE_PIPE, input = UV_CREATE_PIPE | UV_READABLE_PIPE;
    uv_stdio_container_t stdio[3] = {
        {.flags = child->has_in ? input : UV_IGNORE, .data.stream = (uv_stream_t *)&child->in},
        {.flags = output, .data.stream = (uv_stream_t *)&child->out},
        {.flags = output, .data.stream = (uv_stream_t *)&child->err},
    };
    uv_process_options_t spawning = {
        .exit_cb = on_ended,
        .file = options->helper ? options->helper : argv[0],
        .args = argv,
        .flags = UV_PROCESS_DETACHED, // setsid
        .stdio_count = 3,
        .stdio = stdio,
    };
    int rc = uv_spawn(child->loop, &child->process, &spawning);
    child->process.data = child;
    return rc;
}

int ch_child_start(struct ch_child *child, const struct ch_child_options *options)
{
    if (child->state != STATE_IDLE || child->closing)
        return -EBUSY;
    struct words words;
    int rc = make_words(&words, options);
    if (rc < 0)
        return rc;
    reset_run(child, options);
    rc = spawn(child, options, words.argv);
    free(words.argv);
    if (rc < 0) {
        child->start_failed = true;
        end_run(child);
        return rc;
    }
    child->state = STATE_RUNNING;
    if (!options->helper)
        set_limits(uv_process_get_pid(&child->process), options->nice, options->address_space_bytes,
                   options->open_files);
    uv_read_start((uv_stream_t *)&child->out, on_alloc, on_out);
    uv_read_start((uv_stream_t *)&child->err, on_alloc, on_err);
    if (options->time_limit_us > 0)
        uv_timer_start(&child->timer, on_timer, timer_ms(options->time_limit_us), 0);
    return 0;
}

// --- what it said -----------------------------------------------------------------------------

static bool line_end(char c)
{
    return c == '\n' || c == '\r';
}

// Copies [from, to) without empty lines, control characters as blanks.
static size_t copy_lines(const char *from, const char *to, char *out)
{
    size_t n = 0;
    for (const char *p = from; p < to; p++) {
        if (line_end(*p) && (n == 0 || out[n - 1] == '\n'))
            continue;
        bool control = (unsigned char)*p < 32 || *p == 127;
        out[n++] = (char)(line_end(*p) ? '\n' : control ? ' ' : *p);
    }
    while (n > 0 && out[n - 1] == '\n')
        n--;
    return n;
}

static size_t last_lines(const struct ch_child *child, unsigned lines, char *out, size_t room)
{
    char text[CH_CHILD_ERRORS_BYTES];
    size_t n = copy_lines(child->errors, child->errors + child->errors_used, text);
    size_t start = n;
    while (start > 0 && (text[start - 1] != '\n' || --lines > 0))
        start--;
    if (room == 0)
        return 0;
    if (n - start > room - 1)
        start = n - (room - 1);
    memcpy(out, text + start, n - start);
    out[n - start] = '\0';
    return n - start;
}

size_t ch_child_errors(const struct ch_child *child, char *out, size_t room)
{
    return last_lines(child, CH_CHILD_ERROR_LINES, out, room);
}

size_t ch_child_last_error(const struct ch_child *child, char *out, size_t room)
{
    return last_lines(child, 1, out, room);
}

// --- the helper -------------------------------------------------------------------------------

struct helper_options {
    int64_t parent, nice, space, files;
};

// The words before "--", as make_words writes them. Index of the command, or -EINVAL.
static int parse_helper(int argc, char **argv, struct helper_options *out)
{
    int i = 1;
    for (; i + 1 < argc && strcmp(argv[i], word_end) != 0; i += 2) {
        int64_t *value = strcmp(argv[i], word_parent) == 0  ? &out->parent
                         : strcmp(argv[i], word_nice) == 0  ? &out->nice
                         : strcmp(argv[i], word_space) == 0 ? &out->space
                         : strcmp(argv[i], word_files) == 0 ? &out->files
                                                            : NULL;
        if (!value || ch_parse_int(argv[i + 1], INT64_MIN, INT64_MAX, value) < 0)
            return -EINVAL;
    }
    if (i + 1 >= argc || strcmp(argv[i], word_end) != 0 || out->space < 0 || out->files < 0)
        return -EINVAL;
    return i + 1;
}

int ch_child_exec(int argc, char **argv)
{
    struct helper_options options = {0};
    int command = parse_helper(argc, argv, &options);
    if (command < 0) {
        fprintf(stderr, "camhub: %s is for camhub's own use\n", CH_CHILD_HELPER_WORD);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The parent may have been killed before the kernel knew of our wish.
    if (options.parent > 0 && getppid() != (pid_t)options.parent)
        return 126;
    close_range(3, ~0u, 0);
    set_limits(0, (int)options.nice, (uint64_t)options.space, (uint64_t)options.files);
    execvp(argv[command], argv + command);
    int error = errno;
    fprintf(stderr, "camhub: cannot run %s: %s\n", argv[command], strerror(error));
    return error == ENOENT ? 127 : 126;
}
