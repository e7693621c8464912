// Internal to recovery: the session as it was found, and what is to become of it.
//
// Everything is told in entries: one for each message, in order, with what is known of it and where its bytes
// are whole. They come from frames.idx and, where that ends too early, from the MP4's fragments or the JPEGs in
// stream.mjpeg; the files are then brought to agree with them.
#ifndef CH_SINK_RECOVER_INTERNAL_H
#define CH_SINK_RECOVER_INTERNAL_H

#include "base/limits.h"
#include "sink/index.h"
#include "sink/recover.h"
#include "sink/scan_part.h"
#include "sink/session_json.h"

#include <jansson.h>

#define CH_RECOVER_FILES (CH_LIMIT_PARTS + 1) // files are numbered from 1

struct ch_entry {
    struct ch_record record;
    uint64_t raw_offset;
    uint8_t index; // number of the index file it belongs to
    uint8_t raw;   // number of the stream.h264 or stream.mjpeg that has its bytes; 0: none
    bool in_mp4;   // its sample is whole, where the record says
    bool fresh;    // made anew: not in the index as found
    bool dropped;  // nothing is left of it
    bool spoilt;   // of a JPEG camera: its bytes are not what was written
};

// frames.idx, stream.h264 or stream.mjpeg, and their successors.
struct ch_recover_file {
    int fd;         // -1: there is none
    uint64_t bytes; // as found
    uint64_t end;   // of what is good
    uint64_t items;
    bool damaged;
};

struct ch_recover_part {
    int fd;         // -1: there is none
    char name[40];  // as it is called now
    bool temporary; // and to be renamed
    struct ch_part_shape shape;
    uint64_t end;                  // behind the last good fragment
    uint64_t frames, audio_frames; // pictures, AAC frames
    bool based;
    int64_t base_ticks; // decode time in the fragments minus that of the records
    int64_t zero_ticks; // presentation time of its first picture by the records: 0 of the AAC frames' times
    int64_t last_dts;   // of the records so far
    struct ch_mp4_audio_clock audio_clock;
    bool audio_gave_up; // an earlier recovery did of an AAC frame, behind which nothing has followed so far
    uint32_t last_duration_ticks;
    bool damaged;
};

struct ch_recovery {
    enum ch_session_kind kind;
    int dir;
    const char *id;
    json_t *session; // session.json as found; NULL if there is none that can be read
    bool was_finished;
    int64_t started_us;
    struct ch_entry *entries;
    size_t count, capacity;
    struct ch_recover_file index[CH_RECOVER_FILES], raw[CH_RECOVER_FILES];
    struct ch_recover_part parts[CH_RECOVER_FILES]; // none of a JPEG camera
    // Where the walk along stream.h264 or stream.mjpeg stands.
    struct {
        unsigned file; // 0: there is none
        uint64_t at;
        size_t entry; // the first one without a place
        bool broken;  // the bytes at `at` are not those of the next entry
    } place;
    struct ch_scratch sample, payload;
    char damage[128]; // what the verdict says was lost; empty if nothing was
};

void ch_recover_note_damage(struct ch_recovery *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
// 0 or -ENOMEM.
int ch_recover_add(struct ch_recovery *r, const struct ch_entry *entry);
// Entries that are dropped go out of the list.
void ch_recover_compact(struct ch_recovery *r);
// The first of those entries that are so close to the end that a power cut may have kept their bytes from the disk.
size_t ch_recover_tail(const struct ch_recovery *r, bool (*belongs)(const struct ch_entry *entry, unsigned number),
                       unsigned number);

// recover.c: "stem.extension", "stem_2.extension" ...
void ch_recover_name(const char *stem, const char *extension, unsigned number, char out[40]);
// "<client>_<YYYYMMDD_HHMMSS>[_N]". True if the name has this form; *client is the whole name otherwise.
bool ch_recover_read_name(const char *id, char client[CH_SESSION_ID_BYTES], int64_t *started_us);

// recover_match.c: index and MP4 parts into entries.
int ch_recover_load_index(struct ch_recovery *r);
int ch_recover_match_parts(struct ch_recovery *r);
int ch_recover_check_parts(struct ch_recovery *r); // the newest samples' hashes

// recover_place.c: the walk along stream.h264 or stream.mjpeg.
bool ch_recover_next_file(struct ch_recovery *r); // false if there is none
bool ch_recover_fits(const struct ch_recovery *r, uint64_t bytes);
// Goes on to the next file as long as so many bytes do not fit into the one at hand. False if they fit nowhere: then
// the place stays, and is broken.
bool ch_recover_find_place(struct ch_recovery *r, uint64_t bytes);
void ch_recover_put_in_place(struct ch_recovery *r, struct ch_entry *entry);
// The message into r->payload. 1 if it is what its record says, 0 if not, or an error.
int ch_recover_check_message(struct ch_recovery *r, const struct ch_entry *entry);
size_t ch_recover_message_tail(const struct ch_recovery *r); // ch_recover_tail of those with a message
// From this entry on the file is not what it should be.
void ch_recover_lose_messages(struct ch_recovery *r, size_t from);

// recover_h264.c: where each entry's message lies in stream.h264.
int ch_recover_place_messages(struct ch_recovery *r); // entries of the index
int ch_recover_align_messages(struct ch_recovery *r); // entries made anew

// recover_jpeg.c: all of it for stream.mjpeg. Entries that have no message afterwards are to be dropped.
int ch_recover_place_jpegs(struct ch_recovery *r);

// recover_exchange.c: what one of both files lost and the other one has.
int ch_recover_refill_parts(struct ch_recovery *r);    // samples from messages
int ch_recover_append_messages(struct ch_recovery *r); // messages from samples
// A sample made from an entry's message, if it fits the record; into r->sample. 1, 0 if not, or an error.
int ch_recover_make_sample(struct ch_recovery *r, const struct ch_entry *entry);

// The header of the fragment that goes behind the part's last one, by the record of its sample.
void ch_recover_fragment_header(struct ch_recover_part *part, const struct ch_record *record,
                                uint8_t out[CH_MP4_FRAGMENT_HEADER_BYTES]);
// How many samples the part has.
static inline uint64_t ch_recover_samples(const struct ch_recover_part *part)
{
    return part->frames + part->audio_frames;
}
static inline bool ch_recover_is_audio(const struct ch_entry *entry)
{
    return entry->record.flags & CH_FRAME_AUDIO;
}
// Counts a sample that the part has, or (`by` -1) has no longer.
static inline void ch_recover_count(struct ch_recover_part *part, const struct ch_record *record, int by)
{
    uint64_t *count = record->flags & CH_FRAME_AUDIO ? &part->audio_frames : &part->frames;
    *count += (uint64_t)(int64_t)by;
}

// A new file for a part, with its init segment; under a temporary name if it is to be renamed when it is finished.
// What lay there and could not be read is put aside. Takes the track's avcc, also on failure.
int ch_recover_create_part(struct ch_recovery *r, struct ch_recover_part *part, const struct ch_mp4_track *track,
                           bool temporary);

// recover_bare.c: where stream.h264 knows more than all others.
int ch_recover_bare(struct ch_recovery *r);      // new entries and new parts from nothing else
int ch_recover_take_rest(struct ch_recovery *r); // entries for what lies behind the last message, but for a torn end

// recover_end.c: index, MP4 ends and session.json from the entries.
int ch_recover_conclude(struct ch_recovery *r, struct ch_session_summary *summary);

#endif
