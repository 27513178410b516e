#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "loop/loop.h"
#include "sys/clock.h"
#include "sys/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* One loop, a few of everything, and a count of what happened. */
struct world {
	struct loop *loop;
	struct loop_timer *timer, *stop;
	struct loop_io *io[2];
	struct loop_wake *wake;
	struct loop_signal *signal;
	struct loop_defer defer[3];
	int fd[2][2];
	int runs, other_runs, turns, gone;
	unsigned events;
	char trace[64];
};

static void
note(struct world *w, char c)
{
	size_t n = strlen(w->trace);
	if (n + 1 < sizeof(w->trace))
		w->trace[n] = c;
}

static void
on_stop(void *arg)
{
	struct world *w = arg;
	loop_stop(w->loop);
}

/* Runs the loop for so long. */
static void
run_ms(struct world *w, int ms)
{
	w->stop = loop_timer_new(w->loop, on_stop, w);
	loop_timer_set(w->stop, ms, 0);
	loop_run(w->loop);
	w->stop = loop_timer_free(w->stop);
}

static void
begin(struct world *w)
{
	*w = (struct world){ .loop = loop_new() };
	for (int i = 0; i < 2; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->fd[i]), 0);
}

static void
end(struct world *w)
{
	w->loop = loop_free(w->loop);
	for (int i = 0; i < 4; i++)
		if (w->fd[i / 2][i % 2] >= 0)
			close(w->fd[i / 2][i % 2]);
}

static void
on_count(void *arg)
{
	struct world *w = arg;
	w->runs++;
}

static void
test_timers(void **state)
{
	struct world w;
	begin(&w);
	w.timer = loop_timer_new(w.loop, on_count, &w);
	loop_timer_set(w.timer, 1, 0);
	run_ms(&w, 20);
	assert_int_equal(w.runs, 1);
	loop_timer_set(w.timer, 0, 2);
	run_ms(&w, 40);
	assert_in_range(w.runs, 5, 25);
	loop_timer_stop(w.timer);
	int was = w.runs;
	run_ms(&w, 10);
	assert_int_equal(w.runs, was);
	loop_timer_set(w.timer, -5, -5); /* now, once */
	run_ms(&w, 10);
	assert_int_equal(w.runs, was + 1);
	w.timer = loop_timer_free(w.timer);
	end(&w);
}

/* A pause before the timer is set must not be charged to the timer. */
static void
test_timer_counts_from_now(void **state)
{
	struct world w;
	struct timespec nap = { 0, 30000000 };
	begin(&w);
	nanosleep(&nap, NULL);
	int64_t from = sys_mono_ms();
	run_ms(&w, 25);
	assert_true(sys_mono_ms() - from >= 24);
	assert_true(loop_now(w.loop) >= from);
	end(&w);
}

static void
on_free_timer(void *arg)
{
	struct world *w = arg;
	w->runs++;
	w->timer = loop_timer_free(w->timer);
}

static void
test_free_in_own_callback(void **state)
{
	struct world w;
	begin(&w);
	w.timer = loop_timer_new(w.loop, on_free_timer, &w);
	loop_timer_set(w.timer, 0, 1);
	run_ms(&w, 10);
	assert_int_equal(w.runs, 1);
	assert_null(loop_timer_free(NULL));
	assert_null(loop_io_free(NULL));
	assert_null(loop_signal_free(NULL));
	assert_null(loop_wake_free(NULL));
	end(&w);
}

static void
on_io(void *arg, unsigned events)
{
	struct world *w = arg;
	char c[16];
	w->runs++;
	w->events |= events;
	w->gone += (events & LOOP_GONE) != 0;
	if ((events & LOOP_READ) && read(w->fd[0][0], c, sizeof(c)) == 0)
		loop_io_want(w->io[0], 0);
}

