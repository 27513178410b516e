/* The client's side. */
#include "base/check.h"
#include "tls/tls_priv.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define LEGACY_SUITES "ALL:@SECLEVEL=0"

static bool
is_address(const char *name)
{
	unsigned char addr[16];

	return inet_pton(AF_INET, name, addr) == 1 || inet_pton(AF_INET6, name, addr) == 1;
}

static bool
set_versions(SSL_CTX *ctx, const struct tls_client_conf *conf)
{
	int min = conf->min_version ? conf->min_version : TLS1_2_VERSION;

	/* Whoever asks for the old versions wants what they need, too. */
	if (min < TLS1_2_VERSION) {
		SSL_CTX_set_security_level(ctx, 0);
		if (SSL_CTX_set_cipher_list(ctx, LEGACY_SUITES) != 1)
			return false;
	}
	return SSL_CTX_set_min_proto_version(ctx, min) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, conf->max_version) == 1;
}

static bool
set_files(SSL_CTX *ctx, const struct tls_client_conf *conf, struct buf *err)
{
	if (conf->verify && !conf->ca_file && SSL_CTX_set_default_verify_paths(ctx) != 1) {
		buf_putf(err, "the system's authorities cannot be read: %s", tls_reason());
		return false;
	}
	if (conf->ca_file && SSL_CTX_load_verify_file(ctx, conf->ca_file) != 1) {
		buf_putf(err, "%s: %s", conf->ca_file, tls_reason());
		return false;
	}
	if (conf->cert_file && SSL_CTX_use_certificate_chain_file(ctx, conf->cert_file) != 1) {
		buf_putf(err, "%s: %s", conf->cert_file, tls_reason());
		return false;
	}
	if (conf->key_file &&
	    (SSL_CTX_use_PrivateKey_file(ctx, conf->key_file, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(ctx) != 1)) {
		buf_putf(err, "%s: %s", conf->key_file, tls_reason());
		return false;
	}
	return true;
}

static SSL_CTX *
context_new(const struct tls_client_conf *conf, struct buf *err)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(tls_lib, TLS_PROPS, TLS_client_method());

	check(ctx);
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_verify(ctx, conf->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (!set_versions(ctx, conf))
		buf_putf(err, "these versions of TLS are not to be had: %s", tls_reason());
	else if (set_files(ctx, conf, err))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* RFC 6066 3: an address is no name. */
static bool
set_name(SSL *ssl, const char *name, bool verify)
{
	bool address = is_address(name), ok = true;

	if (!address) {
		char *copy = xstrdup(name); /* the macro wants it writable */
		ok = SSL_set_tlsext_host_name(ssl, copy) == 1;
		free(copy);
	}
	if (!ok)
		return false;
	if (!verify)
		return true;
	if (address)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1;
}

static bool
set_alpn(SSL *ssl, const char *alpn)
{
	unsigned char wire[256];
	size_t n = strlen(alpn);

	if (n == 0 || n > 255)
		return false;
	wire[0] = (unsigned char)n;
	memcpy(wire + 1, alpn, n);
	return SSL_set_alpn_protos(ssl, wire, (unsigned)n + 1) == 0;
}

struct tls *
tls_connect(const struct tls_client_conf *conf, int fd, struct buf *err)
{
	check(tls_lib);
	ERR_clear_error();
	SSL_CTX *ctx = context_new(conf, err);
	struct tls *t = ctx ? tls_conn_new(ctx, fd) : NULL;

	if (ctx && !t)
		buf_putz(err, "no memory for a TLS connection");
	SSL_CTX_free(ctx);
	if (!t)
		return NULL;
	t->client = true;
	SSL_set_connect_state(t->ssl);
	if ((!conf->name || set_name(t->ssl, conf->name, conf->verify)) &&
	    (!conf->alpn || set_alpn(t->ssl, conf->alpn)))
		return t;
	buf_putz(err, "this is no host name that TLS could use");
	ERR_clear_error();
	return tls_free(t);
}
