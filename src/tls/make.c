/* Certificates that sign themselves: for a first start, and for labs. */
#include "base/check.h"
#include "tls/tls_priv.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define CN_MAX 64         /* RFC 5280, ub-common-name */
#define SKEW_SECONDS 3600 /* clocks that are slow */
#define DAYS_MAX 36500u

static bool
is_name(struct str s)
{
	if (!s.len || s.len > 255)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '-' || c == '.' || c == '_' || c == ':' || (c == '*' && i == 0)))
			return false;
	}
	return true;
}

/* "DNS:a,DNS:b,IP:127.0.0.1"; the names hold no comma. */
static bool
put_alt_names(struct buf *out, const struct str *names, size_t n, struct buf *err)
{
	unsigned char addr[16];
	char text[256];

	for (size_t i = 0; i < n; i++) {
		bool fits = is_name(names[i]) && str_copy(text, sizeof(text), names[i]);
		bool ip = fits && (inet_pton(AF_INET, text, addr) == 1 ||
				      inet_pton(AF_INET6, text, addr) == 1);
		if (!fits || (!ip && str_find(names[i], ':') < names[i].len)) {
			buf_putf(err, "\"" STR_FMT "\" is neither a host name nor an IP address",
			    STR_ARG(str_first(names[i], 255)));
			return false;
		}
		buf_putf(out, "%s%s:%s", i ? "," : "", ip ? "IP" : "DNS", text);
	}
	return buf_cstr(out);
}

static bool
add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = e && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool
set_serial(X509 *x)
{
	BIGNUM *n = BN_new();
	bool ok = n && BN_rand(n, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	          BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));

	BN_free(n);
	return ok;
}

static bool
set_subject(X509 *x, struct str name)
{
	X509_NAME *subject = X509_get_subject_name(x);
	const char *field = name.len <= CN_MAX ? "CN" : "O";
	const char *value = name.len <= CN_MAX ? name.p : "Pennypost";
	int len = name.len <= CN_MAX ? (int)name.len : -1;

	return X509_NAME_add_entry_by_txt(subject, field, MBSTRING_ASC,
		   (const unsigned char *)value, len, -1, 0) == 1 &&
	       X509_set_issuer_name(x, subject) == 1;
}

static bool
fill(X509 *x, EVP_PKEY *key, struct str subject, const char *alt_names, unsigned days)
{
	return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
	       X509_gmtime_adj(X509_getm_notBefore(x), -SKEW_SECONDS) &&
	       X509_time_adj_ex(X509_getm_notAfter(x), (int)days, 0, NULL) &&
	       set_subject(x, subject) && X509_set_pubkey(x, key) == 1 &&
	       add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(x, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(x, NID_ext_key_usage, "serverAuth") &&
	       add_extension(x, NID_subject_key_identifier, "hash") &&
	       add_extension(x, NID_subject_alt_name, alt_names) &&
	       X509_sign(x, key, EVP_sha256()) > 0;
}

static void
take_bio(BIO *b, struct buf *out)
{
	char *p = NULL;
	long n = BIO_get_mem_data(b, &p);

	if (n > 0) {
		buf_put(out, p, (size_t)n);
		OPENSSL_cleanse(p, (size_t)n);
	}
}

static bool
put_pem(EVP_PKEY *key, X509 *x, struct buf *key_pem, struct buf *cert_pem)
{
	BIO *k = BIO_new(BIO_s_secmem()), *c = BIO_new(BIO_s_mem());
	bool ok = k && c && PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	          PEM_write_bio_X509(c, x) == 1;

	if (ok) {
		take_bio(k, key_pem);
		take_bio(c, cert_pem);
		ok = !key_pem->failed && !cert_pem->failed;
	}
	BIO_free(k);
	BIO_free(c);
	return ok;
}

bool
tls_make_self_signed(const struct str *names, size_t n, unsigned days, struct buf *key_pem,
    struct buf *cert_pem, struct buf *err)
{
	struct buf alt = BUF_INIT(300u * TLS_NAMES_MAX);

	if (days == 0 || days > DAYS_MAX || n == 0 || n > TLS_NAMES_MAX) {
		buf_putf(err, "a certificate wants 1 to %u host names and 1 to %u days",
		    TLS_NAMES_MAX, DAYS_MAX);
		return false;
	}
	if (!put_alt_names(&alt, names, n, err)) {
		buf_done(&alt);
		return false;
	}
	ERR_clear_error();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	bool ok =
	    key && x && fill(x, key, names[0], alt.p, days) && put_pem(key, x, key_pem, cert_pem);
	if (!ok)
		buf_putf(err, "the certificate could not be made: %s", tls_reason());
	X509_free(x);
	EVP_PKEY_free(key);
	buf_done(&alt);
	return ok;
}
