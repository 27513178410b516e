/* mem: the whole store in a sorted array. Slow and simple on purpose: the other engines are
 * compared with it. Requests are done at once; completions still wait for store_run(). */
#include "store/resolve.h"
#include "store/store_priv.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "store/mail_priv.h"

#include <errno.h>
#include <stdlib.h>

struct item {
	char *key; /* domain and key */
	size_t key_len;
	char *value;
	size_t value_len;
};

struct table {
	struct item *items;
	size_t n, cap;
};

struct body {
	char *p;
	size_t len;
};

struct mem {
	struct table t;
	struct body *bodies; /* by lsn - 1 */
	size_t n_bodies;
	struct buf out;
	struct store_stats stats;
};

static struct str
item_key(const struct item *i)
{
	return str_n(i->key, i->key_len);
}

/* The place of key, or where it belongs. */
static size_t
place(const struct table *t, struct str key, bool *ret_found)
{
	size_t lo = 0, hi = t->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = str_cmp(item_key(&t->items[mid]), key);
		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_found = false;
	return lo;
}

static void
table_put(struct table *t, struct str key, struct str value)
{
	bool found;
	size_t at = place(t, key, &found);
	if (!found) {
		if (t->n == t->cap) {
			t->cap = t->cap ? t->cap * 2 : 64;
			t->items = xrealloc(t->items, t->cap * sizeof(*t->items));
		}
		memmove(&t->items[at + 1], &t->items[at], (t->n - at) * sizeof(*t->items));
		t->items[at] = (struct item){ .key = xmemdup(key.p, key.len), .key_len = key.len };
		t->n++;
	}
	free(t->items[at].value);
	t->items[at].value = value.len ? xmemdup(value.p, value.len) : xalloc(1);
	t->items[at].value_len = value.len;
}

static void
table_del(struct table *t, struct str key)
{
	bool found;
	size_t at = place(t, key, &found);
	if (!found)
		return;
	free(t->items[at].key);
	free(t->items[at].value);
	memmove(&t->items[at], &t->items[at + 1], (t->n - at - 1) * sizeof(*t->items));
	t->n--;
}

static void
table_done(struct table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->items[i].key);
		free(t->items[i].value);
	}
	free(t->items);
	*t = (struct table){ 0 };
}

static struct str
full_key(char out[16 + STORE_KEY_MAX], const struct store_dom *d, struct str key)
{
	memcpy(out, d->b, sizeof(d->b));
	if (key.len)
		memcpy(out + sizeof(d->b), key.p, key.len);
	return str_n(out, sizeof(d->b) + key.len);
}

static int
table_get(const struct table *t, const struct store_dom *d, struct str key, struct str *ret)
{
	char full[16 + STORE_KEY_MAX];
	bool found;
	size_t at = place(t, full_key(full, d, key), &found);
	if (found)
		*ret = str_n(t->items[at].value, t->items[at].value_len);
	return found;
}

static int
mem_view_get(void *arg, const struct store_dom *d, struct str key, struct str *ret)
{
	struct mem *m = arg;
	return table_get(&m->t, d, key, ret);
}

static int
mem_view_next(void *arg, const struct store_dom *d, struct str from, struct str to,
    struct str *ret_key, struct str *ret_value)
{
	struct mem *m = arg;
	char low[16 + STORE_KEY_MAX], high[16 + STORE_KEY_MAX];
	bool found;
	size_t at = place(&m->t, full_key(low, d, from), &found);
	if (at == m->t.n || str_cmp(item_key(&m->t.items[at]), full_key(high, d, to)) >= 0)
		return 0;
	*ret_key = str_skip(item_key(&m->t.items[at]), 16);
	*ret_value = str_n(m->t.items[at].value, m->t.items[at].value_len);
	return 1;
}

static struct view
mem_view(struct mem *m)
{
	return (struct view){ mem_view_get, mem_view_next, m };
}

