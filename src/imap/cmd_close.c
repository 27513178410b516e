/* CLOSE, UNSELECT, EXPUNGE, UID EXPUNGE (RFC 9051 6.4.1, 6.4.2, 6.4.3, 6.4.9). */
#include "imap/imap_priv.h"

struct expunge {
	struct imap_set set;
	struct uidset left; /* still to be asked for */
};

static void
expunge_drop(struct imap_session *s)
{
	struct expunge *x = s->cmd->data;
	uidset_done(&x->left);
}

static enum imap_run
closed(struct imap_session *s, const struct imap_answer *a)
{
	char text[IMAP_MODSEQ_CODE];
	if (a && a->status != ACCESS_OK)
		return imap_refuse(s, a->status, false);
	const char *code = a ? imap_modseq_code(s, text) : NULL;
	imap_view_close(s);
	return imap_ok(s, code, NULL);
}

enum imap_run
imap_cmd_close(struct imap_session *s)
{
	if (!imap_lex_end(&s->cmd->lex))
		return imap_bad(s, "%s", s->cmd->lex.why);
	if (s->view->read_only)
		return closed(s, NULL);
	s->change = (struct access_change){ .kind = ACCESS_EXPUNGE,
		.mailbox = s->view->mailbox,
		.only_deleted = true,
		.unchanged_since = UINT64_MAX };
	return imap_change(s, closed);
}

enum imap_run
imap_cmd_unselect(struct imap_session *s)
{
	if (!imap_lex_end(&s->cmd->lex))
		return imap_bad(s, "%s", s->cmd->lex.why);
	return closed(s, NULL);
}

/* --- EXPUNGE --- */

static enum imap_run
told(struct imap_session *s, const struct imap_answer *a)
{
	char code[IMAP_MODSEQ_CODE];
	return imap_ok(s, imap_modseq_code(s, code), NULL);
}

static enum imap_run
tell(struct imap_session *s)
{
	static const struct imap_sync how = { .no_expunge = false };
	return imap_view_sync(s, &how, told);
}

static enum imap_run
expunged(struct imap_session *s, const struct imap_answer *a)
{
	if (a->status != ACCESS_OK)
		return imap_refuse(s, a->status, false);
	return tell(s);
}

static enum imap_run
ask_expunge(struct imap_session *s, struct str uids,
    enum imap_run (*done)(struct imap_session *, const struct imap_answer *))
{
	s->change = (struct access_change){ .kind = ACCESS_EXPUNGE,
		.mailbox = s->view->mailbox,
		.uids = uids,
		.only_deleted = true,
		.unchanged_since = UINT64_MAX };
	return imap_change(s, done);
}

enum imap_run
imap_cmd_expunge(struct imap_session *s)
{
	if (!imap_lex_end(&s->cmd->lex))
		return imap_bad(s, "%s", s->cmd->lex.why);
	if (s->view->read_only)
		return imap_no(s, "READ-ONLY", "the mailbox was opened by EXAMINE");
	return ask_expunge(s, STR_NULL, expunged);
}

/* A long set in pieces of what one change may hold. An empty one would mean all. */
static enum imap_run
some_expunged(struct imap_session *s, const struct imap_answer *a)
{
	struct expunge *x = s->cmd->data;
	if (a && a->status != ACCESS_OK)
		return imap_refuse(s, a->status, false);
	if (x->left.n == 0)
		return tell(s);
	struct str uids;
	if (!imap_take_ranges(s, &x->left, &uids))
		return imap_refuse(s, ACCESS_LIMIT, false);
	return ask_expunge(s, uids, some_expunged);
}

static enum imap_run
uid_expunge(struct imap_session *s, const struct imap_answer *a)
{
	struct expunge *x = s->cmd->data;
	if (!imap_set_uids(s, &x->set, true, &x->left) || x->left.failed)
		return imap_bad(s, "the set is too large");
	return some_expunged(s, NULL);
}

enum imap_run
imap_cmd_uid_expunge(struct imap_session *s)
{
	struct imap_command *c = s->cmd;
	struct expunge *x = c->data = arena_alloc(&c->arena, sizeof(*x));
	check(x);
	c->drop = expunge_drop;
	(void)imap_lex_sp(&c->lex);
	(void)imap_lex_set(&c->lex, &c->arena, &x->set);
	if (!imap_lex_end(&c->lex))
		return imap_bad(s, "UID EXPUNGE uids: %s", c->lex.why);
	if (s->view->read_only)
		return imap_no(s, "READ-ONLY", "the mailbox was opened by EXAMINE");
	return imap_set_needs_map(s, &x->set, true) ? imap_view_map(s, uid_expunge)
	                                            : uid_expunge(s, NULL);
}
