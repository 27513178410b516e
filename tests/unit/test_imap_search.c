/* SEARCH (RFC 9051 6.4.4, RFC 5032, RFC 5182, RFC 7162 3.1.5, RFC 8474 4.3, RFC 8514). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_mail_kit.h"

static const char *const letters[] = {
	("From: Joe <joe@example.net>\r\n"
	 "To: ann@example.org\r\n"
	 "Subject: First\r\n"
	 "Date: Mon, 7 Feb 1994 23:52:25 -0800\r\n"
	 "Message-ID: <1@x>\r\n"
	 "X-Mark: one\r\n"
	 "\r\n"
	 "hello world\r\n"),
	("From: ann@example.org\r\n"
	 "Cc: Joe <joe@example.net>\r\n"
	 "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
	 "Date: Tue, 8 Feb 1994 10:00:00 +0000\r\n"
	 "\r\n"
	 "nothing\r\n"),
	("Subject: coded\r\n"
	 "Bcc: x@y\r\n"
	 "Content-Type: text/plain; charset=utf-8\r\n"
	 "Content-Transfer-Encoding: base64\r\n"
	 "\r\n"
	 "aGVsbG8gdGhlcmU=\r\n"),
	"Subject:\r\n\r\n",
};

/* A letter a day, kept a day after it came. */
static void
begin(struct kit *k)
{
	kit_init(k);
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		(void)kit_letter(k, letters[i]);
	for (uint32_t uid = 1; uid <= ARRAY_LEN(letters); uid++) {
		uint64_t ms = 1778409045000u + uid * (uint64_t)86400000u; /* 2026-05-10 10:30:45 */
		kit_of(k, uid)->time_ms = ms - 86400000u;
		kit_of(k, uid)->saved_ms = ms;
	}
	kit_of(k, 1)->flags = ACCESS_SEEN | ACCESS_FLAGGED;
	kit_of(k, 2)->flags = ACCESS_ANSWERED | ACCESS_DELETED | ACCESS_DRAFT;
	kit_of(k, 4)->id = 0x44;
	kit_select(k);
	(void)kit_say(k, "STORE 3 +FLAGS.SILENT ($Junk)");
}

