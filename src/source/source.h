// A source: an ffmpeg child that pulls something in and delivers it as H.264 and AAC, while somebody needs it.
// Joins supervisor (when it runs), ffmpeg_args (what runs), complaint (what went wrong) and codec/flv (what comes out).
//
// - What fits is copied. If it turns out not to fit, by what comes (another codec) or by what ffmpeg says, the source
//   runs again at once in another way (ch_ffmpeg_way) and remembers that way as long as it lives.
// - When it is given up. Everything but a network source: `crash_threshold` failures inside `crash_window`. A network
//   source: its first attempt and `max_reconnect_attempts` more, in a row, brought no picture; a picture, and whoever
//   comes anew, begin that count anew. Its pauses begin at `reconnect_delay`; crash_threshold does not apply to it.
// - Pictures of a run begin with a key frame; those before it are dropped and counted.
// - What comes faster than it plays, for longer than a live stream's first burst can last (30 s of it), is held back by
//   not reading. That is how stored things are played that do not look stored.
// - A file that is not looped ENDs. Everything else that ends by itself has failed, whatever its exit status.
//
// Thread: the loop's.
#ifndef CH_SOURCE_SOURCE_H
#define CH_SOURCE_SOURCE_H

#include "codec/flv.h"
#include "source/source_config.h"
#include "source/supervisor.h"

struct ch_source;

// Any call is allowed from `began`, `item` and `ended`; behind ch_source_free only `freed` comes.
struct ch_source_ops {
    // The first item of a run comes next: a new encoder, another clock.
    void (*began)(void *owner);
    // VIDEO_CONFIG, VIDEO, AUDIO_CONFIG (checked, in `audio`) or AUDIO, as the child gave them. Times as in
    // codec/flv.h, from the run's own zero. AUDIO comes only behind an AUDIO_CONFIG, VIDEO behind a VIDEO_CONFIG.
    void (*item)(void *owner, const struct ch_flv_item *item, const struct ch_aac_config *audio);
    // A run that `began` is over.
    void (*ended)(void *owner);
    // State or error have changed. No call from in here but those that ask, ch_source_set_users and ch_source_free.
    void (*changed)(void *owner);
};

#define CH_SOURCE_ERROR_BYTES 300
#define CH_SOURCE_LOG_BYTES 4096

struct ch_source_facts {
    enum ch_supervisor_state state;
    int64_t since_us; // wall clock
    int64_t retry_us; // until the next attempt; 0: none is planned
    int pid;          // of the child; 0: none
    uint64_t runs, restarts, crashes;
    unsigned recent_crashes;
    // Of all runs
    uint64_t bytes, packets, video_packets, audio_packets, key_frames, configurations, foreign;
    uint64_t dropped; // pictures before the first key frame of a run; not in the numbers before
    // Of the newest run
    uint64_t run_packets, run_gop_packets; // the latter: pictures since (and with) the newest key frame
    bool video_copied, audio_copied;
    bool has_video_config, has_audio_config, has_key;
    char error[CH_SOURCE_ERROR_BYTES]; // why the newest run that failed did so, in words, without secrets; "" if none,
                                       // or if it has been running well since
};

// config is copied, ffmpeg (the program's name) too. NULL without memory.
struct ch_source *ch_source_new(uv_loop_t *loop, const struct ch_source_config *config, const char *ffmpeg,
                                const struct ch_source_ops *ops, void *owner);
const struct ch_source_config *ch_source_config_of(const struct ch_source *source);
void ch_source_set_users(struct ch_source *source, unsigned users);
// Stops and continues reading from the child: the disk is behind. A paused source does not stall. What has been read
// already still comes.
void ch_source_read(struct ch_source *source, bool on);
void ch_source_facts(const struct ch_source *source, struct ch_source_facts *out);
// What it is, in a few words, without secrets: "rtsp://***@192.0.2.7/stream1", "screen :0", "file clip.mp4".
const char *ch_source_description(const struct ch_source *source);
// The last lines that the newest run's ffmpeg said, without secrets; '\n' between them. Length without the zero.
size_t ch_source_log(const struct ch_source *source, char *out, size_t room);
// Ends the child (gently: SIGTERM first) and frees the source when it has; then `freed`, the last call (may be NULL),
// never from within this one. A second call, not gently, hurries the first; its `freed` is not used.
void ch_source_free(struct ch_source *source, bool gently, void (*freed)(void *owner));

#endif
