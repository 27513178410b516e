/* Leases and fences, with a clock that stands until it is told to move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "store_kit.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>

#define TTL 3000
#define PATIENCE_MS 60000

/* --- the clock: any thread reads it --- */

static int64_t now, jump;

static int64_t
clock_ms(void)
{
	int64_t t = __atomic_load_n(&now, __ATOMIC_SEQ_CST);
	/* A time to come right behind the next look. */
	int64_t by = __atomic_exchange_n(&jump, 0, __ATOMIC_SEQ_CST);
	if (by)
		__atomic_add_fetch(&now, by, __ATOMIC_SEQ_CST);
	return t;
}

static int64_t
time_now(void)
{
	return __atomic_load_n(&now, __ATOMIC_SEQ_CST);
}

static void
set_time(int64_t ms)
{
	__atomic_store_n(&now, ms, __ATOMIC_SEQ_CST);
}

static void
jump_after_a_look(int64_t ms)
{
	__atomic_store_n(&jump, ms, __ATOMIC_SEQ_CST);
}

static void
pass(int64_t ms)
{
	__atomic_add_fetch(&now, ms, __ATOMIC_SEQ_CST);
}

static struct store *
open_it(const char *dir)
{
	struct store_options o = kit_options();
	char uri[4200];
	o.clock_ms = clock_ms;
	snprintf(uri, sizeof(uri), dir ? "emb:%s" : "mem:", dir);
	return kit_open_with(uri, o);
}

/* kit's store with our clock */
static int
set_up(void **state, char *dir)
{
	struct kit_lab *l = xalloc(sizeof(*l));
	set_time(1000000);
	jump_after_a_look(0);
	l->dir = dir;
	l->s = open_it(dir);
	*state = l;
	return l->s ? 0 : -1;
}

static int
set_up_emb(void **state)
{
	return set_up(state, kit_dir());
}

static int
set_up_mem(void **state)
{
	return set_up(state, NULL);
}

/* --- holders --- */

struct holder {
	struct store_lease *l;
	int lost;
	int64_t lost_at;
	bool puts; /* from inside */
};

static void
on_lost(void *arg, struct store_lease *l)
{
	struct holder *h = arg;
	check(l == h->l);
	h->lost++;
	h->lost_at = time_now();
	if (h->puts)
		h->l = store_lease_put(l);
}

static int
get(struct store *s, uint64_t account, struct holder *h)
{
	struct store_dom d = store_dom_account(account);
	return store_lease_get(s, &d, TTL, on_lost, h, &h->l);
}

static struct store_batch *
fenced(struct store *s, uint64_t account, const struct holder *h)
{
	struct store_dom d = store_dom_account(account);
	struct store_batch *b = store_batch_new(s, &d);
	store_fence(b, h->l);
	store_add(b, STR("n"), 1, 0);
	return b;
}

static int
write_one(struct store *s, uint64_t account, const struct holder *h)
{
	return kit_commit(s, fenced(s, account, h)).rc;
}

static uint64_t
count_of(struct store *s, uint64_t account)
{
	struct store_dom d = store_dom_account(account);
	struct store_snap *sn;
	struct str v;
	uint64_t ver;
	assert_int_equal(store_snap_open(s, &d, &sn, &ver), 0);
	uint64_t n = store_get(sn, STR("n"), &v) == 0 ? be64_get((const unsigned char *)v.p) : 0;
	assert_int_equal(ver, n);
	store_snap_close(sn);
	return n;
}

/* --- tests --- */

static void
one_holder(void **state)
{
	struct store *s = kit_store(state);
	struct holder a = { 0 }, b = { 0 }, c = { 0 };
	assert_int_equal(get(s, 1, &a), 0);
	assert_int_equal(get(s, 1, &b), -EBUSY);
	assert_null(b.l);
	assert_int_equal(get(s, 2, &c), 0);
	assert_true(store_lease_epoch(a.l) > 0);
	assert_true(store_lease_epoch(c.l) > store_lease_epoch(a.l));
	uint64_t last = store_lease_epoch(c.l);
	a.l = store_lease_put(a.l);
	assert_null(a.l);
	assert_int_equal(get(s, 1, &b), 0);
	assert_true(store_lease_epoch(b.l) > last);
	store_lease_put(b.l);
	store_lease_put(c.l);
	assert_null(store_lease_put(NULL));
	assert_int_equal(a.lost + b.lost + c.lost, 0);
}

