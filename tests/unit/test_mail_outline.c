#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/check.h"
#include "mail/outline.h"

#define TEXT_FACTS " NIL NIL \"7bit\" "
#define NILS5 "NIL NIL NIL NIL NIL"

static const struct {
	const char *letter, *envelope, *body, *structure;
} rows[] = {
	/* Nothing but a text. */
	{ "From: Ann <ann@example.com>\r\nTo: bob@example.net\r\nSubject: Hi\r\n"
	  "Date: Fri, 27 Apr 2012 23:29:54 +0200\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n",
	    "(\"Fri, 27 Apr 2012 23:29:54 +0200\" \"Hi\" ((\"Ann\" NIL \"ann\" \"example.com\")) "
	    "((\"Ann\" NIL \"ann\" \"example.com\")) ((\"Ann\" NIL \"ann\" \"example.com\")) "
	    "((NIL NIL \"bob\" \"example.net\")) NIL NIL NIL \"<1@example.com>\")",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "7 1)",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "7 1 NIL NIL NIL NIL)" },
	/* Nothing at all. */
	{ "", "(" NILS5 " " NILS5 ")",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "0 0)",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "0 0 NIL NIL NIL NIL)" },
	/* Bare LFs end lines and count as they are. */
	{ "Subject: a\n b\n\nx\ny\n", "(NIL {3}\r\na b NIL NIL NIL " NILS5 ")",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "4 2)",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "4 2 NIL NIL NIL NIL)" },
	/* Groups, comments, what is missing, what is in Latin-1. */
	{ "From: a@b (A (x) B)\r\nSender: Sally <s@t>\r\nReply-To: g: x@y, \"Q, R\" <q@r>;\r\n"
	  "To: joe\r\nCc: J\xf6 <j@k>\r\nBcc: <@a,@b:c@d>\r\nIn-Reply-To: <1> <2>\r\n\r\n",
	    "(NIL NIL ((\"A (x) B\" NIL \"a\" \"b\")) ((\"Sally\" NIL \"s\" \"t\")) "
	    "((NIL NIL \"g\" NIL)(NIL NIL \"x\" \"y\")(\"Q, R\" NIL \"q\" \"r\")(NIL NIL NIL NIL)) "
	    "((NIL NIL \"joe\" \"MISSING_DOMAIN\")) (({2}\r\nJ\xf6 NIL \"j\" \"k\")) "
	    "((NIL \"@a,@b\" \"c\" \"d\")) \"<1> <2>\" NIL)",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "0 0)",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "0 0 NIL NIL NIL NIL)" },
	/* Two fields of addresses make one list; of the others the last counts. */
	{ "To: a@b\r\nSubject: x\r\nTo: c@d\r\nSubject: y\r\n\r\n",
	    "(NIL \"y\" NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL)",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "0 0)",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "0 0 NIL NIL NIL NIL)" },
	/* A multipart, all facts, a prologue and an epilogue. */
	{ "Content-Type: multipart/mixed; boundary=\"b\"\r\nMIME-Version: 1.0\r\n\r\npro\r\n--b\r\n"
	  "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
	  "Content-ID: <i@d>\r\nContent-Description: what\r\nContent-MD5: abc\r\n"
	  "Content-Disposition: attachment; filename*0=a; filename*1=b\r\n"
	  "Content-Language: en, de\r\nContent-Location: http://x\r\n\r\neA==\r\n--b\r\n\r\ny\r\n"
	  "--b--\r\nepi\r\n",
	    "(" NILS5 " " NILS5 ")",
	    "((\"text\" \"html\" (\"charset\" \"utf-8\") \"<i@d>\" \"what\" \"base64\" 4 0)"
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) \"mixed\")",
	    "((\"text\" \"html\" (\"charset\" \"utf-8\") \"<i@d>\" \"what\" \"base64\" 4 0 \"abc\" "
	    "(\"attachment\" (\"filename\" \"ab\")) (\"en\" \"de\") \"http://x\")"
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) "
	    "\"mixed\" (\"boundary\" \"b\") NIL NIL NIL)" },
	/* A boundary that begins another, and no end. */
	{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	  "Content-Type: multipart/alternative; boundary=bb\r\n\r\n--bb\r\n\r\n1\r\n--b\r\n\r\n2",
	    "(" NILS5 " " NILS5 ")",
	    "(((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) "
	    "\"alternative\")"
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) \"mixed\")",
	    "(((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL "
	    "NIL) "
	    "\"alternative\" (\"boundary\" \"bb\") NIL NIL NIL)"
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) "
	    "\"mixed\" (\"boundary\" \"b\") NIL NIL NIL)" },
	/* A digest: what has no type is a letter. RFC 2046 5.1.5. */
	{ "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: "
	  "in\r\n\r\nx\r\n--b--",
	    "(" NILS5 " " NILS5 ")",
	    "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL \"in\" NIL NIL NIL " NILS5 ") "
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2) \"digest\")",
	    "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL \"in\" NIL NIL NIL " NILS5 ") "
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) "
	    "2 "
	    "NIL NIL NIL NIL) \"digest\" (\"boundary\" \"b\") NIL NIL NIL)" },
	/* A letter in UTF-8 in a letter: RFC 6532 3.7. */
	{ "Content-Type: message/global\r\n\r\nSubject: \xc3\xa4\r\n\r\nx", "(" NILS5 " " NILS5 ")",
	    "(\"message\" \"global\" NIL NIL NIL \"7bit\" 16 (NIL {2}\r\n\xc3\xa4 NIL NIL "
	    "NIL " NILS5
	    ") (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2)",
	    "(\"message\" \"global\" NIL NIL NIL \"7bit\" 16 (NIL {2}\r\n\xc3\xa4 NIL NIL "
	    "NIL " NILS5 ") (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 "
	    "NIL NIL NIL NIL) 2 "
	    "NIL NIL NIL NIL)" },
	/* No parts in a multipart: one is made up. */
	{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n", "(" NILS5 " " NILS5 ")",
	    "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")",
	    "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) "
	    "\"mixed\" (\"boundary\" \"b\") NIL NIL NIL)" },
	/* Content fields say nothing where it is not MIME; a type that is none is an empty one. */
	{ "Content-ID: x\r\n\r\nx", "(" NILS5 " " NILS5 ")",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "1 0)",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\")" TEXT_FACTS "1 0 NIL NIL NIL NIL)" },
	{ "Content-Type: text/plain charset=x\r\n\r\nx", "(" NILS5 " " NILS5 ")",
	    "(\"\" \"\" NIL" TEXT_FACTS "1)", "(\"\" \"\" NIL" TEXT_FACTS "1 NIL NIL NIL NIL)" },
	/* RFC 2231: pieces, and one that is missing. */
	{ "Content-Type: text/plain; a*1=y; a*0*=utf-8''x%20; b*1=q\r\n\r\n",
	    "(" NILS5 " " NILS5 ")",
	    "(\"text\" \"plain\" (\"a*\" \"utf-8''x%20y\" \"b*1\" \"q\" \"charset\" "
	    "\"us-ascii\")" TEXT_FACTS "0 0)",
	    "(\"text\" \"plain\" (\"a*\" \"utf-8''x%20y\" \"b*1\" \"q\" \"charset\" "
	    "\"us-ascii\")" TEXT_FACTS "0 0 NIL NIL NIL NIL)" },
};

