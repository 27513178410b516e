/* The key is elsewhere: handshakes whose signature comes at once, later, never, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kit/tls_kit.h"

#include <malloc.h>

static struct kit_cert ec, rsa;
static struct tls_certs *ec_certs, *rsa_certs, *both_certs;

static struct tls_certs *
certs_of(const struct kit_cert *a, const struct kit_cert *b)
{
	struct tls_certs *c = tls_certs_new();
	struct buf err = BUF_INIT(4096);

	if (!tls_certs_add(c, buf_str(&a->pem), &err) ||
	    (b && !tls_certs_add(c, buf_str(&b->pem), &err)))
		fail_msg("%s", buf_cstr(&err));
	return c;
}

static struct tls_server *
server_of(struct tls_certs *certs, struct kit_signer *s, bool legacy)
{
	struct buf err = BUF_INIT(4096);
	struct tls_server_conf conf = { .legacy = legacy, .alpn = "smtp", .id = STR("25") };

	s->certs[0] = &ec;
	s->certs[1] = &rsa;
	struct tls_server *server = tls_server_new(&conf, certs, kit_sign, s, &err);
	if (!server)
		fail_msg("%s", buf_cstr(&err));
	return server;
}

static const struct {
	const char *name;
	bool rsa_key;
	int version;
	const char *sigalgs; /* of the client, or NULL */
	enum kit_answer how;
	bool ok;
	enum tls_sign_alg alg;
} rows[] = {
	{ "EC 1.3 now", false, TLS1_3_VERSION, NULL, KIT_NOW, true, TLS_SIGN_ECDSA_SHA256 },
	{ "EC 1.3 later", false, TLS1_3_VERSION, NULL, KIT_LATER, true, TLS_SIGN_ECDSA_SHA256 },
	{ "EC 1.2 now", false, TLS1_2_VERSION, NULL, KIT_NOW, true, TLS_SIGN_ECDSA_SHA256 },
	{ "EC 1.2 later", false, TLS1_2_VERSION, NULL, KIT_LATER, true, TLS_SIGN_ECDSA_SHA256 },
	{ "EC 1.2 SHA-512", false, TLS1_2_VERSION, "ECDSA+SHA512", KIT_LATER, true,
	    TLS_SIGN_ECDSA_SHA512 },
	{ "RSA 1.3 now", true, TLS1_3_VERSION, NULL, KIT_NOW, true, TLS_SIGN_PSS_SHA256 },
	{ "RSA 1.3 later", true, TLS1_3_VERSION, NULL, KIT_LATER, true, TLS_SIGN_PSS_SHA256 },
	{ "RSA 1.3 SHA-384", true, TLS1_3_VERSION, "rsa_pss_rsae_sha384", KIT_LATER, true,
	    TLS_SIGN_PSS_SHA384 },
	{ "RSA 1.3 SHA-512", true, TLS1_3_VERSION, "rsa_pss_rsae_sha512", KIT_LATER, true,
	    TLS_SIGN_PSS_SHA512 },
	{ "RSA 1.2 later", true, TLS1_2_VERSION, NULL, KIT_LATER, true, TLS_SIGN_PSS_SHA256 },
	{ "RSA 1.2 PKCS 1", true, TLS1_2_VERSION, "RSA+SHA256", KIT_LATER, true,
	    TLS_SIGN_PKCS1_SHA256 },
	{ "RSA 1.2 PKCS 1 SHA-384", true, TLS1_2_VERSION, "RSA+SHA384", KIT_LATER, true,
	    TLS_SIGN_PKCS1_SHA384 },
	{ "RSA 1.2 PKCS 1 SHA-512", true, TLS1_2_VERSION, "RSA+SHA512", KIT_LATER, true,
	    TLS_SIGN_PKCS1_SHA512 },
	{ "EC 1.3 refused", false, TLS1_3_VERSION, NULL, KIT_REFUSE, false, TLS_SIGN_ECDSA_SHA256 },
	{ "EC 1.2 refused", false, TLS1_2_VERSION, NULL, KIT_REFUSE, false, TLS_SIGN_ECDSA_SHA256 },
	{ "RSA 1.3 refused", true, TLS1_3_VERSION, NULL, KIT_REFUSE, false, TLS_SIGN_PSS_SHA256 },
	{ "EC 1.3 cannot", false, TLS1_3_VERSION, NULL, KIT_CANNOT, false, TLS_SIGN_ECDSA_SHA256 },
	{ "RSA 1.2 cannot", true, TLS1_2_VERSION, NULL, KIT_CANNOT, false, TLS_SIGN_PSS_SHA256 },
	{ "EC 1.3 garbage", false, TLS1_3_VERSION, NULL, KIT_GARBAGE, false,
	    TLS_SIGN_ECDSA_SHA256 },
	{ "RSA 1.2 garbage", true, TLS1_2_VERSION, NULL, KIT_GARBAGE, false, TLS_SIGN_PSS_SHA256 },
};

