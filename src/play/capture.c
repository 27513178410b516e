#include "play/capture.h"

#include "base/check.h"
#include "base/num.h"
#include "play/capture_priv.h"

#include <stdlib.h>

/* Room for one more behind n of them; grows at every power of two. */
static void *
grow(void *p, size_t n, size_t size)
{
	if (n & (n - 1))
		return p;
	return xrealloc(p, (n ? 2 * n : 1) * size);
}

/* --- what a line is ------------------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_code(struct str s)
{
	return s.len >= 3 && s.p[0] >= '2' && s.p[0] <= '5' && is_digit(s.p[1]) &&
	       is_digit(s.p[2]) && (s.len == 3 || s.p[3] == ' ' || s.p[3] == '-');
}

/* "a001 OK ..." */
static bool
is_tagged(struct str s)
{
	struct str tag = str_word(&s), word = str_word(&s);

	return tag.len &&
	       (str_ieq(word, STR("OK")) || str_ieq(word, STR("NO")) || str_ieq(word, STR("BAD")));
}

/* Does the line, without its end, read as a reply of that protocol's server? */
static bool
is_reply(enum capture_proto proto, struct str s)
{
	if (proto == CAPTURE_SMTP)
		return is_code(s);
	if (proto == CAPTURE_POP3)
		return str_starts(s, STR("+OK")) || str_starts(s, STR("-ERR")) ||
		       str_starts(s, STR("+ ")) || str_eq(s, STR("+"));
	return str_starts(s, STR("* ")) || str_starts(s, STR("+ ")) || str_eq(s, STR("+")) ||
	       is_tagged(s);
}

bool
capture_is_last(enum capture_proto proto, struct str s)
{
	if (proto == CAPTURE_SMTP)
		return is_code(s) && (s.len == 3 || s.p[3] == ' ');
	if (proto == CAPTURE_POP3)
		return true;
	return s.len == 0 || s.p[0] != '*';
}

static bool
is_masked(struct str s)
{
	size_t open = str_rfind(s, '<');
	struct str in = str_skip(s, open + 1);

	return open < s.len && (str_ends(in, STR(" hidden>")) || str_ends(in, STR("base64>")));
}

static bool
is_command(enum capture_proto proto, struct str s)
{
	static const char *const verbs[] = { "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT",
		"RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP", "AUTH", "STARTTLS", "ETRN", "ATRN",
		"BURL", "TURN", "SEND", "SOML", "SAML", "XCLIENT", "XMRG", "XDFN", "XPRT", "USER",
		"PASS", "APOP", "STAT", "LIST", "RETR", "DELE", "TOP", "UIDL", "CAPA", "STLS",
		"UTF8", "LOGOUT" };
	struct str word = str_first(s, str_find_any(s, " :"));

	if (proto == CAPTURE_IMAP)
		return s.len > 0 && is_digit(s.p[str_find(s, ' ') ? str_find(s, ' ') - 1 : 0]);
	/* Prose begins with such words as well: "Data is ...". */
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_ieq(word, str_of(verbs[i])))
			return s.len < 512;
	return false;
}

/* --- sessions --------------------------------------------------------------------------------- */

static struct capture_session *
now(struct capture_parser *p)
{
	return p->open ? &p->c->v[p->c->n - 1] : NULL;
}

void
capture_open(struct capture_parser *p)
{
	p->c->v = grow(p->c->v, p->c->n, sizeof(*p->c->v));
	p->c->v[p->c->n++] =
	    (struct capture_session){ .host = p->host, .port = p->port, .proto = p->proto };
	p->open = true;
	p->content = p->labelled = p->prompted = p->came = p->hung_up = false;
}

void
capture_add(struct capture_parser *p, enum capture_op op, struct str text)
{
	struct capture_session *s = now(p);

	s->v = grow(s->v, s->n, sizeof(*s->v));
	s->v[s->n++] = (struct capture_line){ .op = op,
		.text = text,
		.line = p->line,
		.content = op == CAPTURE_SENT && p->content,
		.masked = op == CAPTURE_SENT && !p->content && is_masked(text) };
}

