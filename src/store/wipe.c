/* All that stands in a domain goes, some at a time, so that nobody waits long. */
#include "store/mail_priv.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define WIPE_STEP 1000 /* keys removed per batch */

struct wiping {
	struct store *s;
	struct store_dom dom;
	store_fn *fn;
	void *arg;
	struct store_batch *b;
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
	store_del(w->b, key);
	w->n++;
	return true;
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
wiping_new(struct store *s, const struct store_dom *d, store_fn *fn, void *arg)
{
	struct wiping *w = xalloc(sizeof(*w));
	*w = (struct wiping){ .s = s, .dom = *d, .fn = fn, .arg = arg };
	return w;
}

void
domain_wipe(struct store *s, const struct store_dom *d, store_fn *fn, void *arg)
{
	next(wiping_new(s, d, fn, arg));
}

void
mailbox_wipe(struct store *s, uint64_t account, uint32_t mailbox, store_fn *fn, void *arg)
{
	struct store_dom d = store_dom_mailbox(account, mailbox);
	struct wiping *w = wiping_new(s, &d, fn, arg);
	w->account = account;
	w->mailbox = mailbox;
	next(w);
}
