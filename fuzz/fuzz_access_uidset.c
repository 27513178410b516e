/*
 * Sets of UIDs: each four octets are an operation on one of two sets, or on both, and the same is
 * done with bitmaps. Then maps are made of them. Octets that are taken as a set are put again.
 */
#include "access/uidset.h"
#include "base/check.h"

#include <stdint.h>

#define UIDS 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct pair {
	struct uidset s;
	bool has[UIDS];
};

static void
same(const struct pair *p)
{
	uint64_t count = 0;
	for (uint32_t u = 1; u < UIDS; u++) {
		check(uidset_has(&p->s, u) == p->has[u]);
		count += p->has[u];
	}
	check(uidset_count(&p->s) == count && !p->s.failed);
	for (size_t i = 1; i < p->s.n; i++)
		check(p->s.r[i - 1].last + 1 < p->s.r[i].first);
}

static void
with_other(struct pair *p, const struct pair *q, uint8_t op)
{
	if (op == 2)
		uidset_add_set(&p->s, &q->s);
	else if (op == 3)
		uidset_remove_set(&p->s, &q->s);
	else
		uidset_intersect(&p->s, &q->s);
	for (uint32_t u = 0; u < UIDS; u++)
		p->has[u] = op == 2   ? p->has[u] || q->has[u]
		            : op == 3 ? p->has[u] && !q->has[u]
		                      : p->has[u] && q->has[u];
}

static void
operate(struct pair *p, const struct pair *q, const uint8_t d[4])
{
	uint32_t first = 1 + (d[1] | (d[2] & 1u) << 8) % (UIDS - 1);
	uint32_t last = MIN(first + (d[3] & 63u), UIDS - 1u);
	uint8_t op = d[0] % 6;
	if (op == 0)
		uidset_add(&p->s, first, last);
	else if (op == 1)
		uidset_remove(&p->s, first, last);
	else if (op == 5)
		uidset_clear(&p->s);
	else
		with_other(p, q, op);
	for (uint32_t u = op == 5 ? 0 : first; u <= (op == 5 ? UIDS - 1 : last) && op != 2; u++)
		if (op == 0 || op == 1 || op == 5)
			p->has[u] = op == 0;
	same(p);
}

static void
check_map(const struct pair *p, const struct pair *q)
{
	struct uidset all = { 0 }, within = { 0 };
	struct uidmap *m = uidmap_new(&p->s);
	uint32_t seq = 0;
	for (uint32_t u = 1; u < UIDS; u++) {
		check(uidmap_seq(m, u) == (p->has[u] ? seq + 1 : 0));
		check(!p->has[u] || uidmap_uid(m, ++seq) == u);
	}
	check(m->count == seq && uidmap_uid(m, seq + 1) == 0);
	uidmap_uids(m, 0, UINT32_MAX, &all);
	check(uidset_count(&all) == seq);
	uidmap_within(m, &q->s, &within);
	for (uint32_t u = 1; u < UIDS; u++)
		check(uidset_has(&within, u) == (p->has[u] && q->has[u]));
	struct uidmap *next = uidmap_next(m, &q->s, NULL);
	uidmap_uids(next, 1, next->count, &within);
	check(uidset_count(&within) == seq);
	uidmap_unref(next);
	uidmap_unref(m);
	uidset_done(&all);
	uidset_done(&within);
}

static void
check_octets(struct str in)
{
	struct uidset s = { 0 };
	struct buf again = BUF_INIT(1u << 20);
	bool good = uidset_get(in, &s);
	check(good == uidset_octets_ok(in, UIDSET_RANGES_MAX));
	uidset_put(&again, &s);
	check(good ? str_eq(in, buf_str(&again)) : s.n == 0);
	uidset_done(&s);
	buf_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct pair p[2];
	check_octets(str_n(data, n));
	p[0] = p[1] = (struct pair){ 0 };
	for (size_t i = 0; i + 4 <= n && i < 600; i += 4)
		operate(&p[data[i] >> 7], &p[!(data[i] >> 7)], data + i);
	check_map(&p[0], &p[1]);
	uidset_done(&p[0].s);
	uidset_done(&p[1].s);
	return 0;
}
