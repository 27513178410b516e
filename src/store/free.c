/*
 * Giving space back. A segment or blob goes only when nothing refers to it, the commit that says
 * so is durable, no reader has an older snapshot and no pin is held. While that is found out the
 * log thread refuses whoever would refer to it again, so the answer stays true.
 */
#include "store/emb.h"

#include "base/check.h"
#include "base/num.h"
#include "log/log.h"
#include "store/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READERS_POLL_MS 10
#define READERS_WAIT_MS 5000 /* a snapshot is closed within a second */

/* --- what is used --- */

struct use {
	uint64_t seq;
	bool used;
};

static bool
is_user(void *arg, struct str key, struct str value)
{
	((struct use *)arg)->used = true;
	return false;
}

static bool
is_intent(void *arg, struct str key, struct str value)
{
	struct use *u = arg;
	struct intent in;
	u->used = !intent_get(value, &in) || lsn_seq(in.ref.lsn) == u->seq ||
	          (in.n_views && lsn_seq(in.views.lsn) == u->seq);
	return !u->used;
}

bool
segment_used(struct emb *e, uint64_t seq, int *ret_rc)
{
	struct store_dom d = index_dom_derived(), q = store_dom_queue(0);
	char from[REF_KEY_LEN], to[REF_KEY_LEN];
	struct use u = { .seq = seq };
	MDB_txn *txn;
	ref_key_put(from, &(struct body_user){ .lsn = lsn_of(seq, 0) });
	ref_key_put(to, &(struct body_user){ .lsn = lsn_of(seq + 1, 0) });
	int r = index_errno(mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &txn));
	if (r == 0) {
		r = index_scan(&e->ix, txn, &d, str_n(from, sizeof(from)), str_n(to, sizeof(to)), 1,
		    false, is_user, &u);
		if (r == 0 && !u.used)
			r = index_scan(&e->ix, txn, &q, STR("q|"), STR("q}"), 0, false, is_intent,
			    &u);
		mdb_txn_abort(txn);
	}
	*ret_rc = r;
	return r < 0 || u.used;
}

/* --- readers --- */

struct readers {
	uint64_t oldest; /* UINT64_MAX: nobody reads */
};

/* "pid thread txnid", or "-" for one that does not read now. */
static int
reader_line(const char *text, void *arg)
{
	struct readers *r = arg;
	struct str line = str_trim(str_of(text)), word = STR_NULL;
	uint64_t txn;
	for (int i = 0; i < 3; i++)
		word = str_word(&line);
	if (num_u64(word, UINT64_MAX, &txn) && txn < r->oldest)
		r->oldest = txn;
	return 0;
}

static bool
stopping(struct emb *e)
{
	mutex_lock(&e->m);
	bool stop = e->compact_stop || emb_poisoned(e);
	mutex_unlock(&e->m);
	return stop;
}

/* Until every snapshot is at least as new as what is committed now. */
static int
wait_for_readers(struct emb *e)
{
	MDB_envinfo info;
	int rc = mdb_env_info(e->ix.env, &info);
	if (rc != 0)
		return index_errno(rc);
	for (int ms = 0; ms < READERS_WAIT_MS && !stopping(e); ms += READERS_POLL_MS) {
		struct readers r = { UINT64_MAX };
		int dead;
		mdb_reader_check(e->ix.env, &dead);
		if (mdb_reader_list(e->ix.env, reader_line, &r) < 0)
			return -EIO;
		if (r.oldest >= info.me_last_txnid)
			return 0;
		mutex_lock(&e->m);
		cond_wait_ms(&e->compact_cond, &e->m, READERS_POLL_MS);
		mutex_unlock(&e->m);
	}
	return -EBUSY;
}

/* --- segments --- */

/* What a name is taken away of must not be copied just now. */
static bool
remove_begin(struct emb *e)
{
	mutex_lock(&e->m);
	bool free = e->pins == 0 && !e->compact_stop && !emb_poisoned(e);
	e->removing = free;
	mutex_unlock(&e->m);
	return free;
}

static void
remove_end(struct emb *e)
{
	mutex_lock(&e->m);
	e->removing = false;
	cond_broadcast(&e->pin_cond);
	mutex_unlock(&e->m);
}

/* For the preparation thread, or away with it. */
static int
hand_on(struct emb *e, const struct seg_entry *old)
{
	mutex_lock(&e->m);
	bool keep = e->n_pool < POOL && old->size == e->o.segment_bytes;
	if (keep) {
		e->pool[e->n_pool++] = *old;
		cond_signal(&e->prep_cond);
	}
	mutex_unlock(&e->m);
	/* One that stays is swept at the next start. */
	if (!keep)
		(void)seg_drop(e->log, old->seq);
	return 0;
}

