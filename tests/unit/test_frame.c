// What becomes of a message in memory: whatever its payload is, stream.h264 gets it back byte for byte, and
// the sample holds exactly the NAL units that belong into it.
#include "stream_maker.h"

#include "stream/assembler.h"

#include <pthread.h>
#include <xxhash.h>

// --- any payload ------------------------------------------------------------------------------------

enum path { IN_PLACE, APART, RAW };

static enum path path_of(const struct ch_frame *frame)
{
    return !frame->sample ? RAW : frame->overflow ? APART : IN_PLACE;
}

struct found {
    struct ch_nal nals[4096];
    bool in_sample[4096];
    size_t count;
    bool any; // in_sample
};

static struct found *find(const struct buffer *payload)
{
    static struct found found;
    found.count = 0;
    found.any = false;
    for (size_t at = 0; ch_annexb_next(payload->data, payload->size, &at, &found.nals[found.count]); found.count++) {
        assert_true(found.count < 4095);
        found.in_sample[found.count] = ch_nal_in_sample(payload->data[found.nals[found.count].offset] & 31u);
        found.any |= found.in_sample[found.count];
    }
    return &found;
}

static void assert_same(const struct buffer *is, const struct buffer *wanted)
{
    assert_int_equal(is->size, wanted->size);
    assert_memory_equal(is->data ? is->data : (const uint8_t *)"", wanted->data ? wanted->data : (const uint8_t *)"",
                        is->size);
}

static void assert_annexb(const struct ch_frame *frame, const struct buffer *payload)
{
    struct buffer back = annexb_of(frame);
    assert_same(&back, payload);
    empty(&back);
}

static void assert_hash(const struct ch_frame *frame, const struct buffer *payload)
{
    struct buffer hashed = naive_hashed(payload->data, payload->size);
    assert_true(frame->hash == XXH3_64bits(hashed.data ? hashed.data : (const uint8_t *)"", hashed.size));
    empty(&hashed);
}

// Packs a payload that has something for a sample and compares everything with the naive opinion.
static enum path check_with(const struct buffer *payload, const struct ch_frame_extra *extra, size_t extra_count)
{
    struct found *found = find(payload);
    struct ch_frame *frame = receive(payload, 1, 2);
    bool with_sample = found->any;
    assert_int_equal(ch_frame_pack(frame, found->nals, found->in_sample, found->count, with_sample, extra,
                                   with_sample ? extra_count : 0),
                     0);
    assert_annexb(frame, payload);
    assert_hash(frame, payload);
    assert_int_equal(frame->sample != NULL, with_sample);
    if (with_sample) {
        struct buffer wanted = {0}, own = naive_sample(payload->data, payload->size);
        for (size_t i = 0; i < extra_count; i++)
            put_length_prefixed(&wanted, extra[i].data, extra[i].size);
        put(&wanted, own.data, own.size);
        struct buffer sample = {.data = frame->sample, .size = frame->sample_bytes};
        assert_same(&sample, &wanted);
        // Whoever sends it writes into the room in front, which costs nothing that is still needed.
        memset(frame->sample - CH_FRAME_HEAD_ROOM, 0xA5, CH_FRAME_HEAD_ROOM);
        assert_annexb(frame, payload);
        empty(&wanted);
        empty(&own);
    }
    enum path path = path_of(frame);
    ch_frame_unref(frame);
    return path;
}

static enum path check(const struct buffer *payload)
{
    return check_with(payload, NULL, 0);
}

static const uint8_t slice[] = {0x41, 0x9A, 0x08, 0xDB}, idr[] = {0x65, 0x88, 0x81}, sei[] = {0x06, 0x05, 0x01, 0x80};
static const uint8_t delimiter[] = {0x09, 0xF0}, filler[] = {0x0C, 0xFF, 0xFF, 0x80}, sps[] = {0x67, 0x42, 0x01},
                     pps[] = {0x68, 0xCE}, end_of_stream[] = {0x0B};

static void test_start_codes(void **state)
{
    (void)state;
    for (size_t first = 2; first <= 5; first++)
        for (size_t second = 2; second <= 5; second++)
            for (size_t behind = 0; behind <= 3; behind++) {
                struct buffer payload = {0};
                put_nal(&payload, first, idr, sizeof idr);
                put_nal(&payload, second, slice, sizeof slice);
                put_zeros(&payload, behind);
                assert_int_equal(check(&payload), IN_PLACE);
                empty(&payload);
            }
}

