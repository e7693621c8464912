// A session's folder is deleted under another name, which no session and nothing else of ours has: those of sessions
// end with a digit, this one with '~'. So what is found under such a name was meant to go, whenever the hub ended.
#include "sink/catalogue_internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX ".deleted-"
#define SUFFIX "~"
#define NAME_BYTES (CH_SESSION_ID_BYTES + sizeof PREFIX SUFFIX)

static void hidden_name(const char *id, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, PREFIX "%s" SUFFIX, id);
}

// The id of a hidden name, or false.
static bool read_hidden_name(const char *name, char id[CH_SESSION_ID_BYTES])
{
    size_t size = strlen(name), around = sizeof PREFIX SUFFIX - 1;
    if (size <= around || size - around >= CH_SESSION_ID_BYTES || strncmp(name, PREFIX, sizeof PREFIX - 1) != 0 ||
        name[size - 1] != SUFFIX[0])
        return false;
    memcpy(id, name + sizeof PREFIX - 1, size - around);
    id[size - around] = '\0';
    return ch_catalogue_id_valid(id);
}

// --- files ---

static int clear_folder(int dir, dev_t device, bool inner);

// A folder in the session's folder, with its files; not one that another file system is mounted on. 1 or an error.
static int delete_inner(int dir, const char *name, dev_t device)
{
    int inner = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0)
        return -errno;
    struct stat st;
    int rc = fstat(inner, &st) < 0 ? -errno : st.st_dev != device ? -ENOTEMPTY : clear_folder(inner, device, true);
    close(inner);
    if (rc == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
        rc = -errno;
    return rc < 0 ? rc : 1;
}

// 1, 0 if it has gone by itself, or why it is left.
static int delete_entry(int dir, const char *name, dev_t device, bool inner)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISREG(st.st_mode))
        return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 1;
    if (S_ISDIR(st.st_mode) && !inner)
        return delete_inner(dir, name, device);
    return -ENOTEMPTY;
}

// One walk through a folder. How many entries it deleted; *error is what was wrong with the first of the others.
static int clear_once(int dir, dev_t device, bool inner, int *error)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), deleted = 0;
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    *error = folder ? 0 : -errno;
    if (!folder && fd >= 0)
        close(fd);
    if (!folder)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int rc = delete_entry(dir, entry->d_name, device, inner);
        deleted += rc > 0;
        if (rc < 0 && *error == 0)
            *error = rc;
    }
    closedir(folder);
    return deleted;
}

// Deletes all that may be deleted. A walk may miss names while others go, so there is another one as long as that
// helps. 0, or why something is left.
static int clear_folder(int dir, dev_t device, bool inner)
{
    int error;
    while (clear_once(dir, device, inner, &error) > 0)
        ;
    return error;
}

// --- folders ---

// The folder, locked as a recording and its recovery lock it; or -ENOENT, -EBUSY ...
static int open_locked(int root, const char *name, struct stat *st)
{
    int dir = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOTDIR || errno == ELOOP ? -ENOENT : -errno;
    struct stat now;
    int rc = 0;
    if (flock(dir, LOCK_EX | LOCK_NB) < 0)
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
    else if (fstat(dir, st) < 0 || fstatat(root, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
        rc = -errno;
    else if (now.st_ino != st->st_ino || now.st_dev != st->st_dev) // renamed before the lock was had
        rc = -ENOENT;
    if (rc < 0)
        close(dir);
    return rc < 0 ? rc : dir;
}

// 0, or -EEXIST if the new name is taken. (Not every file system has the flag.)
static int rename_free(int root, const char *from, const char *to)
{
    struct stat st;
    if (renameat2(root, from, root, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (fstatat(root, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    return renameat(root, from, root, to) < 0 ? -errno : 0;
}

// Clears the folder under its hidden name and removes it; gives what is left its own name again.
static int finish(int root, int dir, dev_t device, const char *hidden, const char *id)
{
    int rc = clear_folder(dir, device, false);
    if (rc == 0 && unlinkat(root, hidden, AT_REMOVEDIR) < 0)
        rc = -errno;
    if (rc < 0)
        rename_free(root, hidden, id); // if that is taken, hidden it stays
    int synced = ch_file_sync_folder(root);
    return rc < 0 ? rc : synced;
}

int ch_catalogue_delete_folder(int root, const char *id)
{
    struct stat st;
    char hidden[NAME_BYTES];
    if (!ch_catalogue_id_valid(id))
        return -ENOENT;
    int dir = open_locked(root, id, &st), rc = dir < 0 ? dir : 0;
    if (dir < 0)
        return rc;
    hidden_name(id, hidden);
    if (!ch_catalogue_is_session(dir))
        rc = -ENOENT;
    else
        rc = rename_free(root, id, hidden);
    // What an earlier deletion had to leave under that name.
    if (rc == -EEXIST && (rc = ch_catalogue_delete_leftover(root, hidden)) >= 0)
        rc = rename_free(root, id, hidden);
    if (rc == 0) {
        rc = ch_file_sync_folder(root);
        if (rc < 0)
            rename_free(root, hidden, id);
    }
    if (rc == 0)
        rc = finish(root, dir, st.st_dev, hidden, id);
    close(dir);
    return rc;
}

int ch_catalogue_delete_leftover(int root, const char *name)
{
    struct stat st;
    char id[CH_SESSION_ID_BYTES];
    if (!read_hidden_name(name, id))
        return 0;
    int dir = open_locked(root, name, &st);
    if (dir < 0)
        return dir == -ENOENT || dir == -EBUSY ? 0 : dir;
    int rc = finish(root, dir, st.st_dev, name, id);
    close(dir);
    return rc < 0 ? rc : 1;
}
