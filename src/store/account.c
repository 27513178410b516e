/*
 * account: making and removing accounts. Each step is one batch of one domain, each can be
 * repeated, and the order makes every crash in between harmless: an account is there from its
 * directory entry on (its INBOX comes with the first letter if need be), and it is gone with
 * that entry; "x|account8" in G remembers that its mail is still to be removed, and for good
 * that a letter that was under way to it leads nowhere.
 */
#include "store/mailbox.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/resolve.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define ADDRESS_MAX (STORE_KEY_MAX - 2)
#define WIPE_STEP 1000 /* keys removed per batch */

enum wipe_state { WIPE_OPEN, WIPE_DONE };

struct work {
	struct store *s;
	store_fn *fn;
	void *arg;
	struct store_res res;
	uint64_t account;
	char *address;
	uint32_t *mailboxes; /* still to be wiped, then the account's own domain */
	size_t n_mailboxes;
	uint64_t *accounts; /* a sweep's */
	size_t n_accounts;
};

static struct work *
work_new(struct store *s, store_fn *fn, void *arg)
{
	struct work *w = xalloc(sizeof(*w));
	w->s = s;
	w->fn = fn;
	w->arg = arg;
	return w;
}

static void
finish(struct work *w, int rc)
{
	w->res.rc = rc;
	if (w->fn)
		w->fn(w->arg, &w->res);
	free(w->address);
	free(w->mailboxes);
	free(w->accounts);
	free(w);
}

static void
refused(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	finish(w, w->res.rc);
}

/* Completes through store_run(), as every other answer does. */
static void
finish_later(struct work *w, int rc)
{
	w->res.rc = rc;
	store_sync(w->s, refused, w);
}

static void
user_key(struct buf *b, struct str address)
{
	buf_putz(b, "u|");
	buf_puts(b, address);
}

/* --- create: G, then A, then B --- */

static void
made_inbox(void *arg, const struct store_res *res)
{
	/* -EAGAIN: the first letter was faster. */
	finish(arg, res->rc == -EAGAIN ? 0 : res->rc);
}

static void
made_account(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc < 0 && res->rc != -EAGAIN)
		return finish(w, res->rc);
	struct store_dom d = store_dom_mailbox(w->account, MAILBOX_INBOX);
	struct store_batch *b = store_batch_new(w->s, &d);
	struct buf head = BUF_INIT(256);
	int64_t sec = sys_wall_ms() / 1000;
	struct mailbox_head h = { .uidvalidity = sec > 0 && sec <= UINT32_MAX ? (uint32_t)sec : 1,
		.uidnext = 1 };
	mailbox_head_put(&head, &h);
	store_expect(b, HEAD_KEY, STR_NULL);
	store_put(b, HEAD_KEY, buf_str(&head), 0);
	buf_done(&head);
	store_commit(b, STORE_APPLIED, made_inbox, w);
}

static void
mailbox_key(unsigned char out[6], uint32_t mailbox)
{
	out[0] = 'M', out[1] = '|';
	be32_put(out + 2, mailbox);
}

static void
made_entry(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc < 0)
		return finish(w, res->rc == -EAGAIN ? -EEXIST : res->rc);
	w->account = w->res.slot[0] = res->slot[0];
	w->res.ver = res->ver;
	struct store_dom d = store_dom_account(w->account);
	struct store_batch *b = store_batch_new(w->s, &d);
	unsigned char key[6];
	mailbox_key(key, MAILBOX_INBOX);
	struct str m = str_n(key, sizeof(key));
	store_expect(b, m, STR_NULL);
	store_put(b, m, STR("INBOX"), 0);
	store_put(b, STR("N|INBOX"), str_skip(m, 2), 0);
	store_commit(b, STORE_DURABLE, made_account, w);
}

void
account_create(struct store *s, struct str address, store_fn *fn, void *arg)
{
	struct work *w = work_new(s, fn, arg);
	if (address.len == 0 || address.len > ADDRESS_MAX)
		return finish_later(w, address.len ? -E2BIG : -EINVAL);
	struct store_dom d = store_dom_directory();
	struct store_batch *b = store_batch_new(s, &d);
	struct buf key = BUF_INIT(STORE_KEY_MAX);
	unsigned char marker[8];
	user_key(&key, address);
	store_slot_marker(marker, 0);
	store_expect(b, buf_str(&key), STR_NULL);
	store_add(b, STR("n|account"), 1, 0);
	store_put(b, buf_str(&key), str_n(marker, sizeof(marker)), 1u << 0);
	buf_done(&key);
	store_commit(b, STORE_DURABLE, made_entry, w);
}

/* --- remove: the entry at once, then the mail, mailbox by mailbox --- */

static void wipe_next(struct work *w);

static void
wipe_key(unsigned char out[10], uint64_t account)
{
	out[0] = 'x', out[1] = '|';
	be64_put(out + 2, account);
}

struct wiping {
	struct store_batch *b;
	size_t n;
};

static bool
wipe_one(void *arg, struct str key, struct str value)
{
	struct wiping *p = arg;
	store_del(p->b, key);
	p->n++;
	return true;
}

static void
wiped_some(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc < 0)
		return finish(w, res->rc);
	wipe_next(w);
}

static void
wiped_account(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc < 0 && res->rc != -EAGAIN)
		return finish(w, res->rc);
	wipe_next(w);
}

