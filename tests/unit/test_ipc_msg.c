#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "ipc/frame.h"
#include "ipc/msg.h"
#include "ipc/ops.h"

#include <stdlib.h>
#include <string.h>

/* Each message: how it is written, and a reader that says whether what it read is the same. */

static const struct msg_setup setup = { ROLE_FRONT, 3, 4, 61000, 61001 };
static const struct msg_peer peer = { ROLE_READER, 2 };
static const struct msg_ready ready = { LAYER_UID | LAYER_NO_DUMP, 61000 };
static const struct msg_status status = {
	.layers = LAYER_SECCOMP,
	.uid = 7,
	.value = { 1, [STATUS_LOG_DROPPED] = UINT64_MAX },
	.have = 0x1ffff,
};
static const struct msg_store_state store_state = { true, 12, 1u << 30, UINT64_MAX - 1 };

static void
put_rcpts(struct buf *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct msg_rcpt r = { .account = 100 + i,
			.rcpt = STR("alice@example.com"),
			.notify = i ? STR("SUCCESS,DELAY") : STR_NULL,
			.orcpt = STR("rfc822;a+2Bb@example.com") };
		msg_rcpt_put(b, &r);
	}
}

static struct msg_accept
an_accept(struct str rcpts)
{
	return (struct msg_accept){ .session = 42,
		.time_ms = 1700000000000,
		.size = 1000,
		.header_len = 200,
		.insert_blank = true,
		.qid = STR("4k7"),
		.from = STR("bob@example.org"),
		.envid = STR("QQ314159"),
		.ret = STR("HDRS"),
		.trace = STR("Received: x\r\n"),
		.history = STR("S: 220\nC: EHLO\n"),
		.outline = STR("\1\0\377"),
		.n_rcpt = 2,
		.rcpts = rcpts };
}

static const struct msg_ask ask = { STR("alias.add"), 2,
	{ STR("staff@example.com"), STR("a\nb") } };
static const struct msg_row row = { 3, { STR("INBOX"), STR(""), STR("12") } };
static const struct msg_done done = { CTL_NOT_FOUND,
	STR("no mailbox of that name; see mailbox list") };

static void
put_setup(struct buf *b)
{
	msg_setup_put(b, &setup);
}

static bool
same_setup(struct str s)
{
	struct msg_setup m;
	return msg_setup_get(s, &m) && m.role == setup.role && m.index == setup.index &&
	       m.count == setup.count && m.uid == setup.uid && m.gid == setup.gid;
}

static void
put_peer(struct buf *b)
{
	msg_peer_put(b, &peer);
}

static bool
same_peer(struct str s)
{
	struct msg_peer m;
	return msg_peer_get(s, &m) && m.role == peer.role && m.index == peer.index;
}

static void
put_ready(struct buf *b)
{
	msg_ready_put(b, &ready);
}

static bool
same_ready(struct str s)
{
	struct msg_ready m;
	return msg_ready_get(s, &m) && m.layers == ready.layers && m.uid == ready.uid;
}

static void
put_status(struct buf *b)
{
	msg_status_put(b, &status);
}

static bool
same_status(struct str s)
{
	struct msg_status m;
	return msg_status_get(s, &m) && m.layers == status.layers && m.uid == status.uid &&
	       m.have == status.have && memcmp(m.value, status.value, sizeof(m.value)) == 0;
}

static void
put_store_state(struct buf *b)
{
	msg_store_state_put(b, &store_state);
}

static bool
same_store_state(struct str s)
{
	struct msg_store_state m;
	return msg_store_state_get(s, &m) && m.low == store_state.low &&
	       m.queue_messages == store_state.queue_messages &&
	       m.queue_bytes == store_state.queue_bytes && m.last_letter == store_state.last_letter;
}

