/* store: flags, expunges, copies, moves, appends and outlines, with both engines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_mail_kit.h"

#include "store/emb.h"
#include "store/mail_priv.h"

static struct mailbox_letter
letter(struct store *s, uint32_t mailbox, uint32_t uid)
{
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, mailbox);
	struct store_snap *sn = NULL;
	struct mailbox_letter l = { 0 };
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	if (mailbox_find(sn, uid, &l) < 0)
		l.uid = 0;
	store_snap_close(sn);
	l.prefix = l.pieces = STR_NULL;
	return l;
}

static struct mailbox_head
head(struct store *s, uint32_t mailbox)
{
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, mailbox);
	struct store_snap *sn = NULL;
	struct mailbox_head h = { 0 };
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mailbox_head_read(sn, &h), 0);
	store_snap_close(sn);
	return h;
}

static void
is_right(struct store *s, uint32_t mailbox)
{
	struct buf text = BUF_INIT(16u << 20);
	const char *wrong = mail_box_text(s, mailbox, &text);
	if (wrong)
		fprintf(stderr, "# %s: " STR_FMT "\n", wrong, STR_ARG(buf_str(&text)));
	assert_null(wrong);
	buf_done(&text);
}

static void
letters(struct store *s, uint64_t n)
{
	for (uint64_t i = 1; i <= n; i++)
		kit_accept_async(s,
		    (struct kit_letter){ .id = i, .first = MAIL_ACCOUNT, .count = 1, .n = 50 },
		    NULL, NULL);
	store_wait(s);
}

/* --- flags --- */

static void
flags_change(void **state)
{
	struct store *s = kit_store(state);
	letters(s, 5);
	uint64_t before = head(s, 1).modseq;
	struct mail_got g = mail_flag(s, 1, "1:2,4:*", MAIL_FLAGS_ADD, "S D $Work");
	assert_int_equal(g.res.rc, 0);
	assert_string_equal(g.uids, "1:2,4:5");
	assert_int_equal(g.res.count, 4);
	assert_int_equal(g.res.modseq, before + 1);
	assert_int_equal(letter(s, 1, 2).modseq, before + 1);
	assert_int_equal(letter(s, 1, 2).flags, MAILBOX_SEEN | MAILBOX_DELETED | 1u << 16);
	assert_int_equal(letter(s, 1, 3).flags, 0);
	assert_int_equal(head(s, 1).unseen, 1);
	assert_int_equal(head(s, 1).deleted, 4);
	/* The same again changes nothing; a keyword's case does not matter. */
	g = mail_flag(s, 1, "1:2", MAIL_FLAGS_ADD, "S $wORK");
	assert_string_equal(g.uids, "");
	assert_int_equal(g.res.modseq, before + 1);
	g = mail_flag(s, 1, "1,3", MAIL_FLAGS_REPLACE, "F Other");
	assert_string_equal(g.uids, "1,3");
	assert_int_equal(letter(s, 1, 1).flags, MAILBOX_FLAGGED | 1u << 17);
	g = mail_flag(s, 1, "1:*", MAIL_FLAGS_REMOVE, "F D Unknown");
	assert_string_equal(g.uids, "1:5");
	assert_int_equal(letter(s, 1, 1).flags, 1u << 17);
	assert_int_equal(head(s, 1).deleted, 0);
	/* Nobody there. */
	g = mail_flag(s, 1, "6:*", MAIL_FLAGS_ADD, "S Never");
	assert_int_equal(g.res.rc, 0);
	assert_string_equal(g.uids, "");
	g = mail_flag(s, 77, "1", MAIL_FLAGS_ADD, "S");
	assert_int_equal(g.res.rc, -ENOENT);
	g = mail_flag(s, 1, "3,2", MAIL_FLAGS_ADD, "S");
	assert_int_equal(g.res.rc, -EINVAL);
	g = mail_flag(s, 1, "3", MAIL_FLAGS_ADD, "a(b");
	assert_int_equal(g.res.rc, -EINVAL);
	is_right(s, 1);
}

