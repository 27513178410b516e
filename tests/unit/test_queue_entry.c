#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "queue/entry.h"
#include "queue/target.h"

#include <stdlib.h>
#include <string.h>

static void
put_entry(struct buf *b, uint32_t n, const char *domain)
{
	struct buf list = BUF_INIT(1 << 20);
	for (uint32_t i = 0; i < n; i++)
		queue_rcpt_put(&list,
		    &(struct queue_rcpt){ STR("Joe@example.net"), STR("SUCCESS,FAILURE"),
			STR("rfc822;joe@example.net"), STR("staff@example.com") });
	const struct queue_entry e = { .created_ms = 1,
		.flags = 3 | ENTRY_EXPANDED,
		.priority = -9,
		.hold_until_ms = 2,
		.by_ms = 3,
		.domain = str_of(domain),
		.from = STR("a@example.com"),
		.sender = STR("b@example.com"),
		.envid = STR("e"),
		.ret = STR("FULL"),
		.auth = STR("<>"),
		.account = STR("a@example.com"),
		.peer = STR("192.0.2.1"),
		.qid = STR("4k7"),
		.message_id = STR("<1@x>"),
		.session = 42,
		.n_rcpts = n,
		.rcpts = buf_str(&list) };
	queue_entry_put(b, &e);
	buf_done(&list);
}

static void
put_state(struct buf *b)
{
	struct buf list = BUF_INIT(4096);
	queue_told_put(&list, &(struct queue_told){ RCPT_SENT, 2, 250, STR("2.0.0"), STR("ok") });
	queue_told_put(&list, &(struct queue_told){ RCPT_WAITS, 0, 0, STR_NULL, STR_NULL });
	const struct queue_state s = { .attempts = 7,
		.next_ms = 8,
		.last_ms = 9,
		.held = true,
		.warned = 1,
		.trouble = 3,
		.by_over = true,
		.report = 77,
		.mta = STR("mx.example.net"),
		.n = 2,
		.rcpts = buf_str(&list) };
	queue_state_put(b, &s);
	buf_done(&list);
}

/* Whole, cut at every octet in memory of just that size, and with one more. */
static void
test_entry(void **state)
{
	struct buf b = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	struct queue_entry e;
	struct queue_rcpt r;
	put_entry(&b, 2, "example.net");
	assert_true(queue_entry_get(buf_str(&b), &e));
	assert_true(e.priority == -9 && e.session == 42 && e.n_rcpts == 2 && e.by_ms == 3);
	assert_true(str_eq(e.domain, STR("example.net")) && str_eq(e.qid, STR("4k7")));
	struct wire w = wire_of(e.rcpts);
	assert_true(queue_rcpt_get(&w, &r) && queue_rcpt_get(&w, &r) && wire_done(&w));
	assert_true(str_eq(r.via, STR("staff@example.com")));
	queue_entry_put(&again, &e);
	assert_true(str_eq(buf_str(&b), buf_str(&again)));
	for (size_t n = 0; n < b.len; n++) {
		char *cut = xmemdup(b.p, n);
		assert_false(queue_entry_get(str_n(cut, n), &e));
		free(cut);
	}
	buf_putc(&b, 'x');
	assert_false(queue_entry_get(buf_str(&b), &e));
	buf_done(&b);
	buf_done(&again);
}

static void
test_entry_rules(void **state)
{
	static const struct {
		uint32_t n;
		const char *domain;
		bool good;
	} rows[] = { { 1, "example.net", true }, { 0, "example.net", false }, { 1, "", false },
		{ ENTRY_RCPTS_MAX, "[192.0.2.1]", true },
		{ ENTRY_RCPTS_MAX + 1, "example.net", false }, { 1, "a\r\nb", false } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(1 << 20);
		struct queue_entry e;
		put_entry(&b, rows[i].n, rows[i].domain);
		if (queue_entry_get(buf_str(&b), &e) != rows[i].good)
			fail_msg("row %zu", i);
		buf_done(&b);
	}
}

static void
test_state(void **state)
{
	struct buf b = BUF_INIT(1 << 16), again = BUF_INIT(1 << 16);
	struct queue_state s;
	struct queue_told t;
	put_state(&b);
	assert_true(queue_state_get(buf_str(&b), &s));
	assert_true(s.attempts == 7 && s.report == 77 && s.by_over && s.held && s.n == 2);
	struct wire w = wire_of(s.rcpts);
	assert_true(queue_told_get(&w, &t) && t.state == RCPT_SENT && t.event == 2);
	queue_state_put(&again, &s);
	assert_true(str_eq(buf_str(&b), buf_str(&again)));
	for (size_t n = 0; n < b.len; n++) {
		char *cut = xmemdup(b.p, n);
		assert_false(queue_state_get(str_n(cut, n), &s));
		free(cut);
	}
	buf_putc(&b, 'x');
	assert_false(queue_state_get(buf_str(&b), &s));
	buf_done(&b);
	buf_done(&again);
}