static const struct row {
	const char *keys, *found;
} rows[] = {
	{ "ALL", " 1 2 3 4" },
	{ "1:2", " 1 2" },
	{ "1,4,9", " 1 4" },
	{ "UID 2:*", " 2 3 4" },
	{ "NOT 2:3", " 1 4" },
	{ "1:3 NOT 2", " 1 3" },
	{ "OR 1 4", " 1 4" },
	{ "NOT ALL", "" },
	{ "NEW", "" },
	{ "RECENT", "" },
	{ "OLD", " 1 2 3 4" },
	{ "SEEN", " 1" },
	{ "UNSEEN", " 2 3 4" },
	{ "FLAGGED", " 1" },
	{ "UNFLAGGED", " 2 3 4" },
	{ "ANSWERED", " 2" },
	{ "UNANSWERED", " 1 3 4" },
	{ "DELETED", " 2" },
	{ "UNDELETED", " 1 3 4" },
	{ "DRAFT", " 2" },
	{ "UNDRAFT", " 1 3 4" },
	{ "KEYWORD $JUNK", " 3" },
	{ "UNKEYWORD $Junk", " 1 2 4" },
	{ "KEYWORD none", "" },
	{ "UNKEYWORD none", " 1 2 3 4" },
	{ "LARGER 100", " 1 2 3" },
	{ "SMALLER 30", " 4" },
	{ "ON 11-May-2026", " 2" },
	{ "BEFORE 11-May-2026", " 1" },
	{ "SINCE \"12-May-2026\"", " 3 4" },
	{ "SENTON 7-Feb-1994", " 1" },
	{ "SENTBEFORE 8-Feb-1994", " 1" },
	{ "SENTSINCE 8-Feb-1994", " 2" },
	{ "SAVEDON 11-May-2026", " 1" },
	{ "SAVEDBEFORE 12-May-2026", " 1" },
	{ "SAVEDSINCE 13-May-2026", " 3 4" },
	{ "SAVEDATESUPPORTED", " 1 2 3 4" },
	{ "OLDER 1", " 1 2 3 4" },
	{ "YOUNGER 1", "" },
	{ "YOUNGER 2000000000", " 1 2 3 4" },
	{ "EMAILID M0000000000000044", " 4" },
	{ "EMAILID Mx", "" },
	{ "THREADID T1", "" },
	{ "SUBJECT first", " 1" },
	{ "SUBJECT \"gr\xc3\xbc\xc3\x9f\"", " 2" },
	{ "FROM joe", " 1" },
	{ "TO ann", " 1" },
	{ "CC example.net", " 2" },
	{ "BCC x@y", " 3" },
	{ "HEADER Message-ID <1@x>", " 1" },
	{ "HEADER X-Mark one", " 1" },
	{ "HEADER X-Mark \"\"", " 1" },
	{ "HEADER Cc \"\"", " 2" },
	{ "BODY hello", " 1 3" },
	{ "TEXT hello", " 1 3" },
	{ "TEXT first", " 1" },
	{ "BODY first", "" },
	{ "BODY aGVsbG8", "" },
	{ "NOT BODY hello", " 2 4" },
	{ "OR SUBJECT first BODY there", " 1 3" },
	{ "UNSEEN BODY hello", " 3" },
	{ "(SEEN (BODY hello))", " 1" },
	{ "OR (SEEN FLAGGED) (NOT (OR SUBJECT coded SUBJECT first))", " 1 2 4" },
	{ "CHARSET UTF-8 SUBJECT First", " 1" },
	{ "CHARSET ISO-8859-1 SUBJECT \"gr\xfc\xdf\"", " 2" },
	{ "SEEN SEEN SEEN", " 1" },
	{ "( SEEN  OR 1 2 )", " 1" },
};

static void
run_rows(size_t window, size_t octets, bool outlines)
{
	struct kit k;
	char command[200], want[100];
	begin(&k);
	k.f.window = window;
	k.f.octets = octets;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (uint32_t uid = 1; !outlines && uid <= ARRAY_LEN(letters); uid++)
			kit_no_outline(&k, uid);
		snprintf(command, sizeof(command), "SEARCH %s", rows[i].keys);
		snprintf(want, sizeof(want), "* SEARCH%s\r\nt OK", rows[i].found);
		kit_says(&k, command, want);
	}
	kit_done(&k);
}

static void
test_keys(void **state)
{
	(void)state;
	run_rows(0, 0, true);
}

/* In windows of few letters, in pieces of few octets, and without the stored outlines. */
static void
test_windows(void **state)
{
	(void)state;
	run_rows(1, 0, true);
	run_rows(0, 3, true);
	run_rows(0, 0, false);
	run_rows(0, 11, false);
}

