/* STARTTLS, what needs it, and proxies that say who their client is. */
#include "kit/smtp_kit.h"

static struct smtp_wording *rfc;

#define TLS_HI_OK "250-|250-|250-|250-|250-|250-|250-|250-|250-|250-STARTTLS|250-|250 HELP|"

static void
open_tls(struct kit *k)
{
	kit_open(k, rfc);
	k->conf.starttls = k->conf.auth = true;
	k->conf.mechs = STR("PLAIN");
	k->conf.mechs_tls = STR("EXTERNAL");
	kit_greet(k);
}

static void
upgrade(void **state)
{
	struct kit k;
	open_tls(&k);
	kit_say(&k, HI "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n");
	kit_say(&k, "STARTTLS\r\n");
	assert_int_equal(k.handshakes, 1);
	assert_true(k.s.tls && !k.s.hello && !k.s.esmtp && k.s.helo[0] == '\0');
	kit_say(&k, MAIL "STARTTLS\r\n" HI);
	kit_expect_lines("upgrade", buf_str(&k.out),
	    "220 |" TLS_HI_OK "538 |220 2.0.0 ready|503 5.5.1 send HELO|503 5.5.1 TLS already|"
	    "250-|250-|250-|250-|250-|250-|250-|250-|250-|250-AUTH PLAIN EXTERNAL\r|250-|250 HELP");
	kit_say(&k, "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n" MAIL);
	assert_true(str_eq(smtp_session_with(&k.s), STR("ESMTPSA")));
	assert_non_null(strstr(buf_cstr(&k.history), "# TLS: TLSv1.3 X\n"));
	kit_close(&k);
}

/* The lines of the session may end otherwise inside TLS; what was said outside is forgotten. */
static void
forgets(void **state)
{
	struct kit k;
	open_tls(&k);
	k.conf.auth_cleartext = true;
	kit_say(&k, HI "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n");
	assert_true(k.s.authenticated);
	kit_say(&k, "STARTTLS\r\n");
	assert_false(k.s.authenticated);
	assert_int_equal(k.s.user[0], '\0');
	buf_reset(&k.out);
	kit_say(&k, "EHLO x\nMAIL FROM:<a@b.org>\n");
	assert_non_null(strstr(buf_cstr(&k.out), "250 2.1.0"));
	assert_true(str_eq(smtp_session_with(&k.s), STR("ESMTPS")));
	kit_close(&k);
}

/* CVE-2011-0411: whatever waits behind STARTTLS ends it, also when it comes a moment later. */
static void
injection(void **state)
{
	static const char *const behind[] = { "N", "NOOP\r\n", "EHLO x\r\nMAIL FROM:<a@b.org>\r\n",
		"\r\n" };
	for (size_t i = 0; i < ARRAY_LEN(behind); i++) {
		struct kit k;
		open_tls(&k);
		buf_putz(&k.in, HI "STARTTLS\r\n");
		kit_say(&k, behind[i]);
		assert_true(k.ended);
		assert_int_equal(k.handshakes, 0);
		kit_expect_lines("at once", buf_str(&k.out), "220 |" TLS_HI_OK);
		kit_close(&k);
		/* While the question is open. */
		open_tls(&k);
		k.hold = true;
		kit_say(&k, HI "STARTTLS\r\n");
		assert_int_equal(k.s.ask, SMTP_ASK_TLS);
		kit_answer(&k);
		buf_putz(&k.in, behind[i]);
		kit_run(&k);
		assert_true(k.ended);
		assert_int_equal(k.handshakes, 0);
		kit_close(&k);
	}
}

static void
refusals(void **state)
{
	struct kit k;
	open_tls(&k);
	k.say_tls = SMTP_STARTTLS_UNAVAILABLE;
	kit_say(&k, HI "STARTTLS x\r\nSTARTTLS\r\nNOOP\r\n");
	k.hold = false;
	assert_true(k.ended); /* NOOP waited behind it */
	kit_close(&k);

	open_tls(&k);
	k.say_tls = SMTP_STARTTLS_UNAVAILABLE;
	kit_say(&k, HI "STARTTLS x\r\n" MAIL "STARTTLS\r\nRSET\r\n");
	kit_say(&k, "STARTTLS\r\n");
	k.say_tls = SMTP_CONN_LIMIT_TLS;
	kit_say(&k, "NOOP\r\nSTARTTLS\r\n");
	kit_expect_lines("refusals", buf_str(&k.out),
	    "220 |" TLS_HI_OK "501 5.5.4|250 |503 5.5.1 STARTTLS not permitted|250 |454 4.7.0|250 |"
	    "421 4.7.0");
	assert_true(k.ended);
	kit_close(&k);

	kit_open(&k, rfc);
	k.conf.starttls_refuse = true;
	kit_greet(&k);
	kit_say(&k, HI "STARTTLS\r\nQUIT\r\n");
	kit_expect_lines("advertise-refuse", buf_str(&k.out), "220 |" TLS_HI_OK "454 4.7.0|221 ");
	kit_close(&k);
}