// Around the size of the table of zeros that start codes are taken from, and its multiples.
static void test_thousands_of_zeros(void **state)
{
    (void)state;
    static const size_t counts[] = {4094, 4095, 4096, 4097, 8191, 8192, 8193, 12288, 12289, 20000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (unsigned where = 0; where < 8; where++) {
            struct buffer payload = {0};
            put_nal(&payload, where & 1 ? counts[i] : 3, idr, sizeof idr);
            put_nal(&payload, where & 2 ? counts[i] : 2, slice, sizeof slice);
            put_zeros(&payload, where & 4 ? counts[i] : 0);
            assert_int_equal(check(&payload), IN_PLACE);
            empty(&payload);
        }
    }
}

static void test_garbage_in_front(void **state)
{
    (void)state;
    static const char *const garbage[] = {"x", "garbage", "\1", "\0\1", "\0\0\2", "\0\0\0\0x", "\0\0"};
    static const size_t sizes[] = {1, 7, 1, 2, 3, 5, 2};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t zeros = 2; zeros <= 4; zeros++) {
            struct buffer payload = {0};
            put(&payload, garbage[i], sizes[i]);
            put_nal(&payload, zeros, idr, sizeof idr);
            put_nal(&payload, 3, slice, sizeof slice);
            check(&payload);
            empty(&payload);
        }
}

// Start codes in a row: nothing between them is a NAL unit, and nothing of them is lost.
static void test_empty_units(void **state)
{
    (void)state;
    for (unsigned where = 1; where < 8; where++)
        for (size_t zeros = 2; zeros <= 3; zeros++) {
            struct buffer payload = {0};
            if (where & 1)
                put_nal(&payload, zeros, "", 0);
            put_nal(&payload, 3, idr, sizeof idr);
            for (unsigned n = 0; where & 2 && n < 3; n++)
                put_nal(&payload, zeros, "", 0);
            put_nal(&payload, 2, slice, sizeof slice);
            if (where & 4)
                put_nal(&payload, zeros, "\0\0", 2);
            check(&payload);
            empty(&payload);
        }
}

// What stays out of samples, in every place among three slices.
static void test_what_stays_out(void **state)
{
    (void)state;
    static const struct {
        const uint8_t *data;
        size_t size;
    } others[] = {{delimiter, sizeof delimiter},         {sps, sizeof sps}, {pps, sizeof pps}, {filler, sizeof filler},
                  {end_of_stream, sizeof end_of_stream}, {sei, sizeof sei}};
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
        for (unsigned where = 0; where < 16; where++)
            for (size_t zeros = 2; zeros <= 4; zeros++) {
                struct buffer payload = {0};
                for (unsigned i = 0; i < 4; i++) {
                    for (unsigned n = 0; where >> i & 1 && n < 2; n++)
                        put_nal(&payload, zeros, others[k].data, others[k].size);
                    if (i < 3)
                        put_nal(&payload, 6 - zeros, slice, sizeof slice - i);
                }
                assert_int_equal(check(&payload), IN_PLACE);
                empty(&payload);
            }
}

// Start codes of three bytes are one shorter than a length: the first NAL unit moves left by one for each,
// into the slack, and beyond the slack the sample needs memory of its own.
static void test_many_units(void **state)
{
    (void)state;
    for (size_t zeros = 2; zeros <= 4; zeros++)
        for (size_t count = 1; count <= 200; count++) {
            struct buffer payload = {0};
            for (size_t i = 0; i < count; i++) {
                uint8_t unit[] = {i == 0 ? 0x65 : 0x61, (uint8_t)(i + 1), 0x80};
                put_nal(&payload, zeros, unit, 1 + 2 * (i % 7 > 0));
            }
            assert_int_equal(check(&payload), count <= CH_FRAME_SLACK ? IN_PLACE : APART);
            empty(&payload);
        }
}

static void test_extra_sets(void **state)
{
    (void)state;
    const struct ch_frame_extra extra[] = {{pps, sizeof pps}, {sps, sizeof sps}, {delimiter, 1}};
    for (size_t count = 1; count <= 3; count++) {
        struct buffer payload = {0};
        put_nal(&payload, 3, delimiter, sizeof delimiter);
        put_nal(&payload, 3, idr, sizeof idr);
        put_nal(&payload, 2, filler, sizeof filler);
        put_nal(&payload, 2, slice, sizeof slice);
        assert_int_equal(check_with(&payload, extra, count), APART);
        empty(&payload);
    }
}

