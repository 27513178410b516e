#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/show.h"

#include <stdlib.h>

#define S(lit)                                                                                     \
	{                                                                                          \
		"" lit, sizeof(lit) - 1                                                            \
	}

static const struct {
	struct str in, out;
} escapes[] = {
	{ S("250 OK"), S("250 OK") },
	{ S("a\\b"), S("a\\b") },
	{ S("\x1b[2J\x07"), S("\\x1b[2J\\x07") },
	{ S("a\tb\r\nc"), S("a\\x09b\\x0d\\x0ac") },
	{ S("a\0b"), S("a\\x00b") },
	{ S("\x7f"), S("\\x7f") },
	{ S("\x9b"
	    "31m"),
	    S("\\x9b"
	      "31m") },
	{ S("\xc2\x9b"
	    "31m"),
	    S("\\xc2\\x9b"
	      "31m") },
	{ S("\xe2\x80\x9c"
	    "End\xe2\x80\x9d"),
	    S("\xe2\x80\x9c"
	      "End\xe2\x80\x9d") },
	{ S("\xe2\x80\xae"
	    "txet"),
	    S("\\u{202e}txet") },
	{ S("\xe2\x81\xa6\xe2\x80\xa8\xef\xbb\xbf"), S("\\u{2066}\\u{2028}\\u{feff}") },
	{ S("\xf3\xa0\x81\x81"), S("\\u{e0041}") },
	{ S("\xc0\xaf\xe0\x80\xaf"), S("\\xc0\\xaf\\xe0\\x80\\xaf") },
	{ S("\xed\xa0\x80"), S("\\xed\\xa0\\x80") },
	{ S("\xf4\x90\x80\x80"), S("\\xf4\\x90\\x80\\x80") },
	{ S("\xe2\x82"), S("\\xe2\\x82") },
	{ S("\xe2\x82\xac"), S("\xe2\x82\xac") },
};

static void
test_escape(void **state)
{
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		struct buf b = BUF_INIT(4096);
		show_escape(&b, escapes[i].in);
		assert_int_equal(b.len, escapes[i].out.len);
		assert_memory_equal(b.p, escapes[i].out.p, b.len);
		buf_done(&b);
	}
}

/* --- what is on the screen ---------------------------------------------------------------- */

struct screen {
	struct show show;
	char *text;
	size_t len;
};

static void
screen_init(struct screen *s)
{
	s->text = NULL;
	s->show = (struct show){ .us = "c: ", .them = "s: ", .explain = SHOW_EXPLAIN_NEVER };
	s->show.out = open_memstream(&s->text, &s->len);
	assert_non_null(s->show.out);
}

static void
screen_is(struct screen *s, const char *want)
{
	fclose(s->show.out);
	assert_string_equal(s->text, want);
	free(s->text);
}

static void
came(struct screen *s, struct str octets)
{
	show_event(&s->show, &(struct event){ .kind = EVENT_LINE, .octets = octets });
}

static void
sent(struct screen *s, struct str octets, struct str masked)
{
	show_event(&s->show,
	    &(struct event){ .kind = EVENT_SEND, .octets = octets, .masked = masked });
}

static void
test_conversation(void **state)
{
	struct screen s;

	screen_init(&s);
	show_event(&s.show, &(struct event){ .kind = EVENT_TRYING, .text = STR("192.0.2.25") });
	show_event(&s.show,
	    &(struct event){ .kind = EVENT_CONNECT, .text = STR("mail.example.com") });
	came(&s, STR("220 mail.example.com\r\n"));
	sent(&s, STR("AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"), STR("AUTH PLAIN <password hidden>"));
	came(&s, STR("235 \x1b[2JOK\r\n"));
	came(&s, STR("\r\n"));
	show_event(&s.show, &(struct event){ .kind = EVENT_WARN, .text = STR("one\ntwo") });
	show_event(&s.show, &(struct event){ .kind = EVENT_CLOSE,
				.text = STR("Connection closed by foreign host."),
				.status = 1 });
	screen_is(&s, "Trying 192.0.2.25...\n"
		      "Connected to mail.example.com.\n"
		      "s: 220 mail.example.com\n"
		      "c: AUTH PLAIN <password hidden>\n"
		      "s: 235 \\x1b[2JOK\n"
		      "s: \n"
		      "#  one\n#  two\n"
		      "Connection closed by foreign host.\n");
}

