// ch_supervisor: an owner who closes in every state and from within every callback, and each mode of
// tests/tools/fakeffmpeg.
#include "supervisor_bed.h"

#include <dirent.h>
#include <limits.h>

static bool alive(int pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *state = strrchr(text, ')');
    return state && state[1] == ' ' && !strchr("ZXx", state[2]);
}

// --- closing ----------------------------------------------------------------------------------

static void close_now(struct bed *bed)
{
    if (!bed->supervisor.closing)
        ch_supervisor_close(&bed->supervisor, false, take_closed);
    assert_int_equal(bed->closed, 0);
}

static void close_gently(struct bed *bed)
{
    if (!bed->supervisor.closing)
        ch_supervisor_close(&bed->supervisor, true, take_closed);
    assert_int_equal(bed->closed, 0);
}

static void test_close_in_every_state(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        enum ch_supervisor_state in = (enum ch_supervisor_state)(i / 2);
        struct ch_supervisor_policy policy = brisk;
        policy.first_pause_us = policy.longest_pause_us = 20000 * MS;
        policy.crash_threshold = in == GIVEN_UP ? 1 : 3;
        policy.linger_us = in == LINGERING ? 20000 * MS : 1 * MS;
        policy.stall_us = 20000 * MS;
        struct bed *bed = bed_new(&policy, in == WAITING || in == GIVEN_UP || in == ENDED ? "exit 1"
                                           : in == STOPPING                               ? DEAF
                                           : in == STARTING                               ? SILENT
                                                                                          : TALKER);
        bed->progress_on_output = true;
        bed->verdict = in == ENDED ? CH_RUN_ENDED : CH_RUN_CRASHED;
        bed->grace_us = 100 * MS;
        if (in != STOPPED)
            ch_supervisor_set_users(&bed->supervisor, 1);
        if (in == LINGERING || in == STOPPING) {
            run_until_state(bed, RUNNING);
            ch_supervisor_set_users(&bed->supervisor, 0);
        }
        run_until_state(bed, in);
        int pid = ch_child_pid(&bed->supervisor.child);
        unsigned ended = bed->ended;
        ch_supervisor_close(&bed->supervisor, i % 2, take_closed);
        ch_supervisor_set_users(&bed->supervisor, 5);
        ch_supervisor_progress(&bed->supervisor);
        ch_supervisor_fail(&bed->supervisor);
        ch_supervisor_close(&bed->supervisor, true, take_closed);
        assert_int_equal(bed->closed, 0);
        run_until(bed, &bed->closed, 1);
        assert_int_equal(bed->ended, ended);
        assert_false(pid && alive(pid));
        take_over(bed);
    }
}

static void test_close_gently_lets_it_end(void **state)
{
    (void)state;
    char path[] = "/tmp/camhub-supervisor-XXXXXX", script[200];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(script, sizeof script, "trap 'echo orderly > %s; exit 0' TERM; echo x; while :; do sleep 0.05; done",
             path);
    struct bed *bed = bed_new(&brisk, script);
    bed->progress_on_output = true;
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, RUNNING);
    ch_child_pause(&bed->supervisor.child);
    close_gently(bed);
    take_over(bed);
    char text[16] = "";
    assert_int_equal(read(fd, text, sizeof text - 1), 8);
    assert_string_equal(text, "orderly\n");
    close(fd);
    unlink(path);
    // Not so gently any more
    bed = bed_new(&brisk, DEAF);
    bed->progress_on_output = true;
    bed->grace_us = 60000 * MS; // longer than this test waits
    ch_supervisor_set_users(&bed->supervisor, 1);
    run_until_state(bed, RUNNING);
    close_gently(bed);
    run_for_ms(bed, 50);
    assert_int_equal(bed->closed, 0);
    ch_supervisor_close(&bed->supervisor, false, take_closed);
    ch_supervisor_close(&bed->supervisor, false, take_closed);
    take_over(bed);
}

static void test_close_in_every_callback(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 18; i++) {
        void (*act)(struct bed * bed) = i % 2 ? close_gently : close_now;
        struct bed *bed = bed_new(&brisk, "echo x; exit 1");
        bed->progress_on_output = true;
        bed->prepare_fails = i / 2 == 5 ? -ENOMEM : 0;
        if (i / 2 == 6 || i / 2 == 7) {
            bed->script = NULL;
            bed->command = "camhub-no-such-command";
        }
        bed->on_prepare = i / 2 == 0 ? act : NULL;
        bed->on_started = i / 2 == 1 ? act : NULL;
        bed->on_output = i / 2 == 2 ? act : NULL;
        bed->on_ended = i / 2 == 3 || i / 2 == 5 || i / 2 == 6 ? act : NULL;
        bed->on_changed = i / 2 == 4 || i / 2 == 7 ? act : NULL;
        ch_supervisor_set_users(&bed->supervisor, 1);
        if (i / 2 == 8) { // in a change that somebody's leaving makes
            bed->on_changed = act;
            ch_supervisor_set_users(&bed->supervisor, 0);
        }
        run_until(bed, &bed->closed, 1);
        take_over(bed);
    }
}

