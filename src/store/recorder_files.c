/* The recorder's files: opened and repaired, written, sealed, removed. */
#include "store/recorder_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "sys/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_MAX (TRC_PAYLOAD_MAX + (1u << 20))

/* --- opening --- */

int
recorder_dir_open(struct recorder *r)
{
	int at = r->e->dir;
	if (mkdirat(at, "trace", 0700) < 0 && errno != EEXIST)
		return -errno;
	r->dir = openat(at, "trace", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return r->dir < 0 || fsync(at) < 0 ? -errno : 0;
}

static void
sealed_add(struct recorder *r, uint64_t number, uint64_t octets, uint64_t last_ms)
{
	if (r->n_sealed == r->cap_sealed) {
		r->cap_sealed = r->cap_sealed ? r->cap_sealed * 2 : 32;
		r->sealed = xrealloc(r->sealed, r->cap_sealed * sizeof(*r->sealed));
	}
	r->sealed[r->n_sealed++] = (struct sealed){ number, octets, last_ms };
}

/* What is known of a file that has no records yet. */
static void
head_of(const struct recorder *r, struct table_head *h, uint64_t number)
{
	*h = (struct table_head){ .number = number, .size = TRC_HEAD, .first_ms = UINT64_MAX };
	memcpy(h->id, r->e->id, STORE_ID_LEN);
}

/* Its head alone. 0, -ENOENT, -EBADMSG or -errno. */
static int
read_table(const struct recorder *r, uint64_t number, struct table_head *ret)
{
	struct table *t = xalloc(sizeof(*t));
	int rc = table_open(t, r->dir, number);
	if (rc == 0) {
		rc = table_load(t);
		*ret = t->head;
		table_close(t);
	}
	free(t);
	return rc;
}

static int
scan(struct recorder *r, uint64_t number, struct table_head *h, struct contents *c)
{
	uint64_t damaged = 0;
	head_of(r, h, number);
	int rc = contents_of_file(r->dir, h, c, &damaged);
	if (rc == 0 && damaged)
		LOG(LOG_ERROR, 0, "trace-damaged", LOGN("file", number), LOGN("octets", damaged));
	return rc;
}

/* A file that is not one of ours is set aside. */
static void
set_aside(struct recorder *r, uint64_t number)
{
	char name[TRC_NAME_LEN], bad[TRC_NAME_LEN];
	trc_name(name, number, "trc");
	trc_name(bad, number, "bad");
	LOG(LOG_ERROR, 0, "trace-damaged", LOGZ("file", name), LOGZ("then", bad));
	(void)renameat(r->dir, name, r->dir, bad);
	trc_name(name, number, "idx");
	(void)unlinkat(r->dir, name, 0);
}

/* Is it a file of this store? 0, -ENOENT, -EBADMSG or -errno. */
static int
read_head(const struct recorder *r, uint64_t number, uint64_t *ret_size)
{
	struct trcread f;
	int rc = trcread_open(&f, r->dir, number);
	if (rc < 0)
		return rc;
	*ret_size = f.size;
	if (memcmp(f.head.id, r->e->id, STORE_ID_LEN) != 0)
		rc = -EBADMSG;
	trcread_close(&f);
	return rc;
}

static int
open_sealed(struct recorder *r, uint64_t number)
{
	struct table_head h;
	struct contents c = { 0 };
	uint64_t size = 0;
	int rc = read_head(r, number, &size);
	/* A table may be that of the file as it was another time. */
	if (rc == 0 && (read_table(r, number, &h) < 0 || h.size != size)) {
		rc = scan(r, number, &h, &c);
		if (rc == 0 && table_write(r->dir, &h, &c) < 0)
			LOG(LOG_WARN, 0, "trace-table-failed", LOGN("file", number));
		contents_done(&c);
	}
	if (rc == -EBADMSG) {
		set_aside(r, number);
		return 0;
	}
	if (rc == 0) {
		sealed_add(r, number, h.size + table_octets(&h), h.last_ms);
		r->at = MAX(r->at, h.lsn);
	}
	return rc;
}

/* A power loss may take any part of what was not synced, not only the end. That is of one segment,
 * which the log still has; so the file is written anew from the gap on. Other gaps are damage. */
static int
cut_at_gap(struct recorder *r, uint64_t number)
{
	struct trcread f;
	struct trc_record rec;
	struct str payload;
	char name[TRC_NAME_LEN];
	int rc = trcread_open(&f, r->dir, number);
	if (rc < 0)
		return rc;
	uint64_t end = TRC_HEAD;
	while ((rc = trcread_next(&f, &rec, &payload)) == 1 && f.damaged == 0)
		end = f.end;
	trcread_close(&f);
	if (rc <= 0 || lsn_seq(rec.lsn) != lsn_seq(r->now.lsn) ||
	    !segs_have(r->e, lsn_seq(rec.lsn)))
		return MIN(rc, 0);
	trc_name(name, number, "trc");
	int fd = openat(r->dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	rc = fd < 0 || ftruncate(fd, (off_t)end) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (rc == 0)
		LOG(LOG_WARN, 0, "trace-repaired", LOGN("file", number), LOGN("from", end));
	return rc;
}

/* The one that was written to last; what stands behind its last whole record goes. */
static int
open_last(struct recorder *r, uint64_t number, uint64_t *ret_cut)
{
	char name[TRC_NAME_LEN];
	struct stat st;
	uint64_t damaged = 0;
	trc_name(name, number, "trc");
	head_of(r, &r->now, number);
	int rc = contents_of_file(r->dir, &r->now, &r->contents, &damaged);
	if (rc == 0 && damaged && (rc = cut_at_gap(r, number)) == 0) {
		contents_reset(&r->contents);
		rc = scan(r, number, &r->now, &r->contents);
	}
	if (rc == -EBADMSG) {
		set_aside(r, number);
		r->now = (struct table_head){ .number = number };
		return 0;
	}
	if (rc == 0) {
		r->fd = openat(r->dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		rc = r->fd < 0 || fstat(r->fd, &st) < 0 ? -errno : 0;
	}
	if (rc == 0 && (uint64_t)st.st_size > r->now.size) {
		*ret_cut = (uint64_t)st.st_size - r->now.size;
		rc = ftruncate(r->fd, (off_t)r->now.size) < 0 ? -errno : 0;
	}
	r->at = MAX(r->at, r->now.lsn);
	return rc;
}

/* What crashes have left of tables. */
static void
sweep(struct recorder *r)
{
	int fd = openat(r->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (str_ends(str_of(e->d_name), STR(".new")))
			(void)unlinkat(r->dir, e->d_name, 0);
	closedir(d);
}

static int
open_files(struct recorder *r, uint64_t *ret_cut)
{
	uint64_t *numbers = NULL;
	size_t n = 0;
	int rc = trc_list(r->dir, &numbers, &n);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		/* Has the last file its table already? Then the next one was not begun. */
		struct table_head h;
		bool last = i + 1 == n && read_table(r, numbers[i], &h) < 0;
		rc = last ? open_last(r, numbers[i], ret_cut) : open_sealed(r, numbers[i]);
		r->now.number = numbers[i];
	}
	free(numbers);
	return rc;
}

int
recorder_files_open(struct recorder *r, uint64_t durable, uint64_t *ret_cut)
{
	struct trc_place place;
	sweep(r);
	int rc = open_files(r, ret_cut);
	if (rc < 0)
		return rc;
	bool told = trc_place_read(r->dir, &place) == 0;
	/* All files were too old: their numbers, and what they held, do not come again. */
	if (told && r->now.number == 0)
		r->now.number = place.number;
	/* It says more than the last record does, when what it was written behind is there. */
	if (told && (place.number < r->now.number || (place.number == r->now.number &&
							 (r->fd < 0 || place.size <= r->now.size))))
		r->at = MAX(r->at, place.lsn);
	r->at = MIN(r->at, durable);
	r->place_fd = openat(r->dir, "followed", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (r->place_fd < 0)
		return -errno;
	r->unsynced = r->fd >= 0;
	return recorder_settle(r);
}

void
recorder_files_close(struct recorder *r)
{
	int *const fds[] = { &r->fd, &r->place_fd, &r->dir };
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	free(r->sealed);
	contents_done(&r->contents);
	buf_done(&r->out);
}

/* --- writing --- */

static int
begin_file(struct recorder *r)
{
	char name[TRC_NAME_LEN], table[TRC_NAME_LEN];
	unsigned char head[TRC_HEAD];
	struct trc_head h = {
		.number = r->now.number + 1, .made_ms = (uint64_t)sys_wall_ms(), .lsn = r->at
	};
	memcpy(h.id, r->e->id, STORE_ID_LEN);
	trc_head_put(head, &h);
	trc_name(name, h.number, "trc");
	int fd = openat(r->dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = fd < 0 ? -errno : pwrite_all(fd, head, sizeof(head), 0);
	/* One that stands there already is of another file with this number. */
	trc_name(table, h.number, "idx");
	if (rc == 0 && unlinkat(r->dir, table, 0) < 0 && errno != ENOENT)
		rc = -errno;
	if (rc == 0 && (fdatasync(fd) < 0 || fsync(r->dir) < 0))
		rc = -errno;
	if (rc < 0) {
		if (fd >= 0) {
			close(fd);
			(void)unlinkat(r->dir, name, 0);
		}
		return rc;
	}
	r->fd = fd;
	contents_reset(&r->contents);
	head_of(r, &r->now, h.number);
	return 0;
}

static void
end_file(struct recorder *r)
{
	sealed_add(r, r->now.number, r->now.size + table_octets(&r->now), r->now.last_ms);
	close(r->fd);
	r->fd = -1;
}

/* A file without a table is found all the same, and gets one at the next start. */
int
recorder_seal(struct recorder *r)
{
	int rc = recorder_flush(r);
	if (rc == 0)
		rc = recorder_settle(r);
	if (rc < 0)
		return rc;
	r->now.lsn = r->at;
	rc = table_write(r->dir, &r->now, &r->contents);
	if (rc < 0)
		LOG(LOG_WARN, 0, "trace-table-failed", LOGN("file", r->now.number),
		    LOGZ("error", strerror(-rc)));
	end_file(r);
	return 0;
}

int
recorder_add(struct recorder *r, uint64_t lsn, struct str payload, const struct trace_payload *t)
{
	uint64_t size = trc_size(payload.len);
	if (payload.len > TRC_PAYLOAD_MAX)
		return -EFBIG;
	if (r->fd >= 0 && r->now.size + r->out.len > TRC_HEAD &&
	    r->now.size + r->out.len + size > r->file_bytes) {
		int rc = recorder_seal(r);
		if (rc < 0)
			return rc;
	}
	if (r->fd < 0) {
		int rc = begin_file(r);
		if (rc < 0)
			return rc;
	}
	r->out.max = OUT_MAX;
	uint64_t at = r->now.size + r->out.len;
	size_t was = r->out.len;
	trc_record_put(&r->out, at, lsn, r->e->id, payload);
	if (r->out.failed) {
		r->out.failed = false;
		buf_trunc(&r->out, was);
		return -ENOMEM;
	}
	contents_add(&r->contents, &r->now, at, t);
	r->records++;
	return 0;
}

int
recorder_flush(struct recorder *r)
{
	if (!r->out.len)
		return 0;
	int rc = pwrite_all(r->fd, r->out.p, r->out.len, r->now.size);
	if (rc < 0)
		return rc;
	r->now.size += r->out.len;
	r->unsynced = true;
	if (r->out.cap > (4u << 20))
		buf_done(&r->out);
	else
		buf_reset(&r->out);
	return 0;
}

void
recorder_drop(struct recorder *r)
{
	buf_reset(&r->out);
	if (r->fd < 0)
		return;
	(void)!ftruncate(r->fd, (off_t)r->now.size); /* of it a part may be there */
	contents_reset(&r->contents);
	if (scan(r, r->now.number, &r->now, &r->contents) < 0)
		end_file(r);
}

int
recorder_settle(struct recorder *r)
{
	if (r->unsynced && r->fd >= 0 && fdatasync(r->fd) < 0)
		return -errno;
	r->unsynced = false;
	return 0;
}

int
recorder_place(struct recorder *r)
{
	unsigned char p[TRC_PLACE_LEN];
	trc_place_put(p, &(struct trc_place){ r->now.number, r->now.size, r->at });
	return pwrite_all(r->place_fd, p, sizeof(p), 0);
}

/* --- removing --- */

static void
remove_file(struct recorder *r, uint64_t number)
{
	char name[TRC_NAME_LEN];
	trc_name(name, number, "trc");
	/* A table without its file means nothing; a file without its table costs time. */
	if (unlinkat(r->dir, name, 0) < 0 && errno != ENOENT)
		LOG(LOG_WARN, 0, "trace-not-removed", LOGZ("file", name),
		    LOGZ("error", strerror(errno)));
	trc_name(name, number, "idx");
	(void)unlinkat(r->dir, name, 0);
}

bool
recorder_shed(struct recorder *r, uint64_t size, uint64_t before_ms, bool force)
{
	uint64_t all = r->fd >= 0 ? r->now.size : 0;
	size_t n = 0;
	for (size_t i = 0; i < r->n_sealed; i++)
		all += r->sealed[i].octets;
	while (n < r->n_sealed &&
	       (all > size || r->sealed[n].last_ms < before_ms || (force && n == 0))) {
		all -= r->sealed[n].octets;
		remove_file(r, r->sealed[n++].number);
	}
	r->n_sealed -= n;
	if (n && r->n_sealed)
		memmove(r->sealed, r->sealed + n, r->n_sealed * sizeof(*r->sealed));
	return n > 0;
}
