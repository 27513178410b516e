/* What fronts change: every kind, refusals, quota, watches, and what becomes of a front that dies.
 */
#include "roles_mail_kit.h"

#define NEW_TEXT "Subject: new\r\n\r\nHello\r\n"

static void
letters_to_alice(struct mail *m, uint64_t first, size_t n)
{
	const struct to to[] = { { m->t.alice, "alice@example.com" } };
	for (uint64_t id = first; id < first + n; id++)
		assert_int_equal(deliver(m->t.front, id, STR(LETTER), to, 1), ACCEPT_OK);
}

static struct access_mailbox
look_at(struct mail *m, const char *name)
{
	struct access_head head;
	struct access_mailbox box = { 0 };
	struct access_ask a = { .kind = ACCESS_OPEN, .fresh = true, .name = str_of(name) };
	struct wire w = ask_rows(m, &a, &head);
	assert_true(access_mailbox_get(&w, &box));
	box.name = STR_NULL;
	return box;
}

static enum access_status
open_status(struct mail *m, const char *name)
{
	struct access_ask a = { .kind = ACCESS_OPEN, .fresh = true, .name = str_of(name) };
	return ask(m, &a);
}

/* --- letters --- */

static void
test_flags(void **state)
{
	struct mail m;
	struct access_changed done;
	struct access_head head;
	struct access_mailbox box;
	struct access_keywords words;
	struct buf keywords = BUF_INIT(1024);
	unsigned char set[8];
	mail_open(&m, NULL);
	letters_to_alice(&m, 1001, 5);
	access_keyword_put(&keywords, STR("$Important"));
	access_keyword_put(&keywords, STR("later"));
	struct access_change c = { .kind = ACCESS_FLAGS,
		.mode = ACCESS_ADD,
		.mailbox = 1,
		.uids = uids_of(set, 2, 9),
		.flags = ACCESS_SEEN,
		.keywords = buf_str(&keywords),
		.unchanged_since = UINT64_MAX };
	assert_int_equal(change(&m, &c, &done), ACCESS_OK);
	assert_string_equal(uids_text(done.uids), "2:5");
	uint64_t modseq = done.modseq;
	struct access_ask a = { .kind = ACCESS_OPEN, .name = STR("INBOX") };
	struct wire w = ask_rows(&m, &a, &head); /* not fresh: it is applied by now */
	assert_true(access_mailbox_get(&w, &box) && access_keywords_get(&w, &words));
	assert_true(head.modseq == modseq);
	assert_int_equal(box.unseen, 1);
	assert_int_equal(words.n, 2);
	assert_true(str_eq(words.name[1], STR("later")));
	/* Only those that nobody changed. */
	c.mode = ACCESS_REMOVE;
	c.unchanged_since = modseq - 1;
	c.uids = uids_of(set, 1, 2);
	c.flags = ACCESS_SEEN;
	assert_int_equal(change(&m, &c, &done), ACCESS_OK);
	assert_string_equal(uids_text(done.failed), "2");
	c.mailbox = 77;
	assert_int_equal(change(&m, &c, &done), ACCESS_NOT_FOUND);
	buf_done(&keywords);
	mail_close(&m);
}

static void
test_expunge(void **state)
{
	struct mail m;
	struct access_changed done;
	unsigned char set[8];
	mail_open(&m, NULL);
	letters_to_alice(&m, 1001, 5);
	struct access_change c = { .kind = ACCESS_FLAGS,
		.mode = ACCESS_REPLACE,
		.mailbox = 1,
		.uids = uids_of(set, 2, 3),
		.flags = ACCESS_DELETED,
		.unchanged_since = UINT64_MAX };
	assert_int_equal(change(&m, &c, &done), ACCESS_OK);
	struct access_change x = { .kind = ACCESS_EXPUNGE, .mailbox = 1, .only_deleted = true };
	assert_int_equal(change(&m, &x, &done), ACCESS_OK);
	assert_string_equal(uids_text(done.uids), "2:3");
	x.only_deleted = false;
	assert_int_equal(change(&m, &x, &done), ACCESS_OK);
	assert_string_equal(uids_text(done.uids), "1,4:5");
	assert_int_equal(look_at(&m, "INBOX").messages, 0);
	mail_close(&m);
}

