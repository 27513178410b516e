#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "crypt/crypt.h"

#include <stdio.h>
#include <stdlib.h>

#define ABC STR("abc")
#define LONG STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")

static void
expect(const char *name, const unsigned char *got, size_t n, const char *want)
{
	char hex[2 * CRYPT_DIGEST_MAX + 1] = "";

	for (size_t i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", got[i]);
	if (strcmp(hex, want) != 0)
		fail_msg("%s: %s, not %s", name, hex, want);
}

/* RFC 1321 A.5, RFC 6234 8.5 (FIPS 180-4). */
static const struct {
	const char *name;
	enum crypt_hash h;
	struct str in;
	const char *want;
} digests[] = {
	{ "MD5 of nothing", CRYPT_MD5, { NULL, 0 }, "d41d8cd98f00b204e9800998ecf8427e" },
	{ "MD5", CRYPT_MD5, ABC, "900150983cd24fb0d6963f7d28e17f72" },
	{ "SHA-1", CRYPT_SHA1, ABC, "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ "SHA-1, two blocks", CRYPT_SHA1, LONG, "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
	{ "SHA-256", CRYPT_SHA256, ABC,
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "SHA-256 of nothing", CRYPT_SHA256, { NULL, 0 },
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "SHA-256, two blocks", CRYPT_SHA256, LONG,
	    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	{ "SHA-384", CRYPT_SHA384, ABC,
	    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
	    "8086072ba1e7cc2358baeca134c825a7" },
	{ "SHA-512", CRYPT_SHA512, ABC,
	    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
};

static void
test_digests(void **state)
{
	unsigned char out[CRYPT_DIGEST_MAX];

	for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
		crypt_digest(digests[i].h, digests[i].in, out);
		expect(digests[i].name, out, crypt_hash_size(digests[i].h), digests[i].want);
	}
	/* In pieces. */
	for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
		struct crypt_sum *s = crypt_sum_new(digests[i].h);
		for (size_t k = 0; k < digests[i].in.len; k += 3)
			crypt_sum_add(s, str_first(str_skip(digests[i].in, k), 3));
		assert_null(crypt_sum_end(s, out));
		expect(digests[i].name, out, crypt_hash_size(digests[i].h), digests[i].want);
	}
	assert_null(crypt_sum_end(crypt_sum_new(CRYPT_SHA256), NULL));
}

#define TEN(c) c c c c c c c c c c
#define KEY20 STR(TEN("\xaa") TEN("\xaa"))
#define KEY80                                                                                      \
	STR(TEN("\xaa") TEN("\xaa") TEN("\xaa") TEN("\xaa") TEN("\xaa") TEN("\xaa") TEN("\xaa")    \
		TEN("\xaa"))
#define DATA50 STR(TEN("\xdd") TEN("\xdd") TEN("\xdd") TEN("\xdd") TEN("\xdd"))
#define LARGER STR("Test Using Larger Than Block-Size Key - Hash Key First")

/* RFC 2202, RFC 4231. */
static const struct {
	const char *name;
	enum crypt_hash h;
	struct str key, in;
	const char *want;
} macs[] = {
	{ "MD5", CRYPT_MD5, STR("Jefe"), STR("what do ya want for nothing?"),
	    "750c783e6ab0b503eaa86e310a5db738" },
	{ "MD5, long key", CRYPT_MD5, KEY80, LARGER, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd" },
	{ "SHA-1", CRYPT_SHA1, STR("Jefe"), STR("what do ya want for nothing?"),
	    "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
	{ "SHA-1, long key", CRYPT_SHA1, KEY80, LARGER,
	    "aa4ae5e15272d00e95705637ce8a3b55ed402112" },
	{ "SHA-256", CRYPT_SHA256, STR("Jefe"), STR("what do ya want for nothing?"),
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ "SHA-256, octets", CRYPT_SHA256, KEY20, DATA50,
	    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	{ "SHA-384", CRYPT_SHA384, STR("Jefe"), STR("what do ya want for nothing?"),
	    "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
	    "8e2240ca5e69e2c78b3239ecfab21649" },
	{ "SHA-512", CRYPT_SHA512, STR("Jefe"), STR("what do ya want for nothing?"),
	    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
	    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737" },
	{ "no key, no text", CRYPT_SHA256, { NULL, 0 }, { NULL, 0 },
	    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad" },
};

static void
test_hmac(void **state)
{
	unsigned char out[CRYPT_DIGEST_MAX];

	for (size_t i = 0; i < ARRAY_LEN(macs); i++) {
		crypt_hmac(macs[i].h, macs[i].key, macs[i].in, out);
		expect(macs[i].name, out, crypt_hash_size(macs[i].h), macs[i].want);
	}
}

/* RFC 6070, RFC 7914 11. */
static const struct {
	enum crypt_hash h;
	struct str password, salt;
	uint32_t rounds;
	size_t n;
	const char *want;
} derived[] = {
	{ CRYPT_SHA1, STR("password"), STR("salt"), 1, 20,
	    "0c60c80f961f0e71f3a9b524af6012062fe037a6" },
	{ CRYPT_SHA1, STR("password"), STR("salt"), 4096, 20,
	    "4b007901b765489abead49d926f721d065a429c1" },
	{ CRYPT_SHA1, STR("passwordPASSWORDpassword"), STR("saltSALTsaltSALTsaltSALTsaltSALTsalt"),
	    4096, 25, "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038" },
	{ CRYPT_SHA1, STR("pass\0word"), STR("sa\0lt"), 4096, 16,
	    "56fa6aa75548099dcc37d7f03425e0c3" },
	{ CRYPT_SHA256, STR("passwd"), STR("salt"), 1, 64,
	    "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
	    "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783" },
};

static void
test_pbkdf2(void **state)
{
	unsigned char out[CRYPT_DIGEST_MAX];

	for (size_t i = 0; i < ARRAY_LEN(derived); i++) {
		crypt_pbkdf2(derived[i].h, derived[i].password, derived[i].salt, derived[i].rounds,
		    out, derived[i].n);
		expect("PBKDF2", out, derived[i].n, derived[i].want);
	}
}

static void
test_equal(void **state)
{
	assert_true(crypt_equal(STR_NULL, STR("")));
	assert_true(crypt_equal(STR("a\0b"), STR("a\0b")));
	assert_false(crypt_equal(STR("a\0b"), STR("a\0c")));
	assert_false(crypt_equal(STR("a"), STR("ab")));
	assert_false(crypt_equal(STR_NULL, STR("a")));
}

static int
begin(void **state)
{
	crypt_init();
	crypt_init();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_pbkdf2),
		cmocka_unit_test(test_equal),
	};
	return cmocka_run_group_tests(tests, begin, NULL);
}
