#include "base/base64.h"
#include "sasl/jwk.h"
#include "sasl/sasl_priv.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define LEEWAY 60 /* seconds that another clock may be ahead of ours */

static const struct {
	const char *alg;
	enum jwk_kind kind;
} algs[] = {
	{ "RS256", JWK_RS256 },
	{ "ES256", JWK_ES256 },
	{ "HS256", JWK_HS256 },
};

bool
sasl_base64url_dec(struct buf *out, struct str in)
{
	struct buf b = BUF_INIT(in.len + 3);
	for (size_t i = 0; i < in.len; i++) {
		char c = in.p[i];
		if (c == '+' || c == '/' || c == '=')
			b.failed = true;
		buf_putc(&b, c == '-' ? '+' : c == '_' ? '/' : c);
	}
	for (size_t i = in.len; i % 4 != 0; i++)
		buf_putc(&b, '=');
	bool ok = !b.failed && base64_dec(out, buf_str(&b));
	buf_wipe(&b);
	buf_done(&b);
	return ok;
}

static struct str
text_of(const json_t *obj, const char *name)
{
	const json_t *v = json_object_get(obj, name);
	return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : STR_NULL;
}

static json_t *
part_json(struct str part)
{
	struct buf b = BUF_INIT(SASL_MESSAGE_MAX);
	json_t *j = sasl_base64url_dec(&b, part) ? jwk_json(buf_str(&b)) : NULL;
	buf_wipe(&b);
	buf_done(&b);
	return j;
}

static bool
signed_by(const struct jwk *k, struct str input, struct str sig)
{
	unsigned char mac[CRYPT_DIGEST_MAX];
	if (k->kind != JWK_HS256)
		return crypt_verify(k->pubkey, input, sig);
	crypt_hmac(CRYPT_SHA256, str_n(k->secret, k->secret_len), input, mac);
	return crypt_equal(sig, str_n(mac, crypt_hash_size(CRYPT_SHA256)));
}

/* A key is tried only with the algorithm that it is for, whatever the token says (RFC 8725 3.1). */
static const char *
check_signature(const struct jwk_set *set, const json_t *header, struct str input, struct str sig)
{
	struct str alg = text_of(header, "alg"), kid = text_of(header, "kid");
	size_t a = 0, tried = 0;
	if (json_object_get(header, "crit"))
		return "it has extensions that must be understood";
	while (a < ARRAY_LEN(algs) && !str_eq(alg, str_of(algs[a].alg)))
		a++;
	if (a == ARRAY_LEN(algs))
		return "its algorithm is not RS256, ES256 or HS256";
	for (size_t i = 0; i < set->n; i++) {
		const struct jwk *k = &set->key[i];
		if (k->kind != algs[a].kind || (kid.p && k->kid && !str_eq(kid, str_of(k->kid))))
			continue;
		tried++;
		if (signed_by(k, input, sig))
			return NULL;
	}
	return tried ? "its signature is wrong" : "no key of ours is for it";
}

/* A NumericDate (RFC 7519 2); false: there, but none. */
static bool
date_of(const json_t *claims, const char *name, bool *ret_there, double *ret)
{
	const json_t *v = json_object_get(claims, name);
	*ret_there = v;
	*ret = json_number_value(v);
	return !v || (json_is_number(v) && isfinite(*ret));
}

static const char *
check_time(const json_t *claims, int64_t now)
{
	bool has_exp, has_nbf;
	double exp, nbf;
	if (!date_of(claims, "exp", &has_exp, &exp) || !date_of(claims, "nbf", &has_nbf, &nbf))
		return "its times are no numbers";
	if (!has_exp)
		return "it does not say when it expires";
	if ((double)now >= exp)
		return "it has expired";
	if (has_nbf && (double)now + LEEWAY < nbf)
		return "it is not good yet";
	return NULL;
}

static bool
is_for(const json_t *claims, struct str audience)
{
	const json_t *aud = json_object_get(claims, "aud");
	if (json_is_string(aud))
		return str_eq(text_of(claims, "aud"), audience);
	for (size_t i = 0; i < json_array_size(aud); i++) {
		const json_t *v = json_array_get(aud, i);
		if (json_is_string(v) &&
		    str_eq(str_n(json_string_value(v), json_string_length(v)), audience))
			return true;
	}
	return false;
}

/* OpenID Connect Core 5.1; some write it as a text. Who does not say so is believed. */
static bool
is_verified(const json_t *claims)
{
	const json_t *v = json_object_get(claims, "email_verified");
	return !v || json_is_true(v) || str_eq(text_of(claims, "email_verified"), STR("true"));
}

static const char *
check_claims(const struct sasl_jwt_conf *conf, const json_t *claims, int64_t now,
    char name[SASL_NAME_MAX])
{
	const char *fault = check_time(claims, now);
	if (fault)
		return fault;
	if (conf->issuer.len && !str_eq(text_of(claims, "iss"), conf->issuer))
		return "its issuer is another";
	if (conf->audience.len && !is_for(claims, conf->audience))
		return "it is for another audience";
	if (strcmp(conf->claim, "email") == 0 && !is_verified(claims))
		return "its address is not verified";
	struct str who = text_of(claims, conf->claim);
	for (size_t i = 0; i < who.len; i++)
		if ((unsigned char)who.p[i] < ' ' || who.p[i] == 0x7f)
			return "its name has control characters";
	return sasl_name_set(name, who) ? NULL : "it names nobody";
}

/* header "." payload "." signature (RFC 7515 7.1), with the keys at hand. */
static const char *
check_token(const struct sasl_jwt_conf *conf, const struct jwk_set *set, struct str token,
    int64_t now, char name[SASL_NAME_MAX])
{
	struct str left = token;
	struct str head = str_cut(&left, '.');
	struct str body = left.p ? str_cut(&left, '.') : STR_NULL;
	if (!left.p || left.len == 0 || str_find(left, '.') < left.len)
		return "it is not three parts";
	struct str input = str_first(token, head.len + 1 + body.len);
	struct buf sig = BUF_INIT(CRYPT_RSA_BITS_MAX / 8);
	json_t *header = part_json(head), *claims = NULL;
	const char *fault = header ? NULL : "its header is no JSON object";
	if (!fault && !sasl_base64url_dec(&sig, left))
		fault = "its signature is not base64url";
	if (!fault)
		fault = check_signature(set, header, input, buf_str(&sig));
	if (!fault && !(claims = part_json(body)))
		fault = "its claims are no JSON object";
	if (!fault)
		fault = check_claims(conf, claims, now, name);
	json_decref(header);
	json_decref(claims);
	buf_done(&sig);
	return fault;
}

bool
sasl_jwt_check(const struct sasl_jwt_conf *conf, struct str token, int64_t now,
    char name[SASL_NAME_MAX], struct buf *why)
{
	struct jwk_set set;
	check(conf->claim);
	if (token.len > SASL_MESSAGE_MAX) {
		buf_putz(why, "the token is too long");
		return false;
	}
	const char *fault = jwk_set_read(&set, conf->keys);
	if (fault) {
		buf_putz(why, fault);
	} else if ((fault = check_token(conf, &set, token, now, name))) {
		buf_putz(why, "the token is refused: ");
		buf_putz(why, fault);
	}
	jwk_set_done(&set);
	return !fault;
}
