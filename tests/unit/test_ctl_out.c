/* ctl: JSON of octets that are no UTF-8, tables, mbox and Maildir, passwords. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "ctl/ctl_priv.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	struct str in;
	const char *out;
} texts[] = {
	{ { "", 0 }, "" },
	{ { NULL, 0 }, "" },
	{ { "abc", 3 }, "abc" },
	{ { "gr\xc3\xbc\xc3\x9f", 6 }, "gr\xc3\xbc\xc3\x9f" },
	{ { "gr\xfc\xdf", 4 }, "gr\xef\xbf\xbd\xef\xbf\xbd" },
	{ { "\xc3", 1 }, "\xef\xbf\xbd" },
	{ { "\xed\xa0\x80x", 4 }, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx" },
	{ { "\xf0\x9f\x98\x80\xff", 5 }, "\xf0\x9f\x98\x80\xef\xbf\xbd" },
};

static void
json_text_is_utf8(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		json_t *j = out_json_text(texts[i].in);
		assert_non_null(j);
		assert_string_equal(json_string_value(j), texts[i].out);
		json_decref(j);
	}
	json_t *nul = out_json_text(str_n("a\0b", 3));
	assert_int_equal(json_string_length(nul), 3);
	json_decref(nul);
}

static void
json_cells(void **state)
{
	json_t *j = out_json_number(STR("42"));
	assert_int_equal(json_integer_value(j), 42);
	json_decref(j);
	j = out_json_number(STR("18446744073709551615"));
	assert_true(json_is_string(j));
	json_decref(j);
	j = out_json_number(STR(""));
	assert_true(json_is_null(j));
	json_decref(j);
	j = out_json_cell(OUT_TIME, STR("1795312497250"));
	assert_string_equal(json_string_value(j), "2026-11-22T01:54:57.250Z");
	json_decref(j);
	j = out_json_cell(OUT_LINES, STR("a\nb\n\nc"));
	assert_int_equal(json_array_size(j), 3);
	json_decref(j);
}

static const struct out_column columns[] = { { "Name", OUT_TEXT }, { "Big number", OUT_NUMBER },
	{ "When", OUT_TIME } };

static char *
list_of(bool json)
{
	char *text = NULL;
	size_t n = 0;
	FILE *old = stdout;
	stdout = open_memstream(&text, &n);
	struct out_list o;
	out_list_begin(&o, columns, ARRAY_LEN(columns), json);
	out_list_row(&o,
	    &(struct msg_row){ 3, { STR("a\033[31m\xff"), STR("7"), STR("1795312497250") } });
	out_list_row(&o, &(struct msg_row){ 1, { STR("b") } });
	out_list_end(&o, true);
	fclose(stdout);
	stdout = old;
	return text;
}

static void
lists(void **state)
{
	char *table = list_of(false), *json = list_of(true);
	assert_string_equal(table, "Name           Big number  When\n"
				   "a\\x1b[31m\\xff           7  2026-11-22T01:54:57Z\n"
				   "b\n");
	json_t *j = json_loads(json, 0, NULL);
	assert_int_equal(json_array_size(j), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(j, 0), "big_number")),
	    7);
	assert_string_equal(json_string_value(json_object_get(json_array_get(j, 0), "name")),
	    "a\033[31m\xef\xbf\xbd");
	json_decref(j);
	free(table);
	free(json);
}

static const struct {
	uint64_t octets;
	const char *text;
} sizes[] = {
	{ 0, "0 B" },
	{ 999, "999 B" },
	{ 1000, "1.0 kB" },
	{ 999949, "999.9 kB" },
	{ 999999, "1.0 MB" },
	{ 52428800, "52.4 MB" },
	{ UINT64_MAX, "18446.7 PB" },
};

static void
sizes_for_people(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct buf b = BUF_INIT(64);
		out_size(&b, sizes[i].octets);
		assert_string_equal(buf_cstr(&b), sizes[i].text);
		buf_done(&b);
	}
}

/* --- letters --- */

#define FROM_LINE "From ann@example.org Sun Nov 22 01:54:57 2026\n"

