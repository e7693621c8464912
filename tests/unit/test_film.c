// The film of a JPEG camera's session, made by the real ffmpeg and looked at by ffprobe: every picture at its own time,
// whatever the pictures are; and by programs that are no ffmpeg at all.
#include "jpeg_session.h"

#include "cli/film.h"
#include "source/child.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#define PATH_BYTES 512

static char folder_path[PATH_BYTES];

static struct ch_film_options options_for(const char *ffmpeg)
{
    return (struct ch_film_options){.ffmpeg = ffmpeg, .helper = CH_CHILD_HELPER};
}

static int make_film(const char *ffmpeg, struct ch_film *film)
{
    struct ch_film_options options = options_for(ffmpeg);
    return ch_film_make(folder_path, &options, film);
}

static bool exists(const char *name)
{
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", folder_path, name);
    return access(path, F_OK) == 0;
}

// Puts the finished session of this album where the tests look. Takes the album.
static void put_session(struct album *album)
{
    struct folder whole;
    record_album(album, NULL, &whole);
    write_folder(place.root, ID, &whole);
    free_folder(&whole);
    free_album(album);
    snprintf(folder_path, sizeof folder_path, "%s/%s", place.path, ID);
}

static size_t index_times(int64_t *times, size_t capacity)
{
    static struct ch_record records[MAX_RECORDS];
    struct folder folder = read_folder(place.root, ID);
    size_t count = records_of(&folder, records, MAX_RECORDS), used = 0;
    for (size_t i = 0; i < count && used < capacity; i++)
        if (records[i].flags & CH_FRAME_PICTURE)
            times[used++] = records[i].pts_ticks;
    free_folder(&folder);
    return used;
}

// What ffprobe says: one line of fields for each packet or stream.
static FILE *probe(const char *entries)
{
    char command[PATH_BYTES + 256];
    snprintf(command, sizeof command, "ffprobe -v error -select_streams v -show_entries %s -of csv=p=0 %s/stream.mp4",
             entries, folder_path);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    return out;
}

struct shown {
    int64_t pts;
    bool key;
};

static size_t film_times(struct shown *shown, size_t capacity)
{
    FILE *out = probe("packet=pts,flags");
    size_t count = 0;
    long long pts;
    char flags[16];
    while (count < capacity && fscanf(out, "%lld,%15s", &pts, flags) == 2)
        shown[count++] = (struct shown){.pts = pts, .key = flags[0] == 'K'};
    assert_int_equal(pclose(out), 0);
    return count;
}

// Every picture of the index is in the film, at its time, and none is far from a key frame.
static void assert_exact(void)
{
    static int64_t times[MAX_RECORDS];
    static struct shown shown[MAX_RECORDS];
    size_t count = index_times(times, MAX_RECORDS);
    assert_int_equal(film_times(shown, MAX_RECORDS), count);
    int64_t key = -1;
    for (size_t i = 0; i < count; i++) {
        if (shown[i].pts != times[i])
            fail_msg("picture %zu is shown at %lld, its time is %lld", i, (long long)shown[i].pts, (long long)times[i]);
        if (shown[i].key)
            key = times[i];
        assert_true(key >= 0 && times[i] - key < 180000);
    }
}

static void assert_stream(const char *wanted)
{
    FILE *out = probe("stream=codec_name,width,height,pix_fmt,color_range,color_space,time_base");
    char line[256] = "";
    assert_non_null(fgets(line, sizeof line, out));
    assert_int_equal(pclose(out), 0);
    line[strcspn(line, "\n")] = '\0';
    assert_string_equal(line, wanted);
}

static void assert_listed(size_t frames)
{
    json_t *session = report_of(ID), *files = json_object_get(session, "files"), *entry;
    size_t i, films = 0;
    json_array_foreach (files, i, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "kind")), "film") != 0)
            continue;
        films++;
        assert_string_equal(json_string_value(json_object_get(entry, "name")), "stream.mp4");
        assert_int_equal(json_integer_value(json_object_get(entry, "frames")), frames);
    }
    assert_int_equal(films, 1);
    json_decref(session);
    assert_sound(ID, CH_VERDICT_COMPLETE);
    assert_false(exists("stream.mp4.tmp"));
}

// --- films --------------------------------------------------------------------------------------------

