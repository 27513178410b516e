/* Compaction of one segment: what is still referred to is read and checked here, and copied to
 * the end of the log by the log thread. */
#include "store/emb.h"

#include "base/check.h"
#include "log/log.h"
#include "store/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOVE_REFS 256            /* records changed by one task */
#define MOVE_OCTETS (256u << 10) /* of one task, but for a body that is longer */
#define MOVE_PASSES 4
#define REF_OCTETS 256             /* what the change of a record takes in the log, about */
#define RECORD_USUAL ((size_t)160) /* so long is such a record */

struct mover {
	struct emb *e;
	uint64_t seq;
	int fd;
	struct seg_head head;
	struct buf octets; /* payloads of the task at hand */
	bool bare;         /* who follows the log has the histories: they need not come along */
	char from[REF_KEY_LEN + 1]; /* where the next look begins */
	size_t from_len;
	/* the task */
	struct move_body bodies[MOVE_REFS];
	struct move_ref refs[MOVE_REFS];
	struct {
		struct store_ref ref;
		uint64_t trace, len_at, trace_at;
		size_t len, trace_len;
	} want[MOVE_REFS]; /* for each body, what its records say; where it stands in octets */
	struct task task;
	uint64_t n_octets;
	MDB_txn *txn;
	int rc;
};

/* --- which --- */

static bool
take_user(void *arg, struct str key, struct str value)
{
	struct mover *m = arg;
	struct task *t = &m->task;
	struct body_user u, now;
	struct store_ref ref;
	struct move_ref x = { 0 };
	struct str v;
	if (!ref_key_get(key, value, &u)) {
		m->rc = -EBADMSG;
		return false;
	}
	if (t->n_refs == MOVE_REFS || (t->n_refs && m->n_octets >= MOVE_OCTETS))
		return false;
	memcpy(m->from, key.p, REF_KEY_LEN);
	m->from[REF_KEY_LEN] = 0;
	m->from_len = REF_KEY_LEN + 1;
	struct str name = user_record(&u, &x.dom, x.key);
	int r = index_get(&m->e->ix, m->txn, &x.dom, name, &v);
	if (r < 0 || !user_of(&x.dom, name, v, &now, &ref) || now.lsn != u.lsn) {
		m->rc = r < 0 && r != -ENOENT ? r : -EBADMSG; /* the index contradicts itself */
		return false;
	}
	if (t->n_bodies == 0 || t->bodies[t->n_bodies - 1].lsn != u.lsn) {
		size_t i = t->n_bodies++;
		t->bodies[i] = (struct move_body){ .lsn = u.lsn };
		m->want[i].ref = ref;
		m->want[i].trace = u.trace;
		m->n_octets += u.keep;
	}
	m->n_octets += REF_OCTETS + v.len;
	x.key_len = (uint8_t)name.len;
	x.body = (uint32_t)t->n_bodies - 1;
	t->refs[t->n_refs++] = x;
	return true;
}

static int
by_domain(const void *a, const void *b)
{
	const struct move_ref *x = a, *y = b;
	int c = memcmp(&x->dom, &y->dom, sizeof(x->dom));
	return c ? c : memcmp(x->key, y->key, sizeof(x->key));
}

/* The next records that refer to the segment. last: the body that the task before has copied;
 * it may have more. */
static int
plan(struct mover *m, const struct move_body *last)
{
	struct store_dom d = index_dom_derived();
	char to[REF_KEY_LEN];
	struct task *t = &m->task;
	t->n_bodies = t->n_refs = 0;
	m->n_octets = 0;
	m->rc = 0;
	ref_key_put(to, &(struct body_user){ .lsn = lsn_of(m->seq + 1, 0) });
	int r = index_errno(mdb_txn_begin(m->e->ix.env, NULL, MDB_RDONLY, &m->txn));
	if (r < 0)
		return r;
	r = index_scan(&m->e->ix, m->txn, &d, str_n(m->from, m->from_len), str_n(to, sizeof(to)), 0,
	    false, take_user, m);
	mdb_txn_abort(m->txn);
	if (t->n_bodies && last->lsn == t->bodies[0].lsn)
		t->bodies[0] = *last;
	qsort(t->refs, t->n_refs, sizeof(*t->refs), by_domain);
	return r < 0 ? r : m->rc;
}