static void
test_io_read_write(void **state)
{
	struct world w;
	begin(&w);
	w.io[0] = loop_io_new(w.loop, w.fd[0][0], on_io, &w);
	assert_non_null(w.io[0]);
	assert_int_equal(write(w.fd[0][1], "x", 1), 1);
	run_ms(&w, 5);
	assert_int_equal(w.runs, 0); /* nothing wanted, nothing told */
	loop_io_want(w.io[0], LOOP_READ);
	run_ms(&w, 5);
	assert_int_equal(w.runs, 1);
	assert_int_equal(w.events, LOOP_READ);
	loop_io_want(w.io[0], LOOP_READ | LOOP_WRITE);
	loop_io_want(w.io[0], LOOP_WRITE);
	w.events = 0;
	run_ms(&w, 5);
	assert_int_equal(w.events, LOOP_WRITE);
	loop_io_want(w.io[0], 0);
	w.runs = 0;
	run_ms(&w, 5);
	assert_int_equal(w.runs, 0);
	w.io[0] = loop_io_free(w.io[0]);
	end(&w);
}

static void
test_gone_with_end_of_input(void **state)
{
	struct world w;
	begin(&w);
	w.io[0] = loop_io_new(w.loop, w.fd[0][0], on_io, &w);
	loop_io_want(w.io[0], LOOP_READ);
	close(w.fd[0][1]);
	w.fd[0][1] = -1;
	run_ms(&w, 20);
	assert_int_equal(w.gone, 1);
	assert_int_equal(w.runs, 1);
	w.io[0] = loop_io_free(w.io[0]);
	end(&w);
}

