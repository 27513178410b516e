#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "imap/imap_priv.h"

#include <stdlib.h>
#include <string.h>

enum kind { ATOM, WORD, STRING, ASTRING, LISTBOX, NSTRING, FLAG };
static const struct {
	enum kind kind;
	const char *in, *out; /* out NULL: bad */
	const char *rest;
} strings[] = {
	{ ATOM, "BODY[TEXT] x", "BODY[TEXT", "] x" },
	{ ATOM, "", NULL, "" },
	{ ATOM, "(", NULL, "(" },
	{ WORD, "BODY[TEXT]", "BODY", "[TEXT]" },
	{ WORD, "RFC822.SIZE)", "RFC822.SIZE", ")" },
	{ STRING, "\"a b\" c", "a b", " c" },
	{ STRING, "\"a \\\"b\\\\\" c", "a \"b\\", " c" },
	{ STRING, "\"\"", "", "" },
	{ STRING, "\"a\\b\"", NULL, "" },
	{ STRING, "\"a", NULL, "" },
	{ STRING, "\"a\r\n\"", NULL, "" },
	{ STRING, "{3}\r\na\"b)", "a\"b", ")" },
	{ STRING, "{3+}\r\nabc", "abc", "" },
	{ STRING, "{0}\r\n", "", "" },
	{ STRING, "{3}\nabc", NULL, "" },
	{ STRING, "{4}\r\nabc", NULL, "" },
	{ STRING, "{99999999999999999999}\r\nabc", NULL, "" },
	{ STRING, "{-1}\r\nabc", NULL, "" },
	{ STRING, "{+}\r\nabc", NULL, "" },
	{ STRING, "abc", NULL, "" },
	{ ASTRING, "abc def", "abc", " def" },
	{ ASTRING, "a]b", "a]b", "" },
	{ ASTRING, "a*", "a", "*" },
	{ ASTRING, "\"x\"", "x", "" },
	{ ASTRING, "", NULL, "" },
	{ ASTRING, "caf\xc3\xa9", "caf\xc3\xa9", "" },
	{ LISTBOX, "a%b*c]", "a%b*c]", "" },
	{ LISTBOX, "\"\"", "", "" },
	{ NSTRING, "NIL", "NIL!", "" },
	{ NSTRING, "nil)", "NIL!", ")" },
	{ NSTRING, "\"NIL\"", "NIL", "" },
	{ FLAG, "\\Seen)", "\\Seen", ")" },
	{ FLAG, "$Forwarded", "$Forwarded", "" },
	{ FLAG, "\\", NULL, "" },
	{ FLAG, "\\*", NULL, "" },
};

static struct str
take(struct imap_lex *x, enum kind kind, struct arena *a)
{
	struct str s = STR_NULL;
	switch (kind) {
	case ATOM:
		return imap_lex_atom(x);
	case WORD:
		return imap_lex_word(x);
	case STRING:
		return imap_lex_string(x, a);
	case ASTRING:
		return imap_lex_astring(x, a);
	case LISTBOX:
		return imap_lex_list_mailbox(x, a);
	case NSTRING:
		return imap_lex_nstring(x, a, &s) && !s.p ? STR("NIL!") : s;
	case FLAG:
		(void)imap_lex_flag(x, &s);
		break;
	}
	return s;
}

/* Exactly as long as it is, so that a look behind it is found. */
static void
test_strings(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		size_t len = strlen(strings[i].in);
		char *in = xmemdup(strings[i].in, len + (len == 0));
		struct imap_lex x = { .rest = str_n(in, len) };
		struct arena a;
		arena_init(&a, 1u << 16);
		struct str s = take(&x, strings[i].kind, &a);
		if (x.bad != !strings[i].out || (!x.bad && !str_eq(s, str_of(strings[i].out))) ||
		    (!x.bad && !str_eq(x.rest, str_of(strings[i].rest))))
			fail_msg("%s: '" STR_FMT "' and '" STR_FMT "'", strings[i].in, STR_ARG(s),
			    STR_ARG(x.rest));
		assert_true(!x.bad || x.why);
		arena_done(&a);
		free(in);
	}
}

