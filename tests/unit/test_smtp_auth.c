/* AUTH in dialogues: every form, every refusal, and that nothing of it is to be read anywhere. */
#include "kit/dialogue_kit.h"

static struct smtp_wording *rfc;

#define AUTH_HI_OK "250-|250-|250-|250-|250-|250-|250-|250-|250-|250-AUTH|250-|250 HELP|"
#define GREET "220 |"
#define JOE "AGpvZQBzZWNyZXQ="

static void
on(struct smtp_conf *c)
{
	c->auth = c->auth_cleartext = true;
	c->mechs = STR("SCRAM-SHA-1 PLAIN LOGIN XX");
}

static void
deny(struct smtp_conf *c)
{
	on(c);
	c->auth_cleartext = false;
}

static void
required(struct smtp_conf *c)
{
	on(c);
	c->auth_required = true;
}

static void
tls_required(struct smtp_conf *c)
{
	on(c);
	c->tls_required = true;
}

static void
hidden(struct smtp_conf *c)
{
	on(c);
	c->mechs = STR_NULL;
	c->mechs_tls = STR("EXTERNAL");
}

static void
short_lines(struct smtp_conf *c)
{
	on(c);
	c->command_line = 20;
}

static const struct row rows[] = {
	{ "initial response", HI "AUTH PLAIN " JOE "\r\nQUIT\r\n",
	    GREET AUTH_HI_OK "235 2.7.0|221 ", .ended = true, .set = on },
	{ "two steps", HI "auth plain\r\n" JOE "\r\nNOOP\r\n", GREET AUTH_HI_OK "334 \r|235 |250 ",
	    .set = on },
	{ "two steps, blanks around", HI "AUTH  PLAIN \r\n  " JOE " \r\n",
	    GREET AUTH_HI_OK "334 \r|235 ", .set = on },
	{ "an empty initial response", HI "AUTH PLAIN =\r\nAUTH PLAIN\r\n\r\n",
	    GREET AUTH_HI_OK "535 5.7.8|334 |535 5.7.8", .set = on },
	{ "= is nothing as a response", HI "AUTH PLAIN\r\n=\r\n", GREET AUTH_HI_OK "334 |501 5.5.2",
	    .set = on },
	{ "prompts", HI "AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n",
	    GREET AUTH_HI_OK "334 VXNlcm5hbWU6|334 UGFzc3dvcmQ6|235 ", .set = on },
	{ "the user at once", HI "AUTH LOGIN am9l\r\nc2VjcmV0\r\n",
	    GREET AUTH_HI_OK "334 UGFzc3dvcmQ6|235 ", .set = on },
	{ "a wrong password, then the right one",
	    HI "AUTH PLAIN AGpvZQB4\r\nAUTH PLAIN " JOE "\r\n", GREET AUTH_HI_OK "535 5.7.8|235 ",
	    .set = on },
	{ "cancelled", HI "AUTH LOGIN\r\n*\r\nAUTH LOGIN\r\nam9l\r\n*\r\nNOOP\r\n",
	    GREET AUTH_HI_OK "334 |501 5.0.0|334 |334 |501 5.0.0|250 ", .set = on },
	{ "not base64",
	    HI "AUTH PLAIN ***\r\nAUTH PLAIN *\r\nAUTH PLAIN\r\nA\r\nAUTH PLAIN\r\nAB==\r\n"
	       "AUTH PLAIN\r\nQUJD REVG\r\nNOOP\r\n",
	    GREET AUTH_HI_OK
	    "501 5.5.2|501 5.5.2|334 |501 5.5.2|334 |501 5.5.2|334 |501 5.5.2|250 ",
	    .set = on },
	{ "syntax", HI "AUTH\r\nAUTH PLAIN AAAA BBBB\r\nAUTH PLAIN A= x\r\n",
	    GREET AUTH_HI_OK "501 5.5.4|501 5.5.4|501 5.5.4", .set = on },
	{ "mechanisms", HI "AUTH KERBEROS_V4\r\nAUTH \x01\x02\r\nAUTH EXTERNAL =\r\n",
	    GREET AUTH_HI_OK "504 5.5.4 mechanism KERBEROS_V4|504 5.5.4 mechanism ?? |504 ",
	    .set = on },
	{ "too long a name", HI "AUTH ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ\r\n",
	    GREET AUTH_HI_OK "504 ", .set = on },
	{ "twice", HI "AUTH PLAIN " JOE "\r\nAUTH PLAIN " JOE "\r\n",
	    GREET AUTH_HI_OK "235 |503 5.5.1 already", .set = on },
	{ "in a transaction", HI MAIL "AUTH PLAIN " JOE "\r\nRSET\r\nAUTH PLAIN " JOE "\r\n",
	    GREET AUTH_HI_OK "250 |503 5.5.1 AUTH not permitted|250 |235 ", .set = on },
	{ "before EHLO", "AUTH PLAIN " JOE "\r\n", GREET "503 5.5.1 send HELO", .set = on },
	{ "in clear", HI "AUTH PLAIN " JOE "\r\nAUTH XYZ\r\n", GREET HI_OK "538 5.7.11|538 5.7.11",
	    .set = deny },
	{ "TLS required", HI "AUTH PLAIN " JOE "\r\n" MAIL "MAIL nonsense\r\n",
	    GREET HI_OK "530 5.7.0 must|530 5.7.0 must|530 5.7.0 must", .set = tls_required },
	{ "not shown, so not there", HI "AUTH EXTERNAL =\r\n", GREET HI_OK "503 5.5.1 AUTH not",
	    .set = hidden },
	{ "off", HI "AUTH PLAIN " JOE "\r\n", GREET HI_OK "503 5.5.1 AUTH not" },
	{ "required", HI MAIL "AUTH PLAIN " JOE "\r\n" MAIL,
	    GREET AUTH_HI_OK "530 5.7.0 authentication required|235 |250 ", .set = required },
	{ "required: before the size and the options",
	    HI "MAIL FROM:<a@b.org> SIZE=99999 FOO\r\nMAIL FROM:<\xc3\xa9@b.org>\r\n"
	       "MAIL FROM:<@>\r\n",
	    GREET AUTH_HI_OK "530 |530 |501 5.1.7", .set = required },
	{ "trouble of the host's",
	    HI "AUTH PLAIN AHRlbXAAc2VjcmV0\r\nAUTH PLAIN AHdlYWsAc2VjcmV0\r\n"
	       "AUTH PLAIN AGdvbmUAc2VjcmV0\r\n",
	    GREET AUTH_HI_OK "454 4.7.0|534 5.7.9|421 4.3.2", .ended = true, .set = on },
	{ "a last word", HI "AUTH SCRAM-SHA-1 Zmlyc3Q=\r\nZmluYWw=\r\n\r\nAUTH PLAIN\r\n",
	    GREET AUTH_HI_OK "334 cj0x|334 dj0x|235 |503 5.5.1 already", .set = on },
	{ "a last word that is not taken", HI "AUTH SCRAM-SHA-1 Zmlyc3Q=\r\nZmluYWw=\r\n*\r\n" MAIL,
	    GREET AUTH_HI_OK "334 cj0x|334 dj0x|501 5.0.0|530 ", .set = required },
	{ "a last word with an answer", HI "AUTH SCRAM-SHA-1 Zmlyc3Q=\r\nZmluYWw=\r\nAAAA\r\n" MAIL,
	    GREET AUTH_HI_OK "334 cj0x|334 dj0x|501 5.5.2|530 ", .set = required },
	{ "without end",
	    HI "AUTH "
	       "XX\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nNOOP\r\n",
	    GREET AUTH_HI_OK "334 bW9yZQ==|334 |334 |334 |334 |334 |334 |334 |334 |334 |334 |334 |"
			     "334 |334 |334 |334 |334 |535 |250 ",
	    .set = on },
	{ "RSET is no way out", HI "AUTH LOGIN\r\nRSET\r\nc2VjcmV0\r\nNOOP\r\n",
	    GREET AUTH_HI_OK "334 |334 |235 |250 ", .set = on },
	{ "bare LF in an exchange", HI "AUTH PLAIN\r\n" JOE "\nNOOP\r\n",
	    GREET AUTH_HI_OK "334 |500 5.5.2|250 ", .set = on },
	{ "NUL in an exchange", NUL_ROW(HI "AUTH PLAIN\r\nAG\0vZQ==\r\nNOOP\r\n"),
	    .want = GREET AUTH_HI_OK "334 |500 5.5.2|250 ", .set = on },
	{ "lines may be longer", "HELO x\r\nAUTH PLAIN\r\n" JOE JOE JOE "\r\nNOOP\r\n",
	    GREET "250 |334 |501 5.5.2|250 ", .set = short_lines },
	{ "a typist's backspace", HI "AUTH PLAIN\r\nAGpvZQBx\bzZWNyZXQ=\r\n",
	    GREET AUTH_HI_OK "334 |235 ", .set = on },
	{ "AUTH= of MAIL",
	    HI "MAIL FROM:<a@b.org> AUTH=x+3Dy@b.org\r\nRSET\r\n"
	       "MAIL FROM:<a@b.org> AUTH=<>\r\nRSET\r\n"
	       "MAIL FROM:<a@b.org> AUTH=a+0D+0Ab@c.org\r\n"
	       "MAIL FROM:<a@b.org> AUTH=nobody\r\n",
	    GREET AUTH_HI_OK "250 |250 |250 |250 |501 5.5.4|501 5.5.4", .set = on },
	{ "HELP", HI "HELP AUTH\r\nHELP STARTTLS\r\n",
	    GREET AUTH_HI_OK "214 2.0.0 AUTH mechanism|504 ", .set = on },
};

