/* What is known behind the handshake. */
#include "base/check.h"
#include "tls/tls_priv.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define EXPORTER_LABEL "EXPORTER-Channel-Binding" /* RFC 9266 2 */
#define EXPORTER_LEN 32

/* Only a name that could stand in the DNS; anything else was no name. */
static void
put_sni(const SSL *ssl, char out[256])
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t n = name ? strlen(name) : 0;

	if (n == 0 || n > 255)
		return;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c | 0x20);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
			c == '_')) {
			out[0] = '\0';
			return;
		}
		out[i] = c;
	}
	out[n] = '\0';
}

/* The first rfc822Name that is plain text; false when there is none. */
static bool
mail_name(X509 *x, char out[256])
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(all) && i < TLS_NAMES_MAX; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		if (g->type != GEN_EMAIL)
			continue;
		struct str s = str_n(ASN1_STRING_get0_data(g->d.rfc822Name),
		    (size_t)ASN1_STRING_length(g->d.rfc822Name));
		found = s.len > 0;
		for (size_t k = 0; k < s.len; k++)
			found = found && s.p[k] > ' ' && s.p[k] < 0x7f;
		found = found && str_copy(out, 256, s);
	}
	GENERAL_NAMES_free(all);
	return found;
}

static void
put_client(const struct tls *t, struct tls_facts *f)
{
	X509 *x = t->client ? NULL : SSL_get0_peer_certificate(t->ssl);

	if (!x)
		return;
	tls_name_line(X509_get_subject_name(x), f->client_subject, sizeof(f->client_subject));
	f->client_verified = SSL_get_verify_result(t->ssl) == X509_V_OK;
	if (f->client_verified && !mail_name(x, f->client_name))
		snprintf(f->client_name, sizeof(f->client_name), "%s", f->client_subject);
}

/* RFC 9266 4.2: up to TLS 1.2 only where the master secret is unique (RFC 7627). */
static void
put_exporter(SSL *ssl, struct tls_facts *f)
{
	if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
		return;
	if (SSL_export_keying_material(ssl, f->exporter, EXPORTER_LEN, EXPORTER_LABEL,
		strlen(EXPORTER_LABEL), (const unsigned char *)"", 0, 1) == 1)
		f->exporter_len = EXPORTER_LEN;
}

/* RFC 5929 3: the first Finished of the handshake: the client's, or, resumed, the server's. */
static void
put_unique(const struct tls *t, struct tls_facts *f)
{
	bool ours = f->resumed ? !t->client : t->client;

	if (SSL_version(t->ssl) >= TLS1_3_VERSION ||
	    (f->resumed && SSL_get_extms_support(t->ssl) != 1))
		return;
	f->unique_len = ours ? SSL_get_finished(t->ssl, f->unique, sizeof(f->unique))
	                     : SSL_get_peer_finished(t->ssl, f->unique, sizeof(f->unique));
	f->unique_len = MIN(f->unique_len, sizeof(f->unique));
}

static void
put_endpoint(const struct tls *t, struct tls_facts *f)
{
	void *p = NULL;
	size_t n = 0;

	if (!t->client && f->resumed) {
		if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(t->ssl), &p, &n) == 1 && p &&
		    n <= sizeof(f->endpoint)) {
			memcpy(f->endpoint, p, n);
			f->endpoint_len = n;
		}
		return;
	}
	X509 *x = t->client ? SSL_get0_peer_certificate(t->ssl) : SSL_get_certificate(t->ssl);
	if (x)
		f->endpoint_len = tls_cert_endpoint(x, f->endpoint);
}

static void
put_alpn(const SSL *ssl, char out[16])
{
	const unsigned char *p;
	unsigned int n;

	SSL_get0_alpn_selected(ssl, &p, &n);
	if (n > 0 && !str_copy(out, 16, str_n(p, n)))
		out[0] = '\0';
}

void
tls_facts(const struct tls *t, struct tls_facts *ret)
{
	SSL *ssl = t->ssl;

	*ret = (struct tls_facts){ 0 };
	snprintf(ret->version, sizeof(ret->version), "%s", SSL_get_version(ssl));
	snprintf(ret->cipher, sizeof(ret->cipher), "%s", SSL_get_cipher_name(ssl));
	ret->bits = SSL_get_cipher_bits(ssl, NULL);
	ret->resumed = SSL_session_reused(ssl) == 1;
	put_sni(ssl, ret->sni);
	put_alpn(ssl, ret->alpn);
	put_client(t, ret);
	put_exporter(ssl, ret);
	put_unique(t, ret);
	put_endpoint(t, ret);
	ERR_clear_error();
}

bool
tls_peer_chain(const struct tls *t, struct buf *pem)
{
	STACK_OF(X509) *all = SSL_get_peer_cert_chain(t->ssl);
	BIO *b = BIO_new(BIO_s_mem());
	char *p = NULL;
	bool ok = b && sk_X509_num(all) > 0;

	for (int i = 0; ok && i < sk_X509_num(all); i++)
		ok = PEM_write_bio_X509(b, sk_X509_value(all, i)) == 1;
	long n = ok ? BIO_get_mem_data(b, &p) : 0;
	if (n > 0)
		buf_put(pem, p, (size_t)n);
	BIO_free(b);
	ERR_clear_error();
	return ok && !pem->failed;
}