/* Applies the BATCH payload at begin of m->out; the version goes under the empty key. */
static void
apply(struct store *s, struct mem *m, size_t begin, struct queue *posts)
{
	struct batch_record r;
	struct batch_op op;
	char full[16 + STORE_KEY_MAX];
	unsigned char ver[8];
	check(batch_record_get(str_n(m->out.p + begin, m->out.len - begin), &r));
	while (batch_record_next(&r, &op)) {
		struct str key = full_key(full, &r.dom, op.key);
		if (op.del)
			table_del(&m->t, key);
		else
			table_put(&m->t, key, op.value);
	}
	be64_put(ver, r.ver);
	table_put(&m->t, full_key(full, &r.dom, STR("")), str_n(ver, sizeof(ver)));
	m->stats.group_batches++;
	if (store_has_watches(s))
		queue_add(posts, event_new(&r.dom, r.ver));
}

static struct store_ref
body_keep(struct mem *m, const struct store_body *body, struct str head)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	buf_puts(&b, head);
	buf_puts(&b, buf_str(&body->mem));
	check(!b.failed);
	m->bodies = xrealloc(m->bodies, (m->n_bodies + 1) * sizeof(*m->bodies));
	m->bodies[m->n_bodies++] = (struct body){ b.p, b.len };
	return (struct store_ref){ .lsn = m->n_bodies, .len = b.len, .crc = crc32c(0, b.p, b.len) };
}

static void
put_done(struct mem *m, const struct letter *l)
{
	buf_reset(&m->out);
	done_put(&m->out, l->letter, l->time_ms);
	table_put(&m->t, str_n(m->out.p, 16 + DONE_KEY_LEN),
	    str_n(m->out.p + 16 + DONE_KEY_LEN, DONE_VALUE_LEN));
	m->stats.group_letters++;
}

static int
accept_letter(struct store *s, struct mem *m, struct letter *l, struct queue *posts)
{
	struct view v = mem_view(m);
	struct str payload = letter_intent(l);
	struct intent in;
	struct store_rcpt rcpt;
	if (resolve_accepted(&v, l->letter) == 1)
		return 0;
	struct store_ref ref = body_keep(m, l->body, letter_head(l));
	intent_set_ref(l->buf.p + l->head_len + l->trace_len, &ref);
	check(intent_get(payload, &in));
	in.outline = letter_outline(l);
	while (intent_next(&in, &rcpt)) {
		bool written;
		buf_reset(&m->out);
		int r = resolve_delivery(&in, &rcpt, &v, &m->out, &written);
		if (r < 0)
			return r;
		if (written)
			apply(s, m, 0, posts);
	}
	if (in.n_entries) {
		bool written;
		buf_reset(&m->out);
		int r = resolve_entries(&in, &v, &m->out, &written);
		if (r < 0)
			return r;
		if (written)
			apply(s, m, 0, posts);
	}
	put_done(m, l);
	return 0;
}

/* --- mail merge --- */

static struct str
open_key(const struct letter *l)
{
	struct str intent = letter_intent(l);
	return str_skip(intent, intent.len - INTENT_KEY_LEN);
}

static int
begin_merge(struct mem *m, struct letter *l)
{
	struct view v = mem_view(m);
	char *intent = l->buf.p + l->head_len + l->trace_len;
	if (resolve_accepted(&v, l->letter) == 1)
		return 0;
	if (resolve_open(&v, l->letter) == 1)
		return -EAGAIN;
	struct store_ref ref = body_keep(m, l->body, letter_head(l));
	struct store_ref views = body_keep(m, l->views, STR_NULL);
	intent_set_ref(intent, &ref);
	intent_set_views(intent, &views);
	table_put(&m->t, open_key(l), letter_intent(l));
	return 0;
}

