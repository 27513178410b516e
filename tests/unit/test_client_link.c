/* The link against servers that mean no good. Each is a thread that plays one part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/exit.h"
#include "client/link.h"
#include "sys/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct part {
	void (*play)(int fd);
	int listener;
	uint16_t port;
	pthread_t thread;
};

static void *
serve(void *arg)
{
	struct part *p = arg;
	int fd = accept(p->listener, NULL, NULL);

	if (fd >= 0) {
		p->play(fd);
		close(fd);
	}
	return NULL;
}

static void
part_begin(struct part *p, void (*play)(int fd))
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	p->play = play;
	p->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(p->listener >= 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(p->listener, 1), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&sin, &len), 0);
	p->port = ntohs(sin.sin_port);
	assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void
part_end(struct part *p)
{
	pthread_join(p->thread, NULL);
	close(p->listener);
}

static void
say(int fd, struct str s)
{
	while (s.len) {
		ssize_t n = send(fd, s.p, s.len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		s = str_skip(s, (size_t)n);
	}
}

/* Reads until the peer is gone. */
static void
drain(int fd)
{
	char junk[65536];

	while (recv(fd, junk, sizeof(junk), 0) > 0)
		;
}

struct fixture {
	struct part part;
	struct link_conf conf;
	struct events ev;
	struct link l;
	unsigned kinds[EVENT_KINDS];
	size_t largest;
	struct buf sent;
};

static void
count(void *arg, const struct event *e)
{
	struct fixture *f = arg;

	f->kinds[e->kind]++;
	if (e->octets.len > f->largest)
		f->largest = e->octets.len;
	if (e->kind == EVENT_SEND)
		buf_puts(&f->sent, e->octets);
}

static void
fixture_open(struct fixture *f, void (*play)(int fd), int want)
{
	part_begin(&f->part, play);
	f->sent = BUF_INIT(1 << 20);
	f->conf.host = "127.0.0.1";
	f->conf.port = f->part.port;
	if (f->conf.timeout_ms == 0)
		f->conf.timeout_ms = 2000;
	events_init(&f->ev);
	events_add(&f->ev, count, f);
	assert_int_equal(link_open(&f->l, &f->conf, &f->ev), want);
}

static void
fixture_close(struct fixture *f)
{
	link_close(&f->l);
	link_close(&f->l);
	buf_done(&f->sent);
	part_end(&f->part);
}

/* --- */

static void
play_long_line(int fd)
{
	static char piece[1 << 20];

	memset(piece, 'x', sizeof(piece));
	for (int i = 0; i < 10; i++)
		say(fd, str_n(piece, sizeof(piece)));
	say(fd, STR("\r\n220 after\r\n"));
}

static void
test_long_line(void **state)
{
	struct fixture f = { 0 };
	struct str line;
	size_t total = 0, pieces = 0;
	enum link_status st;

	fixture_open(&f, play_long_line, CLIENT_OK);
	while ((st = link_line(&f.l, STR_NULL, &line)) == LINK_PIECE) {
		assert_int_equal(line.len, LINK_LINE_MAX);
		total += line.len;
		pieces++;
		assert_true(f.l.in.cap <= 2 * LINK_IN_MAX);
	}
	assert_int_equal(st, LINK_OK);
	assert_int_equal(total + line.len, (10u << 20) + 2);
	assert_int_equal(pieces, 160);
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_OK);
	assert_true(str_eq(line, STR("220 after\r\n")));
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_END);
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_END);
	assert_true(f.largest <= LINK_LINE_MAX);
	assert_int_equal(f.kinds[EVENT_CLOSE], 1);
	fixture_close(&f);
}

static void
play_odd(int fd)
{
	say(fd, STR("a\0b\r\n\r\n\n\xff\x1b[2J\nno end"));
}

static void
test_odd_lines(void **state)
{
	static const struct str want[] = { { "a\0b\r\n", 5 }, { "\r\n", 2 }, { "\n", 1 },
		{ "\xff\x1b[2J\n", 6 }, { "no end", 6 } };
	struct fixture f = { 0 };
	struct str line;

	fixture_open(&f, play_odd, CLIENT_OK);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_OK);
		assert_true(str_eq(line, want[i]));
	}
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_END);
	fixture_close(&f);
}

