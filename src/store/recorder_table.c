/* The tables beside the files of histories. */
#include "store/recorder_file.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "store/recorder_keys.h"
#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_MAGIC "PENNYTRX"
#define TABLE_FORMAT 2
#define TABLE_FORMAT_OLD 1
#define FAN_LEN (TABLE_FAN * 4u)
#define FAN_SHIFT 52
#define KIND_BITS 4
#define SLICE 4096u /* entries that are read at once */

_Static_assert((UINT64_C(1) << (64 - FAN_SHIFT)) == TABLE_FAN, "the fan-out is by the first bits");
_Static_assert(TRACE_KEY_ANY == (1u << KIND_BITS) - 1, "kinds and places share a number");
_Static_assert(TRC_FILE_MAX / TRC_ALIGN == UINT64_C(1) << (32 - KIND_BITS), "so do they");

/* --- contents --- */

static void
add_digest(struct contents *c, uint64_t hash, uint32_t place, unsigned kind)
{
	/* Sender and recipient may be the same. */
	for (size_t i = c->n; i > 0 && c->digest[i - 1].at >> KIND_BITS == place; i--) {
		if (c->n - i == 16)
			break;
		if (c->digest[i - 1].hash == hash) {
			c->digest[i - 1].at |= kind;
			return;
		}
	}
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 4096;
		c->digest = xrealloc(c->digest, c->cap * sizeof(*c->digest));
	}
	c->digest[c->n++] = (struct digest){ hash, place << KIND_BITS | kind };
}

static void
add_time(struct contents *c, uint64_t at, uint64_t ms)
{
	if (c->n_blocks == 0 || at - c->block[c->n_blocks - 1].at >= BLOCK_BYTES) {
		if (c->n_blocks == c->cap_blocks) {
			c->cap_blocks = c->cap_blocks ? c->cap_blocks * 2 : 128;
			c->block = xrealloc(c->block, c->cap_blocks * sizeof(*c->block));
		}
		c->block[c->n_blocks++] = (struct block){ at, ms, ms };
	}
	struct block *b = &c->block[c->n_blocks - 1];
	b->first_ms = MIN(b->first_ms, ms);
	b->last_ms = MAX(b->last_ms, ms);
}

struct adding {
	struct contents *c;
	const unsigned char *id;
	uint32_t place;
};

static bool
add_key(void *arg, struct str key, unsigned kind)
{
	struct adding *a = arg;
	add_digest(a->c, trace_key_digest(a->id, key), a->place, kind);
	return true;
}

void
contents_add(struct contents *c, struct table_head *h, uint64_t at, const struct trace_payload *t)
{
	check(at % TRC_ALIGN == 0 && at < TRC_FILE_MAX);
	struct adding a = { c, h->id, (uint32_t)(at / TRC_ALIGN) };
	trace_keys_each(t, add_key, &a);
	add_time(c, at, t->time_ms);
	h->first_ms = MIN(h->first_ms, t->time_ms);
	h->last_ms = MAX(h->last_ms, t->time_ms);
}

int
contents_of_file(int dir, struct table_head *h, struct contents *c, uint64_t *ret_damaged)
{
	struct trcread f;
	struct trc_record rec;
	struct trace_payload t;
	struct str payload;
	int rc = trcread_open(&f, dir, h->number);
	if (rc < 0)
		return rc;
	if (memcmp(f.head.id, h->id, STORE_ID_LEN) != 0)
		rc = -EBADMSG;
	h->first_ms = UINT64_MAX;
	h->lsn = f.head.lsn;
	while (rc == 0 && (rc = trcread_next(&f, &rec, &payload)) == 1) {
		rc = 0;
		if (trace_payload_get(payload, &t))
			contents_add(c, h, rec.at, &t);
		h->lsn = MAX(h->lsn, rec.lsn + frame_size(rec.len));
	}
	h->size = f.end;
	*ret_damaged = f.damaged;
	trcread_close(&f);
	return rc;
}

void
contents_reset(struct contents *c)
{
	c->n = c->n_blocks = 0;
}

void
contents_done(struct contents *c)
{
	free(c->digest);
	free(c->block);
	*c = (struct contents){ 0 };
}

