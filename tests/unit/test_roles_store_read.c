/* What a reader shows a front: logins, windows of every kind, and what it takes for a breach. */
#include "roles_mail_kit.h"

#define PREFIX "Return-Path: <carol@elsewhere.example>\r\nDelivered-To: alice@example.com\r\n"
#define TRACE "Received: by test\r\n"

static void
letter_to_alice(struct mail *m, uint64_t id, struct str text)
{
	const struct to to[] = { { m->t.alice, "alice@example.com" } };
	assert_int_equal(deliver(m->t.front, id, text, to, 1), ACCEPT_OK);
}

/* --- logins --- */

static enum access_status
enter(struct mail *m, uint16_t front, const char *address, uint64_t time_ms, bool spoil,
    struct msg_entered *ret)
{
	unsigned char mac[PASS_MAC_LEN];
	struct ipc_frame f;
	struct buf b = BUF_INIT(1024);
	assert_true(ticket_make(&m->key, front, str_of(address), time_ms, mac));
	mac[5] ^= spoil;
	msg_enter_put(&b, &(struct msg_enter){ str_of(address), time_ms, str_n(mac, sizeof(mac)) });
	assert_int_equal(chan_sync_send(m->read, IPC_ENTER, ++m->next_id, buf_str(&b), -1), 0);
	buf_done(&b);
	assert_int_equal(kit_recv(m->read, &f, &m->store), 0);
	assert_int_equal(f.type, IPC_ENTERED);
	assert_true(f.id == m->next_id);
	assert_true(msg_entered_get(f.body, ret));
	return ret->status;
}

static void
test_enter(void **state)
{
	struct mail m;
	struct msg_entered e;
	mail_open(&m, NULL);
	uint64_t now = (uint64_t)sys_wall_ms();
	assert_int_equal(enter(&m, 0, "alice@example.com", now, false, &e), ACCESS_OK);
	assert_true(e.account == m.t.alice);
	assert_true(str_eq(e.mac, alices(&m)));
	assert_int_equal(enter(&m, 0, "Alice@Example.com", now, false, &e), ACCESS_OK);
	assert_int_equal(enter(&m, 1, "alice@example.com", now, false, &e), ACCESS_DENIED);
	assert_int_equal(enter(&m, 0, "alice@example.com", now, true, &e), ACCESS_DENIED);
	assert_int_equal(enter(&m, 0, "alice@example.com", now - 70000, false, &e), ACCESS_DENIED);
	assert_int_equal(enter(&m, 0, "alice@example.com", now + 70000, false, &e), ACCESS_DENIED);
	assert_int_equal(enter(&m, 0, "nobody@example.com", now, false, &e), ACCESS_NOT_FOUND);
	assert_int_equal(enter(&m, 0, "no address", now, false, &e), ACCESS_NOT_FOUND);
	mail_close(&m);
}

static void
test_passes(void **state)
{
	struct mail m;
	unsigned char other[PASS_MAC_LEN], bobs[PASS_MAC_LEN];
	mail_open(&m, NULL);
	struct access_ask a = { .kind = ACCESS_OPEN, .fresh = true, .name = STR("INBOX") };
	struct str theirs = str_n(other, sizeof(other));
	assert_int_equal(ask(&m, &a), ACCESS_OK);
	assert_true(pass_make(&m.key, 1, m.t.alice, other)); /* of another front */
	assert_int_equal(ask_as(&m, m.t.alice, theirs, &a), ACCESS_DENIED);
	assert_int_equal(ask_as(&m, m.t.bob, alices(&m), &a), ACCESS_DENIED);
	assert_true(pass_make(&m.key, 0, m.t.bob, bobs));
	assert_int_equal(ask_as(&m, m.t.bob, str_n(bobs, sizeof(bobs)), &a), ACCESS_OK);
	/* An account that is removed is closed at once. */
	assert_int_equal(KIT_ASK(&m.t.store, &m.t.out, "user.remove", "bob@example.com"), CTL_OK);
	assert_int_equal(ask_as(&m, m.t.bob, str_n(bobs, sizeof(bobs)), &a), ACCESS_DENIED);
	mail_close(&m);
}

/* --- mailboxes --- */

