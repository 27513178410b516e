/* mailread_login: SASL in the words of IMAP, POP3 and ManageSieve, and what there was before it. */
#include "client/mailread_priv.h"

#include "base/base64.h"
#include "sasl/client.h"

#include <string.h>

#define POP_LINE_MAX 255u /* RFC 5034 4: an initial response must fit with its command */
#define SASL_TEXT_MAX (32u << 10)

static const char *const service[PROTO_COUNT] = {
	[PROTO_IMAP] = "imap", [PROTO_POP3] = "pop", [PROTO_SIEVE] = "sieve"
};

/* What the server answers to a message. */
enum said { SAID_MORE, SAID_OK, SAID_NO };

struct exchange {
	struct mailread *m;
	struct sasl_client *sasl;
	struct buf challenge; /* octets of the last one, or of what came with OK */
	bool has_final;       /* OK brought some */
	bool fresh;           /* nothing of it was sent yet */
};

static void
put_message(struct exchange *x, struct mailread_line *l, bool initial)
{
	struct buf b = BUF_INIT(SASL_TEXT_MAX);
	bool sieve = x->m->proto == PROTO_SIEVE;
	base64_enc(&b, sasl_client_out(x->sasl));
	if (initial && b.len == 0 && !sieve)
		buf_putc(&b, '='); /* RFC 4959 3, RFC 5034 4 */
	if (sieve) {
		mailread_line_puts(l, STR("\""));
		mailread_line_secret(l, buf_str(&b), sasl_client_masked(x->sasl));
		mailread_line_puts(l, STR("\""));
	} else if (b.len) {
		mailread_line_secret(l, buf_str(&b), sasl_client_masked(x->sasl));
	}
	l->text.failed = l->text.failed || b.failed;
	buf_wipe(&b);
	buf_done(&b);
}

static bool
keep_challenge(struct exchange *x, struct str text)
{
	buf_reset(&x->challenge);
	return base64_dec(&x->challenge, str_trim(text)) && !x->challenge.failed;
}

static int
heard_imap(struct exchange *x, enum said *ret, bool *ret_clean)
{
	struct mailread *m = x->m;
	const struct imap_response *r = NULL;
	int status = mailread_next(m, &r);
	if (status != CLIENT_OK)
		return status;
	*ret = SAID_MORE;
	*ret_clean = true;
	if (r->kind == IMAP_CONTINUE) {
		*ret_clean = keep_challenge(x, r->text);
		return CLIENT_OK;
	}
	mailread_keep(m, r);
	if (r->kind != IMAP_TAGGED)
		return mailread_fail(m, CLIENT_CLOSED, "auth: the server says goodbye: " STR_FMT,
		    STR_ARG(buf_str(&m->text)));
	if (str_ieq(r->code, STR("CAPABILITY")))
		mailread_caps_text(m, r->code_args);
	x->has_final = str_ieq(r->code, STR("SASL")) && m->proto == PROTO_SIEVE;
	if (x->has_final)
		*ret_clean = keep_challenge(x, r->code_args);
	*ret = m->good ? SAID_OK : SAID_NO;
	return CLIENT_OK;
}

/* RFC 5804 2.1: a challenge is a string on a line of its own. */
static int
heard_sieve(struct exchange *x, enum said *ret, bool *ret_clean)
{
	struct mailread *m = x->m;
	for (;;) {
		struct str line;
		enum link_status s = link_line(m->link, STR_NULL, &line);
		if (s != LINK_OK && s != LINK_PIECE)
			return mailread_lost(m, s);
		const struct imap_response *r = imap_reader_feed(&m->reader, &line);
		if (!r)
			continue;
		*ret_clean = true;
		if (r->kind == IMAP_TAGGED) {
			mailread_keep(m, r);
			x->has_final = str_ieq(r->code, STR("SASL"));
			if (x->has_final)
				*ret_clean = keep_challenge(x, r->code_args);
			*ret = m->good ? SAID_OK : SAID_NO;
			return CLIENT_OK;
		}
		*ret = SAID_MORE;
		*ret_clean = keep_challenge(x, imap_node_text(r->data));
		return CLIENT_OK;
	}
}