static void
bounds(void **state)
{
	static const struct {
		uint32_t ttl;
		int rc;
	} rows[] = {
		{ 0, -EINVAL },
		{ STORE_LEASE_MS_MIN - 1, -EINVAL },
		{ STORE_LEASE_MS_MIN, 0 },
		{ STORE_LEASE_MS_MAX, 0 },
		{ STORE_LEASE_MS_MAX + 1, -EINVAL },
		{ UINT32_MAX, -EINVAL },
	};
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_account(1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct store_lease *l = NULL;
		assert_int_equal(store_lease_get(s, &d, rows[i].ttl, NULL, NULL, &l), rows[i].rc);
		store_lease_put(l);
	}
	static struct holder all[STORE_LEASES_MAX + 1];
	memset(all, 0, sizeof(all));
	for (uint64_t i = 0; i < STORE_LEASES_MAX; i++)
		assert_int_equal(get(s, i, &all[i]), 0);
	assert_int_equal(get(s, STORE_LEASES_MAX, &all[STORE_LEASES_MAX]), -E2BIG);
	all[7].l = store_lease_put(all[7].l);
	assert_int_equal(get(s, STORE_LEASES_MAX, &all[STORE_LEASES_MAX]), 0);
	for (uint64_t i = 0; i <= STORE_LEASES_MAX; i++)
		store_lease_put(all[i].l);
}

static void
renewed_or_lost(void **state)
{
	/* store_run() comes at these times; the lease is lost at `lost`, 0: not. */
	static const struct {
		int64_t run[6], lost;
	} rows[] = {
		{ { 0, 0, 0 }, 0 },
		{ { TTL / 3 - 1, TTL * 2 / 3 - 1, TTL }, 0 },
		{ { TTL / 3, TTL * 2 / 3, TTL, TTL * 4 / 3, TTL * 5 / 3, 2 * TTL }, 0 },
		{ { TTL * 2 / 3 - 1, TTL * 4 / 3 - 2, 2 * TTL - 3 }, 0 },
		{ { TTL * 2 / 3, TTL * 2 / 3 + 1 }, TTL * 2 / 3 },
		{ { 1, TTL * 2 / 3 }, TTL * 2 / 3 }, /* too early to renew */
		{ { TTL / 3, TTL / 3, TTL }, TTL },
		{ { TTL - 1 }, TTL - 1 },
		{ { TTL + 1 }, TTL + 1 },
		{ { 10 * TTL, 20 * TTL }, 10 * TTL },
	};
	struct store *s = kit_store(state);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct holder h = { 0 }, other = { 0 };
		int64_t start = time_now();
		assert_int_equal(get(s, 1, &h), 0);
		for (size_t k = 0; k < ARRAY_LEN(rows[i].run) && (k == 0 || rows[i].run[k]); k++) {
			set_time(start + rows[i].run[k]);
			store_run(s);
		}
		assert_int_equal(h.lost, rows[i].lost != 0);
		if (h.lost)
			assert_int_equal(h.lost_at - start, rows[i].lost);
		/* What its holder has given up is free before the ttl ends. */
		assert_int_equal(get(s, 1, &other), h.lost ? 0 : -EBUSY);
		store_lease_put(other.l);
		store_lease_put(h.l);
	}
}