/* A handshake that takes for ever, and a server that stops in the middle of one: no words. */
static void
silence(void **state)
{
	for (int stop = 0; stop < 2; stop++) {
		struct kit k;
		open_tls(&k);
		k.hold = true;
		kit_say(&k, HI "STARTTLS\r\n");
		kit_answer(&k);
		assert_int_equal(kit_step(&k), SMTP_UPGRADE);
		size_t len = k.out.len;
		k.clock.now += 299000;
		assert_false(smtp_session_timeout(&k.s, &k.clock, &k.out));
		k.clock.now += 1000;
		if (stop)
			smtp_session_shutdown(&k.s, &k.clock, &k.out);
		else
			assert_true(smtp_session_timeout(&k.s, &k.clock, &k.out));
		assert_int_equal(k.out.len, len);
		assert_int_equal(kit_step(&k), SMTP_END);
		kit_close(&k);
	}
}

static void
implicit(void **state)
{
	static const struct smtp_peer peer = { "192.0.2.7", "unknown", true };
	struct kit k;
	open_tls(&k);
	smtp_session_init(&k.s, &k.conf, &peer, &k.clock);
	smtp_session_secured(&k.s, STR("TLSv1.2 Y"), &k.clock);
	smtp_session_greet(&k.s, SMTP_NONE, &k.clock, &k.out);
	kit_say(&k, "EHLO x\r\nSTARTTLS\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\n" MAIL);
	assert_non_null(strstr(buf_cstr(&k.out), "503 5.5.1 TLS already"));
	assert_non_null(strstr(buf_cstr(&k.out), "235 "));
	assert_null(strstr(buf_cstr(&k.out), "250-STARTTLS"));
	assert_true(str_eq(smtp_session_with(&k.s), STR("ESMTPSA")));
	kit_close(&k);
}

