/* Octets become lines, lines and literals become commands (R-EOL, R-LINE, R-HTTP; RFC 7888). */
#include "imap/imap_priv.h"

#include "base/session.h"
#include "dialect/access_words.h"

#define DISCARD_MAX (64u << 10) /* R-LINE: of a line over its limit */
#define EARLY_LITERAL 4096      /* RFC 7888 5 */
#define SKIP_MAX (64u << 10)    /* a literal that need not have been sent */
#define TAIL 32                 /* of a line that is discarded: a literal may end it */
#define TAG_MAX (sizeof(((struct imap_command *)0)->tag) - 1)

static bool
is_early(const struct imap_session *s)
{
	return s->state == IMAP_STRANGER;
}

static size_t
line_max(const struct imap_session *s)
{
	return is_early(s) ? IMAP_COMMAND_EARLY : IMAP_LINE_MAX;
}

static size_t
command_max(const struct imap_session *s)
{
	return is_early(s) ? IMAP_COMMAND_EARLY : IMAP_COMMAND_MAX;
}

/* A literal at the end of a line, and not inside of quotes. */
bool
imap_line_literal(struct str line, struct imap_literal *ret)
{
	bool quoted = false;
	for (size_t i = 0; i < line.len; i++) {
		if (line.p[i] == '"')
			quoted = !quoted;
		else if (line.p[i] == '\\' && quoted)
			i++;
	}
	size_t at = str_rfind(line, '{');
	if (quoted || at == line.len)
		return false;
	if (at > 0 && line.p[at - 1] == '~')
		at--;
	struct str mark = str_skip(line, at);
	struct imap_literal l;
	if (!imap_lex_literal_head(mark, &l) || l.head != mark.len)
		return false;
	*ret = l;
	return true;
}

/* --- refusing --- */

/* What imap_bad() and its kin say until imap_refusal_end() waits until the client can hear it. */
struct buf *
imap_refusal_begin(struct imap_session *s)
{
	struct imap_command *c = s->cmd;
	struct buf *out = c->out;
	buf_init(&c->refusal, IMAP_LINE_MAX);
	c->out = &c->refusal;
	return out;
}

void
imap_refusal_end(struct imap_session *s, struct buf *out)
{
	s->cmd->out = out;
}

bool
imap_is_refused(const struct imap_session *s)
{
	return s->cmd->refusal.len > 0;
}

static void
refuse(struct imap_session *s, const char *why)
{
	struct buf *out = imap_refusal_begin(s);
	(void)imap_bad(s, "%s", why);
	imap_refusal_end(s, out);
}

static void
say_refusal(struct imap_session *s)
{
	buf_puts(s->cmd->out, buf_str(&s->cmd->refusal));
	imap_command_ran(s, RUN_DONE);
}

/* A line of a refused command: its answer is due unless octets of it come unasked. */
static void
refused_line(struct imap_session *s, const struct imap_literal *l)
{
	struct imap_command *c = s->cmd;
	buf_wipe(&c->text);
	c->line_at = 0;
	if (!l || !l->plus) {
		say_refusal(s);
	} else if (l->size > SKIP_MAX) {
		buf_puts(c->out, buf_str(&c->refusal));
		imap_command_ran(s,
		    imap_bye(s, c->out, "TOOBIG", "a literal of %llu octets is too large",
			(unsigned long long)l->size));
	} else {
		c->literal_left = l->size;
		c->phase = l->size ? PHASE_SKIP : PHASE_LINE;
	}
}

/* --- the first line: tag and name --- */

static bool
take_tag(struct imap_session *s, struct str *line)
{
	struct imap_lex x = { .rest = *line };
	struct str tag = str_first(*line, str_find(*line, ' '));
	x.rest = tag;
	(void)imap_lex_astring(&x, &s->cmd->arena);
	bool quoted = tag.len && (tag.p[0] == '"' || tag.p[0] == '{');
	if (x.bad || x.rest.len || quoted || tag.len > TAG_MAX || tag.len == line->len ||
	    str_find(tag, '+') < tag.len)
		return false;
	for (size_t i = 0; i < tag.len; i++)
		if ((unsigned char)tag.p[i] >= 0x80)
			return false;
	(void)str_copy(s->cmd->tag, sizeof(s->cmd->tag), tag);
	*line = str_skip(*line, tag.len + 1);
	return true;
}

/* The name, of "UID FETCH" both words. */
static struct str
take_name(struct str *line)
{
	struct str name = str_first(*line, str_find(*line, ' '));
	if (str_ieq(name, STR("UID")) && name.len < line->len) {
		struct str second = str_skip(*line, name.len + 1);
		name.len += 1 + str_find(second, ' ');
	}
	*line = str_skip(*line, name.len);
	return name;
}

