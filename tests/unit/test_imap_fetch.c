/* FETCH: items, sections, plans, and what the letters can do meanwhile (RFC 9051 6.4.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_mail_kit.h"

#define PLAIN_HEADER                                                                               \
	"From: Joe <joe@example.net>\r\nTo: ann@example.org\r\nSubject: Hi\r\n"                    \
	"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <1@x>\r\n\r\n"
#define PLAIN PLAIN_HEADER "hello\r\nworld\r\n"
#define MIXED                                                                                      \
	"Subject: parts\r\nMIME-Version: 1.0\r\n"                                                  \
	"Content-Type: multipart/mixed; boundary=qq\r\n\r\n"                                       \
	"pre\r\n--qq\r\nContent-Type: text/plain\r\n\r\nhello\r\n"                                 \
	"--qq\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: "                          \
	"base64\r\n\r\nAGFiYw==\r\n"                                                               \
	"--qq\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nX-A: 1\r\n\r\ntext\r\n"     \
	"--qq--\r\n"

static void
begin(struct kit *k)
{
	kit_init(k);
	(void)kit_letter(k, PLAIN);
	(void)kit_letter(k, MIXED);
	kit_of(k, 1)->time_ms = 1778668245000u; /* 2026-05-13 10:30:45 */
	kit_of(k, 1)->saved_ms = 1778668246000u;
	kit_of(k, 1)->id = 0xabc;
	kit_select(k);
}

struct row {
	const char *command, *want;
};

