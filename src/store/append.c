/* append: letters that are put into a mailbox as they are, and the making of mailboxes. */
#include "store/mailbox.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/resolve.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define HISTORY_BYTES_MAX (RECORD_HISTORY_MAX + 4096u)
#define MARK_MAX STORE_KEY_MAX
#define MARK_VALUE_MAX 4096u
#define FORGET_STEP 1000 /* marks removed per batch */
#define LAST_KEY STR("n|mailbox")

/* --- letters --- */

static bool
fits(const struct mailbox_append *a, const struct store_body *body)
{
	return a->header_len <= body->size && a->header_len <= UINT32_MAX &&
	       a->history.len <= RECORD_HISTORY_MAX && a->mark.len <= MARK_MAX &&
	       (a->mark.len == 0 || str_starts(a->mark, STR("I|"))) &&
	       a->was.len <= MARK_VALUE_MAX && a->value.len <= MARK_VALUE_MAX;
}

static struct append *
copy(const struct mailbox_append *a)
{
	struct append *n = xalloc(sizeof(*n));
	*n = (struct append){ .account = a->account,
		.mailbox = a->mailbox,
		.time_ms = a->time_ms,
		.flags = a->flags,
		.header_len = a->header_len,
		.absent = a->was.p == NULL,
		.mark_len = a->mark.len,
		.was_len = a->was.len,
		.value_len = a->value.len,
		.marks = BUF_INIT(MARK_MAX + 2 * MARK_VALUE_MAX) };
	buf_puts(&n->marks, a->mark);
	buf_puts(&n->marks, a->was);
	buf_puts(&n->marks, a->value);
	return n;
}

static struct letter *
letter_new(struct store_body *body, const struct mailbox_append *a)
{
	struct letter *n = xalloc(sizeof(*n));
	n->letter = a->letter;
	n->time_ms = a->now_ms;
	n->body = body;
	n->buf = BUF_INIT(HISTORY_BYTES_MAX);
	n->append = copy(a);
	if (a->history.len) {
		struct store_rcpt to = { .account = a->account, .mailbox = a->mailbox };
		trace_payload_put(&n->buf, &(struct store_letter){ .letter = a->letter,
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
	if (body->rc == 0 && fits(a, body)) {
		r->letter = letter_new(body, a);
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
	struct buf name; /* or the mark */
	bool exists;
};

static struct work *
work_new(struct store *s, uint64_t account, struct str name, store_fn *fn, void *arg)
{
	struct work *w = xalloc(sizeof(*w));
	*w = (struct work){
		.s = s, .fn = fn, .arg = arg, .account = account, .name = BUF_INIT(STORE_KEY_MAX)
	};
	buf_puts(&w->name, name);
	return w;
}

static void
finish(struct work *w, int rc)
{
	w->res.rc = rc;
	if (w->fn)
		w->fn(w->arg, &w->res);
	buf_done(&w->name);
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

/* --- create: the name and the number in A, then the header in B --- */

static void
made_head(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	/* -EAGAIN: it is there. */
	int rc = res->rc == -EAGAIN ? 0 : res->rc;
	w->res.ver = res->ver;
	finish(w, rc == 0 && w->exists ? -EEXIST : rc);
}

static void
make_head(struct work *w)
{
	struct store_dom d = store_dom_mailbox(w->account, w->mailbox);
	struct store_batch *b = store_batch_new(w->s, &d);
	struct buf head = BUF_INIT(256);
	int64_t sec = sys_wall_ms() / 1000;
	struct mailbox_head h = { .uidvalidity = sec > 0 && sec <= UINT32_MAX ? (uint32_t)sec : 1,
		.uidnext = 1 };
	w->res.slot[0] = w->mailbox;
	mailbox_head_put(&head, &h);
	store_expect(b, HEAD_KEY, STR_NULL);
	store_put(b, HEAD_KEY, buf_str(&head), 0);
	buf_done(&head);
	store_commit(b, STORE_APPLIED, made_head, w);
}

static void make_name(struct work *w);

static void
made_name(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc == -EAGAIN) /* another was faster: look again */
		make_name(w);
	else if (res->rc < 0)
		finish(w, res->rc);
	else
		make_head(w);
}

/* What there is: the mailbox of that name (w->exists) or the number for it. `last` is a copy of
 * the counter's record, len 0: there is none. */
static int
look_name(struct work *w, struct str key, char last[8], size_t *ret_last)
{
	struct store_dom d = store_dom_account(w->account);
	struct store_snap *sn = NULL;
	struct str v;
	uint64_t number = MAILBOX_INBOX;
	int r = store_snap_open(w->s, &d, &sn, NULL);
	if (r < 0)
		return r;
	r = store_get(sn, key, &v);
	w->exists = r == 0;
	if (r == 0) {
		w->mailbox = v.len == 4 ? be32_get((const unsigned char *)v.p) : 0;
		r = w->mailbox ? 0 : -EBADMSG;
	} else if (r == -ENOENT) {
		r = store_get(sn, LAST_KEY, &v);
		*ret_last = r == 0 ? v.len : 0;
		if (r == 0 && v.len == 8) {
			memcpy(last, v.p, 8);
			number = be64_get((const unsigned char *)v.p);
		} else if (r != -ENOENT) {
			r = r < 0 ? r : -EBADMSG;
		}
		r = r == -ENOENT ? 0 : r;
		if (r == 0 && number >= UINT32_MAX)
			r = -EOVERFLOW;
		w->mailbox = (uint32_t)(number + 1);
	}
	store_snap_close(sn);
	return r;
}

static void
make_name(struct work *w)
{
	struct store_dom d = store_dom_account(w->account);
	struct buf key = BUF_INIT(STORE_KEY_MAX);
	unsigned char m[6] = "M|", next[8];
	char last[8];
	size_t last_len = 0;
	buf_putz(&key, "N|");
	buf_puts(&key, buf_str(&w->name));
	int r = key.failed ? -E2BIG : look_name(w, buf_str(&key), last, &last_len);
	if (r == 0 && !w->exists) {
		struct store_batch *b = store_batch_new(w->s, &d);
		be32_put(m + 2, w->mailbox);
		be64_put(next, w->mailbox);
		store_expect(b, buf_str(&key), STR_NULL);
		store_expect(b, LAST_KEY, last_len ? str_n(last, last_len) : STR_NULL);
		store_put(b, LAST_KEY, str_n(next, sizeof(next)), 0);
		store_put(b, str_n(m, sizeof(m)), buf_str(&w->name), 0);
		store_put(b, buf_str(&key), str_n(m + 2, 4), 0);
		store_commit(b, STORE_DURABLE, made_name, w);
	}
	buf_done(&key);
	if (r < 0)
		finish_later(w, r);
	else if (w->exists)
		make_head(w);
}

void
mailbox_create(struct store *s, uint64_t account, struct str name, store_fn *fn, void *arg)
{
	struct work *w = work_new(s, account, name, fn, arg);
	if (name.len == 0 || name.len > MAILBOX_NAME_STORED_MAX)
		return finish_later(w, name.len ? -E2BIG : -EINVAL);
	if (str_ieq(name, STR("INBOX"))) {
		w->mailbox = MAILBOX_INBOX;
		w->exists = true;
		return make_head(w);
	}
	make_name(w);
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
	struct str mark = buf_str(&w->name), value;
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
	if (mark.len == 0 || w->name.failed || !str_starts(mark, STR("I|")))
		return finish_later(w, -EINVAL);
	forget_next(w);
}
