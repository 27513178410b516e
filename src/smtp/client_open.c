/* The way from the greeting to the login. */
#include "smtp/client_priv.h"

#include "base/base64.h"
#include "base/check.h"

enum smtp_client_step
client_due(const struct smtp_client *c)
{
	if (!c->greeted)
		return SMTP_STEP_GREETING;
	if (!c->helloed)
		return SMTP_STEP_HELLO;
	if (c->conf.tls != SMTP_TLS_NEVER && !c->secured && !c->tls_settled)
		return SMTP_STEP_STARTTLS;
	if (c->conf.xclient.len && !c->xclient_done)
		return SMTP_STEP_XCLIENT;
	if (c->conf.auth && !c->auth_settled)
		return SMTP_STEP_AUTH;
	return SMTP_STEP_COUNT;
}

static void
hello_send(struct smtp_client *c)
{
	bool lhlo =
	    c->conf.hello == SMTP_HELLO_LHLO || (c->conf.lmtp && c->conf.hello == SMTP_HELLO_AUTO);
	c->helo = c->helo || c->conf.hello == SMTP_HELLO_HELO;
	buf_putf(&c->out, "%s ", lhlo ? "LHLO" : c->helo ? "HELO" : "EHLO");
	buf_puts(&c->out, c->conf.name);
	client_send(c, SMTP_STEP_HELLO);
}

static void
starttls_begin(struct smtp_client *c)
{
	bool must = c->conf.tls == SMTP_TLS_MUST;
	if (caps_have(&c->caps, CAPS_STARTTLS) && !c->tls_refused) {
		buf_putz(&c->out, "STARTTLS");
		client_send(c, SMTP_STEP_STARTTLS);
		return;
	}
	/* Where it must be, no later order gets past here either. */
	c->tls_settled = !must;
	if (must)
		client_trouble(c,
		    c->tls_refused ? SMTP_TROUBLE_TLS_REFUSED : SMTP_TROUBLE_TLS_MISSING,
		    SMTP_STEP_STARTTLS, NULL);
}

static void
xclient_begin(struct smtp_client *c)
{
	c->xclient_done = true;
	if (!caps_have(&c->caps, CAPS_XCLIENT)) {
		buf_putz(&c->why, "the server does not offer XCLIENT to us");
		client_trouble(c, SMTP_TROUBLE_XCLIENT, SMTP_STEP_XCLIENT, NULL);
		return;
	}
	buf_putz(&c->out, "XCLIENT ");
	buf_puts(&c->out, c->conf.xclient);
	client_send(c, SMTP_STEP_XCLIENT);
}

bool
client_begin(struct smtp_client *c, enum smtp_client_step step)
{
	if (step == SMTP_STEP_GREETING) {
		c->waiting = true;
		c->step = step;
	} else if (step == SMTP_STEP_HELLO && c->conf.hello == SMTP_HELLO_NONE) {
		c->helloed = true;
	} else if (step == SMTP_STEP_HELLO) {
		hello_send(c);
	} else if (step == SMTP_STEP_STARTTLS) {
		starttls_begin(c);
	} else if (step == SMTP_STEP_XCLIENT) {
		xclient_begin(c);
	} else if (caps_have(&c->caps, CAPS_AUTH) || c->conf.auth_force) {
		return true;
	} else {
		c->auth_settled = true;
		client_trouble(c, SMTP_TROUBLE_AUTH_MISSING, SMTP_STEP_AUTH, NULL);
	}
	return false;
}

/* All that was said before is forgotten (RFC 3207 4.2). */
static void
begin_anew(struct smtp_client *c)
{
	c->helloed = c->esmtp = false;
	c->caps.has = 0;
	c->caps.mechs[0] = '\0';
}

static void
hello_answered(struct smtp_client *c)
{
	const struct answer *a = &c->answer;
	if (a->code / 100 == 2) {
		c->helloed = true;
		c->esmtp = !c->helo;
		if (c->esmtp)
			caps_read(&c->caps, a);
		else
			c->caps.has = 0;
		return;
	}
	bool for_good = a->code / 100 == 5;
	if (c->conf.hello == SMTP_HELLO_AUTO && !c->conf.lmtp && !c->helo && for_good) {
		client_note(c, false, "EHLO was refused; HELO is the older form (RFC 5321 3.2)");
		c->helo = true;
		hello_send(c);
		return;
	}
	c->helloed = true;
	client_trouble(c, SMTP_TROUBLE_HELLO, SMTP_STEP_HELLO, a);
}

static void
starttls_answered(struct smtp_client *c)
{
	c->tls_settled = true;
	if (c->answer.code / 100 != 2) {
		c->tls_refused = true;
		c->tls_settled = c->conf.tls != SMTP_TLS_MUST;
		if (c->conf.tls == SMTP_TLS_MUST)
			client_trouble(c, SMTP_TROUBLE_TLS_REFUSED, SMTP_STEP_STARTTLS, &c->answer);
		else
			client_note(c, true,
			    "STARTTLS is offered and refused; it goes on in clear");
	} else if (c->in_at + c->eat < c->in.len) {
		/* CVE-2011-0411: somebody put words in front of the handshake. */
		client_trouble(c, SMTP_TROUBLE_INJECTED, SMTP_STEP_STARTTLS, NULL);
		c->over = true;
	} else {
		c->want_tls = true;
	}
}