static const struct {
	const char *in, *out; /* "a:b,c:d" with 0 for '*' */
} sets[] = {
	{ "1", "1:1" }, { "1:3,5", "1:3,5:5" }, { "3:1", "3:1" }, { "*", "0:0" }, { "5:*", "5:0" },
	{ "*:5", "0:5" }, { "4294967295", "4294967295:4294967295" }, { "$", "$" }, { "0", NULL },
	{ "1:0", NULL }, { "4294967296", NULL }, { "1,", NULL }, { ",1", NULL }, { "1:", NULL },
	{ ":1", NULL }, { "a", NULL }, { "", NULL },
	{ "1:2:3", "1:2" }, /* the rest is for who asked */
};

static void
test_sets(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		struct imap_lex x = { .rest = str_of(sets[i].in) };
		struct imap_set set;
		struct arena a;
		struct buf text = BUF_INIT(4096);
		arena_init(&a, 1u << 20);
		bool ok = imap_lex_set(&x, &a, &set);
		if (ok && set.saved)
			buf_putz(&text, "$");
		for (size_t k = 0; ok && k < set.n; k++)
			buf_putf(&text, "%s%u:%u", k ? "," : "", set.r[k].a, set.r[k].b);
		if (ok != (sets[i].out != NULL) ||
		    (ok && !str_eq(buf_str(&text), str_of(sets[i].out))))
			fail_msg("%s: " STR_FMT, sets[i].in, STR_ARG(buf_str(&text)));
		buf_done(&text);
		arena_done(&a);
	}
}

static void
test_set_cap(void **state)
{
	struct buf many = BUF_INIT(1u << 20);
	struct arena a;
	struct imap_set set;
	arena_init(&a, 1u << 20);
	for (int i = 0; i < IMAP_SET_MAX; i++)
		buf_putf(&many, "%s%d", i ? "," : "", 2 * i + 1);
	struct imap_lex x = { .rest = buf_str(&many) };
	assert_true(imap_lex_set(&x, &a, &set) && set.n == IMAP_SET_MAX);
	buf_putz(&many, ",7");
	x = (struct imap_lex){ .rest = buf_str(&many) };
	assert_false(imap_lex_set(&x, &a, &set));
	buf_done(&many);
	arena_done(&a);
}

static const struct {
	const char *in;
	int64_t out;
	bool ok, time;
} dates[] = {
	{ "1-Feb-2026", 20485, true, false },
	{ "\"01-feb-2026\"", 20485, true, false },
	{ "29-Feb-2024", 19782, true, false },
	{ "1-Jan-1970", 0, true, false },
	{ "31-Dec-1969", -1, true, false },
	{ "29-Feb-2026", 0, false, false },
	{ "0-Jan-2026", 0, false, false },
	{ "32-Jan-2026", 0, false, false },
	{ "1-Foo-2026", 0, false, false },
	{ "1-Jan-26", 0, false, false },
	{ "1 Jan 2026", 0, false, false },
	{ "\"1-Jan-2026", 0, false, false },
	{ "\" 1-Feb-2026 10:00:00 +0000\"", 1769940000, true, true },
	{ "\"01-Feb-2026 10:00:00 +0100\"", 1769936400, true, true },
	{ "\"1-Feb-2026 10:00:00 -0130\"", 1769945400, true, true },
	{ "\" 1-Feb-2026 23:59:60 +0000\"", 1769990400, true, true },
	{ "\" 1-Feb-2026 24:00:00 +0000\"", 0, false, true },
	{ "\" 1-Feb-2026 10:60:00 +0000\"", 0, false, true },
	{ "\" 1-Feb-2026 10:00:00 +0060\"", 0, false, true },
	{ "\" 1-Feb-2026 10:00:00 GMT\"", 0, false, true },
	{ "\" 1-Feb-2026 10:00:00\"", 0, false, true },
	{ " 1-Feb-2026 10:00:00 +0000", 0, false, true },
};

