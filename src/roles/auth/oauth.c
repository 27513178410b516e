#include "roles/auth/oauth.h"

#include "base/check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct oauth {
	size_t refs;
	struct str keys; /* owned */
	char *issuer, *audience, *claim;
	bool ask; /* somebody else knows */
};

struct oauth *
oauth_ref(struct oauth *o)
{
	if (o)
		o->refs++;
	return o;
}

struct oauth *
oauth_unref(struct oauth *o)
{
	if (!o || --o->refs > 0)
		return NULL;
	if (o->keys.len)
		explicit_bzero((void *)(uintptr_t)o->keys.p, o->keys.len);
	free((void *)(uintptr_t)o->keys.p);
	free(o->issuer);
	free(o->audience);
	free(o->claim);
	free(o);
	return NULL;
}

struct oauth *
oauth_renew(struct oauth *old, const struct conf *c, struct str jwt)
{
	struct oauth *o = NULL;
	if (jwt.len || c->oauth_introspect_url[0]) {
		o = xalloc(sizeof(*o));
		*o = (struct oauth){ .refs = 1,
			.issuer = xstrdup(c->oauth_issuer),
			.audience = xstrdup(c->oauth_audience),
			.claim = xstrdup(c->oauth_claim),
			.ask = c->oauth_introspect_url[0] != '\0' };
		if (jwt.len)
			o->keys = str_n(xmemdup(jwt.p, jwt.len), jwt.len);
	}
	oauth_unref(old);
	return o;
}

struct oauth *
oauth_reconf(struct oauth *old, const struct conf *c)
{
	return oauth_renew(old, c, old ? old->keys : STR_NULL);
}

bool
oauth_check(const struct oauth *o, struct str token, int64_t now_sec, char name[SASL_NAME_MAX],
    bool *ret_ask, struct buf *why)
{
	*ret_ask = o->ask;
	if (!o->keys.len) {
		buf_putz(why, "no key checks tokens here");
		return false;
	}
	const struct sasl_jwt_conf conf = { .keys = o->keys,
		.issuer = str_of(o->issuer),
		.audience = str_of(o->audience),
		.claim = o->claim };
	return sasl_jwt_check(&conf, token, now_sec, name, why);
}

void
oauth_question(struct str token, struct buf *form)
{
	buf_putz(form, "token_type_hint=access_token&token=");
	for (size_t i = 0; i < token.len; i++) {
		unsigned char c = (unsigned char)token.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		             (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_';
		if (plain)
			buf_putc(form, (char)c);
		else
			buf_putf(form, "%%%02X", c);
	}
}

/* RFC 7519 4.1.3: one text or a list of them. */
static bool
names_audience(const json_t *aud, const char *want)
{
	const json_t *one;
	size_t i;
	if (json_is_string(aud))
		return strcmp(json_string_value(aud), want) == 0;
	json_array_foreach((json_t *)(uintptr_t)aud, i,
	    one) if (json_is_string(one) && strcmp(json_string_value(one), want) == 0) return true;
	return false;
}

/* OpenID Connect Core 5.1; some write it as a text. Who does not say so is believed. */
static bool
is_verified(const json_t *v)
{
	const char *text = json_string_value(v);
	return !v || json_is_true(v) || (text && strcmp(text, "true") == 0);
}

/* What is wrong with an answer of RFC 7662 2.2; NULL: nothing. */
static const char *
fault_of(const struct oauth *o, const json_t *root, int64_t now_sec)
{
	const json_t *exp = json_object_get(root, "exp"), *nbf = json_object_get(root, "nbf");
	const char *issuer = json_string_value(json_object_get(root, "iss"));
	if (!json_is_true(json_object_get(root, "active")))
		return "the token is not active";
	if (exp && (!json_is_number(exp) || json_number_value(exp) <= (double)now_sec))
		return "the token has expired";
	if (nbf && (!json_is_number(nbf) || json_number_value(nbf) > (double)now_sec + 60))
		return "the token is not valid yet";
	if (o->issuer[0] && (!issuer || strcmp(issuer, o->issuer) != 0))
		return "the token is of another issuer";
	if (o->audience[0] && !names_audience(json_object_get(root, "aud"), o->audience))
		return "the token is for another audience";
	if (strcmp(o->claim, "email") == 0 && !is_verified(json_object_get(root, "email_verified")))
		return "the address of the token's owner is not verified";
	return NULL;
}

bool
oauth_answer(const struct oauth *o, struct str json, int64_t now_sec, char name[SASL_NAME_MAX],
    struct buf *why)
{
	json_t *root = json_loadb(json.p ? json.p : "", json.len, JSON_REJECT_DUPLICATES, NULL);
	const char *fault = json_is_object(root) ? fault_of(o, root, now_sec)
	                                         : "the answer about the token is no JSON object";
	const char *claim = fault ? NULL : json_string_value(json_object_get(root, o->claim));
	if (!fault && !claim)
		fault = "the answer about the token has no claim that names the account";
	if (!fault && !str_copy(name, SASL_NAME_MAX, str_of(claim)))
		fault = "the claim that names the account is too long";
	if (fault)
		buf_putz(why, fault);
	json_decref(root);
	return !fault;
}
