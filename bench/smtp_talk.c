#include "smtp_priv.h"

#include "base/check.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

enum { INPUT = 65536 };

static const struct {
	const char *name;
	int code;
} steps[] = {
	[BANNER] = { "the connection", 220 },
	[HELLO] = { "EHLO", 250 },
	[STARTTLS] = { "STARTTLS", 220 },
	[SECURE] = { "EHLO behind TLS", 250 },
	[RSET] = { "RSET", 250 },
	[MAIL] = { "MAIL", 250 },
	[RCPT] = { "RCPT", 250 },
	[DATA] = { "DATA", 354 },
	[DOT] = { "the letter", 250 },
	[QUIT] = { "QUIT", 221 },
};

/* --- what is sent */

static void
put(struct conn *c, const char *p, size_t n)
{
	memcpy(c->env + c->env_len, p, n);
	c->env_len += n;
}

/* The number k behind n in the circle from o.first to o.last. */
static uint64_t
number_after(uint64_t n, uint64_t k)
{
	return o.first + (n - o.first + k) % (o.last - o.first + 1);
}

/* A letter's recipients are consecutive numbers, whatever other connections do meanwhile. */
static void
letter_take(struct conn *c)
{
	c->rcpt = load.rcpt;
	load.rcpt = number_after(load.rcpt, o.rcpts);
	load.begun++;
	c->letters++;
}

static void
put_rcpt(struct conn *c)
{
	put(c, "RCPT TO:<", 9);
	put(c, load.to_before, strlen(load.to_before));
	if (load.to_number) {
		char digits[20];
		size_t i = sizeof(digits);
		for (uint64_t n = c->rcpt; i == sizeof(digits) || n; n /= 10)
			digits[--i] = (char)('0' + n % 10);
		put(c, digits + i, sizeof(digits) - i);
		put(c, load.to_after, strlen(load.to_after));
		c->rcpt = number_after(c->rcpt, 1);
	}
	put(c, ">\r\n", 3);
}

static void
want_room(struct conn *c, bool waits)
{
	if (waits == c->waits)
		return;
	struct epoll_event e = { .events = EPOLLIN | (waits ? EPOLLOUT : 0u), .data.ptr = c };
	check(epoll_ctl(load.epoll, EPOLL_CTL_MOD, c->fd, &e) == 0);
	c->waits = waits;
}

static void
write_secure(struct conn *c)
{
	for (size_t i = 0; i < 2; i++) {
		while (c->out[i].len) {
			ssize_t n = secure_send(c, c->out[i]);
			if (n <= 0) {
				want_room(c, true);
				return;
			}
			c->out[i] = str_skip(c->out[i], (size_t)n);
		}
	}
	want_room(c, false);
}

/* Writes what there is; the rest when there is room. */
void
conn_write(struct conn *c)
{
	if (c->dot)
		c->dot_at = now_ns();
	if (c->ssl) {
		write_secure(c);
		return;
	}
	struct iovec v[2];
	size_t n = 0;
	for (size_t i = 0; i < 2; i++)
		if (c->out[i].len)
			v[n++] = (struct iovec){ (void *)(uintptr_t)c->out[i].p, c->out[i].len };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = n };
	ssize_t sent = n == 1 ? send(c->fd, v[0].iov_base, v[0].iov_len, MSG_NOSIGNAL)
	                      : sendmsg(c->fd, &m, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		die("writing %s: %s", steps[c->step].name, strerror(errno));
	size_t left = sent > 0 ? (size_t)sent : 0;
	for (size_t i = 0; i < 2; i++) {
		size_t k = left < c->out[i].len ? left : c->out[i].len;
		c->out[i] = str_skip(c->out[i], k);
		left -= k;
	}
	want_room(c, c->out[0].len || c->out[1].len);
}

static void
say(struct conn *c, enum step step, struct str what)
{
	c->step = step;
	c->answers = 0;
	c->dot = step == DOT;
	c->out[0] = what;
	c->out[1] = STR_NULL;
	conn_write(c);
}

static bool
may_begin(const struct conn *c)
{
	return load.begun < o.letters && (!o.per_connection || c->letters < o.per_connection);
}

/* MAIL, all RCPT and DATA of the next letter, as one text. */
static struct str
envelope(struct conn *c)
{
	bool rset = o.rset && c->letters;
	letter_take(c);
	c->env_len = 0;
	if (rset)
		put(c, "RSET\r\n", 6);
	put(c, load.mail.p, load.mail.len);
	for (uint64_t i = 0; i < o.rcpts; i++)
		put_rcpt(c);
	put(c, "DATA\r\n", 6);
	return str_n(c->env, c->env_len);
}

static void
letter_begin(struct conn *c, uint64_t now)
{
	bool rset = o.rset && c->letters;
	if (o.per_connection != 1)
		c->begin = now;
	if (o.pipelined) {
		struct str e = envelope(c);
		say(c, rset ? RSET : MAIL, e);
		return;
	}
	letter_take(c);
	say(c, rset ? RSET : MAIL, rset ? STR("RSET\r\n") : load.mail);
}

/* The letter; pipelined also what comes behind it. */
static void
letter_send(struct conn *c)
{
	if (!o.pipelined) {
		say(c, DOT, load.body);
		return;
	}
	c->more = may_begin(c);
	c->step = DOT;
	c->answers = 0;
	c->dot = true;
	c->out[0] = load.body;
	c->out[1] = c->more ? envelope(c) : STR("QUIT\r\n");
	c->next_begin = now_ns();
	conn_write(c);
}

/* --- connections */