static const char *
state_objection(const struct imap_session *s, const struct imap_row *row)
{
	if (row->states & (1u << s->state))
		return NULL;
	if (!(row->states & (1u << IMAP_KNOWN)) && s->state == IMAP_KNOWN &&
	    (row->states & (1u << IMAP_SELECTED)))
		return "select a mailbox first";
	return is_early(s) ? "log in first" : "this is said before";
}

/* Sets cmd->row; or a refusal. */
static void
first_line(struct imap_session *s, struct str line)
{
	struct imap_command *c = s->cmd;
	struct str name;
	struct buf *out = imap_refusal_begin(s);
	s->commands++;
	if (!take_tag(s, &line)) {
		(void)imap_bad_says(s, IMAP_SAYS_BAD_NOTAG);
	} else if ((name = take_name(&line)).len == 0) {
		(void)imap_bad(s, "a command is missing behind the tag");
	} else if (!(c->row = imap_row_find(name))) {
		(void)imap_bad(s, "there is no such command");
	} else if (s->conf->tls_required && !s->tls && !(c->row->flags & ROW_TLS_FREE)) {
		(void)imap_no_says(s, "PRIVACYREQUIRED", IMAP_SAYS_NO_PRIVACY);
	} else if (state_objection(s, c->row)) {
		(void)imap_bad(s, "%s", state_objection(s, c->row));
	}
	imap_refusal_end(s, out);
	c->args_at = (size_t)(line.p ? line.p - c->text.p : 0);
}

/* --- whole lines of a command --- */

static void
run_command(struct imap_session *s)
{
	struct imap_command *c = s->cmd;
	c->lex = (struct imap_lex){ .rest = str_skip(buf_str(&c->text), c->args_at),
		.utf8 = imap_is_utf8(s) };
	c->phase = PHASE_RUN;
	imap_command_ran(s, c->row->run(s));
}

/* RFC 9051 4.3: refused before it is invited; what comes unasked cannot be refused but so. */
static void
take_literal(struct imap_session *s, const struct imap_literal *l)
{
	struct imap_command *c = s->cmd;
	uint64_t room = command_max(s) - MIN(c->text.len, command_max(s));
	if (is_early(s))
		room = MIN(room, (uint64_t)EARLY_LITERAL);
	if (l->size > room) {
		struct buf *out = imap_refusal_begin(s);
		s->bad++;
		(void)imap_no(s, "TOOBIG", "a literal of %llu octets is too large",
		    (unsigned long long)l->size);
		imap_refusal_end(s, out);
		refused_line(s, l);
		return;
	}
	if (!l->plus)
		buf_putz(c->out, "+ OK\r\n");
	c->literal_left = l->size;
	c->line_at = c->text.len;
	c->phase = l->size ? PHASE_LITERAL : PHASE_LINE;
}

/* Is the literal that ends the text so far a letter, and not the name of the mailbox? */
static bool
is_letter(const struct imap_command *c, const struct imap_literal *l)
{
	struct str args = str_skip(buf_str(&c->text), c->args_at);
	return (c->row->flags & ROW_APPEND) && args.len > l->head + 1 + 2;
}

static void
command_line(struct imap_session *s, struct str line, const char *wrong)
{
	struct imap_command *c = s->cmd;
	struct imap_literal l;
	bool first = c->args_at == 0 && !imap_is_refused(s);
	bool literal = imap_line_literal(line, &l);
	size_t at = c->line_at;
	if (first)
		first_line(s, line);
	if (wrong && !imap_is_refused(s))
		refuse(s, wrong);
	if (imap_is_refused(s)) {
		refused_line(s, literal ? &l : NULL);
		return;
	}
	buf_trunc(&c->text, at + line.len);
	if (literal)
		buf_putz(&c->text, "\r\n");
	if (literal && !is_letter(c, &l))
		take_literal(s, &l);
	else
		run_command(s);
}

/* R-EOL: the first line decides; a bare LF is good only in an LF session. */
static const char *
line_objection(struct imap_session *s, struct str line, bool crlf)
{
	if (!(s->flags & F_EOL_KNOWN)) {
		s->flags |= F_EOL_KNOWN;
		if (!crlf && s->conf->bare_lf)
			s->flags |= F_EOL_LF;
	}
	if (!crlf && !(s->flags & F_EOL_LF))
		return "a line ends in CR LF";
	if (str_find(line, '\r') < line.len)
		return "a CR stands inside of a line";
	if (str_find(line, '\0') < line.len)
		return "a NUL stands in the line";
	return NULL;
}