static void
test_mailboxes(void **state)
{
	static const struct {
		const char *name;
		unsigned attrs;
	} want[] = {
		{ "INBOX", 0 },
		{ "Archive", ACCESS_ARCHIVE },
		{ "Drafts", ACCESS_DRAFTS },
		{ "Junk", ACCESS_JUNK },
		{ "Sent", ACCESS_SENT },
		{ "Trash", ACCESS_TRASH },
	};
	struct mail m;
	struct access_head head;
	struct access_mailbox box;
	mail_open(&m, NULL);
	letter_to_alice(&m, 1001, STR(LETTER));
	struct access_ask a = { .kind = ACCESS_MAILBOXES, .fresh = true };
	struct wire w = ask_rows(&m, &a, &head);
	assert_false(head.more);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(access_mailbox_get(&w, &box));
		assert_true(str_eq(box.name, str_of(want[i].name)));
		assert_int_equal(box.attrs & ACCESS_USES, want[i].attrs);
		assert_int_equal(box.messages, i == 0);
		assert_true(box.uidvalidity > 0 && box.mailbox > 0);
	}
	assert_true(wire_done(&w));
	/* Behind a name that is not there. */
	a.from.name = STR("Junk2");
	w = ask_rows(&m, &a, &head);
	assert_true(access_mailbox_get(&w, &box) && str_eq(box.name, STR("Sent")));
	mail_close(&m);
}

static void
test_open(void **state)
{
	static const struct {
		const char *name;
		enum access_status status;
	} rows[] = {
		{ "Drafts", ACCESS_OK },
		{ "Nowhere", ACCESS_NOT_FOUND },
		{ "drafts", ACCESS_NOT_FOUND },
		{ "", ACCESS_CANNOT },
		{ "a//b", ACCESS_CANNOT },
		{ "../etc", ACCESS_CANNOT },
		{ "\xff\xfe", ACCESS_CANNOT },
	};
	struct mail m;
	struct access_head head;
	struct access_mailbox box;
	struct access_keywords words;
	mail_open(&m, NULL);
	letter_to_alice(&m, 1001, STR(LETTER));
	letter_to_alice(&m, 1002, STR(LETTER));
	struct access_ask a = { .kind = ACCESS_OPEN, .fresh = true, .name = STR("INBOX") };
	struct wire w = ask_rows(&m, &a, &head);
	assert_true(access_mailbox_get(&w, &box) && access_keywords_get(&w, &words));
	assert_true(wire_done(&w));
	assert_int_equal(box.mailbox, 1);
	assert_int_equal(box.messages, 2);
	assert_int_equal(box.unseen, 2);
	assert_int_equal(box.first_unseen, 1);
	assert_int_equal(box.uidnext, 3);
	assert_true(box.modseq > 0 && head.modseq == box.modseq);
	assert_int_equal(words.n, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		a.name = str_of(rows[i].name);
		if (ask(&m, &a) != rows[i].status)
			fail_msg("%s", rows[i].name);
	}
	mail_close(&m);
}

/* --- letters --- */

static const char whole[] = PREFIX TRACE LETTER;

static void
test_parts(void **state)
{
	size_t header = sizeof(PREFIX TRACE HEAD "\r\n") - 1, size = sizeof(whole) - 1;
	const struct {
		uint8_t part;
		uint64_t off, len;
		size_t from, to;
	} rows[] = {
		{ ACCESS_PART_ALL, 0, UINT64_MAX, 0, size },
		{ ACCESS_PART_ALL, 10, 20, 10, 30 },
		{ ACCESS_PART_ALL, 10000, 20, size, size },
		{ ACCESS_PART_HEADER, 0, UINT64_MAX, 0, header },
		{ ACCESS_PART_HEADER, 5, 7, 5, 12 },
		{ ACCESS_PART_TEXT, 0, UINT64_MAX, header, size },
		{ ACCESS_PART_TEXT, 1, 3, header + 1, header + 4 },
		{ ACCESS_PART_INNER, 0, UINT64_MAX, sizeof(PREFIX) - 1, size },
		{ ACCESS_PART_INNER, 3, 9, sizeof(PREFIX) + 2, sizeof(PREFIX) + 11 },
		{ ACCESS_PART_INNER, UINT64_MAX, UINT64_MAX, size, size },
	};
	struct mail m;
	struct access_head head;
	struct access_letter l;
	mail_open(&m, NULL);
	letter_to_alice(&m, 1001, STR(LETTER));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct access_ask a = { .kind = ACCESS_LETTERS,
			.fresh = i == 0,
			.mailbox = 1,
			.what = ACCESS_META | ACCESS_OCTETS,
			.part = rows[i].part,
			.off = rows[i].off,
			.len = rows[i].len };
		struct wire w = ask_rows(&m, &a, &head);
		assert_true(access_letter_get(&w, &l) && wire_done(&w) && !head.more);
		assert_int_equal(l.size, size);
		assert_int_equal(l.prefix_len, sizeof(PREFIX) - 1);
		assert_int_equal(l.header_len, header);
		assert_int_equal(l.part_len, rows[i].to - rows[i].from);
		assert_true(l.at == 0 && !l.damaged && l.letter == 1001);
		if (!str_eq(l.octets, str_n(whole + rows[i].from, rows[i].to - rows[i].from)))
			fail_msg("row %zu", i);
	}
	mail_close(&m);
}

