#include "stream/frame.h"

#include "base/bytes.h"
#include "proto/camera_h264.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#define XXH_STATIC_LINKING_ONLY // for a state on the stack
#include <xxhash.h>

#define LENGTH_BYTES 4u

struct ch_frame *ch_frame_new(size_t message_bytes)
{
    struct ch_frame *frame = malloc(sizeof *frame + CH_FRAME_ROOM + message_bytes);
    if (!frame)
        return NULL;
    memset(frame, 0, sizeof *frame);
    atomic_init(&frame->refs, 1);
    frame->message = frame->room + CH_FRAME_ROOM;
    frame->message_bytes = message_bytes;
    return frame;
}

int ch_frame_grow(struct ch_frame **frame, size_t message_bytes)
{
    assert(!(*frame)->pieces && !(*frame)->params);
    struct ch_frame *larger = realloc(*frame, sizeof **frame + CH_FRAME_ROOM + message_bytes);
    if (!larger)
        return -ENOMEM;
    larger->message = larger->room + CH_FRAME_ROOM;
    larger->message_bytes = message_bytes;
    *frame = larger;
    return 0;
}

uint8_t *ch_frame_room(struct ch_frame **frame, size_t need, bool last)
{
    if (!*frame)
        *frame = ch_frame_new(need);
    else if ((*frame)->message_bytes < need && ch_frame_grow(frame, last ? need : need + need / 2) < 0)
        return NULL;
    return *frame ? (*frame)->message : NULL;
}

struct ch_frame *ch_frame_ref(struct ch_frame *frame)
{
    atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
    return frame;
}

void ch_frame_unref(struct ch_frame *frame)
{
    if (!frame || atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel) != 1)
        return;
    ch_params_unref(frame->params);
    if (frame->pieces != frame->inline_pieces)
        free(frame->pieces);
    free(frame->side);
    free(frame->overflow);
    free(frame);
}

static uint8_t *payload_of(const struct ch_frame *frame)
{
    return frame->message + CH_CAMERA_HEADER_BYTES;
}

// --- the checksum ---

static bool is_counted(const uint8_t *payload, const struct ch_nal *nal, bool all)
{
    return all || ch_nal_in_sample(ch_nal_type(payload + nal->offset));
}

// Over the NAL units that every form of the recording has: those that belong into samples, or all if
// there is none, or the raw payload if there is no NAL unit.
static uint64_t hash_payload(const uint8_t *payload, size_t payload_bytes, const struct ch_nal *nals, size_t count)
{
    size_t counted = 0, last = 0;
    for (size_t i = 0; i < count; i++)
        if (is_counted(payload, &nals[i], false)) {
            counted++;
            last = i;
        }
    if (counted == 1)
        return XXH3_64bits(payload + nals[last].offset, nals[last].size);
    if (count == 0)
        return XXH3_64bits(payload, payload_bytes);
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (size_t i = 0; i < count; i++)
        if (is_counted(payload, &nals[i], counted == 0))
            XXH3_64bits_update(&state, payload + nals[i].offset, nals[i].size);
    return XXH3_64bits_digest(&state);
}

// --- pieces ---

static int allocate_pieces(struct ch_frame *frame, size_t count)
{
    if (count <= CH_FRAME_INLINE_PIECES) {
        frame->pieces = frame->inline_pieces;
        return 0;
    }
    frame->pieces = malloc(count * sizeof *frame->pieces);
    return frame->pieces ? 0 : -ENOMEM;
}

static bool is_start_code(const uint8_t *prefix, size_t size)
{
    if (size < 3 || prefix[size - 1] != 1)
        return false;
    for (size_t i = 0; i + 1 < size; i++)
        if (prefix[i] != 0)
            return false;
    return true;
}

static bool is_zeros(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != 0)
            return false;
    return true;
}

// What lies behind the last NAL unit: trailing zeros, and maybe start codes of empty NAL units.
static size_t tail_bytes(const struct ch_frame *frame, const struct ch_nal *last)
{
    return frame->payload_bytes - (last->offset + last->size);
}

// The payload as it is: one piece, nothing moved.
static int pack_raw(struct ch_frame *frame)
{
    frame->pieces = frame->inline_pieces;
    frame->piece_count = 1;
    frame->pieces[0] = (struct ch_piece){.data = payload_of(frame), .size = frame->payload_bytes};
    return 0;
}

