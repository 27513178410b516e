/* The client's side. */
#include "base/check.h"
#include "tls/tls_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* libcrypto has file errors as numbers of its own; these are said in the system's words. */
static bool
can_read(const char *path, struct buf *err)
{
	if (access(path, R_OK) == 0)
		return true;
	buf_putf(err, "%s: %s", path, strerror(errno));
	return false;
}

static bool
set_authorities(SSL_CTX *ctx, const struct tls_client_conf *conf, struct buf *err)
{
	struct stat st;

	if (!conf->ca_file) {
		if (!conf->verify && !conf->judge)
			return true;
		if (SSL_CTX_set_default_verify_paths(ctx) == 1)
			return true;
		buf_putf(err, "the system's authorities cannot be read: %s", tls_reason());
		return false;
	}
	if (!can_read(conf->ca_file, err))
		return false;
	bool folder = stat(conf->ca_file, &st) == 0 && S_ISDIR(st.st_mode);
	if ((folder ? SSL_CTX_load_verify_dir(ctx, conf->ca_file)
		    : SSL_CTX_load_verify_file(ctx, conf->ca_file)) == 1)
		return true;
	buf_putf(err, "%s: %s", conf->ca_file, tls_reason());
	return false;
}

static bool
set_files(SSL_CTX *ctx, const struct tls_client_conf *conf, struct buf *err)
{
	const char *key = conf->key_file ? conf->key_file : conf->cert_file;

	if (!set_authorities(ctx, conf, err))
		return false;
	if (!key)
		return true;
	if (conf->cert_file && !can_read(conf->cert_file, err))
		return false;
	if (conf->cert_file && SSL_CTX_use_certificate_chain_file(ctx, conf->cert_file) != 1) {
		buf_putf(err, "%s: %s", conf->cert_file, tls_reason());
		return false;
	}
	if (!can_read(key, err))
		return false;
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1)
		return true;
	buf_putf(err, "%s: %s", key, tls_reason());
	if (!conf->key_file)
		buf_putz(err,
		    "; the key is looked for in the certificate's file: --key names another");
	return false;
}

/* Names of TLS 1.3 begin with TLS_, and libssl wants them in a list of their own. */
static bool
set_ciphers(SSL_CTX *ctx, const char *list, struct buf *err)
{
	struct buf old = BUF_INIT(64u << 10), new = BUF_INIT(64u << 10);
	struct str rest = str_of(list);
	bool ok = true;

	while (rest.len) {
		size_t n = str_find_any(rest, ":, ");
		struct str name = str_first(rest, n);
		struct buf *to = str_starts(name, STR("TLS_")) ? &new : &old;
		rest = str_skip(rest, n + 1);
		if (name.len) {
			buf_putz(to, to->len ? ":" : "");
			buf_puts(to, name);
		}
	}
	if (old.failed || new.failed || !buf_cstr(&old) || !buf_cstr(&new))
		ok = false;
	/* An empty list means: none of those. */
	ok = ok && (old.len == 0 || SSL_CTX_set_cipher_list(ctx, old.p) == 1) &&
	     (new.len == 0 ? old.len == 0 || SSL_CTX_set_ciphersuites(ctx, "") == 1
			   : SSL_CTX_set_ciphersuites(ctx, new.p) == 1);
	if (ok && new.len && !old.len)
		SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	if (!ok)
		buf_putf(err, "%s: no such cipher suite", list);
	buf_done(&old);
	buf_done(&new);
	ERR_clear_error();
	return ok;
}

static void
put_key_line(const SSL *ssl, const char *line)
{
	const struct tls *t = SSL_get_app_data(ssl);
	struct buf b = BUF_INIT(4096);

	buf_putf(&b, "%s\n", line);
	if (t && t->keylog >= 0 && !b.failed) {
		/* One write: other programs append to the same file. */
		ssize_t n = write(t->keylog, b.p, b.len);
		(void)n;
	}
	buf_wipe(&b);
	buf_done(&b);
}

