#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "io/stream.h"
#include "loop/loop.h"
#include "sys/listen.h"
#include "sys/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A stream in a loop, on the heap so that freeing it in its callback shows; a bare peer. */
struct world {
	struct loop *loop;
	struct loop_timer *timer;
	int rounds;
	struct stream *s;
	int raw;
	int count[STREAM_DRAINED + 1];
	struct buf got;
	size_t eat; /* at most so many octets each time */
	bool echo, in_call;
	int free_at; /* an event, or -1 */
};

static void
on_stream(void *arg, enum stream_event e)
{
	struct world *w = arg;
	check(!w->in_call);
	w->count[e]++;
	if ((int)e == w->free_at) {
		stream_close(w->s);
		free(w->s);
		w->s = NULL;
		return;
	}
	if (e != STREAM_INPUT)
		return;
	struct str in = str_first(stream_input(w->s), w->eat);
	buf_puts(&w->got, in);
	w->in_call = true;
	if (w->echo) {
		buf_puts(&w->s->out, in);
		stream_send(w->s);
	}
	stream_eat(w->s, in.len);
	w->in_call = false;
}

static void
on_timer(void *arg)
{
	struct world *w = arg;
	if (w->rounds-- > 0)
		loop_timer_set(w->timer, 0, 0);
	else
		loop_stop(w->loop);
}

/* And a few turns more: on a busy machine the time may be up before anything was looked at. */
static void
run_ms(struct world *w, int ms)
{
	w->rounds = 4;
	loop_timer_set(w->timer, ms, 0);
	loop_run(w->loop);
}

static void
begin_on(struct world *w, int fd, int raw)
{
	*w = (struct world){ .loop = loop_new(),
		.s = xalloc(sizeof(*w->s)),
		.raw = raw,
		.free_at = -1,
		.eat = SIZE_MAX,
		.got = BUF_INIT(8u << 20) };
	w->timer = loop_timer_new(w->loop, on_timer, w);
	assert_int_equal(stream_open(w->s, w->loop, fd, on_stream, w), 0);
}

static void
begin(struct world *w)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	begin_on(w, fd[0], fd[1]);
}

static void
begin_tcp(struct world *w)
{
	int l, fd, raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sys_addr here;
	assert_int_equal(listen_tcp("127.0.0.1", 0, 0, &l), 0);
	assert_int_equal(sys_addr_here(l, &here), 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(here.port) };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(raw, (struct sockaddr *)&a, sizeof(a)), 0);
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	close(l);
	begin_on(w, fd, raw);
}

static void
end(struct world *w)
{
	if (w->s) {
		stream_close(w->s);
		stream_close(w->s); /* idempotent */
		free(w->s);
	}
	w->timer = loop_timer_free(w->timer);
	w->loop = loop_free(w->loop);
	if (w->raw >= 0)
		close(w->raw);
	buf_done(&w->got);
}

static void
say(struct world *w, struct str s)
{
	assert_int_equal(send(w->raw, s.p, s.len, MSG_NOSIGNAL), s.len);
}

static void
test_echo(void **state)
{
	struct world w;
	char got[64];
	begin(&w);
	w.echo = true;
	say(&w, STR("EHLO example.com\r\n"));
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_INPUT], 1);
	assert_int_equal(recv(w.raw, got, sizeof(got), 0), 18);
	assert_int_equal(stream_unsent(w.s), 0);
	/* Idle: nothing but the struct. */
	assert_null(w.s->in.p);
	assert_null(w.s->out.p);
	assert_int_equal(w.count[STREAM_DRAINED], 0);
	end(&w);
}

static void
test_input_uneaten_stays(void **state)
{
	struct world w;
	begin(&w);
	w.eat = 3;
	say(&w, STR("abcdefg"));
	run_ms(&w, 5);
	assert_true(str_eq(stream_input(w.s), STR("defg")));
	say(&w, STR("hij"));
	run_ms(&w, 5);
	assert_true(str_eq(buf_str(&w.got), STR("abcdef")));
	assert_true(str_eq(stream_input(w.s), STR("ghij")));
	assert_true(w.s->in.cap < 4096); /* a slow talker is cheap */
	stream_eat(w.s, 4);
	assert_int_equal(stream_input(w.s).len, 0);
	assert_null(w.s->in.p);
	end(&w);
}

