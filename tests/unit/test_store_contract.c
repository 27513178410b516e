/* What every engine promises, asked of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "store_kit.h"

#include <errno.h>

static void
versions_rise_by_one(void **state)
{
	struct store *s = kit_store(state);
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
	struct store *s = kit_store(state);
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
	struct store *s = kit_store(state);
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
	struct store *s = kit_store(state);
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
	struct store *s = kit_store(state);
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
	struct store *s = kit_store(state);
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

static void
applied_and_sync(void **state)
{
	struct store *s = kit_store(state);
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

/* --- mistakes and order --- */

/* Everything a domain holds, with its version. */
static bool
add_text(void *arg, struct str key, struct str value)
{
	struct buf *b = arg;
	buf_putf(b, "%zu ", key.len);
	buf_puts(b, key);
	buf_putf(b, " %zu ", value.len);
	buf_puts(b, value);
	return true;
}

static struct buf
contents(struct store_snap *sn, uint64_t ver, bool reverse)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	buf_putf(&b, "%llu\n", (unsigned long long)ver);
	check(store_scan(sn, STR_NULL, STR_NULL, 0, reverse, add_text, &b) == 0);
	return b;
}

static struct buf
contents_now(struct store *s, const struct store_dom *d)
{
	struct store_snap *sn;
	uint64_t ver;
	check(store_snap_open(s, d, &sn, &ver) == 0);
	struct buf b = contents(sn, ver, false);
	store_snap_close(sn);
	return b;
}

/* Whatever is wrong with a batch, it changes nothing; the first mistake is the one told. */
static void
key_empty(struct store_batch *b)
{
	store_put(b, STR(""), STR("v"), 0);
}
static void
expect_other(struct store_batch *b)
{
	store_expect(b, STR("a"), STR("other"));
}
static void
expect_none(struct store_batch *b)
{
	store_expect(b, STR("a"), STR_NULL);
}
static void
expect_some(struct store_batch *b)
{
	store_expect(b, STR("nothing"), STR("v"));
}
static void
expect_empty(struct store_batch *b)
{
	store_expect(b, STR("nothing"), STR(""));
}
static void
expect_longer(struct store_batch *b)
{
	store_expect(b, STR("a"), STR("11"));
}
static void
expect_many(struct store_batch *b)
{
	store_expect(b, STR("a"), STR("1"));
	store_expect(b, STR("e"), STR(""));
	store_expect(b, STR("nothing"), STR_NULL);
	store_expect(b, STR("a"), STR("2"));
}
static void
short_sum(struct store_batch *b)
{
	store_add(b, STR("a"), 1, 0);
}
static void
slot_high(struct store_batch *b)
{
	store_add(b, STR("n"), 1, STORE_SLOTS);
}
static void
slots_high(struct store_batch *b)
{
	store_put(b, STR("k"), STR("v"), 1u << STORE_SLOTS);
}
static void
key_long(struct store_batch *b)
{
	char key[STORE_KEY_MAX + 1];
	memset(key, 'k', sizeof(key));
	store_expect(b, str_n(key, sizeof(key)), STR_NULL);
}
static void
two_mistakes(struct store_batch *b)
{
	key_long(b);
	key_empty(b);
}
static void
many_ops(struct store_batch *b)
{
	for (uint32_t i = 0; i < STORE_BATCH_OPS_MAX; i++)
		store_put(b, STR("k"), STR("v"), 0);
}
static void
many_octets(struct store_batch *b)
{
	char *big = xalloc(STORE_VALUE_MAX);
	for (uint32_t i = 0; i < 100; i++)
		store_put(b, STR("k"), str_n(big, STORE_VALUE_MAX), 0);
	free(big);
}
static void
many_sums(struct store_batch *b)
{
	for (unsigned i = 0; i < 100; i++) {
		char key[16];
		snprintf(key, sizeof(key), "sum%u", i);
		store_add(b, str_of(key), 1, -1);
	}
}