static const struct {
	const char *letter, *mbox, *plain;
} letters[] = {
	{ "A: b\r\n\r\ntext\r\n", FROM_LINE "A: b\n\ntext\n\n", "A: b\n\ntext\n" },
	{ "", FROM_LINE "\n", "" },
	{ "no end", FROM_LINE "no end\n\n", "no end" },
	{ "From here\r\n", FROM_LINE ">From here\n\n", "From here\n" },
	{ ">From here\r\n", FROM_LINE ">>From here\n\n", ">From here\n" },
	{ ">>>From here", FROM_LINE ">>>>From here\n\n", ">>>From here" },
	{ "x From here\r\n", FROM_LINE "x From here\n\n", "x From here\n" },
	{ "Fro\r\nFrom\r\nFrom \r\nFFrom \r\nFrFrom x\r\n",
	    FROM_LINE "Fro\nFrom\n>From \nFFrom \nFrFrom x\n\n",
	    "Fro\nFrom\nFrom \nFFrom \nFrFrom x\n" },
	{ "F>From x\r\n>F>From \r\n", FROM_LINE "F>From x\n>F>From \n\n", "F>From x\n>F>From \n" },
	{ "From", FROM_LINE "From\n\n", "From" },
	{ "a\rb\r\r\nc\r", FROM_LINE "a\rb\r\nc\r\n\n", "a\rb\r\nc\r" },
	{ "\r\n\r\nFrom x\r\n", FROM_LINE "\n\n>From x\n\n", "\n\nFrom x\n" },
	{ "a\nFrom x\n", FROM_LINE "a\n>From x\n\n", "a\nFrom x\n" },
	{ "\rFrom x\r\n", FROM_LINE "\rFrom x\n\n", "\rFrom x\n" },
};

static char *
write_letter(const char *letter, size_t piece, size_t split, bool plain)
{
	char *text = NULL;
	size_t n = 0;
	struct mbox m = { .to = open_memstream(&text, &n), .plain = plain };
	struct str rest = str_of(letter);
	mbox_letter_begin(&m, STR("ann@example.org"), UINT64_C(1795312497250));
	mbox_feed(&m, str_first(rest, split));
	for (rest = str_skip(rest, split); rest.len; rest = str_skip(rest, piece))
		mbox_feed(&m, str_first(rest, piece));
	mbox_letter_end(&m);
	fclose(m.to);
	return text;
}

/* Whole, byte by byte, and at every split. */
static void
letters_as_files(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		for (size_t split = 0; split <= strlen(letters[i].letter); split++) {
			for (size_t piece = 1; piece <= 1000; piece += 999) {
				char *mbox = write_letter(letters[i].letter, piece, split, false);
				char *plain = write_letter(letters[i].letter, piece, split, true);
				assert_string_equal(mbox, letters[i].mbox);
				assert_string_equal(plain, letters[i].plain);
				free(mbox);
				free(plain);
			}
		}
	}
}

static void
from_lines(void **state)
{
	char *text = NULL;
	size_t n = 0;
	struct mbox m = { .to = open_memstream(&text, &n) };
	mbox_letter_begin(&m, STR(""), 0);
	mbox_letter_end(&m);
	mbox_letter_begin(&m, STR("\"a b\nc\"@d.e"), 0);
	mbox_letter_end(&m);
	fclose(m.to);
	assert_string_equal(text, "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n\nFrom "
				  "\"a_b_c\"@d.e Thu Jan  1 00:00:00 1970\n\n");
	free(text);
}

static void
maildir_names(void **state)
{
	struct buf b = BUF_INIT(512);
	maildir_name(&b, UINT64_C(1795312497250), 7, 123, "mail/ex:a,b", 99);
	assert_string_equal(buf_cstr(&b), "1795312497.M250000P123Q7.mail\\057ex\\072a\\054b,S=99");
	buf_done(&b);
}

static void
makes_passwords(void **state)
{
	char a[24], b[24];
	password_make(a);
	password_make(b);
	assert_int_equal(strlen(a), 17);
	assert_true(strspn(a, "bdfghjklmnprstvzaeiou-") == 17);
	assert_string_not_equal(a, b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_text_is_utf8),
		cmocka_unit_test(json_cells),
		cmocka_unit_test(lists),
		cmocka_unit_test(sizes_for_people),
		cmocka_unit_test(letters_as_files),
		cmocka_unit_test(from_lines),
		cmocka_unit_test(maildir_names),
		cmocka_unit_test(makes_passwords),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