static void
line_done(struct imap_session *s)
{
	struct imap_command *c = s->cmd;
	struct str line = str_skip(buf_str(&c->text), c->line_at);
	bool first = !(s->flags & F_FIRST_LINE);
	line.len--;
	bool crlf = str_ends(line, STR("\r"));
	line.len -= crlf;
	s->flags |= F_FIRST_LINE;
	s->last_input = c->clock->now;
	if (first && session_is_http(line)) {
		imap_command_ran(s, imap_bye(s, c->out, NULL, "this is IMAP, not HTTP"));
		return;
	}
	const char *wrong = line_objection(s, line, crlf);
	if (c->phase == PHASE_MORE)
		imap_command_ran(s, c->line(s, line, wrong));
	else
		command_line(s, line, wrong);
}

/* --- lines over their limit --- */

static void
keep_tail(struct buf *text)
{
	if (text->len > TAIL)
		buf_drop(text, text->len - TAIL);
}

static void
overflow(struct imap_session *s)
{
	struct imap_command *c = s->cmd;
	const struct imap_clock *clock = c->clock;
	struct buf *out = c->out;
	if (c->phase == PHASE_MORE) {
		imap_command_ran(s, c->line(s, STR_NULL, "the line is too long"));
		if (s->state == IMAP_CLOSED || s->cmd)
			return;
		imap_command_begin(s, clock, out);
		s->cmd->phase = PHASE_DISCARD;
		return;
	}
	struct str line = buf_str(&c->text);
	if (c->args_at == 0 && !imap_is_refused(s))
		(void)take_tag(s, &line);
	s->last_input = clock->now;
	if (!imap_is_refused(s))
		refuse(s, "the line is too long");
	buf_puts(out, buf_str(&c->refusal));
	buf_wipe(&c->text);
	c->line_at = 0;
	c->phase = PHASE_DISCARD;
}

static void
discard(struct imap_session *s, struct str piece, bool whole)
{
	struct imap_command *c = s->cmd;
	struct imap_literal l;
	c->discarded += piece.len;
	if (c->discarded > DISCARD_MAX) {
		imap_command_ran(s, imap_bye(s, c->out, NULL, "the line is too long"));
		return;
	}
	buf_puts(&c->text, str_skip(piece, piece.len - MIN(piece.len, (size_t)TAIL)));
	keep_tail(&c->text);
	if (!whole)
		return;
	if (!imap_line_literal(str_rtrim(buf_str(&c->text)), &l) || !l.plus) {
		imap_command_ran(s, RUN_DONE);
	} else if (l.size > SKIP_MAX) {
		imap_command_ran(s, imap_bye(s, c->out, "TOOBIG", "a literal is too large"));
	} else {
		buf_reset(&c->text);
		c->literal_left = l.size;
		c->skip_to_discard = true;
		c->phase = PHASE_SKIP;
	}
}

/* --- phases --- */

static void
input_line(struct imap_session *s, struct str *in)
{
	struct imap_command *c = s->cmd;
	size_t n = str_find(*in, '\n');
	bool whole = n < in->len;
	struct str piece = str_first(*in, whole ? n + 1 : in->len);
	*in = str_skip(*in, piece.len);
	if (c->phase == PHASE_DISCARD) {
		discard(s, piece, whole);
		return;
	}
	if (c->text.len - c->line_at + piece.len > line_max(s) + 2 ||
	    c->text.len + piece.len > command_max(s) + 2) {
		if (c->text.len <= TAG_MAX)
			buf_puts(&c->text, str_first(piece, TAG_MAX + 1));
		overflow(s);
		if (s->cmd && s->cmd->phase == PHASE_DISCARD)
			discard(s, piece, whole);
		return;
	}
	buf_puts(&c->text, piece);
	if (c->text.failed)
		imap_command_ran(s, imap_bye(s, c->out, "UNAVAILABLE", "no memory"));
	else if (whole)
		line_done(s);
}

static void
input_literal(struct imap_session *s, struct str *in)
{
	struct imap_command *c = s->cmd;
	struct str piece = str_first(*in, (size_t)MIN(c->literal_left, (uint64_t)in->len));
	*in = str_skip(*in, piece.len);
	c->literal_left -= piece.len;
	if (c->phase == PHASE_LITERAL)
		buf_puts(&c->text, piece);
	s->last_input = c->clock->now;
	if (c->text.failed) {
		imap_command_ran(s, imap_bye(s, c->out, "UNAVAILABLE", "no memory"));
	} else if (c->literal_left == 0) {
		c->line_at = c->text.len;
		c->phase = c->skip_to_discard ? PHASE_DISCARD : PHASE_LINE;
		c->skip_to_discard = false;
	}
}

void
imap_input(struct imap_session *s, struct str *in)
{
	struct imap_command *c = s->cmd;
	check(in->len && c);
	if (c->phase == PHASE_LITERAL || c->phase == PHASE_SKIP)
		input_literal(s, in);
	else
		input_line(s, in);
}