static void
mistakes_change_nothing(void **state)
{
	static const struct {
		void (*make)(struct store_batch *b);
		int rc;
	} rows[] = {
		{ key_empty, -EINVAL },
		{ expect_other, -EAGAIN },
		{ expect_none, -EAGAIN },
		{ expect_some, -EAGAIN },
		{ expect_empty, -EAGAIN },
		{ expect_longer, -EAGAIN },
		{ expect_many, -EAGAIN },
		{ short_sum, -EINVAL },
		{ slot_high, -EINVAL },
		{ slots_high, -EINVAL },
		{ key_long, -E2BIG },
		{ two_mistakes, -E2BIG },
		{ many_ops, -E2BIG },
		{ many_octets, -E2BIG },
		{ many_sums, -E2BIG },
	};
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_account(1);
	kit_put(s, d, "a", "1");
	kit_put(s, d, "e", "");
	kit_put(s, d, "n", "12345678");
	struct buf before = contents_now(s, &d);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int last = 0; last < 2; last++) {
			struct store_batch *b = store_batch_new(s, &d);
			if (last)
				rows[i].make(b);
			store_put(b, STR("a"), STR("changed"), 0);
			store_del(b, STR("e"));
			store_add(b, STR("n"), 1, 0);
			store_put(b, STR("new"), STR("v"), 0);
			if (!last)
				rows[i].make(b);
			assert_int_equal(kit_commit(s, b).rc, rows[i].rc);
			struct buf after = contents_now(s, &d);
			assert_true(str_eq(buf_str(&before), buf_str(&after)));
			buf_done(&after);
		}
	buf_done(&before);
	/* The domain is as good as before, and its next version is the next. */
	assert_int_equal(kit_put(s, d, "a", "2").ver, 4);
	/* Not committed: forgotten. */
	struct store_batch *b = store_batch_new(s, &d);
	store_put(b, STR("a"), STR("never"), 0);
	assert_null(store_batch_free(b));
	assert_string_equal(kit_get(s, d, "a"), "2");
}

static void
expectations_come_first(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_account(1);
	kit_put(s, d, "a", "1");
	kit_put(s, d, "gone", "1");
	/* What the batch itself writes is not looked at, wherever it stands. */
	struct store_batch *b = store_batch_new(s, &d);
	store_put(b, STR("a"), STR("2"), 0);
	store_put(b, STR("new"), STR("x"), 0);
	store_del(b, STR("gone"));
	store_expect(b, STR("a"), STR("1"));
	store_expect(b, STR("new"), STR_NULL);
	store_expect(b, STR("gone"), STR("1"));
	assert_int_equal(kit_commit(s, b).rc, 0);
	/* Puts and deletes in the order given, behind the sums. */
	b = store_batch_new(s, &d);
	store_put(b, STR("x"), STR("1"), 0);
	store_del(b, STR("x"));
	store_del(b, STR("y"));
	store_put(b, STR("y"), STR("2"), 0);
	store_put(b, STR("z"), STR("1"), 0);
	store_put(b, STR("z"), STR("2"), 0);
	store_put(b, STR("sum"), STR("replaced"), 0);
	store_add(b, STR("sum"), 5, 0);
	struct store_res r = kit_commit(s, b);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.slot[0], 5);
	assert_string_equal(kit_get(s, d, "x"), "-");
	assert_string_equal(kit_get(s, d, "y"), "2");
	assert_string_equal(kit_get(s, d, "z"), "2");
	assert_string_equal(kit_get(s, d, "sum"), "replaced");
	/* An empty value is a value, and an empty batch a batch. */
	b = store_batch_new(s, &d);
	store_put(b, STR("e"), STR(""), 0);
	assert_int_equal(kit_commit(s, b).rc, 0);
	b = store_batch_new(s, &d);
	store_expect(b, STR("e"), STR(""));
	assert_int_equal(kit_commit(s, b).rc, 0);
	r = kit_commit(s, store_batch_new(s, &d));
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.ver, 7);
}

/* Only the bits named are filled, the first marker of each, in key and value. */
static void
slots_where_asked(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_account(1);
	unsigned char m[STORE_SLOTS][8], want[24];
	for (unsigned i = 0; i < STORE_SLOTS; i++)
		store_slot_marker(m[i], i);
	struct buf v = BUF_INIT(1000);
	buf_put(&v, m[0], 8);
	buf_put(&v, m[15], 8);
	buf_put(&v, m[0], 8);
	struct store_batch *b = store_batch_new(s, &d);
	store_put(b, STR("none"), buf_str(&v), 0);
	store_put(b, STR("0"), buf_str(&v), 1u << 0);
	store_put(b, STR("15"), buf_str(&v), 1u << 15);
	store_put(b, str_n(m[15], 8), STR("k"), 1u << 15 | 1u << 3);
	store_add(b, STR("a"), 7, 0);
	store_add(b, STR("b"), -1, 15);
	store_add(b, STR("c"), INT64_MIN, -1);
	struct store_res r = kit_commit(s, b);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.slot[0], 7);
	assert_int_equal(r.slot[15], UINT64_MAX);
	struct store_snap *sn;
	struct str got;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(store_get(sn, STR("none"), &got), 0);
	assert_true(str_eq(got, buf_str(&v)));
	for (int i = 0; i < 2; i++) {
		memcpy(want, v.p, sizeof(want));
		be64_put(want + 8 * (size_t)i, r.slot[i ? 15 : 0]);
		assert_int_equal(store_get(sn, i ? STR("15") : STR("0"), &got), 0);
		assert_memory_equal(got.p, want, sizeof(want));
	}
	be64_put(want, UINT64_MAX);
	assert_int_equal(store_get(sn, str_n(want, 8), &got), 0);
	assert_int_equal(store_get(sn, str_n(m[15], 8), &got), -ENOENT);
	store_snap_close(sn);
	buf_done(&v);
}

