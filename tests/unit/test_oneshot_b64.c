#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "oneshot/b64_text.h"

#define S(lit)                                                                                     \
	{                                                                                          \
		"" lit, sizeof(lit) - 1                                                            \
	}

static const struct {
	struct str in, out;
	const char *note, *err; /* a part of it, or NULL */
} rows[] = {
	{ S(""), S(""), NULL, NULL },
	{ S("VXNlcm5hbWU6"), S("Username:"), NULL, NULL },
	{ S(" VXNl\r\ncm5h\n\tbWU6\n"), S("Username:"), NULL, NULL },
	{ S("AGEAYg=="), S("\0a\0b"), NULL, NULL },
	{ S("AGEAYg"), S("\0a\0b"), "2 '=' missing", NULL },
	{ S("AGEAYg="), S("\0a\0b"), "1 '=' missing", NULL },
	{ S("AGEAYh=="), S("\0a\0b"), "cut off", NULL },
	{ S("/+8="), S("\xff\xef"), NULL, NULL },
	{ S("_-8="), S(""), NULL, "octet 1, '_', is no base64: it is of the alphabet for URLs" },
	{ S("VXNl\ncm*h"), S(""), NULL, "octet 8 (line 2, column 3), '*'" },
	{ S("VXNl\x1b"), S(""), NULL, "'\\x1b'" },
	{ S("VXNlY"), S(""), NULL, "one character is left over" },
	{ S("AGEAYg==AGEAYg=="), S(""), NULL, "octet 9: base64 ends" },
	{ S("="), S(""), NULL, "octet 1, '='" },
	{ S("AG==="), S(""), NULL, "octet 5, '='" },
	{ S("A==="), S(""), NULL, "octet 2, '='" },
};

static void
test_dec(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = BUF_INIT(256), note = BUF_INIT(256), err = BUF_INIT(256);
		bool ok = b64_dec(rows[i].in, &out, &note, &err);
		assert_int_equal(ok, rows[i].err == NULL);
		if (ok) {
			assert_int_equal(out.len, rows[i].out.len);
			assert_true(str_eq(buf_str(&out), rows[i].out));
		} else if (!strstr(buf_cstr(&err), rows[i].err)) {
			fail_msg("%s", buf_cstr(&err));
		}
		assert_int_equal(note.len > 0, rows[i].note != NULL);
		if (rows[i].note)
			assert_non_null(strstr(buf_cstr(&note), rows[i].note));
		buf_done(&out);
		buf_done(&note);
		buf_done(&err);
	}
}

/* Seed 001 l. 153-156; RFC 2195 2. */
static void
test_answers(void **state)
{
	struct buf out = BUF_INIT(256);

	b64_plain(STR(""), STR("moonpoint@example.com"), STR("SomePassword"), &out);
	assert_true(str_eq(buf_str(&out), STR("AG1vb25wb2ludEBleGFtcGxlLmNvbQBTb21lUGFzc3dvcmQ=")));
	buf_reset(&out);
	assert_true(b64_cram(STR("tim"), STR("tanstaaftanstaaf"),
	    STR("<1896.697170952@postoffice.reston.mci.net>"), &out));
	assert_true(str_eq(buf_str(&out), STR("dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw")));
	buf_done(&out);
}

static void
test_parts(void **state)
{
	struct str z, u, p;

	assert_true(b64_plain_parts(STR("\0joe\0secret"), &z, &u, &p));
	assert_int_equal(z.len, 0);
	assert_true(str_eq(u, STR("joe")) && str_eq(p, STR("secret")));
	assert_true(b64_plain_parts(STR("z\0joe\0"), &z, &u, &p));
	assert_int_equal(p.len, 0);
	assert_false(b64_plain_parts(STR("joe\0secret"), &z, &u, &p));
	assert_false(b64_plain_parts(STR("\0joe\0secret\0"), &z, &u, &p));
	assert_false(b64_plain_parts(STR("\0\0secret"), &z, &u, &p));
	assert_false(b64_plain_parts(STR("\0joe\0se\ncret"), &z, &u, &p));
	assert_false(b64_plain_parts(STR(""), &z, &u, &p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dec),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
