/* What the compaction thread asks for, as the log thread does it: bodies are copied, and the
 * records that refer to them follow in the same group. */
#include "store/emb.h"

#include "base/check.h"
#include "store/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* --- there and back --- */

void
emb_post(struct emb *e, struct queue *q)
{
	struct queue rest;
	struct request *r;
	queue_init(&rest);
	while ((r = queue_take(q)) != NULL) {
		if (!r->task) {
			queue_add(&rest, r);
			continue;
		}
		mutex_lock(&e->m);
		r->task->over = true; /* r is its waiter's from here on */
		cond_broadcast(&e->compact_cond);
		mutex_unlock(&e->m);
	}
	store_post(e->store, &rest);
}

int
task_run(struct emb *e, enum req_kind kind, struct task *t)
{
	struct request *r = request_new(kind, NULL, NULL);
	r->level = kind == REQ_SNAP ? STORE_DURABLE : STORE_APPLIED;
	r->task = t;
	t->over = false;
	emb_submit(e->store, r);
	mutex_lock(&e->m);
	while (!t->over)
		cond_wait(&e->compact_cond, &e->m);
	mutex_unlock(&e->m);
	int rc = r->res.rc;
	request_free(r);
	return rc;
}

/* --- move --- */

/* 1: the record is there and refers to the body; *ret lives until the group grows. */
static int
look_ref(struct emb *e, const struct task *t, const struct move_ref *m, struct str *ret)
{
	struct view v = emb_view(e);
	struct body_user u;
	struct store_ref ref;
	struct str key = str_n(m->key, m->key_len);
	int r = v.get(v.arg, &m->dom, key, ret);
	if (r != 1)
		return r;
	return user_of(&m->dom, key, *ret, &u, &ref) && u.lsn == t->bodies[m->body].lsn;
}

static int
find_live(struct emb *e, struct task *t)
{
	for (size_t i = 0; i < t->n_bodies; i++)
		t->bodies[i].live = false;
	for (size_t i = 0; i < t->n_refs; i++) {
		struct str value;
		int r = look_ref(e, t, &t->refs[i], &value);
		if (r < 0)
			return r;
		t->refs[i].live = r == 1;
		if (r == 1)
			t->bodies[t->refs[i].body].live = true;
	}
	return 0;
}

static void
copy_bodies(struct emb *e, struct group *g, struct task *t)
{
	for (size_t i = 0; i < t->n_bodies; i++) {
		struct move_body *b = &t->bodies[i];
		if (!b->live || b->to)
			continue;
		size_t at = g->part.buf.len;
		b->to = group_add(e, g, b->type, b->letter, b->payload);
		if (b->trace.p)
			b->to_trace = group_add(e, g, FRAME_TRACE, b->letter, b->trace);
		b->keep = (uint32_t)(g->part.buf.len - at);
	}
}

/* One batch for the records of a domain: refs from first to behind last. */
static int
move_domain(struct emb *e, struct group *g, struct task *t, size_t first, size_t last)
{
	struct view v = emb_view(e);
	struct buf payload = BUF_INIT(SEG_SIZE_MAX);
	const struct store_dom *d = &t->refs[first].dom;
	uint64_t ver = 0;
	uint32_t n = 0;
	int r = resolve_version(&v, d, &ver);
	size_t begin = batch_record_begin(&payload, d, ver + 1);
	for (size_t i = first; r >= 0 && i < last; i++) {
		const struct move_ref *m = &t->refs[i];
		const struct move_body *b = &t->bodies[m->body];
		struct store_place place = { b->to_trace, b->keep };
		struct str value;
		if (!m->live || (r = look_ref(e, t, m, &value)) != 1)
			continue;
		size_t at = batch_record_put_begin(&payload, str_n(m->key, m->key_len));
		if (!user_moved(&payload, d, value, b->to, &place))
			r = -EBADMSG;
		batch_record_put_end(&payload, at);
		n++;
	}
	batch_record_end(&payload, begin, n);
	if (r >= 0 && payload.failed)
		r = -ENOMEM;
	if (r >= 0 && n) {
		size_t at = frame_begin(&g->part.buf);
		buf_puts(&g->part.buf, buf_str(&payload));
		group_end_batch(e, g, at, 0);
		g->batches++;
	}
	buf_done(&payload);
	return r < 0 ? r : 0;
}

