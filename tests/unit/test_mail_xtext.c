#include "base/check.h"
#include "mail/xtext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* RFC 3461 4 */
static const struct {
	const char *xtext, *octets; /* NULL: none */
} rows[] = {
	{ "abc", "abc" },
	{ "a+2Bb", "a+b" },
	{ "+3D", "=" },
	{ "+0D+0A", "\r\n" },
	{ "", NULL },
	{ "a=b", NULL },
	{ "a b", NULL },
	{ "+", NULL },
	{ "+2", NULL },
	{ "+2b", NULL },
	{ "+ZZ", NULL },
	{ "\xc3\xbc", NULL },
};

/* RFC 6533 3 */
static const struct {
	const char *form, *address;
} addresses[] = {
	{ "joe@example.com", "joe@example.com" },
	{ "j\\x{F6}rg@example.com", "j\xc3\xb6rg@example.com" },
	{ "\\x{20AC}\\x{1F600}@example.com", "\xe2\x82\xac\xf0\x9f\x98\x80@example.com" },
	{ "a\\x{2B}b\\x{5C}@example.com", "a+b\\@example.com" },
	{ "j\xc3\xb6rg@example.com", "j\xc3\xb6rg@example.com" },
	{ "", NULL },
	{ "a b", NULL },
	{ "a+b", NULL },
	{ "\\x{}", NULL },
	{ "\\x{F6", NULL },
	{ "\\x{D800}", NULL },
	{ "\\x{110000}", NULL },
	{ "\\x{FFFFFF}", NULL },
	{ "\\x{1000000}", NULL },
	{ "\\x{A}", NULL },
	{ "\\y", NULL },
	{ "\xff", NULL },
};

static void
check_one(bool (*fn)(struct buf *out, struct str s), const char *in, const char *out)
{
	struct buf b = BUF_INIT(1000);
	buf_putz(&b, "before ");
	bool good = fn(&b, str_of(in));
	if (good != (out != NULL) ||
	    !str_eq(str_skip(buf_str(&b), 7), out ? str_of(out) : STR_NULL))
		fail_msg("\"%s\" became \"%s\"", in, buf_cstr(&b));
	buf_done(&b);
}

static void
test_xtext(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_one(xtext_decode, rows[i].xtext, rows[i].octets);
		assert_int_equal(xtext_valid(str_of(rows[i].xtext)), rows[i].octets != NULL);
	}
}

static void
test_addresses(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		check_one(xtext_utf8_decode, addresses[i].form, addresses[i].address);
		if (!addresses[i].address)
			continue;
		struct buf b = BUF_INIT(1000);
		xtext_utf8_put(&b, str_of(addresses[i].address));
		check_one(xtext_utf8_decode, buf_cstr(&b), addresses[i].address);
		buf_done(&b);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
