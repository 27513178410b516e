/* TURN and ATRN (RFC 2645), as far as the session goes. */
#include "kit/dialogue_kit.h"

static struct smtp_wording *rfc;

#define JOE "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"
#define GREET "220 |"
#define HI_ATRN "250-|250-|250-|250-|250-|250-|250-|250-|250-|250-AUTH|250-ATRN|250-|250 HELP|"
#define HI_AUTH "250-|250-|250-|250-|250-|250-|250-|250-|250-|250-AUTH|250-|250 HELP|"

static void
off(struct smtp_conf *c)
{
	c->auth = c->auth_cleartext = true;
	c->mechs = STR("PLAIN");
}

static void
on(struct smtp_conf *c)
{
	off(c);
	c->atrn = true;
}

static void
secret(struct smtp_conf *c)
{
	on(c);
	c->auth_cleartext = false;
}

static const struct row rows[] = {
	{ "without a login", HI "ATRN example.org\r\nTURN\r\nATRN\r\n",
	    GREET HI_ATRN "530 5.7.0|502 5.7.0|530 5.7.0", .set = on },
	{ "not in clear", HI "ATRN\r\n", GREET HI_OK "530 5.7.0", .set = secret },
	{ "switched off", HI JOE "ATRN example.org\r\n", GREET HI_AUTH "235 |450 4.7.1",
	    .set = off },
	{ "nothing there", HI JOE "ATRN empty.org\r\nNOOP\r\n", GREET HI_ATRN "235 |453 4.3.0|250 ",
	    .set = on, .n = 0 },
	{ "in a transaction", HI JOE MAIL "ATRN\r\nRSET\r\n",
	    GREET HI_ATRN "235 |250 |503 5.5.1|250 ", .set = on },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kit k;
		struct str in = row_input(&rows[i]);
		row_open(&k, &rows[i], rfc);
		/* Line by line: nothing may stand behind an ATRN that is looked at. */
		while (in.len) {
			size_t n = str_find(in, '\n') + 1;
			kit_push(&k, str_first(in, n));
			in = str_skip(in, n);
		}
		row_check(&rows[i], &k, NULL);
		kit_close(&k);
	}
}

static const struct {
	const char *say, *want;
	bool turned, ended;
} turns[] = {
	{ "ATRN\r\n", "250 2.0.0 now reversing", true, true },
	{ "atrn example.org,example.net\r\n", "250 2.0.0 now reversing", true, true },
	{ "ATRN foreign.org\r\n", "450 4.7.1", false, false },
	{ "ATRN busy.org\r\n", "451 4.3.0", false, false },
	/* What comes behind it unasked would be a server's words before there is one. */
	{ "ATRN\r\n220 mx.example.org\r\n", "", false, true },
};

static void
test_turns(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(turns); i++) {
		struct kit k;
		kit_open(&k, rfc);
		on(&k.conf);
		kit_greet(&k);
		kit_say(&k, HI);
		kit_say(&k, JOE);
		buf_reset(&k.out);
		kit_say(&k, turns[i].say);
		kit_expect_lines(turns[i].say, buf_str(&k.out), turns[i].want);
		assert_int_equal(k.turned, turns[i].turned);
		assert_int_equal(k.ended, turns[i].ended);
		kit_close(&k);
	}
}

static int
set_up(void **state)
{
	rfc = kit_wording("rfc");
	return 0;
}

static int
tear_down(void **state)
{
	rfc = dialect_free(rfc);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_turns),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
