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

#define BENCH_STAMP_MAX 88u           // all that differs between two sends lies in the first `stamp_bytes` of a message
#define BENCH_CAMERA_HEADER_BYTES 16u // wire protocol 1.2
#define BENCH_MIN_PICTURE 4096u       // smallest message with a picture that can be built
#define BENCH_MAX_PICTURE 780000u

// A timed picture begins with an SEI message (ITU-T H.264 D.1.7, user data unregistered) that tells when it was sent:
// start code and NAL unit up to the UUID, the UUID, the time in ns as 16 hexadecimal digits, the picture's number as 8.
#define BENCH_SEI_BYTES 48u
#define BENCH_SEI_UUID_AT 7u
#define BENCH_SEI_UUID_BYTES 16u
#define BENCH_SEI_TIME_AT (BENCH_SEI_UUID_AT + BENCH_SEI_UUID_BYTES)
#define BENCH_SEI_NUMBER_AT (BENCH_SEI_TIME_AT + 16u)
extern const uint8_t bench_sei_uuid[BENCH_SEI_UUID_BYTES];

// How a picture is made.
enum { BENCH_IDR = 1, BENCH_TIMED = 2, BENCH_PLAIN = 4 }; // plain: its payload is not masked

// One WebSocket frame as it goes over the wire.
struct bench_message {
    uint8_t *bytes; // owned
    size_t size;    // with the frame's head
    size_t head_bytes, stamp_bytes;
    bool picture, idr, timed, plain;
};

struct bench_stamp {
    uint64_t device_ms;
    int64_t time_ns;   // CLOCK_MONOTONIC, of timed pictures
    uint32_t sequence; // in the camera header
    uint32_t picture;  // in the SEI message: number of the picture among all
    unsigned picture_number;
};

// All return 0 or a negative errno; deinit is needed after success only.
int bench_message_init_sets(struct bench_message *message);
// `size` is the WebSocket payload: 16 bytes of camera header and the picture.
int bench_message_init_picture(struct bench_message *message, size_t size, unsigned flags);
void bench_message_deinit(struct bench_message *message);

// Writes the head of one send into `head`: the message's first `stamp_bytes` with device time, sequence and, of
// pictures, frame_num (P) or idr_pic_id (I, by its lowest bit) put in, masked like the rest. Bytes written.
size_t bench_message_stamp(const struct bench_message *message, const struct bench_stamp *stamp,
                           uint8_t head[BENCH_STAMP_MAX]);

static inline const uint8_t *bench_message_picture(const struct bench_message *message, size_t *size)
{
    size_t at = message->head_bytes + BENCH_CAMERA_HEADER_BYTES;
    *size = message->size - at;
    return message->bytes + at;
}

// A small masked frame (payload up to 125 bytes, or text up to 65535). Bytes written.
#define BENCH_FRAME_HEAD_MAX 8u
size_t bench_frame_write(uint8_t *out, unsigned opcode, const void *payload, size_t size);

#endif
