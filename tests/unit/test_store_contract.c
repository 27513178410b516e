/* What every engine promises, asked of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "store_kit.h"

#include <errno.h>
#include <poll.h>

struct lab {
	char *dir; /* NULL: mem */
	struct store *s;
};

static int
set_up_emb(void **state)
{
	struct lab *l = xalloc(sizeof(*l));
	l->dir = kit_dir();
	l->s = kit_open(l->dir);
	*state = l;
	return l->s ? 0 : -1;
}

static int
set_up_mem(void **state)
{
	struct lab *l = xalloc(sizeof(*l));
	l->s = kit_open(NULL);
	*state = l;
	return l->s ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct lab *l = *state;
	store_close(l->s);
	if (l->dir)
		kit_dir_done(l->dir);
	free(l);
	return 0;
}

static void
versions_rise_by_one(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct store_dom a = store_dom_account(1), b = store_dom_account(2);
	for (uint64_t i = 1; i <= 5; i++) {
		struct store_res r = kit_put(s, a, "k", "v");
		assert_int_equal(r.rc, 0);
		assert_int_equal(r.ver, i);
	}
	assert_int_equal(kit_put(s, b, "k", "w").ver, 1);
	assert_string_equal(kit_get(s, a, "k"), "v");
	assert_string_equal(kit_get(s, b, "k"), "w");
	struct store_snap *sn;
	uint64_t ver;
	assert_int_equal(store_snap_open(s, &a, &sn, &ver), 0);
	assert_int_equal(ver, 5);
	store_snap_close(sn);
}

static void
conflicts_write_nothing(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct store_dom d = store_dom_account(1);
	kit_put(s, d, "a", "1");
	static const struct {
		const char *key, *value; /* value NULL: absent */
		int rc;
	} rows[] = {
		{ "a", "1", 0 },
		{ "a", "2", -EAGAIN },
		{ "a", "", -EAGAIN },
		{ "a", NULL, -EAGAIN },
		{ "b", NULL, 0 },
		{ "b", "1", -EAGAIN },
		{ "b", "", -EAGAIN },
	};
	uint64_t ver = 1;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char mark[32];
		snprintf(mark, sizeof(mark), "row%zu", i);
		struct store_batch *b = store_batch_new(s, &d);
		store_put(b, str_of(mark), STR("x"), 0);
		store_del(b, STR("nothing"));
		store_expect(b, str_of(rows[i].key),
		    rows[i].value ? str_of(rows[i].value) : STR_NULL);
		struct store_res r = kit_commit(s, b);
		assert_int_equal(r.rc, rows[i].rc);
		if (r.rc == 0)
			assert_int_equal(r.ver, ++ver);
		assert_string_equal(kit_get(s, d, mark), r.rc == 0 ? "x" : "-");
	}
	struct store_snap *sn;
	uint64_t now;
	assert_int_equal(store_snap_open(s, &d, &sn, &now), 0);
	assert_int_equal(now, ver);
	store_snap_close(sn);
}