static void
shake_row(size_t i)
{
	struct kit_signer signer = { .how = rows[i].how };
	struct tls_server *s = server_of(rows[i].rsa_key ? rsa_certs : ec_certs, &signer, false);
	SSL_CTX *client = kit_client(rows[i].version, rows[i].version);
	struct kit_pair p;
	unsigned char name[TLS_KEY_NAME];

	if (rows[i].sigalgs)
		kit_sigalgs(client, rows[i].sigalgs);
	kit_open(&p, s, client);
	kit_shake(&p, &signer);
	bool ok = p.server == TLS_OK && p.client == SSL_ERROR_NONE;
	if (ok != rows[i].ok)
		fail_msg("%s: server %d (%s), client %d", rows[i].name, (int)p.server,
		    tls_error(p.t), p.client);
	assert_int_equal(signer.asked, 1);
	assert_int_equal(signer.alg, rows[i].alg);
	tls_key_name(rows[i].rsa_key ? rsa.key : ec.key, name);
	assert_memory_equal(signer.key, name, sizeof(name));
	if (ok)
		kit_talk(&p);
	else
		assert_true(tls_error(p.t)[0]);
	bool waits =
	    rows[i].how == KIT_LATER || rows[i].how == KIT_REFUSE || rows[i].how == KIT_GARBAGE;
	assert_int_equal(p.paused > 0, waits);
	kit_close(&p);
	SSL_CTX_free(client);
	tls_server_free(s);
}

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		shake_row(i);
}

/* The peer hangs up, or our deadline passes, while the signature is open. */
static void
test_freed_while_open(void **state)
{
	struct kit_signer signer = { .how = KIT_LATER };
	struct tls_server *s = server_of(ec_certs, &signer, false);
	SSL_CTX *client = kit_client(TLS1_2_VERSION, TLS1_3_VERSION);
	struct kit_pair p;
	char c;

	for (int i = 0; i < 50; i++) {
		signer.due = false;
		kit_open(&p, s, client);
		SSL_do_handshake(p.ssl);
		assert_int_equal(tls_handshake(p.t), TLS_SIGN);
		assert_int_equal(tls_handshake(p.t), TLS_SIGN); /* asking again asks nobody */
		p.t = tls_free(p.t);
		/* Nothing was written to a socket that may be somebody else's by now. */
		assert_int_equal(recv(p.fd[1], &c, 1, MSG_DONTWAIT), -1);
		kit_close(&p);
		assert_null(tls_signed(signer.id, str_n(signer.sig, signer.len)));
		assert_null(tls_signed(signer.id, str_n(signer.sig, signer.len)));
	}
	assert_int_equal(signer.asked, 50);
	SSL_CTX_free(client);
	tls_server_free(s);
}

