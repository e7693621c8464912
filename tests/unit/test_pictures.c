// The ring of newest pictures: what stays, what goes, what is never touched, and a disk that refuses.
#include "session_maker.h"

#include "base/clock.h"
#include "sink/pictures.h"

#include <time.h>

#define WALL_US INT64_C(1767225600500000)

static struct place place;
static unsigned errors, infos;

static void count_lines(void *context, const char *line)
{
    (void)context;
    errors += strstr(line, "[Error]") != NULL;
    infos += strstr(line, "[Info]") != NULL;
}

static int set_up(void **state)
{
    (void)state;
    place = make_place();
    ch_log_set_writer(count_lines, NULL);
    errors = infos = 0;
    return 0;
}

static void empty_folder(const char *path)
{
    int dir = openat(place.root, path, O_RDONLY | O_DIRECTORY);
    if (dir < 0)
        return;
    DIR *entries = fdopendir(dir);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dir, entry->d_name, 0);
    closedir(entries);
    assert_int_equal(unlinkat(place.root, path, AT_REMOVEDIR), 0);
}

static int tear_down(void **state)
{
    (void)state;
    empty_folder("images/left");
    empty_folder("images");
    remove_place(&place);
    return 0;
}

static const char *name_of(int64_t wall_us, unsigned number)
{
    static char name[256];
    char stamp[CH_STAMP_BYTES];
    ch_format_stamp(wall_us, stamp);
    snprintf(name, sizeof name, "frame_%s_%03u.jpg", stamp, number);
    return name;
}

static bool holds(const char *folder, const char *name, const char *content)
{
    char path[512], *data;
    size_t size;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (ch_file_read_all(place.root, path, 1000, &data, &size) < 0)
        return false;
    bool same = !content || (size == strlen(content) && memcmp(data, content, size) == 0);
    free(data);
    return same;
}

static size_t files_in(const char *folder)
{
    int dir = openat(place.root, folder, O_RDONLY | O_DIRECTORY);
    assert_true(dir >= 0);
    DIR *entries = fdopendir(dir);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(entries));)
        count += entry->d_type == DT_REG;
    closedir(entries);
    return count;
}

static void add(struct ch_pictures *pictures, int64_t wall_us, unsigned number, const char *content)
{
    assert_int_equal(ch_pictures_add(pictures, content, strlen(content), wall_us, number), 0);
}

// One a second; the newest 200 stay.
static void test_ring(void **state)
{
    (void)state;
    struct ch_pictures *pictures = ch_pictures_open(place.root, place.path, NULL);
    assert_int_equal(faccessat(place.root, "images", F_OK, 0), -1); // not before there is a picture
    for (unsigned i = 0; i < 1100; i++) {
        char content[16];
        snprintf(content, sizeof content, "picture %u", i);
        add(pictures, WALL_US + i * CH_US_PER_S, i + 1, content);
        assert_int_equal(files_in("images"), i < 200 ? i + 1 : 200);
    }
    for (unsigned i = 0; i < 1100; i++) {
        char content[16];
        snprintf(content, sizeof content, "picture %u", i);
        assert_int_equal(holds("images", name_of(WALL_US + i * CH_US_PER_S, i + 1), content), i >= 900);
    }
    assert_non_null(strstr(name_of(WALL_US, 7), "_007.jpg"));
    assert_non_null(strstr(name_of(WALL_US, 1001), "_1001.jpg"));
    ch_pictures_close(pictures);
    assert_int_equal(errors, 0);
}

static void set_time(const char *name, time_t s)
{
    char path[512];
    snprintf(path, sizeof path, "images/%s", name);
    struct timespec times[2] = {{.tv_sec = s}, {.tv_sec = s}};
    assert_int_equal(utimensat(place.root, path, times, 0), 0);
}

static void put_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "images/%s", name);
    int fd = ch_file_create(place.root, path);
    assert_true(fd >= 0);
    close(fd);
}

