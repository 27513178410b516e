#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/tally.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define OFF UINT64_MAX

static struct tally_key
key_of(const char *ip)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
		return tally_key_of((struct sockaddr *)&in);
	assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
	return tally_key_of((struct sockaddr *)&in6);
}

/* n fronts in one process, each with a table of its own. */
static void
fronts_new(struct tally *t, size_t n)
{
	memset(t, 0, n * sizeof(*t));
	for (size_t i = 0; i < n; i++) {
		t[i].own = xalloc(tally_size());
		for (size_t k = 0; k < n; k++)
			t[k].other[i] = t[i].own;
	}
}

static void
fronts_free(struct tally *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(t[i].own);
}

static void
keys(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "2001:db8::1", "2001:db8::2", true },
		{ "2001:db8:0:1::1", "2001:db8:0:2::1", false },
		{ "2001:db8::1", "2001:db8:0:0:ffff::", true },
		{ "::1", "::2", true },
		{ "::1", "0.0.0.0", false },
		{ "::", "0.0.0.1", false },
	};
	static const struct tally_key zero;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tally_key a = key_of(rows[i].a), b = key_of(rows[i].b);
		assert_int_equal(memcmp(&a, &b, sizeof(a)) == 0, rows[i].same);
		assert_memory_not_equal(&a, &zero, sizeof(a));
	}
	struct tally_key other = tally_key_of(&(struct sockaddr){ .sa_family = AF_UNIX });
	assert_memory_not_equal(&other, &zero, sizeof(other));
}

static void
limits_across_fronts(void **state)
{
	struct tally t[3];
	struct tally_key a = key_of("192.0.2.1"), b = key_of("192.0.2.2");
	struct tally_limits l = { 5, OFF, OFF };
	fronts_new(t, 3);
	for (int i = 0; i < 5; i++)
		assert_int_equal(tally_enter(&t[i % 3], &a, 0, &l), TALLY_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tally_enter(&t[i], &b, 1, &l), TALLY_TOTAL);
	assert_int_equal(tally_total(&t[0]), 5);
	/* what was refused is not counted */
	tally_leave(&t[0], &a, 0);
	assert_int_equal(tally_enter(&t[2], &b, 1, &l), TALLY_OK);
	assert_int_equal(tally_enter(&t[2], &b, 1, &l), TALLY_TOTAL);
	/* per listener: 4 are on listener 0 */
	l = (struct tally_limits){ OFF, 4, OFF };
	assert_int_equal(tally_enter(&t[1], &b, 0, &l), TALLY_LISTENER);
	assert_int_equal(tally_enter(&t[1], &b, 1, &l), TALLY_OK);
	/* per address: b has 2 */
	l = (struct tally_limits){ OFF, OFF, 2 };
	assert_int_equal(tally_enter(&t[0], &b, 2, &l), TALLY_ADDRESS);
	tally_leave(&t[1], &b, 1);
	assert_int_equal(tally_enter(&t[0], &b, 2, &l), TALLY_OK);
	/* the order of the checks; 0 is a limit of zero */
	l = (struct tally_limits){ 0, 0, 0 };
	assert_int_equal(tally_enter(&t[0], &b, 2, &l), TALLY_TOTAL);
	l.total = OFF;
	assert_int_equal(tally_enter(&t[0], &b, 2, &l), TALLY_LISTENER);
	l.listener = OFF;
	assert_int_equal(tally_enter(&t[0], &b, 2, &l), TALLY_ADDRESS);
	fronts_free(t, 3);
}

