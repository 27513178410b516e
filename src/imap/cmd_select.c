/* SELECT, EXAMINE (RFC 9051 6.3.2, 6.3.3), with CONDSTORE and QRESYNC (RFC 7162 3.2.5). */
#include "imap/imap_priv.h"

#include <stdlib.h>

struct select {
	struct str name, given;
	bool read_only;
	bool qresync, has_known;
	uint32_t uidvalidity;
	uint64_t modseq;     /* as the client knows it */
	struct uidset known; /* UIDs that it has */
	struct uidset gone;
	bool lost;  /* not all that vanished is known */
	bool flags; /* the second pass */
};

static struct select *
select_of(struct imap_session *s)
{
	return s->cmd->data;
}

static void
select_drop(struct imap_session *s)
{
	struct select *x = select_of(s);
	uidset_done(&x->known);
	uidset_done(&x->gone);
}

/* --- arguments --- */

/* A set without '*' and '$', as UIDs. */
static bool
plain_set(struct imap_lex *x, struct arena *a, struct uidset *ret)
{
	struct imap_set set;
	if (!imap_lex_set(x, a, &set))
		return false;
	if (set.saved)
		return imap_lex_fail(x, "UIDs are named here");
	for (size_t i = 0; i < set.n; i++) {
		struct imap_span r = set.r[i];
		if (r.a == 0 || r.b == 0)
			return imap_lex_fail(x, "* does not stand here");
		uidset_add(ret, MIN(r.a, r.b), MAX(r.a, r.b));
	}
	return true;
}

/* "(uidvalidity modseq [known-uids] [seq-match-data])"; the last is only a help for servers that
 * have forgotten what vanished, and ours need not guess. */
static bool
qresync_param(struct imap_lex *x, struct arena *a, struct select *ret)
{
	struct uidset other = { 0 };
	if (!imap_lex_sp(x) || !imap_lex_char(x, '(') || !imap_lex_number(x, &ret->uidvalidity) ||
	    !imap_lex_sp(x) || !imap_lex_number64(x, &ret->modseq))
		return false;
	if (imap_lex_try(x, ' ') && !imap_lex_peek(x, '(')) {
		ret->has_known = plain_set(x, a, &ret->known);
		(void)imap_lex_try(x, ' ');
	}
	if (imap_lex_try(x, '(')) {
		(void)(plain_set(x, a, &other) && imap_lex_sp(x) && plain_set(x, a, &other) &&
		       imap_lex_char(x, ')'));
		uidset_done(&other);
	}
	ret->qresync = true;
	return imap_lex_char(x, ')');
}

static bool
params(struct imap_session *s, struct select *ret)
{
	struct imap_lex *x = &s->cmd->lex;
	if (!imap_lex_try(x, ' '))
		return true;
	(void)imap_lex_char(x, '(');
	do {
		struct str name = imap_lex_atom(x);
		if (x->bad)
			return false;
		if (str_ieq(name, STR("CONDSTORE")))
			s->enabled |= IMAP_CONDSTORE;
		else if (!str_ieq(name, STR("QRESYNC")))
			return imap_lex_fail(x, "there is no such parameter");
		else if (!(s->enabled & IMAP_QRESYNC))
			return imap_lex_fail(x, "QRESYNC has to be enabled first");
		else if (!qresync_param(x, &s->cmd->arena, ret))
			return false;
	} while (imap_lex_try(x, ' '));
	return imap_lex_char(x, ')');
}

/* --- QRESYNC: what the client has missed --- */

static enum imap_run
selected(struct imap_session *s)
{
	return imap_ok(s, s->view->read_only ? "READ-ONLY" : "READ-WRITE", NULL);
}

static enum imap_run resync(struct imap_session *s, const struct imap_answer *a);

static enum imap_run
ask_changes(struct imap_session *s, const struct imap_answer *a)
{
	s->read = (struct access_ask){
		.kind = ACCESS_CHANGES, .mailbox = s->view->mailbox, .since = select_of(s)->modseq
	};
	return imap_read(s, resync);
}

