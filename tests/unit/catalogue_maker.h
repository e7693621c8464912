// A recordings folder for tests of the catalogue: sessions written as text, times set back, log lines counted.
#ifndef CH_TESTS_CATALOGUE_MAKER_H
#define CH_TESTS_CATALOGUE_MAKER_H

#include "unit.h"

#include "base/clock.h"
#include "base/log.h"
#include "sink/catalogue_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

struct yard {
    char path[64];
    int root;
    struct ch_catalogue *catalogue;
    unsigned warnings;
    char last_warning[512];
};

static struct yard yard;

static inline void count_warnings(void *context, const char *line)
{
    (void)context;
    if (getenv("CAMHUB_TEST_LOG"))
        fputs(line, stderr);
    if (!strstr(line, "[Warning]") && !strstr(line, "[Error]"))
        return;
    yard.warnings++;
    snprintf(yard.last_warning, sizeof yard.last_warning, "%s", line);
}

static inline int unlink_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void open_catalogue(void)
{
    assert_int_equal(ch_catalogue_open(&yard.catalogue, yard.root, yard.path), 0);
}

static inline void reopen_catalogue(void)
{
    ch_catalogue_close(&yard.catalogue);
    open_catalogue();
}

static inline int make_yard(void **state)
{
    (void)state;
    yard = (struct yard){.path = "/dev/shm/camhub-test-XXXXXX"};
    if (!mkdtemp(yard.path)) {
        strcpy(yard.path, "/tmp/camhub-test-XXXXXX");
        assert_non_null(mkdtemp(yard.path));
    }
    yard.root = open(yard.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(yard.root >= 0);
    ch_log_set_writer(count_warnings, NULL);
    open_catalogue();
    assert_int_equal(yard.warnings, 0);
    return 0;
}

static inline int remove_yard(void **state)
{
    (void)state;
    ch_catalogue_close(&yard.catalogue);
    close(yard.root);
    assert_int_equal(nftw(yard.path, unlink_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    ch_log_set_writer(NULL, NULL);
    return 0;
}

// --- files ----------------------------------------------------------------------------------------

static inline void write_file(const char *path, const void *data, size_t size)
{
    int fd = openat(yard.root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

// A file of a session, of so many bytes.
static inline void add_file(const char *id, const char *name, size_t bytes)
{
    char path[512], *data = calloc(1, bytes + 1);
    snprintf(path, sizeof path, "%s/%s", id, name);
    write_file(path, data, bytes);
    free(data);
}

static inline void add_report(const char *id, const char *report)
{
    char path[512];
    snprintf(path, sizeof path, "%s/session.json", id);
    write_file(path, report, strlen(report));
}

static inline void add_folder(const char *path)
{
    assert_true(mkdirat(yard.root, path, 0755) == 0 || errno == EEXIST);
}

static inline void remove_file(const char *id, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", id, name);
    assert_int_equal(unlinkat(yard.root, path, 0), 0);
}

static inline bool is_there(const char *path)
{
    struct stat st;
    return fstatat(yard.root, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void remove_all(const char *id)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", yard.path, id);
    assert_int_equal(nftw(path, unlink_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void set_time(const char *path, time_t s)
{
    struct timespec times[2] = {{.tv_sec = s}, {.tv_sec = s}};
    assert_int_equal(utimensat(yard.root, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

// As if the session had not been touched for long: `step` seconds later for every change.
static inline void settle(const char *id, time_t step)
{
    char path[512];
    snprintf(path, sizeof path, "%s/session.json", id);
    if (is_there(path))
        set_time(path, 1700000000 + step);
    set_time(id, 1700000000 + step);
}

#define FINISHED                                                                                                       \
    "{\"format\":1,\"id\":\"x\",\"state\":\"finished\",\"verdict\":\"gaps\",\"reason\":\"3 frames missing in 2.0 s\"," \
    "\"camera\":{\"name\":\"%s\",\"address\":\"192.0.2.1:40000\",\"device_model\":\"Pixel 7\"},"                       \
    "\"started\":\"2026-01-02T03:04:05.678Z\",\"ended\":\"2026-01-02T03:04:07.700Z\",\"duration\":2.0333,"             \
    "\"end_reason\":\"capture_stopped\","                                                                              \
    "\"files\":[{\"name\":\"stream.mp4\",\"kind\":\"mp4\",\"bytes\":5000,\"frames\":57,\"damaged\":false},"            \
    "{\"name\":\"stream.h264\",\"kind\":\"h264\",\"bytes\":4000,\"frames\":57,\"damaged\":false}],"                    \
    "\"counts\":{\"frames\":57,\"missing\":3,\"bytes\":4000}}"

#define RUNNING                                                                                                        \
    "{\"format\":1,\"id\":\"x\",\"state\":\"recording\",\"camera\":{\"name\":\"%s\",\"address\":\"192.0.2.1:40000\","  \
    "\"device_model\":null},\"started\":\"2026-01-02T03:04:05.678Z\",\"files\":[],\"index\":null}"

static inline void add_session(const char *id, const char *form, const char *camera)
{
    char report[2048];
    add_folder(id);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(report, sizeof report, form, camera);
#pragma GCC diagnostic pop
    add_report(id, report);
    add_file(id, "stream.mp4", 5000);
    add_file(id, "stream.h264", 4000);
    add_file(id, "frames.idx", 128);
}

// --- questions ------------------------------------------------------------------------------------

// A whole walk; what it changed.
static inline struct ch_catalogue_changes reconcile(int64_t budget_us)
{
    struct ch_catalogue_changes all = {0}, step;
    int rc;
    do {
        rc = ch_catalogue_reconcile(yard.catalogue, budget_us, &step);
        assert_true(rc >= 0);
        all.added += step.added;
        all.changed += step.changed;
        all.removed += step.removed;
        all.failed += step.failed;
    } while (rc > 0);
    return all;
}

static inline void assert_changes(struct ch_catalogue_changes changes, unsigned added, unsigned changed,
                                  unsigned removed)
{
    if (changes.added != added || changes.changed != changed || changes.removed != removed || changes.failed != 0)
        fail_msg("%u added, %u changed, %u removed, %u failed; expected %u, %u, %u", changes.added, changes.changed,
                 changes.removed, changes.failed, added, changed, removed);
}

static inline uint64_t total_of(const struct ch_catalogue_filter *filter)
{
    struct ch_recording_page page;
    assert_int_equal(ch_catalogue_list(yard.catalogue, filter, &page), 0);
    uint64_t total = page.total;
    ch_recording_page_deinit(&page);
    return total;
}

static inline uint64_t total(void)
{
    struct ch_catalogue_filter filter;
    ch_catalogue_filter_init(&filter);
    return total_of(&filter);
}

static inline bool in_list(const char *id)
{
    struct ch_recording recording;
    int rc = ch_catalogue_get(yard.catalogue, id, &recording);
    assert_true(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

static inline struct ch_recording recording_of(const char *id)
{
    struct ch_recording recording;
    assert_int_equal(ch_catalogue_update(yard.catalogue, id, &recording), 1);
    assert_string_equal(recording.id, id);
    return recording;
}

#endif
