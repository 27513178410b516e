/* Outlines as the index has them: put and removed at random, in many writes, and told one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/bundle.h"
#include "store/resolve.h"
#include "store_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define UIDS 400
#define WRITES 60
#define MAP (64u << 20)

static char text[9000];

struct model {
	size_t len[UIDS + 1]; /* 0: there is none */
	char first[UIDS + 1];
};

struct lab {
	char *dir;
	int at;
	struct index ix;
	struct index_meta meta;
	struct model m;
};

static void
setup(struct lab *l)
{
	char path[200];
	*l = (struct lab){ .dir = kit_dir(), .meta = { .format = INDEX_FORMAT } };
	assert_int_equal(mkdir(l->dir, 0700), 0);
	l->at = open(l->dir, O_RDONLY | O_DIRECTORY);
	assert_true(l->at >= 0);
	assert_int_equal(index_create(l->at, l->dir, MAP, &l->meta), 0);
	snprintf(path, sizeof(path), "%s/index", l->dir);
	assert_int_equal(index_open(&l->ix, path, MAP, false, &l->meta), 0);
}

static void
teardown(struct lab *l)
{
	index_close(&l->ix);
	close(l->at);
	kit_dir_done(l->dir);
}

/* Others stand on both sides of them. */
static void
put_neighbours(struct lab *l, struct index_write *w)
{
	for (uint32_t box = 1; box <= 3; box++) {
		struct store_dom d = store_dom_mailbox(7, box);
		assert_int_equal(index_put(w, d.b, STR("D|x"), STR("d")), 0);
		assert_int_equal(index_put(w, d.b, STR("H"), STR("h")), 0);
	}
	(void)l;
}

static struct str
some_text(struct model *m, uint32_t uid)
{
	size_t n =
	    rand() % 20 == 0 ? 1 + (size_t)rand() % (sizeof(text) - 1) : 1 + (size_t)rand() % 900;
	m->first[uid] = (char)('a' + rand() % 26);
	m->len[uid] = n;
	text[0] = m->first[uid];
	return str_n(text, n);
}

static void
write_some(struct lab *l, const struct store_dom *d, uint32_t *next)
{
	struct index_write w;
	struct bundle b = { 0 };
	assert_int_equal(index_begin(&l->ix, &w), 0);
	put_neighbours(l, &w);
	for (int i = rand() % 40; i >= 0; i--) {
		bool fresh = rand() % 3 && *next <= UIDS;
		uint32_t uid = fresh ? (*next)++ : 1 + (uint32_t)rand() % UIDS;
		int r;
		if (fresh || rand() % 2) {
			r = bundle_put(&w, &b, d, uid, some_text(&l->m, uid));
		} else {
			l->m.len[uid] = 0;
			r = bundle_del(&w, &b, d, uid);
		}
		assert_int_equal(r, 0);
	}
	assert_int_equal(bundle_flush(&w, &b, d), 0);
	buf_done(&b.octets);
	assert_int_equal(index_commit(&w, &l->meta), 0);
}

struct seen {
	const struct model *m;
	uint32_t uids[UIDS + 1];
	size_t n;
};

static bool
see(void *arg, struct str key, struct str value)
{
	struct seen *s = arg;
	if (key.len != 6 || key.p[0] != 'E')
		return true;
	uint32_t uid = be32_get((const unsigned char *)key.p + 2);
	assert_in_range(uid, 1, UIDS);
	assert_int_equal(value.len, s->m->len[uid]);
	assert_int_equal(value.p[0], s->m->first[uid]);
	s->uids[s->n++] = uid;
	return true;
}

/* From `first` up to `last`, at most limit; what a scan tells is what there is. */
static void
check_scan(struct lab *l, MDB_txn *txn, const struct store_dom *d, uint32_t first, uint32_t last,
    uint32_t limit, bool reverse)
{
	struct seen s = { .m = &l->m };
	char from[6], to[6];
	struct str low = str_n(from, outline_key(from, first));
	struct str high = str_n(to, outline_key(to, last + 1));
	assert_int_equal(index_scan(&l->ix, txn, d, low, high, limit, reverse, see, &s), 0);
	size_t n = 0;
	for (uint32_t k = 0; k <= last - first && (!limit || n < limit); k++) {
		uint32_t uid = reverse ? last - k : first + k;
		if (l->m.len[uid])
			assert_int_equal(s.uids[n++], uid);
	}
	assert_int_equal(s.n, n);
}