static void
sums_and_slots(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct store_dom d = store_dom_directory();
	unsigned char marker[8], key[10] = "k|";
	store_slot_marker(marker, 3);
	for (uint64_t i = 1; i <= 3; i++) {
		struct store_batch *b = store_batch_new(s, &d);
		memcpy(key + 2, marker, 8);
		store_put(b, str_n(key, sizeof(key)), str_n(marker, 8), 1u << 3);
		store_add(b, STR("n"), 5, 3);
		store_add(b, STR("n"), 2, 4);
		struct store_res r = kit_commit(s, b);
		assert_int_equal(r.rc, 0);
		assert_int_equal(r.slot[3], (i - 1) * 7 + 5);
		assert_int_equal(r.slot[4], i * 7);
		be64_put(key + 2, r.slot[3]);
		struct store_snap *sn;
		struct str v;
		assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
		assert_int_equal(store_get(sn, str_n(key, sizeof(key)), &v), 0);
		assert_int_equal(v.len, 8);
		assert_int_equal(be64_get((const unsigned char *)v.p), r.slot[3]);
		assert_int_equal(store_get(sn, STR("n"), &v), 0);
		assert_int_equal(be64_get((const unsigned char *)v.p), i * 7);
		store_snap_close(sn);
	}
	/* What follows the number stays; a value too short for one is refused. */
	kit_put(s, d, "long", "\x01\x01\x01\x01\x01\x01\x01\x02 and more");
	kit_put(s, d, "short", "1234567");
	struct store_batch *b = store_batch_new(s, &d);
	store_add(b, STR("long"), -1, -1);
	assert_int_equal(kit_commit(s, b).rc, 0);
	assert_memory_equal(kit_get(s, d, "long"), "\x01\x01\x01\x01\x01\x01\x01\x01 and more", 17);
	b = store_batch_new(s, &d);
	store_put(b, STR("other"), STR("x"), 0);
	store_add(b, STR("short"), 1, -1);
	assert_int_equal(kit_commit(s, b).rc, -EINVAL);
	assert_string_equal(kit_get(s, d, "other"), "-");
}

static void
limits_are_refused_whole(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct store_dom d = store_dom_account(9);
	char *big = xalloc(STORE_VALUE_MAX + 1);
	memset(big, 'k', STORE_VALUE_MAX + 1);
	const struct {
		size_t key, value;
		int rc;
	} rows[] = {
		{ STORE_KEY_MAX, STORE_VALUE_MAX, 0 },
		{ STORE_KEY_MAX + 1, 1, -E2BIG },
		{ 1, STORE_VALUE_MAX + 1, -E2BIG },
		{ 0, 1, -EINVAL },
		{ 1, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct store_batch *b = store_batch_new(s, &d);
		store_put(b, str_n(big, rows[i].key), str_n(big, rows[i].value), 0);
		assert_int_equal(kit_commit(s, b).rc, rows[i].rc);
	}
	struct store_batch *b = store_batch_new(s, &d);
	for (uint32_t i = 0; i <= STORE_BATCH_OPS_MAX; i++)
		store_del(b, STR("x"));
	assert_int_equal(kit_commit(s, b).rc, -E2BIG);
	free(big);
}

struct listed {
	char text[256];
	unsigned stop_after;
};

static bool
list_one(void *arg, struct str key, struct str value)
{
	struct listed *l = arg;
	size_t n = strlen(l->text);
	snprintf(l->text + n, sizeof(l->text) - n, STR_FMT ",", STR_ARG(key));
	return l->stop_after == 0 || --l->stop_after > 0;
}

static void
scans_in_order(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	/* Neighbours before and behind, whose keys must not show. */
	kit_put(s, store_dom_account(1), "z", "");
	kit_put(s, store_dom_account(3), "a", "");
	struct store_dom d = store_dom_account(2);
	static const char *const keys[] = { "b", "aa", "a", "c", "ab", "\xff" };
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		kit_put(s, d, keys[i], "v");
	static const struct {
		const char *from, *to;
		uint32_t limit;
		bool reverse;
		unsigned stop;
		const char *want;
	} rows[] = {
		{ NULL, NULL, 0, false, 0, "a,aa,ab,b,c,\xff," },
		{ NULL, NULL, 0, true, 0, "\xff,c,b,ab,aa,a," },
		{ "aa", "c", 0, false, 0, "aa,ab,b," },
		{ "aa", "c", 0, true, 0, "b,ab,aa," },
		{ "aa", NULL, 2, false, 0, "aa,ab," },
		{ NULL, "b", 2, true, 0, "ab,aa," },
		{ NULL, NULL, 0, false, 3, "a,aa,ab," },
		{ "d", NULL, 0, false, 0, "\xff," },
		{ "c", "c", 0, false, 0, "" },
		{ "d", "e", 0, true, 0, "" },
		{ "c", "a", 0, false, 0, "" },
	};
	struct store_snap *sn;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct listed l = { .stop_after = rows[i].stop };
		assert_int_equal(store_scan(sn, str_of(rows[i].from),
				     rows[i].to ? str_of(rows[i].to) : STR_NULL, rows[i].limit,
				     rows[i].reverse, list_one, &l),
		    0);
		assert_string_equal(l.text, rows[i].want);
	}
	store_snap_close(sn);
	struct store_dom none = store_dom_account(99);
	struct listed l = { 0 };
	uint64_t ver = 7;
	assert_int_equal(store_snap_open(s, &none, &sn, &ver), 0);
	assert_int_equal(ver, 0);
	assert_int_equal(store_scan(sn, STR_NULL, STR_NULL, 0, false, list_one, &l), 0);
	assert_string_equal(l.text, "");
	store_snap_close(sn);
}