static void
test_copy_and_move(void **state)
{
	struct mail m;
	struct access_changed done;
	unsigned char set[8];
	mail_open(&m, NULL);
	letters_to_alice(&m, 1001, 4);
	struct access_change c = { .kind = ACCESS_COPY,
		.mailbox = 1,
		.uids = uids_of(set, 2, 3),
		.name = STR("Archive") };
	assert_int_equal(change(&m, &c, &done), ACCESS_OK);
	assert_string_equal(uids_text(done.uids), "2:3");
	assert_string_equal(uids_text(done.to_uids), "1:2");
	assert_true(done.uidvalidity == look_at(&m, "Archive").uidvalidity);
	c.kind = ACCESS_MOVE;
	c.uids = uids_of(set, 4, 4);
	assert_int_equal(change(&m, &c, &done), ACCESS_OK);
	assert_string_equal(uids_text(done.to_uids), "3");
	assert_int_equal(look_at(&m, "Archive").messages, 3);
	assert_int_equal(look_at(&m, "INBOX").messages, 3);
	c.name = STR("Nowhere");
	assert_int_equal(change(&m, &c, &done), ACCESS_NOT_FOUND);
	c.name = STR("a//b");
	assert_int_equal(change(&m, &c, &done), ACCESS_CANNOT);
	mail_close(&m);
}

static struct access_new
a_new(uint64_t id, struct str outline)
{
	return (struct access_new){ .id = id,
		.size = sizeof(NEW_TEXT) - 1,
		.time_ms = 1700000000000,
		.flags = ACCESS_DRAFT,
		.header_len = 14,
		.outline = outline };
}

static enum access_status
append(struct mail *m, const char *name, const struct access_new *l, size_t n,
    struct access_changed *done)
{
	struct buf letters = BUF_INIT(ACCESS_CHANGE_MAX);
	for (size_t i = 0; i < n; i++)
		access_new_put(&letters, &l[i]);
	struct access_change c = { .kind = ACCESS_APPEND,
		.name = str_of(name),
		.n_letters = (uint16_t)n,
		.letters = buf_str(&letters) };
	enum access_status status = change(m, &c, done);
	buf_done(&letters);
	return status;
}

static void
test_append(void **state)
{
	struct mail m;
	struct access_changed done;
	struct access_head head;
	struct access_letter l;
	mail_open(&m, NULL);
	const struct access_new new[] = { a_new(0x400000, STR("outline")),
		a_new(0x400001, STR_NULL) };
	for (size_t i = 0; i < ARRAY_LEN(new); i++)
		send_body(m.t.front, new[i].id, STR(NEW_TEXT));
	assert_int_equal(append(&m, "Drafts", new, 2, &done), ACCESS_OK);
	assert_string_equal(uids_text(done.to_uids), "1:2");
	uint32_t drafts = done.mailbox;
	assert_int_equal(drafts, look_at(&m, "Drafts").mailbox);
	struct access_ask a = { .kind = ACCESS_LETTERS,
		.mailbox = drafts,
		.what = ACCESS_META | ACCESS_OUTLINE | ACCESS_OCTETS,
		.len = UINT64_MAX };
	struct wire w = ask_rows(&m, &a, &head);
	assert_true(access_letter_get(&w, &l));
	assert_true(str_eq(l.octets, STR(NEW_TEXT)) && str_eq(l.outline, STR("outline")));
	assert_true(l.flags == ACCESS_DRAFT && l.time_ms == 1700000000000 && l.prefix_len == 0);
	assert_true(access_letter_get(&w, &l) && l.outline.len == 0 && wire_done(&w));

	/* One of them is missing: none comes, and none stays with the writer. */
	const struct access_new two[] = { a_new(0x400002, STR_NULL), a_new(0x400003, STR_NULL) };
	send_body(m.t.front, two[0].id, STR(NEW_TEXT));
	assert_int_equal(append(&m, "Drafts", two, 2, &done), ACCESS_FAILED);
	assert_int_equal(append(&m, "Drafts", two, 1, &done), ACCESS_FAILED);
	send_body(m.t.front, 0x400004, STR(NEW_TEXT "more"));
	const struct access_new wrong = a_new(0x400004, STR_NULL);
	assert_int_equal(append(&m, "Drafts", &wrong, 1, &done), ACCESS_BAD);
	const struct access_new twice[] = { a_new(0x400005, STR_NULL), a_new(0x400005, STR_NULL) };
	send_body(m.t.front, twice[0].id, STR(NEW_TEXT));
	assert_int_equal(append(&m, "Drafts", twice, 2, &done), ACCESS_BAD);
	send_body(m.t.front, 0x400006, STR(NEW_TEXT));
	const struct access_new lost = a_new(0x400006, STR_NULL);
	assert_int_equal(append(&m, "Nowhere", &lost, 1, &done), ACCESS_NOT_FOUND);
	assert_int_equal(look_at(&m, "Drafts").messages, 2);
	assert_int_equal(status_value(&m.t.store, STATUS_BODY_MEMORY), 0);
	mail_close(&m);
}

