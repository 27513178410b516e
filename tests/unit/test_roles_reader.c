/* A reader beside the store's writer: what it shows, and how it waits for a slow asker. */
#include "roles_store_kit.h"

static void
test_trace(void **state)
{
	struct town t;
	char letter[14], session[14], row[256];
	town_open(&t, NULL);
	town_people(&t);
	const struct to to[] = { { t.alice, "alice@example.com" } };
	assert_int_equal(deliver(t.front, 2001, STR(LETTER), to, 1), ACCEPT_OK);
	id_format(letter, 2001);
	id_format(session, 42);
	snprintf(row, sizeof(row), "%s|%s|1700000000123|letter|Q1234|carol@elsewhere.example|",
	    letter, session);
	const char *const ids[] = { "Q1234", letter, session, "alice@example.com",
		"Carol@elsewhere.example" };
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		char key[64];
		snprintf(key, sizeof(key), "key=%s", ids[i]);
		assert_int_equal(KIT_ASK(&t.reader, &t.out, "trace", key), CTL_OK);
		assert_true(str_find_str(buf_str(&t.out), str_of(row)) < t.out.len);
		assert_true(str_find_str(buf_str(&t.out), STR("C: QUIT")) < t.out.len);
	}
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "trace", "key=Q9999"), CTL_NOT_FOUND);
	town_close(&t);
}

/* The asker is slow: the answer waits for it, and nothing is lost. */
static void
test_slow_export(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	const struct to to[] = { { t.alice, "alice@example.com" } };
	enum { N = 130, SIZE = 150000 };
	char *text = xalloc(SIZE);
	memset(text, 'y', SIZE);
	for (uint64_t id = 3000; id < 3000 + N; id++)
		assert_int_equal(deliver(t.front, id, str_n(text, SIZE), to, 1), ACCEPT_OK);
	free(text);
	int fd = kit_ctl(&t.reader), unread = kit_ctl(&t.reader);
	kit_send_ask(unread,
	    (const char *const[]){ "mailbox.export", "alice@example.com", "INBOX", NULL });
	kit_send_ask(fd,
	    (const char *const[]){ "mailbox.export", "alice@example.com", "INBOX", NULL });
	usleep(300000);
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	struct msg_row row;
	uint64_t letters = 0, octets = 0, want = 0;
	while (kit_recv(fd, &f, &store) == 0 && f.type == IPC_ROW) {
		assert_true(msg_row_get(f.body, &row));
		if (str_eq(row.field[0], STR("L"))) {
			char number[24];
			letters++;
			assert_true(str_copy(number, sizeof(number), row.field[3]));
			want += strtoull(number, NULL, 10);
		} else {
			octets += row.field[1].len;
		}
	}
	assert_int_equal(f.type, IPC_DONE);
	assert_int_equal(letters, N);
	assert_true(octets == want && octets > (uint64_t)N * SIZE);
	buf_done(&store);
	close(fd);
	close(unread); /* goes away in the middle */
	assert_int_equal(messages_of(&t, "alice@example.com"), N);
	town_close(&t);
}

/* Alice's letters have octets of their own, Bob's are there to go. */
static char *
moving_text(uint64_t id, size_t n)
{
	char *text = xalloc(n);
	memset(text, 'a' + (int)(id % 26), n);
	memcpy(text, HEAD, sizeof(HEAD) - 1);
	return text;
}

static void
deliver_many(struct town *t, uint64_t first, size_t n, size_t size, bool alice)
{
	const struct to to[] = { { t->alice, "alice@example.com" }, { t->bob, "bob@example.com" } };
	for (uint64_t id = first; id < first + n; id++) {
		char *text = moving_text(id, size);
		bool hers = alice && id % 2 == 0;
		assert_int_equal(deliver(t->front, id, str_n(text, size), &to[hers ? 0 : 1], 1),
		    ACCEPT_OK);
		free(text);
	}
}

static void
delete_all_of_bob(struct town *t)
{
	assert_int_equal(KIT_ASK(&t->store, &t->out, "mailbox.delete", "bob@example.com", "INBOX",
			     "1-4294967295", "18446744073709551615"),
	    CTL_OK);
}

/* While an export waits for its asker, the segments under it are emptied, freed and written again:
 * it goes on with the right octets. A letter that went meanwhile is left out without a word. */
