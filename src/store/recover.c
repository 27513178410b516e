/*
 * Opening the writer: find the log's end, make the index agree with it, clean what a crash left
 * behind it, and finish the letters that were named but not done.
 */
#include "store/recover_priv.h"

#include "base/check.h"
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- segments --- */

/* The segments that were found. */
struct found {
	uint64_t *seqs;
	size_t n;
	struct seg_entry *segs; /* their sizes */
	uint64_t solid;         /* from this one on there is no gap */
	bool old;               /* one is of an older format */
};

/* All segments must be of one store. Takes the store's id from the first. */
static int
check_segments(struct emb *e, struct found *f, struct buf *err)
{
	f->segs = xalloc(f->n * sizeof(*f->segs));
	f->solid = f->seqs[0];
	for (size_t i = 0; i < f->n; i++) {
		struct seg_head h;
		int fd = seg_open(e->log, f->seqs[i], O_RDONLY, &h);
		if (fd < 0)
			return recover_segment_bad(err, fd, f->seqs[i]);
		close(fd);
		if (i == 0)
			memcpy(e->id, h.id, STORE_ID_LEN);
		if (memcmp(e->id, h.id, STORE_ID_LEN) != 0)
			return recover_segment_bad(err, -EBADMSG, f->seqs[i]);
		if (i > 0 && f->seqs[i] != f->seqs[i - 1] + 1)
			f->solid = f->seqs[i];
		f->segs[i] = (struct seg_entry){ h.seq, h.size };
		f->old |= h.format != SEG_FORMAT;
	}
	return 0;
}

/* Freed segments leave gaps, but only below the last checkpoint: from there on the log must be
 * whole, and without a checkpoint all of it. */
static int
check_gaps(const struct found *f, const struct checkpoint *cp, struct buf *err)
{
	uint64_t first = cp->lsn ? lsn_seq(cp->begin) : 1;
	if (f->solid <= first)
		return 0;
	return recover_segment_bad(err, -ENOENT, f->solid - 1);
}

/* What a killed process has named, made or taken away may not be on the disk yet. */
static int
settle_names(const struct emb *e)
{
	const int dirs[] = { e->blob, e->log, e->dir };
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (fsync(dirs[i]) < 0)
			return -errno;
	return 0;
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
		rc = tail_look(e, r.fd, r.head.seq, r.off, lsn_off(to), &t);
	logread_close(&r);
	*ret = !gap || t.dirty;
	return rc;
}

/* From the last checkpoint, or else from the log's first segment. */
static int
index_anew(struct emb *e, const char *dir, const char *path, const struct checkpoint *cp,
    struct index_meta *ret)
{
	struct index_meta m = { .format = INDEX_FORMAT,
		.applied = cp->lsn ? cp->begin : lsn_of(1, SEG_HEAD),
		.checkpoint = *cp,
		.rebuild = cp->lsn };
	memcpy(m.id, e->id, STORE_ID_LEN);
	int r = index_remove(e->dir);
	if (r == 0)
		r = index_create(e->dir, dir, e->o.map_bytes, &m);
	if (r == 0)
		r = index_open(&e->ix, path, e->o.map_bytes, false, ret);
	return r;
}

/* Nobody else has it open: a copy without free pages, if that is worth it. */
static int
shrink(struct emb *e, const char *dir, const char *path, struct index_meta *ret)
{
	if (!index_is_hollow(&e->ix, e->o.shrink_bytes))
		return 0;
	int r = index_shrink(&e->ix, e->dir, dir);
	LOG(r < 0 ? LOG_WARN : LOG_INFO, 0, "index-shrunk", LOGZ("outcome", strerror(-r)));
	return index_open(&e->ix, path, e->o.map_bytes, false, ret);
}

/* Can this index be brought up to date? One that is so old that the log it needs has been freed
 * cannot. */
