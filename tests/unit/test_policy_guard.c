/* How long answers to logins are held back. */
#include "policy/guard.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const unsigned char key[16] = "0123456789abcde";

#define HERE STR("\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\1")
#define THERE STR("\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\2")

static void
test_grows(void **state)
{
	static const int64_t want[] = { 0, 0, 0, 1000, 2000, 4000, 8000, 15000, 15000, 15000 };
	struct guard *g = guard_new(key);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_int_equal(guard_failed(g, HERE, STR("a@x"), i + 1, 1000), want[i]);
	/* From elsewhere: the account's count; a right password waits by its own address alone. */
	assert_int_equal(guard_failed(g, THERE, STR("a@x"), 99, 1000), 15000);
	assert_int_equal(guard_passed(g, HERE, 1000), 15000);
	assert_int_equal(guard_passed(g, THERE, 1000), 0);
	assert_int_equal(guard_passed(g, STR_NULL, 1000), 0);
	/* Another account from the address that guesses. */
	assert_int_equal(guard_failed(g, HERE, STR("b@x"), 100, 1000), 15000);
	/* From this machine only the account counts. */
	assert_int_equal(guard_failed(g, STR_NULL, STR("c@x"), 1, 1000), 0);
	guard_free(g);
}

static void
test_decays(void **state)
{
	struct guard *g = guard_new(key);
	for (uint64_t i = 1; i <= 16; i++)
		(void)guard_failed(g, HERE, STR("a@x"), i, 0);
	assert_int_equal(guard_passed(g, HERE, GUARD_HALF_LIFE_MS - 1), 15000); /* 16 */
	assert_int_equal(guard_passed(g, HERE, GUARD_HALF_LIFE_MS), 15000);     /* 8 */
	assert_int_equal(guard_passed(g, HERE, 2 * GUARD_HALF_LIFE_MS), 1000);  /* 4 */
	assert_int_equal(guard_passed(g, HERE, 3 * GUARD_HALF_LIFE_MS), 0);     /* 2 */
	assert_int_equal(guard_passed(g, HERE, 1000 * (int64_t)GUARD_HALF_LIFE_MS), 0);
	assert_int_equal(guard_failed(g, HERE, STR("a@x"), 17, 2 * GUARD_HALF_LIFE_MS), 2000);
	guard_free(g);
}

/* A program with an old password is no guesser. */
static void
test_same_again(void **state)
{
	struct guard *g = guard_new(key);
	for (int i = 0; i < 100; i++)
		assert_int_equal(guard_failed(g, HERE, STR("a@x"), 7, i), 0);
	assert_int_equal(guard_passed(g, HERE, 100), 0);
	/* What cannot be compared counts each time. */
	for (int i = 0; i < 3; i++)
		(void)guard_failed(g, HERE, STR("a@x"), 0, 100);
	assert_int_equal(guard_passed(g, HERE, 100), 1000);
	guard_free(g);
}

/* A flood of others pushes nobody who guesses out. */
static void
test_flood(void **state)
{
	struct guard *g = guard_new(key);
	for (uint64_t i = 1; i <= 9; i++)
		(void)guard_failed(g, HERE, STR("a@x"), i, 0);
	for (unsigned i = 0; i < 4 * GUARD_SLOTS; i++) {
		char name[32], prefix[17];
		snprintf(name, sizeof(name), "u%u@x", i);
		snprintf(prefix, sizeof(prefix), "%016u", i);
		(void)guard_failed(g, str_n(prefix, 16), str_of(name), i + 1, 0);
	}
	assert_int_equal(guard_passed(g, HERE, 0), 15000);
	assert_int_equal(guard_failed(g, STR_NULL, STR("a@x"), 10, 0), 15000);
	guard_free(g);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_decays),
		cmocka_unit_test(test_same_again),
		cmocka_unit_test(test_flood),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