static void test_nothing_for_a_sample(void **state)
{
    (void)state;
    static const char *const payloads[] = {"", "x", "\0\0\1", "\0\0\0\0", "no start code at all", "\0\0\1\0\0\1"};
    static const size_t sizes[] = {0, 1, 3, 4, 20, 6};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer payload = {0};
        put(&payload, payloads[i], sizes[i]);
        assert_int_equal(check(&payload), RAW);
        put_nal(&payload, 3, sps, sizeof sps);
        put_nal(&payload, 3, pps, sizeof pps);
        assert_int_equal(check(&payload), RAW);
        empty(&payload);
    }
}

static void put_random(struct buffer *payload, uint32_t *seed)
{
    static const uint8_t headers[] = {0x41, 0x65, 0x06, 0x67, 0x68, 0x09, 0x0C, 0x0D, 0x01, 0x74, 0x1F};
    static const uint8_t fill[] = {0, 0, 1, 3, 0x80, 0xFF};
    uint8_t unit[40];
    size_t size = dice(seed, sizeof unit);
    for (size_t i = 0; i < size; i++)
        unit[i] = fill[dice(seed, dice(seed, 2) ? sizeof fill : 4)];
    if (size > 0)
        unit[0] = headers[dice(seed, sizeof headers)];
    switch (dice(seed, 8)) {
    case 0: put(payload, unit, size); break; // garbage, or more of the NAL unit before
    case 1: put_zeros(payload, dice(seed, 9)); break;
    case 2: put_zeros(payload, dice(seed, 40) ? 2 : 4090 + dice(seed, 20)); break;
    default: put_nal(payload, 2 + dice(seed, 3), unit, size); break;
    }
}

static void test_random(void **state)
{
    (void)state;
    uint32_t seed = 7;
    size_t seen[3] = {0};
    for (unsigned round = 0; round < 20000; round++) {
        struct buffer payload = {0};
        for (uint32_t n = dice(&seed, round % 50 ? 12 : 200); n > 0; n--)
            put_random(&payload, &seed);
        const struct ch_frame_extra extra = {pps, sizeof pps};
        seen[check_with(&payload, &extra, dice(&seed, 8) == 0)]++;
        empty(&payload);
    }
    assert_true(seen[IN_PLACE] > 1000 && seen[APART] > 1000 && seen[RAW] > 100);
}

// --- the checksum, by numbers from elsewhere ----------------------------------------------------------

static uint64_t hash_of(const struct buffer *payload)
{
    struct found *found = find(payload);
    struct ch_frame *frame = receive(payload, 0, 0);
    assert_int_equal(ch_frame_pack(frame, found->nals, found->in_sample, found->count, false, NULL, 0), 0);
    uint64_t hash = frame->hash;
    ch_frame_unref(frame);
    return hash;
}

static void test_hash(void **state)
{
    (void)state;
    struct buffer payload = {0};
    put_nal(&payload, 3, sps, sizeof sps);
    put_nal(&payload, 3, pps, sizeof pps);
    assert_true(hash_of(&payload) == XXH3_64bits("\x67\x42\x01\x68\xCE", 5)); // all, as there is nothing else
    put_nal(&payload, 3, idr, sizeof idr);
    put_zeros(&payload, 2);
    assert_true(hash_of(&payload) == XXH3_64bits("\x65\x88\x81", 3));
    put_nal(&payload, 2, delimiter, sizeof delimiter);
    put_nal(&payload, 2, sei, sizeof sei);
    assert_true(hash_of(&payload) == XXH3_64bits("\x65\x88\x81\x06\x05\x01\x80", 7));
    payload.size = 0;
    put(&payload, "junk\0\0", 6);
    assert_true(hash_of(&payload) == XXH3_64bits("junk\0\0", 6));
    payload.size = 0;
    assert_true(hash_of(&payload) == UINT64_C(0x2D06800538D394C2)); // of nothing, by the XXH3 specification
    empty(&payload);
}

// --- memory -------------------------------------------------------------------------------------------

