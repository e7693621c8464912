// The pictures of an MJPEG file or of a folder of JPEGs.
#include "cli/push_file.h"

#include "base/file.h"
#include "base/limits.h"
#include "codec/jpeg.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)1 << 20)

static bool has_ending(const char *name, const char *ending)
{
    const char *dot = strrchr(name, '.');
    return dot && strcasecmp(dot, ending) == 0;
}

bool ch_push_file_is_jpegs(const char *path)
{
    uint8_t head[3];
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    if (has_ending(path, ".mjpeg") || has_ending(path, ".mjpg"))
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    int64_t n = ch_file_read_some(fd, head, sizeof head, 0);
    close(fd);
    return n == sizeof head && ch_jpeg_find(head, sizeof head, 0) == 0;
}

static int add_picture(struct ch_push_file *file, uint64_t offset, const struct ch_jpeg *jpeg)
{
    if (file->pictures == UINT32_MAX || jpeg->bytes > CH_LIMIT_MESSAGE_BYTES_MAX)
        return -EFBIG;
    if (file->count == file->room) {
        size_t room = file->room ? 2 * file->room : 256;
        struct ch_push_unit *grown = reallocarray(file->units, room, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        file->units = grown;
        file->room = room;
    }
    if (file->count == 0) {
        file->width = jpeg->width;
        file->height = jpeg->height;
    }
    file->units[file->count++] = (struct ch_push_unit){.offset = offset,
                                                       .bytes = (uint32_t)jpeg->bytes,
                                                       .decoded = file->pictures,
                                                       .shown = file->pictures,
                                                       .picture = true};
    file->pictures++;
    return 0;
}

// --- a file -----------------------------------------------------------------------------------------

// The part of the file that is being looked through: [at, used) lies at `offset` in the file.
struct window {
    uint8_t *data; // owned
    size_t at, used, room;
    uint64_t offset;
    bool end;
};

// Twice as much each time that a picture is not whole yet: what is looked at again stays in proportion.
static int refill(struct window *window, int fd)
{
    if (window->at > 0)
        memmove(window->data, window->data + window->at, window->used - window->at);
    window->used -= window->at;
    window->at = 0;
    size_t wanted = 2 * window->used > READ_BYTES ? 2 * window->used : READ_BYTES;
    if (wanted > 2 * (size_t)CH_LIMIT_MESSAGE_BYTES_MAX)
        return -EFBIG;
    if (wanted > window->room) {
        uint8_t *grown = realloc(window->data, wanted);
        if (!grown)
            return -ENOMEM;
        window->data = grown;
        window->room = wanted;
    }
    int64_t n =
        ch_file_read_some(fd, window->data + window->used, wanted - window->used, window->offset + window->used);
    if (n < 0)
        return (int)n;
    window->end = n < (int64_t)(wanted - window->used);
    window->used += (size_t)n;
    return 0;
}

static void pass(struct window *window, size_t bytes)
{
    window->at += bytes;
    window->offset += bytes;
}

// Takes the pictures of the window until more bytes are needed. 1 at the end of the file, 0, or a negative errno.
static int split(struct ch_push_file *file, struct window *window)
{
    for (;;) {
        const uint8_t *data = window->data + window->at;
        size_t left = window->used - window->at, begin = ch_jpeg_find(data, left, 0);
        struct ch_jpeg jpeg;
        // The start of a picture may be cut in its three bytes.
        pass(window, begin < left || window->end ? begin : left - (left < 2 ? left : 2));
        if (begin == left)
            return window->end;
        int rc = ch_jpeg_parse(data + begin, left - begin, &jpeg);
        if (rc == -ENODATA && !window->end)
            return 0;
        if (rc == 0 && (rc = add_picture(file, window->offset, &jpeg)) < 0)
            return rc;
        pass(window, rc == 0 ? jpeg.bytes : 2);
    }
}

static int index_file(struct ch_push_file *file)
{
    struct window window = {.data = NULL};
    int rc = 0;
    while (rc == 0) {
        rc = refill(&window, file->fd);
        if (rc == 0)
            rc = split(file, &window);
    }
    free(window.data);
    return rc < 0 ? rc : 0;
}

// --- a folder ---------------------------------------------------------------------------------------

static int is_picture_name(const struct dirent *entry)
{
    return has_ending(entry->d_name, ".jpg") || has_ending(entry->d_name, ".jpeg");
}

static int read_whole(int fd, uint8_t **out, size_t *size)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EBADMSG;
    if (st.st_size > CH_LIMIT_MESSAGE_BYTES_MAX)
        return -EFBIG;
    *size = (size_t)st.st_size;
    *out = malloc(*size + 1);
    return *out ? ch_file_read_at(fd, *out, *size, 0) : -ENOMEM;
}

static int add_file(struct ch_push_file *file, const char *name)
{
    int fd = openat(file->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    uint8_t *data = NULL;
    size_t size = 0;
    struct ch_jpeg jpeg;
    int rc = read_whole(fd, &data, &size);
    if (rc == 0)
        rc = ch_jpeg_parse(data, size, &jpeg) == 0 ? add_picture(file, 0, &jpeg) : -EBADMSG;
    free(data);
    close(fd);
    return rc;
}

static int index_folder(struct ch_push_file *file, const char *path, char *culprit, size_t room)
{
    struct dirent **entries;
    int found = scandir(path, &entries, is_picture_name, versionsort), rc = 0;
    if (found < 0)
        return -errno;
    file->names = calloc((size_t)found + 1, sizeof *file->names);
    if (!file->names)
        rc = -ENOMEM;
    for (int i = 0; i < found; i++) {
        if (rc == 0) {
            rc = add_file(file, entries[i]->d_name);
            if (rc < 0)
                snprintf(culprit, room, "%s", entries[i]->d_name);
            else if (!(file->names[i] = strdup(entries[i]->d_name)))
                rc = -ENOMEM;
        }
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int ch_push_file_open_jpegs(struct ch_push_file *file, const char *path, char *culprit, size_t room)
{
    memset(file, 0, sizeof *file);
    file->jpegs = true;
    snprintf(culprit, room, "%s", path);
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file->fd < 0)
        return -errno;
    struct stat st;
    int rc = fstat(file->fd, &st) < 0 ? -errno : 0;
    if (rc == 0)
        rc = S_ISDIR(st.st_mode) ? index_folder(file, path, culprit, room) : index_file(file);
    if (rc == 0 && file->count == 0)
        rc = -ENODATA;
    if (rc < 0)
        ch_push_file_close(file);
    return rc;
}