static void
test_color(void **state)
{
	struct screen s;

	screen_init(&s);
	s.show.color = true;
	sent(&s, STR("QUIT\r\n"), STR_NULL);
	came(&s, STR("221 bye\r\n"));
	screen_is(&s, "\x1b[94mc: QUIT\x1b[0m\n\x1b[91ms: 221 bye\x1b[0m\n");
}

/* Ledger 4.5: what comes unasked by kind. */
static void
test_imap_kinds(void **state)
{
	static const struct {
		const char *line, *color;
	} rows[] = {
		{ "* OK ready", "91" },
		{ "* CAPABILITY IMAP4rev1", "31" },
		{ "* 3 FETCH (FLAGS ())", "31" },
		{ "* 4 EXISTS", "95" },
		{ "* 2 EXPUNGE", "95" },
		{ "* NO disk is full", "97;41" },
		{ "* BYE", "97;41" },
		{ "a1 OK done", "1;91" },
		{ "a2 BAD what", "97;41" },
		{ "+ go on", "91" },
		{ "", "91" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct screen s;
		char line[200], want[200];
		screen_init(&s);
		s.show.color = s.show.imap = true;
		snprintf(line, sizeof(line), "%s\r\n", rows[i].line);
		snprintf(want, sizeof(want), "\x1b[%sms: %s\x1b[0m\n", rows[i].color, rows[i].line);
		came(&s, str_of(line));
		screen_is(&s, want);
	}
}

/* A line in pieces is one line; what is too long is cut, and counted. */
static void
test_pieces(void **state)
{
	struct screen s;
	static char many[10000];

	memset(many, 'x', sizeof(many));
	screen_init(&s);
	came(&s, STR("* 1 FETCH {5}\r\n"));
	came(&s, STR("hel"));
	came(&s, STR("lo"));
	came(&s, STR(")\r\n"));
	for (int i = 0; i < 100; i++)
		came(&s, str_n(many, sizeof(many)));
	came(&s, STR("\r\n"));
	came(&s, STR("last"));
	show_event(&s.show, &(struct event){ .kind = EVENT_NOTE, .text = STR("note") });
	struct buf want = BUF_INIT(16384);
	buf_putz(&want, "s: * 1 FETCH {5}\ns: hello)\ns: ");
	buf_put(&want, many, SHOW_LINE_MAX);
	buf_putz(&want, " [... cut: 1000001 octets in all]\ns: last\n#  note\n");
	screen_is(&s, buf_cstr(&want));
	buf_done(&want);
}

static void
test_decode_auth(void **state)
{
	struct screen s;

	screen_init(&s);
	s.show.decode_auth = true;
	sent(&s, STR("AUTH LOGIN\r\n"), STR_NULL);
	came(&s, STR("334 VXNlcm5hbWU6\r\n"));
	sent(&s, STR("am9l\r\n"), STR("<user name, base64>"));
	came(&s, STR("334 UGFzc3dvcmQ6\r\n"));
	sent(&s, STR("c2VjcmV0\r\n"), STR("<password hidden>"));
	came(&s, STR("235 ok\r\n"));
	sent(&s, STR("AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"), STR("AUTH PLAIN <password hidden>"));
	screen_is(&s, "c: AUTH LOGIN\n"
		      "s: 334 VXNlcm5hbWU6\n#  decoded: Username:\n"
		      "c: <user name, base64>\n#  decoded: user 'joe'\n"
		      "s: 334 UGFzc3dvcmQ6\n#  decoded: Password:\n"
		      "c: <password hidden>\n#  decoded: password of 6 octets\n"
		      "s: 235 ok\n"
		      "c: AUTH PLAIN <password hidden>\n"
		      "#  decoded: user 'joe', password of 6 octets\n");
}

static void
test_quiet(void **state)
{
	struct screen s;

	screen_init(&s);
	s.show.quiet = true;
	sent(&s, STR("QUIT\r\n"), STR_NULL);
	came(&s, STR("550 no\r\n"));
	show_event(&s.show,
	    &(struct event){ .kind = EVENT_REPLY, .code = 550, .text = STR("5.1.1 no\nmore") });
	screen_is(&s, "s: 550-5.1.1 no\ns: 550 more\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_conversation),
		cmocka_unit_test(test_color),
		cmocka_unit_test(test_imap_kinds),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_decode_auth),
		cmocka_unit_test(test_quiet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