void
capture_came(struct capture_parser *p, struct str text)
{
	if (!p->open || !p->came) {
		p->proto = str_starts(text, STR("* ")) || is_tagged(text) ? CAPTURE_IMAP
		           : str_starts(text, STR("+OK"))                 ? CAPTURE_POP3
		                                                          : CAPTURE_SMTP;
		if (p->open)
			now(p)->proto = p->proto;
	}
	if (!p->open)
		capture_open(p);
	p->came = true;
	capture_add(p, CAPTURE_CAME, text);
	p->content = p->proto == CAPTURE_SMTP && str_starts(text, STR("354"));
	p->prompted = str_starts(text, STR("334")) || str_starts(text, STR("+ "));
	p->hung_up = p->proto == CAPTURE_SMTP && str_starts(text, STR("221"));
}

void
capture_sent(struct capture_parser *p, struct str text)
{
	if (!p->open)
		capture_open(p);
	capture_add(p, CAPTURE_SENT, text);
	if (p->content && str_eq(text, STR(".")))
		p->content = false;
	p->prompted = false;
}

void
capture_close(struct capture_parser *p, bool by_them)
{
	if (p->open && by_them)
		capture_add(p, CAPTURE_CLOSED, STR(""));
	p->open = p->content = false;
	p->host = STR("");
	p->port = 0;
}

/* "~$ telnet mail.example.com 25", with whatever prompt in front. */
static bool
take_telnet(struct capture_parser *p, struct str s)
{
	size_t at = str_find_str(s, STR("telnet "));
	struct str before = str_trim(str_first(s, at)), rest = str_skip(s, at + 7);
	uint64_t port = 0;

	if (at == s.len || str_find(before, ' ') < before.len || before.len > 40)
		return false;
	struct str host = str_word(&rest), number = str_word(&rest);
	if (!host.len || str_trim(rest).len ||
	    (number.len && (!num_u64(number, 65535, &port) || port == 0)))
		return false;
	capture_close(p, false);
	p->host = host;
	p->port = (uint16_t)port;
	return true;
}

/* What telnet says. */
static bool
take_telnet_words(struct capture_parser *p, struct str s)
{
	if (str_starts(s, STR("Trying ")) && str_ends(s, STR("..."))) {
		if (p->open)
			capture_close(p, false);
		return true;
	}
	if (str_starts(s, STR("Connected to ")) || str_starts(s, STR("Escape character is ")))
		return true;
	if (str_starts(s, STR("Connection closed")) || str_starts(s, STR("Connection lost"))) {
		capture_close(p, true);
		return true;
	}
	return false;
}

/* --- lines without labels ------------------------------------------------------------------- */

/* The next line that is not empty. */
static struct str
peek(const struct capture_parser *p)
{
	struct str rest = p->rest;

	while (rest.len) {
		struct str line = str_cut(&rest, '\n');
		if (str_trim(line).len)
			return str_ends(line, STR("\r")) ? str_first(line, line.len - 1) : line;
	}
	return STR("");
}

static void
take_content(struct capture_parser *p, struct str s)
{
	bool ends = str_eq(str_trim(s), STR(".")) && is_code(peek(p));

	capture_sent(p, s);
	if (ends)
		p->content = false;
}

static void
take_plain(struct capture_parser *p, struct str s)
{
	struct str text = str_trim(s);

	if (p->open && p->content) {
		take_content(p, s);
		return;
	}
	if (!text.len || text.p[0] == '#' || take_telnet(p, text) || take_telnet_words(p, text))
		return;
	if (str_starts(text, STR("<TLS")) && p->open) {
		capture_add(p, CAPTURE_TLS, STR(""));
		return;
	}
	if (!p->open) {
		/* Codes stand in lists as well; a session begins with a greeting. */
		if (str_starts(text, STR("220 ")) || str_starts(text, STR("220-")) ||
		    str_starts(text, STR("* OK")) || str_starts(text, STR("+OK")))
			capture_came(p, s);
		return;
	}
	if (is_reply(p->proto, s))
		capture_came(p, s);
	else if (!p->hung_up &&
		 (p->prompted || is_command(p->proto, text) || is_reply(p->proto, peek(p))))
		capture_sent(p, s);
	else
		capture_close(p, false);
}