static int
put_views(struct store *s, struct mem *m, const struct letter *l, struct queue *posts)
{
	struct view v = mem_view(m);
	struct wire w = wire_of(letter_views(l));
	struct store_view one;
	struct intent in;
	if (resolve_accepted(&v, l->letter) == 1)
		return 0;
	check(intent_get(letter_intent(l), &in));
	for (uint32_t n = l->first_view; w.left > 0; n++) {
		bool written;
		check(store_view_get(&w, in.ref.len - in.trace_len, &one));
		if (one.entry.len)
			continue;
		buf_reset(&m->out);
		int r = resolve_view(&in, &one, n, &v, &m->out, &written);
		if (r < 0)
			return r;
		if (written)
			apply(s, m, 0, posts);
	}
	bool written;
	buf_reset(&m->out);
	int r = resolve_view_entries(&in, letter_views(l), l->first_view, &v, &m->out, &written);
	if (r == 0 && written)
		apply(s, m, 0, posts);
	return r;
}

static int
end_merge(struct store *s, struct mem *m, const struct letter *l, struct queue *posts)
{
	struct view v = mem_view(m);
	struct intent in;
	bool written;
	put_done(m, l);
	table_del(&m->t, open_key(l));
	check(intent_get(letter_intent(l), &in));
	buf_reset(&m->out);
	int r = resolve_view_end(&in, &v, &m->out, &written);
	if (r == 0 && written)
		apply(s, m, 0, posts);
	return r;
}

static int
append_letters(struct store *s, struct mem *m, struct request *r, struct queue *posts)
{
	struct view v = mem_view(m);
	for (struct letter *l = r->letter; l; l = l->next)
		l->ref = body_keep(m, l->body, letter_head(l));
	int rc = resolve_append(r->letter, &v, &m->out, &r->res);
	if (rc < 0)
		return rc;
	apply(s, m, 0, posts);
	for (struct letter *l = r->letter; l; l = l->next)
		m->stats.group_letters++;
	return 0;
}

static int
change_mail(struct store *s, struct mem *m, struct mail_op *op, struct queue *posts)
{
	struct view v = mem_view(m);
	int rc = 1;
	for (unsigned step = 0; rc == 1; step++) {
		buf_reset(&m->out);
		rc = resolve_mail(op, step, &v, &m->out);
		/* Nothing of this engine fails once something was written. */
		check(rc >= 0 || step == 0);
		if (rc == 1)
			apply(s, m, 0, posts);
	}
	return rc;
}

static void
mem_submit(struct store *s, struct request *r)
{
	struct mem *m = s->impl;
	struct view v = mem_view(m);
	struct queue posts;
	queue_init(&posts);
	buf_reset(&m->out);
	if (r->kind == REQ_BATCH) {
		r->res.rc = resolve_batch(r->batch, &v, &m->out, &r->res);
		if (r->res.rc == 0 && !batch_only_notes(r->batch))
			apply(s, m, 0, &posts);
	} else if (r->kind == REQ_ACCEPT && r->res.rc == 0) {
		r->res.rc = accept_letter(s, m, r->letter, &posts);
	} else if (r->kind == REQ_APPEND && r->res.rc == 0) {
		r->res.rc = append_letters(s, m, r, &posts);
	} else if (r->kind == REQ_MAIL && r->res.rc == 0) {
		r->res.rc = change_mail(s, m, r->mail, &posts);
	} else if (r->kind == REQ_MERGE && r->res.rc == 0) {
		r->res.rc = begin_merge(m, r->letter);
	} else if (r->kind == REQ_VIEWS && r->res.rc == 0) {
		r->res.rc = put_views(s, m, r->letter, &posts);
	} else if (r->kind == REQ_MERGED && r->res.rc == 0) {
		r->res.rc = end_merge(s, m, r->letter, &posts);
	} else if (r->kind == REQ_LOOK) {
		resolve_version(&v, &r->dom, &r->res.ver);
	}
	m->stats.groups++;
	m->stats.durable_lsn = m->stats.applied_lsn = m->stats.groups;
	queue_add(&posts, r);
	store_post(s, &posts);
}

/* --- snapshots: a copy of the domain --- */