void ch_frame_pack_audio(struct ch_frame *frame, size_t size)
{
    assert(size <= frame->message_bytes && size <= UINT32_MAX);
    frame->hash = XXH3_64bits(frame->message, size);
    frame->payload_bytes = frame->sample_bytes = (uint32_t)size;
    frame->sample = frame->message;
}

void ch_frame_pack_whole(struct ch_frame *frame, size_t size)
{
    ch_frame_pack_audio(frame, size);
    frame->pieces = frame->inline_pieces;
    frame->piece_count = 1;
    frame->pieces[0] = (struct ch_piece){.data = frame->message, .size = (uint32_t)size};
}

struct layout {
    size_t side_bytes; // what lies outside the sample and must be copied away
    size_t sample_bytes;
    size_t pieces;
    size_t moved_left; // how far the first NAL unit moves, at most
};

static struct layout measure(const struct ch_frame *frame, const struct ch_nal *nals, const bool *in_sample,
                             size_t count, const struct ch_frame_extra *extra, size_t extra_count)
{
    const uint8_t *payload = payload_of(frame);
    struct layout layout = {.moved_left = count, .pieces = count + 1}; // one for the tail
    for (size_t i = 0; i < count; i++) {
        if (!is_start_code(payload + nals[i].offset - nals[i].prefix, nals[i].prefix)) {
            layout.side_bytes += nals[i].prefix; // garbage in front, or start codes of empty NAL units
            layout.pieces++;
        }
        if (in_sample[i])
            layout.sample_bytes += LENGTH_BYTES + nals[i].size;
        else
            layout.side_bytes += nals[i].size;
    }
    size_t tail = tail_bytes(frame, &nals[count - 1]);
    if (!is_zeros(payload + frame->payload_bytes - tail, tail))
        layout.side_bytes += tail;
    for (size_t i = 0; i < extra_count; i++)
        layout.sample_bytes += LENGTH_BYTES + extra[i].size;
    return layout;
}

// Copies what is not in the sample to the side and notes all pieces with where they lie now.
static void note_pieces(struct ch_frame *frame, const struct ch_nal *nals, const bool *in_sample, size_t count)
{
    const uint8_t *payload = payload_of(frame);
    uint8_t *side = frame->side;
    struct ch_piece *piece = frame->pieces;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *prefix = payload + nals[i].offset - nals[i].prefix;
        size_t zeros = nals[i].prefix;
        if (is_start_code(prefix, nals[i].prefix)) {
            zeros--;
        } else { // not zeros and 01 alone: kept as it is
            memcpy(side, prefix, nals[i].prefix);
            *piece++ = (struct ch_piece){.data = side, .size = (uint32_t)nals[i].prefix};
            side += nals[i].prefix;
            zeros = 0;
        }
        const uint8_t *data = payload + nals[i].offset;
        if (!in_sample[i]) {
            memcpy(side, data, nals[i].size);
            data = side;
            side += nals[i].size;
        }
        *piece++ = (struct ch_piece){
            .data = data, .size = (uint32_t)nals[i].size, .zeros = (uint32_t)zeros, .code = zeros > 0};
    }
    size_t tail = tail_bytes(frame, &nals[count - 1]);
    const uint8_t *behind = payload + frame->payload_bytes - tail;
    if (is_zeros(behind, tail)) {
        *piece++ = (struct ch_piece){.zeros = (uint32_t)tail};
    } else {
        memcpy(side, behind, tail);
        *piece++ = (struct ch_piece){.data = side, .size = (uint32_t)tail};
    }
    frame->piece_count = (uint32_t)(piece - frame->pieces);
}

// True of pieces that lie in the message, and so belong into the sample; the others are copies or zeros.
static bool in_message(const struct ch_frame *frame, const struct ch_piece *piece)
{
    return piece->data >= frame->room && piece->data < frame->message + frame->message_bytes;
}

// The sample into memory of its own, with the extra NAL units first.
static int build_apart(struct ch_frame *frame, const struct layout *layout, const struct ch_frame_extra *extra,
                       size_t extra_count)
{
    frame->overflow = malloc(CH_FRAME_HEAD_ROOM + layout->sample_bytes);
    if (!frame->overflow)
        return -ENOMEM;
    frame->sample = frame->overflow + CH_FRAME_HEAD_ROOM;
    uint8_t *at = frame->sample;
    for (size_t i = 0; i < extra_count; i++) {
        ch_put_be32(at, (uint32_t)extra[i].size);
        memcpy(at + LENGTH_BYTES, extra[i].data, extra[i].size);
        at += LENGTH_BYTES + extra[i].size;
    }
    for (uint32_t i = 0; i < frame->piece_count; i++) {
        struct ch_piece *piece = &frame->pieces[i];
        if (!in_message(frame, piece))
            continue;
        ch_put_be32(at, piece->size);
        memcpy(at + LENGTH_BYTES, piece->data, piece->size);
        piece->data = at + LENGTH_BYTES;
        at += LENGTH_BYTES + piece->size;
    }
    return 0;
}