/* What vanished behind the view is told later, as anything is that changes now. */
static void
take_row(struct imap_session *s, const struct access_change_row *r)
{
	struct select *x = select_of(s);
	struct imap_view *v = s->view;
	if (r->modseq > v->modseq)
		return;
	if (!x->flags) {
		if (r->vanished && r->first < v->uidnext)
			uidset_add(&x->gone, r->first, MIN(r->last, v->uidnext - 1));
		return;
	}
	uint32_t uid = r->letter.uid, seq = r->vanished ? 0 : uidmap_seq(v->map, uid);
	if (seq == 0)
		return;
	buf_putf(s->cmd->out, "* %u FETCH (UID %u FLAGS ", seq, uid);
	imap_put_flags(s, s->cmd->out, r->letter.flags);
	buf_putf(s->cmd->out, " MODSEQ (%llu))\r\n", (unsigned long long)r->modseq);
}

/* RFC 7162 3.2.6: VANISHED first, for FETCH counts on the numbers being right. */
static enum imap_run
tell_gone(struct imap_session *s)
{
	struct select *x = select_of(s);
	const struct uidmap *m = s->view->map;
	if (x->lost) {
		/* Everything that the client may have and that is not there. */
		uidset_clear(&x->gone);
		if (x->has_known)
			uidset_copy(&x->gone, &x->known);
		else if (s->view->uidnext > 1)
			uidset_add(&x->gone, 1, s->view->uidnext - 1);
		for (size_t i = 0; i < m->n; i++)
			uidset_remove(&x->gone, m->r[i].first, m->r[i].last);
	} else if (x->has_known) {
		uidset_intersect(&x->gone, &x->known);
	}
	imap_put_vanished(s->cmd->out, &x->gone, true);
	x->flags = true;
	return ask_changes(s, NULL);
}

static enum imap_run
go_on(struct imap_session *s, const struct imap_answer *a)
{
	return imap_read(s, resync);
}

static enum imap_run
resync(struct imap_session *s, const struct imap_answer *a)
{
	struct select *x = select_of(s);
	struct wire w;
	struct access_head head;
	struct access_mailbox box;
	struct access_keywords words;
	struct access_change_row row;
	uint64_t floor;
	if (!imap_answer_get(a, &w, &head) || !access_mailbox_get(&w, &box) ||
	    !access_keywords_get(&w, &words) || !access_floor_get(&w, &floor)) {
		imap_view_close(s);
		return imap_refuse(s, imap_answer_status(a), false);
	}
	x->lost = x->lost || floor > x->modseq;
	while (w.left && access_change_row_get(&w, &row))
		take_row(s, &row);
	if (head.more) {
		s->read.from = (struct access_from){ .uid = head.next.uid, .n = head.next.n };
		s->cmd->resume = go_on;
		return imap_is_full(s) ? RUN_FLUSH : imap_read(s, resync);
	}
	return x->flags ? selected(s) : tell_gone(s);
}

/* --- what SELECT says --- */

static void
say_old_name(struct imap_session *s, const struct select *x)
{
	struct buf *out = s->cmd->out;
	struct buf wire = BUF_INIT(8 * ACCESS_NAME_MAX);
	if (!(s->enabled & IMAP_REV2))
		return;
	buf_putf(out, "* LIST () \"%c\" ", s->conf->separator);
	imap_put_name(s, x->name);
	name_to_wire(x->name, s->conf->separator, true, &wire);
	if (!str_ieq(buf_str(&wire), x->given)) {
		buf_putz(out, " (\"OLDNAME\" (");
		imap_put_string(out, x->given, true);
		buf_putz(out, "))");
	}
	buf_putz(out, "\r\n");
	buf_done(&wire);
}