/* libcrypto leaks the stack of a job whose connection is freed too early: 32 KiB each. */
static void
test_no_leak(void **state)
{
	struct kit_signer signer = { .how = KIT_LATER };
	struct tls_server *s = server_of(ec_certs, &signer, false);
	SSL_CTX *client = kit_client(TLS1_2_VERSION, TLS1_3_VERSION);
	struct kit_pair p;
	size_t before = 0;

	for (int i = 0; i < 300; i++) {
		if (i == 100)
			before = mallinfo2().uordblks;
		kit_open(&p, s, client);
		SSL_do_handshake(p.ssl);
		assert_int_equal(tls_handshake(p.t), TLS_SIGN);
		kit_close(&p);
		tls_signed(signer.id, STR_NULL);
	}
	size_t after = mallinfo2().uordblks;
	assert_true(after < before + 200 * 1024);
	SSL_CTX_free(client);
	tls_server_free(s);
}

static void
test_peer_gone(void **state)
{
	struct kit_signer signer = { .how = KIT_LATER };
	struct tls_server *s = server_of(rsa_certs, &signer, false);
	SSL_CTX *client = kit_client(TLS1_2_VERSION, TLS1_3_VERSION);
	struct kit_pair p;

	kit_open(&p, s, client);
	SSL_do_handshake(p.ssl);
	assert_int_equal(tls_handshake(p.t), TLS_SIGN);
	close(p.fd[1]);
	p.fd[1] = -1;
	assert_ptr_equal(tls_signed(signer.id, str_n(signer.sig, signer.len)), &p);
	enum tls_io io = tls_handshake(p.t);
	assert_true(io == TLS_FAILED || io == TLS_CLOSED);
	assert_true(tls_error(p.t)[0]);
	kit_close(&p);
	SSL_CTX_free(client);
	tls_server_free(s);
}

#define MANY 20

static struct kit_pair many[MANY];
static unsigned told;

static void
on_gone(void *owner)
{
	struct kit_pair *p = owner;

	told++;
	assert_int_equal(tls_handshake(p->t), TLS_FAILED);
	p->t = tls_free(p->t);
	/* The last one dies with the first, untold. */
	if (p == &many[0])
		many[MANY - 1].t = tls_free(many[MANY - 1].t);
}

static void
test_signer_gone(void **state)
{
	struct kit_signer signer = { .how = KIT_NEVER };
	struct tls_server *s = server_of(ec_certs, &signer, false);
	SSL_CTX *client = kit_client(TLS1_2_VERSION, TLS1_3_VERSION);
	uint32_t first = 0;

	for (size_t i = 0; i < MANY; i++) {
		kit_open(&many[i], s, client);
		SSL_do_handshake(many[i].ssl);
		assert_int_equal(tls_handshake(many[i].t), TLS_SIGN);
		if (i == 0)
			first = signer.id;
	}
	many[5].t = tls_free(many[5].t); /* nobody to tell */
	told = 0;
	tls_signer_gone(on_gone);
	assert_int_equal(told, MANY - 2);
	assert_null(tls_signed(first, STR("late")));
	for (size_t i = 0; i < MANY; i++)
		kit_close(&many[i]);
	/* The next signer's answers go to those that asked it. */
	signer.how = KIT_LATER;
	kit_open(&many[0], s, client);
	kit_shake(&many[0], &signer);
	assert_int_equal(many[0].server, TLS_OK);
	kit_close(&many[0]);
	SSL_CTX_free(client);
	tls_server_free(s);
}

