/* STORE and UID STORE (RFC 9051 6.4.6, RFC 7162 3.1.3). */
#include "imap/walk_priv.h"

#include "base/check.h"

struct store {
	bool uid, silent, conditional;
	uint8_t mode;
	uint64_t unchanged_since;
	uint64_t flags;
	struct str keywords;
	struct imap_set set;
	struct uidset uids, changed, failed, again;
	size_t chunk;
	bool second; /* those of `again` */
	struct buf octets;
	uint64_t modseq; /* of the last change of `uids` */
};

static enum imap_run next(struct imap_session *s);

static void
drop(struct imap_session *s)
{
	struct store *t = s->cmd->data;
	uidset_done(&t->uids);
	uidset_done(&t->changed);
	uidset_done(&t->failed);
	uidset_done(&t->again);
	buf_done(&t->octets);
}

static enum imap_run
end(struct imap_session *s, const struct imap_answer *a)
{
	(void)a;
	struct store *t = s->cmd->data;
	if (!t->failed.n)
		return imap_ok(s, NULL, NULL);
	struct uidset seqs = { 0 };
	struct buf code = BUF_INIT(IMAP_COMMAND_MAX);
	buf_putz(&code, "MODIFIED ");
	if (!t->uid)
		imap_walk_seqs(s->view->map, &t->failed, &seqs);
	uidset_text(t->uid ? &t->failed : &seqs, &code);
	uidset_done(&seqs);
	const char *text = buf_cstr(&code);
	enum imap_run run = !code.failed && text
	                        ? imap_ok(s, text, "Conditional STORE failed")
	                        : imap_no(s, "LIMIT", "too many letters were modified");
	buf_done(&code);
	return run;
}

static enum imap_run
tell(struct imap_session *s)
{
	struct store *t = s->cmd->data;
	const struct imap_sync how = {
		.no_expunge = !t->uid,
		.silent = t->silent ? &t->changed : NULL,
		.silent_modseq = t->modseq,
	};
	return imap_view_sync(s, &how, end);
}

/* What a change came to. False: the answer cannot be read. */
static bool
changed(struct store *t, struct str octets)
{
	struct access_changed c;
	struct uidset uids = { 0 }, failed = { 0 };
	bool ok = access_changed_get(octets, &c) && uidset_get(c.uids, &uids) &&
	          uidset_get(c.failed, &failed);
	if (ok) {
		/* Others have changed the second ones too: those are told (RFC 9051 6.4.6). */
		if (!t->second) {
			uidset_add_set(&t->changed, &uids);
			t->modseq = MAX(t->modseq, c.modseq);
		}
		uidset_add_set(t->conditional ? &t->failed : &t->again, &failed);
	}
	uidset_done(&uids);
	uidset_done(&failed);
	return ok;
}

static enum imap_run
answered(struct imap_session *s, const struct imap_answer *a)
{
	struct store *t = s->cmd->data;
	if (a->status == ACCESS_LIMIT)
		return imap_no(s, "LIMIT", "a mailbox has at most %d keywords", ACCESS_KEYWORDS);
	if (a->status != ACCESS_OK)
		return imap_refuse(s, a->status, false);
	if (!changed(t, a->octets))
		return imap_refuse(s, ACCESS_FAILED, false);
	return next(s);
}

/* A change of a part of the set. STORE.SILENT says nothing of the flags it leaves behind, so it
 * changes only what the client has seen as it is; the rest goes again, and is told. */
static enum imap_run
next(struct imap_session *s)
{
	struct store *t = s->cmd->data;
	const struct uidset *all = t->second ? &t->again : &t->uids;
	size_t n = MIN(all->n - t->chunk, (size_t)ACCESS_RANGES_MAX);
	if (!n && !t->second && t->again.n) {
		t->second = true;
		t->chunk = 0;
		return next(s);
	}
	if (!n)
		return tell(s);
	buf_reset(&t->octets);
	uidset_put(&t->octets, &(struct uidset){ .r = all->r + t->chunk, .n = n });
	t->chunk += n;
	uint64_t seen = t->silent && !t->second ? s->view->modseq : UINT64_MAX;
	s->change = (struct access_change){
		.kind = ACCESS_FLAGS,
		.mode = t->mode,
		.mailbox = s->view->mailbox,
		.uids = buf_str(&t->octets),
		.flags = t->flags,
		.keywords = t->keywords,
		.unchanged_since = t->conditional ? t->unchanged_since : seen,
	};
	return imap_change(s, answered);
}