static void
test_outlines(void **state)
{
	struct mail m;
	struct access_changed done;
	struct access_head head;
	struct access_letter l;
	struct buf letters = BUF_INIT(ACCESS_CHANGE_MAX);
	mail_open(&m, NULL);
	letters_to_alice(&m, 1001, 2);
	access_new_put(&letters, &(struct access_new){ .id = 2, .outline = STR("made later") });
	access_new_put(&letters, &(struct access_new){ .id = 9, .outline = STR("of none") });
	struct access_change c = {
		.kind = ACCESS_OUTLINES, .mailbox = 1, .n_letters = 2, .letters = buf_str(&letters)
	};
	uint64_t modseq = look_at(&m, "INBOX").modseq;
	assert_int_equal(change(&m, &c, &done), ACCESS_OK);
	struct access_ask a = { .kind = ACCESS_LETTERS,
		.fresh = true,
		.mailbox = 1,
		.what = ACCESS_META | ACCESS_OUTLINE };
	struct wire w = ask_rows(&m, &a, &head);
	assert_true(head.modseq == modseq);
	assert_true(access_letter_get(&w, &l) && l.outline.len == 0);
	assert_true(access_letter_get(&w, &l) && str_eq(l.outline, STR("made later")));
	buf_done(&letters);
	mail_close(&m);
}

/* --- names --- */

static void
test_names(void **state)
{
	static const struct {
		uint8_t kind;
		const char *name, *to;
		enum access_status status;
	} rows[] = {
		{ ACCESS_CREATE, "Work/2026", "", ACCESS_OK },
		{ ACCESS_CREATE, "Work/2026", "", ACCESS_EXISTS },
		{ ACCESS_CREATE, "INBOX", "", ACCESS_EXISTS },
		{ ACCESS_CREATE, "~root", "", ACCESS_CANNOT },
		{ ACCESS_CREATE, "a/../b", "", ACCESS_CANNOT },
		{ ACCESS_RENAME, "Work/2026", "Work/2027", ACCESS_OK },
		{ ACCESS_RENAME, "Work/2026", "Work/2028", ACCESS_NOT_FOUND },
		{ ACCESS_RENAME, "Work/2027", "Sent", ACCESS_EXISTS },
		{ ACCESS_RENAME, "Work/2027", "x//y", ACCESS_CANNOT },
		{ ACCESS_SUBSCRIBE, "Work/2027", "", ACCESS_OK },
		{ ACCESS_SUBSCRIBE, "Never/There", "", ACCESS_OK },
		{ ACCESS_UNSUBSCRIBE, "Work/2027", "", ACCESS_OK },
		{ ACCESS_DELETE, "INBOX", "", ACCESS_CANNOT },
		{ ACCESS_DELETE, "Work/2027", "", ACCESS_OK },
		{ ACCESS_DELETE, "Work/2027", "", ACCESS_NOT_FOUND },
	};
	struct mail m;
	struct access_changed done;
	mail_open(&m, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct access_change c = {
			.kind = rows[i].kind, .name = str_of(rows[i].name), .to = str_of(rows[i].to)
		};
		enum access_status status = change(&m, &c, &done);
		if (status != rows[i].status)
			fail_msg("row %zu: %d", i, status);
		if (i == 0) {
			assert_true(done.mailbox && done.uidvalidity);
			assert_int_equal(look_at(&m, "Work/2026").mailbox, done.mailbox);
			assert_int_equal(look_at(&m, "Work/2026").uidvalidity, done.uidvalidity);
			assert_int_equal(open_status(&m, "Work"), ACCESS_CANNOT);
		}
	}
	assert_int_equal(open_status(&m, "Work/2027"), ACCESS_NOT_FOUND);
	mail_close(&m);
}

