/* ATRN (RFC 2645): on this connection the client becomes the server. */
#include "smtp/session_priv.h"

/* What is known of the answer comes before what lies behind the question: those octets would be a
 * server's, and nobody is one yet. */
static bool
input_waits(struct smtp_turn *t)
{
	if (!t->in->len)
		return false;
	smtp_notef(t, "input waits behind ATRN: closing");
	smtp_close(t);
	return true;
}

void
smtp_atrn(struct smtp_turn *t, struct str arg)
{
	struct smtp_session *s = t->s;
	if (!s->authenticated) {
		smtp_reply(t, SMTP_ATRN_NEEDAUTH, NULL);
	} else if (!s->conf->atrn) {
		smtp_reply(t, SMTP_ATRN_DENIED, NULL);
	} else if (!input_waits(t)) {
		struct smtp_private *p = smtp_priv(s);
		buf_reset(&p->line);
		buf_puts(&p->line, arg);
		s->arg = buf_str(&p->line);
		smtp_ask(t, SMTP_ASK_TURN);
	}
}

void
smtp_answer_turn(struct smtp_turn *t, const struct smtp_answer *a)
{
	struct smtp_session *s = t->s;
	s->arg = STR_NULL;
	buf_done(&smtp_priv(s)->line);
	smtp_reply_answer(t, a->situation == SMTP_NONE ? SMTP_ATRN_OK : a->situation, a);
	if (a->situation != SMTP_NONE || s->phase == PHASE_CLOSED)
		return;
	s->flags |= F_TURNED;
	smtp_close(t);
}
