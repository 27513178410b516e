/* SEARCH and SORT: RETURN options and what they bring (RFC 9051 6.4.4, RFC 5182, RFC 5267 3). */
#include "imap/search_priv.h"

#include "base/check.h"

#define SLICE (64u << 10)

bool
search_returns(struct imap_session *s, struct search *q)
{
	static const struct {
		const char *name;
		unsigned bit;
	} options[] = {
		{ "MIN", SEARCH_MIN },
		{ "MAX", SEARCH_MAX },
		{ "ALL", SEARCH_RETURN_ALL },
		{ "COUNT", SEARCH_COUNT },
		{ "SAVE", SEARCH_SAVE },
	};
	struct imap_lex *x = &s->cmd->lex;
	if (s->enabled & IMAP_REV2)
		q->returns = SEARCH_EXTENDED | SEARCH_RETURN_ALL;
	if (x->bad || !str_istarts(x->rest, STR("RETURN (")))
		return !x->bad;
	x->rest = str_skip(x->rest, 8);
	q->returns = SEARCH_EXTENDED;
	while (!imap_lex_peek(x, ')') && !x->bad) {
		struct str name = imap_lex_atom(x);
		size_t i = 0;
		while (i < ARRAY_LEN(options) && !str_ieq(name, str_of(options[i].name)))
			i++;
		if (i == ARRAY_LEN(options))
			return search_fail(s, "a RETURN option that is not known");
		q->returns |= options[i].bit;
		if (!imap_lex_try(x, ' '))
			break;
	}
	if (q->returns == SEARCH_EXTENDED)
		q->returns |= SEARCH_RETURN_ALL;
	return imap_lex_char(x, ')') && imap_lex_sp(x);
}

/* RFC 5182 2.4: with MIN or MAX alone only those are kept. */
void
search_save(struct imap_session *s, struct search *q)
{
	struct uidset *saved = &s->view->saved;
	const struct uidset *r = &q->result;
	if (!(q->returns & SEARCH_SAVE))
		return;
	uidset_clear(saved);
	if ((q->returns & (SEARCH_MIN | SEARCH_MAX)) &&
	    !(q->returns & (SEARCH_RETURN_ALL | SEARCH_COUNT))) {
		if (r->n && (q->returns & SEARCH_MIN))
			uidset_add(saved, r->r[0].first, r->r[0].first);
		if (r->n && (q->returns & SEARCH_MAX))
			uidset_add(saved, r->r[r->n - 1].last, r->r[r->n - 1].last);
		return;
	}
	uidset_add_set(saved, r);
}

static uint32_t
shown(const struct imap_session *s, const struct search *q, uint32_t uid)
{
	return q->uid ? uid : uidmap_seq(s->view->map, uid);
}

static void
put_named(struct buf *out, const char *name, uint64_t n)
{
	buf_putf(out, " %s %llu", name, (unsigned long long)n);
}

/* In the order given; numbers that follow one another make a range. */
static void
put_order(struct imap_session *s, struct search *q, const uint32_t *order, size_t n)
{
	struct buf *out = &q->answer;
	for (size_t i = 0; i < n;) {
		uint32_t first = shown(s, q, order[i]), last = first;
		size_t k = i + 1;
		while (k < n && shown(s, q, order[k]) == last + 1) {
			last++;
			k++;
		}
		buf_putf(out, first == last ? "%s%u" : "%s%u:%u", i ? "," : "", first, last);
		i = k;
	}
}

static void
put_all(struct imap_session *s, struct search *q, const uint32_t *order, size_t n)
{
	buf_putz(&q->answer, " ALL ");
	if (order) {
		put_order(s, q, order, n);
		return;
	}
	struct uidset seqs = { 0 };
	if (!q->uid)
		imap_walk_seqs(s->view->map, &q->result, &seqs);
	uidset_text(q->uid ? &q->result : &seqs, &q->answer);
	uidset_done(&seqs);
}

/* RFC 7162 3.1.5: of the letters that are told. */
static uint64_t
modseq_of(const struct search *q)
{
	if (q->returns & (SEARCH_RETURN_ALL | SEARCH_COUNT))
		return q->modseq_all;
	return MAX(q->returns & SEARCH_MIN ? q->min.modseq : 0,
	    q->returns & SEARCH_MAX ? q->max.modseq : 0);
}

void
search_extended(struct imap_session *s, struct search *q, const uint32_t *order, size_t n)
{
	struct buf *out = &q->answer;
	const struct uidset *r = &q->result;
	uint64_t count = order ? n : uidset_count(r);
	if (q->returns == (SEARCH_EXTENDED | SEARCH_SAVE))
		return;
	buf_putf(out, "* ESEARCH (TAG \"%s\")%s", s->cmd->tag, q->uid ? " UID" : "");
	if (count && (q->returns & SEARCH_MIN))
		put_named(out, "MIN", shown(s, q, order ? order[0] : r->r[0].first));
	if (count && (q->returns & SEARCH_MAX))
		put_named(out, "MAX", shown(s, q, order ? order[n - 1] : r->r[r->n - 1].last));
	if (count && (q->returns & SEARCH_RETURN_ALL))
		put_all(s, q, order, n);
	if (q->returns & SEARCH_COUNT)
		put_named(out, "COUNT", count);
	if (count && q->modseq)
		put_named(out, "MODSEQ", modseq_of(q));
	buf_putz(out, "\r\n");
}

static enum imap_run
say_on(struct imap_session *s, const struct imap_answer *a)
{
	(void)a;
	struct search *q = search_of(s);
	struct buf *out = s->cmd->out;
	do {
		struct str some = str_first(str_skip(buf_str(&q->answer), q->said), SLICE);
		buf_puts(out, some);
		q->said += some.len;
	} while (q->said < q->answer.len && out->len < IMAP_OUT_HIGH);
	if (q->said == q->answer.len)
		return imap_ok(s, NULL, NULL);
	s->cmd->resume = say_on;
	return RUN_FLUSH;
}

enum imap_run
search_say(struct imap_session *s)
{
	if (search_of(s)->answer.failed)
		return imap_no(s, "LIMIT", "the answer is too long");
	return say_on(s, NULL);
}
