/* Bounces: reports by their fields, everything else line by line. */
#include "explain/bounce.h"

#include "base/check.h"
#include "explain/explain_priv.h"
#include "mail/report.h"

#define LINE_LOOKED_AT 2048

static struct str
next_line(struct str *rest)
{
	struct str line = str_cut(rest, '\n');
	return str_rtrim(str_first(line, LINE_LOOKED_AT));
}

static bool
blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Behind `what`, wherever it stands in s (ASCII case aside); or empty. */
static struct str
behind(struct str s, const char *what)
{
	struct str w = str_of(what);
	for (size_t at = 0; at + w.len <= s.len; at++)
		if (str_istarts(str_skip(s, at), w))
			return str_skip(s, at + w.len);
	return STR_NULL;
}

static bool
has(struct str s, const char *what)
{
	return behind(s, what).p != NULL;
}

static bool
is_failure(struct str s)
{
	return explain_has_code(s) && (s.p[0] == '4' || s.p[0] == '5');
}

/* --- addresses and hosts --- */

static bool
addr_octet(char c)
{
	return c > ' ' && c != '<' && c != '>' && c != '(' && c != ')' && c != '"' && c != ',' &&
	       c != ';' && c != ':' && c != '\'' && c != 0x7f;
}

/* The first user@example.com in s; empty when there is none. */
static struct str
address_in(struct str s)
{
	size_t at = str_find(s, '@');
	if (at == s.len || at == 0)
		return STR_NULL;
	size_t from = at, to = at + 1;
	while (from > 0 && addr_octet(s.p[from - 1]))
		from--;
	while (to < s.len && addr_octet(s.p[to]) && s.p[to] != '@')
		to++;
	while (to > at + 1 && (s.p[to - 1] == '.' || s.p[to - 1] == ']'))
		to--;
	return from < at && to > at + 1 ? str_skip(str_first(s, to), from) : STR_NULL;
}

static struct str
host_word(struct str s)
{
	s = str_ltrim(s);
	size_t n = 0;
	while (n < s.len && addr_octet(s.p[n]) && s.p[n] != '[' && s.p[n] != ']')
		n++;
	while (n > 0 && s.p[n - 1] == '.')
		n--;
	return str_first(s, n);
}

static bool
looks_like_host(struct str s)
{
	return str_find(s, '.') < s.len && str_find(s, '@') == s.len;
}

/* --- what a line tells --- */

