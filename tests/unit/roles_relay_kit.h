/*
 * roles_relay_kit: a relay in a child, the test as its store and its reader, and servers that follow a
 * script. Everything is static.
 *
 * A script is lines: "S TEXT" says it; "C PREFIX" waits for a line that begins so; "D" takes a letter up
 * to its dot and keeps it; "B N" takes N octets; "X" closes; "R" resets; "P MS" pauses; "N" waits for
 * another connection; "E" waits for the peer to close. At its end the server waits for the peer's QUIT
 * or end, too.
 */
#pragma once

#include "queue/entry.h"
#include "roles/relay/relay.h"
#include "sys/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "roles_kit.h"

#define KIT_LETTER 0x1122334455667788u

struct puppet {
	pid_t pid;
	uint16_t port;
	int listener, out; /* out: what it read, as it was */
};

struct puppet_side {
	int fd, out;
	char buf[1 << 16];
	size_t len;
};

static bool
puppet_fill(struct puppet_side *s)
{
	char piece[4096];
	if (s->len + sizeof(piece) > sizeof(s->buf) || !kit_readable(s->fd, KIT_PATIENCE_MS))
		return false;
	ssize_t n = read(s->fd, piece, sizeof(piece));
	if (n <= 0)
		return false;
	memcpy(s->buf + s->len, piece, (size_t)n);
	s->len += (size_t)n;
	return true;
}

static void
puppet_eat(struct puppet_side *s, size_t n)
{
	ssize_t w = write(s->out, s->buf, n);
	(void)w;
	s->len -= n;
	memmove(s->buf, s->buf + n, s->len);
}

/* The next line; false at the end. */
static bool
puppet_line(struct puppet_side *s, struct str *ret)
{
	static char line[1 << 16];
	for (;;) {
		const char *nl = memchr(s->buf, '\n', s->len);
		if (nl) {
			size_t n = (size_t)(nl - s->buf) + 1;
			memcpy(line, s->buf, n);
			puppet_eat(s, n);
			*ret = str_n(line, n);
			return true;
		}
		if (!puppet_fill(s))
			return false;
	}
}

static void
puppet_say(struct puppet_side *s, struct str text)
{
	struct buf b = BUF_INIT(1u << 20);
	while (text.len) { /* "\n" in a script's line is CRLF */
		size_t n = str_find_str(text, STR("\\n"));
		buf_puts(&b, str_first(text, n));
		buf_putz(&b, "\r\n");
		text = str_skip(text, n + 2);
	}
	ssize_t w = write(s->fd, b.p, b.len);
	(void)w;
	buf_done(&b);
}

static void
puppet_wrong(const char *what, struct str step, struct str got)
{
	fprintf(stderr, "# puppet: %s: " STR_FMT ", got " STR_FMT "\n", what, STR_ARG(step),
	    STR_ARG(got));
	_exit(3);
}

static void
puppet_accept(struct puppet *p, struct puppet_side *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->len = 0;
	if (!kit_readable(p->listener, KIT_PATIENCE_MS))
		_exit(4);
	s->fd = accept(p->listener, NULL, NULL);
	if (s->fd < 0)
		_exit(5);
}

static void
puppet_run(struct puppet *p, const char *script)
{
	static struct puppet_side s = { .fd = -1 };
	struct str rest = str_of(script), line = STR_NULL;
	s.out = p->out;
	puppet_accept(p, &s);
	while (rest.len) {
		struct str step = str_cut(&rest, '\n'), arg = str_skip(step, 2);
		if (step.len == 0)
			continue;
		switch (step.p[0]) {
		case 'S':
			puppet_say(&s, arg);
			break;
		case 'C':
			if (!puppet_line(&s, &line) || !str_starts(line, arg))
				puppet_wrong("awaited", step, line);
			break;
		case 'D':
			do
				if (!puppet_line(&s, &line))
					puppet_wrong("no end of the letter", step, line);
			while (!str_eq(line, STR(".\r\n")));
			break;
		case 'B':
			for (size_t n = (size_t)strtoul(arg.p, NULL, 10); n > 0;) {
				if (s.len == 0 && !puppet_fill(&s))
					puppet_wrong("too little", step, line);
				size_t take = MIN(n, s.len);
				puppet_eat(&s, take);
				n -= take;
			}
			break;
		case 'P':
			usleep((unsigned)strtoul(arg.p, NULL, 10) * 1000);
			break;
		case 'R': {
			struct linger l = { 1, 0 };
			setsockopt(s.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
			close(s.fd);
			s.fd = -1;
			break;
		}
		case 'X':
			close(s.fd);
			s.fd = -1;
			break;
		case 'N':
			puppet_accept(p, &s);
			break;
		default:
			puppet_wrong("what is that", step, line);
		}
	}
	while (s.fd >= 0 && puppet_line(&s, &line))
		if (str_starts(line, STR("QUIT")))
			puppet_say(&s, STR("221 bye"));
	_exit(0);
}

/* At 127.0.0.HOST; port 0: any. */
static struct puppet
puppet_start_at(unsigned host, uint16_t port, const char *script)
{
	struct puppet p = { 0 };
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(0x7f000000 + host) };
	socklen_t len = sizeof(a);
	char name[] = "/tmp/penny-puppet-XXXXXX";
	p.listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(p.listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(p.listener, 16), 0);
	assert_int_equal(getsockname(p.listener, (struct sockaddr *)&a, &len), 0);
	p.port = ntohs(a.sin_port);
	p.out = mkstemp(name);
	unlink(name);
	fflush(stdout);
	fflush(stderr);
	p.pid = fork();
	if (p.pid == 0) {
		for (int n = 1; n < NSIG; n++)
			signal(n, n == SIGPIPE ? SIG_IGN : SIG_DFL);
		alarm(60);
		puppet_run(&p, script);
	}
	close(p.listener);
	return p;
}

