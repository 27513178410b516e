#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "ipc/chan.h"
#include "ipc/frame.h"
#include "ipc/msg.h"

#include <stdlib.h>
#include <string.h>

/*
 * Each message: octets of a full example, and what reads and writes them again. What comes out must
 * be the same octets; cut short or with one octet more they must be refused.
 */

#define AGAIN(name)                                                                                \
	static bool name##_again(struct str body, struct buf *out)                                 \
	{                                                                                          \
		struct msg_##name m;                                                               \
		if (!msg_##name##_get(body, &m))                                                   \
			return false;                                                              \
		msg_##name##_put(out, &m);                                                         \
		return true;                                                                       \
	}
AGAIN(accept)
AGAIN(job)
AGAIN(hello)
AGAIN(stage)
AGAIN(result)
AGAIN(spool_ask)
AGAIN(mx_ask)
AGAIN(mx)
AGAIN(sts_ask)
AGAIN(sts)
AGAIN(login_start)
AGAIN(login)
AGAIN(srs_ask)
AGAIN(turn)
AGAIN(guest)

static struct msg_onward
an_onward(void)
{
	return (struct msg_onward){ .rcpt = STR("Joe@example.net"),
		.domain = STR("example.net"),
		.from = STR("SRS0=x=y@example.com"),
		.notify = STR("NEVER"),
		.orcpt = STR("rfc822;joe@example.com"),
		.via = STR("staff@example.com") };
}

static struct msg_accept
an_accept(struct str onward, uint32_t n)
{
	return (struct msg_accept){
		.session = 1,
		.size = 10,
		.qid = STR("4k7"),
		.from = STR("a@example.com"),
		.message_id = STR("<1@example.com>"),
		.peer = STR("192.0.2.1"),
		.facts = { .flags = ONWARD_8BIT | ONWARD_OURS,
		    .priority = -9,
		    .hold_until_ms = 5,
		    .by_ms = 6,
		    .auth = STR("x"),
		    .account = STR("a@example.com") },
		.n_onward = n,
		.onward = onward,
		.expanded = STR("\0\0\0\3a@b\0\0\0\0"),
	};
}

static void
put_accept(struct buf *b)
{
	struct buf list = BUF_INIT(4096);
	struct msg_onward o = an_onward();
	msg_onward_put(&list, &o);
	o.domain = STR("[IPv6:2001:DB8::1]");
	o.from = o.notify = o.orcpt = o.via = STR_NULL;
	msg_onward_put(&list, &o);
	struct msg_accept m = an_accept(buf_str(&list), 2);
	msg_accept_put(b, &m);
	buf_done(&list);
}

static void
put_job(struct buf *b)
{
	const struct msg_job m = { .letter = 9,
		.part = 3,
		.size = 1000,
		.window = 5,
		.qid = STR("4k7"),
		.target = STR("mx:example.net"),
		.turn = 0,
		.given_ms = 77,
		.entry = STR("\1\0\2"),
		.state = STR("\3") };
	msg_job_put(b, &m);
}

static void
put_hello(struct buf *b)
{
	struct buf list = BUF_INIT(4096);
	const struct msg_lease one = { 7, 8, 9 }, two = { UINT64_MAX, 1, 0 };
	msg_lease_put(&list, &one);
	msg_lease_put(&list, &two);
	const struct msg_hello m = { 3, 2, buf_str(&list) };
	msg_hello_put(b, &m);
	buf_done(&list);
}

static void
put_stage(struct buf *b)
{
	const struct msg_stage m = { JOB_TALKING, STR("mx1.example.net [192.0.2.1]:25") };
	msg_stage_put(b, &m);
}

static void
put_result(struct buf *b)
{
	struct buf list = BUF_INIT(4096);
	const struct msg_fate one = { JOB_SENT, 250, STR("2.0.0"), STR("OK") };
	const struct msg_fate two = { JOB_REFUSED, 550, STR("5.1.1"), STR("no such user") };
	const struct msg_fate three = { JOB_NOT_TRIED, 0, STR_NULL, STR_NULL };
	msg_fate_put(&list, &one);
	msg_fate_put(&list, &two);
	msg_fate_put(&list, &three);
	const struct msg_result m = { .trouble = JOB_TROUBLE_RCPT,
		.dead = false,
		.mta = STR("mx1.example.net"),
		.ip = STR("192.0.2.1"),
		.tls = STR("TLSv1.3"),
		.tlsrpt = STR("\1\2"),
		.begun_ms = 1,
		.ended_ms = 2,
		.history = STR("S: 220\n"),
		.n = 3,
		.fates = buf_str(&list) };
	msg_result_put(b, &m);
	buf_done(&list);
}

static void
put_spool_ask(struct buf *b)
{
	const struct msg_spool_ask m = { 9, 3, 1u << 20, SPOOL_CHUNK };
	msg_spool_ask_put(b, &m);
}

static void
put_mx_ask(struct buf *b)
{
	const struct msg_mx_ask m = { true, false, 25, STR("example.net") };
	msg_mx_ask_put(b, &m);
}

static void
put_mx(struct buf *b)
{
	struct buf hosts = BUF_INIT(1 << 16), tlsas = BUF_INIT(1 << 16);
	const struct msg_mx_tlsa one = { 3, 1, 1, STR("0123456789abcdef0123456789abcdef") };
	const struct msg_mx_tlsa two = { 2, 0, 0, STR_NULL };
	msg_mx_tlsa_put(&tlsas, &one);
	msg_mx_tlsa_put(&tlsas, &two);
	struct msg_mx_host h = { .preference = 10,
		.name = STR("mx1.example.net"),
		.tlsa_base = STR("mx1.example.net"),
		.secure = true,
		.tlsa = TLSA_SECURE,
		.n_addrs = 2,
		.n_tlsa = 2,
		.addrs = STR("0123456789abcdef0123456789abcdef"),
		.tlsas = buf_str(&tlsas) };
	msg_mx_host_put(&hosts, &h);
	h = (struct msg_mx_host){ .preference = 20, .name = STR("mx2.example.net") };
	msg_mx_host_put(&hosts, &h);
	const struct msg_mx m = { .verdict = MX_OK,
		.secure = true,
		.implicit = false,
		.ttl = 300,
		.canonical = STR("example.com"),
		.sts_id = STR("20160831085700Z"),
		.rua = STR("mailto:r@example.net"),
		.why = STR("x"),
		.n = 2,
		.hosts = buf_str(&hosts) };
	msg_mx_put(b, &m);
	buf_done(&hosts);
	buf_done(&tlsas);
}

static void
put_sts_ask(struct buf *b)
{
	const struct msg_sts_ask m = { STR("example.net"), STR("1") };
	msg_sts_ask_put(b, &m);
}

static void
put_sts(struct buf *b)
{
	const struct msg_sts m = { 0, STR("version: STSv1\r\n"), STR("fetched") };
	msg_sts_put(b, &m);
}

static void
put_login_start(struct buf *b)
{
	const struct msg_login_start m = { STR("*"), STR("mail.example.net"), STR("PLAIN LOGIN"),
		true, true, false, STR("e"), STR("p"), STR("u") };
	msg_login_start_put(b, &m);
}

static void
put_login(struct buf *b)
{
	const struct msg_login m = { LOGIN_SAY, STR("PLAIN"), true, STR("\0u\0p"), STR("why") };
	msg_login_put(b, &m);
}

static void
put_srs_ask(struct buf *b)
{
	const struct msg_srs_ask m = { true, STR("SRS0=x=y=example.net=joe@example.com"),
		STR("example.com") };
	msg_srs_ask_put(b, &m);
}

static void
put_turn(struct buf *b)
{
	struct buf list = BUF_INIT(4096);
	put_str(&list, STR("example.net"));
	put_str(&list, STR("example.org"));
	const struct msg_turn m = { 2, buf_str(&list), STR("alice@example.com [192.0.2.1]") };
	msg_turn_put(b, &m);
	buf_done(&list);
}

static void
put_guest(struct buf *b)
{
	const struct msg_guest m = { 3, STR("192.0.2.1"), STR("TLSv1.3"), STR("example.net") };
	msg_guest_put(b, &m);
}

static const struct row {
	const char *name;
	uint16_t type; /* its frame must have room for it */
	void (*put)(struct buf *b);
	bool (*again)(struct str body, struct buf *out);
} rows[] = {
	{ "accept", IPC_ACCEPT, put_accept, accept_again },
	{ "job", IPC_JOB, put_job, job_again },
	{ "hello", IPC_RELAY_HELLO, put_hello, hello_again },
	{ "stage", IPC_JOB_STAGE, put_stage, stage_again },
	{ "result", IPC_JOB_RESULT, put_result, result_again },
	{ "spool-ask", IPC_SPOOL_ASK, put_spool_ask, spool_ask_again },
	{ "mx-ask", IPC_MX_ASK, put_mx_ask, mx_ask_again },
	{ "mx", IPC_MX, put_mx, mx_again },
	{ "sts-ask", IPC_STS_ASK, put_sts_ask, sts_ask_again },
	{ "sts", IPC_STS, put_sts, sts_again },
	{ "login-start", IPC_LOGIN_START, put_login_start, login_start_again },
	{ "login", IPC_LOGIN, put_login, login_again },
	{ "srs-ask", IPC_SRS_ASK, put_srs_ask, srs_ask_again },
	{ "turn", IPC_TURN_ASK, put_turn, turn_again },
	{ "guest", IPC_TURN_GUEST, put_guest, guest_again },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
		rows[i].put(&b);
		assert_false(b.failed);
		assert_true(b.len <= frame_type(rows[i].type)->body_max);
		if (!rows[i].again(buf_str(&b), &out))
			fail_msg("%s: refused", rows[i].name);
		assert_true(str_eq(buf_str(&b), buf_str(&out)));
		for (size_t n = 0; n < b.len; n++) {
			char *cut = xmemdup(b.p, n);
			if (rows[i].again(str_n(cut, n), &out))
				fail_msg("%s: cut at %zu", rows[i].name, n);
			free(cut);
		}
		buf_putc(&b, '\0');
		if (rows[i].again(buf_str(&b), &out))
			fail_msg("%s: one more", rows[i].name);
		buf_done(&b);
		buf_done(&out);
	}
}