/* Strangers who hang up leave their questions behind: those are counted until answered. */
static void
test_too_many(void **state)
{
	struct kit_signer signer = { .how = KIT_NEVER };
	struct tls_server *s = server_of(ec_certs, &signer, false);
	SSL_CTX *client = kit_client(TLS1_3_VERSION, TLS1_3_VERSION);
	struct kit_pair p;

	for (unsigned i = 0; i <= TLS_OPEN_SIGNS_MAX; i++) {
		kit_open(&p, s, client);
		SSL_do_handshake(p.ssl);
		bool full = i == TLS_OPEN_SIGNS_MAX;
		assert_int_equal(tls_handshake(p.t), full ? TLS_FAILED : TLS_SIGN);
		kit_close(&p);
	}
	assert_int_equal(signer.asked, TLS_OPEN_SIGNS_MAX);
	tls_signer_gone(on_gone);
	signer.how = KIT_LATER;
	kit_open(&p, s, client);
	kit_shake(&p, &signer);
	assert_int_equal(p.server, TLS_OK);
	kit_close(&p);
	SSL_CTX_free(client);
	tls_server_free(s);
}

static const struct {
	bool legacy;
	int version;
	bool rsa_key, ok;
	enum tls_sign_alg alg;
} legacy_rows[] = {
	{ false, TLS1_VERSION, true, false, 0 },
	{ false, TLS1_1_VERSION, false, false, 0 },
	{ true, TLS1_VERSION, true, true, TLS_SIGN_PKCS1_MD5SHA1 },
	{ true, TLS1_1_VERSION, true, true, TLS_SIGN_PKCS1_MD5SHA1 },
	{ true, TLS1_VERSION, false, true, TLS_SIGN_ECDSA_SHA1 },
	{ true, TLS1_2_VERSION, true, true, TLS_SIGN_PSS_SHA256 },
	{ true, TLS1_3_VERSION, false, true, TLS_SIGN_ECDSA_SHA256 },
};

static void
test_legacy(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(legacy_rows); i++) {
		struct kit_signer signer = { .how = KIT_LATER };
		struct tls_server *s = server_of(legacy_rows[i].rsa_key ? rsa_certs : ec_certs,
		    &signer, legacy_rows[i].legacy);
		SSL_CTX *client = kit_client(TLS1_VERSION, legacy_rows[i].version);
		struct kit_pair p;
		SSL_CTX_set_min_proto_version(client, legacy_rows[i].version);
		kit_open(&p, s, client);
		kit_shake(&p, &signer);
		if ((p.server == TLS_OK) != legacy_rows[i].ok)
			fail_msg("row %zu: %s", i, tls_error(p.t));
		if (legacy_rows[i].ok) {
			assert_int_equal(signer.alg, legacy_rows[i].alg);
			kit_talk(&p);
		}
		kit_close(&p);
		SSL_CTX_free(client);
		tls_server_free(s);
	}
}

/* Clients that have nothing but these get nothing, on a legacy listener too. */
static void
test_suites(void **state)
{
	static const struct {
		const char *suites;
		bool ok, legacy_ok;
	} suites[] = {
		{ "ECDHE-RSA-AES128-GCM-SHA256", true, true },
		{ "ECDHE-RSA-CHACHA20-POLY1305", true, true },
		{ "AES128-GCM-SHA256", false, false }, /* key exchange by RSA */
		{ "AES128-SHA", false, false },
		{ "DHE-RSA-AES128-GCM-SHA256", false, false },
		{ "ECDHE-RSA-AES128-SHA", false, true }, /* CBC */
		{ "ECDHE-RSA-AES256-SHA384", false, true },
		{ "AECDH-AES128-SHA@SECLEVEL=0", false, false },
	};

	for (size_t i = 0; i < 2 * ARRAY_LEN(suites); i++) {
		struct kit_signer signer = { .how = KIT_NOW };
		struct tls_server *s = server_of(rsa_certs, &signer, i & 1);
		SSL_CTX *client = kit_client(TLS1_2_VERSION, TLS1_2_VERSION);
		struct kit_pair p;
		assert_int_equal(SSL_CTX_set_cipher_list(client, suites[i / 2].suites), 1);
		kit_open(&p, s, client);
		kit_shake(&p, &signer);
		if ((p.server == TLS_OK) != (i & 1 ? suites[i / 2].legacy_ok : suites[i / 2].ok))
			fail_msg("%s: %s", suites[i / 2].suites, tls_error(p.t));
		kit_close(&p);
		SSL_CTX_free(client);
		tls_server_free(s);
	}
}