uint64_t
table_octets(const struct table_head *h)
{
	return TABLE_HEAD + FAN_LEN + (uint64_t)h->n * TABLE_ENTRY +
	       (uint64_t)h->n_blocks * TABLE_BLOCK;
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
put_tables(struct buf *b, const struct contents *c)
{
	size_t i = 0;
	for (uint32_t f = 0; f < TABLE_FAN; f++) {
		while (i < c->n && c->digest[i].hash >> FAN_SHIFT < f)
			i++;
		put_u32(b, (uint32_t)i);
	}
	for (i = 0; i < c->n; i++) {
		put_u64(b, c->digest[i].hash);
		put_u32(b, c->digest[i].at);
	}
	for (i = 0; i < c->n_blocks; i++) {
		put_u32(b, (uint32_t)(c->block[i].at / TRC_ALIGN));
		put_u64(b, c->block[i].first_ms);
		put_u64(b, c->block[i].last_ms);
	}
}

static void
put_head(unsigned char *p, const struct table_head *h, uint32_t crc)
{
	memcpy(p, TABLE_MAGIC, 8);
	be32_put(p + 8, TABLE_FORMAT);
	be32_put(p + 12, h->n);
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

/* What stands behind the head. */
static void
make(struct buf *b, struct contents *c)
{
	if (c->n)
		qsort(c->digest, c->n, sizeof(*c->digest), by_hash);
	put_tables(b, c);
}

int
table_write(int dir, struct table_head *h, struct contents *c)
{
	char name[TRC_NAME_LEN], temp[TRC_NAME_LEN];
	check(c->n <= UINT32_MAX);
	h->n = (uint32_t)c->n;
	h->n_blocks = (uint32_t)c->n_blocks;
	size_t all = table_octets(h);
	struct buf b = BUF_INIT(all);
	if (!buf_reserve(&b, all))
		return -ENOMEM;
	b.len = TABLE_HEAD;
	make(&b, c);
	put_head((unsigned char *)b.p, h, crc32c(0, b.p + TABLE_HEAD, b.len - TABLE_HEAD));
	trc_name(name, h->number, "idx");
	trc_name(temp, h->number, "idx.new");
	int rc = b.failed ? -ENOMEM : write_file(dir, name, temp, buf_str(&b));
	buf_done(&b);
	return rc;
}

/* --- reading --- */

int
table_open(struct table *t, int dir, uint64_t number)
{
	char name[TRC_NAME_LEN];
	trc_name(name, number, "idx");
	t->number = number;
	t->fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (t->fd < 0)
		return -errno;
	(void)posix_fadvise(t->fd, 0, TABLE_HEAD + FAN_LEN, POSIX_FADV_WILLNEED);
	return 0;
}

void
table_close(struct table *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/* Is it a table that the file has the length for? */
static bool
get_head(struct table *t, const unsigned char *p, uint64_t size)
{
	uint32_t format = be32_get(p + 8);
	struct table_head h = { .number = be64_get(p + 16),
		.size = be64_get(p + 24),
		.first_ms = be64_get(p + 32),
		.last_ms = be64_get(p + 40),
		.lsn = be64_get(p + 48),
		.n = be32_get(p + 12) };
	uint64_t least = table_octets(&h);
	if (memcmp(p, TABLE_MAGIC, 8) != 0 || h.number != t->number ||
	    be32_get(p + 60) != crc32c(0, p, 60) || size < least)
		return false;
	uint64_t blocks = size - least;
	h.n_blocks = (uint32_t)(blocks / TABLE_BLOCK);
	t->head = h;
	t->kinds = format == TABLE_FORMAT;
	return format == TABLE_FORMAT_OLD ? blocks == 0
	                                  : t->kinds && blocks % TABLE_BLOCK == 0 &&
	                                        blocks / TABLE_BLOCK <= TRC_FILE_MAX / BLOCK_BYTES;
}

static bool
get_fan(struct table *t, const unsigned char *p)
{
	for (uint32_t i = 0; i < TABLE_FAN; i++)
		t->fan[i] = be32_get(p + i * 4ull);
	t->fan[TABLE_FAN] = t->head.n;
	for (uint32_t i = 0; i < TABLE_FAN; i++)
		if (t->fan[i] > t->fan[i + 1])
			return false;
	return true;
}

int
table_load(struct table *t)
{
	unsigned char *p = xalloc(TABLE_HEAD + FAN_LEN);
	struct stat st;
	int rc = fstat(t->fd, &st) < 0 ? -errno : pread_all(t->fd, p, TABLE_HEAD + FAN_LEN, 0);
	/* -EIO: it is shorter than that. */
	if (rc == -EIO ||
	    (rc == 0 && (!get_head(t, p, (uint64_t)st.st_size) || !get_fan(t, p + TABLE_HEAD))))
		rc = -EBADMSG;
	free(p);
	return rc;
}

static uint64_t
entry_at(uint32_t i)
{
	return TABLE_HEAD + FAN_LEN + (uint64_t)i * TABLE_ENTRY;
}

static int
read_entries(const struct table *t, uint32_t from, uint32_t n, unsigned char *dst)
{
	return pread_all(t->fd, dst, (size_t)n * TABLE_ENTRY, entry_at(from));
}

/* The first entry in [from, to) that is not below (or, above: that is above) the digest. */
static int
bound(const struct table *t, uint64_t hash, bool above, uint32_t from, uint32_t to, uint32_t *ret)
{
	unsigned char one[TABLE_ENTRY];
	while (to - from > 0) {
		uint32_t mid = from + (to - from) / 2;
		int rc = read_entries(t, mid, 1, one);
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

void
places_add(struct places *p, uint32_t place)
{
	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 64;
		p->p = xrealloc(p->p, p->cap * sizeof(*p->p));
	}
	p->p[p->n++] = place;
}

void
table_ahead(const struct table *t, uint64_t hash)
{
	uint32_t from = t->fan[hash >> FAN_SHIFT], n = t->fan[(hash >> FAN_SHIFT) + 1] - from;
	(void)posix_fadvise(t->fd, (off_t)entry_at(from), (off_t)MIN(n, SLICE) * TABLE_ENTRY,
	    POSIX_FADV_WILLNEED);
}

static void
take_entry(const struct table *t, const unsigned char *e, uint64_t hash, unsigned kind,
    struct places *ret)
{
	uint32_t at = be32_get(e + 8);
	if (be64_get(e) != hash)
		return;
	if (!t->kinds)
		places_add(ret, at);
	else if (kind == TRACE_KEY_ANY || (at & kind))
		places_add(ret, at >> KIND_BITS);
}

int
table_places(const struct table *t, uint64_t hash, unsigned kind, struct places *ret)
{
	uint32_t from = t->fan[hash >> FAN_SHIFT], to = t->fan[(hash >> FAN_SHIFT) + 1];
	int rc = 0;
	/* A digest that many letters have would make the bucket long. */
	if (to - from > SLICE) {
		uint32_t low = from;
		rc = bound(t, hash, false, low, to, &from);
		if (rc == 0)
			rc = bound(t, hash, true, from, to, &to);
	}
	unsigned char *p = to > from ? xalloc((size_t)MIN(to - from, SLICE) * TABLE_ENTRY) : NULL;
	while (rc == 0 && to > from) {
		uint32_t n = MIN(to - from, SLICE);
		rc = read_entries(t, from, n, p);
		for (uint32_t i = 0; rc == 0 && i < n; i++)
			take_entry(t, p + (size_t)i * TABLE_ENTRY, hash, kind, ret);
		from += n;
	}
	free(p);
	return rc;
}

int
table_blocks(const struct table *t, struct block **ret)
{
	size_t n = t->head.n_blocks;
	unsigned char *p = xalloc(n * TABLE_BLOCK + 1);
	int rc = pread_all(t->fd, p, n * TABLE_BLOCK, entry_at(t->head.n));
	struct block *b = rc == 0 ? xalloc((n + 1) * sizeof(*b)) : NULL;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const unsigned char *e = p + i * TABLE_BLOCK;
		b[i] = (struct block){ (uint64_t)be32_get(e) * TRC_ALIGN, be64_get(e + 4),
			be64_get(e + 12) };
	}
	free(p);
	*ret = b;
	return rc;
}

static bool
says(const struct table *t, struct contents *c, uint32_t crc)
{
	struct buf b = BUF_INIT(table_octets(&t->head));
	bool same = c->n == t->head.n && c->n_blocks == t->head.n_blocks;
	if (same)
		make(&b, c);
	same = same && !b.failed && crc32c(0, b.p, b.len) == crc;
	buf_done(&b);
	return same;
}

int
table_verify(const struct table *t, struct contents *c)
{
	unsigned char head[TABLE_HEAD], *p = xalloc(64u << 10);
	uint64_t left = table_octets(&t->head) - TABLE_HEAD, at = TABLE_HEAD;
	uint32_t crc = 0;
	int rc = pread_all(t->fd, head, sizeof(head), 0);
	while (rc == 0 && left > 0) {
		size_t n = (size_t)MIN(left, (uint64_t)(64u << 10));
		rc = pread_all(t->fd, p, n, at);
		if (rc == 0)
			crc = crc32c(crc, p, n);
		at += n;
		left -= n;
	}
	free(p);
	if (rc < 0)
		return rc;
	return crc == be32_get(head + 56) && (!c || !t->kinds || says(t, c, crc)) ? 0 : -EBADMSG;
}
