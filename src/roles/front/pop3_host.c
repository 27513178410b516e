/* pop3_host: what a POP3 connection does with its session. */
#include "roles/front/visit_priv.h"

#include "pop3/session.h"
#include "sys/random.h"

struct pop3_part {
	struct visit visit;
	struct pop3_session session;
	bool asked; /* ask_no, which has no answer yet */
	uint32_t ask_no;
};

static struct pop3_clock
clock_of(const struct conn *c)
{
	return (struct pop3_clock){ c->front->clock.now, c->front->clock.wall };
}

static void
pop3_init(struct conn *c, void *part, const struct guest *g)
{
	struct pop3_clock clock = clock_of(c);
	c->pop3 = part;
	visit_init(c, &c->pop3->visit);
	pop3_session_init(&c->pop3->session, &c->settings->pop3[c->listener], c->implicit, &clock);
	if (c->settings->pop3[c->listener].apop)
		c->pop3->session.stamp = random_u64() | 1; /* 0 would be none */
}

static void
pop3_greet(struct conn *c)
{
	struct pop3_clock clock = clock_of(c);
	struct str refuse = c->refuse == SMTP_NONE ? STR_NULL : visit_refusal(c);
	pop3_session_greet(&c->pop3->session, refuse, &clock, &c->stream.out);
}

static bool
answer(struct conn *c, const struct pop3_answer *a)
{
	struct pop3_clock clock = clock_of(c);
	struct pop3_session *s = &c->pop3->session;
	return pop3_session_answer(s, s->ask_no, a, &clock, &c->stream.out);
}

/* --- questions --- */

static bool
ask_tls(struct conn *c)
{
	struct pop3_answer a = { .status = secure_ask(c) == SECURE_OK ? ACCESS_OK : ACCESS_FAILED };
	return answer(c, &a);
}

static const enum pop3_auth_verdict verdicts[SASL_V_COUNT] = AUTH_VERDICTS(POP3, TOO_SOON);

static bool
ask_auth(struct conn *c)
{
	const struct pop3_auth *x = c->pop3->session.auth;
	struct login_step step = { x->begin, x->mech, x->has_initial, x->octets };
	enum sasl_verdict v;
	if (c->visit->open || !login_ask(c, &step, &v))
		return false;
	struct pop3_answer a = { .verdict = verdicts[v] };
	return answer(c, &a);
}

static bool
ask_read(struct conn *c)
{
	return visit_read(c, &c->pop3->session.read);
}

static bool
ask_change(struct conn *c)
{
	return visit_change(c, &c->pop3->session.change);
}

/* Looked at once; what waits is not looked at again because something else happens. */
static bool
is_asked(const struct pop3_part *p)
{
	return p->session.ask != POP3_ASK_NONE && p->asked && p->ask_no == p->session.ask_no;
}

static bool
answer_ask(struct conn *c)
{
	static bool (*const asks[])(struct conn * c) = {
		[POP3_ASK_TLS] = ask_tls,
		[POP3_ASK_AUTH] = ask_auth,
		[POP3_ASK_READ] = ask_read,
		[POP3_ASK_CHANGE] = ask_change,
	};
	enum pop3_ask ask = c->pop3->session.ask;
	check(ask > POP3_ASK_NONE && ask < ARRAY_LEN(asks));
	c->pop3->asked = true;
	c->pop3->ask_no = c->pop3->session.ask_no;
	return asks[ask](c);
}

static void
pop3_told(struct conn *c, enum access_status status, struct str octets)
{
	struct pop3_answer a = { .status = status, .octets = octets };
	(void)answer(c, &a);
}

static void
pop3_entered(struct conn *c, enum sasl_verdict v, struct str challenge, struct str user)
{
	struct pop3_answer a = { .verdict = verdicts[v], .challenge = challenge, .user = user };
	(void)answer(c, &a);
}

static bool
pop3_in_auth(const struct conn *c)
{
	return c->pop3->session.ask == POP3_ASK_AUTH && !c->visit->open;
}

/* --- steps --- */

/* QUIT ends with its +OK. */
static bool
was_polite(const struct conn *c)
{
	return str_starts(visit_last_line(c), STR("+OK"));
}