/* --- what --- */

/* Appends the payload of the frame at off; *ret is its header. -ENOENT: no frame there. */
static int
read_frame(struct mover *m, uint64_t off, struct frame *ret, uint64_t *ret_at)
{
	unsigned char head[FRAME_HEAD];
	uint64_t lsn = lsn_of(m->seq, off);
	if (off < SEG_HEAD || off % FRAME_ALIGN != 0 || off + FRAME_HEAD > m->head.size)
		return -EBADMSG;
	int r = pread_all(m->fd, head, sizeof(head), off);
	if (r < 0)
		return r;
	if (frame_head_get(head, lsn, m->head.size - off, m->head.id, ret) != FRAME_OK)
		return -EBADMSG;
	*ret_at = m->octets.len;
	if (!buf_reserve(&m->octets, ret->len))
		return -ENOMEM;
	r = pread_all(m->fd, m->octets.p + m->octets.len, ret->len, off + FRAME_HEAD);
	if (r < 0)
		return r;
	if (!frame_payload_ok(ret, m->octets.p + m->octets.len))
		return -EBADMSG;
	m->octets.len += ret->len;
	return 0;
}

/* The history stands where the record says; records of the first format do not say, but it
 * stood behind the body. */
static int
read_trace(struct mover *m, size_t i, uint64_t behind)
{
	struct frame f;
	bool known = m->want[i].trace != 0;
	m->want[i].trace_len = SIZE_MAX;
	if (m->bare)
		return 0;
	if (known && lsn_seq(m->want[i].trace) != m->seq)
		return -EBADMSG;
	size_t len = m->octets.len;
	int r = read_frame(m, known ? lsn_off(m->want[i].trace) : behind, &f, &m->want[i].trace_at);
	bool is = r == 0 && f.type == FRAME_TRACE && f.id == m->task.bodies[i].letter;
	m->want[i].trace_len = is ? f.len : SIZE_MAX;
	if (!is)
		buf_trunc(&m->octets, len);
	if (known && !is)
		return r < 0 ? r : -EBADMSG;
	return r == -ENOMEM || r == -EIO ? r : 0;
}

static int
read_body(struct mover *m, size_t i)
{
	struct move_body *b = &m->task.bodies[i];
	const struct store_ref *ref = &m->want[i].ref;
	struct frame f;
	struct blob_record blob;
	int r = read_frame(m, lsn_off(b->lsn), &f, &m->want[i].len_at);
	if (r < 0)
		return r;
	b->letter = f.id;
	b->type = f.type;
	m->want[i].len = f.len;
	bool good = ref->blob ? f.type == FRAME_BLOB : f.type == FRAME_BODY;
	if (good && ref->blob)
		good = blob_record_get(str_n(m->octets.p + m->want[i].len_at, f.len), &blob) &&
		       blob.number == ref->blob && blob.trace.len + blob.len == ref->len;
	else if (good)
		good = f.len == ref->len && f.crc == ref->crc;
	return good ? read_trace(m, i, lsn_off(b->lsn) + frame_size(f.len)) : -EBADMSG;
}

static int
read_bodies(struct mover *m)
{
	struct task *t = &m->task;
	int r = 0;
	buf_reset(&m->octets);
	for (size_t i = 0; r == 0 && i < t->n_bodies; i++)
		if (!t->bodies[i].to)
			r = read_body(m, i);
	for (size_t i = 0; r == 0 && i < t->n_bodies; i++) {
		if (t->bodies[i].to)
			continue;
		t->bodies[i].payload = str_n(m->octets.p + m->want[i].len_at, m->want[i].len);
		t->bodies[i].trace = STR_NULL;
		if (m->want[i].trace_len != SIZE_MAX)
			t->bodies[i].trace =
			    str_n(m->octets.p + m->want[i].trace_at, m->want[i].trace_len);
	}
	return r;
}

