/* report: what is written is read again as it was meant, and says what it must. */
#include "base/check.h"
#include "base/utf8.h"
#include "mail/mime.h"
#include "mail/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define LETTER                                                                                     \
	"From: Joe <joe@example.com>\r\nTo: Ann <ann@example.net>\r\nSubject: Lunch\r\n"           \
	"Message-ID: <1@example.com>\r\n\r\nhello\r\n"

static const struct report_rcpt failed = {
	.action = REPORT_FAILED,
	.final = { "ann@example.net", 15 },
	.orcpt = { "rfc822;ann+2Bx@example.net", 26 },
	.status = { "5.1.1", 5 },
	.mta = { "mx1.example.net", 15 },
	.code = 550,
	.text = { "5.1.1 No such user\n5.1.1 here", 29 },
	.last_attempt = 1764000000,
};

static struct report
sample(const struct report_rcpt *rcpt, size_t n)
{
	return (struct report){ .host = STR("mx.example.com"),
		.to = STR("joe@example.com"),
		.postmaster = STR("postmaster@example.com"),
		.qid = STR("1A2B"),
		.envid = STR("abc+2Bdef"),
		.id = STR("x17"),
		.now = 1764000600,
		.arrived = 1763990000,
		.rcpt = rcpt,
		.n = n,
		.full = true,
		.letter = STR(LETTER) };
}

static const char *
make(const struct report *r, struct buf *b)
{
	*b = BUF_INIT(16u << 20);
	assert_true(report_put(b, r));
	return buf_cstr(b);
}

static void
has(const char *text, const char *what)
{
	check(text); /* or gcc, with sanitizers, warns of what is printed */
	if (!strstr(text, what))
		fail_msg("no \"%s\" in:\n%s", what, text);
}

static void
lacks(const char *text, const char *what)
{
	check(text);
	if (strstr(text, what))
		fail_msg("\"%s\" in:\n%s", what, text);
}

/* --- MIME --- */

struct parts {
	char types[400];
	uint32_t children;
	uint64_t size[10];
};

static void
on_field(void *arg, struct mime_part *p, const struct mime_field *f)
{
	struct parts *s = arg;
	if (str_ieq(f->name, STR("Content-Type"))) {
		struct str type = str_first(f->value, str_find(f->value, ';'));
		snprintf(s->types + strlen(s->types), sizeof s->types - strlen(s->types),
		    STR_FMT " ", STR_ARG(type));
	}
}

static void
on_end(void *arg, struct mime_part *p)
{
	struct parts *s = arg;
	if (p->index == 0)
		s->children = p->children;
	if (p->index < 10)
		s->size[p->index] = p->end - p->body_off;
}

static struct parts
parts_of(struct str letter)
{
	const struct mime_sink sink = { .field = on_field, .end = on_end };
	struct parts s = { 0 };
	struct mime_walk *w = mime_walk_new(&sink, &s, MIME_FIELD_MAX);
	mime_walk_feed(w, letter);
	mime_walk_end(w);
	mime_walk_free(w);
	return s;
}

static void
lines_are_clean(struct str letter)
{
	size_t line = 0;
	for (size_t i = 0; i < letter.len; i++) {
		if (letter.p[i] == '\n') {
			assert_true(i > 0 && letter.p[i - 1] == '\r');
			assert_true(line <= 999);
			line = 0;
		} else {
			assert_true(letter.p[i] != '\r' || letter.p[i + 1] == '\n');
			line++;
		}
	}
}

/* --- tests --- */