// Steps that differ, and a smaller picture from the middle on.
static void test_film(void **state)
{
    (void)state;
    struct ch_film film;
    put_session(make_album(80, 50));
    assert_true(ch_recover_film_missing(place.root, ID));
    assert_int_equal(make_film("ffmpeg", &film), 0);
    assert_false(ch_recover_film_missing(place.root, ID));
    assert_int_equal(film.pictures, 80);
    assert_int_equal(film.frames, 80);
    assert_exact();
    assert_stream("h264,64,48,yuv420p,tv,smpte170m,1/90000");
    assert_listed(80);
    assert_int_equal(make_film("ffmpeg", &film), -EALREADY);
    // Gone, or not what it was: made again.
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/stream.mp4", folder_path);
    assert_int_equal(truncate(path, 100), 0);
    assert_true(ch_recover_film_missing(place.root, ID));
    assert_int_equal(make_film("ffmpeg", &film), 0);
    assert_exact();
    assert_listed(80);
    unlink(path);
    assert_int_equal(make_film("ffmpeg", &film), 0);
    assert_listed(80);
}

static struct album *album_of(const unsigned sizes[][2], size_t count, int64_t step_us)
{
    struct album *album = calloc(1, sizeof *album);
    assert_non_null(album);
    for (size_t i = 0; i < count; i++) {
        album->pictures[i] = make_picture(sizes[i][0], sizes[i][1], (unsigned)i, 10);
        album->times_us[i] = step_us * (int64_t)i;
    }
    album->count = count;
    return album;
}

static void test_one_picture(void **state)
{
    (void)state;
    struct ch_film film;
    put_session(make_album(1, 0));
    assert_int_equal(make_film("ffmpeg", &film), 0);
    assert_exact();
    assert_listed(1);
    FILE *out = probe("packet=duration");
    long long duration = 0;
    assert_int_equal(fscanf(out, "%lld", &duration), 1);
    pclose(out);
    assert_int_equal(duration, 9000); // it can be seen
}

// Sides that H.264 cannot have, pictures of other sizes in the midst, larger and smaller, upright and lying.
static void test_sizes(void **state)
{
    (void)state;
    static const unsigned sizes[][2] = {{33, 17}, {33, 17}, {640, 480}, {1, 1}, {8, 300}, {300, 8}, {33, 17}};
    struct ch_film film;
    put_session(album_of(sizes, 7, 333333));
    assert_int_equal(make_film("ffmpeg", &film), 0);
    assert_exact();
    assert_stream("h264,34,18,yuv420p,tv,smpte170m,1/90000");
    assert_listed(7);
    static const unsigned tiny[][2] = {{1, 1}, {64, 64}, {1, 1}};
    put_session(album_of(tiny, 3, 1));
    assert_int_equal(make_film("ffmpeg", &film), 0);
    assert_exact();
    assert_listed(3);
}

// Long silence, then many at once, a tick apart.
static void test_steps(void **state)
{
    (void)state;
    struct album *album = make_album(60, 0);
    int64_t time_us = 0;
    for (size_t i = 0; i < 60; i++) {
        album->times_us[i] = time_us;
        time_us += i == 20 ? INT64_C(3600123457) : i > 40 ? 3 : 99991;
    }
    put_session(album);
    struct ch_film film;
    assert_int_equal(make_film("ffmpeg", &film), 0);
    assert_exact();
    assert_listed(60);
}

// --- pictures that are broken -----------------------------------------------------------------------------

// Garbage between the markers, which no one can tell from a picture without decoding it.
static void spoil_data(struct picture *picture)
{
    for (size_t at = picture->size - 60; at < picture->size - 2; at++)
        picture->data[at] = (uint8_t)(at * 37 % 251);
}

// Huffman tables that no decoder takes.
static void spoil_tables(struct picture *picture)
{
    for (size_t at = 0; at + 21 < picture->size; at++)
        if (picture->data[at] == 0xFF && picture->data[at + 1] == 0xC4)
            memset(picture->data + at + 5, 0xEE, 16);
}

// None of them has padding: what is spoilt is at the end.
static struct album *plain_album(size_t count)
{
    static unsigned sizes[MAX_PICTURES][2];
    for (size_t i = 0; i < count; i++) {
        sizes[i][0] = 128;
        sizes[i][1] = 96;
    }
    return album_of((const unsigned(*)[2])sizes, count, 123457);
}

