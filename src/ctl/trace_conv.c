/* A history as a conversation that can be played again: its lines become events of a transcript. */
#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "client/transcript.h"

struct playing {
	struct transcript t;
	bool tls; /* STARTTLS was said; its answer comes */
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
		.text = kind == EVENT_SEND || kind == EVENT_LINE ? STR_NULL : octets,
		.status = kind == EVENT_CLOSE };
	transcript_event(&p->t, &e);
	buf_done(&line);
}

/* Histories do not have what a letter says. */
static void
send_content(struct playing *p)
{
	emit(p, EVENT_SEND, STR("Subject: the letter itself is not in its history"), STR_NULL);
	emit(p, EVENT_SEND, STR(""), STR_NULL);
	emit(p, EVENT_SEND, STR("."), STR_NULL);
}

static void
sent(struct playing *p, struct str text, bool secret)
{
	p->tls = str_ieq(str_trim(text), STR("STARTTLS"));
	emit(p, EVENT_SEND, text, secret ? text : STR_NULL);
}

static void
came(struct playing *p, struct str text)
{
	emit(p, EVENT_LINE, text, STR_NULL);
	if (p->tls && str_starts(text, STR("220")))
		emit(p, EVENT_TLS, STR("TLS"), STR_NULL);
	p->tls = false;
	if (str_starts(text, STR("354")))
		send_content(p);
}

/* "+12ms c: text", "+12ms c (the secret left out): text", "+12ms s: text", "+12ms # text" */
static bool
play_line(struct playing *p, struct str line)
{
	struct str rest = str_skip(line, str_find(line, ' ') + 1);
	if (rest.len < 2 || (rest.p[0] != 'c' && rest.p[0] != 's'))
		return false;
	bool ours = rest.p[0] == 'c', secret = false;
	rest = str_skip(rest, 1);
	if (str_starts(rest, STR(" ("))) {
		secret = true;
		rest = str_skip(rest, str_find(rest, ')') + 1);
	}
	if (!str_starts(rest, STR(":")))
		return false;
	rest = str_skip(rest, 1);
	if (str_starts(rest, STR(" ")))
		rest = str_skip(rest, 1);
	secret = secret || str_find_str(rest, STR(" hidden>")) < rest.len;
	if (ours)
		sent(p, rest, secret);
	else
		came(p, rest);
	return true;
}

bool
trace_show_conv(const struct msg_row *row)
{
	struct playing p = { .tls = false };
	struct str lines = row_field(row, TRACE_HISTORY);
	bool any = false;
	if (!str_eq(row_field(row, TRACE_KIND), STR("letter")) ||
	    transcript_open(&p.t, NULL, TRANSCRIPT_CONV) < 0)
		return false;
	p.t.proto = str_find_str(lines, STR("c: LHLO ")) < lines.len ? "lmtp" : "smtp";
	emit(&p, EVENT_CONNECT, STR(""), STR_NULL);
	while (lines.p && lines.len)
		any |= play_line(&p, str_cut(&lines, '\n'));
	return transcript_close(&p.t) == 0 && any;
}