static void
test_failure(void **state)
{
	struct report r = sample(&failed, 1);
	struct buf b;
	const char *text = make(&r, &b);
	struct parts p = parts_of(buf_str(&b));
	assert_string_equal(p.types, "multipart/report text/plain message/delivery-status "
				     "message/rfc822 ");
	assert_int_equal(p.children, 3);
	assert_int_equal(p.size[3], strlen(LETTER)); /* the letter, octet by octet */
	has(text, "From: Mail Delivery <postmaster@example.com>\r\nTo: <joe@example.com>\r\n"
		  "Subject: Not delivered: Lunch\r\n");
	has(text, "Auto-Submitted: auto-replied\r\n");
	has(text, "In-Reply-To: <1@example.com>\r\n");
	has(text, "report-type=delivery-status");
	has(text, "Reporting-MTA: dns; mx.example.com\r\nOriginal-Envelope-Id: abc+def\r\n");
	has(text, "\r\n\r\nOriginal-Recipient: rfc822;ann+x@example.net\r\n"
		  "Final-Recipient: rfc822;ann@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"
		  "Remote-MTA: dns; mx1.example.net\r\n"
		  "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n 5.1.1 here\r\n"
		  "Last-Attempt-Date: Mon, 24 Nov 2025 16:00:00 +0000\r\n");
	has(text, "    Not delivered. The server mx1.example.net answered:\r\n"
		  "        550 5.1.1 No such user\r\n        550 5.1.1 here\r\n"
		  "    There is no such mailbox.");
	has(text, "Subject: Lunch\r\n");
	lines_are_clean(buf_str(&b));
	buf_done(&b);
}

static const struct {
	enum report_action action;
	const char *status, *mta;
	int code;
	const char *text;
	const char *subject, *words, *field;
} rows[] = {
	{ REPORT_FAILED, "4.4.1", "", 0, "no answer from mx1.example.net", "Not delivered: Lunch",
	    "Given up. The reason:\r\n        no answer from mx1.example.net\r\n"
	    "    This was tried for 2 hours.",
	    "Diagnostic-Code: x-pennypost; no answer from mx1.example.net\r\n" },
	{ REPORT_DELAYED, "4.2.2", "mx1.example.net", 452, "4.2.2 full", "Delayed: Lunch",
	    "It will be tried until Wed, 26 Nov 2025 16:00:00 +0000.", "Action: delayed\r\n" },
	{ REPORT_FAILED, "5.7.1", "mx1.example.net", 554, "spam", "Not delivered: Lunch",
	    "        554 5.7.1 spam\r\n", "Diagnostic-Code: smtp; 554 5.7.1 spam\r\n" },
	{ REPORT_FAILED, "5.0.0", "mx1.example.net", 554, "no", "Not delivered: Lunch",
	    "        554 no\r\n",
	    "Status: 5.0.0\r\nRemote-MTA: dns; mx1.example.net\r\nDiagnostic-Code: smtp; "
	    "554 no\r\n" },
	{ REPORT_FAILED, "5.0.0", "mx1.example.net", 0, "Fritz has moved", "Not delivered: Lunch",
	    "        Fritz has moved\r\n    The words above say why; the administrator of this "
	    "server knows more.\r\n",
	    "Diagnostic-Code: x-pennypost; Fritz has moved\r\n" },
	{ REPORT_DELIVERED, "2.1.5", "", 0, "", "Delivered: Lunch", "Delivered into the mailbox.",
	    "Action: delivered\r\nStatus: 2.1.5\r\n" },
	{ REPORT_RELAYED, "", "mx1.example.net", 250, "2.0.0 ok", "Passed on: Lunch",
	    "Passed on to the server mx1.example.net", "Action: relayed\r\nStatus: 2.0.0\r\n" },
	{ REPORT_EXPANDED, "", "", 0, "", "Delivered: Lunch", "to a list", "Action: expanded\r\n" },
};

static void
test_actions(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct report_rcpt q = failed;
		q.action = rows[i].action;
		q.status = str_of(rows[i].status);
		q.mta = str_of(rows[i].mta);
		q.code = rows[i].code;
		q.text = str_of(rows[i].text);
		q.will_retry_until = 1764172800;
		struct report r = sample(&q, 1);
		r.full = false;
		struct buf b;
		const char *text = make(&r, &b);
		has(text, rows[i].subject);
		has(text, rows[i].words);
		has(text, rows[i].field);
		has(text, "Content-Type: text/rfc822-headers\r\n");
		lacks(text, "hello");
		assert_true((strstr(text, "Will-Retry-Until") != NULL) ==
			    (q.action == REPORT_DELAYED));
		buf_done(&b);
	}
}

/* The postmaster has not sent it. */
static void
test_copy(void **state)
{
	struct report r = sample(&failed, 1);
	struct buf b;
	r.copy = true;
	r.letter = STR("From: Mail Delivery <postmaster@example.com>\r\n"
		       "Subject: Not delivered: Lunch\r\n\r\n");
	const char *text = make(&r, &b);
	has(text, "\r\nSubject: Nobody could be told: Not delivered: Lunch\r\n");
	has(text, "A letter from <> (a report,");
	has(text, "550 5.1.1 No such user");
	lacks(text, "our letter");
	lacks(text, "Check how the address is written");
	buf_done(&b);
}

