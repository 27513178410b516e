#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "mail/mbox.h"
#include "mail/when.h"

#include <stdlib.h>

#define F "From a@example.net Fri Sep 25 12:27:48 2009\n"
#define NUL_LINE "a\0b\n"

/* Letters of a file: "text|" each, in CRLF; "!" a letter over the limit; "?n" garbage in line n. */
struct row {
	const char *name;
	struct str in;
	enum mbox_format format;
	uint64_t max;
	struct str want;
};

#define R(n, i, w)                                                                                 \
	{                                                                                          \
		n, STR(i), MBOX_AUTO, 4096, STR(w)                                                 \
	}
static const struct row rows[] = {
	R("empty file", "", ""),
	R("only empty lines", "\n\r\n\n", ""),
	R("one", F "A: b\n\nbody\n\n", "A: b\r\n\r\nbody\r\n|"),
	R("no empty line at the end", F "A: b\n\nbody\n", "A: b\r\n\r\nbody\r\n|"),
	R("no final newline", F "A: b\n\nbody", "A: b\r\n\r\nbody\r\n|"),
	R("two", F "A: b\n\nbody\n\n" F "C: d\n\nmore\n\n",
	    "A: b\r\n\r\nbody\r\n|C: d\r\n\r\nmore\r\n|"),
	R("no empty line between", F "A: b\n\nbody\n" F "C: d\n\nmore\n",
	    "A: b\r\n\r\nbody\r\n|C: d\r\n\r\nmore\r\n|"),
	R("empty lines in front", "\n\n" F "A: b\n\nbody\n", "A: b\r\n\r\nbody\r\n|"),
	R("CRLF",
	    "From a Fri Sep 25 12:27:48 2009\r\nA: b\r\n\r\nbody\r\n\r\n"
	    "From a Fri Sep 25 12:27:48 2009\r\nA: c\r\n\r\n\r\n",
	    "A: b\r\n\r\nbody\r\n|A: c\r\n\r\n|"),
	R("empty body", F "A: b\n\n\n" F "A: c\n\n\n", "A: b\r\n\r\n|A: c\r\n\r\n|"),
	R("header only", F "A: b\n" F "A: c\n", "A: b\r\n|A: c\r\n|"),
	R("nothing at all", F F, "||"),
	R("body ends in empty lines", F "A: b\n\nx\n\n\n\n" F "A: c\n\nx\n\n",
	    "A: b\r\n\r\nx\r\n\r\n\r\n|A: c\r\n\r\nx\r\n|"),
	R("quoted", F "A: b\n\n>From x\n>>From y\n>> From z\n>from\n\n",
	    "A: b\r\n\r\nFrom x\r\n>From y\r\n>> From z\r\n>from\r\n|"),
	{ "mboxo", STR(F "A: b\n\n>From x\n>>From y\n\n"), MBOX_O, 4096,
	    STR("A: b\r\n\r\nFrom x\r\n>>From y\r\n|") },
	{ "mboxcl2", STR(F "A: b\n\n>From x\n\n"), MBOX_CL2, 4096,
	    STR("A: b\r\n\r\n>From x\r\n|") },
	R("From without a date is text", F "A: b\n\nx\n\nFrom here on\nC: d\n\n",
	    "A: b\r\n\r\nx\r\n\r\nFrom here on\r\nC: d\r\n|"),
	R("a file without dates",
	    "From \nA: b\n\nFrom here\n\nFrom there on\nFrom x\n\nFrom \nC: d\n\ny\n",
	    "A: b\r\n\r\nFrom here\r\n\r\nFrom there on\r\nFrom x\r\n|C: d\r\n\r\ny\r\n|"),
	R("zones and blanks",
	    "From \"a b\"@x Fri Sep 25 12:27 +0200 2009\nA: b\n\n"
	    "From a  Fri Sep  5 12:27:48 EST 2009\nA: c\n\n"
	    "From a Fri Sep 25 12:27:48 2009 +0200\nA: d\n\n"
	    "From a Fri Sep 25 12:27:48 2009 remote from b\nA: e\n\n",
	    "A: b\r\n|A: c\r\n|A: d\r\n|A: e\r\n|"),
	R("status", F "Status: RO\nA: b\nX-Status: AF\n folded\nC: d\n\nStatus: x\n",
	    "A: b\r\nC: d\r\n\r\nStatus: x\r\n|"),
	R("eight bits and NUL", F "A: \xff\x80\n\n" NUL_LINE, "A: \xff\x80\r\n\r\na\0b\r\n|"),
	R("lone CR", F "A: b\n\nx\ry\n", "A: b\r\n\r\nx\ry\r\n|"),
	R("length with From_ lines in the body",
	    F "A: b\nContent-Length: 47\n\n" F "x\n\n\n" F "C: d\n\n",
	    "A: b\r\nContent-Length: 47\r\n\r\nFrom a@example.net Fri Sep 25 12:27:48 "
	    "2009\r\nx\r\n\r\n|C: d\r\n|"),
	R("length, nothing is quoted", F "Content-Length: 52\n\n" F ">From x\n\n" F "C: d\n\n",
	    "Content-Length: 52\r\n\r\nFrom a@example.net Fri Sep 25 12:27:48 "
	    "2009\r\n>From x\r\n|C: d\r\n|"),
	R("length at the end of the file",
	    F "Content-Length: 6\n\n"
	      ">From ",
	    "Content-Length: 6\r\n\r\nFrom \r\n|"),
	R("length that is wrong", F "Content-Length: 3\n\nbody\n\n" F "C: d\n\n",
	    "Content-Length: 3\r\n\r\nbody\r\n|C: d\r\n|"),
	R("length far too large", F "Content-Length: 4000\n\nbody\n\n" F "C: d\n\n",
	    "Content-Length: 4000\r\n\r\nbody\r\n|C: d\r\n|"),
	R("two lengths", F "Content-Length: 3\nContent-Length: 5\n\nbody\n\n",
	    "Content-Length: 3\r\nContent-Length: 5\r\n\r\nbody\r\n|"),
	{ "length in mboxrd", STR(F "Content-Length: 45\n\n" F "x\n\n" F "C: d\n\n"), MBOX_RD, 4096,
	    STR("Content-Length: 45\r\n|x\r\n|C: d\r\n|") },
	{ "too large", STR(F "A: b\n\n0123456789012345678901234567890\n\n" F "C: d\n\n"), MBOX_AUTO,
	    64, STR("!C: d\r\n|") },
	{ "too large at the end", STR(F "C: d\n\n" F "A: b\n\n0123456789012345678901234567890\n\n"),
	    MBOX_AUTO, 64, STR("C: d\r\n|!") },
	R("garbage", "garbage\n" F "A: b\n", "?1"),
	R("garbage in line 3", "\n\n>" F "A: b\n", "?3"),
	R("half a From_ line", "Fro", "?1"),
};

