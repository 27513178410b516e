/* SEARCH: is it this letter? As far as the stage at hand can tell. */
#include "imap/search_priv.h"

#include "base/check.h"

#define DAY_MS 86400000u

static enum search_truth
truth(bool yes)
{
	return yes ? SEARCH_YES : SEARCH_NO;
}

static bool
compare(uint8_t how, int64_t a, int64_t b)
{
	static const struct {
		bool less, same, more;
	} rows[] = {
		[SEARCH_LESS] = { true, false, false },
		[SEARCH_SAME] = { false, true, false },
		[SEARCH_MORE] = { false, false, true },
		[SEARCH_NOT_LESS] = { false, true, true },
		[SEARCH_NOT_MORE] = { true, true, false },
	};
	return a < b ? rows[how].less : a > b ? rows[how].more : rows[how].same;
}

/* --- the row --- */

static bool
of_set(const struct imap_session *s, const struct search *q, const struct search_node *n)
{
	uint32_t uid = q->letter.row->uid;
	return uidset_has(&n->set, n->uid ? uid : q->letter.seq) ||
	       (n->parsed->saved && uidset_has(&s->view->saved, uid));
}

static bool
of_row(const struct search_node *n, const struct access_letter *row)
{
	int64_t v = (int64_t)n->n;
	switch ((enum search_op)n->op) {
	case SEARCH_ALL:
		return true;
	case SEARCH_FLAG:
		return ((row->flags & n->n) != 0) == n->want;
	case SEARCH_SIZE:
		return compare(n->compare, (int64_t)row->size, v);
	case SEARCH_DAY:
		return compare(n->compare, (int64_t)(row->time_ms / DAY_MS), v);
	case SEARCH_SAVED:
		return row->saved_ms && compare(n->compare, (int64_t)(row->saved_ms / DAY_MS), v);
	case SEARCH_AGE:
		return compare(n->compare, (int64_t)row->time_ms, v);
	case SEARCH_MODSEQ:
		return compare(n->compare, (int64_t)row->modseq, v);
	case SEARCH_EMAILID:
		return row->letter == n->n;
	case SEARCH_NONE:
	case SEARCH_SET:
	case SEARCH_SENT:
	case SEARCH_THREADID:
	case SEARCH_ITEM:
	case SEARCH_FIND:
	case SEARCH_AND:
	case SEARCH_OR:
	case SEARCH_NOT:
		break;
	}
	return false;
}

/* --- the outline --- */

static bool
of_item(struct imap_session *s, struct search *q, const struct search_node *n)
{
	enum outline_item item = (enum outline_item)n->item;
	if (str_ieq(outline_item(q->letter.outline, item), STR("NIL")))
		return false;
	if (q->text_item != (int)item) {
		buf_reset(&q->text);
		outline_text(q->letter.outline, item, s->conf->charsets, &q->text);
		q->text_item = (int)item;
	}
	return needle_in(n->needle, buf_str(&q->text));
}

static enum search_truth
of_outline(struct imap_session *s, struct search *q, const struct search_node *n)
{
	const struct outline *o = q->letter.outline;
	if (q->stage < SEARCH_AT_OUTLINE)
		return SEARCH_OPEN;
	if (!o)
		return SEARCH_NO;
	if (n->op == SEARCH_ITEM)
		return truth(of_item(s, q, n));
	if (n->op == SEARCH_THREADID)
		return truth(o->thread && o->thread == n->n);
	return truth(o->has_sent && compare(n->compare, o->sent_day, (int64_t)n->n));
}

static enum search_truth
of_octets(struct search *q, const struct search_node *n)
{
	const struct find *f = q->finder[n->find / FIND_MAX];
	if (q->stage < SEARCH_AT_OCTETS)
		return SEARCH_OPEN;
	return truth(f && find_found(f, n->find % FIND_MAX));
}

/* --- others --- */

/* OR is found out by the first that is true, AND by the first that is not. */
static enum search_truth
of_members(struct imap_session *s, struct search *q, const struct search_node *n)
{
	enum search_truth decides = n->op == SEARCH_OR ? SEARCH_YES : SEARCH_NO;
	enum search_truth all = n->op == SEARCH_OR ? SEARCH_NO : SEARCH_YES;
	for (uint32_t i = n->child; i; i = q->node[i].next) {
		enum search_truth t = search_eval(s, q, i);
		if (t == decides)
			return t;
		if (t == SEARCH_OPEN)
			all = SEARCH_OPEN;
	}
	return all;
}

enum search_truth
search_eval(struct imap_session *s, struct search *q, uint32_t node)
{
	const struct search_node *n = &q->node[node];
	if (n->op == SEARCH_SET)
		return truth(of_set(s, q, n));
	if (n->op < SEARCH_SENT)
		return truth(of_row(n, q->letter.row));
	if (n->op < SEARCH_FIND)
		return of_outline(s, q, n);
	if (n->op == SEARCH_FIND)
		return of_octets(q, n);
	if (n->op != SEARCH_NOT)
		return of_members(s, q, n);
	enum search_truth t = search_eval(s, q, n->child);
	return t == SEARCH_OPEN ? t : truth(t == SEARCH_NO);
}
