/* The store role as a process of its own, with the engine that production has. */
#include "roles_store_kit.h"

#include "route/directory.h"

/* The newest directory that came on fd; reads STORE_STATE over. */
static void
read_directory(int fd, struct str *ret_map, struct directory *ret)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f = { .fd = -1 };
	do
		assert_int_equal(kit_recv(fd, &f, &store), 0);
	while (f.type == IPC_STORE_STATE);
	assert_int_equal(f.type, IPC_DIRECTORY);
	assert_int_equal(memfd_map(f.fd, DIRECTORY_MAX, ret_map), 0);
	close(f.fd);
	assert_true(directory_open(ret, *ret_map));
	assert_int_equal(directory_version(ret), f.id);
	buf_done(&store);
}

/* --- tests --- */

static void
test_first_letter(void **state)
{
	struct town t;
	struct directory d;
	struct str map;
	town_open(&t, NULL);
	int early = kit_peer(&t.store, ROLE_FRONT, 1);
	read_directory(early, &map, &d);
	uint64_t first = directory_version(&d);
	assert_int_equal(directory_users(&d), 0);
	memfd_unmap(map);
	town_people(&t);
	for (int i = 0; i < 3; i++) {
		read_directory(early, &map, &d);
		assert_true(directory_version(&d) > first);
		first = directory_version(&d);
		assert_int_equal(directory_users(&d), i);
		assert_true(directory_is_local(&d, STR("example.com")));
		memfd_unmap(map);
	}
	close(early);

	assert_int_equal(messages_of(&t, "alice@example.com"), 0);
	const struct to to[] = { { t.alice, "Alice@example.com" } };
	assert_int_equal(deliver(t.front, 1000, STR(LETTER), to, 1), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "ALICE@Example.com"), 1);
	assert_int_equal(messages_of(&t, "bob@example.com"), 0);
	assert_int_equal(status_value(&t.store, STATUS_LETTERS), 1);
	assert_int_equal(status_value(&t.store, STATUS_ACCOUNTS), 2);
	assert_true(status_value(&t.store, STATUS_SPACE_FREE) > 0);

	const char *whole =
	    "Return-Path: <carol@elsewhere.example>\r\nDelivered-To: Alice@example.com\r\n"
	    "Received: by test\r\n" LETTER;
	char show[256], id[14], export[256];
	id_format(id, 1000);
	snprintf(show, sizeof(show),
	    "1|1700000000123|%zu|%s|carol@elsewhere.example|"
	    "Carol <carol@elsewhere.example>|a folded one|\n",
	    strlen(whole), id);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "mailbox.show", "alice@example.com", "inbox"),
	    CTL_OK);
	assert_string_equal(buf_cstr(&t.out), show);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "mailbox.read", "alice@example.com", "INBOX",
			     "1"),
	    CTL_OK);
	buf_trunc(&t.out, t.out.len - 1);
	assert_string_equal(buf_cstr(&t.out), whole);
	snprintf(export, sizeof(export), "L|1|1700000000123|%zu|carol@elsewhere.example|\nD|",
	    strlen(whole));
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "mailbox.export", "alice@example.com", "INBOX"),
	    CTL_OK);
	assert_true(str_starts(buf_str(&t.out), str_of(export)));
	assert_true(str_ends(buf_str(&t.out), STR("Hello\r\n\n")));
	town_close(&t);
}

static void
test_one_copy_per_mailbox(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	const struct to to[] = {
		{ t.bob, "first@example.com" },
		{ t.alice, "staff@example.com" },
		{ t.bob, "staff@example.com" },
		{ t.bob, "bob@example.com" },
	};
	assert_int_equal(deliver(t.front, 3001, STR(LETTER), to, ARRAY_LEN(to)), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	assert_int_equal(messages_of(&t, "bob@example.com"), 1);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "mailbox.read", "bob@example.com", "INBOX",
			     "1"),
	    CTL_OK);
	assert_true(str_find_str(buf_str(&t.out), STR("Delivered-To: first@example.com\r\n")) <
		    t.out.len);
	/* Asked again under the same id: the answer is the same, and nothing is added. */
	assert_int_equal(deliver(t.front, 3001, STR(LETTER), to, ARRAY_LEN(to)), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "bob@example.com"), 1);
	town_close(&t);
}

