/* The index thread: groups from the log into LMDB, in commits of its own rhythm. */
#include "store/emb.h"

#include "base/check.h"
#include "sys/clock.h"

#include <errno.h>

/* --- the log thread's side --- */

void
index_feed(struct emb *e, struct group *g)
{
	mutex_lock(&e->m);
	bool was_idle = !e->ix_head;
	g->next = NULL;
	*e->ix_tail = g;
	e->ix_tail = &g->next;
	e->ix_batches += g->batches;
	e->ix_bytes += g->part.buf.len;
	e->kept_bytes += g->part.buf.len;
	if (g->applied.head)
		e->ix_urgent = true;
	bool wake = was_idle || e->ix_urgent || e->ix_batches >= INDEX_BATCHES;
	mutex_unlock(&e->m);
	if (wake)
		cond_signal(&e->ix_cond);
}

/* --- the caller's side --- */

int
applied_wait(struct emb *e)
{
	mutex_lock(&e->m);
	uint64_t target = e->durable;
	while (e->applied < target && !e->ix_failed && !emb_poisoned(e)) {
		e->ix_urgent = true;
		cond_signal(&e->ix_cond);
		cond_wait(&e->applied_cond, &e->m);
	}
	int r = emb_poisoned(e) ? -EIO : e->applied >= target ? 0 : e->ix_failed;
	mutex_unlock(&e->m);
	return r;
}

/* --- the thread --- */

struct applying {
	struct emb *e;
	struct index_write w;
	bool open;
	uint64_t done;      /* applied up to here, in this write or before */
	uint64_t committed; /* up to here for good */
};

/* What compaction wants to know of a commit that is durable. */
static void
hand_over(struct emb *e)
{
	struct index *ix = &e->ix;
	mutex_lock(&e->m);
	e->checkpoint = ix->checkpoint;
	e->sums = ix->sums;
	e->max_blob = ix->max_blob;
	if (ix->n_gone) {
		if (e->cap_gone - e->n_gone < ix->n_gone) {
			e->cap_gone = (e->n_gone + ix->n_gone) * 2;
			e->gone = xrealloc(e->gone, e->cap_gone * sizeof(*e->gone));
		}
		memcpy(e->gone + e->n_gone, ix->gone, ix->n_gone * sizeof(*ix->gone));
		e->n_gone += ix->n_gone;
		ix->n_gone = 0;
	}
	mutex_unlock(&e->m);
}

static int
commit(struct applying *a)
{
	struct index_meta m = { .format = INDEX_FORMAT, .applied = a->done };
	memcpy(m.id, a->e->id, STORE_ID_LEN);
	a->open = false;
	int r = index_commit(&a->w, &m);
	if (r < 0)
		return r;
	a->committed = a->done;
	hand_over(a->e);
	__atomic_add_fetch(&a->e->index_commits, 1, __ATOMIC_RELAXED);
	return 0;
}

static int
apply_group(struct applying *a, const struct group *g)
{
	const struct buf *b = &g->part.buf;
	for (size_t off = 0; off < b->len;) {
		uint64_t lsn = g->start + off;
		struct frame f;
		/* Our own octets: a header that does not decode is a bug, not damage. */
		check(frame_head_get(b->p + off, lsn, b->len - off, a->e->id, &f) == FRAME_OK);
		if (lsn >= a->done) {
			if (!a->open) {
				int r = index_begin(&a->e->ix, &a->w);
				if (r < 0)
					return r;
				a->open = true;
			}
			int r = index_apply(&a->w, &f, str_n(b->p + off + FRAME_HEAD, f.len));
			if (r < 0)
				return r;
			a->done = lsn + frame_size(f.len);
			if (a->w.ops >= INDEX_OPS && (r = commit(a)) < 0)
				return r;
		}
		off += frame_size(f.len);
	}
	a->done = g->end;
	return 0;
}

/* Applies the groups from first up to last (included). On failure what is committed is told
 * by *ret_done; the rest can be tried again. */
static int
apply_groups(struct emb *e, const struct group *first, const struct group *last, uint64_t *ret_done)
{
	struct applying a = { .e = e, .done = *ret_done, .committed = *ret_done };
	int r = 0;
	for (const struct group *g = first; r == 0; g = g->next) {
		r = apply_group(&a, g);
		if (g == last)
			break;
	}
	if (r == 0 && a.open)
		r = commit(&a);
	else if (a.open)
		index_abort(&a.w);
	*ret_done = r == 0 ? a.done : a.committed;
	return r;
}