static const struct row rows[] = {
	/* the index */
	{ "FETCH 1 FLAGS", "* 1 FETCH (FLAGS ())\r\nt OK" },
	{ "FETCH 1:* (UID FLAGS)",
	    "* 1 FETCH (UID 1 FLAGS ())\r\n* 2 FETCH (UID 2 FLAGS ())\r\nt OK" },
	{ "UID FETCH 2 FLAGS", "* 2 FETCH (UID 2 FLAGS ())\r\nt OK" },
	{ "UID FETCH 2 (FLAGS UID)", "* 2 FETCH (UID 2 FLAGS ())\r\nt OK" },
	{ "FETCH 1 INTERNALDATE",
	    "* 1 FETCH (INTERNALDATE \"13-May-2026 10:30:45 +0000\")\r\nt OK" },
	{ "FETCH 1 (SAVEDATE)", "* 1 FETCH (SAVEDATE \"13-May-2026 10:30:46 +0000\")\r\nt OK" },
	{ "FETCH 1 (EMAILID)", "* 1 FETCH (EMAILID (M0000000000000abc))\r\nt OK" },
	{ "FETCH 1 PREVIEW", "* 1 FETCH (PREVIEW \"hello world\")\r\nt OK" },
	{ "FETCH 1 (PREVIEW (LAZY) UID)", "* 1 FETCH (PREVIEW \"hello world\" UID 1)\r\nt OK" },
	{ "FETCH 1 ENVELOPE",
	    "* 1 FETCH (ENVELOPE (\"Mon, 7 Feb 1994 21:52:25 -0800\" \"Hi\" "
	    "((\"Joe\" NIL \"joe\" \"example.net\")) ((\"Joe\" NIL \"joe\" \"example.net\")) "
	    "((\"Joe\" NIL \"joe\" \"example.net\")) ((NIL NIL \"ann\" \"example.org\")) "
	    "NIL NIL NIL \"<1@x>\"))\r\nt OK" },
	{ "FETCH 1 BODY", "* 1 FETCH (BODY (\"text\" \"plain\" " },
	{ "FETCH 1 FAST", "* 1 FETCH (FLAGS () INTERNALDATE \"13-May-2026 10:30:45 +0000\" "
			  "RFC822.SIZE 136)\r\nt OK" },
	{ "FETCH 1 full", "* 1 FETCH (FLAGS () INTERNALDATE \"13-May-2026 10:30:45 +0000\" "
			  "RFC822.SIZE 136 ENVELOPE (" },
	/* whole letters and their halves */
	{ "FETCH 1 BODY.PEEK[]", "* 1 FETCH (BODY[] {136}\r\n" PLAIN ")\r\nt OK" },
	{ "FETCH 1 body.peek[text]", "* 1 FETCH (BODY[TEXT] {14}\r\nhello\r\nworld\r\n)\r\nt OK" },
	{ "FETCH 1 BODY.PEEK[HEADER]",
	    "* 1 FETCH (BODY[HEADER] {122}\r\n" PLAIN_HEADER ")\r\nt OK" },
	{ "FETCH 1 RFC822.HEADER", "* 1 FETCH (RFC822.HEADER {122}\r\n" PLAIN_HEADER ")\r\nt OK" },
	{ "FETCH 1 BODY.PEEK[TEXT]<2.3>", "* 1 FETCH (BODY[TEXT]<2> {3}\r\nllo)\r\nt OK" },
	{ "FETCH 1 BODY.PEEK[]<9999.3>", "* 1 FETCH (BODY[]<9999> {0}\r\n)\r\nt OK" },
	{ "FETCH 1 BODY.PEEK[]<129.99>", "* 1 FETCH (BODY[]<129> {7}\r\nworld\r\n)\r\nt OK" },
	{ "FETCH 1 (BODY.PEEK[TEXT] UID)",
	    "* 1 FETCH (UID 1 BODY[TEXT] {14}\r\nhello\r\nworld\r\n)\r\nt OK" },
	/* header fields */
	{ "FETCH 1 BODY.PEEK[HEADER.FIELDS (to \"SUBJECT\")]",
	    "* 1 FETCH (BODY[HEADER.FIELDS (TO \"SUBJECT\")] {36}\r\n"
	    "To: ann@example.org\r\nSubject: Hi\r\n\r\n)\r\nt OK" },
	{ "FETCH 1 BODY.PEEK[HEADER.FIELDS (X-NONE)]",
	    "* 1 FETCH (BODY[HEADER.FIELDS (X-NONE)] {2}\r\n\r\n)\r\nt OK" },
	{ "FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (FROM TO DATE SUBJECT)]<0.12>",
	    "* 1 FETCH (BODY[HEADER.FIELDS.NOT (FROM TO DATE SUBJECT)]<0> {12}\r\n"
	    "Message-ID: )\r\nt OK" },
	{ "FETCH 1 (BODY.PEEK[HEADER.FIELDS (TO)] BODY.PEEK[HEADER] FLAGS)",
	    "* 1 FETCH (FLAGS () BODY[HEADER.FIELDS (TO)] {23}\r\nTo: ann@example.org\r\n\r\n"
	    " BODY[HEADER] {122}\r\n" PLAIN_HEADER ")\r\nt OK" },
	/* parts */
	{ "FETCH 1 BODY.PEEK[1]", "* 1 FETCH (BODY[1] {14}\r\nhello\r\nworld\r\n)\r\nt OK" },
	{ "FETCH 1 (BODY.PEEK[2] BODY.PEEK[1.2])",
	    "* 1 FETCH (BODY[2] {0}\r\n BODY[1.2] {0}\r\n)\r\nt OK" },
	{ "FETCH 2 (BODY.PEEK[1] BODY.PEEK[2]<0.4> BODY.PEEK[1.MIME])",
	    "* 2 FETCH (BODY[1] {5}\r\nhello BODY[2]<0> {4}\r\nAGFi"
	    " BODY[1.MIME] {28}\r\nContent-Type: text/plain\r\n\r\n)\r\nt OK" },
	{ "FETCH 2 (BODY.PEEK[3.HEADER] BODY.PEEK[3.TEXT] BODY.PEEK[3.1])",
	    "* 2 FETCH (BODY[3.HEADER] {26}\r\nSubject: inner\r\nX-A: 1\r\n\r\n"
	    " BODY[3.TEXT] {4}\r\ntext BODY[3.1] {4}\r\ntext)\r\nt OK" },
	{ "FETCH 2 BODY.PEEK[3.HEADER.FIELDS (X-A)]",
	    "* 2 FETCH (BODY[3.HEADER.FIELDS (X-A)] {10}\r\nX-A: 1\r\n\r\n)\r\nt OK" },
	/* of what is no letter */
	{ "FETCH 2 (BODY.PEEK[1.HEADER.FIELDS (X-A)] BODY.PEEK[1.1])",
	    "* 2 FETCH (BODY[1.HEADER.FIELDS (X-A)] {0}\r\n BODY[1.1] {0}\r\n)\r\nt OK" },
	/* decoded */
	{ "FETCH 2 (BINARY.SIZE[2] BINARY.PEEK[1] BINARY.PEEK[2]<1.9>)",
	    "* 2 FETCH (BINARY.SIZE[2] 4 BINARY[1] {5}\r\nhello BINARY[2]<1> ~{3}\r\nabc)\r\nt "
	    "OK" },
	{ "FETCH 2 BINARY.PEEK[5]", "* 2 FETCH (BINARY[5] {0}\r\n)\r\nt OK" },
	{ "FETCH 2 BINARY.SIZE[1]", "* 2 FETCH (BINARY.SIZE[1] 5)\r\nt OK" },
	{ "FETCH 1 BINARY.SIZE[]", "* 1 FETCH (BINARY.SIZE[] 136)\r\nt OK" },
	/* several ranges of one letter */
	{ "FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])",
	    "* 1 FETCH (BODY[HEADER] {122}\r\n" PLAIN_HEADER
	    " BODY[TEXT] {14}\r\nhello\r\nworld\r\n)\r\n"
	    "t OK" },
	{ "FETCH 1 (BODY.PEEK[]<0.4> BODY.PEEK[]<0.4>)",
	    "* 1 FETCH (BODY[]<0> {4}\r\nFrom)\r\nt OK" },
	/* wrong */
	{ "FETCH 1 ()", "t BAD" },
	{ "FETCH 1 NONE", "t BAD" },
	{ "FETCH 1 BODY[", "t BAD" },
	{ "FETCH 1 BODY[MIME]", "t BAD" },
	{ "FETCH 1 BODY[0]", "t BAD" },
	{ "FETCH 1 BODY[1.]", "t BAD" },
	{ "FETCH 1 BODY[HEADER.FIELDS ()]", "t BAD" },
	{ "FETCH 1 BODY[HEADER.FIELDS]", "t BAD" },
	{ "FETCH 1 BINARY[TEXT]", "t BAD" },
	{ "FETCH 1 BODY[]<0>", "t BAD" },
	{ "FETCH 3 FLAGS", "t BAD" },
	{ "FETCH 0 FLAGS", "t BAD" },
	{ "FETCH 1 FLAGS (CHANGEDSINCE)", "t BAD" },
	{ "UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "t BAD" },
	{ "FETCH 1 (FLAGS", "t BAD" },
	{ "UID FETCH 9 FLAGS", "t OK" },
	{ "FETCH 9:* UID", "* 2 FETCH (UID 2)\r\nt OK" },
};

static void
run_rows(size_t window, size_t octets)
{
	struct kit k;
	begin(&k);
	k.f.window = window;
	k.f.octets = octets;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		kit_says(&k, rows[i].command, rows[i].want);
	kit_done(&k);
}

static void
test_items(void **state)
{
	(void)state;
	run_rows(0, 0);
}

/* The same with windows of one row, and of a few octets of it. */
static void
test_windows(void **state)
{
	(void)state;
	run_rows(1, 0);
	run_rows(0, 1);
	run_rows(0, 7);
	run_rows(1, 50);
}

static void
test_seen(void **state)
{
	(void)state;
	struct kit k;
	begin(&k);
	kit_says(&k, "FETCH 1 BODY[TEXT]",
	    "* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {14}\r\nhello\r\nworld\r\n)\r\nt OK");
	kit_says(&k, "FETCH 1 RFC822.TEXT", "* 1 FETCH (RFC822.TEXT {14}\r\n");
	kit_says(&k, "FETCH 2 (FLAGS BODY[1])", "* 2 FETCH (FLAGS (\\Seen) BODY[1] {5}\r\n");
	kit_of(&k, 1)->flags = 0;
	(void)kit_say(&k, "EXAMINE INBOX");
	kit_says(&k, "FETCH 1 BODY[TEXT]", "* 1 FETCH (BODY[TEXT] {14}\r\n");
	assert_int_equal(kit_of(&k, 1)->flags, 0);
	kit_done(&k);
}

static void
test_condstore(void **state)
{
	(void)state;
	struct kit k;
	begin(&k);
	kit_has(&k, "FETCH 1 (UID MODSEQ)", "* 1 FETCH (UID 1 MODSEQ (1))\r\nt OK");
	kit_says(&k, "FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
	    "* 2 FETCH (FLAGS () MODSEQ (2))\r\nt OK");
	kit_says(&k, "FETCH 1 BODY[TEXT]",
	    "* 1 FETCH (FLAGS (\\Seen) MODSEQ (3) BODY[TEXT] {14}\r\n");
	kit_has(&k, "FETCH 1:* BODY[TEXT]<0.1> (CHANGEDSINCE 1)",
	    "* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (4))\r\nt OK");
	kit_enable(&k, "QRESYNC");
	(void)kit_letter(&k, PLAIN);
	(void)kit_say(&k, "NOOP");
	fake_expunge(&k.f, STR("INBOX"), 2);
	(void)kit_say(&k, "NOOP");
	kit_says(&k, "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 4 VANISHED)",
	    "* VANISHED (EARLIER) 2\r\n* 2 FETCH (UID 3 FLAGS () MODSEQ (5))\r\nt OK");
	kit_says(&k, "UID FETCH 1,3 (FLAGS) (CHANGEDSINCE 5 VANISHED)", "t OK");
	kit_done(&k);
}

/* After a rebuild outlines are missing: they are made, and handed back. */
static void
test_outlines(void **state)
{
	(void)state;
	struct kit k;
	begin(&k);
	for (size_t octets = 0; octets < 100; octets += 33) {
		k.f.octets = octets;
		kit_no_outline(&k, 1);
		kit_no_outline(&k, 2);
		kit_says(&k, "FETCH 1:2 (UID BODY.PEEK[1])",
		    "* 1 FETCH (UID 1 BODY[1] {14}\r\nhello\r\nworld\r\n)\r\n"
		    "* 2 FETCH (UID 2 BODY[1] {5}\r\nhello)\r\nt OK");
		assert_true(kit_of(&k, 1)->outline.len && kit_of(&k, 2)->outline.len);
		kit_no_outline(&k, 2);
		kit_has(&k, "FETCH 1:2 (ENVELOPE)", "* 2 FETCH (ENVELOPE (NIL \"parts\" ");
	}
	kit_no_outline(&k, 1);
	kit_says(&k, "FETCH 1 (PREVIEW (LAZY))", "* 1 FETCH (PREVIEW NIL)\r\nt OK");
	for (unsigned i = 0; i < 500; i++)
		kit_no_outline(&k, kit_letter(&k, PLAIN));
	(void)kit_say(&k, "NOOP");
	const char *said = kit_say(&k, "FETCH 1:* (UID PREVIEW)");
	unsigned n = 0;
	while ((said = strstr(said, "PREVIEW \"hello"))) {
		said++;
		n++;
	}
	assert_int_equal(n, 502);
	assert_true(kit_of(&k, 502)->outline.len > 0);
	kit_done(&k);
}

/* What stands in front of a letter for one mailbox is not counted in its outline. */
static void
test_prefix(void **state)
{
	(void)state;
	static const char prefix[] = "Return-Path: <a@b>\r\n";
	struct kit k;
	begin(&k);
	struct fake_letter *l = kit_of(&k, 2);
	struct buf all = BUF_INIT(SIZE_MAX / 2);
	buf_putz(&all, prefix);
	buf_puts(&all, buf_str(&l->octets));
	buf_done(&l->octets);
	l->octets = all;
	l->prefix_len = sizeof(prefix) - 1;
	l->header_len += l->prefix_len;
	for (unsigned i = 0; i < 2; i++) {
		kit_says(&k, "FETCH 2 BODY.PEEK[1]", "* 2 FETCH (BODY[1] {5}\r\nhello)\r\nt OK");
		kit_says(&k, "FETCH 2 BODY.PEEK[HEADER.FIELDS (RETURN-PATH)]",
		    "* 2 FETCH (BODY[HEADER.FIELDS (RETURN-PATH)] {22}\r\nReturn-Path: "
		    "<a@b>\r\n\r\n)");
		kit_no_outline(&k, 2);
	}
	kit_done(&k);
}

static void
test_damaged(void **state)
{
	(void)state;
	struct kit k;
	begin(&k);
	kit_of(&k, 2)->damaged = true;
	kit_has(&k, "FETCH 1:2 (UID BODY.PEEK[TEXT])",
	    "* 2 FETCH (UID 2 BODY[TEXT] NIL)\r\nt NO [SERVERBUG] the letter with UID 2 ");
	kit_has(&k, "FETCH 1:2 (UID BODY.PEEK[HEADER] BODY.PEEK[1])",
	    "* 2 FETCH (UID 2 BODY[HEADER] NIL BODY[1] NIL)\r\nt NO");
	kit_has(&k, "FETCH 1:2 (UID FLAGS)", "* 2 FETCH (UID 2 FLAGS ())\r\nt OK");
	kit_no_outline(&k, 2);
	kit_has(&k, "FETCH 2 (ENVELOPE)", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))\r\nt NO");
	fake_expunge(&k.f, STR("INBOX"), 1);
	kit_says(&k, "FETCH 1:2 (UID)", "* 2 FETCH (UID 2)\r\nt OK");
	kit_done(&k);
}