static bool
of_this_log(const struct emb *e, const struct found *f, const struct index_meta *m)
{
	return memcmp(m->id, e->id, STORE_ID_LEN) == 0 && lsn_seq(m->applied) >= f->solid;
}

/* Opens the index; one that is missing, damaged, of another format or another store's is made
 * anew. */
static int
open_index(struct emb *e, const char *dir, const char *path, const struct found *f,
    struct index_meta *ret, struct buf *err)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	/* Nobody has the index open: its lock file is stale, whatever stands in it. */
	bool cold = fcntl(e->readers, F_OFD_SETLK, &whole) == 0;
	if (cold && unlinkat(e->dir, "index/lock.mdb", 0) < 0 && errno != ENOENT)
		return -errno;
	int r = index_sweep(e->dir);
	if (r < 0)
		return r;
	r = -ENOENT;
	if (!e->o.rebuild_index)
		r = index_open(&e->ix, path, e->o.map_bytes, false, ret);
	if (r == 0 && !of_this_log(e, f, ret)) {
		index_close(&e->ix);
		r = -EBADMSG;
	}
	if (r == 0 && cold)
		r = shrink(e, dir, path, ret);
	if (r == 0) {
		r = check_gaps(f, &ret->checkpoint, err);
	} else if (r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT) {
		struct checkpoint cp;
		if (!e->fresh)
			LOG(LOG_INFO, 0, "index-rebuild", LOGZ("why", strerror(-r)));
		r = checkpoint_find(e, f->seqs, f->n, &cp);
		if (r == 0)
			r = check_gaps(f, &cp, err);
		if (r == 0)
			r = index_anew(e, dir, path, &cp, ret);
		if (r == -ENOSPC && reserve_release(e))
			r = index_anew(e, dir, path, &cp, ret);
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
		return recover_segment_bad(err, e->seg_fd, e->seg_seq);
	e->seg_size = h.size;
	int r = tail_look(e, e->seg_fd, e->seg_seq, e->seg_off, h.size, &t);
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
		r = tail_clean(e->seg_fd, e->seg_off, e->seg_size);
	return r < 0 ? recover_segment_bad(err, r, e->seg_seq) : 0;
}

/* What is written from here on may be of the new format, so an older program must not open it. */
static int
upgrade(struct emb *e, const struct found *f)
{
	int r = 0;
	for (size_t i = 0; r == 0 && f->old && i < f->n; i++)
		if (f->seqs[i] >= e->seg_seq)
			r = seg_upgrade(e->log, f->seqs[i]);
	return r;
}

/* What the threads begin with. */
static int
take_stock(struct emb *e, const struct found *f, struct buf *err)
{
	struct stat st;
	e->spare_next = e->seg_seq + 1;
	for (size_t i = 0; i < f->n; i++) {
		if (f->seqs[i] <= e->seg_seq)
			segs_add(e, f->seqs[i], f->segs[i].size);
		else if (f->seqs[i] != e->spare_next || e->n_spares == SPARES_MAX)
			return recover_segment_bad(err, -ENOENT, e->spare_next);
		else
			e->spares[e->n_spares++] = e->spare_next++;
	}
	if (f->seqs[f->n - 1] < e->seg_seq)
		segs_add(e, e->seg_seq, e->seg_size);
	e->durable = e->applied = lsn_of(e->seg_seq, e->seg_off);
	e->checkpoint = e->ix.checkpoint;
	e->sums = e->ix.sums;
	e->max_blob = e->ix.max_blob;
	e->ix.n_gone = 0;
	e->reserve = fstatat(e->dir, "reserve", &st, AT_SYMLINK_NOFOLLOW) == 0;
	return 0;
}

