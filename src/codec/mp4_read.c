// Reads moov boxes: what an init segment says about its tracks, and the sample tables of a finished file.
//
// Meant for files that this program wrote, so one video track, an audio track behind it or none, 32-bit box sizes and
// one sample description for each are all it knows; but the bytes may be any. All counts are checked against their boxes and against
// each other before the first sample is handed out, so iterating needs no checks.
#include "codec/mp4_internal.h"

#include <errno.h>

#define UNIX_EPOCH_IN_MP4_S INT64_C(2082844800)
#define AVC1_FIXED_BYTES 78u
#define MIN_AVCC_BYTES 7u
#define MP4A_FIXED_BYTES 28u
#define ES_FIXED_BYTES 3u              // ES_ID and flags of an ES_Descriptor
#define DECODER_CONFIG_FIXED_BYTES 13u // of a DecoderConfigDescriptor

// The first child of this type; *parent is what lies behind it.
static bool take_box(struct ch_mp4_box *parent, const char type[static 4], struct ch_mp4_box *child)
{
    while (parent->size >= 8) {
        uint32_t size = ch_get_be32(parent->data);
        if (size < 8 || size > parent->size)
            return false;
        const uint8_t *box = parent->data;
        parent->data += size;
        parent->size -= size;
        if (memcmp(box + 4, type, 4) == 0) {
            *child = (struct ch_mp4_box){box + 8, size - 8};
            return true;
        }
    }
    return false;
}

bool ch_mp4_find(struct ch_mp4_box parent, const char type[static 4], struct ch_mp4_box *child)
{
    return take_box(&parent, type, child);
}

// A child that is a FullBox with at least `min_bytes` behind version and flags, which are cut off.
static bool find_full(struct ch_mp4_box parent, const char type[static 4], size_t min_bytes, struct ch_mp4_box *child,
                      uint8_t *version)
{
    if (!ch_mp4_find(parent, type, child) || child->size < 4 + min_bytes)
        return false;
    *version = child->data[0];
    child->data += 4;
    child->size -= 4;
    return true;
}

static bool whole_moov(const uint8_t *bytes, size_t size, struct ch_mp4_box *moov)
{
    return ch_mp4_find((struct ch_mp4_box){bytes, size}, "moov", moov) && moov->data == bytes + 8;
}

// Creation time of mvhd, 8.2.2.
static bool read_created(struct ch_mp4_box moov, int64_t *unix_s)
{
    struct ch_mp4_box mvhd;
    uint8_t version;
    if (!find_full(moov, "mvhd", 8, &mvhd, &version))
        return false;
    uint64_t created = version == 1 ? ch_get_be64(mvhd.data) : ch_get_be32(mvhd.data);
    *unix_s = (int64_t)(created & INT64_MAX) - UNIX_EPOCH_IN_MP4_S;
    return true;
}

// Where the presentation begins on the media timeline, and how much later than the movie, 8.6.6. Without an edit list,
// at 0 both.
static bool read_edit_list(struct ch_mp4_box trak, int64_t *media_time, uint64_t *empty)
{
    struct ch_mp4_box edts, elst;
    uint8_t version;
    *media_time = 0;
    *empty = 0;
    if (!ch_mp4_find(trak, "edts", &edts))
        return true;
    if (!find_full(edts, "elst", 4, &elst, &version) || ch_get_be32(elst.data) == 0)
        return false;
    size_t entry_bytes = version == 1 ? 20 : 12, entries = (elst.size - 4) / entry_bytes;
    if (entries == 0)
        return false;
    const uint8_t *at = elst.data + 4;
    int64_t time = version == 1 ? (int64_t)ch_get_be64(at + 8) : (int32_t)ch_get_be32(at + 4);
    if (time == -1 && ch_get_be32(elst.data) > 1 && entries > 1) {
        *empty = version == 1 ? ch_get_be64(at) : ch_get_be32(at);
        at += entry_bytes;
        time = version == 1 ? (int64_t)ch_get_be64(at + 8) : (int32_t)ch_get_be32(at + 4);
    }
    *media_time = time > 0 ? time : 0;
    return true;
}

// 8.4.2
static bool read_timescale(struct ch_mp4_box mdia, uint32_t *timescale)
{
    struct ch_mp4_box mdhd;
    uint8_t version;
    if (!find_full(mdia, "mdhd", 20, &mdhd, &version))
        return false;
    *timescale = ch_get_be32(mdhd.data + (version == 1 ? 16 : 8));
    return *timescale > 0;
}