static int
note_wanted(SSL *ssl, X509 **x, EVP_PKEY **key)
{
	struct tls *t = SSL_get_app_data(ssl);

	t->wanted = true;
	return 0; /* we have none */
}

/* A signature is asked for on a job's stack, on which the handshake goes on (tls_handshake()). */
static int
show_certificate(SSL *ssl, void *arg)
{
	struct tls *t = arg;

	if (SSL_version(ssl) != TLS1_3_VERSION)
		return 1;
	if (!t->shows)
		return -1;
	return tls_certs_use(t->certs, t->cert_name, ssl);
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
	SSL_CTX_set_client_cert_cb(ctx, note_wanted);
	if (conf->keylog)
		SSL_CTX_set_keylog_callback(ctx, put_key_line);
	if (conf->n_tlsa)
		SSL_CTX_dane_enable(ctx);
	if (!set_versions(ctx, conf))
		buf_putf(err, "these versions of TLS are not to be had: %s", tls_reason());
	else if ((!conf->ciphers || set_ciphers(ctx, conf->ciphers, err)) &&
		 set_files(ctx, conf, err))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* RFC 6066 3: an address is no name. */
static bool
set_sni(SSL *ssl, const char *name)
{
	if (is_address(name))
		return true;
	char *copy = xstrdup(name); /* the macro wants it writable */
	bool ok = SSL_set_tlsext_host_name(ssl, copy) == 1;
	free(copy);
	return ok;
}

/* A name in the subject alone is none (RFC 8461 4.2, RFC 9525 2); DANE has its own rule. */
static bool
set_verify_name(SSL *ssl, const char *name)
{
	if (is_address(name))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	SSL_set_hostflags(ssl,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return SSL_set1_host(ssl, name) == 1;
}

static bool
set_names(SSL *ssl, const struct tls_client_conf *conf)
{
	const char *name = conf->verify_name ? conf->verify_name : conf->name;

	if (conf->name && !set_sni(ssl, conf->name))
		return false;
	return !name || !(conf->verify || conf->judge) || set_verify_name(ssl, name);
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

static const char *
message_name(int type, const unsigned char *p, size_t n)
{
	static const char *const handshakes[] = { [1] = "handshake: ClientHello",
		[2] = "handshake: ServerHello",
		[4] = "handshake: NewSessionTicket",
		[8] = "handshake: EncryptedExtensions",
		[11] = "handshake: Certificate",
		[12] = "handshake: ServerKeyExchange",
		[13] = "handshake: CertificateRequest",
		[14] = "handshake: ServerHelloDone",
		[15] = "handshake: CertificateVerify",
		[16] = "handshake: ClientKeyExchange",
		[20] = "handshake: Finished",
		[22] = "handshake: CertificateStatus",
		[24] = "handshake: KeyUpdate" };

	switch (type) {
	case SSL3_RT_CHANGE_CIPHER_SPEC:
		return "change of cipher";
	case SSL3_RT_ALERT:
		return n >= 2 ? SSL_alert_desc_string_long(p[1]) : "alert";
	case SSL3_RT_HANDSHAKE:
		if (n >= 1 && p[0] < ARRAY_LEN(handshakes) && handshakes[p[0]])
			return handshakes[p[0]];
		return "handshake";
	default:
		return NULL; /* heads of records, and what libssl makes up to tell more */
	}
}

static void
trace_message(int sent, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	const struct tls *t = arg;
	const char *what = message_name(type, p, n);
	char alert[128];

	if (!what)
		return;
	if (type == SSL3_RT_ALERT) {
		snprintf(alert, sizeof(alert), "alert: %s", what);
		what = alert;
	}
	t->trace(t->trace_arg, sent != 0, what, n);
}

static bool
set_extras(struct tls *t, const struct tls_client_conf *conf, struct buf *err)
{
	if (conf->trace) {
		t->trace = conf->trace;
		t->trace_arg = conf->trace_arg;
		SSL_set_msg_callback(t->ssl, trace_message);
		SSL_set_msg_callback_arg(t->ssl, t);
	}
	if (conf->ocsp)
		SSL_set_tlsext_status_type(t->ssl, TLSEXT_STATUSTYPE_ocsp);
	if (!conf->keylog)
		return true;
	t->keylog = open(conf->keylog, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (t->keylog >= 0)
		return true;
	buf_putf(err, "%s: %s", conf->keylog, strerror(errno));
	return false;
}

static struct tls *
connect_in(SSL_CTX *ctx, const struct tls_client_conf *conf, int fd, struct buf *err)
{
	struct tls *t = tls_conn_new(ctx, fd);

	if (!t) {
		buf_putz(err, "no memory for a TLS connection");
		return NULL;
	}
	t->client = true;
	SSL_set_connect_state(t->ssl);
	if (!set_names(t->ssl, conf) || (conf->alpn && !set_alpn(t->ssl, conf->alpn)))
		buf_putz(err, "this is no host name that TLS could use");
	else if (conf->n_tlsa && !tls_dane_begin(t->ssl, conf))
		buf_putz(err, "there is no TLSA record that could be used");
	else if (set_extras(t, conf, err))
		return t;
	ERR_clear_error();
	return tls_free(t);
}

struct tls *
tls_connect(const struct tls_client_conf *conf, int fd, struct buf *err)
{
	check(tls_lib);
	ERR_clear_error();
	SSL_CTX *ctx = context_new(conf, err);
	struct tls *t = ctx ? connect_in(ctx, conf, fd, err) : NULL;

	SSL_CTX_free(ctx);
	return t;
}

/* --- many connections --- */

struct tls_client {
	SSL_CTX *ctx;
};

static bool
add_authorities(SSL_CTX *ctx, struct str pem, struct buf *err)
{
	STACK_OF(X509) *certs = tls_pem_certs(pem, err);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);

	for (int i = 0; certs && i < sk_X509_num(certs); i++)
		X509_STORE_add_cert(store, sk_X509_value(certs, i)); /* one that is there: fine */
	ERR_clear_error();
	bool ok = certs != NULL;
	sk_X509_pop_free(certs, X509_free);
	return ok;
}

struct tls_client *
tls_client_new(const struct tls_client_conf *conf, struct str authorities, struct buf *err)
{
	struct tls_client_conf bare = { .min_version = conf->min_version,
		.max_version = conf->max_version,
		.ciphers = conf->ciphers };

	check(tls_lib);
	ERR_clear_error();
	SSL_CTX *ctx = context_new(&bare, err);
	if (ctx && SSL_CTX_dane_enable(ctx) != 1) {
		buf_putf(err, "libssl has no DANE: %s", tls_reason());
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	if (ctx && authorities.len && !add_authorities(ctx, authorities, err)) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	if (!ctx)
		return NULL;
	struct tls_client *c = xalloc(sizeof(*c));
	c->ctx = ctx;
	return c;
}

struct tls_client *
tls_client_free(struct tls_client *c)
{
	if (c)
		SSL_CTX_free(c->ctx);
	free(c);
	return NULL;
}

struct tls *
tls_client_connect(struct tls_client *c, const struct tls_client_conf *conf, int fd,
    struct buf *err)
{
	struct tls_client_conf bare = { .name = conf->name,
		.alpn = conf->alpn,
		.verify = conf->verify,
		.verify_name = conf->verify_name,
		.judge = conf->judge,
		.tlsa = conf->tlsa,
		.n_tlsa = conf->n_tlsa,
		.also_names = conf->also_names };

	ERR_clear_error();
	struct tls *t = connect_in(c->ctx, &bare, fd, err);
	if (t)
		SSL_set_verify(t->ssl, bare.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (t && conf->cert_name && conf->certs && tls_certs_know(conf->certs, conf->cert_name)) {
		t->certs = tls_certs_ref(conf->certs);
		t->cert_name = xstrdup(conf->cert_name);
		t->sign = conf->sign;
		t->sign_arg = conf->sign_arg;
		SSL_set_cert_cb(t->ssl, show_certificate, t);
	}
	return t;
}
