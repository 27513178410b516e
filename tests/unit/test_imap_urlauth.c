/* URLs that authorize: GENURLAUTH, URLFETCH, RESETKEY (RFC 4467, RFC 5092). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap/urlread.h"
#include "imap_mail_kit.h"

#define HOST "imap://joe@mail.example.net/"
#define ONE HOST "INBOX/;UID=1"
#define TWO HOST "INBOX/;UID=2"
#define PLAIN_HEADER "From: Joe <joe@example.net>\r\nSubject: Hi\r\nDate: today\r\n\r\n"
#define PLAIN PLAIN_HEADER "hello\r\nworld\r\n"
#define MIXED                                                                                      \
	"Subject: parts\r\nMIME-Version: 1.0\r\n"                                                  \
	"Content-Type: multipart/mixed; boundary=qq\r\n\r\n"                                       \
	"--qq\r\nContent-Type: text/plain\r\n\r\nhello\r\n"                                        \
	"--qq\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nX-A: 1\r\n\r\ntext\r\n"     \
	"--qq--\r\n"

static void
begin(struct kit *k)
{
	kit_init(k);
	(void)kit_letter(k, PLAIN);
	(void)kit_letter(k, MIXED);
}

/* The URL with its token. */
static char *
authorized(struct kit *k, const char *rump)
{
	struct buf line = BUF_INIT(1u << 16);
	buf_putf(&line, "GENURLAUTH \"%s\" INTERNAL", rump);
	const char *said = kit_say(k, buf_cstr(&line));
	buf_done(&line);
	struct str rest = str_of(said);
	if (!str_starts(rest, STR("* GENURLAUTH \"")))
		fail_msg("%s: %s", rump, said);
	rest = str_skip(rest, 14);
	char *url = str_dup(str_cut(&rest, '"'));
	assert_true(str_starts(rest, STR("\r\nt OK ")));
	return url;
}

static void
fetches(struct kit *k, const char *url, const char *want)
{
	struct buf line = BUF_INIT(1u << 16), all = BUF_INIT(1u << 16);
	buf_putf(&line, "URLFETCH \"%s\"", url);
	if (want)
		buf_putf(&all, "* URLFETCH \"%s\" {%zu}\r\n%s\r\nt OK ", url, strlen(want), want);
	else
		buf_putf(&all, "* URLFETCH \"%s\" NIL\r\nt OK ", url);
	kit_says(k, buf_cstr(&line), buf_cstr(&all));
	buf_done(&line);
	buf_done(&all);
}

/* What a URL means, with the outline that is stored and with one that must be made, in one window
 * and in small ones. */
static void
octets(void **state)
{
	static const struct {
		const char *url, *want;
	} rows[] = {
		{ ONE, PLAIN },
		{ "imap://joe%40example.net@example.net/INBOX/;UID=1", PLAIN },
		{ ONE "/;SECTION=HEADER", PLAIN_HEADER },
		{ ONE "/;SECTION=TEXT", "hello\r\nworld\r\n" },
		{ ONE "/;SECTION=1", "hello\r\nworld\r\n" },
		{ ONE "/;PARTIAL=6.3", "Joe" },
		{ ONE "/;PARTIAL=6", &PLAIN[6] },
		{ ONE "/;PARTIAL=1000.1", "" },
		{ ONE "/;SECTION=TEXT/;PARTIAL=7.5", "world" },
		{ ONE "/;SECTION=HEADER.FIELDS%20(subject)", "Subject: Hi\r\n\r\n" },
		{ ONE "/;SECTION=HEADER.FIELDS.NOT%20(subject%20%22DATE%22)/;PARTIAL=0.9",
		    "From: Joe" },
		{ TWO "/;SECTION=1", "hello" },
		{ TWO "/;SECTION=1/;PARTIAL=1.3", "ell" },
		{ TWO "/;SECTION=1/;PARTIAL=5.3", "" },
		{ TWO "/;SECTION=1.MIME", "Content-Type: text/plain\r\n\r\n" },
		{ TWO "/;SECTION=2", "Subject: inner\r\nX-A: 1\r\n\r\ntext" },
		{ TWO "/;SECTION=2.HEADER", "Subject: inner\r\nX-A: 1\r\n\r\n" },
		{ TWO "/;SECTION=2.HEADER.FIELDS%20(x-a)", "X-A: 1\r\n\r\n" },
		{ TWO "/;SECTION=2.TEXT", "text" },
		{ TWO "/;SECTION=3", "" },
		{ TWO "/;SECTION=1.HEADER.FIELDS%20(x-a)", "" },
	};
	for (unsigned round = 0; round < 4; round++) {
		struct kit k;
		begin(&k);
		if (round & 1)
			kit_no_outline(&k, 2);
		k.f.octets = round & 2 ? 3 : 0;
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			char rump[400];
			snprintf(rump, sizeof(rump), "%s;URLAUTH=anonymous", rows[i].url);
			char *url = authorized(&k, rump);
			fetches(&k, url, rows[i].want);
			free(url);
		}
		kit_done(&k);
	}
}

