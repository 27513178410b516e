/* The caller's side of operations on letters: slices in, results added up. */
#include "store/mail_priv.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRIES 10000                /* while a body is about to move */
#define APPEND_MEMORY_MAX (8u << 20) /* of bodies that go into one group */

struct work {
	struct store *s;
	mail_fn *fn;
	void *arg;
	enum store_level level;
	struct mail_op op;
	struct mail_result res;
	struct ranges uids, to, failed;
	unsigned retries;
	uint32_t appends;
	bool sweep;
	int rc; /* what it failed with, while it is taken back */
};

static struct work *
work_new(struct store *s, enum mail_kind kind, uint64_t account, uint32_t mailbox, mail_fn *fn,
    void *arg)
{
	struct work *w = xalloc(sizeof(*w));
	*w = (struct work){ .s = s, .fn = fn, .arg = arg, .level = STORE_DURABLE };
	w->op = (struct mail_op){ .kind = kind,
		.account = account,
		.mailbox = mailbox,
		.at = 1,
		.slice_octets = MIN((size_t)MAIL_SLICE_OCTETS, (size_t)(s->o.segment_bytes / 8)),
		.keywords = BUF_INIT(KEYWORDS_OCTETS_MAX),
		.outlines = BUF_INIT(MAIL_OUTLINES_MAX * (STORE_OUTLINE_MAX + 16)) };
	return w;
}

static void
take_by(struct mail_op *op, const struct mail_by *by)
{
	struct str who = str_first(by->who, MAIL_WHO_MAX), peer = str_first(by->peer, 64);
	if (!who.len)
		return;
	op->by_text = xalloc(who.len + peer.len + 1);
	memcpy(op->by_text, who.p, who.len);
	if (peer.len)
		memcpy(op->by_text + who.len, peer.p, peer.len);
	op->by = (struct mail_by){ by->session, by->now_ms, str_n(op->by_text, who.len),
		str_n(op->by_text + who.len, peer.len) };
}

static void
finish(struct work *w, int rc)
{
	struct mail_result *r = &w->res;
	r->rc = rc;
	r->uids = w->uids.p, r->n_uids = w->uids.n, r->count = w->uids.count;
	r->to = w->to.p, r->n_to = w->to.n;
	r->failed = w->failed.p, r->n_failed = w->failed.n;
	if (w->fn)
		w->fn(w->arg, r);
	mail_op_done(&w->op);
	ranges_done(&w->uids);
	ranges_done(&w->to);
	ranges_done(&w->failed);
	free(w);
}

static void
on_refused(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	finish(w, w->rc);
}

/* Completes through store_run(), as every other answer does. */
static void
finish_later(struct work *w, int rc)
{
	w->rc = rc;
	store_sync(w->s, on_refused, w);
}

/* --- slices --- */

static void on_slice(void *arg, const struct store_res *res);

static void
next_slice(struct work *w)
{
	struct request *r = request_new(REQ_MAIL, on_slice, w);
	r->level = w->level;
	r->mail = &w->op;
	store_submit(w->s, r);
}

static void
on_synced(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc < 0)
		return finish(w, res->rc);
	next_slice(w);
}

static void
add_ranges(struct ranges *to, const struct ranges *from)
{
	for (size_t i = 0; i < from->n; i++)
		ranges_add_range(to, from->p[i]);
}

static void
add_up(struct work *w)
{
	struct mail_op *op = &w->op;
	add_ranges(&w->uids, &op->out.uids);
	add_ranges(&w->to, &op->out.to);
	add_ranges(&w->failed, &op->out.failed);
	w->res.modseq = op->out.modseq;
	if (op->out.uidvalidity)
		w->res.uidvalidity = op->out.uidvalidity;
	op->at = op->out.at;
	op->copy = op->out.copy;
	op->copy.redo = false;
	w->retries = 0;
}

/* --- what becomes of a copy that cannot go on --- */

static void
on_taken_back(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc == 0 && w->op.out.more) {
		w->op.at = w->op.out.at;
		return next_slice(w);
	}
	finish(w, w->rc);
}

