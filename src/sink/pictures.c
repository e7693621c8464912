#include "sink/pictures.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME_BYTES 48
#define TEMPORARY ".frame.tmp"

struct kept {
    char name[NAME_BYTES];
    int64_t changed_ns; // only while the folder is looked through
};

struct ch_pictures {
    int root;
    char *path; // of the ring, for log lines
    char folder[NAME_BYTES + 80];
    int dir;      // -1: not open
    bool failing; // it was said
    uint64_t lost;
    struct kept *kept; // oldest first
    size_t count, capacity;
};

struct ch_pictures *ch_pictures_open(int root, const char *root_path, const char *name)
{
    struct ch_pictures *pictures = calloc(1, sizeof *pictures);
    if (!pictures)
        return NULL;
    pictures->root = root;
    pictures->dir = -1;
    snprintf(pictures->folder, sizeof pictures->folder, CH_PICTURES_FOLDER "%s%s", name ? "/" : "", name ? name : "");
    if (asprintf(&pictures->path, "%s/%s", root_path, pictures->folder) < 0) {
        free(pictures);
        return NULL;
    }
    return pictures;
}

void ch_pictures_close(struct ch_pictures *pictures)
{
    if (!pictures)
        return;
    if (pictures->dir >= 0)
        close(pictures->dir);
    free(pictures->kept);
    free(pictures->path);
    free(pictures);
}

// --- what lies there ---

// "frame_", a time, "_", at least three digits, ".jpg": nothing else is ever deleted.
static bool is_ours(const char *name)
{
    struct tm tm;
    if (strlen(name) >= NAME_BYTES || strncmp(name, "frame_", 6) != 0)
        return false;
    const char *rest = strptime(name + 6, "%Y%m%d_%H%M%S_", &tm);
    if (!rest || rest - name != 22)
        return false;
    size_t digits = strspn(rest, "0123456789");
    return digits >= 3 && strcmp(rest + digits, ".jpg") == 0;
}

static int add_name(struct ch_pictures *pictures, const char *name, int64_t changed_ns)
{
    if (pictures->count == pictures->capacity) {
        size_t capacity = pictures->capacity ? pictures->capacity * 2 : CH_PICTURES_KEPT + 1;
        struct kept *kept = realloc(pictures->kept, capacity * sizeof *kept);
        if (!kept)
            return -ENOMEM;
        pictures->kept = kept;
        pictures->capacity = capacity;
    }
    struct kept *kept = &pictures->kept[pictures->count++];
    snprintf(kept->name, sizeof kept->name, "%s", name);
    kept->changed_ns = changed_ns;
    return 0;
}

// By when they were written; those of one moment by name, in which 1000 comes behind 999.
static int compare(const void *a, const void *b)
{
    const struct kept *left = a, *right = b;
    if (left->changed_ns != right->changed_ns)
        return left->changed_ns < right->changed_ns ? -1 : 1;
    return strverscmp(left->name, right->name);
}

static int look_through(struct ch_pictures *pictures)
{
    int copy = openat(pictures->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
    if (!entries) {
        int error = -errno;
        if (copy >= 0)
            close(copy);
        return error;
    }
    int rc = 0;
    pictures->count = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(entries));) {
        struct stat st;
        if (is_ours(entry->d_name) && fstatat(pictures->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            rc = add_name(pictures, entry->d_name, (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
    }
    closedir(entries);
    if (pictures->count > 0)
        qsort(pictures->kept, pictures->count, sizeof *pictures->kept, compare);
    return rc;
}

static int make_folder(int root, const char *path)
{
    return mkdirat(root, path, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

// The folder, made if need be. It may have been deleted since the last picture.
static int enter_folder(struct ch_pictures *pictures)
{
    struct stat st;
    if (pictures->dir >= 0 && fstat(pictures->dir, &st) == 0 && st.st_nlink > 0)
        return 0;
    if (pictures->dir >= 0)
        close(pictures->dir);
    pictures->dir = -1;
    int rc = make_folder(pictures->root, CH_PICTURES_FOLDER);
    if (rc == 0)
        rc = make_folder(pictures->root, pictures->folder);
    if (rc < 0)
        return rc;
    pictures->dir = openat(pictures->root, pictures->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (pictures->dir < 0)
        return -errno;
    rc = look_through(pictures);
    if (rc < 0) {
        close(pictures->dir);
        pictures->dir = -1;
    }
    return rc;
}

// --- one more ---

static void drop_first(struct ch_pictures *pictures, size_t count)
{
    pictures->count -= count;
    memmove(pictures->kept, pictures->kept + count, pictures->count * sizeof *pictures->kept);
}

// Room for one more. A file that is gone already is no error; one that cannot be deleted is forgotten.
static void make_room(struct ch_pictures *pictures)
{
    size_t gone = 0;
    for (; pictures->count - gone >= CH_PICTURES_KEPT; gone++)
        unlinkat(pictures->dir, pictures->kept[gone].name, 0);
    if (gone > 0)
        drop_first(pictures, gone);
}

static int write_file(const struct ch_pictures *pictures, const char *name, const void *jpeg, size_t size)
{
    int fd = openat(pictures->dir, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    int rc = ch_file_write_at(fd, jpeg, size, 0);
    if (close(fd) && rc == 0)
        rc = -errno;
    if (rc == 0 && renameat(pictures->dir, TEMPORARY, pictures->dir, name))
        rc = -errno;
    if (rc < 0)
        unlinkat(pictures->dir, TEMPORARY, 0);
    return rc;
}

// Two cameras of one ring may give a picture the same name: it is the newer one's then.
static void forget(struct ch_pictures *pictures, const char *name)
{
    for (size_t i = pictures->count; i-- > 0;)
        if (strcmp(pictures->kept[i].name, name) == 0) {
            memmove(&pictures->kept[i], &pictures->kept[i + 1], (pictures->count - i - 1) * sizeof *pictures->kept);
            pictures->count--;
        }
}

static int add(struct ch_pictures *pictures, const void *jpeg, size_t size, int64_t wall_us, uint32_t number)
{
    char stamp[CH_STAMP_BYTES], name[NAME_BYTES];
    int rc = enter_folder(pictures);
    if (rc < 0)
        return rc;
    ch_format_stamp(wall_us, stamp);
    snprintf(name, sizeof name, "frame_%s_%03u.jpg", stamp, number);
    forget(pictures, name);
    make_room(pictures);
    rc = write_file(pictures, name, jpeg, size);
    return rc < 0 ? rc : add_name(pictures, name, 0);
}

int ch_pictures_add(struct ch_pictures *pictures, const void *jpeg, size_t size, int64_t wall_us, uint32_t number)
{
    int rc = add(pictures, jpeg, size, wall_us, number);
    if (rc < 0) {
        pictures->lost++;
        if (!pictures->failing)
            ch_log_error("%s: pictures cannot be kept: %s (recordings are not concerned)", pictures->path,
                         strerror(-rc));
    } else if (pictures->failing) {
        ch_log_info("%s: pictures are kept again, %llu were left out", pictures->path,
                    (unsigned long long)pictures->lost);
        pictures->lost = 0;
    }
    pictures->failing = rc < 0;
    return rc;
}
