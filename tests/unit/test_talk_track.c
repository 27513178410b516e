/* Where a conversation stands: replies find their commands, the prompt, warnings, the status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "client/exit.h"
#include "talk/letter.h"
#include "talk/track.h"

#include <string.h>

static struct track tr;

/* "C: ..." was sent, ".": the letter was; "A: ...": an answer to 334; "S: ..." came. */
static void
play(struct track *t, bool lmtp, const char *const *lines)
{
	track_init(t, lmtp);
	track_sent(t, TRACK_GREETING, STR_NULL);
	for (; *lines; lines++) {
		struct str line = str_of(*lines), text = str_skip(line, 3);
		if (str_eq(line, STR(".")))
			assert_true(track_sent(t, TRACK_DOT, STR_NULL));
		else if (line.p[0] == 'C')
			assert_true(track_sent(t, TRACK_COMMAND, text));
		else if (line.p[0] == 'A')
			assert_true(track_sent(t, TRACK_AUTH_ANSWER, text));
		else
			track_line(t, text);
	}
}

struct row {
	const char *lines[16];
	const char *prompt;
	int status;
	bool waits;
};

static void
conversations(void **state)
{
	static const struct row rows[] = {
		{ { NULL }, "smtp > ", CLIENT_OK, true },
		{ { "S: 220 hi", NULL }, "smtp > ", CLIENT_OK, false },
		{ { "S: 554 go away", NULL }, "smtp > ", CLIENT_GREETING, false },
		{ { "S: 220 hi", "C: ehlo me", "S: 250-you", "S: 250 SIZE 10", NULL },
		    "smtp(ehlo) > ", CLIENT_OK, false },
		{ { "S: 220 hi", "C: ehlo me", "S: 500 what", NULL }, "smtp > ", CLIENT_HELLO,
		    false },
		{ { "S: 220 hi", "C: ehlo me", "S: 500 what", "C: helo me", "S: 250 you", NULL },
		    "smtp(helo) > ", CLIENT_OK, false },
		{ { "S: 220 hi", "C: mail from:<a>", "C: rcpt to:<b>", "C: rcpt to:<c>",
		      "S: 250 ok", "S: 250 ok", "S: 550 no", NULL },
		    "smtp mail:1 rcpt:1 > ", CLIENT_RCPT_SOME, false },
		{ { "S: 220 hi", "C: mail from:<a>", "S: 250 ok", "C: rcpt to:<b>", "S: 550 no",
		      NULL },
		    "smtp mail:1 > ", CLIENT_RCPT_ALL, false },
		{ { "S: 220 hi", "C: mail from:<a>", "S: 250 ok", "C: rcpt to:<b>", "S: 250 ok",
		      "C: rset", "S: 250 ok", NULL },
		    "smtp > ", CLIENT_OK, false },
		{ { "S: 220 hi", "C: mail from:<a>", "S: 550 no", NULL }, "smtp > ", CLIENT_MAIL,
		    false },
		{ { "S: 220 hi", "C: mail from:<a>", "S: 250 ok", "C: rcpt to:<b>", "S: 250 ok",
		      "C: data", "S: 354 go", ".", "S: 552 too large", NULL },
		    "smtp > ", CLIENT_MESSAGE, false },
		{ { "S: 220 hi", "C: auth login", "S: 334 x", "A: x", "S: 334 y", "A: y",
		      "S: 235 ok", NULL },
		    "smtp(auth) > ", CLIENT_OK, false },
		{ { "S: 220 hi", "C: auth login", "S: 334 x", "A: *", "S: 501 cancelled", NULL },
		    "smtp > ", CLIENT_AUTH, false },
		{ { "S: 220 hi", "C: bogus", "S: 500 what", NULL }, "smtp > ", CLIENT_OK, false },
		{ { "S: 220 hi", "C: bdat 3 last", NULL }, "smtp > ", CLIENT_OK, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf prompt = BUF_INIT(256);
		play(&tr, false, rows[i].lines);
		track_prompt(&tr, &prompt);
		assert_string_equal(buf_cstr(&prompt), rows[i].prompt);
		assert_int_equal(track_status(&tr, false), rows[i].status);
		assert_int_equal(track_waits(&tr), rows[i].waits);
		buf_done(&prompt);
		track_done(&tr);
	}
}

static void
lmtp_answers_each(void **state)
{
	static const char *const lines[] = { "S: 220 hi", "C: lhlo me", "S: 250 you",
		"C: mail from:<a>", "S: 250 ok", "C: rcpt to:<b>", "S: 250 ok", "C: rcpt to:<c>",
		"S: 250 ok", "C: data", "S: 354 go", ".", "S: 250 b", NULL };
	play(&tr, true, lines);
	assert_true(track_waits(&tr));
	assert_int_equal(track_line(&tr, STR("450 c\r\n")), TRACK_REPLY);
	assert_false(track_waits(&tr));
	assert_int_equal(track_status(&tr, false), CLIENT_MESSAGE);
	assert_int_equal(track_status(&tr, true), CLIENT_TEMPORARY);
	track_done(&tr);
}

static void
warns(void **state)
{
	static const struct {
		const char *lines[8];
		const char *typed, *part;
	} rows[] = {
		{ { "S: 220 hi", NULL }, "mail from:<a>", "EHLO was skipped" },
		{ { "S: 220 hi", NULL }, "rcpt to:<a>", "behind MAIL" },
		{ { "S: 220 hi", "C: mail from:<a>", "S: 250 ok", NULL }, "mail from:<b>",
		    "second one" },
		{ { "S: 220 hi", NULL }, "data", "behind MAIL and RCPT" },
		{ { "S: 220 hi", "C: ehlo x", "S: 250 y", NULL }, "mail from:<a> SIZE=1",
		    "SIZE was not" },
		{ { "S: 220 hi", "C: ehlo x", "S: 250 y", NULL }, "starttls",
		    "did not list STARTTLS" },
		{ { "S: 220 hi", "C: ehlo x", "S: 250 y", NULL }, "noop", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(4096);
		struct typed typed;
		play(&tr, false, rows[i].lines);
		typed_read(str_of(rows[i].typed), &typed);
		track_warn(&tr, &typed, &out);
		if (*rows[i].part)
			assert_non_null(strstr(buf_cstr(&out), rows[i].part));
		else
			assert_int_equal(out.len, 0);
		buf_done(&out);
		track_done(&tr);
	}
}

static void
teaches(void **state)
{
	static const char *const two[] = { "S: 220 hi", "C: mail from:<a>", "S: 250 ok",
		"C: rcpt to:<b>", "S: 250 ok", "C: rcpt to:<c>", "S: 250 ok", NULL };
	static const char *const asked[] = { "S: 220 hi", "C: auth login", "S: 334 VXNlcm5hbWU6",
		NULL };
	static const char *const mangled[] = { "S: 220 hi", "C: auth login", "S: 334 VXNlcm57uWU6",
		NULL };
	static const char *const tls[] = { "S: 220 hi", "C: ehlo x", "S: 250-y", "S: 250 STARTTLS",
		"C: STARTTLS", "S: 554 no", NULL };
	static const struct {
		const char *const *lines;
		const char *part;
	} rows[] = {
		{ two, "RCPT adds, it does not replace" },
		{ asked, "Username:" },
		{ mangled, "first: the user name" },
		{ tls, "advertised and refused" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(4096);
		play(&tr, false, rows[i].lines);
		track_teach(&tr, &out);
		assert_non_null(strstr(buf_cstr(&out), rows[i].part));
		buf_done(&out);
		track_done(&tr);
	}
}

static void
endless(void **state)
{
	play(&tr, false, (const char *const[]){ "S: 220 hi", "C: noop", NULL });
	unsigned told = 0;
	for (unsigned i = 0; i < 10000; i++)
		told += track_line(&tr, STR("250-and on\r\n")) == TRACK_ENDLESS;
	assert_int_equal(told, 1);
	assert_true(track_waits(&tr));
	assert_int_equal(track_line(&tr, STR("250 done\r\n")), TRACK_REPLY);
	assert_false(track_waits(&tr));
	track_done(&tr);
}

static void
queue_is_capped(void **state)
{
	track_init(&tr, false);
	for (size_t i = 0; i < TRACK_SENT_MAX; i++)
		assert_true(track_sent(&tr, TRACK_COMMAND, STR("RCPT TO:<a@b>")));
	assert_false(track_sent(&tr, TRACK_COMMAND, STR("NOOP")));
	track_secured(&tr);
	assert_false(track_waits(&tr));
	track_done(&tr);
}

/* --- the letter --- */

static void
letter_lines(void **state)
{
	static const struct {
		const char *line;
		bool plain;
		enum letter_line what;
		const char *arg;
	} rows[] = {
		{ "text", false, LETTER_KEPT, "" },
		{ "..", false, LETTER_KEPT, "" },
		{ ".", false, LETTER_END, "" },
		{ ". ", false, LETTER_DOT_BLANK, "" },
		{ ". ", true, LETTER_KEPT, "" },
		{ "~r  /etc/motd ", false, LETTER_READ, "/etc/motd" },
		{ "~a x.png;image/png", false, LETTER_ATTACH, "x.png;image/png" },
		{ "~e", false, LETTER_EDIT, "" },
		{ "~q", false, LETTER_QUIT, "" },
		{ "~?", false, LETTER_HELP, "" },
		{ "~x", false, LETTER_UNKNOWN, "" },
		{ "~", false, LETTER_UNKNOWN, "" },
		{ "~~x", false, LETTER_KEPT, "" },
		{ "~e", true, LETTER_KEPT, "" },
		{ "/quit", false, LETTER_KEPT, "" },
	};
	struct letter l;
	letter_init(&l);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str arg;
		assert_int_equal(letter_typed(&l, str_of(rows[i].line), rows[i].plain, &arg),
		    rows[i].what);
		assert_true(str_eq(arg, str_of(rows[i].arg)));
	}
	assert_true(str_eq(buf_str(&l.text), STR("text\r\n..\r\n. \r\n~x\r\n~e\r\n/quit\r\n")));
	assert_int_equal(l.lines, 6);
	letter_done(&l);
}

static void
letter_wire(void **state)
{
	struct letter l;
	struct buf out = BUF_INIT(1024);
	letter_init(&l);
	assert_true(letter_put_text(&l, STR("a\n.b\r\n.\rc")));
	letter_stuff(buf_str(&l.text), &out);
	assert_true(str_eq(buf_str(&out), STR("a\r\n..b\r\n..\r\nc\r\n.\r\n")));
	buf_reset(&out);
	letter_stuff(STR_NULL, &out);
	assert_true(str_eq(buf_str(&out), STR(".\r\n")));
	buf_done(&out);
	letter_done(&l);
}

static void
letter_header(void **state)
{
	struct letter l;
	struct buf out = BUF_INIT(1024);
	letter_init(&l);
	assert_true(letter_put_text(&l, STR("body\n")));
	assert_false(letter_has_header(&l));
	assert_true(letter_field_set(&l, STR("Subject"), STR("x\r\nBcc: y")));
	assert_true(str_eq(buf_str(&l.text), STR("Subject: x  Bcc: y\r\n\r\nbody\r\n")));
	assert_true(letter_set(&l, STR("To: a\n b\nSubject: s\n\nTo: no\n")));
	letter_field(&l, STR("to"), &out);
	assert_true(str_eq(buf_str(&out), STR("a b")));
	assert_true(letter_field_set(&l, STR("To"), STR("c")));
	assert_true(str_eq(buf_str(&l.text), STR("To: c\r\nSubject: s\r\n\r\nTo: no\r\n")));
	buf_done(&out);
	letter_done(&l);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversations),
		cmocka_unit_test(lmtp_answers_each),
		cmocka_unit_test(warns),
		cmocka_unit_test(teaches),
		cmocka_unit_test(endless),
		cmocka_unit_test(queue_is_capped),
		cmocka_unit_test(letter_lines),
		cmocka_unit_test(letter_wire),
		cmocka_unit_test(letter_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
