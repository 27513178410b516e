/*
 * The compaction thread: what letters that are gone have taken is got back.
 *
 * Live is what records refer to (the index keeps the sum of each segment) and the last snapshot
 * of all other keys. When more than a share of the log (struct effort) is neither, the emptiest
 * segment below the last checkpoint is moved out and freed; when it is what was written since the
 * checkpoint that wastes most, a new one is made. A segment without anything live goes at once.
 *
 * Nothing here may write more than it frees, or a store would never come to rest: a segment is
 * left when moving it would take too much of its size, and a checkpoint is made only when half
 * as much as it writes has become free since the one before.
 */
#include "store/emb.h"

#include "base/check.h"
#include "base/wire.h"
#include "log/log.h"
#include "store/record.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define NICE 10
#define REST_MS 5000 /* without letters; then there is time for more */
#define GAIN_STEPS 16
#define TIRED_MS 30000
#define LEAST 2   /* segments of garbage that are never worth the work */
#define GROWTH 16 /* segments of log after which a checkpoint is made for its own sake */
#define PAUSE_MAX_MS 5000

/* How much is done, in percent. */
struct effort {
	unsigned garbage; /* of the log: so much is suffered */
	unsigned empty;   /* of a segment that is moved: so much of it may be live */
	unsigned worth;   /* of a segment: so much may be written to free it */
};
static const struct effort effort_busy = { 33, 60, 75 }, effort_rest = { 6, 84, 91 },
			   effort_hard = { 10, 85, 90 };

struct seg_state {
	uint64_t seq, size, live;
	bool open; /* an intent that is not done needs it */
};

struct state {
	struct seg_state *seg;
	size_t n;
	struct checkpoint cp;
	uint64_t durable, applied, followed;
	uint64_t total, live; /* octets of log, and of that what is needed */
	const struct effort *effort;
	uint64_t unit; /* size of a segment */
};

/* What the thread remembers. */
struct keeper {
	struct emb *e;
	uint64_t *alone; /* segments that are left alone: damaged, say */
	size_t n_alone, cap_alone;
	bool no_checkpoint;
	uint64_t letters; /* that had come when last looked */
	int64_t rests_since;
	bool at_once; /* somebody waits for it */
	bool behind;  /* most of the log is garbage */
	/* What it came to: work that gains nothing is not gone on with. */
	unsigned steps;
	uint64_t garbage; /* when they were begun to be counted */
	int64_t tired_until;
};

void
compact_step(struct emb *e, const char *what)
{
	if (e->step)
		e->step(e->step_arg, what);
}

/* --- how things stand --- */

