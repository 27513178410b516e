/* The store role and mail merge: views that arrive, are accepted, are wrong, or are left behind. */
#include "roles_kit.h"

#include "roles/store/store_role.h"

struct town {
	struct kit store, reader;
	int front;
	uint64_t alice, bob;
	struct buf out;
};

static uint64_t
account_of(struct town *t, const char *address)
{
	assert_int_equal(KIT_ASK(&t->store, &t->out, "user.list"), CTL_OK);
	struct str rest = buf_str(&t->out);
	while (rest.p) {
		struct str line = str_cut(&rest, '\n');
		struct str name = str_cut(&line, '|');
		char number[24];
		if (str_eq(name, str_of(address)) && str_copy(number, sizeof(number), line))
			return strtoull(number, NULL, 10);
	}
	fail_msg("no user %s", address);
	return 0;
}

static int
connect_front(struct town *t, uint16_t index)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	int fd = kit_peer(&t->store, ROLE_FRONT, index);
	kit_expect(fd, IPC_DIRECTORY, &store);
	kit_expect(fd, IPC_STORE_STATE, &store);
	buf_done(&store);
	return fd;
}

static void
town_open(struct town *t, const char *const *sets)
{
	struct conf *c = kit_conf(sets);
	*t = (struct town){ .front = -1, .out = BUF_INIT(64u << 20) };
	kit_start(&t->store, store_main, c, ROLE_STORE, 0);
	kit_start(&t->reader, reader_main, c, ROLE_READER, 0);
	kit_join(&t->store, ROLE_STORE, &t->reader, ROLE_READER);
	conf_free(c);
	assert_int_equal(KIT_ASK(&t->store, &t->out, "domain.add", "example.com"), CTL_OK);
	assert_int_equal(KIT_ASK(&t->store, &t->out, "user.add", "alice@example.com"), CTL_OK);
	assert_int_equal(KIT_ASK(&t->store, &t->out, "user.add", "bob@example.com"), CTL_OK);
	t->alice = account_of(t, "alice@example.com");
	t->bob = account_of(t, "bob@example.com");
	t->front = connect_front(t, 0);
}

static void
town_close(struct town *t)
{
	close(t->front);
	assert_int_equal(kit_stop(&t->reader), 0);
	assert_int_equal(kit_stop(&t->store), 0);
	buf_done(&t->out);
}

static uint64_t
memory_of(struct town *t)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	struct msg_status s;
	assert_int_equal(chan_sync_send(t->store.sock, IPC_STATUS_ASK, 99, STR_NULL, -1), 0);
	assert_int_equal(kit_recv(t->store.sock, &f, &store), 0);
	assert_true(f.type == IPC_STATUS && msg_status_get(f.body, &s));
	buf_done(&store);
	return s.value[STATUS_BODY_MEMORY];
}

static uint64_t
messages_of(struct town *t, const char *address)
{
	assert_int_equal(KIT_ASK(&t->reader, &t->out, "mailbox.list", address), CTL_OK);
	struct str line = buf_str(&t->out);
	char number[24];
	(void)str_cut(&line, '|');
	assert_true(str_copy(number, sizeof(number), str_cut(&line, '|')));
	return strtoull(number, NULL, 10);
}

/* --- a front --- */

#define PARTS "Subject: to \r\n\r\nHello , good bye.\r\n"

static void
send_parts(int fd, uint64_t id, struct str parts)
{
	assert_int_equal(chan_sync_send(fd, IPC_BODY_OPEN, id, STR_NULL, -1), 0);
	while (parts.len) {
		struct str step = str_first(parts, 100000);
		assert_int_equal(chan_sync_send(fd, IPC_BODY_DATA, id, step, -1), 0);
		parts = str_skip(parts, step.len);
	}
}

