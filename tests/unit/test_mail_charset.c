#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/utf8.h"
#include "mail/charset.h"

static struct charsets *cs;

static const struct {
	const char *charset;
	struct str in;
	const char *out;
} rows[] = {
	{ "utf-8", { "J\xc3\xb6rg \xf0\x9f\x98\x80", 10 }, "J\xc3\xb6rg \xf0\x9f\x98\x80" },
	{ "UTF8", { "a\xff\xc3(b", 5 }, "a\xef\xbf\xbd\xef\xbf\xbd(b" },
	{ "utf-8", { "\xed\xa0\x80", 3 }, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "utf-8", { "x\xe2\x82", 3 }, "x\xef\xbf\xbd" },
	{ "us-ascii", { "abc", 3 }, "abc" },
	{ "", { "abc\xc3\xb6", 5 }, "abc\xc3\xb6" },
	{ "ISO-8859-1", { "J\xf6rg", 4 }, "J\xc3\xb6rg" },
	{ "iso-8859-15", { "\xa4", 1 }, "\xe2\x82\xac" },
	{ "windows-1252", { "\x80\x81", 2 }, "\xe2\x82\xac\xef\xbf\xbd" },
	{ "koi8-r", { "\xf0\xf2", 2 }, "\xd0\x9f\xd0\xa0" },
	{ "ISO-2022-JP", { "\x1b$B$\"\x1b(Bx", 9 }, "\xe3\x81\x82x" },
	{ "Shift_JIS", { "\x82\xa0x", 3 }, "\xe3\x81\x82x" },
	{ "gb2312", { "\xc4\xe3", 2 }, "\xe4\xbd\xa0" },
	{ "big5", { "\xa7\x41", 2 }, "\xe4\xbd\xa0" },
	{ "euc-kr", { "\xb0\xa1", 2 }, "\xea\xb0\x80" },
	{ "utf-16be", { "\0J\0\xf6", 4 }, "J\xc3\xb6" },
	{ "utf-7", { "a+APY-b", 7 },
	    "a\xc3\xb6"
	    "b" },
	{ "gb18030", { "x\xc4", 2 }, "x\xef\xbf\xbd" },
};

static void
convert(size_t i, size_t at, struct buf *out)
{
	struct charset *c = charset_new(cs, str_of(rows[i].charset));
	assert_non_null(c);
	buf_reset(out);
	charset_feed(c, str_first(rows[i].in, at), out);
	charset_feed(c, str_skip(rows[i].in, at), out);
	charset_end(c, out);
	charset_free(c);
}

static void
test_conversions(void **state)
{
	struct buf out = BUF_INIT(4096);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(charset_known(cs, str_of(rows[i].charset)));
		for (size_t at = 0; at <= rows[i].in.len; at++) {
			convert(i, at, &out);
			assert_true(str_eq(buf_str(&out), str_of(rows[i].out)));
		}
	}
	buf_done(&out);
}

static void
test_unknown(void **state)
{
	struct buf out = BUF_INIT(64);
	assert_false(charset_known(cs, STR("x-nothing")));
	assert_false(charset_known(cs, STR("UTF-8//TRANSLIT")));
	assert_false(charset_known(cs,
	    STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
	assert_null(charset_new(cs, STR("x-nothing")));
	assert_null(charset_new(NULL, STR("koi8-r")));
	assert_true(charset_known(NULL, STR("latin1")));
	assert_false(charset_to_utf8(cs, STR("x-nothing"), STR("x"), &out));
	assert_int_equal(out.len, 0);
	buf_done(&out);
}

/* Whatever goes in, what comes out is UTF-8. */
static void
test_any_octets(void **state)
{
	struct buf out = BUF_INIT(1 << 20);
	char in[4096];
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 2654435761u >> 13);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		assert_true(charset_to_utf8(cs, str_of(rows[i].charset), str_n(in, sizeof(in)),
		    &out));
		assert_true(utf8_valid(buf_str(&out)));
	}
	buf_done(&out);
}

