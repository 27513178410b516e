/* Letters that go: their records, the header that counts them, and what may stand in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_kit.h"

#include <errno.h>

#define ACCOUNT 7

static struct store_dom
inbox(void)
{
	return store_dom_mailbox(ACCOUNT, MAILBOX_INBOX);
}

static void
fill(struct store *s, uint64_t first, uint64_t n)
{
	for (uint64_t id = first; id < first + n; id++)
		assert_int_equal(kit_accept(s,
				     (struct kit_letter){
					 .id = id, .first = ACCOUNT, .count = 1, .n = 100 }),
		    0);
}

static struct mailbox_head
head(struct store *s)
{
	struct store_dom d = inbox();
	struct store_snap *sn = NULL;
	struct mailbox_head h = { 0 };
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mailbox_head_read(sn, &h), 0);
	store_snap_close(sn);
	return h;
}

static bool
count_key(void *arg, struct str key, struct str value)
{
	++*(size_t *)arg;
	return true;
}

static size_t
keys(struct store *s, const char *from, const char *to)
{
	struct store_dom d = inbox();
	struct store_snap *sn = NULL;
	size_t n = 0;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(store_scan(sn, str_of(from), str_of(to), 0, false, count_key, &n), 0);
	store_snap_close(sn);
	return n;
}

static struct store_res
expunge(struct store *s, const uint32_t *uid, size_t n)
{
	struct store_dom d = inbox();
	struct store_batch *b = store_batch_new(s, &d);
	for (size_t i = 0; i < n; i++)
		mailbox_expunge(b, uid[i]);
	return kit_commit(s, b);
}

static void
test_some_go(void **state)
{
	static const uint32_t some[] = { 2, 3, 9 };
	struct store *s = kit_store(state);
	fill(s, 1, 10);
	struct mailbox_head before = head(s);
	struct store_res res = expunge(s, some, ARRAY_LEN(some));
	assert_int_equal(res.rc, 0);
	assert_int_equal(res.slot[0], 3);
	struct mailbox_head after = head(s);
	assert_int_equal(after.messages, 7);
	assert_int_equal(before.bytes - after.bytes, res.slot[1]);
	assert_int_equal(after.uidnext, before.uidnext);
	assert_int_equal(after.uidvalidity, before.uidvalidity);
	assert_int_equal(after.modseq, before.modseq + 1);
	assert_int_equal(keys(s, "R|", "R}"), 7);
	assert_int_equal(keys(s, "C|", "C}"), 7);
	assert_int_equal(kit_letters(s, ACCOUNT, 100, NULL), 7);
}

static void
test_twice_and_none(void **state)
{
	static const uint32_t some[] = { 1, 2, 500 };
	struct store *s = kit_store(state);
	fill(s, 1, 3);
	assert_int_equal(expunge(s, some, 3).slot[0], 2);
	struct mailbox_head h = head(s);
	struct store_res res = expunge(s, some, 3);
	assert_int_equal(res.rc, 0);
	assert_int_equal(res.slot[0], 0);
	assert_int_equal(head(s).messages, 1);
	assert_int_equal(head(s).modseq, h.modseq);
	/* The last one, and the next gets a new number. */
	assert_int_equal(expunge(s, (const uint32_t[]){ 3 }, 1).slot[0], 1);
	assert_int_equal(head(s).messages, 0);
	assert_int_equal(head(s).bytes, 0);
	fill(s, 50, 1);
	assert_int_equal(head(s).uidnext, 5);
	assert_int_equal(kit_letters(s, ACCOUNT, 100, NULL), 1);
}

static void
test_order_and_place(void **state)
{
	struct store *s = kit_store(state);
	fill(s, 1, 3);
	assert_int_equal(expunge(s, (const uint32_t[]){ 2, 1 }, 2).rc, -EINVAL);
	assert_int_equal(expunge(s, (const uint32_t[]){ 2, 2 }, 2).rc, -EINVAL);
	assert_int_equal(kit_letters(s, ACCOUNT, 100, NULL), 3);
	struct store_dom d = store_dom_account(ACCOUNT);
	struct store_batch *b = store_batch_new(s, &d);
	mailbox_expunge(b, 1);
	assert_int_equal(kit_commit(s, b).rc, -EINVAL);
	/* Nothing where there is no mailbox. */
	d = store_dom_mailbox(ACCOUNT + 1, MAILBOX_INBOX);
	b = store_batch_new(s, &d);
	mailbox_expunge(b, 1);
	struct store_res res = kit_commit(s, b);
	assert_int_equal(res.rc, 0);
	assert_int_equal(res.slot[0], 0);
}

/* Deliveries into the same mailbox in the same groups: neither sees half of the other. */
static void
test_among_deliveries(void **state)
{
	enum { N = 200 };
	struct store *s = kit_store(state);
	static struct store_res came[N], went[N];
	struct store_dom d = inbox();
	for (uint32_t i = 0; i < N; i++) {
		kit_accept_async(s,
		    (struct kit_letter){ .id = i + 1, .first = ACCOUNT, .count = 1, .n = 100 },
		    kit_take, &came[i]);
		struct store_batch *b = store_batch_new(s, &d);
		mailbox_expunge(b, i / 2 + 1);
		store_commit(b, STORE_DURABLE, kit_take, &went[i]);
	}
	store_wait(s);
	uint64_t gone = 0;
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(came[i].rc, 0);
		assert_int_equal(went[i].rc, 0);
		gone += went[i].slot[0];
	}
	assert_int_equal(gone, N / 2);
	assert_int_equal(kit_letters(s, ACCOUNT, 100, NULL), N / 2);
}

/* It stays so when the store is opened again. */
static void
test_again(void **state)
{
	struct kit_lab *l = *state;
	fill(l->s, 1, 10);
	assert_int_equal(expunge(l->s, (const uint32_t[]){ 1, 10 }, 2).slot[0], 2);
	l->s = store_close(l->s);
	l->s = kit_open(l->dir);
	assert_non_null(l->s);
	assert_int_equal(kit_letters(l->s, ACCOUNT, 100, NULL), 8);
	assert_int_equal(head(l->s).uidnext, 11);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_BOTH(test_some_go),
		KIT_BOTH(test_twice_and_none),
		KIT_BOTH(test_order_and_place),
		KIT_BOTH(test_among_deliveries),
		{ "test_again (emb)", test_again, kit_set_up_emb, kit_tear_down, NULL },
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