static void
put_accept(struct buf *b)
{
	struct buf rcpts = BUF_INIT(4096);
	put_rcpts(&rcpts, 2);
	struct msg_accept m = an_accept(buf_str(&rcpts));
	msg_accept_put(b, &m);
	buf_done(&rcpts);
}

static bool
same_accept(struct str s)
{
	struct msg_accept m;
	struct msg_rcpt r[2];
	if (!msg_accept_get(s, &m))
		return false;
	struct wire w = wire_of(m.rcpts);
	if (!msg_rcpt_get(&w, &r[0]) || !msg_rcpt_get(&w, &r[1]) || !wire_done(&w))
		return false;
	return m.session == 42 && m.time_ms == 1700000000000 && m.size == 1000 &&
	       m.header_len == 200 && m.insert_blank && str_eq(m.qid, STR("4k7")) &&
	       str_eq(m.from, STR("bob@example.org")) && str_eq(m.envid, STR("QQ314159")) &&
	       str_eq(m.ret, STR("HDRS")) && str_eq(m.trace, STR("Received: x\r\n")) &&
	       str_eq(m.history, STR("S: 220\nC: EHLO\n")) && str_eq(m.outline, STR("\1\0\377")) &&
	       m.n_rcpt == 2 && r[0].account == 100 && r[1].account == 101 &&
	       r[0].notify.len == 0 && str_eq(r[1].notify, STR("SUCCESS,DELAY")) &&
	       str_eq(r[1].rcpt, STR("alice@example.com")) &&
	       str_eq(r[1].orcpt, STR("rfc822;a+2Bb@example.com"));
}

static void
put_ask(struct buf *b)
{
	msg_ask_put(b, &ask);
}

static bool
same_ask(struct str s)
{
	struct msg_ask m;
	return msg_ask_get(s, &m) && str_eq(m.op, ask.op) && m.n == 2 &&
	       str_eq(m.arg[0], ask.arg[0]) && str_eq(m.arg[1], ask.arg[1]) && m.arg[2].len == 0;
}

static void
put_row(struct buf *b)
{
	msg_row_put(b, &row);
}

static bool
same_row(struct str s)
{
	struct msg_row m;
	return msg_row_get(s, &m) && m.n == 3 && str_eq(m.field[0], row.field[0]) &&
	       m.field[1].len == 0 && str_eq(m.field[2], row.field[2]);
}

static void
put_done(struct buf *b)
{
	msg_done_put(b, &done);
}

static bool
same_done(struct str s)
{
	struct msg_done m;
	return msg_done_get(s, &m) && m.code == done.code && str_eq(m.text, done.text);
}

static void
put_a_u8(struct buf *b)
{
	msg_u8_put(b, 3);
}

static bool
same_u8(struct str s)
{
	uint8_t v;
	return msg_u8_get(s, 4, &v) && v == 3 && !msg_u8_get(s, 3, &v);
}

static void
put_a_u16(struct buf *b)
{
	msg_u16_put(b, 0x1234);
}

static bool
same_u16(struct str s)
{
	uint16_t v;
	return msg_u16_get(s, 0x1235, &v) && v == 0x1234 && !msg_u16_get(s, 0x1234, &v);
}

static void
put_a_u32(struct buf *b)
{
	msg_u32_put(b, 0x12345678);
}

static bool
same_u32(struct str s)
{
	uint32_t v;
	return msg_u32_get(s, &v) && v == 0x12345678;
}