static void
conditional_flags(void **state)
{
	struct store *s = kit_store(state);
	struct mail_got g = { .res = { .rc = 1 } };
	letters(s, 4);
	uint64_t then = head(s, 1).modseq;
	mail_flag(s, 1, "2", MAIL_FLAGS_ADD, "A");
	struct mail_range all = { 1, UINT32_MAX };
	struct mail_flags f = { .account = MAIL_ACCOUNT,
		.mailbox = 1,
		.uids = &all,
		.n_uids = 1,
		.op = MAIL_FLAGS_ADD,
		.flags = MAILBOX_SEEN,
		.conditional = true,
		.unchanged_since = then,
		.level = STORE_APPLIED };
	mail_store_flags(s, &f, mail_take, &g);
	store_wait(s);
	assert_int_equal(g.res.rc, 0);
	assert_string_equal(g.uids, "1,3:4");
	assert_string_equal(g.failed, "2");
	f.unchanged_since = 0;
	mail_store_flags(s, &f, mail_take, &g);
	store_wait(s);
	assert_string_equal(g.uids, "");
	assert_string_equal(g.failed, "1:4");
	is_right(s, 1);
}

/* Two at once: neither is lost. */
static void
flags_of_two(void **state)
{
	struct store *s = kit_store(state);
	struct mail_got g[20];
	struct mail_range all = { 1, UINT32_MAX };
	char names[20][8];
	letters(s, 10);
	for (size_t i = 0; i < 20; i++) {
		snprintf(names[i], sizeof(names[i]), "k%zu", i);
		struct str name = str_of(names[i]);
		struct mail_flags f = { .account = MAIL_ACCOUNT,
			.mailbox = 1,
			.uids = &all,
			.n_uids = 1,
			.op = MAIL_FLAGS_ADD,
			.keywords = &name,
			.n_keywords = 1 };
		mail_store_flags(s, &f, mail_take, &g[i]);
	}
	store_wait(s);
	for (size_t i = 0; i < 20; i++)
		assert_string_equal(g[i].uids, "1:10");
	assert_int_equal(letter(s, 1, 7).flags, ((1ull << 20) - 1) << 16);
	is_right(s, 1);
}

static void
keywords_have_an_end(void **state)
{
	struct store *s = kit_store(state);
	char name[16];
	letters(s, 2);
	for (unsigned i = 0; i < MAIL_KEYWORDS_MAX; i++) {
		snprintf(name, sizeof(name), "word%u", i);
		assert_int_equal(mail_flag(s, 1, "1", MAIL_FLAGS_ADD, name).res.rc, 0);
	}
	assert_int_equal(letter(s, 1, 1).flags, MAILBOX_FLAGS_KEYWORDS);
	uint64_t before = head(s, 1).modseq;
	assert_int_equal(mail_flag(s, 1, "2", MAIL_FLAGS_ADD, "S one-more").res.rc, -E2BIG);
	assert_int_equal(mail_appended(s, 1, 50, 2, 30, "one-more").res.rc, -E2BIG);
	assert_int_equal(letter(s, 1, 2).flags, 0);
	assert_int_equal(head(s, 1).modseq, before);
	assert_int_equal(mail_flag(s, 1, "2", MAIL_FLAGS_ADD, "WORD47").res.rc, 0);
	assert_true(letter(s, 1, 2).flags == 1ull << 63);
	/* To a mailbox without room for them: lost. */
	struct mail_got g = mail_created(s, "b", 0);
	mail_appended(s, g.res.mailbox, 60, 1, 30, "other word3");
	assert_string_equal(mail_copied(s, 1, g.res.mailbox, "1:2", false).to, "2:3");
	assert_true(letter(s, g.res.mailbox, 3).flags == 0);
	/* 47 were made in order; the last had no room. */
	assert_true(letter(s, g.res.mailbox, 2).flags == (MAILBOX_FLAGS_KEYWORDS & ~(1ull << 16)));
	is_right(s, 1);
	is_right(s, g.res.mailbox);
}

/* --- expunge --- */

