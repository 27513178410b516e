#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/date.h"

static const struct {
	int64_t sec;
	int zone;
	const char *out;
} rows[] = {
	{ 0, 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
	{ -1, 0, "Wed, 31 Dec 1969 23:59:59 +0000" },
	{ 1253881668, 120, "Fri, 25 Sep 2009 14:27:48 +0200" },
	{ 1253881668, 0, "Fri, 25 Sep 2009 12:27:48 +0000" },
	{ 1335569394, 0, "Fri, 27 Apr 2012 23:29:54 +0000" },
	{ 2147483647, 0, "Tue, 19 Jan 2038 03:14:07 +0000" },
	{ 2147483648, 0, "Tue, 19 Jan 2038 03:14:08 +0000" },
	{ -2147483648, 0, "Fri, 13 Dec 1901 20:45:52 +0000" },
	/* zones, also over the ends of day, month and year */
	{ 0, -1, "Wed, 31 Dec 1969 23:59:00 -0001" },
	{ 0, -480, "Wed, 31 Dec 1969 16:00:00 -0800" },
	{ 0, 330, "Thu, 1 Jan 1970 05:30:00 +0530" },
	{ 0, -210, "Wed, 31 Dec 1969 20:30:00 -0330" },
	{ 0, 840, "Thu, 1 Jan 1970 14:00:00 +1400" },
	{ 951782399, 60, "Tue, 29 Feb 2000 00:59:59 +0100" },
	{ 1704067199, 1, "Mon, 1 Jan 2024 00:00:59 +0001" },
	/* leap years: 2000 and 2024 are, 1900, 2023 and 2100 are not */
	{ 951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000" },
	{ 951868799, 0, "Tue, 29 Feb 2000 23:59:59 +0000" },
	{ 951868800, 0, "Wed, 1 Mar 2000 00:00:00 +0000" },
	{ 978220800, 0, "Sun, 31 Dec 2000 00:00:00 +0000" },
	{ 1677628799, 0, "Tue, 28 Feb 2023 23:59:59 +0000" },
	{ 1677628800, 0, "Wed, 1 Mar 2023 00:00:00 +0000" },
	{ 1709164800, 0, "Thu, 29 Feb 2024 00:00:00 +0000" },
	{ 1709251200, 0, "Fri, 1 Mar 2024 00:00:00 +0000" },
	{ -2203977600, 0, "Wed, 28 Feb 1900 00:00:00 +0000" },
	{ -2203891200, 0, "Thu, 1 Mar 1900 00:00:00 +0000" },
	{ 4107456000, 0, "Sun, 28 Feb 2100 00:00:00 +0000" },
	{ 4107542400, 0, "Mon, 1 Mar 2100 00:00:00 +0000" },
	/* the ends of what four digits hold */
	{ 253402300799, 0, "Fri, 31 Dec 9999 23:59:59 +0000" },
	{ -62135596800, 0, "Mon, 1 Jan 0001 00:00:00 +0000" },
	{ -62167219200, 0, "Sat, 1 Jan 0000 00:00:00 +0000" },
};

static void
rfc5322(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(100);
		date_rfc5322(&b, rows[i].sec, rows[i].zone);
		assert_string_equal(buf_cstr(&b), rows[i].out);
		buf_done(&b);
	}
}

static void
rfc3339(void **state)
{
	static const struct {
		int64_t ms;
		const char *out;
	} times[] = {
		{ 1253881668123, "2009-09-25T12:27:48.123Z" },
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 999, "1970-01-01T00:00:00.999Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ -1000, "1969-12-31T23:59:59.000Z" },
		{ 1709164800001, "2024-02-29T00:00:00.001Z" },
	};
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		struct buf b = BUF_INIT(100);
		date_rfc3339(&b, times[i].ms);
		assert_string_equal(buf_cstr(&b), times[i].out);
		buf_done(&b);
	}
}

static void
asctime_form(void **state)
{
	struct buf b = BUF_INIT(100);
	date_asctime(&b, 1253881668);
	buf_putc(&b, '|');
	date_asctime(&b, 0);
	assert_string_equal(buf_cstr(&b), "Fri Sep 25 12:27:48 2009|Thu Jan  1 00:00:00 1970");
	buf_done(&b);
}

static int
days_in(int year, int mon)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[mon - 1] + (mon == 2 && leap);
}

/* Every day of 2600 years, by counting. */
static void
every_day(void **state)
{
	struct date d = { .year = 1, .mon = 1, .day = 1, .wday = 1 };
	for (int64_t sec = -62135596800; d.year < 2600; sec += 86400) {
		struct date got = date_of(sec + 86399, 0);
		if (got.year != d.year || got.mon != d.mon || got.day != d.day ||
		    got.wday != d.wday || got.hour != 23 || got.min != 59 || got.sec != 59)
			fail_msg("%lld: %d-%d-%d", (long long)sec, got.year, got.mon, got.day);
		d.wday = (d.wday + 1) % 7;
		if (++d.day <= days_in(d.year, d.mon))
			continue;
		d.day = 1;
		if (++d.mon <= 12)
			continue;
		d.mon = 1;
		d.year++;
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc5322),
		cmocka_unit_test(rfc3339),
		cmocka_unit_test(asctime_form),
		cmocka_unit_test(every_day),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
