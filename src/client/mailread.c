#include "client/mailread_priv.h"

#include "base/check.h"
#include "sys/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define COMMAND_MAX (64u << 10)

void
mailread_init(struct mailread *m, struct link *l, enum client_proto proto, const char *host)
{
	*m = (struct mailread){ .link = l, .ev = l->ev, .proto = proto, .host = host };
	buf_init(&m->greeting, MAILREAD_TEXT_MAX);
	buf_init(&m->caps, MAILREAD_CAPS_MAX);
	buf_init(&m->text, 32u << 10); /* a challenge of SASL has room */
	buf_init(&m->why, 4096);
	imap_reader_init(&m->reader, IMAP_READER_ARENA);
	m->reader.sieve = proto == PROTO_SIEVE;
}

void
mailread_done(struct mailread *m)
{
	buf_done(&m->greeting);
	buf_done(&m->caps);
	buf_done(&m->text);
	buf_done(&m->why);
	imap_reader_done(&m->reader);
}

/* --- what goes wrong --- */

int
mailread_fail(struct mailread *m, int status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_reset(&m->why);
	buf_vputf(&m->why, fmt, ap);
	va_end(ap);
	return status;
}

int
mailread_lost(struct mailread *m, enum link_status s)
{
	static const char step_default[] = "conversation";
	const char *step = m->step ? m->step : step_default;
	if (s == LINK_STOPPED)
		return mailread_fail(m, CLIENT_INTERRUPTED, "interrupted");
	if (s == LINK_TIMEOUT)
		return mailread_fail(m, CLIENT_TIMEOUT,
		    "%s: no answer in %" PRId64 " seconds; --timeout allows more", step,
		    m->link->conf->timeout_ms / 1000);
	if (s == LINK_END)
		return mailread_fail(m, CLIENT_CLOSED, "%s: the server closed the connection",
		    step);
	return mailread_fail(m, CLIENT_CLOSED, "%s: " STR_FMT, step,
	    STR_ARG(buf_str(&m->link->why)));
}

int
mailread_refused(struct mailread *m, int status, const char *what)
{
	const char *open = m->code[0] ? "[" : "", *close = m->code[0] ? "] " : "";
	return mailread_fail(m, status, "%s was refused: %s%s%s" STR_FMT, what, open, m->code,
	    close, STR_ARG(buf_str(&m->text)));
}

/* --- lines out --- */

void
mailread_line_init(struct mailread_line *l)
{
	buf_init(&l->text, COMMAND_MAX);
	buf_init(&l->shown, COMMAND_MAX);
	l->secret = false;
}

void
mailread_line_done(struct mailread_line *l)
{
	buf_wipe(&l->text);
	buf_done(&l->text);
	buf_done(&l->shown);
}

void
mailread_line_puts(struct mailread_line *l, struct str s)
{
	buf_puts(&l->text, s);
	buf_puts(&l->shown, s);
}

void
mailread_line_secret(struct mailread_line *l, struct str s, struct str shown)
{
	buf_puts(&l->text, s);
	buf_puts(&l->shown, shown);
	l->secret = true;
}

int
mailread_line_send(struct mailread *m, struct mailread_line *l)
{
	if (l->text.failed)
		return mailread_fail(m, CLIENT_USAGE, "a command would be longer than %u octets",
		    COMMAND_MAX);
	struct str shown = l->secret ? buf_str(&l->shown) : STR_NULL;
	enum link_status s = link_line_send(m->link, buf_str(&l->text), shown);
	buf_wipe(&l->text);
	buf_reset(&l->shown);
	l->secret = false;
	return s == LINK_OK ? CLIENT_OK : mailread_lost(m, s);
}

void
mailread_tag(struct mailread *m, struct mailread_line *l)
{
	char tag[16];
	int n = snprintf(tag, sizeof(tag), "a%03u ", ++m->tag % 1000000);
	mailread_line_puts(l, str_n(tag, (size_t)n));
}

/* --- IMAP and ManageSieve --- */

void
mailread_keep(struct mailread *m, const struct imap_response *r)
{
	m->good = r->status == IMAP_OK || r->status == IMAP_PREAUTH;
	(void)str_copy(m->code, sizeof(m->code), str_first(r->code, sizeof(m->code) - 1));
	buf_reset(&m->text);
	buf_puts(&m->text, str_first(r->text, MAILREAD_TEXT_MAX));
}

static void
tell(struct mailread *m, struct str word)
{
	struct buf text = BUF_INIT(MAILREAD_TEXT_MAX * 2);
	buf_puts(&text, word);
	if (m->code[0])
		buf_putf(&text, " [%s]", m->code);
	buf_putf(&text, " " STR_FMT, STR_ARG(buf_str(&m->text)));
	event_emit(m->ev, &(struct event){ .kind = EVENT_REPLY,
			      .text = buf_str(&text),
			      .step = m->step,
			      .took_us = m->link->sent_us ? sys_mono_us() - m->link->sent_us : 0 });
	buf_done(&text);
}

/* A response that is not the answer: capabilities may come in any. */
static void
aside(struct mailread *m, const struct imap_response *r)
{
	if (str_ieq(r->name, STR("CAPABILITY")))
		mailread_caps_nodes(m, r->data);
	else if (str_ieq(r->code, STR("CAPABILITY")))
		mailread_caps_text(m, r->code_args);
	if (str_ieq(r->name, STR("EXISTS")) && r->has_number)
		m->exists = r->number;
	if (m->untagged)
		m->untagged(m, r);
}

