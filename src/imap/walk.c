/* walk: letters of the selected mailbox, window by window. */
#include "imap/walk_priv.h"

#include "base/check.h"

#define OPEN_OUTLINE_MAX OUTLINE_MAX
#define MADE_MAX (WALK_MADE_HIGH + OUTLINE_WIDE_MAX)

static enum imap_run window(struct imap_session *s, const struct imap_answer *a);

void
imap_walk_done(struct imap_walk *w)
{
	uidset_done(&w->uids);
	uidset_done(&w->batch);
	buf_done(&w->ask);
	buf_done(&w->hand);
	buf_done(&w->open_outline);
	buf_done(&w->made_octets);
	buf_done(&w->change);
	w->builder = outline_free(w->builder);
}

void
imap_walk_coarsen(const struct uidmap *m, struct uidset *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++) {
		uint32_t last = n ? uidmap_seq(m, s->r[n - 1].last) : 0;
		if (last && uidmap_seq(m, s->r[i].first) == last + 1)
			s->r[n - 1].last = s->r[i].last;
		else
			s->r[n++] = s->r[i];
	}
	s->n = n;
}

enum imap_run
imap_walk_begin(struct imap_session *s, struct uidset *uids)
{
	struct imap_walk *w = imap_walk_of(s);
	check(s->view->map && !w->begun);
	w->uids = *uids;
	*uids = (struct uidset){ 0 };
	imap_walk_coarsen(s->view->map, &w->uids);
	buf_init(&w->ask, ACCESS_RANGES_MAX * 8);
	buf_init(&w->hand, WALK_WHOLE_MAX);
	buf_init(&w->open_outline, OPEN_OUTLINE_MAX);
	buf_init(&w->made_octets, MADE_MAX);
	buf_init(&w->change, ACCESS_CHANGE_MAX);
	w->begun = true;
	w->has_outline = false;
	w->map_i = w->range = w->n_range = 0;
	return imap_walk_go(s);
}

static enum imap_run
finish(struct imap_session *s)
{
	return imap_walk_of(s)->end(s, ACCESS_OK);
}

static enum imap_run
ask(struct imap_session *s, const struct imap_answer *a)
{
	(void)a;
	struct imap_walk *w = imap_walk_of(s);
	s->read = (struct access_ask){
		.kind = ACCESS_LETTERS,
		.fresh = w->range == 0 && w->from.uid == 0,
		.mailbox = s->view->mailbox,
		.since = w->since,
		.what = w->what | ACCESS_META,
		.part = w->part,
		.off = w->off,
		.len = w->len,
		.uids = buf_str(&w->ask),
		.from = w->from,
	};
	return imap_read(s, window);
}

enum imap_run
imap_walk_go(struct imap_session *s)
{
	struct imap_walk *w = imap_walk_of(s);
	if (!w->more) {
		w->range += w->n_range;
		w->n_range = MIN(w->uids.n - w->range, (size_t)ACCESS_RANGES_MAX);
		if (!w->n_range)
			return imap_walk_hand_back(s, finish);
		w->from = (struct access_from){ 0 };
		struct uidset part = { .r = w->uids.r + w->range, .n = w->n_range };
		buf_reset(&w->ask);
		uidset_put(&w->ask, &part);
		w->more = true;
	}
	if (s->cmd->out->len < IMAP_OUT_HIGH)
		return ask(s, NULL);
	s->cmd->resume = ask;
	return RUN_FLUSH;
}

/* The next ask begins behind this letter. */
static void
go_behind(struct imap_walk *w, uint32_t uid)
{
	w->more = uid < w->uids.r[w->range + w->n_range - 1].last;
	w->from = (struct access_from){ .uid = w->more ? uid + 1 : 0 };
	w->open_uid = 0;
}

/* The first range of the map that ends at uid or behind it, from i on. */
static size_t
range_of(const struct uidmap *m, size_t i, uint32_t uid)
{
	size_t high = i < m->n && m->r[i].last >= uid ? i : m->n;
	while (i < high) {
		size_t mid = i + (high - i) / 2;
		if (m->r[mid].last < uid)
			i = mid + 1;
		else
			high = mid;
	}
	return i;
}

/* Rows ascend, so that the place in the map is next to that of the last. 0: not in it. */
static uint32_t
seq_of(struct imap_walk *w, const struct uidmap *m, uint32_t uid)
{
	size_t i = w->map_i;
	if (i >= m->n || (i > 0 && uid <= m->r[i - 1].last))
		i = 0;
	for (unsigned near = 0; near < 4 && i < m->n && m->r[i].last < uid; near++)
		i++;
	i = range_of(m, i, uid);
	w->map_i = i;
	return i < m->n && uid >= m->r[i].first ? m->r[i].before + (uid - m->r[i].first) + 1 : 0;
}

/* Keeps a row whose part comes in more than one window. False: no memory for it. */
static bool
open_keep(struct imap_walk *w, const struct access_letter *row)
{
	if (row->at == 0) {
		buf_reset(&w->hand);
		buf_reset(&w->open_outline);
		buf_puts(&w->open_outline, row->outline);
		w->open_row = *row;
		w->open_row.outline = STR_NULL;
	}
	buf_puts(&w->hand, row->octets);
	return !w->hand.failed && !w->open_outline.failed;
}

/* The outline of a row: its own, or the one made for it. False: there is none. */
static bool
outline_find(struct imap_walk *w, const struct access_letter *row)
{
	w->record = row->outline;
	if (w->record.len && outline_get(w->record, &w->outline))
		return true;
	return imap_walk_made(w, row->uid, &w->record) && w->record.len &&
	       outline_get(w->record, &w->outline);
}

