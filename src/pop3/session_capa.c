/* CAPA (RFC 2449) and STLS (RFC 2595). */
#include "pop3/session_priv.h"

static void
put_sasl(struct pop3_turn *t)
{
	const struct pop3_conf *conf = t->s->conf;
	struct str more = t->s->tls ? str_trim(conf->mechs_tls) : STR_NULL;
	struct str mechs = str_trim(conf->mechs);
	if (mechs.len == 0 && more.len == 0)
		return;
	buf_putz(t->out, "SASL");
	if (mechs.len)
		buf_putf(t->out, " " STR_FMT, STR_ARG(mechs));
	if (more.len)
		buf_putf(t->out, " " STR_FMT, STR_ARG(more));
	buf_putz(t->out, "\r\n");
}

/* What is good only before login. */
static void
put_strangers(struct pop3_turn *t)
{
	const struct pop3_session *s = t->s;
	if (!s->tls && (s->conf->stls || s->conf->stls_refuse))
		buf_putz(t->out, "STLS\r\n");
	if (!pop3_may_login(s))
		return;
	if (pop3_auth_works(s, STR("PLAIN")))
		buf_putz(t->out, "USER\r\n");
	put_sasl(t);
}

void
pop3_capa(struct pop3_turn *t, struct str args)
{
	const struct pop3_session *s = t->s;
	const struct pop3_conf *conf = s->conf;
	if (!pop3_no_args(t, args))
		return;
	pop3_ok(t, "CAPA", NULL);
	buf_putz(t->out, "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
			 "UTF8 USER\r\nLANG\r\n");
	if (s->state == POP3_STRANGER)
		put_strangers(t);
	if (conf->expire_days == UINT64_MAX)
		buf_putz(t->out, "EXPIRE NEVER\r\n");
	else
		buf_putf(t->out, "EXPIRE %llu\r\n", (unsigned long long)conf->expire_days);
	buf_putf(t->out, "LOGIN-DELAY %llu\r\n",
	    conf->login_delay == UINT64_MAX ? 0 : (unsigned long long)conf->login_delay);
	if (conf->implementation.len)
		buf_putf(t->out, "IMPLEMENTATION " STR_FMT "\r\n", STR_ARG(conf->implementation));
	buf_putz(t->out, ".\r\n");
}

void
pop3_stls(struct pop3_turn *t, struct str args)
{
	const struct pop3_session *s = t->s;
	if (s->tls)
		pop3_err(t, NULL, "TLS is there already");
	else if (s->state != POP3_STRANGER)
		pop3_err(t, NULL, "STLS comes before the login");
	else if (!pop3_no_args(t, args))
		return;
	else if (!s->conf->stls && !s->conf->stls_refuse)
		pop3_err(t, NULL, "TLS is switched off here");
	else if (s->conf->stls_refuse)
		pop3_err(t, "SYS/TEMP", "no TLS for now");
	else if (t->in->len)
		pop3_close(t); /* R-PIPE */
	else
		pop3_ask(t, POP3_ASK_TLS);
}

void
pop3_answer_tls(struct pop3_turn *t, const struct pop3_answer *a)
{
	if (a->status != ACCESS_OK) {
		pop3_err(t, "SYS/TEMP", "no TLS for now");
		return;
	}
	pop3_ok(t, "STLS", NULL);
	t->s->flags |= F_UPGRADE;
}
