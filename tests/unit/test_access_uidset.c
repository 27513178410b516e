/* Sets and maps of UIDs against a bitmap that cannot be wrong, with random operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "access/uidset.h"
#include "base/check.h"

#define MODEL 200 /* UIDs 1 to MODEL - 1 */

static uint64_t seed = 88172645463325252u;

static uint32_t
any(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % below;
}

struct model {
	bool has[MODEL];
};

static void
same(const struct uidset *s, const struct model *m)
{
	uint64_t count = 0;
	assert_false(s->failed);
	for (size_t i = 0; i < s->n; i++) {
		assert_true(s->r[i].first >= 1 && s->r[i].first <= s->r[i].last);
		assert_true(i == 0 || s->r[i - 1].last + 1 < s->r[i].first);
	}
	for (uint32_t u = 1; u < MODEL; u++) {
		if (uidset_has(s, u) != m->has[u])
			fail_msg("uid %u", u);
		count += m->has[u];
	}
	assert_false(uidset_has(s, 0));
	assert_int_equal(uidset_count(s), count);
}

static void
change(struct uidset *s, struct model *m, bool add)
{
	uint32_t a = 1 + any(MODEL - 1), b = a + any(12);
	b = MIN(b, MODEL - 1u);
	if (add)
		uidset_add(s, a, b);
	else
		uidset_remove(s, a, b);
	for (uint32_t u = a; u <= b; u++)
		m->has[u] = add;
}

static void
some(struct uidset *s, struct model *m)
{
	*s = (struct uidset){ 0 };
	*m = (struct model){ 0 };
	for (uint32_t n = any(40); n > 0; n--)
		change(s, m, any(4) != 0);
}

static void
sets(void **state)
{
	struct uidset s = { 0 };
	struct model m = { 0 };
	for (int i = 0; i < 20000; i++) {
		change(&s, &m, any(2));
		same(&s, &m);
		if (any(500) == 0) {
			uidset_clear(&s);
			m = (struct model){ 0 };
		}
	}
	uidset_done(&s);
	uidset_done(&s);
	assert_int_equal(uidset_count(&s), 0);
}

static void
two_sets(void **state)
{
	for (int i = 0; i < 6000; i++) {
		struct uidset a, b, c = { 0 };
		struct model ma, mb;
		some(&a, &ma);
		some(&b, &mb);
		same(&a, &ma);
		uidset_copy(&c, &a);
		same(&c, &ma);
		if (i % 3 == 0)
			uidset_add_set(&a, &b);
		else if (i % 3 == 1)
			uidset_remove_set(&a, &b);
		else
			uidset_intersect(&a, &b);
		for (uint32_t u = 0; u < MODEL; u++)
			ma.has[u] = i % 3 == 0   ? ma.has[u] || mb.has[u]
			            : i % 3 == 1 ? ma.has[u] && !mb.has[u]
			                         : ma.has[u] && mb.has[u];
		same(&a, &ma);
		same(&b, &mb);
		uidset_done(&a);
		uidset_done(&b);
		uidset_done(&c);
	}
}

static void
edges(void **state)
{
	struct uidset s = { 0 };
	uidset_add(&s, UINT32_MAX, UINT32_MAX);
	uidset_add(&s, 1, 1);
	uidset_add(&s, UINT32_MAX - 1, UINT32_MAX - 1);
	assert_int_equal(s.n, 2);
	uidset_add(&s, 2, UINT32_MAX);
	assert_int_equal(s.n, 1);
	assert_int_equal(uidset_count(&s), UINT32_MAX);
	assert_null(uidmap_new(&s));
	uidset_remove(&s, 2, UINT32_MAX);
	assert_int_equal(uidset_count(&s), 1);
	uidset_add(&s, 1, UINT32_MAX);
	uidset_remove(&s, 1, 1);
	struct uidmap *m = uidmap_new(&s);
	assert_int_equal(m->count, UINT32_MAX - 1);
	assert_int_equal(uidmap_uid(m, UINT32_MAX - 1), UINT32_MAX);
	assert_int_equal(uidmap_seq(m, UINT32_MAX), UINT32_MAX - 1);
	assert_int_equal(uidmap_uid(m, UINT32_MAX), 0);
	uidmap_unref(m);
	uidset_done(&s);
}

static void
too_many(void **state)
{
	struct uidset s = { 0 };
	for (uint32_t i = 0; i < UIDSET_RANGES_MAX; i++)
		uidset_add(&s, 2 * i + 1, 2 * i + 1);
	assert_false(s.failed);
	uidset_add(&s, UINT32_MAX, UINT32_MAX);
	assert_true(s.failed);
	assert_false(uidset_has(&s, UINT32_MAX));
	assert_null(uidmap_new(&s));
	/* What needs no further range works. */
	uidset_add(&s, 2, 2);
	assert_true(uidset_has(&s, 2));
	uidset_done(&s);
	assert_false(s.failed);
}

