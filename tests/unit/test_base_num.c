#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/num.h"

#define NO UINT64_MAX /* refused; no row wants this value but the ones that say so */

struct row {
	const char *in;
	uint64_t value;
};

static void
run(const struct row *rows, size_t n, bool parse(struct str, uint64_t *))
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = 4711;
		bool ok = parse(str_of(rows[i].in), &v);
		if (ok != (rows[i].value != NO) || v != (ok ? rows[i].value : 4711))
			fail_msg("%s: %d %llu", rows[i].in, ok, (unsigned long long)v);
	}
}

static bool
any_u64(struct str s, uint64_t *ret)
{
	return num_u64(s, UINT64_MAX, ret);
}

static void
decimal(void **state)
{
	static const struct row rows[] = {
		{ "0", 0 },
		{ "007", 7 },
		{ "18446744073709551614", UINT64_MAX - 1 },
		{ "18446744073709551616", NO },
		{ "99999999999999999999", NO },
		{ "000000000000000000000000000001", 1 },
		{ "", NO },
		{ "-1", NO },
		{ "+1", NO },
		{ " 1", NO },
		{ "1 ", NO },
		{ "1a", NO },
		{ "0x1", NO },
		{ "1.0", NO },
		{ "/", NO },
		{ ":", NO },
	};
	run(rows, ARRAY_LEN(rows), any_u64);
	uint64_t v = 0;
	assert_true(any_u64(STR("18446744073709551615"), &v) && v == UINT64_MAX);
	assert_true(num_u64(STR("10"), 10, &v) && v == 10);
	assert_false(num_u64(STR("11"), 10, &v));
	assert_false(num_u64(STR("1\0"), 10, &v));
	assert_false(num_u64(STR_NULL, 10, &v));
	assert_int_equal(v, 10);
}

static void
hexadecimal(void **state)
{
	static const struct row rows[] = {
		{ "0", 0 },
		{ "ff", 255 },
		{ "Ff", 255 },
		{ "00000000000000ff", 255 },
		{ "fffffffffffffffe", UINT64_MAX - 1 },
		{ "000000000000000ff", NO },
		{ "", NO },
		{ "g", NO },
		{ "0x1", NO },
		{ "-1", NO },
		{ "@", NO },
		{ "`", NO },
	};
	run(rows, ARRAY_LEN(rows), num_hex);
}

static void
sizes(void **state)
{
	static const struct row rows[] = {
		{ "0", 0 },
		{ "12", 12 },
		{ "1K", 1024 },
		{ "1k", 1024 },
		{ "2M", 2 << 20 },
		{ "3g", 3ull << 30 },
		{ "17179869183G", 17179869183ull << 30 },
		{ "17179869184G", NO },
		{ "K", NO },
		{ "1KB", NO },
		{ "1T", NO },
		{ "1 K", NO },
		{ "", NO },
		{ "-1K", NO },
	};
	run(rows, ARRAY_LEN(rows), num_size);
}

static void
seconds(void **state)
{
	static const struct row rows[] = {
		{ "0", 0 },
		{ "12", 12 },
		{ "12s", 12 },
		{ "2m", 120 },
		{ "3H", 10800 },
		{ "4d", 345600 },
		{ "213503982334601d", 213503982334601ull * 86400 },
		{ "213503982334602d", NO },
		{ "s", NO },
		{ "1w", NO },
		{ "1ms", NO },
		{ "", NO },
	};
	run(rows, ARRAY_LEN(rows), num_seconds);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(decimal),
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(sizes),
		cmocka_unit_test(seconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
