#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/check.h"
#include "crypt/verify.h"
#include "sasl/sasl.h"

#include <stdlib.h>
#include <string.h>

/* Tokens: the examples of RFC 7515, and tokens of our own with everything that can be wrong. */

#define RFC_CLAIMS                                                                                 \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"                         \
	"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define RFC_EXP 1300819380
#define A1 "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_CLAIMS
#define A1_SIG "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define A1_K                                                                                       \
	"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define A2 "eyJhbGciOiJSUzI1NiJ9." RFC_CLAIMS
#define A2_SIG                                                                                     \
	"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W" \
	"2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS" \
	"jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv" \
	"Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define A2_N                                                                                       \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt" \
	"0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX" \
	"ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5" \
	"IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define A3 "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS
#define A3_SIG                                                                                     \
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define A3_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define A3_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"

#define OCT "{\"kty\":\"oct\",\"k\":\"" A1_K "\"}"
#define RSA "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAB\"}"
#define EC "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\"}"
#define SET(keys) "{\"keys\":[" keys "]}"

#define RSA_PEM                                                                                    \
	"-----BEGIN PUBLIC KEY-----\n"                                                             \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"                       \
	"NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"                       \
	"P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n"                       \
	"9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"                       \
	"EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n"                       \
	"FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n"                       \
	"oQIDAQAB\n"                                                                               \
	"-----END PUBLIC KEY-----\n"
#define EC_PEM                                                                                     \
	"-----BEGIN PUBLIC KEY-----\n"                                                             \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"                       \
	"6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"                           \
	"-----END PUBLIC KEY-----\n"
#define RSA1024_PEM                                                                                \
	"-----BEGIN PUBLIC KEY-----\n"                                                             \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCj0N886HDQD/5NRUxpDjBKMTwc\n"                       \
	"47p67AVRuCHqRkUgWzZrIB7a26pc1bm/IUnEyb3ooElXO+z7g//A0jf0lzS4EVgN\n"                       \
	"GjQmqKb9Qc5ksk7PHOr7r4OF0lN/72aGUfMZFXsJtkkCgUKHNUXuMkXekIJW2OQb\n"                       \
	"OM6lQ86LokgUu7enfQIDAQAB\n"                                                               \
	"-----END PUBLIC KEY-----\n"
#define P384_PEM                                                                                   \
	"-----BEGIN PUBLIC KEY-----\n"                                                             \
	"MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEEBAAVO6HbdSwdgExDembSZqGH9J+OHgr\n"                       \
	"jIV7p3tMBxsynFyrps190q3HNASTHP7/yJFSd86jprlcCDMyQKkGNzHDTSG+84Oc\n"                       \
	"o27rGlrGywuADBFu5pifF/5GaArhdNIa\n"                                                       \
	"-----END PUBLIC KEY-----\n"

static char last_why[512];

/* The token and the keys in memory of just their sizes. */
static bool
check_jwt(struct sasl_jwt_conf conf, struct str token, int64_t now, char name[SASL_NAME_MAX])
{
	struct buf why = BUF_INIT(sizeof(last_why));
	char *copy = xmemdup(token.len ? token.p : "", token.len ? token.len : 1);
	char *keys = xmemdup(conf.keys.len ? conf.keys.p : "", conf.keys.len ? conf.keys.len : 1);
	conf.keys.p = keys;
	bool ok = sasl_jwt_check(&conf, str_n(copy, token.len), now, name, &why);
	assert_int_equal(ok, why.len == 0);
	assert_true(str_copy(last_why, sizeof(last_why), buf_str(&why)));
	buf_done(&why);
	free(copy);
	free(keys);
	return ok;
}

