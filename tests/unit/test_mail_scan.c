#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "mail/scan.h"

#include <stdlib.h>

/*
 * The reference: R-MSG-3 as it is written, with a look ahead at every doubtful line and so
 * quadratic. It shares nothing with mail/scan.c but the struct for the results.
 */
#define LINES_MAX 4096
struct line {
	struct str text; /* without its end */
	uint64_t end;    /* offset behind its end */
};

static const char *const names[SCAN_FIELD_COUNT] = { "received", "from", "sender", "date",
	"message-id", "to", "cc", "bcc", "subject", "return-path", "delivered-to" };

static size_t
split(struct str s, struct line *line)
{
	size_t n = 0, at = 0;
	while (at < s.len) {
		size_t lf = at;
		while (lf < s.len && s.p[lf] != '\n')
			lf++;
		size_t end = lf;
		if (lf < s.len && end > at && s.p[end - 1] == '\r')
			end--;
		assert_true(n < LINES_MAX);
		line[n++] = (struct line){ str_n(s.p + at, end - at), lf < s.len ? lf + 1 : lf };
		at = line[n - 1].end;
	}
	return n;
}

static bool
is_field(struct str l, struct str *name)
{
	size_t i = 0;
	while (i < l.len && l.p[i] > 0x20 && l.p[i] < 0x7f && l.p[i] != ':')
		i++;
	*name = str_first(l, i);
	while (i > 0 && i < l.len && (l.p[i] == ' ' || l.p[i] == '\t'))
		i++;
	return i > 0 && i < l.len && l.p[i] == ':';
}

static void
ref_take(struct scan *r, const struct line *l)
{
	struct str name;
	if (is_field(l->text, &name)) {
		r->fields++;
		for (int k = 0; k < SCAN_FIELD_COUNT; k++)
			r->count[k] += str_ieq(name, str_of(names[k]));
	}
	r->header_lines++;
	r->header_len = l->end;
}

/* The first line from i on that is a field, if no empty line and no limit comes before; else n. */
static size_t
ref_look_ahead(const struct scan *r, const struct line *line, size_t n, size_t i)
{
	struct str name;
	uint64_t lines = r->header_lines;
	for (size_t j = i; j < n && line[j].text.len; j++) {
		if (is_field(line[j].text, &name))
			return j;
		if (line[j].end > r->limits.max_bytes || ++lines > r->limits.max_lines)
			return n;
	}
	return n;
}

static void
ref_header(struct scan *r, const struct line *line, size_t n)
{
	struct str name;
	for (size_t i = 0; i < n && line[i].text.len; i++) {
		bool fold = r->fields && (line[i].text.p[0] == ' ' || line[i].text.p[0] == '\t');
		if (!fold && !is_field(line[i].text, &name)) {
			size_t next = r->fields ? ref_look_ahead(r, line, n, i) : n;
			if (next == n) {
				r->insert_blank = true;
				return;
			}
			r->repaired = true;
			for (; i < next; i++)
				ref_take(r, &line[i]);
		}
		ref_take(r, &line[i]);
		if (r->header_len > r->limits.max_bytes || r->header_lines > r->limits.max_lines) {
			r->header_too_big = true;
			return;
		}
	}
}

static struct scan
reference(struct str s, struct scan_limits limits)
{
	static struct line line[LINES_MAX];
	struct scan r = { .limits = limits, .size = s.len };
	for (size_t i = 0; i < s.len; i++) {
		r.bare_cr |= s.p[i] == '\r' && (i + 1 == s.len || s.p[i + 1] != '\n');
		r.bare_lf |= s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r');
		r.nul |= s.p[i] == '\0';
		r.eight_bit |= (s.p[i] & 0x80) != 0;
	}
	r.no_final_eol = s.len && !str_ends(s, STR("\r\n"));
	ref_header(&r, line, split(s, line));
	return r;
}