static void
run(struct str in, enum mbox_format format, uint64_t max, size_t step, struct buf *out)
{
	struct mbox_split m;
	struct mbox_letter l;
	size_t start = 0, end = 0;
	mbox_split_init(&m, format, max);
	for (;;) {
		/* A copy of exactly the view, so that a sanitizer sees every octet too much. */
		char *copy = malloc(end - start + 1);
		assert_non_null(copy);
		if (end > start)
			memcpy(copy, in.p + start, end - start);
		struct str view = str_n(copy, end - start);
		enum mbox_verdict v = mbox_split_next(&m, view, end == in.len, &l);
		assert_true(l.size <= view.len);
		if (v == MBOX_LETTER) {
			struct mbox_facts facts;
			size_t at = out->len;
			mbox_letter_put(out, &l, &facts);
			assert_true(facts.header_len <= out->len - at);
			buf_putc(out, '|');
		} else if (v == MBOX_TOO_LARGE) {
			buf_putc(out, '!');
		} else if (v == MBOX_GARBAGE) {
			buf_putf(out, "?%u", (unsigned)l.line);
		}
		free(copy);
		start += v == MBOX_MORE ? 0 : l.size;
		if (v == MBOX_END || v == MBOX_GARBAGE)
			break;
		if (v == MBOX_MORE) {
			assert_true(end < in.len);
			end += MIN(step, in.len - end);
		}
	}
}

static void
check_row(const struct row *r, size_t step)
{
	struct buf out = BUF_INIT(1u << 20);
	run(r->in, r->format, r->max, step, &out);
	if (!str_eq(buf_str(&out), r->want))
		fail_msg("%s, in steps of %zu: \"%s\"", r->name, step, buf_cstr(&out));
	buf_done(&out);
}

static void
splits_files(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_row(&rows[i], SIZE_MAX);
}

static void
splits_alike_however_it_comes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t step = 1; step < rows[i].in.len; step++)
			check_row(&rows[i], step);
}

/* A letter of many pieces' size is passed over without being held. */
static void
passes_over_what_is_too_large(void **state)
{
	struct buf in = BUF_INIT(4u << 20), out = BUF_INIT(1u << 20);
	buf_putz(&in, F "A: b\n\nfirst\n\n" F "A: large\n\n");
	for (int i = 0; i < 20000; i++)
		buf_putz(&in, "0123456789 From here\nFrom there\n");
	buf_putz(&in, "\n" F "A: b\n\nlast\n\n");
	for (size_t step = 777; step < 100000; step += 9001) {
		buf_reset(&out);
		run(buf_str(&in), MBOX_AUTO, 1000, step, &out);
		assert_true(str_eq(buf_str(&out),
		    STR("A: b\r\n\r\nfirst\r\n|!A: b\r\n\r\nlast\r\n|")));
	}
	buf_done(&in);
	buf_done(&out);
}

