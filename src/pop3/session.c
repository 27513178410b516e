#include "pop3/session_priv.h"

#include "base/session.h"

#include <stdlib.h>

_Static_assert(sizeof(struct pop3_session) + sizeof(struct pop3_private) <= 1024 + 256,
    "an idle session is small");
_Static_assert(sizeof(struct pop3_session) <= 1024, "a session is at most 1 KiB");

struct pop3_private *
pop3_priv(struct pop3_session *s)
{
	if (!s->priv) {
		s->priv = xalloc(sizeof(*s->priv));
		buf_init(&s->priv->line, POP3_AUTH_RESPONSE_MAX + 64);
		buf_init(&s->priv->window.octets, ACCESS_WINDOW);
		buf_init(&s->priv->uids, ACCESS_RANGES_MAX * 8);
	}
	return s->priv;
}

static void
priv_free(struct pop3_session *s)
{
	struct pop3_private *p = s->priv;
	if (!p)
		return;
	buf_wipe(&p->line);
	buf_done(&p->line);
	pop3_drop_free(p);
	free(p->name);
	free(p);
	s->priv = NULL;
}

/* Nothing is under way: the private part goes until the next octet comes. */
static void
release_idle(struct pop3_session *s)
{
	const struct pop3_private *p = s->priv;
	if (p && s->state == POP3_STRANGER && !s->auth && !p->name && !p->line.len &&
	    !p->after_cr && !p->discarding)
		priv_free(s);
}

void
pop3_ask(struct pop3_turn *t, enum pop3_ask what)
{
	check(t->s->ask == POP3_ASK_NONE && what != POP3_ASK_NONE);
	t->s->ask = what;
	t->s->ask_no++;
}

void
pop3_close(struct pop3_turn *t)
{
	struct pop3_session *s = t->s;
	s->ask = POP3_ASK_NONE;
	s->state = POP3_CLOSED;
	s->flags &= ~(unsigned)(F_UPGRADE | F_EXCHANGE);
	pop3_auth_free(s);
	if (s->priv)
		s->priv->run = RUN_NONE;
}

void
pop3_session_init(struct pop3_session *s, const struct pop3_conf *conf, bool tls,
    const struct pop3_clock *clock)
{
	*s = (struct pop3_session){ .conf = conf, .state = POP3_GREETING, .tls = tls };
	s->opened = s->last_input = clock->now;
}

void
pop3_session_done(struct pop3_session *s)
{
	pop3_auth_free(s);
	priv_free(s);
	free(s->user);
	s->user = NULL;
	s->ask = POP3_ASK_NONE;
	s->state = POP3_CLOSED;
}

void
pop3_session_greet(struct pop3_session *s, struct str refuse, const struct pop3_clock *clock,
    struct buf *out)
{
	struct str none = STR_NULL;
	struct pop3_turn t = { s, clock, &none, out };
	check(s->state == POP3_GREETING);
	if (refuse.len) {
		pop3_err(&t, "SYS/TEMP", STR_FMT, STR_ARG(refuse));
		pop3_close(&t);
		return;
	}
	s->state = POP3_STRANGER;
	if (s->conf->apop && s->stamp && (pop3_may_login(s) || s->conf->stls))
		s->flags |= F_STAMPED;
	pop3_says(&t, true, POP3_SAYS_GREETING, NULL);
}

/* What lies behind STLS was not sent inside TLS, whoever sent it (R-PIPE, CVE-2011-0411). */
static enum pop3_step
upgrade(struct pop3_turn *t)
{
	if (!t->in->len)
		return POP3_UPGRADE;
	pop3_close(t);
	return POP3_END;
}

static void
run(struct pop3_turn *t)
{
	struct pop3_session *s = t->s;
	s->last_input = t->clock->now; /* the peer reads */
	if (s->priv->run == RUN_LETTER)
		pop3_letter_run(t);
	else
		pop3_list_run(t);
}

enum pop3_step
pop3_session_step(struct pop3_session *s, struct str *in, const struct pop3_clock *clock,
    struct buf *out)
{
	struct pop3_turn t = { s, clock, in, out };
	check(s->state != POP3_GREETING);
	for (;;) {
		if (out->failed)
			pop3_close(&t);
		if (s->state == POP3_CLOSED)
			return POP3_END;
		if (s->ask != POP3_ASK_NONE)
			return POP3_ASK;
		if (s->flags & F_UPGRADE)
			return upgrade(&t);
		if (out->len > POP3_OUT_HIGH)
			return POP3_FLUSH;
		if (s->priv && s->priv->run != RUN_NONE)
			run(&t);
		else if (in->len)
			pop3_input(&t);
		else
			break;
	}
	release_idle(s);
	return POP3_MORE;
}

bool
pop3_session_answer(struct pop3_session *s, uint32_t ask_no, const struct pop3_answer *a,
    const struct pop3_clock *clock, struct buf *out)
{
	static void (*const answer[])(struct pop3_turn * t, const struct pop3_answer *a) = {
		[POP3_ASK_TLS] = pop3_answer_tls,
		[POP3_ASK_AUTH] = pop3_answer_auth,
		[POP3_ASK_READ] = pop3_answer_read,
		[POP3_ASK_CHANGE] = pop3_answer_change,
	};
	struct str none = STR_NULL;
	struct pop3_turn t = { s, clock, &none, out };
	enum pop3_ask asked = s->ask;
	if (asked == POP3_ASK_NONE || ask_no != s->ask_no)
		return false;
	s->ask = POP3_ASK_NONE;
	s->last_input = clock->now;
	answer[asked](&t, a);
	return true;
}

void
pop3_session_secured(struct pop3_session *s, const struct pop3_clock *clock)
{
	if (s->state == POP3_CLOSED)
		return;
	check(s->state == POP3_GREETING || (s->flags & F_UPGRADE));
	/* RFC 2595 4: what came in clear may have come from anybody. */
	s->flags &= F_FIRST_LINE | F_STAMPED;
	priv_free(s);
	s->tls = true;
	s->last_input = clock->now;
}

int64_t
pop3_session_deadline(const struct pop3_session *s)
{
	if (s->state == POP3_CLOSED || s->ask != POP3_ASK_NONE)
		return INT64_MAX;
	int64_t idle = session_deadline(s->last_input, s->conf->idle_seconds);
	int64_t whole = session_deadline(s->opened, s->conf->conn_seconds);
	return MIN(idle, whole);
}

bool
pop3_session_timeout(struct pop3_session *s, const struct pop3_clock *clock, struct buf *out)
{
	struct str none = STR_NULL;
	struct pop3_turn t = { s, clock, &none, out };
	if (clock->now < pop3_session_deadline(s))
		return false;
	/* RFC 1939 3: no response, and nothing is deleted. */
	pop3_close(&t);
	return true;
}

void
pop3_session_shutdown(struct pop3_session *s, const struct pop3_clock *clock, struct buf *out)
{
	struct str none = STR_NULL;
	struct pop3_turn t = { s, clock, &none, out };
	if (s->state == POP3_CLOSED || s->ask == POP3_ASK_CHANGE)
		return; /* QUIT is under way: it ends with its answer */
	bool inside =
	    s->priv && s->priv->run != RUN_NONE && (s->priv->begun || s->priv->run != RUN_LETTER);
	if (!inside && !(s->flags & F_UPGRADE))
		pop3_err(&t, "SYS/TEMP", "the server is shutting down");
	pop3_close(&t);
}