static void
same(const struct scan *a, const struct scan *b, struct str letter)
{
	bool ok = a->size == b->size && a->header_len == b->header_len &&
	          a->header_lines == b->header_lines && a->fields == b->fields &&
	          memcmp(a->count, b->count, sizeof(a->count)) == 0 &&
	          a->insert_blank == b->insert_blank && a->repaired == b->repaired &&
	          a->header_too_big == b->header_too_big && a->bare_cr == b->bare_cr &&
	          a->bare_lf == b->bare_lf && a->nul == b->nul && a->eight_bit == b->eight_bit &&
	          a->no_final_eol == b->no_final_eol;
	if (ok)
		return;
	print_error("len %llu/%llu lines %llu/%llu fields %u/%u insert %d/%d repaired %d/%d big "
		    "%d/%d "
		    "cr %d/%d lf %d/%d nul %d/%d 8 %d/%d eol %d/%d\n",
	    (unsigned long long)a->header_len, (unsigned long long)b->header_len,
	    (unsigned long long)a->header_lines, (unsigned long long)b->header_lines, a->fields,
	    b->fields, a->insert_blank, b->insert_blank, a->repaired, b->repaired,
	    a->header_too_big, b->header_too_big, a->bare_cr, b->bare_cr, a->bare_lf, b->bare_lf,
	    a->nul, b->nul, a->eight_bit, b->eight_bit, a->no_final_eol, b->no_final_eol);
	fail_msg("scan and reference differ on: " STR_FMT, STR_ARG(letter));
}

/* Pieces come from memory of just their size, so that a look past the end is seen. */
static void
feed(struct scan *s, struct str piece)
{
	char *p = xmemdup(piece.p, piece.len);
	scan_feed(s, str_n(p, piece.len));
	free(p);
}

static struct scan
scan_in(struct str letter, struct scan_limits limits, size_t a, size_t b)
{
	struct scan s;
	scan_init(&s, &limits);
	feed(&s, str_first(letter, a));
	feed(&s, str_first(str_skip(letter, a), b - a));
	feed(&s, str_skip(letter, b));
	scan_end(&s);
	return s;
}

static struct scan
scan_steps(struct str letter, struct scan_limits limits, size_t step)
{
	struct scan s;
	scan_init(&s, &limits);
	for (size_t i = 0; i < letter.len; i += step)
		feed(&s, str_first(str_skip(letter, i), step));
	scan_end(&s);
	return s;
}

static struct scan
all_ways(struct str letter, struct scan_limits limits)
{
	struct scan want = reference(letter, limits), got = scan_in(letter, limits, 0, letter.len);
	same(&got, &want, letter);
	for (size_t a = 0; a <= letter.len; a++) {
		got = scan_in(letter, limits, a, a);
		same(&got, &want, letter);
		got = scan_in(letter, limits, a, MIN(a + 1, letter.len));
		same(&got, &want, letter);
	}
	for (size_t step = 1; step < 40; step++) {
		got = scan_steps(letter, limits, step);
		same(&got, &want, letter);
	}
	return want;
}

#define NO_LIMIT                                                                                   \
	{                                                                                          \
		UINT64_MAX, UINT64_MAX                                                             \
	}
#define H2 "From: a@b\r\nSubject: x\r\n"

struct row {
	const char *name;
	struct str letter;
	struct scan_limits limits;
	uint64_t header_len, header_lines;
	uint32_t from, received, fields;
	bool insert_blank, repaired, too_big;
};
#define T(s)                                                                                       \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}

