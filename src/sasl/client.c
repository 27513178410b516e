#include "sasl/client_priv.h"

#include "base/check.h"

#include <stdlib.h>

#define WHY_MAX 1000u

static const struct {
	const char *name;
	const struct sasl_client_kind *kind;
} kinds[] = {
	{ "PLAIN", &sasl_client_plain },
	{ "LOGIN", &sasl_client_login },
	{ "EXTERNAL", &sasl_client_external },
	{ "OAUTHBEARER", &sasl_client_oauthbearer },
	{ "XOAUTH2", &sasl_client_xoauth2 },
	{ "CRAM-MD5", &sasl_client_cram },
	{ "SCRAM-SHA-256-PLUS", &sasl_client_scram },
	{ "SCRAM-SHA-1-PLUS", &sasl_client_scram },
	{ "SCRAM-SHA-256", &sasl_client_scram },
	{ "SCRAM-SHA-1", &sasl_client_scram },
	{ "NTLM", &sasl_client_cyrus },
	{ "GSSAPI", &sasl_client_cyrus },
	{ "DIGEST-MD5", &sasl_client_cyrus_later },
};

static struct str
keep(struct str s)
{
	return str_n(str_dup(s), s.len);
}

static void
forget(struct str s)
{
	void *p;
	memcpy(&p, &s.p, sizeof(p)); /* it came from keep() */
	if (s.len)
		explicit_bzero(p, s.len);
	free(p);
}

static bool
conf_good(const struct sasl_mech *m, const struct sasl_client_conf *conf, struct buf *err)
{
	bool token = m->need == SASL_NEED_TOKEN;
	if (conf->user.len >= SASL_NAME_MAX || conf->authzid.len >= SASL_NAME_MAX ||
	    conf->secret.len > SASL_MESSAGE_MAX - 2048) {
		buf_putz(err, "the name or the password is too long for a login");
		return false;
	}
	bool nul = str_find(conf->user, '\0') < conf->user.len ||
	           str_find(conf->authzid, '\0') < conf->authzid.len ||
	           str_find(conf->secret, '\0') < conf->secret.len;
	bool soh = token && (str_find(conf->user, '\1') < conf->user.len ||
				str_find(conf->secret, '\1') < conf->secret.len);
	if (nul || soh) {
		buf_putz(err,
		    "the name or the password has an octet in it that no login can carry");
		return false;
	}
	bool nobody = m->need != SASL_NEED_EXTERNAL && m->need != SASL_NEED_TICKET && !token;
	if (nobody && conf->user.len == 0) {
		buf_putf(err, "%s needs the name of a user", m->name);
		return false;
	}
	const struct sasl_binding *b = &conf->binding;
	if (m->binds && b->exporter.len + b->endpoint.len + b->unique.len == 0) {
		buf_putf(err, "%s binds to TLS, and there is none", m->name);
		return false;
	}
	return true;
}

struct sasl_client *
sasl_client_make(struct str mech, const struct sasl_client_conf *conf, struct buf *err)
{
	const struct sasl_mech *m = sasl_mech_find(mech);
	const struct sasl_client_kind *kind = NULL;
	for (size_t i = 0; m && i < ARRAY_LEN(kinds); i++)
		if (str_eq(str_of(m->name), str_of(kinds[i].name)))
			kind = kinds[i].kind;
	if (!kind) {
		buf_putf(err, "there is no mechanism \"" STR_FMT "\" for a login",
		    STR_ARG(str_first(mech, 40)));
		return NULL;
	}
	if (!conf_good(m, conf, err))
		return NULL;
	crypt_init();
	struct sasl_client *c = xalloc(sizeof(*c));
	c->mech = m;
	c->kind = kind;
	c->conf = *conf;
	c->conf.service = xstrdup(conf->service ? conf->service : "smtp");
	c->conf.host = xstrdup(conf->host ? conf->host : "");
	c->conf.user = keep(conf->user);
	c->conf.authzid = keep(conf->authzid);
	c->conf.secret = keep(conf->secret);
	c->conf.binding.exporter = keep(conf->binding.exporter);
	c->conf.binding.endpoint = keep(conf->binding.endpoint);
	c->conf.binding.unique = keep(conf->binding.unique);
	c->out = BUF_INIT(SASL_MESSAGE_MAX);
	c->first = BUF_INIT(4 * SASL_MESSAGE_MAX);
	c->header = BUF_INIT(SASL_MESSAGE_MAX);
	c->why = BUF_INIT(WHY_MAX);
	c->masked = "<hidden>";
	c->proves = kind == &sasl_client_scram || kind == &sasl_client_cyrus ||
	            kind == &sasl_client_cyrus_later;
	if (kind->open && !kind->open(c, err))
		return sasl_client_free(c);
	return c;
}

