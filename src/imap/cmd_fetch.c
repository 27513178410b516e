/* FETCH and UID FETCH (RFC 9051 6.4.5). */
#include "imap/fetch_priv.h"

#include "base/check.h"

static void
drop(struct imap_session *s)
{
	struct fetch *f = fetch_of(s);
	imap_walk_done(&f->walk);
	uidset_done(&f->wanted);
	uidset_done(&f->changed);
	uidset_done(&f->gone);
	buf_done(&f->octets);
	buf_done(&f->record);
	buf_done(&f->gather);
}

/* --- the letters --- */

static enum walk_say
index_letter(struct imap_session *s, const struct walk_letter *l)
{
	fetch_begin(s, fetch_of(s), l);
	fetch_close(s);
	return s->cmd->out->failed ? WALK_STOP : WALK_ON;
}

/* One range per letter, from the window to the peer. */
static enum walk_say
stream_letter(struct imap_session *s, const struct walk_letter *l)
{
	struct fetch *f = fetch_of(s);
	const struct fetch_item *i = &f->items[f->n_index];
	if (l->row->at == 0) {
		fetch_begin(s, f, l);
		if (!l->row->damaged) {
			fetch_literal_head(s->cmd->out, i, false, l->row->part_len);
		} else {
			f->job.item = i;
			fetch_job_nil(s, f);
			fetch_damaged(f, l->row->uid);
		}
	} else if (l->row->damaged) {
		f->cut_off = true;
		return WALK_HOLD;
	}
	fetch_octets_put(s->cmd->out, l->row->octets, false);
	if (l->last)
		fetch_close(s);
	return s->cmd->out->failed ? WALK_STOP : WALK_ON;
}

/* The first octets of each letter are at hand. */
static enum walk_say
hand_letter(struct imap_session *s, const struct walk_letter *l)
{
	struct fetch *f = fetch_of(s);
	fetch_begin(s, f, l);
	f->letter = *l;
	f->at_item = f->n_index;
	if (!fetch_items(s, f, l->row->octets)) {
		fetch_hold(f, l);
		return WALK_HOLD;
	}
	fetch_close(s);
	return s->cmd->out->failed ? WALK_STOP : WALK_ON;
}

static enum imap_run
held(struct imap_session *s)
{
	return fetch_of(s)->cut_off ? fetch_lost(s) : fetch_held(s);
}

/* --- the end --- */

static enum imap_run
said(struct imap_session *s, const struct imap_answer *a)
{
	(void)a;
	return imap_ok(s, NULL, NULL);
}

/* The flags that FETCH itself has changed were told with their letters, but for those of a later
 * change. */
static enum imap_run
tell(struct imap_session *s)
{
	struct fetch *f = fetch_of(s);
	if (!f->changed.n)
		return imap_ok(s, NULL, NULL);
	const struct imap_sync how = {
		.no_expunge = !f->uid,
		.silent = f->see_later ? NULL : &f->changed,
		.silent_modseq = f->changed_modseq,
	};
	return imap_view_sync(s, &how, said);
}

static enum imap_run
end(struct imap_session *s, enum access_status status)
{
	struct fetch *f = fetch_of(s);
	if (s->cmd->out->failed)
		return fetch_lost(s);
	if (status != ACCESS_OK)
		return imap_refuse(s, status, false);
	if (f->damaged)
		return imap_no(s, "SERVERBUG", "the letter with UID %u cannot be read%s",
		    f->damaged_uid, f->damaged > 1 ? ", nor can others" : "");
	if (f->unknown_cte)
		return imap_no(s, "UNKNOWN-CTE", "a part cannot be decoded");
	return f->see_later && f->wanted.n ? fetch_see(s, tell) : tell(s);
}

/* --- the plan --- */

static bool
streams(const struct fetch *f)
{
	const struct fetch_item *i = &f->items[f->n_index];
	return f->n_items == f->n_index + 1 && i->form == FETCH_BODY && !i->n_path &&
	       i->section <= FETCH_TEXT;
}

static bool
headers_only(const struct fetch *f)
{
	for (size_t k = f->n_index; k < f->n_items; k++) {
		const struct fetch_item *i = &f->items[k];
		if (i->n_path || (i->section != FETCH_HEADER && i->section != FETCH_FIELDS &&
				     i->section != FETCH_FIELDS_NOT))
			return false;
	}
	return true;
}

static const uint8_t parts[] = {
	[FETCH_ALL] = ACCESS_PART_ALL,
	[FETCH_HEADER] = ACCESS_PART_HEADER,
	[FETCH_TEXT] = ACCESS_PART_TEXT,
};

static void
plan(struct fetch *f)
{
	struct imap_walk *w = &f->walk;
	w->what = ACCESS_META;
	w->since = f->since;
	w->held = held;
	w->lost = fetch_lost;
	w->end = end;
	w->letter = index_letter;
	for (size_t k = 0; k < f->n_items; k++)
		if (f->items[k].outline) {
			w->what |= ACCESS_OUTLINE;
			w->outlines = w->outlines || !f->items[k].lazy;
		}
	if (f->n_index == f->n_items)
		return;
	w->letter = hand_letter;
	w->whole = true;
	w->part = ACCESS_PART_ALL;
	w->len = FETCH_FIRST;
	if (streams(f)) {
		const struct fetch_item *i = &f->items[f->n_index];
		w->letter = stream_letter;
		w->whole = false;
		w->part = parts[i->section];
		w->off = i->off;
		w->len = i->len;
	} else if (headers_only(f)) {
		w->part = ACCESS_PART_HEADER;
		w->len = WALK_WHOLE_MAX;
	} else if (uidset_count(&f->wanted) <= FETCH_FEW) {
		return;
	}
	w->what |= ACCESS_OCTETS;
}

static enum imap_run
letters(struct imap_session *s)
{
	struct fetch *f = fetch_of(s);
	plan(f);
	return imap_walk_begin(s, &f->wanted);
}

static enum imap_run
mapped(struct imap_session *s, const struct imap_answer *a)
{
	(void)a;
	struct fetch *f = fetch_of(s);
	if (!imap_walk_set(s, &f->set, f->uid, &f->wanted))
		return imap_bad(s, "a message with this number does not exist");
	if (f->wanted.failed)
		return imap_no(s, "LIMIT", "too many ranges of messages");
	return fetch_before(s, letters);
}

static enum imap_run
begin(struct imap_session *s, bool uid)
{
	struct fetch *f = arena_alloc(&s->cmd->arena, sizeof(*f));
	if (!f)
		return imap_no(s, "LIMIT", "out of memory");
	s->cmd->data = f;
	s->cmd->drop = drop;
	f->uid = uid;
	buf_init(&f->octets, ACCESS_RANGES_MAX * 8);
	if (!fetch_parse(s, f))
		return imap_bad(s, "%s", s->cmd->lex.why);
	if (f->modseq)
		imap_walk_condstore(s);
	return imap_view_map(s, mapped);
}

enum imap_run
imap_cmd_fetch(struct imap_session *s)
{
	return begin(s, false);
}

enum imap_run
imap_cmd_uid_fetch(struct imap_session *s)
{
	return begin(s, true);
}
