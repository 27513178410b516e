/* SORT and UID SORT (RFC 5256, RFC 5267 3, RFC 5957). */
#include "imap/search_priv.h"

#include "base/check.h"
#include "base/wire.h"

#include <stdlib.h>

#define CRITERIA_MAX 16
#define ROWS_MAX (128u << 20) /* octets of all rows */
#define TEXTS_MAX (64u << 20) /* octets of all texts */
#define TEXT_MAX 255          /* of one text: what is behind that does not count */
#define FOLDED_MAX (64u << 10)

enum criterion {
	BY_ARRIVAL,
	BY_CC,
	BY_DATE,
	BY_FROM,
	BY_SIZE,
	BY_SUBJECT,
	BY_TO,
	BY_DISPLAY_FROM,
	BY_DISPLAY_TO,
};

struct sort {
	struct search q; /* first */
	unsigned n;
	struct by {
		enum criterion what;
		bool reverse;
	} by[CRITERIA_MAX];
	bool outlines;
	/* Rows of 1 + n numbers: UID, then a number for each criterion; of a text its place. */
	uint64_t *row;
	size_t n_rows, max_rows;
	struct buf texts, key, folded;
	uint32_t *order;
};

static struct sort *
sort_of(struct imap_session *s)
{
	return s->cmd->data;
}

static void
drop(struct imap_session *s)
{
	struct sort *t = sort_of(s);
	search_free(&t->q);
	free(t->row);
	free(t->order);
	buf_done(&t->texts);
	buf_done(&t->key);
	buf_done(&t->folded);
}

static const struct {
	const char *name;
	enum criterion what;
	bool outline, text;
	enum outline_item item;
	bool display;
} criteria[] = {
	[BY_ARRIVAL] = { "ARRIVAL", BY_ARRIVAL, false, false, OUTLINE_ITEMS },
	[BY_CC] = { "CC", BY_CC, true, true, OUTLINE_CC },
	[BY_DATE] = { "DATE", BY_DATE, true, false, OUTLINE_DATE },
	[BY_FROM] = { "FROM", BY_FROM, true, true, OUTLINE_FROM },
	[BY_SIZE] = { "SIZE", BY_SIZE, false, false, OUTLINE_ITEMS },
	[BY_SUBJECT] = { "SUBJECT", BY_SUBJECT, true, true, OUTLINE_SUBJECT },
	[BY_TO] = { "TO", BY_TO, true, true, OUTLINE_TO },
	[BY_DISPLAY_FROM] = { "DISPLAYFROM", BY_DISPLAY_FROM, true, true, OUTLINE_FROM, true },
	[BY_DISPLAY_TO] = { "DISPLAYTO", BY_DISPLAY_TO, true, true, OUTLINE_TO, true },
};

/* --- keys --- */

/* The text that is compared: folded, at the end of texts. */
static uint64_t
text_key(struct imap_session *s, struct sort *t, const struct outline *o, enum criterion what)
{
	buf_reset(&t->key);
	buf_reset(&t->folded);
	if (o)
		outline_sort_key(o, criteria[what].item, criteria[what].display, s->conf->charsets,
		    &t->key);
	charset_fold(buf_str(&t->key), &t->folded);
	struct str text = str_first(buf_str(&t->folded), TEXT_MAX);
	uint64_t at = t->texts.len;
	buf_puts(&t->texts, text);
	return at << 8 | text.len;
}

/* Numbers are kept so that they compare without a sign. */
static uint64_t
key_of(struct imap_session *s, struct sort *t, const struct by *by, const struct walk_letter *l)
{
	const struct outline *o = l->outline;
	if (criteria[by->what].text)
		return text_key(s, t, o, by->what);
	if (by->what == BY_SIZE)
		return l->row->size;
	/* RFC 5256 2.2: without a date of its own, a letter has the day it came. */
	bool sent = by->what == BY_DATE && o && o->has_sent;
	int64_t ms = sent ? o->sent * 1000 : (int64_t)l->row->time_ms;
	if (by->what == BY_DATE && !sent)
		ms -= ms % 1000;
	return (uint64_t)ms ^ (uint64_t)1 << 63;
}

static enum walk_say
letter(struct imap_session *s, const struct walk_letter *l)
{
	struct sort *t = sort_of(s);
	if (t->n_rows == t->max_rows)
		return WALK_STOP;
	uint64_t *row = t->row + t->n_rows * (1 + t->n);
	row[0] = l->row->uid;
	for (unsigned i = 0; i < t->n; i++)
		row[1 + i] = key_of(s, t, &t->by[i], l);
	t->n_rows++;
	return t->texts.failed ? WALK_STOP : WALK_ON;
}

/* --- order --- */

static int
text_compare(const struct sort *t, uint64_t a, uint64_t b)
{
	size_t na = a & 0xff, nb = b & 0xff;
	int c = na && nb ? memcmp(t->texts.p + (a >> 8), t->texts.p + (b >> 8), MIN(na, nb)) : 0;
	return c ? c : (na > nb) - (na < nb);
}

