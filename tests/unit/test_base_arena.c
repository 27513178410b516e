#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

#include "base/check.h"

#include <string.h>

static void
gives_zeroed_aligned_memory(void **state)
{
	struct arena a;
	arena_init(&a, 1 << 20);
	unsigned char *was[200];
	for (size_t i = 0; i < ARRAY_LEN(was); i++) {
		size_t n = i * 37 % 5000 + 1;
		was[i] = arena_alloc(&a, n);
		assert_non_null(was[i]);
		assert_int_equal((uintptr_t)was[i] % 16, 0);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(was[i][k], 0);
		memset(was[i], (int)i, n);
	}
	for (size_t i = 0; i < ARRAY_LEN(was); i++)
		for (size_t k = 0; k < i * 37 % 5000 + 1; k++)
			assert_int_equal(was[i][k], (unsigned char)i);
	arena_done(&a);
	arena_done(&a);
}

static void
ceiling(void **state)
{
	struct arena a;
	arena_init(&a, 100);
	assert_non_null(arena_alloc(&a, 60));
	assert_non_null(arena_alloc(&a, 40));
	assert_non_null(arena_alloc(&a, 0));
	assert_null(arena_alloc(&a, 1));
	assert_true(a.failed);
	assert_null(arena_alloc(&a, 0)); /* sticky */
	assert_null(arena_str(&a, STR("x")).p);
	arena_reset(&a);
	assert_false(a.failed);
	assert_null(arena_alloc(&a, 101));
	arena_reset(&a);
	assert_null(arena_alloc(&a, SIZE_MAX));
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 100));
	arena_done(&a);
}

static void
strings(void **state)
{
	struct arena a;
	arena_init(&a, 10);
	char from[] = "abc";
	struct str s = arena_str(&a, str_of(from));
	from[0] = 'x';
	assert_true(str_eq(s, STR("abc")) && s.p[3] == '\0');
	s = arena_str(&a, STR_NULL);
	assert_true(s.p && s.len == 0 && s.p[0] == '\0');
	assert_null(arena_str(&a, STR("abcde")).p); /* the NUL has no room */
	arena_done(&a);
}

static void
goes_back(void **state)
{
	struct arena a;
	arena_init(&a, 10000);
	struct arena_mark start = arena_mark(&a);
	struct str kept = arena_str(&a, STR("kept"));
	for (int i = 0; i < 100; i++) {
		struct arena_mark m = arena_mark(&a);
		size_t used = a.used;
		const unsigned char *p = arena_alloc(&a, 40);
		assert_true(p[0] == 0 && p[39] == 0);
		memset(arena_alloc(&a, 3000), 'x', 3000);
		assert_non_null(arena_alloc(&a, 6000));
		assert_null(arena_alloc(&a, 3000));
		assert_true(a.failed);
		arena_rewind(&a, &m);
		assert_true(a.used == used && !a.failed);
		assert_true(str_eq(kept, STR("kept")));
	}
	arena_rewind(&a, &start);
	assert_true(a.used == 0 && a.blocks == NULL);
	arena_done(&a);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_zeroed_aligned_memory),
		cmocka_unit_test(ceiling),
		cmocka_unit_test(strings),
		cmocka_unit_test(goes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
