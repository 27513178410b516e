#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "mail/header.h"
#include "mail/scan.h"

#include <stdlib.h>

struct want {
	const char *name, *value, *unfolded;
};

static const struct {
	const char *block;
	struct want want[6]; /* to the first without a name */
	const char *left;
} rows[] = {
	{ "", { { 0 } }, "" },
	{ "\r\nbody", { { 0 } }, "\r\nbody" },
	{ "no field\r\nA: b\r\n", { { 0 } }, "no field\r\nA: b\r\n" },
	{ " A: b\r\n", { { 0 } }, " A: b\r\n" },
	{ ": b\r\n", { { 0 } }, ": b\r\n" },
	{ "A: b\r\nC:d\r\n\r\nE: f", { { "A", "b", "b" }, { "C", "d", "d" } }, "\r\nE: f" },
	{ "A \t: b \r\n", { { "A", "b", "b" } }, "" },
	{ "A:\r\nB: \r\nC:", { { "A", "", "" }, { "B", "", "" }, { "C", "", "" } }, "" },
	{ "A: b\r\n c\r\n\td\r\nE: f\r\n",
	    { { "A", "b\r\n c\r\n\td", "b c d" }, { "E", "f", "f" } }, "" },
	{ "A:\r\n  b  \r\n  c\r\n \r\nE: f\r\n",
	    { { "A", "b  \r\n  c", "b   c" }, { "E", "f", "f" } }, "" },
	{ "A: b\n c\nE: f\n\nx", { { "A", "b\n c", "b c" }, { "E", "f", "f" } }, "\nx" },
	{ "A: b:c: d\r\n", { { "A", "b:c: d", "b:c: d" } }, "" },
	/* damage taken in; then text that is not */
	{ "A: b\r\nbroken\r\n more\r\nC: d\r\n",
	    { { "A", "b\r\nbroken\r\n more", "b broken more" }, { "C", "d", "d" } }, "" },
	{ "A: b\r\n x\r\nbroken\r\nC: d\r\nbody\r\n",
	    { { "A", "b\r\n x\r\nbroken", "b x broken" }, { "C", "d", "d" } }, "body\r\n" },
	{ "A: b\r\nbody\r\n\r\nC: d\r\n", { { "A", "b", "b" } }, "body\r\n\r\nC: d\r\n" },
	{ "A: b\rc\r\n", { { "A", "b\rc", "b\rc" } }, "" },
};

static void
walks(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf own = BUF_INIT(4096), text = BUF_INIT(4096);
		buf_putz(&own, rows[i].block);
		struct str block = buf_str(&own);
		struct header_field f;
		const struct want *w = rows[i].want;
		size_t raw = 0;
		for (; header_next(&block, &f); w++, raw += f.raw.len) {
			assert_non_null(w->name);
			buf_reset(&text);
			header_unfold(&text, f.value);
			if (!str_eq(f.name, str_of(w->name)) ||
			    !str_eq(f.value, str_of(w->value)) ||
			    !str_eq(buf_str(&text), str_of(w->unfolded)))
				fail_msg("row %zu: " STR_FMT "=" STR_FMT "=" STR_FMT, i,
				    STR_ARG(f.name), STR_ARG(f.value), STR_ARG(buf_str(&text)));
			assert_true(f.raw.p == own.p + raw);
		}
		if (w->name || !str_eq(block, str_of(rows[i].left)))
			fail_msg("row %zu: ended at " STR_FMT, i, STR_ARG(block));
		buf_done(&own);
		buf_done(&text);
	}
}

/* What scan calls the header, header_next() walks to its end, field for field. */
static void
agrees_with_scan(void **state)
{
	static const char *const piece[] = { "From: a", "From :b", "from", " ", "\t", ":", "\r\n",
		"\r\n", "\n", "\r", "x", "Received: by c", "To:", "text", "\r\n ",
		"\r\nText here" };
	struct buf b = BUF_INIT(1 << 16);
	srandom(2);
	for (int round = 0; round < 20000; round++) {
		buf_reset(&b);
		for (long n = random() % 24; n > 0; n--)
			buf_putz(&b, piece[random() % (long)ARRAY_LEN(piece)]);
		struct scan s;
		scan_init(&s, &(struct scan_limits){ UINT64_MAX, UINT64_MAX });
		scan_feed(&s, buf_str(&b));
		scan_end(&s);
		struct str block = str_first(buf_str(&b), s.header_len);
		struct header_field f;
		uint32_t n = 0, from = 0;
		for (; header_next(&block, &f); n++)
			from += str_ieq(f.name, STR("from"));
		assert_int_equal(block.len, 0);
		assert_int_equal(n, s.fields);
		assert_int_equal(from, s.count[SCAN_FROM]);
	}
	buf_done(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(walks),
		cmocka_unit_test(agrees_with_scan) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