/* --- folding --- */

static void
test_folding(void **state)
{
	static const struct {
		const char *a, *b;
	} same[] = {
		{ "Hello", "hELLO" },
		{ "J\xc3\xb6rg", "J\xc3\x96RG" },
		{ "\xc3\xb6", "o\xcc\x88" },                    /* composed and not */
		{ "\xd0\xbf\xd1\x80", "\xd0\x9f\xd0\xa0" },     /* Cyrillic */
		{ "\xea\xb0\x80", "\xe1\x84\x80\xe1\x85\xa1" }, /* Hangul */
		{ "\xe4\xbd\xa0", "\xe4\xbd\xa0" },
	};
	struct buf a = BUF_INIT(256), b = BUF_INIT(256);
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		buf_reset(&a);
		buf_reset(&b);
		charset_fold(str_of(same[i].a), &a);
		charset_fold(str_of(same[i].b), &b);
		assert_true(a.len && str_eq(buf_str(&a), buf_str(&b)));
	}
	buf_done(&a);
	buf_done(&b);
}

/* --- searching --- */

static const struct {
	const char *needle, *text;
	bool there;
} searches[] = {
	{ "world", "Hello World", true },
	{ "worlds", "Hello World", false },
	{ "", "", true },
	{ "x", "", false },
	{ "aab", "aaaaaaab", true },
	{ "J\xc3\x96RG", "x j\xc3\xb6rg y", true },
	{ "jorg", "J\xc3\xb6rg", false }, /* the dots are in between */
	{ "caf\xc3\xa9", "CAFE\xcc\x81!", true },
	{ "b",
	    "\xff\xfe"
	    "b",
	    true },
};

static void
test_searches(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(searches); i++) {
		struct needle *n = needle_new(str_of(searches[i].needle));
		struct str text = str_of(searches[i].text);
		struct searcher s;
		assert_non_null(n);
		assert_int_equal(needle_in(n, text), searches[i].there);
		for (size_t at = 0; at <= text.len; at++) {
			searcher_init(&s, n);
			(void)searcher_feed(&s, str_first(text, at));
			(void)searcher_feed(&s, str_skip(text, at));
			assert_int_equal(s.found, searches[i].there);
		}
		searcher_init(&s, n);
		for (size_t k = 0; k < text.len; k++)
			(void)searcher_feed(&s, str_n(text.p + k, 1));
		assert_int_equal(s.found, searches[i].there);
		needle_free(n);
	}
}

/* Across blocks, at every place. */
static void
test_long_text(void **state)
{
	struct needle *n = needle_new(STR("needle in \xc3\xa4 haystack"));
	for (size_t before = 4000; before < 4200; before++) {
		struct buf text = BUF_INIT(1 << 16);
		struct searcher s;
		for (size_t i = 0; i < before; i++)
			buf_putc(&text, 'n');
		buf_putz(&text, "NEEDLE IN \xc3\x84 HAYSTACK");
		searcher_init(&s, n);
		assert_false(searcher_feed(&s, str_first(buf_str(&text), text.len - 1)));
		assert_true(searcher_feed(&s, str_skip(buf_str(&text), text.len - 1)));
		buf_done(&text);
	}
	needle_free(n);
}

static void
test_no_needle(void **state)
{
	char text[NEEDLE_MAX + 1];
	memset(text, 'x', sizeof(text));
	assert_null(needle_new(str_n(text, sizeof(text))));
	assert_null(needle_new(STR("\xff")));
	assert_null(needle_new(STR("a\xc3")));
	struct needle *n = needle_new(str_n(text, NEEDLE_MAX));
	assert_true(needle_in(n, str_n(text, sizeof(text))));
	needle_free(n);
}

static int
setup(void **state)
{
	cs = charsets_open();
	return cs ? 0 : -1;
}

static int
teardown(void **state)
{
	cs = charsets_close(cs);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversions),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_any_octets),
		cmocka_unit_test(test_folding),
		cmocka_unit_test(test_searches),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_no_needle),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
