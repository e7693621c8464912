// A stream is a log of immutable frames; everything downstream is a cursor.
//
// The camera's side appends messages; assembler and timeline make frames of them; the log keeps them
// from the newest key frame on (so that a late viewer or session starts at once), and further back as
// far as a lossless cursor still stands, or for others, as long as there are any, up to CH_LIVE_LAG_US and
// CH_LIMIT_COALESCE_US together, and CH_LIVE_LAG_BYTES. Readers take what lies between their cursor and the
// head whenever they like; `wake` only tells them that there is something new.
//
// One thread: the loop's. Frames taken out may be passed to other threads by reference.
#ifndef CH_STREAM_STREAM_H
#define CH_STREAM_STREAM_H

#include "stream/frame.h"

#include <stdbool.h>

struct ch_stream;

// A reader's place. Fields are the stream's; `wake` and `context` are set by ch_cursor_attach's caller.
struct ch_cursor {
    void (*wake)(struct ch_cursor *cursor); // the head moved; must not append, attach or detach
    void *context;
    bool lossless; // frames from here on are kept whatever it costs
    uint64_t next; // number of the next frame to read
    struct ch_stream *stream;
    struct ch_cursor *following, **self;
    const void *ahead; // memory that `wake` will look at, to be fetched while others are woken; may be NULL
};

struct ch_stream *ch_stream_new(void); // NULL without memory
// All cursors must be detached.
void ch_stream_free(struct ch_stream *stream);

// Takes a received frame (*frame becomes NULL; on failure it is released). message_size bytes of its
// message are filled in. 0; -EMSGSIZE or -EBADMSG if the 16-byte header is wrong (*declared tells the
// length it names); -ENOMEM.
int ch_stream_append(struct ch_stream *stream, struct ch_frame **frame, size_t message_size, int64_t wall_us,
                     int64_t mono_us, uint32_t *declared);

// The same for a message of a JPEG camera, which has no header. 0, -EBADMSG if it is no whole JPEG, -ENOMEM. A stream
// takes messages of one kind, the kind of the first. Times are those of arrival (stream/jpeg_assembler.h).
int ch_stream_append_jpeg(struct ch_stream *stream, struct ch_frame **frame, size_t message_size, int64_t wall_us,
                          int64_t mono_us);

// Sound between the pictures of an H.264 stream. The configuration holds from the next key frame on; NULL: none.
void ch_stream_set_audio(struct ch_stream *stream, const struct ch_aac_config *audio);
// An AAC frame, which the message holds whole (*frame becomes NULL). device_ms is on the clock of the pictures'.
// Times of frames that follow each other are counted in samples as long as the device's, which are rounded to
// milliseconds, agree. 0; -EAGAIN if there is no picture yet that it could go with, or none of its configuration, or
// neither picture nor sound within CH_LIMIT_CLOCK_STEP_US of it, or if it is not later than the sound that is there
// (it is dropped); -EINVAL if it is empty or larger than CH_AAC_FRAME_MAX; -ENOMEM.
int ch_stream_append_audio(struct ch_stream *stream, struct ch_frame **frame, size_t message_size, int64_t device_ms,
                           int64_t wall_us, int64_t mono_us);
// The device's clock is believed however fast its pictures arrive (segments, files, buffers of a server): only times
// that run backward, or ahead by more than CH_LIMIT_CLOCK_STEP_US at once (and not the sound's with them), are a
// jump. Until the next ch_stream_restart.
void ch_stream_trust_clock(struct ch_stream *stream);

// Appends pictures that wait for their presentation order to become known. With `older_than_us` above 0
// only if the last message came longer ago than that.
void ch_stream_flush(struct ch_stream *stream, int64_t mono_us, int64_t older_than_us);

// Marks the end of a session: what is in the log now is not part of the next one.
void ch_stream_fence(struct ch_stream *stream);

// The camera is connected anew: parameter sets and pictures from before are no beginning for anyone, its sound is to be
// set again, and its clock may be another. No lossless cursor may be attached. 0 or -ENOMEM (nothing changed).
int ch_stream_restart(struct ch_stream *stream);

// Where a session that begins now should start: the newest key frame, if no fence and no more than
// CH_LIMIT_GOP_US lie behind it, with the messages since the fence; else the head.
uint64_t ch_stream_session_start(const struct ch_stream *stream, int64_t mono_us);
// Where a viewer starts: the newest key frame, or the head if there is none.
uint64_t ch_stream_live_start(const struct ch_stream *stream);
// The newest key frame in the log, or NULL. Borrowed until the next append.
struct ch_frame *ch_stream_newest_key(const struct ch_stream *stream);
// The picture at *ticks of the stream's timeline was taken at *unix_us by the hub's clock, as far as its
// least delayed arrivals tell. False before the first picture.
bool ch_stream_clock(const struct ch_stream *stream, int64_t *ticks, int64_t *unix_us);

// The newest messages of parameter sets that lie before a frame, oldest first: a session that starts
// there begins with them. References for the caller; their number.
#define CH_STREAM_SETS 4
size_t ch_stream_parameter_sets(const struct ch_stream *stream, uint64_t before, struct ch_frame *out[CH_STREAM_SETS]);

void ch_cursor_attach(struct ch_cursor *cursor, struct ch_stream *stream, uint64_t start);
void ch_cursor_detach(struct ch_cursor *cursor);
// The next frame and one step on, or NULL at the head. A reference for the caller.
struct ch_frame *ch_cursor_next(struct ch_cursor *cursor);
// The same without moving or referencing.
struct ch_frame *ch_cursor_peek(const struct ch_cursor *cursor);
// The frame `ahead` frames behind that one, or NULL.
struct ch_frame *ch_cursor_peek_ahead(const struct ch_cursor *cursor, size_t ahead);
// The newest frame in the log, or NULL if it is empty.
struct ch_frame *ch_cursor_newest(const struct ch_cursor *cursor);
// True if frames that it has not read are gone.
bool ch_cursor_overrun(const struct ch_cursor *cursor);

struct ch_stream_counts {
    uint64_t messages, pictures, key_frames, payload_bytes, refused; // messages and bytes: with audio
    uint64_t audio_frames;
};
const struct ch_stream_counts *ch_stream_counts(const struct ch_stream *stream);
// Of the newest key frame; NULL before the first. Borrowed.
const struct ch_params *ch_stream_params(const struct ch_stream *stream);

#endif