static int
mem_snap_open(struct store_snap *sn, uint64_t *ret_ver)
{
	struct mem *m = sn->store->impl;
	struct view v = mem_view(m);
	struct table *t = xalloc(sizeof(*t));
	char full[16 + STORE_KEY_MAX];
	struct str prefix = full_key(full, &sn->dom, STR(""));
	bool found;
	for (size_t i = place(&m->t, prefix, &found); i < m->t.n; i++) {
		if (!str_starts(item_key(&m->t.items[i]), prefix))
			break;
		table_put(t, item_key(&m->t.items[i]),
		    str_n(m->t.items[i].value, m->t.items[i].value_len));
	}
	sn->impl = t;
	return resolve_version(&v, &sn->dom, ret_ver);
}

static void
mem_snap_close(struct store_snap *sn)
{
	table_done(sn->impl);
	free(sn->impl);
}

static int
mem_get(struct store_snap *sn, struct str key, struct str *ret)
{
	return table_get(sn->impl, &sn->dom, key, ret) == 1 ? 0 : -ENOENT;
}

static int
mem_scan(struct store_snap *sn, struct str from, struct str to, uint32_t limit, bool reverse,
    store_scan_fn *fn, void *arg)
{
	const struct table *t = sn->impl;
	char full[16 + STORE_KEY_MAX];
	bool found;
	size_t lo = place(t, full_key(full, &sn->dom, from), &found), hi = t->n;
	if (to.p)
		hi = place(t, full_key(full, &sn->dom, to), &found);
	for (uint32_t n = 0; lo < hi && (limit == 0 || n < limit);) {
		const struct item *i = &t->items[reverse ? --hi : lo++];
		if (i->key_len == 16)
			continue;
		n++;
		if (!fn(arg, str_skip(item_key(i), 16), str_n(i->value, i->value_len)))
			break;
	}
	return 0;
}

/* --- the rest --- */

static ssize_t
mem_read(struct store *s, const struct store_ref *ref, uint64_t off, void *dst, size_t n)
{
	struct mem *m = s->impl;
	if (ref->lsn == 0 || ref->lsn > m->n_bodies || m->bodies[ref->lsn - 1].len != ref->len)
		return -EBADMSG;
	memcpy(dst, m->bodies[ref->lsn - 1].p + off, n);
	if (off == 0 && n == ref->len && crc32c(0, dst, n) != ref->crc)
		return -EBADMSG;
	return (ssize_t)n;
}

static void
mem_stats(struct store *s, struct store_stats *ret)
{
	const struct mem *m = s->impl;
	struct store_dom d = store_dom_queue(0);
	char full[16 + STORE_KEY_MAX];
	uint64_t last = 0, letter;
	uint32_t part;
	bool found;
	*ret = m->stats;
	for (size_t i = place(&m->t, full_key(full, &d, STR("t|")), &found); i < m->t.n; i++) {
		const struct item *x = &m->t.items[i];
		struct store_queued q;
		struct store_place at;
		if (!queued_key_get(&d, str_skip(item_key(x), 16), false, &letter, &part) ||
		    !queued_get(str_n(x->value, x->value_len), &q, &at))
			continue;
		ret->queue_entries++;
		ret->queue_letters += q.ref.lsn != last;
		ret->queue_bytes += q.ref.lsn != last ? q.ref.len : 0;
		last = q.ref.lsn;
	}
}

static int
mem_open(struct store *s, struct str where, struct buf *err)
{
	struct mem *m = xalloc(sizeof(*m));
	m->out = BUF_INIT(64u << 20);
	s->impl = m;
	return 0;
}

static void
mem_close(struct store *s)
{
	struct mem *m = s->impl;
	table_done(&m->t);
	for (size_t i = 0; i < m->n_bodies; i++)
		free(m->bodies[i].p);
	free(m->bodies);
	buf_done(&m->out);
	free(m);
}

const struct engine engine_mem = {
	.prefix = "mem:",
	.open = mem_open,
	.close = mem_close,
	.submit = mem_submit,
	.snap_open = mem_snap_open,
	.snap_close = mem_snap_close,
	.get = mem_get,
	.scan = mem_scan,
	.read = mem_read,
	.stats = mem_stats,
};
