// Recordings that ended in any way: orderly, cut at every byte, with zeros from every byte on, damaged,
// half finished; and one that is too long for 32 bits.
#include "mp4_film.h"

static void test_scan_whole(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(HOUR_TICKS);
    struct scanned scanned = scan_film(film->data, film->bytes, film);
    assert_scanned(scanned, CH_MP4_END, film->frames, film->bytes);
    assert_int_equal(scanned.inits, 1);
    assert_int_equal(scanned.scan.init.width, 16);
    assert_int_equal(scanned.scan.init.height, 16);
    assert_int_equal(scanned.scan.init.sar_width, 1);
    assert_int_equal(scanned.scan.init.created_unix_s, 1700000000);
    assert_int_equal(scanned.scan.init.media_time_ticks, film->track.media_time_ticks);
    assert_int_equal(scanned.scan.init.avcc_bytes, film->track.avcc_bytes);
    assert_memory_equal(scanned.scan.init.avcc, film->avcc, film->track.avcc_bytes);
    assert_false(scanned.scan.patched);
    assert_false(scanned.scan.finished_tail);
    assert_int_equal(ch_mp4_scan_step(&scanned.scan, NULL, 0), CH_MP4_END); // and so for ever
    free_film(film);
}

// The end of the file at every byte.
static void test_scan_truncated(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(0);
    size_t whole = 0;
    for (size_t bytes = 0; bytes <= film->bytes; bytes++) {
        struct guard guard = guard_copy(film->data, bytes);
        struct scanned scanned = scan_film(guard.data, bytes, film);
        if (bytes < film->ends[0]) {
            assert_scanned(scanned, CH_MP4_TORN, 0, 0);
        } else {
            if (whole < film->frames && bytes == film->ends[whole + 1])
                whole++;
            assert_scanned(scanned, bytes == film->ends[whole] ? CH_MP4_END : CH_MP4_TORN, whole, film->ends[whole]);
            assert_int_equal(scanned.inits, 1);
        }
        assert_false(scanned.scan.finished_tail);
        guard_free(&guard);
    }
    assert_int_equal(whole, film->frames);
    free_film(film);
}

// The file has its length, but from every byte on there are zeros.
static void test_scan_zero_tail(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(0);
    uint8_t *copy = malloc(film->bytes);
    size_t whole = 0;
    for (size_t from = film->ends[0]; from < film->bytes; from++) {
        memcpy(copy, film->data, from);
        memset(copy + from, 0, film->bytes - from);
        if (from == film->ends[whole + 1])
            whole++;
        assert_scanned(scan_film(copy, film->bytes, film), CH_MP4_TORN, whole, film->ends[whole]);
    }
    assert_int_equal(whole, film->frames - 1);
    free(copy);
    free_film(film);
}

// Each bit of a fragment's header: the constant ones stop the scan, and so do both sizes.
static void test_scan_changed_header(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(0);
    size_t at = film->ends[3], passed = 0;
    for (size_t bit = 0; bit < 8 * CH_MP4_FRAGMENT_HEADER_BYTES; bit++) {
        size_t byte = bit / 8;
        film->data[at + byte] ^= (uint8_t)(1u << bit % 8);
        struct scanned scanned = scan_film(film->data, film->bytes, NULL);
        bool free_field = (byte >= 20 && byte < 24) || (byte >= 60 && byte < 68) || (byte >= 88 && byte < 92) ||
                          (byte >= 100 && byte < 104);
        if (free_field)
            assert_scanned(scanned, CH_MP4_END, film->frames, film->bytes);
        else
            assert_scanned(scanned, CH_MP4_TORN, 3, film->ends[3]);
        passed += free_field;
        film->data[at + byte] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(passed, 8 * 20);
    free_film(film);
}

// Sizes at the edges of 32 bits, and none at all.
static void test_scan_sample_sizes(void **state)
{
    (void)state;
    uint8_t file[2048];
    memset(file, 0x55, sizeof file);
    size_t init_bytes = ch_mp4_write_init(&some_track, file, sizeof file);
    static const uint32_t sizes[] = {
        0, 1, 900, UINT32_MAX - 112, UINT32_MAX - 103, UINT32_MAX - 8, UINT32_MAX - 7, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ch_mp4_write_fragment(&(struct ch_mp4_fragment){.sample_bytes = sizes[i]}, file + init_bytes);
        bool fits = sizes[i] == 1 || sizes[i] == 900;
        uint64_t end = init_bytes + (fits ? CH_MP4_FRAGMENT_HEADER_BYTES + sizes[i] : 0);
        assert_scanned(scan_film(file, sizeof file, NULL), CH_MP4_TORN, fits, end);
    }
}

static void test_scan_finished(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(HOUR_TICKS);
    size_t bytes;
    uint8_t *file = finished(film, &bytes);
    struct scanned scanned = scan_film(file, bytes, film);
    assert_int_equal(scanned.last, CH_MP4_FINISHED);
    assert_int_equal(scanned.scan.want_offset, film->bytes);
    assert_int_equal(scanned.scan.moov_bytes, bytes - film->bytes);
    struct ch_mp4_moov moov = read_good_moov(file + film->bytes, bytes - film->bytes);
    assert_samples(&moov, film->samples, film->frames);

    // The header was not patched yet: all fragments, and a moov behind them, if it is whole.
    memcpy(file + CH_MP4_FREE_OFFSET, film->data + CH_MP4_FREE_OFFSET, CH_MP4_FREE_BYTES);
    scanned = scan_film(file, bytes, film);
    assert_scanned(scanned, CH_MP4_TORN, film->frames, film->bytes);
    assert_true(scanned.scan.finished_tail);
    assert_false(scanned.scan.patched);
    for (size_t cut_bytes = film->bytes + 1; cut_bytes < bytes; cut_bytes++) {
        scanned = scan_film(file, cut_bytes, film);
        assert_scanned(scanned, CH_MP4_TORN, film->frames, film->bytes);
        assert_false(scanned.scan.finished_tail);
    }
    free(file);
    free_film(film);
}

// The header says "finished", but the moov is not there as a whole: the fragments still are.
static void test_scan_patched(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(0);
    size_t bytes;
    uint8_t *file = finished(film, &bytes);
    for (size_t cut_bytes = film->ends[0]; cut_bytes < bytes; cut_bytes++) {
        struct scanned scanned = scan_film(file, cut_bytes, film);
        assert_true(scanned.scan.patched);
        assert_in_range(scanned.last, CH_MP4_END, CH_MP4_TORN);
        if (cut_bytes >= film->bytes)
            assert_scanned(scanned, cut_bytes == film->bytes ? CH_MP4_END : CH_MP4_TORN, film->frames, film->bytes);
    }
    static const uint64_t sizes[] = {0, 15, 16, UINT64_MAX, UINT64_MAX - 31, UINT64_MAX / 2};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ch_put_be64(file + CH_MP4_FREE_OFFSET + 8, sizes[i]);
        struct scanned scanned = scan_film(file, film->bytes, film);
        if (sizes[i] != 16) { // 16 would put the final moov where the first one is
            assert_true(scanned.scan.patched);
            assert_scanned(scanned, CH_MP4_END, film->frames, film->bytes);
        }
    }
    free(file);
    free_film(film);
}

