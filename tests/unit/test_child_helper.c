// What a child is given, and what not: limits, descriptors, environment, signals, its words and who sees them; and
// that it goes when we are killed. The program also plays its own helper, a child that tells what it has, and the
// parent that gets killed.
#include "child_run.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

// Limits, both with and without the helper (without it they come a moment after the start).
static void check_limits(const char *helper)
{
    struct run *run = run_new();
    struct ch_child_options options = {
        .helper = helper, .nice = CH_CHILD_NICE, .open_files = 77, .address_space_bytes = UINT64_C(1) << 30};
    struct rlimit core = {0};
    getrlimit(RLIMIT_CORE, &core);
    core.rlim_cur = core.rlim_max;
    setrlimit(RLIMIT_CORE, &core);
    assert_int_equal(start(run, options, "sleep 0.2; ulimit -n; ulimit -v; nice; ulimit -c; ulimit -H -c"), 0);
    run_until(run, &run->ended, 1);
    assert_string_equal(run->output, "77\n1048576\n5\n0\n0\n");
    run_free(run);
}

static void test_limits(void **state)
{
    (void)state;
    check_limits(CH_CHILD_HELPER);
    check_limits(NULL);
}

static void test_descriptors(void **state)
{
    (void)state;
    struct run *run = run_new();
    int fd = open("/dev/null", O_RDWR); // on purpose without O_CLOEXEC
    assert_true(fd > 2);
    char script[128];
    snprintf(script, sizeof script, "[ -e /proc/$$/fd/%d ] && echo open || echo closed", fd);
    assert_int_equal(start(run, (struct ch_child_options){.helper = CH_CHILD_HELPER}, script), 0);
    run_until(run, &run->ended, 1);
    assert_string_equal(run->output, "closed\n");
    run->output_bytes = 0;
    assert_int_equal(start(run, (struct ch_child_options){0}, script), 0);
    run_until(run, &run->ended, 2);
    assert_string_equal(run->output, "open\n");
    close(fd);
    run_free(run);
}

// This program as a child that tells what it was given.
static int play_teller(void)
{
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("%d ", fd);
    for (char **entry = environ; *entry; entry++)
        printf("\n%s", *entry);
    printf("\n");
    char line[200];
    for (FILE *file = fopen("/proc/self/status", "re"); file && fgets(line, sizeof line, file);)
        if (strncmp(line, "Sig", 3) == 0)
            printf("%s", line);
    return 0;
}