static void
dialogues(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		row_play(&rows[i], rfc);
}

static void
too_long(void **state)
{
	struct kit k;
	char x[13000];
	memset(x, 'A', sizeof(x));
	for (int again = 0; again < 2; again++) {
		kit_open(&k, rfc);
		on(&k.conf);
		kit_greet(&k);
		kit_say(&k, HI);
		if (again)
			kit_say(&k, "AUTH PLAIN ");
		else
			kit_say(&k, "AUTH PLAIN\r\n");
		kit_push(&k, str_n(x, sizeof(x)));
		kit_say(&k, "\r\nNOOP\r\n");
		kit_expect_lines("too long", buf_str(&k.out),
		    again ? GREET AUTH_HI_OK "500 5.5.6|250 "
			  : GREET AUTH_HI_OK "334 |500 5.5.6|250 ");
		assert_null(k.s.auth);
		kit_close(&k);
	}
	/* Just not too long. */
	kit_open(&k, rfc);
	on(&k.conf);
	kit_greet(&k);
	kit_say(&k, HI "AUTH PLAIN\r\n");
	kit_push(&k, str_n(x, SMTP_AUTH_RESPONSE_MAX));
	kit_say(&k, "\r\n");
	kit_expect_lines("long", buf_str(&k.out), GREET AUTH_HI_OK "334 |535 ");
	kit_close(&k);
}

