#include "dialect/learn_priv.h"

#include "base/arena.h"
#include "dialect/text_priv.h"

#include <stdlib.h>

#define TEMPLATE_MAX (64u << 10)
#define LINE_KEPT_MAX (SMTP_REPLY_LINE_MAX + 8u) /* of a reply */

enum where { AT_COMMAND, AT_AUTH, AT_DATA };

struct reader {
	struct arena arena;
	struct lesson *lesson; /* LEARN_SESSIONS_MAX */
	size_t n;
	struct lesson *now; /* NULL: between two conversations */
	unsigned line;
	struct str said; /* the last line that is no reply; empty behind a reply */
	enum where where;
	unsigned auth_steps;
	bool quit;
	struct buf text; /* of the reply at hand, from its code to its last line */
	size_t lines;
};

/* What a reply to a verb is, by its code or, behind all of those, by its first digit. */
static const struct rule {
	const char *verb;
	int code;
	enum smtp_situation situation;
} rules[] = {
	{ "HELO", 2, SMTP_HELO_OK },
	{ "HELO", 5, SMTP_HELO_BADARG },
	{ "EHLO", 500, SMTP_EHLO_DISABLED },
	{ "EHLO", 502, SMTP_EHLO_DISABLED },
	{ "EHLO", 5, SMTP_EHLO_BADARG },
	{ "MAIL", 2, SMTP_MAIL_OK },
	{ "MAIL", 421, SMTP_MAIL_TOOMANY },
	{ "MAIL", 451, SMTP_MAIL_TEMPERR },
	{ "MAIL", 452, SMTP_MAIL_LOWRES },
	{ "MAIL", 501, SMTP_MAIL_SYNTAX },
	{ "MAIL", 503, SMTP_MAIL_NESTED },
	{ "MAIL", 530, SMTP_MAIL_NEEDAUTH },
	{ "MAIL", 552, SMTP_MAIL_SIZE },
	{ "MAIL", 555, SMTP_MAIL_BADPARAM },
	{ "MAIL", 5, SMTP_MAIL_REJECTED },
	{ "RCPT", 2, SMTP_RCPT_OK },
	{ "RCPT", 450, SMTP_RCPT_GREYLIST },
	{ "RCPT", 452, SMTP_RCPT_TOOMANY },
	{ "RCPT", 501, SMTP_RCPT_SYNTAX },
	{ "RCPT", 503, SMTP_RCPT_NOMAIL },
	{ "RCPT", 555, SMTP_RCPT_BADPARAM },
	{ "RCPT", 5, SMTP_RCPT_UNKNOWN },
	{ "DATA", 354, SMTP_DATA_GO },
	{ "DATA", 503, SMTP_DATA_NOMAIL },
	{ "DATA", 5, SMTP_DATA_NORCPT_VALID },
	{ ".", 2, SMTP_DATA_OK },
	{ ".", 4, SMTP_DATA_TEMPERR },
	{ ".", 550, SMTP_DATA_REJECTED },
	{ ".", 552, SMTP_DATA_TOOBIG },
	{ ".", 5, SMTP_DATA_PERMERR },
	{ "RSET", 2, SMTP_RSET_OK },
	{ "NOOP", 2, SMTP_NOOP_OK },
	{ "QUIT", 2, SMTP_QUIT_OK },
	{ "HELP", 2, SMTP_HELP_OK },
	{ "HELP", 5, SMTP_HELP_UNKNOWN },
	{ "VRFY", 250, SMTP_VRFY_OK },
	{ "VRFY", 252, SMTP_VRFY_CANNOT },
	{ "VRFY", 5, SMTP_VRFY_UNKNOWN },
	{ "EXPN", 2, SMTP_EXPN_OK },
	{ "EXPN", 5, SMTP_EXPN_DISABLED },
	{ "ETRN", 2, SMTP_ETRN_OK },
	{ "ETRN", 459, SMTP_ETRN_DENIED },
	{ "ETRN", 5, SMTP_ETRN_SYNTAX },
	{ "TURN", 5, SMTP_TURN_DENIED },
	{ "STARTTLS", 220, SMTP_STARTTLS_GO },
	{ "STARTTLS", 4, SMTP_STARTTLS_UNAVAILABLE },
	{ "STARTTLS", 5, SMTP_STARTTLS_NOTSUPPORTED },
	{ "AUTH", 235, SMTP_AUTH_OK },
	{ "AUTH", 4, SMTP_AUTH_TEMPFAIL },
	{ "AUTH", 501, SMTP_AUTH_SYNTAX },
	{ "AUTH", 503, SMTP_AUTH_DISABLED },
	{ "AUTH", 504, SMTP_AUTH_BADMECH },
	{ "AUTH", 534, SMTP_AUTH_WEAK },
	{ "AUTH", 535, SMTP_AUTH_FAIL },
	{ "AUTH", 538, SMTP_AUTH_NEEDTLS },
	{ "AUTH", 5, SMTP_AUTH_FAIL },
};

