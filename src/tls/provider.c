/*
 * A provider of libcrypto whose keys have no private half: they are public keys with a name, and
 * to sign with one is to ask the host. Built in; nothing is loaded from a file.
 *
 * Keys must not be exported as private ones: libcrypto would move them to another provider and
 * try to sign there. What may be asked of a public key is asked of one in libcrypto's default
 * context.
 */
#include "base/check.h"
#include "tls/tls_priv.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#define NAME "penny"
#define ALGORITHM_PROPS "provider=" NAME

struct key {
	EVP_PKEY *pub;
	bool rsa;
	unsigned char name[TLS_KEY_NAME];
};

static struct key *
key_new(bool rsa)
{
	struct key *k = calloc(1, sizeof(*k));

	if (k)
		k->rsa = rsa;
	return k;
}

static void *
rsa_new(void *provctx)
{
	return key_new(true);
}

static void *
ec_new(void *provctx)
{
	return key_new(false);
}

static void
key_free(void *key)
{
	struct key *k = key;

	if (k)
		EVP_PKEY_free(k->pub);
	free(k);
}

/* Everything, as far as others need to know. */
static int
key_has(const void *key, int selection)
{
	const struct key *k = key;

	return k->pub != NULL;
}

static int
key_match(const void *a, const void *b, int selection)
{
	const struct key *x = a, *y = b;

	return x->pub && y->pub && EVP_PKEY_eq(x->pub, y->pub) == 1;
}

/* Private parts, should there be any, are not looked at. */
static int
key_import(void *key, int selection, const OSSL_PARAM params[])
{
	struct key *k = key;
	OSSL_PARAM *copy = OSSL_PARAM_dup(params);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, k->rsa ? "RSA" : "EC", NULL);
	EVP_PKEY *pub = NULL;

	bool ok = copy && c && !k->pub && EVP_PKEY_fromdata_init(c) == 1 &&
	          EVP_PKEY_fromdata(c, &pub, EVP_PKEY_PUBLIC_KEY, copy) == 1 &&
	          tls_public_name(pub, k->name);
	if (ok)
		k->pub = pub;
	else
		EVP_PKEY_free(pub);
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(copy);
	return ok;
}

static int
key_export(void *key, int selection, OSSL_CALLBACK *fn, void *arg)
{
	const struct key *k = key;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || !k->pub)
		return 0;
	return EVP_PKEY_export(k->pub, selection, fn, arg);
}

static const OSSL_PARAM *
rsa_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_END,
	};
	return types;
}

static const OSSL_PARAM *
ec_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END,
	};
	return types;
}

static int
key_get_params(void *key, OSSL_PARAM params[])
{
	const struct key *k = key;

	return k->pub && EVP_PKEY_get_params(k->pub, params);
}

static const OSSL_PARAM *
key_gettable_params(void *provctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
		OSSL_PARAM_END,
	};
	return params;
}

static const char *
rsa_operation(int op)
{
	return op == OSSL_OP_SIGNATURE ? "RSA" : NULL;
}

static const char *
ec_operation(int op)
{
	return op == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

/* --- signing ----------------------------------------------------------------- */

struct sign {
	const struct key *key; /* libcrypto holds it while this lives */
	enum { MD_NONE, MD_SHA1, MD_SHA256, MD_SHA384, MD_SHA512, MD_MD5SHA1, MD_COUNT } md;
	bool pss;
	size_t len;
	unsigned char tbs[TLS_SIGN_MAX];
};

static void *
sign_new(void *provctx, const char *propq)
{
	return calloc(1, sizeof(struct sign));
}

static void
sign_free(void *ctx)
{
	free(ctx);
}

static void *
sign_dup(void *ctx)
{
	struct sign *s = malloc(sizeof(*s));

	if (s)
		memcpy(s, ctx, sizeof(*s));
	return s;
}

static bool
set_md(struct sign *s, const char *name)
{
	static const struct {
		const char *name;
		int md;
	} names[] = {
		{ "SHA2-256", MD_SHA256 },
		{ "SHA256", MD_SHA256 },
		{ "SHA-256", MD_SHA256 },
		{ "SHA2-384", MD_SHA384 },
		{ "SHA384", MD_SHA384 },
		{ "SHA-384", MD_SHA384 },
		{ "SHA2-512", MD_SHA512 },
		{ "SHA512", MD_SHA512 },
		{ "SHA-512", MD_SHA512 },
		{ "SHA1", MD_SHA1 },
		{ "SHA-1", MD_SHA1 },
		{ "MD5-SHA1", MD_MD5SHA1 },
	};

	for (size_t i = 0; name && i < ARRAY_LEN(names); i++) {
		if (str_ieq(str_of(name), str_of(names[i].name))) {
			s->md = names[i].md;
			return true;
		}
	}
	return false;
}

/* Both settings may come as a number or as a word. */
static bool
set_padding(struct sign *s, const OSSL_PARAM *p)
{
	int mode = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING && p->data)
		s->pss = str_eq(str_of(p->data), STR(OSSL_PKEY_RSA_PAD_MODE_PSS));
	else if (OSSL_PARAM_get_int(p, &mode))
		s->pss = mode == RSA_PKCS1_PSS_PADDING;
	else
		return false;
	return true;
}