static void
play_drip(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (int i = 0; i < 200 && poll(&p, 1, 20) == 0; i++)
		say(fd, STR("x"));
}

/* A line has a deadline, however often a bit of it comes. */
static void
test_drip(void **state)
{
	struct fixture f = { .conf.timeout_ms = 500 };
	struct str line;
	int64_t start = sys_mono_ms();

	fixture_open(&f, play_drip, CLIENT_OK);
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_TIMEOUT);
	assert_true(sys_mono_ms() - start < 1500);
	assert_non_null(strstr(buf_cstr(&f.l.why), "did not answer within 0.5 s"));
	fixture_close(&f);
}

static void
test_silence(void **state)
{
	struct fixture f = { .conf.timeout_ms = 300 };
	struct str line;

	fixture_open(&f, drain, CLIENT_OK);
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_TIMEOUT);
	assert_non_null(strstr(buf_cstr(&f.l.why), "--tls=implicit"));
	fixture_close(&f);
}

static volatile sig_atomic_t stop;

static void *
stop_soon(void *arg)
{
	poll(NULL, 0, 100);
	stop = 1;
	return NULL;
}

static void
test_stop(void **state)
{
	struct fixture f = { .conf = { .timeout_ms = 20000, .stop = &stop } };
	struct str line;
	pthread_t thread;
	int64_t start = sys_mono_ms();

	stop = 0;
	fixture_open(&f, drain, CLIENT_OK);
	pthread_create(&thread, NULL, stop_soon, NULL);
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_STOPPED);
	assert_true(sys_mono_ms() - start < 2000);
	pthread_join(thread, NULL);
	fixture_close(&f);
	stop = 0;
}

/* It sends all the time and reads nothing: neither memory nor we may be held. */
static void
play_deaf(int fd)
{
	static char piece[1 << 16];
	struct timeval tv = { .tv_sec = 1 };
	int small = 4096;

	memset(piece, 'y', sizeof(piece));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	for (int i = 0; i < 400; i++)
		say(fd, str_n(piece, sizeof(piece)));
}

static void
test_deaf(void **state)
{
	struct fixture f = { .conf.timeout_ms = 300 };
	static char much[16 << 20];

	fixture_open(&f, play_deaf, CLIENT_OK);
	memset(much, 'z', sizeof(much));
	assert_int_equal(link_send(&f.l, str_n(much, sizeof(much)), STR_NULL, true), LINK_TIMEOUT);
	assert_true(f.l.in.len <= LINK_IN_MAX + 1);
	fixture_close(&f);
}

static void
play_answer_and_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };
	char junk[100];

	say(fd, STR("220 hi\r\n"));
	recv(fd, junk, sizeof(junk), 0);
	say(fd, STR("552 too much\r\n"));
	poll(NULL, 0, 100);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* What the server said before it reset is read; then it is a failure with a reason. */
static void
test_reset(void **state)
{
	struct fixture f = { 0 };
	struct str line;
	static char much[48 << 20];

	fixture_open(&f, play_answer_and_reset, CLIENT_OK);
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_OK);
	assert_int_equal(link_send(&f.l, str_n(much, sizeof(much)), STR_NULL, true), LINK_FAILED);
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_OK);
	assert_true(str_eq(line, STR("552 too much\r\n")));
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_FAILED);
	assert_true(f.l.why.len > 0);
	fixture_close(&f);
}

/* --- TLS that is none --------------------------------------------------------------------- */

static void
play_plain(int fd)
{
	say(fd, STR("220 mail.example.com ESMTP\r\n"));
	drain(fd);
}

static void
test_plain_to_tls(void **state)
{
	struct fixture f = { 0 };

	fixture_open(&f, play_plain, CLIENT_OK);
	assert_int_equal(link_tls(&f.l, "smtp"), CLIENT_TLS);
	assert_non_null(strstr(buf_cstr(&f.l.why), "speaks without TLS on this port"));
	struct str line;
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_FAILED);
	fixture_close(&f);
}