static void
snapshots_stand_still(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct store_dom d = store_dom_account(1);
	kit_put(s, d, "k", "old");
	struct store_snap *sn;
	uint64_t ver;
	struct str v;
	assert_int_equal(store_snap_open(s, &d, &sn, &ver), 0);
	kit_put(s, d, "k", "new");
	kit_put(s, d, "l", "new");
	assert_int_equal(ver, 1);
	assert_int_equal(store_get(sn, STR("k"), &v), 0);
	assert_true(str_eq(v, STR("old")));
	assert_int_equal(store_get(sn, STR("l"), &v), -ENOENT);
	store_snap_close(sn);
	/* And each acknowledged commit is in the next one. */
	for (int i = 0; i < 50; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", i);
		kit_put(s, d, "k", text);
		assert_string_equal(kit_get(s, d, "k"), text);
	}
}

struct order {
	int n, last;
	bool bad;
};
struct order_arg {
	struct order *o;
	int i;
};

static void
in_order(void *arg, const struct store_res *res)
{
	struct order_arg *a = arg;
	if (a->i != a->o->last + 1 || res->rc != 0)
		a->o->bad = true;
	a->o->last = a->i;
	a->o->n++;
}

static void
completions_come_by_the_fd(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct store_dom d = store_dom_account(1);
	struct order o = { .last = -1 };
	struct order_arg args[300];
	struct pollfd p = { .fd = store_fd(s), .events = POLLIN };
	for (int i = 0; i < 300; i++) {
		args[i] = (struct order_arg){ &o, i };
		struct store_batch *b = store_batch_new(s, &d);
		store_add(b, STR("n"), 1, 0);
		store_commit(b, STORE_DURABLE, in_order, &args[i]);
		assert_int_equal(o.n, 0); /* never from inside the call */
	}
	while (o.n < 300) {
		assert_int_equal(poll(&p, 1, 10000), 1);
		store_run(s);
	}
	assert_false(o.bad);
	struct store_snap *sn;
	struct str v;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(store_get(sn, STR("n"), &v), 0);
	assert_int_equal(be64_get((const unsigned char *)v.p), 300);
	store_snap_close(sn);
}

static void
applied_and_sync(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct store_dom d = store_dom_account(1);
	struct store_res one = { .rc = 1 }, two = { .rc = 1 };
	struct store_batch *b = store_batch_new(s, &d);
	store_put(b, STR("k"), STR("v"), 0);
	store_commit(b, STORE_APPLIED, kit_take, &one);
	store_sync(s, kit_take, &two);
	assert_int_equal(store_wait(s), 0);
	assert_int_equal(one.rc, 0);
	assert_int_equal(one.ver, 1);
	assert_int_equal(two.rc, 0);
	struct store_stats st;
	store_stats(s, &st);
	assert_true(st.applied_lsn >= st.durable_lsn);
}

/* --- watches --- */

struct seen {
	int n;
	uint64_t ver;
	struct store_watch *free_me;
};

static void
on_change(void *arg, const struct store_dom *d, uint64_t ver)
{
	struct seen *seen = arg;
	seen->n++;
	seen->ver = ver;
	seen->free_me = store_watch_free(seen->free_me);
}

