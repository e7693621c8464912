// The messages a phone would send, built before the clock starts: H.264 in a camera message in a
// masked WebSocket frame, ready to be sent again and again with a few bytes patched.
//
// The pictures are real, decodable Constrained Baseline 1280x720 of exactly the size asked for: what
// is not skipped (P) or flat (I) is I_PCM macroblocks, whose samples are random bytes. So nothing in
// them compresses, the start-code search meets zero bytes as often as in camera video, and ffmpeg
// decodes what the hub recorded.
#ifndef CH_BENCH_CONTENT_H
#define CH_BENCH_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_STAMP_BYTES 40u         // the first bytes of a message; all that differs between two sends lies in them
#define BENCH_CAMERA_HEADER_BYTES 16u // wire protocol 1.2
#define BENCH_MIN_PICTURE 4096u       // smallest message with a picture that can be built
#define BENCH_MAX_PICTURE 780000u

// One WebSocket frame as it goes over the wire.
struct bench_message {
    uint8_t *bytes; // owned
    size_t size;    // with the frame's head
    size_t head_bytes;
    bool picture, idr;
};

// All return 0 or a negative errno; deinit is needed after success only.
int bench_message_init_sets(struct bench_message *message);
// `size` is the WebSocket payload: 16 bytes of camera header and the picture.
int bench_message_init_picture(struct bench_message *message, bool idr, size_t size);
void bench_message_deinit(struct bench_message *message);

// Writes the head of one send into `head`: the message's first BENCH_STAMP_BYTES (fewer if it is
// shorter) with device time, sequence and, of pictures, frame_num (P) or idr_pic_id (I, by its
// lowest bit) put in, masked like the rest. Bytes written.
size_t bench_message_stamp(const struct bench_message *message, uint64_t device_ms, uint32_t sequence,
                           unsigned picture_number, uint8_t head[BENCH_STAMP_BYTES]);

// A small masked frame (payload up to 125 bytes, or text up to 65535). Bytes written.
#define BENCH_FRAME_HEAD_MAX 8u
size_t bench_frame_write(uint8_t *out, unsigned opcode, const void *payload, size_t size);

#endif
