#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "mail/author.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *field;
	enum author_verdict verdict;
	const char *addrs; /* parted by blanks */
} rows[] = {
	{ "", AUTHOR_NONE, "" }, { "From: a@b\r\n", AUTHOR_OK, "a@b" },
	{ "From:a@b", AUTHOR_OK, "a@b" }, { "FROM : Ann <a@b>\r\n", AUTHOR_OK, "a@b" },
	{ "From: \"Ann, the <x@y>\" <a@b>\r\n", AUTHOR_OK, "a@b" },
	{ "From: \"An\\\"n\" < a@b >\r\n", AUTHOR_OK, "a@b" },
	{ "From: Ann (a comment, with <x@y> (and \\) more)) <a@b>\r\n", AUTHOR_OK, "a@b" },
	{ "From: a(one)@(two)b\r\n", AUTHOR_OK, "a@b" },
	{ "From: a @ b . c\r\n", AUTHOR_OK, "a@b.c" },
	{ "From: Ann\r\n <a@b>,\r\n\tBob <b@b>\r\n", AUTHOR_OK, "a@b b@b" },
	{ "From: a@b, b@b\r\n", AUTHOR_OK, "a@b b@b" },
	{ "From: a@b\r\nfrom: c@d\r\n", AUTHOR_OK, "a@b c@d" },
	{ "From: <@r,@s:a@b>\r\n", AUTHOR_OK, "a@b" },
	{ "From: a@[IPv6:2001:db8::1]\r\n", AUTHOR_OK, "a@[IPv6:2001:db8::1]" },
	{ "From: Us: a@b, Bob <b@b>;\r\n", AUTHOR_OK, "a@b b@b" },
	/* Another reader may take another one: all of them count. */
	{ "From: x@y <a@b>\r\n", AUTHOR_OK, "a@b x@y" },
	{ "From: <a@b> x@y\r\n", AUTHOR_OK, "a@b x@y" },
	{ "From: <a@b> <x@y>\r\n", AUTHOR_OK, "a@b x@y" },
	{ "From: x@y: a@b;\r\n", AUTHOR_OK, "x@y a@b" },
	{ "From: \"x@y\" <a@b>\r\n", AUTHOR_OK, "a@b" },
	/* Nobody, or unreadable. */
	{ "From:\r\n", AUTHOR_BAD, "" }, { "From: ,\r\n", AUTHOR_BAD, "" },
	{ "From: <>\r\n", AUTHOR_BAD, "" }, { "From: Us:;\r\n", AUTHOR_BAD, "" },
	{ "From: \"open <a@b>\r\n", AUTHOR_BAD, NULL },
	{ "From: (open <a@b>\r\n", AUTHOR_BAD, NULL }, { "From: <a@b\r\n", AUTHOR_BAD, NULL },
	{ "From: a@b\r\nFrom:\r\n", AUTHOR_BAD, NULL },
	{ "From: \"quoted@local\"@b\r\n", AUTHOR_OK, NULL }, /* and nobody's */
};

static bool
collect(void *arg, struct str addr)
{
	struct buf *b = arg;
	if (b->len)
		buf_putc(b, ' ');
	buf_puts(b, addr);
	return true;
}

static bool
refuse(void *arg, struct str addr)
{
	return !str_eq(addr, STR("x@y"));
}

static void
finds_everybody(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf got = BUF_INIT(1000);
		enum author_verdict v = author_each(str_of(rows[i].field), collect, &got);
		if (v != rows[i].verdict ||
		    (rows[i].addrs && !str_eq(buf_str(&got), str_of(rows[i].addrs))))
			fail_msg("%s: %d \"%s\"", rows[i].field, v, buf_cstr(&got));
		buf_done(&got);
	}
	assert_int_equal(author_each(STR("From: a@b, x@y, c@d"), refuse, NULL), AUTHOR_REFUSED);
	assert_int_equal(author_each(STR("From: a@b, c@d"), refuse, NULL), AUTHOR_OK);
}

static void
has_its_limits(void **state)
{
	struct buf many = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);
	buf_putz(&many, "From: a@b");
	for (int i = 1; i < AUTHOR_ADDRS_MAX; i++)
		buf_putz(&many, ",a@b");
	assert_int_equal(author_each(buf_str(&many), collect, &got), AUTHOR_OK);
	buf_putz(&many, ",a@b");
	assert_int_equal(author_each(buf_str(&many), collect, &got), AUTHOR_BAD);
	while (many.len <= AUTHOR_TEXT_MAX)
		buf_putc(&many, ' ');
	assert_int_equal(author_each(buf_str(&many), collect, &got), AUTHOR_BAD);
	buf_done(&many);
	buf_done(&got);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_everybody),
		cmocka_unit_test(has_its_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
