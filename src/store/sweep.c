/* What a crash has interrupted: the making of accounts, copies, moves, the removal of mailboxes. */
#include "store/mail_priv.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>
#include <stdlib.h>

#define ACCOUNTS_STEP 256 /* looked at between two turns of the caller's loop */

struct left {
	uint64_t account, id; /* id 0: a mailbox to be wiped; and 0: an account to be made */
	uint32_t mailbox;
	struct copy_intent copy;
};

struct sweeping {
	struct store *s;
	mail_fn *fn;
	void *arg;
	struct buf from; /* the next key of the directory */
	uint64_t accounts[ACCOUNTS_STEP];
	size_t n_accounts;
	uint64_t account; /* at hand */
	struct left *left;
	size_t n_left, cap_left;
	int rc;
};

static void
finish(struct sweeping *w)
{
	struct mail_result r = { .rc = w->rc };
	if (w->fn)
		w->fn(w->arg, &r);
	for (size_t i = 0; i < w->n_left; i++)
		ranges_done(&w->left[i].copy.uids);
	free(w->left);
	buf_done(&w->from);
	free(w);
}

/* --- what there is --- */

static bool
find_account(void *arg, struct str key, struct str value)
{
	struct sweeping *w = arg;
	buf_reset(&w->from);
	buf_puts(&w->from, key);
	buf_putc(&w->from, '\0'); /* the first key above it */
	/* Of an entry that fsck would complain about: no account. */
	w->accounts[w->n_accounts++] =
	    value.len >= 8 ? be64_get((const unsigned char *)value.p) : 0;
	return w->n_accounts < ACCOUNTS_STEP;
}

static struct left *
add_left(struct sweeping *w)
{
	if (w->n_left == w->cap_left) {
		w->cap_left = w->cap_left ? w->cap_left * 2 : 8;
		w->left = xrealloc(w->left, w->cap_left * sizeof(*w->left));
	}
	w->left[w->n_left] = (struct left){ .account = w->account };
	return &w->left[w->n_left++];
}

static bool
find_copy(void *arg, struct str key, struct str value)
{
	struct sweeping *w = arg;
	struct copy_intent c;
	if (key.len != COPY_KEY_LEN || !copy_intent_get(value, &c))
		return true; /* for fsck to tell */
	struct left *l = add_left(w);
	l->id = be64_get((const unsigned char *)key.p + 2);
	l->copy = c;
	return true;
}

static bool
find_wipe(void *arg, struct str key, struct str value)
{
	struct sweeping *w = arg;
	if (key.len == 6 && value.len == 1 && value.p[0] == WIPE_OPEN)
		add_left(w)->mailbox = be32_get((const unsigned char *)key.p + 2);
	return true;
}

static int
look_at_account(struct sweeping *w, uint64_t account)
{
	struct store_dom d = store_dom_account(account);
	struct store_snap *sn = NULL;
	struct str inbox;
	char key[6];
	w->account = account;
	int r = store_snap_open(w->s, &d, &sn, NULL);
	if (r == 0)
		r = store_get(sn, str_n(key, number_key(key, 'M', MAILBOX_INBOX)), &inbox);
	if (r == -ENOENT && account) {
		(void)add_left(w);
		r = 0;
	}
	if (r == 0)
		r = store_scan(sn, STR("P|"), STR("P}"), 0, false, find_copy, w);
	if (r == 0)
		r = store_scan(sn, STR("w|"), STR("w}"), 0, false, find_wipe, w);
	store_snap_close(sn);
	return r;
}

static int
look_at_some(struct sweeping *w)
{
	struct store_dom g = store_dom_directory();
	struct store_snap *sn = NULL;
	w->n_accounts = 0;
	int r = store_snap_open(w->s, &g, &sn, NULL);
	if (r == 0)
		r = store_scan(sn, w->from.len ? buf_str(&w->from) : STR("u|"), STR("u}"),
		    ACCOUNTS_STEP, false, find_account, w);
	store_snap_close(sn);
	for (size_t i = 0; r == 0 && i < w->n_accounts; i++)
		r = look_at_account(w, w->accounts[i]);
	return r;
}

/* --- and its end --- */

static void next(struct sweeping *w);

static void
on_copied(void *arg, const struct mail_result *res)
{
	struct sweeping *w = arg;
	if (res->rc < 0 && w->rc == 0)
		w->rc = res->rc;
	next(w);
}

static void
on_turn(void *arg, const struct store_res *res)
{
	struct sweeping *w = arg;
	/* -EAGAIN: somebody else has noted it. */
	if (res->rc < 0 && res->rc != -EAGAIN && w->rc == 0)
		w->rc = res->rc;
	if (res->rc == -EIO)
		return finish(w);
	next(w);
}

static void
next(struct sweeping *w)
{
	if (w->n_left) {
		struct left l = w->left[--w->n_left];
		if (l.id)
			copy_redo(w->s, l.account, l.id, &l.copy, on_copied, w);
		else if (l.mailbox == 0)
			account_finish(w->s, l.account, on_turn, w);
		else
			mailbox_wipe(w->s, l.account, l.mailbox, on_turn, w);
		return;
	}
	if (w->from.len && w->n_accounts < ACCOUNTS_STEP)
		return finish(w);
	int r = look_at_some(w);
	if (r < 0 && w->rc == 0)
		w->rc = r;
	if (r < 0 || (w->n_accounts == 0 && w->n_left == 0)) {
		buf_reset(&w->from);
		buf_putc(&w->from, 'u');
		w->n_accounts = 0;
	}
	store_sync(w->s, on_turn, w);
}

void
mail_sweep(struct store *s, mail_fn *fn, void *arg)
{
	struct sweeping *w = xalloc(sizeof(*w));
	*w = (struct sweeping){ .s = s, .fn = fn, .arg = arg, .from = BUF_INIT(STORE_KEY_MAX + 1) };
	next(w);
}