static void
domains_are_apart(void **state)
{
	struct store *s = kit_store(state);
	const struct store_dom doms[] = { store_dom_directory(), store_dom_account(0),
		store_dom_account(1), store_dom_account(UINT64_MAX), store_dom_mailbox(0, 0),
		store_dom_mailbox(1, 0), store_dom_mailbox(1, 1), store_dom_mailbox(1, UINT32_MAX),
		store_dom_mailbox(UINT64_MAX, 1), store_dom_queue(0), store_dom_queue(1) };
	static const char *const keys[] = { "\x01", "k", "\xff\xff", "zz" };
	for (size_t i = 0; i < ARRAY_LEN(doms); i++)
		for (size_t n = 0; n <= i; n++) {
			char text[16];
			snprintf(text, sizeof(text), "%zu", i);
			for (size_t k = 0; k < ARRAY_LEN(keys); k++)
				kit_put(s, doms[i], keys[k], text);
		}
	for (size_t i = 0; i < ARRAY_LEN(doms); i++) {
		struct store_snap *sn;
		struct str v;
		uint64_t ver;
		char text[16];
		struct listed l = { 0 };
		snprintf(text, sizeof(text), "%zu", i);
		assert_int_equal(store_snap_open(s, &doms[i], &sn, &ver), 0);
		assert_int_equal(ver, 4 * (i + 1));
		assert_int_equal(store_scan(sn, STR_NULL, STR_NULL, 0, true, list_one, &l), 0);
		assert_string_equal(l.text, "\xff\xff,zz,k,\x01,");
		assert_int_equal(store_get(sn, STR("k"), &v), 0);
		assert_true(str_eq(v, str_of(text)));
		/* Keys that cannot be are nowhere. */
		assert_int_equal(store_get(sn, STR(""), &v), -ENOENT);
		store_snap_close(sn);
	}
}

/* --- snapshots in scans --- */

static void
a_snapshot_is_one_version(void **state)
{
	static const struct {
		const char *from, *to;
		uint32_t limit;
		bool reverse;
	} rows[] = {
		{ NULL, NULL, 0, false },
		{ NULL, NULL, 0, true },
		{ "k010", "k090", 0, false },
		{ "k010", "k090", 0, true },
		{ "k020", NULL, 7, false },
		{ NULL, "k050", 7, true },
		{ "k0205", "k0305", 3, true },
	};
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_account(1);
	for (unsigned i = 0; i < 100; i += 2) {
		char key[8];
		snprintf(key, sizeof(key), "k%03u", i);
		kit_put(s, d, key, "old");
	}
	struct store_snap *old, *new;
	uint64_t ver;
	struct buf before[ARRAY_LEN(rows)], after;
	assert_int_equal(store_snap_open(s, &d, &old, &ver), 0);
	assert_int_equal(ver, 50);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		before[i] = BUF_INIT(1u << 20);
		assert_int_equal(store_scan(old, str_of(rows[i].from), str_of(rows[i].to),
				     rows[i].limit, rows[i].reverse, add_text, &before[i]),
		    0);
		assert_true(before[i].len > 0);
	}
	/* Every key changes, half of them go, as many come. */
	struct store_batch *b = store_batch_new(s, &d);
	for (unsigned i = 0; i < 100; i++) {
		char key[8];
		snprintf(key, sizeof(key), "k%03u", i);
		if (i % 4 == 0)
			store_del(b, str_of(key));
		else
			store_put(b, str_of(key), STR("new"), 0);
	}
	struct store_res r = { .rc = 1 };
	store_commit(b, STORE_APPLIED, kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		after = BUF_INIT(1u << 20);
		assert_int_equal(store_scan(old, str_of(rows[i].from), str_of(rows[i].to),
				     rows[i].limit, rows[i].reverse, add_text, &after),
		    0);
		assert_true(str_eq(buf_str(&before[i]), buf_str(&after)));
		buf_done(&after);
		buf_done(&before[i]);
	}
	struct str v;
	assert_int_equal(store_get(old, STR("k000"), &v), 0);
	assert_true(str_eq(v, STR("old")));
	assert_int_equal(store_get(old, STR("k001"), &v), -ENOENT);
	assert_int_equal(store_snap_open(s, &d, &new, &ver), 0);
	assert_int_equal(ver, 51);
	assert_int_equal(store_get(new, STR("k000"), &v), -ENOENT);
	assert_int_equal(store_get(new, STR("k001"), &v), 0);
	assert_true(str_eq(v, STR("new")));
	store_snap_close(old);
	assert_int_equal(store_get(new, STR("k099"), &v), 0);
	store_snap_close(new);
}

