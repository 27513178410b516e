/* TLSA records: which can be used, and which vouch for a certificate that is made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kit/tls_kit.h"

#define HOST "mail.example.com"
#define CERT 0x100  /* data: of the server's certificate (TA: of its issuer) */
#define OTHER 0x200 /* of another */

static struct kit_cert root, ours, other;

static const struct {
	const char *name;
	uint8_t usage, selector, matching;
	int data; /* CERT, OTHER, or so many octets of nothing */
	bool usable, good;
	const char *host, *also;
} rows[] = {
	{ "EE key SHA-256", 3, 1, 1, CERT, true, true, HOST },
	{ "EE key SHA-512", 3, 1, 2, CERT, true, true, HOST },
	{ "EE key whole", 3, 1, 0, CERT, true, true, HOST },
	{ "EE SHA-256", 3, 0, 1, CERT, true, true, HOST },
	{ "EE whole", 3, 0, 0, CERT, true, true, HOST },
	{ "EE, another name", 3, 1, 1, CERT, true, true, "elsewhere.example" },
	{ "TA SHA-256", 2, 0, 1, CERT, true, true, HOST },
	{ "TA whole", 2, 0, 0, CERT, true, true, HOST },
	{ "TA, another name", 2, 0, 1, CERT, true, false, "elsewhere.example" },
	{ "TA, a name beside", 2, 0, 1, CERT, true, true, "elsewhere.example", HOST },
	{ "TA, two other names", 2, 0, 1, CERT, true, false, "elsewhere.example", "else.example" },
	{ "EE of another", 3, 1, 1, OTHER, true, false, HOST },
	{ "EE of another, whole", 3, 0, 0, OTHER, true, false, HOST },
	{ "TA of another", 2, 0, 1, OTHER, true, false, HOST },
	{ "PKIX-TA", 0, 0, 1, CERT, false, false, HOST },
	{ "PKIX-EE", 1, 1, 1, CERT, false, false, HOST },
	{ "no such usage", 255, 1, 1, CERT, false, false, HOST },
	{ "no such selector", 3, 2, 1, CERT, false, false, HOST },
	{ "no such matching", 3, 1, 3, 32, false, false, HOST },
	{ "short", 3, 1, 1, 31, false, false, HOST },
	{ "long", 3, 1, 1, 33, false, false, HOST },
	{ "SHA-256 for SHA-512", 3, 1, 2, 32, false, false, HOST },
	{ "empty", 3, 1, 1, 0, false, false, HOST },
	{ "no certificate", 3, 0, 0, 40, false, false, HOST },
	{ "no key", 3, 1, 0, 40, false, false, HOST },
};

static size_t
data_of(size_t i, unsigned char out[4096])
{
	struct kit_cert *mine = rows[i].usage == 2 ? &root : &ours;
	struct kit_cert *c = rows[i].data == CERT ? mine : &other;
	unsigned char der[4096], *p = der;
	unsigned n = 0;

	memset(out, 0x30, 4096);
	if (rows[i].data < CERT)
		return (size_t)rows[i].data;
	int len = rows[i].selector == 1 ? i2d_PUBKEY(c->pkey, &p) : i2d_X509(c->x, &p);
	assert_true(len > 0 && (size_t)len <= sizeof(der));
	if (rows[i].matching == 0) {
		memcpy(out, der, (size_t)len);
		return (size_t)len;
	}
	const EVP_MD *md = rows[i].matching == 1 ? EVP_sha256() : EVP_sha512();
	assert_int_equal(EVP_Digest(der, (size_t)len, out, &n, md, NULL), 1);
	return n;
}

/* A server that is libssl itself, and our client, on one thread. */
static void
shake(size_t i, const struct tls_tlsa *r)
{
	const char *const also[] = { "", "nobody.example", rows[i].also, NULL };
	struct tls_client_conf conf = { .name = rows[i].host,
		.verify = true,
		.judge = true,
		.tlsa = r,
		.n_tlsa = 1,
		.also_names = also };
	struct buf err = BUF_INIT(4096), detail = BUF_INIT(4096);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct tls_tlsa by = { 0 };
	enum tls_io io = TLS_READ;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, ours.x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, ours.pkey), 1);
	assert_int_equal(SSL_CTX_add1_chain_cert(ctx, root.x), 1);
	SSL *server = SSL_new(ctx);
	assert_int_equal(SSL_set_fd(server, fd[0]), 1);
	struct tls *t = tls_connect(&conf, fd[1], &err);
	if (!rows[i].usable) {
		assert_null(t);
		assert_true(err.len > 0);
	} else {
		assert_non_null(t);
		for (int n = 0; n < 50 && (io == TLS_READ || io == TLS_WRITE); n++) {
			io = tls_handshake(t);
			SSL_accept(server);
			ERR_clear_error();
		}
		bool good = io == TLS_OK && tls_peer_dane(t, &by) &&
		            tls_peer_trust(t, &detail) == TLS_TRUST_OK;
		if (good != rows[i].good)
			fail_msg("%s: %d, %s", rows[i].name, (int)io, tls_error(t));
		if (good)
			assert_int_equal(by.usage, rows[i].usage);
		else
			assert_int_equal(tls_cause(t), TLS_CAUSE_CERTIFICATE);
		tls_free(t);
	}
	SSL_free(server);
	SSL_CTX_free(ctx);
	close(fd[0]);
	close(fd[1]);
	buf_done(&err);
	buf_done(&detail);
}

static void
test_rows(void **state)
{
	unsigned char data[4096];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tls_tlsa r = { rows[i].usage, rows[i].selector, rows[i].matching,
			str_n(data, data_of(i, data)) };
		if (tls_tlsa_usable(&r) != rows[i].usable)
			fail_msg("%s", rows[i].name);
		shake(i, &r);
	}
}

static int
begin(void **state)
{
	tls_init();
	root = kit_cert(EVP_EC_gen("P-256"), "A root", NULL, true, NULL);
	ours = kit_cert(EVP_EC_gen("P-256"), HOST, "DNS:" HOST, false, &root);
	other = kit_cert(EVP_EC_gen("P-256"), HOST, "DNS:" HOST, true, NULL);
	return 0;
}

static int
end(void **state)
{
	kit_cert_done(&root);
	kit_cert_done(&ours);
	kit_cert_done(&other);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