static void
test_removed_account(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	const struct to gone[] = { { 987654321, "ghost@example.com" } };
	const struct to both[] = { { 987654321, "ghost@example.com" },
		{ t.alice, "alice@example.com" } };
	assert_int_equal(deliver(t.front, 3101, STR(LETTER), gone, 1), ACCEPT_FAILED);
	assert_int_equal(deliver(t.front, 3102, STR(LETTER), both, 2), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	town_close(&t);
}

static void
test_front_dies(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	int other = connect_front(&t, 1);
	char *text = xalloc(100000);
	memset(text, 'x', 100000);
	for (uint64_t id = 3401; id < 3405; id++)
		send_body(t.front, id, str_n(text, 100000));
	send_body(other, 4100, STR(LETTER));
	for (int i = 0; i < 60000 && status_value(&t.store, STATUS_BODY_MEMORY) < 400000; i++)
		usleep(1000);
	assert_true(status_value(&t.store, STATUS_BODY_MEMORY) >= 400000);
	close(t.front);
	for (int i = 0; i < 60000 && status_value(&t.store, STATUS_BODY_MEMORY) >= 100000; i++)
		usleep(1000);
	assert_true(status_value(&t.store, STATUS_BODY_MEMORY) < 100000);
	t.front = connect_front(&t, 0);
	assert_int_equal(chan_sync_send(t.front, IPC_ACCEPT_ASK, 3401, STR_NULL, -1), 0);
	assert_int_equal(accepted(t.front, 3401), ACCEPT_UNKNOWN);
	/* A new process under the same index replaces the old channel. */
	int again = connect_front(&t, 0);
	assert_true(kit_closed(t.front));
	close(t.front);
	t.front = again;
	const struct to to[] = { { t.alice, "alice@example.com" } };
	send_accept(other, 4100, sizeof(LETTER) - 1, sizeof(HEAD) - 1, to, 1);
	assert_int_equal(accepted(other, 4100), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	close(other);
	free(text);
	town_close(&t);
}

static void
test_ask_after_restart(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	const struct to to[] = { { t.alice, "alice@example.com" } };
	assert_int_equal(deliver(t.front, 1001, STR(LETTER), to, 1), ACCEPT_OK);
	assert_int_equal(chan_sync_send(t.front, IPC_ACCEPT_ASK, 1001, STR_NULL, -1), 0);
	assert_int_equal(accepted(t.front, 1001), ACCEPT_OK);
	send_body(t.front, 1002, STR(LETTER));
	assert_int_equal(kit_kill(&t.store), -SIGKILL);
	assert_true(kit_closed(t.front));
	close(t.front);

	struct conf *c = kit_conf(NULL);
	kit_start(&t.store, store_main, c, ROLE_STORE, 0);
	conf_free(c);
	kit_join(&t.store, ROLE_STORE, &t.reader, ROLE_READER);
	t.front = connect_front(&t, 0);
	assert_int_equal(chan_sync_send(t.front, IPC_ACCEPT_ASK, 1001, STR_NULL, -1), 0);
	assert_int_equal(accepted(t.front, 1001), ACCEPT_OK);
	assert_int_equal(chan_sync_send(t.front, IPC_ACCEPT_ASK, 1002, STR_NULL, -1), 0);
	assert_int_equal(accepted(t.front, 1002), ACCEPT_UNKNOWN);
	/* An accept whose body the former life had is refused, truthfully. */
	send_accept(t.front, 1002, sizeof(LETTER) - 1, 0, to, 1);
	assert_int_equal(accepted(t.front, 1002), ACCEPT_FAILED);
	send_accept(t.front, 1001, sizeof(LETTER) - 1, 0, to, 1);
	assert_int_equal(accepted(t.front, 1001), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	town_close(&t);
}

/* Many letters at once: an ACCEPT, the same again, and a question about it before the answer. */
static void
test_many(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	const struct to to[] = { { t.alice, "alice@example.com" }, { t.bob, "bob@example.com" } };
	enum { N = 400 };
	for (uint64_t id = 0; id < N; id++) {
		send_body(t.front, 2000 + id, STR(LETTER));
		send_accept(t.front, 2000 + id, sizeof(LETTER) - 1, sizeof(HEAD) - 1, to, 2);
	}
	bool seen[N] = { false };
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	for (int i = 0; i < N; i++) {
		uint64_t id = kit_expect(t.front, IPC_ACCEPTED, &store) - 2000;
		assert_true(id < N && !seen[id]);
		seen[id] = true;
	}
	buf_done(&store);
	assert_int_equal(messages_of(&t, "alice@example.com"), N);
	assert_int_equal(messages_of(&t, "bob@example.com"), N);
	assert_int_equal(status_value(&t.store, STATUS_BODY_MEMORY), 0);
	town_close(&t);
}

/* More than may be held in memory: bodies go to files, and come out whole. */
static void
test_large(void **state)
{
	static const char *const sets[] = { "store.body_memory=1M", NULL };
	struct town t;
	town_open(&t, sets);
	town_people(&t);
	const struct to to[] = { { t.alice, "alice@example.com" } };
	enum { N = 12, SIZE = 200000, LARGE = 1500000 };
	char *text = xalloc(LARGE);
	for (size_t i = 0; i < LARGE; i++)
		text[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : (char)('a' + i / 64 % 26);
	for (uint64_t id = 2500; id < 2500 + N; id++)
		send_body(t.front, id, str_n(text, SIZE));
	send_body(t.front, 2999, str_n(text, LARGE));
	assert_true(status_value(&t.store, STATUS_BODY_MEMORY) <= (1u << 20) + SIZE);
	for (uint64_t id = 2500; id < 2500 + N; id++) {
		send_accept(t.front, id, SIZE, 0, to, 1);
		assert_int_equal(accepted(t.front, id), ACCEPT_OK);
	}
	send_accept(t.front, 2999, LARGE, 0, to, 1);
	assert_int_equal(accepted(t.front, 2999), ACCEPT_OK);
	char uid[16];
	for (int i = 1; i <= N + 1; i++) {
		size_t size = i <= N ? SIZE : LARGE;
		snprintf(uid, sizeof(uid), "%d", i);
		int fd = kit_ctl(&t.reader);
		struct buf store = BUF_INIT(IPC_BODY_MAX + 64), whole = BUF_INIT(4u << 20);
		struct ipc_frame f;
		struct msg_row row;
		kit_send_ask(fd, (const char *const[]){
				     "mailbox.read", "alice@example.com", "INBOX", uid, NULL });
		while (kit_recv(fd, &f, &store) == 0 && f.type == IPC_ROW &&
		       msg_row_get(f.body, &row))
			buf_puts(&whole, row.field[0]);
		assert_int_equal(f.type, IPC_DONE);
		assert_true(str_ends(buf_str(&whole), str_n(text, size)));
		buf_done(&store);
		buf_done(&whole);
		close(fd);
	}
	free(text);
	town_close(&t);
}

/* More aliases with many members than a channel may queue: the list waits for its reader. */
static void
test_list_of_large_aliases(void **state)
{
	enum { N = 280, SIZE = 250000 };
	struct store_dom d = store_dom_directory();
	struct store_options o = STORE_OPTIONS_DEFAULT;
	struct buf err = BUF_INIT(4096), value = BUF_INIT(SIZE + 64);
	struct store *s;
	char name[300];
	snprintf(name, sizeof(name), "emb:%s/store", kit_dir);
	assert_int_equal(store_open(&s, name, &o, &err), 0);
	buf_putc(&value, 1);
	while (value.len < SIZE)
		buf_putz(&value, "member-with-a-long-name-so-that-few-do@members.example.com\n");
	for (int i = 0; i < N; i++) {
		struct store_batch *b = store_batch_new(s, &d);
		snprintf(name, sizeof(name), "a|list%d@example.com", i);
		store_put(b, str_of(name), buf_str(&value), 0);
		store_commit(b, STORE_DURABLE, NULL, NULL);
		store_wait(s);
	}
	store_close(s);
	struct town t;
	town_open(&t, NULL);
	int fd = kit_ctl(&t.store);
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	int rows = 0;
	kit_send_ask(fd, (const char *const[]){ "alias.list", NULL });
	while (kit_recv(fd, &f, &store) == 0 && f.type == IPC_ROW)
		rows++;
	assert_int_equal(f.type, IPC_DONE);
	assert_int_equal(rows, N);
	close(fd);
	buf_done(&store);
	buf_done(&value);
	town_close(&t);
}

/* --- breaches --- */

enum wrong {
	WRONG_TYPE,
	WRONG_SIZE,
	WRONG_HEADER_LEN,
	WRONG_ACCEPT,
	WRONG_TWICE,
	WRONG_FRONT,
	WRONG_OCTETS,
	WRONG_COUNT
};

static void
do_wrong(struct town *t, int fd, enum wrong what)
{
	const struct to to[] = { { t->alice, "alice@example.com" } };
	char junk[64];
	memset(junk, 0xee, sizeof(junk));
	send_body(fd, 5001, STR(LETTER));
	if (what == WRONG_TYPE)
		assert_int_equal(chan_sync_send(fd, IPC_SYNC, 1, STR_NULL, -1), 0);
	else if (what == WRONG_SIZE)
		send_accept(fd, 5001, sizeof(LETTER), 0, to, 1);
	else if (what == WRONG_HEADER_LEN)
		send_accept(fd, 5001, sizeof(LETTER) - 1, sizeof(LETTER), to, 1);
	else if (what == WRONG_ACCEPT)
		assert_int_equal(chan_sync_send(fd, IPC_ACCEPT, 5001, str_n(junk, sizeof(junk)),
				     -1),
		    0);
	else if (what == WRONG_TWICE)
		assert_int_equal(chan_sync_send(fd, IPC_BODY_OPEN, 5001, STR_NULL, -1), 0);
	else if (what == WRONG_FRONT) /* a letter of front 0, so that its own would be lost */
		assert_int_equal(chan_sync_send(fd, IPC_BODY_OPEN, 3001, STR_NULL, -1), 0);
	else
		assert_int_equal(send(fd, junk, sizeof(junk), 0), sizeof(junk));
}

static void
test_breaches(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	for (int what = 0; what < WRONG_COUNT; what++) {
		int fd = connect_front(&t, 1);
		do_wrong(&t, fd, (enum wrong)what);
		assert_true(kit_closed(fd));
		close(fd);
	}
	int reader = kit_peer(&t.store, ROLE_READER, 1);
	assert_int_equal(chan_sync_send(reader, IPC_SYNC, 1, STR("not a domain"), -1), 0);
	assert_true(kit_closed(reader));
	close(reader);
	int ctl = kit_ctl(&t.store);
	assert_int_equal(chan_sync_send(ctl, IPC_ASK, 1, STR("junk"), -1), 0);
	assert_true(kit_closed(ctl));
	close(ctl);

	const struct to to[] = { { t.alice, "alice@example.com" } };
	assert_int_equal(deliver(t.front, 3100, STR(LETTER), to, 1), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	town_close(&t);
}

static void
test_parent_breach(void **state)
{
	struct conf *c = kit_conf(NULL);
	struct kit k;
	kit_start(&k, store_main, c, ROLE_STORE, 0);
	assert_int_equal(chan_sync_send(k.sock, IPC_CTL_OK, 0, STR_NULL, -1), 0);
	assert_int_equal(kit_stop(&k), 1);
	/* A setup for somebody else. */
	kit_spawn(&k, store_main, c, ROLE_AUTH, 0);
	assert_int_equal(kit_stop(&k), 1);
	conf_free(c);
}

/* --- commands --- */

static const struct {
	const char *words[4];
	int code;
	const char *answer; /* how it begins; NULL: anything */
} asks[] = {
	{ { "domain.list" }, CTL_OK, "from.conf.example|config\n" },
	{ { "domain.add", "from.conf.example" }, CTL_EXISTS, NULL },
	{ { "domain.add", "bad domain" }, CTL_INVALID, "!\"bad domain\" is no domain name" },
	{ { "domain.add", "[127.0.0.1]" }, CTL_INVALID, NULL },
	{ { "domain.add", "one.example" }, CTL_OK, "" },
	{ { "domain.add", "ONE.example" }, CTL_EXISTS, "!domain one.example exists" },
	{ { "domain.list" }, CTL_OK, "from.conf.example|config\none.example|store\n" },
	{ { "domain.remove", "two.example" }, CTL_NOT_FOUND, NULL },
	{ { "domain.remove", "from.conf.example" }, CTL_REFUSED, NULL },
	{ { "user.add", "x@two.example" }, CTL_INVALID,
	    "!domain two.example is not local; run `pennypost domain add" },
	{ { "user.add", "x" }, CTL_INVALID, NULL },
	{ { "user.add", "x@one.example" }, CTL_OK, "" },
	{ { "user.add", "X@one.EXAMPLE" }, CTL_EXISTS, "!user x@one.example exists" },
	{ { "user.add", "y@from.conf.example" }, CTL_OK, "" },
	{ { "user.add", "team@from.conf.example" }, CTL_EXISTS,
	    "!team@from.conf.example is an alias in the conf" },
	{ { "alias.add", "x@one.example", "y@one.example" }, CTL_EXISTS,
	    "!x@one.example is a user" },
	{ { "alias.add", "a@one.example", "" }, CTL_INVALID, "!an alias needs" },
	{ { "alias.add", "a@one.example", "x@one.example\nnonsense" }, CTL_INVALID,
	    "!member \"nonsense\"" },
	{ { "alias.add", "a@two.example", "x@one.example" }, CTL_INVALID, NULL },
	{ { "alias.add", "a@one.example", "x@one.example\n\n  far@else.example \n" }, CTL_OK, "" },
	{ { "alias.add", "A@one.example", "x@one.example" }, CTL_EXISTS,
	    "!alias a@one.example exists" },
	{ { "alias.add", "@one.example", "x@one.example" }, CTL_OK, "" },
	{ { "alias.list" }, CTL_OK,
	    "team@from.conf.example|y@from.conf.example|config\n@one.example|x@one.example|store\n"
	    "a@one.example|x@one.example\nfar@else.example|store\n" },
	{ { "user.add", "a@one.example" }, CTL_EXISTS, "!a@one.example is an alias" },
	{ { "domain.remove", "one.example" }, CTL_REFUSED,
	    "!domain one.example still has x@one.example" },
	{ { "alias.remove", "a@one.example" }, CTL_OK, "" },
	{ { "alias.remove", "a@one.example" }, CTL_NOT_FOUND, NULL },
	{ { "alias.remove", "team@from.conf.example" }, CTL_REFUSED, NULL },
	{ { "alias.remove", "@one.example" }, CTL_OK, "" },
	{ { "user.remove", "x@one.example" }, CTL_OK, "" },
	{ { "user.remove", "x@one.example" }, CTL_NOT_FOUND, "!there is no user x@one.example" },
	{ { "domain.remove", "one.example" }, CTL_OK, "" },
	{ { "domain.add" }, CTL_INVALID, "!store: \"domain.add\" takes another number" },
	{ { "status" }, CTL_INVALID, "!store: \"status\" is not answered here" },
	{ { "mailbox.list", "x@one.example" }, CTL_INVALID, NULL },
};

static void
test_commands(void **state)
{
	static const char *const sets[] = { "alias.team@from.conf.example=y@from.conf.example",
		NULL };
	struct conf *c = kit_conf(sets);
	struct kit k;
	struct buf out = BUF_INIT(1u << 20);
	c->domains = xalloc(sizeof(*c->domains));
	c->domains[0] = xstrdup("from.conf.example");
	c->n_domains = 1;
	kit_start(&k, store_main, c, ROLE_STORE, 0);
	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		int code = kit_ask(&k, &out, asks[i].words);
		if (code != asks[i].code ||
		    (asks[i].answer && !str_starts(buf_str(&out), str_of(asks[i].answer))) ||
		    (asks[i].answer && !*asks[i].answer && out.len))
			fail_msg("row %zu (%s): %d %s", i, asks[i].words[0], code, buf_cstr(&out));
	}
	/* What was asked is still there after a restart, and what was removed is not. */
	assert_int_equal(kit_stop(&k), 0);
	kit_start(&k, store_main, c, ROLE_STORE, 0);
	assert_int_equal(KIT_ASK(&k, &out, "user.list"), CTL_OK);
	assert_true(str_starts(buf_str(&out), STR("y@from.conf.example|")));
	assert_int_equal(str_find(buf_str(&out), '\n'), out.len - 1);
	assert_int_equal(KIT_ASK(&k, &out, "domain.list"), CTL_OK);
	assert_string_equal(buf_cstr(&out), "from.conf.example|config\n");
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
	buf_done(&out);
}

static void
test_reload(void **state)
{
	struct town t;
	struct directory d;
	struct str map;
	town_open(&t, NULL);
	int fd = kit_peer(&t.store, ROLE_FRONT, 1);
	read_directory(fd, &map, &d);
	uint64_t first = directory_version(&d);
	assert_false(directory_is_local(&d, STR("new.example")));
	memfd_unmap(map);
	struct conf *c = kit_conf(NULL);
	c->domains = xalloc(sizeof(*c->domains));
	c->domains[0] = xstrdup("new.example");
	c->n_domains = 1;
	c->limit_disk_low = UINT64_C(1) << 50;
	kit_send_conf(t.store.sock, c, ROLE_STORE, 0);
	kit_send_conf(t.reader.sock, c, ROLE_READER, 0);
	conf_free(c);
	read_directory(fd, &map, &d);
	assert_true(directory_version(&d) > first);
	assert_true(directory_is_local(&d, STR("new.example")));
	memfd_unmap(map);
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	struct msg_store_state s;
	assert_int_equal(kit_recv(fd, &f, &store), 0);
	assert_int_equal(f.type, IPC_STORE_STATE);
	assert_true(msg_store_state_get(f.body, &s) && s.low);
	buf_done(&store);
	close(fd);
	town_close(&t);
}

/* A disk that is low: small letters are still taken, large ones go no further. */
static void
test_disk_low(void **state)
{
	static const char *const sets[] = { "limit.disk_low=1000000G", NULL };
	struct town t;
	town_open(&t, sets);
	town_people(&t);
	const struct to to[] = { { t.alice, "alice@example.com" } };
	char *text = xalloc(1000000);
	memset(text, 'z', 1000000);
	assert_int_equal(deliver(t.front, 3850, STR(LETTER), to, 1), ACCEPT_OK);
	assert_int_equal(deliver(t.front, 3851, str_n(text, 1000000), to, 1), ACCEPT_FULL);
	assert_int_equal(chan_sync_send(t.front, IPC_ACCEPT_ASK, 3851, STR_NULL, -1), 0);
	assert_int_equal(accepted(t.front, 3851), ACCEPT_UNKNOWN);
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	free(text);
	town_close(&t);
}

/* A user who is removed takes the mail along; one made again begins empty. */
static void
test_user_again(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	const struct to to[] = { { t.alice, "alice@example.com" } };
	assert_int_equal(deliver(t.front, 3870, STR(LETTER), to, 1), ACCEPT_OK);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "user.remove", "alice@example.com"), CTL_OK);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "mailbox.list", "alice@example.com"),
	    CTL_NOT_FOUND);
	assert_int_equal(deliver(t.front, 3871, STR(LETTER), to, 1), ACCEPT_FAILED);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "user.add", "alice@example.com"), CTL_OK);
	assert_true(account_of(&t, "alice@example.com") != t.alice);
	assert_int_equal(messages_of(&t, "alice@example.com"), 0);
	town_close(&t);
}