static void
test_full_input_waits_in_the_kernel(void **state)
{
	struct world w;
	char block[4096] = { 0 };
	begin(&w);
	w.eat = 0;
	size_t sent = 0;
	for (;;) {
		ssize_t n = send(w.raw, block, sizeof(block), MSG_DONTWAIT);
		if (n > 0)
			sent += (size_t)n;
		run_ms(&w, 0);
		if (n < 0 && stream_input(w.s).len == STREAM_IN_MAX)
			break;
	}
	int was = w.count[STREAM_INPUT];
	run_ms(&w, 10);
	assert_int_equal(w.count[STREAM_INPUT], was); /* and no spinning */
	w.eat = SIZE_MAX;
	buf_put(&w.got, stream_input(w.s).p, STREAM_IN_MAX);
	stream_eat(w.s, STREAM_IN_MAX);
	run_ms(&w, 30);
	assert_int_equal(w.got.len, sent);
	end(&w);
}

static void
test_pause(void **state)
{
	struct world w;
	begin(&w);
	stream_pause(w.s, true);
	say(&w, STR("x"));
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_INPUT], 0);
	stream_pause(w.s, false);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_INPUT], 1);
	end(&w);
}

static void
test_eof(void **state)
{
	struct world w;
	char got[8];
	begin(&w);
	say(&w, STR("QUIT\r\n"));
	shutdown(w.raw, SHUT_WR);
	run_ms(&w, 10);
	assert_int_equal(w.count[STREAM_INPUT], 1);
	assert_int_equal(w.count[STREAM_EOF], 1);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_EOF], 1);
	assert_true(w.s->eof);
	/* It only stopped talking; it still hears. */
	buf_puts(&w.s->out, STR("221"));
	stream_send(w.s);
	assert_int_equal(recv(w.raw, got, sizeof(got), 0), 3);
	assert_int_equal(w.count[STREAM_ERROR], 0);
	end(&w);
}

static void
test_reset(void **state)
{
	struct world w;
	struct linger hard = { 1, 0 };
	begin_tcp(&w);
	setsockopt(w.raw, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(w.raw);
	w.raw = -1;
	run_ms(&w, 10);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	assert_int_equal(w.count[STREAM_EOF], 0);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	end(&w);
}

static void
fill(struct world *w, size_t n)
{
	char block[1024];
	memset(block, 'y', sizeof(block));
	w->in_call = true;
	for (size_t i = 0; i < n; i += sizeof(block)) {
		buf_put(&w->s->out, block, sizeof(block));
		stream_send(w->s);
	}
	w->in_call = false;
}

static size_t
hear_all(struct world *w)
{
	static char block[65536];
	size_t all = 0;
	ssize_t n;
	while ((n = recv(w->raw, block, sizeof(block), MSG_DONTWAIT)) > 0)
		all += (size_t)n;
	return all;
}

static void
test_drained(void **state)
{
	struct world w;
	begin(&w);
	fill(&w, 700u << 10);
	assert_true(stream_unsent(w.s) > 0);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_DRAINED], 0);
	size_t heard = 0;
	for (int i = 0; i < 100 && w.count[STREAM_DRAINED] == 0; i++) {
		heard += hear_all(&w);
		run_ms(&w, 1);
	}
	heard += hear_all(&w);
	assert_int_equal(w.count[STREAM_DRAINED], 1);
	assert_int_equal(heard, 700u << 10);
	assert_null(w.s->out.p);
	end(&w);
}

static void
test_deaf_peer_is_cut_off(void **state)
{
	struct world w;
	begin(&w);
	fill(&w, 4u << 20);
	assert_int_equal(w.count[STREAM_ERROR], 0); /* told by the loop, later */
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	assert_int_equal(stream_unsent(w.s), 0);
	fill(&w, 4096); /* goes nowhere */
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	end(&w);
}

static void
test_send_to_a_dead_peer(void **state)
{
	struct world w;
	begin(&w);
	stream_pause(w.s, true); /* so that only the send can notice */
	close(w.raw);
	w.raw = -1;
	fill(&w, 1024);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	end(&w);

	begin(&w);
	stream_pause(w.s, true);
	close(w.raw);
	w.raw = -1;
	fill(&w, 1024);
	stream_close(w.s); /* before it could be told */
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 0);
	end(&w);
}