static void
words(void **state)
{
	static const struct {
		const char *text;
		struct uid_range r[3];
		size_t n;
	} rows[] = {
		{ "", { { 0, 0 } }, 0 },
		{ "7", { { 7, 7 } }, 1 },
		{ "1:3,7", { { 1, 3 }, { 7, 7 } }, 2 },
		{ "5,9:4294967295", { { 9, 4294967295 }, { 5, 5 } }, 2 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct uidset s = { 0 }, back = { 0 };
		struct buf b = BUF_INIT(1000);
		for (size_t k = 0; k < rows[i].n; k++)
			uidset_add(&s, rows[i].r[k].first, rows[i].r[k].last);
		uidset_text(&s, &b);
		assert_true(str_eq(buf_str(&b), str_of(rows[i].text)));
		buf_reset(&b);
		uidset_put(&b, &s);
		assert_int_equal(b.len, 8 * s.n);
		assert_true(uidset_get(buf_str(&b), &back));
		assert_int_equal(uidset_count(&back), uidset_count(&s));
		assert_true(uidset_octets_ok(buf_str(&b), s.n));
		assert_true(s.n == 0 || !uidset_octets_ok(buf_str(&b), s.n - 1));
		uidset_done(&s);
		uidset_done(&back);
		buf_done(&b);
	}
}

static void
bad_octets(void **state)
{
	static const struct str rows[] = {
		STR("\0\0\0"),
		STR("\0\0\0\0\0\0\0\1"),                 /* 0:1 */
		STR("\0\0\0\2\0\0\0\1"),                 /* 2:1 */
		STR("\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4"), /* they touch */
		STR("\0\0\0\5\0\0\0\5\0\0\0\1\0\0\0\1"), /* they descend */
		STR("\0\0\0\5\377\377\377\377\0\0\0\1\0\0\0\1"),
		STR("\0\0\0\1\0\0\0\1\0\0\0\1"),
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct uidset s = { 0 };
		uidset_add(&s, 9, 9);
		assert_false(uidset_get(rows[i], &s));
		assert_int_equal(s.n, 0);
		uidset_done(&s);
	}
}

static void
map_is(const struct uidmap *m, const struct model *model)
{
	uint32_t seq = 0;
	for (uint32_t u = 1; u < MODEL; u++) {
		assert_int_equal(uidmap_seq(m, u), model->has[u] ? seq + 1 : 0);
		if (model->has[u])
			assert_int_equal(uidmap_uid(m, ++seq), u);
	}
	assert_int_equal(m->count, seq);
	assert_int_equal(uidmap_uid(m, 0), 0);
	assert_int_equal(uidmap_uid(m, seq + 1), 0);
	assert_int_equal(uidmap_seq(m, 0), 0);
}

static void
map_slices(const struct uidmap *m, const struct model *model)
{
	uint32_t a = any(m->count + 3), b = a + any(m->count + 3);
	struct uidset got = { 0 };
	struct model want = { 0 };
	uidmap_uids(m, a, b, &got);
	for (uint32_t seq = MAX(a, 1); seq <= MIN(b, m->count); seq++)
		want.has[uidmap_uid(m, seq)] = true;
	same(&got, &want);
	uidset_done(&got);

	struct uidset some_set, within = { 0 };
	struct model some_model;
	some(&some_set, &some_model);
	uidmap_within(m, &some_set, &within);
	for (uint32_t u = 0; u < MODEL; u++)
		some_model.has[u] = some_model.has[u] && model->has[u];
	same(&within, &some_model);
	uidset_done(&some_set);
	uidset_done(&within);
}

static void
maps(void **state)
{
	for (int i = 0; i < 3000; i++) {
		struct uidset s, gone, more;
		struct model ms, mgone, mmore;
		some(&s, &ms);
		some(&gone, &mgone);
		some(&more, &mmore);
		struct uidmap *m = uidmap_new(&s);
		map_is(m, &ms);
		map_slices(m, &ms);
		struct uidmap *next =
		    uidmap_next(m, i % 3 == 1 ? NULL : &gone, i % 3 == 2 ? NULL : &more);
		for (uint32_t u = 0; u < MODEL; u++)
			ms.has[u] = (ms.has[u] && !(i % 3 != 1 && mgone.has[u])) ||
			            (i % 3 != 2 && mmore.has[u]);
		map_is(next, &ms);
		assert_null(uidmap_unref(m));
		assert_null(uidmap_unref(next));
		uidset_done(&s);
		uidset_done(&gone);
		uidset_done(&more);
	}
	assert_null(uidmap_unref(NULL));
}

static struct uidmap *
map_of(uint32_t last)
{
	struct uidset s = { 0 };
	uidset_add(&s, 1, last);
	struct uidmap *m = uidmap_new(&s);
	uidset_done(&s);
	return m;
}

static void
shared(void **state)
{
	struct uidmaps all = { 0 };
	const struct uidmap_state a = { 1, 2, 3, 4 }, b = { 1, 2, 4, 3 };
	assert_null(uidmaps_find(&all, &a));
	struct uidmap *mine = uidmaps_share(&all, &a, map_of(5));
	struct uidmap *found = uidmaps_find(&all, &a);
	assert_ptr_equal(found, mine);
	assert_null(uidmaps_find(&all, &b));
	/* Another was slower. */
	struct uidmap *late = uidmaps_share(&all, &a, map_of(5));
	assert_ptr_equal(late, mine);
	uidmaps_unshare(&all, &a, late);
	uidmaps_unshare(&all, &a, found);
	assert_ptr_equal(found = uidmaps_find(&all, &a), mine);
	uidmaps_unshare(&all, &a, found);
	uidmaps_unshare(&all, &a, mine);
	assert_null(uidmaps_find(&all, &a));
	/* One that was never shared, and one that is still there at the end. */
	uidmaps_unshare(&all, &a, map_of(7));
	uidmaps_unshare(&all, &a, NULL);
	mine = uidmaps_share(&all, &b, map_of(9));
	assert_ptr_equal(uidmaps_share(&all, &b, mine), mine);
	uidmaps_done(&all);
	assert_int_equal(uidmap_uid(mine, 9), 9);
	uidmap_unref(mine);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets),
		cmocka_unit_test(two_sets),
		cmocka_unit_test(edges),
		cmocka_unit_test(too_many),
		cmocka_unit_test(words),
		cmocka_unit_test(bad_octets),
		cmocka_unit_test(maps),
		cmocka_unit_test(shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