/* "Subject: to NAME", then "Hello NAME, good bye." and so much of the body as end says. */
static void
view_put(struct buf *out, uint64_t account, const char *rcpt, const char *name, uint64_t end)
{
	struct buf pieces = BUF_INIT(VIEW_MAX);
	struct str n = str_of(name);
	const struct msg_piece p[] = { { .off = 0, .len = 12 }, { .literal = true, .text = n },
		{ .off = 12, .len = 10 }, { .literal = true, .text = n },
		{ .off = 22, .len = end - 22 } };
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		msg_piece_put(&pieces, &p[i]);
	struct msg_view v = { .rcpt = { .account = account, .rcpt = str_of(rcpt) },
		.size = end + 2 * n.len,
		.header_len = (uint32_t)(14 + n.len),
		.n_pieces = ARRAY_LEN(p),
		.pieces = buf_str(&pieces) };
	msg_view_put(out, &v);
	assert_false(out->failed);
	buf_done(&pieces);
}

static void
send_view(int fd, uint64_t id, uint64_t account, const char *name, uint64_t end)
{
	struct buf b = BUF_INIT(IPC_BODY_MAX);
	view_put(&b, account, "them@example.com", name, end);
	assert_int_equal(chan_sync_send(fd, IPC_VIEWS, id, buf_str(&b), -1), 0);
	buf_done(&b);
}

static void
send_accept(int fd, uint64_t id, uint64_t size, uint32_t n_views, uint64_t account)
{
	struct buf b = BUF_INIT(IPC_BODY_MAX), rcpts = BUF_INIT(4096);
	struct msg_accept m = { .session = 42,
		.time_ms = 1700000000123,
		.size = size,
		.qid = STR("Q1"),
		.from = STR("carol@elsewhere.example"),
		.trace = STR("Received: by test\r\n"),
		.n_views = n_views };
	if (!n_views) {
		msg_rcpt_put(&rcpts,
		    &(struct msg_rcpt){ .account = account, .rcpt = STR("a@example.com") });
		m.n_rcpt = 1;
		m.rcpts = buf_str(&rcpts);
	}
	msg_accept_put(&b, &m);
	assert_int_equal(chan_sync_send(fd, IPC_ACCEPT, id, buf_str(&b), -1), 0);
	buf_done(&b);
	buf_done(&rcpts);
}

static uint8_t
accepted(int fd, uint64_t id)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	uint8_t status = 255;
	do
		assert_int_equal(kit_recv(fd, &f, &store), 0);
	while (f.type == IPC_STORE_STATE || (f.type == IPC_DIRECTORY && close(f.fd) == 0));
	assert_true(f.type == IPC_ACCEPTED && f.id == id);
	assert_true(msg_u8_get(f.body, ACCEPT_COUNT, &status));
	buf_done(&store);
	return status;
}

static void
expect_letter(struct town *t, const char *address, const char *uid, const char *name)
{
	char want[400];
	snprintf(want, sizeof(want),
	    "Return-Path: <carol@elsewhere.example>\r\nDelivered-To: them@example.com\r\n"
	    "Received: by test\r\nSubject: to %s\r\n\r\nHello %s, good bye.\r\n\n",
	    name, name);
	assert_int_equal(KIT_ASK(&t->reader, &t->out, "mailbox.read", address, "INBOX", uid),
	    CTL_OK);
	assert_string_equal(buf_cstr(&t->out), want);
	snprintf(want, sizeof(want), "|to %s|", name);
	assert_int_equal(KIT_ASK(&t->reader, &t->out, "mailbox.show", address, "INBOX"), CTL_OK);
	assert_true(str_find_str(buf_str(&t->out), str_of(want)) < t->out.len);
}

/* --- tests --- */