/* Secrets that a history could show: what was typed, in base64 and without. */
static void
history(void **state)
{
	static const char *const hide[] = { "am9l", "c2VjcmV0", "AGpvZQ", "ZmluYWw", "Zmlyc3Q" };
	struct kit k;
	kit_open(&k, rfc);
	on(&k.conf);
	kit_greet(&k);
	kit_say(&k, HI "AUTH PLAIN AGpvZQBzZWNyZXQX\r\nc2VjcmV0\r\nc2VjcmV0\r\n");
	kit_say(&k, "AUTH SCRAM-SHA-1 Zmlyc3Q=\r\nZmluYWw=X\r\nc2VjcmV0\r\n");
	kit_say(&k, "AUTH LOGIN\r\nam9lCg==\r\nc2VjcmV0\nNOOP\r\n");
	kit_say(&k, "AUTH XYZ c2VjcmV0\r\nc2VjcmV0\r\nAUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n");
	const char *h = buf_cstr(&k.history);
	for (size_t i = 0; i < ARRAY_LEN(hide); i++)
		if (strstr(h, hide[i]) || strstr(buf_cstr(&k.out), hide[i]))
			fail_msg("%s is to be read in\n%s", hide[i], h);
	assert_non_null(strstr(h, "c (the secret left out): AUTH PLAIN\n"));
	assert_non_null(strstr(h, "# AUTH PLAIN: not logged in\n"));
	assert_non_null(strstr(h, "ends in a line feed"));
	assert_non_null(strstr(h, "# AUTH LOGIN: logged in as joe@example.com\n"));
	assert_non_null(strstr(h, "s: 235 2.7.0"));
	assert_true(k.s.authenticated);
	assert_string_equal(k.s.user, "joe@example.com");
	kit_close(&k);
}

/* And where no secret should stand. */
static void
secrets_in_the_wrong_place(void **state)
{
	static const char *const lines[] = { "AUTH AGpvZQBzZWNyZXQ=", "AUTH AGpvZQBzZWNyZXQX",
		"AUTH PLAIN=AGpvZQBzZWNyZXQX", "auth=PLAIN AGpvZQBzZWNyZXQX",
		"AUTH AGpvZQBzZWNyZXQ= PLAIN" };
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct kit k;
		kit_open(&k, rfc);
		on(&k.conf);
		kit_greet(&k);
		kit_say(&k, HI);
		kit_say(&k, lines[i]);
		kit_say(&k, "\r\n");
		const char *h = buf_cstr(&k.history);
		if (strstr(h, "AGpvZ") || strstr(buf_cstr(&k.out), "AGpvZ"))
			fail_msg("it is to be read in\n%s", h);
		assert_non_null(strstr(h, "c (the secret left out): AUTH"));
		kit_close(&k);
	}
}

