#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "mail/fields.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = { "from", "bcc", "resent-bcc", NULL };

/* Octets of From come out in [ ], those of Bcc not at all. */
static const struct {
	const char *in, *kept, *from;
} rows[] = {
	{ "", "", "" },
	{ "\r\nBcc: body\r\n", "\r\nBcc: body\r\n", "" },
	{ "Bcc: a@b\r\n\r\nx", "\r\nx", "" },
	{ "From: a@b\r\nBcc: c@d\r\n\te@f\r\n\tg@h\r\nTo: x\r\n\r\nBcc: stays\r\n",
	    "From: a@b\r\nTo: x\r\n\r\nBcc: stays\r\n", "From: a@b\r\n" },
	{ "To: x\r\nbCC : c\r\nResent-Bcc: d\r\n e\r\nBccx: f\r\nBc: g\r\nXBcc: h\r\n\r\n",
	    "To: x\r\nBccx: f\r\nBc: g\r\nXBcc: h\r\n\r\n", "" },
	{ "To: x\nBcc: c\n d\n\nBcc: stays\n", "To: x\n\nBcc: stays\n", "" },
	{ "To: x\r\n Bcc: folded\r\nFrom: a\r\n b\r\nfrom \t: c\r\n\r\n",
	    "To: x\r\n Bcc: folded\r\nFrom: a\r\n b\r\nfrom \t: c\r\n\r\n",
	    "From: a\r\n b\r\nfrom \t: c\r\n" },
	/* The first line is no field: all is body (R-MSG-3). */
	{ "hello\r\nBcc: x\r\n\r\n", "hello\r\nBcc: x\r\n\r\n", "" },
	{ " x: y\r\nBcc: x\r\n\r\n", " x: y\r\nBcc: x\r\n\r\n", "" },
	{ "a b: c\r\nFrom: x\r\n", "a b: c\r\nFrom: x\r\n", "" },
	{ ": c\r\nFrom: x\r\n", ": c\r\nFrom: x\r\n", "" },
	/* Behind a damaged line there may be more fields. */
	{ "To: x\r\nno field here\r\nBcc: x\r\nFrom: y\r\n\r\nz",
	    "To: x\r\nno field here\r\nFrom: "
	    "y\r\n\r\nz",
	    "From: y\r\n" },
	/* It ends within a line. */
	{ "To: x\r\nBc", "To: x\r\nBc", "" },
	{ "To: x\r\n\r", "To: x\r\n\r", "" },
	{ "To: x\r\nBcc: half", "To: x\r\n", "" },
	{ "To: x\r\n\rBcc: a\r\n", "To: x\r\n\rBcc: a\r\n", "" },
	{ "To: x\r\nBcc                                                              : a\r\n\r\n",
	    "To: x\r\nBcc                                                              : a\r\n\r\n",
	    "" },
};

struct sink {
	struct buf kept, from;
};

static void
sink(void *arg, int which, struct str octets)
{
	struct sink *s = arg;
	assert_in_range(which + 1, 0, 3);
	if (which == 0)
		buf_puts(&s->from, octets);
	if (which <= 0)
		buf_puts(&s->kept, octets);
}

static void
feed(const char *in, size_t first, size_t step, struct sink *s)
{
	struct fields f;
	struct str rest = str_of(in);
	*s = (struct sink){ BUF_INIT(1000), BUF_INIT(1000) };
	fields_init(&f, names);
	while (rest.len) {
		struct str chunk = str_first(rest, first ? first : step);
		fields_feed(&f, chunk, sink, s);
		rest = str_skip(rest, chunk.len);
		first = 0;
	}
	fields_end(&f, sink, s);
	assert_true(fields_over(&f));
}

static void
compare(size_t row, size_t first, size_t step)
{
	struct sink s;
	feed(rows[row].in, first, step, &s);
	if (!str_eq(buf_str(&s.kept), str_of(rows[row].kept)) ||
	    !str_eq(buf_str(&s.from), str_of(rows[row].from)))
		fail_msg("row %zu at %zu:\n%s\nfrom %s", row, first, buf_cstr(&s.kept),
		    buf_cstr(&s.from));
	buf_done(&s.kept);
	buf_done(&s.from);
}

static void
sorts_at_every_split(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		compare(i, 0, 1000);
		compare(i, 0, 1);
		for (size_t at = 1; at < strlen(rows[i].in); at++)
			compare(i, at, 1000);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorts_at_every_split),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