static int
recover(struct emb *e, const char *dir, const char *path, struct found *f, struct buf *err)
{
	struct replay p = { .e = e, .err = err };
	bool reaches;
	int r = check_segments(e, f, err);
	if (r < 0)
		return r;
	r = seg_sweep(e->log);
	if (r == 0)
		r = settle_names(e);
	if (r < 0)
		return recover_say(err, r, "syncing the store's directories", "check the disk");
	r = open_index(e, dir, path, f, &p.meta, err);
	if (r < 0)
		return err->len ? r
		                : recover_say(err, r, "opening the index",
				      "check rights and space; removing the directory "
				      "`index` makes it anew");
	uint64_t from = p.meta.applied, last = f->seqs[f->n - 1];
	if (lsn_seq(from) > last)
		return recover_segment_bad(err, -ENOENT, lsn_seq(from));
	r = log_reaches(e, from, &reaches);
	if (r < 0)
		return recover_segment_bad(err, r, lsn_seq(from));
	if (!reaches) {
		buf_putf(err,
		    "the log ends before what the index holds: part of it is missing, or it was "
		    "restored from a backup; restore the whole log, or remove the directory "
		    "`index` to go on with the letters that are left");
		return -EBADMSG;
	}
	r = replay_run(&p, last);
	if (r == 0)
		r = open_end(e, f->seqs, f->n, err);
	if (r < 0)
		return r;
	r = upgrade(e, f);
	if (r < 0)
		return recover_say(err, r, "writing the new format's number", "check the disk");
	r = blobs_sweep(e);
	if (r < 0)
		return recover_say(err, r, "looking through blob/", "check rights and disk");
	return take_stock(e, f, err);
}

int
emb_recover(struct emb *e, const char *dir, struct buf *err)
{
	struct found f = { 0 };
	char *path = NULL;
	int r = seg_list(e->log, &f.seqs, &f.n);
	if (r == 0 && f.n == 0)
		r = -ENOENT;
	if (r < 0)
		return recover_say(err, r, "looking for segments in log/",
		    "restore them from a backup");
	if (asprintf(&path, "%s/index", dir) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = recover(e, dir, path, &f, err);
	free(path);
	free(f.seqs);
	free(f.segs);
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

/* One that is damaged has been told of; it keeps nobody else from their mail. */
static void
merge_redone(void *arg, const struct store_res *res)
{
	int *rc = arg;
	if (res->rc == -EIO && *rc == 0)
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
	if (in.n_views) {
		merge_redo(d->e->store, payload, merge_redone, &d->rc);
		return true;
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

struct leftovers {
	struct redo *redo;
	MDB_txn *txn;
	struct store_batch *b;
};

/* How far a merge was that is over: a crash came between the two. */
static bool
clean_one(void *arg, struct str key, struct str value)
{
	struct leftovers *l = arg;
	struct emb *e = l->redo->e;
	struct store_dom q = store_dom_queue(0);
	char open[DONE_KEY_LEN];
	struct str v;
	if (key.len != DONE_KEY_LEN)
		return true;
	queue_key(open, 'q', be64_get((const unsigned char *)key.p + 2));
	int r = index_get(&e->ix, l->txn, &q, str_n(open, sizeof(open)), &v);
	if (r == -ENOENT)
		store_del(l->b, key);
	return r == 0 || r == -ENOENT;
}

static int
clean_queue(struct redo *d, MDB_txn *txn)
{
	struct store_dom q = store_dom_queue(0);
	struct leftovers l = { d, txn, store_batch_new(d->e->store, &q) };
	int r = index_scan(&d->e->ix, txn, &q, STR("m|"), STR("m}"), STORE_BATCH_OPS_MAX, false,
	    clean_one, &l);
	if (r == 0 && l.b->n)
		store_commit(l.b, STORE_DURABLE, redone, &d->rc);
	else
		store_batch_free(l.b);
	return r;
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
		if (r == 0)
			r = clean_queue(&d, txn);
		mdb_txn_abort(txn);
	}
	int waited = store_wait(e->store);
	r = r < 0 ? r : waited < 0 ? waited : d.rc;
	return r < 0 ? recover_say(err, r, "delivering letters that a crash interrupted",
			   "check the disk and start again")
	             : 0;
}
