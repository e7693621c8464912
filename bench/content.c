// Builds the load generator's messages, see content.h. A bit writer makes the parameter sets and the
// slices (ITU-T H.264 7.3.2.1.1, 7.3.2.2, 7.3.3 to 7.3.5). A slice is laid out so that no bit depends
// on a neighbour's residual: cheap macroblocks first, I_PCM last; the size is met to the byte by
// spending some bits more on some of the cheap ones.
#include "content.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/bytes.h"

#define WIDTH_MBS 80u
#define HEIGHT_MBS 45u
#define PICTURE_MBS (WIDTH_MBS * HEIGHT_MBS)
#define STAMP_BYTES (BENCH_STAMP_MAX - BENCH_SEI_BYTES) // of a message without a time
#define PCM_BYTES 384u                                  // 256 luma and 128 chroma samples, 8 bit 4:2:0

// A fixed masking key: a client should draw one per frame (RFC 6455 5.3), but the server's work is the
// same, and so the bodies are masked once.
static const uint8_t mask_key[4] = {0x9b, 0x35, 0xe2, 0x5c};

const uint8_t bench_sei_uuid[BENCH_SEI_UUID_BYTES] = {0x3c, 0x91, 0xd4, 0x6e, 0x52, 0xb7, 0x4a, 0x08,
                                                      0xa6, 0x1f, 0xe9, 0x73, 0x2d, 0xc5, 0x84, 0x5b};

struct bit_writer {
    uint8_t *data;
    size_t capacity, bits;
};

static void put_bits(struct bit_writer *w, uint32_t value, unsigned count)
{
    while (count-- > 0) {
        size_t at = w->bits / 8;
        if (at < w->capacity && (value >> count & 1))
            w->data[at] |= (uint8_t)(0x80 >> w->bits % 8);
        w->bits++;
    }
}

static void put_ue(struct bit_writer *w, uint32_t value) // ITU-T H.264 9.1
{
    unsigned width = 32u - (unsigned)__builtin_clz(value + 1);
    put_bits(w, 0, width - 1);
    put_bits(w, value + 1, width);
}

static void put_bytes(struct bit_writer *w, const uint8_t *bytes, size_t size)
{
    size_t at = w->bits / 8;
    if (at + size <= w->capacity)
        memcpy(w->data + at, bytes, size);
    w->bits += size * 8;
}

static void align(struct bit_writer *w)
{
    w->bits = (w->bits + 7) / 8 * 8;
}

static void start_nal(struct bit_writer *w, uint8_t header)
{
    put_bits(w, 1, 32); // start code
    put_bits(w, header, 8);
}

static void end_nal(struct bit_writer *w)
{
    put_bits(w, 1, 1); // rbsp_stop_one_bit
    align(w);
}

static void put_sps(struct bit_writer *w)
{
    start_nal(w, 0x67);
    put_bits(w, 66, 8);   // Baseline
    put_bits(w, 0xc0, 8); // constraint_set0 and 1: Constrained Baseline
    put_bits(w, 31, 8);
    put_ue(w, 0);      // seq_parameter_set_id
    put_ue(w, 0);      // log2_max_frame_num: 4
    put_ue(w, 2);      // pic_order_cnt_type: output order is decoding order
    put_ue(w, 1);      // max_num_ref_frames
    put_bits(w, 0, 1); // no gaps in frame_num
    put_ue(w, WIDTH_MBS - 1);
    put_ue(w, HEIGHT_MBS - 1);
    put_bits(w, 3, 2); // frame_mbs_only, direct_8x8_inference
    put_bits(w, 0, 2); // no cropping, no VUI
    end_nal(w);
}

static void put_pps(struct bit_writer *w)
{
    start_nal(w, 0x68);
    put_ue(w, 0);      // pic_parameter_set_id
    put_ue(w, 0);      // seq_parameter_set_id
    put_bits(w, 0, 2); // CAVLC, no bottom field order
    put_ue(w, 0);      // one slice group
    put_ue(w, 0);      // num_ref_idx_l0_default_active: 1
    put_ue(w, 0);
    put_bits(w, 0, 3); // no weighted prediction
    put_ue(w, 0);      // pic_init_qp 26
    put_ue(w, 0);
    put_ue(w, 0);
    put_bits(w, 0, 3);
    end_nal(w);
}

// ITU-T H.264 7.3.2.3, D.1.7. Digits instead of binary numbers: no zero bytes, so no emulation prevention.
static void put_sei(struct bit_writer *w)
{
    static const uint8_t digits[24] = "000000000000000000000000";
    start_nal(w, 0x06);
    put_bits(w, 5, 8); // user_data_unregistered
    put_bits(w, sizeof bench_sei_uuid + sizeof digits, 8);
    put_bytes(w, bench_sei_uuid, sizeof bench_sei_uuid);
    put_bytes(w, digits, sizeof digits);
    end_nal(w);
}

