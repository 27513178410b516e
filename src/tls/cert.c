/* Certificates as they stand in PEM texts. */
#include "base/check.h"
#include "tls/tls_priv.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

STACK_OF(X509) * tls_pem_certs(struct str pem, struct buf *err)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	BIO *in =
	    pem.len <= TLS_CA_MAX ? BIO_new_mem_buf(pem.len ? pem.p : "", (int)pem.len) : NULL;
	X509 *x;

	check(all);
	ERR_clear_error();
	while (in && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)))
		if (sk_X509_push(all, x) <= 0)
			X509_free(x);
	/* The end of the text is told as an error too. */
	bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	BIO_free(in);
	if (in && ended && sk_X509_num(all) > 0) {
		ERR_clear_error();
		return all;
	}
	if (in && ended)
		buf_putz(err, "no certificate in PEM form");
	else
		buf_putf(err, "certificate %d of the PEM text: %s", sk_X509_num(all) + 1,
		    in ? tls_reason() : "too long");
	ERR_clear_error();
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

bool
tls_name_line(const X509_NAME *name, char *out, size_t n)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p = NULL;
	long len = -1;

	/* Control octets and those above 0x7e become escapes. */
	if (b && X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253) >= 0)
		len = BIO_get_mem_data(b, &p);
	bool ok = len >= 0 && (size_t)len < n && str_copy(out, n, str_n(p, (size_t)len));
	if (!ok)
		out[0] = '\0';
	BIO_free(b);
	return ok;
}

/* What may stand in a list of names; anything else in there is nobody's name. */
static bool
lower_name(const ASN1_STRING *s, char out[256])
{
	int len = ASN1_STRING_length(s);
	const unsigned char *p = ASN1_STRING_get0_data(s);

	if (len <= 0 || len > 253)
		return false;
	for (int i = 0; i < len; i++) {
		unsigned char c = p[i];
		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c | 0x20);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
			c == '_' || (c == '*' && i == 0)))
			return false;
		out[i] = (char)c;
	}
	out[len] = '\0';
	return true;
}

static bool
common_name(X509 *x, char out[256])
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const X509_NAME_ENTRY *e = at >= 0 ? X509_NAME_get_entry(subject, at) : NULL;

	return e && lower_name(X509_NAME_ENTRY_get_data(e), out);
}

bool
tls_cert_names(X509 *x, bool (*fn)(void *arg, const char *name), void *arg)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	char name[256];
	bool ok = true, any = false;
	int n = sk_GENERAL_NAME_num(all);

	for (int i = 0; ok && i < n && i < TLS_NAMES_MAX; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		if (g->type != GEN_DNS)
			continue;
		any = true;
		if (lower_name(g->d.dNSName, name))
			ok = fn(arg, name);
	}
	if (!any && common_name(x, name))
		ok = fn(arg, name);
	GENERAL_NAMES_free(all);
	return ok;
}

size_t
tls_cert_endpoint(X509 *x, unsigned char out[TLS_BINDING_MAX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	int nid = NID_undef;

	if (X509_get_signature_info(x, &nid, NULL, NULL, NULL) != 1 || nid == NID_undef)
		return 0;
	if (nid == NID_md5 || nid == NID_sha1 || nid == NID_md5_sha1)
		nid = NID_sha256;
	const EVP_MD *md = EVP_get_digestbynid(nid);
	if (!md || X509_digest(x, md, digest, &len) != 1 || len > TLS_BINDING_MAX) {
		ERR_clear_error();
		return 0;
	}
	memcpy(out, digest, len);
	return len;
}

static bool
put_name(void *arg, const char *name)
{
	struct buf *names = arg;

	buf_putf(names, "%s\n", name);
	return true;
}

int64_t
tls_seconds(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* A name too long for its place ends in dots: it is only shown. */
static void
show_name(const X509_NAME *name, char out[256])
{
	char all[4096];

	if (!tls_name_line(name, all, sizeof(all)))
		snprintf(all, sizeof(all), "(a very long name)");
	if (snprintf(out, 256, "%s", all) >= 256)
		memcpy(out + 252, "...", 4);
}

bool
tls_cert_read(struct str pem, struct tls_cert_info *ret, struct buf *names, struct buf *err)
{
	struct tls_cert_info info = { 0 };
	STACK_OF(X509) *all = tls_pem_certs(pem, err);
	unsigned int len = 0;

	if (!all)
		return false;
	X509 *x = sk_X509_value(all, 0);
	EVP_PKEY *key = X509_get0_pubkey(x);
	bool ok = key && tls_public_check(key, info.key_type, err);
	if (!key)
		buf_putz(err, "a certificate whose key cannot be read");
	if (ok && (!tls_public_name(key, info.key) ||
		      X509_digest(x, EVP_sha256(), info.sha256, &len) != 1)) {
		buf_putf(err, "the certificate cannot be read: %s", tls_reason());
		ok = false;
	}
	if (ok) {
		show_name(X509_get_subject_name(x), info.subject);
		show_name(X509_get_issuer_name(x), info.issuer);
		info.not_before = tls_seconds(X509_get0_notBefore(x));
		info.not_after = tls_seconds(X509_get0_notAfter(x));
		info.self_signed = X509_self_signed(x, 0) == 1;
		tls_cert_names(x, put_name, names);
		*ret = info;
	}
	sk_X509_pop_free(all, X509_free);
	ERR_clear_error();
	return ok;
}