static void close_in(struct bed *bed)
{
    if (bed->supervisor.state == bed->close_in)
        close_now(bed);
}

static void test_close_in_every_change(void **state)
{
    (void)state;
    for (unsigned in = STOPPED; in <= ENDED; in++) {
        struct ch_supervisor_policy policy = brisk;
        policy.crash_threshold = in == GIVEN_UP ? 1 : 3;
        struct bed *bed = bed_new(&policy, in == WAITING || in == GIVEN_UP || in == ENDED ? "exit 1" : TALKER);
        bed->progress_on_output = true;
        bed->verdict = in == ENDED ? CH_RUN_ENDED : CH_RUN_CRASHED;
        bed->close_in = (enum ch_supervisor_state)in;
        bed->on_changed = close_in;
        ch_supervisor_set_users(&bed->supervisor, 1);
        if (in == STOPPED || in == LINGERING || in == STOPPING) {
            run_until_state(bed, RUNNING);
            ch_supervisor_set_users(&bed->supervisor, 0);
        }
        take_over(bed);
    }
}

// --- bad ffmpegs ------------------------------------------------------------------------------

// This file's folder may be given relative to the build folder, in which this program is in `tests`.
static const char *fake_ffmpeg(void)
{
    static char path[3 * PATH_MAX];
    char self[PATH_MAX], source[] = __FILE__;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    *strrchr(self, '/') = *strrchr(source, '/') = '\0';
    snprintf(path, sizeof path, "%s%s%s/../tools/fakeffmpeg/ffmpeg", source[0] == '/' ? "" : self,
             source[0] == '/' ? "" : "/../", source);
    assert_int_equal(access(path, X_OK), 0);
    return path;
}

static struct bed *bed_of_fake(const struct ch_supervisor_policy *policy, const char *mode)
{
    struct bed *bed = bed_new(policy, NULL);
    setenv("FAKE", mode, 1);
    bed->command = fake_ffmpeg();
    bed->helper = CH_CHILD_HELPER;
    bed->address_space_bytes = UINT64_C(1) << 30;
    return bed;
}

// How many processes are in a group; those that have ended and were not reaped by whoever adopted them are none.
static unsigned group_size(int group)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int pid = atoi(entry->d_name);
        count += pid > 0 && getpgid(pid) == group && alive(pid);
    }
    closedir(folder);
    return count;
}

static void check_group_is_gone(int group)
{
    for (unsigned i = 0; group_size(group) > 0 && i < 1000; i++)
        usleep(10000);
    assert_int_equal(group_size(group), 0);
}

static void test_fakes_that_end(void **state)
{
    (void)state;
    static const struct {
        const char *mode;
        int status, signal;
        size_t output_bytes;
        const char *said;
    } cases[] = {
        {"crash", 0, SIGSEGV, 0, ""},
        {"exit1", 1, 0, 0, "Invalid data found when processing input"},
        {"eatmem", 1, 0, 0, "MemoryError"},
        {"die-late", 0, SIGSEGV, 0, ""},
        {"garbage", 0, 0, 1000000, ""},
        {"half", 0, 0, 5000, ""},
        {"no such mode", 2, 0, 0, "no such mode: no such mode"},
    };
    setenv("FAKE_SRC", "/proc/self/exe", 1); // more than 5000 bytes
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bed *bed = bed_of_fake(&brisk, cases[i].mode);
        char said[200];
        ch_supervisor_set_users(&bed->supervisor, 1);
        run_until_state(bed, WAITING);
        assert_int_equal(bed->how.status, cases[i].status);
        assert_int_equal(bed->how.signal, cases[i].signal);
        assert_int_equal(bed->output_bytes, cases[i].output_bytes);
        ch_child_last_error(&bed->supervisor.child, said, sizeof said);
        if (cases[i].said[0])
            assert_string_equal(said, cases[i].said);
        assert_false(bed->how.stopped || bed->stalled || bed->told);
        bed_free(bed);
    }
    unsetenv("FAKE_SRC");
}

static void test_fakes_that_do_not_end(void **state)
{
    (void)state;
    static const struct {
        const char *mode;
        int signal;
    } cases[] = {{"hang", SIGTERM},     {"hardhang", SIGKILL}, {"flood", SIGTERM},
                 {"floodout", SIGTERM}, {"spawn", SIGTERM},    {"closestdin", SIGTERM}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ch_supervisor_policy policy = brisk;
        policy.stall_us = 700 * MS;
        struct bed *bed = bed_of_fake(&policy, cases[i].mode);
        bed->grace_us = cases[i].signal == SIGKILL ? 50 * MS : 10000 * MS;
        ch_supervisor_set_users(&bed->supervisor, 1);
        int pid = ch_child_pid(&bed->supervisor.child);
        run_until_state(bed, STOPPING);
        run_until_state(bed, WAITING);
        assert_true(bed->stalled);
        assert_int_equal(bed->how.signal, cases[i].signal);
        assert_true(strcmp(cases[i].mode, "floodout") != 0 || bed->output_bytes > 0);
        bed_free(bed);
        check_group_is_gone(pid);
    }
}

