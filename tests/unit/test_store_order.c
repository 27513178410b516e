/* What every engine promises of commits that are under way together: their order, who hears of
 * them, and the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "store_kit.h"

#include <errno.h>
#include <poll.h>

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
	struct store *s = kit_store(state);
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

/* --- many at once --- */

#define LANES 5
#define WINDOW 8
#define PER_LANE 200

struct lane {
	struct store *s;
	struct store_dom d;
	uint64_t sent, done, sum;
	bool bad;
};

static void lane_send(struct lane *l);

static void
lane_done(void *arg, const struct store_res *res)
{
	struct lane *l = arg;
	l->done++;
	l->sum += l->done; /* batch n adds n */
	if (res->rc != 0 || res->ver != l->done || res->slot[1] != l->sum)
		l->bad = true;
	if (l->sent < PER_LANE)
		lane_send(l);
}

static void
lane_send(struct lane *l)
{
	unsigned char marker[8];
	struct store_batch *b = store_batch_new(l->s, &l->d);
	store_slot_marker(marker, 1);
	l->sent++;
	store_add(b, STR("sum"), (int64_t)l->sent, 1);
	store_put(b, STR("copy"), str_n(marker, 8), 1u << 1);
	store_commit(b, l->sent % 3 ? STORE_DURABLE : STORE_APPLIED, lane_done, l);
}

/* One snapshot is one version: copy and sum agree, and the version tells which it is. */
static void
look_into(struct lane *l)
{
	struct store_snap *sn;
	struct str sum, copy;
	uint64_t ver;
	assert_int_equal(store_snap_open(l->s, &l->d, &sn, &ver), 0);
	assert_true(ver <= l->sent && ver >= l->done);
	if (ver) {
		assert_int_equal(store_get(sn, STR("sum"), &sum), 0);
		assert_int_equal(store_get(sn, STR("copy"), &copy), 0);
		assert_int_equal(be64_get((const unsigned char *)sum.p), ver * (ver + 1) / 2);
		assert_true(str_eq(sum, copy));
	}
	store_snap_close(sn);
}

/* With completions at level DURABLE in the order of the commits, per domain. */
static void
commits_are_in_line(void **state)
{
	struct lane lanes[LANES];
	struct pollfd p = { .fd = store_fd(kit_store(state)), .events = POLLIN };
	for (uint64_t i = 0; i < LANES; i++) {
		lanes[i] = (struct lane){ .s = kit_store(state), .d = store_dom_account(i) };
		for (int k = 0; k < WINDOW; k++)
			lane_send(&lanes[i]);
	}
	for (bool open = true; open;) {
		assert_int_equal(poll(&p, 1, 60000), 1);
		store_run(kit_store(state));
		open = false;
		for (size_t i = 0; i < LANES; i++) {
			look_into(&lanes[i]);
			open = open || lanes[i].done < PER_LANE;
		}
	}
	for (size_t i = 0; i < LANES; i++)
		assert_int_equal(lanes[i].done, PER_LANE);
}

/* Of those who expect the same value one wins, whatever is under way together. */
static void
one_winner(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_account(1);
	char was[16] = "0";
	kit_put(s, d, "k", was);
	for (unsigned round = 1; round <= 20; round++) {
		struct store_res r[WINDOW];
		char to[16];
		snprintf(to, sizeof(to), "%u", round);
		for (size_t i = 0; i < WINDOW; i++) {
			struct store_batch *b = store_batch_new(s, &d);
			store_expect(b, STR("k"), str_of(was));
			store_put(b, STR("k"), str_of(to), 0);
			store_commit(b, STORE_DURABLE, kit_take, &r[i]);
		}
		store_wait(s);
		assert_int_equal(r[0].rc, 0);
		assert_int_equal(r[0].ver, round + 1);
		for (size_t i = 1; i < WINDOW; i++)
			assert_int_equal(r[i].rc, -EAGAIN);
		memcpy(was, to, sizeof(was));
	}
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
	struct store *s = kit_store(state);
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

struct follower {
	uint64_t last;
	int n;
	bool back;
};

static void
follow(void *arg, const struct store_dom *d, uint64_t ver)
{
	struct follower *f = arg;
	f->back = f->back || ver <= f->last;
	f->last = ver;
	f->n++;
}

static void
commit_one(struct store *s, const struct store_dom *d)
{
	struct store_batch *b = store_batch_new(s, d);
	store_add(b, STR("n"), 1, 0);
	store_commit(b, STORE_DURABLE, NULL, NULL);
}

/* Registered before, among and behind the commits, from any version on: each hears of the
 * last. */
static void
watches_miss_nothing(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_mailbox(1, 1), other = store_dom_mailbox(1, 2);
	for (unsigned round = 0; round < 40; round++) {
		struct follower f[10] = { 0 };
		struct store_watch *w[10];
		uint64_t begin = 8ull * round;
		for (uint64_t i = 0; i < 10; i++) {
			f[i].last = begin + (i > round % 8 ? MIN(i - 1, 7) : 0);
			/* A new watch makes the others hear again; not always behind the last. */
			bool late = i == 9 && round % 2;
			w[i] = late ? NULL : store_watch_new(s, &d, f[i].last, follow, &f[i]);
			if (i >= 1 && i <= 8) {
				commit_one(s, &other);
				commit_one(s, &d);
				commit_one(s, &other);
			}
			if (i == round % 10)
				store_run(s);
		}
		store_wait(s);
		store_run(s);
		for (size_t i = 0; i < 10; i++) {
			if (!w[i])
				continue;
			assert_true(f[i].n > 0);
			assert_false(f[i].back);
			assert_int_equal(f[i].last, begin + 8);
			store_watch_free(w[i]);
		}
	}
}

/* --- the end --- */

static void
closing_waits(void **state)
{
	struct kit_lab *l = *state;
	struct store_res r[300];
	memset(r, 0xff, sizeof(r));
	for (uint64_t i = 0; i < ARRAY_LEN(r); i++) {
		struct store_dom d = store_dom_account(i % 3);
		struct store_batch *b = store_batch_new(l->s, &d);
		store_add(b, STR("n"), 1, 0);
		store_commit(b, i % 5 ? STORE_DURABLE : STORE_APPLIED, kit_take, &r[i]);
		if (i % 50 == 0)
			kit_accept_async(l->s,
			    (struct kit_letter){ .id = i + 1, .first = 9, .count = 1, .n = 99 },
			    NULL, NULL);
	}
	l->s = store_close(l->s);
	assert_null(l->s);
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		assert_int_equal(r[i].rc, 0);
		assert_int_equal(r[i].slot[0], i / 3 + 1);
	}
	if (!l->dir)
		return;
	l->s = kit_open(l->dir);
	assert_int_equal(kit_letters(l->s, 9, 99, NULL), 6);
	for (uint64_t i = 0; i < 3; i++) {
		struct store_dom d = store_dom_account(i);
		struct store_snap *sn;
		struct str v;
		uint64_t ver;
		assert_int_equal(store_snap_open(l->s, &d, &sn, &ver), 0);
		assert_int_equal(ver, ARRAY_LEN(r) / 3);
		assert_int_equal(store_get(sn, STR("n"), &v), 0);
		assert_int_equal(be64_get((const unsigned char *)v.p), ver);
		store_snap_close(sn);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		KIT_BOTH(completions_come_by_the_fd),
		KIT_BOTH(watches_fire),
		KIT_BOTH(commits_are_in_line),
		KIT_BOTH(one_winner),
		KIT_BOTH(watches_miss_nothing),
		KIT_BOTH(closing_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
