#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/crc32c.c" /* both ways, whatever this CPU can */

/* RFC 3720 B.4; its octets stand in network order there, so the words look turned round. */
static const unsigned char read_pdu[48] = {
	0x01,
	0xc0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0x14,
	0,
	0,
	0,
	0,
	0,
	0x04,
	0,
	0,
	0,
	0,
	0x14,
	0,
	0,
	0,
	0x18,
	0x28,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0x02,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
};

static void
each(void check_one(const unsigned char *, size_t, uint32_t))
{
	unsigned char zeros[32] = { 0 }, ones[32], up[32], down[32];
	memset(ones, 0xff, sizeof(ones));
	for (int i = 0; i < 32; i++)
		up[i] = down[31 - i] = (unsigned char)i;
	check_one(zeros, 32, 0x8a9136aa);
	check_one(ones, 32, 0x62a8ab43);
	check_one(up, 32, 0x46dd794e);
	check_one(down, 32, 0x113fdb5c);
	check_one(read_pdu, 48, 0xd9963a56);
	check_one((const unsigned char *)"123456789", 9, 0xe3069283);
	check_one(NULL, 0, 0);
}

static void
at_every_split(const unsigned char *p, size_t n, uint32_t want)
{
	assert_int_equal(crc32c(0, p, n), want);
	for (size_t i = 0; i <= n; i++)
		assert_int_equal(crc32c(crc32c(0, p, i), n ? p + i : p, n - i), want);
}

static void
in_software(const unsigned char *p, size_t n, uint32_t want)
{
	assert_int_equal((uint32_t)~by_table(~0u, p, n), want);
}

static void
vectors(void **state)
{
	each(at_every_split);
}

static void
vectors_without_cpu(void **state)
{
	each(in_software);
}

static void
both_ways_agree(void **state)
{
	unsigned char text[300];
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (unsigned char)(i * 167 + 13);
	for (size_t n = 0; n < sizeof(text) - 8; n++)
		for (size_t at = 0; at < 8; at++)
			in_software(text + at, n, crc32c(0, text + at, n));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(vectors_without_cpu),
		cmocka_unit_test(both_ways_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
