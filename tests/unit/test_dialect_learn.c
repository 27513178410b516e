/* What is learned from transcripts, and that it can be used at once. */
#include "kit/smtp_kit.h"

#include "dialect/learn.h"

#define SAY(x) x "\n"

static bool
find(void *arg, struct str name, struct str *ret_text)
{
	const struct buf *made = arg;
	if (str_eq(name, STR("learned"))) {
		*ret_text = buf_str(made);
		return true;
	}
	return dialect_find_builtin(NULL, name, ret_text);
}

static const char telnet[] =
    "Prose that nobody says.\n"
    "$ telnet mail.example.com 25\n"
    "Trying 192.0.2.1...\n"
    "Connected to mail.example.com.\n"
    "220 mail.example.com ESMTP Thing; Sat, 4 Apr 2015 22:02:39 -0400\n"
    "ehlo me.example.org\n"
    "250-mail.example.com Hello me.example.org [10.0.1.12], pleased to meet you\n"
    "250-PIPELINING \n"
    "250-SIZE 12345\n"
    "250 HELP\n"
    "mail from:<a@example.org>\n"
    "250 2.1.0 a@example.org... Sender ok\n"
    "rcpt to: b@example.com\n"
    "550 5.7.1 b@example.com... Relaying denied\n"
    "rcpt to: c@example.com\n"
    "250 2.1.5 <c@example.com> ok\n"
    "data\n"
    "354 go ahead\n"
    "Subject: x\n"
    "\n"
    "250 is no reply to anything\n"
    "Connection closed by foreign host.\n";

static const char labelled[] = "c: telnet mail.example.net 587\r\n"
			       "S: 220 mail.example.net ready ${host}\r\n"
			       "C: HELO\r\n"
			       "s: 250 mail.example.net\r\n"
			       "c: AUTH LOGIN\r\n"
			       "s: 334 VXNlcm5hbWU6\r\n"
			       "c: am9l\r\n"
			       "s: 334 UGFzc3dvcmQ6\r\n"
			       "c: c2VjcmV0\r\n"
			       "s: 235 hello\r\n"
			       "c: STARTTLS\r\n"
			       "s: 554 no TLS\r\n"
			       "c: MAIL FROM:<x@y.org>\r\n"
			       "s: 550 no\r\n"
			       "c: FOO\r\n"
			       "s: 500-what\r\n"
			       "s: 500 else?\r\n"
			       "c: QUIT\r\n"
			       "s: Connection closed by foreign host.\r\n";

static const struct row {
	const char *name, *text, *want; /* each line of want must stand in what is made */
} rows[] = {
	{ "telnet", telnet,
	    SAY("# recorded with host = mail.example.com") SAY("# recorded with max_size = 12345")
		SAY("first = ${host} Hello ${helo} [${client_ip}], pleased to meet you")
		    SAY("cap = PIPELINING${sp}") SAY("cap = SIZE ${max_size}") SAY("cap = HELP")
			SAY("greeting = 220 ${host} ESMTP Thing; ${date}")
			    SAY("mail.ok = 250 2.1.0 ${from}... Sender ok")
				SAY("rcpt.ok = 250 2.1.5 <${to}> ok")
				    SAY("rcpt.relay = 550 5.7.1 ${to}... Relaying denied")
					SAY("data.go = 354 go ahead") },
	{ "labels", labelled,
	    SAY("greeting = 220 ${host} ready $${empty}{host}") SAY("helo.ok = 250 ${host}")
		SAY("auth.user_prompt = 334 VXNlcm5hbWU6")
		    SAY("auth.pass_prompt = 334 UGFzc3dvcmQ6") SAY("auth.ok = 235 hello")
			SAY("starttls.notsupported = 554 no TLS") SAY("mail.rejected = 550 no")
			    SAY("cmd.unknown = 500 what\\nelse?") SAY("helo_arg = optional")
				SAY("quit_silent = yes") },
	{ "ids: sendmail",
	    "220 a.b ESMTP\nHELO x\n250 a.b\nDATA\n354 x\n.\n250 2.0.0 t352HGPe003192 Message "
	    "accepted\n",
	    SAY("data.ok = 250 2.0.0 ${qid} Message accepted") SAY("qid_style = sendmail") },
	{ "ids: postfix", "220 a.b ESMTP\nDATA\n354 x\nx\n.\n250 2.0.0 Ok: queued as 85761C042C\n",
	    SAY("data.ok = 250 2.0.0 Ok: queued as ${qid}") SAY("qid_style = postfix") },
	{ "ids: exchange",
	    "220 a.b ESMTP\nDATA\n354 x\nx\n.\n"
	    "250 2.6.0 <0b39248e-b2fe-4454-9dc8-d0066082b054@HUB> [InternalId=62880244] Queued\n",
	    SAY("data.ok = 250 2.6.0 <${uuid}@${hub_host}> [InternalId=${counter}] Queued")
		SAY("qid_style = exchange") },
	{ "ids: iis",
	    "220 C34 ESMTP\nDATA\n354 x\nx\n.\n250 2.6.0 <C34DcBi4FS00000001@C34> Queued\n",
	    SAY("data.ok = 250 2.6.0 <${HOST}${rand7}${counter8}@${host}> Queued")
		SAY("qid_style = iis") },
	{ "ids: ironport", "220 a ESMTP\nDATA\n354 x\nx\n.\n250 ok: Message 214 accepted\n",
	    SAY("data.ok = 250 ok: Message ${counter} accepted") SAY("qid_style = ironport") },
	{ "traps",
	    "220 a.b ESMTP\nEHLO x\n250-?auth yes\n250-\1help yes\n250- two\n250\nQUIT\n221 \xff\n",
	    SAY("first = ${empty}?auth yes") SAY("cap = ${empty}?help yes") SAY("cap =  two")
		SAY("cap = ${empty}") SAY("quit.ok = 221 ${empty}") },
	{ "refusals",
	    "220 a.b ESMTP\nAUTH PLAIN AAAA\n535 no\nMAIL FROM:<a@b>\n"
	    "250 ok\nQUIT\n250 bye\n",
	    SAY("auth.fail = 535 no") SAY("mail.ok = 250 ok") SAY("quit.ok = 250 bye")
		SAY("require_helo = no") },
};

