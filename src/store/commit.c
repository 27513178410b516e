/* The log thread: requests into groups, a group into the log with one sync. */
#include "store/emb.h"

#include "base/check.h"
#include "base/crc32c.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* An item does not fit into what is left of the segment. Never seen outside. */
#define NO_ROOM (-EMSGSIZE)
#define IDLE_BUF_MAX (4u << 20)

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
	store_post(e->store, &posts);
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
		return store_post(s, &posts);
	}
	mutex_lock(&e->m);
	queue_add(&e->requests, r);
	if (e->log_sleeps)
		cond_signal(&e->log_cond);
	mutex_unlock(&e->m);
}

/* --- what the store holds now --- */

static int
view_get(void *arg, const struct store_dom *d, struct str key, struct str *ret)
{
	struct emb *e = arg;
	int r = overlay_get(&e->overlay, d, key, ret);
	if (r >= 0)
		return r;
	r = index_get(&e->ix, e->log_txn, d, key, ret);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
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

/* --- one request into the group --- */

struct mark {
	size_t len, entries;
};

static struct mark
mark_of(const struct group *g)
{
	return (struct mark){ g->part.buf.len, g->part.n };
}

static void
undo(struct emb *e, struct group *g, struct mark m)
{
	overlay_undo(&e->overlay, &g->part, m.entries);
	g->part.buf.failed = false;
	buf_trunc(&g->part.buf, m.len);
}

/* rc, or NO_ROOM when what was added since m does not fit, or -E2BIG when it never will. */
static int
check_room(const struct emb *e, const struct group *g, struct mark m, int rc)
{
	const struct buf *b = &g->part.buf;
	/* The end of the segment must fit behind. */
	if (!b->failed && b->len + FRAME_HEAD <= e->seg_size - e->seg_off)
		return rc;
	uint64_t most = MAX(e->seg_size, e->o.segment_bytes) - SEG_HEAD - FRAME_HEAD;
	bool never = b->failed ? m.len == 0 : b->len - m.len > most;
	return never ? -E2BIG : NO_ROOM;
}

static void
end_batch(struct emb *e, struct group *g, size_t at, uint64_t letter)
{
	struct buf *b = &g->part.buf;
	size_t end = b->len;
	frame_end(b, at, FRAME_BATCH, letter, g->start, e->id);
	if (b->failed)
		return;
	overlay_add_batch(&e->overlay, &g->part, at + FRAME_HEAD, end);
}

static int
add_batch(struct emb *e, struct group *g, struct request *r)
{
	struct view v = { view_get, e };
	struct buf *b = &g->part.buf;
	struct mark m = mark_of(g);
	size_t at = frame_begin(b);
	int rc = b->failed ? -ENOMEM : resolve_batch(r->batch, &v, b, &r->res);
	if (rc == 0)
		end_batch(e, g, at, 0);
	rc = check_room(e, g, m, rc);
	if (rc < 0) {
		undo(e, g, m);
		return rc;
	}
	g->batches++;
	r->written = true;
	return 0;
}

static struct store_ref
add_body(struct emb *e, struct group *g, const struct letter *l)
{
	struct buf *b = &g->part.buf;
	const struct store_body *body = l->body;
	struct str head = letter_head(l);
	struct store_ref ref = {
		.lsn = g->start + b->len, .blob = body->blob, .len = head.len + body->size
	};
	size_t at = frame_begin(b);
	if (body->blob) {
		blob_record_put(b,
		    &(struct blob_record){ body->blob, body->size, body->crc, head });
		ref.crc = crc32c_join(crc32c(0, head.p, head.len), body->crc, body->size);
		frame_end(b, at, FRAME_BLOB, l->letter, g->start, e->id);
	} else {
		buf_puts(b, head);
		buf_puts(b, buf_str(&body->mem));
		frame_end(b, at, FRAME_BODY, l->letter, g->start, e->id);
		if (!b->failed)
			ref.crc = be32_get((unsigned char *)b->p + at + 12);
	}
	return ref;
}

static void
add_payload(struct emb *e, struct group *g, enum frame_type type, uint64_t letter,
    struct str payload)
{
	size_t at = frame_begin(&g->part.buf);
	buf_puts(&g->part.buf, payload);
	frame_end(&g->part.buf, at, type, letter, g->start, e->id);
}

static int
add_deliveries(struct emb *e, struct group *g, struct intent *in)
{
	struct view v = { view_get, e };
	struct buf *b = &g->part.buf;
	struct store_rcpt rcpt;
	while (intent_next(in, &rcpt)) {
		bool written = false;
		struct mark m = mark_of(g);
		size_t at = frame_begin(b);
		int rc = b->failed ? -ENOMEM : resolve_delivery(in, &rcpt, &v, b, &written);
		if (rc < 0)
			return rc;
		if (written)
			end_batch(e, g, at, in->letter);
		else
			undo(e, g, m);
		g->batches += written;
	}
	size_t at = frame_begin(b), dom = b->len;
	done_put(b, in->letter, in->time_ms);
	frame_end(b, at, FRAME_DONE, in->letter, g->start, e->id);
	if (b->failed)
		return -ENOMEM;
	overlay_add(&e->overlay, &g->part, dom, dom + 16, DONE_KEY_LEN, false,
	    dom + 16 + DONE_KEY_LEN, DONE_VALUE_LEN);
	return 0;
}

static int
add_letter(struct emb *e, struct group *g, struct request *r)
{
	struct view v = { view_get, e };
	struct letter *l = r->letter;
	struct mark m = mark_of(g);
	struct intent in;
	uint32_t batches = g->batches;
	int rc = resolve_accepted(&v, l->letter);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (r->kind == REQ_ACCEPT) {
		struct store_ref ref = add_body(e, g, l);
		intent_set_ref(l->buf.p + l->head_len + l->trace_len, &ref);
		add_payload(e, g, FRAME_TRACE, l->letter, letter_trace(l));
		add_payload(e, g, FRAME_INTENT, l->letter, letter_intent(l));
	}
	rc = intent_get(letter_intent(l), &in) ? add_deliveries(e, g, &in) : -EBADMSG;
	rc = check_room(e, g, m, rc);
	if (rc < 0) {
		undo(e, g, m);
		g->batches = batches;
		return rc;
	}
	g->letters++;
	r->written = true;
	return 0;
}

static int
add(struct emb *e, struct group *g, struct request *r, bool full)
{
	struct view v = { view_get, e };
	if (emb_poisoned(e))
		return -EIO;
	if (r->res.rc < 0)
		return r->res.rc;
	switch (r->kind) {
	case REQ_BATCH:
		return add_batch(e, g, r);
	case REQ_ACCEPT:
		/* What room there is stays for the small batches that delete. */
		return full ? -ENOSPC : add_letter(e, g, r);
	case REQ_REDO:
		return add_letter(e, g, r);
	case REQ_LOOK:
		return resolve_version(&v, &r->dom, &r->res.ver);
	case REQ_SYNC:
	case REQ_EVENT:
		break;
	}
	check(false);
}

/* --- the group into the log --- */

static int
sync_blobs(struct emb *e, const struct group *g)
{
	bool any = false;
	for (const struct request *r = g->all.head; r; r = r->next) {
		if (!r->written || !r->letter || !r->letter->body || !r->letter->body->blob)
			continue;
		if (fdatasync(r->letter->body->fd) < 0)
			return -errno;
		any = true;
	}
	return any && fsync(e->blob) < 0 ? -errno : 0;
}

static int
write_group(struct emb *e, struct group *g)
{
	int r = sync_blobs(e, g);
	if (r == 0)
		r = pwrite_all(e->seg_fd, g->part.buf.p, g->part.buf.len, e->seg_off);
	if (r == 0 && fdatasync(e->seg_fd) < 0)
		r = -errno;
	if (r < 0)
		return r;
	e->seg_off += g->part.buf.len;
	g->end = position(e);
	__atomic_add_fetch(&e->groups, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&e->group_letters, g->letters, __ATOMIC_RELAXED);
	__atomic_add_fetch(&e->group_batches, g->batches, __ATOMIC_RELAXED);
	mutex_lock(&e->m);
	e->durable = g->end;
	mutex_unlock(&e->m);
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
	store_post(e->store, &posts);
	if (rc < 0 || empty) {
		group_free(e, g);
		return;
	}
	g->newer = NULL;
	*e->newest = g;
	e->newest = &g->newer;
	index_feed(e, g);
}

static void
run_group(struct emb *e, struct queue *q, bool full)
{
	struct group *g = group_new(e);
	for (struct request *r; (r = queue_take(q)) != NULL; queue_add(&g->all, r)) {
		int rc;
		while ((rc = add(e, g, r, full)) == NO_ROOM) {
			if (g->part.buf.len) {
				finish(e, g);
				g = group_new(e);
				continue;
			}
			rc = segment_roll(e);
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
	if (r->letter)
		return r->letter->buf.len + (r->letter->body ? r->letter->body->mem.len : 0);
	return r->batch ? r->batch->octets.len : 0;
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
	store_post(e->store, q);
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
		if (!e->requests.head) {
			e->log_sleeps = true;
			cond_wait(&e->log_cond, &e->m);
			e->log_sleeps = false;
		}
		while (e->requests.head && too_much_waits(e) && !e->ix_failed && !emb_poisoned(e))
			cond_wait(&e->room_cond, &e->m);
		bool stuck = too_much_waits(e) && e->ix_failed;
		bool full = e->spare_failed && !e->spare;
		uint64_t applied = e->applied;
		take(e, &q);
		mutex_unlock(&e->m);
		run_taken(e, &q, applied, full, stuck);
		mutex_lock(&e->m);
	}
	mutex_unlock(&e->m);
}