static void
check_all(struct lab *l, const struct store_dom *d)
{
	MDB_txn *txn;
	struct str v;
	char key[6];
	assert_int_equal(mdb_txn_begin(l->ix.env, NULL, MDB_RDONLY, &txn), 0);
	for (uint32_t uid = 1; uid <= UIDS; uid++) {
		int r = index_get(&l->ix, txn, d, str_n(key, outline_key(key, uid)), &v);
		assert_int_equal(r, l->m.len[uid] ? 0 : -ENOENT);
		if (r == 0)
			assert_int_equal(v.len, l->m.len[uid]);
	}
	for (int i = 0; i < 20; i++) {
		uint32_t a = 1 + (uint32_t)rand() % UIDS, b = 1 + (uint32_t)rand() % UIDS;
		check_scan(l, txn, d, MIN(a, b), MAX(a, b), (uint32_t)(rand() % 4 * 5), i & 1);
	}
	struct seen s = { .m = &l->m };
	size_t n = 0;
	assert_int_equal(index_scan(&l->ix, txn, d, STR_NULL, STR_NULL, 0, false, see, &s), 0);
	for (uint32_t uid = 1; uid <= UIDS; uid++)
		n += l->m.len[uid] > 0;
	assert_int_equal(s.n, n);
	mdb_txn_abort(txn);
}

static void
at_random(void **state)
{
	const struct store_dom d = store_dom_mailbox(7, 2);
	struct lab l;
	(void)state;
	for (unsigned seed = 1; seed <= 8; seed++) {
		uint32_t next = 1;
		srand(seed);
		setup(&l);
		for (int i = 0; i < WRITES; i++) {
			write_some(&l, &d, &next);
			check_all(&l, &d);
		}
		teardown(&l);
	}
}

/* In the order in which letters come, they fill whole pages. */
static void
in_order(void **state)
{
	const struct store_dom d = store_dom_mailbox(7, 2);
	struct lab l;
	struct index_write w;
	struct bundle b = { 0 };
	MDB_txn *txn;
	MDB_stat st;
	(void)state;
	setup(&l);
	assert_int_equal(index_begin(&l.ix, &w), 0);
	put_neighbours(&l, &w);
	for (uint32_t uid = 1; uid <= 4000; uid++)
		assert_int_equal(bundle_put(&w, &b, &d, uid, str_n(text, 577)), 0);
	assert_int_equal(bundle_flush(&w, &b, &d), 0);
	buf_done(&b.octets);
	assert_int_equal(index_commit(&w, &l.meta), 0);
	assert_int_equal(mdb_txn_begin(l.ix.env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_stat(txn, l.ix.dbi, &st), 0);
	mdb_txn_abort(txn);
	assert_in_range((st.ms_leaf_pages + st.ms_overflow_pages) * st.ms_psize, 4000 * 577,
	    4000 * 640);
	teardown(&l);
}

/* A client that reads its letters from the newest to the oldest: none grows without end. */
static void
from_behind(void **state)
{
	const struct store_dom d = store_dom_mailbox(7, 2);
	struct lab l;
	struct index_write w;
	struct bundle b = { 0 };
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k, v;
	size_t n = 0;
	(void)state;
	setup(&l);
	assert_int_equal(index_begin(&l.ix, &w), 0);
	assert_int_equal(bundle_put(&w, &b, &d, 1, str_n(text, 577)), 0);
	for (uint32_t uid = 3000; uid > 1; uid--)
		assert_int_equal(bundle_put(&w, &b, &d, uid, str_n(text, 577)), 0);
	assert_int_equal(bundle_flush(&w, &b, &d), 0);
	buf_done(&b.octets);
	assert_int_equal(index_commit(&w, &l.meta), 0);
	assert_int_equal(mdb_txn_begin(l.ix.env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_cursor_open(txn, l.ix.dbi, &c), 0);
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		struct wire one = wire_of(str_n(v.mv_data, v.mv_size));
		struct str outline;
		assert_in_range(v.mv_size, 1, BUNDLE_MAX);
		for (uint32_t uid;
		     k.mv_size == 16 + BUNDLE_KEY_LEN && bundle_next(&one, &uid, &outline);)
			n++;
	}
	assert_int_equal(n, 3000);
	mdb_cursor_close(c);
	mdb_txn_abort(txn);
	teardown(&l);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_behind),
		cmocka_unit_test(at_random),
		cmocka_unit_test(in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