void
conn_open(struct conn *c)
{
	bool unix_socket = load.addr.ss_family == AF_UNIX;
	char *env = c->env;
	*c = (struct conn){ .step = BANNER, .env = env };
	c->begin = now_ns();
	c->fd = socket(load.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	int one = 1;
	if (!unix_socket)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&load.addr, load.addr_len) < 0 &&
	    errno != EINPROGRESS)
		die("connecting: %s", strerror(errno));
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
		die("epoll: %s", strerror(errno));
	load.open++;
	load.connects++;
}

static void
conn_close(struct conn *c)
{
	secure_end(c);
	close(c->fd);
	c->fd = -1;
	load.open--;
	if (load.begun < o.letters &&
	    (!o.per_connection || load.connects * o.per_connection < o.letters))
		conn_open(c);
}

/* --- what is answered */

static uint32_t
microseconds(uint64_t ns)
{
	return ns / 1000 < UINT32_MAX ? (uint32_t)(ns / 1000) : UINT32_MAX;
}

static void
letter_accepted(struct conn *c)
{
	uint64_t now = now_ns();
	load.whole[load.accepted] = microseconds(now - c->begin);
	load.dot[load.accepted] = microseconds(now - c->dot_at);
	load.accepted++;
	load.end = now;
	if (o.pipelined) {
		c->begin = c->next_begin;
		c->step = !c->more ? QUIT : o.rset ? RSET : MAIL;
		c->answers = 0;
	} else if (may_begin(c)) {
		letter_begin(c, now);
	} else {
		say(c, QUIT, STR("QUIT\r\n"));
	}
}

/* The handshake is done: EHLO again, or that was all. */
static void
secured(struct conn *c)
{
	if (!o.shake) {
		say(c, SECURE, load.hello);
		return;
	}
	letter_take(c);
	c->dot_at = c->begin;
	letter_accepted(c);
}

static void
next_rcpt(struct conn *c)
{
	c->env_len = 0;
	put_rcpt(c);
	uint64_t answers = c->answers;
	say(c, RCPT, str_n(c->env, c->env_len));
	c->answers = answers;
}

/* The commands of an envelope that went out as one: only their answers are due. */
static void
answered_in_envelope(struct conn *c)
{
	if (c->step == RCPT && c->answers < o.rcpts)
		return;
	c->step = c->step == RSET ? MAIL : c->step == MAIL ? RCPT : DATA;
	c->answers = 0;
}

static void
answered_step(struct conn *c)
{
	if (c->step == RSET) {
		say(c, MAIL, load.mail);
	} else if (c->step == MAIL) {
		c->answers = 0;
		next_rcpt(c);
	} else if (c->answers < o.rcpts) {
		next_rcpt(c);
	} else {
		say(c, DATA, STR("DATA\r\n"));
	}
}

static void
answered(struct conn *c)
{
	c->answers++;
	switch (c->step) {
	case BANNER:
		say(c, HELLO, load.hello);
		break;
	case STARTTLS:
		if (secure_begin(c))
			secured(c);
		break;
	case HELLO:
		if (o.tls) {
			say(c, STARTTLS, STR("STARTTLS\r\n"));
			break;
		}
		/* fall through */
	case SECURE:
		if (may_begin(c))
			letter_begin(c, now_ns());
		else
			say(c, QUIT, STR("QUIT\r\n"));
		break;
	case DATA:
		letter_send(c);
		break;
	case DOT:
		if (!o.lmtp || c->answers == o.rcpts)
			letter_accepted(c);
		break;
	case QUIT:
		conn_close(c);
		break;
	case RSET:
	case MAIL:
	case RCPT:
		if (o.pipelined)
			answered_in_envelope(c);
		else
			answered_step(c);
	}
}

/* One line of a reply: its first four octets, and the rest for an error message. */
static void
on_line(struct conn *c, const char *first, struct str rest)
{
	if (first[3] == '-')
		return;
	int code = (first[0] - '0') * 100 + (first[1] - '0') * 10 + (first[2] - '0');
	if (code != steps[c->step].code && !(c->step == RCPT && code / 10 == 25))
		die("letter %llu: %s was answered: %.4s%.*s", (unsigned long long)load.accepted + 1,
		    steps[c->step].name, first, (int)rest.len, rest.p);
	answered(c);
}

static ssize_t
take_in(struct conn *c, char *p, size_t n)
{
	return c->ssl ? secure_recv(c, p, n) : recv(c->fd, p, n, 0);
}

/* False when there is no more for now, or it is another connection now. */
static bool
read_some(struct conn *c)
{
	static char input[INPUT];
	ssize_t n = take_in(c, input, sizeof(input));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0 && c->step == QUIT) {
		conn_close(c);
		return false;
	}
	if (n <= 0)
		die("instead of an answer to %s: %s", steps[c->step].name,
		    n ? strerror(errno) : "the server closed");
	struct str in = str_n(input, (size_t)n);
	while (in.len) {
		while (in.len && c->line_len < 4 && in.p[0] != '\n') {
			c->line[c->line_len++] = in.p[0];
			in = str_skip(in, 1);
		}
		const char *end = in.len ? memchr(in.p, '\n', in.len) : NULL;
		if (!end)
			break;
		if (c->line_len < 4)
			die("%s was answered with less than a code", steps[c->step].name);
		size_t rest = (size_t)(end - in.p);
		c->line_len = 0;
		struct str line = str_n(in.p, rest && in.p[rest - 1] == '\r' ? rest - 1 : rest);
		in = str_skip(in, rest + 1);
		bool last = c->step == QUIT;
		on_line(c, c->line, line);
		if (last)
			return false; /* it is another connection now */
	}
	return c->ssl && !c->shaking;
}

void
conn_read(struct conn *c)
{
	if (c->shaking) {
		if (!secure_shake(c))
			return;
		secured(c);
	}
	while (read_some(c))
		;
}
