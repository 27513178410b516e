/* STARTTLS (RFC 9051 6.2.1) and COMPRESS (RFC 4978): what comes behind them is in another form. */
#include "imap/imap_priv.h"

static enum imap_run
tls_answered(struct imap_session *s, const struct imap_answer *a)
{
	if (a->status != ACCESS_OK)
		return imap_no(s, "UNAVAILABLE", "TLS is not available for now");
	s->flags |= F_UPGRADE;
	return imap_ok(s, NULL, NULL);
}

enum imap_run
imap_cmd_starttls(struct imap_session *s)
{
	const struct imap_conf *conf = s->conf;
	if (!imap_lex_end(&s->cmd->lex))
		return imap_bad(s, "%s", s->cmd->lex.why);
	if (s->tls)
		return imap_bad(s, "TLS is active already");
	if (conf->starttls_refuse)
		return imap_no(s, "UNAVAILABLE", "TLS is not available for now");
	if (!conf->starttls)
		return imap_bad(s, "there is no TLS here");
	return imap_ask(s, IMAP_ASK_TLS, tls_answered);
}

enum imap_run
imap_cmd_compress(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	(void)imap_lex_sp(x);
	struct str how = imap_lex_atom(x);
	if (!imap_lex_end(x))
		return imap_bad(s, "COMPRESS DEFLATE: %s", x->why);
	if (!str_ieq(how, STR("DEFLATE")))
		return imap_bad(s, "DEFLATE is what there is");
	if (s->flags & F_DEFLATED)
		return imap_no(s, "COMPRESSIONACTIVE", "it is compressed already");
	s->flags |= F_DEFLATE;
	return imap_ok(s, NULL, NULL);
}
