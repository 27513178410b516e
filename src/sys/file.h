/* file: files and directories with the care that durability asks for. All: 0 or -errno. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int file_read_all(const char *path, size_t max, struct buf *out); /* -EFBIG over max */
int file_read_fd(int fd, size_t max, struct buf *out);
int file_write_all(int fd, struct str s);
/* Writes path atomically and durably: temporary beside it, fsync, rename, fsync of the folder. */
int file_replace(const char *path, struct str content, mode_t mode);
int dir_sync(const char *path);
int dir_make(const char *path, mode_t mode); /* with parents; an existing directory is fine */
/* Exclusive lock on DIR/lock, held until *ret_fd is closed or the process ends; -EWOULDBLOCK
 * when somebody has it. */
int dir_lock(const char *dir, int *ret_fd);
uint64_t dir_space_free(const char *dir); /* octets free for us on its file system */
/* A memfd with this content, sealed against every change. Its fd, or -errno. */
int memfd_sealed(const char *name, struct str content);
/* Maps a sealed memfd read-only after checking its seals and size; unmap with memfd_unmap. */
int memfd_map(int fd, size_t max, struct str *ret);
void memfd_unmap(struct str map);
/* A memfd of that size, mapped here for writing and sealed so that nobody else ever can (and that
 * it keeps its size). Its fd, or -errno; memfd_window_unmap() ends the mapping. */
int memfd_window_new(const char *name, size_t size, unsigned char **ret);
/* The same, as it came from whoever made it: for reading, after its seals and size are checked.
 * It changes under us: what is looked at twice is copied first. */
int memfd_window_map(int fd, size_t size, const unsigned char **ret);
void memfd_window_unmap(const unsigned char *map, size_t size);
