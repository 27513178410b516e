/* All that stands in a domain goes, some at a time, so that nobody waits long. */
#include "store/mail_priv.h"

#include "base/check.h"
#include "base/wire.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define WIPE_STEP 1000 /* keys removed per batch */

struct wiping {
	struct store *s;
	struct store_dom dom;
	store_fn *fn;
	void *arg;
	const char *why; /* notes of letters say it; NULL: there are none */
	struct store_batch *b;
	struct buf noted;
	size_t n;
	/* of a mailbox */
	uint64_t account;
	uint32_t mailbox;
	bool late; /* rc waits for store_run() */
	int rc;
};

static void
finish(struct wiping *w, const struct store_res *res)
{
	struct store_res r = *res;
	if (w->late)
		r.rc = w->rc;
	if (w->fn)
		w->fn(w->arg, &r);
	buf_done(&w->noted);
	free(w);
}

static void
on_finished(void *arg, const struct store_res *res)
{
	finish(arg, res);
}

/* Nothing is left. */
static void
end(struct wiping *w)
{
	static const unsigned char done = WIPE_DONE;
	char key[6];
	if (w->mailbox == 0)
		return store_sync(w->s, on_finished, w);
	struct store_dom a = store_dom_account(w->account);
	struct store_batch *b = store_batch_new(w->s, &a);
	struct str k = str_n(key, number_key(key, 'w', w->mailbox));
	/* Unless the account itself is being removed. */
	store_expect(b, k, STR("\0"));
	store_put(b, k, str_n(&done, 1), 0);
	store_commit(b, STORE_DURABLE, on_finished, w);
}

static bool
wipe_one(void *arg, struct str key, struct str value)
{
	struct wiping *w = arg;
	struct mailbox_letter l;
	store_del(w->b, key);
	if (w->why && key.len == 6 && key.p[0] == 'R' && mailbox_letter_get(value, &l))
		store_note_line(&w->noted, be64_get(w->dom.b + 1), be32_get(w->dom.b + 9), l.letter,
		    be32_get((const unsigned char *)key.p + 2));
	w->n++;
	return true;
}

/* What became of the letters that go with this batch. */
static void
note(struct wiping *w)
{
	struct buf text = BUF_INIT(256);
	if (!w->noted.len)
		return;
	buf_putf(&text, "%s\n", w->why);
	store_note(w->b, &(struct store_note){ .kind = STORE_NOTE_MAILBOX,
			     .time_ms = (uint64_t)sys_wall_ms(),
			     .rcpts = buf_str(&w->noted),
			     .octets = buf_str(&text) });
	buf_done(&text);
	buf_reset(&w->noted);
}

static void next(struct wiping *w);

static void
on_wiped(void *arg, const struct store_res *res)
{
	if (res->rc < 0)
		return finish(arg, res);
	next(arg);
}

static void
next(struct wiping *w)
{
	struct store_snap *sn = NULL;
	int r = store_snap_open(w->s, &w->dom, &sn, NULL);
	w->n = 0;
	w->b = store_batch_new(w->s, &w->dom);
	if (r == 0)
		r = store_scan(sn, STR_NULL, STR_NULL, WIPE_STEP, false, wipe_one, w);
	store_snap_close(sn);
	if (r == 0)
		note(w);
	if (r == 0 && w->n)
		return store_commit(w->b, STORE_DURABLE, on_wiped, w);
	store_batch_free(w->b);
	if (r == 0)
		return end(w);
	w->late = true;
	w->rc = r;
	store_sync(w->s, on_finished, w);
}

static struct wiping *
wiping_new(struct store *s, const struct store_dom *d, const char *why, store_fn *fn, void *arg)
{
	struct wiping *w = xalloc(sizeof(*w));
	*w = (struct wiping){ .s = s,
		.dom = *d,
		.why = why,
		.noted = BUF_INIT(STORE_NOTE_MAX),
		.fn = fn,
		.arg = arg };
	return w;
}

void
domain_wipe(struct store *s, const struct store_dom *d, const char *why, store_fn *fn, void *arg)
{
	next(wiping_new(s, d, why, fn, arg));
}

void
mailbox_wipe(struct store *s, uint64_t account, uint32_t mailbox, store_fn *fn, void *arg)
{
	struct store_dom d = store_dom_mailbox(account, mailbox);
	struct wiping *w = wiping_new(s, &d, "expunged: the mailbox was removed", fn, arg);
	w->account = account;
	w->mailbox = mailbox;
	next(w);
}
