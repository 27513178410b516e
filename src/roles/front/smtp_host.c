/*
 * smtp_host: what an SMTP or LMTP connection does with its session: letters, answers, history.
 */
#include "roles/front/smtp_priv.h"
#include "roles/front/visit_priv.h"

#include "base/utf8.h"

#include <stdlib.h>

void
letter_note(struct conn *c, const char *fmt, ...)
{
	va_list ap;
	struct buf text = BUF_INIT(1024), *h = &c->smtp->history;
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	size_t len = h->len;
	buf_putf(h, "+%lldms # ", (long long)(c->front->clock.now - c->smtp->session.opened));
	utf8_escape(h, buf_str(&text));
	buf_putc(h, '\n');
	if (h->failed)
		buf_trunc(h, len);
	buf_done(&text);
}

/* What the session shall believe of its peer: the truth, or what a lab listener was told. */
static void
describe_peer(const struct conn *c, const struct conf_listener *l, struct smtp_peer *p)
{
	const char *own = c->local ? "unix" : c->ip;
	const char *ip = l->client_ip && l->client_ip[0] ? l->client_ip : own;
	const char *name = l->client_name && l->client_name[0] ? l->client_name : "unknown";
	(void)str_copy(p->ip, sizeof(p->ip), str_of(ip));
	(void)str_copy(p->name, sizeof(p->name), str_of(name));
}

static void
smtp_init(struct conn *c, void *part, const struct guest *g)
{
	struct smtp_peer peer = { .tls = c->implicit || (g->turned && g->tls.len > 0) };
	c->smtp = part;
	if (g->turned)
		turn_guest_init(c, g);
	c->smtp->relay = g->relay;
	c->smtp->history = BUF_INIT(HISTORY_MAX);
	describe_peer(c, &c->settings->conf->listeners[c->listener], &peer);
	smtp_session_init(&c->smtp->session, &c->settings->smtp[c->listener], &peer,
	    &c->front->clock);
	c->smtp->session.ours = g->relay;
	smtp_session_trust(&c->smtp->session, g->xclient, g->xforward);
	c->smtp->session.history = &c->smtp->history;
}

static void
smtp_greet(struct conn *c)
{
	smtp_session_greet(&c->smtp->session, c->refuse, &c->front->clock, &c->stream.out);
}

/* Did the peer ask for the end? Then our last line is 221, or silence by dialect. */
static bool
was_polite(const struct conn *c)
{
	struct str out = str_rtrim(buf_str(&c->stream.out));
	size_t nl = str_rfind(out, '\n');
	struct str last = nl < out.len ? str_skip(out, nl + 1) : out;
	return out.len == 0 ? c->smtp->session.conf->quit_silent : str_starts(last, STR("221"));
}

static bool
smtp_step(struct conn *c)
{
	struct smtp_session *s = &c->smtp->session;
	if (s->phase != PHASE_CLOSED && letter_must_wait(c)) {
		c->held = true;
		return false;
	}
	bool fetched = s->phase == PHASE_BURL;
	if (!fetched && s->ask != SMTP_ASK_BURL)
		burl_drop(c); /* a URL that was refused leaves nothing behind for the next */
	struct str in = fetched ? burl_input(c) : stream_input(&c->stream), rest = in;
	enum smtp_step step = smtp_session_step(s, &rest, &c->front->clock, &c->stream.out);
	if (step == SMTP_BODY)
		letter_body(c, s->chunk);
	if (fetched)
		burl_eat(c, in.len - rest.len);
	else if (step == SMTP_BODY)
		stream_eat(&c->stream, in.len - rest.len);
	else
		conn_eat(c, in, in.len - rest.len);
	if (step == SMTP_BODY)
		return true;
	if (step == SMTP_DROP) {
		letter_drop(c);
		return true;
	}
	if (step == SMTP_ASK) {
		struct smtp_answer a = { .situation = SMTP_NONE };
		if (!answer_question(c, &a))
			return false;
		return smtp_session_answer(s, s->ask_no, &a, &c->front->clock, &c->stream.out);
	}
	if (step == SMTP_UPGRADE)
		conn_upgrade(c);
	if (step == SMTP_TURN)
		turn_begin(c);
	if (step == SMTP_END) {
		c->ending = true;
		c->polite = was_polite(c);
	}
	return fetched && step == SMTP_MORE; /* what the peer has sent meanwhile */
}

static void
smtp_settle(struct conn *c)
{
	merge_weigh(c);
	if (c->login && !c->smtp->session.auth)
		login_drop(c); /* cancelled, or a rule was broken */
	report_refusals(c);
}

void
answer_give(struct conn *c, const struct smtp_answer *a)
{
	struct smtp_session *s = &c->smtp->session;
	list_del(&c->parked);
	if (c->dead)
		return;
	bool fresh = smtp_session_answer(s, s->ask_no, a, &c->front->clock, &c->stream.out);
	s->history = &c->smtp->history;
	if (fresh)
		conn_drive(c);
}

static bool
smtp_waits(const struct conn *c)
{
	return c->smtp->session.ask != SMTP_ASK_NONE;
}

/* RFC 5321 says QUIT; openssl s_client and lost lines say nothing. What had its 250 stays, what
 * had not is forgotten: but an answer that store owes is waited for. */
static bool
smtp_owed(const struct conn *c)
{
	return c->smtp->letter && c->smtp->letter->state == LETTER_ASKED;
}

static void
smtp_drained(struct conn *c)
{
}