/* Header lines that end in LF alone, or no body: the header's end is where it is. */
static void
test_odd_headers(void **state)
{
	static const struct {
		const char *text;
		uint32_t header_len;
		const char *header;
	} rows[] = {
		{ "Subject: a\n\nbody\n", 11, "Subject: a\n\n" },
		{ "Subject: a\r\n", 12, "Subject: a\r\n" },
		{ "Subject: a\r\n\r\n", 12, "Subject: a\r\n\r\n" },
		{ "\r\nbody\r\n", 0, "\r\n" },
	};
	struct mail m;
	struct access_head head;
	struct access_letter l;
	mail_open(&m, NULL);
	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned char set[8];
		const struct to to[] = { { m.t.alice, "alice@example.com" } };
		struct str text = str_of(rows[i].text);
		send_body(m.t.front, 1000 + i, text);
		send_accept(m.t.front, 1000 + i, text.len, rows[i].header_len, to, 1);
		assert_int_equal(accepted(m.t.front, 1000 + i), ACCEPT_OK);
		struct access_ask a = { .kind = ACCESS_LETTERS,
			.fresh = true,
			.mailbox = 1,
			.what = ACCESS_META | ACCESS_OCTETS,
			.part = ACCESS_PART_HEADER,
			.len = UINT64_MAX,
			.uids = uids_of(set, i + 1, i + 1) };
		size_t own = sizeof(PREFIX TRACE) - 1;
		struct wire w = ask_rows(&m, &a, &head);
		assert_true(access_letter_get(&w, &l));
		assert_true(str_eq(str_skip(l.octets, own), str_of(rows[i].header)));
		assert_int_equal(l.header_len, l.octets.len);
		a.part = ACCESS_PART_TEXT;
		w = ask_rows(&m, &a, &head);
		assert_true(access_letter_get(&w, &l));
		assert_true(str_eq(l.octets, str_skip(text, strlen(rows[i].header))));
	}
	mail_close(&m);
}

/* Letters of many sizes, window by window: each comes whole, in order, and only the one that is
 * larger than a window comes in pieces. */
static void
test_windows(void **state)
{
	static const size_t sizes[] = { 100, 200000, 100000, 700000, 50, 262144, 60, 240000, 1 };
	struct mail m;
	struct access_head head;
	struct access_letter l;
	mail_open(&m, NULL);
	char *text = xalloc(700000);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		memset(text, 'a' + (int)i, sizes[i]);
		letter_to_alice(&m, 1000 + i, str_n(text, sizes[i]));
	}
	struct access_ask a = { .kind = ACCESS_LETTERS,
		.fresh = true,
		.mailbox = 1,
		.what = ACCESS_META | ACCESS_OCTETS,
		.part = ACCESS_PART_INNER,
		.off = sizeof(TRACE) - 1,
		.len = UINT64_MAX };
	uint32_t uid = 0;
	uint64_t at = 0;
	size_t windows = 0, cut = 0;
	do {
		struct wire w = ask_rows(&m, &a, &head);
		assert_true(m.octets.len <= ACCESS_WINDOW);
		windows++;
		while (w.left) {
			assert_true(access_letter_get(&w, &l));
			assert_int_equal(l.uid, at ? uid : uid + 1);
			assert_true(l.at == at);
			uid = l.uid;
			assert_int_equal(l.part_len, sizes[uid - 1]);
			for (size_t i = 0; i < l.octets.len; i++)
				assert_true(l.octets.p[i] == 'a' + (int)uid - 1);
			at += l.octets.len;
			cut += at < l.part_len;
			at = at == l.part_len ? 0 : at;
		}
		a.from = (struct access_from){ head.next.uid, head.next.n, STR_NULL };
		a.fresh = false;
	} while (head.more);
	assert_int_equal(uid, ARRAY_LEN(sizes));
	assert_int_equal(cut, 2 + 1);
	assert_true(windows >= 7 && windows <= 10);
	free(text);
	mail_close(&m);
}

