#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_talk.h"

#define PRE "IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ID ENABLE IDLE"
#define POST                                                                                       \
	"* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS UNSELECT "     \
	"CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE MOVE ESEARCH "          \
	"SEARCHRES WITHIN CONDSTORE QRESYNC STATUS=SIZE MULTIAPPEND BINARY QUOTA "                 \
	"QUOTA=RES-STORAGE UTF8=ACCEPT OBJECTID SAVEDATE PREVIEW SORT SORT=DISPLAY "               \
	"THREAD=REFERENCES THREAD=ORDEREDSUBJECT URLAUTH URL-PARTIAL COMPRESS=DEFLATE "            \
	"APPENDLIMIT=1048576\r\n"

static void
stranger(struct talk *t)
{
	imap_session_greet(&t->s, STR_NULL, &t->clock, &t->out);
}

static void
locked(struct talk *t)
{
	t->conf.auth_cleartext = false;
	stranger(t);
}

static void
locked_all(struct talk *t)
{
	t->conf.tls_required = true;
	locked(t);
}

static void
patience(struct talk *t)
{
	t->conf.bad_commands = 2;
	stranger(t);
}

static void
strict(struct talk *t)
{
	t->conf.bare_lf = false;
	stranger(t);
}

static const struct talk_row rows[] = {
	{ "capabilities before login", stranger, "a CAPABILITY\r\n",
	    "* CAPABILITY " PRE " STARTTLS AUTH=PLAIN AUTH=LOGIN\r\na OK CAPABILITY completed\r\n",
	    false },
	{ "no login in clear", locked,
	    "a CAPABILITY\r\nb LOGIN joe password\r\nc AUTHENTICATE PLAIN\r\nd NOOP\r\n",
	    "* CAPABILITY " PRE " STARTTLS LOGINDISABLED\r\na OK CAPABILITY completed\r\n"
	    "b NO [PRIVACYREQUIRED] a password needs TLS first\r\n"
	    "c NO [PRIVACYREQUIRED] a password needs TLS first\r\nd OK NOOP completed\r\n",
	    false },
	{ "TLS is required", locked_all, "a LOGIN joe password\r\nb ID NIL\r\nc SELECT x\r\n",
	    "a NO [PRIVACYREQUIRED] a password needs TLS first\r\n"
	    "* ID (\"name\" \"Pennypost\")\r\nb OK ID completed\r\n"
	    "c NO [PRIVACYREQUIRED] a password needs TLS first\r\n",
	    false },
	{ "login", stranger, "a login joe password\r\nb login joe password\r\n",
	    POST "a OK LOGIN completed\r\nb BAD this is said before\r\n", false },
	{ "login with literals", stranger, "a LOGIN {3}\r\njoe {8}\r\npassword\r\n",
	    "+ OK\r\n+ OK\r\n" POST "a OK LOGIN completed\r\n", false },
	{ "login with literals unasked", stranger, "a LOGIN {3+}\r\njoe {8+}\r\npassword\r\n",
	    POST "a OK LOGIN completed\r\n", false },
	{ "login quoted", stranger,
	    "a LOGIN \"j\\\\oe\" \"pass\"\r\nb LOGIN \"joe\" \"password\"\r\n",
	    "a NO [AUTHENTICATIONFAILED] name or password is wrong\r\n" POST
	    "b OK LOGIN completed\r\n",
	    false },
	{ "login is wrong", stranger, "a LOGIN joe\r\nb LOGIN joe a b\r\nc LOGIN\r\n",
	    "a BAD LOGIN name password: a blank is missing\r\n"
	    "b BAD LOGIN name password: more arguments than there should be\r\n"
	    "c BAD LOGIN name password: a blank is missing\r\n",
	    false },
	{ "plain", stranger, "a AUTHENTICATE PLAIN\r\nAGpvZQBwYXNzd29yZA==\r\n",
	    "+ \r\n" POST "a OK AUTHENTICATE completed\r\n", false },
	{ "plain at once", stranger, "a AUTHENTICATE PLAIN AGpvZQBwYXNzd29yZA==\r\n",
	    POST "a OK AUTHENTICATE completed\r\n", false },
	{ "login prompted", stranger, "a AUTHENTICATE LOGIN\r\nam9l\r\ncGFzc3dvcmQ=\r\n",
	    "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n" POST "a OK AUTHENTICATE completed\r\n", false },
	{ "cancelled", stranger,
	    "a AUTHENTICATE PLAIN\r\n*\r\nb AUTHENTICATE PLAIN\r\n!\r\nc AUTHENTICATE FOO\r\n"
	    "d AUTHENTICATE PLAIN !\r\ne NOOP\r\n",
	    "+ \r\na BAD the exchange was cancelled\r\n+ \r\nb BAD the response is not base64\r\n"
	    "c NO [CANNOT] this mechanism does not work here\r\n"
	    "d BAD the initial response is not base64\r\ne OK NOOP completed\r\n",
	    false },
	{ "wrong state", stranger, "a SELECT INBOX\r\nb FETCH 1 FLAGS\r\nc STARTTLS x\r\n",
	    "a BAD log in first\r\nb BAD log in first\r\n"
	    "c BAD more arguments than there should be\r\n",
	    false },
	{ "not selected", NULL, "a FETCH 1 FLAGS\r\nb CLOSE\r\nc UID FETCH 1 FLAGS\r\n",
	    "a BAD select a mailbox first\r\nb BAD select a mailbox first\r\n"
	    "c BAD select a mailbox first\r\n",
	    false },
	{ "no tag", NULL,
	    "Logout\r\n\r\n* NOOP\r\n+ NOOP\r\n(a NOOP\r\na\r\na \r\na  NOOP\r\n"
	    "b XYZZY\r\nc UID\r\nd UID XYZZY 1\r\n. NOOP\r\n",
	    "* BAD a command begins with a tag\r\n* BAD a command begins with a tag\r\n"
	    "* BAD a command begins with a tag\r\n* BAD a command begins with a tag\r\n"
	    "* BAD a command begins with a tag\r\n* BAD a command begins with a tag\r\n"
	    "a BAD a command is missing behind the tag\r\n"
	    "a BAD a command is missing behind the tag\r\n"
	    "b BAD there is no such command\r\nc BAD there is no such command\r\n"
	    "d BAD there is no such command\r\n. OK NOOP completed\r\n",
	    false },
	{ "too many wrong", patience, "x\r\ny\r\nz\r\na NOOP\r\n",
	    "* BAD a command begins with a tag\r\n* BAD a command begins with a tag\r\n"
	    "* BAD a command begins with a tag\r\n* BYE too many commands that are wrong\r\n",
	    true },
	{ "HTTP", stranger, "GET / HTTP/1.1\r\nHost: x\r\n", "* BYE this is IMAP, not HTTP\r\n",
	    true },
	{ "logout", NULL, "a LOGOUT\r\nb NOOP\r\n", "* BYE bye\r\na OK LOGOUT completed\r\n",
	    true },
	{ "LF session", stranger, "a NOOP\nb NOOP\r\nc LOGIN {3}\njoe {8+}\npassword\n",
	    "a OK NOOP completed\r\nb OK NOOP completed\r\n+ OK\r\n" POST
	    "c OK LOGIN completed\r\n",
	    false },
	{ "CRLF session", stranger, "a NOOP\r\nb NOOP\nc NO\rOP\r\nd NOOP\r\n",
	    "a OK NOOP completed\r\nb BAD a line ends in CR LF\r\n"
	    "c BAD there is no such command\r\nd OK NOOP completed\r\n",
	    false },
	{ "no LF sessions", strict, "a NOOP\nb NOOP\r\n",
	    "a BAD a line ends in CR LF\r\nb OK NOOP completed\r\n", false },
	{ "a refused literal is invited by nobody", stranger,
	    "a LOGIN {4097}\r\nb LOGIN {100000000000000}\r\nc SELECT {5}\r\nd XYZZY {5}\r\n"
	    "e NOOP\r\n",
	    "a NO [TOOBIG] a literal of 4097 octets is too large\r\n"
	    "b NO [TOOBIG] a literal of 100000000000000 octets is too large\r\n"
	    "c BAD log in first\r\nd BAD there is no such command\r\ne OK NOOP completed\r\n",
	    false },
	{ "a refused literal that comes unasked is eaten", stranger,
	    "a SELECT {8+}\r\nb NOOP\r\n {8+}\r\nc NOOP\r\n x\r\nd NOOP\r\n"
	    "XYZZY {8+}\r\ne NOOP\r\n\r\nf NOOP\r\n",
	    "a BAD log in first\r\nd OK NOOP completed\r\nXYZZY BAD there is no such command\r\n"
	    "f OK NOOP completed\r\n",
	    false },
	{ "too large to be eaten", stranger, "a LOGIN {100000000000000+}\r\nx\r\n",
	    "a NO [TOOBIG] a literal of 100000000000000 octets is too large\r\n"
	    "* BYE [TOOBIG] a literal of 100000000000000 octets is too large\r\n",
	    true },
	{ "ID and ENABLE", NULL,
	    "a ID (\"name\" \"x\" \"os\" NIL)\r\nb ID (\"name\")\r\nc ENABLE QRESYNC X-FOO\r\n"
	    "d ENABLE CONDSTORE UTF8=ACCEPT IMAP4rev2\r\ne ENABLE\r\nf SELECT INBOX\r\n"
	    "g ENABLE IMAP4rev2\r\n",
	    "* ID (\"name\" \"Pennypost\" \"version\" \"0\")\r\na OK ID completed\r\n"
	    "b BAD ID list: a blank is missing\r\n* ENABLED QRESYNC\r\nc OK ENABLE completed\r\n"
	    "* ENABLED UTF8=ACCEPT IMAP4rev2\r\nd OK ENABLE completed\r\n"
	    "e BAD ENABLE extension: a blank is missing\r\n"
	    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
	    "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] flags "
	    "permitted\r\n* 0 EXISTS\r\n* OK [UIDVALIDITY 1001] UIDs valid\r\n"
	    "* OK [UIDNEXT 1] next UID\r\n* OK [HIGHESTMODSEQ 1] highest\r\n"
	    "* OK [MAILBOXID (M1-3e9)] its id\r\n* LIST () \"/\" INBOX\r\n"
	    "f OK [READ-WRITE] SELECT completed\r\ng BAD this is said before\r\n",
	    false },
	{ "idle", NULL,
	    "a IDLE\r\nDONE\r\nb IDLE\r\ndone\r\nc IDLE\r\nd NOOP\r\ne IDLE x\r\nf NOOP\r\n",
	    "+ idling\r\na OK IDLE completed\r\n+ idling\r\nb OK IDLE completed\r\n"
	    "+ idling\r\nc BAD IDLE ends with DONE\r\ne BAD more arguments than there should be\r\n"
	    "f OK NOOP completed\r\n",
	    false },
	{ "quota", NULL,
	    "a GETQUOTAROOT inbox\r\nb GETQUOTA \"\"\r\nc GETQUOTA x\r\nd SETQUOTA \"\" (STORAGE "
	    "5)\r\n"
	    "e GETQUOTAROOT nix\r\n",
	    "* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" ()\r\na OK GETQUOTAROOT completed\r\n"
	    "* QUOTA \"\" ()\r\nb OK GETQUOTA completed\r\n"
	    "c NO [NONEXISTENT] there is no such quota root\r\n"
	    "d NO [NOPERM] a quota is set by who runs the server\r\n"
	    "e NO [NONEXISTENT] there is no such mailbox\r\n",
	    false },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!talk_row_ok(&rows[i]))
			fail_msg("%s", rows[i].name);
}

