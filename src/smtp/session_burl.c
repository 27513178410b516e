/* BURL (RFC 4468): a chunk of a letter, as BDAT's, that the host fetches from a mailbox. */
#include "smtp/session_priv.h"

static enum smtp_situation
objection(const struct smtp_session *s, struct str url, struct str rest)
{
	struct str last = str_word(&rest);
	if (!s->conf->burl)
		return SMTP_CMD_UNIMPL;
	if (!s->authenticated)
		return SMTP_BURL_NEEDAUTH;
	if (url.len == 0 || (last.len && !str_ieq(last, STR("LAST"))) || str_word(&rest).len)
		return SMTP_BURL_SYNTAX;
	if (!s->txn)
		return SMTP_DATA_NOMAIL;
	return s->txn->merge ? SMTP_IPMM_DATA_IN_MERGE : smtp_no_rcpt(s->txn);
}

/* The transaction ends, as with a refused BDAT: chunks that follow in the pipeline would else be
 * taken for the whole letter. */
void
smtp_burl_break(struct smtp_turn *t, enum smtp_situation say)
{
	struct smtp_session *s = t->s;
	struct smtp_vars vars = { .v = { [SMTP_VAR_verb] = STR("BURL") } };
	smtp_reply(t, say, &vars);
	if (s->txn && !s->txn->merge)
		smtp_txn_end(t);
}

static void
forget(struct smtp_session *s)
{
	s->arg = STR_NULL;
	buf_done(&s->priv->line);
}

void
smtp_burl(struct smtp_turn *t, struct str arg)
{
	struct smtp_session *s = t->s;
	struct smtp_private *p = smtp_priv(s);
	struct str url = str_word(&arg);
	enum smtp_situation no = objection(s, url, arg);
	if (no != SMTP_NONE) {
		smtp_burl_break(t, no);
		return;
	}
	/* The questions outlive the input; the line buffer is empty as long as they are open. */
	buf_reset(&p->line);
	buf_puts(&p->line, url);
	s->arg = buf_str(&p->line);
	p->bdat = (struct bdat){ .last = str_word(&arg).len > 0 };
	p->burl_left = 0;
	smtp_ask(t, s->txn->bdat ? SMTP_ASK_BURL : SMTP_ASK_DATA);
	s->txn->bdat = true;
}

/* RFC 4468 3.2: with its URL the whole transaction fails. */
void
smtp_burl_refuse(struct smtp_turn *t, enum smtp_situation say, const struct smtp_answer *a)
{
	struct smtp_session *s = t->s;
	smtp_reply_answer(t, say, a);
	smtp_txn_end(t);
	forget(s);
	if (s->phase != PHASE_CLOSED)
		smtp_phase_set(t, PHASE_COMMAND);
}

void
smtp_answer_burl(struct smtp_turn *t, const struct smtp_answer *a)
{
	struct smtp_session *s = t->s;
	struct smtp_private *p = smtp_priv(s);
	bool first = p->bdat.size == 0;
	if (a->situation != SMTP_NONE) {
		smtp_burl_refuse(t, a->situation, a);
	} else if (first && smtp_over_size(s, a->size)) {
		smtp_burl_refuse(t, SMTP_DATA_TOOBIG, a);
	} else {
		uint64_t left = first ? a->size : p->burl_left;
		check(a->octets > 0 && a->octets <= left);
		p->bdat.size = a->size;
		p->bdat.left = a->octets;
		p->burl_left = left - a->octets;
		smtp_phase_set(t, PHASE_BURL);
	}
}

enum smtp_step
smtp_body_burl(struct smtp_turn *t)
{
	struct smtp_private *p = t->s->priv;
	if (p->bdat.left == 0 && p->burl_left > 0) {
		smtp_ask(t, SMTP_ASK_BURL);
		return SMTP_MORE;
	}
	if (p->bdat.left == 0)
		forget(t->s);
	return smtp_body_bdat(t);
}