static void
test_dates(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
		struct imap_lex x = { .rest = str_of(dates[i].in) };
		int64_t v = 0;
		bool ok = dates[i].time ? imap_lex_date_time(&x, &v) : imap_lex_date(&x, &v);
		if (ok != dates[i].ok || v != dates[i].out || ok == x.bad)
			fail_msg("%s: %lld", dates[i].in, (long long)v);
	}
}

static void
test_numbers(void **state)
{
	uint32_t n = 9;
	uint64_t m = 9;
	struct imap_lex x = { .rest = STR("4294967295)") };
	assert_true(imap_lex_number(&x, &n) && n == UINT32_MAX && imap_lex_try(&x, ')'));
	x = (struct imap_lex){ .rest = STR("4294967296") };
	assert_false(imap_lex_number(&x, &n));
	assert_string_equal(x.why, "a number is too large");
	x = (struct imap_lex){ .rest = STR("9223372036854775807") };
	assert_true(imap_lex_number64(&x, &m) && m == INT64_MAX);
	x = (struct imap_lex){ .rest = STR("9223372036854775808") };
	assert_false(imap_lex_number64(&x, &m));
	x = (struct imap_lex){ .rest = STR("x") };
	assert_false(imap_lex_number(&x, &n));
}

static void
test_sticky(void **state)
{
	struct imap_lex x = { .rest = STR("a b") };
	assert_false(imap_lex_char(&x, '('));
	assert_false(imap_lex_sp(&x));
	assert_false(imap_lex_try(&x, 'a'));
	assert_false(imap_lex_end(&x));
	assert_null(imap_lex_atom(&x).p);
	assert_string_equal(x.why, "an opening parenthesis is missing");
}

static void
test_utf8(void **state)
{
	struct arena a;
	arena_init(&a, 4096);
	struct imap_lex x = { .rest = STR("\"\xff\"") };
	assert_int_equal(imap_lex_string(&x, &a).len, 1);
	x = (struct imap_lex){ .rest = STR("\"\xff\""), .utf8 = true };
	(void)imap_lex_string(&x, &a);
	assert_true(x.bad);
	x = (struct imap_lex){ .rest = str_n("{3}\r\na\0b", 8) };
	(void)imap_lex_string(&x, &a);
	assert_string_equal(x.why, "a NUL in a literal");
	arena_done(&a);
}

static const struct {
	const char *in;
	bool ok, plus, eight;
	uint64_t size;
} literals[] = {
	{ "a1 APPEND x {310}", true, false, false, 310 },
	{ "a1 APPEND x {310+}", true, true, false, 310 },
	{ "a1 APPEND x ~{310}", true, false, true, 310 },
	{ "a1 APPEND x UTF8 (~{310+}", true, true, true, 310 },
	{ "{18446744073709551615}", true, false, false, UINT64_MAX },
	{ "{28446744073709551615}", true, false, false, UINT64_MAX },
	{ "{100000000000000000000000}", false, false, false, 0 },
	{ "a1 LOGIN \"{5}", false, false, false, 0 },
	{ "a1 LOGIN \"x\" {5}", true, false, false, 5 },
	{ "a1 LOGIN \"x\\\"\" {5}", true, false, false, 5 },
	{ "a1 LOGIN \"{5}\"", false, false, false, 0 },
	{ "a1 NOOP {5} ", false, false, false, 0 },
	{ "a1 NOOP {}", false, false, false, 0 },
	{ "a1 NOOP {5-}", false, false, false, 0 },
	{ "", false, false, false, 0 },
};

static void
test_literals(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(literals); i++) {
		struct imap_literal l = { 0 };
		bool ok = imap_line_literal(str_of(literals[i].in), &l);
		if (ok != literals[i].ok || l.plus != literals[i].plus ||
		    l.eight != literals[i].eight || l.size != literals[i].size)
			fail_msg("%s", literals[i].in);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_set_cap),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_sticky),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_literals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
