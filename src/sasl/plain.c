#include "sasl/sasl_priv.h"

/* message = [authzid] NUL authcid NUL passwd (RFC 4616 2). */
static enum sasl_status
plain_step(struct sasl *s, const struct str *in)
{
	struct str left = *in;
	struct str authzid = str_cut(&left, '\0');
	if (!left.p)
		return SASL_MALFORMED;
	struct str authcid = str_cut(&left, '\0');
	if (!left.p)
		return SASL_MALFORMED;
	if (authzid.len && !sasl_name_set(s->authzid, authzid))
		return SASL_MALFORMED;
	if (!sasl_name_set(s->authcid, authcid) || !sasl_password_set(s, left))
		return SASL_MALFORMED;
	return SASL_PASSWORD;
}

static enum sasl_status
password_answer(struct sasl *s, bool good)
{
	return good ? SASL_DONE : SASL_FAILED;
}

const struct sasl_kind sasl_kind_plain = { .step = plain_step, .answer = password_answer };

/* LOGIN: two prompts (draft-murchison-sasl-login); an initial response is the user name. */
enum { LOGIN_BEGIN, LOGIN_NAME, LOGIN_PASSWORD };

static enum sasl_status
login_step(struct sasl *s, const struct str *in)
{
	if (s->state == LOGIN_BEGIN && !in) {
		s->state = LOGIN_NAME;
		buf_putz(&s->out, s->conf.user_prompt);
		return SASL_CHALLENGE;
	}
	if (s->state != LOGIN_PASSWORD) {
		if (!sasl_name_set(s->authcid, *in))
			return SASL_MALFORMED;
		s->state = LOGIN_PASSWORD;
		buf_putz(&s->out, s->conf.pass_prompt);
		return SASL_CHALLENGE;
	}
	return sasl_password_set(s, *in) ? SASL_PASSWORD : SASL_MALFORMED;
}

const struct sasl_kind sasl_kind_login = { .step = login_step, .answer = password_answer };

/* The message is who the client wants to be, or empty (RFC 4422 A). */
static enum sasl_status
external_step(struct sasl *s, const struct str *in)
{
	if (in->len && !sasl_name_set(s->authzid, *in))
		return SASL_MALFORMED;
	return sasl_name_set(s->authcid, s->conf.external) ? SASL_DONE : SASL_FAILED;
}

const struct sasl_kind sasl_kind_external = { .step = external_step };
