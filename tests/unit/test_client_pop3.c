#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "client/pop3.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *line;
	enum pop_status status;
	const char *code, *text;
} answers[] = {
	{ "+OK ready\r\n", POP_OK, "", "ready" },
	{ "+OK\r\n", POP_OK, "", "" },
	{ "+ok\n", POP_OK, "", "" },
	{ "-ERR [IN-USE] busy\r\n", POP_ERR, "IN-USE", "busy" },
	{ "-ERR [SYS/TEMP]", POP_ERR, "SYS/TEMP", "" },
	{ "-ERR [not a code] x\r\n", POP_ERR, "", "[not a code] x" },
	{ "-ERR [open\r\n", POP_ERR, "", "[open" },
	{ "+ YWJj\r\n", POP_CHALLENGE, "", "YWJj" },
	{ "+\r\n", POP_CHALLENGE, "", "" },
	{ "+OKAY\r\n", POP_STRANGE, "", "+OKAY" },
	{ "220 smtp\r\n", POP_STRANGE, "", "220 smtp" },
	{ "", POP_STRANGE, "", "" },
	{ "\r\n", POP_STRANGE, "", "" },
};

static void
test_answers(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct pop_answer a;
		size_t len = strlen(answers[i].line);
		char *copy = len ? xmemdup(answers[i].line, len) : NULL;
		pop_answer_read(str_n(copy, len), &a);
		assert_int_equal(a.status, answers[i].status);
		assert_true(str_eq(a.code, str_of(answers[i].code)));
		assert_true(str_eq(a.text, str_of(answers[i].text)));
		free(copy);
	}
}

/* RFC 1939 7, its example. */
static void
test_apop(void **state)
{
	struct str stamp;
	struct buf digest = BUF_INIT(100);
	assert_true(pop_stamp(STR("POP3 server ready <1896.697170952@dbc.mtview.ca.us>"), &stamp));
	pop_apop_digest(stamp, STR("tanstaaf"), &digest);
	assert_string_equal(buf_cstr(&digest), "c4c9334bac560ecc979e58001b3e22fb");
	buf_done(&digest);
	assert_false(pop_stamp(STR("ready"), &stamp));
	assert_false(pop_stamp(STR("<no at>"), &stamp));
	assert_false(pop_stamp(STR("<@>"), &stamp));
	assert_false(pop_stamp(STR("<a b@c>"), &stamp));
	assert_false(pop_stamp(STR("<a@b"), &stamp));
}

static void
test_commands(void **state)
{
	static const char *const many[] = { "CAPA", "list", "UIDL ", "RETR 1", "top 1 0", "AUTH",
		NULL };
	static const char *const one[] = { "LIST 1", "UIDL 2", "STAT", "AUTH PLAIN", "NOOP", "",
		NULL };
	uint64_t n;
	struct str rest;
	for (size_t i = 0; many[i]; i++)
		assert_true(pop_many_lines(str_of(many[i])));
	for (size_t i = 0; one[i]; i++)
		assert_false(pop_many_lines(str_of(one[i])));
	assert_true(pop_pair(STR("2 whqtswO\r\n"), &n, &rest));
	assert_true(n == 2 && str_eq(rest, STR("whqtswO")));
	assert_false(pop_pair(STR("x 2"), &n, &rest));
	assert_false(pop_pair(STR(""), &n, &rest));
	assert_false(pop_pair(STR("99999999999999999999999 1"), &n, &rest));
}

/* --- lines behind +OK --- */

static const struct {
	const char *in, *out, *left; /* left NULL: the end was not there */
} dots[] = {
	{ "a\r\n.\r\n", "a\r\n", "" },
	{ ".\r\nnext", "", "next" },
	{ "..\r\n.\r\n", ".\r\n", "" },
	{ "...x\r\n.\r\n", "..x\r\n", "" },
	{ ".x\r\n.\n", "x\r\n", "" },
	{ "a\n.\n+OK", "a\n", "+OK" },
	{ ". \r\n.\r\n", " \r\n", "" },
	{ ".\rx\r\n.\r\n", "\rx\r\n", "" },
	{ "a.\r\n.b\r\n", "a.\r\nb\r\n", NULL },
	{ "a\r.\r\n", "a\r.\r\n", NULL },
	{ "", "", NULL },
};

static void
take(void *arg, struct str piece)
{
	buf_puts(arg, piece);
}

static void
dotted(const char *in, size_t cut, bool each, struct buf *out, size_t *ret_used, bool *ret_ended)
{
	struct pop_dot d = { 0 };
	size_t len = strlen(in), from = 0;
	while (from < len && !d.ended) {
		size_t to = each ? from + 1 : from < cut ? cut : len;
		char *piece = xmemdup(in + from, to - from);
		struct str s = str_n(piece, to - from);
		(void)pop_dot_feed(&d, &s, take, out);
		from = to - s.len;
		free(piece);
	}
	*ret_used = from;
	*ret_ended = d.ended;
}

static void
test_dots(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(dots); i++) {
		size_t len = strlen(dots[i].in), used;
		bool ended;
		for (size_t cut = 0; cut <= len; cut++) {
			struct buf out = BUF_INIT(1000);
			dotted(dots[i].in, cut, cut == len, &out, &used, &ended);
			assert_true(str_eq(buf_str(&out), str_of(dots[i].out)));
			assert_int_equal(ended, dots[i].left != NULL);
			if (dots[i].left)
				assert_string_equal(dots[i].in + used, dots[i].left);
			buf_done(&out);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_apop),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_dots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
