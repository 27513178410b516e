/* Dialogues as rows: what the peer sends, what it reads, what the host is left with. */
#include "kit/dialogue_kit.h"

static struct smtp_wording *rfc;

static void
lf_reject(struct smtp_conf *c)
{
	c->bare_lf = BARE_LF_REJECT;
}

static void
no_editing(struct smtp_conf *c)
{
	c->line_editing = false;
}

static void
dot_space(struct smtp_conf *c)
{
	c->dot_space_end = true;
}

static void
helo_free(struct smtp_conf *c)
{
	c->require_helo = false;
	c->helo_arg_optional = true;
}

static void
brackets(struct smtp_conf *c)
{
	c->angle_brackets_required = true;
}

static void
one_message(struct smtp_conf *c)
{
	c->msgs_per_session = 1;
}

static void
words_on(struct smtp_conf *c)
{
	c->vrfy = c->expn = true;
}

static void
fqdn(struct smtp_conf *c)
{
	c->helo_check = HELO_FQDN;
}

static void
syntax(struct smtp_conf *c)
{
	c->helo_check = HELO_SYNTAX;
}

static void
silent(struct smtp_conf *c)
{
	c->quit_silent = true;
}

static void
no_ehlo(struct smtp_conf *c)
{
	c->ehlo = false;
}

static void
two_from(struct smtp_conf *c)
{
	c->two_from_ok = true;
}

static void
short_lines(struct smtp_conf *c)
{
	c->command_line = 20;
}

static void
small(struct smtp_conf *c)
{
	c->max_size = 10;
}