static const struct pair {
	const char *name;
	uint16_t type; /* its frame must have room for it */
	void (*put)(struct buf *b);
	bool (*same)(struct str s);
} pairs[] = {
	{ "setup", IPC_SETUP, put_setup, same_setup },
	{ "peer", IPC_PEER, put_peer, same_peer },
	{ "ready", IPC_READY, put_ready, same_ready },
	{ "status", IPC_STATUS, put_status, same_status },
	{ "store state", IPC_STORE_STATE, put_store_state, same_store_state },
	{ "accept", IPC_ACCEPT, put_accept, same_accept },
	{ "ask", IPC_ASK, put_ask, same_ask },
	{ "row", IPC_ROW, put_row, same_row },
	{ "done", IPC_DONE, put_done, same_done },
	{ "u8", IPC_ACCEPTED, put_a_u8, same_u8 },
	{ "u16", IPC_LISTENER, put_a_u16, same_u16 },
	{ "u32", IPC_DRAIN, put_a_u32, same_u32 },
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
takes_setup(struct msg_setup m)
{
	struct buf b = BUF_INIT(64);
	struct msg_setup got;
	msg_setup_put(&b, &m);
	bool ok = msg_setup_get(buf_str(&b), &got);
	buf_done(&b);
	return ok;
}

static bool
takes_peer(struct msg_peer m)
{
	struct buf b = BUF_INIT(64);
	struct msg_peer got;
	msg_peer_put(&b, &m);
	bool ok = msg_peer_get(buf_str(&b), &got);
	buf_done(&b);
	return ok;
}

static void
test_ranges(void **state)
{
	struct buf b = BUF_INIT(4096);
	assert_true(takes_setup((struct msg_setup){ ROLE_STORE, 0, 1, 0, 0 }));
	assert_false(takes_setup((struct msg_setup){ ROLE_COUNT, 0, 1, 0, 0 }));
	assert_false(takes_setup((struct msg_setup){ ROLE_STORE, 1, 1, 0, 0 }));
	assert_false(takes_setup((struct msg_setup){ ROLE_STORE, 0, 0, 0, 0 }));
	assert_true(takes_peer((struct msg_peer){ ROLE_FRONT, FRONT_MAX - 1 }));
	assert_false(takes_peer((struct msg_peer){ ROLE_FRONT, FRONT_MAX }));
	assert_false(takes_peer((struct msg_peer){ ROLE_COUNT, 0 }));

	struct msg_ready r = { 2u * LAYER_NO_DUMP, 0 };
	msg_ready_put(&b, &r);
	assert_false(msg_ready_get(buf_str(&b), &r));
	buf_reset(&b);
	struct msg_status s = { .have = UINT64_C(1) << STATUS_KEY_COUNT };
	msg_status_put(&b, &s);
	assert_false(msg_status_get(buf_str(&b), &s));
	buf_reset(&b);
	struct msg_done d = { CTL_CODE_COUNT, STR_NULL };
	msg_done_put(&b, &d);
	assert_false(msg_done_get(buf_str(&b), &d));
	buf_reset(&b);
	struct msg_ask a = { .op = STR_NULL };
	msg_ask_put(&b, &a);
	assert_false(msg_ask_get(buf_str(&b), &a));
	buf_reset(&b);
	put_str(&b, STR("status"));
	put_u16(&b, ASK_ARGS_MAX + 1);
	for (int i = 0; i <= ASK_ARGS_MAX; i++)
		put_str(&b, STR_NULL);
	assert_false(msg_ask_get(buf_str(&b), &a));
	buf_reset(&b);
	struct msg_row row33;
	put_u16(&b, ROW_FIELDS_MAX + 1);
	for (int i = 0; i <= ROW_FIELDS_MAX; i++)
		put_str(&b, STR_NULL);
	assert_false(msg_row_get(buf_str(&b), &row33));
	buf_reset(&b);
	struct msg_store_state st;
	put_u8(&b, 2);
	for (int i = 0; i < 3; i++)
		put_u64(&b, 0);
	assert_false(msg_store_state_get(buf_str(&b), &st));
	buf_done(&b);
}

static void
edit_none(struct msg_accept *m)
{
}

static void
edit_count_low(struct msg_accept *m)
{
	m->n_rcpt = 1;
}

static void
edit_count_high(struct msg_accept *m)
{
	m->n_rcpt = 3;
}

static void
edit_no_rcpts(struct msg_accept *m)
{
	m->n_rcpt = 1;
	m->rcpts = STR_NULL;
}

static void
edit_header(struct msg_accept *m)
{
	m->header_len = 1001;
}

static void
edit_ret(struct msg_accept *m)
{
	m->ret = STR("BODY");
}

static void
edit_from(struct msg_accept *m)
{
	m->from = STR("a@b\r\nBcc: c");
}

static void
edit_qid(struct msg_accept *m)
{
	m->qid = STR("4\0k");
}

static void
edit_views(struct msg_accept *m)
{
	m->n_rcpt = 0;
	m->rcpts = m->outline = STR_NULL;
	m->header_len = 1001;
	m->n_views = MERGE_RCPT_MAX;
}

static void
edit_views_and_rcpts(struct msg_accept *m)
{
	m->n_rcpt = 0;
	m->outline = STR_NULL;
	m->n_views = 2;
}

static void
edit_null_sender(struct msg_accept *m)
{
	m->from = m->ret = m->envid = m->trace = m->history = m->outline = STR_NULL;
}

static const struct edit {
	const char *name;
	void (*edit)(struct msg_accept *m);
	bool good;
} edits[] = {
	{ "as it is", edit_none, true },
	{ "empty strings", edit_null_sender, true },
	{ "fewer recipients than there are", edit_count_low, false },
	{ "more recipients than there are", edit_count_high, false },
	{ "no recipient", edit_no_rcpts, false },
	{ "header longer than the letter", edit_header, false },
	{ "unknown RET", edit_ret, false },
	{ "line end in the sender", edit_from, false },
	{ "NUL in the queue id", edit_qid, false },
	{ "views", edit_views, true },
	{ "views, and recipients behind them", edit_views_and_rcpts, false },
};

static void
test_accept_rules(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		struct buf b = BUF_INIT(1 << 16), rcpts = BUF_INIT(1 << 16);
		put_rcpts(&rcpts, 2);
		struct msg_accept got, m = an_accept(buf_str(&rcpts));
		edits[i].edit(&m);
		msg_accept_put(&b, &m);
		if (msg_accept_get(buf_str(&b), &got) != edits[i].good)
			fail_msg("%s", edits[i].name);
		buf_done(&b);
		buf_done(&rcpts);
	}
}

