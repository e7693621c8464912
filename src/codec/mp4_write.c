// The init segment, the bytes in front of a fragment's sample, and the moov that both forms of a
// recording share. ISO/IEC 14496-12; sample entry by ISO/IEC 14496-15 5.4.2.
//
// Times and durations are written in 64 bits always (version 1): one layout, whatever the length.
// The movie and the track use one timescale, so edit lists are exact.
#include "codec/mp4_internal.h"

#include <assert.h>

#define UNIX_EPOCH_IN_MP4_S INT64_C(2082844800) // from 1904-01-01, 8.2.2.3
#define TRACK_ENABLED_IN_MOVIE 3u

// Sample flags, 8.8.3.1.
#define FLAGS_KEY 0x02000000u     // depends on no other sample
#define FLAGS_NOT_KEY 0x01010000u // depends on others; no sync sample

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

// 8.2.2
static void put_mvhd(struct ch_mp4_out *out, const struct ch_mp4_movie *movie)
{
    size_t box = ch_mp4_begin_full(out, "mvhd", 1, 0);
    put_times(out, movie->track);
    ch_mp4_put32(out, CH_MP4_TIMESCALE);
    ch_mp4_put64(out, movie->presentation_duration);
    ch_mp4_put32(out, 0x10000); // rate
    ch_mp4_put16(out, 0x0100);  // volume
    ch_mp4_put_zeros(out, 10);
    put_matrix(out);
    ch_mp4_put_zeros(out, 24);
    ch_mp4_put32(out, CH_MP4_TRACK_ID + 1); // next_track_ID
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
static void put_tkhd(struct ch_mp4_out *out, const struct ch_mp4_movie *movie)
{
    size_t box = ch_mp4_begin_full(out, "tkhd", 1, TRACK_ENABLED_IN_MOVIE);
    put_times(out, movie->track);
    ch_mp4_put32(out, CH_MP4_TRACK_ID);
    ch_mp4_put_zeros(out, 4);
    ch_mp4_put64(out, movie->presentation_duration);
    ch_mp4_put_zeros(out, 16); // reserved, layer, alternate_group, volume
    put_matrix(out);
    ch_mp4_put32(out, shown_width(movie->track));
    ch_mp4_put32(out, movie->track->height << 16);
    ch_mp4_end(out, box);
}

// 8.6.6. A duration of 0 in front of fragments: the edit goes on as long as they come.
static void put_edit_list(struct ch_mp4_out *out, const struct ch_mp4_movie *movie)
{
    if (movie->media_time == 0)
        return;
    size_t edts = ch_mp4_begin(out, "edts");
    size_t elst = ch_mp4_begin_full(out, "elst", 1, 0);
    ch_mp4_put32(out, 1);
    ch_mp4_put64(out, movie->presentation_duration);
    ch_mp4_put64(out, (uint64_t)movie->media_time);
    ch_mp4_put32(out, 0x10000); // media_rate
    ch_mp4_end(out, elst);
    ch_mp4_end(out, edts);
}

// 8.4.2, 8.4.3
static void put_media_headers(struct ch_mp4_out *out, const struct ch_mp4_movie *movie)
{
    size_t mdhd = ch_mp4_begin_full(out, "mdhd", 1, 0);
    put_times(out, movie->track);
    ch_mp4_put32(out, CH_MP4_TIMESCALE);
    ch_mp4_put64(out, movie->media_duration);
    ch_mp4_put16(out, 0x55C4); // "und"
    ch_mp4_put16(out, 0);
    ch_mp4_end(out, mdhd);

    size_t hdlr = ch_mp4_begin_full(out, "hdlr", 0, 0);
    ch_mp4_put32(out, 0);
    ch_mp4_put(out, "vide", 4);
    ch_mp4_put_zeros(out, 12);
    ch_mp4_put(out, "camhub", 7);
    ch_mp4_end(out, hdlr);
}

// 12.1.2, 8.7.1, 8.7.2: the samples are in this very file.
static void put_media_information_headers(struct ch_mp4_out *out)
{
    size_t vmhd = ch_mp4_begin_full(out, "vmhd", 0, 1);
    ch_mp4_put_zeros(out, 8);
    ch_mp4_end(out, vmhd);

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

// 8.5.2, 12.1.3
static void put_stsd(struct ch_mp4_out *out, const struct ch_mp4_track *track)
{
    size_t stsd = ch_mp4_begin_full(out, "stsd", 0, 0);
    ch_mp4_put32(out, 1);
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

static void put_trak(struct ch_mp4_out *out, const struct ch_mp4_movie *movie)
{
    size_t trak = ch_mp4_begin(out, "trak");
    put_tkhd(out, movie);
    put_edit_list(out, movie);
    size_t mdia = ch_mp4_begin(out, "mdia");
    put_media_headers(out, movie);
    size_t minf = ch_mp4_begin(out, "minf");
    put_media_information_headers(out);
    size_t stbl = ch_mp4_begin(out, "stbl");
    put_stsd(out, movie->track);
    if (movie->tables)
        ch_mp4_put_tables(out, movie);
    else
        put_empty_tables(out);
    ch_mp4_end(out, stbl);
    ch_mp4_end(out, minf);
    ch_mp4_end(out, mdia);
    ch_mp4_end(out, trak);
}

// 8.8.1, 8.8.3. Every fragment says all of its sample, so the defaults are never used.
static void put_mvex(struct ch_mp4_out *out)
{
    size_t mvex = ch_mp4_begin(out, "mvex");
    size_t trex = ch_mp4_begin_full(out, "trex", 0, 0);
    ch_mp4_put32(out, CH_MP4_TRACK_ID);
    ch_mp4_put32(out, 1); // default_sample_description_index
    ch_mp4_put_zeros(out, 12);
    ch_mp4_end(out, trex);
    ch_mp4_end(out, mvex);
}

void ch_mp4_put_moov(struct ch_mp4_out *out, const struct ch_mp4_movie *movie)
{
    size_t moov = ch_mp4_begin(out, "moov");
    put_mvhd(out, movie);
    put_trak(out, movie);
    if (!movie->tables)
        put_mvex(out);
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
    struct ch_mp4_movie movie = {.track = track, .media_time = track->media_time_ticks};
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
    ch_mp4_put32(&header, CH_MP4_TRACK_ID);
    ch_mp4_end(&header, tfhd);
    size_t tfdt = ch_mp4_begin_full(&header, "tfdt", 1, 0);
    ch_mp4_put64(&header, fragment->dts_ticks);
    ch_mp4_end(&header, tfdt);
    size_t trun = ch_mp4_begin_full(&header, "trun", 1, TRUN_FLAGS);
    ch_mp4_put32(&header, 1);
    ch_mp4_put32(&header, CH_MP4_FRAGMENT_HEADER_BYTES); // data_offset: the sample is right behind
    ch_mp4_put32(&header, fragment->duration_ticks);
    ch_mp4_put32(&header, fragment->sample_bytes);
    ch_mp4_put32(&header, fragment->key ? FLAGS_KEY : FLAGS_NOT_KEY);
    ch_mp4_put32(&header, (uint32_t)fragment->composition_ticks);
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