/* What is written comes back from the reader. */
static void
test_round_trip(void **state)
{
	static const char *const names[REPORT_ACTIONS] = { "failed", "delayed", "delivered",
		"relayed", "expanded" };
	struct report_rcpt q[REPORT_ACTIONS];
	for (int i = 0; i < REPORT_ACTIONS; i++) {
		q[i] = failed;
		q[i].action = (enum report_action)i;
		q[i].will_retry_until = 1764172800;
	}
	struct report r = sample(q, REPORT_ACTIONS);
	struct buf b;
	make(&r, &b);
	for (int cut = 0; cut < 2; cut++) {
		struct report_reader reader;
		struct report_seen s;
		/* Only LF, as it stands in a file. */
		if (cut == 1) {
			size_t n = 0;
			for (size_t i = 0; i < b.len; i++)
				if (b.p[i] != '\r')
					b.p[n++] = b.p[i];
			buf_trunc(&b, n);
		}
		report_read_begin(&reader, buf_str(&b));
		for (int i = 0; i < REPORT_ACTIONS; i++) {
			assert_true(report_read(&reader, &s));
			assert_true(str_eq(s.final, q[i].final));
			assert_true(str_eq(s.orcpt, STR("ann+x@example.net")));
			assert_true(str_eq(s.action, str_of(names[i])));
			assert_true(str_eq(s.status, STR("5.1.1")));
			assert_true(str_eq(s.mta, STR("mx1.example.net")));
			assert_true(str_starts(s.diag, STR("550 5.1.1 No such user")));
			assert_true(str_ends(s.diag, STR("5.1.1 here")));
			assert_int_equal(s.retry_until.len > 0, i == REPORT_DELAYED);
		}
		assert_false(report_read(&reader, &s));
	}
	buf_done(&b);
}

static void
test_utf8(void **state)
{
	struct report_rcpt q = failed;
	q.final = STR("j\xc3\xb6rg@example.net");
	q.orcpt = STR("utf-8;j\\x{F6}rg@example.net");
	struct report r = sample(&q, 1);
	r.letter = STR("Subject: Gr\xc3\xbc\xc3\x9f"
		       "e\r\n\r\nhell\xc3\xb6\r\n");
	r.utf8 = true;
	r.to = STR("j\xc3\xb6"
		   "e@example.com");
	struct buf b;
	const char *text = make(&r, &b);
	struct parts p = parts_of(buf_str(&b));
	assert_string_equal(p.types, "multipart/report text/plain message/global-delivery-status "
				     "message/global ");
	has(text, "Original-Recipient: utf-8;j\xc3\xb6rg@example.net\r\n"
		  "Final-Recipient: utf-8;j\xc3\xb6rg@example.net\r\n");
	has(text, "To: <j\xc3\xb6"
		  "e@example.com>");
	has(text, "Content-Transfer-Encoding: 8bit\r\n");
	buf_done(&b);
	/* The same for somebody who cannot have UTF-8 (RFC 6533 3). */
	r.utf8 = false;
	r.full = false;
	r.to = STR("joe@example.com");
	text = make(&r, &b);
	has(text, "Content-Type: message/delivery-status\r\n");
	has(text, "Original-Recipient: utf-8;j\\x{F6}rg@example.net\r\n"
		  "Final-Recipient: utf-8;j\\x{F6}rg@example.net\r\n");
	has(text, "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n");
	has(text, "Subject: Not delivered: =?utf-8?B?");
	assert_true(utf8_is_ascii(str_first(buf_str(&b),
	    str_find_str(buf_str(&b), STR("\r\n\r\n")))));
	buf_done(&b);
}

