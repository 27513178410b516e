/* What a listener's sessions are told of the configuration and its dialect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "roles/front/front_priv.h"

#include <stdlib.h>

static const struct row {
	const char *quirk, *sets[3];
	uint64_t bad_commands;
} rows[] = {
	{ "", { NULL }, 4 },
	{ "bad_cmd_limit = 2", { NULL }, 2 },
	{ "bad_cmd_limit = 0", { NULL }, 0 },
	{ "bad_cmd_limit = 2", { "limit.bad_commands=9" }, 9 },
	{ "bad_cmd_limit = 2", { "limit.bad_commands=off" }, UINT64_MAX },
	/* A dialect makes nothing weaker. */
	{ "bad_cmd_limit = 99", { NULL }, 4 },
	{ "bad_cmd_limit = 99", { "lab=yes" }, 99 },
};

static void
limits_bad_commands(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf err = BUF_INIT(4096), text = BUF_INIT(4096);
		struct conf *c = conf_new();
		buf_putf(&text, "base = rfc\n[quirks]\n%s\n", rows[i].quirk);
		c->dialects = xalloc(sizeof(*c->dialects));
		c->n_dialects = 1;
		c->dialects[0].name = xstrdup("own");
		c->dialects[0].text = str_dup(buf_str(&text));
		assert_true(conf_set(c, STR("hostname=mail.example.com"), &err));
		conf_listener_add(c, "127.0.0.1", 25, "smtp");
		assert_true(conf_set(c, STR("dialect=own"), &err));
		for (const char *const *s = rows[i].sets; *s; s++)
			assert_true(conf_set(c, str_of(*s), &err));
		c->listeners[0].lab = c->lab;
		struct settings *s = settings_new(c, NULL, &err);
		if (!s)
			fail_msg("row %zu: %s", i, buf_cstr(&err));
		if (s->smtp[0].bad_commands != rows[i].bad_commands)
			fail_msg("row %zu: %llu", i, (unsigned long long)s->smtp[0].bad_commands);
		settings_unref(s);
		buf_done(&err);
		buf_done(&text);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_bad_commands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
