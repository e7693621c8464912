// Walks an MP4 part as it lies on the disk, in whatever shape an interruption left it, and checks
// samples and messages against the hash in frames.idx. Used by recovery and verification. Blocks.
#ifndef CH_SINK_SCAN_PART_H
#define CH_SINK_SCAN_PART_H

#include "codec/mp4.h"
#include "sink/index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ch_part_form {
    CH_PART_UNREADABLE, // no whole init segment of ours
    CH_PART_FRAGMENTED,
    CH_PART_FINISHED,
};

struct ch_part_shape {
    enum ch_part_form form;
    uint64_t file_bytes;
    uint64_t good_end;                // behind the last whole fragment
    uint64_t moov_offset, moov_bytes; // of a finished file's final moov
    bool patched;                     // the `mdat` header is there, the final moov is not: mend the header first
    bool ends_in_init;                // unreadable, and too short to hold a picture
    struct ch_mp4_track init;         // by the init segment; .avcc is owned
};

// Called for each whole fragment, in order. 0 to go on, 1 to end the walk in front of this one, or an error.
typedef int ch_part_visit(void *context, const struct ch_mp4_fragment *fragment, uint64_t sample_offset);

// Called where the walk cannot go on: what lies at `offset` is no whole fragment. 1 if it was mended, 0 to end the
// walk, or an error.
typedef int ch_part_mend(void *context, uint64_t offset);

struct ch_part_visitor {
    ch_part_visit *visit;
    ch_part_mend *mend;
    void *context;
};

// 0 or the read's error (an unreadable file's content is no error). The fragments are walked in a finished file
// too, where they lie inside `mdat`; form and file_bytes are known from the first visit on. `visitor` may be NULL:
// then only the form is looked at, and good_end is that of the init segment. deinit in either case.
int ch_part_scan(int fd, struct ch_part_shape *shape, const struct ch_part_visitor *visitor);
void ch_part_shape_deinit(struct ch_part_shape *shape);

// Turns the `mdat` header back into the `free` box. 0 or a negative errno; not synced.
int ch_part_unpatch(int fd);

// The hash of frames.idx over a sample's NAL units. False if lengths and bytes do not fit.
bool ch_sample_hash(const uint8_t *sample, size_t size, uint64_t *hash);
// The same over an Annex B message.
uint64_t ch_payload_hash(const uint8_t *payload, size_t size);
// Over the sample that the record tells of: NAL units or an AAC frame.
bool ch_record_sample_hash(const struct ch_record *record, const uint8_t *sample, uint64_t *hash);
// Over the message that the record tells of: an Annex B message or a JPEG.
uint64_t ch_message_hash(const struct ch_record *record, const uint8_t *payload);

// Walks the NAL units of a sample. False at its end or where lengths do not fit (then *at is not `size`).
bool ch_sample_next(const uint8_t *sample, size_t size, size_t *at, const uint8_t **nal, size_t *nal_bytes);

// Bytes that are read again and again: grows, never shrinks.
struct ch_scratch {
    uint8_t *data;
    size_t capacity;
};
// Reads `size` bytes at `offset` into the scratch. 0, -ENODATA, -ENOMEM or the read's error.
int ch_scratch_read(struct ch_scratch *scratch, int fd, uint64_t offset, size_t size);
int ch_scratch_reserve(struct ch_scratch *scratch, size_t size);
void ch_scratch_free(struct ch_scratch *scratch);

#endif
