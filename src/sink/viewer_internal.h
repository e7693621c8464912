// The messages of each format that viewers are sent. viewer.c alone uses it.
//
// What stands around a frame's sample in the common formats is made once and kept in the frame (stream/frame.h).
#ifndef CH_SINK_VIEWER_INTERNAL_H
#define CH_SINK_VIEWER_INTERNAL_H

#include "stream/frame.h"

// --- fragmented MP4 and JPEGs: one run of bytes ---

// Makes the WebSocket head and, but for JPEGs, the fragment header in front of the sample.
void ch_viewer_make_head(struct ch_frame *frame);

static inline struct iovec ch_viewer_in_one_piece(struct ch_frame *frame, bool with_ws_head)
{
    if (frame->head_bytes == 0)
        ch_viewer_make_head(frame);
    size_t front =
        (frame->flags & CH_FRAME_JPEG ? 0 : CH_MP4_FRAGMENT_HEADER_BYTES) + (with_ws_head ? frame->head_bytes : 0u);
    return (struct iovec){.iov_base = frame->sample - front, .iov_len = front + frame->sample_bytes};
}

// The init segment of these parameters, in memory owned by the caller. NULL without memory.
uint8_t *ch_viewer_make_init(const struct ch_params *params, size_t *bytes);

// --- FLV: tag header, sample, size of the tag ---

#define CH_VIEWER_FLV_PIECES 3
#define CH_VIEWER_FLV_SAMPLE_MAX (CH_FLV_BODY_MAX - 5) // of a picture

void ch_viewer_make_flv(struct ch_frame *frame);

static inline void ch_viewer_in_flv_pieces(struct ch_frame *frame, bool with_ws_head,
                                           struct iovec out[CH_VIEWER_FLV_PIECES])
{
    if (frame->flv_head_bytes == 0)
        ch_viewer_make_flv(frame);
    uint8_t *tag = frame->flv + sizeof frame->flv - CH_FLV_VIDEO_HEAD_BYTES;
    size_t head = with_ws_head ? frame->flv_head_bytes : 0;
    size_t tag_head = frame->flags & CH_FRAME_AUDIO ? CH_FLV_AUDIO_HEAD_BYTES : CH_FLV_VIDEO_HEAD_BYTES;
    out[0] = (struct iovec){.iov_base = tag - head, .iov_len = head + tag_head};
    out[1] = (struct iovec){.iov_base = frame->sample, .iov_len = frame->sample_bytes};
    out[2] = (struct iovec){.iov_base = frame->flv_tail, .iov_len = CH_FLV_TAIL_BYTES};
}

// What comes before a key frame of new parameters: onMetaData and the configurations, behind the file header if it is
// the `first`. In memory owned by the caller; NULL without memory.
uint8_t *ch_viewer_make_flv_start(const struct ch_frame *key, bool first, size_t *bytes);

// --- other formats: a message of several pieces ---

#define CH_VIEWER_SCRATCH_BYTES 160

struct ch_viewer_message {
    struct iovec few[8], *iov; // `few`, or allocated
    size_t count;
    uint8_t scratch[CH_VIEWER_SCRATCH_BYTES];
};

// The message as it came, behind the parameter sets that it needs and does not bring along. 0 or -ENOMEM.
int ch_viewer_make_annexb(struct ch_frame *frame, struct ch_viewer_message *message);
// A JPEG as a part of multipart/x-mixed-replace.
void ch_viewer_make_part(struct ch_frame *frame, struct ch_viewer_message *message);
void ch_viewer_free_message(struct ch_viewer_message *message);

#endif