static const struct vector {
	const char *name, *keys, *token;
	bool good;
} vectors[] = {
	{ "A.1", OCT, A1 "." A1_SIG, true },
	{ "A.2", RSA, A2 "." A2_SIG, true },
	{ "A.3", EC, A3 "." A3_SIG, true },
	{ "A.1, set", SET(RSA "," EC "," OCT), A1 "." A1_SIG, true },
	{ "A.2, set", SET(OCT "," EC "," RSA), A2 "." A2_SIG, true },
	{ "A.3, set", SET(RSA "," OCT "," EC), A3 "." A3_SIG, true },
	{ "A.2, PEM", RSA_PEM, A2 "." A2_SIG, true },
	{ "A.3, PEM", "# ours\n" EC_PEM, A3 "." A3_SIG, true },
	{ "A.2, two PEMs", EC_PEM RSA_PEM, A2 "." A2_SIG, true },
	{ "A.2, a PEM that is none first",
	    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" RSA_PEM, A2 "." A2_SIG,
	    true },
	{ "A.1, another key", SET(RSA "," EC), A1 "." A1_SIG, false },
	{ "A.2, another key", SET(OCT "," EC), A2 "." A2_SIG, false },
	{ "A.3, another key", SET(OCT "," RSA), A3 "." A3_SIG, false },
	{ "A.2, signature of A.3", SET(RSA "," EC), A2 "." A3_SIG, false },
	{ "A.3, signature of A.1", EC, A3 "." A1_SIG, false },
	{ "A.3, signature too long", EC, A3 "." A3_SIG "AAAA", false },
	{ "A.1, no signature", OCT, A1 ".", false },
	{ "A.1, two parts", OCT, A1, false },
	{ "A.1, four parts", OCT, A1 "." A1_SIG ".", false },
	{ "A.1, padded", OCT, A1 "." A1_SIG "=", false },
	{ "A.1, for encryption", "{\"use\":\"enc\",\"kty\":\"oct\",\"k\":\"" A1_K "\"}",
	    A1 "." A1_SIG, false },
	{ "A.1, for another algorithm", "{\"alg\":\"HS512\",\"kty\":\"oct\",\"k\":\"" A1_K "\"}",
	    A1 "." A1_SIG, false },
	{ "A.2, key of an algorithm",
	    "{\"alg\":\"RS256\",\"use\":\"sig\",\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAB\"}",
	    A2 "." A2_SIG, true },
	{ "A.2, exponent 1", "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQ\"}", A2 "." A2_SIG,
	    false },
	{ "A.3, off the curve",
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "\",\"y\":\"" A3_X "\"}",
	    A3 "." A3_SIG, false },
	{ "A.3, of another curve",
	    "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\"}",
	    A3 "." A3_SIG, false },
	{ "short RSA", RSA1024_PEM, A2 "." A2_SIG, false },
	{ "P-384", P384_PEM, A3 "." A3_SIG, false },
	{ "no keys", "", A1 "." A1_SIG, false },
	{ "empty set", SET(""), A1 "." A1_SIG, false },
	{ "no JSON", "{\"keys\":[", A1 "." A1_SIG, false },
	{ "keys no list", "{\"keys\":3}", A1 "." A1_SIG, false },
	{ "keys of nothing", "{\"keys\":[1,\"a\",null,{},[]]}", A1 "." A1_SIG, false },
	{ "short secret", "secret:0123456789012345678901234567890", A1 "." A1_SIG, false },
};

static void
test_vectors(void **state)
{
	char name[SASL_NAME_MAX];
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct sasl_jwt_conf conf = { .keys = str_of(v->keys), .claim = "iss" };
		bool good = check_jwt(conf, str_of(v->token), RFC_EXP - 1, name);
		if (good != v->good)
			fail_msg("%s: %s", v->name, last_why);
		if (good)
			assert_string_equal(name, "joe");
		assert_false(check_jwt(conf, str_of(v->token), RFC_EXP, name));
	}
}

