// Recovery of what is unusual: several parts, files that are gone, nothing but stream.h264, bits that flipped, garbage.
#include "session_checks.h"

// --- several parts ----------------------------------------------------------------------------------

static struct show *turning_show(void)
{
    struct show *show = new_show();
    struct recipe wide = BASELINE, high = BASELINE;
    high.width_mbs = 15;
    high.height_units = 20;
    for (size_t part = 0; part < 3; part++) {
        const struct recipe *recipe = part % 2 ? &high : &wide;
        add_sets(show, recipe);
        for (size_t i = 0; i < 9; i++)
            add_picture(show, recipe, i % 3 == 0, 50, 30 + i);
    }
    return show;
}

static void test_several_parts(void **state)
{
    (void)state;
    struct show *show = turning_show();
    for (int h264 = 0; h264 < 2; h264++) {
        struct folder whole, folder = made_cut(show, h264, &whole);
        assert_non_null(file_of(&folder, "stream_3.mp4"));
        recover_sound(&folder, 27, 27);
        assert_prefix(&whole, 27);
        struct file *file = file_of(&folder, "stream_3.mp4");
        for (size_t size = file->size; size > 0; size -= size > 11 ? 11 : size) {
            file->size = size;
            recover_sound(&folder, h264 ? 27 : 18, 27);
            assert_prefix(&whole, h264 ? 27 : 18);
        }
        struct file *index = file_of(&folder, "frames.idx");
        for (; index->size > 0; index->size -= index->size > 50 ? 50 : index->size) {
            recover_sound(&folder, 18, 27);
            assert_prefix(&whole, 18);
        }
        free_folder(&whole);
        free_folder(&folder);
    }
    free(show);
}

static void test_part_gone(void **state)
{
    (void)state;
    struct show *show = turning_show();
    static const char *const names[] = {"stream.mp4", "stream_2.mp4", "stream_3.mp4"};
    for (size_t i = 0; i < 3; i++) {
        struct folder whole, folder = made_cut(show, true, &whole);
        drop_file(&folder, names[i]);
        recover_sound(&folder, 27, 27);
        assert_same_files(&whole);
        free_folder(&whole);
        free_folder(&folder);
    }
    free(show);
}

// --- only stream.h264 -------------------------------------------------------------------------------

static struct folder only_stream(const struct folder *folder)
{
    struct folder copy = *folder, bare = {.count = 1};
    bare.files[0] = *file_of(&copy, "stream.h264");
    return bare;
}

static void test_bare_stream(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(40, 10, 60), b_frame_show(6), odd_show(), turning_show()};
    static const size_t pictures[] = {40, 42, 25, 27}; // odd_show: one before the first key, one sent twice
    for (size_t i = 0; i < sizeof shows / sizeof shows[0]; i++) {
        struct folder whole, folder = made_cut(shows[i], true, &whole), bare = only_stream(&whole);
        recover_sound(&bare, pictures[i], pictures[i]);
        struct folder after = read_folder(place.root, ID);
        struct ch_record records[MAX_RECORDS];
        size_t count = records_of(&after, records, MAX_RECORDS), seen = 0;
        bool shown[MAX_RECORDS] = {false};
        for (size_t r = 0; r < count; r++) {
            if (records[r].part == 0)
                continue;
            assert_int_equal(records[r].pts_ticks % 9000, 0); // ten a second, the original's last resort
            assert_true(records[r].pts_ticks >= 0 && (size_t)records[r].pts_ticks / 9000 < pictures[i]);
            assert_false(shown[records[r].pts_ticks / 9000]);
            shown[records[r].pts_ticks / 9000] = true;
            seen++;
        }
        assert_int_equal(seen, pictures[i]);
        assert_int_equal(file_of(&after, "stream_3.mp4") != NULL, i == 3);
        assert_memory_equal(file_of(&after, "stream.h264")->data, bare.files[0].data, bare.files[0].size);
        free_folder(&after);
        free_folder(&whole);
        free_folder(&folder);
        free(shows[i]);
    }
}