static void
test_fields(void **state)
{
	struct buf b = BUF_INIT(1 << 16);
	struct msg_onward o = an_onward(), got;
	msg_onward_put(&b, &o);
	struct wire w = wire_of(buf_str(&b));
	assert_true(msg_onward_get(&w, &got) && wire_done(&w));
	assert_true(str_eq(got.rcpt, o.rcpt) && str_eq(got.domain, o.domain));
	assert_true(str_eq(got.from, o.from) && str_eq(got.notify, o.notify));
	assert_true(str_eq(got.orcpt, o.orcpt) && str_eq(got.via, o.via));
	buf_reset(&b);

	struct msg_accept a;
	put_accept(&b);
	assert_true(msg_accept_get(buf_str(&b), &a));
	assert_int_equal(a.n_onward, 2);
	assert_int_equal(a.n_rcpt, 0);
	assert_true(a.facts.flags == (ONWARD_8BIT | ONWARD_OURS) && a.facts.priority == -9);
	assert_true(a.facts.hold_until_ms == 5 && a.facts.by_ms == 6);
	assert_true(str_eq(a.message_id, STR("<1@example.com>")) &&
		    str_eq(a.peer, STR("192.0.2.1")));
	buf_reset(&b);

	struct msg_result r;
	struct msg_fate f;
	put_result(&b);
	assert_true(msg_result_get(buf_str(&b), &r));
	w = wire_of(r.fates);
	assert_true(msg_fate_get(&w, &f) && f.fate == JOB_SENT && f.code == 250);
	assert_true(msg_fate_get(&w, &f) && f.fate == JOB_REFUSED &&
		    str_eq(f.status, STR("5.1.1")));
	assert_true(str_eq(f.text, STR("no such user")));
	buf_done(&b);
}

