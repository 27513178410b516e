#include "smtp/session_priv.h"

#include "base/session.h"

#include <stdlib.h>

_Static_assert(sizeof(struct smtp_session) <= 2048, "an idle session is at most 2 KiB");

struct smtp_private *
smtp_priv(struct smtp_session *s)
{
	if (!s->priv) {
		s->priv = xalloc(sizeof(*s->priv));
		buf_init(&s->priv->line, LINE_HARD_MAX + 2);
		s->priv->param_error = SMTP_NONE;
	}
	return s->priv;
}

static void
priv_free(struct smtp_session *s)
{
	if (!s->priv)
		return;
	buf_wipe(&s->priv->line);
	buf_done(&s->priv->line);
	free(s->priv);
	s->priv = NULL;
}

/* Nothing is under way: the private part goes until the next octet comes. */
static void
release_idle(struct smtp_session *s)
{
	const struct smtp_private *p = s->priv;
	if (p && !s->txn && s->phase == PHASE_COMMAND && !p->line.len && !p->after_cr &&
	    !p->discarding && p->telnet == TELNET_NONE)
		priv_free(s);
}

void
smtp_phase_set(struct smtp_turn *t, enum smtp_phase phase)
{
	static const char *const words[] = {
		[PHASE_GREETING] = "greeting",
		[PHASE_COMMAND] = "commands",
		[PHASE_DATA] = "data",
		[PHASE_BDAT] = "a chunk",
		[PHASE_BDAT_SKIP] = "a chunk to throw away",
		[PHASE_BURL] = "what a URL leads to",
		[PHASE_AUTH] = "an AUTH exchange",
		[PHASE_TLS] = "the TLS handshake",
		[PHASE_CLOSED] = "closed",
	};
	struct smtp_session *s = t->s;
	if (phase == s->phase)
		return;
	if (phase != PHASE_COMMAND)
		smtp_notef(t, "now: %s", words[phase]);
	s->phase = phase;
	s->last_input = t->clock->now;
	if (phase == PHASE_BDAT || phase == PHASE_BDAT_SKIP || phase == PHASE_BURL ||
	    phase == PHASE_DATA)
		smtp_priv(s)->body_started = t->clock->now;
}

void
smtp_ask(struct smtp_turn *t, enum smtp_ask what)
{
	check(t->s->ask == SMTP_ASK_NONE && what != SMTP_ASK_NONE);
	t->s->ask = what;
	t->s->ask_no++;
}

void
smtp_txn_begin(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	check(!s->txn);
	s->owed = 0;
	s->txn = xalloc(sizeof(*s->txn));
	arena_init(&s->txn->arena, SMTP_TXN_MAX);
	list_init(&s->txn->rcpts);
	s->txn->started = t->clock->now;
	const struct scan_limits limits = { s->conf->header_lines, s->conf->header_bytes };
	scan_init(&s->txn->scan, &limits);
}

static void
txn_free(struct smtp_session *s)
{
	s->flags &= ~(unsigned)(F_DROP | F_TXN_OVER | F_BODY_OPEN | F_SWALLOW);
	if (s->priv) {
		s->priv->qid = s->priv->param_bad = STR_NULL;
		s->priv->param_error = SMTP_NONE;
		s->priv->body_octets = 0;
	}
	s->rcpt_asked = NULL;
	if (!s->txn)
		return;
	s->txn->merge = smtp_merge_free(s->txn->merge);
	arena_done(&s->txn->arena);
	free(s->txn);
	s->txn = NULL;
	/* It was said of this letter (XFORWARD). */
	free(s->xforward);
	s->xforward = NULL;
}

/* The one way out of a transaction, whatever became of it. */
void
smtp_txn_end(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	if (!s->txn)
		return;
	if ((s->flags & F_BODY_OPEN) || s->txn->host_data)
		s->flags |= F_DROP | F_TXN_OVER;
	else if (!(s->flags & F_TXN_OVER))
		txn_free(s);
}

void
smtp_close(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	s->ask = SMTP_ASK_NONE;
	s->flags &= ~(unsigned)F_REFUSED;
	smtp_auth_free(s);
	smtp_phase_set(t, PHASE_CLOSED);
	smtp_txn_end(t);
}

void
smtp_session_init(struct smtp_session *s, const struct smtp_conf *conf,
    const struct smtp_peer *peer, const struct smtp_clock *clock)
{
	*s = (struct smtp_session){ .conf = conf, .peer = *peer, .phase = PHASE_GREETING };
	s->tls = peer->tls;
	s->opened = s->last_input = s->last_inject = clock->now;
}