static void
test_sets_and_since(void **state)
{
	static const struct {
		const char *want;
		uint32_t first, last, from;
	} rows[] = {
		{ "3:5", 3, 5, 0 },
		{ "4:5", 3, 5, 4 },
		{ "9:10", 9, UINT32_MAX, 0 },
		{ "", 11, 20, 0 },
		{ "10", 10, 10, 10 },
		{ "", 3, 5, 6 },
	};
	struct mail m;
	struct access_head head;
	struct access_letter l;
	mail_open(&m, NULL);
	for (uint64_t id = 1001; id <= 1010; id++)
		letter_to_alice(&m, id, STR(LETTER));
	uint64_t middle = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned char set[8];
		struct uidset got = { 0 };
		struct buf text = BUF_INIT(1024);
		struct access_ask a = { .kind = ACCESS_LETTERS,
			.fresh = i == 0,
			.mailbox = 1,
			.what = ACCESS_META,
			.uids = uids_of(set, rows[i].first, rows[i].last),
			.from = { .uid = rows[i].from } };
		struct wire w = ask_rows(&m, &a, &head);
		while (w.left) {
			assert_true(access_letter_get(&w, &l));
			uidset_add(&got, l.uid, l.uid);
			middle = l.uid == 5 ? l.modseq : middle;
		}
		uidset_text(&got, &text);
		assert_string_equal(buf_cstr(&text), rows[i].want);
		buf_done(&text);
		uidset_done(&got);
	}
	struct access_ask a = {
		.kind = ACCESS_LETTERS, .mailbox = 1, .what = ACCESS_META, .since = middle
	};
	struct wire w = ask_rows(&m, &a, &head);
	assert_true(access_letter_get(&w, &l));
	assert_int_equal(l.uid, 6);
	a.mailbox = 99;
	assert_int_equal(ask(&m, &a), ACCESS_NOT_FOUND);
	a.mailbox = 0;
	assert_int_equal(ask(&m, &a), ACCESS_NOT_FOUND);
	mail_close(&m);
}

/* --- views and changes --- */

static void
put_flags(struct mail *m, uint32_t first, uint32_t last, uint64_t flags)
{
	unsigned char set[8];
	struct access_changed done;
	struct access_change c = { .kind = ACCESS_FLAGS,
		.mode = ACCESS_ADD,
		.mailbox = 1,
		.uids = uids_of(set, first, last),
		.flags = flags,
		.unchanged_since = UINT64_MAX };
	assert_int_equal(change(m, &c, &done), ACCESS_OK);
}

static void
expunge(struct mail *m, uint32_t first, uint32_t last)
{
	unsigned char set[8];
	struct access_changed done;
	struct access_change c = {
		.kind = ACCESS_EXPUNGE, .mailbox = 1, .uids = uids_of(set, first, last)
	};
	assert_int_equal(change(m, &c, &done), ACCESS_OK);
}

static const char *
view(struct mail *m, uint64_t since, uint32_t uidnext)
{
	struct access_head head;
	struct access_ask a = {
		.kind = ACCESS_UIDS, .fresh = true, .mailbox = 1, .since = since, .uidnext = uidnext
	};
	struct wire w = ask_rows(m, &a, &head);
	assert_false(head.more);
	return uids_text(get_rest(&w));
}

static void
test_uids(void **state)
{
	struct mail m;
	struct access_head head;
	mail_open(&m, NULL);
	for (uint64_t id = 1001; id <= 1010; id++)
		letter_to_alice(&m, id, STR(LETTER));
	struct access_ask open = { .kind = ACCESS_OPEN, .fresh = true, .name = STR("INBOX") };
	ask_rows(&m, &open, &head);
	uint64_t before = head.modseq;
	assert_string_equal(view(&m, before, 11), "1:10");
	expunge(&m, 3, 4);
	ask_rows(&m, &open, &head);
	assert_string_equal(view(&m, before, 11), "1:10"); /* who has not heard of it */
	assert_string_equal(view(&m, head.modseq, 11), "1:2,5:10");
	assert_string_equal(view(&m, head.modseq, 6), "1:2,5");
	assert_string_equal(view(&m, head.modseq, 0), "");
	assert_string_equal(view(&m, before, 4), "1:3");
	mail_close(&m);
}