static void
test_export_while_segments_go(void **state)
{
	enum { HERS = 90, SIZE = 100000, FIRST = 100, GONE = FIRST + 2 * HERS - 4 };
	static const char *const sets[] = { "store.segment_bytes=1M", NULL };
	struct town t;
	town_open(&t, sets);
	town_people(&t);
	deliver_many(&t, FIRST, 2 * HERS, SIZE, true);
	int fd = kit_ctl(&t.reader);
	kit_send_ask(fd,
	    (const char *const[]){ "mailbox.export", "alice@example.com", "INBOX", NULL });
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	struct msg_row row;
	assert_int_equal(kit_recv(fd, &f, &store), 0); /* it has begun */
	assert_int_equal(f.type, IPC_ROW);
	uint64_t next = FIRST + 2 * HERS; /* ids below 4096 are of this front */
	assert_int_equal(KIT_ASK(&t.store, &t.out, "mailbox.delete", "alice@example.com", "INBOX",
			     "89", "18446744073709551615"),
	    CTL_OK);
	for (int i = 0; i < 300 && status_value(&t.store, STATUS_COMPACTIONS) < 18; i++) {
		delete_all_of_bob(&t);
		deliver_many(&t, next, 12, SIZE, false); /* takes what was freed */
		next += 12;
		usleep(100000);
	}
	assert_true(status_value(&t.store, STATUS_COMPACTIONS) >= 18);
	assert_true(status_value(&t.store, STATUS_CHECKPOINTS) > 0);
	assert_true(status_value(&t.store, STATUS_LOG_SIZE) >=
		    status_value(&t.store, STATUS_LOG_LIVE));
	assert_int_equal(status_value(&t.store, STATUS_RESERVE), 1);
	uint64_t id = FIRST, letters = 0, octets = 0;
	do {
		assert_true(msg_row_get(f.body, &row));
		if (str_eq(row.field[0], STR("D"))) {
			struct str part = row.field[1];
			/* The last of a chunk is the letter's own octet in any case. */
			assert_int_equal(part.p[part.len - 1], 'a' + (int)(id % 26));
			octets += part.len;
		} else if (letters++) {
			assert_true(octets > SIZE && octets < SIZE + 1000);
			octets = 0;
			id += id + 2 == GONE ? 4 : 2;
		}
		assert_int_equal(kit_recv(fd, &f, &store), 0);
	} while (f.type == IPC_ROW);
	assert_int_equal(f.type, IPC_DONE);
	assert_int_equal(f.body.p[0], CTL_OK);
	assert_int_equal(letters, HERS - 1);
	buf_done(&store);
	close(fd);
	/* One that is gone is said to be so. */
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "mailbox.read", "alice@example.com", "INBOX",
			     "89"),
	    CTL_NOT_FOUND);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "mailbox.show", "alice@example.com", "INBOX"),
	    CTL_OK);
	town_close(&t);
}

static void
test_reader_refuses(void **state)
{
	static const struct {
		const char *words[5];
		int code;
	} rows[] = {
		{ { "mailbox.list", "nobody@example.com" }, CTL_NOT_FOUND },
		{ { "mailbox.list", "<>" }, CTL_INVALID },
		{ { "mailbox.show", "alice@example.com", "Nowhere" }, CTL_NOT_FOUND },
		{ { "mailbox.show", "alice@example.com", "Drafts" }, CTL_OK },
		{ { "mailbox.show", "alice@example.com", "INBOX" }, CTL_OK },
		{ { "mailbox.export", "alice@example.com", "INBOX" }, CTL_OK },
		{ { "mailbox.read", "alice@example.com", "INBOX", "1" }, CTL_NOT_FOUND },
		{ { "mailbox.read", "alice@example.com", "INBOX", "0" }, CTL_INVALID },
		{ { "mailbox.read", "alice@example.com", "INBOX", "4294967296" }, CTL_INVALID },
		{ { "mailbox.read", "alice@example.com", "INBOX", "4294967295" }, CTL_NOT_FOUND },
		{ { "trace", "" }, CTL_INVALID },
		{ { "trace", "Q1" }, CTL_INVALID },
		{ { "trace", "limit=1" }, CTL_INVALID },
		{ { "user.list" }, CTL_INVALID },
	};
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int code = kit_ask(&t.reader, &t.out, rows[i].words);
		if (code != rows[i].code)
			fail_msg("row %zu (%s): %d %s", i, rows[i].words[0], code,
			    buf_cstr(&t.out));
	}
	town_close(&t);
}

/* The writer dies while a reader has a question; the next life answers it. */
static void
test_writer_away(void **state)
{
	struct town t;
	town_open(&t, NULL);
	town_people(&t);
	assert_int_equal(kit_kill(&t.store), -SIGKILL);
	int fd = kit_ctl(&t.reader);
	kit_send_ask(fd, (const char *const[]){ "mailbox.list", "alice@example.com", NULL });
	struct conf *c = kit_conf(NULL);
	kit_start(&t.store, store_main, c, ROLE_STORE, 0);
	kit_join(&t.store, ROLE_STORE, &t.reader, ROLE_READER);
	buf_reset(&t.out);
	assert_int_equal(kit_answer(fd, &t.out), CTL_OK);
	close(fd);

	assert_int_equal(kit_kill(&t.store), -SIGKILL);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "mailbox.list", "alice@example.com"),
	    CTL_FAILED);
	assert_true(str_starts(buf_str(&t.out), STR("!the store's writer does not answer")));
	kit_start(&t.store, store_main, c, ROLE_STORE, 0);
	conf_free(c);
	town_close(&t);
}

/* The index is lost; the next writer makes it anew from the log, and a reader that had the old
 * one open shows the new one. */
static void
test_index_lost(void **state)
{
	struct town t;
	char cmd[128];
	town_open(&t, NULL);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "mailbox.list", "alice@example.com"),
	    CTL_NOT_FOUND);
	town_people(&t);
	const struct to to[] = { { t.alice, "alice@example.com" } };
	assert_int_equal(deliver(t.front, 3800, STR(LETTER), to, 1), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "alice@example.com"), 1);
	close(t.front);
	assert_int_equal(kit_stop(&t.store), 0);
	snprintf(cmd, sizeof(cmd), "rm -r %s/store/index", kit_dir);
	assert_int_equal(system(cmd), 0);

	struct conf *c = kit_conf(NULL);
	kit_start(&t.store, store_main, c, ROLE_STORE, 0);
	conf_free(c);
	kit_join(&t.store, ROLE_STORE, &t.reader, ROLE_READER);
	t.front = connect_front(&t, 0);
	assert_int_equal(deliver(t.front, 3801, STR(LETTER), to, 1), ACCEPT_OK);
	assert_int_equal(messages_of(&t, "alice@example.com"), 2);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "mailbox.export", "alice@example.com", "INBOX"),
	    CTL_OK);
	town_close(&t);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ROW(test_trace),
		ROW(test_slow_export),
		ROW(test_export_while_segments_go),
		ROW(test_reader_refuses),
		ROW(test_writer_away),
		ROW(test_index_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
