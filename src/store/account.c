/*
 * account: making and removing accounts. Each step is one batch of one domain, each can be
 * repeated, and the order makes every crash in between harmless: an account is there from its
 * directory entry on (its INBOX comes with the first letter if need be), and it is gone with
 * that entry; "x|account8" in G remembers that its mail is still to be removed, and for good
 * that a letter that was under way to it leads nowhere.
 */
#include "store/mail_priv.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>
#include <stdlib.h>

#define ADDRESS_MAX (STORE_KEY_MAX - 2)

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
	uint32_t heads; /* still to be made */
	int rc;
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
made_head(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	/* -EAGAIN: the first letter was faster. */
	if (res->rc < 0 && res->rc != -EAGAIN && w->rc == 0)
		w->rc = res->rc;
	if (--w->heads == 0)
		finish(w, w->rc);
}

static void
made_account(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc < 0 && res->rc != -EAGAIN)
		return finish(w, res->rc);
	w->heads = 1 + MAIL_FOLDERS;
	for (uint32_t i = 0; i < 1 + MAIL_FOLDERS; i++)
		store_commit(head_batch(w->s, w->account, MAILBOX_INBOX + i), STORE_APPLIED,
		    made_head, w);
}

/* Name, number, special use and subscription. */
static void
put_folder(struct store_batch *b, uint32_t mailbox, const char *name, uint32_t special)
{
	struct buf key = BUF_INIT(STORE_KEY_MAX), value = BUF_INIT(16);
	char m[6];
	struct str number = str_n(m, number_key(m, 'M', mailbox));
	buf_putf(&key, "N|%s", name);
	store_put(b, number, str_of(name), 0);
	store_put(b, buf_str(&key), str_skip(number, 2), 0);
	buf_reset(&key);
	buf_putf(&key, "S|%s", name);
	store_put(b, buf_str(&key), STR(""), 0);
	special_put(&value, special);
	number = str_n(m, number_key(m, 'T', mailbox));
	if (special)
		store_put(b, number, buf_str(&value), 0);
	buf_done(&key);
	buf_done(&value);
}

static void
make_folders(struct work *w)
{
	struct store_dom d = store_dom_account(w->account);
	struct store_batch *b = store_batch_new(w->s, &d);
	char key[6];
	unsigned char last[8];
	store_expect(b, str_n(key, number_key(key, 'M', MAILBOX_INBOX)), STR_NULL);
	put_folder(b, MAILBOX_INBOX, "INBOX", 0);
	for (uint32_t i = 0; i < MAIL_FOLDERS; i++)
		put_folder(b, MAILBOX_INBOX + 1 + i, mail_folders[i].name, mail_folders[i].special);
	be64_put(last, MAILBOX_INBOX + MAIL_FOLDERS);
	store_put(b, STR("n|mailbox"), str_n(last, sizeof(last)), 0);
	store_commit(b, STORE_DURABLE, made_account, w);
}

static void
made_entry(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	if (res->rc < 0)
		return finish(w, res->rc == -EAGAIN ? -EEXIST : res->rc);
	w->account = w->res.slot[0] = res->slot[0];
	w->res.ver = res->ver;
	make_folders(w);
}

void
account_finish(struct store *s, uint64_t account, store_fn *fn, void *arg)
{
	struct work *w = work_new(s, fn, arg);
	w->account = account;
	make_folders(w);
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

/* The state of account's removal; open: there is mail to remove. */
static void
mark_wipe(struct store_batch *b, uint64_t account, enum wipe_state state)
{
	unsigned char key[10], value = (unsigned char)state;
	wipe_key(key, account);
	store_put(b, str_n(key, sizeof(key)), str_n(&value, 1), 0);
}

static void
wiped_names(void *arg, const struct store_res *res)
{
	struct work *w = arg;
	struct store_dom g = store_dom_directory();
	if (res->rc < 0)
		return finish(w, res->rc);
	struct store_batch *b = store_batch_new(w->s, &g);
	mark_wipe(b, w->account, WIPE_DONE);
	char key[10];
	store_del(b, options_key(key, w->account));
	w->account = 0;
	store_commit(b, STORE_DURABLE, wiped_account, w);
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

/* A deleted mailbox whose mail is still there. */
static bool
name_deleted(void *arg, struct str key, struct str value)
{
	if (key.len == 6 && value.len == 1 && value.p[0] == WIPE_OPEN)
		name_mailbox(arg, be32_get((const unsigned char *)key.p + 2), STR_NULL);
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
	struct naming n = { w, 0 };
	r = mailbox_list(sn, name_mailbox, &n);
	if (r == 0)
		r = store_scan(sn, STR("w|"), STR("w}"), 0, false, name_deleted, &n);
	store_snap_close(sn);
	return r;
}

static void
wipe_next(struct work *w)
{
	if (w->account && w->n_mailboxes) {
		struct store_dom d = store_dom_mailbox(w->account, w->mailboxes[--w->n_mailboxes]);
		return domain_wipe(w->s, &d, "expunged: the account was removed", wiped_some, w);
	}
	if (w->account) {
		struct store_dom d = store_dom_account(w->account);
		return domain_wipe(w->s, &d, NULL, wiped_names, w);
	}
	if (w->n_accounts == 0)
		return finish(w, 0);
	int r = wipe_begin(w, w->accounts[--w->n_accounts]);
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