/* Too long for the receiver: the writer's buffer fails, and by hand the reader refuses it. */
static void
test_accept_caps(void **state)
{
	static const struct {
		size_t offset, cap;
	} caps[] = {
		{ offsetof(struct msg_accept, qid), 128 },
		{ offsetof(struct msg_accept, from), 1024 },
		{ offsetof(struct msg_accept, envid), 256 },
		{ offsetof(struct msg_accept, trace), 64u << 10 },
		{ offsetof(struct msg_accept, history), 256u << 10 },
		{ offsetof(struct msg_accept, outline), 64u << 10 },
	};
	char *big = xalloc((256u << 10) + 1);
	memset(big, 'x', (256u << 10) + 1);
	for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
		for (size_t over = 0; over < 2; over++) {
			struct buf b = BUF_INIT(1 << 20), rcpts = BUF_INIT(1 << 16);
			put_rcpts(&rcpts, 2);
			struct msg_accept got, m = an_accept(buf_str(&rcpts));
			struct str s = str_n(big, caps[i].cap + over);
			memcpy((char *)&m + caps[i].offset, &s, sizeof(s));
			msg_accept_put(&b, &m);
			assert_int_equal(b.failed, over);
			if (!over)
				assert_true(msg_accept_get(buf_str(&b), &got));
			buf_done(&b);
			buf_done(&rcpts);
		}
	}
	struct buf b = BUF_INIT(1 << 20);
	put_u64(&b, 1);
	put_str(&b, str_n(big, 1025));
	put_str(&b, STR_NULL);
	put_str(&b, STR_NULL);
	struct wire w = wire_of(buf_str(&b));
	struct msg_rcpt r;
	assert_false(msg_rcpt_get(&w, &r));
	buf_done(&b);
	free(big);
}

