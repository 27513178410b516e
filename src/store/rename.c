/* A mailbox gets another name, and those below it with it. */
#include "store/names.h"

#include "base/check.h"
#include "sys/clock.h"

#include <errno.h>

struct renaming {
	struct store_batch *b;
	struct str from, to;
	int rc;
};

static int
rename_one(struct store_batch *b, struct str from, struct str to, uint32_t number)
{
	char key[6];
	if (to.len > MAILBOX_NAME_STORED_MAX)
		return -E2BIG;
	name_del(b, from);
	name_put(b, to, number);
	if (number)
		store_put(b, str_n(key, number_key(key, 'M', number)), to, 0);
	return 0;
}

static bool
rename_child(void *arg, struct str key, struct str value)
{
	struct renaming *r = arg;
	struct str name = str_skip(key, 2);
	struct buf to = BUF_INIT(2 * STORE_KEY_MAX);
	buf_puts(&to, r->to);
	buf_puts(&to, str_skip(name, r->from.len));
	r->rc = value.len != 4 ? -EBADMSG
	        : to.failed    ? -E2BIG
	                       : rename_one(r->b, name, buf_str(&to),
				     be32_get((const unsigned char *)value.p));
	buf_done(&to);
	return r->rc == 0;
}

/* Nothing may be in the way, and nothing below it either. */
static int
target_free(struct store_snap *sn, struct str to)
{
	uint32_t number;
	int r = name_look_up(sn, to, &number);
	if (r == 0)
		r = name_has_children(sn, to, STR_NULL);
	return r < 0 ? r : r ? -EEXIST : 0;
}

static int
plan_rename(struct naming *w, struct store_snap *sn, struct store_batch *b)
{
	struct renaming c = { .b = b, .from = buf_str(&w->name), .to = buf_str(&w->to) };
	int r = name_look_up(sn, c.from, &w->number);
	if (r != 1)
		return r < 0 ? r : -ENOENT;
	r = target_free(sn, c.to);
	if (r == 0)
		r = parents_del(sn, b, c.from, c.to);
	if (r == 0)
		r = parents_put(sn, b, c.to);
	if (r == 0)
		r = rename_one(b, c.from, c.to, w->number);
	if (r == 0)
		r = names_below(sn, c.from, rename_child, &c);
	return r < 0 ? r : c.rc < 0 ? c.rc : 1;
}

static int
plan_rename_inbox(struct naming *w, struct store_snap *sn, struct store_batch *b)
{
	int r = target_free(sn, buf_str(&w->to));
	return r < 0 ? r : mailbox_put(w, sn, b, buf_str(&w->to));
}

static void
on_moved(void *arg, const struct mail_result *res)
{
	struct naming *w = arg;
	w->res.modseq = res->modseq;
	naming_finish(w, res->rc);
}

static void
on_inbox_head(void *arg, const struct store_res *res)
{
	static const struct mail_range all = { 1, UINT32_MAX };
	struct naming *w = arg;
	if (res->rc < 0 && res->rc != -EAGAIN)
		return naming_finish(w, res->rc);
	int64_t now = sys_wall_ms();
	mail_copy(w->s,
	    &(struct mail_copy){ .account = w->account,
		.from = MAILBOX_INBOX,
		.to = w->number,
		.uids = &all,
		.n_uids = 1,
		.move = true,
		.now_ms = now > 0 ? (uint64_t)now : 0,
		.level = STORE_APPLIED },
	    on_moved, w);
}

static void
move_inbox(struct naming *w)
{
	w->res.mailbox = w->number;
	store_commit(head_batch(w->s, w->account, w->number), STORE_APPLIED, on_inbox_head, w);
}

void
mail_rename(struct store *s, uint64_t account, struct str from, struct str to, mail_fn *fn,
    void *arg)
{
	bool inbox = name_is_inbox(from);
	struct naming *w =
	    naming_new(s, account, from, inbox ? plan_rename_inbox : plan_rename, fn, arg);
	int r = name_fits(from) < 0 ? -ENOENT : name_fits(to);
	buf_puts(&w->to, to);
	w->then = inbox ? move_inbox : NULL;
	if (r == 0 && str_ieq(to, INBOX))
		r = -EEXIST;
	/* Into itself. */
	if (r == 0 && !inbox && str_starts(to, from) &&
	    (to.len == from.len || to.p[from.len] == MAIL_SEPARATOR))
		r = to.len == from.len ? -EEXIST : -EINVAL;
	if (r < 0)
		return naming_refuse(w, r);
	naming_go(w);
}
