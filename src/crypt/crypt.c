#include "crypt/crypt.h"

#include "base/check.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

static const struct {
	char name[8]; /* OSSL_PARAM wants it writable: it is copied */
	size_t size;
} hashes[CRYPT_HASH_COUNT] = {
	[CRYPT_MD5] = { "MD5", 16 },
	[CRYPT_SHA1] = { "SHA1", 20 },
	[CRYPT_SHA256] = { "SHA256", 32 },
	[CRYPT_SHA384] = { "SHA384", 48 },
	[CRYPT_SHA512] = { "SHA512", 64 },
};

static EVP_MD *md[CRYPT_HASH_COUNT];
static EVP_MAC *mac;

void
crypt_init(void)
{
	unsigned char out[CRYPT_DIGEST_MAX];

	if (mac)
		return;
	for (size_t i = 0; i < CRYPT_HASH_COUNT; i++) {
		md[i] = EVP_MD_fetch(NULL, hashes[i].name, NULL);
		check(md[i] && (size_t)EVP_MD_get_size(md[i]) == hashes[i].size);
	}
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	check(mac);
	/* The derivation is fetched anew every time; this is the first. */
	crypt_pbkdf2(CRYPT_SHA256, STR("x"), STR("x"), 1, out, sizeof(out));
}

size_t
crypt_hash_size(enum crypt_hash h)
{
	check(h < CRYPT_HASH_COUNT);
	return hashes[h].size;
}

void
crypt_digest(enum crypt_hash h, struct str in, unsigned char out[CRYPT_DIGEST_MAX])
{
	unsigned int len = 0;

	check(h < CRYPT_HASH_COUNT && md[h]);
	check(EVP_Digest(in.len ? in.p : "", in.len, out, &len, md[h], NULL) == 1);
}

struct crypt_sum {
	EVP_MD_CTX *ctx;
};

struct crypt_sum *
crypt_sum_new(enum crypt_hash h)
{
	struct crypt_sum *s = xalloc(sizeof(*s));
	check(h < CRYPT_HASH_COUNT && md[h]);
	s->ctx = EVP_MD_CTX_new();
	check(s->ctx && EVP_DigestInit_ex(s->ctx, md[h], NULL) == 1);
	return s;
}

void
crypt_sum_add(struct crypt_sum *s, struct str octets)
{
	check(octets.len == 0 || EVP_DigestUpdate(s->ctx, octets.p, octets.len) == 1);
}

struct crypt_sum *
crypt_sum_end(struct crypt_sum *s, unsigned char out[CRYPT_DIGEST_MAX])
{
	unsigned int len = 0;

	if (!s)
		return NULL;
	check(!out || EVP_DigestFinal_ex(s->ctx, out, &len) == 1);
	EVP_MD_CTX_free(s->ctx);
	free(s);
	return NULL;
}

void
crypt_hmac(enum crypt_hash h, struct str key, struct str in, unsigned char out[CRYPT_DIGEST_MAX])
{
	char name[sizeof(hashes[0].name)];
	size_t len = 0;

	check(h < CRYPT_HASH_COUNT && mac);
	memcpy(name, hashes[h].name, sizeof(name));
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	const char *k = key.len ? key.p : ""; /* NULL would mean: the key that is set already */
	check(ctx && EVP_MAC_init(ctx, (const unsigned char *)k, key.len, params) == 1);
	check(EVP_MAC_update(ctx, (const unsigned char *)(in.len ? in.p : ""), in.len) == 1);
	check(EVP_MAC_final(ctx, out, &len, CRYPT_DIGEST_MAX) == 1);
	EVP_MAC_CTX_free(ctx);
}

void
crypt_pbkdf2(enum crypt_hash h, struct str password, struct str salt, uint32_t rounds,
    unsigned char *out, size_t n)
{
	check(h < CRYPT_HASH_COUNT && md[h]);
	check(rounds > 0 && rounds <= INT_MAX && n > 0 && n <= CRYPT_DIGEST_MAX);
	check(password.len <= INT_MAX && salt.len <= INT_MAX);
	check(PKCS5_PBKDF2_HMAC(password.len ? password.p : "", (int)password.len,
		  (const unsigned char *)(salt.len ? salt.p : ""), (int)salt.len, (int)rounds,
		  md[h], (int)n, out) == 1);
}

bool
crypt_equal(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.p, b.p, a.len) == 0);
}
