/* The log thread: requests into groups, a group into the log with one sync. */
#include "store/emb.h"

#include "base/check.h"
#include "store/mail_priv.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define IDLE_BUF_MAX (4u << 20)
#define TASK_WEIGHT (256u << 10)
/* A lone letter is written by the caller's thread where a sync takes less than this. */
#define LEND_SYNC_US 2000u
#define LEND_BYTES_MAX (512u << 10)
#define LEND_ROOM_LEAST (64u << 10)

/* --- the caller's side --- */

static void
submit_sync(struct emb *e, struct request *r)
{
	struct queue posts;
	queue_init(&posts);
	mutex_lock(&e->m);
	r->lsn = e->durable;
	if (emb_poisoned(e) || e->o.read_only || e->applied >= e->durable) {
		r->res.rc = emb_poisoned(e) ? -EIO : 0;
		queue_add(&posts, r);
	} else {
		queue_add(&e->syncs, r);
		e->ix_urgent = true;
		cond_signal(&e->ix_cond);
	}
	mutex_unlock(&e->m);
	emb_post(e, &posts);
}

void
emb_submit(struct store *s, struct request *r)
{
	struct emb *e = s->impl;
	if (r->kind == REQ_SYNC)
		return submit_sync(e, r);
	if (e->o.read_only) {
		struct queue posts;
		queue_init(&posts);
		r->res.rc = -EROFS;
		queue_add(&posts, r);
		return emb_post(e, &posts);
	}
	bool gather = s->o.gather && r->kind == REQ_ACCEPT;
	mutex_lock(&e->m);
	queue_add(&e->requests, r);
	bool wake = e->log_sleeps && !gather;
	mutex_unlock(&e->m);
	/* Outside: whoever wakes up wants the mutex next. */
	if (wake)
		cond_signal(&e->log_cond);
	if (gather) /* the caller's thread; compaction's must not touch it */
		s->gathered = true;
}

/* --- groups --- */

static uint64_t
position(const struct emb *e)
{
	return lsn_of(e->seg_seq, e->seg_off);
}

static struct group *
group_new(struct emb *e)
{
	struct group *g = xalloc(sizeof(*g));
	g->part.buf = e->idle_buf;
	e->idle_buf = BUF_INIT(0);
	g->part.buf.max = MAX(e->seg_size, e->o.segment_bytes);
	queue_init(&g->all);
	queue_init(&g->applied);
	g->start = position(e);
	return g;
}

void
group_free(struct emb *e, struct group *g)
{
	struct buf *b = &g->part.buf;
	if (e->idle_buf.cap == 0 && b->cap <= IDLE_BUF_MAX) {
		overlay_undo(&e->overlay, &g->part, 0);
		buf_reset(b);
		e->idle_buf = *b;
	} else {
		overlay_drop(&e->overlay, &g->part);
	}
	free(g);
}

/* Forgets what the index has applied; then the index is asked what it holds, so nothing falls
 * between the two. */
static void
refresh(struct emb *e, uint64_t applied)
{
	uint64_t freed = 0;
	while (e->oldest && e->oldest->end <= applied) {
		struct group *g = e->oldest;
		e->oldest = g->newer;
		if (!e->oldest)
			e->newest = &e->oldest;
		freed += g->part.buf.len;
		group_free(e, g);
	}
	mutex_lock(&e->m);
	e->kept_bytes -= freed;
	mutex_unlock(&e->m);
}

/* --- the group into the log --- */

static int
sync_blob(const struct store_body *b, bool *any)
{
	if (!b || !b->blob)
		return 0;
	*any = true;
	return fdatasync(b->fd) < 0 ? -errno : 0;
}

static int
sync_blobs(struct emb *e, const struct group *g)
{
	bool any = false;
	int rc = 0;
	for (const struct request *r = g->all.head; r && rc == 0; r = r->next) {
		if (!r->written)
			continue;
		for (const struct letter *l = r->letter; l && rc == 0; l = l->next) {
			rc = sync_blob(l->body, &any);
			if (rc == 0)
				rc = sync_blob(l->views, &any);
		}
	}
	return rc < 0 ? rc : any && fsync(e->blob) < 0 ? -errno : 0;
}

