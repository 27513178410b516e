/* Keys and certificates as texts; our own client against our own server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kit/tls_kit.h"

#include <stdio.h>
#include <time.h>

static struct buf key_pem = BUF_INIT(65536), cert_pem = BUF_INIT(65536);

static struct str
pem_of(EVP_PKEY *pkey, const EVP_CIPHER *lock)
{
	static char text[65536];
	BIO *b = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PrivateKey(b, pkey, lock, (const unsigned char *)"abcd",
			     lock ? 4 : 0, NULL, NULL),
	    1);
	int n = BIO_read(b, text, sizeof(text));
	assert_true(n > 0);
	BIO_free(b);
	EVP_PKEY_free(pkey);
	return str_n(text, (size_t)n);
}

static void
refused(struct str pem, const char *want)
{
	struct buf err = BUF_INIT(4096);

	assert_null(tls_key_read(pem, &err));
	assert_string_equal(buf_cstr(&err), want);
	buf_done(&err);
}

static void
test_keys_refused(void **state)
{
	refused(STR_NULL, "no private key in PEM form");
	refused(STR("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
	    "no private key in PEM form");
	refused(buf_str(&cert_pem), "no private key in PEM form");
	refused(pem_of(EVP_RSA_gen(1024), NULL),
	    "an RSA key of 1024 bits; it must have 2048 to 8192");
	refused(pem_of(EVP_EC_gen("secp256k1"), NULL),
	    "an elliptic curve key secp256k1; it must be P-256, P-384 or P-521");
	refused(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL),
	    "a key of type ED25519; it must be RSA or an elliptic curve");
	refused(pem_of(EVP_EC_gen("P-256"), EVP_aes_256_cbc()),
	    "the private key is locked with a passphrase; take it off with `openssl pkey`");
}

static const struct {
	enum tls_sign_alg alg;
	const char *md;
	bool rsa, pss;
} algs[] = {
	{ TLS_SIGN_ECDSA_SHA256, "SHA256", false, false },
	{ TLS_SIGN_ECDSA_SHA384, "SHA384", false, false },
	{ TLS_SIGN_ECDSA_SHA512, "SHA512", false, false },
	{ TLS_SIGN_ECDSA_SHA1, "SHA1", false, false },
	{ TLS_SIGN_PSS_SHA256, "SHA256", true, true },
	{ TLS_SIGN_PSS_SHA384, "SHA384", true, true },
	{ TLS_SIGN_PSS_SHA512, "SHA512", true, true },
	{ TLS_SIGN_PKCS1_SHA256, "SHA256", true, false },
	{ TLS_SIGN_PKCS1_SHA384, "SHA384", true, false },
	{ TLS_SIGN_PKCS1_SHA512, "SHA512", true, false },
	{ TLS_SIGN_PKCS1_SHA1, "SHA1", true, false },
	{ TLS_SIGN_PKCS1_MD5SHA1, "MD5-SHA1", true, false },
};

static bool
verifies(EVP_PKEY *key, const char *md, bool pss, const unsigned char *sig, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p;

	assert_int_equal(EVP_DigestVerifyInit_ex(ctx, &p, md, NULL, NULL, key, NULL), 1);
	if (pss) {
		EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST);
	}
	int r = EVP_DigestVerify(ctx, sig, n, (const unsigned char *)"to be signed", 12);
	EVP_MD_CTX_free(ctx);
	return r == 1;
}

static void
test_signing(void **state)
{
	struct kit_cert ec = kit_cert(EVP_EC_gen("P-384"), "a", NULL, false, NULL);
	struct kit_cert rsa = kit_cert(EVP_RSA_gen(2048), "b", NULL, false, NULL);
	unsigned char sig[TLS_SIGNATURE_MAX];

	assert_int_equal(ARRAY_LEN(algs), TLS_SIGN_ALG_COUNT);
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		const struct kit_cert *c = algs[i].rsa ? &rsa : &ec,
				      *wrong = algs[i].rsa ? &ec : &rsa;
		size_t n = tls_key_sign(c->key, algs[i].alg, STR("to be signed"), sig);
		assert_true(n > 0);
		assert_true(verifies(c->pkey, algs[i].md, algs[i].pss, sig, n));
		assert_int_equal(tls_key_sign(wrong->key, algs[i].alg, STR("to be signed"), sig),
		    0);
	}
	assert_int_equal(tls_key_sign(ec.key, TLS_SIGN_ALG_COUNT, STR("x"), sig), 0);
	assert_int_equal(tls_key_sign(ec.key, TLS_SIGN_ECDSA_SHA256, STR(""), sig), 0);
	kit_cert_done(&ec);
	kit_cert_done(&rsa);
}

static void
test_self_signed(void **state)
{
	struct buf names = BUF_INIT(4096), err = BUF_INIT(4096);
	unsigned char name[TLS_KEY_NAME];
	struct tls_cert_info info;

	struct tls_key *k = tls_key_read(buf_str(&key_pem), &err);
	assert_non_null(k);
	assert_true(tls_cert_read(buf_str(&cert_pem), &info, &names, &err));
	tls_key_name(k, name);
	assert_memory_equal(name, info.key, sizeof(name));
	assert_string_equal(info.subject, "CN=mail.example.net");
	assert_string_equal(info.issuer, "CN=mail.example.net");
	assert_string_equal(info.key_type, "EC P-256");
	assert_true(info.self_signed);
	assert_string_equal(buf_cstr(&names), "mail.example.net\n*.example.org\n");
	int64_t now = (int64_t)time(NULL);
	assert_true(info.not_before < now && info.not_before > now - 7200);
	assert_true(info.not_after > now + 89 * 86400 && info.not_after < now + 91 * 86400);
	k = tls_key_free(k);
	buf_done(&names);
	buf_done(&err);
}

static void
test_self_signed_refused(void **state)
{
	static const struct {
		struct str name;
		unsigned days;
	} bad[] = { { STR(""), 1 }, { STR("a,DNS:b"), 1 }, { STR("a b"), 1 }, { STR("a\nb"), 1 },
		{ STR("a"), 0 }, { STR("a"), 40000 } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf k = BUF_INIT(65536), c = BUF_INIT(65536), err = BUF_INIT(4096);
		assert_false(tls_make_self_signed(&bad[i].name, 1, bad[i].days, &k, &c, &err));
		assert_true(err.len > 0);
		assert_int_equal(k.len + c.len, 0);
		buf_done(&err);
	}
}

static void
test_cert_read(void **state)
{
	struct kit_cert ca = kit_cert(EVP_RSA_gen(2048), "An\nAuthority", NULL, true, NULL);
	struct kit_cert leaf = kit_cert(EVP_EC_gen("P-521"), "a.example",
	    "DNS:B.example,IP:127.0.0.1,DNS:bad name", false, &ca);
	struct buf names = BUF_INIT(4096), err = BUF_INIT(4096), both = BUF_INIT(65536);
	struct tls_cert_info info;

	buf_puts(&both, STR("some text in front\n"));
	buf_puts(&both, buf_str(&leaf.pem));
	buf_puts(&both, buf_str(&ca.pem));
	assert_true(tls_cert_read(buf_str(&both), &info, &names, &err));
	assert_string_equal(info.subject, "CN=a.example");
	assert_string_equal(info.issuer, "CN=An\\0AAuthority");
	assert_string_equal(info.key_type, "EC P-521");
	assert_false(info.self_signed);
	assert_string_equal(buf_cstr(&names), "b.example\n");
	buf_reset(&names);
	assert_true(tls_cert_read(buf_str(&ca.pem), &info, &names, &err));
	assert_string_equal(info.key_type, "RSA 2048");
	assert_int_equal(names.len, 0); /* no host has that name */
	for (size_t n = 0; n < leaf.pem.len - 1; n += 13)
		assert_false(tls_cert_read(str_first(buf_str(&leaf.pem), n), &info, &names, &err));
	kit_cert_done(&ca);
	kit_cert_done(&leaf);
	buf_done(&names);
	buf_done(&err);
	buf_done(&both);
}

