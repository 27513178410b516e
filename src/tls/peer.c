/* The peer's certificates, read for people. */
#include "base/check.h"
#include "base/utf8.h"
#include "tls/tls_priv.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define CERTS_MAX 32 /* of one chain, that are looked at */

static X509 *
cert_at(const struct tls *t, size_t i)
{
	STACK_OF(X509) *all = SSL_get_peer_cert_chain(t->ssl);

	return i < tls_peer_certs(t) ? sk_X509_value(all, (int)i) : NULL;
}

size_t
tls_peer_certs(const struct tls *t)
{
	int n = sk_X509_num(SSL_get_peer_cert_chain(t->ssl));

	return n <= 0 ? 0 : MIN((size_t)n, (size_t)CERTS_MAX);
}

static void
put_name_line(const X509_NAME *name, char *out, size_t n)
{
	char all[8192];

	if (!tls_name_line(name, all, sizeof(all)))
		snprintf(all, sizeof(all), "(a very long name)");
	if ((size_t)snprintf(out, n, "%s", all) >= n)
		memcpy(out + n - 4, "...", 4);
}

static void
put_common_name(const X509_NAME *subject, char out[256])
{
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const X509_NAME_ENTRY *e = at >= 0 ? X509_NAME_get_entry(subject, at) : NULL;
	unsigned char *utf8 = NULL;
	struct buf b = BUF_INIT(1024);
	int n = e ? ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(e)) : -1;

	if (n > 0)
		utf8_escape(&b, str_n(utf8, (size_t)n));
	if (b.failed || !str_copy(out, 256, buf_str(&b)))
		out[0] = '\0';
	OPENSSL_free(utf8);
	buf_done(&b);
}

static void
put_serial(X509 *x, char out[130])
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	int n = serial ? ASN1_STRING_length(serial) : 0;
	const unsigned char *p = ASN1_STRING_get0_data(serial);
	size_t at = 0;

	out[0] = '\0';
	for (int i = 0; i < n && at + 3 < 130; i++)
		at += (size_t)snprintf(out + at, 130 - at, "%02x", p[i]);
}

static void
put_key_type(EVP_PKEY *key, char out[48])
{
	char group[40];
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;

	if (!type)
		snprintf(out, 48, "unknown");
	else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
		 EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1)
		snprintf(out, 48, "EC %s",
		    strcmp(group, "prime256v1") == 0  ? "P-256"
		    : strcmp(group, "secp384r1") == 0 ? "P-384"
		    : strcmp(group, "secp521r1") == 0 ? "P-521"
						      : group);
	else if (EVP_PKEY_get_bits(key) > 0)
		snprintf(out, 48, "%.30s %d", type, EVP_PKEY_get_bits(key));
	else
		snprintf(out, 48, "%.40s", type);
}

static void
put_other_name(const GENERAL_NAME *g, struct buf *names)
{
	char text[INET6_ADDRSTRLEN];
	const ASN1_STRING *s = g->type == GEN_DNS     ? g->d.dNSName
	                       : g->type == GEN_EMAIL ? g->d.rfc822Name
	                       : g->type == GEN_URI   ? g->d.uniformResourceIdentifier
	                       : g->type == GEN_IPADD ? g->d.iPAddress
	                                              : NULL;

	if (!s)
		return;
	struct str value = str_n(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	if (g->type == GEN_IPADD) {
		int family = value.len == 4 ? AF_INET : AF_INET6;
		if ((value.len == 4 || value.len == 16) &&
		    inet_ntop(family, value.p, text, sizeof(text)))
			buf_putf(names, "IP:%s\n", text);
		return;
	}
	buf_putz(names, g->type == GEN_EMAIL ? "email:" : g->type == GEN_URI ? "URI:" : "");
	utf8_escape(names, value);
	buf_putc(names, '\n');
}

static void
put_names(X509 *x, struct buf *names)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(all) && i < TLS_NAMES_MAX; i++)
		put_other_name(sk_GENERAL_NAME_value(all, i), names);
	GENERAL_NAMES_free(all);
}

bool
tls_peer_cert(const struct tls *t, size_t i, struct tls_peer_cert *ret, struct buf *names)
{
	X509 *x = cert_at(t, i);
	struct tls_peer_cert c = { 0 };
	unsigned int len = 0;

	if (!x)
		return false;
	EVP_PKEY *key = X509_get0_pubkey(x);
	put_name_line(X509_get_subject_name(x), c.subject, sizeof(c.subject));
	put_name_line(X509_get_issuer_name(x), c.issuer, sizeof(c.issuer));
	put_common_name(X509_get_subject_name(x), c.common_name);
	put_serial(x, c.serial);
	put_key_type(key, c.key_type);
	int nid = X509_get_signature_nid(x);
	snprintf(c.signature, sizeof(c.signature), "%s",
	    nid == NID_undef ? "unknown" : OBJ_nid2ln(nid));
	c.not_before = tls_seconds(X509_get0_notBefore(x));
	c.not_after = tls_seconds(X509_get0_notAfter(x));
	/* X509_pubkey_digest() is over the bits only; a pin is over the whole structure. */
	struct buf der = BUF_INIT(64u << 10);
	bool ok = X509_digest(x, EVP_sha256(), c.sha256, &len) == 1 &&
	          tls_peer_der(t, i, true, &der) &&
	          EVP_Digest(der.p, der.len, c.key, &len, EVP_sha256(), NULL) == 1;
	buf_done(&der);
	c.self_signed = X509_self_signed(x, 0) == 1;
	if (names)
		put_names(x, names);
	ERR_clear_error();
	if (ok)
		*ret = c;
	return ok;
}