static void
expunges(void **state)
{
	struct store *s = kit_store(state);
	letters(s, 9);
	mail_flag(s, 1, "2:3,5,8", MAIL_FLAGS_ADD, "D");
	struct mail_got g = mail_expunged(s, 1, "1:6", true);
	assert_int_equal(g.res.rc, 0);
	assert_string_equal(g.uids, "2:3,5");
	assert_int_equal(g.res.count, 3);
	uint64_t since = g.res.modseq;
	assert_int_equal(head(s, 1).deleted, 1);
	assert_int_equal(head(s, 1).messages, 6);
	g = mail_expunged(s, 1, "1", false);
	assert_string_equal(g.uids, "1");
	g = mail_expunged(s, 1, "", true);
	assert_string_equal(g.uids, "8");
	g = mail_expunged(s, 1, "", true);
	assert_string_equal(g.uids, "");
	assert_int_equal(g.res.rc, 0);

	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, 1);
	struct store_snap *sn = NULL;
	struct buf text = BUF_INIT(4096);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_each_vanished(sn, 0, mail_text_vanished, &text), 0);
	assert_string_equal(buf_cstr(&text), "v2:3 v5:5 v1:1 v8:8 ");
	buf_reset(&text);
	assert_int_equal(mail_each_vanished(sn, since, mail_text_vanished, &text), 0);
	assert_string_equal(buf_cstr(&text), "v1:1 v8:8 ");
	store_snap_close(sn);
	buf_done(&text);
	is_right(s, 1);
	assert_string_equal(mail_expunged(s, 1, "", false).uids, "4,6:7,9");
	assert_int_equal(head(s, 1).bytes, 0);
}

/* The oldest of what vanished is forgotten. */
static void
vanished_have_an_end(void **state)
{
	struct store *s = kit_store(state);
	enum { ROUNDS = 7, EACH = 2800, GONE = EACH / 2 };
	struct mail_range *r = xalloc(GONE * sizeof(*r));
	struct mail_got g;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint64_t i = 0; i < EACH; i++)
			kit_accept_async(s,
			    (struct kit_letter){ .id = round * EACH + i + 1,
				.first = MAIL_ACCOUNT,
				.count = 1,
				.n = 1 },
			    NULL, NULL);
		store_wait(s);
		for (uint32_t i = 0; i < GONE; i++)
			r[i].first = r[i].last = round * EACH + 2 * i + 1;
		struct mail_expunge x = {
			.account = MAIL_ACCOUNT, .mailbox = 1, .uids = r, .n_uids = GONE
		};
		mail_expunge(s, &x, mail_take, &g);
		store_wait(s);
		assert_int_equal(g.res.count, GONE);
	}
	struct mailbox_head h = head(s, 1);
	assert_true(h.vanished <= VANISHED_MAX && h.vanished > VANISHED_MAX - 2 * 1000);
	assert_true(h.floor > 0 && h.floor < h.modseq);
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, 1);
	struct store_snap *sn = NULL;
	struct buf text = BUF_INIT(1u << 20);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_each_vanished(sn, h.floor - 1, mail_text_vanished, &text), -ESTALE);
	assert_int_equal(mail_each_vanished(sn, h.floor, mail_text_vanished, &text), 0);
	store_snap_close(sn);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++)
		n += text.p[i] == 'v';
	assert_int_equal(n, h.vanished);
	buf_done(&text);
	free(r);
}

/* Many that went one by one make room for a few that leave many gaps. */
static void
vanished_one_by_one(void **state)
{
	struct store *s = kit_store(state);
	enum { SINGLES = VANISHED_MAX, PAIRS = 2500 };
	static struct mail_range r[PAIRS];
	struct mail_got g;
	mail_account(s);
	letters(s, SINGLES + 2 * PAIRS);
	for (uint32_t i = 1; i <= SINGLES; i++) {
		struct mail_range one = { i, i };
		mail_expunge(s,
		    &(struct mail_expunge){
			.account = MAIL_ACCOUNT, .mailbox = 1, .uids = &one, .n_uids = 1 },
		    NULL, NULL);
	}
	store_wait(s);
	assert_int_equal(head(s, 1).vanished, VANISHED_MAX);
	assert_int_equal(head(s, 1).floor, 0);
	for (uint32_t i = 0; i < PAIRS; i++)
		r[i].first = r[i].last = SINGLES + 1 + 2 * i;
	struct mail_expunge x = {
		.account = MAIL_ACCOUNT, .mailbox = 1, .uids = r, .n_uids = PAIRS
	};
	mail_expunge(s, &x, mail_take, &g);
	store_wait(s);
	assert_int_equal(g.res.count, PAIRS);
	assert_int_equal(head(s, 1).vanished, VANISHED_MAX);
	assert_true(head(s, 1).floor > 0);
	assert_int_equal(mail_problems_of(state), 0);
}

/* --- copy and move --- */

