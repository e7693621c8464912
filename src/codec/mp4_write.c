// The init segment, the bytes in front of a fragment's sample, and the moov that both forms of a
// recording share. ISO/IEC 14496-12; sample entries by ISO/IEC 14496-15 5.4.2 and ISO/IEC 14496-14 5.6.
//
// Times and durations are written in 64 bits always (version 1): one layout, whatever the length.
// The movie and the video track use one timescale, so its edit lists are exact; an empty edit in front of the
// audio is exact to half a tick.
#include "codec/mp4_internal.h"

#include <assert.h>

#define UNIX_EPOCH_IN_MP4_S INT64_C(2082844800) // from 1904-01-01, 8.2.2.3
#define TRACK_ENABLED_IN_MOVIE 3u

// Sample flags, 8.8.3.1.
#define FLAGS_KEY 0x02000000u     // depends on no other sample
#define FLAGS_NOT_KEY 0x01010000u // depends on others; no sync sample

// Descriptor tags, ISO/IEC 14496-1 7.2.2.1.
#define ES_DESCRIPTOR 3u
#define DECODER_CONFIG_DESCRIPTOR 4u
#define DECODER_SPECIFIC_INFO 5u
#define SL_CONFIG_DESCRIPTOR 6u

#define AAC_CHANNEL_BITS 6144u // of a frame, at the most: what a decoder holds of each channel, ISO/IEC 14496-3 4.5.3

#define TFHD_DEFAULT_BASE_IS_MOOF 0x020000u
#define TRUN_FLAGS 0x000F01u // data offset; per sample: duration, size, flags, composition offset

static void put_matrix(struct ch_mp4_out *out)
{
    static const uint32_t identity[9] = {0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000};
    for (int i = 0; i < 9; i++)
        ch_mp4_put32(out, identity[i]);
}

static void put_times(struct ch_mp4_out *out, const struct ch_mp4_track *track)
{
    int64_t created = track->created_unix_s + UNIX_EPOCH_IN_MP4_S;
    ch_mp4_put64(out, created > 0 ? (uint64_t)created : 0);
    ch_mp4_put64(out, created > 0 ? (uint64_t)created : 0);
}

static uint64_t track_duration(const struct ch_mp4_trak *trak)
{
    return trak->empty_duration + trak->presentation_duration;
}

static uint64_t movie_duration(const struct ch_mp4_movie *movie)
{
    uint64_t video = track_duration(&movie->video), audio = track_duration(&movie->audio);
    return video > audio ? video : audio;
}

// 8.2.2
static void put_mvhd(struct ch_mp4_out *out, const struct ch_mp4_movie *movie)
{
    size_t box = ch_mp4_begin_full(out, "mvhd", 1, 0);
    put_times(out, movie->track);
    ch_mp4_put32(out, CH_MP4_TIMESCALE);
    ch_mp4_put64(out, movie_duration(movie));
    ch_mp4_put32(out, 0x10000); // rate
    ch_mp4_put16(out, 0x0100);  // volume
    ch_mp4_put_zeros(out, 10);
    put_matrix(out);
    ch_mp4_put_zeros(out, 24);
    ch_mp4_put32(out, (movie->has_audio ? CH_MP4_AUDIO_TRACK_ID : CH_MP4_TRACK_ID) + 1); // next_track_ID
    ch_mp4_end(out, box);
}

// The width at which pixels are square, in 16.16.
static uint32_t shown_width(const struct ch_mp4_track *track)
{
    uint64_t width = (uint64_t)track->width << 16;
    if (track->sar_width > 0 && track->sar_height > 0)
        width = width * track->sar_width / track->sar_height;
    return width < UINT32_MAX ? (uint32_t)width : UINT32_MAX;
}

// 8.3.2
static void put_tkhd(struct ch_mp4_out *out, const struct ch_mp4_movie *movie, const struct ch_mp4_trak *trak)
{
    size_t box = ch_mp4_begin_full(out, "tkhd", 1, TRACK_ENABLED_IN_MOVIE);
    put_times(out, movie->track);
    ch_mp4_put32(out, trak->audio ? CH_MP4_AUDIO_TRACK_ID : CH_MP4_TRACK_ID);
    ch_mp4_put_zeros(out, 4);
    ch_mp4_put64(out, track_duration(trak));
    ch_mp4_put_zeros(out, 12);                   // reserved, layer, alternate_group
    ch_mp4_put16(out, trak->audio ? 0x0100 : 0); // volume
    ch_mp4_put16(out, 0);
    put_matrix(out);
    ch_mp4_put32(out, trak->audio ? 0 : shown_width(movie->track));
    ch_mp4_put32(out, trak->audio ? 0 : movie->track->height << 16);
    ch_mp4_end(out, box);
}

