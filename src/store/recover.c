/*
 * Opening the writer: find the log's end, make the index agree with it, clean what a crash left
 * behind it, and finish the letters that were named but not done.
 */
#include "store/emb.h"

#include "base/check.h"
#include "log/log.h"
#include "store/logread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAIL_STEP (1u << 20)

static int
say(struct buf *err, int rc, const char *what, const char *remedy)
{
	buf_putf(err, "%s: %s; %s", what, strerror(-rc), remedy);
	return rc;
}

/* --- segments --- */

static int
segment_bad(struct buf *err, int rc, uint64_t seq)
{
	char name[SEG_NAME_LEN];
	seg_name(name, seq);
	if (rc == -EPROTONOSUPPORT)
		buf_putf(err, "log/%s was written by a newer version; use that version", name);
	else if (rc == -EBADMSG)
		buf_putf(err,
		    "log/%s is damaged; run `pennypost fsck` and restore it from a backup", name);
	else
		buf_putf(err, "log/%s: %s; check the directory's rights and disk", name,
		    strerror(-rc));
	return rc;
}

/* All segments must be of one store and without a gap. Takes the store's id from the first. */
static int
check_segments(struct emb *e, const uint64_t *seqs, size_t n, struct buf *err)
{
	for (size_t i = 0; i < n; i++) {
		struct seg_head h;
		int fd = seg_open(e->log, seqs[i], O_RDONLY, &h);
		if (fd < 0)
			return segment_bad(err, fd, seqs[i]);
		close(fd);
		if (i == 0)
			memcpy(e->id, h.id, STORE_ID_LEN);
		if (memcmp(e->id, h.id, STORE_ID_LEN) != 0)
			return segment_bad(err, -EBADMSG, seqs[i]);
		if (i > 0 && seqs[i] != seqs[i - 1] + 1)
			return segment_bad(err, -ENOENT, seqs[i - 1] + 1);
	}
	return 0;
}

/* --- the tail --- */

struct tail {
	bool dirty; /* something stands there */
	bool later; /* a frame of a later group: what stands before it had been synced */
};

static void
look(struct emb *e, const char *p, size_t n, size_t usable, uint64_t lsn, uint64_t end,
    struct tail *t)
{
	for (size_t i = 0; i < n; i += FRAME_ALIGN) {
		static const char zeros[FRAME_ALIGN];
		struct frame f;
		if (memcmp(p + i, zeros, MIN(n - i, sizeof(zeros))) == 0)
			continue;
		t->dirty = true;
		if (usable - i >= FRAME_HEAD &&
		    frame_head_get(p + i, lsn + i, SEG_SIZE_MAX, e->id, &f) == FRAME_OK &&
		    f.group > end)
			t->later = true;
	}
}

/* What stands from off to the end of the segment. */
static int
look_at_tail(struct emb *e, int fd, uint64_t seq, uint64_t off, uint64_t size, struct tail *ret)
{
	struct tail t = { 0 };
	char *p = xalloc(TAIL_STEP + FRAME_HEAD);
	int r = 0;
	for (uint64_t at = off; r == 0 && at < size; at += TAIL_STEP) {
		size_t n = MIN(size - at, (uint64_t)TAIL_STEP);
		size_t usable = MIN(size - at, (uint64_t)TAIL_STEP + FRAME_HEAD);
		r = pread_all(fd, p, usable, at);
		if (r == 0)
			look(e, p, n, usable, lsn_of(seq, at), off, &t);
	}
	free(p);
	if (r == 0)
		*ret = t;
	return r;
}

static int
clean_tail(int fd, uint64_t off, uint64_t size)
{
	char *zeros = xalloc(TAIL_STEP);
	int r = 0;
	for (; r == 0 && off < size; off += TAIL_STEP)
		r = pwrite_all(fd, zeros, MIN(size - off, (uint64_t)TAIL_STEP), off);
	free(zeros);
	return r < 0 ? r : fdatasync(fd) < 0 ? -errno : 0;
}

/* --- replay --- */

/* What a killed process wrote may be in the page cache alone; and after a sync that failed the
 * cache may hold what the disk has not got. What is read from here on is answered for, so it is
 * made durable, and read from the disk. */
