/*
 * Snapshots of domains in the log: what stands in a range of keys at this place. The log thread
 * alone writes the log, and index and overlay together are what it has come to here, so content
 * and place agree.
 */
#include "store/emb.h"

#include "base/check.h"
#include "store/mailbox.h"

#include <errno.h>
#include <stdlib.h>

#define SNAP_OCTETS (256u << 10) /* of one task */
#define SNAP_SCANS 2000          /* domains looked at in one task */
#define FORGET_KEYS 2000         /* marks of deliveries removed in one task */
#define LETTER_ID_MS(id) ((id) >> 22)

/* --- index and overlay as one --- */

/* The overlay's keys, sorted by domain and key, the newest of each. */
struct fresh {
	const struct overlay_entry **e;
	size_t n, cap;
};

static struct str
entry_dom(const struct overlay_entry *e)
{
	return str_n(e->part->buf.p + e->dom, 16);
}

static struct str
entry_key(const struct overlay_entry *e)
{
	return str_n(e->part->buf.p + e->key, e->key_len);
}

static void
fresh_add(void *arg, const struct overlay_entry *e)
{
	struct fresh *f = arg;
	if (e->key_len == 0)
		return; /* a version */
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 256;
		f->e = xrealloc(f->e, f->cap * sizeof(*f->e));
	}
	f->e[f->n++] = e;
}

static int
fresh_cmp(const struct overlay_entry *a, const struct overlay_entry *b)
{
	int c = str_cmp(entry_dom(a), entry_dom(b));
	return c ? c : str_cmp(entry_key(a), entry_key(b));
}

static int
fresh_order(const void *a, const void *b)
{
	return fresh_cmp(*(const struct overlay_entry *const *)a,
	    *(const struct overlay_entry *const *)b);
}

/* Of several entries of a key any one stays; overlay_get() knows the newest. */
static void
fresh_make(struct fresh *f, const struct emb *e)
{
	size_t n = 0;
	f->n = 0;
	overlay_each(&e->overlay, fresh_add, f);
	if (f->n)
		qsort(f->e, f->n, sizeof(*f->e), fresh_order);
	for (size_t i = 0; i < f->n; i++)
		if (n == 0 || fresh_cmp(f->e[n - 1], f->e[i]) != 0)
			f->e[n++] = f->e[i];
	f->n = n;
}

