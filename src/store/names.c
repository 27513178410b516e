/* The names of an account's mailboxes: making and deleting them. */
#include "store/names.h"

#include "base/check.h"
#include "base/wire.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define ATTEMPTS 100
#define LAST_KEY STR("n|mailbox")

const struct mail_folder mail_folders[MAIL_FOLDERS] = {
	{ "Drafts", MAIL_USE_DRAFTS },
	{ "Sent", MAIL_USE_SENT },
	{ "Trash", MAIL_USE_TRASH },
	{ "Junk", MAIL_USE_JUNK },
	{ "Archive", MAIL_USE_ARCHIVE },
};

void
naming_finish(struct naming *w, int rc)
{
	w->res.rc = rc;
	if (w->fn)
		w->fn(w->arg, &w->res);
	buf_done(&w->name);
	buf_done(&w->to);
	free(w);
}

static void
on_later(void *arg, const struct store_res *res)
{
	struct naming *w = arg;
	naming_finish(w, w->rc);
}

void
naming_refuse(struct naming *w, int rc)
{
	w->rc = rc;
	store_sync(w->s, on_later, w);
}

/* --- plan, commit, and again --- */

static void
on_planned(void *arg, const struct store_res *res)
{
	struct naming *w = arg;
	if (res->rc == -EAGAIN && ++w->attempts < ATTEMPTS)
		return naming_go(w);
	if (res->rc < 0 || !w->then)
		return naming_finish(w, res->rc);
	w->then(w);
}

void
naming_go(struct naming *w)
{
	struct store_snap *sn = NULL;
	uint64_t ver = 0;
	int r = store_snap_open(w->s, &w->dom, &sn, &ver);
	if (r < 0)
		return naming_refuse(w, r);
	struct store_batch *b = store_batch_new(w->s, &w->dom);
	batch_expect_version(b, ver);
	r = w->plan(w, sn, b);
	store_snap_close(sn);
	if (r == 1)
		return store_commit(b, STORE_APPLIED, on_planned, w);
	store_batch_free(b);
	if (r == 0 && w->then)
		w->then(w);
	else
		naming_refuse(w, r);
}

struct naming *
naming_new(struct store *s, uint64_t account, struct str name, plan_fn *plan, mail_fn *fn,
    void *arg)
{
	struct naming *w = xalloc(sizeof(*w));
	*w = (struct naming){ .s = s,
		.fn = fn,
		.arg = arg,
		.account = account,
		.dom = store_dom_account(account),
		.name = BUF_INIT(STORE_KEY_MAX),
		.to = BUF_INIT(STORE_KEY_MAX),
		.plan = plan };
	buf_puts(&w->name, name);
	return w;
}

int
name_fits(struct str name)
{
	return name.len == 0                            ? -EINVAL
	       : name.len > MAILBOX_NAME_STORED_MAX     ? -E2BIG
	       : name.p[0] == MAIL_SEPARATOR            ? -EINVAL
	       : name.p[name.len - 1] == MAIL_SEPARATOR ? -EINVAL
	                                                : 0;
}

bool
name_is_inbox(struct str name)
{
	return str_eq(name, INBOX);
}

/* --- records of A --- */

bool
special_get(struct str value, uint32_t *ret)
{
	struct wire w = wire_of(value);
	uint8_t version = get_u8(&w);
	uint32_t special = get_u32(&w);
	if (!wire_done(&w) || version != RECORD_VERSION)
		return false;
	*ret = special;
	return true;
}

void
special_put(struct buf *b, uint32_t special)
{
	put_u8(b, RECORD_VERSION);
	put_u32(b, special);
}

struct str
name_key(char out[STORE_KEY_MAX + 2], char kind, struct str name)
{
	out[0] = kind, out[1] = '|';
	if (name.len)
		memcpy(out + 2, name.p, name.len);
	return str_n(out, name.len + 2);
}

int
name_look_up(struct store_snap *sn, struct str name, uint32_t *ret)
{
	char key[STORE_KEY_MAX + 2];
	struct str v;
	int r = store_get(sn, name_key(key, 'N', name), &v);
	if (r == -ENOENT && name_is_inbox(name)) {
		*ret = MAILBOX_INBOX;
		return 1;
	}
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (v.len != 4)
		return -EBADMSG;
	*ret = be32_get((const unsigned char *)v.p);
	return 1;
}

/* Is there a name below it? but: one that does not count, or empty. */
struct childless {
	struct str but;
	bool has;
};

