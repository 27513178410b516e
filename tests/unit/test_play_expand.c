#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "play/expand.h"
#include "play/match.h"

#include <stdlib.h>

static const struct {
	const char *text;
	struct str want;
} good[] = {
	{ "", STR("") },
	{ "quit", STR("quit") },
	{ ".{sp}", STR(". ") },
	{ "{sp}{sp}", STR("  ") },
	{ "NOOP {repeat:5:x}", STR("NOOP xxxxx") },
	{ "{repeat:2:a:b}", STR("a:ba:b") },
	{ "{repeat:0:x}|", STR("|") },
	{ "{b64:}", STR("") },
	{ "{b64:mary}", STR("bWFyeQ==") },
	{ "{b64:\\0username\\0password}", STR("AHVzZXJuYW1lAHBhc3N3b3Jk") },
	{ "{b64:username\\n}", STR("dXNlcm5hbWUK") },
	/* RFC 2195 2, the example. */
	{ "{cram-md5:tim:tanstaaftanstaaf:chal}",
	    STR("dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw") },
	{ "a {name} b", STR("a value b") },
	{ "{unknown}", STR("{unknown}") },
	{ "{Upper} {9} {} { }", STR("{Upper} {9} {} { }") },
	{ "{{name}}", STR("{value}") },
	{ "{name", STR("{name") },
	{ "name}", STR("name}") },
	{ "{sp {sp}", STR("{sp  ") },
	{ "&name; [x]", STR("&name; [x]") },
};

static void
vars_fill(struct map *vars)
{
	*vars = MAP_NULL;
	assert_null(map_put(vars, STR("name"), (void *)(uintptr_t) "value"));
	assert_null(map_put(vars, STR("chal"),
	    (void *)(uintptr_t) "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"));
	assert_null(map_put(vars, STR("empty"), (void *)(uintptr_t) ""));
}

static void
test_good(void **state)
{
	struct map vars;

	vars_fill(&vars);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct buf out = BUF_INIT(EXPAND_MAX);
		const char *why = "";
		if (!expand(str_of(good[i].text), &vars, false, &out, &why))
			fail_msg("%s: %s", good[i].text, why);
		if (!str_eq(buf_str(&out), good[i].want))
			fail_msg("%s became \"%s\"", good[i].text, buf_cstr(&out));
		assert_true(expand_check(str_of(good[i].text), &why));
		buf_done(&out);
	}
	map_done(&vars);
}

static const struct {
	const char *text;
	bool form; /* well formed: only what is in the variables is wrong */
} bad[] = {
	{ "{repeat:x}", false },
	{ "{repeat::x}", false },
	{ "{repeat:-1:x}", false },
	{ "{repeat:67108865:x}", false },
	{ "{repeat:33554433:ab}", false },
	{ "{repeat:18446744073709551615:ab}", false },
	{ "{b64:\\}", false },
	{ "{b64:\\x1}", false },
	{ "{cram-md5:}", false },
	{ "{cram-md5:a:b}", false },
	{ "{cram-md5:a::c}", false },
	{ "{cram-md5:a:b:name}", true }, /* "value" is no base64 */
	{ "{cram-md5:a:b:empty}", true },
	{ "{cram-md5:a:b:missing}", true },
};

static void
test_bad(void **state)
{
	struct map vars;

	vars_fill(&vars);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf out = BUF_INIT(EXPAND_MAX);
		const char *why = NULL;
		if (expand(str_of(bad[i].text), &vars, false, &out, &why))
			fail_msg("%s was taken", bad[i].text);
		assert_non_null(why);
		assert_int_equal(expand_check(str_of(bad[i].text), &why), bad[i].form);
		buf_done(&out);
	}
	map_done(&vars);
}

static void
test_ceiling(void **state)
{
	struct buf out = BUF_INIT(EXPAND_MAX);
	const char *why = NULL;

	assert_false(expand(STR("{repeat:67108864:x}{repeat:67108864:x}"), NULL, false, &out,
	    &why));
	assert_non_null(why);
	buf_done(&out);
}

static void
test_unescape(void **state)
{
	static const struct {
		const char *text;
		struct str want;
	} rows[] = {
		{ "", STR("") },
		{ "a\\r\\n", STR("a\r\n") },
		{ "\\0\\t\\\\", STR("\0\t\\") },
		{ "\\xff\\xFB\\x1f", STR("\xff\xfb\x1f") },
		{ "\\x414", STR("A4") },
	};
	static const char *const wrong[] = { "\\", "\\q", "\\x", "\\x1", "\\xg0", "\\R" };
	const char *why = NULL;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(1024);
		assert_true(unescape(str_of(rows[i].text), &out, &why));
		assert_true(str_eq(buf_str(&out), rows[i].want));
		buf_done(&out);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct buf out = BUF_INIT(1024);
		assert_false(unescape(str_of(wrong[i]), &out, &why));
		assert_non_null(why);
		buf_done(&out);
	}
}

static const struct {
	const char *ere;
	struct str subject;
	bool whole, part;
	const char *group;
} matches[] = {
	{ "250 .*", STR("250 ok"), true, true, "" },
	{ "250", STR("250 ok"), false, true, NULL },
	{ "250-(.*)", STR("250-PIPELINING"), true, true, "PIPELINING" },
	{ "a|ab", STR("ab"), true, true, "" }, /* the longest, not the first */
	{ "(a|ab)(c|bcd)", STR("abcd"), true, true, "a" },
	{ "(250|521|550|554) .*", STR("550 no"), true, true, "550" },
	{ "[0-9]{3} x?", STR("220 "), true, true, "" },
	{ "^two$", STR("two"), true, true, "" },
	{ "^two$", STR("two "), false, false, NULL },
	{ "(x)?y", STR("y"), true, true, "" },
	{ "", STR(""), true, true, "" },
	{ ".*", STR("a\0b"), false, false, NULL },
	{ ".*", STR("curly \xe2\x80\x9c.\xe2\x80\x9d"), true, true, "" },
	{ "(\xe2\x80\x9c|\")x", STR("\xe2\x80\x9cx"), true, true, "\xe2\x80\x9c" },
	{ "caf.*", STR("caf\xff"), true, true, "" },
};

static void
test_match(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(matches); i++) {
		struct str group = STR_NULL;
		enum match_result r =
		    match_whole(str_of(matches[i].ere), matches[i].subject, &group);
		if (r != (matches[i].whole ? MATCH_YES : MATCH_NO))
			fail_msg("row %zu: whole", i);
		if (r == MATCH_YES && !str_eq(group, str_of(matches[i].group)))
			fail_msg("row %zu: group", i);
		if ((match_part(str_of(matches[i].ere), matches[i].subject) == MATCH_YES) !=
		    matches[i].part)
			fail_msg("row %zu: part", i);
	}
}

static void
test_bad_pattern(void **state)
{
	struct buf why = BUF_INIT(256);

	assert_int_equal(match_whole(STR("("), STR("x"), NULL), MATCH_BAD_PATTERN);
	assert_int_equal(match_part(STR("a{2,1}"), STR("x")), MATCH_BAD_PATTERN);
	assert_false(match_check(STR("[a"), &why));
	assert_true(why.len > 0);
	assert_true(match_check(STR("[a]"), &why));
	buf_done(&why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_unescape),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_bad_pattern),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