/* The first entry that is not below domain and key. */
static size_t
fresh_place(const struct fresh *f, const struct store_dom *d, struct str key)
{
	size_t lo = 0, hi = f->n;
	struct str dom = str_n(d->b, 16);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = str_cmp(entry_dom(f->e[mid]), dom);
		if (c == 0)
			c = str_cmp(entry_key(f->e[mid]), key);
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct merge {
	struct emb *e;
	const struct fresh *f;
	const struct store_dom *d;
	size_t at;
	store_scan_fn *fn;
	void *arg;
	bool stopped;
};

/* Entries of the overlay below key (p NULL: all that are left). */
static void
merge_fresh(struct merge *m, struct str key)
{
	const struct fresh *f = m->f;
	for (; !m->stopped && m->at < f->n; m->at++) {
		const struct overlay_entry *x = f->e[m->at];
		struct str value, k = entry_key(x);
		if (!str_eq(entry_dom(x), str_n(m->d->b, 16)) || (key.p && str_cmp(k, key) >= 0))
			return;
		if (overlay_get(&m->e->overlay, m->d, k, &value) == 1)
			m->stopped = !m->fn(m->arg, k, value);
	}
}

static bool
merge_index(void *arg, struct str key, struct str value)
{
	struct merge *m = arg;
	struct str newer;
	merge_fresh(m, key);
	if (!m->stopped && overlay_get(&m->e->overlay, m->d, key, &newer) < 0 &&
	    !index_is_derived(m->d, key))
		m->stopped = !m->fn(m->arg, key, value);
	return !m->stopped;
}

/* Every key of d from `from` on as it is now, until fn returns false. fn must not add to the
 * group. */
static int
scan_now(struct emb *e, const struct fresh *f, const struct store_dom *d, struct str from,
    store_scan_fn *fn, void *arg)
{
	struct merge m = {
		.e = e, .f = f, .d = d, .at = fresh_place(f, d, from), .fn = fn, .arg = arg
	};
	int r = index_scan(&e->ix, e->log_txn, d, from, STR_NULL, 0, false, merge_index, &m);
	if (r == 0)
		merge_fresh(&m, STR_NULL);
	return r;
}

/* --- marks of deliveries --- */

struct forgetting {
	struct buf payload;
	uint64_t before_ms, before; /* ids below both are forgotten */
	uint32_t n;
};

static bool
forget_one(void *arg, struct str key, struct str value)
{
	struct forgetting *f = arg;
	if (key.len < 11 || !str_starts(key, STR("D|")))
		return false;
	uint64_t letter = be64_get((const unsigned char *)key.p + 2);
	if (LETTER_ID_MS(letter) >= f->before_ms || letter >= f->before)
		return false;
	batch_record_del(&f->payload, key);
	return ++f->n < FORGET_KEYS;
}

static bool
first_open(void *arg, struct str key, struct str value)
{
	struct forgetting *f = arg;
	if (key.len == DONE_KEY_LEN && str_starts(key, STR("q|")))
		f->before = be64_get((const unsigned char *)key.p + 2);
	return false;
}

/* "D|letter8|..." says that a mailbox has a letter whose intent may be carried out again. Once no
 * intent as old is open, and the sender does not come back, nobody asks. */
static int
forget_marks(struct emb *e, struct group *g, const struct fresh *f, const struct task *t,
    uint32_t *ret_n)
{
	struct view v = emb_view(e);
	struct store_dom q = store_dom_queue(0);
	struct forgetting x = {
		.payload = BUF_INIT(SEG_SIZE_MAX), .before_ms = t->forget_ms, .before = UINT64_MAX
	};
	uint64_t ver = 0;
	*ret_n = 0;
	if (t->dom.b[0] != 'B' || t->from.len)
		return 0;
	int r = scan_now(e, f, &q, STR("q|"), first_open, &x);
	if (r == 0)
		r = resolve_version(&v, &t->dom, &ver);
	if (r < 0)
		return r;
	size_t begin = batch_record_begin(&x.payload, &t->dom, ver + 1);
	r = scan_now(e, f, &t->dom, STR("D|"), forget_one, &x);
	batch_record_end(&x.payload, begin, x.n);
	if (r == 0 && x.payload.failed)
		r = -ENOMEM;
	if (r == 0 && x.n) {
		size_t at = frame_begin(&g->part.buf);
		buf_puts(&g->part.buf, buf_str(&x.payload));
		group_end_batch(e, g, at, 0);
		g->batches++;
		*ret_n = x.n;
	}
	buf_done(&x.payload);
	return r;
}

/* --- one domain --- */

struct snapping {
	struct emb *e;
	const struct store_dom *d;
	struct buf payload; /* the puts */
	struct buf to;      /* the first key that is not in it */
	size_t limit;
	uint32_t n;
	bool more;
	bool outlines; /* it came to them */
};

/* An intent whose letter is done is open in the index for a moment only. */
static bool
is_done(const struct snapping *s, struct str key)
{
	struct store_dom q = store_dom_queue(0);
	struct view v = emb_view(s->e);
	if (memcmp(s->d->b, q.b, 16) != 0 || key.len != DONE_KEY_LEN || key.p[0] != 'q')
		return false;
	return resolve_accepted(&v, be64_get((const unsigned char *)key.p + 2)) == 1;
}

static bool
snap_one(void *arg, struct str key, struct str value)
{
	struct snapping *s = arg;
	if (is_done(s, key))
		return true;
	if (outline_is(s->d, key)) {
		s->outlines = true;
		return false;
	}
	if (s->n && s->payload.len + key.len + value.len > s->limit) {
		buf_puts(&s->to, key);
		s->more = true;
		return false;
	}
	batch_record_put(&s->payload, key, value);
	s->n++;
	return true;
}

/* Snaps what fits of t->dom from t->from on; *ret_more: and t->from is where to go on. */
static int
snap_domain(struct emb *e, struct group *g, const struct fresh *f, struct task *t, size_t limit,
    bool *ret_more)
{
	struct view v = emb_view(e);
	uint64_t ver = 0;
	struct snapping s = { .e = e,
		.d = &t->dom,
		.payload = BUF_INIT(SEG_SIZE_MAX),
		.to = BUF_INIT(STORE_KEY_MAX),
		.limit = limit };
	*ret_more = false;
	struct store_dom derived = index_dom_derived();
	int r = resolve_version(&v, &t->dom, &ver);
	if (r < 0 || (ver == 0 && memcmp(t->dom.b, derived.b, 16) == 0))
		return r;
	r = scan_now(e, f, &t->dom, buf_str(&t->from), snap_one, &s);
	/* An outline can be made anew; they are many, and long, and are not even read. */
	if (r == 0 && s.outlines)
		r = scan_now(e, f, &t->dom, STR("E}"), snap_one, &s);
	if (r == 0 && (s.payload.failed || s.to.failed))
		r = -ENOMEM;
	if (r == 0) {
		size_t at = frame_begin(&g->part.buf);
		struct snap_record rec = { .dom = t->dom,
			.ver = ver,
			.from = buf_str(&t->from),
			.to = buf_str(&s.to),
			.n = s.n };
		snap_record_put(&g->part.buf, &rec, buf_str(&s.payload));
		frame_end(&g->part.buf, at, FRAME_SNAP, 0, g->start, e->id);
		t->octets += g->part.buf.len - at;
		buf_reset(&t->from);
		buf_puts(&t->from, buf_str(&s.to));
		*ret_more = s.more;
	}
	buf_done(&s.payload);
	buf_done(&s.to);
	return r;
}

/* --- the task --- */

/* The next domain of the index; those that are only in the overlay have come since the
 * checkpoint began. */
static int
next_domain(struct emb *e, struct task *t)
{
	int r = index_next_domain(&e->ix, e->log_txn, &t->dom, t->first);
	buf_reset(&t->from);
	t->first = false;
	t->end = r == -ENOENT;
	return t->end ? 0 : r;
}

static int
snap_some(struct emb *e, struct group *g, struct task *t, struct fresh *f)
{
	uint64_t room = MIN((uint64_t)SNAP_OCTETS, e->seg_size / 4);
	size_t begin = g->part.buf.len;
	bool more = false;
	uint32_t forgotten;
	int r = t->first ? next_domain(e, t) : 0;
	for (int i = 0; r == 0 && !t->end && i < SNAP_SCANS; i++) {
		r = forget_marks(e, g, f, t, &forgotten);
		if (r < 0 || forgotten == FORGET_KEYS)
			return r;
		if (forgotten)
			fresh_make(f, e);
		uint64_t used = g->part.buf.len - begin;
		r = snap_domain(e, g, f, t, room - MIN(used, room), &more);
		if (r == 0 && !more)
			r = next_domain(e, t);
		if (g->part.buf.failed || g->part.buf.len - begin >= room || more)
			break;
	}
	return r;
}

int
add_snap(struct emb *e, struct group *g, struct request *r)
{
	struct task *t = r->task;
	struct mark m = group_mark(g);
	struct fresh f = { 0 };
	/* Where it stands, should it not fit. */
	struct store_dom dom = t->dom;
	struct buf from = BUF_INIT(STORE_KEY_MAX);
	bool first = t->first, end = t->end;
	uint64_t octets = t->octets;
	buf_puts(&from, buf_str(&t->from));
	fresh_make(&f, e);
	int rc = group_check_room(e, g, m, snap_some(e, g, t, &f));
	if (rc < 0) {
		group_undo(e, g, m);
		t->dom = dom;
		t->first = first;
		t->end = end;
		t->octets = octets;
		buf_reset(&t->from);
		buf_puts(&t->from, buf_str(&from));
	}
	r->written = rc == 0 && g->part.buf.len > m.len;
	buf_done(&from);
	free(f.e);
	return rc;
}
