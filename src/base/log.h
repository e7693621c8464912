// The log: one line per event, on stderr unless a writer is set, with the tags that people grep for.
//
//   2026-11-21 03:44:15.123 [Connection] bench-left: connected from 192.168.1.20:41234
//
// Any thread. Control characters in the text become blanks, so a peer cannot forge a line.
#ifndef CH_BASE_LOG_H
#define CH_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

enum ch_log_level { CH_LOG_ERROR, CH_LOG_WARNING, CH_LOG_INFO, CH_LOG_DEBUG };

// Tags, as the original printed them.
#define CH_TAG_CONNECTION "Connection"
#define CH_TAG_STATUS "App Status"
#define CH_TAG_FRAME "Frame"
#define CH_TAG_INFO "Info"
#define CH_TAG_WARNING "Warning"
#define CH_TAG_ERROR "Error"
#define CH_TAG_BROADCAST "Broadcast"

void ch_log(enum ch_log_level level, const char *tag, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define ch_log_error(...) ch_log(CH_LOG_ERROR, CH_TAG_ERROR, __VA_ARGS__)
#define ch_log_warning(...) ch_log(CH_LOG_WARNING, CH_TAG_WARNING, __VA_ARGS__)
#define ch_log_info(...) ch_log(CH_LOG_INFO, CH_TAG_INFO, __VA_ARGS__)

// Lines above this level are not made. CH_LOG_INFO at first.
void ch_log_set_level(enum ch_log_level level);
int ch_log_level_from_name(const char *name); // a level, or -EINVAL

// Replaces stderr (NULL: stderr again). Called under the log's lock, with a whole line and its '\n'.
typedef void ch_log_writer(void *context, const char *line);
void ch_log_set_writer(ch_log_writer *writer, void *context);

// A file that gets the same lines, beside the writer; they are appended, and the file is made if it is not there, and
// so is its folder, but not the one above. It is written by the thread that logs, without a sync. A line that cannot be written is lost there;
// that is said on stderr, once until a line has been written again. 0, or a negative errno, and nothing has changed.
// NULL: no file any more.
int ch_log_set_file(const char *path);
// Opens the file anew by its name, after it was renamed (logrotate). 0, also if there is none; or a negative errno, and
// what was open goes on.
int ch_log_reopen(void);

// Takes the same lines beside the writer, those of debug left out, in their parts and in the same order. `text` has
// no line break, is at most CH_LOG_TEXT_BYTES long with its zero, and may have been cut in the middle of a character.
// Called by the thread that logs, under the log's lock: it must be quick, and must never log (it would wait for
// itself). NULL: none; once that call returns the old one is not running and will not be called again.
#define CH_LOG_TEXT_BYTES 2048
typedef void ch_log_tap(void *context, enum ch_log_level level, const char *tag, int64_t wall_us, const char *text,
                        size_t size);
void ch_log_set_tap(ch_log_tap *tap, void *context);

#endif
