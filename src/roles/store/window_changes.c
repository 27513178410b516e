/*
 * What changed in a mailbox behind a modseq: letters that are new or have other flags, and UIDs
 * that vanished, in order of (modseq, UID). A window goes on with the first row that is not told.
 */
#include "roles/store/window.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>
#include <stdlib.h>

#define GONE_MAX 20000 /* ranges; the store keeps fewer */

struct gone {
	uint64_t modseq;
	uint32_t first, last;
};

struct telling {
	struct window *w;
	struct gone *gone;
	size_t n_gone, cap_gone, at;
	bool full;
};

/* Is (modseq, uid) told already? */
static bool
is_told(const struct telling *t, uint64_t modseq, uint32_t uid)
{
	const struct access_ask *a = t->w->ask;
	return modseq <= a->since || modseq < a->from.n ||
	       (modseq == a->from.n && uid < a->from.uid);
}

static void
keep_gone(struct telling *t, struct gone g)
{
	if (g.first == 0 || g.last < g.first || is_told(t, g.modseq, g.first) ||
	    t->n_gone == GONE_MAX)
		return;
	if (t->n_gone == t->cap_gone) {
		t->cap_gone = t->cap_gone ? 2 * t->cap_gone : 64;
		t->gone = xrealloc(t->gone, t->cap_gone * sizeof(*t->gone));
	}
	t->gone[t->n_gone++] = g;
}

/* "V|modseq8" -> pairs of UIDs. */
static bool
take_gone(void *arg, struct str key, struct str value)
{
	struct telling *t = arg;
	struct wire w = wire_of(value);
	if (key.len != 10)
		return true;
	struct gone g = { .modseq = be64_get((const unsigned char *)key.p + 2) };
	while (w.left >= 8) {
		g.first = get_u32(&w);
		g.last = get_u32(&w);
		keep_gone(t, g);
	}
	return true;
}

static int
read_gone(struct telling *t, struct store_snap *sn, uint64_t behind)
{
	unsigned char from[10] = "V|";
	if (behind == UINT64_MAX)
		return 0;
	be64_put(from + 2, behind + 1);
	return store_scan(sn, str_n(from, sizeof(from)), STR("V}"), 0, false, take_gone, t);
}

static bool
put_row(struct telling *t, const struct access_change_row *row, uint32_t uid)
{
	struct window *w = t->w;
	size_t mark = w->out.len;
	access_change_row_put(&w->out, row);
	if (window_undo(w, mark)) {
		window_more(w, uid, row->modseq);
		t->full = true;
	}
	return !t->full;
}

/* Those that vanished in front of (modseq, uid). */
static bool
put_gone(struct telling *t, uint64_t modseq, uint32_t uid)
{
	for (; t->at < t->n_gone; t->at++) {
		const struct gone *g = &t->gone[t->at];
		if (g->modseq > modseq || (g->modseq == modseq && g->first > uid))
			return true;
		const struct access_change_row row = {
			.modseq = g->modseq, .vanished = true, .first = g->first, .last = g->last
		};
		if (!put_row(t, &row, g->first))
			return false;
	}
	return true;
}

static bool
take_letter(void *arg, const struct mail_meta *m)
{
	struct telling *t = arg;
	if (is_told(t, m->modseq, m->uid))
		return true;
	if (!put_gone(t, m->modseq, m->uid))
		return false;
	const struct access_change_row row = {
		.modseq = m->modseq,
		.letter = { .uid = m->uid,
		    .modseq = m->modseq,
		    .time_ms = m->time_ms,
		    .saved_ms = m->saved_ms,
		    .size = m->size,
		    .flags = m->flags,
		    .letter = m->letter },
	};
	return put_row(t, &row, m->uid);
}

static int
tell(struct telling *t, struct store_snap *sn)
{
	struct window *w = t->w;
	struct mailbox_head h;
	int rc = window_head(w, sn, &h);
	if (rc < 0)
		return rc;
	/* A window that goes on looks behind what was told, not behind since. */
	uint64_t behind = MAX(w->ask->since, w->ask->from.n ? w->ask->from.n - 1 : 0);
	window_put_mailbox(w, &h, STR_NULL, 0, 0);
	rc = window_put_keywords(w, sn);
	access_floor_put(&w->out, h.floor);
	if (rc == 0)
		rc = read_gone(t, sn, behind);
	if (rc == 0)
		rc = mail_each_change(sn, behind, take_letter, t);
	if (rc == 0 && !t->full)
		(void)put_gone(t, UINT64_MAX, UINT32_MAX);
	return rc;
}

int
window_changes(struct window *w)
{
	struct telling t = { .w = w };
	struct store_snap *sn;
	int rc = window_snap(w, &sn);
	if (rc < 0)
		return rc;
	rc = tell(&t, sn);
	store_snap_close(sn);
	free(t.gone);
	return rc;
}
