// A finished part still has its fragments, swallowed by one large `mdat`. To walk them too, the scanner is
// shown a `free` box where the `mdat` header is: then both forms are one, and what ends the walk of a
// finished file is its final moov.
#include "sink/scan_part.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/limits.h"
#include "codec/h264.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#define XXH_STATIC_LINKING_ONLY // for a state on the stack
#include <xxhash.h>

#define HEAD_BYTES (CH_MP4_FREE_OFFSET + CH_MP4_FREE_BYTES)
#define LENGTH_BYTES 4u
static const uint8_t free_box[CH_MP4_FREE_BYTES] = {0, 0, 0, CH_MP4_FREE_BYTES, 'f', 'r', 'e', 'e'};

// --- scratch ---

int ch_scratch_reserve(struct ch_scratch *scratch, size_t size)
{
    if (size <= scratch->capacity)
        return 0;
    uint8_t *data = realloc(scratch->data, size);
    if (!data)
        return -ENOMEM;
    scratch->data = data;
    scratch->capacity = size;
    return 0;
}

int ch_scratch_read(struct ch_scratch *scratch, int fd, uint64_t offset, size_t size)
{
    int64_t file_bytes = ch_file_size(fd);
    if (file_bytes < 0)
        return (int)file_bytes;
    if (offset > (uint64_t)file_bytes || size > (uint64_t)file_bytes - offset)
        return -ENODATA; // before any memory is asked for: a broken size may be anything
    int rc = ch_scratch_reserve(scratch, size);
    return rc < 0 ? rc : ch_file_read_at(fd, scratch->data, size, offset);
}

void ch_scratch_free(struct ch_scratch *scratch)
{
    free(scratch->data);
    *scratch = (struct ch_scratch){0};
}

// --- the walk ---

struct walk {
    int fd;
    struct ch_mp4_scan scan;
    struct ch_scratch scratch;
};

static int step(struct walk *walk, enum ch_mp4_event *event)
{
    int rc = ch_scratch_reserve(&walk->scratch, walk->scan.want_bytes);
    if (rc < 0)
        return rc;
    bool head = walk->scan.want_offset == 0 && walk->scan.want_bytes == HEAD_BYTES;
    int64_t got = 0;
    if (walk->scan.want_bytes > 0)
        got = ch_file_read_some(walk->fd, walk->scratch.data, walk->scan.want_bytes, walk->scan.want_offset);
    if (got < 0)
        return (int)got;
    if (head && got == HEAD_BYTES)
        memcpy(walk->scratch.data + CH_MP4_FREE_OFFSET, free_box, sizeof free_box);
    *event = ch_mp4_scan_step(&walk->scan, walk->scratch.data, (size_t)got);
    return 0;
}

static int keep_init(struct ch_part_shape *shape, const struct ch_mp4_track *init)
{
    uint8_t *avcc = malloc(init->avcc_bytes);
    if (!avcc)
        return -ENOMEM;
    memcpy(avcc, init->avcc, init->avcc_bytes);
    shape->init = *init;
    shape->init.avcc = avcc;
    return 0;
}

// What the walk came to. 1 to go on, 0 at the end, or an error.
static int take_event(struct walk *walk, enum ch_mp4_event event, struct ch_part_shape *shape,
                      const struct ch_part_visitor *visitor)
{
    const struct ch_mp4_scan *scan = &walk->scan;
    if (event == CH_MP4_INIT && shape->init.avcc)
        return 1; // told again, after what follows was mended
    if (event == CH_MP4_INIT) {
        int rc = keep_init(shape, &scan->init);
        shape->good_end = scan->good_end;
        return rc < 0 ? rc : visitor != NULL;
    }
    if (event != CH_MP4_FRAGMENT)
        return event == CH_MP4_MORE;
    if (scan->good_end <= shape->good_end)
        return 1; // likewise
    int rc = visitor->visit(visitor->context, &scan->fragment, scan->sample_offset);
    if (rc == 0)
        shape->good_end = scan->good_end;
    return rc < 0 ? rc : rc == 0;
}

// Init segment and fragments, up to `end` of the file.
static int walk_fragments(int fd, uint64_t end, struct ch_part_shape *shape, const struct ch_part_visitor *visitor)
{
    struct walk walk = {.fd = fd};
    ch_mp4_scan_init(&walk.scan, end);
    enum ch_mp4_event event = CH_MP4_MORE;
    struct ch_mp4_scan last = walk.scan; // before the step that met what the newest one complains about
    uint64_t mended = 0;
    int rc = 1;
    while (rc > 0) {
        struct ch_mp4_scan before = walk.scan;
        rc = step(&walk, &event);
        if (rc < 0)
            break;
        rc = take_event(&walk, event, shape, visitor);
        if (event == CH_MP4_TORN && shape->init.avcc && visitor && shape->good_end > mended) {
            mended = shape->good_end;
            rc = visitor->mend(visitor->context, mended);
            before = walk.scan = last;
        }
        last = before;
    }
    ch_scratch_free(&walk.scratch);
    return rc;
}