static int
heard_pop3(struct exchange *x, enum said *ret, bool *ret_clean)
{
	enum pop_status answer;
	int status = mailread_pop_answer(x->m, &answer);
	if (status != CLIENT_OK)
		return status;
	*ret = answer == POP_OK ? SAID_OK : answer == POP_ERR ? SAID_NO : SAID_MORE;
	*ret_clean = *ret != SAID_MORE || keep_challenge(x, buf_str(&x->m->text));
	return CLIENT_OK;
}

static int
heard(struct exchange *x, enum said *ret, bool *ret_clean)
{
	if (x->m->proto == PROTO_POP3)
		return heard_pop3(x, ret, ret_clean);
	return x->m->proto == PROTO_SIEVE ? heard_sieve(x, ret, ret_clean)
	                                  : heard_imap(x, ret, ret_clean);
}

/* AUTHENTICATE MECH [initial response]. */
static int
command(struct exchange *x, const struct sasl_mech *mech, const struct mailread_login *login)
{
	struct mailread *m = x->m;
	struct mailread_line l;
	mailread_line_init(&l);
	if (m->proto == PROTO_IMAP)
		mailread_tag(m, &l);
	mailread_line_puts(&l, m->proto == PROTO_POP3 ? STR("AUTH ") : STR("AUTHENTICATE "));
	mailread_line_puts(&l, m->proto == PROTO_SIEVE ? STR("\"") : STR_NULL);
	mailread_line_puts(&l, str_of(mech->name));
	mailread_line_puts(&l, m->proto == PROTO_SIEVE ? STR("\"") : STR_NULL);
	bool may = !login->no_initial_response && sasl_client_begins(x->sasl) &&
	           (m->proto != PROTO_IMAP || mailread_has(m, "SASL-IR"));
	int status = CLIENT_OK;
	x->fresh = true;
	if (may && sasl_client_begin(x->sasl) != SASL_CLIENT_SEND)
		status = mailread_fail(m, CLIENT_AUTH, "%s", sasl_client_why(x->sasl));
	if (may && status == CLIENT_OK &&
	    !(m->proto == PROTO_POP3 && sasl_client_out(x->sasl).len > POP_LINE_MAX / 2)) {
		mailread_line_puts(&l, STR(" "));
		put_message(x, &l, true);
		x->fresh = false;
	} else if (!may) {
		x->fresh = sasl_client_begins(x->sasl);
		if (x->fresh && sasl_client_begin(x->sasl) != SASL_CLIENT_SEND)
			status = mailread_fail(m, CLIENT_AUTH, "%s", sasl_client_why(x->sasl));
	}
	if (status == CLIENT_OK)
		status = mailread_line_send(m, &l);
	mailread_line_done(&l);
	return status;
}

/* To a challenge. What cannot be answered is taken back with "*" (RFC 9051 6.2.2). */
static int
reply(struct exchange *x, bool clean, bool *ret_gave_up)
{
	struct mailread_line l;
	enum sasl_client_status st = SASL_CLIENT_SEND;
	mailread_line_init(&l);
	if (x->fresh)
		x->fresh = false; /* the message is there since command() */
	else
		st = clean ? sasl_client_answer(x->sasl, buf_str(&x->challenge))
		           : SASL_CLIENT_FAILED;
	*ret_gave_up = st == SASL_CLIENT_FAILED;
	if (*ret_gave_up)
		mailread_line_puts(&l, x->m->proto == PROTO_SIEVE ? STR("\"*\"") : STR("*"));
	else if (st == SASL_CLIENT_SEND)
		put_message(x, &l, false);
	else
		mailread_line_puts(&l, x->m->proto == PROTO_SIEVE ? STR("\"\"") : STR_NULL);
	int status = mailread_line_send(x->m, &l);
	mailread_line_done(&l);
	return status;
}

static int
converse(struct exchange *x)
{
	enum said said = SAID_MORE;
	bool clean = true, gave_up = false;
	for (unsigned steps = 0; steps < SASL_STEPS_MAX + 2; steps++) {
		int status = heard(x, &said, &clean);
		if (status != CLIENT_OK)
			return status;
		if (gave_up && said != SAID_OK)
			return mailread_fail(x->m, CLIENT_AUTH, "%s",
			    clean ? sasl_client_why(x->sasl)
				  : "the server's challenge is no base64");
		if (said == SAID_NO)
			return mailread_refused(x->m, CLIENT_AUTH, "the login");
		if (said == SAID_OK)
			break;
		status = reply(x, clean, &gave_up);
		if (status != CLIENT_OK)
			return status;
	}
	if (said != SAID_OK || gave_up)
		return mailread_fail(x->m, CLIENT_AUTH, "the server does not end its challenges");
	if (x->has_final && clean)
		(void)sasl_client_answer(x->sasl, buf_str(&x->challenge));
	if (!sasl_client_end(x->sasl))
		return mailread_fail(x->m, CLIENT_AUTH,
		    "the server accepts the login, but did not prove that it knows the password: "
		    "%s",
		    sasl_client_why(x->sasl));
	return CLIENT_OK;
}

