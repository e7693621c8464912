#include "sink/catalogue_internal.h"

#include "sink/part.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const verdict_names[CH_RECORDING_VERDICTS] = {
    [CH_RECORDING_RUNNING] = "recording",   [CH_RECORDING_COMPLETE] = "complete", [CH_RECORDING_GAPS] = "gaps",
    [CH_RECORDING_RECOVERED] = "recovered", [CH_RECORDING_DAMAGED] = "damaged",   [CH_RECORDING_UNKNOWN] = "unknown",
};

const char *ch_recording_verdict_name(enum ch_recording_verdict verdict)
{
    return verdict_names[verdict];
}

int ch_recording_verdict_from_name(const char *name)
{
    for (int i = 0; i < CH_RECORDING_VERDICTS; i++)
        if (strcmp(verdict_names[i], name) == 0)
            return i;
    return -EINVAL;
}

// --- times ---

// `size` digits; -1 if they are none. Moves *at on.
static int read_digits(const char **at, int size)
{
    int value = 0;
    for (int i = 0; i < size; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool skip(const char **at, char a, char b)
{
    if (**at != a && **at != b)
        return false;
    ++*at;
    return true;
}

// "2026-11-21". Days that no month has are refused.
static bool read_date(const char **at, struct tm *tm)
{
    int year = read_digits(at, 4);
    if (year < 0 || !skip(at, '-', '-'))
        return false;
    int month = read_digits(at, 2);
    if (month < 1 || month > 12 || !skip(at, '-', '-'))
        return false;
    int day = read_digits(at, 2);
    *tm = (struct tm){.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    if (day < 1 || day > 31)
        return false;
    struct tm real = *tm;
    timegm(&real);
    return real.tm_mday == day;
}

// "03:44:15.123", the fraction in *us.
static bool read_time(const char **at, struct tm *tm, int64_t *us)
{
    tm->tm_hour = read_digits(at, 2);
    if (tm->tm_hour < 0 || tm->tm_hour > 23 || !skip(at, ':', ':'))
        return false;
    tm->tm_min = read_digits(at, 2);
    if (tm->tm_min < 0 || tm->tm_min > 59 || !skip(at, ':', ':'))
        return false;
    tm->tm_sec = read_digits(at, 2);
    *us = 0;
    if (tm->tm_sec < 0 || tm->tm_sec > 60)
        return false;
    if (!skip(at, '.', '.'))
        return true;
    if (**at < '0' || **at > '9')
        return false;
    for (int64_t unit = 100000; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        *us += unit * (**at - '0');
    return true;
}

// "Z", "+08:00", in seconds.
static bool read_offset(const char **at, int *offset_s)
{
    *offset_s = 0;
    if (skip(at, 'Z', 'z'))
        return true;
    int sign = **at == '-' ? -1 : 1;
    if (!skip(at, '+', '-'))
        return false;
    int hours = read_digits(at, 2);
    if (hours < 0 || hours > 23 || !skip(at, ':', ':'))
        return false;
    int minutes = read_digits(at, 2);
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return minutes >= 0 && minutes <= 59;
}

int ch_recording_parse_time(const char *text, bool end, int64_t *wall_us)
{
    struct tm tm;
    int64_t us = 0;
    int offset_s = 0;
    if (!read_date(&text, &tm))
        return -EINVAL;
    if (!*text)
        tm.tm_mday += end;
    else if (!skip(&text, 'T', 't') || !read_time(&text, &tm, &us) || !read_offset(&text, &offset_s) || *text)
        return -EINVAL;
    *wall_us = ((int64_t)timegm(&tm) - offset_s) * CH_US_PER_S + us;
    return 0;
}

// --- JSON ---

static json_t *time_json(int64_t us)
{
    char text[CH_RFC3339_BYTES];
    if (us < 0)
        return json_null();
    ch_format_rfc3339(us, text);
    return json_string(text);
}

// What is no UTF-8 was not so when it was put into the list: an empty text is better than no answer.
static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    return value ? value : json_string("");
}

// What plays: of a JPEG camera's session nothing, until its film is made.
static json_t *parts_json(const struct ch_recording *recording)
{
    json_t *parts = json_array();
    for (unsigned number = 1; number <= 64 && !recording->mjpeg_parts; number++) {
        char name[32];
        if (!(recording->parts >> (number - 1) & 1))
            continue;
        ch_part_name(number, name);
        json_array_append_new(parts, json_string(name));
    }
    return parts;
}

json_t *ch_recording_to_json(const struct ch_recording *recording)
{
    int64_t duration_us = recording->duration_us;
    json_t *parts = parts_json(recording), *video = json_array_get(parts, 0);
    return json_pack("{s:o,s:o,s:s,s:o,s:o,s:o,s:I,s:I,s:I,s:s,s:o,s:o,s:o,s:b}", "id", text_json(recording->id),
                     "camera", text_json(recording->camera), "kind", recording->jpeg ? "jpeg" : "h264", "started",
                     time_json(recording->started_us), "ended", time_json(recording->ended_us), "duration",
                     duration_us < 0 ? json_null() : json_real((double)duration_us / 1e6), "bytes",
                     (json_int_t)recording->bytes, "frames", (json_int_t)recording->frames, "missing",
                     (json_int_t)recording->missing, "verdict", ch_recording_verdict_name(recording->verdict), "reason",
                     text_json(recording->reason), "video", video ? json_incref(video) : json_null(), "parts", parts,
                     "thumbnail", (int)recording->thumbnail);
}

json_t *ch_recording_page_to_json(const struct ch_recording_page *page)
{
    json_t *list = json_array();
    bool whole = list != NULL;
    for (size_t i = 0; i < page->count && whole; i++)
        whole = json_array_append_new(list, ch_recording_to_json(&page->recordings[i])) == 0;
    if (!whole) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:o,s:I,s:o}", "recordings", list, "total", (json_int_t)page->total, "next",
                     page->next[0] ? json_string(page->next) : json_null());
}
