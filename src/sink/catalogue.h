// The list of recordings: which sessions lie in the recordings folder, newest first, and which of them fit a filter.
//
// The folders are the truth. The list is an SQLite database beside them (.catalogue.sqlite in the recordings folder),
// made from what the folders say and nothing else, so it can be thrown away at any time: one that cannot be read, is of
// another version or contradicts itself is renamed to .catalogue.sqlite.broken and made anew. Where no file can be
// written, the list is kept in memory.
//
// A list of 100,000 answers nearly as fast as one of 100: rows are kept by their start (and found there, however deep
// the page), cameras and verdicts have indexes, and words are found in an FTS5 index that holds every beginning of
// every word. Only `total` depends on the number of hits: by some 50 ns each for one word, and 30 ns for each other.
//
// Everything here blocks. One thread at a time; the catalogue has no thread and no lock of its own.
// Functions return 0 (or what they say) or a negative errno. -EAGAIN: another process held the database for too long.
#ifndef CH_SINK_CATALOGUE_H
#define CH_SINK_CATALOGUE_H

#include "sink/writer.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_CATALOGUE_FILE ".catalogue.sqlite"
#define CH_CATALOGUE_LIMIT 50 // recordings per page, if nothing else is said
#define CH_CATALOGUE_LIMIT_MAX 500
#define CH_CATALOGUE_WORDS_MAX 16 // in one query
#define CH_CATALOGUE_CURSOR_BYTES 288
#define CH_RECORDING_TEXT_BYTES 128
#define CH_RECORDING_REASON_BYTES 256
#define CH_RECORDING_NO_TIME INT64_C(-1)

struct ch_catalogue;

enum ch_recording_verdict {
    CH_RECORDING_RUNNING, // session.json says that it is being recorded
    CH_RECORDING_COMPLETE,
    CH_RECORDING_GAPS,
    CH_RECORDING_RECOVERED,
    CH_RECORDING_DAMAGED,
    CH_RECORDING_UNKNOWN, // there is no report, or none that can be read
    CH_RECORDING_VERDICTS
};

// A session's folder in short. All text is UTF-8, what is longer is cut.
struct ch_recording {
    char id[CH_SESSION_ID_BYTES];
    char camera[CH_RECORDING_TEXT_BYTES];
    char reason[CH_RECORDING_REASON_BYTES];
    enum ch_recording_verdict verdict;
    bool jpeg;           // of a JPEG camera; else H.264
    bool thumbnail;      // there is a thumbnail.jpg
    bool mjpeg_parts;    // the parts are stream.mjpeg, stream_2.mjpeg ...; else stream.mp4, stream_2.mp4 ...
    uint64_t parts;      // bit n: part n + 1 is there and has pictures
    int64_t started_us;  // since 1970, whole milliseconds
    int64_t ended_us;    // or CH_RECORDING_NO_TIME
    int64_t duration_us; // or CH_RECORDING_NO_TIME
    uint64_t bytes;      // of all files in the folder and in folders in it, when it was looked at last
    uint64_t frames, missing;
};

const char *ch_recording_verdict_name(enum ch_recording_verdict verdict);
// A verdict, or -EINVAL.
int ch_recording_verdict_from_name(const char *name);
// `Recording` of the API (docs/openapi.json). Owned by the caller; NULL without memory.
json_t *ch_recording_to_json(const struct ch_recording *recording);

// RFC 3339, or YYYY-MM-DD: the day's first moment in UTC, or with `end` the first one after it. 0 or -EINVAL.
int ch_recording_parse_time(const char *text, bool end, int64_t *wall_us);

// --- life ---

// Opens the list, or makes it. `root` is the recordings folder and `root_path` its path, which log lines name as
// well; `root` is borrowed until ch_catalogue_close. What is wrong with the database is logged and mended, never
// returned. Takes a few milliseconds, however long the list is; whether it is up to date, ch_catalogue_reconcile tells.
int ch_catalogue_open(struct ch_catalogue **catalogue, int root, const char *root_path);
// Frees *catalogue. NULL is no error.
void ch_catalogue_close(struct ch_catalogue **catalogue);
// The list is not kept in a file.
bool ch_catalogue_in_memory(const struct ch_catalogue *catalogue);
// The whole folder has been looked through since the list was opened or made anew.
bool ch_catalogue_settled(const struct ch_catalogue *catalogue);

