/* The login of an SMTP session: which mechanism, with which secret. */
#include "client/smtp_priv.h"

#include "base/check.h"
#include "client/secret.h"

#include <stdio.h>

static struct sasl_binding
binding_of(const struct smtp_run *r)
{
	const struct tls_facts *f = &r->link.facts;
	struct sasl_binding b = { 0 };
	if (!r->link.tls)
		return b;
	if (str_eq(str_of(f->version), STR("TLSv1.3")))
		b.exporter = str_n(f->exporter, f->exporter_len);
	b.endpoint = str_n(f->endpoint, f->endpoint_len);
	return b;
}

static bool
secret_for(struct smtp_run *r, const struct sasl_mech *m, const char *user)
{
	char prompt[600];
	struct buf err = BUF_INIT(SMTP_RUN_WHY_MAX);
	struct secret_from from = r->o->secret;
	if (m->need == SASL_NEED_EXTERNAL || m->need == SASL_NEED_TICKET || r->have_secret)
		return true;
	snprintf(prompt, sizeof(prompt),
	    "%s for %.500s: ", m->need == SASL_NEED_TOKEN ? "Token" : "Password", user);
	if (!from.prompt)
		from.prompt = prompt;
	int status = secret_get(&from, &r->secret, &err);
	if (status != CLIENT_OK)
		smtp_run_fail(r, status, STR_FMT, STR_ARG(buf_str(&err)));
	r->have_secret = status == CLIENT_OK;
	buf_done(&err);
	return r->have_secret;
}

static void
login_with(struct smtp_run *r, const struct sasl_mech *m, const struct caps *caps)
{
	struct client_options *o = r->o;
	const char *user = o->user ? o->user : "";
	struct buf err = BUF_INIT(SMTP_RUN_WHY_MAX);
	bool plus =
	    caps_mech(caps, STR("SCRAM-SHA-256-PLUS")) || caps_mech(caps, STR("SCRAM-SHA-1-PLUS"));
	struct sasl_client *sc = NULL;
	if (!user[0] && m->need != SASL_NEED_EXTERNAL && m->need != SASL_NEED_TICKET) {
		smtp_run_fail(r, CLIENT_USAGE, "a login needs a name: --user NAME");
	} else if (secret_for(r, m, user)) {
		const struct sasl_client_conf conf = { .service = "smtp",
			.host = r->link.name[0] ? r->link.name : o->link.host,
			.user = str_of(user),
			.authzid = str_of(o->authzid),
			.secret = buf_str(&r->secret),
			.binding = binding_of(r),
			.port = o->link.port,
			.plus_missing = r->link.tls && !plus };
		sc = sasl_client_make(str_of(m->name), &conf, &err);
		if (!sc)
			smtp_run_fail(r, CLIENT_AUTH, "no login: " STR_FMT, STR_ARG(buf_str(&err)));
	}
	buf_done(&err);
	if (!sc) {
		smtp_client_auth_none(r->c);
		return;
	}
	if (m->in_clear && !r->link.tls)
		event_warn(&o->events, "auth", "the password crosses the line in clear");
	(void)str_copy(r->mech, sizeof(r->mech), str_of(m->name));
	smtp_client_auth(r->c, str_of(m->name), sc);
}

/* A list without what the server would not have. */
static void
put_rest(struct buf *out, const struct smtp_run *r, struct str list, char sep)
{
	while (list.p) {
		struct str word = str_trim(str_cut(&list, sep)), no = str_of(r->refused), one;
		bool refused = word.len == 0;
		while (!refused && (one = str_word(&no)).len)
			refused = str_ieq(one, word);
		if (refused)
			continue;
		if (out->len)
			buf_putc(out, sep);
		buf_puts(out, word);
	}
}

static const struct sasl_mech *
mech_next(const struct smtp_run *r, struct buf *why)
{
	const struct client_options *o = r->o;
	struct str list = str_of(smtp_client_caps(r->c)->mechs);
	struct buf offered = BUF_INIT(1024), wanted = BUF_INIT(SMTP_RUN_WHY_MAX);
	const struct sasl_mech *m = NULL;
	if (o->force_auth)
		list = o->mechs ? STR_NULL : list.len ? list : STR("PLAIN LOGIN");
	put_rest(&offered, r, list, ' ');
	put_rest(&wanted, r, str_of(o->mechs), ',');
	bool left = (list.len == 0 || offered.len) && (!o->mechs || wanted.len);
	if (left || !r->refused[0])
		m = sasl_client_choose(buf_str(&offered), o->mechs ? buf_cstr(&wanted) : NULL,
		    r->link.tls != NULL, o->allow_cleartext, o->oauth,
		    o->link.tls.cert_file != NULL, why);
	buf_done(&offered);
	buf_done(&wanted);
	return m;
}

void
smtp_run_login(struct smtp_run *r)
{
	struct buf why = BUF_INIT(SMTP_RUN_WHY_MAX);
	const struct sasl_mech *m = mech_next(r, &why);
	if (m) {
		login_with(r, m, smtp_client_caps(r->c));
	} else {
		smtp_run_fail(r, CLIENT_AUTH, "no login: " STR_FMT, STR_ARG(buf_str(&why)));
		smtp_client_auth_none(r->c);
	}
	buf_done(&why);
}

/* It was refused for the mechanism, not for who we are (RFC 4954 4.1, 6): is there another one? */
bool
smtp_run_another_login(struct smtp_run *r)
{
	int code = smtp_client_answer(r->c)->code;
	size_t n = strlen(r->refused);
	if (smtp_client_trouble(r->c) != SMTP_TROUBLE_AUTH || (code != 504 && code != 534) ||
	    smtp_client_is_over(r->c) || n + strlen(r->mech) + 2 > sizeof(r->refused))
		return false;
	snprintf(r->refused + n, sizeof(r->refused) - n, "%s%s", n ? " " : "", r->mech);
	struct buf why = BUF_INIT(SMTP_RUN_WHY_MAX);
	const struct sasl_mech *m = mech_next(r, &why);
	buf_done(&why);
	if (m)
		event_note(&r->o->events, "%s is not taken (%d); %s is tried", r->mech, code,
		    m->name);
	return m != NULL;
}