static void
fences(void **state)
{
	static const struct {
		int64_t at;
		bool run;
		int rc;
	} rows[] = {
		{ 0, false, 0 },
		{ TTL / 3, false, 0 },
		{ TTL * 2 / 3 - 1, false, 0 },
		{ TTL * 2 / 3 - 1, true, 0 },
		{ TTL * 2 / 3, false, -ESTALE }, /* ours for a while, but quiet */
		{ TTL * 2 / 3, true, -ESTALE },
		{ TTL - 1, false, -ESTALE },
		{ TTL, false, -ESTALE },
		{ 100 * TTL, false, -ESTALE },
	};
	struct store *s = kit_store(state);
	uint64_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct holder h = { 0 };
		assert_int_equal(get(s, 1, &h), 0);
		struct store_batch *b = fenced(s, 1, &h);
		pass(rows[i].at);
		if (rows[i].run)
			store_run(s);
		assert_int_equal(kit_commit(s, b).rc, rows[i].rc);
		n += rows[i].rc == 0;
		assert_int_equal(count_of(s, 1), n);
		store_lease_put(h.l);
		store_run(s);
	}
}

/* The lease ends between the commit and the batch's place in the order. */
static void
checked_in_order(void **state)
{
	struct store *s = kit_store(state);
	struct holder h = { 0 };
	for (int i = 0; i < 20; i++) {
		assert_int_equal(get(s, 1, &h), 0);
		assert_int_equal(write_one(s, 1, &h), 0);
		struct store_batch *b = fenced(s, 1, &h);
		jump_after_a_look(TTL);
		assert_int_equal(kit_commit(s, b).rc, -ESTALE);
		assert_int_equal(__atomic_load_n(&jump, __ATOMIC_SEQ_CST), 0);
		assert_int_equal(count_of(s, 1), i + 1);
		store_lease_put(h.l);
	}
}

static void
paused_holder(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_account(1);
	struct holder old = { 0 }, new = { 0 };
	assert_int_equal(get(s, 1, &old), 0);
	assert_int_equal(write_one(s, 1, &old), 0);
	struct store_batch *late = fenced(s, 1, &old);
	pass(TTL - 1);
	assert_int_equal(get(s, 1, &new), -EBUSY);
	pass(1);
	assert_int_equal(get(s, 1, &new), 0);
	assert_true(store_lease_epoch(new.l) > store_lease_epoch(old.l));
	assert_int_equal(write_one(s, 1, &new), 0);
	assert_int_equal(kit_commit(s, late).rc, -ESTALE);
	assert_int_equal(write_one(s, 1, &old), -ESTALE);
	store_run(s);
	store_run(s);
	assert_int_equal(old.lost, 1);
	assert_int_equal(new.lost, 0);
	/* What it gives back is not what the other holds. */
	old.l = store_lease_put(old.l);
	assert_int_equal(get(s, 1, &old), -EBUSY);
	assert_int_equal(write_one(s, 1, &new), 0);
	assert_int_equal(count_of(s, 1), 3);
	/* Who does not ask is not hindered. */
	struct store_batch *b = store_batch_new(s, &d);
	store_add(b, STR("n"), 1, 0);
	assert_int_equal(kit_commit(s, b).rc, 0);
	store_lease_put(new.l);
}

struct outcome {
	int rc[64];
	size_t n;
};

static void
note(void *arg, const struct store_res *res)
{
	struct outcome *o = arg;
	o->rc[o->n++] = res->rc;
}

/* However far the engine is: what it took before the new holder's writes is the old one's, then
 * nothing is. */
static void
takeover_under_load(void **state)
{
	struct store *s = kit_store(state);
	uint64_t n = 0;
	for (uint64_t round = 0; round < 30; round++) {
		struct holder old = { 0 }, new = { 0 };
		struct outcome o = { .n = 0 };
		struct store_res first;
		assert_int_equal(get(s, 1, &old), 0);
		for (size_t i = 0; i < ARRAY_LEN(o.rc); i++) {
			struct store_batch *b = fenced(s, 1, &old);
			store_commit(b, STORE_DURABLE, note, &o);
		}
		pass(TTL);
		assert_int_equal(get(s, 1, &new), 0);
		store_commit(fenced(s, 1, &new), STORE_DURABLE, kit_take, &first);
		store_wait(s);
		assert_int_equal(o.n, ARRAY_LEN(o.rc));
		size_t written = 0;
		while (written < o.n && o.rc[written] == 0)
			written++;
		for (size_t i = written; i < o.n; i++)
			assert_int_equal(o.rc[i], -ESTALE);
		n += written + 1;
		assert_int_equal(first.rc, 0);
		assert_int_equal(first.slot[0], n);
		assert_int_equal(count_of(s, 1), n);
		store_lease_put(old.l);
		store_lease_put(new.l);
	}
}

