// Durable files: whole writes, checked syncs, folders synced when their entries change.
// Everything here may block and belongs on a disk thread, never on the loop.
#ifndef CH_BASE_FILE_H
#define CH_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

// All return 0 (or a descriptor) or a negative errno.

// Makes a new file (fails with -EEXIST if the name is taken), read and write, close-on-exec.
int ch_file_create(int dir, const char *name);
// Reads exactly `size` bytes at `offset`; -ENODATA if the file is shorter.
int ch_file_read_at(int fd, void *data, size_t size, uint64_t offset);
// Reads up to `size` bytes; fewer only at the end of the file. Bytes read.
int64_t ch_file_read_some(int fd, void *data, size_t size, uint64_t offset);
int ch_file_write_at(int fd, const void *data, size_t size, uint64_t offset);
// Writes all vectors at `offset`, in as few calls as the kernel allows. `iov` is used up.
// *written (may be NULL) tells how much of it is in the file, on failure too.
int ch_file_write_vectors_at(int fd, struct iovec *iov, size_t count, uint64_t offset, uint64_t *written);
int ch_file_sync(int fd);        // fdatasync
int ch_file_sync_folder(int fd); // fsync
int64_t ch_file_size(int fd);

// Replaces `name` in one step: writes `name`.tmp, syncs it, renames it over, syncs the folder.
int ch_file_replace(int dir, const char *name, const void *data, size_t size);
// Reads a whole file of at most `max` bytes into memory owned by the caller (with a zero behind it).
int ch_file_read_all(int dir, const char *name, size_t max, char **data, size_t *size);

#endif
