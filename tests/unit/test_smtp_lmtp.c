/* LMTP (RFC 2033): LHLO, and one reply to the letter for each recipient that was accepted. */
#include "kit/dialogue_kit.h"

static struct smtp_wording *rfc;

static void
lmtp(struct smtp_conf *c)
{
	c->lmtp = true;
}

static void
lmtp_small(struct smtp_conf *c)
{
	c->lmtp = true;
	c->max_size = 10;
}

static void
lmtp_two(struct smtp_conf *c)
{
	c->lmtp = true;
	c->rcpts_per_msg = 2;
}

static void
lmtp_fqdn(struct smtp_conf *c)
{
	c->lmtp = true;
	c->helo_check = HELO_FQDN;
}

static void
lmtp_no_helo(struct smtp_conf *c)
{
	c->lmtp = true;
	c->require_helo = false;
	c->ehlo = false;
}

#define LHI "LHLO c.example.org\r\n"
#define BOB RCPT
#define ANN "RCPT TO:<ann@example.com>\r\n"
#define FULL "RCPT TO:<full@example.com>\r\n"
#define NOBODY "RCPT TO:<nobody@example.com>\r\n"
#define L220 "220 mx.example.com LMTP ready|"
#define OK_BOB "250 2.1.5 <b@example.com> delivered as QID1|"
#define OK_ANN "250 2.1.5 <ann@example.com> delivered as QID1|"
#define NO_FULL "452 4.2.2 <full@example.com> mailbox full|"

