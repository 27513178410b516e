#include "smtp/session_priv.h"

#include "base/session.h"

/* Octets that mean something while a command line is read (R-TELNET, R-EOL). */
#define IAC '\xff'
#define TELNET_SE '\xf0'
#define TELNET_SB_BEGIN '\xfa'
#define TELNET_WILL '\xfb'
#define TELNET_DONT '\xfe'

/* How many octets of s are plain text of a line. */
static size_t
plain_run(struct str s, bool editing)
{
	size_t i = 0;
	while (i < s.len && s.p[i] != '\n' && s.p[i] != '\0' &&
	       !(editing && (s.p[i] == '\b' || s.p[i] == '\x7f' || s.p[i] == IAC)))
		i++;
	return i;
}

enum kind { LINE_PLAIN, LINE_AUTH, LINE_BURL };

/* What the line will be. What there is of it is split in two. */
static enum kind
kind_of(const struct smtp_session *s, struct str head, struct str run)
{
	char begin[5];
	size_t n = MIN(sizeof(begin), head.len), m = MIN(sizeof(begin) - n, run.len);
	if (n)
		memcpy(begin, head.p, n);
	if (m)
		memcpy(begin + n, run.p, m);
	struct str word = str_n(begin, n + m);
	if (s->phase == PHASE_AUTH || str_ieq(word, STR("AUTH ")))
		return LINE_AUTH;
	return s->conf->burl && str_ieq(word, STR("BURL ")) ? LINE_BURL : LINE_PLAIN;
}

/* R-LINE; RFC 4954 4 asks for more in AUTH, and URLs are long. */
static size_t
line_limit(const struct smtp_session *s, enum kind kind)
{
	static const uint64_t at_least[] = {
		[LINE_PLAIN] = 0,
		[LINE_AUTH] = SMTP_AUTH_RESPONSE_MAX,
		[LINE_BURL] = SMTP_BURL_MAX,
	};
	uint64_t limit = MIN(s->conf->command_line, (uint64_t)LINE_HARD_MAX);
	return (size_t)MAX(limit, at_least[kind]);
}

/* The connection has lasted, or has waited for a letter, too long: said at the next command. */
static bool
time_is_up(struct smtp_turn *t)
{
	const struct smtp_session *s = t->s;
	uint64_t age = (uint64_t)(t->clock->now - s->opened);
	uint64_t idle = (uint64_t)(t->clock->now - s->last_inject);
	uint64_t age_max = s->conf->conn_seconds, idle_max = s->conf->inject_seconds;
	if (age_max != SMTP_LIMIT_OFF && age / 1000 >= age_max)
		smtp_reply(t, SMTP_TIMEOUT_TOTAL, NULL);
	else if (idle_max != SMTP_LIMIT_OFF && idle / 1000 >= idle_max)
		smtp_reply(t, SMTP_TIMEOUT_NOINJECT, NULL);
	return s->phase == PHASE_CLOSED;
}

/* R-EOL: the first line decides; a bare LF is good only in an LF session. */
static bool
line_end_ok(struct smtp_turn *t, bool crlf)
{
	struct smtp_session *s = t->s;
	if (s->eol == EOL_UNDECIDED) {
		s->eol = crlf || s->conf->bare_lf == BARE_LF_REJECT ? EOL_CRLF : EOL_LF;
		if (s->eol == EOL_LF)
			smtp_notef(t, "lines end in LF in this session");
	}
	return crlf || s->eol == EOL_LF;
}

/* What is wrong with a whole line, or SMTP_NONE. */
static enum smtp_situation
line_objection(const struct smtp_session *s, struct str line, bool end_ok)
{
	/* A CR inside is a riddle as a bare LF is: nobody should guess where a line ends. */
	if (!end_ok || str_find(line, '\r') < line.len)
		return SMTP_CMD_BARELF;
	if (str_find(line, '\0') < line.len)
		return s->phase == PHASE_COMMAND && smtp_is_xdfn(s, line) ? SMTP_IPMM_NUL
		                                                          : SMTP_CMD_NUL;
	return SMTP_NONE;
}

/* A line that is no command, whatever it would have been. */
static void
refuse(struct smtp_turn *t, enum kind kind, enum smtp_situation say)
{
	if (t->s->phase == PHASE_AUTH)
		smtp_auth_break(t, say);
	else if (kind == LINE_BURL)
		smtp_burl_break(t, say);
	else
		smtp_reply(t, say, NULL);
}

static void
line_done(struct smtp_turn *t, struct str line, bool crlf)
{
	struct smtp_session *s = t->s;
	bool first = !(s->flags & F_FIRST_LINE);
	s->flags |= F_FIRST_LINE;
	s->last_input = t->clock->now;
	if (first && session_is_http(line)) {
		smtp_note_line(t, line);
		smtp_reply(t, SMTP_CONN_HTTP, NULL);
		return;
	}
	bool end_ok = line_end_ok(t, crlf);
	if (time_is_up(t))
		return;
	enum smtp_situation no = line_objection(s, line, end_ok);
	if (no == SMTP_NONE && s->phase == PHASE_AUTH) {
		smtp_auth_line(t, line);
	} else if (no == SMTP_NONE) {
		smtp_command(t, line);
	} else {
		smtp_note_line(t, line);
		refuse(t, kind_of(s, STR_NULL, line), no);
	}
}