static void
test_target(void **state)
{
	static const struct {
		const char *text;
		bool good;
		enum target_kind kind;
		const char *host;
		bool literal;
		uint16_t port;
	} rows[] = {
		{ "mx:example.net", true, TARGET_MX, "example.net", false, 0 },
		{ "mx:[192.0.2.1]", true, TARGET_MX, "192.0.2.1", true, 0 },
		{ "smtp:mail.example.net:25", true, TARGET_SMTP, "mail.example.net", false, 25 },
		{ "smtp:[192.0.2.1]:2525", true, TARGET_SMTP, "192.0.2.1", true, 2525 },
		{ "smtp:192.0.2.1:25", true, TARGET_SMTP, "192.0.2.1", true, 25 },
		{ "smtp:[IPv6:2001:db8::1]:25", true, TARGET_SMTP, "2001:db8::1", true, 25 },
		{ "smtp:2001:db8::1:25", false, 0, NULL, false, 0 },
		{ "smtp:mail.example.net", false, 0, NULL, false, 0 },
		{ "smtp:mail.example.net:0", false, 0, NULL, false, 0 },
		{ "smtp:mail.example.net:65536", false, 0, NULL, false, 0 },
		{ "smtp::25", false, 0, NULL, false, 0 },
		{ "smtp:a b:25", false, 0, NULL, false, 0 },
		{ "lmtp:127.0.0.1:24", true, TARGET_LMTP, "127.0.0.1", true, 24 },
		{ "lmtp:/run/dovecot/lmtp", true, TARGET_LMTP, "/run/dovecot/lmtp", false, 0 },
		{ "turn:", true, TARGET_TURN, "", false, 0 },
		{ "turn:x", false, 0, NULL, false, 0 },
		{ "hold:", true, TARGET_HOLD, "", false, 0 },
		{ "error:5.1.2 no mail there", true, TARGET_ERROR, "", false, 0 },
		{ "error:4.1.2 no mail there", false, 0, NULL, false, 0 },
		{ "error:5.1.2", false, 0, NULL, false, 0 },
		{ "error:5.. no", false, 0, NULL, false, 0 },
		{ "error:5.1. no", false, 0, NULL, false, 0 },
		{ "error:5.1 no", false, 0, NULL, false, 0 },
		{ "error:5.1.1000 no", false, 0, NULL, false, 0 },
		{ "error:5.1.2.3 no", false, 0, NULL, false, 0 },
		{ "error:55.1.2 no", false, 0, NULL, false, 0 },
		{ "error:5.1.2 no mail\nthere", false, 0, NULL, false, 0 },
		{ "error:nothing", false, 0, NULL, false, 0 },
		{ "gopher:x:70", false, 0, NULL, false, 0 },
		{ "", false, 0, NULL, false, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct target t;
		bool good = target_parse(str_of(rows[i].text), &t);
		if (good != rows[i].good)
			fail_msg("%s", rows[i].text);
		if (good && (t.kind != rows[i].kind || !str_eq(t.host, str_of(rows[i].host)) ||
				t.literal != rows[i].literal || t.port != rows[i].port))
			fail_msg("%s: other than it should be", rows[i].text);
	}
	struct target t;
	assert_true(target_parse(STR("error:5.1.2 no mail there"), &t));
	assert_string_equal(t.status, "5.1.2");
	assert_true(str_eq(t.text, STR("no mail there")));
}

static void
test_match(void **state)
{
	static const char *const best_first[] = { "mx.example.net", "*.example.net", "*.net", "*" };
	unsigned last = UINT32_MAX;
	for (size_t i = 0; i < ARRAY_LEN(best_first); i++) {
		unsigned m = target_match(str_of(best_first[i]), STR("mx.example.net"));
		assert_true(m > 0 && m < last);
		last = m;
	}
	assert_int_equal(target_match(STR("*.example.net"), STR("example.net")), 0);
	assert_int_equal(target_match(STR("example.net"), STR("badexample.net")), 0);
	assert_int_equal(target_match(STR("*.example.net"), STR("x.badexample.net")), 0);
	assert_true(target_match(STR("example.NET"), STR("example.net")) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_entry_rules),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_match),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
