/* BURL (RFC 4468): for whom, what may stand where, and what its octets are to a letter. */
#include "kit/dialogue_kit.h"

#define LOGIN "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"
#define OURS HI LOGIN HI MAIL RCPT
#define OURS_OK "220 |" AUTH_OK "235 2.7.0|" BURL_OK "250 2.1.0|250 2.1.5|"
#define AUTH_OK "250-|250-|250-|250-|250-|250-|250-|250-|250-|250-AUTH PLAIN|250-|250 HELP|"
#define BURL_OK                                                                                    \
	"250-|250-|250-|250-|250-|250-|250-|250-|250-|250-AUTH PLAIN|250-|250-BURL imap|250 HELP|"

static struct smtp_wording *rfc;

static void
on(struct smtp_conf *c)
{
	c->burl = c->auth = c->auth_cleartext = c->submission = true;
	c->mechs = STR("PLAIN");
}

static void
off(struct smtp_conf *c)
{
	on(c);
	c->burl = false;
}

static void
header(struct smtp_conf *c)
{
	on(c);
	c->header_bytes = 2;
}

static const struct row rows[] = {
	{ "a letter", OURS "BURL imap://h/a LAST\r\nNOOP\r\n", OURS_OK "250 2.0.0 ok|250 2.0.0",
	    "a\r\n--\n", .set = on },
	{ "in pieces", OURS "BURL imap://h/a\r\nBDAT 3\r\nb\r\nburl imap://h/c last\r\nQUIT\r\n",
	    OURS_OK "250 2.5.0 3 octets fetched|250 2.0.0 3 octets|250 2.0.0 ok|221 ",
	    "a\r\nb\r\nc\r\n--\n", .ended = true, .set = on },
	{ "ends in BDAT", OURS "BURL imap://h/a\r\nBDAT 0 LAST\r\n",
	    OURS_OK "250 2.5.0 3 octets|250 2.0.0 ok", "a\r\n--\n", .set = on },
	{ "begins with BDAT", OURS "BDAT 3\r\nb\r\nBURL imap://h/c LAST\r\n",
	    OURS_OK "250 2.0.0 3 octets|250 2.0.0 ok", "b\r\nc\r\n--\n", .set = on },
	{ "two letters", OURS "BURL imap://h/a LAST\r\n" MAIL RCPT "BURL imap://h/b LAST\r\n",
	    OURS_OK "250 2.0.0 ok|250 2.1.0|250 2.1.5|250 2.0.0 ok", "a\r\n--\nb\r\n--\n",
	    .set = on },
	{ "DATA behind it", OURS "BURL imap://h/a\r\nDATA\r\n", OURS_OK "250 2.5.0|503 5.5.1",
	    .set = on },
	{ "RCPT behind it", OURS "BURL imap://h/a\r\n" RCPT "RSET\r\n",
	    OURS_OK "250 2.5.0|503 5.5.1|250 2.0.0", .drops = 1, .set = on },
	{ "what it leads to is a line of a peer's", OURS "BURL imap://h/QUIT\r\nNOOP\r\nRSET\r\n",
	    OURS_OK "250 2.5.0 6 octets|250 2.0.0|250 2.0.0", .drops = 1, .set = on },
	/* refusals: the transaction ends, and what is in the pipeline is not the letter */
	{ "denied", OURS "BURL imap://h/denied LAST\r\nNOOP\r\n",
	    OURS_OK "554 5.7.0 the URL is not authorized: of a reason|250 2.0.0", .drops = 1,
	    .set = on },
	{ "denied in the middle",
	    OURS "BDAT 3\r\nb\r\nBURL imap://h/denied\r\nBDAT 3 LAST\r\nc\r\nNOOP\r\n",
	    OURS_OK "250 2.0.0|554 5.7.0|503 5.5.1|250 2.0.0", .drops = 1, .set = on },
	{ "another server", OURS "BURL imap://other/a LAST\r\n", OURS_OK "554 5.7.14 ", .drops = 1,
	    .set = on },
	{ "lost on the way", OURS "BURL imap://h/lost LAST\r\nNOOP\r\n",
	    OURS_OK "451 4.4.1 |250 2.0.0", .drops = 1, .set = on },
	{ "the server stops", OURS "BURL imap://h/gone LAST\r\nNOOP\r\n", OURS_OK "421 4.3.2",
	    .drops = 1, .ended = true, .set = on },
	{ "too large", OURS "BURL imap://h/large LAST\r\nNOOP\r\n", OURS_OK "552 5.3.4 |250 2.0.0",
	    .drops = 1, .set = on },
	{ "a bare LF", OURS "BURL imap://h/bare LAST\r\nNOOP\r\n", OURS_OK "554 5.6.0 |250 2.0.0",
	    .drops = 1, .set = on },
	{ "a header that is too large", OURS "BURL imap://h/abc:d LAST\r\nNOOP\r\n",
	    OURS_OK "552 5.3.4 |250 2.0.0", .drops = 1, .set = header },
	{ "no recipient", HI LOGIN HI MAIL "BURL imap://h/a LAST\r\nNOOP\r\n",
	    "220 |" AUTH_OK "235 2.7.0|" BURL_OK "250 2.1.0|503 5.5.1|250 2.0.0", .set = on },
	{ "no valid recipient",
	    HI LOGIN HI MAIL "RCPT TO:<nobody@b.org>\r\nBURL imap://h/a LAST\r\nNOOP\r\n",
	    "220 |" AUTH_OK "235 2.7.0|" BURL_OK "250 2.1.0|550 5.1.1|554 5.5.1|250 2.0.0",
	    .set = on },
	{ "no MAIL", HI LOGIN HI "BURL imap://h/a LAST\r\nNOOP\r\n",
	    "220 |" AUTH_OK "235 2.7.0|" BURL_OK "503 5.5.1|250 2.0.0", .set = on },
	{ "no URL", OURS "BURL\r\n" MAIL, OURS_OK "501 5.5.4 |250 2.1.0", .set = on },
	{ "not LAST", OURS "BURL imap://h/a FIRST\r\n" MAIL, OURS_OK "501 5.5.4 |250 2.1.0",
	    .set = on },
	{ "behind LAST", OURS "BURL imap://h/a LAST x\r\n" MAIL, OURS_OK "501 5.5.4 |250 2.1.0",
	    .set = on },
	{ "a NUL", NUL_ROW(OURS "BURL imap://h/a\0 LAST\r\nBDAT 3 LAST\r\nc\r\nNOOP\r\n"),
	    .want = OURS_OK "500 5.5.2 |503 5.5.1|250 2.0.0", .set = on },
	{ "a CR", OURS "BURL imap://h/a\r LAST\r\nBDAT 3 LAST\r\nc\r\nNOOP\r\n",
	    OURS_OK "500 5.5.2 |503 5.5.1|250 2.0.0", .set = on },
	{ "nobody has logged in", HI MAIL RCPT "BURL imap://h/a LAST\r\n" MAIL,
	    "220 |" AUTH_OK "250 2.1.0|250 2.1.5|530 5.7.0 |250 2.1.0", .set = on },
	{ "not here", HI LOGIN MAIL RCPT "BURL imap://h/a LAST\r\n" MAIL,
	    "220 |" AUTH_OK "235 2.7.0|250 2.1.0|250 2.1.5|502 5.5.1 |250 2.1.0", .set = off },
};