// The picture number lies in bits 8 to 11 from the slice header's start, patched by stamp_picture.
static void put_slice_header(struct bit_writer *w, bool idr)
{
    start_nal(w, idr ? 0x65 : 0x41);
    put_ue(w, 0);           // first_mb_in_slice
    put_ue(w, idr ? 7 : 5); // slice_type, the same for the whole picture
    put_ue(w, 0);           // pic_parameter_set_id
    put_bits(w, 0, 4);      // frame_num
    if (idr) {
        put_ue(w, 1);      // idr_pic_id: 1 or 2, which are of equal length
        put_bits(w, 0, 2); // dec_ref_pic_marking
    } else {
        put_bits(w, 0, 3); // no override, no list modification, sliding window
    }
    put_ue(w, 0); // slice_qp_delta
}

// I_16x16 with DC prediction and no residual: 8 bits each. The first `longer` of them also turn the
// quantiser up or down by one, which costs 2 bits more and changes nothing.
static void put_flat_intra(struct bit_writer *w, unsigned count, unsigned longer)
{
    for (unsigned i = 0; i < count; i++) {
        put_ue(w, 3);                          // I_16x16_2_0_0
        put_ue(w, 0);                          // intra_chroma_pred_mode: DC
        put_ue(w, i < longer ? 1 + i % 2 : 0); // mb_qp_delta 0, +1 or -1
        put_bits(w, 1, 1);                     // coeff_token: no coefficient
    }
}

// P_Skip, a few bits in all. `longer` of them are written out as P_L0_16x16 without motion: 5 bits each.
static void put_skipped(struct bit_writer *w, unsigned count, unsigned longer)
{
    for (unsigned i = 0; i < longer; i++)
        put_bits(w, 0x1f, 5);  // mb_skip_run 0, mb_type 0, mvd 0 0, coded_block_pattern 0: one bit each
    put_ue(w, count - longer); // mb_skip_run
}

static void put_pcm(struct bit_writer *w, bool idr, unsigned count, const uint8_t *samples)
{
    for (unsigned i = 0; i < count; i++) {
        if (!idr && i > 0)
            put_ue(w, 0);         // mb_skip_run
        put_ue(w, idr ? 25 : 30); // I_PCM
        align(w);
        put_bytes(w, samples + (size_t)i * PCM_BYTES, PCM_BYTES);
    }
}

// Bytes of the picture; writes no more than `capacity` of them.
static size_t put_picture(uint8_t *out, size_t capacity, unsigned flags, unsigned pcm, unsigned longer,
                          const uint8_t *samples)
{
    struct bit_writer w = {.data = out, .capacity = capacity};
    bool idr = flags & BENCH_IDR;
    memset(out, 0, capacity);
    if (flags & BENCH_TIMED)
        put_sei(&w);
    put_slice_header(&w, idr);
    if (idr)
        put_flat_intra(&w, PICTURE_MBS - pcm, longer);
    else
        put_skipped(&w, PICTURE_MBS - pcm, longer);
    put_pcm(&w, idr, pcm, samples);
    end_nal(&w);
    return w.bits / 8;
}

// Makes a picture of exactly `size` bytes: as many I_PCM macroblocks as fit, then the smallest number
// of longer ones that fills the rest. -ERANGE if there is none.
static int fit_picture(uint8_t *out, size_t size, unsigned flags, const uint8_t *samples)
{
    unsigned pcm = (unsigned)(size / PCM_BYTES) + 1;
    while (pcm > 0 && (pcm > PICTURE_MBS || put_picture(out, size, flags, pcm, 0, samples) > size))
        pcm--;
    unsigned low = 0, high = PICTURE_MBS - pcm;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (put_picture(out, size, flags, pcm, middle, samples) < size)
            low = middle + 1;
        else
            high = middle;
    }
    return put_picture(out, size, flags, pcm, low, samples) == size ? 0 : -ERANGE;
}

// Random samples, never two zero bytes in a row, so that no start code or emulation prevention arises
// (ITU-T H.264 7.4.1); each macroblock begins with a byte that is not zero, for the same reason.
static uint8_t *random_samples(size_t count, uint64_t seed)
{
    uint8_t *samples = malloc(count);
    if (!samples)
        return NULL;
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < count; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        samples[i] = (uint8_t)(x >> 32);
        if (samples[i] == 0 && (i % PCM_BYTES == 0 || samples[i - 1] == 0))
            samples[i] = 0xa5;
    }
    return samples;
}

static size_t write_frame_head(uint8_t *out, unsigned opcode, size_t size)
{
    size_t n = 2;
    out[0] = (uint8_t)(0x80 | opcode);
    if (size <= 125) {
        out[1] = (uint8_t)(0x80 | size);
    } else if (size <= UINT16_MAX) {
        out[1] = 0x80 | 126;
        ch_put_be16(out + 2, (uint16_t)size);
        n += 2;
    } else {
        out[1] = 0x80 | 127;
        ch_put_be64(out + 2, size);
        n += 8;
    }
    memcpy(out + n, mask_key, sizeof mask_key);
    return n + sizeof mask_key;
}