static void put_edit(struct ch_mp4_out *out, uint64_t duration, int64_t media_time)
{
    ch_mp4_put64(out, duration);
    ch_mp4_put64(out, (uint64_t)media_time);
    ch_mp4_put32(out, 0x10000); // media_rate
}

// 8.6.6. A duration of 0 in front of fragments: the edit goes on as long as they come. A media time of -1: nothing is
// presented so long.
static void put_edit_list(struct ch_mp4_out *out, const struct ch_mp4_trak *trak)
{
    bool empty = trak->empty_duration > 0;
    if (trak->media_time == 0 && !empty)
        return;
    size_t edts = ch_mp4_begin(out, "edts");
    size_t elst = ch_mp4_begin_full(out, "elst", 1, 0);
    ch_mp4_put32(out, empty ? 2 : 1);
    if (empty)
        put_edit(out, trak->empty_duration, -1);
    put_edit(out, trak->presentation_duration, trak->media_time);
    ch_mp4_end(out, elst);
    ch_mp4_end(out, edts);
}

// 8.4.2, 8.4.3
static void put_media_headers(struct ch_mp4_out *out, const struct ch_mp4_movie *movie, const struct ch_mp4_trak *trak)
{
    size_t mdhd = ch_mp4_begin_full(out, "mdhd", 1, 0);
    put_times(out, movie->track);
    ch_mp4_put32(out, trak->audio ? movie->track->audio.rate : CH_MP4_TIMESCALE);
    ch_mp4_put64(out, trak->media_duration);
    ch_mp4_put16(out, 0x55C4); // "und"
    ch_mp4_put16(out, 0);
    ch_mp4_end(out, mdhd);

    size_t hdlr = ch_mp4_begin_full(out, "hdlr", 0, 0);
    ch_mp4_put32(out, 0);
    ch_mp4_put(out, trak->audio ? "soun" : "vide", 4);
    ch_mp4_put_zeros(out, 12);
    ch_mp4_put(out, "camhub", 7);
    ch_mp4_end(out, hdlr);
}

// 12.1.2, 12.2.2, 8.7.1, 8.7.2: the samples are in this very file.
static void put_media_information_headers(struct ch_mp4_out *out, bool audio)
{
    size_t header = ch_mp4_begin_full(out, audio ? "smhd" : "vmhd", 0, audio ? 0 : 1);
    ch_mp4_put_zeros(out, audio ? 4 : 8);
    ch_mp4_end(out, header);

    size_t dinf = ch_mp4_begin(out, "dinf");
    size_t dref = ch_mp4_begin_full(out, "dref", 0, 0);
    ch_mp4_put32(out, 1);
    ch_mp4_end(out, ch_mp4_begin_full(out, "url ", 0, 1));
    ch_mp4_end(out, dref);
    ch_mp4_end(out, dinf);
}

// 12.1.4.2; nothing is said where pixels are square.
static void put_pixel_aspect(struct ch_mp4_out *out, const struct ch_mp4_track *track)
{
    if (track->sar_width == track->sar_height || track->sar_width == 0 || track->sar_height == 0)
        return;
    size_t pasp = ch_mp4_begin(out, "pasp");
    ch_mp4_put32(out, track->sar_width);
    ch_mp4_put32(out, track->sar_height);
    ch_mp4_end(out, pasp);
}

// 12.1.3
static void put_avc1(struct ch_mp4_out *out, const struct ch_mp4_track *track)
{
    size_t avc1 = ch_mp4_begin(out, "avc1");
    ch_mp4_put_zeros(out, 6);
    ch_mp4_put16(out, 1); // data_reference_index
    ch_mp4_put_zeros(out, 16);
    ch_mp4_put16(out, (uint16_t)track->width);
    ch_mp4_put16(out, (uint16_t)track->height);
    ch_mp4_put32(out, 0x480000); // 72 dpi, both ways
    ch_mp4_put32(out, 0x480000);
    ch_mp4_put_zeros(out, 4);
    ch_mp4_put16(out, 1);      // frame_count
    ch_mp4_put_zeros(out, 32); // compressorname
    ch_mp4_put16(out, 0x18);   // depth
    ch_mp4_put16(out, 0xFFFF);
    size_t avcc = ch_mp4_begin(out, "avcC");
    ch_mp4_put(out, track->avcc, track->avcc_bytes);
    ch_mp4_end(out, avcc);
    put_pixel_aspect(out, track);
    ch_mp4_end(out, avc1);
}