static bool
overflow(struct smtp_turn *t, size_t by, enum kind kind)
{
	struct smtp_private *p = smtp_priv(t->s);
	if (!p->discarding) {
		smtp_notef(t, "a command line is over its limit");
		refuse(t, kind, kind == LINE_AUTH ? SMTP_AUTH_TOOLONG : SMTP_CMD_TOOLONG);
	}
	p->discarding = true;
	p->discarded += by;
	buf_wipe(&p->line);
	buf_done(&p->line);
	if (p->discarded > LINE_DISCARD_MAX && t->s->phase != PHASE_CLOSED)
		smtp_reply(t, SMTP_CMD_FLOOD, NULL);
	return t->s->phase != PHASE_CLOSED;
}

/* Appends to the line at hand; false when the session has ended over it. */
static bool
line_add(struct smtp_turn *t, struct str run)
{
	struct smtp_private *p = smtp_priv(t->s);
	if (run.len == 0)
		return true;
	if (p->discarding) {
		p->after_cr = run.p[run.len - 1] == '\r';
		return overflow(t, run.len, LINE_PLAIN);
	}
	enum kind kind = kind_of(t->s, buf_str(&p->line), run);
	size_t limit = line_limit(t->s, kind);
	size_t total = p->line.len + run.len;
	p->after_cr = run.p[run.len - 1] == '\r';
	if (total - p->after_cr > limit)
		return overflow(t, total - limit, kind);
	if (kind == LINE_AUTH) /* a secret never moves and leaves a copy */
		buf_reserve(&p->line, limit + 2 - p->line.len);
	buf_puts(&p->line, run);
	if (!p->line.failed)
		return true;
	buf_reset(&p->line);
	return overflow(t, total, kind);
}

static void
line_erase(struct smtp_private *p)
{
	if (p->line.len)
		buf_trunc(&p->line, p->line.len - 1);
	p->after_cr = p->line.len && p->line.p[p->line.len - 1] == '\r';
}

/* RFC 854: one octet inside a telnet command. */
static bool
telnet_octet(struct smtp_turn *t, char c)
{
	struct smtp_private *p = t->s->priv;
	enum telnet was = p->telnet;
	p->telnet = TELNET_NONE;
	if (was == TELNET_SB)
		p->telnet = c == IAC ? TELNET_SB_IAC : TELNET_SB;
	else if (was == TELNET_SB_IAC)
		p->telnet = c == TELNET_SE ? TELNET_NONE : TELNET_SB;
	else if (was == TELNET_IAC && c == TELNET_SB_BEGIN)
		p->telnet = TELNET_SB;
	else if (was == TELNET_IAC && c >= TELNET_WILL && c <= TELNET_DONT)
		p->telnet = TELNET_OPTION;
	else if (was == TELNET_IAC && c == IAC)
		return line_add(t, str_n(&c, 1));
	return true;
}

/* The line at hand is complete: act on it. */
static void
line_finish(struct smtp_turn *t, bool crlf)
{
	struct smtp_private *p = t->s->priv;
	bool discarded = p->discarding;
	struct buf line = p->line;
	buf_init(&p->line, line.max);
	p->discarding = p->after_cr = false;
	p->discarded = 0;
	if (discarded) {
		t->s->flags |= F_FIRST_LINE;
		t->s->last_input = t->clock->now;
		line_end_ok(t, crlf);
	} else {
		struct str text = buf_str(&line);
		if (crlf)
			text.len--;
		line_done(t, text, crlf);
	}
	buf_wipe(&line);
	buf_done(&line);
}

/* An octet that plain_run() stopped at. */
static void
special(struct smtp_turn *t, char c)
{
	struct smtp_private *p = smtp_priv(t->s);
	if (c == '\n' || (c == '\0' && p->after_cr))
		line_finish(t, p->after_cr);
	else if (c == '\0')
		line_add(t, str_n(&c, 1));
	else if (c == IAC)
		p->telnet = TELNET_IAC;
	else if (!p->discarding)
		line_erase(p);
}

/* Nothing of the line at hand is kept anywhere: it may be taken from the input as it lies. */
static bool
line_untouched(const struct smtp_session *s)
{
	const struct smtp_private *p = s->priv;
	return !p || (!p->line.len && !p->after_cr && !p->discarding && p->telnet == TELNET_NONE);
}

static bool
line_in_place(struct smtp_turn *t, size_t n)
{
	struct str line = str_first(*t->in, n);
	if (!line_untouched(t->s) || n == t->in->len || t->in->p[n] != '\n')
		return false;
	bool crlf = n > 0 && line.p[n - 1] == '\r';
	if (n - crlf > line_limit(t->s, kind_of(t->s, STR_NULL, line)))
		return false;
	*t->in = str_skip(*t->in, n + 1);
	line.len -= crlf;
	line_done(t, line, crlf);
	return true;
}

void
smtp_input(struct smtp_turn *t)
{
	struct smtp_session *s = t->s;
	struct str *in = t->in;
	bool editing = s->conf->line_editing;
	while (in->len && (s->phase == PHASE_COMMAND || s->phase == PHASE_AUTH) &&
	       s->ask == SMTP_ASK_NONE && !(s->flags & (F_DROP | F_TXN_OVER | F_REFUSED))) {
		if (s->priv && s->priv->telnet != TELNET_NONE) {
			char c = in->p[0];
			*in = str_skip(*in, 1);
			telnet_octet(t, c);
			continue;
		}
		size_t n = plain_run(*in, editing);
		if (line_in_place(t, n))
			continue;
		struct str run = str_first(*in, n);
		*in = str_skip(*in, n);
		if (!line_add(t, run) || !in->len)
			continue;
		char c = in->p[0];
		*in = str_skip(*in, 1);
		special(t, c);
	}
}
