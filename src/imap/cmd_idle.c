/* IDLE (RFC 2177): what changes is told as it happens, until DONE. */
#include "imap/imap_priv.h"

static enum imap_run
idle_line(struct imap_session *s, struct str line, const char *wrong)
{
	s->idling = false;
	if (!wrong && !str_ieq(line, STR("DONE")))
		wrong = "IDLE ends with DONE";
	if (wrong)
		return imap_bad(s, "%s", wrong);
	return imap_ok(s, NULL, NULL);
}

/* Everything is told. Nothing is kept but the tag. */
static enum imap_run
told(struct imap_session *s, const struct imap_answer *a)
{
	arena_done(&s->cmd->arena);
	arena_init(&s->cmd->arena, IMAP_ARENA_MAX);
	s->cmd->line = idle_line;
	s->cmd->synced = false;
	return RUN_LINE;
}

enum imap_run
imap_idle_stirred(struct imap_session *s)
{
	static const struct imap_sync how = { .no_expunge = false };
	return imap_view_sync(s, &how, told);
}

enum imap_run
imap_cmd_idle(struct imap_session *s)
{
	if (!imap_lex_end(&s->cmd->lex))
		return imap_bad(s, "%s", s->cmd->lex.why);
	buf_putz(s->cmd->out, "+ idling\r\n");
	s->idling = true;
	return s->state == IMAP_SELECTED ? imap_idle_stirred(s) : told(s, NULL);
}
