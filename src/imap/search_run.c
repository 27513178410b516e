/* SEARCH: the stages, each over what the one before left open. */
#include "imap/search_priv.h"

#include "base/check.h"

#define NARROWING 8

static enum imap_run stage_next(struct imap_session *s);

struct imap_walk *
search_walk_again(struct imap_session *s,
    enum walk_say (*letter)(struct imap_session *, const struct walk_letter *),
    enum imap_run (*end)(struct imap_session *, enum access_status))
{
	struct imap_walk *w = imap_walk_of(s);
	imap_walk_done(w);
	*w = (struct imap_walk){ .what = ACCESS_META, .letter = letter, .end = end };
	return w;
}

static void
found(struct search *q, const struct access_letter *row)
{
	const struct search_found f = { row->uid, row->modseq };
	uidset_add(&q->result, row->uid, row->uid);
	if (!q->min.uid || f.uid < q->min.uid)
		q->min = f;
	if (f.uid > q->max.uid)
		q->max = f;
	q->modseq_all = MAX(q->modseq_all, f.modseq);
}

static enum walk_say
judge(struct imap_session *s, struct search *q, const struct walk_letter *l)
{
	q->letter = (struct search_letter){ l->row, l->outline, l->seq };
	q->text_item = -1;
	enum search_truth t = search_eval(s, q, q->root);
	if (t == SEARCH_YES)
		found(q, l->row);
	else if (t == SEARCH_OPEN)
		uidset_add(&q->open, l->row->uid, l->row->uid);
	return q->result.failed || q->open.failed ? WALK_STOP : WALK_ON;
}

static enum walk_say
letter_known(struct imap_session *s, const struct walk_letter *l)
{
	return judge(s, search_of(s), l);
}

/* --- octets --- */

static void
finders_free(struct search *q)
{
	for (size_t i = 0; i < SEARCH_FINDERS_MAX; i++)
		q->finder[i] = find_free(q->finder[i]);
}

static void
finders_new(struct imap_session *s, struct search *q)
{
	finders_free(q);
	for (size_t at = 0; at < q->n_finds; at += FIND_MAX)
		q->finder[at / FIND_MAX] = find_new(s->conf->charsets, q->finds + at,
		    MIN(q->n_finds - at, (size_t)FIND_MAX));
}

/* True: all is known. */
static bool
finders_feed(struct search *q, struct str octets, bool last)
{
	bool known = true;
	for (size_t i = 0; i < SEARCH_FINDERS_MAX && q->finder[i]; i++) {
		known = find_feed(q->finder[i], octets) && known;
		if (last)
			find_end(q->finder[i]);
	}
	return known || last;
}

/* The windows that follow the first bring no outline. */
static void
outline_keep(struct search *q, const struct walk_letter *l)
{
	buf_done(&q->record);
	buf_init(&q->record, OUTLINE_WIDE_MAX);
	q->has_outline = false;
	if (!l->outline || l->last)
		return;
	buf_puts(&q->record, l->record);
	q->has_outline = !q->record.failed && outline_get(buf_str(&q->record), &q->outline);
}

static enum walk_say
letter_octets(struct imap_session *s, const struct walk_letter *l)
{
	struct search *q = search_of(s);
	if (l->row->at == 0) {
		finders_new(s, q);
		outline_keep(q, l);
	}
	if (!finders_feed(q, l->row->octets, l->last))
		return WALK_ON;
	struct walk_letter known = *l;
	if (l->row->at)
		known.outline = q->has_outline ? &q->outline : NULL;
	enum walk_say say = judge(s, q, &known);
	return say == WALK_ON ? WALK_SKIP : say;
}

/* --- stages --- */

static enum imap_run
stage_end(struct imap_session *s, enum access_status status)
{
	struct search *q = search_of(s);
	if (status != ACCESS_OK) {
		if (q->returns & SEARCH_SAVE)
			uidset_clear(&s->view->saved);
		return imap_refuse(s, status, false);
	}
	if (q->result.failed || q->open.failed)
		return imap_no(s, "LIMIT", "too many ranges of letters were found");
	q->stage++;
	return stage_next(s);
}

static enum imap_run
stage_walk(struct imap_session *s)
{
	struct search *q = search_of(s);
	struct uidset all = q->open;
	q->open = (struct uidset){ 0 };
	struct imap_walk *w = search_walk_again(s, letter_known, stage_end);
	if (q->stage > SEARCH_AT_ROW && q->outline_keys) {
		w->what |= ACCESS_OUTLINE;
		w->outlines = true;
	}
	if (q->stage == SEARCH_AT_OCTETS) {
		w->what |= ACCESS_OCTETS;
		w->part = q->in_body ? ACCESS_PART_ALL : ACCESS_PART_HEADER;
		w->len = UINT64_MAX;
		w->letter = letter_octets;
	}
	return imap_walk_begin(s, &all);
}

static enum imap_run
stage_next(struct imap_session *s)
{
	struct search *q = search_of(s);
	const bool needed[SEARCH_STAGES] = { q->row_keys, q->outline_keys, q->n_finds > 0 };
	while (q->stage < SEARCH_STAGES && (!needed[q->stage] || !q->open.n))
		q->stage++;
	if (q->stage < SEARCH_STAGES)
		return stage_walk(s);
	finders_free(q);
	/* Keys that say nothing of a letter but its number leave all of them open. */
	uidset_add_set(&q->result, &q->open);
	uidset_clear(&q->open);
	return q->then(s);
}

/* What may be in the result: all letters, but for sets that must hold. Of very many sets the first
 * ones are enough: the others are looked at letter by letter. */
static void
narrow(struct imap_session *s, struct search *q)
{
	const struct uidmap *m = s->view->map;
	unsigned sets = 0;
	uidmap_uids(m, 1, m->count, &q->open);
	for (uint32_t i = q->node[q->root].child; i; i = q->node[i].next) {
		const struct search_node *n = &q->node[i];
		struct uidset some = { 0 };
		if (n->op == SEARCH_NONE)
			uidset_clear(&q->open);
		if (n->op != SEARCH_SET)
			continue;
		if (++sets > NARROWING) {
			q->row_keys = true;
			continue;
		}
		/* A number that is not there finds nothing. */
		(void)imap_walk_set(s, n->parsed, n->uid, &some);
		uidset_intersect(&q->open, &some);
		uidset_done(&some);
	}
}

/* Is it only sets, one narrower than the other? Then nothing is to be read. */
static bool
only_sets(const struct search *q)
{
	for (uint32_t i = q->node[q->root].child; i; i = q->node[i].next)
		if (q->node[i].op > SEARCH_SET)
			return false;
	return true;
}

static enum imap_run
mapped(struct imap_session *s, const struct imap_answer *a)
{
	(void)a;
	struct search *q = search_of(s);
	for (uint32_t i = 1; i < q->n_nodes; i++) {
		struct search_node *n = &q->node[i];
		if (n->op == SEARCH_SET)
			(void)imap_walk_numbers(s, n->parsed, n->uid, &n->set);
	}
	narrow(s, q);
	q->stage = SEARCH_AT_ROW;
	if (!only_sets(q) && !q->row_keys && !q->outline_keys && !q->n_finds)
		q->row_keys = true;
	return stage_next(s);
}

enum imap_run
search_run(struct imap_session *s, enum imap_run (*then)(struct imap_session *))
{
	struct search *q = search_of(s);
	q->then = then;
	buf_init(&q->text, SEARCH_TEXT_MAX);
	buf_init(&q->answer, SEARCH_ANSWER_MAX);
	if (q->modseq)
		imap_walk_condstore(s);
	return imap_view_map(s, mapped);
}
