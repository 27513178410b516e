/*
 * The player against a server that says what a row of the table tells it to: a process that
 * sends one text per connection, echoes, or closes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "sys/clock.h"
#include "play/player.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum after { AFTER_CLOSE, AFTER_READ, AFTER_ECHO, AFTER_RESET };

struct server {
	pid_t pid;
	uint16_t port;
};

static void
serve(int fd, struct str text, enum after after)
{
	struct linger now = { .l_onoff = 1 };
	char buf[4096];
	ssize_t n;

	if (send(fd, text.p, text.len, MSG_NOSIGNAL) < 0)
		return;
	while (after == AFTER_READ || after == AFTER_ECHO) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n <= 0)
			return;
		if (after == AFTER_ECHO && send(fd, buf, (size_t)n, MSG_NOSIGNAL) < 0)
			return;
	}
	if (after == AFTER_RESET) {
		recv(fd, buf, 1, 0);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
}

static struct server
server_start(struct str text, enum after after)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	struct server s = { 0 };

	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	s.port = ntohs(sin.sin_port);
	s.pid = fork();
	if (s.pid == 0) {
		alarm(60); /* a test that fails does not stop us */
		signal(SIGCHLD, SIG_IGN);
		for (;;) {
			int c = accept(fd, NULL, NULL);
			if (fork() == 0) {
				serve(c, text, after);
				close(c);
				_exit(0);
			}
			close(c);
		}
	}
	close(fd);
	assert_true(s.pid > 0);
	return s;
}

static void
server_stop(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
}

static bool
accept_verify(void *arg, const struct conv_step *s, struct play_report *r)
{
	unsigned *calls = arg;

	++*calls;
	if (s->verify == CONV_QUEUED)
		return play_report_fail(r, PLAY_FAILED, s->text, "no");
	return true;
}

static bool
accept_fault(void *arg, struct str key, struct play_report *r)
{
	if (str_eq(key, STR("x")) || str_eq(key, STR("y")))
		return true;
	return play_report_fail(r, PLAY_FAILED, key, "no such fault");
}

