/* The tables of digests beside the files of histories. */
#include "store/recorder_file.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_MAGIC "PENNYTRX"
#define FAN_LEN (TABLE_FAN * 4u)
#define FAN_SHIFT 52
#define SLICE 4096u /* entries that are read at once */

_Static_assert((UINT64_C(1) << (64 - FAN_SHIFT)) == TABLE_FAN, "the fan-out is by the first bits");

void
digests_add(struct digests *d, uint64_t hash, uint64_t at)
{
	check(at % TRC_ALIGN == 0 && at < TRC_FILE_MAX * 2);
	uint32_t place = (uint32_t)(at / TRC_ALIGN);
	/* Sender and recipient may be the same. */
	for (size_t i = d->n; i > 0 && d->p[i - 1].at == place && d->n - i < 16; i--)
		if (d->p[i - 1].hash == hash)
			return;
	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 4096;
		d->p = xrealloc(d->p, d->cap * sizeof(*d->p));
	}
	d->p[d->n++] = (struct digest){ hash, place };
}

void
digests_done(struct digests *d)
{
	free(d->p);
	*d = (struct digests){ 0 };
}

/* --- writing --- */

static int
by_hash(const void *pa, const void *pb)
{
	const struct digest *a = pa, *b = pb;
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

static void
put_tables(struct buf *b, const struct digests *d)
{
	size_t i = 0;
	for (uint32_t f = 0; f < TABLE_FAN; f++) {
		while (i < d->n && d->p[i].hash >> FAN_SHIFT < f)
			i++;
		put_u32(b, (uint32_t)i);
	}
	for (i = 0; i < d->n; i++) {
		put_u64(b, d->p[i].hash);
		put_u32(b, d->p[i].at);
	}
}

static void
put_head(unsigned char *p, const struct table_head *h, uint32_t n, uint32_t crc)
{
	memcpy(p, TABLE_MAGIC, 8);
	be32_put(p + 8, TRC_FORMAT);
	be32_put(p + 12, n);
	be64_put(p + 16, h->number);
	be64_put(p + 24, h->size);
	be64_put(p + 32, h->first_ms);
	be64_put(p + 40, h->last_ms);
	be64_put(p + 48, h->lsn);
	be32_put(p + 56, crc);
	be32_put(p + 60, crc32c(0, p, 60));
}

static int
write_file(int dir, const char *name, const char *temp, struct str octets)
{
	int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int rc = pwrite_all(fd, octets.p, octets.len, 0);
	if (rc == 0 && fdatasync(fd) < 0)
		rc = -errno;
	close(fd);
	if (rc == 0 && renameat(dir, temp, dir, name) < 0)
		rc = -errno;
	if (rc == 0 && fsync(dir) < 0)
		rc = -errno;
	if (rc < 0)
		(void)unlinkat(dir, temp, 0);
	return rc;
}

int
table_write(int dir, const struct table_head *h, struct digests *d)
{
	char name[TRC_NAME_LEN], temp[TRC_NAME_LEN];
	size_t all = TABLE_HEAD + FAN_LEN + d->n * TABLE_ENTRY;
	struct buf b = BUF_INIT(all);
	if (d->n > UINT32_MAX || !buf_reserve(&b, all))
		return -ENOMEM;
	if (d->n)
		qsort(d->p, d->n, sizeof(*d->p), by_hash);
	b.len = TABLE_HEAD;
	put_tables(&b, d);
	put_head((unsigned char *)b.p, h, (uint32_t)d->n,
	    crc32c(0, b.p + TABLE_HEAD, b.len - TABLE_HEAD));
	trc_name(name, h->number, "idx");
	trc_name(temp, h->number, "idx.new");
	int rc = b.failed ? -ENOMEM : write_file(dir, name, temp, buf_str(&b));
	buf_done(&b);
	return rc;
}

/* --- reading --- */

int
table_open(int dir, uint64_t number, struct table_head *ret)
{
	char name[TRC_NAME_LEN];
	unsigned char p[TABLE_HEAD];
	struct stat st;
	trc_name(name, number, "idx");
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = pread_all(fd, p, sizeof(p), 0);
	struct table_head h = { .number = be64_get(p + 16),
		.size = be64_get(p + 24),
		.first_ms = be64_get(p + 32),
		.last_ms = be64_get(p + 40),
		.lsn = be64_get(p + 48),
		.n = be32_get(p + 12) };
	if (rc == 0 && fstat(fd, &st) < 0)
		rc = -errno;
	if (rc == -EIO ||
	    (rc == 0 &&
		(memcmp(p, TABLE_MAGIC, 8) != 0 || be32_get(p + 8) != TRC_FORMAT ||
		    h.number != number || be32_get(p + 60) != crc32c(0, p, 60) ||
		    (uint64_t)st.st_size != TABLE_HEAD + FAN_LEN + (uint64_t)h.n * TABLE_ENTRY)))
		rc = -EBADMSG;
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*ret = h;
	return fd;
}

/* Where the entries stand whose digests begin as this one. */
static int
bucket(int fd, const struct table_head *h, uint64_t hash, uint32_t *ret_from, uint32_t *ret_to)
{
	unsigned char p[8];
	uint32_t f = (uint32_t)(hash >> FAN_SHIFT);
	bool last = f == TABLE_FAN - 1;
	be32_put(p + 4, h->n);
	int rc = pread_all(fd, p, last ? 4 : 8, TABLE_HEAD + f * 4ull);
	*ret_from = be32_get(p);
	*ret_to = be32_get(p + 4);
	if (rc == 0 && (*ret_from > *ret_to || *ret_to > h->n))
		rc = -EBADMSG;
	return rc;
}

static int
read_entries(int fd, uint32_t from, uint32_t n, unsigned char *dst)
{
	return pread_all(fd, dst, (size_t)n * TABLE_ENTRY,
	    TABLE_HEAD + FAN_LEN + (uint64_t)from * TABLE_ENTRY);
}

/* The first entry in [from, to) that is not below (or, above: that is above) the digest. */
static int
bound(int fd, uint64_t hash, bool above, uint32_t from, uint32_t to, uint32_t *ret)
{
	unsigned char one[TABLE_ENTRY];
	while (to - from > 0) {
		uint32_t mid = from + (to - from) / 2;
		int rc = read_entries(fd, mid, 1, one);
		if (rc < 0)
			return rc;
		uint64_t v = be64_get(one);
		if (v < hash || (above && v == hash))
			from = mid + 1;
		else
			to = mid;
	}
	*ret = from;
	return 0;
}

int
table_find(int fd, const struct table_head *h, uint64_t hash, table_fn *fn, void *arg)
{
	uint32_t from, to;
	int rc = bucket(fd, h, hash, &from, &to);
	/* A digest that many letters have would make the bucket long. */
	if (rc == 0 && to - from > SLICE) {
		uint32_t low = from;
		rc = bound(fd, hash, false, low, to, &from);
		if (rc == 0)
			rc = bound(fd, hash, true, from, to, &to);
	}
	unsigned char *p = xalloc((size_t)SLICE * TABLE_ENTRY);
	for (bool more = true; rc == 0 && more && to > from;) {
		uint32_t n = MIN(to - from, SLICE);
		to -= n;
		rc = read_entries(fd, to, n, p);
		for (uint32_t i = n; rc == 0 && more && i-- > 0;)
			if (be64_get(p + (size_t)i * TABLE_ENTRY) == hash)
				more = fn(arg, (uint64_t)be32_get(p + (size_t)i * TABLE_ENTRY + 8) *
						   TRC_ALIGN);
	}
	free(p);
	return rc;
}

bool
table_whole(int fd, const struct table_head *h)
{
	unsigned char head[TABLE_HEAD], *p = xalloc(64u << 10);
	uint64_t left = FAN_LEN + (uint64_t)h->n * TABLE_ENTRY, at = TABLE_HEAD;
	uint32_t crc = 0;
	bool ok = pread_all(fd, head, sizeof(head), 0) == 0;
	while (ok && left > 0) {
		size_t n = (size_t)MIN(left, (uint64_t)(64u << 10));
		ok = pread_all(fd, p, n, at) == 0;
		if (ok)
			crc = crc32c(crc, p, n);
		at += n;
		left -= n;
	}
	free(p);
	return ok && crc == be32_get(head + 56);
}
