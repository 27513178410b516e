#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "tls/tls.h"

#include <string.h>

#define CONTEXT "TLS 1.3, server CertificateVerify"

static unsigned char tbs[TLS_SIGN_MAX + 1];

static struct str
verify(const char *context, size_t hash)
{
	size_t n = strlen(context) + 1;

	memset(tbs, ' ', 64);
	memcpy(tbs + 64, context, n);
	memset(tbs + 64 + n, 0xa5, hash);
	return str_n(tbs, 64 + n + hash);
}

static struct str
exchange(unsigned type, unsigned group, unsigned len, unsigned first, size_t all)
{
	memset(tbs, 0x5a, sizeof(tbs));
	tbs[64] = (unsigned char)type;
	tbs[65] = (unsigned char)(group >> 8);
	tbs[66] = (unsigned char)group;
	tbs[67] = (unsigned char)len;
	tbs[68] = (unsigned char)first;
	return str_n(tbs, 68 + all);
}

static void
test_certificate_verify(void **state)
{
	assert_true(tls_signable(verify(CONTEXT, 32)));
	assert_true(tls_signable(verify(CONTEXT, 48)));
	for (size_t hash = 0; hash < 200; hash++)
		if (hash != 32 && hash != 48)
			assert_false(tls_signable(verify(CONTEXT, hash)));
	/* A client's signature with a server's key is no front's business. */
	assert_false(tls_signable(verify("TLS 1.3, client CertificateVerify", 32)));
	assert_true(tls_signable_by_client(verify("TLS 1.3, client CertificateVerify", 32)));
	assert_true(tls_signable_by_client(verify("TLS 1.3, client CertificateVerify", 48)));
	assert_false(tls_signable_by_client(verify("TLS 1.3, client CertificateVerify", 47)));
	assert_false(tls_signable_by_client(verify(CONTEXT, 32)));
	assert_false(tls_signable(verify("TLS 1.3, server certificateVerify", 32)));
	assert_false(tls_signable(verify("tls 1.3, server CertificateVerify", 48)));
}

/* Every octet of the fixed part counts, and every length. */
static void
test_every_octet(void **state)
{
	struct str s = verify(CONTEXT, 32);

	for (size_t i = 0; i < 64 + sizeof(CONTEXT); i++) {
		tbs[i] ^= 1;
		assert_false(tls_signable(s));
		tbs[i] ^= 1;
	}
	assert_true(tls_signable(s));
	for (size_t n = 0; n <= s.len; n++)
		assert_int_equal(tls_signable(str_first(s, n)), n == s.len);
}

static const struct {
	unsigned type, group, len, first;
	size_t all;
	bool ok;
} rows[] = {
	{ 3, 23, 65, 4, 65, true },
	{ 3, 24, 97, 4, 97, true },
	{ 3, 25, 133, 4, 133, true },
	{ 3, 29, 32, 4, 32, true },
	{ 3, 29, 32, 0, 32, true },
	{ 3, 23, 65, 4, 64, false },
	{ 3, 23, 65, 4, 66, false },
	{ 3, 23, 64, 4, 64, false },
	{ 3, 23, 33, 2, 33, false }, /* a compressed point */
	{ 3, 23, 65, 2, 65, false },
	{ 3, 23, 97, 4, 97, false },
	{ 1, 23, 65, 4, 65, false }, /* explicit curves */
	{ 2, 23, 65, 4, 65, false },
	{ 3, 22, 65, 4, 65, false },
	{ 3, 30, 56, 4, 56, false },  /* x448 is not offered */
	{ 3, 256, 65, 4, 65, false }, /* ffdhe2048 */
	{ 3, 0x1700, 65, 4, 65, false },
	{ 0, 0, 0, 0, 0, false },
};

static void
test_key_exchange(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str s =
		    exchange(rows[i].type, rows[i].group, rows[i].len, rows[i].first, rows[i].all);
		if (tls_signable(s) != rows[i].ok)
			fail_msg("row %zu", i);
		for (size_t n = 0; n < s.len; n++)
			if (tls_signable(str_first(s, n)) && n < 68u + rows[i].len)
				fail_msg("row %zu cut at %zu", i, n);
	}
}

static void
test_other_things(void **state)
{
	static const char dkim[] = "from:a@example.com\r\nto:b@example.com\r\nsubject:hello there, "
				   "this is what a mail signature covers\r\ndkim-signature:v=1; b=";

	assert_false(tls_signable(STR_NULL));
	assert_false(tls_signable(STR("")));
	for (size_t n = 0; n < sizeof(dkim); n++)
		assert_false(tls_signable(str_n(dkim, n)));
	memset(tbs, ' ', sizeof(tbs));
	for (size_t n = 0; n <= sizeof(tbs); n++)
		assert_false(tls_signable(str_n(tbs, n)));
	memset(tbs, 3, sizeof(tbs));
	for (size_t n = 0; n <= sizeof(tbs); n++)
		assert_false(tls_signable(str_n(tbs, n)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_certificate_verify),
		cmocka_unit_test(test_every_octet),
		cmocka_unit_test(test_key_exchange),
		cmocka_unit_test(test_other_things),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