static void
watches_fire(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct store_dom d = store_dom_account(1), other = store_dom_account(2);
	struct seen a = { 0 }, b = { 0 }, c = { 0 }, twice = { 0 };
	kit_put(s, d, "k", "1");
	struct store_watch *wa = store_watch_new(s, &d, 0, on_change, &a); /* behind already */
	struct store_watch *wb = store_watch_new(s, &d, 1, on_change, &b); /* up to date */
	struct store_watch *wc = store_watch_new(s, &other, 0, on_change, &c);
	store_wait(s);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.ver, 1);
	assert_int_equal(b.n, 0);
	twice.free_me = store_watch_new(s, &d, 1, on_change, &twice); /* frees itself */
	kit_put(s, d, "k", "2");
	kit_put(s, d, "k", "3");
	store_run(s);
	assert_int_equal(a.ver, 3);
	assert_int_equal(b.ver, 3);
	assert_int_equal(twice.n, 1);
	assert_null(twice.free_me);
	assert_int_equal(c.n, 0);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 1, .first = 4, .count = 1, .n = 10 }),
	    0);
	struct store_dom m = store_dom_mailbox(4, MAILBOX_INBOX);
	struct seen e = { 0 };
	struct store_watch *we = store_watch_new(s, &m, 1, on_change, &e);
	store_wait(s);
	assert_int_equal(e.n, 0);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 2, .first = 4, .count = 1, .n = 10 }),
	    0);
	store_run(s);
	assert_int_equal(e.ver, 2);
	wa = store_watch_free(wa);
	int before = a.n;
	kit_put(s, d, "k", "4");
	store_run(s);
	assert_int_equal(a.n, before);
	assert_int_equal(b.ver, 4);
	store_watch_free(wb);
	store_watch_free(wc);
	store_watch_free(we);
}

/* --- letters --- */

static void
letters_are_whole(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	static const struct {
		size_t n;
		bool blank, spill;
	} rows[] = {
		{ 0, false, false },
		{ 1, false, false },
		{ 10, true, false },
		{ 4096, false, false },
		{ 4096, true, true },
		{ STORE_INLINE_MAX, false, false },
		{ STORE_INLINE_MAX + 1, false, false },
		{ 3 * STORE_INLINE_MAX, true, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t account = 100 + i;
		struct kit_letter k = { .id = i + 1,
			.first = account,
			.count = 1,
			.n = rows[i].n,
			.blank = rows[i].blank,
			.spill = rows[i].spill };
		assert_int_equal(kit_accept(s, k), 0);
		struct store_dom d = store_dom_mailbox(account, MAILBOX_INBOX);
		struct store_snap *sn;
		struct mailbox_letter l;
		assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
		assert_int_equal(mailbox_find(sn, 1, &l), 0);
		assert_int_equal(l.letter, i + 1);
		assert_int_equal(l.time_ms, KIT_TIME);
		assert_true(kit_whole(s, &l, rows[i].n, rows[i].blank));
		assert_int_equal(mailbox_find(sn, 2, &l), -ENOENT);
		store_snap_close(sn);
		assert_int_equal(kit_letters(s, account, 0, NULL), 1);
	}
	struct store_stats st;
	store_stats(s, &st);
	assert_int_equal(st.bodies_memory, 0);
}

static void
accept_is_idempotent(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct kit_letter k = { .id = 5, .first = 1, .count = 3, .n = 100 };
	struct store_res res[4];
	uint64_t last = 1;
	assert_int_equal(store_accepted(s, 5), 0);
	assert_int_equal(store_last_letter(s, &last), 0);
	assert_int_equal(last, 0);
	for (size_t i = 0; i < 4; i++) /* all in one group, as far as may be */
		kit_accept_async(s, k, kit_take, &res[i]);
	store_wait(s);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(res[i].rc, 0);
	k.n = STORE_INLINE_MAX * 2;
	assert_int_equal(kit_accept(s, k), 0);
	for (uint64_t a = 1; a <= 3; a++)
		assert_int_equal(kit_letters(s, a, 100, NULL), 1);
	assert_int_equal(store_accepted(s, 5), 1);
	assert_int_equal(store_accepted(s, 6), 0);
	assert_int_equal(store_last_letter(s, &last), 0);
	assert_int_equal(last, 5);
}

static void
many_recipients(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 1, .first = 1, .count = 1500, .n = 500 }),
	    0);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 2, .first = 1, .count = 1500, .n = 500 }),
	    0);
	for (uint64_t a = 1; a <= 1500; a += 99)
		assert_int_equal(kit_letters(s, a, 500, NULL), 2);
	assert_int_equal(kit_letters(s, 1501, 500, NULL), 0);
	struct store_stats st;
	store_stats(s, &st);
	assert_int_equal(st.group_letters, 2);
}

