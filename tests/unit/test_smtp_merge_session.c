/* Mail merge as a conversation: the state table, silenced replies, and what it leaves behind. */
#include "kit/dialogue_kit.h"

static struct smtp_wording *rfc;

#define XMRG "XMRG FROM:<a@example.org>\r\n"
#define MERGE HI XMRG RCPT
#define HI_220 "220 |" HI_OK
#define MERGE_OK HI_220 "250 2.1.0 XMRG ok|250 2.1.5|"
#define NESTED "503 5.5.1 nested MAIL"
#define RECEIVING "503 5.5.1 bad sequence of commands: now receiving parts"
#define NOT_IN "503 5.5.1 not in a mailmerge"

static void
on(struct smtp_conf *c)
{
	c->ipmm = true;
	c->ipmm_parts = 100;
	c->ipmm_rcpts = 5;
}

static void
on_brackets(struct smtp_conf *c)
{
	on(c);
	c->ipmm_brackets = true;
}

static void
on_small(struct smtp_conf *c)
{
	on(c);
	c->max_size = 30;
}

static void
on_lmtp(struct smtp_conf *c)
{
	on(c);
	c->lmtp = true;
}

/* Whole, octet by octet, at every split. */
static const struct row rows[] = {
	{ "two recipients, two parts",
	    MERGE "XDFN n=x *PARTS=2,1\r\nRCPT TO:<c@example.com>\r\n"
		  "XPRT 2\r\nA: &n;\r\n.\r\nXPRT 1 LAST\r\n\r\n..&*TO;\r\n.\r\nNOOP\r\n",
	    MERGE_OK "250 2.0.0|250 2.1.5|354 send part|250 2.6.0 part ok|354 send part|"
		     "250 2.6.0 ok, 2 merged messages queued|250 ",
	    "\r\n.b@example.com\r\nA: &n;\r\n--\nA: x\r\n\r\n.c@example.com\r\n--\n", 0, false,
	    on },
	{ "brackets",
	    HI XMRG "XDFN n=x\r\n" RCPT "XPRT 1 LAST\r\nS: [N] [[z][?]\r\n\r\n[m]\r\n.\r\n",
	    HI_220 "250 |250 |250 |354 |250 2.6.0", "S: x [z][?]\r\n\r\n\r\n--\n", 0, false,
	    on_brackets },
	{ "off: not known", HI XMRG "XDFN a=b\r\nXACK OFF\r\nXLSMTP-ACKRCPT OFF\r\n",
	    HI_220 "500 |500 |500 |500 ", "", 0, false, NULL },
	{ "LMTP: not known", "LHLO x\r\n" XMRG "XACK OFF\r\nXLSMTP-X\r\n",
	    "220 |" HI_OK "500 |500 |500 ", "", 0, false, on_lmtp },
	{ "no transaction, a plain one, a merge",
	    HI "XDFN a=b\r\n" MAIL "XDFN a=b\r\n" XMRG RCPT "RSET\r\n" XMRG XMRG MAIL,
	    HI_220 NOT_IN "|250 2.1.0|" NOT_IN "|503 |250 2.1.5|250 |250 |503 |503 ", "", 0, false,
	    on },
	{ "a merge that is given up", MERGE "RSET\r\n" TXN "RSET\r\n",
	    MERGE_OK "250 |" HI_OK "250 |250 |250 ", "", 0, false, on },
	{ "a part that is given up", MERGE "XPRT 1\r\n\r\n.\r\nRSET\r\nXDFN a=b\r\n",
	    MERGE_OK "354 |250 |250 |" NOT_IN, "", 1, false, on },
	{ "QUIT before LAST", MERGE "XPRT 1\r\nx\r\n.\r\nQUIT\r\n", MERGE_OK "354 |250 |221 ", "",
	    1, true, on },
	{ "receiving parts",
	    MERGE "XPRT 1\r\nA: b\r\n.\r\nXDFN a=b\r\n" RCPT XMRG MAIL "XPRT 2 LAST\r\n\r\n.\r\n",
	    MERGE_OK "354 |250 |" RECEIVING "|" RECEIVING "|" RECEIVING "|" RECEIVING "|354 |250 ",
	    "A: b\r\n\r\n--\n", 0, false, on },
	{ "BDAT in a merge: eaten, and nothing changes",
	    MERGE "BDAT 6\r\nQUIT\r\nXPRT 1 LAST\r\n\r\n.\r\n", MERGE_OK "503 5.5.1|354 |250 ",
	    "\r\n--\n", 0, false, on },
	{ "what was defined for a refused recipient is gone",
	    HI XMRG "XDFN n=x\r\nRCPT TO:<nobody@b.org>\r\n" RCPT "XDFN n=y\r\nRCPT TO:<\r\n"
		    "RCPT TO:<c@b.org>\r\nXPRT 1 LAST\r\n\r\n&n;\r\n.\r\n",
	    HI_220 "250 |250 |550 |250 |250 |501 |250 |354 |250 ", "\r\n&n;\r\n--\n\r\n&n;\r\n--\n",
	    0, false, on },
	{ "recipients have their own limit",
	    MERGE RCPT RCPT RCPT RCPT RCPT "XPRT 1 LAST\r\n\r\n.\r\n",
	    MERGE_OK "250 |250 |250 |250 |452 |354 |250 ",
	    "\r\n--\n\r\n--\n\r\n--\n\r\n--\n\r\n--\n", 0, false, on },
	{ "XDFN mistakes",
	    HI XMRG "XDFN\r\nXDFN a\r\nXDFN *TO=a\r\nXDFN *PARTS=0\r\nXDFN a=\"\r\nXDFN a=\"\"\r\n",
	    HI_220 "250 |504 5.5.2|504 5.5.4 no var|504 5.5.4 res|504 5.5.4 syn|504 5.5.2|250 ", "",
	    0, false, on },
	{ "XDFN with NUL", NUL_ROW(HI XMRG "XDFN a=b\0c\r\nNOOP\r\n"),
	    .want = HI_220 "250 |504 5.5.2 XDFN must not contain NUL|250 ", .set = on },
	{ "parameters of XMRG",
	    HI "XMRG FROM:<a@b.org> VERSION=1 VERP SIZE=100 FOO\r\n"
	       "XMRG FROM: <> version=1 verp body=8bitmime\r\n",
	    HI_220 "555 |250 ", "", 0, false, on },
	{ "no reply to RCPT",
	    HI "XLSMTP-ACKRCPT off\r\n" XMRG RCPT "XDFN a=b\r\n" RCPT
	       "XPRT 1 LAST\r\n\r\n.\r\n" MAIL RCPT "RSET\r\nXLSMTP-ACKRCPT ON\r\n" XMRG RCPT,
	    HI_220 "250 |250 |250 |354 |250 |250 |250 |250 |250 |250 |250 ", "\r\n--\n\r\n--\n", 0,
	    false, on },
	{ "no reply to RCPT and XDFN",
	    HI "XACK OFF\r\n" XMRG "XDFN a=b\r\n" RCPT "XPRT 1 LAST\r\n\r\n&a;\r\n.\r\n"
	       "XACK ON\r\n" XMRG "XDFN a=b\r\n",
	    HI_220 "250 |250 |354 |250 |250 |250 |250 ", "\r\nb\r\n--\n", 0, false, on },
	{ "words of ACKRCPT", HI "XLSMTP-ACKRCPT MAYBE\r\nXACK\r\nXACK x\r\nXLSMTP-X y\r\n",
	    HI_220 "501 5.5.4|501 5.5.4|501 5.5.4|504 5.5.4 parameter XLSMTP-X", "", 0, false, on },
	{ "a part too large: the merge is over",
	    MERGE
	    "XPRT 1\r\n0123456789\r\n.\r\nXPRT 2\r\n01234567890123456789012345\r\nxxxxx\r\n.\r\n"
	    "XDFN a=b\r\n",
	    MERGE_OK "354 |250 |354 |552 5.3.4 size limit exceeded|" NOT_IN, "", 1, false,
	    on_small },
	{ "a letter too large",
	    MERGE "XPRT 1\r\n0123456789\r\n.\r\nXPRT 2 LAST\r\n01234567890123456789\r\n.\r\n"
		  "XDFN a=b\r\n",
	    MERGE_OK "354 |250 |354 |552 5.3.4 size limit exceeded|" NOT_IN, "", 0, false,
	    on_small },
	{ "a bare LF in a part", MERGE "XPRT 1\r\na\nb\r\n.\r\nXDFN a=b\r\n",
	    MERGE_OK "354 |554 5.6.0|" NOT_IN, "", 1, false, on },
	{ "two letters of which one is bad: neither is taken",
	    HI XMRG "XDFN f=From\r\n" RCPT RCPT "XPRT 1 LAST\r\nFrom: x\r\n&f;: y\r\n.\r\n",
	    HI_220 "250 |250 |250 |250 |354 |554 5.6.0", "", 0, false, on },
};