static void
play_garbage(int fd)
{
	char junk[512];

	recv(fd, junk, sizeof(junk), 0);
	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (char)(i * 37 + 22);
	say(fd, str_n(junk, sizeof(junk)));
	drain(fd);
}

static void
play_hang_up(int fd)
{
	char junk[512];

	recv(fd, junk, sizeof(junk), 0);
}

static void
play_reset_in_handshake(int fd)
{
	struct linger linger = { .l_onoff = 1 };
	char junk[512];

	recv(fd, junk, sizeof(junk), 0);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void
test_bad_handshakes(void **state)
{
	void (*const plays[])(int fd) = { play_garbage, play_hang_up, play_reset_in_handshake };

	for (size_t i = 0; i < 3; i++) {
		struct fixture f = { 0 };
		fixture_open(&f, plays[i], CLIENT_OK);
		assert_int_equal(link_tls(&f.l, NULL), CLIENT_TLS);
		assert_true(f.l.why.len > 0);
		if (i > 0)
			assert_non_null(strstr(buf_cstr(&f.l.why), "does this port speak TLS?"));
		fixture_close(&f);
	}
}

static void
test_silent_handshake(void **state)
{
	struct fixture f = { .conf.timeout_ms = 300 };

	fixture_open(&f, drain, CLIENT_OK);
	assert_int_equal(link_tls(&f.l, NULL), CLIENT_TIMEOUT);
	fixture_close(&f);
}

static void
play_inject(int fd)
{
	say(fd, STR("220 go\r\n250 injected\r\n"));
	drain(fd);
}

/* CVE-2011-0411 */
static void
test_injection(void **state)
{
	struct fixture f = { 0 };
	struct str line;

	fixture_open(&f, play_inject, CLIENT_OK);
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_OK);
	assert_int_equal(link_tls(&f.l, "smtp"), CLIENT_TLS);
	assert_non_null(strstr(buf_cstr(&f.l.why), "sent 14 octets in clear"));
	fixture_close(&f);
}

/* --- what goes ---------------------------------------------------------------------------- */

static struct buf heard;

static void
play_hear(int fd)
{
	char junk[4096];
	ssize_t n;

	buf_reset(&heard);
	say(fd, STR("220 hi\r\n"));
	while ((n = recv(fd, junk, sizeof(junk), 0)) > 0)
		buf_put(&heard, junk, (size_t)n);
}

/* Whoever closes with something unread resets the connection, and what was sent may be lost. */
static void
read_greeting(struct fixture *f)
{
	struct str line;

	assert_int_equal(link_line(&f->l, STR_NULL, &line), LINK_OK);
}

static void
test_what_goes_first(void **state)
{
	struct fixture f = { .conf = { .proxy = 1,
				 .proxy_source = STR("192.0.2.9:4711"),
				 .telnet_neg = true,
				 .segment = 1,
				 .eol = LINK_LF } };

	heard = BUF_INIT(1 << 16);
	fixture_open(&f, play_hear, CLIENT_OK);
	assert_int_equal(link_line_send(&f.l, STR("EHLO me"), STR_NULL), LINK_OK);
	read_greeting(&f);
	fixture_close(&f);
	char want[128];
	int n =
	    snprintf(want, sizeof(want), "PROXY TCP4 192.0.2.9 127.0.0.1 4711 %u\r\n", f.part.port);
	assert_memory_equal(heard.p, want, (size_t)n);
	assert_memory_equal(heard.p + n, "\xff\xfd\x03\xff\xfb\x18", 6);
	assert_true(str_ends(buf_str(&heard), STR("EHLO me\n")));
	buf_done(&heard);
}