static const struct row rows[] = {
	{ "nothing", T(""), NO_LIMIT, 0, 0, 0, 0, 0, false, false, false },
	{ "plain", T(H2 "\r\nbody\r\n"), NO_LIMIT, sizeof(H2) - 1, 2, 1, 0, 2, false, false,
	    false },
	{ "header only", T(H2), NO_LIMIT, sizeof(H2) - 1, 2, 1, 0, 2, false, false, false },
	{ "body only", T("Hello\r\nFrom: x\r\n"), NO_LIMIT, 0, 0, 0, 0, 0, true, false, false },
	{ "empty line first", T("\r\nFrom: x\r\n"), NO_LIMIT, 0, 0, 0, 0, 0, false, false, false },
	{ "blank line first", T(" \r\nFrom: x\r\n"), NO_LIMIT, 0, 0, 0, 0, 0, true, false, false },
	{ "colon first", T(": x\r\nFrom: x\r\n"), NO_LIMIT, 0, 0, 0, 0, 0, true, false, false },
	/* 001-03: no empty line before the body */
	{ "no empty line", T(H2 "Just a test.\r\n"), NO_LIMIT, sizeof(H2) - 1, 2, 1, 0, 2, true,
	    false, false },
	{ "no empty line, text after one", T(H2 "Just a test.\r\n\r\nFrom: no\r\n"), NO_LIMIT,
	    sizeof(H2) - 1, 2, 1, 0, 2, true, false, false },
	/* 000-02: a continuation that is not indented */
	{ "damaged",
	    T("Received: from a by\r\nb ([1]) with x; Fri,\r\n27 Apr 2012 23:29:55 +0000\r\n" H2
	      "\r\nx\r\n"),
	    NO_LIMIT, 71 + sizeof(H2) - 1, 5, 1, 1, 3, false, true, false },
	{ "damaged twice", T("A: 1\r\nx\r\nB: 2\r\ny\r\nz\r\nC: 3\r\nend\r\n\r\n"), NO_LIMIT, 27, 6,
	    0, 0, 3, true, true, false },
	{ "indented in doubt", T("A: 1\r\nx\r\n y\r\nFrom: z\r\n\r\n"), NO_LIMIT, 22, 4, 1, 0, 2,
	    false, true, false },
	{ "folded", T("From: a\r\n b\r\n\tc\r\n \r\nTo: x\r\n\r\nFrom: z"), NO_LIMIT, 27, 5, 1, 0,
	    2, false, false, false },
	/* R-FROM */
	{ "two From", T("From: a\r\nfrom: b\r\n\r\n"), NO_LIMIT, 18, 2, 2, 0, 2, false, false,
	    false },
	{ "From with blanks", T("FROM \t: a\r\nFrom:b\r\n\r\n"), NO_LIMIT, 19, 2, 2, 0, 2, false,
	    false, false },
	{ "From in the repaired part", T("From: a\r\nnonsense\r\nFrom: b\r\n\r\n"), NO_LIMIT, 28, 3,
	    2, 0, 2, false, true, false },
	{ "From behind a bare LF", T("From: a\r\nX: y\nFrom: b\r\n\r\n"), NO_LIMIT, 23, 3, 2, 0, 3,
	    false, false, false },
	{ "From no field", T("From: a\r\nFrom b: c\r\n\r\nFrom: c\r\n"), NO_LIMIT, 9, 1, 1, 0, 1,
	    true, false, false },
	{ "From as value", T("X: From: a\r\n From: b\r\n\r\n"), NO_LIMIT, 22, 2, 0, 0, 1, false,
	    false, false },
	/* limits */
	{ "lines fit", T("A: 1\r\nB: 2\r\n\r\nx"), { 2, UINT64_MAX }, 12, 2, 0, 0, 2, false, false,
	    false },
	{ "too many lines", T("A: 1\r\nB: 2\r\n\r\nx"), { 1, UINT64_MAX }, 12, 2, 0, 0, 2, false,
	    false, true },
	{ "octets fit", T("A: 1\r\nB: 2\r\n\r\nx"), { UINT64_MAX, 12 }, 12, 2, 0, 0, 2, false,
	    false, false },
	{ "too many octets", T("A: 1\r\nB: 2\r\n\r\nx"), { UINT64_MAX, 11 }, 12, 2, 0, 0, 2, false,
	    false, true },
	{ "doubt over the limit", T("A: 1\r\nxxxx\r\nyyyy\r\nB: 2\r\n\r\n"), { UINT64_MAX, 17 }, 6,
	    1, 0, 0, 1, true, false, false },
	{ "doubt over the lines", T("A: 1\r\nx\r\ny\r\nB: 2\r\n\r\n"), { 2, UINT64_MAX }, 6, 1, 0,
	    0, 1, true, false, false },
	{ "repair over the lines", T("A: 1\r\nx\r\ny\r\nB: 2\r\n\r\n"), { 3, UINT64_MAX }, 18, 4, 0,
	    0, 2, false, true, true },
};

static void
letters(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct scan s = all_ways(r->letter, r->limits);
		if (s.header_len != r->header_len || s.header_lines != r->header_lines ||
		    s.count[SCAN_FROM] != r->from || s.count[SCAN_RECEIVED] != r->received ||
		    s.fields != r->fields || s.insert_blank != r->insert_blank ||
		    s.repaired != r->repaired || s.header_too_big != r->too_big)
			fail_msg("%s: len %llu lines %llu from %u received %u fields %u insert %d "
				 "repaired %d big %d",
			    r->name, (unsigned long long)s.header_len,
			    (unsigned long long)s.header_lines, s.count[SCAN_FROM],
			    s.count[SCAN_RECEIVED], s.fields, s.insert_blank, s.repaired,
			    s.header_too_big);
	}
}