static void
applied_is_seen(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_account(1);
	for (int i = 0; i < 20; i++) {
		struct store_res one = { .rc = 1 }, two = { .rc = 1 };
		struct store_stats st;
		struct store_batch *b = store_batch_new(s, &d);
		store_put(b, STR("k"), STR("v"), 0);
		store_commit(b, STORE_DURABLE, kit_take, &one);
		store_wait(s);
		assert_int_equal(one.rc, 0);
		b = store_batch_new(s, &d);
		store_put(b, STR("k"), STR("w"), 0);
		store_commit(b, STORE_APPLIED, kit_take, &two);
		store_wait(s);
		assert_int_equal(two.rc, 0);
		/* No snapshot has asked for it, and yet it is there. */
		store_stats(s, &st);
		assert_int_equal(st.applied_lsn, st.durable_lsn);
		/* A conflict is not waited for, and is told at that level too. */
		b = store_batch_new(s, &d);
		store_expect(b, STR("k"), STR("v"));
		store_commit(b, STORE_APPLIED, kit_take, &two);
		store_wait(s);
		assert_int_equal(two.rc, -EAGAIN);
	}
}

/* --- a store that is only read --- */

static void
no_watch(void *arg, const struct store_dom *d, uint64_t ver)
{
}

static void
readers_write_nothing(void **state)
{
	struct kit_lab *l = *state;
	struct store_options o = kit_options();
	struct store_dom d = store_dom_account(1);
	struct kit_letter k = { .id = 2, .first = 1, .count = 1, .n = 10 };
	char uri[4200];
	kit_put(l->s, d, "k", "v");
	assert_int_equal(kit_accept(l->s, (struct kit_letter){ .id = 1, .first = 1, .count = 1 }),
	    0);
	o.read_only = true;
	snprintf(uri, sizeof(uri), "emb:%s", l->dir);
	store_wait(l->s);
	l->s = store_close(l->s);
	struct store *reader = l->s = kit_open_with(uri, o);
	assert_non_null(reader);
	assert_int_equal(kit_put(reader, d, "k", "w").rc, -EROFS);
	assert_int_equal(kit_accept(reader, k), -EROFS);
	errno = 0;
	assert_null(store_watch_new(reader, &d, 0, no_watch, NULL));
	assert_int_equal(errno, ENOTSUP);
	struct store_res r = { .rc = 1 };
	store_sync(reader, kit_take, &r);
	store_wait(reader);
	assert_int_equal(r.rc, 0);
	assert_string_equal(kit_get(reader, d, "k"), "v");
	assert_int_equal(kit_letters(reader, 1, 0, NULL), 1);
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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		KIT_BOTH(versions_rise_by_one),
		KIT_BOTH(conflicts_write_nothing),
		KIT_BOTH(sums_and_slots),
		KIT_BOTH(limits_are_refused_whole),
		KIT_BOTH(scans_in_order),
		KIT_BOTH(snapshots_stand_still),
		KIT_BOTH(applied_and_sync),
		KIT_BOTH(mistakes_change_nothing),
		KIT_BOTH(expectations_come_first),
		KIT_BOTH(slots_where_asked),
		KIT_BOTH(domains_are_apart),
		KIT_BOTH(a_snapshot_is_one_version),
		KIT_BOTH(applied_is_seen),
		cmocka_unit_test_setup_teardown(readers_write_nothing, kit_set_up_emb,
		    kit_tear_down),
		cmocka_unit_test(uris),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
