#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "ipc/frame.h"
#include "ipc/msg.h"
#include "tls/tls.h"

#include <stdlib.h>
#include <string.h>

/* The messages of names, keys, logins and letters in pieces. Each is changed by hand in one field
 * and must be refused for that alone. */

static char big[(256u << 10) + 1]; /* as many octets as any field may have, and one more */
#define BIG(n) str_n(big, n)

static const struct msg_secret secret = { SECRET_KEY, STR("/etc/mail/key.pem") };
static const struct msg_fetch fetch = { FETCH_INTROSPECT, STR("token=abc&token_type_hint=x") };
static const struct msg_fetched fetched = { 200, STR("{\"active\":true}"), STR_NULL };
static const struct msg_sasl sasl = { SASL_V_OK, STR("v=AAAA"), STR("alice@example.com"),
	STR("staff@example.com"), STR("SCRAM-SHA-256"), 1795300000000ull,
	STR("0123456789abcdef0123456789ABCDEF") };

static struct msg_sign
a_sign(void)
{
	return (struct msg_sign){ BIG(TLS_KEY_NAME), TLS_SIGN_PSS_SHA256, STR("to be signed") };
}

static struct msg_sasl_start
a_start(void)
{
	return (struct msg_sasl_start){
		.service = STR("smtp"),
		.mech = STR("SCRAM-SHA-256-PLUS"),
		.has_initial = true,
		.initial = STR("p=tls-exporter,,n=alice,r=\0x"),
		.tls = true,
		.listener = LISTENER_MAX - 1,
		.peer = STR("192.0.2.1"),
		.prefix = STR("0123456789abcdef"),
		.external = STR("alice@example.com"),
		.exporter = BIG(32),
		.endpoint = BIG(TLS_BINDING_MAX),
		.user_prompt = STR("User Name\0"),
		.pass_prompt = STR("Password\0"),
	};
}

static void
put_secret(struct buf *b)
{
	msg_secret_put(b, &secret);
}

static bool
same_secret(struct str s)
{
	struct msg_secret m;
	return msg_secret_get(s, &m) && m.kind == secret.kind && str_eq(m.name, secret.name);
}

static void
put_sign(struct buf *b)
{
	struct msg_sign m = a_sign();
	msg_sign_put(b, &m);
}

static bool
same_sign(struct str s)
{
	struct msg_sign m, want = a_sign();
	return msg_sign_get(s, &m) && str_eq(m.key, want.key) && m.alg == want.alg &&
	       str_eq(m.tbs, want.tbs);
}

static void
put_sasl_start(struct buf *b)
{
	struct msg_sasl_start m = a_start();
	msg_sasl_start_put(b, &m);
}

static bool
same_sasl_start(struct str s)
{
	struct msg_sasl_start m, want = a_start();
	return msg_sasl_start_get(s, &m) && str_eq(m.service, want.service) &&
	       str_eq(m.mech, want.mech) && m.has_initial && str_eq(m.initial, want.initial) &&
	       m.tls && m.listener == want.listener && str_eq(m.peer, want.peer) &&
	       str_eq(m.prefix, want.prefix) && str_eq(m.external, want.external) &&
	       str_eq(m.exporter, want.exporter) && str_eq(m.endpoint, want.endpoint) &&
	       m.unique.len == 0 && str_eq(m.user_prompt, want.user_prompt) &&
	       str_eq(m.pass_prompt, want.pass_prompt);
}

static void
put_sasl(struct buf *b)
{
	msg_sasl_put(b, &sasl);
}

static bool
same_sasl(struct str s)
{
	struct msg_sasl m;
	return msg_sasl_get(s, &m) && m.verdict == sasl.verdict && str_eq(m.text, sasl.text) &&
	       str_eq(m.account, sasl.account) && str_eq(m.authzid, sasl.authzid) &&
	       str_eq(m.why, sasl.why) && m.ticket_ms == sasl.ticket_ms &&
	       str_eq(m.ticket, sasl.ticket);
}

static void
put_fetch(struct buf *b)
{
	msg_fetch_put(b, &fetch);
}

static bool
same_fetch(struct str s)
{
	struct msg_fetch m;
	return msg_fetch_get(s, &m) && m.what == fetch.what && str_eq(m.form, fetch.form);
}

static void
put_fetched(struct buf *b)
{
	msg_fetched_put(b, &fetched);
}

static bool
same_fetched(struct str s)
{
	struct msg_fetched m;
	return msg_fetched_get(s, &m) && m.status == 200 && str_eq(m.body, fetched.body) &&
	       m.error.len == 0;
}

