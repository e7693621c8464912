// frames.idx: what is known of every message of a session, one record each. The order of records is
// the order of arrival (pictures of B-frame streams: decoding order). docs/session-format.md has the layout.
#ifndef CH_SINK_INDEX_H
#define CH_SINK_INDEX_H

#include "stream/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CH_INDEX_HEADER_BYTES 64u
#define CH_INDEX_RECORD_BYTES 64u

struct ch_record {
    uint32_t sequence;
    uint16_t flags; // ch_frame_flags
    uint16_t part;  // MP4 part from 1; 0: in none
    uint64_t device_ms;
    int64_t arrival_us;     // wall clock, Unix epoch
    int64_t pts_ticks;      // 0: the session's first picture
    uint64_t sample_offset; // in the part
    uint32_t sample_bytes;
    uint32_t payload_bytes; // in stream.h264 or stream.mjpeg; 0 of AAC frames, which are in the MP4 alone
    uint64_t hash;
    int32_t composition_ticks; // decode time = pts_ticks - composition_ticks
};

void ch_index_write_header(int64_t started_us, uint8_t out[CH_INDEX_HEADER_BYTES]);
// 0 or -EBADMSG.
int ch_index_read_header(const uint8_t in[CH_INDEX_HEADER_BYTES], int64_t *started_us);
void ch_index_write_record(const struct ch_record *record, uint8_t out[CH_INDEX_RECORD_BYTES]);
// 0, or -EBADMSG if the record's own checksum does not fit.
int ch_index_read_record(const uint8_t in[CH_INDEX_RECORD_BYTES], struct ch_record *out);

// Reads records one after another, in large pieces. Blocks: disk thread only.
struct ch_index_reader {
    int fd;
    uint64_t next;     // record number
    size_t at, filled; // bytes in the buffer
    uint8_t buffer[1024 * CH_INDEX_RECORD_BYTES];
};
void ch_index_reader_init(struct ch_index_reader *reader, int fd, uint64_t first);
// 1 and the next record; 0 at the end (also of a torn record); -EBADMSG or the read's error.
int ch_index_reader_next(struct ch_index_reader *reader, struct ch_record *out);

#endif