/* The writer remembers names; what changes them is not overlooked. */
static void
test_names_are_forgotten(void **state)
{
	struct mail m;
	struct access_changed done;
	unsigned char set[8];
	mail_open(&m, NULL);
	letters_to_alice(&m, 1001, 1);
	struct access_change copy = {
		.kind = ACCESS_COPY, .mailbox = 1, .uids = uids_of(set, 1, 1), .name = STR("A")
	};
	struct access_change make = { .kind = ACCESS_CREATE, .name = STR("A") };
	struct access_change rename = { .kind = ACCESS_RENAME, .name = STR("A"), .to = STR("B") };
	assert_int_equal(change(&m, &copy, &done), ACCESS_NOT_FOUND);
	assert_int_equal(change(&m, &make, &done), ACCESS_OK);
	assert_int_equal(change(&m, &copy, &done), ACCESS_OK);
	assert_int_equal(change(&m, &rename, &done), ACCESS_OK);
	assert_int_equal(change(&m, &copy, &done), ACCESS_NOT_FOUND);
	copy.name = STR("Made");
	assert_int_equal(change(&m, &copy, &done), ACCESS_NOT_FOUND);
	assert_int_equal(KIT_ASK(&m.t.store, &m.t.out, "import.open", "alice@example.com", "Made",
			     "1"),
	    CTL_OK);
	assert_int_equal(change(&m, &copy, &done), ACCESS_OK);
	mail_close(&m);
}

/* --- refusals --- */

static void
test_passes(void **state)
{
	struct mail m;
	struct access_changed done;
	unsigned char other[PASS_MAC_LEN];
	mail_open(&m, NULL);
	struct access_change c = { .kind = ACCESS_CREATE, .name = STR("A") };
	assert_true(pass_make(&m.key, 1, m.t.alice, other));
	struct str theirs = str_n(other, sizeof(other));
	assert_int_equal(change_as(&m, m.t.alice, theirs, &c, &done), ACCESS_DENIED);
	assert_int_equal(change_as(&m, m.t.bob, alices(&m), &c, &done), ACCESS_DENIED);
	/* The body of an APPEND goes with it. */
	struct buf letters = BUF_INIT(1024);
	const struct access_new new = a_new(0x400000, STR_NULL);
	access_new_put(&letters, &new);
	struct access_change a = { .kind = ACCESS_APPEND,
		.name = STR("INBOX"),
		.n_letters = 1,
		.letters = buf_str(&letters) };
	send_body(m.t.front, new.id, STR(NEW_TEXT));
	assert_int_equal(change_as(&m, m.t.alice, theirs, &a, &done), ACCESS_DENIED);
	assert_int_equal(status_value(&m.t.store, STATUS_BODY_MEMORY), 0);
	buf_done(&letters);
	send_change(&m, m.t.front, 55, m.t.alice, alices(&m), STR("no change"));
	assert_int_equal(have_changed(&m, 55, &done), ACCESS_BAD);
	assert_int_equal(chan_sync_send(m.t.front, IPC_CHANGE, 1, STR("no message"), -1), 0);
	assert_true(kit_closed(m.t.front));
	mail_close(&m);
}

static bool
has_room(struct mail *m, uint64_t octets)
{
	struct buf b = BUF_INIT(64);
	uint8_t room;
	msg_room_put(&b, &(struct msg_room){ m->t.alice, octets });
	assert_int_equal(chan_sync_send(m->t.front, IPC_ROOM_ASK, 5, buf_str(&b), -1), 0);
	buf_done(&b);
	struct ipc_frame f = next_frame(m, m->t.front);
	assert_int_equal(f.type, IPC_ROOM);
	assert_int_equal(f.id, 5);
	assert_true(msg_u8_get(f.body, 2, &room));
	return room;
}

