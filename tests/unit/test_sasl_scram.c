#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/check.h"
#include "sasl/sasl.h"

#include <stdlib.h>
#include <string.h>

/* Verifiers, and the messages of SCRAM as a client of our own writes them, right and wrong. */

#define USER "user"
#define PASSWORD "pencil"
#define TLS_BINDING "0123456789abcdef"

static const struct vector {
	enum crypt_hash hash;
	const char *salt, *first, *server, *final, *proof, *signature;
} vectors[] = {
	/* RFC 5802 5 */
	{ CRYPT_SHA1, "QSXCR+Q6sek8bf92", "n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
	    "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
	/* RFC 7677 3 */
	{ CRYPT_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", "n=user,r=rOprNGfwEbeRWgbNEkqO",
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
	    "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	    "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void
decode(struct buf *b, struct str s)
{
	buf_reset(b);
	assert_true(base64_dec(b, s));
}

/* H(proof XOR HMAC(StoredKey, AuthMessage)) is StoredKey again (RFC 5802 3). */
static void
test_vectors(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct sasl_scram s;
		struct buf b = BUF_INIT(4096), auth = BUF_INIT(4096);
		unsigned char mac[CRYPT_DIGEST_MAX], got[CRYPT_DIGEST_MAX];
		size_t n = crypt_hash_size(v->hash);
		decode(&b, str_of(v->salt));
		sasl_scram_make(v->hash, STR(PASSWORD), buf_str(&b), 4096, &s);
		buf_putf(&auth, "%s,%s,%s", v->first, v->server, v->final);
		crypt_hmac(v->hash, str_n(s.server_key, n), buf_str(&auth), mac);
		decode(&b, str_of(v->signature));
		assert_true(str_eq(buf_str(&b), str_n(mac, n)));
		crypt_hmac(v->hash, str_n(s.stored_key, n), buf_str(&auth), mac);
		decode(&b, str_of(v->proof));
		assert_int_equal(b.len, n);
		for (size_t k = 0; k < n; k++)
			mac[k] ^= (unsigned char)b.p[k];
		crypt_digest(v->hash, str_n(mac, n), got);
		assert_memory_equal(got, s.stored_key, n);
		buf_done(&b);
		buf_done(&auth);
	}
}

static bool
same(const struct sasl_scram *a, const struct sasl_scram *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void
test_text(void **state)
{
	static const char *const bad[] = { "", "SCRAM-SHA-1", "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92",
		"SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=",
		"SCRAM-SHA-1$4095:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:"
		"D+CSWLOshSulAsxiupA+qs2/fTE=",
		"SCRAM-SHA-1$1000001:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:"
		"D+CSWLOshSulAsxiupA+qs2/fTE=",
		"SCRAM-SHA-1$4096:$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=",
		"SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7v:D+CSWLOshSulAsxiupA+"
		"qs2/"
		"fTE=",
		"SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:"
		"D+CSWLOshSulAsxiupA+qs2/fTE=x",
		"SCRAM-SHA-512$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:"
		"D+CSWLOshSulAsxiupA+qs2/fTE=",
		"SCRAM-SHA-256$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:"
		"D+CSWLOshSulAsxiupA+qs2/fTE=" };
	struct sasl_scram s, got;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (sasl_scram_get(str_of(bad[i]), &got))
			fail_msg("%s", bad[i]);
	for (int i = 0; i < 2; i++) {
		struct buf b = BUF_INIT(1024);
		memset(&s, 0, sizeof(s));
		sasl_scram_make(i ? CRYPT_SHA256 : CRYPT_SHA1, STR("x"),
		    str_n("0123456789abcdef0123456789abcdef", SASL_SALT_MAX), 4097, &s);
		sasl_scram_put(&b, &s);
		assert_true(str_starts(buf_str(&b),
		    i ? STR("SCRAM-SHA-256$4097:") : STR("SCRAM-SHA-1$4097:")));
		assert_true(sasl_scram_get(buf_str(&b), &got));
		assert_int_equal(got.rounds, 4097);
		assert_int_equal(got.salt_len, SASL_SALT_MAX);
		assert_true(same(&s, &got));
		for (size_t n = 0; n < b.len; n++) {
			char *cut = xmemdup(b.p, n ? n : 1);
			assert_false(sasl_scram_get(str_n(cut, n), &got));
			free(cut);
		}
		buf_done(&b);
	}
}

/* RFC 4013 3, as far as we go; and what is no UTF-8 stays as it is. */
static void
test_prepared(void **state)
{
	static const struct {
		struct str a, b;
		bool same;
	} rows[] = {
		{ STR("I\xc2\xadX"), STR("IX"), true },
		{ STR("user\xc2\xa0x"), STR("user x"), true },
		{ STR("\xe3\x80\x80"), STR(" "), true },
		{ STR("a\xef\xbb\xbf\xe2\x80\x8b"), STR("a "), true },
		{ STR("USER"), STR("user"), false },
		{ STR("p\xc3\xa4ss\xf0\x9f\x98\x80"), STR("pass"), false },
		{ STR("I\xc2\xadX\xff"), STR("IX\xff"), false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sasl_scram a, b;
		memset(&a, 0, sizeof(a));
		memset(&b, 0, sizeof(b));
		sasl_scram_make(CRYPT_SHA256, rows[i].a, STR("salt"), 1, &a);
		sasl_scram_make(CRYPT_SHA256, rows[i].b, STR("salt"), 1, &b);
		assert_int_equal(same(&a, &b), rows[i].same);
	}
}

static void
test_made_up(void **state)
{
	struct sasl_scram a, b;
	for (int i = 0; i < 2; i++) {
		enum crypt_hash h = i ? CRYPT_SHA256 : CRYPT_SHA1;
		sasl_scram_made_up(h, STR("secret"), STR("bob"), &a);
		sasl_scram_made_up(h, STR("secret"), STR("bob"), &b);
		assert_true(same(&a, &b));
		assert_int_equal(a.salt_len, SASL_SCRAM_SALT);
		assert_int_equal(a.rounds, SASL_SCRAM_ROUNDS);
		sasl_scram_made_up(h, STR("secret"), STR("bobo"), &b);
		assert_memory_not_equal(a.salt, b.salt, SASL_SCRAM_SALT);
		sasl_scram_made_up(h, STR("Secret"), STR("bob"), &b);
		assert_memory_not_equal(a.salt, b.salt, SASL_SCRAM_SALT);
		assert_memory_not_equal(a.stored_key, b.stored_key, 20);
		assert_memory_not_equal(a.stored_key, a.server_key, 20);
	}
}

/* --- messages --- */

static void
lookup(void *arg, struct str name, struct sasl_account *ret)
{
	*ret = (struct sasl_account){ .known = str_eq(name, STR(USER)), .has_scram256 = true };
	if (ret->known)
		assert_true(str_copy(ret->name, sizeof(ret->name), STR("user@example.com")));
	sasl_scram_make(CRYPT_SHA256, STR(PASSWORD), STR("0123456789abcdef"), 4096, &ret->scram256);
}

static struct sasl *
begin(const char *mech, bool binding)
{
	struct sasl_conf conf = { .service = "smtp", .host = "mail.example.org", .lookup = lookup };
	if (binding)
		conf.binding.exporter = STR(TLS_BINDING);
	return sasl_new(sasl_mech_find(str_of(mech)), &conf);
}

static enum sasl_status
say(struct sasl *s, struct str msg)
{
	char *copy = xmemdup(msg.len ? msg.p : "", msg.len ? msg.len : 1);
	struct str in = { copy, msg.len };
	enum sasl_status r = sasl_step(s, &in);
	free(copy);
	return r;
}

static const struct first_row {
	struct str msg;
	enum sasl_status plain, bound, plus; /* without a binding; with one; -PLUS */
} firsts[] = {
	{ STR("n,,n=user,r=fyko+d2l"), SASL_CHALLENGE, SASL_CHALLENGE, SASL_MALFORMED },
	{ STR("n,a=other,n=user,r=fyko+d2l"), SASL_CHALLENGE, SASL_CHALLENGE, SASL_MALFORMED },
	{ STR("n,a==2C=3D,n==2C=3D,r=fyko"), SASL_CHALLENGE, SASL_CHALLENGE, SASL_MALFORMED },
	{ STR("n,,n=user,r=fyko+d2l,x=more,y=and"), SASL_CHALLENGE, SASL_CHALLENGE,
	    SASL_MALFORMED },
	/* RFC 5802 6: it thinks that we cannot. */
	{ STR("y,,n=user,r=fyko+d2l"), SASL_CHALLENGE, SASL_FAILED, SASL_MALFORMED },
	{ STR("p=tls-exporter,,n=user,r=fyko"), SASL_MALFORMED, SASL_MALFORMED, SASL_CHALLENGE },
	{ STR("p=tls-unique,,n=user,r=fyko"), SASL_MALFORMED, SASL_MALFORMED, SASL_FAILED },
	{ STR("p=,,n=user,r=fyko"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("p=tls exporter,,n=user,r=fyko"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("p,,n=user,r=fyko"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR(""), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=user"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=user,"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=user,r="), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,u=user,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=user,n=user,r=fyko"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,n=user,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,a=,n=user,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,a==41,n=user,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=us=er,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=user=,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,m=x,n=user,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=us\0er,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=user,r=fyko d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=user,r=fyko\x80"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("n,,n=user,r=fyko,more"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("F,n,,n=user,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
	{ STR("N,,n=user,r=fyko+d2l"), SASL_MALFORMED, SASL_MALFORMED, SASL_MALFORMED },
};

static void
test_first(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
		const struct first_row *r = &firsts[i];
		for (int k = 0; k < 3; k++) {
			struct sasl *s =
			    begin(k == 2 ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256", k > 0);
			enum sasl_status want = k == 0 ? r->plain : k == 1 ? r->bound : r->plus;
			enum sasl_status got = say(s, r->msg);
			if (got != want)
				fail_msg("row %zu (%s), way %d: %d", i, r->msg.p, k, got);
			s = sasl_free(s);
		}
	}
}

/* As long as the library takes, and longer. */
static void
test_long_nonce(void **state)
{
	for (size_t n = 1000; n < SASL_MESSAGE_MAX + 2000; n += 1000) {
		struct buf b = BUF_INIT(1 << 16);
		buf_putz(&b, "n,,n=user,r=");
		while (b.len < n)
			buf_putc(&b, 'x');
		struct sasl *s = begin("SCRAM-SHA-256", false);
		assert_int_equal(say(s, buf_str(&b)), n <= 2000 ? SASL_CHALLENGE : SASL_MALFORMED);
		s = sasl_free(s);
		buf_done(&b);
	}
}

/* What a final message is made from; each row changes something. */
struct final {
	const char *header; /* as c= has it, with the binding */
	const char *nonce;  /* put behind the server's */
	const char *before; /* attributes before the proof */
	const char *proof;  /* instead of the right one */
	const char *behind; /* what follows */
	const char *password;
};

/* -PLUS: only with the right binding and flag. */
static const struct final_row {
	const char *name, *first;
	struct final f;
	enum sasl_status status;
} finals[] = {
	{ "right", "n,,", { "n,,", "", "", NULL, "", PASSWORD }, SASL_DONE },
	{ "right, y", "y,,", { "y,,", "", "", NULL, "", PASSWORD }, SASL_DONE },
	{ "an extension", "n,,", { "n,,", "", ",x=more", NULL, "", PASSWORD }, SASL_DONE },
	{ "as somebody", "n,a=staff,", { "n,a=staff,", "", "", NULL, "", PASSWORD }, SASL_DONE },
	{ "wrong password", "n,,", { "n,,", "", "", NULL, "", "pencils" }, SASL_FAILED },
	{ "another header", "n,,", { "y,,", "", "", NULL, "", PASSWORD }, SASL_FAILED },
	{ "another authzid", "n,a=b,", { "n,a=c,", "", "", NULL, "", PASSWORD }, SASL_FAILED },
	{ "a binding with n", "n,,", { "n,,data", "", "", NULL, "", PASSWORD }, SASL_FAILED },
	{ "another nonce", "n,,", { "n,,", "x", "", NULL, "", PASSWORD }, SASL_FAILED },
	{ "short proof", "n,,", { "n,,", "", "", "AAAA", "", PASSWORD }, SASL_FAILED },
	{ "proof no base64", "n,,", { "n,,", "", "", "A", "", PASSWORD }, SASL_MALFORMED },
	{ "no proof", "n,,", { "n,,", "", "", "", "", PASSWORD }, SASL_MALFORMED },
	{ "more behind it", "n,,", { "n,,", "", "", NULL, ",x=y", PASSWORD }, SASL_MALFORMED },
	{ "two proofs", "n,,", { "n,,", "", ",p=AAAA", NULL, "", PASSWORD }, SASL_MALFORMED },
	{ "NUL-like extension", "n,,", { "n,,", "", ",x", NULL, "", PASSWORD }, SASL_MALFORMED },
	{ "bound", "p=tls-exporter,,",
	    { "p=tls-exporter,," TLS_BINDING, "", "", NULL, "", PASSWORD }, SASL_DONE },
	{ "bound to another", "p=tls-exporter,,",
	    { "p=tls-exporter,,0123456789abcdeF", "", "", NULL, "", PASSWORD }, SASL_FAILED },
	{ "bound to less", "p=tls-exporter,,",
	    { "p=tls-exporter,,0123456789abcde", "", "", NULL, "", PASSWORD }, SASL_FAILED },
	{ "bound to nothing", "p=tls-exporter,,",
	    { "p=tls-exporter,,", "", "", NULL, "", PASSWORD }, SASL_FAILED },
};

/* The client's side of RFC 5802 3. */
static void
final_of(struct buf *out, const struct final *f, struct str server, const char *bare)
{
	unsigned char salted[CRYPT_DIGEST_MAX], key[CRYPT_DIGEST_MAX], stored[CRYPT_DIGEST_MAX],
	    sig[CRYPT_DIGEST_MAX];
	struct str left = server, nonce = str_cut(&left, ',');
	struct buf auth = BUF_INIT(4096);
	buf_putz(out, "c=");
	base64_enc(out, str_of(f->header));
	buf_putf(out, "," STR_FMT "%s%s", STR_ARG(nonce), f->nonce, f->before);
	buf_putf(&auth, "%s," STR_FMT "," STR_FMT, bare, STR_ARG(server), STR_ARG(buf_str(out)));
	crypt_pbkdf2(CRYPT_SHA256, str_of(f->password), STR("0123456789abcdef"), 4096, salted, 32);
	crypt_hmac(CRYPT_SHA256, str_n(salted, 32), STR("Client Key"), key);
	crypt_digest(CRYPT_SHA256, str_n(key, 32), stored);
	crypt_hmac(CRYPT_SHA256, str_n(stored, 32), buf_str(&auth), sig);
	for (size_t i = 0; i < 32; i++)
		key[i] ^= sig[i];
	buf_putz(out, ",p=");
	if (f->proof)
		buf_putz(out, f->proof);
	else
		base64_enc(out, str_n(key, 32));
	buf_putz(out, f->behind);
	buf_done(&auth);
}

static void
test_final(void **state)
{
	static const char bare[] = "n=" USER ",r=fyko+d2lbbFgONRv9qkxdawL";
	for (size_t i = 0; i < ARRAY_LEN(finals); i++) {
		const struct final_row *r = &finals[i];
		bool plus = r->first[0] == 'p';
		struct buf b = BUF_INIT(4096), out = BUF_INIT(4096);
		struct sasl *s = begin(plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256", plus);
		buf_putf(&b, "%s%s", r->first, bare);
		assert_int_equal(say(s, buf_str(&b)), SASL_CHALLENGE);
		final_of(&out, &r->f, sasl_out(s), bare);
		enum sasl_status got = say(s, buf_str(&out));
		if (got != r->status)
			fail_msg("%s: %d", r->name, got);
		if (got == SASL_DONE) {
			assert_true(str_starts(sasl_out(s), STR("v=")));
			assert_true(str_eq(sasl_authcid(s), STR("user@example.com")));
			bool as = strncmp(r->first, "n,a=", 4) == 0;
			assert_true(str_eq(sasl_authzid(s), as ? STR("staff") : STR_NULL));
		}
		assert_int_equal(say(s, STR("")), SASL_MALFORMED);
		s = sasl_free(s);
		buf_done(&b);
		buf_done(&out);
	}
}

/* A right proof cut short anywhere gets nobody in. */
static void
test_final_cut(void **state)
{
	static const char bare[] = "n=" USER ",r=fyko";
	struct final f = { "n,,", "", "", NULL, "", PASSWORD };
	for (size_t n = 0;; n++) {
		struct buf out = BUF_INIT(4096);
		struct sasl *s = begin("SCRAM-SHA-256", false);
		assert_int_equal(say(s, STR("n,,n=user,r=fyko")), SASL_CHALLENGE);
		final_of(&out, &f, sasl_out(s), bare);
		bool whole = n == out.len;
		enum sasl_status got = say(s, str_first(buf_str(&out), n));
		assert_int_equal(got == SASL_DONE, whole);
		s = sasl_free(s);
		buf_done(&out);
		if (whole)
			break;
	}
}

static int
open_library(void **state)
{
	struct buf err = BUF_INIT(1024);
	int r = sasl_library_open(NULL, false, &err);
	buf_done(&err);
	return r;
}

static int
close_library(void **state)
{
	sasl_library_close();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_prepared),
		cmocka_unit_test(test_made_up),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_long_nonce),
		cmocka_unit_test(test_final),
		cmocka_unit_test(test_final_cut),
	};
	return cmocka_run_group_tests(tests, open_library, close_library);
}
