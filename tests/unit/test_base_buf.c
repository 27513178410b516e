#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"

static void
puts_everything(void **state)
{
	struct buf b = BUF_INIT(100);
	buf_putz(&b, "a");
	buf_putc(&b, 'b');
	buf_puts(&b, STR("c\0d"));
	buf_puts(&b, STR_NULL);
	buf_put(&b, "efg", 2);
	buf_putf(&b, "%d%s", 12, "x");
	assert_false(b.failed);
	assert_true(str_eq(buf_str(&b), STR("abc\0def12x")));
	assert_int_equal(strlen(buf_cstr(&b) + 4), 6);
	buf_done(&b);
	buf_done(&b);
	assert_int_equal(b.max, 100);
}

/* At every ceiling: what fits is there, the rest failed as a whole and stays failed. */
static void
ceilings(void **state)
{
	for (size_t max = 0; max < 200; max++) {
		struct buf b = BUF_INIT(max);
		size_t len = 0;
		for (size_t n = 0; n < 30; n++) {
			char piece[30];
			memset(piece, 'a' + (int)n % 26, n);
			buf_put(&b, piece, n);
			len += b.failed ? 0 : n;
			assert_int_equal(b.len, len);
			assert_true(b.len <= b.cap && b.cap <= b.max);
		}
		assert_true(b.failed);
		buf_putf(&b, "x");
		assert_int_equal(b.len, len);
		buf_reset(&b);
		assert_false(b.failed);
		assert_int_equal(b.len, 0);
		buf_done(&b);
	}
}

static void
formats_of_any_length(void **state)
{
	for (int n = 250; n < 262; n++) {
		struct buf b = BUF_INIT(1000);
		buf_putf(&b, "%*s|", n, "x");
		assert_int_equal(b.len, n + 1);
		assert_true(b.p[n - 1] == 'x' && b.p[n] == '|');
		buf_done(&b);
	}
	struct buf b = BUF_INIT(300);
	buf_putf(&b, "%400s", "x");
	assert_true(b.failed && b.len == 0);
	buf_done(&b);
}

static void
drops_and_cuts(void **state)
{
	struct buf b = BUF_INIT(100);
	buf_drop(&b, 0);
	buf_putz(&b, "abcdef");
	buf_drop(&b, 2);
	buf_trunc(&b, 3);
	assert_string_equal(buf_cstr(&b), "cde");
	buf_drop(&b, 3);
	assert_string_equal(buf_cstr(&b), "");
	buf_putz(&b, "secret");
	char *p = b.p;
	buf_wipe(&b);
	for (size_t i = 0; i < b.cap; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(b.len, 0);
	buf_done(&b);
	buf_wipe(&b);
}

static void
no_room_for_nul(void **state)
{
	struct buf b = BUF_INIT(3);
	buf_putz(&b, "abc");
	assert_false(b.failed);
	assert_null(buf_cstr(&b));
	buf_done(&b);
}

static void
reserves(void **state)
{
	struct buf b = BUF_INIT(SIZE_MAX);
	assert_true(buf_reserve(&b, 10) && b.cap >= 10 && b.len == 0);
	b.len = 10;
	b.max = 20;
	b.cap = 10;
	assert_false(buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	assert_false(buf_reserve(&b, 1));
	buf_done(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_everything),
		cmocka_unit_test(ceilings),
		cmocka_unit_test(formats_of_any_length),
		cmocka_unit_test(drops_and_cuts),
		cmocka_unit_test(no_room_for_nul),
		cmocka_unit_test(reserves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