static int
settle(int fd)
{
	if (fdatasync(fd) < 0)
		return -errno;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* The same for the names of segments and blobs. */
static int
settle_names(const struct emb *e)
{
	const int dirs[] = { e->blob, e->log, e->dir };
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (fsync(dirs[i]) < 0)
			return -errno;
	return 0;
}

struct replay {
	struct emb *e;
	struct logread r;
	struct index_write w;
	struct index_meta meta;
	bool open;
	struct buf *err;
};

static int
replay_commit(struct replay *p)
{
	if (!p->open)
		return 0;
	p->open = false;
	p->meta.applied = lsn_of(p->r.head.seq, p->r.off);
	return index_commit(&p->w, &p->meta);
}

static int
replay_frame(struct replay *p, const struct frame *f, struct str payload)
{
	int r = p->open ? 0 : index_begin(&p->e->ix, &p->w);
	if (r < 0)
		return r;
	p->open = true;
	return index_apply(&p->w, f, payload);
}

/* A body or a history with a wrong checksum in the middle of the log is one letter's damage,
 * which reading it reports; at the end of the log it is a torn write, and the end. */
static int
is_damage(struct replay *p, const struct frame *f, bool *ret)
{
	struct tail t;
	*ret = false;
	if (f->type != FRAME_BODY && f->type != FRAME_TRACE)
		return 0;
	int r = look_at_tail(p->e, p->r.fd, p->r.head.seq, p->r.off, p->r.head.size, &t);
	if (r < 0)
		return r;
	*ret = t.later;
	if (t.later)
		LOG(LOG_ERROR, 0, "store-damage", LOGZ("what", "a letter's frame"),
		    LOGN("lsn", f->lsn));
	return 0;
}

/* Replays one segment from where p->r stands. *ret_end: the log goes on in the next one. */
static int
replay_segment(struct replay *p, bool *ret_end)
{
	*ret_end = false;
	for (;;) {
		struct frame f;
		enum frame_state state;
		struct str payload;
		bool damage = false;
		int r = logread_head(&p->r, &f, &state);
		if (r < 0 || state != FRAME_OK)
			return r;
		r = logread_payload(&p->r, &f, &payload);
		if (r == -EBADMSG) {
			r = is_damage(p, &f, &damage);
			if (r < 0 || !damage)
				return r;
		} else if (r == 0) {
			r = replay_frame(p, &f, payload);
		}
		if (r < 0)
			return r;
		if (f.type == FRAME_END) {
			/* Not passed: what is applied next must find its way from here. */
			*ret_end = true;
			return 0;
		}
		logread_next(&p->r, &f);
		if (p->w.ops >= INDEX_OPS && (r = replay_commit(p)) < 0)
			return r;
	}
}

static int
replay_log(struct replay *p, uint64_t from, uint64_t last_seq)
{
	struct emb *e = p->e;
	uint64_t seq = lsn_seq(from), off = lsn_off(from);
	for (;;) {
		bool end;
		int r = logread_open(&p->r, e->log, seq, off);
		if (r == 0)
			r = settle(p->r.fd);
		if (r < 0) {
			logread_close(&p->r);
			return segment_bad(p->err, r, seq);
		}
		r = replay_segment(p, &end);
		e->seg_seq = seq;
		e->seg_off = p->r.off;
		if (r == 0 && end && seq < last_seq) {
			logread_close(&p->r);
			seq++;
			off = SEG_HEAD;
			continue;
		}
		if (r == 0)
			r = replay_commit(p);
		logread_close(&p->r);
		if (r < 0)
			return say(p->err, r, "replaying the log into the index",
			    "check the disk, run `pennypost fsck`");
		if (!end)
			return 0;
		struct seg_head h = { .seq = seq + 1, .size = e->o.segment_bytes };
		memcpy(h.id, e->id, STORE_ID_LEN);
		r = seg_create(e->log, &h);
		if (r < 0)
			return segment_bad(p->err, r, seq + 1);
		last_seq = ++seq;
		off = SEG_HEAD;
	}
}

/* --- index --- */

/* Is there a log up to `to`? An index that is ahead of it was made with another copy: writing
 * on from there would leave a gap that ends the log for everybody who reads it. Damage before
 * `to` is no gap; fsck tells it. */
static int
log_reaches(struct emb *e, uint64_t to, bool *ret)
{
	struct logread r;
	struct frame f;
	enum frame_state state = FRAME_OK;
	struct tail t = { 0 };
	int rc = logread_open(&r, e->log, lsn_seq(to), SEG_HEAD);
	while (rc == 0 && state == FRAME_OK && r.off < lsn_off(to)) {
		rc = logread_head(&r, &f, &state);
		if (rc == 0 && state == FRAME_OK)
			logread_next(&r, &f);
	}
	bool gap = rc == 0 && state != FRAME_OK && r.off < lsn_off(to);
	if (gap && lsn_off(to) <= r.head.size)
		rc = look_at_tail(e, r.fd, r.head.seq, r.off, lsn_off(to), &t);
	logread_close(&r);
	*ret = !gap || t.dirty;
	return rc;
}

static int
index_anew(struct emb *e, const char *dir, const char *path, uint64_t first_seq,
    struct index_meta *ret)
{
	struct index_meta m = { .format = INDEX_FORMAT, .applied = lsn_of(first_seq, SEG_HEAD) };
	memcpy(m.id, e->id, STORE_ID_LEN);
	int r = index_remove(e->dir);
	if (r == 0)
		r = index_create(e->dir, dir, e->o.map_bytes, &m);
	if (r == 0)
		r = index_open(&e->ix, path, e->o.map_bytes, false, ret);
	return r;
}

/* Opens the index; one that is missing, damaged, newer or another store's is made anew. */
static int
open_index(struct emb *e, const char *dir, const char *path, uint64_t first_seq,
    struct index_meta *ret)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	/* Nobody has the index open: its lock file is stale, whatever stands in it. */
	bool cold = fcntl(e->readers, F_OFD_SETLK, &whole) == 0;
	if (cold && unlinkat(e->dir, "index/lock.mdb", 0) < 0 && errno != ENOENT)
		return -errno;
	int r = index_open(&e->ix, path, e->o.map_bytes, false, ret);
	if (r == 0 && memcmp(ret->id, e->id, STORE_ID_LEN) != 0) {
		index_close(&e->ix);
		r = -EBADMSG;
	}
	if (r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT) {
		if (!e->fresh)
			LOG(LOG_INFO, 0, "index-rebuild", LOGZ("why", strerror(-r)));
		r = index_anew(e, dir, path, first_seq, ret);
	}
	whole.l_type = F_RDLCK;
	fcntl(e->readers, F_OFD_SETLK, &whole);
	return r;
}