static void
test_quota(void **state)
{
	static const char *const sets[] = { "quota=1000", NULL };
	struct mail m;
	struct access_changed done;
	unsigned char set[8];
	mail_open(&m, sets);
	assert_true(has_room(&m, 1000));
	assert_false(has_room(&m, 1001));
	letters_to_alice(&m, 1001, 3);
	uint64_t bytes = look_at(&m, "INBOX").bytes;
	assert_true(has_room(&m, 1000 - bytes));
	assert_false(has_room(&m, 1001 - bytes));
	struct access_change copy = {
		.kind = ACCESS_COPY, .mailbox = 1, .uids = uids_of(set, 1, 3), .name = STR("Sent")
	};
	assert_true(2 * bytes <= 1000 && 3 * bytes > 1000);
	assert_int_equal(change(&m, &copy, &done), ACCESS_OK);
	assert_int_equal(change(&m, &copy, &done), ACCESS_OVERQUOTA);
	copy.kind = ACCESS_MOVE;
	assert_int_equal(change(&m, &copy, &done), ACCESS_OK);
	char *text = xalloc(1000);
	memset(text, 'x', 1000);
	struct access_new big = {
		.id = 0x400000, .size = 1001 - 2 * bytes, .time_ms = 1, .header_len = 0
	};
	send_body(m.t.front, big.id, str_n(text, big.size));
	assert_int_equal(append(&m, "INBOX", &big, 1, &done), ACCESS_OVERQUOTA);
	assert_int_equal(status_value(&m.t.store, STATUS_BODY_MEMORY), 0);
	big.size--;
	send_body(m.t.front, big.id, str_n(text, big.size));
	assert_int_equal(append(&m, "INBOX", &big, 1, &done), ACCESS_OK);
	assert_false(has_room(&m, 1));
	/* What goes makes room again. */
	struct access_change x = { .kind = ACCESS_EXPUNGE, .mailbox = look_at(&m, "Sent").mailbox };
	assert_int_equal(change(&m, &x, &done), ACCESS_OK);
	bool room = false;
	for (int i = 0; i < 50 && !room; i++) {
		usleep(50000);
		room = has_room(&m, 2 * bytes);
	}
	assert_true(room);
	assert_int_equal(KIT_ASK(&m.t.store, &m.t.out, "user.quota", "alice@example.com", "5000"),
	    CTL_OK);
	assert_true(has_room(&m, 4000));
	free(text);
	mail_close(&m);
}

/* --- watches --- */

static void
watch(struct mail *m, uint64_t id, uint32_t mailbox, uint64_t since)
{
	struct buf b = BUF_INIT(256);
	msg_watch_put(&b, &(struct msg_watch){ { m->t.alice, alices(m) }, mailbox, since });
	assert_int_equal(chan_sync_send(m->t.front, IPC_WATCH, id, buf_str(&b), -1), 0);
	buf_done(&b);
}

static bool
is_quiet(struct mail *m, int fd)
{
	return !kit_readable(fd, 100);
}

static void
stirred(struct mail *m, uint64_t id)
{
	struct ipc_frame f = next_frame(m, m->t.front);
	assert_int_equal(f.type, IPC_STIRRED);
	assert_true(f.id == id);
}

