#include "store/segment.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/num.h"
#include "base/wire.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = { 'P', 'E', 'N', 'N', 'Y', 'S', 'E', 'G' };
#define HEAD_CRC_AT 60
#define ZERO_STEP (1u << 20)

int
pread_all(int fd, void *dst, size_t n, uint64_t off)
{
	char *p = dst;
	while (n) {
		ssize_t got = pread(fd, p, n, (off_t)off);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		p += got, n -= (size_t)got, off += (uint64_t)got;
	}
	return 0;
}

int
pwrite_all(int fd, const void *src, size_t n, uint64_t off)
{
	const char *p = src;
	while (n) {
		ssize_t put = pwrite(fd, p, n, (off_t)off);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		p += put, n -= (size_t)put, off += (uint64_t)put;
	}
	return 0;
}

void
seg_name(char out[SEG_NAME_LEN], uint64_t seq)
{
	snprintf(out, SEG_NAME_LEN, "%08x.seg", (unsigned)seq);
}

void
seg_head_put(unsigned char out[SEG_HEAD], const struct seg_head *h)
{
	memset(out, 0, SEG_HEAD);
	memcpy(out, magic, sizeof(magic));
	be32_put(out + 8, SEG_FORMAT);
	be32_put(out + 12, SEG_HEAD);
	be64_put(out + 16, h->seq);
	be64_put(out + 24, h->size);
	memcpy(out + 32, h->id, STORE_ID_LEN);
	be32_put(out + HEAD_CRC_AT, crc32c(0, out, HEAD_CRC_AT));
}

int
seg_head_get(const unsigned char p[SEG_HEAD], struct seg_head *ret)
{
	if (memcmp(p, magic, sizeof(magic)) != 0 ||
	    be32_get(p + HEAD_CRC_AT) != crc32c(0, p, HEAD_CRC_AT))
		return -EBADMSG;
	if (be32_get(p + 8) > SEG_FORMAT)
		return -EPROTONOSUPPORT;
	struct seg_head h = {
		.seq = be64_get(p + 16), .size = be64_get(p + 24), .format = be32_get(p + 8)
	};
	memcpy(h.id, p + 32, STORE_ID_LEN);
	if (be32_get(p + 12) != SEG_HEAD || h.format == 0 || h.seq == 0 || h.seq > UINT32_MAX ||
	    h.size < SEG_SIZE_MIN || h.size > SEG_SIZE_MAX)
		return -EBADMSG;
	*ret = h;
	return 0;
}

static int
write_head(int fd, const struct seg_head *h)
{
	unsigned char head[SEG_HEAD];
	seg_head_put(head, h);
	return pwrite_all(fd, head, sizeof(head), 0);
}

/* The header first. Zeros, not holes: overwriting blocks that exist needs no journal commit at
 * the sync. */