static void
copies(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	mail_appended(s, 1, 100, 5, 60, "S Alpha Beta");
	assert_int_equal(mail_appended(s, 3, 200, 2, 60, "Beta").res.rc, 0);
	mail_flag(s, 1, "2", MAIL_FLAGS_REMOVE, "Alpha");
	struct mail_got g = mail_copied(s, 1, 3, "2,4:*", false);
	assert_int_equal(g.res.rc, 0);
	assert_string_equal(g.uids, "2,4:5");
	assert_string_equal(g.to, "3:5");
	assert_int_equal(g.res.uidvalidity, head(s, 3).uidvalidity);
	struct mailbox_letter a = letter(s, 1, 4), b = letter(s, 3, 4);
	assert_true(a.letter == b.letter && a.time_ms == b.time_ms && a.size == b.size);
	assert_int_equal(a.saved_ms, MAIL_NOW);
	assert_int_equal(a.flags, MAILBOX_SEEN | 3u << 16);
	assert_int_equal(b.flags, MAILBOX_SEEN | 3u << 16); /* Beta, Alpha */
	assert_int_equal(letter(s, 3, 3).flags, MAILBOX_SEEN | 1u << 16);
	assert_int_equal(head(s, 1).messages, 5);
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, 3);
	struct store_snap *sn = NULL;
	struct str outline;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_get_outline(sn, 4, &outline), 0);
	assert_true(str_eq(outline, STR("outline 103")));
	assert_int_equal(mail_get_outline(sn, 9, &outline), -ENOENT);
	store_snap_close(sn);

	assert_int_equal(mail_copied(s, 1, 99, "1", false).res.rc, -ENOENT);
	assert_int_equal(mail_copied(s, 98, 1, "1", false).res.rc, -ENOENT);
	g = mail_copied(s, 1, 3, "77:*", true);
	assert_int_equal(g.res.rc, 0);
	assert_string_equal(g.to, "");
	/* Onto itself. */
	g = mail_copied(s, 1, 1, "4:*", false);
	assert_string_equal(g.uids, "4:5");
	assert_string_equal(g.to, "6:7");
	is_right(s, 1);
	is_right(s, 3);
}

static void
moves(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	mail_appended(s, 1, 100, 6, 60, "D Alpha");
	struct mail_got g = mail_copied(s, 1, 4, "1,3:4,9", true);
	assert_int_equal(g.res.rc, 0);
	assert_string_equal(g.uids, "1,3:4");
	assert_string_equal(g.to, "1:3");
	assert_int_equal(g.res.modseq, head(s, 1).modseq);
	assert_int_equal(head(s, 1).messages, 3);
	assert_int_equal(head(s, 4).deleted, 3);
	assert_int_equal(letter(s, 4, 2).letter, 102);
	g = mail_copied(s, 4, 4, "1:*", true);
	assert_string_equal(g.uids, "1:3");
	assert_string_equal(g.to, "4:6");
	assert_int_equal(head(s, 4).messages, 3);
	is_right(s, 1);
	is_right(s, 4);
	assert_int_equal(mail_problems_of(state), 0);
}

/* More than one slice. */
static void
large_moves(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	letters(s, 3500);
	struct mail_got g = mail_flag(s, 1, "1:*", MAIL_FLAGS_ADD, "S Many");
	assert_string_equal(g.uids, "1:3500");
	g = mail_copied(s, 1, 2, "1:1700,1702:*", false);
	assert_string_equal(g.uids, "1:1700,1702:3500");
	assert_string_equal(g.to, "1:3499");
	g = mail_copied(s, 1, 2, "1:*", true);
	assert_int_equal(g.res.rc, 0);
	assert_string_equal(g.uids, "1:3500");
	assert_string_equal(g.to, "3500:6999");
	assert_int_equal(head(s, 1).messages, 0);
	assert_int_equal(head(s, 2).messages, 6999);
	g = mail_copied(s, 2, 2, "1:*", false);
	assert_string_equal(g.to, "7000:13998");
	struct store_dom a = store_dom_account(MAIL_ACCOUNT), b = store_dom_mailbox(1, 2);
	for (unsigned i = 0; i < 2; i++) {
		struct store_snap *sn = NULL;
		bool any = false;
		assert_int_equal(store_snap_open(s, i ? &a : &b, &sn, NULL), 0);
		struct str k;
		for (uint64_t id = 1; id < 50; id++) {
			char key[COPY_KEY_LEN];
			copy_key(key, id);
			any |= store_get(sn, str_n(key, sizeof(key)), &k) == 0;
		}
		store_snap_close(sn);
		assert_false(any);
	}
	is_right(s, 1);
	is_right(s, 2);
	assert_string_equal(mail_expunged(s, 2, "", false).uids, "1:13998");
	assert_int_equal(mail_problems_of(state), 0);
}

