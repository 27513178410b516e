/* The UIDs of a view: those that are there, and those that went since. */
#include "roles/store/window.h"

#include "base/check.h"

#include <errno.h>

#define RANGES_MAX 30000 /* of letters that are there, in one window */
_Static_assert((RANGES_MAX + 1024) * 8 < ACCESS_WINDOW, "they fit");

struct finding {
	struct uidset set;
	uint32_t from, below; /* UIDs that are asked for */
	size_t ranges;
	uint32_t last; /* looked at */
	bool full;
};

static bool
find(void *arg, struct str key, struct str value)
{
	struct finding *f = arg;
	if (key.len != 6)
		return true;
	uint32_t uid = be32_get((const unsigned char *)key.p + 2);
	if (uid != f->last + 1 && f->ranges++ == RANGES_MAX) {
		f->full = true;
		return false;
	}
	uidset_add(&f->set, uid, uid);
	f->last = uid;
	return !f->set.failed;
}

/* Only those in front of where this window ends. */
static bool
find_gone(void *arg, uint32_t first, uint32_t last)
{
	struct finding *f = arg;
	first = MAX(first, f->from);
	last = MIN(last, f->below - 1);
	if (first <= last)
		uidset_add(&f->set, first, last);
	return !f->set.failed;
}

static int
find_all(struct window *w, struct store_snap *sn, struct finding *f)
{
	char from[6] = "R|", to[6] = "R|";
	struct mailbox_head h;
	int rc = window_head(w, sn, &h);
	be32_put((unsigned char *)from + 2, f->from);
	be32_put((unsigned char *)to + 2, f->below);
	if (rc == 0 && f->from < f->below)
		rc = store_scan(sn, str_n(from, 6), str_n(to, 6), 0, false, find, f);
	if (rc < 0)
		return rc;
	if (f->full) {
		f->below = f->last + 1;
		window_more(w, f->below, 0);
	}
	/* What vanished up to the floor is not known any more. */
	return mail_each_vanished(sn, MAX(w->ask->since, h.floor), find_gone, f);
}

/* What fits; the rest is for the next window. */
static void
put(struct window *w, struct uidset *set)
{
	size_t n = MIN(set->n, (w->out.max - w->out.len) / 8);
	if (n < set->n)
		window_more(w, set->r[n].first, 0);
	const struct uidset some = { .r = set->r, .n = n };
	uidset_put(&w->out, &some);
}

int
window_uids(struct window *w)
{
	struct finding f = { .from = MAX(w->ask->from.uid, 1u), .below = w->ask->uidnext };
	struct store_snap *sn;
	int rc = window_snap(w, &sn);
	if (rc < 0)
		return rc;
	f.last = f.from - 1;
	if (f.below > 0)
		rc = find_all(w, sn, &f);
	store_snap_close(sn);
	if (rc == 0 && f.set.failed)
		rc = -E2BIG;
	if (rc == 0)
		put(w, &f.set);
	uidset_done(&f.set);
	return rc;
}
