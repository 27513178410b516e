#include "access/uidset.h"

#include "base/check.h"
#include "base/wire.h"

#include <stdlib.h>

struct uidmap *
uidmap_new(const struct uidset *s)
{
	uint64_t count = uidset_count(s);
	if (s->failed || count >= UINT32_MAX)
		return NULL;
	struct uidmap *m = calloc(1, sizeof(*m) + s->n * sizeof(m->r[0]));
	if (!m)
		return NULL;
	m->refs = 1;
	m->n = s->n;
	for (size_t i = 0; i < s->n; i++) {
		m->r[i] = (struct uidmap_range){ s->r[i].first, s->r[i].last, m->count };
		m->count += s->r[i].last - s->r[i].first + 1;
	}
	return m;
}

struct uidmap *
uidmap_ref(struct uidmap *m)
{
	check(m->refs > 0 && m->refs < UINT32_MAX);
	m->refs++;
	return m;
}

struct uidmap *
uidmap_unref(struct uidmap *m)
{
	if (!m)
		return NULL;
	check(m->refs > 0);
	if (--m->refs == 0)
		free(m);
	return NULL;
}

/* The range that the letter with this sequence number is in; 1 <= seq <= count. */
static size_t
range_of_seq(const struct uidmap *m, uint32_t seq)
{
	size_t low = 0, high = m->n;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (m->r[mid].before < seq)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* The first range that ends at uid or behind it, or n. */
static size_t
range_from_uid(const struct uidmap *m, uint32_t uid)
{
	size_t low = 0, high = m->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (m->r[mid].last < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint32_t
uidmap_uid(const struct uidmap *m, uint32_t seq)
{
	if (seq == 0 || seq > m->count)
		return 0;
	const struct uidmap_range *r = &m->r[range_of_seq(m, seq)];
	return r->first + (seq - 1 - r->before);
}

uint32_t
uidmap_seq(const struct uidmap *m, uint32_t uid)
{
	size_t i = range_from_uid(m, uid);
	if (i == m->n || uid < m->r[i].first)
		return 0;
	return m->r[i].before + (uid - m->r[i].first) + 1;
}

void
uidmap_uids(const struct uidmap *m, uint32_t first, uint32_t last, struct uidset *out)
{
	first = MAX(first, 1);
	last = MIN(last, m->count);
	if (first > last)
		return;
	for (size_t i = range_of_seq(m, first); i < m->n && m->r[i].before < last; i++) {
		const struct uidmap_range *r = &m->r[i];
		uint32_t from = r->before < first ? first - 1 - r->before : 0;
		uint32_t to = MIN(r->last - r->first, last - 1 - r->before);
		uidset_add(out, r->first + from, r->first + to);
	}
}

void
uidmap_within(const struct uidmap *m, const struct uidset *uids, struct uidset *out)
{
	for (size_t k = 0; k < uids->n; k++) {
		uint32_t first = uids->r[k].first, last = uids->r[k].last;
		for (size_t i = range_from_uid(m, first); i < m->n && m->r[i].first <= last; i++)
			uidset_add(out, MAX(first, m->r[i].first), MIN(last, m->r[i].last));
	}
}

struct uidmap *
uidmap_next(const struct uidmap *m, const struct uidset *gone, const struct uidset *more)
{
	struct uidset now = { 0 };
	for (size_t i = 0; i < m->n; i++)
		uidset_add(&now, m->r[i].first, m->r[i].last);
	if (gone)
		uidset_remove_set(&now, gone);
	if (more)
		uidset_add_set(&now, more);
	struct uidmap *next = uidmap_new(&now);
	uidset_done(&now);
	return next;
}

/* --- shared ones --- */

#define KEY_LEN 24

static struct str
key_of(const struct uidmap_state *s, unsigned char key[KEY_LEN])
{
	be64_put(key, s->account);
	be64_put(key + 8, s->modseq);
	be32_put(key + 16, s->mailbox);
	be32_put(key + 20, s->uidnext);
	return str_n(key, KEY_LEN);
}

struct uidmap *
uidmaps_find(struct uidmaps *all, const struct uidmap_state *s)
{
	unsigned char key[KEY_LEN];
	struct uidmap *m = map_get(&all->by_state, key_of(s, key));
	return m ? uidmap_ref(m) : NULL;
}

/* The table has a reference of its own, so that it never names one that is gone. */
struct uidmap *
uidmaps_share(struct uidmaps *all, const struct uidmap_state *s, struct uidmap *m)
{
	unsigned char key[KEY_LEN];
	struct uidmap *there = map_get(&all->by_state, key_of(s, key));
	if (there == m)
		return m;
	if (there) {
		uidmap_unref(m);
		return uidmap_ref(there);
	}
	(void)map_put(&all->by_state, key_of(s, key), uidmap_ref(m));
	return m;
}

void
uidmaps_unshare(struct uidmaps *all, const struct uidmap_state *s, struct uidmap *m)
{
	unsigned char key[KEY_LEN];
	if (!m)
		return;
	if (m->refs == 2 && map_get(&all->by_state, key_of(s, key)) == m) {
		(void)map_del(&all->by_state, key_of(s, key));
		uidmap_unref(m);
	}
	uidmap_unref(m);
}

void
uidmaps_done(struct uidmaps *all)
{
	struct str key;
	void *m;
	for (size_t pos = 0; map_next(&all->by_state, &pos, &key, &m);)
		uidmap_unref(m);
	map_done(&all->by_state);
}