static bool
is_reply(struct str line)
{
	return line.len >= 3 && line.p[0] >= '2' && line.p[0] <= '5' && line.p[1] >= '0' &&
	       line.p[1] <= '9' && line.p[2] >= '0' && line.p[2] <= '9' &&
	       (line.len == 3 || line.p[3] == ' ' || line.p[3] == '-');
}

static int
code_of(struct str text)
{
	return (text.p[0] - '0') * 100 + (text.p[1] - '0') * 10 + (text.p[2] - '0');
}

static struct lesson *
lesson_now(struct reader *r)
{
	if (!r->now && r->n < LEARN_SESSIONS_MAX) {
		r->now = &r->lesson[r->n++];
		r->now->line = r->line;
	}
	r->quit = false;
	return r->now;
}

static void
lesson_end(struct reader *r)
{
	/* It said nothing to QUIT and closed (as in one of the transcripts). */
	if (r->now && r->quit)
		r->now->silent_quit = true;
	r->now = NULL;
	r->where = AT_COMMAND;
	r->said = STR_NULL;
	r->quit = false;
}

/* The address in "mail from: <a@b> SIZE=1", and the like. */
static struct str
path_of(struct str said)
{
	(void)str_cut(&said, ':');
	struct str path = str_word(&said);
	if (path.len >= 2 && path.p[0] == '<')
		path = str_first(str_skip(path, 1), str_find(path, '>') - 1);
	return path;
}

static enum smtp_situation
auth_prompt(const struct reader *r, struct str said)
{
	struct str mech = (str_word(&said), str_word(&said));
	if (r->auth_steps == 0 && str_ieq(mech, STR("PLAIN")))
		return SMTP_AUTH_PLAIN_PROMPT;
	return r->auth_steps == 0 ? SMTP_AUTH_USER_PROMPT : SMTP_AUTH_PASS_PROMPT;
}

static enum smtp_situation
by_rule(struct str verb, int code)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (str_ieq(verb, str_of(rules[i].verb)) &&
		    (rules[i].code == code || rules[i].code == code / 100))
			return rules[i].situation;
	return SMTP_NONE;
}

static bool
is_verb(struct str verb)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (str_ieq(verb, str_of(rules[i].verb)))
			return true;
	return false;
}

static bool
says(struct str text, const char *word)
{
	for (size_t i = 0; i < text.len; i++)
		if (str_istarts(str_skip(text, i), str_of(word)))
			return true;
	return false;
}