static const struct msg_account account = { true, 600, STR("alice@example.com") };

static void
put_account(struct buf *b)
{
	msg_account_put(b, &account);
}

static bool
same_account(struct str s)
{
	struct msg_account m;
	return msg_account_get(s, &m) && m.pop && m.delay == 600 && str_eq(m.name, account.name);
}

static const struct msg_piece pieces[] = {
	{ false, STR_NULL, 0, 100 },
	{ true, STR("Dear Alice"), 0, 0 },
	{ false, STR_NULL, 110, 50 },
};

static void
put_pieces(struct buf *b)
{
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
		msg_piece_put(b, &pieces[i]);
}

static struct msg_view
a_view(struct str encoded)
{
	return (struct msg_view){
		.rcpt = { .account = 7, .rcpt = STR("alice@example.com"), .notify = STR("NEVER") },
		.size = 160,
		.header_len = 100,
		.insert_blank = true,
		.n_pieces = ARRAY_LEN(pieces),
		.pieces = encoded,
	};
}

static void
put_view(struct buf *b)
{
	struct buf p = BUF_INIT(1 << 16);
	put_pieces(&p);
	struct msg_view m = a_view(buf_str(&p));
	msg_view_put(b, &m);
	buf_done(&p);
}

static bool
same_view(struct str s)
{
	struct wire w = wire_of(s), p;
	struct msg_view m;
	struct msg_piece piece;
	if (!msg_view_get(&w, &m) || !wire_done(&w))
		return false;
	p = wire_of(m.pieces);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
		if (!msg_piece_get(&p, &piece) || piece.literal != pieces[i].literal ||
		    !str_eq(piece.text, pieces[i].text) || piece.off != pieces[i].off ||
		    piece.len != pieces[i].len)
			return false;
	return wire_done(&p) && m.rcpt.account == 7 &&
	       str_eq(m.rcpt.rcpt, STR("alice@example.com")) && m.size == 160 &&
	       m.header_len == 100 && m.insert_blank && m.n_pieces == 3;
}

static const struct pair {
	const char *name;
	uint16_t type;
	void (*put)(struct buf *b);
	bool (*same)(struct str s);
} pairs[] = {
	{ "secret", IPC_SECRET, put_secret, same_secret },
	{ "sign", IPC_SIGN, put_sign, same_sign },
	{ "sasl start", IPC_SASL_START, put_sasl_start, same_sasl_start },
	{ "sasl", IPC_SASL, put_sasl, same_sasl },
	{ "fetch", IPC_FETCH, put_fetch, same_fetch },
	{ "fetched", IPC_FETCHED, put_fetched, same_fetched },
	{ "account", IPC_ACCOUNT_ASK, put_account, same_account },
	{ "view", IPC_VIEWS, put_view, same_view },
};

/* Whole, cut short at every octet (in memory of just that size), and with one octet more. */
static void
test_pairs(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct buf b = BUF_INIT(1 << 20);
		pairs[i].put(&b);
		assert_false(b.failed);
		assert_true(b.len <= frame_type(pairs[i].type)->body_max);
		if (!pairs[i].same(buf_str(&b)))
			fail_msg("%s: not the same", pairs[i].name);
		for (size_t n = 0; n < b.len; n++) {
			char *cut = xmemdup(b.p, n);
			if (pairs[i].same(str_n(cut, n)))
				fail_msg("%s: cut at %zu", pairs[i].name, n);
			free(cut);
		}
		buf_putc(&b, '\0');
		if (pairs[i].same(buf_str(&b)))
			fail_msg("%s: one more", pairs[i].name);
		buf_done(&b);
	}
}

static bool
takes_start(const struct msg_sasl_start *m)
{
	struct msg_sasl_start got;
	struct buf b = BUF_INIT(1 << 20);
	msg_sasl_start_put(&b, m);
	bool ok = !b.failed && msg_sasl_start_get(buf_str(&b), &got);
	buf_done(&b);
	return ok;
}

static void
test_start_rules(void **state)
{
	struct msg_sasl_start m = a_start();
	assert_true(takes_start(&m));
	m.has_initial = false;
	assert_false(takes_start(&m));
	m.initial = STR_NULL;
	assert_true(takes_start(&m));
	m.has_initial = true;
	assert_true(takes_start(&m));
	m.prefix = STR("012345678");
	assert_false(takes_start(&m));
	m.prefix = STR_NULL;
	assert_true(takes_start(&m));
	m.listener = LISTENER_MAX;
	assert_false(takes_start(&m));
	m = a_start();
	m.peer = STR("192.0.2.1\n");
	assert_false(takes_start(&m));
}