// The elementary stream's description, ISO/IEC 14496-1 7.2.6: one descriptor inside the other. The configuration's
// length keeps all lengths below 128, so each takes one byte.
static void put_esds(struct ch_mp4_out *out, const struct ch_aac_config *audio)
{
    static_assert(CH_AAC_CONFIG_MAX + 2 + 13 + 2 + 3 + 3 < 128, "lengths of one byte");
    uint8_t config = audio->bytes;
    size_t esds = ch_mp4_begin_full(out, "esds", 0, 0);
    ch_mp4_put8(out, ES_DESCRIPTOR);
    ch_mp4_put8(out, (uint8_t)(3 + 2 + 13 + 2 + config + 3));
    ch_mp4_put16(out, 0); // ES_ID, ISO/IEC 14496-14 3.1.2
    ch_mp4_put8(out, 0);
    ch_mp4_put8(out, DECODER_CONFIG_DESCRIPTOR);
    ch_mp4_put8(out, (uint8_t)(13 + 2 + config));
    ch_mp4_put8(out, 0x40); // objectTypeIndication: ISO/IEC 14496-3 audio
    ch_mp4_put8(out, 0x15); // streamType: audio
    ch_mp4_put8(out, 0);    // bufferSizeDB, 24 bits
    ch_mp4_put16(out, (uint16_t)(AAC_CHANNEL_BITS / 8 * audio->channels));
    ch_mp4_put32(out, 0); // maxBitrate and avgBitrate are not known
    ch_mp4_put32(out, 0);
    ch_mp4_put8(out, DECODER_SPECIFIC_INFO);
    ch_mp4_put8(out, config);
    ch_mp4_put(out, audio->config, config);
    ch_mp4_put8(out, SL_CONFIG_DESCRIPTOR);
    ch_mp4_put8(out, 1);
    ch_mp4_put8(out, 2); // as reserved for MP4 files
    ch_mp4_end(out, esds);
}

// 12.2.3; ISO/IEC 14496-14 5.6
static void put_mp4a(struct ch_mp4_out *out, const struct ch_aac_config *audio)
{
    size_t mp4a = ch_mp4_begin(out, "mp4a");
    ch_mp4_put_zeros(out, 6);
    ch_mp4_put16(out, 1); // data_reference_index
    ch_mp4_put_zeros(out, 8);
    ch_mp4_put16(out, (uint16_t)audio->channels);
    ch_mp4_put16(out, 16); // samplesize
    ch_mp4_put_zeros(out, 4);
    ch_mp4_put32(out, audio->rate <= UINT16_MAX ? audio->rate << 16 : 0); // higher ones find no room here
    put_esds(out, audio);
    ch_mp4_end(out, mp4a);
}

// 8.5.2
static void put_stsd(struct ch_mp4_out *out, const struct ch_mp4_track *track, bool audio)
{
    size_t stsd = ch_mp4_begin_full(out, "stsd", 0, 0);
    ch_mp4_put32(out, 1);
    if (audio)
        put_mp4a(out, &track->audio);
    else
        put_avc1(out, track);
    ch_mp4_end(out, stsd);
}

static void put_empty_tables(struct ch_mp4_out *out)
{
    static const char types[3][4] = {{'s', 't', 't', 's'}, {'s', 't', 's', 'c'}, {'s', 't', 'c', 'o'}};
    for (int i = 0; i < 3; i++) {
        size_t box = ch_mp4_begin_full(out, types[i], 0, 0);
        ch_mp4_put32(out, 0);
        ch_mp4_end(out, box);
    }
    size_t stsz = ch_mp4_begin_full(out, "stsz", 0, 0);
    ch_mp4_put_zeros(out, 8);
    ch_mp4_end(out, stsz);
}

static void put_trak(struct ch_mp4_out *out, const struct ch_mp4_movie *movie, const struct ch_mp4_trak *track)
{
    size_t trak = ch_mp4_begin(out, "trak");
    put_tkhd(out, movie, track);
    put_edit_list(out, track);
    size_t mdia = ch_mp4_begin(out, "mdia");
    put_media_headers(out, movie, track);
    size_t minf = ch_mp4_begin(out, "minf");
    put_media_information_headers(out, track->audio);
    size_t stbl = ch_mp4_begin(out, "stbl");
    put_stsd(out, movie->track, track->audio);
    if (track->tables)
        ch_mp4_put_tables(out, track);
    else
        put_empty_tables(out);
    ch_mp4_end(out, stbl);
    ch_mp4_end(out, minf);
    ch_mp4_end(out, mdia);
    ch_mp4_end(out, trak);
}

// 8.8.3. Every fragment says all of its sample, so the defaults are never used.
static void put_trex(struct ch_mp4_out *out, uint32_t track_id)
{
    size_t trex = ch_mp4_begin_full(out, "trex", 0, 0);
    ch_mp4_put32(out, track_id);
    ch_mp4_put32(out, 1); // default_sample_description_index
    ch_mp4_put_zeros(out, 12);
    ch_mp4_end(out, trex);
}

// 8.8.1
static void put_mvex(struct ch_mp4_out *out, bool audio)
{
    size_t mvex = ch_mp4_begin(out, "mvex");
    put_trex(out, CH_MP4_TRACK_ID);
    if (audio)
        put_trex(out, CH_MP4_AUDIO_TRACK_ID);
    ch_mp4_end(out, mvex);
}

