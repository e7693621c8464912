// A frame: one binary message of a camera, in memory once, from the socket to the last viewer and
// the disk. Counted; written by the loop until it is appended to a stream, immutable from then on.
//
//   | struct ch_frame | headroom | 16-byte camera header | payload |
//   | struct ch_frame | headroom | JPEG |                               of cameras that send those
//   | struct ch_frame | headroom | AAC frame |                          of sources with sound
//
// While the message is read, `message` is where its bytes go. ch_frame_pack() then turns the Annex B
// payload into a sample (length-prefixed NAL units, ISO/IEC 14496-15 5.3.2) in place, with room in
// front for a fragment header and a WebSocket head, so that what goes to a browser is
// one contiguous run of bytes. The Annex B form is not kept: it is put together again from pieces
// (start codes are constants) when stream.h264 is written. A JPEG is its own sample, as it came, with room
// in front of it all the same.
#ifndef CH_STREAM_FRAME_H
#define CH_STREAM_FRAME_H

#include "codec/flv.h"
#include "codec/h264.h"
#include "codec/mp4.h"
#include "stream/params.h"

#include <stdatomic.h>
#include <sys/uio.h>

enum ch_frame_flags { // as written to frames.idx
    CH_FRAME_KEY = 1,
    CH_FRAME_PICTURE = 2,
    CH_FRAME_PARAMETERS = 4,  // parameter sets and no picture
    CH_FRAME_BEFORE_KEY = 8,  // no key frame came before it
    CH_FRAME_REPAIRED = 16,   // its time was shifted
    CH_FRAME_JUMP = 32,       // the device's clock jumped before it
    CH_FRAME_DUPLICATE = 64,  // sequence number seen before (set by the recorder's report)
    CH_FRAME_REORDERED = 128, // sequence number late (likewise)
    CH_FRAME_JUNK = 256,      // no NAL unit found, or too many
    CH_FRAME_REBUILT = 512,   // record rebuilt from what is left after a crash: sequence and arrival unknown
    CH_FRAME_JPEG = 1024,     // of a JPEG camera: the payload is one JPEG, and the hash is taken over it as it is
    CH_FRAME_AUDIO = 2048, // an AAC frame: payload, sample and hash are the frame as it is; no other flag but REBUILT
};

#define CH_FRAME_HEAD_ROOM (14u + CH_MP4_FRAGMENT_HEADER_BYTES) // WebSocket head, moof and mdat header
#define CH_FRAME_SLACK 66u // for start codes of three bytes, which are one shorter than a length
#define CH_FRAME_FLV_BYTES (10u + CH_FLV_VIDEO_HEAD_BYTES)
#define CH_FRAME_ROOM (CH_FRAME_HEAD_ROOM + CH_FRAME_SLACK)

// A run of Annex B bytes: `zeros` zero bytes and, if `code`, 01; then data.
struct ch_piece {
    const uint8_t *data;
    uint32_t size;
    uint32_t zeros;
    bool code;
};

#define CH_FRAME_INLINE_PIECES 4

struct ch_frame {
    atomic_uint refs;
    uint32_t flags;
    uint32_t sequence;
    uint32_t payload_bytes; // Annex B, or the message of a JPEG camera, or the AAC frame (which has no pieces)
    uint64_t device_ms;     // JPEG cameras have no clock: of the arrival, monotonic
    int64_t arrival_wall_us, arrival_mono_us;
    int64_t pts_ticks, dts_ticks; // on the stream's timeline; of pictures and AAC frames
    int32_t poc;
    bool has_poc;
    uint64_t hash;            // XXH3-64 of the NAL units that count, or of the JPEG (docs/session-format.md)
    uint64_t number;          // position in the stream's log
    uint64_t picture;         // pictures in the log before it
    struct ch_params *params; // of a picture behind the first key frame, or of the one before an AAC frame; owned
                              // reference
    uint8_t *sample;          // length-prefixed NAL units, the JPEG, the AAC frame: what is sent. CH_FRAME_HEAD_ROOM
                              // writable bytes lie in front of it for whoever sends it first; NULL: no sample
    uint32_t sample_bytes;
    // What live viewers have been sent in front of it and behind it, made once; the loop's alone.
    uint8_t head_bytes;              // of the WebSocket head in that room; 0: not made yet
    uint8_t flv_head_bytes;          // of the WebSocket head in `flv`, which ends where the tag begins; 0: not made yet
    uint8_t flv[CH_FRAME_FLV_BYTES]; // WebSocket head and FLV tag header
    uint8_t flv_tail[CH_FLV_TAIL_BYTES];
    int64_t audio_time; // of an AAC frame: its time in samples (params->audio.rate of them a second) on the timeline,
                        // of which pts_ticks is the nearest tick
    uint32_t piece_count;
    struct ch_piece *pieces; // the payload
    struct ch_piece inline_pieces[CH_FRAME_INLINE_PIECES];
    uint8_t *side;        // copies of parameter sets and the like, outside the sample; owned
    uint8_t *overflow;    // the sample, where it did not fit in place; owned
    size_t message_bytes; // capacity of `message`
    uint8_t *message;
    uint8_t room[];
};

// For a message of up to `message_bytes` (16-byte header included, where there is one). One reference. NULL without
// memory.
struct ch_frame *ch_frame_new(size_t message_bytes);
// Moves a frame that is still being read to a larger one (fragmented messages). -ENOMEM leaves it as is.
int ch_frame_grow(struct ch_frame **frame, size_t message_bytes);
// Room for a message of `need` bytes so far, whose bytes up to now are kept: makes *frame, or moves it to a larger one.
// `last`: it will not grow any further. Where the message is to be read to; NULL without memory.
uint8_t *ch_frame_room(struct ch_frame **frame, size_t need, bool last);
struct ch_frame *ch_frame_ref(struct ch_frame *frame);
void ch_frame_unref(struct ch_frame *frame); // any thread; NULL is fine

// NAL units to put in front of a frame's own (parameter sets that its sample needs). Borrowed.
struct ch_frame_extra {
    const uint8_t *data;
    size_t size;
};

// Builds pieces, hash and, if `with_sample`, the sample. `nals` are those of the payload, `in_sample[i]`
// tells which of them the sample holds. 0 or -ENOMEM (then the frame is unusable but may be unref'd).
int ch_frame_pack(struct ch_frame *frame, const struct ch_nal *nals, const bool *in_sample, size_t count,
                  bool with_sample, const struct ch_frame_extra *extra, size_t extra_count);

// The same for a message without a header whose first `size` bytes are payload and sample alike: one piece, nothing
// moved, and the hash over all of it.
void ch_frame_pack_whole(struct ch_frame *frame, size_t size);
// Likewise an AAC frame, which has no piece.
void ch_frame_pack_audio(struct ch_frame *frame, size_t size);

// True if the message brings a sequence parameter set of its own.
bool ch_frame_has_sps(const struct ch_frame *frame);

// Number of vectors that the payload takes, and those vectors. They point into the frame and constants.
size_t ch_frame_annexb_count(const struct ch_frame *frame);
size_t ch_frame_annexb(const struct ch_frame *frame, struct iovec *out);

#endif