/* To what is this the answer? */
static enum smtp_situation
situation_of(const struct reader *r, struct str verb, struct str arg, int code)
{
	struct str text = buf_str(&r->text);
	if (r->where == AT_DATA)
		return by_rule(STR("."), code);
	if (r->where == AT_AUTH || (str_ieq(verb, STR("AUTH")) && code == 334)) {
		if (code == 334)
			return auth_prompt(r, r->said);
		return code == 501 ? SMTP_AUTH_CANCEL : by_rule(STR("AUTH"), code);
	}
	enum smtp_situation s = by_rule(verb, code);
	if (code == 501 && arg.len == 0 && s == SMTP_HELO_BADARG)
		return SMTP_HELO_NOARG;
	if (code == 501 && arg.len == 0 && s == SMTP_EHLO_BADARG)
		return SMTP_EHLO_NOARG;
	if (s == SMTP_MAIL_NEEDAUTH && says(text, "TLS"))
		return SMTP_MAIL_NEEDTLS;
	if (s == SMTP_RCPT_UNKNOWN && says(text, "relay"))
		return SMTP_RCPT_RELAY;
	if (s == SMTP_NONE && !is_verb(verb) && (code == 500 || code == 502))
		return SMTP_CMD_UNKNOWN;
	return s;
}

static struct str
template_of(struct reader *r, enum smtp_situation s)
{
	struct buf out = BUF_INIT(TEMPLATE_MAX);
	struct str rest = buf_str(&r->text), copy;
	buf_putf(&out, STR_FMT " ", STR_ARG(str_first(rest, 3)));
	while (rest.p) {
		struct str line = str_cut(&rest, '\n');
		learn_template(&out, r->now, s, str_skip(line, 4));
		if (rest.p)
			buf_putc(&out, '\n');
	}
	copy = out.failed ? STR_NULL : arena_str(&r->arena, buf_str(&out));
	buf_done(&out);
	return copy;
}

static void
take_ehlo(struct reader *r)
{
	struct lesson *l = r->now;
	struct str rest = buf_str(&r->text);
	l->n_cap = 0;
	l->first = l->size = l->ehlo_host = STR_NULL;
	while (rest.p) {
		struct str line = str_skip(str_cut(&rest, '\n'), 4);
		struct buf out = BUF_INIT(TEMPLATE_MAX);
		learn_cap(&out, l, line);
		if (!l->size.len && l->size_at.len)
			l->size = arena_str(&r->arena, l->size_at);
		if (!l->ehlo_host.len && l->ehlo_host_at.len)
			l->ehlo_host = arena_str(&r->arena, l->ehlo_host_at);
		l->size_at = l->ehlo_host_at = STR_NULL;
		if (out.len + 4 > SMTP_REPLY_LINE_MAX)
			buf_reset(&out);
		if (out.len == 0)
			buf_putz(&out, "${empty}");
		struct str copy = arena_str(&r->arena, buf_str(&out));
		if (!l->first.len)
			l->first = copy;
		else if (l->n_cap < SMTP_CAP_MAX)
			l->cap[l->n_cap++] = copy;
		buf_done(&out);
	}
	l->replies++;
}

static void
take_greeting(struct reader *r)
{
	struct str text = str_skip(buf_str(&r->text), 4);
	r->now->host = arena_str(&r->arena, str_word(&text));
	r->now->reply[SMTP_GREETING] = template_of(r, SMTP_GREETING);
	r->now->replies++;
}

/* The client's own words, which a reply may repeat. */
static void
take_words(struct reader *r, struct str verb, struct str arg)
{
	struct lesson *l = r->now;
	if (str_ieq(verb, STR("HELO")) || str_ieq(verb, STR("EHLO")))
		l->helo = arg;
	else if (str_ieq(verb, STR("MAIL")))
		l->from = path_of(r->said);
	else if (str_ieq(verb, STR("RCPT")))
		l->to = path_of(r->said);
}

static void
take_quirks(struct reader *r, struct str verb, struct str arg, int code)
{
	struct lesson *l = r->now;
	bool greeted = l->helo.len || l->first.len || l->reply[SMTP_HELO_OK].len;
	if (str_ieq(verb, STR("MAIL")) && code == 250 && !greeted)
		l->early_mail = true;
	if (str_ieq(verb, STR("HELO")) && code == 250 && arg.len == 0)
		l->bare_helo = true;
}

static void
next_state(struct reader *r, enum smtp_situation s, int code)
{
	if (code == 334) {
		r->where = AT_AUTH;
		r->auth_steps++;
	} else {
		r->where = s == SMTP_DATA_GO ? AT_DATA : AT_COMMAND;
		r->auth_steps = 0;
	}
}

