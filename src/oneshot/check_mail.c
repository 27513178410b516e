/* The steps of IMAP, POP3 and ManageSieve. */
#include "oneshot/check_priv.h"

#include "client/mailread.h"
#include "client/secret.h"

#include <string.h>

static const struct {
	enum client_proto proto;
	const char *caps, *starttls, *bye, *alpn;
} words[] = {
	{ PROTO_IMAP, "CAPABILITY", "STARTTLS", "LOGOUT", "imap" },
	{ PROTO_POP3, "CAPA", "STLS", "QUIT", "pop3" },
	{ PROTO_SIEVE, "CAPABILITY", "STARTTLS", "LOGOUT", "managesieve" },
};

struct visit {
	struct checking *c;
	struct link link;
	struct mailread m;
	size_t word;
};

static bool
step(struct visit *v, const char *name, int status)
{
	if (status == CLIENT_OK)
		return true;
	check_step(v->c, name, CHECK_FAIL, status, STR_FMT, STR_ARG(buf_str(&v->m.why)));
	return false;
}

static void
tell_caps(struct visit *v)
{
	struct str rest = buf_str(&v->m.caps);
	char sep = v->m.proto == PROTO_IMAP ? ' ' : '\n';
	struct buf list = BUF_INIT(2 * MAILREAD_CAPS_MAX);
	while (rest.len) {
		buf_putz(&list, list.len ? ", " : "");
		buf_puts(&list, str_cut(&rest, sep));
	}
	check_step(v->c, "capabilities", CHECK_PASS, CLIENT_OK, "%s",
	    list.len ? buf_cstr(&list) : "none are told");
	buf_done(&list);
}

static bool
starttls(struct visit *v)
{
	struct checking *c = v->c;
	const char *verb = words[v->word].starttls;
	bool offered = mailread_has(&v->m, verb);
	if (v->link.tls)
		return true;
	if (c->o->tls == CLIENT_TLS_NEVER || (!offered && c->o->tls != CLIENT_TLS_MUST)) {
		check_step(c, "starttls", CHECK_SKIP, CLIENT_OK, "%s",
		    c->o->tls == CLIENT_TLS_NEVER ? "--tls=never"
						  : "it is not offered: all goes in clear");
		return true;
	}
	if (!step(v, "starttls", mailread_starttls(&v->m)))
		return false;
	check_step(c, "starttls", CHECK_PASS, CLIENT_OK, "%s",
	    c->secured.len ? buf_cstr(&c->secured) : verb);
	check_certificate(c, &v->link);
	tell_caps(v);
	return true;
}

static void
login(struct visit *v)
{
	struct client_options *o = v->c->o;
	struct buf secret = BUF_INIT(64u << 10), err = BUF_INIT(1024);
	struct mailread_login l = { .user = str_of(o->user ? o->user : ""),
		.authzid = str_of(o->authzid ? o->authzid : ""),
		.mechs = o->mechs,
		.has_token = o->oauth,
		.has_cert = o->link.tls.cert_file != NULL,
		.allow_cleartext = o->allow_cleartext,
		.no_initial_response = o->no_initial_response };
	if (!o->auth) {
		check_step(v->c, "auth", CHECK_SKIP, CLIENT_OK, "--user logs in");
		return;
	}
	if (!check_may_login(v->c, &v->link))
		return;
	int status = secret_get(&o->secret, &secret, &err);
	if (status != CLIENT_OK) {
		check_step(v->c, "auth", CHECK_FAIL, status, STR_FMT, STR_ARG(buf_str(&err)));
	} else {
		check_begin(v->c);
		l.secret = buf_str(&secret);
		if (step(v, "auth", mailread_login(&v->m, &l)))
			check_step(v->c, "auth", CHECK_PASS, CLIENT_OK, "%s by %s",
			    o->user ? o->user : "", v->m.mech);
	}
	buf_wipe(&secret);
	buf_done(&secret);
	buf_done(&err);
}

static void
steps(struct visit *v)
{
	struct checking *c = v->c;
	check_begin(c);
	if (!step(v, "greeting", mailread_greet(&v->m)))
		return;
	check_step(c, "greeting", CHECK_PASS, CLIENT_OK, STR_FMT, STR_ARG(buf_str(&v->m.greeting)));
	if (!v->m.caps_known && !step(v, "capabilities", mailread_caps(&v->m)))
		return;
	tell_caps(v);
	if (!starttls(v))
		return;
	login(v);
	check_begin(c);
	if (step(v, "bye", mailread_bye(&v->m)))
		check_step(c, "bye", CHECK_PASS, CLIENT_OK, "%s", words[v->word].bye);
}

int
check_mail(struct checking *c)
{
	struct visit v = { .c = c };
	while (words[v.word].proto != c->o->proto)
		v.word++;
	int status = link_open(&v.link, &c->o->link, &c->o->events);
	if (status == CLIENT_OK && c->o->tls == CLIENT_TLS_IMPLICIT)
		status = link_tls(&v.link, words[v.word].alpn);
	check_opened(c, &v.link, status, buf_str(&v.link.why));
	if (status == CLIENT_OK) {
		mailread_init(&v.m, &v.link, c->o->proto, c->o->link.host);
		steps(&v);
		mailread_done(&v.m);
	}
	link_close(&v.link);
	return c->status;
}