struct kit {
	struct fake f;
	struct talk t;
};

static struct kit *
kit_new(bool login)
{
	struct kit *k = xalloc(sizeof(*k));
	fake_init(&k->f);
	talk_init(&k->t, &k->f);
	if (login)
		talk_login(&k->t);
	else
		imap_session_greet(&k->t.s, STR_NULL, &k->t.clock, &k->t.out);
	return k;
}

static void
kit_free(struct kit *k)
{
	talk_done(&k->t);
	fake_done(&k->f);
	free(k);
}

/* Seed 002: exactly these words. */
static void
test_starttls(void **state)
{
	struct kit *k = kit_new(false);
	k->t.conf.capability_pre = STR("IMAP4rev1 STARTTLS LOGINDISABLED");
	k->t.conf.capability_tls = STR("IMAP4rev1 AUTH=PLAIN");
	assert_string_equal(talk_say(&k->t, "a001 CAPABILITY\r\n"),
	    "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\na001 OK CAPABILITY completed\r\n");
	assert_string_equal(talk_say(&k->t, "a002 STARTTLS\r\n"),
	    "a002 OK Begin TLS negotiation now\r\n");
	assert_int_equal(k->t.upgrades, 1);
	/* The other end types in another program now: R-EOL decides again. */
	assert_string_equal(talk_say(&k->t, "a003 CAPABILITY\n"),
	    "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na003 OK CAPABILITY completed\r\n");
	assert_string_equal(talk_say(&k->t, "a STARTTLS\n"), "a BAD TLS is active already\r\n");
	assert_string_equal(talk_say(&k->t, "a004 LOGIN joe password\n"),
	    POST "a004 OK LOGIN completed\r\n");
	kit_free(k);
}