/* Every field as long as it may be makes the longest frame there is, and no field may be longer. */
static void
test_start_caps(void **state)
{
	static const struct {
		size_t offset, cap;
	} caps[] = {
		{ offsetof(struct msg_sasl_start, service), 8 },
		{ offsetof(struct msg_sasl_start, mech), 32 },
		{ offsetof(struct msg_sasl_start, initial), 12288 },
		{ offsetof(struct msg_sasl_start, peer), 64 },
		{ offsetof(struct msg_sasl_start, prefix), 16 },
		{ offsetof(struct msg_sasl_start, external), 512 },
		{ offsetof(struct msg_sasl_start, exporter), 64 },
		{ offsetof(struct msg_sasl_start, endpoint), 64 },
		{ offsetof(struct msg_sasl_start, unique), 64 },
		{ offsetof(struct msg_sasl_start, user_prompt), 256 },
		{ offsetof(struct msg_sasl_start, pass_prompt), 256 },
	};
	struct msg_sasl_start m = { .has_initial = true };
	for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
		struct str s = BIG(caps[i].cap);
		memcpy((char *)&m + caps[i].offset, &s, sizeof(s));
	}
	struct buf b = BUF_INIT(1 << 20);
	msg_sasl_start_put(&b, &m);
	assert_true(takes_start(&m));
	assert_int_equal(b.len, frame_type(IPC_SASL_START)->body_max);
	buf_done(&b);
	for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
		struct msg_sasl_start more = m;
		struct str s = BIG(caps[i].cap + 1);
		memcpy((char *)&more + caps[i].offset, &s, sizeof(s));
		if (takes_start(&more))
			fail_msg("field %zu takes too much", i);
	}
}

static bool
takes_sasl(struct msg_sasl m, size_t *ret_len)
{
	struct msg_sasl got;
	struct buf b = BUF_INIT(1 << 20);
	msg_sasl_put(&b, &m);
	bool ok = !b.failed && msg_sasl_get(buf_str(&b), &got);
	*ret_len = b.len;
	buf_done(&b);
	return ok;
}

static void
test_sasl_rules(void **state)
{
	size_t n;
	struct msg_sasl most = { SASL_V_OK, BIG(12288), BIG(512), BIG(512), BIG(256), 1, BIG(32) };
	assert_true(takes_sasl(most, &n));
	assert_int_equal(n, frame_type(IPC_SASL)->body_max);
	most.why = BIG(1000); /* cut */
	assert_true(takes_sasl(most, &n));
	assert_int_equal(n, frame_type(IPC_SASL)->body_max);
	most.ticket = BIG(31);
	assert_false(takes_sasl(most, &n));
	most.ticket = BIG(33);
	assert_false(takes_sasl(most, &n));
	most.ticket = STR_NULL;
	assert_true(takes_sasl(most, &n));
	assert_true(takes_sasl((struct msg_sasl){ .verdict = SASL_V_FAIL }, &n));
	assert_false(takes_sasl((struct msg_sasl){ .verdict = SASL_V_FAIL, .ticket = BIG(32) },
	    &n));
	assert_false(takes_sasl((struct msg_sasl){ .verdict = SASL_V_OK }, &n));
	assert_false(takes_sasl((struct msg_sasl){ .verdict = SASL_V_COUNT }, &n));
	assert_false(takes_sasl((struct msg_sasl){ .verdict = SASL_V_FAIL, .text = BIG(12289) },
	    &n));
	assert_false(takes_sasl((struct msg_sasl){ .verdict = SASL_V_OK, .account = BIG(513) },
	    &n));
	assert_false(takes_sasl((struct msg_sasl){ .verdict = SASL_V_OK,
				    .account = STR("a@b\r\n250 no") },
	    &n));
}

static bool
takes_sign(struct msg_sign m)
{
	struct msg_sign got;
	struct buf b = BUF_INIT(1 << 20);
	msg_sign_put(&b, &m);
	bool ok = !b.failed && msg_sign_get(buf_str(&b), &got);
	assert_true(!ok || b.len <= frame_type(IPC_SIGN)->body_max);
	buf_done(&b);
	return ok;
}

static bool
takes_secret(struct msg_secret m)
{
	struct msg_secret got;
	struct buf b = BUF_INIT(1 << 20);
	msg_secret_put(&b, &m);
	bool ok = !b.failed && msg_secret_get(buf_str(&b), &got);
	assert_true(!ok || b.len <= frame_type(IPC_SECRET)->body_max);
	buf_done(&b);
	return ok;
}

