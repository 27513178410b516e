/* SEARCH and UID SEARCH (RFC 9051 6.4.4). */
#include "imap/search_priv.h"

static void
drop(struct imap_session *s)
{
	search_free(search_of(s));
}

static void
put_plain(struct imap_session *s, struct search *q)
{
	struct buf *out = &q->answer;
	buf_putz(out, "* SEARCH");
	for (size_t i = 0; i < q->result.n; i++) {
		const struct uid_range *r = &q->result.r[i];
		uint32_t n = q->uid ? r->first : uidmap_seq(s->view->map, r->first);
		for (uint32_t k = 0; k <= r->last - r->first; k++) {
			buf_putc(out, ' ');
			imap_walk_number(out, n + k);
		}
	}
	if (q->modseq && q->result.n)
		buf_putf(out, " (MODSEQ %llu)", (unsigned long long)q->modseq_all);
	buf_putz(out, "\r\n");
}

static enum imap_run
answer(struct imap_session *s)
{
	struct search *q = search_of(s);
	if (q->result.failed)
		return imap_no(s, "LIMIT", "too many ranges of letters were found");
	search_save(s, q);
	if (q->returns & SEARCH_EXTENDED)
		search_extended(s, q, NULL, 0);
	else
		put_plain(s, q);
	return search_say(s);
}

/* "CHARSET name " in front of the keys. */
static bool
charset_parse(struct imap_session *s, struct search *q)
{
	struct imap_lex *x = &s->cmd->lex;
	if (!str_istarts(x->rest, STR("CHARSET ")))
		return true;
	x->rest = str_skip(x->rest, 8);
	struct str name = imap_lex_astring(x, &s->cmd->arena);
	return imap_lex_sp(x) && search_charset(s, q, name);
}

static enum imap_run
begin(struct imap_session *s, bool uid)
{
	struct search *q = arena_alloc(&s->cmd->arena, sizeof(*q));
	if (!q)
		return imap_no(s, "LIMIT", "out of memory");
	s->cmd->data = q;
	s->cmd->drop = drop;
	q->uid = uid;
	if (!imap_lex_sp(&s->cmd->lex) || !search_returns(s, q) || !charset_parse(s, q) ||
	    !search_parse(s, q))
		return search_wrong(s, q);
	return search_run(s, answer);
}

enum imap_run
imap_cmd_search(struct imap_session *s)
{
	return begin(s, false);
}

enum imap_run
imap_cmd_uid_search(struct imap_session *s)
{
	return begin(s, true);
}
