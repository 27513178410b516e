#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "mail/find.h"

static const char letter[] =
    "Subject: =?iso-8859-1?q?Gr=FC=DFe?= aus K\xc3\xb6ln\r\n"
    "From: Ann\r\n <ann@example.com>\r\n"
    "X-Empty:\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "prologue\r\n"
    "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\nein l=E4nge=\r\nres Wort\r\n"
    "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "PHA+aGlkZGVuPC9wPg==\r\n"
    "--b\r\nContent-Type: image/png\r\n\r\nnotext\r\n"
    "--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner subject\r\n\r\ninner text\r\n"
    "--b--\r\nepilogue\r\n";

static const struct {
	enum find_where where;
	const char *field, *needle;
	bool there;
} rows[] = {
	{ FIND_TEXT, "",
	    "gr\xc3\xbc\xc3\x9f"
	    "e aus k\xc3\xb6ln",
	    true },
	{ FIND_BODY, "",
	    "gr\xc3\xbc\xc3\x9f"
	    "e",
	    false },
	{ FIND_HEADER, "subject", "GR\xc3\x9c", true },
	{ FIND_HEADER, "From", "ann <ann@", true },
	{ FIND_HEADER, "From", "gr\xc3\xbc", false },
	{ FIND_HEADER, "X-Empty", "", true },
	{ FIND_HEADER, "X-None", "", false },
	{ FIND_HEADER, "subject", "inner", false },
	{ FIND_TEXT, "", "Subject: Gr", true },
	{ FIND_BODY, "", "l\xc3\x84ngeres wort", true },
	{ FIND_TEXT, "", "hidden", true },
	{ FIND_TEXT, "", "notext", false },
	{ FIND_BODY, "", "inner subject", false }, /* RFC 9051 6.4.4 */
	{ FIND_TEXT, "", "inner subject", true },
	{ FIND_BODY, "", "image/png", false },
	{ FIND_BODY, "", "action: failed", true },
	{ FIND_TEXT, "", "image/png", true },
	{ FIND_BODY, "", "inner text", true },
	{ FIND_TEXT, "", "nowhere", false },
	{ FIND_TEXT, "", "wort<p>", false }, /* not across parts */
	{ FIND_BODY, "", "", true },
};

static void
run(size_t first, size_t step)
{
	struct find_ask asks[ARRAY_LEN(rows)];
	struct needle *needles[ARRAY_LEN(rows)];
	struct str s = str_n(letter, sizeof(letter) - 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		needles[i] = needle_new(str_of(rows[i].needle));
		asks[i] = (struct find_ask){ rows[i].where, str_of(rows[i].field), needles[i] };
	}
	struct find *f = find_new(NULL, asks, ARRAY_LEN(rows));
	(void)find_feed(f, str_first(s, first));
	for (s = str_skip(s, first); s.len; s = str_skip(s, step))
		assert_false(find_feed(f, str_first(s, step)));
	find_end(f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(find_found(f, i), rows[i].there);
		needle_free(needles[i]);
	}
	find_free(f);
}

static void
test_all_at_once(void **state)
{
	run(SIZE_MAX, 1);
	run(0, 1);
	run(0, 7);
	for (size_t at = 0; at < sizeof(letter); at++)
		run(at, SIZE_MAX);
}

/* A question about the header needs no more of the letter, one that is answered neither. */
static void
test_stops(void **state)
{
	struct needle *n = needle_new(STR("ann"));
	struct find_ask ask = { FIND_HEADER, STR("from"), n };
	struct find *f = find_new(NULL, &ask, 1);
	assert_false(find_feed(f, STR("Subject: x\r\n")));
	assert_true(find_feed(f, STR("From: Ann\r\nTo: b\r\n\r\nx")));
	assert_true(find_found(f, 0));
	find_free(f);
	f = find_new(NULL, &ask, 1);
	assert_false(find_feed(f, STR("Subject: x\r\n")));
	assert_true(find_feed(f, STR("\r\n")));
	assert_false(find_found(f, 0));
	find_end(f);
	find_free(f);
	needle_free(n);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_stops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