static const struct {
	const char *name;
	struct str text;  /* what the server says at once */
	enum after after; /* and then */
	const char *conv;
	enum play_result result;
	int line;        /* of the step that fails */
	const char *got; /* behind a ~: a part of it */
	const char *transcript;
} rows[] = {
	{ "plain", STR("220 hi\r\n"), AFTER_CLOSE, "S: 220 .*\nE: close\n", PLAY_PASSED, 0, "",
	    "s: 220 hi\n#: the server closed the connection\n" },
	{ "wrong", STR("220 hi\r\n250 more\r\n"), AFTER_READ, "S: 221 .*\n", PLAY_FAILED, 1,
	    "220 hi", "s: 220 hi\ns: 250 more\n" },
	{ "not whole", STR("220 hi\r\n"), AFTER_READ, "S: 220\n", PLAY_FAILED, 1, "220 hi", NULL },
	{ "bare LF", STR("220 hi\n"), AFTER_READ, "S: 220 .*\n", PLAY_FAILED, 1,
	    "a line that does not end in CRLF", NULL },
	{ "half a line", STR("220 hi"), AFTER_CLOSE, "S: 220 .*\n", PLAY_FAILED, 1,
	    "a line that does not end in CRLF", NULL },
	{ "silence", STR(""), AFTER_READ, "S: 220 .*\n", PLAY_FAILED, 1, "nothing", NULL },
	{ "end", STR(""), AFTER_CLOSE, "S: 220 .*\n", PLAY_FAILED, 1, "the end of the connection",
	    NULL },
	{ "optional line there", STR("1\r\n2\r\n"), AFTER_READ, "S?: 1\nS: 2\n", PLAY_PASSED, 0, "",
	    NULL },
	{ "optional line not there", STR("2\r\n"), AFTER_READ, "S?: 1\nS: 2\n", PLAY_PASSED, 0, "",
	    NULL },
	{ "optional at the end", STR(""), AFTER_CLOSE, "S?: 1\nS*: 2\nE: close\n", PLAY_PASSED, 0,
	    "", NULL },
	{ "many", STR("1\r\n1\r\n1\r\n2\r\n"), AFTER_CLOSE, "S*: 1\nS*: 3\nS: 2\nE: close\n",
	    PLAY_PASSED, 0, "", "s: 1\ns: 1\ns: 1\ns: 2\n#: the server closed the connection\n" },
	{ "line instead of the end", STR("1\r\n"), AFTER_CLOSE, "E: close\n", PLAY_FAILED, 1, "1",
	    NULL },
	{ "no end", STR(""), AFTER_READ, "E: close\n", PLAY_FAILED, 1, "nothing", NULL },
	{ "reset is an end", STR("1\r\n"), AFTER_RESET, "S: 1\nC: x\nE: close\n", PLAY_PASSED, 0,
	    "", NULL },
	{ "silent", STR(""), AFTER_READ, "N: 20\n", PLAY_PASSED, 0, "", NULL },
	{ "not silent", STR("1\r\n"), AFTER_READ, "N: 200\n", PLAY_FAILED, 1, "1", NULL },
	{ "not silent: half a line", STR("ab"), AFTER_READ, "N: 200\n", PLAY_FAILED, 1, "ab",
	    NULL },
	{ "closes instead of silence", STR(""), AFTER_CLOSE, "N: 200\n", PLAY_FAILED, 1,
	    "the end of the connection", NULL },
	{ "echo", STR(""), AFTER_ECHO, "C: a{sp}b\nS: a b\nR: x\\r\\n\nS: x\n", PLAY_PASSED, 0, "",
	    "c: a b\ns: a b\nc: x\\x0d\\x0a\ns: x\n" },
	{ "variable", STR(""), AFTER_ECHO, "C: id 17\nS=n: id (.*)\nC: {n}{n}\nS: 1717\n",
	    PLAY_PASSED, 0, "", NULL },
	{ "keystroke", STR(""), AFTER_ECHO, "@input keystroke\nC: abc\nS: abc\n", PLAY_PASSED, 0,
	    "", NULL },
	{ "lf", STR(""), AFTER_ECHO, "@input lf\nC: abc\nS: abc\n", PLAY_FAILED, 3,
	    "a line that does not end in CRLF", NULL },
	{ "large and pipelined", STR(""), AFTER_ECHO,
	    "C: {repeat:3000000:x}\nC: {repeat:3000000:y}\nS: x*\nS: y*\n", PLAY_PASSED, 0, "",
	    NULL },
	{ "connections", STR("1\r\n"), AFTER_ECHO,
	    "S: 1\nA: b\nS: 1\nC: to b\nA: main\nN: 20\nC: to main\nS: to main\nA: b\nS: to b\n",
	    PLAY_PASSED, 0, "", NULL },
	{ "use after close", STR("1\r\n"), AFTER_READ, "X: close\nC: x\n", PLAY_FAILED, 2,
	    "connection \"main\" was closed by an earlier step", NULL },
	{ "no answer to a handshake", STR(""), AFTER_READ, "T: starttls\n", PLAY_FAILED, 1,
	    "~took too long", NULL },
	{ "no answer from the start", STR(""), AFTER_READ, "@tls implicit\nS: x\n", PLAY_FAILED, 0,
	    "~took too long", NULL },
	{ "more than was read", STR("1\r\n2\r\n"), AFTER_READ, "S: 1\nT: starttls\n", PLAY_FAILED,
	    2, "the server has said more than a step has read", NULL },
	{ "no TLS in there", STR("220 hi\r\n"), AFTER_READ, "@tls implicit\nS: x\n", PLAY_FAILED, 0,
	    "~TLS with ", NULL },
	{ "fault", STR(""), AFTER_CLOSE, "D: fault=x\nD: fault=y\nE: close\n", PLAY_PASSED, 0, "",
	    NULL },
	{ "fault that is none", STR(""), AFTER_CLOSE, "D: fault=z\nE: close\n", PLAY_FAILED, 1,
	    "no such fault", NULL },
	{ "verify", STR("1\r\n"), AFTER_READ, "S: 1\nV: mailbox a@b count=1\n", PLAY_PASSED, 0, "",
	    NULL },
	{ "verify fails", STR("1\r\n"), AFTER_READ, "S: 1\nV: queued a@b\n", PLAY_FAILED, 2, "no",
	    NULL },
	{ "octets are escaped", STR("\x1b[31m\xff\r\n"), AFTER_READ, "S: x\n", PLAY_FAILED, 1,
	    "\\x1b[31m\\xff", NULL },
	{ "a NUL never matches",
	    STR("1\0"
		"2\r\n"),
	    AFTER_READ, "S: 1.*\n", PLAY_FAILED, 1, "1\\x002", NULL },
};

