// Access units of an Annex B byte stream that arrives in pieces, and the order in which their pictures
// are shown: what a program needs that plays a file as if it came from an encoder.
//
// One unit is what an encoder hands out at once: a primary coded picture with all that belongs to it
// (ITU-T H.264 7.4.1.2.3), or both fields of one frame. Every byte of the stream is part of exactly one
// unit. Pure, like h264.h; the parameter sets are kept in the caller's ch_h264_sets.
#ifndef CH_CODEC_H264_AU_H
#define CH_CODEC_H264_AU_H

#include "codec/h264_sets.h"

// One access unit, or a field pair.
struct ch_h264_au {
    size_t bytes; // from the start of the data
    bool picture; // has a coded slice; the rest says nothing otherwise
    bool idr;
    bool field_pair; // both fields of one frame
    bool known;      // the slice header could be parsed; the rest says nothing otherwise
    int32_t poc;     // picture order count, 8.2.1; the smaller one of a frame or field pair
    uint32_t width, height;
    uint32_t num_units_in_tick, time_scale; // of the SPS in force; 0, 0 if not given
};

struct ch_h264_au_splitter {
    struct ch_h264_sets *sets; // borrowed
    struct ch_h264_poc poc;
    struct ch_h264_slice slice; // newest of the unit looked at
    struct ch_h264_au au;
    size_t scan;     // NAL units before this offset have been looked at
    size_t boundary; // where the next unit begins, if what comes proves it does; 0: nowhere yet
    bool firm;       // the boundary stands unless a second field follows
    bool lone_field; // one field so far: the other one may follow
};

void ch_h264_au_init(struct ch_h264_au_splitter *splitter, struct ch_h264_sets *sets);

// Looks for the end of the first unit in data, which is what has not been taken of the stream yet:
// call again with the same bytes and more, or, after a unit was found, with out->bytes fewer in front.
// `end`: nothing follows the data. 1 (found, *out filled, out->bytes > 0), 0 (more bytes are needed;
// with `end`: no data is left), or -ENOMEM.
int ch_h264_au_next(struct ch_h264_au_splitter *splitter, const uint8_t *data, size_t size, bool end,
                    struct ch_h264_au *out);

// One picture of a stream, in decoding order.
struct ch_h264_shown {
    int32_t poc;
    bool restart;     // counts start anew: IDR, or unknown
    uint32_t decoded; // index in decoding order; filled in
    uint32_t shown;   // index in output order; filled in
};
// Finds the output order of pictures in decoding order. Also where a picture resets the counts without
// being an IDR picture (memory_management_control_operation 5, 8.2.1): no picture can be overtaken
// by more than the 16 that a decoder can hold (A.3.1), so there the counts must have been reset.
void ch_h264_output_order(struct ch_h264_shown *pictures, size_t count);

#endif