static void
check_row(const struct row *r)
{
	const struct learn_options o = { STR("learned"), STR("a test"), 0 };
	struct buf out = BUF_INIT(1u << 20), notes = BUF_INIT(1u << 16), err = BUF_INIT(1u << 16);
	struct buf all = BUF_INIT(1u << 20);
	assert_true(dialect_learn(str_of(r->text), &o, &out, &notes));
	buf_putf(&all, "\n%s", buf_cstr(&out));
	for (struct str want = str_of(r->want); want.len;) {
		char line[512];
		struct str one = str_cut(&want, '\n');
		snprintf(line, sizeof(line), "\n" STR_FMT "\n", STR_ARG(one));
		if (!strstr(buf_cstr(&all), line))
			fail_msg("%s: no %s in\n%s", r->name, line, buf_cstr(&out));
	}
	struct smtp_wording *w = dialect_load(STR("learned"), find, &out, &err);
	if (!w)
		fail_msg("%s: %s\n%s", r->name, buf_cstr(&err), buf_cstr(&out));
	dialect_free(w);
	buf_done(&out);
	buf_done(&all);
	buf_done(&notes);
	buf_done(&err);
}

static void
lessons(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_row(&rows[i]);
}

static void
several(void **state)
{
	static const char two[] =
	    "220 one.example ESMTP\nQUIT\n221 bye\nConnection closed\n"
	    "220 two.example ESMTP\nHELO x\n250 two.example\nQUIT\n221 ciao\n";
	struct buf out = BUF_INIT(1u << 20), notes = BUF_INIT(1u << 16);
	struct learn_options o = { STR("learned"), STR("a test"), 0 };
	assert_true(dialect_learn(str_of(two), &o, &out, &notes));
	assert_non_null(strstr(buf_cstr(&out), "quit.ok = 221 ciao\n"));
	assert_string_equal(buf_cstr(&notes),
	    "conversation 1, line 1, one.example: 2 replies\n"
	    "conversation 2, line 5, two.example: 3 replies, learned\n");
	buf_reset(&out);
	o.session = 1;
	assert_true(dialect_learn(str_of(two), &o, &out, &notes));
	assert_non_null(strstr(buf_cstr(&out), "quit.ok = 221 bye\n"));
	o.session = 3;
	assert_false(dialect_learn(str_of(two), &o, &out, &notes));
	assert_false(dialect_learn(STR("nothing at all\n"), &o, &out, &notes));
	assert_false(dialect_learn(STR_NULL, &o, &out, &notes));
	buf_done(&out);
	buf_done(&notes);
}

/* A reply longer than any is: cut off or not, nothing is read that is not there. */
static void
endless(void **state)
{
	struct buf text = BUF_INIT(1u << 20), out = BUF_INIT(1u << 20), notes = BUF_INIT(1u << 16);
	struct learn_options o = { STR("learned"), STR("a test"), 0 };
	for (int many = 0; many < 2; many++) {
		buf_reset(&text);
		buf_putz(&text, many ? "220-one.example " : "220 one.example ");
		for (size_t i = 0; i < 70000; i++)
			buf_putz(&text, many && i % 100 == 0 ? "\n220-" : "x");
		buf_putz(&text, many ? "\n220 end\nQUIT\n221 bye\n" : "\nQUIT\n221 bye\n");
		assert_true(dialect_learn(buf_str(&text), &o, &out, &notes));
		assert_non_null(strstr(buf_cstr(&out), "quit.ok = 221 bye\n"));
		buf_reset(&out);
	}
	buf_done(&text);
	buf_done(&out);
	buf_done(&notes);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(endless),
		cmocka_unit_test(lessons),
		cmocka_unit_test(several),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
