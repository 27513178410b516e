/* cli: options and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_cmd cmd = {
	.name = "test", .usage = "", .help = "", .words = "", .summary = ""
};

#define ARGS_MAX 8

/* What comes out, as "json dir list,list | word word", or NULL when it is refused. */
static const struct {
	const char *args[ARGS_MAX];
	const char *result;
} rows[] = {
	{ { NULL }, "- - |" },
	{ { "a", "b" }, "- - | a b" },
	{ { "--json" }, "json - |" },
	{ { "a", "--json", "b" }, "json - | a b" },
	{ { "--dir", "x", "a" }, "- x | a" },
	{ { "--dir=x", "a" }, "- x | a" },
	{ { "--dir=", "a" }, "-  | a" },
	{ { "--dir", "--json" }, "- --json |" },
	{ { "--set", "a=b", "--set=c=d" }, "- - a=b,c=d, |" },
	{ { "--", "--json", "--x" }, "- - | --json --x" },
	{ { "-", "a" }, "- - | - a" },
	{ { "--dir" }, NULL },
	{ { "--set" }, NULL },
	{ { "--json=yes" }, NULL },
	{ { "--jsn" }, NULL },
	{ { "-x" }, NULL },
	{ { "--dir", "a", "--dir", "b" }, NULL },
	{ { "--js" }, NULL },
};

static void
parses_words(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *argv[ARGS_MAX + 2] = { (char[]){ "test" } };
		int argc = 1;
		for (; argc <= ARGS_MAX && rows[i].args[argc - 1]; argc++)
			argv[argc] = xstrdup(rows[i].args[argc - 1]);
		bool json = false;
		const char *dir = NULL;
		struct cli_words list = { 0 }, words;
		const struct cli_opt opts[] = {
			{ "--json", OPT_FLAG, &json },
			{ "--dir", OPT_VALUE, &dir },
			{ "--set", OPT_LIST, &list },
			{ NULL },
		};
		struct buf got = BUF_INIT(4096);
		bool ok = cli_parse(&cmd, argc, argv, opts, &words);
		buf_putf(&got, "%s %s ", json ? "json" : "-", dir ? dir : "-");
		for (size_t k = 0; k < list.n; k++)
			buf_putf(&got, "%s,", list.v[k]);
		buf_putf(&got, "%s|", list.n ? " " : "");
		for (size_t k = 0; k < words.n; k++)
			buf_putf(&got, " %s", words.v[k]);
		assert_int_equal(ok, rows[i].result != NULL);
		if (ok)
			assert_string_equal(buf_cstr(&got), rows[i].result);
		else
			assert_null(words.v);
		free(words.v);
		free(list.v);
		buf_done(&got);
		for (int k = 1; k < argc; k++)
			free(argv[k]);
	}
}

/* Every command is whole, says what it does, and completes its own options. */
static void
commands_are_whole(void **state)
{
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++) {
		assert_ptr_equal(cli_cmd_find((*c)->name), *c);
		assert_non_null((*c)->run);
		assert_true(strlen((*c)->summary) > 10 && strlen((*c)->summary) < 80);
		struct str rest = str_of((*c)->words), word;
		while ((word = str_word(&rest)).len) {
			struct str help = str_of((*c)->help), usage = str_of((*c)->usage);
			word = str_first(word, str_find(word, '='));
			if (str_find_str(help, word) == help.len &&
			    str_find_str(usage, word) == usage.len)
				fail_msg("%s: the help does not say what %.*s is", (*c)->name,
				    (int)word.len, word.p);
		}
	}
	assert_null(cli_cmd_find("nothing"));
}

static int
run(const char *a, const char *b, const char *c)
{
	char *argv[] = { (char[]){ "pennypost" }, a ? xstrdup(a) : NULL, b ? xstrdup(b) : NULL,
		c ? xstrdup(c) : NULL, NULL };
	int argc = 1 + (a != NULL) + (b != NULL) + (c != NULL);
	char *text = NULL;
	size_t n = 0;
	FILE *old = stdout;
	stdout = open_memstream(&text, &n);
	int status = cli_main(argc, argv);
	fclose(stdout);
	stdout = old;
	free(text);
	for (int i = 1; i < argc; i++)
		free(argv[i]);
	return status;
}

static const struct {
	const char *a, *b, *c;
	int status;
} statuses[] = {
	{ NULL, NULL, NULL, 1 },
	{ "--help", NULL, NULL, 0 },
	{ "--version", NULL, NULL, 0 },
	{ "nothing", NULL, NULL, 1 },
	{ "user", NULL, NULL, 1 },
	{ "user", "fly", NULL, 1 },
	{ "user", "--help", NULL, 0 },
	{ "user", "add", NULL, 1 },
	{ "user", "list", "more", 1 },
	{ "help", NULL, NULL, 0 },
	{ "help", "lab", NULL, 0 },
	{ "help", "nothing", NULL, 1 },
	{ "lab", "more", NULL, 1 },
	{ "lab", "--user", "nobody", 1 },
	{ "lab", "--port-base", "70000", 1 },
	{ "config", "keys", NULL, 0 },
	{ "config", "check", "/nonexistent/x.conf", 2 },
	{ "serve", "--config", "/nonexistent/x.conf", 2 },
	{ "completion", "tcsh", NULL, 1 },
	{ "status", "--dir", "/nonexistent/lab", 3 },
	{ "trace", "a", "b", 1 },
	{ "user", "list", "--dir=/nonexistent/lab", 3 },
};

static void
exit_statuses(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		int status = run(statuses[i].a, statuses[i].b, statuses[i].c);
		if (status != statuses[i].status)
			fail_msg("%s %s %s: %d", statuses[i].a, statuses[i].b, statuses[i].c,
			    status);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_words),
		cmocka_unit_test(commands_are_whole),
		cmocka_unit_test(exit_statuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