static void test_garbage(void **state)
{
    (void)state;
    struct album *album = plain_album(40);
    struct ch_film film;
    for (size_t i = 3; i < 40; i += 3)
        spoil_data(&album->pictures[i]);
    put_session(album);
    assert_int_equal(make_film("ffmpeg", &film), 0);
    assert_int_equal(film.pictures, 40);
    assert_in_range(film.frames, 27, 40); // what ffmpeg makes of garbage is its own affair
    static int64_t times[MAX_RECORDS];
    static struct shown shown[MAX_RECORDS];
    size_t count = index_times(times, MAX_RECORDS), found = film_times(shown, MAX_RECORDS), at = 0;
    assert_int_equal(found, film.frames);
    for (size_t i = 0; i < count; i++) {
        if (at < found && shown[at].pts == times[i])
            at++;
        else
            assert_int_equal(i % 3, 0); // all others are there
    }
    assert_int_equal(at, found);
    assert_listed(found);
}

// Pictures that cannot be decoded leave a gap, also in front: the others keep their times.
static void test_undecodable(void **state)
{
    (void)state;
    struct album *album = plain_album(30);
    struct ch_film film;
    static const size_t bad[] = {0, 1, 2, 9, 20, 29};
    for (size_t i = 0; i < 6; i++)
        spoil_tables(&album->pictures[bad[i]]);
    put_session(album);
    assert_int_equal(make_film("ffmpeg", &film), 0);
    assert_int_equal(film.pictures, 30);
    assert_int_equal(film.frames, 24);
    static int64_t times[MAX_RECORDS];
    static struct shown shown[MAX_RECORDS];
    index_times(times, MAX_RECORDS);
    assert_int_equal(film_times(shown, MAX_RECORDS), 24);
    for (size_t i = 0, at = 0, next_bad = 0; i < 30; i++) {
        if (next_bad < 6 && bad[next_bad] == i)
            next_bad++;
        else
            assert_int_equal(shown[at++].pts, times[i]);
    }
    assert_listed(24);
}

static void assert_no_film(int error, int found, const struct ch_film *film, const char *part)
{
    if (error != found || !strstr(film->reason, part))
        fail_msg("%s (%s), expected %s and \"%s\"", strerror(-found), film->reason, strerror(-error), part);
    assert_false(exists("stream.mp4"));
    assert_false(exists("stream.mp4.tmp"));
}

static void test_nothing_decodable(void **state)
{
    (void)state;
    struct album *album = plain_album(5);
    struct ch_film film;
    for (size_t i = 0; i < 5; i++)
        spoil_tables(&album->pictures[i]);
    put_session(album);
    int rc = make_film("ffmpeg", &film);
    assert_no_film(-ENODATA, rc, &film, "no picture could be decoded");
    assert_int_equal(film.pictures, 5);
}

// The session lost a file, or bytes in the midst of one.
static void test_lost_pictures(void **state)
{
    (void)state;
    struct ch_film film;
    char path[PATH_BYTES + 64];
    put_session(plain_album(20));
    snprintf(path, sizeof path, "%s/stream.mjpeg", folder_path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size * 3 / 5 - 10), 0);
    assert_int_equal(make_film("ffmpeg", &film), 0);
    assert_int_equal(film.frames, 11);
    unlink(path);
    snprintf(path, sizeof path, "%s/stream.mp4", folder_path);
    unlink(path);
    int rc = make_film("ffmpeg", &film);
    assert_no_film(-ENODATA, rc, &film, "there is no picture");
    put_session(plain_album(20));
    snprintf(path, sizeof path, "%s/frames.idx", folder_path);
    assert_int_equal(truncate(path, 64 + 64 * 5 + 3), 0);
    rc = make_film("ffmpeg", &film);
    assert_no_film(-EBADMSG, rc, &film, "frames.idx is broken");
}

// --- when there is nothing to do ----------------------------------------------------------------------------

