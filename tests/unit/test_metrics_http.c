/* Requests of HTTP/1.x as they come: whole, octet by octet, at every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "metrics/http.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *in;
	enum http_state state;
	const char *method, *path;
	bool close;
	size_t left; /* octets behind the request */
} rows[] = {
	{ "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_READY, "GET", "/metrics", false, 0 },
	{ "GET /metrics HTTP/1.1\nhost:x\n\n", HTTP_READY, "GET", "/metrics", false, 0 },
	{ "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_READY, "GET", "/", false, 0 },
	{ "HEAD /metrics?a=b#c HTTP/1.0\r\n\r\n", HTTP_READY, "HEAD", "/metrics", true, 0 },
	{ "GET /m HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", HTTP_READY, "GET", "/m", false, 0 },
	{ "GET /m HTTP/1.1\r\nHost: x\r\nConnection: TE, Close\r\n\r\n", HTTP_READY, "GET", "/m",
	    true, 0 },
	{ "GET http://h:1/metrics HTTP/1.1\r\nHost: h:1\r\n\r\n", HTTP_READY, "GET", "/metrics",
	    false, 0 },
	{ "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_READY, "GET", "", false, 0 },
	{ "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\n", HTTP_READY, "GET", "/1", false,
	    17 },
	{ "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", HTTP_READY, "POST", "/", false,
	    0 },
	{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", HTTP_BAD },
	{ "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BAD },
	{ "GET / HTTP/1.1\r\n\r\n", HTTP_BAD },
	{ "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", HTTP_BAD },
	{ "GET / HTTP/1.1\r\nHost : x\r\n\r\n", HTTP_BAD },
	{ "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", HTTP_BAD },
	{ "GET / HTTP/1.1\r\nHost\r\n\r\n", HTTP_BAD },
	{ "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", HTTP_BAD },
	{ "GET  / HTTP/1.1\r\n", HTTP_BAD },
	{ "GET / HTTP/1.1 \r\n", HTTP_BAD },
	{ "GET /\r\n", HTTP_BAD },
	{ "GET / http/1.1\r\n", HTTP_BAD },
	{ "G(T / HTTP/1.1\r\n", HTTP_BAD },
	{ "EHLO example.com\r\n", HTTP_BAD },
	{ "GET / HTTP/2.0\r\n", HTTP_VERSION },
	{ "GET / HTTP/1.x\r\n", HTTP_VERSION },
};

static bool
is(struct str s, const char *text)
{
	return str_eq(s, str_of(text));
}

static void
requests_are_read(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_request r = { 0 };
		size_t used = 0, n = strlen(rows[i].in);
		enum http_state s = http_request_get(str_of(rows[i].in), &r, &used);
		assert_int_equal(s, rows[i].state);
		if (s != HTTP_READY)
			continue;
		assert_true(is(r.method, rows[i].method));
		assert_true(is(http_path(r.target), rows[i].path));
		assert_int_equal(r.close, rows[i].close);
		assert_int_equal(n - used, rows[i].left);
	}
}

/* Every beginning of a good one wants more; of a bad one it is bad once, and stays so. */
static void
beginnings_want_more(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].in) - rows[i].left;
		bool over = false;
		for (size_t k = 0; k <= n; k++) {
			struct http_request r;
			size_t used = 0;
			char *copy = malloc(k + 1);
			assert_non_null(copy);
			memcpy(copy, rows[i].in, k);
			enum http_state s = http_request_get(str_n(copy, k), &r, &used);
			if (over || k == n)
				assert_int_equal(s, rows[i].state);
			else
				assert_true(s == HTTP_MORE || s == rows[i].state);
			over = over || s != HTTP_MORE;
			free(copy);
		}
	}
}

static void
long_ones_are_refused(void **state)
{
	static char in[3 * HTTP_REQUEST_MAX];
	struct http_request r;
	size_t used;
	memset(in, 'a', sizeof(in));
	assert_int_equal(http_request_get(str_n(in, HTTP_REQUEST_MAX - 1), &r, &used), HTTP_MORE);
	assert_int_equal(http_request_get(str_n(in, sizeof(in)), &r, &used), HTTP_TOO_LONG);
	memcpy(in, "GET / HTTP/1.1\r\nHost: x\r\nA: ", 28);
	assert_int_equal(http_request_get(str_n(in, sizeof(in)), &r, &used), HTTP_TOO_LONG);
	memset(in, '\n', sizeof(in));
	assert_int_equal(http_request_get(str_n(in, sizeof(in)), &r, &used), HTTP_TOO_LONG);
}

static void
answers_are_whole(void **state)
{
	struct buf b = BUF_INIT(4096);
	http_answer_put(&b, &(struct http_answer){ 200, "text/plain", STR("hello\n") });
	assert_true(is(buf_str(&b), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
				    "Content-Length: 6\r\nCache-Control: no-store\r\n\r\nhello\n"));
	buf_reset(&b);
	http_answer_put(&b,
	    &(struct http_answer){ 405, "text/plain", STR("no\n"), .head = true, .close = true });
	assert_true(is(buf_str(&b),
	    "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\n"
	    "Content-Length: 3\r\nAllow: GET, HEAD\r\nCache-Control: no-store\r\n"
	    "Connection: close\r\n\r\n"));
	buf_done(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read),
		cmocka_unit_test(beginnings_want_more),
		cmocka_unit_test(long_ones_are_refused),
		cmocka_unit_test(answers_are_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