static void
test_drain(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	const struct to to[] = { { t.alice, "alice@example.com" } };
	send_body(t.front, 3900, STR(LETTER));
	struct buf ms = BUF_INIT(16);
	msg_u32_put(&ms, 15000);
	assert_int_equal(chan_sync_send(t.store.sock, IPC_DRAIN, 0, buf_str(&ms), -1), 0);
	buf_done(&ms);
	/* A front that is still there may finish its letter. */
	send_accept(t.front, 3900, sizeof(LETTER) - 1, 0, to, 1);
	assert_int_equal(accepted(t.front, 3900), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	close(t.front);
	assert_int_equal(kit_wait(&t.store), 0);
	close(t.store.sock);
	assert_int_equal(kit_drain(&t.reader, 1000), 0);
	buf_done(&t.out);
}

/* As root the roles become somebody else, and everything still works. */
static void
test_other_uid(void **state)
{
	char path[96];
	if (geteuid() != 0)
		skip();
	snprintf(path, sizeof(path), "%s/store", kit_dir);
	assert_int_equal(chmod(kit_dir, 0755), 0);
	assert_int_equal(chown(path, 61234, 61234), 0);
	struct conf *c = kit_conf(NULL);
	struct town t = { .front = -1, .out = BUF_INIT(1u << 20) };
	kit_start(&t.store, store_main, c, ROLE_STORE, 61234);
	kit_start(&t.reader, reader_main, c, ROLE_READER, 61234);
	kit_join(&t.store, ROLE_STORE, &t.reader, ROLE_READER);
	conf_free(c);
	town_people(&t);
	const struct to to[] = { { t.alice, "alice@example.com" } };
	assert_int_equal(deliver(t.front, 3950, STR(LETTER), to, 1), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "trace", "key=Q1234"), CTL_OK);
	town_close(&t);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ROW(test_first_letter),
		ROW(test_one_copy_per_mailbox),
		ROW(test_removed_account),
		ROW(test_front_dies),
		ROW(test_ask_after_restart),
		ROW(test_many),
		ROW(test_large),
		ROW(test_list_of_large_aliases),
		ROW(test_breaches),
		ROW(test_parent_breach),
		ROW(test_commands),
		ROW(test_reload),
		ROW(test_disk_low),
		ROW(test_user_again),
		ROW(test_drain),
		ROW(test_other_uid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
