/* Rendering: lines, codes, variables that mean harm. */
#include "kit/smtp_kit.h"

static struct smtp_wording
wording(enum smtp_situation s, const char *text)
{
	struct smtp_wording w = { 0 };
	w.reply[s] = str_of(text);
	return w;
}

static void
render(const char *text, struct str arg, const char *want)
{
	struct smtp_wording w = wording(SMTP_HELP_OK, text);
	struct smtp_vars vars = { .v = { [SMTP_VAR_arg] = arg, [SMTP_VAR_sp] = STR(" ") } };
	struct buf out = BUF_INIT(10000);
	smtp_reply_put(&out, &w, SMTP_HELP_OK, &vars);
	if (!str_eq(buf_str(&out), str_of(want)))
		fail_msg("%s: " STR_FMT, text, STR_ARG(buf_str(&out)));
	buf_done(&out);
}

static void
lines(void **state)
{
	render("214 ok", STR_NULL, "214 ok\r\n");
	render("214 ", STR_NULL, "214 \r\n");
	render("214 a\nb\nc", STR_NULL, "214-a\r\n214-b\r\n214 c\r\n");
	render("214 a\n", STR_NULL, "214-a\r\n214 \r\n");
	render("214 <${arg}>", STR("x"), "214 <x>\r\n");
	render("214 ${arg}${sp}", STR("x"), "214 x \r\n");
	render("214 $ ${ ${", STR("x"), "214 $ ${ ${\r\n");
	render("214 ${nothing}${host}.", STR("x"), "214 .\r\n");
	render("214 ${arg}", STR("${host}"), "214 ${host}\r\n");
}

static void
injection(void **state)
{
	render("214 ${arg}", STR("a\r\n250 ok"), "214 a\?\?250 ok\r\n");
	render("214 ${arg}", str_n("a\0b\x7f\x1b[m\t", 8), "214 a?b\?\?[m?\r\n");
	render("214 ${arg}", STR("\xc3\xa9t\xc3\xa9"), "214 \xc3\xa9t\xc3\xa9\r\n");
	render("214 ${arg}", STR("\xc3\xa9\xff"), "214 \?\?\?\r\n");
	render("214 ${arg}",
	    STR("\xc2\x9b"
		"0m"),
	    "214 \?\?0m\r\n");
	render("214 ${arg}", STR("\xc2\xa0"), "214 \xc2\xa0\r\n");
}

static void
cuts(void **state)
{
	char big[2000], want[2000];
	memset(big, 'x', sizeof(big));
	memset(want, 'x', sizeof(want));
	memcpy(want, "214 ", 4);
	memcpy(want + 4 + SMTP_VAR_MAX, "\r\n", 3);
	render("214 ${arg}", str_n(big, sizeof(big)), want);
	memset(want + 4, 'x', sizeof(want) - 4);
	memcpy(want + SMTP_REPLY_LINE_MAX, "\r\n", 3);
	render("214 ${arg}${arg}", str_n(big, sizeof(big)), want);
	/* A UTF-8 character is never cut in two. */
	memcpy(big + SMTP_VAR_MAX - 1, "\xc3\xa9", 2);
	memset(want + 4, 'x', sizeof(want) - 4);
	memcpy(want + 4 + SMTP_VAR_MAX - 1, "\r\n", 3);
	render("214 ${arg}", str_n(big, sizeof(big)), want);
}

static void
parts(void **state)
{
	struct smtp_wording w = wording(SMTP_EXPN_OK, "250 <${to}>");
	struct smtp_vars vars = { .v = { [SMTP_VAR_to] = STR("a@b") } };
	struct buf out = BUF_INIT(100);
	smtp_reply_part(&out, &w, SMTP_EXPN_OK, &vars, true);
	smtp_reply_part(&out, &w, SMTP_EXPN_OK, &vars, false);
	assert_string_equal(buf_cstr(&out), "250-<a@b>\r\n250 <a@b>\r\n");
	assert_int_equal(smtp_reply_code(&w, SMTP_EXPN_OK), 250);
	buf_done(&out);
}

static void
ehlo(void **state)
{
	struct smtp_wording w = { .ehlo_first = STR("hello ${helo}"), .n_cap = 4 };
	w.cap[0] = (struct smtp_cap){ SMTP_COND_auth, false, STR("AUTH ${mechs}") };
	w.cap[1] = (struct smtp_cap){ -1, false, STR("PIPELINING") };
	w.cap[2] = (struct smtp_cap){ SMTP_COND_auth, true, STR("NOAUTH") };
	w.cap[3] = (struct smtp_cap){ SMTP_COND_vrfy, false, STR("VRFY") };
	const struct smtp_vars vars = {
		.v = { [SMTP_VAR_helo] = STR("x\r\ny"), [SMTP_VAR_mechs] = STR("PLAIN") }
	};
	struct buf out = BUF_INIT(1000);
	smtp_ehlo_put(&out, &w, &vars, (bool[SMTP_COND_COUNT]){ [SMTP_COND_auth] = true });
	assert_string_equal(buf_cstr(&out), "250-hello x\?\?y\r\n250-AUTH PLAIN\r\n"
					    "250 PIPELINING\r\n");
	buf_reset(&out);
	smtp_ehlo_put(&out, &w, &vars, (bool[SMTP_COND_COUNT]){ 0 });
	assert_string_equal(buf_cstr(&out), "250-hello x\?\?y\r\n250-PIPELINING\r\n250 NOAUTH\r\n");
	buf_reset(&out);
	w.n_cap = 0;
	smtp_ehlo_put(&out, &w, &vars, (bool[SMTP_COND_COUNT]){ 0 });
	assert_string_equal(buf_cstr(&out), "250 hello x\?\?y\r\n");
	buf_done(&out);
}

static void
keys(void **state)
{
	enum smtp_situation s;
	for (int i = 0; i < SMTP_SITUATION_COUNT; i++) {
		assert_true(smtp_situation_find(str_of(smtp_situation_key[i]), &s));
		assert_int_equal(s, i); /* no key twice */
	}
	assert_false(smtp_situation_find(STR("mail"), &s));
	assert_false(smtp_situation_find(STR_NULL, &s));
	assert_int_equal(smtp_situation_class(SMTP_MAIL_OK), '2');
	assert_int_equal(smtp_situation_class(SMTP_RCPT_RELAY), 'r');
	assert_true(smtp_situation_closes(SMTP_SHUTDOWN) && smtp_situation_closes(SMTP_QUIT_OK) &&
		    smtp_situation_closes(SMTP_CONN_HTTP) &&
		    !smtp_situation_closes(SMTP_MAIL_NEEDTLS));
}

/* A full output buffer takes whole lines or nothing. */
static void
full(void **state)
{
	struct smtp_wording w = wording(SMTP_HELP_OK, "214 first\nsecond");
	struct buf out = BUF_INIT(12);
	smtp_reply_put(&out, &w, SMTP_HELP_OK, NULL);
	assert_true(out.failed && str_eq(buf_str(&out), STR("214-first\r\n")));
	buf_done(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(injection),
		cmocka_unit_test(cuts),
		cmocka_unit_test(parts),
		cmocka_unit_test(ehlo),
		cmocka_unit_test(keys),
		cmocka_unit_test(full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