static const struct row rows[] = {
	{ "one recipient", LHI MAIL BOB "DATA\r\nhi\r\n.\r\nQUIT\r\n",
	    L220 HI_OK "250 2.1.0|250 2.1.5|354 |" OK_BOB "221 ", "hi\r\n--\n", .ended = true,
	    .set = lmtp },
	{ "a reply for each, in order", LHI MAIL ANN BOB "DATA\r\nhi\r\n.\r\nNOOP\r\n",
	    L220 HI_OK "250 |250 |250 |354 |" OK_ANN OK_BOB "250 2.0.0", "hi\r\n--\n",
	    .set = lmtp },
	{ "none for those who were refused", LHI MAIL NOBODY ANN NOBODY BOB "DATA\r\n.\r\nNOOP\r\n",
	    L220 HI_OK "250 |550 5.1.1|250 |550 5.1.1|250 |354 |" OK_ANN OK_BOB "250 2.0.0", "--\n",
	    .set = lmtp },
	{ "two for one named twice", LHI MAIL BOB BOB "DATA\r\n.\r\nNOOP\r\n",
	    L220 HI_OK "250 |250 |250 |354 |" OK_BOB OK_BOB "250 2.0.0", "--\n", .set = lmtp },
	{ "one that fails alone", LHI MAIL BOB FULL ANN "DATA\r\n.\r\n" MAIL BOB "DATA\r\n.\r\n",
	    L220 HI_OK "250 |250 |250 |250 |354 |" OK_BOB NO_FULL OK_ANN "250 |250 |354 |" OK_BOB,
	    "--\n--\n", .set = lmtp },
	{ "RFC 2033 4.2: no recipient, no letter", LHI MAIL NOBODY "DATA\r\n",
	    L220 HI_OK "250 |550 |503 5.5.1 need RCPT", .set = lmtp },
	{ "RFC 2033 4.2: nor without RCPT, nor without MAIL", LHI "DATA\r\n",
	    L220 HI_OK "503 5.5.1 need MAIL", .set = lmtp },
	{ "a verdict on the letter goes to each", LHI MAIL ANN BOB "DATA\r\na\nb\r\n.\r\nNOOP\r\n",
	    L220 HI_OK "250 |250 |250 |354 |554 5.6.0|554 5.6.0|250 2.0.0", .drops = 1,
	    .set = lmtp },
	{ "too big, to each", LHI MAIL ANN BOB "DATA\r\n0123456789\r\n.\r\nNOOP\r\n",
	    L220 HI_OK "250 |250 |250 |354 |552 5.3.4|552 5.3.4|250 ", .drops = 1,
	    .set = lmtp_small },
	{ "SIZE at MAIL", LHI "MAIL FROM:<a@b.org> SIZE=11\r\n", L220 HI_OK "552 5.3.4",
	    .set = lmtp_small },
	{ "dots are unstuffed", LHI MAIL BOB "DATA\r\n..a\r\n.\r\n",
	    L220 HI_OK "250 |250 |354 |" OK_BOB, ".a\r\n--\n", .set = lmtp },
	{ "BDAT: one reply, and with LAST one for each",
	    LHI MAIL ANN FULL BOB "BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\nNOOP\r\n",
	    L220 HI_OK "250 |250 |250 |250 |250 2.0.0 3 octets|" OK_ANN NO_FULL OK_BOB "250 2.0.0",
	    "a\r\nb\r\n--\n", .set = lmtp },
	{ "BDAT LAST that is too big: refused to each",
	    LHI MAIL ANN BOB "BDAT 12 LAST\r\n0123456789\r\nNOOP\r\n",
	    L220 HI_OK "250 |250 |250 |552 5.3.4|552 5.3.4|250 ", .set = lmtp_small },
	{ "BDAT that is too big: one reply, and still one for each with LAST",
	    LHI MAIL ANN BOB "BDAT 12\r\n0123456789\r\nBDAT 1\r\nxBDAT 2 LAST\r\n\r\nNOOP\r\n",
	    L220 HI_OK "250 |250 |250 |552 5.3.4|503 5.5.1|503 5.5.1|503 5.5.1|250 2.0.0",
	    .set = lmtp_small },
	{ "but none behind RSET, LHLO or MAIL",
	    LHI MAIL ANN BOB "BDAT 12\r\n0123456789\r\nRSET\r\nBDAT 0 LAST\r\n" MAIL ANN
			     "BDAT 12\r\n0123456789\r\n" LHI "BDAT 0 LAST\r\n" MAIL ANN
			     "BDAT 12\r\n0123456789\r\n" MAIL "BDAT 0 LAST\r\nNOOP\r\n",
	    L220 HI_OK "250 |250 |250 |552 5.3.4|250 2.0.0|250 |250 |552 5.3.4|" HI_OK
		       "250 |250 |552 5.3.4|250 2.1.0|250 2.0.0",
	    .set = lmtp_small },
	{ "RFC 2033 4.3: BDAT LAST without a recipient has no reply, without LAST one",
	    LHI MAIL NOBODY "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
	    L220 HI_OK "250 |550 |503 5.5.1|250 2.0.0", .set = lmtp },
	{ "nor has it without MAIL", LHI "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", L220 HI_OK "250 2.0.0",
	    .set = lmtp },
	{ "BDAT with rubbish behind the size", LHI MAIL ANN BOB "BDAT 6 FIRST\r\nQUIT\r\nNOOP\r\n",
	    L220 HI_OK "250 |250 |250 |501 5.5.4|250 ", .set = lmtp },
	{ "too many recipients", LHI MAIL ANN BOB ANN "DATA\r\n.\r\n",
	    L220 HI_OK "250 |250 |250 |452 4.5.3|354 |" OK_ANN OK_BOB, "--\n", .set = lmtp_two },
	{ "RSET between letters", LHI MAIL ANN BOB "RSET\r\n" MAIL BOB "DATA\r\n.\r\n",
	    L220 HI_OK "250 |250 |250 |250 2.0.0|250 |250 |354 |" OK_BOB, "--\n", .set = lmtp },
	{ "LHLO begins anew", LHI MAIL ANN LHI "DATA\r\n", L220 HI_OK "250 |250 |" HI_OK "503 ",
	    .set = lmtp },
	{ "RFC 2033 4.1: neither HELO nor EHLO", "HELO x\r\nEHLO x\r\nMAIL FROM:<a@b.org>\r\n",
	    L220 "500 5.5.1|500 5.5.1|503 5.5.1 send LHLO first", .set = lmtp },
	{ "LHLO is not for SMTP", LHI MAIL,
	    "220 mx.example.com ESMTP|500 5.5.1|503 5.5.1 send HELO" },
	{ "LHLO wants a name", "LHLO\r\nLHLO x\r\nLHLO a.b\r\n",
	    L220 "501 5.5.4 LHLO requires|501 5.5.4 invalid LHLO|" HI_OK, .set = lmtp_fqdn },
	{ "HELO is not required where conf says so", MAIL LHI, L220 "250 2.1.0|" HI_OK,
	    .set = lmtp_no_helo },
	{ "nothing that relays", LHI "ETRN x\r\nTURN\r\nATRN\r\n", L220 HI_OK "500 |500 |500 ",
	    .set = lmtp },
	{ "HELP", "HELP\r\nHELP LHLO\r\nHELP EHLO\r\n",
	    L220 "214 2.0.0 commands: LHLO MAIL|214 2.0.0 LHLO domain|504 5.5.4", .set = lmtp },
	{ "a recipient's answer that ends it",
	    LHI MAIL ANN "RCPT TO:<gone@example.com>\r\nNOOP\r\n", L220 HI_OK "250 |250 |421 4.3.2",
	    .ended = true, .set = lmtp },
	{ "unknown commands are counted", "EHLO x\r\nEHLO x\r\nEHLO x\r\nEHLO x\r\nEHLO x\r\n",
	    L220 "500 |500 |500 |500 |421 4.7.0", .ended = true, .set = lmtp },
	{ "DSN, 8BITMIME and SMTPUTF8",
	    LHI "MAIL FROM:<a@b.org> RET=HDRS ENVID=x BODY=8BITMIME SMTPUTF8\r\n"
		"RCPT TO:<b@example.com> NOTIFY=FAILURE ORCPT=rfc822;b@example.com\r\n"
		"DATA\r\n\xc3\xa9\r\n.\r\n",
	    L220 HI_OK "250 |250 |354 |" OK_BOB, "\xc3\xa9\r\n--\n", .set = lmtp },
};