static struct seg_state *
seg_of(struct state *s, uint64_t seq)
{
	for (size_t lo = 0, hi = s->n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->seg[mid].seq == seq)
			return &s->seg[mid];
		if (s->seg[mid].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool
take_live(void *arg, struct str key, struct str value)
{
	struct state *s = arg;
	if (key.len != LIVE_KEY_LEN || value.len != 8)
		return true;
	struct seg_state *seg = seg_of(s, be64_get((const unsigned char *)key.p + 2));
	uint64_t live = be64_get((const unsigned char *)value.p);
	if (seg)
		seg->live = live;
	s->live += live;
	return true;
}

static bool
take_intent(void *arg, struct str key, struct str value)
{
	struct intent in;
	if (!intent_get(value, &in))
		return true;
	const uint64_t seqs[] = { lsn_seq(in.ref.lsn), lsn_seq(in.views.lsn) };
	for (size_t i = 0; i < ARRAY_LEN(seqs); i++) {
		struct seg_state *seg = seg_of(arg, seqs[i]);
		if (seg)
			seg->open = true;
	}
	return true;
}

static void
state_copy(struct emb *e, struct state *s)
{
	mutex_lock(&e->m);
	s->n = e->n_segs;
	s->seg = xalloc((s->n + 1) * sizeof(*s->seg));
	for (size_t i = 0; i < s->n; i++)
		s->seg[i] = (struct seg_state){ .seq = e->segs[i].seq, .size = e->segs[i].size };
	s->cp = e->checkpoint;
	s->durable = e->durable;
	s->applied = e->applied;
	s->followed = e->followed;
	if ((e->spare_failed && e->n_spares < SPARES) || e->index_full)
		s->effort = &effort_hard;
	s->unit = e->o.segment_bytes;
	mutex_unlock(&e->m);
	/* Of the one that is written, what is written. */
	if (s->n && s->seg[s->n - 1].seq == lsn_seq(s->durable))
		s->seg[s->n - 1].size = lsn_off(s->durable);
	for (size_t i = 0; i < s->n; i++)
		s->total += s->seg[i].size;
}

static const struct effort *
effort_now(struct keeper *k)
{
	uint64_t letters = __atomic_load_n(&k->e->group_letters, __ATOMIC_RELAXED);
	int64_t now = sys_mono_ms();
	if (letters != k->letters)
		k->rests_since = now;
	k->letters = letters;
	return k->at_once || now - k->rests_since >= REST_MS ? &effort_rest : &effort_busy;
}

static int
state_take(struct keeper *k, struct state *s)
{
	struct emb *e = k->e;
	struct store_dom d = index_dom_derived(), q = store_dom_queue(0);
	MDB_txn *txn;
	*s = (struct state){ .effort = effort_now(k) };
	state_copy(e, s);
	int r = index_errno(mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	r = index_scan(&e->ix, txn, &d, STR("L|"), STR("L}"), 0, false, take_live, s);
	if (r == 0)
		r = index_scan(&e->ix, txn, &q, STR("q|"), STR("q}"), 0, false, take_intent, s);
	mdb_txn_abort(txn);
	s->live += s->cp.octets;
	mutex_lock(&e->m);
	e->bytes_live = s->live;
	e->bytes_log = s->total;
	mutex_unlock(&e->m);
	return r;
}

/* --- what to do --- */

static bool
left_alone(const struct keeper *k, uint64_t seq)
{
	for (size_t i = 0; i < k->n_alone; i++)
		if (k->alone[i] == seq)
			return true;
	return false;
}

static void
leave_alone(struct keeper *k, uint64_t seq, int rc)
{
	if (k->n_alone == k->cap_alone) {
		k->cap_alone = k->cap_alone ? k->cap_alone * 2 : 8;
		k->alone = xrealloc(k->alone, k->cap_alone * sizeof(*k->alone));
	}
	k->alone[k->n_alone++] = seq;
	LOG(LOG_ERROR, 0, "segment-kept", LOGN("segment", seq), LOGZ("why", strerror(-rc)),
	    LOGZ("remedy", "run `pennypost fsck`"));
}

static uint64_t
garbage_of(const struct state *s)
{
	return s->total > s->live ? s->total - s->live : 0;
}

static bool
much_garbage(const struct state *s)
{
	uint64_t least = s->effort == &effort_hard ? s->unit : LEAST * s->unit;
	return garbage_of(s) > MAX(s->total / 100 * s->effort->garbage, least);
}

/* The emptiest segment that the log can be without, or NULL. */
static const struct seg_state *
emptiest(const struct keeper *k, const struct state *s)
{
	uint64_t end = MIN(MIN(lsn_seq(s->cp.begin), lsn_seq(s->applied)), lsn_seq(s->followed));
	const struct seg_state *best = NULL;
	for (size_t i = 0; i + 1 < s->n && s->seg[i].seq < end; i++) {
		const struct seg_state *x = &s->seg[i];
		if (x->open || left_alone(k, x->seq))
			continue;
		if (!best || x->live * (best->size >> 10) < best->live * (x->size >> 10))
			best = x;
	}
	return best;
}

/* Is what was written since the last checkpoint worth another one? */
static bool
checkpoint_due(const struct keeper *k, const struct state *s)
{
	uint64_t since = 0, live = s->cp.octets, before = 0;
	if (k->no_checkpoint)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		const struct seg_state *x = &s->seg[i];
		if (x->seq < lsn_seq(s->cp.begin)) {
			before += x->size;
			continue;
		}
		uint64_t skip = x->seq == lsn_seq(s->cp.begin) ? lsn_off(s->cp.begin) : 0;
		since += x->size - MIN(x->size, skip);
		live += x->live;
	}
	uint64_t waste = since > live ? since - live : 0;
	if (much_garbage(s) && waste > MAX(s->unit, s->cp.octets / 2))
		return true;
	/* So that a good part of the log can always be freed without writing. */
	return since > MAX(GROWTH * s->unit, before) && since > 4 * s->cp.octets;
}

/* --- doing it --- */

static bool
must_stop(struct emb *e)
{
	mutex_lock(&e->m);
	bool stop = e->compact_stop;
	mutex_unlock(&e->m);
	return stop || emb_poisoned(e);
}

static int
snap_all(struct emb *e, struct task *t)
{
	int r = 0;
	while (r == 0 && !t->end) {
		if (must_stop(e))
			return -EINTR;
		r = task_run(e, REQ_SNAP, t);
		compact_step(e, "snapped");
	}
	return r;
}

/* Every domain that has a batch below the beginning is in the index before the first is snapped,
 * and the index is what they are counted in. */
static int
make_checkpoint(struct emb *e)
{
	uint64_t now = (uint64_t)sys_wall_ms();
	struct task t = { .first = true,
		.from = BUF_INIT(STORE_KEY_MAX),
		.forget_ms = now > STORE_MARKER_AGE_MS ? now - STORE_MARKER_AGE_MS : 0 };
	mutex_lock(&e->m);
	uint64_t begin = e->durable;
	mutex_unlock(&e->m);
	int r = applied_wait(e);
	if (r == 0)
		r = snap_all(e, &t);
	buf_done(&t.from);
	mutex_lock(&e->m);
	struct task point = { .point = { begin, t.octets, e->max_blob } };
	mutex_unlock(&e->m);
	if (r == 0)
		r = task_run(e, REQ_CHECKPOINT, &point);
	compact_step(e, "checkpoint");
	if (r < 0)
		return r;
	mutex_lock(&e->m);
	e->checkpoints++;
	mutex_unlock(&e->m);
	LOG(LOG_INFO, 0, "checkpoint", LOGN("octets", t.octets));
	return 0;
}

static bool
can_wait(int rc)
{
	return rc == -EBUSY || rc == -EINTR || rc == -ENOSPC || rc == -EIO || rc == -ENOMEM ||
	       rc == -EAGAIN || rc == -EMFILE || rc == -ENFILE;
}

static bool
compact_one(struct keeper *k, const struct seg_state *x)
{
	struct emb *e = k->e;
	int r = x->live ? compact_segment(e, x->seq) : 0;
	compact_step(e, "emptied");
	if (r == 0)
		r = free_segment(e, x->seq);
	if (r < 0) {
		if (!can_wait(r))
			leave_alone(k, x->seq, r);
		return false;
	}
	mutex_lock(&e->m);
	e->compactions++;
	mutex_unlock(&e->m);
	return true;
}

static bool
worth_moving(struct emb *e, const struct state *s, const struct seg_state *x)
{
	uint64_t cost;
	return x->live <= x->size / 100 * s->effort->empty && compact_cost(e, x->seq, &cost) == 0 &&
	       cost <= x->size / 100 * s->effort->worth;
}

/* After some steps without letters there is as much to do as before them: no more for a while. */
static void
look_at_gain(struct keeper *k, const struct state *s)
{
	if (s->effort != &effort_rest) {
		k->steps = 0;
		return;
	}
	if (k->steps++ % GAIN_STEPS != 0)
		return;
	if (k->steps > 1 && garbage_of(s) + s->unit > k->garbage)
		k->tired_until = sys_mono_ms() + TIRED_MS;
	k->garbage = garbage_of(s);
}

/* One piece of work; false: there is none, or it cannot be done now. */
static bool
work(struct keeper *k)
{
	struct emb *e = k->e;
	struct state s;
	bool did = false;
	mutex_lock(&e->m);
	bool pinned = e->pins > 0, gone = e->n_gone > 0;
	k->at_once = e->compact_now;
	mutex_unlock(&e->m);
	if (pinned || emb_poisoned(e))
		return false;
	if (gone && free_blobs(e) == 0)
		return true;
	int r = state_take(k, &s);
	k->behind = garbage_of(&s) > s.total / 2;
	bool tired = s.effort == &effort_rest && sys_mono_ms() < k->tired_until;
	const struct seg_state *x = r == 0 && !tired ? emptiest(k, &s) : NULL;
	if (x && (x->live == 0 || (much_garbage(&s) && worth_moving(e, &s, x)))) {
		did = compact_one(k, x);
	} else if (r == 0 && !tired && checkpoint_due(k, &s)) {
		r = make_checkpoint(e);
		did = r == 0;
		if (r < 0 && !can_wait(r)) {
			k->no_checkpoint = true;
			LOG(LOG_ERROR, 0, "checkpoint-failed", LOGZ("error", strerror(-r)));
		}
	}
	if (did)
		look_at_gain(k, &s);
	free(s.seg);
	return did;
}

/* --- the thread --- */

/* For a time, unless there is need. Under m. */
static void
pause_for(struct emb *e, int64_t ms)
{
	int64_t until = sys_mono_ms() + MIN(ms, (int64_t)PAUSE_MAX_MS);
	while (!e->compact_stop && !e->compact_now && !e->spare_failed) {
		int64_t left = until - sys_mono_ms();
		if (left <= 0)
			return;
		cond_wait_ms(&e->compact_cond, &e->m, left);
	}
}

void
compact_main(void *arg)
{
	struct keeper k = { .e = arg };
	struct emb *e = arg;
	(void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone, in Linux */
	mutex_lock(&e->m);
	pause_for(e, COMPACT_TICK_MS);
	while (!e->compact_stop) {
		mutex_unlock(&e->m);
		int64_t start = sys_mono_ms();
		reserve_keep(e);
		bool did = work(&k);
		int64_t took = sys_mono_ms() - start;
		mutex_lock(&e->m);
		if (did) {
			/* So that others have the disk as often. */
			pause_for(e, k.behind ? took / 8 : took);
			continue;
		}
		if (e->compact_now) {
			e->compact_now = false;
			e->compact_rests = true;
			cond_broadcast(&e->pin_cond);
		}
		int64_t until = sys_mono_ms() + COMPACT_TICK_MS;
		while (!e->compact_stop && !e->compact_now && sys_mono_ms() < until)
			cond_wait_ms(&e->compact_cond, &e->m,
			    MAX(until - sys_mono_ms(), (int64_t)1));
	}
	mutex_unlock(&e->m);
	free(k.alone);
}

void
emb_tidy(struct store *s)
{
	struct emb *e = s->impl;
	(void)applied_wait(e);
	mutex_lock(&e->m);
	e->compact_now = true;
	e->compact_rests = false;
	cond_broadcast(&e->compact_cond);
	while (!e->compact_rests && !emb_poisoned(e) && !e->compact_stop)
		cond_wait_ms(&e->pin_cond, &e->m, COMPACT_TICK_MS);
	e->compact_now = false;
	mutex_unlock(&e->m);
}
