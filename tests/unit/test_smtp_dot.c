/* DATA octets as rows: what comes in, what the letter is, what is left behind the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "smtp/bdat.h"
#include "smtp/dot.h"

#include <stdlib.h>

static const struct row {
	const char *in, *letter, *behind; /* behind NULL: the end never came */
	bool lf, space;
} rows[] = {
	{ ".\r\n", "", "" },
	{ "a\r\n.\r\nx", "a\r\n", "x" },
	{ "..\r\n.a\r\n...\r\n.\r\n", ".\r\na\r\n..\r\n", "" },
	{ "a.b\r\nc.\r\n.\r\n.", "a.b\r\nc.\r\n", "." },
	{ "\r\n.\r\n", "\r\n", "" },
	{ "a\n.\n", "a\n.\n", NULL },
	{ "a\n.\r\n.\r\n", "a\n.\r\n", "" },
	{ "a\r.\r\n.\r\n", "a\r.\r\n", "" },
	{ "a\r\n.\n.\r\n", "a\r\n\n.\r\n", NULL },
	{ "a\r\n.\n\r\n.\r\n", "a\r\n\n\r\n", "" },
	{ "a\r\n.\r.\r\n.\r\n", "a\r\n\r.\r\n", "" },
	{ "a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", "" },
	{ "a\r\r\n.\r\n", "a\r\r\n", "" },
	{ "a\n\r\n.\r\n", "a\n\r\n", "" },
	{ ". \r\n.\t\r\n.\r\n", " \r\n\t\r\n", "" },
	{ "a\r\n. \r\nb", "a\r\n", "b", .space = true },
	{ "a\r\n.  \r\n. x\r\n. \rx\r\n.\r\n", "a\r\n  \r\n x\r\n \rx\r\n", "", .space = true },
	{ "a\r\n. \n.\r\n", "a\r\n \n.\r\n", NULL, .space = true },
	{ "a\n.\nx", "a\r\n", "x", .lf = true },
	{ "a\r\n.\r\nx", "a\r\n", "x", .lf = true },
	{ "\n\n..\n.b\nc\r\n. \n.\n", "\r\n\r\n.\r\nb\r\nc\r\n \r\n", "", .lf = true },
	{ "a\r\r\nb\rc\n.\n", "a\r\r\nb\rc\r\n", "", .lf = true },
	{ ".\r.\n.\n", "\r.\r\n", "", .lf = true },
	{ "a\n. \nx", "a\r\n", "x", .lf = true, .space = true },
	{ "a\n. \r\nx", "a\r\n", "x", .lf = true, .space = true },
	{ "no end", "no end", NULL },
	{ "no end\r\n.", "no end\r\n", NULL },
	{ "no end\r\n.\r", "no end\r\n", NULL },
};

/* Feeds one piece from a block of its own; true at the end mark, *in then holds what is behind. */
static bool
feed(struct dot *d, struct buf *letter, struct str *in)
{
	char *block = in->len ? xmemdup(in->p, in->len) : NULL;
	struct str rest = { block, in->len }, chunk;
	enum dot_step step;
	while ((step = dot_feed(d, &rest, &chunk)) == DOT_CHUNK)
		buf_puts(letter, chunk);
	*in = str_skip(*in, in->len - rest.len);
	if (step == DOT_MORE)
		assert_int_equal(rest.len, 0);
	free(block);
	return step == DOT_END;
}

static void
check_row(const struct row *r, size_t cut, size_t every)
{
	struct str in = str_of(r->in), behind = STR_NULL;
	struct buf letter = BUF_INIT(1000);
	struct dot d;
	bool end = false;
	dot_init(&d, r->lf, r->space);
	for (size_t at = 0; at < in.len && !end;) {
		size_t n = every ? every : at < cut ? cut : in.len;
		struct str piece = str_first(str_skip(in, at), every ? n : n - at);
		size_t len = piece.len;
		end = feed(&d, &letter, &piece);
		at += len;
		if (end)
			behind = str_n(piece.p, piece.len + in.len - at);
	}
	if (!str_eq(buf_str(&letter), str_of(r->letter)) || end != (r->behind != NULL) ||
	    (end && !str_eq(behind, str_of(r->behind))))
		fail_msg("row %zu, cut %zu: letter \"" STR_FMT "\"", (size_t)(r - rows), cut,
		    STR_ARG(buf_str(&letter)));
	buf_done(&letter);
}

static void
dots(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].in);
		for (size_t cut = 0; cut <= n; cut++)
			check_row(&rows[i], cut, 0);
		check_row(&rows[i], 0, 1);
		check_row(&rows[i], 0, 2);
		check_row(&rows[i], 0, 3);
	}
}

static void
chunks(void **state)
{
	static const struct {
		const char *arg;
		enum bdat_verdict v;
		uint64_t size;
		bool last;
	} table[] = {
		{ "0", BDAT_GOOD, 0, false },
		{ "12", BDAT_GOOD, 12, false },
		{ "12 LAST", BDAT_GOOD, 12, true },
		{ "  7\tlast  ", BDAT_GOOD, 7, true },
		{ "18446744073709551615", BDAT_GOOD, UINT64_MAX, false },
		{ "18446744073709551616", BDAT_UNKNOWN, 0, false },
		{ "", BDAT_UNKNOWN, 0, false },
		{ "x", BDAT_UNKNOWN, 0, false },
		{ "-1", BDAT_UNKNOWN, 0, false },
		{ "+1", BDAT_UNKNOWN, 0, false },
		{ "1x", BDAT_UNKNOWN, 0, false },
		{ "LAST", BDAT_UNKNOWN, 0, false },
		{ "5 FIRST", BDAT_BAD, 5, false },
		{ "5 LAST LAST", BDAT_BAD, 5, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct bdat b = { 0 };
		assert_int_equal(bdat_parse(str_of(table[i].arg), &b), table[i].v);
		assert_true(b.size == table[i].size && b.left == table[i].size &&
			    b.last == table[i].last);
	}
	struct bdat b;
	struct str in = STR("abcdef");
	assert_int_equal(bdat_parse(STR("4"), &b), BDAT_GOOD);
	assert_true(str_eq(bdat_take(&b, &in), STR("abcd")));
	assert_true(str_eq(in, STR("ef")) && b.left == 0 && b.size == 4);
	assert_int_equal(bdat_take(&b, &in).len, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(dots),
		cmocka_unit_test(chunks) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