static int
remove_segment(struct emb *e, uint64_t seq)
{
	struct seg_entry old;
	if (!remove_begin(e))
		return -EBUSY;
	mutex_lock(&e->m);
	/* Once more what must hold: the log is whole without it. */
	bool there = seq < lsn_seq(e->checkpoint.begin) && seq < lsn_seq(e->applied) &&
	             seq < lsn_seq(e->followed) && segs_remove(e, seq, &old);
	mutex_unlock(&e->m);
	int r = there ? seg_retire(e->log, seq) : -EBUSY;
	remove_end(e);
	if (there && r < 0)
		emb_poison(e, "taking a segment out of the log", r);
	return r < 0 ? r : hand_on(e, &old);
}

static int
retire(struct emb *e, uint64_t seq, const uint64_t *blobs, size_t n)
{
	struct task t = { .seq = seq, .blobs = blobs, .n_blobs = n };
	int r = applied_wait(e);
	if (r == 0)
		r = task_run(e, REQ_RETIRE, &t);
	return r < 0 ? r : applied_wait(e);
}

int
free_segment(struct emb *e, uint64_t seq)
{
	int rc;
	if (segment_used(e, seq, &rc))
		return rc < 0 ? rc : -EBUSY;
	int r = retire(e, seq, NULL, 0);
	compact_step(e, "retired");
	if (r == 0 && segment_used(e, seq, &rc))
		r = rc < 0 ? rc : -EBUSY;
	if (r == 0)
		r = wait_for_readers(e);
	if (r == 0)
		r = remove_segment(e, seq);
	compact_step(e, "freed");
	struct task none = { 0 };
	(void)task_run(e, REQ_RETIRE, &none);
	return r;
}

/* --- blobs --- */

struct blobs {
	uint64_t *p;
	size_t n;
};

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static bool
spare_intent(void *arg, struct str key, struct str value)
{
	struct blobs *b = arg;
	struct intent in;
	for (size_t i = 0; i < b->n && intent_get(value, &in); i++)
		if (b->p[i] == in.ref.blob || b->p[i] == in.views.blob)
			b->p[i] = 0;
	return true;
}

/* Keeps those that nobody refers to, sorted, each once. */
static int
sift(struct emb *e, struct blobs *b)
{
	struct store_dom q = store_dom_queue(0);
	MDB_txn *txn;
	size_t n = 0;
	int r = index_errno(mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	r = index_scan(&e->ix, txn, &q, STR("q|"), STR("q}"), 0, false, spare_intent, b);
	qsort(b->p, b->n, sizeof(*b->p), by_number);
	for (size_t i = 0; r == 0 && i < b->n; i++) {
		if (b->p[i] == 0 || (n && b->p[n - 1] == b->p[i]))
			continue;
		int used = index_blob_used(&e->ix, txn, b->p[i]);
		if (used < 0)
			r = used;
		else if (!used)
			b->p[n++] = b->p[i];
	}
	mdb_txn_abort(txn);
	if (r == 0)
		b->n = n;
	return r;
}

static int
remove_blobs(struct emb *e, const struct blobs *b)
{
	if (!remove_begin(e))
		return -EBUSY;
	for (size_t i = 0; i < b->n; i++)
		emb_blob_drop(e->store, b->p[i]);
	remove_end(e);
	return 0;
}

static void
keep_for_later(struct emb *e, const struct blobs *b)
{
	mutex_lock(&e->m);
	if (e->cap_gone - e->n_gone < b->n) {
		e->cap_gone = (e->n_gone + b->n) * 2;
		e->gone = xrealloc(e->gone, e->cap_gone * sizeof(*e->gone));
	}
	memcpy(e->gone + e->n_gone, b->p, b->n * sizeof(*b->p));
	e->n_gone += b->n;
	mutex_unlock(&e->m);
}

int
free_blobs(struct emb *e)
{
	mutex_lock(&e->m);
	struct blobs b = { e->gone, e->n_gone };
	e->gone = NULL;
	e->n_gone = e->cap_gone = 0;
	mutex_unlock(&e->m);
	struct task none = { 0 };
	int r = b.n ? sift(e, &b) : 0;
	if (r == 0 && b.n) {
		r = retire(e, 0, b.p, b.n);
		if (r == 0)
			r = sift(e, &b);
		if (r == 0)
			r = wait_for_readers(e);
		compact_step(e, "blobs");
		if (r == 0)
			r = remove_blobs(e, &b);
		(void)task_run(e, REQ_RETIRE, &none);
	}
	if (r < 0 && b.n)
		keep_for_later(e, &b);
	free(b.p);
	return r;
}