/* What the host may see of an exchange, and when it is over. */
static void
what_the_host_sees(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	on(&k.conf);
	kit_greet(&k);
	k.hold = true;
	kit_say(&k, HI "AUTH plain " JOE "\r\n");
	assert_int_equal(k.s.ask, SMTP_ASK_AUTH);
	assert_true(k.s.auth->begin && k.s.auth->has_initial);
	assert_string_equal(k.s.auth->mech, "PLAIN");
	assert_true(str_eq(k.s.auth->octets, str_n("\0joe\0secret", 11)));
	/* A login name that nobody has room for. */
	char long_name[SMTP_USER_MAX + 1];
	memset(long_name, 'x', sizeof(long_name));
	struct smtp_answer a = { .situation = SMTP_AUTH_OK,
		.user = str_n(long_name, SMTP_USER_MAX) };
	assert_true(smtp_session_answer(&k.s, k.s.ask_no, &a, &k.clock, &k.out));
	assert_null(k.s.auth);
	assert_false(k.s.authenticated);
	kit_say(&k, "AUTH PLAIN\r\n");
	assert_true(k.s.auth->begin && !k.s.auth->has_initial && k.s.auth->octets.len == 0);
	a = (struct smtp_answer){ .situation = SMTP_NONE };
	assert_true(smtp_session_answer(&k.s, k.s.ask_no, &a, &k.clock, &k.out));
	assert_non_null(k.s.auth);
	kit_say(&k, "*\r\n");
	assert_null(k.s.auth);
	/* It dies with the session, question and all. */
	kit_say(&k, "AUTH PLAIN " JOE "\r\n");
	smtp_session_shutdown(&k.s, &k.clock, &k.out);
	assert_null(k.s.auth);
	kit_expect_lines("host", buf_str(&k.out), GREET AUTH_HI_OK "454 |334 |501 5.0.0|421 4.3.2");
	kit_close(&k);
	/* A client that falls silent in the middle of it. */
	kit_open(&k, rfc);
	on(&k.conf);
	kit_greet(&k);
	kit_say(&k, HI "AUTH LOGIN\r\n");
	k.clock.now += 300000;
	assert_true(smtp_session_timeout(&k.s, &k.clock, &k.out));
	kit_run(&k);
	assert_true(k.ended);
	kit_close(&k);
}

/* AUTH= is believed only of those who have logged in (RFC 4954 5). */
static void
auth_of_mail(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	on(&k.conf);
	kit_greet(&k);
	kit_say(&k, HI MAIL);
	assert_int_equal(k.s.txn->auth.len, 0);
	kit_say(&k, "RSET\r\nMAIL FROM:<a@b.org> AUTH=x+3Dy@b.org\r\n");
	assert_true(str_eq(k.s.txn->auth, STR("<>")));
	kit_say(&k, "RSET\r\nAUTH PLAIN " JOE "\r\nMAIL FROM:<a@b.org> AUTH=x+3Dy@b.org\r\n");
	assert_true(str_eq(k.s.txn->auth, STR("x=y@b.org")));
	assert_true(str_eq(smtp_session_with(&k.s), STR("ESMTPA")));
	kit_close(&k);
}

/* Some dialects show AUTH where it does not work; some do not where it does. */
static void
advertising(void **state)
{
	static const struct {
		const char *dialect;
		bool unadvertised, cleartext;
		const char *shown, *say;
	} table[] = {
		{ "exchange", false, true, NULL, "503 " },
		{ "exchange", true, true, NULL, "235 " },
		{ "exchange", true, false, NULL, "538 " },
		{ "citadel", false, false, "250-AUTH=LOGIN PLAIN\r", "538 " },
		{ "citadel", false, true, "250-AUTH LOGIN PLAIN\r", "235 " },
		{ "postfix", false, true, "250-AUTH SCRAM-SHA-1 PLAIN LOGIN XX\r", "235 " },
		{ "postfix", false, false, NULL, "538 " },
		{ "seed004", false, true, NULL, "503 " },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct smtp_wording *w = kit_wording(table[i].dialect);
		struct kit k;
		kit_open(&k, w);
		on(&k.conf);
		k.conf.auth_cleartext = table[i].cleartext;
		k.conf.auth_unadvertised = table[i].unadvertised;
		kit_greet(&k);
		kit_say(&k, HI);
		assert_true(table[i].shown ? strstr(buf_cstr(&k.out), table[i].shown) != NULL
					   : strstr(buf_cstr(&k.out), "AUTH") == NULL);
		buf_reset(&k.out);
		kit_say(&k, "AUTH PLAIN " JOE "\r\n");
		if (!str_starts(buf_str(&k.out), str_of(table[i].say)))
			fail_msg("%s: %s", table[i].dialect, buf_cstr(&k.out));
		kit_close(&k);
		dialect_free(w);
	}
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
		cmocka_unit_test(dialogues),
		cmocka_unit_test(too_long),
		cmocka_unit_test(history),
		cmocka_unit_test(secrets_in_the_wrong_place),
		cmocka_unit_test(what_the_host_sees),
		cmocka_unit_test(auth_of_mail),
		cmocka_unit_test(advertising),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