/* Any octet changed and any end cut off makes it bad. */
static void
test_damage(void **state)
{
	static const char *const tokens[] = { A1 "." A1_SIG, A3 "." A3_SIG };
	struct sasl_jwt_conf conf = { .keys = STR(SET(OCT "," EC)), .claim = "iss" };
	char name[SASL_NAME_MAX];
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		char *t = xstrdup(tokens[i]);
		size_t len = strlen(t);
		for (size_t n = 0; n < len; n++) {
			assert_false(check_jwt(conf, str_n(t, n), RFC_EXP - 1, name));
			char was = t[n];
			t[n] = was == 'A' ? 'B' : 'A';
			/* Of the last character of a part some bits may say nothing: those
			 * are refused, too. */
			assert_false(check_jwt(conf, str_n(t, len), RFC_EXP - 1, name));
			t[n] = was;
		}
		free(t);
	}
}

/* --- tokens of our own --- */

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW 1700000000

static void
url64(struct buf *out, struct str s)
{
	struct buf b = BUF_INIT(1 << 20);
	base64_enc(&b, s);
	for (size_t i = 0; i < b.len && b.p[i] != '='; i++)
		buf_putc(out, b.p[i] == '+' ? '-' : b.p[i] == '/' ? '_' : b.p[i]);
	buf_done(&b);
}

static void
make(struct buf *out, struct str header, struct str claims, struct str secret)
{
	unsigned char mac[CRYPT_DIGEST_MAX];
	url64(out, header);
	buf_putc(out, '.');
	url64(out, claims);
	crypt_hmac(CRYPT_SHA256, secret, buf_str(out), mac);
	buf_putc(out, '.');
	url64(out, str_n(mac, 32));
}

#define HS STR("{\"alg\":\"HS256\"}")
#define EXP "\"exp\":1700000001"

static const struct claim_row {
	const char *why; /* part of it; NULL: good */
	struct str header, claims;
	const char *issuer, *audience, *claim;
} claims[] = {
	{ NULL, HS, STR("{" EXP ",\"email\":\"al@example.com\"}") },
	{ NULL, STR("{\"typ\":\"at+jwt\",\"alg\":\"HS256\",\"kid\":\"x\"}"),
	    STR("{" EXP ",\"email\":\"al@example.com\"}") },
	{ NULL, HS, STR("{\"exp\":1700000000.5,\"email\":\"al@example.com\"}") },
	{ NULL, HS, STR("{" EXP ",\"nbf\":1700000060,\"email\":\"al@example.com\"}") },
	{ NULL, HS, STR("{" EXP ",\"email_verified\":true,\"email\":\"al@example.com\"}") },
	{ NULL, HS, STR("{" EXP ",\"email_verified\":\"true\",\"email\":\"al@example.com\"}") },
	{ NULL, HS, STR("{" EXP ",\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"al@example.com\"}"), "i",
	    "a", "sub" },
	{ NULL, HS, STR("{" EXP ",\"aud\":[1,\"b\",\"a\"],\"email\":\"al@example.com\"}"), "",
	    "a" },
	{ "three parts", STR(""), STR("") },
	{ "header is no JSON", STR("[]"), STR("{}") },
	{ "header is no JSON", STR("{\"alg\":\"HS256\"} x"), STR("{}") },
	{ "header is no JSON", STR("{\"alg\":\"none\",\"alg\":\"HS256\"}"), STR("{}") },
	{ "algorithm", STR("{}"), STR("{}") },
	{ "algorithm", STR("{\"alg\":\"none\"}"), STR("{" EXP ",\"email\":\"al@example.com\"}") },
	{ "algorithm", STR("{\"alg\":\"hs256\"}"), STR("{}") },
	{ "algorithm", STR("{\"alg\":\"HS512\"}"), STR("{}") },
	{ "algorithm", STR("{\"alg\":5}"), STR("{}") },
	{ "header is no JSON", STR("{\"alg\":\"HS256\\u0000\"}"), STR("{}") },
	{ "no key", STR("{\"alg\":\"RS256\"}"), STR("{}") },
	{ "extensions", STR("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}"), STR("{}") },
	{ "claims are no JSON", HS, STR("[]") },
	{ "claims are no JSON", HS, STR("[[[[[[[[[[]]]]]]]]]]") },
	{ "claims are no JSON", HS, STR("{\"a\":[[[[[[[[[[]]]]]]]]]],\"exp\":1}") },
	{ "when it expires", HS, STR("{\"email\":\"al@example.com\"}") },
	{ "expired", HS, STR("{\"exp\":1700000000,\"email\":\"al@example.com\"}") },
	{ "expired", HS, STR("{\"exp\":-1,\"email\":\"al@example.com\"}") },
	{ "no numbers", HS, STR("{\"exp\":\"1700000001\",\"email\":\"al@example.com\"}") },
	{ "no numbers", HS, STR("{" EXP ",\"nbf\":true,\"email\":\"al@example.com\"}") },
	{ "not good yet", HS, STR("{" EXP ",\"nbf\":1700000061,\"email\":\"al@example.com\"}") },
	{ "issuer", HS, STR("{" EXP ",\"email\":\"al@example.com\"}"), "i" },
	{ "issuer", HS, STR("{" EXP ",\"iss\":\"I\",\"email\":\"al@example.com\"}"), "i" },
	{ "audience", HS, STR("{" EXP ",\"email\":\"al@example.com\"}"), "", "a" },
	{ "audience", HS, STR("{" EXP ",\"aud\":[],\"email\":\"al@example.com\"}"), "", "a" },
	{ "audience", HS, STR("{" EXP ",\"aud\":{\"a\":1},\"email\":\"al@example.com\"}"), "",
	    "a" },
	{ "not verified", HS, STR("{" EXP ",\"email_verified\":false,\"email\":\"a@b\"}") },
	{ "not verified", HS, STR("{" EXP ",\"email_verified\":\"false\",\"email\":\"a@b\"}") },
	{ "names nobody", HS, STR("{" EXP "}") },
	{ "names nobody", HS, STR("{" EXP ",\"email\":\"\"}") },
	{ "names nobody", HS, STR("{" EXP ",\"email\":[\"a\"]}") },
	{ "control characters", HS, STR("{" EXP ",\"email\":\"a\\nb\"}") },
};

