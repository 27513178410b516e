/* A listener's side: what is offered, certificates by name, tickets. */
#include "base/check.h"
#include "base/wire.h"
#include "tls/tls_priv.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdlib.h>

/* With ECDHE alone the key only ever signs: an exchange by RSA would have it decrypt. */
#define SUITES_12                                                                                  \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                               \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
#define SUITES_LEGACY                                                                              \
	SUITES_12 ":ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:"                            \
		  "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:"                             \
		  "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:"                                   \
		  "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"
#define TICKET_SECONDS 7200
#define CLIENT_CHAIN_MAX (32 << 10)
#define VERIFY_DEPTH 8

/* --- callbacks of libssl; they run on the small stack of a job -------------------- */

static int
on_certificate(SSL *ssl, void *arg)
{
	const struct tls *t = SSL_get_app_data(ssl);
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	return tls_certs_use(t->server->certs, name, ssl);
}

/* Any name is welcome; without this a resumed session would not know its own. */
static int
on_servername(SSL *ssl, int *alert, void *arg)
{
	return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301 3.2. Names of other protocols only: the client means another server (ALPACA). */
static int
on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_len, const unsigned char *in,
    unsigned int n, void *arg)
{
	const struct tls_server *s = arg;
	struct str ours = str_of(s->alpn);

	for (unsigned i = 0; i < n && in[i] < n - i; i += in[i] + 1u) {
		if (str_eq(str_n(in + i + 1, in[i]), ours)) {
			*ret = in + i + 1;
			*ret_len = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* One that does not verify is as good as none: the result says so, the handshake goes on. */
static int
on_client_certificate(X509_STORE_CTX *ctx, void *arg)
{
	if (X509_verify_cert(ctx) <= 0 && X509_STORE_CTX_get_error(ctx) == X509_V_OK)
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
	ERR_clear_error();
	return 1;
}

static bool
ticket_ciphers(struct tls_ticket_key *k, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int enc)
{
	char sha256[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->hmac, sizeof(k->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_CipherInit_ex(cipher, tls_ticket_cipher, NULL, k->aes, iv, enc) == 1 &&
	       EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* RFC 5077 4, as recommended. 0: no such key, so a full handshake; 2: an old key, renew. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int enc)
{
	const struct tls *t = SSL_get_app_data(ssl);
	struct tls_ticket_key *k = t->server->tickets;
	size_t n = t->server->n_tickets;

	if (enc) {
		if (n == 0)
			return 0;
		memcpy(name, k->name, sizeof(k->name));
		if (RAND_bytes_ex(tls_lib, iv, 16, 0) != 1)
			return -1;
		return ticket_ciphers(k, iv, cipher, mac, 1) ? 1 : -1;
	}
	for (size_t i = 0; i < n; i++)
		if (CRYPTO_memcmp(name, k[i].name, sizeof(k[i].name)) == 0)
			return !ticket_ciphers(&k[i], iv, cipher, mac, 0) ? -1 : i == 0 ? 1 : 2;
	return 0;
}

/* A resumed session has no certificate; its channel binding is that of the first handshake. */
static int
on_ticket_made(SSL *ssl, void *arg)
{
	unsigned char endpoint[TLS_BINDING_MAX];
	SSL_SESSION *session = SSL_get_session(ssl);
	X509 *x = SSL_get_certificate(ssl);

	if (SSL_session_reused(ssl)) /* its data comes along */
		return 1;
	size_t n = x ? tls_cert_endpoint(x, endpoint) : 0;
	return SSL_SESSION_set1_ticket_appdata(session, endpoint, n);
}

static SSL_TICKET_RETURN
on_ticket_used(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t n,
    SSL_TICKET_STATUS status, void *arg)
{
	switch (status) {
	case SSL_TICKET_SUCCESS:
		return SSL_TICKET_RETURN_USE;
	case SSL_TICKET_SUCCESS_RENEW:
		return SSL_TICKET_RETURN_USE_RENEW;
	case SSL_TICKET_EMPTY:
	case SSL_TICKET_NO_DECRYPT:
	default:
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	}
}

/* --- setting up -------------------------------------------------------------------- */

static bool
set_protocol(SSL_CTX *ctx, bool legacy)
{
	static char groups[] = "X25519:P-256:P-384:P-521"; /* tls/signable.c knows the same */

	SSL_CTX_set_security_level(ctx, legacy ? 0 : 2);
	/* Passwords are among the plaintext. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
				     SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET |
				     SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC | SSL_MODE_RELEASE_BUFFERS |
				  SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TICKET_SECONDS);
	SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_MAX);
	return SSL_CTX_set_min_proto_version(ctx, legacy ? TLS1_VERSION : TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, 0) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, legacy ? SUITES_LEGACY : SUITES_12) == 1 &&
	       SSL_CTX_set1_groups_list(ctx, groups) == 1 && SSL_CTX_set_num_tickets(ctx, 0) == 1;
}

static bool
set_client_ca(SSL_CTX *ctx, struct str pem, struct buf *err)
{
	STACK_OF(X509) *all = tls_pem_certs(pem, err);
	bool ok = all != NULL;

	for (int i = 0; ok && i < sk_X509_num(all); i++) {
		X509 *x = sk_X509_value(all, i);
		ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1 &&
		     SSL_CTX_add_client_CA(ctx, x) == 1;
		if (!ok)
			buf_putf(err, "the authorities cannot be used: %s", tls_reason());
	}
	sk_X509_pop_free(all, X509_free);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
	SSL_CTX_set_verify_depth(ctx, VERIFY_DEPTH);
	SSL_CTX_set_cert_verify_callback(ctx, on_client_certificate, NULL);
	return ok;
}

static SSL_CTX *
context_new(struct tls_server *s, const struct tls_server_conf *conf, struct buf *err)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(tls_lib, TLS_PROPS, TLS_server_method());

	check(ctx);
	SSL_CTX_set_cert_cb(ctx, on_certificate, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_servername);
	if (s->alpn[0])
		SSL_CTX_set_alpn_select_cb(ctx, on_alpn, s);
	if (!set_protocol(ctx, conf->legacy) ||
	    SSL_CTX_set_session_id_context(ctx, s->id, TLS_ID) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1 ||
	    SSL_CTX_set_session_ticket_cb(ctx, on_ticket_made, on_ticket_used, NULL) != 1)
		buf_putf(err, "TLS cannot be set up: %s", tls_reason());
	else if (!conf->client_ca.len || set_client_ca(ctx, conf->client_ca, err))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* A ticket must not outlive what it was given under: another set of authorities, say. */
static void
make_id(struct tls_server *s, const struct tls_server_conf *conf)
{
	struct buf all = BUF_INIT(64 + conf->id.len + conf->client_ca.len);

	put_str(&all, conf->id);
	put_str(&all, conf->client_ca);
	put_u8(&all, conf->legacy);
	check(!all.failed);
	crypt_digest(CRYPT_SHA256, buf_str(&all), s->id);
	buf_done(&all);
}

struct tls_server *
tls_server_new(const struct tls_server_conf *conf, struct tls_certs *certs, tls_sign_fn *sign,
    void *arg, struct buf *err)
{
	struct tls_server *s = xalloc(sizeof(*s));

	check(tls_lib && sign);
	*s = (struct tls_server){ .refs = 1, .sign = sign, .arg = arg };
	check(str_copy(s->alpn, sizeof(s->alpn), str_of(conf->alpn)));
	make_id(s, conf);
	s->certs = tls_certs_ref(certs);
	ERR_clear_error();
	s->ctx = context_new(s, conf, err);
	return s->ctx ? s : tls_server_free(s);
}

bool
tls_server_certs(struct tls_server *s, struct tls_certs *certs, struct buf *err)
{
	if (tls_certs_count(certs) == 0) {
		buf_putz(err, "there is no certificate");
		return false;
	}
	tls_certs_ref(certs);
	tls_certs_unref(s->certs);
	s->certs = certs;
	return true;
}

/* What the listener makes of a key that all listeners have. */
static void
bind_key(const struct tls_server *s, const unsigned char *key, size_t n, const char *what,
    unsigned char *out)
{
	struct buf text = BUF_INIT(1024);
	unsigned char mac[CRYPT_DIGEST_MAX];

	buf_putf(&text, "pennypost ticket %s ", what);
	buf_put(&text, s->id, TLS_ID);
	check(!text.failed);
	crypt_hmac(CRYPT_SHA256, str_n(key, n), buf_str(&text), mac);
	memcpy(out, mac, n);
	explicit_bzero(mac, sizeof(mac));
	buf_done(&text);
}

/* With a key that everybody knows everybody could make sessions, of any client. */
static bool
is_key(const struct tls_ticket_key *k)
{
	static const struct tls_ticket_key none;

	return memcmp(k->aes, none.aes, sizeof(none.aes)) != 0 &&
	       memcmp(k->hmac, none.hmac, sizeof(none.hmac)) != 0;
}

void
tls_server_tickets(struct tls_server *s, const struct tls_ticket_key key[TLS_TICKET_KEYS])
{
	s->n_tickets = 0;
	for (size_t i = 0; i < TLS_TICKET_KEYS && is_key(&key[i]); i++) {
		struct tls_ticket_key *to = &s->tickets[s->n_tickets++];
		bind_key(s, key[i].name, sizeof(to->name), "name", to->name);
		bind_key(s, key[i].aes, sizeof(to->aes), "aes", to->aes);
		bind_key(s, key[i].hmac, sizeof(to->hmac), "hmac", to->hmac);
	}
	if (s->n_tickets > 0)
		SSL_CTX_clear_options(s->ctx, SSL_OP_NO_TICKET);
	else
		SSL_CTX_set_options(s->ctx, SSL_OP_NO_TICKET);
	check(SSL_CTX_set_num_tickets(s->ctx, s->n_tickets > 0) == 1);
}

struct tls_server *
tls_server_ref(struct tls_server *s)
{
	s->refs++;
	return s;
}

struct tls_server *
tls_server_free(struct tls_server *s)
{
	if (!s || --s->refs > 0)
		return NULL;
	SSL_CTX_free(s->ctx);
	tls_certs_unref(s->certs);
	explicit_bzero(s->tickets, sizeof(s->tickets));
	free(s);
	return NULL;
}