/* The intent is gone: now the letters, too. */
static void
on_aborted(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc < 0 || w->op.move || w->sweep || w->to.count == 0)
		return finish(w, w->sweep && res->rc == 0 ? 0 : w->rc);
	ranges_reset(&w->op.uids);
	add_ranges(&w->op.uids, &w->to);
	ranges_reset(&w->to);
	ranges_reset(&w->uids);
	w->op.kind = MAIL_EXPUNGE;
	w->op.by.who = STR_NULL; /* nothing has happened */
	w->op.mailbox = w->op.to;
	w->op.at = 1;
	next_slice(w);
}

static void
take_back(struct work *w, int rc)
{
	w->rc = rc;
	w->op.copy.abort = true;
	next_slice(w);
}

static void
on_slice(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	struct mail_op *op = &w->op;
	int rc = res->rc;
	if (w->rc < 0)
		return op->kind == MAIL_EXPUNGE ? on_taken_back(arg, res) : on_aborted(arg, res);
	if (rc == -EAGAIN && w->retries++ < RETRIES)
		return store_sync(w->s, on_synced, w);
	if (rc == 0) {
		add_up(w);
		if (op->out.more)
			return next_slice(w);
	}
	/* What a sweep cannot do now the next one may. */
	bool over = rc < 0 && op->kind == MAIL_COPY && op->copy.id &&
	            (!w->sweep || rc == -ENOENT) && rc != -EIO;
	if (over)
		return take_back(w, rc);
	finish(w, rc);
}

/* --- what the caller hands in --- */

static int
take_ranges(struct ranges *to, const struct mail_range *p, size_t n, size_t max)
{
	uint64_t above = 0;
	if (n > max)
		return -E2BIG;
	for (size_t i = 0; i < n; i++) {
		if (p[i].first <= above || p[i].last < p[i].first)
			return -EINVAL;
		above = p[i].last;
		ranges_add_range(to, p[i]);
	}
	return 0;
}

static int
take_keywords(struct buf *to, const struct str *names, size_t n)
{
	if (n > MAIL_KEYWORDS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++) {
		if (!keyword_fits(names[i]))
			return -EINVAL;
		put_str(to, names[i]);
	}
	return to->failed ? -E2BIG : 0;
}

static void
begin(struct work *w, int rc)
{
	if (rc < 0)
		finish_later(w, rc);
	else
		next_slice(w);
}

void
mail_store_flags(struct store *s, const struct mail_flags *f, mail_fn *fn, void *arg)
{
	struct work *w = work_new(s, MAIL_FLAGS, f->account, f->mailbox, fn, arg);
	w->level = f->level;
	w->op.how = f->op;
	w->op.flags = f->flags;
	w->op.conditional = f->conditional;
	w->op.unchanged_since = f->unchanged_since;
	take_by(&w->op, &f->by);
	int r = take_ranges(&w->op.uids, f->uids, f->n_uids, MAIL_RANGES_MAX);
	if (r == 0)
		r = take_keywords(&w->op.keywords, f->keywords, f->n_keywords);
	if (r == 0 && f->flags & ~(uint64_t)MAILBOX_FLAGS_SYSTEM)
		r = -EINVAL;
	begin(w, r);
}

void
mail_expunge(struct store *s, const struct mail_expunge *x, mail_fn *fn, void *arg)
{
	static const struct mail_range all = { 1, UINT32_MAX };
	struct work *w = work_new(s, MAIL_EXPUNGE, x->account, x->mailbox, fn, arg);
	w->level = x->level;
	w->op.deleted_only = x->deleted_only;
	take_by(&w->op, &x->by);
	begin(w, take_ranges(&w->op.uids, x->n_uids ? x->uids : &all, x->n_uids ? x->n_uids : 1,
		     MAIL_RANGES_MAX));
}

static void
prepare_copy(struct work *w, uint32_t to, bool move, uint64_t now_ms)
{
	w->op.to = to;
	w->op.move = move;
	w->op.now_ms = now_ms;
}

void
mail_copy(struct store *s, const struct mail_copy *c, mail_fn *fn, void *arg)
{
	struct work *w = work_new(s, MAIL_COPY, c->account, c->from, fn, arg);
	w->level = c->level;
	prepare_copy(w, c->to, c->move, c->now_ms);
	take_by(&w->op, &c->by);
	begin(w, take_ranges(&w->op.uids, c->uids, c->n_uids, MAIL_COPY_RANGES_MAX));
}