static int
fill(int fd, const struct seg_head *h)
{
	char *zeros = xalloc(ZERO_STEP);
	int r = write_head(fd, h);
	for (uint64_t off = SEG_HEAD; r == 0 && off < h->size; off += ZERO_STEP)
		r = pwrite_all(fd, zeros, MIN(h->size - off, (uint64_t)ZERO_STEP), off);
	free(zeros);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* Closes it and gives it its name. */
static int
finish(int log, int fd, int r, const char *tmp, const char *name)
{
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(log, tmp, log, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(log, tmp, 0);
	else if (fsync(log) < 0)
		r = -errno;
	return r;
}

static void
new_name(char out[SEG_NAME_LEN + 4], uint64_t seq)
{
	char name[SEG_NAME_LEN];
	seg_name(name, seq);
	snprintf(out, SEG_NAME_LEN + 4, "%s.new", name);
}

int
seg_create(int log, const struct seg_head *h)
{
	char name[SEG_NAME_LEN], tmp[SEG_NAME_LEN + 4];
	seg_name(name, h->seq);
	new_name(tmp, h->seq);
	int fd = openat(log, tmp, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	return finish(log, fd, fill(fd, h), tmp, name);
}

int
seg_retire(int log, uint64_t seq)
{
	char name[SEG_NAME_LEN], tmp[SEG_NAME_LEN + 4];
	seg_name(name, seq);
	new_name(tmp, seq);
	if (renameat(log, name, log, tmp) < 0)
		return -errno;
	return fsync(log) < 0 ? -errno : 0;
}

int
seg_reuse(int log, uint64_t old, const struct seg_head *h)
{
	char name[SEG_NAME_LEN], tmp[SEG_NAME_LEN + 4];
	struct stat st;
	seg_name(name, h->seq);
	new_name(tmp, old);
	int fd = openat(log, tmp, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fstat(fd, &st) < 0 ? -errno : (uint64_t)st.st_size == h->size ? 0 : -EINVAL;
	return finish(log, fd, r < 0 ? r : fill(fd, h), tmp, name);
}

int
seg_drop(int log, uint64_t old)
{
	char tmp[SEG_NAME_LEN + 4];
	new_name(tmp, old);
	int fd = openat(log, tmp, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = ftruncate(fd, 0) < 0 ? -errno : 0;
	close(fd);
	return unlinkat(log, tmp, 0) < 0 ? -errno : r;
}

int
seg_upgrade(int log, uint64_t seq)
{
	struct seg_head h;
	int fd = seg_open(log, seq, O_RDWR, &h);
	if (fd < 0)
		return fd;
	int r = h.format == SEG_FORMAT ? 0 : write_head(fd, &h);
	if (r == 0 && h.format != SEG_FORMAT && fdatasync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

int
seg_open(int log, uint64_t seq, int flags, struct seg_head *ret)
{
	char name[SEG_NAME_LEN];
	seg_name(name, seq);
	int fd = openat(log, name, flags | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unsigned char head[SEG_HEAD];
	struct stat st;
	struct seg_head h;
	int r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0 && st.st_size < SEG_HEAD)
		r = -EBADMSG;
	if (r == 0)
		r = pread_all(fd, head, sizeof(head), 0);
	if (r == 0)
		r = seg_head_get(head, &h);
	if (r == 0 && (h.seq != seq || (uint64_t)st.st_size != h.size))
		r = -EBADMSG;
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret = h;
	return fd;
}

static bool
name_seq(const char *name, uint64_t *ret)
{
	struct str s = str_of(name);
	return s.len == 12 && str_ends(s, STR(".seg")) && num_hex(str_first(s, 8), ret) &&
	       *ret != 0;
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static int
open_list(int log, DIR **ret)
{
	int fd = openat(log, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret = fdopendir(fd);
	if (*ret)
		return 0;
	int r = -errno;
	close(fd);
	return r;
}

int
seg_sweep(int log)
{
	DIR *d;
	int r = open_list(log, &d);
	if (r < 0)
		return r;
	struct dirent *e;
	while (r == 0 && (errno = 0, (e = readdir(d)) != NULL))
		if (str_ends(str_of(e->d_name), STR(".seg.new")) &&
		    unlinkat(log, e->d_name, 0) < 0 && errno != ENOENT)
			r = -errno;
	if (r == 0)
		r = -errno;
	closedir(d);
	return r;
}

int
seg_list(int log, uint64_t **ret, size_t *ret_n)
{
	DIR *d;
	int r = open_list(log, &d);
	if (r < 0)
		return r;
	uint64_t *list = NULL, seq;
	size_t n = 0, cap = 0;
	struct dirent *e;
	while (errno = 0, (e = readdir(d)) != NULL) {
		if (!name_seq(e->d_name, &seq))
			continue;
		if (n == cap) {
			cap = cap ? cap * 2 : 16;
			list = xrealloc(list, cap * sizeof(*list));
		}
		list[n++] = seq;
	}
	r = -errno;
	closedir(d);
	if (r < 0) {
		free(list);
		return r;
	}
	if (n)
		qsort(list, n, sizeof(*list), by_number);
	*ret = list;
	*ret_n = n;
	return 0;
}