/* The outline of a letter that comes in pieces of `step` octets, the first one of `first`. */
static void
build(struct str letter, size_t first, size_t step, struct str trace, struct buf *out)
{
	struct outline_builder *b = outline_new(NULL);
	buf_reset(out);
	outline_feed(b, str_first(letter, first));
	for (letter = str_skip(letter, first); letter.len; letter = str_skip(letter, step))
		outline_feed(b, str_first(letter, step));
	assert_true(outline_end(b, trace, out));
	outline_free(b);
}

static void
assert_text(struct buf *b, const char *text)
{
	assert_string_equal(buf_cstr(b), text);
	buf_reset(b);
}

static void
test_rows(void **state)
{
	struct buf record = BUF_INIT(OUTLINE_MAX), text = BUF_INIT(OUTLINE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct outline o;
		build(str_of(rows[i].letter), SIZE_MAX, 1, STR_NULL, &record);
		assert_true(outline_get(buf_str(&record), &o));
		assert_int_equal(o.size, strlen(rows[i].letter));
		outline_envelope_put(&text, &o);
		assert_text(&text, rows[i].envelope);
		outline_body_put(&text, &o, false);
		assert_text(&text, rows[i].body);
		outline_body_put(&text, &o, true);
		assert_text(&text, rows[i].structure);
	}
	buf_done(&record);
	buf_done(&text);
}