static int
by_sasl(struct mailread *m, const struct sasl_mech *mech, const struct mailread_login *login)
{
	struct link *l = m->link;
	struct sasl_client_conf conf = {
		.service = service[m->proto],
		.host = m->host,
		.user = login->user,
		.authzid = login->authzid,
		.secret = login->secret,
		.port = l->peer_port,
		.plus_missing =
		    l->tls && str_find_str(str_of(m->mechs), STR("-PLUS")) == strlen(m->mechs),
	};
	if (l->tls)
		conf.binding = (struct sasl_binding){
			.exporter = str_n(l->facts.exporter, l->facts.exporter_len),
			.endpoint = str_n(l->facts.endpoint, l->facts.endpoint_len),
			.unique = str_n(l->facts.unique, l->facts.unique_len),
		};
	struct exchange x = { .m = m };
	buf_reset(&m->why);
	x.sasl = sasl_client_make(str_of(mech->name), &conf, &m->why);
	if (!x.sasl)
		return CLIENT_AUTH;
	buf_init(&x.challenge, SASL_MESSAGE_MAX);
	(void)str_copy(m->mech, sizeof(m->mech), str_of(mech->name));
	int status = command(&x, mech, login);
	if (status == CLIENT_OK)
		status = converse(&x);
	sasl_client_free(x.sasl);
	buf_wipe(&x.challenge);
	buf_done(&x.challenge);
	return status;
}

/* --- without SASL --- */

/* A string of a command: where it has to be a literal, the line so far goes first. */
static int
put_string(struct mailread *m, struct mailread_line *l, struct str s, struct str shown)
{
	struct buf b = BUF_INIT(SASL_TEXT_MAX);
	int status = CLIENT_OK;
	if (imap_put_astring(&b, s, false)) {
		mailread_line_secret(l, buf_str(&b), shown.p ? shown : buf_str(&b));
	} else {
		const struct imap_response *r = NULL;
		buf_putf(&b, "{%zu}", s.len);
		mailread_line_puts(l, buf_str(&b));
		status = mailread_line_send(m, l);
		if (status == CLIENT_OK)
			status = mailread_next(m, &r);
		if (status == CLIENT_OK && r->kind != IMAP_CONTINUE) {
			mailread_keep(m, r);
			status = mailread_refused(m, CLIENT_AUTH, "LOGIN");
		}
		mailread_line_secret(l, s, shown.p ? shown : s);
	}
	buf_wipe(&b);
	buf_done(&b);
	return status;
}

static int
by_login(struct mailread *m, const struct mailread_login *login)
{
	struct mailread_line l;
	if (m->login_disabled)
		return mailread_fail(m, CLIENT_AUTH,
		    "the server forbids LOGIN here (LOGINDISABLED)%s",
		    m->link->tls ? "" : "; begin TLS first");
	(void)str_copy(m->mech, sizeof(m->mech), STR("LOGIN"));
	mailread_line_init(&l);
	mailread_tag(m, &l);
	mailread_line_puts(&l, STR("LOGIN "));
	int status = put_string(m, &l, login->user, STR_NULL);
	mailread_line_puts(&l, STR(" "));
	if (status == CLIENT_OK)
		status = put_string(m, &l, login->secret, STR("<password hidden>"));
	if (status == CLIENT_OK)
		status = mailread_line_send(m, &l);
	mailread_line_done(&l);
	if (status == CLIENT_OK)
		status = mailread_tagged(m);
	return status == CLIENT_OK && !m->good ? mailread_refused(m, CLIENT_AUTH, "the login")
	                                       : status;
}

static bool
one_line(struct str s)
{
	return str_find_any(s, "\r\n") == s.len && str_find(s, '\0') == s.len;
}

