/* Private keys: reading, naming, signing. Nothing of the server's side calls these. */
#include "base/check.h"
#include "tls/tls_priv.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

struct tls_key {
	EVP_PKEY *key;
	bool rsa;
	unsigned char name[TLS_KEY_NAME];
};

/* Points may be written in two ways: the name is that of the uncompressed one. */
bool
tls_public_name(EVP_PKEY *key, unsigned char out[TLS_KEY_NAME])
{
	unsigned char digest[CRYPT_DIGEST_MAX], *der = NULL;

	if (EVP_PKEY_is_a(key, "EC") &&
	    EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
		OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) != 1)
		return false;
	int n = i2d_PUBKEY(key, &der);
	if (n <= 0)
		return false;
	crypt_digest(CRYPT_SHA256, str_n(der, (size_t)n), digest);
	memcpy(out, digest, TLS_KEY_NAME);
	OPENSSL_free(der);
	return true;
}

static bool
check_rsa(EVP_PKEY *key, char type[32], struct buf *err)
{
	int bits = EVP_PKEY_get_bits(key);

	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
		buf_putf(err, "an RSA key of %d bits; it must have %d to %d", bits, RSA_BITS_MIN,
		    RSA_BITS_MAX);
		return false;
	}
	snprintf(type, 32, "RSA %d", bits);
	return true;
}

static bool
check_ec(EVP_PKEY *key, char type[32], struct buf *err)
{
	static const struct {
		const char *group, *type;
	} curves[] = {
		{ "prime256v1", "EC P-256" },
		{ "secp384r1", "EC P-384" },
		{ "secp521r1", "EC P-521" },
	};
	char group[64] = "of an unknown kind";

	EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		if (str_eq(str_of(group), str_of(curves[i].group))) {
			snprintf(type, 32, "%s", curves[i].type);
			return true;
		}
	}
	buf_putf(err, "an elliptic curve key %s; it must be P-256, P-384 or P-521", group);
	return false;
}

bool
tls_public_check(EVP_PKEY *key, char type[32], struct buf *err)
{
	if (EVP_PKEY_is_a(key, "RSA"))
		return check_rsa(key, type, err);
	if (EVP_PKEY_is_a(key, "EC"))
		return check_ec(key, type, err);
	const char *name = EVP_PKEY_get0_type_name(key);
	buf_putf(err, "a key of type %s; it must be RSA or an elliptic curve",
	    name ? name : "unknown");
	return false;
}

/* Nobody is asked for a passphrase. */
static int
no_passphrase(char *out, int size, int writing, void *arg)
{
	bool *asked = arg;

	*asked = true;
	return -1;
}

static EVP_PKEY *
read_pem(struct str pem, struct buf *err)
{
	bool asked = false;
	BIO *in =
	    pem.len <= TLS_CHAIN_MAX ? BIO_new_mem_buf(pem.len ? pem.p : "", (int)pem.len) : NULL;

	ERR_clear_error();
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, &asked) : NULL;
	BIO_free(in);
	ERR_clear_error();
	if (!key)
		buf_putz(err, asked ? "the private key is locked with a passphrase; take it off "
				      "with `openssl pkey`"
				    : "no private key in PEM form");
	return key;
}

struct tls_key *
tls_key_read(struct str pem, struct buf *err)
{
	struct tls_key *k = xalloc(sizeof(*k));
	char type[32];

	k->key = read_pem(pem, err);
	bool ok = k->key && tls_public_check(k->key, type, err);
	if (ok && !tls_public_name(k->key, k->name)) {
		buf_putf(err, "the private key has no public half: %s", tls_reason());
		ok = false;
	}
	if (!ok)
		return tls_key_free(k);
	k->rsa = EVP_PKEY_is_a(k->key, "RSA");
	return k;
}

struct tls_key *
tls_key_free(struct tls_key *k)
{
	if (k)
		EVP_PKEY_free(k->key); /* wipes what is secret */
	free(k);
	return NULL;
}

void
tls_key_name(const struct tls_key *k, unsigned char out[TLS_KEY_NAME])
{
	memcpy(out, k->name, TLS_KEY_NAME);
}

static const struct {
	const char *md;
	bool rsa, pss;
} algorithms[TLS_SIGN_ALG_COUNT] = {
	[TLS_SIGN_ECDSA_SHA256] = { "SHA256", false, false },
	[TLS_SIGN_ECDSA_SHA384] = { "SHA384", false, false },
	[TLS_SIGN_ECDSA_SHA512] = { "SHA512", false, false },
	[TLS_SIGN_ECDSA_SHA1] = { "SHA1", false, false },
	[TLS_SIGN_PSS_SHA256] = { "SHA256", true, true },
	[TLS_SIGN_PSS_SHA384] = { "SHA384", true, true },
	[TLS_SIGN_PSS_SHA512] = { "SHA512", true, true },
	[TLS_SIGN_PKCS1_SHA256] = { "SHA256", true, false },
	[TLS_SIGN_PKCS1_SHA384] = { "SHA384", true, false },
	[TLS_SIGN_PKCS1_SHA512] = { "SHA512", true, false },
	[TLS_SIGN_PKCS1_SHA1] = { "SHA1", true, false },
	[TLS_SIGN_PKCS1_MD5SHA1] = { "MD5-SHA1", true, false },
};

static bool
set_pss(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

size_t
tls_key_sign(const struct tls_key *k, enum tls_sign_alg alg, struct str tbs,
    unsigned char out[TLS_SIGNATURE_MAX])
{
	size_t n = TLS_SIGNATURE_MAX;
	EVP_PKEY_CTX *ctx;

	if (alg >= TLS_SIGN_ALG_COUNT || algorithms[alg].rsa != k->rsa || !tbs.len)
		return 0;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	check(md);
	bool ok =
	    EVP_DigestSignInit_ex(md, &ctx, algorithms[alg].md, NULL, NULL, k->key, NULL) == 1 &&
	    (!algorithms[alg].pss || set_pss(ctx)) &&
	    EVP_DigestSign(md, out, &n, (const unsigned char *)tbs.p, tbs.len) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok ? n : 0;
}