/* A lone 220 that no STARTTLS explains begins a conversation. */
static bool
is_greeting(const struct reader *r, struct str verb, int code)
{
	return code == 220 && !str_ieq(verb, STR("STARTTLS")) && r->where == AT_COMMAND;
}

static void
take_reply(struct reader *r)
{
	struct str arg = r->said, verb = str_word(&arg);
	int code = code_of(buf_str(&r->text));
	size_t colon = str_find(verb, ':');
	verb = str_first(verb, colon);
	arg = str_trim(arg);
	if (is_greeting(r, verb, code))
		lesson_end(r);
	bool greeting = r->now == NULL && code == 220;
	if (!lesson_now(r))
		return;
	r->now->authed |= code == 235;
	if (greeting) {
		take_greeting(r);
		r->said = STR_NULL;
		return;
	}
	if (r->where == AT_COMMAND) {
		take_quirks(r, verb, arg, code);
		take_words(r, verb, arg);
	}
	enum smtp_situation s =
	    r->said.len || r->where == AT_DATA ? situation_of(r, verb, arg, code) : SMTP_NONE;
	bool ehlo = str_ieq(verb, STR("EHLO")) && code == 250;
	if (ehlo || (s == SMTP_NONE && code == 250 && r->lines > 2 && !is_verb(verb))) {
		take_ehlo(r);
	} else if (s == SMTP_NONE) {
		r->now->other++;
	} else {
		r->now->reply[s] = template_of(r, s);
		r->now->replies++;
	}
	next_state(r, s, code);
	r->said = STR_NULL;
}

static void
reply_line(struct reader *r, struct str line)
{
	/* Another code, and the reply before had no last line: it ends here. */
	if (r->lines && !str_eq(str_first(buf_str(&r->text), 3), str_first(line, 3))) {
		take_reply(r);
		buf_reset(&r->text);
		r->lines = 0;
	}
	/* What is longer than any reply is cut off, but never its code. */
	struct str kept = str_first(line, LINE_KEPT_MAX);
	if (r->lines++ == 0 || r->text.len + kept.len < TEMPLATE_MAX) {
		if (r->text.len)
			buf_putc(&r->text, '\n');
		buf_puts(&r->text, kept);
	}
	if (line.len > 3 && line.p[3] == '-')
		return;
	take_reply(r);
	buf_reset(&r->text);
	r->lines = 0;
}

static bool
is_boundary(struct str line)
{
	return str_istarts(line, STR("Connection closed")) || str_istarts(line, STR("Trying ")) ||
	       str_istarts(line, STR("Connected to "));
}

static void
take_line(struct reader *r, struct str line)
{
	bool client = str_istarts(line, STR("c:")), server = str_istarts(line, STR("s:"));
	if (client || server) {
		line = str_skip(line, 2);
		if (line.len && line.p[0] == ' ')
			line = str_skip(line, 1);
	}
	if (!client && is_reply(line)) {
		reply_line(r, line);
		return;
	}
	if (is_boundary(line))
		lesson_end(r);
	else if (!server && str_trim(line).len) {
		r->said = str_trim(line);
		r->quit = str_ieq(r->said, STR("QUIT"));
	}
}

/* --- writing --- */

static void
put_reply(struct buf *out, const char *key, struct str text)
{
	buf_putf(out, "%s = ", key);
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '\n')
			buf_putz(out, "\\n");
		else
			buf_putc(out, text.p[i]);
	}
	buf_putc(out, '\n');
}

/* Keys that bring back what was recorded. */
static void
put_recorded(struct buf *out, const char *key, struct str value)
{
	if (value.len && dialect_template_check(value) == NULL)
		buf_putf(out, "# recorded with %s = " STR_FMT "\n", key, STR_ARG(value));
}