// Whether the head says that the file is finished, and where the final moov is.
static int look_at_head(int fd, struct ch_part_shape *shape)
{
    uint8_t head[HEAD_BYTES + 8];
    int64_t got = ch_file_read_some(fd, head, sizeof head, 0);
    if (got < 0)
        return (int)got;
    uint64_t init_end = got == sizeof head ? HEAD_BYTES + (uint64_t)ch_get_be32(head + HEAD_BYTES) : sizeof head;
    shape->ends_in_init = shape->file_bytes < init_end;
    if (got < (int64_t)HEAD_BYTES || ch_get_be32(head + CH_MP4_FREE_OFFSET) != 1 ||
        memcmp(head + CH_MP4_FREE_OFFSET + 4, "mdat", 4) != 0)
        return 0;
    shape->patched = true;
    uint64_t mdat = ch_get_be64(head + CH_MP4_FREE_OFFSET + 8), behind = shape->file_bytes - CH_MP4_FREE_OFFSET;
    if (mdat < CH_MP4_FREE_BYTES || mdat > behind || behind - mdat < 8)
        return 0;
    uint8_t box[8];
    int rc = ch_file_read_at(fd, box, sizeof box, CH_MP4_FREE_OFFSET + mdat);
    if (rc < 0)
        return rc;
    uint64_t moov = ch_get_be32(box);
    if (memcmp(box + 4, "moov", 4) != 0 || moov < 8 || moov > behind - mdat)
        return 0;
    shape->patched = false;
    shape->form = CH_PART_FINISHED;
    shape->moov_offset = CH_MP4_FREE_OFFSET + mdat;
    shape->moov_bytes = moov;
    return 0;
}

int ch_part_scan(int fd, struct ch_part_shape *shape, const struct ch_part_visitor *visitor)
{
    *shape = (struct ch_part_shape){.form = CH_PART_FRAGMENTED};
    int64_t bytes = ch_file_size(fd);
    if (bytes < 0)
        return (int)bytes;
    shape->file_bytes = (uint64_t)bytes;
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); // headers only: read-ahead would fetch all the media
    int rc = look_at_head(fd, shape);
    uint64_t end = shape->form == CH_PART_FINISHED ? shape->moov_offset : shape->file_bytes;
    if (rc == 0)
        rc = walk_fragments(fd, end, shape, visitor);
    posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL);
    if (rc < 0)
        return rc;
    if (!shape->init.avcc)
        shape->form = CH_PART_UNREADABLE;
    return 0;
}

void ch_part_shape_deinit(struct ch_part_shape *shape)
{
    union {
        const uint8_t *in;
        void *out;
    } cast = {.in = shape->init.avcc}; // ours, behind a borrower's type
    free(cast.out);
    shape->init.avcc = NULL;
}

int ch_part_unpatch(int fd)
{
    return ch_file_write_at(fd, free_box, sizeof free_box, CH_MP4_FREE_OFFSET);
}

// --- hashes ---

bool ch_sample_next(const uint8_t *sample, size_t size, size_t *at, const uint8_t **nal, size_t *nal_bytes)
{
    if (size - *at < LENGTH_BYTES)
        return false;
    size_t bytes = ch_get_be32(sample + *at);
    if (bytes == 0 || bytes > size - *at - LENGTH_BYTES)
        return false;
    *nal = sample + *at + LENGTH_BYTES;
    *nal_bytes = bytes;
    *at += LENGTH_BYTES + bytes;
    return true;
}

bool ch_sample_hash(const uint8_t *sample, size_t size, uint64_t *hash)
{
    for (int all = 0; all <= 1; all++) {
        XXH3_state_t state;
        XXH3_64bits_reset(&state);
        const uint8_t *nal;
        size_t at = 0, bytes, counted = 0;
        while (ch_sample_next(sample, size, &at, &nal, &bytes))
            if (all || ch_nal_in_sample(ch_nal_type(nal))) {
                XXH3_64bits_update(&state, nal, bytes);
                counted++;
            }
        if (at != size)
            return false;
        *hash = XXH3_64bits_digest(&state);
        if (counted > 0)
            return true;
    }
    return false;
}

bool ch_record_sample_hash(const struct ch_record *record, const uint8_t *sample, uint64_t *hash)
{
    if (!(record->flags & CH_FRAME_AUDIO))
        return ch_sample_hash(sample, record->sample_bytes, hash);
    *hash = XXH3_64bits(sample, record->sample_bytes);
    return true;
}

uint64_t ch_payload_hash(const uint8_t *payload, size_t size)
{
    for (int all = 0; all <= 1; all++) {
        XXH3_state_t state;
        XXH3_64bits_reset(&state);
        struct ch_nal nal;
        size_t at = 0, count = 0, counted = 0;
        while (ch_annexb_next(payload, size, &at, &nal) && count++ < CH_LIMIT_NALS)
            if (all || ch_nal_in_sample(ch_nal_type(payload + nal.offset))) {
                XXH3_64bits_update(&state, payload + nal.offset, nal.size);
                counted++;
            }
        if (count > CH_LIMIT_NALS)
            break; // taken as no NAL units at all, as the assembler does
        if (counted > 0)
            return XXH3_64bits_digest(&state);
    }
    return XXH3_64bits(payload, size);
}

uint64_t ch_message_hash(const struct ch_record *record, const uint8_t *payload)
{
    if (record->flags & CH_FRAME_JPEG)
        return XXH3_64bits(payload, record->payload_bytes);
    return ch_payload_hash(payload, record->payload_bytes);
}