static int
row_compare(const void *pa, const void *pb, void *arg)
{
	const struct sort *t = arg;
	const uint64_t *a = pa, *b = pb;
	for (unsigned i = 0; i < t->n; i++) {
		uint64_t x = a[1 + i], y = b[1 + i];
		int c = criteria[t->by[i].what].text ? text_compare(t, x, y) : (x > y) - (x < y);
		if (c)
			return t->by[i].reverse ? -c : c;
	}
	/* RFC 5256 3: what is equal stands by its number. */
	return (a[0] > b[0]) - (a[0] < b[0]);
}

static void
put_plain(struct imap_session *s, struct sort *t)
{
	struct search *q = &t->q;
	buf_putz(&q->answer, "* SORT");
	for (size_t i = 0; i < t->n_rows; i++) {
		uint32_t uid = t->order[i];
		buf_putc(&q->answer, ' ');
		imap_walk_number(&q->answer, q->uid ? uid : uidmap_seq(s->view->map, uid));
	}
	if (q->modseq && t->n_rows)
		buf_putf(&q->answer, " (MODSEQ %llu)", (unsigned long long)q->modseq_all);
	buf_putz(&q->answer, "\r\n");
}

static enum imap_run
sorted(struct imap_session *s, enum access_status status)
{
	struct sort *t = sort_of(s);
	if (status != ACCESS_OK)
		return imap_refuse(s, status, false);
	t->order = malloc((t->n_rows + 1) * sizeof(*t->order));
	if (t->texts.failed || !t->order)
		return imap_no(s, "LIMIT", "too many letters to sort");
	qsort_r(t->row, t->n_rows, (1 + t->n) * sizeof(*t->row), row_compare, t);
	for (size_t i = 0; i < t->n_rows; i++)
		t->order[i] = (uint32_t)t->row[i * (1 + t->n)];
	if (t->q.returns & SEARCH_EXTENDED)
		search_extended(s, &t->q, t->order, t->n_rows);
	else
		put_plain(s, t);
	return search_say(s);
}

static enum imap_run
keys(struct imap_session *s)
{
	struct sort *t = sort_of(s);
	uint64_t count = uidset_count(&t->q.result);
	search_save(s, &t->q);
	if (t->q.result.failed || count > ROWS_MAX / ((1 + t->n) * sizeof(*t->row)))
		return imap_no(s, "LIMIT", "too many letters to sort");
	t->max_rows = (size_t)count;
	t->row = malloc((t->max_rows + 1) * (1 + t->n) * sizeof(*t->row));
	if (!t->row)
		return imap_no(s, "LIMIT", "too many letters to sort");
	struct imap_walk *w = search_walk_again(s, letter, sorted);
	w->outlines = t->outlines;
	if (t->outlines)
		w->what |= ACCESS_OUTLINE;
	struct uidset all = { 0 };
	uidset_copy(&all, &t->q.result);
	return imap_walk_begin(s, &all);
}

/* --- the command --- */

static bool
criterion_parse(struct imap_session *s, struct sort *t)
{
	struct imap_lex *x = &s->cmd->lex;
	struct str name = imap_lex_atom(x);
	bool reverse = !x->bad && str_ieq(name, STR("REVERSE"));
	if (reverse && imap_lex_sp(x))
		name = imap_lex_atom(x);
	if (x->bad)
		return false;
	if (t->n == CRITERIA_MAX)
		return search_fail(s, "too many sort criteria");
	for (size_t i = 0; i < ARRAY_LEN(criteria); i++) {
		if (!str_ieq(name, str_of(criteria[i].name)))
			continue;
		t->by[t->n++] = (struct by){ criteria[i].what, reverse };
		t->outlines = t->outlines || criteria[i].outline;
		return true;
	}
	return search_fail(s, "a sort criterion that is not known");
}

static bool
parse(struct imap_session *s, struct sort *t)
{
	struct imap_lex *x = &s->cmd->lex;
	if (!imap_lex_sp(x))
		return false;
	bool returns = str_istarts(x->rest, STR("RETURN ("));
	if (!search_returns(s, &t->q))
		return false;
	if (!returns)
		t->q.returns = 0;
	(void)imap_lex_char(x, '(');
	do {
		if (!criterion_parse(s, t))
			return false;
	} while (imap_lex_try(x, ' '));
	(void)imap_lex_char(x, ')');
	(void)imap_lex_sp(x);
	struct str charset = imap_lex_astring(x, &s->cmd->arena);
	return imap_lex_sp(x) && search_charset(s, &t->q, charset) && search_parse(s, &t->q);
}

static enum imap_run
begin(struct imap_session *s, bool uid)
{
	struct sort *t = arena_alloc(&s->cmd->arena, sizeof(*t));
	if (!t)
		return imap_no(s, "LIMIT", "out of memory");
	s->cmd->data = t;
	s->cmd->drop = drop;
	t->q.uid = uid;
	buf_init(&t->texts, TEXTS_MAX);
	buf_init(&t->key, FOLDED_MAX);
	buf_init(&t->folded, FOLDED_MAX);
	if (!parse(s, t))
		return search_wrong(s, &t->q);
	return search_run(s, keys);
}

enum imap_run
imap_cmd_sort(struct imap_session *s)
{
	return begin(s, false);
}

enum imap_run
imap_cmd_uid_sort(struct imap_session *s)
{
	return begin(s, true);
}