/* A reload gives listeners other numbers, or takes them away. */
static void
connections_move(void **state)
{
	struct tally t[2];
	struct tally_key a = key_of("192.0.2.1");
	struct tally_limits l = { OFF, 2, OFF };
	fronts_new(t, 2);
	assert_int_equal(tally_enter(&t[0], &a, 5, &l), TALLY_OK);
	assert_int_equal(tally_enter(&t[1], &a, 5, &l), TALLY_OK);
	tally_move(&t[0], 5, 3);
	tally_move(&t[1], 5, 3);
	assert_int_equal(tally_enter(&t[0], &a, 3, &l), TALLY_LISTENER);
	assert_int_equal(tally_enter(&t[0], &a, 5, &l), TALLY_OK);
	/* Its listener is gone: it still counts in all. */
	tally_move(&t[0], 3, TALLY_NOWHERE);
	assert_int_equal(tally_enter(&t[0], &a, 3, &l), TALLY_OK);
	assert_int_equal(tally_total(&t[0]), 4);
	tally_leave(&t[0], &a, TALLY_NOWHERE);
	assert_int_equal(tally_total(&t[0]), 3);
	tally_move(&t[0], TALLY_NOWHERE, TALLY_NOWHERE);
	l = (struct tally_limits){ OFF, OFF, 3 };
	assert_int_equal(tally_enter(&t[0], &a, 9, &l), TALLY_ADDRESS);
	fronts_free(t, 2);
}

static void
leave_never_underflows(void **state)
{
	struct tally t[1];
	struct tally_key a = key_of("2001:db8::1");
	fronts_new(t, 1);
	tally_leave(t, &a, 0);
	assert_int_equal(tally_total(t), 0);
	assert_int_equal(tally_enter(t, &a, 0, &(struct tally_limits){ 1, 1, 1 }), TALLY_OK);
	fronts_free(t, 1);
}

static struct tally_key
numbered(uint32_t n)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(n) };
	return tally_key_of((struct sockaddr *)&in);
}

/* Many more addresses than places, one after the other: places are used again and again. */
static void
places_are_reused(void **state)
{
	static const struct tally_limits one = { OFF, OFF, 1 };
	struct tally t[2];
	fronts_new(t, 2);
	for (uint32_t round = 0; round < 8; round++) {
		for (uint32_t i = 0; i < 8192; i++) {
			struct tally_key k = numbered(round << 16 | i);
			assert_int_equal(tally_enter(&t[0], &k, 0, &one), TALLY_OK);
			assert_int_equal(tally_enter(&t[1], &k, 0, &one), TALLY_ADDRESS);
		}
		for (uint32_t i = 0; i < 8192; i++) {
			struct tally_key k = numbered(round << 16 | i);
			tally_leave(&t[0], &k, 0);
		}
		assert_int_equal(tally_total(&t[1]), 0);
	}
	fronts_free(t, 2);
}

/* With every place taken, further addresses are in the total and not counted singly. */
static void
a_full_table_still_counts_the_total(void **state)
{
	static const struct tally_limits one = { OFF, OFF, 1 };
	struct tally t[1];
	fronts_new(t, 1);
	uint32_t n = 4 * TALLY_ADDRS, uncounted = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct tally_key k = numbered(i);
		assert_int_equal(tally_enter(t, &k, 0, &one), TALLY_OK);
	}
	assert_int_equal(tally_total(t), n);
	for (uint32_t i = 0; i < n; i++) {
		struct tally_key k = numbered(i);
		uncounted += tally_enter(t, &k, 0, &one) == TALLY_OK;
	}
	assert_true(uncounted >= n - TALLY_ADDRS);
	for (uint32_t i = 0; i < n; i++) {
		struct tally_key k = numbered(i);
		tally_leave(t, &k, 0);
	}
	assert_int_equal(tally_total(t), uncounted);
	fronts_free(t, 1);
}

