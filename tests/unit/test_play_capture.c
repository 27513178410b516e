/* Captures: what is the client's, what the server's, what nobody's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "play/capture.h"
#include "play/replay.h"

static const struct {
	const char *name, *text;
	const char *result; /* sessions parted by a blank line, "c text|" "s text|" "T|" "E|" */
} rows[] = {
	{ "telnet",
	    "Words.\n$ telnet mail.example.com 25\nTrying 192.0.2.1...\n"
	    "Connected to mail.example.com.\nEscape character is '^]'.\n220 hi\nquit\n"
	    "221 bye\nConnection closed by foreign host.\n$\nMore words.\n",
	    "mail.example.com:25 s 220 hi|c quit|s 221 bye|E|" },
	{ "labels", "c: telnet $HOST 587\ns: Trying 192.0.2.1...\ns: 220 hi\nc: EHLO x\ns: 250 x\n",
	    "$HOST:587 s 220 hi|c EHLO x|s 250 x|" },
	{ "IMAP with labels",
	    "C: a1 STARTTLS\nS: a1 OK go\n<TLS negotiation>\nC: a2 NOOP\nS: a2 OK\n",
	    ":0 c a1 STARTTLS|s a1 OK go|T|c a2 NOOP|s a2 OK|" },
	{ "content", "220 hi\ndata\n354 go\n250 no reply\n\n..\n.\n250 ok\n",
	    ":0 s 220 hi|c data|s 354 go|c 250 no reply|c |c ..|c .|s 250 ok|" },
	{ "dot and blank", "220 hi\ndata\n354 go\nx\n. \n250 ok\nquit\n221 x\n",
	    ":0 s 220 hi|c data|s 354 go|c x|c . |s 250 ok|c quit|s 221 x|" },
	{ "typos and answers", "220 hi\nfoo\n500 what\nauth login\n334 x\nabc=\n235 ok\nThe end.\n",
	    ":0 s 220 hi|c foo|s 500 what|c auth login|s 334 x|c abc=|s 235 ok|" },
	{ "blank lines between", "220 hi\n\nEHLO x\n\n250 x\n\nCategories:\n",
	    ":0 s 220 hi|c EHLO x|s 250 x|" },
	{ "two", "220 a\nquit\n221 a\nAnd then:\n220 b\nquit\n221 b\n",
	    ":0 s 220 a|c quit|s 221 a|\n:0 s 220 b|c quit|s 221 b|" },
	{ "a list of codes", "421 no\n450 later\n", NULL },
	{ "a greeting alone", "220 hi\n", NULL },
	{ "nothing", "", NULL },
	{ "json",
	    "{\"t\":0.1,\"ev\":\"connect\",\"text\":\"x\"}\n"
	    "{\"t\":0.1,\"ev\":\"line\",\"text\":\"220 hi\\r\\n\"}\n"
	    "{\"t\":0.1,\"ev\":\"send\",\"text\":\"QUIT\\r\\n\"}\n",
	    ":0 s 220 hi|c QUIT|" },
	{ "html",
	    "<!DOCTYPE html>\n<div class=\"s\">220 &lt;a&gt;</div>\n<div class=\"c\">c: "
	    "QUIT</div>\n",
	    ":0 s 220 <a>|c QUIT|" },
};

static void
put_session(struct buf *b, const struct capture_session *s)
{
	buf_putf(b, "%s" STR_FMT ":%u ", b->len ? "\n" : "", STR_ARG(s->host), s->port);
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].op == CAPTURE_SENT || s->v[i].op == CAPTURE_CAME)
			buf_putf(b, "%c " STR_FMT "|", s->v[i].op == CAPTURE_SENT ? 'c' : 's',
			    STR_ARG(s->v[i].text));
		else
			buf_putz(b, s->v[i].op == CAPTURE_TLS ? "T|" : "E|");
	}
}

static void
reads(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf err = BUF_INIT(4096), got = BUF_INIT(65536);
		struct capture c;
		bool ok = capture_parse(&c, str_of(rows[i].text), &err);
		for (size_t k = 0; k < c.n; k++)
			put_session(&got, &c.v[k]);
		if (ok != (rows[i].result != NULL) || ok == (err.len > 0))
			fail_msg("%s: " STR_FMT, rows[i].name, STR_ARG(buf_str(&err)));
		if (ok && !str_eq(buf_str(&got), str_of(rows[i].result)))
			fail_msg("%s: " STR_FMT, rows[i].name, STR_ARG(buf_str(&got)));
		capture_done(&c);
		buf_done(&err);
		buf_done(&got);
	}
}

static void
compares(void **state)
{
	static const struct {
		enum capture_proto proto;
		enum replay_diff diff;
		const char *was, *is;
		bool same;
	} pairs[] = {
		{ CAPTURE_SMTP, REPLAY_CODE, "250 a", "250 b", true },
		{ CAPTURE_SMTP, REPLAY_CODE, "250-a\n250 b", "250 b", true },
		{ CAPTURE_SMTP, REPLAY_CODE, "250 a", "550 a", false },
		{ CAPTURE_SMTP, REPLAY_ENHANCED, "550 5.7.1 a", "550 5.7.1 b", true },
		{ CAPTURE_SMTP, REPLAY_ENHANCED, "550 5.7.1 a", "550 5.1.1 a", false },
		{ CAPTURE_SMTP, REPLAY_ENHANCED, "452 #4.3.1 a", "452 4.3.1 b", true },
		{ CAPTURE_SMTP, REPLAY_TEXT, "250 a", "250 b", false },
		{ CAPTURE_IMAP, REPLAY_CODE, "* X\na1 OK x", "a1 OK y", true },
		{ CAPTURE_IMAP, REPLAY_CODE, "a1 OK x", "a1 NO x", false },
		{ CAPTURE_POP3, REPLAY_CODE, "+OK a", "+OK", true },
		{ CAPTURE_POP3, REPLAY_CODE, "+OK a", "-ERR", false },
		{ CAPTURE_SMTP, REPLAY_CODE, "", "", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (replay_same(pairs[i].proto, pairs[i].diff, str_of(pairs[i].was),
			str_of(pairs[i].is)) != pairs[i].same)
			fail_msg("%s / %s", pairs[i].was, pairs[i].is);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(compares),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