static void test_no_session(void **state)
{
    (void)state;
    struct ch_film film;
    snprintf(folder_path, sizeof folder_path, "%s", place.path);
    int rc = make_film("ffmpeg", &film);
    assert_no_film(-ENOENT, rc, &film, "");
    snprintf(folder_path, sizeof folder_path, "%s/nowhere", place.path);
    rc = make_film("ffmpeg", &film);
    assert_no_film(-ENOENT, rc, &film, "");

    struct show *show = phone_show(10, 5, 30); // an H.264 camera's
    struct folder whole;
    record_show(&place, show, true, NULL, &whole);
    write_folder(place.root, ID, &whole);
    snprintf(folder_path, sizeof folder_path, "%s/%s", place.path, ID);
    assert_int_equal(make_film("ffmpeg", &film), -ENOENT);
    free_folder(&whole);
    free(show);

    struct album *album = make_album(5, 0); // one that has not ended
    record_album(album, &whole, NULL);
    write_folder(place.root, ID, &whole);
    assert_int_equal(make_film("ffmpeg", &film), -ENOENT);
    free_folder(&whole);
    put_session(album);
    int dir = open(folder_path, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(dir, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(make_film("ffmpeg", &film), -EBUSY);
    close(dir);

    album = make_album(0, 0); // one without a picture
    put_session(album);
    assert_false(ch_recover_film_missing(place.root, ID));
    rc = make_film("ffmpeg", &film);
    assert_no_film(-ENODATA, rc, &film, "there is no picture");
    assert_int_equal(film.pictures, 0);
}

// --- programs that are no ffmpeg ------------------------------------------------------------------------------

static const char *fake(const char *script)
{
    static char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/fake", folder_path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\nfor last; do :; done\nout=${last#file:}\n%s\n", script);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

static void test_bad_ffmpeg(void **state)
{
    (void)state;
    struct ch_film film;
    put_session(plain_album(200));
    int rc = make_film("/nowhere/ffmpeg", &film);
    assert_no_film(-ENOENT, rc, &film, "there is no program /nowhere/ffmpeg");
    rc = make_film(fake("echo 'it is too hot' >&2; exit 3"), &film);
    assert_no_film(-EIO, rc, &film, "failed: it is too hot");
    rc = make_film(fake("cat >/dev/null; kill -SEGV $$"), &film);
    assert_no_film(-EIO, rc, &film, "crashed");
    rc = make_film(fake("exec 0<&-; exit 0"), &film); // reads nothing, makes nothing
    assert_no_film(-ENOENT, rc, &film, "");
    rc = make_film(fake("cat >\"$out\""), &film);
    assert_no_film(-EBADMSG, rc, &film, "cannot be read");
    rc = make_film(fake("cat >/dev/null; : >\"$out\""), &film);
    assert_no_film(-EBADMSG, rc, &film, "cannot be read");
    // Pictures at other times than they have are no film of this session.
    rc = make_film(fake("ffmpeg -v error -y -f matroska -i pipe:0 -vf setpts=N*4000 -fps_mode passthrough "
                        "-enc_time_base 1/90000 -c:v libx264 -preset ultrafast -bf 0 -video_track_timescale 90000 "
                        "-f mp4 \"file:$out\""),
                   &film);
    assert_no_film(-EBADMSG, rc, &film, "other times");
    rc = make_film(fake("exec ffmpeg \"$@\""), &film);
    assert_int_equal(rc, 0);
    assert_exact();
}

// SIGTERM ends it, with ffmpeg, and leaves nothing behind.
static void test_stopped(void **state)
{
    (void)state;
    put_session(plain_album(20));
    const char *sleeper = fake("echo here >\"$out\"; exec sleep 100");
    pid_t pid = fork();
    if (pid == 0) {
        struct ch_film film;
        int rc = make_film(sleeper, &film);
        _exit(rc == -ECANCELED && strcmp(film.reason, "stopped") == 0 ? 0 : 1);
    }
    while (!exists("stream.mp4.tmp"))
        usleep(10000);
    kill(pid, SIGTERM);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_false(exists("stream.mp4.tmp"));
    assert_false(exists("stream.mp4"));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], CH_CHILD_HELPER_WORD) == 0)
        _exit(ch_child_exec(argc - 1, argv + 1)); // its limits leave no room for a look for leaks
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_film),
        cmocka_unit_test(test_one_picture),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_undecodable),
        cmocka_unit_test(test_nothing_decodable),
        cmocka_unit_test(test_lost_pictures),
        cmocka_unit_test(test_no_session),
        cmocka_unit_test(test_bad_ffmpeg),
        cmocka_unit_test(test_stopped),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