static void
test_merge(void **state)
{
	struct town t;
	town_open(&t, NULL);
	const uint64_t size = sizeof(PARTS) - 1;
	send_view(t.front, 77, t.alice, "Nobody", size); /* of a letter that is not there */
	send_parts(t.front, 1001, STR(PARTS));
	send_view(t.front, 1001, t.alice, "Alice", size);
	send_view(t.front, 1001, t.bob, "Bob", size);
	send_view(t.front, 1001, 987654321, "Ghost", size);
	send_accept(t.front, 1001, size, 3, 0);
	/* Asked before the answer, it is answered once: the question joins those who wait. */
	assert_int_equal(accepted(t.front, 1001), ACCEPT_OK);
	assert_int_equal(chan_sync_send(t.front, IPC_ACCEPT_ASK, 1001, STR_NULL, -1), 0);
	assert_int_equal(accepted(t.front, 1001), ACCEPT_OK);
	expect_letter(&t, "alice@example.com", "1", "Alice");
	expect_letter(&t, "bob@example.com", "1", "Bob");
	/* All are gone. */
	send_parts(t.front, 1002, STR(PARTS));
	send_view(t.front, 1002, 987654321, "Ghost", size);
	send_accept(t.front, 1002, size, 1, 0);
	assert_int_equal(accepted(t.front, 1002), ACCEPT_FAILED);
	/* Thought better of. */
	send_parts(t.front, 1003, STR(PARTS));
	send_view(t.front, 1003, t.alice, "Alice", size);
	assert_int_equal(chan_sync_send(t.front, IPC_BODY_DROP, 1003, STR_NULL, -1), 0);
	send_accept(t.front, 1003, size, 1, 0);
	assert_int_equal(accepted(t.front, 1003), ACCEPT_FAILED);
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	assert_int_equal(memory_of(&t), 0);
	town_close(&t);
}

/* A store that is killed: what was answered stays, what was not comes not. */
static void
test_killed(void **state)
{
	struct town t;
	town_open(&t, NULL);
	const uint64_t size = sizeof(PARTS) - 1;
	send_parts(t.front, 1001, STR(PARTS));
	send_view(t.front, 1001, t.alice, "Alice", size);
	send_accept(t.front, 1001, size, 1, 0);
	assert_int_equal(accepted(t.front, 1001), ACCEPT_OK);
	send_parts(t.front, 1002, STR(PARTS));
	send_view(t.front, 1002, t.alice, "Alice", size);
	assert_int_equal(kit_kill(&t.store), -SIGKILL);
	close(t.front);
	struct conf *c = kit_conf(NULL);
	kit_start(&t.store, store_main, c, ROLE_STORE, 0);
	conf_free(c);
	kit_join(&t.store, ROLE_STORE, &t.reader, ROLE_READER);
	t.front = connect_front(&t, 0);
	for (uint64_t id = 1001; id <= 1002; id++) {
		assert_int_equal(chan_sync_send(t.front, IPC_ACCEPT_ASK, id, STR_NULL, -1), 0);
		assert_int_equal(accepted(t.front, id), id == 1001 ? ACCEPT_OK : ACCEPT_UNKNOWN);
	}
	expect_letter(&t, "alice@example.com", "1", "Alice");
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	town_close(&t);
}

enum wrong {
	WRONG_JUNK,       /* no view at all */
	WRONG_HALF,       /* a view that is cut short */
	WRONG_SUM,        /* its size is another */
	WRONG_COUNT_LESS, /* fewer than came */
	WRONG_COUNT_MORE,
	WRONG_COUNT_NONE, /* an ordinary letter, after views */
	WRONG_BEYOND,     /* a piece that the body has not */
	WRONG_KINDS,
};

static void
do_wrong(struct town *t, int fd, enum wrong what, uint64_t id)
{
	const uint64_t size = sizeof(PARTS) - 1;
	struct buf b = BUF_INIT(IPC_BODY_MAX);
	view_put(&b, t->alice, "them@example.com", "Alice", size);
	send_parts(fd, id, STR(PARTS));
	send_view(fd, id, t->alice, "Alice", size + (what == WRONG_BEYOND));
	if (what == WRONG_JUNK)
		assert_int_equal(chan_sync_send(fd, IPC_VIEWS, id, STR("junk"), -1), 0);
	if (what == WRONG_SUM) /* of size, behind the recipient: 8 + 4 + 16 + 4 + 4 */
		b.p[43] ^= 1;
	if (what == WRONG_HALF || what == WRONG_SUM)
		assert_int_equal(chan_sync_send(fd, IPC_VIEWS, id,
				     str_n(b.p, b.len - (what == WRONG_HALF)), -1),
		    0);
	static const uint32_t counts[WRONG_KINDS] = { [WRONG_COUNT_MORE] = 2, [WRONG_BEYOND] = 1 };
	if (what == WRONG_COUNT_LESS)
		send_view(fd, id, t->bob, "Bob", size);
	if (what >= WRONG_COUNT_LESS)
		send_accept(fd, id, size, what == WRONG_COUNT_LESS ? 1 : counts[what], t->alice);
	buf_done(&b);
}