static void
test_splits(void **state)
{
	struct buf whole = BUF_INIT(OUTLINE_MAX), split = BUF_INIT(OUTLINE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str letter = str_of(rows[i].letter);
		build(letter, SIZE_MAX, 1, STR_NULL, &whole);
		for (size_t at = 0; at <= letter.len; at++) {
			build(letter, at, SIZE_MAX, STR_NULL, &split);
			assert_true(str_eq(buf_str(&whole), buf_str(&split)));
		}
		for (size_t step = 1; step < 5; step++) {
			build(letter, 0, step, STR_NULL, &split);
			assert_true(str_eq(buf_str(&whole), buf_str(&split)));
		}
	}
	buf_done(&whole);
	buf_done(&split);
}

/* A record that is cut short is none; one octet changed may be one or none. */
static void
test_damage(void **state)
{
	struct buf record = BUF_INIT(OUTLINE_MAX), text = BUF_INIT(1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct outline o;
		build(str_of(rows[i].letter), SIZE_MAX, 1, STR_NULL, &record);
		for (size_t n = 0; n < record.len; n++) {
			char *copy = str_dup(str_first(buf_str(&record), n));
			assert_false(outline_get(str_n(copy, n), &o));
			free(copy);
		}
		for (size_t n = 0; n < record.len; n++) {
			record.p[n] ^= 0x21;
			if (outline_get(buf_str(&record), &o)) {
				outline_envelope_put(&text, &o);
				outline_body_put(&text, &o, false);
				outline_text(&o, OUTLINE_TO, NULL, &text);
				buf_reset(&text);
			}
			record.p[n] ^= 0x21;
		}
	}
	buf_done(&record);
	buf_done(&text);
}

/* --- sections --- */

#define NESTED                                                                                     \
	"Subject: out\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"                        \
	"--b\r\nX: 1\r\n\r\none\r\n"                                                               \
	"--b\r\nContent-Type: message/rfc822\r\n\r\n"                                              \
	"Subject: in\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"                         \
	"--c\r\n\r\nin one\r\n--c\r\nContent-Type: text/html; charset=\"utf-8\"\r\n"               \
	"Content-Transfer-Encoding: Quoted-Printable\r\n\r\nin two\r\n--c--\r\n"                   \
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\ntext\r\n"                \
	"--b--\r\n"

static const struct {
	uint32_t path[4];
	size_t n;
	enum outline_what what;
	const char *text; /* NULL: there is none */
} sections[] = {
	{ { 0 }, 0, OUTLINE_HEADER,
	    "Subject: out\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" },
	{ { 0 }, 0, OUTLINE_PART, NESTED },
	{ { 1 }, 1, OUTLINE_PART, "one" },
	{ { 1 }, 1, OUTLINE_MIME, "X: 1\r\n\r\n" },
	{ { 1 }, 1, OUTLINE_HEADER, "" },
	{ { 2 }, 1, OUTLINE_MIME, "Content-Type: message/rfc822\r\n\r\n" },
	{ { 2 }, 1, OUTLINE_HEADER,
	    "Subject: in\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" },
	{ { 2, 1 }, 2, OUTLINE_PART, "in one" },
	{ { 2, 2 }, 2, OUTLINE_PART, "in two" },
	{ { 2, 2 }, 2, OUTLINE_MIME,
	    "Content-Type: text/html; charset=\"utf-8\"\r\n"
	    "Content-Transfer-Encoding: Quoted-Printable\r\n\r\n" },
	{ { 3, 1 }, 2, OUTLINE_PART, "text" },
	{ { 3 }, 1, OUTLINE_TEXT, "text" },
	{ { 3 }, 1, OUTLINE_PART, "Subject: plain\r\n\r\ntext" },
	{ { 3, 2 }, 2, OUTLINE_PART, NULL },
	{ { 1, 1 }, 2, OUTLINE_PART, NULL },
	{ { 3, 1, 1 }, 3, OUTLINE_PART, NULL },
	{ { 2, 1, 1 }, 3, OUTLINE_MIME, NULL },
	{ { 4 }, 1, OUTLINE_PART, NULL },
	{ { 0 }, 1, OUTLINE_PART, NULL },
	{ { 2, 3 }, 2, OUTLINE_MIME, NULL },
	{ { 0 }, 0, OUTLINE_MIME, NULL },
};