static void
test_proxy_v2(void **state)
{
	struct fixture f = { .conf = { .proxy = 2, .proxy_source = STR("[2001:db8::1]:25") } };

	heard = BUF_INIT(1 << 16);
	fixture_open(&f, play_hear, CLIENT_OK);
	read_greeting(&f);
	fixture_close(&f);
	assert_int_equal(heard.len, 52);
	assert_memory_equal(heard.p, "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\x20\x01\x0d\xb8", 20);
	assert_memory_equal(heard.p + 32, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	buf_done(&heard);
}

/* A secret goes over the line, and into no event. */
static void
test_masked(void **state)
{
	struct fixture f = { .conf.debug_bytes = true };

	heard = BUF_INIT(1 << 16);
	fixture_open(&f, play_hear, CLIENT_OK);
	assert_int_equal(link_line_send(&f.l, STR("c2VjcmV0"), STR("<hidden>")), LINK_OK);
	assert_int_equal(f.kinds[EVENT_SEND], 1);
	read_greeting(&f);
	fixture_close(&f);
	assert_true(str_eq(buf_str(&heard), STR("c2VjcmV0\r\n")));
	buf_done(&heard);
}

/* --- the loop's way ------------------------------------------------------------------------ */

static void
test_loop(void **state)
{
	struct fixture f = { 0 };
	struct str line;
	enum link_status st = LINK_AGAIN;
	size_t lines = 0;

	fixture_open(&f, play_odd, CLIENT_OK);
	while (st != LINK_END) {
		st = link_line_now(&f.l, &line);
		if (st == LINK_OK)
			lines++;
		if (st != LINK_AGAIN)
			continue;
		struct pollfd p = { .fd = link_fd(&f.l), .events = link_wants(&f.l) };
		assert_true(poll(&p, 1, 2000) > 0);
		link_take_in(&f.l);
	}
	assert_int_equal(lines, 5);
	assert_int_equal(link_wants(&f.l), 0);
	fixture_close(&f);
}

static void
put_length(void *arg, struct str piece)
{
	*(size_t *)arg += piece.len;
}

static void
test_octets(void **state)
{
	struct fixture f = { 0 };
	struct str line;
	size_t n = 0;

	fixture_open(&f, play_long_line, CLIENT_OK);
	assert_int_equal(link_octets(&f.l, 10u << 20, put_length, &n), LINK_OK);
	assert_int_equal(n, 10u << 20);
	assert_int_equal(link_line(&f.l, STR_NULL, &line), LINK_OK);
	assert_int_equal(line.len, 2);
	assert_int_equal(link_octets(&f.l, 100, put_length, &n), LINK_END);
	fixture_close(&f);
}

static void
test_no_connection(void **state)
{
	static const struct {
		const char *host;
		int status;
		const char *says;
	} rows[] = {
		{ "127.0.0.1", CLIENT_CONNECT, "connection refused" },
		{ "", CLIENT_RESOLVE, "no name" },
		{ "told.example", CLIENT_CONNECT, "connection refused" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct link_conf conf = { .host = rows[i].host,
			.port = 1,
			.timeout_ms = 2000,
			.resolve = { { "TOLD.example", "127.0.0.1" } },
			.n_resolve = 1 };
		struct events ev;
		struct link l;
		events_init(&ev);
		assert_int_equal(link_open(&l, &conf, &ev), rows[i].status);
		assert_non_null(strstr(buf_cstr(&l.why), rows[i].says));
		link_close(&l);
	}
}

/* A struct that was never opened has no connection, whatever descriptor 0 is. */
static void
test_zeroed(void **state)
{
	struct link l = { 0 };
	int was = dup(STDIN_FILENO);

	assert_int_equal(link_fd(&l), -1);
	assert_int_equal(link_wants(&l), 0);
	link_close(&l);
	assert_true(dup(STDIN_FILENO) >= 0 || was < 0);
	close(was);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_odd_lines),
		cmocka_unit_test(test_drip),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_plain_to_tls),
		cmocka_unit_test(test_bad_handshakes),
		cmocka_unit_test(test_silent_handshake),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_what_goes_first),
		cmocka_unit_test(test_proxy_v2),
		cmocka_unit_test(test_masked),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_no_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