/* Half-closed and full: nothing to do for a writer, so the loop must sleep. */
static void
test_gone_does_not_spin(void **state)
{
	struct world w;
	char block[65536] = { 0 };
	begin(&w);
	w.io[0] = loop_io_new(w.loop, w.fd[0][0], on_io, &w);
	while (send(w.fd[0][0], block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	loop_io_want(w.io[0], LOOP_WRITE);
	shutdown(w.fd[0][1], SHUT_WR);
	run_ms(&w, 30);
	assert_int_equal(w.gone, 1);
	assert_in_range(w.runs, 1, 2);
	while (recv(w.fd[0][1], block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	w.events = 0;
	run_ms(&w, 10);
	assert_int_equal(w.events, LOOP_WRITE); /* still watched */
	w.io[0] = loop_io_free(w.io[0]);
	end(&w);
}

/* What came while nobody wanted it is told when somebody does, and does not keep the loop busy. */
static void
test_pause(void **state)
{
	struct world w;
	begin(&w);
	loop_on_turn(w.loop, on_count, &w);
	w.io[0] = loop_io_new(w.loop, w.fd[0][0], on_io, &w);
	loop_io_want(w.io[0], LOOP_READ);
	run_ms(&w, 5);
	loop_io_want(w.io[0], 0);
	assert_int_equal(write(w.fd[0][1], "x", 1), 1);
	w.runs = 0;
	run_ms(&w, 20);
	assert_in_range(w.runs, 1, 6);
	assert_int_equal(w.events, 0);
	close(w.fd[0][1]);
	w.fd[0][1] = -1;
	w.runs = 0;
	run_ms(&w, 20);
	assert_in_range(w.runs, 1, 6);
	assert_int_equal(w.events, 0);
	loop_io_want(w.io[0], LOOP_READ);
	run_ms(&w, 5);
	assert_int_equal(w.events, LOOP_READ | LOOP_GONE);
	w.io[0] = loop_io_free(w.io[0]);
	end(&w);
}

static void
test_close(void **state)
{
	struct world w;
	begin(&w);
	int fd = w.fd[0][0];
	w.io[0] = loop_io_new(w.loop, fd, on_io, &w);
	loop_io_want(w.io[0], LOOP_READ);
	assert_int_equal(write(w.fd[0][1], "x", 1), 1);
	assert_null(loop_io_close(w.io[0]));
	assert_null(loop_io_close(NULL));
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	w.fd[0][0] = -1;
	run_ms(&w, 5);
	assert_int_equal(w.runs, 0);
	end(&w);
}

static int
tcp_pair(int fd[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(l, (struct sockaddr *)&a, n) < 0 || listen(l, 1) < 0 ||
	    getsockname(l, (struct sockaddr *)&a, &n) < 0 ||
	    connect(fd[1], (struct sockaddr *)&a, n) < 0)
		return -1;
	fd[0] = accept(l, NULL, NULL);
	close(l);
	return fd[0];
}

static void
on_reset(void *arg, unsigned events)
{
	struct world *w = arg;
	char c;
	w->runs++;
	w->events |= events;
	if ((events & LOOP_READ) && recv(w->fd[0][0], &c, 1, MSG_DONTWAIT) < 0) {
		note(w, errno == ECONNRESET ? 'R' : '?');
		loop_io_want(w->io[0], 0);
	}
}

static void
test_reset_reaches_the_reader(void **state)
{
	struct world w;
	struct linger hard = { 1, 0 };
	begin(&w);
	close(w.fd[0][0]);
	close(w.fd[0][1]);
	assert_true(tcp_pair(w.fd[0]) >= 0);
	w.io[0] = loop_io_new(w.loop, w.fd[0][0], on_reset, &w);
	loop_io_want(w.io[0], LOOP_READ);
	setsockopt(w.fd[0][1], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(w.fd[0][1]);
	w.fd[0][1] = -1;
	run_ms(&w, 20);
	assert_string_equal(w.trace, "R");
	assert_true(w.events & LOOP_GONE);
	w.io[0] = loop_io_free(w.io[0]);
	end(&w);
}

/* Both are ready in the same batch; whoever comes first frees the other and reuses its fd. */
static void
on_first(void *arg, unsigned events)
{
	struct world *w = arg;
	w->runs++;
	for (int i = 0; i < 2; i++)
		w->io[i] = loop_io_free(w->io[i]);
	int was = w->fd[1][0];
	close(was);
	w->fd[1][0] = dup(w->fd[0][0]);
	assert_int_equal(w->fd[1][0], was);
}

static void
test_free_of_another(void **state)
{
	struct world w;
	begin(&w);
	for (int i = 0; i < 2; i++) {
		w.io[i] = loop_io_new(w.loop, w.fd[i][0], on_first, &w);
		loop_io_want(w.io[i], LOOP_READ | LOOP_WRITE);
	}
	run_ms(&w, 10);
	assert_int_equal(w.runs, 1);
	end(&w);
}

static void
test_io_errors(void **state)
{
	struct world w;
	char path[] = "/tmp/test_loop.XXXXXX";
	begin(&w);
	int fd = mkstemp(path);
	unlink(path);
	assert_null(loop_io_new(w.loop, fd, on_io, &w));
	assert_int_equal(errno, EPERM);
	close(fd);
	assert_null(loop_io_new(w.loop, fd, on_io, &w));
	assert_int_equal(errno, EBADF);
	w.io[0] = loop_io_new(w.loop, w.fd[0][0], on_io, &w);
	loop_io_want(w.io[0], LOOP_READ);
	assert_null(loop_io_new(w.loop, w.fd[0][0], on_io, &w));
	assert_int_equal(errno, EEXIST);
	w.io[0] = loop_io_free(w.io[0]);
	end(&w);
}

static void
on_turn(void *arg)
{
	struct world *w = arg;
	w->turns++;
	note(w, 't');
}

static void
on_defer_last(void *arg)
{
	note(arg, 'c');
}

static void
on_defer(void *arg)
{
	struct world *w = arg;
	note(w, 'a');
	loop_defer_add(w->loop, &w->defer[1]);
	loop_defer_add(w->loop, &w->defer[1]);
	loop_defer_del(&w->defer[2]);
}

static void
on_defer_stop(void *arg)
{
	struct world *w = arg;
	note(w, 'b');
	loop_stop(w->loop);
}

static void
on_work(void *arg)
{
	struct world *w = arg;
	note(w, 'w');
	loop_defer_add(w->loop, &w->defer[0]);
	loop_defer_add(w->loop, &w->defer[2]);
}

static void
test_end_of_turn(void **state)
{
	struct world w;
	begin(&w);
	loop_on_turn(w.loop, on_turn, &w);
	loop_defer_init(&w.defer[0], on_defer, &w);
	loop_defer_init(&w.defer[1], on_defer_stop, &w);
	loop_defer_init(&w.defer[2], on_defer_last, &w);
	w.timer = loop_timer_new(w.loop, on_work, &w);
	loop_timer_set(w.timer, 0, 0);
	loop_run(w.loop);
	/* Work, then the turn's functions, then the deferred ones, and the turn that stopped. */
	assert_non_null(strstr(w.trace, "wtab"));
	assert_null(strchr(w.trace, 'c'));
	w.timer = loop_timer_free(w.timer);
	end(&w);
}

/* With nothing to watch it sleeps, and does not return. */
static void
test_idle_loop_sleeps(void **state)
{
	struct world w;
	begin(&w);
	loop_on_turn(w.loop, on_turn, &w);
	run_ms(&w, 30);
	assert_in_range(w.turns, 1, 4);
	loop_stop(w.loop); /* before the run: returns at once */
	loop_run(w.loop);
	end(&w);
}

static void
on_stop_and_defer(void *arg)
{
	struct world *w = arg;
	loop_defer_add(w->loop, &w->defer[0]);
	loop_stop(w->loop);
}

static void
test_last_turn_is_flushed(void **state)
{
	struct world w;
	begin(&w);
	loop_defer_init(&w.defer[0], on_count, &w);
	w.wake = loop_wake_new(w.loop, on_stop_and_defer, &w);
	loop_wake_send(w.wake);
	loop_run(w.loop);
	assert_int_equal(w.runs, 1);
	w.wake = loop_wake_free(w.wake);
	end(&w);
}

static void
on_signal(void *arg)
{
	struct world *w = arg;
	w->runs++;
	w->signal = loop_signal_free(w->signal);
	loop_stop(w->loop);
}

static void
test_signal(void **state)
{
	struct world w;
	begin(&w);
	w.signal = loop_signal_new(w.loop, SIGUSR1, on_signal, &w);
	assert_int_equal(raise(SIGUSR1), 0);
	loop_run(w.loop);
	assert_int_equal(w.runs, 1);
	end(&w);
}

#define SENDS 1000

static void
sender(void *arg)
{
	struct world *w = arg;
	for (int i = 0; i < SENDS; i++) {
		__atomic_add_fetch(&w->other_runs, 1, __ATOMIC_SEQ_CST);
		loop_wake_send(w->wake);
	}
}

static void
on_wake(void *arg)
{
	struct world *w = arg;
	w->runs++;
	if (__atomic_load_n(&w->other_runs, __ATOMIC_SEQ_CST) == SENDS)
		loop_stop(w->loop);
}

static void
test_wake_from_a_thread(void **state)
{
	struct world w;
	struct thread t;
	begin(&w);
	w.wake = loop_wake_new(w.loop, on_wake, &w);
	thread_start(&t, "sender", sender, &w);
	loop_run(w.loop);
	thread_join(&t);
	assert_in_range(w.runs, 1, SENDS);
	w.wake = loop_wake_free(w.wake);
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_timer_counts_from_now),
		cmocka_unit_test(test_free_in_own_callback),
		cmocka_unit_test(test_io_read_write),
		cmocka_unit_test(test_gone_with_end_of_input),
		cmocka_unit_test(test_gone_does_not_spin),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_reset_reaches_the_reader),
		cmocka_unit_test(test_free_of_another),
		cmocka_unit_test(test_io_errors),
		cmocka_unit_test(test_end_of_turn),
		cmocka_unit_test(test_idle_loop_sleeps),
		cmocka_unit_test(test_last_turn_is_flushed),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_wake_from_a_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