// The sample description, 8.5.2, 12.1.3, and ISO/IEC 14496-15 5.4.2.
static bool read_avc1(struct ch_mp4_box stbl, struct ch_mp4_track *track)
{
    struct ch_mp4_box stsd, avc1, avcc, pasp;
    uint8_t version;
    if (!find_full(stbl, "stsd", 4, &stsd, &version))
        return false;
    if (!ch_mp4_find((struct ch_mp4_box){stsd.data + 4, stsd.size - 4}, "avc1", &avc1) || avc1.size < AVC1_FIXED_BYTES)
        return false;
    track->width = ch_get_be16(avc1.data + 24);
    track->height = ch_get_be16(avc1.data + 26);
    struct ch_mp4_box children = {avc1.data + AVC1_FIXED_BYTES, avc1.size - AVC1_FIXED_BYTES};
    if (!ch_mp4_find(children, "avcC", &avcc) || avcc.size < MIN_AVCC_BYTES)
        return false;
    track->avcc = avcc.data;
    track->avcc_bytes = avcc.size;
    track->sar_width = track->sar_height = 1;
    if (ch_mp4_find(children, "pasp", &pasp) && pasp.size >= 8) {
        track->sar_width = ch_get_be32(pasp.data);
        track->sar_height = ch_get_be32(pasp.data + 4);
    }
    return true;
}

// A descriptor of this tag, ISO/IEC 14496-1 8.3.3: its length takes up to four bytes. *at is what lies behind it.
static bool take_descriptor(struct ch_mp4_box *at, uint8_t tag, struct ch_mp4_box *out)
{
    if (at->size < 2 || at->data[0] != tag)
        return false;
    size_t size = 0, used = 1;
    do {
        if (used == at->size || used > 4)
            return false;
        size = size << 7 | (at->data[used] & 0x7Fu);
    } while (at->data[used++] & 0x80);
    if (size > at->size - used)
        return false;
    *out = (struct ch_mp4_box){at->data + used, size};
    at->data += used + size;
    at->size -= used + size;
    return true;
}

// The sample description, 8.5.2, 12.2.3, and ISO/IEC 14496-14 5.6.
static bool read_mp4a(struct ch_mp4_box stbl, struct ch_aac_config *audio)
{
    struct ch_mp4_box stsd, mp4a, esds, es, decoder, config;
    uint8_t version;
    if (!find_full(stbl, "stsd", 4, &stsd, &version))
        return false;
    if (!ch_mp4_find((struct ch_mp4_box){stsd.data + 4, stsd.size - 4}, "mp4a", &mp4a) || mp4a.size < MP4A_FIXED_BYTES)
        return false;
    if (!find_full((struct ch_mp4_box){mp4a.data + MP4A_FIXED_BYTES, mp4a.size - MP4A_FIXED_BYTES}, "esds", 0, &esds,
                   &version))
        return false;
    if (!take_descriptor(&esds, 3, &es) || es.size < ES_FIXED_BYTES)
        return false;
    es = (struct ch_mp4_box){es.data + ES_FIXED_BYTES, es.size - ES_FIXED_BYTES};
    if (!take_descriptor(&es, 4, &decoder) || decoder.size < DECODER_CONFIG_FIXED_BYTES)
        return false;
    decoder = (struct ch_mp4_box){decoder.data + DECODER_CONFIG_FIXED_BYTES, decoder.size - DECODER_CONFIG_FIXED_BYTES};
    return take_descriptor(&decoder, 5, &config) && ch_aac_parse(config.data, config.size, audio) == 0;
}

struct trak {
    int64_t media_time;
    uint64_t empty;
    uint32_t timescale;
    struct ch_mp4_box stbl;
};

static bool read_trak(struct ch_mp4_box box, struct trak *out)
{
    struct ch_mp4_box mdia, minf;
    return read_edit_list(box, &out->media_time, &out->empty) && ch_mp4_find(box, "mdia", &mdia) &&
           read_timescale(mdia, &out->timescale) && ch_mp4_find(mdia, "minf", &minf) &&
           ch_mp4_find(minf, "stbl", &out->stbl);
}

static bool read_video(struct ch_mp4_box moov, struct ch_mp4_track *track, struct trak *trak)
{
    struct ch_mp4_box box;
    if (!read_created(moov, &track->created_unix_s) || !ch_mp4_find(moov, "trak", &box) || !read_trak(box, trak) ||
        !read_avc1(trak->stbl, track))
        return false;
    track->media_time_ticks = trak->media_time;
    return true;
}

// The track behind the video. 0, -ENODATA if there is none, -EBADMSG.
static int read_audio(struct ch_mp4_box moov, struct ch_aac_config *audio, struct trak *trak)
{
    struct ch_mp4_box box;
    if (!take_box(&moov, "trak", &box))
        return -EBADMSG;
    if (!take_box(&moov, "trak", &box))
        return -ENODATA;
    if (!read_trak(box, trak) || !read_mp4a(trak->stbl, audio))
        return -EBADMSG;
    return trak->timescale == audio->rate ? 0 : -EBADMSG;
}