/* RFC 8446 4.2.3: the salt is as long as the digest; the signer knows no other. */
static bool
is_digest_salt(const OSSL_PARAM *p)
{
	int len = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING && p->data)
		return str_eq(str_of(p->data), STR(OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST));
	return OSSL_PARAM_get_int(p, &len) && len == RSA_PSS_SALTLEN_DIGEST;
}

static int
sign_set_params(void *ctx, const OSSL_PARAM params[])
{
	struct sign *s = ctx;

	if (!params)
		return 1;
	const OSSL_PARAM *pad = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	const OSSL_PARAM *salt = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	return (!pad || set_padding(s, pad)) && (!salt || is_digest_salt(salt));
}

static const OSSL_PARAM *
sign_settable_params(void *ctx, void *provctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};
	return params;
}

static int
sign_init(void *ctx, const char *md, void *key, const OSSL_PARAM params[])
{
	struct sign *s = ctx;

	if (key)
		s->key = key;
	s->len = 0;
	s->pss = false;
	return s->key && s->key->pub && set_md(s, md) && sign_set_params(s, params);
}

/* -1: no such thing. */
static int
algorithm(const struct sign *s)
{
	static const int ec[MD_COUNT] = { -1, TLS_SIGN_ECDSA_SHA1, TLS_SIGN_ECDSA_SHA256,
		TLS_SIGN_ECDSA_SHA384, TLS_SIGN_ECDSA_SHA512, -1 };
	static const int pss[MD_COUNT] = { -1, -1, TLS_SIGN_PSS_SHA256, TLS_SIGN_PSS_SHA384,
		TLS_SIGN_PSS_SHA512, -1 };
	static const int pkcs1[MD_COUNT] = { -1, TLS_SIGN_PKCS1_SHA1, TLS_SIGN_PKCS1_SHA256,
		TLS_SIGN_PKCS1_SHA384, TLS_SIGN_PKCS1_SHA512, TLS_SIGN_PKCS1_MD5SHA1 };

	return (s->key->rsa ? s->pss ? pss : pkcs1 : ec)[s->md];
}

TLS_ON_JOB static int
sign_all(void *ctx, unsigned char *sig, size_t *len, size_t cap, const unsigned char *tbs, size_t n)
{
	const struct sign *s = ctx;
	unsigned char out[TLS_SIGNATURE_MAX];
	int alg = algorithm(s), size = EVP_PKEY_get_size(s->key->pub);

	if (alg < 0 || n > TLS_SIGN_MAX || size <= 0 || size > TLS_SIGNATURE_MAX)
		return 0;
	if (!sig) {
		*len = (size_t)size;
		return 1;
	}
	size_t got = tls_open_sign(s->key->name, (enum tls_sign_alg)alg, str_n(tbs, n), out);
	if (got == 0 || got > cap)
		return 0;
	memcpy(sig, out, got);
	*len = got;
	return 1;
}

static int
sign_update(void *ctx, const unsigned char *p, size_t n)
{
	struct sign *s = ctx;

	if (n > sizeof(s->tbs) - s->len)
		return 0;
	memcpy(s->tbs + s->len, p, n);
	s->len += n;
	return 1;
}

TLS_ON_JOB static int
sign_final(void *ctx, unsigned char *sig, size_t *len, size_t cap)
{
	struct sign *s = ctx;

	return sign_all(s, sig, len, cap, s->tbs, s->len);
}

/* --- what libcrypto gets to see ------------------------------------------------ */

#define FN(f) ((void (*)(void))(f))

