/*
 * Mail merges on their way: the caller's side. Body, views and intent are committed first; then
 * the views are read back some at a time, and each lot is handed in as a request of its own,
 * the next one when the index has the last. So a merge of any size needs little memory, and
 * other letters find their turn between two lots.
 */
#include "store/resolve.h"
#include "store/store_priv.h"

#include "base/check.h"
#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOT_VIEWS 512
#define LOT_OCTETS (256u << 10)
#define MERGE_BYTES_MAX (2u << 20) /* trace header, history and intent */
#define LOT_BYTES_MAX (LOT_OCTETS + RECORD_VALUE_MAX + MERGE_BYTES_MAX)
#define RECORD_REST 512 /* of the batch of a mailbox, what is neither prefix nor view, at most */

struct merge {
	struct list node; /* s->merges */
	struct store *s;
	store_fn *fn;
	void *arg;
	struct letter *letter; /* the request's, until its completion has run */
	struct buf intent;     /* with the references, when it is durable */
	uint64_t off;          /* the next view's place among the octets of the views */
	uint32_t n;            /* its number */
	struct buf octets;     /* the lot at hand */
	uint32_t lot;          /* views in it */
	bool unchecked;        /* the views are parts of a whole that nobody has looked at */
	bool stalled;          /* for want of room */
};

static struct merge *
merge_new(struct store *s, store_fn *fn, void *arg)
{
	struct merge *m = xalloc(sizeof(*m));
	*m = (struct merge){ .s = s,
		.fn = fn,
		.arg = arg,
		.intent = BUF_INIT(MERGE_BYTES_MAX),
		.octets = BUF_INIT(LOT_BYTES_MAX) };
	list_add_tail(&s->merges, &m->node);
	return m;
}

static void
merge_free(struct merge *m)
{
	list_del(&m->node);
	buf_done(&m->intent);
	buf_done(&m->octets);
	free(m);
}

static void
finish(struct merge *m, int rc)
{
	struct store_res res = { .rc = rc };
	store_fn *fn = m->fn;
	void *arg = m->arg;
	merge_free(m);
	if (fn)
		fn(arg, &res);
}

/* --- the lots --- */

static void go_on(struct merge *m);

static bool
can_wait(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT || rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE;
}

static void
on_lot(void *arg, const struct store_res *res)
{
	struct merge *m = arg;
	if (res->rc == 0) {
		m->off += m->octets.len;
		m->n += m->lot;
		go_on(m);
	} else if (can_wait(res->rc)) {
		m->stalled = true; /* what is there already is known by its mark */
	} else {
		finish(m, res->rc);
	}
}

static void
on_merged(void *arg, const struct store_res *res)
{
	struct merge *m = arg;
	if (can_wait(res->rc))
		m->stalled = true;
	else
		finish(m, res->rc);
}

/* A request that brings the intent along, and a lot of views or none. */
static struct request *
request_of(struct merge *m, const struct intent *in, enum req_kind kind, store_fn *fn,
    struct str lot)
{
	struct request *r = request_new(kind, fn, m);
	r->level = kind == REQ_VIEWS ? STORE_APPLIED : STORE_DURABLE;
	r->letter = xalloc(sizeof(*r->letter));
	*r->letter = (struct letter){ .letter = in->letter,
		.time_ms = in->time_ms,
		.buf = BUF_INIT(LOT_BYTES_MAX),
		.intent_len = m->intent.len,
		.first_view = m->n,
		.views_len = lot.len };
	buf_puts(&r->letter->buf, buf_str(&m->intent));
	buf_puts(&r->letter->buf, lot);
	if (r->letter->buf.failed)
		r->res.rc = -ENOMEM;
	return r;
}

/* Keeps the whole views at the beginning of what was read, as many as go into a lot. */
static void
keep_whole(struct merge *m, const struct intent *in)
{
	struct wire w = wire_of(buf_str(&m->octets));
	struct store_view v;
	uint64_t most = m->s->o.segment_bytes / 4, each = in->prefix.len + RECORD_REST;
	size_t len = 0;
	m->lot = 0;
	while (m->lot < LOT_VIEWS && m->n + m->lot < in->n_views && w.left > 0) {
		if (!store_view_get(&w, in->ref.len - in->trace_len, &v))
			break;
		size_t end = m->octets.len - w.left;
		if (m->lot && end + (m->lot + 1) * each > most)
			break;
		len = end;
		m->lot++;
	}
	buf_trunc(&m->octets, len);
}

static int
read_more(struct merge *m, const struct intent *in, size_t want)
{
	buf_reset(&m->octets);
	want = (size_t)MIN((uint64_t)want, in->views.len - m->off);
	if (!buf_reserve(&m->octets, want))
		return -ENOMEM;
	ssize_t got = store_read(m->s, &in->views, m->off, m->octets.p, want);
	if (got < 0)
		return (int)got;
	m->octets.len = (size_t)got;
	return (size_t)got == want ? 0 : -EBADMSG;
}

