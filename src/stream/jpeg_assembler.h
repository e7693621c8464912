// Turns a JPEG camera's messages into frames that can be recorded and shown. Each message is one picture and a key
// frame. Such cameras number nothing and have no clock: the hub counts, and a picture's time is that of its arrival.
#ifndef CH_STREAM_JPEG_ASSEMBLER_H
#define CH_STREAM_JPEG_ASSEMBLER_H

#include "stream/frame.h"

// Zero-initialise; deinit releases what it holds.
struct ch_jpeg_assembler {
    uint32_t sequence;
    bool started;
    int64_t first_us;         // monotonic: CH_TIMELINE_ORIGIN
    int64_t last_ticks;       // of the newest picture
    struct ch_params *params; // of the newest picture; owned reference
};

void ch_jpeg_assembler_deinit(struct ch_jpeg_assembler *assembler);

// Takes a frame whose message (message_size bytes of it are filled in) is complete and whose arrival times are set:
// fills in all the rest. 0; -EBADMSG if it is no whole JPEG; -ENOMEM. On failure the frame is good for nothing but unref.
int ch_jpeg_assembler_take(struct ch_jpeg_assembler *assembler, struct ch_frame *frame, size_t message_size);

#endif
