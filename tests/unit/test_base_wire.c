#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"

#include <stdlib.h>

static void
put_all(struct buf *b)
{
	put_u8(b, 0xab);
	put_u16(b, 0x1234);
	put_u32(b, 0xdeadbeef);
	put_u64(b, 0x0123456789abcdef);
	put_u8(b, 1);
	put_str(b, STR("text"));
	put_str(b, STR_NULL);
	buf_putz(b, "xyz");
}

/* Reads what put_all() wrote; every value that comes out is right or zero. */
static bool
get_all(struct str s)
{
	struct wire w = wire_of(s);
	uint8_t a = get_u8(&w);
	assert_int_equal(a, w.bad ? 0 : 0xab);
	uint16_t b = get_u16(&w);
	assert_int_equal(b, w.bad ? 0 : 0x1234);
	uint32_t c = get_u32(&w);
	assert_int_equal(c, w.bad ? 0 : 0xdeadbeef);
	uint64_t d = get_u64(&w);
	assert_true(d == (w.bad ? 0 : 0x0123456789abcdef));
	bool e = get_bool(&w);
	assert_int_equal(e, !w.bad);
	struct str f = get_str(&w, 4);
	assert_true(str_eq(f, w.bad ? STR("") : STR("text")));
	struct str g = get_str(&w, 0);
	assert_int_equal(g.len, 0);
	struct str h = get_bytes(&w, 3);
	assert_true(str_eq(h, w.bad ? STR("") : STR("xyz")));
	return wire_done(&w);
}

static void
round_trip(void **state)
{
	struct buf b = BUF_INIT(1000);
	put_all(&b);
	assert_false(b.failed);
	assert_memory_equal(b.p,
	    "\xab\x12\x34\xde\xad\xbe\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\0\0\0\4text\0\0\0\0xy"
	    "z",
	    b.len);
	for (size_t n = 0; n <= b.len; n++) {
		char *p =
		    xmemdup(b.p, n); /* of just that size, so that a look past the end is seen */
		assert_int_equal(get_all(str_n(p, n)), n == b.len);
		free(p);
	}
	buf_putc(&b, '!');
	assert_false(get_all(buf_str(&b)));
	buf_done(&b);
}

static void
bad_stays_bad(void **state)
{
	struct wire w = wire_of(STR("\0\0\0\5abcdefgh"));
	assert_int_equal(get_str(&w, 4).len, 0); /* longer than allowed */
	assert_true(w.bad);
	assert_int_equal(get_u8(&w), 0);
	assert_int_equal(get_rest(&w).len, 0);
	assert_false(wire_done(&w));
	w = wire_of(STR("\xff\xff\xff\xff"
			"abc"));
	assert_int_equal(get_str(&w, SIZE_MAX).len, 0);
	assert_true(w.bad);
	w = wire_of(STR("\2"));
	assert_false(get_bool(&w));
	assert_true(w.bad);
	w = wire_of(STR("ab"));
	assert_int_equal(get_bytes(&w, SIZE_MAX).len, 0);
	assert_true(w.bad);
}

static void
the_rest(void **state)
{
	struct wire w = wire_of(STR("\7rest"));
	assert_int_equal(get_u8(&w), 7);
	assert_false(wire_done(&w));
	assert_true(str_eq(get_rest(&w), STR("rest")));
	assert_true(wire_done(&w));
	w = wire_of(STR_NULL);
	assert_true(wire_done(&w));
	assert_int_equal(get_rest(&w).len, 0);
	assert_true(wire_done(&w));
}

static void
fixed_places(void **state)
{
	unsigned char p[9] = { 0 };
	be32_put(p + 1, 0x01020304); /* not aligned */
	assert_memory_equal(p + 1, "\1\2\3\4", 4);
	assert_int_equal(be32_get(p + 1), 0x01020304);
	be64_put(p + 1, 0x0102030405060708);
	assert_memory_equal(p + 1, "\1\2\3\4\5\6\7\10", 8);
	assert_true(be64_get(p + 1) == 0x0102030405060708);
}

static void
a_full_buffer_fails(void **state)
{
	for (size_t max = 0; max < 31; max++) {
		struct buf b = BUF_INIT(max);
		put_all(&b);
		assert_true(b.failed && b.len <= max);
		buf_done(&b);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(bad_stays_bad),
		cmocka_unit_test(the_rest),
		cmocka_unit_test(fixed_places),
		cmocka_unit_test(a_full_buffer_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
