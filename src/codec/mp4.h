// MP4 in the three shapes of a recording (docs/architecture.md, "A file that is never broken"):
//
//   while recording   ftyp, free (16 bytes), moov with mvex, then moof + mdat per frame
//   afterwards        ftyp, mdat (64-bit size; swallows the old moov and every fragment), moov
//   live              the same init segment and the same fragments, sent instead of written
//
// One video track, H.264 as `avc1`, timescale 90000; and if there is sound, one audio track, AAC as `mp4a`, with its
// sampling rate as timescale. Both begin at the file's zero: the presentation time of its first picture.
// All functions are pure: the caller does the reading and writing. ISO/IEC 14496-12 (boxes), 14496-15 (avc1, avcC),
// 14496-14 (mp4a, esds).
#ifndef CH_CODEC_MP4_H
#define CH_CODEC_MP4_H

#include "codec/aac.h"

#define CH_MP4_TIMESCALE 90000u
#define CH_MP4_TRACK_ID 1u
#define CH_MP4_AUDIO_TRACK_ID 2u

// The 16-byte `free` box that becomes the `mdat` header at the end lies at this file offset
// (right behind a `ftyp` of this size).
#define CH_MP4_FTYP_BYTES 32u
#define CH_MP4_FREE_OFFSET CH_MP4_FTYP_BYTES
#define CH_MP4_FREE_BYTES 16u

// Describes the track. Borrowed by the calls that take it.
struct ch_mp4_track {
    uint32_t width, height;         // as shown, after cropping, before the sample aspect ratio
    uint32_t sar_width, sar_height; // pasp is written unless they are equal or 0
    const uint8_t *avcc;            // AVCDecoderConfigurationRecord
    size_t avcc_bytes;
    int64_t created_unix_s;     // wall clock
    int64_t media_time_ticks;   // composition time of the first picture on the media timeline; an
                                // edit list maps it to 0 (8.6.6). No edit list if it is 0.
    struct ch_aac_config audio; // rate 0: there is no audio track
};

// ftyp + free + moov with mvex (8.8.1). Returns the bytes needed; writes them only if they fit
// (out may be NULL with capacity 0).
size_t ch_mp4_write_init(const struct ch_mp4_track *track, uint8_t *out, size_t capacity);

// One frame, or one AAC frame, as one fragment: the bytes in front of the sample, a constant number of them:
// moof{mfhd, traf{tfhd, tfdt, trun with one sample}} and the mdat header.
// trun data_offset counts from the moof (default-base-is-moof), so a fragment may lie anywhere.
#define CH_MP4_FRAGMENT_HEADER_BYTES 112u
struct ch_mp4_fragment {
    uint32_t sequence;         // mfhd
    bool audio;                // of the audio track: times are in its timescale; always a sync sample, and without a
                               // composition offset, whatever is said below
    uint64_t dts_ticks;        // tfdt, 64 bit
    uint32_t duration_ticks;   // a promise about a frame that has not come yet: be generous
    int32_t composition_ticks; // presentation minus decode time (trun version 1, signed)
    uint32_t sample_bytes;     // length-prefixed NAL units that follow
    bool key;                  // sync sample
};
void ch_mp4_write_fragment(const struct ch_mp4_fragment *fragment, uint8_t out[CH_MP4_FRAGMENT_HEADER_BYTES]);

// --- times of AAC frames ---------------------------------------------------------------------

// To the nearest one, a half going up. For what lies within +-2^60 of either.
int64_t ch_mp4_audio_samples(int64_t ticks, uint32_t rate);
int64_t ch_mp4_audio_ticks(int64_t samples, uint32_t rate);

