/* append: letters that are put into a mailbox as they are, and the marks of imports. */
#include "store/mail_priv.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>
#include <stdlib.h>

#define HISTORY_BYTES_MAX (RECORD_HISTORY_MAX + 4096u)
#define MARK_MAX STORE_KEY_MAX
#define MARK_VALUE_MAX 4096u
#define FORGET_STEP 1000 /* marks removed per batch */

/* --- letters --- */

bool
append_fits(const struct mailbox_append *a, const struct store_body *body)
{
	return a->header_len <= body->size && a->header_len <= UINT32_MAX &&
	       a->history.len <= RECORD_HISTORY_MAX && a->mark.len <= MARK_MAX &&
	       (a->mark.len == 0 || str_starts(a->mark, STR("I|"))) &&
	       a->was.len <= MARK_VALUE_MAX && a->value.len <= MARK_VALUE_MAX &&
	       !(a->flags & ~(uint64_t)MAILBOX_FLAGS_SYSTEM);
}

static struct append *
copy(const struct mailbox_append *a, struct str keywords)
{
	struct str outline = a->outline.len <= STORE_OUTLINE_MAX ? a->outline : STR_NULL;
	struct append *n = xalloc(sizeof(*n));
	*n = (struct append){ .account = a->account,
		.mailbox = a->mailbox,
		.time_ms = a->time_ms,
		.now_ms = a->now_ms ? a->now_ms : a->time_ms,
		.flags = a->flags,
		.header_len = a->header_len,
		.absent = a->was.p == NULL,
		.mark_len = a->mark.len,
		.was_len = a->was.len,
		.value_len = a->value.len,
		.outline_len = outline.len,
		.keywords_len = keywords.len,
		.marks = BUF_INIT(MARK_MAX + 2 * MARK_VALUE_MAX + STORE_OUTLINE_MAX +
				  KEYWORDS_OCTETS_MAX) };
	buf_puts(&n->marks, a->mark);
	buf_puts(&n->marks, a->was);
	buf_puts(&n->marks, a->value);
	buf_puts(&n->marks, outline);
	buf_puts(&n->marks, keywords);
	return n;
}

struct letter *
append_letter(struct store_body *body, const struct mailbox_append *a, struct str keywords)
{
	struct letter *n = xalloc(sizeof(*n));
	n->letter = a->letter;
	n->time_ms = a->now_ms;
	n->body = body;
	n->buf = BUF_INIT(HISTORY_BYTES_MAX);
	n->append = copy(a, keywords);
	if (a->history.len) {
		struct store_rcpt to = {
			.account = a->account, .mailbox = a->mailbox, .rcpt = a->address
		};
		trace_payload_put(&n->buf, &(struct store_letter){ .letter = a->letter,
					       .session = a->session,
					       .time_ms = a->now_ms,
					       .history = a->history,
					       .rcpt = &to,
					       .n_rcpt = 1 });
		n->trace_len = n->buf.len;
	}
	return n;
}

void
mailbox_append(struct store *s, struct store_body *body, const struct mailbox_append *a,
    enum store_level level, store_fn *fn, void *arg)
{
	struct request *r = request_new(REQ_APPEND, fn, arg);
	r->level = level;
	if (body->rc == 0 && append_fits(a, body)) {
		r->letter = append_letter(body, a, STR_NULL);
		if (r->letter->buf.failed || r->letter->append->marks.failed)
			r->res.rc = -E2BIG;
	} else {
		r->res.rc = body->rc < 0 ? body->rc : -E2BIG;
		store_body_free(body);
	}
	store_submit(s, r);
}

/* --- a piece of work in several batches --- */

struct work {
	struct store *s;
	store_fn *fn;
	void *arg;
	struct store_res res;
	uint64_t account;
	uint32_t mailbox;
	struct buf mark;
};

static struct work *
work_new(struct store *s, uint64_t account, struct str mark, store_fn *fn, void *arg)
{
	struct work *w = xalloc(sizeof(*w));
	*w = (struct work){
		.s = s, .fn = fn, .arg = arg, .account = account, .mark = BUF_INIT(STORE_KEY_MAX)
	};
	buf_puts(&w->mark, mark);
	return w;
}

static void
finish(struct work *w, int rc)
{
	w->res.rc = rc;
	if (w->fn)
		w->fn(w->arg, &w->res);
	buf_done(&w->mark);
	free(w);
}

static void
on_later(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	finish(w, w->res.rc);
}

/* Completes through store_run(), as every other answer does. */
static void
finish_later(struct work *w, int rc)
{
	w->res.rc = rc;
	store_sync(w->s, on_later, w);
}

/* --- marks --- */

struct forgetting {
	struct store_batch *b;
	size_t n;
};

static bool
forget_one(void *arg, struct str key, struct str value)
{
	struct forgetting *f = arg;
	store_del(f->b, key);
	f->n++;
	return true;
}

static void forget_next(struct work *w);

static void
forgot_some(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc < 0)
		return finish(w, res->rc);
	forget_next(w);
}

static void
forget_next(struct work *w)
{
	struct store_dom d = store_dom_mailbox(w->account, w->mailbox);
	struct store_snap *sn = NULL;
	struct forgetting f = { 0 };
	struct str mark = buf_str(&w->mark), value;
	struct buf from = BUF_INIT(STORE_KEY_MAX), to = BUF_INIT(STORE_KEY_MAX);
	buf_puts(&from, mark);
	buf_putc(&from, '|');
	buf_puts(&to, mark);
	buf_putc(&to, '|' + 1);
	int r = from.failed ? -E2BIG : store_snap_open(w->s, &d, &sn, NULL);
	if (r == 0) {
		f.b = store_batch_new(w->s, &d);
		r = store_scan(sn, buf_str(&from), buf_str(&to), FORGET_STEP, false, forget_one,
		    &f);
		if (r == 0 && store_get(sn, mark, &value) == 0)
			forget_one(&f, mark, value);
		store_snap_close(sn);
	}
	buf_done(&from);
	buf_done(&to);
	if (r == 0 && f.n) {
		store_commit(f.b, STORE_DURABLE, forgot_some, w);
		return;
	}
	store_batch_free(f.b);
	finish_later(w, r);
}

void
mailbox_forget_marks(struct store *s, uint64_t account, uint32_t mailbox, struct str mark,
    store_fn *fn, void *arg)
{
	struct work *w = work_new(s, account, mark, fn, arg);
	w->mailbox = mailbox;
	if (mark.len == 0 || w->mark.failed || !str_starts(mark, STR("I|")))
		return finish_later(w, -EINVAL);
	forget_next(w);
}