static void
senders(void **state)
{
	static const struct {
		const char *from;
		bool must;
	} table[] = {
		{ "a@bank.example", true },
		{ "A@BANK.example", true },
		{ "ceo@other.example", true },
		{ "x@other.example", false },
		{ "a@sub.bank.example", false },
		{ "", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct kit k;
		char line[200];
		kit_open(&k, rfc);
		k.conf.tls_required_senders = STR("@bank.example, ceo@other.example");
		kit_greet(&k);
		snprintf(line, sizeof(line), HI "MAIL FROM:<%s>\r\n", table[i].from);
		kit_say(&k, line);
		assert_int_equal(strstr(buf_cstr(&k.out), "530 5.7.0 this sender") != NULL,
		    table[i].must);
		kit_close(&k);
	}
}

/* What only a queue can keep is unknown until somebody switches it on. */
static void
parameters(void **state)
{
	static const char *const all[] = { "REQUIRETLS", "HOLDFOR=60",
		"HOLDUNTIL=2009-09-25T13:00:00Z", "MT-PRIORITY=-3", "BY=120;R" };
	struct kit k;
	char line[200];
	kit_open(&k, rfc);
	kit_greet(&k);
	kit_say(&k, HI);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		buf_reset(&k.out);
		snprintf(line, sizeof(line), "MAIL FROM:<a@b.org> %s\r\n", all[i]);
		kit_say(&k, line);
		assert_true(str_starts(buf_str(&k.out), STR("555 5.5.4")));
	}
	kit_close(&k);
	kit_open(&k, rfc);
	k.conf.requiretls = k.conf.mt_priority = k.conf.deliver_by = true;
	k.conf.hold_seconds = 3600;
	kit_greet(&k);
	k.s.ours = true; /* FUTURERELEASE is not for strangers */
	kit_say(&k, HI);
	assert_non_null(strstr(buf_cstr(&k.out), "250-FUTURERELEASE 3600 2009-09-25T13:27:48Z\r"));
	assert_non_null(strstr(buf_cstr(&k.out), "250-MT-PRIORITY\r"));
	assert_non_null(strstr(buf_cstr(&k.out), "250-DELIVERBY 1\r"));
	assert_null(strstr(buf_cstr(&k.out), "REQUIRETLS"));
	kit_say(&k, "MAIL FROM:<a@b.org> REQUIRETLS\r\n");
	assert_non_null(strstr(buf_cstr(&k.out), "530 5.7.10"));
	buf_reset(&k.out);
	kit_say(&k, "MAIL FROM:<a@b.org> HOLDFOR=60 BY=60;R\r\n"); /* back before it leaves */
	assert_true(str_starts(buf_str(&k.out), STR("501 5.5.4")));
	buf_reset(&k.out);
	kit_say(&k, "MAIL FROM:<a@b.org> BY=60;R HOLDUNTIL=2009-09-25T12:29:00Z\r\n");
	assert_true(str_starts(buf_str(&k.out), STR("501 5.5.4")));
	kit_say(&k, "MAIL FROM:<a@b.org> HOLDFOR=60 BY=60;N\r\nRSET\r\n");
	assert_non_null(strstr(buf_cstr(&k.out), "250 "));
	kit_say(&k, "MAIL FROM:<a@b.org> HOLDFOR=60 MT-PRIORITY=-3 BY=120;RT\r\n");
	assert_true(k.s.txn && k.s.txn->hold_until == 1253881668 + 60);
	assert_int_equal(k.s.txn->mt_priority, -3);
	assert_true(str_eq(k.s.txn->deliver_by, STR("120;RT")));
	kit_close(&k);
}

/* --- XCLIENT and XFORWARD --- */

static void
open_proxied(struct kit *k)
{
	static const struct smtp_peer peer = { "192.0.2.7", "proxy.example.net", false };
	kit_open(k, rfc);
	k->conf.xclient = k->conf.xforward = true;
	smtp_session_init(&k->s, &k->conf, &peer, &k->clock);
	k->s.history = &k->history;
	smtp_session_trust(&k->s, true, true);
	smtp_session_greet(&k->s, SMTP_NONE, &k->clock, &k->out);
}

static void
xclient(void **state)
{
	struct kit k;
	open_proxied(&k);
	kit_say(&k, HI);
	assert_non_null(strstr(buf_cstr(&k.out), "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN "));
	assert_non_null(strstr(buf_cstr(&k.out), "250-XFORWARD "));
	buf_reset(&k.out);
	kit_say(&k, "XCLIENT NAME=spike.example.org addr=198.51.100.9 PORT=2525 PROTO=ESMTP\r\n");
	kit_expect_lines("xclient", buf_str(&k.out), "220 mx.example.com");
	assert_string_equal(k.s.peer.ip, "198.51.100.9");
	assert_string_equal(k.s.peer.name, "spike.example.org");
	assert_int_equal(k.s.xclient->port, 2525);
	assert_true(!k.s.hello && k.s.esmtp && !k.s.authenticated);
	kit_say(&k, "XCLIENT ADDR=IPV6:2001:DB8::1 NAME=[UNAVAILABLE] HELO=a+20b LOGIN=joe+40c.org "
		    "DESTADDR=192.0.2.1 DESTPORT=25\r\n");
	assert_string_equal(k.s.peer.ip, "2001:db8::1");
	assert_string_equal(k.s.peer.name, "unknown");
	assert_string_equal(k.s.helo, "a b");
	assert_string_equal(k.s.xclient->dest_addr, "192.0.2.1");
	assert_true(k.s.hello && k.s.authenticated);
	assert_string_equal(k.s.user, "joe@c.org");
	/* Nothing is known: nothing of the proxy's is left either. */
	kit_say(&k, "XCLIENT ADDR=[TEMPUNAVAIL] NAME=[UNAVAILABLE] LOGIN=[UNAVAILABLE]\r\n");
	assert_string_equal(k.s.peer.ip, "unknown");
	assert_false(k.s.authenticated);
	/* What follows is the client's own word, and nobody trusts that. */
	kit_say(&k, "XFORWARD IDENT=1\r\n" HI);
	buf_reset(&k.out);
	kit_say(&k, "XCLIENT ADDR=192.0.2.1\r\nXFORWARD IDENT=1\r\n");
	kit_expect_lines("client", buf_str(&k.out), "550 5.7.0|550 5.7.0");
	assert_string_equal(k.s.peer.ip, "unknown");
	kit_close(&k);
}

