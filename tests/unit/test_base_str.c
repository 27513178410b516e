#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/str.h"

#include <stdlib.h>

#define NUL_INSIDE STR("a\0b")

static void
compares(void **state)
{
	static const struct {
		const char *a, *b;
		bool eq, ieq;
		int cmp;
	} rows[] = {
		{ "", "", true, true, 0 },
		{ "a", "a", true, true, 0 },
		{ "a", "A", false, true, 1 },
		{ "a", "ab", false, false, -1 },
		{ "ab", "a", false, false, 1 },
		{ "a", "b", false, false, -1 },
		{ "", "a", false, false, -1 },
		{ "[", "{", false, false, -1 },
		{ "@", "`", false, false, -1 },
		{ "\xc4", "\xe4", false, false, -1 },
		{ "\xff", "a", false, false, 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str a = str_of(rows[i].a), b = str_of(rows[i].b);
		int cmp = str_cmp(a, b);
		assert_int_equal(str_eq(a, b), rows[i].eq);
		assert_int_equal(str_ieq(a, b), rows[i].ieq);
		assert_int_equal((cmp > 0) - (cmp < 0), rows[i].cmp);
		assert_int_equal((str_cmp(b, a) > 0) - (str_cmp(b, a) < 0), -rows[i].cmp);
	}
	assert_true(str_eq(STR_NULL, STR("")) && str_ieq(str_of(NULL), STR("")));
	assert_false(str_eq(NUL_INSIDE, STR("a\0c")));
	assert_int_equal(str_cmp(STR_NULL, STR("")), 0);
}

static void
ends(void **state)
{
	assert_true(str_starts(STR("abc"), STR("ab")) && str_starts(STR("abc"), STR("")) &&
		    str_starts(STR("a"), STR("a")));
	assert_false(str_starts(STR("abc"), STR("aB")) || str_starts(STR("a"), STR("ab")) ||
		     str_starts(STR_NULL, STR("a")));
	assert_true(str_istarts(STR("abc"), STR("aB")) && str_iends(STR("abc"), STR("BC")) &&
		    str_ends(STR("abc"), STR("bc")));
	assert_false(str_ends(STR("abc"), STR("BC")) || str_ends(STR("c"), STR("bc")) ||
		     str_iends(STR_NULL, STR("c")));
	assert_true(str_starts(STR_NULL, STR_NULL) && str_ends(STR_NULL, STR_NULL));
}

static void
finds(void **state)
{
	struct str s = STR("abcabc");
	assert_int_equal(str_find(s, 'b'), 1);
	assert_int_equal(str_rfind(s, 'b'), 4);
	assert_int_equal(str_find(s, 'x'), 6);
	assert_int_equal(str_rfind(s, 'x'), 6);
	assert_int_equal(str_find_any(s, "xcb"), 1);
	assert_int_equal(str_find_any(s, ""), 6);
	assert_int_equal(str_find_any(NUL_INSIDE, "b"), 2);
	assert_int_equal(str_find(NUL_INSIDE, '\0'), 1);
	assert_int_equal(str_find_str(s, STR("ca")), 2);
	assert_int_equal(str_find_str(s, STR("cb")), 6);
	assert_int_equal(str_find_str(s, STR("")), 0);
	assert_int_equal(str_find_str(STR("a"), s), 1);
	assert_int_equal(str_find(STR_NULL, 'a') + str_rfind(STR_NULL, 'a') +
			     str_find_any(STR_NULL, "a") + str_find_str(STR_NULL, s),
	    0);
}

static void
parts(void **state)
{
	assert_true(str_eq(str_skip(STR("abc"), 1), STR("bc")) &&
		    str_eq(str_skip(STR("abc"), 9), STR("")));
	assert_true(str_eq(str_first(STR("abc"), 1), STR("a")) &&
		    str_eq(str_first(STR("abc"), 9), STR("abc")));
	assert_int_equal(str_skip(STR_NULL, 3).len, 0);
	assert_true(str_eq(str_trim(STR(" \t\r\na b\n ")), STR("a b")));
	assert_true(str_eq(str_ltrim(STR(" a ")), STR("a ")) &&
		    str_eq(str_rtrim(STR(" a ")), STR(" a")));
	assert_true(str_eq(str_trim(STR(" \r\n")), STR("")) && str_eq(str_trim(STR_NULL), STR("")));
	assert_true(str_eq(str_trim(STR("\va\v")), STR("\va\v")));
}

static void
cuts(void **state)
{
	static const struct {
		const char *in, *part[4];
	} rows[] = {
		{ "a,b,c", { "a", "b", "c" } },
		{ "a", { "a" } },
		{ "a,", { "a", "" } },
		{ ",a", { "", "a" } },
		{ ",,", { "", "", "" } },
		{ "", { "" } },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str s = str_of(rows[i].in);
		size_t n = 0;
		while (s.p) {
			assert_non_null(rows[i].part[n]);
			assert_true(str_eq(str_cut(&s, ','), str_of(rows[i].part[n++])));
		}
		assert_null(rows[i].part[n]);
	}
	struct str s = STR("  one\ttwo  ");
	assert_true(str_eq(str_word(&s), STR("one")) && str_eq(str_word(&s), STR("two")));
	assert_true(str_word(&s).len == 0 && s.len == 0);
	s = STR_NULL;
	assert_int_equal(str_word(&s).len, 0);
}

static void
copies(void **state)
{
	char small[4];
	char *p = str_dup(NUL_INSIDE);
	assert_memory_equal(p, "a\0b\0", 4);
	free(p);
	p = str_dup(STR_NULL);
	assert_string_equal(p, "");
	free(p);
	assert_true(str_copy(small, sizeof(small), STR("abc")));
	assert_string_equal(small, "abc");
	assert_false(str_copy(small, sizeof(small), STR("abcd")));
	assert_string_equal(small, "");
	assert_true(str_copy(small, 1, STR_NULL));
	assert_string_equal(small, "");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares),
		cmocka_unit_test(ends),
		cmocka_unit_test(finds),
		cmocka_unit_test(parts),
		cmocka_unit_test(cuts),
		cmocka_unit_test(copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