static void
put_ehlo(struct buf *out, const struct lesson *l)
{
	put_recorded(out, "host", l->host);
	put_recorded(out, "ehlo_host", l->ehlo_host);
	put_recorded(out, "max_size", l->size);
	if (!l->first.len)
		return;
	buf_putf(out, "[ehlo]\nfirst = " STR_FMT "\n", STR_ARG(l->first));
	for (size_t i = 0; i < l->n_cap; i++)
		buf_putf(out, "cap = " STR_FMT "\n", STR_ARG(l->cap[i]));
}

static void
put_replies(struct buf *out, const struct lesson *l)
{
	buf_putz(out, "[replies]\n");
	for (int s = 0; s < SMTP_SITUATION_COUNT; s++) {
		struct str text = l->reply[s];
		if (!text.p)
			continue;
		const char *wrong = dialect_reply_check((enum smtp_situation)s, text);
		if (wrong)
			buf_putf(out, "# not taken (%s): ", wrong);
		put_reply(out, smtp_situation_key[s], text);
	}
}

static bool
shows_auth(const struct lesson *l)
{
	for (size_t i = 0; i < l->n_cap; i++)
		if (str_istarts(l->cap[i], STR("AUTH")))
			return true;
	return false;
}

static void
put_quirks(struct buf *out, const struct lesson *l)
{
	buf_putz(out, "[quirks]\n");
	if (l->has_style)
		buf_putf(out, "qid_style = %s\n", smtp_qid_style_name[l->style]);
	if (l->early_mail)
		buf_putz(out, "require_helo = no\n");
	if (l->bare_helo)
		buf_putz(out, "helo_arg = optional\n");
	if (l->silent_quit)
		buf_putz(out, "quit_silent = yes\n");
	if (l->authed && l->first.len && !shows_auth(l))
		buf_putz(out, "auth_unadvertised = accept\n");
	if (l->reply[SMTP_STARTTLS_NOTSUPPORTED].p)
		buf_putz(out, "tls_advert = advertise-refuse\n");
}

static const struct lesson *
choose(const struct reader *r, unsigned session)
{
	const struct lesson *best = NULL;
	if (session)
		return session <= r->n ? &r->lesson[session - 1] : NULL;
	for (size_t i = 0; i < r->n; i++)
		if (!best || r->lesson[i].replies > best->replies)
			best = &r->lesson[i];
	return best && best->replies ? best : NULL;
}

static void
put_notes(struct buf *notes, const struct reader *r, const struct lesson *taken)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct lesson *l = &r->lesson[i];
		buf_putf(notes, "conversation %zu, line %u", i + 1, l->line);
		if (l->host.len)
			buf_putf(notes, ", " STR_FMT, STR_ARG(l->host));
		buf_putf(notes, ": %u replies%s\n", l->replies, l == taken ? ", learned" : "");
	}
}

bool
dialect_learn(struct str text, const struct learn_options *o, struct buf *out, struct buf *notes)
{
	struct reader r = { .text = BUF_INIT(TEMPLATE_MAX) };
	r.lesson = xalloc(LEARN_SESSIONS_MAX * sizeof(*r.lesson));
	arena_init(&r.arena, 4 * LEARN_TEXT_MAX);
	text = str_first(text, LEARN_TEXT_MAX);
	while (text.p) {
		r.line++;
		take_line(&r, str_first(text, str_find_any(text, "\r\n")));
		(void)str_cut(&text, '\n');
	}
	lesson_end(&r);
	const struct lesson *l = choose(&r, o->session);
	put_notes(notes, &r, l);
	if (l) {
		buf_putf(out,
		    "dialect = " STR_FMT "\nbase = rfc\nlabel = Learned from " STR_FMT "\n",
		    STR_ARG(o->name), STR_ARG(o->source));
		put_ehlo(out, l);
		put_replies(out, l);
		put_quirks(out, l);
	} else {
		buf_putz(notes,
		    r.n ? "there is no conversation of that number, or no reply in it; write "
			  "one of the numbers above behind --session\n"
			: "no reply of a mail server is in it\n");
	}
	arena_done(&r.arena);
	buf_done(&r.text);
	free(r.lesson);
	return l != NULL;
}