void
smtp_client_secured(struct smtp_client *c)
{
	check(c->want_tls);
	c->want_tls = false;
	c->secured = true;
	begin_anew(c);
}

/* --- AUTH (RFC 4954) --- */

static void
sasl_over(struct smtp_client *c)
{
	c->sasl = sasl_client_free(c->sasl);
}

void
smtp_client_auth_none(struct smtp_client *c)
{
	c->auth_settled = true;
	client_trouble(c, SMTP_TROUBLE_AUTH_NONE, SMTP_STEP_AUTH, NULL);
}

void
smtp_client_auth_none_why(struct smtp_client *c, struct str why)
{
	if (c->why.len == 0)
		buf_putf(&c->why, "no login is possible: " STR_FMT, STR_ARG(why));
	smtp_client_auth_none(c);
}

/* The client's next message; behind `verb` in its line, or alone. */
static void
message_send(struct smtp_client *c, bool initial)
{
	struct str out = sasl_client_out(c->sasl);
	if (initial && out.len == 0)
		buf_putc(&c->out, '=');
	else
		base64_enc(&c->out, out);
	buf_puts(&c->masked, sasl_client_masked(c->sasl));
	client_send(c, SMTP_STEP_AUTH);
}

static void
cancel(struct smtp_client *c)
{
	if (c->why.len == 0)
		buf_putf(&c->why, "the login was broken off: %s", sasl_client_why(c->sasl));
	c->sasl_cancelled = true;
	buf_putc(&c->out, '*');
	client_send(c, SMTP_STEP_AUTH);
}

void
smtp_client_auth(struct smtp_client *c, struct str mech, struct sasl_client *sc)
{
	sasl_over(c);
	c->sasl = sc;
	c->sasl_begun = c->sasl_cancelled = c->sasl_pending = false;
	check(str_copy(c->mech, sizeof(c->mech), mech));
	bool initial = sasl_client_begins(sc) && !c->conf.no_initial;
	if (initial) {
		c->sasl_begun = true;
		if (sasl_client_begin(sc) != SASL_CLIENT_SEND) {
			c->auth_settled = true;
			buf_putf(&c->why, "the login cannot begin: %s", sasl_client_why(sc));
			client_trouble(c, SMTP_TROUBLE_AUTH_PROOF, SMTP_STEP_AUTH, NULL);
			sasl_over(c);
			return;
		}
		/* RFC 4954 4: what does not fit into a command line waits for the challenge. */
		size_t n = sasl_client_out(sc).len;
		initial =
		    n <= CLIENT_SHORT_LINE && mech.len + 8 + (n + 2) / 3 * 4 <= CLIENT_SHORT_LINE;
		c->sasl_pending = !initial;
	}
	buf_putf(&c->out, "AUTH %s", c->mech);
	if (!initial) {
		client_send(c, SMTP_STEP_AUTH);
		return;
	}
	buf_putf(&c->masked, "AUTH %s ", c->mech);
	buf_putc(&c->out, ' ');
	message_send(c, true);
}

/* By order, whatever it says: the first challenge of a mechanism in which the client speaks first,
 * and those of LOGIN, may be any text. */
static enum sasl_client_status
challenged(struct smtp_client *c, bool pending)
{
	struct buf challenge = BUF_INIT(SASL_MESSAGE_MAX);
	struct str text = buf_str(&c->answer.text);
	text = str_trim(str_first(text, str_find(text, '\n')));
	if (pending)
		return SASL_CLIENT_SEND; /* it was made already, and was too long for the command */
	if (!c->sasl_begun && sasl_client_begins(c->sasl)) {
		c->sasl_begun = true;
		return sasl_client_begin(c->sasl);
	}
	enum sasl_client_status s = SASL_CLIENT_FAILED;
	bool free_text =
	    str_ieq(str_of(c->mech), STR("LOGIN")) || str_ieq(str_of(c->mech), STR("XOAUTH2"));
	c->sasl_begun = true;
	if (base64_dec(&challenge, text) || free_text)
		s = sasl_client_answer(c->sasl, buf_str(&challenge));
	else
		buf_putz(&c->why, "the login was broken off: the challenge is no base64");
	buf_wipe(&challenge);
	buf_done(&challenge);
	return s;
}

/* --- an exchange that is made elsewhere --- */

static void
remote_over(struct smtp_client *c)
{
	buf_wipe(&c->remote_octets);
	c->remote = c->remote_due = c->sasl_pending = false;
}

