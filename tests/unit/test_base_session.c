#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/session.h"

static void
http_is_seen(void **state)
{
	static const struct {
		const char *line;
		bool http;
	} rows[] = {
		{ "GET / HTTP/1.1", true },
		{ "POST  /mail HTTP/2", true },
		{ "get / HTTP/1.1", false },
		{ "EHLO client.example", false },
		{ "NOOP HTTP/1.1", false },
		{ "A1 LOGIN HTTP/1.1", false },
		{ "", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(session_is_http(str_of(rows[i].line)), rows[i].http);
}

static void
deadlines_end_in_never(void **state)
{
	assert_int_equal(session_deadline(500, 2), 2500);
	assert_int_equal(session_deadline(500, UINT64_MAX), INT64_MAX);
	assert_int_equal(session_deadline(500, UINT64_MAX / 2), INT64_MAX);
	assert_int_equal(session_deadline(INT64_MAX - 1, 1), INT64_MAX);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_is_seen),
		cmocka_unit_test(deadlines_end_in_never),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