static void
dialogues(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		row_play(&rows[i], rfc);
}

/* What the host answers for all of them. */
static void
refused_by_host(void **state)
{
	static const struct {
		enum smtp_situation commit, data;
		const char *say, *want;
		bool ended;
	} table[] = {
		{ SMTP_DATA_TEMPERR, SMTP_NONE, "DATA\r\n.\r\n", "354 |451 4.3.0|451 4.3.0|",
		    false },
		{ SMTP_MAIL_LOWRES, SMTP_NONE, "BDAT 0 LAST\r\n", "452 4.3.1|452 4.3.1|", false },
		{ SMTP_SHUTDOWN, SMTP_NONE, "DATA\r\n.\r\n", "354 |421 4.3.2|", true },
		{ SMTP_NONE, SMTP_DATA_TEMPERR, "DATA\r\n", "451 4.3.0|", false },
		{ SMTP_NONE, SMTP_DATA_TEMPERR, "BDAT 1\r\nx", "451 4.3.0|", false },
		{ SMTP_NONE, SMTP_DATA_TEMPERR, "BDAT 1 LAST\r\nx", "451 4.3.0|451 4.3.0|", false },
		{ SMTP_NONE, SMTP_SHUTDOWN, "BDAT 1 LAST\r\nx", "421 4.3.2|", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct kit k;
		char want[512];
		kit_open(&k, rfc);
		k.conf.lmtp = true;
		k.say_commit = table[i].commit;
		k.say_data = table[i].data;
		kit_greet(&k);
		kit_say(&k, LHI MAIL ANN FULL);
		kit_say(&k, table[i].say);
		snprintf(want, sizeof(want), "%s%s%s", L220 HI_OK "250 |250 |250 |", table[i].want,
		    table[i].ended ? "" : "250 2.0.0|");
		if (!table[i].ended)
			kit_say(&k, "NOOP\r\n");
		kit_expect_lines(table[i].say, buf_str(&k.out), want);
		assert_int_equal(k.ended, table[i].ended);
		assert_int_equal(k.commits, 0);
		kit_close(&k);
	}
}

/* The server stops while a letter is between its dot and its answer: the answers come first. */
static void
shutdown_behind_answers(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	k.conf.lmtp = true;
	kit_greet(&k);
	kit_say(&k, LHI MAIL ANN BOB "DATA\r\n");
	k.hold = true;
	kit_say(&k, ".\r\n");
	smtp_session_shutdown(&k.s, &k.clock, &k.out);
	k.hold = false;
	kit_run(&k);
	kit_expect_lines("behind", buf_str(&k.out),
	    L220 HI_OK "250 |250 |250 |354 |" OK_ANN OK_BOB "421 4.3.2");
	assert_true(k.ended);
	kit_close(&k);
}

/* RFC 3848; RFC 6531 4.3. */
static void
with(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	k.conf.lmtp = true;
	kit_greet(&k);
	kit_say(&k, LHI MAIL);
	assert_true(str_eq(smtp_session_with(&k.s), STR("LMTP")));
	kit_say(&k, "RSET\r\nMAIL FROM:<a@b.org> SMTPUTF8\r\n");
	assert_true(str_eq(smtp_session_with(&k.s), STR("UTF8LMTP")));
	kit_close(&k);
}

static void
rejected_at_the_door(void **state)
{
	static const struct smtp_peer peer = { "192.0.2.7", "unknown" };
	struct kit k;
	kit_open(&k, rfc);
	k.conf.lmtp = true;
	smtp_session_init(&k.s, &k.conf, &peer, &k.clock);
	smtp_session_greet(&k.s, SMTP_GREETING_REJECT, &k.clock, &k.out);
	kit_expect_lines("rejected", buf_str(&k.out),
	    "554 5.7.1 mx.example.com no LMTP service for [192.0.2.7]");
	kit_say(&k, LHI);
	assert_true(k.ended);
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
		cmocka_unit_test(refused_by_host),
		cmocka_unit_test(shutdown_behind_answers),
		cmocka_unit_test(with),
		cmocka_unit_test(rejected_at_the_door),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
