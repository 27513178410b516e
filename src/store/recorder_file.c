#include "store/recorder_file.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/num.h"
#include "base/wire.h"
#include "store/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRC_MAGIC "PENNYTRC"
#define PLACE_MAGIC "PENNYTRF"
#define RECORD_MAGIC 0x50505452u /* "PPTR" */
#define WINDOW (256u << 10)
#define NAME_DIGITS 8

void
trc_name(char out[TRC_NAME_LEN], uint64_t number, const char *suffix)
{
	snprintf(out, TRC_NAME_LEN, "%08llx.%s", (unsigned long long)(number & 0xffffffffu),
	    suffix);
}

/* --- heads --- */

void
trc_head_put(unsigned char out[TRC_HEAD], const struct trc_head *h)
{
	memset(out, 0, TRC_HEAD);
	memcpy(out, TRC_MAGIC, 8);
	be32_put(out + 8, TRC_FORMAT);
	be32_put(out + 12, TRC_HEAD);
	be64_put(out + 16, h->number);
	memcpy(out + 24, h->id, STORE_ID_LEN);
	be64_put(out + 40, h->made_ms);
	be64_put(out + 48, h->lsn);
	be32_put(out + 60, crc32c(0, out, 60));
}

bool
trc_head_get(const unsigned char p[TRC_HEAD], struct trc_head *ret)
{
	struct trc_head h = {
		.number = be64_get(p + 16), .made_ms = be64_get(p + 40), .lsn = be64_get(p + 48)
	};
	if (memcmp(p, TRC_MAGIC, 8) != 0 || be32_get(p + 8) != TRC_FORMAT ||
	    be32_get(p + 12) != TRC_HEAD || be32_get(p + 60) != crc32c(0, p, 60))
		return false;
	memcpy(h.id, p + 24, STORE_ID_LEN);
	*ret = h;
	return true;
}

/* --- records --- */

static uint32_t
head_crc(const unsigned char *p, uint64_t at, const unsigned char id[STORE_ID_LEN])
{
	unsigned char place[8];
	be64_put(place, at);
	return crc32c(crc32c(crc32c(0, id, STORE_ID_LEN), place, sizeof(place)), p, 20);
}

void
trc_record_put(struct buf *b, uint64_t at, uint64_t lsn, const unsigned char id[STORE_ID_LEN],
    struct str payload)
{
	static const char zeros[TRC_ALIGN];
	unsigned char h[TRC_RECORD_HEAD];
	check(at % TRC_ALIGN == 0 && payload.len <= TRC_PAYLOAD_MAX);
	be32_put(h, RECORD_MAGIC);
	be32_put(h + 4, (uint32_t)payload.len);
	be64_put(h + 8, lsn);
	be32_put(h + 16, crc32c(0, payload.p, payload.len));
	be32_put(h + 20, head_crc(h, at, id));
	buf_put(b, h, sizeof(h));
	buf_puts(b, payload);
	buf_put(b, zeros, (size_t)(trc_size(payload.len) - TRC_RECORD_HEAD - payload.len));
}

bool
trc_record_get(const void *p, uint64_t at, uint64_t room, const unsigned char id[STORE_ID_LEN],
    struct trc_record *ret)
{
	const unsigned char *h = p;
	if (room < TRC_RECORD_HEAD || be32_get(h) != RECORD_MAGIC ||
	    be32_get(h + 20) != head_crc(h, at, id))
		return false;
	struct trc_record r = {
		.at = at, .len = be32_get(h + 4), .lsn = be64_get(h + 8), .crc = be32_get(h + 16)
	};
	if (r.len > TRC_PAYLOAD_MAX || trc_size(r.len) > room)
		return false;
	*ret = r;
	return true;
}

/* --- reading --- */

static int
open_file(struct trcread *r, int dir, uint64_t number)
{
	char name[TRC_NAME_LEN];
	struct stat st;
	*r = TRCREAD_NULL;
	r->buf = BUF_INIT(TRC_PAYLOAD_MAX + WINDOW);
	trc_name(name, number, "trc");
	r->fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (r->fd < 0)
		return -errno;
	int rc = fstat(r->fd, &st) < 0 ? -errno : 0;
	if (rc == 0 && (st.st_size < TRC_HEAD || (uint64_t)st.st_size > TRC_FILE_MAX))
		rc = -EBADMSG;
	if (rc == 0) {
		r->size = (uint64_t)st.st_size;
		trcread_range(r, TRC_HEAD, r->size);
	}
	return rc;
}

int
trcread_open(struct trcread *r, int dir, uint64_t number)
{
	unsigned char head[TRC_HEAD];
	int rc = open_file(r, dir, number);
	if (rc == 0)
		rc = pread_all(r->fd, head, sizeof(head), 0);
	if (rc == 0 && (!trc_head_get(head, &r->head) || r->head.number != number))
		rc = -EBADMSG;
	if (rc < 0)
		trcread_close(r);
	return rc;
}

int
trcread_open_of(struct trcread *r, int dir, uint64_t number, const unsigned char id[STORE_ID_LEN])
{
	int rc = open_file(r, dir, number);
	memcpy(r->head.id, id, STORE_ID_LEN);
	if (rc < 0)
		trcread_close(r);
	return rc;
}