static int
move_refs(struct emb *e, struct group *g, struct task *t)
{
	int r = 0;
	for (size_t i = 0, end; r == 0 && i < t->n_refs; i = end) {
		bool any = false;
		for (end = i; end < t->n_refs && memcmp(&t->refs[end].dom, &t->refs[i].dom,
						     sizeof(struct store_dom)) == 0;
		     end++)
			any |= t->refs[end].live;
		if (any)
			r = move_domain(e, g, t, i, end);
	}
	return r;
}

static int
add_move(struct emb *e, struct group *g, struct task *t)
{
	int r = find_live(e, t);
	if (r < 0)
		return r;
	copy_bodies(e, g, t);
	return move_refs(e, g, t);
}

/* What is not in the log after all is copied anew. */
static void
forget_move(struct task *t, uint64_t from)
{
	for (size_t i = 0; i < t->n_bodies; i++)
		if (t->bodies[i].to >= from)
			t->bodies[i].to = t->bodies[i].to_trace = 0;
}

/* --- all of them --- */

int
add_task(struct emb *e, struct group *g, struct request *r)
{
	struct task *t = r->task;
	struct mark m = group_mark(g);
	int rc = 0;
	if (r->kind == REQ_SNAP)
		return add_snap(e, g, r);
	if (r->kind == REQ_RETIRE) {
		e->retired_seq = t->seq;
		e->retired_blobs = t->blobs;
		e->n_retired_blobs = t->n_blobs;
		return 0;
	}
	if (r->kind == REQ_CHECKPOINT) {
		size_t at = frame_begin(&g->part.buf);
		checkpoint_record_put(&g->part.buf, &t->point);
		frame_end(&g->part.buf, at, FRAME_CHECKPOINT, 0, g->start, e->id);
	} else {
		rc = add_move(e, g, t);
	}
	rc = group_check_room(e, g, m, rc);
	if (rc < 0) {
		forget_move(t, g->start + m.len);
		group_undo(e, g, m);
		return rc;
	}
	r->written = g->part.buf.len > m.len;
	return 0;
}

/* --- who comes too late --- */

static bool
blob_stands(struct emb *e, uint64_t number)
{
	char name[BLOB_NAME_LEN];
	for (size_t i = 0; i < e->n_retired_blobs; i++)
		if (e->retired_blobs[i] == number)
			return false;
	blob_name(name, number);
	return faccessat(e->blob, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static bool
ref_stands(struct emb *e, const struct store_ref *ref)
{
	uint64_t seq = lsn_seq(ref->lsn);
	if (seq == 0)
		return true; /* no reference */
	if (seq == e->retired_seq || !segs_have(e, seq))
		return false;
	return !ref->blob || blob_stands(e, ref->blob);
}

int
batch_refs_stand(struct emb *e, struct str payload)
{
	struct view v = emb_view(e);
	struct batch_record r;
	struct batch_op op;
	if (payload.len == 0 || payload.p[0] != 'B' || !batch_record_get(payload, &r))
		return 0;
	while (batch_record_next(&r, &op)) {
		struct mailbox_letter l, now;
		struct str value;
		if (op.del || op.key.len != 6 || !str_starts(op.key, STR("R|")) ||
		    !mailbox_letter_get(op.value, &l))
			continue;
		int rc = v.get(v.arg, &r.dom, op.key, &value);
		if (rc < 0)
			return rc;
		if (rc == 1 && mailbox_letter_get(value, &now) && now.ref.lsn == l.ref.lsn)
			continue;
		if (!ref_stands(e, &l.ref))
			return -EAGAIN;
	}
	return 0;
}
