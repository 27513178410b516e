/* Sequence sets: what is parsed, as UIDs of a mailbox with gaps. */
#include "imap/walk_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct uidmap *
map_of(unsigned shape)
{
	struct uidset s = { 0 };
	for (uint32_t uid = 1; uid < 60; uid += 1 + shape % 4)
		uidset_add(&s, uid, uid + (shape >> 2) % 3);
	if (shape & 0x80)
		uidset_add(&s, UINT32_MAX - 2, UINT32_MAX - 1);
	if (shape == 0x7f)
		uidset_clear(&s);
	struct uidmap *m = uidmap_new(&s);
	uidset_done(&s);
	return m;
}

static void
look(struct imap_session *s, const struct imap_set *set, bool uid)
{
	const struct uidmap *m = s->view->map;
	struct uidset uids = { 0 }, seqs = { 0 };
	(void)imap_walk_set(s, set, uid, &uids);
	for (size_t i = 0; i < uids.n; i++) {
		check(uids.r[i].first && uids.r[i].first <= uids.r[i].last);
		check(i == 0 || uids.r[i].first > uids.r[i - 1].last);
	}
	imap_walk_seqs(m, &uids, &seqs);
	check(uidset_count(&seqs) == uidset_count(&uids) && uidset_count(&uids) <= m->count);
	imap_walk_coarsen(m, &uids);
	struct uidset again = { 0 };
	uidmap_within(m, &uids, &again);
	check(uidset_count(&again) == uidset_count(&seqs));
	uidset_done(&uids);
	uidset_done(&seqs);
	uidset_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	struct imap_view v = { 0 };
	struct imap_session s = { .view = &v };
	struct imap_set set;
	if (size < 1)
		return 0;
	struct imap_lex x = { .rest = str_n(data + 1, size - 1) };
	arena_init(&a, 1u << 20);
	v.map = map_of(data[0]);
	v.exists = v.map->count;
	v.uidnext = UINT32_MAX;
	uidset_add(&v.saved, 3, 9);
	if (imap_lex_set(&x, &a, &set)) {
		look(&s, &set, false);
		look(&s, &set, true);
	}
	uidset_done(&v.saved);
	v.map = uidmap_unref(v.map);
	arena_done(&a);
	return 0;
}