struct sasl_client *
sasl_client_free(struct sasl_client *c)
{
	if (!c)
		return NULL;
	if (c->kind->done)
		c->kind->done(c);
	forget(str_of(c->conf.service));
	forget(str_of(c->conf.host));
	forget(c->conf.user);
	forget(c->conf.authzid);
	forget(c->conf.secret);
	forget(c->conf.binding.exporter);
	forget(c->conf.binding.endpoint);
	forget(c->conf.binding.unique);
	struct buf *bufs[] = { &c->out, &c->first, &c->header, &c->why };
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++) {
		buf_wipe(bufs[i]);
		buf_done(bufs[i]);
	}
	explicit_bzero(c, sizeof(*c));
	free(c);
	return NULL;
}

bool
sasl_client_begins(const struct sasl_client *c)
{
	return c->kind->begins;
}

enum sasl_client_status
sasl_client_send(struct sasl_client *c, const char *masked)
{
	c->masked = masked;
	if (c->out.failed)
		return sasl_client_fail(c, "the answer would be too long");
	return SASL_CLIENT_SEND;
}

enum sasl_client_status
sasl_client_fail(struct sasl_client *c, const char *fmt, ...)
{
	va_list ap;
	buf_wipe(&c->out);
	buf_reset(&c->why);
	va_start(ap, fmt);
	buf_vputf(&c->why, fmt, ap);
	va_end(ap);
	buf_cstr(&c->why);
	c->state = ~0u;
	return SASL_CLIENT_FAILED;
}

enum sasl_client_status
sasl_client_begin(struct sasl_client *c)
{
	if (c->begun || !c->kind->begins)
		return sasl_client_fail(c, "%s cannot begin here", c->mech->name);
	c->begun = true;
	buf_reset(&c->out);
	return c->kind->begin(c);
}

enum sasl_client_status
sasl_client_answer(struct sasl_client *c, struct str challenge)
{
	if (c->state == ~0u)
		return SASL_CLIENT_FAILED;
	if (challenge.len > SASL_MESSAGE_MAX)
		return sasl_client_fail(c, "the server's challenge is too long");
	if (c->kind->begins && !c->begun)
		return sasl_client_begin(c);
	c->begun = true;
	buf_wipe(&c->out);
	buf_reset(&c->out);
	return c->kind->answer(c, challenge);
}

bool
sasl_client_end(struct sasl_client *c)
{
	if (c->state == ~0u)
		return false;
	if (c->proves && !c->proved)
		sasl_client_fail(c,
		    "it did not prove that it knows the password: it may be another "
		    "server than you think");
	return !c->proves || c->proved;
}

bool
sasl_client_proved(const struct sasl_client *c)
{
	return c->state != ~0u && (!c->proves || c->proved);
}

struct str
sasl_client_out(const struct sasl_client *c)
{
	return buf_str(&c->out);
}

struct str
sasl_client_masked(const struct sasl_client *c)
{
	return str_of(c->masked);
}

const char *
sasl_client_why(const struct sasl_client *c)
{
	return c->why.len ? c->why.p : "nothing is wrong";
}
