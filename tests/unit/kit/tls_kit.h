/*
 * tls_kit: certificates made on the spot, a signer that behaves as a row says, and a client that
 * is libssl itself, so that it can do what ours would not.
 */
#pragma once

#include "base/check.h"
#include "tls/tls.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- certificates ------------------------------------------------------------- */

struct kit_cert {
	EVP_PKEY *pkey;
	X509 *x;
	struct tls_key *key;
	struct buf pem, key_pem;
};

static inline void
kit_pem(struct kit_cert *c)
{
	BIO *k = BIO_new(BIO_s_mem()), *x = BIO_new(BIO_s_mem());
	struct buf err = BUF_INIT(4096);
	char *p;

	assert_int_equal(PEM_write_bio_PrivateKey(k, c->pkey, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(PEM_write_bio_X509(x, c->x), 1);
	c->key_pem = BUF_INIT(1u << 20);
	c->pem = BUF_INIT(1u << 20);
	buf_put(&c->key_pem, p, (size_t)BIO_get_mem_data(k, &p));
	buf_put(&c->pem, p, (size_t)BIO_get_mem_data(x, &p));
	c->key = tls_key_read(buf_str(&c->key_pem), &err);
	if (!c->key)
		fail_msg("%s", buf_cstr(&err));
	BIO_free(k);
	BIO_free(x);
}

static inline void
kit_ext(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* san such as "DNS:a.example,email:b@example", or NULL; issuer NULL: signed by itself. */
static inline struct kit_cert
kit_cert(EVP_PKEY *pkey, const char *cn, const char *san, bool ca, const struct kit_cert *issuer)
{
	struct kit_cert c = { .pkey = pkey, .x = X509_new() };
	static int serial = 1;

	assert_non_null(pkey);
	X509_set_version(c.x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(c.x), -60);
	X509_gmtime_adj(X509_getm_notAfter(c.x), 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x), "CN", MBSTRING_ASC,
	    (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(c.x, X509_get_subject_name(issuer ? issuer->x : c.x));
	X509_set_pubkey(c.x, pkey);
	kit_ext(c.x, NID_basic_constraints, ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (san)
		kit_ext(c.x, NID_subject_alt_name, san);
	assert_true(X509_sign(c.x, issuer ? issuer->pkey : pkey, EVP_sha256()) > 0);
	kit_pem(&c);
	return c;
}

static inline void
kit_cert_done(struct kit_cert *c)
{
	EVP_PKEY_free(c->pkey);
	X509_free(c->x);
	c->key = tls_key_free(c->key);
	buf_done(&c->pem);
	buf_done(&c->key_pem);
}

/* --- the signer ----------------------------------------------------------------- */

enum kit_answer { KIT_NOW, KIT_LATER, KIT_NEVER, KIT_REFUSE, KIT_CANNOT, KIT_GARBAGE };

struct kit_signer {
	enum kit_answer how;
	const struct kit_cert *certs[4];
	unsigned asked;
	uint32_t id; /* of the last question */
	enum tls_sign_alg alg;
	unsigned char key[TLS_KEY_NAME];
	unsigned char sig[TLS_SIGNATURE_MAX];
	size_t len;
	bool due;
};

static inline bool
kit_sign(void *arg, uint32_t id, const unsigned char key[TLS_KEY_NAME], enum tls_sign_alg alg,
    struct str tbs)
{
	struct kit_signer *s = arg;
	unsigned char name[TLS_KEY_NAME];

	s->asked++;
	s->id = id;
	s->alg = alg;
	s->len = 0;
	memcpy(s->key, key, sizeof(s->key));
	assert_true(tls_signable(tbs));
	assert_true(tbs.len <= TLS_SIGN_MAX);
	for (size_t i = 0; i < 4 && s->certs[i]; i++) {
		tls_key_name(s->certs[i]->key, name);
		if (memcmp(name, key, sizeof(name)) == 0)
			s->len = tls_key_sign(s->certs[i]->key, alg, tbs, s->sig);
	}
	assert_true(s->len > 0);
	if (s->how == KIT_CANNOT)
		return false;
	if (s->how == KIT_REFUSE)
		s->len = 0;
	if (s->how == KIT_GARBAGE)
		memset(s->sig, 'x', s->len);
	s->due = s->how != KIT_NEVER;
	if (s->how == KIT_NOW) {
		s->due = false;
		assert_null(tls_signed(id, str_n(s->sig, s->len)));
	}
	return true;
}

/* --- one connection ---------------------------------------------------------------- */

struct kit_pair {
	struct tls *t;
	SSL *ssl;
	int fd[2];
	enum tls_io server;
	int client;     /* what SSL_get_error() says */
	unsigned paused; /* how often the server waited for a signature */
};

static inline SSL_CTX *
kit_client(int min, int max)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	if (min < TLS1_2_VERSION) {
		SSL_CTX_set_security_level(ctx, 0);
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0"), 1);
	}
	assert_int_equal(SSL_CTX_set_min_proto_version(ctx, min), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, max), 1);
	return ctx;
}

static inline void
kit_open(struct kit_pair *p, struct tls_server *s, SSL_CTX *client)
{
	*p = (struct kit_pair){ .server = TLS_READ, .client = SSL_ERROR_WANT_READ };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->fd), 0);
	assert_int_equal(fcntl(p->fd[1], F_SETFL, O_NONBLOCK), 0);
	p->t = tls_accept(s, p->fd[0]);
	p->ssl = SSL_new(client);
	assert_non_null(p->t);
	assert_non_null(p->ssl);
	assert_int_equal(SSL_set_fd(p->ssl, p->fd[1]), 1);
	SSL_set_connect_state(p->ssl);
	tls_owner(p->t, p);
}

/* libssl's macro wants it writable. */
static inline void
kit_name(SSL *ssl, const char *name)
{
	char *copy = xstrdup(name);

	assert_int_equal(SSL_set_tlsext_host_name(ssl, copy), 1);
	free(copy);
}

static inline void
kit_sigalgs(SSL_CTX *ctx, const char *list)
{
	char *copy = xstrdup(list);

	assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, copy), 1);
	free(copy);
}

