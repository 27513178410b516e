#include "sasl/sasl_priv.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *mech;
	const struct sasl_kind *kind;
} own[] = {
	{ "PLAIN", &sasl_kind_plain },
	{ "LOGIN", &sasl_kind_login },
	{ "EXTERNAL", &sasl_kind_external },
	{ "OAUTHBEARER", &sasl_kind_oauthbearer },
	{ "XOAUTH2", &sasl_kind_xoauth2 },
	{ "APOP", &sasl_kind_apop },
};

static const struct sasl_kind *
kind_of(const struct sasl_mech *m)
{
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strcmp(own[i].mech, m->name) == 0)
			return own[i].kind;
	return &sasl_kind_library;
}

static struct str
copy_of(struct str s)
{
	return s.len ? str_n(xmemdup(s.p, s.len), s.len) : STR_NULL;
}

struct sasl *
sasl_new(const struct sasl_mech *m, const struct sasl_conf *conf)
{
	struct sasl *s = xalloc(sizeof(*s));
	check(m && conf->service && conf->host && conf->lookup);
	s->mech = m;
	s->kind = kind_of(m);
	s->conf = *conf;
	s->conf.service = xstrdup(conf->service);
	s->conf.host = xstrdup(conf->host);
	s->conf.user_prompt = xstrdup(conf->user_prompt ? conf->user_prompt : "Username:");
	s->conf.pass_prompt = xstrdup(conf->pass_prompt ? conf->pass_prompt : "Password:");
	s->conf.external = copy_of(conf->external);
	s->conf.binding.exporter = copy_of(conf->binding.exporter);
	s->conf.binding.endpoint = copy_of(conf->binding.endpoint);
	s->conf.binding.unique = copy_of(conf->binding.unique);
	s->out = BUF_INIT(SASL_MESSAGE_MAX);
	s->password = BUF_INIT(SASL_MESSAGE_MAX);
	return s;
}

static void
free_const(const void *p)
{
	void *v;
	memcpy(&v, &p, sizeof(v));
	free(v);
}

struct sasl *
sasl_free(struct sasl *s)
{
	if (!s)
		return NULL;
	if (s->kind->done)
		s->kind->done(s);
	free_const(s->conf.service);
	free_const(s->conf.host);
	free_const(s->conf.user_prompt);
	free_const(s->conf.pass_prompt);
	free_const(s->conf.external.p);
	free_const(s->conf.binding.exporter.p);
	free_const(s->conf.binding.endpoint.p);
	free_const(s->conf.binding.unique.p);
	buf_wipe(&s->password);
	buf_wipe(&s->out);
	buf_done(&s->password);
	buf_done(&s->out);
	explicit_bzero(s, sizeof(*s));
	free(s);
	return NULL;
}

static enum sasl_status
settle(struct sasl *s, enum sasl_status status)
{
	if (s->out.failed)
		status = SASL_UNAVAILABLE;
	s->status = status;
	if (status == SASL_CHALLENGE)
		return status;
	if (status == SASL_PASSWORD || status == SASL_TOKEN)
		return status;
	s->ended = true;
	if (status != SASL_DONE)
		buf_wipe(&s->out);
	buf_wipe(&s->password);
	return status;
}

enum sasl_status
sasl_step(struct sasl *s, const struct str *in)
{
	static const struct str nothing = { "", 0 };
	if (s->ended || (s->begun && s->status != SASL_CHALLENGE))
		return SASL_MALFORMED;
	bool first = !s->begun;
	s->begun = true;
	if (s->steps++ >= SASL_STEPS_MAX || (in && in->len > SASL_MESSAGE_MAX))
		return settle(s, SASL_MALFORMED);
	buf_wipe(&s->out);
	if (first && in && !s->mech->client_first)
		return settle(s, SASL_MALFORMED);
	if (first && !in && !s->mech->server_first)
		return settle(s, SASL_CHALLENGE); /* RFC 4954 4: an empty one */
	return settle(s, s->kind->step(s, first || in ? in : &nothing));
}

enum sasl_status
sasl_answer(struct sasl *s, bool good, struct str name)
{
	check(!s->ended && (s->status == SASL_PASSWORD || s->status == SASL_TOKEN));
	buf_wipe(&s->password);
	if (good && name.len && !sasl_name_set(s->authcid, name))
		good = false;
	return settle(s, s->kind->answer(s, good));
}

struct str
sasl_out(const struct sasl *s)
{
	return buf_str(&s->out);
}

struct str
sasl_authcid(const struct sasl *s)
{
	return str_of(s->authcid);
}

struct str
sasl_authzid(const struct sasl *s)
{
	return str_of(s->authzid);
}

struct str
sasl_password(const struct sasl *s)
{
	return buf_str(&s->password);
}

bool
sasl_name_set(char dst[SASL_NAME_MAX], struct str name)
{
	if (name.len == 0 || str_find(name, '\0') < name.len)
		return false;
	return str_copy(dst, SASL_NAME_MAX, name);
}

bool
sasl_password_set(struct sasl *s, struct str password)
{
	if (password.len == 0 || password.len >= SASL_PASSWORD_MAX ||
	    str_find(password, '\0') < password.len)
		return false;
	buf_wipe(&s->password);
	buf_puts(&s->password, password);
	return !s->password.failed;
}