static const OSSL_DISPATCH rsa_keys[] = {
	{ OSSL_FUNC_KEYMGMT_NEW, FN(rsa_new) },
	{ OSSL_FUNC_KEYMGMT_FREE, FN(key_free) },
	{ OSSL_FUNC_KEYMGMT_HAS, FN(key_has) },
	{ OSSL_FUNC_KEYMGMT_MATCH, FN(key_match) },
	{ OSSL_FUNC_KEYMGMT_IMPORT, FN(key_import) },
	{ OSSL_FUNC_KEYMGMT_IMPORT_TYPES, FN(rsa_types) },
	{ OSSL_FUNC_KEYMGMT_EXPORT, FN(key_export) },
	{ OSSL_FUNC_KEYMGMT_EXPORT_TYPES, FN(rsa_types) },
	{ OSSL_FUNC_KEYMGMT_GET_PARAMS, FN(key_get_params) },
	{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, FN(key_gettable_params) },
	{ OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, FN(rsa_operation) },
	{ 0, NULL },
};

static const OSSL_DISPATCH ec_keys[] = {
	{ OSSL_FUNC_KEYMGMT_NEW, FN(ec_new) },
	{ OSSL_FUNC_KEYMGMT_FREE, FN(key_free) },
	{ OSSL_FUNC_KEYMGMT_HAS, FN(key_has) },
	{ OSSL_FUNC_KEYMGMT_MATCH, FN(key_match) },
	{ OSSL_FUNC_KEYMGMT_IMPORT, FN(key_import) },
	{ OSSL_FUNC_KEYMGMT_IMPORT_TYPES, FN(ec_types) },
	{ OSSL_FUNC_KEYMGMT_EXPORT, FN(key_export) },
	{ OSSL_FUNC_KEYMGMT_EXPORT_TYPES, FN(ec_types) },
	{ OSSL_FUNC_KEYMGMT_GET_PARAMS, FN(key_get_params) },
	{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, FN(key_gettable_params) },
	{ OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, FN(ec_operation) },
	{ 0, NULL },
};

/* Both the one-shot and dup: EVP_DigestSign() is called twice, first for the length. */
static const OSSL_DISPATCH signing[] = {
	{ OSSL_FUNC_SIGNATURE_NEWCTX, FN(sign_new) },
	{ OSSL_FUNC_SIGNATURE_FREECTX, FN(sign_free) },
	{ OSSL_FUNC_SIGNATURE_DUPCTX, FN(sign_dup) },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, FN(sign_init) },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, FN(sign_update) },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, FN(sign_final) },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN, FN(sign_all) },
	{ OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, FN(sign_set_params) },
	{ OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, FN(sign_settable_params) },
	{ 0, NULL },
};

static const OSSL_ALGORITHM *
query(void *provctx, int op, int *no_cache)
{
	static const OSSL_ALGORITHM keys[] = {
		{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", ALGORITHM_PROPS, rsa_keys, NULL },
		{ "EC:id-ecPublicKey:1.2.840.10045.2.1", ALGORITHM_PROPS, ec_keys, NULL },
		{ NULL, NULL, NULL, NULL },
	};
	static const OSSL_ALGORITHM signatures[] = {
		{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", ALGORITHM_PROPS, signing, NULL },
		{ "ECDSA", ALGORITHM_PROPS, signing, NULL },
		{ NULL, NULL, NULL, NULL },
	};

	*no_cache = 0;
	return op == OSSL_OP_KEYMGMT ? keys : op == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static const OSSL_DISPATCH provider[] = {
	{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, FN(query) },
	{ 0, NULL },
};

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
    void **provctx)
{
	static char context; /* libcrypto wants one; there is nothing in it */

	*out = provider;
	*provctx = &context;
	return 1;
}

bool
tls_provider_load(OSSL_LIB_CTX *lib)
{
	return OSSL_PROVIDER_add_builtin(lib, NAME, provider_init) == 1 &&
	       OSSL_PROVIDER_load(lib, NAME) != NULL;
}

EVP_PKEY *
tls_provider_key(X509 *x)
{
	EVP_PKEY *pub = X509_get0_pubkey(x), *key = NULL;
	OSSL_PARAM *params = NULL;

	if (!pub || EVP_PKEY_todata(pub, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return NULL;
	const char *type = EVP_PKEY_is_a(pub, "RSA") ? "RSA" : "EC";
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(tls_lib, type, ALGORITHM_PROPS);
	if (!c || EVP_PKEY_fromdata_init(c) != 1 ||
	    EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(params);
	return key;
}
