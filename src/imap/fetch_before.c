/* FETCH: what comes before the letters: what has vanished (RFC 7162 3.2.6), and \Seen. */
#include "imap/fetch_priv.h"

#include "base/check.h"

/* --- \Seen --- */

static enum imap_run seen_next(struct imap_session *s);

static enum imap_run
seen_answer(struct imap_session *s, const struct imap_answer *a)
{
	struct fetch *f = fetch_of(s);
	struct access_changed c;
	struct uidset uids = { 0 };
	/* A full disk keeps nobody from reading. */
	if (a->status == ACCESS_OK && access_changed_get(a->octets, &c) &&
	    uidset_get(c.uids, &uids)) {
		uidset_add_set(&f->changed, &uids);
		f->changed_modseq = MAX(f->changed_modseq, c.modseq);
	}
	uidset_done(&uids);
	return seen_next(s);
}

static enum imap_run
seen_next(struct imap_session *s)
{
	struct fetch *f = fetch_of(s);
	size_t n = MIN(f->wanted.n - f->chunk, (size_t)ACCESS_RANGES_MAX);
	if (!n)
		return f->next(s);
	buf_reset(&f->octets);
	uidset_put(&f->octets, &(struct uidset){ .r = f->wanted.r + f->chunk, .n = n });
	f->chunk += n;
	s->change = (struct access_change){
		.kind = ACCESS_FLAGS,
		.mode = ACCESS_ADD,
		.mailbox = s->view->mailbox,
		.uids = buf_str(&f->octets),
		.flags = ACCESS_SEEN,
		.unchanged_since = UINT64_MAX,
	};
	return imap_change(s, seen_answer);
}

enum imap_run
fetch_see(struct imap_session *s, enum imap_run (*next)(struct imap_session *))
{
	struct fetch *f = fetch_of(s);
	f->next = next;
	f->chunk = 0;
	return seen_next(s);
}

static enum imap_run
seen(struct imap_session *s)
{
	struct fetch *f = fetch_of(s);
	bool sets = false;
	for (size_t k = f->n_index; k < f->n_items; k++)
		sets = sets || f->items[k].seen;
	sets = sets && !s->view->read_only;
	/* With CHANGEDSINCE it is not known yet whose octets will be given. */
	f->see_later = sets && f->since;
	return sets && !f->since ? fetch_see(s, f->next) : f->next(s);
}

/* --- VANISHED (EARLIER) --- */

static enum imap_run vanished_ask(struct imap_session *s, struct access_from from);

/* UIDs as asked for, whether they are there or not; '*' is the last letter's. */
static void
raw_set(const struct imap_session *s, const struct imap_set *set, struct uidset *ret)
{
	uint32_t star = uidmap_uid(s->view->map, s->view->map->count);
	uint32_t top = s->view->uidnext - 1;
	if (set->saved)
		uidset_add_set(ret, &s->view->saved);
	for (size_t k = 0; k < set->n; k++) {
		uint32_t a = set->r[k].a ? set->r[k].a : star, b = set->r[k].b ? set->r[k].b : star;
		uint32_t first = MAX(MIN(a, b), 1u), last = MIN(MAX(a, b), top);
		if (first <= last)
			uidset_add(ret, first, last);
	}
}

static enum imap_run
vanished_end(struct imap_session *s, bool all)
{
	struct fetch *f = fetch_of(s);
	const struct uidmap *m = s->view->map;
	struct uidset asked = { 0 };
	raw_set(s, &f->set, &asked);
	if (!all)
		uidset_intersect(&asked, &f->gone);
	/* Those the client still sees are told when it may be. */
	for (size_t k = 0; k < m->n && asked.n; k++)
		uidset_remove(&asked, m->r[k].first, m->r[k].last);
	if (asked.n && !asked.failed) {
		buf_putz(s->cmd->out, "* VANISHED (EARLIER) ");
		uidset_text(&asked, s->cmd->out);
		buf_putz(s->cmd->out, "\r\n");
	}
	uidset_done(&asked);
	uidset_clear(&f->gone);
	return seen(s);
}

static enum imap_run
vanished_window(struct imap_session *s, const struct imap_answer *a)
{
	struct fetch *f = fetch_of(s);
	struct wire w = wire_of(a->octets);
	struct access_head head;
	struct access_mailbox box;
	struct access_keywords words;
	struct access_change_row row;
	uint64_t floor;
	if (a->status != ACCESS_OK)
		return imap_refuse(s, a->status, false);
	if (!access_head_get(&w, &head) || !access_mailbox_get(&w, &box) ||
	    !access_keywords_get(&w, &words) || !access_floor_get(&w, &floor))
		return imap_refuse(s, ACCESS_FAILED, false);
	if (f->since < floor)
		return vanished_end(s, true);
	while (w.left) {
		if (!access_change_row_get(&w, &row))
			return imap_refuse(s, ACCESS_FAILED, false);
		if (row.vanished)
			uidset_add(&f->gone, row.first, row.last);
	}
	if (head.more && !f->gone.failed)
		return vanished_ask(s,
		    (struct access_from){ head.next.uid, head.next.n, STR_NULL });
	return vanished_end(s, f->gone.failed);
}

static enum imap_run
vanished_ask(struct imap_session *s, struct access_from from)
{
	s->read = (struct access_ask){
		.kind = ACCESS_CHANGES,
		.fresh = !from.n,
		.mailbox = s->view->mailbox,
		.since = fetch_of(s)->since,
		.from = from,
	};
	return imap_read(s, vanished_window);
}

enum imap_run
fetch_before(struct imap_session *s, enum imap_run (*next)(struct imap_session *))
{
	struct fetch *f = fetch_of(s);
	f->next = next;
	if (f->vanished)
		return vanished_ask(s, (struct access_from){ 0 });
	return seen(s);
}