static void
test_sections(void **state)
{
	const char *trace = "Received: by x;\r\n\tnow\r\n";
	size_t t = strlen(trace);
	struct buf record = BUF_INIT(OUTLINE_MAX), letter = BUF_INIT(1 << 16);
	struct outline o;
	buf_putz(&letter, trace);
	buf_putz(&letter, NESTED);
	build(STR(NESTED), SIZE_MAX, 1, str_of(trace), &record);
	assert_true(outline_get(buf_str(&record), &o));
	assert_int_equal(o.size, letter.len);
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		struct outline_range r;
		bool there =
		    outline_section(&o, sections[i].path, sections[i].n, sections[i].what, &r);
		assert_int_equal(there, sections[i].text != NULL);
		if (!there)
			continue;
		struct str s = str_n(letter.p + r.off, r.len);
		if (sections[i].n == 0) { /* the trace stands in front */
			assert_true(str_starts(s, str_of(trace)));
			s = str_skip(s, t);
		}
		assert_true(str_eq(s, str_of(sections[i].text)));
	}
	struct outline_part p;
	assert_true(outline_part(&o, (uint32_t[]){ 2, 2 }, 2, &p));
	assert_int_equal(p.kind, MIME_TEXT);
	assert_int_equal(p.encoding, MIME_QP);
	assert_true(str_eq(p.charset, STR("utf-8")));
	assert_true(outline_part(&o, NULL, 0, &p));
	assert_int_equal(p.kind, MIME_MULTIPART);
	assert_int_equal(p.children, 3);
	buf_done(&record);
	buf_done(&letter);
}

/* --- what else is in it --- */

static void
test_trace(void **state)
{
	struct buf record = BUF_INIT(OUTLINE_MAX), text = BUF_INIT(OUTLINE_MAX);
	struct outline o;
	build(STR("Subject: x\r\n\r\n"), SIZE_MAX, 1,
	    STR("Received: by x\r\nSubject: no\r\nFrom: a@b\r\nMessage-ID: <m@x>\r\n"), &record);
	assert_true(outline_get(buf_str(&record), &o));
	outline_envelope_put(&text, &o);
	assert_text(&text, "(NIL \"x\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
			   "((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL \"<m@x>\")");
	assert_int_equal(o.thread, outline_id_hash(STR("m@x")));
	assert_int_equal(o.msgid, o.thread);
	buf_done(&record);
	buf_done(&text);
}

static void
test_threads(void **state)
{
	static const struct {
		const char *header, *thread, *refs[4];
	} t[] = {
		{ "Message-ID: <m@x>\r\n", "m@x", { NULL } },
		{ "In-Reply-To: <i@x> <j@x>\r\nMessage-ID: <m@x>\r\n", "i@x", { "i@x" } },
		{ "References: <a@x>\r\n <b@x> <\"c\"@x>\r\nIn-Reply-To: <i@x>\r\n", "<a@x>",
		    { "a@x", "<b@x>", "c@x" } },
	};
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct buf record = BUF_INIT(OUTLINE_MAX);
		struct outline o;
		uint32_t n = 0;
		build(str_of(t[i].header), SIZE_MAX, 1, STR_NULL, &record);
		assert_true(outline_get(buf_str(&record), &o));
		assert_int_equal(o.thread, outline_id_hash(str_of(t[i].thread)));
		for (; t[i].refs[n]; n++)
			assert_int_equal(outline_ref(&o, n), outline_id_hash(str_of(t[i].refs[n])));
		assert_int_equal(outline_refs(&o), n);
		buf_done(&record);
	}
}

