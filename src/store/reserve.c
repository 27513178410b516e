/*
 * DIR/reserve: octets that nobody needs. When the disk is full and the index must grow to show
 * what the log holds already, or to show that letters are gone, it is given up; it comes back
 * when there is room again, and until then no letter is accepted.
 */
#include "store/emb.h"

#include "base/check.h"
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESERVE_MAX (8u << 20)
#define RESERVE_LEAST (1u << 20)
#define RESERVE_STEP (64u << 10)
#define FULL_BELOW (256u << 10)

static uint64_t
reserve_size(const struct emb *e)
{
	return MAX(MIN(e->o.segment_bytes / 8, (uint64_t)RESERVE_MAX), (uint64_t)RESERVE_LEAST);
}

int
reserve_errno(const struct emb *e, int rc)
{
	struct statvfs v;
	bool full = rc == -EIO && fstatvfs(e->dir, &v) == 0 &&
	            (uint64_t)v.f_bavail * v.f_frsize < FULL_BELOW;
	return full ? -ENOSPC : rc;
}

bool
reserve_release(struct emb *e)
{
	bool there = unlinkat(e->dir, "reserve", 0) == 0;
	if (there)
		LOG(LOG_WARN, 0, "reserve-used", LOGZ("why", "no room for the index"));
	mutex_lock(&e->m);
	e->reserve = false;
	e->index_full = true;
	mutex_unlock(&e->m);
	return there;
}

static int
make(struct emb *e, uint64_t size)
{
	static const char name[] = "reserve.new";
	int fd = openat(e->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	char *zeros = xalloc(RESERVE_STEP);
	int r = 0;
	for (uint64_t off = 0; r == 0 && off < size; off += RESERVE_STEP)
		r = pwrite_all(fd, zeros, MIN(size - off, (uint64_t)RESERVE_STEP), off);
	free(zeros);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	close(fd);
	if (r == 0 && renameat(e->dir, name, e->dir, "reserve") < 0)
		r = -errno;
	if (r < 0)
		unlinkat(e->dir, name, 0);
	return r;
}

void
reserve_keep(struct emb *e)
{
	struct statvfs v;
	struct stat st;
	uint64_t size = reserve_size(e);
	if (e->reserve && !e->index_full)
		return;
	bool there = fstatat(e->dir, "reserve", &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!there) {
		/* Twice: so that the next page of the index does not take it again. */
		bool room =
		    fstatvfs(e->dir, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize >= 2 * size;
		if (!room || make(e, size) < 0) {
			mutex_lock(&e->m);
			e->index_full = true;
			mutex_unlock(&e->m);
			return;
		}
	}
	mutex_lock(&e->m);
	if (!there && e->index_full)
		LOG(LOG_INFO, 0, "reserve-back", LOGN("octets", size));
	e->reserve = true;
	e->index_full = false;
	mutex_unlock(&e->m);
}