static enum walk_say
give(struct imap_session *s, struct imap_walk *w, const struct access_letter *row, bool last)
{
	struct walk_letter l = { .row = row, .last = last };
	l.seq = seq_of(w, s->view->map, row->uid);
	if (w->has_outline && row->at == 0) {
		l.outline = &w->outline;
		l.record = w->record;
	}
	return w->letter(s, &l);
}

/* A row, or the next octets of one. */
static enum walk_say
row_take(struct imap_session *s, struct imap_walk *w, const struct access_letter *row)
{
	uint64_t end = row->at + row->octets.len;
	bool last = row->damaged || !(w->what & ACCESS_OCTETS) || end >= row->part_len;
	w->open_uid = last ? 0 : row->uid;
	w->open_at = end;
	if (!w->whole || (last && row->at == 0))
		return give(s, w, row, last);
	if (!open_keep(w, row))
		return last ? WALK_ON : WALK_SKIP;
	if (!last)
		return WALK_ON;
	struct access_letter all = w->open_row;
	all.outline = buf_str(&w->open_outline);
	all.octets = buf_str(&w->hand);
	all.damaged = row->damaged;
	w->has_outline = (w->what & ACCESS_OUTLINE) && outline_find(w, &all);
	enum walk_say say = give(s, w, &all, true);
	buf_done(&w->hand);
	return say;
}

/* Rows without an outline from here on, as far as this window goes: they make a batch. */
static bool
batch_collect(struct imap_walk *w, struct access_letter row, struct wire rows)
{
	uidset_clear(&w->batch);
	w->more = true;
	w->from = (struct access_from){ .uid = row.uid };
	for (unsigned n = 0; n < WALK_BATCH; n++) {
		if (!row.outline.len && row.at == 0)
			uidset_add(&w->batch, row.uid, row.uid);
		if (!rows.left || !access_letter_get(&rows, &row))
			break;
	}
	return !w->batch.failed;
}

/* Does the row need an outline that is still to be made? */
static bool
outline_missing(struct imap_walk *w, const struct access_letter *row)
{
	struct str made;
	if (row->at || !(w->what & ACCESS_OUTLINE))
		return false;
	w->has_outline = outline_find(w, row);
	return w->outlines && !w->has_outline && !row->damaged &&
	       !imap_walk_made(w, row->uid, &made);
}

enum window_way {
	WINDOW_NEXT,
	WINDOW_GO,
	WINDOW_HELD,
	WINDOW_STOP,
	WINDOW_MAKE,
	WINDOW_LOST,
	WINDOW_BAD
};

static enum window_way
window_row(struct imap_session *s, struct imap_walk *w, const struct access_letter *row,
    struct wire rest)
{
	bool goes_on = w->open_uid && w->open_uid == row->uid && row->at == w->open_at;
	if (!goes_on && w->open_uid) {
		w->open_uid = 0;
		if (w->lost && !w->whole)
			return WINDOW_LOST;
	}
	/* What the client was not told of, and ends of what was lost, are passed over. */
	if (!goes_on && (row->at || !seq_of(w, s->view->map, row->uid)))
		return WINDOW_NEXT;
	if (outline_missing(w, row))
		return batch_collect(w, *row, rest) ? WINDOW_MAKE : WINDOW_BAD;
	uint32_t uid = row->uid;
	enum walk_say say = row_take(s, w, row);
	if (say == WALK_STOP)
		return WINDOW_STOP;
	if (say == WALK_HOLD || (say == WALK_SKIP && w->open_uid)) {
		go_behind(w, uid);
		return say == WALK_HOLD ? WINDOW_HELD : WINDOW_GO;
	}
	if (!w->open_uid && rest.left && s->cmd->out->len > WALK_OUT_HARD) {
		go_behind(w, uid);
		return WINDOW_GO;
	}
	return WINDOW_NEXT;
}

static enum window_way
window_rows(struct imap_session *s, struct imap_walk *w, struct str octets)
{
	struct wire rows = wire_of(octets);
	struct access_head head;
	struct access_letter row;
	if (!access_head_get(&rows, &head))
		return WINDOW_BAD;
	w->more = head.more;
	w->from = head.next;
	w->from.name = STR_NULL;
	while (rows.left) {
		if (!access_letter_get(&rows, &row))
			return WINDOW_BAD;
		enum window_way way = window_row(s, w, &row, rows);
		if (way != WINDOW_NEXT)
			return way;
	}
	if (w->open_uid && !w->more) {
		w->open_uid = 0;
		if (w->lost && !w->whole)
			return WINDOW_LOST;
	}
	return WINDOW_GO;
}

static enum imap_run
window(struct imap_session *s, const struct imap_answer *a)
{
	struct imap_walk *w = imap_walk_of(s);
	if (a->status != ACCESS_OK)
		return w->end(s, a->status);
	switch (window_rows(s, w, a->octets)) {
	case WINDOW_NEXT:
	case WINDOW_GO:
		return imap_walk_go(s);
	case WINDOW_HELD:
		return w->held(s);
	case WINDOW_MAKE:
		return imap_walk_make(s);
	case WINDOW_LOST:
		return w->lost(s);
	case WINDOW_STOP:
		return imap_walk_hand_back(s, finish);
	case WINDOW_BAD:
		break;
	}
	return w->end(s, ACCESS_FAILED);
}
