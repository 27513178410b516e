#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "play/conv.h"

#include <stdio.h>
#include <stdlib.h>

static const char whole[] = "# a comment\n"
			    "@id x-1\r\n"
			    "@title A title with \"quotes\"\n"
			    "@seed file.txt 1-2\n"
			    "@proto smtp\n"
			    "@listen 587\n"
			    "@tls starttls\n"
			    "@dialect sendmail\n"
			    "@input keystroke\n"
			    "@reqs K0-01\n"
			    "@set host=mail.example.com\n"
			    "@set alias.a@b=c,d=e\n"
			    "@user joe secret joe@example.com\n"
			    "@user ann@example.com pass word\n"
			    "@user tim tanstaaf\n"
			    "@user-plain AG1vb25wb2ludABx\n"
			    "@mailbox joe@example.com \n"
			    "@domain example.com\n"
			    "\n"
			    "S: 220 (.*)\n"
			    "S?: 250-.*\n"
			    "S*: 250-.*\n"
			    "S=chal: 334 (.*)\n"
			    "C: mail from:<a@b> {repeat:3:x}\n"
			    "C:\n"
			    "C: \n"
			    "R: a\\r\\n\\x00\n"
			    "N: 300\n"
			    "W: 0\n"
			    "T: starttls\n"
			    "A: b2\n"
			    "X: close\n"
			    "E: close\n"
			    "D: fault=mail.lowres\n"
			    "V: mailbox a@b count=3\n"
			    "V: maxcount a@b 1\n"
			    "V: header a@b Subject: a: b\n"
			    "V: noheader a@b Subject\n"
			    "V: body a@b ^ $\n"
			    "V: nobody a@b x\n"
			    "V: queued a@b\n"
			    "V: notqueued a@b";

static const enum conv_op whole_ops[] = { CONV_EXPECT, CONV_MAYBE, CONV_MANY, CONV_EXPECT,
	CONV_SEND, CONV_SEND, CONV_SEND, CONV_RAW, CONV_SILENT, CONV_WAIT, CONV_TLS, CONV_CONN,
	CONV_CLOSE, CONV_CLOSED, CONV_FAULT, CONV_VERIFY, CONV_VERIFY, CONV_VERIFY, CONV_VERIFY,
	CONV_VERIFY, CONV_VERIFY, CONV_VERIFY, CONV_VERIFY };

static void
assert_str(struct str s, const char *want)
{
	assert_int_equal(s.len, strlen(want));
	assert_memory_equal(s.p, want, s.len);
}

static void
test_whole(void **state)
{
	struct buf err = BUF_INIT(65536);
	struct conv c;

	assert_true(conv_parse(&c, "w.conv", str_of(whole), &err));
	assert_int_equal(err.len, 0);
	assert_str(c.id, "x-1");
	assert_str(c.title, "A title with \"quotes\"");
	assert_str(c.dialect, "sendmail");
	assert_int_equal(c.listen, 587);
	assert_int_equal(c.proto, CONV_SMTP);
	assert_int_equal(c.tls, CONV_TLS_STARTTLS);
	assert_int_equal(c.input, CONV_KEYSTROKE);
	assert_int_equal(c.n_sets, 2);
	assert_str(c.sets[1].assignment, "alias.a@b=c,d=e");
	assert_int_equal(c.n_users, 3);
	assert_str(c.users[0].address, "joe@example.com");
	assert_str(c.users[1].address, "word");
	assert_str(c.users[2].login, "tim");
	assert_int_equal(c.users[2].address.len, 0);
	assert_int_equal(c.n_mailboxes, 1);
	assert_str(c.mailboxes[0], "joe@example.com");
	assert_int_equal(c.n_domains, 1);
	assert_int_equal(c.n_steps, ARRAY_LEN(whole_ops));
	for (size_t i = 0; i < c.n_steps; i++) {
		assert_int_equal(c.steps[i].op, whole_ops[i]);
		assert_int_equal(c.steps[i].line, 20 + (int)i);
	}
	assert_str(c.steps[0].ere, "220 (.*)");
	assert_str(c.steps[3].name, "chal");
	assert_str(c.steps[5].text, "");
	assert_int_equal(c.steps[8].number, 300);
	assert_str(c.steps[11].name, "b2");
	assert_int_equal(c.steps[15].number, 3);
	assert_str(c.steps[17].name, "Subject");
	assert_str(c.steps[17].ere, "a: b");
	assert_str(c.steps[19].ere, "^ $");
	assert_int_equal(c.steps[22].verify, CONV_NOTQUEUED);
	conv_done(&c);
	buf_done(&err);
}

static void
test_defaults(void **state)
{
	struct buf err = BUF_INIT(65536);
	struct conv c;

	assert_true(conv_parse(&c, "d.conv", STR("S: 220 .*\n"), &err));
	assert_int_equal(c.listen, 25);
	assert_str(c.dialect, "rfc");
	assert_int_equal(c.input, CONV_CRLF);
	conv_done(&c);
	buf_done(&err);
}