/* The first reference and the last ones stay. */
static void
test_many_references(void **state)
{
	struct buf letter = BUF_INIT(1 << 16), record = BUF_INIT(OUTLINE_MAX), id = BUF_INIT(64);
	struct outline o;
	buf_putz(&letter, "References:");
	for (int i = 0; i < 500; i++)
		buf_putf(&letter, " <%d@x>\r\n", i);
	buf_putz(&letter, "\r\n");
	build(buf_str(&letter), SIZE_MAX, 1, STR_NULL, &record);
	assert_true(outline_get(buf_str(&record), &o));
	assert_int_equal(outline_refs(&o), OUTLINE_REFS_MAX);
	assert_int_equal(outline_ref(&o, 0), outline_id_hash(STR("0@x")));
	for (uint32_t i = 1; i < OUTLINE_REFS_MAX; i++) {
		buf_reset(&id);
		buf_putf(&id, "%u@x", 500 - OUTLINE_REFS_MAX + i);
		assert_int_equal(outline_ref(&o, i), outline_id_hash(buf_str(&id)));
	}
	buf_done(&letter);
	buf_done(&record);
	buf_done(&id);
}

static void
test_dates(void **state)
{
	struct buf record = BUF_INIT(OUTLINE_MAX);
	struct outline o;
	build(STR("Date: Sat, 28 Apr 2012 01:29:54 +0200\r\n\r\n"), SIZE_MAX, 1, STR_NULL, &record);
	assert_true(outline_get(buf_str(&record), &o));
	assert_true(o.has_sent);
	assert_int_equal(o.sent, 1335569394);
	assert_int_equal(o.sent_day,
	    1335571200 / 86400); /* the 28th, though it is the 27th in UTC */
	build(STR("Date: yesterday\r\n\r\n"), SIZE_MAX, 1, STR_NULL, &record);
	assert_true(outline_get(buf_str(&record), &o));
	assert_false(o.has_sent);
	buf_done(&record);
}

static void
test_previews(void **state)
{
	static const struct {
		const char *letter, *preview;
	} t[] = {
		{ "\r\n  Hello,\r\n\r\n\tworld  \r\n", "Hello, world" },
		{ "Content-Type: "
		  "text/html\r\n\r\n<html><head><title>no</title></head><style>p{}</style>"
		  "<p>Hi&nbsp;<b>th</b>ere &amp; you&#33;<br>x &unknown; y<!-- c --></p>",
		    "Hi there & you! x &unknown; y" },
		{ "Content-Type: text/plain; charset=iso-8859-1\r\n"
		  "Content-Transfer-Encoding: quoted-printable\r\n\r\nJ=F6rg =\r\nis here",
		    "J\xc3\xb6rg is here" },
		{ "Content-Type: multipart/mixed; boundary=b\r\n\r\npro\r\n--b\r\n"
		  "Content-Type: image/png\r\n\r\nno\r\n--b\r\nContent-Type: text/plain\r\n"
		  "Content-Transfer-Encoding: "
		  "base64\r\n\r\nd29ybGQ=\r\n--b\r\n\r\nlater\r\n--b--\r\n",
		    "world" },
		{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n "
		  "\r\n--b\r\n\r\nlater\r\n",
		    "later" },
		{ "Content-Type: image/png\r\n\r\nno", "" },
	};
	struct buf record = BUF_INIT(OUTLINE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct outline o;
		for (size_t step = 1; step < 100; step += 7) {
			build(str_of(t[i].letter), 0, step, STR_NULL, &record);
			assert_true(outline_get(buf_str(&record), &o));
			assert_true(str_eq(o.preview, str_of(t[i].preview)));
		}
	}
	buf_done(&record);
}