void
smtp_session_done(struct smtp_session *s)
{
	txn_free(s);
	priv_free(s);
	smtp_auth_free(s);
	free(s->xclient);
	free(s->xforward);
	free(s->asked);
	s->xclient = s->xforward = s->asked = NULL;
	s->ask = SMTP_ASK_NONE;
	s->phase = PHASE_CLOSED;
}

void
smtp_session_peer_name(struct smtp_session *s, struct str name)
{
	(void)str_copy(s->peer.name, sizeof(s->peer.name), name);
}

void
smtp_session_greet(struct smtp_session *s, enum smtp_situation refuse,
    const struct smtp_clock *clock, struct buf *out)
{
	struct str none = STR_NULL;
	struct smtp_turn t = { s, clock, &none, out };
	check(s->phase == PHASE_GREETING);
	if (refuse == SMTP_NONE && s->conf->disabled.len)
		refuse = SMTP_CONN_DISABLED;
	smtp_reply(&t, refuse == SMTP_NONE ? SMTP_GREETING : refuse, NULL);
	if (refuse != SMTP_NONE)
		smtp_close(&t);
	else if (s->phase == PHASE_GREETING)
		smtp_phase_set(&t, PHASE_COMMAND);
}

static enum smtp_step
commands(struct smtp_turn *t)
{
	smtp_input(t);
	return SMTP_MORE;
}

static enum smtp_step
no_phase(struct smtp_turn *t)
{
	check_failed("a session is greeted before it is fed", __FILE__, __LINE__);
}

/* What must happen before any more input is looked at. */
static bool
overdue(struct smtp_turn *t, enum smtp_step *ret)
{
	struct smtp_session *s = t->s;
	if (s->ask != SMTP_ASK_NONE) {
		*ret = SMTP_ASK;
		return true;
	}
	if (s->flags & F_DROP) {
		s->flags &= ~(unsigned)(F_DROP | F_BODY_OPEN);
		*ret = SMTP_DROP;
		return true;
	}
	if (s->flags & F_TXN_OVER)
		txn_free(s);
	/* R-PIPE: what follows a refused DATA unasked is a body, not commands. */
	bool behind = (s->flags & F_REFUSED) && t->in->len;
	s->flags &= ~(unsigned)F_REFUSED;
	if (behind) {
		smtp_notef(t, "input waits behind the refusal: closing");
		smtp_close(t);
	}
	*ret = s->flags & F_TURNED ? SMTP_TURN : SMTP_END;
	return s->phase == PHASE_CLOSED;
}

enum smtp_step
smtp_session_step(struct smtp_session *s, struct str *in, const struct smtp_clock *clock,
    struct buf *out)
{
	static enum smtp_step (*const phase_step[])(struct smtp_turn * t) = {
		[PHASE_GREETING] = no_phase,
		[PHASE_COMMAND] = commands,
		[PHASE_DATA] = smtp_body_dot,
		[PHASE_BDAT] = smtp_body_bdat,
		[PHASE_BDAT_SKIP] = smtp_body_skip,
		[PHASE_BURL] = smtp_body_burl,
		[PHASE_AUTH] = commands,
		[PHASE_TLS] = smtp_upgrade,
		[PHASE_CLOSED] = no_phase,
	};
	struct smtp_turn t = { s, clock, in, out };
	enum smtp_step step;
	s->chunk = STR_NULL;
	for (;;) {
		if (overdue(&t, &step))
			return step;
		enum smtp_phase was = s->phase;
		step = phase_step[was](&t);
		if (step != SMTP_MORE)
			return step;
		bool more = s->ask != SMTP_ASK_NONE || s->phase != was ||
		            (s->flags & (F_DROP | F_TXN_OVER));
		if (!more && !in->len)
			break;
	}
	s->flags &= ~(unsigned)F_REFUSED;
	release_idle(s);
	return SMTP_MORE;
}