static int
write_group(struct emb *e, struct group *g)
{
	int r = sync_blobs(e, g);
	int64_t from = sys_mono_us();
	if (r == 0)
		r = pwrite_all(e->seg_fd, g->part.buf.p, g->part.buf.len, e->seg_off);
	if (r == 0 && fdatasync(e->seg_fd) < 0)
		r = -errno;
	if (r < 0)
		return r;
	int64_t took = sys_mono_us() - from;
	e->sync_us = (uint32_t)((e->sync_us * 7ull + (uint64_t)MIN(took, 1000000)) / 8);
	e->seg_off += g->part.buf.len;
	g->end = position(e);
	__atomic_add_fetch(&e->groups, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&e->group_letters, g->letters, __ATOMIC_RELAXED);
	__atomic_add_fetch(&e->group_batches, g->batches, __ATOMIC_RELAXED);
	mutex_lock(&e->m);
	e->durable = g->end;
	bool wake = e->follow_waits;
	e->follow_waits = false;
	mutex_unlock(&e->m);
	if (wake)
		cond_signal(&e->follow_cond);
	return 0;
}

static void
add_events(const struct emb *e, const struct group *g, struct queue *posts)
{
	const struct buf *b = &g->part.buf;
	struct frame f;
	struct batch_record r;
	for (size_t off = 0; off < b->len; off += frame_size(f.len)) {
		check(frame_head_get(b->p + off, g->start + off, b->len - off, e->id, &f) ==
		      FRAME_OK);
		if (f.type == FRAME_BATCH &&
		    batch_record_get(str_n(b->p + off + FRAME_HEAD, f.len), &r))
			queue_add(posts, event_new(&r.dom, r.ver));
	}
}

/* Acknowledges first, then feeds the index. */
static void
finish(struct emb *e, struct group *g)
{
	struct queue posts;
	queue_init(&posts);
	bool empty = g->part.buf.len == 0;
	int rc = empty ? 0 : emb_poisoned(e) ? -EIO : write_group(e, g);
	if (rc < 0 && !emb_poisoned(e))
		emb_poison(e, "writing the log", rc);
	for (struct request *r; (r = queue_take(&g->all)) != NULL;) {
		if (rc < 0 && r->res.rc == 0)
			r->res.rc = -EIO;
		bool later = r->level == STORE_APPLIED && r->res.rc == 0 && r->written;
		queue_add(later ? &g->applied : &posts, r);
	}
	if (rc == 0 && !empty && store_has_watches(e->store))
		add_events(e, g, &posts);
	emb_post(e, &posts);
	if (rc < 0 || empty) {
		group_free(e, g);
		return;
	}
	g->newer = NULL;
	*e->newest = g;
	e->newest = &g->newer;
	index_feed(e, g);
}

/* May it have the segment that is kept for hard times? */
static bool
frees(const struct request *r)
{
	if (r->task || (r->mail && mail_frees(r->mail)))
		return true;
	for (size_t i = 0; r->kind == REQ_BATCH && i < r->batch->n; i++)
		if (r->batch->ops[i].kind == OP_DEL || r->batch->ops[i].kind == OP_EXPUNGE)
			return true;
	return false;
}

static void
run_group(struct emb *e, struct queue *q, bool full)
{
	struct group *g = group_new(e);
	for (struct request *r; (r = queue_take(q)) != NULL; queue_add(&g->all, r)) {
		int rc;
		while ((rc = group_take(e, g, r, full)) == NO_ROOM) {
			if (g->part.buf.len) {
				finish(e, g);
				g = group_new(e);
				continue;
			}
			rc = segment_roll(e, frees(r));
			if (rc < 0)
				break;
			g->start = position(e);
		}
		r->res.rc = rc;
	}
	finish(e, g);
}

/* --- the thread --- */