static void
play(size_t i, uint16_t port)
{
	struct buf err = BUF_INIT(4096);
	struct play_report r;
	struct conv c;
	unsigned calls = 0;
	bool waits = rows[i].result == PLAY_PASSED;

	if (!conv_parse(&c, "t.conv", str_of(rows[i].conv), &err))
		fail_msg("%s: %s", rows[i].name, buf_cstr(&err));
	play_report_init(&r);
	player_run(&c,
	    &(struct player_options){ .host = "127.0.0.1",
		.port = port,
		.timeout_ms = waits ? 20000 : 1500,
		.verify = accept_verify,
		.fault = accept_fault,
		.arg = &calls },
	    &r);
	struct str got = str_of(rows[i].got);
	bool part = str_starts(got, STR("~"));
	bool same = part ? str_find_str(buf_str(&r.got), str_skip(got, 1)) < r.got.len
	                 : str_eq(buf_str(&r.got), got);
	if (r.result != rows[i].result || r.line != rows[i].line || !same)
		fail_msg("%s: result %d, line %d, got \"%s\"", rows[i].name, (int)r.result, r.line,
		    buf_cstr(&r.got));
	if (rows[i].transcript && !str_eq(buf_str(&r.transcript), str_of(rows[i].transcript)))
		fail_msg("%s: transcript %s", rows[i].name, buf_cstr(&r.transcript));
	play_report_done(&r);
	conv_done(&c);
	buf_done(&err);
}

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct server s = server_start(rows[i].text, rows[i].after);
		play(i, s.port);
		server_stop(&s);
	}
}

static void
test_wait(void **state)
{
	struct server s = server_start(STR("1\r\n"), AFTER_READ);
	struct buf err = BUF_INIT(4096);
	struct play_report r;
	struct conv c;

	assert_true(conv_parse(&c, "t.conv", STR("W: 120\nS: 1\n"), &err));
	play_report_init(&r);
	int64_t start = sys_mono_ms();
	player_run(&c,
	    &(struct player_options){ .host = "127.0.0.1", .port = s.port, .timeout_ms = 5000 },
	    &r);
	assert_int_equal(r.result, PLAY_PASSED);
	assert_true(sys_mono_ms() - start >= 120);
	play_report_done(&r);
	conv_done(&c);
	server_stop(&s);
}

/* Without somebody to ask, V: and D: lines are passed over. */
static void
test_skips(void **state)
{
	struct server s = server_start(STR("1\r\n"), AFTER_READ);
	struct buf err = BUF_INIT(4096);
	struct play_report r;
	struct conv c;

	assert_true(conv_parse(&c, "t.conv", STR("D: fault=x\nV: queued a@b\nS: 1\n"), &err));
	play_report_init(&r);
	player_run(&c,
	    &(struct player_options){ .host = "localhost", .port = s.port, .timeout_ms = 5000 },
	    &r);
	assert_int_equal(r.result, PLAY_PASSED);
	play_report_done(&r);
	conv_done(&c);
	server_stop(&s);
}

static void
test_nobody_there(void **state)
{
	struct server s = server_start(STR(""), AFTER_READ);
	struct buf err = BUF_INIT(4096);
	struct play_report r;
	struct conv c;

	server_stop(&s);
	assert_true(conv_parse(&c, "t.conv", STR("S: 1\n"), &err));
	play_report_init(&r);
	player_run(&c,
	    &(struct player_options){ .host = "127.0.0.1", .port = s.port, .timeout_ms = 1000 },
	    &r);
	assert_int_equal(r.result, PLAY_IMPOSSIBLE);
	assert_true(str_starts(buf_str(&r.got), STR("cannot connect to 127.0.0.1 port")));
	play_report_done(&r);
	conv_done(&c);
}

static void
test_stop(void **state)
{
	static volatile sig_atomic_t stop = 1;
	struct server s = server_start(STR("1\r\n"), AFTER_READ);
	struct buf err = BUF_INIT(4096);
	struct play_report r;
	struct conv c;

	assert_true(conv_parse(&c, "t.conv", STR("S: 1\n"), &err));
	play_report_init(&r);
	player_run(&c,
	    &(struct player_options){
		.host = "127.0.0.1", .port = s.port, .timeout_ms = 1000, .stop = &stop },
	    &r);
	assert_int_equal(r.result, PLAY_IMPOSSIBLE);
	play_report_done(&r);
	conv_done(&c);
	server_stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_skips),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