int ch_mp4_read_init(const uint8_t *moov, size_t bytes, struct ch_mp4_track *track)
{
    struct ch_mp4_box body, mvex;
    struct trak video, audio;
    *track = (struct ch_mp4_track){0};
    if (!whole_moov(moov, bytes, &body) || !read_video(body, track, &video) || !ch_mp4_find(body, "mvex", &mvex) ||
        video.timescale != CH_MP4_TIMESCALE)
        return -EBADMSG;
    int rc = read_audio(body, &track->audio, &audio);
    if (rc == -ENODATA)
        track->audio = (struct ch_aac_config){0};
    return rc == -ENODATA ? 0 : rc;
}

// --- sample tables --------------------------------------------------------------------------------

// A table of `count` entries of a fixed size. Absent is an empty one; false if it overruns its box.
static bool read_table(struct ch_mp4_box stbl, const char type[static 4], size_t entry_bytes, const uint8_t **data,
                       uint32_t *count)
{
    struct ch_mp4_box box;
    uint8_t version;
    *data = NULL;
    *count = 0;
    if (!ch_mp4_find(stbl, type, &box))
        return true;
    if (!find_full(stbl, type, 4, &box, &version))
        return false;
    *count = ch_get_be32(box.data);
    *data = box.data + 4;
    return (box.size - 4) / entry_bytes >= *count;
}

// 8.7.3.2: either one size for all, or one for each.
static bool read_stsz(struct ch_mp4_box stbl, struct ch_mp4_moov *out)
{
    struct ch_mp4_box stsz;
    uint8_t version;
    if (!find_full(stbl, "stsz", 8, &stsz, &version))
        return false;
    out->fixed_sample_bytes = ch_get_be32(stsz.data);
    out->samples = out->stsz.count = ch_get_be32(stsz.data + 4);
    out->stsz.data = stsz.data + 8;
    if (out->samples == 0 || out->samples > CH_MP4_MAX_SAMPLES)
        return false;
    return out->fixed_sample_bytes > 0 || (stsz.size - 8) / 4 >= out->samples;
}

// The runs of stts or ctts cover each sample once. `total` is the sum over all samples.
static bool runs_cover(const uint8_t *data, uint32_t count, uint64_t samples, uint64_t *total)
{
    uint64_t covered = 0;
    *total = 0;
    for (uint32_t i = 0; i < count && covered <= samples; i++) {
        uint64_t run = ch_get_be32(data + 8 * (size_t)i);
        covered += run;
        *total += run * ch_get_be32(data + 8 * (size_t)i + 4);
    }
    return covered == samples;
}

// 8.7.4: the chunks hold each sample once. (That the entries rise to behind the last chunk keeps all inside.)
static bool chunks_cover(const struct ch_mp4_moov *moov, uint32_t chunks)
{
    uint64_t covered = 0;
    uint32_t count = moov->stsc.count;
    if (count == 0 || ch_get_be32(moov->stsc.data) != 1)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *entry = moov->stsc.data + 12 * (size_t)i;
        uint64_t first = ch_get_be32(entry), per_chunk = ch_get_be32(entry + 4);
        uint64_t end = i + 1 < count ? ch_get_be32(entry + 12) : (uint64_t)chunks + 1;
        if (end <= first || per_chunk == 0 || per_chunk > moov->samples)
            return false;
        covered += (end - first) * per_chunk;
        if (covered > moov->samples)
            return false;
    }
    return covered == moov->samples;
}

// 8.6.2: rising numbers from 1.
static bool keys_rise(const struct ch_mp4_moov *moov)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < moov->stss.count; i++) {
        uint32_t number = ch_get_be32(moov->stss.data + 4 * (size_t)i);
        if (number <= last || number > moov->samples)
            return false;
        last = number;
    }
    return true;
}

static bool read_tables(struct ch_mp4_box stbl, struct ch_mp4_moov *out)
{
    if (!read_stsz(stbl, out) || !read_table(stbl, "stts", 8, &out->stts.data, &out->stts.count) ||
        !read_table(stbl, "ctts", 8, &out->ctts.data, &out->ctts.count) ||
        !read_table(stbl, "stco", 4, &out->stco.data, &out->stco.count) ||
        !read_table(stbl, "co64", 8, &out->co64.data, &out->co64.count) ||
        !read_table(stbl, "stss", 4, &out->stss.data, &out->stss.count) ||
        !read_table(stbl, "stsc", 12, &out->stsc.data, &out->stsc.count))
        return false;
    if ((out->stco.data != NULL) == (out->co64.data != NULL))
        return false;
    uint64_t ignored;
    return runs_cover(out->stts.data, out->stts.count, out->samples, &out->duration_ticks) &&
           (!out->ctts.data || runs_cover(out->ctts.data, out->ctts.count, out->samples, &ignored)) &&
           chunks_cover(out, out->stco.data ? out->stco.count : out->co64.count) && keys_rise(out);
}

