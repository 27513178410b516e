/*
 * What has changed in the selected mailbox is told (RFC 9051 7.5.1, RFC 7162).
 *
 * What a client sees is defined by two numbers of its view: all letters there now with a UID below
 * uidnext, and those below uidnext that vanished behind modseq. Whatever happens meanwhile this is
 * the same set, so it can be asked for late. First all windows of CHANGES are read and the UIDs
 * collected, for a letter that came early may stand in a late window; then it is told who went and
 * how many there are; then the flags. While EXPUNGE must not be said modseq stays in front of the
 * first letter that vanished, and `told` remembers how far the flags were told.
 */
#include "imap/imap_priv.h"

#include <stdlib.h>

#define ROWS_MAX 4096     /* changed letters that are kept; of more, CHANGES is asked twice */
#define VANISHED_LINE 500 /* ranges in one VANISHED */

struct changed {
	uint32_t uid;
	uint64_t modseq, flags;
};

struct imap_syncing {
	struct imap_sync how;
	enum imap_run (*next)(struct imap_session *, const struct imap_answer *);
	uint64_t since, upto;
	uint64_t first_gone;       /* modseq of the first that vanished; 0: none */
	uint32_t uidnext;          /* as it will be */
	bool keywords;             /* are to be told */
	bool lost;                 /* not all that vanished is known */
	struct uidset gone, fresh; /* of those seen; of the others */
	struct uidset telling;     /* of gone: not told yet */
	struct changed *row;
	size_t n_row, at_row;
	bool many; /* more than fit in row */
};

void
imap_sync_free(struct imap_command *c)
{
	struct imap_syncing *y = c->sync;
	if (!y)
		return;
	uidset_done(&y->gone);
	uidset_done(&y->fresh);
	uidset_done(&y->telling);
	free(y->row);
	free(y);
	c->sync = NULL;
}

static enum imap_run
done(struct imap_session *s)
{
	struct imap_syncing *y = s->cmd->sync;
	enum imap_run (*next)(struct imap_session *, const struct imap_answer *) = y->next;
	imap_sync_free(s->cmd);
	return next(s, NULL);
}

/* The mailbox is not there any more: its own session may have deleted it (RFC 2180 3.3). */
static enum imap_run
mailbox_is_gone(struct imap_session *s)
{
	const struct imap_row *row = s->cmd->row;
	if (!row || !str_eq(str_of(row->name), STR("DELETE")))
		return imap_bye(s, s->cmd->out, NULL, "the selected mailbox was deleted");
	imap_view_close(s);
	buf_putz(s->cmd->out, "* OK [CLOSED] the selected mailbox was deleted\r\n");
	return done(s);
}

/* What could not be read now is told another time. */
static enum imap_run
failed(struct imap_session *s, enum access_status status)
{
	if (status == ACCESS_NOT_FOUND || status == ACCESS_CANNOT || status == ACCESS_DENIED)
		return mailbox_is_gone(s);
	/* In IDLE it would be asked again at once, and for ever. */
	if (s->idling)
		s->view->missed = true;
	else
		s->view->stirred = true;
	return done(s);
}

static bool
is_held(const struct imap_syncing *y)
{
	return y->how.no_expunge && y->first_gone;
}

static bool
has_modseq(const struct imap_session *s)
{
	return s->enabled & (IMAP_CONDSTORE | IMAP_QRESYNC);
}

/* --- at last: flags --- */

static void
put_changed(struct imap_session *s, const struct changed *r)
{
	struct buf *out = s->cmd->out;
	const struct imap_sync *how = &s->cmd->sync->how;
	const struct imap_row *row = s->cmd->row;
	uint32_t seq = uidmap_seq(s->view->map, r->uid);
	bool silent =
	    how->silent && r->modseq == how->silent_modseq && uidset_has(how->silent, r->uid);
	bool uid = has_modseq(s) || (s->enabled & IMAP_REV2) ||
	           (row && str_starts(str_of(row->name), STR("UID ")));
	if (seq == 0 || (silent && !has_modseq(s)))
		return;
	buf_putf(out, "* %u FETCH (", seq);
	if (uid)
		buf_putf(out, "UID %u", r->uid);
	if (!silent) {
		buf_putz(out, uid ? " FLAGS " : "FLAGS ");
		imap_put_flags(s, out, r->flags);
	}
	if (has_modseq(s))
		buf_putf(out, " MODSEQ (%llu)", (unsigned long long)r->modseq);
	buf_putz(out, ")\r\n");
}

static enum imap_run
settled(struct imap_session *s)
{
	s->view->told = s->cmd->sync->upto;
	s->view->stirred = is_held(s->cmd->sync);
	return done(s);
}

static bool
is_told(const struct imap_session *s, const struct access_change_row *r)
{
	return r->vanished || r->modseq <= s->view->told;
}

static enum imap_run again(struct imap_session *s, const struct imap_answer *a);

static enum imap_run
ask_again(struct imap_session *s, const struct imap_answer *a)
{
	return imap_read(s, again);
}