/* CVE-2011-0411: what waits behind STARTTLS was not sent inside TLS. */
static void
test_starttls_pipelined(void **state)
{
	struct kit *k = kit_new(false);
	assert_string_equal(talk_say(&k->t, "a STARTTLS\r\nb LOGIN joe password\r\n"),
	    "a OK Begin TLS negotiation now\r\n");
	assert_true(k->t.ended);
	assert_int_equal(k->t.upgrades, 0);
	kit_free(k);
	k = kit_new(false);
	k->t.refuse_tls = true;
	assert_string_equal(talk_say(&k->t, "a STARTTLS\r\nb NOOP\r\n"),
	    "a NO [UNAVAILABLE] TLS is not available for now\r\nb OK NOOP completed\r\n");
	kit_free(k);
}

static void
test_compress(void **state)
{
	struct kit *k = kit_new(true);
	assert_string_equal(talk_say(&k->t, "a COMPRESS GZIP\r\n"),
	    "a BAD DEFLATE is what there is\r\n");
	assert_string_equal(talk_say(&k->t, "b COMPRESS DEFLATE\r\n"),
	    "b OK COMPRESS completed\r\n");
	assert_true(k->t.deflated);
	assert_string_equal(talk_say(&k->t, "c COMPRESS DEFLATE\r\n"),
	    "c NO [COMPRESSIONACTIVE] it is compressed already\r\n");
	assert_null(strstr(talk_say(&k->t, "d CAPABILITY\r\n"), "COMPRESS"));
	kit_free(k);
}