static bool
see_child(void *arg, struct str key, struct str value)
{
	struct childless *c = arg;
	struct str name = str_skip(key, 2);
	/* Those below `but` go with it. */
	bool under = str_starts(name, c->but) &&
	             (name.len == c->but.len || name.p[c->but.len] == MAIL_SEPARATOR);
	c->has = !(c->but.len && under);
	return !c->has;
}

int
names_below(struct store_snap *sn, struct str name, store_scan_fn *fn, void *arg)
{
	struct buf from = BUF_INIT(STORE_KEY_MAX), to = BUF_INIT(STORE_KEY_MAX);
	buf_putz(&from, "N|");
	buf_puts(&from, name);
	buf_puts(&to, buf_str(&from));
	buf_putc(&from, MAIL_SEPARATOR);
	buf_putc(&to, MAIL_SEPARATOR + 1);
	/* A name that leaves no room for a separator has no children. */
	int r = from.failed || to.failed
	            ? 0
	            : store_scan(sn, buf_str(&from), buf_str(&to), 0, false, fn, arg);
	buf_done(&from);
	buf_done(&to);
	return r;
}

int
name_has_children(struct store_snap *sn, struct str name, struct str but)
{
	struct childless c = { .but = but };
	int r = names_below(sn, name, see_child, &c);
	return r < 0 ? r : c.has;
}

void
name_put(struct store_batch *b, struct str name, uint32_t number)
{
	char key[STORE_KEY_MAX + 2];
	unsigned char octets[4];
	be32_put(octets, number);
	store_put(b, name_key(key, 'N', name), str_n(octets, sizeof(octets)), 0);
}

void
name_del(struct store_batch *b, struct str name)
{
	char key[STORE_KEY_MAX + 2];
	store_del(b, name_key(key, 'N', name));
}

int
parents_put(struct store_snap *sn, struct store_batch *b, struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		struct str parent = str_first(name, i);
		uint32_t number;
		if (name.p[i] != MAIL_SEPARATOR)
			continue;
		int r = name_look_up(sn, parent, &number);
		if (r < 0)
			return r;
		if (r == 0)
			name_put(b, parent, 0);
	}
	return 0;
}

int
parents_del(struct store_snap *sn, struct store_batch *b, struct str name, struct str kept)
{
	struct str at = name, gone = name;
	for (;;) {
		uint32_t number = 1;
		size_t cut = str_rfind(at, MAIL_SEPARATOR);
		if (cut == at.len)
			return 0;
		at = str_first(at, cut);
		if (str_starts(kept, str_first(name, cut + 1)))
			return 0;
		int r = name_look_up(sn, at, &number);
		if (r == 1 && number != 0)
			return 0;
		if (r == 1)
			r = name_has_children(sn, at, gone);
		if (r != 0)
			return r < 0 ? r : 0;
		name_del(b, at);
		gone = at;
	}
}

/* --- create --- */

struct store_batch *
head_batch(struct store *s, uint64_t account, uint32_t mailbox)
{
	struct store_dom d = store_dom_mailbox(account, mailbox);
	struct store_batch *b = store_batch_new(s, &d);
	struct buf head = BUF_INIT(256);
	int64_t now = sys_wall_ms();
	struct mailbox_head h = head_new(mailbox, now > 0 ? (uint64_t)now : 0);
	mailbox_head_put(&head, &h);
	store_expect(b, HEAD_KEY, STR_NULL);
	store_put(b, HEAD_KEY, buf_str(&head), 0);
	buf_done(&head);
	return b;
}

static void
on_head(void *arg, const struct store_res *res)
{
	struct naming *w = arg;
	/* -EAGAIN: it is there. */
	int rc = res->rc == -EAGAIN ? 0 : res->rc;
	naming_finish(w, rc == 0 && w->on ? -EEXIST : rc);
}

static void
make_head(struct naming *w)
{
	w->res.mailbox = w->number;
	store_commit(head_batch(w->s, w->account, w->number), STORE_APPLIED, on_head, w);
}

static int
next_number(struct store_snap *sn, uint32_t *ret)
{
	struct str v;
	int r = store_get(sn, LAST_KEY, &v);
	uint64_t last = MAILBOX_INBOX;
	if (r == 0 && v.len == 8)
		last = be64_get((const unsigned char *)v.p);
	else if (r != -ENOENT)
		return r < 0 ? r : -EBADMSG;
	if (last >= UINT32_MAX)
		return -EOVERFLOW;
	*ret = (uint32_t)last + 1;
	return 0;
}

static void
put_special(struct store_batch *b, uint32_t number, uint32_t special)
{
	char key[6];
	struct buf value = BUF_INIT(16);
	special_put(&value, special);
	struct str k = str_n(key, number_key(key, 'T', number));
	if (special)
		store_put(b, k, buf_str(&value), 0);
	else
		store_del(b, k);
	buf_done(&value);
}

