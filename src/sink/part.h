// One MP4 file of a session, from its init segment over its fragments to its end in place. At every
// moment it is a valid file: fragmented until ch_part_finish(), seekable afterwards; finishing copies
// no media byte and costs by the number of frames alone. Disk thread.
#ifndef CH_SINK_PART_H
#define CH_SINK_PART_H

#include "sink/index.h"

struct ch_part {
    int fd;                   // -1: none open
    unsigned number;          // from 1
    char name[32];            // stream.mp4, stream_2.mp4 ...
    struct ch_params *params; // owned reference
    int64_t created_s;
    uint64_t end; // file offset behind the last whole fragment
    uint64_t first_record;
    uint64_t frames, audio_frames; // pictures, AAC frames
    int64_t origin_ticks;          // decode time of its first picture on the stream's timeline: 0 in the file
    int64_t zero_ticks;            // presentation time of that picture: 0 of the audio track
    struct ch_mp4_audio_clock taken, written; // of AAC frames that were taken, of those of them that were appended
    struct iovec *iov;                        // scratch of ch_part_append, as `heads`
    uint8_t *heads;
    size_t room; // frames
};

void ch_part_name(unsigned number, char out[32]);
// A new file with its init segment, that begins with this key frame (which is not written yet).
// 0 or a negative errno (then no file is left).
int ch_part_create(struct ch_part *part, int dir, unsigned number, const struct ch_frame *key);
// True if the part takes the AAC frame: then it must be appended, in the order of these calls. Its params must be those
// of the part, and it must begin no earlier than the first picture.
bool ch_part_take_audio(struct ch_part *part, const struct ch_frame *frame);
// Appends a fragment for each frame; *whole is the number of frames that are in the file whole, also on failure,
// and `end` is behind them.
int ch_part_append(struct ch_part *part, struct ch_frame *const *frames, size_t count, size_t *whole);
// Ends the file: tables from the index records that name this part, from first_record on, and then from `more`,
// records that did not make it into the index. On failure the file is what it was before.
// 0, -ENODATA without a frame, or a negative errno.
int ch_part_finish(struct ch_part *part, int index_fd, const struct ch_record *more, size_t more_count,
                   uint32_t last_duration_ticks);
// Closes the descriptor and drops the reference; fine if none is open.
void ch_part_close(struct ch_part *part);

// The sample tables of a part, from its records in order: the same for writing, recovery and verification.
// Zero-initialise.
struct ch_part_tables {
    struct ch_mp4_tables pictures, audio;
    struct ch_mp4_audio_clock audio_clock;
    int64_t zero_ticks; // presentation time of the first picture
};
// Takes a record with a sample. 0, -ENOMEM, or -EINVAL: its time is impossible (of audio also: before the first
// picture, or none is there).
int ch_part_tables_add(struct ch_part_tables *tables, const struct ch_aac_config *audio,
                       const struct ch_record *record);
void ch_part_tables_free(struct ch_part_tables *tables);

// The same ending for a file of which only the tables' sources are known (recovery).
int ch_part_write_end(int fd, uint64_t end, struct ch_part_tables *tables, const struct ch_mp4_track *track,
                      uint32_t last_duration_ticks);

#endif
