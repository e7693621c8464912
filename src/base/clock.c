#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * CH_US_PER_S + now.tv_nsec / 1000;
}

int64_t ch_clock_mono_us(void)
{
    return read_clock_us(CLOCK_MONOTONIC);
}

int64_t ch_clock_wall_us(void)
{
    return read_clock_us(CLOCK_REALTIME);
}

// Seconds and milliseconds, rounded down also before the epoch.
static time_t split_us(int64_t wall_us, unsigned *ms)
{
    int64_t s = wall_us / CH_US_PER_S, rest = wall_us % CH_US_PER_S;
    if (rest < 0) {
        rest += CH_US_PER_S;
        s--;
    }
    *ms = (unsigned)(rest / 1000);
    return (time_t)s;
}

void ch_format_rfc3339(int64_t wall_us, char out[CH_RFC3339_BYTES])
{
    unsigned ms;
    time_t s = split_us(wall_us, &ms);
    struct tm tm;
    gmtime_r(&s, &tm);
    char date[32];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, CH_RFC3339_BYTES, "%.19s.%03uZ", date, ms % 1000);
}

void ch_format_stamp(int64_t wall_us, char out[CH_STAMP_BYTES])
{
    unsigned ms;
    time_t s = split_us(wall_us, &ms);
    struct tm tm;
    localtime_r(&s, &tm);
    strftime(out, CH_STAMP_BYTES, "%Y%m%d_%H%M%S", &tm);
}

void ch_format_log_time(int64_t wall_us, char out[CH_LOG_TIME_BYTES])
{
    unsigned ms;
    time_t s = split_us(wall_us, &ms);
    struct tm tm;
    localtime_r(&s, &tm);
    char date[32];
    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(out, CH_LOG_TIME_BYTES, "%.19s.%03u", date, ms % 1000);
}