static void find_self(char path[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
    assert_true(n > 0);
    path[n] = '\0';
}

// What our own process leaves to a child: only three descriptors, no setting of ours, no signal ignored or blocked.
static void check_inheritance(const char *helper)
{
    struct run *run = run_new();
    char self[PATH_MAX];
    find_self(self);
    struct ch_child_options options = {.argv = (const char *const[]){self, "play-teller", NULL}, .helper = helper};
    assert_int_equal(ch_child_start(&run->child, &options), 0);
    run_until(run, &run->ended, 1);
    assert_null(strstr(run->output, "\nCAMHUB_"));
    assert_null(strstr(run->output, "\nFFMPEG_BIN"));
    assert_null(strstr(run->output, "s3cret"));
    assert_non_null(strstr(run->output, "\nXAUTHORITY=/x/y\n"));
    assert_non_null(strstr(run->output, "\nNOT_CAMHUB_X=kept\n"));
    assert_non_null(strstr(run->output, "\nPATH="));
    assert_non_null(strstr(run->output, "\nSigBlk:\t0000000000000000\n"));
    assert_non_null(strstr(run->output, "\nSigIgn:\t0000000000000000\n"));
    if (helper)
        assert_memory_equal(run->output, "0 1 2 \n", 7);
    run_free(run);
}

static void test_inheritance(void **state)
{
    (void)state;
    setenv("CAMHUB_AUTH_TOKEN", "s3cret", 1);
    setenv("CAMHUB_", "s3cret", 1);
    setenv("FFMPEG_BIN", "/x/ffmpeg", 1);
    setenv("NOT_CAMHUB_X", "kept", 1);
    setenv("XAUTHORITY", "/x/y", 1);
    sigset_t some, old;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, &old);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    int fds[40]; // on purpose without O_CLOEXEC
    for (unsigned i = 0; i < 40; i++)
        fds[i] = open("/dev/null", O_RDWR);
    check_inheritance(CH_CHILD_HELPER);
    check_inheritance(NULL);
    for (unsigned i = 0; i < 40; i++)
        close(fds[i]);
    signal(SIGUSR2, SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    unsetenv("CAMHUB_AUTH_TOKEN");
    unsetenv("CAMHUB_");
    unsetenv("FFMPEG_BIN");
}

// This program as a helper that shows its own title and environment instead of becoming the command.
static int play_mirror(void)
{
    char data[65536];
    static const char *const paths[] = {"/proc/self/cmdline", "/proc/self/environ"};
    for (unsigned i = 0; i < 2; i++) {
        FILE *file = fopen(paths[i], "re");
        if (!file)
            return 1;
        fwrite(data, 1, fread(data, 1, sizeof data, file), stdout);
        fclose(file);
    }
    return 0;
}

static void test_secrets_are_in_no_title_of_ours(void **state)
{
    (void)state;
    struct run *run = run_new();
    struct ch_child_options options = {.argv = (const char *const[]){"sleep", "1000", "rtsp://user:s3cret@host/", NULL},
                                       .helper = CH_CHILD_HELPER};
    setenv("PLAY_MIRROR", "1", 1);
    assert_int_equal(ch_child_start(&run->child, &options), 0);
    run_until(run, &run->ended, 1);
    unsetenv("PLAY_MIRROR");
    assert_true(run->output_bytes > 20);
    assert_string_equal(run->output, "camhub");
    assert_null(memmem(run->output, run->output_bytes, "s3cret", 6));
    assert_non_null(memmem(run->output, run->output_bytes, "child-exec", 10));

    // And from outside, from the moment of the start until it has become the command.
    unsigned helpers = 0;
    for (unsigned i = 0; i < 30; i++) {
        char path[64], title[4096];
        options.argv = (const char *const[]){"/bin/sh", "-c", "exec sleep 1000", "rtsp://user:s3cret@host/", NULL};
        assert_int_equal(ch_child_start(&run->child, &options), 0);
        snprintf(path, sizeof path, "/proc/%d/cmdline", ch_child_pid(&run->child));
        for (bool became = false; !became;) {
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            assert_true(fd >= 0);
            ssize_t n = read(fd, title, sizeof title - 1);
            close(fd);
            if (n <= 0)
                continue; // in the midst of an exec
            title[n] = '\0';
            became = strcmp(title, "/bin/sh") == 0 || strcmp(title, "sleep") == 0;
            assert_true(became || !memmem(title, (size_t)n, "s3cret", 6));
            helpers += strcmp(title, "camhub") == 0;
        }
        ch_child_stop(&run->child);
        run_until(run, &run->ended, i + 2);
    }
    assert_true(helpers > 0); // or this test has seen nothing
    run_free(run);
}

static void test_words_come_whole(void **state)
{
    (void)state;
    struct run *run = run_new();
    static char large[100000];
    memset(large, 'y', sizeof large - 1);
    const char *argv[2004] = {"/bin/sh",
                              "-c",
                              "printf '%s|' \"$#\" \"$1\" \"$2\" \"$3\"; printf %s \"$4\" | wc -c",
                              "sh",
                              "",
                              "two words",
                              "tab\t\"quote\" \xff",
                              large};
    for (unsigned i = 8; i < 2003; i++)
        argv[i] = "more";
    struct ch_child_options options = {.argv = argv, .helper = CH_CHILD_HELPER};
    assert_int_equal(ch_child_start(&run->child, &options), 0);
    run_until(run, &run->ended, 1);
    assert_string_equal(run->output, "1999||two words|tab\t\"quote\" \xff|99999\n");
    run_free(run);
}

// This program as a parent: starts a sleeper, prints its number, and waits to be killed.
static int play_parent(const char *helper)
{
    struct run *run = run_new();
    if (start(run, (struct ch_child_options){.helper = helper}, "echo $$; exec sleep 1000") != 0)
        return 1;
    while (run->output_bytes == 0)
        uv_run(&run->loop, UV_RUN_ONCE);
    printf("%s", run->output);
    fflush(stdout);
    for (;;)
        pause();
}

// The same, one further up: its child is such a parent, and prints the sleeper's number.
static int play_grandparent(void)
{
    struct run *run = run_new();
    char self[PATH_MAX];
    find_self(self);
    struct ch_child_options options = {.argv = (const char *const[]){self, "play-parent", NULL},
                                       .helper = CH_CHILD_HELPER};
    if (ch_child_start(&run->child, &options) != 0)
        return 1;
    while (!memchr(run->output, '\n', run->output_bytes))
        uv_run(&run->loop, UV_RUN_ONCE);
    printf("%s", run->output);
    fflush(stdout);
    for (;;)
        pause();
}

// Kills a parent of that kind; true if its child went with it.
static bool child_goes_with_parent(const char *kind, bool promised)
{
    struct run *run = run_new();
    char script[PATH_MAX + 64], self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    snprintf(script, sizeof script, "exec '%s' %s", self, kind);
    assert_int_equal(start(run, (struct ch_child_options){0}, script), 0);
    while (!memchr(run->output, '\n', run->output_bytes))
        uv_run(&run->loop, UV_RUN_ONCE);
    int pid = atoi(run->output);
    assert_true(alive(pid));
    kill(ch_child_pid(&run->child), SIGKILL);
    run_until(run, &run->ended, 1);
    bool gone = gone_within_ms(pid, promised ? 10000 : 500);
    kill(pid, SIGKILL);
    run_free(run);
    return gone;
}

static void test_dies_with_us(void **state)
{
    (void)state;
    assert_true(child_goes_with_parent("play-parent", true));
    assert_true(child_goes_with_parent("play-grandparent", true)); // a grandchild that was started through our helper
    assert_false(child_goes_with_parent("play-careless-parent", false));
}

static void test_helper_arguments(void **state)
{
    (void)state;
    struct run *run = run_new();
    static const char *const bad[] = {"",
                                      "--",
                                      "-- true",
                                      "--nice",
                                      "--nice 5",
                                      "--words",
                                      "--words 2",
                                      "--words 3",
                                      "--words 3 3</dev/null",
                                      "--words 3 3</dev/zero",
                                      "--words 3 --words x",
                                      "--words 99999999999",
                                      "--words 3 3</proc/self/cmdline",
                                      "--words 3 --nice x 3</etc/passwd",
                                      "--words 3 3</etc/passwd",
                                      "--words 3 --what 1 3</etc/passwd",
                                      "--words 3 --open-files -1 3</etc/passwd",
                                      "--words 3 3</"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        char script[PATH_MAX + 200], self[PATH_MAX];
        find_self(self);
        snprintf(script, sizeof script, "exec '%s' child-exec %s", self, bad[i]);
        assert_int_equal(start(run, (struct ch_child_options){0}, script), 0);
        run_until(run, &run->ended, i + 1);
        assert_int_equal(run->how.status, 2);
    }
    run_free(run);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "play-teller") == 0)
        return play_teller();
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], CH_CHILD_HELPER_WORD) == 0)
        return getenv("PLAY_MIRROR") ? play_mirror() : ch_child_exec(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "play-grandparent") == 0)
        return play_grandparent();
    if (argc > 1 && strcmp(argv[1], "play-parent") == 0)
        return play_parent(CH_CHILD_HELPER);
    if (argc > 1 && strcmp(argv[1], "play-careless-parent") == 0)
        return play_parent(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),           cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_inheritance),      cmocka_unit_test(test_secrets_are_in_no_title_of_ours),
        cmocka_unit_test(test_words_come_whole), cmocka_unit_test(test_dies_with_us),
        cmocka_unit_test(test_helper_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
