// What the catalogue of recordings costs, with 100 sessions in it and with 100,000:
//
//   catalogue [--quick] [--rows N] [--tree N] [FOLDER]
//
// Works in a folder of its own in FOLDER ($TMPDIR, /tmp), and removes it. Prints a line per figure: its name,
// microseconds with 100 rows, microseconds with N rows (100,000), and the second over the first in percent. An answer
// is the list, its JSON and the text of that. Each figure is the median of 15. These rows are put in as the catalogue
// does it, but without folders.
//
// Then it makes N (5,000) folders of sessions and prints, in microseconds: bringing an empty list in line with them,
// the same when nothing has changed, and the longest of the steps of 20 ms in which this was done. --quick: 5,000 rows,
// 500 folders.
#include "sink/catalogue_internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL 100
#define ROUNDS 15
#define CAMERAS 40
#define FIRST_US INT64_C(1700000000000000)
#define STEP_US (300 * CH_US_PER_S) // a session every five minutes: 100,000 are a year
#define BUDGET_US 20000

static void fail(const char *what, int rc)
{
    fprintf(stderr, "catalogue: %s: %s\n", what, strerror(-rc));
    exit(1);
}

static uint32_t noise(void)
{
    static uint32_t seed = 1;
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

// --- lists ----------------------------------------------------------------------------------------

struct shelf {
    char path[4096];
    int root;
    unsigned rows;
    struct ch_catalogue *catalogue;
    char deep[CH_CATALOGUE_CURSOR_BYTES]; // cursor of a page far down
};

static void make_row(unsigned number, struct ch_catalogue_row *row)
{
    struct ch_recording *recording = &row->recording;
    char stamp[CH_STAMP_BYTES];
    memset(row, 0, sizeof *row);
    recording->started_us = FIRST_US + number * STEP_US + noise() % 1000 * 1000;
    recording->duration_us = noise() % 300 * CH_US_PER_S;
    recording->ended_us = recording->started_us + recording->duration_us;
    snprintf(recording->camera, sizeof recording->camera, "bench-cam-%02u", noise() % CAMERAS);
    ch_format_stamp(recording->started_us, stamp);
    snprintf(recording->id, sizeof recording->id, "%.80s_%s_%u", recording->camera, stamp, number);
    snprintf(row->model, sizeof row->model, "Google Pixel %u", noise() % 4 + 5);
    unsigned missing = noise() % 4 ? 0 : noise() % 50 + 1;
    recording->verdict = missing ? CH_RECORDING_GAPS : CH_RECORDING_COMPLETE;
    recording->missing = missing;
    recording->frames = noise() % 9000;
    if (missing)
        snprintf(recording->reason, sizeof recording->reason, "%u frames missing in %u min %u s", missing, noise() % 60,
                 noise() % 60);
    else
        snprintf(recording->reason, sizeof recording->reason, "all %u frames in %u min %u s",
                 (unsigned)recording->frames, noise() % 60, noise() % 60);
    recording->parts = 1;
    recording->bytes = recording->frames * 20000;
    recording->thumbnail = true;
}

// In an order that is not that of their starts, as a folder gives them.
static void fill(struct shelf *shelf)
{
    struct ch_catalogue_row row;
    for (unsigned i = 0; i < shelf->rows; i++) {
        if (i % 500 == 0 && ch_catalogue_begin(shelf->catalogue, true) < 0)
            fail("transaction", -EIO);
        make_row((unsigned)((uint64_t)i * 1000003 % shelf->rows), &row);
        int rc = ch_catalogue_put(shelf->catalogue, &row);
        if (rc < 0)
            fail("row", rc);
        if ((i % 500 == 499 || i + 1 == shelf->rows) && (rc = ch_catalogue_end(shelf->catalogue, 0)) < 0)
            fail("transaction", rc);
    }
    // As a walk over folders ends that found so many new ones.
    int rc;
    for (bool first = true; (rc = ch_catalogue_merge(shelf->catalogue, first)) > 0; first = false)
        ;
    if (rc < 0)
        fail("merge", rc);
}

static void open_shelf(struct shelf *shelf)
{
    int rc = ch_catalogue_open(&shelf->catalogue, shelf->root, shelf->path);
    if (rc < 0)
        fail(shelf->path, rc);
}

// The cursor of the page that begins behind about nine tenths of the list.
static void go_deep(struct shelf *shelf)
{
    struct ch_catalogue_filter filter;
    struct ch_recording_page page;
    ch_catalogue_filter_init(&filter);
    filter.to_us = FIRST_US + shelf->rows / 10 * STEP_US;
    filter.limit = 1;
    int rc = ch_catalogue_list(shelf->catalogue, &filter, &page);
    if (rc < 0 || !page.next[0])
        fail("deep page", rc < 0 ? rc : -ENODATA);
    strcpy(shelf->deep, page.next);
    ch_recording_page_deinit(&page);
}

static void make_shelf(struct shelf *shelf, const char *folder, unsigned rows)
{
    *shelf = (struct shelf){.rows = rows};
    snprintf(shelf->path, sizeof shelf->path, "%s/%u", folder, rows);
    if (mkdir(shelf->path, 0755) < 0)
        fail(shelf->path, -errno);
    shelf->root = open(shelf->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_shelf(shelf);
    int64_t begin = ch_clock_mono_us();
    fill(shelf);
    printf("# %u rows put in within %lld us\n", rows, (long long)(ch_clock_mono_us() - begin));
    go_deep(shelf);
}

// --- figures --------------------------------------------------------------------------------------

static int by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static int64_t median(int64_t figures[ROUNDS])
{
    qsort(figures, ROUNDS, sizeof *figures, by_size);
    return figures[ROUNDS / 2];
}

static void print(const char *name, int64_t small_us, int64_t large_us, uint64_t total)
{
    printf("%-44s %8lld %8lld %6lld %%  (%llu fit)\n", name, (long long)small_us, (long long)large_us,
           (long long)(large_us * 100 / (small_us > 0 ? small_us : 1)), (unsigned long long)total);
}

static int64_t time_open(struct shelf *shelf)
{
    int64_t figures[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        ch_catalogue_close(&shelf->catalogue);
        int64_t begin = ch_clock_mono_us();
        open_shelf(shelf);
        figures[i] = ch_clock_mono_us() - begin;
    }
    return median(figures);
}

static int64_t time_answer(struct shelf *shelf, const struct ch_catalogue_filter *filter, uint64_t *total)
{
    int64_t figures[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        struct ch_recording_page page;
        int64_t begin = ch_clock_mono_us();
        int rc = ch_catalogue_list(shelf->catalogue, filter, &page);
        json_t *json = rc == 0 ? ch_recording_page_to_json(&page) : NULL;
        char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
        figures[i] = ch_clock_mono_us() - begin;
        if (!text)
            fail("list", rc < 0 ? rc : -ENOMEM);
        *total = page.total;
        free(text);
        json_decref(json);
        ch_recording_page_deinit(&page);
    }
    return median(figures);
}

static void compare(struct shelf *small, struct shelf *large)
{
    static const struct {
        const char *name;
        struct ch_catalogue_filter filter; // what is 0 here is what filter_init says
        bool deep, ranged;
    } cases[] = {
        {.name = "everything"},
        {.name = "everything, 500 per page", .filter = {.limit = 500}},
        {.name = "everything, deep page", .deep = true},
        {.name = "time", .ranged = true},
        {.name = "camera", .filter = {.camera = "bench-cam-07"}},
        {.name = "verdict", .filter = {.verdict = CH_RECORDING_COMPLETE}},
        {.name = "camera, verdict, time",
         .ranged = true,
         .filter = {.camera = "bench-cam-07", .verdict = CH_RECORDING_COMPLETE}},
        {.name = "one word, all fit", .filter = {.words = "bench"}},
        {.name = "one word, all fit, deep page", .filter = {.words = "bench"}, .deep = true},
        {.name = "one letter, all fit", .filter = {.words = "b"}},
        {.name = "one digit, all fit", .filter = {.words = "2"}},
        {.name = "one word, few fit", .filter = {.words = "bench-cam-07_20231201"}},
        {.name = "no such word", .filter = {.words = "nothing"}},
        {.name = "three words, all fit", .filter = {.words = "bench frames google"}},
        {.name = "three words, verdict, time",
         .ranged = true,
         .filter = {.words = "bench frames google", .verdict = CH_RECORDING_COMPLETE}},
        {.name = "three words, camera, verdict, time",
         .ranged = true,
         .filter = {.words = "bench frames google", .camera = "bench-cam-07", .verdict = CH_RECORDING_COMPLETE}},
        {.name = "eight words, all fit", .filter = {.words = "bench cam google pixel frames in min s"}},
        {.name = "eight words, deep page", .filter = {.words = "bench cam google pixel frames in min s"}, .deep = true},
        {.name = "nine words, all fit", .filter = {.words = "bench cam google pixel frames in min s 20"}},
        {.name = "a whole reason", .filter = {.words = "12 frames missing in 12 min 30 s"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct shelf *shelves[] = {small, large};
        int64_t us[2];
        uint64_t total = 0;
        for (int s = 0; s < 2; s++) {
            struct ch_catalogue_filter filter;
            ch_catalogue_filter_init(&filter);
            filter.camera = cases[i].filter.camera;
            filter.words = cases[i].filter.words;
            if (cases[i].filter.verdict)
                filter.verdict = cases[i].filter.verdict;
            if (cases[i].filter.limit)
                filter.limit = cases[i].filter.limit;
            if (cases[i].ranged)
                filter.from_us = FIRST_US + 1;
            if (cases[i].deep)
                filter.cursor = shelves[s]->deep;
            us[s] = time_answer(shelves[s], &filter, &total);
        }
        print(cases[i].name, us[0], us[1], total);
    }
}

// --- folders --------------------------------------------------------------------------------------

static void write_file(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    size_t size = strlen(text);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size)
        fail(name, -errno);
    close(fd);
}

static void make_folder(int root, unsigned number)
{
    struct ch_catalogue_row row;
    char report[1024], started[CH_RFC3339_BYTES];
    make_row(number, &row);
    const struct ch_recording *recording = &row.recording;
    ch_format_rfc3339(recording->started_us, started);
    snprintf(report, sizeof report,
             "{\"format\":1,\"id\":\"%s\",\"state\":\"finished\",\"verdict\":\"%s\",\"reason\":\"%s\",\"camera\":"
             "{\"name\":\"%s\",\"address\":null,\"device_model\":\"%s\"},\"started\":\"%s\",\"ended\":\"%s\","
             "\"duration\":12.5,\"files\":[{\"name\":\"stream.mp4\",\"kind\":\"mp4\",\"bytes\":1,\"frames\":%u,"
             "\"damaged\":false}],\"counts\":{\"frames\":%u,\"missing\":%u}}",
             recording->id, ch_recording_verdict_name(recording->verdict), recording->reason, recording->camera,
             row.model, started, started, (unsigned)recording->frames, (unsigned)recording->frames,
             (unsigned)recording->missing);
    if (mkdirat(root, recording->id, 0755) < 0)
        fail(recording->id, -errno);
    int dir = openat(root, recording->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    write_file(dir, "session.json", report);
    write_file(dir, "stream.mp4", "x");
    // As if they were old: what is fresh is looked at twice.
    struct timespec times[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    if (futimens(dir, times) < 0 || utimensat(dir, "session.json", times, 0) < 0)
        fail(recording->id, -errno);
    close(dir);
}

static void walk(struct shelf *shelf, const char *name)
{
    int64_t begin = ch_clock_mono_us(), longest = 0, last = begin;
    unsigned steps = 0, changes = 0;
    int rc;
    do {
        struct ch_catalogue_changes step;
        rc = ch_catalogue_reconcile(shelf->catalogue, BUDGET_US, &step);
        int64_t now = ch_clock_mono_us();
        longest = now - last > longest ? now - last : longest;
        last = now;
        steps++;
        changes += step.added + step.changed + step.removed;
    } while (rc > 0);
    if (rc < 0)
        fail(name, rc);
    printf("%-44s %8s %8lld           (%u steps, the longest %lld us; %u changes)\n", name, "",
           (long long)(last - begin), steps, (long long)longest, changes);
}

static void measure_tree(const char *folder, unsigned count)
{
    struct shelf shelf = {.rows = count};
    snprintf(shelf.path, sizeof shelf.path, "%s/tree", folder);
    if (mkdir(shelf.path, 0755) < 0)
        fail(shelf.path, -errno);
    shelf.root = open(shelf.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < count; i++)
        make_folder(shelf.root, i);
    open_shelf(&shelf);
    walk(&shelf, "folders, all new");
    walk(&shelf, "folders, nothing changed");
    ch_catalogue_close(&shelf.catalogue);
    close(shelf.root);
}

// --- all of it ------------------------------------------------------------------------------------

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void measure_lists(const char *folder, unsigned rows)
{
    struct shelf small, large;
    make_shelf(&small, folder, SMALL);
    make_shelf(&large, folder, rows);
    printf("%-44s %8u %8u\n", "# microseconds with so many sessions", SMALL, rows);
    int64_t small_us = time_open(&small), large_us = time_open(&large);
    print("open", small_us, large_us, rows);
    compare(&small, &large);
    struct shelf *shelves[] = {&small, &large};
    for (int i = 0; i < 2; i++) {
        ch_catalogue_close(&shelves[i]->catalogue);
        close(shelves[i]->root);
    }
}

int main(int argc, char **argv)
{
    int64_t rows = 100000, tree = 5000;
    const char *place = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    for (int i = 1; i < argc; i++) {
        int64_t *value = strcmp(argv[i], "--rows") == 0 ? &rows : strcmp(argv[i], "--tree") == 0 ? &tree : NULL;
        if (strcmp(argv[i], "--quick") == 0) {
            rows = 5000;
            tree = 500;
        } else if (value ? !argv[++i] || ch_parse_int(argv[i], 200, 10000000, value) < 0 : argv[i][0] == '-') {
            fputs("usage: catalogue [--quick] [--rows N] [--tree N] [FOLDER]\n", stderr);
            return 2;
        } else if (!value) {
            place = argv[i];
        }
    }
    char folder[4000];
    snprintf(folder, sizeof folder, "%s/camhub-catalogue-XXXXXX", place);
    if (!mkdtemp(folder))
        fail(folder, -errno);
    measure_lists(folder, (unsigned)rows);
    measure_tree(folder, (unsigned)tree);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
