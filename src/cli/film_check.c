#include "cli/film_check.h"

#include "base/bytes.h"
#include "base/file.h"
#include "codec/mp4.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST_MOOV_BYTES (UINT64_C(1) << 30)

// How long nothing is shown in front, in ticks of the movie: an edit whose media time is -1, ISO/IEC 14496-12 8.6.6.
// That is how a film begins whose first pictures could not be decoded.
static bool read_start(const uint8_t *moov, size_t size, int64_t *start)
{
    struct ch_mp4_box box = {moov + 8, size - 8}, mvhd, edit;
    *start = 0;
    if (!ch_mp4_find(box, "mvhd", &mvhd) || mvhd.size < 24 || !ch_mp4_find(box, "trak", &edit))
        return false;
    uint32_t timescale = ch_get_be32(mvhd.data + (mvhd.data[0] == 1 ? 20 : 12));
    if (!ch_mp4_find(edit, "edts", &edit) || !ch_mp4_find(edit, "elst", &edit))
        return true;
    if (edit.size < 20 || ch_get_be32(edit.data + 4) == 0)
        return false;
    bool wide = edit.data[0] == 1;
    if (wide && edit.size < 28)
        return false;
    uint64_t duration = wide ? ch_get_be64(edit.data + 8) : ch_get_be32(edit.data + 8);
    bool empty = wide ? ch_get_be64(edit.data + 16) == UINT64_MAX : ch_get_be32(edit.data + 12) == UINT32_MAX;
    if (empty)
        *start = (int64_t)duration;
    return !empty || timescale == CH_MP4_TIMESCALE;
}

// The whole moov, owned by the caller. 0 or a negative errno.
static int read_moov(int fd, uint8_t **moov, size_t *bytes)
{
    int64_t size = ch_file_size(fd);
    uint8_t head[16];
    for (uint64_t at = 0; size > 0 && at + 8 <= (uint64_t)size;) {
        int64_t got = ch_file_read_some(fd, head, sizeof head, at);
        if (got < 8)
            return got < 0 ? (int)got : -EBADMSG;
        uint64_t box = ch_get_be32(head);
        if (box == 1 && got == sizeof head)
            box = ch_get_be64(head + 8);
        if (box < 8 || box > (uint64_t)size - at)
            return -EBADMSG;
        if (memcmp(head + 4, "moov", 4) != 0) {
            at += box;
            continue;
        }
        if (box > MOST_MOOV_BYTES)
            return -EFBIG;
        *moov = malloc((size_t)box);
        *bytes = (size_t)box;
        return *moov ? ch_file_read_at(fd, *moov, *bytes, at) : -ENOMEM;
    }
    return -EBADMSG;
}

// Every sample at a time of the index, in its order. 0, -ERANGE if one is not, or an error.
static int compare_times(struct ch_mp4_moov moov, int64_t start, const struct ch_film_plan *plan,
                         struct ch_jpeg_reader *reader)
{
    struct ch_mp4_sample sample;
    struct ch_record record;
    while (ch_mp4_moov_next(&moov, &sample)) {
        int64_t shown = start + sample.dts_ticks + sample.composition_ticks - moov.media_time_ticks, wanted;
        do {
            int rc = ch_jpeg_reader_next(reader, &record);
            if (rc <= 0)
                return rc < 0 ? rc : -ERANGE;
            wanted = record.pts_ticks - plan->base_ticks;
        } while (wanted + 1 < shown);
        if (wanted > shown + 1)
            return -ERANGE;
    }
    return 0;
}

int ch_film_check(const struct ch_film_plan *plan, struct ch_jpeg_reader *reader, int fd, struct ch_film_facts *facts,
                  char reason[CH_FILM_REASON_BYTES])
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct ch_mp4_moov moov;
    int64_t start;
    int rc = read_moov(fd, &bytes, &size);
    if (rc == 0 && (ch_mp4_read_moov(bytes, size, &moov) < 0 || !read_start(bytes, size, &start))) {
        snprintf(reason, CH_FILM_REASON_BYTES, "no picture could be decoded");
        rc = -ENODATA;
    } else if (rc == 0) {
        *facts = (struct ch_film_facts){.frames = moov.samples, .width = moov.width, .height = moov.height};
        rc = moov.timescale == CH_MP4_TIMESCALE ? compare_times(moov, start, plan, reader) : -ERANGE;
        if (rc == -ERANGE) {
            snprintf(reason, CH_FILM_REASON_BYTES, "ffmpeg gave pictures other times than they have");
            rc = -EBADMSG;
        }
    }
    if (rc < 0 && !reason[0])
        snprintf(reason, CH_FILM_REASON_BYTES, "ffmpeg's output cannot be read: %s", strerror(-rc));
    free(bytes);
    return rc;
}