static void
test_breaches(void **state)
{
	struct town t;
	town_open(&t, NULL);
	for (int what = 0; what < WRONG_KINDS; what++) {
		int fd = connect_front(&t, 1);
		do_wrong(&t, fd, (enum wrong)what, (1ull << 12) + (uint64_t)what);
		assert_true(kit_closed(fd));
		close(fd);
	}
	assert_int_equal(messages_of(&t, "alice@example.com"), 0);
	assert_int_equal(memory_of(&t), 0);
	town_close(&t);
}

/* Many views take no more memory than bodies may; when their front goes they go with it. */
static void
test_memory(void **state)
{
	static const char *const sets[] = { "store.body_memory=1M", NULL };
	struct town t;
	town_open(&t, sets);
	const uint64_t size = sizeof(PARTS) - 1;
	char *name = xalloc(2001);
	memset(name, 'n', 2000);
	int gone = connect_front(&t, 1);
	for (int round = 0; round < 2; round++) {
		int fd = round ? t.front : gone;
		uint64_t id = round ? 1001 : (1ull << 12) + 1;
		send_parts(fd, id, STR(PARTS));
		for (int i = 0; i < 700; i++)
			send_view(fd, id, i % 2 ? t.alice : t.bob, name, size);
		assert_true(memory_of(&t) <= (1u << 20) + VIEW_MAX);
	}
	close(gone);
	send_accept(t.front, 1001, size, 700, 0);
	assert_int_equal(accepted(t.front, 1001), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "alice@example.com"), 350);
	assert_int_equal(messages_of(&t, "bob@example.com"), 350);
	for (int i = 0; i < 60000 && memory_of(&t) > 0; i++)
		usleep(1000);
	assert_int_equal(memory_of(&t), 0);
	free(name);
	town_close(&t);
}

/* A disk that is low: what has to go to a file goes no further, be it parts or views. */
static void
test_disk_low(void **state)
{
	static const char *const sets[] = { "limit.disk_low=1000000G", NULL };
	struct town t;
	town_open(&t, sets);
	const uint64_t size = sizeof(PARTS) - 1;
	char *body = xalloc(400000), *name = xalloc(2001);
	memset(body, 'z', 400000);
	memset(name, 'n', 2000);
	static const struct {
		size_t body;
		uint32_t views;
		uint8_t status;
	} rows[] = {
		{ sizeof(PARTS) - 1, 1, ACCEPT_OK },
		{ 400000, 1, ACCEPT_FULL },
		{ sizeof(PARTS) - 1, 200, ACCEPT_FULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		send_parts(t.front, 1001 + i, str_n(i == 1 ? body : PARTS, rows[i].body));
		for (uint32_t j = 0; j < rows[i].views; j++)
			send_view(t.front, 1001 + i, t.alice, name, size);
		send_accept(t.front, 1001 + i, rows[i].body, rows[i].views, 0);
		assert_int_equal(accepted(t.front, 1001 + i), rows[i].status);
	}
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	free(name);
	free(body);
	town_close(&t);
}

static int
setup(void **state)
{
	kit_make_dir();
	return 0;
}

static int
teardown(void **state)
{
	kit_drop_dir();
	return 0;
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ROW(test_merge),
		ROW(test_killed),
		ROW(test_breaches),
		ROW(test_memory),
		ROW(test_disk_low),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