static void
test_watch(void **state)
{
	struct mail m;
	struct access_changed done;
	unsigned char set[8];
	mail_open(&m, NULL);
	letters_to_alice(&m, 1001, 2);
	uint64_t modseq = look_at(&m, "INBOX").modseq;
	watch(&m, 1, 1, modseq);
	watch(&m, 2, 1, 0);
	stirred(&m, 2); /* there is more than it knows */
	assert_true(is_quiet(&m, m.t.front));
	int other = connect_front(&m.t, 1);
	const struct to to[] = { { m.t.alice, "alice@example.com" } };
	assert_int_equal(deliver(other, 1ull << 12 | 1, STR(LETTER), to, 1), ACCEPT_OK);
	stirred(&m, 1);
	stirred(&m, 2);
	assert_true(look_at(&m, "INBOX").modseq > modseq);
	assert_true(is_quiet(&m, m.t.front));
	/* A burst is told once or a few times, and the end of it is. */
	for (uint64_t i = 2; i < 60; i++)
		assert_int_equal(deliver(other, 1ull << 12 | i, STR(LETTER), to, 1), ACCEPT_OK);
	size_t n = 0;
	while (kit_readable(m.t.front, 200)) {
		assert_int_equal(next_frame(&m, m.t.front).type, IPC_STIRRED);
		n++;
	}
	assert_true(n >= 2 && n <= 2 * 58);
	/* An outline changes nothing that a client sees; another mailbox is none of its business.
	 */
	struct buf letters = BUF_INIT(1024);
	access_new_put(&letters, &(struct access_new){ .id = 2, .outline = STR("made later") });
	struct access_change c = {
		.kind = ACCESS_OUTLINES, .mailbox = 1, .n_letters = 1, .letters = buf_str(&letters)
	};
	assert_int_equal(change(&m, &c, &done), ACCESS_OK);
	buf_done(&letters);
	struct access_change copy = {
		.kind = ACCESS_COPY, .mailbox = 1, .uids = uids_of(set, 1, 1), .name = STR("Sent")
	};
	assert_int_equal(change(&m, &copy, &done), ACCESS_OK);
	assert_true(is_quiet(&m, m.t.front));
	assert_int_equal(chan_sync_send(m.t.front, IPC_UNWATCH, 1, STR_NULL, -1), 0);
	assert_int_equal(chan_sync_send(m.t.front, IPC_UNWATCH, 99, STR_NULL, -1), 0);
	assert_int_equal(deliver(other, 1ull << 12 | 99, STR(LETTER), to, 1), ACCEPT_OK);
	stirred(&m, 2);
	assert_true(is_quiet(&m, m.t.front));
	close(other);
	/* The same id twice is a breach. */
	watch(&m, 2, 1, 0);
	assert_true(kit_closed(m.t.front));
	mail_close(&m);
}

static void
test_watch_refuses(void **state)
{
	struct mail m;
	struct buf b = BUF_INIT(256);
	mail_open(&m, NULL);
	msg_watch_put(&b, &(struct msg_watch){ { m.t.bob, alices(&m) }, 1, 0 });
	assert_int_equal(chan_sync_send(m.t.front, IPC_WATCH, 9, buf_str(&b), -1), 0);
	buf_done(&b);
	const struct to to[] = { { m.t.bob, "bob@example.com" } };
	assert_int_equal(deliver(m.t.front, 1001, STR(LETTER), to, 1), ACCEPT_OK);
	assert_true(is_quiet(&m, m.t.front));
	watch(&m, 1, 4711, 0); /* no such mailbox: never a word */
	assert_true(is_quiet(&m, m.t.front));
	mail_close(&m);
}

/* A front dies with changes and bodies under way: they happen, and nobody is told. */
static void
test_front_dies(void **state)
{
	struct mail m;
	mail_open(&m, NULL);
	letters_to_alice(&m, 1001, 100);
	struct buf b = BUF_INIT(ACCESS_CHANGE_MAX);
	unsigned char set[8];
	access_change_put(&b, &(struct access_change){ .kind = ACCESS_MOVE,
				  .mailbox = 1,
				  .uids = uids_of(set, 1, 100),
				  .name = STR("Sent") });
	watch(&m, 1, 1, 0);
	send_body(m.t.front, 0x400000, STR(NEW_TEXT));
	send_change(&m, m.t.front, 1, m.t.alice, alices(&m), buf_str(&b));
	close(m.t.front);
	m.t.front = connect_front(&m.t, 0);
	buf_done(&b);
	bool moved = false;
	for (int i = 0; i < 100 && !moved; i++) {
		usleep(20000);
		moved = look_at(&m, "Sent").messages == 100;
	}
	assert_true(moved);
	assert_true(is_quiet(&m, m.t.front));
	assert_int_equal(status_value(&m.t.store, STATUS_BODY_MEMORY), 0);
	mail_close(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_flags),
		ROW(test_expunge),
		ROW(test_copy_and_move),
		ROW(test_append),
		ROW(test_outlines),
		ROW(test_names),
		ROW(test_names_are_forgotten),
		ROW(test_passes),
		ROW(test_quota),
		ROW(test_watch),
		ROW(test_watch_refuses),
		ROW(test_front_dies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