/* The writer aborts on these, so an accept's counts are changed behind it. */
static void
test_accept_counts(void **state)
{
	static const struct {
		uint32_t rcpts, views;
		bool good;
	} rows[] = {
		{ 2, 0, true },
		{ 0, 0, false },
		{ 2, 1, false },
		{ RCPT_MAX + 1, 0, false },
		{ 0, 1, false }, /* recipients stand there all the same */
		{ 0, MERGE_RCPT_MAX + 1, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(1 << 16), rcpts = BUF_INIT(1 << 16);
		put_rcpts(&rcpts, 2);
		struct msg_accept got, m = an_accept(buf_str(&rcpts));
		msg_accept_put(&b, &m);
		unsigned char *at = (unsigned char *)b.p + b.len - rcpts.len - 8;
		be32_put(at, rows[i].rcpts);
		be32_put(at + 4, rows[i].views);
		if (msg_accept_get(buf_str(&b), &got) != rows[i].good)
			fail_msg("row %zu", i);
		buf_done(&b);
		buf_done(&rcpts);
	}
}

static void
test_accept_many(void **state)
{
	struct buf b = BUF_INIT(IPC_BODY_MAX), rcpts = BUF_INIT(IPC_BODY_MAX);
	put_rcpts(&rcpts, RCPT_MAX);
	struct msg_accept got, m = an_accept(buf_str(&rcpts));
	m.n_rcpt = RCPT_MAX;
	msg_accept_put(&b, &m);
	assert_false(b.failed);
	assert_true(msg_accept_get(buf_str(&b), &got));
	assert_int_equal(got.n_rcpt, RCPT_MAX);
	buf_done(&b);
	buf_done(&rcpts);
}

static void
test_long_text_is_cut(void **state)
{
	struct buf b = BUF_INIT(1 << 16);
	char *big = xalloc(5000);
	memset(big, 'x', 5000);
	struct msg_done d = { CTL_FAILED, str_n(big, 5000) };
	msg_done_put(&b, &d);
	assert_true(msg_done_get(buf_str(&b), &d));
	assert_int_equal(d.text.len, 4096);
	assert_true(b.len <= frame_type(IPC_DONE)->body_max);
	free(big);
	buf_done(&b);
}

static void
test_names(void **state)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		assert_non_null(ipc_role_name[i]);
	for (int i = 0; i < STATUS_KEY_COUNT; i++)
		assert_non_null(status_key_name[i]);
}

/* The row of `status` ends with the counters, in their order. */
static void
test_ops(void **state)
{
	struct str fields = str_of(ipc_op_find(STR("status"))->fields);
	for (int i = 0; i < 8; i++)
		assert_true(str_word(&fields).len > 0);
	for (int i = 0; i < STATUS_KEY_COUNT; i++)
		assert_true(str_eq(str_word(&fields), str_of(status_key_name[i])));
	assert_int_equal(str_word(&fields).len, 0);

	assert_null(ipc_op_find(STR("")));
	assert_null(ipc_op_find(STR("statu")));
	for (const struct ipc_op *op = ipc_ops; op->name; op++) {
		assert_ptr_equal(ipc_op_find(str_of(op->name)), op);
		assert_true(op->role < ROLE_COUNT && op->min_args <= op->max_args);
		assert_true(op->max_args <= ASK_ARGS_MAX && strlen(op->name) <= 32);
		int n = 0;
		struct str f = str_of(op->fields);
		while (str_word(&f).len)
			n++;
		assert_true(n <= ROW_FIELDS_MAX);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_accept_rules),
		cmocka_unit_test(test_accept_caps),
		cmocka_unit_test(test_accept_counts),
		cmocka_unit_test(test_accept_many),
		cmocka_unit_test(test_long_text_is_cut),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_ops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