// Gives the AAC frames of one file their times, one after the other. Zero-initialise. Everything that needs these times
// takes them from here, each with a clock of its own: so the same frames have the same times everywhere.
struct ch_mp4_audio_clock {
    bool any;
    int64_t last; // time of the newest
};
// The time, in samples behind the file's zero, of the frame that begins `ticks` (of 90000 a second) behind it: where the
// last one ends if that is within 2 samples (3 at 90 kHz or more, 4 at 180), else the nearest; always later than the
// last one. False (the clock stays) if it has no place in the file: there is no audio, it begins before the zero, or more
// than 2^32 - 1 samples behind the last one.
bool ch_mp4_audio_place(struct ch_mp4_audio_clock *clock, const struct ch_aac_config *audio, int64_t ticks,
                        int64_t *time);

// --- the final moov -------------------------------------------------------------------------

// Collects the sample tables of one track in decoding order. Zero-initialise; `free` after use, also on failure.
// Memory: about 12 bytes a sample where the step is constant, 28 where it never is.
struct ch_mp4_tables {
    struct ch_mp4_table {
        uint8_t *data;
        size_t bytes, capacity;
    } sizes, offsets, steps, compositions, keys;
    uint64_t samples, duration_ticks; // duration: sum of the steps, the last one's not yet among them
    int64_t first_dts, last_dts, presentation_end;
    int32_t first_composition, last_composition, min_composition;
    uint32_t run_step, run_step_count, run_composition_count;
    bool any_composition, large_offsets;
};
// Adds a sample; dts_ticks must be greater than the last one's. 0, -ENOMEM, -EINVAL (not greater; a
// step of 2^32 ticks or more; a decode time beyond +-2^61 or a composition offset beyond +-2^30),
// or -EFBIG (10^8 samples are there). On failure the tables are as before.
int ch_mp4_tables_add(struct ch_mp4_tables *tables, uint64_t offset, uint32_t bytes, int64_t dts_ticks,
                      int32_t composition_ticks, bool key);
// Takes the last sample's own duration (no other sample gives it; 0 counts as 1) and writes a complete
// moov (stts, ctts if any composition is not 0, stss, stsc, stsz, stco or co64, elst if needed) into
// memory owned by the caller. If a composition offset is below 0, all are raised by the same
// amount and the edit list takes it back, so no sample is presented before it is decoded.
// The presentation begins at 0 with the first sample's composition time.
// `audio`: the AAC frames, with times as of ch_mp4_audio_place; an empty edit stands in front of a first one later than
// 0 (8.6.6). NULL or without a sample: there is no audio track, whatever the description says.
// track->media_time_ticks is ignored. Changes nothing in the tables: samples may be added and the
// tables be finished again. 0, -ENOMEM, -EINVAL without a picture (or with audio that has no description or begins
// before 0), -EFBIG.
int ch_mp4_tables_finish(struct ch_mp4_tables *tables, const struct ch_mp4_tables *audio,
                         const struct ch_mp4_track *track, uint32_t last_duration_ticks, uint8_t **moov,
                         size_t *moov_bytes);
void ch_mp4_tables_free(struct ch_mp4_tables *tables);

// The 16 bytes that turn the `free` box into an `mdat` reaching up to `end` (file offset of the
// final moov).
void ch_mp4_write_mdat_header(uint64_t end, uint8_t out[CH_MP4_FREE_BYTES]);

// The bytes of a box behind its header. Borrowed.
struct ch_mp4_box {
    const uint8_t *data;
    size_t size;
};
// The first child of this type. False if there is none, or the children in front of it are broken (or have a size of
// 64 bits).
bool ch_mp4_find(struct ch_mp4_box parent, const char type[static 4], struct ch_mp4_box *child);

// --- reading our own files --------------------------------------------------------------------

