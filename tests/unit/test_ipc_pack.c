#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "ipc/pack.h"

#include <stdlib.h>

static const struct pack_letter good = {
	.time_ms = 1253881668000,
	.flags = 31,
	.header_len = 6,
	.key = { "0123456789abcdef", 16 },
	.there = true,
	.was = { "was", 3 },
	.value = { "value", 5 },
	.where = { "letter 1", 8 },
};

static void
put(struct buf *b, struct str octets, const struct pack_letter *l)
{
	size_t at = pack_letter_begin(b);
	buf_puts(b, octets);
	pack_letter_end(b, at, l);
}

static void
what_is_put_comes_out(void **state)
{
	struct buf b = BUF_INIT(1u << 20);
	struct pack_letter l, none = { 0 };
	struct wire w;
	pack_begin(&b);
	put(&b, STR("A: b\r\n\r\nc"), &good);
	put(&b, STR(""), &none);
	assert_false(b.failed);
	assert_true(pack_open(buf_str(&b), &w));
	assert_true(pack_next(&w, &l));
	assert_true(str_eq(l.octets, STR("A: b\r\n\r\nc")));
	assert_true(str_eq(l.key, good.key) && str_eq(l.was, good.was));
	assert_true(str_eq(l.value, good.value) && str_eq(l.where, good.where));
	assert_true(l.there && l.time_ms == good.time_ms && l.flags == 31 && l.header_len == 6);
	assert_true(pack_next(&w, &l));
	assert_true(l.octets.len == 0 && l.key.len == 0 && !l.there);
	assert_false(pack_next(&w, &l));
	assert_false(w.bad);
	buf_done(&b);
}

static void
what_is_cut_short_is_bad(void **state)
{
	struct buf b = BUF_INIT(1u << 20);
	pack_begin(&b);
	size_t first = b.len;
	put(&b, STR("A: b\r\n\r\nc"), &good);
	for (size_t n = 0; n < b.len; n++) {
		/* A copy of exactly so much, for the sanitizers. */
		char *copy = malloc(n + 1);
		struct pack_letter l;
		struct wire w;
		assert_non_null(copy);
		memcpy(copy, b.p, n);
		bool open = pack_open(str_n(copy, n), &w);
		assert_int_equal(open, n >= first);
		if (open) {
			assert_false(pack_next(&w, &l));
			assert_int_equal(w.bad, n > first);
		}
		free(copy);
	}
	buf_done(&b);
}

static void
values_are_checked(void **state)
{
	struct pack_letter bad[6];
	static char large[PACK_WHERE_MAX + 1];
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		bad[i] = good;
	bad[0].header_len = 10;
	bad[1].flags = PACK_FLAGS_MAX + 1;
	bad[2].time_ms = PACK_TIME_MAX + 1;
	bad[3].key = STR("short");
	bad[4].value = str_n(large, PACK_MARK_MAX + 1);
	bad[5].where = str_n(large, sizeof(large));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf b = BUF_INIT(1u << 20);
		struct pack_letter l;
		struct wire w;
		pack_begin(&b);
		put(&b, STR("A: b\r\n\r\nc"), &bad[i]);
		assert_true(pack_open(buf_str(&b), &w));
		assert_false(pack_next(&w, &l));
		assert_true(w.bad);
		assert_false(pack_next(&w, &l));
		buf_done(&b);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_comes_out),
		cmocka_unit_test(what_is_cut_short_is_bad),
		cmocka_unit_test(values_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