static void
test_texts(void **state)
{
	static const char letter[] =
	    "Subject: Re: [x] =?utf-8?q?J=C3=B6rg?= (fwd)\r\n"
	    "From: =?iso-8859-1?q?J=F6rg?= <jo@example.com>, k@l\r\nTo: g: a@b, c@d;, e@f\r\n\r\n";
	struct buf record = BUF_INIT(OUTLINE_MAX), text = BUF_INIT(OUTLINE_MAX);
	struct outline o;
	build(str_of(letter), SIZE_MAX, 1, STR_NULL, &record);
	assert_true(outline_get(buf_str(&record), &o));
	outline_text(&o, OUTLINE_SUBJECT, NULL, &text);
	assert_text(&text, "Re: [x] J\xc3\xb6rg (fwd)");
	outline_text(&o, OUTLINE_FROM, NULL, &text);
	assert_text(&text, "J\xc3\xb6rg <jo@example.com>, k@l");
	outline_text(&o, OUTLINE_TO, NULL, &text);
	assert_text(&text, "g: a@b, c@d;, e@f");
	outline_text(&o, OUTLINE_CC, NULL, &text);
	assert_text(&text, "");
	outline_sort_key(&o, OUTLINE_SUBJECT, false, NULL, &text);
	assert_text(&text, "J\xc3\xb6rg");
	outline_sort_key(&o, OUTLINE_FROM, false, NULL, &text);
	assert_text(&text, "jo");
	outline_sort_key(&o, OUTLINE_FROM, true, NULL, &text);
	assert_text(&text, "J\xc3\xb6rg");
	outline_sort_key(&o, OUTLINE_TO, true, NULL, &text);
	assert_text(&text, "g");
	buf_done(&record);
	buf_done(&text);
}

/* --- letters from somebody who means ill --- */

static void
repeat(struct buf *b, const char *what, size_t times)
{
	while (times--)
		buf_putz(b, what);
}

/* Is there an outline from a builder for strangers, and always one from a wide one? */
static void
check_bad(const char *head, const char *what, size_t times, bool narrow, uint32_t parts)
{
	struct buf letter = BUF_INIT(64 << 20), record = BUF_INIT(OUTLINE_WIDE_MAX);
	struct outline o;
	buf_putz(&letter, head);
	repeat(&letter, what, times);
	struct outline_builder *b = outline_new(NULL);
	outline_feed(b, buf_str(&letter));
	assert_int_equal(outline_end(b, STR_NULL, &record), narrow);
	outline_free(b);
	buf_reset(&record);
	b = outline_new_wide(NULL);
	outline_feed(b, buf_str(&letter));
	assert_true(outline_end(b, STR_NULL, &record));
	outline_free(b);
	assert_true(outline_get(buf_str(&record), &o));
	assert_int_equal(o.size, letter.len);
	assert_int_equal(o.n_parts, parts);
	buf_done(&letter);
	buf_done(&record);
}

static void
test_bad_letters(void **state)
{
	check_bad("Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\nx\r\n", 300,
	    true, 301);
	check_bad("Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\nx\r\n", 20000,
	    false, MIME_PARTS_MAX);
	check_bad("", "Content-Type: message/rfc822\r\n\r\n", 20000, true, MIME_DEPTH_MAX);
	check_bad("To: ", "a,", 100000, false, 1);
	check_bad("Subject: ", "(((((((((", 100000, false, 1);
	check_bad("To: ", "(((((((((", 100000, false, 1);
	check_bad("", "To: \"a\" <b@c>\r\n", 100000, false, 1);
	check_bad("", "Cc: a\r\n", 10, true, 1);
	check_bad("\r\n", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 100000, true, 1);
	check_bad("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n", "--\r\n", 100000, false,
	    MIME_PARTS_MAX);
}

/* The last part there may be begins while a boundary ends the one around it. */
static void
test_last_part(void **state)
{
	for (size_t more = 0; more < 4; more++) {
		struct buf letter = BUF_INIT(1 << 20), record = BUF_INIT(OUTLINE_WIDE_MAX);
		struct outline o;
		buf_putz(&letter, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
		repeat(&letter, "--b\r\n\r\nx\r\n", more);
		repeat(&letter, "--b\r\nContent-Type: message/rfc822\r\n", MIME_PARTS_MAX / 2);
		buf_trunc(&letter, letter.len - 30 * 35);
		for (size_t i = 0; i < 40; i++) {
			struct outline_builder *b = outline_new_wide(NULL);
			outline_feed(b, buf_str(&letter));
			outline_feed(b, STR("--b--\r\nend\r\n--b\r\n\r\nend"));
			buf_reset(&record);
			assert_true(outline_end(b, STR_NULL, &record));
			outline_free(b);
			assert_true(outline_get(buf_str(&record), &o));
			assert_true(o.n_parts <= MIME_PARTS_MAX);
			repeat(&letter, "--b\r\nContent-Type: message/rfc822\r\n", 1);
		}
		buf_done(&letter);
		buf_done(&record);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_many_references),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_previews),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_bad_letters),
		cmocka_unit_test(test_last_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
