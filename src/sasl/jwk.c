#include "sasl/jwk.h"

#include "sasl/sasl_priv.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8

/* The parser calls itself for each level; so levels are counted before. */
static bool
is_shallow(struct str s)
{
	bool quoted = false;
	int depth = 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			depth++;
		else if (!quoted && (c == '}' || c == ']'))
			depth--;
		if (depth > DEPTH_MAX)
			return false;
	}
	return true;
}

json_t *
jwk_json(struct str text)
{
	if (text.len == 0 || !is_shallow(text))
		return NULL;
	json_t *j = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, NULL);
	if (j && !json_is_object(j)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static struct str
member(const json_t *obj, const char *name)
{
	const json_t *v = json_object_get(obj, name);
	return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : STR_NULL;
}

/* A member that is there has this value. */
static bool
is_or_absent(const json_t *obj, const char *name, const char *value)
{
	return !json_object_get(obj, name) || str_eq(member(obj, name), str_of(value));
}

static bool
octets(const json_t *obj, const char *name, struct buf *out)
{
	buf_wipe(out);
	return sasl_base64url_dec(out, member(obj, name)) && out->len > 0;
}

static bool
read_pubkey(const json_t *obj, struct jwk *k, struct str kty)
{
	struct buf a = BUF_INIT(CRYPT_RSA_BITS_MAX / 8), b = BUF_INIT(CRYPT_RSA_BITS_MAX / 8);
	if (str_eq(kty, STR("RSA")) && is_or_absent(obj, "alg", "RS256")) {
		k->kind = JWK_RS256;
		if (octets(obj, "n", &a) && octets(obj, "e", &b))
			k->pubkey = crypt_pubkey_rsa(buf_str(&a), buf_str(&b));
	} else if (str_eq(kty, STR("EC")) && is_or_absent(obj, "alg", "ES256") &&
		   str_eq(member(obj, "crv"), STR("P-256"))) {
		k->kind = JWK_ES256;
		if (octets(obj, "x", &a) && octets(obj, "y", &b))
			k->pubkey = crypt_pubkey_p256(buf_str(&a), buf_str(&b));
	}
	buf_done(&a);
	buf_done(&b);
	return k->pubkey;
}

static bool
take_secret(struct jwk *k, struct str secret)
{
	if (secret.len < JWK_SECRET_MIN)
		return false;
	k->kind = JWK_HS256;
	k->secret = xmemdup(secret.p, secret.len);
	k->secret_len = secret.len;
	return true;
}

/* A key that is for something else or of a kind that we do not know is passed over (RFC 7517 5). */
static bool
read_jwk(const json_t *obj, struct jwk *k)
{
	struct str kty = member(obj, "kty"), kid = member(obj, "kid");
	if (!is_or_absent(obj, "use", "sig") || kid.len > JWK_KID_MAX)
		return false;
	if (str_eq(kty, STR("oct"))) {
		struct buf secret = BUF_INIT(JWK_TEXT_MAX);
		bool ok = is_or_absent(obj, "alg", "HS256") && octets(obj, "k", &secret) &&
		          take_secret(k, buf_str(&secret));
		buf_wipe(&secret);
		buf_done(&secret);
		if (!ok)
			return false;
	} else if (!read_pubkey(obj, k, kty)) {
		return false;
	}
	k->kid = kid.p ? str_dup(kid) : NULL;
	return true;
}

static void
read_json(struct jwk_set *set, const json_t *j)
{
	const json_t *keys = json_object_get(j, "keys");
	if (!keys && read_jwk(j, &set->key[0]))
		set->n = 1;
	for (size_t i = 0; i < json_array_size(keys) && set->n < JWK_MAX; i++)
		if (read_jwk(json_array_get(keys, i), &set->key[set->n]))
			set->n++;
}

static void
read_pem(struct jwk_set *set, struct str text)
{
	while (text.len > 0 && set->n < JWK_MAX) {
		struct crypt_pubkey *k = crypt_pubkey_pem(&text);
		if (!k)
			continue;
		bool rsa = crypt_pubkey_kind(k) == CRYPT_PUBKEY_RSA;
		set->key[set->n++] =
		    (struct jwk){ .kind = rsa ? JWK_RS256 : JWK_ES256, .pubkey = k };
	}
}

const char *
jwk_set_read(struct jwk_set *set, struct str text)
{
	memset(set, 0, sizeof(*set));
	text = str_trim(text);
	if (text.len > JWK_TEXT_MAX)
		return "the keys are larger than 256 KiB";
	if (str_starts(text, STR("secret:"))) {
		set->n = take_secret(&set->key[0], str_skip(text, 7));
		return set->n ? NULL : "the secret is shorter than 32 octets";
	}
	if (str_starts(text, STR("{"))) {
		json_t *j = jwk_json(text);
		if (!j)
			return "the keys are no JSON object";
		read_json(set, j);
		json_decref(j);
	} else {
		read_pem(set, text);
	}
	return set->n ? NULL : "there is no key of RSA (2048 bits or more), P-256 or a secret";
}

void
jwk_set_done(struct jwk_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		struct jwk *k = &set->key[i];
		k->pubkey = crypt_pubkey_free(k->pubkey);
		if (k->secret)
			explicit_bzero(k->secret, k->secret_len);
		free(k->secret);
		free(k->kid);
	}
	memset(set, 0, sizeof(*set));
}