/* A front that was taken over writes what it likes: no overflow, no fault, limits hold. */
static void
lies(void **state)
{
	struct tally t[FRONT_MAX];
	struct tally_key a = key_of("192.0.2.1");
	fronts_new(t, FRONT_MAX);
	for (size_t i = 1; i < FRONT_MAX; i++)
		memset(t[i].own, 0xff, tally_size());
	assert_true(tally_total(&t[0]) < UINT32_MAX);
	assert_int_equal(tally_enter(&t[0], &a, 0, &(struct tally_limits){ 100, OFF, OFF }),
	    TALLY_TOTAL);
	assert_int_equal(tally_enter(&t[0], &a, 0, &(struct tally_limits){ OFF, 100, OFF }),
	    TALLY_LISTENER);
	assert_int_equal(tally_enter(&t[0], &a, 0, &(struct tally_limits){ OFF, OFF, 100 }),
	    TALLY_OK);
	/* gone: parent gives it a new table */
	for (size_t i = 1; i < FRONT_MAX; i++)
		t[0].other[i] = NULL;
	assert_int_equal(tally_total(&t[0]), 1);
	fronts_free(t, FRONT_MAX);
}

/* Fronts that race, and a witness outside who must never see more than the limit. */
#define RACERS 3
#define LIMIT 4
struct race {
	struct tally *front;
	_Atomic int *inside;
	unsigned seed;
	uint64_t entered, worst;
};

static void *
racer(void *arg)
{
	static const struct tally_limits limits[] = { { LIMIT, OFF, OFF }, { OFF, LIMIT, OFF },
		{ OFF, OFF, LIMIT } };
	struct race *r = arg;
	struct tally_key a = key_of("192.0.2.1"), noise;
	const struct tally_limits *l = &limits[r->seed % ARRAY_LEN(limits)],
				  none = { OFF, OFF, OFF };
	for (int i = 0; i < 20000; i++) {
		noise = numbered((uint32_t)(rand_r(&r->seed) & 0xffff));
		bool count_noise =
		    l->address != OFF; /* other addresses come and go in the same table */
		if (count_noise)
			tally_enter(r->front, &noise, 1, &none);
		if (tally_enter(r->front, &a, 0, l) == TALLY_OK) {
			int now = atomic_fetch_add(r->inside, 1) + 1;
			r->worst = MAX(r->worst, (uint64_t)now);
			r->entered++;
			if (rand_r(&r->seed) & 1)
				sched_yield();
			atomic_fetch_sub(r->inside, 1);
			tally_leave(r->front, &a, 0);
		}
		if (count_noise)
			tally_leave(r->front, &noise, 1);
	}
	return NULL;
}

static void
races(void **state)
{
	for (unsigned which = 0; which < 3; which++) {
		struct tally t[RACERS];
		struct race r[RACERS];
		pthread_t thread[RACERS];
		_Atomic int inside = 0;
		fronts_new(t, RACERS);
		struct tally_key a = key_of("192.0.2.1");
		/* each front holds one already, so only one more fits */
		for (size_t i = 0; i < RACERS; i++)
			assert_int_equal(tally_enter(&t[i], &a, 0,
					     &(struct tally_limits){ OFF, OFF, OFF }),
			    TALLY_OK);
		for (size_t i = 0; i < RACERS; i++) {
			r[i] = (struct race){ &t[i], &inside, which + 3 * (unsigned)i, 0, 0 };
			assert_int_equal(pthread_create(&thread[i], NULL, racer, &r[i]), 0);
		}
		uint64_t entered = 0, worst = 0;
		for (size_t i = 0; i < RACERS; i++) {
			pthread_join(thread[i], NULL);
			worst = MAX(worst, r[i].worst);
			entered += r[i].entered;
		}
		assert_int_equal(worst, LIMIT - RACERS);
		assert_true(entered > 0);
		assert_int_equal(tally_total(&t[0]), RACERS);
		fronts_free(t, RACERS);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(limits_across_fronts),
		cmocka_unit_test(connections_move),
		cmocka_unit_test(leave_never_underflows),
		cmocka_unit_test(places_are_reused),
		cmocka_unit_test(a_full_table_still_counts_the_total),
		cmocka_unit_test(lies),
		cmocka_unit_test(races),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
