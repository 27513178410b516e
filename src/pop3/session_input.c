#include "pop3/session_priv.h"

#include "base/session.h"

/* How many octets of s are plain text of a line. */
static size_t
plain_run(struct str s)
{
	size_t i = 0;
	while (i < s.len && s.p[i] != '\n' && s.p[i] != '\0')
		i++;
	return i;
}

/* R-LINE; a line of AUTH may be longer (RFC 5034 4). The line so far is split in two. */
static size_t
line_limit(const struct pop3_session *s, struct str head, struct str run)
{
	char word[5];
	size_t n = MIN(sizeof(word), head.len), m = MIN(sizeof(word) - n, run.len);
	if (n)
		memcpy(word, head.p, n);
	if (m)
		memcpy(word + n, run.p, m);
	bool auth = (s->flags & F_EXCHANGE) || str_ieq(str_n(word, n + m), STR("AUTH "));
	return auth ? POP3_AUTH_RESPONSE_MAX : POP3_LINE_MAX;
}

/* R-EOL: the first line decides; a bare LF is good only in an LF session. */
static bool
line_end_ok(struct pop3_session *s, bool crlf)
{
	if (!(s->flags & (F_EOL_CRLF | F_EOL_LF)))
		s->flags |= crlf || !s->conf->bare_lf ? F_EOL_CRLF : F_EOL_LF;
	return crlf || (s->flags & F_EOL_LF);
}

static void
objection(struct pop3_turn *t, const char *why)
{
	if (t->s->flags & F_EXCHANGE)
		pop3_auth_break(t, why);
	else
		pop3_bad(t, why);
}

static void
line_done(struct pop3_turn *t, struct str line, bool crlf)
{
	struct pop3_session *s = t->s;
	bool first = !(s->flags & F_FIRST_LINE);
	bool end_ok = line_end_ok(s, crlf);
	s->flags |= F_FIRST_LINE;
	s->last_input = t->clock->now;
	if (first && session_is_http(line)) {
		pop3_err(t, NULL, "this is a POP3 server");
		pop3_close(t);
	} else if (!end_ok || str_find(line, '\r') < line.len) {
		/* A CR inside is a riddle as a bare LF is: nobody should guess where a line ends.
		 */
		objection(t, "a line ends in CRLF, and has no other CR or LF");
	} else if (str_find(line, '\0') < line.len) {
		objection(t, "a command has no NUL");
	} else if (s->flags & F_EXCHANGE) {
		pop3_auth_line(t, line);
	} else {
		pop3_command(t, line);
	}
}

static bool
overflow(struct pop3_turn *t, size_t by)
{
	struct pop3_private *p = pop3_priv(t->s);
	bool first = !p->discarding;
	p->discarding = true;
	p->discarded += by;
	buf_wipe(&p->line);
	buf_done(&p->line);
	if (first)
		objection(t, "the line is too long");
	if (p->discarded > LINE_DISCARD_MAX && t->s->state != POP3_CLOSED) {
		pop3_err(t, NULL, "the line does not end");
		pop3_close(t);
	}
	return t->s->state != POP3_CLOSED;
}

/* Appends to the line at hand; false when the session has ended over it. */
static bool
line_add(struct pop3_turn *t, struct str run)
{
	struct pop3_private *p = pop3_priv(t->s);
	if (run.len == 0)
		return true;
	p->after_cr = run.p[run.len - 1] == '\r';
	if (p->discarding)
		return overflow(t, run.len);
	size_t limit = line_limit(t->s, buf_str(&p->line), run);
	size_t total = p->line.len + run.len;
	if (total - p->after_cr > limit)
		return overflow(t, total - limit);
	/* All at once, so that no secret moves and leaves a copy. */
	if (!buf_reserve(&p->line, limit + 2 - p->line.len))
		return overflow(t, total);
	buf_puts(&p->line, run);
	return true;
}

static void
line_finish(struct pop3_turn *t, bool crlf)
{
	struct pop3_private *p = t->s->priv;
	bool discarded = p->discarding;
	struct buf line = p->line;
	buf_init(&p->line, line.max);
	p->discarding = p->after_cr = false;
	p->discarded = 0;
	struct str text = buf_str(&line);
	if (discarded) {
		t->s->flags |= F_FIRST_LINE;
		t->s->last_input = t->clock->now;
		(void)line_end_ok(t->s, crlf);
	} else {
		text.len -= crlf;
		line_done(t, text, crlf);
	}
	buf_wipe(&line);
	buf_done(&line);
}

/* The whole line lies in the input. */
static bool
line_in_place(struct pop3_turn *t, size_t n)
{
	const struct pop3_private *p = t->s->priv;
	struct str line = str_first(*t->in, n);
	if (p && (p->line.len || p->after_cr || p->discarding))
		return false;
	if (n == t->in->len || t->in->p[n] != '\n')
		return false;
	bool crlf = n > 0 && line.p[n - 1] == '\r';
	line.len -= crlf;
	if (line.len > line_limit(t->s, STR_NULL, line))
		return false;
	*t->in = str_skip(*t->in, n + 1);
	line_done(t, line, crlf);
	return true;
}

void
pop3_input(struct pop3_turn *t)
{
	struct str *in = t->in;
	size_t n = plain_run(*in);
	if (line_in_place(t, n))
		return;
	struct str run = str_first(*in, n);
	*in = str_skip(*in, n);
	if (!line_add(t, run) || !in->len)
		return;
	char c = in->p[0];
	*in = str_skip(*in, 1);
	struct pop3_private *p = pop3_priv(t->s);
	if (c == '\n' || p->after_cr) /* CR NUL ends a line, too (RFC 854) */
		line_finish(t, p->after_cr);
	else
		(void)line_add(t, str_n(&c, 1));
}
