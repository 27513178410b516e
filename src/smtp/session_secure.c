/* STARTTLS (RFC 3207), and what may be said only behind it or behind AUTH. */
#include "smtp/session_priv.h"

#include <stdlib.h>

static enum smtp_situation
objection(const struct smtp_session *s, struct str arg)
{
	const struct smtp_conf *conf = s->conf;
	bool refuse = conf->starttls_refuse;
	if (s->tls)
		return SMTP_STARTTLS_ACTIVE;
	if (arg.len)
		return SMTP_STARTTLS_ARGS;
	if (refuse || (!conf->starttls && conf->wording->quirks.tls_advert == TLS_ADVERT_REFUSE))
		return SMTP_STARTTLS_UNAVAILABLE;
	if (!conf->starttls)
		return SMTP_STARTTLS_NOTSUPPORTED;
	return s->txn ? SMTP_STARTTLS_INTXN : SMTP_NONE;
}

/* What lies behind STARTTLS was not sent inside TLS, whoever sent it (CVE-2011-0411). */
static bool
input_waits(struct smtp_turn *t)
{
	if (!t->in->len)
		return false;
	smtp_notef(t, "input waits behind STARTTLS: closing");
	smtp_close(t);
	return true;
}

void
smtp_starttls(struct smtp_turn *t, struct str arg)
{
	enum smtp_situation no = objection(t->s, arg);
	if (no != SMTP_NONE)
		smtp_reply(t, no, NULL);
	else if (!input_waits(t))
		smtp_ask(t, SMTP_ASK_TLS);
}

void
smtp_answer_tls(struct smtp_turn *t, const struct smtp_answer *a)
{
	smtp_reply_answer(t, a->situation == SMTP_NONE ? SMTP_STARTTLS_GO : a->situation, a);
	if (a->situation == SMTP_NONE && t->s->phase != PHASE_CLOSED)
		smtp_phase_set(t, PHASE_TLS);
}

enum smtp_step
smtp_upgrade(struct smtp_turn *t)
{
	return input_waits(t) ? SMTP_MORE : SMTP_UPGRADE;
}

/* RFC 3207 4.2: what came in clear may have come from anybody. What XCLIENT said stays: the
 * connection is that client's, and forgetting it would give the rights of the proxy back. */
void
smtp_forget_hello(struct smtp_session *s)
{
	s->hello = s->esmtp = s->authenticated = false;
	explicit_bzero(s->user, sizeof(s->user));
	s->helo[0] = '\0';
	s->owed = 0;
	s->flags &= F_XCLIENT | F_XFORWARD | F_SHUTDOWN;
	free(s->xforward);
	s->xforward = NULL;
}

void
smtp_session_secured(struct smtp_session *s, struct str facts, const struct smtp_clock *clock)
{
	struct str none = STR_NULL;
	struct smtp_turn t = { s, clock, &none, NULL };
	if (s->phase == PHASE_CLOSED)
		return;
	check((s->phase == PHASE_TLS || s->phase == PHASE_GREETING) && !s->txn);
	s->tls = true;
	s->eol = EOL_UNDECIDED;
	smtp_forget_hello(s);
	smtp_note(&t, "# TLS: ", facts);
	s->last_input = clock->now;
	if (s->phase == PHASE_TLS)
		smtp_phase_set(&t, PHASE_COMMAND);
}

void
smtp_session_trust(struct smtp_session *s, bool xclient, bool xforward)
{
	check(s->phase == PHASE_GREETING);
	s->flags |= (xclient ? (unsigned)F_XCLIENT : 0) | (xforward ? (unsigned)F_XFORWARD : 0);
}

/* One entry of tls.required_senders: an address, or @domain. */
static bool
is_sender(struct str entry, const struct addr *from)
{
	if (entry.p[0] == '@')
		return str_ieq(str_skip(entry, 1), from->domain);
	return str_ieq(entry, from->whole);
}

static bool
must_encrypt(struct str list, const struct addr *from)
{
	while (list.len) {
		struct str entry = str_first(list, str_find_any(list, ", \t"));
		list = str_skip(list, entry.len + 1);
		if (entry.len && is_sender(entry, from))
			return true;
	}
	return false;
}

enum smtp_situation
smtp_mail_lacks(const struct smtp_session *s, const struct addr *from)
{
	if (!s->tls && must_encrypt(s->conf->tls_required_senders, from))
		return SMTP_MAIL_NEEDTLS_SENDER;
	return s->conf->auth_required && !s->authenticated ? SMTP_MAIL_NEEDAUTH : SMTP_NONE;
}
