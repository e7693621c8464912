#include "source/child.h"

#include "base/clock.h"
#include "base/text.h"
#include "source/redact.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

// stderr is read at no more than this per tick; then the child waits.
#define ERRORS_PER_TICK (256u << 10)
#define TICK_MS 100
// Output may be held open by a process that left the group; it gets this long after the leader's end.
#define DRAIN_MS 1000
#define WORDS_FD 3             // where the helper finds the command
#define WORDS_BYTES (8u << 20) // of a command, at most; the kernel takes no more

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

bool ch_child_ready(const struct ch_child *child)
{
    return child->state == STATE_IDLE && !child->closing;
}

bool ch_child_paused(const struct ch_child *child)
{
    return ch_child_running(child) && child->paused;
}

int64_t ch_child_resumed_us(const struct ch_child *child)
{
    return child->resumed_us;
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

static bool line_end(char c)
{
    return c == '\n' || c == '\r';
}

// Keeps the last bytes of stderr, and whether they begin in the middle of a line.
static void keep_errors(struct ch_child *child, const char *data, size_t size)
{
    if (size > sizeof child->errors) {
        child->errors_cut = !line_end(data[size - sizeof child->errors - 1]);
        data += size - sizeof child->errors;
        size = sizeof child->errors;
        child->errors_used = 0;
    }
    size_t keep = sizeof child->errors - size;
    if (keep >= child->errors_used)
        keep = child->errors_used;
    else
        child->errors_cut = !line_end(child->errors[child->errors_used - keep - 1]);
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
    child->resumed_us = ch_clock_mono_us();
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

#define MAX_HELPER_WORDS 13

// What is handed to the helper: its own words, and in a file without a name those of the command, which may hold
// secrets that a process title would show to everybody.
struct words {
    char parent[16], nice[16], space[24], files[24], at[16];
    char *argv[MAX_HELPER_WORDS]; // its strings are not owned
    int fd;                       // -1: there is none
};

static char word_name[] = "camhub", word_helper[] = CH_CHILD_HELPER_WORD, word_parent[] = "--parent",
            word_nice[] = "--nice", word_space[] = "--address-space", word_files[] = "--open-files",
            word_words[] = "--words";

static int write_whole(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

// A command as zero-terminated strings in a file of its own. A descriptor or a negative errno.
static int write_command(const char *const *argv)
{
    int fd = memfd_create("words", MFD_CLOEXEC), rc = 0;
    if (fd < 0)
        return -errno;
    for (; *argv && rc == 0; argv++)
        rc = write_whole(fd, *argv, strlen(*argv) + 1);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static int make_words(struct words *words, const struct ch_child_options *options)
{
    words->fd = -1;
    if (!options->helper)
        return 0;
    words->fd = write_command(options->argv);
    if (words->fd < 0)
        return words->fd;
    snprintf(words->parent, sizeof words->parent, "%d", (int)getpid());
    snprintf(words->nice, sizeof words->nice, "%d", options->nice);
    snprintf(words->space, sizeof words->space, "%llu", (unsigned long long)options->address_space_bytes);
    snprintf(words->files, sizeof words->files, "%llu", (unsigned long long)options->open_files);
    snprintf(words->at, sizeof words->at, "%d", WORDS_FD);
    char *argv[MAX_HELPER_WORDS] = {word_name,  word_helper,  word_parent, words->parent, word_nice,  words->nice,
                                    word_space, words->space, word_files,  words->files,  word_words, words->at};
    memcpy(words->argv, argv, sizeof argv);
    return 0;
}

// The environment without our own configuration, in which there may be secrets. The caller frees the list; its strings
// are those of `environ`. NULL without memory.
static char **make_environment(void)
{
    size_t count = 0, n = 0;
    while (environ && environ[count])
        count++;
    char **out = calloc(count + 1, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        if (strncmp(environ[i], "CAMHUB_", 7) != 0 && strncmp(environ[i], "FFMPEG_BIN=", 11) != 0)
            out[n++] = environ[i];
    return out;
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

// Brings the process under the limits as far as the system lets us; a limit that cannot be set is no reason not to
// run. No core is dumped: it would hold the command's secrets, and fill the disk that we record on.
static void set_limits(int pid, int nice, uint64_t address_space_bytes, uint64_t open_files)
{
    prlimit(pid, RLIMIT_CORE, &(struct rlimit){0}, NULL);
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
    child->resumed_us = 0;
    ch_child_forget_errors(child);
    uv_pipe_init(child->loop, &child->out, 0);
    uv_pipe_init(child->loop, &child->err, 0);
    if (child->has_in)
        uv_pipe_init(child->loop, &child->in, 0);
    child->process.data = child->out.data = child->err.data = child->in.data = child;
}

static int spawn(struct ch_child *child, const struct ch_child_options *options, struct words *words,
                 char **environment)
{
    const uv_stdio_flags output = UV_CREATE_PIPE | UV_WRITABLE_PIPE, input = UV_CREATE_PIPE | UV_READABLE_PIPE;
    uv_stdio_container_t stdio[WORDS_FD + 1] = {
        {.flags = child->has_in ? input : UV_IGNORE, .data.stream = (uv_stream_t *)&child->in},
        {.flags = output, .data.stream = (uv_stream_t *)&child->out},
        {.flags = output, .data.stream = (uv_stream_t *)&child->err},
        {.flags = UV_INHERIT_FD, .data.fd = words->fd},
    };
    char **argv;
    memcpy(&argv, &options->argv, sizeof argv); // libuv does not write to it
    uv_process_options_t spawning = {
        .exit_cb = on_ended,
        .file = options->helper ? options->helper : argv[0],
        .args = options->helper ? words->argv : argv,
        .env = environment,
        .flags = UV_PROCESS_DETACHED, // setsid
        .stdio_count = options->helper ? WORDS_FD + 1 : WORDS_FD,
        .stdio = stdio,
    };
    int rc = uv_spawn(child->loop, &child->process, &spawning);
    child->process.data = child;
    return rc;
}

int ch_child_start(struct ch_child *child, const struct ch_child_options *options)
{
    if (!ch_child_ready(child))
        return -EBUSY;
    struct words words;
    int rc = make_words(&words, options);
    if (rc < 0)
        return rc;
    char **environment = make_environment();
    reset_run(child, options);
    rc = environment ? spawn(child, options, &words, environment) : -ENOMEM;
    free(environment);
    if (words.fd >= 0)
        close(words.fd);
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

void ch_child_forget_errors(struct ch_child *child)
{
    child->errors_used = 0;
    child->errors_cut = false;
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

size_t ch_child_said(const struct ch_child *child, const struct ch_redactor *redactor, unsigned lines, char *out,
                     size_t room)
{
    char text[2 * CH_CHILD_ERRORS_BYTES + 4]; // hiding makes it longer: a byte between two others becomes three
    const char *from = child->errors, *to = child->errors + child->errors_used;
    while (child->errors_cut && from < to && !line_end(*from))
        from++;
    size_t n = copy_lines(from, to, text);
    text[n] = '\0';
    if (redactor) {
        ch_redactor_apply(redactor, text, sizeof text);
        n = strlen(text);
    }
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

size_t ch_child_last_error(const struct ch_child *child, char *out, size_t room)
{
    return ch_child_said(child, NULL, 1, out, room);
}

// --- the helper -------------------------------------------------------------------------------

struct helper_options {
    int64_t parent, nice, space, files, words;
};

// The words that make_words writes.
static int parse_helper(int argc, char **argv, struct helper_options *out)
{
    for (int i = 1; i < argc; i += 2) {
        int64_t *value = strcmp(argv[i], word_parent) == 0  ? &out->parent
                         : strcmp(argv[i], word_nice) == 0  ? &out->nice
                         : strcmp(argv[i], word_space) == 0 ? &out->space
                         : strcmp(argv[i], word_files) == 0 ? &out->files
                         : strcmp(argv[i], word_words) == 0 ? &out->words
                                                            : NULL;
        if (!value || i + 1 >= argc || ch_parse_int(argv[i + 1], INT_MIN, INT64_MAX, value) < 0)
            return -EINVAL;
    }
    return out->space < 0 || out->files < 0 || out->words < WORDS_FD || out->words > INT_MAX ? -EINVAL : 0;
}

// The whole of a file as write_command made it. NULL: it is none.
static char *read_whole(int fd, size_t *size)
{
    struct stat about;
    if (fstat(fd, &about) || !S_ISREG(about.st_mode) || about.st_size <= 0 || about.st_size > (off_t)WORDS_BYTES)
        return NULL;
    *size = (size_t)about.st_size;
    char *data = malloc(*size);
    for (size_t done = 0; data && done < *size;) {
        ssize_t n = pread(fd, data + done, *size - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
        if (done == *size && data[done - 1] == '\0')
            return data;
    }
    free(data);
    return NULL;
}

// The command. Its strings are one piece of memory, the first string's.
static char **read_command(int fd)
{
    size_t size, count = 0;
    char *data = read_whole(fd, &size);
    for (size_t i = 0; data && i < size; i++)
        count += data[i] == '\0';
    char **argv = data ? calloc(count + 1, sizeof *argv) : NULL;
    if (!argv) {
        free(data);
        return NULL;
    }
    for (size_t n = 0; n < count; n++, data += strlen(data) + 1)
        argv[n] = data;
    return argv;
}

// Nobody's signals but the child's own: what is ignored or blocked survives an exec.
static void reset_signals(void)
{
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL); // fails for those that are always so
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int ch_child_exec(int argc, char **argv)
{
    struct helper_options options = {0};
    char **command = parse_helper(argc, argv, &options) == 0 ? read_command((int)options.words) : NULL;
    if (!command) {
        fprintf(stderr, "camhub: %s is for camhub's own use\n", CH_CHILD_HELPER_WORD);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The parent may have been killed before the kernel knew of our wish.
    if (options.parent > 0 && getppid() != (pid_t)options.parent)
        return 126;
    close_range(3, ~0u, 0);
    reset_signals();
    set_limits(0, (int)options.nice, (uint64_t)options.space, (uint64_t)options.files);
    execvp(command[0], command);
    int error = errno;
    fprintf(stderr, "camhub: cannot run %s: %s\n", command[0], strerror(error));
    free(command[0]);
    free(command);
    return error == ENOENT ? 127 : 126;
}
