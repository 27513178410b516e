#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/utf8.h"

#include <stdlib.h>

static const struct {
	const char *text;
	bool valid, ascii;
} rows[] = {
	{ "", true, true },
	{ "a\x7f\x01", true, true },
	{ "\xc3\xa4", true, false },
	{ "\xe2\x82\xac", true, false },
	{ "\xf0\x9f\x93\xae", true, false },
	{ "\xc2\x80", true, false },
	{ "\xdf\xbf", true, false },
	{ "\xe0\xa0\x80", true, false },
	{ "\xef\xbf\xbf", true, false },
	{ "\xed\x9f\xbf", true, false },
	{ "\xee\x80\x80", true, false },
	{ "\xf0\x90\x80\x80", true, false },
	{ "\xf4\x8f\xbf\xbf", true, false },
	/* alone, cut short, overlong, surrogates, beyond U+10FFFF */
	{ "\x80", false, false },
	{ "\xbf", false, false },
	{ "a\xc3", false, false },
	{ "\xc3z", false, false },
	{ "\xe2\x82", false, false },
	{ "\xe2\x82z", false, false },
	{ "\xe2z\x82", false, false },
	{ "\xf0\x9f\x93", false, false },
	{ "\xf0\x9f\x93z", false, false },
	{ "\xc0\x80", false, false },
	{ "\xc1\xbf", false, false },
	{ "\xe0\x9f\xbf", false, false },
	{ "\xf0\x8f\xbf\xbf", false, false },
	{ "\xed\xa0\x80", false, false },
	{ "\xed\xbf\xbf", false, false },
	{ "\xf4\x90\x80\x80", false, false },
	{ "\xf5\x80\x80\x80", false, false },
	{ "\xf8\x88\x80\x80\x80", false, false },
	{ "\xfe", false, false },
	{ "\xff", false, false },
	{ "\xc3\xa4\xc3", false, false },
};

static void
validity(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].text);
		char *p = xmemdup(rows[i].text, n);
		if (utf8_valid(str_n(p, n)) != rows[i].valid ||
		    utf8_is_ascii(str_n(p, n)) != rows[i].ascii)
			fail_msg("row %zu", i);
		free(p);
	}
	assert_true(utf8_valid(STR("a\0b")) && utf8_is_ascii(STR("a\0b")) && utf8_valid(STR_NULL));
}

/* Against the definition: encode every code point, and count what is valid among all octets. */
static void
all_code_points(void **state)
{
	for (uint32_t c = 0x80; c < 0x110000; c++) {
		unsigned char s[4];
		size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		for (size_t i = n - 1; i > 0; i--)
			s[i] = (unsigned char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
		s[0] = (unsigned char)((0xf00u >> n & 0xff) | c >> (6 * (n - 1)));
		if (utf8_valid(str_n(s, n)) != (c < 0xd800 || c > 0xdfff))
			fail_msg("U+%04X", c);
	}
	size_t valid = 0;
	for (unsigned i = 0; i < 1 << 16; i++)
		valid +=
		    utf8_valid(str_n((unsigned char[]){ (unsigned char)(i >> 8), (unsigned char)i },
			2));
	assert_int_equal(valid, 128 * 128 + 30 * 64);
}

static void
escapes(void **state)
{
	static const struct {
		struct str in;
		const char *out;
	} texts[] = {
#define S(lit) { lit, sizeof(lit) - 1 }
		{ S("plain"), "plain" },
		{ S("\xc3\xa4\xe2\x82\xac"), "\xc3\xa4\xe2\x82\xac" },
		{ S("a\\b"), "a\\\\b" },
		{ S("\x1b[31m"), "\\x1b[31m" },
		{ S("a\r\nb\tc"), "a\\x0d\\x0ab\\x09c" },
		{ S("\0\x7f"), "\\x00\\x7f" },
		{ S("\xc2\x9b"
		    "x"),
		    "\\xc2\\x9bx" },
		{ S("\xc2\xa0"), "\xc2\xa0" },
		{ S("\xe2\x80\xae"
		    "gpj.x"),
		    "\\xe2\\x80\\xaegpj.x" },
		{ S("\xe2\x81\xa6\xe2\x81\xaa"), "\\xe2\\x81\\xa6\xe2\x81\xaa" },
		{ S("\xff\xc3"), "\\xff\\xc3" },
		{ S("\xed\xa0\x80"), "\\xed\\xa0\\x80" },
		{ S(""), "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct buf b = BUF_INIT(100);
		utf8_escape(&b, texts[i].in);
		assert_string_equal(buf_cstr(&b), texts[i].out);
		struct buf again = BUF_INIT(100);
		utf8_escape_again(&again, buf_str(&b)); /* it is as it was */
		assert_string_equal(buf_cstr(&again), texts[i].out);
		buf_reset(&again);
		utf8_escape_again(&again, STR("\\ \x1b"));
		assert_string_equal(buf_cstr(&again), "\\ \\x1b");
		buf_done(&again);
		buf_done(&b);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(validity),
		cmocka_unit_test(all_code_points),
		cmocka_unit_test(escapes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