/* Waits for a reason to commit; the last group to take, or NULL: stop. Under m. */
static struct group *
wait_for_work(struct emb *e)
{
	while (!e->ix_head) {
		if (e->ix_stop)
			return NULL;
		cond_wait(&e->ix_cond, &e->m);
	}
	int64_t until = sys_mono_ms() + INDEX_INTERVAL_MS;
	while (!e->ix_urgent && !e->ix_stop && e->ix_batches < INDEX_BATCHES) {
		int64_t left = until - sys_mono_ms();
		if (left <= 0)
			break;
		cond_wait_ms(&e->ix_cond, &e->m, left);
	}
	e->ix_urgent = false;
	struct group *last = e->ix_head;
	while (last->next)
		last = last->next;
	return last;
}

/* Takes the applied groups off the queue and answers who waited for them. Under m. The groups
 * stay the log thread's: its overlay points into them. */
static void
retire(struct emb *e, const struct group *last, uint64_t done, struct queue *posts)
{
	struct group *g;
	do {
		g = e->ix_head;
		e->ix_head = g->next;
		e->ix_batches -= g->batches;
		e->ix_bytes -= g->part.buf.len;
		queue_move(posts, &g->applied);
	} while (g != last);
	if (!e->ix_head)
		e->ix_tail = &e->ix_head;
	e->applied = done;
	while (e->syncs.head && e->syncs.head->lsn <= done)
		queue_add(posts, queue_take(&e->syncs));
	cond_broadcast(&e->applied_cond);
	cond_signal(&e->room_cond);
	if (e->log_sleeps && e->kept_bytes > KEPT_IDLE_MAX)
		cond_signal(&e->log_cond);
}

static bool
can_retry(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT || rc == -ENOMEM;
}

/* Compaction frees what nobody refers to any more, and a merge would write more and more: to them
 * it matters that the index has it. */
static bool
needs_index(const struct request *r)
{
	return r->task || r->kind == REQ_VIEWS;
}

/* Tells those who wait for the index that it cannot be written. What they committed is durable
 * all the same, and will be seen: whoever was told that it failed would do it again. Under m. */
static void
refuse_waiting(struct emb *e, int rc, struct queue *posts)
{
	e->ix_failed = rc;
	for (struct request *r; (r = queue_take(&e->syncs)) != NULL; queue_add(posts, r))
		r->res.rc = rc;
	for (struct group *g = e->ix_head; g; g = g->next)
		for (struct request *r; (r = queue_take(&g->applied)) != NULL; queue_add(posts, r))
			if (rc == -EIO || needs_index(r))
				r->res.rc = rc;
	cond_broadcast(&e->applied_cond);
	cond_signal(&e->room_cond);
}

/* After a failed sync nothing is tried again; what is not applied is replayed at the next
 * start. Under m. */
static void
give_up(struct emb *e, struct queue *posts)
{
	refuse_waiting(e, -EIO, posts);
	e->ix_head = NULL;
	e->ix_tail = &e->ix_head;
	e->ix_batches = e->ix_bytes = 0;
}

void
index_main(void *arg)
{
	struct emb *e = arg;
	struct queue posts;
	bool broken = false;
	queue_init(&posts);
	mutex_lock(&e->m);
	uint64_t done = e->applied;
	for (struct group *last; (last = wait_for_work(e)) != NULL;) {
		struct group *first = e->ix_head;
		mutex_unlock(&e->m);
		int r = broken ? -EIO : reserve_errno(e, apply_groups(e, first, last, &done));
		if (r == -ENOSPC && reserve_release(e))
			r = reserve_errno(e, apply_groups(e, first, last, &done));
		if (r < 0 && !broken && !can_retry(r)) {
			broken = true;
			emb_poison(e, "writing the index", r);
		}
		mutex_lock(&e->m);
		if (broken) {
			give_up(e, &posts);
		} else if (r < 0) {
			refuse_waiting(e, -ENOSPC, &posts);
		} else {
			e->ix_failed = 0;
			retire(e, last, done, &posts);
		}
		mutex_unlock(&e->m);
		emb_post(e, &posts);
		mutex_lock(&e->m);
		if (r < 0 && e->ix_stop)
			break;
		if (r < 0 && !broken)
			cond_wait_ms(&e->ix_cond, &e->m, INDEX_RETRY_MS);
	}
	mutex_unlock(&e->m);
}