static uint64_t
weight(const struct request *r)
{
	uint64_t sum = 0;
	for (const struct letter *l = r->letter; l; l = l->next)
		sum += l->buf.len + (l->body ? l->body->mem.len : 0) +
		       (l->views ? l->views->mem.len : 0);
	if (r->letter)
		return sum;
	if (r->task || r->mail)
		return TASK_WEIGHT;
	return r->batch ? r->batch->octets.len + r->batch->notes.len : 0;
}

static bool
too_much_waits(const struct emb *e)
{
	return e->ix_batches >= QUEUE_BATCHES_MAX || e->ix_bytes >= QUEUE_BYTES_MAX;
}

/* All that waits, within a group's limits. Under m. */
static void
take(struct emb *e, struct queue *q)
{
	uint64_t n = 0, bytes = 0;
	while (e->requests.head && n < e->o.group_letters && bytes < e->o.group_bytes) {
		struct request *r = queue_take(&e->requests);
		n++;
		bytes += weight(r);
		queue_add(q, r);
	}
}

static void
fail_all(struct emb *e, struct queue *q, int rc)
{
	for (struct request *r = q->head; r; r = r->next)
		r->res.rc = rc;
	emb_post(e, q);
}

static void
run_taken(struct emb *e, struct queue *q, uint64_t applied, bool full, bool stuck)
{
	refresh(e, applied);
	if (!q->head)
		return;
	if (stuck)
		return fail_all(e, q, -ENOSPC);
	int rc = emb_poisoned(e) ? -EIO : index_errno(mdb_txn_renew(e->log_txn));
	if (rc < 0) {
		if (!emb_poisoned(e))
			emb_poison(e, "reading the index", rc);
		return fail_all(e, q, -EIO);
	}
	run_group(e, q, full);
	mdb_txn_reset(e->log_txn);
}

/* What room there is stays for what frees some, and for the index. Under m. */
static bool
is_full(const struct emb *e)
{
	return (e->spare_failed && e->n_spares < SPARES) || e->index_full;
}

/* Is there one letter, and room for it, and nothing that could keep the caller long? Under m. */
static bool
may_lend(const struct emb *e)
{
	const struct request *r = e->requests.head;
	return e->log_sleeps && !r->next && r->kind == REQ_ACCEPT && r->letter &&
	       !r->letter->body->blob && !too_much_waits(e) && e->sync_us < LEND_SYNC_US &&
	       weight(r) < LEND_BYTES_MAX &&
	       e->seg_size - e->seg_off > 2 * weight(r) + LEND_ROOM_LEAST;
}

void
emb_go(struct store *s)
{
	struct emb *e = s->impl;
	struct queue q;
	queue_init(&q);
	mutex_lock(&e->m);
	bool wake = e->log_sleeps && e->requests.head;
	if (wake && may_lend(e)) {
		wake = false;
		e->log_lent = true;
		bool full = is_full(e);
		uint64_t applied = e->applied;
		take(e, &q);
		mutex_unlock(&e->m);
		run_taken(e, &q, applied, full, false);
		mutex_lock(&e->m);
		e->log_lent = false;
		/* The compaction thread asks when it likes. */
		wake = e->requests.head != NULL;
	}
	mutex_unlock(&e->m);
	if (wake)
		cond_signal(&e->log_cond);
}

void
log_main(void *arg)
{
	struct emb *e = arg;
	mutex_lock(&e->m);
	for (;;) {
		struct queue q;
		queue_init(&q);
		if (!e->requests.head && e->log_stop)
			break;
		if (!e->requests.head || e->log_lent) {
			e->log_sleeps = true;
			do
				cond_wait(&e->log_cond, &e->m);
			while (e->log_lent);
			e->log_sleeps = false;
		}
		while (e->requests.head && too_much_waits(e) && !e->ix_failed && !emb_poisoned(e))
			cond_wait(&e->room_cond, &e->m);
		bool stuck = too_much_waits(e) && e->ix_failed;
		bool full = is_full(e);
		uint64_t applied = e->applied;
		take(e, &q);
		mutex_unlock(&e->m);
		run_taken(e, &q, applied, full, stuck);
		mutex_lock(&e->m);
	}
	mutex_unlock(&e->m);
}