static void
test_key_rules(void **state)
{
	assert_true(takes_sign((struct msg_sign){ BIG(32), TLS_SIGN_ALG_COUNT - 1, BIG(512) }));
	assert_true(takes_sign((struct msg_sign){ BIG(32), 0, STR_NULL }));
	assert_false(takes_sign((struct msg_sign){ BIG(31), 0, BIG(1) }));
	assert_false(takes_sign((struct msg_sign){ BIG(33), 0, BIG(1) }));
	assert_false(takes_sign((struct msg_sign){ BIG(32), TLS_SIGN_ALG_COUNT, BIG(1) }));
	assert_false(takes_sign((struct msg_sign){ BIG(32), 0, BIG(513) }));
	assert_true(takes_secret((struct msg_secret){ SECRET_END, STR_NULL }));
	assert_true(takes_secret((struct msg_secret){ SECRET_CERT, BIG(1024) }));
	assert_false(takes_secret((struct msg_secret){ SECRET_KIND_COUNT, STR_NULL }));
	assert_false(takes_secret((struct msg_secret){ SECRET_CERT, BIG(1025) }));
	assert_false(takes_secret((struct msg_secret){ SECRET_CERT, STR("a\nb") }));
}

static bool
takes_fetched(struct msg_fetched m)
{
	struct msg_fetched got;
	struct buf b = BUF_INIT(1 << 20);
	msg_fetched_put(&b, &m);
	bool ok = !b.failed && msg_fetched_get(buf_str(&b), &got);
	assert_true(!ok || b.len <= frame_type(IPC_FETCHED)->body_max);
	buf_done(&b);
	return ok;
}

static void
test_fetch_rules(void **state)
{
	struct msg_fetch got;
	assert_true(takes_fetched((struct msg_fetched){ 0, STR_NULL, BIG(1000) }));
	assert_true(takes_fetched((struct msg_fetched){ 200, BIG(256u << 10), BIG(256) }));
	assert_false(takes_fetched((struct msg_fetched){ 200, BIG((256u << 10) + 1), STR_NULL }));
	assert_false(takes_fetched((struct msg_fetched){ 99, STR_NULL, STR_NULL }));
	assert_false(takes_fetched((struct msg_fetched){ 1000, STR_NULL, STR_NULL }));
	for (size_t over = 0; over < 2; over++) {
		struct buf b = BUF_INIT(1 << 20);
		struct msg_fetch m = { FETCH_INTROSPECT, BIG((32u << 10) + over) };
		msg_fetch_put(&b, &m);
		assert_int_equal(b.failed, over);
		assert_int_equal(msg_fetch_get(buf_str(&b), &got), !over);
		if (!over)
			assert_int_equal(b.len, frame_type(IPC_FETCH)->body_max);
		buf_reset(&b);
		m = (struct msg_fetch){ (uint8_t)(FETCH_WHAT_COUNT - 1 + over), STR("x") };
		msg_fetch_put(&b, &m);
		assert_int_equal(msg_fetch_get(buf_str(&b), &got), !over);
		buf_done(&b);
	}
}

#define HELLO                                                                                      \
	{                                                                                          \
		true, STR("Hello"), 0, 0                                                           \
	}
static const struct view_row {
	const char *name;
	uint64_t size;
	uint32_t header_len;
	uint16_t n, there; /* as it says, and as there are */
	struct msg_piece piece[2];
	bool good;
} views[] = {
	{ "nothing at all", 0, 0, 0, 0, { { 0 } }, true },
	{ "one literal", 5, 5, 1, 1, { HELLO }, true },
	{ "an empty piece", 5, 0, 2, 2, { HELLO, { 0 } }, true },
	{ "sum too small", 6, 0, 1, 1, { HELLO }, false },
	{ "sum too large", 4, 0, 1, 1, { HELLO }, false },
	{ "header longer than the letter", 5, 6, 1, 1, { HELLO }, false },
	{ "end of any body", UINT64_MAX, 0, 1, 1, { { false, STR_NULL, 0, UINT64_MAX } }, true },
	{ "past any body", 2, 0, 1, 1, { { false, STR_NULL, UINT64_MAX - 1, 2 } }, false },
	{ "a sum that wraps", 4, 0, 2, 2, { { false, STR_NULL, 0, UINT64_MAX }, HELLO }, false },
	{ "fewer pieces than it says", 5, 0, 3, 2, { HELLO, { 0 } }, false },
	{ "more pieces than it says", 5, 0, 1, 2, { HELLO, { 0 } }, false },
};