// Walks a file in the recording shape, fragment by fragment:
//
//   ch_mp4_scan_init(&s, file_bytes);
//   do { read s.want_bytes bytes at s.want_offset (they lie inside the file; may be none);
//        ev = ch_mp4_scan_step(&s, bytes, got);
//   } while (ev == CH_MP4_MORE || ev == CH_MP4_INIT || ev == CH_MP4_FRAGMENT);
//
// Of a sample only the last byte is looked at: no NAL unit ends in a zero byte (ITU-T H.264 7.4.1),
// so a zero there is a tail that a power cut kept from being written. (Holes elsewhere in a sample, and in AAC frames,
// need a checksum.) A step that gets fewer bytes than wanted ends the file there.
// Never wants more than CH_MP4_SCAN_MAX_WANT bytes, always moves forward, and so ends after at most
// one step per 113 bytes of file and 6 more, whatever the bytes are.
#define CH_MP4_SCAN_MAX_WANT (2u << 20) // a moov with as many parameter sets as an avcC can hold
enum ch_mp4_event {
    CH_MP4_MORE,     // call again with the bytes now wanted
    CH_MP4_INIT,     // .init is filled: the moov was read; its avcc is borrowed from the step's input
    CH_MP4_FRAGMENT, // .fragment and .sample_offset are filled; it lies wholly inside the file
    CH_MP4_FINISHED, // the file is in the finished shape: the final moov, .moov_bytes long, begins at
                     // .want_offset; use ch_mp4_read_moov
    CH_MP4_END,      // the file ends exactly behind a fragment (or the init segment)
    CH_MP4_TORN,     // the file ends inside a box, or what follows is no fragment: .good_end is where
                     // the last whole fragment ends (0 if there is not even a whole init segment)
};
struct ch_mp4_scan {
    uint64_t want_offset;
    size_t want_bytes;
    uint64_t file_bytes, good_end;
    int state;
    struct ch_mp4_track init;
    struct ch_mp4_fragment fragment, next_fragment; // the latter not reported yet
    uint64_t sample_offset;
    uint64_t moov_bytes;
    bool finished_tail; // behind the last fragment lies a whole `moov`: ending was cut off before the
                        // header was patched (reported with CH_MP4_TORN; good_end is before it)
    bool patched;       // the `mdat` header is there, but no whole moov where it says: the fragments
                        // are reported as if it were still the `free` box
};
void ch_mp4_scan_init(struct ch_mp4_scan *scan, uint64_t file_bytes);
enum ch_mp4_event ch_mp4_scan_step(struct ch_mp4_scan *scan, const uint8_t *bytes, size_t size);

// Reads a complete moov box (header included) of a finished file: iterates over its samples.
struct ch_mp4_sample {
    uint64_t offset;
    uint32_t bytes;
    uint32_t duration_ticks;
    int64_t dts_ticks; // from 0
    int32_t composition_ticks;
    bool key;
};
struct ch_mp4_moov {                  // of one track
    uint64_t samples, duration_ticks; // duration: sum of all steps
    uint32_t timescale, width, height;
    int64_t media_time_ticks;   // of the edit list, 0 without
    uint64_t empty_ticks;       // of 90000 a second, that the edit list puts in front
    struct ch_aac_config audio; // of the audio track, which has none of the next two
    const uint8_t *avcc;        // borrowed from the moov's bytes, as the tables below
    size_t avcc_bytes;
    struct {
        const uint8_t *data;
        uint32_t count;
    } stts, ctts, stsz, stco, co64, stss, stsc;
    uint32_t fixed_sample_bytes;
    struct { // of each table, the entry that comes next
        uint32_t stts, stts_left, ctts, ctts_left, stss, chunk, chunk_left, stsc;
        uint64_t sample, offset;
        int64_t dts;
    } at;
};
// 0 or -EBADMSG (a table is missing, overruns its box, or contradicts another; no samples, or more
// than 10^8; the moov of an init segment). Bytes behind the box are ignored. Offsets are not
// compared with any file: the caller knows its size.
int ch_mp4_read_moov(const uint8_t *moov, size_t bytes, struct ch_mp4_moov *out);
// The same of the audio track. -ENODATA if there is none.
int ch_mp4_read_moov_audio(const uint8_t *moov, size_t bytes, struct ch_mp4_moov *out);
// True and the next sample in decoding order; false at the end.
bool ch_mp4_moov_next(struct ch_mp4_moov *moov, struct ch_mp4_sample *sample);

#endif
