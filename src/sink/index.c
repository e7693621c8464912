#include "sink/index.h"

#include "base/bytes.h"
#include "base/file.h"

#include <errno.h>
#include <xxhash.h>

#define VERSION 1
#define CHECKED_BYTES 60u
static const char magic[8] = {'C', 'A', 'M', 'H', 'U', 'B', 'I', 'X'};

static uint32_t checksum(const uint8_t *record)
{
    return (uint32_t)XXH3_64bits(record, CHECKED_BYTES);
}

void ch_index_write_header(int64_t started_us, uint8_t out[CH_INDEX_HEADER_BYTES])
{
    memset(out, 0, CH_INDEX_HEADER_BYTES);
    memcpy(out, magic, sizeof magic);
    ch_put_be16(out + 8, VERSION);
    ch_put_be16(out + 10, CH_INDEX_RECORD_BYTES);
    ch_put_be32(out + 12, CH_MP4_TIMESCALE);
    ch_put_be64(out + 16, (uint64_t)started_us);
    ch_put_be32(out + CHECKED_BYTES, checksum(out));
}

int ch_index_read_header(const uint8_t in[CH_INDEX_HEADER_BYTES], int64_t *started_us)
{
    if (memcmp(in, magic, sizeof magic) != 0 || ch_get_be16(in + 8) != VERSION ||
        ch_get_be16(in + 10) != CH_INDEX_RECORD_BYTES || ch_get_be32(in + 12) != CH_MP4_TIMESCALE ||
        ch_get_be32(in + CHECKED_BYTES) != checksum(in))
        return -EBADMSG;
    *started_us = (int64_t)ch_get_be64(in + 16);
    return 0;
}

void ch_index_write_record(const struct ch_record *record, uint8_t out[CH_INDEX_RECORD_BYTES])
{
    ch_put_be32(out, record->sequence);
    ch_put_be16(out + 4, record->flags);
    ch_put_be16(out + 6, record->part);
    ch_put_be64(out + 8, record->device_ms);
    ch_put_be64(out + 16, (uint64_t)record->arrival_us);
    ch_put_be64(out + 24, (uint64_t)record->pts_ticks);
    ch_put_be64(out + 32, record->sample_offset);
    ch_put_be32(out + 40, record->sample_bytes);
    ch_put_be32(out + 44, record->payload_bytes);
    ch_put_be64(out + 48, record->hash);
    ch_put_be32(out + 56, (uint32_t)record->composition_ticks);
    ch_put_be32(out + CHECKED_BYTES, checksum(out));
}

int ch_index_read_record(const uint8_t in[CH_INDEX_RECORD_BYTES], struct ch_record *out)
{
    if (ch_get_be32(in + CHECKED_BYTES) != checksum(in))
        return -EBADMSG;
    *out = (struct ch_record){
        .sequence = ch_get_be32(in),
        .flags = ch_get_be16(in + 4),
        .part = ch_get_be16(in + 6),
        .device_ms = ch_get_be64(in + 8),
        .arrival_us = (int64_t)ch_get_be64(in + 16),
        .pts_ticks = (int64_t)ch_get_be64(in + 24),
        .sample_offset = ch_get_be64(in + 32),
        .sample_bytes = ch_get_be32(in + 40),
        .payload_bytes = ch_get_be32(in + 44),
        .hash = ch_get_be64(in + 48),
        .composition_ticks = (int32_t)ch_get_be32(in + 56),
    };
    return 0;
}

void ch_index_reader_init(struct ch_index_reader *reader, int fd, uint64_t first)
{
    reader->fd = fd;
    reader->next = first;
    reader->at = reader->filled = 0;
}

int ch_index_reader_next(struct ch_index_reader *reader, struct ch_record *out)
{
    if (reader->at + CH_INDEX_RECORD_BYTES > reader->filled) {
        uint64_t offset = CH_INDEX_HEADER_BYTES + reader->next * CH_INDEX_RECORD_BYTES;
        int64_t n = ch_file_read_some(reader->fd, reader->buffer, sizeof reader->buffer, offset);
        if (n < 0)
            return (int)n;
        reader->at = 0;
        reader->filled = (size_t)n;
        if (reader->filled < CH_INDEX_RECORD_BYTES)
            return 0;
    }
    int rc = ch_index_read_record(reader->buffer + reader->at, out);
    if (rc < 0)
        return rc;
    reader->at += CH_INDEX_RECORD_BYTES;
    reader->next++;
    return 1;
}