/* A text and what its mistake must say, with its line. */
/* @listen left out: where the protocol is at home. */
static void
test_ports(void **state)
{
	static const struct {
		const char *text;
		uint64_t port;
	} rows[] = {
		{ "S: x\n", 25 },
		{ "@proto lmtp\nS: x\n", 24 },
		{ "@proto imap\nS: x\n", 143 },
		{ "@proto imap\n@tls starttls\nS: x\n", 143 },
		{ "@tls implicit\n@proto imap\nS: x\n", 993 },
		{ "@proto pop3\nS: x\n", 110 },
		{ "@proto pop3\n@tls implicit\nS: x\n", 995 },
		{ "@proto pop3\n@listen 1100\nS: x\n", 1100 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf err = BUF_INIT(4096);
		struct conv c;
		assert_true(conv_parse(&c, "t.conv", str_of(rows[i].text), &err));
		assert_int_equal(c.listen, rows[i].port);
		conv_done(&c);
		buf_done(&err);
	}
}

static const struct {
	const char *text, *err;
} mistakes[] = {
	{ "", "m.conv:1: there is no step" },
	{ "@id x\n", "m.conv:2: there is no step" },
	{ "\xff\n", "m.conv:1: a conversation is UTF-8" },
	{ "@nope x\n", "m.conv:1: unknown header @nope" },
	{ "@id a\n@id b\n", "m.conv:2: @id stands here a second time" },
	{ "\n@proto nntp\n", "m.conv:2: @proto knows" },
	{ "@listen 0\n", "m.conv:1: @listen wants" },
	{ "@listen 65536\n", "m.conv:1: @listen wants" },
	{ "@tls yes\n", "m.conv:1: @tls knows" },
	{ "@input cr\n", "m.conv:1: @input knows" },
	{ "@dialect ../x\n", "m.conv:1: @dialect wants" },
	{ "@set x\n", "m.conv:1: @set wants" },
	{ "@set =x\n", "m.conv:1: @set wants" },
	{ "@user joe\n", "m.conv:1: @user wants" },
	{ "@user-plain ***\n", "m.conv:1: @user-plain wants" },
	{ "@mailbox joe\n", "m.conv:1: @mailbox wants" },
	{ "@domain\n", "m.conv:1: @domain wants" },
	{ "hello\n", "m.conv:1: this line is no directive" },
	{ "S:x\n", "m.conv:1: this line is no directive" },
	{ "S=9: x\n", "m.conv:1: this line is no directive" },
	{ "S=: x\n", "m.conv:1: this line is no directive" },
	{ "Q: x\n", "m.conv:1: this line is no directive" },
	{ ":\n", "m.conv:1: this line is no directive" },
	{ "R: \\x4\n", "m.conv:1: the escapes are" },
	{ "R: \\\n", "m.conv:1: the escapes are" },
	{ "C: {b64:\\z}\n", "m.conv:1: the escapes are" },
	{ "C: {repeat:x}\n", "m.conv:1: write {repeat:N:TEXT}" },
	{ "C: {repeat:9000000:0123456789}\n", "m.conv:1: write {repeat:N:TEXT}" },
	{ "C: {cram-md5:a:b}\n", "m.conv:1: write {cram-md5:" },
	{ "N: 1s\n", "m.conv:1: a number of milliseconds" },
	{ "W: 600001\n", "m.conv:1: a number of milliseconds" },
	{ "T: now\n", "m.conv:1: write T: starttls" },
	{ "E: it\n", "m.conv:1: write E: close" },
	{ "X:\n", "m.conv:1: write X: close" },
	{ "A: Main\n", "m.conv:1: the name of a connection" },
	{ "D: fault=\n", "m.conv:1: write D: fault=KEY" },
	{ "V: mailbox a@b 3\n", "m.conv:1: write V: mailbox" },
	{ "V: mailbox\n", "m.conv:1: write V: mailbox" },
	{ "V: maxcount a@b -1\n", "m.conv:1: write V: maxcount" },
	{ "V: header a@b Subject\n", "m.conv:1: write V: header" },
	{ "V: noheader a@b A B\n", "m.conv:1: write V: noheader" },
	{ "V: body a@b\n", "m.conv:1: write V: body" },
	{ "V: queued a@b now\n", "m.conv:1: write V: queued" },
	{ "V: gone a@b\n", "m.conv:1: V: knows" },
};

static void
test_mistakes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
		struct buf err = BUF_INIT(65536);
		struct conv c;
		assert_false(conv_parse(&c, "m.conv", str_of(mistakes[i].text), &err));
		if (!str_starts(buf_str(&err), str_of(mistakes[i].err)))
			fail_msg("row %zu: got \"%s\", want \"%s\"", i, buf_cstr(&err),
			    mistakes[i].err);
		conv_done(&c);
		buf_done(&err);
	}
}

static void
test_control_characters(void **state)
{
	struct buf err = BUF_INIT(65536);
	struct conv c;

	static const struct str rows[] = { STR("S: a\0b\n"), STR("S: \x1b[31m\n"),
		STR("@title \x7f\nS: x\n") };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_false(conv_parse(&c, "n.conv", rows[i], &err));
		conv_done(&c);
	}
	buf_done(&err);
}

static void
test_every_mistake_is_told(void **state)
{
	struct buf err = BUF_INIT(65536);
	struct conv c;

	assert_false(conv_parse(&c, "m.conv", STR("@listen x\nS: ok\nhuh\nN: x\n"), &err));
	assert_true(str_find_str(buf_str(&err), STR("m.conv:1: ")) < err.len);
	assert_true(str_find_str(buf_str(&err), STR("m.conv:3: ")) < err.len);
	assert_true(str_find_str(buf_str(&err), STR("m.conv:4: ")) < err.len);
	conv_done(&c);
	buf_done(&err);
}

/* Every beginning of a good file is read without harm, whatever it ends in. */
static void
test_prefixes(void **state)
{
	for (size_t n = 0; n < sizeof(whole); n++) {
		struct buf err = BUF_INIT(65536);
		struct conv c;
		char *exact = malloc(n ? n : 1);
		assert_non_null(exact);
		memcpy(exact, whole, n);
		conv_parse(&c, "p.conv", str_n(exact, n), &err);
		conv_done(&c);
		free(exact);
		buf_done(&err);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_every_mistake_is_told),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_prefixes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
