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

static uint64_t
table_octets(uint64_t n)
{
	return TABLE_HEAD + TABLE_FAN * 4ull + n * TABLE_ENTRY;
}

struct adding {
	struct digests *d;
	const unsigned char *id;
	uint64_t at;
};

static bool
add_key(void *arg, struct str key)
{
	struct adding *a = arg;
	digests_add(a->d, trace_key_digest(a->id, key), a->at);
	return true;
}

static void
index_record(struct table_head *h, struct digests *d, const unsigned char *id, uint64_t at,
    const struct trace_payload *t)
{
	struct adding a = { d, id, at };
	trace_keys_each(t, add_key, &a);
	h->first_ms = MIN(h->first_ms, t->time_ms);
	h->last_ms = MAX(h->last_ms, t->time_ms);
}

/* Reads a file from its beginning to its end; what a table would say of it. */
static int
scan(struct recorder *r, uint64_t number, struct table_head *h, struct digests *d)
{
	struct trcread f;
	struct trc_record rec;
	struct trace_payload t;
	struct str payload;
	int rc = trcread_open(&f, r->dir, number);
	if (rc == 0 && memcmp(f.head.id, r->e->id, STORE_ID_LEN) != 0)
		rc = -EBADMSG;
	*h = (struct table_head){ .number = number, .first_ms = UINT64_MAX };
	if (rc == 0)
		h->lsn = f.head.lsn;
	while (rc == 0 && (rc = trcread_next(&f, &rec, &payload)) == 1) {
		rc = 0;
		if (trace_payload_get(payload, &t))
			index_record(h, d, r->e->id, rec.at, &t);
		h->lsn = MAX(h->lsn, rec.lsn + frame_size(rec.len));
	}
	h->size = f.end;
	if (rc == 0 && f.damaged)
		LOG(LOG_ERROR, 0, "trace-damaged", LOGN("file", number), LOGN("octets", f.damaged));
	trcread_close(&f);
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

static int
open_sealed(struct recorder *r, uint64_t number)
{
	struct table_head h;
	struct digests d = { 0 };
	int fd = table_open(r->dir, number, &h);
	int rc = MIN(fd, 0);
	if (fd >= 0)
		close(fd);
	if (rc == -ENOENT || rc == -EBADMSG) {
		rc = scan(r, number, &h, &d);
		h.n = (uint32_t)d.n;
		if (rc == 0 && table_write(r->dir, &h, &d) < 0)
			LOG(LOG_WARN, 0, "trace-table-failed", LOGN("file", number));
		digests_done(&d);
	}
	if (rc == -EBADMSG) {
		set_aside(r, number);
		return 0;
	}
	if (rc == 0) {
		sealed_add(r, number, h.size + table_octets(h.n), h.last_ms);
		r->at = MAX(r->at, h.lsn);
	}
	return rc;
}

/* The one that was written to last; what stands behind its last whole record goes. */
static int
open_last(struct recorder *r, uint64_t number, uint64_t *ret_cut)
{
	char name[TRC_NAME_LEN];
	struct stat st;
	trc_name(name, number, "trc");
	int rc = scan(r, number, &r->now, &r->digests);
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

/* Has the last file its table already? Then the next one was not begun. */
static bool
has_table(struct recorder *r, uint64_t number)
{
	struct table_head h;
	int fd = table_open(r->dir, number, &h);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int
open_files(struct recorder *r, uint64_t *ret_cut)
{
	uint64_t *numbers = NULL;
	size_t n = 0;
	int rc = trc_list(r->dir, &numbers, &n);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		bool last = i + 1 == n && !has_table(r, numbers[i]);
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
	/* It says more than the last record does, when what it was written behind is there. */
	if (trc_place_read(r->dir, &place) == 0 &&
	    (place.number < r->now.number ||
		(place.number == r->now.number && (r->fd < 0 || place.size <= r->now.size))))
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
	digests_done(&r->digests);
	buf_done(&r->out);
}

/* --- writing --- */

static int
begin_file(struct recorder *r)
{
	char name[TRC_NAME_LEN];
	unsigned char head[TRC_HEAD];
	struct trc_head h = {
		.number = r->now.number + 1, .made_ms = (uint64_t)sys_wall_ms(), .lsn = r->at
	};
	memcpy(h.id, r->e->id, STORE_ID_LEN);
	trc_head_put(head, &h);
	trc_name(name, h.number, "trc");
	int fd = openat(r->dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = fd < 0 ? -errno : pwrite_all(fd, head, sizeof(head), 0);
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
	r->digests.n = 0;
	r->now =
	    (struct table_head){ .number = h.number, .size = TRC_HEAD, .first_ms = UINT64_MAX };
	return 0;
}

/* A file without a table is found all the same, and gets one at the next start. */
static int
seal(struct recorder *r)
{
	int rc = recorder_flush(r);
	if (rc == 0)
		rc = recorder_settle(r);
	if (rc < 0)
		return rc;
	r->now.lsn = r->at;
	r->now.n = (uint32_t)r->digests.n;
	rc = table_write(r->dir, &r->now, &r->digests);
	if (rc < 0)
		LOG(LOG_WARN, 0, "trace-table-failed", LOGN("file", r->now.number),
		    LOGZ("error", strerror(-rc)));
	sealed_add(r, r->now.number, r->now.size + table_octets(r->now.n), r->now.last_ms);
	close(r->fd);
	r->fd = -1;
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
		int rc = seal(r);
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
	index_record(&r->now, &r->digests, r->e->id, at, t);
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
