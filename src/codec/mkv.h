// Matroska (RFC 9559) for one purpose: to hand pictures with exact times to another program through a pipe. One video
// track of JPEG pictures (V_MJPEG), times in microseconds, every picture a cluster of its own; sizes that are not known
// in advance are left open, so nothing is ever gone back to.
//
//   ch_mkv_write_head, then for each picture ch_mkv_write_block_head and its bytes
//
// Pure.
#ifndef CH_CODEC_MKV_H
#define CH_CODEC_MKV_H

#include <stddef.h>
#include <stdint.h>

#define CH_MKV_BLOCK_HEAD_BYTES 42u
#define CH_MKV_MAX_BLOCK_BYTES ((UINT64_C(1) << 48) - 1)

// EBML header, the segment's beginning, its Info and its one track of this size. A picture without a successor lasts
// step_us. All of them above 0. Returns the bytes needed; writes them only if they fit (out may be NULL with capacity 0).
size_t ch_mkv_write_head(uint32_t width, uint32_t height, int64_t step_us, uint8_t *out, size_t capacity);

// What stands in front of a picture's bytes: a cluster with this time (microseconds, not negative) and a SimpleBlock
// of `bytes` (at most CH_MKV_MAX_BLOCK_BYTES) in it.
void ch_mkv_write_block_head(int64_t time_us, uint64_t bytes, uint8_t out[CH_MKV_BLOCK_HEAD_BYTES]);

#endif
