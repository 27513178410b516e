#include "play/replay.h"

#include "base/base64.h"
#include "base/check.h"
#include "cli/cli.h"
#include "client/exit.h"
#include "client/show.h"
#include "play/wire.h"

#include <stdlib.h>

#define REPLY_MAX (1u << 20)
#define LINES_MAX 10000

struct play {
	const struct capture_session *s;
	const struct replay_options *o;
	struct wire wire;
	struct buf was, is; /* the reply at hand: lines parted by \n */
	struct buf secret;
	struct str sent; /* the last command, for what its answer means */
	bool ended;      /* the server has closed */
	bool dot_blank;  /* the last line sent is a dot and blanks */
	unsigned differ;
	int status;
};

/* --- comparing -------------------------------------------------------------------------- */

static struct str
last_line(struct str reply)
{
	size_t lf = str_rfind(reply, '\n');
	return lf < reply.len ? str_skip(reply, lf + 1) : reply;
}

/* "5.7.1", or nothing. */
static struct str
enhanced_of(struct str line)
{
	struct str rest = str_skip(line, 4);
	struct str word = str_word(&rest);
	unsigned dots = 0;

	if (str_starts(word, STR("#")))
		word = str_skip(word, 1);
	for (size_t i = 0; i < word.len; i++) {
		bool digit = word.p[i] >= '0' && word.p[i] <= '9';
		if (!digit && word.p[i] != '.')
			return STR("");
		dots += !digit;
	}
	return dots == 2 ? word : STR("");
}

/* "250", "OK", "+OK": what decides. */
static struct str
code_of(enum capture_proto proto, struct str line)
{
	struct str first;

	if (proto == CAPTURE_SMTP)
		return str_first(line, 3);
	first = str_word(&line);
	return proto == CAPTURE_IMAP && !str_eq(first, STR("+")) ? str_word(&line) : first;
}

bool
replay_same(enum capture_proto proto, enum replay_diff diff, struct str was, struct str is)
{
	struct str a = last_line(was), b = last_line(is);

	if (diff == REPLAY_TEXT)
		return str_eq(was, is);
	if (!str_ieq(code_of(proto, a), code_of(proto, b)))
		return false;
	return diff == REPLAY_CODE || proto != CAPTURE_SMTP ||
	       str_eq(enhanced_of(a), enhanced_of(b));
}

/* --- showing ------------------------------------------------------------------------------ */

static void
say(struct play *p, const char *lead, const char *color, struct str text)
{
	struct buf b = BUF_INIT(REPLY_MAX * 4);

	if (p->o->color)
		buf_putz(&b, color);
	buf_putz(&b, lead);
	show_escape(&b, text);
	if (p->o->color && *color)
		buf_putz(&b, "\x1b[0m");
	buf_putc(&b, '\n');
	fwrite(b.p, 1, b.len, p->o->out);
	fflush(p->o->out);
	buf_done(&b);
}

static void
say_lines(struct play *p, const char *lead, const char *color, struct str reply)
{
	while (reply.p && reply.len)
		say(p, lead, color, str_cut(&reply, '\n'));
}

/* Under the first octet in which two lines differ. */
static void
point(struct play *p, struct str was, struct str is)
{
	size_t at = 0;

	while (at < was.len && at < is.len && was.p[at] == is.p[at])
		at++;
	if (str_find(was, '\n') < was.len || str_find(is, '\n') < is.len || at > 200)
		return;
	fprintf(p->o->out, "     %*s^\n", (int)at, "");
}

static void
compare(struct play *p)
{
	struct str was = buf_str(&p->was), is = buf_str(&p->is);

	if (replay_same(p->s->proto, p->o->diff, was, is)) {
		say_lines(p, "  s: ", "\x1b[31m", is);
		return;
	}
	p->differ++;
	say_lines(p, "- s: ", "\x1b[1;35m", was);
	say_lines(p, "+ s: ", "\x1b[1;31m", is);
	if (p->is.len)
		point(p, was, is);
}

/* --- the server's side ---------------------------------------------------------------------- */

static int
failed(struct play *p, int status, const char *what)
{
	if (p->wire.link.why.len)
		fprintf(stderr, "pennypost replay: " STR_FMT "\n",
		    STR_ARG(buf_str(&p->wire.link.why)));
	else
		fprintf(stderr, "pennypost replay: %s\n", what);
	return p->status = status;
}

