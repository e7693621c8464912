#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LINE_BYTES CH_LOG_TEXT_BYTES // of the whole line

// The process has one log; this is its state.
static struct {
    pthread_mutex_t lock;
    enum ch_log_level level;
    ch_log_writer *writer;
    void *context;
    ch_log_tap *tap;
    void *tap_context;
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = CH_LOG_INFO};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void ch_log_set_level(enum ch_log_level level)
{
    the_log.level = level;
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

void ch_log(enum ch_log_level level, const char *tag, const char *format, ...)
{
    if (level > the_log.level)
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
    pthread_mutex_unlock(&the_log.lock);
}