/* --- all of it --- */

/* Everything that refers to the segment, once. */
static int
pass(struct mover *m)
{
	struct move_body last = { 0 };
	ref_key_put(m->from, &(struct body_user){ .lsn = lsn_of(m->seq, 0) });
	m->from_len = REF_KEY_LEN;
	for (;;) {
		int r = plan(m, &last);
		if (r < 0 || m->task.n_refs == 0)
			return r;
		r = read_bodies(m);
		if (r == 0)
			r = task_run(m->e, REQ_MOVE, &m->task);
		if (r < 0)
			return r;
		last = m->task.bodies[m->task.n_bodies - 1];
		last.payload = last.trace = STR_NULL;
		compact_step(m->e, "moved");
		mutex_lock(&m->e->m);
		bool stop = m->e->compact_stop;
		mutex_unlock(&m->e->m);
		if (stop)
			return -EINTR;
	}
}

int
compact_segment(struct emb *e, uint64_t seq)
{
	struct mover *m = xalloc(sizeof(*m));
	*m = (struct mover){ .e = e, .seq = seq, .octets = BUF_INIT(SEG_SIZE_MAX) };
	m->task.bodies = m->bodies;
	m->task.refs = m->refs;
	mutex_lock(&e->m);
	m->bare = e->o.followed && seq < lsn_seq(e->followed);
	mutex_unlock(&e->m);
	m->fd = seg_open(e->log, seq, O_RDONLY, &m->head);
	int r = m->fd < 0 ? m->fd : 0, rc = 0;
	bool used = true;
	for (int i = 0; r == 0 && used && i < MOVE_PASSES; i++) {
		r = pass(m);
		used = segment_used(e, seq, &rc);
		if (r == 0)
			r = rc;
	}
	if (r == 0 && used)
		r = -EBUSY;
	if (m->fd >= 0)
		close(m->fd);
	buf_done(&m->octets);
	free(m);
	return r;
}

struct costs {
	struct emb *e;
	MDB_txn *txn;
	uint64_t octets, last, longest;
	uint64_t each; /* of a record that refers to the body at last */
};

/* The records of a body are about as long as the first of them: those of a merge have pieces. */
static uint64_t
record_cost(const struct costs *c, const struct body_user *u)
{
	struct store_dom d;
	char name[USER_RECORD_KEY_MAX];
	struct str v, key = user_record(u, &d, name);
	int r = index_get(&c->e->ix, c->txn, &d, key, &v);
	return REF_OCTETS + (r == 0 ? v.len - MIN(v.len, RECORD_USUAL) : 0);
}

static bool
add_cost(void *arg, struct str key, struct str value)
{
	struct costs *c = arg;
	struct body_user u;
	if (!ref_key_get(key, value, &u))
		return false;
	if (u.lsn != c->last) {
		c->octets += u.keep;
		c->each = record_cost(c, &u);
	}
	c->octets += c->each;
	c->last = u.lsn;
	c->longest = MAX(c->longest, (uint64_t)u.keep);
	return true;
}

int
compact_cost(struct emb *e, uint64_t seq, uint64_t *ret)
{
	struct store_dom d = index_dom_derived();
	char from[REF_KEY_LEN], to[REF_KEY_LEN];
	struct costs c = { .e = e };
	MDB_txn *txn;
	ref_key_put(from, &(struct body_user){ .lsn = lsn_of(seq, 0) });
	ref_key_put(to, &(struct body_user){ .lsn = lsn_of(seq + 1, 0) });
	int r = index_errno(mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	c.txn = txn;
	r = index_scan(&e->ix, txn, &d, str_n(from, sizeof(from)), str_n(to, sizeof(to)), 0, false,
	    add_cost, &c);
	mdb_txn_abort(txn);
	/* A frame that does not fit leaves the end of its segment empty. */
	*ret = c.octets + c.longest;
	return r;
}