static inline bool
kit_open_end(int e)
{
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

/* Both sides until nothing moves any more; answers what is due in between. */
static inline void
kit_shake(struct kit_pair *p, struct kit_signer *signer)
{
	for (int i = 0; i < 20; i++) {
		if (kit_open_end(p->client)) {
			ERR_clear_error();
			p->client = SSL_get_error(p->ssl, SSL_do_handshake(p->ssl));
		}
		if (p->server == TLS_SIGN && signer && signer->due) {
			signer->due = false;
			assert_ptr_equal(
			    tls_signed(signer->id, str_n(signer->sig, signer->len)), p);
		}
		if (p->server == TLS_READ || p->server == TLS_WRITE || p->server == TLS_SIGN)
			p->server = tls_handshake(p->t);
		p->paused += p->server == TLS_SIGN;
	}
}

static inline void
kit_close(struct kit_pair *p)
{
	p->t = tls_free(p->t);
	/* Or libssl takes its session for a broken one. */
	SSL_set_shutdown(p->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(p->ssl);
	close(p->fd[0]);
	if (p->fd[1] >= 0)
		close(p->fd[1]);
}

/* Octets there and back. */
static inline void
kit_talk(struct kit_pair *p)
{
	char got[64];
	size_t n = 0;

	assert_int_equal(SSL_write(p->ssl, "EHLO a\r\n", 8), 8);
	assert_int_equal(tls_read(p->t, got, sizeof(got), &n), TLS_OK);
	assert_int_equal(n, 8);
	assert_memory_equal(got, "EHLO a\r\n", 8);
	assert_false(tls_pending(p->t));
	assert_int_equal(tls_write(p->t, "250 b\r\n", 7, &n), TLS_OK);
	assert_int_equal(n, 7);
	assert_int_equal(SSL_read(p->ssl, got, sizeof(got)), 7);
	assert_memory_equal(got, "250 b\r\n", 7);
}
