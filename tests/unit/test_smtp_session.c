/* What dialogues in rows do not show: the host's part, time, memory, history. */
#include "kit/smtp_kit.h"

static struct smtp_wording *rfc;

/* The letter of the BINARYMIME row holds NUL, so it is compared here. */
static void
binary(void **state)
{
	static const char chunk[] = "\0\r\n\n\r.\r";
	struct kit k;
	kit_open(&k, rfc);
	kit_greet(&k);
	kit_say(&k, HI "MAIL FROM:<a@b.org> BODY=BINARYMIME\r\n" RCPT "DATA\r\n");
	kit_say(&k, "BDAT 7 LAST\r\n");
	kit_push(&k, str_n(chunk, 7));
	kit_expect_lines("binary", buf_str(&k.out),
	    TXN_OK "503 5.5.1 BODY=BINARYMIME|"
		   "250 2.0.0 ok queued");
	assert_int_equal(k.letters.len, 7 + 3);
	assert_memory_equal(k.letters.p, chunk, 7);
	kit_close(&k);
}

/* Quirk echo_case: how a reply names the command. */
static void
echoes_commands(void **state)
{
	static const struct {
		int echo;
		const char *want;
	} table[] = {
		{ -1,
		    "220 |500 5.5.1 command not recognized: fOo|502 5.5.1 command not implemented: "
		    "SEND|" },
		{ 0,
		    "220 |500 5.5.1 command not recognized: FOO|502 5.5.1 command not implemented: "
		    "SEND|" },
		{ 1,
		    "220 |500 5.5.1 command not recognized: fOo|502 5.5.1 command not implemented: "
		    "sEnd|" },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct smtp_wording w = *rfc;
		struct kit k;
		w.quirks.echo_case = table[i].echo;
		kit_open(&k, &w);
		kit_greet(&k);
		kit_say(&k, "fOo bar\r\nsEnd\r\n");
		kit_expect_lines("echo_case", buf_str(&k.out), table[i].want);
		kit_close(&k);
	}
}