/* The window's head; false: it cannot be read. */
static bool
window(const struct imap_answer *a, struct wire *w, struct access_head *head,
    struct access_mailbox *box, struct access_keywords *words, uint64_t *floor)
{
	return imap_answer_get(a, w, head) && access_mailbox_get(w, box) &&
	       access_keywords_get(w, words) && access_floor_get(w, floor);
}

/* The second pass. What happened since the first is told the next time. */
static enum imap_run
again(struct imap_session *s, const struct imap_answer *a)
{
	struct wire w;
	struct access_head head;
	struct access_mailbox box;
	struct access_keywords words;
	struct access_change_row row;
	uint64_t floor;
	if (!window(a, &w, &head, &box, &words, &floor))
		return failed(s, imap_answer_status(a));
	while (w.left && access_change_row_get(&w, &row)) {
		struct changed c = { row.letter.uid, row.modseq, row.letter.flags };
		if (!is_told(s, &row) && row.modseq <= s->cmd->sync->upto &&
		    !uidset_has(&s->cmd->sync->fresh, c.uid))
			put_changed(s, &c);
	}
	if (w.bad)
		return failed(s, ACCESS_FAILED);
	if (!head.more)
		return settled(s);
	s->read.fresh = false;
	s->read.from = (struct access_from){ .uid = head.next.uid, .n = head.next.n };
	if (!imap_is_full(s))
		return imap_read(s, again);
	s->cmd->resume = ask_again;
	return RUN_FLUSH;
}

static enum imap_run
tell_flags(struct imap_session *s, const struct imap_answer *a)
{
	struct imap_syncing *y = s->cmd->sync;
	if (y->many) {
		s->read = (struct access_ask){
			.kind = ACCESS_CHANGES, .mailbox = s->view->mailbox, .since = y->since
		};
		return imap_read(s, again);
	}
	while (y->at_row < y->n_row) {
		put_changed(s, &y->row[y->at_row++]);
		if (imap_is_full(s)) {
			s->cmd->resume = tell_flags;
			return RUN_FLUSH;
		}
	}
	return settled(s);
}

/* --- before that: who went, and how many there are --- */

void
imap_put_vanished(struct buf *out, const struct uidset *set, bool earlier)
{
	for (size_t i = 0; i < set->n; i += VANISHED_LINE) {
		const struct uidset some = { .r = set->r + i,
			.n = MIN(set->n - i, (size_t)VANISHED_LINE) };
		buf_putz(out, earlier ? "* VANISHED (EARLIER) " : "* VANISHED ");
		uidset_text(&some, out);
		buf_putz(out, "\r\n");
	}
}

/* The view becomes that of another moment; false: it cannot. */
static bool
move_on(struct imap_session *s)
{
	struct imap_view *v = s->view;
	struct imap_syncing *y = s->cmd->sync;
	struct uidmap_state old = imap_view_state(s);
	const struct uidset *gone = is_held(y) ? NULL : &y->gone;
	struct uidmap *m = NULL;
	bool mapped = v->map;
	if (v->map) {
		m = (gone && gone->n) || y->fresh.n ? uidmap_next(v->map, gone, &y->fresh)
		                                    : uidmap_ref(v->map);
		uidmaps_unshare(s->maps, &old, v->map);
		v->map = NULL;
	}
	if (gone && gone->n && v->saved.n)
		uidset_remove_set(&v->saved, gone);
	v->exists = v->exists + (uint32_t)uidset_count(&y->fresh) -
	            (uint32_t)(gone ? uidset_count(gone) : 0);
	v->modseq = is_held(y) ? y->first_gone - 1 : y->upto;
	v->uidnext = y->uidnext;
	struct uidmap_state now = imap_view_state(s);
	if (m)
		v->map = uidmaps_share(s->maps, &now, m);
	return !mapped || (v->map && v->map->count == v->exists);
}

static enum imap_run
tell_count(struct imap_session *s)
{
	struct imap_syncing *y = s->cmd->sync;
	struct buf *out = s->cmd->out;
	if (!move_on(s))
		return imap_bye(s, out, "UNAVAILABLE",
		    "the mailbox is not what it was; connect again");
	if (y->fresh.n)
		buf_putf(out, "* %u EXISTS\r\n", s->view->exists);
	return tell_flags(s, NULL);
}

/* From the last to the first, so that no number changes before it is said. */
static enum imap_run
tell_expunged(struct imap_session *s, const struct imap_answer *a)
{
	struct uidset *left = &s->cmd->sync->telling;
	while (left->n) {
		uint32_t uid = left->r[left->n - 1].last;
		uint32_t seq = uidmap_seq(s->view->map, uid);
		uidset_remove(left, uid, uid);
		check(seq);
		buf_putf(s->cmd->out, "* %u EXPUNGE\r\n", seq);
		if (imap_is_full(s)) {
			s->cmd->resume = tell_expunged;
			return RUN_FLUSH;
		}
	}
	return tell_count(s);
}