static void
bodies_can_be_dropped(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	char *p = xalloc(STORE_INLINE_MAX);
	struct store_body *small = store_body_new(s, 1), *large = store_body_new(s, 2);
	struct store_stats st;
	assert_int_equal(store_body_write(small, str_n(p, 1000)), 0);
	assert_int_equal(store_body_memory(small), 1000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(store_body_write(large, str_n(p, STORE_INLINE_MAX)), 0);
	store_stats(s, &st);
	assert_true(st.bodies_memory >= 1000);
	assert_null(store_body_free(small));
	assert_null(store_body_free(large));
	assert_null(store_body_free(NULL));
	store_stats(s, &st);
	assert_int_equal(st.bodies_memory, 0);
	free(p);
}

static void
bad_letters_are_refused(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	char *text = xalloc(1u << 17);
	memset(text, 'x', 1u << 17);
	struct store_rcpt rcpt = { 1, 1, STR("P"), STR("r") };
	struct store_letter good = { .letter = 1, .rcpt = &rcpt, .n_rcpt = 1 };
	struct store_letter bad[4] = { good, good, good, good };
	struct store_rcpt long_rcpt = { 1, 1, STR("P"), str_n(text, 1u << 17) };
	bad[0].trace = str_n(text, 1u << 17);
	bad[1].header_len = 6;
	bad[2].rcpt = &long_rcpt;
	bad[3].qid = str_n(text, 1u << 17);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct store_res res = { .rc = 1 };
		struct store_body *b = store_body_new(s, 1);
		assert_int_equal(store_body_write(b, STR("12345")), 0);
		store_accept(s, b, &bad[i], kit_take, &res);
		store_wait(s);
		assert_int_equal(res.rc, -E2BIG);
	}
	assert_int_equal(store_accepted(s, 1), 0);
	free(text);
}

static void
long_recipients_stay_apart(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	char a[600], b[600];
	memset(a, 'r', sizeof(a));
	memset(b, 'r', sizeof(b));
	b[sizeof(b) - 1] = 's';
	struct store_rcpt rcpt[3] = { { 1, 1, STR("P"), str_n(a, sizeof(a)) },
		{ 1, 1, STR("P"), str_n(b, sizeof(b)) }, { 1, 1, STR("P"), str_n(a, sizeof(a)) } };
	struct store_letter l = { .letter = 1, .rcpt = rcpt, .n_rcpt = 3 };
	struct store_res res = { .rc = 1 };
	store_accept(s, store_body_new(s, 1), &l, kit_take, &res);
	store_wait(s);
	assert_int_equal(res.rc, 0);
	assert_int_equal(kit_letters(s, 1, 0, NULL), 2);
}

/* --- accounts --- */

static bool
name_into(void *arg, uint32_t mailbox, struct str name)
{
	struct listed *l = arg;
	size_t n = strlen(l->text);
	snprintf(l->text + n, sizeof(l->text) - n, "%u " STR_FMT ",", mailbox, STR_ARG(name));
	return true;
}

