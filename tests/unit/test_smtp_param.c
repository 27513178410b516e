/* ESMTP parameters as rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "smtp/param.h"

static const struct row {
	enum param_verb verb;
	const char *args;
	enum param_verdict v;
	const char *bad;
	bool utf8;
} rows[] = {
	{ PARAM_MAIL, "", PARAM_OK },
	{ PARAM_MAIL, "   ", PARAM_OK },
	{ PARAM_MAIL, "SIZE=0", PARAM_OK },
	{ PARAM_MAIL, "size=12345678901234567890", PARAM_OK },
	{ PARAM_MAIL, "SIZE=99999999999999999999", PARAM_OK },
	{ PARAM_MAIL, "SIZE=000000000000000000001", PARAM_VALUE, "000000000000000000001" },
	{ PARAM_MAIL, "SIZE", PARAM_VALUE, "SIZE" },
	{ PARAM_MAIL, "SIZE=", PARAM_VALUE, "SIZE=" },
	{ PARAM_MAIL, "SIZE=1k", PARAM_VALUE, "1k" },
	{ PARAM_MAIL, "SIZE=-1", PARAM_VALUE, "-1" },
	{ PARAM_MAIL, "SIZE=1 size=1", PARAM_VALUE, "1" },
	{ PARAM_MAIL, "BODY=7bit", PARAM_OK },
	{ PARAM_MAIL, "BODY=8BITMIME", PARAM_OK },
	{ PARAM_MAIL, "BODY=BinaryMime", PARAM_OK },
	{ PARAM_MAIL, "BODY=9BIT", PARAM_VALUE, "9BIT" },
	{ PARAM_MAIL, "BODY", PARAM_VALUE, "BODY" },
	{ PARAM_MAIL, "SMTPUTF8", PARAM_OK },
	{ PARAM_MAIL, "SMTPUTF8=yes", PARAM_VALUE, "yes" },
	{ PARAM_MAIL, "SMTPUTF8=", PARAM_VALUE, "SMTPUTF8=" },
	{ PARAM_MAIL, "RET=FULL", PARAM_OK },
	{ PARAM_MAIL, "RET=hdrs", PARAM_OK },
	{ PARAM_MAIL, "RET=SOME", PARAM_VALUE, "SOME" },
	{ PARAM_MAIL, "ENVID=a+2Bb", PARAM_OK },
	{ PARAM_MAIL, "ENVID=a+2bb", PARAM_VALUE, "a+2bb" },
	{ PARAM_MAIL, "ENVID=a+2", PARAM_VALUE, "a+2" },
	{ PARAM_MAIL, "ENVID=", PARAM_VALUE, "ENVID=" },
	{ PARAM_MAIL, "ENVID=a=b", PARAM_VALUE, "a=b" },
	{ PARAM_MAIL, "ENVID=\x7f", PARAM_VALUE, "\x7f" },
	{ PARAM_MAIL, "AUTH=<>", PARAM_OK },
	{ PARAM_MAIL, "AUTH=e+3Dmc2@example.com", PARAM_OK },
	{ PARAM_MAIL, "AUTH=", PARAM_VALUE, "AUTH=" },
	{ PARAM_MAIL, "FOO", PARAM_UNKNOWN, "FOO" },
	{ PARAM_MAIL, "FOO=1 SIZE=x", PARAM_UNKNOWN, "FOO=1" },
	{ PARAM_MAIL, "SIZE=x FOO=1", PARAM_VALUE, "x" },
	{ PARAM_MAIL, "=x", PARAM_UNKNOWN, "=x" },
	{ PARAM_MAIL, "NOTIFY=NEVER", PARAM_UNKNOWN, "NOTIFY=NEVER" },
	{ PARAM_RCPT, "SIZE=1", PARAM_UNKNOWN, "SIZE=1" },
	{ PARAM_RCPT, "NOTIFY=NEVER", PARAM_OK },
	{ PARAM_RCPT, "NOTIFY=success,FAILURE,delay", PARAM_OK },
	{ PARAM_RCPT, "NOTIFY=NEVER,DELAY", PARAM_VALUE, "NEVER,DELAY" },
	{ PARAM_RCPT, "NOTIFY=DELAY,NEVER", PARAM_VALUE, "DELAY,NEVER" },
	{ PARAM_RCPT, "NOTIFY=DELAY,DELAY", PARAM_VALUE, "DELAY,DELAY" },
	{ PARAM_RCPT, "NOTIFY=DELAY,", PARAM_VALUE, "DELAY," },
	{ PARAM_RCPT, "NOTIFY=,", PARAM_VALUE, "," },
	{ PARAM_RCPT, "NOTIFY", PARAM_VALUE, "NOTIFY" },
	{ PARAM_RCPT, "ORCPT=rfc822;a@b.c", PARAM_OK },
	{ PARAM_RCPT, "ORCPT=rfc822", PARAM_VALUE, "rfc822" },
	{ PARAM_RCPT, "ORCPT=;a", PARAM_VALUE, ";a" },
	{ PARAM_RCPT, "ORCPT=rfc822;", PARAM_VALUE, "rfc822;" },
	{ PARAM_RCPT, "ORCPT=a@b;c", PARAM_VALUE, "a@b;c" },
	{ PARAM_RCPT, "ORCPT=rfc822;a+0", PARAM_VALUE, "rfc822;a+0" },
	{ PARAM_RCPT, "ORCPT=utf-8;\xc3\xa9@b", PARAM_VALUE, "utf-8;\xc3\xa9@b" },
	{ PARAM_RCPT, "ORCPT=utf-8;\xc3\xa9@b", PARAM_OK, NULL, true },
	{ PARAM_RCPT, "ORCPT=utf-8;\xc3@b", PARAM_VALUE, "utf-8;\xc3@b", true },
	{ PARAM_RCPT, "ORCPT=utf-8;\xc3\xa9+@b", PARAM_VALUE, "utf-8;\xc3\xa9+@b", true },
	{ PARAM_RCPT, "ORCPT=rfc822;\xc3\xa9@b", PARAM_VALUE, "rfc822;\xc3\xa9@b", true },
	{ PARAM_RCPT, "ORCPT=utf-8;\\x{E9}@b", PARAM_OK },
	{ PARAM_RCPT, "ORCPT=rfc822;a ORCPT=rfc822;a", PARAM_VALUE, "rfc822;a" },
};

static void
parameters(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct smtp_params p = { .utf8 = r->utf8 };
		enum param_verdict v = smtp_params_parse(str_of(r->args), r->verb, &p);
		if (v != r->v || !str_eq(p.bad, str_of(r->bad)))
			fail_msg("%s: verdict %d, bad \"" STR_FMT "\"", r->args, v, STR_ARG(p.bad));
	}
}

static void
values(void **state)
{
	struct smtp_params p = { 0 };
	struct str args = STR("FOO SIZE=77 BODY=BINARYMIME RET=FULL ENVID=x SMTPUTF8");
	assert_int_equal(smtp_params_parse(args, PARAM_MAIL, &p), PARAM_UNKNOWN);
	assert_true(p.size == 77 && p.body == BODY_BINARYMIME && p.utf8);
	assert_true(str_eq(p.ret, STR("FULL")) && str_eq(p.envid, STR("x")));
	p = (struct smtp_params){ 0 };
	assert_int_equal(smtp_params_parse(STR("SIZE=99999999999999999999"), PARAM_MAIL, &p),
	    PARAM_OK);
	assert_true(p.size == UINT64_MAX);
	p = (struct smtp_params){ 0 };
	assert_int_equal(smtp_params_parse(STR("NOTIFY=Success,FAILURE ORCPT=rfc822;a"), PARAM_RCPT,
			     &p),
	    PARAM_OK);
	assert_int_equal(p.notify, NOTIFY_SUCCESS | NOTIFY_FAILURE);
	assert_true(str_eq(p.notify_text, STR("Success,FAILURE")) &&
		    str_eq(p.orcpt, STR("rfc822;a")));
}

static void
too_long(void **state)
{
	char text[700];
	memset(text, 'x', sizeof(text));
	memcpy(text, "ENVID=", 6);
	struct smtp_params p = { 0 };
	assert_int_equal(smtp_params_parse(str_n(text, 6 + PARAM_ENVID_MAX), PARAM_MAIL, &p),
	    PARAM_OK);
	p = (struct smtp_params){ 0 };
	assert_int_equal(smtp_params_parse(str_n(text, 7 + PARAM_ENVID_MAX), PARAM_MAIL, &p),
	    PARAM_VALUE);
	memcpy(text, "ORCPT=a;", 8);
	p = (struct smtp_params){ 0 };
	assert_int_equal(smtp_params_parse(str_n(text, 6 + PARAM_ORCPT_MAX), PARAM_RCPT, &p),
	    PARAM_OK);
	p = (struct smtp_params){ 0 };
	assert_int_equal(smtp_params_parse(str_n(text, 7 + PARAM_ORCPT_MAX), PARAM_RCPT, &p),
	    PARAM_VALUE);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters),
		cmocka_unit_test(values),
		cmocka_unit_test(too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