/* --- all of it --- */

static int
open_end(struct emb *e, const uint64_t *seqs, size_t n, struct buf *err)
{
	struct seg_head h;
	struct tail t;
	e->seg_fd = seg_open(e->log, e->seg_seq, O_RDWR, &h);
	if (e->seg_fd < 0)
		return segment_bad(err, e->seg_fd, e->seg_seq);
	e->seg_size = h.size;
	int r = look_at_tail(e, e->seg_fd, e->seg_seq, e->seg_off, h.size, &t);
	/* A segment is begun only when the one before has its end. */
	for (size_t i = 0; i < n && r == 0 && !t.later; i++) {
		unsigned char head[FRAME_HEAD];
		static const unsigned char zeros[FRAME_HEAD];
		if (seqs[i] <= e->seg_seq)
			continue;
		int fd = seg_open(e->log, seqs[i], O_RDONLY, &h);
		r = fd < 0 ? fd : pread_all(fd, head, sizeof(head), SEG_HEAD);
		if (r == 0)
			t.later = memcmp(head, zeros, sizeof(head)) != 0;
		if (fd >= 0)
			close(fd);
	}
	if (r == 0 && t.later) {
		buf_putf(err,
		    "the log is damaged in segment %08llx at octet %llu, before letters that were "
		    "acknowledged; run `pennypost fsck` and restore the log from a backup",
		    (unsigned long long)e->seg_seq, (unsigned long long)e->seg_off);
		return -EBADMSG;
	}
	if (r == 0 && t.dirty)
		r = clean_tail(e->seg_fd, e->seg_off, e->seg_size);
	return r < 0 ? segment_bad(err, r, e->seg_seq) : 0;
}

