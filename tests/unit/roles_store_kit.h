/* A store role and a reader with two users and a front's channel, for tests of either. */
#pragma once

#include "roles_kit.h"

#include "log/log.h"
#include "roles/store/store_role.h"
#include "store/store.h"

#define STATUS_NONE 255

struct town { /* a store with a reader, a front's channel, and two users */
	struct kit store, reader;
	int front;
	uint64_t alice, bob;
	struct buf out;
};

static inline uint64_t
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

static inline int
connect_front(struct town *t, uint16_t index)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	int fd = kit_peer(&t->store, ROLE_FRONT, index);
	kit_expect(fd, IPC_DIRECTORY, &store);
	kit_expect(fd, IPC_STORE_STATE, &store);
	buf_done(&store);
	return fd;
}

static inline void
town_open(struct town *t, const char *const *sets)
{
	struct conf *c = kit_conf(sets);
	*t = (struct town){ .front = -1, .out = BUF_INIT(64u << 20) };
	kit_start(&t->store, store_main, c, ROLE_STORE, 0);
	kit_start(&t->reader, reader_main, c, ROLE_READER, 0);
	kit_join(&t->store, ROLE_STORE, &t->reader, ROLE_READER);
	conf_free(c);
}

static inline void
town_people(struct town *t)
{
	assert_int_equal(KIT_ASK(&t->store, &t->out, "domain.add", "Example.COM"), CTL_OK);
	assert_int_equal(KIT_ASK(&t->store, &t->out, "user.add", "alice@example.com"), CTL_OK);
	assert_int_equal(KIT_ASK(&t->store, &t->out, "user.add", "Bob@example.com"), CTL_OK);
	t->alice = account_of(t, "alice@example.com");
	t->bob = account_of(t, "bob@example.com");
	t->front = connect_front(t, 0);
}

static inline void
town_close(struct town *t)
{
	if (t->front >= 0)
		close(t->front);
	assert_int_equal(kit_stop(&t->reader), 0);
	assert_int_equal(kit_stop(&t->store), 0);
	buf_done(&t->out);
}

/* --- a front --- */

static inline void
send_body(int fd, uint64_t id, struct str text)
{
	assert_int_equal(chan_sync_send(fd, IPC_BODY_OPEN, id, STR_NULL, -1), 0);
	while (text.len) {
		struct str part = str_first(text, 100000);
		assert_int_equal(chan_sync_send(fd, IPC_BODY_DATA, id, part, -1), 0);
		text = str_skip(text, part.len);
	}
}

struct to {
	uint64_t account;
	const char *rcpt;
};

static inline void
put_accept(struct buf *out, uint64_t size, uint32_t header_len, const struct to *to, uint32_t n)
{
	struct buf rcpts = BUF_INIT(1u << 20);
	for (uint32_t i = 0; i < n; i++) {
		struct msg_rcpt r = { .account = to[i].account, .rcpt = str_of(to[i].rcpt) };
		msg_rcpt_put(&rcpts, &r);
	}
	struct msg_accept m = {
		.session = 42,
		.time_ms = 1700000000123,
		.size = size,
		.header_len = header_len,
		.qid = STR("Q1234"),
		.from = STR("carol@elsewhere.example"),
		.trace = STR("Received: by test\r\n"),
		.history = STR("S: 220 hello\nC: QUIT\n"),
		.n_rcpt = n,
		.rcpts = buf_str(&rcpts),
	};
	msg_accept_put(out, &m);
	buf_done(&rcpts);
}

static inline void
send_accept(int fd, uint64_t id, uint64_t size, uint32_t header_len, const struct to *to,
    uint32_t n)
{
	struct buf body = BUF_INIT(1u << 20);
	put_accept(&body, size, header_len, to, n);
	assert_int_equal(chan_sync_send(fd, IPC_ACCEPT, id, buf_str(&body), -1), 0);
	buf_done(&body);
}

/* The status of the next ACCEPTED, which must be for id. */
static inline uint8_t
accepted(int fd, uint64_t id)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	uint8_t status = STATUS_NONE;
	do
		assert_int_equal(kit_recv(fd, &f, &store), 0);
	while (f.type == IPC_STORE_STATE || (f.type == IPC_DIRECTORY && close(f.fd) == 0));
	assert_int_equal(f.type, IPC_ACCEPTED);
	assert_true(f.id == id);
	assert_true(msg_u8_get(f.body, ACCEPT_COUNT, &status));
	buf_done(&store);
	return status;
}

#define HEAD "From: Carol <carol@elsewhere.example>\r\nSubject: a\r\n  folded one\r\n"
#define LETTER HEAD "\r\nHello\r\n"

static inline uint8_t
deliver(int fd, uint64_t id, struct str text, const struct to *to, uint32_t n)
{
	send_body(fd, id, text);
	send_accept(fd, id, text.len, MIN((uint32_t)sizeof(HEAD) - 1, (uint32_t)text.len), to, n);
	return accepted(fd, id);
}

static inline uint64_t
status_value(struct kit *k, enum status_key key)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	struct msg_status s;
	assert_int_equal(chan_sync_send(k->sock, IPC_STATUS_ASK, 99, STR_NULL, -1), 0);
	assert_int_equal(kit_recv(k->sock, &f, &store), 0);
	assert_int_equal(f.type, IPC_STATUS);
	assert_int_equal(f.id, 99);
	assert_true(msg_status_get(f.body, &s));
	assert_true(s.have & 1u << key);
	buf_done(&store);
	return s.value[key];
}

static inline uint64_t
messages_of(struct town *t, const char *address)
{
	assert_int_equal(KIT_ASK(&t->reader, &t->out, "mailbox.list", address), CTL_OK);
	struct str line = buf_str(&t->out);
	assert_true(str_starts(line, STR("INBOX|")));
	(void)str_cut(&line, '|');
	char number[24];
	assert_true(str_copy(number, sizeof(number), str_cut(&line, '|')));
	return strtoull(number, NULL, 10);
}

/* --- each test has a directory of its own --- */

static inline int
town_setup(void **state)
{
	kit_make_dir();
	return 0;
}

static inline int
town_teardown(void **state)
{
	kit_drop_dir();
	return 0;
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, town_setup, town_teardown)
