/* Policies of MTA-STS: records, pages, patterns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "smtp/sts.h"

static const struct {
	const char *text, *id; /* NULL: it is no record */
} records[] = {
	{ "v=STSv1; id=20160831085700Z;", "20160831085700Z" },
	{ "v=STSv1;id=a", "a" },
	{ "v=STSv1 ; x=y ; id = abc ; ", "abc" },
	{ "v=STSv1; id=1; id=2;", "1" },
	{ "v=STSv1; id=12345678901234567890123456789012", "12345678901234567890123456789012" },
	{ "v=STSv1; id=123456789012345678901234567890123", NULL },
	{ "v=STSv1; id=", NULL },
	{ "v=STSv1; id=a-b", NULL },
	{ "v=STSv1;", NULL },
	{ "v=STSv1", NULL },
	{ "v=STSv1; id", NULL },
	{ "v=STSv1;; id=1", NULL },
	{ "v=STSv10; id=1", NULL },
	{ "V=STSv1; id=1", NULL },
	{ "id=1; v=STSv1", NULL },
	{ "", NULL },
};

static void
test_records(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		struct str id = STR("none");
		bool ok = sts_record(str_of(records[i].text), &id);
		if (ok != (records[i].id != NULL) ||
		    !str_eq(id, str_of(ok ? records[i].id : "none")))
			fail_msg("%s: %d " STR_FMT, records[i].text, ok, STR_ARG(id));
	}
}

#define HEAD "version: STSv1\nmode: enforce\nmax_age: 86400\n"

static const struct {
	const char *text;
	int mode; /* -1: none */
	uint32_t age;
	size_t n;
	const char *says; /* what the sentence has in it */
} pages[] = {
	{ HEAD "mx: mail.example.com\n", STS_ENFORCE, 86400, 1 },
	{ "version: STSv1\r\nmode: testing\r\nmx: a.example.com\r\nmx: *.example.net\r\n"
	  "max_age: 31557600",
	    STS_TESTING, 31557600, 2 },
	{ "max_age:0 \t\nmode:none\nversion:STSv1\n\n", STS_NONE, 0, 0 },
	{ HEAD "mx:a\nmode: none\nmax_age: rubbish\nversion: STSv2\n", STS_ENFORCE, 86400, 1 },
	{ HEAD "mx: a\nnew-field.1_x: anything = \xc3\xbc\n", STS_ENFORCE, 86400, 1 },
	{ HEAD, -1, 0, 0, "lacks any mx" },
	{ "mode: enforce\nmax_age: 1\nmx: a\n", -1, 0, 0, "lacks version" },
	{ "version: STSv1\nmax_age: 1\nmx: a\n", -1, 0, 0, "lacks a mode" },
	{ "version: STSv1\nmode: none\n", -1, 0, 0, "lacks max_age" },
	{ "", -1, 0, 0, "lacks version" },
	{ "version: STSv2\n", -1, 0, 0, "line 1 of the policy: the version" },
	{ "version: STSv1\nmode: Enforce\n", -1, 0, 0, "line 2 of the policy: the mode" },
	{ "version: STSv1\nmax_age: 31557601\n", -1, 0, 0, "max_age is not" },
	{ "max_age: -1\n", -1, 0, 0, "max_age is not" },
	{ "max_age: 00000000001\n", -1, 0, 0, "max_age is not" },
	{ "max_age:\n", -1, 0, 0, "max_age is not" },
	{ HEAD "mx: *\n", -1, 0, 0, "line 4 of the policy: mx" },
	{ HEAD "mx: *.*.example.com\n", -1, 0, 0, "mx is not" },
	{ HEAD "mx: a.*.example.com\n", -1, 0, 0, "mx is not" },
	{ HEAD "mx: mail*.example.com\n", -1, 0, 0, "mx is not" },
	{ HEAD "mx: .example.com\n", -1, 0, 0, "mx is not" },
	{ HEAD "mx: example.com.\n", -1, 0, 0, "mx is not" },
	{ HEAD "mx: a b\n", -1, 0, 0, "mx is not" },
	{ HEAD "mx: -a.example\n", -1, 0, 0, "mx is not" },
	{ HEAD "mx: [192.0.2.1]\n", -1, 0, 0, "mx is not" },
	{ HEAD "mx:\n", -1, 0, 0, "mx is not" },
	{ HEAD "mx a\n", -1, 0, 0, "NAME: VALUE" },
	{ HEAD "mx : a\n", -1, 0, 0, "NAME: VALUE" },
	{ HEAD " mx: a\n", -1, 0, 0, "NAME: VALUE" },
	{ HEAD "mx: a\rmx: b\n", -1, 0, 0, "control character" },
	{ "<html>\n", -1, 0, 0, "NAME: VALUE" },
};

static void
test_pages(void **state)
{
	static struct sts_policy p;

	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		struct buf err = BUF_INIT(1024);
		bool ok = sts_parse(str_of(pages[i].text), &p, &err);
		if (ok != (pages[i].mode >= 0) || (ok && (int)p.mode != pages[i].mode) ||
		    p.max_age != pages[i].age || p.n != pages[i].n)
			fail_msg("page %zu: %d, mode %d, age %u, %zu mx, " STR_FMT, i, ok, p.mode,
			    p.max_age, p.n, STR_ARG(buf_str(&err)));
		if (pages[i].says && str_find_str(buf_str(&err), str_of(pages[i].says)) == err.len)
			fail_msg("page %zu: " STR_FMT, i, STR_ARG(buf_str(&err)));
		buf_done(&err);
	}
}

static void
test_too_much(void **state)
{
	static struct sts_policy p;
	struct buf b = BUF_INIT(256u << 10), err = BUF_INIT(1024);

	buf_putz(&b, HEAD);
	for (size_t i = 0; i < STS_MX_MAX; i++)
		buf_putf(&b, "mx: mx%zu.example.com\n", i);
	assert_true(sts_parse(buf_str(&b), &p, &err));
	assert_int_equal(p.n, STS_MX_MAX);
	buf_putz(&b, "mx: one.more\n");
	assert_false(sts_parse(buf_str(&b), &p, &err));
	assert_int_equal(p.n, 0);
	while (b.len <= STS_POLICY_MAX)
		buf_putc(&b, '\n');
	buf_reset(&err);
	assert_false(sts_parse(buf_str(&b), &p, &err));
	assert_true(str_find_str(buf_str(&err), STR("longer than")) < err.len);
	buf_done(&b);
	buf_done(&err);
}

static const struct {
	const char *pattern, *host;
	bool match;
} matches[] = {
	{ "mail.example.com", "mail.example.com", true },
	{ "mail.example.com", "MAIL.Example.COM.", true },
	{ "mail.example.com", "mail2.example.com", false },
	{ "mail.example.com", "a.mail.example.com", false },
	{ "*.example.com", "mail.example.com", true },
	{ "*.EXAMPLE.com", "mail.example.com.", true },
	{ "*.example.com", "example.com", false },
	{ "*.example.com", "a.mail.example.com", false },
	{ "*.example.com", ".example.com", false },
	{ "*.example.com", "mail.example.org", false },
	{ "*.com", "com", false },
	{ "example.com", "", false },
	{ "*.example.com", "a..example.com", false },
};

static void
test_matches(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(matches); i++)
		if (sts_match(str_of(matches[i].pattern), str_of(matches[i].host)) !=
		    matches[i].match)
			fail_msg("%s %s", matches[i].pattern, matches[i].host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_matches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