static bool
pop3_step(struct conn *c)
{
	struct pop3_part *p = c->pop3;
	struct pop3_clock clock = clock_of(c);
	if (p->visit.flushing || is_asked(p))
		return false;
	struct str in = stream_input(&c->stream), rest = in;
	enum pop3_step step = pop3_session_step(&p->session, &rest, &clock, &c->stream.out);
	conn_eat(c, in, in.len - rest.len);
	switch (step) {
	case POP3_MORE:
		return false;
	case POP3_ASK:
		return answer_ask(c);
	case POP3_FLUSH:
		return visit_flush(c);
	case POP3_UPGRADE:
		conn_upgrade(c);
		return false;
	case POP3_END:
		c->ending = true;
		c->polite = was_polite(c);
		return false;
	}
	check_failed("a step of POP3", __FILE__, __LINE__);
}

static void
pop3_settle(struct conn *c)
{
	struct pop3_part *p = c->pop3;
	if (c->login && !p->session.auth)
		login_drop(c);
	visit_settle(c, p->visit.flushing || p->session.ask != POP3_ASK_NONE);
}

static bool
pop3_waits(const struct conn *c)
{
	return c->pop3->session.ask != POP3_ASK_NONE || c->visit->flushing;
}

static bool
pop3_owed(const struct conn *c)
{
	return false;
}

static void
pop3_drained(struct conn *c)
{
	if (!c->visit->flushing)
		return;
	c->visit->flushing = false;
	conn_drive(c);
}

static void
pop3_secured(struct conn *c, struct str facts)
{
	struct pop3_clock clock = clock_of(c);
	if (!c->implicit)
		pop3_session_secured(&c->pop3->session, &clock);
}

static void
pop3_again(struct conn *c)
{
	if (c->visit->open)
		visit_again(c);
	else if (c->pop3->session.ask != POP3_ASK_NONE && answer_ask(c))
		conn_drive(c);
}

static void
pop3_give_up(struct conn *c)
{
	struct pop3_answer a = { .status = ACCESS_FAILED, .verdict = POP3_AUTH_TEMPFAIL };
	if (c->visit->open) {
		visit_give_up(c);
		return;
	}
	list_del(&c->parked);
	(void)answer(c, &a);
	conn_drive(c);
}

static int64_t
pop3_deadline(const struct conn *c)
{
	return pop3_waits(c) ? INT64_MAX : pop3_session_deadline(&c->pop3->session);
}

static bool
pop3_timeout(struct conn *c)
{
	struct pop3_clock clock = clock_of(c);
	return pop3_session_timeout(&c->pop3->session, &clock, &c->stream.out);
}

static bool
pop3_shutdown(struct conn *c, bool late)
{
	struct pop3_clock clock = clock_of(c);
	pop3_session_shutdown(&c->pop3->session, &clock, &c->stream.out);
	return true;
}

static void
pop3_closing(struct conn *c, const char *why)
{
	const struct pop3_session *s = &c->pop3->session;
	visit_log_closed(c, why, s->user, s->commands);
	visit_closing(c);
}

static void
pop3_done(struct conn *c)
{
	pop3_session_done(&c->pop3->session);
	visit_done(&c->pop3->visit);
}

const struct protocol pop3_protocol = {
	.name = "pop3",
	.service = "pop",
	.alpn = "pop3",
	.part = sizeof(struct pop3_part),
	.init = pop3_init,
	.greet = pop3_greet,
	.step = pop3_step,
	.settle = pop3_settle,
	.waits = pop3_waits,
	.owed = pop3_owed,
	.drained = pop3_drained,
	.secured = pop3_secured,
	.in_auth = pop3_in_auth,
	.authed = visit_authed,
	.entered = pop3_entered,
	.told = pop3_told,
	.again = pop3_again,
	.give_up = pop3_give_up,
	.deadline = pop3_deadline,
	.timeout = pop3_timeout,
	.sweep = visit_sweep,
	.shutdown = pop3_shutdown,
	.closing = pop3_closing,
	.done = pop3_done,
};