void
trcread_range(struct trcread *r, uint64_t from, uint64_t to)
{
	r->off = r->end = from;
	r->to = MIN(to, r->size);
}

void
trcread_ahead(const struct trcread *r, uint64_t at, uint64_t n)
{
	(void)posix_fadvise(r->fd, (off_t)at, (off_t)n, POSIX_FADV_WILLNEED);
}

void
trcread_close(struct trcread *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	buf_done(&r->buf);
}

/* Makes the buffer hold n octets from off on; ahead: and more while it reads anyway. */
static int
want(struct trcread *r, uint64_t off, uint64_t n, uint64_t ahead)
{
	if (off >= r->base && off + n <= r->base + r->buf.len)
		return 0;
	uint64_t all = MIN(MAX(n, ahead), r->size - off);
	buf_reset(&r->buf);
	if (n > r->size - off)
		return -EIO;
	if (!buf_reserve(&r->buf, all))
		return -ENOMEM;
	int rc = pread_all(r->fd, r->buf.p, all, off);
	if (rc < 0)
		return rc;
	r->buf.len = all;
	r->base = off;
	return 0;
}

static int
take(struct trcread *r, uint64_t at, uint64_t ahead, struct trc_record *ret, struct str *payload)
{
	uint64_t room = at < r->size ? r->size - at : 0;
	struct trc_record h;
	if (room < TRC_RECORD_HEAD)
		return 0;
	int rc = want(r, at, TRC_RECORD_HEAD, ahead);
	if (rc < 0)
		return rc;
	if (!trc_record_get(r->buf.p + (at - r->base), at, room, r->head.id, &h))
		return 0;
	rc = want(r, at, trc_size(h.len), ahead);
	if (rc < 0)
		return rc;
	const char *p = r->buf.p + (at - r->base) + TRC_RECORD_HEAD;
	if (crc32c(0, p, h.len) != h.crc)
		return 0;
	*ret = h;
	*payload = str_n(p, h.len);
	return 1;
}

int
trcread_next(struct trcread *r, struct trc_record *ret, struct str *ret_payload)
{
	for (; r->off < r->to && r->off + TRC_RECORD_HEAD <= r->size; r->off += TRC_ALIGN) {
		int rc = take(r, r->off, WINDOW, ret, ret_payload);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		r->damaged += r->off - r->end;
		r->off += trc_size(ret->len);
		r->end = r->off;
		return 1;
	}
	return 0;
}

int
trcread_at(struct trcread *r, uint64_t at, struct trc_record *ret, struct str *ret_payload)
{
	return at % TRC_ALIGN == 0 && at >= TRC_HEAD ? take(r, at, TRC_AHEAD, ret, ret_payload) : 0;
}

/* --- files --- */

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static bool
number_of(const char *name, uint64_t *ret)
{
	struct str s = str_of(name);
	return s.len == NAME_DIGITS + 4 && str_ends(s, STR(".trc")) &&
	       num_hex(str_first(s, NAME_DIGITS), ret) && *ret > 0;
}

int
trc_list(int dir, uint64_t **ret, size_t *ret_n)
{
	uint64_t *p = NULL, number;
	size_t n = 0, cap = 0;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	errno = 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (!number_of(e->d_name, &number))
			continue;
		if (n == cap) {
			cap = cap ? cap * 2 : 64;
			p = xrealloc(p, cap * sizeof(*p));
		}
		p[n++] = number;
	}
	int rc = -errno;
	closedir(d);
	if (rc < 0) {
		free(p);
		return rc;
	}
	if (n)
		qsort(p, n, sizeof(*p), by_number);
	*ret = p;
	*ret_n = n;
	return 0;
}

/* --- the place --- */

void
trc_place_put(unsigned char out[TRC_PLACE_LEN], const struct trc_place *p)
{
	memcpy(out, PLACE_MAGIC, 8);
	be64_put(out + 8, p->number);
	be64_put(out + 16, p->size);
	be64_put(out + 24, p->lsn);
	be32_put(out + 32, crc32c(0, out, 32));
}

bool
trc_place_get(const unsigned char p[TRC_PLACE_LEN], struct trc_place *ret)
{
	if (memcmp(p, PLACE_MAGIC, 8) != 0 || be32_get(p + 32) != crc32c(0, p, 32))
		return false;
	*ret = (struct trc_place){ be64_get(p + 8), be64_get(p + 16), be64_get(p + 24) };
	return true;
}

#define READS_OF_PLACE 3

int
trc_place_read(int dir, struct trc_place *ret)
{
	unsigned char p[TRC_PLACE_LEN];
	int fd = openat(dir, "followed", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	struct stat st;
	int rc = fstat(fd, &st) < 0 ? -errno : st.st_size == 0 ? -ENOENT : -EBADMSG;
	/* A recorder may be writing to it at this moment. */
	for (int i = 0; i < READS_OF_PLACE && rc == -EBADMSG; i++) {
		rc = pread_all(fd, p, sizeof(p), 0);
		if (rc == -EIO || (rc == 0 && !trc_place_get(p, ret)))
			rc = -EBADMSG;
	}
	close(fd);
	return rc;
}