static void
test_view_rules(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(views); i++) {
		const struct view_row *r = &views[i];
		struct buf b = BUF_INIT(1 << 20), p = BUF_INIT(1 << 20);
		for (size_t k = 0; k < r->there; k++)
			msg_piece_put(&p, &r->piece[k]);
		struct msg_view got, m = a_view(buf_str(&p));
		m.size = r->size;
		m.header_len = r->header_len;
		m.n_pieces = r->n;
		msg_view_put(&b, &m);
		struct wire w = wire_of(buf_str(&b));
		if (msg_view_get(&w, &got) != r->good || w.bad == r->good)
			fail_msg("%s", r->name);
		buf_done(&b);
		buf_done(&p);
	}
}

/* As many pieces and octets as there may be, and one more of each; the writer fails as well. */
static void
test_view_caps(void **state)
{
	for (unsigned over = 0; over < 2; over++) {
		struct buf b = BUF_INIT(1 << 20), p = BUF_INIT(1 << 20);
		struct msg_view got, m = a_view(STR_NULL);
		struct msg_piece one = { .len = 1 };
		m.n_pieces = (uint16_t)(VIEW_PIECES_MAX + over);
		for (unsigned i = 0; i < m.n_pieces; i++)
			msg_piece_put(&p, &one);
		m.size = m.n_pieces;
		m.pieces = buf_str(&p);
		msg_view_put(&b, &m);
		assert_int_equal(b.failed, over);
		struct wire w = wire_of(buf_str(&b));
		assert_int_equal(msg_view_get(&w, &got), !over);

		buf_reset(&b);
		buf_reset(&p);
		m.n_pieces = 1;
		m.pieces = STR_NULL;
		msg_view_put(&b, &m);
		one.literal = true;
		one.text = BIG(VIEW_MAX - b.len - 5 + over);
		msg_piece_put(&p, &one);
		m.size = one.text.len;
		m.pieces = buf_str(&p);
		buf_reset(&b);
		msg_view_put(&b, &m);
		assert_int_equal(b.len, VIEW_MAX + over);
		assert_int_equal(b.failed, over);
		w = wire_of(buf_str(&b));
		assert_int_equal(msg_view_get(&w, &got), !over);
		buf_done(&b);
		buf_done(&p);
	}
}

/* Two views in one frame, one behind the other. */
static void
test_view_run(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct msg_view m;
	put_view(&b);
	put_view(&b);
	struct wire w = wire_of(buf_str(&b));
	assert_true(msg_view_get(&w, &m));
	assert_false(wire_done(&w));
	assert_true(msg_view_get(&w, &m));
	assert_true(wire_done(&w));
	assert_false(msg_view_get(&w, &m));
	buf_done(&b);
}

/* What each of the new types may carry. */
static void
test_frames(void **state)
{
	static const struct {
		uint16_t type;
		uint32_t max;
		bool fd;
	} rows[] = {
		{ IPC_SECRET, 1029, true },
		{ IPC_FAULT, 2, false },
		{ IPC_FAULT_TAKEN, 2, false },
		{ IPC_VIEWS, IPC_BODY_MAX, false },
		{ IPC_SIGN, 32 + 1 + 4 + 512, false },
		{ IPC_SASL_STEP, 12288, false },
		{ IPC_SASL_DROP, 0, false },
		{ IPC_SIGNED, 1024, false },
		{ IPC_CERTS, 0, true },
		{ IPC_TICKETS, 240, false },
		{ IPC_NAME_ASK, 16, false },
		{ IPC_NAME, 255, false },
		{ IPC_FETCHED, 2 + 4 + (256u << 10) + 4 + 256, false },
		{ IPC_ACCOUNT_ASK, 1 + 4 + 4 + 511, false },
		{ IPC_ACCOUNT, 1, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct frame_type *t = frame_type(rows[i].type);
		assert_non_null(t);
		assert_int_equal(t->body_max, rows[i].max);
		assert_int_equal(t->fd, rows[i].fd);
	}
	assert_null(frame_type(IPC_FETCHED + 1));
	assert_null(frame_type(IPC_ACCOUNT + 1));
}

static int
fill(void **state)
{
	memset(big, 'x', sizeof(big));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_start_rules),
		cmocka_unit_test(test_start_caps),
		cmocka_unit_test(test_sasl_rules),
		cmocka_unit_test(test_key_rules),
		cmocka_unit_test(test_fetch_rules),
		cmocka_unit_test(test_view_rules),
		cmocka_unit_test(test_view_caps),
		cmocka_unit_test(test_view_run),
		cmocka_unit_test(test_frames),
	};
	return cmocka_run_group_tests(tests, fill, NULL);
}
