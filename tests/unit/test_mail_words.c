#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "mail/words.h"

static const struct {
	const char *in, *out;
} words[] = {
	{ "plain", "plain" },
	{ "", "" },
	{ "fol\r\n ded", "fol ded" },
	{ "fol\n\tded", "fol\tded" },
	{ "=?utf-8?q?J=C3=B6rg?=", "J\xc3\xb6rg" },
	{ "=?UTF-8?B?SsO2cmc=?= x", "J\xc3\xb6rg x" },
	{ "=?iso-8859-1?Q?J=F6rg_x?=", "J\xc3\xb6rg x" },
	{ "a =?utf-8?q?b?= =?utf-8?q?c?= d", "a bc d" },
	{ "=?utf-8?q?b?=\r\n =?utf-8?q?c?=", "bc" },
	{ "=?utf-8?q?b?= x =?utf-8?q?c?=", "b x c" },
	{ "=?utf-8?b?w7Y=?=", "\xc3\xb6" },
	{ "=?utf-8?q?=C3?= =?utf-8?q?=B6?=", "\xc3\xb6" }, /* cut in two */
	{ "=?utf-8?q?=C3?= =?iso-8859-1?q?=F6?=", "\xef\xbf\xbd\xc3\xb6" },
	{ "=?utf-8*en?q?x?=", "x" }, /* RFC 2231 5 */
	{ "=?x-nothing?q?x=C3=B6=F6?= y", "x\xc3\xb6\xef\xbf\xbd y" },
	{ "=?utf-8?x?x?=", "=?utf-8?x?x?=" },
	{ "=?utf-8?q?unclosed", "=?utf-8?q?unclosed" },
	{ "=?=?utf-8?q?x?=", "=?x" },
	{ "=?", "=?" },
	{ "a=?utf-8?q?b?=c", "abc" },
	{ "J\xf6rg \xc3\xb6", "J\xef\xbf\xbdrg \xc3\xb6" },
	{ "=?utf-8?q?a_=3D=zz?=", "a ==zz" },
};

static void
test_words(void **state)
{
	struct buf out = BUF_INIT(4096);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		buf_reset(&out);
		words_decode(NULL, str_of(words[i].in), &out);
		assert_string_equal(buf_cstr(&out), words[i].out);
	}
	buf_done(&out);
}

static const struct {
	const char *subject, *base;
	bool reply;
} subjects[] = {
	{ "Hello", "Hello", false },
	{ "", "", false },
	{ "Re: Hello", "Hello", true },
	{ "RE : re:Hello", "Hello", true },
	{ "Fwd: Fw: Hello", "Hello", true },
	{ "Re[2]: Hello", "Hello", true },
	{ "Hello (fwd) (FWD)", "Hello", true },
	{ "[list] Hello", "Hello", false },
	{ "[list] Re: [x] Hello", "Hello", true },
	{ "[a][b] Re: c", "c", true },
	{ "[only]", "[only]", false },
	{ "[a][only]", "[only]", false },
	{ "Re: [only]", "[only]", true },
	{ "[Fwd: Hello]", "Hello", true },
	{ "[fwd: [fwd: Re: Hello (fwd)]]", "Hello", true },
	{ "  a \t b  ", "a b", false },
	{ "Result: x", "Result: x", false },
	{ "Re:", "", true },
	{ "[unclosed Re: x", "[unclosed Re: x", false },
	{ "[a [b] c", "[a [b] c", false },
};

static void
test_subjects(void **state)
{
	struct buf out = BUF_INIT(4096);
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		bool reply;
		buf_reset(&out);
		words_base_subject(str_of(subjects[i].subject), &out, &reply);
		assert_string_equal(buf_cstr(&out), subjects[i].base);
		assert_int_equal(reply, subjects[i].reply);
	}
	buf_done(&out);
}

/* Long and wicked ones cost what their length is. */
static void
test_long_subjects(void **state)
{
	static const char *const bits[] = { "[a]", "Re:", "[fwd:", "(fwd)", "[", "=?", "=?a?q?x",
		"re[" };
	for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
		struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
		while (in.len < 200000)
			buf_putz(&in, bits[i]);
		words_base_subject(buf_str(&in), &out, NULL);
		buf_reset(&out);
		words_decode(NULL, buf_str(&in), &out);
		assert_false(out.failed);
		buf_done(&in);
		buf_done(&out);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_long_subjects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