/* --- our client --------------------------------------------------------------------- */

struct files {
	char cert[64], key[64], other[64];
};

static void
write_file(char path[64], struct str text)
{
	snprintf(path, 64, "/tmp/tls-keys-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.p, text.len), text.len);
	close(fd);
}

static const struct {
	const char *name;
	bool verify, right_ca, with_cert;
	int min, max;
	bool ok;
} client_rows[] = {
	{ "mail.example.net", true, true, false, 0, 0, true },
	{ "mail.example.net", true, true, true, 0, 0, true },
	{ "a.example.org", true, true, false, 0, TLS1_2_VERSION, true },
	{ "a.b.example.org", true, true, false, 0, 0, false },
	{ "other.example.net", true, true, false, 0, 0, false },
	{ "127.0.0.1", true, true, false, 0, 0, false },
	{ "mail.example.net", true, false, false, 0, 0, false },
	{ "other.example.net", false, false, false, 0, 0, true },
	{ "127.0.0.1", false, false, false, TLS1_3_VERSION, 0, true },
	{ NULL, false, false, false, 0, 0, true },
	{ NULL, false, false, false, TLS1_VERSION, TLS1_1_VERSION, false }, /* not offered here */
};

static bool
both_shake(struct tls *a, struct tls *b)
{
	enum tls_io x = TLS_READ, y = TLS_READ;

	for (int i = 0; i < 10; i++) {
		if (x == TLS_READ)
			x = tls_handshake(a);
		if (y == TLS_READ)
			y = tls_handshake(b);
	}
	return x == TLS_OK && y == TLS_OK;
}

static void
client_row(size_t i, struct tls_server *s, const struct files *f)
{
	struct tls_client_conf conf = { .name = client_rows[i].name,
		.alpn = "smtp",
		.ca_file = client_rows[i].right_ca ? f->cert : f->other,
		.verify = client_rows[i].verify,
		.cert_file = client_rows[i].with_cert ? f->cert : NULL,
		.key_file = client_rows[i].with_cert ? f->key : NULL,
		.min_version = client_rows[i].min,
		.max_version = client_rows[i].max };
	struct buf err = BUF_INIT(4096), chain = BUF_INIT(65536);
	struct tls_facts a, b;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	struct tls *server = tls_accept(s, fd[0]), *client = tls_connect(&conf, fd[1], &err);
	if (!client)
		fail_msg("row %zu: %s", i, buf_cstr(&err));
	if (both_shake(client, server) != client_rows[i].ok)
		fail_msg("row %zu: %s, %s", i, tls_error(client), tls_error(server));
	if (client_rows[i].ok) {
		tls_facts(server, &a);
		tls_facts(client, &b);
		assert_string_equal(a.version, b.version);
		assert_string_equal(b.alpn, "smtp");
		assert_int_equal(a.exporter_len, b.exporter_len);
		assert_memory_equal(a.exporter, b.exporter, a.exporter_len);
		assert_int_equal(a.unique_len, b.unique_len);
		assert_memory_equal(a.unique, b.unique, a.unique_len);
		assert_int_equal(b.endpoint_len, 32);
		assert_memory_equal(a.endpoint, b.endpoint, 32);
		assert_true(tls_peer_chain(client, &chain));
		assert_true(str_eq(buf_str(&chain), buf_str(&cert_pem)));
		assert_string_equal(a.client_subject,
		    client_rows[i].with_cert ? "CN=mail.example.net" : "");
	} else {
		assert_true(tls_error(client)[0]);
	}
	tls_free(client);
	tls_free(server);
	close(fd[0]);
	close(fd[1]);
	buf_done(&err);
	buf_done(&chain);
}

static void
test_client(void **state)
{
	struct kit_signer signer = { .how = KIT_NOW };
	struct tls_certs *certs = tls_certs_new();
	struct buf err = BUF_INIT(4096);
	struct kit_cert own = { 0 }, other = kit_cert(EVP_EC_gen("P-256"), "x", NULL, true, NULL);
	struct files f;
	struct tls_server_conf conf = { .alpn = "smtp", .client_ca = buf_str(&cert_pem) };

	own.key = tls_key_read(buf_str(&key_pem), &err);
	signer.certs[0] = &own;
	write_file(f.cert, buf_str(&cert_pem));
	write_file(f.key, buf_str(&key_pem));
	write_file(f.other, buf_str(&other.pem));
	assert_true(tls_certs_add(certs, buf_str(&cert_pem), &err));
	struct tls_server *s = tls_server_new(&conf, certs, kit_sign, &signer, &err);
	assert_non_null(s);
	for (size_t i = 0; i < ARRAY_LEN(client_rows); i++)
		client_row(i, s, &f);
	tls_server_free(s);
	tls_certs_unref(certs);
	own.key = tls_key_free(own.key);
	kit_cert_done(&other);
	unlink(f.cert);
	unlink(f.key);
	unlink(f.other);
	buf_done(&err);
}

static void
test_client_refused(void **state)
{
	static const struct tls_client_conf bad[] = {
		{ .ca_file = "/nonexistent/ca.pem" },
		{ .cert_file = "/nonexistent/cert.pem" },
		{ .key_file = "/nonexistent/key.pem" },
		{ .alpn = "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf err = BUF_INIT(4096);
		assert_null(tls_connect(&bad[i], 0, &err));
		assert_true(err.len > 0);
		buf_done(&err);
	}
}

static int
begin(void **state)
{
	static const struct str names[] = { STR("mail.example.net"), STR("*.example.org"),
		STR("::1") };
	struct buf err = BUF_INIT(4096);

	tls_init();
	if (!tls_make_self_signed(names, ARRAY_LEN(names), 90, &key_pem, &cert_pem, &err))
		fail_msg("%s", buf_cstr(&err));
	return 0;
}

static int
end(void **state)
{
	buf_done(&key_pem);
	buf_done(&cert_pem);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_refused),
		cmocka_unit_test(test_signing),
		cmocka_unit_test(test_self_signed),
		cmocka_unit_test(test_self_signed_refused),
		cmocka_unit_test(test_cert_read),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_client_refused),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
