/* walk_outline: outlines for letters that have none stored, sets, and what walks have in common. */
#include "imap/walk_priv.h"

#include "base/check.h"

static enum imap_run read_batch(struct imap_session *s);

bool
imap_walk_made(struct imap_walk *w, uint32_t uid, struct str *ret)
{
	unsigned i = w->made_i;
	if (i >= w->n_made || w->made[i].uid > uid)
		i = 0;
	while (i < w->n_made && w->made[i].uid < uid)
		i++;
	w->made_i = i;
	if (i == w->n_made || w->made[i].uid != uid)
		return false;
	*ret = str_n(w->made_octets.p + w->made[i].off, w->made[i].len);
	return true;
}

static enum imap_run
handed_back(struct imap_session *s, const struct imap_answer *a)
{
	/* It was a favour: whether it was taken does not matter. */
	(void)a;
	struct imap_walk *w = imap_walk_of(s);
	w->n_made = w->made_i = 0;
	buf_reset(&w->made_octets);
	return w->handed(s);
}

enum imap_run
imap_walk_hand_back(struct imap_session *s, enum imap_run (*next)(struct imap_session *s))
{
	struct imap_walk *w = imap_walk_of(s);
	uint16_t n = 0;
	w->handed = next;
	buf_reset(&w->change);
	for (unsigned i = 0; i < w->n_made; i++) {
		struct access_new l = { .id = w->made[i].uid };
		l.outline = str_n(w->made_octets.p + w->made[i].off, w->made[i].len);
		if (!l.outline.len || l.outline.len > OUTLINE_MAX)
			continue;
		access_new_put(&w->change, &l);
		n++;
	}
	if (!n || w->change.failed) {
		w->n_made = w->made_i = 0;
		buf_reset(&w->made_octets);
		return next(s);
	}
	s->change = (struct access_change){
		.kind = ACCESS_OUTLINES,
		.mailbox = s->view->mailbox,
		.unchanged_since = UINT64_MAX,
		.n_letters = n,
		.letters = buf_str(&w->change),
	};
	return imap_change(s, handed_back);
}

static void
made_add(struct imap_walk *w, uint32_t uid, size_t off)
{
	if (w->n_made == WALK_BATCH)
		return;
	w->made[w->n_made++] = (struct walk_made){
		.uid = uid,
		.off = off,
		.len = (uint32_t)(w->made_octets.len - off),
	};
}

/* The letter in the builder has ended, whole or not. */
static void
build_end(struct imap_walk *w, bool whole)
{
	if (!w->build_uid)
		return;
	size_t off = w->made_octets.len;
	if (whole && w->builder)
		(void)outline_end(w->builder, STR_NULL, &w->made_octets);
	w->builder = outline_free(w->builder);
	if (w->made_octets.failed) {
		w->made_octets.failed = false;
		buf_trunc(&w->made_octets, off);
	}
	made_add(w, w->build_uid, off);
	uidset_remove(&w->batch, 1, w->build_uid);
	w->build_uid = 0;
}

static void
build_feed(struct imap_session *s, struct imap_walk *w, const struct access_letter *row)
{
	if (w->build_uid && (row->uid != w->build_uid || row->at != w->build_at))
		build_end(w, false);
	if (!w->build_uid) {
		if (row->at || !uidset_has(&w->batch, row->uid))
			return;
		w->build_uid = row->uid;
		w->build_at = 0;
		w->builder = row->damaged ? NULL : outline_new_wide(s->conf->charsets);
	}
	if (w->builder)
		outline_feed(w->builder, row->octets);
	w->build_at = row->at + row->octets.len;
	if (row->damaged || w->build_at >= row->part_len)
		build_end(w, !row->damaged);
}

/* Letters of the batch that did not come have no outline; then the walk goes on. */
static enum imap_run
batch_end(struct imap_session *s)
{
	struct imap_walk *w = imap_walk_of(s);
	build_end(w, false);
	if (w->made_octets.len < WALK_MADE_HIGH && w->batch.n) {
		for (size_t i = 0; i < w->batch.n; i++)
			for (uint32_t uid = w->batch.r[i].first;; uid++) {
				made_add(w, uid, w->made_octets.len);
				if (uid == w->batch.r[i].last)
					break;
			}
	}
	uidset_clear(&w->batch);
	w->made_i = 0;
	return imap_walk_go(s);
}