static void test_fake_grandchildren(void **state)
{
    (void)state;
    struct bed *bed = bed_of_fake(&brisk, "spawn");
    ch_supervisor_set_users(&bed->supervisor, 1);
    int pid = ch_child_pid(&bed->supervisor.child);
    for (unsigned i = 0; group_size(pid) < 51 && i < 1000; i++)
        run_for_ms(bed, 20);
    assert_int_equal(group_size(pid), 51);
    bed_free(bed); // killed, not stopped
    check_group_is_gone(pid);
}

static void test_fakes_that_are_fed(void **state)
{
    (void)state;
    static char block[1000000];
    struct bed *bed = bed_of_fake(&brisk, "slow");
    bed->feed = true;
    ch_supervisor_set_users(&bed->supervisor, 1);
    assert_int_equal(ch_child_write(&bed->supervisor.child, block, sizeof block), 0);
    run_for_ms(bed, 300);
    assert_true(ch_child_unwritten(&bed->supervisor.child) > 0);
    assert_int_equal(bed->fed, 0);
    ch_supervisor_set_users(&bed->supervisor, 0);
    run_until_state(bed, STOPPED);
    assert_true(bed->told);
    bed_free(bed);
    // It closes its end: what is written fails, and the run goes on until somebody says otherwise.
    bed = bed_of_fake(&brisk, "closestdin");
    bed->feed = true;
    ch_supervisor_set_users(&bed->supervisor, 1);
    int rc = 0;
    for (unsigned i = 0; i < 1000 && rc == 0; i++) {
        rc = ch_child_write(&bed->supervisor.child, block, 1000);
        run_for_ms(bed, 10);
    }
    assert_int_equal(rc, -EPIPE);
    assert_int_equal(bed->supervisor.state, STARTING);
    ch_supervisor_fail(&bed->supervisor);
    run_until_state(bed, WAITING);
    assert_true(bed->failed);
    bed_free(bed);
}

static void test_fakes_that_play(void **state)
{
    (void)state;
    // A header, and three tags: at 0, 100 and 200 ms.
    static const unsigned char flv[] = {'F', 'L', 'V', 1,   1, 0, 0, 0,  9, 0,   0, 0, 0, 9, 0,   0, 1, 0, 0, 0,   0,
                                        0,   0,   0,   'a', 0, 0, 0, 12, 9, 0,   0, 1, 0, 0, 100, 0, 0, 0, 0, 'b', 0,
                                        0,   0,   12,  9,   0, 0, 1, 0,  0, 200, 0, 0, 0, 0, 'c', 0, 0, 0, 12};
    char path[] = "/tmp/camhub-supervisor-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, flv, sizeof flv), sizeof flv);
    close(fd);
    setenv("FAKE_SRC", path, 1);
    setenv("FAKE_SECONDS", "1", 1);
    static const char *const modes[] = {"flv", "slowstart", "old", "flvcrash"};
    for (unsigned i = 0; i < 4; i++) {
        struct bed *bed = bed_of_fake(&brisk, modes[i]);
        bed->progress_on_output = true;
        ch_supervisor_set_users(&bed->supervisor, 1);
        run_until_state(bed, RUNNING);
        while (bed->output_bytes < sizeof flv)
            run_for_ms(bed, 20);
        run_for_ms(bed, 100);
        assert_int_equal(bed->output_bytes, sizeof flv);
        if (i == 3) {
            run_until_state(bed, WAITING);
            assert_int_equal(bed->how.signal, SIGSEGV);
        } else {
            assert_int_equal(bed->supervisor.state, RUNNING);
        }
        bed_free(bed);
    }
    unsetenv("FAKE_SRC");
    unsetenv("FAKE_SECONDS");
    unlink(path);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], CH_CHILD_HELPER_WORD) == 0)
        return ch_child_exec(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_in_every_state),    cmocka_unit_test(test_close_gently_lets_it_end),
        cmocka_unit_test(test_close_in_every_callback), cmocka_unit_test(test_close_in_every_change),
        cmocka_unit_test(test_fakes_that_end),          cmocka_unit_test(test_fakes_that_do_not_end),
        cmocka_unit_test(test_fake_grandchildren),      cmocka_unit_test(test_fakes_that_are_fed),
        cmocka_unit_test(test_fakes_that_play),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