// --- keeping it true ---

struct ch_catalogue_changes {
    unsigned added, changed, removed;
    unsigned failed; // folders that could not be read or cleared; the list says what it said before
};

// Goes on bringing the list in line with the folder for about budget_us (at least one folder's worth), so that others
// get an answer in between. 1: there is more to do. 0: the folder has been looked through; the next call begins again.
// *changes (may be NULL) tells what this call changed. After an error the next call begins again as well.
//
// First the rows, newest first, then names that are no rows yet. A folder is read again only if its inode or time of
// change, or session.json's inode, time or size are not those of the last look; or if these times were so fresh (3 s)
// then that a later change might not show; or if it was being recorded. All else costs two stat(2) per session. Also
// finishes deletions that were cut off.
int ch_catalogue_reconcile(struct ch_catalogue *catalogue, int64_t budget_us, struct ch_catalogue_changes *changes);

// Looks at one session's folder: it is new, changed or gone. 1: it is in the list, and *recording (may be NULL) is
// what the list says. 0: there is no such session, and none in the list.
int ch_catalogue_update(struct ch_catalogue *catalogue, const char *id, struct ch_recording *recording);

// --- questions ---

// What the list says of a session. 0 or -ENOENT.
int ch_catalogue_get(struct ch_catalogue *catalogue, const char *id, struct ch_recording *recording);
// `RecordingDetails` of the API, freshly read from the folder (and the list with it). 0 and *details, owned by the
// caller; or -ENOENT.
int ch_catalogue_get_details(struct ch_catalogue *catalogue, const char *id, json_t **details);

struct ch_catalogue_filter {
    const char *camera;     // exactly; NULL or empty: any
    const char *words;      // each one begins a word of id, camera, model or reason; NULL, or no word in it: any
    int64_t from_us, to_us; // started at or after from_us, and before to_us
    int verdict;            // enum ch_recording_verdict; -1: any
    unsigned limit;         // 1 to CH_CATALOGUE_LIMIT_MAX
    const char *cursor;     // of the page before; NULL or empty: the first page
};

struct ch_recording_page {
    struct ch_recording *recordings; // owned
    size_t count;
    uint64_t total;                       // that fit the filter, on all pages
    char next[CH_CATALOGUE_CURSOR_BYTES]; // cursor of the next page; empty: this is the last one
};

// Everything, CH_CATALOGUE_LIMIT of them.
void ch_catalogue_filter_init(struct ch_catalogue_filter *filter);

// One page, newest first; those of the same millisecond by id, backward. A cursor stands for a place in this order, not
// for a row or a number of rows: nothing is skipped or repeated because sessions come and go, and any filter may use
// it.
//
// Words are runs of ASCII letters and digits and of all characters beyond ASCII; ASCII letters match in either case,
// and of each word the first 32 bytes count. Anything else in the text only separates, so no text is an error.
//
// `total` is counted for every answer, by what the filter needs: the table's row count (no filter), its range (from,
// to), a range of the index of cameras, verdicts or both, or the hits of the FTS5 index, which holds camera and verdict
// as words, too.
//
// -EINVAL: bad cursor, limit or verdict. -E2BIG: more than CH_CATALOGUE_WORDS_MAX words. *page is the caller's to
// deinit on success only.
int ch_catalogue_list(struct ch_catalogue *catalogue, const struct ch_catalogue_filter *filter,
                      struct ch_recording_page *page);
void ch_recording_page_deinit(struct ch_recording_page *page);
// `RecordingList` of the API. Owned by the caller; NULL without memory.
json_t *ch_recording_page_to_json(const struct ch_recording_page *page);

// --- deleting ---

// Deletes a session's folder for good, with all files in it and in folders in it, and takes it off the list. It is
// first renamed to .deleted-ID~ and the recordings folder synced: after a crash there is the whole session, or
// something that the next reconcile clears. Takes as long as the file system needs to free the space.
//
// -ENOENT: no such session (other folders are never touched, nor anything behind a symbolic link). -EBUSY: it is being
// recorded or finished. Otherwise something could not be deleted (-ENOTEMPTY: a link, a device, a folder in a folder):
// that is left in the folder, which has its own name again, everything else is gone, and the list says what is left.
int ch_catalogue_delete_session(struct ch_catalogue *catalogue, const char *id);

#endif