static void
put_keywords(struct imap_session *s)
{
	struct buf *out = s->cmd->out;
	buf_putz(out, "* FLAGS ");
	imap_put_known_flags(s, out, false);
	buf_putz(out, "\r\n");
	if (s->view->read_only)
		return;
	buf_putz(out, "* OK [PERMANENTFLAGS ");
	imap_put_known_flags(s, out, true);
	buf_putz(out, "] flags permitted\r\n");
}

static enum imap_run
tell(struct imap_session *s, const struct imap_answer *a)
{
	struct imap_syncing *y = s->cmd->sync;
	if (y->keywords)
		put_keywords(s);
	if (s->view->map) {
		struct uidset seen = { 0 };
		uidmap_within(s->view->map, &y->gone, &seen);
		uidset_done(&y->gone);
		y->gone = seen;
	}
	if (is_held(y) || y->gone.n == 0)
		return tell_count(s);
	if (s->enabled & IMAP_QRESYNC) {
		imap_put_vanished(s->cmd->out, &y->gone, false);
		return tell_count(s);
	}
	uidset_copy(&y->telling, &y->gone);
	return tell_expunged(s, NULL);
}

/* --- first: what there is to tell --- */

static void
collect_vanished(struct imap_session *s, const struct access_change_row *r)
{
	struct imap_syncing *y = s->cmd->sync;
	uint32_t uidnext = s->view->uidnext;
	if (r->modseq <= s->view->modseq)
		return;
	if (y->first_gone == 0 || r->modseq < y->first_gone)
		y->first_gone = r->modseq;
	if (r->first < uidnext)
		uidset_add(&y->gone, r->first, MIN(r->last, uidnext - 1));
	if (r->last < uidnext)
		return;
	/* Never seen: it goes without a word, or is counted now and goes later. */
	if (y->how.no_expunge)
		uidset_add(&y->fresh, MAX(r->first, uidnext), r->last);
	else
		uidset_remove(&y->fresh, MAX(r->first, uidnext), r->last);
}

static void
collect(struct imap_session *s, const struct access_change_row *r)
{
	struct imap_syncing *y = s->cmd->sync;
	if (r->vanished) {
		collect_vanished(s, r);
		return;
	}
	if (r->letter.uid >= s->view->uidnext) {
		uidset_add(&y->fresh, r->letter.uid, r->letter.uid);
		return;
	}
	if (is_told(s, r) || y->many)
		return;
	if (!y->row)
		y->row = xalloc(ROWS_MAX * sizeof(*y->row));
	y->many = y->n_row == ROWS_MAX;
	if (!y->many)
		y->row[y->n_row++] = (struct changed){ r->letter.uid, r->modseq, r->letter.flags };
}

static enum imap_run
collected(struct imap_session *s)
{
	struct imap_syncing *y = s->cmd->sync;
	if (y->lost || y->gone.failed || y->fresh.failed)
		return imap_bye(s, s->cmd->out, "UNAVAILABLE",
		    "too much has changed in the mailbox; connect again");
	if ((y->gone.n && !is_held(y)) || y->n_row || y->many)
		return imap_view_map(s, tell);
	return tell(s, NULL);
}

static enum imap_run
first_pass(struct imap_session *s, const struct imap_answer *a)
{
	struct imap_syncing *y = s->cmd->sync;
	struct wire w;
	struct access_head head;
	struct access_mailbox box;
	struct access_keywords words;
	struct access_change_row row;
	uint64_t floor;
	if (!window(a, &w, &head, &box, &words, &floor))
		return failed(s, imap_answer_status(a));
	while (w.left && access_change_row_get(&w, &row))
		collect(s, &row);
	if (w.bad)
		return failed(s, ACCESS_FAILED);
	y->lost = y->lost || floor > s->view->modseq;
	y->upto = MAX(y->upto, head.modseq);
	y->uidnext = MAX(y->uidnext, box.uidnext);
	y->keywords = imap_view_keywords(s, &words) || y->keywords;
	if (!head.more)
		return collected(s);
	s->read.fresh = false;
	s->read.from = (struct access_from){ .uid = head.next.uid, .n = head.next.n };
	return imap_read(s, first_pass);
}

enum imap_run
imap_view_sync(struct imap_session *s, const struct imap_sync *how,
    enum imap_run (*next)(struct imap_session *, const struct imap_answer *))
{
	struct imap_view *v = s->view;
	check(s->state == IMAP_SELECTED && v && !s->cmd->sync);
	struct imap_syncing *y = s->cmd->sync = xalloc(sizeof(*y));
	*y = (struct imap_syncing){ .how = *how,
		.next = next,
		.since = MIN(v->modseq, v->told),
		.uidnext = v->uidnext,
		.upto = MAX(v->modseq, v->told) };
	s->cmd->synced = true;
	v->stirred = v->missed = false;
	s->read = (struct access_ask){
		.kind = ACCESS_CHANGES, .fresh = true, .mailbox = v->mailbox, .since = y->since
	};
	return imap_read(s, first_pass);
}