int
mailread_next(struct mailread *m, const struct imap_response **ret)
{
	uint64_t octets = 0;
	for (;;) {
		struct str line;
		bool letter = imap_reader_literal_left(&m->reader) > 0 && m->letter;
		enum link_status s = link_line(m->link, STR_NULL, &line);
		if (s != LINK_OK && s != LINK_PIECE)
			return mailread_lost(m, s);
		octets += letter ? 0 : line.len;
		if (octets > MAILREAD_ANSWER_MAX)
			return mailread_fail(m, CLIENT_EXPECT,
			    "%s: the answer does not end (%u octets so far)", m->step,
			    MAILREAD_ANSWER_MAX);
		for (;;) {
			const struct imap_response *r = imap_reader_feed(&m->reader, &line);
			if (!r)
				break;
			if (r->kind != IMAP_UNTAGGED && r->kind != IMAP_STRANGE) {
				*ret = r;
				return CLIENT_OK;
			}
			aside(m, r);
			if (r->status == IMAP_BYE || (r->status == IMAP_OK && m->tag == 0) ||
			    r->status == IMAP_PREAUTH || (r->kind == IMAP_STRANGE && m->tag == 0)) {
				*ret = r; /* greetings, and the end */
				return CLIENT_OK;
			}
		}
	}
}

int
mailread_tagged(struct mailread *m)
{
	const struct imap_response *r = NULL;
	for (;;) {
		int status = mailread_next(m, &r);
		if (status != CLIENT_OK)
			return status;
		if (r->kind == IMAP_TAGGED)
			break;
		if (r->status == IMAP_BYE && strcmp(m->step, "logout") != 0) {
			mailread_keep(m, r);
			return mailread_fail(m, CLIENT_CLOSED,
			    "%s: the server says goodbye: " STR_FMT, m->step,
			    STR_ARG(buf_str(&m->text)));
		}
	}
	mailread_keep(m, r);
	if (str_ieq(r->code, STR("CAPABILITY")))
		mailread_caps_text(m, r->code_args);
	tell(m, str_of(imap_status_name[r->status]));
	return CLIENT_OK;
}

int
mailread_command(struct mailread *m, const char *fmt, ...)
{
	struct mailread_line l;
	struct buf text = BUF_INIT(COMMAND_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	mailread_line_init(&l);
	if (m->proto == PROTO_IMAP)
		mailread_tag(m, &l);
	mailread_line_puts(&l, buf_str(&text));
	int status = mailread_line_send(m, &l);
	mailread_line_done(&l);
	buf_done(&text);
	return status == CLIENT_OK ? mailread_tagged(m) : status;
}

/* --- POP3 --- */

int
mailread_pop_answer(struct mailread *m, enum pop_status *ret)
{
	static const char *const words[] = { "+OK", "-ERR", "+", "" };
	struct pop_answer a;
	struct str line;
	enum link_status s = link_line(m->link, STR_NULL, &line);
	if (s != LINK_OK && s != LINK_PIECE)
		return mailread_lost(m, s);
	pop_answer_read(line, &a);
	m->good = a.status == POP_OK;
	(void)str_copy(m->code, sizeof(m->code), str_first(a.code, sizeof(m->code) - 1));
	buf_reset(&m->text);
	buf_puts(&m->text,
	    str_first(a.text, a.status == POP_CHALLENGE ? SIZE_MAX : MAILREAD_TEXT_MAX));
	*ret = a.status;
	while (s == LINK_PIECE) { /* what is too long to be an answer is passed over */
		s = link_line(m->link, STR_NULL, &line);
		if (s != LINK_OK && s != LINK_PIECE)
			return mailread_lost(m, s);
		m->letter_size += line.len;
		if (m->letter_size > MAILREAD_ANSWER_MAX)
			return mailread_fail(m, CLIENT_EXPECT, "%s: a line that does not end",
			    m->step);
	}
	m->letter_size = 0;
	if (a.status == POP_STRANGE)
		return mailread_fail(m, CLIENT_EXPECT, "%s: that is no answer of POP3: " STR_FMT,
		    m->step, STR_ARG(buf_str(&m->text)));
	if (a.status != POP_CHALLENGE)
		tell(m, str_of(words[a.status]));
	return CLIENT_OK;
}

int
mailread_pop(struct mailread *m, const char *fmt, ...)
{
	struct mailread_line l;
	enum pop_status answer;
	struct buf text = BUF_INIT(COMMAND_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	mailread_line_init(&l);
	mailread_line_puts(&l, buf_str(&text));
	int status = mailread_line_send(m, &l);
	mailread_line_done(&l);
	buf_done(&text);
	return status == CLIENT_OK ? mailread_pop_answer(m, &answer) : status;
}

int
mailread_pop_lines(struct mailread *m, void (*fn)(void *arg, struct str piece), void *arg)
{
	struct pop_dot dot = { 0 };
	uint64_t octets = 0;
	while (!dot.ended) {
		struct str line;
		enum link_status s = link_line(m->link, STR_NULL, &line);
		if (s != LINK_OK && s != LINK_PIECE)
			return mailread_lost(m, s);
		octets += m->letter ? 0 : line.len;
		if (octets > MAILREAD_ANSWER_MAX)
			return mailread_fail(m, CLIENT_EXPECT,
			    "%s: the answer does not end (%u octets so far)", m->step,
			    MAILREAD_ANSWER_MAX);
		(void)pop_dot_feed(&dot, &line, fn, arg);
	}
	return CLIENT_OK;
}