static void
test_encodings(void **state)
{
	(void)state;
	struct kit k;
	begin(&k);
	(void)kit_letter(&k,
	    "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n"
	    "\r\na=3Db=\r\nc\r\n");
	(void)kit_letter(&k,
	    "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\na\r\n");
	(void)kit_say(&k, "NOOP");
	kit_says(&k, "FETCH 3 (BINARY.PEEK[1] BINARY.SIZE[1])",
	    "* 3 FETCH (BINARY[1] {6}\r\na=bc\r\n BINARY.SIZE[1] 6)\r\nt OK");
	kit_says(&k, "FETCH 4 BINARY.PEEK[1]", "* 4 FETCH (BINARY[1] NIL)\r\nt NO [UNKNOWN-CTE]");
	kit_done(&k);
}

/* Letters that are longer than a window, by each plan. */
static void
test_large(void **state)
{
	(void)state;
	enum { LINES = 20000 };
	struct kit k;
	struct buf text = BUF_INIT(SIZE_MAX / 2);
	begin(&k);
	buf_putz(&text, "Subject: large\r\n\r\n");
	size_t header = text.len;
	for (unsigned i = 0; i < LINES; i++)
		buf_putf(&text, "this is line %06u of the large one\r\n", i);
	(void)fake_deliver(&k.f, STR("INBOX"), buf_str(&text), 0);
	(void)kit_say(&k, "NOOP");
	static const char *const commands[] = {
		"FETCH 3 BODY.PEEK[TEXT]",
		"FETCH 3 (BODY.PEEK[TEXT] BODY.PEEK[HEADER])",
		"FETCH 3 BODY.PEEK[1]",
		"UID FETCH 1:* (BODY.PEEK[TEXT] BODY.PEEK[1])",
	};
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		(void)kit_say(&k, commands[i]);
		size_t at = str_find_str(buf_str(&k.t.out), STR("this is line 000000"));
		assert_true(k.t.out.len - at >= text.len - header);
		assert_memory_equal(k.t.out.p + at, text.p + header, text.len - header);
	}
	assert_true(k.t.flushes > 0);
	buf_done(&text);
	kit_done(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_seen),
		cmocka_unit_test(test_condstore),
		cmocka_unit_test(test_outlines),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