// A message that is sent in fragments: what was read so far stays.
static void test_growth(void **state)
{
    (void)state;
    struct ch_frame *frame = ch_frame_new(20);
    assert_non_null(frame);
    struct buffer payload = {0};
    put_nal(&payload, 3, idr, sizeof idr);
    put_nal(&payload, 3, slice, sizeof slice);
    memset(frame->message, 0x11, CH_CAMERA_HEADER_BYTES);
    memcpy(frame->message + CH_CAMERA_HEADER_BYTES, payload.data, 4);
    for (size_t size = 21; size <= CH_CAMERA_HEADER_BYTES + payload.size; size++) {
        assert_int_equal(ch_frame_grow(&frame, size), 0);
        assert_int_equal(frame->message_bytes, size);
        frame->message[size - 1] = payload.data[size - 1 - CH_CAMERA_HEADER_BYTES];
    }
    assert_int_equal(ch_frame_grow(&frame, 1 << 20), 0);
    frame->message[(1 << 20) - 1] = 1; // all of it is there
    assert_int_equal(frame->message[15], 0x11);
    frame->payload_bytes = (uint32_t)payload.size;
    struct found *found = find(&payload);
    assert_int_equal(ch_frame_pack(frame, found->nals, found->in_sample, found->count, true, NULL, 0), 0);
    assert_annexb(frame, &payload);
    ch_frame_unref(frame);
    empty(&payload);
}

static void *drop_all(void *context)
{
    struct ch_frame **frames = context;
    for (size_t i = 0; i < 1000; i++)
        ch_frame_unref(frames[i]);
    return NULL;
}

// Frames and their parameters go when the last reference goes, on whatever thread that is.
static void test_references(void **state)
{
    (void)state;
    static struct ch_frame *frames[1000];
    struct buffer payload = {0};
    struct recipe recipe = BASELINE;
    put_sets(&payload, &recipe);
    put_slice(&payload, &recipe, &(struct slice_recipe){.idr = true, .bytes = 30});
    struct ch_assembler *assembler = ch_assembler_new();
    for (size_t i = 0; i < 1000; i++) {
        frames[i] = receive(&payload, i, 0);
        assert_int_equal(ch_assembler_take(assembler, frames[i]), 0);
        assert_non_null(frames[i]->params);
        assert_ptr_equal(ch_frame_ref(frames[i]), frames[i]);
    }
    ch_assembler_free(assembler);
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, drop_all, frames), 0);
    assert_annexb(frames[999], &payload); // reading goes on beside it
    pthread_join(threads[0], NULL);
    assert_annexb(frames[0], &payload);
    struct ch_params *params = ch_params_ref(frames[0]->params);
    assert_int_equal(atomic_load(&params->refs), 1001);
    assert_int_equal(pthread_create(&threads[1], NULL, drop_all, frames), 0);
    pthread_join(threads[1], NULL);
    assert_int_equal(atomic_load(&params->refs), 1);
    assert_int_equal(params->width, 320);
    ch_params_unref(params);
    ch_frame_unref(NULL);
    ch_params_unref(NULL);
    empty(&payload);
}

static void test_has_sps(void **state)
{
    (void)state;
    struct buffer with = {0}, without = {0};
    struct recipe recipe = BASELINE;
    put_sets(&with, &recipe);
    put_slice(&with, &recipe, &(struct slice_recipe){.idr = true, .bytes = 9});
    put_slice(&without, &recipe, &(struct slice_recipe){.idr = true, .bytes = 9});
    struct ch_assembler *assembler = ch_assembler_new();
    struct ch_frame *first = receive(&with, 0, 0), *second = receive(&without, 0, 0);
    assert_int_equal(ch_assembler_take(assembler, first), 0);
    assert_int_equal(ch_assembler_take(assembler, second), 0);
    assert_true(ch_frame_has_sps(first));
    assert_false(ch_frame_has_sps(second));
    ch_frame_unref(first);
    ch_frame_unref(second);
    ch_assembler_free(assembler);
    empty(&with);
    empty(&without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_codes),      cmocka_unit_test(test_thousands_of_zeros),
        cmocka_unit_test(test_garbage_in_front), cmocka_unit_test(test_empty_units),
        cmocka_unit_test(test_what_stays_out),   cmocka_unit_test(test_many_units),
        cmocka_unit_test(test_extra_sets),       cmocka_unit_test(test_nothing_for_a_sample),
        cmocka_unit_test(test_random),           cmocka_unit_test(test_hash),
        cmocka_unit_test(test_growth),           cmocka_unit_test(test_references),
        cmocka_unit_test(test_has_sps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