static int
recover(struct emb *e, const char *dir, const char *path, const uint64_t *seqs, size_t n,
    struct buf *err)
{
	struct replay p = { .e = e, .err = err };
	int r = check_segments(e, seqs, n, err);
	if (r < 0)
		return r;
	r = settle_names(e);
	if (r < 0)
		return say(err, r, "syncing the store's directories", "check the disk");
	r = open_index(e, dir, path, seqs[0], &p.meta);
	if (r < 0)
		return say(err, r, "opening the index",
		    "check rights and space; removing the directory "
		    "`index` makes it anew");
	uint64_t from = p.meta.applied;
	bool reaches;
	if (lsn_seq(from) < seqs[0] || lsn_seq(from) > seqs[n - 1])
		return segment_bad(err, -ENOENT, lsn_seq(from));
	r = log_reaches(e, from, &reaches);
	if (r < 0)
		return segment_bad(err, r, lsn_seq(from));
	if (!reaches) {
		buf_putf(err,
		    "the log ends before what the index holds: part of it is missing, or it was "
		    "restored from a backup; restore the whole log, or remove the directory "
		    "`index` to go on with the letters that are left");
		return -EBADMSG;
	}
	r = replay_log(&p, from, seqs[n - 1]);
	if (p.open)
		index_abort(&p.w);
	if (r < 0)
		return r;
	r = open_end(e, seqs, n, err);
	if (r < 0)
		return r;
	r = blobs_sweep(e);
	if (r < 0)
		return say(err, r, "looking through blob/", "check rights and disk");
	e->durable = e->applied = lsn_of(e->seg_seq, e->seg_off);
	e->segments = e->seg_seq - seqs[0] + 1;
	bool ready = seqs[n - 1] > e->seg_seq;
	e->spare = ready ? e->seg_seq + 1 : 0;
	e->spare_next = ready ? 0 : e->seg_seq + 1;
	e->segments += ready;
	return 0;
}

int
emb_recover(struct emb *e, const char *dir, struct buf *err)
{
	uint64_t *seqs = NULL;
	size_t n = 0;
	char *path = NULL;
	int r = seg_list(e->log, &seqs, &n);
	if (r == 0 && n == 0)
		r = -ENOENT;
	if (r < 0)
		return say(err, r, "looking for segments in log/", "restore them from a backup");
	if (asprintf(&path, "%s/index", dir) < 0) {
		free(seqs);
		return -ENOMEM;
	}
	r = recover(e, dir, path, seqs, n, err);
	free(path);
	free(seqs);
	return r;
}

/* --- letters named, not done --- */

struct redo {
	struct emb *e;
	int rc;
};

static void
redone(void *arg, const struct store_res *res)
{
	int *rc = arg;
	if (res->rc < 0 && *rc == 0)
		*rc = res->rc;
}

static bool
redo_one(void *arg, struct str key, struct str payload)
{
	struct redo *d = arg;
	struct intent in;
	if (!intent_get(payload, &in)) {
		d->rc = -EBADMSG;
		return false;
	}
	struct request *r = request_new(REQ_REDO, redone, &d->rc);
	r->letter = xalloc(sizeof(*r->letter));
	*r->letter = (struct letter){ .letter = in.letter,
		.time_ms = in.time_ms,
		.buf = BUF_INIT(payload.len),
		.intent_len = payload.len };
	buf_puts(&r->letter->buf, payload);
	check(!r->letter->buf.failed);
	store_submit(d->e->store, r);
	return true;
}

int
emb_redo(struct emb *e, struct buf *err)
{
	struct redo d = { .e = e };
	struct store_dom dom = store_dom_queue(0);
	MDB_txn *txn;
	int r = index_errno(mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &txn));
	if (r == 0) {
		r = index_scan(&e->ix, txn, &dom, STR("q|"), STR("q}"), 0, false, redo_one, &d);
		mdb_txn_abort(txn);
	}
	int waited = store_wait(e->store);
	r = r < 0 ? r : waited < 0 ? waited : d.rc;
	return r < 0 ? say(err, r, "delivering letters that a crash interrupted",
			   "check the disk and start again")
	             : 0;
}
