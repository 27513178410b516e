#include "base/str.h"
#include "sys/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

/* A name for path that fits into sun_path: long ones go by way of an open directory, whose
 * descriptor is to be closed after use (*ret_dir, or -1). */
static int
address_of(const char *path, struct sockaddr_un *ret, int *ret_dir)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct str s = str_of(path);
	*ret_dir = -1;
	if (!str_copy(a.sun_path, sizeof(a.sun_path), s)) {
		size_t slash = str_rfind(s, '/');
		if (slash == s.len || slash == 0)
			return -ENAMETOOLONG;
		char *dir = str_dup(str_first(s, slash));
		int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		free(dir);
		if (fd < 0)
			return -errno;
		int n = snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", fd,
		    path + slash + 1);
		if (n < 0 || (size_t)n >= sizeof(a.sun_path)) {
			close(fd);
			return -ENAMETOOLONG;
		}
		*ret_dir = fd;
	}
	*ret = a;
	return 0;
}

static int
try_connect(const struct sockaddr_un *a, int type_flags, int *ret_fd)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);
	if (fd < 0)
		return -errno;
	int r;
	do
		r = connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 ? -errno : 0;
	while (r == -EINTR);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* Removes a socket file that nobody listens at. */
static int
clear_stale(const struct sockaddr_un *a)
{
	struct stat st;
	int fd;
	if (lstat(a->sun_path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	int r = try_connect(a, SOCK_NONBLOCK, &fd); /* its queue may be full */
	if (r == 0) {
		close(fd);
		return -EADDRINUSE;
	}
	if (r != -ECONNREFUSED)
		return -EADDRINUSE; /* busy, or not ours to say */
	return unlink(a->sun_path) < 0 ? -errno : 0;
}

static int
bind_file(int fd, const struct sockaddr_un *a, mode_t mode)
{
	mode_t before = umask(0777 & ~mode);
	int r = bind(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 ? -errno : 0;
	umask(before);
	return r;
}

/* By a descriptor: others may write to the directory and put something else in its place. */
static int
open_file(const char *path, struct stat *ret)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fstat(fd, ret) < 0 ? -errno : S_ISSOCK(ret->st_mode) ? fd : -ENOTSOCK;
	if (r < 0)
		close(fd);
	return r;
}

static int
give(int fd, const struct unix_access *who)
{
	if (who->uid == (uid_t)-1 && who->gid == (gid_t)-1)
		return 0;
	return fchownat(fd, "", who->uid, who->gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* The file is ours and new: a failure takes it away again. */
static int
give_away(const struct sockaddr_un *a, const struct unix_access *who)
{
	struct stat st;
	int fd = open_file(a->sun_path, &st);
	int r = fd < 0 ? fd : give(fd, who);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		unlink(a->sun_path);
	return r;
}

static int
listen_at(const struct sockaddr_un *a, const struct unix_access *who, int *ret_fd)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int r = bind_file(fd, a, who->mode);
	if (r == -EADDRINUSE) {
		r = clear_stale(a);
		if (r == 0)
			r = bind_file(fd, a, who->mode);
	}
	if (r == 0)
		r = give_away(a, who);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int
listen_unix_for(const char *path, const struct unix_access *who, int *ret_fd)
{
	struct sockaddr_un a;
	int dir;
	int r = address_of(path, &a, &dir);
	if (r < 0)
		return r;
	r = listen_at(&a, who, ret_fd);
	if (dir >= 0)
		close(dir);
	return r;
}

int
listen_unix(const char *path, int *ret_fd)
{
	const struct unix_access own = { 0600, (uid_t)-1, (gid_t)-1 };
	return listen_unix_for(path, &own, ret_fd);
}

int
unix_file_of(const char *path, struct unix_file *ret)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	*ret = (struct unix_file){ st.st_dev, st.st_ino };
	return 0;
}

void
unix_file_remove(const char *path, const struct unix_file *f)
{
	struct unix_file now;
	if (unix_file_of(path, &now) == 0 && now.dev == f->dev && now.ino == f->ino)
		unlink(path);
}

int
unix_access_set(const char *path, const struct unix_access *a)
{
	struct stat st;
	char name[40];
	int fd = open_file(path, &st);
	if (fd < 0)
		return fd;
	int r = give(fd, a);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (r == 0 && chmod(name, a->mode) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int
connect_to(const char *path, int type_flags, int *ret_fd)
{
	struct sockaddr_un a;
	int dir;
	int r = address_of(path, &a, &dir);
	if (r < 0)
		return r;
	r = try_connect(&a, type_flags, ret_fd);
	if (dir >= 0)
		close(dir);
	return r;
}

int
unix_connect(const char *path, int *ret_fd)
{
	return connect_to(path, 0, ret_fd);
}

int
unix_connect_now(const char *path, int *ret_fd)
{
	return connect_to(path, SOCK_NONBLOCK, ret_fd);
}