static int
by_user_pass(struct mailread *m, const struct mailread_login *login)
{
	struct mailread_line l;
	enum pop_status answer;
	(void)str_copy(m->mech, sizeof(m->mech), STR("USER"));
	if (!one_line(login->user) || !one_line(login->secret))
		return mailread_fail(m, CLIENT_AUTH,
		    "a name or password with line ends cannot be sent by USER and PASS");
	int status = mailread_pop(m, "USER " STR_FMT, STR_ARG(login->user));
	if (status != CLIENT_OK)
		return status;
	if (!m->good)
		return mailread_refused(m, CLIENT_AUTH, "USER");
	mailread_line_init(&l);
	mailread_line_puts(&l, STR("PASS "));
	mailread_line_secret(&l, login->secret, STR("<password hidden>"));
	status = mailread_line_send(m, &l);
	mailread_line_done(&l);
	if (status == CLIENT_OK)
		status = mailread_pop_answer(m, &answer);
	return status == CLIENT_OK && !m->good ? mailread_refused(m, CLIENT_AUTH, "the login")
	                                       : status;
}

/* RFC 1939 7: MD5 of stamp and secret. */
static int
by_apop(struct mailread *m, const struct mailread_login *login)
{
	struct buf digest = BUF_INIT(64);
	struct mailread_line l;
	enum pop_status answer;
	(void)str_copy(m->mech, sizeof(m->mech), STR("APOP"));
	if (!m->stamp[0] || !one_line(login->user))
		return mailread_fail(m, CLIENT_AUTH,
		    "the greeting holds no stamp: the server has no APOP");
	pop_apop_digest(str_of(m->stamp), login->secret, &digest);
	mailread_line_init(&l);
	mailread_line_puts(&l, STR("APOP "));
	mailread_line_puts(&l, login->user);
	mailread_line_puts(&l, STR(" "));
	mailread_line_secret(&l, buf_str(&digest), STR("<digest>"));
	buf_done(&digest);
	int status = mailread_line_send(m, &l);
	mailread_line_done(&l);
	if (status == CLIENT_OK)
		status = mailread_pop_answer(m, &answer);
	return status == CLIENT_OK && !m->good ? mailread_refused(m, CLIENT_AUTH, "the login")
	                                       : status;
}

/* --- which one --- */

static bool
wants(const struct mailread_login *login, const char *name)
{
	struct str list = str_of(login->mechs);
	while (list.len)
		if (str_ieq(str_trim(str_cut(&list, ',')), str_of(name)))
			return true;
	return false;
}

/* The commands there were before SASL: asked for by name, or all that is left. */
static int
old_login(struct mailread *m, const struct mailread_login *login)
{
	bool clear_ok = m->link->tls || login->allow_cleartext;
	bool apop =
	    m->proto == PROTO_POP3 && m->stamp[0] && !(login->mechs && !wants(login, "APOP"));
	if (apop && (!clear_ok || wants(login, "APOP")))
		return by_apop(m, login);
	if (m->proto == PROTO_IMAP && m->login_disabled)
		return by_login(m, login); /* says why not */
	if (!clear_ok)
		return mailread_fail(m, CLIENT_AUTH,
		    "the password would cross the line in clear; begin TLS, or --allow-cleartext");
	return m->proto == PROTO_IMAP ? by_login(m, login) : by_user_pass(m, login);
}

int
mailread_login(struct mailread *m, const struct mailread_login *login)
{
	bool old = m->proto != PROTO_SIEVE && (!login->mechs || wants(login, "LOGIN") ||
						  wants(login, "USER") || wants(login, "APOP"));
	m->step = "auth";
	m->saw_caps = false;
	if (m->logged_in)
		return CLIENT_OK; /* PREAUTH */
	buf_reset(&m->why);
	const struct sasl_mech *mech = NULL;
	if (!(m->proto == PROTO_POP3 && (wants(login, "USER") || wants(login, "APOP"))))
		mech = sasl_client_choose(str_of(m->mechs), login->mechs, m->link->tls != NULL,
		    m->link->tls || login->allow_cleartext, login->has_token, login->has_cert,
		    &m->why);
	int status = CLIENT_AUTH;
	if (mech)
		status = by_sasl(m, mech, login);
	else if (old && !login->has_token)
		status = old_login(m, login);
	if (status != CLIENT_OK)
		return status;
	m->logged_in = true;
	if (m->proto == PROTO_IMAP && !m->saw_caps)
		status = mailread_caps(m); /* they may be others now (RFC 9051 6.1.1) */
	return status;
}
