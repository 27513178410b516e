#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base64.h"

static const struct {
	struct str plain;
	const char *coded;
} rows[] = {
#define S(lit)                                                                                     \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}
	/* RFC 4648 section 10 */
	{ S(""), "" },
	{ S("f"), "Zg==" },
	{ S("fo"), "Zm8=" },
	{ S("foo"), "Zm9v" },
	{ S("foob"), "Zm9vYg==" },
	{ S("fooba"), "Zm9vYmE=" },
	{ S("foobar"), "Zm9vYmFy" },
	{ S("Username:"), "VXNlcm5hbWU6" },
	{ S("\0user\0pass"), "AHVzZXIAcGFzcw==" },
	{ S("\xff\xfe\xfd"), "//79" },
	{ S("\xfb\xef\xbe"), "++++" },
	{ S("\0\0\0"), "AAAA" },
};

static void
both_ways(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(100);
		base64_enc(&b, rows[i].plain);
		assert_true(str_eq(buf_str(&b), str_of(rows[i].coded)));
		buf_reset(&b);
		buf_putz(&b, "x");
		assert_true(base64_dec(&b, str_of(rows[i].coded)));
		assert_true(str_eq(str_skip(buf_str(&b), 1), rows[i].plain));
		buf_done(&b);
	}
}

static const char *const wrong[] = {
	"Z",
	"Zg",
	"Zg=",
	"Zg===",
	"=",
	"==",
	"===",
	"====",
	"Z===",
	"Zm8",
	"Zm9v=",
	"Zg==Zg==",
	"Zm8=Zm8=",
	"Z=g=",
	"Zh==",
	"Zm9=",
	"Zm9\n",
	"Zm 9",
	"Zm9v\r\n",
	" Zg=",
	"Zg-_",
	"Zm8*",
	"Zm8\x80",
	"=AAA",
	"A=AA",
	"*",
};

static void
refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct buf b = BUF_INIT(100);
		buf_putz(&b, "before");
		if (base64_dec(&b, str_of(wrong[i])))
			fail_msg("%s", wrong[i]);
		assert_string_equal(buf_cstr(&b), "before");
		buf_done(&b);
	}
	struct buf b = BUF_INIT(100);
	assert_false(base64_dec(&b, STR("AA\0A")));
	assert_true(base64_dec(&b, STR_NULL));
	buf_done(&b);
}

static void
all_octets_and_lengths(void **state)
{
	char text[256];
	for (int i = 0; i < 256; i++)
		text[i] = (char)(i * 7);
	for (size_t n = 0; n <= sizeof(text); n++) {
		struct buf coded = BUF_INIT(1000), plain = BUF_INIT(1000);
		base64_enc(&coded, str_n(text, n));
		assert_int_equal(coded.len, (n + 2) / 3 * 4);
		assert_true(base64_dec(&plain, buf_str(&coded)));
		assert_true(str_eq(buf_str(&plain), str_n(text, n)));
		buf_done(&coded);
		buf_done(&plain);
	}
}

static void
no_room(void **state)
{
	struct buf b = BUF_INIT(5);
	assert_false(base64_dec(&b, STR("Zm9vYmFy")));
	assert_int_equal(b.len, 0);
	assert_true(b.failed);
	buf_done(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(refused),
		cmocka_unit_test(all_octets_and_lengths),
		cmocka_unit_test(no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