/* Deletes some keys of d; false when it has none (*ret_rc < 0: it could not look). */
static bool
wipe_some(struct work *w, const struct store_dom *d, int *ret_rc)
{
	struct store_snap *sn = NULL;
	struct wiping p = { 0 };
	*ret_rc = store_snap_open(w->s, d, &sn, NULL);
	if (*ret_rc < 0)
		return false;
	p.b = store_batch_new(w->s, d);
	*ret_rc = store_scan(sn, STR_NULL, STR_NULL, WIPE_STEP, false, wipe_one, &p);
	store_snap_close(sn);
	if (*ret_rc < 0 || p.n == 0) {
		store_batch_free(p.b);
		return false;
	}
	store_commit(p.b, STORE_DURABLE, wiped_some, w);
	return true;
}

struct naming {
	struct work *w;
	size_t cap;
};

static bool
name_mailbox(void *arg, uint32_t mailbox, struct str name)
{
	struct naming *n = arg;
	struct work *w = n->w;
	if (w->n_mailboxes == n->cap) {
		n->cap = n->cap ? n->cap * 2 : 8;
		w->mailboxes = xrealloc(w->mailboxes, n->cap * sizeof(*w->mailboxes));
	}
	w->mailboxes[w->n_mailboxes++] = mailbox;
	return true;
}

static int
wipe_begin(struct work *w, uint64_t account)
{
	struct store_dom d = store_dom_account(account);
	struct store_snap *sn = NULL;
	w->account = account;
	free(w->mailboxes);
	w->mailboxes = NULL;
	w->n_mailboxes = 0;
	int r = store_snap_open(w->s, &d, &sn, NULL);
	if (r < 0)
		return r;
	r = mailbox_list(sn, name_mailbox, &(struct naming){ w, 0 });
	store_snap_close(sn);
	return r;
}

/* The state of account's removal; open: there is mail to remove. */
static void
mark_wipe(struct store_batch *b, uint64_t account, enum wipe_state state)
{
	unsigned char key[10], value = (unsigned char)state;
	wipe_key(key, account);
	store_put(b, str_n(key, sizeof(key)), str_n(&value, 1), 0);
}

static void
wipe_next(struct work *w)
{
	int r = 0;
	while (w->account && w->n_mailboxes) {
		struct store_dom d =
		    store_dom_mailbox(w->account, w->mailboxes[w->n_mailboxes - 1]);
		if (wipe_some(w, &d, &r))
			return;
		if (r < 0)
			return finish(w, r);
		w->n_mailboxes--;
	}
	if (w->account) {
		struct store_dom d = store_dom_account(w->account), g = store_dom_directory();
		if (wipe_some(w, &d, &r))
			return;
		if (r < 0)
			return finish(w, r);
		struct store_batch *b = store_batch_new(w->s, &g);
		mark_wipe(b, w->account, WIPE_DONE);
		w->account = 0;
		store_commit(b, STORE_DURABLE, wiped_account, w);
		return;
	}
	if (w->n_accounts == 0)
		return finish(w, 0);
	r = wipe_begin(w, w->accounts[--w->n_accounts]);
	if (r < 0)
		return finish(w, r);
	wipe_next(w);
}

static void
removed_entry(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	w->res.ver = res->ver;
	int r = res->rc == -EAGAIN ? -ENOENT : res->rc;
	if (r == 0)
		r = wipe_begin(w, w->account);
	if (r < 0)
		return finish(w, r);
	wipe_next(w);
}

void
account_remove(struct store *s, struct str address, store_fn *fn, void *arg)
{
	struct work *w = work_new(s, fn, arg);
	struct store_dom d = store_dom_directory();
	struct store_snap *sn = NULL;
	struct buf key = BUF_INIT(STORE_KEY_MAX);
	struct str value;
	user_key(&key, address);
	int r = key.failed ? -ENOENT : store_snap_open(s, &d, &sn, NULL);
	if (r == 0)
		r = store_get(sn, buf_str(&key), &value);
	if (r == 0 && value.len < 8)
		r = -EBADMSG;
	if (r == 0) {
		struct store_batch *b = store_batch_new(s, &d);
		w->account = w->res.slot[0] = be64_get((const unsigned char *)value.p);
		store_expect(b, buf_str(&key), value);
		store_del(b, buf_str(&key));
		mark_wipe(b, w->account, WIPE_OPEN);
		store_commit(b, STORE_DURABLE, removed_entry, w);
	}
	store_snap_close(sn);
	buf_done(&key);
	if (r < 0)
		finish_later(w, r);
}

/* --- sweep: removals that a crash interrupted --- */

static bool
find_open(void *arg, struct str key, struct str value)
{
	struct work *w = arg;
	if (key.len != 10 || value.len != 1 || value.p[0] != WIPE_OPEN)
		return true;
	w->accounts = xrealloc(w->accounts, (w->n_accounts + 1) * sizeof(*w->accounts));
	w->accounts[w->n_accounts++] = be64_get((const unsigned char *)key.p + 2);
	return true;
}

static void
sweep(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc < 0)
		return finish(w, res->rc);
	wipe_next(w);
}

void
account_sweep(struct store *s, store_fn *fn, void *arg)
{
	struct work *w = work_new(s, fn, arg);
	struct store_dom d = store_dom_directory();
	struct store_snap *sn = NULL;
	int r = store_snap_open(s, &d, &sn, NULL);
	if (r == 0)
		r = store_scan(sn, STR("x|"), STR("x}"), 0, false, find_open, w);
	store_snap_close(sn);
	if (r < 0)
		finish_later(w, r);
	else
		store_sync(s, sweep, w);
}