/* Rows as text: "v3:4" vanished, "5=flags". */
static const char *
changes(struct mail *m, uint64_t since, uint64_t *ret_modseq)
{
	static struct buf b = { .max = 1u << 20 };
	struct access_head head;
	struct access_mailbox box;
	struct access_keywords words;
	struct access_change_row row;
	uint64_t floor, last = since;
	struct access_ask a = {
		.kind = ACCESS_CHANGES, .fresh = true, .mailbox = 1, .since = since
	};
	struct wire w = ask_rows(m, &a, &head);
	assert_true(access_mailbox_get(&w, &box) && access_keywords_get(&w, &words) &&
		    access_floor_get(&w, &floor));
	assert_true(box.modseq == head.modseq && floor == 0);
	buf_reset(&b);
	while (w.left) {
		assert_true(access_change_row_get(&w, &row));
		assert_true(row.modseq >= last);
		last = row.modseq;
		if (row.vanished)
			buf_putf(&b, " v%u:%u", row.first, row.last);
		else
			buf_putf(&b, " %u=%llu", row.letter.uid,
			    (unsigned long long)row.letter.flags);
	}
	assert_false(head.more);
	*ret_modseq = head.modseq;
	return buf_cstr(&b);
}

static void
test_changes(void **state)
{
	struct mail m;
	uint64_t first, second, last;
	mail_open(&m, NULL);
	for (uint64_t id = 1001; id <= 1005; id++)
		letter_to_alice(&m, id, STR(LETTER));
	assert_string_equal(changes(&m, 0, &first), " 1=0 2=0 3=0 4=0 5=0");
	assert_string_equal(changes(&m, first, &last), "");
	put_flags(&m, 2, 3, ACCESS_SEEN);
	expunge(&m, 4, 4);
	put_flags(&m, 1, 1, ACCESS_FLAGGED);
	assert_string_equal(changes(&m, first, &second), " 2=1 3=1 v4:4 1=4");
	expunge(&m, 1, 2);
	letter_to_alice(&m, 1006, STR(LETTER));
	assert_string_equal(changes(&m, second, &last), " v1:2 6=0");
	assert_string_equal(changes(&m, first, &last), " 3=1 v4:4 v1:2 6=0");
	mail_close(&m);
}

static void
copy_all(struct mail *m, uint32_t n)
{
	unsigned char set[8];
	struct access_changed done;
	struct access_change c = {
		.kind = ACCESS_COPY, .mailbox = 1, .uids = uids_of(set, 1, n), .name = STR("INBOX")
	};
	assert_int_equal(change(m, &c, &done), ACCESS_OK);
}

/* More changes than a window holds; each comes once. */
static void
test_changes_in_windows(void **state)
{
	enum { N = 4000 };
	struct mail m;
	struct access_head head;
	mail_open(&m, NULL);
	for (uint64_t id = 1001; id <= 1000 + N / 32; id++)
		letter_to_alice(&m, id, STR("a: b\r\n\r\n"));
	for (uint32_t n = N / 32; n < N; n *= 2)
		copy_all(&m, n);
	for (uint32_t uid = 10; uid <= N; uid += 10)
		expunge(&m, uid, uid);
	put_flags(&m, 1, N, ACCESS_SEEN);
	struct access_ask a = { .kind = ACCESS_CHANGES, .fresh = true, .mailbox = 1 };
	size_t gone = 0, letters = 0, windows = 0;
	uint64_t modseq = 0;
	do {
		struct access_mailbox box;
		struct access_keywords words;
		struct access_change_row row;
		uint64_t floor;
		struct wire w = ask_rows(&m, &a, &head);
		assert_true(access_mailbox_get(&w, &box) && access_keywords_get(&w, &words) &&
			    access_floor_get(&w, &floor));
		for (windows++; w.left;) {
			assert_true(access_change_row_get(&w, &row));
			assert_true(row.modseq >= modseq);
			modseq = row.modseq;
			gone += row.vanished;
			letters += !row.vanished;
		}
		a.fresh = false;
		a.from = (struct access_from){ head.next.uid, head.next.n, STR_NULL };
	} while (head.more);
	assert_int_equal(gone, N / 10);
	assert_int_equal(letters, N - N / 10);
	assert_true(windows > 1);
	mail_close(&m);
}

