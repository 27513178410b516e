#include "sys/file.h"

#include "base/check.h"
#include "sys/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define READ_STEP (16u << 10)

static ssize_t
read_some(int fd, void *p, size_t n)
{
	ssize_t got;
	do
		got = read(fd, p, n);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

int
file_read_fd(int fd, size_t max, struct buf *out)
{
	size_t start = out->len;
	for (;;) {
		size_t room = MIN(max - (out->len - start), out->max - out->len);
		char probe;
		char *to = &probe;
		size_t n = 1;
		if (room > 0) {
			if (!buf_reserve(out, MIN(room, (size_t)READ_STEP)))
				return -ENOMEM;
			to = out->p + out->len;
			n = MIN(room, out->cap - out->len);
		}
		ssize_t got = read_some(fd, to, n);
		if (got == 0)
			return 0;
		if (got < 0 || room == 0) {
			buf_trunc(out, start);
			return got < 0 ? (int)got : -EFBIG;
		}
		out->len += (size_t)got;
	}
}

int
file_read_all(const char *path, size_t max, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	int r = file_read_fd(fd, max, out);
	close(fd);
	return r;
}

int
file_write_all(int fd, struct str s)
{
	while (s.len) {
		ssize_t put = write(fd, s.p, s.len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		if (put == 0)
			return -EIO;
		s = str_skip(s, (size_t)put);
	}
	return 0;
}

/* The directory of path, on the heap: "/a/b" -> "/a", "b" -> ".", "/b" -> "/". */
static char *
parent_of(const char *path)
{
	struct str s = str_of(path);
	while (s.len > 1 && s.p[s.len - 1] == '/')
		s.len--;
	size_t slash = str_rfind(s, '/');
	if (slash == s.len)
		return xstrdup(".");
	while (slash > 0 && s.p[slash - 1] == '/')
		slash--;
	return slash == 0 ? xstrdup("/") : str_dup(str_first(s, slash));
}

static int
parent_sync(const char *path)
{
	char *dir = parent_of(path);
	int r = dir_sync(dir);
	free(dir);
	return r;
}

static int
write_new(const char *path, struct str content, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = file_write_all(fd, content);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int
file_replace(const char *path, struct str content, mode_t mode)
{
	char *tmp = NULL;
	if (asprintf(&tmp, "%s.%016llx.tmp", path, (unsigned long long)random_u64()) < 0)
		return -ENOMEM;
	int r = write_new(tmp, content, mode);
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0 && r != -EEXIST)
		unlink(tmp);
	free(tmp);
	return r < 0 ? r : parent_sync(path);
}

int
dir_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int
make_one(const char *path, mode_t mode)
{
	if (mkdir(path, mode) == 0)
		return parent_sync(path);
	if (errno != EEXIST)
		return -errno;
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int
dir_make(const char *path, mode_t mode)
{
	if (path[0] == '\0')
		return -ENOENT;
	int r = make_one(path, mode);
	if (r != -ENOENT)
		return r;
	char *parent = parent_of(path);
	bool top = strcmp(parent, path) == 0 || strcmp(parent, ".") == 0;
	r = top ? -ENOENT : dir_make(parent, mode);
	free(parent);
	return r < 0 ? r : make_one(path, mode);
}

int
dir_lock(const char *dir, int *ret_fd)
{
	char *path = NULL;
	if (asprintf(&path, "%s/lock", dir) < 0)
		return -ENOMEM;
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : 0;
	free(path);
	/* Belongs to the open file, not to the process: no close elsewhere gives it up. */
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	if (r == 0 && fcntl(fd, F_OFD_SETLK, &whole) < 0) {
		r = errno == EACCES ? -EWOULDBLOCK : -errno;
		close(fd);
	}
	if (r == 0)
		*ret_fd = fd;
	return r;
}

uint64_t
dir_space_free(const char *dir)
{
	struct statvfs v;
	uint64_t n;
	if (statvfs(dir, &v) < 0)
		return 0;
	if (__builtin_mul_overflow((uint64_t)v.f_bavail, (uint64_t)v.f_frsize, &n))
		return UINT64_MAX;
	return n;
}
