/* What is read of a mailbox and of an account, over snapshots. */
#include "store/names.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>
#include <stdlib.h>

/* --- letters --- */

struct each {
	mail_meta_fn *meta;
	mail_range_fn *range;
	void *arg;
	struct store_snap *sn;
	int rc;
};

static bool
show_meta(struct each *e, struct str value)
{
	struct mailbox_letter l;
	if (!mailbox_meta_get(value, &l)) {
		e->rc = -EBADMSG;
		return false;
	}
	return e->meta(e->arg, &(struct mail_meta){ .uid = l.uid,
				   .modseq = l.modseq,
				   .time_ms = l.time_ms,
				   .saved_ms = l.saved_ms,
				   .size = l.size,
				   .flags = l.flags,
				   .letter = l.letter });
}

static bool
each_record(void *arg, struct str key, struct str value)
{
	return show_meta(arg, value);
}

int
mail_each_meta(struct store_snap *sn, uint32_t first, uint32_t last, mail_meta_fn *fn, void *arg)
{
	struct each e = { .meta = fn, .arg = arg };
	char from[6], to[6];
	struct str high = STR("R}");
	letter_key(from, first);
	if (last != UINT32_MAX)
		high = str_n(to, letter_key(to, last + 1));
	int r = store_scan(sn, str_n(from, sizeof(from)), high, 0, false, each_record, &e);
	return r < 0 ? r : e.rc;
}

static bool
each_change(void *arg, struct str key, struct str value)
{
	struct each *e = arg;
	char letter[6];
	struct str record;
	if (key.len != 15) {
		e->rc = -EBADMSG;
		return false;
	}
	uint32_t uid = be32_get((const unsigned char *)key.p + 11);
	e->rc = store_get(e->sn, str_n(letter, letter_key(letter, uid)), &record);
	return e->rc == 0 && show_meta(e, record);
}

int
mail_each_change(struct store_snap *sn, uint64_t since, mail_meta_fn *fn, void *arg)
{
	struct each e = { .meta = fn, .arg = arg, .sn = sn };
	char from[15];
	if (since == UINT64_MAX)
		return 0;
	change_key(from, since + 1, 0);
	int r = store_scan(sn, str_n(from, sizeof(from)), STR("C}"), 0, false, each_change, &e);
	return r < 0 ? r : e.rc;
}

static bool
each_vanished(void *arg, struct str key, struct str value)
{
	struct each *e = arg;
	struct wire w = wire_of(value);
	while (w.left) {
		struct mail_range x = { get_u32(&w), 0 };
		x.last = get_u32(&w);
		if (w.bad || x.first == 0 || x.last < x.first) {
			e->rc = -EBADMSG;
			return false;
		}
		if (!e->range(e->arg, x.first, x.last))
			return false;
	}
	return true;
}

int
mail_each_vanished(struct store_snap *sn, uint64_t since, mail_range_fn *fn, void *arg)
{
	struct each e = { .range = fn, .arg = arg };
	struct mailbox_head h;
	struct str v;
	char from[10];
	int r = store_get(sn, HEAD_KEY, &v);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!mailbox_head_get(v, &h))
		return -EBADMSG;
	/* An old header: nothing that has vanished was kept. */
	if (since < (h.uncounted ? h.modseq : h.floor))
		return -ESTALE;
	if (since == UINT64_MAX)
		return 0;
	vanished_key(from, since + 1);
	r = store_scan(sn, str_n(from, sizeof(from)), STR("V}"), 0, false, each_vanished, &e);
	return r < 0 ? r : e.rc;
}

int
mail_each_keyword(struct store_snap *sn, mail_keyword_fn *fn, void *arg)
{
	struct str v;
	struct wire w;
	unsigned n;
	int r = store_get(sn, KEYWORDS_KEY, &v);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!keywords_begin(v, &w, &n))
		return -EBADMSG;
	for (unsigned i = 0; i < n; i++)
		if (!fn(arg, MAILBOX_KEYWORD_FIRST + i, get_str(&w, MAIL_KEYWORD_LEN_MAX)))
			break;
	return 0;
}

int
mail_get_outline(struct store_snap *sn, uint32_t uid, struct str *ret)
{
	char key[6];
	return store_get(sn, str_n(key, outline_key(key, uid)), ret);
}

/* --- names --- */

struct names {
	struct store_snap *sn;
	struct mail_name *p;
	size_t n, cap;
	int rc;
};

static void
add_name(struct names *l, const struct mail_name *n)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->p = xrealloc(l->p, l->cap * sizeof(*l->p));
	}
	l->p[l->n++] = *n;
}

/* Attributes and subscription; the name is there. */
static int
look_at(struct store_snap *sn, struct mail_name *n)
{
	char key[STORE_KEY_MAX + 2];
	struct str v;
	int r = store_get(sn, name_key(key, 'S', n->name), &v);
	n->exists = true;
	n->subscribed = r == 0;
	if (r == 0 || r == -ENOENT)
		r = store_get(sn, str_n(key, number_key(key, 'T', n->mailbox)), &v);
	if (r == 0 && !special_get(v, &n->special))
		r = -EBADMSG;
	return r == -ENOENT ? 0 : r;
}

static bool
take_name(void *arg, struct str key, struct str value)
{
	struct names *l = arg;
	struct mail_name n = { .name = str_skip(key, 2) };
	if (value.len != 4) {
		l->rc = -EBADMSG;
		return false;
	}
	n.mailbox = be32_get((const unsigned char *)value.p);
	if (n.mailbox == MAILBOX_INBOX)
		return true; /* it stands first, also when nothing names it */
	l->rc = look_at(l->sn, &n);
	add_name(l, &n);
	return l->rc == 0;
}