/* R-PIPE: a body that follows a refused DATA is never read as commands, however it is split. */
static void
data_refused(void **state)
{
	static const struct {
		const char *before, *behind;
		enum smtp_situation say;
		bool ended;
	} table[] = {
		{ HI MAIL "DATA\r\n", "QUIT\r\n.\r\n", SMTP_NONE, true },
		{ HI MAIL "DATA\r\n", "", SMTP_NONE, false },
		{ HI MAIL "RCPT TO:<nobody@b.org>\r\nDATA\r\n", "RSET\r\n", SMTP_NONE, true },
		{ TXN "DATA x\r\n", "NOOP\r\n", SMTP_NONE, true },
		{ TXN "DATA\r\n", "x", SMTP_DATA_TEMPERR, true },
		{ TXN "DATA\r\n", "", SMTP_DATA_TEMPERR, false },
		{ TXN "BDAT\r\n", "x", SMTP_NONE, true },
		{ TXN "BDAT\r\n", "", SMTP_NONE, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct kit k;
		kit_open(&k, rfc);
		k.say_data = table[i].say;
		kit_greet(&k);
		buf_putz(&k.in, table[i].before);
		kit_say(&k, table[i].behind);
		assert_int_equal(k.ended, table[i].ended);
		assert_null(strstr(buf_cstr(&k.out), "221"));
		/* The peer that waits for its answer may go on,
		    and the transaction is still there. */
		kit_say(&k, "NOOP\r\n");
		assert_int_equal(k.ended, table[i].ended);
		kit_close(&k);
	}
	/* The body comes while the question is open. */
	struct kit k;
	kit_open(&k, rfc);
	k.say_data = SMTP_DATA_TEMPERR;
	k.hold = true;
	kit_greet(&k);
	while (kit_say(&k, ""), k.s.ask != SMTP_ASK_DATA) {
		if (k.s.ask != SMTP_ASK_NONE)
			kit_answer(&k);
		else
			kit_say(&k, k.s.hello ? k.s.txn && k.s.txn->n_rcpt ? "DATA\r\n"
			                        : k.s.txn                  ? RCPT
			                                                   : MAIL
					      : HI);
	}
	buf_putz(&k.in, "Subject: x\r\n\r\nQUIT\r\n.\r\n");
	kit_answer(&k);
	kit_run(&k);
	assert_true(k.ended);
	assert_null(strstr(buf_cstr(&k.out), "221"));
	kit_close(&k);
}

/* A refused first chunk is eaten, and the next one is not taken for the whole letter. */
static void
bdat_refused_by_host(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	k.say_data = SMTP_DATA_TEMPERR;
	kit_greet(&k);
	kit_say(&k, TXN "BDAT 6\r\nQUIT\r\nBDAT 3 LAST\r\na\r\nNOOP\r\n");
	kit_expect_lines("refused chunk", buf_str(&k.out), TXN_OK "451 4.3.0|503 5.5.1|250 2.0.0");
	assert_int_equal(k.commits, 0);
	kit_close(&k);
}

static void
host_refusals(void **state)
{
	static const struct {
		enum smtp_situation mail, commit;
		const char *want;
		bool ended;
	} table[] = {
		{ SMTP_MAIL_QUEUEFULL, SMTP_NONE, "220 |" HI_OK "452 4.3.1|503 |503 ", false },
		{ SMTP_MAIL_LOWRES, SMTP_NONE, "220 |" HI_OK "452 4.3.1|503 |503 ", false },
		{ SMTP_SHUTDOWN, SMTP_NONE, "220 |" HI_OK "421 4.3.2", true },
		{ SMTP_NONE, SMTP_DATA_TEMPERR, TXN_OK "354 |451 4.3.0", false },
		{ SMTP_NONE, SMTP_DATA_PERMERR, TXN_OK "354 |554 5.3.0", false },
		{ SMTP_NONE, SMTP_SHUTDOWN, TXN_OK "354 |421 4.3.2", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct kit k;
		kit_open(&k, rfc);
		k.say_mail = table[i].mail;
		k.say_commit = table[i].commit;
		kit_greet(&k);
		kit_say(&k, HI);
		kit_say(&k, MAIL);
		kit_say(&k, RCPT);
		kit_say(&k, "DATA\r\n");
		if (table[i].mail == SMTP_NONE)
			kit_say(&k, "hi\r\n.\r\n");
		kit_expect_lines("host", buf_str(&k.out), table[i].want);
		assert_int_equal(k.ended, table[i].ended);
		assert_int_equal(k.drops, 0);
		assert_int_equal(k.s.delivered, 0);
		assert_int_equal(k.commits, 0);
		kit_close(&k);
	}
}

/* docs/rules.md 2: the host's limits, then the size, then the options. */
static void
order_at_mail(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	k.conf.max_size = 10;
	k.say_mail = SMTP_MAIL_QUEUEFULL;
	kit_greet(&k);
	kit_say(&k, HI "MAIL FROM:<a@b.org> FOO SIZE=100\r\n");
	k.say_mail = SMTP_NONE;
	kit_say(&k, "MAIL FROM:<a@b.org> FOO SIZE=100\r\nMAIL FROM:<a@b.org> FOO SIZE=10\r\n");
	kit_expect_lines("order", buf_str(&k.out), "220 |" HI_OK "452 4.3.1|552 5.3.4|555 5.5.4");
	assert_int_equal(k.s.messages, 0);
	kit_close(&k);
}

/* Whatever ends the transaction, the host hears of it while its data is still there. */
static void
host_data_comes_back(void **state)
{
	static const char *const ends[] = { "RSET\r\n", HI, "QUIT\r\n", "BDAT 99999\r\n",
		"BDAT 1 x\r\n" };
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct kit k;
		kit_open(&k, rfc);
		k.mark_host_data = true;
		kit_greet(&k);
		kit_say(&k, TXN);
		assert_int_equal(k.drops, 0);
		kit_say(&k, ends[i]);
		assert_int_equal(k.drops, 1);
		assert_null(k.s.txn);
		kit_close(&k);
	}
	struct kit k;
	kit_open(&k, rfc);
	k.mark_host_data = true;
	kit_greet(&k);
	kit_say(&k, TXN "DATA\r\nhi\r\n.\r\n");
	assert_int_equal(k.drops, 0);
	assert_int_equal(k.commits, 1);
	assert_null(k.s.txn);
	kit_close(&k);
}

/* A letter past its limits is let go at once, not at its end. */
static void
early_drop(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	kit_greet(&k);
	kit_say(&k, TXN "DATA\r\n");
	for (int i = 0; i < 200; i++)
		kit_say(&k, "\r\n"
			    "a line of sixty octets or so, and there are far too many of them\r\n");
	assert_int_equal(k.drops, 1);
	assert_int_equal(k.body.len, 0);
	assert_non_null(k.s.txn);
	kit_say(&k, ".\r\nNOOP\r\n");
	assert_int_equal(k.drops, 1);
	kit_expect_lines("early drop", buf_str(&k.out), TXN_OK "354 |552 5.3.4|250 2.0.0");
	kit_close(&k);
}

static void
line_flood(void **state)
{
	char x[1000];
	memset(x, 'x', sizeof(x));
	struct kit k, big;
	kit_open(&k, rfc);
	kit_greet(&k);
	for (int i = 0; i < 100; i++)
		kit_push(&k, str_n(x, sizeof(x)));
	kit_expect_lines("flood", buf_str(&k.out), "220 |500 5.5.2|421 4.7.0");
	assert_true(k.ended);
	kit_open(&big, rfc);
	kit_greet(&big);
	for (int i = 0; i < 100; i++)
		buf_put(&big.in, x, sizeof(x));
	kit_say(&big, "\r\n");
	assert_true(str_eq(buf_str(&big.out), buf_str(&k.out)));
	kit_close(&k);
	kit_close(&big);
}

static void
times(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	k.conf.conn_seconds = 100;
	k.conf.inject_seconds = 50;
	kit_greet(&k);
	assert_int_equal(smtp_session_deadline(&k.s), 1000 + 300000);
	k.clock.now += 40000;
	kit_say(&k, TXN "DATA\r\nhi\r\n.\r\n");
	k.clock.now += 40000;
	kit_say(&k, "NOOP\r\n");
	assert_false(k.ended);
	k.clock.now += 15000; /* 55 s behind the letter, 95 s in all */
	kit_say(&k, "NOOP\r\n");
	assert_true(k.ended);
	kit_expect_lines("no injection", buf_str(&k.out),
	    TXN_OK "354 |250 |250 |"
		   "421 4.4.2 mx.example.com no message");
	kit_close(&k);

	kit_open(&k, rfc);
	k.conf.conn_seconds = 1;
	kit_greet(&k);
	k.clock.now += 1300;
	kit_say(&k, "NOOP\r\nNOOP\r\n");
	kit_expect_lines("too long", buf_str(&k.out),
	    "220 |"
	    "421 4.4.2 mx.example.com connection time");
	assert_true(k.ended);
	kit_close(&k);
}

/* R-TIME: octets do not buy time for a command; a typist has ten minutes for a letter. */
static void
idle(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	kit_greet(&k);
	k.clock.now += 299000;
	kit_say(&k, "NOO");
	assert_false(smtp_session_timeout(&k.s, &k.clock, &k.out));
	k.clock.now += 1000;
	assert_true(smtp_session_timeout(&k.s, &k.clock, &k.out));
	kit_run(&k);
	assert_true(k.ended);
	kit_expect_lines("idle", buf_str(&k.out), "220 |421 4.4.2");
	kit_close(&k);

	kit_open(&k, rfc);
	kit_greet(&k);
	kit_say(&k, TXN "DATA\r\n");
	for (int i = 0; i < 9; i++) {
		k.clock.now += 60000;
		kit_say(&k, "typed by hand\r\n");
		assert_false(smtp_session_timeout(&k.s, &k.clock, &k.out));
	}
	k.clock.now += 60000;
	assert_true(smtp_session_timeout(&k.s, &k.clock, &k.out));
	kit_run(&k);
	assert_int_equal(k.drops, 1);
	kit_expect_lines("slow", buf_str(&k.out), TXN_OK "354 |421 4.4.2");
	kit_close(&k);

	kit_open(&k, rfc);
	kit_greet(&k);
	kit_say(&k, TXN "DATA\r\n");
	for (int i = 0; i < 200; i++) {
		k.clock.now += 5000;
		for (int j = 0; j < 50; j++)
			kit_say(&k,
			    "a line at a good pace, of sixty octets and so on and on and\r\n");
		assert_false(smtp_session_timeout(&k.s, &k.clock, &k.out));
	}
	k.clock.now += 600000;
	assert_true(smtp_session_timeout(&k.s, &k.clock, &k.out));
	kit_close(&k);
}

static void
an_open_question_has_no_deadline(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	kit_greet(&k);
	k.hold = true;
	kit_say(&k, HI MAIL);
	assert_int_equal(k.s.ask, SMTP_ASK_MAIL);
	assert_true(smtp_session_deadline(&k.s) == INT64_MAX);
	assert_int_equal(kit_step(&k), SMTP_ASK);
	k.clock.now += 1000000;
	k.hold = false;
	kit_answer(&k);
	assert_int_equal(smtp_session_deadline(&k.s), k.clock.now + 300000);
	kit_close(&k);
}

static void
shutting_down(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	kit_greet(&k);
	kit_say(&k, TXN "DATA\r\n");
	k.hold = true;
	kit_say(&k, "hi\r\n.\r\nNOOP\r\n");
	assert_int_equal(k.s.ask, SMTP_ASK_COMMIT);
	smtp_session_shutdown(&k.s, &k.clock, &k.out);
	k.hold = false;
	kit_run(&k);
	assert_true(k.ended);
	assert_int_equal(k.commits, 1);
	kit_expect_lines("behind the letter", buf_str(&k.out), TXN_OK "354 |250 2.0.0|421 4.3.2");
	kit_close(&k);

	kit_open(&k, rfc);
	kit_greet(&k);
	kit_say(&k, TXN "DATA\r\nhi\r\n");
	smtp_session_shutdown(&k.s, &k.clock, &k.out);
	smtp_session_shutdown(&k.s, &k.clock, &k.out);
	kit_run(&k);
	assert_true(k.ended);
	assert_int_equal(k.drops, 1);
	kit_expect_lines("in the letter", buf_str(&k.out), TXN_OK "354 |421 4.3.2");
	kit_close(&k);

	/* An open question dies with the session; its answer is stale then. */
	kit_open(&k, rfc);
	kit_greet(&k);
	k.hold = true;
	kit_say(&k, HI MAIL);
	uint32_t no = k.s.ask_no;
	smtp_session_shutdown(&k.s, &k.clock, &k.out);
	struct smtp_answer a = { .situation = SMTP_NONE };
	assert_false(smtp_session_answer(&k.s, no, &a, &k.clock, &k.out));
	kit_run(&k);
	assert_true(k.ended);
	kit_close(&k);
}

static void
greetings(void **state)
{
	static const struct smtp_peer peer = { "192.0.2.7", "client.example.net" };
	static const struct {
		enum smtp_situation refuse;
		bool disabled;
		const char *want;
	} table[] = {
		{ SMTP_CONN_LIMIT_HOST, false, "421 4.7.0" },
		{ SMTP_CONN_LIMIT_TOTAL, false, "421 4.3.2" },
		{ SMTP_CONN_LIMIT_LISTENER, false, "421 4.3.2" },
		{ SMTP_GREETING_REJECT, false, "554 5.7.1" },
		{ SMTP_NONE, true, "421 4.3.2 mx.example.com service disabled: holidays" },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct kit k;
		kit_open(&k, rfc);
		if (table[i].disabled)
			k.conf.disabled = STR("holidays");
		smtp_session_init(&k.s, &k.conf, &peer, &k.clock);
		smtp_session_greet(&k.s, table[i].refuse, &k.clock, &k.out);
		kit_expect_lines("greeting", buf_str(&k.out), table[i].want);
		kit_say(&k, "NOOP\r\n");
		assert_true(k.ended);
		kit_close(&k);
	}
}

/* An idle session costs the struct; input and transaction attach and go back. */
static void
memory(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	kit_greet(&k);
	assert_true(sizeof(k.s) <= 2048);
	assert_null(k.s.priv);
	kit_say(&k, HI "NOOP\r\nRSET\r\nVRFY x\r\n");
	assert_null(k.s.priv);
	kit_say(&k, "NO");
	assert_non_null(k.s.priv);
	kit_say(&k, "OP\r\n");
	assert_null(k.s.priv);
	kit_say(&k, MAIL);
	assert_non_null(k.s.txn);
	kit_say(&k, RCPT "DATA\r\n.\r\n");
	assert_null(k.s.txn);
	assert_null(k.s.priv);
	kit_close(&k);
}

static void
txn_is_bounded(void **state)
{
	struct kit k;
	char line[4096];
	kit_open(&k, rfc);
	k.conf.rcpts_per_msg = SMTP_LIMIT_OFF;
	kit_greet(&k);
	kit_say(&k, HI MAIL);
	static const char *const to[] = { "nobody@example.com", "somebody@example.com" };
	for (size_t good = 0; good < ARRAY_LEN(to); good++) {
		size_t used = k.s.txn->arena.used;
		int n = snprintf(line, sizeof(line), "RCPT TO:<%s> ORCPT=rfc822;", to[good]);
		memset(line + n, 'x', 480);
		memcpy(line + n + 480, "\r\n", 3);
		for (int i = 0; i < 20000; i++)
			kit_say(&k, line);
		/* Refused recipients leave nothing behind; of others there may be so many. */
		assert_true(good ? k.s.txn->arena.used > used : k.s.txn->arena.used == used);
		assert_false(k.s.txn->arena.failed);
		assert_true(!strstr(buf_cstr(&k.out), "452 4.5.3") == !good);
	}
	assert_non_null(strstr(buf_cstr(&k.out), "550 5.1.1"));
	kit_say(&k, "RSET\r\n");
	kit_close(&k);
}

static void
history(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	kit_greet(&k);
	k.clock.now += 12;
	kit_say(&k, HI "AUTH PLAIN AHNlY3JldA==\r\nc2VjcmV0\r\nNOOP \x1b[1m\r\n");
	kit_say(&k, "AUTH PLAIN bGF0ZXI=\nbGF0ZXI=\r\n");
	kit_say(&k, "MAIL FROM:<a%b@c.org>\r\n" MAIL RCPT "DATA\r\nhello\r\n.\r\nQUIT\r\n");
	const char *h = buf_cstr(&k.history);
	assert_non_null(strstr(h, "+0ms s: 220 mx.example.com"));
	assert_non_null(strstr(h, "+12ms c: EHLO c.example.org\n"));
	assert_non_null(strstr(h, "s: 250 HELP\n"));
	assert_non_null(strstr(h, "AUTH PLAIN\n"));
	assert_null(strstr(h, "AHNlY3"));
	assert_null(strstr(h, "c2VjcmV0"));
	assert_non_null(strstr(h, "c: ****\n"));
	assert_null(strstr(h, "bGF0ZXI"));
	assert_null(strchr(h, '\x1b'));
	assert_non_null(strstr(h, "# address: a source route or a relay trick\n"));
	assert_non_null(strstr(h, "# 10 octets of data\n"));
	assert_non_null(strstr(h, "c: QUIT\n"));
	kit_close(&k);

	/* A full history stops, whole lines only, and nothing else changes. */
	kit_open(&k, rfc);
	buf_init(&k.history, 100);
	kit_greet(&k);
	kit_say(&k, HI MAIL RCPT "DATA\r\nhello\r\n.\r\nQUIT\r\n");
	assert_int_equal(k.commits, 1);
	assert_true(k.history.len <= 100 && k.history.p[k.history.len - 1] == '\n');
	kit_close(&k);
}

static void
what_the_host_sees(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	kit_greet(&k);
	kit_say(&k,
	    HI "MAIL FROM: <a@b.org> SIZE=77 BODY=8BITMIME RET=HDRS ENVID=QQ+31 SMTPUTF8\r\n"
	       "RCPT TO: <\"x y\"@c.org> NOTIFY=success,DELAY ORCPT=rfc822;x+40c\r\n"
	       "RCPT TO:b@c.org\r\n");
	const struct smtp_txn *t = k.s.txn;
	assert_non_null(t);
	assert_true(str_eq(t->from.whole, STR("a@b.org")));
	assert_true(str_eq(t->from_as_given, STR("<a@b.org>")));
	assert_int_equal(t->declared_size, 77);
	assert_int_equal(t->body, BODY_8BITMIME);
	assert_true(t->smtputf8);
	assert_true(str_eq(t->ret, STR("HDRS")));
	assert_true(str_eq(t->envid, STR("QQ+31")));
	assert_int_equal(t->n_rcpt, 2);
	const struct smtp_rcpt *r = list_entry(t->rcpts.next, struct smtp_rcpt, node);
	assert_true(str_eq(r->addr.whole, STR("\"x y\"@c.org")));
	assert_true(str_eq(r->addr.domain, STR("c.org")));
	assert_true(str_eq(r->as_given, STR("<\"x y\"@c.org>")));
	assert_int_equal(r->notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	assert_true(str_eq(r->notify_text, STR("success,DELAY")));
	assert_true(str_eq(r->orcpt, STR("rfc822;x+40c")));
	r = list_entry(t->rcpts.prev, struct smtp_rcpt, node);
	assert_true(str_eq(r->as_given, STR("b@c.org")));
	assert_true(str_eq(smtp_session_with(&k.s), STR("UTF8SMTP")));
	kit_say(&k, "RSET\r\n");
	assert_true(str_eq(smtp_session_with(&k.s), STR("ESMTP")));
	kit_say(&k, "HELO x\r\n");
	assert_true(str_eq(smtp_session_with(&k.s), STR("SMTP")));
	kit_close(&k);
}

static int
setup(void **state)
{
	rfc = kit_wording("rfc");
	return 0;
}

static int
teardown(void **state)
{
	rfc = dialect_free(rfc);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(binary),
		cmocka_unit_test(echoes_commands),
		cmocka_unit_test(data_refused),
		cmocka_unit_test(bdat_refused_by_host),
		cmocka_unit_test(host_refusals),
		cmocka_unit_test(order_at_mail),
		cmocka_unit_test(host_data_comes_back),
		cmocka_unit_test(early_drop),
		cmocka_unit_test(line_flood),
		cmocka_unit_test(times),
		cmocka_unit_test(idle),
		cmocka_unit_test(an_open_question_has_no_deadline),
		cmocka_unit_test(shutting_down),
		cmocka_unit_test(greetings),
		cmocka_unit_test(memory),
		cmocka_unit_test(txn_is_bounded),
		cmocka_unit_test(history),
		cmocka_unit_test(what_the_host_sees),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