static void
octets(void **state)
{
	static const struct {
		struct str letter;
		bool bare_cr, bare_lf, nul, eight_bit, no_final_eol;
	} marks[] = {
		{ T("a\r\nb\r\n"), false, false, false, false, false },
		{ T("a\rb\r\n"), true, false, false, false, false },
		{ T("a\nb\r\n"), false, true, false, false, false },
		{ T("a\r\r\n"), true, false, false, false, false },
		{ T("a\r\n\n"), false, true, false, false, true },
		{ T("a\n\r"), true, true, false, false, true },
		{ T("\r"), true, false, false, false, true },
		{ T("\n"), false, true, false, false, true },
		{ T("\0"), false, false, true, false, true },
		{ T("\r\n"), false, false, false, false, false },
		{ T("A: "
		    "b\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xa4xxxxxxxxxxxxxxx"
		    "xxx\r\n"),
		    false, false, false, true, false },
		{ T("A: "
		    "b\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\0xxxxxxxxxxxxxxxxxxxx"
		    "\r\n"),
		    false, false, true, false, false },
		{ T("A: "
		    "b\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nxxxxxxxxxx\r"
		    "\n"),
		    false, true, false, false, false },
		{ T("A: "
		    "b\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\rxxxxxxxxxx\r"
		    "\n"),
		    true, false, false, false, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		struct scan s = all_ways(marks[i].letter, (struct scan_limits)NO_LIMIT);
		if (s.bare_cr != marks[i].bare_cr || s.bare_lf != marks[i].bare_lf ||
		    s.nul != marks[i].nul || s.eight_bit != marks[i].eight_bit ||
		    s.no_final_eol != marks[i].no_final_eol)
			fail_msg("row %zu", i);
	}
}

static void
all_names(void **state)
{
	static const char letter[] =
	    "RECEIVED:\r\nfRom:\r\nSender:\r\nDate:\r\nMessage-Id:\r\nTo:\r\nCC:\r\nbcc:\r\n"
	    "Subject:\r\nReturn-Path:\r\nDelivered-To:\r\nToo:\r\nT:\r\nX-To:\r\n"
	    "An-unreasonably-long-name-of-a-field-that-is-still-a-field-as-far-as-anybody-has-said-"
	    "in-a-document:\r\n";
	struct scan s = all_ways(str_of(letter), (struct scan_limits)NO_LIMIT);
	for (int k = 0; k < SCAN_FIELD_COUNT; k++)
		assert_int_equal(s.count[k], 1);
	assert_int_equal(s.fields, 15);
}

/* Letters put together from awkward pieces, many of them, against the reference. */
static void
random_letters(void **state)
{
	static const char *const piece[] = { "From: a", "From :b", "from", " ", "\t", ":", "\r\n",
		"\r\n", "\r\n\r\n", "\n", "\r", "x", "Received: by c", "To:", "\xe4",
		"continued text", "X-Y-Z", "\r\n ", "\r\nText here" };
	struct buf b = BUF_INIT(1 << 16);
	srandom(1);
	for (int round = 0; round < 4000; round++) {
		buf_reset(&b);
		for (long n = random() % 24; n > 0; n--)
			buf_putz(&b, piece[random() % (long)ARRAY_LEN(piece)]);
		struct scan_limits limits = NO_LIMIT;
		if (round % 3 == 1)
			limits.max_lines = (uint64_t)(random() % 6);
		if (round % 3 == 2)
			limits.max_bytes = (uint64_t)(random() % 60);
		struct scan want = reference(buf_str(&b), limits);
		struct scan whole = scan_in(buf_str(&b), limits, 0, b.len);
		same(&whole, &want, buf_str(&b));
		for (size_t step = 1; step < 20; step += 3) {
			struct scan got = scan_steps(buf_str(&b), limits, step);
			same(&got, &want, buf_str(&b));
		}
	}
	buf_done(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters),
		cmocka_unit_test(octets),
		cmocka_unit_test(all_names),
		cmocka_unit_test(random_letters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