bool
tls_peer_der(const struct tls *t, size_t i, bool public_key, struct buf *ret)
{
	X509 *x = cert_at(t, i);
	unsigned char *p = NULL;
	int n = !x           ? -1
	        : public_key ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &p)
	                     : i2d_X509(x, &p);

	if (n > 0)
		buf_put(ret, p, (size_t)n);
	OPENSSL_free(p);
	ERR_clear_error();
	return n > 0 && !ret->failed;
}

/* --- OCSP stapling (RFC 6066 8, RFC 6960) ------------------------------------------------ */

static int64_t
generalized(const ASN1_GENERALIZEDTIME *t)
{
	return t ? tls_seconds(t) : 0;
}

/* The single answer about the peer's own certificate, or NULL. */
static OCSP_SINGLERESP *
answer_about(OCSP_BASICRESP *basic, X509 *x, X509 *issuer)
{
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, x, issuer);
	OCSP_SINGLERESP *found = NULL;

	for (int i = 0; id && !found && i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *one = OCSP_resp_get0(basic, i);
		const OCSP_CERTID *theirs = OCSP_SINGLERESP_get0_id(one);
		const ASN1_OBJECT *md = NULL;
		const EVP_MD *hash = NULL;
		ASN1_OBJECT *alg = NULL;
		OCSP_id_get0_info(NULL, &alg, NULL, NULL, (OCSP_CERTID *)(uintptr_t)theirs);
		md = alg;
		hash = md ? EVP_get_digestbyobj(md) : NULL;
		OCSP_CERTID *ours = hash ? OCSP_cert_to_id(hash, x, issuer) : NULL;
		if (ours && OCSP_id_cmp(ours, theirs) == 0)
			found = one;
		OCSP_CERTID_free(ours);
	}
	OCSP_CERTID_free(id);
	return found;
}

static void
read_basic(const struct tls *t, OCSP_BASICRESP *basic, struct tls_ocsp *ret)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(t->ssl);
	STACK_OF(X509) *verified = SSL_get0_verified_chain(t->ssl);
	X509 *x = cert_at(t, 0);
	X509 *issuer = sk_X509_num(verified) > 1 ? sk_X509_value(verified, 1) : cert_at(t, 1);
	ASN1_GENERALIZEDTIME *revoked = NULL, *this_update = NULL, *next_update = NULL;
	int reason = 0;
	OCSP_SINGLERESP *one = x && issuer ? answer_about(basic, x, issuer) : NULL;

	if (!one) {
		ret->status = issuer ? "of another certificate" : "unreadable without the issuer";
		return;
	}
	int status = OCSP_single_get0_status(one, &reason, &revoked, &this_update, &next_update);
	ret->status = status == V_OCSP_CERTSTATUS_GOOD      ? "good"
	              : status == V_OCSP_CERTSTATUS_REVOKED ? "revoked"
	                                                    : "unknown";
	ret->this_update = generalized(this_update);
	ret->next_update = generalized(next_update);
	X509_STORE *store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(t->ssl));
	ret->verified = OCSP_basic_verify(basic, chain, store, 0) > 0 &&
	                OCSP_check_validity(this_update, next_update, 300, -1) == 1;
}

void
tls_peer_ocsp(const struct tls *t, struct tls_ocsp *ret)
{
	const unsigned char *p = NULL;
	long n = SSL_get_tlsext_status_ocsp_resp(t->ssl, &p);

	*ret = (struct tls_ocsp){ .stapled = n > 0 && p, .status = "" };
	if (!ret->stapled)
		return;
	OCSP_RESPONSE *all = d2i_OCSP_RESPONSE(NULL, &p, n);
	OCSP_BASICRESP *basic = all && OCSP_response_status(all) == OCSP_RESPONSE_STATUS_SUCCESSFUL
	                            ? OCSP_response_get1_basic(all)
	                            : NULL;
	if (basic)
		read_basic(t, basic, ret);
	else
		ret->status = "unreadable";
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(all);
	ERR_clear_error();
}

/* --- suites ------------------------------------------------------------------------------ */

void
tls_suites(int version, struct buf *ret)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(tls_lib, TLS_PROPS, TLS_client_method());

	if (!ctx)
		return;
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_set_cipher_list(ctx, "ALL:eNULL:@SECLEVEL=0");
	SSL_CTX_set_ciphersuites(ctx,
	    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:"
	    "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256");
	SSL *ssl = SSL_new(ctx);
	STACK_OF(SSL_CIPHER) *all = ssl ? SSL_get1_supported_ciphers(ssl) : NULL;
	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++)
		buf_putf(ret, "%s\n", SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i)));
	sk_SSL_CIPHER_free(all);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}