static void
who(void **state)
{
	static const struct {
		const char *access;
		bool may;
	} rows[] = {
		{ "anonymous", true }, { "authuser", true }, { "user+joe%40example.net", true },
		{ "user+ann%40example.net", false },
		{ "submit+joe%40example.net", false }, /* only where letters are handed in */
	};
	struct kit k;
	begin(&k);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char rump[200];
		snprintf(rump, sizeof(rump), "%s%s", TWO "/;SECTION=1;URLAUTH=", rows[i].access);
		char *url = authorized(&k, rump);
		fetches(&k, url, rows[i].may ? "hello" : NULL);
		char *last = url + strlen(url) - 1;
		*last = *last == '0' ? '1' : '0';
		fetches(&k, url, NULL);
		free(url);
	}
	kit_done(&k);
}

/* A key lasts until it is reset, that of a mailbox or all. */
static void
keys(void **state)
{
	struct kit k;
	begin(&k);
	(void)fake_create(&k.f, STR("other"), 0);
	(void)fake_deliver(&k.f, STR("other"), STR("\r\nx"), 0);
	char *url = authorized(&k, ONE "/;PARTIAL=0.4;URLAUTH=anonymous");
	char *same = authorized(&k, ONE "/;PARTIAL=0.4;URLAUTH=anonymous");
	char *other = authorized(&k, HOST "other/;UID=1/;SECTION=TEXT;URLAUTH=anonymous");
	assert_string_equal(url, same);
	kit_says(&k, "RESETKEY INBOX", "t OK [URLMECH INTERNAL] RESETKEY completed");
	fetches(&k, url, NULL);
	fetches(&k, other, "x");
	free(url);
	url = authorized(&k, ONE "/;PARTIAL=0.4;URLAUTH=anonymous");
	assert_string_not_equal(url, same);
	fetches(&k, url, "From");
	kit_says(&k, "RESETKEY inbox INTERNAL internal", "t OK [URLMECH INTERNAL]");
	fetches(&k, url, NULL);
	kit_says(&k, "RESETKEY", "t OK RESETKEY completed");
	fetches(&k, other, NULL);
	free(url);
	free(same);
	free(other);
	kit_done(&k);
}

static void
gone(void **state)
{
	struct kit k;
	begin(&k);
	char *url = authorized(&k, HOST "INBOX;UIDVALIDITY=1001/;UID=1;URLAUTH=anonymous");
	char *stale = authorized(&k, HOST "INBOX;UIDVALIDITY=1002/;UID=1;URLAUTH=anonymous");
	char *none = authorized(&k, HOST "INBOX/;UID=99;URLAUTH=anonymous");
	fetches(&k, url, PLAIN);
	fetches(&k, stale, NULL);
	fetches(&k, none, NULL);
	fake_expunge(&k.f, STR("INBOX"), 1);
	fetches(&k, url, NULL);
	free(url);
	free(stale);
	free(none);
	kit_done(&k);
}

static void
refusals(void **state)
{
	static const struct {
		const char *command, *want;
	} rows[] = {
		{ "RESETKEY nowhere", "t NO [NONEXISTENT] " },
		{ "RESETKEY a//b", "t NO [CANNOT] " },
		{ "RESETKEY INBOX XSAMPLE", "t NO [CANNOT] there is no mechanism but INTERNAL" },
		{ "RESETKEY INBOX (", "t BAD RESETKEY [mailbox [mechanism...]]: " },
		{ "GENURLAUTH", "t BAD GENURLAUTH url mechanism...: a blank" },
		{ "GENURLAUTH x", "t BAD GENURLAUTH url mechanism...: a blank" },
		{ "GENURLAUTH x INTERNAL", "t BAD a URL that cannot be authorized: it does not " },
		{ "GENURLAUTH " ONE ";URLAUTH=anonymous XSAMPLE",
		    "t NO [CANNOT] there is no mech" },
		{ "GENURLAUTH " ONE " INTERNAL", "t BAD a URL that cannot be authorized: who may" },
		{ "GENURLAUTH imap://example.net/INBOX/;UID=1;URLAUTH=anonymous INTERNAL",
		    "t BAD a URL that cannot be authorized: whose mailbox" },
		{ "GENURLAUTH " ONE ";URLAUTH=anonymous:internal:0123456789abcdef0123456789abcdef "
		  "INTERNAL",
		    "t BAD a URL that cannot be authorized: it has a token" },
		{ "GENURLAUTH " ONE "/;SECTION=x;URLAUTH=anonymous INTERNAL",
		    "t BAD a URL that cannot be authorized: its section" },
		{ "GENURLAUTH " HOST "nowhere/;UID=1;URLAUTH=anonymous INTERNAL",
		    "t BAD the URL names no mailbox" },
		{ "GENURLAUTH imap://ann@example.net/INBOX/;UID=1;URLAUTH=anonymous INTERNAL",
		    "t BAD the URL is not one of your mailboxes" },
		{ "GENURLAUTH imap://joe@example.org/INBOX/;UID=1;URLAUTH=anonymous INTERNAL",
		    "t BAD the URL names another server" },
		{ "URLFETCH", "t BAD URLFETCH url...: a blank" },
		{ "URLFETCH (", "t BAD URLFETCH url...: " },
		{ "URLFETCH x", "* URLFETCH \"x\" NIL\r\nt OK URLFETCH completed" },
		{ "URLFETCH " ONE " imap://example.net/",
		    "* URLFETCH \"" ONE
		    "\" NIL\r\n* URLFETCH \"imap://example.net/\" NIL\r\nt OK " },
	};
	struct kit k;
	begin(&k);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		kit_says(&k, rows[i].command, rows[i].want);
	k.f.fail = ACCESS_FAILED;
	kit_says(&k, "RESETKEY", "t NO [UNAVAILABLE]");
	kit_says(&k, "GENURLAUTH " ONE ";URLAUTH=anonymous INTERNAL", "t NO [UNAVAILABLE]");
	kit_says(&k, "URLFETCH " ONE ";URLAUTH=anonymous:internal:0123456789abcdef0123456789abcdef",
	    "t NO [UNAVAILABLE]");
	k.f.fail = ACCESS_OK;
	struct buf many = BUF_INIT(1u << 20);
	buf_putz(&many, "URLFETCH");
	for (int i = 0; i < 1001; i++)
		buf_putz(&many, " x");
	kit_says(&k, buf_cstr(&many), "t BAD URLFETCH url...: too many URLs");
	buf_done(&many);
	kit_done(&k);
}