/* The reply that is recorded at *i; *i then stands behind it. */
static void
recorded(struct play *p, size_t *i)
{
	const struct capture_session *s = p->s;

	buf_reset(&p->was);
	while (*i < s->n && s->v[*i].op == CAPTURE_CAME) {
		struct str line = s->v[(*i)++].text;
		buf_putf(&p->was, "%s" STR_FMT, p->was.len ? "\n" : "", STR_ARG(line));
		/* POP3 says nothing about how long its answers are: what stands there counts. */
		if (s->proto != CAPTURE_POP3 && capture_is_last(s->proto, line))
			break;
		if (s->proto == CAPTURE_IMAP && str_starts(line, STR("* ")) && p->sent.len == 0)
			break; /* the greeting */
	}
}

static size_t
count_lines(struct str s)
{
	size_t n = s.len > 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.p[i] == '\n';
	return n;
}

/* Is the actual reply whole? */
static bool
is_whole(struct play *p, struct str line, size_t n)
{
	if (p->s->proto == CAPTURE_POP3)
		return str_starts(line, STR("-ERR")) || count_lines(buf_str(&p->was)) <= 1 ||
		       str_eq(line, STR("."));
	if (p->s->proto == CAPTURE_IMAP && p->sent.len == 0)
		return true;
	return capture_is_last(p->s->proto, line) || n >= LINES_MAX;
}

static bool
receive(struct play *p)
{
	buf_reset(&p->is);
	for (size_t n = 1; !p->ended; n++) {
		struct str raw, line;
		switch (wire_peek(&p->wire, p->o->link.timeout_ms, &raw)) {
		case WIRE_LINE:
			break;
		case WIRE_TIMEOUT:
			if (p->dot_blank)
				complain("the letter ends with a dot and a blank, which most "
					 "servers "
					 "do not take for its end; take the blank away");
			failed(p, CLIENT_TIMEOUT,
			    "the server does not answer; --timeout waits longer");
			return false;
		case WIRE_STOPPED:
			p->status = CLIENT_INTERRUPTED;
			return false;
		case WIRE_END:
		case WIRE_FLOOD:
			p->ended = true;
			continue;
		}
		line = str_first(raw, MIN(str_find_any(raw, "\r\n"), (size_t)65536));
		if (p->is.len + line.len < REPLY_MAX)
			buf_putf(&p->is, "%s" STR_FMT, p->is.len ? "\n" : "", STR_ARG(line));
		bool whole = is_whole(p, line, n);
		wire_take(&p->wire, raw);
		if (whole)
			return true;
	}
	if (!p->is.len)
		buf_putz(&p->is, "(the server closed the connection)");
	return true;
}

/* --- ours ------------------------------------------------------------------------------------- */

static bool
is_starttls(const struct play *p)
{
	struct str sent = p->sent, word = str_word(&sent);

	if (p->s->proto == CAPTURE_IMAP)
		word = str_word(&sent);
	return str_ieq(word, STR("STARTTLS")) || str_ieq(word, STR("STLS"));
}

static bool
shake_hands(struct play *p)
{
	static const char *const alpn[] = { NULL, "imap", "pop3" };
	struct buf text = BUF_INIT(512);

	if (wire_tls(&p->wire, alpn[p->s->proto]) != CLIENT_OK) {
		failed(p, CLIENT_TLS, "no TLS");
		return false;
	}
	buf_putf(&text, "%s, %s", p->wire.link.facts.version, p->wire.link.facts.cipher);
	say(p, "  #  ", "", buf_str(&text));
	buf_done(&text);
	return true;
}

/* What a masked line was: "<user name, base64>", "AUTH PLAIN <... hidden>", "<password hidden>". */
static bool
put_secret(struct play *p, struct str line, struct buf *out)
{
	size_t open = str_rfind(line, '<');
	struct str lead = str_first(line, open), what = str_skip(line, open);
	struct str user = p->o->user;
	bool is_user = str_starts(what, STR("<user name"));
	bool plain = str_find_str(lead, STR("PLAIN")) < lead.len ||
	             str_find_str(p->sent, STR("PLAIN")) < p->sent.len ||
	             str_find_str(what, STR("and password")) < what.len;
	struct buf octets = BUF_INIT(65536);

	if (!user.len) {
		failed(p, CLIENT_USAGE,
		    "a log-in was masked when this was recorded; say --user NAME, and the password "
		    "is asked for");
		return false;
	}
	if (!is_user && !p->secret.len && !p->o->secret(p->o->arg, &p->secret)) {
		p->status = CLIENT_USAGE;
		return false;
	}
	if (plain) {
		buf_putc(&octets, '\0');
		buf_puts(&octets, user);
		buf_putc(&octets, '\0');
	} else if (is_user) {
		buf_puts(&octets, user);
	}
	if (!is_user)
		buf_puts(&octets, buf_str(&p->secret));
	buf_puts(out, lead);
	if (p->s->proto == CAPTURE_SMTP || plain)
		base64_enc(out, buf_str(&octets));
	else
		buf_puts(out, buf_str(&octets));
	buf_wipe(&octets);
	buf_done(&octets);
	return true;
}