static const struct row rows[] = {
	{ "a letter", TXN "DATA\r\nSubject: x\r\n\r\nhi\r\n.\r\nQUIT\r\n",
	    TXN_OK "354 |250 2.0.0 ok queued as QID1|221 ", "Subject: x\r\n\r\nhi\r\n--\n",
	    .ended = true },
	{ "two letters", TXN "DATA\r\na\r\n.\r\n" MAIL RCPT "DATA\r\nb\r\n.\r\n",
	    TXN_OK "354 |250 |250 |250 |354 |250 ", "a\r\n--\nb\r\n--\n" },
	{ "an empty letter", TXN "DATA\r\n.\r\n", TXN_OK "354 |250 2.0.0", "--\n" },
	{ "R-DOT: dots are unstuffed", TXN "DATA\r\n..\r\n..a\r\n.b\r\n. \r\n.\t.\r\n.\r\n",
	    TXN_OK "354 |250 ", ".\r\n.a\r\nb\r\n \r\n\t.\r\n--\n" },
	{ "R-DOT: dot_space=end", TXN "DATA\r\na\r\n. b\r\n.  \r\n. \r\nNOOP\r\n",
	    TXN_OK "354 |250 |250 2.0.0", "a\r\n b\r\n  \r\n--\n", .set = dot_space },
	{ "R-EOL: LF session",
	    "EHLO x\n"
	    "MAIL FROM:<a@example.org>\nRCPT TO:<b@example.com>\nDATA\n"
	    "a\r\nb\n..c\n\n. \n.\nQUIT\n",
	    TXN_OK "354 |250 |221 ",
	    "a\r\nb\r\n.c\r\n\r\n \r\n"
	    "--\n",
	    .ended = true },
	{ "R-EOL: LF session refused", "EHLO x\nEHLO x\r\nNOOP\n",
	    "220 |500 5.5.2|" HI_OK "500 5.5.2", .set = lf_reject },
	{ "R-EOL: bare LF command in a CRLF session", HI "NOOP\nNOOP\r\n",
	    "220 |" HI_OK "500 5.5.2|250 2.0.0" },
	{ "R-EOL: CR inside a command", HI "NOOP\rRSET\r\n", "220 |" HI_OK "500 5.5.2" },
	{ "R-EOL: bare LF in data", TXN "DATA\r\na\nb\r\n.\r\n", TXN_OK "354 |554 5.6.0",
	    .drops = 1 },
	{ "R-EOL: bare CR in data", TXN "DATA\r\na\rb\r\n.\r\n", TXN_OK "354 |554 5.6.0",
	    .drops = 1 },
	{ "R-EOL: bare CR in data of an LF session",
	    "EHLO x\n"
	    "MAIL FROM:<a@b.org>\nRCPT TO:<b@example.com>\nDATA\n"
	    "a\rb\n.\n",
	    TXN_OK "354 |554 5.6.0", .drops = 1 },
	{ "smuggling: LF dot LF", TXN "DATA\r\na\n.\nQUIT\n\r\n.\r\nNOOP\r\n",
	    TXN_OK "354 |"
		   "554 5.6.0|250 ",
	    .drops = 1 },
	{ "smuggling: LF dot CRLF", TXN "DATA\r\na\n.\r\nQUIT\r\n.\r\nNOOP\r\n",
	    TXN_OK "354 |"
		   "554 5.6.0|250 ",
	    .drops = 1 },
	{ "smuggling: CRLF dot LF", TXN "DATA\r\na\r\n.\nQUIT\r\n.\r\nNOOP\r\n",
	    TXN_OK "354 |"
		   "554 5.6.0|250 ",
	    .drops = 1 },
	{ "smuggling: CRLF dot CR CRLF", TXN "DATA\r\na\r\n.\r\r\nQUIT\r\n.\r\nNOOP\r\n",
	    TXN_OK "354 |554 5.6.0|250 ", .drops = 1 },
	{ "smuggling: CR dot CRLF", TXN "DATA\r\na\r.\r\nQUIT\r\n.\r\nNOOP\r\n",
	    TXN_OK "354 |"
		   "554 5.6.0|250 ",
	    .drops = 1 },
	{ "NUL in data", NUL_ROW(TXN "DATA\r\na\0b\r\n.\r\nNOOP\r\n"),
	    .want = TXN_OK "354 |"
			   "554 5.6.0|250 ",
	    .drops = 1 },
	{ "R-TELNET",
	    NUL_ROW("\xff\xfb\x1f\xff\xfb\x20\xff\xfd\x0a\xff\xfd\x00"
		    "EHLL\bO x\x7fy\r\0NO\xff\xfa\x18\x00\r\n\xff\xf0"
		    "OP\r\n\xff\xf1NOOP\r\n"),
	    .want = "220 |" HI_OK "250 2.0.0|250 2.0.0" },
	{ "R-TELNET off", "NOOQ\bP\r\n\xff\xf1NOOP\r\n", "220 |500 |500 ", .set = no_editing },
	{ "erasing more than there is", "X\b\b\b\bNOOP\r\n", "220 |250 2.0.0" },
	{ "IAC in data is data", TXN "DATA\r\n\xff\xf1\b\r\n.\r\n", TXN_OK "354 |250 ",
	    "\xff\xf1\b\r\n--\n" },
	{ "NUL in a command", NUL_ROW("NO\0OP\r\nNOOP\r\n"), .want = "220 |500 5.5.2|250 " },
	{ "R-LINE",
	    "NOOP 0123456789abcdefghij\r\nNOOP\r\nNOOP 0123456789abcd\r\n"
	    "NOOP 0123456789abcdefghij\r\n",
	    "220 |500 5.5.2|250 |250 |500 5.5.2", .set = short_lines },
	{ "R-LINE: in sync behind CR NUL",
	    NUL_ROW("NOOP 0123456789abcdefghij\r\0NOOP\r\n"
		    "NOOP 0123456789abcdefghij\rx\0y\n"
		    "RSET\r\n"),
	    .want = "220 |500 5.5.2|250 |500 5.5.2|250 ", .set = short_lines },
	{ "R-LINE: exactly at the limit", "NOOP 0123456789abcde\r\nNOOP 0123456789abcdef\r\n",
	    "220 |250 |500 5.5.2", .set = short_lines },
	{ "R-LINE: AUTH may be longer", "AUTH PLAIN 0123456789abcdefghijklmnopq\r\n",
	    "220 |"
	    "503 5.5.1",
	    .set = short_lines },
	{ "R-CASE",
	    "ehLo x\r\nmail from:<a@b.org> body=8bitmime Size=3\r\n"
	    "rcpt To:<B@example.com> notify=never\r\n"
	    "Data\r\n.\r\nquit\r\n",
	    TXN_OK "354 |250 |221 ", "--\n", .ended = true },
	{ "R-STATE: a refusal changes nothing",
	    HI MAIL "RCPT TO:<nobody@example.com>\r\n"
		    "RCPT TO:<>\r\nRCPT TO:<x@y@z>\r\n"
		    "RCPT FROM:<a@b.org>\r\n" MAIL "MIAL\r\n" RCPT "DATA\r\n.\r\n",
	    "220 |" HI_OK "250 |550 5.1.1|501 |501 5.1.3|501 5.5.2|503 5.5.1|500 |250 |354 |"
	    "250 ",
	    "--\n" },
	{ "R-STATE: RSET", TXN "RSET\r\nDATA\r\n", TXN_OK "250 2.0.0|503 5.5.1" },
	{ "R-STATE: EHLO", TXN "EHLO again.example.org\r\nRCPT TO:<b@example.com>\r\n",
	    TXN_OK HI_OK "503 5.5.1" },
	{ "R-STATE: HELO", TXN "HELO again.example.org\r\nRCPT TO:<b@example.com>\r\n",
	    TXN_OK "250 mx|503 5.5.1" },
	{ "no HELO", MAIL "HELO x\r\n" MAIL, "220 |503 5.5.1|250 |250 2.1.0" },
	{ "HELO not required", MAIL "HELO\r\nEHLO\r\n", "220 |250 2.1.0|250 mx|501 5.5.4",
	    .set = helo_free },
	{ "HELO wants a word", "HELO\r\nEHLO \r\n", "220 |501 5.5.4|501 5.5.4" },
	{ "helo_check lenient", "HELO I'm Paul, you know\r\n", "220 |250 " },
	{ "helo_check syntax",
	    "HELO a b\r\nHELO a_b!\r\nHELO host\r\nHELO [192.0.2.1]\r\n"
	    "HELO [IPv6:2001:db8::1]\r\nHELO [x]\r\n",
	    "220 |501 5.5.4|501 5.5.4|250 |250 |250 |501 5.5.4", .set = syntax },
	{ "helo_check fqdn", "EHLO host\r\nHELO host\r\nHELO host.example.org\r\n",
	    "220 |501 |"
	    "501 |250 ",
	    .set = fqdn },
	{ "EHLO off", "EHLO x\r\nHELO x\r\n", "220 |500 5.5.1|250 ", .set = no_ehlo },
	{ "brackets",
	    HI "MAIL FROM:a@b.org\r\n" MAIL "RCPT TO: b@example.com\r\n"
	       "RCPT TO: <b@example.com>\r\n",
	    "220 |" HI_OK "501 5.5.2|250 |501 5.5.2|250 ", .set = brackets },
	{ "no brackets", HI "MAIL FROM: a@b.org SIZE=3\r\nRCPT TO : b@example.com\r\n",
	    "220 |" HI_OK "250 |250 " },
	{ "bad senders",
	    HI "MAIL FROM:<a@>\r\nMAIL FROM:<@x:a@b.org>\r\n"
	       "MAIL FROM:<a%b@c.org>\r\nMAIL FROM\r\nMAIL\r\n"
	       "MAIL FROM:<|sh@b.org>\r\n",
	    "220 |" HI_OK "501 5.1.7|501 5.1.7|501 5.1.7|501 5.5.2|"
	    "501 5.5.2|501 5.1.7" },
	{ "null sender", HI "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\n",
	    "220 |" HI_OK "250 2.1.0|"
	    "250 2.1.5" },
	{ "UTF-8 without SMTPUTF8",
	    HI "MAIL FROM:<\xc3\xa9@b.org>\r\n" MAIL "RCPT TO:<\xc3\xa9@b.org>\r\n",
	    "220 |" HI_OK "553 5.6.7|250 |553 5.6.7" },
	{ "SMTPUTF8",
	    HI "MAIL FROM:<\xc3\xa9@b.org> SMTPUTF8\r\n"
	       "RCPT TO:<\xc3\xa9@b.org> ORCPT=utf-8;\xc3\xa9@b.org\r\n",
	    "220 |" HI_OK "250 2.1.0|250 2.1.5" },
	{ "MAIL parameters",
	    HI "MAIL FROM:<a@b.org> FOO=BAR\r\n"
	       "MAIL FROM:<a@b.org> SIZE=1 SIZE=1\r\nMAIL FROM:<a@b.org> SIZE\r\n"
	       "MAIL FROM:<a@b.org> BODY=9BIT\r\nMAIL FROM:<a@b.org> SIZE=99999\r\n"
	       "MAIL FROM:<a@b.org> FOO SIZE=99999999999999999999\r\n"
	       "MAIL FROM:<a@b.org> AUTH=<>\r\nRSET\r\n"
	       "MAIL FROM:<a@b.org> RET=full ENVID=a+2Bb BODY=7BIT\r\n",
	    "220 |" HI_OK "555 5.5.4 unsupported option: FOO=BAR|501 5.5.4|501 5.5.4|"
	    "501 5.5.4 bad value: 9BIT|552 5.3.4|552 5.3.4|250 |250 |250 " },
	{ "RCPT parameters",
	    HI MAIL "RCPT TO:<b@c.org> NOTIFY=NEVER,DELAY\r\n"
		    "RCPT TO:<b@c.org> ORCPT=x\r\nRCPT TO:<b@c.org> SIZE=1\r\n"
		    "RCPT TO:<b@c.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+40b\r\n",
	    "220 |" HI_OK "250 |501 5.5.4|501 5.5.4|555 5.5.4|250 " },
	{ "too many recipients", TXN RCPT RCPT RCPT "RCPT TO:<nobody@example.com>\r\nDATA\r\n.\r\n",
	    TXN_OK "250 |250 |452 4.5.3|452 4.5.3|354 |250 ", "--\n" },
	{ "too many messages", TXN "RSET\r\n" MAIL "NOOP\r\n", TXN_OK "250 |421 4.7.0",
	    .ended = true, .set = one_message },
	{ "DATA out of order", HI "DATA\r\n", "220 |" HI_OK "503 5.5.1 need MAIL" },
	{ "too big at MAIL", HI "MAIL FROM:<a@b.org> SIZE=11\r\n", "220 |" HI_OK "552 5.3.4",
	    .set = small },
	{ "too big", TXN "DATA\r\n12345678\r\n9\r\n.\r\nNOOP\r\n", TXN_OK "354 |552 5.3.4|250 ",
	    .drops = 1, .set = small },
	{ "just not too big", TXN "DATA\r\n12345678\r\n.\r\n", TXN_OK "354 |250 ",
	    "12345678\r\n"
	    "--\n",
	    .set = small },
	{ "hops",
	    TXN "DATA\r\nReceived: a\r\nReceived: b\r\nReceived: c\r\nReceived: d\r\n\r\n"
		".\r\n",
	    TXN_OK "354 |554 5.4.6", .drops = 1 },
	{ "R-FROM", TXN "DATA\r\nFrom: a\r\nFrom : b\r\n\r\n.\r\n", TXN_OK "354 |554 5.6.0",
	    .drops = 1 },
	{ "R-FROM off", TXN "DATA\r\nFrom: a\r\nFrom: b\r\n\r\n.\r\n", TXN_OK "354 |250 ",
	    "From: a\r\nFrom: b\r\n\r\n--\n", .set = two_from },
	{ "header lines",
	    TXN "DATA\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\nH:\r\nI:\r\n"
		"J:\r\nK:\r\nL:\r\nM:\r\nN:\r\nO:\r\n"
		"P:\r\nQ:\r\nR:\r\nS:\r\nT:\r\nU:\r\n\r\n\r\n.\r\nNOOP\r\n",
	    TXN_OK "354 |552 5.3.4|"
		   "250 ",
	    .drops = 1 },
	{ "bad commands", "A\r\nB\r\nC\r\nD\r\nE\r\nNOOP\r\n",
	    "220 |500 |500 |500 |500 |"
	    "421 4.7.0",
	    .ended = true },
	{ "VRFY and EXPN by default", "VRFY joe\r\nVRFY\r\nEXPN list\r\n",
	    "220 |252 2.5.2|"
	    "501 5.5.4|502 " },
	{ "VRFY and EXPN", "VRFY joe SMTPUTF8\r\nVRFY jim\r\nEXPN list\r\nEXPN\r\n",
	    "220 |250 2.1.5 Joe <joe@example.com>|550 5.1.1 <jim>|250-2.1.5 <ann@example.com>|"
	    "250 2.1.5 <bob@example.com>|501 5.5.4",
	    .set = words_on },
	{ "HELP", "HELP\r\nHELP mail\r\nHELP XYZZY\r\nHELP AUTH\r\n",
	    "220 |214 2.0.0 commands: EHLO HELO|214 2.0.0 MAIL FROM:<address> [SIZE=n]|504 5.5.4|"
	    "504 5.5.4" },
	{ "not available",
	    HI "AUTH PLAIN\r\nSTARTTLS\r\nTURN\r\nATRN x\r\nETRN\r\nETRN x\r\n"
	       "SEND x\r\n",
	    "220 |" HI_OK "503 5.5.1|502 5.5.1|502 5.7.0|530 5.7.0|501 5.5.4|459 4.7.1|502 5.5.1" },
	{ "merge verbs are unknown here",
	    "XMRG FROM:<a@b.org>\r\nXDFN a=b\r\nXPRT 1\r\n"
	    "XACK\r\n",
	    "220 |500 |500 |500 |500 " },
	{ "arguments where none belong", "RSET x\r\nQUIT y\r\nNOOP z\r\n",
	    "220 |"
	    "501 5.5.4 syntax: RSET|501 5.5.4|250 " },
	{ "silent QUIT", "QUIT\r\nNOOP\r\n", "220 ", .ended = true, .set = silent },
	{ "R-HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.org>\r\n", "220 |554 5.5.1",
	    .ended = true },
	{ "R-HTTP: bare LF too", "POST /x HTTP/1.0\nNOOP\n", "220 |554 5.5.1", .ended = true,
	    .set = lf_reject },
	{ "R-HTTP: the first line only", "NOOP\r\nGET / HTTP/1.1\r\n", "220 |250 |500 " },
	{
	    "BDAT",
	    TXN "BDAT 5\r\na\r\n.\rBDAT 3 LAST\r\n\nb\r\nNOOP\r\n",
	    TXN_OK "250 2.0.0 5 octets|554 5.6.0|500 5.5.2|250 2.0.0 ok",
	    .drops = 1,
	},
	{ "BDAT, good lines", TXN "BDAT 5\r\na\r\n.\rBDAT 4 LAST\r\n\nb\r\nQUIT\r\n",
	    TXN_OK "250 2.0.0 5 octets|250 2.0.0 ok queued|221 ", "a\r\n.\r\nb\r\n--\n",
	    .ended = true },
	{ "BDAT 0 LAST", TXN "BDAT 3\r\na\r\nBDAT 0 LAST\r\nBDAT 0 LAST\r\n",
	    TXN_OK "250 |"
		   "250 2.0.0 ok queued|503 5.5.1",
	    "a\r\n--\n" },
	{ "BDAT only 0", TXN "BDAT 0\r\nBDAT 0\r\nBDAT 0 LAST\r\n", TXN_OK "250 |250 |250 ",
	    "--\n" },
	{ "BINARYMIME",
	    NUL_ROW(HI "MAIL FROM:<a@b.org> BODY=BINARYMIME\r\n" RCPT
		       "BDAT 7 LAST\r\n\0\r\n\n\r.\r"),
	    .want = TXN_OK "250 2.0.0 ok queued", .letters = NULL },
	{ "BDAT without MAIL", "BDAT 6\r\nQUIT\r\nNOOP\r\n", "220 |503 5.5.1|250 " },
	{ "BDAT without RCPT", HI MAIL "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
	    "220 |" HI_OK "250 |"
	    "503 5.5.1|250 " },
	{ "BDAT with only bad RCPTs",
	    HI MAIL "RCPT TO:<nobody@b.org>\r\nBDAT 6 LAST\r\nQUIT\r\n"
		    "NOOP\r\n",
	    "220 |" HI_OK "250 |550 |554 5.5.1|250 " },
	{ "BDAT with rubbish behind the size",
	    TXN "BDAT 6 FIRST\r\nQUIT\r\nBDAT 2 LAST\r\n\r\n"
		"NOOP\r\n",
	    TXN_OK "501 5.5.4|503 |250 " },
	{ "BDAT too big", TXN "BDAT 4\r\n1234BDAT 7\r\nQUIT\r\n.BDAT 1 LAST\r\nxNOOP\r\n",
	    TXN_OK "250 |552 5.3.4|503 |250 ", .drops = 1, .set = small },
	{ "BDAT of a size nobody holds", TXN "BDAT 99999999999999999999\r\nQUIT\r\n",
	    TXN_OK "501 5.5.4", .ended = true },
	{ "between chunks", TXN "BDAT 2\r\na\n" RCPT MAIL "NOOP\r\nRSET\r\nDATA\r\n",
	    TXN_OK "250 |503 5.5.1|503 5.5.1|250 |250 |503 5.5.1", .drops = 1 },
	{ "EHLO between chunks", TXN "BDAT 2\r\na\n" HI, TXN_OK "250 |" HI_OK, .drops = 1 },
	{ "QUIT between chunks", TXN "BDAT 2\r\na\nQUIT\r\n", TXN_OK "250 |221 ", .drops = 1,
	    .ended = true },
	{ "a recipient's answer that ends it", HI MAIL "RCPT TO:<gone@example.com>\r\nNOOP\r\n",
	    "220 |" HI_OK "250 |421 4.3.2", .ended = true },
	{ "blanks around", HI " MAIL  FROM:<a@b.org>  \r\nRSET \t\r\n\r\n",
	    "220 |" HI_OK "250 |"
	    "250 |500 " },
	{ "reply injection", "HELO x\x01\x1b[2J\r\nEHLO \xc2\x85\xfe\r\nXY\tZ${host}\r\n",
	    "220 |"
	    "250 mx.example.com\r|"
	    "250-mx.example.com greets \?\?\? [192.0.2.7]\r|250-|250-|250-|250-|250-|250-|250-|"
	    "250-|250-|250 HELP|500 5.5.1 command not recognized: XY\r" },
};

static void
dialogues(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		row_play(&rows[i], rfc);
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
	static const struct CMUnitTest tests[] = { cmocka_unit_test(dialogues) };
	return cmocka_run_group_tests(tests, setup, teardown);
}