__attribute__((unused)) static struct puppet
puppet_start(const char *script)
{
	return puppet_start_at(1, 0, script);
}

/* Its exit status; what it read comes into *ret. */
__attribute__((unused)) static int
puppet_end(struct puppet *p, struct buf *ret)
{
	int status;
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	lseek(p->out, 0, SEEK_SET);
	if (ret)
		assert_int_equal(file_read_fd(p->out, 1u << 24, ret), 0);
	close(p->out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* --- the relay and its store --- */

struct relay_kit {
	struct kit k;
	int store, reader, dns, fetch; /* dns, fetch: 0: none */
	const char *sts;               /* the policy that fetch has of every domain; NULL: none */
	void (*on_dns)(struct relay_kit *r, const struct ipc_frame *f);
	struct str letter;
	struct buf store_in, reader_in;
};

static void
relay_kit_store(struct relay_kit *r)
{
	r->store = kit_peer(&r->k, ROLE_STORE, 0);
}

static void
relay_kit_start_as(struct relay_kit *r, int (*run)(void), const char *const *sets)
{
	struct conf *c = kit_conf(sets);
	*r = (struct relay_kit){ .store_in = BUF_INIT(IPC_BODY_MAX + 64),
		.reader_in = BUF_INIT(IPC_BODY_MAX + 64),
		.letter = STR("Subject: hello\r\n\r\nA line.\r\n.dot\r\n") };
	kit_start(&r->k, run, c, ROLE_RELAY, 0);
	conf_free(c);
	relay_kit_store(r);
	r->reader = kit_peer(&r->k, ROLE_READER, 0);
}

__attribute__((unused)) static void
relay_kit_start(struct relay_kit *r, const char *const *sets)
{
	relay_kit_start_as(r, relay_main, sets);
}

__attribute__((unused)) static void
relay_kit_stop(struct relay_kit *r)
{
	assert_int_equal(kit_stop(&r->k), 0);
	close(r->store);
	close(r->reader);
	buf_done(&r->store_in);
	buf_done(&r->reader_in);
}

struct relay_job {
	const char *target;
	const char *from;
	const char *rcpts[8];
	const char *notify;
	uint32_t flags;
	const char *envid, *ret;
	int64_t aged_ms; /* given so long ago */
	uint64_t by_ms;
	uint64_t turn;
	int8_t priority;
	uint16_t window;
};

static void
relay_kit_job(struct relay_kit *r, uint64_t lease, const struct relay_job *j)
{
	struct buf rcpts = BUF_INIT(65536), entry = BUF_INIT(65536), body = BUF_INIT(1u << 20);
	struct queue_entry e = { .created_ms = 1,
		.flags = j->flags,
		.priority = j->priority,
		.by_ms = j->by_ms,
		.domain = STR("example.net"),
		.from = str_of(j->from ? j->from : "alice@example.com"),
		.envid = str_of(j->envid ? j->envid : ""),
		.ret = str_of(j->ret ? j->ret : ""),
		.qid = STR("q1"),
		.peer = STR("127.0.0.1") };
	for (; e.n_rcpts < 8 && j->rcpts[e.n_rcpts]; e.n_rcpts++) {
		struct queue_rcpt q = { .addr = str_of(j->rcpts[e.n_rcpts]),
			.notify = str_of(j->notify ? j->notify : "") };
		queue_rcpt_put(&rcpts, &q);
	}
	e.rcpts = buf_str(&rcpts);
	queue_entry_put(&entry, &e);
	struct msg_job m = { .letter = KIT_LETTER,
		.part = 1,
		.size = r->letter.len,
		.window = j->window ? j->window : 1,
		.qid = STR("q1"),
		.target = str_of(j->target),
		.turn = j->turn,
		.given_ms = (uint64_t)(sys_mono_ms() - j->aged_ms),
		.entry = buf_str(&entry) };
	msg_job_put(&body, &m);
	assert_false(body.failed);
	assert_int_equal(chan_sync_send(r->store, IPC_JOB, lease, buf_str(&body), -1), 0);
	buf_done(&rcpts);
	buf_done(&entry);
	buf_done(&body);
}

static void
relay_kit_spool(struct relay_kit *r)
{
	struct ipc_frame f;
	struct msg_spool_ask a;
	assert_int_equal(kit_recv(r->reader, &f, &r->reader_in), 0);
	assert_int_equal(f.type, IPC_SPOOL_ASK);
	assert_true(msg_spool_ask_get(f.body, &a));
	assert_true(a.letter == KIT_LETTER && a.off < r->letter.len);
	struct buf b = BUF_INIT(IPC_BODY_MAX);
	put_u8(&b, 0);
	buf_puts(&b, str_first(str_skip(r->letter, a.off), a.len));
	assert_int_equal(chan_sync_send(r->reader, IPC_SPOOL, f.id, buf_str(&b), -1), 0);
	buf_done(&b);
}

static void
relay_kit_sts(struct relay_kit *r)
{
	struct ipc_frame f;
	struct msg_sts_ask a;
	struct buf b = BUF_INIT(4096);
	const struct msg_sts m = { .status = r->sts ? 0 : 1, .policy = str_of(r->sts ? r->sts : "") };
	assert_int_equal(kit_recv(r->fetch, &f, &r->reader_in), 0);
	assert_int_equal(f.type, IPC_STS_ASK);
	assert_true(msg_sts_ask_get(f.body, &a));
	msg_sts_put(&b, &m);
	assert_int_equal(chan_sync_send(r->fetch, IPC_STS, f.id, buf_str(&b), -1), 0);
	buf_done(&b);
}

/* The next frame of the store's channel that is no STAGE; asks for octets are answered meanwhile. */
static uint16_t
relay_kit_next(struct relay_kit *r, struct ipc_frame *f)
{
	for (;;) {
		struct pollfd p[4] = { { .fd = r->store, .events = POLLIN },
			{ .fd = r->reader, .events = POLLIN },
			{ .fd = r->dns ? r->dns : -1, .events = POLLIN },
			{ .fd = r->fetch ? r->fetch : -1, .events = POLLIN } };
		if (poll(p, 4, KIT_PATIENCE_MS) <= 0)
			fail_msg("nothing within %d ms", KIT_PATIENCE_MS);
		if (p[1].revents)
			relay_kit_spool(r);
		if (p[2].revents) {
			assert_int_equal(kit_recv(r->dns, f, &r->store_in), 0);
			r->on_dns(r, f);
		}
		if (p[3].revents)
			relay_kit_sts(r);
		if (!p[0].revents)
			continue;
		assert_int_equal(kit_recv(r->store, f, &r->store_in), 0);
		if (f->type != IPC_JOB_STAGE)
			return f->type;
	}
}

static void
relay_kit_hello(struct relay_kit *r, unsigned n)
{
	struct ipc_frame f;
	struct msg_hello h;
	assert_int_equal(relay_kit_next(r, &f), IPC_RELAY_HELLO);
	assert_true(msg_hello_get(f.body, &h));
	assert_int_equal(h.n, n);
}

/* Waits for the result of the lease, and says that it is taken. */
static void
relay_kit_result(struct relay_kit *r, uint64_t lease, struct msg_result *ret)
{
	struct ipc_frame f;
	assert_int_equal(relay_kit_next(r, &f), IPC_JOB_RESULT);
	assert_true(f.id == lease);
	assert_true(msg_result_get(f.body, ret));
	assert_int_equal(chan_sync_send(r->store, IPC_JOB_TAKEN, lease, STR_NULL, -1), 0);
}

static struct msg_fate
relay_kit_fate(const struct msg_result *m, size_t i)
{
	struct wire w = wire_of(m->fates);
	struct msg_fate f = { 0 };
	for (size_t k = 0; k <= i; k++)
		assert_true(msg_fate_get(&w, &f));
	return f;
}