// Pictures of one group stand in output order.
static void test_bare_stream_order(void **state)
{
    (void)state;
    struct show *show = b_frame_show(3);
    struct folder whole, folder = made_cut(show, true, &whole), bare = only_stream(&whole);
    recover_sound(&bare, 21, 21);
    struct folder after = read_folder(place.root, ID);
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(&after, records, MAX_RECORDS), number = 0;
    static const int order[7] = {0, 3, 1, 2, 6, 4, 5};
    for (size_t i = 0; i < count; i++)
        if (records[i].part > 0) {
            assert_int_equal(records[i].pts_ticks, (int64_t)(number / 7 * 7 + (size_t)order[number % 7]) * 9000);
            number++;
        }
    assert_int_equal(number, 21);
    free_folder(&after);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

static void test_bare_stream_cut_anywhere(void **state)
{
    (void)state;
    struct show *show = phone_show(6, 3, 20);
    struct folder whole, folder = made_cut(show, true, &whole), bare = only_stream(&whole);
    for (; bare.files[0].size > 0; bare.files[0].size--)
        recover_sound(&bare, 0, 6);
    write_folder(place.root, ID, &bare); // and nothing at all
    struct ch_session_summary summary;
    assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
    assert_sound(ID, CH_VERDICT_RECOVERED);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// A video that another program left torn goes aside, and is not lost.
static void test_bare_stream_beside_torn_video(void **state)
{
    (void)state;
    struct show *show = phone_show(6, 3, 20);
    struct folder whole, folder = made_cut(show, true, &whole), bare = only_stream(&whole);
    static uint8_t torn[200] = "\0\0\0\x10"
                               "ftypisom\0\0\0\0"
                               "\0\0\x10\0mdat";
    bare.files[bare.count++] = (struct file){"stream.mp4", torn, sizeof torn};
    recover_sound(&bare, 6, 6);
    struct folder after = read_folder(place.root, ID);
    assert_non_null(file_of(&after, "stream.mp4.damaged"));
    assert_memory_equal(file_of(&after, "stream.mp4.damaged")->data, torn, sizeof torn);
    free_folder(&after);
    free_folder(&whole);
    free_folder(&folder);
    free(show);
}

// --- anything at all --------------------------------------------------------------------------------

static void test_mangled(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(20, 5, 60), odd_show(), b_frame_show(3), turning_show()};
    unsigned dice = 1;
    for (size_t s = 0; s < 4; s++)
        for (int done = 0; done < 2; done++) {
            struct folder whole, cut = made_cut(shows[s], true, &whole);
            for (size_t round = 0; round < 60; round++) {
                struct folder folder = copy_folder(done ? &whole : &cut);
                for (size_t flips = 1 + round % 5; flips > 0; flips--) {
                    dice = dice * 1103515245u + 12345u;
                    struct file *file = &folder.files[(dice >> 16) % folder.count];
                    dice = dice * 1103515245u + 12345u;
                    if (file->size > 0)
                        file->data[(dice >> 8) % file->size] ^= (uint8_t)(1u << flips % 8);
                    if (file->size > 0 && round % 4 == 3)
                        file->size -= (dice >> 4) % file->size;
                }
                struct ch_session_summary summary;
                write_folder(place.root, ID, &folder);
                problems_of(ID);
                int rc = ch_recover_session(place.root, ID, &summary);
                assert_true(rc == 0 || rc == -EALREADY || rc == -ENOTSUP);
                problems_of(ID); // there may be some: recovery does not look for bits far from the end
                if (rc == 0)
                    assert_int_equal(ch_recover_session(place.root, ID, &summary), -EALREADY);
                free_folder(&folder);
            }
            free_folder(&whole);
            free_folder(&cut);
        }
    for (size_t s = 0; s < 4; s++)
        free(shows[s]);
}

static void test_garbage(void **state)
{
    (void)state;
    static uint8_t noise[5000];
    unsigned dice = 99;
    for (size_t round = 0; round < 60; round++) {
        for (size_t i = 0; i < sizeof noise; i++) {
            dice = dice * 1103515245u + 12345u;
            noise[i] = round % 3 == 0 ? 0 : round % 3 == 1 ? (uint8_t)(dice >> 16) : (uint8_t)(dice >> 16 & 1);
        }
        struct folder folder = {.count = 4,
                                .files = {{"frames.idx", noise, dice % 1000},
                                          {"stream.mp4", noise + 1000, dice % 2000},
                                          {"stream.h264", noise + 3000, dice % 2000},
                                          {"session.json", noise + 2, dice % 50}}};
        struct ch_session_summary summary;
        write_folder(place.root, ID, &folder);
        problems_of(ID);
        assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
        assert_int_equal(problems_of(ID), 0);
        assert_int_equal(ch_recover_session(place.root, ID, &summary), -EALREADY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_parts),
        cmocka_unit_test(test_part_gone),
        cmocka_unit_test(test_bare_stream),
        cmocka_unit_test(test_bare_stream_order),
        cmocka_unit_test(test_bare_stream_cut_anywhere),
        cmocka_unit_test(test_bare_stream_beside_torn_video),
        cmocka_unit_test(test_mangled),
        cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
