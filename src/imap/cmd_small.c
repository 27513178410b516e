/* Commands that need nobody: NOOP, CHECK, LOGOUT, ID, ENABLE, NAMESPACE. */
#include "imap/imap_priv.h"

#include "dialect/access_words.h"

#define ID_PAIRS_MAX 30 /* RFC 2971 3.3 */

enum imap_run
imap_cmd_noop(struct imap_session *s)
{
	if (!imap_lex_end(&s->cmd->lex))
		return imap_bad(s, "%s", s->cmd->lex.why);
	return imap_ok(s, NULL, NULL);
}

enum imap_run
imap_cmd_check(struct imap_session *s)
{
	return imap_cmd_noop(s);
}

enum imap_run
imap_cmd_logout(struct imap_session *s)
{
	struct smtp_vars vars;
	struct buf *out = s->cmd->out;
	if (!imap_lex_end(&s->cmd->lex))
		return imap_bad(s, "%s", s->cmd->lex.why);
	imap_vars(s, STR_NULL, &vars);
	buf_putz(out, "* BYE ");
	imap_says_put(out, s->conf->wording, IMAP_SAYS_BYE, &vars);
	buf_putz(out, "\r\n");
	enum imap_run run = imap_ok(s, NULL, NULL);
	s->state = IMAP_CLOSED;
	return run;
}

/* --- ID (RFC 2971) --- */

static bool
id_pairs(struct imap_lex *x, struct arena *a)
{
	struct str value;
	if (!imap_lex_char(x, '('))
		return false;
	for (int n = 0; !imap_lex_try(x, ')'); n++) {
		if (n == ID_PAIRS_MAX)
			return imap_lex_fail(x, "more than 30 fields");
		if (n > 0)
			(void)imap_lex_sp(x);
		(void)imap_lex_string(x, a);
		(void)imap_lex_sp(x);
		if (!imap_lex_nstring(x, a, &value))
			return false;
	}
	return true;
}

enum imap_run
imap_cmd_id(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	struct buf *out = s->cmd->out;
	struct str nil;
	(void)imap_lex_sp(x);
	if (imap_lex_peek(x, '('))
		(void)id_pairs(x, &s->cmd->arena);
	else
		(void)imap_lex_nstring(x, &s->cmd->arena, &nil);
	if (!imap_lex_end(x))
		return imap_bad(s, "ID list: %s", x->why);
	buf_putz(out, "* ID (\"name\" \"Pennypost\"");
	if (s->conf->version.len && s->state != IMAP_STRANGER) {
		buf_putz(out, " \"version\" ");
		imap_put_string(out, s->conf->version, false);
	}
	buf_putz(out, ")\r\n");
	return imap_ok(s, NULL, NULL);
}

/* --- ENABLE (RFC 9051 6.3.1) --- */

/* RFC 7162 3.2.3: QRESYNC is CONDSTORE as well. */
static const struct {
	const char *name;
	unsigned bit, sets;
} extensions[] = {
	{ "CONDSTORE", IMAP_CONDSTORE, IMAP_CONDSTORE },
	{ "QRESYNC", IMAP_QRESYNC, IMAP_QRESYNC | IMAP_CONDSTORE },
	{ "UTF8=ACCEPT", IMAP_UTF8, IMAP_UTF8 },
	{ "IMAP4rev2", IMAP_REV2, IMAP_REV2 },
};

enum imap_run
imap_cmd_enable(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	unsigned was = s->enabled, now = was, named = 0;
	do {
		(void)imap_lex_sp(x);
		struct str name = imap_lex_atom(x);
		for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
			if (str_ieq(name, str_of(extensions[i].name))) {
				named |= extensions[i].bit;
				now |= extensions[i].sets;
			}
		}
	} while (imap_lex_peek(x, ' '));
	if (!imap_lex_end(x))
		return imap_bad(s, "ENABLE extension: %s", x->why);
	s->enabled = now;
	buf_putz(s->cmd->out, "* ENABLED");
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
		if (named & ~was & extensions[i].bit)
			buf_putf(s->cmd->out, " %s", extensions[i].name);
	buf_putz(s->cmd->out, "\r\n");
	return imap_ok(s, NULL, NULL);
}

/* --- NAMESPACE (RFC 2342): everybody has only mail of their own --- */

enum imap_run
imap_cmd_namespace(struct imap_session *s)
{
	if (!imap_lex_end(&s->cmd->lex))
		return imap_bad(s, "%s", s->cmd->lex.why);
	buf_putf(s->cmd->out, "* NAMESPACE ((\"\" \"%c\")) NIL NIL\r\n", s->conf->separator);
	return imap_ok(s, NULL, NULL);
}