static void mask(uint8_t *data, size_t size, size_t phase)
{
    for (size_t i = 0; i < size; i++)
        data[i] ^= mask_key[(phase + i) % 4];
}

size_t bench_frame_write(uint8_t *out, unsigned opcode, const void *payload, size_t size)
{
    size_t head = write_frame_head(out, opcode, size);
    memcpy(out + head, payload, size);
    mask(out + head, size, 0);
    return head + size;
}

// Space for a message of `size` payload bytes; its frame head and the camera header's length field
// (the rest of that header comes with the stamp) written, nothing masked yet.
static int message_new(struct bench_message *message, size_t size)
{
    uint8_t head[14];
    size_t head_bytes = write_frame_head(head, 2, size);
    uint8_t *bytes = calloc(1, head_bytes + size);
    if (!bytes)
        return -ENOMEM;
    memcpy(bytes, head, head_bytes);
    ch_put_be32(bytes + head_bytes + 12, (uint32_t)(size - BENCH_CAMERA_HEADER_BYTES));
    *message = (struct bench_message){.bytes = bytes, .size = head_bytes + size, .head_bytes = head_bytes};
    message->stamp_bytes = message->size < STAMP_BYTES ? message->size : STAMP_BYTES;
    return 0;
}

int bench_message_init_sets(struct bench_message *message)
{
    uint8_t sets[64] = {0};
    struct bit_writer w = {.data = sets, .capacity = sizeof sets};
    put_sps(&w);
    put_pps(&w);
    int err = message_new(message, BENCH_CAMERA_HEADER_BYTES + w.bits / 8);
    if (err < 0)
        return err;
    memcpy(message->bytes + message->head_bytes + BENCH_CAMERA_HEADER_BYTES, sets, w.bits / 8);
    mask(message->bytes + message->head_bytes, message->size - message->head_bytes, 0);
    return 0;
}

int bench_message_init_picture(struct bench_message *message, size_t size, unsigned flags)
{
    if (size < BENCH_MIN_PICTURE || size > BENCH_MAX_PICTURE)
        return -ERANGE;
    uint8_t *samples = random_samples(size + 2 * PCM_BYTES, flags & BENCH_IDR ? 7 : 11);
    if (!samples)
        return -ENOMEM;
    int err = message_new(message, size);
    if (err < 0)
        goto out;
    message->picture = true;
    message->idr = flags & BENCH_IDR;
    message->timed = flags & BENCH_TIMED;
    message->plain = flags & BENCH_PLAIN;
    if (message->timed)
        message->stamp_bytes += BENCH_SEI_BYTES;
    uint8_t *picture = message->bytes + message->head_bytes + BENCH_CAMERA_HEADER_BYTES;
    err = fit_picture(picture, size - BENCH_CAMERA_HEADER_BYTES, flags, samples);
    if (err < 0)
        bench_message_deinit(message);
    else if (!message->plain)
        mask(message->bytes + message->head_bytes, message->size - message->head_bytes, 0);
out:
    free(samples);
    return err;
}

void bench_message_deinit(struct bench_message *message)
{
    free(message->bytes);
    *message = (struct bench_message){0};
}

// Slice header bits, after start code and NAL unit header: P: 1 00110 1 ffff 0..., I: 1 0001000 1 0000 01x 0...
static void stamp_picture(uint8_t *slice, bool idr, unsigned number)
{
    if (idr) {
        slice[1] = (uint8_t)((slice[1] & 0xfeu) | (number & 1));
    } else {
        slice[0] = (uint8_t)((slice[0] & 0xfeu) | (number >> 3 & 1));
        slice[1] = (uint8_t)((slice[1] & 0x1fu) | (number & 7) << 5);
    }
}

static void stamp_sei(uint8_t *sei, const struct bench_stamp *stamp)
{
    char digits[25];
    snprintf(digits, sizeof digits, "%016" PRIx64 "%08" PRIx32, (uint64_t)stamp->time_ns, stamp->picture);
    memcpy(sei + BENCH_SEI_TIME_AT, digits, sizeof digits - 1);
}

size_t bench_message_stamp(const struct bench_message *message, const struct bench_stamp *stamp,
                           uint8_t head[BENCH_STAMP_MAX])
{
    size_t size = message->stamp_bytes, masked = message->plain ? 0 : size - message->head_bytes;
    uint8_t *payload = head + message->head_bytes, *picture = payload + BENCH_CAMERA_HEADER_BYTES;
    memcpy(head, message->bytes, size);
    mask(payload, masked, 0);
    ch_put_be64(payload, stamp->device_ms);
    ch_put_be32(payload + 8, stamp->sequence);
    if (message->timed)
        stamp_sei(picture, stamp);
    if (message->picture)
        stamp_picture(picture + (message->timed ? BENCH_SEI_BYTES : 0) + 5, message->idr, stamp->picture_number);
    mask(payload, masked, 0);
    return size;
}