static void
test_returns(void **state)
{
	(void)state;
	struct kit k;
	begin(&k);
	kit_says(&k, "SEARCH RETURN () ALL", "* ESEARCH (TAG \"t\") ALL 1:4\r\nt OK");
	kit_says(&k, "UID SEARCH RETURN (MIN MAX COUNT) UNSEEN",
	    "* ESEARCH (TAG \"t\") UID MIN 2 MAX 4 COUNT 3\r\nt OK");
	kit_says(&k, "SEARCH RETURN (MIN MAX ALL COUNT) SUBJECT none",
	    "* ESEARCH (TAG \"t\") COUNT 0\r\nt OK");
	kit_says(&k, "SEARCH RETURN (SAVE) UNSEEN", "t OK");
	kit_says(&k, "FETCH $ (UID)",
	    "* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\n* 4 FETCH (UID 4)\r\nt OK");
	kit_says(&k, "SEARCH $ ANSWERED", "* SEARCH 2\r\nt OK");
	kit_says(&k, "SEARCH RETURN (SAVE MIN) UNSEEN", "* ESEARCH (TAG \"t\") MIN 2\r\nt OK");
	kit_says(&k, "SEARCH UID $", "* SEARCH 2\r\nt OK");
	kit_says(&k, "SEARCH RETURN (SAVE) CHARSET X-NONE ALL", "t NO [BADCHARSET");
	kit_says(&k, "SEARCH $", "* SEARCH\r\nt OK");
	kit_has(&k, "SEARCH MODSEQ 2", "* SEARCH 2 3 4 (MODSEQ ");
	kit_says(&k, "SEARCH RETURN (ALL) MODSEQ \"/flags/\\\\draft\" all 4 UID 4",
	    "* ESEARCH (TAG \"t\") ALL 4 MODSEQ 4\r\nt OK");
	kit_enable(&k, "IMAP4rev2");
	kit_says(&k, "SEARCH SEEN", "* ESEARCH (TAG \"t\") ALL 1\r\nt OK");
	kit_done(&k);
}

static void
test_wrong(void **state)
{
	(void)state;
	static const char *const bad[] = { "", " NONE", " (", " ()", " (ALL", " ALL)", " OR ALL",
		" NOT", " SUBJECT", " ON 31-Foo-2026", " ON 32-Jan-2026", " LARGER x", " UID a",
		" HEADER a", " OLDER 0", " RETURN (NONE) ALL", " RETURN (ALL", " RETURN (ALL)ALL",
		" KEYWORD \\Seen", " ALL ", " MODSEQ x" };
	struct kit k;
	char command[200];
	begin(&k);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(command, sizeof(command), "SEARCH%s", bad[i]);
		kit_says(&k, command, "t BAD");
	}
	kit_says(&k, "SEARCH  ALL", "* SEARCH 1 2 3 4\r\nt OK");
	kit_says(&k, "SEARCH CHARSET X-NONE ALL", "t NO [BADCHARSET (UTF-8 US-ASCII)]");
	struct buf line = BUF_INIT(SIZE_MAX / 2);
	buf_putz(&line, "SEARCH ");
	for (unsigned i = 0; i < 100; i++)
		buf_putz(&line, "NOT ");
	buf_putz(&line, "ALL");
	kit_says(&k, buf_cstr(&line), "t BAD");
	buf_reset(&line);
	buf_putz(&line, "SEARCH ALL");
	for (unsigned i = 0; i < 12000; i++)
		buf_putz(&line, " ALL");
	kit_says(&k, buf_cstr(&line), "t NO [LIMIT]");
	buf_reset(&line);
	buf_putz(&line, "SEARCH ALL");
	for (unsigned i = 0; i < 200; i++)
		buf_putz(&line, " TEXT a");
	kit_says(&k, buf_cstr(&line), "t NO [LIMIT]");
	buf_done(&line);
	kit_done(&k);
}

/* What another session has expunged has its number no more; many words take several passes. */
static void
test_many(void **state)
{
	(void)state;
	struct kit k;
	struct buf line = BUF_INIT(SIZE_MAX / 2);
	begin(&k);
	fake_expunge(&k.f, STR("INBOX"), 2);
	(void)kit_say(&k, "NOOP");
	kit_says(&k, "SEARCH ALL", "* SEARCH 1 2 3\r\nt OK");
	kit_says(&k, "UID SEARCH ALL", "* SEARCH 1 3 4\r\nt OK");
	kit_says(&k, "SEARCH RETURN () UID 3:*", "* ESEARCH (TAG \"t\") ALL 2:3\r\nt OK");
	buf_putz(&line, "SEARCH");
	for (unsigned i = 0; i < 70; i++)
		buf_putf(&line, " OR TEXT none%u", i);
	buf_putz(&line, " TEXT hello");
	kit_says(&k, buf_cstr(&line), "* SEARCH 1 2\r\nt OK");
	buf_done(&line);
	kit_done(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_returns),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
