/* A history as a conversation that can be played again: its lines become events of a transcript. */
#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/num.h"
#include "client/transcript.h"

#define CONTENT_MAX (1u << 20) /* of a chunk that stands for one of the letter */

/* In front of a history that begins in the middle of a session: what came before it belongs to the
 * letter before. */
static const char opening[] = "# The session had begun before; it is begun anew here.\n"
			      "S: 220.*\n"
			      "C: EHLO [127.0.0.1]\n"
			      "S*: 250-.*\n"
			      "S: 250 .*\n";

struct playing {
	struct transcript t;
	bool talked; /* there was a line already */
	bool called; /* the connection was told of */
	bool ended;  /* the letter, which was put in here, with its dot */
};

static void
emit(struct playing *p, enum event_kind kind, struct str octets, struct str masked)
{
	struct buf line = BUF_INIT(1u << 20);
	buf_puts(&line, octets);
	buf_putz(&line, "\r\n");
	const struct event e = { .kind = kind,
		.octets = kind == EVENT_SEND || kind == EVENT_LINE ? buf_str(&line) : STR_NULL,
		.masked = masked,
		.text = kind == EVENT_SEND || kind == EVENT_LINE ? STR_NULL : octets };
	transcript_event(&p->t, &e);
	buf_done(&line);
}

static void
connect_first(struct playing *p)
{
	if (!p->called)
		emit(p, EVENT_CONNECT, STR(""), STR_NULL);
	p->called = true;
}

/* Histories do not have what a letter says. */
static void
send_content(struct playing *p)
{
	emit(p, EVENT_SEND, STR("Subject: the letter itself is not in its history"), STR_NULL);
	emit(p, EVENT_SEND, STR(""), STR_NULL);
	emit(p, EVENT_SEND, STR("."), STR_NULL);
	p->ended = true;
}

/* "BDAT 123 LAST": as many octets follow. */
static void
send_chunk(struct playing *p, struct str command)
{
	struct str rest = command;
	uint64_t n;
	if (!str_ieq(str_word(&rest), STR("BDAT")) || !num_u64(str_word(&rest), CONTENT_MAX, &n))
		return;
	struct buf b = BUF_INIT(CONTENT_MAX);
	while (b.len + 64 <= n)
		buf_putz(&b, "X-Chunk: what the letter says is not kept in its history......\r\n");
	while (b.len < n)
		buf_putc(&b, n - b.len == 2 ? '\r' : n - b.len == 1 ? '\n' : 'X');
	const struct event e = { .kind = EVENT_SEND, .octets = buf_str(&b), .content = true };
	if (n)
		transcript_event(&p->t, &e);
	buf_done(&b);
}

static void
sent(struct playing *p, struct str text, bool secret)
{
	bool dot = p->ended && str_eq(text, STR(".")); /* relays write it down, fronts do not */
	p->ended = false;
	if (dot)
		return;
	connect_first(p);
	emit(p, EVENT_SEND, text, secret ? text : STR_NULL);
	if (!secret)
		send_chunk(p, text);
}

static void
came(struct playing *p, struct str text)
{
	connect_first(p);
	emit(p, EVENT_LINE, text, STR_NULL);
	if (str_starts(text, STR("354")))
		send_content(p);
}

/* What happened between the lines. */
static void
happened(struct playing *p, struct str text)
{
	if (str_starts(text, STR("TLS: ")) || str_starts(text, STR("TLSv"))) {
		connect_first(p);
		emit(p, EVENT_TLS, STR("TLS"), STR_NULL);
	} else if (str_starts(text, STR("connected to ")) && p->talked) {
		emit(p, EVENT_CLOSE, STR(""), STR_NULL);
		emit(p, EVENT_CONNECT, text, STR_NULL);
	}
}

/* Takes "+12ms c: text", "+12ms c (the secret left out): text", "+12ms s: text" or "+12ms # text"
 * apart; 0: it is none. */
static char
line_get(struct str line, struct str *ret_text, bool *ret_secret)
{
	struct str rest = str_skip(line, str_find(line, ' ') + 1);
	char mark = rest.len >= 2 ? rest.p[0] : '\0';
	*ret_secret = false;
	*ret_text = str_skip(rest, 2);
	if (mark == '#')
		return mark;
	if (mark != 'c' && mark != 's')
		return '\0';
	rest = str_skip(rest, 1);
	if (str_starts(rest, STR(" ("))) {
		*ret_secret = true;
		rest = str_skip(rest, str_find(rest, ')') + 1);
	}
	if (!str_starts(rest, STR(":")))
		return '\0';
	rest = str_skip(rest, 1);
	*ret_text = str_skip(rest, str_starts(rest, STR(" ")));
	*ret_secret = *ret_secret || str_find_str(*ret_text, STR(" hidden>")) < ret_text->len;
	return mark;
}

/* Histories are escaped (utf8_escape()); what is played is not. */
static void
put_octets(struct buf *out, struct str text)
{
	while (text.len) {
		size_t n = str_find(text, '\\');
		uint64_t octet = '\\';
		buf_puts(out, str_first(text, n));
		text = str_skip(text, n);
		bool hex =
		    text.len >= 4 && text.p[1] == 'x' && num_hex(str_n(text.p + 2, 2), &octet);
		if (text.len)
			buf_putc(out, (char)octet);
		text = str_skip(text, hex ? 4 : 2);
	}
}

static void
play_line(struct playing *p, struct str line)
{
	struct buf octets = BUF_INIT(1u << 20);
	struct str text;
	bool secret;
	char mark = line_get(line, &text, &secret);
	put_octets(&octets, text);
	if (mark == 'c')
		sent(p, buf_str(&octets), secret);
	else if (mark == 's')
		came(p, buf_str(&octets));
	else if (mark == '#')
		happened(p, text);
	p->talked = p->talked || mark == 'c' || mark == 's';
	buf_done(&octets);
}

/* Does a client's line come first? Then the greeting was an earlier letter's. */
static bool
begins_late(struct str lines)
{
	while (lines.p && lines.len) {
		struct str text;
		bool secret;
		char mark = line_get(str_cut(&lines, '\n'), &text, &secret);
		if (mark == 'c' || mark == 's')
			return mark == 'c';
	}
	return false;
}

bool
trace_show_conv(const struct msg_row *row)
{
	struct playing p = { .talked = false };
	struct str lines = row_field(row, TRACE_HISTORY);
	if (transcript_open(&p.t, NULL, TRANSCRIPT_CONV) < 0)
		return false;
	p.t.proto = str_find_str(lines, STR("c: LHLO ")) < lines.len ? "lmtp" : "smtp";
	p.t.opening = begins_late(lines) ? opening : NULL;
	while (lines.p && lines.len)
		play_line(&p, str_cut(&lines, '\n'));
	return transcript_close(&p.t) == 0 && p.talked;
}