static void
test_claims(void **state)
{
	char name[SASL_NAME_MAX];
	for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
		const struct claim_row *r = &claims[i];
		struct buf t = BUF_INIT(1 << 16);
		struct sasl_jwt_conf conf = { .keys = STR("secret:" SECRET "\n"),
			.issuer = str_of(r->issuer),
			.audience = str_of(r->audience),
			.claim = r->claim ? r->claim : "email" };
		if (r->header.len)
			make(&t, r->header, r->claims, STR(SECRET));
		bool good = check_jwt(conf, buf_str(&t), NOW, name);
		if (good != !r->why || (r->why && !strstr(last_why, r->why)))
			fail_msg("row %zu: %s", i, last_why);
		if (good)
			assert_string_equal(name, "al@example.com");
		buf_done(&t);
	}
}

/* The public key of RS256 is no secret of HS256, in no form that it has. */
static void
test_confusion(void **state)
{
	static const struct str secrets[] = { STR(RSA_PEM), STR(RSA), STR(A2_N), STR("") };
	char name[SASL_NAME_MAX];
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		struct buf t = BUF_INIT(1 << 16);
		make(&t, HS, STR("{" EXP ",\"email\":\"al@example.com\"}"), secrets[i]);
		struct sasl_jwt_conf conf = { .keys = STR(RSA_PEM), .claim = "email" };
		assert_false(check_jwt(conf, buf_str(&t), NOW, name));
		assert_non_null(strstr(last_why, "no key"));
		conf.keys = STR(RSA);
		assert_false(check_jwt(conf, buf_str(&t), NOW, name));
		assert_non_null(strstr(last_why, "no key"));
		buf_done(&t);
	}
}

#define KID(kid, k) "{\"kid\":\"" kid "\",\"kty\":\"oct\",\"k\":\"" k "\"}"
#define K1 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
#define K2 "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA"