/* R-LINE */
static void
test_long_line(void **state)
{
	struct kit *k = kit_new(false);
	struct buf line = BUF_INIT(1u << 20);
	buf_putz(&line, "a1 LOGIN ");
	for (int i = 0; i < 40000; i++)
		buf_putc(&line, 'x');
	buf_putz(&line, " {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n");
	for (size_t piece = 1; piece < 100000; piece = piece * 7 + 3) {
		buf_reset(&k->t.out);
		talk_feed(&k->t, buf_str(&line), piece);
		assert_string_equal(buf_cstr(&k->t.out),
		    "a1 BAD the line is too long\r\nc OK NOOP completed\r\n");
	}
	buf_reset(&line);
	for (int i = 0; i < 200000; i++)
		buf_putc(&line, 'x');
	buf_reset(&k->t.out);
	talk_feed(&k->t, buf_str(&line), 1000);
	assert_string_equal(buf_cstr(&k->t.out),
	    "* BAD the line is too long\r\n* BYE the line is too long\r\n");
	assert_true(k->t.ended);
	buf_done(&line);
	kit_free(k);
}

static void
test_long_response(void **state)
{
	struct kit *k = kit_new(false);
	struct buf line = BUF_INIT(1u << 20);
	buf_putz(&line, "a AUTHENTICATE PLAIN\r\n");
	for (int i = 0; i < 30000; i++)
		buf_putc(&line, 'x');
	buf_putz(&line, "\r\nb NOOP\r\n");
	talk_feed(&k->t, buf_str(&line), 999);
	assert_non_null(strstr(buf_cstr(&k->t.out),
	    "+ \r\na BAD the line is too long\r\nb OK NOOP completed\r\n"));
	buf_done(&line);
	kit_free(k);
}

static void
test_nul(void **state)
{
	static const char line[] = "a NO\0OP\r\nb LOGIN {3}\r\nj\0e x\r\nc NOOP\r\n";
	struct kit *k = kit_new(false);
	buf_reset(&k->t.out);
	talk_feed(&k->t, str_n(line, sizeof(line) - 1), 3);
	assert_string_equal(buf_cstr(&k->t.out),
	    "a BAD there is no such command\r\n+ OK\r\nb BAD LOGIN name password: a NUL in a "
	    "literal\r\nc OK NOOP completed\r\n");
	kit_free(k);
}