static void
test_views(void **state)
{
	struct buf b = BUF_INIT(1 << 16), pieces = BUF_INIT(1 << 16);
	const struct msg_piece piece = { .literal = true, .text = STR("hello") };
	msg_piece_put(&pieces, &piece);
	struct msg_view got, m = { .onward = an_onward(),
		.size = 5,
		.n_pieces = 1,
		.from = STR("a@example.com"),
		.qid = STR("4k7"),
		.pieces = buf_str(&pieces) };
	msg_view_put(&b, &m);
	struct wire w = wire_of(buf_str(&b));
	assert_true(msg_view_get(&w, &got) && wire_done(&w));
	assert_true(got.rcpt.account == 0 && str_eq(got.onward.domain, STR("example.net")));
	for (size_t n = 0; n < b.len; n++) {
		w = wire_of(str_n(b.p, n));
		assert_false(msg_view_get(&w, &got));
		assert_true(w.bad);
	}
	buf_reset(&b);
	m.rcpt.rcpt = STR("both@example.com");
	msg_view_put(&b, &m);
	w = wire_of(buf_str(&b));
	assert_false(msg_view_get(&w, &got));
	buf_reset(&b);
	m.rcpt.account = 7;
	msg_view_put(&b, &m);
	w = wire_of(buf_str(&b));
	assert_true(msg_view_get(&w, &got) && wire_done(&w));
	assert_true(got.rcpt.account == 7 && got.onward.rcpt.len == 0);
	buf_done(&b);
	buf_done(&pieces);
}

static bool
takes_onward(struct msg_onward m)
{
	struct buf b = BUF_INIT(1 << 16);
	msg_onward_put(&b, &m);
	struct wire w = wire_of(buf_str(&b));
	bool ok = !b.failed && msg_onward_get(&w, &m);
	buf_done(&b);
	return ok;
}

static bool
takes_fate(struct msg_fate m)
{
	struct buf b = BUF_INIT(1 << 16);
	msg_fate_put(&b, &m);
	struct wire w = wire_of(buf_str(&b));
	bool ok = !b.failed && msg_fate_get(&w, &m);
	buf_done(&b);
	return ok;
}