static void
several(void **state)
{
	struct kit k;
	begin(&k);
	const char *said = kit_say(&k, "GENURLAUTH " ONE ";URLAUTH=anonymous internal " TWO
				       "/;SECTION=1;URLAUTH=authuser INTERNAL");
	assert_non_null(strstr(said, "* GENURLAUTH \"" ONE ";URLAUTH=anonymous:internal:01"));
	assert_non_null(strstr(said, "\" \"" TWO "/;SECTION=1;URLAUTH=authuser:internal:01"));
	char *url = authorized(&k, TWO "/;SECTION=1;URLAUTH=anonymous");
	struct buf line = BUF_INIT(4096);
	buf_putf(&line, "URLFETCH %s x %s", url, url);
	said = kit_say(&k, buf_cstr(&line));
	assert_non_null(strstr(said, "{5}\r\nhello\r\n* URLFETCH \"x\" NIL\r\n* URLFETCH \"imap:"));
	buf_done(&line);
	free(url);
	kit_done(&k);
}

/* A letter that goes away in the middle ends the connection: its literal cannot be made whole. */
static void
lost(void **state)
{
	struct kit k;
	begin(&k);
	char *url = authorized(&k, ONE ";URLAUTH=anonymous");
	k.f.octets = 10;
	struct buf line = BUF_INIT(4096);
	buf_putf(&line, "t URLFETCH %s\r\n", url);
	buf_reset(&k.t.out);
	struct str in = buf_str(&line);
	enum imap_step step = imap_session_step(&k.t.s, &in, &k.t.clock, &k.t.out);
	for (int i = 0; step == IMAP_ASK && i < 2; i++) {
		if (i == 1)
			fake_expunge(&k.f, STR("INBOX"), 1);
		talk_answer(&k.t);
		step = imap_session_step(&k.t.s, &in, &k.t.clock, &k.t.out);
	}
	assert_int_equal(step, IMAP_END);
	assert_null(strstr(buf_cstr(&k.t.out), "t OK"));
	buf_done(&line);
	free(url);
	kit_done(&k);
}

static enum urlread_step
take_empty(struct urlread *u, bool more)
{
	struct buf b = BUF_INIT(256);
	const struct access_head head = { .more = more, .next = { .uid = 1, .n = 7 * more } };
	access_head_put(&b, &head);
	enum urlread_step step = urlread_take(u, ACCESS_OK, buf_str(&b));
	buf_done(&b);
	return step;
}

/* A window without a row: is there more, it comes later; else the letter is gone. */
static void
empty(void **state)
{
	const char *why;
	struct urlread *u = urlread_new(STR(ONE ";URLAUTH=anonymous:internal:"
						"0123456789abcdef0123456789abcdef"),
	    STR("joe"), false, NULL, &why);
	assert_non_null(u);
	assert_int_equal(take_empty(u, true), URLREAD_ASK);
	assert_true(u->ask.from.uid == 1 && u->ask.from.n == 7 && !u->ask.fresh);
	assert_int_equal(take_empty(u, false), URLREAD_NO);
	assert_int_equal(u->status, ACCESS_NOT_FOUND);
	urlread_free(u);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets),
		cmocka_unit_test(who),
		cmocka_unit_test(keys),
		cmocka_unit_test(gone),
		cmocka_unit_test(refusals),
		cmocka_unit_test(several),
		cmocka_unit_test(lost),
		cmocka_unit_test(empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