static void
test_deadlines(void **state)
{
	struct kit *k = kit_new(false);
	struct imap_clock *clock = &k->t.clock;
	assert_int_equal(imap_session_deadline(&k->t.s), 1000 + 60000);
	clock->now += 59999;
	(void)talk_say(&k->t, "a NOOP\r\n");
	assert_false(imap_session_timeout(&k->t.s, clock, &k->t.out));
	clock->now++;
	buf_reset(&k->t.out);
	assert_true(imap_session_timeout(&k->t.s, clock, &k->t.out));
	assert_string_equal(buf_cstr(&k->t.out), "* BYE no login in time\r\n");
	kit_free(k);
	k = kit_new(true);
	assert_int_equal(imap_session_deadline(&k->t.s), 1000 + 1800000);
	k->t.clock.now = 1000 + 1800000;
	assert_true(imap_session_timeout(&k->t.s, &k->t.clock, &k->t.out));
	assert_string_equal(buf_cstr(&k->t.out), "* BYE nothing was said for too long\r\n");
	kit_free(k);
}

static void
test_shutdown(void **state)
{
	struct kit *k = kit_new(true);
	struct str in = STR("a LIST \"\" *\r\n");
	assert_int_equal(imap_session_step(&k->t.s, &in, &k->t.clock, &k->t.out), IMAP_ASK);
	imap_session_shutdown(&k->t.s, &k->t.clock, &k->t.out);
	assert_string_equal(talk_say(&k->t, ""),
	    "* LIST (\\HasNoChildren) \"/\" INBOX\r\na OK LIST completed\r\n"
	    "* BYE the server is shutting down; connect again\r\n");
	assert_true(k->t.ended);
	kit_free(k);
	k = kit_new(true);
	(void)talk_say(&k->t, "a IDLE\r\n");
	buf_reset(&k->t.out);
	imap_session_shutdown(&k->t.s, &k->t.clock, &k->t.out);
	assert_string_equal(buf_cstr(&k->t.out),
	    "* BYE the server is shutting down; connect again\r\n");
	kit_free(k);
}

/* Answers that nobody waits for, and a service that fails. */
static void
test_stale(void **state)
{
	struct kit *k = kit_new(true);
	struct imap_answer a = { 0 };
	struct str in = STR("a LIST \"\" *\r\n");
	assert_false(imap_session_answer(&k->t.s, k->t.s.ask_no, &a, &k->t.clock, &k->t.out));
	assert_int_equal(imap_session_step(&k->t.s, &in, &k->t.clock, &k->t.out), IMAP_ASK);
	assert_false(imap_session_answer(&k->t.s, k->t.s.ask_no - 1, &a, &k->t.clock, &k->t.out));
	/* An answer without octets cannot be read. */
	assert_true(imap_session_answer(&k->t.s, k->t.s.ask_no, &a, &k->t.clock, &k->t.out));
	assert_string_equal(buf_cstr(&k->t.out),
	    "a NO [UNAVAILABLE] it does not work for now; try again later\r\n");
	k->f.fail = ACCESS_FAILED;
	assert_string_equal(talk_say(&k->t,
				"b SELECT INBOX\r\nc CREATE x\r\nd STATUS INBOX (SIZE)\r\n"),
	    "b NO [UNAVAILABLE] it does not work for now; try again later\r\n"
	    "c NO [UNAVAILABLE] it does not work for now; try again later\r\n"
	    "d NO [UNAVAILABLE] it does not work for now; try again later\r\n");
	kit_free(k);
}

static void
test_refused_greeting(void **state)
{
	struct fake f;
	struct talk t;
	fake_init(&f);
	talk_init(&t, &f);
	imap_session_greet(&t.s, STR("too many connections"), &t.clock, &t.out);
	assert_string_equal(buf_cstr(&t.out), "* BYE too many connections\r\n");
	talk_done(&t);
	fake_done(&f);
}

/* What an idle connection holds. */
static void
test_memory(void **state)
{
	struct kit *k = kit_new(true);
	assert_true(sizeof(struct imap_session) <= 400);
	(void)talk_say(&k->t, "a SELECT INBOX\r\n");
	assert_null(k->t.s.cmd);
	(void)talk_say(&k->t, "b IDLE\r\n");
	assert_non_null(k->t.s.cmd);
	assert_true(k->t.s.idling);
	(void)talk_say(&k->t, "DONE\r\n");
	assert_null(k->t.s.cmd);
	kit_free(k);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_starttls_pipelined),
		cmocka_unit_test(test_compress),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_long_response),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_refused_greeting),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