static void
smtp_secured(struct conn *c, struct str facts)
{
	smtp_session_secured(&c->smtp->session, facts, &c->front->clock);
}

static bool
smtp_in_auth(const struct conn *c)
{
	return c->smtp->session.ask == SMTP_ASK_AUTH;
}

static const enum smtp_situation auth_says[SASL_V_COUNT] = {
	[SASL_V_CHALLENGE] = SMTP_NONE,
	[SASL_V_OK] = SMTP_AUTH_OK,
	[SASL_V_FAIL] = SMTP_AUTH_FAIL,
	[SASL_V_MALFORMED] = SMTP_AUTH_BADB64,
	[SASL_V_BADMECH] = SMTP_AUTH_BADMECH,
	[SASL_V_WEAK] = SMTP_AUTH_WEAK,
	[SASL_V_TEMPFAIL] = SMTP_AUTH_TEMPFAIL,
	[SASL_V_TOO_SOON] = SMTP_AUTH_TEMPFAIL, /* of POP3 only */
};

/* The session notes who is in; why somebody is not, only auth knows. */
static void
smtp_authed(struct conn *c, const struct login *l, const struct msg_sasl *m)
{
	struct smtp_answer a = { .situation = auth_says[m->verdict] };
	if (m->verdict == SASL_V_CHALLENGE || m->verdict == SASL_V_OK)
		a.challenge = m->text;
	if (m->verdict == SASL_V_OK)
		a.user = m->account;
	else if (m->verdict != SASL_V_CHALLENGE && m->why.len)
		letter_note(c, "%s: " STR_FMT, l->mech, STR_ARG(m->why));
	answer_give(c, &a);
}

static void
smtp_room(struct conn *c, bool yes)
{
	struct smtp_answer a = { .situation = SMTP_NONE };
	c->smtp->room = yes ? ROOM_YES : ROOM_NO;
	if (c->smtp->session.ask == SMTP_ASK_RCPT && answer_question(c, &a))
		answer_give(c, &a);
}

static void
smtp_again(struct conn *c)
{
	struct smtp_answer a = { .situation = SMTP_NONE };
	if (c->room)
		room_again(c);
	else if (answer_question(c, &a))
		answer_give(c, &a);
}

static void
smtp_give_up(struct conn *c)
{
	/* Behind a DATA a body may wait in the kernel, unseen by the session (R-PIPE): only the end
	 * of the connection keeps it from being read as commands. */
	struct smtp_answer a = { .situation = SMTP_SHUTDOWN };
	if (c->smtp->session.ask == SMTP_ASK_BURL) {
		visit_give_up(c);
		return;
	}
	if (c->smtp->session.ask == SMTP_ASK_MAIL)
		a.situation = SMTP_MAIL_TEMPERR;
	else if (c->smtp->session.ask == SMTP_ASK_AUTH)
		a.situation = SMTP_AUTH_TEMPFAIL;
	answer_give(c, &a);
}

static int64_t
smtp_deadline(const struct conn *c)
{
	return smtp_session_deadline(&c->smtp->session);
}

static bool
smtp_timeout(struct conn *c)
{
	if (!smtp_session_timeout(&c->smtp->session, &c->front->clock, &c->stream.out))
		return false;
	if (c->smtp->letter && c->smtp->letter->state != LETTER_ASKED)
		letter_drop(c);
	return true;
}

static bool
smtp_shutdown(struct conn *c, bool late)
{
	if (!late && c->smtp->letter && c->smtp->letter->state == LETTER_OPEN)
		return false;
	list_del(&c->parked);
	smtp_session_shutdown(&c->smtp->session, &c->front->clock, &c->stream.out);
	return true;
}

static void
smtp_closing(struct conn *c, const char *why)
{
	const struct smtp_session *s = &c->smtp->session;
	report_refusals(c);
	if (c->smtp->letter)
		letter_drop(c);
	if (s->delivered || s->refused)
		LOG(LOG_INFO, c->id, "closed", LOGZ("peer", c->ip), LOGZ("why", why),
		    LOGN("letters", s->delivered), LOGN("refused", s->refused));
	else
		LOG(LOG_DEBUG, c->id, "closed", LOGZ("peer", c->ip), LOGZ("why", why));
	srs_drop(c);
	etrn_drop(c);
	burl_drop(c);
	merge_weigh(c);
	c->front->n_refused += s->refused;
}

static void
smtp_done(struct conn *c)
{
	srs_drop(c);
	srs_forget(c);
	c->smtp->burl = burl_free(c->smtp->burl);
	smtp_session_done(&c->smtp->session);
	buf_done(&c->smtp->history);
	free(c->smtp->only_domains);
	free(c->smtp->only_tls);
}

const struct protocol smtp_protocol = {
	.name = "smtp",
	.service = "smtp",
	.alpn = "smtp",
	.part = sizeof(struct smtp_part),
	.init = smtp_init,
	.greet = smtp_greet,
	.step = smtp_step,
	.settle = smtp_settle,
	.waits = smtp_waits,
	.owed = smtp_owed,
	.drained = smtp_drained,
	.secured = smtp_secured,
	.in_auth = smtp_in_auth,
	.authed = smtp_authed,
	.told = burl_told,
	.room = smtp_room,
	.again = smtp_again,
	.give_up = smtp_give_up,
	.deadline = smtp_deadline,
	.timeout = smtp_timeout,
	.shutdown = smtp_shutdown,
	.closing = smtp_closing,
	.done = smtp_done,
};
