#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_BYTES CH_LOG_TEXT_BYTES // of the whole line

// The process has one log; this is its state.
static struct {
    pthread_mutex_t lock;
    _Atomic enum ch_log_level level; // read without the lock
    ch_log_writer *writer;
    void *context;
    ch_log_tap *tap;
    void *tap_context;
    char *path; // of the file; NULL: none
    int fd;
    bool failing; // the newest line could not be written to the file, or not all of it, which has been said
    bool torn;    // the file ends in the middle of a line
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = CH_LOG_INFO, .fd = -1};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void ch_log_set_level(enum ch_log_level level)
{
    atomic_store_explicit(&the_log.level, level, memory_order_relaxed);
}

int ch_log_level_from_name(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (strcasecmp(name, level_names[i]) == 0)
            return i;
    return -EINVAL;
}

void ch_log_set_writer(ch_log_writer *writer, void *context)
{
    pthread_mutex_lock(&the_log.lock);
    the_log.writer = writer;
    the_log.context = context;
    pthread_mutex_unlock(&the_log.lock);
}

void ch_log_set_tap(ch_log_tap *tap, void *context)
{
    pthread_mutex_lock(&the_log.lock);
    the_log.tap = tap;
    the_log.tap_context = context;
    pthread_mutex_unlock(&the_log.lock);
}

// --- the file ---

static void make_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash && slash > path ? strndup(path, (size_t)(slash - path)) : NULL;
    if (folder)
        (void)!mkdir(folder, 0755);
    free(folder);
}

// A pipe that nobody reads must not hold up the program.
static int open_file(const char *path)
{
    static const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = open(path, flags, 0640);
    if (fd < 0 && errno == ENOENT) {
        make_folder(path);
        fd = open(path, flags, 0640);
    }
    return fd < 0 ? -errno : fd;
}

// Takes both; under the lock.
static void replace_file(char *path, int fd)
{
    free(the_log.path);
    if (the_log.fd >= 0)
        close(the_log.fd);
    the_log.path = path;
    the_log.fd = fd;
    the_log.failing = the_log.torn = false;
}

int ch_log_set_file(const char *path)
{
    char *copy = path ? strdup(path) : NULL;
    if (path && !copy)
        return -ENOMEM;
    int fd = path ? open_file(path) : -1;
    if (path && fd < 0) {
        free(copy);
        return fd;
    }
    pthread_mutex_lock(&the_log.lock);
    replace_file(copy, fd);
    pthread_mutex_unlock(&the_log.lock);
    return 0;
}

int ch_log_reopen(void)
{
    int rc = 0;
    pthread_mutex_lock(&the_log.lock);
    if (the_log.path) {
        int fd = open_file(the_log.path);
        rc = fd < 0 ? fd : 0;
        if (fd >= 0) {
            char *path = the_log.path;
            the_log.path = NULL;
            replace_file(path, fd);
        }
    }
    pthread_mutex_unlock(&the_log.lock);
    return rc;
}

// All of it, or as much as there is room for. 0 or a negative errno.
static int append(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(the_log.fd, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        the_log.torn = text[n - 1] != '\n';
        text += n;
        size -= (size_t)n;
    }
    return 0;
}

static void write_file(const char *line, size_t size)
{
    int rc = the_log.torn ? append("\n", 1) : 0;
    if (rc == 0)
        rc = append(line, size);
    if (rc < 0 && !the_log.failing)
        fprintf(stderr, "camhub: the log file %s cannot be written: %s\n", the_log.path, strerror(-rc));
    the_log.failing = rc < 0;
}

// --- a line ---

void ch_log(enum ch_log_level level, const char *tag, const char *format, ...)
{
    if (level > atomic_load_explicit(&the_log.level, memory_order_relaxed))
        return;
    char line[LINE_BYTES];
    char time[CH_LOG_TIME_BYTES];
    int64_t wall_us = ch_clock_wall_us();
    ch_format_log_time(wall_us, time);
    int used = snprintf(line, sizeof line, "%s [%s] ", time, tag);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, args);
    va_end(args);
    if (more < 0)
        more = 0;
    size_t end = (size_t)used + (size_t)more;
    if (end > sizeof line - 2)
        end = sizeof line - 2;
    for (size_t i = 0; i < end; i++)
        if ((unsigned char)line[i] < 32 || line[i] == 127)
            line[i] = ' ';
    line[end] = '\0';
    pthread_mutex_lock(&the_log.lock);
    if (the_log.tap && level <= CH_LOG_INFO)
        the_log.tap(the_log.tap_context, level, tag, wall_us, line + used, end - (size_t)used);
    line[end] = '\n';
    line[end + 1] = '\0';
    if (the_log.writer)
        the_log.writer(the_log.context, line);
    else
        fputs(line, stderr);
    if (the_log.fd >= 0)
        write_file(line, end + 1);
    pthread_mutex_unlock(&the_log.lock);
}
