/* backup: one file of a backup, kept or written anew; never over one that is needed. */
#include "ctl/backup_priv.h"

#include "base/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EDGE 4096u /* octets at both ends that tell one content from another */

int
backup_step(void *arg, uint64_t octets)
{
	struct backup *b = arg;
	b->copied += octets;
	return backup_hold(b, false) ? 0 : -ECANCELED;
}

int
backup_step_kept(void *arg, uint64_t octets)
{
	return backup_hold(arg, false) ? 0 : -ECANCELED;
}

/* False, after a message that names the side that failed. */
bool
backup_copy_failed(struct backup *b, const char *name, int rc, enum copy_side side)
{
	if (b->status) /* said already */
		return false;
	if (side == COPY_FROM)
		return backup_failed(b, EXIT_IO,
		    "%s cannot be read: %s; be root or the user who started the "
		    "server, and look with `pennypost fsck`",
		    name, strerror(-rc));
	b->full = rc == -ENOSPC || rc == -EDQUOT;
	return backup_failed(b, EXIT_IO, "%s/%s cannot be written: %s%s", b->dir, name,
	    strerror(-rc), b->full ? "; make room on that disk and try again" : "");
}

bool
backup_damaged(struct backup *b, const char *name, const char *what)
{
	if (b->terminal)
		fputs("\r\033[K", stderr);
	complain("%s of the store %s; `pennypost fsck` says more", name, what);
	b->n_damaged++;
	return true;
}

void
backup_keep(struct backup *b, const struct manifest_file *f)
{
	manifest_add(&b->now, f);
	b->n_kept++;
	b->kept += f->size;
}

/* --- whole new files --- */

/* The name that content may take: not one that the standing manifest needs for something else. */
void
backup_free_name(const struct backup *b, const char *name, uint32_t crc, char dst[FILE_NAME_MAX])
{
	bool taken = b->has_old && manifest_find(&b->old, name);
	snprintf(dst, FILE_NAME_MAX, taken ? "%s~%08" PRIx32 : "%s", name, crc);
}

int
backup_new_file(const struct backup *b, const char *name, char tmp[FILE_NAME_MAX + 8])
{
	snprintf(tmp, FILE_NAME_MAX + 8, "%s.new", name);
	int fd = openat(b->at, tmp, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* Makes what is in fd durable as f->name, and closes it. */
int
backup_settle(struct backup *b, int fd, const char *tmp, const char *name)
{
	int rc = fsync(fd) < 0 ? -errno : 0;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && renameat(b->at, tmp, b->at, name) < 0)
		rc = -errno;
	return rc;
}

/* f->name: wanted, and then the one it got, in store (FILE_NAME_MAX). over: even a name that
 * the standing manifest needs, because what it stands for is broken. */
bool
backup_copy_whole(struct backup *b, int from, uint64_t n, bool over, struct manifest_file *f,
    char *store)
{
	char tmp[FILE_NAME_MAX + 8];
	enum copy_side side = COPY_TO;
	struct summing s;
	int to = backup_new_file(b, f->name, tmp), rc = to;
	if (to < 0)
		return backup_copy_failed(b, f->name, rc, COPY_TO);
	summing_begin(&s);
	rc = copy_octets(from, to, 0, n, &s, backup_step, b, &side);
	summing_end(&s, f);
	if (rc < 0) {
		close(to);
		unlinkat(b->at, tmp, 0);
		return backup_copy_failed(b, f->name, rc, side);
	}
	if (over)
		check(str_copy(store, FILE_NAME_MAX, str_of(f->name)));
	else
		backup_free_name(b, f->name, f->crc, store);
	f->name = store;
	rc = backup_settle(b, to, tmp, f->name);
	if (rc < 0)
		return backup_copy_failed(b, f->name, rc, COPY_TO);
	manifest_add(&b->now, f);
	b->n_copied++;
	return true;
}

/* The file of the standing backup, when it is at least as long as it should be; or -1. */
int
backup_old_file(const struct backup *b, const struct manifest_file *f, int flags)
{
	struct stat st;
	int fd = openat(b->at, f->name, flags | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &st) < 0 || (uint64_t)st.st_size < f->size)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Both have the same octets where a different letter would show: at the ends. */
int
backup_same_edges(int a, int b, uint64_t size)
{
	uint64_t edge = MIN(size, (uint64_t)EDGE);
	int rc = copy_same(a, b, 0, edge);
	return rc == 1 ? copy_same(a, b, size - edge, edge) : rc;
}