static bool
takes_accept(struct msg_onward_facts facts, uint32_t n)
{
	struct buf b = BUF_INIT(1 << 16), list = BUF_INIT(1 << 16);
	struct msg_onward o = an_onward();
	msg_onward_put(&list, &o);
	struct msg_accept m = an_accept(buf_str(&list), n);
	m.facts = facts;
	msg_accept_put(&b, &m);
	bool ok = !b.failed && msg_accept_get(buf_str(&b), &m);
	buf_done(&b);
	buf_done(&list);
	return ok;
}

static void
test_ranges(void **state)
{
	struct msg_onward o = an_onward();
	assert_true(takes_onward(o));
	o.domain = STR("Example.net");
	assert_false(takes_onward(o));
	o.domain = STR_NULL;
	assert_false(takes_onward(o));
	o.domain = STR("b\xc3\xbc"
		       "cher.example");
	assert_false(takes_onward(o));
	o = an_onward();
	o.rcpt = STR_NULL;
	assert_false(takes_onward(o));
	o.rcpt = STR("a@example.net>\r\nRCPT TO:<b");
	assert_false(takes_onward(o));

	assert_true(takes_accept((struct msg_onward_facts){ .priority = 9 }, 1));
	assert_false(takes_accept((struct msg_onward_facts){ .priority = 10 }, 1));
	assert_false(takes_accept((struct msg_onward_facts){ .flags = ONWARD_FLAGS_ALL + 1 }, 1));
	assert_false(takes_accept((struct msg_onward_facts){ 0 }, 2));

	struct buf b = BUF_INIT(4096);
	struct msg_accept a = an_accept(STR_NULL, 0);
	a.n_views = 1;
	a.expanded = STR("\0\0\0\3a@b");
	msg_accept_put(&b, &a);
	assert_false(msg_accept_get(buf_str(&b), &a));
	buf_done(&b);

	struct msg_fate f = { JOB_LATER, 451, STR("4.7.1"), STR("come back") };
	assert_true(takes_fate(f));
	f.fate = JOB_FATE_COUNT;
	assert_false(takes_fate(f));
	f.fate = JOB_LATER, f.code = 1000;
	assert_false(takes_fate(f));
	f.code = 451, f.status = STR("4.7.x");
	assert_false(takes_fate(f));
}

/* What a server said never breaks a message: it is cut, and its controls become blanks. */
static void
test_words(void **state)
{
	struct buf b = BUF_INIT(1 << 16);
	char big[JOB_TEXT_MAX + 100];
	memset(big, '\n', sizeof(big));
	struct msg_fate f = { JOB_LATER, 451, STR("4.0.0"), str_n(big, sizeof(big)) };
	msg_fate_put(&b, &f);
	struct wire w = wire_of(buf_str(&b));
	assert_true(msg_fate_get(&w, &f) && wire_done(&w));
	assert_int_equal(f.text.len, JOB_TEXT_MAX);
	for (size_t i = 0; i < f.text.len; i++)
		assert_int_equal(f.text.p[i], ' ');
	buf_done(&b);
}

/* Counts that are not what stands there, each in its place. */
static void
test_counts(void **state)
{
	struct msg_result r;
	struct msg_mx mx;
	struct msg_turn turn;
	struct buf b = BUF_INIT(1 << 20);
	struct msg_result none = { .n = 0 };
	msg_result_put(&b, &none);
	assert_false(msg_result_get(buf_str(&b), &r));
	buf_reset(&b);
	struct buf fates = BUF_INIT(1 << 20);
	for (uint32_t i = 0; i <= JOB_RCPTS_MAX; i++)
		msg_fate_put(&fates, &(struct msg_fate){ .fate = JOB_SENT });
	none.n = JOB_RCPTS_MAX + 1;
	none.fates = buf_str(&fates);
	msg_result_put(&b, &none);
	assert_false(msg_result_get(buf_str(&b), &r));
	buf_reset(&b);
	buf_done(&fates);
	msg_mx_put(&b, &(struct msg_mx){ .verdict = MX_OK });
	assert_false(msg_mx_get(buf_str(&b), &mx));
	buf_reset(&b);
	msg_mx_put(&b, &(struct msg_mx){ .verdict = MX_NO_MAIL });
	assert_true(msg_mx_get(buf_str(&b), &mx));
	buf_reset(&b);
	struct buf hosts = BUF_INIT(4096);
	msg_mx_host_put(&hosts, &(struct msg_mx_host){ .name = STR("a.example"), .n_addrs = 1 });
	msg_mx_put(&b, &(struct msg_mx){ .n = 1, .hosts = buf_str(&hosts) });
	assert_false(msg_mx_get(buf_str(&b), &mx));
	buf_reset(&b);
	buf_done(&hosts);
	msg_turn_put(&b, &(struct msg_turn){ .n = TURN_DOMAINS_MAX + 1 });
	assert_false(msg_turn_get(buf_str(&b), &turn));
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