static void
say(struct imap_session *s, const struct select *x, const struct access_mailbox *m)
{
	struct buf *out = s->cmd->out;
	bool rev2 = s->enabled & IMAP_REV2;
	buf_putz(out, "* FLAGS ");
	imap_put_known_flags(s, out, false);
	buf_putz(out, "\r\n* OK [PERMANENTFLAGS ");
	if (x->read_only)
		buf_putz(out, "()");
	else
		imap_put_known_flags(s, out, true);
	buf_putz(out, "] flags permitted\r\n");
	buf_putf(out, "* %u EXISTS\r\n", s->view->exists);
	if (!rev2) {
		buf_putz(out, "* 0 RECENT\r\n");
		if (m->first_unseen)
			buf_putf(out, "* OK [UNSEEN %u] first unseen\r\n", m->first_unseen);
	}
	buf_putf(out, "* OK [UIDVALIDITY %u] UIDs valid\r\n", m->uidvalidity);
	buf_putf(out, "* OK [UIDNEXT %u] next UID\r\n", m->uidnext);
	buf_putf(out, "* OK [HIGHESTMODSEQ %llu] highest\r\n",
	    (unsigned long long)MAX(s->view->modseq, (uint64_t)1));
	buf_putz(out, "* OK [MAILBOXID (");
	imap_put_mailbox_id(out, m->mailbox, m->uidvalidity);
	buf_putz(out, ")] its id\r\n");
	say_old_name(s, x);
}

static void
open_view(struct imap_session *s, const struct access_head *head, const struct access_mailbox *m,
    const struct access_keywords *words)
{
	struct imap_view *v = s->view = xalloc(sizeof(*v));
	v->mailbox = m->mailbox;
	v->uidvalidity = m->uidvalidity;
	v->uidnext = MAX(m->uidnext, 1);
	v->exists = (uint32_t)m->messages;
	v->modseq = v->told = v->highest = MAX(m->modseq, head->modseq);
	v->read_only = select_of(s)->read_only;
	s->state = IMAP_SELECTED;
	(void)imap_view_keywords(s, words);
}

static enum imap_run
opened(struct imap_session *s, const struct imap_answer *a)
{
	struct select *x = select_of(s);
	struct wire w;
	struct access_head head;
	struct access_mailbox m;
	struct access_keywords words;
	if (!imap_answer_get(a, &w, &head) || !access_mailbox_get(&w, &m) ||
	    !access_keywords_get(&w, &words))
		return imap_refuse(s, imap_answer_status(a), false);
	if (m.mailbox == 0 || (m.attrs & (ACCESS_NOSELECT | ACCESS_NONEXISTENT)))
		return imap_refuse(s,
		    m.mailbox && (m.attrs & ACCESS_NOSELECT) ? ACCESS_CANNOT : ACCESS_NOT_FOUND,
		    false);
	if (m.messages >= UINT32_MAX)
		return imap_refuse(s, ACCESS_LIMIT, false);
	open_view(s, &head, &m, &words);
	say(s, x, &m);
	/* RFC 7162 3.2.5: of another mailbox it knows nothing that is still true. */
	bool miss = x->qresync && x->uidvalidity == m.uidvalidity && x->modseq < s->view->modseq;
	return miss ? imap_view_map(s, ask_changes) : selected(s);
}

static enum imap_run
begin(struct imap_session *s, bool read_only)
{
	struct imap_command *c = s->cmd;
	struct imap_lex *x = &c->lex;
	enum imap_run run;
	struct select *sel = c->data = arena_alloc(&c->arena, sizeof(*sel));
	check(sel);
	c->drop = select_drop;
	(void)imap_lex_sp(x);
	sel->given = imap_lex_astring(x, &c->arena);
	sel->read_only = read_only;
	(void)(!x->bad && params(s, sel));
	if (!imap_lex_end(x))
		return imap_bad(s, "%s mailbox: %s", c->row->name, x->why);
	/* RFC 9051 6.3.2: what was selected is not any more, even if this fails. */
	if (s->view) {
		imap_view_close(s);
		buf_putz(c->out, "* OK [CLOSED] the mailbox before is closed\r\n");
	}
	if (!imap_name(s, sel->given, &sel->name, &run))
		return run;
	s->read = (struct access_ask){ .kind = ACCESS_OPEN, .fresh = true, .name = sel->name };
	return imap_read(s, opened);
}

enum imap_run
imap_cmd_select(struct imap_session *s)
{
	return begin(s, false);
}

enum imap_run
imap_cmd_examine(struct imap_session *s)
{
	return begin(s, true);
}