/* What must not be enclosed as it is, is enclosed as a header. */
static void
test_enclosed(void **state)
{
	struct buf big = BUF_INIT(8u << 20), longline = BUF_INIT(8u << 20);
	buf_putz(&big, LETTER);
	while (big.len < REPORT_MAX)
		buf_putz(&big, "0123456789012345678901234567890123456789\r\n");
	buf_putz(&longline, LETTER);
	for (int i = 0; i < 1000; i++)
		buf_putc(&longline, 'x');
	buf_putz(&longline, "\r\n");
	const struct {
		struct str letter;
		const char *type;
	} letters[] = {
		{ STR(LETTER), "message/rfc822" },
		{ buf_str(&big), "text/rfc822-headers" },
		{ buf_str(&longline), "text/rfc822-headers" },
		{ STR("Subject: x\r\n\r\na\nb\r\n"), "text/rfc822-headers" },
		{ STR("Subject: x\r\n\r\na\rb\r\n"), "text/rfc822-headers" },
		{ { "Subject: x\r\n\r\na\0b\r\n", 19 }, "text/rfc822-headers" },
		{ STR("Subject: x\r\n\r\nno end"), "message/rfc822" },
	};
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		struct report r = sample(&failed, 1);
		struct buf b;
		r.letter = letters[i].letter;
		has(make(&r, &b), letters[i].type);
		assert_true(b.len <= REPORT_MAX);
		lines_are_clean(buf_str(&b));
		assert_int_equal(parts_of(buf_str(&b)).children, 3);
		buf_done(&b);
	}
	struct report r = sample(&failed, 1);
	struct buf b;
	r.letter = STR_NULL;
	make(&r, &b);
	assert_int_equal(parts_of(buf_str(&b)).children, 2);
	buf_done(&b);
	buf_done(&big);
	buf_done(&longline);
}

/* The letter, the reply and the envelope are written by strangers. */
static void
test_hostile(void **state)
{
	struct report_rcpt q = failed;
	q.text =
	    STR("a\r\n\r\n--=_0x17\r\n\r\nFinal-Recipient: rfc822;eve@example.org\r\n\x01\xff");
	q.final = STR("ann@example.net\r\nAction: delivered");
	q.orcpt = STR("rfc822;a+0D+0AAction:+20delivered");
	q.status = STR("5.1.1\r\nX: y");
	q.mta = STR("mx\r\n\r\nx");
	struct report r = sample(&q, 1);
	r.envid = STR("a+0D+0Ab");
	r.letter = STR("Subject: x\r\n\r\n--=_0x17\r\n--=_1x17--\r\n=_2x17\r\n");
	struct buf b;
	const char *text = make(&r, &b);
	struct parts p = parts_of(buf_str(&b));
	assert_int_equal(p.children, 3);
	has(text, "boundary=\"=_3x17\"");
	has(text, "Original-Envelope-Id: a+0D+0Ab\r\n");
	lacks(text, "\r\nAction: delivered");
	lacks(text, "Original-Recipient");
	lacks(text, "\r\nX: y");
	lines_are_clean(buf_str(&b));
	struct report_reader reader;
	struct report_seen s;
	report_read_begin(&reader, buf_str(&b));
	assert_true(report_read(&reader, &s));
	assert_true(str_eq(s.action, STR("failed")));
	assert_false(report_read(&reader, &s));
	buf_done(&b);
	/* A letter that holds every boundary that is tried is left out. */
	struct buf all = BUF_INIT(10000);
	buf_putz(&all, "Subject: x\r\n\r\n");
	for (int i = 0; i < 16; i++)
		buf_putf(&all, "=_%xx17\r\n", (unsigned)i);
	r.letter = buf_str(&all);
	make(&r, &b);
	assert_int_equal(parts_of(buf_str(&b)).children, 2);
	buf_done(&b);
	buf_done(&all);
}

static void
test_many(void **state)
{
	static struct report_rcpt q[500];
	char addr[1001], reply[513];
	memset(addr, 'a', 1000);
	memset(reply, 'b', 512);
	addr[1000] = reply[512] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(q); i++) {
		q[i] = failed;
		q[i].final = str_of(addr);
		q[i].text = str_of(reply);
	}
	struct report r = sample(q, ARRAY_LEN(q));
	struct buf b;
	make(&r, &b);
	lines_are_clean(buf_str(&b));
	buf_done(&b);
	/* No room: it says so. */
	b = BUF_INIT(1000);
	assert_false(report_put(&b, &r));
	assert_true(b.failed);
	buf_done(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_enclosed),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
