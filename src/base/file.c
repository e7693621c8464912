#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int ch_file_create(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

int64_t ch_file_read_some(int fd, void *data, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, (char *)data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (int64_t)done;
}

int ch_file_read_at(int fd, void *data, size_t size, uint64_t offset)
{
    int64_t n = ch_file_read_some(fd, data, size, offset);
    if (n < 0)
        return (int)n;
    return (size_t)n == size ? 0 : -ENODATA;
}

int ch_file_write_at(int fd, const void *data, size_t size, uint64_t offset)
{
    union {
        const void *in;
        void *out;
    } cast = {.in = data}; // iovec has no const form
    struct iovec iov = {.iov_base = cast.out, .iov_len = size};
    return ch_file_write_vectors_at(fd, &iov, 1, offset, NULL);
}

// Drops `n` written bytes from the front of the vectors.
static void advance(struct iovec **iov, size_t *count, size_t n)
{
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        ++*iov;
        --*count;
    }
    if (n > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

int ch_file_write_vectors_at(int fd, struct iovec *iov, size_t count, uint64_t offset, uint64_t *written)
{
    uint64_t done = 0;
    int rc = 0;
    advance(&iov, &count, 0);
    while (count > 0) {
        ssize_t n = pwritev(fd, iov, count > IOV_MAX ? IOV_MAX : (int)count, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rc = n < 0 ? -errno : -EIO;
            break;
        }
        done += (uint64_t)n;
        advance(&iov, &count, (size_t)n);
    }
    if (written)
        *written = done;
    return rc;
}

int ch_file_sync(int fd)
{
    return fdatasync(fd) ? -errno : 0;
}

int ch_file_sync_folder(int fd)
{
    return fsync(fd) ? -errno : 0;
}

int64_t ch_file_size(int fd)
{
    struct stat st;
    return fstat(fd, &st) ? -errno : (int64_t)st.st_size;
}

int ch_file_replace(int dir, const char *name, const void *data, size_t size)
{
    char temp[NAME_MAX + 1];
    if ((size_t)snprintf(temp, sizeof temp, "%s.tmp", name) >= sizeof temp)
        return -ENAMETOOLONG;
    int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int rc = ch_file_write_at(fd, data, size, 0);
    if (rc == 0)
        rc = ch_file_sync(fd);
    if (close(fd) && rc == 0)
        rc = -errno;
    if (rc == 0 && renameat(dir, temp, dir, name))
        rc = -errno;
    if (rc == 0)
        rc = ch_file_sync_folder(dir);
    else
        unlinkat(dir, temp, 0);
    return rc;
}

int ch_file_read_all(int dir, const char *name, size_t max, char **data, size_t *size)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int64_t bytes = ch_file_size(fd);
    int rc = bytes < 0 ? (int)bytes : (uint64_t)bytes > max ? -EFBIG : 0;
    char *buffer = rc == 0 ? malloc((size_t)bytes + 1) : NULL;
    if (rc == 0 && !buffer)
        rc = -ENOMEM;
    if (rc == 0)
        rc = ch_file_read_at(fd, buffer, (size_t)bytes, 0);
    close(fd);
    if (rc < 0) {
        free(buffer);
        return rc;
    }
    buffer[bytes] = '\0';
    *data = buffer;
    *size = (size_t)bytes;
    return 0;
}