static int read_track_tables(const struct trak *trak, struct ch_mp4_moov *out)
{
    out->timescale = trak->timescale;
    out->media_time_ticks = trak->media_time;
    out->empty_ticks = trak->empty;
    return read_tables(trak->stbl, out) ? 0 : -EBADMSG;
}

static bool finished_moov(const uint8_t *moov, size_t bytes, struct ch_mp4_box *body)
{
    struct ch_mp4_box mvex;
    return whole_moov(moov, bytes, body) && !ch_mp4_find(*body, "mvex", &mvex);
}

int ch_mp4_read_moov(const uint8_t *moov, size_t bytes, struct ch_mp4_moov *out)
{
    struct ch_mp4_box body;
    struct ch_mp4_track track;
    struct trak trak;
    *out = (struct ch_mp4_moov){0};
    if (!finished_moov(moov, bytes, &body) || !read_video(body, &track, &trak))
        return -EBADMSG;
    out->width = track.width;
    out->height = track.height;
    out->avcc = track.avcc;
    out->avcc_bytes = track.avcc_bytes;
    return read_track_tables(&trak, out);
}

int ch_mp4_read_moov_audio(const uint8_t *moov, size_t bytes, struct ch_mp4_moov *out)
{
    struct ch_mp4_box body;
    struct trak trak;
    *out = (struct ch_mp4_moov){0};
    if (!finished_moov(moov, bytes, &body))
        return -EBADMSG;
    int rc = read_audio(body, &out->audio, &trak);
    return rc < 0 ? rc : read_track_tables(&trak, out);
}

// The value that a table of runs holds for the next sample.
static uint32_t next_of_runs(const uint8_t *data, uint32_t *index, uint32_t *left)
{
    while (*left == 0) {
        *left = ch_get_be32(data + 8 * (size_t)*index);
        ++*index;
    }
    --*left;
    return ch_get_be32(data + 8 * (size_t)(*index - 1) + 4);
}

static void enter_next_chunk(struct ch_mp4_moov *moov)
{
    uint32_t chunk = moov->at.chunk++;
    if (moov->at.stsc < moov->stsc.count && ch_get_be32(moov->stsc.data + 12 * (size_t)moov->at.stsc) == chunk + 1)
        moov->at.stsc++;
    moov->at.chunk_left = ch_get_be32(moov->stsc.data + 12 * (size_t)(moov->at.stsc - 1) + 4);
    moov->at.offset = moov->co64.data ? ch_get_be64(moov->co64.data + 8 * (size_t)chunk)
                                      : ch_get_be32(moov->stco.data + 4 * (size_t)chunk);
}

// Without stss every sample is a key, 8.6.2.1.
static bool next_is_key(struct ch_mp4_moov *moov)
{
    if (!moov->stss.data)
        return true;
    if (moov->at.stss == moov->stss.count ||
        ch_get_be32(moov->stss.data + 4 * (size_t)moov->at.stss) != moov->at.sample + 1)
        return false;
    moov->at.stss++;
    return true;
}

bool ch_mp4_moov_next(struct ch_mp4_moov *moov, struct ch_mp4_sample *sample)
{
    if (moov->at.sample == moov->samples)
        return false;
    if (moov->at.chunk_left == 0)
        enter_next_chunk(moov);
    sample->offset = moov->at.offset;
    sample->bytes = moov->fixed_sample_bytes > 0 ? moov->fixed_sample_bytes
                                                 : ch_get_be32(moov->stsz.data + 4 * (size_t)moov->at.sample);
    sample->dts_ticks = moov->at.dts;
    sample->duration_ticks = next_of_runs(moov->stts.data, &moov->at.stts, &moov->at.stts_left);
    sample->composition_ticks = 0;
    if (moov->ctts.data)
        sample->composition_ticks = (int32_t)next_of_runs(moov->ctts.data, &moov->at.ctts, &moov->at.ctts_left);
    sample->key = next_is_key(moov);
    moov->at.chunk_left--;
    moov->at.offset += sample->bytes;
    moov->at.dts += sample->duration_ticks;
    moov->at.sample++;
    return true;
}