/* Of two certificates for one name the elliptic one is used where the client knows how. */
static void
test_both_keys(void **state)
{
	static const struct {
		int version;
		const char *sigalgs;
		bool rsa_key;
	} both[] = {
		{ TLS1_3_VERSION, NULL, false },
		{ TLS1_2_VERSION, NULL, false },
		{ TLS1_3_VERSION, "rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256", false },
		{ TLS1_3_VERSION, "rsa_pss_rsae_sha256", true },
		{ TLS1_2_VERSION, "RSA+SHA256", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct kit_signer signer = { .how = KIT_LATER };
		struct tls_server *s = server_of(both_certs, &signer, false);
		SSL_CTX *client = kit_client(both[i].version, both[i].version);
		struct kit_pair p;
		if (both[i].sigalgs)
			kit_sigalgs(client, both[i].sigalgs);
		kit_open(&p, s, client);
		kit_shake(&p, &signer);
		assert_int_equal(p.server, TLS_OK);
		if (EVP_PKEY_is_a(X509_get0_pubkey(SSL_get0_peer_certificate(p.ssl)), "RSA") !=
		    both[i].rsa_key)
			fail_msg("row %zu", i);
		kit_close(&p);
		SSL_CTX_free(client);
		tls_server_free(s);
	}
}

/* Not a single octet of TLS, or half of one: errors with a reason, and no crash. */
static void
test_rubbish(void **state)
{
	static const struct str says[] = { STR("EHLO example.com\r\n"),
		STR("GET / HTTP/1.1\r\n\r\n"), STR("\x16\x03\x01\x00\x00"),
		STR("\x16\x03\x01\xff\xff\xff\xff\xff"),
		STR("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"),
		STR("\x15\x03\x01\x00\x02\x02\x28") };

	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		struct kit_signer signer = { .how = KIT_NOW };
		struct tls_server *s = server_of(ec_certs, &signer, i & 1);
		SSL_CTX *client = kit_client(TLS1_2_VERSION, TLS1_3_VERSION);
		struct kit_pair p;
		enum tls_io io = TLS_READ;
		kit_open(&p, s, client);
		for (size_t k = 0; k < says[i].len && io == TLS_READ; k++) {
			assert_int_equal(send(p.fd[1], says[i].p + k, 1, MSG_NOSIGNAL), 1);
			io = tls_handshake(p.t);
		}
		shutdown(p.fd[1], SHUT_WR);
		if (io == TLS_READ)
			io = tls_handshake(p.t);
		assert_true(io == TLS_FAILED || io == TLS_CLOSED);
		assert_true(tls_error(p.t)[0]);
		kit_close(&p);
		SSL_CTX_free(client);
		tls_server_free(s);
	}
}

static int
begin(void **state)
{
	tls_init();
	tls_init();
	ec = kit_cert(EVP_EC_gen("P-256"), "mail.example.net", "DNS:mail.example.net", false, NULL);
	rsa = kit_cert(EVP_RSA_gen(2048), "mail.example.net", "DNS:mail.example.net", false, NULL);
	ec_certs = certs_of(&ec, NULL);
	rsa_certs = certs_of(&rsa, NULL);
	both_certs = certs_of(&rsa, &ec);
	return 0;
}

static int
end(void **state)
{
	tls_certs_unref(ec_certs);
	tls_certs_unref(rsa_certs);
	tls_certs_unref(both_certs);
	kit_cert_done(&ec);
	kit_cert_done(&rsa);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_freed_while_open),
		cmocka_unit_test(test_no_leak),
		cmocka_unit_test(test_peer_gone),
		cmocka_unit_test(test_signer_gone),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_suites),
		cmocka_unit_test(test_both_keys),
		cmocka_unit_test(test_rubbish),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
