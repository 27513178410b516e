/* Threads, clock and random octets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "sys/clock.h"
#include "sys/random.h"
#include "sys/thread.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

struct shared {
	struct mutex m;
	struct cond c;
	int count, awake;
	bool go;
	char name[16];
	bool blocked;
};

static void
counter(void *arg)
{
	struct shared *s = arg;
	for (int i = 0; i < 10000; i++) {
		mutex_lock(&s->m);
		s->count++;
		mutex_unlock(&s->m);
	}
}

static void
waiter(void *arg)
{
	struct shared *s = arg;
	mutex_lock(&s->m);
	while (!s->go)
		cond_wait(&s->c, &s->m);
	s->awake++;
	mutex_unlock(&s->m);
}

static void
looker(void *arg)
{
	struct shared *s = arg;
	sigset_t now;
	prctl(PR_GET_NAME, s->name);
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	s->blocked = sigismember(&now, SIGTERM) && sigismember(&now, SIGCHLD);
}

static void
test_mutex(void **state)
{
	struct shared s = { .count = 0 };
	struct thread t[4];
	mutex_init(&s.m);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		thread_start(&t[i], "counter", counter, &s);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		thread_join(&t[i]);
		thread_join(&t[i]); /* twice is fine */
	}
	assert_int_equal(s.count, 40000);
	mutex_done(&s.m);
}

static void
test_cond(void **state)
{
	struct shared s = { .count = 0 };
	struct thread t[3];
	mutex_init(&s.m);
	cond_init(&s.c);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		thread_start(&t[i], "waiter", waiter, &s);
	mutex_lock(&s.m);
	s.go = true;
	cond_signal(&s.c);
	cond_broadcast(&s.c);
	mutex_unlock(&s.m);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		thread_join(&t[i]);
	assert_int_equal(s.awake, 3);
	cond_done(&s.c);
	mutex_done(&s.m);
}

static void
test_cond_time_is_up(void **state)
{
	struct shared s = { .count = 0 };
	static const int64_t waits[] = { 0, -1, 20, 999, 1000 };
	mutex_init(&s.m);
	cond_init(&s.c);
	mutex_lock(&s.m);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		int64_t from = sys_mono_ms();
		while (cond_wait_ms(&s.c, &s.m, waits[i]))
			;
		int64_t took = sys_mono_ms() - from;
		assert_true(took >= waits[i] - 1 && took < waits[i] + 3000);
	}
	mutex_unlock(&s.m);
	cond_done(&s.c);
	mutex_done(&s.m);
}

static void
test_thread_name_and_signals(void **state)
{
	struct shared s = { .count = 0 };
	struct thread t;
	thread_start(&t, "a-name-that-is-too-long", looker, &s);
	thread_join(&t);
	assert_string_equal(s.name, "a-name-that-is-");
	assert_true(s.blocked);
	sigset_t now;
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	assert_false(sigismember(&now, SIGTERM));
}

static void
test_clock(void **state)
{
	int64_t a = sys_mono_ms(), w = sys_wall_ms();
	struct timespec nap = { 0, 5000000 };
	nanosleep(&nap, NULL);
	assert_true(sys_mono_ms() - a >= 4);
	assert_true(sys_wall_ms() >= w && w > 1600000000000);
	setenv("TZ", "XYZ-5:30", 1);
	tzset();
	assert_int_equal(sys_zone_minutes(1000000000), 330);
	setenv("TZ", "ABC+8", 1);
	tzset();
	assert_int_equal(sys_zone_minutes(1000000000), -480);
	assert_int_equal(sys_zone_minutes(INT64_MAX), 0);
	unsetenv("TZ");
	tzset();
}

static void
test_random(void **state)
{
	unsigned char a[1000] = { 0 }, b[1000] = { 0 };
	random_bytes(a, sizeof(a) - 1);
	random_bytes(b, sizeof(b) - 1);
	assert_int_equal(a[999], 0);
	assert_memory_not_equal(a, b, 16);
	assert_memory_not_equal(a + 900, b + 900, 16); /* past the first piece too */
	random_bytes(a, 0);
	assert_true(random_u64() != random_u64());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutex),
		cmocka_unit_test(test_cond),
		cmocka_unit_test(test_cond_time_is_up),
		cmocka_unit_test(test_thread_name_and_signals),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