// The sample in place, ending where its last NAL unit ends. NAL units that move left are moved in
// ascending order and those that move right in descending order; as their order never changes, no
// move touches bytes that are still to be moved.
static void build_in_place(struct ch_frame *frame, const struct layout *layout)
{
    struct ch_piece *last = NULL;
    for (uint32_t i = 0; i < frame->piece_count; i++)
        if (in_message(frame, &frame->pieces[i]))
            last = &frame->pieces[i];
    assert(last);
    uint8_t *start = payload_of(frame) + (last->data - payload_of(frame)) + last->size - layout->sample_bytes;
    uint8_t *target = start;
    for (struct ch_piece *piece = frame->pieces; piece <= last; piece++) {
        if (!in_message(frame, piece))
            continue;
        target += LENGTH_BYTES;
        if (target < piece->data)
            memmove(target, piece->data, piece->size);
        target += piece->size;
    }
    for (struct ch_piece *piece = last; piece >= frame->pieces; piece--) {
        if (!in_message(frame, piece))
            continue;
        target -= piece->size;
        if (target > piece->data)
            memmove(target, piece->data, piece->size);
        piece->data = target;
        target -= LENGTH_BYTES;
    }
    for (struct ch_piece *piece = frame->pieces; piece <= last; piece++)
        if (in_message(frame, piece))
            ch_put_be32(start + (piece->data - start) - LENGTH_BYTES, piece->size);
    frame->sample = start;
}

int ch_frame_pack(struct ch_frame *frame, const struct ch_nal *nals, const bool *in_sample, size_t count,
                  bool with_sample, const struct ch_frame_extra *extra, size_t extra_count)
{
    frame->hash = hash_payload(payload_of(frame), frame->payload_bytes, nals, count);
    if (!with_sample || count == 0)
        return pack_raw(frame);
    struct layout layout = measure(frame, nals, in_sample, count, extra, extra_count);
    frame->side = layout.side_bytes > 0 ? malloc(layout.side_bytes) : NULL;
    if (layout.side_bytes > 0 && !frame->side)
        return -ENOMEM;
    int rc = allocate_pieces(frame, layout.pieces);
    if (rc < 0)
        return rc;
    note_pieces(frame, nals, in_sample, count);
    frame->sample_bytes = (uint32_t)layout.sample_bytes;
    if (extra_count > 0 || layout.moved_left > CH_FRAME_SLACK)
        return build_apart(frame, &layout, extra, extra_count);
    build_in_place(frame, &layout);
    return 0;
}

// --- Annex B again ---

bool ch_frame_has_sps(const struct ch_frame *frame)
{
    for (uint32_t i = 0; i < frame->piece_count; i++)
        if (frame->pieces[i].code && frame->pieces[i].size > 0 && ch_nal_type(frame->pieces[i].data) == CH_NAL_SPS)
            return true;
    return false;
}

#define ZEROS 4096u
static const uint8_t zeros_and_code[ZEROS + 1] = {[ZEROS] = 1};

size_t ch_frame_annexb_count(const struct ch_frame *frame)
{
    size_t count = 0;
    for (uint32_t i = 0; i < frame->piece_count; i++)
        count += 2 + frame->pieces[i].zeros / ZEROS;
    return count;
}

static size_t put_vector(struct iovec *out, const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    union {
        const uint8_t *in;
        void *out;
    } cast = {.in = data}; // iovec has no const form
    *out = (struct iovec){.iov_base = cast.out, .iov_len = size};
    return 1;
}

size_t ch_frame_annexb(const struct ch_frame *frame, struct iovec *out)
{
    size_t count = 0;
    for (uint32_t i = 0; i < frame->piece_count; i++) {
        const struct ch_piece *piece = &frame->pieces[i];
        uint32_t zeros = piece->zeros;
        for (; zeros > ZEROS; zeros -= ZEROS)
            count += put_vector(out + count, zeros_and_code, ZEROS);
        count += put_vector(out + count, zeros_and_code + ZEROS - zeros, zeros + (piece->code ? 1u : 0u));
        count += put_vector(out + count, piece->data, piece->size);
    }
    return count;
}
