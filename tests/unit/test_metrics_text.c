/* Rows of several roles become one text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct str
rows_of(struct buf *b, uint64_t n, uint64_t us)
{
	static const struct metric_label smtp = { "protocol", { "smtp", 4 } },
					 odd = { "destination", { "a\"b\\c\nd", 7 } };
	struct histogram h = { { 0 }, 0 };
	*b = BUF_INIT(METRICS_ROWS_MAX);
	metrics_put(b, METRIC_CONNECTIONS, &smtp, 1, n);
	metrics_put(b, METRIC_QUEUE_DESTINATION, &odd, 1, n);
	METRICS_PUT(b, METRIC_GROUPS, n);
	histogram_add(&h, METRIC_ACCEPT_SECONDS, us);
	histogram_add(&h, METRIC_ACCEPT_SECONDS, 1500000);
	metrics_put_histogram(b, METRIC_ACCEPT_SECONDS, NULL, 0, &h);
	return buf_str(b);
}

static bool
has(const struct buf *b, const char *text)
{
	return str_find_str(buf_str(b), str_of(text)) < b->len;
}

static void
rows_are_added_up(void **state)
{
	struct metrics_sum *s = metrics_sum_new();
	struct buf a, b, out = BUF_INIT(METRICS_TEXT_MAX);
	assert_true(metrics_sum_add(s, rows_of(&a, 3, 400)));
	assert_true(metrics_sum_add(s, rows_of(&b, 4, 90000000)));
	metrics_sum_put(s, &out);
	assert_true(has(&out, "# HELP pennypost_connections Connections that are open.\n"
			      "# TYPE pennypost_connections gauge\n"
			      "pennypost_connections{protocol=\"smtp\"} 7\n"));
	assert_true(has(&out, "# TYPE pennypost_store_syncs_total counter\n"
			      "pennypost_store_syncs_total 7\n"));
	assert_true(has(&out, "pennypost_accept_seconds_bucket{le=\"0.0005\"} 1\n"));
	assert_true(has(&out, "pennypost_accept_seconds_bucket{le=\"1\"} 1\n"));
	assert_true(has(&out, "pennypost_accept_seconds_bucket{le=\"2.5\"} 3\n"));
	assert_true(has(&out, "pennypost_accept_seconds_bucket{le=\"30\"} 3\n"));
	assert_true(has(&out, "pennypost_accept_seconds_bucket{le=\"+Inf\"} 4\n"
			      "pennypost_accept_seconds_sum 93.0004\n"
			      "pennypost_accept_seconds_count 4\n"));
	/* utf8_escape() makes the control octet visible; quote and backslash are escaped. */
	assert_true(has(&out, "{destination=\"a\\\"b\\\\"));
	assert_false(has(&out, "c\nd"));
	metrics_sum_free(s);
	buf_done(&a);
	buf_done(&b);
	buf_done(&out);
}

static void
what_is_no_row_is_refused(void **state)
{
	static const char *const bad[] = {
		"pennypost_connections 1", /* no line end */
		"pennypost_connections\n",
		"pennypost_connections  \n",
		"pennypost_connections -1\n",
		"pennypost_connections 1.5\n",
		"pennypost_connections 99999999999999999999\n",
		"pennypost_nothing 1\n",
		"pennypost_connections_bucket 1\n",
		"pennypost_accept_seconds 1\n",
		"pennypost_accept_seconds_total 1\n",
		"pennypost_connections{} 1\n",
		"pennypost_connections{a=1} 1\n",
		"pennypost_connections{a=\"1\" 1\n",
		"pennypost_connections{a=\"1\"}x 1\n",
		"pennypost_connections{a=\"1\",} 1\n",
		"pennypost_connections{A=\"1\"} 1\n",
		"pennypost_connections{a=\"\\x\"} 1\n",
		"pennypost_connections{a=\"\\ 1\n",
		"pennypost_connections{a=\"\x01\"} 1\n",
		"pennypost_connections{a=\"\xff\"} 1\n",
		"pennypost_connections(a=\"1\") 1\n",
		"# HELP pennypost_connections x\n",
		"\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct metrics_sum *s = metrics_sum_new();
		assert_false(metrics_sum_add(s, str_of(bad[i])));
		metrics_sum_free(s);
	}
	struct metrics_sum *s = metrics_sum_new();
	assert_true(metrics_sum_add(s, STR("pennypost_connections{a=\"1\",b_c=\"\\n\"} 1\n")));
	assert_true(metrics_sum_add(s, STR("")));
	assert_true(metrics_sum_add(s, STR_NULL));
	metrics_sum_free(s);
}

static void
series_have_a_cap(void **state)
{
	struct metrics_sum *s = metrics_sum_new();
	char row[80];
	bool more = true;
	unsigned n = 0;
	while (more && n <= METRICS_SERIES_MAX) {
		snprintf(row, sizeof(row), "pennypost_connections{a=\"%u\"} 1\n", n);
		more = metrics_sum_add(s, str_of(row));
		n += more;
	}
	assert_int_equal(n, METRICS_SERIES_MAX);
	metrics_sum_free(s);
}

/* A buffer that is full loses whole rows. */
static void
no_half_rows(void **state)
{
	for (size_t max = 0; max < 600; max += 7) {
		struct buf b = BUF_INIT(max);
		struct metrics_sum *s = metrics_sum_new();
		struct histogram h = { { 1, 2, 3 }, 4 };
		METRICS_PUT(&b, METRIC_GROUPS, 123456);
		metrics_put_histogram(&b, METRIC_DELIVERY_SECONDS, NULL, 0, &h);
		assert_false(b.failed);
		assert_true(metrics_sum_add(s, buf_str(&b)));
		metrics_sum_free(s);
		buf_done(&b);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_added_up),
		cmocka_unit_test(what_is_no_row_is_refused),
		cmocka_unit_test(series_have_a_cap),
		cmocka_unit_test(no_half_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