/* --- a mailbox that an older program has made --- */

static bool
del_key(void *arg, struct str key, struct str value)
{
	store_del(arg, key);
	return true;
}

/* Its header as that program would have written it. */
static void
make_old(struct store *s, uint32_t mailbox)
{
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, mailbox);
	struct mailbox_head h = head(s, mailbox);
	struct buf b = BUF_INIT(256);
	h.uncounted = true;
	mailbox_head_put(&b, &h);
	assert_int_equal(b.p[0], 1);
	struct store_batch *batch = store_batch_new(s, &d);
	store_put(batch, STR("H"), buf_str(&b), 0);
	buf_done(&b);
	assert_int_equal(kit_commit(s, batch).rc, 0);
}

static void
old_headers_are_counted(void **state)
{
	struct store *s = kit_store(state);
	struct store_res r = { .rc = 1 };
	mail_account(s);
	letters(s, 40);
	/* Some of it may be in the index, and the rest not yet. */
	store_sync(s, kit_take, &r);
	store_wait(s);
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, 1);
	struct store_batch *b = store_batch_new(s, &d);
	mailbox_expunge(b, 3);
	assert_int_equal(kit_commit(s, b).rc, 0);
	mail_flag(s, 1, "5:9,20", MAIL_FLAGS_ADD, "S");
	mail_flag(s, 1, "9:10", MAIL_FLAGS_ADD, "D");
	static const unsigned ways = 6;
	for (unsigned way = 0; way < ways; way++) {
		struct store_dom box = store_dom_mailbox(MAIL_ACCOUNT, 1);
		struct mailbox_head want = head(s, 1);
		/* What it had vanished is not told by an old header. */
		struct store_snap *sn = NULL;
		assert_int_equal(store_snap_open(s, &box, &sn, NULL), 0);
		b = store_batch_new(s, &box);
		assert_int_equal(store_scan(sn, STR("V|"), STR("V}"), 0, false, del_key, b), 0);
		store_snap_close(sn);
		if (want.vanished)
			assert_int_equal(kit_commit(s, b).rc, 0);
		else
			store_batch_free(b);
		make_old(s, 1);
		assert_int_equal(head(s, 1).unseen, want.unseen);
		assert_int_equal(head(s, 1).deleted, want.deleted);
		assert_int_equal(head(s, 1).floor, want.modseq);
		if (way == 0)
			assert_int_equal(kit_accept(s,
					     (struct kit_letter){
						 .id = 900, .first = 1, .count = 1 }),
			    0);
		else if (way == 1)
			mail_flag(s, 1, "11", MAIL_FLAGS_ADD, "S D");
		else if (way == 2)
			mail_expunged(s, 1, "", true);
		else if (way == 3)
			mail_copied(s, 1, 1, "12:14", true);
		else if (way == 4)
			mail_appended(s, 1, 950, 3, 20, "S");
		else {
			b = store_batch_new(s, &box);
			mailbox_expunge(b, 30);
			assert_int_equal(kit_commit(s, b).rc, 0);
		}
		is_right(s, 1);
		assert_true(head(s, 1).floor == want.modseq);
	}
	assert_int_equal(head(s, 1).messages, 39 + 1 - 3 + 3 - 1);
	assert_int_equal(mail_problems_of(state), 0);
}

/* --- append and outlines --- */

static void
appends(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	struct mail_got g = mail_appended(s, 2, 10, 3, 400, "T Key");
	assert_int_equal(g.res.rc, 0);
	assert_string_equal(g.to, "1:3");
	assert_int_equal(g.res.uidvalidity, head(s, 2).uidvalidity);
	assert_int_equal(letter(s, 2, 3).flags, MAILBOX_DRAFT | 1u << 16);
	assert_int_equal(letter(s, 2, 3).modseq, g.res.modseq);
	assert_int_equal(letter(s, 2, 3).time_ms, KIT_TIME);
	g = mail_appended(s, 44, 20, 2, 40, "");
	assert_int_equal(g.res.rc, -ENOENT);
	g = mail_appended(s, 2, 30, 3, 300000, "S");
	assert_string_equal(g.to, "4:6");
	is_right(s, 2);
	mail_append(s, MAIL_ACCOUNT, 2, NULL, 0, MAIL_NOW, STORE_DURABLE, mail_take, &g);
	store_wait(s);
	assert_int_equal(g.res.rc, -EINVAL);
}