static enum imap_run
batch_window(struct imap_session *s, const struct imap_answer *a)
{
	struct imap_walk *w = imap_walk_of(s);
	struct wire rows = wire_of(a->octets);
	struct access_head head;
	struct access_letter row;
	if (a->status != ACCESS_OK || !access_head_get(&rows, &head))
		return w->end(s, a->status != ACCESS_OK ? a->status : ACCESS_FAILED);
	while (rows.left && w->made_octets.len < WALK_MADE_HIGH) {
		if (!access_letter_get(&rows, &row))
			return w->end(s, ACCESS_FAILED);
		build_feed(s, w, &row);
	}
	if (!head.more || w->made_octets.len >= WALK_MADE_HIGH)
		return batch_end(s);
	s->read.from = (struct access_from){ .uid = head.next.uid, .n = head.next.n };
	s->read.fresh = false;
	return imap_read(s, batch_window);
}

static enum imap_run
read_batch(struct imap_session *s)
{
	struct imap_walk *w = imap_walk_of(s);
	w->build_uid = 0;
	/* The walk's own ranges are encoded again when it goes on. */
	buf_reset(&w->change);
	uidset_put(&w->change, &w->batch);
	s->read = (struct access_ask){
		.kind = ACCESS_LETTERS,
		.mailbox = s->view->mailbox,
		.what = ACCESS_META | ACCESS_OCTETS,
		.part = ACCESS_PART_INNER,
		.len = UINT64_MAX,
		.uids = buf_str(&w->change),
	};
	return imap_read(s, batch_window);
}

enum imap_run
imap_walk_make(struct imap_session *s)
{
	return imap_walk_hand_back(s, read_batch);
}

/* One range of a set, either way round; '*' is the last letter's number. */
static struct imap_span
span_of(const struct imap_span *r, uint32_t star)
{
	uint32_t a = r->a ? r->a : star, b = r->b ? r->b : star;
	return (struct imap_span){ MIN(a, b), MAX(a, b) };
}

bool
imap_walk_numbers(struct imap_session *s, const struct imap_set *set, bool uid, struct uidset *ret)
{
	const struct uidmap *m = s->view->map;
	uint32_t star = uid ? uidmap_uid(m, m->count) : m->count;
	bool ok = true;
	for (size_t i = 0; i < set->n; i++) {
		bool starred = !set->r[i].a || !set->r[i].b;
		struct imap_span r = span_of(&set->r[i], star);
		/* RFC 9051 9: n:* has the last letter in it, whatever n is. */
		ok = ok && (uid || starred || r.b <= m->count);
		if (r.b && (r.a || !starred))
			uidset_add(ret, MAX(r.a, 1u), r.b);
	}
	return ok;
}

bool
imap_walk_set(struct imap_session *s, const struct imap_set *set, bool uid, struct uidset *ret)
{
	const struct uidmap *m = s->view->map;
	struct uidset numbers = { 0 };
	bool ok = imap_walk_numbers(s, set, uid, &numbers);
	for (size_t i = 0; !uid && i < numbers.n; i++)
		uidmap_uids(m, numbers.r[i].first, numbers.r[i].last, ret);
	if (uid)
		uidmap_within(m, &numbers, ret);
	if (set->saved)
		uidmap_within(m, &s->view->saved, ret);
	ret->failed = ret->failed || numbers.failed;
	uidset_done(&numbers);
	return ok;
}

void
imap_walk_seqs(const struct uidmap *m, const struct uidset *uids, struct uidset *ret)
{
	for (size_t i = 0; i < uids->n; i++) {
		uint32_t first = uidmap_seq(m, uids->r[i].first);
		uint32_t last = uidmap_seq(m, uids->r[i].last);
		if (first && last)
			uidset_add(ret, first, last);
	}
}

void
imap_walk_condstore(struct imap_session *s)
{
	if (s->enabled & IMAP_CONDSTORE)
		return;
	s->enabled |= IMAP_CONDSTORE;
	s->view->highest = s->view->modseq;
	buf_putf(s->cmd->out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
	    (unsigned long long)s->view->modseq);
}

void
imap_walk_number(struct buf *out, uint64_t n)
{
	char text[20];
	size_t at = sizeof(text);
	do {
		text[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	if (out->cap - out->len < sizeof(text) || out->failed) {
		buf_put(out, text + at, sizeof(text) - at);
		return;
	}
	memcpy(out->p + out->len, text + at, sizeof(text) - at);
	out->len += sizeof(text) - at;
}
