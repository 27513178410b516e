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
	/* A damaged part of ours goes where ours goes, body does not. */
	{ "From: f\r\nBcc: a@b,\r\nc@d\r\n e@f\r\nTo: x\r\n\r\nz", "From: f\r\nTo: x\r\n\r\nz",
	    "From: f\r\n" },
	{ "Bcc: a@b,\r\nc@d\r\nTo: x\r\n\r\nz", "To: x\r\n\r\nz", "" },
	{ "Bcc: a\r\nb\r\nBcc: c\r\nd\r\nBcc: e\r\n\r\nz", "\r\nz", "" },
	{ "From: a@b,\r\nc@d\r\nTo: x\r\n\r\nz", "From: a@b,\r\nc@d\r\nTo: x\r\n\r\nz",
	    "From: a@b,\r\nc@d\r\n" },
	{ "To: x\r\nBcc: a@b\r\nHello,\r\n you\r\n\r\nTo: z\r\n",
	    "To: x\r\nHello,\r\n you\r\n\r\nTo: z\r\n", "" },
	{ "To: x\r\nBcc: a@b\r\nHello,\r\nyou", "To: x\r\nHello,\r\nyou", "" },
	{ "To: x\nBcc: a@b\nHello\n\nyou", "To: x\nHello\n\nyou", "" },
	{ "To: x\r\nBcc: a@b\r\n: y\r\nTo: z\r\n\r\n", "To: x\r\nTo: z\r\n\r\n", "" },
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

static struct fields
fields_of(struct str in, struct sink *s)
{
	struct fields f;
	*s = (struct sink){ BUF_INIT(100000), BUF_INIT(100000) };
	fields_init(&f, names);
	fields_feed(&f, in, sink, s);
	fields_end(&f, sink, s);
	return f;
}

static void
says_what_it_cannot_tell(void **state)
{
	static const struct {
		const char *head;
		char fill;
		size_t n;
		const char *tail;
		bool unclear;
		unsigned damaged;
	} odd[] = {
		{ "Bcc", ' ', 60, ": a\r\n\r\n", false, 0 },
		{ "Bcc", ' ', 62, ": a\r\n\r\n", true, 0 },
		{ "To: x\r\nFrom", '\t', 1000, ": a\r\n\r\n", true, 0 },
		{ "To: x\r\nBccc", ' ', 1000, ": a\r\n\r\n", false, 0 },
		{ "Bcc: a\r\nFrom", ' ', 8000, ": a\r\n\r\n", false, 0 },
		{ "Bcc: a\r\nFrom", ' ', 9000, ": a\r\n\r\n", true, 0 },
		{ "Bcc: a\r\n", 'x', 8000, "\r\nTo: b\r\n\r\n", false, 2 },
		{ "Bcc: a\r\n", 'x', 9000, "\r\nTo: b\r\n\r\n", true, 0 },
		{ "Bcc: a\r\n", '\n', 9000, "", false, 0 },
		{ "From: a\r\n", 'x', 10, "\r\nTo: b\r\n\r\n", false, 1 },
		{ "From: a\r\n", 'x', 10, "\r\n\r\n", false, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct buf in = BUF_INIT(20000);
		struct sink s;
		buf_putz(&in, odd[i].head);
		for (size_t k = 0; k < odd[i].n; k++)
			buf_putc(&in, odd[i].fill);
		buf_putz(&in, odd[i].tail);
		struct fields f = fields_of(buf_str(&in), &s);
		if (f.unclear != odd[i].unclear || f.damaged != odd[i].damaged)
			fail_msg("row %zu: unclear %d damaged %u", i, f.unclear, f.damaged);
		buf_done(&in);
		buf_done(&s.kept);
		buf_done(&s.from);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorts_at_every_split),
		cmocka_unit_test(says_what_it_cannot_tell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