static void
test_kid(void **state)
{
	static const struct {
		const char *header, *keys;
		bool good;
	} rows[] = {
		{ "{\"alg\":\"HS256\",\"kid\":\"one\"}", SET(KID("two", K2) "," KID("one", K1)),
		    true },
		{ "{\"alg\":\"HS256\",\"kid\":\"two\"}", SET(KID("two", K2) "," KID("one", K1)),
		    false },
		{ "{\"alg\":\"HS256\",\"kid\":\"three\"}", SET(KID("two", K2) "," KID("one", K1)),
		    false },
		{ "{\"alg\":\"HS256\"}", SET(KID("two", K2) "," KID("one", K1)), true },
		{ "{\"alg\":\"HS256\",\"kid\":\"x\"}", SET("{\"kty\":\"oct\",\"k\":\"" K1 "\"}"),
		    true },
	};
	char name[SASL_NAME_MAX];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf t = BUF_INIT(1 << 16);
		make(&t, str_of(rows[i].header), STR("{" EXP ",\"email\":\"a@b\"}"), STR(SECRET));
		struct sasl_jwt_conf conf = { .keys = str_of(rows[i].keys), .claim = "email" };
		if (check_jwt(conf, buf_str(&t), NOW, name) != rows[i].good)
			fail_msg("row %zu: %s", i, last_why);
		buf_done(&t);
	}
}

static void
test_sizes(void **state)
{
	char name[SASL_NAME_MAX];
	struct sasl_jwt_conf conf = { .keys = STR("secret:" SECRET), .claim = "email" };
	for (size_t n = SASL_NAME_MAX - 1; n <= SASL_NAME_MAX; n++) {
		struct buf c = BUF_INIT(1 << 16), t = BUF_INIT(1 << 16);
		buf_putz(&c, "{" EXP ",\"email\":\"");
		for (size_t i = 0; i < n; i++)
			buf_putc(&c, 'x');
		buf_putz(&c, "\"}");
		make(&t, HS, buf_str(&c), STR(SECRET));
		assert_int_equal(check_jwt(conf, buf_str(&t), NOW, name), n < SASL_NAME_MAX);
		buf_done(&c);
		buf_done(&t);
	}
	char *big = xalloc(300u << 10);
	memset(big, 'A', 300u << 10);
	assert_false(check_jwt(conf, str_n(big, SASL_MESSAGE_MAX + 1), NOW, name));
	assert_non_null(strstr(last_why, "too long"));
	conf.keys = str_n(big, 300u << 10);
	assert_false(check_jwt(conf, STR(A1 "." A1_SIG), NOW, name));
	assert_non_null(strstr(last_why, "larger"));
	free(big);
}

static void
test_pubkeys(void **state)
{
	struct str pem = STR(EC_PEM RSA1024_PEM RSA_PEM "-----BEGIN PUBLIC KEY-----\nMII");
	struct crypt_pubkey *k = crypt_pubkey_pem(&pem);
	assert_non_null(k);
	assert_int_equal(crypt_pubkey_kind(k), CRYPT_PUBKEY_P256);
	assert_false(crypt_verify(k, STR("x"), STR("")));
	k = crypt_pubkey_free(k);
	assert_null(crypt_pubkey_pem(&pem));
	k = crypt_pubkey_pem(&pem);
	assert_non_null(k);
	assert_int_equal(crypt_pubkey_kind(k), CRYPT_PUBKEY_RSA);
	assert_false(crypt_verify(k, STR("x"), STR("")));
	assert_false(crypt_verify(k, STR(""), STR("short")));
	k = crypt_pubkey_free(k);
	assert_null(crypt_pubkey_pem(&pem));
	assert_int_equal(pem.len, 0);
	assert_null(crypt_pubkey_rsa(STR(""), STR("\1\0\1")));
	assert_null(crypt_pubkey_p256(STR(""), STR("")));
}

static int
init(void **state)
{
	crypt_init();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_confusion),
		cmocka_unit_test(test_kid),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_pubkeys),
	};
	return cmocka_run_group_tests(tests, init, NULL);
}