static bool
take_subscription(void *arg, struct str key, struct str value)
{
	struct names *l = arg;
	struct mail_name n = { .name = str_skip(key, 2), .subscribed = true };
	char name[STORE_KEY_MAX + 2];
	struct str v;
	if (name_is_inbox(n.name))
		return true;
	int r = store_get(l->sn, name_key(name, 'N', n.name), &v);
	if (r == -ENOENT)
		add_name(l, &n);
	else
		l->rc = r;
	return l->rc == 0;
}

static bool
is_below(struct str name, struct str parent)
{
	return name.len > parent.len && name.p[parent.len] == MAIL_SEPARATOR &&
	       str_starts(name, parent);
}

/* '/' stands below all other octets; what is below INBOX comes first. */
static int
name_order(const void *a, const void *b)
{
	struct str x = ((const struct mail_name *)a)->name, y = ((const struct mail_name *)b)->name;
	int inbox = is_below(y, INBOX) - is_below(x, INBOX);
	if (inbox)
		return inbox;
	for (size_t i = 0; i < x.len && i < y.len; i++) {
		int c = x.p[i] == MAIL_SEPARATOR ? 0 : (unsigned char)x.p[i] + 1;
		int d = y.p[i] == MAIL_SEPARATOR ? 0 : (unsigned char)y.p[i] + 1;
		if (c != d)
			return c - d;
	}
	return x.len < y.len ? -1 : x.len > y.len;
}

/* What is below a name follows it at once. */
static bool
has_child(const struct names *l, size_t i)
{
	for (size_t k = i + 1; k < l->n && is_below(l->p[k].name, l->p[i].name); k++)
		if (l->p[k].exists)
			return true;
	return false;
}

static bool
show_names(struct names *l, mail_name_fn *fn, void *arg)
{
	struct mail_name inbox = { .name = INBOX, .mailbox = MAILBOX_INBOX };
	if (l->n)
		qsort(l->p, l->n, sizeof(*l->p), name_order);
	for (size_t i = 0; i < l->n && !inbox.children; i++)
		inbox.children = l->p[i].exists && is_below(l->p[i].name, INBOX);
	l->rc = look_at(l->sn, &inbox);
	bool more = l->rc == 0 && fn(arg, &inbox);
	for (size_t i = 0; i < l->n && more; i++) {
		l->p[i].children = has_child(l, i);
		more = fn(arg, &l->p[i]);
	}
	return more;
}

int
mail_each_name(struct store_snap *account, mail_name_fn *fn, void *arg)
{
	struct names l = { .sn = account };
	int r = store_scan(account, STR("N|"), STR("N}"), 0, false, take_name, &l);
	if (r == 0 && l.rc == 0)
		r = store_scan(account, STR("S|"), STR("S}"), 0, false, take_subscription, &l);
	if (r == 0 && l.rc == 0)
		show_names(&l, fn, arg);
	free(l.p);
	return r < 0 ? r : l.rc;
}

int
mail_find_name(struct store_snap *account, struct str name, uint32_t *ret)
{
	if (name_fits(name) < 0)
		return -ENOENT;
	int r = name_look_up(account, name, ret);
	return r < 0 ? r : r == 0 ? -ENOENT : *ret ? 0 : -EISDIR;
}

int
mail_name_of(struct store_snap *account, uint32_t mailbox, struct str *ret)
{
	char key[6];
	int r = store_get(account, str_n(key, number_key(key, 'M', mailbox)), ret);
	if (r == -ENOENT && mailbox == MAILBOX_INBOX) {
		*ret = INBOX;
		return 0;
	}
	return r;
}

/* --- usage --- */

struct usage {
	uint32_t *mailboxes;
	size_t n, cap;
};

static bool
take_mailbox(void *arg, uint32_t mailbox, struct str name)
{
	struct usage *u = arg;
	if (u->n == u->cap) {
		u->cap = u->cap ? u->cap * 2 : 8;
		u->mailboxes = xrealloc(u->mailboxes, u->cap * sizeof(*u->mailboxes));
	}
	u->mailboxes[u->n++] = mailbox;
	return true;
}

static int
add_usage(struct store *s, uint64_t account, uint32_t mailbox, uint64_t *bytes, uint64_t *messages)
{
	struct store_dom d = store_dom_mailbox(account, mailbox);
	struct store_snap *sn = NULL;
	struct mailbox_head h = { 0 };
	struct str v;
	/* The account's snapshot has waited for what was durable; once is enough. */
	int r = store_snap_open_applied(s, &d, &sn, NULL);
	if (r == 0)
		r = store_get(sn, HEAD_KEY, &v);
	if (r == 0 && !mailbox_head_get(v, &h))
		r = -EBADMSG;
	store_snap_close(sn);
	*bytes += h.bytes;
	*messages += h.messages;
	return r == -ENOENT ? 0 : r;
}

int
mail_usage(struct store *s, uint64_t account, uint64_t *ret_bytes, uint64_t *ret_messages)
{
	struct store_dom d = store_dom_account(account);
	struct store_snap *sn = NULL;
	struct usage u = { 0 };
	int r = store_snap_open(s, &d, &sn, NULL);
	if (r == 0)
		r = mailbox_list(sn, take_mailbox, &u);
	store_snap_close(sn);
	*ret_bytes = *ret_messages = 0;
	for (size_t i = 0; r == 0 && i < u.n; i++)
		r = add_usage(s, account, u.mailboxes[i], ret_bytes, ret_messages);
	free(u.mailboxes);
	return r;
}
