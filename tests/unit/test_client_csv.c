/* Rows of tables: whole, octet by octet, and split everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "client/csv.h"

static const struct {
	const char *name;
	struct str in;
	const char *out; /* fields in [], rows parted by "/", "!" and the row where it is wrong */
} rows[] = {
	{ "plain", { "a,b\r\n1,2\r\n", 10 }, "[a][b]/[1][2]/" },
	{ "no end", { "a,b\n1,2", 7 }, "[a][b]/[1][2]/" },
	{ "CR", { "a,b\r1,2\r", 8 }, "[a][b]/[1][2]/" },
	{ "empty fields", { "a,b,\n,,\n", 8 }, "[a][b][]/[][][]/" },
	{ "empty rows", { "\na\n\n\nb\n", 7 }, "[a]/[b]/" },
	{ "quotes", { "\"a,\"\"b\"\"\",\"x\ny\"\n", 16 }, "[a,\"b\"][x\ny]/" },
	{ "empty quotes", { "\"\",x\n", 5 }, "[][x]/" },
	{ "semicolons", { "a;b\n1,5;2\n", 10 }, "[a][b]/[1,5][2]/" },
	{ "tabs", { "a\tb\n1,5\t2\n", 10 }, "[a][b]/[1,5][2]/" },
	{ "a mark",
	    { "\xef\xbb\xbf"
	      "a\n",
		5 },
	    "[a]/" },
	{ "nothing", { "", 0 }, "" },
	{ "only a mark", { "\xef\xbb\xbf", 3 }, "" },
	{ "short", { "ab", 2 }, "[ab]/" },
	{ "not closed", { "a\n\"b\nc\n", 7 }, "[a]/!2" },
	{ "behind a quote", { "\"a\"b,c\n", 7 }, "!1" },
	{ "a quote inside", { "a\"b\"\n", 5 }, "!1" },
};

static void
take(struct csv *c, struct buf *out, enum csv_status *last)
{
	while ((*last = csv_next(c)) == CSV_ROW) {
		for (size_t i = 0; i < c->n; i++)
			buf_putf(out, "[" STR_FMT "]", STR_ARG(csv_field(c, i)));
		buf_putc(out, '/');
		assert_int_equal(csv_field(c, c->n).len, 0);
	}
}

static void
play(size_t row, size_t first, size_t step)
{
	struct csv c;
	struct buf out = BUF_INIT(4096);
	enum csv_status last = CSV_MORE;
	struct str in = rows[row].in;
	csv_init(&c, 0);
	while (in.len && last == CSV_MORE) {
		csv_feed(&c, str_first(in, first));
		in = str_skip(in, first);
		first = step;
		take(&c, &out, &last);
	}
	csv_end(&c);
	take(&c, &out, &last);
	if (last == CSV_WRONG)
		buf_putf(&out, "!%u", (unsigned)c.row);
	else
		assert_int_equal(last, CSV_END);
	if (strcmp(out.len ? buf_cstr(&out) : "", rows[row].out) != 0)
		fail_msg("%s: %s", rows[row].name, out.len ? buf_cstr(&out) : "");
	buf_done(&out);
	csv_done(&c);
}

static void
all_ways(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		play(i, 1000, 1000);
		play(i, 1, 1);
		for (size_t at = 1; at < rows[i].in.len; at++)
			play(i, at, 1000);
	}
}

static void
limits(void **state)
{
	struct csv c;
	csv_init(&c, ',');
	for (int i = 0; i < 2000; i++)
		csv_feed(&c, STR("a,"));
	csv_end(&c);
	assert_int_equal(csv_next(&c), CSV_WRONG);
	csv_done(&c);
	csv_init(&c, ',');
	csv_feed(&c, STR("\""));
	enum csv_status s = CSV_MORE;
	for (size_t n = 0; s == CSV_MORE; n++) {
		assert_true(n < 3 * CSV_ROW_MAX / 1000);
		for (int i = 0; i < 100; i++)
			csv_feed(&c, STR("0123456789"));
		s = csv_next(&c);
	}
	assert_int_equal(s, CSV_WRONG);
	assert_int_equal(csv_next(&c), CSV_WRONG);
	csv_done(&c);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(all_ways),
	cmocka_unit_test(limits),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