static void
dialogues(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		row_play(&rows[i], rfc);
}

/* A peer that waits for each answer ("@" parts what it says): a refused XPRT changes nothing. */
static const struct row steps[] = {
	{ "XPRT where it has no place",
	    HI "@XPRT 1\r\n@" MAIL RCPT "@XPRT 1\r\n@RSET\r\n" XMRG "@XPRT 1\r\n@RCPT "
	       "TO:<nobody@b.org>\r\n@XPRT 1\r\n",
	    HI_220 NOT_IN "|250 |250 |503 5.5.1 bad sequence of commands: XPRT within "
			  "plain|250 |250 |503 5.5.1|550 |554 5.5.1",
	    "", 0, false, on },
	{ "DATA in a merge", MERGE "@DATA\r\n@XPRT 1\r\n\r\n.\r\nDATA\r\n@XPRT 2 LAST\r\n.\r\n",
	    MERGE_OK "503 5.5.1 bad sequence of commands: DATA|354 |250 |503 5.5.1 bad|354 |250 ",
	    "\r\n--\n", 0, false, on },
	{ "XPRT mistakes",
	    MERGE
	    "@XPRT\r\n@XPRT 0\r\n@XPRT 1 FIRST\r\n@XPRT 1\r\n\r\n.\r\n@XPRT 1\r\n@XPRT 101\r\n"
	    "@XPRT 2 LAST\r\n.\r\n",
	    MERGE_OK "504 5.5.4 invalid part number|504 5.5.4 invalid part number 0|"
		     "504 5.5.4 parameter FIRST|354 |250 |504 5.5.4 invalid part number 1|"
		     "504 5.5.4 invalid part number 101|354 |250 ",
	    "\r\n--\n", 0, false, on },
	{ "parts missing",
	    HI XMRG "XDFN *PARTS=1-3\r\n" RCPT
		    "@XPRT 1 LAST\r\n@XPRT 1\r\n.\r\nXPRT 3\r\n.\r\nXPRT 5 LAST\r\n@"
		    "XPRT 2 LAST\r\n\r\n.\r\n",
	    HI_220 "250 |250 |250 |504 5.5.1 other|354 |250 |354 |250 |504 5.5.1 other|354 |250 ",
	    "\r\n--\n", 0, false, on },
	{ "BINARYMIME", HI "XMRG FROM:<a@b.org> BODY=BINARYMIME\r\n" RCPT "@XPRT 1\r\n",
	    HI_220 "250 |250 |503 5.5.1 BODY=BINARYMIME", "", 0, false, on },
	{ "the first refusal that was not said comes with XPRT, and ends it",
	    HI "XACK OFF\r\n" XMRG RCPT "XDFN a\r\n" RCPT
	       "RCPT TO:<nobody@b.org>\r\nXPRT 1\r\n@XPRT 1\r\n",
	    HI_220 "250 |250 |504 5.5.4 no variable|" NOT_IN, "", 0, false, on },
	{ "and so does one behind the first part",
	    HI "XACK OFF\r\n" XMRG RCPT "XPRT 1\r\n\r\n.\r\n" RCPT "XPRT 2 LAST\r\n@NOOP\r\n",
	    HI_220 "250 |250 |354 |250 |" RECEIVING "|250 ", "", 1, false, on },
	{ "what ends the session is never kept back",
	    HI "XACK OFF\r\n" XMRG "RCPT TO:<gone@b.org>\r\n", HI_220 "250 |250 |421 ", "", 0, true,
	    on },
	{ "input that waits behind a refused XPRT is a part, not commands",
	    MERGE "XPRT 1 FIRST\r\nRSET\r\n", MERGE_OK "504 5.5.4", "", 0, true, on },
};