static void
xclient_refused(void **state)
{
	static const char *const bad[] = { "", "ADDR", "ADDR=", "ADDR=x", "ADDR=1.2.3",
		"COLOUR=red", "PORT=99999", "PORT=-1", "PROTO=QMTP", "NAME=a b", "NAME=a+0Db",
		"HELO=x+0Ay", "NAME=x+", "NAME=-", "ADDR=192.0.2.9 PORT=x", "LOGIN=+00",
		"IDENT=1" };
	struct kit k;
	char line[200];
	open_proxied(&k);
	kit_say(&k, HI);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_reset(&k.out);
		snprintf(line, sizeof(line), "XCLIENT %s\r\n", bad[i]);
		kit_say(&k, line);
		if (!str_starts(buf_str(&k.out), STR("501 5.5.4 bad XCLIENT")))
			fail_msg("%s: %s", bad[i], buf_cstr(&k.out));
		assert_string_equal(k.s.peer.ip, "192.0.2.7");
		assert_null(k.s.xclient);
	}
	buf_reset(&k.out);
	kit_say(&k, MAIL "XCLIENT ADDR=192.0.2.9\r\nXFORWARD IDENT=1\r\nRSET\r\n");
	k.say_xclient = SMTP_CONN_LIMIT_HOST;
	kit_say(&k, "XCLIENT ADDR=192.0.2.9\r\n");
	kit_expect_lines("refused", buf_str(&k.out),
	    "250 |503 5.5.1 XCLIENT not|503 5.5.1 XFORWARD|"
	    "250 |421 4.7.0");
	assert_true(k.ended);
	kit_close(&k);
	/* A question that nobody answers any more. */
	open_proxied(&k);
	k.hold = true;
	kit_say(&k, "XCLIENT ADDR=192.0.2.9\r\n");
	assert_int_equal(k.s.ask, SMTP_ASK_XCLIENT);
	kit_close(&k);
	/* Strangers. */
	kit_open(&k, rfc);
	k.conf.xclient = k.conf.xforward = true;
	kit_greet(&k);
	kit_say(&k, HI "XCLIENT ADDR=192.0.2.9\r\nXFORWARD ADDR=192.0.2.9\r\nXCLIENT\r\nXCLIENT\r\n"
		       "XCLIENT\r\n");
	kit_expect_lines("strangers", buf_str(&k.out),
	    "220 |" HI_OK "550 5.7.0 XCLIENT|550 5.7.0 XFORWARD|550 |550 |421 ");
	kit_close(&k);
}

static void
xforward(void **state)
{
	struct kit k;
	open_proxied(&k);
	kit_say(&k,
	    HI "XFORWARD NAME=spike.example.org ADDR=198.51.100.9\r\n"
	       "XFORWARD IDENT=4ABC SOURCE=REMOTE PROTO=QMQP\r\nXFORWARD SOURCE=MOON\r\n" MAIL);
	assert_string_equal(k.s.peer.ip, "192.0.2.7");
	assert_string_equal(k.s.xforward->addr, "198.51.100.9");
	assert_string_equal(k.s.xforward->ident, "4ABC");
	assert_string_equal(k.s.xforward->proto, "QMQP");
	assert_string_equal(k.s.xforward->source, "REMOTE");
	assert_non_null(strstr(buf_cstr(&k.out), "501 5.5.4 bad XFORWARD attribute: SOURCE=MOON"));
	kit_say(&k, "RSET\r\n");
	assert_null(k.s.xforward);
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
		cmocka_unit_test(upgrade),
		cmocka_unit_test(forgets),
		cmocka_unit_test(injection),
		cmocka_unit_test(refusals),
		cmocka_unit_test(silence),
		cmocka_unit_test(implicit),
		cmocka_unit_test(senders),
		cmocka_unit_test(parameters),
		cmocka_unit_test(xclient),
		cmocka_unit_test(xclient_refused),
		cmocka_unit_test(xforward),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