static bool
count_name(void *arg, struct str key, struct str value)
{
	size_t *n = arg;
	return ++*n < MAIL_NAMES_MAX;
}

int
names_room(struct store_snap *sn, char kind)
{
	char from[2] = { kind, '|' }, to[2] = { kind, '}' };
	size_t n = 0;
	int r = store_scan(sn, str_n(from, 2), str_n(to, 2), 0, false, count_name, &n);
	return r < 0 ? r : n < MAIL_NAMES_MAX ? 0 : -E2BIG;
}

int
mailbox_put(struct naming *w, struct store_snap *sn, struct store_batch *b, struct str name)
{
	char key[6];
	unsigned char last[8];
	int r = name_look_up(sn, name, &w->number);
	w->on = r == 1 && w->number != 0;
	if (r < 0 || w->on)
		return r < 0 ? r : 0;
	r = names_room(sn, 'N');
	if (r == 0)
		r = parents_put(sn, b, name);
	if (r == 0)
		r = next_number(sn, &w->number);
	if (r < 0)
		return r;
	be64_put(last, w->number);
	store_put(b, LAST_KEY, str_n(last, sizeof(last)), 0);
	store_put(b, str_n(key, number_key(key, 'M', w->number)), name, 0);
	name_put(b, name, w->number);
	if (w->special)
		put_special(b, w->number, w->special);
	return 1;
}

static int
plan_create(struct naming *w, struct store_snap *sn, struct store_batch *b)
{
	return mailbox_put(w, sn, b, buf_str(&w->name));
}

void
mail_create(struct store *s, uint64_t account, struct str name, uint32_t special, mail_fn *fn,
    void *arg)
{
	struct naming *w = naming_new(s, account, name, plan_create, fn, arg);
	int r = name_fits(name);
	w->special = special;
	w->then = make_head;
	if (r == 0 && !name_is_inbox(name) && str_ieq(name, INBOX))
		r = -EINVAL;
	if (r < 0)
		return naming_refuse(w, r);
	naming_go(w);
}

struct creating {
	store_fn *fn;
	void *arg;
};

static void
on_created(void *arg, const struct mail_result *res)
{
	struct creating *c = arg;
	struct store_res r = { .rc = res->rc, .slot = { res->mailbox } };
	if (c->fn)
		c->fn(c->arg, &r);
	free(c);
}

void
mailbox_create(struct store *s, uint64_t account, struct str name, store_fn *fn, void *arg)
{
	struct creating *c = xalloc(sizeof(*c));
	*c = (struct creating){ fn, arg };
	mail_create(s, account, str_ieq(name, INBOX) ? INBOX : name, 0, on_created, c);
}

/* --- delete --- */

static void
start_wipe(struct naming *w)
{
	/* Nobody waits for it. */
	if (w->number)
		mailbox_wipe(w->s, w->account, w->number, NULL, NULL);
	naming_finish(w, 0);
}

static int
plan_delete(struct naming *w, struct store_snap *sn, struct store_batch *b)
{
	static const unsigned char open = WIPE_OPEN;
	struct str name = buf_str(&w->name);
	char key[6];
	int r = name_look_up(sn, name, &w->number);
	if (r != 1)
		return r < 0 ? r : -ENOENT;
	r = name_has_children(sn, name, STR_NULL);
	if (r < 0 || (r == 1 && w->number == 0))
		return r < 0 ? r : -ENOTEMPTY;
	if (r == 1) {
		name_put(b, name, 0);
	} else {
		name_del(b, name);
		r = parents_del(sn, b, name, STR_NULL);
	}
	if (w->number) {
		store_del(b, str_n(key, number_key(key, 'M', w->number)));
		store_del(b, str_n(key, number_key(key, 'T', w->number)));
		store_del(b, str_n(key, number_key(key, 'U', w->number)));
		store_put(b, str_n(key, number_key(key, 'w', w->number)), str_n(&open, 1), 0);
	}
	return r < 0 ? r : 1;
}

void
mail_delete(struct store *s, uint64_t account, struct str name, mail_fn *fn, void *arg)
{
	struct naming *w = naming_new(s, account, name, plan_delete, fn, arg);
	int r = name_fits(name);
	w->then = start_wipe;
	if (r == 0 && str_ieq(name, INBOX))
		r = -EPERM;
	if (r < 0)
		return naming_refuse(w, r == -E2BIG ? -ENOENT : r);
	naming_go(w);
}
