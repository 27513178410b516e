/* As little of each protocol as it takes to get to TLS. Replies are judged by their codes only. */
#include "client/exit.h"
#include "client/name.h"
#include "oneshot/cert_priv.h"

#include <stdio.h>

#define LINES_MAX 1000 /* of one reply */

const char *
cert_alpn(enum client_proto proto)
{
	static const char *const names[PROTO_COUNT] = { [PROTO_SMTP] = "smtp",
		[PROTO_IMAP] = "imap",
		[PROTO_POP3] = "pop3",
		[PROTO_SIEVE] = "managesieve" };

	return names[proto];
}

static int
line_status(enum link_status st)
{
	return st == LINK_TIMEOUT   ? CLIENT_TIMEOUT
	       : st == LINK_STOPPED ? CLIENT_INTERRUPTED
	                            : CLIENT_CLOSED;
}

/* What begins the last line of a reply, good or not. */
struct ending {
	const char *good;
	const char *const *bad;
};

static bool
begins(struct str line, const char *word)
{
	struct str w = str_of(word);

	/* IMAP and its kin are not particular about capitals (RFC 9051 9). */
	return str_istarts(line, w) &&
	       (line.len == w.len || w.p[w.len - 1] == ' ' || line.p[w.len] == ' ' ||
		   line.p[w.len] == '\r' || line.p[w.len] == '\n');
}

/* RFC 5321 4.2.1 */
static int
smtp_reply(struct link *l, int *ret_code, struct buf *text)
{
	for (int n = 0; n < LINES_MAX; n++) {
		struct str line;
		enum link_status st = link_line(l, STR_NULL, &line);
		if (st == LINK_PIECE)
			continue;
		if (st != LINK_OK)
			return line_status(st);
		line = str_trim(line);
		bool digits = line.len >= 3;
		for (size_t i = 0; i < 3 && digits; i++)
			digits = line.p[i] >= '0' && line.p[i] <= '9';
		if (!digits)
			break;
		if (line.len > 3 && line.p[3] == '-')
			continue;
		*ret_code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + line.p[2] - '0';
		buf_reset(text);
		show_escape(text, str_first(line, 200));
		return CLIENT_OK;
	}
	buf_reset(&l->why);
	buf_putf(&l->why,
	    "%s does not speak SMTP; --proto names another protocol, --tls=implicit is TLS from "
	    "the start",
	    l->label);
	return CLIENT_GREETING;
}

/* What was refused: a sentence in l->why. */
static int
refused(struct link *l, int status, const char *what, struct buf *text)
{
	buf_reset(&l->why);
	buf_putf(&l->why, "%s %s: " STR_FMT, l->label, what, STR_ARG(buf_str(text)));
	return status;
}

static int
say(struct link *l, const char *text)
{
	enum link_status st = link_line_send(l, str_of(text), STR_NULL);

	return st == LINK_OK ? CLIENT_OK : line_status(st);
}

static int
say_hello(struct link *l, const struct client_options *o)
{
	struct buf b = BUF_INIT(1024);

	buf_putz(&b, o->proto == PROTO_LMTP ? "LHLO " : "EHLO ");
	name_of_us(o->ehlo, l->fd, l->name, &b);
	int status = say(l, buf_cstr(&b) ? b.p : "");
	buf_done(&b);
	return status;
}

static int
smtp_begin(struct link *l, const struct client_options *o)
{
	struct buf text = BUF_INIT(2048);
	int code = 0;

	int status = smtp_reply(l, &code, &text);
	if (status == CLIENT_OK && code / 100 != 2)
		status = refused(l, CLIENT_GREETING, "greets us with", &text);
	if (status == CLIENT_OK)
		status = say_hello(l, o);
	if (status == CLIENT_OK)
		status = smtp_reply(l, &code, &text);
	if (status == CLIENT_OK && code / 100 != 2)
		status = refused(l, CLIENT_HELLO, "refuses EHLO", &text);
	if (status == CLIENT_OK)
		status = say(l, "STARTTLS");
	if (status == CLIENT_OK)
		status = smtp_reply(l, &code, &text);
	if (status == CLIENT_OK && code / 100 != 2)
		status = refused(l, CLIENT_TLS_REFUSED, "refuses STARTTLS", &text);
	buf_done(&text);
	return status;
}

/* Lines until one that begins with `good` or with one of `bad`. */
static int
wait_for(struct link *l, const struct ending *e, int bad_status, const char *what)
{
	for (int n = 0; n < LINES_MAX; n++) {
		struct str line;
		enum link_status st = link_line(l, STR_NULL, &line);
		if (st == LINK_PIECE)
			continue;
		if (st != LINK_OK)
			return line_status(st);
		if (begins(line, e->good))
			return CLIENT_OK;
		for (const char *const *bad = e->bad; *bad; bad++) {
			if (!begins(line, *bad))
				continue;
			struct buf text = BUF_INIT(2048);
			show_escape(&text, str_first(str_trim(line), 200));
			int status = refused(l, bad_status, what, &text);
			buf_done(&text);
			return status;
		}
	}
	buf_reset(&l->why);
	buf_putf(&l->why, "%s %s: a reply that never ends", l->label, what);
	return bad_status;
}

struct words {
	struct ending greeting;
	const char *starttls;
	struct ending reply;
};

static int
words_begin(struct link *l, const struct words *w)
{
	int status = wait_for(l, &w->greeting, CLIENT_GREETING, "greets us with");

	if (status == CLIENT_OK)
		status = say(l, w->starttls);
	if (status == CLIENT_OK)
		status = wait_for(l, &w->reply, CLIENT_TLS_REFUSED, "refuses TLS");
	return status;
}

static const char *const imap_bad[] = { "* BYE", "* NO", "* BAD", NULL };
static const char *const imap_tag_bad[] = { "a1 NO", "a1 BAD", "* BYE", NULL };
static const char *const pop3_bad[] = { "-ERR", NULL };
static const char *const sieve_bad[] = { "NO", "BYE", NULL };
static const struct words imap_words = { { "* OK", imap_bad }, "a1 STARTTLS",
	{ "a1 OK", imap_tag_bad } };
static const struct words pop3_words = { { "+OK", pop3_bad }, "STLS", { "+OK", pop3_bad } };
static const struct words sieve_words = { { "OK", sieve_bad }, "STARTTLS", { "OK", sieve_bad } };

int
cert_open(struct cert_report *r, struct link *l, const struct link_conf *conf, struct events *ev)
{
	const struct client_options *o = r->o;
	int status = link_open(l, conf, ev);

	if (status != CLIENT_OK || !r->starttls)
		return status;
	switch (o->proto) {
	case PROTO_SMTP:
	case PROTO_LMTP:
		return smtp_begin(l, o);
	case PROTO_IMAP:
		return words_begin(l, &imap_words);
	case PROTO_POP3:
		return words_begin(l, &pop3_words);
	case PROTO_SIEVE:
		return words_begin(l, &sieve_words);
	case PROTO_RAW:
	case PROTO_COUNT:
		break;
	}
	return CLIENT_OK;
}