static void
accounts(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct store_res r = { .rc = 1 };
	struct store_dom g = store_dom_directory();
	account_create(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	uint64_t alice = r.slot[0];
	account_create(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, -EEXIST);
	account_create(s, STR("bob@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	assert_int_not_equal(r.slot[0], alice);

	struct store_dom a = store_dom_account(alice), b = store_dom_mailbox(alice, MAILBOX_INBOX);
	struct store_snap *sn;
	struct listed l = { 0 };
	struct mailbox_head h;
	assert_int_equal(store_snap_open(s, &a, &sn, NULL), 0);
	assert_int_equal(mailbox_list(sn, name_into, &l), 0);
	assert_string_equal(l.text, "1 INBOX,");
	store_snap_close(sn);
	assert_int_equal(store_snap_open(s, &b, &sn, NULL), 0);
	assert_int_equal(mailbox_head_read(sn, &h), 0);
	assert_true(h.uidvalidity != 0 && h.uidnext == 1 && h.messages == 0);
	store_snap_close(sn);
	for (uint64_t i = 1; i <= 800; i++)
		kit_accept_async(s,
		    (struct kit_letter){ .id = i, .first = alice, .count = 2, .n = 50 }, NULL,
		    NULL);
	store_wait(s);
	assert_int_equal(kit_letters(s, alice, 50, NULL), 800);

	account_remove(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	assert_string_equal(kit_get(s, g, "u|alice@example.com"), "-");
	assert_int_equal(kit_letters(s, alice, 0, NULL), 0);
	assert_int_equal(kit_letters(s, alice + 1, 50, NULL), 800);
	account_remove(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, -ENOENT);
	account_sweep(s, kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	/* The number is not given out again. */
	account_create(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	assert_true(r.slot[0] > alice + 1);
	account_create(s, STR(""), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, -EINVAL);
}

static void
sweep_finishes_a_removal(void **state)
{
	struct store *s = ((struct lab *)*state)->s;
	struct store_dom g = store_dom_directory();
	struct store_res r = { .rc = 1 };
	for (uint64_t i = 1; i <= 10; i++)
		kit_accept(s, (struct kit_letter){ .id = i, .first = 7, .count = 1, .n = 50 });
	/* As account_remove() leaves it when the process dies after its first step. */
	struct store_batch *b = store_batch_new(s, &g);
	store_put(b, str_n("x|\0\0\0\0\0\0\0\7", 10), str_n("\0", 1), 0);
	assert_int_equal(kit_commit(s, b).rc, 0);
	account_sweep(s, kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	assert_int_equal(kit_letters(s, 7, 0, NULL), 0);
}

static void
uris(void **state)
{
	static const char *const bad[] = { "", "file:/x", "emb", "emb:/dev/null/x", "rados:x" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct store *s = NULL;
		struct buf err = BUF_INIT(4096);
		struct store_options o = kit_options();
		assert_true(store_open(&s, bad[i], &o, &err) < 0);
		assert_null(s);
		assert_true(err.len > 0);
		buf_done(&err);
	}
	assert_null(store_close(NULL));
}

#define BOTH(f)                                                                                    \
	{ #f " (mem)", f, set_up_mem, tear_down, NULL },                                           \
	{                                                                                          \
#f " (emb)", f, set_up_emb, tear_down, NULL                                        \
	}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(versions_rise_by_one),
		BOTH(conflicts_write_nothing),
		BOTH(sums_and_slots),
		BOTH(limits_are_refused_whole),
		BOTH(scans_in_order),
		BOTH(snapshots_stand_still),
		BOTH(completions_come_by_the_fd),
		BOTH(applied_and_sync),
		BOTH(watches_fire),
		BOTH(letters_are_whole),
		BOTH(accept_is_idempotent),
		BOTH(many_recipients),
		BOTH(bodies_can_be_dropped),
		BOTH(bad_letters_are_refused),
		BOTH(long_recipients_stay_apart),
		BOTH(accounts),
		BOTH(sweep_finishes_a_removal),
		cmocka_unit_test(uris),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
