/* What attempts came to, by destination: the sums never fall, and the rows are few. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "roles/store/deliveries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR 3600000u

static uint64_t
all_sent(const struct deliveries *d)
{
	uint64_t n = d->others.n[DELIVERY_SENT];
	for (size_t i = 0; i < DELIVERIES_NAMED; i++)
		n += d->to[i].counts.n[DELIVERY_SENT];
	return n;
}

static bool
has_row(const struct deliveries *d, const char *name)
{
	for (size_t i = 0; i < DELIVERIES_NAMED; i++)
		if (strcmp(d->to[i].name, name) == 0)
			return true;
	return false;
}

static void
add(struct deliveries *d, const char *name, uint64_t now)
{
	const struct delivery_counts one = { .n = { [DELIVERY_SENT] = 1 } };
	deliveries_add(d, str_of(name), &one, now);
}

static void
few_have_rows(void **state)
{
	struct deliveries *d = xalloc(sizeof(*d));
	char name[32];
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		add(d, name, 1000 + i);
		assert_int_equal(all_sent(d), i + 1);
	}
	assert_true(has_row(d, "d0.example") && has_row(d, "d49.example"));
	assert_false(has_row(d, "d50.example"));
	assert_int_equal(d->others.n[DELIVERY_SENT], 950);
	free(d);
}

static void
who_is_idle_gives_way(void **state)
{
	struct deliveries *d = xalloc(sizeof(*d));
	char name[32];
	for (unsigned i = 0; i < DELIVERIES_NAMED; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		add(d, name, 1000);
	}
	add(d, "d0.example", HOUR);
	add(d, "new.example", HOUR + 1001);
	assert_true(has_row(d, "new.example") && has_row(d, "d0.example"));
	assert_int_equal(d->others.n[DELIVERY_SENT], 1);
	assert_int_equal(all_sent(d), DELIVERIES_NAMED + 2);
	add(d, "new.example", 5); /* the clock went back */
	assert_int_equal(all_sent(d), DELIVERIES_NAMED + 3);
	free(d);
}

static void
rows_are_rows(void **state)
{
	struct deliveries *d = xalloc(sizeof(*d));
	struct buf rows = BUF_INIT(METRICS_ROWS_MAX);
	char name[200];
	memset(name, 'x', sizeof(name));
	memcpy(name, "a\"b\\c\n", 6);
	name[sizeof(name) - 1] = '\0';
	add(d, name, 1000);
	add(d, name, 1001);
	deliveries_figures(d, &rows);
	struct metrics_sum *s = metrics_sum_new();
	assert_true(metrics_sum_add(s, buf_str(&rows)));
	metrics_sum_free(s);
	assert_int_equal(all_sent(d), 2);
	assert_int_equal(d->others.n[DELIVERY_SENT], 0);
	buf_done(&rows);
	free(d);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_have_rows),
		cmocka_unit_test(who_is_idle_gives_way),
		cmocka_unit_test(rows_are_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
