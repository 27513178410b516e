#include "sasl/sasl_priv.h"

#define KVSEP '\1'
#define BEARER STR("Bearer ")

enum { OAUTH_BEGIN, OAUTH_REFUSED };

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool alnum =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && (c == '\0' || !strchr("-._~+/=", c)))
			return false;
	}
	return s.len > 0;
}

static bool
is_key(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z')))
			return false;
	return s.len > 0;
}

static bool
is_value(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.p[i] < ' ' || s.p[i] > '~') && !strchr("\t\r\n", s.p[i]))
			return false;
	return str_find(s, '\0') == s.len;
}

/* RFC 6750 2.1. False: this is not the credential of a bearer. */
static bool
take_token(struct sasl *s, struct str auth)
{
	if (!str_istarts(auth, BEARER))
		return false;
	struct str token = str_ltrim(str_skip(auth, BEARER.len));
	if (!is_token(token))
		return false;
	buf_reserve(&s->password, token.len); /* no second copy stays behind */
	buf_puts(&s->password, token);
	return !s->password.failed;
}

/* *kvpair kvsep (RFC 7628 3.1); *ret_auth: the value of "auth", p NULL when there is none. */
static bool
pairs_get(struct str in, struct str *ret_auth)
{
	*ret_auth = STR_NULL;
	while (in.len > 1) {
		struct str value = str_cut(&in, KVSEP);
		if (!in.p)
			return false;
		struct str key = str_cut(&value, '=');
		if (!value.p || !is_key(key) || !is_value(value))
			return false;
		if (str_eq(key, STR("auth"))) {
			if (ret_auth->p)
				return false;
			*ret_auth = value;
		}
	}
	return in.len == 1 && in.p[0] == KVSEP;
}

/* What tells the client why; it says ^A (XOAUTH2: nothing) to that, and the exchange fails. */
static enum sasl_status
refuse(struct sasl *s)
{
	bool bearer = s->kind == &sasl_kind_oauthbearer;
	s->state = OAUTH_REFUSED;
	buf_wipe(&s->out);
	buf_putf(&s->out, "{\"status\":\"%s\",\"schemes\":\"bearer\"}",
	    bearer ? "invalid_token" : "401");
	return SASL_CHALLENGE;
}

static enum sasl_status
oauthbearer_step(struct sasl *s, const struct str *in)
{
	struct str left = *in, auth;
	struct sasl_gs2 gs2;
	if (s->state == OAUTH_REFUSED)
		return SASL_FAILED;
	/* RFC 7628 3.1: it binds to nothing. */
	if (!sasl_gs2_get(&left, &gs2) || gs2.flag == 'p')
		return SASL_MALFORMED;
	if (gs2.authzid.len && !sasl_saslname_get(gs2.authzid, s->authcid))
		return SASL_MALFORMED;
	if (left.len < 2 || left.p[0] != KVSEP || !pairs_get(str_skip(left, 1), &auth))
		return SASL_MALFORMED;
	memcpy(s->authzid, s->authcid, sizeof(s->authzid));
	/* RFC 7628 3.2.2: a message without a credential asks what is wanted. */
	return auth.p && take_token(s, auth) ? SASL_TOKEN : refuse(s);
}

/* "user=" name ^A "auth=Bearer " token ^A ^A */
static enum sasl_status
xoauth2_step(struct sasl *s, const struct str *in)
{
	struct str left = *in;
	if (s->state == OAUTH_REFUSED)
		return SASL_FAILED;
	struct str user = str_cut(&left, KVSEP);
	if (!left.p || !str_istarts(user, STR("user=")))
		return SASL_MALFORMED;
	struct str auth = str_cut(&left, KVSEP);
	if (!left.p || !str_eq(left, STR("\1")) || !str_istarts(auth, STR("auth=")))
		return SASL_MALFORMED;
	if (!sasl_name_set(s->authcid, str_skip(user, 5)) || !is_value(auth))
		return SASL_MALFORMED;
	memcpy(s->authzid, s->authcid, sizeof(s->authzid));
	return take_token(s, str_skip(auth, 5)) ? SASL_TOKEN : refuse(s);
}

/* The name that was asked for is an authorization identity when the token's owner is another. */
static enum sasl_status
token_answer(struct sasl *s, bool good)
{
	if (!good)
		return refuse(s);
	if (!s->authcid[0])
		return SASL_FAILED; /* neither the client nor the token names anybody */
	if (str_ieq(str_of(s->authcid), str_of(s->authzid)))
		s->authzid[0] = '\0';
	return SASL_DONE;
}

const struct sasl_kind sasl_kind_oauthbearer = { .step = oauthbearer_step, .answer = token_answer };
const struct sasl_kind sasl_kind_xoauth2 = { .step = xoauth2_step, .answer = token_answer };