static void
learns_facts(void **state)
{
	static const struct {
		const char *in;
		uint32_t flags;
		uint64_t header_len;
		int64_t date;
		bool internal;
	} facts[] = {
		{ "Status: RO\nX-Status: AFDT\nA: b\n\nx\n", 31, 6, 0, false },
		{ "Status: O\nDate: Fri, 25 Sep 2009 14:27:48 +0200\n\nDate: x\n", 0, 39,
		    1253881668, false },
		{ "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nx\n",
		    0, 73, 0, true },
		{ "Subject: DON'T DELETE THIS MESSAGE\n\nx\n", 0, 36, 0, false },
		{ "\nStatus: R\n", 0, 0, 0, false },
		{ "A: b", 0, 6, 0, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		struct buf out = BUF_INIT(4096);
		struct mbox_facts f;
		struct mbox_letter l = { .text = str_of(facts[i].in), .quoted = true };
		mbox_letter_put(&out, &l, &f);
		assert_int_equal(f.flags, facts[i].flags);
		assert_int_equal(f.header_len, facts[i].header_len);
		assert_int_equal(f.has_date, facts[i].date != 0);
		assert_true(!f.has_date || f.date == facts[i].date);
		assert_int_equal(f.internal, facts[i].internal);
		buf_done(&out);
	}
}

static void
leaves_files_alone(void **state)
{
	static const char *const files[][2] = {
		{ "A: b\n\n>From x\n\n", "A: b\r\n\r\n>From x\r\n\r\n" },
		{ "Status: R\r\n\r\nx", "Status: R\r\n\r\nx" },
		{ "", "" },
		{ "\n", "\r\n" },
		{ "a\r", "a\r" },
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct buf out = BUF_INIT(4096);
		struct mbox_facts f;
		mbox_file_put(&out, str_of(files[i][0]), &f);
		assert_true(str_eq(buf_str(&out), str_of(files[i][1])));
		assert_int_equal(f.flags, 0);
		buf_done(&out);
	}
}

static void
reads_dates(void **state)
{
	static const struct {
		const char *in;
		int64_t want; /* -1: none */
	} headers[] = {
		{ "Fri, 25 Sep 2009 14:27:48 +0200", 1253881668 },
		{ " 25 Sep 2009 12:27:48 GMT (a comment)", 1253881668 },
		{ "Fri, 25 Sep 09 07:27:48 EST", 1253881668 },
		{ "Fri, 25(a\\)(b)) Sep 09 07(x):  27\r\n : 48 (y) EST", 1253881668 },
		{ "Fri, 25 Sep 09 07:27:48:1 EST", -1 },
		{ "Fri, 25 Sep 09 07:27:48(open", 1253863668 },
		{ "Fri, 25 September 2009 12:27:48", 1253881668 },
		{ "Thu, 1 Jan 1970 00:00 -0000", 0 },
		{ "Thu, 29 Feb 2024 23:59:60 +0000", 1709251199 },
		{ "Wed, 31 Dec 1969 23:59:59 +0000", -2 },
		{ "Fri, 32 Sep 2009 14:27:48 +0200", -1 },
		{ "Fri, 25 Sex 2009 14:27:48 +0200", -1 },
		{ "Fri, 25 Sep 2009", -1 },
		{ "", -1 },
		{ ",", -1 },
		{ "yesterday", -1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		int64_t t = -7;
		bool ok = when_header(str_of(headers[i].in), &t);
		assert_int_equal(ok, headers[i].want != -1);
		if (ok)
			assert_true(t == (headers[i].want == -2 ? -1 : headers[i].want));
	}
	static const struct {
		const char *in;
		int64_t want;
	} lines[] = {
		{ "a@b Fri Sep 25 12:27:48 2009", 1253881668 },
		{ "a@b Fri Sep 25 12:27:48 2009\r\n", 1253881668 },
		{ "a@b Fri Sep 25 14:27:48 +0200 2009", 1253881668 },
		{ "a@b Fri Sep 25 14:27:48 2009 +0200", 1253881668 },
		{ "a@b Fri Sep 25 07:27:48 EST 2009", 1253881668 },
		{ "a@b Fri Sep 25 12:27 2009", 1253881620 },
		{ "Fri Sep 25 12:27:48 2009", 1253881668 },
		{ "- Fri Sep 25 12:27:48 2009", 1253881668 },
		{ "a b c Fri Sep 25 12:27:48 2009 remote from x", 1253881668 },
		{ "a@b Fri Sep 25 12:27:48", -1 },
		{ "a@b Sep 25 12:27:48 2009", -1 },
		{ "a@b Fri Sep 25 24:27:48 2009", -1 },
		{ "a@b Friday Sep 25 12:27:48 2009", -1 },
		{ "here on", -1 },
		{ "", -1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		int64_t t = -7;
		bool ok = when_from_line(str_of(lines[i].in), &t);
		assert_int_equal(ok, lines[i].want != -1);
		assert_true(!ok || t == lines[i].want);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_files),
		cmocka_unit_test(splits_alike_however_it_comes),
		cmocka_unit_test(passes_over_what_is_too_large),
		cmocka_unit_test(learns_facts),
		cmocka_unit_test(leaves_files_alone),
		cmocka_unit_test(reads_dates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
