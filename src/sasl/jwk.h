/* Keys that check tokens, read from what the configuration names (struct sasl_jwt_conf). */
#pragma once

#include "base/str.h"
#include "crypt/verify.h"

#include <stdbool.h>

#define JWK_MAX 32             /* keys that are looked at */
#define JWK_TEXT_MAX (256u << 10)
#define JWK_SECRET_MIN 32      /* octets: RFC 7518 3.2 */
#define JWK_KID_MAX 256

enum jwk_kind { JWK_RS256, JWK_ES256, JWK_HS256 };
struct jwk {
	enum jwk_kind kind;
	struct crypt_pubkey *pubkey;
	char *secret; /* HS256 */
	size_t secret_len;
	char *kid; /* or NULL */
};
struct jwk_set {
	struct jwk key[JWK_MAX];
	size_t n;
};

/* NULL, or why there is no usable key in it; then the set is empty. */
const char *jwk_set_read(struct jwk_set *set, struct str text);
void jwk_set_done(struct jwk_set *set); /* wipes */

/* JSON that is not deeper than we look, NULL for all else; only objects. */
struct json_t;
struct json_t *jwk_json(struct str text);
