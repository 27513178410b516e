#include "roles/parent/parent_priv.h"

#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE_DEPTH_MAX 16

static bool
fail(struct buf *err, const char *path, const char *what, int code, const char *remedy)
{
	buf_putf(err, "%s: cannot %s: %s; %s\n", path, what, strerror(code), remedy);
	return false;
}

static bool
make(const char *path, mode_t mode, bool keep, struct buf *err)
{
	struct stat st;
	int r = dir_make(path, mode);
	if (r < 0)
		return fail(err, path, "make this directory", -r,
		    "make it, or name another data_dir");
	if (stat(path, &st) < 0)
		return fail(err, path, "look at it", errno, "name a directory as data_dir");
	/* Only rights that are missing are given: roles with uids of their own pass through. */
	if (!keep && (st.st_mode & mode) != mode && chmod(path, (st.st_mode & 07777) | mode) < 0)
		return fail(err, path, "set its rights", errno,
		    "its owner must be the one who starts the server");
	return true;
}

static bool
sub_path(char *out, size_t n, const struct conf *c, const char *name, struct buf *err)
{
	if (snprintf(out, n, "%s/%s", c->data_dir, name) < (int)n)
		return true;
	buf_putf(err, "data_dir: the path is longer than %zu octets; use a shorter one\n", n - 16);
	return false;
}

bool
place_make(const struct conf *c, bool keep, struct buf *err)
{
	static const char *const sub[] = { "store", "auth" };
	char path[4096];

	if (!make(c->data_dir, geteuid() == 0 ? 0711 : 0700, keep, err))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(sub); i++)
		if (!sub_path(path, sizeof(path), c, sub[i], err) || !make(path, 0700, keep, err))
			return false;
	return true;
}

/* Children first, the directory itself last: a run that was cut short is seen by the owner of
 * the top and done again. No symbolic link is followed, and no file with a second name is
 * given away: the former owner could have linked to it from elsewhere. */
static int
own_tree(int dir, const struct identity *who, int depth)
{
	int r = 0;
	if (depth == 0)
		return -ELOOP;
	int walk = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = walk < 0 ? NULL : fdopendir(walk);
	if (!d) {
		r = -errno;
		if (walk >= 0)
			close(walk);
		return r;
	}
	for (struct dirent *e; r == 0 && (errno = 0, e = readdir(d));) {
		struct stat st;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		int fd = openat(dir, e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0)
			r = errno == ELOOP || errno == ENXIO ? 0 : -errno;
		else if (S_ISDIR(st.st_mode))
			r = own_tree(fd, who, depth - 1);
		else if (S_ISREG(st.st_mode) && st.st_nlink == 1)
			r = fchown(fd, who->uid, who->gid) < 0 ? -errno : 0;
		if (fd >= 0)
			close(fd);
	}
	if (r == 0 && errno)
		r = -errno;
	closedir(d);
	if (r == 0 && fchown(dir, who->uid, who->gid) < 0)
		r = -errno;
	return r;
}

static bool
own(const struct conf *c, const char *name, const struct identity *who, struct buf *err)
{
	char path[4096];
	struct stat st;

	if (!sub_path(path, sizeof(path), c, name, err))
		return false;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return fail(err, path, "open it", errno,
		    "it must be a directory and no link to one; mount another disk there");
	int r = fstat(dir, &st) < 0 ? -errno : 0;
	if (r == 0 && (st.st_uid != who->uid || st.st_gid != who->gid))
		r = own_tree(dir, who, TREE_DEPTH_MAX);
	close(dir);
	if (r == 0)
		return true;
	char what[64];
	snprintf(what, sizeof(what), "give it to uid %u", (unsigned)who->uid);
	return fail(err, path, what, -r,
	    "use a file system and a name space of users that allow it, or do not start as root");
}

bool
place_own(const struct conf *c, const struct uids *u, struct buf *err)
{
	if (u->store.uid == 0)
		return true;
	return own(c, "store", &u->store, err) && own(c, "auth", &u->auth, err);
}

/* Not of a server without Kerberos: a keytab is copied into it. */
static bool
place_keytab(const struct conf *c, const char *keytab, const char *dir, const struct identity *who,
    struct buf *err)
{
	char path[4096];
	return !*keytab ||
	       (sub_path(path, sizeof(path), c, dir, err) && make(path, 0700, false, err) &&
		   (who->uid == 0 || own(c, dir, who, err)));
}

bool
place_gssapi(const struct conf *c, const struct uids *u, struct buf *err)
{
	return place_keytab(c, c->gssapi_keytab, "gssapi", &u->gssapi, err) &&
	       place_keytab(c, c->gssapi_client_keytab, "gssapi-out", &u->gssapi_out, err);
}

bool
place_log(const struct conf *c, struct buf *err)
{
	if (!c->log_file || !*c->log_file)
		return true;
	mode_t mask = umask(0);
	int fd = open(c->log_file, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0640);
	int code = errno;
	umask(mask);
	if (fd < 0)
		return fail(err, c->log_file, "open the log file", code,
		    "make its directory, or set log_file");
	if (fd != STDERR_FILENO) {
		dup2(fd, STDERR_FILENO);
		close(fd);
	}
	return true;
}