/* The next lot into m->octets. */
static int
read_lot(struct merge *m, const struct intent *in)
{
	const size_t wants[] = {
		(size_t)MIN((uint64_t)LOT_OCTETS, m->s->o.segment_bytes / 16),
		RECORD_VALUE_MAX, /* a long one */
	};
	int rc = m->unchecked ? store_ref_check(m->s, &in->views) : 0;
	if (rc < 0)
		return rc;
	m->unchecked = false;
	if (m->off >= in->views.len)
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
		int r = read_more(m, in, wants[i]);
		if (r < 0)
			return r;
		keep_whole(m, in);
		if (m->lot)
			return 0;
	}
	return -EBADMSG;
}

/* What is durable cannot be taken back, so this is damage that needs a hand. */
static void
damaged(struct merge *m, const struct intent *in, int rc)
{
	char id[14];
	id_format(id, in->letter);
	LOG(LOG_ERROR, 0, "merge-damaged", LOGZ("letter", id), LOGN("recipients", in->n_views),
	    LOGN("done", m->n), LOGZ("error", strerror(-rc)),
	    LOGZ("remedy", "run `pennypost fsck`, restore the store from a backup"));
	finish(m, rc);
}

static void
go_on(struct merge *m)
{
	struct intent in;
	check(intent_get(buf_str(&m->intent), &in));
	if (m->n == in.n_views) {
		store_submit(m->s, request_of(m, &in, REQ_MERGED, on_merged, STR_NULL));
		return;
	}
	int r = read_lot(m, &in);
	if (r == 0)
		store_submit(m->s, request_of(m, &in, REQ_VIEWS, on_lot, buf_str(&m->octets)));
	else if (can_wait(r))
		m->stalled = true;
	else
		damaged(m, &in, r);
}

/* --- beginning --- */

static void
begun(void *arg, const struct store_res *res)
{
	struct merge *m = arg;
	if (res->rc < 0)
		return finish(m, res->rc);
	struct str intent = letter_intent(m->letter);
	if (be64_get((const unsigned char *)intent.p + INTENT_VIEWS_AT) == 0)
		return finish(m, 0); /* it was accepted before, and nothing was written */
	buf_puts(&m->intent, intent);
	check(!m->intent.failed);
	m->letter = NULL;
	go_on(m);
}

/* Does every mailbox's record fit into a segment? */
static bool
fits(const struct store *s, const struct store_body *body, const struct store_views *v,
    const struct store_letter *l)
{
	return letter_fits(l) && v->n > 0 && v->end <= body->size &&
	       l->prefix.len + v->prefix <= RECORD_PREFIX_MAX &&
	       l->prefix.len + v->longest + RECORD_REST <= s->o.segment_bytes / 4;
}

void
store_merge(struct store *s, struct store_body *body, struct store_views *views,
    const struct store_letter *l, store_fn *fn, void *arg)
{
	struct merge *m = merge_new(s, fn, arg);
	struct request *r = request_new(REQ_MERGE, begun, m);
	struct letter *n = xalloc(sizeof(*n));
	struct store_letter head = *l;
	head.n_rcpt = 0;
	*n = (struct letter){ .letter = l->letter,
		.time_ms = l->time_ms,
		.body = body,
		.buf = BUF_INIT(MERGE_BYTES_MAX) };
	r->res.rc = body->rc < 0              ? body->rc
	            : views->body->rc < 0     ? views->body->rc
	            : fits(s, body, views, l) ? 0
	                                      : -E2BIG;
	if (r->res.rc == 0) {
		buf_puts(&n->buf, l->trace);
		n->head_len = n->buf.len;
		trace_payload_put(&n->buf, &head);
		n->trace_len = n->buf.len - n->head_len;
		intent_put_merge(&n->buf, l, views->n);
		n->intent_len = n->buf.len - n->head_len - n->trace_len;
		if (n->buf.failed)
			r->res.rc = -E2BIG;
	}
	n->views = views_take(views);
	r->letter = m->letter = n;
	store_submit(s, r);
}

/* --- after a crash, or when there is room again --- */

void
merge_redo(struct store *s, struct str intent, store_fn *fn, void *arg)
{
	struct merge *m = merge_new(s, fn, arg);
	struct intent in;
	buf_puts(&m->intent, intent);
	check(!m->intent.failed && intent_get(intent, &in) && in.n_views);
	m->unchecked = true;
	go_on(m);
}

void
store_retry(struct store *s)
{
	list_each(n, &s->merges)
	{
		struct merge *m = list_entry(n, struct merge, node);
		if (!m->stalled)
			continue;
		m->stalled = false;
		go_on(m);
	}
}

void
merges_done(struct store *s)
{
	while (!list_empty(&s->merges))
		merge_free(list_entry(s->merges.next, struct merge, node));
}
