/* PROXY headers: whole, at every split, and with something behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "smtp/proxy.h"

#include <stdlib.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define ROW(text) text, sizeof(text) - 1
#define IP4 "\xc0\x00\x02\x01\xc0\x00\x02\x02\x30\x39\x00\x19"
#define SIX(last) "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0" last

static const struct row {
	const char *in;
	size_t len;
	enum proxy_verdict v;
	const char *from, *to; /* NULL: local */
	uint16_t from_port, to_port;
} rows[] = {
	{ ROW("PROXY TCP4 192.0.2.1 192.0.2.2 12345 25\r\n"), PROXY_OK, "192.0.2.1", "192.0.2.2",
	    12345, 25 },
	{ ROW("PROXY TCP6 2001:DB8::1 ::1 0 65535\r\n"), PROXY_OK, "2001:db8::1", "::1", 0, 65535 },
	{ ROW("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), PROXY_OK, "192.0.2.1", "::1", 1, 2 },
	{ ROW("PROXY UNKNOWN\r\n"), PROXY_OK },
	{ ROW("PROXY UNKNOWN whatever 1 2 3\r\n"), PROXY_OK },
	{ ROW("PROXY TCP4 192.0.2.1 192.0.2.2 12345 25\n"), PROXY_BAD },
	{ ROW("PROXY TCP4 192.0.2.1 192.0.2.2 12345 25 \r\n"), PROXY_BAD },
	{ ROW("PROXY TCP4 192.0.2.1  192.0.2.2 12345 25\r\n"), PROXY_BAD },
	{ ROW("PROXY TCP4 192.0.2.1 192.0.2.2 012345 25\r\n"), PROXY_BAD },
	{ ROW("PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n"), PROXY_BAD },
	{ ROW("PROXY TCP4 192.0.2.1 192.0.2.2 -1 25\r\n"), PROXY_BAD },
	{ ROW("PROXY TCP4 192.0.2.1 192.0.2.2 25\r\n"), PROXY_BAD },
	{ ROW("PROXY TCP4 192.0.2.256 192.0.2.2 1 25\r\n"), PROXY_BAD },
	{ ROW("PROXY TCP4 ::1 ::1 1 25\r\n"), PROXY_BAD },
	{ ROW("PROXY TCP6 192.0.2.1 192.0.2.2 1 25\r\n"), PROXY_BAD },
	{ ROW("PROXY UDP4 192.0.2.1 192.0.2.2 1 25\r\n"), PROXY_BAD },
	{ ROW("PROXY \r\n"), PROXY_BAD },
	{ ROW("proxy TCP4 192.0.2.1 192.0.2.2 1 25\r\n"), PROXY_BAD },
	{ ROW("EHLO x\r\n"), PROXY_BAD },
	{ ROW("\r\n\r\nx"), PROXY_BAD },
	{ ROW(SIG "\x21\x11\0\x0c" IP4), PROXY_OK, "192.0.2.1", "192.0.2.2", 12345, 25 },
	{ ROW(SIG "\x21\x11\0\x11" IP4 "\x04\0\x02xx"), PROXY_OK, "192.0.2.1", "192.0.2.2", 12345,
	    25 },
	{ ROW(SIG "\x21\x21\0\x24" SIX("\x01") SIX("\x02") "\0\x01\0\x02"), PROXY_OK, "2001:db8::1",
	    "2001:db8::2", 1, 2 },
	{ ROW(SIG "\x20\x00\0\0"), PROXY_OK },
	{ ROW(SIG "\x20\x11\0\x0c" IP4), PROXY_OK },
	{ ROW(SIG "\x21\x00\0\x02xx"), PROXY_OK },
	{ ROW(SIG "\x21\x31\0\x04xxxx"), PROXY_OK },
	{ ROW(SIG "\x21\x11\0\x0b\xc0\x00\x02\x01\xc0\x00\x02\x02\x30\x39\x00"), PROXY_BAD },
	{ ROW(SIG "\x21\x12\0\x0c" IP4), PROXY_BAD },
	{ ROW(SIG "\x22\x11\0\x0c" IP4), PROXY_BAD },
	{ ROW(SIG "\x11\x11\0\x0c" IP4), PROXY_BAD },
	{ ROW(SIG "\x21\x11\x02\x19"), PROXY_BAD },
};

static void
check_row(size_t i, struct str in, enum proxy_verdict v, const struct proxy_info *info, size_t used)
{
	const struct row *r = &rows[i];
	if (v != r->v)
		fail_msg("row %zu: %d", i, v);
	if (v != PROXY_OK)
		return;
	assert_int_equal(used, r->len);
	assert_true(info->local == (r->from == NULL));
	/* LOCAL is the proxy's own; of the others nobody knows. */
	assert_true(info->unknown == (info->local && r->in[12] != '\x20'));
	if (!r->from)
		return;
	assert_string_equal(info->from.text, r->from);
	assert_string_equal(info->to.text, r->to);
	assert_int_equal(info->from.port, r->from_port);
	assert_int_equal(info->to.port, r->to_port);
	bool v4 = strchr(r->from, '.') != NULL;
	assert_int_equal(info->from.ip[10], v4 ? 0xff : 0);
}

static void
headers(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct proxy_info info;
		size_t used = 0;
		for (size_t n = 0; n <= rows[i].len; n++) {
			char *block = n ? xmemdup(rows[i].in, n) : NULL;
			struct str in = { block, n };
			enum proxy_verdict v = proxy_parse(in, &info, &used);
			bool whole = n == rows[i].len;
			if (whole)
				check_row(i, in, v, &info, used);
			else if (v == PROXY_OK || (v == PROXY_BAD && rows[i].v == PROXY_OK))
				fail_msg("row %zu: %d at %zu", i, v, n);
			free(block);
		}
		/* What follows is not looked at. */
		struct buf b = BUF_INIT(4096);
		buf_put(&b, rows[i].in, rows[i].len);
		buf_putz(&b, "EHLO x\r\n");
		if (rows[i].v == PROXY_OK)
			check_row(i, buf_str(&b), proxy_parse(buf_str(&b), &info, &used), &info,
			    used);
		buf_done(&b);
	}
}

static void
too_long(void **state)
{
	char x[PROXY_MAX + 2] = "PROXY UNKNOWN ";
	struct proxy_info info;
	size_t used;
	memset(x + 14, 'x', sizeof(x) - 14);
	assert_int_equal(proxy_parse(str_n(x, PROXY_V1_MAX - 1), &info, &used), PROXY_MORE);
	assert_int_equal(proxy_parse(str_n(x, PROXY_V1_MAX), &info, &used), PROXY_BAD);
	x[PROXY_V1_MAX - 2] = '\r';
	x[PROXY_V1_MAX - 1] = '\n';
	assert_int_equal(proxy_parse(str_n(x, PROXY_V1_MAX), &info, &used), PROXY_OK);
	assert_int_equal(used, PROXY_V1_MAX);
	memcpy(x, SIG "\x20\0\x02\x18", 16);
	assert_int_equal(proxy_parse(str_n(x, PROXY_MAX - 1), &info, &used), PROXY_MORE);
	assert_int_equal(proxy_parse(str_n(x, PROXY_MAX + 1), &info, &used), PROXY_OK);
	assert_int_equal(used, PROXY_MAX);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