static void
outlines(void **state)
{
	struct store *s = kit_store(state);
	struct mail_got g = { .res = { .rc = 1 } };
	letters(s, 3);
	static const struct mail_outline o[] = { { 1, 1, STR("one") }, { 2, 77, STR("wrong") },
		{ 3, 3, STR("three") }, { 9, 9, STR("nobody") } };
	uint64_t modseq = head(s, 1).modseq;
	mail_put_outlines(s, MAIL_ACCOUNT, 1, o, ARRAY_LEN(o), mail_take, &g);
	store_wait(s);
	assert_int_equal(g.res.rc, 0);
	assert_string_equal(g.uids, "1,3");
	mail_put_outlines(s, MAIL_ACCOUNT, 1, o, ARRAY_LEN(o), mail_take, &g);
	store_wait(s);
	assert_string_equal(g.uids, "");
	assert_int_equal(head(s, 1).modseq, modseq);
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, 1);
	struct store_snap *sn = NULL;
	struct str v;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_get_outline(sn, 3, &v), 0);
	assert_true(str_eq(v, STR("three")));
	assert_int_equal(mail_get_outline(sn, 2, &v), -ENOENT);
	store_snap_close(sn);
	mail_expunged(s, 1, "3", false);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_get_outline(sn, 1, &v), 0);
	assert_int_equal(mail_get_outline(sn, 3, &v), -ENOENT);
	store_snap_close(sn);
}

/* A delivery brings its outline along; one that is too long for all its recipients is left out. */
static void
delivered_outlines(void **state)
{
	struct store *s = kit_store(state);
	char *p = xalloc(STORE_OUTLINE_MAX);
	memset(p, 'o', STORE_OUTLINE_MAX);
	struct store_rcpt rcpt[40];
	for (uint64_t i = 0; i < 40; i++)
		rcpt[i] = (struct store_rcpt){ MAIL_ACCOUNT + i, MAILBOX_INBOX, STR(""), STR("x") };
	for (uint64_t i = 1; i <= 3; i++) {
		struct store_letter l = { .letter = i,
			.time_ms = KIT_TIME,
			.rcpt = rcpt,
			.n_rcpt = i == 3 ? 40 : i,
			.outline = str_n(p, i == 1 ? 300 : STORE_OUTLINE_MAX) };
		struct store_res res = { .rc = 1 };
		struct store_body *b = store_body_new(s, i);
		assert_int_equal(store_body_write(b, STR("hello")), 0);
		store_accept(s, b, &l, kit_take, &res);
		store_wait(s);
		assert_int_equal(res.rc, 0);
	}
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, 1);
	struct store_snap *sn = NULL;
	struct str v;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_get_outline(sn, 1, &v), 0);
	assert_int_equal(v.len, 300);
	assert_int_equal(mail_get_outline(sn, 2, &v), 0);
	assert_int_equal(v.len, STORE_OUTLINE_MAX);
	assert_int_equal(mail_get_outline(sn, 3, &v), -ENOENT);
	store_snap_close(sn);
	free(p);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		KIT_BOTH(flags_change),
		KIT_BOTH(conditional_flags),
		KIT_BOTH(flags_of_two),
		KIT_BOTH(keywords_have_an_end),
		KIT_BOTH(expunges),
		cmocka_unit_test_setup_teardown(vanished_have_an_end, kit_set_up_emb,
		    kit_tear_down),
		cmocka_unit_test_setup_teardown(vanished_one_by_one, kit_set_up_emb, kit_tear_down),
		KIT_BOTH(copies),
		KIT_BOTH(moves),
		cmocka_unit_test_setup_teardown(large_moves, kit_set_up_emb, kit_tear_down),
		KIT_BOTH(old_headers_are_counted),
		KIT_BOTH(appends),
		KIT_BOTH(outlines),
		KIT_BOTH(delivered_outlines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
