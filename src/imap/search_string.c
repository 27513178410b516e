/* SEARCH: words, in the charset that was named, and what can be wrong with a search. */
#include "imap/search_priv.h"

#include "base/check.h"
#include "base/utf8.h"

#define CONVERTED_MAX (64u << 10)

bool
search_fail(struct imap_session *s, const char *why)
{
	if (!s->cmd->lex.bad)
		s->cmd->lex.why = why;
	s->cmd->lex.bad = true;
	return false;
}

bool
search_refuse(struct search *q, const char *code, const char *why)
{
	if (!q->no_text) {
		q->no_code = code;
		q->no_text = why;
	}
	return false;
}

enum imap_run
search_wrong(struct imap_session *s, struct search *q)
{
	/* RFC 9051 6.4.4.4: a search that fails saves nothing. */
	if (q->no_text && (q->returns & SEARCH_SAVE))
		uidset_clear(&s->view->saved);
	if (q->no_text)
		return imap_no(s, q->no_code, "%s", q->no_text);
	return imap_bad(s, "%s", s->cmd->lex.why);
}

void
search_free(struct search *q)
{
	imap_walk_done(&q->walk);
	for (uint32_t i = 0; i < q->n_nodes; i++) {
		q->node[i].needle = needle_free(q->node[i].needle);
		uidset_done(&q->node[i].set);
	}
	free(q->node);
	q->node = NULL;
	q->n_nodes = q->cap_nodes = 0;
	for (size_t i = 0; i < SEARCH_FINDERS_MAX; i++)
		q->finder[i] = find_free(q->finder[i]);
	uidset_done(&q->open);
	uidset_done(&q->result);
	buf_done(&q->record);
	buf_done(&q->text);
	buf_done(&q->answer);
}

bool
search_charset(struct imap_session *s, struct search *q, struct str name)
{
	if (str_ieq(name, STR("UTF-8")) || str_ieq(name, STR("US-ASCII")))
		return true;
	if (!charset_known(s->conf->charsets, name))
		return search_refuse(q, "BADCHARSET (UTF-8 US-ASCII)", "this charset is not known");
	q->charset = name;
	return true;
}

/* Words as UTF-8. */
static bool
convert(struct imap_session *s, struct search *q, struct str *words)
{
	if (!q->charset.len)
		return true;
	struct buf utf8 = BUF_INIT(CONVERTED_MAX);
	bool ok = charset_to_utf8(s->conf->charsets, q->charset, *words, &utf8) && !utf8.failed;
	*words = ok ? arena_str(&s->cmd->arena, buf_str(&utf8)) : STR_NULL;
	buf_done(&utf8);
	return ok && words->p;
}

bool
search_needle(struct imap_session *s, struct search *q, struct needle **ret)
{
	struct str words = imap_lex_astring(&s->cmd->lex, &s->cmd->arena);
	if (s->cmd->lex.bad)
		return false;
	if (!convert(s, q, &words))
		return search_refuse(q, "LIMIT", "the words to look for are too long");
	if (!utf8_valid(words))
		return search_refuse(q, "BADCHARSET (UTF-8 US-ASCII)",
		    "the words to look for are not UTF-8");
	*ret = needle_new(words);
	return *ret || search_refuse(q, "LIMIT", "the words to look for are too long");
}