void ch_mp4_put_moov(struct ch_mp4_out *out, const struct ch_mp4_movie *movie)
{
    size_t moov = ch_mp4_begin(out, "moov");
    put_mvhd(out, movie);
    put_trak(out, movie, &movie->video);
    if (movie->has_audio)
        put_trak(out, movie, &movie->audio);
    if (movie->fragmented)
        put_mvex(out, movie->has_audio);
    ch_mp4_end(out, moov);
}

// 4.3. iso6 knows signed composition offsets and fragments that lie anywhere; isom and mp41 are
// true of the finished file.
static void put_ftyp(struct ch_mp4_out *out)
{
    size_t ftyp = ch_mp4_begin(out, "ftyp");
    ch_mp4_put(out, "iso6", 4);
    ch_mp4_put32(out, 1); // minor_version
    ch_mp4_put(out, "iso6isomavc1mp41", 16);
    ch_mp4_end(out, ftyp);
}

static void put_init(struct ch_mp4_out *out, const struct ch_mp4_track *track)
{
    put_ftyp(out);
    size_t box = ch_mp4_begin(out, "free");
    ch_mp4_put_zeros(out, CH_MP4_FREE_BYTES - 8);
    ch_mp4_end(out, box);
    struct ch_mp4_movie movie = {
        .track = track,
        .fragmented = true,
        .has_audio = track->audio.rate > 0,
        .video = {.media_time = track->media_time_ticks},
        .audio = {.audio = true},
    };
    ch_mp4_put_moov(out, &movie);
}

size_t ch_mp4_write_init(const struct ch_mp4_track *track, uint8_t *out, size_t capacity)
{
    struct ch_mp4_out count = {0};
    put_init(&count, track);
    if (out && count.at <= capacity) {
        struct ch_mp4_out memory = {.data = out};
        put_init(&memory, track);
    }
    return count.at;
}

// moof, mfhd, traf, tfhd, tfdt, trun, and the header of mdat.
static_assert(CH_MP4_FRAGMENT_HEADER_BYTES == 8 + 16 + 8 + 16 + 20 + 36 + 8, "the boxes below");

// 8.8.4 to 8.8.8, 8.8.12
void ch_mp4_write_fragment(const struct ch_mp4_fragment *fragment, uint8_t out[CH_MP4_FRAGMENT_HEADER_BYTES])
{
    struct ch_mp4_out header = {.data = out};
    size_t moof = ch_mp4_begin(&header, "moof");
    size_t mfhd = ch_mp4_begin_full(&header, "mfhd", 0, 0);
    ch_mp4_put32(&header, fragment->sequence);
    ch_mp4_end(&header, mfhd);
    size_t traf = ch_mp4_begin(&header, "traf");
    size_t tfhd = ch_mp4_begin_full(&header, "tfhd", 0, TFHD_DEFAULT_BASE_IS_MOOF);
    ch_mp4_put32(&header, fragment->audio ? CH_MP4_AUDIO_TRACK_ID : CH_MP4_TRACK_ID);
    ch_mp4_end(&header, tfhd);
    size_t tfdt = ch_mp4_begin_full(&header, "tfdt", 1, 0);
    ch_mp4_put64(&header, fragment->dts_ticks);
    ch_mp4_end(&header, tfdt);
    size_t trun = ch_mp4_begin_full(&header, "trun", 1, TRUN_FLAGS);
    ch_mp4_put32(&header, 1);
    ch_mp4_put32(&header, CH_MP4_FRAGMENT_HEADER_BYTES); // data_offset: the sample is right behind
    ch_mp4_put32(&header, fragment->duration_ticks);
    ch_mp4_put32(&header, fragment->sample_bytes);
    ch_mp4_put32(&header, fragment->key || fragment->audio ? FLAGS_KEY : FLAGS_NOT_KEY);
    ch_mp4_put32(&header, fragment->audio ? 0 : (uint32_t)fragment->composition_ticks);
    ch_mp4_end(&header, trun);
    ch_mp4_end(&header, traf);
    ch_mp4_end(&header, moof);
    ch_mp4_put32(&header, 8 + fragment->sample_bytes);
    ch_mp4_put(&header, "mdat", 4);
    assert(header.at == CH_MP4_FRAGMENT_HEADER_BYTES);
}

// 4.2: size 1 says that a 64-bit size follows the type.
void ch_mp4_write_mdat_header(uint64_t end, uint8_t out[CH_MP4_FREE_BYTES])
{
    ch_put_be32(out, 1);
    memcpy(out + 4, "mdat", 4);
    ch_put_be64(out + 8, end - CH_MP4_FREE_OFFSET);
}
