/* The mailboxes of an account, with their counts. */
#include "roles/store/window.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define NAMES_MAX 4000 /* of one window */

struct name {
	struct str text; /* on the heap */
	uint32_t mailbox;
	unsigned attrs;
};

struct naming {
	struct str behind;
	struct name row[NAMES_MAX];
	size_t n;
	bool full;
};

static const struct {
	unsigned store, access;
} uses[] = {
	{ MAIL_USE_DRAFTS, ACCESS_DRAFTS },
	{ MAIL_USE_SENT, ACCESS_SENT },
	{ MAIL_USE_TRASH, ACCESS_TRASH },
	{ MAIL_USE_JUNK, ACCESS_JUNK },
	{ MAIL_USE_ARCHIVE, ACCESS_ARCHIVE },
	{ MAIL_USE_ALL, ACCESS_ALL },
	{ MAIL_USE_FLAGGED, ACCESS_FLAGGED_BOX },
};

static unsigned
attrs_of(const struct mail_name *m)
{
	unsigned attrs = 0;
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		if (m->special & uses[i].store)
			attrs |= uses[i].access;
	if (m->exists && m->mailbox == 0)
		attrs |= ACCESS_NOSELECT;
	if (!m->exists)
		attrs |= ACCESS_NONEXISTENT;
	if (m->subscribed)
		attrs |= ACCESS_SUBSCRIBED;
	if (m->children)
		attrs |= ACCESS_CHILDREN;
	return attrs;
}

/* In the order of names '/' stands below all other octets. */
static unsigned
weight(char c)
{
	return c == MAIL_SEPARATOR ? 0 : (unsigned)(unsigned char)c + 1;
}

/* INBOX comes first, then the octets decide. */
static int
order(struct str a, struct str b)
{
	bool first_a = str_eq(a, STR("INBOX")), first_b = str_eq(b, STR("INBOX"));
	if (first_a || first_b)
		return (int)first_b - (int)first_a;
	for (size_t i = 0; i < a.len && i < b.len; i++)
		if (a.p[i] != b.p[i])
			return weight(a.p[i]) < weight(b.p[i]) ? -1 : 1;
	return a.len < b.len ? -1 : a.len > b.len;
}

static bool
take(void *arg, const struct mail_name *m)
{
	struct naming *t = arg;
	if (t->behind.len && order(m->name, t->behind) <= 0)
		return true;
	if (t->n == NAMES_MAX) {
		t->full = true;
		return false;
	}
	t->row[t->n++] = (struct name){ { str_dup(m->name), m->name.len },
		m->exists ? m->mailbox : 0, attrs_of(m) };
	return true;
}

static int
put_name(struct window *w, const struct name *n)
{
	struct mailbox_head h = { 0 };
	struct store_snap *sn;
	w->at = (struct entry){ w->account, n->mailbox };
	int rc = 0;
	if (n->mailbox) {
		rc = window_snap(w, &sn);
		if (rc < 0)
			return rc;
		rc = window_head(w, sn, &h);
		store_snap_close(sn);
	}
	if (rc == 0)
		window_put_mailbox(w, &h, n->text, n->attrs, 0);
	return rc;
}

/* As many as fit; from.name is the last of them. */
static int
put_names(struct window *w, const struct naming *t)
{
	size_t i = 0;
	int rc = 0;
	w->out.max -= ACCESS_NAME_MAX; /* that the head may get */
	w->out.cap = w->out.max;
	for (; rc == 0 && i < t->n; i++) {
		size_t mark = w->out.len;
		rc = put_name(w, &t->row[i]);
		if (window_undo(w, mark))
			break;
	}
	w->out.max = w->out.cap = ACCESS_WINDOW;
	w->head.modseq = 0;
	if (rc == 0 && i > 0 && (i < t->n || t->full)) {
		struct str last = str_first(t->row[i - 1].text, sizeof(w->next_name));
		memcpy(w->next_name, last.p, last.len);
		w->head.more = true;
		w->head.next = (struct access_from){ .name = str_n(w->next_name, last.len) };
	}
	return rc;
}

int
window_mailboxes(struct window *w)
{
	const struct store_dom dom = store_dom_account(w->account);
	struct store_snap *sn;
	int rc = store_snap_open(w->store, &dom, &sn, NULL);
	if (rc < 0)
		return rc;
	struct naming *t = xalloc(sizeof(*t));
	t->behind = w->ask->from.name;
	t->n = 0;
	t->full = false;
	rc = mail_each_name(sn, take, t);
	store_snap_close(sn);
	if (rc == 0)
		rc = put_names(w, t);
	for (size_t i = 0; i < t->n; i++)
		free((char *)(uintptr_t)t->row[i].text.p);
	free(t);
	return rc;
}
