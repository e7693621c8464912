// The ffmpeg command lines of sources and outputs. Pure but for the lists it allocates.
//
// - They are understood by ffmpeg 4.3 to 7. What differs between versions (the time limit of RTSP) and what depends on
//   what comes (codecs, missing times) cannot be known beforehand: a source begins one way and goes another when
//   ffmpeg's answer says so (source/complaint.h). ffmpeg has no "copy if it fits".
// - What ffmpeg reads while it looks at a stream is kept (no `nobuffer`), as the first key frame is in it; it looks for
//   a short time only, as a live stream without sound would otherwise begin seconds late.
// - Files are read at their own speed, also those that come over HTTP, known by the ending of their names. Everything
//   else is taken as it comes: `-re` would delay a live stream by whatever its server sends in advance. What is stored
//   and does not look it is held back by source/source.h.
// - What is encoded is H.264 baseline, 4:2:0, one key frame per second (of time, whatever the frame rate), no B-frames;
//   x264 chooses the level. `framerate` is an upper bound for what has a rate of its own. Odd sizes lose a line.
#ifndef CH_SOURCE_FFMPEG_ARGS_H
#define CH_SOURCE_FFMPEG_ARGS_H

#include "source/source_config.h"

// What is copied as it is.
enum ch_copy { CH_COPY_NONE = 0, CH_COPY_VIDEO = 1, CH_COPY_AUDIO = 2, CH_COPY_BOTH = 3 };

// How a source is run. Zero-initialise but for `copy`.
struct ch_ffmpeg_way {
    enum ch_copy copy;
    bool patient;     // looks at the input as long as ffmpeg likes
    bool skip_probed; // what is read while it looks is dropped: its first pictures have no times
    bool wallclock;   // times are those of arrival: the stream has none
    bool old;         // ffmpeg 4
};

// What is tried first: pictures that are raw or out of which a region is cut must be encoded, and so must the sound of
// audio_args.
enum ch_copy ch_ffmpeg_first_copy(const struct ch_source_config *config);

// A command that writes FLV to its stdout. A list that ends with NULL, in one piece of memory that the caller frees
// with free(); NULL without memory. Screens and windows are started by way of this program (`grab`, source/grab.h),
// which finds out where they are.
char **ch_ffmpeg_source_args(const char *ffmpeg, const struct ch_source_config *config,
                             const struct ch_ffmpeg_way *way);

// A command that reads FLV from its stdin and sends it on as it is. `format` NULL: by the URL (rtmp, rtmps: flv; rtsp:
// rtsp over TCP; srt: mpegts; udp: mpegts). NULL without memory, or if no format is known for this URL.
char **ch_ffmpeg_output_args(const char *ffmpeg, const char *url, const char *format);
// The format that goes with a URL, or NULL.
const char *ch_ffmpeg_output_format(const char *url);

#endif