static void
test_quota(void **state)
{
	static const char *const sets[] = { "quota=1M", NULL };
	struct mail m;
	struct access_head head;
	struct access_quota q;
	mail_open(&m, sets);
	letter_to_alice(&m, 1001, STR(LETTER));
	struct access_ask a = { .kind = ACCESS_QUOTA, .fresh = true };
	struct wire w = ask_rows(&m, &a, &head);
	assert_true(access_quota_get(&w, &q) && wire_done(&w));
	assert_int_equal(q.limit, 1u << 20);
	assert_int_equal(q.messages, 1);
	assert_int_equal(q.used, sizeof(whole) - 1);
	mail_close(&m);
}

/* --- breaches --- */

static void
test_slot_in_use(void **state)
{
	struct mail m;
	struct buf asked = BUF_INIT(ACCESS_ASK_MAX);
	mail_open(&m, NULL);
	/* The writer does not answer: both are open. */
	assert_int_equal(kill(m.t.store.pid, SIGSTOP), 0);
	access_ask_put(&asked,
	    &(struct access_ask){ .kind = ACCESS_OPEN, .fresh = true, .name = STR("INBOX") });
	send_read(&m, 1, 3, m.t.alice, alices(&m), buf_str(&asked));
	send_read(&m, 2, 4, m.t.alice, alices(&m), buf_str(&asked));
	send_read(&m, 3, 3, m.t.alice, alices(&m), buf_str(&asked));
	assert_true(kit_closed(m.read));
	assert_int_equal(kill(m.t.store.pid, SIGCONT), 0);
	buf_done(&asked);
	mail_close(&m);
}

static void
test_malformed(void **state)
{
	struct mail m;
	mail_open(&m, NULL);
	send_read(&m, 1, 0, m.t.alice, alices(&m), STR("no ask"));
	assert_int_equal(have_read(&m, 1, 0), ACCESS_BAD);
	assert_int_equal(chan_sync_send(m.read, IPC_READ, 1, STR("no message"), -1), 0);
	assert_true(kit_closed(m.read));
	close(m.read);
	memfd_window_unmap(m.slots, READ_SLOTS * READ_SLOT_SIZE);
	/* The next life of the front is heard. */
	m.read = kit_peer(&m.t.reader, ROLE_FRONT, 0);
	take_slots(m.read, &m.slots);
	struct access_ask a = { .kind = ACCESS_OPEN, .name = STR("INBOX") };
	assert_int_equal(ask(&m, &a), ACCESS_OK);
	assert_int_equal(chan_sync_send(m.read, IPC_SYNC, 1, STR_NULL, -1), 0);
	assert_true(kit_closed(m.read));
	mail_close(&m);
}

/* The writer dies: what must be fresh waits for its next life, the rest goes on. */
static void
test_writer_away(void **state)
{
	struct mail m;
	struct buf asked = BUF_INIT(ACCESS_ASK_MAX);
	mail_open(&m, NULL);
	letter_to_alice(&m, 1001, STR(LETTER));
	struct access_ask a = { .kind = ACCESS_OPEN, .fresh = true, .name = STR("INBOX") };
	assert_int_equal(ask(&m, &a), ACCESS_OK);
	close(m.t.front);
	assert_int_equal(kit_kill(&m.t.store), -SIGKILL);
	access_ask_put(&asked, &a);
	send_read(&m, 77, 3, m.t.alice, alices(&m), buf_str(&asked));
	buf_done(&asked);
	struct conf *c = kit_conf(NULL);
	kit_start(&m.t.store, store_main, c, ROLE_STORE, 0);
	conf_free(c);
	give_key(&m.t.store, &m.key);
	kit_join(&m.t.store, ROLE_STORE, &m.t.reader, ROLE_READER);
	assert_int_equal(have_read(&m, 77, 3), ACCESS_OK);
	m.t.front = connect_front(&m.t, 0);
	letter_to_alice(&m, 1002, STR(LETTER));
	assert_string_equal(view(&m, 0, 99), "1:2");
	mail_close(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_enter),
		ROW(test_passes),
		ROW(test_mailboxes),
		ROW(test_open),
		ROW(test_parts),
		ROW(test_odd_headers),
		ROW(test_windows),
		ROW(test_sets_and_since),
		ROW(test_uids),
		ROW(test_changes),
		ROW(test_changes_in_windows),
		ROW(test_quota),
		ROW(test_slot_in_use),
		ROW(test_malformed),
		ROW(test_writer_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