static enum imap_run
mapped(struct imap_session *s, const struct imap_answer *a)
{
	(void)a;
	struct store *t = s->cmd->data;
	if (!imap_walk_set(s, &t->set, t->uid, &t->uids))
		return imap_bad(s, "a message with this number does not exist");
	if (t->uids.failed)
		return imap_no(s, "LIMIT", "too many ranges of messages");
	imap_walk_coarsen(s->view->map, &t->uids);
	return t->uids.n ? next(s) : imap_ok(s, NULL, NULL);
}

static bool
modifiers_parse(struct imap_session *s, struct store *t)
{
	struct imap_lex *x = &s->cmd->lex;
	if (!imap_lex_try(x, '('))
		return true;
	struct str name = imap_lex_atom(x);
	if (!x->bad && !str_ieq(name, STR("UNCHANGEDSINCE"))) {
		x->bad = true;
		x->why = "a modifier that STORE does not know";
		return false;
	}
	t->conditional = true;
	return imap_lex_sp(x) && imap_lex_number64(x, &t->unchanged_since) &&
	       imap_lex_char(x, ')') && imap_lex_sp(x);
}

static bool
item_parse(struct imap_session *s, struct store *t)
{
	static const struct {
		const char *name;
		uint8_t mode;
		bool silent;
	} items[] = {
		{ "FLAGS", ACCESS_REPLACE, false },
		{ "FLAGS.SILENT", ACCESS_REPLACE, true },
		{ "+FLAGS", ACCESS_ADD, false },
		{ "+FLAGS.SILENT", ACCESS_ADD, true },
		{ "-FLAGS", ACCESS_REMOVE, false },
		{ "-FLAGS.SILENT", ACCESS_REMOVE, true },
	};
	struct imap_lex *x = &s->cmd->lex;
	struct str name = imap_lex_atom(x);
	if (x->bad)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		if (str_ieq(name, str_of(items[i].name))) {
			t->mode = items[i].mode;
			t->silent = items[i].silent;
			return true;
		}
	x->bad = true;
	x->why = "an item that STORE does not know";
	return false;
}

static bool
parse(struct imap_session *s, struct store *t)
{
	struct imap_lex *x = &s->cmd->lex;
	if (!imap_lex_sp(x) || !imap_lex_set(x, &s->cmd->arena, &t->set) || !imap_lex_sp(x) ||
	    !modifiers_parse(s, t) || !item_parse(s, t) || !imap_lex_sp(x))
		return false;
	bool parens = imap_lex_peek(x, '(');
	return imap_lex_flags(s, x, parens, &t->flags, &t->keywords) && imap_lex_end(x);
}

static enum imap_run
begin(struct imap_session *s, bool uid)
{
	struct store *t = arena_alloc(&s->cmd->arena, sizeof(*t));
	if (!t)
		return imap_no(s, "LIMIT", "out of memory");
	s->cmd->data = t;
	s->cmd->drop = drop;
	t->uid = uid;
	buf_init(&t->octets, ACCESS_RANGES_MAX * 8);
	if (!parse(s, t))
		return imap_bad(s, "%s", s->cmd->lex.why);
	if (t->conditional)
		imap_walk_condstore(s);
	if (s->view->read_only)
		return imap_no(s, "READ-ONLY", "the mailbox was opened read-only");
	return imap_view_map(s, mapped);
}

enum imap_run
imap_cmd_store(struct imap_session *s)
{
	return begin(s, false);
}

enum imap_run
imap_cmd_uid_store(struct imap_session *s)
{
	return begin(s, true);
}