static void
stepwise(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct str in = row_input(&steps[i]);
		struct kit k;
		row_open(&k, &steps[i], rfc);
		for (const char *at = in.p, *end; at < in.p + in.len; at = end) {
			end = at;
			bool inside = false;
			while (end < in.p + in.len && (*end != '@' || inside)) {
				inside = (inside || *end == '<') && *end != '>';
				end++;
			}
			kit_push(&k, str_n(at, (size_t)(end - at)));
			end += end < in.p + in.len;
		}
		row_check(&steps[i], &k, NULL);
		kit_close(&k);
	}
}

/* The host's word on a part, and on the whole. */
static void
host_refuses(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	on(&k.conf);
	k.say_data = SMTP_DATA_TEMPERR;
	kit_greet(&k);
	kit_say(&k, MERGE "XPRT 1\r\n");
	kit_say(&k, "NOOP\r\n");
	k.say_data = SMTP_NONE;
	kit_say(&k, "XPRT 1\r\n\r\n.\r\n");
	k.say_commit = SMTP_MAIL_LOWRES;
	kit_say(&k, "XPRT 2 LAST\r\nx\r\n.\r\nXDFN a=b\r\n");
	kit_expect_lines("host", buf_str(&k.out), MERGE_OK "451 |250 |354 |250 |354 |452 |" NOT_IN);
	assert_int_equal(k.commits, 0);
	kit_close(&k);
}

/* Each recipient costs the transaction nothing: a merge keeps its own. */
static void
arena_is_free(void **state)
{
	struct kit k;
	kit_open(&k, rfc);
	on(&k.conf);
	k.conf.ipmm_rcpts = 100000;
	kit_greet(&k);
	kit_say(&k, HI XMRG RCPT);
	size_t before = k.s.txn->arena.used;
	for (int i = 0; i < 20000; i++)
		kit_say(&k, "XDFN a=b\r\n" RCPT);
	assert_int_equal(k.s.txn->arena.used, before);
	assert_int_equal(k.s.txn->n_rcpt, 20001);
	assert_int_equal(k.s.txn->merge->n_rcpt, 20001);
	kit_close(&k);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(dialogues),
	cmocka_unit_test(stepwise),
	cmocka_unit_test(host_refuses),
	cmocka_unit_test(arena_is_free),
};

static int
load(void **state)
{
	rfc = kit_wording("rfc");
	return 0;
}

static int
unload(void **state)
{
	dialect_free(rfc);
	return 0;
}

int
main(void)
{
	return cmocka_run_group_tests(tests, load, unload);
}
