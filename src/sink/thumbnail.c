#include "sink/thumbnail.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int ch_thumbnail_copy(int dir, const char *name, uint64_t offset, uint32_t bytes)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    uint8_t *picture = malloc(bytes);
    int rc = picture ? ch_file_read_at(fd, picture, bytes, offset) : -ENOMEM;
    close(fd);
    if (rc == 0)
        rc = ch_file_replace(dir, "thumbnail.jpg", picture, bytes);
    free(picture);
    return rc;
}