/* --- lines with labels ------------------------------------------------------------------------ */

/* c: s: C: S: -> <-; *ret is what stands behind. */
static char
label_of(struct str s, struct str *ret)
{
	char c = s.len >= 2 && s.p[1] == ':' ? (char)(s.p[0] | 0x20) : 0;

	if (str_starts(s, STR("-> ")) || str_starts(s, STR("<- "))) {
		*ret = str_skip(s, 3);
		return s.p[0] == '-' ? 'c' : 's';
	}
	if ((c != 'c' && c != 's') || (s.len > 2 && s.p[2] != ' '))
		return 0;
	*ret = str_skip(s, 3);
	return c;
}

static void
take_labelled(struct capture_parser *p, char who, struct str s)
{
	p->labelled = true;
	if (who == 'c') {
		if (!p->content && take_telnet(p, str_trim(s)))
			return;
		capture_sent(p, s);
		p->labelled = true;
		return;
	}
	if (!take_telnet_words(p, str_trim(s)))
		capture_came(p, s);
	p->labelled = true;
}

static void
take_line(struct capture_parser *p, struct str s)
{
	struct str rest;
	char who = p->open && !p->labelled ? 0 : label_of(s, &rest);

	if (who) {
		take_labelled(p, who, rest);
		return;
	}
	if (!p->labelled || !p->open) {
		take_plain(p, s);
		return;
	}
	struct str text = str_trim(s);
	if (str_starts(text, STR("<TLS")) || str_starts(text, STR("#  TLS")))
		capture_add(p, CAPTURE_TLS, STR(""));
	else if (!take_telnet_words(p, text) && text.len && text.p[0] != '#')
		capture_close(p, false); /* the text around it goes on */
}

/* --- */

/* A handshake before anything was said is TLS from the start. */
static void
finish(struct capture_session *s)
{
	if (s->n && s->v[0].op == CAPTURE_TLS) {
		s->implicit = true;
		memmove(s->v, s->v + 1, --s->n * sizeof(*s->v));
	}
}

/* Both sides have spoken, or it was no conversation. */
static bool
is_whole(const struct capture_session *s)
{
	bool came = false, sent = false;

	for (size_t i = 0; i < s->n; i++) {
		came |= s->v[i].op == CAPTURE_CAME;
		sent |= s->v[i].op == CAPTURE_SENT;
	}
	return came && sent;
}

bool
capture_parse(struct capture *c, struct str text, struct buf *err)
{
	struct capture_parser p = { .c = c };

	*c = (struct capture){ .text = NULL };
	if (text.len > CAPTURE_TEXT_MAX) {
		buf_putf(err, "it is larger than %u MiB", CAPTURE_TEXT_MAX >> 20);
		return false;
	}
	c->text = str_dup(text);
	p.rest = str_n(c->text, text.len);
	if (!capture_foreign(&p)) {
		while (p.rest.p) {
			struct str line = str_cut(&p.rest, '\n');
			p.line++;
			if (str_ends(line, STR("\r")))
				line.len--;
			take_line(&p, line);
		}
	}
	size_t n = 0;
	for (size_t i = 0; i < c->n; i++) {
		finish(&c->v[i]);
		if (is_whole(&c->v[i]))
			c->v[n++] = c->v[i];
		else
			free(c->v[i].v);
	}
	c->n = n;
	if (n == 0)
		buf_putz(err,
		    "there is no conversation in it: lines that begin with c: and s:, or a "
		    "server's greeting and what follows");
	return n > 0;
}

void
capture_done(struct capture *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].v);
	free(c->v);
	free(c->text);
	*c = (struct capture){ .text = NULL };
}
