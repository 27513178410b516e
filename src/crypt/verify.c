#include "crypt/verify.h"

#include "base/check.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>

#define PEM_BEGIN STR("-----BEGIN PUBLIC KEY-----")
#define PEM_END STR("-----END PUBLIC KEY-----")
#define EXPONENT_LEN_MAX 8

struct crypt_pubkey {
	EVP_PKEY *pkey;
	enum crypt_pubkey_kind kind;
};

static bool
is_p256(const EVP_PKEY *pkey)
{
	char group[64];
	size_t n;
	return EVP_PKEY_is_a(pkey, "EC") &&
	       EVP_PKEY_get_group_name(pkey, group, sizeof(group), &n) == 1 &&
	       strcmp(group, SN_X9_62_prime256v1) == 0;
}

static bool
is_rsa(const EVP_PKEY *pkey)
{
	int bits = EVP_PKEY_get_bits(pkey);
	return EVP_PKEY_is_a(pkey, "RSA") && bits >= CRYPT_RSA_BITS_MIN &&
	       bits <= CRYPT_RSA_BITS_MAX;
}

/* Takes pkey, which may be NULL. */
static struct crypt_pubkey *
key_of(EVP_PKEY *pkey)
{
	ERR_clear_error();
	if (!pkey || (!is_rsa(pkey) && !is_p256(pkey))) {
		EVP_PKEY_free(pkey);
		return NULL;
	}
	struct crypt_pubkey *k = xalloc(sizeof(*k));
	k->pkey = pkey;
	k->kind = is_rsa(pkey) ? CRYPT_PUBKEY_RSA : CRYPT_PUBKEY_P256;
	return k;
}

struct crypt_pubkey *
crypt_pubkey_pem(struct str *pem)
{
	size_t at = str_find_str(*pem, PEM_BEGIN);
	struct str text = str_skip(*pem, at);
	size_t end = str_find_str(text, PEM_END);
	if (end == text.len) {
		*pem = str_skip(*pem, pem->len);
		return NULL;
	}
	text = str_first(text, end + PEM_END.len);
	*pem = str_skip(*pem, at + text.len);
	if (text.len > INT_MAX)
		return NULL;
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.len);
	check(bio);
	EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	BIO_free(bio);
	return key_of(pkey);
}

static EVP_PKEY *
pkey_of(const char *type, OSSL_PARAM_BLD *build)
{
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	check(params && ctx);
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return pkey;
}

struct crypt_pubkey *
crypt_pubkey_rsa(struct str n, struct str e)
{
	if (n.len < CRYPT_RSA_BITS_MIN / 8 || n.len > CRYPT_RSA_BITS_MAX / 8 || e.len == 0 ||
	    e.len > EXPONENT_LEN_MAX || !(e.p[e.len - 1] & 1) || !(n.p[n.len - 1] & 1))
		return NULL;
	BIGNUM *bn_n = BN_bin2bn((const unsigned char *)n.p, (int)n.len, NULL);
	BIGNUM *bn_e = BN_bin2bn((const unsigned char *)e.p, (int)e.len, NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	check(bn_n && bn_e && build);
	EVP_PKEY *pkey = NULL;
	if (!BN_is_one(bn_e)) {
		check(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn_n) == 1);
		check(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, bn_e) == 1);
		pkey = pkey_of("RSA", build);
	}
	OSSL_PARAM_BLD_free(build);
	BN_free(bn_n);
	BN_free(bn_e);
	return key_of(pkey);
}

struct crypt_pubkey *
crypt_pubkey_p256(struct str x, struct str y)
{
	unsigned char point[1 + 2 * CRYPT_P256_LEN] = { POINT_CONVERSION_UNCOMPRESSED };
	if (x.len != CRYPT_P256_LEN || y.len != CRYPT_P256_LEN)
		return NULL;
	memcpy(point + 1, x.p, x.len);
	memcpy(point + 1 + x.len, y.p, y.len);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	check(build);
	check(OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME,
		  SN_X9_62_prime256v1, 0) == 1);
	check(OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
		  sizeof(point)) == 1);
	EVP_PKEY *pkey = pkey_of("EC", build);
	OSSL_PARAM_BLD_free(build);
	return key_of(pkey);
}

struct crypt_pubkey *
crypt_pubkey_free(struct crypt_pubkey *k)
{
	if (k)
		EVP_PKEY_free(k->pkey);
	free(k);
	return NULL;
}

enum crypt_pubkey_kind
crypt_pubkey_kind(const struct crypt_pubkey *k)
{
	return k->kind;
}

/* The DER form of r and s; 0: this is not the length of both. */
static int
der_of(struct str sig, unsigned char **ret)
{
	if (sig.len != 2 * CRYPT_P256_LEN)
		return 0;
	const unsigned char *p = (const unsigned char *)sig.p;
	ECDSA_SIG *es = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(p, CRYPT_P256_LEN, NULL);
	BIGNUM *s = BN_bin2bn(p + CRYPT_P256_LEN, CRYPT_P256_LEN, NULL);
	check(es && r && s && ECDSA_SIG_set0(es, r, s) == 1);
	*ret = NULL;
	int n = i2d_ECDSA_SIG(es, ret);
	ECDSA_SIG_free(es);
	return n;
}

bool
crypt_verify(const struct crypt_pubkey *k, struct str in, struct str sig)
{
	unsigned char *der = NULL;
	struct str s = sig;
	if (k->kind == CRYPT_PUBKEY_P256) {
		int n = der_of(sig, &der);
		if (n <= 0)
			return false;
		s = str_n(der, (size_t)n);
	}
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	check(ctx);
	bool good = EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, k->pkey, NULL) == 1 &&
	            s.len > 0 &&
	            EVP_DigestVerify(ctx, (const unsigned char *)s.p, s.len,
			(const unsigned char *)(in.len ? in.p : ""), in.len) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	ERR_clear_error();
	return good;
}