// What an earlier run left counts, by its age; what is not of the ring stays whatever comes.
static void test_earlier_run(void **state)
{
    (void)state;
    static const char *const others[] = {"frame_20260101_000000_01.jpg",
                                         "frame_20260101_000000_001.jpeg",
                                         "frame_20261301_000000_001.jpg",
                                         "frame_20260101_000000_001.jpg.txt",
                                         "photo.jpg",
                                         "frame_20260101_000000_00x.jpg",
                                         "frame_2026011_000000_001.jpg"};
    assert_int_equal(mkdirat(place.root, "images", 0755), 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        put_file(others[i]);
    assert_int_equal(symlinkat("photo.jpg", place.root, "images/frame_20200101_000000_001.jpg"), 0);
    for (unsigned i = 0; i < 300; i++) { // of one second, so that only the number tells their order
        put_file(name_of(WALL_US, 800 + i));
        set_time(name_of(WALL_US, 800 + i), 1000000);
    }
    put_file(name_of(WALL_US, 1)); // written last, whatever its name says
    size_t foreign = sizeof others / sizeof others[0];
    struct ch_pictures *pictures = ch_pictures_open(place.root, place.path, NULL);
    add(pictures, WALL_US + 5 * CH_US_PER_S, 1, "new");
    assert_int_equal(files_in("images"), foreign + 200);
    assert_true(holds("images", name_of(WALL_US + 5 * CH_US_PER_S, 1), "new"));
    assert_true(holds("images", name_of(WALL_US, 1), NULL));
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(holds("images", name_of(WALL_US, 800 + i), NULL), i >= 102);
    for (unsigned i = 0; i < 250; i++)
        add(pictures, WALL_US + 6 * CH_US_PER_S, i, "more");
    assert_int_equal(files_in("images"), foreign + 200);
    for (size_t i = 0; i < foreign; i++)
        assert_true(holds("images", others[i], NULL));
    struct stat st;
    assert_int_equal(fstatat(place.root, "images/frame_20200101_000000_001.jpg", &st, AT_SYMLINK_NOFOLLOW), 0);
    ch_pictures_close(pictures);
}

// A camera with a name has a ring of its own; the same name twice is one picture.
static void test_names(void **state)
{
    (void)state;
    struct ch_pictures *all = ch_pictures_open(place.root, place.path, NULL);
    struct ch_pictures *left = ch_pictures_open(place.root, place.path, "left");
    for (unsigned i = 0; i < 205; i++) {
        add(all, WALL_US, i, "all");
        add(left, WALL_US, i, "left");
    }
    assert_int_equal(files_in("images"), 200);
    assert_int_equal(files_in("images/left"), 200);
    assert_true(holds("images/left", name_of(WALL_US, 204), "left"));
    add(all, WALL_US, 204, "again");
    assert_int_equal(files_in("images"), 200);
    assert_true(holds("images", name_of(WALL_US, 204), "again"));
    assert_true(holds("images", name_of(WALL_US, 5), "all")); // it cost no other one
    ch_pictures_close(all);
    ch_pictures_close(left);
}

// Said once, when it begins and when it is over; deleting the whole folder is no error.
static void test_errors(void **state)
{
    (void)state;
    struct ch_pictures *pictures = ch_pictures_open(place.root, place.path, "left");
    int fd = ch_file_create(place.root, "images"); // in the way
    close(fd);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(ch_pictures_add(pictures, "x", 1, WALL_US, i), -ENOTDIR);
    assert_int_equal(errors, 1);
    assert_int_equal(unlinkat(place.root, "images", 0), 0);
    add(pictures, WALL_US, 6, "y");
    assert_int_equal(errors, 1);
    assert_int_equal(infos, 1);
    add(pictures, WALL_US, 7, "z");
    assert_int_equal(infos, 1);
    empty_folder("images/left");
    empty_folder("images");
    add(pictures, WALL_US, 8, "back");
    assert_int_equal(files_in("images/left"), 1);
    assert_int_equal(mkdirat(place.root, "images/left/.frame.tmp", 0755), 0); // nothing can be written
    assert_int_equal(ch_pictures_add(pictures, "x", 1, WALL_US, 9), -EISDIR);
    assert_int_equal(ch_pictures_add(pictures, "x", 1, WALL_US, 10), -EISDIR);
    assert_int_equal(errors, 2);
    assert_int_equal(unlinkat(place.root, "images/left/.frame.tmp", AT_REMOVEDIR), 0);
    add(pictures, WALL_US, 11, "and again");
    assert_int_equal(infos, 2);
    ch_pictures_close(pictures);
    ch_pictures_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_earlier_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