bool
smtp_session_answer(struct smtp_session *s, uint32_t ask_no, const struct smtp_answer *a,
    const struct smtp_clock *clock, struct buf *out)
{
	static void (*const answer[])(struct smtp_turn * t, const struct smtp_answer *a) = {
		[SMTP_ASK_MAIL] = smtp_answer_mail,
		[SMTP_ASK_RCPT] = smtp_answer_rcpt,
		[SMTP_ASK_DATA] = smtp_answer_data,
		[SMTP_ASK_COMMIT] = smtp_answer_commit,
		[SMTP_ASK_VRFY] = smtp_answer_words,
		[SMTP_ASK_EXPN] = smtp_answer_words,
		[SMTP_ASK_ETRN] = smtp_answer_words,
		[SMTP_ASK_TLS] = smtp_answer_tls,
		[SMTP_ASK_AUTH] = smtp_answer_auth,
		[SMTP_ASK_TURN] = smtp_answer_turn,
		[SMTP_ASK_PART] = smtp_answer_data,
		[SMTP_ASK_BURL] = smtp_answer_burl,
		[SMTP_ASK_XCLIENT] = smtp_answer_xclient,
	};
	struct str none = STR_NULL;
	struct smtp_turn t = { s, clock, &none, out };
	enum smtp_ask asked = s->ask;
	if (asked == SMTP_ASK_NONE || ask_no != s->ask_no)
		return false;
	s->ask = SMTP_ASK_NONE;
	s->last_input = clock->now;
	answer[asked](&t, a);
	if ((s->flags & F_SHUTDOWN) && s->phase != PHASE_CLOSED)
		smtp_reply(&t, SMTP_SHUTDOWN, NULL);
	return true;
}

/*
 * R-TIME. A command has idle_seconds from the end of the one before. A body has data_seconds
 * between two pieces, and on the whole data_seconds plus the time its octets take at data_rate:
 * a hand typist has the first, a long letter the second, and one octet a minute is no way to
 * hold a connection for ever.
 */
int64_t
smtp_session_deadline(const struct smtp_session *s)
{
	const struct smtp_conf *conf = s->conf;
	if (s->phase == PHASE_CLOSED || s->ask != SMTP_ASK_NONE)
		return INT64_MAX;
	if (s->phase != PHASE_DATA && s->phase != PHASE_BDAT && s->phase != PHASE_BDAT_SKIP)
		return session_deadline(s->last_input, conf->idle_seconds);
	int64_t pause = session_deadline(s->last_input, conf->data_seconds), whole = INT64_MAX;
	if (conf->data_rate && conf->data_rate != SMTP_LIMIT_OFF)
		whole =
		    session_deadline(session_deadline(s->priv->body_started, conf->data_seconds),
			s->priv->body_octets / conf->data_rate);
	return MIN(pause, whole);
}

/* In the middle of a handshake nobody could read them. */
static void
last_words(struct smtp_turn *t, enum smtp_situation say)
{
	if (t->s->phase == PHASE_TLS)
		smtp_close(t);
	else
		smtp_reply(t, say, NULL);
}

bool
smtp_session_timeout(struct smtp_session *s, const struct smtp_clock *clock, struct buf *out)
{
	struct str none = STR_NULL;
	struct smtp_turn t = { s, clock, &none, out };
	if (clock->now < smtp_session_deadline(s))
		return false;
	last_words(&t, SMTP_TIMEOUT_IDLE);
	return true;
}

void
smtp_session_shutdown(struct smtp_session *s, const struct smtp_clock *clock, struct buf *out)
{
	struct str none = STR_NULL;
	struct smtp_turn t = { s, clock, &none, out };
	if (s->ask == SMTP_ASK_COMMIT)
		s->flags |= F_SHUTDOWN;
	else if (s->phase != PHASE_CLOSED)
		last_words(&t, SMTP_SHUTDOWN);
}

#define WITH(name)                                                                                 \
	{                                                                                          \
		{ #name, sizeof(#name) - 1 }, { #name "S", sizeof(#name) },                        \
		    { #name "A", sizeof(#name) },                                                  \
		{                                                                                  \
#name "SA", sizeof(#name) + 1                                              \
		}                                                                                  \
	}

/* RFC 3848: S for TLS, A for AUTH. HELO has no such forms, and RFC 6531 4.3 has UTF8 forms. */
struct str
smtp_session_with(const struct smtp_session *s)
{
	static const struct str words[][4] = { WITH(ESMTP), WITH(UTF8SMTP), WITH(LMTP),
		WITH(UTF8LMTP) };
	bool utf8 = s->txn && s->txn->smtputf8;
	if (!s->conf->lmtp && !utf8 && !s->esmtp && !s->tls && !s->authenticated)
		return STR("SMTP");
	return words[utf8 + 2 * s->conf->lmtp][s->tls + 2 * s->authenticated];
}