static void
dialogues(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		row_play(&rows[i], rfc);
}

/* Octets come window by window, and commands wait behind them. */
static void
windows(void **state)
{
	for (size_t n = 1; n < 5; n++) {
		struct kit k;
		kit_open(&k, rfc);
		on(&k.conf);
		k.window = n;
		kit_greet(&k);
		kit_say(&k, OURS "BURL imap://h/abcdefg\r\nBURL imap://h/hi LAST\r\nQUIT\r\n");
		kit_expect_lines("windows", buf_str(&k.out),
		    OURS_OK "250 2.5.0 9 octets|250 2.0.0 ok|221 ");
		assert_true(str_eq(buf_str(&k.letters), STR("abcdefg\r\nhi\r\n--\n")));
		kit_close(&k);
	}
}

/* URLs are long. Without the one that is too long, what follows is not the letter. */
static void
long_lines(void **state)
{
	char url[SMTP_BURL_MAX - 4]; /* one more than there is room for behind "BURL " */
	memset(url, 'a', sizeof(url));
	memcpy(url, "imap://other/", strlen("imap://other/"));
	for (int over = 0; over < 2; over++)
		for (size_t n = 1; n <= sizeof(url); n *= 8) {
			struct kit k;
			kit_open(&k, rfc);
			on(&k.conf);
			kit_greet(&k);
			kit_say(&k, OURS "BURL ");
			for (struct str s = str_n(url, sizeof(url) - !over); s.len;
			     s = str_skip(s, n))
				kit_push(&k, str_first(s, n));
			kit_say(&k, "\r\nBDAT 3 LAST\r\nc\r\nNOOP\r\n");
			kit_expect_lines(over ? "too long" : "long", buf_str(&k.out),
			    over ? OURS_OK "500 5.5.2 |503 5.5.1|250 2.0.0"
				 : OURS_OK "554 5.7.14 |503 5.5.1|250 2.0.0");
			assert_null(k.s.txn);
			kit_close(&k);
		}
}

/* A token is a secret: it is in no history. */
static void
history(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	on(&k.conf);
	kit_greet(&k);
	kit_say(&k, OURS "BURL imap://h/a;URLAUTH=submit+joe:internal:0123abcd LAST\r\n");
	const char *text = buf_cstr(&k.history);
	assert_non_null(strstr(text, "BURL imap://h/a;URLAUTH=submit+joe:internal:\n"));
	assert_null(strstr(text, "0123abcd"));
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
		cmocka_unit_test(dialogues),
		cmocka_unit_test(windows),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(history),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