static void
remote_send(struct smtp_client *c, struct str octets, bool initial)
{
	if (initial && octets.len == 0)
		buf_putc(&c->out, '=');
	else
		base64_enc(&c->out, octets);
	if (initial)
		buf_putf(&c->masked, "AUTH %s ", c->mech);
	buf_putz(&c->masked, "<token hidden>");
	client_send(c, SMTP_STEP_AUTH);
}

void
smtp_client_auth_remote(struct smtp_client *c, struct str mech, const struct str *initial,
    bool may_end)
{
	sasl_over(c);
	remote_over(c);
	c->sasl_cancelled = false;
	c->remote = true;
	c->remote_end = may_end;
	check(str_copy(c->mech, sizeof(c->mech), mech));
	buf_putf(&c->out, "AUTH %s", c->mech);
	/* RFC 4954 4: what does not fit into a command line waits for the challenge. */
	if (!initial || initial->len > CLIENT_SHORT_LINE ||
	    mech.len + 8 + (initial->len + 2) / 3 * 4 > CLIENT_SHORT_LINE) {
		c->sasl_pending = initial != NULL;
		if (initial)
			buf_puts(&c->remote_octets, *initial);
		client_send(c, SMTP_STEP_AUTH);
		return;
	}
	buf_putc(&c->out, ' ');
	remote_send(c, *initial, true);
}

void
smtp_client_auth_say(struct smtp_client *c, struct str octets, bool may_end)
{
	check(c->remote_due);
	c->remote_due = false;
	c->remote_end = may_end;
	remote_send(c, octets, false);
}

void
smtp_client_auth_cancel(struct smtp_client *c, struct str why)
{
	check(c->remote_due);
	c->remote_due = false;
	if (c->why.len == 0)
		buf_putf(&c->why, "the login was broken off: " STR_FMT, STR_ARG(why));
	c->sasl_cancelled = true;
	buf_putc(&c->out, '*');
	client_send(c, SMTP_STEP_AUTH);
}

/* 334: another message is asked for. */
static void
remote_challenged(struct smtp_client *c)
{
	struct str text = buf_str(&c->answer.text);
	text = str_trim(str_first(text, str_find(text, '\n')));
	if (c->sasl_pending) {
		struct buf first = c->remote_octets;
		c->remote_octets = BUF_INIT(SASL_MESSAGE_MAX);
		c->sasl_pending = false;
		remote_send(c, buf_str(&first), false);
		buf_wipe(&first);
		buf_done(&first);
		return;
	}
	buf_wipe(&c->remote_octets);
	c->remote_due = true;
	/* The prompts of LOGIN may be any text, and some servers do not code them. */
	if (!base64_dec(&c->remote_octets, text) && !str_ieq(str_of(c->mech), STR("LOGIN")) &&
	    !str_ieq(str_of(c->mech), STR("XOAUTH2")))
		smtp_client_auth_cancel(c, STR("the challenge is no base64"));
}

static void
auth_answered(struct smtp_client *c)
{
	const struct answer *a = &c->answer;
	if (a->code == 334 && c->remote && !c->sasl_cancelled) {
		remote_challenged(c);
		return;
	}
	if (a->code == 334 && !c->sasl_cancelled) {
		bool pending = c->sasl_pending;
		c->sasl_pending = false;
		if (challenged(c, pending) == SASL_CLIENT_FAILED)
			cancel(c);
		else
			message_send(c, false);
		return;
	}
	bool good = a->code / 100 == 2;
	if (c->sasl_cancelled) {
		client_trouble(c, SMTP_TROUBLE_AUTH_PROOF, SMTP_STEP_AUTH, a);
	} else if (good && c->remote && !c->remote_end) {
		buf_putz(&c->why, "the server says yes, but has not proved who it is");
		client_trouble(c, SMTP_TROUBLE_AUTH_PROOF, SMTP_STEP_AUTH, a);
	} else if (good && !c->remote && !sasl_client_end(c->sasl)) {
		buf_putf(&c->why, "the server says yes, but %s", sasl_client_why(c->sasl));
		client_trouble(c, SMTP_TROUBLE_AUTH_PROOF, SMTP_STEP_AUTH, a);
	} else if (!good) {
		client_trouble(c, SMTP_TROUBLE_AUTH, SMTP_STEP_AUTH, a);
	} else {
		c->auth_settled = true;
	}
	remote_over(c);
	sasl_over(c);
}

void
client_open_answered(struct smtp_client *c, enum smtp_client_step step)
{
	bool good = c->answer.code / 100 == 2;
	if (step == SMTP_STEP_GREETING) {
		c->greeted = true;
		if (!good)
			client_trouble(c, SMTP_TROUBLE_GREETING, step, &c->answer);
	} else if (step == SMTP_STEP_HELLO) {
		hello_answered(c);
	} else if (step == SMTP_STEP_STARTTLS) {
		starttls_answered(c);
	} else if (step == SMTP_STEP_AUTH) {
		auth_answered(c);
	} else if (good) {
		begin_anew(c); /* XCLIENT: its answer is another greeting */
	} else {
		client_trouble(c, SMTP_TROUBLE_XCLIENT, step, &c->answer);
	}
}
