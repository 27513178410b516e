/* DANE (RFC 6698, RFC 7671) as SMTP has it (RFC 7672 3.1): DANE-TA and DANE-EE. */
#include "tls/tls_priv.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { USAGE_TA = 2, USAGE_EE = 3 };
enum { SELECTOR_CERT, SELECTOR_SPKI };
enum { MATCH_FULL, MATCH_SHA256, MATCH_SHA512 };

/* A whole certificate or key, and nothing behind it. */
static bool
is_whole(const struct tls_tlsa *r)
{
	const unsigned char *p = (const unsigned char *)r->data.p, *at = p;
	X509 *x = NULL;
	EVP_PKEY *key = NULL;

	if (r->data.len > TLS_CHAIN_MAX)
		return false;
	if (r->selector == SELECTOR_CERT)
		x = d2i_X509(NULL, &at, (long)r->data.len);
	else
		key = d2i_PUBKEY(NULL, &at, (long)r->data.len);
	bool ok = at == p + r->data.len && (key || (x && X509_get0_pubkey(x)));
	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

bool
tls_tlsa_usable(const struct tls_tlsa *r)
{
	if ((r->usage != USAGE_TA && r->usage != USAGE_EE) || r->selector > SELECTOR_SPKI ||
	    r->data.len == 0)
		return false;
	switch (r->matching) {
	case MATCH_FULL:
		return is_whole(r);
	case MATCH_SHA256:
		return r->data.len == SHA256_DIGEST_LENGTH;
	case MATCH_SHA512:
		return r->data.len == SHA512_DIGEST_LENGTH;
	default:
		return false;
	}
}

/* The name of the TLSA records' base domain is the one that a DANE-TA certificate must have; the
 * name and the dates of a DANE-EE certificate mean nothing (RFC 7672 3.1.1). */
bool
tls_dane_begin(SSL *ssl, const struct tls_client_conf *conf)
{
	const char *name = conf->verify_name ? conf->verify_name : conf->name;
	bool any = false;

	if (!name || SSL_dane_enable(ssl, name) != 1)
		return false;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (const char *const *also = conf->also_names; also && *also; also++)
		if (**also && SSL_add1_host(ssl, *also) != 1)
			return false;
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < conf->n_tlsa; i++) {
		const struct tls_tlsa *r = &conf->tlsa[i];
		if (tls_tlsa_usable(r) && SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching,
					      (const unsigned char *)r->data.p, r->data.len) == 1)
			any = true;
	}
	ERR_clear_error();
	return any; /* without any it would be a handshake that asks the authorities */
}

bool
tls_peer_dane(const struct tls *t, struct tls_tlsa *ret)
{
	uint8_t usage, selector, matching;

	if (SSL_get_verify_result(t->ssl) != X509_V_OK ||
	    SSL_get0_dane_tlsa(t->ssl, &usage, &selector, &matching, NULL, NULL) < 0)
		return false;
	*ret = (struct tls_tlsa){ .usage = usage, .selector = selector, .matching = matching };
	return true;
}