static void
several_fences(void **state)
{
	struct store *s = kit_store(state);
	struct holder h[STORE_FENCES + 1] = { 0 };
	struct store_dom d = store_dom_queue(1);
	for (uint64_t i = 0; i < ARRAY_LEN(h); i++)
		assert_int_equal(get(s, i, &h[i]), 0);
	for (size_t n = 0; n <= STORE_FENCES + 1; n++) {
		struct store_batch *b = store_batch_new(s, &d);
		for (size_t i = 0; i < n; i++)
			store_fence(b, h[i].l);
		store_put(b, STR("k"), STR("v"), 0);
		assert_int_equal(kit_commit(s, b).rc, n <= STORE_FENCES ? 0 : -E2BIG);
	}
	/* One of them is enough to refuse; a fence comes before what is expected. */
	for (size_t gone = 0; gone < STORE_FENCES; gone++) {
		struct store_batch *b = store_batch_new(s, &d);
		for (size_t i = 0; i < STORE_FENCES; i++)
			store_fence(b, h[i].l);
		store_expect(b, STR("k"), STR("another"));
		store_put(b, STR("new"), STR("v"), 0);
		h[gone].l = store_lease_put(h[gone].l);
		assert_int_equal(kit_commit(s, b).rc, -ESTALE);
		assert_string_equal(kit_get(s, d, "new"), "-");
		assert_int_equal(get(s, gone, &h[gone]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(h); i++)
		store_lease_put(h[i].l);
}

static void
lost_ones_may_be_put_at_once(void **state)
{
	struct store *s = kit_store(state);
	struct holder h[8] = { 0 }, again = { 0 };
	for (uint64_t i = 0; i < ARRAY_LEN(h); i++) {
		h[i].puts = i % 3 != 1;
		assert_int_equal(get(s, i, &h[i]), 0);
	}
	pass(TTL);
	store_run(s);
	for (uint64_t i = 0; i < ARRAY_LEN(h); i++) {
		assert_int_equal(h[i].lost, 1);
		store_lease_put(h[i].l);
	}
	assert_int_equal(get(s, 1, &again), 0);
	store_lease_put(again.l);
}

/* The holder is woken when it has something to do, and only then. */
static void
fd_tells(void **state)
{
	struct store *s = kit_store(state);
	struct holder h = { 0 }, other = { 0 };
	struct pollfd p = { .fd = store_fd(s), .events = POLLIN };
	assert_int_equal(get(s, 1, &h), 0);
	store_wait(s);
	store_run(s);
	assert_int_equal(poll(&p, 1, 0), 0);
	for (int i = 0; i < 5; i++) {
		pass(TTL / 3);
		/* The thread sleeps by the real clock; another's coming makes it look. */
		assert_int_equal(get(s, 2, &other), 0);
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		store_run(s);
		other.l = store_lease_put(other.l);
		assert_int_equal(poll(&p, 1, 0), 0);
		assert_int_equal(h.lost, 0);
	}
	assert_int_equal(write_one(s, 1, &h), 0);
	store_lease_put(h.l);
}

/* The same by the real clock. */
static void
by_the_real_clock(void **state)
{
	struct kit_lab *l = *state;
	store_close(l->s);
	struct store *s = l->s = kit_open(l->dir);
	assert_non_null(s);
	struct store_dom d = store_dom_account(1);
	struct holder h = { 0 };
	struct pollfd p = { .fd = store_fd(s), .events = POLLIN };
	assert_int_equal(get(s, 2, &h), 0);
	store_wait(s); /* epochs are reserved */
	/* The second is told of as well, though nobody came for the first. */
	for (int i = 0; i < 2; i++) {
		store_lease_put(h.l);
		store_run(s);
		h = (struct holder){ 0 };
		assert_int_equal(store_lease_get(s, &d, 60, on_lost, &h, &h.l), 0);
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	}
	/* Renewed or, on a slow machine, lost; and lost for certain when nobody cares. */
	store_run(s);
	usleep(70000);
	store_run(s);
	assert_int_equal(h.lost, 1);
	assert_int_equal(write_one(s, 1, &h), -ESTALE);
	store_lease_put(h.l);
}

static void
epochs_rise(void **state)
{
	struct kit_lab *l = *state;
	uint64_t last = 0;
	for (int life = 0; life < 3; life++) {
		/* More than are reserved at once. */
		for (int i = 0; i < 2100; i++) {
			struct holder h = { 0 };
			assert_int_equal(get(l->s, 1, &h), 0);
			assert_true(store_lease_epoch(h.l) > last);
			last = store_lease_epoch(h.l);
			if (i == 2099)
				assert_int_equal(write_one(l->s, 1, &h), 0);
			store_lease_put(h.l);
		}
		if (!l->dir)
			break;
		store_close(l->s);
		l->s = open_it(l->dir);
		assert_non_null(l->s);
	}
}

/* --- emb alone --- */

/* A process that dies with a lease: its last epoch, as it told us. */
static uint64_t
die_with_a_lease(const char *dir)
{
	int fd[2];
	uint64_t epoch = 0;
	assert_int_equal(pipe(fd), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct holder h = { 0 };
		struct store *s = open_it(dir);
		check(s && get(s, 1, &h) == 0 && write_one(s, 1, &h) == 0);
		epoch = store_lease_epoch(h.l);
		check(write(fd[1], &epoch, sizeof(epoch)) == sizeof(epoch));
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(fd[0], &epoch, sizeof(epoch)), sizeof(epoch));
	close(fd[0]);
	close(fd[1]);
	return epoch;
}

static void
epochs_rise_after_a_crash(void **state)
{
	struct kit_lab *l = *state;
	uint64_t last = 0;
	l->s = store_close(l->s);
	for (int i = 0; i < 3; i++) {
		uint64_t epoch = die_with_a_lease(l->dir);
		assert_true(epoch > last);
		last = epoch;
	}
	struct store *s = l->s = open_it(l->dir);
	struct holder h = { 0 };
	assert_int_equal(get(s, 1, &h), 0); /* the dead hold nothing */
	assert_true(store_lease_epoch(h.l) > last);
	assert_int_equal(count_of(s, 1), 3);
	store_lease_put(h.l);
}

static void
readers_get_none(void **state)
{
	struct kit_lab *l = *state;
	struct store_options o = kit_options();
	struct holder h = { 0 };
	char uri[4200];
	kit_put(l->s, store_dom_account(1), "k", "v");
	store_close(l->s);
	o.read_only = true;
	snprintf(uri, sizeof(uri), "emb:%s", l->dir);
	l->s = kit_open_with(uri, o);
	assert_non_null(l->s);
	assert_int_equal(get(l->s, 1, &h), -EROFS);
}

#define BOTH(f)                                                                                    \
	{ #f " (mem)", f, set_up_mem, kit_tear_down, NULL },                                       \
	{                                                                                          \
#f " (emb)", f, set_up_emb, kit_tear_down, NULL                                    \
	}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(epochs_rise_after_a_crash, set_up_emb,
		    kit_tear_down),
		cmocka_unit_test_setup_teardown(readers_get_none, set_up_emb, kit_tear_down),
		BOTH(one_holder),
		BOTH(bounds),
		BOTH(renewed_or_lost),
		BOTH(fences),
		BOTH(checked_in_order),
		BOTH(paused_holder),
		BOTH(takeover_under_load),
		BOTH(several_fences),
		BOTH(lost_ones_may_be_put_at_once),
		BOTH(fd_tells),
		BOTH(by_the_real_clock),
		BOTH(epochs_rise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
