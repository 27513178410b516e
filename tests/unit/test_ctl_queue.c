/* ctl: the options of `queue` as filters, and how times and replies are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "ctl/queue_priv.h"

#include <string.h>

static const char *const two_ids[] = { "6h0275dt00000.1", "6880472b7a000000" };

static const struct {
	struct ctl_call call;
	int choice;
	const char *args; /* NULL: refused; parted by | */
} filters[] = {
	{ { 0 }, QUEUE_ANY, "" },
	{ { 0 }, QUEUE_CHOSEN, NULL },
	{ { .all = true }, QUEUE_CHOSEN, "all=1" },
	{ { .all = true, .from = "a@b" }, QUEUE_CHOSEN, NULL },
	{ { .from = "a@b", .to = "@c", .domain = "c" }, QUEUE_CHOSEN, "from=a@b|to=@c|domain=c" },
	{ { .from = "<a@b>", .to = " <@c>" }, QUEUE_CHOSEN, "from=a@b|to=@c" },
	{ { .from = "<>" }, QUEUE_CHOSEN, "from=" },
	{ { .from = "" }, QUEUE_ANY, NULL },
	{ { .to = "<>" }, QUEUE_ANY, NULL }, /* no recipient is nobody */
	{ { .older = "2h", .newer = "3d" }, QUEUE_ANY, "older=7200|newer=259200" },
	{ { .older = "45" }, QUEUE_ANY, "older=45" },
	{ { .older = "soon" }, QUEUE_ANY, NULL },
	{ { .older = "9223372036854775807" }, QUEUE_ANY, NULL }, /* not in milliseconds */
	{ { .newer = "106751991167300d" }, QUEUE_ANY, NULL },
	{ { .newer = "9999999d" }, QUEUE_ANY, "newer=863999913600" },
	{ { .older = "-1h" }, QUEUE_ANY, NULL },
	{ { .error = "no such user" }, QUEUE_CHOSEN, "error=no such user" },
	{ { .state = "held" }, QUEUE_CHOSEN, "state=held" },
	{ { .state = "lost" }, QUEUE_CHOSEN, NULL },
	{ { .limit = "10" }, QUEUE_ANY, "limit=10" },
	{ { .limit = "0" }, QUEUE_ANY, NULL },
	{ { .limit = "10" }, QUEUE_CHOSEN, NULL }, /* a number of them says not which */
	{ { .limit = "10", .all = true }, QUEUE_CHOSEN, NULL },
	{ { .limit = "10", .domain = "c" }, QUEUE_CHOSEN, NULL },
	{ { .limit = "10", .domain = "c" }, QUEUE_ANY, "domain=c|limit=10" },
	{ { .reason = "why" }, QUEUE_CHOSEN, NULL },
	{ { .reason = "a=b c", .all = true }, QUEUE_CHOSEN, "reason=a=b c|all=1" },
	{ { .words = { (const char **)(uintptr_t)two_ids, 2 } }, QUEUE_CHOSEN,
	    "id=6h0275dt00000.1|id=6880472b7a000000" },
	{ { .words = { (const char **)(uintptr_t)two_ids, 1 }, .all = true }, QUEUE_CHOSEN, NULL },
};

static void
test_filters(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		struct ctl_call call = filters[i].call;
		struct queue_args a;
		struct buf b = BUF_INIT(4096);
		call.cmd = cli_cmd_find("queue");
		int status = queue_args_get(&a, &call, filters[i].choice);
		for (size_t j = 0; j < a.n; j++)
			buf_putf(&b, "%s" STR_FMT, j ? "|" : "", STR_ARG(a.v[j]));
		queue_args_done(&a);
		assert_int_equal(status == EXIT_DONE, filters[i].args != NULL);
		if (filters[i].args)
			assert_string_equal(buf_cstr(&b), filters[i].args);
		buf_done(&b);
	}
}

static const struct {
	uint64_t ms;
	const char *span, *brief;
} spans[] = {
	{ 0, "0s", "0s" },
	{ 999, "0s", "0s" },
	{ 59999, "59s", "59s" },
	{ 60000, "1m", "1m" },
	{ 3599999, "59m 59s", "59m" },
	{ 3600000, "1h", "1h" },
	{ 90000000, "1d 1h", "1d" },
	{ UINT64_MAX, "213503982334d 14h", "213503982334d" },
};

static void
test_spans(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
		struct buf b = BUF_INIT(64);
		queue_put_span(&b, spans[i].ms);
		assert_string_equal(buf_cstr(&b), spans[i].span);
		buf_reset(&b);
		queue_put_short(&b, spans[i].ms);
		assert_string_equal(buf_cstr(&b), spans[i].brief);
		buf_done(&b);
	}
}

static const struct {
	const char *code, *status, *text, *want;
} replies[] = {
	{ "550", "5.1.1", "no such user", "550 5.1.1 no such user" },
	{ "550", "5.1.1", "5.1.1 no such user", "550 5.1.1 no such user" },
	{ "550", "", "no such user", "550 no such user" },
	{ "0", "4.4.1", "nobody answers", "4.4.1 nobody answers" },
	{ "", "", "", "" },
	{ "0", "", "a\nb\n\nc", "a b c" },
	{ "250", "", "\033[31mred\007", "250 \\x1b[31mred\\x07" },
};

static void
test_replies(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
		struct buf b = BUF_INIT(1024);
		queue_put_reply(&b, str_of(replies[i].code), str_of(replies[i].status),
		    str_of(replies[i].text));
		assert_string_equal(buf_cstr(&b), replies[i].want);
		buf_done(&b);
	}
}

static void
test_json(void **state)
{
	struct msg_row row = { .n = Q_LISTED };
	for (size_t i = 0; i < Q_LISTED; i++)
		row.field[i] = STR("");
	row.field[Q_ID] = STR("6h0275dt00000.1");
	row.field[Q_NEXT] = STR("0");
	row.field[Q_LAST] = STR("1795370000123");
	row.field[Q_PRIORITY] = STR("-3");
	row.field[Q_RCPTS] = STR("a@b\nc@d\n");
	json_t *o = queue_json(&row, 0, Q_LISTED);
	assert_string_equal(json_string_value(json_object_get(o, "id")), "6h0275dt00000.1");
	assert_true(json_is_null(json_object_get(o, "next")));
	assert_string_equal(json_string_value(json_object_get(o, "last")),
	    "2026-11-22T17:53:20.123Z");
	assert_int_equal(json_integer_value(json_object_get(o, "priority")), -3);
	assert_int_equal(json_array_size(json_object_get(o, "rcpts")), 2);
	json_decref(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