static bool
send_line(struct play *p, const struct capture_line *l)
{
	struct buf b = BUF_INIT(CAPTURE_TEXT_MAX + 2);
	bool ok = true;

	if (l->masked)
		ok = put_secret(p, l->text, &b);
	else
		buf_puts(&b, l->text);
	buf_putz(&b, "\r\n");
	if (ok) {
		say(p, "  c: ", "\x1b[34m", l->text);
		enum link_status st =
		    wire_send(&p->wire, buf_str(&b), l->masked ? l->text : STR_NULL, l->content);
		if (st == LINK_TIMEOUT || st == LINK_STOPPED) {
			failed(p, st == LINK_TIMEOUT ? CLIENT_TIMEOUT : CLIENT_INTERRUPTED,
			    "the server does not read");
			ok = false;
		}
	}
	if (!l->content)
		p->sent = l->text;
	p->dot_blank = l->content && l->text.len > 1 && str_eq(str_trim(l->text), STR("."));
	buf_wipe(&b);
	buf_done(&b);
	return ok;
}

/* A letter whose DATA was refused now would be taken for commands. */
static bool
content_refused(const struct play *p, const struct capture_line *l)
{
	return l->content && str_ieq(str_trim(p->sent), STR("DATA")) &&
	       !str_starts(buf_str(&p->is), STR("354"));
}

static bool
answer(struct play *p, size_t *i)
{
	recorded(p, i);
	if (!receive(p))
		return false;
	compare(p);
	if (p->ended)
		return false;
	bool good = p->s->proto == CAPTURE_SMTP ? str_starts(buf_str(&p->is), STR("2"))
	            : p->s->proto == CAPTURE_POP3
	                ? str_starts(buf_str(&p->is), STR("+OK"))
	                : str_ieq(code_of(CAPTURE_IMAP, last_line(buf_str(&p->is))), STR("OK"));
	if (is_starttls(p) && good && p->wire.link.tls == NULL && !shake_hands(p))
		return false;
	return true;
}

static void
play_lines(struct play *p)
{
	/* What people paste begins behind the greeting at times. */
	if (p->s->v[0].op == CAPTURE_SENT) {
		if (!receive(p))
			return;
		say_lines(p, "  s: ", "\x1b[31m", buf_str(&p->is));
	}
	for (size_t i = 0; i < p->s->n && p->status == CLIENT_OK;) {
		const struct capture_line *l = &p->s->v[i];
		if (l->op == CAPTURE_CAME) {
			if (!answer(p, &i))
				return;
			continue;
		}
		i++;
		if (l->op != CAPTURE_SENT)
			continue; /* TLS goes by what the server says now */
		if (content_refused(p, l)) {
			say(p, "  #  ", "", STR("the letter is not sent: DATA was refused"));
			return;
		}
		if (!send_line(p, l))
			return;
	}
}

int
replay_play(const struct capture_session *s, const struct replay_options *o)
{
	struct play p = { .s = s,
		.o = o,
		.was = BUF_INIT(REPLY_MAX * 2),
		.is = BUF_INIT(REPLY_MAX * 2),
		.secret = BUF_INIT(65536) };

	p.status = wire_open(&p.wire, &o->link, NULL, NULL);
	if (p.status != CLIENT_OK)
		failed(&p, p.status, "no connection");
	else if (!s->implicit || shake_hands(&p))
		play_lines(&p);
	wire_close(&p.wire);
	if (p.differ)
		fprintf(o->out, "%u %s from what was recorded\n", p.differ,
		    p.differ == 1 ? "answer differs" : "answers differ");
	else if (p.status == CLIENT_OK)
		fprintf(o->out, "every answer is as it was recorded\n");
	buf_wipe(&p.secret);
	buf_done(&p.secret);
	buf_done(&p.was);
	buf_done(&p.is);
	return p.status != CLIENT_OK ? p.status : p.differ ? CLIENT_EXPECT : CLIENT_OK;
}
