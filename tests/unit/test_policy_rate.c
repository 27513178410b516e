#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "policy/shared.h"

#include <stdlib.h>
#include <string.h>

#define HOUR 3600

static struct tally_key
key_of(uint32_t n)
{
	struct tally_key k = { { 0 } };
	memcpy(k.b, &n, sizeof(n));
	return k;
}

static void
counts_over_tables_and_hours(void **state)
{
	struct rate_table *a = xalloc(rate_size()), *b = xalloc(rate_size());
	const struct rate_table *all[] = { a, NULL, b };
	struct tally_key k = key_of(1), other = key_of(2);
	for (int i = 0; i < 3; i++)
		rate_add(a, &k, 10 * HOUR);
	rate_add(b, &k, 10 * HOUR + HOUR - 1);
	rate_add(b, &other, 10 * HOUR);
	assert_int_equal(rate_count(all, ARRAY_LEN(all), &k, 10 * HOUR + 5), 4);
	assert_int_equal(rate_count(all, ARRAY_LEN(all), &other, 10 * HOUR), 1);
	assert_int_equal(rate_count(all, ARRAY_LEN(all), &k, 11 * HOUR), 0);
	rate_add(a, &k, 11 * HOUR);
	assert_int_equal(rate_count(all, ARRAY_LEN(all), &k, 11 * HOUR), 1);
	free(a);
	free(b);
}

static void
a_full_table_forgets_the_oldest(void **state)
{
	struct rate_table *t = xalloc(rate_size());
	const struct rate_table *all[] = { t };
	for (uint32_t i = 1; i <= 4 * RATE_ADDRS; i++) {
		struct tally_key k = key_of(i);
		rate_add(t, &k, 5 * HOUR);
	}
	struct tally_key late = key_of(7000001);
	rate_add(t, &late, 6 * HOUR);
	assert_int_equal(rate_count(all, 1, &late, 6 * HOUR), 1);
	free(t);
}

static void
tables_lie_side_by_side(void **state)
{
	size_t n = policy_shared_size();
	char *map = xalloc(n);
	struct tally_key k = key_of(9);
	struct tally t = { .own = policy_tally(map, n) };
	t.other[0] = policy_tally_in(map, n);
	static const struct tally_limits limits = { 2, 2, 2 };
	assert_int_equal(tally_enter(&t, &k, 0, &limits), TALLY_OK);
	rate_add(policy_rate(map, n), &k, HOUR);
	const struct rate_table *all[] = { policy_rate_in(map, n) };
	assert_int_equal(rate_count(all, 1, &k, HOUR), 1);
	assert_int_equal(tally_total(&t), 1);
	free(map);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_over_tables_and_hours),
		cmocka_unit_test(a_full_table_forgets_the_oldest),
		cmocka_unit_test(tables_lie_side_by_side),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