void
copy_redo(struct store *s, uint64_t account, uint64_t id, struct copy_intent *c, mail_fn *fn,
    void *arg)
{
	struct work *w = work_new(s, MAIL_COPY, account, c->from, fn, arg);
	prepare_copy(w, c->to, c->move, c->now_ms);
	w->sweep = true;
	w->op.uids = c->uids;
	w->op.copy = (struct copy_state){ .id = id, .limit = UINT32_MAX, .redo = true };
	begin(w, 0);
}

void
mail_put_outlines(struct store *s, uint64_t account, uint32_t mailbox, const struct mail_outline *o,
    size_t n, mail_fn *fn, void *arg)
{
	struct work *w = work_new(s, MAIL_OUTLINES, account, mailbox, fn, arg);
	int r = n > MAIL_OUTLINES_MAX ? -E2BIG : 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (o[i].octets.len == 0 || o[i].octets.len > STORE_OUTLINE_MAX)
			r = o[i].octets.len ? -E2BIG : -EINVAL;
		else if (i && o[i].uid <= o[i - 1].uid)
			r = -EINVAL;
		put_u32(&w->op.outlines, o[i].uid);
		put_u64(&w->op.outlines, o[i].letter);
		put_str(&w->op.outlines, o[i].octets);
	}
	/* They are one batch. */
	if (r == 0 && w->op.outlines.len > MAIL_SLICE_OCTETS)
		r = -E2BIG;
	begin(w, r);
}

/* --- append --- */

static void
on_appended(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	uint32_t first = (uint32_t)res->slot[0];
	if (res->rc == 0) {
		w->res.uidvalidity = (uint32_t)res->slot[1];
		w->res.modseq = res->slot[2];
		ranges_add_range(&w->to, (struct mail_range){ first, first + w->appends - 1 });
	}
	finish(w, res->rc);
}

/* Takes body over. */
static int
take_append(struct work *w, const struct mail_append *a, uint64_t now_ms, struct letter **ret)
{
	struct buf keywords = BUF_INIT(KEYWORDS_OCTETS_MAX);
	struct mailbox_append m = { .account = w->op.account,
		.mailbox = w->op.mailbox,
		.letter = a->letter,
		.time_ms = a->time_ms,
		.flags = a->flags,
		.header_len = a->header_len,
		.now_ms = now_ms,
		.history = a->history,
		.session = a->session,
		.address = a->address,
		.outline = a->outline };
	int r = take_keywords(&keywords, a->keywords, a->n_keywords);
	if (r == 0)
		r = a->body->rc < 0 ? a->body->rc : append_fits(&m, a->body) ? 0 : -E2BIG;
	if (r == 0) {
		*ret = append_letter(a->body, &m, buf_str(&keywords));
		if ((*ret)->buf.failed || (*ret)->append->marks.failed)
			r = -E2BIG;
	} else {
		store_body_free(a->body);
	}
	buf_done(&keywords);
	return r;
}

/* Bodies that would make the group too large stand in files of their own. */
static int
limit_memory(const struct mail_append *a, size_t n, size_t most)
{
	size_t sum = 0;
	for (size_t i = 0; i < n; i++) {
		sum += store_body_memory(a[i].body);
		if (sum <= most)
			continue;
		sum -= store_body_memory(a[i].body);
		int r = store_body_spill(a[i].body);
		if (r < 0)
			return r;
	}
	return 0;
}

void
mail_append(struct store *s, uint64_t account, uint32_t mailbox, const struct mail_append *a,
    size_t n, uint64_t now_ms, enum store_level level, mail_fn *fn, void *arg)
{
	struct work *w = work_new(s, MAIL_FLAGS, account, mailbox, fn, arg);
	struct request *req = request_new(REQ_APPEND, on_appended, w);
	struct letter **end = &req->letter;
	int r = n == 0 ? -EINVAL : n > MAIL_APPENDS_MAX ? -E2BIG : 0;
	if (r == 0)
		r = limit_memory(a, n,
		    MIN((size_t)APPEND_MEMORY_MAX, (size_t)(s->o.segment_bytes / 2)));
	for (size_t i = 0; i < n; i++) {
		if (r < 0) {
			store_body_free(a[i].body);
			continue;
		}
		r = take_append(w, &a[i], now_ms, end);
		if (*end)
			end = &(*end)->next;
	}
	w->appends = (uint32_t)n;
	req->level = level;
	req->res.rc = r;
	store_submit(s, req);
}