static void
see_command(struct bounce *b, struct str line)
{
	static const struct {
		const char *words, *command;
	} rows[] = {
		{ "rcpt to", "RCPT" },
		{ "does not like recipient", "RCPT" },
		{ "end of data", "end of data" },
		{ "after i sent the message", "end of data" },
		{ "mail from", "MAIL" },
		{ "sender was rejected", "MAIL" },
		{ "data command", "DATA" },
		{ "after data", "DATA" },
		{ "after initial connection", "connect" },
		{ "connect to ", "connect" },
		{ "greeting failed", "connect" },
		{ "ehlo command", "EHLO" },
		{ "starttls command", "STARTTLS" },
		{ "auth command", "AUTH" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (has(line, rows[i].words)) {
			b->open.command = str_of(rows[i].command);
			return;
		}
}

static bool
host_alone(struct str s)
{
	return s.len > 0 && looks_like_host(s) && host_word(s).len == s.len;
}

static void
see_server(struct bounce *b, struct str line)
{
	static const char *const leads[] = { "while talking to ", "host ", "connect to ",
		"giving up on ", "connected to ", "message rejected by ", "conversation with ",
		"lost connection with " };
	for (size_t i = 0; i < ARRAY_LEN(leads); i++) {
		struct str host = host_word(behind(line, leads[i]));
		if (looks_like_host(host)) {
			b->open.server = host;
			return;
		}
	}
	static const char *const tails[] = { " does not like recipient", " gave this error",
		" rejected your message", " failed after i sent", "] said:" };
	for (size_t i = 0; i < ARRAY_LEN(tails); i++)
		if (has(line, tails[i]) && looks_like_host(host_word(line)))
			b->open.server = host_word(line);
}

/* What transcripts put in front of a line of the client; 0: it is none. */
static size_t
client_label(struct str s)
{
	static const char *const labels[] = { "c:", ">>>", "->", "~>", ">" };
	for (size_t i = 0; i < ARRAY_LEN(labels); i++)
		if (str_istarts(s, str_of(labels[i])))
			return strlen(labels[i]);
	return 0;
}

/* Commands of the client in transcripts. */
static bool
see_client(struct bounce *b, struct str line)
{
	static const char *const verbs[] = { "EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL",
		"RCPT", "DATA", "BDAT", "XMRG", "XDFN", "XPRT", "VRFY", "EXPN", "ETRN", "RSET" };
	bool labelled = client_label(line) > 0;
	line = str_ltrim(str_skip(line, client_label(line)));
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		struct str verb = str_of(verbs[i]);
		bool alone =
		    line.len == verb.len || (line.len > verb.len && blank(line.p[verb.len]));
		if (!str_istarts(line, verb) || !alone)
			continue;
		bool addressed = str_find(line, ':') < line.len;
		if ((i == 5 || i == 6) && !addressed)
			continue; /* "mail delivery", "rcpt ..." in prose */
		b->open.command = verb;
		if (i == 6 || i == 5)
			b->open.recipient = i == 6 ? address_in(line) : STR_NULL;
		else if (i == 7 || i == 8)
			b->open.recipient = STR_NULL;
		return true;
	}
	return labelled;
}

/* --- collecting --- */

static void
collect(struct bounce *b, struct str s)
{
	size_t room = sizeof b->reply - b->reply_len;
	if (b->reply_len > 0 && room > 0) {
		b->reply[b->reply_len++] = '\n';
		room--;
	}
	s = str_first(str_trim(s), room);
	if (s.len)
		memcpy(b->reply + b->reply_len, s.p, s.len);
	b->reply_len += s.len;
}

static void
start(struct bounce *b, struct str reply, bool coded)
{
	b->reply_len = 0;
	b->said = true;
	b->coded = coded;
	b->access = false;
	collect(b, reply);
}

static bool
repeated(const struct bounce *b)
{
	return b->coded && b->reply_len >= 3 && memcmp(b->reply, b->last_code, 3) == 0 &&
	       (!b->open.recipient.len || !b->last_recipient.len ||
		   str_ieq(b->open.recipient, b->last_recipient));
}

/* Whether prose may stand for a reply. Beside replies with codes it must be more than prose. */
static bool
known(const struct bounce *b, struct str s)
{
	struct explain_hit hit;
	if (b->access)
		return true;
	if (!explain_reply(s, &hit) || hit.match > EXPLAIN_BY_ENHANCED)
		return false;
	return !b->codes_only || hit.exact || b->headed;
}

/* What was collected becomes a failure, unless it says nothing new. */
static bool
flush(struct bounce *b, struct bounce_failure *ret)
{
	bool good = b->said && b->reply_len > 0 && !repeated(b);
	struct str reply = { b->reply, b->reply_len };
	b->said = false;
	if (!good || (!b->coded && !known(b, reply)))
		return false;
	b->open.reply = reply;
	*ret = b->open;
	b->last_recipient = b->open.recipient;
	memset(b->last_code, 0, sizeof b->last_code);
	if (b->coded)
		memcpy(b->last_code, b->reply, 3);
	return true;
}

/* --- free text and transcripts --- */

/* "<user@example.com>: the rest", "<user@example.com> (expanded from <x@y>): the rest" */
static bool
recipient_head(struct str line, struct str *ret_recipient, struct str *ret_rest)
{
	size_t close = str_find(line, '>');
	if (line.len < 3 || line.p[0] != '<' || close == line.len)
		return false;
	struct str inside = str_skip(str_first(line, close), 1), rest = str_skip(line, close + 1);
	if (str_find(inside, '@') == inside.len || str_find_any(inside, " <") < inside.len)
		return false;
	if (str_starts(rest, STR(" (")))
		rest = str_skip(rest, str_find(rest, ')') + 1);
	if (rest.len > 0 && rest.p[0] != ':')
		return false;
	*ret_recipient = inside;
	*ret_rest = str_ltrim(str_skip(rest, 1));
	return true;
}

static bool
address_alone(struct str line, struct str *ret_recipient)
{
	struct str a = address_in(line);
	struct str rest = line;
	struct str word = str_word(&rest);
	rest = str_ltrim(rest);
	if (!a.len || word.len > a.len + 2 || (rest.len && rest.p[0] != '('))
		return false;
	if (!explain_has_code(word))
		*ret_recipient = a;
	return true;
}

/* "wasn't delivered to user@example.com because" */
static struct str
recipient_in_prose(struct str line)
{
	static const char *const leads[] = { "delivered to ", "your message to ", "mail to ",
		"to the following recipient", "couldn't be delivered to " };
	for (size_t i = 0; i < ARRAY_LEN(leads); i++) {
		struct str rest = behind(line, leads[i]);
		if (rest.p && address_in(rest).len)
			return address_in(rest);
	}
	return STR_NULL;
}

/* "to=<user@example.com>, relay=mx.example.com[192.0.2.1]:25, ..." */
static void
see_log(struct bounce *b, struct str line)
{
	struct str to = behind(line, " to=<"), relay = behind(line, "relay=");
	if (to.p && relay.p)
		b->open = (struct bounce_failure){ .recipient = str_first(to, str_find(to, '>')),
			.server = looks_like_host(host_word(relay)) ? host_word(relay) : STR_NULL };
}

static bool
is_access_failure(struct str line)
{
	struct str rest = line;
	struct str first = str_word(&rest), second = str_word(&rest);
	return str_eq(first, STR("-ERR")) || str_eq(second, STR("NO")) ||
	       str_eq(second, STR("BAD")) ||
	       (str_eq(first, STR("*")) && str_eq(second, STR("BYE")));
}

/* True when the line only continues what is collected. */
static bool
continues(struct bounce *b, struct str line, struct str s)
{
	struct str recipient;
	if (!b->said || !s.len || client_label(s) || address_alone(s, &recipient))
		return false;
	if (b->coded && explain_has_code(s))
		return s.p[0] == b->reply[0] && memcmp(s.p, b->reply, 3) == 0 && s.len > 3 &&
		       s.p[3] == '-';
	return line.len > 0 && blank(line.p[0]) && explain_find_reply(s) == s.len;
}

/* A reply of several lines ends with the one that has no hyphen. */
static bool
ends_reply(const struct bounce *b, struct str s)
{
	return b->said && b->coded && explain_has_code(s) && (s.len == 3 || s.p[3] != '-') &&
	       b->reply_len > 3 && memcmp(s.p, b->reply, 3) == 0 && b->reply[3] == '-';
}

/* What stands in s from `at` on, without the quote or bracket around it. */
static struct str
unquoted(struct str s, size_t at)
{
	struct str reply = str_skip(s, at);
	char before = at > 0 ? s.p[at - 1] : '\0', last = reply.p[reply.len - 1];
	bool reason = at > 0 && str_iends(str_rtrim(str_first(s, at)), STR("(reason:"));
	if ((before == '\'' && last == '\'') || (reason && last == ')'))
		reply.len--;
	return reply;
}

static void
take_text(struct bounce *b, struct str s)
{
	size_t at = explain_find_reply(s);
	see_server(b, str_first(s, at));
	see_command(b, s);
	if (at < s.len && is_failure(str_skip(s, at)))
		start(b, unquoted(s, at), true);
	else if (s.len && at == s.len && b->said && !b->coded)
		collect(b, s);
}

static void
new_recipient(struct bounce *b, struct str recipient)
{
	if (str_ieq(b->open.recipient, recipient))
		return;
	b->open = (struct bounce_failure){ .recipient = recipient, .server = b->open.server };
}

static void
take_line(struct bounce *b, struct str line)
{
	struct str recipient = STR_NULL, rest = STR_NULL, s = str_trim(line);
	if (recipient_head(s, &recipient, &rest)) {
		b->open = (struct bounce_failure){ .recipient = recipient };
		start(b, STR_NULL, false);
		b->headed = true;
		take_text(b, rest);
	} else if (address_alone(s, &recipient)) {
		new_recipient(b, recipient.len ? recipient : b->open.recipient);
		start(b, STR_NULL, false);
		b->headed = false;
	} else if (host_alone(s) && b->said && b->reply_len == 0) {
		b->open.server = s;
	} else if (!see_client(b, s)) {
		recipient = recipient_in_prose(s);
		if (recipient.len)
			new_recipient(b, recipient);
		s = explain_unlabel(s);
		see_log(b, s);
		if (is_access_failure(s)) {
			start(b, s, false);
			b->access = true;
		} else {
			take_text(b, s);
		}
	}
}

/* Prose goes on, or the reply it introduced follows. */
static bool
prose_gives_way(const struct bounce *b, struct str s)
{
	struct str recipient, rest;
	if (b->coded || b->access || !s.len || recipient_head(s, &recipient, &rest))
		return false;
	size_t at = explain_find_reply(s);
	return at < s.len ? is_failure(str_skip(s, at)) : !has(s, "@");
}

static bool
next_in_text(struct bounce *b, struct bounce_failure *ret)
{
	while (b->rest.p) {
		struct str before = b->rest, line = next_line(&b->rest);
		struct str s = explain_unlabel(line);
		bool last = ends_reply(b, s);
		if (last || continues(b, line, s)) {
			see_command(b, s);
			see_server(b, s);
			collect(b, s);
			if (last && flush(b, ret))
				return true;
			continue;
		}
		if (b->said && b->reply_len > 0 && !prose_gives_way(b, s)) {
			bool out = flush(b, ret);
			b->rest = out ? before : b->rest;
			if (out)
				return true;
		}
		take_line(b, line);
	}
	return flush(b, ret);
}

/* --- reports --- */

static struct str
bare_address(struct str s)
{
	struct str a = address_in(s);
	return a.len ? a : s;
}

static bool
next_in_report(struct bounce *b, struct bounce_failure *ret)
{
	struct report_reader r;
	struct report_seen s;
	report_read_begin(&r, b->rest);
	bool good = report_read(&r, &s);
	b->rest = r.rest;
	if (!good)
		return false;
	b->reply_len = 0;
	while (s.diag.p)
		collect(b, next_line(&s.diag));
	b->said = false;
	b->open = (struct bounce_failure){
		.recipient = bare_address(s.final),
		.server = host_word(s.mta),
		.action = s.action,
		.status = str_first(s.status, str_find_any(s.status, " \t(")),
	};
	struct str reply = str_n(b->reply, b->reply_len);
	see_command(b, reply);
	b->open.reply = reply.len > 0 ? reply : b->open.status;
	*ret = b->open;
	return true;
}

/* --- */

void
bounce_begin(struct bounce *b, struct str text)
{
	b->rest = text.len ? text : STR_NULL;
	b->report = b->codes_only = b->coded = b->said = b->headed = b->access = false;
	b->open = (struct bounce_failure){ 0 };
	b->last_recipient = STR_NULL;
	memset(b->last_code, 0, sizeof b->last_code);
	b->reply_len = 0;
	while (text.p) {
		struct str s = explain_unlabel(next_line(&text));
		b->report = b->report || report_is_recipient(s);
		size_t at = explain_find_reply(s);
		b->codes_only = b->codes_only || (at < s.len && is_failure(str_skip(s, at)));
	}
}

bool
bounce_next(struct bounce *b, struct bounce_failure *ret)
{
	if (!b->report)
		return next_in_text(b, ret);
	return b->rest.p && next_in_report(b, ret);
}

bool
bounce_looks_so(struct str text)
{
	char code[3] = { 0 };
	size_t lines = 0;
	for (bool same = true; text.p;) {
		struct str line = next_line(&text), s = explain_unlabel(line);
		if (!s.len)
			continue;
		if (lines++ == 0) {
			if (explain_has_code(s))
				memcpy(code, s.p, 3);
			continue;
		}
		same =
		    code[0] && (explain_has_code(s) ? memcmp(s.p, code, 3) == 0 : blank(line.p[0]));
		if (!same)
			return true;
	}
	return false;
}