/* What the peer said before it reset the connection is there, though a send met that first. */
static void
test_last_words(void **state)
{
	struct world w;
	begin_tcp(&w);
	assert_int_equal(stream_last_words(w.s).len, 0);
	stream_pause(w.s, true);
	fill(&w, 1024);
	run_ms(&w, 5);
	say(&w, STR("552 too big\r\n"));
	close(w.raw); /* with octets that it has not read */
	w.raw = -1;
	run_ms(&w, 5);
	fill(&w, 1024);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	assert_int_equal(w.count[STREAM_INPUT], 0);
	assert_true(str_eq(stream_last_words(w.s), STR("552 too big\r\n")));
	assert_true(str_eq(stream_last_words(w.s), STR("552 too big\r\n")));
	stream_eat(w.s, 13);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	end(&w);
}

/* The kernel has taken all of ours, and nothing more goes. */
static void
test_has_room(void **state)
{
	struct world w;
	char block[1024] = { 0 };
	begin(&w);
	assert_true(stream_has_room(w.s));
	while (send(w.s->fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(stream_unsent(w.s), 0);
	assert_false(stream_has_room(w.s));
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_DRAINED], 0);
	hear_all(&w);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_DRAINED], 1);
	assert_true(stream_has_room(w.s));
	end(&w);
}

/* Who is sent to without end is heard meanwhile. */
static void
test_heard_while_it_is_fed(void **state)
{
	struct world w;
	begin(&w);
	fill(&w, 700u << 10);
	say(&w, STR("552 enough\r\n"));
	for (int i = 0; i < 3; i++) {
		assert_true(stream_unsent(w.s) > 0);
		hear_all(&w);
		run_ms(&w, 0);
	}
	assert_true(str_eq(buf_str(&w.got), STR("552 enough\r\n")));
	end(&w);
}

static void
test_freed_in_the_callback(void **state)
{
	static const enum stream_event events[] = { STREAM_INPUT, STREAM_EOF, STREAM_ERROR,
		STREAM_DRAINED };
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		struct world w;
		begin(&w);
		w.free_at = (int)events[i];
		if (events[i] == STREAM_DRAINED)
			fill(&w, 700u << 10);
		else if (events[i] == STREAM_ERROR)
			fill(&w, 4u << 20);
		else
			say(&w, STR("abc"));
		if (events[i] == STREAM_EOF)
			shutdown(w.raw, SHUT_WR);
		for (int k = 0; k < 100 && w.s; k++) {
			if (events[i] == STREAM_DRAINED)
				hear_all(&w);
			run_ms(&w, 1);
		}
		assert_null(w.s);
		assert_int_equal(w.count[events[i]], 1);
		end(&w);
	}
}

static void
test_shutdown_write(void **state)
{
	struct world w;
	char c;
	begin(&w);
	fill(&w, 700u << 10);
	stream_shutdown_write(w.s);
	size_t heard = 0;
	for (int i = 0; i < 50; i++) {
		heard += hear_all(&w);
		run_ms(&w, 1);
	}
	assert_int_equal(heard, 700u << 10);
	assert_int_equal(recv(w.raw, &c, 1, MSG_DONTWAIT), 0);
	say(&w, STR("late"));
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_INPUT], 1);
	assert_int_equal(w.count[STREAM_ERROR], 0);
	end(&w);

	begin(&w);
	stream_shutdown_write(w.s);
	assert_int_equal(recv(w.raw, &c, 1, MSG_DONTWAIT), 0);
	end(&w);
}

static void
test_open_fails_cleanly(void **state)
{
	struct stream s;
	struct loop *l = loop_new();
	int fd = open("/", O_RDONLY | O_DIRECTORY);
	assert_int_equal(stream_open(&s, l, fd, on_stream, NULL), -EPERM);
	assert_int_equal(close(fd), 0); /* still the caller's */
	stream_close(&s);
	l = loop_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_input_uneaten_stays),
		cmocka_unit_test(test_full_input_waits_in_the_kernel),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_eof),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_drained),
		cmocka_unit_test(test_deaf_peer_is_cut_off),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_has_room),
		cmocka_unit_test(test_heard_while_it_is_fed),
		cmocka_unit_test(test_send_to_a_dead_peer),
		cmocka_unit_test(test_freed_in_the_callback),
		cmocka_unit_test(test_shutdown_write),
		cmocka_unit_test(test_open_fails_cleanly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