// A file of 12 fragments of 1.5 GiB, of which only headers exist.
static void test_scan_beyond_4_gib(void **state)
{
    (void)state;
    uint8_t init[1024], bytes[2048];
    size_t init_bytes = ch_mp4_write_init(&some_track, init, sizeof init), fragments = 0;
    const uint64_t sample = 3u << 29, whole = sample + CH_MP4_FRAGMENT_HEADER_BYTES;
    struct ch_mp4_scan scan;
    ch_mp4_scan_init(&scan, init_bytes + 12 * whole + 5);
    enum ch_mp4_event event;
    do {
        memset(bytes, 0x99, sizeof bytes);
        if (scan.want_offset < init_bytes) {
            memcpy(bytes, init + scan.want_offset, scan.want_bytes);
        } else if (scan.want_bytes >= CH_MP4_FRAGMENT_HEADER_BYTES) {
            uint8_t *header = bytes + scan.want_bytes - CH_MP4_FRAGMENT_HEADER_BYTES;
            uint64_t n = (scan.want_offset + scan.want_bytes - CH_MP4_FRAGMENT_HEADER_BYTES - init_bytes) / whole;
            ch_mp4_write_fragment(&(struct ch_mp4_fragment){.sequence = (uint32_t)n,
                                                            .dts_ticks = n * UINT32_MAX,
                                                            .sample_bytes = (uint32_t)sample,
                                                            .key = true},
                                  header);
        }
        event = ch_mp4_scan_step(&scan, bytes, scan.want_bytes);
        if (event != CH_MP4_FRAGMENT)
            continue;
        assert_int_equal(scan.fragment.sequence, fragments);
        assert_int_equal(scan.fragment.dts_ticks, fragments * UINT32_MAX);
        assert_int_equal(scan.sample_offset, init_bytes + fragments * whole + CH_MP4_FRAGMENT_HEADER_BYTES);
        fragments++;
    } while (event == CH_MP4_MORE || event == CH_MP4_INIT || event == CH_MP4_FRAGMENT);
    assert_int_equal(event, CH_MP4_TORN); // 5 bytes of something
    assert_int_equal(fragments, 12);
    assert_int_equal(scan.good_end, init_bytes + 12 * whole);
    assert_true(scan.good_end > UINT64_C(19000000000));
}

// A file that is shorter than it was said to be.
static void test_scan_short_read(void **state)
{
    (void)state;
    struct film *film = make_tiny_film(0);
    struct ch_mp4_scan scan;
    ch_mp4_scan_init(&scan, film->bytes);
    for (enum ch_mp4_event event = CH_MP4_MORE; event != CH_MP4_FRAGMENT;)
        event = ch_mp4_scan_step(&scan, film->data + scan.want_offset, scan.want_bytes);
    assert_int_equal(ch_mp4_scan_step(&scan, film->data + scan.want_offset, scan.want_bytes - 1), CH_MP4_TORN);
    assert_int_equal(scan.good_end, film->ends[1]);
    assert_int_equal(ch_mp4_scan_step(&scan, film->data, 0), CH_MP4_TORN);
    free_film(film);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_whole),        cmocka_unit_test(test_scan_truncated),
        cmocka_unit_test(test_scan_zero_tail),    cmocka_unit_test(test_scan_changed_header),
        cmocka_unit_test(test_scan_sample_sizes), cmocka_unit_test(test_scan_finished),
        cmocka_unit_test(test_scan_patched),      cmocka_unit_test(test_scan_beyond_4_gib),
        cmocka_unit_test(test_scan_short_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
